/* Syncs at intervals, beside the writing: what they cover is known to be
 * durable, nothing is started while one is under way, an error of theirs is
 * final, and one that hangs is told of, bounded, and leaves nothing.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"
#include "faultsys.h"
#include "file/wbfile.h"

#include <errno.h>
#include <string.h>
#ifdef G_OS_UNIX
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

#define MIB (G_GUINT64_CONSTANT (1) << 20)
#define PIECE (256 * 1024)
#define INTERVAL_US (20 * 1000)
#define TIMEOUT_US (300 * 1000)

typedef struct
{
  FaultFile output;
  guint8 *piece;
  WbFileConfig config;
  WbFile *file;
  gint notified;
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
  f->piece = g_malloc (PIECE);
  memset (f->piece, 7, PIECE);

  fault_file_configure (&f->output, PIECE, &f->config);
  f->config.bounds.sync_interval_us = INTERVAL_US;
  f->config.listener.notify = count_notified;
  f->config.listener.data = f;
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  fault_file_clear (&f->output);
  g_free (f->piece);
}

static void
open_file (Fixture *f)
{
  WbError error;
  WbStall stall;

  f->file = wb_file_open (&f->config, &error, &stall);
  g_assert_nonnull (f->file);
}

static WbStatus
push (Fixture *f)
{
  return fault_file_push (f->file, f->piece, PIECE);
}

static void
push_bytes (Fixture *f, guint64 bytes)
{
  for (guint64 done = 0; done < bytes; done += PIECE)
    g_assert_cmpint (push (f), ==, WB_OK);
}

static WbSyncResult
finish (Fixture *f, WbStats *stats)
{
  WbSyncResult result;
  WbStall stall;

  wb_file_wait_sync (f->file,
      wb_file_request_sync (f->file, WB_SYNC_FULL, TRUE), WB_WAIT_STREAM,
      &result, &stall);
  wb_file_close (f->file, stats, &stall);
  return result;
}

/* Until `condition` holds; a hang is a failure. */
#define WAIT_FOR(condition)                                                    \
  G_STMT_START                                                                 \
  {                                                                            \
    gint64 deadline = g_get_monotonic_time () + FAULT_PATIENCE_US;             \
                                                                               \
    while (!(condition)) {                                                     \
      g_assert_cmpint (g_get_monotonic_time (), <, deadline);                  \
      g_usleep (1000);                                                         \
    }                                                                          \
  }                                                                            \
  G_STMT_END

static WbStats
stats_now (Fixture *f)
{
  WbStats stats;

  wb_file_get_stats (f->file, &stats);
  return stats;
}

static void
test_durable_grows (Fixture *f, gconstpointer data)
{
  WbStats stats;

  open_file (f);
  for (guint64 total = MIB; total <= 4 * MIB; total += MIB) {
    push_bytes (f, MIB);
    WAIT_FOR (stats_now (f).durable_bytes == total);
  }
  g_assert_cmpuint (fault_count (FAULT_SYNC), ==, 0);
  g_assert_cmpuint (fault_count (FAULT_SYNC_DIRECTORY), ==, 1);
  g_assert_cmpint (finish (f, &stats), ==, WB_RESULT_DURABLE);
  g_assert_cmpuint (stats.durable_bytes, ==, 4 * MIB);
  g_assert_cmpint (fault_open_descriptors (), ==, 0);
}

static void
test_nothing_new_no_sync (Fixture *f, gconstpointer data)
{
  WbStats stats;
  guint n;

  open_file (f);
  push_bytes (f, MIB);
  WAIT_FOR (stats_now (f).durable_bytes == MIB);
  n = fault_count (FAULT_SYNC_DATA);
  g_usleep (5 * INTERVAL_US);
  g_assert_cmpuint (fault_count (FAULT_SYNC_DATA), ==, n);
  g_assert_cmpint (finish (f, &stats), ==, WB_RESULT_DURABLE);
}

/* Nor is there anything left to sync after one that was asked for. */
static void
test_covered_by_request (Fixture *f, gconstpointer data)
{
  WbStats stats;
  guint n;

  open_file (f);
  push_bytes (f, MIB);
  g_assert_cmpint (
      fault_file_sync (f->file, WB_SYNC_FULL, FALSE), ==, WB_RESULT_DURABLE);
  n = fault_count (FAULT_SYNC_DATA);
  g_usleep (5 * INTERVAL_US);
  g_assert_cmpuint (fault_count (FAULT_SYNC_DATA), ==, n);
  g_assert_cmpint (finish (f, &stats), ==, WB_RESULT_DURABLE);
}

/* ... but for the name, if that was not asked for: until it is on the disk nothing
 * is reported as durable. */
static void
test_name_after_barrier (Fixture *f, gconstpointer data)
{
  WbStats stats;
  guint64 durable;

  open_file (f);
  push_bytes (f, MIB);
  g_assert_cmpint (
      fault_file_sync (f->file, WB_SYNC_BARRIER, FALSE), ==, WB_RESULT_DATA);
  durable = stats_now (f).durable_bytes;
  if (fault_count (FAULT_SYNC_DIRECTORY) == 0)
    g_assert_cmpuint (durable, ==, 0);
  WAIT_FOR (fault_count (FAULT_SYNC_DIRECTORY) == 1);
  WAIT_FOR (stats_now (f).durable_bytes == MIB);
  g_assert_cmpint (finish (f, &stats), ==, WB_RESULT_DURABLE);
}

static void
test_off_by_default (Fixture *f, gconstpointer data)
{
  WbStats stats;

  f->config.bounds.sync_interval_us = 0;
  open_file (f);
  push_bytes (f, MIB);
  g_usleep (3 * INTERVAL_US);
  g_assert_cmpuint (fault_count (FAULT_SYNC_DATA), ==, 0);
  /* It can be asked for while the file is open. */
  f->config.bounds.sync_interval_us = INTERVAL_US;
  wb_file_set_bounds (f->file, &f->config.bounds);
  WAIT_FOR (stats_now (f).durable_bytes == MIB);
  f->config.bounds.sync_interval_us = 0;
  wb_file_set_bounds (f->file, &f->config.bounds);
  push_bytes (f, MIB);
  g_usleep (3 * INTERVAL_US);
  g_assert_cmpuint (stats_now (f).durable_bytes, ==, MIB);
  g_assert_cmpint (finish (f, &stats), ==, WB_RESULT_DURABLE);
}

/* Writing goes on inside the window (four batches at least), and nothing is started meanwhile: a sync
 * would wait for that as well. */
static void
test_starts_wait (Fixture *f, gconstpointer data)
{
  guint starts;
  WbStats stats;

  fault_hang (FAULT_SYNC_DATA, 1);
  open_file (f);
  push_bytes (f, MIB);
  g_assert_true (fault_wait_hanging ());
  starts = fault_count (FAULT_START);
  push_bytes (f, 2 * MIB);
  WAIT_FOR (stats_now (f).bytes_written == 3 * MIB);
  g_assert_cmpuint (fault_count (FAULT_START), ==, starts);
  g_assert_cmpuint (stats_now (f).durable_bytes, ==, 0);
  fault_release ();
  WAIT_FOR (stats_now (f).durable_bytes == 3 * MIB);
  if (WB_PLATFORM_LINUX)
    WAIT_FOR (fault_count (FAULT_START) > starts);
  g_assert_cmpint (finish (f, &stats), ==, WB_RESULT_DURABLE);
}

/* Each sync returns and is followed by another, though the source never
 * pauses; what one has written does not fill the window for the next. */
static void
test_full_speed (Fixture *f, gconstpointer data)
{
  WbStats stats;

  open_file (f);
  for (guint i = 0; i < 5; i++) {
    guint64 durable = stats_now (f).durable_bytes;
    gint64 deadline = g_get_monotonic_time () + FAULT_PATIENCE_US;

    while (stats_now (f).durable_bytes == durable) {
      g_assert_cmpint (g_get_monotonic_time (), <, deadline);
      g_assert_cmpint (push (f), ==, WB_OK);
    }
  }
  g_assert_cmpint (finish (f, &stats), ==, WB_RESULT_DURABLE);
  g_assert_cmpuint (stats.durable_bytes, ==, stats.bytes_written);
  g_assert_false (stats.degraded);
  g_assert_cmpuint (stats.dirty_bytes, ==, 0);
}

static void
test_failure_is_final (Fixture *f, gconstpointer data)
{
  static const FaultCall calls[] = { FAULT_SYNC_DATA, FAULT_SYNC_DIRECTORY };

  for (guint i = 0; i < G_N_ELEMENTS (calls); i++) {
    WbStats stats;

    fault_reset ();
    fault_fail (calls[i], 1, 1, EIO);
    open_file (f);
    push_bytes (f, MIB);
    WAIT_FOR (stats_now (f).error.kind != WB_ERROR_NONE);
    g_assert_cmpint (stats_now (f).error.kind, ==, WB_ERROR_SYNC);
    g_assert_cmpint (stats_now (f).error.code, ==, EIO);
    g_assert_cmpint (push (f), ==, WB_FAILED);
    g_assert_cmpint (finish (f, &stats), ==, WB_RESULT_FAILED);
    g_assert_cmpuint (stats.durable_bytes, ==, 0);
    g_assert_cmpuint (fault_count (FAULT_SYNC_DATA), ==, 1);
    /* An fsync that failed is never asked again: it might say 0. */
    if (calls[i] == FAULT_SYNC_DATA)
      g_assert_cmpuint (fault_count (FAULT_SYNC), ==, 0);
  }
}

/* The process has no descriptor left to open the directory with: nothing is lost,
 * and the name is synced when there is one. */
static void
test_no_descriptor_for_directory (Fixture *f, gconstpointer data)
{
  static const int codes[] = { EMFILE, ENFILE };
  WbStats stats;

  for (guint i = 0; i < G_N_ELEMENTS (codes); i++) {
    fault_reset ();
    fault_fail (FAULT_SYNC_DIRECTORY, 1, 1, codes[i]);
    f->config.bounds.sync_interval_us = INTERVAL_US;
    open_file (f);
    push_bytes (f, MIB);
    WAIT_FOR (fault_count (FAULT_SYNC_DIRECTORY) == 1);
    g_assert_cmpuint (stats_now (f).durable_bytes, ==, 0);
    push_bytes (f, MIB);
    WAIT_FOR (stats_now (f).durable_bytes == 2 * MIB);
    g_assert_cmpint (finish (f, &stats), ==, WB_RESULT_DURABLE);

    fault_reset ();
    fault_fail (FAULT_SYNC_DIRECTORY, 1, 1, codes[i]);
    f->config.bounds.sync_interval_us = 0;
    open_file (f);
    push_bytes (f, MIB);
    g_assert_cmpint (finish (f, &stats), ==, WB_RESULT_DATA);
    g_assert_cmpint (stats.error.kind, ==, WB_ERROR_NONE);
  }
}

/* It is asked again at once, and not any more. */
static void
test_refusal_changes_nothing (Fixture *f, gconstpointer data)
{
  WbStats stats;

  fault_fail (FAULT_SYNC_DATA, 1, G_MAXUINT, EINVAL);
  open_file (f);
  push_bytes (f, MIB);
  WAIT_FOR (fault_count (FAULT_SYNC_DATA) == 2);
  push_bytes (f, MIB);
  g_usleep (3 * INTERVAL_US);
  g_assert_cmpuint (fault_count (FAULT_SYNC_DATA), ==, 2);
  g_assert_cmpint (finish (f, &stats), ==, WB_RESULT_DURABLE);
  g_assert_cmpuint (stats.durable_bytes, ==, 2 * MIB);
}

/* An error that the retirer was given is not the sync's to hide. */
static void
test_error_elsewhere (Fixture *f, gconstpointer data)
{
  WbStats stats;

  if (!WB_PLATFORM_LINUX) {
    g_test_skip ("no write-out control on this platform");
    return;
  }
  fault_fail (FAULT_WAIT, 1, 1, EIO);
  f->config.bounds.sync_interval_us = FAULT_PATIENCE_US;
  open_file (f);
  for (guint i = 0; i < 8; i++)
    push (f);
  WAIT_FOR (stats_now (f).error.kind != WB_ERROR_NONE);
  f->config.bounds.sync_interval_us = INTERVAL_US;
  wb_file_set_bounds (f->file, &f->config.bounds);
  g_usleep (3 * INTERVAL_US);
  g_assert_cmpuint (stats_now (f).durable_bytes, ==, 0);
  g_assert_cmpint (finish (f, &stats), ==, WB_RESULT_FAILED);
}

static void
test_hang_is_told_and_bounded (Fixture *f, gconstpointer data)
{
  WbSyncResult result;
  WbEvents events = 0;
  WbStats stats;
  WbStall stall;
  gint64 start;

  fault_hang (FAULT_SYNC_DATA, 1);
  open_file (f);
  push_bytes (f, MIB);
  g_assert_true (fault_wait_hanging ());
  f->config.bounds.sync_timeout_us = TIMEOUT_US;
  wb_file_set_bounds (f->file, &f->config.bounds);
  g_usleep (TIMEOUT_US + 10 * 1000);
  g_assert_cmpint (push (f), ==, WB_OK);
  events = wb_file_take_events (f->file);
  g_assert_true ((events & WB_EVENT_SYNC_STALLED) != 0);
  g_assert_cmpint (g_atomic_int_get (&f->notified), >, 0);
  wb_file_get_stall (f->file, &stall);
  g_assert_cmpstr (stall.call, ==, "fdatasync");
  /* Once a hang. */
  g_assert_cmpint (push (f), ==, WB_OK);
  g_assert_cmpuint (
      wb_file_take_events (f->file) & WB_EVENT_SYNC_STALLED, ==, 0);

  start = g_get_monotonic_time ();
  g_assert_cmpint (wb_file_wait_sync (f->file,
                       wb_file_request_sync (f->file, WB_SYNC_FULL, TRUE),
                       WB_WAIT_STREAM, &result, &stall),
      ==, WB_TIMEOUT);
  g_assert_cmpint (wb_file_close (f->file, &stats, &stall), ==, WB_TIMEOUT);
  g_assert_cmpint (
      g_get_monotonic_time () - start, <, TIMEOUT_US + 10 * G_USEC_PER_SEC);
  g_assert_cmpuint (stats.durable_bytes, ==, 0);
  fault_release ();
  WAIT_FOR (fault_open_descriptors () == 0);
}

/* A flush starts again from nothing: what was durable is gone. */
static void
test_flush (Fixture *f, gconstpointer data)
{
  WbStats stats;

  open_file (f);
  push_bytes (f, 2 * MIB);
  WAIT_FOR (stats_now (f).durable_bytes == 2 * MIB);
  wb_file_flush (f->file);
  WAIT_FOR (stats_now (f).durable_bytes == 0);
  push_bytes (f, MIB);
  WAIT_FOR (stats_now (f).durable_bytes == MIB);
  g_assert_cmpint (finish (f, &stats), ==, WB_RESULT_DURABLE);
  g_assert_cmpuint (stats.final_size, ==, MIB);
}

/* Turns the syncs on, once everything that was pushed is written. */
static void
sync_from_now (Fixture *f)
{
  f->config.bounds.sync_interval_us = INTERVAL_US;
  wb_file_set_bounds (f->file, &f->config.bounds);
}

/* A MiB is synced; half a one comes meanwhile, and waits for the next sync until
 * what the first has written is retired. */
static void
push_beside_a_sync (Fixture *f)
{
  f->config.bounds.sync_interval_us = 0;
  f->config.bounds.chunk_size = 2 * MIB;
  fault_delay (FAULT_SYNC_DATA, 1, 300 * 1000);
  open_file (f);
  push_bytes (f, MIB);
  WAIT_FOR (stats_now (f).bytes_written == MIB);
  sync_from_now (f);
  WAIT_FOR (fault_count (FAULT_SYNC_DATA) == 1);
  push_bytes (f, MIB / 2);
  WAIT_FOR (stats_now (f).bytes_written == MIB + MIB / 2);
}

/* A flush discards what the next sync waits for: it comes all the same. */
static void
test_flush_before_all_is_retired (Fixture *f, gconstpointer data)
{
  WbStats stats;

  if (!WB_PLATFORM_LINUX) {
    g_test_skip ("no write-out control on this platform");
    return;
  }
  fault_hang (FAULT_START, 1);
  push_beside_a_sync (f);
  WAIT_FOR (fault_count (FAULT_START) == 1);
  wb_file_flush (f->file);
  fault_release ();
  WAIT_FOR (stats_now (f).high_water == 0);
  push_bytes (f, MIB);
  WAIT_FOR (stats_now (f).durable_bytes == MIB);
  g_assert_cmpint (finish (f, &stats), ==, WB_RESULT_DURABLE);
}

/* Nor does it wait for what is no longer ours to retire. */
static void
test_refused_start (Fixture *f, gconstpointer data)
{
  WbStats stats;

  if (!WB_PLATFORM_LINUX) {
    g_test_skip ("no write-out control on this platform");
    return;
  }
  fault_fail (FAULT_START, 1, G_MAXUINT, ENOSYS);
  push_beside_a_sync (f);
  WAIT_FOR (stats_now (f).durable_bytes == MIB + MIB / 2);
  g_assert_cmpint (finish (f, &stats), ==, WB_RESULT_DURABLE);
}

/* A sync that begins after a flush and before the file is truncated for it makes
 * nothing durable that was there before. */
static void
test_flush_waits_for_a_write (Fixture *f, gconstpointer data)
{
  WbStats stats;

  f->config.bounds.sync_interval_us = 0;
  open_file (f);
  push_bytes (f, MIB);
  WAIT_FOR (stats_now (f).bytes_written == MIB);
  fault_delay (FAULT_WRITE, fault_count (FAULT_WRITE) + 1, 300 * 1000);
  fault_hang (FAULT_SYNC_DATA, 1);
  push_bytes (f, PIECE);
  g_assert_true (fault_wait_hanging ());
  wb_file_flush (f->file);
  sync_from_now (f);
  WAIT_FOR (fault_count (FAULT_SYNC_DATA) == 1);
  WAIT_FOR (stats_now (f).high_water == 0);
  fault_release ();
  for (guint i = 0; i < 100; i++) {
    g_assert_cmpuint (stats_now (f).durable_bytes, ==, 0);
    g_usleep (1000);
  }
  g_assert_cmpint (finish (f, &stats), ==, WB_RESULT_DURABLE);
}

#ifdef G_OS_UNIX
/* Threads that a user may have who has no other process: the writer's first two
 * and the one that asks for them. */
static int
open_with_few_threads (Fixture *f)
{
  const struct rlimit three = { 3, 3 };
  WbError error;
  WbStall stall;

  if (setrlimit (RLIMIT_NPROC, &three) != 0 || setuid (54321) != 0)
    return 1;
  if (wb_file_open (&f->config, &error, &stall) != NULL)
    return 2;
  if (error.kind != WB_ERROR_THREAD)
    return 3;
  return fault_open_descriptors () == 0 ? 0 : 4;
}

/* Where no thread can be had for the syncs, it is that which is heard. */
static void
test_no_thread (Fixture *f, gconstpointer data)
{
  int status;
  pid_t child;

  if (getuid () != 0 || !WB_PLATFORM_LINUX) {
    g_test_skip ("only root can become a user without processes");
    return;
  }
  g_assert_cmpint (chown (f->output.directory, 54321, 54321), ==, 0);
  child = fork ();
  if (child == 0)
    _exit (open_with_few_threads (f));
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);
}
#endif

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, function)                                                    \
  g_test_add ("/interval/" path, Fixture, NULL, set_up, function, tear_down)
  ADD ("durable-grows", test_durable_grows);
  ADD ("nothing-new-no-sync", test_nothing_new_no_sync);
  ADD ("covered-by-request", test_covered_by_request);
  ADD ("name-after-barrier", test_name_after_barrier);
  ADD ("off-by-default", test_off_by_default);
  ADD ("starts-wait", test_starts_wait);
  ADD ("full-speed", test_full_speed);
  ADD ("failure-is-final", test_failure_is_final);
  ADD ("no-descriptor-for-directory", test_no_descriptor_for_directory);
  ADD ("refusal-changes-nothing", test_refusal_changes_nothing);
  ADD ("error-elsewhere", test_error_elsewhere);
  ADD ("hang-is-told-and-bounded", test_hang_is_told_and_bounded);
  ADD ("flush", test_flush);
  ADD ("flush-before-all-is-retired", test_flush_before_all_is_retired);
  ADD ("refused-start", test_refused_start);
  ADD ("flush-waits-for-a-write", test_flush_waits_for_a_write);
#ifdef G_OS_UNIX
  ADD ("no-thread", test_no_thread);
#endif
#undef ADD
  return g_test_run ();
}
