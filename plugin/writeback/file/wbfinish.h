/* wbfilesink: one output file: syncs that were asked for, and the end
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The room of the tokens: a caller asks for a sync, which takes its place in the
 * queue; the I/O thread makes it when its turn comes; the caller waits for the
 * token and gets the result. The finishing sync, at the stream's end, is told
 * apart: after it nothing needs keeping, and stop asks whether it covers
 * everything.
 */
#pragma once

#include "file/wbwriter.h"

G_BEGIN_DECLS

typedef struct _WbFinish WbFinish;

/* The rooms stay the caller's. */
WbFinish *wb_finish_new (const WbWriterRooms *rooms, WbWriter *writer);
void wb_finish_free (WbFinish *finish);

/* --- callers: see the functions of the same names in wbfile.h ------------------ */

/* What comes after the sync. */
typedef enum
{
  WB_STREAM_GOES_ON,
  WB_STREAM_STOPS,   /* nothing, but that was not its end */
  WB_STREAM_IS_WHOLE /* nothing: a part gets its name */
} WbStreamEnd;

guint64 wb_finish_request (WbFinish *finish, WbSyncKind kind, WbStreamEnd end)
    WB_REQUIRES (wb_locked);
WbStatus wb_finish_wait (WbFinish *finish, guint64 token, WbSyncWait how,
    WbSyncResult *result, WbStall *stall) WB_REQUIRES (wb_locked);
gboolean wb_finish_is_needed (const WbFinish *finish, guint64 *token)
    WB_REQUIRES (wb_locked);
void wb_finish_note_result (WbFinish *finish, WbSyncResult result,
    gint64 elapsed_us) WB_REQUIRES (wb_locked);
/* The target is open: a file that is new, or was emptied, is synced at its end also
 * if no byte came. */
void wb_finish_set_up (WbFinish *finish) WB_REQUIRES (wb_locked);
/* A flush: what was asked for and is not over is cancelled. */
void wb_finish_cancel (WbFinish *finish) WB_REQUIRES (wb_locked);
void wb_finish_fill_stats (const WbFinish *finish, WbStats *stats)
    WB_REQUIRES (wb_locked);

/* --- the I/O thread --------------------------------------------------------------- */

/* Makes the sync at the head of the queue. */
void wb_finish_sync (WbFinish *finish) WB_REQUIRES (wb_locked, wb_io_thread);
/* The file ends: what it has too much goes back. */
void wb_finish_tidy_up (WbFinish *finish) WB_REQUIRES (wb_locked, wb_io_thread);

G_END_DECLS
