/* wbfilesink benchmark: one sink, and the thread that pushes into it
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Layout: what it says on its bus; building it; pushing into it; ending it.
 */
#include "benchsink.h"
#include "benchstamp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
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

/* Said at once as well: whoever drives the run may want to act on it. */
static void
note_degraded (BenchSink *sink, const GstStructure *s)
{
  BenchDegraded event = { .at_ns = bench_now () };

  gst_structure_get_boolean (s, "degraded", &event.degraded);
  gst_structure_get_uint64 (s, "dirty-bytes", &event.dirty);
  g_array_append_val (sink->degraded, event);
  puts (event.degraded ? "degraded" : "recovered");
  fflush (stdout);
}

static void
note_element_message (BenchSink *sink, GstMessage *message)
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
note_error (BenchSink *sink, GstMessage *message)
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
  BenchSink *sink = data;

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
make_ready (BenchSink *sink)
{
  guint i;

  sink->n_ready =
      CLAMP (READY_BYTES / sink->options->buffer_size, 1, BENCH_READY_MAX);
  for (i = 0; i < sink->n_ready; i++)
    sink->ready[i] = new_filled_buffer (sink->options->buffer_size);
}

static GstBuffer *
take_ready (BenchSink *sink)
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

/* A file that is copied comes as fast as it goes, and says so as filesrc does. */
static gboolean
answer_query (GstPad *pad, GstObject *parent, GstQuery *query)
{
  if (GST_QUERY_TYPE (query) != GST_QUERY_LATENCY)
    return gst_pad_query_default (pad, parent, query);
  gst_query_set_latency (query, FALSE, 0, GST_CLOCK_TIME_NONE);
  return TRUE;
}

static gboolean
link_pad (BenchSink *sink)
{
  GstPad *peer = gst_element_get_static_pad (sink->element, "sink");
  GstPadLinkReturn linked;

  if (peer == NULL)
    return FALSE;
  sink->pad = gst_pad_new ("src", GST_PAD_SRC);
  if (sink->options->input != NULL)
    gst_pad_set_query_function (sink->pad, answer_query);
  /* Our pad has no parent, so there is no hierarchy to check. */
  linked = gst_pad_link_full (sink->pad, peer, GST_PAD_LINK_CHECK_NOTHING);
  gst_object_unref (peer);
  return linked == GST_PAD_LINK_OK && gst_pad_set_active (sink->pad, TRUE);
}

gboolean
bench_sink_build (BenchSink *sink, const BenchOptions *options, guint index)
{
  g_autofree gchar *number = g_strdup_printf ("%u", index);
  g_auto (GStrv) parts = g_strsplit (options->location, "%d", 2);
  GstBus *bus;

  sink->options = options;
  sink->index = index;
  sink->location = g_strjoinv (number, parts);
  sink->fd = sink->cache_fd = sink->input_fd = -1;
  sink->degraded = g_array_new (FALSE, FALSE, sizeof (BenchDegraded));
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
open_input (BenchSink *sink)
{
  const gchar *input = sink->options->input;

  if (input == NULL)
    return TRUE;
  sink->input_fd = open (input, O_RDONLY | O_CLOEXEC);
  if (sink->input_fd < 0)
    g_printerr ("wbbench: %s: %s\n", input, g_strerror (errno));
  return sink->input_fd >= 0;
}

gboolean
bench_sink_open (BenchSink *sink)
{
  if (gst_element_set_state (sink->pipeline, GST_STATE_PLAYING)
      == GST_STATE_CHANGE_FAILURE)
    return FALSE;
  if (sink->location != NULL)
    sink->fd = open (sink->location, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  sink->cache_fd = sink->fd;
  if (sink->options->look_at != NULL)
    sink->cache_fd = open (sink->options->look_at, O_RDONLY | O_CLOEXEC);
  return open_input (sink);
}

/* A camera does not wait. What it makes while a push is held up goes into the
 * queue in front of the sink, and when that is full, away: the stream then goes
 * on later by as much, and is @late no longer than the queue is deep. */
static void
lose (BenchSink *sink, gint64 late)
{
  gint64 queue = sink->options->live * NS_PER_S;

  sink->latest_ns = MAX (sink->latest_ns, late);
  if (queue == 0 || late <= queue)
    return;
  sink->lost_ns += late - queue;
  sink->losses++;
}

static void
pace (BenchSink *sink)
{
  gint64 due, early;
  struct timespec ts;

  if (sink->options->rate <= 0)
    return;
  due = sink->begin_ns + sink->lost_ns
      + (gint64) (sink->gauge.bytes * (1e3 / sink->options->rate));
  early = due - bench_now ();
  lose (sink, -early);
  if (early < SHORTEST_SLEEP_NS)
    return;
  ts.tv_sec = due / NS_PER_S;
  ts.tv_nsec = due % NS_PER_S;
  while (clock_nanosleep (CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
    continue;
}

static void
count_push (BenchSink *sink, BenchHist *hist, gint64 began, gsize size)
{
  gint64 took = bench_now () - began;

  bench_hist_add (hist, took);
  if (took > __atomic_load_n (&sink->gauge.worst_ns, __ATOMIC_RELAXED))
    __atomic_store_n (&sink->gauge.worst_ns, took, __ATOMIC_RELAXED);
  __atomic_store_n (
      &sink->gauge.bytes, sink->gauge.bytes + size, __ATOMIC_RELAXED);
}

static gboolean
push_list (BenchSink *sink)
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
fresh_buffer (BenchSink *sink, gsize size)
{
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, size, NULL);

  /* As a muxer would: memory that was written to just now. */
  gst_buffer_memset (buffer, 0, ++sink->fill, size);
  return buffer;
}

/* NULL: the input has no more. */
static GstBuffer *
input_buffer (BenchSink *sink, gsize size)
{
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, size, NULL);
  GstMapInfo map;
  gsize done = 0;
  ssize_t got = 1;

  gst_buffer_map (buffer, &map, GST_MAP_WRITE);
  while (done < size && got > 0) {
    got = read (sink->input_fd, map.data + done, size - done);
    done += MAX (got, 0);
  }
  gst_buffer_unmap (buffer, &map);
  if (done < size)
    gst_clear_buffer (&buffer);
  return buffer;
}

/* NULL ends the load. */
static GstBuffer *
next_buffer (BenchSink *sink, gsize size, BenchWriteFlags flags)
{
  if (sink->input_fd >= 0 && (flags & BENCH_WRITE_BODY))
    return input_buffer (sink, size);
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
push_buffer (BenchSink *sink, GstBuffer *buffer, BenchWriteFlags flags)
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
  BenchSink *sink = data;
  GstBuffer *buffer = next_buffer (sink, size, flags);

  if (buffer == NULL)
    return FALSE;
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
push_segment (BenchSink *sink, guint64 offset)
{
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_BYTES);
  segment.start = segment.time = segment.position = offset;
  return gst_pad_push_event (sink->pad, gst_event_new_segment (&segment));
}

static gboolean
on_seek (gpointer data, guint64 offset)
{
  BenchSink *sink = data;
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
sink_settle (BenchSink *sink)
{
  bench_cache_look (sink->cache_fd, &sink->at_eos);
  /* Pipes and devices answer EINVAL. */
  if (sink->fd >= 0 && fsync (sink->fd) != 0 && errno != EINVAL
      && errno != EBADF)
    g_printerr ("wbbench: fsync: %s\n", g_strerror (errno));
  sink->durable_ns = bench_now ();
}

gpointer
bench_sink_thread (gpointer data)
{
  BenchSink *sink = data;
  const BenchOptions *options = sink->options;
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

gboolean
bench_sink_ok (const BenchSink *sink)
{
  return sink->pushed_all && sink->error == NULL && sink->eos_posted_ns > 0;
}

void
bench_sink_clear (BenchSink *sink)
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
  if (sink->input_fd >= 0)
    close (sink->input_fd);
  g_clear_pointer (&sink->degraded, g_array_unref);
  g_free (sink->location);
  g_free (sink->error);
  g_free (sink->sync_result);
  g_mutex_clear (&sink->lock);
}
