/* wbfilesink: what is kept
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Layout: what is offered; seeks, and what they keep; what stays; life.
 */
#include "policy/wbkept.h"

#include <string.h>

/* --- what is offered ----------------------------------------------------- */

static void
add_drop (WbKept *kept, guint64 start, guint64 end)
{
  if (kept->drop)
    wb_range_set_add (&kept->drops, start, end);
}

void
wb_kept_offer (WbKept *kept, guint64 start, guint64 end)
{
  /* To the end of the largest batch: an earlier drop may have drawn in its
   * edge, when batches were larger than now. */
  add_drop (
      kept, wb_subtract (start, WB_DROP_OVERLAP), wb_round_up (end, WB_BATCH));
}

static void
release_kept (WbKept *kept, const WbRange *range)
{
  /* What has not been retired yet is dropped with its chunk. */
  add_drop (kept, wb_subtract (range->start, WB_RELEASE_MARGIN),
      range->end + WB_RELEASE_MARGIN);
}

gboolean
wb_kept_first_offer (const WbKept *kept, WbRange *range)
{
  if (kept->drops.n == 0)
    return FALSE;
  *range = kept->drops.ranges[0];
  return TRUE;
}

void
wb_kept_take (WbKept *kept, guint64 start, guint64 end)
{
  wb_range_set_remove (&kept->drops, start, end);
}

/* --- seeks, and what they keep ------------------------------------------- */

/* The page that a write at `position` begins in, and the one after: the next
 * patch to it may straddle the two. */
static WbRange
pages_at (const WbKept *kept, guint64 position)
{
  WbRange pages;

  pages.start = wb_round_down (position, kept->page_size);
  pages.end = pages.start + 2 * kept->page_size;
  return pages;
}

static void
release_targets (WbKept *kept)
{
  for (guint i = 0; i < kept->n_targets; i++)
    release_kept (kept, &kept->targets[i]);
  kept->n_targets = 0;
}

static void
keep_target (WbKept *kept, guint64 position)
{
  if (kept->n_targets == WB_TARGET_CAPACITY)
    release_targets (kept);
  kept->targets[kept->n_targets++] = pages_at (kept, position);
}

static void
keep_resume (WbKept *kept, guint64 position)
{
  release_targets (kept);
  if (kept->resume_kept)
    release_kept (kept, &kept->resume);
  kept->resume = pages_at (kept, position);
  kept->resume_kept = TRUE;
}

/* A patch that begins or ends where one did before is likely to come back, and
 * its page is kept for good. */
static void
note_patched_page (WbKept *kept, guint64 offset)
{
  WbRange page;

  page.start = wb_round_down (offset, kept->page_size);
  page.end = page.start + kept->page_size;
  for (guint i = 0; i < kept->n_returning; i++)
    if (kept->returning[i].start == page.start)
      return;
  for (guint i = 0; i < MIN (kept->n_recent, WB_RECENT_CAPACITY); i++) {
    if (kept->recent[i] == page.start + 1
        && kept->n_returning < WB_RETURNING_CAPACITY) {
      kept->returning[kept->n_returning++] = page;
      return;
    }
  }
  kept->recent[kept->n_recent++ % WB_RECENT_CAPACITY] = page.start + 1;
}

static void
forget_patched_pages (WbKept *kept)
{
  kept->n_returning = kept->n_recent = 0;
  memset (kept->recent, 0, sizeof kept->recent);
}

void
wb_kept_seek (WbKept *kept, guint64 from, guint64 to, guint64 high_water)
{
  /* Where a patch ended, if it is not the page that it began in. */
  if (from < high_water
      && wb_round_down (from, kept->page_size) != kept->patch_page)
    note_patched_page (kept, from);
  if (to < high_water) {
    note_patched_page (kept, to);
    kept->patch_page = wb_round_down (to, kept->page_size);
  }
  if (to == high_water)
    keep_resume (kept, to);
  else
    keep_target (kept, to);
}

/* --- what stays ---------------------------------------------------------- */

gboolean
wb_kept_step_over (
    const WbKept *kept, guint64 high_water, guint64 *offset, guint64 *end)
{
  WbRange append = { wb_round_down (high_water, kept->page_size),
    wb_round_up (high_water, kept->page_size) };
  gboolean moved = FALSE;

  /* The page that the next append begins in: a barrier leaves it clean. */
  if (!kept->settled)
    moved |= wb_range_step_over (&append, offset, end);
  if (kept->head_kept)
    moved |= wb_range_step_over (&kept->head, offset, end);
  if (kept->resume_kept)
    moved |= wb_range_step_over (&kept->resume, offset, end);
  for (guint i = 0; i < kept->n_returning; i++)
    moved |= wb_range_step_over (&kept->returning[i], offset, end);
  for (guint i = 0; i < kept->n_targets; i++)
    moved |= wb_range_step_over (&kept->targets[i], offset, end);
  return moved;
}

/* --- life ---------------------------------------------------------------- */

void
wb_kept_init (WbKept *kept, guint64 base, guint64 page_size, gboolean drop)
{
  memset (kept, 0, sizeof *kept);
  kept->drop = drop;
  kept->page_size = page_size;
  kept->head.start = base;
  kept->head.end = base + WB_HEAD_KEPT;
  kept->head_kept = TRUE;
}

void
wb_kept_stop_dropping (WbKept *kept)
{
  kept->drop = FALSE;
  wb_range_set_clear (&kept->drops);
}

void
wb_kept_settle (WbKept *kept, guint64 high_water)
{
  if (kept->head_kept)
    release_kept (kept, &kept->head);
  if (kept->resume_kept)
    release_kept (kept, &kept->resume);
  release_targets (kept);
  for (guint i = 0; i < kept->n_returning; i++)
    release_kept (kept, &kept->returning[i]);
  forget_patched_pages (kept);
  kept->head_kept = kept->resume_kept = FALSE;
  kept->settled = TRUE;
  wb_kept_offer (kept, high_water, high_water);
}

void
wb_kept_restart (WbKept *kept, gboolean truncated)
{
  if (truncated)
    wb_range_set_clear (&kept->drops);
  kept->n_targets = 0;
  forget_patched_pages (kept);
  kept->resume_kept = FALSE;
  kept->head_kept = TRUE;
}
