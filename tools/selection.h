/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "inspect.h"

G_BEGIN_DECLS

/* Which tracks of each kind are asked for: "all", "none", or a list of languages
 * and numbers. NULL is "all". */
typedef struct
{
  gchar *video;
  gchar *audio;
  gchar *subtitles;
} Selection;

gboolean selection_check (const Selection *self, GError **error);
gboolean selection_apply (
    const Selection *self, Inspection *inspection, GError **error);
void selection_clear (Selection *self);

G_END_DECLS
