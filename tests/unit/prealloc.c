/* How much space is reserved next: which source of the size counts, in which
 * steps, and when not.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "policy/wbprealloc.h"

#define MIB (G_GUINT64_CONSTANT (1) << 20)
#define QUICK 1000
#define SLOW (200 * 1000)

static WbPrealloc prealloc;

static gboolean
next (guint64 high_water, guint64 *offset, guint64 *length)
{
  return wb_prealloc_next (
      &prealloc, high_water, high_water + MIB, G_MAXUINT64, offset, length);
}

/* Writes a file of `size`, reserving as it grows. Returns how many times. */
static guint
grow (guint64 from, guint64 size, gint64 took_us)
{
  guint64 offset, length;
  guint calls = 0;

  for (guint64 at = from; at < size; at += MIB) {
    if (!next (at, &offset, &length))
      continue;
    calls++;
    g_assert_cmpuint (offset, >=, at);
    wb_prealloc_done (&prealloc, offset, length, took_us);
  }
  return calls;
}

static void
test_best_source_counts (void)
{
  WbSizeSource source;

  wb_prealloc_init (&prealloc, 0, TRUE);
  g_assert_cmpuint (wb_prealloc_expected (&prealloc, &source), ==, 0);
  g_assert_cmpint (source, ==, WB_SIZE_GROWTH);
  prealloc.duration = 1000;
  wb_prealloc_elapsed (&prealloc, 100, 100 * MIB);
  g_assert_cmpuint (wb_prealloc_expected (&prealloc, &source), ==, 1000 * MIB);
  g_assert_cmpint (source, ==, WB_SIZE_DURATION);
  prealloc.expected[WB_SIZE_SEGMENT] = 700 * MIB;
  g_assert_cmpuint (wb_prealloc_expected (&prealloc, &source), ==, 700 * MIB);
  prealloc.expected[WB_SIZE_PROPERTY] = 600 * MIB;
  g_assert_cmpuint (wb_prealloc_expected (&prealloc, &source), ==, 600 * MIB);
  g_assert_cmpint (source, ==, WB_SIZE_PROPERTY);
}

static void
test_estimate_needs_something_to_go_by (void)
{
  WbSizeSource source;

  wb_prealloc_init (&prealloc, 0, TRUE);
  prealloc.duration = 1000;
  wb_prealloc_elapsed (&prealloc, 1, MIB);
  g_assert_cmpuint (wb_prealloc_expected (&prealloc, &source), ==, 0);
  wb_prealloc_elapsed (&prealloc, 0, 100 * MIB);
  g_assert_cmpuint (wb_prealloc_expected (&prealloc, &source), ==, 0);
  /* A duration that was passed was wrong. */
  wb_prealloc_elapsed (&prealloc, 1001, 100 * MIB);
  g_assert_cmpuint (wb_prealloc_expected (&prealloc, &source), ==, 0);
}

/* A muxer goes back to patch, and the queue is ahead of the disk: what has come
 * counts, not where the stream stands or how far it is written. */
static void
test_estimate_counts_what_has_come (void)
{
  guint64 offset, length;
  WbSizeSource source;

  wb_prealloc_init (&prealloc, 0, TRUE);
  prealloc.duration = 1000;
  wb_prealloc_elapsed (&prealloc, 100, 20 * MIB);
  wb_prealloc_elapsed (&prealloc, 101, 8);
  g_assert_cmpuint (wb_prealloc_expected (&prealloc, &source), ==,
      (guint64) (20.0 * MIB * 1000 / 101));
  g_assert_true (wb_prealloc_next (
      &prealloc, 4 * MIB, 5 * MIB, G_MAXUINT64, &offset, &length));
  g_assert_cmpuint (offset, ==, 4 * MIB);
  g_assert_cmpuint (length, ==, WB_PREALLOC_STEP);
  /* After a flush it starts again. */
  wb_prealloc_elapsed (&prealloc, 1, MIB);
  g_assert_cmpuint (wb_prealloc_expected (&prealloc, &source), ==, 0);
}

static void
test_known_size_in_few_steps (void)
{
  wb_prealloc_init (&prealloc, 0, TRUE);
  prealloc.expected[WB_SIZE_PROPERTY] = 2000 * MIB;
  /* 15 whole ones and the rest. */
  g_assert_cmpuint (grow (0, 2000 * MIB, QUICK), ==, 16);
  g_assert_cmpuint (prealloc.end, ==, 2000 * MIB);
}

static void
test_slow_steps_get_smaller (void)
{
  guint64 offset, length;

  wb_prealloc_init (&prealloc, 0, TRUE);
  prealloc.expected[WB_SIZE_PROPERTY] = 64 * 1024 * MIB;
  g_assert_true (next (0, &offset, &length));
  g_assert_cmpuint (length, ==, WB_PREALLOC_STEP);
  wb_prealloc_done (&prealloc, offset, length, SLOW);
  g_assert_false (next (WB_PREALLOC_STEP / 4, &offset, &length));
  g_assert_true (next (WB_PREALLOC_STEP / 2, &offset, &length));
  g_assert_cmpuint (length, ==, WB_PREALLOC_STEP / 2);
}

static void
test_small_files_reserve_nothing (void)
{
  wb_prealloc_init (&prealloc, 0, TRUE);
  g_assert_cmpuint (grow (0, WB_PREALLOC_GROWTH_MIN, QUICK), ==, 0);
}

static void
test_growth_is_few_and_bounded (void)
{
  wb_prealloc_init (&prealloc, 0, TRUE);
  g_assert_cmpuint (
      grow (0, 4096 * MIB, QUICK), <=, 4 + 2 * 4096 * MIB / WB_PREALLOC_STEP);
  g_assert_cmpuint (prealloc.end, <=, 2 * 4096 * MIB + WB_PREALLOC_STEP);
}

static void
test_growth_may_be_the_file_systems (void)
{
  wb_prealloc_init (&prealloc, 0, TRUE);
  prealloc.growth = FALSE;
  g_assert_cmpuint (grow (0, 512 * MIB, QUICK), ==, 0);
  prealloc.expected[WB_SIZE_PROPERTY] = 1024 * MIB;
  g_assert_cmpuint (grow (512 * MIB, 1024 * MIB, QUICK), >, 0);
  g_assert_true (wb_prealloc_suits_growth ("ext4"));
  g_assert_false (wb_prealloc_suits_growth ("xfs"));
}

static void
test_wrong_hint_becomes_growth (void)
{
  wb_prealloc_init (&prealloc, 0, TRUE);
  prealloc.expected[WB_SIZE_PROPERTY] = 10 * MIB;
  grow (0, 100 * MIB, QUICK);
  g_assert_cmpuint (prealloc.end, >=, 100 * MIB);
}

static void
test_base_is_counted (void)
{
  guint64 offset, length;

  wb_prealloc_init (&prealloc, 500 * MIB, TRUE);
  prealloc.expected[WB_SIZE_PROPERTY] = 10 * MIB;
  g_assert_true (wb_prealloc_next (
      &prealloc, 500 * MIB, 501 * MIB, G_MAXUINT64, &offset, &length));
  g_assert_cmpuint (offset, ==, 500 * MIB);
  g_assert_cmpuint (length, ==, 10 * MIB);
}

static void
test_leaves_a_margin (void)
{
  guint64 offset, length;

  wb_prealloc_init (&prealloc, 0, TRUE);
  prealloc.expected[WB_SIZE_PROPERTY] = 1000 * MIB;
  g_assert_true (wb_prealloc_next (
      &prealloc, 0, MIB, WB_PREALLOC_MARGIN + 30 * MIB, &offset, &length));
  g_assert_cmpuint (length, ==, 30 * MIB);
  g_assert_false (wb_prealloc_next (
      &prealloc, 0, MIB, WB_PREALLOC_MARGIN, &offset, &length));
}

static void
test_failures_end_it (void)
{
  guint64 offset, length;
  guint tries = 0;

  wb_prealloc_init (&prealloc, 0, TRUE);
  prealloc.expected[WB_SIZE_PROPERTY] = 1000 * MIB;
  while (wb_prealloc_failed (&prealloc, TRUE))
    tries++;
  g_assert_cmpuint (tries, <=, 5);
  g_assert_false (next (0, &offset, &length));
  wb_prealloc_init (&prealloc, 0, TRUE);
  g_assert_false (wb_prealloc_failed (&prealloc, FALSE));
}

static void
test_huge_sizes_do_not_overflow (void)
{
  guint64 offset, length;

  wb_prealloc_init (&prealloc, 1000, TRUE);
  prealloc.expected[WB_SIZE_PROPERTY] = G_MAXUINT64;
  g_assert_true (next (1000, &offset, &length));
  g_assert_cmpuint (length, <=, WB_PREALLOC_STEP);
}

static void
test_manners (void)
{
  const char *reason;

  g_assert_true (wb_prealloc_suits ("ext4", &reason));
  g_assert_true (wb_prealloc_suits ("xfs", &reason));
  g_assert_false (wb_prealloc_suits ("btrfs", &reason));
  g_assert_nonnull (reason);
  g_assert_false (wb_prealloc_suits ("0x1234", &reason));
  g_assert_nonnull (reason);
}

int
main (int argc, char **argv)
{
#define ADD(name, function) g_test_add_func ("/prealloc/" name, function)
  g_test_init (&argc, &argv, NULL);
  ADD ("best-source-counts", test_best_source_counts);
  ADD ("estimate-needs-something", test_estimate_needs_something_to_go_by);
  ADD ("estimate-counts-what-has-come", test_estimate_counts_what_has_come);
  ADD ("known-size-in-few-steps", test_known_size_in_few_steps);
  ADD ("slow-steps-get-smaller", test_slow_steps_get_smaller);
  ADD ("small-files-reserve-nothing", test_small_files_reserve_nothing);
  ADD ("growth-is-few-and-bounded", test_growth_is_few_and_bounded);
  ADD ("growth-may-be-the-file-systems", test_growth_may_be_the_file_systems);
  ADD ("wrong-hint-becomes-growth", test_wrong_hint_becomes_growth);
  ADD ("base-is-counted", test_base_is_counted);
  ADD ("leaves-a-margin", test_leaves_a_margin);
  ADD ("failures-end-it", test_failures_end_it);
  ADD ("huge-sizes-do-not-overflow", test_huge_sizes_do_not_overflow);
  ADD ("manners", test_manners);
  return g_test_run ();
}
