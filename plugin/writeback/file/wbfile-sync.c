/* wbfilesink: one output file: syncing
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Layout: on request, by the I/O thread; at intervals, by the syncer.
 */
#include "file/wbfile-private.h"

#include <errno.h>

/* --- on request, by the I/O thread ---------------------------------------- */

/* Until everything written has been retired and dropped. FALSE: a flush or an
 * abandonment came between, or an error. */
static gboolean
drain (WbFile *file, guint64 generation)
{
  while (file->control && !wbf_is_broken (file)) {
    if (file->abandoned || file->generation != generation)
      return FALSE;
    wb_planner_release (&file->planner, TRUE);
    if (file->retirer_resting && !wb_planner_is_draining (&file->planner)
        && !wb_planner_has_drops (&file->planner))
      break;
    wbf_wake_retirer (file);
    wbf_wait_until (file, &file->io_cond, -1);
  }
  return !file->abandoned && file->generation == generation;
}

static int
call_sync (WbFile *file, Call *call, WbSyncKind kind)
{
  gboolean data = kind == WB_SYNC_DATA;
  gint64 took;
  int code;

  wbf_enter (file, call, data ? "fdatasync" : "fsync",
      wb_planner_high_water (&file->planner));
  do
    code = (data ? file->sys->sync_data (file->fd) : file->sys->sync (file->fd))
            == 0
        ? 0
        : errno;
  while (code == EINTR);
  took = wbf_leave (file, call);
  wbf_say_locked (file, WB_LOG_DEBUG, "%s: %s, took %.1f ms",
      data ? "fdatasync" : "fsync", code == 0 ? "ok" : g_strerror (code),
      took / 1e3);
  return code;
}

/* The name is durable when the directory is. Directories that cannot be synced
 * or opened are the file system's manner, not a failure; one that is no longer
 * there, or for which there is no descriptor left, leaves the name unknown. */
static WbSyncResult
sync_parent (WbFile *file, Call *call)
{
  WbSyncResult result = WB_RESULT_DURABLE;
  int code;

  if (file->parent == NULL)
    return file->regular ? WB_RESULT_DATA : WB_RESULT_DURABLE;
  wbf_enter (file, call, "fsync (directory)", 0);
  do
    code = file->sys->sync_directory (file->parent) == 0 ? 0 : errno;
  while (code == EINTR);
  if (code != 0)
    wbf_say (file, WB_LOG_INFO, "fsync of the directory %s refused: %s",
        file->parent, g_strerror (code));
  wbf_leave (file, call);
  if (code == ENOENT || code == ENOTDIR || code == EMFILE || code == ENFILE) {
    result = WB_RESULT_DATA;
  } else if (code != 0 && !wbf_is_refusal (code) && code != EACCES
      && code != EPERM && code != EROFS) {
    wbf_latch (file, WB_ERROR_SYNC, code, "fsync (directory)", 0);
    result = WB_RESULT_FAILED;
  }
  return result;
}

static WbSyncResult
sync_now (WbFile *file, WbSyncKind kind, gboolean finish, guint64 generation)
{
  WbSyncResult result;
  guint64 covered;
  int code;

  if (finish)
    wbf_settle_requirement (file);
  /* After each call: a thread that was left behind in it makes no other. */
  if (file->abandoned)
    return WB_RESULT_CANCELLED;
  if (kind == WB_SYNC_NONE) {
    if (finish)
      wbf_trim (file);
    wb_planner_release (&file->planner, TRUE);
    wbf_wake_retirer (file);
    return file->error.kind == WB_ERROR_NONE ? WB_RESULT_SKIPPED
                                             : WB_RESULT_FAILED;
  }
  if (!drain (file, generation))
    return WB_RESULT_CANCELLED;
  if (file->control)
    wbf_say_locked (file, WB_LOG_DEBUG, "everything has been retired");
  if (finish)
    wbf_trim (file);
  if (file->abandoned)
    return WB_RESULT_CANCELLED;

  covered = wb_planner_high_water (&file->planner);
  /* Also after an error: what was taken before it shall be on the disk. But an
   * fsync that failed is never asked again: it might say 0. */
  if (file->sync_failed)
    return WB_RESULT_FAILED;
  code = call_sync (file, &file->io_call, kind);
  /* It may have been given an error that is this sync's to report. */
  while (file->interval_syncing && !file->abandoned)
    wbf_wait_until (file, &file->io_cond, -1);
  if (file->abandoned)
    return WB_RESULT_CANCELLED;
  if (code != 0 && (wbf_is_refusal (code) || (code == EROFS && !file->regular)))
    return file->error.kind == WB_ERROR_NONE ? WB_RESULT_SKIPPED
                                             : WB_RESULT_FAILED;
  if (code != 0) {
    wbf_latch (file, WB_ERROR_SYNC, code,
        kind == WB_SYNC_DATA ? "fdatasync" : "fsync", covered);
    file->sync_failed = TRUE;
    return WB_RESULT_FAILED;
  }
  if (file->error.kind != WB_ERROR_NONE)
    return WB_RESULT_FAILED;
  result = kind == WB_SYNC_FULL ? sync_parent (file, &file->io_call)
                                : WB_RESULT_DATA;
  file->name_synced |= result == WB_RESULT_DURABLE;
  /* While the stream goes on, what an interval reports has a name after a power
   * cut. */
  if (finish || file->name_synced || file->bounds.sync_interval_us <= 0)
    file->stats.durable_bytes = covered;
  /* Nothing is left for the next interval, unless the name is. */
  if (file->name_synced)
    file->unsynced_since_us = 0;
  return result;
}

static void
say_sync_asked (WbFile *file, gboolean finish)
{
  guint64 high_water = wb_planner_high_water (&file->planner);
  guint64 dirty = wbf_dirty_bytes (file);

  wbf_say_locked (file, WB_LOG_DEBUG,
      "%s: everything is written up to %" G_GUINT64_FORMAT
      ", %" G_GUINT64_FORMAT " bytes are dirty",
      finish ? "the end" : "a sync was asked for in the stream", high_water,
      dirty);
}

void
wbf_io_sync (WbFile *file)
{
  guint64 generation = file->generation;
  WbItem sync = wb_queue_pop_sync (&file->queue);
  gboolean finish = (sync.kind & WBF_SYNC_FINISHES) != 0;
  WbSyncResult result;

  file->io_syncing = TRUE;
  say_sync_asked (file, finish);
  result = sync_now (file, sync.kind & ~WBF_SYNC_FINISHES, finish, generation);
  if (finish && file->control && generation == file->generation
      && (result == WB_RESULT_DURABLE || result == WB_RESULT_DATA)) {
    wb_planner_settle (&file->planner);
    drain (file, generation);
    if (file->error.kind != WB_ERROR_NONE)
      result = WB_RESULT_FAILED;
  }
  file->io_syncing = FALSE;
  pthread_cond_signal (&file->sync_cond);
  /* Unless a flush has discarded it. */
  if (sync.token > file->token_done) {
    file->token_done = sync.token;
    file->sync_done_result = result;
  }
  wbf_wake_callers (file);
  wbf_notify (file);
}

/* --- at intervals, by the syncer ------------------------------------------ */

/* When the next one is due: an interval after the first write that the last
 * one does not cover, and not before the retirer has seen to what that one has
 * written, or nothing would ever be started between two long ones; nor while
 * the high-water mark is that from before a flush. -1: not before something
 * happens. */
static gint64
next_due (const WbFile *file)
{
  gint64 interval = file->bounds.sync_interval_us;

  if (interval <= 0 || file->unsynced_since_us == 0 || file->io_syncing
      || file->restart_pending || file->interval_refused || file->sync_failed
      || file->error.kind != WB_ERROR_NONE
      || (file->control && file->drained_by_sync))
    return -1;
  return wbf_deadline_after (file->unsynced_since_us, interval);
}

/* A start or a wait of the retirer that was under way while the sync returned
 * may have been given the error that the sync did not see. */
static void
let_retirer_answer (WbFile *file)
{
  guint64 calls = file->retire_calls;

  while (file->retire_call.name != NULL && file->retire_calls == calls
      && !file->abandoned)
    wbf_wait_until (file, &file->sync_cond, -1);
}

static void
begin_interval_sync (WbFile *file)
{
  file->interval_syncing = TRUE;
  file->sync_stall_told = NULL;
  file->unsynced_since_us = 0;
  if (!file->control)
    return;
  /* fdatasync waits for whatever is under write-out, also for what was started
   * after it began: at full speed it would not return while the file is being
   * written. Its time and its bytes count for the drain rate. */
  wb_planner_hold_starts (&file->planner, TRUE);
  if (wb_planner_in_flight (&file->planner) == 0)
    wbf_mark_drain (file, 0);
  file->drained_by_sync = TRUE;
}

/* What the sync has written is started and retired once more, which takes no
 * time, and is dropped. */
static void
end_interval_sync (WbFile *file, guint64 covered)
{
  file->interval_syncing = FALSE;
  if (file->control) {
    wb_planner_hold_starts (&file->planner, FALSE);
    wb_planner_release_below (&file->planner, covered);
    file->synced_goal =
        file->drain_meter.total + wb_planner_draining (&file->planner);
    file->drained_by_sync = file->synced_goal > file->drain_meter.total;
    wbf_wake_retirer (file);
  }
  pthread_cond_signal (&file->io_cond);
}

static void
sync_interval (WbFile *file)
{
  guint64 generation = file->generation,
          covered = wb_planner_high_water (&file->planner);
  gint64 began = g_get_monotonic_time ();
  gboolean durable;
  int code;

  begin_interval_sync (file);
  code = call_sync (file, &file->sync_call, WB_SYNC_DATA);
  let_retirer_answer (file);
  if (code == 0 && !file->name_synced && !file->abandoned)
    file->name_synced =
        sync_parent (file, &file->sync_call) == WB_RESULT_DURABLE;
  if (wbf_is_refusal (code)) {
    file->interval_refused = TRUE;
    wbf_say_locked (file, WB_LOG_INFO,
        "fdatasync refused (%s): nothing is synced at intervals",
        g_strerror (code));
  } else if (code != 0) {
    wbf_latch (file, WB_ERROR_SYNC, code, "fdatasync", covered);
    file->sync_failed = TRUE;
  }
  durable = code == 0 && file->name_synced && file->generation == generation
      && file->error.kind == WB_ERROR_NONE && !file->io_syncing
      && !file->abandoned;
  if (durable)
    file->stats.durable_bytes = MAX (file->stats.durable_bytes, covered);
  end_interval_sync (file, covered);
  if (durable)
    wbf_say_locked (file, WB_LOG_DEBUG,
        "durable up to %" G_GUINT64_FORMAT ", the sync took %.1f ms", covered,
        (g_get_monotonic_time () - began) / 1e3);
}

static gpointer
syncer_main (gpointer data)
{
  WbFile *file = data;

  wbf_lock (file);
  while (!file->syncer_quit && !file->abandoned) {
    gint64 due = next_due (file);

    if (due < 0 || due > g_get_monotonic_time ()) {
      wbf_wait_until (file, &file->sync_cond, due);
      continue;
    }
    sync_interval (file);
    wbf_notify (file);
  }
  wbf_unlock (file);
  wbf_thread_ends (file);
  return NULL;
}

void
wbf_start_syncer (WbFile *file)
{
  if (file->bounds.sync_interval_us <= 0 || file->sync_thread != NULL
      || file->quit || file->abandoned
      || (!file->regular && !file->block_device))
    return;
  file->users++;
  wb_file_ref (file);
  file->sync_thread = wbf_start_thread ("wbfile-sync", syncer_main, file);
  if (file->sync_thread == NULL) {
    file->users--;
    wb_file_unref (file);
    wbf_latch (file, WB_ERROR_THREAD, EAGAIN, "pthread_create", 0);
    return;
  }
  if (file->stats.bytes_written > 0)
    file->unsynced_since_us = g_get_monotonic_time ();
}

gboolean
wbf_sync_stalled (WbFile *file)
{
  const Call *call = &file->sync_call;

  if (call->name == NULL || call->name == file->sync_stall_told
      || file->bounds.sync_timeout_us < 0
      || g_get_monotonic_time () - call->since_us
          < file->bounds.sync_timeout_us)
    return FALSE;
  file->sync_stall_told = call->name;
  return TRUE;
}
