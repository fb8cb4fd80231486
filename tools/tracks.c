/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which tracks the muxer can hold, and what to call them.
 *
 * Nothing here knows a codec. A track fits if its caps are a subset of one of
 * the muxer's pad templates, so what is kept follows the GStreamer that is
 * installed. That H.264 comes as avc and AAC as raw is the parsers' doing: they
 * ask downstream what it takes, and are told the muxer's caps.
 *
 * The one exception is the linear PCM of discs, which has a header in each
 * packet that Matroska does not know. An element that takes it off is called a
 * decoder, but no sample changes.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "pictures.h"
#include "tracks.h"

#include <gst/pbutils/pbutils.h>
#include <gst/tag/tag.h>
#include <string.h>

void
track_free (Track *self)
{
  g_free (self->id);
  gst_clear_caps (&self->caps);
  gst_clear_tag_list (&self->tags);
  gst_clear_object (&self->templ);
  g_free (self->reason);
  g_free (self->label);
  g_free (self->note);
  g_free (self);
}

static const gchar *
media_type (GstCaps *caps)
{
  if (caps == NULL || gst_caps_is_empty (caps) || gst_caps_is_any (caps))
    return "";
  return gst_structure_get_name (gst_caps_get_structure (caps, 0));
}

gboolean
track_is_subtitle (GstCaps *caps)
{
  const gchar *name = media_type (caps);

  return g_str_has_prefix (name, "subpicture/")
      || g_str_has_prefix (name, "subtitle/")
      || g_str_has_prefix (name, "text/")
      || g_str_has_prefix (name, "closedcaption/")
      || g_str_has_prefix (name, "application/x-ssa")
      || g_str_has_prefix (name, "application/x-ass")
      || g_str_has_prefix (name, "application/x-teletext");
}

/* As opposed to pictures. */
gboolean
track_is_text (GstCaps *caps)
{
  return track_is_subtitle (caps)
      && !g_str_has_prefix (media_type (caps), "subpicture/");
}

const gchar *
track_get_kind (const Track *self)
{
  const gchar *name = media_type (self->caps);

  if (g_str_has_prefix (name, "video/") || g_str_has_prefix (name, "image/"))
    return "video";
  if (g_str_has_prefix (name, "audio/"))
    return "audio";
  return track_is_subtitle (self->caps) ? "subtitle" : "other";
}

static void
append_format (GString *text, GstCaps *caps)
{
  const GstStructure *s = gst_caps_get_structure (caps, 0);
  gint width, height, channels, rate;

  if (gst_structure_get_int (s, "width", &width)
      && gst_structure_get_int (s, "height", &height))
    g_string_append_printf (text, ", %dx%d", width, height);
  if (gst_structure_get_int (s, "channels", &channels))
    g_string_append_printf (
        text, ", %d channel%s", channels, channels == 1 ? "" : "s");
  if (gst_structure_get_int (s, "rate", &rate))
    g_string_append_printf (text, ", %d Hz", rate);
}

/* Without data a parser may have made the details up. */
static gboolean
has_details (const Track *self)
{
  return self->caps && gst_caps_is_fixed (self->caps)
      && (self->n_buffers > 0 || self->sparse);
}

/* "audio  AC-3 (ATSC A/52), 6 channels, 48000 Hz [eng]" */
gchar *
track_describe (const Track *self)
{
  GString *text = g_string_new (NULL);
  g_autofree gchar *codec = NULL;
  g_autofree gchar *language = NULL;
  g_autofree gchar *title = NULL;

  if (self->label) {
    g_string_append (text, self->label);
    return g_string_free (text, FALSE);
  }
  if (has_details (self))
    codec = gst_pb_utils_get_codec_description (self->caps);
  g_string_append_printf (text, "%-8s  %s", track_get_kind (self),
      codec ? codec : media_type (self->caps));
  if (has_details (self))
    append_format (text, self->caps);
  language = track_get_language (self);
  if (language)
    g_string_append_printf (text, " [%s]", language);
  if (self->tags && gst_tag_list_get_string (self->tags, GST_TAG_TITLE, &title))
    g_string_append_printf (text, " \"%s\"", title);
  return g_string_free (text, FALSE);
}

/* As the input has it, or NULL; "und" is none. The caller owns the result. */
gchar *
track_get_language (const Track *self)
{
  g_autofree gchar *language = NULL;

  if (!self->tags
      || !gst_tag_list_get_string (self->tags, GST_TAG_LANGUAGE_CODE, &language)
      || strcmp (language, "und") == 0)
    return NULL;
  return g_steal_pointer (&language);
}

/* From a disc's tables, which have a language for a track's number (its PID or
 * substream, which its id ends in). What the stream itself says comes first. */
void
track_take_language (Track *self, GHashTable *languages)
{
  g_autofree gchar *own = track_get_language (self);
  const gchar *number = self->id ? strrchr (self->id, '/') : NULL;
  const gchar *language, *short_code;

  if (own || !languages || !number)
    return;
  language = g_hash_table_lookup (
      languages, GUINT_TO_POINTER (g_ascii_strtoull (number + 1, NULL, 16)));
  if (!language)
    return;
  /* Two letters where there are two, as tags have it. */
  short_code = gst_tag_get_language_code (language);
  if (!self->tags)
    self->tags = gst_tag_list_new_empty ();
  self->tags = gst_tag_list_make_writable (self->tags);
  gst_tag_list_add (self->tags, GST_TAG_MERGE_REPLACE, GST_TAG_LANGUAGE_CODE,
      short_code ? short_code : language, NULL);
}

/* Decoded in another order than shown, and only the latter is told. */
gboolean
track_lacks_decode_times (const Track *self)
{
  return !self->has_dts && g_str_has_prefix (media_type (self->caps), "video/");
}

/* A file that has decoding times begins with the first of them. */
void
track_measure_lag (Track *self)
{
  if (!track_lacks_decode_times (self) || self->start == G_MAXINT64)
    return;
  self->lag = decode_times_measure (self->shown, self->n_shown);
  self->decode_start = self->start - (GstClockTimeDiff) self->lag;
}

/* It fits, but is not asked for. */
void
track_leave_out (Track *self)
{
  gst_clear_object (&self->templ);
  self->unwanted = TRUE;
}

/* Running time, signed: what lies before a segment's start is not cut off.
 * GST_CLOCK_STIME_NONE if it has none.
 *
 * matroskademux begins with a segment that starts at the first block it has seen
 * and corrects that a few blocks later: two starts for one running time. The
 * inspection has kept the corrected one, the origin. Segments that go on from
 * others have a base. */
GstClockTimeDiff
track_place (const Track *self, const GstSegment *segment, GstClockTime ts)
{
  guint64 running;
  gint sign;

  if (segment->format != GST_FORMAT_TIME || !GST_CLOCK_TIME_IS_VALID (ts))
    return GST_CLOCK_STIME_NONE;
  if (segment->base == 0 && segment->rate == 1.0
      && GST_CLOCK_TIME_IS_VALID (self->origin))
    return GST_CLOCK_DIFF (self->origin, ts);
  sign =
      gst_segment_to_running_time_full (segment, GST_FORMAT_TIME, ts, &running);
  return sign == 0 ? GST_CLOCK_STIME_NONE : sign * (GstClockTimeDiff) running;
}

static GstPadTemplate *
find_template (GstElement *muxer, GstCaps *caps)
{
  GList *l;

  l = gst_element_class_get_pad_template_list (GST_ELEMENT_GET_CLASS (muxer));
  for (; l; l = l->next) {
    GstPadTemplate *templ = l->data;

    if (GST_PAD_TEMPLATE_DIRECTION (templ) != GST_PAD_SINK)
      continue;
    if (gst_caps_is_subset (caps, GST_PAD_TEMPLATE_CAPS (templ)))
      return gst_object_ref (templ);
  }
  return NULL;
}

/* The unwrapper of linear PCM, if the track is that and it is installed. */
static const gchar *
find_converter (GstCaps *caps)
{
  g_autoptr (GstElementFactory) factory = NULL;

  if (!g_str_has_suffix (media_type (caps), "lpcm"))
    return NULL;
  factory = gst_element_factory_find ("dvdlpcmdec");
  if (!factory || !gst_element_factory_can_sink_all_caps (factory, caps))
    return NULL;
  return "dvdlpcmdec";
}

/* Demuxers of Matroska and MP4 give text as Pango's markup. Matroska holds it
 * plain, with tags such as <i> as they are: see text_from_markup in remux.c. */
static void
take_markup_as_text (Track *self)
{
  const GstStructure *s = gst_caps_get_structure (self->caps, 0);

  if (!gst_structure_has_name (s, "text/x-raw")
      || g_strcmp0 (gst_structure_get_string (s, "format"), "pango-markup")
          != 0)
    return;
  self->is_markup = TRUE;
  self->caps = gst_caps_make_writable (self->caps);
  gst_caps_set_simple (self->caps, "format", G_TYPE_STRING, "utf8", NULL);
}

/* qtmux up to 1.22 crashes on VP9 without it, and takes what is not known as
 * this. */
static void
complete_vp9 (Track *self)
{
  const GstStructure *s = gst_caps_get_structure (self->caps, 0);

  if (!gst_structure_has_name (s, "video/x-vp9")
      || gst_structure_has_field (s, "chroma-site"))
    return;
  self->caps = gst_caps_make_writable (self->caps);
  gst_caps_set_simple (self->caps, "chroma-site", G_TYPE_STRING, "none", NULL);
}

/* What the muxer gets, as far as it is known before there is data. The caller owns
 * the result. */
GstCaps *
track_get_muxed_caps (const Track *self)
{
  if (!self->converter)
    return gst_caps_ref (self->caps);
  return gst_caps_from_string ("audio/x-raw, format=S16BE, layout=interleaved, "
                               "rate=48000, channels=2");
}

/* AVI has no times of showing. Most frames would be lost, unless they can be
 * worked out. */
static gboolean
lacks_times (const Track *self)
{
  g_autoptr (PictureClock) clock = picture_clock_new (self->caps);

  return !clock && g_str_equal (track_get_kind (self), "video")
      && self->n_untimed > DECODE_TIMES_DEPTH / 2;
}

/* Fills in the verdict. Needs what the inspection has gathered. */
void
track_decide (Track *self, GstElement *muxer)
{
  if (self->n_buffers == 0 && !self->sparse) {
    self->reason = g_strdup ("it is announced but has no data");
    return;
  }
  if (!self->caps || !gst_caps_is_fixed (self->caps)) {
    self->reason = g_strdup ("its format is not known");
    return;
  }
  if (lacks_times (self)) {
    self->reason =
        g_strdup ("the input does not say when its frames are shown");
    return;
  }
  take_markup_as_text (self);
  complete_vp9 (self);
  self->templ = find_template (muxer, self->caps);
  if (self->templ)
    return;

  self->converter = find_converter (self->caps);
  if (self->converter) {
    g_autoptr (GstCaps) raw = track_get_muxed_caps (self);

    self->templ = find_template (muxer, raw);
  }
  if (!self->templ)
    self->reason = g_strdup_printf (
        "%s cannot take it", GST_OBJECT_NAME (gst_element_get_factory (muxer)));
}

/* All sink templates in one. A caller owns the result. */
GstCaps *
muxer_get_caps (GstElement *muxer)
{
  GstCaps *all = gst_caps_new_empty ();
  GList *l;

  l = gst_element_class_get_pad_template_list (GST_ELEMENT_GET_CLASS (muxer));
  for (; l; l = l->next) {
    GstPadTemplate *templ = l->data;

    if (GST_PAD_TEMPLATE_DIRECTION (templ) == GST_PAD_SINK)
      gst_caps_append (all, gst_pad_template_get_caps (templ));
  }
  return all;
}

/* Answers a CAPS query with @caps as the muxer would, before there is one. A
 * parser that can only give what the muxer does not take hears "anything": its
 * track will be left out, and is no reason to stop the others. FALSE for other
 * queries. */
gboolean
answer_caps_query (GstQuery *query, GstCaps *caps)
{
  g_autoptr (GstCaps) result = NULL;
  GstCaps *filter;

  if (GST_QUERY_TYPE (query) != GST_QUERY_CAPS)
    return FALSE;
  gst_query_parse_caps (query, &filter);
  if (!filter) {
    gst_query_set_caps_result (query, caps);
    return TRUE;
  }
  result = gst_caps_intersect_full (caps, filter, GST_CAPS_INTERSECT_FIRST);
  if (gst_caps_is_empty (result))
    gst_query_set_caps_result (query, filter);
  else
    gst_query_set_caps_result (query, result);
  return TRUE;
}
