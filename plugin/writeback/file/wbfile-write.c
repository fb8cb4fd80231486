/* wbfilesink: one output file: writing what is queued
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "file/wbfile-private.h"

#include <errno.h>

/* A partial batch is written this long after its first byte came. */
#define LINGER_US (5 * 1000)
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
/* A target without positions may take bytes slowly: small writes, so that each
 * one that returns counts as progress. Half of Linux's default pipe. */
#define STREAM_WRITE (32 * 1024)
#define TRANSIENT_RETRY_US (10 * 1000)

/* How many batches one write may hold. */
static guint64
batches_a_write (const WbFile *file)
{
  guint64 most;

  if (file->control)
    return 1;
  most = MIN (wb_meter_rate (&file->write_meter) / UNCONTROLLED_WRITES_A_SECOND,
      file->queue_bound / 4);
  return CLAMP (
      most / wb_planner_batch (&file->planner), 1, UNCONTROLLED_BATCHES);
}

/* How much is worth a write: what the caller said, and, while the stream goes
 * on, many times that. A file without positions has a reader who waits. */
static guint64
write_goal (const WbFile *file)
{
  guint64 batches = batches_a_write (file);
  guint64 most =
      MIN (batches * wb_planner_batch (&file->planner), file->queue_bound / 4);

  if (!file->lively || !file->seekable)
    return file->wake_bytes;
  return MAX (
      file->wake_bytes, MIN (file->wake_bytes * LIVELY_BATCH * batches, most));
}

/* A partial batch waits for more, but not for long. */
gboolean
wbf_worth_writing (WbFile *file)
{
  const WbItem *last = wb_queue_last (&file->queue);

  /* The caller for whom there is room may not have woken yet. */
  if (last == NULL)
    return file->quit;
  return file->queued >= write_goal (file) || file->unbuffered || file->quit
      || file->caller_wants_room || last->size == 0;
}

/* What is at the head has waited for as long as it may. */
gboolean
wbf_is_due (const WbFile *file)
{
  return file->accepted - file->queued < file->due;
}

void
wbf_linger (WbFile *file)
{
  gint64 deadline = g_get_monotonic_time () + LINGER_US;
  gboolean in_time = TRUE;

  file->io_state = IO_LINGERING;
  while (in_time && file->io_state == IO_LINGERING && !wbf_worth_writing (file)
      && !file->abandoned && !file->restart_pending)
    in_time = wbf_wait_until (file, &file->io_cond, deadline);
  file->io_state = IO_BUSY;
  if (in_time)
    return;
  file->due = file->accepted;
  file->lively = !wb_queue_is_empty (&file->queue);
}

/* Right after a write the next batch is likely to come: one wake-up for all of
 * it, instead of one for its first byte and one for the rest. */
void
wbf_wait_for_data (WbFile *file)
{
  wb_queue_give_back (&file->queue);
  if (file->lively && !file->unbuffered) {
    wbf_linger (file);
    return;
  }
  file->io_state = IO_IDLE;
  wbf_wait_until (file, &file->io_cond, -1);
  file->io_state = IO_BUSY;
}

/* The most that one write may take from here: to the end of a batch. */
static gsize
write_limit (WbFile *file)
{
  guint64 most = batches_a_write (file) * wb_planner_batch (&file->planner);

  if (!file->seekable)
    return STREAM_WRITE;
  return most - wb_queue_peek (&file->queue)->offset % most;
}

static gboolean
may_go_on (WbFile *file, guint64 generation)
{
  return !file->abandoned && file->generation == generation
      && !wbf_is_broken (file);
}

/* Whether the run fits the window, and what the device's files may keep dirty
 * together. Two batches fit always, so no file starves; one that has more than
 * that and waits is woken by its own retires. */
static gboolean
fits (WbFile *file)
{
  const WbBatchRun *run = &file->run;
  guint64 cost;

  if (!wb_planner_may_write (&file->planner, run->offset, run->bytes))
    return FALSE;
  if (file->shared == NULL)
    return TRUE;
  cost = wb_planner_cost (&file->planner, run->offset, run->bytes);
  return wbf_dirty_bytes (file) + cost <= 2 * wb_planner_batch (&file->planner)
      || wb_device_has_room (file->shared, cost);
}

/* Holds the writer until the run fits the window, in steps of what is retired;
 * when nothing is retired for the write-back timeout, the window is given up.
 * FALSE: something else has to be seen to first. */
static gboolean
wait_for_window (WbFile *file, guint64 generation)
{
  gint64 since = 0;

  while (file->control && !file->stats.degraded && !fits (file)) {
    gint64 deadline;

    if (!may_go_on (file, generation))
      return FALSE;
    /* Unstarted patches and remainders alone could fill the window. */
    if (!wb_planner_is_draining (&file->planner))
      wb_planner_release (&file->planner, FALSE);
    wbf_wake_retirer (file);
    if (since == 0)
      since = g_get_monotonic_time ();
    deadline = wbf_deadline_after (
        MAX (since, file->last_retire_us), file->bounds.writeback_timeout_us);
    if (wbf_wait_until (file, &file->io_cond, deadline)
        || g_get_monotonic_time () < deadline
        || deadline
            != wbf_deadline_after (MAX (since, file->last_retire_us),
                file->bounds.writeback_timeout_us))
      continue;
    file->stats.degraded = TRUE;
    file->events |= WB_EVENT_DEGRADED;
    wbf_wake_callers (file);
    wbf_notify (file);
  }
  return may_go_on (file, generation);
}

/* EACCES comes and goes on some network file systems while another client
 * reads the file. */
static gboolean
retry_later (WbFile *file, gint64 *give_up_us)
{
  gint64 now = g_get_monotonic_time ();

  if (file->transient_timeout_us <= 0)
    return FALSE;
  if (*give_up_us == 0)
    *give_up_us = now + file->transient_timeout_us;
  if (now >= *give_up_us || file->abandoned)
    return FALSE;
  wbf_wait_until (file, &file->io_cond, now + TRANSIENT_RETRY_US);
  return TRUE;
}

/* Writes once what is left of the run from `done` on. Returns the bytes, or
 * -errno. Unlocks for the calls. */
static gssize
write_some (WbFile *file, gsize done)
{
  WbBatchRun *run = &file->run;
  struct iovec *vectors = run->vectors, first;
  guint n = run->n, skipped = 0;
  gint64 offset;
  gsize skip = done;
  gssize result;
  int code;

  while (skip >= vectors[skipped].iov_len)
    skip -= vectors[skipped++].iov_len;
  vectors += skipped;
  n -= skipped;
  first = vectors[0];
  vectors[0].iov_base = (guint8 *) first.iov_base + skip;
  vectors[0].iov_len = first.iov_len - skip;
  offset = (gint64) (run->offset + done);

  wbf_enter (file, &file->io_call, "write", (guint64) offset);
  result = file->sys->write (
      file->fd, vectors, (int) n, file->seekable ? offset : -1);
  code = result < 0 ? errno : 0;
  if (result < 0 && (code == EAGAIN || code == EWOULDBLOCK)) {
    /* The waiting is the write's own: no progress, one call to report. A file is
     * always ready to poll(2): the second time it is given a rest. */
    if (!file->seekable)
      file->sys->wait_writable (file->fd, file->wake_fds[0]);
    else if (file->write_waited_us > 0)
      g_usleep (TRANSIENT_RETRY_US);
    code = EINTR;
    wbf_lock (file);
    file->write_waited_us += g_get_monotonic_time () - file->io_call.since_us;
    file->io_call.name = NULL;
  } else {
    gint64 took = wbf_leave (file, &file->io_call) + file->write_waited_us;

    file->write_waited_us = 0;
    if (result > 0)
      wb_meter_note (&file->write_meter, (guint64) result, took, TRUE);
  }
  vectors[0] = first;
  return result < 0 ? -code : result;
}

static void
account_write (WbFile *file, guint64 offset, gsize bytes)
{
  file->stats.bytes_written += bytes;
  if (file->sync_thread != NULL && file->unsynced_since_us == 0) {
    file->unsynced_since_us = file->last_progress_us;
    pthread_cond_signal (&file->sync_cond);
  }
  file->stream_offset += bytes;
  wb_planner_wrote (&file->planner, offset, bytes);
  wbf_update_queue_bound (file, bytes);
  wbf_update_share (file);
  file->stats.peak_dirty_bytes =
      MAX (file->stats.peak_dirty_bytes, wb_planner_dirty (&file->planner));
  if (wb_planner_has_ready (&file->planner))
    wbf_wake_retirer (file);
}

/* Writes the run. Returns how much of it was taken. */
static gsize
write_run (WbFile *file, guint64 generation)
{
  WbBatchRun *run = &file->run;
  gint64 give_up_us = 0;
  guint empty = 0;
  gsize done = 0;

  while (
      done < run->bytes && !file->abandoned && file->generation == generation) {
    gssize result = write_some (file, done);

    if (result > 0) {
      account_write (file, run->offset + done, (gsize) result);
      done += (gsize) result;
      give_up_us = 0;
      empty = 0;
      continue;
    }
    if (result == -EINTR
        || (result == -EACCES && retry_later (file, &give_up_us)))
      continue;
    /* Nothing written and no error: once may happen, again is a full device. */
    if (result == 0 && empty++ < 1)
      continue;
    wbf_latch (file, WB_ERROR_WRITE, result == 0 ? ENOSPC : (int) -result,
        "write", run->offset + done);
    break;
  }
  return done;
}

/* A caller that waits for room is woken for 2 ms of it at once where there is as
 * much: each wake-up costs a switch of threads. tmpfs, 64 KiB buffers: 0.35 s of
 * processor time a GB when woken for each half MiB, 0.32 for each MiB. 2 ms of
 * what the disk does, which for sixteen files at full speed is 0.292 s; of this
 * file's part of it, 0.324. */
static gboolean
has_room_worth_waking (WbFile *file)
{
  guint64 rate = wb_meter_rate (&file->write_meter);
  guint64 worth;

  if (!file->caller_wants_room || file->queued == 0)
    return TRUE;
  if (file->control)
    rate = MIN (rate, wb_meter_rate (&file->disk_meter));
  worth = MIN (rate / WAKES_A_SECOND, file->queue_bound / 4);
  return file->queued + worth <= file->queue_bound;
}

void
wbf_release_garbage (WbFile *file)
{
  if (file->garbage->len == 0)
    return;
  wbf_unlock (file);
  wb_owners_release (file->garbage);
  wbf_lock (file);
}

void
wbf_io_write (WbFile *file)
{
  guint64 generation = file->generation;
  gsize done = 0;
  gboolean stale;

  file->lively = TRUE;
  wb_queue_take (&file->queue, &file->run, write_limit (file));
  if (file->shared != NULL)
    wbf_update_window (file, 0);
  if (file->require_pending)
    wbf_require_space (file);
  if (file->prealloc.enabled && may_go_on (file, generation))
    wbf_reserve_ahead (file, file->run.offset + file->run.bytes);
  file->waits_for_window = TRUE;
  if (wait_for_window (file, generation)) {
    file->waits_for_window = FALSE;
    done = write_run (file, generation);
  }
  file->waits_for_window = FALSE;

  stale =
      file->generation != generation || file->abandoned || wbf_is_broken (file);
  if (file->generation == generation)
    file->queued -=
        MIN (file->queued, stale ? wb_batch_run_size (&file->run) : done);
  wb_queue_finish (&file->queue, &file->run, done, stale, file->garbage);
  wbf_check_recovered (file);
  if (has_room_worth_waking (file))
    wbf_wake_callers (file);
  wbf_release_garbage (file);
  wbf_notify (file);
}
