/* One output file whose system calls hang: each hang is bounded and told of,
 * what comes back loses nothing, and what is left behind does no harm and
 * leaves nothing.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"
#include "filerig.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Each call hangs for ever: the caller is answered within the bound, is told
 * which call it is, and once the kernel lets go nothing is left. */
static void
test_every_hang_is_bounded (FileRig *f, gconstpointer data)
{
  static const guint nths[] = { 1, 2, 5 };

  for (int call = 0; call < FAULT_CALLS; call++) {
    for (guint n = 0; n < G_N_ELEMENTS (nths); n++) {
      WbFileConfig config;
      gint64 start;
      guint writes;
      FileRigOutcome o;

      if (call == FAULT_SYNC_DATA)
        continue;
      fault_reset ();
      fault_hang (call, nths[n]);
      file_rig_configure (f, &config);
      config.bounds.sync_timeout_us = TIMEOUT_US;
      start = g_get_monotonic_time ();
      o = file_rig_run (f, &config);
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
      file_rig_assert_nothing_left (f);
      /* The thread came back, closed, and wrote nothing more. */
      g_assert_cmpuint (fault_count (FAULT_WRITE), ==, writes);
    }
  }
}

static void
test_short_hangs_lose_nothing (FileRig *f, gconstpointer data)
{
  for (int call = 0; call < FAULT_CALLS; call++) {
    WbFileConfig config;
    FileRigOutcome o;

    fault_reset ();
    fault_delay (call, 1, 100 * 1000);
    file_rig_configure (f, &config);
    o = file_rig_run (f, &config);
    g_assert_cmpint (o.open, ==, WB_OK);
    g_assert_cmpint (o.result, ==, WB_RESULT_DURABLE);
    g_assert_cmpint (o.close, ==, WB_OK);
    file_rig_assert_content (f);
    file_rig_assert_nothing_left (f);
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
test_busy_while_left_behind (FileRig *f, gconstpointer data)
{
  g_autofree gchar *link = g_build_filename (f->output.directory, "link", NULL);
  WbSys no_answer = *fault_sys ();
  WbFileConfig config;
  WbError error;
  WbStall stall;
  FileRigOutcome o;

  fault_hang (FAULT_SYNC, 1);
  file_rig_configure (f, &config);
  config.bounds.sync_timeout_us = TIMEOUT_US;
  o = file_rig_run (f, &config);
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
  file_rig_assert_content (f);

  fault_release ();
  file_rig_assert_nothing_left (f);
  fault_reset ();
  config.location = f->output.path;
  config.bounds.sync_timeout_us = FAULT_PATIENCE_US;
  o = file_rig_run (f, &config);
  g_assert_cmpint (o.result, ==, WB_RESULT_DURABLE);
  file_rig_assert_content (f);
}

/* While a write hangs the queue takes buffers up to its bound; the wait that
 * follows can be interrupted; and when the storage is back, all is there. */
static void
test_hanging_write_and_back (FileRig *f, gconstpointer data)
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
  file_rig_configure (f, &config);
  config.bounds.sync_timeout_us = TIMEOUT_US;
  file = wb_file_open (&config, &error, &stall);
  for (; file_rig_push (f, file, at, PIECE, &stall) == WB_OK; at += PIECE)
    ;
  g_assert_cmpuint (at, ==, config.bounds.max_queued_bytes);
  g_assert_cmpstr (stall.call, ==, "write");
  wb_file_interrupt (file, TRUE);
  g_assert_cmpint (
      file_rig_push (f, file, at, PIECE, &stall), ==, WB_INTERRUPTED);
  wb_file_interrupt (file, FALSE);

  fault_release ();
  config.bounds.sync_timeout_us = FAULT_PATIENCE_US;
  wb_file_set_bounds (file, &config.bounds);
  for (; at < TOTAL; at += PIECE)
    g_assert_cmpint (file_rig_push (f, file, at, PIECE, &stall), ==, WB_OK);
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
test_degraded_and_back (FileRig *f, gconstpointer data)
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
  file_rig_configure (f, &config);
  config.bounds.writeback_timeout_us = 200 * 1000;
  file = wb_file_open (&config, &error, &stall);
  g_assert_cmpint (file_rig_push_all (f, file, &stall), ==, WB_OK);
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
  file_rig_assert_content (f);
}

/* What waits for a window that does not drain is the system's before its sync is
 * given up, however long the write-back timeout is. */
static void
test_sync_lifts_the_window (FileRig *f, gconstpointer data)
{
  WbSyncResult result;
  WbFileConfig config;
  WbStats stats;
  WbStall stall;
  WbFile *file;
  guint64 at = PIECE;

  if (!WB_PLATFORM_LINUX) {
    g_test_skip ("write-out is not controlled on this platform");
    return;
  }
  fault_hang (FAULT_WAIT, 1);
  file_rig_configure (f, &config);
  config.bounds.sync_timeout_us = 4 * TIMEOUT_US;
  config.bounds.writeback_timeout_us = FAULT_PATIENCE_US;
  file = file_rig_open (f, &config);
  for (; at < 3 * MIB; at += PIECE)
    g_assert_cmpint (file_rig_push (f, file, at, PIECE, &stall), ==, WB_OK);
  wb_file_get_stats (file, &stats);
  g_assert_false (stats.degraded);
  g_assert_cmpuint (stats.queued_bytes, >, 0);
  g_assert_cmpint (
      wb_file_wait_sync (file, wb_file_request_sync (file, WB_SYNC_FULL, TRUE),
          WB_WAIT_STREAM, &result, &stall),
      ==, WB_TIMEOUT);
  wb_file_get_stats (file, &stats);
  g_assert_cmpuint (stats.queued_bytes, ==, 0);
  g_assert_cmpuint (stats.bytes_written, ==, 3 * MIB);
  g_assert_true (stats.degraded);
  fault_release ();
  wb_file_close (file, &stats, &stall);
  file_rig_assert_nothing_left (f);
}

/* A push that waits is told of a stall first; that is part of the time after
 * which it gives up. */
static void
test_stall_is_part_of_the_timeout (FileRig *f, gconstpointer data)
{
  WbFileConfig config;
  WbStall stall;
  WbStats stats;
  WbFile *file;
  gint64 start;

  fault_hang (FAULT_WRITE, 1);
  file_rig_configure (f, &config);
  config.bounds.max_queued_bytes = PIECE;
  config.bounds.writeback_timeout_us = TIMEOUT_US * 19 / 10;
  config.bounds.sync_timeout_us = TIMEOUT_US * 2;
  file = file_rig_open (f, &config);
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

/* A flush comes while it is looked up whether others have appended, for a write
 * beyond the end that is then not made: the end is where it was, and nobody is
 * taken for another. */
static void
test_flush_before_a_gap (FileRig *f, gconstpointer data)
{
  guint64 from, furthest;
  WbFileConfig config;
  GStatBuf status;
  WbStats stats;
  WbStall stall;
  WbFile *file;

  file_rig_configure (f, &config);
  config.mode = WB_OPEN_APPEND;
  g_assert_true (
      g_file_set_contents (f->output.path, (gchar *) f->expected, PIECE, NULL));
  file = file_rig_open (f, &config);
  g_assert_cmpint (
      fault_file_sync (file, WB_SYNC_NONE, FALSE), ==, WB_RESULT_SKIPPED);
  fault_hang (FAULT_FSTAT, fault_count (FAULT_FSTAT) + 1);
  g_assert_true (wb_file_seek (file, 4 * PIECE, &from, &furthest));
  g_assert_cmpint (fault_file_push (file, f->expected, PIECE), ==, WB_OK);
  g_assert_true (fault_wait_hanging ());
  wb_file_flush (file);
  fault_release ();
  g_assert_cmpint (fault_file_push (file, f->expected, PIECE), ==, WB_OK);
  g_assert_true (wb_file_seek (file, 0, &from, &furthest));
  g_assert_cmpint (fault_file_push (file, f->expected, 8), ==, WB_OK);
  g_assert_cmpint (
      fault_file_sync (file, WB_SYNC_FULL, TRUE), ==, WB_RESULT_DURABLE);
  g_assert_cmpint (wb_file_close (file, &stats, &stall), ==, WB_OK);
  g_assert_cmpint (g_stat (f->output.path, &status), ==, 0);
  g_assert_cmpint (status.st_size, ==, 2 * PIECE);
}

/* Stops this process for so long, a moment from now. */
static pid_t
stop_for (guint stopped_us)
{
  pid_t child = fork ();

  g_assert_cmpint (child, >=, 0);
  if (child > 0)
    return child;
  usleep (100 * 1000);
  kill (getppid (), SIGSTOP);
  usleep (stopped_us);
  kill (getppid (), SIGCONT);
  _exit (0);
}

/* What comes and goes is tried again for so long, and the time in which this process
 * did not run is not counted. */
static void
test_pause_while_trying_again (FileRig *f, gconstpointer data)
{
  WbFileConfig config;
  FileRigOutcome o;
  pid_t child;

  file_rig_configure (f, &config);
  config.transient_timeout_us = 2 * G_USEC_PER_SEC;
  fault_fail (FAULT_WRITE, 1, 20, EACCES);
  child = stop_for (3 * G_USEC_PER_SEC);
  o = file_rig_run (f, &config);
  g_assert_cmpint (waitpid (child, NULL, 0), ==, child);
  g_assert_cmpint (o.result, ==, WB_RESULT_DURABLE);
  g_assert_cmpint (o.close, ==, WB_OK);
  g_assert_cmpuint (fault_count (FAULT_WRITE), >, 20);
  file_rig_assert_content (f);
  file_rig_assert_nothing_left (f);
}

int
main (int argc, char **argv)
{
#define ADD(name, function)                                                    \
  g_test_add ("/faults/" name, FileRig, NULL, file_rig_set_up, function,       \
      file_rig_tear_down)
  g_test_init (&argc, &argv, NULL);
  ADD ("every-hang-is-bounded", test_every_hang_is_bounded);
  ADD ("short-hangs-lose-nothing", test_short_hangs_lose_nothing);
  ADD ("busy-while-left-behind", test_busy_while_left_behind);
  ADD ("hanging-write-and-back", test_hanging_write_and_back);
  ADD ("degraded-and-back", test_degraded_and_back);
  ADD ("sync-lifts-the-window", test_sync_lifts_the_window);
  ADD ("flush-before-a-gap", test_flush_before_a_gap);
  ADD ("pause-while-trying-again", test_pause_while_trying_again);
  ADD ("stall-is-part-of-the-timeout", test_stall_is_part_of_the_timeout);
  return g_test_run ();
}
