/* wbfilesink: buffers into the file
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Problem: what is done once a buffer decides what small buffers cost. Strategy:
 * all of it stands in one file, so that the compiler sees it whole; memory that
 * is not system memory is rare and copied first. Owns WbFeed. Only the streaming
 * thread enters.
 */
#pragma once

#include "element/gstwbfilesink.h"

G_BEGIN_DECLS

typedef struct
{
  GstAllocator *system_memory; /* constant */
} WbFeed;

void wb_feed_init (WbFeed *feed);
void wb_feed_clear (WbFeed *feed);
/* Hand over what stays the caller's, and wait for room in the queue, and for a
 * sync where a buffer asks for one. Errors have been posted. */
GstFlowReturn wb_feed_buffer (GstWbFileSink *self, GstBuffer *buffer)
    WB_REQUIRES (wb_stream_thread);
GstFlowReturn wb_feed_list (GstWbFileSink *self, GstBufferList *list)
    WB_REQUIRES (wb_stream_thread);

G_END_DECLS
