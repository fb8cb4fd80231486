/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "disc.h"

G_BEGIN_DECLS

/* One library's way to read a disc. */
typedef struct
{
  const gchar *format; /* libavformat's demuxer for what is read */
  /* NULL and no @error: it is no such disc. Fills in Disc.titles. */
  gpointer (*open) (const gchar *path, Disc *disc, GError **error);
  gboolean (*start) (gpointer data, const DiscTitle *title, guint angle,
      guint first, guint last, GError **error);
  gint (*read) (gpointer data, guint8 *to, gint size);
  void (*close) (gpointer data);
} DiscReader;

struct _Disc
{
  gchar *name;
  const DiscReader *reader;
  gpointer data;
  GPtrArray *titles; /* DiscTitle */
  gint64 position;   /* in what was read of this title */

  GMutex lock;
  GArray *parts; /* DiscPart, by begin */
};

extern const DiscReader disc_bluray_reader;
extern const DiscReader disc_dvd_reader;

/* What is read from now on lies otherwise in time. 90 kHz. */
void disc_add_part (Disc *self, gint64 offset, gint64 from, gint64 to);

G_END_DECLS
