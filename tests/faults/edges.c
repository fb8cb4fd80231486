/* What is easily overlooked: times that survive a flush, an error that waits for the
 * next buffer, a log function that asks the element, and offsets at the end of
 * what can be counted.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"
#include "faultrig.h"

#include "../common/wbtest.h"
#include "element/gstwbfilesink.h"

#include <errno.h>
#include <string.h>

#define MIB (G_GUINT64_CONSTANT (1) << 20)

static WbSys sys;

/* On these calls from the start on. */
static Rig *
begin (const gchar *directory, const gchar *properties)
{
  g_autofree gchar *path = g_build_filename (directory, "file", NULL);
  Rig *rig = rig_new (path, properties);

  gst_wb_file_sink_set_sys (GST_WB_FILE_SINK (rig->sink), &sys);
  case_check (gst_element_set_state (rig->pipeline, GST_STATE_PLAYING)
          != GST_STATE_CHANGE_FAILURE,
      "it does not start");
  return rig;
}

static void
reset (void)
{
  fault_reset ();
  fault_ideal_disk (TRUE);
  sys = *fault_sys ();
}

static void
end (Rig *rig)
{
  gst_element_set_state (rig->pipeline, GST_STATE_NULL);
  rig_free (rig);
}

/* --- times that survive a flush ------------------------------------------------ */

#define DURATION_S 20
/* What a second of the stream is. */
#define SECOND MIB

static gint asked; /* atomic */
static gint most;  /* atomic: MiB, where reservations end */

static gboolean
answer (GstPad *pad, GstObject *parent, GstQuery *query)
{
  if (GST_QUERY_TYPE (query) != GST_QUERY_DURATION)
    return FALSE;
  gst_query_set_duration (query, GST_FORMAT_TIME, DURATION_S * GST_SECOND);
  g_atomic_int_set (&asked, TRUE);
  return TRUE;
}

static int
note_reserve (int fd, gint64 offset, gint64 length)
{
  gint end_mib = (gint) ((guint64) (offset + length) / MIB);

  if (end_mib > g_atomic_int_get (&most))
    g_atomic_int_set (&most, end_mib);
  return fault_sys ()->reserve (fd, offset, length);
}

static void
push_second (Rig *rig, guint at)
{
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, SECOND, NULL);

  gst_buffer_memset (buffer, 0, 'x', SECOND);
  GST_BUFFER_PTS (buffer) = at * GST_SECOND;
  case_check (gst_pad_push (rig->src, buffer) == GST_FLOW_OK, "not taken: %s",
      rig_complaint (rig));
}

static void
begin_stream (Rig *rig)
{
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_pad_push_event (rig->src, gst_event_new_segment (&segment));
}

/* A MiB a second, before and after it: twenty in all, whatever the times were before
 * the flush. */
static void
times_after_a_flush (const gchar *directory)
{
  Rig *rig;

  reset ();
  sys.reserve = note_reserve;
  rig = begin (directory, "sync-timeout=20000000000");
  gst_pad_set_query_function (rig->src, answer);
  gst_pad_push_event (rig->src, gst_event_new_stream_start ("stream"));
  begin_stream (rig);
  push_second (rig, 1000);
  for (guint i = 0; i < 10000 && !g_atomic_int_get (&asked); i++)
    g_usleep (1000);
  case_check (g_atomic_int_get (&asked), "nobody asks for the duration");
  g_usleep (100 * 1000);
  push_second (rig, 1001);
  rig_flush (rig, NULL, G_USEC_PER_SEC, NULL);
  gst_element_set_state (rig->pipeline, GST_STATE_PLAYING);
  begin_stream (rig);
  for (guint i = 0; i < DURATION_S; i++)
    push_second (rig, i);
  gst_pad_push_event (rig->src, gst_event_new_eos ());
  case_check (g_atomic_int_get (&most) <= 3 * DURATION_S,
      "%d MiB are reserved for %d", g_atomic_int_get (&most), DURATION_S);
  end (rig);
}

/* --- an error that waits ----------------------------------------------------------- */

/* Nothing follows the flush that could tell it. */
static void
truncate_fails (const gchar *directory, const gchar *properties)
{
  static const RigPart part = { 0, 8 * RIG_PIECE, 1, FALSE };
  Rig *rig;

  reset ();
  fault_fail (FAULT_TRUNCATE, 1, 1, EIO);
  rig = begin (directory, properties);
  rig_feeder_end (rig_feed (rig, &part), NULL);
  while (rig_stat (rig, "queued-bytes") > 0)
    g_usleep (1000);
  rig_flush (rig, NULL, G_USEC_PER_SEC, NULL);
  for (guint i = 0; i < 5000 && rig_count (rig, GST_MESSAGE_ERROR) == 0; i++)
    g_usleep (1000);
  case_check (fault_was_hit (), "it was not reached");
  case_check (rig_count (rig, GST_MESSAGE_ERROR) == 1,
      "the file could not be truncated, and nobody says so");
  end (rig);
}

static void
truncate_of_a_flush (const gchar *directory)
{
  truncate_fails (directory, "preallocate=none sync-timeout=20000000000");
}

static void
truncate_of_a_flush_none (const gchar *directory)
{
  truncate_fails (
      directory, "preallocate=none writeback=none sync-timeout=20000000000");
}

/* --- a log function that asks ------------------------------------------------------ */

static gint lines; /* atomic */

static void
ask (GstDebugCategory *category, GstDebugLevel level, const gchar *file,
    const gchar *function, gint line, GObject *object, GstDebugMessage *message,
    gpointer data)
{
  Rig *rig = data;

  if (strcmp (gst_debug_category_get_name (category), "wbfilesink") != 0)
    return;
  rig_stat (rig, "queued-bytes");
  gst_debug_message_get (message);
  g_atomic_int_inc (&lines);
}

static void
log_that_asks (const gchar *directory)
{
  static const RigPart parts[] = { { 0, 64 * RIG_PIECE, 1, FALSE },
    { 0, 64 * RIG_PIECE, 2, TRUE } };
  g_autofree gchar *path = g_build_filename (directory, "file", NULL);
  Rig *rig;

  reset ();
  rig = rig_new (path,
      "chunk-size=1048576 max-dirty-bytes=2097152 sync-interval=1000000 "
      "sync-timeout=20000000000");
  gst_debug_remove_log_function (gst_debug_log_default);
  gst_debug_add_log_function (ask, rig, NULL);
  gst_debug_set_threshold_for_name ("wbfilesink", GST_LEVEL_LOG);
  gst_debug_set_active (TRUE);
  fault_fail (FAULT_DROP, 1, 1, ENOSYS);
  gst_element_set_state (rig->pipeline, GST_STATE_PLAYING);
  rig_feeder_end (rig_feed (rig, &parts[0]), NULL);
  g_object_set (rig->sink, "max-dirty-bytes", 8 * MIB, NULL);
  rig_flush (rig, NULL, 10 * G_USEC_PER_SEC, NULL);
  gst_element_set_state (rig->pipeline, GST_STATE_PLAYING);
  rig_feeder_end (rig_feed (rig, &parts[1]), NULL);
  gst_element_set_state (rig->pipeline, GST_STATE_NULL);
  case_check (g_atomic_int_get (&lines) > 10, "only %d lines", lines);
  case_check (rig_count (rig, RIG_COMPLAINTS) == 0, "%s", rig_complaint (rig));
  gst_debug_remove_log_function (ask);
  rig_free (rig);
}

/* --- offsets ------------------------------------------------------------------------- */

static gint negative; /* atomic */

/* Takes everything, as no kernel does. */
static gssize
take_all (int fd, const WbVector *vectors, int n, gint64 offset)
{
  gssize size = 0;

  if (offset < 0)
    g_atomic_int_set (&negative, TRUE);
  for (int i = 0; i < n; i++)
    size += (gssize) vectors[i].size;
  return size;
}

/* Offset -1 is that of a target without positions: a file's never comes there. */
static void
last_offset (const gchar *directory)
{
  static const RigPart nothing = { 0, 0, 1, FALSE };
  GstSegment segment;
  Rig *rig;

  reset ();
  sys.write = take_all;
  rig = begin (directory, "preallocate=none sync-timeout=20000000000");
  rig_feeder_end (rig_feed (rig, &nothing), NULL);
  gst_segment_init (&segment, GST_FORMAT_BYTES);
  segment.start = segment.position = G_MAXINT64 - 1000;
  gst_pad_push_event (rig->src, gst_event_new_segment (&segment));
  for (guint i = 0; i < 4; i++)
    gst_pad_push (
        rig->src, gst_buffer_new_wrapped (wb_pattern (0, 1000, 1), 1000));
  gst_pad_push_event (rig->src, gst_event_new_eos ());
  case_check (!g_atomic_int_get (&negative),
      "a write goes to where the descriptor stands");
  case_check (rig_count (rig, GST_MESSAGE_ERROR) == 1, "no error");
  end (rig);
}

int
main (int argc, char **argv)
{
  static const NamedCase named[] = {
    { "times before a flush", times_after_a_flush },
    { "the truncation of a flush fails", truncate_of_a_flush },
    { "the truncation of a flush fails, writeback=none",
        truncate_of_a_flush_none },
    { "a log function that reads the stats", log_that_asks },
    { "beyond the last offset", last_offset },
  };

  rig_init (&argc, &argv);
  return cases_run_named (named, G_N_ELEMENTS (named), argv + 1);
}
