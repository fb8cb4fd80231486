/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "joined.h"

G_BEGIN_DECLS

/* One stream to read: files that are one stream, or a URI. */
typedef struct
{
  gchar *name;      /* as messages call it: the first file's, or the URI */
  GPtrArray *files; /* of gchar *; NULL: the URI */
  Joined *joined;
  gchar *uri;
  guint64 size;          /* 0: not known */
  GHashTable *languages; /* as DiscTitle has them, or NULL */
  GArray *chapters;      /* of GstClockTime: where they begin in it, or NULL */
} Input;

GPtrArray *inputs_open (
    gchar **words, guint n, GPtrArray *chosen, GError **error);
guint64 inputs_get_size (GPtrArray *inputs);
gchar *input_describe_place (const Input *self, guint64 offset);

G_END_DECLS
