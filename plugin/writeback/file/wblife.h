/* wbfilesink: one output file: its life
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The rooms together, and the threads that live in them: how they are started,
 * what the I/O thread does next, and who closes the descriptor. wbfile.c stands
 * above this and is what callers see.
 */
#pragma once

#include "file/wbfinish.h"

G_BEGIN_DECLS

struct _WbFile
{
  gint ref_count; /* atomic: the caller's, and one a thread */
  WbWriterRooms rooms;
  WbWriter *writer;
  WbFinish *finish;

  guint users WB_GUARDED_BY (wb_locked); /* threads that hold the descriptor */
  gboolean opened WB_GUARDED_BY (wb_locked);
  gboolean closed WB_GUARDED_BY (wb_locked);
  gboolean ending WB_GUARDED_BY (wb_locked); /* no thread begins any more */
  GThread *io_thread WB_GUARDED_BY (wb_locked);
  GThread *retire_thread WB_GUARDED_BY (wb_locked);
  GThread *sync_thread WB_GUARDED_BY (wb_locked);
};

/* Nothing is opened yet, and no thread started. */
WbFile *wb_life_new (const WbFileConfig *config);
/* FALSE: there is none to be had. */
gboolean wb_life_start (WbFile *file) WB_REQUIRES (wb_locked);
/* Makes the thread that syncs at intervals, if it is wanted and not there. */
void wb_life_start_syncer (WbFile *file) WB_REQUIRES (wb_locked);
/* No more comes: what is queued is still written, then the threads end. */
void wb_life_end (WbFile *file) WB_REQUIRES (wb_locked);
/* Leaves the threads behind. What they do not hold is released here and now.
 * Unlocks for that. */
void wb_life_abandon (WbFile *file) WB_REQUIRES (wb_locked);
/* After that: a thread that waits for a reader in the open of a FIFO is let go, and
 * is gone when this returns, unless the system takes its time. */
void wb_life_release_fifo (WbFile *file) WB_REQUIRES (wb_locked);
/* Waits for the threads, or, with `abandoned`, forgets them. */
void wb_life_join (WbFile *file, gboolean abandoned) WB_EXCLUDES (wb_locked);

G_END_DECLS
