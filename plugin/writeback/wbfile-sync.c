/* wbfilesink: one output file: syncing
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "wbfile-private.h"

#include <errno.h>

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
        && file->planner.drops.n == 0)
      break;
    wbf_wake_retirer (file);
    wbf_wait_until (file, &file->io_cond, -1);
  }
  return !file->abandoned && file->generation == generation;
}

static int
call_sync (WbFile *file, WbSyncKind kind)
{
  gboolean data = kind == WB_SYNC_DATA;
  int code;

  wbf_enter (file, &file->io_call, data ? "fdatasync" : "fsync",
      file->planner.high_water);
  do
    code = (data ? file->sys->sync_data (file->fd) : file->sys->sync (file->fd))
            == 0
        ? 0
        : errno;
  while (code == EINTR);
  wbf_leave (file, &file->io_call);
  return code;
}

/* The name is durable when the directory is. Directories that cannot be synced
 * or opened are the file system's manner, not a failure; one that is no longer
 * there leaves the name unknown. */
static WbSyncResult
sync_parent (WbFile *file)
{
  WbSyncResult result = WB_RESULT_DURABLE;
  int code;

  if (file->parent == NULL)
    return file->regular ? WB_RESULT_DATA : WB_RESULT_DURABLE;
  wbf_enter (file, &file->io_call, "fsync (directory)", 0);
  do
    code = file->sys->sync_directory (file->parent) == 0 ? 0 : errno;
  while (code == EINTR);
  if (code != 0)
    wbf_say (file, WB_LOG_INFO, "fsync of the directory %s refused: %s",
        file->parent, g_strerror (code));
  wbf_leave (file, &file->io_call);
  if (code == ENOENT || code == ENOTDIR) {
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
  guint64 covered;
  int code;

  wbf_settle_requirement (file);
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
  if (finish)
    wbf_trim (file);

  covered = file->planner.high_water;
  /* Also after an error: what was taken before it shall be on the disk. But an
   * fsync that failed is never asked again: it might say 0. */
  if (file->sync_failed)
    return WB_RESULT_FAILED;
  code = call_sync (file, kind);
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
  file->stats.durable_bytes = covered;
  if (kind != WB_SYNC_FULL)
    return WB_RESULT_DATA;
  return sync_parent (file);
}

void
wbf_io_sync (WbFile *file)
{
  guint64 generation = file->generation;
  WbItem sync = wb_queue_pop_sync (&file->queue);
  gboolean finish = (sync.kind & WBF_SYNC_FINISHES) != 0;
  WbSyncResult result =
      sync_now (file, sync.kind & ~WBF_SYNC_FINISHES, finish, generation);

  if (finish && file->control && generation == file->generation
      && (result == WB_RESULT_DURABLE || result == WB_RESULT_DATA)) {
    wb_planner_settle (&file->planner);
    drain (file, generation);
    if (file->error.kind != WB_ERROR_NONE)
      result = WB_RESULT_FAILED;
  }
  file->token_done = MAX (file->token_done, sync.token);
  file->sync_done_result = result;
  wbf_wake_callers (file);
  wbf_notify (file);
}
