/* wbfilesink: one output file: the syncer
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The room that makes what is written durable while the stream goes on, with a
 * thread of its own, and that knows how much is: `durable-bytes`. An interval
 * after the first write that the last sync does not cover it runs fdatasync. The
 * syncs that were asked for are the I/O thread's (wbfinish.h), which tells this
 * room about them.
 */
#pragma once

#include "file/wbretirer.h"

G_BEGIN_DECLS

typedef struct _WbSyncer WbSyncer;

WbSyncer *wb_syncer_new (WbCore *core, WbTarget *target, WbRetirer *retirer);
void wb_syncer_free (WbSyncer *syncer);

/* Whether its thread is wanted: bounds and target say so. */
gboolean wb_syncer_is_wanted (const WbSyncer *syncer) WB_REQUIRES (wb_locked);
/* Its thread is there; `written`: bytes are, too. */
void wb_syncer_started (WbSyncer *syncer, gboolean written)
    WB_REQUIRES (wb_locked);
/* The life of its thread: from here until it is told to quit. */
void wb_syncer_run (WbSyncer *syncer) WB_REQUIRES (wb_sync_thread)
    WB_EXCLUDES (wb_locked);
void wb_syncer_quit (WbSyncer *syncer) WB_REQUIRES (wb_locked);

/* The next write makes bytes that no sync covers. */
void wb_syncer_wrote (WbSyncer *syncer) WB_REQUIRES (wb_locked, wb_io_thread);
/* The bytes below that are known to be durable. */
guint64 wb_syncer_durable_bytes (const WbSyncer *syncer)
    WB_REQUIRES (wb_locked);
/* One of its syncs has not come back for the sync timeout, and nobody was told
 * of that. */
gboolean wb_syncer_is_stalled (WbSyncer *syncer) WB_REQUIRES (wb_locked);

/* A sync of the I/O thread's: none of ours begins meanwhile. */
void wb_syncer_io_begins (WbSyncer *syncer)
    WB_REQUIRES (wb_locked, wb_io_thread);
void wb_syncer_io_ends (WbSyncer *syncer) WB_REQUIRES (wb_locked, wb_io_thread);
/* Waits for one of ours that is under way: it may have been given an error that
 * is the other's to report. */
void wb_syncer_answer (WbSyncer *syncer) WB_REQUIRES (wb_locked, wb_io_thread);
/* The I/O thread has synced everything below `covered`, or with `named` also the
 * directory; `finish`: at the stream's end. */
void wb_syncer_io_synced (WbSyncer *syncer, guint64 covered, gboolean named,
    gboolean finish) WB_REQUIRES (wb_locked, wb_io_thread);

/* A flush: nothing is synced until the I/O thread has started again, and what was
 * durable beyond `base` is not. */
void wb_syncer_flush (WbSyncer *syncer) WB_REQUIRES (wb_locked);
void wb_syncer_restart (WbSyncer *syncer, guint64 base)
    WB_REQUIRES (wb_locked, wb_io_thread);

G_END_DECLS
