/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Targets that are not files: a FIFO with a reader that is slow, or that
 * goes away; a pipe by its number, as /dev/stdout is one; /dev/null; and
 * /dev/full, which takes nothing and must not end well.
 */

#include "../common/wbtest.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static void
assert_all_through (WbFifo *fifo, gsize size)
{
  guint8 *wanted = wb_pattern (0, size, 1);

  wb_fifo_finish (fifo);
  wb_assert_bytes (fifo->bytes->data, fifo->bytes->len, wanted, size);
  g_free (wanted);
}

/* Far more than the pipe holds, and more than the queue may */
GST_START_TEST (test_slow_reader)
{
  const gsize size = WB_MIB (4);
  g_autoptr (WbFifo) fifo = wb_fifo_new ();
  g_autoptr (WbRig) rig = wb_rig_new (fifo->path, "max-queued-bytes=1048576");
  WbTask *task;

  wb_rig_play (rig, GST_FORMAT_TIME);
  task = wb_rig_fill_task (rig, 0, size, 50000, 1);
  wb_fifo_read (fifo, 16384, 2000);
  fail_unless_equals_int (wb_task_flow (task, "push"), GST_FLOW_OK);
  fail_unless (wb_rig_eos (rig));
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 1);
  wb_rig_assert_quiet (rig);
  if (!wb_sink_is_filesink ()) {
    fail_unless_equals_int (wb_rig_count_syncs (rig), 1);
    assert_equals_string (wb_rig_nth_result (rig, 0), "skipped");
  }
  wb_rig_state (rig, GST_STATE_NULL);
  assert_all_through (fifo, size);
}
GST_END_TEST;

/* Without EOS: stop gives the queue to a reader that still takes it. */
GST_START_TEST (test_slow_reader_and_stop)
{
  const gsize size = WB_MIB (2);
  g_autoptr (WbFifo) fifo = wb_fifo_new ();
  g_autoptr (WbRig) rig = wb_rig_new (fifo->path, NULL);
  WbTask *task;

  wb_rig_play (rig, GST_FORMAT_TIME);
  task = wb_rig_fill_task (rig, 0, size, 50000, 1);
  wb_fifo_read (fifo, 16384, 2000);
  fail_unless_equals_int (wb_task_flow (task, "push"), GST_FLOW_OK);
  wb_rig_state (rig, GST_STATE_NULL);
  wb_rig_assert_quiet (rig);
  assert_all_through (fifo, size);
}
GST_END_TEST;

/* One byte at a time, as odd writers do */
GST_START_TEST (test_small_buffers)
{
  const gsize size = 100000;
  g_autoptr (WbFifo) fifo = wb_fifo_new ();
  g_autoptr (WbRig) rig =
      wb_rig_new (fifo->path, __i__ == 0 ? NULL : "buffer-mode=unbuffered");
  WbTask *task;

  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_fifo_read (fifo, 777, 0);
  task = wb_rig_fill_task (rig, 0, size, 7, 1);
  fail_unless_equals_int (wb_task_flow (task, "push"), GST_FLOW_OK);
  fail_unless (wb_rig_eos (rig));
  wb_rig_assert_quiet (rig);
  wb_rig_state (rig, GST_STATE_NULL);
  assert_all_through (fifo, size);
}
GST_END_TEST;

/* What a shell gives as /dev/stdout: a name for a pipe that is open */
GST_START_TEST (test_pipe_by_number)
{
  const gsize size = WB_MIB (1) + 77;
  g_autoptr (WbFifo) fifo = g_new0 (WbFifo, 1);
  WbRig *rig;
  int fds[2];

  fail_unless (pipe (fds) == 0);
  fifo->path = g_strdup_printf ("/dev/fd/%d", fds[1]);
  fifo->fd = fds[0];
  fifo->bytes = g_byte_array_new ();
  if (access (fifo->path, W_OK) != 0) {
    wb_skip ("no /dev/fd");
    close (fds[1]);
    return;
  }

  rig = wb_rig_new (fifo->path, NULL);
  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_fifo_read (fifo, 65536, 0);
  wb_rig_fill (rig, 0, size, 1);
  fail_unless (wb_rig_eos (rig));
  wb_rig_assert_quiet (rig);
  wb_rig_free (rig);
  close (fds[1]);
  assert_all_through (fifo, size);
}
GST_END_TEST;

/* An error and not the signal, which would end the program: the tests run
 * with what a program has that never heard of it. */
GST_START_TEST (test_reader_goes_away)
{
  g_autoptr (WbFifo) fifo = wb_fifo_new ();
  g_autoptr (WbRig) rig = NULL;
  GstFlowReturn flow = GST_FLOW_OK;
  GError *error = NULL;
  gchar *debug;
  WbTask *task;
  guint i;

  WB_OWN_TEST ();

  signal (SIGPIPE, SIG_DFL);
  rig = wb_rig_new (fifo->path, "max-queued-bytes=1048576");
  wb_rig_play (rig, GST_FORMAT_TIME);
  if (__i__ == 0) {
    /* Before the first byte */
    wb_fifo_hang_up (fifo);
    task = wb_rig_fill_task (rig, 0, WB_MIB (20), 50000, 1);
  } else {
    /* While a write waits for it, and a push for that */
    task = wb_rig_fill_task (rig, 0, WB_MIB (20), 50000, 1);
    fail_if (wb_task_ends_within (task, 0.5));
    wb_fifo_hang_up (fifo);
  }
  fail_unless_equals_int (wb_task_flow (task, "push"), GST_FLOW_ERROR);

  for (i = 0; i < 3; i++)
    flow = gst_pad_push (rig->src, wb_buffer (0, 1000, 1));
  fail_unless_equals_int (flow, GST_FLOW_ERROR);
  fail_if (wb_rig_eos (rig));
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 0);
  wb_rig_state (rig, GST_STATE_NULL);

  /* One, that says which file, where, and what the system said */
  wb_rig_assert_error (rig, GST_RESOURCE_ERROR_WRITE);
  gst_message_parse_error (
      wb_rig_nth (rig, GST_MESSAGE_ERROR, 0), &error, &debug);
  fail_unless (
      strstr (error->message, fifo->path) != NULL, "%s", error->message);
  fail_unless (strstr (error->message, g_strerror (EPIPE)) != NULL
          || strstr (debug, g_strerror (EPIPE)) != NULL,
      "%s (%s)", error->message, debug);
  g_error_free (error);
  g_free (debug);
}
GST_END_TEST;

/* Only EOS brings it to light: nothing was left to push. */
GST_START_TEST (test_reader_goes_away_before_eos)
{
  g_autoptr (WbFifo) fifo = NULL;
  g_autoptr (WbRig) rig = NULL;

  WB_OWN_TEST ();

  signal (SIGPIPE, SIG_DFL);
  fifo = wb_fifo_new ();
  rig = wb_rig_new (fifo->path, NULL);
  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_fill (rig, 0, 300000, 1);
  wb_fifo_hang_up (fifo);
  fail_if (wb_rig_eos (rig));
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 0);
  wb_rig_assert_error (rig, GST_RESOURCE_ERROR_WRITE);
  fail_unless_equals_int (wb_rig_count_syncs (rig), 1);
  assert_equals_string (wb_rig_nth_result (rig, 0), "failed");
  wb_rig_state (rig, GST_STATE_NULL);
  wb_rig_assert_error (rig, GST_RESOURCE_ERROR_WRITE);
}
GST_END_TEST;

/* The latch is for one file: the next start is clean, and an error of its own
 * is told again. */
GST_START_TEST (test_start_after_error)
{
  g_autoptr (WbFifo) fifo = NULL;
  g_autoptr (WbRig) rig = NULL;
  gchar *path = wb_path ("file"), *text;
  guint8 *wanted = wb_pattern (0, 3000, 1);

  WB_OWN_TEST ();
  if (access ("/dev/full", W_OK) != 0) {
    wb_skip ("no /dev/full");
    return;
  }

  signal (SIGPIPE, SIG_DFL);
  fifo = wb_fifo_new ();
  rig = wb_rig_new (fifo->path, NULL);
  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_fifo_hang_up (fifo);
  wb_rig_fill (rig, 0, 1000, 1);
  fail_if (wb_rig_eos (rig));
  wb_rig_state (rig, GST_STATE_NULL);
  text = wb_stat_string (rig->sink, "error");
  fail_unless (text != NULL && text[0] != '\0');
  g_free (text);

  g_object_set (rig->sink, "location", path, NULL);
  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_write (rig, wanted, 3000);
  fail_unless (wb_rig_eos (rig));
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 1);
  wb_rig_assert_error (rig, GST_RESOURCE_ERROR_WRITE);
  text = wb_stat_string (rig->sink, "error");
  fail_unless (text == NULL || text[0] == '\0', "%s", text);
  g_free (text);
  wb_assert_file (path, wanted, 3000);

  wb_rig_state (rig, GST_STATE_NULL);
  g_object_set (rig->sink, "location", "/dev/full", NULL);
  g_ptr_array_set_size (rig->seen, 0);
  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_fill (rig, 0, 1000, 1);
  fail_if (wb_rig_eos (rig));
  wb_rig_assert_error (rig, GST_RESOURCE_ERROR_NO_SPACE_LEFT);
  g_free (wanted);
  g_free (path);
}
GST_END_TEST;

GST_START_TEST (test_dev_null)
{
  g_autoptr (WbRig) rig = wb_rig_new ("/dev/null", NULL);

  wb_rig_play (rig, GST_FORMAT_BYTES);
  wb_rig_fill (rig, 0, WB_MIB (5), 1);
  fail_unless (wb_rig_seek (rig, 50));
  wb_rig_fill (rig, 50, 8, 1);
  fail_unless (wb_rig_eos (rig));
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 1);
  wb_rig_state (rig, GST_STATE_NULL);
  wb_rig_assert_quiet (rig);
  if (!wb_sink_is_filesink ()) {
    fail_unless_equals_int (wb_rig_count_syncs (rig), 1);
    assert_equals_string (wb_rig_nth_result (rig, 0), "skipped");
  }
}
GST_END_TEST;

GST_START_TEST (test_dev_full)
{
  g_autoptr (WbRig) rig = NULL;
  gboolean more = __i__ == 1;

  if (access ("/dev/full", W_OK) != 0) {
    wb_skip ("no /dev/full");
    return;
  }
  rig = wb_rig_new ("/dev/full", NULL);
  wb_rig_play (rig, GST_FORMAT_TIME);
  if (more) {
    WbTask *task = wb_rig_fill_task (rig, 0, WB_MIB (100), 100000, 1);

    fail_unless_equals_int (wb_task_flow (task, "push"), GST_FLOW_ERROR);
  } else {
    wb_rig_fill (rig, 0, 1000, 1);
  }
  wb_rig_eos (rig);
  wb_rig_state (rig, GST_STATE_NULL);
  if (!wb_sink_is_filesink ()) {
    fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 0);
    wb_rig_assert_error (rig, GST_RESOURCE_ERROR_NO_SPACE_LEFT);
    fail_unless_equals_int (wb_rig_count_syncs (rig), 1);
    assert_equals_string (wb_rig_nth_result (rig, 0), "failed");
  } else {
    /* filesink adds a second one, and ends well all the same when a push
     * has failed before. */
    fail_unless (wb_rig_count (rig, GST_MESSAGE_ERROR) >= 1);
  }
}
GST_END_TEST;

static Suite *
nonseekable_suite (void)
{
  Suite *suite = suite_create ("nonseekable");
  TCase *tcase = wb_tcase (suite, "general");

  tcase_add_test (tcase, test_slow_reader);
  tcase_add_test (tcase, test_slow_reader_and_stop);
  tcase_add_loop_test (tcase, test_small_buffers, 0, 2);
  tcase_add_test (tcase, test_pipe_by_number);
  tcase_add_loop_test (tcase, test_reader_goes_away, 0, 2);
  tcase_add_test (tcase, test_reader_goes_away_before_eos);
  tcase_add_test (tcase, test_start_after_error);
  tcase_add_test (tcase, test_dev_null);
  tcase_add_loop_test (tcase, test_dev_full, 0, 2);

  return suite;
}

WB_TEST_MAIN (nonseekable)
