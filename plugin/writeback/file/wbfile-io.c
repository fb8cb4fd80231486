/* wbfilesink: one output file: the I/O thread's life
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Layout: starting again; the loop and its end.
 */
#include "file/wbfile-private.h"

#include <errno.h>
#include <unistd.h>

/* --- starting again ------------------------------------------ */

/* FLUSH_STOP: the queue is gone already; what was written goes too. */
static void
io_restart (WbFile *file)
{
  gboolean truncate = file->regular && file->mode != WB_OPEN_OVERWRITE
      && wb_planner_high_water (&file->planner) > file->base;
  int code = 0;

  file->hold_retirer = TRUE;
  while (file->control && !file->retirer_resting && !file->abandoned) {
    pthread_cond_signal (&file->retire_cond);
    wbf_wait_until (file, &file->io_cond, -1);
  }
  if (file->abandoned)
    return;

  if (truncate && !wbf_is_broken (file)) {
    code = wbf_call_truncate (file, file->base);
    if (code == 0) {
      wb_prealloc_trimmed (&file->prealloc, file->base);
      wbf_say_locked (file, WB_LOG_DEBUG,
          "flush: truncated to %" G_GUINT64_FORMAT, file->base);
    }
    if (code != 0)
      wbf_latch (file, WB_ERROR_WRITE, code, "ftruncate", file->base);
  }
  if (!truncate)
    file->final_high_water =
        MAX (file->final_high_water, wb_planner_high_water (&file->planner));
  wb_planner_restart (&file->planner, truncate && code == 0);
  /* A flush that came meanwhile found nothing written since the one before. */
  file->restart_pending = file->hold_retirer = FALSE;
  file->stats.durable_bytes = MIN (file->stats.durable_bytes, file->base);
  if (!file->interval_syncing)
    file->drained_by_sync = FALSE;
  pthread_cond_signal (&file->sync_cond);
  wbf_update_share (file);
  wbf_wake_retirer (file);
  wbf_wake_callers (file);
}

/* --- the loop and its end --------------------------------------------------- */

/* The last thread that holds the descriptor closes it: no number is reused
 * under a thread that is stuck, and no caller ever waits in close(), which is
 * an fsync on NFS. */
static void
close_target (WbFile *file)
{
  int fd, code;

  fd = file->fd;
  file->fd = -1;
  if (fd >= 0) {
    wbf_enter (
        file, &file->io_call, "close", wb_planner_high_water (&file->planner));
    code = file->sys->close (fd) == 0 ? 0 : errno;
    wbf_leave (file, &file->io_call);
    /* EINTR: Linux has closed it all the same. */
    if (code != 0 && code != EINTR)
      wbf_latch (file, WB_ERROR_CLOSE, code, "close",
          wb_planner_high_water (&file->planner));
  }
#ifndef G_OS_WIN32
  for (int i = 0; i < 2; i++)
    if (file->wake_fds[i] >= 0)
      close (file->wake_fds[i]);
  file->wake_fds[0] = file->wake_fds[1] = -1;
#endif
  file->closed = TRUE;
}

void
wbf_thread_ends (WbFile *file)
{
  wbf_lock (file);
  if (--file->users == 0) {
    if (file->abandoned)
      wbf_say_locked (file, WB_LOG_INFO,
          "a call that was left behind has returned: closing");
    close_target (file);
    wbf_registry_remove (file);
    wbf_wake_callers (file);
  }
  wbf_unlock (file);
  wb_file_unref (file);
}

/* After an error what is queued can no longer be written. */
static void
discard_data (WbFile *file)
{
  while (!wb_queue_is_empty (&file->queue)
      && wb_queue_peek (&file->queue)->size > 0) {
    wb_queue_take (&file->queue, &file->run, G_MAXSIZE);
    file->queued -= MIN (file->queued, wb_batch_run_size (&file->run));
    wb_queue_finish (&file->queue, &file->run, 0, TRUE, file->garbage);
  }
  wbf_wake_callers (file);
  wbf_release_garbage (file);
}

static void
io_loop (WbFile *file)
{
  while (!file->abandoned) {
    if (file->restart_pending) {
      io_restart (file);
    } else if (wb_queue_is_empty (&file->queue)) {
      if (file->quit)
        return;
      wbf_wait_for_data (file);
    } else if (wb_queue_peek (&file->queue)->size == 0) {
      wbf_io_sync (file);
    } else if (wbf_is_broken (file)) {
      discard_data (file);
    } else {
      if (!wbf_worth_writing (file) && !wbf_is_due (file))
        wbf_linger (file);
      if (!wb_queue_is_empty (&file->queue) && !file->restart_pending
          && !file->abandoned && wb_queue_peek (&file->queue)->size > 0)
        wbf_io_write (file);
    }
  }
}

gpointer
wbf_io_main (gpointer data)
{
  WbFile *file = data;

  wbf_lock (file);
  if (wbf_io_open (file)) {
    wbf_io_opened (file);
    file->opened = TRUE;
    wbf_wake_callers (file);
    io_loop (file);
    if (!file->abandoned) {
      wbf_settle_requirement (file);
      wbf_trim (file);
    }
  }
  file->retirer_quit = file->syncer_quit = TRUE;
  pthread_cond_signal (&file->retire_cond);
  pthread_cond_signal (&file->sync_cond);
  wbf_unlock (file);
  wbf_thread_ends (file);
  return NULL;
}
