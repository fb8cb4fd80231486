/* wbfilesink: what is kept
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Problem: what is on the disk may leave the page cache, but a patch to a page
 * that left would read it back. Strategy: what has become clean is offered, and
 * leaves except where the next patch is likely to land: at the head, at the
 * last resume, at the targets of seeks since then, at places that patches came
 * back to, and in the page that the next append begins in. What is no longer
 * kept is offered again, with what is around it.
 *
 * Owns what is offered and what is kept. Pure policy, and a part of the
 * planner: what is said there of offsets, locks and allocation holds here. It
 * does not know what is dirty; the planner asks that elsewhere before it drops
 * anything.
 */
#pragma once

#include "policy/wbstep.h"

G_BEGIN_DECLS

/* A drop whose edge falls inside a folio leaves the folio, so each drop reaches
 * back over the one before, and a kept range that is released takes its
 * surroundings along. Folios are at most 2 MiB. */
#define WB_DROP_OVERLAP (4 * WB_BATCH)
#define WB_RELEASE_MARGIN (2 * WB_BATCH)
/* Kept in cache until the end: every muxer that patches at EOS does so here
 * (matroskamux: SeekHead, Duration and Segment size, all below 4 KiB; the rest
 * is for long headers). */
#define WB_HEAD_KEPT (64 * 1024)

#define WB_TARGET_CAPACITY 32
#define WB_RECENT_CAPACITY 64
#define WB_RETURNING_CAPACITY 8

typedef struct
{
  gboolean drop; /* anything at all */
  guint64 page_size;
  WbRangeSet drops; /* clean, may leave the cache */
  gboolean settled; /* nothing is kept until the next write */
  gboolean head_kept;
  gboolean resume_kept;
  WbRange head;
  WbRange resume;                      /* pages of the last one */
  WbRange targets[WB_TARGET_CAPACITY]; /* of seeks since the last resume */
  guint n_targets;
  /* Places that are patched again and again (qtmux's robust modes) stay. */
  guint64 patch_page;                 /* that the last patch began in */
  guint64 recent[WB_RECENT_CAPACITY]; /* pages, + 1 */
  guint n_recent;
  WbRange returning[WB_RETURNING_CAPACITY];
  guint n_returning;
} WbKept;

/* The stream begins at `base`, the cache's pages are of `page_size` bytes, a power
 * of two up to WB_BATCH. Without `drop` nothing is ever offered. */
void wb_kept_init (
    WbKept *kept, guint64 base, guint64 page_size, gboolean drop);
/* Dropping was refused, or is not ours to do. */
void wb_kept_stop_dropping (WbKept *kept);

/* A write begins at `to`, where the last one ended at `from`, in a file that is
 * written up to `high_water`. */
void wb_kept_seek (WbKept *kept, guint64 from, guint64 to, guint64 high_water);
/* Something is being written: the page that the next append begins in counts
 * again. */
static inline void
wb_kept_wrote (WbKept *kept)
{
  kept->settled = FALSE;
}

/* The range has become clean: it may leave, with what an earlier drop left of
 * the folios around it. */
void wb_kept_offer (WbKept *kept, guint64 start, guint64 end);
/* The lowest range that was offered. FALSE: there is none. */
gboolean wb_kept_first_offer (const WbKept *kept, WbRange *range);
/* What was offered of [start, end) has been dealt with. */
void wb_kept_take (WbKept *kept, guint64 start, guint64 end);
/* Moves `*offset` past what is kept there, or lowers `*end` to where it begins
 * after that: TRUE if `*offset` moved, and then there may be more. */
gboolean wb_kept_step_over (
    const WbKept *kept, guint64 high_water, guint64 *offset, guint64 *end);

/* Nothing is kept any more until the next write. */
void wb_kept_settle (WbKept *kept, guint64 high_water);
/* The stream starts again. With `truncated` there is nothing left to drop. */
void wb_kept_restart (WbKept *kept, gboolean truncated);

G_END_DECLS
