/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Of a Blu-ray, ticks a second. */
#define DISC_CLOCK 45000

typedef struct
{
  guint file;    /* its number in the title */
  guint64 ticks; /* in the title */
} DiscChapter;

/* The main title of a disc's folder. */
typedef struct
{
  GPtrArray *files;    /* of gchar *, paths in order */
  gboolean one_stream; /* cut anywhere: a DVD's */
  gchar *chosen;       /* what was chosen, and why: one line */
  GArray *chapters;    /* of DiscChapter, in order */
  GArray
      *begins; /* of guint64: of each file in the title, ticks; may be empty */
  GHashTable *languages; /* of a track's number (PID, substream): gchar * */
} DiscTitle;

DiscTitle *disc_find_title (const gchar *folder, GError **error);
void disc_title_free (DiscTitle *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DiscTitle, disc_title_free)

G_END_DECLS
