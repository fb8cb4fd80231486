/* wbfilesink benchmark: one load into one kind of sink, measured
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Problem: a file sink is judged by what a pipeline feels (how long a push
 * takes, how long EOS takes) and by what the machine feels (dirty pages,
 * processor time, bytes on the device), and a pipeline of real elements hides
 * both behind its own work.
 *
 * Strategy: no pipeline. A pad of our own pushes a muxer's pattern of buffers
 * and BYTES segments straight into the sink, from a thread a sink, each push
 * timed. A run is a process, so that nothing is left over from the last one.
 * At EOS the file is fsynced once more from here: what that takes is what the
 * sink left undone, and the time up to its return is the time to durable for
 * every sink alike. One JSON object on stdout says it all.
 *
 * Layout: options; one sink (building it, pushing into it, ending it); the
 * run; the report.
 */
#include "benchhist.h"
#include "benchload.h"
#include "benchorigin.h"
#include "benchstamp.h"
#include "benchwatch.h"

#include <errno.h>
#include <fcntl.h>
#include <gst/gst.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S G_GINT64_CONSTANT (1000000000)
/* A pacing sleep shorter than this costs more than it brings; the source is
 * then up to as much early. */
#define SHORTEST_SLEEP_NS (200 * G_GINT64_CONSTANT (1000))
/* Bodies of patches and headers are cut from here. */
#define SCRATCH_SIZE (1024 * 1024)
/* One ready-made buffer would do for a sink that writes at once. One that
 * gathers maps each buffer it holds, and a memory can be mapped 255 times:
 * filesink fails on 64 KiB of one 188-byte buffer. So they go round. */
#define READY_BYTES (1024 * 1024)
#define READY_MAX 1024

/* --- options --- */

typedef struct
{
  gchar *sink;
  gchar *location;
  gchar *bytes_text;
  gchar *buffer_size_text;
  gchar *patch_every_text;
  gchar *warm_text;
  gchar *notify_at_text;
  gchar *pattern;
  gchar *device;
  gchar *look_at;
  gchar *timeline;
  gint list;
  gint sinks;
  gint sample_ms;
  gint seed;
  gdouble rate;
  gdouble stagger;
  gboolean allocate;
  gboolean stamp;
  gboolean keep;

  guint64 bytes;
  guint64 buffer_size;
  guint64 patch_every;
  guint64 warm;
  guint64 notify_at[BENCH_NOTIFY_MAX];
} Options;

/* "64K", "2MiB", "1G": powers of 1024. */
static gboolean
parse_size (const gchar *text, guint64 *size)
{
  static const gchar units[] = "KMGT";
  gchar *end;
  const gchar *unit;

  *size = g_ascii_strtoull (text, &end, 10);
  if (end == text)
    return FALSE;
  if (*end == '\0')
    return TRUE;
  unit = strchr (units, g_ascii_toupper (*end));
  if (unit == NULL)
    return FALSE;
  *size <<= 10 * (unit - units + 1);
  return end[1] == '\0' || g_str_equal (end + 1, "iB");
}

static gboolean
parse_sizes (Options *options)
{
  const struct
  {
    const gchar *text;
    const gchar *fallback;
    guint64 *size;
  } sizes[] = {
    { options->bytes_text, "1G", &options->bytes },
    { options->buffer_size_text, "64K", &options->buffer_size },
    { options->patch_every_text, "2M", &options->patch_every },
    { options->warm_text, "0", &options->warm },
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++) {
    const gchar *text = sizes[i].text ? sizes[i].text : sizes[i].fallback;

    if (!parse_size (text, sizes[i].size)) {
      g_printerr ("wbbench: '%s' is not a size\n", text);
      return FALSE;
    }
  }
  return options->buffer_size > 0 && options->patch_every > 0;
}

static gboolean
parse_notify_at (Options *options)
{
  g_auto (GStrv) sizes = NULL;
  guint i;

  if (options->notify_at_text == NULL)
    return TRUE;
  sizes = g_strsplit (options->notify_at_text, ",", -1);
  for (i = 0; sizes[i] != NULL; i++)
    if (i == BENCH_NOTIFY_MAX
        || !parse_size (sizes[i], &options->notify_at[i])) {
      g_printerr ("wbbench: '%s' is not a list of up to %d sizes\n",
          options->notify_at_text, BENCH_NOTIFY_MAX);
      return FALSE;
    }
  return TRUE;
}

static gboolean
check_options (Options *options)
{
  if (!parse_sizes (options) || !parse_notify_at (options))
    return FALSE;
  if (options->sink == NULL) {
    g_printerr ("wbbench: --sink is missing\n");
    return FALSE;
  }
  if (!bench_load_exists (options->pattern)) {
    g_printerr ("wbbench: there is no pattern '%s'\n", options->pattern);
    return FALSE;
  }
  if (options->sinks < 1 || options->list < 0 || options->sample_ms < 0) {
    g_printerr ("wbbench: a number is out of range\n");
    return FALSE;
  }
  if (options->sinks > 1 && strstr (options->location, "%d") == NULL) {
    g_printerr ("wbbench: --location needs a %%d with --sinks\n");
    return FALSE;
  }
  return TRUE;
}

static gboolean
parse_options (Options *options, int *argc, char ***argv)
{
  const GOptionEntry entries[] = {
    { "sink", 's', 0, G_OPTION_ARG_STRING, &options->sink,
        "Element and properties, or 'origin'", "DESCRIPTION" },
    { "location", 'o', 0, G_OPTION_ARG_FILENAME, &options->location,
        "File to write (%d: the sink's number)", "FILE" },
    { "bytes", 'n', 0, G_OPTION_ARG_STRING, &options->bytes_text,
        "Body of the stream, a sink", "SIZE" },
    { "buffer-size", 'b', 0, G_OPTION_ARG_STRING, &options->buffer_size_text,
        "Bytes a buffer", "SIZE" },
    { "list", 0, 0, G_OPTION_ARG_INT, &options->list, "Push lists of N buffers",
        "N" },
    { "rate", 'r', 0, G_OPTION_ARG_DOUBLE, &options->rate,
        "10^6 bytes a second, a sink; 0: as fast as it goes", "MB/s" },
    { "pattern", 'p', 0, G_OPTION_ARG_STRING, &options->pattern,
        "What the muxer does, see below", "NAME" },
    { "patch-every", 0, 0, G_OPTION_ARG_STRING, &options->patch_every_text,
        "Cluster, fragment: bytes between patches", "SIZE" },
    { "seed", 0, 0, G_OPTION_ARG_INT, &options->seed,
        "For the pattern 'random'", "N" },
    { "sinks", 0, 0, G_OPTION_ARG_INT, &options->sinks,
        "That many at once, a thread each", "N" },
    { "stagger", 0, 0, G_OPTION_ARG_DOUBLE, &options->stagger,
        "Each of them begins so much after the one before", "SECONDS" },
    { "allocate", 0, 0, G_OPTION_ARG_NONE, &options->allocate,
        "Allocate and fill each buffer; else a few ready-made ones go round",
        NULL },
    { "stamp", 0, 0, G_OPTION_ARG_NONE, &options->stamp,
        "Fill each buffer with what no other one holds, of any sink", NULL },
    { "warm", 0, 0, G_OPTION_ARG_STRING, &options->warm_text,
        "Touch and free that much memory first", "SIZE" },
    { "sample", 0, 0, G_OPTION_ARG_INT, &options->sample_ms,
        "Look at the page cache this often; 0: never", "MS" },
    { "timeline", 0, 0, G_OPTION_ARG_FILENAME, &options->timeline,
        "Write what was seen over time", "FILE.csv" },
    { "notify-at", 0, 0, G_OPTION_ARG_STRING, &options->notify_at_text,
        "Print 'notify' whenever so much was pushed", "SIZE,..." },
    { "device", 'd', 0, G_OPTION_ARG_STRING, &options->device,
        "Count this device's bytes, not those of the file's", "MAJ:MIN" },
    { "look-at", 0, 0, G_OPTION_ARG_FILENAME, &options->look_at,
        "Look at this file's cache: an overlay's is its upper file's", "FILE" },
    { "keep", 'k', 0, G_OPTION_ARG_NONE, &options->keep,
        "Leave the files there", NULL },
    { NULL },
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;
  g_autofree gchar *patterns = bench_load_list ();
  g_autofree gchar *text = g_strconcat ("Patterns:\n", patterns, NULL);

  g_option_context_set_summary (
      context, "Drives one sink and prints what it cost as JSON.");
  g_option_context_set_description (context, text);
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, argc, argv, &error)) {
    g_printerr ("wbbench: %s\n", error->message);
    return FALSE;
  }
  return check_options (options);
}

static void
options_clear (Options *options)
{
  g_free (options->sink);
  g_free (options->location);
  g_free (options->bytes_text);
  g_free (options->buffer_size_text);
  g_free (options->patch_every_text);
  g_free (options->warm_text);
  g_free (options->notify_at_text);
  g_free (options->pattern);
  g_free (options->device);
  g_free (options->look_at);
  g_free (options->timeline);
}

/* --- one sink --- */

/* Of a message wbfilesink-degraded. */
typedef struct
{
  gint64 at_ns;
  gboolean degraded;
  guint64 dirty;
} Degraded;

typedef struct
{
  const Options *options;
  guint index;
  gchar *location;
  GstElement *pipeline;
  GstElement *element;
  GstPad *pad;
  int fd;
  /* The file whose cache is looked at; mostly fd. */
  int cache_fd;
  GThread *thread;

  /* Of the pushing thread. */
  GstBuffer *ready[READY_MAX];
  guint n_ready;
  guint next_ready;
  GstBuffer *scratch;
  GstBufferList *list;
  guint8 fill;
  guint32 stamp;
  BenchHist *pushes;
  BenchHist *seeks;
  BenchGauge gauge;
  BenchLoadResult load;
  gboolean pushed_all;
  gint64 begin_ns;
  gint64 eos_pushed_ns;
  gint64 durable_ns;
  BenchCache at_eos;

  /* Written by whoever posts on the bus, read after the run. */
  GMutex lock;
  gint64 eos_posted_ns;
  gchar *error;
  guint errors;
  guint warnings;
  GArray *degraded;
  gchar *sync_result;
  guint64 sync_elapsed;
} Sink;

/* Said at once as well: whoever drives the run may want to act on it. */
static void
note_degraded (Sink *sink, const GstStructure *s)
{
  Degraded event = { .at_ns = bench_now () };

  gst_structure_get_boolean (s, "degraded", &event.degraded);
  gst_structure_get_uint64 (s, "dirty-bytes", &event.dirty);
  g_array_append_val (sink->degraded, event);
  puts (event.degraded ? "degraded" : "recovered");
  fflush (stdout);
}

static void
note_element_message (Sink *sink, GstMessage *message)
{
  const GstStructure *s = gst_message_get_structure (message);

  if (gst_structure_has_name (s, "wbfilesink-sync")) {
    g_free (sink->sync_result);
    sink->sync_result = g_strdup (gst_structure_get_string (s, "result"));
    gst_structure_get_uint64 (s, "elapsed", &sink->sync_elapsed);
  } else if (gst_structure_has_name (s, "wbfilesink-degraded")) {
    note_degraded (sink, s);
  }
}

static void
note_error (Sink *sink, GstMessage *message)
{
  g_autoptr (GError) error = NULL;
  g_autofree gchar *debug = NULL;

  gst_message_parse_error (message, &error, &debug);
  if (sink->error == NULL)
    sink->error = g_strdup_printf ("%s (%s)", error->message, debug);
}

/* The time of a message is taken where it is posted: no main loop between. */
static GstBusSyncReply
on_message (GstBus *bus, GstMessage *message, gpointer data)
{
  Sink *sink = data;

  g_mutex_lock (&sink->lock);
  switch (GST_MESSAGE_TYPE (message)) {
    case GST_MESSAGE_EOS:
      sink->eos_posted_ns = bench_now ();
      break;
    case GST_MESSAGE_ERROR:
      sink->errors++;
      note_error (sink, message);
      break;
    case GST_MESSAGE_WARNING:
      sink->warnings++;
      break;
    case GST_MESSAGE_ELEMENT:
      note_element_message (sink, message);
      break;
    default:
      break;
  }
  g_mutex_unlock (&sink->lock);
  gst_message_unref (message);
  return GST_BUS_DROP;
}

static GstBuffer *
new_filled_buffer (gsize size)
{
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, size, NULL);
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);
  GstMapInfo map;
  gsize i;

  gst_buffer_map (buffer, &map, GST_MAP_WRITE);
  for (i = 0; i + 4 <= size; i += 4)
    GST_WRITE_UINT32_LE (map.data + i, g_rand_int (rand));
  for (; i < size; i++)
    map.data[i] = i;
  gst_buffer_unmap (buffer, &map);
  return buffer;
}

static void
make_ready (Sink *sink)
{
  guint i;

  sink->n_ready =
      CLAMP (READY_BYTES / sink->options->buffer_size, 1, READY_MAX);
  for (i = 0; i < sink->n_ready; i++)
    sink->ready[i] = new_filled_buffer (sink->options->buffer_size);
}

static GstBuffer *
take_ready (Sink *sink)
{
  GstBuffer *buffer = sink->ready[sink->next_ready++];

  if (sink->next_ready == sink->n_ready)
    sink->next_ready = 0;
  return buffer;
}

static gboolean
set_location (GstElement *element, const gchar *location)
{
  GObjectClass *klass = G_OBJECT_GET_CLASS (element);
  GstElementFactory *factory = gst_element_get_factory (element);
  g_autofree gchar *absolute = g_canonicalize_filename (location, NULL);
  g_autofree gchar *uri = g_filename_to_uri (absolute, NULL, NULL);

  if (g_object_class_find_property (klass, "location") == NULL)
    return FALSE;
  /* giosink calls a URI a location. */
  if (g_str_equal (GST_OBJECT_NAME (factory), "giosink"))
    g_object_set (element, "location", uri, NULL);
  else
    g_object_set (element, "location", absolute, NULL);
  return TRUE;
}

static GstElement *
make_element (const gchar *description)
{
  g_autoptr (GError) error = NULL;
  GstElement *element = gst_parse_launch_full (
      description, NULL, GST_PARSE_FLAG_FATAL_ERRORS, &error);

  if (element == NULL)
    g_printerr ("wbbench: %s\n", error->message);
  return element;
}

static gboolean
link_pad (Sink *sink)
{
  GstPad *peer = gst_element_get_static_pad (sink->element, "sink");
  GstPadLinkReturn linked;

  if (peer == NULL)
    return FALSE;
  sink->pad = gst_pad_new ("src", GST_PAD_SRC);
  /* Our pad has no parent, so there is no hierarchy to check. */
  linked = gst_pad_link_full (sink->pad, peer, GST_PAD_LINK_CHECK_NOTHING);
  gst_object_unref (peer);
  return linked == GST_PAD_LINK_OK && gst_pad_set_active (sink->pad, TRUE);
}

static gboolean
sink_build (Sink *sink, const Options *options, guint index)
{
  g_autofree gchar *number = g_strdup_printf ("%u", index);
  g_auto (GStrv) parts = g_strsplit (options->location, "%d", 2);
  GstBus *bus;

  sink->options = options;
  sink->index = index;
  sink->location = g_strjoinv (number, parts);
  sink->fd = sink->cache_fd = -1;
  sink->degraded = g_array_new (FALSE, FALSE, sizeof (Degraded));
  g_mutex_init (&sink->lock);
  sink->pushes = bench_hist_new ();
  sink->seeks = bench_hist_new ();
  make_ready (sink);
  sink->scratch = new_filled_buffer (SCRATCH_SIZE);
  sink->element = make_element (options->sink);
  if (sink->element == NULL)
    return FALSE;
  sink->pipeline = gst_pipeline_new (NULL);
  gst_bin_add (GST_BIN (sink->pipeline), sink->element);
  if (!set_location (sink->element, sink->location))
    g_clear_pointer (&sink->location, g_free);
  bus = gst_element_get_bus (sink->pipeline);
  gst_bus_set_sync_handler (bus, on_message, sink, NULL);
  gst_object_unref (bus);
  return link_pad (sink);
}

static gboolean
sink_open (Sink *sink)
{
  if (gst_element_set_state (sink->pipeline, GST_STATE_PLAYING)
      == GST_STATE_CHANGE_FAILURE)
    return FALSE;
  if (sink->location != NULL)
    sink->fd = open (sink->location, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  sink->cache_fd = sink->fd;
  if (sink->options->look_at != NULL)
    sink->cache_fd = open (sink->options->look_at, O_RDONLY | O_CLOEXEC);
  return TRUE;
}

static void
pace (Sink *sink)
{
  gint64 due;
  struct timespec ts;

  if (sink->options->rate <= 0)
    return;
  due = sink->begin_ns
      + (gint64) (sink->gauge.bytes * (1e3 / sink->options->rate));
  if (due - bench_now () < SHORTEST_SLEEP_NS)
    return;
  ts.tv_sec = due / NS_PER_S;
  ts.tv_nsec = due % NS_PER_S;
  while (clock_nanosleep (CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
    continue;
}

static void
count_push (Sink *sink, BenchHist *hist, gint64 began, gsize size)
{
  gint64 took = bench_now () - began;

  bench_hist_add (hist, took);
  if (took > __atomic_load_n (&sink->gauge.worst_ns, __ATOMIC_RELAXED))
    __atomic_store_n (&sink->gauge.worst_ns, took, __ATOMIC_RELAXED);
  __atomic_store_n (
      &sink->gauge.bytes, sink->gauge.bytes + size, __ATOMIC_RELAXED);
}

static gboolean
push_list (Sink *sink)
{
  GstBufferList *list = g_steal_pointer (&sink->list);
  gsize size;
  gint64 began;
  gboolean ok;

  if (list == NULL)
    return TRUE;
  size = gst_buffer_list_calculate_size (list);
  pace (sink);
  began = bench_now ();
  ok = gst_pad_push_list (sink->pad, list) == GST_FLOW_OK;
  count_push (sink, sink->pushes, began, size);
  return ok;
}

static GstBuffer *
fresh_buffer (Sink *sink, gsize size)
{
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, size, NULL);

  /* As a muxer would: memory that was written to just now. */
  gst_buffer_memset (buffer, 0, ++sink->fill, size);
  return buffer;
}

static GstBuffer *
next_buffer (Sink *sink, gsize size, BenchWriteFlags flags)
{
  if (sink->options->stamp)
    return bench_stamped_buffer (sink->index, ++sink->stamp, size);
  if (sink->options->allocate && (flags & BENCH_WRITE_BODY))
    return fresh_buffer (sink, size);
  if (size == sink->options->buffer_size && (flags & BENCH_WRITE_BODY))
    return gst_buffer_ref (take_ready (sink));
  if (flags & BENCH_WRITE_BODY)
    return gst_buffer_copy_region (
        sink->ready[0], GST_BUFFER_COPY_MEMORY, 0, size);
  return gst_buffer_copy_region (
      sink->scratch, GST_BUFFER_COPY_MEMORY, 0, MIN (size, SCRATCH_SIZE));
}

static gboolean
push_buffer (Sink *sink, GstBuffer *buffer, BenchWriteFlags flags)
{
  gsize size = gst_buffer_get_size (buffer);
  gint64 began;
  gboolean ok;

  if (flags & BENCH_WRITE_BODY)
    pace (sink);
  began = bench_now ();
  ok = gst_pad_push (sink->pad, buffer) == GST_FLOW_OK;
  count_push (sink, sink->pushes, began, size);
  return ok;
}

static gboolean
on_write (gpointer data, gsize size, BenchWriteFlags flags)
{
  Sink *sink = data;
  GstBuffer *buffer = next_buffer (sink, size, flags);

  if (flags & BENCH_WRITE_SYNC_AFTER)
    GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_SYNC_AFTER);
  if (sink->options->list == 0 || !(flags & BENCH_WRITE_BODY))
    return push_list (sink) && push_buffer (sink, buffer, flags);
  if (sink->list == NULL)
    sink->list = gst_buffer_list_new_sized (sink->options->list);
  gst_buffer_list_add (sink->list, buffer);
  if (gst_buffer_list_length (sink->list) < (guint) sink->options->list)
    return TRUE;
  return push_list (sink);
}

static gboolean
push_segment (Sink *sink, guint64 offset)
{
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_BYTES);
  segment.start = segment.time = segment.position = offset;
  return gst_pad_push_event (sink->pad, gst_event_new_segment (&segment));
}

static gboolean
on_seek (gpointer data, guint64 offset)
{
  Sink *sink = data;
  gint64 began;
  gboolean ok;

  if (!push_list (sink))
    return FALSE;
  began = bench_now ();
  ok = push_segment (sink, offset);
  /* A segment that holds the source up counts like a push that does. */
  count_push (sink, sink->seeks, began, 0);
  return ok;
}

/* EOS has been posted; what is left to do is the sink's debt. */
static void
sink_settle (Sink *sink)
{
  bench_cache_look (sink->cache_fd, &sink->at_eos);
  /* Pipes and devices answer EINVAL. */
  if (sink->fd >= 0 && fsync (sink->fd) != 0 && errno != EINVAL
      && errno != EBADF)
    g_printerr ("wbbench: fsync: %s\n", g_strerror (errno));
  sink->durable_ns = bench_now ();
}

static gpointer
sink_thread (gpointer data)
{
  Sink *sink = data;
  const Options *options = sink->options;
  BenchLoad load = { options->bytes, options->buffer_size, options->patch_every,
    options->seed };
  BenchTarget target = { on_write, on_seek, sink };

  g_usleep (sink->index * options->stagger * G_USEC_PER_SEC);
  sink->begin_ns = bench_now ();
  gst_pad_push_event (sink->pad, gst_event_new_stream_start ("bench"));
  sink->pushed_all = push_segment (sink, 0)
      && bench_load_run (options->pattern, &load, &target, &sink->load)
      && push_list (sink);
  sink->eos_pushed_ns = bench_now ();
  gst_pad_push_event (sink->pad, gst_event_new_eos ());
  sink_settle (sink);
  return NULL;
}

static gboolean
sink_ok (const Sink *sink)
{
  return sink->pushed_all && sink->error == NULL && sink->eos_posted_ns > 0;
}

static void
sink_clear (Sink *sink)
{
  guint i;

  if (sink->pad != NULL)
    gst_pad_set_active (sink->pad, FALSE);
  if (sink->pipeline != NULL)
    gst_element_set_state (sink->pipeline, GST_STATE_NULL);
  g_clear_pointer (&sink->pipeline, gst_object_unref);
  g_clear_pointer (&sink->pad, gst_object_unref);
  for (i = 0; i < sink->n_ready; i++)
    gst_buffer_unref (sink->ready[i]);
  g_clear_pointer (&sink->scratch, gst_buffer_unref);
  g_clear_pointer (&sink->pushes, bench_hist_free);
  g_clear_pointer (&sink->seeks, bench_hist_free);
  if (sink->cache_fd >= 0 && sink->cache_fd != sink->fd)
    close (sink->cache_fd);
  if (sink->fd >= 0)
    close (sink->fd);
  g_clear_pointer (&sink->degraded, g_array_unref);
  g_free (sink->location);
  g_free (sink->error);
  g_free (sink->sync_result);
  g_mutex_clear (&sink->lock);
}

/* --- the run --- */

typedef struct
{
  gdouble process_user;
  gdouble process_sys;
  gdouble machine;
  gint64 rss;
  gint64 io_written;
  gint64 io_cancelled;
  gint64 io_calls;
  BenchDevice device;
  gboolean has_device;
} Counters;

typedef struct
{
  const Options *options;
  Sink *sinks;
  guint n_sinks;
  gchar *device;
  BenchWatchResult watch;
  BenchCache left;
  gboolean has_left;
  Counters before;
  Counters after;
  gdouble open_s;
  gdouble stop_s;
  /* Of the element's own, after the stop. */
  guint threads_left;
} Run;

/* In a child, so that this process's peak of memory is its own. */
static void
warm_memory (guint64 bytes)
{
  pid_t child;

  if (bytes == 0)
    return;
  child = fork ();
  if (child == 0) {
    guint8 *memory = mmap (NULL, bytes, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    guint64 i;

    for (i = 0; memory != MAP_FAILED && i < bytes; i += 4096)
      memory[i] = 1;
    _exit (0);
  }
  if (child > 0)
    waitpid (child, NULL, 0);
}

static gdouble
seconds (struct timeval tv)
{
  return tv.tv_sec + tv.tv_usec / 1e6;
}

static void
count (const Run *run, Counters *counters)
{
  struct rusage usage;

  getrusage (RUSAGE_SELF, &usage);
  counters->process_user = seconds (usage.ru_utime);
  counters->process_sys = seconds (usage.ru_stime);
  counters->machine = bench_machine_cpu ();
  counters->rss = bench_proc_value ("/proc/self/status", "VmRSS");
  counters->io_written = bench_proc_value ("/proc/self/io", "write_bytes");
  counters->io_cancelled =
      bench_proc_value ("/proc/self/io", "cancelled_write_bytes");
  counters->io_calls = bench_proc_value ("/proc/self/io", "syscw");
  counters->has_device =
      run->device != NULL && bench_device_look (run->device, &counters->device);
}

/* The device that holds the files, if sysfs knows it: btrfs and overlayfs
 * give their files numbers of their own. */
static gchar *
find_device (const Options *options, int fd)
{
  struct stat st;

  if (options->device != NULL)
    return g_strdup (options->device);
  if (fd < 0 || fstat (fd, &st) != 0 || !S_ISREG (st.st_mode))
    return NULL;
  return g_strdup_printf ("%u:%u", major (st.st_dev), minor (st.st_dev));
}

static gboolean
run_open (Run *run)
{
  gint64 began = bench_now ();
  guint i;

  for (i = 0; i < run->n_sinks; i++)
    if (!sink_open (&run->sinks[i]))
      return FALSE;
  run->open_s = (bench_now () - began) / 1e9;
  run->device = find_device (run->options, run->sinks[0].fd);
  return TRUE;
}

/* A thread that has been joined, or one that has not run yet and still goes by
 * the name of the thread that made it, is in the list for another moment. One
 * that was left behind stays. */
static guint
count_threads_left (void)
{
  guint n, i;

  for (i = 0; (n = bench_count_threads ("wbfile-")) > 0 && i < 100; i++)
    g_usleep (10 * 1000);
  return n;
}

static void
run_close (Run *run)
{
  gint64 began = bench_now ();
  guint i;

  for (i = 0; i < run->n_sinks; i++)
    gst_element_set_state (run->sinks[i].pipeline, GST_STATE_NULL);
  run->stop_s = (bench_now () - began) / 1e9;
  run->threads_left = count_threads_left ();
  for (i = 0; i < run->n_sinks; i++) {
    BenchCache cache;

    if (!bench_cache_look (run->sinks[i].cache_fd, &cache))
      continue;
    run->has_left = TRUE;
    run->left.cached += cache.cached;
    run->left.dirty += cache.dirty;
    run->left.writeback += cache.writeback;
  }
}

static BenchWatch *
make_watch (Run *run)
{
  const Options *options = run->options;
  BenchWatch *watch = bench_watch_new (options->sample_ms);
  guint i;

  for (i = 0; i < run->n_sinks; i++) {
    Sink *sink = &run->sinks[i];

    bench_watch_add (watch, sink->cache_fd, &sink->gauge, sink->element);
  }
  if (options->timeline != NULL)
    bench_watch_record (watch, 4 * options->sample_ms);
  bench_watch_notify (watch, options->notify_at);
  return watch;
}

static gint64
first_begin (const Run *run)
{
  gint64 ns = run->sinks[0].begin_ns;
  guint i;

  for (i = 1; i < run->n_sinks; i++)
    ns = MIN (ns, run->sinks[i].begin_ns);
  return ns;
}

static gint64
last_of (const Run *run, gsize field)
{
  gint64 ns = 0;
  guint i;

  for (i = 0; i < run->n_sinks; i++)
    ns = MAX (ns, G_STRUCT_MEMBER (gint64, &run->sinks[i], field));
  return ns;
}
#define LAST(run, field) last_of ((run), G_STRUCT_OFFSET (Sink, field))

static void
save_timeline (const Run *run, BenchWatch *watch)
{
  gint64 begin = first_begin (run);
  g_autofree gchar *comment = NULL;

  if (run->options->timeline == NULL)
    return;
  comment = g_strdup_printf ("# sink %s\n# eos-pushed %.4f\n"
                             "# eos-posted %.4f\n# durable %.4f\n",
      run->options->sink, (LAST (run, eos_pushed_ns) - begin) / 1e9,
      (LAST (run, eos_posted_ns) - begin) / 1e9,
      (LAST (run, durable_ns) - begin) / 1e9);
  if (!bench_watch_save (watch, run->options->timeline, begin, comment))
    g_printerr ("wbbench: cannot write %s\n", run->options->timeline);
}

static void
run_load (Run *run)
{
  g_autoptr (BenchWatch) watch = make_watch (run);
  guint i;

  count (run, &run->before);
  bench_watch_start (watch);
  for (i = 0; i < run->n_sinks; i++)
    run->sinks[i].thread = g_thread_new ("push", sink_thread, &run->sinks[i]);
  for (i = 0; i < run->n_sinks; i++)
    g_thread_join (run->sinks[i].thread);
  bench_watch_stop (watch, &run->watch);
  run_close (run);
  count (run, &run->after);
  save_timeline (run, watch);
}

/* --- the report --- */

typedef struct
{
  GString *text;
  gboolean first;
} Json;

/* key: NULL in a list */
static void
json_key (Json *json, const gchar *key)
{
  if (!json->first)
    g_string_append (json->text, ", ");
  if (key != NULL)
    g_string_append_printf (json->text, "\"%s\": ", key);
  json->first = FALSE;
}

static void
json_string (Json *json, const gchar *key, const gchar *value)
{
  const gchar *c;

  json_key (json, key);
  if (value == NULL) {
    g_string_append (json->text, "null");
    return;
  }
  g_string_append_c (json->text, '"');
  for (c = value; *c != '\0'; c++) {
    if (*c == '"' || *c == '\\')
      g_string_append_c (json->text, '\\');
    if ((guchar) *c < 0x20)
      g_string_append_printf (json->text, "\\u%04x", *c);
    else
      g_string_append_c (json->text, *c);
  }
  g_string_append_c (json->text, '"');
}

static void
json_int (Json *json, const gchar *key, gint64 value)
{
  json_key (json, key);
  g_string_append_printf (json->text, "%" G_GINT64_FORMAT, value);
}

static void
json_bool (Json *json, const gchar *key, gboolean value)
{
  json_key (json, key);
  g_string_append (json->text, value ? "true" : "false");
}

static void
json_real (Json *json, const gchar *key, gdouble value)
{
  gchar number[G_ASCII_DTOSTR_BUF_SIZE];

  json_key (json, key);
  g_ascii_formatd (number, sizeof number, "%.6f", value);
  g_string_append (json->text, number);
}

static void
json_null (Json *json, const gchar *key)
{
  json_string (json, key, NULL);
}

static void
json_open (Json *json, const gchar *key)
{
  json_key (json, key);
  g_string_append_c (json->text, '{');
  json->first = TRUE;
}

static void
json_close (Json *json)
{
  g_string_append_c (json->text, '}');
  json->first = FALSE;
}

static void
json_open_list (Json *json, const gchar *key)
{
  json_key (json, key);
  g_string_append_c (json->text, '[');
  json->first = TRUE;
}

static void
json_close_list (Json *json)
{
  g_string_append_c (json->text, ']');
  json->first = FALSE;
}

static void
report_hist (Json *json, const gchar *key, const BenchHist *hist)
{
  json_open (json, key);
  json_int (json, "count", bench_hist_count (hist));
  json_real (json, "p50", bench_hist_quantile (hist, 0.5) / 1e3);
  json_real (json, "p99", bench_hist_quantile (hist, 0.99) / 1e3);
  json_real (json, "p999", bench_hist_quantile (hist, 0.999) / 1e3);
  json_real (json, "max", bench_hist_max (hist) / 1e3);
  json_close (json);
}

static void
report_latency (Json *json, const Run *run)
{
  g_autoptr (BenchHist) pushes = bench_hist_new ();
  g_autoptr (BenchHist) seeks = bench_hist_new ();
  guint i;

  for (i = 0; i < run->n_sinks; i++) {
    bench_hist_merge (pushes, run->sinks[i].pushes);
    bench_hist_merge (seeks, run->sinks[i].seeks);
  }
  report_hist (json, "push_us", pushes);
  report_hist (json, "seek_us", seeks);
}

static void
report_times (Json *json, const Run *run, guint64 written)
{
  gint64 begin = first_begin (run), eos = 0, settle = 0;
  gdouble durable_s = (LAST (run, durable_ns) - begin) / 1e9;
  gdouble push_s = (LAST (run, eos_pushed_ns) - begin) / 1e9;
  guint i;

  for (i = 0; i < run->n_sinks; i++) {
    const Sink *sink = &run->sinks[i];

    eos = MAX (eos, sink->eos_posted_ns - sink->eos_pushed_ns);
    settle = MAX (settle, sink->durable_ns - sink->eos_posted_ns);
  }
  json_open (json, "seconds");
  json_real (json, "open", run->open_s);
  json_real (json, "push", push_s);
  json_real (json, "eos", eos / 1e9);
  json_real (json, "fsync", settle / 1e9);
  json_real (json, "durable", durable_s);
  json_real (json, "stop", run->stop_s);
  json_close (json);
  json_real (json, "mb_s_pushed", written / 1e6 / push_s);
  json_real (json, "mb_s_durable", written / 1e6 / durable_s);
}

static void
report_cpu (Json *json, const Run *run, guint64 written)
{
  gdouble user = run->after.process_user - run->before.process_user;
  gdouble sys = run->after.process_sys - run->before.process_sys;
  gdouble own = MAX (user + sys - run->watch.cpu_s, 0);

  json_open (json, "cpu");
  json_real (json, "process_s", own);
  json_real (json, "process_s_per_gb", own / (written / 1e9));
  json_real (json, "user_s", user);
  json_real (json, "sys_s", sys);
  json_real (json, "watch_s", run->watch.cpu_s);
  json_real (json, "machine_s",
      run->after.machine - run->before.machine - run->watch.cpu_s);
  json_close (json);
}

static void
report_cache (Json *json, const Run *run)
{
  const BenchWatchResult *watch = &run->watch;
  guint64 dirty_at_eos = 0;
  guint i;

  for (i = 0; i < run->n_sinks; i++)
    dirty_at_eos += run->sinks[i].at_eos.dirty + run->sinks[i].at_eos.writeback;
  json_open (json, "cache");
  if (watch->available) {
    json_int (json, "peak_dirty_bytes", watch->peak_dirty);
    json_int (json, "peak_dirty_one_bytes", watch->peak_dirty_one);
    json_int (json, "peak_cached_bytes", watch->peak_cached);
  } else {
    json_null (json, "peak_dirty_bytes");
    json_null (json, "peak_dirty_one_bytes");
    json_null (json, "peak_cached_bytes");
  }
  if (run->has_left) {
    json_int (json, "dirty_at_eos_bytes", dirty_at_eos);
    json_int (json, "left_bytes", run->left.cached);
  } else {
    json_null (json, "dirty_at_eos_bytes");
    json_null (json, "left_bytes");
  }
  json_int (json, "samples", watch->samples);
  json_real (json, "worst_sample_s", watch->worst_look_s);
  json_close (json);
}

static void
report_device (Json *json, const Run *run, guint64 in_files)
{
  const Counters *before = &run->before, *after = &run->after;
  guint64 written = after->device.written_bytes - before->device.written_bytes;

  if (!before->has_device || !after->has_device) {
    json_null (json, "device");
    return;
  }
  json_open (json, "device");
  json_string (json, "number", run->device);
  json_int (
      json, "read_bytes", after->device.read_bytes - before->device.read_bytes);
  json_int (json, "written_bytes", written);
  json_real (json, "amplification", (gdouble) written / MAX (in_files, 1));
  json_close (json);
}

static void
report_process (Json *json, const Run *run)
{
  json_open (json, "process");
  json_int (json, "rss_start_bytes", run->before.rss);
  json_int (
      json, "rss_peak_bytes", bench_proc_value ("/proc/self/status", "VmHWM"));
  json_int (
      json, "write_bytes", run->after.io_written - run->before.io_written);
  json_int (json, "cancelled_write_bytes",
      run->after.io_cancelled - run->before.io_cancelled);
  json_int (json, "write_calls", run->after.io_calls - run->before.io_calls);
  json_int (json, "threads_left", run->threads_left);
  json_close (json);
}

static gboolean
report_stat (GQuark field, const GValue *value, gpointer data)
{
  Json *json = data;
  const gchar *name = g_quark_to_string (field);

  if (G_VALUE_HOLDS_UINT64 (value))
    json_int (json, name, g_value_get_uint64 (value));
  else if (G_VALUE_HOLDS_BOOLEAN (value))
    json_bool (json, name, g_value_get_boolean (value));
  else if (G_VALUE_HOLDS_STRING (value))
    json_string (json, name, g_value_get_string (value));
  return TRUE;
}

static void
report_sink_stats (Json *json, const gchar *key, const Sink *sink)
{
  GstStructure *stats = bench_element_stats (sink->element);

  if (stats == NULL) {
    json_null (json, key);
    return;
  }
  json_open (json, key);
  gst_structure_foreach (stats, report_stat, json);
  json_close (json);
  gst_structure_free (stats);
}

/* The element's own figures: of the first sink, and of each. */
static void
report_stats (Json *json, const Run *run)
{
  guint i;

  report_sink_stats (json, "stats", &run->sinks[0]);
  json_open_list (json, "all_stats");
  for (i = 0; i < run->n_sinks; i++)
    report_sink_stats (json, NULL, &run->sinks[i]);
  json_close_list (json);
}

static void
report_degraded (Json *json, const Run *run)
{
  gint64 begin = first_begin (run);
  guint i, j;

  json_open_list (json, "degraded_events");
  for (i = 0; i < run->n_sinks; i++)
    for (j = 0; j < run->sinks[i].degraded->len; j++) {
      const Degraded *event =
          &g_array_index (run->sinks[i].degraded, Degraded, j);

      json_open (json, NULL);
      json_int (json, "sink", i);
      json_real (json, "s", (event->at_ns - begin) / 1e9);
      json_bool (json, "degraded", event->degraded);
      json_int (json, "dirty_bytes", event->dirty);
      json_close (json);
    }
  json_close_list (json);
}

static guint
count_degraded (const Sink *sink)
{
  guint i, n = 0;

  for (i = 0; i < sink->degraded->len; i++)
    n += g_array_index (sink->degraded, Degraded, i).degraded ? 1 : 0;
  return n;
}

static void
report_messages (Json *json, const Run *run)
{
  const Sink *first = &run->sinks[0];
  guint i, errors = 0, warnings = 0, degraded = 0, durable = 0;

  for (i = 0; i < run->n_sinks; i++) {
    errors += run->sinks[i].errors;
    warnings += run->sinks[i].warnings;
    degraded += count_degraded (&run->sinks[i]);
    durable += g_strcmp0 (run->sinks[i].sync_result, "durable") == 0;
  }
  json_open (json, "messages");
  json_int (json, "errors", errors);
  json_int (json, "warnings", warnings);
  json_int (json, "degraded", degraded);
  json_int (json, "durable", durable);
  json_string (json, "sync_result", first->sync_result);
  json_real (json, "sync_s", first->sync_elapsed / 1e9);
  report_degraded (json, run);
  json_close (json);
}

static gboolean
size_is_right (const Sink *sink)
{
  struct stat st;

  return sink->fd < 0 || fstat (sink->fd, &st) != 0 || !S_ISREG (st.st_mode)
      || (guint64) st.st_size == sink->load.final_size;
}

static const gchar *
what_went_wrong (const Run *run)
{
  guint i;

  for (i = 0; i < run->n_sinks; i++) {
    const Sink *sink = &run->sinks[i];

    if (sink->error != NULL)
      return sink->error;
    if (!sink_ok (sink))
      return "the load ended early, or no EOS was posted";
    if (!size_is_right (sink))
      return "the file has the wrong size";
  }
  return NULL;
}

static gboolean
report (const Run *run)
{
  const Options *options = run->options;
  const gchar *error = what_went_wrong (run);
  Json json = { g_string_new ("{"), TRUE };
  guint64 written = 0, in_files = 0;
  guint i;

  for (i = 0; i < run->n_sinks; i++) {
    written += run->sinks[i].load.bytes_written;
    in_files += run->sinks[i].load.final_size;
  }
  json_bool (&json, "ok", error == NULL);
  json_string (&json, "error", error);
  json_string (&json, "sink", options->sink);
  json_string (&json, "pattern", options->pattern);
  json_int (&json, "sinks", run->n_sinks);
  json_int (&json, "buffer_size", options->buffer_size);
  json_int (&json, "list", options->list);
  json_real (&json, "rate_mb_s", options->rate);
  json_int (&json, "bytes_written", written);
  json_int (&json, "file_bytes", in_files);
  report_times (&json, run, written);
  report_latency (&json, run);
  report_cpu (&json, run, written);
  report_cache (&json, run);
  report_device (&json, run, in_files);
  report_process (&json, run);
  json_int (&json, "extents", bench_extents (run->sinks[0].fd));
  report_messages (&json, run);
  report_stats (&json, run);
  g_print ("%s}\n", json.text->str);
  g_string_free (json.text, TRUE);
  return error == NULL;
}

static void
run_clear (Run *run)
{
  guint i;

  for (i = 0; i < run->n_sinks; i++) {
    struct stat st;
    Sink *sink = &run->sinks[i];

    if (!run->options->keep && sink->fd >= 0 && fstat (sink->fd, &st) == 0
        && S_ISREG (st.st_mode))
      unlink (sink->location);
    sink_clear (sink);
  }
  g_free (run->sinks);
  g_free (run->device);
}

static gboolean
run_build (Run *run)
{
  guint i;

  for (i = 0; i < run->n_sinks; i++)
    if (!sink_build (&run->sinks[i], run->options, i))
      return FALSE;
  return TRUE;
}

int
main (int argc, char **argv)
{
  Options options = { .sinks = 1, .sample_ms = 5, .seed = 1 };
  Run run = { .options = &options };
  int status = EXIT_FAILURE;

  options.pattern = g_strdup ("none");
  options.location = g_strdup ("wbbench.out");
  if (!parse_options (&options, &argc, &argv)) {
    options_clear (&options);
    return 2;
  }
  warm_memory (options.warm);
  gst_init (&argc, &argv);
  bench_origin_register ();
  run.n_sinks = options.sinks;
  run.sinks = g_new0 (Sink, run.n_sinks);
  if (!run_build (&run))
    g_printerr ("wbbench: cannot build '%s'\n", options.sink);
  else if (!run_open (&run))
    g_printerr ("wbbench: cannot open '%s': %s\n", options.location,
        run.sinks[0].error ? run.sinks[0].error : "no reason given");
  else {
    run_load (&run);
    if (report (&run))
      status = EXIT_SUCCESS;
  }
  run_clear (&run);
  options_clear (&options);
  return status;
}
