/* wbfilesink: one output file: what callers see
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Each function locks, goes through one room's door or a few, and unlocks.
 *
 * Layout: opening and closing; figures; the streaming thread; syncs; what the
 * stream says of its size; interrupting and flushing; names.
 */
#include "file/wbfile.h"

#include "file/wblife.h"

#include <errno.h>
#include <string.h>

/* start() must answer even with a tiny sync timeout. */
#define OPEN_TIMEOUT_MIN_US (G_USEC_PER_SEC / 2)
/* So long is waited for storage to say that a file of this name is not the one
 * that hangs there. */
#define BUSY_PATIENCE_US (G_USEC_PER_SEC / 4)

/* --- opening and closing -------------------------------------------------------------- */

/* Until it is open, or failed to, or nothing has moved for too long. */
static void
wait_until_open (WbFile *file) WB_REQUIRES (wb_locked)
{
  WbCore *core = file->rooms.core;
  gint64 timeout = wb_core_bounds (core)->sync_timeout_us, patience;

  if (timeout >= 0)
    timeout = MAX (timeout, OPEN_TIMEOUT_MIN_US);
  do {
    patience = timeout;
    if (wb_target_is_perhaps_busy (file->rooms.target)
        && (timeout < 0 || timeout > BUSY_PATIENCE_US))
      patience = BUSY_PATIENCE_US;
  } while (!file->opened && !file->closed
      && wb_core_wait_for_progress (core, 0, patience));
}

static void
fail_to_open (WbFile *file, WbError *error, WbStall *stall)
    WB_REQUIRES (wb_locked)
{
  gboolean busy = wb_target_is_perhaps_busy (file->rooms.target);

  error->kind = busy ? WB_ERROR_BUSY : WB_ERROR_OPEN;
  error->code = busy ? EBUSY : ETIMEDOUT;
  error->call = "open";
  if (!busy)
    wb_core_find_stall (file->rooms.core, stall);
  wb_life_abandon (file);
  wb_life_release_fifo (file);
}

WbFile *
wb_file_open (const WbFileConfig *config, WbError *error, WbStall *stall)
{
  WbFile *file = wb_life_new (config);
  WbCore *core = file->rooms.core;
  gboolean abandoned = FALSE;
  WbStats stats;

  memset (error, 0, sizeof *error);
  memset (stall, 0, sizeof *stall);
  wb_core_lock (core);
  if (!wb_life_start (file)) {
    wb_core_unlock (core);
    error->kind = WB_ERROR_THREAD;
    error->code = EAGAIN;
    error->call = "pthread_create";
    wb_file_unref (file);
    return NULL;
  }

  wait_until_open (file);
  if (file->opened) {
    *error = *wb_core_error (core);
    wb_core_unlock (core);
    if (error->kind == WB_ERROR_NONE)
      return file;
    /* A thread that could not be had. */
    wb_file_close (file, &stats, NULL);
    return NULL;
  }

  abandoned = !file->closed;
  if (abandoned)
    fail_to_open (file, error, stall);
  else
    *error = *wb_core_error (core);
  wb_core_unlock (core);
  wb_life_join (file, abandoned);
  wb_file_unref (file);
  return NULL;
}

static void
fill_stats (WbFile *file, WbStats *stats) WB_REQUIRES (wb_locked)
{
  memset (stats, 0, sizeof *stats);
  wb_retirer_fill_stats (file->rooms.retirer, stats);
  wb_intake_fill_stats (file->rooms.intake, stats);
  wb_finish_fill_stats (file->finish, stats);
  stats->bytes_written = wb_writer_bytes_written (file->writer);
  stats->high_water = wb_writer_high_water (file->writer);
  stats->final_size = wb_writer_final_size (file->writer);
  stats->durable_bytes = wb_syncer_durable_bytes (file->rooms.syncer);
  stats->preallocated_bytes = wb_space_preallocated_bytes (file->rooms.space);
  stats->error = *wb_core_error (file->rooms.core);
}

WbStatus
wb_file_close (WbFile *file, WbStats *stats, WbStall *stall)
{
  WbCore *core = file->rooms.core;
  WbStatus status = WB_OK;
  gint64 start;

  wb_core_lock (core);
  start = wb_core_now (core);
  wb_life_end (file);
  while (!file->closed && status == WB_OK)
    if (!wb_core_wait_or_give_up (core, start, stall) && !file->closed)
      status = WB_TIMEOUT;
  fill_stats (file, stats);
  if (status == WB_TIMEOUT)
    wb_life_abandon (file);
  else if (wb_core_has_error (core))
    status = WB_FAILED;
  wb_core_unlock (core);
  wb_life_join (file, status == WB_TIMEOUT);
  wb_file_unref (file);
  return status;
}

void
wb_file_set_bounds (WbFile *file, const WbBounds *bounds)
{
  WbWriterRooms *rooms = &file->rooms;

  wb_core_lock (rooms->core);
  wb_core_set_bounds (rooms->core, bounds);
  wb_retirer_update_window (rooms->retirer);
  wb_intake_update_bound (rooms->intake, 0);
  if (file->opened)
    wb_life_start_syncer (file);
  wb_core_wake (rooms->core, WB_SYNCER);
  wb_core_wake (rooms->core, WB_IO);
  wb_core_wake (rooms->core, WB_CALLERS);
  wb_core_unlock (rooms->core);
}

/* --- figures ---------------------------------------------------------------------------- */

gboolean
wb_file_is_seekable (const WbFile *file)
{
  return wb_target_facts (file->rooms.target)->seekable;
}

void
wb_file_get_stats (WbFile *file, WbStats *stats)
{
  wb_core_lock (file->rooms.core);
  fill_stats (file, stats);
  wb_core_unlock (file->rooms.core);
}

guint64
wb_file_get_position (WbFile *file)
{
  guint64 position;

  wb_core_lock (file->rooms.core);
  position = wb_intake_position (file->rooms.intake);
  wb_core_unlock (file->rooms.core);
  return position;
}

gboolean
wb_file_get_error (WbFile *file, WbError *error)
{
  gboolean failed;

  wb_core_lock (file->rooms.core);
  failed = wb_core_has_error (file->rooms.core);
  if (error != NULL)
    *error = *wb_core_error (file->rooms.core);
  wb_core_unlock (file->rooms.core);
  return failed;
}

void
wb_file_get_place (WbFile *file, WbPlace *place)
{
  wb_core_lock (file->rooms.core);
  wb_target_get_place (file->rooms.target, place);
  wb_core_unlock (file->rooms.core);
}

void
wb_place_clear (WbPlace *place)
{
  g_clear_pointer (&place->location, g_free);
  g_clear_pointer (&place->goal, g_free);
  place->renamed = FALSE;
}

void
wb_file_get_stall (WbFile *file, WbStall *stall)
{
  wb_core_lock (file->rooms.core);
  wb_core_find_stall (file->rooms.core, stall);
  wb_core_unlock (file->rooms.core);
}

WbEvents
wb_file_take_events (WbFile *file)
{
  WbEvents events;

  wb_core_lock (file->rooms.core);
  events = wb_core_take_events (file->rooms.core);
  wb_core_unlock (file->rooms.core);
  return events;
}

/* --- the streaming thread ------------------------------------------------------------------ */

/* A sync at an interval that does not come back holds nothing up, but is told.
 * FALSE: the file has failed. */
static gboolean
look_around (WbFile *file) WB_REQUIRES (wb_locked)
{
  if (wb_syncer_is_stalled (file->rooms.syncer)) {
    wb_core_raise (file->rooms.core, WB_EVENT_SYNC_STALLED);
    wb_core_notify (file->rooms.core);
  }
  return !wb_core_has_error (file->rooms.core);
}

/* Unchecked: it returns with the lock only on WB_OK. */
WB_UNCHECKED WbStatus
wb_file_begin (WbFile *file, gsize bytes, WbStall *stall)
{
  if (!wb_core_lock_if_calm (file->rooms.core) && !look_around (file)) {
    wb_core_unlock (file->rooms.core);
    return WB_FAILED;
  }
  return wb_intake_begin (file->rooms.intake, bytes, stall);
}

gboolean
wb_file_wants_whole (const WbFile *file)
{
  return wb_intake_is_whole (file->rooms.intake);
}

void
wb_file_copy (WbFile *file, const void *data, gsize size)
{
  wb_intake_copy (file->rooms.intake, data, size);
}

void
wb_file_hold (WbFile *file, const void *data, gsize size, gpointer owner,
    GDestroyNotify release)
{
  wb_intake_hold (file->rooms.intake, data, size, owner, release);
}

void
wb_file_end_buffer (WbFile *file)
{
  wb_intake_end_buffer (file->rooms.intake);
}

void
wb_file_give_way (WbFile *file)
{
  wb_core_unlock (file->rooms.core);
  wb_core_lock (file->rooms.core);
}

void
wb_file_end (WbFile *file)
{
  wb_intake_end (file->rooms.intake);
}

gboolean
wb_file_seek (WbFile *file, guint64 position, guint64 *from, guint64 *furthest)
{
  WbWriterRooms *rooms = &file->rooms;
  gboolean moved;

  wb_core_lock (rooms->core);
  *from = wb_intake_position (rooms->intake);
  moved = wb_intake_seek (rooms->intake, position, furthest);
  if (moved)
    wb_space_note_seek (rooms->space);
  wb_core_unlock (rooms->core);
  return moved || position == *from;
}

/* --- syncs ------------------------------------------------------------------------------- */

static guint64
request (WbFile *file, WbSyncKind kind, WbStreamEnd end)
{
  guint64 token;

  wb_core_lock (file->rooms.core);
  token = wb_finish_request (file->finish, kind, end);
  wb_core_unlock (file->rooms.core);
  return token;
}

guint64
wb_file_request_sync (WbFile *file, WbSyncKind kind, gboolean finish)
{
  return request (file, kind, finish ? WB_STREAM_STOPS : WB_STREAM_GOES_ON);
}

guint64
wb_file_request_end (WbFile *file, WbSyncKind kind)
{
  return request (file, kind, WB_STREAM_IS_WHOLE);
}

WbStatus
wb_file_wait_sync (WbFile *file, guint64 token, WbSyncWait how,
    WbSyncResult *result, WbStall *stall)
{
  WbStatus status;

  wb_core_lock (file->rooms.core);
  status = wb_finish_wait (file->finish, token, how, result, stall);
  wb_core_unlock (file->rooms.core);
  return status;
}

gboolean
wb_file_needs_sync (WbFile *file, guint64 *token)
{
  gboolean needed;

  wb_core_lock (file->rooms.core);
  needed = wb_finish_is_needed (file->finish, token);
  wb_core_unlock (file->rooms.core);
  return needed;
}

void
wb_file_note_result (WbFile *file, WbSyncResult result, gint64 elapsed_us)
{
  wb_core_lock (file->rooms.core);
  wb_finish_note_result (file->finish, result, elapsed_us);
  wb_core_unlock (file->rooms.core);
}

/* --- what the stream says of its size ------------------------------------------------------- */

void
wb_file_set_expected (WbFile *file, WbSizeSource source, guint64 bytes)
{
  wb_core_lock (file->rooms.core);
  wb_space_set_expected (file->rooms.space, source, bytes);
  wb_core_unlock (file->rooms.core);
}

gboolean
wb_file_set_duration (WbFile *file, guint64 duration)
{
  gboolean changed;

  wb_core_lock (file->rooms.core);
  changed = wb_space_set_duration (file->rooms.space, duration);
  wb_core_unlock (file->rooms.core);
  return changed;
}

void
wb_file_set_elapsed (WbFile *file, guint64 elapsed)
{
  wb_space_set_elapsed (
      file->rooms.space, elapsed, wb_intake_position (file->rooms.intake));
}

void
wb_file_get_reserve_report (WbFile *file, WbReserveReport *report)
{
  wb_core_lock (file->rooms.core);
  wb_space_get_report (file->rooms.space, report);
  wb_core_unlock (file->rooms.core);
}

/* --- interrupting and flushing ----------------------------------------------------------------- */

void
wb_file_interrupt (WbFile *file, gboolean interrupt)
{
  wb_core_lock (file->rooms.core);
  wb_core_interrupt (file->rooms.core, interrupt);
  wb_core_unlock (file->rooms.core);
}

void
wb_file_flush (WbFile *file)
{
  GArray *owners = g_array_new (FALSE, FALSE, sizeof (WbOwner));
  WbWriterRooms *rooms = &file->rooms;

  wb_core_lock (rooms->core);
  wb_intake_flush (rooms->intake, owners);
  wb_syncer_flush (rooms->syncer);
  wb_finish_cancel (file->finish);
  wb_core_wake (rooms->core, WB_CALLERS);
  wb_core_unlock (rooms->core);
  wb_owners_release (owners);
  g_array_free (owners, TRUE);
}

/* --- names -------------------------------------------------------------------------------------- */

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
