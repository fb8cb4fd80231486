/* wbfilesink: what is dirty
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Problem: which of the bytes that were written are not on the disk yet, which
 * of them should the disk be given next, which be waited for, and may more be
 * written now? Strategy: three sets, by how far a byte has come.
 *
 * A byte's way: written -> waiting -> ready -> in flight -> clean
 *   waiting    dirty, and still being collected
 *   ready      part of a chunk that was cut: may be started any time
 *   in flight  write-out started, not yet known to have finished
 * The dirty bytes are the sum of the three.
 *
 * Chunks follow the high-water mark. A seek never resets one; a resume (a seek
 * forward onto the high-water mark, which is how a muxer says that it has done
 * with what lies below) is where one is cut. A back-patch below what was
 * started is dirty again from its first byte to the end of its batch, waits for
 * the next chunk, and stays dirty until a retire that began after it is done.
 *
 * Owns the three sets, the chunks, the positions that they follow and the bounds
 * on them. Pure policy, and a part of the planner: what is said there of
 * offsets, locks and allocation holds here. It knows nothing of the page cache
 * beyond what is dirty in it.
 */
#pragma once

#include "policy/wbchunk.h"

G_BEGIN_DECLS

#define WB_FLIGHT_CAPACITY 64

typedef struct
{
  WbRange range;  /* what is left to retire of it */
  guint64 origin; /* where it began */
  guint64 chunk;
  gboolean late; /* had been started before */
} WbPiece;

typedef struct
{
  /* bounds, bytes */
  guint64 batch;  /* WB_BATCH or WB_BATCH_SMALL */
  guint64 window; /* G_MAXUINT64: none */
  guint64 patch_room;
  guint64 chunk_size;
  guint64 start_step;
  guint64
      cut_unit; /* what chunks end on multiples of; less than a batch: that */
  gboolean passive; /* only counts */
  gboolean starts_held;
  gboolean retire_whole; /* one retire is for all that is in flight */

  guint64 high_water;
  guint64 started; /* everything below was started once */
  guint64 cut;     /* everything below was put into a chunk */
  guint64 last_resume;

  WbRangeSet waiting;
  WbRangeSet ready;
  WbPiece flight[WB_FLIGHT_CAPACITY];
  guint flight_first, flight_n;
  guint64 flight_bytes;
  guint64 start_hand; /* starts go upwards from here, then round */

  WbChunks chunks;
} WbDirty;

/* Nothing is dirty, and the file is written up to `base`. */
void wb_dirty_init (WbDirty *dirty, guint64 base);
/* These do what the planner's functions of the same name say (wbplanner.h). */
void wb_dirty_set_bounds (WbDirty *dirty, guint64 window, guint64 chunk_size);
void wb_dirty_set_start_step (WbDirty *dirty, guint64 bytes);
void wb_dirty_set_cut_unit (WbDirty *dirty, guint64 bytes);
void wb_dirty_set_passive (WbDirty *dirty);
guint64 wb_dirty_cost (const WbDirty *dirty, guint64 offset, guint64 length);
gboolean wb_dirty_may_write (
    const WbDirty *dirty, guint64 offset, guint64 length);
void wb_dirty_wrote (WbDirty *dirty, guint64 offset, guint64 length);
void wb_dirty_release (WbDirty *dirty, gboolean everything);
void wb_dirty_release_below (WbDirty *dirty, guint64 offset);
void wb_dirty_restart (WbDirty *dirty, guint64 base, gboolean truncated);

/* The next write goes on at the high-water mark after a seek. */
static inline void
wb_dirty_resume (WbDirty *dirty)
{
  dirty->last_resume = dirty->high_water;
}

/* Whether the byte has had its write-out begun once. */
static inline gboolean
wb_dirty_is_started (const WbDirty *dirty, guint64 offset)
{
  return offset < dirty->started;
}

static inline guint64
wb_dirty_bytes (const WbDirty *dirty)
{
  return dirty->waiting.bytes + dirty->ready.bytes + dirty->flight_bytes;
}

static inline gboolean
wb_dirty_is_draining (const WbDirty *dirty)
{
  return dirty->ready.bytes > 0 || dirty->flight_n > 0;
}

/* Fills in the next range to start, or to wait for, if there is one, in a step
 * that is all 0. What is to be started counts as in flight from here on. */
gboolean wb_dirty_next_start (WbDirty *dirty, WbStep *step);
gboolean wb_dirty_next_retire (WbDirty *dirty, WbStep *step);
/* The oldest piece in flight (there is one) is clean up to `end`, or all of it
 * if it ends before that. Returns the number of bytes that became clean. If
 * that was the last of the piece, `whole` is what it was when it was started,
 * else an empty range. */
guint64 wb_dirty_retire (WbDirty *dirty, guint64 end, WbRange *whole);

/* Moves `*offset` past what is dirty there, or lowers `*end` to where it begins
 * after that: TRUE if `*offset` moved, and then there may be more. */
gboolean wb_dirty_step_over (
    const WbDirty *dirty, guint64 *offset, guint64 *end);
/* Draws in an edge that shares a batch, and so perhaps a folio, with dirty
 * bytes: DONTNEED would start the folio's write-out, and nobody would count
 * it. */
void wb_dirty_draw_in (const WbDirty *dirty, WbRange *range);

G_END_DECLS
