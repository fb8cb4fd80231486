/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* Gives each frame of a video track a DTS. Used from one thread. */
typedef struct _DecodeTimes DecodeTimes;

/* What a decoder can hold back at most, H.264 and H.265. */
#define DECODE_TIMES_DEPTH 16

GstClockTime decode_times_measure (const GstClockTime *shown, guint n);

DecodeTimes *decode_times_new (GstClockTime lag);
void decode_times_add (DecodeTimes *self, GstBuffer *buffer, GQueue *ready);
void decode_times_drain (DecodeTimes *self, GQueue *ready);
void decode_times_free (DecodeTimes *self);

G_END_DECLS
