/* The end of one output file, and a flush: what was handed over is written, and
 * a sync is heard for what it covers, late or not.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"
#include "filerig.h"

/* Without any sync: what was handed over is written before the file closes,
 * also when it has to wait for the window. */
static void
test_close_writes_what_is_queued (FileRig *f, gconstpointer data)
{
  WbFileConfig config;
  WbError error;
  WbStall stall;
  WbStats stats;
  WbFile *file;

  fault_delay (FAULT_WAIT, 2, 200 * 1000);
  file_rig_configure (f, &config);
  config.bounds.max_queued_bytes = 2 * TOTAL;
  file = wb_file_open (&config, &error, &stall);
  g_assert_cmpint (file_rig_push_all (f, file, &stall), ==, WB_OK);
  g_assert_cmpint (wb_file_close (file, &stats, &stall), ==, WB_OK);
  g_assert_cmpuint (stats.high_water, ==, TOTAL);
  file_rig_assert_content (f);
  file_rig_assert_nothing_left (f);
}

static void
test_flush_truncates_and_goes_on (FileRig *f, gconstpointer data)
{
  WbFileConfig config;
  WbError error;
  WbStall stall;
  WbStats stats;
  WbFile *file;

  file_rig_configure (f, &config);
  file = wb_file_open (&config, &error, &stall);
  g_assert_cmpint (file_rig_push_all (f, file, &stall), ==, WB_OK);
  wb_file_flush (file);
  g_assert_cmpuint (wb_file_get_position (file), ==, 0);
  g_assert_cmpint (file_rig_push_all (f, file, &stall), ==, WB_OK);
  g_assert_cmpint (
      fault_file_sync (file, WB_SYNC_FULL, TRUE), ==, WB_RESULT_DURABLE);
  wb_file_close (file, &stats, &stall);
  g_assert_cmpuint (stats.final_size, ==, TOTAL);
  file_rig_assert_content (f);
  file_rig_assert_nothing_left (f);
}

/* A sync that was under way when the stream was flushed says nothing of what is
 * there now: it does not stand for the one at the end. */
static void
test_flush_discards_the_sync (FileRig *f, gconstpointer data)
{
  WbSyncResult result;
  WbFileConfig config;
  guint64 token;
  WbStall stall;
  WbStats stats;
  WbFile *file;

  fault_hang (FAULT_SYNC, 1);
  file_rig_configure (f, &config);
  file = file_rig_open (f, &config);
  token = wb_file_request_sync (file, WB_SYNC_FULL, TRUE);
  g_assert_true (fault_wait_hanging ());
  wb_file_interrupt (file, TRUE);
  g_assert_cmpint (
      wb_file_wait_sync (file, token, WB_WAIT_STREAM, &result, &stall), ==,
      WB_INTERRUPTED);
  wb_file_interrupt (file, FALSE);
  wb_file_note_result (file, WB_RESULT_CANCELLED, 0);
  wb_file_flush (file);
  fault_release ();
  do {
    g_usleep (1000);
    wb_file_get_stats (file, &stats);
  } while (stats.high_water > 0);
  g_assert_true (wb_file_needs_sync (file, &token));
  g_assert_cmpuint (token, ==, 0);
  g_assert_cmpint (wb_file_close (file, &stats, &stall), ==, WB_OK);
}

/* A sync that came back after it had been given up is heard at the end. */
static void
test_late_sync_is_heard (FileRig *f, gconstpointer data)
{
  guint64 token, late = 0;
  WbSyncResult result;
  WbFileConfig config;
  WbStall stall;
  WbStats stats;
  WbFile *file;

  fault_hang (FAULT_SYNC, 1);
  file_rig_configure (f, &config);
  config.bounds.sync_timeout_us = TIMEOUT_US;
  file = file_rig_open (f, &config);
  token = wb_file_request_sync (file, WB_SYNC_FULL, TRUE);
  g_assert_cmpint (
      wb_file_wait_sync (file, token, WB_WAIT_STREAM, &result, &stall), ==,
      WB_TIMEOUT);
  wb_file_note_result (file, WB_RESULT_TIMEOUT, 0);
  fault_release ();
  do {
    g_usleep (1000);
    wb_file_get_stats (file, &stats);
  } while (stats.durable_bytes == 0 || fault_count (FAULT_SYNC_DIRECTORY) == 0);
  g_assert_true (wb_file_needs_sync (file, &late));
  g_assert_cmpuint (late, ==, token);
  g_assert_cmpint (
      wb_file_wait_sync (file, late, WB_WAIT_STREAM, &result, &stall), ==,
      WB_OK);
  g_assert_cmpint (result, ==, WB_RESULT_DURABLE);
  wb_file_note_result (file, result, 0);
  g_assert_false (wb_file_needs_sync (file, &late));
  g_assert_cmpint (wb_file_close (file, &stats, &stall), ==, WB_OK);
}

int
main (int argc, char **argv)
{
#define ADD(name, function)                                                    \
  g_test_add ("/faults/" name, FileRig, NULL, file_rig_set_up, function,       \
      file_rig_tear_down)
  g_test_init (&argc, &argv, NULL);
  ADD ("close-writes-what-is-queued", test_close_writes_what_is_queued);
  ADD ("flush-truncates-and-goes-on", test_flush_truncates_and_goes_on);
  ADD ("flush-discards-the-sync", test_flush_discards_the_sync);
  ADD ("late-sync-is-heard", test_late_sync_is_heard);
  return g_test_run ();
}
