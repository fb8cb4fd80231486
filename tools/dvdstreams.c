/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which streams a DVD's program stream has.
 *
 * Problem: such a stream has no list of what is in it. mpegpsdemux shows what
 * turns up in the first two seconds and drops the rest: the subtitles of nearly
 * every film, and a second soundtrack that begins late.
 *
 * Strategy: the demuxer knows an event with which a DVD player that has read the
 * disc's tables tells it the streams ("dvd-lang-codes"). We make that event from
 * the stream itself, by walking over its packets from end to end. That is one
 * more reading of the file, at the speed of the disk, for a file that is a
 * program stream with DVD's private streams, and for no other.
 *
 * Layout (ISO/IEC 13818-1, and DVD's use of private_stream_1): packs of packets,
 * each 00 00 01, a stream id, and but for the pack header a length of 16 bits. In
 * a packet of private_stream_1 the first byte of the payload is the substream:
 * 0x20 subtitles, 0x80 AC-3, 0x88 DTS, 0xa0 LPCM.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "dvdstreams.h"

#include <string.h>

#define BLOCK_SIZE (1024 * 1024)
#define PACK_HEADER 0xba
#define PROGRAM_END 0xb9
#define PRIVATE_STREAM_1 0xbd
#define VIDEO_STREAM 0xe0
#define FIRST_AUDIO 0xc0
#define LAST_VIDEO 0xef

/* As the event counts them. */
#define FORMAT_AC3 0
#define FORMAT_MPEG 2
#define FORMAT_LPCM 4
#define FORMAT_DTS 6
#define MAX_AUDIO 8
#define MAX_SUBTITLES 32

/* A packet's header, up to the first byte of its payload, at its longest. */
#define LOOK_AHEAD 512

typedef struct
{
  const Joined *input;
  guint64 position; /* in the input, of what is not in the block yet */
  guint8 *block;
  gsize begin;
  gsize end;
  gboolean seen[0x200]; /* stream ids, and 0x100 + substream */
  gboolean is_mpeg2_video;
  gboolean is_scrambled;
} Scan;

/* Makes @size bytes available at the returned place, or returns NULL: the end. */
static const guint8 *
peek (Scan *self, gsize size)
{
  while (self->end - self->begin < size) {
    gssize got;

    memmove (self->block, self->block + self->begin, self->end - self->begin);
    self->end -= self->begin;
    self->begin = 0;
    got = joined_read (self->input, self->position, self->block + self->end,
        BLOCK_SIZE - self->end);
    if (got <= 0)
      return NULL;
    self->position += got;
    self->end += got;
  }
  return self->block + self->begin;
}

static gboolean
skip (Scan *self, gsize size)
{
  if (!peek (self, size))
    return FALSE;
  self->begin += size;
  return TRUE;
}

static gboolean
is_start_code (const guint8 *p)
{
  return p[0] == 0 && p[1] == 0 && p[2] == 1;
}

static void
note_packet (Scan *self, const guint8 *packet, gsize size)
{
  guint id = packet[3];
  gsize payload;
  gsize i;

  self->seen[id] = TRUE;
  if (size < 9 || (packet[6] & 0xc0) != 0x80)
    return;
  self->is_scrambled |=
      (id == PRIVATE_STREAM_1 || (id >= FIRST_AUDIO && id <= LAST_VIDEO))
      && (packet[6] & 0x30) != 0;
  payload = 9 + packet[8];
  if (id == PRIVATE_STREAM_1 && payload < size)
    self->seen[0x100 + packet[payload]] = TRUE;
  for (i = payload; id == VIDEO_STREAM && i + 4 <= size; i++) {
    if (is_start_code (packet + i) && packet[i + 3] == 0xb3)
      self->is_mpeg2_video = TRUE;
  }
}

/* Steps over one pack header, packet, or byte of neither. FALSE at the end. */
static gboolean
step (Scan *self)
{
  const guint8 *p = peek (self, 14);
  gsize size;

  if (!p)
    return FALSE;
  if (!is_start_code (p))
    return skip (self, 1);
  if (p[3] == PACK_HEADER)
    return skip (self, (p[4] & 0xc0) == 0x40 ? 14 + (p[13] & 0x07) : 12);
  if (p[3] == PROGRAM_END)
    return skip (self, 4);
  if (p[3] < PROGRAM_END)
    return skip (self, 1);

  size = 6 + (p[4] << 8 | p[5]);
  p = peek (self, MIN (size, LOOK_AHEAD));
  if (!p)
    return FALSE;
  note_packet (self, p, MIN (size, LOOK_AHEAD));
  return skip (self, size);
}

static void
add_audio (GstStructure *s, guint *n, gint format, gint stream)
{
  g_autofree gchar *format_name = g_strdup_printf ("audio-%u-format", *n);
  g_autofree gchar *stream_name = g_strdup_printf ("audio-%u-stream", *n);

  if (*n == MAX_AUDIO)
    return;
  gst_structure_set (s, format_name, G_TYPE_INT, format, stream_name,
      G_TYPE_INT, stream, NULL);
  (*n)++;
}

static void
add_subtitle (GstStructure *s, gint stream)
{
  g_autofree gchar *format_name =
      g_strdup_printf ("subpicture-%d-format", stream);
  g_autofree gchar *stream_name =
      g_strdup_printf ("subpicture-%d-stream", stream);

  gst_structure_set (
      s, format_name, G_TYPE_INT, 0, stream_name, G_TYPE_INT, stream, NULL);
}

static GstStructure *
make_structure (Scan *self)
{
  GstStructure *s = gst_structure_new (
      "application/x-gst-dvd", "event", G_TYPE_STRING, "dvd-lang-codes", NULL);
  guint n = 0;
  gint i;

  for (i = 0; i < MAX_AUDIO; i++) {
    if (self->seen[0x180 + i])
      add_audio (s, &n, FORMAT_AC3, i);
    if (self->seen[0x188 + i])
      add_audio (s, &n, FORMAT_DTS, i);
    if (self->seen[0x1a0 + i])
      add_audio (s, &n, FORMAT_LPCM, i);
    if (self->seen[0xc0 + i])
      add_audio (s, &n, FORMAT_MPEG, i);
  }
  for (i = 0; i < MAX_SUBTITLES; i++) {
    if (self->seen[0x120 + i])
      add_subtitle (s, i);
  }
  return s;
}

static gboolean
is_program_stream (Scan *self)
{
  const guint8 *p = peek (self, 14);

  return p && is_start_code (p) && p[3] == PACK_HEADER && (p[4] & 0xc0) == 0x40;
}

/* The event's structure for @input, or NULL if that is no DVD's program stream.
 * Reads all of it; @cancellable ends that early. @is_scrambled is set if packets
 * say that they are. The caller owns the result. */
GstStructure *
dvd_streams_scan (
    const Joined *input, GCancellable *cancellable, gboolean *is_scrambled)
{
  GstStructure *result = NULL;
  Scan scan = { .input = input };
  guint steps = 0;

  scan.block = g_malloc (BLOCK_SIZE);
  if (is_program_stream (&scan)) {
    while (step (&scan)) {
      if (++steps % 1024 == 0 && g_main_context_iteration (NULL, FALSE)
          && g_cancellable_is_cancelled (cancellable))
        break;
    }
    if (scan.is_mpeg2_video && scan.seen[PRIVATE_STREAM_1])
      result = make_structure (&scan);
  }
  *is_scrambled = scan.is_scrambled;
  g_free (scan.block);
  return result;
}
