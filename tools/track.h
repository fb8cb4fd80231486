/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <libavformat/avformat.h>

G_BEGIN_DECLS

/* A track of an input: what it is, and what becomes of it. */
typedef struct _Track
{
  AVStream *stream;   /* of the input, or of a look at another place of it */
  guint number;       /* among those of its kind, from 1 */
  const gchar *why;   /* it is left out; NULL: it is kept */
  gboolean is_silent; /* it has no data, as far as that was looked for */
  gboolean unwanted;  /* nobody asked for it: nothing is missing */
  AVStream *out;      /* NULL before there is one */
  struct _Track *follows;   /* what it goes on with: a track of the first input,
                           * or itself; NULL: nothing */
  struct _Convert *convert; /* NULL: as it is */
  struct _Fill *fill;       /* NULL: nothing had to be filled in yet */
  guint64 n_read;           /* packets */
  guint64 n_written;
} Track;

Track *track_new (AVStream *stream);
void track_free (Track *self);
const gchar *track_get_kind (const Track *self);
gboolean track_is_kept (const Track *self);
/* ISO 639-2/T, or as it was given, or NULL. */
const gchar *track_get_language (const Track *self);
const gchar *track_get_title (const Track *self);
const gchar *track_get_codec (const Track *self);
/* "default, forced", or NULL. */
gchar *track_get_flags (const Track *self);
/* "audio 2: dts (DTS-HD MA), 48000 Hz, 5.1(side), eng, default". */
gchar *track_describe (const Track *self);

/* One spelling for a language. */
const gchar *language_normalize (const gchar *language);

G_END_DECLS
