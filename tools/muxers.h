/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

GstElement *muxer_new (
    const gchar *output, const gchar *format, GError **error);
gboolean muxer_is_broadcast (GstElement *muxer);
gboolean muxer_is_matroska (GstElement *muxer);

G_END_DECLS
