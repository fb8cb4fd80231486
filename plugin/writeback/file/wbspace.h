/* wbfilesink: one output file: space
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The room that reserves space ahead of the writes and gives back what was not
 * needed. How much, and when, is policy (wbprealloc.h); what the stream says of
 * its size comes in here, and what was decided is reported from here. All of it
 * is the I/O thread's, but for what the stream says.
 */
#pragma once

#include "file/wbtarget.h"

G_BEGIN_DECLS

typedef struct _WbSpace WbSpace;

WbSpace *wb_space_new (
    WbCore *core, WbTarget *target, const WbFileConfig *config);
void wb_space_free (WbSpace *space);

/* The target is open. FALSE: what is required can't be had, and the error is
 * latched. */
gboolean wb_space_set_up (WbSpace *space) WB_REQUIRES (wb_locked, wb_io_thread);
/* Before a write that ends at `write_end`: what is required is reserved whole
 * (a failure is latched), else at most one step, for which the write waits; that
 * is a hint, and whatever comes of it, the write follows. `high_water`: in the
 * file. */
void wb_space_require (WbSpace *space) WB_REQUIRES (wb_locked, wb_io_thread);
void wb_space_reserve_ahead (WbSpace *space, guint64 high_water,
    guint64 write_end) WB_REQUIRES (wb_locked, wb_io_thread);
/* Gives back what was reserved beyond the file's end, after every reservation
 * that was only tried: ext4 keeps a part of one that failed, and xfs goes on to
 * keep blocks of its own beyond the end of a file once it has seen one. A
 * promise: a failure is an error. `written`: bytes ever, to do it once after
 * each. */
void wb_space_trim (WbSpace *space, guint64 high_water, guint64 written)
    WB_REQUIRES (wb_locked, wb_io_thread);
/* A file that was required to fit and never got a byte: at the end it is empty. */
void wb_space_settle (WbSpace *space) WB_REQUIRES (wb_locked, wb_io_thread);
/* The stream starts again; with `truncated` what was reserved has gone as well. */
void wb_space_restarted (WbSpace *space, gboolean truncated)
    WB_REQUIRES (wb_locked, wb_io_thread);

/* What the stream says: see wb_file_set_expected() and the like. */
void wb_space_set_expected (WbSpace *space, WbSizeSource source, guint64 bytes)
    WB_REQUIRES (wb_locked);
gboolean wb_space_set_duration (WbSpace *space, guint64 duration)
    WB_REQUIRES (wb_locked);
void wb_space_set_elapsed (WbSpace *space, guint64 elapsed, guint64 bytes)
    WB_REQUIRES (wb_locked);
/* A seek: there may be holes below the high-water mark. */
void wb_space_note_seek (WbSpace *space) WB_REQUIRES (wb_locked);

void wb_space_get_report (const WbSpace *space, WbReserveReport *report)
    WB_REQUIRES (wb_locked);
/* Bytes reserved so far, in all. */
guint64 wb_space_preallocated_bytes (const WbSpace *space)
    WB_REQUIRES (wb_locked);

G_END_DECLS
