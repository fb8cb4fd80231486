/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "joined.h"

G_BEGIN_DECLS

/* What the tables at the beginning of a transport stream say. */
typedef struct _TsStreams TsStreams;

typedef void (*TsStreamFunc) (
    guint pid, guint type, gboolean is_disc, gpointer user_data);

TsStreams *ts_streams_read (Joined *input);
void ts_streams_foreach (
    TsStreams *self, TsStreamFunc func, gpointer user_data);
const gchar *ts_stream_get_name (guint type, gboolean is_disc);
GstBuffer *ts_streams_fix (TsStreams *self, guint64 offset, GstBuffer *buffer);
void ts_streams_free (TsStreams *self);

G_END_DECLS
