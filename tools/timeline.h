/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "source.h"

G_BEGIN_DECLS

/* When a packet is shown in the output: from zero on, through restarts of the
 * input's clock, from one input to the next. Used from one thread. */
typedef struct _Timeline Timeline;

Timeline *timeline_new (guint n_tracks);
/* Its tracks follow those that have an out stream. */
void timeline_begin_input (Timeline *self, Source *source);
/* Takes the packet. */
void timeline_push (Timeline *self, Track *track, AVPacket *packet);
/* No more of this input come. */
void timeline_end_input (Timeline *self);
/* The next packet and its track, or NULL: nothing is known yet. The times are of
 * the output, in the time base that they came in. */
AVPacket *timeline_pop (Timeline *self, Track **track);
/* us of the output at which the present input's zero is; valid after the first
 * packet has come out. */
gint64 timeline_get_offset (Timeline *self);
/* us of the output */
gint64 timeline_get_position (Timeline *self);
void timeline_free (Timeline *self);

G_END_DECLS
