/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The times of showing that a container does not tell.
 *
 * Problem: AVI tells when a frame is decoded, a program stream often not even
 * that; libavformat computes the rest, but the times at which reordered frames are
 * shown only with AVFMT_FLAG_GENPTS, which reads on without a bound where a clock
 * begins anew (5.1 to 7.1), and not for H.264 and H.265.
 *
 * Strategy: frames wait for the ones behind them, a few dozen at most. In MPEG-1,
 * -2, -4 and VC-1 a frame that others are made from is shown when the next such
 * frame is decoded. In H.264 and H.265 the order of showing is in each picture,
 * where libavcodec's parser finds it: the n-th that is shown is shown when the
 * n-th is decoded, and the depth of the reordering later.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "fill.h"

#include <libavcodec/avcodec.h>

#define MAX_WAITING 64

typedef struct
{
  AVPacket *packet;
  gint64 order; /* of showing, in this group of pictures */
  guint group;
  gboolean is_open; /* its pts is still to be found */
} Waiting;

struct _Fill
{
  AVCodecParserContext *parser; /* H.264 and H.265 */
  AVCodecContext *codec;
  gint depth;
  gint64 step; /* time base */
  GQueue waiting;
  guint group;
  GArray *times; /* of decoding, of those whose like is not shown yet */
};

Fill *
fill_new (const AVStream *stream)
{
  Fill *self = g_new0 (Fill, 1);
  enum AVCodecID id = stream->codecpar->codec_id;
  AVRational rate = stream->avg_frame_rate.num ? stream->avg_frame_rate
                                               : stream->r_frame_rate;

  if (id == AV_CODEC_ID_H264 || id == AV_CODEC_ID_HEVC)
    self->parser = av_parser_init (id);
  if (self->parser) {
    self->parser->flags |= PARSER_FLAG_COMPLETE_FRAMES;
    self->codec = avcodec_alloc_context3 (NULL);
    avcodec_parameters_to_context (self->codec, stream->codecpar);
  }
  self->depth = stream->codecpar->video_delay;
  self->step =
      rate.num ? av_rescale_q (1, av_inv_q (rate), stream->time_base) : 0;
  self->times = g_array_new (FALSE, FALSE, sizeof (gint64));
  g_queue_init (&self->waiting);
  return self;
}

void
fill_free (Fill *self)
{
  Waiting *item;

  while ((item = g_queue_pop_head (&self->waiting))) {
    av_packet_free (&item->packet);
    g_free (item);
  }
  av_parser_close (self->parser);
  avcodec_free_context (&self->codec);
  g_array_unref (self->times);
  g_free (self);
}

static const Waiting *
get_last (const Fill *self)
{
  return self->waiting.tail->data;
}

/* --- MPEG-1, -2, -4, VC-1 ---------------------------------------------------------- */

/* The frame before this one that waits is shown now. */
static void
close_before (Fill *self, gint64 time)
{
  GList *link;

  for (link = self->waiting.head; link; link = link->next) {
    Waiting *item = link->data;

    if (!item->is_open)
      continue;
    /* The clock has begun anew: of the old ones it is shown last. */
    if (time < item->packet->dts || time > item->packet->dts + 90 * self->step)
      time = get_last (self)->packet->dts + self->step;
    item->packet->pts = time;
    item->is_open = FALSE;
    return;
  }
}

/* --- H.264, H.265 ------------------------------------------------------------------- */

static gboolean
find_order (Fill *self, Waiting *item)
{
  guint8 *data;
  gint size;

  av_parser_parse2 (self->parser, self->codec, &data, &size, item->packet->data,
      item->packet->size, AV_NOPTS_VALUE, AV_NOPTS_VALUE, 0);
  item->order = self->parser->output_picture_number;
  return self->parser->key_frame == 1 && item->order == 0;
}

/* The next that is shown among those that wait. */
static Waiting *
find_lowest (Fill *self, guint *n)
{
  Waiting *lowest = NULL;
  GList *link;

  *n = 0;
  for (link = self->waiting.head; link; link = link->next) {
    Waiting *item = link->data;

    if (!item->is_open)
      continue;
    ++*n;
    if (!lowest || item->group < lowest->group
        || (item->group == lowest->group && item->order < lowest->order))
      lowest = item;
  }
  return lowest;
}

static void
show_lowest (Fill *self, guint keep)
{
  Waiting *item;
  guint n;

  while ((item = find_lowest (self, &n)) && n > keep && self->times->len > 0) {
    gint64 time = g_array_index (self->times, gint64, 0);

    g_array_remove_index (self->times, 0);
    item->packet->pts =
        MAX (time + self->depth * self->step, item->packet->dts);
    item->is_open = FALSE;
  }
}

/* --- both --------------------------------------------------------------------------- */

void
fill_push (Fill *self, AVPacket *packet)
{
  Waiting *item = g_new0 (Waiting, 1);
  gboolean is_late =
      packet->pts == AV_NOPTS_VALUE || packet->pts != packet->dts;

  item->packet = packet;
  item->is_open =
      packet->pts == AV_NOPTS_VALUE && packet->dts != AV_NOPTS_VALUE;
  if (self->parser && find_order (self, item))
    self->group++;
  item->group = self->group;
  if (!self->parser && is_late && packet->dts != AV_NOPTS_VALUE)
    close_before (self, packet->dts);
  g_queue_push_tail (&self->waiting, item);
  if (!self->parser || !item->is_open)
    return;
  g_array_append_val (self->times, packet->dts);
  show_lowest (self, self->depth);
}

AVPacket *
fill_pop (Fill *self, gboolean at_end)
{
  Waiting *item = g_queue_peek_head (&self->waiting);
  AVPacket *packet;

  if (!item)
    return NULL;
  if (item->is_open && at_end && self->parser)
    show_lowest (self, 0);
  if (item->is_open && !at_end
      && g_queue_get_length (&self->waiting) < MAX_WAITING)
    return NULL;
  if (item->is_open)
    item->packet->pts =
        at_end ? get_last (self)->packet->dts + self->step : item->packet->dts;
  packet = item->packet;
  g_free (g_queue_pop_head (&self->waiting));
  return packet;
}
