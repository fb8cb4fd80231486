/* wbfilesink storage tests: does a pipeline answer?
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Problem: when storage stops, a pipeline is stuck where it is and so may be
 * whoever looks at it: a test that opened the file itself, or one that waited
 * for the pipeline's thread, would hang with it.
 *
 * Strategy: a real pipeline, a source with a streaming thread of its own and
 * the sink, in a process that touches neither the file nor its file system.
 * All that happens is said at once, with the time, and whoever drives this
 * decides by it what comes next; a process that hangs is theirs to kill.
 *
 *   on stdout, each after the seconds of CLOCK_MONOTONIC:
 *     started | refused         the pipeline is PLAYING, or will never be
 *     at BYTES                  so much was pushed (--notify-at)
 *     pushed FLOW               the load and EOS have been pushed
 *     warning TEXT, error TEXT  and nothing else of the bus but:
 *     degraded, recovered, sync RESULT, eos
 *     null                      set_state (NULL) has returned
 *     left THREADS FILES        the element's threads, and files open
 *                               under --location's folder
 *   on stdin:
 *     null, left                do it
 *     the end                   the process exits, in whatever state
 *
 * Layout: what is said; the source; the pipeline; the program.
 */
#include "benchload.h"
#include "benchstamp.h"
#include "benchwatch.h"

#include <gst/gst.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct
{
  gchar *sink;
  gchar *location;
  gint64 bytes;
  gint64 buffer_size;
  gint64 patch_every;
  gint64 notify_at;
  gdouble rate;
} Options;

/* --- what is said --- */

static void say (const gchar *format, ...) G_GNUC_PRINTF (1, 2);

/* A line in one piece: several threads have something to say. */
static void
say (const gchar *format, ...)
{
  va_list args;
  g_autofree gchar *text = NULL;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  g_strdelimit (text, "\n", ' ');
  printf ("%.3f %s\n", bench_now () / 1e9, text);
  fflush (stdout);
}

static void
say_problem (GstMessage *message)
{
  g_autoptr (GError) error = NULL;
  g_autofree gchar *debug = NULL;

  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR) {
    gst_message_parse_error (message, &error, &debug);
    say ("error %s", error->message);
  } else {
    gst_message_parse_warning (message, &error, &debug);
    say ("warning %s", error->message);
  }
}

static void
say_element_message (const GstStructure *s)
{
  gboolean degraded = FALSE;

  if (gst_structure_has_name (s, "wbfilesink-sync")) {
    say ("sync %s", gst_structure_get_string (s, "result"));
  } else if (gst_structure_has_name (s, "wbfilesink-degraded")) {
    gst_structure_get_boolean (s, "degraded", &degraded);
    say (degraded ? "degraded" : "recovered");
  }
}

static GstBusSyncReply
on_message (GstBus *bus, GstMessage *message, gpointer data)
{
  switch (GST_MESSAGE_TYPE (message)) {
    case GST_MESSAGE_EOS:
      say ("eos");
      break;
    case GST_MESSAGE_ERROR:
    case GST_MESSAGE_WARNING:
      say_problem (message);
      break;
    case GST_MESSAGE_ELEMENT:
      say_element_message (gst_message_get_structure (message));
      break;
    default:
      break;
  }
  gst_message_unref (message);
  return GST_BUS_DROP;
}

/* By their names, which the kernel keeps: a look that reaches no storage. */
static guint
count_files_under (const gchar *folder)
{
  GDir *dir = g_dir_open ("/proc/self/fd", 0, NULL);
  const gchar *name;
  guint n = 0;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    g_autofree gchar *link = g_build_filename ("/proc/self/fd", name, NULL);
    g_autofree gchar *target = g_file_read_link (link, NULL);

    n += target != NULL && g_str_has_prefix (target, folder);
  }
  g_clear_pointer (&dir, g_dir_close);
  return n;
}

static void
say_what_is_left (const Options *options)
{
  g_autofree gchar *folder = g_path_get_dirname (options->location);

  say ("left %u %u", bench_count_threads ("wbfile-"),
      count_files_under (folder));
}

/* --- the source: a bin's pad with a task, which pushes one load --- */

typedef struct
{
  const Options *options;
  GstPad *pad;
  guint32 stamp;
  gint64 pushed;
  gint64 push_began_ns;
  GstFlowReturn flow;
} Source;

static void
pace (Source *source)
{
  gint64 due;
  struct timespec ts;

  if (source->options->rate <= 0)
    return;
  due = source->push_began_ns
      + (gint64) (source->pushed * (1e3 / source->options->rate));
  ts.tv_sec = due / G_GINT64_CONSTANT (1000000000);
  ts.tv_nsec = due % G_GINT64_CONSTANT (1000000000);
  clock_nanosleep (CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static gboolean
on_write (gpointer data, gsize size, BenchWriteFlags flags)
{
  Source *source = data;
  GstBuffer *buffer = bench_stamped_buffer (0, ++source->stamp, size);
  gint64 before = source->pushed;

  if (flags & BENCH_WRITE_BODY)
    pace (source);
  source->flow = gst_pad_push (source->pad, buffer);
  source->pushed += size;
  if (before < source->options->notify_at
      && source->pushed >= source->options->notify_at)
    say ("at %" G_GINT64_FORMAT, source->pushed);
  return source->flow == GST_FLOW_OK;
}

static gboolean
on_seek (gpointer data, guint64 offset)
{
  Source *source = data;
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_BYTES);
  segment.start = segment.time = segment.position = offset;
  return gst_pad_push_event (source->pad, gst_event_new_segment (&segment));
}

/* One pass is the whole stream. As sources do, EOS after an error too. */
static void
stream (gpointer data)
{
  Source *source = data;
  const Options *options = source->options;
  BenchLoad load = { .bytes = options->bytes,
    .buffer_size = options->buffer_size,
    .patch_every = options->patch_every };
  BenchTarget target = { on_write, on_seek, source };
  BenchLoadResult result;

  source->push_began_ns = bench_now ();
  gst_pad_push_event (source->pad, gst_event_new_stream_start ("answer"));
  if (on_seek (source, 0))
    bench_load_run ("mkv", &load, &target, &result);
  say ("pushed %s", gst_flow_get_name (source->flow));
  if (source->flow != GST_FLOW_FLUSHING)
    gst_pad_push_event (source->pad, gst_event_new_eos ());
  gst_pad_pause_task (source->pad);
}

static gboolean
activate (GstPad *pad, GstObject *parent, GstPadMode mode, gboolean active)
{
  if (active)
    return gst_pad_start_task (
        pad, stream, gst_pad_get_element_private (pad), NULL);
  return gst_pad_stop_task (pad);
}

/* A plain element cannot be had without a class of its own; an empty bin with
 * a pad does as well. */
static GstElement *
source_new (Source *source, const Options *options)
{
  GstElement *bin = gst_bin_new ("source");

  source->options = options;
  source->pad = gst_pad_new ("src", GST_PAD_SRC);
  gst_pad_set_element_private (source->pad, source);
  gst_pad_set_activatemode_function (source->pad, activate);
  gst_element_add_pad (bin, source->pad);
  return bin;
}

/* --- the pipeline --- */

static GstElement *
pipeline_new (Source *source, const Options *options)
{
  GstElement *pipeline = gst_pipeline_new (NULL);
  GstElement *bin = source_new (source, options);
  g_autoptr (GError) error = NULL;
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  GstElement *sink = gst_parse_launch_full (
      options->sink, NULL, GST_PARSE_FLAG_FATAL_ERRORS, &error);

  if (sink == NULL) {
    g_printerr ("wbanswer: %s\n", error->message);
    return NULL;
  }
  g_object_set (sink, "location", options->location, NULL);
  gst_bin_add_many (GST_BIN (pipeline), bin, sink, NULL);
  gst_bus_set_sync_handler (bus, on_message, NULL, NULL);
  return gst_element_link (bin, sink) ? pipeline : NULL;
}

static void
obey (GstElement *pipeline, const Options *options, const gchar *word)
{
  if (g_str_equal (word, "null")) {
    gst_element_set_state (pipeline, GST_STATE_NULL);
    say ("null");
  } else if (g_str_equal (word, "left")) {
    say_what_is_left (options);
  } else {
    g_printerr ("wbanswer: what is '%s'?\n", word);
  }
}

/* --- the program --- */

static gboolean
parse_options (Options *options, int *argc, char ***argv)
{
  const GOptionEntry entries[] = {
    { "sink", 0, 0, G_OPTION_ARG_STRING, &options->sink,
        "Element and properties", "DESCRIPTION" },
    { "location", 0, 0, G_OPTION_ARG_FILENAME, &options->location,
        "File to write, as an absolute path", "FILE" },
    { "bytes", 0, 0, G_OPTION_ARG_INT64, &options->bytes, "Body of the stream",
        "N" },
    { "buffer-size", 0, 0, G_OPTION_ARG_INT64, &options->buffer_size,
        "Bytes a buffer", "N" },
    { "patch-every", 0, 0, G_OPTION_ARG_INT64, &options->patch_every,
        "Bytes a cluster", "N" },
    { "rate", 0, 0, G_OPTION_ARG_DOUBLE, &options->rate,
        "10^6 bytes a second; 0: as fast as it goes", "MB/s" },
    { "notify-at", 0, 0, G_OPTION_ARG_INT64, &options->notify_at,
        "Say when so many bytes were pushed", "N" },
    { NULL },
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, argc, argv, &error)) {
    g_printerr ("wbanswer: %s\n", error->message);
    return FALSE;
  }
  if (options->sink == NULL || options->location == NULL
      || !g_path_is_absolute (options->location)) {
    g_printerr ("wbanswer: --sink or an absolute --location is missing\n");
    return FALSE;
  }
  return TRUE;
}

/* Nothing is freed or stopped at the end of stdin: how a process exits with
 * its pipeline stuck is one of the questions. */
int
main (int argc, char **argv)
{
  Options options = {
    .bytes = 64 << 20, .buffer_size = 64 << 10, .patch_every = 2 << 20
  };
  Source source = { 0 };
  GstElement *pipeline;
  char line[64];

  if (!parse_options (&options, &argc, &argv))
    return 2;
  gst_init (&argc, &argv);
  pipeline = pipeline_new (&source, &options);
  if (pipeline == NULL)
    return 2;

  if (gst_element_set_state (pipeline, GST_STATE_PLAYING)
      == GST_STATE_CHANGE_FAILURE)
    say ("refused");
  else
    say ("started");
  while (fgets (line, sizeof line, stdin) != NULL) {
    line[strcspn (line, "\n")] = '\0';
    obey (pipeline, &options, line);
  }
  return 0;
}
