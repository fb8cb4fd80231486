/* wbfilesink: one output file: what callers see
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Layout: references and threads; opening, closing, figures; the streaming
 * thread.
 */
#include "file/wbfile-private.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

/* start() must answer even with a tiny sync timeout. */
#define OPEN_TIMEOUT_MIN_US (G_USEC_PER_SEC / 2)
/* So long is waited for storage to say that a file of this name is not the one
 * that hangs there. */
#define BUSY_PATIENCE_US (G_USEC_PER_SEC / 4)
/* So long nothing may move before a fast disk's queue grows. */
#define BREAK_US (10 * 1000)
/* What a person would call held. */
#define HELD_SAID_US (10 * 1000)

/* --- references and threads ------------------------------------------------ */

WbFile *
wb_file_ref (WbFile *file)
{
  g_atomic_int_inc (&file->ref_count);
  return file;
}

void
wb_file_unref (WbFile *file)
{
  if (!g_atomic_int_dec_and_test (&file->ref_count))
    return;
  wb_queue_clear (&file->queue, file->garbage);
  wb_owners_release (file->garbage);
  g_array_free (file->garbage, TRUE);
  if (file->shared != NULL)
    wb_device_count_dirty (file->shared, file->counted_dirty, 0);
  if (file->active)
    wb_device_leave (file->shared);
  g_clear_pointer (&file->shared, wb_device_put);
  if (file->listener.release != NULL)
    file->listener.release (file->listener.data);
  pthread_mutex_destroy (&file->lock);
  pthread_cond_destroy (&file->io_cond);
  pthread_cond_destroy (&file->retire_cond);
  pthread_cond_destroy (&file->sync_cond);
  pthread_cond_destroy (&file->user_cond);
  g_free (file->location);
  g_free (file->parent);
  g_free (file);
}

static void
init_cond (pthread_cond_t *cond)
{
  pthread_condattr_t attributes;

  pthread_condattr_init (&attributes);
#ifndef __APPLE__
  pthread_condattr_setclock (&attributes, CLOCK_MONOTONIC);
#endif
  pthread_cond_init (cond, &attributes);
  pthread_condattr_destroy (&attributes);
}

/* It is held for a microsecond, and a thread that sleeps for it costs a switch of
 * threads, 12 us: spinning comes first where the system has that. 1316-byte
 * buffers, the machine's own disk: 1750 switches a GB without, 780 with. */
static void
init_lock (pthread_mutex_t *lock)
{
  pthread_mutexattr_t attributes;

  pthread_mutexattr_init (&attributes);
#ifdef PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP
  pthread_mutexattr_settype (&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
#endif
  pthread_mutex_init (lock, &attributes);
  pthread_mutexattr_destroy (&attributes);
}

static WbFile *
file_new (const WbFileConfig *config)
{
  WbFile *file = g_new0 (WbFile, 1);

  file->ref_count = 1;
  file->sys = config->sys != NULL ? config->sys : wb_sys_default ();
  file->listener = config->listener;
  file->location = g_strdup (config->location);
  file->mode = config->mode;
  file->writeback = config->writeback;
  file->preallocate = config->preallocate;
  file->prealloc.expected[WB_SIZE_PROPERTY] = config->size_hint;
  file->o_sync = config->o_sync;
  file->unbuffered = config->unbuffered;
  file->wake_bytes = MAX (config->wake_bytes, 1);
  file->transient_timeout_us = config->transient_timeout_us;
  file->bounds = config->bounds;
  file->fd = file->wake_fds[0] = file->wake_fds[1] = -1;
  file->garbage = g_array_new (FALSE, FALSE, sizeof (WbOwner));
  file->retirer_resting = TRUE;
  file->last_progress_us = g_get_monotonic_time ();
  init_lock (&file->lock);
  init_cond (&file->io_cond);
  init_cond (&file->retire_cond);
  init_cond (&file->sync_cond);
  init_cond (&file->user_cond);
  return file;
}

/* New threads inherit the mask: a signal meant for the application must not
 * end up in a system call of ours, SIGPIPE becomes EPIPE and SIGXFSZ EFBIG. */
GThread *
wbf_start_thread (const char *name, GThreadFunc function, WbFile *file)
{
  GThread *thread;
#ifndef G_OS_WIN32
  sigset_t all, before;

  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &before);
#endif
  thread = g_thread_try_new (name, function, file, NULL);
#ifndef G_OS_WIN32
  pthread_sigmask (SIG_SETMASK, &before, NULL);
#endif
  return thread;
}

/* --- what callers see ----------------------------------------------------------- */

/* Waits for news, at most until nothing has moved for `timeout_us` since
 * `start_us`. FALSE: nothing has. */
static gboolean
wait_for_progress (WbFile *file, gint64 start_us, gint64 timeout_us)
{
  gint64 since = MAX (start_us, file->last_progress_us);
  gint64 deadline = wbf_deadline_after (since, timeout_us);
  gboolean in_time;

  file->callers_waiting++;
  in_time = wbf_wait_until (file, &file->user_cond, deadline);
  file->callers_waiting--;
  return in_time || MAX (start_us, file->last_progress_us) != since;
}

/* The same for a wait that gives up: if one has given up already and nothing
 * has moved since, it is not waited for again. */
static gboolean
wait_or_give_up (WbFile *file, gint64 start_us, WbStall *stall)
{
  if (file->progress_given_up != file->progress + 1
      && wait_for_progress (file, start_us, file->bounds.sync_timeout_us))
    return TRUE;
  file->progress_given_up = file->progress + 1;
  wbf_find_stall (file, stall);
  return FALSE;
}

WbFile *
wb_file_open (const WbFileConfig *config, WbError *error, WbStall *stall)
{
  WbFile *file = file_new (config);
  gint64 timeout = config->bounds.sync_timeout_us;

  memset (error, 0, sizeof *error);
  memset (stall, 0, sizeof *stall);
  wbf_lock (file);
  file->users = 1;
  file->io_thread =
      wbf_start_thread ("wbfile-io", wbf_io_main, wb_file_ref (file));
  if (file->io_thread == NULL) {
    wb_file_unref (file);
    wbf_unlock (file);
    error->kind = WB_ERROR_THREAD;
    error->code = EAGAIN;
    error->call = "pthread_create";
    wb_file_unref (file);
    return NULL;
  }

  if (timeout >= 0)
    timeout = MAX (timeout, OPEN_TIMEOUT_MIN_US);
  while (!file->opened && !file->closed) {
    gint64 patience =
        file->perhaps_busy && (timeout < 0 || timeout > BUSY_PATIENCE_US)
        ? BUSY_PATIENCE_US
        : timeout;

    if (!wait_for_progress (file, 0, patience))
      break;
  }
  if (file->opened) {
    WbStats stats;

    *error = file->error;
    wbf_unlock (file);
    if (error->kind == WB_ERROR_NONE)
      return file;
    /* A thread that could not be had. */
    wb_file_close (file, &stats, NULL);
    return NULL;
  }

  if (file->closed) {
    GThread *thread = g_steal_pointer (&file->io_thread);

    *error = file->error;
    wbf_unlock (file);
    g_thread_join (thread);
  } else {
    error->kind = file->perhaps_busy ? WB_ERROR_BUSY : WB_ERROR_OPEN;
    error->code = file->perhaps_busy ? EBUSY : ETIMEDOUT;
    error->call = "open";
    if (!file->perhaps_busy)
      wbf_find_stall (file, stall);
    wbf_abandon (file);
    g_thread_unref (g_steal_pointer (&file->io_thread));
    wbf_unlock (file);
  }
  wb_file_unref (file);
  return NULL;
}

static void
fill_stats (WbFile *file, WbStats *stats)
{
  WbPlannerCounters counters = wb_planner_counters (&file->planner);
  guint64 high_water = file->seekable ? wb_planner_high_water (&file->planner)
                                      : file->stream_offset;

  *stats = file->stats;
  stats->high_water = high_water;
  stats->queued_bytes = file->queued;
  stats->dirty_bytes = wbf_dirty_bytes (file);
  stats->chunks_started = counters.chunks_started;
  stats->chunks_retired = counters.chunks_retired;
  stats->back_patches = counters.back_patches;
  stats->late_back_patches = counters.late_back_patches;
  stats->drain_rate = wb_meter_rate (&file->drain_meter);
  stats->window =
      file->control ? wb_planner_window (&file->planner) : G_MAXUINT64;
  stats->error = file->error;
  stats->final_size = MAX (high_water, file->final_high_water);
  if (file->regular && file->mode != WB_OPEN_TRUNCATE)
    stats->final_size = MAX (stats->final_size, file->size_at_open);
}

WbStatus
wb_file_close (WbFile *file, WbStats *stats, WbStall *stall)
{
  gint64 start = g_get_monotonic_time ();
  GThread *io_thread, *others[2];
  WbStatus status = WB_OK;

  wbf_lock (file);
  file->quit = TRUE;
  pthread_cond_signal (&file->io_cond);
  while (!file->closed && status == WB_OK)
    if (!wait_or_give_up (file, start, stall) && !file->closed)
      status = WB_TIMEOUT;
  fill_stats (file, stats);
  io_thread = g_steal_pointer (&file->io_thread);
  others[0] = g_steal_pointer (&file->retire_thread);
  others[1] = g_steal_pointer (&file->sync_thread);
  if (status == WB_TIMEOUT)
    wbf_abandon (file);
  else if (file->error.kind != WB_ERROR_NONE)
    status = WB_FAILED;
  wbf_unlock (file);

  if (status == WB_TIMEOUT) {
    g_thread_unref (io_thread);
    for (guint i = 0; i < G_N_ELEMENTS (others); i++)
      g_clear_pointer (&others[i], g_thread_unref);
  } else {
    g_thread_join (io_thread);
    for (guint i = 0; i < G_N_ELEMENTS (others); i++)
      if (others[i] != NULL)
        g_thread_join (others[i]);
  }
  wb_file_unref (file);
  return status;
}

gboolean
wb_file_is_seekable (const WbFile *file)
{
  return file->seekable;
}

void
wb_file_set_bounds (WbFile *file, const WbBounds *bounds)
{
  wbf_lock (file);
  file->bounds = *bounds;
  wbf_update_bounds (file);
  if (file->opened)
    wbf_start_syncer (file);
  pthread_cond_signal (&file->sync_cond);
  pthread_cond_signal (&file->io_cond);
  wbf_wake_callers (file);
  wbf_unlock (file);
}

void
wb_file_get_stats (WbFile *file, WbStats *stats)
{
  wbf_lock (file);
  fill_stats (file, stats);
  wbf_unlock (file);
}

guint64
wb_file_get_position (WbFile *file)
{
  guint64 position;

  wbf_lock (file);
  position = file->push_offset - file->base;
  wbf_unlock (file);
  return position;
}

gboolean
wb_file_get_error (WbFile *file, WbError *error)
{
  gboolean failed;

  wbf_lock (file);
  failed = file->error.kind != WB_ERROR_NONE;
  if (error != NULL)
    *error = file->error;
  wbf_unlock (file);
  return failed;
}

void
wb_file_get_stall (WbFile *file, WbStall *stall)
{
  wbf_lock (file);
  wbf_find_stall (file, stall);
  wbf_unlock (file);
}

WbEvents
wb_file_take_events (WbFile *file)
{
  WbEvents events;

  wbf_lock (file);
  events = file->events;
  file->events = file->events_told = 0;
  wbf_unlock (file);
  return events;
}

/* --- the streaming thread ---------------------------------------------------- */

static gboolean
has_room_within (const WbFile *file, gsize bytes, guint64 bound)
{
  return file->queued == 0
      || (file->queued < bound && bytes <= bound - file->queued);
}

static gboolean
has_room (const WbFile *file, gsize bytes)
{
  return has_room_within (file, bytes, file->queue_bound);
}

/* A disk that is fast enough for a part of the queue may take a break: the rest
 * is for that. TRUE: nothing has moved for so long that it is one. */
static gboolean
is_at_a_break (WbFile *file)
{
  gint64 until = file->last_progress_us + BREAK_US;

  if (g_get_monotonic_time () < until) {
    file->callers_waiting++;
    wbf_wait_until (file, &file->user_cond, until);
    file->callers_waiting--;
  }
  return g_get_monotonic_time () >= file->last_progress_us + BREAK_US;
}

/* A stall is worth one warning before the timeout, if that comes later. */
static gint64
room_patience (WbFile *file)
{
  gint64 timeout = file->bounds.sync_timeout_us;
  gint64 stalled = file->bounds.writeback_timeout_us;

  if (stalled < 0 || (timeout >= 0 && timeout <= stalled)
      || file->stall_told == file->progress + 1)
    return timeout;
  return stalled;
}

/* A wait that has told of a stall goes on after it: the timeout counts from its
 * beginning. The one after a timeout begins anew. */
static WbStatus
out_of_patience (WbFile *file, gint64 start_us, gint64 patience, WbStall *stall)
{
  gboolean timed_out = patience == file->bounds.sync_timeout_us;

  wbf_find_stall (file, stall);
  file->room_wait_us = timed_out ? g_get_monotonic_time () : start_us;
  if (timed_out)
    return WB_TIMEOUT;
  file->stall_told = file->progress + 1;
  return WB_STALLED;
}

/* What the I/O thread is at while the queue is full. */
static const char *
why_held (const WbFile *file)
{
  if (file->io_call.name != NULL)
    return file->io_call.name;
  return file->waits_for_window ? "the window is full" : "the queue is full";
}

static WbStatus
wait_for_room (WbFile *file, gsize bytes, WbStall *stall)
{
  gint64 start = g_get_monotonic_time (), held;
  gint64 since =
      file->stall_told == file->progress + 1 ? file->room_wait_us : start;
  WbStatus status = WB_OK;

  file->caller_wants_room = TRUE;
  file->held_for = why_held (file);
  pthread_cond_signal (&file->io_cond);
  while (status == WB_OK && !has_room (file, bytes)) {
    gint64 patience = room_patience (file);

    if (file->interrupted)
      status = WB_INTERRUPTED;
    else if (file->error.kind != WB_ERROR_NONE)
      status = WB_FAILED;
    else if (has_room_within (file, bytes, file->queue_most)) {
      if (is_at_a_break (file))
        break;
    } else if (!wait_for_progress (file, since, patience)
        && !has_room (file, bytes))
      status = out_of_patience (file, since, patience, stall);
  }
  file->caller_wants_room = FALSE;
  held = g_get_monotonic_time () - start;
  file->stats.wait_us += (guint64) held;
  file->stats.max_wait_us = MAX (file->stats.max_wait_us, (guint64) held);
  file->held_us += held;
  return status;
}

WbStatus
wb_file_begin (WbFile *file, gsize bytes, WbStall *stall)
{
  WbStatus status = WB_OK;

  wbf_lock (file);
  if (file->sync_call.name != NULL && wbf_sync_stalled (file)) {
    file->events |= WB_EVENT_SYNC_STALLED;
    wbf_notify (file);
  }
  if (file->error.kind != WB_ERROR_NONE)
    status = WB_FAILED;
  else if (!has_room (file, bytes))
    status = wait_for_room (file, bytes, stall);
  if (status != WB_OK)
    wbf_unlock (file);
  return status;
}

static void
accept (WbFile *file, gsize size)
{
  file->push_offset += size;
  file->accepted += size;
  file->queued += size;
}

void
wb_file_copy (WbFile *file, const void *data, gsize size)
{
  wb_queue_copy (&file->queue, file->push_offset, data, size);
  accept (file, size);
}

void
wb_file_hold (WbFile *file, const void *data, gsize size, gpointer owner,
    GDestroyNotify release)
{
  wb_queue_hold (&file->queue, file->push_offset, data, size, owner, release);
  accept (file, size);
}

void
wb_file_end_buffer (WbFile *file)
{
  if (file->unbuffered)
    wb_queue_end_write (&file->queue);
}

void
wb_file_give_way (WbFile *file)
{
  wbf_unlock (file);
  wbf_lock (file);
}

void
wb_file_end (WbFile *file)
{
  gboolean wake = file->io_state == IO_IDLE
      || (file->io_state == IO_LINGERING && wbf_worth_writing (file));
  gint64 held_us = file->held_us;

  file->stats.peak_queued_bytes =
      MAX (file->stats.peak_queued_bytes, file->queued);
  if (wake) {
    file->io_state = IO_BUSY;
    pthread_cond_signal (&file->io_cond);
  }
  file->held_us = 0;
  wbf_unlock (file);
  if (held_us >= HELD_SAID_US)
    wbf_say (file, WB_LOG_DEBUG, "a push was held for %.1f ms: %s",
        held_us / 1e3, file->held_for);
}

gboolean
wb_file_seek (WbFile *file, guint64 position, guint64 *from, guint64 *furthest)
{
  gboolean moved = TRUE;

  wbf_lock (file);
  *from = file->push_offset - file->base;
  file->furthest = MAX (file->furthest, *from);
  *furthest = file->furthest;
  if (position != *from) {
    if (!file->seekable || position > G_MAXINT64
        || position > G_MAXINT64 - file->base) {
      moved = FALSE;
      wbf_latch (file, WB_ERROR_SEEK, file->seekable ? EOVERFLOW : ESPIPE,
          "seek", position);
    } else {
      file->push_offset = file->base + position;
      file->prealloc.in_order = FALSE;
      file->stats.seeks++;
    }
  }
  wbf_unlock (file);
  return moved;
}

guint64
wb_file_request_sync (WbFile *file, WbSyncKind kind, gboolean finish)
{
  guint64 token;

  wbf_lock (file);
  token = ++file->tokens;
  if (finish) {
    file->token_finish = token;
    file->accepted_at_finish = file->accepted;
  }
  wb_queue_sync (&file->queue, token, kind | (finish ? WBF_SYNC_FINISHES : 0));
  file->io_state = IO_BUSY;
  pthread_cond_signal (&file->io_cond);
  wbf_unlock (file);
  return token;
}

WbStatus
wb_file_wait_sync (
    WbFile *file, guint64 token, WbSyncResult *result, WbStall *stall)
{
  gint64 start = g_get_monotonic_time ();
  WbStatus status = WB_OK;

  wbf_lock (file);
  while (status == WB_OK && file->token_done < token) {
    if (file->interrupted)
      status = WB_INTERRUPTED;
    else if (!wait_or_give_up (file, start, stall) && file->token_done < token)
      status = WB_TIMEOUT;
  }
  *result = status == WB_OK ? file->sync_done_result : WB_RESULT_NONE;
  wbf_unlock (file);
  return status;
}

/* A wait for the finishing sync that was cancelled or timed out never heard how
 * it went on: that sync counts, unless it was discarded by a flush. */
gboolean
wb_file_needs_sync (WbFile *file, guint64 *token)
{
  gboolean covered, pending, unheard;

  wbf_lock (file);
  covered = file->accepted == file->accepted_at_finish;
  pending = file->token_done < file->token_finish;
  unheard = file->stats.sync_result == WB_RESULT_CANCELLED
      || file->stats.sync_result == WB_RESULT_TIMEOUT;
  *token = covered
          && (pending
              || (unheard && file->token_done == file->token_finish
                  && file->sync_done_result != WB_RESULT_CANCELLED))
      ? file->token_finish
      : 0;
  wbf_unlock (file);
  return !covered || pending || unheard;
}

void
wb_file_note_result (WbFile *file, WbSyncResult result, gint64 elapsed_us)
{
  wbf_lock (file);
  file->stats.sync_result = result;
  file->stats.sync_us = (guint64) elapsed_us;
  wbf_unlock (file);
}

void
wb_file_set_expected (WbFile *file, WbSizeSource source, guint64 bytes)
{
  wbf_lock (file);
  file->prealloc.expected[source] = bytes;
  wbf_unlock (file);
}

gboolean
wb_file_set_duration (WbFile *file, guint64 duration)
{
  gboolean changed;

  wbf_lock (file);
  changed = file->prealloc.duration != duration;
  file->prealloc.duration = duration;
  wbf_unlock (file);
  return changed;
}

void
wb_file_set_elapsed (WbFile *file, guint64 elapsed)
{
  wb_prealloc_elapsed (&file->prealloc, elapsed,
      file->push_offset - MIN (file->base, file->push_offset));
}

void
wb_file_get_reserve_report (WbFile *file, WbReserveReport *report)
{
  wbf_lock (file);
  *report = file->report;
  wbf_unlock (file);
}

void
wb_file_interrupt (WbFile *file, gboolean interrupt)
{
  wbf_lock (file);
  file->interrupted = interrupt;
  if (interrupt)
    wbf_wake_callers (file);
  wbf_unlock (file);
}

void
wb_file_flush (WbFile *file)
{
  GArray *owners = g_array_new (FALSE, FALSE, sizeof (WbOwner));

  wbf_lock (file);
  wb_queue_clear (&file->queue, owners);
  file->queued = 0;
  file->generation++;
  file->restart_pending = TRUE;
  file->push_offset = file->seekable ? file->base : file->push_offset;
  file->furthest = 0;
  if (file->token_done < file->tokens) {
    file->token_done = file->tokens;
    file->sync_done_result = WB_RESULT_CANCELLED;
  }
  file->io_state = IO_BUSY;
  pthread_cond_signal (&file->io_cond);
  wbf_wake_callers (file);
  wbf_unlock (file);
  wb_owners_release (owners);
  g_array_free (owners, TRUE);
}

const char *
wb_sync_result_name (WbSyncResult result)
{
  static const char *const names[] = { "none", "durable", "data", "timeout",
    "cancelled", "failed", "skipped" };

  return names[result];
}

const char *
wb_reserve_result_name (WbReserveResult result)
{
  static const char *const names[] = { "reserved", "partial", "refused",
    "skipped" };

  return names[result];
}
