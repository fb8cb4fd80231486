/* One file, and everyone who may speak to it at once: the streaming thread
 * pushes and patches, others ask for all that can be asked at any time, change
 * the bounds and interrupt. Nothing gets lost or goes backwards; and a race
 * checker sees every call beside every other.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"
#include "faultsys.h"
#include "file/wbfile.h"

#include <string.h>

#define MIB (G_GUINT64_CONSTANT (1) << 20)
#define PIECE (64 * 1024)
#define SIZE (24 * MIB)
#define ASKERS 2

typedef struct
{
  FaultFile output;
  WbFileConfig config;
  WbFile *file;
  gint notified;
  gint over;
} Fixture;

static void
count_notified (gpointer data)
{
  Fixture *f = data;

  g_atomic_int_inc (&f->notified);
}

static void
set_up (Fixture *f, gconstpointer data)
{
  fault_file_init (&f->output);
  fault_file_configure (&f->output, PIECE, &f->config);
  f->config.bounds.sync_interval_us = 5 * 1000;
  f->config.listener.notify = count_notified;
  f->config.listener.data = f;
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  fault_file_clear (&f->output);
}

/* What can be asked of a file on any thread, any time */
static gpointer
ask (gpointer data)
{
  Fixture *f = data;
  WbBounds bounds = f->config.bounds;
  guint64 written = 0, furthest = 0;
  guint round;

  for (round = 0; !g_atomic_int_get (&f->over); round++) {
    WbReserveReport report;
    WbStats stats;
    WbStall stall;

    wb_file_get_stats (f->file, &stats);
    g_assert_cmpuint (stats.bytes_written, >=, written);
    g_assert_cmpuint (stats.high_water, >=, furthest);
    g_assert_cmpuint (stats.durable_bytes, <=, stats.high_water);
    written = stats.bytes_written;
    furthest = stats.high_water;
    g_assert_cmpuint (wb_file_get_position (f->file), <=, SIZE);
    g_assert_false (wb_file_get_error (f->file, NULL));
    wb_file_get_stall (f->file, &stall);
    wb_file_take_events (f->file);
    wb_file_get_reserve_report (f->file, &report);
    bounds.max_dirty_bytes = (2 + round % 4) * MIB;
    wb_file_set_bounds (f->file, &bounds);
    if (round % 8 == 0) {
      wb_file_interrupt (f->file, TRUE);
      wb_file_interrupt (f->file, FALSE);
    }
    g_usleep (500);
  }
  return NULL;
}

static void
push (Fixture *f, gsize size, guint8 value)
{
  guint8 piece[PIECE];
  WbStall stall;
  WbStatus status;

  memset (piece, value, size);
  do
    status = wb_file_begin (f->file, size, &stall);
  while (status == WB_INTERRUPTED);
  g_assert_cmpint (status, ==, WB_OK);
  wb_file_copy (f->file, piece, size);
  wb_file_end_buffer (f->file);
  wb_file_end (f->file);
}

/* Each MiB, its first bytes are patched once it is all there. */
static void
stream (Fixture *f)
{
  guint64 offset, from, furthest;

  for (offset = 0; offset < SIZE; offset += PIECE) {
    push (f, PIECE, 1);
    if ((offset + PIECE) % MIB != 0)
      continue;
    g_assert_true (
        wb_file_seek (f->file, offset + PIECE - MIB, &from, &furthest));
    push (f, 8, 2);
    g_assert_true (wb_file_seek (f->file, offset + PIECE, &from, &furthest));
    wb_file_set_expected (f->file, WB_SIZE_SEGMENT, SIZE);
  }
}

static WbSyncResult
finish (Fixture *f)
{
  guint64 token = wb_file_request_sync (f->file, WB_SYNC_FULL, TRUE);
  WbSyncResult result;
  WbStall stall;
  WbStatus status;

  do
    status =
        wb_file_wait_sync (f->file, token, WB_WAIT_STREAM, &result, &stall);
  while (status == WB_INTERRUPTED);
  g_assert_cmpint (status, ==, WB_OK);
  return result;
}

static void
check_content (Fixture *f)
{
  g_autofree gchar *data = NULL;
  gsize size, i;

  g_assert_true (g_file_get_contents (f->output.path, &data, &size, NULL));
  g_assert_cmpuint (size, ==, SIZE);
  for (i = 0; i < size; i++)
    g_assert_cmpint (data[i], ==, i % MIB < 8 ? 2 : 1);
}

static void
test_all_at_once (Fixture *f, gconstpointer data)
{
  GThread *askers[ASKERS];
  WbError error;
  WbStats stats;
  WbStall stall;
  guint i;

  f->file = wb_file_open (&f->config, &error, &stall);
  g_assert_nonnull (f->file);
  for (i = 0; i < ASKERS; i++)
    askers[i] = g_thread_new ("asks", ask, f);
  stream (f);
  g_assert_cmpint (finish (f), ==, WB_RESULT_DURABLE);
  g_atomic_int_set (&f->over, 1);
  for (i = 0; i < ASKERS; i++)
    g_thread_join (askers[i]);
  g_assert_cmpint (wb_file_close (f->file, &stats, &stall), ==, WB_OK);
  g_assert_cmpuint (stats.bytes_written, ==, SIZE + SIZE / MIB * 8);
  g_assert_cmpint (fault_open_descriptors (), ==, 0);
  check_content (f);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/file/threads/all-at-once", Fixture, NULL, set_up,
      test_all_at_once, tear_down);
  return g_test_run ();
}
