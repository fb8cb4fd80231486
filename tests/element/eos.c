/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What EOS means: everything is in the file, and as durable as sync-on-eos
 * asks, and has been said to be, before EOS is posted. It is not the end: a
 * new stream goes on, and stop without EOS does the same.
 */

#include "../common/wbtest.h"

#include <string.h>

/* What was on the bus, and in the file, when it was posted */
typedef struct
{
  const gchar *path;
  guint syncs;
  gint64 size_at_sync;
  guint eos;
  guint syncs_at_eos;
  gint64 size_at_eos;
} Watch;

static GstBusSyncReply
watch_func (GstBus *bus, GstMessage *message, gpointer data)
{
  Watch *watch = data;

  if (gst_message_has_name (message, "wbfilesink-sync")) {
    watch->syncs++;
    watch->size_at_sync = wb_file_size (watch->path);
  } else if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_EOS) {
    watch->eos++;
    watch->syncs_at_eos = watch->syncs;
    watch->size_at_eos = wb_file_size (watch->path);
  }

  return GST_BUS_PASS;
}

GST_START_TEST (test_complete_when_posted)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);
  Watch watch = { path };
  guint8 *wanted = wb_pattern (0, WB_MIB (20), 1);
  guint i;

  gst_bus_set_sync_handler (rig->bus, watch_func, &watch, NULL);
  wb_rig_play (rig, GST_FORMAT_TIME);
  for (i = 0; i < 320; i++)
    wb_rig_fill (rig, i * WB_KIB (64), WB_KIB (64), 1);
  fail_unless_equals_int (watch.eos, 0);
  fail_unless_equals_int (watch.syncs, 0);
  fail_unless (wb_rig_eos (rig));
  fail_unless_equals_int (watch.eos, 1);
  fail_unless_equals_int64 (watch.size_at_eos, WB_MIB (20));
  if (!wb_sink_is_filesink ()) {
    fail_unless_equals_int (watch.syncs_at_eos, 1);
    fail_unless_equals_int64 (watch.size_at_sync, WB_MIB (20));
  }
  wb_assert_file (path, wanted, WB_MIB (20));
  gst_bus_set_sync_handler (rig->bus, NULL, NULL, NULL);
  g_free (wanted);
  g_free (path);
}
GST_END_TEST;

static void
assert_sync (
    WbRig *rig, guint n, const gchar *path, const gchar *result, guint64 bytes)
{
  const GstStructure *sync = wb_rig_nth_sync (rig, n);
  gchar *uri = g_filename_to_uri (path, NULL, NULL);
  gchar *display = g_filename_display_name (path);
  guint64 value;

  fail_unless (sync != NULL, "no message %u", n);
  fail_unless_equals_int (gst_structure_n_fields (sync), 6);
  assert_equals_string (gst_structure_get_string (sync, "location"), display);
  assert_equals_string (gst_structure_get_string (sync, "uri"), uri);
  assert_equals_string (gst_structure_get_string (sync, "result"), result);
  fail_unless (gst_structure_get_uint64 (sync, "bytes", &value));
  fail_unless_equals_uint64 (value, bytes);
  fail_unless (gst_structure_get_uint64 (sync, "elapsed", &value));
  g_free (display);
  g_free (uri);
}

typedef struct
{
  const gchar *properties;
  const gchar *result;
} Level;

static const Level levels[] = {
  { NULL, "durable" },
  { "sync-on-eos=full", "durable" },
  { "sync-on-eos=data", "data" },
  { "sync-on-eos=none", "skipped" },
  { "sync-on-eos=full writeback=none", "durable" },
  { "sync-on-eos=full writeback=keep", "durable" },
  { "sync-on-eos=data writeback=none", "data" },
  { "sync-on-eos=full buffer-mode=unbuffered", "durable" },
};

GST_START_TEST (test_levels)
{
  const Level *level = &levels[__i__];
  gchar *path = wb_path ("a file \xff"), *result;
  g_autoptr (WbRig) rig = NULL;

  WB_OWN_TEST ();

  rig = wb_rig_new (path, level->properties);
  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_fill (rig, 0, 300000, 1);
  fail_unless (wb_rig_eos (rig));
  fail_unless_equals_int (wb_rig_count_syncs (rig), 1);
  assert_sync (rig, 0, path, level->result, 300000);
  fail_unless (GST_MESSAGE_SRC (wb_rig_nth (rig, GST_MESSAGE_ELEMENT, 0))
      == GST_OBJECT (rig->sink));
  result = wb_stat_string (rig->sink, "sync-result");
  assert_equals_string (result, level->result);
  g_free (result);

  /* Nothing since: stop has nothing to do and nothing to say. */
  wb_rig_state (rig, GST_STATE_NULL);
  fail_unless_equals_int (wb_rig_count_syncs (rig), 1);
  fail_unless_equals_int64 (wb_file_size (path), 300000);
  wb_rig_assert_quiet (rig);
  g_free (path);
}
GST_END_TEST;

/* The bytes of the file, not where the last patch left the position */
GST_START_TEST (test_bytes_after_patches)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = NULL;

  WB_OWN_TEST ();

  rig = wb_rig_new (path, NULL);
  wb_rig_play (rig, GST_FORMAT_BYTES);
  wb_rig_fill (rig, 0, 300000, 1);
  fail_unless (wb_rig_seek (rig, 50));
  wb_rig_fill (rig, 50, 8, 2);
  fail_unless (wb_rig_eos (rig));
  fail_unless_equals_uint64 (wb_stat (rig->sink, "high-water-mark"), 300000);
  fail_unless_equals_uint64 (wb_stat (rig->sink, "durable-bytes"), 300000);
  fail_unless_equals_int64 (wb_file_size (path), 300000);
  g_free (path);
}
GST_END_TEST;

GST_START_TEST (test_stop_without_eos)
{
  gchar *path = wb_path ("file"), *result;
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);
  guint8 *wanted = wb_pattern (0, WB_MIB (10), 1);

  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_fill (rig, 0, WB_MIB (10), 1);
  wb_rig_state (rig, GST_STATE_NULL);
  wb_assert_file (path, wanted, WB_MIB (10));
  wb_rig_assert_quiet (rig);
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 0);
  if (!wb_sink_is_filesink ()) {
    fail_unless_equals_int (wb_rig_count_syncs (rig), 1);
    assert_sync (rig, 0, path, "durable", WB_MIB (10));
    result = wb_stat_string (rig->sink, "sync-result");
    assert_equals_string (result, "durable");
    g_free (result);
  }
  g_free (wanted);
  g_free (path);
}
GST_END_TEST;

static GstBusSyncReply
keep_sync (GstBus *bus, GstMessage *message, gpointer data)
{
  GstStructure **kept = data;

  if (gst_message_has_name (message, "wbfilesink-sync")) {
    fail_unless (*kept == NULL);
    *kept = gst_structure_copy (gst_message_get_structure (message));
  }

  return GST_BUS_PASS;
}

/* A pipeline that goes to NULL flushes its bus, so that what stop says gets
 * to sync handlers only. There it does. */
GST_START_TEST (test_stop_in_a_pipeline)
{
  gchar *path = wb_path ("file");
  GstElement *pipeline, *source, *sink;
  GstStructure *sync = NULL;
  GstBus *bus;
  guint64 bytes;

  WB_OWN_TEST ();

  pipeline = gst_pipeline_new (NULL);
  source = gst_element_factory_make ("fakesrc", NULL);
  sink = gst_element_factory_make (wb_sink_name (), NULL);
  g_object_set (source, "format", GST_FORMAT_TIME, NULL);
  gst_util_set_object_arg (G_OBJECT (source), "sizetype", "fixed");
  gst_util_set_object_arg (G_OBJECT (source), "filltype", "zero");
  g_object_set (source, "sizemax", 10000, NULL);
  g_object_set (sink, "location", path, NULL);
  gst_bin_add_many (GST_BIN (pipeline), source, sink, NULL);
  fail_unless (gst_element_link (source, sink));
  bus = gst_element_get_bus (pipeline);
  gst_bus_set_sync_handler (bus, keep_sync, &sync, NULL);

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  fail_unless (wb_stat_reaches (sink, "bytes-written", WB_MIB (3)));
  gst_element_set_state (pipeline, GST_STATE_NULL);
  fail_unless (sync != NULL);
  assert_equals_string (gst_structure_get_string (sync, "result"), "durable");
  fail_unless (gst_structure_get_uint64 (sync, "bytes", &bytes));
  fail_unless_equals_uint64 (bytes, wb_file_size (path));
  fail_unless_equals_uint64 (bytes % 10000, 0);

  gst_bus_set_sync_handler (bus, NULL, NULL, NULL);
  gst_structure_free (sync);
  gst_object_unref (bus);
  gst_object_unref (pipeline);
  g_free (path);
}
GST_END_TEST;

/* Opened and closed, nothing written: a new file is a file, and its name is to be
 * found again. */
GST_START_TEST (test_stop_without_data)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);

  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_state (rig, GST_STATE_NULL);
  if (!wb_sink_is_filesink ()) {
    fail_unless_equals_int (wb_rig_count_syncs (rig), 1);
    assert_equals_string (wb_rig_nth_result (rig, 0), "durable");
  }
  fail_unless_equals_int64 (wb_file_size (path), 0);
  wb_rig_assert_quiet (rig);
  g_free (path);
}
GST_END_TEST;

/* An empty stream has an end as well, and the file is there. */
GST_START_TEST (test_eos_without_data)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);

  wb_rig_play (rig, GST_FORMAT_TIME);
  fail_unless (wb_rig_eos (rig));
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 1);
  wb_rig_assert_quiet (rig);
  if (!wb_sink_is_filesink ()) {
    fail_unless_equals_int (wb_rig_count_syncs (rig), 1);
    assert_sync (rig, 0, path, "durable", 0);
  }
  fail_unless_equals_int64 (wb_file_size (path), 0);
  g_free (path);
}
GST_END_TEST;

/*** What comes after it ******************************************************/

/* The ways to go on in the same file */
typedef enum
{
  BY_NEW_STREAM,
  BY_READY,
  N_WAYS_ON
} WayOn;

/* Up to 1.22 at least GstBaseSink drops a STREAM_START that follows EOS, and
 * all after it, until a flush or READY. */
static gboolean
base_class_goes_on (void)
{
  GstElement *sink = gst_element_factory_make ("fakesink", NULL);
  GstPad *pad = gst_element_get_static_pad (sink, "sink");
  gboolean goes_on;

  g_object_set (sink, "async", FALSE, NULL);
  gst_element_set_state (sink, GST_STATE_PLAYING);
  gst_pad_send_event (pad, gst_event_new_stream_start ("first"));
  gst_pad_send_event (pad, gst_event_new_eos ());
  goes_on = gst_pad_send_event (pad, gst_event_new_stream_start ("second"));
  gst_element_set_state (sink, GST_STATE_NULL);
  gst_object_unref (pad);
  gst_object_unref (sink);

  return goes_on;
}

#define WAY_ON_TEST(way)                                                       \
  G_STMT_START                                                                 \
  {                                                                            \
    if ((way) == BY_NEW_STREAM && !base_class_goes_on ()) {                    \
      wb_skip ("GstBaseSink ends with EOS in this version");                   \
      return;                                                                  \
    }                                                                          \
  }                                                                            \
  G_STMT_END

static void
go_on (WbRig *rig, WayOn way)
{
  if (way == BY_READY) {
    wb_rig_state (rig, GST_STATE_READY);
    wb_rig_state (rig, GST_STATE_PLAYING);
  }
  wb_rig_begin (rig, GST_FORMAT_TIME);
}

GST_START_TEST (test_goes_on)
{
  gchar *path;
  guint8 *wanted;
  guint i;
  g_autoptr (WbRig) rig = NULL;

  WAY_ON_TEST (__i__);

  path = wb_path ("file");
  wanted = wb_pattern (0, 30000, 1);
  rig = wb_rig_new (path, NULL);
  wb_rig_play (rig, GST_FORMAT_TIME);
  for (i = 0; i < 3; i++) {
    if (i > 0)
      go_on (rig, __i__);
    wb_rig_fill (rig, i * 10000, 10000, 1);
    fail_unless (wb_rig_eos (rig));
    fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), i + 1);
    fail_unless_equals_int64 (wb_file_size (path), (i + 1) * 10000);
    if (!wb_sink_is_filesink ()) {
      fail_unless_equals_int (wb_rig_count_syncs (rig), i + 1);
      assert_sync (rig, i, path, "durable", (i + 1) * 10000);
    }
  }
  wb_assert_file (path, wanted, 30000);
  wb_rig_state (rig, GST_STATE_NULL);
  wb_rig_assert_quiet (rig);
  if (!wb_sink_is_filesink ())
    fail_unless_equals_int (wb_rig_count_syncs (rig), 3);
  g_free (wanted);
  g_free (path);
}
GST_END_TEST;

/* A patch after EOS, then stop: that has to be synced, and said, again. */
GST_START_TEST (test_stop_after_more)
{
  g_autofree gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = NULL;
  g_autoptr (GByteArray) model =
      g_byte_array_new_take (wb_pattern (0, 10000, 1), 10000);

  WB_OWN_TEST ();
  WAY_ON_TEST (__i__);

  rig = wb_rig_new (path, NULL);
  wb_rig_play (rig, GST_FORMAT_BYTES);
  wb_rig_fill (rig, 0, 10000, 1);
  fail_unless (wb_rig_eos (rig));
  go_on (rig, __i__);
  fail_unless (wb_rig_seek (rig, 100));
  wb_rig_write (rig, "late", 4);
  wb_model_write (model, 100, "late", 4);
  wb_rig_state (rig, GST_STATE_NULL);
  fail_unless_equals_int (wb_rig_count_syncs (rig), 2);
  assert_sync (rig, 1, path, "durable", 10000);
  wb_assert_file (path, model->data, model->len);
}
GST_END_TEST;

/* Twice, with nothing in between: two ends, each with its message */
GST_START_TEST (test_eos_twice)
{
  g_autofree gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);

  WAY_ON_TEST (__i__);

  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_fill (rig, 0, 10000, 1);
  fail_unless (wb_rig_eos (rig));
  /* Of the same stream: it is over, the base class drops this. */
  fail_if (wb_rig_eos (rig));
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 1);
  go_on (rig, __i__);
  fail_unless (wb_rig_eos (rig));
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 2);
  wb_rig_assert_quiet (rig);
  if (!wb_sink_is_filesink ()) {
    fail_unless_equals_int (wb_rig_count_syncs (rig), 2);
    assert_equals_string (wb_rig_nth_result (rig, 1), "durable");
  }
  fail_unless_equals_int64 (wb_file_size (path), 10000);
}
GST_END_TEST;

/*** With states **************************************************************/

/* splitmuxsink sets async to FALSE. EOS that comes in PAUSED waits, and must
 * not hold what PLAYING needs. */
GST_START_TEST (test_eos_in_paused)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, "async=false");
  WbTask *task;

  if (__i__ == 0) {
    /* Never was in PLAYING, and the EOS prerolls */
    wb_rig_state (rig, GST_STATE_PAUSED);
    wb_rig_begin (rig, GST_FORMAT_TIME);
  } else {
    wb_rig_play (rig, GST_FORMAT_TIME);
    wb_rig_fill (rig, 0, 300000, 1);
    fail_unless_equals_int (
        wb_rig_state (rig, GST_STATE_PAUSED), GST_STATE_CHANGE_SUCCESS);
  }
  task = wb_rig_eos_task (rig);
  fail_if (wb_task_ends_within (task, 0.3));
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 0);

  fail_unless_equals_int (
      wb_rig_state (rig, GST_STATE_PLAYING), GST_STATE_CHANGE_SUCCESS);
  fail_unless (wb_task_bool (task, "EOS"));
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 1);
  fail_unless_equals_int64 (wb_file_size (path), __i__ == 0 ? 0 : 300000);
  wb_rig_assert_quiet (rig);

  /* And it is said again to one who pauses and plays then. */
  wb_rig_state (rig, GST_STATE_PAUSED);
  wb_rig_state (rig, GST_STATE_PLAYING);
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 2);
  if (!wb_sink_is_filesink ())
    fail_unless_equals_int (wb_rig_count_syncs (rig), 1);
  g_free (path);
}
GST_END_TEST;

GST_START_TEST (test_stop_with_eos_in_paused)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, "async=false");
  WbTask *task;

  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_fill (rig, 0, 300000, 1);
  wb_rig_state (rig, GST_STATE_PAUSED);
  task = wb_rig_eos_task (rig);
  fail_if (wb_task_ends_within (task, 0.3));
  wb_rig_state (rig, GST_STATE_NULL);
  fail_if (wb_task_bool (task, "EOS"));
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 0);
  fail_unless_equals_int64 (wb_file_size (path), 300000);
  wb_rig_assert_quiet (rig);
  g_free (path);
}
GST_END_TEST;

GST_START_TEST (test_paused_during_writes)
{
  const gsize size = WB_MIB (24);
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, __i__ == 0 ? NULL : WB_TINY_WINDOW);
  guint8 *wanted = wb_pattern (0, size, 1);
  WbTask *task;
  guint i;

  wb_rig_play (rig, GST_FORMAT_TIME);
  task = wb_rig_fill_task (rig, 0, size, 6000, 1);
  for (i = 0; i < 40; i++) {
    wb_rig_state (rig, GST_STATE_PAUSED);
    g_usleep (i % 4 * 500);
    wb_rig_state (rig, GST_STATE_PLAYING);
    g_usleep (2000);
  }
  fail_unless_equals_int (wb_task_flow (task, "push"), GST_FLOW_OK);
  fail_unless (wb_rig_eos (rig));
  wb_rig_assert_quiet (rig);
  wb_assert_file (path, wanted, size);
  g_free (wanted);
  g_free (path);
}
GST_END_TEST;

/* In PAUSED only what was accepted before is written: the first buffer is
 * held until PLAYING. */
GST_START_TEST (test_preroll_is_held)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, "buffer-mode=unbuffered");
  WbTask *task;

  fail_unless_equals_int (
      wb_rig_state (rig, GST_STATE_PAUSED), GST_STATE_CHANGE_ASYNC);
  wb_rig_begin (rig, GST_FORMAT_TIME);
  task = wb_rig_push_task (rig, wb_buffer (0, 1000, 1));
  wb_rig_await (rig, GST_MESSAGE_ASYNC_DONE);
  fail_if (wb_task_ends_within (task, 0.3));
  fail_unless_equals_int64 (wb_file_size (path), 0);
  fail_unless_equals_int64 (wb_rig_position (rig), 0);
  wb_rig_state (rig, GST_STATE_PLAYING);
  fail_unless_equals_int (wb_task_flow (task, "push"), GST_FLOW_OK);
  fail_unless (wb_file_reaches (path, 1000));
  g_free (path);
}
GST_END_TEST;

/* The file stays open from READY to READY: three runs make one file. */
GST_START_TEST (test_ready_keeps_file_and_position)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);
  guint8 *wanted = wb_pattern (0, 600000, 1);
  guint i;

  wb_rig_state (rig, GST_STATE_READY);
  for (i = 0; i < 3; i++) {
    wb_rig_play (rig, GST_FORMAT_TIME);
    fail_unless_equals_int64 (wb_rig_position (rig), i * 200000);
    wb_rig_fill (rig, i * 200000, 200000, 1);
    /* With EOS and without */
    if (i == 1)
      fail_unless (wb_rig_eos (rig));
    wb_rig_state (rig, GST_STATE_READY);
    fail_unless_equals_int64 (wb_rig_position (rig), (i + 1) * 200000);
  }
  wb_rig_state (rig, GST_STATE_NULL);
  wb_assert_file (path, wanted, 600000);
  wb_rig_assert_quiet (rig);
  g_free (wanted);
  g_free (path);
}
GST_END_TEST;

/* With segments in bytes each run begins where its segment says. */
GST_START_TEST (test_ready_and_bytes)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);
  GByteArray *model = g_byte_array_new ();
  guint i;

  wb_rig_state (rig, GST_STATE_READY);
  for (i = 0; i < 3; i++) {
    gsize size = 300000 - 100000 * i;
    guint8 *data = wb_pattern (0, size, i);

    wb_rig_play (rig, GST_FORMAT_BYTES);
    fail_unless_equals_int64 (wb_rig_position (rig), 0);
    wb_rig_write (rig, data, size);
    wb_model_write (model, 0, data, size);
    wb_rig_state (rig, GST_STATE_READY);
    g_free (data);
  }
  wb_rig_state (rig, GST_STATE_NULL);
  wb_assert_file (path, model->data, model->len);
  g_byte_array_unref (model);
  g_free (path);
}
GST_END_TEST;

static Suite *
eos_suite (void)
{
  Suite *suite = suite_create ("eos");
  TCase *tcase = wb_tcase (suite, "general");

  tcase_add_test (tcase, test_complete_when_posted);
  tcase_add_loop_test (tcase, test_levels, 0, G_N_ELEMENTS (levels));
  tcase_add_test (tcase, test_bytes_after_patches);
  tcase_add_test (tcase, test_stop_without_eos);
  tcase_add_test (tcase, test_stop_in_a_pipeline);
  tcase_add_test (tcase, test_stop_without_data);
  tcase_add_test (tcase, test_eos_without_data);
  tcase_add_loop_test (tcase, test_goes_on, 0, N_WAYS_ON);
  tcase_add_loop_test (tcase, test_stop_after_more, 0, N_WAYS_ON);
  tcase_add_loop_test (tcase, test_eos_twice, 0, N_WAYS_ON);

  tcase = wb_tcase (suite, "states");
  tcase_add_loop_test (tcase, test_eos_in_paused, 0, 2);
  tcase_add_test (tcase, test_stop_with_eos_in_paused);
  tcase_add_loop_test (tcase, test_paused_during_writes, 0, 2);
  tcase_add_test (tcase, test_preroll_is_held);
  tcase_add_test (tcase, test_ready_keeps_file_and_position);
  tcase_add_test (tcase, test_ready_and_bytes);

  return suite;
}

WB_TEST_MAIN (eos)
