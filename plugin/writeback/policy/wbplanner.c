/* wbfilesink: the planner
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Layout: small helpers on offsets; what was written; cutting chunks; choosing
 * the next step; dropping and keeping; life.
 */
#include "policy/wbplanner.h"

#include <string.h>

#define PAGE G_GUINT64_CONSTANT (4096)
#define DEFAULT_CHUNK (32 * WB_BATCH)

static guint64
round_down (guint64 offset, guint64 unit)
{
  return offset - offset % unit;
}

static guint64
round_up (guint64 offset, guint64 unit)
{
  return offset > G_MAXUINT64 - unit ? G_MAXUINT64
                                     : round_down (offset + unit - 1, unit);
}

static guint64
less (guint64 offset, guint64 length)
{
  return offset > length ? offset - length : 0;
}

/* --- what was written ---------------------------------------------------- */

guint64
wb_planner_dirty (const WbPlanner *planner)
{
  return planner->waiting.bytes + planner->ready.bytes + planner->flight_bytes;
}

static const WbPiece *
piece_at (const WbPlanner *planner, guint index)
{
  return &planner->flight[(planner->flight_first + index) % WB_FLIGHT_CAPACITY];
}

/* Splits a write into the part below what was started, widened to whole
 * batches because the kernel dirties a folio and not a page, and the new part,
 * which is exact. Either may be empty. */
static void
split_write (const WbPlanner *planner, guint64 offset, guint64 end,
    WbRange *late, WbRange *fresh)
{
  late->start = late->end = 0;
  fresh->start = MAX (offset, planner->started);
  fresh->end = MAX (end, fresh->start);
  if (offset < planner->started) {
    guint64 late_end = MIN (end, planner->started);

    late->start = round_down (offset, planner->batch);
    late->end = MIN (round_up (late_end, planner->batch), planner->started);
  }
}

static guint64
missing (const WbPlanner *planner, const WbRange *range)
{
  guint64 known;

  if (range->start >= range->end)
    return 0;
  known = wb_range_set_covered (&planner->waiting, range->start, range->end)
      + wb_range_set_covered (&planner->ready, range->start, range->end);
  return less (range->end - range->start, known);
}

/* One write adds at most two ranges, each split by what is ready: with these
 * few left a set never has to join ranges across clean bytes. */
static gboolean
is_full (const WbPlanner *planner)
{
  return planner->waiting.n + planner->ready.n + 4 > WB_RANGE_SET_CAPACITY;
}

guint64
wb_planner_cost (const WbPlanner *planner, guint64 offset, guint64 length)
{
  WbRange late, fresh;

  split_write (planner, offset, offset + length, &late, &fresh);
  return missing (planner, &late) + missing (planner, &fresh);
}

/* Of the dirty bytes, those of late patches. */
static guint64
late_bytes (const WbPlanner *planner)
{
  guint64 bytes = wb_range_set_covered (&planner->waiting, 0, planner->started)
      + wb_range_set_covered (&planner->ready, 0, planner->started);

  for (guint i = 0; i < planner->flight_n; i++) {
    const WbPiece *piece = piece_at (planner, i);

    if (piece->late)
      bytes += piece->range.end - piece->range.start;
  }
  return bytes;
}

gboolean
wb_planner_may_write (const WbPlanner *planner, guint64 offset, guint64 length)
{
  guint64 dirty = wb_planner_dirty (planner);
  guint64 total = dirty + wb_planner_cost (planner, offset, length);
  WbRange late, fresh;

  if (dirty == 0 || total == dirty)
    return TRUE;
  if (is_full (planner))
    return FALSE;
  if (total > planner->window && planner->patch_room > 0) {
    split_write (planner, offset, offset + length, &late, &fresh);
    total -= MIN (
        late_bytes (planner) + missing (planner, &late), planner->patch_room);
  }
  return total <= planner->window;
}

/* Adds to the waiting ranges what is not ready already. */
static void
add_waiting (WbPlanner *planner, const WbRange *range)
{
  guint64 from = range->start;

  while (from < range->end) {
    const WbRange *ready = wb_range_set_first_beyond (&planner->ready, from);
    guint64 to = range->end;

    if (ready != NULL && ready->start < to) {
      wb_range_set_add (&planner->waiting, from, ready->start);
      from = ready->end;
    } else {
      wb_range_set_add (&planner->waiting, from, to);
      from = to;
    }
  }
}

/* --- cutting chunks ------------------------------------------------------ */

static WbChunk *
chunk_at (WbPlanner *planner, guint index)
{
  return &planner->chunks[(planner->chunk_first + index) % WB_CHUNK_CAPACITY];
}

/* Books bytes that became ready. More chunks than there is room for records
 * (no window, a disk that takes nothing) count as one long one. */
static void
book_chunk (WbPlanner *planner, guint64 bytes, guint64 from, guint64 to,
    WbCutReason reason)
{
  WbChunk *chunk;

  if (bytes == 0)
    return;
  if (planner->chunk_n == WB_CHUNK_CAPACITY) {
    chunk = chunk_at (planner, planner->chunk_n - 1);
    chunk->span.start = MIN (chunk->span.start, from);
    chunk->span.end = MAX (chunk->span.end, to);
    chunk->to_start += bytes;
    chunk->to_retire += bytes;
    return;
  }
  chunk = chunk_at (planner, planner->chunk_n++);
  chunk->number = ++planner->chunk_number;
  chunk->span.start = from;
  chunk->span.end = to;
  chunk->to_start = chunk->to_retire = bytes;
  chunk->reason = reason;
  chunk->begun = FALSE;
}

/* Everything that waits below `to` is ready: new data and the patches that
 * came too late for the chunk they fell into. */
static void
cut_at (WbPlanner *planner, guint64 to, WbCutReason reason)
{
  guint64 before = planner->ready.bytes;
  guint64 from = G_MAXUINT64, last = 0;

  while (planner->waiting.n > 0 && planner->waiting.ranges[0].start < to) {
    guint64 start = planner->waiting.ranges[0].start;
    guint64 end = MIN (planner->waiting.ranges[0].end, to);

    wb_range_set_add (&planner->ready, start, end);
    wb_range_set_remove (&planner->waiting, start, end);
    if (start >= planner->started || planner->started >= to)
      from = MIN (from, start);
    last = MAX (last, end);
  }
  book_chunk (
      planner, planner->ready.bytes - before, MIN (from, last), last, reason);
  planner->cut = MAX (planner->cut, to);
}

/* Where `bytes` waiting bytes beyond `from` have been passed. */
static guint64
offset_after (const WbPlanner *planner, guint64 from, guint64 bytes)
{
  for (guint i = 0; i < planner->waiting.n; i++) {
    guint64 start = MAX (planner->waiting.ranges[i].start, from);
    guint64 end = planner->waiting.ranges[i].end;

    if (end <= start)
      continue;
    if (end - start >= bytes)
      return start + bytes;
    bytes -= end - start;
  }
  return planner->high_water;
}

static void
cut_full_chunks (WbPlanner *planner)
{
  for (;;) {
    WbCutReason reason = WB_CUT_RESUME;
    guint64 cut = planner->cut, to;

    if (wb_range_set_covered (&planner->waiting, cut, planner->high_water)
        < planner->chunk_size)
      return;

    /* The muxer has finished with what lies below a resume: cut there if that
     * makes at least half a chunk. Otherwise the bound wins over the patch. */
    to = round_down (planner->last_resume, planner->batch);
    if (to <= cut
        || wb_range_set_covered (&planner->waiting, cut, to)
            < planner->chunk_size / 2) {
      reason = WB_CUT_SIZE;
      to = round_down (
          offset_after (planner, cut, planner->chunk_size), planner->batch);
    }
    if (to <= cut)
      to = offset_after (planner, cut, planner->chunk_size);
    cut_at (planner, to, reason);
  }
}

void
wb_planner_release (WbPlanner *planner, gboolean everything)
{
  guint64 whole = round_down (planner->high_water, planner->batch);

  if (!everything
      && (wb_planner_is_draining (planner)
          || wb_range_set_covered (&planner->waiting, 0, whole) > 0))
    cut_at (planner, whole, WB_CUT_ROOM);
  else
    cut_at (
        planner, planner->high_water, everything ? WB_CUT_SYNC : WB_CUT_ROOM);
}

void
wb_planner_release_below (WbPlanner *planner, guint64 offset)
{
  cut_at (planner,
      round_down (MIN (offset, planner->high_water), planner->batch),
      WB_CUT_SYNC);
}

gboolean
wb_planner_is_draining (const WbPlanner *planner)
{
  return planner->ready.bytes > 0 || planner->flight_n > 0;
}

/* --- keeping and dropping ------------------------------------------------ */

static void
add_drop (WbPlanner *planner, guint64 start, guint64 end)
{
  if (planner->drop)
    wb_range_set_add (&planner->drops, start, end);
}

static void
release_kept (WbPlanner *planner, const WbRange *kept)
{
  /* What has not been retired yet is dropped with its chunk. */
  add_drop (planner, less (kept->start, WB_RELEASE_MARGIN),
      kept->end + WB_RELEASE_MARGIN);
}

/* The page that a write at `position` begins in, and the one after: the next
 * patch to it may straddle the two. */
static WbRange
pages_at (guint64 position)
{
  WbRange pages;

  pages.start = round_down (position, PAGE);
  pages.end = pages.start + 2 * PAGE;
  return pages;
}

static void
release_targets (WbPlanner *planner)
{
  for (guint i = 0; i < planner->n_targets; i++)
    release_kept (planner, &planner->targets[i]);
  planner->n_targets = 0;
}

/* A patch that begins or ends where one did before is likely to come back, and
 * its page is kept for good. */
static void
note_patched_page (WbPlanner *planner, guint64 offset)
{
  WbRange page = { round_down (offset, PAGE),
    round_down (offset, PAGE) + PAGE };

  for (guint i = 0; i < planner->n_returning; i++)
    if (planner->returning[i].start == page.start)
      return;
  for (guint i = 0; i < MIN (planner->n_recent, WB_RECENT_CAPACITY); i++) {
    if (planner->recent[i] == page.start + 1
        && planner->n_returning < WB_RETURNING_CAPACITY) {
      planner->returning[planner->n_returning++] = page;
      return;
    }
  }
  planner->recent[planner->n_recent++ % WB_RECENT_CAPACITY] = page.start + 1;
}

/* A write that does not begin where the last one ended: a seek came before. */
static void
note_seek (WbPlanner *planner, guint64 offset)
{
  /* Where a patch ended, if it is not the page that it began in. */
  if (planner->write_position < planner->high_water
      && round_down (planner->write_position, PAGE) != planner->patch_page)
    note_patched_page (planner, planner->write_position);
  if (offset < planner->high_water) {
    note_patched_page (planner, offset);
    planner->patch_page = round_down (offset, PAGE);
  }
  if (offset == planner->high_water) {
    release_targets (planner);
    if (planner->resume_kept) {
      WbRange old = pages_at (planner->last_resume);

      release_kept (planner, &old);
    }
    planner->last_resume = offset;
    planner->resume_kept = TRUE;
    return;
  }
  if (offset < planner->high_water) {
    planner->back_patches++;
    if (offset < planner->started)
      planner->late_back_patches++;
  }
  if (planner->n_targets == WB_TARGET_CAPACITY)
    release_targets (planner);
  planner->targets[planner->n_targets++] = pages_at (offset);
}

void
wb_planner_wrote (WbPlanner *planner, guint64 offset, guint64 length)
{
  WbRange late, fresh;

  if (length == 0)
    return;
  planner->settled = FALSE;
  if (offset != planner->write_position)
    note_seek (planner, offset);
  if (planner->passive) {
    planner->write_position = offset + length;
    planner->high_water = MAX (planner->high_water, offset + length);
    return;
  }

  split_write (planner, offset, offset + length, &late, &fresh);
  add_waiting (planner, &late);
  add_waiting (planner, &fresh);
  planner->write_position = offset + length;
  planner->high_water = MAX (planner->high_water, offset + length);

  if (is_full (planner))
    cut_at (planner, planner->high_water, WB_CUT_PATCHES);
  else
    cut_full_chunks (planner);
}

/* If `offset` lies in `blocker`, moves it past; else lowers `*end` to it. */
static gboolean
step_over (guint64 *offset, guint64 *end, guint64 start, guint64 stop)
{
  if (start >= stop || stop <= *offset || start >= *end)
    return FALSE;
  if (start <= *offset) {
    *offset = stop;
    return TRUE;
  }
  *end = start;
  return FALSE;
}

static gboolean
step_over_set (guint64 *offset, guint64 *end, const WbRangeSet *set)
{
  const WbRange *range = wb_range_set_first_beyond (set, *offset);

  return range != NULL && step_over (offset, end, range->start, range->end);
}

/* One pass over everything that must stay: TRUE if `offset` moved. */
static gboolean
step_over_blockers (const WbPlanner *planner, guint64 *offset, guint64 *end)
{
  gboolean moved = FALSE;

  moved |= step_over_set (offset, end, &planner->waiting);
  moved |= step_over_set (offset, end, &planner->ready);
  for (guint i = 0; i < planner->flight_n; i++) {
    const WbRange *range = &piece_at (planner, i)->range;

    moved |= step_over (offset, end, range->start, range->end);
  }
  /* The page that the next append begins in: a barrier leaves it clean. */
  if (!planner->settled)
    moved |= step_over (offset, end, round_down (planner->high_water, PAGE),
        round_up (planner->high_water, PAGE));
  if (planner->head_kept)
    moved |=
        step_over (offset, end, planner->base, planner->base + WB_HEAD_KEPT);
  if (planner->resume_kept) {
    WbRange pages = pages_at (planner->last_resume);

    moved |= step_over (offset, end, pages.start, pages.end);
  }
  for (guint i = 0; i < planner->n_returning; i++)
    moved |= step_over (
        offset, end, planner->returning[i].start, planner->returning[i].end);
  for (guint i = 0; i < planner->n_targets; i++)
    moved |= step_over (
        offset, end, planner->targets[i].start, planner->targets[i].end);
  return moved;
}

static gboolean
batch_is_dirty (const WbPlanner *planner, guint64 offset)
{
  guint64 start = round_down (offset, planner->batch),
          end = start + planner->batch;

  if (wb_range_set_covered (&planner->waiting, start, end) > 0
      || wb_range_set_covered (&planner->ready, start, end) > 0)
    return TRUE;
  for (guint i = 0; i < planner->flight_n; i++) {
    const WbRange *range = &piece_at (planner, i)->range;

    if (range->start < end && range->end > start)
      return TRUE;
  }
  return FALSE;
}

/* The next range that may leave the cache. An edge that shares a batch, and so
 * perhaps a folio, with dirty bytes is drawn in: DONTNEED would start the
 * folio's write-out, and nobody would count it. */
static gboolean
next_drop (WbPlanner *planner, WbRange *range)
{
  while (planner->drops.n > 0) {
    guint64 start = planner->drops.ranges[0].start, from = start;
    guint64 limit = planner->drops.ranges[0].end, end;

    do
      end = limit;
    while (from < limit && step_over_blockers (planner, &from, &end));
    end = MIN (end, limit);
    wb_range_set_remove (&planner->drops, start, MAX (from, end));
    if (from < end && from % planner->batch != 0
        && batch_is_dirty (planner, from))
      from = round_up (from, planner->batch);
    if (from < end && end % planner->batch != 0
        && batch_is_dirty (planner, end))
      end = round_down (end, planner->batch);
    if (from < end) {
      range->start = from;
      range->end = end;
      return TRUE;
    }
  }
  return FALSE;
}

/* --- choosing the next step ---------------------------------------------- */

/* The oldest chunk with bytes left to start. */
static WbChunk *
chunk_to_start (WbPlanner *planner)
{
  for (guint i = 0; i < planner->chunk_n; i++)
    if (chunk_at (planner, i)->to_start > 0)
      return chunk_at (planner, i);
  return NULL;
}

static WbChunk *
chunk_numbered (WbPlanner *planner, guint64 number)
{
  for (guint i = 0; i < planner->chunk_n; i++)
    if (chunk_at (planner, i)->number == number)
      return chunk_at (planner, i);
  return NULL;
}

static gboolean
next_start (WbPlanner *planner, WbStep *step)
{
  const WbRange *ready;
  WbChunk *chunk;
  WbPiece *piece;
  guint64 length;

  if (planner->ready.n == 0 || planner->flight_n == WB_FLIGHT_CAPACITY
      || planner->flight_bytes > planner->start_step)
    return FALSE;

  ready = wb_range_set_first_beyond (&planner->ready, planner->start_hand);
  if (ready == NULL)
    ready = &planner->ready.ranges[0];
  chunk = chunk_to_start (planner);
  length = MIN (ready->end - ready->start, planner->start_step);
  if (chunk != NULL)
    length = MIN (length, chunk->to_start);

  step->kind = WB_STEP_START;
  step->range.start = ready->start;
  step->range.end = ready->start + length;
  step->chunk = chunk != NULL ? chunk->number : 0;
  step->first_of_chunk = step->last_of_chunk = FALSE;
  if (chunk != NULL) {
    chunk->to_start -= length;
    step->first_of_chunk = !chunk->begun;
    step->chunk_span = chunk->span;
    step->reason = chunk->reason;
    if (!chunk->begun)
      planner->chunks_started++;
    chunk->begun = TRUE;
  }

  wb_range_set_remove (&planner->ready, step->range.start, step->range.end);
  piece = &planner->flight[(planner->flight_first + planner->flight_n)
      % WB_FLIGHT_CAPACITY];
  piece->range = step->range;
  piece->origin = step->range.start;
  piece->chunk = step->chunk;
  piece->late = step->range.end <= planner->started;
  planner->flight_n++;
  planner->flight_bytes += length;
  planner->start_hand = step->range.end;
  /* What was dirty before a restart in place may lie beyond the end. */
  planner->started =
      MAX (planner->started, MIN (step->range.end, planner->high_water));
  return TRUE;
}

/* Of what is in flight, the bytes that belong to a chunk. */
static guint64
flight_of_chunk (const WbPlanner *planner, guint64 number)
{
  guint64 bytes = 0;

  for (guint i = 0; i < planner->flight_n; i++) {
    const WbPiece *piece = piece_at (planner, i);

    if (piece->chunk == number)
      bytes += piece->range.end - piece->range.start;
  }
  return bytes;
}

static gboolean
next_retire (WbPlanner *planner, WbStep *step)
{
  const WbPiece *first = piece_at (planner, 0);
  const WbPiece *piece = first;
  const WbChunk *chunk;
  guint64 bytes;

  if (planner->flight_n == 0)
    return FALSE;
  step->kind = WB_STEP_RETIRE;
  step->range.start = first->range.start;
  if (planner->retire_whole) {
    piece = piece_at (planner, planner->flight_n - 1);
    step->range.end = MAX (first->range.end, piece->range.end);
    bytes = flight_of_chunk (planner, piece->chunk);
  } else {
    step->range.end = MIN (first->range.end,
        round_down (first->range.start, WB_RETIRE_STEP) + WB_RETIRE_STEP);
    bytes = step->range.end - step->range.start;
  }
  step->chunk = piece->chunk;
  step->last_of_piece =
      planner->retire_whole || step->range.end == piece->range.end;
  step->first_of_chunk = step->last_of_chunk = FALSE;
  chunk = chunk_numbered (planner, piece->chunk);
  if (chunk != NULL) {
    step->chunk_span = chunk->span;
    step->last_of_chunk = chunk->to_retire == bytes;
  }
  return TRUE;
}

gboolean
wb_planner_next (WbPlanner *planner, WbStep *step)
{
  memset (step, 0, sizeof *step);
  if (!planner->starts_held && next_start (planner, step))
    return TRUE;
  if (next_drop (planner, &step->range)) {
    step->kind = WB_STEP_DROP;
    return TRUE;
  }
  return next_retire (planner, step);
}

static void
finish_chunk_bytes (WbPlanner *planner, guint64 number, guint64 bytes)
{
  WbChunk *chunk = chunk_numbered (planner, number);

  if (chunk == NULL)
    return;
  chunk->to_retire = less (chunk->to_retire, bytes);
  if (chunk->to_retire == 0)
    planner->chunks_retired++;
  while (planner->chunk_n > 0 && chunk_at (planner, 0)->to_retire == 0) {
    planner->chunk_first = (planner->chunk_first + 1) % WB_CHUNK_CAPACITY;
    planner->chunk_n--;
  }
}

/* The first piece in flight is clean up to `end`. Returns its bytes. */
static guint64
retire_piece (WbPlanner *planner, guint64 end)
{
  WbPiece *piece = &planner->flight[planner->flight_first];
  guint64 length = end - piece->range.start;

  piece->range.start = end;
  planner->flight_bytes -= length;
  finish_chunk_bytes (planner, piece->chunk, length);
  if (piece->range.start >= piece->range.end) {
    /* To the end of the largest batch: an earlier drop may have drawn in its edge,
     * when batches were larger than now. */
    add_drop (planner, less (piece->origin, WB_DROP_OVERLAP),
        round_up (end, WB_BATCH));
    planner->flight_first = (planner->flight_first + 1) % WB_FLIGHT_CAPACITY;
    planner->flight_n--;
  }
  return length;
}

guint64
wb_planner_done (WbPlanner *planner, const WbStep *step)
{
  guint64 cleaned = 0;

  if (step->kind != WB_STEP_RETIRE || planner->flight_n == 0)
    return 0;
  if (!planner->retire_whole)
    return retire_piece (planner, step->range.end);
  while (planner->flight_n > 0)
    cleaned += retire_piece (planner, piece_at (planner, 0)->range.end);
  return cleaned;
}

/* --- life ---------------------------------------------------------------- */

void
wb_planner_init (WbPlanner *planner, guint64 base, gboolean drop)
{
  memset (planner, 0, sizeof *planner);
  planner->batch = WB_BATCH;
  planner->window = G_MAXUINT64;
  planner->chunk_size = DEFAULT_CHUNK;
  planner->start_step = WB_START_STEP;
  planner->drop = drop;
  planner->base = planner->high_water = planner->write_position = base;
  planner->started = planner->cut = planner->last_resume = base;
  planner->start_hand = base;
  planner->head_kept = TRUE;
}

void
wb_planner_set_bounds (WbPlanner *planner, guint64 window, guint64 chunk_size)
{
  guint64 batch = chunk_size < WB_BATCH ? WB_BATCH_SMALL : WB_BATCH;

  planner->batch = batch;
  planner->window = MAX (window, 2 * batch);
  planner->chunk_size =
      MAX (round_down (MIN (chunk_size, planner->window / 2), batch), batch);
}

void
wb_planner_set_patch_room (WbPlanner *planner, guint64 bytes)
{
  planner->patch_room = bytes;
}

void
wb_planner_set_start_step (WbPlanner *planner, guint64 bytes)
{
  guint64 most = planner->retire_whole ? WB_START_STEP_WHOLE : WB_START_STEP;

  if (bytes == 0)
    planner->start_step = WB_START_STEP;
  else
    planner->start_step = CLAMP (round_down (bytes, WB_BATCH), WB_BATCH, most);
}

void
wb_planner_set_retire_whole (WbPlanner *planner)
{
  planner->retire_whole = TRUE;
}

void
wb_planner_hold_starts (WbPlanner *planner, gboolean hold)
{
  planner->starts_held = hold;
}

static void
forget_ranges (WbPlanner *planner)
{
  wb_range_set_clear (&planner->waiting);
  wb_range_set_clear (&planner->ready);
  wb_range_set_clear (&planner->drops);
  planner->flight_n = 0;
  planner->flight_bytes = 0;
  planner->chunks_retired = planner->chunks_started;
  planner->chunk_n = 0;
}

void
wb_planner_stop_dropping (WbPlanner *planner)
{
  planner->drop = FALSE;
  wb_range_set_clear (&planner->drops);
}

void
wb_planner_set_passive (WbPlanner *planner)
{
  forget_ranges (planner);
  planner->passive = TRUE;
  planner->drop = FALSE;
}

void
wb_planner_settle (WbPlanner *planner)
{
  WbRange head = { planner->base, planner->base + WB_HEAD_KEPT };
  WbRange resume = pages_at (planner->last_resume);

  if (planner->head_kept)
    release_kept (planner, &head);
  if (planner->resume_kept)
    release_kept (planner, &resume);
  release_targets (planner);
  for (guint i = 0; i < planner->n_returning; i++)
    release_kept (planner, &planner->returning[i]);
  planner->n_returning = planner->n_recent = 0;
  memset (planner->recent, 0, sizeof planner->recent);
  planner->head_kept = planner->resume_kept = FALSE;
  planner->settled = TRUE;
  add_drop (planner, less (planner->high_water, WB_DROP_OVERLAP),
      round_up (planner->high_water, WB_BATCH));
}

void
wb_planner_restart (WbPlanner *planner, gboolean truncated)
{
  guint64 base = planner->base;

  if (truncated) {
    forget_ranges (planner);
  } else {
    cut_at (planner, planner->high_water, WB_CUT_SYNC);
  }
  planner->high_water = planner->write_position = base;
  planner->started = planner->cut = planner->last_resume = base;
  planner->start_hand = base;
  planner->n_targets = planner->n_returning = planner->n_recent = 0;
  memset (planner->recent, 0, sizeof planner->recent);
  planner->resume_kept = FALSE;
  planner->head_kept = TRUE;
}
