/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * An input that is open: its tracks, then its packets.
 *
 * Problem: the output's header wants all tracks before the first packet, but a
 * transport or program stream has them where they begin, which may be an hour
 * later.
 *
 * Strategy: libavformat reads, over a reader of our own that joins files and
 * hands out a disc's title; what it opens itself (URLs, pipes) goes through it
 * alone. Where a format has no table of tracks, other places of the input are
 * looked at as well, and what is met there only is known by its id (the PID, the
 * substream's number) when it comes. A disc's tables say what it has.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "avlog.h"
#include "joined.h"
#include "source.h"

#include <errno.h>
#include <string.h>

#define READ_SIZE (256 * 1024)

/* TrueHD and PGS are not complete in the 5 MB that libavformat looks at. */
#define PROBE_SIZE (24 * 1024 * 1024)
/* What libbluray takes out of a clip has the PID of padding, and is padding. */
#define NULL_PID 0x1fff
#define PROBE_TIME (15 * AV_TIME_BASE)

/* The looks at other places. */
#define N_LOOKS 8
#define LOOK_SIZE (2 * 1024 * 1024)

typedef struct
{
  Source *source;
  guint64 begin;
  guint64 end;
  guint64 at;
  gboolean is_main;
  gint code; /* of a read that failed */
  AVFormatContext *format;
} Reader;

struct _Source
{
  Input *input;
  SourceOptions options;
  Guard *guard;
  Joined *joined;
  Reader *main;
  GPtrArray *looks;  /* Reader: their streams are used */
  GPtrArray *tracks; /* Track */
  GPtrArray *by_index;
  guint64 read; /* atomic */
  gint64 end;
  gboolean has_webvtt; /* of which libavformat does not know that it is */
};

/* --- inputs ------------------------------------------------------------------------ */

Input *
input_new (const gchar *name)
{
  Input *self = g_new0 (Input, 1);

  self->name = g_filename_display_name (name);
  return self;
}

void
input_free (Input *self)
{
  g_free (self->name);
  g_free (self->url);
  g_clear_pointer (&self->files, g_ptr_array_unref);
  g_clear_pointer (&self->disc, disc_free);
  g_free (self);
}

/* --- reading ------------------------------------------------------------------------ */

static gint
read_joined (Reader *self, guint8 *data, gint size)
{
  guint64 left = self->end - MIN (self->at, self->end);
  gssize got = joined_read (
      self->source->joined, self->at, data, MIN ((guint64) size, left));

  return got < 0 ? AVERROR (errno) : (gint) got;
}

static int
on_read (void *opaque, uint8_t *data, int size)
{
  Reader *self = opaque;
  Source *source = self->source;
  gint got;

  if (guard_get_level (source->guard) != GUARD_GO)
    return AVERROR_EXIT;
  if (self->code < 0)
    return self->code;
  if (source->joined)
    got = read_joined (self, data, size);
  else
    got = disc_read (source->input->disc, data, size);
  if (got < 0)
    self->code = got;
  if (got == 0)
    return AVERROR_EOF;
  if (got < 0)
    return got;
  self->at += got;
  guard_touch (source->guard);
  if (self->is_main)
    __atomic_store_n (
        &source->read, MAX (source->read, self->at), __ATOMIC_RELAXED);
  return got;
}

static int64_t
on_seek (void *opaque, int64_t offset, int whence)
{
  Reader *self = opaque;

  if (whence & AVSEEK_SIZE)
    return self->end - self->begin;
  switch (whence & ~AVSEEK_FORCE) {
    case SEEK_CUR:
      offset += self->at - self->begin;
      break;
    case SEEK_END:
      offset += self->end - self->begin;
      break;
    default:
      break;
  }
  if (offset < 0)
    return AVERROR (EINVAL);
  self->at = self->begin + offset;
  return offset;
}

/* An end that is asked for, or a source that says nothing for too long. */
static int
on_interrupt (void *opaque)
{
  Guard *guard = opaque;

  return guard_get_level (guard) != GUARD_GO || guard_is_stuck (guard);
}

static void
reader_free (gpointer data)
{
  Reader *self = data;
  AVIOContext *io = self->format && (self->format->flags & AVFMT_FLAG_CUSTOM_IO)
      ? self->format->pb
      : NULL;

  avformat_close_input (&self->format);
  if (io)
    av_freep (&io->buffer);
  avio_context_free (&io);
  g_free (self);
}

/* --- opening -------------------------------------------------------------------------- */

static void
set_error (Source *self, const Reader *reader, gint code, GError **error)
{
  g_autofree gchar *words = NULL;

  if (guard_is_stuck (self->guard))
    words = g_strdup_printf ("nothing has come for %d s",
        (gint) (guard_get_idle (self->guard) / G_USEC_PER_SEC));
  else if (reader->code == AVERROR (EACCES) && self->input->disc)
    words = g_strdup ("is encrypted (CSS or AACS), and no library on this "
                      "machine can open it");
  else if (reader->code < 0)
    words = g_strdup (AVUNERROR (reader->code) < 256
            ? g_strerror (AVUNERROR (reader->code))
            : "its data is not as its tables say");
  else
    words = av_log_describe (code);
  g_set_error (
      error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s: %s", self->input->name, words);
}

static void
set_options (const Source *self, AVDictionary **options)
{
  /* As ffmpeg's own program: tracks of programs that are not selected too. */
  av_dict_set (options, "scan_all_pmts", "1", 0);
  if (self->input->url && self->guard->patience > 0)
    av_dict_set_int (options, "rw_timeout", self->guard->patience, 0);
}

/* Over one of our readers, or by its URL. */
static gint
open_format (Source *self, Reader *reader)
{
  const AVInputFormat *format = NULL;
  AVDictionary *options = NULL;
  const gchar *url = self->input->url;
  gint result;

  reader->format = avformat_alloc_context ();
  reader->format->interrupt_callback =
      (AVIOInterruptCB){ on_interrupt, self->guard };
  if (!url) {
    reader->format->pb = avio_alloc_context (av_malloc (READ_SIZE), READ_SIZE,
        0, reader, on_read, NULL, self->joined ? on_seek : NULL);
    reader->format->flags |= AVFMT_FLAG_CUSTOM_IO;
    url = self->joined ? joined_find (self->joined, 0) : "";
  }
  if (self->input->disc)
    format = av_find_input_format (disc_get_format (self->input->disc));
  else if (self->main)
    format = self->main->format->iformat;
  set_options (self, &options);
  result = avformat_open_input (&reader->format, url, format, &options);
  av_dict_free (&options);
  return result;
}

static Track *
find_track (Source *self, const AVStream *stream)
{
  guint i;

  for (i = 0; i < self->tracks->len; i++) {
    Track *track = g_ptr_array_index (self->tracks, i);

    if (track->stream->id == stream->id)
      return track;
  }
  return NULL;
}

static gboolean
is_known (const AVCodecParameters *par)
{
  if (par->codec_type == AVMEDIA_TYPE_AUDIO)
    return par->sample_rate > 0;
  return par->codec_type == AVMEDIA_TYPE_VIDEO ? par->width > 0
                                               : par->codec_id != 0;
}

/* A transport stream's tables name its tracks at once: most looks end here. */
static gboolean
is_news (Source *self, const Reader *reader)
{
  guint i;

  for (i = 0; i < reader->format->nb_streams; i++) {
    const Track *track = find_track (self, reader->format->streams[i]);

    if (!track || !is_known (track->stream->codecpar))
      return TRUE;
  }
  return reader->format->nb_streams == 0;
}

static Reader *
open_reader (
    Source *self, guint64 begin, guint64 end, gboolean is_main, GError **error)
{
  Reader *reader = g_new0 (Reader, 1);
  gint result;

  reader->source = self;
  reader->begin = reader->at = begin;
  reader->end = end;
  reader->is_main = is_main;
  g_free (av_log_take ());
  result = open_format (self, reader);
  if (result >= 0 && (is_main || is_news (self, reader))) {
    reader->format->probesize = is_main ? PROBE_SIZE : (gint64) (end - begin);
    reader->format->max_analyze_duration = PROBE_TIME;
    result = avformat_find_stream_info (reader->format, NULL);
    if (reader->format->nb_streams == 0 && reader->code < 0)
      result = reader->code;
  }
  if (result >= 0)
    return reader;
  set_error (self, reader, result, error);
  reader_free (reader);
  return NULL;
}

/* --- tracks ------------------------------------------------------------------------- */

/* A chapter's text, and what the demuxer gives to nobody, is no track. */
static gboolean
is_hidden (const AVStream *stream)
{
  return stream->discard == AVDISCARD_ALL
      || stream->codecpar->codec_id == AV_CODEC_ID_DVD_NAV
      || stream->codecpar->codec_id == AV_CODEC_ID_EPG
      || stream->id == NULL_PID;
}

static Track hidden;

static void
map_index (Source *self, guint index, Track *track)
{
  if (self->by_index->len <= index)
    g_ptr_array_set_size (self->by_index, index + 1);
  g_ptr_array_index (self->by_index, index) = track;
}

static void
add_main_tracks (Source *self)
{
  guint i;

  for (i = 0; i < self->main->format->nb_streams; i++) {
    AVStream *stream = self->main->format->streams[i];
    Track *track;

    if (is_hidden (stream)) {
      map_index (self, i, &hidden);
      continue;
    }
    track = track_new (stream);
    g_ptr_array_add (self->tracks, track);
    map_index (self, i, track);
  }
}

/* What was met at another place: a track of its own, or what the main reader has
 * not got to know of one. */
static gboolean
take_look (Source *self, const Reader *reader)
{
  gboolean is_used = FALSE;
  guint i;

  for (i = 0; i < reader->format->nb_streams; i++) {
    AVStream *stream = reader->format->streams[i];
    Track *track = find_track (self, stream);

    if (is_hidden (stream) || !is_known (stream->codecpar)
        || (track && is_known (track->stream->codecpar)))
      continue;
    if (track)
      track->stream = stream;
    else
      g_ptr_array_add (self->tracks, track_new (stream));
    is_used = TRUE;
  }
  return is_used;
}

static void
look_at (Source *self, guint64 begin, guint64 end)
{
  Reader *reader = open_reader (self, begin, end, FALSE, NULL);

  if (reader && take_look (self, reader)) {
    /* Its streams are needed, its packets not. */
    avformat_flush (reader->format);
    g_ptr_array_add (self->looks, reader);
  } else if (reader) {
    reader_free (reader);
  }
}

static void
look_around (Source *self)
{
  guint64 size = self->input->size;
  guint64 n = self->options.scan ? size / LOOK_SIZE + 1 : N_LOOKS;
  guint64 i;

  if (!self->joined || !(self->main->format->ctx_flags & AVFMTCTX_NOHEADER)
      || !g_regex_match_simple (
          "^(mpegts|mpeg)$", self->main->format->iformat->name, 0, 0))
    return;
  for (i = 0; i < n && guard_get_level (self->guard) == GUARD_GO; i++) {
    guint64 begin = self->options.scan ? i * LOOK_SIZE : size / n * i;

    if (begin > 0 && begin < size)
      look_at (self, begin, MIN (begin + LOOK_SIZE, size));
  }
}

/* Picture, sound, subtitles, as AVMEDIA_TYPE_ has them, each by its id. */
static gint
by_id (gconstpointer a, gconstpointer b)
{
  const Track *x = *(Track *const *) a, *y = *(Track *const *) b;
  gint by_kind = (gint) x->stream->codecpar->codec_type
      - (gint) y->stream->codecpar->codec_type;

  return by_kind ? by_kind : x->stream->id - y->stream->id;
}

static void
number_tracks (Source *self)
{
  guint numbers[AVMEDIA_TYPE_NB] = { 0 };
  guint i;

  for (i = 0; i < self->tracks->len; i++) {
    Track *track = g_ptr_array_index (self->tracks, i);
    gint type = track->stream->codecpar->codec_type;

    track->number = ++numbers[type < 0 ? AVMEDIA_TYPE_DATA : type];
  }
}

/* --- a disc's tables ------------------------------------------------------------------ */

/* What the tables have and no packet has shown yet. */
static Track *
add_disc_track (Source *self, const DiscTrack *about)
{
  Reader *reader = g_new0 (Reader, 1);
  AVStream *stream;
  Track *track;

  reader->format = avformat_alloc_context ();
  g_ptr_array_add (self->looks, reader);
  stream = avformat_new_stream (reader->format, NULL);
  stream->id = about->id;
  stream->time_base = (AVRational){ 1, 90000 };
  stream->codecpar->codec_type = about->kind;
  stream->codecpar->codec_id = about->codec;
  track = track_new (stream);
  g_ptr_array_add (self->tracks, track);
  return track;
}

static void
set_disc_tags (Track *track, const DiscTrack *about)
{
  AVCodecParameters *par = track->stream->codecpar;

  if (*about->language)
    av_dict_set (&track->stream->metadata, "language", about->language, 0);
  if (about->name)
    av_dict_set (&track->stream->metadata, "title", about->name, 0);
  track->stream->disposition |= about->disposition;
  if (!about->extradata)
    return;
  av_freep (&par->extradata);
  par->extradata = (uint8_t *) av_strdup (about->extradata);
  par->extradata_size = strlen (about->extradata);
  par->width = about->width;
  par->height = about->height;
}

/* Also of the AC-3 that comes with the same PID as a Blu-ray's TrueHD. Of sound
 * without data there is nothing to tell a muxer. */
static void
take_disc_track (Source *self, const DiscTrack *about)
{
  gboolean is_found = FALSE;
  guint i;

  for (i = 0; i < self->tracks->len; i++) {
    Track *track = g_ptr_array_index (self->tracks, i);

    if (track->stream->id != about->id)
      continue;
    set_disc_tags (track, about);
    is_found = TRUE;
  }
  if (!is_found && about->kind == AVMEDIA_TYPE_SUBTITLE)
    set_disc_tags (add_disc_track (self, about), about);
}

static void
take_disc_tables (Source *self)
{
  guint i;

  for (i = 0; i < self->input->title->tracks->len; i++)
    take_disc_track (self, g_ptr_array_index (self->input->title->tracks, i));
  g_ptr_array_sort (self->tracks, by_id);
}

/* --- a range of chapters --------------------------------------------------------------- */

static gboolean
seek_chapters (Source *self, GError **error)
{
  AVFormatContext *format = self->main->format;
  guint first = self->options.first_chapter, last = self->options.last_chapter;
  gint64 begin;

  if (first == 0 || self->input->disc)
    return TRUE;
  if (last > format->nb_chapters) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED,
        "%s: has no chapter %u, but %u", self->input->name, last,
        format->nb_chapters);
    return FALSE;
  }
  begin = av_rescale_q (format->chapters[first - 1]->start,
      format->chapters[first - 1]->time_base, AV_TIME_BASE_Q);
  if (last < format->nb_chapters)
    self->end = av_rescale_q (format->chapters[last]->start,
        format->chapters[last]->time_base, AV_TIME_BASE_Q);
  if (first > 1
      && avformat_seek_file (format, -1, INT64_MIN, begin, begin, 0) < 0) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED,
        "%s: cannot go to chapter %u", self->input->name, first);
    return FALSE;
  }
  return TRUE;
}

/* --- WebVTT as mkvmerge writes it ------------------------------------------------------- */

/* S_TEXT/WEBVTT is not known to libavformat's Matroska demuxer (5.1 to 6.0): it
 * says so in words only, and gives a cue's text with its settings and its name in a
 * block addition. */
static void
find_webvtt (Source *self)
{
  AVFormatContext *format = self->main->format;
  guint n = av_log_take_unknown ("S_TEXT/WEBVTT"), n_unknown = 0, i;

  for (i = 0; i < format->nb_streams; i++) {
    const AVCodecParameters *par = format->streams[i]->codecpar;

    n_unknown += par->codec_type == AVMEDIA_TYPE_SUBTITLE && !par->codec_id;
  }
  self->has_webvtt = n > 0 && n == n_unknown;
  for (i = 0; self->has_webvtt && i < format->nb_streams; i++) {
    AVCodecParameters *par = format->streams[i]->codecpar;

    if (par->codec_type == AVMEDIA_TYPE_SUBTITLE && !par->codec_id)
      par->codec_id = AV_CODEC_ID_WEBVTT;
  }
}

static void
add_side_data (AVPacket *packet, enum AVPacketSideDataType type,
    const gchar *text, gsize size)
{
  guint8 *data = size > 0 ? av_packet_new_side_data (packet, type, size) : NULL;

  if (data)
    memcpy (data, text, size);
}

/* "settings\nname\ncomment", behind the addition's number. */
static void
mend_webvtt (AVPacket *packet)
{
  size_t size;
  const guint8 *data = av_packet_get_side_data (
      packet, AV_PKT_DATA_MATROSKA_BLOCKADDITIONAL, &size);
  g_autofree gchar *text = NULL;
  g_auto (GStrv) lines = NULL;

  if (!data || size <= 8)
    return;
  text = g_strndup ((const gchar *) data + 8, size - 8);
  lines = g_strsplit (text, "\n", 3);
  av_packet_free_side_data (packet);
  add_side_data (
      packet, AV_PKT_DATA_WEBVTT_SETTINGS, lines[0], strlen (lines[0]));
  if (lines[1])
    add_side_data (
        packet, AV_PKT_DATA_WEBVTT_IDENTIFIER, lines[1], strlen (lines[1]));
}

/* --- all of it ---------------------------------------------------------------------------- */

static gboolean
open_main (Source *self, GError **error)
{
  guint64 size = 0;

  if (self->input->files) {
    self->joined = joined_open (self->input->files, error);
    if (!self->joined)
      return FALSE;
    size = self->input->size = joined_get_size (self->joined);
  }
  if (self->input->disc
      && !disc_start (self->input->disc, self->input->title,
          self->options.angle, self->options.first_chapter,
          self->options.last_chapter, error))
    return FALSE;
  self->main = open_reader (self, 0, size, TRUE, error);
  return self->main != NULL;
}

Source *
source_open (
    Input *input, const SourceOptions *options, Guard *guard, GError **error)
{
  g_autoptr (Source) self = g_new0 (Source, 1);

  self->input = input;
  self->options = *options;
  self->guard = guard;
  self->end = G_MAXINT64;
  self->looks = g_ptr_array_new_with_free_func (reader_free);
  self->tracks = g_ptr_array_new_with_free_func ((GDestroyNotify) track_free);
  self->by_index = g_ptr_array_new ();
  guard_touch (guard);
  if (!open_main (self, error) || !seek_chapters (self, error))
    return NULL;
  find_webvtt (self);
  add_main_tracks (self);
  look_around (self);
  if (input->disc)
    take_disc_tables (self);
  number_tracks (self);
  return g_steal_pointer (&self);
}

void
source_free (Source *self)
{
  g_clear_pointer (&self->tracks, g_ptr_array_unref);
  g_clear_pointer (&self->by_index, g_ptr_array_unref);
  g_clear_pointer (&self->looks, g_ptr_array_unref);
  g_clear_pointer (&self->main, reader_free);
  g_clear_pointer (&self->joined, joined_free);
  g_free (self);
}

GPtrArray *
source_get_tracks (Source *self)
{
  return self->tracks;
}

AVFormatContext *
source_get_format (Source *self)
{
  return self->main->format;
}

Input *
source_get_input (Source *self)
{
  return self->input;
}

gint64
source_get_duration (Source *self)
{
  if (self->input->disc)
    return self->input->title->duration;
  return self->main->format->duration;
}

gboolean
source_declares_duration (Source *self)
{
  return self->input->disc
      || self->main->format->duration_estimation_method
      == AVFMT_DURATION_FROM_STREAM;
}

gint64
source_get_end (Source *self)
{
  return self->end;
}

guint64
source_get_read (Source *self)
{
  return __atomic_load_n (&self->read, __ATOMIC_RELAXED);
}

/* Also for a stream that the demuxer has made since the last packet. */
static Track *
get_track (Source *self, guint index)
{
  AVStream *stream = self->main->format->streams[index];

  if (index >= self->by_index->len
      || !g_ptr_array_index (self->by_index, index))
    map_index (
        self, index, is_hidden (stream) ? &hidden : find_track (self, stream));
  return g_ptr_array_index (self->by_index, index);
}

gint
source_read (Source *self, AVPacket *packet, Track **track)
{
  AVFormatContext *format = self->main->format;
  gint result;

  do {
    av_packet_unref (packet);
    result = av_read_frame (format, packet);
    if (result == AVERROR_EOF && self->main->code < 0)
      result = self->main->code;
    if (result < 0)
      return result;
    guard_touch (self->guard);
    *track = get_track (self, packet->stream_index);
  } while (*track == &hidden);
  if (self->has_webvtt && *track
      && (*track)->stream->codecpar->codec_id == AV_CODEC_ID_WEBVTT)
    mend_webvtt (packet);
  if (self->input->url && format->pb)
    __atomic_store_n (
        &self->read, MAX (avio_tell (format->pb), 0), __ATOMIC_RELAXED);
  if (*track)
    (*track)->n_read++;
  return 0;
}

gchar *
source_describe_place (Source *self)
{
  guint64 at = source_get_read (self);
  g_autofree gchar *name = NULL;

  if (!self->joined)
    return g_strdup (self->input->name);
  name = g_filename_display_name (joined_find (self->joined, at));
  return g_strdup_printf ("%s, byte %" G_GUINT64_FORMAT, name, at);
}
