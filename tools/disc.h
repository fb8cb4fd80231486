/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>
#include <libavformat/avformat.h>

G_BEGIN_DECLS

/* A Blu-ray or a DVD: a folder, an image or a drive. A title of it is read as one
 * stream, front to back; its clock may begin anew inside, which the disc's tables
 * tell exactly. Read from one thread; the parts may be asked for from another. */
typedef struct _Disc Disc;

typedef struct
{
  gint kind; /* AVMEDIA_TYPE_ */
  gint id;   /* as libavformat's AVStream has it */
  enum AVCodecID codec;
  gchar language[4]; /* "": not known */
  gint channels;     /* 0: not known */
  gint disposition;
  const gchar *name; /* "wide", "letterbox", or NULL */
  gchar *extradata;  /* of a subtitle, as libavcodec wants it, or NULL */
  gint width, height;
} DiscTrack;

typedef struct
{
  guint number;    /* what the user says */
  gchar *name;     /* "00800.mpls", "title 3" */
  gint64 duration; /* us */
  guint n_angles;
  gboolean is_main;
  guint64 size;      /* bytes; 0: not known */
  GArray *chapters;  /* gint64: where they begin, us */
  GPtrArray *tracks; /* DiscTrack */
} DiscTitle;

/* From @begin on in what is read, a time is shown at itself plus @offset; what is
 * shown before @from or from @to on is not the title's. All in 90 kHz. */
typedef struct
{
  gint64 begin;
  gint64 offset;
  gint64 from;
  gint64 to;
} DiscPart;

typedef enum
{
  DISC_NONE,
  DISC_BLURAY,
  DISC_DVD,
  DISC_IMAGE /* of either */
} DiscKind;

/* "libbluray, libdvdread": what can be read here. */
const gchar *disc_get_features (void);
/* What @path looks like: a folder of a disc, an image, a drive. */
DiscKind disc_detect (const gchar *path);
/* NULL and @error, one line that names @path. */
Disc *disc_open (const gchar *path, GError **error);
/* DiscTitle, in the disc's order. */
GPtrArray *disc_get_titles (Disc *self);
const DiscTitle *disc_find_title (Disc *self, guint number);
const DiscTitle *disc_get_main_title (Disc *self);
/* Begins to read; @last is included. The clock's zero is the title's begin. */
gboolean disc_start (Disc *self, const DiscTitle *title, guint angle,
    guint first, guint last, GError **error);
/* Up to @size bytes, 0 at the end, a libav error. */
gint disc_read (Disc *self, guint8 *data, gint size);
/* What stands at @position in what was read. */
DiscPart disc_find_part (Disc *self, gint64 position);
const gchar *disc_get_format (Disc *self); /* "mpegts", "mpeg" */
void disc_free (Disc *self);

void disc_title_free (DiscTitle *self);
DiscTitle *disc_title_new (guint number, gchar *name);
DiscTrack *disc_title_add_track (
    DiscTitle *self, gint kind, gint id, enum AVCodecID codec);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Disc, disc_free)

G_END_DECLS
