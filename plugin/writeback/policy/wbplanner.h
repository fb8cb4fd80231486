/* wbfilesink: the planner
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Problem: which bytes of a growing file should the disk be given next, which
 * should be waited for, which may leave the page cache, and may more be
 * written now? Strategy: pure policy. The planner is told what was written and
 * what was done, and answers those questions; it holds no file descriptor,
 * reads no clock, takes no lock and allocates nothing, so that a test can run
 * it through millions of operations.
 *
 * It is made of two parts that do not know each other: what is dirty
 * (wbdirty.h, with a byte's way to the disk) and what is kept (wbkept.h, with
 * what may leave the cache). The planner asks one and the other, and is all
 * that others see: its fields, and theirs, are for the functions below. It owns
 * the write position and the counts of patches.
 *
 * Offsets are those of the file, in bytes. Nothing here is thread-safe: the
 * caller holds one lock around every call.
 */
#pragma once

#include "policy/wbdirty.h"
#include "policy/wbkept.h"

G_BEGIN_DECLS

typedef struct
{
  WbDirty dirty;
  WbKept kept;
  guint64 base;
  guint64 write_position; /* where the last write ended */
  guint64 back_patches;
  guint64 late_back_patches;
} WbPlanner;

/* Starts anew for a file whose stream position 0 lies at `base`, in a cache with
 * pages of `page_size`. No bound and a chunk of 32 MiB until
 * wb_planner_set_bounds(). */
void wb_planner_init (
    WbPlanner *planner, guint64 base, guint64 page_size, gboolean drop);
/* Sets the window (at least two batches are granted) and the chunk size (whole
 * batches, at least one and at most half the window). A batch is WB_BATCH, or
 * WB_BATCH_SMALL if the chunk is less than that. May be called at any time. */
void wb_planner_set_bounds (
    WbPlanner *planner, guint64 window, guint64 chunk_size);

/* So many dirty bytes on top of the window may be late back-patches: one makes a
 * whole folio dirty, of which a page goes to the disk, so a window that is there
 * for the disk's pace need not make room for them. 0 at first. */
void wb_planner_set_patch_room (WbPlanner *planner, guint64 bytes);

/* Dropping was refused: everything stays in the cache from now on. */
void wb_planner_stop_dropping (WbPlanner *planner);
/* Write-out is not ours to control: from now on nothing is dirty, there are no
 * steps, and only positions and patches are counted. */
void wb_planner_set_passive (WbPlanner *planner);

/* Chunks of new data end on multiples of this in the file, where they can; 0: of a
 * batch. */
void wb_planner_set_cut_unit (WbPlanner *planner, guint64 bytes);
/* How much is started with one call: whole batches, at most WB_START_STEP_TURN; 0:
 * the rate is not known. */
void wb_planner_set_start_step (WbPlanner *planner, guint64 bytes);
/* What retires is a sync of the whole file, which is dear: one is for all that
 * is in flight, and more of it is started at a time. */
void wb_planner_set_retire_whole (WbPlanner *planner);

/* Starts nothing until it is called with FALSE; what is in flight is retired,
 * and what is written becomes dirty as ever. */
void wb_planner_hold_starts (WbPlanner *planner, gboolean hold);

/* The write has returned: its bytes are dirty. */
void wb_planner_wrote (WbPlanner *planner, guint64 offset, guint64 length);

/* Makes everything that is dirty ready to be started. Without `everything` the
 * last, partial batch of new data keeps waiting if anything else is ready: its
 * page would be written twice. */
void wb_planner_release (WbPlanner *planner, gboolean everything);
/* Makes the whole batches below `offset` ready to be started. */
void wb_planner_release_below (WbPlanner *planner, guint64 offset);

/* Fills in the next thing to do, if there is one, and takes it as begun: what
 * is written into its range from now on is dirty anew. One step at a time:
 * wb_planner_done() comes before the next call. */
gboolean wb_planner_next (WbPlanner *planner, WbStep *step);
/* The step is over, whether it succeeded or was refused. Returns the number of
 * bytes that became clean. */
guint64 wb_planner_done (WbPlanner *planner, const WbStep *step);

/* The file was synced at its end and nothing was written meanwhile: nothing
 * needs keeping any more. */
void wb_planner_settle (WbPlanner *planner);
/* The stream starts again from the base (FLUSH_STOP). With `truncated` what
 * lay beyond is gone; without, what is dirty stays so. No step may be under
 * way. */
void wb_planner_restart (WbPlanner *planner, gboolean truncated);

/* What was counted since the planner was made. After a restart with `truncated`
 * all chunks that were started count as retired. */
typedef struct
{
  guint64 back_patches;
  guint64 late_back_patches;
  guint64 chunks_cut;
  guint64 chunks_started;
  guint64 chunks_retired;
} WbPlannerCounters;

WbPlannerCounters wb_planner_counters (const WbPlanner *planner);

/* --- questions ---
 *
 * Asked for each write, so they cost no call. */

static inline guint64
wb_planner_dirty (const WbPlanner *planner)
{
  return wb_dirty_bytes (&planner->dirty);
}

/* By how much writing [offset, offset + length) would raise the dirty bytes. */
static inline guint64
wb_planner_cost (const WbPlanner *planner, guint64 offset, guint64 length)
{
  return wb_dirty_cost (&planner->dirty, offset, length);
}

/* Whether that write fits the window and the room for patches. Always when
 * nothing is dirty. */
static inline gboolean
wb_planner_may_write (const WbPlanner *planner, guint64 offset, guint64 length)
{
  return wb_dirty_may_write (&planner->dirty, offset, length);
}

static inline guint64
wb_planner_high_water (const WbPlanner *planner)
{
  return planner->dirty.high_water;
}

/* The bounds as they were granted. */
static inline guint64
wb_planner_batch (const WbPlanner *planner)
{
  return planner->dirty.batch;
}

static inline guint64
wb_planner_window (const WbPlanner *planner)
{
  return planner->dirty.window;
}

static inline guint64
wb_planner_patch_room (const WbPlanner *planner)
{
  return planner->dirty.patch_room;
}

static inline guint64
wb_planner_chunk_size (const WbPlanner *planner)
{
  return planner->dirty.chunk_size;
}

/* Whether anything is ready to be started. */
static inline gboolean
wb_planner_has_ready (const WbPlanner *planner)
{
  return planner->dirty.ready.n > 0;
}

/* How many pieces are in flight: each was started with one call. */
static inline guint
wb_planner_in_flight (const WbPlanner *planner)
{
  return planner->dirty.flight_n;
}

/* TRUE if a start or a retire is due or under way: a wait for the window will
 * end by itself. */
static inline gboolean
wb_planner_is_draining (const WbPlanner *planner)
{
  return wb_dirty_is_draining (&planner->dirty);
}

/* The bytes that are ready or in flight. */
static inline guint64
wb_planner_draining (const WbPlanner *planner)
{
  return planner->dirty.ready.bytes + planner->dirty.flight_bytes;
}

/* As how many ranges the dirty bytes are held. */
static inline guint
wb_planner_ranges (const WbPlanner *planner)
{
  return planner->dirty.waiting.n + planner->dirty.ready.n
      + planner->dirty.flight_n;
}

static inline gboolean
wb_planner_holds_starts (const WbPlanner *planner)
{
  return planner->dirty.starts_held;
}

static inline gboolean
wb_planner_retires_whole (const WbPlanner *planner)
{
  return planner->dirty.retire_whole;
}

/* Whether anything is dropped at all, and whether anything waits for it. */
static inline gboolean
wb_planner_is_dropping (const WbPlanner *planner)
{
  return planner->kept.drop;
}

static inline gboolean
wb_planner_has_drops (const WbPlanner *planner)
{
  return planner->kept.drops.n > 0;
}

G_END_DECLS
