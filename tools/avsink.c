/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A bridge from libavformat's muxers to wbfilesink.
 *
 * Problem: a muxer of libavformat writes and seeks in an AVIOContext; wbfilesink,
 * which bounds what is dirty and knows when a file is durable, takes buffers and
 * events on a pad.
 *
 * Strategy: an AVIOContext of our own. A write is a buffer that is pushed on a
 * pad of our own, which is linked to the element; a seek is a BYTES segment; the
 * end is EOS, and what became of the file is in the message wbfilesink-sync. The
 * element stands alone: it needs no pipeline, only a bus, whose sync handler takes
 * its messages in the thread that posts them.
 *
 * A push waits while the element's queue is full: that is what holds the muxer to
 * the disk's pace.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "avsink.h"

/* A muxer's small writes come in pieces of this size, its large ones too. */
#define BLOCK_SIZE (64 * 1024)

struct _AvSink
{
  GstElement *element;
  GstPad *pad; /* ours, linked to the element's */
  AVIOContext *io;
  AvSinkTell tell;
  gpointer user_data;
  gint64 position;
  gint64 size; /* the highest position so far */

  GMutex lock;
  GCond changed;
  gboolean has_ended;  /* EOS or an error was posted */
  gboolean is_stopped; /* atomic too */
  gboolean is_durable;
  GError *failure;
};

/* --- what the element says ----------------------------------------------------- */

static void
take_error (AvSink *self, GstMessage *message)
{
  GError *error = NULL;

  gst_message_parse_error (message, &error, NULL);
  if (self->failure)
    g_error_free (error);
  else
    self->failure = error;
  self->has_ended = TRUE;
}

static void
take_warning (AvSink *self, GstMessage *message)
{
  g_autoptr (GError) error = NULL;

  gst_message_parse_warning (message, &error, NULL);
  if (self->tell)
    self->tell (error->message, self->user_data);
}

static GstBusSyncReply
on_message (GstBus *bus, GstMessage *message, gpointer user_data)
{
  AvSink *self = user_data;
  const GstStructure *structure = gst_message_get_structure (message);

  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_WARNING)
    take_warning (self, message);
  g_mutex_lock (&self->lock);
  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR)
    take_error (self, message);
  else if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_EOS)
    self->has_ended = TRUE;
  else if (gst_message_has_name (message, "wbfilesink-sync"))
    self->is_durable =
        g_strcmp0 (gst_structure_get_string (structure, "result"), "durable")
        == 0;
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
  gst_message_unref (message);
  return GST_BUS_DROP;
}

/* --- what libavformat calls ----------------------------------------------------- */

/* The position is told anew only where it is not simply the next one. */
static void
push_segment (AvSink *self)
{
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_BYTES);
  segment.start = segment.position = self->position;
  gst_pad_push_event (self->pad, gst_event_new_segment (&segment));
}

#if LIBAVFORMAT_VERSION_MAJOR >= 61
static int
on_write (void *opaque, const uint8_t *data, int size)
#else
static int
on_write (void *opaque, uint8_t *data, int size)
#endif
{
  AvSink *self = opaque;
  GstBuffer *buffer;
  GstFlowReturn flow;

  if (g_atomic_int_get (&self->is_stopped))
    return AVERROR_EXIT;
  buffer = gst_buffer_new_allocate (NULL, size, NULL);
  gst_buffer_fill (buffer, 0, data, size);
  flow = gst_pad_push (self->pad, buffer);
  if (flow == GST_FLOW_FLUSHING || g_atomic_int_get (&self->is_stopped))
    return AVERROR_EXIT;
  if (flow != GST_FLOW_OK)
    return AVERROR (EIO);
  self->position += size;
  self->size = MAX (self->size, self->position);
  return size;
}

static int64_t
on_seek (void *opaque, int64_t offset, int whence)
{
  AvSink *self = opaque;

  if (whence & AVSEEK_SIZE)
    return self->size;
  switch (whence & ~AVSEEK_FORCE) {
    case SEEK_CUR:
      offset += self->position;
      break;
    case SEEK_END:
      offset += self->size;
      break;
    default:
      break;
  }
  if (offset < 0)
    return AVERROR (EINVAL);
  if (offset != self->position) {
    self->position = offset;
    push_segment (self);
  }
  return offset;
}

static int
refuse_open (AVFormatContext *muxer, AVIOContext **io, const char *url,
    int flags, AVDictionary **options)
{
  av_log (muxer, AV_LOG_ERROR,
      "%s is asked for: what is written through wbfilesink is one file, and "
      "cannot be read back meanwhile\n",
      *url ? url : "the output");
  return AVERROR (ENOSYS);
}

void
av_sink_attach (AvSink *self, AVFormatContext *muxer)
{
  muxer->pb = self->io;
  muxer->flags |= AVFMT_FLAG_CUSTOM_IO;
  muxer->io_open = refuse_open;
}

/* --- beginning and end ------------------------------------------------------------ */

static void
set_failure (AvSink *self, GError **error)
{
  g_mutex_lock (&self->lock);
  if (self->failure)
    g_propagate_error (error, g_error_copy (self->failure));
  else
    g_set_error_literal (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_WRITE,
        self->is_stopped ? "stopped" : "cannot be written");
  g_mutex_unlock (&self->lock);
}

void
av_sink_get_failure (AvSink *self, GError **error)
{
  av_sink_stop (self);
  gst_element_set_state (self->element, GST_STATE_NULL);
  g_mutex_lock (&self->lock);
  if (self->failure)
    g_propagate_error (error, g_error_copy (self->failure));
  g_mutex_unlock (&self->lock);
}

/* A pipe is not; then the muxer does without. */
static gboolean
is_seekable (AvSink *self)
{
  GstQuery *query = gst_query_new_seeking (GST_FORMAT_BYTES);
  gboolean is_one = FALSE;

  if (gst_pad_peer_query (self->pad, query))
    gst_query_parse_seeking (query, NULL, &is_one, NULL, NULL);
  gst_query_unref (query);
  return is_one;
}

static gboolean
start (AvSink *self, GError **error)
{
  g_autoptr (GstPad) sink = gst_element_get_static_pad (self->element, "sink");

  self->pad = gst_pad_new ("src", GST_PAD_SRC);
  if (gst_pad_link (self->pad, sink) != GST_PAD_LINK_OK
      || gst_element_set_state (self->element, GST_STATE_PLAYING)
          == GST_STATE_CHANGE_FAILURE) {
    set_failure (self, error);
    return FALSE;
  }
  gst_pad_set_active (self->pad, TRUE);
  if (!is_seekable (self))
    self->io->seekable = 0;
  gst_pad_push_event (self->pad, gst_event_new_stream_start ("file"));
  push_segment (self);
  return TRUE;
}

AvSink *
av_sink_new (const gchar *path, guint64 size_hint, AvSinkTell tell,
    gpointer user_data, GError **error)
{
  g_autoptr (AvSink) self = g_new0 (AvSink, 1);
  g_autoptr (GstBus) bus = gst_bus_new ();

  g_mutex_init (&self->lock);
  g_cond_init (&self->changed);
  self->tell = tell;
  self->user_data = user_data;
  self->io = avio_alloc_context (
      av_malloc (BLOCK_SIZE), BLOCK_SIZE, 1, self, NULL, on_write, on_seek);
  self->element = gst_element_factory_make ("wbfilesink", NULL);
  if (!self->element) {
    g_set_error_literal (error, GST_CORE_ERROR, GST_CORE_ERROR_MISSING_PLUGIN,
        "GStreamer has no element wbfilesink here (GST_PLUGIN_PATH says where "
        "to look for it)");
    return NULL;
  }
  gst_object_ref_sink (self->element);
  g_object_set (self->element, "location", path, "size-hint", size_hint, NULL);
  gst_bus_set_sync_handler (bus, on_message, self, NULL);
  gst_element_set_bus (self->element, bus);
  return start (self, error) ? g_steal_pointer (&self) : NULL;
}

AvSinkVerdict
av_sink_finish (AvSink *self, GError **error)
{
  gboolean is_whole;

  avio_flush (self->io);
  if (self->io->error >= 0 && !g_atomic_int_get (&self->is_stopped)
      && gst_pad_push_event (self->pad, gst_event_new_eos ())) {
    g_mutex_lock (&self->lock);
    while (!self->has_ended && !self->is_stopped)
      g_cond_wait (&self->changed, &self->lock);
    g_mutex_unlock (&self->lock);
  }
  /* What the element says when it closes the file counts too. */
  gst_element_set_state (self->element, GST_STATE_NULL);
  g_mutex_lock (&self->lock);
  is_whole = self->has_ended && !self->failure && !self->is_stopped;
  g_mutex_unlock (&self->lock);
  if (is_whole)
    return self->is_durable ? AV_SINK_DURABLE : AV_SINK_WRITTEN;
  set_failure (self, error);
  return AV_SINK_FAILED;
}

void
av_sink_stop (AvSink *self)
{
  g_autoptr (GstPad) sink = gst_element_get_static_pad (self->element, "sink");

  g_mutex_lock (&self->lock);
  g_atomic_int_set (&self->is_stopped, TRUE);
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
  /* The first wakes whoever waits in a push, the second throws the queue away, the
   * third wakes who has pushed meanwhile, and waits for a preroll. */
  gst_pad_send_event (sink, gst_event_new_flush_start ());
  gst_pad_send_event (sink, gst_event_new_flush_stop (TRUE));
  gst_pad_send_event (sink, gst_event_new_flush_start ());
}

GstStructure *
av_sink_get_stats (AvSink *self)
{
  GstStructure *stats = NULL;

  g_object_get (self->element, "writeback-stats", &stats, NULL);
  return stats;
}

void
av_sink_free (AvSink *self)
{
  if (self->element)
    gst_element_set_state (self->element, GST_STATE_NULL);
  if (self->element)
    gst_element_set_bus (self->element, NULL);
  gst_clear_object (&self->element);
  gst_clear_object (&self->pad);
  av_freep (&self->io->buffer);
  avio_context_free (&self->io);
  g_clear_error (&self->failure);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->changed);
  g_free (self);
}
