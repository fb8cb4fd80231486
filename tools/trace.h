/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* The sink's figures over time, as a CSV file. */
typedef struct _Trace Trace;

#define TRACE_INTERVAL_MS 50

Trace *trace_open (const gchar *path, GError **error);
void trace_add (Trace *self, const GstStructure *stats);
gboolean trace_close (Trace *self, GError **error);

G_END_DECLS
