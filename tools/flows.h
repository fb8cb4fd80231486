/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "chain.h"
#include "inspect.h"

G_BEGIN_DECLS

/* The kept tracks of one input after the other on their way to the muxer.
 *
 * Posts these application messages on the pipeline: FLOWS_INPUT_ENDED when all of
 * the present input's tracks have come to their end, once an input; FLOWS_NOTE
 * with a string "text" for the user. */
typedef struct _Flows Flows;

#define FLOWS_INPUT_ENDED "flows-input-ended"
#define FLOWS_NOTE "flows-note"

/* Frames of a track held while the disk or another track is behind: a few
 * seconds of video, and what a decoder's buffer model lets audio lag. */
#define QUEUED_FRAMES 100

Flows *flows_new (GstElement *pipeline, GstElement *queue, GstElement *muxer,
    GstToc *chapters);
gboolean flows_add (Flows *self, const Track *track, GError **error);
void flows_begin_input (
    Flows *self, const Inspection *inspection, GPtrArray *tracks);
void flows_end_input (Flows *self);
gboolean flows_take_pad (Flows *self, GstPad *pad, const gchar *id);
void flows_end (Flows *self);
GstClockTime flows_get_position (Flows *self);
gboolean flows_are_linked (Flows *self);
gboolean flows_have_data (Flows *self);
guint flows_count_untimed (Flows *self);
void flows_free (Flows *self);

G_END_DECLS
