/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The main title of a disc's folder. */
typedef struct
{
  GPtrArray *files;      /* of gchar *, paths in order */
  gboolean one_stream;   /* cut anywhere: a DVD's */
  gchar *chosen;         /* what was chosen, and why: one line */
  GHashTable *languages; /* of a track's number (PID, substream): gchar * */
} DiscTitle;

DiscTitle *disc_find_title (const gchar *folder, GError **error);
void disc_title_free (DiscTitle *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DiscTitle, disc_title_free)

G_END_DECLS
