/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "inspect.h"

G_BEGIN_DECLS

/* One run: from the input's kept tracks to the file. Used from the thread of
 * the default main context. */
typedef struct _Remux Remux;

typedef enum
{
  REMUX_DURABLE, /* on disk, as far as file system and device are honest */
  REMUX_WRITTEN, /* complete, but nobody knows whether it is on disk */
  REMUX_FAILED
} RemuxOutcome;

Remux *remux_new (const gchar *input, const gchar *output,
    Inspection *inspection, GstElement *muxer, guint64 size_hint,
    GError **error);
RemuxOutcome remux_run (Remux *self, GError **error);
void remux_finish_early (Remux *self);
void remux_stop (Remux *self);
const gchar *remux_get_damage (Remux *self);
guint remux_count_untimed (Remux *self);
GstClockTime remux_get_shortfall (Remux *self);
GstStructure *remux_get_stats (Remux *self);
void remux_free (Remux *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Remux, remux_free)

G_END_DECLS
