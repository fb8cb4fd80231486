/* wbfilesink storage tests: one file after the other, each when it is told
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Usage: wbclaim SOURCE PROPERTIES. Each line on stdin is a location; SOURCE is streamed
 * to it, and a line says what came of it: "ok LOCATION", where the sink says that it
 * is, or "error TEXT". So two of them can be told at once, many times a second.
 */
#include <gst/gst.h>
#include <stdio.h>
#include <string.h>

static gchar *location;

static void
note_sync (GstMessage *message)
{
  const GstStructure *structure = gst_message_get_structure (message);

  if (!gst_structure_has_name (structure, "wbfilesink-sync"))
    return;
  g_free (location);
  location = g_strdup (gst_structure_get_string (structure, "location"));
}

static void
say_error (GstMessage *message)
{
  g_autoptr (GError) error = NULL;

  gst_message_parse_error (message, &error, NULL);
  printf ("error %s\n", error->message);
}

/* FALSE: that was the last word of it. */
static gboolean
hear (GstBus *bus)
{
  g_autoptr (GstMessage) message =
      gst_bus_timed_pop_filtered (bus, GST_CLOCK_TIME_NONE,
          GST_MESSAGE_EOS | GST_MESSAGE_ERROR | GST_MESSAGE_ELEMENT);

  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ELEMENT) {
    note_sync (message);
    return TRUE;
  }
  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR)
    say_error (message);
  else
    printf ("ok %s\n", location != NULL ? location : "");
  return FALSE;
}

static void
stream_to (GstElement *pipeline, const gchar *path)
{
  g_autoptr (GstElement) sink =
      gst_bin_get_by_name (GST_BIN (pipeline), "sink");
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);

  /* What the last one had to say after its error. */
  gst_bus_set_flushing (bus, TRUE);
  gst_bus_set_flushing (bus, FALSE);
  g_clear_pointer (&location, g_free);
  g_object_set (sink, "location", path, NULL);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  while (hear (bus))
    ;
  gst_element_set_state (pipeline, GST_STATE_NULL);
  fflush (stdout);
}

int
main (int argc, char **argv)
{
  g_autoptr (GstElement) pipeline = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree gchar *description = NULL;
  char line[4096];

  gst_init (NULL, NULL);
  if (argc != 3)
    return 2;
  description =
      g_strdup_printf ("%s ! wbfilesink name=sink %s", argv[1], argv[2]);
  pipeline = gst_parse_launch (description, &error);
  if (pipeline == NULL || error != NULL) {
    fprintf (stderr, "%s\n", error->message);
    return 2;
  }
  while (fgets (line, sizeof line, stdin) != NULL)
    stream_to (pipeline, g_strchomp (line));
  return 0;
}
