/* The drain rate: slow start, following a disk that changes, and samples that
 * lie.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "policy/wbmeter.h"

#define MB G_GUINT64_CONSTANT (1000000)
#define START (4 * MB)

/* Retires at `rate` bytes/s in pieces of 1 MB for `busy_us`. */
static void
drain (WbMeter *meter, guint64 rate, gint64 busy_us)
{
  gint64 piece_us = (gint64) (MB * G_USEC_PER_SEC / rate);

  for (gint64 us = 0; us < busy_us; us += piece_us)
    wb_meter_note (meter, MB, piece_us, TRUE);
}

static void
test_starts_small_and_grows (void)
{
  WbMeter meter = { 0 };

  g_assert_cmpuint (
      wb_meter_allowance (&meter, G_USEC_PER_SEC, START), ==, START);
  wb_meter_note (&meter, 4 * MB, 1000, TRUE);
  g_assert_cmpuint (
      wb_meter_allowance (&meter, G_USEC_PER_SEC, START), ==, 2 * START);
}

static void
test_slow_disk_never_sees_a_burst (void)
{
  WbMeter meter = { 0 };
  guint64 most = 0;

  for (int i = 0; i < 50; i++) {
    most = MAX (most, wb_meter_allowance (&meter, G_USEC_PER_SEC, START));
    drain (&meter, 5 * MB, 200 * 1000);
  }
  g_assert_cmpuint (most, <=, START + 5 * MB);
  g_assert_cmpuint (
      wb_meter_allowance (&meter, G_USEC_PER_SEC, START), >, 4 * MB);
}

static void
test_follows_a_change (void)
{
  WbMeter meter = { 0 };

  drain (&meter, 100 * MB, 2 * G_USEC_PER_SEC);
  g_assert_cmpuint (wb_meter_rate (&meter), >, 90 * MB);
  drain (&meter, 10 * MB, 2 * WB_METER_SAMPLE_US);
  g_assert_cmpuint (wb_meter_rate (&meter), <, 12 * MB);
  drain (&meter, 100 * MB, 5 * WB_METER_SAMPLE_US);
  g_assert_cmpuint (wb_meter_rate (&meter), >, 80 * MB);
}

static void
test_one_sample_is_not_believed_outright (void)
{
  WbMeter meter = { 0 };

  drain (&meter, 100 * MB, 2 * G_USEC_PER_SEC);
  /* a pause of ten seconds in which one piece came through */
  wb_meter_note (&meter, MB, 10 * G_USEC_PER_SEC, TRUE);
  g_assert_cmpuint (wb_meter_rate (&meter), >=, 24 * MB);
  /* a burst into a device's cache */
  wb_meter_note (&meter, 5000 * MB, WB_METER_SAMPLE_US, TRUE);
  g_assert_cmpuint (wb_meter_rate (&meter), <=, 60 * MB);
}

/* Four steps that the disk took as one: the first waits for all. */
static void
test_samples_end_where_a_piece_does (void)
{
  WbMeter meter = { 0 };

  for (int i = 0; i < 20; i++) {
    wb_meter_note (&meter, MB, 600 * 1000, FALSE);
    for (int j = 0; j < 3; j++)
      wb_meter_note (&meter, MB, 0, j == 2);
    g_assert_cmpuint (wb_meter_rate (&meter), >, 6 * MB);
    g_assert_cmpuint (wb_meter_rate (&meter), <, 7 * MB);
  }
}

static void
test_never_overflows (void)
{
  WbMeter meter = { 0 };

  wb_meter_note (&meter, G_MAXINT64 / 4, WB_METER_SAMPLE_US, TRUE);
  g_assert_cmpuint (
      wb_meter_allowance (&meter, G_MAXINT64, START), ==, G_MAXINT64);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func (
      "/meter/starts-small-and-grows", test_starts_small_and_grows);
  g_test_add_func (
      "/meter/slow-disk-never-sees-a-burst", test_slow_disk_never_sees_a_burst);
  g_test_add_func ("/meter/follows-a-change", test_follows_a_change);
  g_test_add_func ("/meter/one-sample-is-not-believed-outright",
      test_one_sample_is_not_believed_outright);
  g_test_add_func ("/meter/samples-end-where-a-piece-does",
      test_samples_end_where_a_piece_does);
  g_test_add_func ("/meter/never-overflows", test_never_overflows);
  return g_test_run ();
}
