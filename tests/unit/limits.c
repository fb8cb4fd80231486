/* How large the window and the queue may be, from bounds and from what drains.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "policy/wblimits.h"

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
  return g_test_run ();
}
