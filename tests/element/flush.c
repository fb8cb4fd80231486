/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A flush begins the stream anew: what was queued is dropped, the position
 * is 0 again, and the file is as it was when it was opened, as far as its
 * mode can give that back: empty (truncate), up to the base (append), left
 * alone (overwrite, and whatever is not a file).
 */

#include "../common/wbtest.h"

#include <string.h>

#define OLD_SIZE 5001

/* A file with old bytes in it, which a model has too */
static gchar *
old_file (GByteArray **model)
{
  gchar *path = wb_path ("file");
  guint8 *old = wb_pattern (0, OLD_SIZE, 99);

  wb_file_write (path, old, OLD_SIZE);
  *model = g_byte_array_new_take (old, OLD_SIZE);

  return path;
}

static void
sync_after (WbRig *rig)
{
  GstBuffer *buffer = gst_buffer_new ();

  GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_SYNC_AFTER);
  fail_unless_equals_int (gst_pad_push (rig->src, buffer), GST_FLOW_OK);
}

static void
write_after_flush (
    WbRig *rig, GByteArray *model, guint64 base, gsize size, guint seed)
{
  guint8 *data = wb_pattern (0, size, seed);

  fail_unless_equals_int64 (wb_rig_position (rig), 0);
  fail_unless (wb_rig_segment (rig, GST_FORMAT_TIME, 0));
  wb_rig_write (rig, data, size);
  fail_unless_equals_int64 (wb_rig_position (rig), size);
  wb_model_write (model, base, data, size);
  g_free (data);
}

/* Shorter after than before: nothing of what was before may be left. */
GST_START_TEST (test_truncate)
{
  gchar *path;
  GByteArray *model;
  g_autoptr (WbRig) rig = NULL;

  path = old_file (&model);
  g_byte_array_set_size (model, 0);
  rig = wb_rig_new (path, NULL);
  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_fill (rig, 0, 700000, 1);
  wb_rig_flush (rig);
  write_after_flush (rig, model, 0, 3000, 2);
  fail_unless (wb_rig_eos (rig));
  wb_rig_assert_quiet (rig);
  wb_assert_file (path, model->data, model->len);
  g_byte_array_unref (model);
  g_free (path);
}
GST_END_TEST;

/* Written, patched, beyond the end, and synced before the flush */
GST_START_TEST (test_truncate_what_is_on_disk)
{
  gchar *path = wb_path ("file");
  GByteArray *model = g_byte_array_new ();
  g_autoptr (WbRig) rig = wb_rig_new (path, WB_TINY_WINDOW);

  wb_rig_play (rig, GST_FORMAT_BYTES);
  wb_rig_fill (rig, 0, WB_MIB (5), 1);
  fail_unless (wb_rig_seek (rig, WB_MIB (8)));
  wb_rig_fill (rig, 0, 1000, 1);
  fail_unless (wb_rig_seek (rig, 40));
  wb_rig_fill (rig, 0, 8, 1);
  sync_after (rig);
  wb_rig_flush (rig);
  write_after_flush (rig, model, 0, WB_MIB (2) + 5, 2);
  fail_unless (wb_rig_eos (rig));
  wb_rig_assert_quiet (rig);
  wb_assert_file (path, model->data, model->len);
  g_byte_array_unref (model);
  g_free (path);
}
GST_END_TEST;

/* filesink truncates to nothing here, and the old part is lost. */
GST_START_TEST (test_append)
{
  gchar *path;
  GByteArray *model;
  g_autoptr (WbRig) rig = NULL;

  WB_OWN_TEST ();

  path = old_file (&model);
  rig = wb_rig_new (path, __i__ == 0 ? "append=true" : "file-mode=output");
  wb_rig_play (rig, GST_FORMAT_BYTES);
  wb_rig_fill (rig, 0, 700000, 1);
  sync_after (rig);
  wb_rig_flush (rig);
  write_after_flush (rig, model, OLD_SIZE, 3000, 2);
  fail_unless (wb_rig_eos (rig));
  wb_rig_assert_quiet (rig);
  wb_assert_file (path, model->data, model->len);
  g_byte_array_unref (model);
  g_free (path);
}
GST_END_TEST;

GST_START_TEST (test_overwrite)
{
  gchar *path;
  GByteArray *model;
  guint8 *data = wb_pattern (0, 4000, 1);
  g_autoptr (WbRig) rig = NULL;

  WB_OWN_TEST ();

  path = old_file (&model);
  rig = wb_rig_new (path, "file-mode=overwrite");
  wb_rig_play (rig, GST_FORMAT_BYTES);
  wb_rig_write (rig, data, 4000);
  wb_model_write (model, 0, data, 4000);
  sync_after (rig);
  wb_rig_flush (rig);
  write_after_flush (rig, model, 0, 3000, 2);
  fail_unless (wb_rig_eos (rig));
  wb_rig_assert_quiet (rig);
  wb_assert_file (path, model->data, model->len);
  g_byte_array_unref (model);
  g_free (data);
  g_free (path);
}
GST_END_TEST;

GST_START_TEST (test_dev_null)
{
  g_autoptr (WbRig) rig = NULL;

  /* filesink fails to truncate it. */
  WB_OWN_TEST ();

  rig = wb_rig_new ("/dev/null", NULL);
  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_fill (rig, 0, 100000, 1);
  wb_rig_flush (rig);
  fail_unless (wb_rig_segment (rig, GST_FORMAT_TIME, 0));
  wb_rig_fill (rig, 0, 100000, 1);
  fail_unless (wb_rig_eos (rig));
  wb_rig_assert_quiet (rig);
}
GST_END_TEST;

/* What is through a pipe is through; what is queued is dropped. */
GST_START_TEST (test_fifo)
{
  g_autoptr (WbFifo) fifo = NULL;
  g_autoptr (WbRig) rig = NULL;
  guint8 *after = wb_pattern (0, 5000, 2), *before;
  gsize left;

  WB_OWN_TEST ();

  fifo = wb_fifo_new ();
  rig = wb_rig_new (fifo->path, NULL);
  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_fill (rig, 0, WB_MIB (5), 1);
  wb_rig_flush (rig);
  fail_unless (wb_rig_segment (rig, GST_FORMAT_TIME, 0));
  wb_rig_write (rig, after, 5000);
  wb_fifo_read (fifo, 65536, 0);
  fail_unless (wb_rig_eos (rig));
  wb_rig_assert_quiet (rig);
  wb_rig_state (rig, GST_STATE_NULL);
  wb_fifo_finish (fifo);

  fail_unless (fifo->bytes->len >= 5000);
  left = fifo->bytes->len - 5000;
  fail_unless (left < WB_MIB (5), "nothing was dropped");
  before = wb_pattern (0, left, 1);
  wb_assert_bytes (fifo->bytes->data, left, before, left);
  wb_assert_bytes (fifo->bytes->data + left, 5000, after, 5000);
  g_free (before);
  g_free (after);
}
GST_END_TEST;

/* Often, with writes under way: what one round left behind must not show in
 * the next. */
GST_START_TEST (test_many_times)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, WB_TINY_WINDOW);
  GRand *rand = g_rand_new_with_seed (7);
  GByteArray *model = g_byte_array_new ();
  guint i;

  wb_rig_play (rig, GST_FORMAT_TIME);
  for (i = 1; i <= 60; i++) {
    gsize size = g_rand_int_range (rand, 1, i % 4 == 0 ? WB_MIB (4) : 70000);

    g_byte_array_set_size (model, 0);
    if (i > 1)
      wb_rig_flush (rig);
    write_after_flush (rig, model, 0, size, i);
    /* A queued patch must not go over the flush either. */
    fail_unless (wb_rig_seek (rig, size / 2));
    wb_rig_write (rig, "patched", 7);
    wb_model_write (model, size / 2, "patched", 7);
  }
  fail_unless (wb_rig_eos (rig));
  wb_rig_assert_quiet (rig);
  wb_assert_file (path, model->data, model->len);
  g_byte_array_unref (model);
  g_rand_free (rand);
  g_free (path);
}
GST_END_TEST;

/* Before anything was written, twice in a row, and as the last thing */
GST_START_TEST (test_nothing_to_flush)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);
  GByteArray *model = g_byte_array_new ();

  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_flush (rig);
  wb_rig_flush (rig);
  write_after_flush (rig, model, 0, 3000, 1);
  wb_rig_flush (rig);
  wb_rig_state (rig, GST_STATE_NULL);
  fail_unless_equals_int64 (wb_file_size (path), 0);
  wb_rig_assert_quiet (rig);
  g_byte_array_unref (model);
  g_free (path);
}
GST_END_TEST;

/* EOS is not the end. */
GST_START_TEST (test_after_eos)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);
  GByteArray *model = g_byte_array_new ();

  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_fill (rig, 0, 100000, 1);
  fail_unless (wb_rig_eos (rig));
  wb_rig_flush (rig);
  write_after_flush (rig, model, 0, 3000, 2);
  fail_unless (wb_rig_eos (rig));
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 2);
  wb_rig_assert_quiet (rig);
  wb_assert_file (path, model->data, model->len);
  if (!wb_sink_is_filesink ())
    fail_unless_equals_int (wb_rig_count_syncs (rig), 2);
  g_byte_array_unref (model);
  g_free (path);
}
GST_END_TEST;

/* A flushing seek in PAUSED, as players do: the held buffer goes. */
GST_START_TEST (test_in_paused)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);
  guint8 *data = wb_pattern (0, 2000, 2);
  WbTask *task;

  wb_rig_state (rig, GST_STATE_PAUSED);
  wb_rig_begin (rig, GST_FORMAT_TIME);
  task = wb_rig_push_task (rig, wb_buffer (0, 1000, 1));
  wb_rig_await (rig, GST_MESSAGE_ASYNC_DONE);
  wb_rig_flush (rig);
  fail_unless_equals_int (wb_task_flow (task, "push"), GST_FLOW_FLUSHING);
  fail_unless (wb_rig_segment (rig, GST_FORMAT_TIME, 0));
  task = wb_rig_push_task (rig, wb_buffer (0, 2000, 2));
  wb_rig_state (rig, GST_STATE_PLAYING);
  fail_unless_equals_int (wb_task_flow (task, "push"), GST_FLOW_OK);
  fail_unless (wb_rig_eos (rig));
  wb_assert_file (path, data, 2000);
  g_free (data);
  g_free (path);
}
GST_END_TEST;

static Suite *
flush_suite (void)
{
  Suite *suite = suite_create ("flush");
  TCase *tcase = wb_tcase (suite, "general");

  tcase_add_test (tcase, test_truncate);
  tcase_add_test (tcase, test_truncate_what_is_on_disk);
  tcase_add_loop_test (tcase, test_append, 0, 2);
  tcase_add_test (tcase, test_overwrite);
  tcase_add_test (tcase, test_dev_null);
  tcase_add_test (tcase, test_fifo);
  tcase_add_test (tcase, test_many_times);
  tcase_add_test (tcase, test_nothing_to_flush);
  tcase_add_test (tcase, test_after_eos);
  tcase_add_test (tcase, test_in_paused);

  return suite;
}

WB_TEST_MAIN (flush)
