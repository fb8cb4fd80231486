/* wbfilesink: errors
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Turns errors into messages, one a try, whoever meets it first. Owns WbErrors;
 * all of it is under the object lock. Bus handlers are the application's code
 * and run in here, so no lock may be held, the file's threads never enter, and
 * any other thread may.
 */
#pragma once

#include "element/gstwbfilesink.h"

G_BEGIN_DECLS

typedef struct
{
  enum
  {
    WB_ERRORS_NONE,
    WB_ERRORS_BEING_POSTED,
    WB_ERRORS_POSTED
  } state;         /* one a try */
  guint try;       /* its number */
  GThread *poster; /* only to compare */
  GCond posted;
} WbErrors;

void wb_errors_init (WbErrors *errors);
void wb_errors_clear (WbErrors *errors);
/* With the object lock: another file begins. */
void wb_errors_forget (WbErrors *errors);

/* A try begins, which is told of an error that stands: after READY, or a flush. */
void wb_errors_begin_try (GstWbFileSink *self);
guint wb_errors_get_try (GstWbFileSink *self);

/* Does nothing if there is no error, or if one has been posted. */
void wb_errors_post (GstWbFileSink *self, const WbError *error);
/* The same with the file's first error. */
void wb_errors_post_of_file (GstWbFileSink *self, WbFile *file);
/* The same as news that came in this try; it says nothing in a later one, which
 * is told by whatever it does with the file. */
void wb_errors_post_news_of_file (GstWbFileSink *self, WbFile *file, guint try);
/* An open that failed, or, if `stall` names a call, that hangs. */
void wb_errors_post_open_failure (
    GstWbFileSink *self, const WbError *error, const WbStall *stall);
/* A buffer whose memory cannot be mapped. */
void wb_errors_post_unreadable (GstWbFileSink *self, GstBuffer *buffer);
/* A write that hangs at the end: so many bytes were accepted and are not handed to
 * the system. */
void wb_errors_post_lost (
    GstWbFileSink *self, const WbStall *stall, guint64 bytes);
/* Nothing has moved for sync-timeout. Returns TRUE if that is to be an error,
 * which has then been posted; else it is a warning. */
gboolean wb_errors_post_timeout (
    GstWbFileSink *self, const WbStall *stall, const gchar *consequence);

G_END_DECLS
