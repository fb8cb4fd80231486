/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "track.h"

#include <gio/gio.h>

G_BEGIN_DECLS

/* Which tracks are asked for, and which get the default flag. Lists as on the
 * command line, or NULL for all. */
typedef struct
{
  gchar *video;
  gchar *audio;
  gchar *subtitles;
  gchar *defaults;
} Selection;

/* Whether the lists can be understood; else a G_OPTION_ERROR. */
gboolean selection_check (const Selection *self, GError **error);
/* Takes what is not asked for out of what is kept, and sets the flags. FALSE and
 * @error if a list means nothing. */
gboolean selection_apply (
    const Selection *self, GPtrArray *tracks, GError **error);
void selection_clear (Selection *self);

G_END_DECLS
