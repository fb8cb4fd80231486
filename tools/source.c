/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The reading half of a pipeline: files or a URI ! parsebin. The inspection and
 * the run use the same one, so that what was decided on is what comes.
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
  Source *self = user_data;
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);
  guint64 offset = GST_BUFFER_OFFSET (buffer);

  g_atomic_pointer_add (&self->read, gst_buffer_get_size (buffer));
  if (!self->help->ts_streams)
    return GST_PAD_PROBE_OK;
  /* Pulled buffers may not say where they are from. */
  if (GST_PAD_PROBE_INFO_TYPE (info) & GST_PAD_PROBE_TYPE_PULL)
    offset = GST_PAD_PROBE_INFO_OFFSET (info);
  GST_PAD_PROBE_INFO_DATA (info) =
      ts_streams_fix (self->help->ts_streams, offset, buffer);
  return GST_PAD_PROBE_OK;
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

/* Tells parsebin what the muxer takes, and the parsers, while parsebin has not
 * shown their pads yet. */
static void
answer_queries (GstElement *parsebin, GstCaps *caps)
{
  g_signal_connect_data (parsebin, "autoplug-query",
      G_CALLBACK (on_autoplug_query), gst_caps_ref (caps), forget_caps, 0);
  g_signal_connect_data (parsebin, "autoplug-continue",
      G_CALLBACK (on_autoplug_continue), gst_caps_ref (caps), forget_caps, 0);
}

static GstElement *
make_reader (const Input *input, GError **error)
{
  if (input->joined)
    return joined_src_new (input->joined);
  return gst_element_make_from_uri (GST_URI_SRC, input->uri, NULL, error);
}

static void
give_help (Source *self)
{
  g_autoptr (GstPad) pad = gst_element_get_static_pad (self->reader, "src");

  if (self->help->dvd_streams)
    g_signal_connect (self->parsebin, "element-added",
        G_CALLBACK (on_element_added), self->help->dvd_streams);
  if (pad)
    gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, on_read, self, NULL);
}

/* Reads @input for a muxer that takes @caps. @help must outlive the result. */
Source *
source_new (
    const Input *input, const SourceHelp *help, GstCaps *caps, GError **error)
{
  GstElement *parsebin = make_element ("parsebin", error);
  GstElement *reader = parsebin ? make_reader (input, error) : NULL;
  Source *self;

  if (!reader) {
    gst_clear_object (&parsebin);
    return NULL;
  }
  self = g_new0 (Source, 1);
  self->help = help;
  self->reader = reader;
  self->parsebin = parsebin;
  self->bin = gst_object_ref_sink (gst_bin_new (NULL));
  gst_bin_add_many (GST_BIN (self->bin), reader, parsebin, NULL);
  gst_element_link (reader, parsebin);
  give_help (self);
  answer_queries (parsebin, caps);
  return self;
}

/* Takes it down: it must not be in a pipeline any more. */
void
source_free (Source *self)
{
  gst_element_set_state (self->bin, GST_STATE_NULL);
  gst_object_unref (self->bin);
  g_free (self);
}
