/* The file that the tests of a file fail and hang; filerig.h says what it is.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"
#include "filerig.h"

#include <string.h>

void
file_rig_set_up (FileRig *f, gconstpointer data)
{
  fault_file_init (&f->output);
  f->expected = g_malloc0 (TOTAL);
}

void
file_rig_tear_down (FileRig *f, gconstpointer data)
{
  fault_file_clear (&f->output);
  g_free (f->expected);
}

static void
count_release (gpointer data)
{
  FileRig *f = data;

  g_atomic_int_inc ((gint *) &f->released);
}

void
file_rig_configure (FileRig *f, WbFileConfig *config)
{
  fault_file_configure (&f->output, PIECE, config);
  /* Too much, so that there is something to give back. */
  config->preallocate = WB_PREALLOCATE_AUTO;
  config->size_hint = 2 * TOTAL;
  config->bounds.max_dirty_bytes = 2 * MIB;
  config->bounds.writeback_timeout_us = 10 * G_USEC_PER_SEC;
}

WbStatus
file_rig_push (FileRig *f, WbFile *file, guint64 at, gsize size, WbStall *stall)
{
  WbStatus status;

  /* Stalled is worth a warning, no more. */
  do
    status = wb_file_begin (file, size, stall);
  while (status == WB_STALLED);
  if (status != WB_OK)
    return status;
  if (size > WB_COPY_MAX) {
    f->held++;
    wb_file_hold (file, f->expected + at, size, f, count_release);
  } else {
    wb_file_copy (file, f->expected + at, size);
  }
  wb_file_end_buffer (file);
  wb_file_end (file);
  return WB_OK;
}

WbFile *
file_rig_open (FileRig *f, const WbFileConfig *config)
{
  WbError error;
  WbStall stall;
  WbFile *file = wb_file_open (config, &error, &stall);

  g_assert_cmpint (file_rig_push (f, file, 0, PIECE, &stall), ==, WB_OK);
  return file;
}

WbStatus
file_rig_push_all (FileRig *f, WbFile *file, WbStall *stall)
{
  WbStatus status = WB_OK;
  guint64 from, furthest;

  for (guint64 at = 0; at < TOTAL && status == WB_OK; at += PIECE) {
    memset (f->expected + at, (int) (at / PIECE + 1), PIECE);
    status = file_rig_push (f, file, at, PIECE, stall);
    if (status == WB_OK && (at + PIECE) % PATCH_EVERY == 0) {
      guint64 target = at + PIECE - PATCH_EVERY + 16;

      /* A large piece is held, not copied: it must not change until it is
       * written, so the patch comes from elsewhere in the pattern. */
      g_assert_true (wb_file_seek (file, target, &from, &furthest));
      do
        status = wb_file_begin (file, 8, stall);
      while (status == WB_STALLED);
      if (status == WB_OK) {
        wb_file_copy (file, "patched!", 8);
        wb_file_end (file);
      }
      g_assert_true (wb_file_seek (file, at + PIECE, &from, &furthest));
    }
  }
  return status;
}

static void
expect_patches (FileRig *f)
{
  for (guint64 at = PATCH_EVERY; at <= TOTAL; at += PATCH_EVERY)
    memcpy (f->expected + at - PATCH_EVERY + 16, "patched!", 8);
}

FileRigOutcome
file_rig_run (FileRig *f, const WbFileConfig *config)
{
  FileRigOutcome o = { 0 };
  WbFile *file;
  gint64 start = g_get_monotonic_time ();

  f->held = f->released = 0;
  file = wb_file_open (config, &o.error, &o.stall);
  if (file == NULL) {
    o.open = o.stall.call != NULL ? WB_TIMEOUT : WB_FAILED;
    return o;
  }
  o.push = file_rig_push_all (f, file, &o.stall);
  if (o.push != WB_TIMEOUT)
    o.sync = wb_file_wait_sync (file,
        wb_file_request_sync (file, WB_SYNC_FULL, TRUE), WB_WAIT_STREAM,
        &o.result, &o.stall);
  o.close = wb_file_close (file, &o.stats, &o.stall);
  o.error = o.stats.error;
  g_assert_cmpint (g_get_monotonic_time () - start, <, FAULT_PATIENCE_US);
  return o;
}

void
file_rig_assert_content (FileRig *f)
{
  g_autofree gchar *content = NULL;
  gsize length;

  expect_patches (f);
  g_assert_true (g_file_get_contents (f->output.path, &content, &length, NULL));
  g_assert_cmpuint (length, ==, TOTAL);
  g_assert_cmpint (memcmp (content, f->expected, TOTAL), ==, 0);
}

void
file_rig_assert_nothing_left (FileRig *f)
{
  gint64 deadline = g_get_monotonic_time () + FAULT_PATIENCE_US;

  while (fault_open_descriptors () > 0 || fault_count_threads () > 0
      || g_atomic_int_get ((gint *) &f->released) < (gint) f->held) {
    g_assert_cmpint (g_get_monotonic_time (), <, deadline);
    g_usleep (1000);
  }
  g_assert_cmpuint (g_atomic_int_get ((gint *) &f->released), ==, f->held);
}
