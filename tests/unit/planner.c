/* The planner's policy, case by case: where chunks are cut, what a seek does
 * and does not, what is kept, what is dropped, when a writer is held.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "policy/wbplanner.h"

#define MIB WB_BATCH
#define CHUNK (32 * MIB)
#define WINDOW (64 * MIB)

static WbPlanner planner;

static void
begin (guint64 base)
{
  wb_planner_init (&planner, base, 4096, TRUE);
  wb_planner_set_bounds (&planner, WINDOW, CHUNK);
}

static void
write_run (guint64 from, guint64 to)
{
  for (guint64 at = from; at < to;) {
    guint64 length = MIN (to - at, MIB - at % MIB);

    wb_planner_wrote (&planner, at, length);
    at += length;
  }
}

/* As matroskamux does: the cluster, 8 bytes at its start, and on. */
static void
write_cluster (guint64 from, guint64 to)
{
  write_run (from, to);
  wb_planner_wrote (&planner, from, 8);
}

/* Does all there is to do. Returns the number of steps of the kind. */
static guint
run_all (WbStepKind kind, guint64 *bytes)
{
  guint n = 0;
  WbStep step;

  while (wb_planner_next (&planner, &step)) {
    if (step.kind == kind) {
      n++;
      if (bytes != NULL)
        *bytes += step.range.end - step.range.start;
    }
    wb_planner_done (&planner, &step);
  }
  return n;
}

static void
test_nothing_before_a_full_chunk (void)
{
  WbStep step;

  begin (0);
  write_run (0, CHUNK - MIB);
  g_assert_false (wb_planner_next (&planner, &step));
  write_run (CHUNK - MIB, CHUNK);
  g_assert_true (wb_planner_next (&planner, &step));
  g_assert_cmpint (step.kind, ==, WB_STEP_START);
  g_assert_true (step.first_of_chunk);
  g_assert_cmpuint (step.range.start, ==, 0);
  g_assert_cmpuint (step.range.end, ==, WB_START_STEP);
  g_assert_cmpuint (step.chunk_span.end, ==, CHUNK);
}

static void
test_one_step_ahead (void)
{
  WbStep step;

  begin (0);
  write_run (0, CHUNK);
  for (int i = 0; i < 2; i++) {
    g_assert_true (wb_planner_next (&planner, &step));
    g_assert_cmpint (step.kind, ==, WB_STEP_START);
    wb_planner_done (&planner, &step);
  }
  g_assert_true (wb_planner_next (&planner, &step));
  g_assert_cmpint (step.kind, ==, WB_STEP_RETIRE);
  g_assert_cmpuint (step.range.end - step.range.start, ==, WB_RETIRE_STEP);
}

/* Clusters shorter than a chunk: a seek never resets one. */
static void
test_seeks_do_not_reset_chunks (void)
{
  begin (0);
  for (guint64 at = 0; at < 256 * MIB; at += 2 * MIB)
    write_cluster (at, at + 2 * MIB);
  g_assert_cmpuint (wb_planner_counters (&planner).chunks_cut, >=, 7);
  g_assert_cmpuint (wb_planner_counters (&planner).back_patches, ==, 128);
  g_assert_cmpuint (wb_planner_counters (&planner).late_back_patches, ==, 0);
}

static void
test_cut_at_the_last_resume (void)
{
  WbStep step;

  begin (0);
  write_cluster (0, 20 * MIB);
  write_run (20 * MIB, 20 * MIB + CHUNK - 20 * MIB);
  g_assert_true (wb_planner_next (&planner, &step));
  g_assert_cmpuint (step.chunk_span.end, ==, 20 * MIB);
}

static void
test_resume_is_rounded_down_to_a_batch (void)
{
  WbStep step;

  begin (0);
  write_cluster (0, 20 * MIB + 12345);
  write_run (20 * MIB + 12345, CHUNK);
  g_assert_true (wb_planner_next (&planner, &step));
  g_assert_cmpuint (step.chunk_span.end, ==, 20 * MIB);
}

static void
test_long_cluster_is_cut_at_its_size (void)
{
  WbStep step;

  begin (0);
  write_cluster (0, 4 * MIB);
  write_run (4 * MIB, CHUNK);
  g_assert_true (wb_planner_next (&planner, &step));
  g_assert_cmpuint (step.chunk_span.end, ==, CHUNK);
}

/* A patch below what was started counts a batch, waits for the next chunk and
 * goes out with it. */
static void
test_late_patch_joins_the_next_chunk (void)
{
  guint64 started = 0, before;

  begin (0);
  write_run (0, CHUNK);
  run_all (WB_STEP_RETIRE, NULL);
  g_assert_cmpuint (wb_planner_dirty (&planner), ==, 0);
  before = wb_planner_cost (&planner, 5 * MIB + 100, 8);
  wb_planner_wrote (&planner, 5 * MIB + 100, 8);
  g_assert_cmpuint (before, ==, MIB);
  g_assert_cmpuint (wb_planner_dirty (&planner), ==, MIB);
  g_assert_cmpuint (wb_planner_counters (&planner).late_back_patches, ==, 1);
  g_assert_cmpuint (wb_planner_cost (&planner, 5 * MIB + 200, 8), ==, 0);
  write_run (CHUNK, 2 * CHUNK - MIB);
  g_assert_cmpuint (run_all (WB_STEP_START, NULL), ==, 0);
  write_run (2 * CHUNK - MIB, 2 * CHUNK);
  run_all (WB_STEP_START, &started);
  g_assert_cmpuint (started, ==, CHUNK + MIB);
  g_assert_cmpuint (wb_planner_dirty (&planner), ==, 0);
}

/* A retire that began before the patch does not make it clean. */
static void
test_patch_during_retire_stays_dirty (void)
{
  WbStep step;

  begin (0);
  write_run (0, CHUNK);
  do {
    g_assert_true (wb_planner_next (&planner, &step));
    if (step.kind != WB_STEP_RETIRE)
      wb_planner_done (&planner, &step);
  } while (step.kind != WB_STEP_RETIRE);
  wb_planner_wrote (&planner, step.range.start + 8, 8);
  wb_planner_done (&planner, &step);
  run_all (WB_STEP_RETIRE, NULL);
  g_assert_cmpuint (wb_planner_dirty (&planner), ==, MIB);
}

static void
test_window_holds_and_lets_go (void)
{
  WbStep step;
  guint64 at = 0;

  begin (0);
  while (wb_planner_may_write (&planner, at, MIB)) {
    wb_planner_wrote (&planner, at, MIB);
    at += MIB;
  }
  g_assert_cmpuint (at, ==, WINDOW);
  while (!wb_planner_may_write (&planner, at, MIB)) {
    g_assert_true (wb_planner_next (&planner, &step));
    wb_planner_done (&planner, &step);
  }
  /* One batch retired is enough: waits are even. */
  g_assert_cmpuint (wb_planner_dirty (&planner), ==, WINDOW - MIB);
}

/* The window filled by unstarted patches alone must not lock up. */
static void
test_window_full_of_patches (void)
{
  guint64 at;

  begin (0);
  write_run (0, 1024 * MIB);
  wb_planner_release (&planner, TRUE);
  run_all (WB_STEP_RETIRE, NULL);
  for (at = 0; wb_planner_may_write (&planner, at, 8); at += 8 * MIB)
    wb_planner_wrote (&planner, at, 8);
  g_assert_cmpuint (wb_planner_dirty (&planner), <=, WINDOW);
  if (!wb_planner_is_draining (&planner))
    wb_planner_release (&planner, FALSE);
  g_assert_true (wb_planner_is_draining (&planner));
  run_all (WB_STEP_RETIRE, NULL);
  g_assert_cmpuint (wb_planner_dirty (&planner), ==, 0);
}

/* Writes on by MiB for as long as it may, and says how much is dirty then. */
static guint64
fill_window (void)
{
  while (wb_planner_may_write (&planner, wb_planner_high_water (&planner), MIB))
    wb_planner_wrote (&planner, wb_planner_high_water (&planner), MIB);
  return wb_planner_dirty (&planner);
}

/* Late patches have their own room, also while they are ready and in flight, and
 * no more than that. */
static void
test_room_for_late_patches (void)
{
  WbStep step;

  begin (0);
  wb_planner_set_patch_room (&planner, 3 * MIB);
  write_run (0, CHUNK);
  run_all (WB_STEP_RETIRE, NULL);
  for (guint64 at = 0; at < 2; at++)
    wb_planner_wrote (&planner, at * 4 * MIB, 8);
  g_assert_cmpuint (fill_window (), ==, WINDOW + 2 * MIB);
  g_assert_true (wb_planner_may_write (&planner, 8 * MIB, 8));
  wb_planner_wrote (&planner, 8 * MIB, 8);
  g_assert_false (wb_planner_may_write (&planner, 12 * MIB, 8));

  wb_planner_release (&planner, TRUE);
  g_assert_false (
      wb_planner_may_write (&planner, wb_planner_high_water (&planner), MIB));
  /* From where the starts are on, upwards, and then what lies below. */
  do {
    g_assert_true (wb_planner_next (&planner, &step));
    wb_planner_done (&planner, &step);
  } while (step.kind != WB_STEP_START || step.range.end > CHUNK);
  g_assert_cmpuint (step.range.end - step.range.start, ==, MIB);
  fill_window ();
  g_assert_cmpuint (wb_planner_dirty (&planner), ==, WINDOW + 3 * MIB);
  run_all (WB_STEP_RETIRE, NULL);
  wb_planner_release (&planner, TRUE);
  run_all (WB_STEP_RETIRE, NULL);
  g_assert_cmpuint (wb_planner_dirty (&planner), ==, 0);
  g_assert_cmpuint (fill_window (), ==, WINDOW);
}

static void
test_holes_count_nothing (void)
{
  begin (0);
  write_run (0, MIB);
  write_run (1000 * MIB, 1001 * MIB);
  g_assert_cmpuint (wb_planner_dirty (&planner), ==, 2 * MIB);
  g_assert_cmpuint (wb_planner_high_water (&planner), ==, 1001 * MIB);
  g_assert_true (wb_planner_may_write (&planner, 5000 * MIB, MIB));
}

/* The page of the last resume and the head stay: that is where the next patch
 * lands. */
static void
test_head_and_resume_are_kept (void)
{
  guint64 cluster = 40 * MIB, resume = 40 * MIB + 777;
  WbStep step;

  begin (0);
  write_cluster (0, resume);
  write_run (resume, resume + cluster);
  while (wb_planner_next (&planner, &step)) {
    if (step.kind == WB_STEP_DROP) {
      g_assert_cmpuint (step.range.start, >=, WB_HEAD_KEPT);
      g_assert_false (step.range.start <= resume && resume < step.range.end);
    }
    wb_planner_done (&planner, &step);
  }
}

/* A place that is patched again and again is not read back from the disk. */
static void
test_returning_patches_are_kept (void)
{
  guint64 at = 40 * MIB, place = 10 * MIB + 100;
  WbStep step;

  begin (0);
  write_run (0, at);
  for (int i = 0; i < 4; i++) {
    wb_planner_wrote (&planner, place, 8);
    write_run (at, at + CHUNK);
    at += CHUNK;
    while (wb_planner_next (&planner, &step)) {
      if (i >= 1 && step.kind == WB_STEP_DROP)
        g_assert_false (step.range.start <= place && place < step.range.end);
      wb_planner_done (&planner, &step);
    }
  }
}

static void
test_released_resume_is_dropped_with_a_margin (void)
{
  guint64 first = 40 * MIB, second = 200 * MIB;
  gboolean dropped = FALSE;
  WbStep step;

  begin (0);
  write_cluster (0, first);
  write_cluster (first, second);
  write_run (second, second + CHUNK);
  while (wb_planner_next (&planner, &step)) {
    if (step.kind == WB_STEP_DROP && step.range.start <= first - MIB
        && step.range.end >= first + MIB)
      dropped = TRUE;
    wb_planner_done (&planner, &step);
  }
  g_assert_true (dropped);
}

static void
test_dirty_ranges_are_never_dropped (void)
{
  WbStep step;

  begin (0);
  write_run (0, CHUNK);
  run_all (WB_STEP_RETIRE, NULL);
  wb_planner_wrote (&planner, CHUNK - 2 * MIB + 5, 8);
  write_run (CHUNK, CHUNK + MIB);
  wb_planner_settle (&planner);
  while (wb_planner_next (&planner, &step)) {
    g_assert_cmpint (step.kind, ==, WB_STEP_DROP);
    g_assert_true (step.range.end <= CHUNK - 2 * MIB
        || (step.range.start >= CHUNK - MIB && step.range.end <= CHUNK)
        || step.range.start >= CHUNK + MIB);
    wb_planner_done (&planner, &step);
  }
}

static void
test_settle_drops_what_was_kept (void)
{
  gboolean head = FALSE, tail = FALSE;
  WbStep step;

  begin (0);
  write_run (0, 10 * MIB + 5);
  wb_planner_release (&planner, TRUE);
  run_all (WB_STEP_RETIRE, NULL);
  wb_planner_settle (&planner);
  while (wb_planner_next (&planner, &step)) {
    head |= step.range.start == 0;
    tail |= step.range.end > 10 * MIB + 5;
    wb_planner_done (&planner, &step);
  }
  g_assert_true (head);
  g_assert_true (tail);
}

static void
test_nothing_is_dropped_when_asked_to_keep (void)
{
  wb_planner_init (&planner, 0, 4096, FALSE);
  wb_planner_set_bounds (&planner, WINDOW, CHUNK);
  write_run (0, 4 * CHUNK);
  g_assert_cmpuint (run_all (WB_STEP_DROP, NULL), ==, 0);
}

static void
test_small_windows_have_small_chunks (void)
{
  WbStep step;

  begin (0);
  wb_planner_set_bounds (&planner, 8 * MIB, CHUNK);
  write_run (0, 4 * MIB);
  g_assert_true (wb_planner_next (&planner, &step));
  g_assert_cmpuint (step.chunk_span.end, ==, 4 * MIB);
  wb_planner_set_bounds (&planner, 1, CHUNK);
  g_assert_cmpuint (wb_planner_window (&planner), ==, 2 * MIB);
}

static void
test_small_chunks_have_small_batches (void)
{
  WbStep step;

  begin (0);
  wb_planner_set_bounds (&planner, MIB, MIB / 2);
  g_assert_cmpuint (wb_planner_batch (&planner), ==, MIB / 2);
  g_assert_cmpuint (wb_planner_window (&planner), ==, MIB);
  wb_planner_wrote (&planner, 0, MIB / 2);
  g_assert_true (wb_planner_may_write (&planner, MIB / 2, MIB / 2));
  g_assert_false (wb_planner_may_write (&planner, MIB / 2, MIB / 2 + 1));
  g_assert_true (wb_planner_next (&planner, &step));
  g_assert_cmpint (step.kind, ==, WB_STEP_START);
  g_assert_cmpuint (step.range.end, ==, MIB / 2);
  wb_planner_done (&planner, &step);
  wb_planner_wrote (&planner, MIB / 2, MIB / 2);
  /* A late patch dirties its half megabyte and no more. */
  g_assert_cmpuint (wb_planner_cost (&planner, 100, 8), ==, MIB / 2);
  /* However small the chunk that is asked for, and whatever the window. */
  wb_planner_set_bounds (&planner, 1, 1);
  g_assert_cmpuint (wb_planner_batch (&planner), ==, MIB / 2);
  g_assert_cmpuint (wb_planner_chunk_size (&planner), ==, MIB / 2);
  g_assert_cmpuint (wb_planner_window (&planner), ==, MIB);
}

/* Half a window of 11 MiB is a chunk of five: what is beyond it is not waited
 * for. */
static void
test_chunks_are_whole_batches (void)
{
  WbStep step;

  begin (0);
  wb_planner_set_bounds (&planner, 11 * MIB, CHUNK);
  write_run (0, 5 * MIB);
  g_assert_true (wb_planner_next (&planner, &step));
  g_assert_cmpuint (step.chunk_span.end, ==, 5 * MIB);
  g_assert_cmpint (step.reason, ==, WB_CUT_SIZE);
}

static void
test_release_keeps_the_partial_batch (void)
{
  guint64 started = 0;

  begin (0);
  write_run (0, 5 * MIB + 4321);
  wb_planner_release (&planner, FALSE);
  run_all (WB_STEP_START, &started);
  g_assert_cmpuint (started, ==, 5 * MIB);
  g_assert_cmpuint (wb_planner_dirty (&planner), ==, 4321);
  wb_planner_release (&planner, TRUE);
  run_all (WB_STEP_START, &started);
  g_assert_cmpuint (started, ==, 5 * MIB + 4321);
}

static void
test_restart_after_truncation (void)
{
  begin (3 * MIB);
  write_run (3 * MIB, 90 * MIB);
  wb_planner_restart (&planner, TRUE);
  g_assert_cmpuint (wb_planner_dirty (&planner), ==, 0);
  g_assert_cmpuint (wb_planner_high_water (&planner), ==, 3 * MIB);
  g_assert_cmpuint (wb_planner_counters (&planner).chunks_started, ==,
      wb_planner_counters (&planner).chunks_retired);
  g_assert_cmpuint (run_all (WB_STEP_START, NULL), ==, 0);
}

static void
test_restart_in_place_keeps_dirty (void)
{
  guint64 started = 0;

  begin (0);
  write_run (0, 10 * MIB);
  wb_planner_restart (&planner, FALSE);
  g_assert_cmpuint (wb_planner_dirty (&planner), ==, 10 * MIB);
  run_all (WB_STEP_START, &started);
  g_assert_cmpuint (started, ==, 10 * MIB);
}

/* What was started before the restart lies beyond the new end: bytes that are
 * written below it are dirty, and no others. */
static void
test_restart_in_place_ends_clean (void)
{
  begin (0);
  write_run (0, CHUNK);
  wb_planner_restart (&planner, FALSE);
  run_all (WB_STEP_START, NULL);
  write_run (0, MIB / 2);
  g_assert_cmpuint (wb_planner_dirty (&planner), ==, MIB / 2);
  g_assert_cmpuint (wb_planner_counters (&planner).late_back_patches, ==, 0);
  wb_planner_release (&planner, TRUE);
  run_all (WB_STEP_START, NULL);
  g_assert_cmpuint (wb_planner_dirty (&planner), ==, 0);
}

static void
test_passive_only_counts (void)
{
  begin (0);
  wb_planner_set_passive (&planner);
  for (guint64 at = 0; at < 256 * MIB; at += 2 * MIB)
    write_cluster (at, at + 2 * MIB);
  g_assert_cmpuint (wb_planner_dirty (&planner), ==, 0);
  g_assert_cmpuint (wb_planner_counters (&planner).back_patches, ==, 128);
  g_assert_cmpuint (wb_planner_high_water (&planner), ==, 256 * MIB);
  g_assert_cmpuint (run_all (WB_STEP_START, NULL), ==, 0);
}

/* While a sync runs: what is in flight is retired, nothing is started, and what
 * is written is dirty as ever. */
static void
test_held_starts (void)
{
  WbStep step;

  begin (0);
  write_run (0, CHUNK);
  g_assert_true (wb_planner_next (&planner, &step));
  g_assert_cmpint (step.kind, ==, WB_STEP_START);
  wb_planner_done (&planner, &step);
  wb_planner_hold_starts (&planner, TRUE);
  g_assert_cmpuint (run_all (WB_STEP_START, NULL), ==, 0);
  g_assert_cmpuint (wb_planner_dirty (&planner), ==,
      CHUNK - (step.range.end - step.range.start));
  write_run (CHUNK, CHUNK + MIB);
  wb_planner_hold_starts (&planner, FALSE);
  /* What the sync has written goes out at once, up to a whole batch. */
  wb_planner_release_below (&planner, CHUNK + MIB / 2);
  run_all (WB_STEP_START, NULL);
  g_assert_cmpuint (wb_planner_dirty (&planner), ==, MIB);
  wb_planner_release_below (&planner, CHUNK + 2 * MIB);
  run_all (WB_STEP_START, NULL);
  g_assert_cmpuint (wb_planner_dirty (&planner), ==, 0);
}

int
main (int argc, char **argv)
{
#define ADD(name, function) g_test_add_func ("/planner/" name, function)
  g_test_init (&argc, &argv, NULL);
  ADD ("nothing-before-a-full-chunk", test_nothing_before_a_full_chunk);
  ADD ("one-step-ahead", test_one_step_ahead);
  ADD ("seeks-do-not-reset-chunks", test_seeks_do_not_reset_chunks);
  ADD ("cut-at-the-last-resume", test_cut_at_the_last_resume);
  ADD ("resume-is-rounded-down", test_resume_is_rounded_down_to_a_batch);
  ADD ("long-cluster-is-cut-at-its-size", test_long_cluster_is_cut_at_its_size);
  ADD ("late-patch-joins-the-next-chunk", test_late_patch_joins_the_next_chunk);
  ADD ("patch-during-retire-stays-dirty", test_patch_during_retire_stays_dirty);
  ADD ("window-holds-and-lets-go", test_window_holds_and_lets_go);
  ADD ("window-full-of-patches", test_window_full_of_patches);
  ADD ("room-for-late-patches", test_room_for_late_patches);
  ADD ("holes-count-nothing", test_holes_count_nothing);
  ADD ("head-and-resume-are-kept", test_head_and_resume_are_kept);
  ADD ("returning-patches-are-kept", test_returning_patches_are_kept);
  ADD ("released-resume-is-dropped",
      test_released_resume_is_dropped_with_a_margin);
  ADD ("dirty-ranges-are-never-dropped", test_dirty_ranges_are_never_dropped);
  ADD ("settle-drops-what-was-kept", test_settle_drops_what_was_kept);
  ADD ("keep-mode-drops-nothing", test_nothing_is_dropped_when_asked_to_keep);
  ADD ("small-windows-have-small-chunks", test_small_windows_have_small_chunks);
  ADD ("small-chunks-have-small-batches", test_small_chunks_have_small_batches);
  ADD ("chunks-are-whole-batches", test_chunks_are_whole_batches);
  ADD ("release-keeps-the-partial-batch", test_release_keeps_the_partial_batch);
  ADD ("restart-after-truncation", test_restart_after_truncation);
  ADD ("restart-in-place-keeps-dirty", test_restart_in_place_keeps_dirty);
  ADD ("restart-in-place-ends-clean", test_restart_in_place_ends_clean);
  ADD ("passive-only-counts", test_passive_only_counts);
  ADD ("held-starts", test_held_starts);
  return g_test_run ();
}
