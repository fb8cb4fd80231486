/* wbfilesink: one output file: its life
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Layout: the rooms; the threads; the I/O thread; being left behind.
 */
#include "file/wblife.h"

#include "system/wbthread.h"

#include <errno.h>

/* How long a caller waits for a thread that was let go. */
#define FIFO_PATIENCE_US (G_USEC_PER_SEC / 4)

/* --- the rooms --------------------------------------------------------------------- */

WbFile *
wb_life_new (const WbFileConfig *config)
{
  WbFile *file = g_new0 (WbFile, 1);
  WbWriterRooms *rooms = &file->rooms;

  file->ref_count = 1;
  rooms->core = wb_core_new (&config->listener, &config->bounds);
  rooms->target = wb_target_new (rooms->core, config);
  rooms->share = wb_share_new (rooms->core, rooms->target);
  rooms->retirer = wb_retirer_new (
      rooms->core, rooms->target, rooms->share, config->writeback);
  rooms->syncer = wb_syncer_new (rooms->core, rooms->target, rooms->retirer);
  rooms->space = wb_space_new (rooms->core, rooms->target, config);
  rooms->intake = wb_intake_new (
      rooms->core, rooms->target, rooms->share, rooms->retirer, config);
  file->writer = wb_writer_new (rooms, config);
  file->finish = wb_finish_new (rooms, file->writer);
  return file;
}

WbFile *
wb_file_ref (WbFile *file)
{
  g_atomic_int_inc (&file->ref_count);
  return file;
}

void
wb_file_unref (WbFile *file)
{
  WbWriterRooms *rooms = &file->rooms;

  if (!g_atomic_int_dec_and_test (&file->ref_count))
    return;
  wb_finish_free (file->finish);
  wb_writer_free (file->writer);
  wb_intake_free (rooms->intake);
  wb_space_free (rooms->space);
  wb_syncer_free (rooms->syncer);
  wb_retirer_free (rooms->retirer);
  wb_share_free (rooms->share);
  wb_target_free (rooms->target);
  wb_core_free (rooms->core);
  g_free (file);
}

/* --- the threads --------------------------------------------------------------------- */

/* A thread of its own, which holds a reference and the descriptor. */
static GThread *
start_thread (WbFile *file, const char *name, GThreadFunc function)
    WB_REQUIRES (wb_locked)
{
  GThread *thread;

  file->users++;
  thread = wb_thread_start (name, function, wb_file_ref (file));
  if (thread != NULL)
    return thread;
  file->users--;
  wb_file_unref (file);
  return NULL;
}

/* A thread that holds the descriptor is done with it: the last one closes it. Its
 * reference is gone afterwards. */
static void
thread_ends (WbFile *file) WB_EXCLUDES (wb_locked)
{
  WbCore *core = file->rooms.core;

  wb_core_lock (core);
  if (--file->users == 0) {
    if (wb_core_is_abandoned (core))
      wb_core_say_locked (core, WB_LOG_INFO,
          "a call that was left behind has returned: closing");
    wb_target_close (
        file->rooms.target, wb_retirer_high_water (file->rooms.retirer));
    file->closed = TRUE;
    wb_core_wake (core, WB_CALLERS);
  }
  wb_core_unlock (core);
  wb_file_unref (file);
}

static gpointer
retirer_main (gpointer data)
{
  WbFile *file = data;

  wb_assume_retire_thread ();
  wb_retirer_run (file->rooms.retirer);
  thread_ends (file);
  return NULL;
}

static gpointer
syncer_main (gpointer data)
{
  WbFile *file = data;

  wb_assume_sync_thread ();
  wb_syncer_run (file->rooms.syncer);
  thread_ends (file);
  return NULL;
}

static void
start_retirer (WbFile *file) WB_REQUIRES (wb_locked)
{
  if (!wb_retirer_has_control (file->rooms.retirer))
    return;
  file->retire_thread = start_thread (file, "wbfile-retire", retirer_main);
  if (file->retire_thread == NULL)
    wb_retirer_give_up_control (
        file->rooms.retirer, "a thread for the write-out", EAGAIN);
}

void
wb_life_start_syncer (WbFile *file)
{
  WbWriterRooms *rooms = &file->rooms;

  if (!wb_syncer_is_wanted (rooms->syncer) || file->ending
      || wb_core_is_abandoned (rooms->core))
    return;
  file->sync_thread = start_thread (file, "wbfile-sync", syncer_main);
  if (file->sync_thread == NULL)
    wb_core_latch (rooms->core, WB_ERROR_THREAD, EAGAIN, "pthread_create", 0);
  else
    wb_syncer_started (
        rooms->syncer, wb_writer_bytes_written (file->writer) > 0);
}

/* --- the I/O thread ------------------------------------------------------------------ */

/* FALSE: the error is latched, or the file was abandoned meanwhile. */
static gboolean
set_up (WbFile *file) WB_REQUIRES (wb_locked, wb_io_thread)
{
  WbWriterRooms *rooms = &file->rooms;

  if (!wb_target_open (rooms->target))
    return FALSE;
  wb_share_set_up (rooms->share);
  wb_retirer_set_up (rooms->retirer);
  if (!wb_space_set_up (rooms->space) || wb_core_is_abandoned (rooms->core))
    return FALSE;
  wb_intake_set_up (rooms->intake);
  wb_writer_set_up (file->writer);
  wb_finish_set_up (file->finish);
  start_retirer (file);
  wb_life_start_syncer (file);
  file->opened = TRUE;
  wb_core_wake (rooms->core, WB_CALLERS);
  return TRUE;
}

static void
work (WbFile *file) WB_REQUIRES (wb_locked, wb_io_thread)
{
  while (!wb_core_is_abandoned (file->rooms.core)) {
    switch (wb_intake_next (file->rooms.intake)) {
      case WB_NEXT_NONE:
        break;
      case WB_NEXT_RESTART:
        wb_writer_restart (file->writer);
        break;
      case WB_NEXT_SYNC:
        wb_finish_sync (file->finish);
        break;
      case WB_NEXT_DATA:
        wb_writer_write (file->writer);
        break;
      case WB_NEXT_QUIT:
        wb_finish_tidy_up (file->finish);
        return;
    }
  }
}

static gpointer
io_main (gpointer data)
{
  WbFile *file = data;
  WbWriterRooms *rooms = &file->rooms;

  wb_assume_io_thread ();
  wb_core_lock (rooms->core);
  if (set_up (file))
    work (file);
  wb_retirer_quit (rooms->retirer);
  wb_syncer_quit (rooms->syncer);
  wb_core_unlock (rooms->core);
  thread_ends (file);
  return NULL;
}

gboolean
wb_life_start (WbFile *file)
{
  file->io_thread = start_thread (file, "wbfile-io", io_main);
  return file->io_thread != NULL;
}

void
wb_life_end (WbFile *file)
{
  file->ending = TRUE;
  wb_intake_quit (file->rooms.intake);
}

/* --- being left behind ---------------------------------------------------------------- */

void
wb_life_abandon (WbFile *file)
{
  GArray *owners = g_array_new (FALSE, FALSE, sizeof (WbOwner));
  WbCore *core = file->rooms.core;
  WbStall stall;

  wb_core_abandon (core);
  wb_retirer_leave_device (file->rooms.retirer);
  wb_intake_discard (file->rooms.intake, owners);
  wb_target_leave_behind (file->rooms.target);
  wb_core_find_stall (core, &stall);
  wb_core_unlock (core);
  wb_core_say (core, WB_LOG_INFO, "left behind in %s",
      stall.call != NULL ? stall.call : "a wait");
  wb_owners_release (owners);
  g_array_free (owners, TRUE);
  wb_core_lock (core);
}

static gpointer
fifo_main (gpointer data)
{
  WbFile *file = data;

  wb_target_release_fifo (file->rooms.target);
  wb_file_unref (file);
  return NULL;
}

/* On a thread of its own, because it opens something. */
void
wb_life_release_fifo (WbFile *file)
{
  WbCore *core = file->rooms.core;
  GThread *thread;
  gint64 start = wb_core_now (core);

  if (!wb_target_is_in_fifo (file->rooms.target))
    return;
  thread = wb_thread_start ("wbfile-fifo", fifo_main, wb_file_ref (file));
  if (thread == NULL) {
    wb_file_unref (file);
    return;
  }
  g_thread_unref (thread);
  while (!file->closed
      && wb_core_wait_timed (core, WB_CALLERS, start, FIFO_PATIENCE_US))
    ;
}

void
wb_life_join (WbFile *file, gboolean abandoned)
{
  GThread *threads[3];

  wb_core_lock (file->rooms.core);
  threads[0] = g_steal_pointer (&file->io_thread);
  threads[1] = g_steal_pointer (&file->retire_thread);
  threads[2] = g_steal_pointer (&file->sync_thread);
  wb_core_unlock (file->rooms.core);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++) {
    if (threads[i] == NULL)
      continue;
    if (abandoned)
      g_thread_unref (threads[i]);
    else
      g_thread_join (threads[i]);
  }
}
