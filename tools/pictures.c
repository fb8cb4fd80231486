/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Presentation times for the pictures of an MPEG-1 or MPEG-2 video track.
 *
 * Problem: a program stream gives a PTS to the first picture that begins in a
 * packet, a DVD often to one in a group of pictures only. Matroska needs one
 * for each block: matroskamux drops a buffer that has none, and with it most
 * of a DVD's pictures.
 *
 * Strategy: do what a decoder does. Pictures come in decoding order. A B picture
 * is shown at once; an I or P picture is shown when the next one comes. Walked
 * through in the order of showing, a picture without a PTS begins where the one
 * before it ends. How long a picture is shown follows from the frame rate and
 * from repeat_first_field (films on NTSC discs: 2, 3, 2, 3 fields).
 *
 * Pictures are held back until they have their PTS: from one I or P picture to
 * the next. They leave in the order in which they came.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "pictures.h"

#include <string.h>

#define PICTURE_START 0x00
#define SEQUENCE_HEADER 0xb3
#define EXTENSION_START 0xb5
#define SEQUENCE_EXTENSION 1
#define PICTURE_CODING_EXTENSION 8
#define TYPE_B 3
#define STRUCTURE_FRAME 3

typedef struct
{
  GstBuffer *buffer;
  guint temporal_reference;
  guint type;
  guint structure;
  gboolean top_field_first;
  gboolean repeat_first_field;
  gboolean shown;
} Picture;

struct _PictureClock
{
  GQueue held;          /* of Picture, in decoding order */
  Picture *reference;   /* in held: the I or P picture not yet shown */
  GstClockTime now;     /* where the last picture shown ends */
  GstClockTime field;   /* how long one field is shown */
  gboolean progressive; /* the sequence */
};

/* NULL if @caps are not those of such a track, or do not tell its rate. */
PictureClock *
picture_clock_new (GstCaps *caps)
{
  const GstStructure *s = gst_caps_get_structure (caps, 0);
  gint version = 0, numerator = 0, denominator = 1;
  PictureClock *self;

  if (!gst_structure_has_name (s, "video/mpeg")
      || !gst_structure_get_int (s, "mpegversion", &version) || version > 2)
    return NULL;
  gst_structure_get_fraction (s, "framerate", &numerator, &denominator);
  if (numerator <= 0 || denominator <= 0)
    return NULL;

  self = g_new0 (PictureClock, 1);
  g_queue_init (&self->held);
  self->now = GST_CLOCK_TIME_NONE;
  self->progressive = version == 1;
  self->field =
      gst_util_uint64_scale (GST_SECOND, denominator, 2 * (guint64) numerator);
  return self;
}

static void
read_extension (
    PictureClock *self, Picture *picture, const guint8 *data, gsize size)
{
  if (size >= 2 && data[0] >> 4 == SEQUENCE_EXTENSION)
    self->progressive = (data[1] & 0x08) != 0;
  if (size >= 4 && data[0] >> 4 == PICTURE_CODING_EXTENSION) {
    picture->structure = data[2] & 0x03;
    picture->top_field_first = (data[3] & 0x80) != 0;
    picture->repeat_first_field = (data[3] & 0x02) != 0;
  }
}

/* Reads the headers before the first slice. FALSE if there is no picture. */
static gboolean
read_headers (
    PictureClock *self, Picture *picture, const guint8 *data, gsize size)
{
  gboolean found = FALSE;
  gsize i;

  for (i = 0; i + 6 <= size; i++) {
    const guint8 *p = data + i;

    if (p[0] != 0 || p[1] != 0 || p[2] != 1)
      continue;
    if (p[3] == PICTURE_START) {
      if (found)
        break;
      picture->temporal_reference = p[4] << 2 | p[5] >> 6;
      picture->type = p[5] >> 3 & 0x07;
      found = TRUE;
    } else if (p[3] == EXTENSION_START) {
      read_extension (self, picture, p + 4, size - i - 4);
    } else if (p[3] < SEQUENCE_HEADER - 1 && found) {
      break; /* a slice */
    }
    i += 3;
  }
  return found;
}

/* In fields. */
static guint
get_length (const PictureClock *self, const Picture *picture)
{
  if (picture->structure != STRUCTURE_FRAME)
    return 1;
  if (!picture->repeat_first_field)
    return 2;
  if (!self->progressive)
    return 3;
  return picture->top_field_first ? 6 : 4;
}

static void
show (PictureClock *self, Picture *picture)
{
  if (!GST_BUFFER_PTS_IS_VALID (picture->buffer))
    GST_BUFFER_PTS (picture->buffer) = self->now;
  self->now = GST_BUFFER_PTS (picture->buffer);
  if (GST_CLOCK_TIME_IS_VALID (self->now))
    self->now += get_length (self, picture) * self->field;
  picture->shown = TRUE;
}

static void
show_reference (PictureClock *self)
{
  if (self->reference)
    show (self, self->reference);
  self->reference = NULL;
}

static void
release_shown (PictureClock *self, GQueue *ready)
{
  Picture *picture;

  while ((picture = g_queue_peek_head (&self->held)) && picture->shown) {
    g_queue_pop_head (&self->held);
    g_queue_push_tail (ready, picture->buffer);
    g_free (picture);
  }
}

/* The second field of a frame whose fields are pictures of their own follows
 * the first wherever that is shown. */
static gboolean
is_second_field (const PictureClock *self, const Picture *picture)
{
  const Picture *before = g_queue_peek_tail ((GQueue *) &self->held);

  return before && before->structure != STRUCTURE_FRAME
      && picture->structure != STRUCTURE_FRAME
      && before->structure != picture->structure
      && before->temporal_reference == picture->temporal_reference;
}

static void
place (PictureClock *self, Picture *picture)
{
  if (picture->type == TYPE_B) {
    show (self, picture);
    return;
  }
  if (is_second_field (self, picture)) {
    show_reference (self);
    show (self, picture);
    return;
  }
  show_reference (self);
  self->reference = picture;
}

/* Takes @buffer, a picture, which must be writable; moves what has its PTS now
 * to the end of @ready. */
void
picture_clock_add (PictureClock *self, GstBuffer *buffer, GQueue *ready)
{
  Picture *picture = g_new0 (Picture, 1);
  GstMapInfo map;

  picture->buffer = buffer;
  picture->structure = STRUCTURE_FRAME;
  picture->type = TYPE_B; /* what is no picture stays where it is */
  if (gst_buffer_map (buffer, &map, GST_MAP_READ)) {
    read_headers (self, picture, map.data, map.size);
    gst_buffer_unmap (buffer, &map);
  }
  place (self, picture);
  g_queue_push_tail (&self->held, picture);
  release_shown (self, ready);
}

/* Nothing more comes: the last picture is shown. */
void
picture_clock_drain (PictureClock *self, GQueue *ready)
{
  show_reference (self);
  release_shown (self, ready);
}

void
picture_clock_free (PictureClock *self)
{
  Picture *picture;

  while ((picture = g_queue_pop_head (&self->held))) {
    gst_buffer_unref (picture->buffer);
    g_free (picture);
  }
  g_free (self);
}
