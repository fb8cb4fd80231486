/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>
#include <gst/gst.h>

G_BEGIN_DECLS

GstStructure *dvd_streams_scan (const gchar *path, GCancellable *cancellable);

G_END_DECLS
