/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The muxer: which format, which tracks it holds, and how they are told to it.
 *
 * Whether a muxer can hold a track is asked three ways: its table of codecs; where
 * it has none (mpegts), a list; and last a header of this one track, which goes
 * nowhere: what is refused there would have been refused when the run began.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "avlog.h"
#include "convert.h"
#include "output.h"

#include <gst/tag/tag.h>
#include <libavcodec/avcodec.h>
#include <libavutil/display.h>
#include <errno.h>
#include <string.h>

static const struct
{
  const gchar *word; /* or extension */
  const gchar *muxer;
} formats[] = {
  { "mkv", "matroska" },
  { "mka", "matroska" },
  { "mks", "matroska" },
  { "webm", "webm" },
  { "mp4", "mp4" },
  { "m4v", "mp4" },
  { "m4a", "mp4" },
  { "mov", "mov" },
  { "ts", "mpegts" },
  { "m2ts", "mpegts" },
  { "mts", "mpegts" },
};

const AVOutputFormat *
output_find_format (const gchar *path, const gchar *name, GError **error)
{
  const gchar *dot = strrchr (path, '.');
  const gchar *word = name ? name : dot && !strchr (dot, '/') ? dot + 1 : "";
  const AVOutputFormat *format = NULL;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (formats) && !format; i++) {
    if (g_ascii_strcasecmp (formats[i].word, word) == 0)
      format = av_guess_format (formats[i].muxer, NULL, NULL);
  }
  if (!format && name)
    format = av_guess_format (name, NULL, NULL);
  if (format && !(format->flags & AVFMT_NOFILE))
    return format;
  if (name)
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
        "--muxer=%s: libavformat has no such muxer", name);
  else
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
        "%s: its extension names no format (--muxer=mkv does)", path);
  return NULL;
}

static gboolean
is_matroska (const AVOutputFormat *format)
{
  return g_str_equal (format->name, "matroska");
}

/* --- what it can hold -------------------------------------------------------------- */

/* What mpegts has a stream type or a descriptor for; it takes all else too, as
 * private data that nobody can read (libavformat 5.1 to 7.1). */
static gboolean
mpegts_knows (enum AVCodecID id)
{
  static const enum AVCodecID ids[] = { AV_CODEC_ID_MPEG1VIDEO,
    AV_CODEC_ID_MPEG2VIDEO, AV_CODEC_ID_MPEG4, AV_CODEC_ID_H264,
    AV_CODEC_ID_HEVC, AV_CODEC_ID_CAVS, AV_CODEC_ID_DIRAC, AV_CODEC_ID_VC1,
    AV_CODEC_ID_MP2, AV_CODEC_ID_MP3, AV_CODEC_ID_AAC, AV_CODEC_ID_AAC_LATM,
    AV_CODEC_ID_AC3, AV_CODEC_ID_EAC3, AV_CODEC_ID_DTS, AV_CODEC_ID_TRUEHD,
    AV_CODEC_ID_OPUS, AV_CODEC_ID_HDMV_PGS_SUBTITLE, AV_CODEC_ID_DVB_SUBTITLE,
    AV_CODEC_ID_DVB_TELETEXT, AV_CODEC_ID_SMPTE_KLV, AV_CODEC_ID_TIMED_ID3 };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (ids); i++) {
    if (ids[i] == id)
      return TRUE;
  }
  return FALSE;
}

static gboolean
has_place_for (
    const AVOutputFormat *format, const AVCodecParameters *par, gint compliance)
{
  if (par->codec_type == AVMEDIA_TYPE_ATTACHMENT)
    return is_matroska (format);
  if (par->codec_id == AV_CODEC_ID_NONE)
    return FALSE;
  if (g_str_equal (format->name, "mpegts"))
    return mpegts_knows (par->codec_id);
  return avformat_query_codec (format, par->codec_id, compliance) != 0;
}

/* A muxer that throws away what it writes. */
static gboolean
takes_header (const AVOutputFormat *format, Track *track)
{
  g_autoptr (GPtrArray) alone = g_ptr_array_new ();
  AVFormatContext *muxer;
  gint result = -1;
  guint8 *data;

  g_free (av_log_take ());
  g_ptr_array_add (alone, track);
  muxer = output_new (format, alone, NULL, NULL);
  if (muxer && avio_open_dyn_buf (&muxer->pb) >= 0) {
    result = output_write_header (muxer);
    avio_close_dyn_buf (muxer->pb, &data);
    av_free (data);
  }
  avformat_free_context (muxer);
  track->out = NULL;
  return result >= 0;
}

static gboolean
is_complete (const AVCodecParameters *par)
{
  if (par->codec_type == AVMEDIA_TYPE_AUDIO)
    return par->sample_rate > 0;
  return par->codec_type != AVMEDIA_TYPE_VIDEO || par->width > 0;
}

static gboolean
is_cover (const AVOutputFormat *format, const AVStream *stream)
{
  return is_matroska (format)
      && (stream->disposition & AV_DISPOSITION_ATTACHED_PIC);
}

/* @may_change: other inputs follow, whose decoder parameters may be others; then
 * those of H.264 and H.265 have to be in the stream. */
static Convert *
choose_filter (const AVStream *stream, gboolean may_change, gboolean is_mpegts)
{
  const AVCodecParameters *par = stream->codecpar;
  gboolean is_short = par->extradata_size > 6 && par->extradata[0] == 1;

  if (par->codec_id == AV_CODEC_ID_MPEG4)
    return convert_new_filter (stream,
        is_mpegts ? "mpeg4_unpack_bframes,dump_extra" : "mpeg4_unpack_bframes");
  if (may_change && par->codec_id == AV_CODEC_ID_AAC && par->extradata_size == 0
      && !is_mpegts)
    return convert_new_filter (stream, "aac_adtstoasc");
  if (!may_change || !is_short)
    return NULL;
  if (par->codec_id == AV_CODEC_ID_H264)
    return convert_new_filter (stream, "h264_mp4toannexb");
  if (par->codec_id == AV_CODEC_ID_HEVC)
    return convert_new_filter (stream, "hevc_mp4toannexb");
  return NULL;
}

/* At first as the muxer has it in its tables, then changed, then as a codec of
 * another system's (Matroska's V_MS/VFW and A_MS/ACM). */
static gboolean
find_place (const AVOutputFormat *format, Track *track, gboolean may_change)
{
  const AVCodecParameters *par = track->stream->codecpar;

  if (is_cover (format, track->stream))
    return TRUE;
  if (has_place_for (format, par, FF_COMPLIANCE_NORMAL))
    track->convert = choose_filter (
        track->stream, may_change, g_str_equal (format->name, "mpegts"));
  else
    track->convert = convert_new_for (track->stream, format);
  return track->convert
      || has_place_for (format, par, FF_COMPLIANCE_EXPERIMENTAL);
}

void
output_check_track (
    const AVOutputFormat *format, Track *track, gboolean may_change)
{
  const AVCodecParameters *par = track->stream->codecpar;

  track->why = NULL;
  track->is_silent = !is_complete (par) && !is_cover (format, track->stream);
  if (track->is_silent) {
    track->why = "it has no data where that was looked for";
  } else if (!find_place (format, track, may_change)) {
    track->why = par->codec_id == AV_CODEC_ID_NONE
        ? "libavformat does not know what it is"
        : "the output's format has no place for it";
  } else if (!takes_header (format, track)) {
    g_autofree gchar *words = av_log_describe (AVERROR (EINVAL));
    g_autofree gchar *text =
        g_strdup_printf ("the output's muxer refuses it: %s", words);

    track->why = g_intern_string (text);
  }
}

/* --- telling the muxer ---------------------------------------------------------------- */

/* Up to 6.0 libavformat keeps a stream's side data (HDR, Dolby Vision, rotation)
 * beside its parameters, and does not copy it with them. */
static void
copy_side_data (AVStream *to, const AVStream *from)
{
#if LIBAVFORMAT_VERSION_INT < AV_VERSION_INT(60, 15, 100)
  gint i;

  for (i = 0; i < from->nb_side_data; i++) {
    const AVPacketSideData *data = &from->side_data[i];
    guint8 *copy = av_stream_new_side_data (to, data->type, data->size);

    if (copy)
      memcpy (copy, data->data, data->size);
  }
#endif
}

/* Figures of another file's writer about its own tracks. */
static gboolean
is_stale (const gchar *key)
{
  return g_str_has_prefix (key, "_STATISTICS")
      || g_str_has_prefix (key, "NUMBER_OF_") || g_str_has_prefix (key, "BPS")
      || g_str_has_prefix (key, "DURATION")
      || g_ascii_strcasecmp (key, "encoder") == 0;
}

static void
copy_metadata (AVDictionary **to, const AVDictionary *from)
{
  const AVDictionaryEntry *entry = NULL;

  while ((entry = av_dict_get (from, "", entry, AV_DICT_IGNORE_SUFFIX))) {
    if (!is_stale (entry->key))
      av_dict_set (to, entry->key, entry->value, 0);
  }
}

/* Matroska has the bibliographic codes, the others the terminological ones;
 * libavformat writes what it is given. */
static void
set_language (AVStream *out, gboolean is_bibliographic)
{
  const AVDictionaryEntry *entry =
      av_dict_get (out->metadata, "language", NULL, 0);
  const gchar *code;

  if (!entry)
    return;
  code = is_bibliographic ? gst_tag_get_language_code_iso_639_2B (entry->value)
                          : gst_tag_get_language_code_iso_639_2T (entry->value);
  if (code)
    av_dict_set (&out->metadata, "language", code, 0);
}

/* Matroska's cover is an attachment; libavformat's own muxer would make a video
 * track of it (5.1 to 7.1). */
static void
make_attachment (AVStream *out, const AVStream *from)
{
  gboolean is_png = from->codecpar->codec_id == AV_CODEC_ID_PNG;
  const AVPacket *picture = &from->attached_pic;

  out->codecpar->codec_type = AVMEDIA_TYPE_ATTACHMENT;
  out->disposition = 0;
  av_freep (&out->codecpar->extradata);
  out->codecpar->extradata =
      av_mallocz (picture->size + AV_INPUT_BUFFER_PADDING_SIZE);
  out->codecpar->extradata_size = picture->size;
  memcpy (out->codecpar->extradata, picture->data, picture->size);
  if (!av_dict_get (out->metadata, "filename", NULL, 0))
    av_dict_set (
        &out->metadata, "filename", is_png ? "cover.png" : "cover.jpg", 0);
  if (!av_dict_get (out->metadata, "mimetype", NULL, 0))
    av_dict_set (
        &out->metadata, "mimetype", is_png ? "image/png" : "image/jpeg", 0);
}

static gboolean
add_track (AVFormatContext *muxer, Track *track)
{
  const AVStream *from = track->stream;
  AVStream *out = avformat_new_stream (muxer, NULL);
  guint32 tag = from->codecpar->codec_tag;

  if (!out
      || avcodec_parameters_copy (out->codecpar,
             track->convert ? convert_get_parameters (track->convert)
                            : from->codecpar)
          < 0)
    return FALSE;
  /* Another container's tag is kept only where it means the same. */
  if (muxer->oformat->codec_tag
      && av_codec_get_id (muxer->oformat->codec_tag, tag)
          != out->codecpar->codec_id)
    out->codecpar->codec_tag = 0;
  copy_side_data (out, from);
  copy_metadata (&out->metadata, from->metadata);
  set_language (out, is_matroska (muxer->oformat));
  out->disposition = from->disposition;
  out->sample_aspect_ratio = from->sample_aspect_ratio.num
      ? from->sample_aspect_ratio
      : from->codecpar->sample_aspect_ratio;
  out->avg_frame_rate = from->avg_frame_rate;
  out->r_frame_rate = from->r_frame_rate;
  out->time_base = from->time_base;
  if (is_cover (muxer->oformat, from))
    make_attachment (out, from);
  else if (out->codecpar->codec_type == AVMEDIA_TYPE_ATTACHMENT
      && !av_dict_get (out->metadata, "filename", NULL, 0))
    av_dict_set (&out->metadata, "filename", "attachment", 0);
  track->out = out;
  return TRUE;
}

/* libavformat's Matroska muxer writes it from 6.1 on. */
gboolean
output_loses_rotation (const AVOutputFormat *format, const AVStream *out)
{
#if LIBAVFORMAT_VERSION_INT < AV_VERSION_INT(60, 15, 100)
  const guint8 *matrix =
      av_stream_get_side_data (out, AV_PKT_DATA_DISPLAYMATRIX, NULL);

  return matrix && av_display_rotation_get ((const int32_t *) matrix) != 0
      && !g_str_equal (format->name, "mp4")
      && !g_str_equal (format->name, "mov");
#else
  return FALSE;
#endif
}

AVFormatContext *
output_new (const AVOutputFormat *format, GPtrArray *tracks,
    const AVDictionary *metadata, GError **error)
{
  AVFormatContext *muxer = NULL;
  guint i;

  if (avformat_alloc_output_context2 (&muxer, format, NULL, NULL) < 0)
    return NULL;
  /* Without this TrueHD in MP4 and Dolby Vision's data are left out. */
  muxer->strict_std_compliance = FF_COMPLIANCE_EXPERIMENTAL;
  /* As ffmpeg's own program: what MPEG's decoders may buffer. */
  muxer->max_delay = 7 * AV_TIME_BASE / 10;
  copy_metadata (&muxer->metadata, metadata);
  for (i = 0; i < tracks->len; i++) {
    Track *track = g_ptr_array_index (tracks, i);

    if (track->why || add_track (muxer, track))
      continue;
    g_set_error_literal (
        error, G_IO_ERROR, G_IO_ERROR_FAILED, "libavformat has no memory");
    avformat_free_context (muxer);
    return NULL;
  }
  return muxer;
}

gint
output_write_header (AVFormatContext *muxer)
{
  AVDictionary *options = NULL;
  gint result;

  /* The flags are the input's: none are made up. */
  if (is_matroska (muxer->oformat)) {
    av_dict_set (&options, "default_mode", "passthrough", 0);
    av_dict_set (&options, "allow_raw_vfw", "1", 0);
    /* The timeline begins at zero, but for a codec's delay, which is Matroska's to
     * tell. */
    muxer->avoid_negative_ts = 0;
  }
  /* A checksum of each cluster, which no player looks at, takes a quarter of the
   * processor's time (perf, 302 MB of transport stream); mkvmerge writes none. */
  if (muxer->oformat->priv_class)
    av_dict_set (&options, "write_crc32", "0", 0);
  result = avformat_write_header (muxer, &options);
  av_dict_free (&options);
  return result;
}

/* Times in us of the output. */
void
output_add_chapter (
    AVFormatContext *muxer, gint64 begin, gint64 end, const AVDictionary *about)
{
  AVChapter *chapter = av_mallocz (sizeof (AVChapter));

  muxer->chapters = av_realloc_array (
      muxer->chapters, muxer->nb_chapters + 1, sizeof (AVChapter *));
  chapter->id = muxer->nb_chapters + 1;
  chapter->time_base = AV_TIME_BASE_Q;
  chapter->start = begin;
  chapter->end = end;
  av_dict_copy (&chapter->metadata, about, 0);
  muxer->chapters[muxer->nb_chapters++] = chapter;
}
