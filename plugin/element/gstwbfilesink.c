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
 * Layout: messages and errors; the listener; waiting;
 * buffers; events and queries; life; the URI handler; the class.
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

#include <errno.h>
#include <string.h>

GST_DEBUG_CATEGORY_STATIC (gst_wb_file_sink_debug);
#define GST_CAT_DEFAULT gst_wb_file_sink_debug

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
#define ERROR_PATIENCE_US (G_USEC_PER_SEC / 4)

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

/* --- messages and errors --------------------------------------------------- */

/* The location as it can be shown: valid UTF-8, whatever the name's bytes. */
static gchar *
display_name (GstWbFileSink *self)
{
  gchar *name;

  GST_OBJECT_LOCK (self);
  name = self->settings.location != NULL
      ? g_filename_display_name (self->settings.location)
      : g_strdup ("");
  GST_OBJECT_UNLOCK (self);
  return name;
}

/* TRUE: it is the caller's to post, who then says error_was_posted(). FALSE:
 * somebody else has posted it. If another thread is just about to, that is
 * waited for, because a pipeline that goes to NULL in between would drop the
 * message, and EOS must not come before it; but not for longer than a state
 * change may wait, should a handler of the message be what waits for that. */
static gboolean
claim_error (GstWbFileSink *self)
{
  gint64 deadline = g_get_monotonic_time () + ERROR_PATIENCE_US;
  gboolean first;

  GST_OBJECT_LOCK (self);
  first = self->error_state == ERROR_NONE;
  if (first) {
    self->error_state = ERROR_BEING_POSTED;
    self->error_poster = g_thread_self ();
  }
  while (!first && self->error_state == ERROR_BEING_POSTED
      && self->error_poster != g_thread_self ()
      && g_cond_wait_until (
          &self->error_cond, GST_OBJECT_GET_LOCK (self), deadline))
    ;
  GST_OBJECT_UNLOCK (self);
  return first;
}

static void
error_was_posted (GstWbFileSink *self)
{
  GST_OBJECT_LOCK (self);
  /* Unless it took so long that the next file was begun. */
  if (self->error_state == ERROR_BEING_POSTED
      && self->error_poster == g_thread_self ())
    self->error_state = ERROR_POSTED;
  g_cond_broadcast (&self->error_cond);
  GST_OBJECT_UNLOCK (self);
}

/* The one place that turns an error of the file into a message. */
static void
post_error (GstWbFileSink *self, const WbError *error)
{
  g_autofree gchar *name = display_name (self);
  const gchar *reason = g_strerror (error->code);

  if (error->kind == WB_ERROR_NONE || !claim_error (self))
    return;
  switch (error->kind) {
    case WB_ERROR_NONE:
      break;
    case WB_ERROR_NO_LOCATION:
      GST_ELEMENT_ERROR (self, RESOURCE, NOT_FOUND,
          ("No file name specified for writing."), (NULL));
      break;
    case WB_ERROR_OPEN:
      GST_ELEMENT_ERROR (self, RESOURCE, OPEN_WRITE,
          ("Could not open file \"%s\" for writing: %s.", name, reason),
          ("%s: %s (errno %d)", error->call, reason, error->code));
      break;
    case WB_ERROR_BUSY:
      GST_ELEMENT_ERROR (self, RESOURCE, BUSY,
          ("Could not open file \"%s\" for writing: an earlier call on it "
           "still hangs.",
              name),
          ("a thread that was left behind still holds the file"));
      break;
    case WB_ERROR_NO_SIZE:
      GST_ELEMENT_ERROR (self, RESOURCE, SETTINGS,
          ("File \"%s\": preallocate=require needs a size: set size-hint.",
              name),
          (NULL));
      break;
    case WB_ERROR_NO_SPACE:
      /* A quota allows less than the disk has. */
      if (error->wanted != 0 && error->code != ENOSPC) {
        GST_ELEMENT_ERROR (self, RESOURCE, NO_SPACE_LEFT,
            ("No space for file \"%s\": %" G_GUINT64_FORMAT
             " bytes wanted: %s.",
                name, error->wanted, reason),
            ("%s", error->call));
        break;
      }
      if (error->wanted != 0) {
        GST_ELEMENT_ERROR (self, RESOURCE, NO_SPACE_LEFT,
            ("No space for file \"%s\": %" G_GUINT64_FORMAT
             " bytes wanted, %" G_GUINT64_FORMAT " free: %s.",
                name, error->wanted, error->free, reason),
            ("%s", error->call));
        break;
      }
      GST_ELEMENT_ERROR (self, RESOURCE, NO_SPACE_LEFT,
          ("No space left for file \"%s\" at offset %" G_GUINT64_FORMAT ": %s.",
              name, error->offset, reason),
          ("%s: %s (errno %d)", error->call, reason, error->code));
      break;
    case WB_ERROR_WRITE:
    case WB_ERROR_SYNC:
      if (error->wanted != 0) {
        GST_ELEMENT_ERROR (self, RESOURCE, WRITE,
            ("Could not reserve %" G_GUINT64_FORMAT
             " bytes for file \"%s\" (preallocate=require): %s.",
                error->wanted, name, reason),
            ("%s: %s (errno %d)", error->call, reason, error->code));
        break;
      }
      GST_ELEMENT_ERROR (self, RESOURCE, WRITE,
          ("Error while writing to file \"%s\" at offset %" G_GUINT64_FORMAT
           ": %s.",
              name, error->offset, reason),
          ("%s: %s (errno %d)", error->call, reason, error->code));
      break;
    case WB_ERROR_SEEK:
      GST_ELEMENT_ERROR (self, RESOURCE, SEEK,
          ("Error while seeking in file \"%s\" to %" G_GUINT64_FORMAT ": %s.",
              name, error->offset, reason),
          (NULL));
      break;
    case WB_ERROR_CLOSE:
      GST_ELEMENT_ERROR (self, RESOURCE, CLOSE,
          ("Error closing file \"%s\" after %" G_GUINT64_FORMAT " bytes: %s.",
              name, error->offset, reason),
          ("%s: %s (errno %d)", error->call, reason, error->code));
      break;
    case WB_ERROR_THREAD:
      GST_ELEMENT_ERROR (self, RESOURCE, FAILED,
          ("Could not start a thread to write file \"%s\": %s.", name, reason),
          (NULL));
      break;
  }
  error_was_posted (self);
}

static void
post_file_error (GstWbFileSink *self, WbFile *file)
{
  WbError error;

  if (wb_file_get_error (file, &error))
    post_error (self, &error);
}

static gchar *
describe_stall (const WbStall *stall)
{
  if (stall->call == NULL)
    return g_strdup ("nothing was written");
  return g_strdup_printf ("%s at offset %" G_GUINT64_FORMAT
                          " has not returned for %.1f s",
      stall->call, stall->offset, (gdouble) stall->waited_us / G_USEC_PER_SEC);
}

static void
post_stall (GstWbFileSink *self, const WbStall *stall)
{
  g_autofree gchar *name = display_name (self);
  g_autofree gchar *what = describe_stall (stall);

  GST_ELEMENT_WARNING (self, RESOURCE, WRITE,
      ("File \"%s\": %s; the stream waits.", name, what), (NULL));
}

/* Returns TRUE if a timeout is to be an error, which has then been posted. */
static gboolean
post_timeout (
    GstWbFileSink *self, const WbStall *stall, const gchar *consequence)
{
  g_autofree gchar *name = display_name (self);
  g_autofree gchar *what = describe_stall (stall);
  gboolean fatal = wb_settings_timeout_is_error (self);

  if (!fatal) {
    GST_ELEMENT_WARNING (self, RESOURCE, SYNC,
        ("File \"%s\": %s; %s.", name, what, consequence), (NULL));
  } else if (claim_error (self)) {
    GST_ELEMENT_ERROR (self, RESOURCE, SYNC,
        ("File \"%s\": %s; %s.", name, what, consequence), (NULL));
    error_was_posted (self);
  }
  return fatal;
}

/* A sync at an interval that does not come back: nothing waits for it, but the
 * recording is less safe than its owner thinks. */
static void
warn_of_sync (GstWbFileSink *self, WbFile *file)
{
  g_autofree gchar *name = display_name (self);
  g_autofree gchar *what = NULL;
  WbStall stall;
  WbStats stats;

  wb_file_get_stall (file, &stall);
  wb_file_get_stats (file, &stats);
  if (stall.call == NULL)
    return;
  what = describe_stall (&stall);
  GST_ELEMENT_WARNING (self, RESOURCE, SYNC,
      ("File \"%s\": %s; only %" G_GUINT64_FORMAT
       " bytes are known to be on the disk.",
          name, what, stats.durable_bytes),
      (NULL));
}

static void
post_sync_message (
    GstWbFileSink *self, WbFile *file, WbSyncResult result, gint64 elapsed_us)
{
  g_autofree gchar *name = display_name (self);
  g_autofree gchar *uri = wb_settings_get_uri (self);
  WbStats stats;

  wb_file_note_result (file, result, elapsed_us);
  wb_file_get_stats (file, &stats);
  GST_INFO_OBJECT (self,
      "sync of \"%s\": %s, %" G_GUINT64_FORMAT " bytes, %.3f s", name,
      wb_sync_result_name (result), stats.final_size,
      (gdouble) elapsed_us / G_USEC_PER_SEC);
  gst_element_post_message (GST_ELEMENT (self),
      gst_message_new_element (GST_OBJECT (self),
          gst_structure_new ("wbfilesink-sync", "location", G_TYPE_STRING, name,
              "uri", G_TYPE_STRING, uri, "result", G_TYPE_STRING,
              wb_sync_result_name (result), "bytes", G_TYPE_UINT64,
              stats.final_size, "elapsed", G_TYPE_UINT64,
              (guint64) elapsed_us * 1000, NULL)));
}

static void
post_preallocated (GstWbFileSink *self, WbFile *file)
{
  g_autofree gchar *name = display_name (self);
  WbReserveReport report;

  wb_file_get_reserve_report (file, &report);
  GST_INFO_OBJECT (self,
      "space: %s, %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
      " bytes, size known from %s",
      wb_reserve_result_name (report.result), report.reserved, report.wanted,
      wb_size_source_name (report.source));
  gst_element_post_message (GST_ELEMENT (self),
      gst_message_new_element (GST_OBJECT (self),
          gst_structure_new ("wbfilesink-preallocate", "location",
              G_TYPE_STRING, name, "wanted", G_TYPE_UINT64, report.wanted,
              "reserved", G_TYPE_UINT64, report.reserved, "source",
              G_TYPE_STRING, wb_size_source_name (report.source), "result",
              G_TYPE_STRING, wb_reserve_result_name (report.result), NULL)));
}

static void
warn_of_space (GstWbFileSink *self, WbFile *file)
{
  g_autofree gchar *name = display_name (self);
  WbReserveReport report;

  wb_file_get_reserve_report (file, &report);
  GST_ELEMENT_WARNING (self, RESOURCE, NO_SPACE_LEFT,
      ("File \"%s\" will not fit: %" G_GUINT64_FORMAT
       " bytes wanted, %" G_GUINT64_FORMAT " free.",
          name, report.wanted, report.free),
      (NULL));
}

static void
post_degraded (GstWbFileSink *self, WbFile *file)
{
  WbStats stats;

  wb_file_get_stats (file, &stats);
  GST_INFO_OBJECT (self, "%s, %" G_GUINT64_FORMAT " dirty bytes",
      stats.degraded ? "degraded: nothing reaches the disk, the bound is given "
                       "up"
                     : "the bound holds again",
      stats.dirty_bytes);
  gst_element_post_message (GST_ELEMENT (self),
      gst_message_new_element (GST_OBJECT (self),
          gst_structure_new ("wbfilesink-degraded", "degraded", G_TYPE_BOOLEAN,
              stats.degraded, "dirty-bytes", G_TYPE_UINT64, stats.dirty_bytes,
              NULL)));
}

/* --- the listener: what the file's threads have to say ---------------------- */

/* Outlives the element if a thread is left behind: it holds no reference. */
typedef struct
{
  GWeakRef element;
  gchar *name;
} Listener;

static void
listener_free (gpointer data)
{
  Listener *listener = data;

  g_weak_ref_clear (&listener->element);
  g_free (listener->name);
  g_free (listener);
}

static void
listener_log (gpointer data, WbLogLevel level, const char *source,
    const char *function, int line, const char *message)
{
  static const GstDebugLevel levels[] = { GST_LEVEL_NONE, GST_LEVEL_WARNING,
    GST_LEVEL_INFO, GST_LEVEL_DEBUG };
  const Listener *listener = data;

  gst_debug_log (GST_CAT_DEFAULT, levels[level], source, function, line, NULL,
      "<%s> %s", listener->name, message);
}

static void
post_events (GstWbFileSink *self, WbFile *file)
{
  WbEvents events = wb_file_take_events (file);

  if ((events & WB_EVENT_WILL_NOT_FIT) != 0)
    warn_of_space (self, file);
  if ((events & WB_EVENT_PREALLOCATED) != 0)
    post_preallocated (self, file);
  if ((events & WB_EVENT_DEGRADED) != 0)
    post_degraded (self, file);
  if ((events & WB_EVENT_SYNC_STALLED) != 0)
    warn_of_sync (self, file);
  if ((events & WB_EVENT_ERROR) != 0)
    post_file_error (self, file);
}

static void
post_news (GstElement *element, gpointer data)
{
  GstWbFileSink *self = GST_WB_FILE_SINK (element);
  WbFile *file = wb_current_get (self);

  if (file == NULL)
    return;
  post_events (self, file);
  wb_file_unref (file);
}

/* On a thread of the file, which never posts: the bus's sync handlers are the
 * application's code. */
static void
listener_notify (gpointer data)
{
  Listener *listener = data;
  GstElement *element = g_weak_ref_get (&listener->element);

  if (element == NULL)
    return;
  gst_element_call_async (element, post_news, NULL, NULL);
  gst_object_unref (element);
}

static WbListener
new_listener (GstWbFileSink *self)
{
  Listener *data = g_new0 (Listener, 1);
  GstDebugLevel threshold = gst_debug_category_get_threshold (GST_CAT_DEFAULT);
  WbListener listener = { .log = listener_log,
    .notify = listener_notify,
    .data = data,
    .release = listener_free };

  g_weak_ref_init (&data->element, self);
  data->name = gst_object_get_name (GST_OBJECT (self));
  if (threshold >= GST_LEVEL_DEBUG)
    listener.log_level = WB_LOG_DEBUG;
  else if (threshold >= GST_LEVEL_INFO)
    listener.log_level = WB_LOG_INFO;
  else
    listener.log_level = WB_LOG_WARNING;
  return listener;
}

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
  post_sync_message (self, file, WB_RESULT_TIMEOUT, elapsed_us);
  return post_timeout (self, stall, "the file is not known to be on the disk")
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
  post_events (self, file);
  if (status == WB_TIMEOUT)
    return finish_timed_out (self, file, elapsed, &stall);
  if (status == WB_INTERRUPTED)
    result = WB_RESULT_CANCELLED;
  if (result == WB_RESULT_FAILED)
    post_file_error (self, file);
  post_sync_message (self, file, result, elapsed);
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
        return post_timeout (self, &stall,
                   "what was to be synced is not known to be on the disk")
            ? GST_FLOW_ERROR
            : GST_FLOW_OK;
      case WB_OK:
      case WB_STALLED:
      case WB_FAILED:
        if (result != WB_RESULT_FAILED)
          return GST_FLOW_OK;
        post_file_error (self, file);
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

static void
post_unreadable (GstWbFileSink *self, GstBuffer *buffer)
{
  g_autofree gchar *name = display_name (self);

  if (!claim_error (self))
    return;
  GST_ELEMENT_ERROR (self, RESOURCE, WRITE,
      ("Error while writing to file \"%s\": a buffer of %" G_GSIZE_FORMAT
       " bytes could not be read.",
          name, gst_buffer_get_size (buffer)),
      ("mapping %" GST_PTR_FORMAT " failed", buffer));
  error_was_posted (self);
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
    post_unreadable (self, buffer);
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
        if (post_timeout (
                self, &stall, "the stream waits until it takes data again"))
          return GST_FLOW_ERROR;
        break;
      case WB_STALLED:
        post_stall (self, &stall);
        break;
      case WB_FAILED:
        post_file_error (self, wb_current_peek (&self->current));
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
      post_unreadable (self, unreadable);
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
    post_file_error (self, wb_current_peek (&self->current));
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

static void
post_open_failure (
    GstWbFileSink *self, const WbError *error, const WbStall *stall)
{
  g_autofree gchar *name = NULL;
  g_autofree gchar *what = NULL;

  if (stall->call == NULL) {
    post_error (self, error);
    return;
  }
  name = display_name (self);
  what = describe_stall (stall);
  GST_ELEMENT_ERROR (self, RESOURCE, OPEN_WRITE,
      ("Could not open file \"%s\" for writing: %s.", name, what), (NULL));
}

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
  self->error_state = ERROR_NONE;
  wb_current_forget (&self->current);
  wb_settings_fill_config (&self->settings, &config);
  config.location = location = g_strdup (config.location);
  config.sys = self->sys;
  GST_OBJECT_UNLOCK (self);

  if (location != NULL && location[0] != '\0') {
    config.listener = new_listener (self);
    file = wb_file_open (&config, &error, &stall);
  }
  if (file == NULL) {
    post_open_failure (self, &error, &stall);
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
  post_events (self, file);
  return TRUE;
}

static void
sum_up (GstWbFileSink *self, const WbStats *stats)
{
  g_autofree gchar *name = display_name (self);

  GST_INFO_OBJECT (self,
      "closed \"%s\": %" G_GUINT64_FORMAT " bytes, %" G_GUINT64_FORMAT
      " written, %" G_GUINT64_FORMAT " chunks, %" G_GUINT64_FORMAT
      " seeks, %" G_GUINT64_FORMAT " back-patches (%" G_GUINT64_FORMAT
      " late), peak dirty %" G_GUINT64_FORMAT ", peak queued %" G_GUINT64_FORMAT
      ", drain rate %" G_GUINT64_FORMAT " bytes/s, longest wait %.1f ms, %s",
      name, stats->final_size, stats->bytes_written, stats->chunks_started,
      stats->seeks, stats->back_patches, stats->late_back_patches,
      stats->peak_dirty_bytes, stats->peak_queued_bytes, stats->drain_rate,
      stats->max_wait_us / 1e3, wb_sync_result_name (stats->sync_result));
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
    post_timeout (self, &stall, "it is closed when that call returns");
  else if (status == WB_FAILED)
    post_error (self, &stats.error);

  wb_current_end (self, &stats, position);
  wb_file_unref (file);
  sum_up (self, &stats);
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
  wb_settings_clear (&self->settings);
  g_cond_clear (&self->error_cond);
  G_OBJECT_CLASS (gst_wb_file_sink_parent_class)->finalize (object);
}

static void
gst_wb_file_sink_init (GstWbFileSink *self)
{
  self->system_memory = gst_allocator_find (GST_ALLOCATOR_SYSMEM);
  g_cond_init (&self->error_cond);
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
