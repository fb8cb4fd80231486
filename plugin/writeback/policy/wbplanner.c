/* wbfilesink: the planner
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Layout: what was written; the next step, and its end; bounds and orders;
 * life.
 */
#include "policy/wbplanner.h"

#include <string.h>

/* --- what was written ---------------------------------------------------- */

/* A write that does not begin where the last one ended: a seek came before. */
static void
note_seek (WbPlanner *planner, guint64 offset)
{
  guint64 high_water = wb_planner_high_water (planner);

  wb_kept_seek (&planner->kept, planner->write_position, offset, high_water);
  if (offset == high_water) {
    wb_dirty_resume (&planner->dirty);
  } else if (offset < high_water) {
    planner->back_patches++;
    if (wb_dirty_is_started (&planner->dirty, offset))
      planner->late_back_patches++;
  }
}

void
wb_planner_wrote (WbPlanner *planner, guint64 offset, guint64 length)
{
  if (length == 0)
    return;
  wb_kept_wrote (&planner->kept);
  if (offset != planner->write_position)
    note_seek (planner, offset);
  wb_dirty_wrote (&planner->dirty, offset, length);
  planner->write_position = offset + length;
}

/* --- the next step, and its end ------------------------------------------ */

/* One pass over everything that must stay: TRUE if `offset` moved. */
static gboolean
step_over_blockers (const WbPlanner *planner, guint64 *offset, guint64 *end)
{
  gboolean moved = wb_dirty_step_over (&planner->dirty, offset, end);

  moved |= wb_kept_step_over (
      &planner->kept, wb_planner_high_water (planner), offset, end);
  return moved;
}

/* The next range that may leave the cache: of what is offered, what is neither
 * dirty nor kept. */
static gboolean
next_drop (WbPlanner *planner, WbRange *range)
{
  WbRange offer, clean;

  while (wb_kept_first_offer (&planner->kept, &offer)) {
    guint64 from = offer.start, end;

    do
      end = offer.end;
    while (from < offer.end && step_over_blockers (planner, &from, &end));
    end = MIN (end, offer.end);
    wb_kept_take (&planner->kept, offer.start, MAX (from, end));
    clean.start = from;
    clean.end = end;
    wb_dirty_draw_in (&planner->dirty, &clean);
    if (clean.start < clean.end) {
      *range = clean;
      return TRUE;
    }
  }
  return FALSE;
}

gboolean
wb_planner_next (WbPlanner *planner, WbStep *step)
{
  memset (step, 0, sizeof *step);
  if (wb_dirty_next_start (&planner->dirty, step))
    return TRUE;
  if (next_drop (planner, &step->range)) {
    step->kind = WB_STEP_DROP;
    return TRUE;
  }
  return wb_dirty_next_retire (&planner->dirty, step);
}

/* The oldest piece in flight is clean up to `end`; when all of it is, it may
 * leave the cache. */
static guint64
retire_piece (WbPlanner *planner, guint64 end)
{
  WbRange whole;
  guint64 cleaned = wb_dirty_retire (&planner->dirty, end, &whole);

  if (whole.start < whole.end)
    wb_kept_offer (&planner->kept, whole.start, whole.end);
  return cleaned;
}

guint64
wb_planner_done (WbPlanner *planner, const WbStep *step)
{
  guint64 cleaned = 0;

  if (step->kind != WB_STEP_RETIRE || wb_planner_in_flight (planner) == 0)
    return 0;
  if (!wb_planner_retires_whole (planner))
    return retire_piece (planner, step->range.end);
  while (wb_planner_in_flight (planner) > 0)
    cleaned += retire_piece (planner, G_MAXUINT64);
  return cleaned;
}

/* --- bounds and orders --------------------------------------------------- */

void
wb_planner_set_bounds (WbPlanner *planner, guint64 window, guint64 chunk_size)
{
  wb_dirty_set_bounds (&planner->dirty, window, chunk_size);
}

void
wb_planner_set_patch_room (WbPlanner *planner, guint64 bytes)
{
  planner->dirty.patch_room = bytes;
}

void
wb_planner_set_cut_unit (WbPlanner *planner, guint64 bytes)
{
  wb_dirty_set_cut_unit (&planner->dirty, bytes);
}

void
wb_planner_set_start_step (WbPlanner *planner, guint64 bytes)
{
  wb_dirty_set_start_step (&planner->dirty, bytes);
}

void
wb_planner_set_retire_whole (WbPlanner *planner)
{
  planner->dirty.retire_whole = TRUE;
}

void
wb_planner_hold_starts (WbPlanner *planner, gboolean hold)
{
  planner->dirty.starts_held = hold;
}

void
wb_planner_stop_dropping (WbPlanner *planner)
{
  wb_kept_stop_dropping (&planner->kept);
}

void
wb_planner_release (WbPlanner *planner, gboolean everything)
{
  wb_dirty_release (&planner->dirty, everything);
}

void
wb_planner_release_below (WbPlanner *planner, guint64 offset)
{
  wb_dirty_release_below (&planner->dirty, offset);
}

/* --- life ---------------------------------------------------------------- */

void
wb_planner_init (
    WbPlanner *planner, guint64 base, guint64 page_size, gboolean drop)
{
  wb_dirty_init (&planner->dirty, base);
  wb_kept_init (&planner->kept, base, page_size, drop);
  planner->base = planner->write_position = base;
  planner->back_patches = planner->late_back_patches = 0;
}

void
wb_planner_set_passive (WbPlanner *planner)
{
  wb_dirty_set_passive (&planner->dirty);
  wb_kept_stop_dropping (&planner->kept);
}

void
wb_planner_settle (WbPlanner *planner)
{
  wb_kept_settle (&planner->kept, wb_planner_high_water (planner));
}

void
wb_planner_restart (WbPlanner *planner, gboolean truncated)
{
  wb_dirty_restart (&planner->dirty, planner->base, truncated);
  wb_kept_restart (&planner->kept, truncated);
  planner->write_position = planner->base;
}

WbPlannerCounters
wb_planner_counters (const WbPlanner *planner)
{
  WbPlannerCounters counters = {
    .back_patches = planner->back_patches,
    .late_back_patches = planner->late_back_patches,
    .chunks_cut = planner->dirty.chunks.number,
    .chunks_started = planner->dirty.chunks.started,
    .chunks_retired = planner->dirty.chunks.retired,
  };

  return counters;
}
