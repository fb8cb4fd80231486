/* wbsplit: how long splitmuxsink holds its input while a fragment ends
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Problem: a recorder in pieces must not lose frames when one piece ends and
 * the next begins. What holds its source is the end of the old file, the open
 * of the new one, or the disk, and a figure that mixes them says nothing.
 *
 * Strategy: a source of its own pace pushes raw frames into splitmuxsink and
 * times every push. Probes and messages tell when a fragment was ending (from
 * its EOS at the sink until it was closed) and when a file was opened (from
 * the question for its name until it was there). A push that met an ending is
 * counted without the part of it that an open took.
 *
 * Layout: options; spans; what is heard; the source; the result.
 */

#include <gst/gst.h>

#define FRAME_SIZE (1024 * 1024)

/* --- options --------------------------------------------------------------- */

static gchar *sink_name = (gchar *) "wbfilesink";
static gchar *directory = (gchar *) ".";
static gboolean async_finalize;
static gint rate = 45;
static gint fragment_mb = 128;
static gint fragments = 6;

static const GOptionEntry options[] = { { "sink", 0, 0, G_OPTION_ARG_STRING,
                                            &sink_name, "The sink's factory",
                                            "NAME" },
  { "directory", 0, 0, G_OPTION_ARG_STRING, &directory, "Where the files go",
      "PATH" },
  { "async-finalize", 0, 0, G_OPTION_ARG_NONE, &async_finalize,
      "End a fragment while the next is written", NULL },
  { "rate", 0, 0, G_OPTION_ARG_INT, &rate, "The source's", "MIB/S" },
  { "fragment", 0, 0, G_OPTION_ARG_INT, &fragment_mb, "A fragment's size",
      "MIB" },
  { "fragments", 0, 0, G_OPTION_ARG_INT, &fragments, "How many", "N" },
  { NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL } };

/* --- spans of time ---------------------------------------------------------- */

/* In microseconds; end is 0 while it lasts. */
typedef struct
{
  gint64 begin, end;
} Span;

typedef struct
{
  GMutex lock;
  GArray *endings, *opens, *pushes;
  guint durable;
  gboolean eos, failed;
  GCond done;
} Heard;

static Heard heard;

static void
begin_span (GArray *spans)
{
  Span span = { g_get_monotonic_time (), 0 };

  g_mutex_lock (&heard.lock);
  g_array_append_val (spans, span);
  g_mutex_unlock (&heard.lock);
}

/* The oldest that lasts: fragments end in order. */
static void
end_span (GArray *spans)
{
  g_mutex_lock (&heard.lock);
  for (guint i = 0; i < spans->len; i++) {
    Span *span = &g_array_index (spans, Span, i);

    if (span->end == 0) {
      span->end = g_get_monotonic_time ();
      break;
    }
  }
  g_mutex_unlock (&heard.lock);
}

static gint64
overlap (const Span *a, const GArray *spans)
{
  gint64 sum = 0;

  for (guint i = 0; i < spans->len; i++) {
    const Span *b = &g_array_index (spans, Span, i);
    gint64 end = b->end == 0 ? a->end : MIN (a->end, b->end);

    sum += MAX (end - MAX (a->begin, b->begin), 0);
  }
  return sum;
}

static gint64
longest (const GArray *spans)
{
  gint64 most = 0;

  for (guint i = 0; i < spans->len; i++) {
    const Span *span = &g_array_index (spans, Span, i);

    most = MAX (most, span->end - span->begin);
  }
  return most;
}

/* --- what is heard ----------------------------------------------------------- */

static GstPadProbeReturn
see_event (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  if (GST_EVENT_TYPE (GST_PAD_PROBE_INFO_EVENT (info)) == GST_EVENT_EOS)
    begin_span (heard.endings);
  return GST_PAD_PROBE_OK;
}

static void
sink_added (GstElement *split, GstElement *sink, gpointer data)
{
  GstPad *pad = gst_element_get_static_pad (sink, "sink");

  gst_pad_add_probe (
      pad, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, see_event, NULL, NULL);
  gst_object_unref (pad);
}

static gchar *
format_location (GstElement *split, guint fragment, gpointer data)
{
  begin_span (heard.opens);
  return g_strdup_printf ("%s/part-%03u.mkv", directory, fragment);
}

static GstBusSyncReply
hear (GstBus *bus, GstMessage *message, gpointer data)
{
  const GstStructure *structure = gst_message_get_structure (message);

  if (gst_message_has_name (message, "splitmuxsink-fragment-opened")) {
    end_span (heard.opens);
  } else if (gst_message_has_name (message, "splitmuxsink-fragment-closed")) {
    end_span (heard.endings);
  } else if (gst_message_has_name (message, "wbfilesink-sync")) {
    g_mutex_lock (&heard.lock);
    heard.durable +=
        g_strcmp0 (gst_structure_get_string (structure, "result"), "durable")
        == 0;
    g_mutex_unlock (&heard.lock);
  } else if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_EOS
      || GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR) {
    g_mutex_lock (&heard.lock);
    heard.eos = TRUE;
    heard.failed |= GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR;
    g_cond_signal (&heard.done);
    g_mutex_unlock (&heard.lock);
  }
  gst_message_unref (message);
  return GST_BUS_DROP;
}

static GstElement *
make_pipeline (GstPad *src)
{
  GstElement *pipeline = gst_pipeline_new (NULL);
  GstElement *split = gst_element_factory_make ("splitmuxsink", NULL);
  GstBus *bus = gst_element_get_bus (pipeline);
  GstPad *pad;

  if (split == NULL)
    g_error ("no splitmuxsink");
  g_signal_connect (split, "sink-added", G_CALLBACK (sink_added), NULL);
  g_signal_connect (
      split, "format-location", G_CALLBACK (format_location), NULL);
  g_object_set (split, "max-size-bytes", (guint64) fragment_mb << 20,
      "async-finalize", async_finalize, NULL);
  if (async_finalize)
    g_object_set (
        split, "muxer-factory", "matroskamux", "sink-factory", sink_name, NULL);
  else
    g_object_set (split, "muxer",
        gst_element_factory_make ("matroskamux", NULL), "sink",
        gst_element_factory_make (sink_name, NULL), NULL);
  gst_bin_add (GST_BIN (pipeline), split);
  pad = gst_element_request_pad_simple (split, "video");
  gst_pad_set_active (src, TRUE);
  if (gst_pad_link (src, pad) != GST_PAD_LINK_OK)
    g_error ("splitmuxsink does not take the video");
  gst_object_unref (pad);
  gst_bus_set_sync_handler (bus, hear, NULL, NULL);
  gst_object_unref (bus);
  return pipeline;
}

/* --- the source --------------------------------------------------------------- */

static void
begin_stream (GstPad *src)
{
  GstCaps *caps = gst_caps_new_simple ("video/x-raw", "format", G_TYPE_STRING,
      "GRAY8", "width", G_TYPE_INT, 1024, "height", G_TYPE_INT, 1024,
      "framerate", GST_TYPE_FRACTION, rate, 1, NULL);
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_pad_push_event (src, gst_event_new_stream_start ("wbsplit"));
  gst_pad_push_event (src, gst_event_new_caps (caps));
  gst_pad_push_event (src, gst_event_new_segment (&segment));
  gst_caps_unref (caps);
}

static GstFlowReturn
push_frame (GstPad *src, gpointer data, guint number)
{
  GstBuffer *buffer = gst_buffer_new_wrapped_full (
      GST_MEMORY_FLAG_READONLY, data, FRAME_SIZE, 0, FRAME_SIZE, NULL, NULL);
  Span span = { g_get_monotonic_time (), 0 };
  GstFlowReturn flow;

  GST_BUFFER_PTS (buffer) = gst_util_uint64_scale (number, GST_SECOND, rate);
  GST_BUFFER_DURATION (buffer) = GST_SECOND / rate;
  flow = gst_pad_push (src, buffer);
  span.end = g_get_monotonic_time ();
  g_array_append_val (heard.pushes, span);
  return flow;
}

/* Late frames are pushed at once, as a camera's queue would. */
static void
push_frames (GstPad *src)
{
  gpointer data = g_malloc (FRAME_SIZE);
  gint64 start = g_get_monotonic_time ();
  guint count = fragments * fragment_mb;

  memset (data, 0x5a, FRAME_SIZE);
  for (guint i = 0; i < count; i++) {
    gint64 due = start + (gint64) i * G_USEC_PER_SEC / rate;
    gint64 now = g_get_monotonic_time ();

    if (now < due)
      g_usleep (due - now);
    if (push_frame (src, data, i) != GST_FLOW_OK)
      break;
  }
  gst_pad_push_event (src, gst_event_new_eos ());
  g_mutex_lock (&heard.lock);
  while (!heard.eos)
    g_cond_wait (&heard.done, &heard.lock);
  g_mutex_unlock (&heard.lock);
}

/* --- the result --------------------------------------------------------------- */

static void
print_result (gint64 elapsed)
{
  gint64 held = 0;
  guint over = 0;

  for (guint i = 0; i < heard.pushes->len; i++) {
    const Span *push = &g_array_index (heard.pushes, Span, i);
    gint64 length = push->end - push->begin;

    if (overlap (push, heard.endings) == 0)
      continue;
    length -= overlap (push, heard.opens);
    held = MAX (held, length);
    over += length > 50000;
  }
  g_print ("{\"ok\": %s, \"fragments\": %u, \"durable\": %u, "
           "\"push_ms\": %.1f, \"ending_push_ms\": %.1f, "
           "\"ending_pushes_over_50_ms\": %u, \"ending_ms\": %.1f, "
           "\"open_ms\": %.1f, \"seconds\": %.2f}\n",
      heard.failed ? "false" : "true", heard.opens->len, heard.durable,
      longest (heard.pushes) / 1e3, held / 1e3, over,
      longest (heard.endings) / 1e3, longest (heard.opens) / 1e3,
      elapsed / 1e6);
}

int
main (int argc, char **argv)
{
  GOptionContext *context = g_option_context_new (NULL);
  GError *error = NULL;
  GstElement *pipeline;
  GstPad *src, *peer;
  gint64 start;

  g_option_context_add_main_entries (context, options, NULL);
  g_option_context_add_group (context, gst_init_get_option_group ());
  if (!g_option_context_parse (context, &argc, &argv, &error))
    g_error ("%s", error->message);
  g_option_context_free (context);

  heard.endings = g_array_new (FALSE, FALSE, sizeof (Span));
  heard.opens = g_array_new (FALSE, FALSE, sizeof (Span));
  heard.pushes = g_array_new (FALSE, FALSE, sizeof (Span));
  src = gst_pad_new ("src", GST_PAD_SRC);
  pipeline = make_pipeline (src);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  start = g_get_monotonic_time ();
  begin_stream (src);
  push_frames (src);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  print_result (g_get_monotonic_time () - start);

  peer = gst_pad_get_peer (src);
  gst_pad_unlink (src, peer);
  gst_object_unref (peer);
  gst_object_unref (src);
  gst_object_unref (pipeline);
  return heard.failed ? 1 : 0;
}
