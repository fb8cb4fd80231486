/* wbfilesink: byte ranges, and sets of them
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "policy/wbrange.h"

#include <string.h>

gboolean
wb_range_step_over (const WbRange *range, guint64 *offset, guint64 *end)
{
  if (range->start >= range->end || range->end <= *offset
      || range->start >= *end)
    return FALSE;
  if (range->start <= *offset) {
    *offset = range->end;
    return TRUE;
  }
  *end = range->start;
  return FALSE;
}

void
wb_range_set_clear (WbRangeSet *set)
{
  set->n = 0;
  set->bytes = 0;
}

/* The index of the first range that ends at or beyond `offset`. */
static guint
find (const WbRangeSet *set, guint64 offset)
{
  guint low = 0, high = set->n;

  while (low < high) {
    guint middle = (low + high) / 2;

    if (set->ranges[middle].end < offset)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static void
erase (WbRangeSet *set, guint index, guint count)
{
  memmove (&set->ranges[index], &set->ranges[index + count],
      (set->n - index - count) * sizeof (WbRange));
  set->n -= count;
}

static void
insert (WbRangeSet *set, guint index, guint64 start, guint64 end)
{
  memmove (&set->ranges[index + 1], &set->ranges[index],
      (set->n - index) * sizeof (WbRange));
  set->ranges[index].start = start;
  set->ranges[index].end = end;
  set->n++;
}

static void
join_nearest_neighbours (WbRangeSet *set)
{
  guint64 smallest = G_MAXUINT64;
  guint best = 1;

  for (guint i = 1; i < set->n; i++) {
    guint64 gap = set->ranges[i].start - set->ranges[i - 1].end;

    if (gap < smallest) {
      smallest = gap;
      best = i;
    }
  }
  set->bytes += smallest;
  set->ranges[best - 1].end = set->ranges[best].end;
  erase (set, best, 1);
}

guint64
wb_range_set_add (WbRangeSet *set, guint64 start, guint64 end)
{
  guint64 before = set->bytes;
  guint first, last;

  if (start >= end)
    return 0;

  first = find (set, start);
  for (last = first; last < set->n && set->ranges[last].start <= end; last++) {
    start = MIN (start, set->ranges[last].start);
    end = MAX (end, set->ranges[last].end);
    set->bytes -= set->ranges[last].end - set->ranges[last].start;
  }
  if (last > first)
    erase (set, first, last - first);
  insert (set, first, start, end);
  set->bytes += end - start;

  if (set->n > WB_RANGE_SET_CAPACITY)
    join_nearest_neighbours (set);
  return set->bytes - before;
}

void
wb_range_set_remove (WbRangeSet *set, guint64 start, guint64 end)
{
  guint i = find (set, start);

  if (start >= end)
    return;
  while (i < set->n && set->ranges[i].start < end) {
    WbRange *range = &set->ranges[i];
    WbRange old = *range;

    if (old.end <= start) {
      i++;
      continue;
    }
    set->bytes -= MIN (old.end, end) - MAX (old.start, start);
    if (old.start < start && old.end > end) {
      range->end = start;
      insert (set, i + 1, end, old.end);
      if (set->n > WB_RANGE_SET_CAPACITY)
        join_nearest_neighbours (set);
      return;
    }
    if (old.start < start) {
      range->end = start;
      i++;
    } else if (old.end > end) {
      range->start = end;
      return;
    } else {
      erase (set, i, 1);
    }
  }
}

guint64
wb_range_set_covered (const WbRangeSet *set, guint64 start, guint64 end)
{
  guint64 bytes = 0;

  for (guint i = find (set, start); i < set->n; i++) {
    guint64 from = MAX (set->ranges[i].start, start);
    guint64 to = MIN (set->ranges[i].end, end);

    if (set->ranges[i].start >= end)
      break;
    if (to > from)
      bytes += to - from;
  }
  return bytes;
}

const WbRange *
wb_range_set_first_beyond (const WbRangeSet *set, guint64 offset)
{
  guint i = find (set, offset);

  while (i < set->n && set->ranges[i].end <= offset)
    i++;
  return i < set->n ? &set->ranges[i] : NULL;
}

gboolean
wb_range_set_step_over (const WbRangeSet *set, guint64 *offset, guint64 *end)
{
  const WbRange *range = wb_range_set_first_beyond (set, *offset);

  return range != NULL && wb_range_step_over (range, offset, end);
}
