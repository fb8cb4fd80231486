/* wbfilesink: one output file: the bounds and the retirer
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Layout: bounds; the retirer.
 */
#include "file/wbfile-private.h"

#include <errno.h>

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

/* --- bounds ---------------------------------------------------------------- */

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

/* A file system that is drained by syncs is not: each waits for the journal. */
static gboolean
is_fast (const WbFile *file)
{
  return !file->by_sync && wb_meter_rate (&file->disk_meter) >= FAST_DISK;
}

/* This file's part of the window that all files on a fast disk have together. */
static guint64
fast_window (const WbFile *file, guint64 window)
{
  guint64 all = MAX (window / FAST_PART, FAST_WINDOW_FLOOR);

  if (file->shared == NULL)
    return all;
  return wb_device_part (file->shared, all, wb_meter_rate (&file->drain_meter),
      wb_meter_rate (&file->disk_meter));
}

void
wbf_say_window (WbFile *file)
{
  static const char *const reasons[] = { "max-dirty-bytes", "max-dirty-time",
    "sync-interval", "no rate is known yet", "the least",
    "the share of the device", "a fast disk" };
  guint64 window = wb_planner_window (&file->planner);
  WbWindowReason reason = file->window_reason;
  guint64 rate = wb_meter_rate (
      reason == WINDOW_FAST ? &file->disk_meter : &file->drain_meter);

  if (!wbf_is_said (file, WB_LOG_DEBUG) || !file->control
      || (reason == file->window_reason_said && window <= file->window_said * 2
          && window >= file->window_said / 2))
    return;
  file->window_said = window;
  file->window_reason_said = reason;
  wbf_say_locked (file, WB_LOG_DEBUG,
      "window %" G_GUINT64_FORMAT " bytes (%s), the disk drains %.1f MB/s",
      window, reasons[reason], rate / 1e6);
}

void
wbf_update_window (WbFile *file, guint64 retired)
{
  const WbBounds *bounds = &file->bounds;
  guint64 window =
      bounds->max_dirty_bytes != 0 ? bounds->max_dirty_bytes : G_MAXUINT64;
  guint64 floor = MIN (WINDOW_FLOOR, window);
  gboolean fast = is_fast (file);
  guint64 together =
      fast && window != G_MAXUINT64 ? fast_window (file, window) : window;
  guint64 share =
      file->shared != NULL ? wb_device_share (file->shared) : G_MAXUINT64;
  gint64 time_us = window_time (bounds);
  WbWindowReason reason = WINDOW_BYTES;
  guint64 most;

  if (time_us > 0) {
    file->time_window = approach (file->time_window,
        wb_meter_allowance (&file->drain_meter, time_us, WINDOW_START),
        retired);
    if (file->time_window < window) {
      window = file->time_window;
      reason = file->drain_meter.rate == 0 ? WINDOW_UNKNOWN
          : time_us < bounds->max_dirty_time_us
              || bounds->max_dirty_time_us <= 0
          ? WINDOW_INTERVAL
          : WINDOW_TIME;
    }
  }
  if (window < floor) {
    window = floor;
    reason = WINDOW_FLOOR_HOLDS;
  }
  /* The floor keeps one file's disk busy; beside others two batches will do. */
  most = MIN (window, share);
  if (together < most) {
    window = together;
    reason = WINDOW_FAST;
  } else if (share < window) {
    window = share;
    reason = WINDOW_SHARE;
  }
  file->window_reason = reason;
  wb_planner_set_bounds (&file->planner, window,
      fast ? MIN (FAST_CHUNK, MIN (together / FAST_BATCHES, window / 2))
           : bounds->chunk_size);
  wb_planner_set_patch_room (&file->planner,
      reason == WINDOW_FAST
          ? most - MIN (most, wb_planner_window (&file->planner))
          : 0);
  wb_planner_set_start_step (&file->planner,
      wb_meter_rate (&file->drain_meter)
          / (file->by_sync ? SYNCS_A_SECOND : START_STEPS_A_SECOND));
}

/* The queue never holds more than the disk time the window may hold either: a
 * target that takes its bytes in write() itself (FUSE, a pipe) has no dirty
 * bytes to measure, so both rates count. */
void
wbf_update_queue_bound (WbFile *file, guint64 written)
{
  const WbBounds *bounds = &file->bounds;
  gint64 time_us = bounds->max_dirty_time_us;
  guint64 allowed;

  file->queue_most = bounds->max_queued_bytes;
  if (time_us > 0) {
    allowed = wb_meter_allowance (&file->write_meter, time_us, QUEUE_START);
    if (file->control)
      allowed = MIN (allowed,
          wb_meter_allowance (&file->drain_meter, time_us, QUEUE_START));
    file->time_queue =
        approach (file->time_queue, MAX (allowed, QUEUE_FLOOR), written);
    file->queue_most = MIN (file->queue_most, file->time_queue);
  }
  file->queue_bound = file->queue_most;
  if (file->control && wb_meter_rate (&file->write_meter) >= FAST_DISK
      && wb_meter_rate (&file->drain_meter) >= FAST_DISK)
    file->queue_bound = MIN (
        file->queue_most, MAX (file->queue_most / FAST_PART, FAST_QUEUE_FLOOR));
}

void
wbf_update_bounds (WbFile *file)
{
  wbf_update_window (file, 0);
  wbf_update_queue_bound (file, 0);
}

guint64
wbf_dirty_bytes (WbFile *file)
{
  return wb_planner_dirty (&file->planner);
}

/* Takes and gives back this file's share of its disk. */
void
wbf_update_share (WbFile *file)
{
  guint64 dirty = file->abandoned ? 0 : wbf_dirty_bytes (file);
  gboolean active = dirty > 0;

  if (file->shared == NULL)
    return;
  if (dirty != file->counted_dirty)
    wb_device_count_dirty (file->shared, file->counted_dirty, dirty);
  file->counted_dirty = dirty;
  if (active == file->active)
    return;
  file->active = active;
  if (active)
    wb_device_enter (file->shared);
  else
    wb_device_leave (file->shared);
}

/* Ends the degraded state once the dirty bytes are back inside the window. */
void
wbf_check_recovered (WbFile *file)
{
  if (!file->stats.degraded
      || wbf_dirty_bytes (file) > wb_planner_window (&file->planner))
    return;
  file->stats.degraded = FALSE;
  file->events |= WB_EVENT_DEGRADED;
}

/* --- the retirer ------------------------------------------------------------ */

void
wbf_wake_retirer (WbFile *file)
{
  const WbPlanner *planner = &file->planner;

  if (!file->control
      || (wb_planner_holds_starts (planner)
          && wb_planner_in_flight (planner) == 0
          && !wb_planner_has_drops (planner)))
    return;
  file->retirer_resting = FALSE;
  pthread_cond_signal (&file->retire_cond);
}

/* Write-out cannot be controlled after all: the kernel's policy takes over. */
void
wbf_give_up_control (WbFile *file, const char *call, int code)
{
  file->control = FALSE;
  wb_planner_set_passive (&file->planner);
  wbf_update_share (file);
  /* Nothing is to be retired before the next sync any more. */
  pthread_cond_signal (&file->sync_cond);
  g_strlcpy (
      file->stats.mechanism, "none (refused)", sizeof file->stats.mechanism);
  wbf_say_locked (file, WB_LOG_INFO,
      "%s refused (%s): write-out is left to the system from here on", call,
      g_strerror (code));
}

static void
say_step (WbFile *file, const WbStep *step, gint64 took_us, int code)
{
  static const char *const reasons[] = { "cut at a resume", "cut at its size",
    "cut to make room", "cut for many patches", "all there is" };

  if (step->kind == WB_STEP_START && step->first_of_chunk)
    wbf_say (file, WB_LOG_DEBUG,
        "chunk %" G_GUINT64_FORMAT " started: %" G_GUINT64_FORMAT
        "-%" G_GUINT64_FORMAT " (%s), first step took %.1f ms",
        step->chunk, step->chunk_span.start, step->chunk_span.end,
        reasons[step->reason], took_us / 1e3);
  if (code != 0 && !wbf_is_refusal (code))
    wbf_say (file, WB_LOG_WARNING,
        "write-out of %" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT " failed: %s",
        step->range.start, step->range.end, g_strerror (code));
}

/* What a step is called in messages: see set_up_control() for the two ways. */
static const char *
step_name (const WbFile *file, WbStepKind kind)
{
  static const char *const names[][3] = {
    { "sync_file_range (start)", "sync_file_range (wait)",
        "posix_fadvise (drop)" },
    { "posix_fadvise (start)", "fdatasync (write-out)", "posix_fadvise (drop)" }
  };

  return names[file->by_sync ? 1 : 0][kind];
}

static int
make_step (WbFile *file, const WbStep *step)
{
  const WbSys *sys = file->sys;
  gint64 offset = (gint64) step->range.start;
  gint64 length = (gint64) (step->range.end - step->range.start);
  int result = -1;

  do {
    switch (step->kind) {
      case WB_STEP_START:
        result = file->by_sync ? sys->drop (file->fd, offset, length)
                               : sys->writeout_start (file->fd, offset, length);
        break;
      case WB_STEP_RETIRE:
        result = file->by_sync ? sys->sync_data (file->fd)
                               : sys->writeout_wait (file->fd, offset, length);
        break;
      case WB_STEP_DROP:
        result = sys->drop (file->fd, offset, length);
        break;
    }
  } while (result != 0 && errno == EINTR);
  return result == 0 ? 0 : errno;
}

void
wbf_mark_drain (WbFile *file, guint64 bytes)
{
  file->drain_mark_us = g_get_monotonic_time ();
  if (file->shared != NULL)
    file->drain_mark_bytes = wb_device_count_drained (file->shared, bytes);
  else
    file->drain_mark_bytes += bytes;
}

/* `bytes` came back from the disk since the mark, and what other files had. */
static void
note_drained (WbFile *file, guint64 bytes, gboolean ends)
{
  gint64 began_us = file->drain_mark_us;
  guint64 disk_began = file->drain_mark_bytes;
  gint64 took;

  wbf_mark_drain (file, bytes);
  took = file->drain_mark_us - began_us;
  wb_meter_note (&file->drain_meter, bytes, took, ends);
  wb_meter_note (
      &file->disk_meter, file->drain_mark_bytes - disk_began, took, ends);
}

static void
retire_done (
    WbFile *file, const WbStep *step, guint64 cleaned, gint64 chunk_began_us)
{
  /* What a sync has written comes for nothing after it. */
  if (file->drained_by_sync && !file->interval_syncing
      && file->drain_meter.total + cleaned >= file->synced_goal) {
    file->drained_by_sync = FALSE;
    pthread_cond_signal (&file->sync_cond);
  }
  note_drained (file, cleaned, step->last_of_piece && !file->drained_by_sync);
  file->last_retire_us = file->drain_mark_us;
  wbf_update_share (file);
  wbf_update_window (file, cleaned);
  wbf_check_recovered (file);
  pthread_cond_signal (&file->io_cond);
  if (!step->last_of_chunk)
    return;
  wbf_say_locked (file, WB_LOG_DEBUG,
      "chunk %" G_GUINT64_FORMAT " retired: %" G_GUINT64_FORMAT
      "-%" G_GUINT64_FORMAT ", %.1f ms after its start",
      step->chunk, step->chunk_span.start, step->chunk_span.end,
      (file->last_retire_us - chunk_began_us) / 1e3);
}

static void
step_refused (WbFile *file, const WbStep *step, int code)
{
  const char *name = step_name (file, step->kind);

  if (step->kind != WB_STEP_DROP) {
    if (wbf_is_refusal (code)) {
      wbf_give_up_control (file, name, code);
      return;
    }
    wbf_latch (file, WB_ERROR_WRITE, code, name, step->range.start);
    if (file->by_sync && step->kind == WB_STEP_RETIRE)
      file->sync_failed = TRUE;
    return;
  }
  /* A hint: nothing is lost but cache. */
  if (!wb_planner_is_dropping (&file->planner))
    return;
  wb_planner_stop_dropping (&file->planner);
  wbf_say_locked (file, WB_LOG_INFO,
      "%s refused (%s): the file stays in the cache", name, g_strerror (code));
}

static void
retire_one_step (WbFile *file, const WbStep *step, gint64 *chunk_began_us)
{
  gint64 *began = &chunk_began_us[step->chunk % WB_CHUNK_CAPACITY];
  guint64 cleaned;
  gint64 took;
  int code;

  if (step->kind == WB_STEP_START) {
    gint64 now = g_get_monotonic_time ();

    if (step->first_of_chunk)
      *began = now;
    /* The drain rate's clock runs while something is under write-out. */
    if (wb_planner_in_flight (&file->planner) == 1 && !file->drained_by_sync)
      wbf_mark_drain (file, 0);
  }

  wbf_enter (file, &file->retire_call, step_name (file, step->kind),
      step->range.start);
  code = make_step (file, step);
  took = g_get_monotonic_time () - file->retire_call.since_us;
  say_step (file, step, took, code);
  wbf_leave (file, &file->retire_call);
  file->retire_calls++;
  if (file->interval_syncing)
    pthread_cond_signal (&file->sync_cond);

  cleaned = wb_planner_done (&file->planner, step);
  if (code != 0)
    step_refused (file, step, code);
  if (step->kind == WB_STEP_RETIRE)
    retire_done (file, step, cleaned, *began);
}

gpointer
wbf_retirer_main (gpointer data)
{
  WbFile *file = data;
  gint64 *chunk_began_us = g_new0 (gint64, WB_CHUNK_CAPACITY);
  WbStep step;

  wbf_lock (file);
  while (!file->retirer_quit && !file->abandoned) {
    if (!file->hold_retirer && file->control
        && wb_planner_next (&file->planner, &step)) {
      retire_one_step (file, &step, chunk_began_us);
      wbf_notify (file);
      wbf_say_window (file);
      continue;
    }
    file->retirer_resting = TRUE;
    pthread_cond_signal (&file->io_cond);
    wbf_wait_until (file, &file->retire_cond, -1);
  }
  file->retirer_resting = TRUE;
  pthread_cond_signal (&file->io_cond);
  wbf_unlock (file);
  g_free (chunk_began_us);
  wbf_thread_ends (file);
  return NULL;
}
