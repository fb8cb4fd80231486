/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * sync-timeout: how long the element waits for a target that makes no
 * progress, in EOS, in a barrier, in open, in stop, and what becomes of it: a
 * warning or an error, as on-sync-timeout says. A target that is slow and
 * moves is never given up. What was given up does nothing any more.
 */

#include "../common/wbtest.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE WB_MIB (6)
#define SHORT "sync-timeout=1000000000"

static WbRig *
stuck_rig (WbFifo *fifo, const gchar *properties)
{
  WbRig *rig = wb_rig_new (fifo->path, properties);

  wb_rig_play (rig, GST_FORMAT_TIME);
  /* More than the pipe and a batch hold */
  wb_rig_fill (rig, 0, SIZE, 1);

  return rig;
}

static void
assert_timeout (GstMessage *message, const gchar *path)
{
  GError *error = NULL;

  fail_unless (message != NULL);
  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_WARNING)
    gst_message_parse_warning (message, &error, NULL);
  else
    gst_message_parse_error (message, &error, NULL);
  fail_unless (
      g_error_matches (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SYNC),
      "%s", error->message);
  fail_unless (strstr (error->message, path) != NULL, "%s", error->message);
  g_error_free (error);
}

/* A pipe is no storage: nobody else has the bytes. EOS says that it waits, and
 * waits on; what was said is no loss. */
GST_START_TEST (test_eos_warns_and_waits_on)
{
  g_autoptr (WbFifo) fifo = wb_fifo_new ();
  g_autoptr (WbRig) rig = stuck_rig (fifo, SHORT);
  guint8 *wanted = wb_pattern (0, SIZE, 1);
  WbTask *task = wb_rig_eos_task (rig);

  assert_timeout (wb_rig_await (rig, GST_MESSAGE_WARNING), fifo->path);
  fail_if (wb_task_ends_within (task, 0.5), "nobody has read, and it ends");
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 0);
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_ERROR), 0);

  wb_fifo_read (fifo, 65536, 0);
  fail_unless (wb_task_bool (task, "EOS"));
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 1);
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_ERROR), 0);
  wb_rig_state (rig, GST_STATE_NULL);
  wb_fifo_finish (fifo);
  wb_assert_bytes (fifo->bytes->data, fifo->bytes->len, wanted, SIZE);
  g_free (wanted);
}
GST_END_TEST;

/* One ERROR; its code is that of what was lost or of the time. */
static void
assert_failed (WbRig *rig, const gchar *path)
{
  GError *error = NULL;

  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 0);
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_WARNING), 0);
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_ERROR), 1);
  gst_message_parse_error (
      wb_rig_nth (rig, GST_MESSAGE_ERROR, 0), &error, NULL);
  fail_unless (
      g_error_matches (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SYNC)
          || g_error_matches (
              error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_WRITE),
      "%s", error->message);
  fail_unless (strstr (error->message, path) != NULL, "%s", error->message);
  g_error_free (error);
}

GST_START_TEST (test_eos_fails)
{
  g_autoptr (WbFifo) fifo = wb_fifo_new ();
  g_autoptr (WbRig) rig = stuck_rig (fifo, SHORT " on-sync-timeout=error");

  fail_if (wb_rig_eos (rig));
  assert_failed (rig, fifo->path);
  fail_unless_equals_int (wb_rig_count_syncs (rig), 1);

  wb_rig_state (rig, GST_STATE_NULL);
  assert_failed (rig, fifo->path);
}
GST_END_TEST;

/* Nothing has moved since EOS gave up, so stop does not wait again: with a
 * timeout this long it would be seen. */
GST_START_TEST (test_stop_does_not_wait_again)
{
  g_autoptr (WbFifo) fifo = wb_fifo_new ();
  g_autoptr (WbRig) rig =
      stuck_rig (fifo, "sync-timeout=8000000000 on-sync-timeout=error");
  WbTask *task;

  fail_if (wb_rig_eos (rig));
  task = wb_rig_state_task (rig, GST_STATE_NULL);
  fail_unless (wb_task_ends_within (task, 6.0), "stop waits again");
  wb_task_finish (task, "stop");
  fail_unless_equals_int (wb_rig_count_syncs (rig), 1);
}
GST_END_TEST;

/* In a barrier: it cannot be kept, and the sender is told, or the user. */
GST_START_TEST (test_barrier)
{
  gboolean fails = __i__ == 1;
  g_autoptr (WbFifo) fifo = wb_fifo_new ();
  g_autoptr (WbRig) rig =
      stuck_rig (fifo, fails ? SHORT " on-sync-timeout=error" : SHORT);
  GstBuffer *buffer = gst_buffer_new ();
  GstFlowReturn flow;

  GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_SYNC_AFTER);
  flow = wb_task_flow (wb_rig_push_task (rig, buffer), "the barrier");
  if (fails) {
    fail_unless_equals_int (flow, GST_FLOW_ERROR);
    wb_rig_assert_error (rig, GST_RESOURCE_ERROR_SYNC);
  } else {
    fail_unless_equals_int (flow, GST_FLOW_OK);
    fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_ERROR), 0);
    assert_timeout (wb_rig_nth (rig, GST_MESSAGE_WARNING, 0), fifo->path);
  }
}
GST_END_TEST;

/* A push warns after each sync-timeout, and waits on: the target may come
 * back, and then nothing is lost. */
GST_START_TEST (test_push_warns_and_waits_on)
{
  g_autoptr (WbFifo) fifo = wb_fifo_new ();
  g_autoptr (WbRig) rig =
      wb_rig_new (fifo->path, SHORT " max-queued-bytes=200000");
  guint8 *wanted = wb_pattern (0, SIZE, 1);
  WbTask *task;
  guint i;

  wb_rig_play (rig, GST_FORMAT_TIME);
  task = wb_rig_fill_task (rig, 0, SIZE, 30000, 1);
  for (i = 0; wb_rig_count (rig, GST_MESSAGE_WARNING) < 2 && i < 300; i++)
    fail_if (wb_task_ends_within (task, 0.1));
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_WARNING), 2);
  assert_timeout (wb_rig_nth (rig, GST_MESSAGE_WARNING, 0), fifo->path);
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_ERROR), 0);

  wb_fifo_read (fifo, 65536, 0);
  fail_unless_equals_int (wb_task_flow (task, "push"), GST_FLOW_OK);
  fail_unless (wb_rig_eos (rig));
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 1);
  wb_rig_state (rig, GST_STATE_NULL);
  wb_fifo_finish (fifo);
  wb_assert_bytes (fifo->bytes->data, fifo->bytes->len, wanted, SIZE);
  g_free (wanted);
}
GST_END_TEST;

GST_START_TEST (test_push_fails)
{
  g_autoptr (WbFifo) fifo = wb_fifo_new ();
  g_autoptr (WbRig) rig = wb_rig_new (
      fifo->path, SHORT " max-queued-bytes=200000 on-sync-timeout=error");
  WbTask *task;

  wb_rig_play (rig, GST_FORMAT_TIME);
  task = wb_rig_fill_task (rig, 0, SIZE, 30000, 1);
  fail_unless_equals_int (wb_task_flow (task, "push"), GST_FLOW_ERROR);
  wb_rig_assert_error (rig, GST_RESOURCE_ERROR_SYNC);
  fail_if (wb_rig_eos (rig));
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 0);
  wb_rig_assert_error (rig, GST_RESOURCE_ERROR_SYNC);
}
GST_END_TEST;

/* It takes three times the timeout and more, but it moves: nothing to say,
 * neither at EOS, nor in a barrier, nor when stop has to wait for it. */
typedef enum
{
  SLOW_EOS,
  SLOW_BARRIER,
  SLOW_STOP,
  N_SLOW
} SlowWay;

GST_START_TEST (test_slow_is_not_stuck)
{
  g_autoptr (WbFifo) fifo = wb_fifo_new ();
  g_autoptr (WbRig) rig = wb_rig_new (fifo->path, SHORT);
  guint8 *wanted = wb_pattern (0, WB_MIB (1), 1);

  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_fill (rig, 0, WB_MIB (1), 1);
  /* 256 steps of 15 ms */
  wb_fifo_read (fifo, 4096, 15000);
  if (__i__ == SLOW_EOS) {
    fail_unless (wb_rig_eos (rig));
    fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 1);
  } else if (__i__ == SLOW_BARRIER) {
    GstBuffer *buffer = gst_buffer_new ();

    GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_SYNC_AFTER);
    fail_unless_equals_int (
        wb_task_flow (wb_rig_push_task (rig, buffer), "the barrier"),
        GST_FLOW_OK);
  }
  wb_rig_state (rig, GST_STATE_NULL);
  wb_rig_assert_quiet (rig);
  assert_equals_string (wb_rig_nth_result (rig, 0), "skipped");
  wb_fifo_finish (fifo);
  wb_assert_bytes (fifo->bytes->data, fifo->bytes->len, wanted, WB_MIB (1));
  g_free (wanted);
}
GST_END_TEST;

/* open() of a FIFO waits for a reader: there is none. */
GST_START_TEST (test_open)
{
  gchar *path = wb_path ("fifo");
  g_autoptr (WbRig) rig = wb_rig_new (path, SHORT);
  GError *error = NULL;
  int fd;

  fail_unless (mkfifo (path, 0600) == 0);
  fail_unless_equals_int (
      wb_rig_state (rig, GST_STATE_READY), GST_STATE_CHANGE_FAILURE);
  gst_message_parse_error (
      wb_rig_nth (rig, GST_MESSAGE_ERROR, 0), &error, NULL);
  fail_unless (error->domain == GST_RESOURCE_ERROR, "%s", error->message);
  fail_unless (strstr (error->message, path) != NULL, "%s", error->message);
  g_error_free (error);

  /* What still hangs in open comes back now, and leaves the file alone. */
  fd = open (path, O_RDONLY | O_NONBLOCK);
  fail_unless (fd >= 0);
  close (fd);
  g_free (path);
}
GST_END_TEST;

/* What was given up is given up: nothing of it is written when the reader is
 * back, beyond what the system had taken already, and the descriptor is
 * closed, so that the reader comes to an end. Then one can start again. */
GST_START_TEST (test_left_behind)
{
  g_autoptr (WbFifo) fifo = wb_fifo_new ();
  g_autoptr (WbRig) rig = stuck_rig (fifo, SHORT);
  guint8 *wanted;
  gsize left;
  guint i;

  wb_rig_state (rig, GST_STATE_NULL);
  assert_equals_string (wb_rig_nth_result (rig, 0), "timeout");
  wb_fifo_read (fifo, 65536, 0);
  wb_fifo_finish (fifo);
  left = fifo->bytes->len;
  fail_unless (left <= WB_KIB (64) + WB_MIB (1), "%" G_GSIZE_FORMAT, left);
  wanted = wb_pattern (0, left, 1);
  wb_assert_bytes (fifo->bytes->data, left, wanted, left);
  g_free (wanted);

  /* A thread that is not yet back makes it busy. */
  for (i = 0; wb_rig_state (rig, GST_STATE_READY) == GST_STATE_CHANGE_FAILURE;
       i++) {
    fail_unless (i < 100, "still busy");
    g_usleep (50000);
  }
  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_fill (rig, 0, 1000, 2);
  wb_fifo_read (fifo, 65536, 0);
  fail_unless (wb_rig_eos (rig));
  wb_rig_state (rig, GST_STATE_NULL);
  wb_fifo_finish (fifo);
  wanted = wb_pattern (0, 1000, 2);
  wb_assert_bytes (
      fifo->bytes->data + left, fifo->bytes->len - left, wanted, 1000);
  g_free (wanted);
}
GST_END_TEST;

/* Another file is no matter of it. */
GST_START_TEST (test_left_behind_and_another_file)
{
  g_autoptr (WbFifo) fifo = wb_fifo_new ();
  g_autoptr (WbRig) rig = stuck_rig (fifo, SHORT);
  gchar *path = wb_path ("file");

  wb_rig_state (rig, GST_STATE_NULL);
  g_object_set (rig->sink, "location", path, NULL);
  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_fill (rig, 0, 1000, 1);
  fail_unless (wb_rig_eos (rig));
  assert_equals_string (wb_rig_nth_result (rig, 1), "durable");
  wb_rig_state (rig, GST_STATE_NULL);
  fail_unless_equals_int64 (wb_file_size (path), 1000);
  g_free (path);
}
GST_END_TEST;

static Suite *
timeout_suite (void)
{
  Suite *suite = suite_create ("timeout");
  TCase *tcase;

  /* filesink waits for ever. */
  if (wb_sink_is_filesink ())
    return suite;

  tcase = wb_tcase (suite, "general");
  tcase_add_test (tcase, test_eos_warns_and_waits_on);
  tcase_add_test (tcase, test_eos_fails);
  tcase_add_test (tcase, test_stop_does_not_wait_again);
  tcase_add_loop_test (tcase, test_barrier, 0, 2);
  tcase_add_test (tcase, test_push_warns_and_waits_on);
  tcase_add_test (tcase, test_push_fails);
  tcase_add_loop_test (tcase, test_slow_is_not_stuck, 0, N_SLOW);
  tcase_add_test (tcase, test_open);
  tcase_add_test (tcase, test_left_behind);
  tcase_add_test (tcase, test_left_behind_and_another_file);

  return suite;
}

WB_TEST_MAIN (timeout)
