/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the element answers: where it is, right after every buffer and every
 * seek and not only when they have been written; in which formats; whether
 * one can seek in the target, which decides how muxers write; and the URI.
 */

#include "../common/wbtest.h"

#include <string.h>

static gint64
position_in (WbRig *rig, GstFormat format)
{
  gint64 position = -1;

  fail_unless (gst_pad_peer_query_position (rig->src, format, &position), "%s",
      gst_format_get_name (format));

  return position;
}

/* filesink answers DEFAULT in BYTES, which is a critical warning. */
static void
assert_position (WbRig *rig, gint64 wanted)
{
  fail_unless_equals_int64 (position_in (rig, GST_FORMAT_BYTES), wanted);
  if (!wb_sink_is_filesink ())
    fail_unless_equals_int64 (position_in (rig, GST_FORMAT_DEFAULT), wanted);
}

GST_START_TEST (test_position)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);
  GstBufferList *list;
  gint64 position;

  wb_rig_play (rig, GST_FORMAT_BYTES);
  assert_position (rig, 0);
  wb_rig_fill (rig, 0, 1000, 1);
  assert_position (rig, 1000);
  list = gst_buffer_list_new ();
  gst_buffer_list_add (list, wb_buffer (0, 200, 1));
  gst_buffer_list_add (list, gst_buffer_new ());
  gst_buffer_list_add (list, wb_buffer (0, 300, 1));
  fail_unless_equals_int (gst_pad_push_list (rig->src, list), GST_FLOW_OK);
  assert_position (rig, 1500);
  fail_unless (wb_rig_seek (rig, 40));
  assert_position (rig, 40);
  wb_rig_fill (rig, 0, 8, 1);
  assert_position (rig, 48);
  fail_unless (wb_rig_seek (rig, WB_MIB (100)));
  assert_position (rig, WB_MIB (100));
  fail_unless (wb_rig_seek (rig, 1500));
  assert_position (rig, 1500);
  fail_unless (wb_rig_segment (rig, GST_FORMAT_TIME, 0));
  assert_position (rig, 1500);
  fail_unless (wb_rig_eos (rig));
  assert_position (rig, 1500);
  wb_rig_flush (rig);
  assert_position (rig, 0);

  fail_if (gst_pad_peer_query_position (rig->src, GST_FORMAT_TIME, &position));
  fail_if (
      gst_pad_peer_query_position (rig->src, GST_FORMAT_PERCENT, &position));
  g_free (path);
}
GST_END_TEST;

/* What waits in the queue counts: the target takes nothing here. */
GST_START_TEST (test_position_counts_the_queue)
{
  g_autoptr (WbFifo) fifo = NULL;
  g_autoptr (WbRig) rig = NULL;
  guint i;

  WB_OWN_TEST ();

  fifo = wb_fifo_new ();
  rig = wb_rig_new (fifo->path, NULL);
  wb_rig_play (rig, GST_FORMAT_BYTES);
  for (i = 0; i < 50; i++) {
    wb_rig_fill (rig, i * 30000, 30000, 1);
    assert_position (rig, (i + 1) * 30000);
  }
  wb_fifo_read (fifo, 65536, 0);
  wb_rig_state (rig, GST_STATE_NULL);
}
GST_END_TEST;

/* Asked by the application while the streaming thread is held: it does not
 * wait for it. */
GST_START_TEST (test_asked_during_a_push)
{
  g_autoptr (WbFifo) fifo = NULL;
  g_autoptr (WbRig) rig = NULL;
  WbTask *task;
  guint i;

  WB_OWN_TEST ();

  fifo = wb_fifo_new ();
  rig = wb_rig_new (fifo->path, "max-queued-bytes=100000");
  wb_rig_play (rig, GST_FORMAT_BYTES);
  task = wb_rig_fill_task (rig, 0, WB_MIB (3), 50000, 1);
  fail_if (wb_task_ends_within (task, 0.5));
  for (i = 0; i < 100; i++) {
    gint64 position = position_in (rig, GST_FORMAT_BYTES);

    fail_unless (position > 0 && position < (gint64) WB_MIB (3));
    wb_stat (rig->sink, "queued-bytes");
  }
  wb_fifo_read (fifo, 65536, 0);
  fail_unless_equals_int (wb_task_flow (task, "push"), GST_FLOW_OK);
  wb_rig_state (rig, GST_STATE_NULL);
}
GST_END_TEST;

GST_START_TEST (test_formats)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);
  GstQuery *query = gst_query_new_formats ();
  gboolean bytes = FALSE, other = FALSE;
  guint i, n;

  wb_rig_state (rig, GST_STATE_READY);
  fail_unless (gst_pad_peer_query (rig->src, query));
  gst_query_parse_n_formats (query, &n);
  for (i = 0; i < n; i++) {
    GstFormat format;

    gst_query_parse_nth_format (query, i, &format);
    bytes |= format == GST_FORMAT_BYTES;
    other |= format == GST_FORMAT_DEFAULT;
  }
  fail_unless (n == 2 && bytes && other);
  gst_query_unref (query);
  g_free (path);
}
GST_END_TEST;

static void
assert_seeking (WbRig *rig, GstFormat asked, GstFormat wanted, gboolean may)
{
  GstQuery *query = gst_query_new_seeking (asked);
  GstFormat format;
  gboolean seekable;
  gint64 start, end;

  fail_unless (gst_pad_peer_query (rig->src, query));
  gst_query_parse_seeking (query, &format, &seekable, &start, &end);
  fail_unless_equals_int (format, wanted);
  fail_unless_equals_int (seekable, may);
  fail_unless_equals_int64 (start, 0);
  fail_unless_equals_int64 (end, -1);
  gst_query_unref (query);
}

/* As matroskamux asks: known when the element has started, before any data */
GST_START_TEST (test_seeking)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);
  guint i;

  wb_rig_state (rig, GST_STATE_READY);
  for (i = 0; i < 2; i++) {
    assert_seeking (rig, GST_FORMAT_BYTES, GST_FORMAT_BYTES, TRUE);
    assert_seeking (rig, GST_FORMAT_DEFAULT, GST_FORMAT_BYTES, TRUE);
    assert_seeking (rig, GST_FORMAT_TIME, GST_FORMAT_TIME, FALSE);
    wb_rig_play (rig, GST_FORMAT_BYTES);
  }
  g_free (path);
}
GST_END_TEST;

GST_START_TEST (test_seeking_on_a_fifo)
{
  g_autoptr (WbFifo) fifo = wb_fifo_new ();
  g_autoptr (WbRig) rig = wb_rig_new (fifo->path, NULL);

  wb_rig_state (rig, GST_STATE_READY);
  assert_seeking (rig, GST_FORMAT_BYTES, GST_FORMAT_BYTES, FALSE);
  assert_seeking (rig, GST_FORMAT_DEFAULT, GST_FORMAT_BYTES, FALSE);
  assert_seeking (rig, GST_FORMAT_TIME, GST_FORMAT_TIME, FALSE);
}
GST_END_TEST;

/* A second start knows what the second target is. */
GST_START_TEST (test_seeking_after_restart)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbFifo) fifo = wb_fifo_new ();
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);

  wb_rig_state (rig, GST_STATE_READY);
  assert_seeking (rig, GST_FORMAT_BYTES, GST_FORMAT_BYTES, TRUE);
  wb_rig_state (rig, GST_STATE_NULL);
  g_object_set (rig->sink, "location", fifo->path, NULL);
  wb_rig_state (rig, GST_STATE_READY);
  assert_seeking (rig, GST_FORMAT_BYTES, GST_FORMAT_BYTES, FALSE);
  wb_rig_state (rig, GST_STATE_NULL);
  g_object_set (rig->sink, "location", path, NULL);
  wb_rig_state (rig, GST_STATE_READY);
  assert_seeking (rig, GST_FORMAT_BYTES, GST_FORMAT_BYTES, TRUE);
  g_free (path);
}
GST_END_TEST;

GST_START_TEST (test_uri)
{
  gchar *path = wb_path ("a file \xff");
  gchar *wanted = g_filename_to_uri (path, NULL, NULL), *uri;
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);
  guint i;

  for (i = 0; i < 2; i++) {
    GstQuery *query = gst_query_new_uri ();

    fail_unless (gst_pad_peer_query (rig->src, query));
    gst_query_parse_uri (query, &uri);
    assert_equals_string (uri, wanted);
    gst_query_unref (query);
    g_free (uri);
    wb_rig_state (rig, GST_STATE_READY);
  }
  g_free (wanted);
  g_free (path);
}
GST_END_TEST;

static Suite *
queries_suite (void)
{
  Suite *suite = suite_create ("queries");
  TCase *tcase = wb_tcase (suite, "general");

  tcase_add_test (tcase, test_position);
  tcase_add_test (tcase, test_position_counts_the_queue);
  tcase_add_test (tcase, test_asked_during_a_push);
  tcase_add_test (tcase, test_formats);
  tcase_add_test (tcase, test_seeking);
  tcase_add_test (tcase, test_seeking_on_a_fifo);
  tcase_add_test (tcase, test_seeking_after_restart);
  tcase_add_test (tcase, test_uri);

  return suite;
}

WB_TEST_MAIN (queries)
