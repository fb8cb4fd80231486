/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "inspect.h"

G_BEGIN_DECLS

/* One run: from the inputs' kept tracks to the file. Used from the thread of
 * the default main context. */
typedef struct _Remux Remux;

typedef enum
{
  REMUX_DURABLE, /* on disk, as far as file system and device are honest */
  REMUX_WRITTEN, /* complete, but nobody knows whether it is on disk */
  REMUX_FAILED
} RemuxOutcome;

typedef enum
{
  REMUX_NOTE,
  REMUX_WARNING
} RemuxLevel;

typedef struct
{
  guint64 read;          /* bytes of the inputs */
  guint64 size;          /* of them; 0: not known */
  GstClockTime position; /* in the output */
  GstClockTime duration; /* as the inputs declare it, or NONE */
} RemuxProgress;

/* Something that the user should know, one line, while it runs. */
typedef void (*RemuxTell) (
    RemuxLevel level, const gchar *text, gpointer user_data);

Remux *remux_new (GPtrArray *inputs, GPtrArray *inspections,
    const gchar *output, GstElement *muxer, GError **error);
RemuxOutcome remux_run (
    Remux *self, RemuxTell tell, gpointer user_data, GError **error);
void remux_finish_early (Remux *self);
void remux_stop (Remux *self);
const gchar *remux_get_damage (Remux *self);
guint remux_count_untimed (Remux *self);
GstClockTime remux_get_shortfall (Remux *self);
void remux_get_progress (Remux *self, RemuxProgress *progress);
GstStructure *remux_get_stats (Remux *self);
void remux_free (Remux *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Remux, remux_free)

G_END_DECLS
