/* wbfilesink: the statistics as the application gets them
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "element/wbstats.h"

/* The figures that are passed on as they are. */
static const struct
{
  const gchar *name;
  gsize offset;
} fields[] = {
#define FIELD(name, member)                                                    \
  {                                                                            \
    name, G_STRUCT_OFFSET (WbStats, member)                                    \
  }
  FIELD ("bytes-written", bytes_written),
  FIELD ("high-water-mark", high_water),
  FIELD ("queued-bytes", queued_bytes),
  FIELD ("dirty-bytes", dirty_bytes),
  FIELD ("peak-queued-bytes", peak_queued_bytes),
  FIELD ("peak-dirty-bytes", peak_dirty_bytes),
  FIELD ("chunks-started", chunks_started),
  FIELD ("chunks-retired", chunks_retired),
  FIELD ("seeks", seeks),
  FIELD ("back-patches", back_patches),
  FIELD ("late-back-patches", late_back_patches),
  FIELD ("preallocated-bytes", preallocated_bytes),
  FIELD ("drain-rate", drain_rate),
  FIELD ("durable-bytes", durable_bytes),
  FIELD ("device-budget", budget),
#undef FIELD
};

GstStructure *
wb_stats_to_structure (const WbStats *stats, const WbPlace *place)
{
  GstStructure *structure =
      gst_structure_new_empty ("application/x-wbfilesink-stats");
  g_autofree gchar *location = place->location != NULL
      ? g_filename_display_name (place->location)
      : g_strdup ("");
  g_autofree gchar *error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (fields); i++)
    gst_structure_set (structure, fields[i].name, G_TYPE_UINT64,
        G_STRUCT_MEMBER (guint64, stats, fields[i].offset), NULL);
  if (stats->error.kind != WB_ERROR_NONE)
    error = g_strdup_printf ("%s at offset %" G_GUINT64_FORMAT ": %s",
        stats->error.call, stats->error.offset, g_strerror (stats->error.code));

  gst_structure_set (structure, "location", G_TYPE_STRING, location, "renamed",
      G_TYPE_BOOLEAN, place->renamed, "wait-time", G_TYPE_UINT64,
      stats->wait_us * 1000, "max-wait-time", G_TYPE_UINT64,
      stats->max_wait_us * 1000, "sync-time", G_TYPE_UINT64,
      stats->sync_us * 1000, "degraded", G_TYPE_BOOLEAN, stats->degraded,
      "sync-result", G_TYPE_STRING, wb_sync_result_name (stats->sync_result),
      "mechanism", G_TYPE_STRING, stats->mechanism, "error", G_TYPE_STRING,
      error != NULL ? error : "", "device-budget-reason", G_TYPE_STRING,
      stats->budget_reason != NULL ? stats->budget_reason : "", NULL);
  return structure;
}
