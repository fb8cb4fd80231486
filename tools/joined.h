/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/base/base.h>

G_BEGIN_DECLS

/* Several files, read as if they were one. Does not change once it is open, and
 * may be used from any thread. */
typedef struct _Joined Joined;

Joined *joined_open (GPtrArray *paths, GError **error);
Joined *joined_ref (Joined *self);
void joined_unref (Joined *self);
guint64 joined_get_size (const Joined *self);
gssize joined_read (
    const Joined *self, guint64 offset, gpointer data, gsize size);
const gchar *joined_find (const Joined *self, guint64 offset);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Joined, joined_unref)

/* A source element that reads them. */
GstElement *joined_src_new (Joined *joined);

G_END_DECLS
