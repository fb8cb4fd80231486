/* The planner against a model of the kernel's page cache: random sequences of
 * writes, seeks, patches and completions, with writes falling between a step's
 * begin and its end. Whatever comes, the planner never counts fewer dirty bytes
 * than there are, keeps the window, starts every byte, starts nothing twice
 * that was not dirtied again, drops nothing dirty or kept, and ends clean.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "policy/wbplanner.h"

#include <string.h>

#define LARGEST_PAGE (64 * 1024)
#define FILE_PAGES 8192 /* 32 MiB of 4 KiB pages, 512 MiB of the largest */
#define MOST_BATCHES (FILE_PAGES / (WB_BATCH / LARGEST_PAGE))

typedef enum
{
  CLEAN,
  DIRTY,
  IN_FLIGHT
} State;

typedef struct
{
  State state[FILE_PAGES];
  gboolean written[FILE_PAGES];
  gboolean cached[FILE_PAGES];
  gboolean started[FILE_PAGES]; /* since it was first written */
  /* Times of the model's clock. The planner works in whole batches below what
   * was started, so a batch is what is dirtied again. */
  guint64 clock;
  guint64 started_at[FILE_PAGES];
  guint64 dirtied_at[MOST_BATCHES + 1];
  guint64 reads; /* patches that met a dropped page */
  guint64 high_water;
  WbPlanner planner;
  WbStep step;
  gboolean under_way;
} Model;

static Model *model;
static guint64 page_size; /* the cache's */

static void
model_write (guint64 offset, guint64 length)
{
  for (guint64 p = offset / page_size; p <= (offset + length - 1) / page_size;
       p++) {
    gboolean partial =
        offset > p * page_size || offset + length < (p + 1) * page_size;

    if (partial && model->written[p] && !model->cached[p])
      model->reads++;
    model->state[p] = DIRTY;
    model->written[p] = model->cached[p] = TRUE;
    model->dirtied_at[p / (WB_BATCH / page_size)] = ++model->clock;
  }
  model->high_water = MAX (model->high_water, offset + length);
}

static guint64
model_dirty (void)
{
  guint64 bytes = 0;

  for (guint64 p = 0; p * page_size < model->high_water; p++)
    if (model->state[p] != CLEAN)
      bytes += MIN (page_size, model->high_water - p * page_size);
  return bytes;
}

static gboolean
is_whole (const WbStep *step, guint64 page)
{
  return step->range.start <= page * page_size
      && (page + 1) * page_size <= step->range.end;
}

static void
model_begin (const WbStep *step)
{
  guint64 first = step->range.start / page_size;
  guint64 last = (step->range.end - 1) / page_size;

  switch (step->kind) {
    case WB_STEP_START:
      for (guint64 p = first; p <= last; p++) {
        if (model->state[p] == DIRTY)
          model->state[p] = IN_FLIGHT;
        model->started[p] = TRUE;
        if (!is_whole (step, p))
          continue;
        g_assert_cmpuint (model->started_at[p], <=,
            model->dirtied_at[p / (WB_BATCH / page_size)]);
        model->started_at[p] = ++model->clock;
      }
      break;
    case WB_STEP_RETIRE:
      break;
    case WB_STEP_DROP:
      for (guint64 p = first; p <= last; p++) {
        if (!is_whole (step, p) || p * page_size >= model->high_water)
          continue;
        /* DONTNEED would start its write-out behind our back. */
        g_assert_cmpint (model->state[p], ==, CLEAN);
        model->cached[p] = FALSE;
      }
      break;
  }
}

static void
model_end (const WbStep *step)
{
  guint64 first = step->range.start / page_size;
  guint64 last = (step->range.end - 1) / page_size;

  if (step->kind != WB_STEP_RETIRE)
    return;
  if (wb_planner_retires_whole (&model->planner)) {
    first = 0;
    last = FILE_PAGES - 1;
  }
  for (guint64 p = first; p <= last; p++)
    if (model->state[p] == IN_FLIGHT)
      model->state[p] = CLEAN;
}

/* Begins a step, or ends the one under way. FALSE: there is nothing to do. */
static gboolean
advance (void)
{
  if (model->under_way) {
    model_end (&model->step);
    wb_planner_done (&model->planner, &model->step);
    model->under_way = FALSE;
    return TRUE;
  }
  if (!wb_planner_next (&model->planner, &model->step))
    return FALSE;
  model_begin (&model->step);
  model->under_way = TRUE;
  return TRUE;
}

static void
checked_write (guint64 offset, guint64 length)
{
  WbPlanner *planner = &model->planner;
  guint patience = 0;

  while (!wb_planner_may_write (planner, offset, length)) {
    if (!wb_planner_is_draining (planner))
      wb_planner_release (planner, FALSE);
    /* The writer waits; the sync that holds the starts ends. */
    if (!advance ()) {
      g_assert_true (wb_planner_holds_starts (planner));
      wb_planner_hold_starts (planner, FALSE);
    }
    g_assert_cmpuint (patience++, <, 100000);
  }
  model_write (offset, length);
  wb_planner_wrote (planner, offset, length);
  g_assert_cmpuint (wb_planner_dirty (planner), <=,
      wb_planner_window (planner) + wb_planner_patch_room (planner) + WB_BATCH);
}

static void
write_forward (guint64 *at, guint64 length)
{
  guint64 end = MIN (*at + length, FILE_PAGES * page_size);

  while (*at < end) {
    guint64 batch = wb_planner_batch (&model->planner);
    guint64 part = MIN (end - *at, batch - *at % batch);

    checked_write (*at, part);
    *at += part;
  }
}

static void
model_reset (guint64 window, guint64 chunk)
{
  memset (model, 0, sizeof *model);
  wb_planner_init (&model->planner, 0, page_size, TRUE);
  wb_planner_set_bounds (&model->planner, window, chunk);
}

/* The planner counts bytes where the model counts pages, so it may be short by
 * the rest of a page at each end of a range. */
static void
check_count (void)
{
  guint64 slack = 2 * page_size * (wb_planner_ranges (&model->planner) + 1);

  g_assert_cmpuint (
      wb_planner_dirty (&model->planner) + slack, >=, model_dirty ());
}

static void
finish_and_check (void)
{
  wb_planner_hold_starts (&model->planner, FALSE);
  do
    wb_planner_release (&model->planner, TRUE);
  while (advance ());

  g_assert_cmpuint (wb_planner_dirty (&model->planner), ==, 0);
  for (guint64 p = 0; p < FILE_PAGES; p++) {
    g_assert_cmpint (model->state[p], ==, CLEAN);
    g_assert_true (model->started[p] || !model->written[p]);
  }
  g_assert_cmpuint (wb_planner_counters (&model->planner).chunks_started, ==,
      wb_planner_counters (&model->planner).chunks_retired);

  wb_planner_settle (&model->planner);
  while (advance ())
    ;
  for (guint64 p = 0; p < FILE_PAGES; p++) {
    if (model->cached[p])
      g_test_message ("page %" G_GUINT64_FORMAT " at %" G_GUINT64_FORMAT
                      " of %" G_GUINT64_FORMAT " is left in the cache",
          p, p * page_size, model->high_water);
    g_assert_false (model->cached[p]);
  }
}

static guint64
random_below (guint64 limit)
{
  return limit == 0
      ? 0
      : (((guint64) g_test_rand_int () << 32) | (guint32) g_test_rand_int ())
          % limit;
}

/* Batches of half the size too, as for several files on a fast disk, and room for patches. */
static void
random_bounds (void)
{
  guint64 unit = g_test_rand_bit () ? WB_BATCH : WB_BATCH_SMALL;

  wb_planner_set_bounds (&model->planner, unit * (2 + random_below (64)),
      unit * (1 + random_below (g_test_rand_bit () ? 2 : 32)));
  wb_planner_set_patch_room (
      &model->planner, g_test_rand_bit () ? unit * random_below (16) : 0);
}

static void
random_operation (guint64 *at)
{
  WbPlanner *planner = &model->planner;

  switch (g_test_rand_int_range (0, 14)) {
    case 0: /* a patch anywhere, and back */
      if (model->high_water > page_size)
        checked_write (random_below (model->high_water - 100), 8);
      break;
    case 1: /* a hole */
      *at =
          MIN (*at + random_below (3 * WB_BATCH), model->high_water + WB_BATCH);
      break;
    case 2: /* a longer rewrite */
      if (model->high_water > 4 * WB_BATCH) {
        guint64 from = random_below (model->high_water - 4 * WB_BATCH);

        write_forward (&from, random_below (3 * WB_BATCH) + 1);
      }
      break;
    case 3:
      random_bounds ();
      /* What is dirty now may exceed a window that shrank. */
      wb_planner_hold_starts (planner, FALSE);
      while (wb_planner_dirty (planner) > wb_planner_window (planner)) {
        if (!wb_planner_is_draining (planner))
          wb_planner_release (planner, FALSE);
        advance ();
      }
      break;
    case 4:
      wb_planner_release (planner, g_test_rand_bit ());
      break;
    case 5:
    case 6:
    case 7:
      advance ();
      break;
    case 8: /* a sync begins */
      wb_planner_hold_starts (planner, TRUE);
      break;
    case 9: /* ... or ends */
      wb_planner_hold_starts (planner, FALSE);
      wb_planner_release_below (
          planner, random_below (wb_planner_high_water (planner)));
      break;
    default:
      write_forward (at, random_below (2 * WB_BATCH) + 1);
      break;
  }
}

static void
test_random_operations (gconstpointer data)
{
  page_size = *(const guint64 *) data;
  for (int round = 0; round < 1500; round++) {
    guint64 at = 0;

    model_reset (64 * WB_BATCH, 32 * WB_BATCH);
    random_bounds ();
    if (round % 4 == 3)
      wb_planner_set_retire_whole (&model->planner);
    for (int i = 0; i < 3000 && at < FILE_PAGES * page_size; i++) {
      random_operation (&at);
      if (i % 16 == 0)
        check_count ();
    }
    finish_and_check ();
  }
}

/* matroskamux with clusters of every size: no patch ever reads a page back,
 * and clusters shorter than half a chunk are patched before they are started. */
static void
test_clusters (gconstpointer data)
{
  static const guint64 sizes[] = { 256 * 1024, 2 * WB_BATCH, 7 * WB_BATCH + 5,
    40 * WB_BATCH, 400 * WB_BATCH };

  page_size = *(const guint64 *) data;
  for (guint s = 0; s < G_N_ELEMENTS (sizes); s++) {
    guint64 at = 0;

    model_reset (64 * WB_BATCH, 32 * WB_BATCH);
    while (at + sizes[s] < FILE_PAGES * page_size) {
      guint64 cluster = at;

      write_forward (&at, sizes[s]);
      checked_write (cluster, 8);
      for (int i = 0; i < g_test_rand_int_range (0, 6); i++)
        advance ();
    }
    checked_write (40, 8);
    checked_write (4000, 60);
    g_assert_cmpuint (model->reads, ==, 0);
    if (sizes[s] <= 8 * WB_BATCH)
      g_assert_cmpuint (
          wb_planner_counters (&model->planner).late_back_patches, <=, 2);
    finish_and_check ();
  }
}

static void
test_rewrite_in_place (gconstpointer data)
{
  guint64 at = 0;

  page_size = *(const guint64 *) data;
  model_reset (16 * WB_BATCH, 8 * WB_BATCH);
  write_forward (&at, 100 * WB_BATCH);
  at = 0;
  write_forward (&at, 100 * WB_BATCH);
  finish_and_check ();
}

/* A table in the middle of a file that is patched a little further each time, as
 * qtmux's robust modes do: once its page has been patched twice it stays, so it is
 * read back once. */
static void
test_returning_patches (gconstpointer data)
{
  guint64 at = 0, table;

  page_size = *(const guint64 *) data;
  model_reset (4 * WB_BATCH, WB_BATCH);
  write_forward (&at, WB_BATCH + WB_BATCH / 2);
  table = wb_round_down (at, page_size) - 4 * page_size;
  for (guint64 i = 0; i < 8; i++) {
    checked_write (table + i * (page_size / 8), 8);
    for (int n = 0; n < 3; n++) {
      write_forward (&at, WB_BATCH);
      while (advance ())
        ;
    }
  }
  g_assert_cmpuint (model->reads, ==, 1);
  finish_and_check ();
}

static void
add (const guint64 *size, const gchar *name, GTestDataFunc test)
{
  g_autofree gchar *path = g_strdup_printf (
      "/planner-model/%u-kib/%s", (guint) (*size / 1024), name);

  g_test_add_data_func (path, size, test);
}

int
main (int argc, char **argv)
{
  static const guint64 page_sizes[] = { 4096, 16 * 1024, LARGEST_PAGE };
  int result;

  g_test_init (&argc, &argv, NULL);
  model = g_new0 (Model, 1);
  for (guint i = 0; i < G_N_ELEMENTS (page_sizes); i++) {
    add (&page_sizes[i], "random-operations", test_random_operations);
    add (&page_sizes[i], "clusters", test_clusters);
    add (&page_sizes[i], "rewrite-in-place", test_rewrite_in_place);
    add (&page_sizes[i], "returning-patches", test_returning_patches);
  }
  result = g_test_run ();
  g_free (model);
  return result;
}
