/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A buffer with SYNC_AFTER is a promise to its sender: when the push returns,
 * it and all before it are in the file, and synced, whatever the properties
 * say. The robust modes of qtmux stand on that.
 */

#include "../common/wbtest.h"

#include <string.h>

static const gchar *properties[] = { NULL, "sync-on-eos=none",
  "sync-on-eos=data", "writeback=none", "writeback=keep",
  "buffer-mode=unbuffered", "buffer-mode=full", "buffer-size=100000000",
  "max-dirty-bytes=0", WB_TINY_WINDOW };

static GstBuffer *
flagged (GstBuffer *buffer)
{
  GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_SYNC_AFTER);

  return buffer;
}

static void
push (WbRig *rig, GstBuffer *buffer)
{
  fail_unless_equals_int (
      wb_task_flow (wb_rig_push_task (rig, buffer), "push"), GST_FLOW_OK);
}

/* In the file, and for the figures too */
static void
assert_synced (WbRig *rig, const gchar *path, GByteArray *model)
{
  wb_assert_file (path, model->data, model->len);
  if (wb_sink_is_filesink ())
    return;
  fail_unless_equals_uint64 (wb_stat (rig->sink, "durable-bytes"), model->len);
  fail_unless_equals_uint64 (wb_stat (rig->sink, "queued-bytes"), 0);
  fail_unless_equals_uint64 (wb_stat (rig->sink, "dirty-bytes"), 0);
}

static void
add (GByteArray *model, gsize size)
{
  guint8 *data = wb_pattern (model->len, size, 1);

  g_byte_array_append (model, data, size);
  g_free (data);
}

GST_START_TEST (test_on_a_buffer)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, properties[__i__]);
  GByteArray *model = g_byte_array_new ();
  guint i;

  wb_rig_play (rig, GST_FORMAT_BYTES);
  for (i = 0; i < 5; i++) {
    push (rig, wb_buffer (model->len, 1000, 1));
    add (model, 1000);
    push (rig, wb_buffer (model->len, WB_MIB (3), 1));
    add (model, WB_MIB (3));
    push (rig, flagged (wb_buffer (model->len, 10, 1)));
    add (model, 10);
    assert_synced (rig, path, model);
  }
  /* A barrier is no end of the stream. */
  fail_unless_equals_int (wb_rig_count_syncs (rig), 0);
  fail_unless (wb_rig_eos (rig));
  wb_rig_assert_quiet (rig);
  g_byte_array_unref (model);
  g_free (path);
}
GST_END_TEST;

GST_START_TEST (test_on_an_empty_buffer)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = NULL;
  GByteArray *model = g_byte_array_new ();

  /* filesink syncs what it has written, and keeps what it holds. */
  WB_OWN_TEST ();

  rig = wb_rig_new (path, properties[__i__]);
  wb_rig_play (rig, GST_FORMAT_BYTES);
  push (rig, wb_buffer (0, 30000, 1));
  add (model, 30000);
  push (rig, flagged (gst_buffer_new ()));
  assert_synced (rig, path, model);
  push (rig, wb_buffer (30000, 30000, 1));
  add (model, 30000);
  push (rig, flagged (gst_buffer_new_allocate (NULL, 0, NULL)));
  assert_synced (rig, path, model);
  g_byte_array_unref (model);
  g_free (path);
}
GST_END_TEST;

/* After the whole list, whichever of its buffers has it */
GST_START_TEST (test_in_a_list)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, properties[__i__]);
  GByteArray *model = g_byte_array_new ();
  guint i, k;

  wb_rig_play (rig, GST_FORMAT_BYTES);
  for (i = 0; i < 4; i++) {
    GstBufferList *list = gst_buffer_list_new ();

    push (rig, wb_buffer (model->len, 500, 1));
    add (model, 500);
    for (k = 0; k < 4; k++) {
      GstBuffer *buffer = wb_buffer (model->len, 70000, 1);

      gst_buffer_list_add (list, k == i ? flagged (buffer) : buffer);
      add (model, 70000);
    }
    fail_unless_equals_int (gst_pad_push_list (rig->src, list), GST_FLOW_OK);
    assert_synced (rig, path, model);
  }
  g_byte_array_unref (model);
  g_free (path);
}
GST_END_TEST;

/* As qtmux writes its header anew while it records: beyond the end, back to
 * the start, each synced before the next */
GST_START_TEST (test_patches)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, properties[__i__]);
  GByteArray *model = g_byte_array_new ();
  guint i;

  wb_rig_play (rig, GST_FORMAT_BYTES);
  push (rig, wb_buffer (0, 200000, 1));
  add (model, 200000);
  for (i = 0; i < 6; i++) {
    guint8 *moov = wb_pattern (0, 40000, 2 + i);

    fail_unless (wb_rig_seek (rig, i % 2 == 0 ? 100 : 100000));
    push (rig, flagged (wb_buffer_from (moov, 40000)));
    wb_model_write (model, i % 2 == 0 ? 100 : 100000, moov, 40000);
    assert_synced (rig, path, model);
    fail_unless (wb_rig_seek (rig, 40));
    push (rig, flagged (wb_buffer_from (moov, 8)));
    wb_model_write (model, 40, moov, 8);
    assert_synced (rig, path, model);
    fail_unless (wb_rig_seek (rig, model->len + 5000));
    push (rig, wb_buffer_from (moov, 30000));
    wb_model_write (model, model->len + 5000, moov, 30000);
    g_free (moov);
  }
  fail_unless (wb_rig_eos (rig));
  wb_rig_assert_quiet (rig);
  wb_assert_file (path, model->data, model->len);
  g_byte_array_unref (model);
  g_free (path);
}
GST_END_TEST;

/* A pipe cannot be synced, and that is no error; but all is through. */
GST_START_TEST (test_on_a_fifo)
{
  g_autoptr (WbFifo) fifo = NULL;
  g_autoptr (WbRig) rig = NULL;

  WB_OWN_TEST ();

  fifo = wb_fifo_new ();
  rig = wb_rig_new (fifo->path, NULL);
  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_fifo_read (fifo, 65536, 0);
  push (rig, wb_buffer (0, 500000, 1));
  push (rig, flagged (wb_buffer (500000, 10, 1)));
  fail_unless_equals_uint64 (wb_stat (rig->sink, "bytes-written"), 500010);
  fail_unless_equals_uint64 (wb_stat (rig->sink, "queued-bytes"), 0);
  fail_unless (wb_rig_eos (rig));
  wb_rig_assert_quiet (rig);
  wb_rig_state (rig, GST_STATE_NULL);
  wb_fifo_finish (fifo);
  fail_unless_equals_int (fifo->bytes->len, 500010);
}
GST_END_TEST;

static Suite *
barrier_suite (void)
{
  Suite *suite = suite_create ("barrier");
  TCase *tcase = wb_tcase (suite, "general");
  gint n = G_N_ELEMENTS (properties);

  tcase_add_loop_test (tcase, test_on_a_buffer, 0, n);
  tcase_add_loop_test (tcase, test_on_an_empty_buffer, 0, n);
  tcase_add_loop_test (tcase, test_in_a_list, 0, n);
  tcase_add_loop_test (tcase, test_patches, 0, n);
  tcase_add_test (tcase, test_on_a_fifo);

  return suite;
}

WB_TEST_MAIN (barrier)
