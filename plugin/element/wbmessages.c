/* wbfilesink: messages
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "element/gstwbfilesink-private.h"

GST_DEBUG_CATEGORY (gst_wb_file_sink_debug);

void
wb_messages_clear (WbMessages *messages)
{
  g_clear_pointer (&messages->location, g_free);
  g_clear_pointer (&messages->uri, g_free);
}

void
wb_messages_begin (
    WbMessages *messages, const gchar *location, const gchar *uri)
{
  wb_messages_clear (messages);
  messages->location = g_strdup (location != NULL ? location : "");
  messages->uri = g_strdup (uri);
}

/* Where the file is, or where it was to be. To be freed. */
static gchar *
get_location (GstWbFileSink *self)
{
  gchar *location;
  WbPlace place;

  wb_current_get_place (self, &place);
  location = g_steal_pointer (&place.location);
  wb_place_clear (&place);
  if (location != NULL)
    return location;
  GST_OBJECT_LOCK (self);
  location = g_strdup (self->messages.location);
  GST_OBJECT_UNLOCK (self);
  return location;
}

gchar *
wb_messages_get_name (GstWbFileSink *self)
{
  g_autofree gchar *location = get_location (self);

  return location != NULL ? g_filename_display_name (location) : NULL;
}

/* Of the location that was set it was made when that was set: a relative one means
 * the folder of that time. */
static gchar *
uri_of (GstWbFileSink *self, const gchar *location)
{
  gchar *uri = NULL;
  gboolean is_set;

  GST_OBJECT_LOCK (self);
  is_set = g_strcmp0 (location, self->messages.location) == 0;
  if (is_set)
    uri = g_strdup (self->messages.uri);
  GST_OBJECT_UNLOCK (self);
  if (!is_set)
    uri = gst_filename_to_uri (location, NULL);
  return uri;
}

gchar *
wb_messages_get_goal (GstWbFileSink *self)
{
  WbPlace place;
  gchar *name;

  wb_current_get_place (self, &place);
  name = g_filename_display_name (place.goal != NULL ? place.goal : "");
  wb_place_clear (&place);
  return name;
}

gchar *
wb_messages_describe_stall (const WbStall *stall)
{
  if (stall->call == NULL)
    return g_strdup ("nothing was written");
  return g_strdup_printf ("%s at offset %" G_GUINT64_FORMAT
                          " has not returned for %.1f s",
      stall->call, stall->offset, (gdouble) stall->waited_us / G_USEC_PER_SEC);
}

void
wb_messages_warn_of_stall (GstWbFileSink *self, const WbStall *stall)
{
  g_autofree gchar *name = wb_messages_get_name (self);
  g_autofree gchar *what = wb_messages_describe_stall (stall);

  GST_ELEMENT_WARNING (self, RESOURCE, WRITE,
      ("File \"%s\": %s; the stream waits.", name, what), (NULL));
}

void
wb_messages_warn_of_reader (
    GstWbFileSink *self, const WbStall *stall, guint64 bytes)
{
  g_autofree gchar *name = wb_messages_get_name (self);

  GST_ELEMENT_WARNING (self, RESOURCE, SYNC,
      ("\"%s\": whoever reads from it has taken nothing for %.1f s; the last "
       "%" G_GUINT64_FORMAT " bytes wait.",
          name, (gdouble) stall->waited_us / G_USEC_PER_SEC, bytes),
      (NULL));
}

void
wb_messages_warn_of_sync (GstWbFileSink *self, WbFile *file)
{
  g_autofree gchar *name = wb_messages_get_name (self);
  g_autofree gchar *what = NULL;
  WbStall stall;
  WbStats stats;

  wb_file_get_stall (file, &stall);
  wb_file_get_stats (file, &stats);
  if (stall.call == NULL)
    return;
  what = wb_messages_describe_stall (&stall);
  GST_ELEMENT_WARNING (self, RESOURCE, SYNC,
      ("File \"%s\": %s; only %" G_GUINT64_FORMAT
       " bytes are known to be on the disk.",
          name, what, stats.durable_bytes),
      (NULL));
}

void
wb_messages_post_sync (
    GstWbFileSink *self, WbFile *file, WbSyncResult result, gint64 elapsed_us)
{
  g_autofree gchar *name = NULL, *uri = NULL;
  WbPlace place;
  WbStats stats;

  wb_file_get_place (file, &place);
  name = g_filename_display_name (place.location);
  uri = uri_of (self, place.location);
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
              (guint64) elapsed_us * 1000, "renamed", G_TYPE_BOOLEAN,
              place.renamed, NULL)));
  wb_place_clear (&place);
}

void
wb_messages_post_preallocated (GstWbFileSink *self, WbFile *file)
{
  g_autofree gchar *name = wb_messages_get_name (self);
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

void
wb_messages_warn_of_space (GstWbFileSink *self, WbFile *file)
{
  g_autofree gchar *name = wb_messages_get_name (self);
  WbReserveReport report;

  wb_file_get_reserve_report (file, &report);
  GST_ELEMENT_WARNING (self, RESOURCE, NO_SPACE_LEFT,
      ("File \"%s\" will not fit: %" G_GUINT64_FORMAT
       " bytes wanted, %" G_GUINT64_FORMAT " free.",
          name, report.wanted, report.free),
      (NULL));
}

void
wb_messages_post_degraded (GstWbFileSink *self, WbFile *file)
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

void
wb_messages_log_summary (GstWbFileSink *self, const WbStats *stats)
{
  g_autofree gchar *name = wb_messages_get_name (self);

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
