/* wbfilesink: what is dirty
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Layout: what was written; cutting chunks; starting; retiring; what a drop
 * must leave alone; life.
 */
#include "policy/wbdirty.h"

#include <string.h>

#define DEFAULT_CHUNK (32 * WB_BATCH)

static const WbPiece *
piece_at (const WbDirty *dirty, guint index)
{
  return &dirty->flight[(dirty->flight_first + index) % WB_FLIGHT_CAPACITY];
}

/* --- what was written ---------------------------------------------------- */

/* Splits a write into the part below what was started, widened to whole
 * batches because the kernel dirties a folio and not a page, and the new part,
 * which is exact. Either may be empty. */
static void
split_write (const WbDirty *dirty, guint64 offset, guint64 end, WbRange *late,
    WbRange *fresh)
{
  late->start = late->end = 0;
  fresh->start = MAX (offset, dirty->started);
  fresh->end = MAX (end, fresh->start);
  if (offset < dirty->started) {
    guint64 late_end = MIN (end, dirty->started);

    late->start = wb_round_down (offset, dirty->batch);
    late->end = MIN (wb_round_up (late_end, dirty->batch), dirty->started);
  }
}

static guint64
missing (const WbDirty *dirty, const WbRange *range)
{
  guint64 known;

  if (range->start >= range->end)
    return 0;
  known = wb_range_set_covered (&dirty->waiting, range->start, range->end)
      + wb_range_set_covered (&dirty->ready, range->start, range->end);
  return wb_subtract (range->end - range->start, known);
}

/* One write adds at most two ranges, each split by what is ready: with these
 * few left a set never has to join ranges across clean bytes. */
static gboolean
is_full (const WbDirty *dirty)
{
  return dirty->waiting.n + dirty->ready.n + 4 > WB_RANGE_SET_CAPACITY;
}

guint64
wb_dirty_cost (const WbDirty *dirty, guint64 offset, guint64 length)
{
  WbRange late, fresh;

  split_write (dirty, offset, offset + length, &late, &fresh);
  return missing (dirty, &late) + missing (dirty, &fresh);
}

/* Of the dirty bytes, those of late patches. */
static guint64
late_bytes (const WbDirty *dirty)
{
  guint64 bytes = wb_range_set_covered (&dirty->waiting, 0, dirty->started)
      + wb_range_set_covered (&dirty->ready, 0, dirty->started);

  for (guint i = 0; i < dirty->flight_n; i++) {
    const WbPiece *piece = piece_at (dirty, i);

    if (piece->late)
      bytes += piece->range.end - piece->range.start;
  }
  return bytes;
}

gboolean
wb_dirty_may_write (const WbDirty *dirty, guint64 offset, guint64 length)
{
  guint64 bytes = wb_dirty_bytes (dirty);
  guint64 total = bytes + wb_dirty_cost (dirty, offset, length);
  WbRange late, fresh;

  if (bytes == 0 || total == bytes)
    return TRUE;
  if (is_full (dirty))
    return FALSE;
  if (total > dirty->window && dirty->patch_room > 0) {
    split_write (dirty, offset, offset + length, &late, &fresh);
    total -=
        MIN (late_bytes (dirty) + missing (dirty, &late), dirty->patch_room);
  }
  return total <= dirty->window;
}

/* Adds to the waiting ranges what is not ready already. */
static void
add_waiting (WbDirty *dirty, const WbRange *range)
{
  guint64 from = range->start;

  while (from < range->end) {
    const WbRange *ready = wb_range_set_first_beyond (&dirty->ready, from);
    guint64 to = range->end;

    if (ready != NULL && ready->start < to) {
      wb_range_set_add (&dirty->waiting, from, ready->start);
      from = ready->end;
    } else {
      wb_range_set_add (&dirty->waiting, from, to);
      from = to;
    }
  }
}

/* --- cutting chunks ------------------------------------------------------ */

/* Everything that waits below `to` is ready: new data and the patches that
 * came too late for the chunk they fell into. */
static void
cut_at (WbDirty *dirty, guint64 to, WbCutReason reason)
{
  guint64 before = dirty->ready.bytes;
  guint64 from = G_MAXUINT64, last = 0;

  while (dirty->waiting.n > 0 && dirty->waiting.ranges[0].start < to) {
    guint64 start = dirty->waiting.ranges[0].start;
    guint64 end = MIN (dirty->waiting.ranges[0].end, to);

    wb_range_set_add (&dirty->ready, start, end);
    wb_range_set_remove (&dirty->waiting, start, end);
    if (start >= dirty->started || dirty->started >= to)
      from = MIN (from, start);
    last = MAX (last, end);
  }
  wb_chunks_book (&dirty->chunks, dirty->ready.bytes - before, MIN (from, last),
      last, reason);
  dirty->cut = MAX (dirty->cut, to);
}

/* Where `bytes` waiting bytes beyond `from` have been passed. */
static guint64
offset_after (const WbDirty *dirty, guint64 from, guint64 bytes)
{
  for (guint i = 0; i < dirty->waiting.n; i++) {
    guint64 start = MAX (dirty->waiting.ranges[i].start, from);
    guint64 end = dirty->waiting.ranges[i].end;

    if (end <= start)
      continue;
    if (end - start >= bytes)
      return start + bytes;
    bytes -= end - start;
  }
  return dirty->high_water;
}

static void
cut_full_chunks (WbDirty *dirty)
{
  guint64 unit = MAX (dirty->cut_unit, dirty->batch);

  for (;;) {
    WbCutReason reason = WB_CUT_RESUME;
    guint64 cut = dirty->cut, to;

    if (wb_range_set_covered (&dirty->waiting, cut, dirty->high_water)
        < dirty->chunk_size)
      return;

    /* The muxer has finished with what lies below a resume: cut there if that
     * makes at least half a chunk. Otherwise the bound wins over the patch. */
    to = wb_round_down (dirty->last_resume, unit);
    if (to <= cut
        || wb_range_set_covered (&dirty->waiting, cut, to)
            < dirty->chunk_size / 2) {
      reason = WB_CUT_SIZE;
      to = wb_round_down (offset_after (dirty, cut, dirty->chunk_size), unit);
    }
    if (to <= cut)
      to = wb_round_down (
          offset_after (dirty, cut, dirty->chunk_size), dirty->batch);
    if (to <= cut)
      to = offset_after (dirty, cut, dirty->chunk_size);
    cut_at (dirty, to, reason);
  }
}

void
wb_dirty_wrote (WbDirty *dirty, guint64 offset, guint64 length)
{
  WbRange late, fresh;

  if (dirty->passive) {
    dirty->high_water = MAX (dirty->high_water, offset + length);
    return;
  }

  split_write (dirty, offset, offset + length, &late, &fresh);
  add_waiting (dirty, &late);
  add_waiting (dirty, &fresh);
  dirty->high_water = MAX (dirty->high_water, offset + length);

  if (is_full (dirty))
    cut_at (dirty, dirty->high_water, WB_CUT_PATCHES);
  else
    cut_full_chunks (dirty);
}

void
wb_dirty_release (WbDirty *dirty, gboolean everything)
{
  guint64 whole = wb_round_down (dirty->high_water, dirty->batch);

  if (!everything
      && (wb_dirty_is_draining (dirty)
          || wb_range_set_covered (&dirty->waiting, 0, whole) > 0))
    cut_at (dirty, whole, WB_CUT_ROOM);
  else
    cut_at (dirty, dirty->high_water, everything ? WB_CUT_SYNC : WB_CUT_ROOM);
}

void
wb_dirty_release_below (WbDirty *dirty, guint64 offset)
{
  cut_at (dirty, wb_round_down (MIN (offset, dirty->high_water), dirty->batch),
      WB_CUT_SYNC);
}

/* --- starting ------------------------------------------------------------ */

gboolean
wb_dirty_next_start (WbDirty *dirty, WbStep *step)
{
  const WbRange *ready;
  WbChunk *chunk;
  WbPiece *piece;
  guint64 length;

  if (dirty->starts_held || dirty->ready.n == 0
      || dirty->flight_n == WB_FLIGHT_CAPACITY
      || dirty->flight_bytes > dirty->start_step)
    return FALSE;

  ready = wb_range_set_first_beyond (&dirty->ready, dirty->start_hand);
  if (ready == NULL)
    ready = &dirty->ready.ranges[0];
  chunk = wb_chunks_to_start (&dirty->chunks);
  length = MIN (ready->end - ready->start, dirty->start_step);
  if (chunk != NULL)
    length = MIN (length, chunk->to_start);

  step->kind = WB_STEP_START;
  step->range.start = ready->start;
  step->range.end = ready->start + length;
  if (chunk != NULL)
    wb_chunks_start (&dirty->chunks, chunk, length, step);

  wb_range_set_remove (&dirty->ready, step->range.start, step->range.end);
  piece = &dirty->flight[(dirty->flight_first + dirty->flight_n)
      % WB_FLIGHT_CAPACITY];
  piece->range = step->range;
  piece->origin = step->range.start;
  piece->chunk = step->chunk;
  piece->late = step->range.end <= dirty->started;
  dirty->flight_n++;
  dirty->flight_bytes += length;
  dirty->start_hand = step->range.end;
  /* What was dirty before a restart in place may lie beyond the end. */
  dirty->started =
      MAX (dirty->started, MIN (step->range.end, dirty->high_water));
  return TRUE;
}

/* --- retiring ------------------------------------------------------------ */

/* Of what is in flight, the bytes that belong to a chunk. */
static guint64
flight_of_chunk (const WbDirty *dirty, guint64 number)
{
  guint64 bytes = 0;

  for (guint i = 0; i < dirty->flight_n; i++) {
    const WbPiece *piece = piece_at (dirty, i);

    if (piece->chunk == number)
      bytes += piece->range.end - piece->range.start;
  }
  return bytes;
}

gboolean
wb_dirty_next_retire (WbDirty *dirty, WbStep *step)
{
  const WbPiece *first = piece_at (dirty, 0);
  const WbPiece *piece = first;
  const WbChunk *chunk;
  guint64 bytes;

  if (dirty->flight_n == 0)
    return FALSE;
  step->kind = WB_STEP_RETIRE;
  step->range.start = first->range.start;
  if (dirty->retire_whole) {
    piece = piece_at (dirty, dirty->flight_n - 1);
    step->range.end = MAX (first->range.end, piece->range.end);
    bytes = flight_of_chunk (dirty, piece->chunk);
  } else {
    step->range.end = MIN (first->range.end,
        wb_round_down (first->range.start, WB_RETIRE_STEP) + WB_RETIRE_STEP);
    bytes = step->range.end - step->range.start;
  }
  step->chunk = piece->chunk;
  step->last_of_piece =
      dirty->retire_whole || step->range.end == piece->range.end;
  chunk = wb_chunks_numbered (&dirty->chunks, piece->chunk);
  if (chunk != NULL) {
    step->chunk_span = chunk->span;
    step->last_of_chunk = chunk->to_retire == bytes;
  }
  return TRUE;
}

guint64
wb_dirty_retire (WbDirty *dirty, guint64 end, WbRange *whole)
{
  WbPiece *piece = &dirty->flight[dirty->flight_first];
  guint64 length;

  end = MIN (end, piece->range.end);
  length = end - piece->range.start;
  whole->start = whole->end = 0;
  piece->range.start = end;
  dirty->flight_bytes -= length;
  wb_chunks_retire (&dirty->chunks, piece->chunk, length);
  if (piece->range.start >= piece->range.end) {
    whole->start = piece->origin;
    whole->end = end;
    dirty->flight_first = (dirty->flight_first + 1) % WB_FLIGHT_CAPACITY;
    dirty->flight_n--;
  }
  return length;
}

/* --- what a drop must leave alone ---------------------------------------- */

gboolean
wb_dirty_step_over (const WbDirty *dirty, guint64 *offset, guint64 *end)
{
  gboolean moved = FALSE;

  moved |= wb_range_set_step_over (&dirty->waiting, offset, end);
  moved |= wb_range_set_step_over (&dirty->ready, offset, end);
  for (guint i = 0; i < dirty->flight_n; i++)
    moved |= wb_range_step_over (&piece_at (dirty, i)->range, offset, end);
  return moved;
}

static gboolean
batch_is_dirty (const WbDirty *dirty, guint64 offset)
{
  guint64 start = wb_round_down (offset, dirty->batch),
          end = start + dirty->batch;

  if (wb_range_set_covered (&dirty->waiting, start, end) > 0
      || wb_range_set_covered (&dirty->ready, start, end) > 0)
    return TRUE;
  for (guint i = 0; i < dirty->flight_n; i++) {
    const WbRange *range = &piece_at (dirty, i)->range;

    if (range->start < end && range->end > start)
      return TRUE;
  }
  return FALSE;
}

void
wb_dirty_draw_in (const WbDirty *dirty, WbRange *range)
{
  if (range->start < range->end && range->start % dirty->batch != 0
      && batch_is_dirty (dirty, range->start))
    range->start = wb_round_up (range->start, dirty->batch);
  if (range->start < range->end && range->end % dirty->batch != 0
      && batch_is_dirty (dirty, range->end))
    range->end = wb_round_down (range->end, dirty->batch);
}

/* --- life ---------------------------------------------------------------- */

/* The stream begins at `base`. */
static void
begin_at (WbDirty *dirty, guint64 base)
{
  dirty->high_water = dirty->started = dirty->cut = base;
  dirty->last_resume = dirty->start_hand = base;
}

void
wb_dirty_init (WbDirty *dirty, guint64 base)
{
  memset (dirty, 0, sizeof *dirty);
  dirty->batch = WB_BATCH;
  dirty->window = G_MAXUINT64;
  dirty->chunk_size = DEFAULT_CHUNK;
  dirty->start_step = WB_START_STEP;
  begin_at (dirty, base);
}

void
wb_dirty_set_bounds (WbDirty *dirty, guint64 window, guint64 chunk_size)
{
  guint64 batch = chunk_size < WB_BATCH ? WB_BATCH_SMALL : WB_BATCH;

  dirty->batch = batch;
  dirty->window = MAX (window, 2 * batch);
  dirty->chunk_size =
      MAX (wb_round_down (MIN (chunk_size, dirty->window / 2), batch), batch);
}

void
wb_dirty_set_start_step (WbDirty *dirty, guint64 bytes)
{
  guint64 most = dirty->retire_whole ? WB_START_STEP_WHOLE : WB_START_STEP_LONG;

  if (bytes == 0)
    dirty->start_step = WB_START_STEP;
  else
    dirty->start_step = CLAMP (wb_round_down (bytes, WB_BATCH), WB_BATCH, most);
}

void
wb_dirty_set_cut_unit (WbDirty *dirty, guint64 bytes)
{
  dirty->cut_unit = bytes;
}

static void
forget (WbDirty *dirty)
{
  wb_range_set_clear (&dirty->waiting);
  wb_range_set_clear (&dirty->ready);
  dirty->flight_n = 0;
  dirty->flight_bytes = 0;
  wb_chunks_forget (&dirty->chunks);
}

void
wb_dirty_set_passive (WbDirty *dirty)
{
  forget (dirty);
  dirty->passive = TRUE;
}

void
wb_dirty_restart (WbDirty *dirty, guint64 base, gboolean truncated)
{
  if (truncated)
    forget (dirty);
  else
    cut_at (dirty, dirty->high_water, WB_CUT_SYNC);
  begin_at (dirty, base);
}
