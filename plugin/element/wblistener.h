/* wbfilesink: what the file's threads have to say
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The listener that a file is opened with. What it is told on the file's threads
 * is logged there, and posted on another: the bus's sync handlers are the
 * application's code. It outlives the element if a thread is left behind, so it
 * holds no reference to it.
 */
#pragma once

#include "element/gstwbfilesink.h"

G_BEGIN_DECLS

/* For wb_file_open(), which takes it over. */
WbListener wb_listener_new (GstWbFileSink *self);
/* Posts what has happened since it was last called. Not on the file's threads,
 * and without a lock. */
void wb_listener_post_events (GstWbFileSink *self, WbFile *file);
/* The same for the current file, if there is one. At the end of a try: an ERROR
 * of it must not come while a bin waits for the next one to preroll, because a
 * bin takes any ERROR for that of its state change and waits no more. */
void wb_listener_post_news (GstWbFileSink *self);

G_END_DECLS
