/* wbfilesink: how large the stream will be
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "element/gstwbfilesink-private.h"

#define MIB (G_GUINT64_CONSTANT (1) << 20)
/* Upstream is asked for its duration when this much has come, which is past a
 * demuxer's headers, and again when it may know better. */
#define ASK_DURATION_FIRST (64 * 1024)
#define ASK_DURATION_FACTOR 64
#define ASK_DURATION_LAST (1024 * MIB)

void
wb_size_begin (WbSize *size, const WbFileConfig *config)
{
  size->first_time = size->last_time = GST_CLOCK_TIME_NONE;
  size->pushed = 0;
  size->ask_duration_at =
      config->preallocate == WB_PREALLOCATE_AUTO && config->size_hint == 0
      ? ASK_DURATION_FIRST
      : G_MAXUINT64;
}

void
wb_size_flush (WbSize *size)
{
  size->first_time = size->last_time = GST_CLOCK_TIME_NONE;
}

void
wb_size_note_segment (WbFile *file, const GstSegment *segment)
{
  if (segment->format == GST_FORMAT_BYTES && segment->duration != (guint64) -1
      && segment->duration <= G_MAXINT64)
    wb_file_set_expected (file, WB_SIZE_SEGMENT, segment->duration);
}

/* Not on the streaming thread, where a source may hold locks while it pushes,
 * and never waited for. Only the duration in time is asked for: one in bytes
 * may be that of a file far upstream, before a decoder. */
static void
ask_duration (GstElement *element, gpointer serial)
{
  GstWbFileSink *self = (GstWbFileSink *) element;
  gint64 duration = -1;
  WbFile *file;

  if (!gst_pad_peer_query_duration (
          GST_BASE_SINK_PAD (self), GST_FORMAT_TIME, &duration)
      || duration <= 0)
    return;
  file = wb_current_get_if (self, GPOINTER_TO_UINT (serial));
  if (file == NULL)
    return;
  if (wb_file_set_duration (file, (guint64) duration))
    GST_DEBUG_OBJECT (self, "upstream is %" GST_TIME_FORMAT " long",
        GST_TIME_ARGS ((GstClockTime) duration));
  wb_file_unref (file);
}

void
wb_size_ask (GstWbFileSink *self)
{
  WbSize *size = &self->size;

  size->ask_duration_at = size->ask_duration_at < ASK_DURATION_LAST
      ? size->ask_duration_at * ASK_DURATION_FACTOR
      : G_MAXUINT64;
  gst_element_call_async (GST_ELEMENT (self), ask_duration,
      GUINT_TO_POINTER (wb_current_get_serial (self)), NULL);
}
