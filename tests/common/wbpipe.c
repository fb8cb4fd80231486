/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Running whole pipelines in tests; wbpipe.h says how it is meant.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "wbpipe.h"

GstElement *
wb_pipe_parse (const gchar *description, gchar **missing)
{
  GstParseContext *context = gst_parse_context_new ();
  GstElement *pipeline;
  GError *error = NULL;

  *missing = NULL;
  pipeline = gst_parse_launch_full (
      description, context, GST_PARSE_FLAG_FATAL_ERRORS, &error);
  if (g_error_matches (
          error, GST_PARSE_ERROR, GST_PARSE_ERROR_NO_SUCH_ELEMENT)) {
    gchar **names = gst_parse_context_get_missing_elements (context);

    *missing =
        names != NULL ? g_strjoinv (", ", names) : g_strdup (error->message);
    g_strfreev (names);
    gst_clear_object (&pipeline);
  } else if (error != NULL) {
    g_error ("%s: %s", description, error->message);
  }
  g_clear_error (&error);
  gst_parse_context_free (context);

  return pipeline;
}

gboolean
wb_pipe_run (GstElement *pipeline, gchar **problem)
{
  GstBus *bus = gst_element_get_bus (pipeline);
  GstMessage *message = NULL;
  GError *error = NULL;
  gchar *debug = NULL;

  *problem = NULL;
  /* If this fails there is a message that says why. */
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = gst_bus_timed_pop_filtered (
      bus, WB_PIPE_PATIENCE * GST_SECOND, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  if (message == NULL) {
    *problem = g_strdup ("no EOS");
  } else if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR) {
    gst_message_parse_error (message, &error, &debug);
    *problem = g_strdup_printf (
        "%s: %s (%s)", GST_MESSAGE_SRC_NAME (message), error->message, debug);
    g_error_free (error);
    g_free (debug);
  }
  gst_clear_message (&message);
  gst_object_unref (bus);

  return *problem == NULL;
}

GstElement *
wb_pipe_get (GstElement *pipeline, const gchar *name)
{
  GstElement *element = gst_bin_get_by_name (GST_BIN (pipeline), name);

  if (element == NULL)
    g_error ("no element %s", name);

  return element;
}
