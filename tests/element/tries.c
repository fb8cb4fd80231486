/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Every try that fails says so: GST_FLOW_ERROR never comes without an ERROR, also
 * not the second time, after READY or after a flush.
 */

#include "../common/wbtest.h"

#define SIZE WB_KIB (256)
#define TRIES 3

static gboolean
is_here (void)
{
  if (g_file_test ("/dev/full", G_FILE_TEST_EXISTS))
    return TRUE;
  wb_skip ("there is no /dev/full");
  return FALSE;
}

/* A push or the EOS after it fails; one ERROR comes of it. */
static void
try_to_write (WbRig *rig, guint number)
{
  GstFlowReturn flow =
      wb_task_flow (wb_rig_fill_task (rig, 0, SIZE, WB_KIB (64), 1), "pushing");
  gboolean ended = flow == GST_FLOW_OK && wb_rig_eos (rig);
  guint errors = wb_rig_count (rig, GST_MESSAGE_ERROR);

  fail_if (ended && wb_rig_count (rig, GST_MESSAGE_EOS) > 0, "EOS");
  fail_unless (errors == number, "%u errors after %u tries (the flow was %s)",
      errors, number, gst_flow_get_name (flow));
}

/* From READY the same file goes on, from NULL it is opened again. */
GST_START_TEST (test_after_state)
{
  static const GstState states[] = { GST_STATE_READY, GST_STATE_NULL };
  g_autoptr (WbRig) rig = NULL;
  guint i;

  if (!is_here ())
    return;
  rig = wb_rig_new ("/dev/full", NULL);
  for (i = 1; i <= TRIES; i++) {
    wb_rig_play (rig, GST_FORMAT_BYTES);
    try_to_write (rig, i);
    wb_rig_state (rig, states[__i__]);
  }
}
GST_END_TEST;

GST_START_TEST (test_after_flush)
{
  g_autoptr (WbRig) rig = NULL;
  guint i;

  if (!is_here ())
    return;
  rig = wb_rig_new ("/dev/full", NULL);
  wb_rig_play (rig, GST_FORMAT_BYTES);
  for (i = 1; i <= TRIES; i++) {
    try_to_write (rig, i);
    wb_rig_flush (rig);
    wb_rig_seek (rig, 0);
  }
}
GST_END_TEST;

/* One try is one ERROR, however much is pushed. */
GST_START_TEST (test_one_a_try)
{
  g_autoptr (WbRig) rig = NULL;
  guint i;

  if (!is_here ())
    return;
  rig = wb_rig_new ("/dev/full", NULL);
  wb_rig_play (rig, GST_FORMAT_BYTES);
  try_to_write (rig, 1);
  for (i = 0; i < TRIES && !wb_sink_is_filesink (); i++)
    try_to_write (rig, 1);
}
GST_END_TEST;

static Suite *
tries_suite (void)
{
  Suite *suite = suite_create ("tries");
  TCase *tc = wb_tcase (suite, "general");

  tcase_add_loop_test (tc, test_after_state, 0, 2);
  tcase_add_test (tc, test_after_flush);
  tcase_add_test (tc, test_one_a_try);
  return suite;
}

WB_TEST_MAIN (tries)
