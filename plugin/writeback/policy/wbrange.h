/* wbfilesink: sets of byte ranges
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A small, ordered, coalesced set of half-open byte ranges with a fixed
 * capacity: no allocation, so that the planner can be copied, reset and tested
 * by the thousand. A set that is full does not fail: it joins the two
 * neighbours with the smallest gap, so it may come to hold bytes that nobody
 * added, but never loses one.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The dirty bytes of a file are held as at most this many ranges: far more
 * than any muxer's pattern makes between two chunks (matroskamux: 2, qtmux
 * robust: 3), and few enough for plain loops. */
#define WB_RANGE_SET_CAPACITY 64

typedef struct
{
  guint64 start; /* first byte */
  guint64 end;   /* one past the last byte */
} WbRange;

typedef struct
{
  WbRange ranges[WB_RANGE_SET_CAPACITY + 1];
  guint n;
  guint64 bytes; /* sum of the lengths */
} WbRangeSet;

void wb_range_set_clear (WbRangeSet *set);
/* Adds [start, end), joining what it touches. Returns by how many bytes the
 * set grew; more than the range's own length when the set was full. */
guint64 wb_range_set_add (WbRangeSet *set, guint64 start, guint64 end);
/* Takes [start, end) out. A full set that a removal would split
 * joins its nearest neighbours, and may keep what was to go. */
void wb_range_set_remove (WbRangeSet *set, guint64 start, guint64 end);
/* How many bytes of [start, end) are in the set. */
guint64 wb_range_set_covered (
    const WbRangeSet *set, guint64 start, guint64 end);
/* The first range that ends beyond `offset`, or NULL. */
const WbRange *wb_range_set_first_beyond (
    const WbRangeSet *set, guint64 offset);

G_END_DECLS
