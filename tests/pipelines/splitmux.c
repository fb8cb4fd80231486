/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * splitmuxsink with wbfilesink for its fragments, one after the other and
 * finalised while the next is written: the fragments are those that filesink
 * has, each plays by itself and has as many frames, and together they have
 * every frame that went in.
 */

#include "../common/wbpipe.h"

#include <string.h>

#define FRAMES 300
/* A key frame twice a second */
#define VIDEO                                                                  \
  "videotestsrc num-buffers=300 pattern=snow ! "                               \
  "video/x-raw,width=320,height=240,framerate=30/1 ! "                         \
  "x264enc tune=zerolatency speed-preset=ultrafast bitrate=8000 "              \
  "key-int-max=15 ! h264parse ! split.video "
#define AUDIO                                                                  \
  "audiotestsrc num-buffers=470 samplesperbuffer=1024 ! "                      \
  "audio/x-raw,rate=48000 ! opusenc ! split.audio_0 "

typedef struct
{
  const gchar *name;
  const gchar *source;
  const gchar *properties;
  /* At least; how it cuts is its own affair. */
  guint fragments;
  /* Cut where the muxer is nearly full, as far as it happens to be then: no
   * two runs are the same. */
  gboolean cut_by_muxer;
} Mode;

static const Mode modes[] = {
  { "plain", VIDEO, "muxer=matroskamux max-size-time=1000000000", 5, FALSE },
  { "plain, with audio", VIDEO AUDIO,
      "muxer=matroskamux max-size-time=1000000000", 5, FALSE },
  { "plain, by size", VIDEO, "muxer=matroskamux max-size-bytes=1500000", 4,
      FALSE },
  { "async-finalize", VIDEO,
      "async-finalize=true muxer-factory=matroskamux "
      "max-size-time=1000000000",
      5, FALSE },
  { "async-finalize, with audio", VIDEO AUDIO,
      "async-finalize=true muxer-factory=matroskamux "
      "max-size-time=1000000000",
      5, FALSE },
  { "mp4, robust", VIDEO,
      "use-robust-muxing=true max-size-time=2000000000 "
      "muxer=\"mp4mux reserved-max-duration=10000000000 "
      "reserved-moov-update-period=500000000\"",
      3, TRUE },
};

static gchar *
describe (const Mode *mode, const gchar *sink)
{
  gboolean async = strstr (mode->properties, "async-finalize") != NULL;

  return g_strconcat (mode->source, " splitmuxsink name=split ",
      async ? "sink-factory=" : "sink=", sink, " ", mode->properties, NULL);
}

static void
count_frame (GstElement *sink, GstBuffer *buffer, GstPad *pad, gpointer count)
{
  ++*(guint *) count;
}

/* Played to its end, decoder and all */
static guint
count_frames (const gchar *path)
{
  gchar *problem, *missing;
  GstElement *pipeline, *element;
  guint count = 0;

  pipeline =
      wb_pipe_parse ("filesrc name=src ! parsebin name=parse "
                     "parse. ! video/x-h264 ! decodebin ! "
                     "fakesink name=sink signal-handoffs=true sync=false",
          &missing);
  fail_unless (pipeline != NULL, "no %s", missing);
  element = wb_pipe_get (pipeline, "src");
  g_object_set (element, "location", path, NULL);
  gst_object_unref (element);
  element = wb_pipe_get (pipeline, "sink");
  g_signal_connect (element, "handoff", G_CALLBACK (count_frame), &count);
  gst_object_unref (element);
  fail_unless (wb_pipe_run (pipeline, &problem), "%s: %s", path, problem);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (pipeline);

  return count;
}

typedef struct
{
  guint fragments;
  guint syncs;
  guint not_durable;
} Heard;

/* A fragment's message precedes its EOS, which the bin keeps for itself; that
 * is why this listens and not the bus. */
static GstBusSyncReply
listen (GstBus *bus, GstMessage *message, gpointer data)
{
  Heard *heard = data;
  const GstStructure *structure = gst_message_get_structure (message);

  if (gst_message_has_name (message, "splitmuxsink-fragment-closed")) {
    g_atomic_int_inc ((gint *) &heard->fragments);
  } else if (gst_message_has_name (message, "wbfilesink-sync")) {
    g_atomic_int_inc ((gint *) &heard->syncs);
    if (g_strcmp0 (gst_structure_get_string (structure, "result"), "durable")
        != 0)
      g_atomic_int_inc ((gint *) &heard->not_durable);
  }

  return GST_BUS_PASS;
}

static gboolean
record (const Mode *mode, const gchar *sink, Heard *heard)
{
  gchar *pattern, *name = g_strdup_printf ("%s-%%03d", sink);
  gchar *description = describe (mode, sink), *problem, *missing;
  GstElement *pipeline = wb_pipe_parse (description, &missing);
  GstElement *split;
  GstBus *bus;

  g_free (description);
  if (pipeline == NULL) {
    wb_skip (missing);
    g_free (name);
    return FALSE;
  }
  pattern = wb_path (name);
  split = wb_pipe_get (pipeline, "split");
  g_object_set (split, "location", pattern, NULL);
  gst_object_unref (split);
  bus = gst_element_get_bus (pipeline);
  gst_bus_set_sync_handler (bus, listen, heard, NULL);
  fail_unless (wb_pipe_run (pipeline, &problem), "%s: %s", mode->name, problem);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_bus_set_sync_handler (bus, NULL, NULL, NULL);
  gst_object_unref (bus);
  gst_object_unref (pipeline);
  g_free (pattern);
  g_free (name);

  return TRUE;
}

/* The frames of each fragment, as text; *fragments and *frames in all */
static gchar *
count_fragments (const gchar *sink, guint *fragments, guint *frames)
{
  GString *text = g_string_new (NULL);

  *frames = 0;
  for (*fragments = 0;; ++*fragments) {
    gchar *name = g_strdup_printf ("%s-%03u", sink, *fragments);
    gchar *path = wb_path (name);
    gboolean exists = g_file_test (path, G_FILE_TEST_EXISTS);
    guint n = exists ? count_frames (path) : 0;

    g_free (name);
    g_free (path);
    if (!exists)
      break;
    g_string_append_printf (text, "%u ", n);
    *frames += n;
  }

  return g_string_free (text, FALSE);
}

GST_START_TEST (test_fragments)
{
  const Mode *mode = &modes[__i__];
  Heard theirs = { 0 }, heard = { 0 };
  gchar *wanted, *got;
  guint fragments, frames;

  _gst_check_expecting_log = TRUE;
  if (!record (mode, "filesink", &theirs)
      || !record (mode, "wbfilesink", &heard))
    return;

  wanted = count_fragments ("filesink", &fragments, &frames);
  got = count_fragments ("wbfilesink", &fragments, &frames);
  g_print ("%s: %u fragments, of %sframes, %u syncs\n", mode->name, fragments,
      got, heard.syncs);
  if (!mode->cut_by_muxer)
    assert_equals_string (got, wanted);
  fail_unless (
      fragments >= mode->fragments, "%s: %u fragments", mode->name, fragments);
  fail_unless_equals_int (frames, FRAMES);
  fail_unless_equals_int (heard.fragments, fragments);
  fail_unless_equals_int (heard.syncs, fragments);
  fail_unless_equals_int (heard.not_durable, 0);
  g_free (wanted);
  g_free (got);
}
GST_END_TEST;

static Suite *
splitmux_suite (void)
{
  Suite *suite = suite_create ("splitmux");
  TCase *tcase = wb_tcase (suite, "modes");

  tcase_set_timeout (tcase, 2 * WB_PIPE_PATIENCE);
  tcase_add_loop_test (tcase, test_fragments, 0, G_N_ELEMENTS (modes));

  return suite;
}

WB_TEST_MAIN (splitmux)
