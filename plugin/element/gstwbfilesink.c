/* wbfilesink: the element
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Problem: a sink must not block a streaming or state-change thread in a call
 * that storage can hang, and must say what became of the file. Strategy: this
 * file only translates. Buffers, events and states become calls of WbFile,
 * which never block beyond a condition variable; what comes back becomes flow
 * returns and messages.
 *
 * The work is done by the element's parts, which gstwbfilesink-private.h names;
 * here is what the base class calls. Any thread enters, as the base class says:
 * the stream's functions on the streaming thread with its locks, start and stop
 * on that of the state change, queries on any.
 *
 * Layout: the stream; queries; life; the class.
 */

/**
 * SECTION:element-wbfilesink
 * @title: wbfilesink
 * @see_also: #GstFileSink
 *
 * Writes the stream to a file, like filesink, and keeps the disk busy, the page
 * cache bounded and the end of the file known: write-out is started chunk by
 * chunk while the stream runs, waited for by a thread of the file's own and
 * dropped from the cache. At EOS the file and its directory are synced, for as
 * long as anything moves and #GstWbFileSink:sync-timeout beyond; the element
 * message `wbfilesink-sync` says what came of it before EOS is posted.
 *
 * ## Example pipelines
 * |[
 * gst-launch-1.0 -e videotestsrc num-buffers=900 ! x264enc ! matroskamux ! wbfilesink location=test.mkv
 * ]| Writes a Matroska file; when gst-launch-1.0 returns, it is on the disk.
 * |[
 * gst-launch-1.0 filesrc location=movie.m2ts ! tsdemux ! h264parse ! matroskamux ! wbfilesink location=movie.mkv max-dirty-bytes=16777216
 * ]| Remuxes with at most 16 MiB of unwritten data in the cache.
 *
 * Since: 0.1
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "element/gstwbfilesink-private.h"
#include "element/wburi.h"

G_DEFINE_TYPE_WITH_CODE (
    GstWbFileSink, gst_wb_file_sink, GST_TYPE_BASE_SINK,
    G_IMPLEMENT_INTERFACE (GST_TYPE_URI_HANDLER, wb_uri_handler_init);
    GST_DEBUG_CATEGORY_INIT (
        gst_wb_file_sink_debug, "wbfilesink", 0, "wbfilesink element");)
GST_ELEMENT_REGISTER_DEFINE (
    wbfilesink, "wbfilesink", GST_RANK_NONE, GST_TYPE_WB_FILE_SINK);

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE (
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

/* --- the stream ---------------------------------------------------------------- */

static GstFlowReturn
gst_wb_file_sink_render (GstBaseSink *sink, GstBuffer *buffer)
{
  wb_assume_stream_thread (); /* the base class calls no other */
  /* Once a buffer: unchecked. */
  return wb_feed_buffer ((GstWbFileSink *) sink, buffer);
}

static GstFlowReturn
gst_wb_file_sink_render_list (GstBaseSink *sink, GstBufferList *list)
{
  wb_assume_stream_thread ();
  return wb_feed_list ((GstWbFileSink *) sink, list);
}

static gboolean
seek (GstWbFileSink *self, guint64 position) WB_REQUIRES (wb_stream_thread)
{
  guint64 from, furthest;

  if (!wb_file_seek (
          wb_current_peek (&self->current), position, &from, &furthest)) {
    wb_errors_post_of_file (self, wb_current_peek (&self->current));
    return FALSE;
  }
  if (position != from)
    GST_DEBUG_OBJECT (self,
        "seek from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT
        " (%+" G_GINT64_FORMAT "): %s",
        from, position, (gint64) (position - from),
        position < furthest        ? "a back-patch"
            : position == furthest ? "a resume"
                                   : "beyond the end");
  return TRUE;
}

static gboolean
gst_wb_file_sink_event (GstBaseSink *sink, GstEvent *event)
{
  GstWbFileSink *self = GST_WB_FILE_SINK (sink);

  if (GST_EVENT_TYPE (event) == GST_EVENT_SEGMENT) {
    const GstSegment *segment;

    wb_assume_stream_thread (); /* a serialized event */
    gst_event_parse_segment (event, &segment);
    wb_size_note_segment (wb_current_peek (&self->current), segment);
    if (segment->format == GST_FORMAT_BYTES && !seek (self, segment->start)) {
      gst_event_unref (event);
      return FALSE;
    }
  } else if (GST_EVENT_TYPE (event) == GST_EVENT_FLUSH_STOP) {
    WbFile *file = wb_current_get (self);

    if (file != NULL) {
      GST_DEBUG_OBJECT (self, "flush: starting again");
      wb_size_flush (&self->size);
      wb_listener_post_news (self);
      wb_errors_begin_try (self);
      wb_file_flush (file);
      wb_file_unref (file);
    }
  }
  return GST_BASE_SINK_CLASS (gst_wb_file_sink_parent_class)
      ->event (sink, event);
}

static GstFlowReturn
gst_wb_file_sink_wait_event (GstBaseSink *sink, GstEvent *event)
{
  GstWbFileSink *self = GST_WB_FILE_SINK (sink);
  GstFlowReturn flow = GST_BASE_SINK_CLASS (gst_wb_file_sink_parent_class)
                           ->wait_event (sink, event);

  if (flow != GST_FLOW_OK || GST_EVENT_TYPE (event) != GST_EVENT_EOS)
    return flow;
  return wb_wait_eos (self, wb_current_peek (&self->current));
}

/* --- queries --------------------------------------------------------------------- */

static gboolean
is_seekable (GstWbFileSink *self)
{
  WbFile *file = wb_current_get (self);
  gboolean seekable = file != NULL && wb_file_is_seekable (file);

  g_clear_pointer (&file, wb_file_unref);
  return seekable;
}

/* A pipeline asks for the latency when it begins to play, and when it changes. The
 * base class answers for a sink that does not wait for the clock, whatever stands
 * upstream, so upstream is asked here. */
static gboolean
gst_wb_file_sink_query_element (GstElement *element, GstQuery *query)
{
  g_autoptr (GstQuery) ours = NULL;
  gboolean live = TRUE;

  if (GST_QUERY_TYPE (query) == GST_QUERY_LATENCY) {
    ours = gst_query_new_latency ();
    if (gst_pad_peer_query (GST_BASE_SINK_PAD (element), ours))
      gst_query_parse_latency (ours, &live, NULL, NULL);
    wb_settings_set_unhurried (GST_WB_FILE_SINK (element), !live);
  }
  return GST_ELEMENT_CLASS (gst_wb_file_sink_parent_class)
      ->query (element, query);
}

static gboolean
gst_wb_file_sink_query (GstBaseSink *sink, GstQuery *query)
{
  GstWbFileSink *self = GST_WB_FILE_SINK (sink);
  g_autofree gchar *uri = NULL;
  GstFormat format;

  switch (GST_QUERY_TYPE (query)) {
    case GST_QUERY_POSITION:
      gst_query_parse_position (query, &format, NULL);
      if (format != GST_FORMAT_DEFAULT && format != GST_FORMAT_BYTES)
        return FALSE;
      gst_query_set_position (
          query, format, (gint64) wb_current_get_position (self));
      return TRUE;
    case GST_QUERY_FORMATS:
      gst_query_set_formats (query, 2, GST_FORMAT_DEFAULT, GST_FORMAT_BYTES);
      return TRUE;
    case GST_QUERY_URI:
      uri = wb_settings_get_uri (self);
      gst_query_set_uri (query, uri);
      return TRUE;
    case GST_QUERY_SEEKING:
      gst_query_parse_seeking (query, &format, NULL, NULL, NULL);
      if (format == GST_FORMAT_BYTES || format == GST_FORMAT_DEFAULT)
        gst_query_set_seeking (
            query, GST_FORMAT_BYTES, is_seekable (self), 0, -1);
      else
        gst_query_set_seeking (query, format, FALSE, 0, -1);
      return TRUE;
    default:
      return GST_BASE_SINK_CLASS (gst_wb_file_sink_parent_class)
          ->query (sink, query);
  }
}

/* --- life -------------------------------------------------------------------------- */

static gboolean
gst_wb_file_sink_start (GstBaseSink *sink)
{
  GstWbFileSink *self = GST_WB_FILE_SINK (sink);
  WbError error = { .kind = WB_ERROR_NO_LOCATION };
  g_autofree gchar *location = NULL, *suffix = NULL;
  WbFileConfig config = { 0 };
  WbStall stall = { 0 };
  WbFile *file = NULL;

  wb_settings_fix_buffer_size (self);
  wb_settings_set_unhurried (self, FALSE);
  GST_OBJECT_LOCK (self);
  wb_errors_forget (&self->errors);
  wb_current_forget (&self->current);
  wb_settings_fill_config (&self->settings, &config);
  wb_messages_begin (
      &self->messages, config.location, wb_settings_peek_uri (&self->settings));
  config.location = location = g_strdup (config.location);
  config.part_suffix = suffix = g_strdup (config.part_suffix);
  config.sys = self->sys;
  GST_OBJECT_UNLOCK (self);

  if (location != NULL && location[0] != '\0') {
    config.listener = wb_listener_new (self);
    file = wb_file_open (&config, &error, &stall);
  }
  if (file == NULL) {
    wb_errors_post_open_failure (self, &error, &stall);
    return FALSE;
  }
  wb_size_begin (&self->size, &config);
  wb_current_begin (self, file);
  /* They may have been changed while the file was being opened. */
  wb_settings_apply_bounds (self);
  wb_listener_post_events (self, file);
  return TRUE;
}

static gboolean
gst_wb_file_sink_stop (GstBaseSink *sink)
{
  GstWbFileSink *self = GST_WB_FILE_SINK (sink);
  WbFile *file = wb_current_get (self);
  guint64 position;
  WbStall stall = { 0 };
  WbStatus status;
  WbPlace place;
  WbStats stats;

  if (file == NULL)
    return TRUE;
  wb_wait_stop (self, file);
  position = wb_file_get_position (file);
  status = wb_file_close (wb_current_peek (&self->current), &stats, &stall);
  if (status == WB_TIMEOUT && stats.queued_bytes > 0
      && wb_file_is_seekable (file))
    wb_errors_post_lost (self, &stall, stats.queued_bytes);
  else if (status == WB_TIMEOUT && stats.sync_result != WB_RESULT_TIMEOUT)
    wb_errors_post_timeout (
        self, &stall, "it is closed when that call returns");
  else if (status == WB_FAILED)
    wb_errors_post (self, &stats.error);

  wb_file_get_place (file, &place);
  wb_current_end (self, &stats, &place, position);
  wb_file_unref (file);
  wb_messages_log_summary (self, &stats);
  return TRUE;
}

static GstStateChangeReturn
gst_wb_file_sink_change_state (GstElement *element, GstStateChange transition)
{
  GstWbFileSink *self = GST_WB_FILE_SINK (element);
  GstStateChangeReturn result;

  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED)
    wb_errors_begin_try (self);
  if (transition == GST_STATE_CHANGE_PLAYING_TO_PAUSED)
    wb_wait_set_paused (&self->wait, TRUE);
  else if (transition == GST_STATE_CHANGE_PAUSED_TO_PLAYING)
    wb_wait_set_paused (&self->wait, FALSE);
  result = GST_ELEMENT_CLASS (gst_wb_file_sink_parent_class)
               ->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY)
    wb_listener_post_news (self);
  return result;
}

static gboolean
gst_wb_file_sink_unlock (GstBaseSink *sink)
{
  WbFile *file = wb_current_get (GST_WB_FILE_SINK (sink));

  if (file != NULL) {
    wb_file_interrupt (file, TRUE);
    wb_file_unref (file);
  }
  return TRUE;
}

static gboolean
gst_wb_file_sink_unlock_stop (GstBaseSink *sink)
{
  WbFile *file = wb_current_get (GST_WB_FILE_SINK (sink));

  if (file != NULL) {
    wb_file_interrupt (file, FALSE);
    wb_file_unref (file);
  }
  return TRUE;
}

void
gst_wb_file_sink_set_sys (GstWbFileSink *self, const WbSys *sys)
{
  GST_OBJECT_LOCK (self);
  self->sys = sys;
  GST_OBJECT_UNLOCK (self);
}

/* --- the class -------------------------------------------------------------------- */

static void
gst_wb_file_sink_finalize (GObject *object)
{
  GstWbFileSink *self = GST_WB_FILE_SINK (object);

  wb_feed_clear (&self->feed);
  wb_current_clear (&self->current);
  wb_messages_clear (&self->messages);
  wb_settings_clear (&self->settings);
  wb_errors_clear (&self->errors);
  G_OBJECT_CLASS (gst_wb_file_sink_parent_class)->finalize (object);
}

static void
gst_wb_file_sink_init (GstWbFileSink *self)
{
  wb_feed_init (&self->feed);
  wb_errors_init (&self->errors);
  wb_settings_init (&self->settings);
  gst_base_sink_set_sync (GST_BASE_SINK (self), FALSE);
}

static void
gst_wb_file_sink_class_init (GstWbFileSinkClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseSinkClass *sink_class = GST_BASE_SINK_CLASS (klass);

  object_class->finalize = gst_wb_file_sink_finalize;
  wb_settings_install (object_class);

  element_class->change_state =
      GST_DEBUG_FUNCPTR (gst_wb_file_sink_change_state);
  gst_element_class_set_static_metadata (element_class, "Write-back File Sink",
      "Sink/File",
      "Write a stream to a file with a bounded page cache, and know when it is "
      "on the disk",
      "The wbfilesink authors");
  gst_element_class_add_static_pad_template (element_class, &sink_template);

  element_class->query = GST_DEBUG_FUNCPTR (gst_wb_file_sink_query_element);
  sink_class->start = GST_DEBUG_FUNCPTR (gst_wb_file_sink_start);
  sink_class->stop = GST_DEBUG_FUNCPTR (gst_wb_file_sink_stop);
  sink_class->query = GST_DEBUG_FUNCPTR (gst_wb_file_sink_query);
  sink_class->event = GST_DEBUG_FUNCPTR (gst_wb_file_sink_event);
  sink_class->wait_event = GST_DEBUG_FUNCPTR (gst_wb_file_sink_wait_event);
  sink_class->render = GST_DEBUG_FUNCPTR (gst_wb_file_sink_render);
  sink_class->render_list = GST_DEBUG_FUNCPTR (gst_wb_file_sink_render_list);
  sink_class->unlock = GST_DEBUG_FUNCPTR (gst_wb_file_sink_unlock);
  sink_class->unlock_stop = GST_DEBUG_FUNCPTR (gst_wb_file_sink_unlock_stop);
}
