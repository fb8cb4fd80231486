/* wbfilesink: one output file: the retirer
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The room that knows what is dirty: the planner, and whether write-out is ours to
 * control. Its thread starts write-out, waits for it and drops
 * clean pages; what and when is the planner's to say. Others tell it what was
 * written, ask whether more may be, and have everything drained.
 */
#pragma once

#include "file/wbshare.h"

G_BEGIN_DECLS

typedef struct _WbRetirer WbRetirer;

WbRetirer *wb_retirer_new (
    WbCore *core, WbTarget *target, WbShare *share, WbWriteback writeback);
void wb_retirer_free (WbRetirer *retirer);
/* The target is open. */
void wb_retirer_set_up (WbRetirer *retirer)
    WB_REQUIRES (wb_locked, wb_io_thread);
/* The life of its thread: from here until it is told to quit. */
void wb_retirer_run (WbRetirer *retirer) WB_REQUIRES (wb_retire_thread)
    WB_EXCLUDES (wb_locked);
void wb_retirer_quit (WbRetirer *retirer) WB_REQUIRES (wb_locked);

/* --- figures ------------------------------------------------------------------- */

gboolean wb_retirer_has_control (const WbRetirer *retirer)
    WB_REQUIRES (wb_locked);
guint64 wb_retirer_high_water (const WbRetirer *retirer)
    WB_REQUIRES (wb_locked);
guint64 wb_retirer_dirty_bytes (const WbRetirer *retirer)
    WB_REQUIRES (wb_locked);
/* What one write is to be a multiple of, bytes. */
guint64 wb_retirer_batch (const WbRetirer *retirer) WB_REQUIRES (wb_locked);
/* How fast this file drains; NULL where no write-out is controlled. */
const WbMeter *wb_retirer_drain_meter (const WbRetirer *retirer)
    WB_REQUIRES (wb_locked);
gboolean wb_retirer_is_degraded (const WbRetirer *retirer)
    WB_REQUIRES (wb_locked);
void wb_retirer_fill_stats (const WbRetirer *retirer, WbStats *stats)
    WB_REQUIRES (wb_locked);

/* --- the window ------------------------------------------------------------------ */

/* The bounds have changed. */
void wb_retirer_update_window (WbRetirer *retirer) WB_REQUIRES (wb_locked);
/* Before each batch, because others on the disk come and go. */
void wb_retirer_look_at_others (WbRetirer *retirer) WB_REQUIRES (wb_locked);
/* Whether that write fits the window, and what the device's files may keep dirty
 * together. TRUE where nothing is bounded, or not any more. */
gboolean wb_retirer_may_write (const WbRetirer *retirer, guint64 offset,
    guint64 bytes) WB_REQUIRES (wb_locked);
/* Holds the I/O thread until something was retired or another thing has happened;
 * when nothing is retired for the write-back timeout, the window is given up
 * (degraded), and sooner with `urgent`: somebody waits for a sync, and would give
 * up on what is queued. `*since_us` is 0 at first. */
void wb_retirer_wait_for_room (WbRetirer *retirer, gboolean urgent,
    gint64 *since_us) WB_REQUIRES (wb_locked, wb_io_thread);
/* Ends the degraded state once the dirty bytes are back inside the window. */
void wb_retirer_check_recovered (WbRetirer *retirer) WB_REQUIRES (wb_locked);

/* --- what is dirty ----------------------------------------------------------------- */

/* The write has returned: its bytes are dirty. */
void wb_retirer_wrote (WbRetirer *retirer, guint64 offset, guint64 bytes)
    WB_REQUIRES (wb_locked, wb_io_thread);
/* Makes everything ready to be started, without waiting for it. */
void wb_retirer_release (WbRetirer *retirer) WB_REQUIRES (wb_locked);
/* As one step of draining: TRUE when everything written has been retired and
 * dropped, or control is gone; else has waited on the I/O thread's condition. */
gboolean wb_retirer_drain_some (WbRetirer *retirer)
    WB_REQUIRES (wb_locked, wb_io_thread);
/* The file was synced at its end: nothing needs keeping in the cache any more. */
void wb_retirer_settle (WbRetirer *retirer) WB_REQUIRES (wb_locked);
/* This file holds nothing of its disk any more: it is being left behind. */
void wb_retirer_leave_device (WbRetirer *retirer) WB_REQUIRES (wb_locked);
/* Write-out cannot be controlled after all: the kernel's policy takes over. */
void wb_retirer_give_up_control (WbRetirer *retirer, const char *call, int code)
    WB_REQUIRES (wb_locked);

/* --- a restart --------------------------------------------------------------------- */

/* Holds the retirer and waits until no step is under way, or the file was
 * abandoned. */
void wb_retirer_hold (WbRetirer *retirer) WB_REQUIRES (wb_locked, wb_io_thread);
/* The stream starts again from the base: with `truncated` what lay beyond is
 * gone. Lets the retirer go on. */
void wb_retirer_restart (WbRetirer *retirer, gboolean truncated)
    WB_REQUIRES (wb_locked, wb_io_thread);

/* --- beside a sync at an interval ----------------------------------------------------- */

/* Nothing is started until it ends. Its time and its bytes count for the drain
 * rate. */
void wb_retirer_sync_begins (WbRetirer *retirer)
    WB_REQUIRES (wb_locked, wb_sync_thread);
/* A start or a wait that was under way while the sync returned may have been
 * given the error that the sync did not see: waits for it to return. */
void wb_retirer_answer (WbRetirer *retirer)
    WB_REQUIRES (wb_locked, wb_sync_thread);
/* What the sync has written, up to `covered`, is started and retired once more,
 * which takes no time, and is dropped. */
void wb_retirer_sync_ends (WbRetirer *retirer, guint64 covered)
    WB_REQUIRES (wb_locked, wb_sync_thread);
/* From the begin of a sync until what it has written is retired. */
gboolean wb_retirer_is_drained_by_sync (const WbRetirer *retirer)
    WB_REQUIRES (wb_locked);

G_END_DECLS
