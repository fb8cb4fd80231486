/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "disc.h"
#include "guard.h"
#include "track.h"

G_BEGIN_DECLS

/* What an input is. */
typedef struct
{
  gchar *name;      /* for messages */
  GPtrArray *files; /* read as one; NULL for the rest */
  gchar *url;       /* what libavformat opens itself, or NULL */
  Disc *disc;       /* or NULL */
  const DiscTitle *title;
  guint64 size; /* bytes; 0: not known */
} Input;

Input *input_new (const gchar *name);
void input_free (Input *self);

typedef struct
{
  guint angle;         /* from 1 */
  guint first_chapter; /* from 1; 0: all */
  guint last_chapter;
  gboolean scan; /* look for tracks in the whole of it */
} SourceOptions;

/* An input that is open: its tracks, then its packets. Used from one thread at a
 * time, but source_get_read() from any. */
typedef struct _Source Source;

/* Opens @input and finds its tracks. NULL and @error if it is no film, or
 * @guard ended it. Both must outlive the source. */
Source *source_open (
    Input *input, const SourceOptions *options, Guard *guard, GError **error);
GPtrArray *source_get_tracks (Source *self);
AVFormatContext *source_get_format (Source *self);
Input *source_get_input (Source *self);
/* us; or AV_NOPTS_VALUE */
gint64 source_get_duration (Source *self);
/* Whether it stands in a table, and is not an estimate. */
gboolean source_declares_duration (Source *self);
/* us of the input's clock; G_MAXINT64: no end */
gint64 source_get_end (Source *self);
guint64 source_get_read (Source *self);
/* The next packet and its track, which is NULL for one that appears only now.
 * 0, AVERROR_EOF or a libav error. */
gint source_read (Source *self, AVPacket *packet, Track **track);
/* The file that is being read, and where. The caller owns it. */
gchar *source_describe_place (Source *self);
void source_free (Source *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Source, source_free)

G_END_DECLS
