/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Started and stopped over and over: each file is right, nothing of one is
 * in the next, and no descriptor and no thread is left over.
 */

#include "../common/wbtest.h"

#include <string.h>

#define TIMES 10

static void
assert_counts (guint fds, guint threads)
{
  guint i;

  /* The last user of a file closes it, on a thread of its own: soon. */
  for (i = 0; i < WB_PATIENCE * 100; i++) {
    if (wb_count_fds () <= fds && wb_count_threads () <= threads)
      return;
    g_usleep (10000);
  }
  fail ("%u descriptors and %u threads, %u and %u before", wb_count_fds (),
      wb_count_threads (), fds, threads);
}

static void
do_nothing (GstElement *sink, gpointer data)
{
}

/* The first run makes what lives as long as the process, or, like the thread
 * for calls that GStreamer makes for an element, for some time. */
static void
warm_up (void)
{
  gchar *path = wb_path ("first");
  WbRig *rig = wb_rig_new (path, NULL);

  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_fill (rig, 0, 1000, 1);
  fail_unless (wb_rig_eos (rig));
  gst_element_call_async (rig->sink, do_nothing, NULL, NULL);
  wb_rig_free (rig);
  g_free (path);
}

/* New files by new locations and by the same one, with EOS and without */
GST_START_TEST (test_from_null)
{
  gboolean other_files = __i__ == 1;
  gchar *path = wb_path ("file");
  WbRig *rig;
  guint i, fds, threads;

  warm_up ();
  fds = wb_count_fds ();
  threads = wb_count_threads ();
  rig = wb_rig_new (path, WB_TINY_WINDOW);
  for (i = 0; i < TIMES; i++) {
    gsize size = 700000 * (1 + (TIMES - i) % 4);
    guint8 *wanted = wb_pattern (0, size, i);

    if (other_files) {
      gchar *name = g_strdup_printf ("file-%u", i);

      g_free (path);
      path = wb_path (name);
      g_object_set (rig->sink, "location", path, NULL);
      g_free (name);
    }
    wb_rig_play (rig, GST_FORMAT_BYTES);
    wb_rig_fill (rig, 0, size, i);
    if (i % 3 != 0)
      fail_unless (wb_rig_eos (rig));
    wb_rig_state (rig, GST_STATE_NULL);
    wb_assert_file (path, wanted, size);
    g_free (wanted);
  }
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 6);
  wb_rig_assert_quiet (rig);
  if (!wb_sink_is_filesink ())
    fail_unless_equals_int (wb_rig_count_syncs (rig), TIMES);
  wb_rig_free (rig);
  assert_counts (fds, threads);
  g_free (path);
}
GST_END_TEST;

GST_START_TEST (test_from_ready)
{
  gchar *path = wb_path ("file");
  guint8 *wanted = wb_pattern (0, TIMES * 100000, 1);
  WbRig *rig;
  guint i, fds, threads;

  warm_up ();
  fds = wb_count_fds ();
  threads = wb_count_threads ();
  rig = wb_rig_new (path, NULL);
  wb_rig_state (rig, GST_STATE_READY);
  for (i = 0; i < TIMES; i++) {
    wb_rig_play (rig, GST_FORMAT_TIME);
    wb_rig_fill (rig, i * 100000, 100000, 1);
    if (i % 3 != 0)
      fail_unless (wb_rig_eos (rig));
    wb_rig_state (rig, GST_STATE_READY);
  }
  wb_rig_state (rig, GST_STATE_NULL);
  wb_assert_file (path, wanted, TIMES * 100000);
  wb_rig_assert_quiet (rig);
  wb_rig_free (rig);
  assert_counts (fds, threads);
  g_free (wanted);
  g_free (path);
}
GST_END_TEST;

/* Only opened and closed, to READY and to PAUSED */
GST_START_TEST (test_without_data)
{
  gchar *path = wb_path ("file");
  WbRig *rig;
  guint i, fds, threads;

  warm_up ();
  fds = wb_count_fds ();
  threads = wb_count_threads ();
  rig = wb_rig_new (path, NULL);
  for (i = 0; i < 5 * TIMES; i++) {
    wb_rig_state (rig, i % 2 == 0 ? GST_STATE_READY : GST_STATE_PAUSED);
    wb_rig_state (rig, GST_STATE_NULL);
  }
  fail_unless_equals_int64 (wb_file_size (path), 0);
  wb_rig_assert_quiet (rig);
  wb_rig_free (rig);
  assert_counts (fds, threads);
  g_free (path);
}
GST_END_TEST;

/* A start that fails leaves nothing either. */
GST_START_TEST (test_failed_starts)
{
  gchar *path = wb_path ("not-there/file");
  WbRig *rig;
  guint i, fds, threads;

  warm_up ();
  fds = wb_count_fds ();
  threads = wb_count_threads ();
  rig = wb_rig_new (path, NULL);
  for (i = 0; i < 5 * TIMES; i++) {
    fail_unless_equals_int (
        wb_rig_state (rig, GST_STATE_PLAYING), GST_STATE_CHANGE_FAILURE);
    wb_rig_state (rig, GST_STATE_NULL);
  }
  wb_rig_free (rig);
  assert_counts (fds, threads);
  g_free (path);
}
GST_END_TEST;

/* Made and dropped again */
GST_START_TEST (test_never_started)
{
  guint i, fds, threads;

  warm_up ();
  fds = wb_count_fds ();
  threads = wb_count_threads ();
  for (i = 0; i < TIMES; i++) {
    WbRig *rig = wb_rig_new (i % 2 == 0 ? NULL : "/some/where", NULL);

    wb_rig_free (rig);
  }
  assert_counts (fds, threads);
}
GST_END_TEST;

/* Several at once, as with splitmuxsink */
GST_START_TEST (test_side_by_side)
{
  WbRig *rigs[6];
  gchar *paths[6];
  WbTask *tasks[6];
  guint8 *wanted;
  guint i, fds, threads;

  warm_up ();
  fds = wb_count_fds ();
  threads = wb_count_threads ();
  for (i = 0; i < G_N_ELEMENTS (rigs); i++) {
    gchar *name = g_strdup_printf ("file-%u", i);

    paths[i] = wb_path (name);
    rigs[i] = wb_rig_new (paths[i], i % 2 == 0 ? NULL : WB_TINY_WINDOW);
    wb_rig_play (rigs[i], GST_FORMAT_TIME);
    g_free (name);
  }
  for (i = 0; i < G_N_ELEMENTS (rigs); i++)
    tasks[i] = wb_rig_fill_task (rigs[i], 0, WB_MIB (5), 30000, i);
  for (i = 0; i < G_N_ELEMENTS (rigs); i++)
    fail_unless_equals_int (wb_task_flow (tasks[i], "push"), GST_FLOW_OK);
  for (i = 0; i < G_N_ELEMENTS (rigs); i++)
    tasks[i] = wb_rig_eos_task (rigs[i]);
  for (i = 0; i < G_N_ELEMENTS (rigs); i++) {
    fail_unless (wb_task_bool (tasks[i], "EOS"));
    wb_rig_assert_quiet (rigs[i]);
    wanted = wb_pattern (0, WB_MIB (5), i);
    wb_assert_file (paths[i], wanted, WB_MIB (5));
    g_free (wanted);
    wb_rig_free (rigs[i]);
    g_free (paths[i]);
  }
  assert_counts (fds, threads);
}
GST_END_TEST;

static Suite *
restart_suite (void)
{
  Suite *suite = suite_create ("restart");
  TCase *tcase = wb_tcase (suite, "general");

  tcase_add_loop_test (tcase, test_from_null, 0, 2);
  tcase_add_test (tcase, test_from_ready);
  tcase_add_test (tcase, test_without_data);
  tcase_add_test (tcase, test_failed_starts);
  tcase_add_test (tcase, test_never_started);
  tcase_add_test (tcase, test_side_by_side);

  return suite;
}

WB_TEST_MAIN (restart)
