/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What applications do to a pipeline while it lives: they unlink and remove
 * the sink while data flows, give it a new file, start the pipeline again from
 * NULL or READY, seek in it, record live sources, and choose a sink by a URI.
 * What is in the files afterwards is every frame that was taken, or what
 * filesink's file has.
 */

#include "../common/wbpipe.h"

#include <string.h>

#define TIMES 10

/*** Frames that know their number ********************************************/

#define FRAME 4096
#define FRAMES                                                                 \
  "fakesrc name=src signal-handoffs=true sizetype=fixed sizemax=4096 "         \
  "filltype=nothing ! identity sleep-time=100 ! "                              \
  "tee name=t allow-not-linked=true t. ! queue ! fakesink sync=false "

static void
number_frame (GstElement *src, GstBuffer *buffer, GstPad *pad, gpointer number)
{
  GstMapInfo map;
  gsize i;

  fail_unless (gst_buffer_map (buffer, &map, GST_MAP_WRITE));
  for (i = 0; i < map.size / sizeof (guint64); i++)
    ((guint64 *) map.data)[i] = *(guint64 *) number;
  gst_buffer_unmap (buffer, &map);
  ++*(guint64 *) number;
}

/* Whole frames, one after the other. Returns how many; *next is the number of
 * the one that follows. */
static guint
assert_frames (const gchar *path, guint64 *next)
{
  GByteArray *bytes = wb_file_read (path);
  const guint64 *words = (const guint64 *) (gpointer) bytes->data;
  guint n = bytes->len / FRAME;
  guint64 begin = n > 0 ? words[0] : 0;
  gsize i;

  fail_unless_equals_int (bytes->len % FRAME, 0);
  for (i = 0; i < bytes->len / sizeof (guint64); i++)
    fail_unless_equals_uint64 (
        words[i], begin + i / (FRAME / sizeof (guint64)));
  g_byte_array_unref (bytes);
  *next = begin + n;

  return n;
}

static GstElement *
start_frames (guint64 *number)
{
  gchar *missing;
  GstElement *pipeline = wb_pipe_parse (FRAMES, &missing), *src;

  fail_unless (pipeline != NULL, "no %s", missing);
  src = wb_pipe_get (pipeline, "src");
  g_signal_connect (src, "handoff", G_CALLBACK (number_frame), number);
  gst_object_unref (src);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);

  return pipeline;
}

static void
stop_pipeline (GstElement *pipeline)
{
  GstBus *bus = gst_element_get_bus (pipeline);
  GstMessage *error = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);

  fail_unless (error == NULL, "%s had an error",
      error != NULL ? GST_MESSAGE_SRC_NAME (error) : "");
  gst_object_unref (bus);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (pipeline);
}

/* A branch with a recorder, into a pipeline that runs */
typedef struct
{
  GstElement *pipeline;
  GstElement *queue;
  GstElement *sink;
  GstPad *tee_pad;
  /* of the last file, as its message said */
  gchar *result;
} Branch;

static void
link_branch (Branch *branch)
{
  GstPad *pad = gst_element_get_static_pad (branch->queue, "sink");

  fail_unless_equals_int (gst_pad_link (branch->tee_pad, pad), GST_PAD_LINK_OK);
  gst_object_unref (pad);
}

static void
add_branch (Branch *branch, GstElement *pipeline, const gchar *location)
{
  GstElement *tee = wb_pipe_get (pipeline, "t");

  branch->pipeline = pipeline;
  branch->result = NULL;
  branch->queue = gst_element_factory_make ("queue", NULL);
  branch->sink = gst_element_factory_make ("wbfilesink", NULL);
  g_object_set (branch->sink, "location", location, "async", FALSE, NULL);
  gst_bin_add_many (GST_BIN (pipeline), gst_object_ref (branch->queue),
      gst_object_ref (branch->sink), NULL);
  fail_unless (gst_element_link (branch->queue, branch->sink));
  fail_unless (gst_element_sync_state_with_parent (branch->sink));
  fail_unless (gst_element_sync_state_with_parent (branch->queue));
  branch->tee_pad = gst_element_request_pad_simple (tee, "src_%u");
  link_branch (branch);
  gst_object_unref (tee);
}

static void
remove_elements (Branch *branch)
{
  GstElement *tee = wb_pipe_get (branch->pipeline, "t");

  gst_element_set_state (branch->sink, GST_STATE_NULL);
  gst_element_set_state (branch->queue, GST_STATE_NULL);
  gst_bin_remove (GST_BIN (branch->pipeline), branch->sink);
  gst_bin_remove (GST_BIN (branch->pipeline), branch->queue);
  gst_element_release_request_pad (tee, branch->tee_pad);
  gst_object_unref (branch->tee_pad);
  gst_object_unref (branch->queue);
  gst_object_unref (branch->sink);
  gst_object_unref (tee);
  g_free (branch->result);
}

static void
unlink_branch (Branch *branch)
{
  GstPad *pad = gst_element_get_static_pad (branch->queue, "sink");

  gst_pad_unlink (branch->tee_pad, pad);
  gst_object_unref (pad);
}

/* Waits until the file's end has been told. */
static void
await_result (Branch *branch)
{
  GstBus *bus = gst_element_get_bus (branch->pipeline);
  GstMessage *message = NULL;

  g_clear_pointer (&branch->result, g_free);
  while (branch->result == NULL) {
    message = gst_bus_timed_pop_filtered (
        bus, WB_PATIENCE * GST_SECOND, GST_MESSAGE_ELEMENT | GST_MESSAGE_ERROR);
    fail_unless (message != NULL, "no wbfilesink-sync");
    fail_unless (GST_MESSAGE_TYPE (message) != GST_MESSAGE_ERROR);
    if (gst_message_has_name (message, "wbfilesink-sync")
        && GST_MESSAGE_SRC (message) == GST_OBJECT (branch->sink))
      branch->result = g_strdup (gst_structure_get_string (
          gst_message_get_structure (message), "result"));
    gst_message_unref (message);
  }
  gst_object_unref (bus);
}

static GstPadProbeReturn
unlink_and_end (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Branch *branch = data;
  GstPad *sinkpad = gst_element_get_static_pad (branch->queue, "sink");

  gst_pad_unlink (branch->tee_pad, sinkpad);
  gst_pad_send_event (sinkpad, gst_event_new_eos ());
  gst_object_unref (sinkpad);

  return GST_PAD_PROBE_REMOVE;
}

/* As the manual says: block, unlink, drain with EOS, remove. */
static void
remove_with_probe (Branch *branch)
{
  gst_pad_add_probe (
      branch->tee_pad, GST_PAD_PROBE_TYPE_IDLE, unlink_and_end, branch, NULL);
  await_result (branch);
  assert_equals_string (branch->result, "durable");
}

/* As many do: unlinked in mid-flow, and gone. */
static void
remove_brutally (Branch *branch)
{
  unlink_branch (branch);
}

/* The sink alone is taken away from under the queue that pushes to it. */
static void
remove_sink_brutally (Branch *branch)
{
  gst_element_unlink (branch->queue, branch->sink);
  gst_element_set_state (branch->sink, GST_STATE_NULL);
  unlink_branch (branch);
}

typedef struct
{
  const gchar *name;
  void (*remove) (Branch *branch);
} Way;

static const Way ways[] = {
  { "with a probe", remove_with_probe },
  { "brutally", remove_brutally },
  { "the sink alone, brutally", remove_sink_brutally },
};

GST_START_TEST (test_remove)
{
  const Way *way = &ways[__i__];
  guint64 number = 0, next, last = 0;
  GstElement *pipeline = start_frames (&number);
  guint i, frames = 0;

  for (i = 0; i < TIMES; i++) {
    gchar *name = g_strdup_printf ("file-%u", i), *path = wb_path (name);
    Branch branch;
    guint n;

    add_branch (&branch, pipeline, path);
    fail_unless (wb_stat_reaches (branch.sink, "high-water-mark", 20 * FRAME));
    way->remove (&branch);
    remove_elements (&branch);
    n = assert_frames (path, &next);
    fail_unless (n >= 20, "%u frames", n);
    fail_unless (
        next - n >= last, "file %u begins before the last one's end", i);
    last = next;
    frames += n;
    g_free (path);
    g_free (name);
  }
  g_print ("removed %s: %u files, %u frames\n", way->name, i, frames);
  stop_pipeline (pipeline);
}
GST_END_TEST;

static GstPadProbeReturn
hold (GstPad *pad, GstPadProbeInfo *info, gpointer held)
{
  g_atomic_int_set ((gint *) held, TRUE);

  return GST_PAD_PROBE_OK;
}

/* A recorder that takes the sink to NULL for each file: no frame is lost
 * between two files, and none is in both. */
GST_START_TEST (test_next_file)
{
  guint64 number = 0, next, last = 0;
  GstElement *pipeline = start_frames (&number);
  Branch branch;
  GstPad *src = NULL, *sinkpad = NULL;
  gulong probe = 0; /* of the file before */
  guint i;

  for (i = 0; i < TIMES; i++) {
    gchar *name = g_strdup_printf ("file-%u", i), *path = wb_path (name);
    gint held = FALSE;
    guint n;

    if (i == 0) {
      add_branch (&branch, pipeline, path);
      src = gst_element_get_static_pad (branch.queue, "src");
      sinkpad = gst_element_get_static_pad (branch.sink, "sink");
    } else {
      g_object_set (branch.sink, "location", path, NULL);
      fail_unless_equals_int (gst_pad_link (src, sinkpad), GST_PAD_LINK_OK);
      fail_unless (gst_element_sync_state_with_parent (branch.sink));
      gst_pad_remove_probe (src, probe);
    }
    fail_unless (wb_stat_reaches (branch.sink, "high-water-mark", 20 * FRAME));

    probe = gst_pad_add_probe (
        src, GST_PAD_PROBE_TYPE_BLOCK_DOWNSTREAM, hold, &held, NULL);
    while (!g_atomic_int_get (&held))
      g_usleep (1000);
    gst_pad_unlink (src, sinkpad);
    fail_unless (gst_pad_send_event (sinkpad, gst_event_new_eos ()));
    await_result (&branch);
    assert_equals_string (branch.result, "durable");
    gst_element_set_state (branch.sink, GST_STATE_NULL);
    n = assert_frames (path, &next);
    fail_unless (i == 0 || next - n == last,
        "file %u begins with frame %" G_GUINT64_FORMAT
        ", the last one ended before %" G_GUINT64_FORMAT,
        i, next - n, last);
    last = next;
    g_free (path);
    g_free (name);
    if (i == TIMES - 1)
      gst_pad_remove_probe (src, probe);
  }
  g_print ("%u files, %" G_GUINT64_FORMAT " frames\n", i, last);
  unlink_branch (&branch);
  gst_object_unref (src);
  gst_object_unref (sinkpad);
  remove_elements (&branch);
  stop_pipeline (pipeline);
}
GST_END_TEST;

/*** As filesink does *********************************************************/

static const gchar *factories[] = { "filesink", "wbfilesink" };

static GstElement *
pipeline_of (const gchar *source, guint which, gchar **path)
{
  gchar *missing, *description;
  GstElement *pipeline, *sink;

  description = g_strdup_printf ("%s ! %s name=sink", source, factories[which]);
  pipeline = wb_pipe_parse (description, &missing);
  fail_unless (pipeline != NULL, "no %s", missing);
  *path = wb_path (factories[which]);
  sink = wb_pipe_get (pipeline, "sink");
  g_object_set (sink, "location", *path, NULL);
  gst_object_unref (sink);
  g_free (description);

  return pipeline;
}

/* The whole pipeline, from NULL or READY: after each run both files are the
 * same. From READY the file stays open, and a muxer begins it again. */
GST_START_TEST (test_restart)
{
  GstState from = __i__ == 0 ? GST_STATE_NULL : GST_STATE_READY;
  GstElement *pipeline[2];
  gchar *path[2], *problem;
  guint i, run;

  /* wavenc has its own warning for being started twice. */
  _gst_check_expecting_log = TRUE;
  for (i = 0; i < 2; i++)
    pipeline[i] =
        pipeline_of ("audiotestsrc num-buffers=40 ! wavenc", i, &path[i]);
  for (run = 0; run < TIMES; run++) {
    for (i = 0; i < 2; i++) {
      fail_unless (wb_pipe_run (pipeline[i], &problem), "%s", problem);
      fail_unless_equals_int (
          gst_element_set_state (pipeline[i], from), GST_STATE_CHANGE_SUCCESS);
    }
    /* filesink has written all of it at EOS. */
    fail_unless (wb_file_size (path[0]) > 40 * 1024);
    wb_assert_same_file (path[1], 0, path[0]);
  }
  for (i = 0; i < 2; i++) {
    stop_pipeline (pipeline[i]);
    g_free (path[i]);
  }
}
GST_END_TEST;

/* Three runs of a stream without seeks go one behind the other. */
GST_START_TEST (test_three_runs_append)
{
  gchar *path[2], *problem;
  guint i, run;

  for (i = 0; i < 2; i++) {
    GstElement *pipeline =
        pipeline_of ("fakesrc num-buffers=25 sizetype=fixed sizemax=4001 "
                     "filltype=pattern-span format=time",
            i, &path[i]);

    for (run = 0; run < 3; run++) {
      fail_unless (wb_pipe_run (pipeline, &problem), "%s", problem);
      gst_element_set_state (pipeline, GST_STATE_READY);
    }
    stop_pipeline (pipeline);
    fail_unless_equals_int64 (wb_file_size (path[i]), 3 * 25 * 4001);
  }
  wb_assert_same_file (path[1], 0, path[0]);
  for (i = 0; i < 2; i++)
    g_free (path[i]);
}
GST_END_TEST;

/* Flushing seeks while it runs: after each, the file begins anew, with a hole
 * up to where the source goes on. */
GST_START_TEST (test_flushing_seeks)
{
  const gsize size = WB_MIB (2);
  guint8 *data = wb_pattern (0, size, 1);
  gchar *source = wb_path ("source"), *description;
  guint i, k;

  wb_file_write (source, data, size);
  description = g_strdup_printf (
      "filesrc location=%s blocksize=4000 ! identity sleep-time=100", source);
  for (i = 0; i < 2; i++) {
    GRand *rand = g_rand_new_with_seed (11);
    GByteArray *wanted = g_byte_array_new ();
    gchar *path, *problem;
    GstElement *pipeline = pipeline_of (description, i, &path);
    gint64 to = 0;

    gst_element_set_state (pipeline, GST_STATE_PLAYING);
    fail_unless_equals_int (
        gst_element_get_state (pipeline, NULL, NULL, WB_PATIENCE * GST_SECOND),
        GST_STATE_CHANGE_SUCCESS);
    for (k = 0; k < TIMES; k++) {
      to = g_rand_int_range (rand, 0, size / 2);
      fail_unless (gst_element_seek (pipeline, 1.0, GST_FORMAT_BYTES,
          GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET, to, GST_SEEK_TYPE_NONE, -1));
      g_usleep (5000 * (k % 3));
    }
    fail_unless (wb_pipe_run (pipeline, &problem), "%s", problem);
    stop_pipeline (pipeline);
    wb_model_write (wanted, to, data + to, size - to);
    wb_assert_file (path, wanted->data, wanted->len);
    g_byte_array_unref (wanted);
    g_rand_free (rand);
    g_free (path);
  }
  g_free (description);
  g_free (source);
  g_free (data);
}
GST_END_TEST;

/* A live source does not preroll; what it made is in both files. */
GST_START_TEST (test_live)
{
  gchar *theirs, *ours = wb_path ("live"), *problem;
  GstElement *pipeline = pipeline_of (
      "videotestsrc is-live=true num-buffers=30 ! "
      "video/x-raw,format=I420,width=64,height=48,framerate=100/1 ! y4menc ! "
      "tee name=t t. ! queue ! wbfilesink name=ours t. ! queue",
      0, &theirs);
  GstElement *sink = wb_pipe_get (pipeline, "ours");

  g_object_set (sink, "location", ours, NULL);
  gst_object_unref (sink);
  fail_unless_equals_int (gst_element_set_state (pipeline, GST_STATE_PAUSED),
      GST_STATE_CHANGE_NO_PREROLL);
  fail_unless (wb_pipe_run (pipeline, &problem), "%s", problem);
  stop_pipeline (pipeline);
  fail_unless (wb_file_size (theirs) > 30 * 64 * 48 * 3 / 2);
  wb_assert_same_file (ours, 0, theirs);
  g_free (theirs);
  g_free (ours);
}
GST_END_TEST;

/* What a user does with GST_PLUGIN_FEATURE_RANK */
static void
prefer_ours (gboolean prefer)
{
  GstElementFactory *factory = gst_element_factory_find ("wbfilesink");

  gst_plugin_feature_set_rank (
      GST_PLUGIN_FEATURE (factory), prefer ? G_MAXINT : GST_RANK_NONE);
  gst_object_unref (factory);
}

/* An application that knows only a URI */
GST_START_TEST (test_by_uri)
{
  gchar *path = wb_path ("by uri"), *problem, *uri;
  GstElement *pipeline = gst_pipeline_new (NULL);
  GstElement *src = gst_element_factory_make ("fakesrc", NULL), *sink;

  uri = gst_filename_to_uri (path, NULL);
  prefer_ours (TRUE);
  sink = gst_element_make_from_uri (GST_URI_SINK, uri, NULL, NULL);
  prefer_ours (FALSE);
  assert_equals_string (G_OBJECT_TYPE_NAME (sink), "GstWbFileSink");

  gst_util_set_object_arg (G_OBJECT (src), "sizetype", "fixed");
  g_object_set (src, "num-buffers", 10, "sizemax", 1000, NULL);
  gst_bin_add_many (GST_BIN (pipeline), src, sink, NULL);
  fail_unless (gst_element_link (src, sink));
  fail_unless (wb_pipe_run (pipeline, &problem), "%s", problem);
  stop_pipeline (pipeline);
  fail_unless_equals_int64 (wb_file_size (path), 10000);
  g_free (path);
  g_free (uri);
}
GST_END_TEST;

/* uritranscodebin, which makes its sink so */
GST_START_TEST (test_transcode)
{
  gchar *in, *out = wb_path ("out.ogg"), *in_uri, *out_uri, *missing, *problem;
  gchar *description, *result;
  GstElement *pipeline =
      pipeline_of ("audiotestsrc num-buffers=50 ! wavenc", 0, &in);
  GstElement *sink;

  fail_unless (wb_pipe_run (pipeline, &problem), "%s", problem);
  stop_pipeline (pipeline);
  in_uri = gst_filename_to_uri (in, NULL);
  out_uri = gst_filename_to_uri (out, NULL);
  description = g_strdup_printf ("uritranscodebin source-uri=%s dest-uri=%s "
                                 "profile=application/ogg:audio/x-vorbis",
      in_uri, out_uri);
  pipeline = wb_pipe_parse (description, &missing);
  if (pipeline == NULL) {
    wb_skip (missing);
  } else {
    _gst_check_expecting_log = TRUE;
    prefer_ours (TRUE);
    fail_unless (wb_pipe_run (pipeline, &problem), "%s", problem);
    prefer_ours (FALSE);
    sink = wb_pipe_get (pipeline, "sink");
    assert_equals_string (G_OBJECT_TYPE_NAME (sink), "GstWbFileSink");
    result = wb_stat_string (sink, "sync-result");
    assert_equals_string (result, "durable");
    fail_unless_equals_uint64 (
        wb_stat (sink, "high-water-mark"), (guint64) wb_file_size (out));
    g_free (result);
    gst_object_unref (sink);
    stop_pipeline (pipeline);
  }
  g_free (description);
  g_free (in_uri);
  g_free (out_uri);
  g_free (in);
  g_free (out);
}
GST_END_TEST;

static Suite *
lives_suite (void)
{
  Suite *suite = suite_create ("lives");
  TCase *tcase = wb_tcase (suite, "pipeline");

  tcase_add_loop_test (tcase, test_remove, 0, G_N_ELEMENTS (ways));
  tcase_add_test (tcase, test_next_file);
  tcase_add_loop_test (tcase, test_restart, 0, 2);
  tcase_add_test (tcase, test_three_runs_append);
  tcase_add_test (tcase, test_flushing_seeks);
  tcase_add_test (tcase, test_live);
  tcase_add_test (tcase, test_by_uri);
  tcase_add_test (tcase, test_transcode);

  return suite;
}

WB_TEST_MAIN (lives)
