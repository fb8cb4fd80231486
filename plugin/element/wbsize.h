/* wbfilesink: how large the stream will be
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Tells the writer what upstream lets know of it: a segment in bytes, or the
 * duration and how much of it has come. Owns WbSize. Only the streaming thread
 * enters, and start, which comes before it.
 */
#pragma once

#include "element/gstwbfilesink.h"

G_BEGIN_DECLS

typedef struct
{
  GstClockTime first_time, last_time; /* of the buffers */
  guint64 pushed;                     /* bytes */
  guint64 ask_duration_at;            /* bytes; G_MAXUINT64: not any more */
} WbSize;

/* Start: nothing has come of the stream. What `config` knows is not asked. */
void wb_size_begin (WbSize *size, const WbFileConfig *config);
/* FLUSH_STOP: times and bytes begin anew. */
void wb_size_flush (WbSize *size);
void wb_size_note_segment (WbFile *file, const GstSegment *segment);
/* Asks upstream for its duration, on another thread. */
void wb_size_ask (GstWbFileSink *self);

/* How much of the stream has come with this buffer. Between wb_file_begin() and
 * wb_file_end(). Inline, as what follows, for it is done once a buffer. */
static inline void
wb_size_note_time (WbSize *size, WbFile *file, GstBuffer *buffer)
    WB_REQUIRES (wb_locked, wb_stream_thread)
{
  GstClockTime time = GST_BUFFER_DTS_OR_PTS (buffer);

  if (!GST_CLOCK_TIME_IS_VALID (time))
    return;
  if (!GST_CLOCK_TIME_IS_VALID (size->first_time))
    size->first_time = size->last_time = time;
  size->last_time = MAX (size->last_time, time);
  wb_file_set_elapsed (
      file, size->last_time - MIN (size->first_time, size->last_time));
}

/* So many bytes more were handed over. TRUE: it is time to ask. */
static inline gboolean
wb_size_note_pushed (WbSize *size, gsize bytes)
{
  size->pushed += bytes;
  return size->pushed >= size->ask_duration_at;
}

G_END_DECLS
