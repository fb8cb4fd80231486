/* wbfilesink benchmark: what a sink does with the disk's space
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Problem: how many pieces a file is in, and what it holds beyond its end, is
 * known to the file system alone, and depends on what the sink knows of the
 * stream: a hint, a BYTES segment's duration, upstream's duration and the
 * buffers' timestamps, or nothing.
 *
 * Strategy: a pad of our own answers the duration query and pushes stamped
 * buffers, from a thread a sink. Then the stream ends in one of several ways
 * and the file is looked at by FIEMAP and read. Every byte is a function of its
 * offset, so whoever finds the file later can tell what of it is right. One
 * JSON object on stdout.
 *
 * Layout: options; looking at a file; messages; one sink; the run.
 */
#include <errno.h>
#include <fcntl.h>
#include <gst/gst.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_SIZE (64 * 1024)
#define SINKS_MAX 64
#define LOOK_EXTENTS 256

/* --- options --- */

typedef enum
{
  END_EOS,
  END_STOP,  /* to NULL without EOS */
  END_ERROR, /* a write fails at three quarters: RLIMIT_FSIZE */
  END_FLUSH,
  END_HANG, /* says "pushed" and waits to be killed */
} End;

static const gchar *const end_names[] = { "eos", "stop", "error", "flush",
  "hang", NULL };

static struct
{
  gchar *sink;
  gchar *location;
  gchar *look;
  gchar *end_name;
  End end;
  gint sinks;
  gint64 bytes;
  gint64 segment;
  gdouble rate;
  gdouble duration;
} options = { .sinks = 1, .bytes = 64 << 20, .segment = -1 };

static gboolean
parse_options (int *argc, char ***argv)
{
  const GOptionEntry entries[] = {
    { "sink", 's', 0, G_OPTION_ARG_STRING, &options.sink,
        "Element and properties", "DESCRIPTION" },
    { "location", 'o', 0, G_OPTION_ARG_FILENAME, &options.location,
        "File to write (%d: the sink's number)", "FILE" },
    { "sinks", 0, 0, G_OPTION_ARG_INT, &options.sinks,
        "That many at once, a thread each", "N" },
    { "bytes", 'n', 0, G_OPTION_ARG_INT64, &options.bytes,
        "Bytes of the stream", "BYTES" },
    { "rate", 'r', 0, G_OPTION_ARG_DOUBLE, &options.rate,
        "10^6 bytes a second, a sink; 0: as fast as it goes", "MB/s" },
    { "duration", 'd', 0, G_OPTION_ARG_DOUBLE, &options.duration,
        "Stamp the buffers, and answer the duration query with this",
        "SECONDS" },
    { "segment", 0, 0, G_OPTION_ARG_INT64, &options.segment,
        "Duration in the BYTES segment", "BYTES" },
    { "end", 'e', 0, G_OPTION_ARG_STRING, &options.end_name,
        "eos, stop, error (a write fails at three quarters), flush, hang",
        "HOW" },
    { "look", 0, 0, G_OPTION_ARG_FILENAME, &options.look,
        "Only look at what an earlier run has left", "FILE" },
    { NULL },
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;
  guint end = 0;

  g_option_context_set_summary (
      context, "Writes files and prints what space they take, as JSON.");
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, argc, argv, &error)) {
    g_printerr ("wbspace: %s\n", error->message);
    return FALSE;
  }
  while (options.end_name != NULL && end_names[end] != NULL
      && !g_str_equal (end_names[end], options.end_name))
    end++;
  options.end = end;
  if (options.look != NULL)
    return TRUE;
  if (options.sink == NULL || options.location == NULL || options.bytes < 0
      || options.sinks < 1 || options.sinks > SINKS_MAX
      || end_names[end] == NULL
      || (options.sinks > 1 && strstr (options.location, "%d") == NULL)) {
    g_printerr ("wbspace: an option is missing or out of range\n");
    return FALSE;
  }
  return TRUE;
}

/* --- looking at a file --- */

typedef struct
{
  gint64 size;
  gint64 blocks;    /* st_blocks, in bytes: the extent tree counts as well */
  gint64 allocated; /* by FIEMAP; -1: there is none */
  gint64 beyond;    /* bytes beyond the end's last block */
  gint64 extents;
  gint64 pieces; /* extents that do not follow each other on the disk */
  gint64 right;  /* bytes from the start that are what was pushed there */
} Look;

static guint64
word_at (guint64 offset)
{
  return offset * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15) + 1;
}

static void
fill (guint8 *data, gsize size, guint64 offset)
{
  for (gsize i = 0; i < size; i += 8) {
    guint64 word = GUINT64_TO_LE (word_at (offset + i));

    memcpy (data + i, &word, MIN (8, size - i));
  }
}

/* What the disk has is compared, not what is cached. */
static gint64
count_right (int fd)
{
  g_autofree guint8 *found = g_malloc (1 << 20);
  g_autofree guint8 *wanted = g_malloc (1 << 20);
  gint64 offset = 0;
  gssize n;

  fsync (fd);
  posix_fadvise (fd, 0, 0, POSIX_FADV_DONTNEED);
  while ((n = pread (fd, found, 1 << 20, offset)) > 0) {
    fill (wanted, n, offset);
    for (gssize i = 0; i < n; i++)
      if (found[i] != wanted[i])
        return offset + i;
    offset += n;
  }
  return offset;
}

static gboolean
look_at_extents (int fd, Look *look, gint64 last_block)
{
  union
  {
    struct fiemap map;
    /* With as many extents behind it. */
    char room[sizeof (struct fiemap)
        + LOOK_EXTENTS * sizeof (struct fiemap_extent)];
  } request;
  guint64 from = 0, physical = 0;

  for (;;) {
    memset (&request, 0, sizeof request);
    request.map.fm_start = from;
    request.map.fm_length = FIEMAP_MAX_OFFSET - from;
    request.map.fm_flags = FIEMAP_FLAG_SYNC;
    request.map.fm_extent_count = LOOK_EXTENTS;
    if (ioctl (fd, FS_IOC_FIEMAP, &request.map) != 0)
      return FALSE;
    for (guint i = 0; i < request.map.fm_mapped_extents; i++) {
      const struct fiemap_extent *extent = &request.map.fm_extents[i];
      gint64 end = extent->fe_logical + extent->fe_length;

      look->allocated += extent->fe_length;
      look->beyond +=
          MAX (0, end - MAX ((gint64) extent->fe_logical, last_block));
      look->extents++;
      if (extent->fe_physical != physical)
        look->pieces++;
      physical = extent->fe_physical + extent->fe_length;
      from = end;
      if ((extent->fe_flags & FIEMAP_EXTENT_LAST) != 0)
        return TRUE;
    }
    if (request.map.fm_mapped_extents == 0)
      return TRUE;
  }
}

static gboolean
look_at (const gchar *path, Look *look)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  struct stat status;
  gint64 block;

  memset (look, 0, sizeof *look);
  if (fd < 0)
    return FALSE;
  if (fstat (fd, &status) != 0) {
    close (fd);
    return FALSE;
  }
  block = MAX (status.st_blksize, 1);
  look->size = status.st_size;
  look->right = count_right (fd);
  fstat (fd, &status);
  look->blocks = (gint64) status.st_blocks * 512;
  if (!look_at_extents (fd, look, (look->size + block - 1) / block * block))
    look->allocated = look->beyond = look->extents = look->pieces = -1;
  close (fd);
  return TRUE;
}

static void
print_look (const Look *look)
{
  printf ("\"size\": %" G_GINT64_FORMAT ", \"blocks\": %" G_GINT64_FORMAT
          ", \"allocated\": %" G_GINT64_FORMAT ", \"beyond\": %" G_GINT64_FORMAT
          ", \"extents\": %" G_GINT64_FORMAT ", \"pieces\": %" G_GINT64_FORMAT
          ", \"right\": %" G_GINT64_FORMAT,
      look->size, look->blocks, look->allocated, look->beyond, look->extents,
      look->pieces, look->right);
}

/* --- messages --- */

typedef struct
{
  guint index;
  gchar *location;
  GstElement *pipeline;
  GstPad *pad;
  GThread *thread;
  gboolean opened;
  guint64 accepted; /* bytes whose push returned OK */
  gint64 longest_push_ns;
  gint64 began_ns, ended_ns;
  GMutex lock;
  GString *messages; /* JSON objects */
  gboolean eos;
} Sink;

static gint64
now_ns (void)
{
  struct timespec ts;

  clock_gettime (CLOCK_MONOTONIC, &ts);
  return ts.tv_sec * GST_SECOND + ts.tv_nsec;
}

static void
append_quoted (GString *text, const gchar *value)
{
  g_autofree gchar *escaped = g_strescape (value, NULL);

  g_string_append_printf (text, "\"%s\"", escaped);
}

static void
note_complaint (Sink *sink, GstMessage *message)
{
  gboolean fatal = GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR;
  g_autoptr (GError) error = NULL;

  if (fatal)
    gst_message_parse_error (message, &error, NULL);
  else
    gst_message_parse_warning (message, &error, NULL);
  g_string_append_printf (sink->messages,
      ", {\"kind\": \"%s\", \"no_space\": %s, \"text\": ",
      fatal ? "error" : "warning",
      g_error_matches (
          error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT)
          ? "true"
          : "false");
  append_quoted (sink->messages, error->message);
  g_string_append (sink->messages, "}");
}

static void
note_element (Sink *sink, const GstStructure *s)
{
  guint64 wanted = 0, reserved = 0;

  if (!g_str_has_prefix (gst_structure_get_name (s), "wbfilesink-"))
    return;
  gst_structure_get_uint64 (s, "wanted", &wanted);
  gst_structure_get_uint64 (s, "reserved", &reserved);
  g_string_append_printf (sink->messages,
      ", {\"kind\": \"%s\", \"result\": \"%s\", \"source\": \"%s\", "
      "\"wanted\": %" G_GUINT64_FORMAT ", \"reserved\": %" G_GUINT64_FORMAT
      ", \"at\": %" G_GUINT64_FORMAT "}",
      gst_structure_get_name (s) + strlen ("wbfilesink-"),
      gst_structure_get_string (s, "result"),
      gst_structure_has_field (s, "source")
          ? gst_structure_get_string (s, "source")
          : "",
      wanted, reserved, sink->accepted);
}

static GstBusSyncReply
on_message (GstBus *bus, GstMessage *message, gpointer data)
{
  Sink *sink = data;

  g_mutex_lock (&sink->lock);
  switch (GST_MESSAGE_TYPE (message)) {
    case GST_MESSAGE_EOS:
      sink->eos = TRUE;
      break;
    case GST_MESSAGE_ERROR:
    case GST_MESSAGE_WARNING:
      note_complaint (sink, message);
      break;
    case GST_MESSAGE_ELEMENT:
      note_element (sink, gst_message_get_structure (message));
      break;
    default:
      break;
  }
  g_mutex_unlock (&sink->lock);
  gst_message_unref (message);
  return GST_BUS_DROP;
}

/* --- one sink --- */

static gboolean
on_query (GstPad *pad, GstObject *parent, GstQuery *query)
{
  GstFormat format;

  if (GST_QUERY_TYPE (query) != GST_QUERY_DURATION || options.duration <= 0)
    return FALSE;
  gst_query_parse_duration (query, &format, NULL);
  if (format != GST_FORMAT_TIME)
    return FALSE;
  gst_query_set_duration (query, format, options.duration * GST_SECOND);
  return TRUE;
}

static gboolean
sink_build (Sink *sink, guint index)
{
  g_autofree gchar *number = g_strdup_printf ("%u", index);
  g_auto (GStrv) parts = g_strsplit (options.location, "%d", 2);
  g_autoptr (GError) error = NULL;
  GstElement *element = gst_parse_launch_full (
      options.sink, NULL, GST_PARSE_FLAG_FATAL_ERRORS, &error);
  GstBus *bus;
  GstPad *peer;

  if (element == NULL) {
    g_printerr ("wbspace: %s\n", error->message);
    return FALSE;
  }
  sink->index = index;
  sink->location = g_strjoinv (number, parts);
  sink->messages = g_string_new (NULL);
  g_mutex_init (&sink->lock);
  g_object_set (element, "location", sink->location, NULL);
  sink->pipeline = gst_pipeline_new (NULL);
  gst_bin_add (GST_BIN (sink->pipeline), element);
  bus = gst_element_get_bus (sink->pipeline);
  gst_bus_set_sync_handler (bus, on_message, sink, NULL);
  gst_object_unref (bus);
  sink->pad = gst_pad_new ("src", GST_PAD_SRC);
  gst_pad_set_query_function (sink->pad, on_query);
  peer = gst_element_get_static_pad (element, "sink");
  gst_pad_link_full (sink->pad, peer, GST_PAD_LINK_CHECK_NOTHING);
  gst_object_unref (peer);
  gst_pad_set_active (sink->pad, TRUE);
  sink->opened = gst_element_set_state (sink->pipeline, GST_STATE_PLAYING)
      != GST_STATE_CHANGE_FAILURE;
  return TRUE;
}

static void
pace (const Sink *sink, guint64 offset)
{
  gint64 due;
  struct timespec ts;

  if (options.rate <= 0)
    return;
  due = sink->began_ns + (gint64) (offset * 1e3 / options.rate);
  ts.tv_sec = due / GST_SECOND;
  ts.tv_nsec = due % GST_SECOND;
  while (clock_nanosleep (CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
    continue;
}

static GstBuffer *
buffer_at (guint64 offset)
{
  gsize size = MIN (BUFFER_SIZE, options.bytes - offset);
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, size, NULL);
  GstMapInfo map;

  gst_buffer_map (buffer, &map, GST_MAP_WRITE);
  fill (map.data, size, offset);
  gst_buffer_unmap (buffer, &map);
  if (options.duration > 0)
    GST_BUFFER_PTS (buffer) =
        options.duration * GST_SECOND * ((gdouble) offset / options.bytes);
  return buffer;
}

static gpointer
sink_thread (gpointer data)
{
  Sink *sink = data;
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_BYTES);
  segment.duration = options.segment;
  gst_pad_push_event (sink->pad, gst_event_new_stream_start ("space"));
  gst_pad_push_event (sink->pad, gst_event_new_segment (&segment));
  sink->began_ns = now_ns ();
  while (sink->accepted < (guint64) options.bytes) {
    GstBuffer *buffer = buffer_at (sink->accepted);
    gsize size = gst_buffer_get_size (buffer);
    gint64 began;

    pace (sink, sink->accepted);
    began = now_ns ();
    if (gst_pad_push (sink->pad, buffer) != GST_FLOW_OK)
      break;
    sink->longest_push_ns = MAX (sink->longest_push_ns, now_ns () - began);
    sink->accepted += size;
  }
  if (options.end == END_FLUSH) {
    gst_pad_push_event (sink->pad, gst_event_new_flush_start ());
    gst_pad_push_event (sink->pad, gst_event_new_flush_stop (TRUE));
  } else if (options.end == END_EOS || options.end == END_ERROR) {
    gst_pad_push_event (sink->pad, gst_event_new_eos ());
  }
  sink->ended_ns = now_ns ();
  return NULL;
}

static void
sink_close (Sink *sink)
{
  gst_element_set_state (sink->pipeline, GST_STATE_NULL);
  gst_pad_set_active (sink->pad, FALSE);
}

static void
sink_print (const Sink *sink)
{
  Look look;

  printf ("%s{\"opened\": %s, \"accepted\": %" G_GUINT64_FORMAT
          ", \"eos\": %s, \"longest_push_s\": %.6f, \"took_s\": %.3f, "
          "\"messages\": [%s], ",
      sink->index > 0 ? ", " : "", sink->opened ? "true" : "false",
      sink->accepted, sink->eos ? "true" : "false", sink->longest_push_ns / 1e9,
      (sink->ended_ns - sink->began_ns) / 1e9,
      sink->messages->len > 2 ? sink->messages->str + 2 : "");
  if (look_at (sink->location, &look))
    print_look (&look);
  else
    printf ("\"size\": null");
  printf ("}");
}

/* --- the run --- */

static void
limit_size (void)
{
  const struct rlimit limit = { .rlim_cur = options.bytes / 4 * 3,
    .rlim_max = RLIM_INFINITY };

  if (options.end == END_ERROR)
    setrlimit (RLIMIT_FSIZE, &limit);
}

static void
unlimit_size (void)
{
  const struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

  setrlimit (RLIMIT_FSIZE, &limit);
}

int
main (int argc, char **argv)
{
  static Sink sinks[SINKS_MAX];
  Look look;

  if (!parse_options (&argc, &argv))
    return 2;
  if (options.look != NULL) {
    if (!look_at (options.look, &look))
      return EXIT_FAILURE;
    printf ("{");
    print_look (&look);
    printf ("}\n");
    return EXIT_SUCCESS;
  }
  gst_init (&argc, &argv);
  for (gint i = 0; i < options.sinks; i++)
    if (!sink_build (&sinks[i], i))
      return EXIT_FAILURE;
  limit_size ();
  for (gint i = 0; i < options.sinks; i++)
    if (sinks[i].opened)
      sinks[i].thread = g_thread_new ("space", sink_thread, &sinks[i]);
  for (gint i = 0; i < options.sinks; i++)
    if (sinks[i].thread != NULL)
      g_thread_join (sinks[i].thread);
  if (options.end == END_HANG) {
    puts ("pushed");
    fflush (stdout);
    pause ();
  }
  for (gint i = 0; i < options.sinks; i++)
    sink_close (&sinks[i]);
  unlimit_size ();
  printf ("{\"files\": [");
  for (gint i = 0; i < options.sinks; i++)
    sink_print (&sinks[i]);
  printf ("]}\n");
  return EXIT_SUCCESS;
}
