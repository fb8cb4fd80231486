/* wbfilesink VM tests: streams whose every byte can be told afterwards
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Problem: after a power cut nobody is left who knows what had been written,
 * and while a call hangs nobody can be asked. So what was promised has to leave
 * the machine at once, and what is on the disk has to speak for itself.
 *
 * Strategy: a muxer's load goes into one sink. Every byte is a function of the
 * stream's number, its offset, and whether it was written for the first time
 * or patched, so that --verify, which plays the same load again, knows which
 * bytes may be where. Everything that the sink says is one line on stdout,
 * written with one write(2):
 *
 *   wbstream: 1.234 eos stream=0 seconds=0.012 ...
 *
 * A call that does not return within --patience is told as "hung", and ends
 * the program. At a given byte of the stream a shell command is run, to do
 * something to the storage.
 *
 * Layout: options; saying; the watchdog; contents; messages; one stream; what
 * is left of a stream that timed out; verifying.
 */
#include "benchload.h"

#include <gst/gst.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_SIZE (64 * 1024)

/* --- options --- */

static struct
{
  gchar *sink;
  gchar *location;
  gchar *pattern;
  gint64 bytes;
  gint64 patch_every;
  gint streams;
  gint number;
  gdouble rate;
  gdouble patience;
  gint64 at;
  gchar *command;
  gboolean again;
  gchar *verify;
  gint64 durable;
} options = { .bytes = 16 << 20,
  .patch_every = 1 << 20,
  .streams = 1,
  .patience = 60,
  .at = -1,
  .durable = -1 };

static gboolean
parse_options (int *argc, char ***argv)
{
  const GOptionEntry entries[] = {
    { "sink", 's', 0, G_OPTION_ARG_STRING, &options.sink,
        "Element and properties", "DESCRIPTION" },
    { "location", 'o', 0, G_OPTION_ARG_FILENAME, &options.location,
        "File to write (%d: the stream's number)", "FILE" },
    { "streams", 0, 0, G_OPTION_ARG_INT, &options.streams,
        "That many, one after the other; 0: until killed", "N" },
    { "number", 0, 0, G_OPTION_ARG_INT, &options.number,
        "Of the first stream; decides what is in it", "N" },
    { "pattern", 'p', 0, G_OPTION_ARG_STRING, &options.pattern,
        "wbbench's: mkv unless told", "NAME" },
    { "bytes", 'n', 0, G_OPTION_ARG_INT64, &options.bytes,
        "Body of each stream", "BYTES" },
    { "patch-every", 0, 0, G_OPTION_ARG_INT64, &options.patch_every,
        "Distance between patches", "BYTES" },
    { "rate", 'r', 0, G_OPTION_ARG_DOUBLE, &options.rate,
        "10^6 bytes a second; 0: as fast as it goes", "MB/s" },
    { "patience", 0, 0, G_OPTION_ARG_DOUBLE, &options.patience,
        "A call that takes longer hangs", "SECONDS" },
    { "at", 0, 0, G_OPTION_ARG_INT64, &options.at,
        "Run --command when that much of the first stream has been pushed",
        "BYTES" },
    { "command", 0, 0, G_OPTION_ARG_STRING, &options.command,
        "For --at, by the shell", "COMMAND" },
    { "again", 0, 0, G_OPTION_ARG_NONE, &options.again,
        "After NULL try the same file again, wait until the sink's threads are "
        "gone, and write it once more",
        NULL },
    { "verify", 0, 0, G_OPTION_ARG_FILENAME, &options.verify,
        "Only look at what an earlier run has left: everything must be there",
        "FILE" },
    { "durable", 0, 0, G_OPTION_ARG_INT64, &options.durable,
        "With --verify: only what lies below must be there; patches that came "
        "later may be there or not",
        "BYTES" },
    { NULL },
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, argc, argv, &error)) {
    g_printerr ("wbstream: %s\n", error->message);
    return FALSE;
  }
  if (options.pattern == NULL)
    options.pattern = g_strdup ("mkv");
  if (!bench_load_exists (options.pattern)
      || (options.verify == NULL
          && (options.sink == NULL || options.location == NULL))) {
    g_printerr ("wbstream: an option is missing or out of range\n");
    return FALSE;
  }
  return TRUE;
}

/* --- saying --- */

static gint64 began_us;
static guint current; /* the stream's number */

static gdouble
seconds_since (gint64 then_us)
{
  return (g_get_monotonic_time () - then_us) / 1e6;
}

static void say (const gchar *name, const gchar *format, ...)
    G_GNUC_PRINTF (2, 3);

static void
say (const gchar *name, const gchar *format, ...)
{
  g_autofree gchar *what = NULL;
  g_autofree gchar *line = NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);
  g_strdelimit (what, "\n", ' ');
  line = g_strdup_printf ("wbstream: %.3f %s stream=%u %s\n",
      seconds_since (began_us), name, current, what);
  if (write (STDOUT_FILENO, line, strlen (line)) < 0)
    exit (EXIT_FAILURE);
}

/* --- the watchdog --- */

static GMutex call_lock;
static const gchar *call_name; /* the call that is being waited for */
static gint64 call_began_us;

static void
enter (const gchar *name)
{
  g_mutex_lock (&call_lock);
  call_name = name;
  call_began_us = g_get_monotonic_time ();
  g_mutex_unlock (&call_lock);
}

/* How long it took. */
static gdouble
leave (void)
{
  gdouble seconds;

  g_mutex_lock (&call_lock);
  seconds = seconds_since (call_began_us);
  call_name = NULL;
  g_mutex_unlock (&call_lock);
  return seconds;
}

static gpointer
watch (gpointer data)
{
  for (;;) {
    g_mutex_lock (&call_lock);
    if (call_name != NULL && seconds_since (call_began_us) > options.patience) {
      say ("hung", "call=%s seconds=%.1f", call_name, options.patience);
      _exit (3);
    }
    g_mutex_unlock (&call_lock);
    g_usleep (20000);
  }
  return NULL;
}

/* --- contents --- */

/* No byte of it is zero, which is what a hole reads as. */
static guint64
word_at (guint number, guint64 offset, gboolean patched)
{
  guint64 word = (offset / 8 * 2 + patched + ((guint64) number << 40) + 1)
      * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);

  return GUINT64_TO_LE (
      (word ^ word >> 32) | G_GUINT64_CONSTANT (0x0101010101010101));
}

static void
fill (guint8 *data, gsize size, guint number, guint64 offset, gboolean patched)
{
  while (size > 0) {
    guint64 word = word_at (number, offset, patched);
    gsize skip = offset % 8, n = MIN (8 - skip, size);

    memcpy (data, (const guint8 *) &word + skip, n);
    data += n;
    offset += n;
    size -= n;
  }
}

/* --- messages --- */

typedef struct
{
  guint number;
  gchar *location;
  GstElement *element;
  GstPad *pad;
  GstBus *bus;
  guint64 position;
  guint64 high_water;
  gint64 began_us;
  gint stopping; /* atomic: the reporter's */
  gint got_eos;  /* atomic */
} Stream;

static void
say_complaint (const Stream *stream, GstMessage *message)
{
  gboolean fatal = GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR;
  g_autoptr (GError) error = NULL;

  if (fatal)
    gst_message_parse_error (message, &error, NULL);
  else
    gst_message_parse_warning (message, &error, NULL);
  say (fatal ? "error" : "warning", "domain=%s code=%d text=%s",
      g_quark_to_string (error->domain), error->code, error->message);
}

static void
say_sync (const Stream *stream, const GstStructure *sync)
{
  guint64 bytes = 0;

  gst_structure_get_uint64 (sync, "bytes", &bytes);
  say ("sync", "result=%s bytes=%" G_GUINT64_FORMAT,
      gst_structure_get_string (sync, "result"), bytes);
}

static GstBusSyncReply
on_message (GstBus *bus, GstMessage *message, gpointer data)
{
  Stream *stream = data;

  switch (GST_MESSAGE_TYPE (message)) {
    case GST_MESSAGE_EOS:
      g_atomic_int_set (&stream->got_eos, TRUE);
      say ("clean-eos", "bytes=%" G_GUINT64_FORMAT, stream->high_water);
      break;
    case GST_MESSAGE_ERROR:
    case GST_MESSAGE_WARNING:
      say_complaint (stream, message);
      break;
    case GST_MESSAGE_ELEMENT:
      if (gst_message_has_name (message, "wbfilesink-sync"))
        say_sync (stream, gst_message_get_structure (message));
      break;
    default:
      break;
  }
  gst_message_unref (message);
  return GST_BUS_DROP;
}

/* --- one stream --- */

static gboolean
has_stats (GstElement *element)
{
  return g_object_class_find_property (
             G_OBJECT_GET_CLASS (element), "writeback-stats")
      != NULL;
}

static void
say_durable (Stream *stream, guint64 *last)
{
  g_autoptr (GstStructure) stats = NULL;
  guint64 durable = 0, high_water = 0;

  g_object_get (stream->element, "writeback-stats", &stats, NULL);
  gst_structure_get_uint64 (stats, "durable-bytes", &durable);
  gst_structure_get_uint64 (stats, "high-water-mark", &high_water);
  if (durable <= *last)
    return;
  *last = durable;
  say ("durable-bytes",
      "bytes=%" G_GUINT64_FORMAT " written=%" G_GUINT64_FORMAT, durable,
      high_water);
}

/* Tells of durable-bytes as they grow. */
static gpointer
report (gpointer data)
{
  Stream *stream = data;
  guint64 last = 0;

  while (!g_atomic_int_get (&stream->stopping)) {
    say_durable (stream, &last);
    g_usleep (10000);
  }
  return NULL;
}

static gboolean
stream_open (Stream *stream, guint number)
{
  g_autofree gchar *digits = g_strdup_printf ("%u", number);
  g_auto (GStrv) parts = g_strsplit (options.location, "%d", 2);
  g_autoptr (GError) error = NULL;
  GstStateChangeReturn ret;
  GstPad *peer;

  current = number;
  memset (stream, 0, sizeof *stream);
  stream->number = number;
  stream->element = gst_parse_launch_full (
      options.sink, NULL, GST_PARSE_FLAG_FATAL_ERRORS, &error);
  if (stream->element == NULL)
    g_error ("%s", error->message);
  gst_object_ref_sink (stream->element);
  stream->location = g_strjoinv (digits, parts);
  g_object_set (stream->element, "location", stream->location, NULL);
  stream->bus = gst_bus_new ();
  gst_bus_set_sync_handler (stream->bus, on_message, stream, NULL);
  gst_element_set_bus (stream->element, stream->bus);
  stream->pad = gst_pad_new ("src", GST_PAD_SRC);
  peer = gst_element_get_static_pad (stream->element, "sink");
  gst_pad_link_full (stream->pad, peer, GST_PAD_LINK_CHECK_NOTHING);
  gst_object_unref (peer);
  gst_pad_set_active (stream->pad, TRUE);

  enter ("open");
  ret = gst_element_set_state (stream->element, GST_STATE_PLAYING);
  say (ret == GST_STATE_CHANGE_FAILURE ? "refused" : "opened",
      "location=%s seconds=%.3f", stream->location, leave ());
  return ret != GST_STATE_CHANGE_FAILURE;
}

/* NULL, and what went with the stream. */
static void
stream_close (Stream *stream)
{
  enter ("null");
  gst_element_set_state (stream->element, GST_STATE_NULL);
  say ("null", "seconds=%.3f", leave ());
  gst_pad_set_active (stream->pad, FALSE);
  gst_object_unref (stream->pad);
  gst_element_set_bus (stream->element, NULL);
  gst_object_unref (stream->bus);
  gst_object_unref (stream->element);
  g_free (stream->location);
}

static void
send_segment (Stream *stream, guint64 start)
{
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_BYTES);
  segment.start = segment.position = start;
  gst_pad_push_event (stream->pad, gst_event_new_segment (&segment));
}

static void
pace (const Stream *stream)
{
  gdouble ahead = options.rate > 0 ? stream->high_water / (options.rate * 1e6)
          - seconds_since (stream->began_us)
                                   : 0;

  if (ahead > 0)
    g_usleep (ahead * 1e6);
}

static void
run_command_at (guint64 bytes)
{
  static gboolean done;

  if (done || options.command == NULL || options.at < 0
      || bytes < (guint64) options.at)
    return;
  done = TRUE;
  say ("command", "status=%d", system (options.command));
}

static gboolean
stream_write (gpointer user_data, gsize size, BenchWriteFlags flags)
{
  Stream *stream = user_data;
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, size, NULL);
  GstFlowReturn flow;
  GstMapInfo map;

  gst_buffer_map (buffer, &map, GST_MAP_WRITE);
  fill (map.data, size, stream->number, stream->position,
      stream->position < stream->high_water);
  gst_buffer_unmap (buffer, &map);
  if ((flags & BENCH_WRITE_SYNC_AFTER) != 0)
    GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_SYNC_AFTER);

  pace (stream);
  enter ("push");
  flow = gst_pad_push (stream->pad, buffer);
  leave ();
  if (flow != GST_FLOW_OK) {
    say ("push-failed", "position=%" G_GUINT64_FORMAT " flow=%s",
        stream->position, gst_flow_get_name (flow));
    return FALSE;
  }
  stream->position += size;
  stream->high_water = MAX (stream->high_water, stream->position);
  run_command_at (stream->high_water);
  return TRUE;
}

static gboolean
stream_seek (gpointer user_data, guint64 offset)
{
  Stream *stream = user_data;

  send_segment (stream, offset);
  stream->position = offset;
  return TRUE;
}

static gboolean
play (const BenchTarget *target)
{
  const BenchLoad load = { .bytes = options.bytes,
    .buffer_size = BUFFER_SIZE,
    .patch_every = options.patch_every };
  BenchLoadResult result;

  return bench_load_run (options.pattern, &load, target, &result);
}

static void
stream_play (Stream *stream)
{
  const BenchTarget target = { stream_write, stream_seek, stream };
  GThread *reporter = has_stats (stream->element)
      ? g_thread_new ("report", report, stream)
      : NULL;

  stream->began_us = g_get_monotonic_time ();
  gst_pad_push_event (stream->pad, gst_event_new_stream_start ("stream"));
  send_segment (stream, 0);
  if (play (&target)) {
    say ("pushed", "bytes=%" G_GUINT64_FORMAT, stream->high_water);
    enter ("eos");
    gst_pad_push_event (stream->pad, gst_event_new_eos ());
    say ("eos", "seconds=%.3f clean=%d", leave (),
        g_atomic_int_get (&stream->got_eos));
  }
  g_atomic_int_set (&stream->stopping, TRUE);
  if (reporter != NULL)
    g_thread_join (reporter);
}

static gboolean
run_stream (guint number)
{
  gboolean opened;
  Stream stream;

  opened = stream_open (&stream, number);
  if (opened)
    stream_play (&stream);
  stream_close (&stream);
  return opened;
}

/* --- what is left of a stream that timed out --- */

typedef struct
{
  guint threads, fds;
} Left;

static guint
count_entries (const gchar *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  guint n = 0;

  while (dir != NULL && g_dir_read_name (dir) != NULL)
    n++;
  return n;
}

static Left
count_left (void)
{
  return (Left){ count_entries ("/proc/self/task"),
    count_entries ("/proc/self/fd") };
}

/* The same file while it is stuck, and after somebody has freed it. (Not a
 * command of ours: it would close the file as well, and hang in that.) */
static void
run_again (guint number, Left before)
{
  Left left = count_left ();

  say ("left", "threads=%d fds=%d", (gint) (left.threads - before.threads),
      (gint) (left.fds - before.fds));
  run_stream (number);
  enter ("threads-gone");
  do {
    g_usleep (10000);
    left = count_left ();
  } while (left.threads > before.threads || left.fds > before.fds);
  say ("gone", "seconds=%.3f threads=%d fds=%d", leave (),
      (gint) (left.threads - before.threads), (gint) (left.fds - before.fds));
  run_stream (number);
}

/* What is loaded once is loaded before anything is counted. */
static void
load_plugins (void)
{
  GstElement *element = gst_parse_launch (options.sink, NULL);

  if (element != NULL)
    gst_object_unref (gst_object_ref_sink (element));
}

static int
run_streams (void)
{
  Left before;

  setenv ("G_SLICE", "always-malloc", FALSE);
  gst_init (NULL, NULL);
  /* Idle threads of GLib's pool are nobody's. */
  g_thread_pool_set_max_unused_threads (0);
  g_thread_unref (g_thread_new ("watch", watch, NULL));
  load_plugins ();
  before = count_left ();
  say ("ready", "streams=%d", options.streams);
  for (gint i = 0; options.streams == 0 || i < options.streams; i++)
    run_stream (options.number + i);
  if (options.again)
    run_again (options.number + options.streams, before);
  say ("end", "streams=%d", options.streams);
  return EXIT_SUCCESS;
}

/* --- verifying --- */

typedef struct
{
  GByteArray *old, *new; /* what may be at an offset: either */
  guint64 position;
  guint64 certain; /* patches made before the stream was that long are in */
} Model;

static gboolean
model_write (gpointer user_data, gsize size, BenchWriteFlags flags)
{
  Model *model = user_data;
  guint64 high_water = model->new->len, end = model->position + size;
  gboolean patch = model->position < high_water;

  if (end > high_water) {
    g_byte_array_set_size (model->old, end);
    g_byte_array_set_size (model->new, end);
    memset (model->old->data + high_water, 0, end - high_water);
    memset (model->new->data + high_water, 0, end - high_water);
  }
  fill (model->new->data + model->position, size, options.number,
      model->position, patch);
  if (!patch || high_water < model->certain)
    memcpy (model->old->data + model->position,
        model->new->data + model->position, size);
  model->position = end;
  return TRUE;
}

static gboolean
model_seek (gpointer user_data, guint64 offset)
{
  Model *model = user_data;

  model->position = offset;
  return TRUE;
}

static int
verify (void)
{
  Model model = { .old = g_byte_array_new (),
    .new = g_byte_array_new (),
    .certain = options.durable >= 0 ? (guint64) options.durable : G_MAXUINT64 };
  const BenchTarget target = { model_write, model_seek, &model };
  g_autofree gchar *found = NULL;
  g_autoptr (GError) error = NULL;
  gsize size = 0, wanted, right = 0;

  play (&target);
  wanted = MIN (model.certain, model.new->len);
  if (!g_file_get_contents (options.verify, &found, &size, &error)) {
    printf ("missing: %s\n", error->message);
    return EXIT_FAILURE;
  }
  while (right < MIN (size, wanted)
      && ((guint8) found[right] == model.new->data[right]
          || (guint8) found[right] == model.old->data[right]))
    right++;
  if (right < wanted || (options.durable < 0 && size != wanted)) {
    printf ("wrong: %" G_GSIZE_FORMAT " of %" G_GSIZE_FORMAT
            " bytes are right, the size is %" G_GSIZE_FORMAT "\n",
        right, wanted, size);
    return EXIT_FAILURE;
  }
  printf ("right: %" G_GSIZE_FORMAT " bytes, the size is %" G_GSIZE_FORMAT "\n",
      wanted, size);
  return EXIT_SUCCESS;
}

int
main (int argc, char **argv)
{
  began_us = g_get_monotonic_time ();
  if (!parse_options (&argc, &argv))
    return 2;
  return options.verify != NULL ? verify () : run_streams ();
}
