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
 * Layout: waiting; buffers; events and queries; life; the URI handler; the class.
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

#include <string.h>

/* What gst_base_sink_wait_preroll() returns for a step; its name is private to
 * the base class. */
#define FLOW_STEP GST_FLOW_CUSTOM_ERROR

/* Upstream is asked for its duration when this much has come, which is past a
 * demuxer's headers, and again when it may know better. */
#define ASK_DURATION_FIRST (64 * 1024)
#define ASK_DURATION_FACTOR 64
#define ASK_DURATION_LAST (1024 * MIB)
#define MIB (G_GUINT64_CONSTANT (1) << 20)
/* Buffers of a list after which the file's threads may have the lock: copying a
 * hundred takes 22 us, and they would be asleep by then. Lists of 100 x 1316
 * bytes to tmpfs: 2110 MB/s without, 3127 with this and a lock that spins. */
#define LIST_PART 8

static void gst_wb_file_sink_uri_handler_init (
    gpointer g_iface, gpointer iface_data);

G_DEFINE_TYPE_WITH_CODE (GstWbFileSink, gst_wb_file_sink, GST_TYPE_BASE_SINK,
                         G_IMPLEMENT_INTERFACE (GST_TYPE_URI_HANDLER,
                             gst_wb_file_sink_uri_handler_init);
                         GST_DEBUG_CATEGORY_INIT (gst_wb_file_sink_debug,
                             "wbfilesink", 0, "wbfilesink element");)
GST_ELEMENT_REGISTER_DEFINE (
    wbfilesink, "wbfilesink", GST_RANK_NONE, GST_TYPE_WB_FILE_SINK);

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE (
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

/* --- waiting ----------------------------------------------------------------- */

/* After unlock(): waits in preroll, with the preroll lock released, for PLAYING
 * or for the end. The base class wakes this thread for PLAYING, but if the
 * element is paused again before it gets the lock, it still hears OK: going on
 * to wait for the file would then keep the lock from the next state change. */
static GstFlowReturn
wait_preroll (GstWbFileSink *self)
{
  GstFlowReturn flow;

  do
    flow = gst_base_sink_wait_preroll (GST_BASE_SINK (self));
  while (flow == GST_FLOW_OK && g_atomic_int_get (&self->paused));
  return flow;
}

/* The same when something was accepted already: a step changes nothing, but takes
 * the state back until the next preroll. `is_last`: nothing comes that could, so
 * this is it. In any case the preroll lock was released before the wait for the
 * file goes on: whoever has interrupted it may be waiting for that lock. */
static GstFlowReturn
wait_preroll_through_steps (GstWbFileSink *self, gboolean is_last)
{
  GstBaseSink *base = GST_BASE_SINK (self);
  GstFlowReturn flow = wait_preroll (self);

  while (flow == FLOW_STEP && !is_last)
    flow = g_atomic_int_get (&self->paused) ? wait_preroll (self) : GST_FLOW_OK;
  while (flow == FLOW_STEP
      || (flow == GST_FLOW_OK && base->playing_async && is_last)) {
    base->need_preroll = TRUE;
    flow = gst_base_sink_do_preroll (base, NULL);
  }
  return flow;
}

static guint64
request_finish (GstWbFileSink *self, WbFile *file)
{
  WbSyncKind kind = wb_settings_get_sync_kind (self);

  wb_file_note_result (file, WB_RESULT_NONE, 0);
  return wb_file_request_sync (file, kind, TRUE);
}

static GstFlowReturn
finish_timed_out (
    GstWbFileSink *self, WbFile *file, gint64 elapsed_us, const WbStall *stall)
{
  WbStats stats;

  /* Said before, of the same sync. */
  wb_file_get_stats (file, &stats);
  if (stats.sync_result == WB_RESULT_TIMEOUT)
    return GST_FLOW_OK;
  wb_messages_post_sync (self, file, WB_RESULT_TIMEOUT, elapsed_us);
  return wb_errors_post_timeout (
             self, stall, "the file is not known to be on the disk")
      ? GST_FLOW_ERROR
      : GST_FLOW_OK;
}

/* Waits for the finishing sync, tells the world, and says how it went. */
static GstFlowReturn
finish (GstWbFileSink *self, WbFile *file, guint64 token)
{
  gint64 start = g_get_monotonic_time (), elapsed;
  WbSyncResult result;
  GstFlowReturn flow = GST_FLOW_OK;
  WbStatus status;
  WbStall stall;

  do {
    status = wb_file_wait_sync (file, token, &result, &stall);
    if (status == WB_INTERRUPTED)
      flow = wait_preroll_through_steps (self, TRUE);
  } while (status == WB_INTERRUPTED && flow == GST_FLOW_OK);

  elapsed = g_get_monotonic_time () - start;
  wb_listener_post_events (self, file);
  if (status == WB_TIMEOUT)
    return finish_timed_out (self, file, elapsed, &stall);
  if (status == WB_INTERRUPTED)
    result = WB_RESULT_CANCELLED;
  if (result == WB_RESULT_FAILED)
    wb_errors_post_of_file (self, file);
  wb_messages_post_sync (self, file, result, elapsed);
  if (result == WB_RESULT_FAILED)
    return GST_FLOW_ERROR;
  return result == WB_RESULT_CANCELLED ? GST_FLOW_FLUSHING : GST_FLOW_OK;
}

static GstFlowReturn
gst_wb_file_sink_wait_event (GstBaseSink *sink, GstEvent *event)
{
  GstWbFileSink *self = GST_WB_FILE_SINK (sink);
  GstFlowReturn flow = GST_BASE_SINK_CLASS (gst_wb_file_sink_parent_class)
                           ->wait_event (sink, event);

  if (flow != GST_FLOW_OK || GST_EVENT_TYPE (event) != GST_EVENT_EOS)
    return flow;
  return finish (self, wb_current_peek (&self->current),
      request_finish (self, wb_current_peek (&self->current)));
}

/* SYNC_AFTER: everything up to here is synced before render returns. */
static GstFlowReturn
wait_barrier (GstWbFileSink *self)
{
  WbFile *file = wb_current_peek (&self->current);
  guint64 token = wb_file_request_sync (file, WB_SYNC_BARRIER, FALSE);
  WbSyncResult result;
  WbStall stall;

  for (;;) {
    GstFlowReturn flow;

    switch (wb_file_wait_sync (file, token, &result, &stall)) {
      case WB_INTERRUPTED:
        flow = wait_preroll_through_steps (self, FALSE);
        if (flow != GST_FLOW_OK)
          return flow;
        break;
      case WB_TIMEOUT:
        return wb_errors_post_timeout (self, &stall,
                   "what was to be synced is not known to be on the disk")
            ? GST_FLOW_ERROR
            : GST_FLOW_OK;
      case WB_OK:
      case WB_STALLED:
      case WB_FAILED:
        if (result != WB_RESULT_FAILED)
          return GST_FLOW_OK;
        wb_errors_post_of_file (self, file);
        return GST_FLOW_ERROR;
    }
  }
}

/* --- buffers ------------------------------------------------------------------ */

/* The name is compared only where the allocator is not the usual one. */
static gboolean
is_system_memory (GstWbFileSink *self, GstBuffer *buffer, gsize *size)
{
  guint n = gst_buffer_n_memory (buffer);

  for (guint i = 0; i < n; i++) {
    GstMemory *memory = gst_buffer_peek_memory (buffer, i);

    if (memory->allocator != self->system_memory
        && !gst_memory_is_type (memory, GST_ALLOCATOR_SYSMEM))
      return FALSE;
    *size += memory->size;
  }
  return TRUE;
}

/* Holding a buffer of a pool in a queue starves the pool, and a buffer that
 * lends the memory of one does the same. */
static gboolean
belongs_to_pool (GstBuffer *buffer)
{
  return buffer->pool != NULL
      || gst_buffer_get_parent_buffer_meta (buffer) != NULL;
}

/* Memory that is not system memory is read here, on this thread and outside
 * the file's lock, and becomes a buffer of our own. */
static GstBuffer *
to_system_memory (GstWbFileSink *self, GstBuffer *buffer)
{
  gsize size = gst_buffer_get_size (buffer);
  GstBuffer *copy = gst_buffer_new_allocate (NULL, size, NULL);
  GstMapInfo from, to;

  if (copy == NULL || !gst_buffer_map (buffer, &from, GST_MAP_READ)) {
    gst_clear_buffer (&copy);
    wb_errors_post_unreadable (self, buffer);
    return NULL;
  }
  gst_buffer_map (copy, &to, GST_MAP_WRITE);
  memcpy (to.data, from.data, MIN (from.size, to.size));
  gst_buffer_unmap (copy, &to);
  gst_buffer_unmap (buffer, &from);
  GST_BUFFER_FLAGS (copy) |=
      GST_BUFFER_FLAGS (buffer) & GST_BUFFER_FLAG_SYNC_AFTER;
  return copy;
}

/* Between begin and end: the file is locked. A large memory is not copied: the
 * buffer is held until it is written, but not mapped so long. System memory has
 * one address for its life, the buffer that we hold keeps others from writing
 * to it, and a memory can only be mapped 255 times at once, while a queue may
 * hold more buffers than that of one and the same memory. */
static gboolean
hand_over_memory (
    WbFile *file, GstBuffer *buffer, GstMemory *memory, gsize copy_max)
{
  GstMapInfo map;

  if (!gst_memory_map (memory, &map, GST_MAP_READ))
    return FALSE;
  if (map.size <= copy_max)
    wb_file_copy (file, map.data, map.size);
  else
    wb_file_hold (file, map.data, map.size, gst_buffer_ref (buffer),
        (GDestroyNotify) gst_buffer_unref);
  gst_memory_unmap (memory, &map);
  return TRUE;
}

/* Up to how many bytes a memory of this buffer is copied. The base class has one
 * reference while it renders, and one more as the last sample. */
static gsize
copy_max (GstBuffer *buffer)
{
  if (belongs_to_pool (buffer))
    return G_MAXSIZE;
  return GST_MINI_OBJECT_REFCOUNT_VALUE (buffer) > 2 ? WB_COPY_SHARED_MAX
                                                     : WB_COPY_MAX;
}

static gboolean
hand_over (WbFile *file, GstBuffer *buffer)
{
  gsize most = copy_max (buffer);
  guint n = gst_buffer_n_memory (buffer);
  gboolean readable = TRUE;

  for (guint i = 0; i < n && readable; i++)
    readable = hand_over_memory (
        file, buffer, gst_buffer_peek_memory (buffer, i), most);
  wb_file_end_buffer (file);
  return readable;
}

/* Waits until `bytes` fit the queue. On GST_FLOW_OK the file is locked. */
static GstFlowReturn
begin (GstWbFileSink *self, gsize bytes)
{
  for (;;) {
    GstFlowReturn flow;
    WbStall stall;

    switch (wb_file_begin (wb_current_peek (&self->current), bytes, &stall)) {
      case WB_OK:
        return GST_FLOW_OK;
      case WB_INTERRUPTED:
        /* Nothing was accepted yet: a step is the base class's to see. */
        flow = wait_preroll (self);
        if (flow != GST_FLOW_OK)
          return flow;
        break;
      case WB_TIMEOUT:
        if (wb_errors_post_timeout (
                self, &stall, "the stream waits until it takes data again"))
          return GST_FLOW_ERROR;
        break;
      case WB_STALLED:
        wb_messages_warn_of_stall (self, &stall);
        break;
      case WB_FAILED:
        wb_errors_post_of_file (self, wb_current_peek (&self->current));
        return GST_FLOW_ERROR;
    }
  }
}

/* How much of the stream has come, for the estimate of its size. */
static void
note_time (GstWbFileSink *self, GstBuffer *buffer)
{
  GstClockTime time = GST_BUFFER_DTS_OR_PTS (buffer);

  if (!GST_CLOCK_TIME_IS_VALID (time))
    return;
  if (!GST_CLOCK_TIME_IS_VALID (self->first_time))
    self->first_time = self->last_time = time;
  self->last_time = MAX (self->last_time, time);
  wb_file_set_elapsed (wb_current_peek (&self->current),
      self->last_time - MIN (self->first_time, self->last_time));
}

/* Not on the streaming thread, where a source may hold locks while it pushes,
 * and never waited for. Only the duration in time is asked for: one in bytes
 * may be that of a file far upstream, before a decoder. */
static void
ask_duration (GstElement *element, gpointer serial)
{
  GstWbFileSink *self = GST_WB_FILE_SINK (element);
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

static void
note_pushed (GstWbFileSink *self, gsize size)
{
  self->pushed += size;
  if (self->pushed < self->ask_duration_at)
    return;
  self->ask_duration_at = self->ask_duration_at < ASK_DURATION_LAST
      ? self->ask_duration_at * ASK_DURATION_FACTOR
      : G_MAXUINT64;
  gst_element_call_async (GST_ELEMENT (self), ask_duration,
      GUINT_TO_POINTER (wb_current_get_serial (self)), NULL);
}

static GstBuffer *
nth (GstBuffer *single, GstBufferList *list, guint i)
{
  return list != NULL ? gst_buffer_list_get (list, i) : single;
}

/* One buffer, or a list of them, in system memory: `size` bytes in all. */
static GstFlowReturn
write_buffers (
    GstWbFileSink *self, GstBuffer *single, GstBufferList *list, gsize size)
{
  guint n = list != NULL ? gst_buffer_list_length (list) : 1;
  GstBuffer *unreadable = NULL;
  gboolean barrier = FALSE;
  GstFlowReturn flow;

  if (size > 0) {
    flow = begin (self, size);
    if (flow != GST_FLOW_OK)
      return flow;
    for (guint i = 0; i < n && unreadable == NULL; i++) {
      GstBuffer *buffer = nth (single, list, i);

      note_time (self, buffer);
      if (!hand_over (wb_current_peek (&self->current), buffer))
        unreadable = buffer;
      if (i % LIST_PART == LIST_PART - 1)
        wb_file_give_way (wb_current_peek (&self->current));
    }
    wb_file_end (wb_current_peek (&self->current));
    note_pushed (self, size);
    if (unreadable != NULL) {
      wb_errors_post_unreadable (self, unreadable);
      return GST_FLOW_ERROR;
    }
  }
  for (guint i = 0; i < n; i++)
    barrier |= GST_BUFFER_FLAG_IS_SET (
        nth (single, list, i), GST_BUFFER_FLAG_SYNC_AFTER);
  return barrier ? wait_barrier (self) : GST_FLOW_OK;
}

static GstFlowReturn
gst_wb_file_sink_render (GstBaseSink *sink, GstBuffer *buffer)
{
  GstWbFileSink *self = (GstWbFileSink *) sink; /* once a buffer: unchecked */
  GstBuffer *copy;
  GstFlowReturn flow;
  gsize size = 0;

  if (is_system_memory (self, buffer, &size))
    return write_buffers (self, buffer, NULL, size);
  copy = to_system_memory (self, buffer);
  if (copy == NULL)
    return GST_FLOW_ERROR;
  flow = write_buffers (self, copy, NULL, gst_buffer_get_size (copy));
  gst_buffer_unref (copy);
  return flow;
}

/* The same list with what is not in system memory copied there, or NULL. */
static GstBufferList *
list_to_system_memory (GstWbFileSink *self, GstBufferList *list)
{
  guint n = gst_buffer_list_length (list);
  GstBufferList *copies = gst_buffer_list_new_sized (n);

  for (guint i = 0; i < n; i++) {
    GstBuffer *buffer = gst_buffer_list_get (list, i);
    gsize size = 0;

    buffer = is_system_memory (self, buffer, &size)
        ? gst_buffer_ref (buffer)
        : to_system_memory (self, buffer);
    if (buffer == NULL) {
      gst_buffer_list_unref (copies);
      return NULL;
    }
    gst_buffer_list_add (copies, buffer);
  }
  return copies;
}

static GstFlowReturn
gst_wb_file_sink_render_list (GstBaseSink *sink, GstBufferList *list)
{
  GstWbFileSink *self = (GstWbFileSink *) sink;
  guint n = gst_buffer_list_length (list);
  gboolean system_memory = TRUE;
  GstBufferList *copies;
  GstFlowReturn flow;
  gsize size = 0;

  for (guint i = 0; i < n && system_memory; i++)
    system_memory =
        is_system_memory (self, gst_buffer_list_get (list, i), &size);
  if (system_memory)
    return write_buffers (self, NULL, list, size);
  copies = list_to_system_memory (self, list);
  if (copies == NULL)
    return GST_FLOW_ERROR;
  flow = write_buffers (
      self, NULL, copies, gst_buffer_list_calculate_size (copies));
  gst_buffer_list_unref (copies);
  return flow;
}

/* --- events and queries --------------------------------------------------------- */

static gboolean
seek (GstWbFileSink *self, guint64 position)
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

    gst_event_parse_segment (event, &segment);
    if (segment->format == GST_FORMAT_BYTES && segment->duration != (guint64) -1
        && segment->duration <= G_MAXINT64)
      wb_file_set_expected (
          wb_current_peek (&self->current), WB_SIZE_SEGMENT, segment->duration);
    if (segment->format == GST_FORMAT_BYTES && !seek (self, segment->start)) {
      gst_event_unref (event);
      return FALSE;
    }
  } else if (GST_EVENT_TYPE (event) == GST_EVENT_FLUSH_STOP) {
    WbFile *file = wb_current_get (self);

    if (file != NULL) {
      GST_DEBUG_OBJECT (self, "flush: starting again");
      wb_file_flush (file);
      wb_file_unref (file);
    }
  }
  return GST_BASE_SINK_CLASS (gst_wb_file_sink_parent_class)
      ->event (sink, event);
}

static gboolean
is_seekable (GstWbFileSink *self)
{
  WbFile *file = wb_current_get (self);
  gboolean seekable = file != NULL && wb_file_is_seekable (file);

  g_clear_pointer (&file, wb_file_unref);
  return seekable;
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
  g_autofree gchar *location = NULL;
  WbFileConfig config = { 0 };
  WbStall stall = { 0 };
  WbFile *file = NULL;

  wb_settings_fix_buffer_size (self);
  GST_OBJECT_LOCK (self);
  wb_errors_forget (&self->errors);
  wb_current_forget (&self->current);
  wb_settings_fill_config (&self->settings, &config);
  wb_messages_begin (
      &self->messages, config.location, wb_settings_peek_uri (&self->settings));
  config.location = location = g_strdup (config.location);
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
  self->first_time = self->last_time = GST_CLOCK_TIME_NONE;
  self->pushed = 0;
  self->ask_duration_at =
      config.preallocate == WB_PREALLOCATE_AUTO && config.size_hint == 0
      ? ASK_DURATION_FIRST
      : G_MAXUINT64;
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
  guint64 token, position;
  WbStall stall = { 0 };
  WbStatus status;
  WbStats stats;

  if (file == NULL)
    return TRUE;
  if (wb_file_needs_sync (file, &token)) {
    if (token == 0)
      token = request_finish (self, file);
    finish (self, file, token);
  }
  position = wb_file_get_position (file);
  status = wb_file_close (wb_current_peek (&self->current), &stats, &stall);
  if (status == WB_TIMEOUT && stats.sync_result != WB_RESULT_TIMEOUT)
    wb_errors_post_timeout (
        self, &stall, "it is closed when that call returns");
  else if (status == WB_FAILED)
    wb_errors_post (self, &stats.error);

  wb_current_end (self, &stats, position);
  wb_file_unref (file);
  wb_messages_log_summary (self, &stats);
  return TRUE;
}

static GstStateChangeReturn
gst_wb_file_sink_change_state (GstElement *element, GstStateChange transition)
{
  GstWbFileSink *self = GST_WB_FILE_SINK (element);

  if (transition == GST_STATE_CHANGE_PLAYING_TO_PAUSED)
    g_atomic_int_set (&self->paused, TRUE);
  else if (transition == GST_STATE_CHANGE_PAUSED_TO_PLAYING)
    g_atomic_int_set (&self->paused, FALSE);
  return GST_ELEMENT_CLASS (gst_wb_file_sink_parent_class)
      ->change_state (element, transition);
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

/* --- the URI handler ------------------------------------------------------------ */

static GstURIType
uri_get_type (GType type)
{
  return GST_URI_SINK;
}

static const gchar *const *
uri_get_protocols (GType type)
{
  static const gchar *const protocols[] = { "file", NULL };

  return protocols;
}

static gchar *
uri_get_uri (GstURIHandler *handler)
{
  GstWbFileSink *self = GST_WB_FILE_SINK (handler);

  return wb_settings_get_uri (self);
}

static gboolean
uri_set_uri (GstURIHandler *handler, const gchar *uri, GError **error)
{
  GstWbFileSink *self = GST_WB_FILE_SINK (handler);
  g_autofree gchar *location = NULL;

  /* Applications probe with the bare scheme whether anybody handles it. */
  if (strcmp (uri, "file://") == 0)
    return wb_settings_set_location (self, NULL, error);

  /* The local host may be named; any other cannot be reached this way. */
  if (g_str_has_prefix (uri, "file://localhost/")) {
    g_autofree gchar *bare =
        g_strconcat ("file://", uri + strlen ("file://localhost"), NULL);

    location = gst_uri_get_location (bare);
  } else {
    location = gst_uri_get_location (uri);
  }
  if (location == NULL) {
    g_set_error_literal (error, GST_URI_ERROR, GST_URI_ERROR_BAD_URI,
        "File URI without location");
    return FALSE;
  }
  if (!g_path_is_absolute (location)) {
    g_set_error_literal (error, GST_URI_ERROR, GST_URI_ERROR_BAD_URI,
        "File URI location must be an absolute path");
    return FALSE;
  }
  return wb_settings_set_location (self, location, error);
}

static void
gst_wb_file_sink_uri_handler_init (gpointer g_iface, gpointer iface_data)
{
  GstURIHandlerInterface *iface = g_iface;

  iface->get_type = uri_get_type;
  iface->get_protocols = uri_get_protocols;
  iface->get_uri = uri_get_uri;
  iface->set_uri = uri_set_uri;
}

/* --- the class -------------------------------------------------------------------- */

static void
gst_wb_file_sink_finalize (GObject *object)
{
  GstWbFileSink *self = GST_WB_FILE_SINK (object);

  gst_clear_object (&self->system_memory);
  wb_messages_clear (&self->messages);
  wb_settings_clear (&self->settings);
  wb_errors_clear (&self->errors);
  G_OBJECT_CLASS (gst_wb_file_sink_parent_class)->finalize (object);
}

static void
gst_wb_file_sink_init (GstWbFileSink *self)
{
  self->system_memory = gst_allocator_find (GST_ALLOCATOR_SYSMEM);
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
