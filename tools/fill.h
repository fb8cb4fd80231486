/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <libavformat/avformat.h>

G_BEGIN_DECLS

/* The times of showing that a container does not tell, for one video track.
 * Packets go in and come out in the order of decoding. */
typedef struct _Fill Fill;

Fill *fill_new (const AVStream *stream);
void fill_push (Fill *self, AVPacket *packet);
/* The next one whose times are known; NULL: none yet. @at_end: no more come. */
AVPacket *fill_pop (Fill *self, gboolean at_end);
void fill_free (Fill *self);

G_END_DECLS
