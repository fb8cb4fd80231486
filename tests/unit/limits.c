/* How large the window and the queue may be, from bounds and from what drains.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "policy/wbbudget.h"
#include "policy/wblimits.h"
#include "policy/wbstep.h"

#define MIB (G_GUINT64_CONSTANT (1) << 20)
#define MB G_GUINT64_CONSTANT (1000000)
#define SECOND G_USEC_PER_SEC

static const WbBounds bounds = { .chunk_size = 32 * MIB,
  .max_dirty_bytes = 64 * MIB,
  .max_dirty_time_us = SECOND,
  .max_queued_bytes = 32 * MIB };

/* A meter that knows this rate, bytes/s. */
static WbMeter
meter_of (guint64 rate)
{
  WbMeter meter = { .rate = rate, .total = rate };

  return meter;
}

/* The window at a steady rate, of a file alone on its disk. */
static WbWindow
window_at (const WbBounds *with, guint64 rate)
{
  WbMeter meter = meter_of (rate);
  WbDiskView view = { .drain = &meter,
    .disk = &meter,
    .share = G_MAXUINT64,
    .fast_part = wb_limits_fast_window (with) };
  WbWindow window = { 0 };

  wb_limits_window (&window, with, &view, 0);
  return window;
}

static void
test_by_rate (void)
{
  WbWindow window = window_at (&bounds, 60 * MB);

  g_assert_cmpuint (window.size, ==, 60 * MB);
  g_assert_cmpint (window.reason, ==, WB_WINDOW_TIME);
  g_assert_cmpuint (window.chunk_size, ==, 32 * MIB);
  g_assert_cmpuint (window.start_step, ==, 2 * MB);
  window = window_at (&bounds, 200 * MB);
  g_assert_cmpuint (window.size, ==, 64 * MIB);
  g_assert_cmpint (window.reason, ==, WB_WINDOW_BYTES);
  window = window_at (&bounds, 1 * MB);
  g_assert_cmpuint (window.size, ==, 4 * MIB);
  g_assert_cmpint (window.reason, ==, WB_WINDOW_FLOOR);
}

static void
test_first_second (void)
{
  WbMeter meter = { 0 };
  WbDiskView view = { .drain = &meter, .disk = &meter, .share = G_MAXUINT64 };
  WbWindow window = { 0 };

  wb_limits_window (&window, &bounds, &view, 0);
  g_assert_cmpuint (window.size, ==, 4 * MIB);
  g_assert_cmpint (window.reason, ==, WB_WINDOW_UNKNOWN);
  wb_meter_note (&meter, 8 * MIB, SECOND / 4, TRUE);
  wb_limits_window (&window, &bounds, &view, 8 * MIB);
  g_assert_cmpuint (window.size, ==, 12 * MIB);
}

static void
test_no_bound (void)
{
  WbBounds none = { .chunk_size = 32 * MIB };
  WbWindow window = window_at (&none, 60 * MB);

  g_assert_cmpuint (window.size, ==, G_MAXUINT64);
  window = window_at (&none, 2000 * MB);
  g_assert_cmpuint (window.size, ==, G_MAXUINT64);
  g_assert_cmpuint (window.chunk_size, ==, MIB);
}

static void
test_small_bound (void)
{
  WbBounds small = bounds;

  small.max_dirty_bytes = 2 * MIB;
  g_assert_cmpuint (window_at (&small, 60 * MB).size, ==, 2 * MIB);
  g_assert_cmpuint (window_at (&small, 100).size, ==, 2 * MIB);
}

/* Of what moves, three quarters at a time. */
static void
test_falls_step_by_step (void)
{
  WbMeter meter = meter_of (60 * MB);
  WbDiskView view = { .drain = &meter, .disk = &meter, .share = G_MAXUINT64 };
  WbWindow window = { 0 };

  wb_limits_window (&window, &bounds, &view, 0);
  meter.rate = 10 * MB;
  wb_limits_window (&window, &bounds, &view, 0);
  g_assert_cmpuint (window.size, ==, 60 * MB);
  wb_limits_window (&window, &bounds, &view, 4 * MB);
  g_assert_cmpuint (window.size, ==, 57 * MB);
  wb_limits_window (&window, &bounds, &view, 400 * MB);
  g_assert_cmpuint (window.size, ==, 10 * MB);
}

static void
test_sync_interval (void)
{
  WbBounds often = bounds;
  WbWindow window;

  often.sync_interval_us = 2 * SECOND;
  window = window_at (&often, 40 * MB);
  g_assert_cmpuint (window.size, ==, 20 * MB);
  g_assert_cmpint (window.reason, ==, WB_WINDOW_INTERVAL);
  often.max_dirty_time_us = 0;
  g_assert_cmpuint (window_at (&often, 40 * MB).size, ==, 20 * MB);
  often.max_dirty_time_us = SECOND / 10;
  window = window_at (&often, 400 * MB);
  g_assert_cmpuint (window.size, ==, 40 * MB);
  g_assert_cmpint (window.reason, ==, WB_WINDOW_TIME);
}

static void
test_share (void)
{
  WbMeter meter = meter_of (60 * MB);
  WbDiskView view = { .drain = &meter, .disk = &meter, .share = MIB };
  WbWindow window = { 0 };

  wb_limits_window (&window, &bounds, &view, 0);
  g_assert_cmpuint (window.size, ==, MIB);
  g_assert_cmpint (window.reason, ==, WB_WINDOW_SHARE);
}

static void
test_fast_disk (void)
{
  WbMeter meter = meter_of (2000 * MB);
  WbDiskView view = {
    .drain = &meter, .disk = &meter, .share = 32 * MIB, .fast_part = 4 * MIB
  };
  WbWindow window = { 0 };

  g_assert_cmpuint (wb_limits_fast_window (&bounds), ==, 16 * MIB);
  g_assert_true (wb_limits_is_fast (&meter, FALSE));
  g_assert_false (wb_limits_is_fast (&meter, TRUE));
  wb_limits_window (&window, &bounds, &view, 0);
  g_assert_cmpuint (window.size, ==, 4 * MIB);
  g_assert_cmpuint (window.most, ==, 32 * MIB);
  g_assert_cmpuint (window.chunk_size, ==, MIB / 2);
  g_assert_cmpint (window.reason, ==, WB_WINDOW_FAST);
  /* Drained by syncs it is as any other. */
  view.by_sync = TRUE;
  wb_limits_window (&window, &bounds, &view, 0);
  g_assert_cmpuint (window.size, ==, 32 * MIB);
  g_assert_cmpuint (window.chunk_size, ==, 32 * MIB);
}

static void
test_queue (void)
{
  WbMeter write = meter_of (60 * MB), drain = meter_of (20 * MB);
  WbMeter fast = meter_of (2000 * MB), slow = meter_of (1000);
  WbQueueLimit queue = { 0 };

  wb_limits_queue (&queue, &bounds, &write, &drain, 0);
  g_assert_cmpuint (queue.bound, ==, 20 * MB);
  g_assert_cmpuint (queue.most, ==, 20 * MB);
  /* Nothing but write() tells how fast a pipe is. */
  queue.time = 0;
  wb_limits_queue (&queue, &bounds, &write, NULL, 0);
  g_assert_cmpuint (queue.bound, ==, 32 * MIB);
  queue.time = 0;
  wb_limits_queue (&queue, &bounds, &slow, NULL, 0);
  g_assert_cmpuint (queue.bound, ==, MIB);
  queue.time = 0;
  wb_limits_queue (&queue, &bounds, &fast, &fast, 0);
  g_assert_cmpuint (queue.bound, ==, 8 * MIB);
  g_assert_cmpuint (queue.most, ==, 32 * MIB);
}

/* A copy on one disk: whole chunks, so that the head moves less. But not where
 * something live waits, nothing is read, or there is no head. */
static void
test_unhurried (void)
{
  for (guint i = 0; i < 16; i++) {
    WbMeter meter = meter_of ((i & 4) != 0 ? 2000 * MB : 60 * MB);
    WbBounds with = bounds;
    WbDiskView view = { .drain = &meter,
      .disk = &meter,
      .share = G_MAXUINT64,
      .sharing = 1,
      .is_read = (i & 2) != 0,
      .by_sync = (i & 8) != 0 };
    WbWindow window = { 0 };

    with.unhurried = (i & 1) != 0;
    wb_limits_window (&window, &with, &view, 0);
    if (i == 3)
      g_assert_cmpuint (window.start_step, ==, WB_START_STEP_LONG);
    else if ((i & 8) == 0)
      g_assert_cmpuint (window.start_step, <=, WB_START_STEP);
    else
      g_assert_cmpuint (window.start_step, ==, meter.rate / 15);
  }
}

/* --- the loop: pieces make the rate, and the rate makes the pieces ------------- */

/* A disk that seeks, and this file with others like it on it, one after the
 * other. */
typedef struct
{
  const gchar *name;
  guint files;
  gint64 seek_us; /* for each piece */
  guint64 rate;   /* bytes/s */
  gint64 dirty_time_us;
  gint64 sync_interval_us;
} Disk;

static const Disk disks[] = {
  { "spinning, alone", 1, 15000, 180 * MB, SECOND, 0 },
  { "spinning, alone, little time", 1, 15000, 180 * MB, SECOND / 10, 0 },
  { "spinning, 2 files", 2, 15000, 180 * MB, SECOND, 0 },
  { "spinning, 16 files, syncs", 16, 15000, 180 * MB, SECOND, SECOND },
  { "spinning, 64 files", 64, 15000, 180 * MB, SECOND, 0 },
  { "spinning, 128 files, little time", 128, 15000, 180 * MB, SECOND / 10, 0 },
  { "a card, 2 files, syncs", 2, 200000, 20 * MB, SECOND, 5 * SECOND },
  { "a stick", 1, 50000, 5 * MB, SECOND, 0 },
  { "no seeks, 4 files", 4, 100, 300 * MB, SECOND, 0 },
};

typedef struct
{
  const Disk *disk;
  WbBounds bounds;
  WbMeter drain, all;
  WbDiskView view;
  WbWindow window;
} Loop;

static void
loop_begin (Loop *loop, const Disk *disk, guint64 rate)
{
  WbBudgetReason reason;

  *loop = (Loop){ .disk = disk, .bounds = bounds };
  loop->bounds.max_dirty_time_us = disk->dirty_time_us;
  loop->bounds.sync_interval_us = disk->sync_interval_us;
  loop->drain = meter_of (rate);
  loop->all = meter_of (rate * disk->files);
  loop->view = (WbDiskView){ .drain = &loop->drain,
    .disk = &loop->all,
    .share = G_MAXUINT64,
    .sharing = disk->files,
    .fast_part = wb_limits_fast_window (&loop->bounds) };
  if (disk->files > 1)
    loop->view.share =
        wb_budget_dirty (disk->files, G_MAXUINT64, G_MAXUINT64, &reason)
        / disk->files;
  wb_limits_window (&loop->window, &loop->bounds, &loop->view, 0);
}

/* A piece of each file: the next one of this file waits for them all. How long
 * that took, us. */
static gint64
loop_piece (Loop *loop, gint64 stall_us)
{
  const Disk *disk = loop->disk;
  guint64 piece = MIN (loop->window.chunk_size, loop->window.size / 2);
  gint64 each = disk->seek_us + (gint64) (piece * SECOND / disk->rate);
  gint64 took = each * disk->files + stall_us;

  wb_meter_note (&loop->drain, piece, took, TRUE);
  wb_meter_note (&loop->all, piece * disk->files, took, TRUE);
  wb_limits_window (&loop->window, &loop->bounds, &loop->view, piece);
  return took;
}

static void
assert_near (guint64 found, guint64 expected, guint64 percent, const Disk *disk)
{
  guint64 off = found > expected ? found - expected : expected - found;

  if (off > expected / 100 * percent)
    g_error ("%s: %" G_GUINT64_FORMAT " bytes, not about %" G_GUINT64_FORMAT,
        disk->name, found, expected);
}

/* The disk writes for two thirds of its time, at least. */
static void
assert_worth_a_seek (const Loop *loop)
{
  guint64 piece = MIN (loop->window.chunk_size, loop->window.size / 2);

  if (piece * SECOND / loop->disk->rate < 2 * (guint64) loop->disk->seek_us)
    g_error (
        "%s: pieces of %" G_GUINT64_FORMAT " bytes", loop->disk->name, piece);
}

/* From whatever a file begins with, a disk that does not change ends at the same
 * window; and after a stall it is back in the time of three samples, or after some
 * pieces if they take longer. */
static void
test_no_spiral (gconstpointer data)
{
  static const guint64 rates[] = { MB / 10, MB, 8 * MB, 60 * MB, 2000 * MB };
  const Disk *disk = data;
  guint64 settled = 0;

  for (guint r = 0; r < G_N_ELEMENTS (rates); r++) {
    gint64 took = 0;
    Loop loop;
    guint i;

    loop_begin (&loop, disk, rates[r]);
    for (i = 0; i < 300; i++)
      loop_piece (&loop, 0);
    if (r == 0)
      settled = loop.window.size;
    assert_near (loop.window.size, settled, 3, disk);
    assert_worth_a_seek (&loop);
    loop_piece (&loop, 5 * SECOND);
    for (i = 0; i < 8 || took < 3 * WB_METER_SAMPLE_US; i++)
      took += loop_piece (&loop, 0);
    assert_near (loop.window.size, settled, 10, disk);
  }
  g_test_message ("%s: %.1f MB", disk->name, settled / 1e6);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/limits/by-rate", test_by_rate);
  g_test_add_func ("/limits/first-second", test_first_second);
  g_test_add_func ("/limits/no-bound", test_no_bound);
  g_test_add_func ("/limits/small-bound", test_small_bound);
  g_test_add_func ("/limits/falls-step-by-step", test_falls_step_by_step);
  g_test_add_func ("/limits/sync-interval", test_sync_interval);
  g_test_add_func ("/limits/share", test_share);
  g_test_add_func ("/limits/fast-disk", test_fast_disk);
  g_test_add_func ("/limits/queue", test_queue);
  g_test_add_func ("/limits/unhurried", test_unhurried);
  for (guint i = 0; i < G_N_ELEMENTS (disks); i++) {
    g_autofree gchar *path =
        g_strdup_printf ("/limits/no-spiral/%s", disks[i].name);

    g_test_add_data_func (path, &disks[i], test_no_spiral);
  }
  return g_test_run ();
}
