/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The reading half of a pipeline: filesrc ! parsebin. The inspection and the
 * run use the same one, so that what was decided on is what comes.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "source.h"
#include "tracks.h"

GstElement *
make_element (const gchar *factory, GError **error)
{
  GstElement *element = gst_element_factory_make (factory, NULL);

  if (!element)
    g_set_error (error, GST_CORE_ERROR, GST_CORE_ERROR_MISSING_PLUGIN,
        "GStreamer has no element \"%s\" (GST_PLUGIN_PATH?)", factory);
  return element;
}

/* mpegpsdemux has its first pad, and parsebin has taken note of it: now it can
 * be told about all the others. */
static void
on_first_pad (GstElement *demuxer, GstPad *pad, GstStructure *dvd_streams)
{
  g_autoptr (GstPad) sink = gst_element_get_static_pad (demuxer, "sink");

  g_signal_handlers_disconnect_by_func (demuxer, on_first_pad, dvd_streams);
  gst_pad_send_event (sink,
      gst_event_new_custom (
          GST_EVENT_CUSTOM_DOWNSTREAM, gst_structure_copy (dvd_streams)));
}

static void
on_element_added (
    GstElement *parsebin, GstElement *element, GstStructure *dvd_streams)
{
  GstElementFactory *factory = gst_element_get_factory (element);

  if (g_strcmp0 (GST_OBJECT_NAME (factory), "mpegpsdemux") == 0)
    g_signal_connect_after (
        element, "pad-added", G_CALLBACK (on_first_pad), dvd_streams);
}

static GstPadProbeReturn
on_read (GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  const SourceHelp *help = user_data;
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);
  guint64 offset = GST_BUFFER_OFFSET (buffer);

  /* Pulled buffers may not say where they are from. */
  if (GST_PAD_PROBE_INFO_TYPE (info) & GST_PAD_PROBE_TYPE_PULL)
    offset = GST_PAD_PROBE_INFO_OFFSET (info);
  GST_PAD_PROBE_INFO_DATA (info) =
      ts_streams_fix (help->ts_streams, offset, buffer);
  return GST_PAD_PROBE_OK;
}

static void
give_help (GstElement *source, GstElement *parsebin, const SourceHelp *help)
{
  g_autoptr (GstPad) pad = gst_element_get_static_pad (source, "src");

  if (help->dvd_streams)
    g_signal_connect (parsebin, "element-added", G_CALLBACK (on_element_added),
        help->dvd_streams);
  if (help->ts_streams)
    gst_pad_add_probe (
        pad, GST_PAD_PROBE_TYPE_BUFFER, on_read, (gpointer) help, NULL);
}

/* Adds both to @pipeline and returns parsebin, which @pipeline owns. The source
 * is named "input". @help must outlive them. */
GstElement *
source_add (GstElement *pipeline, const gchar *input, const SourceHelp *help,
    GError **error)
{
  GstElement *source = make_element ("filesrc", error);
  GstElement *parsebin = source ? make_element ("parsebin", error) : NULL;

  if (!parsebin) {
    gst_clear_object (&source);
    return NULL;
  }
  g_object_set (source, "location", input, "name", "input", NULL);
  gst_bin_add_many (GST_BIN (pipeline), source, parsebin, NULL);
  gst_element_link (source, parsebin);
  give_help (source, parsebin, help);
  return parsebin;
}

static gboolean
on_autoplug_query (GstElement *parsebin, GstPad *pad, GstElement *element,
    GstQuery *query, GstCaps *caps)
{
  return answer_caps_query (query, caps);
}

static void
forget_caps (gpointer caps, GClosure *closure)
{
  gst_caps_unref (caps);
}

/* What stands behind a text format in a parsebin makes other text of it. */
static gboolean
on_autoplug_continue (
    GstElement *parsebin, GstPad *pad, GstCaps *caps, GstCaps *muxer_caps)
{
  return !track_is_text (caps) || !gst_caps_is_subset (caps, muxer_caps);
}

/* Tells parsebin what the muxer takes, and the parsers, while parsebin has not shown their
 * pads yet. */
void
source_answer_queries (GstElement *parsebin, GstCaps *caps)
{
  g_signal_connect_data (parsebin, "autoplug-query",
      G_CALLBACK (on_autoplug_query), gst_caps_ref (caps), forget_caps, 0);
  g_signal_connect_data (parsebin, "autoplug-continue",
      G_CALLBACK (on_autoplug_continue), gst_caps_ref (caps), forget_caps, 0);
}
