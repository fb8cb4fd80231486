/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * When a packet is shown in the output.
 *
 * Problem: an input's clock begins anywhere, and may begin anew inside (a
 * recording of several parts, a DVD's cells, a Blu-ray's clips, 33 bits that are
 * full); inputs follow each other. All tracks have to be moved by the same time,
 * or sound and picture part; and the picture should go on without a hole.
 *
 * Strategy: of a disc the tables tell. Elsewhere a jump is seen in a track's own
 * times. Then packets are held until each track has jumped, which takes less than
 * a second or two, and the new clock is put where the picture goes on; a track
 * that was longer than the picture is not pushed back over itself. The beginning
 * of an input is such a jump too. A gap in one track, while others go on, is a gap.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "timeline.h"

/* A step that no stream takes by itself. Back: frames are told in the order of
 * decoding. Forth: as long as ffmpeg takes it for a gap. */
#define MAX_BACK (AV_TIME_BASE / 2)
#define MAX_FORTH (10 * AV_TIME_BASE)
/* So much of a track may come before another one is given up waiting for. */
#define MAX_HELD_TIME (3 * AV_TIME_BASE)
#define MAX_HELD 8192
/* Sound may reach over the picture's end by a frame or two, as it does when a
 * stream is cut. */
#define MAX_OVERLAP (AV_TIME_BASE / 10)
#define CLOCK_WRAP (G_GINT64_CONSTANT (1) << 33)

#define NONE AV_NOPTS_VALUE

typedef struct
{
  AVPacket *packet;
  Track *track;
} Item;

typedef struct
{
  gboolean is_fed; /* by this input, with sound or picture */
  gboolean is_video;
  gint64 end;   /* us of the output: where its last packet ends, or NONE */
  gint64 next;  /* us of the input's clock: when the next is decoded, or NONE */
  gint64 guess; /* the same, of what has come in */
  gint64 start; /* us of the new clock, or NONE */
  gint64 newest;
  gint64 position;   /* of its last packet in the input */
  gint64 part_begin; /* of the disc's part that was in */
  gboolean is_ahead; /* it jumped forth */
  gboolean is_late;  /* it waits for a picture to begin with: a later clip's */
} Slot;

struct _Timeline
{
  Source *source;
  gboolean may_restart;
  Slot *slots;
  guint n_slots;
  gint64 offset;
  gint64 first_offset;  /* of this input */
  gint64 offset_before; /* for packets that lie before the jump */
  gint64 jumped_at;     /* position in the input */
  gboolean has_begun;
  gboolean is_holding;
  gboolean is_beginning; /* of an input: not a jump inside */
  GQueue held;
  GQueue ready;
};

static void
item_free (gpointer data)
{
  Item *self = data;

  av_packet_free (&self->packet);
  g_free (self);
}

Timeline *
timeline_new (guint n_tracks)
{
  Timeline *self = g_new0 (Timeline, 1);
  guint i;

  self->n_slots = n_tracks;
  self->slots = g_new0 (Slot, n_tracks);
  for (i = 0; i < n_tracks; i++)
    self->slots[i].end = NONE;
  g_queue_init (&self->held);
  g_queue_init (&self->ready);
  return self;
}

void
timeline_free (Timeline *self)
{
  g_queue_clear_full (&self->held, item_free);
  g_queue_clear_full (&self->ready, item_free);
  g_free (self->slots);
  g_free (self);
}

static Slot *
get_slot (Timeline *self, const Track *track)
{
  return &self->slots[track->follows->out->index];
}

static gint64
to_us (gint64 time, AVRational base)
{
  return time == NONE ? NONE : av_rescale_q (time, base, AV_TIME_BASE_Q);
}

static gint64
get_duration (const Item *item)
{
  const AVStream *stream = item->track->stream;

  if (item->packet->duration > 0)
    return to_us (item->packet->duration, item->packet->time_base);
  if (stream->codecpar->codec_type == AVMEDIA_TYPE_VIDEO
      && stream->avg_frame_rate.num)
    return to_us (1, av_inv_q (stream->avg_frame_rate));
  return 0;
}

/* How much later the next one is decoded. (Matroska's demuxer gives reordered
 * frames odd durations.) */
static gint64
get_step (const Item *item)
{
  AVRational rate = item->track->stream->avg_frame_rate;

  return rate.num ? to_us (1, av_inv_q (rate)) : get_duration (item);
}

static gint64
get_pts (const Item *item)
{
  return to_us (item->packet->pts, item->packet->time_base);
}

static gint64
get_dts (const Item *item)
{
  return to_us (item->packet->dts, item->packet->time_base);
}

/* --- out ------------------------------------------------------------------------------- */

/* In a time base that can tell it: a picture's own may be a frame long. */
static void
shift (AVPacket *packet, gint64 us)
{
  gint64 by;

  if (us != 0 && av_cmp_q (packet->time_base, (AVRational){ 1, 10000 }) > 0) {
    av_packet_rescale_ts (packet, packet->time_base, AV_TIME_BASE_Q);
    packet->time_base = AV_TIME_BASE_Q;
  }
  by = av_rescale_q (us, AV_TIME_BASE_Q, packet->time_base);
  if (packet->pts != NONE)
    packet->pts += by;
  if (packet->dts != NONE)
    packet->dts += by;
}

/* @is_before: it is of the clock before the last jump, and comes late. */
static void
pass (Timeline *self, Item *item, gboolean is_before)
{
  Slot *slot = get_slot (self, item->track);

  if (!is_before)
    slot->next = get_dts (item) + get_step (item);
  shift (item->packet, is_before ? self->offset_before : self->offset);
  slot->end = MAX (slot->end, get_pts (item) + get_duration (item));
  g_queue_push_tail (&self->ready, item);
}

AVPacket *
timeline_pop (Timeline *self, Track **track)
{
  Item *item = g_queue_pop_head (&self->ready);
  AVPacket *packet;

  if (!item)
    return NULL;
  packet = item->packet;
  *track = item->track;
  g_free (item);
  return packet;
}

gint64
timeline_get_offset (Timeline *self)
{
  return self->first_offset;
}

gint64
timeline_get_position (Timeline *self)
{
  gint64 position = 0;
  guint i;

  for (i = 0; i < self->n_slots; i++)
    position = MAX (position, self->slots[i].end);
  return position;
}

/* --- jumps ------------------------------------------------------------------------------- */

static void
hold (Timeline *self, gboolean is_beginning)
{
  guint i;

  self->is_holding = TRUE;
  self->is_beginning = is_beginning;
  for (i = 0; i < self->n_slots; i++)
    self->slots[i].start = self->slots[i].newest = NONE;
}

/* The output's time of the new clock's zero. */
static gint64
find_offset (Timeline *self)
{
  gint64 of_video = NONE, of_any = NONE;
  guint i;

  for (i = 0; i < self->n_slots; i++) {
    const Slot *slot = &self->slots[i];

    if (slot->start == NONE || slot->end == NONE)
      continue;
    of_any = MAX (of_any, slot->end - slot->start);
    if (slot->is_video)
      of_video = MAX (of_video, slot->end - slot->start);
  }
  if (of_video != NONE && of_any - of_video <= MAX_OVERLAP)
    return of_video;
  return of_any;
}

/* The first time of all that is held. What Opus throws away at the beginning comes
 * before. */
static gint64
find_earliest (Timeline *self)
{
  gint64 earliest = G_MAXINT64;
  GList *link;

  for (link = self->held.head; link; link = link->next) {
    const Item *item = link->data;
    const AVCodecParameters *par = item->track->stream->codecpar;
    gint64 padding = par->codec_id == AV_CODEC_ID_OPUS
        ? av_rescale (par->initial_padding, AV_TIME_BASE, 48000)
        : 0;

    earliest = MIN (earliest, get_pts (item) + padding);
  }
  return earliest;
}

/* A picture that goes on shows that sound was away, not that the clock jumped. */
static gboolean
is_gap (Timeline *self)
{
  guint i;
  gboolean is_ahead = FALSE, has_stayed = FALSE;

  for (i = 0; i < self->n_slots; i++) {
    const Slot *slot = &self->slots[i];

    is_ahead |= slot->is_ahead;
    has_stayed |= slot->is_fed && slot->is_video && slot->start == NONE
        && slot->next != NONE;
  }
  return is_ahead && has_stayed;
}

static void
release (Timeline *self)
{
  Item *item;
  guint i;

  if (self->is_beginning && !self->has_begun)
    self->offset = self->held.length > 0 ? -find_earliest (self) : 0;
  else if (self->is_beginning || !is_gap (self)) {
    gint64 found = find_offset (self);

    self->offset_before = self->offset;
    self->offset = found != NONE ? found
                                 : timeline_get_position (self)
            - (self->held.length > 0 ? find_earliest (self) : 0);
  } else {
    self->jumped_at = -1;
  }
  if (self->is_beginning)
    self->first_offset = self->offset;
  self->has_begun = TRUE;
  self->is_holding = FALSE;
  for (i = 0; i < self->n_slots; i++)
    self->slots[i].is_ahead = FALSE;
  while ((item = g_queue_pop_head (&self->held)))
    pass (self, item, FALSE);
}

static gboolean
has_jumped (const Slot *slot, const Item *item)
{
  gint64 step;

  if (!slot->is_fed || slot->next == NONE)
    return FALSE;
  step = get_dts (item) - slot->next;
  return step < -MAX_BACK || step > MAX_FORTH;
}

static gboolean
is_ready (Timeline *self)
{
  gboolean are_all_here = TRUE;
  guint i;

  if (self->held.length >= MAX_HELD)
    return TRUE;
  for (i = 0; i < self->n_slots; i++) {
    const Slot *slot = &self->slots[i];

    if (slot->is_fed && slot->start != NONE
        && slot->newest - slot->start > MAX_HELD_TIME)
      return TRUE;
    are_all_here &= !slot->is_fed || slot->start != NONE;
  }
  return are_all_here;
}

static void
add_held (Timeline *self, Slot *slot, Item *item)
{
  gint64 time = get_pts (item);

  g_queue_push_tail (&self->held, item);
  if (slot->is_fed && (slot->start == NONE || time < slot->start))
    slot->start = time;
  slot->newest = MAX (slot->newest, time);
  if (is_ready (self))
    release (self);
}

/* Packets of several tracks come in the order in which they are complete, not
 * quite in that in which they lie. */
static gboolean
lies_before (const Timeline *self, const Item *item)
{
  return item->packet->pos < self->jumped_at;
}

static void
take_while_holding (Timeline *self, Slot *slot, Item *item)
{
  gboolean is_old = !self->is_beginning && slot->start == NONE
      && (slot->is_fed ? !has_jumped (slot, item) : lies_before (self, item));

  if (is_old) {
    pass (self, item, FALSE);
    return;
  }
  if (!self->is_beginning && slot->is_fed)
    self->jumped_at = MIN (self->jumped_at, item->packet->pos);
  add_held (self, slot, item);
}

static void
take (Timeline *self, Item *item)
{
  Slot *slot = get_slot (self, item->track);

  if (self->is_holding) {
    take_while_holding (self, slot, item);
  } else if (!self->may_restart || (slot->is_fed && !has_jumped (slot, item))) {
    pass (self, item, FALSE);
  } else if (lies_before (self, item) || !slot->is_fed) {
    pass (self, item, lies_before (self, item));
  } else {
    hold (self, FALSE);
    slot->is_ahead = get_dts (item) > slot->next;
    self->jumped_at = item->packet->pos;
    add_held (self, slot, item);
  }
}

/* --- a disc's parts ------------------------------------------------------------------------ */

/* To 90 kHz, whatever multiples of the clock's 33 bits libavformat has added. */
static gint64
place_in_part (const DiscPart *part, gint64 time)
{
  gint64 out = (time + part->offset) & (CLOCK_WRAP - 1);

  return out > CLOCK_WRAP / 2 ? out - CLOCK_WRAP : out;
}

/* FALSE: it is not of the title. A clip that is entered later brings sound of
 * before, and pictures that lead to nothing. */
static gboolean
place_on_disc (Timeline *self, Item *item)
{
  AVPacket *packet = item->packet;
  DiscPart part =
      disc_find_part (source_get_input (self->source)->disc, packet->pos);
  Slot *slot = get_slot (self, item->track);

  if (part.begin > slot->part_begin)
    slot->is_late = slot->is_video;
  slot->part_begin = MAX (part.begin, slot->part_begin);
  av_packet_rescale_ts (packet, packet->time_base, (AVRational){ 1, 90000 });
  packet->time_base = (AVRational){ 1, 90000 };
  if (packet->dts != NONE && packet->pts != NONE)
    packet->dts -= packet->pts;
  if (packet->pts != NONE)
    packet->pts = place_in_part (&part, packet->pts);
  if (packet->dts != NONE && packet->pts != NONE)
    packet->dts += packet->pts;
  if (packet->pts >= part.to)
    return FALSE;
  if (packet->pts < part.from)
    return slot->is_video && part.begin == 0;
  if (slot->is_late && part.from > G_MININT64 && part.begin > 0
      && !(packet->flags & AV_PKT_FLAG_KEY))
    return FALSE;
  slot->is_late = FALSE;
  return TRUE;
}

/* --- in ------------------------------------------------------------------------------------ */

void
timeline_begin_input (Timeline *self, Source *source)
{
  GPtrArray *tracks = source_get_tracks (source);
  guint i;

  self->source = source;
  self->may_restart = !source_get_input (source)->disc
      && (source_get_format (source)->iformat->flags & AVFMT_TS_DISCONT);
  self->jumped_at = -1;
  for (i = 0; i < self->n_slots; i++) {
    self->slots[i].is_fed = FALSE;
    self->slots[i].position = self->slots[i].part_begin = -1;
    self->slots[i].next = self->slots[i].guess = NONE;
  }
  for (i = 0; i < tracks->len; i++) {
    const Track *track = g_ptr_array_index (tracks, i);
    gint kind = track->stream->codecpar->codec_type;

    if (!track->follows || kind == AVMEDIA_TYPE_ATTACHMENT
        || (track->stream->disposition & AV_DISPOSITION_ATTACHED_PIC))
      continue;
    get_slot (self, track)->is_video = kind == AVMEDIA_TYPE_VIDEO;
    get_slot (self, track)->is_fed =
        kind == AVMEDIA_TYPE_VIDEO || kind == AVMEDIA_TYPE_AUDIO;
  }
  hold (self, TRUE);
}

/* What has no time of its own is decoded after the one before; the first frame as
 * much before it is shown as frames are reordered. */
static gint64
guess_dts (Timeline *self, const Item *item)
{
  const AVCodecParameters *par = item->track->stream->codecpar;
  gint64 next = get_slot (self, item->track)->guess;
  gint64 pts = get_pts (item);

  if (next == NONE)
    next = pts == NONE ? 0 : pts - MAX (par->video_delay, 0) * get_step (item);
  next = pts == NONE ? next : MIN (next, pts);
  return av_rescale_q (next, AV_TIME_BASE_Q, item->packet->time_base);
}

static void
complete_times (Timeline *self, Item *item)
{
  AVPacket *packet = item->packet;

  if (packet->dts == NONE)
    packet->dts = guess_dts (self, item);
  if (packet->pts == NONE)
    packet->pts = packet->dts;
  get_slot (self, item->track)->guess = get_dts (item) + get_step (item);
}

void
timeline_push (Timeline *self, Track *track, AVPacket *packet)
{
  Item *item = g_new (Item, 1);

  *item = (Item){ .packet = packet, .track = track };
  packet->time_base = track->stream->time_base;
  /* What a parser cuts from the middle of a packet has no position. */
  if (packet->pos < 0)
    packet->pos = get_slot (self, track)->position;
  get_slot (self, track)->position = packet->pos;
  if (source_get_input (self->source)->disc && packet->pts != NONE
      && !place_on_disc (self, item)) {
    item_free (item);
    return;
  }
  complete_times (self, item);
  take (self, item);
}

void
timeline_end_input (Timeline *self)
{
  if (self->is_holding)
    release (self);
}
