/* wbfilesink: what waits under the preroll lock
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "element/gstwbfilesink-private.h"

/* What gst_base_sink_wait_preroll() returns for a step; its name is private to
 * the base class. */
#define FLOW_STEP GST_FLOW_CUSTOM_ERROR

void
wb_wait_set_paused (WbWait *wait, gboolean paused)
{
  g_atomic_int_set (&wait->paused, paused);
}

/* The base class wakes this thread for PLAYING, but if the element is paused
 * again before it gets the lock, it still hears OK: going on to wait for the file
 * would then keep the lock from the next state change. */
GstFlowReturn
wb_wait_preroll (GstWbFileSink *self)
{
  GstFlowReturn flow;

  do
    flow = gst_base_sink_wait_preroll (GST_BASE_SINK (self));
  while (flow == GST_FLOW_OK && g_atomic_int_get (&self->wait.paused));
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
  GstFlowReturn flow = wb_wait_preroll (self);

  while (flow == FLOW_STEP && !is_last)
    flow = g_atomic_int_get (&self->wait.paused) ? wb_wait_preroll (self)
                                                 : GST_FLOW_OK;
  while (flow == FLOW_STEP
      || (flow == GST_FLOW_OK && base->playing_async && is_last)) {
    base->need_preroll = TRUE;
    flow = gst_base_sink_do_preroll (base, NULL);
  }
  return flow;
}

/* Without EOS the stream may lack its end: what is a part stays one. */
static guint64
request_finish (GstWbFileSink *self, WbFile *file, gboolean eos)
{
  WbSyncKind kind = wb_settings_get_sync_kind (self);

  wb_file_note_result (file, WB_RESULT_NONE, 0);
  return eos ? wb_file_request_end (file, kind)
             : wb_file_request_sync (file, kind, TRUE);
}

gboolean
wb_wait_give_up (GstWbFileSink *self, WbFile *file, const WbStall *stall,
    const gchar *consequence)
{
  WbStats stats;

  wb_file_get_stats (file, &stats);
  if (!wb_file_is_seekable (file))
    return wb_errors_post_timeout (self, stall, "what is left is given up");
  if (stats.queued_bytes == 0)
    return wb_errors_post_timeout (self, stall, consequence);
  wb_errors_post_lost (self, stall, stats.queued_bytes);
  return TRUE;
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
  return wb_wait_give_up (
             self, file, stall, "the file is not known to be on the disk")
      ? GST_FLOW_ERROR
      : GST_FLOW_OK;
}

/* A target without positions is no storage: who reads from it may take a break, and
 * is waited for, if that is to be a warning. */
static gboolean
waits_for_reader (GstWbFileSink *self, WbFile *file, const WbStall *stall)
{
  WbStats stats;

  wb_file_get_stats (file, &stats);
  if (wb_file_is_seekable (file) || stats.queued_bytes == 0
      || wb_settings_timeout_is_error (self))
    return FALSE;
  wb_messages_warn_of_reader (self, stall, stats.queued_bytes);
  return TRUE;
}

/* Waits until the sync is over, or given up, or somebody wants to be let in. */
static WbStatus
wait_for_end (GstWbFileSink *self, WbFile *file, guint64 token,
    WbSyncResult *result, WbStall *stall)
{
  WbSyncWait how = WB_WAIT_STREAM;
  GstFlowReturn flow = GST_FLOW_OK;
  WbStatus status;

  for (;;) {
    status = wb_file_wait_sync (file, token, how, result, stall);
    if (status == WB_INTERRUPTED) {
      flow = wait_preroll_through_steps (self, TRUE);
      if (flow != GST_FLOW_OK)
        return status;
    } else if (status == WB_TIMEOUT && waits_for_reader (self, file, stall)) {
      how = WB_WAIT_READER;
    } else if (status == WB_OK && how == WB_WAIT_READER
        && *result == WB_RESULT_NONE) {
      how = WB_WAIT_STREAM;
    } else {
      return status;
    }
  }
}

static GstFlowReturn
finish (GstWbFileSink *self, WbFile *file, guint64 token, gboolean stops)
{
  gint64 start = g_get_monotonic_time (), elapsed;
  WbSyncResult result;
  WbStatus status;
  WbStall stall;

  /* Stop is not under the preroll lock, and nothing may interrupt it. */
  status = stops
      ? wb_file_wait_sync (file, token, WB_WAIT_STOP, &result, &stall)
      : wait_for_end (self, file, token, &result, &stall);
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

GstFlowReturn
wb_wait_eos (GstWbFileSink *self, WbFile *file)
{
  return finish (self, file, request_finish (self, file, TRUE), FALSE);
}

void
wb_wait_stop (GstWbFileSink *self, WbFile *file)
{
  guint64 token;

  if (!wb_file_needs_sync (file, &token))
    return;
  if (token == 0)
    token = request_finish (self, file, FALSE);
  finish (self, file, token, TRUE);
}

GstFlowReturn
wb_wait_barrier (GstWbFileSink *self)
{
  WbFile *file = wb_current_peek (&self->current);
  guint64 token = wb_file_request_sync (file, WB_SYNC_BARRIER, FALSE);
  WbSyncResult result;
  WbStall stall;

  for (;;) {
    GstFlowReturn flow;

    switch (wb_file_wait_sync (file, token, WB_WAIT_STREAM, &result, &stall)) {
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
