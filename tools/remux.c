/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The run: each input's packets, in the output's time, to the muxer.
 *
 * Threads: one reads and demuxes, the run's own places and muxes, and the sink's
 * writes: none waits for another's work. The first two meet in a queue of a few MB
 * (reader.c). If nothing has come out of it for as long as the guard's patience,
 * or the user wants an end, the file is finished without the reader, which may be
 * stuck in the kernel.
 *
 * An input that breaks off is damage: what was read becomes a whole file, and the
 * run says where it broke off. What the muxer or the sink refuse is a failure.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "avlog.h"
#include "chain.h"
#include "convert.h"
#include "fill.h"
#include "output.h"
#include "reader.h"
#include "remux.h"
#include "timeline.h"

/* An input that ends this much before it should is worth a word. */
#define MAX_SHORTFALL AV_TIME_BASE

struct _Remux
{
  const RemuxSetup *setup;
  Source *source;   /* the present input's */
  GPtrArray *first; /* the first input's tracks */
  Source *first_source;
  guint present;
  AVFormatContext *muxer;
  Timeline *timeline;
  gint64 *last; /* dts of each output track */
  gboolean has_header;
  gint code; /* of the muxer */
  gchar *damage;
  gboolean is_incomplete;
  gboolean is_stuck; /* the present source's reader */
  guint n_late;
  guint n_corrupt;
  GArray *durations; /* gint64, us, of each input */
  guint64 size;

  /* For other threads. */
  guint64 read;
  gint64 position;
};

static void G_GNUC_PRINTF (3, 4)
    tell (Remux *self, const gchar *level, const gchar *format, ...)
{
  g_autofree gchar *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  self->setup->tell (level, text, self->setup->user_data);
}

static Input *
get_input (Remux *self, guint i)
{
  return g_ptr_array_index (self->setup->inputs, i);
}

/* --- chapters ---------------------------------------------------------------------------- */

static void
add_disc_chapters (Remux *self, gint64 offset)
{
  const GArray *begins = source_get_input (self->source)->title->chapters;
  guint first = MAX (self->setup->source.first_chapter, 1);
  guint last = self->setup->source.last_chapter;
  guint i;

  last = last ? MIN (last, begins->len) : begins->len;
  if (begins->len < 2)
    return;
  for (i = first; i <= last; i++) {
    g_autofree gchar *name = g_strdup_printf ("Chapter %u", i);
    gint64 begin = g_array_index (begins, gint64, i - 1);
    gint64 end = i < begins->len ? g_array_index (begins, gint64, i)
                                 : source_get_duration (self->source);
    AVDictionary *about = NULL;

    av_dict_set (&about, "title", name, 0);
    output_add_chapter (
        self->muxer, MAX (begin + offset, 0), MAX (end + offset, 0), about);
    av_dict_free (&about);
  }
}

static void
add_file_chapters (Remux *self, gint64 offset)
{
  AVFormatContext *format = source_get_format (self->source);
  guint first = MAX (self->setup->source.first_chapter, 1);
  guint last = self->setup->source.last_chapter;
  guint i;

  for (i = first; i <= format->nb_chapters && (!last || i <= last); i++) {
    const AVChapter *chapter = format->chapters[i - 1];
    gint64 begin =
        av_rescale_q (chapter->start, chapter->time_base, AV_TIME_BASE_Q);
    gint64 end =
        av_rescale_q (chapter->end, chapter->time_base, AV_TIME_BASE_Q);

    output_add_chapter (self->muxer, MAX (begin + offset, 0),
        MAX (end + offset, 0), chapter->metadata);
  }
}

/* Of the present input; once it is known where it lies. */
static void
add_chapters (Remux *self)
{
  gint64 offset = timeline_get_offset (self->timeline);

  if (source_get_input (self->source)->disc)
    add_disc_chapters (self, offset);
  else
    add_file_chapters (self, offset);
}

/* --- to the muxer ----------------------------------------------------------------------- */

/* The header waits for the first packet: then an only input's chapters have their
 * place. Those of several come at the end, where Matroska takes them. */
static gint
begin_output (Remux *self)
{
  guint i;
  gint result = output_write_header (self->muxer);

  self->has_header = result >= 0;
  self->last = g_new (gint64, self->muxer->nb_streams);
  for (i = 0; i < self->muxer->nb_streams; i++)
    self->last[i] = AV_NOPTS_VALUE;
  return result;
}

typedef struct
{
  Remux *remux;
  Track *track;
} Target;

/* Times of decoding go on, or the muxer refuses the packet. */
static void
keep_order (Remux *self, AVPacket *packet)
{
  gint64 *last = &self->last[packet->stream_index];
  gboolean is_strict = !(self->muxer->oformat->flags & AVFMT_TS_NONSTRICT);

  if (*last != AV_NOPTS_VALUE && packet->dts < *last + is_strict)
    packet->dts = *last + is_strict;
  if (packet->pts < packet->dts)
    packet->pts = packet->dts;
  *last = packet->dts;
}

/* Opus: Matroska's times count its delay in, libavformat's do not, and its muxer
 * forgets to add it (5.1 to 7.1). */
static void
add_delay (Remux *self, AVPacket *packet)
{
#if LIBAVFORMAT_VERSION_MAJOR < 62
  const AVStream *out = self->muxer->streams[packet->stream_index];
  gint64 delay;

  if (out->codecpar->codec_id != AV_CODEC_ID_OPUS
      || !g_regex_match_simple (
          "^(matroska|webm)$", self->muxer->oformat->name, 0, 0))
    return;
  delay = av_rescale_q (
      out->codecpar->initial_padding, (AVRational){ 1, 48000 }, out->time_base);
  packet->pts += delay;
  packet->dts += delay;
#endif
}

/* Takes the packet. */
static gint
write_packet (AVPacket *packet, gpointer user_data)
{
  const Target *target = user_data;
  Remux *self = target->remux;
  Track *track = target->track;
  AVStream *out = track->follows->out;
  AVRational base = track->convert ? convert_get_time_base (track->convert)
                                   : packet->time_base;
  gint result;

  /* A filter keeps the time base of the stream; a disc's are of 90 kHz by now. */
  if (packet->time_base.num)
    base = packet->time_base;
  packet->stream_index = out->index;
  av_packet_rescale_ts (packet, base, out->time_base);
  packet->pos = -1;
  add_delay (self, packet);
  keep_order (self, packet);
  if (packet->flags & AV_PKT_FLAG_CORRUPT)
    self->n_corrupt++;
  result = av_interleaved_write_frame (self->muxer, packet);
  av_packet_free (&packet);
  if (result >= 0)
    track->follows->n_written++;
  return result;
}

static gint
send_packet (Remux *self, Track *track, AVPacket *packet)
{
  Target target = { self, track };

  if (!self->has_header) {
    gint result;

    if (self->setup->inputs->len == 1)
      add_chapters (self);
    result = begin_output (self);
    if (result < 0) {
      av_packet_free (&packet);
      return result;
    }
  }
  if (track->convert)
    return convert_send (track->convert, packet, write_packet, &target);
  return write_packet (packet, &target);
}

/* All whose place is known by now. */
static gint
drain (Remux *self)
{
  AVPacket *packet;
  Track *track;
  gint result = 0;

  while (result >= 0 && (packet = timeline_pop (self->timeline, &track)))
    result = send_packet (self, track, packet);
  __atomic_store_n (&self->position, timeline_get_position (self->timeline),
      __ATOMIC_RELAXED);
  return result;
}

/* --- from the reader ------------------------------------------------------------------- */

static gboolean
needs_times (const Track *track, const AVPacket *packet)
{
  return track->stream->codecpar->codec_type == AVMEDIA_TYPE_VIDEO
      && packet->pts == AV_NOPTS_VALUE && packet->dts != AV_NOPTS_VALUE;
}

static void
pull_filled (Remux *self, Track *track, gboolean at_end)
{
  AVPacket *packet;

  while (track->fill && (packet = fill_pop (track->fill, at_end)))
    timeline_push (self->timeline, track, packet);
}

static gboolean
is_cover (const Track *track)
{
  return track->stream->disposition & AV_DISPOSITION_ATTACHED_PIC && track->out
      && track->out->codecpar->codec_type == AVMEDIA_TYPE_ATTACHMENT;
}

static gint
take_packet (Remux *self, Track *track, AVPacket *packet)
{
  if (!track)
    self->n_late++;
  if (!track || !track->follows || is_cover (track)) {
    av_packet_free (&packet);
    return 0;
  }
  if (!track->fill && needs_times (track, packet))
    track->fill = fill_new (track->stream);
  if (track->fill) {
    fill_push (track->fill, packet);
    pull_filled (self, track, FALSE);
  } else {
    timeline_push (self->timeline, track, packet);
  }
  return drain (self);
}

static gint
end_input (Remux *self)
{
  GPtrArray *tracks = source_get_tracks (self->source);
  gint result;
  guint i;

  for (i = 0; i < tracks->len; i++)
    pull_filled (self, g_ptr_array_index (tracks, i), TRUE);
  timeline_end_input (self->timeline);
  result = drain (self);
  for (i = 0; i < tracks->len && result >= 0; i++) {
    Track *track = g_ptr_array_index (tracks, i);
    Target target = { self, track };

    if (track->convert && track->follows && self->has_header)
      result = convert_send (track->convert, NULL, write_packet, &target);
  }
  return result;
}

/* --- what is wrong with an input ---------------------------------------------------------- */

static void
note_damage (Remux *self, gint code)
{
  g_autofree gchar *place = source_describe_place (self->source);
  g_autofree gchar *words = NULL;
  gint seconds = timeline_get_position (self->timeline) / AV_TIME_BASE;

  if (guard_is_stuck (self->setup->guard))
    words = g_strdup_printf ("nothing has come for %d s",
        (gint) (guard_get_idle (self->setup->guard) / G_USEC_PER_SEC));
  else if (AVUNERROR (code) > 0 && AVUNERROR (code) < 256)
    words = g_strdup (g_strerror (AVUNERROR (code)));
  else
    words = av_log_describe (code);
  self->damage = g_strdup_printf ("%s: cannot be read to its end (%d:%02d:%02d "
                                  "into the output), kept what there was: %s",
      place, seconds / 3600, seconds / 60 % 60, seconds % 60, words);
}

/* A track that is left out may be the one that is as long as was declared. */
static gboolean
is_all_kept (Remux *self)
{
  GPtrArray *tracks = source_get_tracks (self->source);
  guint i;

  for (i = 0; i < tracks->len; i++) {
    const Track *track = g_ptr_array_index (tracks, i);

    if (track->n_read > 0 && !track->follows)
      return FALSE;
  }
  return TRUE;
}

static void
check_shortfall (Remux *self, gint64 began)
{
  gint64 declared = source_get_duration (self->source);
  gint64 reached = timeline_get_position (self->timeline) - began;
  gint64 start = MAX (source_get_format (self->source)->start_time, 0);

  if (declared <= 0 || self->setup->source.first_chapter > 0
      || !source_declares_duration (self->source) || !is_all_kept (self)
      || guard_get_level (self->setup->guard) != GUARD_GO
      || declared < reached + start + MAX (MAX_SHORTFALL, declared / 50))
    return;
  self->is_incomplete = TRUE;
  tell (self, "warning", "%s: ends %.1f s before it should: is it all there?",
      source_get_input (self->source)->name,
      (gdouble) (declared - reached) / AV_TIME_BASE);
}

static void
report_input (Remux *self)
{
  const gchar *name = source_get_input (self->source)->name;

  if (self->n_late > 0) {
    self->is_incomplete = TRUE;
    tell (self, "warning",
        "%s: a track that appears later on is left out, %u packets (--scan "
        "looks for such before it begins)",
        name, self->n_late);
  }
  /* Where a disc's clips meet, half a packet is nothing unusual. */
  if (self->n_corrupt > 0
      && !(source_get_format (self->source)->iformat->flags
          & AVFMT_TS_DISCONT)) {
    self->is_incomplete = TRUE;
    tell (self, "warning",
        "%s: %u packets are not all there, and kept as they are: is it cut "
        "off?",
        name, self->n_corrupt);
  } else if (self->n_corrupt > 0 && !source_get_input (self->source)->disc)
    tell (self, "note", "%s: %u packets are damaged, and kept as they are",
        name, self->n_corrupt);
  self->n_late = self->n_corrupt = 0;
}

/* --- the inputs, one after the other ------------------------------------------------------- */

/* 0, or what the muxer says; damage is noted. */
static gint
copy_input (Remux *self)
{
  Reader *reader = reader_start (self->source, self->setup->guard);
  gint64 end = source_get_end (self->source);
  AVPacket *packet;
  Track *track;
  gint code = 0, result = 0;

  while (result >= 0 && (packet = reader_take (reader, &track, &code))) {
    if (packet->pos > 0)
      __atomic_store_n (&self->read, packet->pos, __ATOMIC_RELAXED);
    if (end != G_MAXINT64 && packet->dts != AV_NOPTS_VALUE && track
        && av_compare_ts (
               packet->dts, track->stream->time_base, end, AV_TIME_BASE_Q)
            >= 0)
      av_packet_free (&packet);
    else
      result = take_packet (self, track, packet);
  }
  if (result >= 0)
    result = end_input (self);
  __atomic_store_n (
      &self->read, source_get_read (self->source), __ATOMIC_RELAXED);
  if (result >= 0 && code < 0 && code != AVERROR_EOF
      && guard_get_level (self->setup->guard) == GUARD_GO)
    note_damage (self, code);
  self->is_stuck = !reader_stop (reader);
  return result;
}

/* It was there when the run began: if it is not now, what came before is kept. */
static gboolean
open_next (Remux *self)
{
  Input *input = get_input (self, self->present);
  g_autoptr (GError) error = NULL;

  if (self->source != self->first_source)
    g_clear_pointer (&self->source, source_free);
  self->source =
      source_open (input, &self->setup->source, self->setup->guard, &error);
  if (self->source
      && chain_match (self->first, self->source, self->setup->format, &error))
    return TRUE;
  if (guard_get_level (self->setup->guard) == GUARD_GO)
    self->damage =
        g_strdup_printf ("%s; kept what came before", error->message);
  return FALSE;
}

static void
copy_inputs (Remux *self)
{
  for (self->present = 0; self->present < self->setup->inputs->len;
       self->present++) {
    gint64 began = timeline_get_position (self->timeline);

    if (guard_get_level (self->setup->guard) != GUARD_GO)
      break;
    if (self->present > 0 && !open_next (self))
      break;
    timeline_begin_input (self->timeline, self->source);
    self->code = copy_input (self);
    if (self->code < 0)
      return;
    if (self->setup->inputs->len > 1)
      add_chapters (self);
    report_input (self);
    if (self->damage)
      break;
    check_shortfall (self, began);
  }
}

/* A track of which the file has nothing. */
static void
report_empty (Remux *self, GError **error)
{
  guint i, n = 0;

  for (i = 0; i < self->first->len; i++) {
    const Track *track = g_ptr_array_index (self->first, i);
    g_autofree gchar *text = track_describe (track);
    gint kind = track->stream->codecpar->codec_type;

    if (track->is_silent && track->n_read > 0) {
      tell (self, "warning",
          "%s: has data after all, and is left out (--scan "
          "looks for such before it begins)",
          text);
      self->is_incomplete = TRUE;
    }
    if (!track->out || kind == AVMEDIA_TYPE_ATTACHMENT || is_cover (track))
      continue;
    n += track->n_written > 0;
    if (track->n_written > 0
        || guard_get_level (self->setup->guard) != GUARD_GO)
      continue;
    if (kind == AVMEDIA_TYPE_SUBTITLE && track->n_read == 0
        && self->setup->source.first_chapter > 0)
      continue;
    tell (self, "warning", "%s: not one frame came", text);
    self->is_incomplete |= kind != AVMEDIA_TYPE_SUBTITLE || track->n_read > 0;
  }
  if (n > 0)
    return;
  if (guard_get_level (self->setup->guard) != GUARD_GO)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CANCELLED,
        "interrupted before anything was written");
  else
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s",
        self->damage ? self->damage : "no track has any data");
}

gboolean
remux_run (Remux *self, AvSink *sink, GError **error)
{
  g_autoptr (GError) failure = NULL;

  av_sink_attach (sink, self->muxer);
  self->timeline = timeline_new (self->muxer->nb_streams);
  copy_inputs (self);
  if (self->code >= 0)
    report_empty (self, &failure);
  if (!failure && self->code >= 0)
    self->code = av_write_trailer (self->muxer);
  if (!failure && self->code < 0) {
    g_autofree gchar *words = av_log_describe (self->code);

    g_set_error (&failure, G_IO_ERROR, G_IO_ERROR_FAILED, "%s", words);
  }
  if (!failure)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&failure));
  return FALSE;
}

/* --- before and after ---------------------------------------------------------------------- */

static void
note_input (Remux *self, Source *source)
{
  gint64 duration = source_get_duration (source);

  g_array_append_val (self->durations, duration);
}

static gboolean
inspect_others (Remux *self, GError **error)
{
  guint i;

  for (i = 1; i < self->setup->inputs->len; i++) {
    g_autoptr (Source) source = source_open (
        get_input (self, i), &self->setup->source, self->setup->guard, error);

    if (!source
        || !chain_match (self->first, source, self->setup->format, error))
      return FALSE;
    note_input (self, source);
    self->is_incomplete |=
        chain_report (source, i, self->setup->tell, self->setup->user_data);
  }
  return TRUE;
}

static void
check_rotation (Remux *self, const Track *track)
{
  g_autofree gchar *text = track_describe (track);

  if (!track->out || !output_loses_rotation (self->setup->format, track->out))
    return;
  tell (self, "warning",
      "%s: that its picture is turned is left out: this libavformat's muxer "
      "has "
      "no place for it",
      text);
  self->is_incomplete = TRUE;
}

static gboolean
set_up (Remux *self, GError **error)
{
  AVFormatContext *format = source_get_format (self->first_source);
  guint i;

  self->muxer =
      output_new (self->setup->format, self->first, format->metadata, error);
  if (!self->muxer)
    return FALSE;
  for (i = 0; i < self->first->len; i++) {
    Track *track = g_ptr_array_index (self->first, i);

    track->follows = track->out ? track : NULL;
    check_rotation (self, track);
    self->is_incomplete |= track->why && !track->unwanted && !track->is_silent
        && track->stream->codecpar->codec_type != AVMEDIA_TYPE_DATA;
  }
  note_input (self, self->first_source);
  if (!inspect_others (self, error))
    return FALSE;
  for (i = 0; i < self->setup->inputs->len; i++)
    self->size += get_input (self, i)->size;
  return TRUE;
}

Remux *
remux_new (const RemuxSetup *setup, Source *source, GError **error)
{
  g_autoptr (Remux) self = g_new0 (Remux, 1);

  self->setup = setup;
  self->source = self->first_source = source;
  self->first = source_get_tracks (source);
  self->durations = g_array_new (FALSE, FALSE, sizeof (gint64));
  return set_up (self, error) ? g_steal_pointer (&self) : NULL;
}

const gchar *
remux_get_damage (Remux *self)
{
  return self->damage;
}

gboolean
remux_is_incomplete (Remux *self)
{
  return self->is_incomplete;
}

GPtrArray *
remux_get_tracks (Remux *self)
{
  return self->first;
}

void
remux_get_progress (Remux *self, RemuxProgress *progress)
{
  guint i;

  progress->read = __atomic_load_n (&self->read, __ATOMIC_RELAXED);
  for (i = 0; i < self->present; i++)
    progress->read += get_input (self, i)->size;
  progress->size = self->size;
  if (progress->size > 0)
    progress->read = MIN (progress->read, progress->size);
  progress->position = __atomic_load_n (&self->position, __ATOMIC_RELAXED);
  progress->duration = 0;
  for (i = 0; i < self->durations->len; i++)
    progress->duration += MAX (g_array_index (self->durations, gint64, i), 0);
}

void
remux_free (Remux *self)
{
  if (self->is_stuck)
    return; /* its reader may come back any time */
  if (self->source && self->source != self->first_source)
    source_free (self->source);
  avformat_free_context (self->muxer);
  g_clear_pointer (&self->timeline, timeline_free);
  g_clear_pointer (&self->first_source, source_free);
  g_clear_pointer (&self->durations, g_array_unref);
  g_free (self->last);
  g_free (self->damage);
  g_free (self);
}
