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

G_END_DECLS
