/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which muxer makes the output.
 *
 * Formats are known by the extensions of their files. Any other muxer can be had
 * by the name of its element; it is used as it comes.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "muxers.h"
#include "source.h"

#include <string.h>

typedef struct
{
  const gchar *extension;
  const gchar *factory;
  const gchar *property; /* to be set to TRUE, or NULL */
} Format;

static const Format formats[] = {
  { "mkv", "matroskamux", NULL },
  { "mka", "matroskamux", NULL },
  { "mks", "matroskamux", NULL },
  { "webm", "webmmux", NULL },
  { "mp4", "mp4mux", NULL },
  { "m4v", "mp4mux", NULL },
  { "m4a", "mp4mux", NULL },
  { "mov", "qtmux", NULL },
  { "ts", "mpegtsmux", NULL },
  { "m2ts", "mpegtsmux", "m2ts-mode" },
  { "mts", "mpegtsmux", "m2ts-mode" },
};

static const Format *
find_format (const gchar *extension)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (formats); i++) {
    if (g_ascii_strcasecmp (formats[i].extension, extension) == 0)
      return &formats[i];
  }
  return NULL;
}

static const gchar *
get_extension (const gchar *output)
{
  const gchar *slash = strrchr (output, '/');
  const gchar *dot = strrchr (slash ? slash : output, '.');

  return dot ? dot + 1 : "";
}

/* --- tags of Matroska ---------------------------------------------------------- */

#define SEGMENT_ID 0x18538067
#define TAGS_ID 0x1254c367
#define TAG_STRING_ID 0x4487

/* The content of the TagString element at the beginning of @data, or NULL. */
static guint8 *
find_tag_string (guint8 *data, gsize size, gsize *length)
{
  guint n_bytes, i;

  if (size < 3 || (data[0] << 8 | data[1]) != TAG_STRING_ID || data[2] == 0)
    return NULL;
  /* The length's first set bit says how many bytes it has. */
  n_bytes = g_bit_nth_msf (data[2], 8) ^ 7;
  *length = data[2] & 0x7f >> n_bytes;
  if (3 + n_bytes > size)
    return NULL;
  for (i = 0; i < n_bytes; i++)
    *length = *length << 8 | data[3 + i];
  return *length <= size - 3 - n_bytes ? data + 3 + n_bytes : NULL;
}

/* matroskamux (in every version so far) writes a tag the way GStreamer prints a
 * value: a title with a space has quotes and backslashes then. Puts back what was
 * meant, and zeros to keep the length, which EBML allows. */
static void
mend_tag (guint8 *content, gsize length)
{
  g_autofree gchar *written = g_strndup ((const gchar *) content, length);
  g_autofree gchar *again = NULL;
  GValue value = G_VALUE_INIT;

  if (written[0] != '"')
    return;
  g_value_init (&value, G_TYPE_STRING);
  if (gst_value_deserialize (&value, written)) {
    const gchar *meant = g_value_get_string (&value);

    again = gst_value_serialize (&value);
    if (g_strcmp0 (again, written) == 0 && strlen (meant) < length)
      strncpy ((gchar *) content, meant, length);
  }
  g_value_unset (&value);
}

static gboolean
may_have_tags (const guint8 *id)
{
  guint32 value = (guint32) id[0] << 24 | id[1] << 16 | id[2] << 8 | id[3];

  return value >> 16 == TAG_STRING_ID || value == SEGMENT_ID
      || value == TAGS_ID;
}

/* Tags come with the header, all in one buffer, or at the end, each element in a
 * buffer of its own. */
static GstPadProbeReturn
on_muxed (GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);
  guint8 id[4];
  GstMapInfo map;
  gsize i;

  if (gst_buffer_extract (buffer, 0, id, 4) < 4 || !may_have_tags (id))
    return GST_PAD_PROBE_OK;
  buffer = gst_buffer_make_writable (buffer);
  GST_PAD_PROBE_INFO_DATA (info) = buffer;
  if (!gst_buffer_map (buffer, &map, GST_MAP_READWRITE))
    return GST_PAD_PROBE_OK;
  for (i = 0; i < map.size; i++) {
    gsize length;
    guint8 *content = find_tag_string (map.data + i, map.size - i, &length);

    if (content)
      mend_tag (content, length);
  }
  gst_buffer_unmap (buffer, &map);
  return GST_PAD_PROBE_OK;
}

static void
mend_tags (GstElement *muxer)
{
  g_autoptr (GstPad) pad = gst_element_get_static_pad (muxer, "src");

  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, on_muxed, NULL, NULL);
}

/* --- any muxer -------------------------------------------------------------------- */

static void
set_up (GstElement *muxer, const Format *format)
{
  if (format && format->property)
    g_object_set (muxer, format->property, TRUE, NULL);
  /* The timeline already begins at zero; offset-to-zero would also turn the
   * placeholders' missing timestamps into real ones. */
  if (!muxer_is_matroska (muxer))
    return;
  g_object_set (muxer, "writing-app", "wbremux " PACKAGE_VERSION, "streamable",
      FALSE, "offset-to-zero", FALSE, NULL);
  mend_tags (muxer);
}

static gboolean
is_muxer (GstElement *element)
{
  const gchar *klass = gst_element_get_metadata (element, "klass");

  return klass && strstr (klass, "Muxer") && !strstr (klass, "Demuxer");
}

/* @format: an extension or an element's name; NULL: @output's extension. The
 * caller owns the result. G_OPTION_ERROR: there is no such format. */
GstElement *
muxer_new (const gchar *output, const gchar *format, GError **error)
{
  const gchar *name = format ? format : get_extension (output);
  const Format *known = find_format (name);
  GstElement *muxer;

  if (!known && !format) {
    g_autofree gchar *file = g_filename_display_name (output);

    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
        "%s: no format has this extension: mkv, webm, mp4, mov or ts, or "
        "--muxer",
        file);
    return NULL;
  }
  if (known)
    muxer = make_element (known->factory, error);
  else
    muxer = gst_element_factory_make (name, NULL);
  if (!known && (!muxer || !is_muxer (muxer))) {
    gst_clear_object (&muxer);
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
        "--muxer=%s: is none of mkv, webm, mp4, mov, ts, and no muxer of "
        "GStreamer's",
        name);
  }
  if (!muxer)
    return NULL;
  gst_object_ref_sink (muxer);
  set_up (muxer, known);
  return muxer;
}

/* A transport stream is entered anywhere: what a decoder has to know must come
 * again and again, within the stream. */
gboolean
muxer_is_broadcast (GstElement *muxer)
{
  return g_object_class_find_property (
             G_OBJECT_GET_CLASS (muxer), "pat-interval")
      != NULL;
}

/* Also webmmux. */
gboolean
muxer_is_matroska (GstElement *muxer)
{
  return g_object_class_find_property (
             G_OBJECT_GET_CLASS (muxer), "offset-to-zero")
      != NULL;
}
