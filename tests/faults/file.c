/* One output file whose system calls fail, shorten or hang: an error that lost
 * data is always heard, a refused hint changes nothing, a hang is bounded, and
 * what is left behind does no harm and leaves nothing.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"
#include "faultsys.h"
#include "process/wbdevice.h"
#include "file/wbfile.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define MIB (G_GUINT64_CONSTANT (1) << 20)
#define PIECE (64 * 1024)
#define TOTAL (6 * MIB)
#define PATCH_EVERY (MIB / 2)
/* Where a timeout is what is tested. */
#define TIMEOUT_US (300 * 1000)

typedef struct
{
  FaultFile output;
  guint8 *expected;
  guint held, released;
} Fixture;

/* How a run of the whole went. */
typedef struct
{
  WbStatus open, push, sync, close;
  WbSyncResult result;
  WbError error;
  WbStats stats;
  WbStall stall;
} Outcome;

static void
set_up (Fixture *f, gconstpointer data)
{
  fault_file_init (&f->output);
  f->expected = g_malloc0 (TOTAL);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  fault_file_clear (&f->output);
  g_free (f->expected);
}

static void
count_release (gpointer data)
{
  Fixture *f = data;

  g_atomic_int_inc ((gint *) &f->released);
}

static void
configure (Fixture *f, WbFileConfig *config)
{
  fault_file_configure (&f->output, PIECE, config);
  /* Too much, so that there is something to give back. */
  config->preallocate = WB_PREALLOCATE_AUTO;
  config->size_hint = 2 * TOTAL;
  config->bounds.max_dirty_bytes = 2 * MIB;
  config->bounds.writeback_timeout_us = 10 * G_USEC_PER_SEC;
}

static WbStatus
push_piece (Fixture *f, WbFile *file, guint64 at, gsize size, WbStall *stall)
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

static WbFile *
open_with_piece (Fixture *f, const WbFileConfig *config)
{
  WbError error;
  WbStall stall;
  WbFile *file = wb_file_open (config, &error, &stall);

  g_assert_cmpint (push_piece (f, file, 0, PIECE, &stall), ==, WB_OK);
  return file;
}

/* Pieces, and a patch of 8 bytes behind every few of them. */
static WbStatus
push_all (Fixture *f, WbFile *file, WbStall *stall)
{
  WbStatus status = WB_OK;
  guint64 from, furthest;

  for (guint64 at = 0; at < TOTAL && status == WB_OK; at += PIECE) {
    memset (f->expected + at, (int) (at / PIECE + 1), PIECE);
    status = push_piece (f, file, at, PIECE, stall);
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
expect_patches (Fixture *f)
{
  for (guint64 at = PATCH_EVERY; at <= TOTAL; at += PATCH_EVERY)
    memcpy (f->expected + at - PATCH_EVERY + 16, "patched!", 8);
}

static Outcome
run (Fixture *f, const WbFileConfig *config)
{
  Outcome o = { 0 };
  WbFile *file;
  gint64 start = g_get_monotonic_time ();

  f->held = f->released = 0;
  file = wb_file_open (config, &o.error, &o.stall);
  if (file == NULL) {
    o.open = o.stall.call != NULL ? WB_TIMEOUT : WB_FAILED;
    return o;
  }
  o.push = push_all (f, file, &o.stall);
  if (o.push != WB_TIMEOUT)
    o.sync = wb_file_wait_sync (file,
        wb_file_request_sync (file, WB_SYNC_FULL, TRUE), &o.result, &o.stall);
  o.close = wb_file_close (file, &o.stats, &o.stall);
  o.error = o.stats.error;
  g_assert_cmpint (g_get_monotonic_time () - start, <, FAULT_PATIENCE_US);
  return o;
}

static void
assert_content (Fixture *f)
{
  g_autofree gchar *content = NULL;
  gsize length;

  expect_patches (f);
  g_assert_true (g_file_get_contents (f->output.path, &content, &length, NULL));
  g_assert_cmpuint (length, ==, TOTAL);
  g_assert_cmpint (memcmp (content, f->expected, TOTAL), ==, 0);
}

/* Threads that were left behind have gone, and took everything with them. */
static void
assert_nothing_left (Fixture *f)
{
  gint64 deadline = g_get_monotonic_time () + FAULT_PATIENCE_US;

  while (fault_open_descriptors () > 0 || fault_count_threads () > 0
      || g_atomic_int_get ((gint *) &f->released) < (gint) f->held) {
    g_assert_cmpint (g_get_monotonic_time (), <, deadline);
    g_usleep (1000);
  }
  g_assert_cmpuint (g_atomic_int_get ((gint *) &f->released), ==, f->held);
}

static gboolean
is_hint (FaultCall call)
{
  return call == FAULT_DROP || call == FAULT_RESERVE || call == FAULT_PUNCH
      || call == FAULT_FREE_SPACE || call == FAULT_BLOCKS_BEYOND;
}

static void
test_clean_run (Fixture *f, gconstpointer data)
{
  WbFileConfig config;
  Outcome o;

  configure (f, &config);
  o = run (f, &config);
  g_assert_cmpint (o.open, ==, WB_OK);
  g_assert_cmpint (o.push, ==, WB_OK);
  g_assert_cmpint (o.result, ==, WB_RESULT_DURABLE);
  g_assert_cmpint (o.close, ==, WB_OK);
  g_assert_cmpuint (o.stats.dirty_bytes, ==, 0);
  g_assert_cmpuint (o.stats.durable_bytes, ==, TOTAL);
  g_assert_cmpuint (o.stats.back_patches, ==, TOTAL / PATCH_EVERY);
  assert_content (f);
  assert_nothing_left (f);
}

/* Every call in turn fails once; from the first to the last of its kind. */
static void
test_every_error_is_heard (Fixture *f, gconstpointer data)
{
  static const int codes[] = { EIO, ENOSPC, EDQUOT, EFBIG, EROFS, EACCES };
  guint cases = 0;

  for (int call = 0; call < FAULT_CALLS; call++) {
    for (guint c = 0; c < G_N_ELEMENTS (codes); c++) {
      for (guint nth = 1;; nth++) {
        WbFileConfig config;
        Outcome o;

        fault_reset ();
        fault_fail (call, nth, 1, codes[c]);
        configure (f, &config);
        o = run (f, &config);
        if (!fault_was_hit ())
          break;
        cases++;
        g_test_message (
            "%s number %u: %s", fault_name (call), nth, g_strerror (codes[c]));
        if (is_hint (call)
            || (call == FAULT_SYNC_DIRECTORY
                && (codes[c] == EACCES || codes[c] == EROFS))) {
          g_assert_cmpint (o.error.kind, ==, WB_ERROR_NONE);
          assert_content (f);
        } else {
          g_assert_true (o.open == WB_FAILED || o.result == WB_RESULT_FAILED
              || o.close == WB_FAILED);
          g_assert_cmpint (o.error.code, ==, codes[c]);
          g_assert_cmpint (o.error.kind, !=, WB_ERROR_NONE);
          if ((codes[c] == ENOSPC || codes[c] == EDQUOT) && o.open == WB_OK)
            g_assert_cmpint (o.error.kind, ==, WB_ERROR_NO_SPACE);
        }
        assert_nothing_left (f);
      }
    }
  }
  g_test_message ("%u cases", cases);
  g_assert_cmpuint (cases, >, WB_PLATFORM_LINUX ? 100 : 30);
}

/* Write-out is refused if it has never worked, and after it was asked again at
 * once; a drop loses nothing whenever it is. */
static void
test_refused_hints_change_nothing (Fixture *f, gconstpointer data)
{
  static const FaultCall hints[] = { FAULT_START, FAULT_WAIT, FAULT_DROP };
  static const guint firsts[] = { 1, 1, 2 };
  static const int codes[] = { ENOSYS, EINVAL, ESPIPE, EOPNOTSUPP };

  for (guint h = 0; h < G_N_ELEMENTS (hints); h++) {
    for (guint c = 0; c < G_N_ELEMENTS (codes); c++) {
      WbFileConfig config;
      Outcome o;

      fault_reset ();
      fault_fail (hints[h], firsts[h], G_MAXUINT, codes[c]);
      configure (f, &config);
      o = run (f, &config);
      g_assert_cmpint (o.result, ==, WB_RESULT_DURABLE);
      g_assert_cmpint (o.error.kind, ==, WB_ERROR_NONE);
      /* Found out, and not asked any more. */
      g_assert_cmpuint (fault_count (hints[h]), <=, 2);
      assert_content (f);
    }
  }
}

static void
test_short_and_interrupted_writes (Fixture *f, gconstpointer data)
{
  WbFileConfig config;
  Outcome o;

  fault_shorten_writes (1000);
  fault_interrupt_writes (TRUE);
  configure (f, &config);
  o = run (f, &config);
  g_assert_cmpint (o.result, ==, WB_RESULT_DURABLE);
  assert_content (f);
}

/* Not those that hand out what became of earlier writes: see refusals.c. */
static void
test_interrupted_calls_go_on (Fixture *f, gconstpointer data)
{
  static const FaultCall calls[] = { FAULT_OPEN, FAULT_WRITE, FAULT_RESERVE };

  for (guint i = 0; i < G_N_ELEMENTS (calls); i++) {
    WbFileConfig config;
    Outcome o;

    fault_reset ();
    fault_fail (calls[i], 1, 3, EINTR);
    configure (f, &config);
    o = run (f, &config);
    g_assert_true (o.open == WB_OK);
    g_assert_cmpint (o.result, ==, WB_RESULT_DURABLE);
    assert_content (f);
  }
}

static void
test_transient_eacces (Fixture *f, gconstpointer data)
{
  WbFileConfig config;
  Outcome o;

  fault_fail (FAULT_WRITE, 3, 4, EACCES);
  configure (f, &config);
  config.transient_timeout_us = 10 * G_USEC_PER_SEC;
  o = run (f, &config);
  g_assert_cmpint (o.result, ==, WB_RESULT_DURABLE);
  assert_content (f);

  fault_reset ();
  fault_fail (FAULT_WRITE, 3, G_MAXUINT, EACCES);
  config.transient_timeout_us = 50 * 1000;
  o = run (f, &config);
  g_assert_cmpint (o.result, ==, WB_RESULT_FAILED);
  g_assert_cmpint (o.error.code, ==, EACCES);
}

/* What came before a refused seek is written all the same; if that fails, it is
 * known, and not tried for ever. */
static void
test_write_fails_after_refused_seek (Fixture *f, gconstpointer data)
{
  WbFileConfig config;
  guint64 from, furthest;
  WbStall stall;
  WbStats stats;
  WbFile *file;

  fault_hang (FAULT_WRITE, 1);
  fault_fail (FAULT_WRITE, 1, G_MAXUINT, EFBIG);
  configure (f, &config);
  file = open_with_piece (f, &config);
  g_assert_true (fault_wait_hanging ());
  g_assert_false (wb_file_seek (file, G_MAXUINT64, &from, &furthest));
  fault_release ();
  g_assert_cmpint (
      fault_file_sync (file, WB_SYNC_FULL, TRUE), ==, WB_RESULT_FAILED);
  g_assert_cmpint (wb_file_close (file, &stats, &stall), ==, WB_FAILED);
  g_assert_cmpint (stats.error.kind, ==, WB_ERROR_WRITE);
  g_assert_cmpuint (fault_count (FAULT_WRITE), ==, 1);
}

static void
test_failed_fsync_is_final (Fixture *f, gconstpointer data)
{
  WbSyncResult result;
  WbFileConfig config;
  WbError error;
  WbStall stall;
  WbStats stats;
  WbFile *file;

  fault_fail (FAULT_SYNC, 1, 1, EIO);
  configure (f, &config);
  file = wb_file_open (&config, &error, &stall);
  push_piece (f, file, 0, PIECE, &stall);
  for (int i = 0; i < 3; i++) {
    guint64 token = wb_file_request_sync (file, WB_SYNC_FULL, TRUE);

    g_assert_cmpint (
        wb_file_wait_sync (file, token, &result, &stall), ==, WB_OK);
    g_assert_cmpint (result, ==, WB_RESULT_FAILED);
  }
  g_assert_cmpint (push_piece (f, file, PIECE, PIECE, &stall), ==, WB_FAILED);
  g_assert_cmpuint (fault_count (FAULT_SYNC), ==, 1);
  g_assert_cmpint (wb_file_close (file, &stats, &stall), ==, WB_FAILED);
}

/* Each call hangs for ever: the caller is answered within the bound, is told
 * which call it is, and once the kernel lets go nothing is left. */
static void
test_every_hang_is_bounded (Fixture *f, gconstpointer data)
{
  static const guint nths[] = { 1, 2, 5 };

  for (int call = 0; call < FAULT_CALLS; call++) {
    for (guint n = 0; n < G_N_ELEMENTS (nths); n++) {
      WbFileConfig config;
      gint64 start;
      guint writes;
      Outcome o;

      if (call == FAULT_SYNC_DATA)
        continue;
      fault_reset ();
      fault_hang (call, nths[n]);
      configure (f, &config);
      config.bounds.sync_timeout_us = TIMEOUT_US;
      start = g_get_monotonic_time ();
      o = run (f, &config);
      if (!fault_was_hit ())
        continue;
      g_test_message ("%s number %u hung: answered after %.2f s",
          fault_name (call), nths[n], (g_get_monotonic_time () - start) / 1e6);
      g_assert_true (o.open == WB_TIMEOUT || o.push == WB_TIMEOUT
          || o.sync == WB_TIMEOUT || o.close == WB_TIMEOUT);
      g_assert_nonnull (o.stall.call);
      g_assert_cmpint (g_get_monotonic_time () - start, <, FAULT_PATIENCE_US);

      writes = fault_count (FAULT_WRITE);
      fault_release ();
      assert_nothing_left (f);
      /* The thread came back, closed, and wrote nothing more. */
      g_assert_cmpuint (fault_count (FAULT_WRITE), ==, writes);
    }
  }
}

static void
test_short_hangs_lose_nothing (Fixture *f, gconstpointer data)
{
  for (int call = 0; call < FAULT_CALLS; call++) {
    WbFileConfig config;
    Outcome o;

    fault_reset ();
    fault_delay (call, 1, 100 * 1000);
    configure (f, &config);
    o = run (f, &config);
    g_assert_cmpint (o.open, ==, WB_OK);
    g_assert_cmpint (o.result, ==, WB_RESULT_DURABLE);
    g_assert_cmpint (o.close, ==, WB_OK);
    assert_content (f);
    assert_nothing_left (f);
  }
}

static gint stat_released, stats_asked;

/* On storage that hangs this does as well. */
static int
hanging_stat (const char *path, struct stat *status)
{
  g_atomic_int_inc (&stats_asked);
  while (!g_atomic_int_get (&stat_released))
    g_usleep (1000);
  return wb_sys_default ()->stat (path, status);
}

static void
test_busy_while_left_behind (Fixture *f, gconstpointer data)
{
  g_autofree gchar *link = g_build_filename (f->output.directory, "link", NULL);
  WbSys no_answer = *fault_sys ();
  WbFileConfig config;
  WbError error;
  WbStall stall;
  Outcome o;

  fault_hang (FAULT_SYNC, 1);
  configure (f, &config);
  config.bounds.sync_timeout_us = TIMEOUT_US;
  o = run (f, &config);
  g_assert_cmpint (o.sync, ==, WB_TIMEOUT);

  /* The same name, which the storage says nothing of; once more, which is not
   * asked again; and when it does, another name of the same file. */
  no_answer.stat = hanging_stat;
  config.sys = &no_answer;
  config.bounds.sync_timeout_us = FAULT_PATIENCE_US;
  for (guint i = 0; i < 2; i++) {
    g_assert_null (wb_file_open (&config, &error, &stall));
    g_assert_cmpint (error.kind, ==, WB_ERROR_BUSY);
    g_assert_cmpint (g_atomic_int_get (&stats_asked), ==, 1);
  }
  g_atomic_int_set (&stat_released, TRUE);
  config.sys = fault_sys ();
  g_assert_cmpint (symlink (f->output.path, link), ==, 0);
  config.location = link;
  g_assert_null (wb_file_open (&config, &error, &stall));
  g_assert_cmpint (error.kind, ==, WB_ERROR_BUSY);
  g_unlink (link);
  /* It was not truncated on the way. */
  assert_content (f);

  fault_release ();
  assert_nothing_left (f);
  fault_reset ();
  config.location = f->output.path;
  config.bounds.sync_timeout_us = FAULT_PATIENCE_US;
  o = run (f, &config);
  g_assert_cmpint (o.result, ==, WB_RESULT_DURABLE);
  assert_content (f);
}

/* While a write hangs the queue takes buffers up to its bound; the wait that
 * follows can be interrupted; and when the storage is back, all is there. */
static void
test_hanging_write_and_back (Fixture *f, gconstpointer data)
{
  WbFileConfig config;
  guint64 at = 0;
  WbError error;
  WbStall stall;
  WbStats stats;
  WbFile *file;

  for (guint64 i = 0; i < TOTAL; i += PIECE)
    memset (f->expected + i, (int) (i / PIECE + 1), PIECE);
  fault_hang (FAULT_WRITE, 1);
  configure (f, &config);
  config.bounds.sync_timeout_us = TIMEOUT_US;
  file = wb_file_open (&config, &error, &stall);
  for (; push_piece (f, file, at, PIECE, &stall) == WB_OK; at += PIECE)
    ;
  g_assert_cmpuint (at, ==, config.bounds.max_queued_bytes);
  g_assert_cmpstr (stall.call, ==, "write");
  wb_file_interrupt (file, TRUE);
  g_assert_cmpint (push_piece (f, file, at, PIECE, &stall), ==, WB_INTERRUPTED);
  wb_file_interrupt (file, FALSE);

  fault_release ();
  config.bounds.sync_timeout_us = FAULT_PATIENCE_US;
  wb_file_set_bounds (file, &config.bounds);
  for (; at < TOTAL; at += PIECE)
    g_assert_cmpint (push_piece (f, file, at, PIECE, &stall), ==, WB_OK);
  g_assert_cmpint (
      fault_file_sync (file, WB_SYNC_FULL, TRUE), ==, WB_RESULT_DURABLE);
  wb_file_close (file, &stats, &stall);
  {
    g_autofree gchar *content = NULL;
    gsize length;

    g_assert_true (
        g_file_get_contents (f->output.path, &content, &length, NULL));
    g_assert_cmpuint (length, ==, TOTAL);
    g_assert_cmpint (memcmp (content, f->expected, TOTAL), ==, 0);
  }
}

/* A retire that hangs: the window is given up after the write-back timeout,
 * said, and taken up again when the disk is back. */
static void
test_degraded_and_back (Fixture *f, gconstpointer data)
{
  gboolean was_degraded = FALSE;
  WbFileConfig config;
  WbEvents events;
  WbError error;
  WbStall stall;
  WbStats stats;
  WbFile *file;

  if (!WB_PLATFORM_LINUX) {
    g_test_skip ("write-out is not controlled on this platform");
    return;
  }
  fault_hang (FAULT_WAIT, 1);
  configure (f, &config);
  config.bounds.writeback_timeout_us = 200 * 1000;
  file = wb_file_open (&config, &error, &stall);
  g_assert_cmpint (push_all (f, file, &stall), ==, WB_OK);
  wb_file_get_stats (file, &stats);
  was_degraded = stats.degraded;
  events = wb_file_take_events (file);
  g_assert_true (was_degraded);
  g_assert_true ((events & WB_EVENT_DEGRADED) != 0);
  g_assert_cmpuint (stats.peak_dirty_bytes, >, 3 * MIB);

  fault_release ();
  g_assert_cmpint (
      fault_file_sync (file, WB_SYNC_FULL, TRUE), ==, WB_RESULT_DURABLE);
  wb_file_get_stats (file, &stats);
  g_assert_false (stats.degraded);
  g_assert_true ((wb_file_take_events (file) & WB_EVENT_DEGRADED) != 0);
  wb_file_close (file, &stats, &stall);
  assert_content (f);
}

/* The writer empties the queue again and again while a push that waits for room
 * has been woken and has not come back yet. */
static void
test_small_queue_at_full_speed (Fixture *f, gconstpointer data)
{
  WbFileConfig config;
  WbStats stats;
  WbError error;
  WbStall stall;
  WbFile *file;

  configure (f, &config);
  config.preallocate = WB_PREALLOCATE_NONE;
  config.bounds.max_queued_bytes = 2 * PIECE;
  file = wb_file_open (&config, &error, &stall);
  g_assert_nonnull (file);
  for (guint i = 0; i < 4000; i++)
    g_assert_cmpint (push_piece (f, file, 0, PIECE, &stall), ==, WB_OK);
  fault_file_sync (file, WB_SYNC_NONE, TRUE);
  g_assert_cmpint (wb_file_close (file, &stats, &stall), ==, WB_OK);
  g_assert_cmpuint (stats.bytes_written, ==, 4000 * PIECE);
  g_assert_cmpuint (stats.peak_queued_bytes, <=, 2 * PIECE);
}

static gssize
write_slowly (int fd, const struct iovec *vectors, int n, gint64 offset)
{
  g_usleep (20 * 1000);
  return fault_sys ()->write (fd, vectors, n, offset);
}

/* While the stream goes on, a write takes a batch of it: here all that came
 * while the first one hung. What is left over when it pauses is written as well,
 * without anybody asking. Slow writes take one batch under every platform. */
static void
test_batches_while_the_stream_goes_on (Fixture *f, gconstpointer data)
{
  WbSys sys = *fault_sys ();
  WbFileConfig config;
  WbStats stats;
  WbError error;
  WbStall stall;
  WbFile *file;
  guint writes;

  configure (f, &config);
  config.preallocate = WB_PREALLOCATE_NONE;
  config.bounds.max_queued_bytes = 8 * MIB;
  sys.write = write_slowly;
  config.sys = &sys;
  fault_hang (FAULT_WRITE, 1);
  file = wb_file_open (&config, &error, &stall);
  g_assert_nonnull (file);
  g_assert_cmpint (push_piece (f, file, 0, PIECE, &stall), ==, WB_OK);
  g_assert_true (fault_wait_hanging ());
  for (guint i = 1; i < 3 * MIB / PIECE + 1; i++)
    g_assert_cmpint (push_piece (f, file, 0, PIECE, &stall), ==, WB_OK);
  fault_release ();
  do {
    g_usleep (1000);
    wb_file_get_stats (file, &stats);
  } while (stats.bytes_written < 3 * MIB + PIECE);
  /* The first piece, the rest of its MiB, two MiB, and what is left. */
  writes = fault_count (FAULT_WRITE);
  g_assert_cmpuint (writes, ==, 5);
  g_assert_cmpint (wb_file_close (file, &stats, &stall), ==, WB_OK);
  g_assert_cmpuint (fault_count (FAULT_WRITE), ==, writes);
}

typedef gssize (*WriteCall) (
    int fd, const struct iovec *vectors, int n, gint64 offset);

static guint longest_write; /* atomic */

/* As fast as a target can be: nothing is written. */
static gssize
note_write (int fd, const struct iovec *vectors, int n, gint64 offset)
{
  guint size = 0;

  for (int i = 0; i < n; i++)
    size += (guint) vectors[i].iov_len;
  g_assert_cmpuint ((guint64) offset % (4 * MIB) + size, <=, 4 * MIB);
  if (size > (guint) g_atomic_int_get (&longest_write))
    g_atomic_int_set (&longest_write, size);
  return size;
}

static gssize
note_slow_write (int fd, const struct iovec *vectors, int n, gint64 offset)
{
  g_usleep (20 * 1000);
  return note_write (fd, vectors, n, offset);
}

/* Where no write-out is controlled a write takes up to four batches, but not
 * more than a quarter of the queue, nor of a target that is slow. */
static void
check_longest_write (Fixture *f, WriteCall call, guint64 queue, guint expected)
{
  gint64 deadline = g_get_monotonic_time () + FAULT_PATIENCE_US;
  WbSys sys = *fault_sys ();
  WbFileConfig config;
  WbStats stats;
  WbError error;
  WbStall stall;
  WbFile *file;

  configure (f, &config);
  config.preallocate = WB_PREALLOCATE_NONE;
  config.writeback = WB_WRITEBACK_NONE;
  config.bounds.max_queued_bytes = queue;
  sys.write = call;
  config.sys = &sys;
  g_atomic_int_set (&longest_write, 0);
  file = wb_file_open (&config, &error, &stall);
  g_assert_nonnull (file);
  do
    g_assert_cmpint (push_piece (f, file, 0, PIECE, &stall), ==, WB_OK);
  while ((guint) g_atomic_int_get (&longest_write) < expected
      && g_get_monotonic_time () < deadline);
  for (guint i = 0; i < 32 * MIB / PIECE; i++)
    g_assert_cmpint (push_piece (f, file, 0, PIECE, &stall), ==, WB_OK);
  g_assert_cmpint (wb_file_close (file, &stats, &stall), ==, WB_OK);
  g_assert_cmpuint ((guint) g_atomic_int_get (&longest_write), ==, expected);
}

static void
test_writes_nobody_waits_for (Fixture *f, gconstpointer data)
{
  check_longest_write (f, note_write, 64 * MIB, 4 * MIB);
  check_longest_write (f, note_write, 8 * MIB, 2 * MIB);
  check_longest_write (f, note_slow_write, 64 * MIB, MIB);
}

static void
test_peak_dirty_stays_in_the_window (Fixture *f, gconstpointer data)
{
  WbFileConfig config;
  Outcome o;

  if (!WB_PLATFORM_LINUX) {
    g_test_skip ("write-out is not controlled on this platform");
    return;
  }
  configure (f, &config);
  for (int i = 0; i < 10; i++) {
    fault_reset ();
    fault_delay (FAULT_WAIT, (guint) i + 1, 50 * 1000);
    o = run (f, &config);
    g_assert_cmpuint (
        o.stats.peak_dirty_bytes, <=, config.bounds.max_dirty_bytes + MIB);
    g_assert_cmpuint (
        o.stats.peak_queued_bytes, <=, config.bounds.max_queued_bytes);
  }
}

/* The defaults, and a disk that takes everything at once. */
static void
configure_fast (Fixture *f, WbFileConfig *config)
{
  configure (f, config);
  config->preallocate = WB_PREALLOCATE_NONE;
  config->bounds.chunk_size = 32 * MIB;
  config->bounds.max_dirty_bytes = 64 * MIB;
  config->bounds.max_queued_bytes = 96 * MIB;
  fault_ideal_disk (TRUE);
}

/* Pushes, with a MiB queued at most, until a call hangs and for a tenth of a
 * second nothing has left the queue: what may be dirty is. Returns the bytes. */
static guint64
push_until_full (Fixture *f, WbFile *file, WbStats *stats)
{
  guint64 pushed = 0;
  gint64 pushed_us = 0;
  WbStall stall;

  do {
    wb_file_get_stats (file, stats);
    if (stats->queued_bytes >= MIB) {
      g_usleep (100);
      continue;
    }
    g_assert_cmpint (push_piece (f, file, 0, PIECE, &stall), ==, WB_OK);
    pushed += PIECE;
    pushed_us = g_get_monotonic_time ();
  } while (fault_hanging_since () == 0
      || g_get_monotonic_time () - pushed_us < 100 * 1000);
  wb_file_get_stats (file, stats);
  return pushed;
}

/* A file on a fast disk until this wait hangs, with what the window is full of
 * then in `full`, and on to its end. */
static void
write_fast (Fixture *f, const WbSys *sys, guint nth_wait, WbStats *full)
{
  guint64 pushed;
  WbFileConfig config;
  WbStats stats;
  WbError error;
  WbStall stall;
  WbFile *file;

  configure_fast (f, &config);
  config.sys = sys;
  fault_hang (FAULT_WAIT, nth_wait);
  file = wb_file_open (&config, &error, &stall);
  g_assert_nonnull (file);
  pushed = push_until_full (f, file, full);
  fault_release ();
  g_assert_cmpint (
      fault_file_sync (file, WB_SYNC_FULL, TRUE), ==, WB_RESULT_DURABLE);
  g_assert_cmpint (wb_file_close (file, &stats, &stall), ==, WB_OK);
  g_assert_cmpuint (stats.bytes_written, ==, pushed);
}

/* By the time that a wait hangs a quarter of the window does, and chunks are one
 * batch. */
static void
test_fast_disk (Fixture *f, gconstpointer data)
{
  WbStats full;

  if (!WB_PLATFORM_LINUX) {
    g_test_skip ("write-out is not controlled on this platform");
    return;
  }
  write_fast (f, fault_sys (), 200, &full);
  g_assert_cmpuint (full.dirty_bytes, >, 14 * MIB);
  g_assert_cmpuint (full.dirty_bytes, <=, 16 * MIB);
  g_assert_cmpuint (full.chunks_started, >, 150);
}

static WbDevice *busy_disk;

static int
wait_while_others_drain (int fd, gint64 offset, gint64 length)
{
  wb_device_count_drained (busy_disk, 63 * (guint64) length);
  return fault_sys ()->writeout_wait (fd, offset, length);
}

/* The same beside fifteen others that drain sixty-three times as much: of the
 * 16 MiB that all have, this one has a sixteenth, in two batches of half the size. */
static void
test_many_on_a_fast_disk (Fixture *f, gconstpointer data)
{
  WbSys sys = *fault_sys ();
  struct stat status;
  WbStats full;

  if (!WB_PLATFORM_LINUX) {
    g_test_skip ("write-out is not controlled on this platform");
    return;
  }
  g_assert_cmpint (stat (f->output.directory, &status), ==, 0);
  busy_disk = wb_device_get (status.st_dev);
  for (int i = 0; i < 15; i++)
    wb_device_enter (busy_disk);
  sys.writeout_wait = wait_while_others_drain;
  write_fast (f, &sys, 400, &full);
  g_assert_cmpuint (full.dirty_bytes, >=, MIB / 2);
  g_assert_cmpuint (full.dirty_bytes, <=, 2 * MIB);
  g_assert_cmpuint (full.chunks_started, >, full.bytes_written / MIB / 2 * 3);
  for (int i = 0; i < 15; i++)
    wb_device_leave (busy_disk);
  wb_device_put (busy_disk);
}

/* Without any sync: what was handed over is written before the file closes,
 * also when it has to wait for the window. */
static void
test_close_writes_what_is_queued (Fixture *f, gconstpointer data)
{
  WbFileConfig config;
  WbError error;
  WbStall stall;
  WbStats stats;
  WbFile *file;

  fault_delay (FAULT_WAIT, 2, 200 * 1000);
  configure (f, &config);
  config.bounds.max_queued_bytes = 2 * TOTAL;
  file = wb_file_open (&config, &error, &stall);
  g_assert_cmpint (push_all (f, file, &stall), ==, WB_OK);
  g_assert_cmpint (wb_file_close (file, &stats, &stall), ==, WB_OK);
  g_assert_cmpuint (stats.high_water, ==, TOTAL);
  assert_content (f);
  assert_nothing_left (f);
}

static void
test_flush_truncates_and_goes_on (Fixture *f, gconstpointer data)
{
  WbFileConfig config;
  WbError error;
  WbStall stall;
  WbStats stats;
  WbFile *file;

  configure (f, &config);
  file = wb_file_open (&config, &error, &stall);
  g_assert_cmpint (push_all (f, file, &stall), ==, WB_OK);
  wb_file_flush (file);
  g_assert_cmpuint (wb_file_get_position (file), ==, 0);
  g_assert_cmpint (push_all (f, file, &stall), ==, WB_OK);
  g_assert_cmpint (
      fault_file_sync (file, WB_SYNC_FULL, TRUE), ==, WB_RESULT_DURABLE);
  wb_file_close (file, &stats, &stall);
  g_assert_cmpuint (stats.final_size, ==, TOTAL);
  assert_content (f);
  assert_nothing_left (f);
}

/* A sync that was under way when the stream was flushed says nothing of what is
 * there now: it does not stand for the one at the end. */
static void
test_flush_discards_the_sync (Fixture *f, gconstpointer data)
{
  WbSyncResult result;
  WbFileConfig config;
  guint64 token;
  WbStall stall;
  WbStats stats;
  WbFile *file;

  fault_hang (FAULT_SYNC, 1);
  configure (f, &config);
  file = open_with_piece (f, &config);
  token = wb_file_request_sync (file, WB_SYNC_FULL, TRUE);
  g_assert_true (fault_wait_hanging ());
  wb_file_interrupt (file, TRUE);
  g_assert_cmpint (
      wb_file_wait_sync (file, token, &result, &stall), ==, WB_INTERRUPTED);
  wb_file_interrupt (file, FALSE);
  wb_file_note_result (file, WB_RESULT_CANCELLED, 0);
  wb_file_flush (file);
  fault_release ();
  do {
    g_usleep (1000);
    wb_file_get_stats (file, &stats);
  } while (stats.high_water > 0);
  g_assert_true (wb_file_needs_sync (file, &token));
  g_assert_cmpuint (token, ==, 0);
  g_assert_cmpint (wb_file_close (file, &stats, &stall), ==, WB_OK);
}

/* A sync that came back after it had been given up is heard at the end. */
static void
test_late_sync_is_heard (Fixture *f, gconstpointer data)
{
  guint64 token, late = 0;
  WbSyncResult result;
  WbFileConfig config;
  WbStall stall;
  WbStats stats;
  WbFile *file;

  fault_hang (FAULT_SYNC, 1);
  configure (f, &config);
  config.bounds.sync_timeout_us = TIMEOUT_US;
  file = open_with_piece (f, &config);
  token = wb_file_request_sync (file, WB_SYNC_FULL, TRUE);
  g_assert_cmpint (
      wb_file_wait_sync (file, token, &result, &stall), ==, WB_TIMEOUT);
  wb_file_note_result (file, WB_RESULT_TIMEOUT, 0);
  fault_release ();
  do {
    g_usleep (1000);
    wb_file_get_stats (file, &stats);
  } while (stats.durable_bytes == 0 || fault_count (FAULT_SYNC_DIRECTORY) == 0);
  g_assert_true (wb_file_needs_sync (file, &late));
  g_assert_cmpuint (late, ==, token);
  g_assert_cmpint (wb_file_wait_sync (file, late, &result, &stall), ==, WB_OK);
  g_assert_cmpint (result, ==, WB_RESULT_DURABLE);
  wb_file_note_result (file, result, 0);
  g_assert_false (wb_file_needs_sync (file, &late));
  g_assert_cmpint (wb_file_close (file, &stats, &stall), ==, WB_OK);
}

/* A push that waits is told of a stall first; that is part of the time after
 * which it gives up. */
static void
test_stall_is_part_of_the_timeout (Fixture *f, gconstpointer data)
{
  WbFileConfig config;
  WbStall stall;
  WbStats stats;
  WbFile *file;
  gint64 start;

  fault_hang (FAULT_WRITE, 1);
  configure (f, &config);
  config.bounds.max_queued_bytes = PIECE;
  config.bounds.writeback_timeout_us = TIMEOUT_US * 19 / 10;
  config.bounds.sync_timeout_us = TIMEOUT_US * 2;
  file = open_with_piece (f, &config);
  g_assert_true (fault_wait_hanging ());
  g_assert_cmpint (wb_file_begin (file, PIECE, &stall), ==, WB_STALLED);
  start = g_get_monotonic_time ();
  g_assert_cmpint (wb_file_begin (file, PIECE, &stall), ==, WB_TIMEOUT);
  g_assert_cmpint (g_get_monotonic_time () - start, <, TIMEOUT_US);
  /* The next one is a whole timeout later. */
  start = g_get_monotonic_time ();
  g_assert_cmpint (wb_file_begin (file, PIECE, &stall), ==, WB_TIMEOUT);
  g_assert_cmpint (g_get_monotonic_time () - start, >=, 2 * TIMEOUT_US);
  fault_release ();
  wb_file_close (file, &stats, &stall);
}

static const char *
pretend_overlay (int fd, char buffer[32])
{
  return "overlayfs";
}

/* Where sync_file_range reaches nothing: fadvise starts, fdatasync retires, and
 * what fails there is as final as any other failed sync. */
static void
test_write_out_by_sync (Fixture *f, gconstpointer data)
{
  static const int codes[] = { EIO, ENOSPC };
  WbSys sys = *fault_sys ();
  WbFileConfig config;
  guint nth = 0;
  Outcome o;

  if (!WB_PLATFORM_LINUX) {
    g_test_skip ("no write-out control on this platform");
    return;
  }
  sys.file_system = pretend_overlay;
  configure (f, &config);
  config.sys = &sys;
  o = run (f, &config);
  g_assert_cmpint (o.result, ==, WB_RESULT_DURABLE);
  g_assert_cmpstr (o.stats.mechanism, ==, "fadvise and fdatasync on overlayfs");
  g_assert_cmpuint (fault_count (FAULT_START), ==, 0);
  g_assert_cmpuint (fault_count (FAULT_WAIT), ==, 0);
  g_assert_cmpuint (fault_count (FAULT_SYNC_DATA), >=, 3);
  g_assert_cmpuint (o.stats.peak_dirty_bytes, <=, 3 * MIB);
  g_assert_cmpuint (o.stats.dirty_bytes, ==, 0);
  assert_content (f);
  assert_nothing_left (f);

  for (guint c = 0; c < G_N_ELEMENTS (codes); c++) {
    do {
      fault_reset ();
      fault_fail (FAULT_SYNC_DATA, ++nth, 1, codes[c]);
      o = run (f, &config);
      if (!fault_was_hit ())
        break;
      g_assert_cmpint (o.result, ==, WB_RESULT_FAILED);
      g_assert_cmpint (o.error.code, ==, codes[c]);
      g_assert_cmpuint (fault_count (FAULT_SYNC), ==, 0);
      assert_nothing_left (f);
    } while (TRUE);
    g_assert_cmpuint (nth, >, 3);
    nth = 0;
  }
}

int
main (int argc, char **argv)
{
#define ADD(name, function)                                                    \
  g_test_add ("/faults/" name, Fixture, NULL, set_up, function, tear_down)
  g_test_init (&argc, &argv, NULL);
  ADD ("clean-run", test_clean_run);
  ADD ("every-error-is-heard", test_every_error_is_heard);
  ADD ("refused-hints-change-nothing", test_refused_hints_change_nothing);
  ADD ("short-and-interrupted-writes", test_short_and_interrupted_writes);
  ADD ("interrupted-calls-go-on", test_interrupted_calls_go_on);
  ADD ("transient-eacces", test_transient_eacces);
  ADD ("write-fails-after-refused-seek", test_write_fails_after_refused_seek);
  ADD ("failed-fsync-is-final", test_failed_fsync_is_final);
  ADD ("every-hang-is-bounded", test_every_hang_is_bounded);
  ADD ("short-hangs-lose-nothing", test_short_hangs_lose_nothing);
  ADD ("busy-while-left-behind", test_busy_while_left_behind);
  ADD ("hanging-write-and-back", test_hanging_write_and_back);
  ADD ("degraded-and-back", test_degraded_and_back);
  ADD ("small-queue-at-full-speed", test_small_queue_at_full_speed);
  ADD ("batches-while-the-stream-goes-on",
      test_batches_while_the_stream_goes_on);
  ADD ("writes-nobody-waits-for", test_writes_nobody_waits_for);
  ADD ("peak-dirty-stays-in-the-window", test_peak_dirty_stays_in_the_window);
  ADD ("fast-disk", test_fast_disk);
  ADD ("many-on-a-fast-disk", test_many_on_a_fast_disk);
  ADD ("close-writes-what-is-queued", test_close_writes_what_is_queued);
  ADD ("flush-truncates-and-goes-on", test_flush_truncates_and_goes_on);
  ADD ("flush-discards-the-sync", test_flush_discards_the_sync);
  ADD ("late-sync-is-heard", test_late_sync_is_heard);
  ADD ("stall-is-part-of-the-timeout", test_stall_is_part_of_the_timeout);
  ADD ("write-out-by-sync", test_write_out_by_sync);
  return g_test_run ();
}
