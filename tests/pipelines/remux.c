/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The main job: a transport stream into Matroska. wbfilesink's file is
 * filesink's, and every access unit of the source is in it. Muxed apart, the
 * two differ in what the muxer draws by lot, and in nothing else.
 */

#include "../common/wbpipe.h"

#include <string.h>

#define SOURCE                                                                 \
  "videotestsrc num-buffers=240 pattern=snow ! "                               \
  "video/x-raw,width=640,height=360,framerate=30/1 ! "                         \
  "x264enc speed-preset=ultrafast bitrate=16000 key-int-max=15 ! "             \
  "h264parse ! queue ! mux. "                                                  \
  "audiotestsrc num-buffers=380 wave=white-noise samplesperbuffer=1024 ! "     \
  "audio/x-raw,rate=48000,channels=2 ! avenc_ac3 ! ac3parse ! queue ! mux. "   \
  "mpegtsmux name=mux "
#define REMUX                                                                  \
  "filesrc name=src ! tsdemux name=demux "                                     \
  "demux. ! queue ! h264parse ! mux. "                                         \
  "demux. ! queue ! ac3parse ! mux. "                                          \
  "matroskamux name=mux ! "

static void
set_location (GstElement *pipeline, const gchar *name, const gchar *path)
{
  GstElement *element = wb_pipe_get (pipeline, name);

  g_object_set (element, "location", path, NULL);
  gst_object_unref (element);
}

static void
run (const gchar *description, const gchar *src, const gchar *sink,
    const gchar *second)
{
  gchar *problem, *missing;
  GstElement *pipeline = wb_pipe_parse (description, &missing);

  fail_unless (pipeline != NULL, "no %s", missing);
  if (src != NULL)
    set_location (pipeline, "src", src);
  set_location (pipeline, "sink", sink);
  if (second != NULL)
    set_location (pipeline, "second", second);
  fail_unless (wb_pipe_run (pipeline, &problem), "%s", problem);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (pipeline);
}

/* Sizes, times and bytes of all buffers of the first track of that kind */
typedef struct
{
  GChecksum *sum;
  guint count;
} Track;

static void
add_buffer (GstElement *sink, GstBuffer *buffer, GstPad *pad, gpointer data)
{
  Track *track = data;
  GstMapInfo map;
  guint64 pts = GST_BUFFER_PTS (buffer);

  fail_unless (gst_buffer_map (buffer, &map, GST_MAP_READ));
  g_checksum_update (track->sum, (const guchar *) &pts, sizeof (pts));
  g_checksum_update (track->sum, (const guchar *) &map.size, sizeof (map.size));
  g_checksum_update (track->sum, map.data, map.size);
  gst_buffer_unmap (buffer, &map);
  track->count++;
}

static gchar *
sum_track (const gchar *path, const gchar *caps, guint *count)
{
  gchar *description =
      g_strdup_printf ("filesrc name=src ! matroskademux ! %s ! "
                       "fakesink name=sink sync=false "
                       "signal-handoffs=true",
          caps);
  Track track = { g_checksum_new (G_CHECKSUM_SHA256), 0 };
  gchar *problem, *missing, *sum;
  GstElement *pipeline = wb_pipe_parse (description, &missing);
  GstElement *sink;

  fail_unless (pipeline != NULL, "no %s", missing);
  set_location (pipeline, "src", path);
  sink = wb_pipe_get (pipeline, "sink");
  g_signal_connect (sink, "handoff", G_CALLBACK (add_buffer), &track);
  gst_object_unref (sink);
  fail_unless (wb_pipe_run (pipeline, &problem), "%s: %s", path, problem);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (pipeline);
  sum = g_strdup (g_checksum_get_string (track.sum));
  *count = track.count;
  g_checksum_free (track.sum);
  g_free (description);

  return sum;
}

static void
assert_same_track (
    const gchar *theirs, const gchar *ours, const gchar *caps, guint wanted)
{
  guint a, b;
  gchar *sum_a = sum_track (theirs, caps, &a);
  gchar *sum_b = sum_track (ours, caps, &b);

  g_print ("%s: %u buffers\n", caps, b);
  fail_unless_equals_int (a, b);
  if (wanted > 0)
    fail_unless_equals_int (b, wanted);
  fail_unless (b > 0);
  assert_equals_string (sum_b, sum_a);
  g_free (sum_a);
  g_free (sum_b);
}

GST_START_TEST (test_remux)
{
  gchar *stream = wb_path ("stream.ts"), *theirs = wb_path ("theirs.mkv");
  gchar *ours = wb_path ("ours.mkv"), *small = wb_path ("small.mkv");
  GByteArray *wanted;

  _gst_check_expecting_log = TRUE;
  run (SOURCE "! filesink name=sink", NULL, stream, NULL);

  run (REMUX "tee name=t t. ! queue ! filesink name=sink "
             "t. ! queue ! wbfilesink name=second",
      stream, theirs, ours);
  wanted = wb_file_read (theirs);
  wb_assert_file (ours, wanted->data, wanted->len);
  g_byte_array_unref (wanted);

  run (REMUX "filesink name=sink", stream, theirs, NULL);
  run (REMUX "wbfilesink name=sink", stream, ours, NULL);
  run (REMUX "wbfilesink name=sink " WB_TINY_WINDOW, stream, small, NULL);
  fail_unless_equals_int64 (wb_file_size (ours), wb_file_size (theirs));
  fail_unless_equals_int64 (wb_file_size (small), wb_file_size (theirs));
  assert_same_track (theirs, ours, "video/x-h264", 240);
  assert_same_track (theirs, small, "video/x-h264", 240);
  assert_same_track (theirs, ours, "audio/x-ac3", 0);
  assert_same_track (theirs, small, "audio/x-ac3", 0);

  g_free (stream);
  g_free (theirs);
  g_free (ours);
  g_free (small);
}
GST_END_TEST;

static Suite *
remux_suite (void)
{
  Suite *suite = suite_create ("remux");
  TCase *tcase = wb_tcase (suite, "stream");

  tcase_set_timeout (tcase, 2 * WB_PIPE_PATIENCE);
  tcase_add_test (tcase, test_remux);

  return suite;
}

int
main (int argc, char **argv)
{
  static const gchar *descriptions[] = { SOURCE "! fakesink",
    REMUX "fakesink" };
  guint i;

  gst_init (&argc, &argv);
  for (i = 0; i < G_N_ELEMENTS (descriptions); i++) {
    gchar *missing;
    GstElement *pipeline = wb_pipe_parse (descriptions[i], &missing);

    if (pipeline == NULL)
      return wb_skip_all ("no %s", missing);
    gst_object_unref (pipeline);
  }

  return wb_main (argc, argv, remux_suite, "remux", __FILE__);
}
