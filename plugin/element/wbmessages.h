/* wbfilesink: messages
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What is posted and logged, errors excepted (wberrors): warnings, the element
 * messages, the summary. Bus handlers are the application's code and run in
 * here, so no lock may be held, the file's threads never enter, and any other
 * thread may.
 */
#pragma once

#include "element/gstwbfilesink.h"

G_BEGIN_DECLS

/* How the file is called in messages: valid UTF-8, whatever the bytes of its
 * name. To be freed. */
gchar *wb_messages_get_name (GstWbFileSink *self);
/* Which call hangs, and for how long. To be freed. */
gchar *wb_messages_describe_stall (const WbStall *stall);

/* The stream waits. */
void wb_messages_warn_of_stall (GstWbFileSink *self, const WbStall *stall);
/* A sync at an interval does not come back: nothing waits for it, but the
 * recording is less safe than its owner thinks. */
void wb_messages_warn_of_sync (GstWbFileSink *self, WbFile *file);
/* The size that is expected is more than is free. */
void wb_messages_warn_of_space (GstWbFileSink *self, WbFile *file);

/* wbfilesink-sync; also notes the result for the file's statistics. */
void wb_messages_post_sync (
    GstWbFileSink *self, WbFile *file, WbSyncResult result, gint64 elapsed_us);
/* wbfilesink-preallocate: what was decided. */
void wb_messages_post_preallocated (GstWbFileSink *self, WbFile *file);
/* wbfilesink-degraded: what it is now. */
void wb_messages_post_degraded (GstWbFileSink *self, WbFile *file);
/* What became of a file that is closed: logged, not posted. */
void wb_messages_log_summary (GstWbFileSink *self, const WbStats *stats);

G_END_DECLS
