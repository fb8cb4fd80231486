/* wbfilesink: how large the window and the queue may be
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "policy/wblimits.h"

#include "policy/wbplanner.h"

/* The window and the queue start here and grow with what has drained. */
#define WINDOW_START (4 * WB_BATCH)
#define QUEUE_START (8 * WB_BATCH)
/* What is handed to the disk together comes back together, and a held push
 * waits for it: 60 MB/s disk, 2 MB steps, 33 ms. */
#define START_STEPS_A_SECOND 30
/* What all files on it drain from a disk this fast, bytes/s. There a quarter of
 * the window keeps it as busy, for one file or for all together, and the pages
 * that were just dropped are still warm when they are used again: 2 GB/s, 64 KiB
 * buffers: 16 MiB 2105 MB/s and 0.20 s of processor time a GB, 64 MiB 1945 and
 * 0.26; four files at once, 16 to 64 MiB each 2510 and 0.24, 4 MiB 2707 and 0.19.
 * It is 31 ms of such a disk's time. Chunks of one batch, because there is no
 * seek to be saved and it begins sooner: 8 MiB 2690 MB/s, 2 MiB 2732, 1 MiB 2923;
 * where several files have less than eight each, half a batch (WB_BATCH_SMALL).
 * The queue likewise: buffers of 64 KiB, allocated one by one: 8 MiB 0.29 s a GB,
 * 32 MiB 0.33. */
#define FAST_DISK (512 * G_GUINT64_CONSTANT (1000000))
#define FAST_PART 4
#define FAST_WINDOW_FLOOR (16 * WB_BATCH)
#define FAST_CHUNK WB_BATCH
#define FAST_BATCHES 8
#define FAST_QUEUE_FLOOR (8 * WB_BATCH)
/* Where each retire is an fdatasync: two steps are in flight, so 133 ms. */
#define SYNCS_A_SECOND 15
#define WINDOW_FLOOR (4 * WB_BATCH)
#define QUEUE_FLOOR WB_BATCH

/* Beside others, on a disk that is not fast, a file has this much at least, so that
 * its pieces are worth the seek to them: half of it is a chunk. Otherwise the pieces
 * get smaller as the disk gets slower, and the disk slower as the pieces get smaller:
 * 64 recorders of 2 MB/s on a model of a spinning disk lost pictures with pieces of
 * 1.2 MB, with these none. */
#define FEW_FILES 2
#define FEW_WINDOW (16 * WB_BATCH)
#define MANY_FILES 8
/* A card rewrites a whole unit for a piece that ends inside it; 4 MiB is usual. */
#define CUT_UNIT (4 * WB_BATCH)
#define MANY_WINDOW (16 * WB_BATCH)

/* So many times what wakes the I/O thread make a batch while the stream goes on,
 * up to a batch: each write is a wake-up and two turns at the lock. 188-byte
 * buffers, 64 KiB a write: 2.41 s of processor time a GB, 1 MiB: 1.74. */
#define LIVELY_BATCH 16
/* Where no write-out is controlled, nothing waits for a batch but its reader: up
 * to so many at once, if they take no longer than this. /dev/null, 4096-byte
 * buffers: 7960 MB/s with one batch, 10866 with four; tmpfs, lists, 2924 and 3276. */
#define UNCONTROLLED_BATCHES 4
#define UNCONTROLLED_WRITES_A_SECOND 125
#define WAKES_A_SECOND 500

/* A bound in disk time that falls, because the disk has turned slow, falls by
 * three quarters of what moves: the stream goes on at a quarter of the disk's
 * speed until the excess is gone, instead of standing still (100 to 10 MB/s
 * with both bounds full: one push was held for the 5.6 s of draining 57 MB). */
static guint64
approach (guint64 now, guint64 target, guint64 moved)
{
  if (target >= now)
    return target;
  return MAX (target, now - MIN (now, moved / 4 * 3));
}

/* A sync at an interval writes out what is dirty while nothing is retired: with
 * a source that is faster than the disk a push waits for all of it (60 MB/s
 * disk, 1 s: 1.16 s with the whole window, 0.3 s with a quarter). */
static gint64
window_time (const WbBounds *bounds)
{
  gint64 time_us = bounds->max_dirty_time_us;
  gint64 quarter = bounds->sync_interval_us / 4;

  if (quarter <= 0)
    return time_us;
  return time_us > 0 ? MIN (time_us, quarter) : quarter;
}

gboolean
wb_limits_is_fast (const WbMeter *disk, gboolean by_sync)
{
  return !by_sync && wb_meter_rate (disk) >= FAST_DISK;
}

static guint64
dirty_bound (const WbBounds *bounds)
{
  return bounds->max_dirty_bytes != 0 ? bounds->max_dirty_bytes : G_MAXUINT64;
}

guint64
wb_limits_fast_window (const WbBounds *bounds)
{
  guint64 window = dirty_bound (bounds);

  if (window == G_MAXUINT64)
    return window;
  return MAX (window / FAST_PART, FAST_WINDOW_FLOOR);
}

static WbWindowReason
time_reason (const WbBounds *bounds, gint64 time_us, const WbMeter *drain)
{
  if (drain->rate == 0)
    return WB_WINDOW_UNKNOWN;
  return time_us < bounds->max_dirty_time_us || bounds->max_dirty_time_us <= 0
      ? WB_WINDOW_INTERVAL
      : WB_WINDOW_TIME;
}

/* What this file may have for itself, whatever the others do. */
static guint64
own_window (WbWindow *window, const WbBounds *bounds, const WbDiskView *view,
    guint64 retired)
{
  guint64 size = dirty_bound (bounds);
  guint64 least = MIN (WINDOW_FLOOR, size);
  gint64 time_us = window_time (bounds);

  window->reason = WB_WINDOW_BYTES;
  if (time_us > 0) {
    window->time = approach (window->time,
        wb_meter_allowance (view->drain, time_us, WINDOW_START), retired);
    if (window->time < size) {
      size = window->time;
      window->reason = time_reason (bounds, time_us, view->drain);
    }
  }
  if (size < least) {
    size = least;
    window->reason = WB_WINDOW_FLOOR;
  }
  return size;
}

/* 0: the disk is fast, or this file alone on it. */
static guint64
pieces_window (const WbBounds *bounds, const WbDiskView *view, gboolean fast)
{
  guint64 least = view->sharing >= MANY_FILES ? MANY_WINDOW
      : view->sharing >= FEW_FILES            ? FEW_WINDOW
                                              : 0;

  if (fast || view->by_sync || view->share == G_MAXUINT64)
    return 0;
  return MIN (least, dirty_bound (bounds));
}

void
wb_limits_window (WbWindow *window, const WbBounds *bounds,
    const WbDiskView *view, guint64 retired)
{
  gboolean fast = wb_limits_is_fast (view->disk, view->by_sync);
  guint64 all = dirty_bound (bounds);
  guint64 together = fast && all != G_MAXUINT64 ? view->fast_part : all;
  guint64 pieces;

  window->size = own_window (window, bounds, view, retired);
  /* The floor keeps one file's disk busy; beside others two batches will do. */
  window->most = MIN (window->size, view->share);
  if (together < window->most) {
    window->size = together;
    window->reason = WB_WINDOW_FAST;
  } else if (view->share < window->size) {
    window->size = view->share;
    window->reason = WB_WINDOW_SHARE;
  }
  pieces = pieces_window (bounds, view, fast);
  if (window->size < pieces) {
    window->size = window->most = pieces;
    window->reason = WB_WINDOW_PIECES;
  }
  window->chunk_size = fast
      ? MIN (FAST_CHUNK, MIN (together / FAST_BATCHES, window->size / 2))
      : bounds->chunk_size;
  window->start_step = view->by_sync
      ? wb_meter_rate (view->drain) / SYNCS_A_SECOND
      : MIN (wb_meter_rate (view->drain) / START_STEPS_A_SECOND, WB_START_STEP);
  window->cut_unit = pieces > 0 ? CUT_UNIT : 0;
  if (pieces > 0)
    window->start_step = MAX (window->start_step, pieces / 2);
  else if (bounds->unhurried && view->is_read && !view->by_sync && !fast)
    window->start_step = WB_START_STEP_LONG;
}

const char *
wb_window_reason_name (WbWindowReason reason)
{
  static const char *const names[] = { "max-dirty-bytes", "max-dirty-time",
    "sync-interval", "no rate is known yet", "the least",
    "the share of the device", "pieces worth a seek", "a fast disk" };

  return names[reason];
}

void
wb_limits_queue (WbQueueLimit *queue, const WbBounds *bounds,
    const WbMeter *write, const WbMeter *drain, guint64 written)
{
  gint64 time_us = bounds->max_dirty_time_us;
  guint64 allowed;

  queue->most = bounds->max_queued_bytes;
  if (time_us > 0) {
    allowed = wb_meter_allowance (write, time_us, QUEUE_START);
    if (drain != NULL)
      allowed = MIN (allowed, wb_meter_allowance (drain, time_us, QUEUE_START));
    queue->time = approach (queue->time, MAX (allowed, QUEUE_FLOOR), written);
    queue->most = MIN (queue->most, queue->time);
  }
  queue->bound = queue->most;
  if (drain != NULL && wb_meter_rate (write) >= FAST_DISK
      && wb_meter_rate (drain) >= FAST_DISK)
    queue->bound =
        MIN (queue->most, MAX (queue->most / FAST_PART, FAST_QUEUE_FLOOR));
}

guint64
wb_limits_batches (
    const WbQueueLimit *queue, const WbMeter *write, guint64 batch)
{
  guint64 most = MIN (
      wb_meter_rate (write) / UNCONTROLLED_WRITES_A_SECOND, queue->bound / 4);

  return CLAMP (most / batch, 1, UNCONTROLLED_BATCHES);
}

guint64
wb_limits_lively_goal (
    const WbQueueLimit *queue, guint64 wake, guint64 batches, guint64 batch)
{
  guint64 most = MIN (batches * batch, queue->bound / 4);

  return MAX (wake, MIN (wake * LIVELY_BATCH * batches, most));
}

/* A caller that waits for room is woken for 2 ms of it at once where there is as
 * much: each wake-up costs a switch of threads. tmpfs, 64 KiB buffers: 0.35 s of
 * processor time a GB when woken for each half MiB, 0.32 for each MiB. 2 ms of
 * what the disk does, which for sixteen files at full speed is 0.292 s; of this
 * file's part of it, 0.324. */
guint64
wb_limits_wake (const WbQueueLimit *queue, guint64 rate)
{
  return MIN (rate / WAKES_A_SECOND, queue->bound / 4);
}
