/* wbfilesink: messages
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What is posted and logged, errors excepted (wberrors): warnings, the element
 * messages, the summary. Owns WbMessages; all of it is under the object lock.
 * Bus handlers are the application's code and run in here, so no lock may be
 * held, the file's threads never enter, and any other thread may.
 */
#pragma once

#include "element/gstwbfilesink.h"

G_BEGIN_DECLS

typedef struct
{
  gchar *location; /* that was asked for */
  gchar *uri;
} WbMessages;

void wb_messages_clear (WbMessages *messages);
/* With the object lock: the file that messages are about from now on. The
 * location may be set anew while the file is being opened, and once it is closed:
 * what is said of it still names this one. NULL: none. */
void wb_messages_begin (
    WbMessages *messages, const gchar *location, const gchar *uri);

/* How the file is called in messages: valid UTF-8, whatever the bytes of its
 * name. To be freed. */
gchar *wb_messages_get_name (GstWbFileSink *self);
/* The same of the name that the file is to have. */
gchar *wb_messages_get_goal (GstWbFileSink *self);
/* Which call hangs, and for how long. To be freed. */
gchar *wb_messages_describe_stall (const WbStall *stall);

/* The stream waits. */
void wb_messages_warn_of_stall (GstWbFileSink *self, const WbStall *stall);
/* EOS waits for a reader who has not taken `bytes` of the stream. */
void wb_messages_warn_of_reader (
    GstWbFileSink *self, const WbStall *stall, guint64 bytes);
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
