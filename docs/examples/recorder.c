/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A recorder in pieces that knows which of them are on the disk.
 *
 *   cc recorder.c -o recorder $(pkg-config --cflags --libs gstreamer-1.0)
 *   recorder [--source ELEMENTS] [--seconds N] [--set NAME=VALUE]... FILES
 *
 * FILES is a pattern such as cam-%05d.mkv. Without a source a test picture is
 * recorded. Ctrl-C or SIGTERM ends the last piece properly; a second one stops
 * at once.
 *
 * Exit status: 0 every piece is durable, 1 an error, 2 usage, 3 a piece is
 * written and not known to be on the disk, 130 stopped at once.
 */
#include <glib-unix.h>
#include <gst/gst.h>
#include <signal.h>

#define TEST_SOURCE                                                            \
  "videotestsrc is-live=true "                                                 \
  "! video/x-raw,width=640,height=360,framerate=25/1 "                         \
  "! x264enc tune=zerolatency speed-preset=superfast key-int-max=25 "          \
  "! h264parse"

/* The queue holds what comes while the disk pauses. */
#define RECORDER                                                               \
  "queue max-size-time=5000000000 max-size-bytes=0 max-size-buffers=0 "        \
  "! splitmuxsink name=recorder muxer-factory=matroskamux "                    \
  "async-finalize=true sink-factory=wbfilesink"

typedef struct
{
  gchar *source;
  gdouble seconds;
  gchar **sink_properties; /* NAME=VALUE */
  gchar **files;
} Options;

typedef struct
{
  const Options *options;
  GMainLoop *loop;
  GstElement *pipeline;
  gboolean stopping;
  gint status; /* atomic: the sync handler runs on other threads */

  GMutex lock;
  GstElement *sink; /* of the newest piece, under the lock */
} App;

static void
complain (const gchar *text)
{
  g_printerr ("recorder: %s\n", text);
}

/* The first thing that went wrong decides. */
static void
set_status (App *app, gint status)
{
  g_atomic_int_compare_and_exchange (&app->status, 0, status);
}

/* --- what became of each piece -------------------------------------------- */

static void
on_synced (App *app, const GstStructure *what)
{
  const gchar *result = gst_structure_get_string (what, "result");
  const gchar *name = gst_structure_get_string (what, "location");
  guint64 bytes = 0, elapsed = 0;

  gst_structure_get_uint64 (what, "bytes", &bytes);
  gst_structure_get_uint64 (what, "elapsed", &elapsed);
  if (g_str_equal (result, "durable")) {
    g_print ("%s: %.1f MB, durable %.2f s after its end\n", name,
        (gdouble) bytes / 1e6, (gdouble) elapsed / 1e9);
  } else if (!g_str_equal (result, "cancelled")) {
    /* After "cancelled" another one follows. */
    g_printerr (
        "recorder: %s: NOT KNOWN TO BE ON THE DISK: %s\n", name, result);
    set_status (app, 3);
  }
}

/* The result of a file that only ends when the pipeline goes to NULL reaches
 * synchronous handlers alone. */
static GstBusSyncReply
on_sync_message (GstBus *bus, GstMessage *message, gpointer data)
{
  const GstStructure *what = gst_message_get_structure (message);
  gboolean degraded = FALSE;

  (void) bus;
  if (GST_MESSAGE_TYPE (message) != GST_MESSAGE_ELEMENT || what == NULL)
    return GST_BUS_PASS;
  if (gst_structure_has_name (what, "wbfilesink-sync"))
    on_synced (data, what);
  else if (gst_structure_get_boolean (what, "degraded", &degraded))
    complain (degraded ? "nothing reaches the disk: the cache fills"
                       : "the disk takes data again");
  return GST_BUS_PASS;
}

static gboolean
on_message (GstBus *bus, GstMessage *message, gpointer data)
{
  App *app = data;
  GError *error = NULL;

  (void) bus;
  switch (GST_MESSAGE_TYPE (message)) {
    case GST_MESSAGE_EOS:
      g_main_loop_quit (app->loop);
      break;
    case GST_MESSAGE_ERROR:
      gst_message_parse_error (message, &error, NULL);
      complain (error->message);
      g_atomic_int_set (&app->status, 1);
      g_main_loop_quit (app->loop);
      break;
    case GST_MESSAGE_WARNING:
      gst_message_parse_warning (message, &error, NULL);
      complain (error->message);
      break;
    default:
      break;
  }
  g_clear_error (&error);
  return G_SOURCE_CONTINUE;
}

/* --- while it runs ---------------------------------------------------------- */

/* Each piece has a sink of its own; its stats outlive it. (splitmuxsink's
 * sink-properties cannot set enums by their names; this can.) */
static void
on_sink_added (GstElement *recorder, GstElement *sink, gpointer data)
{
  App *app = data;
  gchar **item;

  (void) recorder;
  for (item = app->options->sink_properties; item && *item; item++) {
    gchar **pair = g_strsplit (*item, "=", 2);

    if (g_strv_length (pair) == 2)
      gst_util_set_object_arg (G_OBJECT (sink), pair[0], pair[1]);
    g_strfreev (pair);
  }
  g_mutex_lock (&app->lock);
  gst_object_replace ((GstObject **) &app->sink, GST_OBJECT (sink));
  g_mutex_unlock (&app->lock);
}

static gdouble
figure (const GstStructure *stats, const gchar *name)
{
  guint64 value = 0;

  gst_structure_get_uint64 (stats, name, &value);
  return (gdouble) value / 1e6;
}

static gboolean
print_figures (gpointer data)
{
  App *app = data;
  GstElement *sink = NULL;
  GstStructure *stats = NULL;

  g_mutex_lock (&app->lock);
  gst_object_replace ((GstObject **) &sink, GST_OBJECT_CAST (app->sink));
  g_mutex_unlock (&app->lock);
  if (sink == NULL)
    return G_SOURCE_CONTINUE;
  g_object_get (sink, "writeback-stats", &stats, NULL);
  g_print ("%.1f MB written, %.1f MB durable, %.1f MB dirty, "
           "longest wait %.0f ms\n",
      figure (stats, "high-water-mark"), figure (stats, "durable-bytes"),
      figure (stats, "dirty-bytes"), figure (stats, "max-wait-time"));
  gst_structure_free (stats);
  gst_object_unref (sink);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_signal (gpointer data)
{
  App *app = data;

  if (app->stopping) {
    g_atomic_int_set (&app->status, 130);
    g_main_loop_quit (app->loop);
  } else {
    app->stopping = TRUE;
    /* Comes back as a message when the last piece is on the disk, or given up:
     * no time limit is needed here. */
    gst_element_send_event (app->pipeline, gst_event_new_eos ());
  }
  return G_SOURCE_CONTINUE;
}

/* --- setting up --------------------------------------------------------------- */

static gboolean
parse_options (int *argc, char ***argv, Options *options)
{
  const GOptionEntry entries[] = {
    { "source", 0, 0, G_OPTION_ARG_STRING, &options->source,
        "What to record, up to a parser", "ELEMENTS" },
    { "seconds", 0, 0, G_OPTION_ARG_DOUBLE, &options->seconds, "Of a piece",
        "N" },
    { "set", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options->sink_properties,
        "Of wbfilesink: sync-interval=1000000000", "NAME=VALUE" },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options->files,
        NULL, "FILES" },
    { NULL, 0, 0, 0, NULL, NULL, NULL },
  };
  GOptionContext *context = g_option_context_new (NULL);
  GError *error = NULL;

  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_add_group (context, gst_init_get_option_group ());
  if (g_option_context_parse (context, argc, argv, &error)
      && (options->files == NULL || g_strv_length (options->files) != 1))
    g_set_error_literal (
        &error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "FILES is missing");
  if (error != NULL)
    complain (error->message);
  g_option_context_free (context);
  return error == NULL;
}

static GstElement *
make_pipeline (const Options *options, GError **error)
{
  gchar *description = g_strdup_printf ("%s ! " RECORDER,
      options->source != NULL ? options->source : TEST_SOURCE);
  GstElement *pipeline = gst_parse_launch (description, error);
  GstElement *recorder;

  g_free (description);
  if (pipeline == NULL)
    return NULL;
  recorder = gst_bin_get_by_name (GST_BIN (pipeline), "recorder");
  g_object_set (recorder, "location", options->files[0], "max-size-time",
      (guint64) (options->seconds * GST_SECOND), NULL);
  gst_object_unref (recorder);
  return pipeline;
}

static void
run (App *app)
{
  GstElement *recorder =
      gst_bin_get_by_name (GST_BIN (app->pipeline), "recorder");
  GstBus *bus = gst_element_get_bus (app->pipeline);

  g_signal_connect (recorder, "sink-added", G_CALLBACK (on_sink_added), app);
  gst_bus_set_sync_handler (bus, on_sync_message, app, NULL);
  gst_bus_add_watch (bus, on_message, app);
  g_unix_signal_add (SIGINT, on_signal, app);
  g_unix_signal_add (SIGTERM, on_signal, app);
  g_timeout_add_seconds (1, print_figures, app);

  /* If this fails there is an error on the bus. */
  gst_element_set_state (app->pipeline, GST_STATE_PLAYING);
  g_main_loop_run (app->loop);
  gst_element_set_state (app->pipeline, GST_STATE_NULL);

  gst_bus_remove_watch (bus);
  gst_object_unref (bus);
  gst_object_unref (recorder);
}

int
main (int argc, char **argv)
{
  Options options = { .seconds = 60 };
  App app = { .options = &options };
  GError *error = NULL;

  if (!parse_options (&argc, &argv, &options))
    return 2;
  app.pipeline = make_pipeline (&options, &error);
  if (error != NULL) {
    complain (error->message);
    return 2;
  }
  app.loop = g_main_loop_new (NULL, FALSE);
  g_mutex_init (&app.lock);
  run (&app);
  g_clear_object (&app.sink);
  gst_object_unref (app.pipeline);
  g_main_loop_unref (app.loop);
  g_mutex_clear (&app.lock);
  g_strfreev (options.files);
  g_free (options.source);
  g_strfreev (options.sink_properties);
  return app.status;
}
