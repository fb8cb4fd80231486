/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a track's packets go through so that the output can hold them.
 *
 * Problem: discs have PCM with headers and sample layouts of their own, which
 * Matroska has no place for and which is noise if it is called PCM; MP4's text is
 * not Matroska's; MPEG-4 in AVI packs two pictures into one packet.
 *
 * Strategy: libavcodec knows both sides of each. PCM is decoded and written anew,
 * sample by sample the same; text is read and written in a syntax that the output
 * has; the rest is a bitstream filter.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "convert.h"

#include <libavcodec/avcodec.h>
#include <libavcodec/bsf.h>
#include <libavutil/opt.h>
#include <string.h>

#define MAX_TEXT (64 * 1024)

struct _Convert
{
  AVCodecParameters *par;
  AVRational time_base;
  AVBSFContext *filter;
  AVCodecContext *decoder;
  AVCodecContext *encoder;
  AVFrame *frame;
};

void
convert_free (Convert *self)
{
  avcodec_parameters_free (&self->par);
  av_bsf_free (&self->filter);
  avcodec_free_context (&self->decoder);
  avcodec_free_context (&self->encoder);
  av_frame_free (&self->frame);
  g_free (self);
}

const AVCodecParameters *
convert_get_parameters (const Convert *self)
{
  return self->filter ? self->filter->par_out : self->par;
}

AVRational
convert_get_time_base (const Convert *self)
{
  return self->filter ? self->filter->time_base_out : self->time_base;
}

gchar *
convert_describe (const Convert *self)
{
  if (self->filter)
    return NULL;
  return g_strdup_printf ("as %s", avcodec_get_name (self->par->codec_id));
}

/* --- setting up --------------------------------------------------------------------- */

static gboolean
is_pcm (const AVCodecParameters *par)
{
  const AVCodecDescriptor *about = avcodec_descriptor_get (par->codec_id);

  return about && g_str_has_prefix (about->name, "pcm_");
}

static gboolean
is_text (const AVCodecParameters *par)
{
  const AVCodecDescriptor *about = avcodec_descriptor_get (par->codec_id);

  return par->codec_type == AVMEDIA_TYPE_SUBTITLE && about
      && (about->props & AV_CODEC_PROP_TEXT_SUB);
}

/* The PCM that has these samples, little-endian. */
static enum AVCodecID
choose_pcm (const AVCodecParameters *par)
{
  switch (par->format) {
    case AV_SAMPLE_FMT_U8:
      return AV_CODEC_ID_PCM_U8;
    case AV_SAMPLE_FMT_S16:
      return AV_CODEC_ID_PCM_S16LE;
    case AV_SAMPLE_FMT_S32:
      return par->bits_per_coded_sample > 24 ? AV_CODEC_ID_PCM_S32LE
                                             : AV_CODEC_ID_PCM_S24LE;
    case AV_SAMPLE_FMT_FLT:
      return AV_CODEC_ID_PCM_F32LE;
    case AV_SAMPLE_FMT_DBL:
      return AV_CODEC_ID_PCM_F64LE;
    default:
      return AV_CODEC_ID_NONE;
  }
}

static gboolean
can_hold (const AVOutputFormat *format, enum AVCodecID id)
{
  return id != AV_CODEC_ID_NONE && avcodec_find_encoder (id)
      && avformat_query_codec (format, id, FF_COMPLIANCE_EXPERIMENTAL) == 1;
}

static enum AVCodecID
choose_text (const AVOutputFormat *format)
{
  static const enum AVCodecID ids[] = { AV_CODEC_ID_SUBRIP,
    AV_CODEC_ID_MOV_TEXT, AV_CODEC_ID_WEBVTT };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (ids); i++) {
    if (can_hold (format, ids[i]))
      return ids[i];
  }
  return AV_CODEC_ID_NONE;
}

static gboolean
open_decoder (Convert *self, const AVStream *stream)
{
  const AVCodec *codec = avcodec_find_decoder (stream->codecpar->codec_id);

  self->decoder = codec ? avcodec_alloc_context3 (codec) : NULL;
  if (!self->decoder
      || avcodec_parameters_to_context (self->decoder, stream->codecpar) < 0)
    return FALSE;
  self->decoder->pkt_timebase = stream->time_base;
  return avcodec_open2 (self->decoder, codec, NULL) >= 0;
}

static gboolean
open_encoder (Convert *self, const AVStream *stream, enum AVCodecID id)
{
  const AVCodecParameters *par = stream->codecpar;
  const AVCodec *codec = avcodec_find_encoder (id);

  self->encoder = avcodec_alloc_context3 (codec);
  if (par->codec_type == AVMEDIA_TYPE_AUDIO) {
    self->encoder->sample_fmt = par->format;
    self->encoder->sample_rate = par->sample_rate;
    av_channel_layout_copy (&self->encoder->ch_layout, &par->ch_layout);
    self->encoder->time_base = (AVRational){ 1, par->sample_rate };
  } else {
    self->encoder->time_base = (AVRational){ 1, 1000 };
    self->encoder->subtitle_header =
        (uint8_t *) av_strdup (self->decoder->subtitle_header
                ? (const char *) self->decoder->subtitle_header
                : "");
    self->encoder->subtitle_header_size =
        strlen ((const char *) self->encoder->subtitle_header);
  }
  if (avcodec_open2 (self->encoder, codec, NULL) < 0)
    return FALSE;
  self->par = avcodec_parameters_alloc ();
  self->time_base = stream->time_base;
  return avcodec_parameters_from_context (self->par, self->encoder) >= 0;
}

Convert *
convert_new_for (const AVStream *stream, const AVOutputFormat *format)
{
  enum AVCodecID id = AV_CODEC_ID_NONE;
  Convert *self;

  if (is_pcm (stream->codecpar))
    id = choose_pcm (stream->codecpar);
  else if (is_text (stream->codecpar))
    id = choose_text (format);
  if (!can_hold (format, id))
    return NULL;
  self = g_new0 (Convert, 1);
  self->frame = av_frame_alloc ();
  if (open_decoder (self, stream) && open_encoder (self, stream, id))
    return self;
  convert_free (self);
  return NULL;
}

Convert *
convert_new_filter (const AVStream *stream, const gchar *names)
{
  Convert *self = g_new0 (Convert, 1);

  if (av_bsf_list_parse_str (names, &self->filter) >= 0
      && avcodec_parameters_copy (self->filter->par_in, stream->codecpar)
          >= 0) {
    self->filter->time_base_in = stream->time_base;
    if (av_bsf_init (self->filter) >= 0)
      return self;
  }
  convert_free (self);
  return NULL;
}

/* --- packets ------------------------------------------------------------------------- */

static gint
send_to_filter (
    Convert *self, AVPacket *packet, ConvertTake take, gpointer user_data)
{
  gint result = av_bsf_send_packet (self->filter, packet);

  while (result >= 0) {
    AVPacket *made = av_packet_alloc ();

    result = av_bsf_receive_packet (self->filter, made);
    if (result >= 0)
      result = take (made, user_data);
    else
      av_packet_free (&made);
  }
  av_packet_free (&packet);
  return result == AVERROR (EAGAIN) || result == AVERROR_EOF ? 0 : result;
}

/* A packet is a frame is a packet: it keeps its times. */
static gint
send_pcm (Convert *self, AVPacket *packet, ConvertTake take, gpointer user_data)
{
  AVPacket *made = av_packet_alloc ();
  gint result = avcodec_send_packet (self->decoder, packet);

  if (result >= 0)
    result = avcodec_receive_frame (self->decoder, self->frame);
  if (result >= 0)
    result = avcodec_send_frame (self->encoder, self->frame);
  if (result >= 0)
    result = avcodec_receive_packet (self->encoder, made);
  if (result >= 0) {
    av_packet_copy_props (made, packet);
    made->time_base = packet->time_base;
    made->flags |= AV_PKT_FLAG_KEY;
    result = take (made, user_data);
  } else {
    av_packet_free (&made);
  }
  av_packet_free (&packet);
  /* Half a frame where the stream was cut is none. */
  return result == AVERROR (EAGAIN) || result == AVERROR_INVALIDDATA ? 0
                                                                     : result;
}

static AVPacket *
encode_text (Convert *self, AVSubtitle *subtitle, const AVPacket *from)
{
  g_autofree guint8 *text = g_malloc (MAX_TEXT);
  AVPacket *made = av_packet_alloc ();
  gint size;

  subtitle->start_display_time = 0;
  size = avcodec_encode_subtitle (self->encoder, text, MAX_TEXT, subtitle);
  if (size <= 0 || av_new_packet (made, size) < 0) {
    av_packet_free (&made);
    return NULL;
  }
  memcpy (made->data, text, size);
  made->pts = made->dts = from->pts;
  made->duration = from->duration;
  made->pos = from->pos;
  made->time_base = from->time_base;
  made->flags |= AV_PKT_FLAG_KEY;
  return made;
}

static gint
send_text (
    Convert *self, AVPacket *packet, ConvertTake take, gpointer user_data)
{
  AVSubtitle subtitle = { 0 };
  AVPacket *made = NULL;
  gint got = 0;

  avcodec_decode_subtitle2 (self->decoder, &subtitle, &got, packet);
  if (got && subtitle.num_rects > 0)
    made = encode_text (self, &subtitle, packet);
  if (got)
    avsubtitle_free (&subtitle);
  av_packet_free (&packet);
  return made ? take (made, user_data) : 0;
}

gint
convert_send (
    Convert *self, AVPacket *packet, ConvertTake take, gpointer user_data)
{
  if (self->filter)
    return send_to_filter (self, packet, take, user_data);
  if (!packet)
    return 0;
  if (self->par->codec_type == AVMEDIA_TYPE_AUDIO)
    return send_pcm (self, packet, take, user_data);
  return send_text (self, packet, take, user_data);
}
