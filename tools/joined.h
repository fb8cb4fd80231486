/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Several files, read as if they were one. Does not change once it is open, and
 * may be used from any thread. */
typedef struct _Joined Joined;

Joined *joined_open (GPtrArray *paths, GError **error);
void joined_free (Joined *self);
guint64 joined_get_size (const Joined *self);
gssize joined_read (
    const Joined *self, guint64 offset, gpointer data, gsize size);
const gchar *joined_find (const Joined *self, guint64 offset);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Joined, joined_free)

G_END_DECLS
