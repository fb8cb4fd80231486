/* wbfilesink: one output file: its share of the disk
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The room that knows how fast the disk drains, for this file and for all files
 * on it, what this file holds of the device's bound, and the window that follows
 * from both. It knows nothing of what is dirty but how much.
 */
#pragma once

#include "file/wbtarget.h"
#include "policy/wblimits.h"

G_BEGIN_DECLS

typedef struct _WbShare WbShare;

WbShare *wb_share_new (WbCore *core, WbTarget *target);
/* What it still holds of the device is given back. */
void wb_share_free (WbShare *share);
/* The target is open. */
void wb_share_set_up (WbShare *share) WB_REQUIRES (wb_locked, wb_io_thread);

/* Whether the file shares a device's bound. */
gboolean wb_share_is_shared (const WbShare *share);
/* So many bytes are dirty now: takes and gives back this file's share. */
void wb_share_count_dirty (WbShare *share, guint64 dirty)
    WB_REQUIRES (wb_locked);
/* Whether `bytes` more fit what the device's files may keep dirty together. */
gboolean wb_share_has_room (const WbShare *share, guint64 bytes)
    WB_REQUIRES (wb_locked);

typedef enum
{
  WB_SHARE_NOTHING,
  WB_SHARE_STEP,
  WB_SHARE_WAITS /* for this file's turn: wb_share_take_turn() */
} WbShareNext;

/* The planner's next step, which may begin now. Where there are several files on a
 * disk that is not fast, nothing is started without a turn, and a turn is for what is
 * ready, up to a quota, and ends when that is on the disk. */
WbShareNext wb_share_next_step (WbShare *share, WbPlanner *planner,
    WbStep *step) WB_REQUIRES (wb_locked, wb_retire_thread);
/* Waits for this file's turn, without the lock, or until that is called off. */
void wb_share_take_turn (WbShare *share)
    WB_REQUIRES (wb_locked, wb_retire_thread);
/* The holder has made a step. */
void wb_share_move (WbShare *share) WB_REQUIRES (wb_locked, wb_retire_thread);
void wb_share_end_turn (WbShare *share)
    WB_REQUIRES (wb_locked, wb_retire_thread);
/* Who waits for it comes back. */
void wb_share_call_off_turn (WbShare *share) WB_REQUIRES (wb_locked);
/* What the disk's files may have dirty together, bytes, and why; 0: nothing is
 * shared. */
guint64 wb_share_budget (const WbShare *share, WbBudgetReason *reason);

/* The window anew, after `retired` bytes have become clean; valid until the next
 * call. */
const WbWindow *wb_share_update (WbShare *share, guint64 retired)
    WB_REQUIRES (wb_locked);
/* Says what the window and the disk's budget are and why, when that has changed
 * enough; `window` is what came of it, bytes. */
void wb_share_say (WbShare *share, guint64 window) WB_REQUIRES (wb_locked);

/* Now and then: whether the disk is read from as well. */
void wb_share_look_for_reads (WbShare *share) WB_EXCLUDES (wb_locked);
/* The drain rate's clock starts here. */
void wb_share_mark (WbShare *share) WB_REQUIRES (wb_locked);
/* `bytes` came back from the disk since the mark, and what other files had; a
 * sample may end here if `ends`. The clock goes on. */
void wb_share_note_drained (WbShare *share, guint64 bytes, gboolean ends)
    WB_REQUIRES (wb_locked);
/* How fast this file drains. */
const WbMeter *wb_share_drain_meter (const WbShare *share)
    WB_REQUIRES (wb_locked);
/* What all files on the disk drain while this one does, bytes/s. */
guint64 wb_share_disk_rate (const WbShare *share) WB_REQUIRES (wb_locked);
/* When something last came back, us; 0: never. */
gint64 wb_share_last_drained (const WbShare *share) WB_REQUIRES (wb_locked);

G_END_DECLS
