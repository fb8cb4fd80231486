/* wbfilesink: byte ranges, and sets of them
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A small, ordered, coalesced set of half-open byte ranges with a fixed
 * capacity: no allocation, so that the planner can be copied, reset and tested
 * by the thousand. A set that is full does not fail: it joins the two
 * neighbours with the smallest gap, so it may come to hold bytes that nobody
 * added, but never loses one. With the little arithmetic on offsets that the
 * policies have in common.
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

/* --- offsets --- */

static inline guint64
wb_round_down (guint64 offset, guint64 unit)
{
  return offset - offset % unit;
}

/* The largest offset there is, where the sum would go round. */
static inline guint64
wb_round_up (guint64 offset, guint64 unit)
{
  return offset > G_MAXUINT64 - unit ? G_MAXUINT64
                                     : wb_round_down (offset + unit - 1, unit);
}

/* 0, where the difference would be less. */
static inline guint64
wb_subtract (guint64 offset, guint64 length)
{
  return offset > length ? offset - length : 0;
}

/* --- ranges --- */

/* If `*offset` lies in the range, moves it past it and returns TRUE; else
 * lowers `*end` to where the range begins, if it begins between the two. */
gboolean wb_range_step_over (
    const WbRange *range, guint64 *offset, guint64 *end);

/* --- sets --- */

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
/* The same as wb_range_step_over(), with the first range beyond `*offset`. */
gboolean wb_range_set_step_over (
    const WbRangeSet *set, guint64 *offset, guint64 *end);

G_END_DECLS
