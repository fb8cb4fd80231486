/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "avsink.h"
#include "source.h"

G_BEGIN_DECLS

/* One run: from the inputs' kept tracks to the file. Runs in one thread; what says
 * so may be called from others meanwhile. */
typedef struct _Remux Remux;

typedef struct
{
  guint64 read;    /* bytes of the inputs */
  guint64 size;    /* of them; 0: not known */
  gint64 position; /* us of the output */
  gint64 duration; /* us, as the inputs declare it; 0: not known */
} RemuxProgress;

/* Something that the user should know, one line. */
typedef void (*RemuxTell) (
    const gchar *level, const gchar *text, gpointer user_data);

typedef struct
{
  const AVOutputFormat *format;
  GPtrArray *inputs; /* Input */
  SourceOptions source;
  gchar *defaults; /* of --default, or NULL */
  Guard *guard;
  RemuxTell tell;
  gpointer user_data;
} RemuxSetup;

/* Takes the first input's @source, whose tracks are chosen; looks at the others,
 * and refuses what cannot follow. @setup must outlive the run. */
Remux *remux_new (const RemuxSetup *setup, Source *source, GError **error);
/* FALSE and @error: the file is not whole. */
gboolean remux_run (Remux *self, AvSink *sink, GError **error);
/* What could not be read to its end and why, or NULL. After the run. */
const gchar *remux_get_damage (Remux *self);
/* Whether something that was asked for is not in the file. */
gboolean remux_is_incomplete (Remux *self);
GPtrArray *remux_get_tracks (Remux *self);
/* Any thread. */
void remux_get_progress (Remux *self, RemuxProgress *progress);
void remux_free (Remux *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Remux, remux_free)

G_END_DECLS
