/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Every kind of buffer and list is written as it was pushed, under every
 * buffer mode; a queue keeps no buffer that its owner needs back, and no
 * buffer for longer than until it is written.
 */

#include "../common/wbtest.h"

#include <string.h>

static const gchar *modes[] = { "buffer-mode=default", "buffer-mode=full",
  "buffer-mode=line", "buffer-mode=unbuffered", "buffer-size=1",
  "buffer-mode=full buffer-size=1", "buffer-mode=full buffer-size=10000000",
  ("max-queued-bytes=1048576 " WB_TINY_WINDOW), "writeback=keep",
  "writeback=none", "max-queued-bytes=1" };

/* One run: what is pushed is also put into the model. */
typedef struct
{
  gchar *path;
  WbRig *rig;
  GByteArray *model;
} Run;

static void
run_begin (Run *run, const gchar *properties)
{
  run->path = wb_path ("file");
  run->rig = wb_rig_new (run->path, properties);
  run->model = g_byte_array_new ();
  wb_rig_play (run->rig, GST_FORMAT_TIME);
}

static void
run_end (Run *run)
{
  fail_unless (wb_rig_eos (run->rig));
  wb_rig_assert_quiet (run->rig);
  wb_assert_file (run->path, run->model->data, run->model->len);
  wb_rig_free (run->rig);
  g_byte_array_unref (run->model);
  g_free (run->path);
}

/* A buffer of these sizes of memory, with the next bytes of the file in it.
 * Each memory is the middle of a larger one. */
static GstBuffer *
next_buffer (Run *run, const gsize *sizes, guint n)
{
  GstBuffer *buffer = gst_buffer_new ();
  guint i;

  for (i = 0; i < n; i++) {
    GstMemory *memory = gst_allocator_alloc (NULL, sizes[i] + 30, NULL);
    GstMapInfo map;

    fail_unless (gst_memory_map (memory, &map, GST_MAP_WRITE));
    memset (map.data, 0xee, map.size);
    wb_pattern_fill (map.data + 10, run->model->len, sizes[i], 1);
    g_byte_array_append (run->model, map.data + 10, sizes[i]);
    gst_memory_unmap (memory, &map);
    gst_memory_resize (memory, 10, sizes[i]);
    gst_buffer_append_memory (buffer, memory);
  }

  return buffer;
}

static void
push (Run *run, GstBuffer *buffer)
{
  fail_unless_equals_int (gst_pad_push (run->rig->src, buffer), GST_FLOW_OK);
}

static void
push_list (Run *run, GstBufferList *list)
{
  fail_unless_equals_int (gst_pad_push_list (run->rig->src, list), GST_FLOW_OK);
}

/* Sizes around the ones that something is cut at, mixed with small ones, as
 * muxers mix headers and payloads */
GST_START_TEST (test_sizes)
{
  static const gsize sizes[] = { 1, 65536, 8, 65535, 3, 65537, 4095, 4096, 4097,
    188, 1048575, 1, 1048576, 7, 1048577, 2, 300000, 12, 2097153, 100 };
  Run run;
  guint i;

  run_begin (&run, modes[__i__]);
  for (i = 0; i < G_N_ELEMENTS (sizes); i++)
    push (&run, next_buffer (&run, &sizes[i], 1));
  run_end (&run);
}
GST_END_TEST;

GST_START_TEST (test_many_small)
{
  static const gsize sizes[] = { 188, 1, 8, 500 };
  Run run;
  guint i;

  run_begin (&run, modes[__i__]);
  for (i = 0; i < 4000; i++)
    push (&run, next_buffer (&run, &sizes[i % G_N_ELEMENTS (sizes)], 1));
  run_end (&run);
}
GST_END_TEST;

GST_START_TEST (test_zero_size)
{
  static const gsize nothing[] = { 0, 0 }, some[] = { 100, 0, 50 };
  GstBufferList *list;
  Run run;

  run_begin (&run, modes[__i__]);
  push (&run, gst_buffer_new ());
  push (&run, next_buffer (&run, nothing, 1));
  push (&run, next_buffer (&run, some, 1));
  push (&run, next_buffer (&run, nothing, 2));
  push (&run, next_buffer (&run, some, 3));
  push (&run, gst_buffer_new ());

  list = gst_buffer_list_new ();
  gst_buffer_list_add (list, gst_buffer_new ());
  gst_buffer_list_add (list, next_buffer (&run, nothing, 1));
  push_list (&run, list);
  list = gst_buffer_list_new ();
  gst_buffer_list_add (list, gst_buffer_new ());
  gst_buffer_list_add (list, next_buffer (&run, some, 3));
  gst_buffer_list_add (list, gst_buffer_new ());
  push_list (&run, list);
  run_end (&run);
}
GST_END_TEST;

/* Only empty ones: an empty file, and nothing goes wrong */
GST_START_TEST (test_nothing_but_empty)
{
  Run run;

  run_begin (&run, modes[__i__]);
  push (&run, gst_buffer_new ());
  push (&run, gst_buffer_new_allocate (NULL, 0, NULL));
  run_end (&run);
}
GST_END_TEST;

GST_START_TEST (test_many_memories)
{
  gsize sizes[16];
  guint i, k;
  Run run;

  fail_unless (gst_buffer_get_max_memory () >= G_N_ELEMENTS (sizes));
  run_begin (&run, modes[__i__]);
  for (i = 0; i < 20; i++) {
    for (k = 0; k < G_N_ELEMENTS (sizes); k++)
      sizes[k] = (i * 7919 + k * 104729) % 20000;
    push (&run, next_buffer (&run, sizes, G_N_ELEMENTS (sizes)));
  }
  run_end (&run);
}
GST_END_TEST;

/* Lists; the last have more parts than writev takes at once, where filesink
 * 1.22 loses the rest of the buffer that the limit falls into, and says
 * nothing. */
GST_START_TEST (test_lists)
{
  static const guint lengths[] = { 1, 2, 100, 200, 341, 342, 1200, 3000 };
  static const gsize sizes[] = { 100, 0, 1000, 1, 9001, 8 };
  guint n = wb_sink_is_filesink () ? 4 : G_N_ELEMENTS (lengths);
  Run run;
  guint i, k;

  run_begin (&run, modes[__i__]);
  for (i = 0; i < n; i++) {
    GstBufferList *list = gst_buffer_list_new ();

    for (k = 0; k < lengths[i]; k++) {
      gst_buffer_list_add (list, next_buffer (&run, sizes + k % 4, 1 + k % 3));
    }
    push_list (&run, list);
    /* And a buffer between the lists */
    push (&run, next_buffer (&run, sizes, 2));
  }
  run_end (&run);
}
GST_END_TEST;

GST_START_TEST (test_empty_list)
{
  Run run;

  run_begin (&run, modes[__i__]);
  push_list (&run, gst_buffer_list_new ());
  run_end (&run);
}
GST_END_TEST;

/* Larger than the queue and than the window: it goes through alone. */
GST_START_TEST (test_huge)
{
  static const gsize sizes[] = { WB_MIB (12) + 5, 10, WB_MIB (9), WB_MIB (3) };
  GstBufferList *list;
  Run run;
  guint i;

  run_begin (&run, modes[__i__]);
  for (i = 0; i < G_N_ELEMENTS (sizes); i++)
    push (&run, next_buffer (&run, &sizes[i], 1));
  list = gst_buffer_list_new ();
  for (i = 0; i < G_N_ELEMENTS (sizes); i++)
    gst_buffer_list_add (list, next_buffer (&run, &sizes[i], 1));
  push_list (&run, list);
  run_end (&run);
}
GST_END_TEST;

/*** buffer-size **************************************************************/

static void
count_notify (GObject *object, GParamSpec *spec, gpointer count)
{
  ++*(guint *) count;
}

static void
assert_buffer_size (const gchar *properties, guint wanted, guint notified)
{
  gchar *path = wb_path ("file");
  WbRig *rig = wb_rig_new (path, properties);
  guint size, count = 0;

  g_signal_connect (
      rig->sink, "notify::buffer-size", G_CALLBACK (count_notify), &count);
  wb_rig_play (rig, GST_FORMAT_TIME);
  g_object_get (rig->sink, "buffer-size", &size, NULL);
  fail_unless_equals_int (size, wanted);
  fail_unless_equals_int (count, notified);
  wb_rig_fill (rig, 0, 100000, 1);
  fail_unless (wb_rig_eos (rig));
  fail_unless_equals_int64 (wb_file_size (path), 100000);
  wb_rig_free (rig);
  g_free (path);
}

GST_START_TEST (test_buffer_size)
{
  assert_buffer_size ("buffer-size=0", 65536, 1);
  assert_buffer_size ("buffer-size=0 buffer-mode=full", 65536, 1);
  assert_buffer_size ("buffer-size=0 buffer-mode=line", 65536, 1);
  assert_buffer_size ("buffer-size=123", 123, 0);
  assert_buffer_size ("buffer-size=4294967295", 4294967295, 0);
  /* Not looked at, so not corrected */
  assert_buffer_size ("buffer-size=0 buffer-mode=unbuffered", 0, 0);
}
GST_END_TEST;

/* Without EOS: what was pushed is in the file when the source goes quiet. */
GST_START_TEST (test_written_when_quiet)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = NULL;

  /* filesink keeps up to 64 KiB for itself, unless unbuffered. */
  if (!g_str_equal (modes[__i__], "buffer-mode=unbuffered"))
    WB_OWN_TEST ();

  rig = wb_rig_new (path, modes[__i__]);
  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_fill (rig, 0, 100, 1);
  fail_unless (wb_file_reaches (path, 100));
  wb_rig_fill (rig, 100, WB_MIB (1) + 900, 1);
  fail_unless (wb_file_reaches (path, WB_MIB (1) + 1000));
  g_free (path);
}
GST_END_TEST;

/*** Owners *******************************************************************/

static GstBufferPool *
small_pool (gsize size)
{
  GstBufferPool *pool = gst_buffer_pool_new ();
  GstStructure *config = gst_buffer_pool_get_config (pool);

  gst_buffer_pool_config_set_params (config, NULL, size, 4, 4);
  fail_unless (gst_buffer_pool_set_config (pool, config));
  fail_unless (gst_buffer_pool_set_active (pool, TRUE));

  return pool;
}

static GstBuffer *
from_pool (GstBufferPool *pool, guint64 position, guint seed)
{
  GstBufferPoolAcquireParams params = {
    .flags = GST_BUFFER_POOL_ACQUIRE_FLAG_DONTWAIT
  };
  GstBuffer *buffer = NULL;
  GstMapInfo map;

  fail_unless (
      gst_buffer_pool_acquire_buffer (pool, &buffer, &params) == GST_FLOW_OK,
      "the pool starves at %" G_GUINT64_FORMAT, position);
  fail_unless (gst_buffer_map (buffer, &map, GST_MAP_WRITE));
  wb_pattern_fill (map.data, position, map.size, seed);
  gst_buffer_unmap (buffer, &map);

  return buffer;
}

typedef enum
{
  POOL_BUFFERS,
  POOL_LISTS,
  /* A buffer of our own that shares the memory of a pool's and holds it, as
   * elements do that cut or crop without a copy */
  POOL_PARENTS,
  N_POOL_WAYS
} PoolWay;

/* The target takes nothing while buffers go round: what is in the queue
 * must not be the pool's. The source writes the next frame into what comes
 * back, so that bytes held by reference would show. */
GST_START_TEST (test_pool_never_starves)
{
  const gsize size = 30000;
  const guint n = 120;
  g_autoptr (WbFifo) fifo = NULL;
  g_autoptr (WbRig) rig = NULL;
  GstBufferPool *pool = small_pool (size);
  guint8 *wanted;
  guint i;

  WB_OWN_TEST ();

  fifo = wb_fifo_new ();
  rig = wb_rig_new (fifo->path, NULL);
  wb_rig_play (rig, GST_FORMAT_TIME);
  for (i = 0; i < n; i++) {
    GstBuffer *buffer = from_pool (pool, i * size, 1);
    GstFlowReturn flow;

    if (__i__ == POOL_LISTS) {
      GstBufferList *list = gst_buffer_list_new ();

      gst_buffer_list_add (list, buffer);
      if (i % 2 == 0)
        gst_buffer_list_add (list, from_pool (pool, ++i * size, 1));
      flow = gst_pad_push_list (rig->src, list);
    } else if (__i__ == POOL_PARENTS) {
      GstBuffer *child = gst_buffer_new ();

      gst_buffer_append_memory (child, gst_buffer_get_memory (buffer, 0));
      gst_buffer_add_parent_buffer_meta (child, buffer);
      gst_buffer_unref (buffer);
      flow = gst_pad_push (rig->src, child);
    } else {
      flow = gst_pad_push (rig->src, buffer);
    }
    fail_unless_equals_int (flow, GST_FLOW_OK);
  }

  wb_fifo_read (fifo, 65536, 0);
  fail_unless (wb_rig_eos (rig));
  wb_rig_state (rig, GST_STATE_NULL);
  wb_fifo_finish (fifo);
  wanted = wb_pattern (0, n * size, 1);
  wb_assert_bytes (fifo->bytes->data, fifo->bytes->len, wanted, n * size);
  g_free (wanted);

  gst_buffer_pool_set_active (pool, FALSE);
  gst_object_unref (pool);
}
GST_END_TEST;

/* Into a file, with filesink's own buffering off */
GST_START_TEST (test_pool_into_file)
{
  const gsize size = 30000;
  GstBufferPool *pool = small_pool (size);
  guint i, n = 300;
  Run run;

  run_begin (&run, "buffer-mode=unbuffered");
  for (i = 0; i < n; i++) {
    g_byte_array_set_size (run.model, (i + 1) * size);
    wb_pattern_fill (run.model->data + i * size, i * size, size, 1);
    push (&run, from_pool (pool, i * size, 1));
  }
  run_end (&run);
  gst_buffer_pool_set_active (pool, FALSE);
  gst_object_unref (pool);
}
GST_END_TEST;

static void
count_freed (gpointer count, GstMiniObject *where)
{
  g_atomic_int_inc ((gint *) count);
}

/* At EOS the element holds none of what it was given, and no memory of it:
 * small buffers, which may be copied, and large ones. */
GST_START_TEST (test_buffers_are_released)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, "enable-last-sample=false");
  gint freed = 0, i;

  wb_rig_play (rig, GST_FORMAT_TIME);
  for (i = 0; i < 100; i++) {
    GstBuffer *buffer = wb_buffer (0, i % 2 == 0 ? 500 : 50000, 1);

    gst_mini_object_weak_ref (
        GST_MINI_OBJECT_CAST (buffer), count_freed, &freed);
    gst_mini_object_weak_ref (
        GST_MINI_OBJECT_CAST (gst_buffer_peek_memory (buffer, 0)), count_freed,
        &freed);
    fail_unless_equals_int (gst_pad_push (rig->src, buffer), GST_FLOW_OK);
  }
  fail_unless (wb_rig_eos (rig));
  fail_unless_equals_int (g_atomic_int_get (&freed), 200);
  g_free (path);
}
GST_END_TEST;

/* Without EOS, each as soon as it is written */
GST_START_TEST (test_released_when_written)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = NULL;
  gint freed = 0, i, n = 50;

  /* filesink keeps up to 64 KiB for itself. */
  WB_OWN_TEST ();

  rig = wb_rig_new (path, "enable-last-sample=false");
  wb_rig_play (rig, GST_FORMAT_TIME);
  for (i = 0; i < n; i++) {
    GstBuffer *buffer = wb_buffer (0, 100000, 1);

    gst_mini_object_weak_ref (
        GST_MINI_OBJECT_CAST (buffer), count_freed, &freed);
    fail_unless_equals_int (gst_pad_push (rig->src, buffer), GST_FLOW_OK);
  }
  fail_unless (wb_file_reaches (path, n * 100000));
  for (i = 0; i < WB_PATIENCE * 100 && g_atomic_int_get (&freed) < n; i++)
    g_usleep (10000);
  fail_unless_equals_int (g_atomic_int_get (&freed), n);
  g_free (path);
}
GST_END_TEST;

typedef struct
{
  WbRig *rig;
  gint pushed, freed;
} Flood;

static gpointer
flood_func (gpointer data)
{
  Flood *flood = data;
  GstFlowReturn flow = GST_FLOW_OK;
  guint i;

  for (i = 0; i < 100 && flow == GST_FLOW_OK; i++) {
    GstBuffer *buffer = wb_buffer (i * 100000, 100000, 1);

    gst_mini_object_weak_ref (
        GST_MINI_OBJECT_CAST (buffer), count_freed, &flood->freed);
    g_atomic_int_inc (&flood->pushed);
    flow = gst_pad_push (flood->rig->src, buffer);
  }

  return GINT_TO_POINTER (flow);
}

/* A target that takes nothing: what is held is what the bound of the queue
 * says, the batch that is being written, and the one in the push. */
GST_START_TEST (test_held_within_the_bound)
{
  const gint most = (WB_MIB (1) + WB_MIB (1)) / 100000 + 2;
  g_autoptr (WbFifo) fifo = NULL;
  g_autoptr (WbRig) rig = NULL;
  Flood flood = { NULL, 0, 0 };
  WbTask *task;

  WB_OWN_TEST ();

  fifo = wb_fifo_new ();
  rig = wb_rig_new (
      fifo->path, "enable-last-sample=false max-queued-bytes=1048576");
  flood.rig = rig;
  wb_rig_play (rig, GST_FORMAT_TIME);
  task = wb_task_new (flood_func, &flood);
  fail_unless (wb_stat_reaches (rig->sink, "queued-bytes", 900000));
  fail_if (wb_task_ends_within (task, 0.2));
  fail_unless (
      g_atomic_int_get (&flood.pushed) - g_atomic_int_get (&flood.freed)
          <= most,
      "%d buffers are held, %d may be",
      g_atomic_int_get (&flood.pushed) - g_atomic_int_get (&flood.freed), most);
  wb_fifo_read (fifo, 65536, 0);
  fail_unless_equals_int (wb_task_flow (task, "push"), GST_FLOW_OK);
  fail_unless (wb_rig_eos (rig));
  fail_unless_equals_int (g_atomic_int_get (&flood.freed), 100);
  wb_rig_state (rig, GST_STATE_NULL);
  wb_fifo_finish (fifo);
  fail_unless_equals_int (fifo->bytes->len, 100 * 100000);
}
GST_END_TEST;

/* No copy of what need not be copied: while the target takes nothing the
 * queue holds the very buffer. */
GST_START_TEST (test_buffers_are_not_copied)
{
  g_autoptr (WbFifo) fifo = NULL;
  g_autoptr (WbRig) rig = NULL;
  gint freed = 0, i, n = 40;

  WB_OWN_TEST ();

  fifo = wb_fifo_new ();
  rig = wb_rig_new (fifo->path, "enable-last-sample=false");
  wb_rig_play (rig, GST_FORMAT_TIME);
  for (i = 0; i < n; i++) {
    GstBuffer *buffer = wb_buffer (i * 100000, 100000, 1);

    gst_mini_object_weak_ref (
        GST_MINI_OBJECT_CAST (gst_buffer_peek_memory (buffer, 0)), count_freed,
        &freed);
    fail_unless_equals_int (gst_pad_push (rig->src, buffer), GST_FLOW_OK);
  }
  /* What the pipe and one batch hold may be through. */
  fail_unless (g_atomic_int_get (&freed) < n / 2);
  wb_fifo_read (fifo, 65536, 0);
  fail_unless (wb_rig_eos (rig));
  fail_unless_equals_int (g_atomic_int_get (&freed), n);
  wb_rig_state (rig, GST_STATE_NULL);
  wb_fifo_finish (fifo);
  fail_unless_equals_int (fifo->bytes->len, n * 100000);
}
GST_END_TEST;

/* The sender has another buffer with the same memory, and goes on to write
 * into that, as it may: what was pushed before is what is written. */
GST_START_TEST (test_memory_shared_with_the_sender)
{
  const gsize size = 100000;
  const guint n = 20;
  g_autoptr (WbFifo) fifo = NULL;
  g_autoptr (WbRig) rig = NULL;
  guint8 *wanted = wb_pattern (0, n * size, 1);
  guint i;

  WB_OWN_TEST ();

  fifo = wb_fifo_new ();
  rig = wb_rig_new (fifo->path, "enable-last-sample=false");
  wb_rig_play (rig, GST_FORMAT_TIME);
  for (i = 0; i < n; i++) {
    GstBuffer *buffer = wb_buffer (i * size, size, 1);
    GstBuffer *mine = gst_buffer_copy (buffer);

    fail_unless (
        gst_buffer_peek_memory (mine, 0) == gst_buffer_peek_memory (buffer, 0));
    fail_unless_equals_int (gst_pad_push (rig->src, buffer), GST_FLOW_OK);
    gst_buffer_memset (mine, 0, 0xee, size);
    gst_buffer_unref (mine);
  }
  wb_fifo_read (fifo, 65536, 0);
  fail_unless (wb_rig_eos (rig));
  wb_rig_state (rig, GST_STATE_NULL);
  wb_fifo_finish (fifo);
  wb_assert_bytes (fifo->bytes->data, fifo->bytes->len, wanted, n * size);
  g_free (wanted);
}
GST_END_TEST;

/*** Memory that is not system memory *****************************************/

#define WB_TYPE_TEST_ALLOCATOR (wb_test_allocator_get_type ())
G_DECLARE_FINAL_TYPE (
    WbTestAllocator, wb_test_allocator, WB, TEST_ALLOCATOR, GstAllocator)

/* As a driver's would be: mapped for the one who looks, from the thread that
 * looks, and no longer than needed. */
struct _WbTestAllocator
{
  GstAllocator parent;
};

typedef struct
{
  GstMemory memory;
  guint8 *data;
  GThread *mapped_on;
} WbTestMemory;

static gint memories, maps, unmaps, other_thread;

G_DEFINE_TYPE (WbTestAllocator, wb_test_allocator, GST_TYPE_ALLOCATOR)

static GstMemory *
test_alloc (GstAllocator *allocator, gsize size, GstAllocationParams *params)
{
  WbTestMemory *memory = g_new0 (WbTestMemory, 1);

  memory->data = g_malloc (size);
  gst_memory_init (&memory->memory, 0, allocator, NULL, size, 0, 0, size);
  g_atomic_int_inc (&memories);

  return &memory->memory;
}

static void
test_free (GstAllocator *allocator, GstMemory *memory)
{
  g_free (((WbTestMemory *) memory)->data);
  g_free (memory);
  g_atomic_int_add (&memories, -1);
}

static gpointer
test_map (GstMemory *memory, gsize size, GstMapFlags flags)
{
  ((WbTestMemory *) memory)->mapped_on = g_thread_self ();
  g_atomic_int_inc (&maps);

  return ((WbTestMemory *) memory)->data;
}

static void
test_unmap (GstMemory *memory)
{
  if (((WbTestMemory *) memory)->mapped_on != g_thread_self ())
    g_atomic_int_inc (&other_thread);
  g_atomic_int_inc (&unmaps);
}

static void
wb_test_allocator_class_init (WbTestAllocatorClass *klass)
{
  GST_ALLOCATOR_CLASS (klass)->alloc = test_alloc;
  GST_ALLOCATOR_CLASS (klass)->free = test_free;
}

static void
wb_test_allocator_init (WbTestAllocator *self)
{
  GstAllocator *allocator = GST_ALLOCATOR (self);

  allocator->mem_type = "WbTestMemory";
  allocator->mem_map = test_map;
  allocator->mem_unmap = test_unmap;
  GST_OBJECT_FLAG_SET (allocator, GST_ALLOCATOR_FLAG_CUSTOM_ALLOC);
}

/* Mapped and unmapped again on one thread, and given back: the target takes
 * nothing, yet no such memory is kept in the queue. */
GST_START_TEST (test_other_memory)
{
  const gsize size = 50000;
  const guint n = 40;
  g_autoptr (WbFifo) fifo = NULL;
  g_autoptr (WbRig) rig = NULL;
  GstAllocator *allocator;
  guint8 *wanted;
  guint i;

  WB_OWN_TEST ();

  allocator = g_object_new (WB_TYPE_TEST_ALLOCATOR, NULL);
  gst_object_ref_sink (allocator);
  fifo = wb_fifo_new ();
  rig = wb_rig_new (fifo->path, "enable-last-sample=false");
  wb_rig_play (rig, GST_FORMAT_TIME);
  for (i = 0; i < n; i++) {
    GstBuffer *buffer = gst_buffer_new ();
    GstMemory *memory = gst_allocator_alloc (allocator, size, NULL);
    guint8 *usual = wb_pattern (0, 10, 2);

    wb_pattern_fill (((WbTestMemory *) memory)->data, i * size, size, 1);
    gst_buffer_append_memory (buffer, memory);
    /* Mixed with memory of the usual kind */
    gst_buffer_append_memory (
        buffer, gst_memory_new_wrapped (0, usual, 10, 0, 10, usual, g_free));
    fail_unless_equals_int (gst_pad_push (rig->src, buffer), GST_FLOW_OK);
    fail_unless_equals_int (g_atomic_int_get (&memories), 0);
  }

  wb_fifo_read (fifo, 65536, 0);
  fail_unless (wb_rig_eos (rig));
  wb_rig_state (rig, GST_STATE_NULL);
  wb_fifo_finish (fifo);

  fail_unless (g_atomic_int_get (&maps) > 0);
  fail_unless_equals_int (g_atomic_int_get (&maps), g_atomic_int_get (&unmaps));
  fail_unless_equals_int (g_atomic_int_get (&other_thread), 0);
  fail_unless_equals_int (fifo->bytes->len, n * (size + 10));
  for (i = 0; i < n; i++) {
    wanted = wb_pattern (i * size, size + 10, 1);
    wb_pattern_fill (wanted + size, 0, 10, 2);
    wb_assert_bytes (
        fifo->bytes->data + i * (size + 10), size + 10, wanted, size + 10);
    g_free (wanted);
  }
  gst_object_unref (allocator);
}
GST_END_TEST;

static Suite *
buffers_suite (void)
{
  Suite *suite = suite_create ("buffers");
  TCase *tcase = wb_tcase (suite, "general");
  gint n = G_N_ELEMENTS (modes);

  tcase_add_loop_test (tcase, test_sizes, 0, n);
  tcase_add_loop_test (tcase, test_many_small, 0, n);
  tcase_add_loop_test (tcase, test_zero_size, 0, n);
  tcase_add_loop_test (tcase, test_nothing_but_empty, 0, n);
  tcase_add_loop_test (tcase, test_many_memories, 0, n);
  tcase_add_loop_test (tcase, test_lists, 0, n);
  tcase_add_loop_test (tcase, test_empty_list, 0, n);
  tcase_add_loop_test (tcase, test_huge, 0, n);
  tcase_add_test (tcase, test_buffer_size);
  tcase_add_loop_test (tcase, test_written_when_quiet, 0, n);
  tcase_add_loop_test (tcase, test_pool_never_starves, 0, N_POOL_WAYS);
  tcase_add_test (tcase, test_pool_into_file);
  tcase_add_test (tcase, test_buffers_are_released);
  tcase_add_test (tcase, test_released_when_written);
  tcase_add_test (tcase, test_held_within_the_bound);
  tcase_add_test (tcase, test_buffers_are_not_copied);
  tcase_add_test (tcase, test_memory_shared_with_the_sender);
  tcase_add_test (tcase, test_other_memory);

  return suite;
}

WB_TEST_MAIN (buffers)
