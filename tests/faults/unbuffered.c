/* buffer-mode=unbuffered: one write a buffer, whole. It is what devices need that
 * take a frame a write. Only a pipe may be fed in parts.
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
#include <sys/stat.h>
#include <unistd.h>

/* A frame of 640 x 480, of 12 bits a pixel. */
#define FRAME 460800
#define FRAMES 12
#define SIZE ((gsize) FRAMES * FRAME)

static WbSys sys;
static guint writes, whole; /* atomic */

static gssize
count_write (int fd, const WbVector *vectors, int n, gint64 offset)
{
  gssize size = 0;

  for (int i = 0; i < n; i++)
    size += (gssize) vectors[i].size;
  g_atomic_int_inc ((gint *) &writes);
  if (size == FRAME)
    g_atomic_int_inc ((gint *) &whole);
  return fault_sys ()->write (fd, vectors, n, offset);
}

static int
no_positions (int fd)
{
  errno = ESPIPE;
  return -1;
}

static Rig *
begin (const gchar *path, gboolean positions)
{
  static const RigPart nothing = { 0, 0, 1, FALSE };
  Rig *rig;

  fault_reset ();
  sys = *fault_sys ();
  sys.write = count_write;
  if (!positions)
    sys.seekable = no_positions;
  rig = rig_new (path, "buffer-mode=unbuffered sync-timeout=20000000000");
  gst_wb_file_sink_set_sys (GST_WB_FILE_SINK (rig->sink), &sys);
  case_check (gst_element_set_state (rig->pipeline, GST_STATE_PLAYING)
          != GST_STATE_CHANGE_FAILURE,
      "it does not start");
  rig_feeder_end (rig_feed (rig, &nothing), NULL);
  return rig;
}

/* In so many memories. */
static void
push_frames (Rig *rig, guint memories)
{
  GstFlowReturn flow = GST_FLOW_OK;

  for (guint i = 0; i < FRAMES && flow == GST_FLOW_OK; i++) {
    GstBuffer *buffer = gst_buffer_new ();

    for (guint m = 0; m < memories; m++) {
      guint64 at = (guint64) i * FRAME + m * (FRAME / memories);
      guint8 *bytes = wb_pattern (at, FRAME / memories, 1);

      wb_model_write (rig->model, at, bytes, FRAME / memories);
      gst_buffer_append_memory (buffer,
          gst_memory_new_wrapped (
              0, bytes, FRAME / memories, 0, FRAME / memories, bytes, g_free));
    }
    flow = gst_pad_push (rig->src, buffer);
  }
  gst_pad_push_event (rig->src, gst_event_new_eos ());
  gst_element_set_state (rig->pipeline, GST_STATE_NULL);
  case_check (flow == GST_FLOW_OK && rig_count (rig, RIG_COMPLAINTS) == 0, "%s",
      rig_complaint (rig));
}

static void
check_writes (void)
{
  case_check (writes == FRAMES && whole == FRAMES,
      "%u writes of %u frames, %u of them whole", writes, FRAMES, whole);
}

static void
to_file (const gchar *directory, guint memories)
{
  g_autofree gchar *path = g_build_filename (directory, "file", NULL);
  Rig *rig = begin (path, TRUE);

  push_frames (rig, memories);
  rig_assert_content (path, rig->model);
  check_writes ();
  rig_free (rig);
}

static void
file (const gchar *directory)
{
  to_file (directory, 1);
}

static void
file_three_memories (const gchar *directory)
{
  to_file (directory, 3);
}

static void
to_device (gboolean positions)
{
  Rig *rig = begin ("/dev/null", positions);

  push_frames (rig, 1);
  check_writes ();
  rig_free (rig);
}

static void
device (const gchar *directory)
{
  to_device (TRUE);
}

static void
device_without_positions (const gchar *directory)
{
  to_device (FALSE);
}

static gpointer
read_all (gpointer data)
{
  GByteArray *bytes = g_byte_array_new ();
  gint fd = GPOINTER_TO_INT (data);
  guint8 room[65536];
  gssize n;

  while (bytes->len < SIZE && (n = read (fd, room, sizeof room)) > 0)
    g_byte_array_append (bytes, room, (guint) n);
  return bytes;
}

/* As many writes as it takes. */
static void
fifo (const gchar *directory)
{
  g_autofree gchar *path = g_build_filename (directory, "pipe", NULL);
  g_autoptr (GByteArray) got = NULL;
  GThread *reader;
  Rig *rig;
  gint fd;

  case_check (mkfifo (path, 0600) == 0, "%s", g_strerror (errno));
  fd = open (path, O_RDWR | O_CLOEXEC);
  rig = begin (path, TRUE);
  reader = g_thread_new ("reader", read_all, GINT_TO_POINTER (fd));
  push_frames (rig, 1);
  got = g_thread_join (reader);
  case_check (
      got->len == SIZE && memcmp (got->data, rig->model->data, SIZE) == 0,
      "%u bytes came", got->len);
  close (fd);
  rig_free (rig);
}

int
main (int argc, char **argv)
{
  static const NamedCase named[] = {
    { "a file", file },
    { "a file, frames in three memories", file_three_memories },
    { "a device", device },
    { "a device without positions", device_without_positions },
    { "a pipe", fifo },
  };

  rig_init (&argc, &argv);
  return cases_run_named (named, G_N_ELEMENTS (named), argv + 1);
}
