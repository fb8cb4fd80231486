/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A track of an input, in words.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "convert.h"
#include "fill.h"
#include "track.h"

#include <gst/tag/tag.h>
#include <libavcodec/avcodec.h>

static const struct
{
  gint flag;
  const gchar *name;
} flags[] = {
  { AV_DISPOSITION_DEFAULT, "default" },
  { AV_DISPOSITION_FORCED, "forced" },
  { AV_DISPOSITION_COMMENT, "commentary" },
  { AV_DISPOSITION_ORIGINAL, "original" },
  { AV_DISPOSITION_DUB, "dub" },
  { AV_DISPOSITION_HEARING_IMPAIRED, "hearing impaired" },
  { AV_DISPOSITION_VISUAL_IMPAIRED, "visual impaired" },
  { AV_DISPOSITION_CAPTIONS, "captions" },
  { AV_DISPOSITION_DESCRIPTIONS, "descriptions" },
  { AV_DISPOSITION_ATTACHED_PIC, "cover" },
};

Track *
track_new (AVStream *stream)
{
  Track *self = g_new0 (Track, 1);

  self->stream = stream;
  return self;
}

void
track_free (Track *self)
{
  g_clear_pointer (&self->convert, convert_free);
  g_clear_pointer (&self->fill, fill_free);
  g_free (self);
}

const gchar *
track_get_kind (const Track *self)
{
  switch (self->stream->codecpar->codec_type) {
    case AVMEDIA_TYPE_VIDEO:
      return "video";
    case AVMEDIA_TYPE_AUDIO:
      return "audio";
    case AVMEDIA_TYPE_SUBTITLE:
      return "subtitle";
    case AVMEDIA_TYPE_ATTACHMENT:
      return "attachment";
    default:
      return "data";
  }
}

gboolean
track_is_kept (const Track *self)
{
  return !self->why;
}

const gchar *
language_normalize (const gchar *language)
{
  const gchar *code = gst_tag_get_language_code_iso_639_2T (language);

  return code ? code : language;
}

static const gchar *
get_tag (const Track *self, const gchar *name)
{
  const AVDictionaryEntry *entry =
      av_dict_get (self->stream->metadata, name, NULL, 0);

  return entry && *entry->value ? entry->value : NULL;
}

const gchar *
track_get_language (const Track *self)
{
  const gchar *language = get_tag (self, "language");

  if (!language || g_str_equal (language, "und"))
    return NULL;
  return language_normalize (language);
}

const gchar *
track_get_title (const Track *self)
{
  const gchar *title = get_tag (self, "title");

  return title ? title : get_tag (self, "filename");
}

const gchar *
track_get_codec (const Track *self)
{
  return avcodec_get_name (self->stream->codecpar->codec_id);
}

gchar *
track_get_flags (const Track *self)
{
  g_autoptr (GString) text = g_string_new (NULL);
  guint i;

  for (i = 0; i < G_N_ELEMENTS (flags); i++) {
    if (self->stream->disposition & flags[i].flag)
      g_string_append_printf (
          text, "%s%s", text->len ? ", " : "", flags[i].name);
  }
  return text->len ? g_string_free (g_steal_pointer (&text), FALSE) : NULL;
}

static void
describe_format (const AVCodecParameters *par, GString *text)
{
  const gchar *profile = avcodec_profile_name (par->codec_id, par->profile);
  gchar layout[64] = "";

  if (profile)
    g_string_append_printf (text, " (%s)", profile);
  if (par->codec_type == AVMEDIA_TYPE_VIDEO && par->width > 0)
    g_string_append_printf (text, ", %dx%d", par->width, par->height);
  if (par->codec_type != AVMEDIA_TYPE_AUDIO || par->sample_rate <= 0)
    return;
  av_channel_layout_describe (&par->ch_layout, layout, sizeof (layout));
  g_string_append_printf (text, ", %d Hz, %s", par->sample_rate, layout);
}

gchar *
track_describe (const Track *self)
{
  GString *text = g_string_new (track_get_kind (self));
  g_autofree gchar *names = track_get_flags (self);

  g_string_append_printf (
      text, " %u: %s", self->number, track_get_codec (self));
  describe_format (self->stream->codecpar, text);
  if (track_get_language (self))
    g_string_append_printf (text, ", %s", track_get_language (self));
  if (track_get_title (self))
    g_string_append_printf (text, ", \"%s\"", track_get_title (self));
  if (names)
    g_string_append_printf (text, ", %s", names);
  return g_string_free (text, FALSE);
}
