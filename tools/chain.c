/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which tracks of a later input go on with which of the first one's.
 *
 * A file's track has one codec, and what a decoder has to know beforehand is in
 * its header, once: an input can go on with it only if it is the same, or if it
 * comes with the pictures, as it does in H.264 and H.265 here. Of several that
 * could, the one with the same id (PID) is taken, then one of the same language.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "chain.h"
#include "convert.h"
#include "output.h"

#include <string.h>

static const AVCodecParameters *
get_parameters (const Track *track)
{
  return track->convert ? convert_get_parameters (track->convert)
                        : track->stream->codecpar;
}

/* What is needed to decode it comes with each frame. */
static gboolean
tells_itself (enum AVCodecID id)
{
  static const enum AVCodecID ids[] = { AV_CODEC_ID_H264, AV_CODEC_ID_HEVC,
    AV_CODEC_ID_MPEG1VIDEO, AV_CODEC_ID_MPEG2VIDEO, AV_CODEC_ID_MP1,
    AV_CODEC_ID_MP2, AV_CODEC_ID_MP3, AV_CODEC_ID_AC3, AV_CODEC_ID_EAC3,
    AV_CODEC_ID_DTS, AV_CODEC_ID_TRUEHD, AV_CODEC_ID_SUBRIP,
    AV_CODEC_ID_HDMV_PGS_SUBTITLE };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (ids); i++) {
    if (ids[i] == id)
      return TRUE;
  }
  return FALSE;
}

static gboolean
goes_on (const Track *before, const Track *track)
{
  const AVCodecParameters *a = get_parameters (before);
  const AVCodecParameters *b = get_parameters (track);

  if (a->codec_id != b->codec_id || a->codec_type != b->codec_type)
    return FALSE;
  if (tells_itself (a->codec_id))
    return TRUE;
  if (a->codec_id == AV_CODEC_ID_AAC
      && (a->extradata_size == 0 || b->extradata_size == 0))
    return a->sample_rate == b->sample_rate
        && a->ch_layout.nb_channels == b->ch_layout.nb_channels;
  return a->sample_rate == b->sample_rate
      && a->ch_layout.nb_channels == b->ch_layout.nb_channels
      && a->width == b->width && a->height == b->height
      && a->extradata_size == b->extradata_size
      && memcmp (a->extradata, b->extradata, a->extradata_size) == 0;
}

static gboolean
is_like (const Track *before, const Track *track, guint strictness)
{
  if (track->follows || !goes_on (before, track))
    return FALSE;
  if (strictness == 2)
    return before->stream->id == track->stream->id
        && g_strcmp0 (track_get_language (before), track_get_language (track))
        == 0;
  return strictness == 0
      || g_strcmp0 (track_get_language (before), track_get_language (track))
      == 0;
}

static Track *
find_follower (GPtrArray *tracks, const Track *before, guint strictness)
{
  guint i;

  for (i = 0; i < tracks->len; i++) {
    Track *track = g_ptr_array_index (tracks, i);

    if (!track->why && is_like (before, track, strictness))
      return track;
  }
  return NULL;
}

static gboolean
is_frames (const Track *track)
{
  gint kind = track->stream->codecpar->codec_type;

  return kind != AVMEDIA_TYPE_ATTACHMENT
      && !(track->stream->disposition & AV_DISPOSITION_ATTACHED_PIC);
}

static gboolean
has_follower (GPtrArray *tracks, const Track *before)
{
  guint i;

  for (i = 0; i < tracks->len; i++) {
    if (((Track *) g_ptr_array_index (tracks, i))->follows == before)
      return TRUE;
  }
  return FALSE;
}

/* What would go on with a track that nobody wants. */
static void
drop_unwanted (GPtrArray *tracks)
{
  guint i;

  for (i = 0; i < tracks->len; i++) {
    Track *track = g_ptr_array_index (tracks, i);

    if (!track->follows || track->follows->out)
      continue;
    track->follows = NULL;
    track->unwanted = TRUE;
  }
}

gboolean
chain_match (GPtrArray *first, Source *source, const AVOutputFormat *format,
    GError **error)
{
  GPtrArray *tracks = source_get_tracks (source);
  gint strictness;
  guint i;

  for (i = 0; i < tracks->len; i++)
    output_check_track (format, g_ptr_array_index (tracks, i), TRUE);
  for (strictness = 2; strictness >= 0; strictness--) {
    for (i = 0; i < first->len; i++) {
      Track *before = g_ptr_array_index (first, i);
      Track *track;

      if (!(before->out || before->unwanted) || !is_frames (before)
          || has_follower (tracks, before))
        continue;
      track = find_follower (tracks, before, strictness);
      if (track)
        track->follows = before;
    }
  }
  drop_unwanted (tracks);
  for (i = 0; i < first->len; i++) {
    const Track *before = g_ptr_array_index (first, i);
    g_autofree gchar *text = track_describe (before);

    if (!before->out || !is_frames (before) || has_follower (tracks, before)
        || before->stream->codecpar->codec_type != AVMEDIA_TYPE_VIDEO)
      continue;
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED,
        "%s: has nothing that could follow the first input's track (%s)",
        source_get_input (source)->name, text);
    return FALSE;
  }
  return TRUE;
}

gboolean
chain_report (Source *source, guint number, RemuxTell tell, gpointer user_data)
{
  GPtrArray *tracks = source_get_tracks (source);
  gboolean is_missing = FALSE;
  guint i;

  for (i = 0; i < tracks->len; i++) {
    const Track *track = g_ptr_array_index (tracks, i);
    g_autofree gchar *about = track_describe (track);
    g_autofree gchar *text = NULL;

    if (track->follows || track->unwanted
        || track->stream->codecpar->codec_type == AVMEDIA_TYPE_DATA)
      continue;
    text = g_strdup_printf ("%s: %s is left out: %s",
        source_get_input (source)->name, about,
        track->why ? track->why : "no track of the first input is like it");
    tell ("warning", text, user_data);
    is_missing = TRUE;
  }
  return is_missing;
}
