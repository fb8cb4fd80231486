/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The streams that a transport stream's tables list, and one that tsdemux does
 * not know.
 *
 * Problem: tsdemux shows no pad for a stream of a type that it does not know, so
 * a track can be lost without a word. One type is common: 0x82 on Blu-ray discs,
 * plain DTS. (So in every tsdemux up to 1.28; it knows DTS as 0x85 and 0x86,
 * where it takes the core out of DTS-HD, and as 0x8a.)
 *
 * Strategy: read the first program's table (PMT) ourselves. It tells what to
 * report. And where a disc's table has type 0x82, the table is changed to 0x8a
 * on its way to the demuxer, wherever it appears in the stream, with the checksum
 * that belongs to it. The rest of the stream is not touched.
 *
 * Layout (ISO/IEC 13818-1, 2.4.4): packets of 188 bytes that begin with 0x47, on
 * discs with 4 bytes of time before each. A section begins after a pointer byte
 * in a packet with the start flag set, and goes on in the next packets of its PID.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "tsstreams.h"

#include <string.h>

#define PACKET_SIZE 188
#define SYNC_BYTE 0x47
#define PAT_PID 0
#define PAT_TABLE 0
#define PMT_TABLE 2
#define MAX_SECTION 1024
#define SEARCH_SIZE (4 * 1024 * 1024)

#define BD_LPCM 0x80
#define BD_AC3 0x81
#define BD_DTS 0x82
#define BD_TRUEHD 0x83
#define BD_DTS_HD 0x85
#define BD_DTS_HD_MA 0x86
#define BD_MENU 0x91
#define PS_DTS 0x8a

struct _TsStreams
{
  Joined *input;
  guint stride;  /* from packet to packet */
  guint64 first; /* where the first one is */
  guint pmt_pid;
  gboolean is_disc;
  guint size; /* of the section, with header and checksum */
  guint8 section[MAX_SECTION];
  guint8 fixed[MAX_SECTION]; /* the same without 0x82 */
};

typedef struct
{
  guint8 data[MAX_SECTION + PACKET_SIZE];
  guint have;
  guint want; /* 0: no section has begun */
} Assembly;

static guint
get_pid (const guint8 *packet)
{
  return (packet[1] & 0x1f) << 8 | packet[2];
}

/* NULL if it has none. */
static const guint8 *
get_payload (const guint8 *packet)
{
  guint start = 4;

  if (!(packet[3] & 0x10))
    return NULL;
  if (packet[3] & 0x20)
    start += 1 + packet[4];
  return start < PACKET_SIZE ? packet + start : NULL;
}

static gboolean
has_start (const guint8 *packet)
{
  return (packet[1] & 0x40) != 0;
}

/* TRUE when a whole section of @table is there. */
static gboolean
assemble (Assembly *self, const guint8 *packet, guint table)
{
  const guint8 *end = packet + PACKET_SIZE;
  const guint8 *p = get_payload (packet);

  if (!p)
    return FALSE;
  if (has_start (packet)) {
    p += 1 + p[0];
    self->have = self->want = 0;
    if (p + 3 > end || p[0] != table)
      return FALSE;
    self->want = 3 + ((p[1] & 0x0f) << 8 | p[2]);
  }
  if (self->want == 0 || self->want > MAX_SECTION)
    return FALSE;
  memcpy (self->data + self->have, p, end - p);
  self->have += end - p;
  return self->have >= self->want;
}

static guint32
checksum (const guint8 *data, guint size)
{
  guint32 crc = 0xffffffff;
  guint i, bit;

  for (i = 0; i < size; i++) {
    crc ^= (guint32) data[i] << 24;
    for (bit = 0; bit < 8; bit++)
      crc = crc & 0x80000000 ? crc << 1 ^ 0x04c11db7 : crc << 1;
  }
  return crc;
}

/* Into the last four bytes. */
static void
write_checksum (guint8 *section, guint size)
{
  guint32 crc = checksum (section, size - 4);
  guint i;

  for (i = 0; i < 4; i++)
    section[size - 4 + i] = crc >> (24 - 8 * i);
}

/* Where the packets are: five in a row must begin with the sync byte. */
static gboolean
find_packets (TsStreams *self, const guint8 *data, gsize size)
{
  static const guint strides[] = { 188, 192 };
  guint s, i, n;

  for (i = 0; i < 192; i++) {
    for (s = 0; s < G_N_ELEMENTS (strides); s++) {
      for (n = 0; n < 5; n++) {
        gsize at = i + n * strides[s];

        if (at >= size || data[at] != SYNC_BYTE)
          break;
      }
      if (n < 5)
        continue;
      self->stride = strides[s];
      self->first = i;
      return TRUE;
    }
  }
  return FALSE;
}

static guint
first_program (const Assembly *pat)
{
  guint i;

  for (i = 8; i + 8 <= pat->want; i += 4) {
    if (pat->data[i] != 0 || pat->data[i + 1] != 0)
      return (pat->data[i + 2] & 0x1f) << 8 | pat->data[i + 3];
  }
  return 0;
}

/* Reads up to the first whole PMT of the first program. */
static gboolean
find_table (TsStreams *self, const guint8 *data, gsize size)
{
  Assembly pat = { .have = 0 };
  Assembly pmt = { .have = 0 };
  gsize at;

  for (at = self->first; at + PACKET_SIZE <= size; at += self->stride) {
    const guint8 *packet = data + at;

    if (packet[0] != SYNC_BYTE)
      continue;
    if (self->pmt_pid == 0 && get_pid (packet) == PAT_PID
        && assemble (&pat, packet, PAT_TABLE))
      self->pmt_pid = first_program (&pat);
    else if (self->pmt_pid != 0 && get_pid (packet) == self->pmt_pid
        && assemble (&pmt, packet, PMT_TABLE)) {
      self->size = pmt.want;
      memcpy (self->section, pmt.data, pmt.want);
      return self->size >= 16;
    }
  }
  return FALSE;
}

static guint
program_info_length (const TsStreams *self)
{
  return (self->section[10] & 0x0f) << 8 | self->section[11];
}

/* A disc's program has a registration descriptor that says "HDMV". */
static gboolean
find_registration (const TsStreams *self)
{
  guint end = MIN (12 + program_info_length (self), self->size);
  guint i;

  for (i = 12; i + 6 <= end; i += 2 + self->section[i + 1]) {
    if (self->section[i] == 0x05
        && memcmp (self->section + i + 2, "HDMV", 4) == 0)
      return TRUE;
  }
  return FALSE;
}

static guint
next_stream (const TsStreams *self, guint at)
{
  const guint8 *p = self->section + at;

  return at + 5 + ((p[3] & 0x0f) << 8 | p[4]);
}

static void
make_fixed (TsStreams *self)
{
  guint i;

  memcpy (self->fixed, self->section, self->size);
  for (i = 12 + program_info_length (self);
       self->is_disc && i + 9 <= self->size; i = next_stream (self, i)) {
    if (self->section[i] == BD_DTS)
      self->fixed[i] = PS_DTS;
  }
  write_checksum (self->fixed, self->size);
}

/* NULL if @input is no transport stream or has no table at its beginning. */
TsStreams *
ts_streams_read (Joined *input)
{
  TsStreams *self = g_new0 (TsStreams, 1);
  g_autofree guint8 *data = g_malloc (SEARCH_SIZE);
  gssize size = joined_read (input, 0, data, SEARCH_SIZE);

  self->input = joined_ref (input);
  if (size <= 0 || !find_packets (self, data, size)
      || !find_table (self, data, size)) {
    ts_streams_free (self);
    return NULL;
  }
  self->is_disc = find_registration (self);
  make_fixed (self);
  return self;
}

void
ts_streams_foreach (TsStreams *self, TsStreamFunc func, gpointer user_data)
{
  guint i;

  for (i = 12 + program_info_length (self); i + 9 <= self->size;
       i = next_stream (self, i)) {
    const guint8 *p = self->section + i;

    func ((p[1] & 0x1f) << 8 | p[2], p[0], self->is_disc, user_data);
  }
}

/* What a viewer would call it; NULL for what is no video, audio or subtitle. */
const gchar *
ts_stream_get_name (guint type, gboolean is_disc)
{
  if (is_disc && type == BD_LPCM)
    return "audio LPCM";
  if (is_disc && type == BD_DTS)
    return "audio DTS";
  if (is_disc && type == BD_TRUEHD)
    return "audio TrueHD";
  if (is_disc && (type == BD_DTS_HD || type == BD_DTS_HD_MA))
    return "audio DTS-HD";
  /* sections, DSM-CC, metadata, splice marks, a disc's menus */
  if (type == 0x05 || (type >= 0x08 && type <= 0x0d)
      || (type >= 0x13 && type <= 0x1a && type != 0x1b) || type >= 0x91
      || (!is_disc && type == 0x86))
    return NULL;
  return "stream";
}

/* --- the fix ----------------------------------------------------------------- */

/* Changes what @packet has of the table. A later version of it is left alone. */
static gboolean
fix_packet (const TsStreams *self, guint8 *packet)
{
  guint8 *p = (guint8 *) get_payload (packet);
  guint8 *end = packet + PACKET_SIZE;
  guint from = 0;

  if (!p || packet[0] != SYNC_BYTE || get_pid (packet) != self->pmt_pid)
    return FALSE;
  if (has_start (packet))
    p += 1 + p[0];
  else
    from = PACKET_SIZE - 4 - 1;
  for (; from < self->size && p < end; from += PACKET_SIZE - 4) {
    gsize n = MIN ((gsize) (end - p), self->size - from);

    if (memcmp (p, self->section + from, n) == 0) {
      memcpy (p, self->fixed + from, n);
      return TRUE;
    }
    if (has_start (packet))
      return FALSE;
  }
  return FALSE;
}

/* Copies what @packet, which lies at @at of the input, and @map have in common
 * into the latter. */
static void
overlay (const guint8 *packet, guint64 at, guint64 offset, GstMapInfo *map)
{
  guint64 begin = MAX (at, offset);
  guint64 end = MIN (at + PACKET_SIZE, offset + map->size);

  if (begin < end)
    memcpy (map->data + (begin - offset), packet + (begin - at), end - begin);
}

/* Fixes @buffer, which holds the input's bytes from @offset on; takes and returns
 * ownership. A packet that is only partly in it is looked up in the input. */
GstBuffer *
ts_streams_fix (TsStreams *self, guint64 offset, GstBuffer *buffer)
{
  guint64 at = self->first;
  GstMapInfo map;

  if (memcmp (self->section, self->fixed, self->size) == 0)
    return buffer;
  buffer = gst_buffer_make_writable (buffer);
  if (!gst_buffer_map (buffer, &map, GST_MAP_READWRITE))
    return buffer;
  if (offset > at)
    at += (offset - at) / self->stride * self->stride;
  for (; at < offset + map.size; at += self->stride) {
    guint8 copy[PACKET_SIZE];

    if (at >= offset && at + PACKET_SIZE <= offset + map.size)
      fix_packet (self, map.data + (at - offset));
    else if (joined_read (self->input, at, copy, PACKET_SIZE) == PACKET_SIZE
        && fix_packet (self, copy))
      overlay (copy, at, offset, &map);
  }
  gst_buffer_unmap (buffer, &map);
  return buffer;
}

void
ts_streams_free (TsStreams *self)
{
  joined_unref (self->input);
  g_free (self);
}
