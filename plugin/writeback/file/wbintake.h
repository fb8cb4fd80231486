/* wbfilesink: one output file: the intake
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The room between the streaming thread, which fills it, and the I/O thread,
 * which empties it: the queue and its bound, the stream's position, and when a
 * batch is worth a write. A flush empties it and begins a new generation: what
 * the I/O thread has in hand is of the old one then.
 */
#pragma once

#include "file/wbretirer.h"
#include "policy/wbqueue.h"

G_BEGIN_DECLS

typedef struct _WbIntake WbIntake;

WbIntake *wb_intake_new (WbCore *core, WbTarget *target, WbShare *share,
    WbRetirer *retirer, const WbFileConfig *config);
/* Releases what is still queued. */
void wb_intake_free (WbIntake *intake);
/* The target is open: the position is at its base. */
void wb_intake_set_up (WbIntake *intake) WB_REQUIRES (wb_locked);

/* --- the streaming thread ----------------------------------------------------------- */

/* Waits until `bytes` fit; see wb_file_begin(). The file has not failed yet. Unlocks
 * unless it returns WB_OK. */
WbStatus wb_intake_begin (WbIntake *intake, gsize bytes, WbStall *stall)
    WB_REQUIRES (wb_locked, wb_stream_thread);
/* Lets go of the lock while it copies a large piece. */
void wb_intake_copy (WbIntake *intake, const void *data, gsize size)
    WB_REQUIRES (wb_locked, wb_stream_thread);
void wb_intake_hold (WbIntake *intake, const void *data, gsize size,
    gpointer owner, GDestroyNotify release)
    WB_REQUIRES (wb_locked, wb_stream_thread);
void wb_intake_end_buffer (WbIntake *intake)
    WB_REQUIRES (wb_locked, wb_stream_thread);
/* Unlocks, and wakes the I/O thread if it is time. */
void wb_intake_end (WbIntake *intake) WB_REQUIRES (wb_stream_thread)
    WB_RELEASES (wb_locked);
/* Moves the position to `position` bytes from the base. TRUE if it has moved;
 * FALSE if it was there, or the error is latched. */
gboolean wb_intake_seek (WbIntake *intake, guint64 position, guint64 *furthest)
    WB_REQUIRES (wb_locked, wb_stream_thread);
/* Bytes from the base. */
guint64 wb_intake_position (const WbIntake *intake) WB_REQUIRES (wb_locked);
/* Bytes ever handed over. */
guint64 wb_intake_accepted (const WbIntake *intake) WB_REQUIRES (wb_locked);

/* Whether a buffer is to be one piece, because it becomes one write. Any thread, with
 * or without the lock. */
gboolean wb_intake_is_whole (const WbIntake *intake);

/* --- any thread ------------------------------------------------------------------------ */

/* Everything before it is to be written, then the sync's turn comes. */
void wb_intake_add_sync (WbIntake *intake, guint64 token, guint kind)
    WB_REQUIRES (wb_locked);
/* Whether a sync is the last of what is queued. */
gboolean wb_intake_is_waited_for (const WbIntake *intake)
    WB_REQUIRES (wb_locked);
/* No more comes: what is queued is written without waiting for more. */
void wb_intake_quit (WbIntake *intake) WB_REQUIRES (wb_locked);
/* What is queued goes to `owners`, to be released without the lock. */
void wb_intake_discard (WbIntake *intake, GArray *owners)
    WB_REQUIRES (wb_locked);
/* The same for a flush: a new generation begins, and the I/O thread has to
 * restart. */
void wb_intake_flush (WbIntake *intake, GArray *owners) WB_REQUIRES (wb_locked);
/* The target has just taken `written` bytes, or, with 0, the bounds have
 * changed. */
void wb_intake_update_bound (WbIntake *intake, guint64 written)
    WB_REQUIRES (wb_locked);
void wb_intake_fill_stats (const WbIntake *intake, WbStats *stats)
    WB_REQUIRES (wb_locked);

/* --- the I/O thread ---------------------------------------------------------------------- */

typedef enum
{
  WB_NEXT_NONE, /* it has waited: ask again */
  WB_NEXT_QUIT,
  WB_NEXT_RESTART,
  WB_NEXT_SYNC,
  WB_NEXT_DATA
} WbNext;

/* What is to be done next; waits for it. */
WbNext wb_intake_next (WbIntake *intake) WB_REQUIRES (wb_locked, wb_io_thread);
/* A partial batch waits for more, but not for long. FALSE: the head is no data
 * any more. */
gboolean wb_intake_gather (WbIntake *intake)
    WB_REQUIRES (wb_locked, wb_io_thread);
/* Takes a run of the data at the head, as much as one write may hold. */
void wb_intake_take (WbIntake *intake, WbBatchRun *run)
    WB_REQUIRES (wb_locked, wb_io_thread);
WbItem wb_intake_take_sync (WbIntake *intake)
    WB_REQUIRES (wb_locked, wb_io_thread);
/* `done` bytes of the run were written, and the rest goes back, or with `discard`
 * nowhere. `generation`: when it was taken. */
void wb_intake_give_back (WbIntake *intake, WbBatchRun *run, gsize done,
    gboolean discard, guint64 generation, GArray *owners)
    WB_REQUIRES (wb_locked, wb_io_thread);
/* After an error: the data at the head, which can no longer be written. */
void wb_intake_discard_data (WbIntake *intake, WbBatchRun *run, GArray *owners)
    WB_REQUIRES (wb_locked, wb_io_thread);
/* Wakes the caller that waits for room, if there is room worth waking for. */
void wb_intake_wake_caller (WbIntake *intake)
    WB_REQUIRES (wb_locked, wb_io_thread);
/* The target took `bytes` in one write, in `took_us`. */
void wb_intake_note_write (WbIntake *intake, guint64 bytes, gint64 took_us)
    WB_REQUIRES (wb_locked, wb_io_thread);
/* The I/O thread waits for the window: what a push is held for. */
void wb_intake_set_waits (WbIntake *intake, gboolean waits)
    WB_REQUIRES (wb_locked, wb_io_thread);
guint64 wb_intake_generation (const WbIntake *intake) WB_REQUIRES (wb_locked);
void wb_intake_restarted (WbIntake *intake)
    WB_REQUIRES (wb_locked, wb_io_thread);

G_END_DECLS
