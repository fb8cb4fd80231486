/* wbfilesink: buffers into the file
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "element/gstwbfilesink-private.h"

#include <string.h>

/* Buffers of a list after which the file's threads may have the lock: copying a
 * hundred takes 22 us, and they would be asleep by then. Lists of 100 x 1316
 * bytes to tmpfs: 2110 MB/s without, 3127 with this and a lock that spins. */
#define LIST_PART 8

void
wb_feed_init (WbFeed *feed)
{
  feed->system_memory = gst_allocator_find (GST_ALLOCATOR_SYSMEM);
}

void
wb_feed_clear (WbFeed *feed)
{
  gst_clear_object (&feed->system_memory);
}

/* The name is compared only where the allocator is not the usual one. */
static gboolean
is_system_memory (GstWbFileSink *self, GstBuffer *buffer, gsize *size)
{
  guint n = gst_buffer_n_memory (buffer);

  for (guint i = 0; i < n; i++) {
    GstMemory *memory = gst_buffer_peek_memory (buffer, i);

    if (memory->allocator != self->feed.system_memory
        && !gst_memory_is_type (memory, GST_ALLOCATOR_SYSMEM))
      return FALSE;
    *size += memory->size;
  }
  return TRUE;
}

/* Holding a buffer of a pool in a queue starves the pool, and a buffer that
 * lends the memory of one does the same. */
static gboolean
belongs_to_pool (GstBuffer *buffer)
{
  return buffer->pool != NULL
      || gst_buffer_get_parent_buffer_meta (buffer) != NULL;
}

/* Whether it can be handed over as it is. What is to become one write and can't be
 * held is copied whole, as what is not in system memory. */
static gboolean
is_ready (GstWbFileSink *self, GstBuffer *buffer, gsize *size)
{
  gsize own = 0;

  if (!is_system_memory (self, buffer, &own))
    return FALSE;
  *size += own;
  return own <= WB_COPY_MAX
      || !wb_file_wants_whole (wb_current_peek (&self->current))
      || !belongs_to_pool (buffer);
}

/* It is read here, on this thread and outside the file's lock, and becomes a buffer
 * of our own: of the system's memory, whatever the application's default allocator
 * is, because its address is used after it was unmapped. */
static GstBuffer *
to_system_memory (GstWbFileSink *self, GstBuffer *buffer)
{
  gsize size = gst_buffer_get_size (buffer);
  GstBuffer *copy =
      gst_buffer_new_allocate (self->feed.system_memory, size, NULL);
  GstMapInfo from, to;

  if (copy == NULL || !gst_buffer_map (buffer, &from, GST_MAP_READ)) {
    gst_clear_buffer (&copy);
    wb_errors_post_unreadable (self, buffer);
    return NULL;
  }
  gst_buffer_map (copy, &to, GST_MAP_WRITE);
  memcpy (to.data, from.data, MIN (from.size, to.size));
  gst_buffer_unmap (copy, &to);
  gst_buffer_unmap (buffer, &from);
  GST_BUFFER_FLAGS (copy) |=
      GST_BUFFER_FLAGS (buffer) & GST_BUFFER_FLAG_SYNC_AFTER;
  return copy;
}

/* Between begin and end: the file is locked. A large memory is not copied: the
 * buffer is held until it is written, but not mapped so long. System memory has
 * one address for its life, the buffer that we hold keeps others from writing
 * to it, and a memory can only be mapped 255 times at once, while a queue may
 * hold more buffers than that of one and the same memory. */
static gboolean
hand_over_memory (WbFile *file, GstBuffer *buffer, GstMemory *memory,
    gsize copy_max) WB_REQUIRES (wb_locked, wb_stream_thread)
{
  GstMapInfo map;

  if (!gst_memory_map (memory, &map, GST_MAP_READ))
    return FALSE;
  if (map.size <= copy_max)
    wb_file_copy (file, map.data, map.size);
  else
    wb_file_hold (file, map.data, map.size, gst_buffer_ref (buffer),
        (GDestroyNotify) gst_buffer_unref);
  gst_memory_unmap (memory, &map);
  return TRUE;
}

/* Up to how many bytes a memory of this buffer is copied. The base class has one
 * reference while it renders, and one more as the last sample. */
static gsize
copy_max (GstBuffer *buffer)
{
  if (belongs_to_pool (buffer))
    return G_MAXSIZE;
  return GST_MINI_OBJECT_REFCOUNT_VALUE (buffer) > 2 ? WB_COPY_SHARED_MAX
                                                     : WB_COPY_MAX;
}

static gboolean
hand_over (WbFile *file, GstBuffer *buffer)
    WB_REQUIRES (wb_locked, wb_stream_thread)
{
  gsize most = copy_max (buffer);
  guint n = gst_buffer_n_memory (buffer);
  gboolean readable = TRUE;

  for (guint i = 0; i < n && readable; i++)
    readable = hand_over_memory (
        file, buffer, gst_buffer_peek_memory (buffer, i), most);
  wb_file_end_buffer (file);
  return readable;
}

/* Waits until `bytes` fit the queue. On GST_FLOW_OK the file is locked. */
static GstFlowReturn
begin (GstWbFileSink *self, WbFile *file, gsize bytes)
    WB_REQUIRES (wb_stream_thread)
{
  for (;;) {
    GstFlowReturn flow;
    WbStall stall;

    switch (wb_file_begin (file, bytes, &stall)) {
      case WB_OK:
        return GST_FLOW_OK;
      case WB_INTERRUPTED:
        /* Nothing was accepted yet: a step is the base class's to see. */
        flow = wb_wait_preroll (self);
        if (flow != GST_FLOW_OK)
          return flow;
        break;
      case WB_TIMEOUT:
        if (wb_errors_post_timeout (
                self, &stall, "the stream waits until it takes data again"))
          return GST_FLOW_ERROR;
        break;
      case WB_STALLED:
        wb_messages_warn_of_stall (self, &stall);
        break;
      case WB_FAILED:
        wb_errors_post_of_file (self, file);
        return GST_FLOW_ERROR;
    }
  }
}

static GstBuffer *
nth (GstBuffer *single, GstBufferList *list, guint i)
{
  return list != NULL ? gst_buffer_list_get (list, i) : single;
}

/* One buffer, or a list of them, in system memory: `size` bytes in all. */
static GstFlowReturn
write_buffers (GstWbFileSink *self, GstBuffer *single, GstBufferList *list,
    gsize size) WB_REQUIRES (wb_stream_thread)
{
  guint n = list != NULL ? gst_buffer_list_length (list) : 1;
  WbFile *file = wb_current_peek (&self->current);
  GstBuffer *unreadable = NULL;
  gboolean barrier = FALSE;
  GstFlowReturn flow;

  if (size > 0) {
    flow = begin (self, file, size);
    if (flow != GST_FLOW_OK)
      return flow;
    /* begin() has locked it: that is what OK says. */
    wb_assume_locked ();
    for (guint i = 0; i < n && unreadable == NULL; i++) {
      GstBuffer *buffer = nth (single, list, i);

      wb_size_note_time (&self->size, file, buffer);
      if (!hand_over (file, buffer))
        unreadable = buffer;
      if (i % LIST_PART == LIST_PART - 1)
        wb_file_give_way (file);
    }
    wb_file_end (file);
    if (wb_size_note_pushed (&self->size, size))
      wb_size_ask (self);
    if (unreadable != NULL) {
      wb_errors_post_unreadable (self, unreadable);
      return GST_FLOW_ERROR;
    }
  }
  for (guint i = 0; i < n; i++)
    barrier |= GST_BUFFER_FLAG_IS_SET (
        nth (single, list, i), GST_BUFFER_FLAG_SYNC_AFTER);
  return barrier ? wb_wait_barrier (self) : GST_FLOW_OK;
}

GstFlowReturn
wb_feed_buffer (GstWbFileSink *self, GstBuffer *buffer)
{
  GstBuffer *copy;
  GstFlowReturn flow;
  gsize size = 0;

  if (is_ready (self, buffer, &size))
    return write_buffers (self, buffer, NULL, size);
  copy = to_system_memory (self, buffer);
  if (copy == NULL)
    return GST_FLOW_ERROR;
  flow = write_buffers (self, copy, NULL, gst_buffer_get_size (copy));
  gst_buffer_unref (copy);
  return flow;
}

/* The same list with what is not in system memory copied there, or NULL. */
static GstBufferList *
list_to_system_memory (GstWbFileSink *self, GstBufferList *list)
{
  guint n = gst_buffer_list_length (list);
  GstBufferList *copies = gst_buffer_list_new_sized (n);

  for (guint i = 0; i < n; i++) {
    GstBuffer *buffer = gst_buffer_list_get (list, i);
    gsize size = 0;

    buffer = is_ready (self, buffer, &size) ? gst_buffer_ref (buffer)
                                            : to_system_memory (self, buffer);
    if (buffer == NULL) {
      gst_buffer_list_unref (copies);
      return NULL;
    }
    gst_buffer_list_add (copies, buffer);
  }
  return copies;
}

GstFlowReturn
wb_feed_list (GstWbFileSink *self, GstBufferList *list)
{
  guint n = gst_buffer_list_length (list);
  gboolean system_memory = TRUE;
  GstBufferList *copies;
  GstFlowReturn flow;
  gsize size = 0;

  for (guint i = 0; i < n && system_memory; i++)
    system_memory = is_ready (self, gst_buffer_list_get (list, i), &size);
  if (system_memory)
    return write_buffers (self, NULL, list, size);
  copies = list_to_system_memory (self, list);
  if (copies == NULL)
    return GST_FLOW_ERROR;
  flow = write_buffers (
      self, NULL, copies, gst_buffer_list_calculate_size (copies));
  gst_buffer_list_unref (copies);
  return flow;
}
