/* Appending to a file that others append to as well: nothing that is given back at
 * the end is theirs, and nothing that is patched either.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"
#include "faultrig.h"

#include "../common/wbtest.h"
#include "element/gstwbfilesink.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define OLD_SIZE 1000

static const gchar others[] = "what others have appended meanwhile";
static const gchar *target;
static WbSys sys;
static guint reserved; /* atomic */

/* As another process does, between two calls of ours. */
static void
append_others (void)
{
  int fd = open (target, O_WRONLY | O_APPEND | O_CLOEXEC);

  if (fd < 0 || write (fd, others, strlen (others)) != (gssize) strlen (others))
    case_end (CASE_FAILED, "%s: %s", target, g_strerror (errno));
  close (fd);
}

static int
truncate_late (int fd, gint64 size)
{
  append_others ();
  return fault_sys ()->truncate (fd, size);
}

static int
count_reserve (int fd, gint64 offset, gint64 length)
{
  g_atomic_int_inc ((gint *) &reserved);
  return fault_sys ()->reserve (fd, offset, length);
}

static Rig *
begin (const gchar *directory, const gchar *properties)
{
  g_autofree gchar *path = g_build_filename (directory, "file", NULL);
  g_autofree guint8 *old = wb_pattern (0, OLD_SIZE, 9);
  Rig *rig;

  fault_reset ();
  fault_ideal_disk (TRUE);
  sys = *fault_sys ();
  sys.truncate = truncate_late;
  sys.reserve = count_reserve;
  case_check (
      g_file_set_contents (path, (gchar *) old, OLD_SIZE, NULL), "no file");
  rig = rig_new (path, properties);
  target = rig->path;
  gst_wb_file_sink_set_sys (GST_WB_FILE_SINK (rig->sink), &sys);
  case_check (gst_element_set_state (rig->pipeline, GST_STATE_PLAYING)
          != GST_STATE_CHANGE_FAILURE,
      "it does not start");
  return rig;
}

static gboolean
has_others (void)
{
  g_autofree gchar *content = NULL;
  gsize size;

  return g_file_get_contents (target, &content, &size, NULL)
      && memmem (content, size, others, strlen (others)) != NULL;
}

/* What others append while the space that was reserved is given back. */
static void
trim (const gchar *directory)
{
  static const RigPart nothing = { 0, 0, 1, FALSE };
  Rig *rig = begin (directory, "append=true size-hint=8388608");
  GstBuffer *buffer =
      gst_buffer_new_wrapped (wb_pattern (0, RIG_PIECE, 1), RIG_PIECE);

  rig_feeder_end (rig_feed (rig, &nothing), NULL);
  case_check (gst_pad_push (rig->src, buffer) == GST_FLOW_OK, "not taken");
  gst_pad_push_event (rig->src, gst_event_new_eos ());
  gst_element_set_state (rig->pipeline, GST_STATE_NULL);
  case_check (rig_count (rig, RIG_COMPLAINTS) == 0, "%s", rig_complaint (rig));
  case_check (fault_count (FAULT_TRUNCATE) == 0 || has_others (),
      "what others have appended was cut off");
  case_check (g_atomic_int_get ((gint *) &reserved) == 0,
      "%u reservations beyond the end of a file that others write", reserved);
  rig_free (rig);
}

/* A flush takes back what is ours: not what came after it. */
static void
flush (const gchar *directory)
{
  static const RigPart part = { 0, 4 * RIG_PIECE, 1, FALSE };
  static const RigPart again = { 0, RIG_PIECE, 2, TRUE };
  Rig *rig = begin (directory, "append=true preallocate=none");

  rig_feeder_end (rig_feed (rig, &part), NULL);
  while (rig_stat (rig, "queued-bytes") > 0)
    g_usleep (1000);
  append_others ();
  sys.truncate = fault_sys ()->truncate;
  rig_flush (rig, NULL, G_USEC_PER_SEC, NULL);
  gst_element_set_state (rig->pipeline, GST_STATE_PLAYING);
  rig_feeder_end (rig_feed (rig, &again), NULL);
  gst_element_set_state (rig->pipeline, GST_STATE_NULL);
  case_check (has_others (), "what others have appended was cut off");
  rig_free (rig);
}

/* The first real seek finds out; theirs and ours are as they were. */
static void
patch_after_others (const gchar *directory)
{
  static const RigPart part = { 0, 2 * RIG_PIECE, 1, FALSE };
  Rig *rig = begin (directory, "append=true preallocate=none");
  GstSegment segment;

  rig_feeder_end (rig_feed (rig, &part), NULL);
  while (rig_stat (rig, "queued-bytes") > 0)
    g_usleep (1000);
  append_others ();
  gst_segment_init (&segment, GST_FORMAT_BYTES);
  segment.start = segment.position = 2 * RIG_PIECE + 4;
  gst_pad_push_event (rig->src, gst_event_new_segment (&segment));
  gst_pad_push (rig->src, gst_buffer_new_wrapped (wb_pattern (0, 8, 3), 8));
  gst_pad_push_event (rig->src, gst_event_new_eos ());
  gst_element_set_state (rig->pipeline, GST_STATE_NULL);
  case_check (has_others (), "what others have appended was patched");
  case_check (rig_count (rig, GST_MESSAGE_ERROR) == 1, "not one error: %s",
      rig_complaint (rig));
  case_check (rig_count (rig, GST_MESSAGE_EOS) == 0, "EOS");
  rig_free (rig);
}

/* Nobody else: patches go where they belong. */
static void
patch_alone (const gchar *directory)
{
  static const RigPart part = { 0, 8 * RIG_PIECE, 1, TRUE };
  Rig *rig = begin (directory, "append=true preallocate=none");
  g_autoptr (GByteArray) model = g_byte_array_new ();
  g_autoptr (GByteArray) whole = g_byte_array_new ();
  g_autofree guint8 *old = wb_pattern (0, OLD_SIZE, 9);

  rig_feeder_end (rig_feed (rig, &part), NULL);
  gst_element_set_state (rig->pipeline, GST_STATE_NULL);
  case_check (rig_count (rig, RIG_COMPLAINTS) == 0, "%s", rig_complaint (rig));
  rig_model (model, &part);
  g_byte_array_append (whole, old, OLD_SIZE);
  g_byte_array_append (whole, model->data, model->len);
  rig_assert_content (rig->path, whole);
  rig_free (rig);
}

int
main (int argc, char **argv)
{
  static const NamedCase named[] = {
    { "others append while space is given back", trim },
    { "others have appended before a flush", flush },
    { "others have appended before a patch", patch_after_others },
    { "nobody else appends, patches", patch_alone },
  };

  rig_init (&argc, &argv);
  return cases_run_named (named, G_N_ELEMENTS (named), argv + 1);
}
