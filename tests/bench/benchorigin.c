/* wbfilesink benchmark: the drain-at-every-seek rule as a sink
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Problem: the idea behind wbfilesink first ran with a simpler rule, and a
 * table that says why the element has another one needs both in one run.
 *
 * Strategy: the rule, literally, in a GstBaseSink that writes on the streaming
 * thread. A chunk is 32 MiB counted from where the last one ended. When it is
 * full its write-out is started, and the one before is waited for and dropped
 * from cache. A seek that moves waits for and drops what is pending, and the
 * chunk begins anew at the new position. EOS does the same and then fsyncs.
 *
 * It lives in the benchmark only, and makes no attempt to be a good sink: no
 * deadline, no unlock, no latch of errors.
 */
#include "benchorigin.h"

#include <errno.h>
#include <fcntl.h>
#include <gst/base/gstbasesink.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define CHUNK (32 * (guint64) 1024 * 1024)

#define BENCH_TYPE_ORIGIN (bench_origin_get_type ())
G_DECLARE_FINAL_TYPE (BenchOrigin, bench_origin, BENCH, ORIGIN, GstBaseSink)

struct _BenchOrigin
{
  GstBaseSink parent;

  gchar *location;
  int fd;
  guint64 position;
  guint64 chunk_start;
  /* The chunk under write-out; none when its size is 0. */
  guint64 pending_start;
  guint64 pending_size;
};

G_DEFINE_TYPE (BenchOrigin, bench_origin, GST_TYPE_BASE_SINK)

enum
{
  PROP_0,
  PROP_LOCATION,
};

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE (
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

static void
drain (BenchOrigin *self)
{
  if (self->pending_size == 0)
    return;
  sync_file_range (self->fd, self->pending_start, self->pending_size,
      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE
          | SYNC_FILE_RANGE_WAIT_AFTER);
  posix_fadvise (
      self->fd, self->pending_start, self->pending_size, POSIX_FADV_DONTNEED);
  self->pending_size = 0;
}

static void
wrote (BenchOrigin *self, gsize size)
{
  guint64 start = self->chunk_start;

  self->position += size;
  if (self->position < start + CHUNK)
    return;
  sync_file_range (
      self->fd, start, self->position - start, SYNC_FILE_RANGE_WRITE);
  drain (self);
  self->pending_start = start;
  self->pending_size = self->position - start;
  self->chunk_start = self->position;
}

static void
seek (BenchOrigin *self, guint64 position)
{
  if (position == self->position)
    return;
  drain (self);
  self->position = self->chunk_start = position;
}

static gboolean
write_all (BenchOrigin *self, const guint8 *data, gsize size)
{
  while (size > 0) {
    gssize n = pwrite (self->fd, data, size, self->position);

    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return FALSE;
    wrote (self, n);
    data += n;
    size -= n;
  }
  return TRUE;
}

static GstFlowReturn
bench_origin_render (GstBaseSink *sink, GstBuffer *buffer)
{
  BenchOrigin *self = BENCH_ORIGIN (sink);
  GstMapInfo map;
  gboolean ok;

  if (!gst_buffer_map (buffer, &map, GST_MAP_READ))
    return GST_FLOW_ERROR;
  ok = write_all (self, map.data, map.size);
  gst_buffer_unmap (buffer, &map);
  if (ok && GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_SYNC_AFTER))
    ok = fsync (self->fd) == 0;
  if (!ok) {
    GST_ELEMENT_ERROR (
        self, RESOURCE, WRITE, (NULL), ("%s", g_strerror (errno)));
    return GST_FLOW_ERROR;
  }
  return GST_FLOW_OK;
}

static gboolean
bench_origin_event (GstBaseSink *sink, GstEvent *event)
{
  BenchOrigin *self = BENCH_ORIGIN (sink);
  const GstSegment *segment;

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_SEGMENT:
      gst_event_parse_segment (event, &segment);
      if (segment->format == GST_FORMAT_BYTES)
        seek (self, segment->start);
      break;
    case GST_EVENT_EOS:
      drain (self);
      if (fsync (self->fd) < 0)
        GST_ELEMENT_WARNING (
            self, RESOURCE, SYNC, (NULL), ("%s", g_strerror (errno)));
      break;
    default:
      break;
  }
  return GST_BASE_SINK_CLASS (bench_origin_parent_class)->event (sink, event);
}

static gboolean
bench_origin_start (GstBaseSink *sink)
{
  BenchOrigin *self = BENCH_ORIGIN (sink);

  self->fd =
      open (self->location, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (self->fd < 0) {
    GST_ELEMENT_ERROR (
        self, RESOURCE, OPEN_WRITE, (NULL), ("%s", g_strerror (errno)));
    return FALSE;
  }
  self->position = self->chunk_start = self->pending_size = 0;
  return TRUE;
}

static gboolean
bench_origin_stop (GstBaseSink *sink)
{
  BenchOrigin *self = BENCH_ORIGIN (sink);

  drain (self);
  close (self->fd);
  return TRUE;
}

static void
bench_origin_set_property (
    GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  BenchOrigin *self = BENCH_ORIGIN (object);

  g_free (self->location);
  self->location = g_value_dup_string (value);
}

static void
bench_origin_finalize (GObject *object)
{
  g_free (BENCH_ORIGIN (object)->location);
  G_OBJECT_CLASS (bench_origin_parent_class)->finalize (object);
}

static void
bench_origin_class_init (BenchOriginClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseSinkClass *sink_class = GST_BASE_SINK_CLASS (klass);

  object_class->set_property = bench_origin_set_property;
  object_class->finalize = bench_origin_finalize;
  g_object_class_install_property (object_class, PROP_LOCATION,
      g_param_spec_string ("location", "Location", "The file to write", NULL,
          G_PARAM_WRITABLE | G_PARAM_STATIC_STRINGS));
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_set_static_metadata (element_class, "Yardstick sink",
      "Sink/File", "Chunked write-out that drains at every seek",
      "the wbfilesink authors");
  sink_class->start = bench_origin_start;
  sink_class->stop = bench_origin_stop;
  sink_class->render = bench_origin_render;
  sink_class->event = bench_origin_event;
}

static void
bench_origin_init (BenchOrigin *self)
{
  gst_base_sink_set_sync (GST_BASE_SINK (self), FALSE);
}

gboolean
bench_origin_register (void)
{
  return gst_element_register (
      NULL, BENCH_ORIGIN_NAME, GST_RANK_NONE, BENCH_TYPE_ORIGIN);
}
