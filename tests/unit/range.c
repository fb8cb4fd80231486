/* Sets of byte ranges: joining, taking out, counting, and what a full set does.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "policy/wbrange.h"

static void
test_add_joins_neighbours (void)
{
  WbRangeSet set = { 0 };

  g_assert_cmpuint (wb_range_set_add (&set, 10, 20), ==, 10);
  g_assert_cmpuint (wb_range_set_add (&set, 30, 40), ==, 10);
  g_assert_cmpuint (set.n, ==, 2);
  g_assert_cmpuint (wb_range_set_add (&set, 20, 30), ==, 10);
  g_assert_cmpuint (set.n, ==, 1);
  g_assert_cmpuint (set.ranges[0].start, ==, 10);
  g_assert_cmpuint (set.ranges[0].end, ==, 40);
  g_assert_cmpuint (wb_range_set_add (&set, 15, 35), ==, 0);
  g_assert_cmpuint (wb_range_set_add (&set, 7, 7), ==, 0);
  g_assert_cmpuint (set.bytes, ==, 30);
}

static void
test_remove_splits (void)
{
  WbRangeSet set = { 0 };

  wb_range_set_add (&set, 0, 100);
  wb_range_set_remove (&set, 40, 60);
  g_assert_cmpuint (set.n, ==, 2);
  g_assert_cmpuint (set.bytes, ==, 80);
  g_assert_cmpuint (wb_range_set_covered (&set, 30, 70), ==, 20);
  wb_range_set_remove (&set, 0, 1000);
  g_assert_cmpuint (set.n, ==, 0);
  g_assert_cmpuint (set.bytes, ==, 0);
}

static void
test_first_beyond (void)
{
  WbRangeSet set = { 0 };

  wb_range_set_add (&set, 10, 20);
  wb_range_set_add (&set, 30, 40);
  g_assert_cmpuint (wb_range_set_first_beyond (&set, 0)->start, ==, 10);
  g_assert_cmpuint (wb_range_set_first_beyond (&set, 19)->start, ==, 10);
  g_assert_cmpuint (wb_range_set_first_beyond (&set, 20)->start, ==, 30);
  g_assert_null (wb_range_set_first_beyond (&set, 40));
}

static void
test_full_set_loses_nothing (void)
{
  WbRangeSet set = { 0 };

  for (guint64 i = 0; i < 3 * WB_RANGE_SET_CAPACITY; i++)
    wb_range_set_add (&set, i * i * 100, i * i * 100 + 10);
  g_assert_cmpuint (set.n, ==, WB_RANGE_SET_CAPACITY);
  for (guint64 i = 0; i < 3 * WB_RANGE_SET_CAPACITY; i++)
    g_assert_cmpuint (
        wb_range_set_covered (&set, i * i * 100, i * i * 100 + 10), ==, 10);
}

/* Against an array of bytes. */
static void
test_random_against_bytes (void)
{
  enum
  {
    SIZE = 400,
    ROUNDS = 200000
  };
  gboolean bytes[SIZE] = { FALSE };
  WbRangeSet set = { 0 };

  for (int round = 0; round < ROUNDS; round++) {
    guint64 start = (guint64) g_test_rand_int_range (0, SIZE);
    guint64 end = start + (guint64) g_test_rand_int_range (0, 30);
    gboolean add = set.n < WB_RANGE_SET_CAPACITY / 2 && g_test_rand_bit ();
    guint64 expected = 0;

    end = MIN (end, SIZE);
    for (guint64 i = start; i < end; i++)
      bytes[i] = add;
    if (add)
      wb_range_set_add (&set, start, end);
    else
      wb_range_set_remove (&set, start, end);
    for (guint64 i = 0; i < SIZE; i++)
      expected += bytes[i];
    g_assert_cmpuint (set.bytes, ==, expected);
    g_assert_cmpuint (wb_range_set_covered (&set, 0, SIZE), ==, expected);
    for (guint i = 1; i < set.n; i++)
      g_assert_cmpuint (set.ranges[i - 1].end, <, set.ranges[i].start);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/range/add-joins-neighbours", test_add_joins_neighbours);
  g_test_add_func ("/range/remove-splits", test_remove_splits);
  g_test_add_func ("/range/first-beyond", test_first_beyond);
  g_test_add_func (
      "/range/full-set-loses-nothing", test_full_set_loses_nothing);
  g_test_add_func ("/range/random-against-bytes", test_random_against_bytes);
  return g_test_run ();
}
