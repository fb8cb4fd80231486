/* What one output file holds, writes at once and keeps dirty, on disks that are
 * slow, fast or shared: queue, batches and window stay within their bounds.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"
#include "filerig.h"
#include "process/wbdevice.h"

#include <sys/stat.h>

/* The writer empties the queue again and again while a push that waits for room
 * has been woken and has not come back yet. */
static void
test_small_queue_at_full_speed (FileRig *f, gconstpointer data)
{
  WbFileConfig config;
  WbStats stats;
  WbError error;
  WbStall stall;
  WbFile *file;

  file_rig_configure (f, &config);
  config.preallocate = WB_PREALLOCATE_NONE;
  config.bounds.max_queued_bytes = 2 * PIECE;
  file = wb_file_open (&config, &error, &stall);
  g_assert_nonnull (file);
  for (guint i = 0; i < 4000; i++)
    g_assert_cmpint (file_rig_push (f, file, 0, PIECE, &stall), ==, WB_OK);
  fault_file_sync (file, WB_SYNC_NONE, TRUE);
  g_assert_cmpint (wb_file_close (file, &stats, &stall), ==, WB_OK);
  g_assert_cmpuint (stats.bytes_written, ==, 4000 * PIECE);
  g_assert_cmpuint (stats.peak_queued_bytes, <=, 2 * PIECE);
}

static gssize
write_slowly (int fd, const WbVector *vectors, int n, gint64 offset)
{
  g_usleep (20 * 1000);
  return fault_sys ()->write (fd, vectors, n, offset);
}

/* While the stream goes on, a write takes a batch of it: here all that came
 * while the first one hung. What is left over when it pauses is written as well,
 * without anybody asking. Slow writes take one batch under every platform. */
static void
test_batches_while_the_stream_goes_on (FileRig *f, gconstpointer data)
{
  WbSys sys = *fault_sys ();
  WbFileConfig config;
  WbStats stats;
  WbError error;
  WbStall stall;
  WbFile *file;
  guint writes;

  file_rig_configure (f, &config);
  config.preallocate = WB_PREALLOCATE_NONE;
  config.bounds.max_queued_bytes = 8 * MIB;
  sys.write = write_slowly;
  config.sys = &sys;
  fault_hang (FAULT_WRITE, 1);
  file = wb_file_open (&config, &error, &stall);
  g_assert_nonnull (file);
  g_assert_cmpint (file_rig_push (f, file, 0, PIECE, &stall), ==, WB_OK);
  g_assert_true (fault_wait_hanging ());
  for (guint i = 1; i < 3 * MIB / PIECE + 1; i++)
    g_assert_cmpint (file_rig_push (f, file, 0, PIECE, &stall), ==, WB_OK);
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
    int fd, const WbVector *vectors, int n, gint64 offset);

static guint longest_write; /* atomic */

/* As fast as a target can be: nothing is written. */
static gssize
note_write (int fd, const WbVector *vectors, int n, gint64 offset)
{
  guint size = 0;

  for (int i = 0; i < n; i++)
    size += (guint) vectors[i].size;
  g_assert_cmpuint ((guint64) offset % (4 * MIB) + size, <=, 4 * MIB);
  if (size > (guint) g_atomic_int_get (&longest_write))
    g_atomic_int_set (&longest_write, size);
  return size;
}

static gssize
note_slow_write (int fd, const WbVector *vectors, int n, gint64 offset)
{
  g_usleep (20 * 1000);
  return note_write (fd, vectors, n, offset);
}

/* Where no write-out is controlled a write takes up to four batches, but not
 * more than a quarter of the queue, nor of a target that is slow. */
static void
check_longest_write (FileRig *f, WriteCall call, guint64 queue, guint expected)
{
  gint64 deadline = g_get_monotonic_time () + FAULT_PATIENCE_US;
  WbSys sys = *fault_sys ();
  WbFileConfig config;
  WbStats stats;
  WbError error;
  WbStall stall;
  WbFile *file;

  file_rig_configure (f, &config);
  config.preallocate = WB_PREALLOCATE_NONE;
  config.writeback = WB_WRITEBACK_NONE;
  config.bounds.max_queued_bytes = queue;
  sys.write = call;
  config.sys = &sys;
  g_atomic_int_set (&longest_write, 0);
  file = wb_file_open (&config, &error, &stall);
  g_assert_nonnull (file);
  do
    g_assert_cmpint (file_rig_push (f, file, 0, PIECE, &stall), ==, WB_OK);
  while ((guint) g_atomic_int_get (&longest_write) < expected
      && g_get_monotonic_time () < deadline);
  for (guint i = 0; i < 32 * MIB / PIECE; i++)
    g_assert_cmpint (file_rig_push (f, file, 0, PIECE, &stall), ==, WB_OK);
  g_assert_cmpint (wb_file_close (file, &stats, &stall), ==, WB_OK);
  g_assert_cmpuint ((guint) g_atomic_int_get (&longest_write), ==, expected);
}

static void
test_writes_nobody_waits_for (FileRig *f, gconstpointer data)
{
  check_longest_write (f, note_write, 64 * MIB, 4 * MIB);
  check_longest_write (f, note_write, 8 * MIB, 2 * MIB);
  check_longest_write (f, note_slow_write, 64 * MIB, MIB);
}

static void
test_peak_dirty_stays_in_the_window (FileRig *f, gconstpointer data)
{
  WbFileConfig config;
  FileRigOutcome o;

  if (!WB_PLATFORM_LINUX) {
    g_test_skip ("write-out is not controlled on this platform");
    return;
  }
  file_rig_configure (f, &config);
  for (int i = 0; i < 10; i++) {
    fault_reset ();
    fault_delay (FAULT_WAIT, (guint) i + 1, 50 * 1000);
    o = file_rig_run (f, &config);
    g_assert_cmpuint (
        o.stats.peak_dirty_bytes, <=, config.bounds.max_dirty_bytes + MIB);
    g_assert_cmpuint (
        o.stats.peak_queued_bytes, <=, config.bounds.max_queued_bytes);
  }
}

/* The defaults, and a disk that takes everything at once. */
static void
configure_fast (FileRig *f, WbFileConfig *config)
{
  file_rig_configure (f, config);
  config->preallocate = WB_PREALLOCATE_NONE;
  config->bounds.chunk_size = 32 * MIB;
  config->bounds.max_dirty_bytes = 64 * MIB;
  config->bounds.max_queued_bytes = 96 * MIB;
  fault_ideal_disk (TRUE);
}

/* Pushes, with a MiB queued at most, until a call hangs and for a tenth of a
 * second nothing has left the queue: what may be dirty is. Returns the bytes. */
static guint64
push_until_full (FileRig *f, WbFile *file, WbStats *stats)
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
    g_assert_cmpint (file_rig_push (f, file, 0, PIECE, &stall), ==, WB_OK);
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
write_fast (FileRig *f, const WbSys *sys, guint nth_wait, WbStats *full)
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
test_fast_disk (FileRig *f, gconstpointer data)
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
test_many_on_a_fast_disk (FileRig *f, gconstpointer data)
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

int
main (int argc, char **argv)
{
#define ADD(name, function)                                                    \
  g_test_add ("/faults/" name, FileRig, NULL, file_rig_set_up, function,       \
      file_rig_tear_down)
  g_test_init (&argc, &argv, NULL);
  ADD ("small-queue-at-full-speed", test_small_queue_at_full_speed);
  ADD ("batches-while-the-stream-goes-on",
      test_batches_while_the_stream_goes_on);
  ADD ("writes-nobody-waits-for", test_writes_nobody_waits_for);
  ADD ("peak-dirty-stays-in-the-window", test_peak_dirty_stays_in_the_window);
  ADD ("fast-disk", test_fast_disk);
  ADD ("many-on-a-fast-disk", test_many_on_a_fast_disk);
  return g_test_run ();
}
