/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * writeback-stats: which figures there are, of which types, and that they
 * agree with what was pushed and with each other.
 */

#include "../common/wbtest.h"

#include <fcntl.h>
#include <string.h>

static const struct
{
  const gchar *name;
  GType type;
} fields[] = {
  { "bytes-written", G_TYPE_UINT64 },
  { "high-water-mark", G_TYPE_UINT64 },
  { "queued-bytes", G_TYPE_UINT64 },
  { "dirty-bytes", G_TYPE_UINT64 },
  { "peak-queued-bytes", G_TYPE_UINT64 },
  { "peak-dirty-bytes", G_TYPE_UINT64 },
  { "chunks-started", G_TYPE_UINT64 },
  { "chunks-retired", G_TYPE_UINT64 },
  { "seeks", G_TYPE_UINT64 },
  { "back-patches", G_TYPE_UINT64 },
  { "late-back-patches", G_TYPE_UINT64 },
  { "preallocated-bytes", G_TYPE_UINT64 },
  { "drain-rate", G_TYPE_UINT64 },
  { "wait-time", G_TYPE_UINT64 },
  { "max-wait-time", G_TYPE_UINT64 },
  { "sync-time", G_TYPE_UINT64 },
  { "durable-bytes", G_TYPE_UINT64 },
  { "device-budget", G_TYPE_UINT64 },
  { "location", G_TYPE_STRING },
  { "renamed", G_TYPE_BOOLEAN },
  { "degraded", G_TYPE_BOOLEAN },
  { "sync-result", G_TYPE_STRING },
  { "mechanism", G_TYPE_STRING },
  { "error", G_TYPE_STRING },
  { "device-budget-reason", G_TYPE_STRING },
};

static void
assert_fields (WbRig *rig, const gchar *when)
{
  GstStructure *stats = NULL;
  guint i;

  g_object_get (rig->sink, "writeback-stats", &stats, NULL);
  fail_unless (stats != NULL, "%s", when);
  assert_equals_string (
      gst_structure_get_name (stats), "application/x-wbfilesink-stats");
  for (i = 0; i < G_N_ELEMENTS (fields); i++) {
    fail_unless (
        gst_structure_has_field_typed (stats, fields[i].name, fields[i].type),
        "%s: no %s of type %s", when, fields[i].name,
        g_type_name (fields[i].type));
  }
  fail_unless_equals_int (
      gst_structure_n_fields (stats), (gint) G_N_ELEMENTS (fields));
  gst_structure_free (stats);
}

#define assert_stat(rig, field, wanted)                                        \
  fail_unless_equals_uint64 (wb_stat ((rig)->sink, field), wanted)

GST_START_TEST (test_fields)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);

  assert_fields (rig, "when new");
  wb_rig_state (rig, GST_STATE_READY);
  assert_fields (rig, "in READY");
  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_fill (rig, 0, 100000, 1);
  assert_fields (rig, "while writing");
  fail_unless (wb_rig_eos (rig));
  assert_fields (rig, "after EOS");
  wb_rig_state (rig, GST_STATE_NULL);
  assert_fields (rig, "after stop");
  g_free (path);
}
GST_END_TEST;

/* It is the element's own, and not in the way of the base class's. */
GST_START_TEST (test_property)
{
  g_autoptr (WbRig) rig = wb_rig_new (NULL, NULL);
  GObjectClass *klass = G_OBJECT_GET_CLASS (rig->sink);
  GParamSpec *spec = g_object_class_find_property (klass, "writeback-stats");
  GstStructure *stats = NULL;

  fail_unless (spec != NULL);
  fail_unless (spec->value_type == GST_TYPE_STRUCTURE);
  fail_unless ((spec->flags & (G_PARAM_READABLE | G_PARAM_WRITABLE))
      == G_PARAM_READABLE);
  g_object_get (rig->sink, "stats", &stats, NULL);
  fail_unless (gst_structure_has_field (stats, "rendered"));
  gst_structure_free (stats);
}
GST_END_TEST;

static void
assert_at_rest (WbRig *rig)
{
  assert_stat (rig, "queued-bytes", 0);
  assert_stat (rig, "dirty-bytes", 0);
  assert_stat (rig, "chunks-retired", wb_stat (rig->sink, "chunks-started"));
  fail_unless (
      wb_stat (rig->sink, "max-wait-time") <= wb_stat (rig->sink, "wait-time"));
}

/* As much as the window several times over, with a patch per cluster */
GST_START_TEST (test_counts)
{
  const gsize cluster = WB_KIB (700);
  const guint n = 40;
  gchar *path = wb_path ("file"), *text;
  g_autoptr (WbRig) rig = wb_rig_new (path, WB_TINY_WINDOW);
  guint64 size = n * cluster;
  guint i;

  if (g_object_class_find_property (
          G_OBJECT_GET_CLASS (rig->sink), "preallocate"))
    wb_rig_set (rig, "preallocate=none");
  wb_rig_play (rig, GST_FORMAT_BYTES);
  for (i = 0; i < n; i++) {
    wb_rig_fill (rig, i * cluster, cluster / 2, 1);
    wb_rig_fill (rig, i * cluster + cluster / 2, cluster / 2, 1);
    fail_unless (wb_rig_seek (rig, i * cluster + 4));
    wb_rig_fill (rig, 0, 8, 2);
    fail_unless (wb_rig_seek (rig, (i + 1) * cluster));
  }
  fail_unless (wb_rig_eos (rig));

  assert_stat (rig, "bytes-written", size + 8 * n);
  assert_stat (rig, "high-water-mark", size);
  assert_stat (rig, "seeks", 2 * n);
  assert_stat (rig, "back-patches", n);
  fail_unless (wb_stat (rig->sink, "late-back-patches") <= n);
  assert_stat (rig, "durable-bytes", size);
  fail_unless (wb_stat (rig->sink, "peak-queued-bytes") > 0);
  fail_unless (
      wb_stat (rig->sink, "peak-dirty-bytes") <= WB_MIB (2) + WB_MIB (1));
  fail_unless (wb_stat (rig->sink, "sync-time") > 0);
  assert_at_rest (rig);
  text = wb_stat_string (rig->sink, "sync-result");
  assert_equals_string (text, "durable");
  g_free (text);
  text = wb_stat_string (rig->sink, "mechanism");
  fail_unless (text != NULL && text[0] != '\0');
  g_free (text);
  text = wb_stat_string (rig->sink, "error");
  fail_unless (text == NULL || text[0] == '\0', "%s", text);
  g_free (text);
  g_free (path);
}
GST_END_TEST;

/* Where there is write-out control, this much data has been written out
 * while it ran, in chunks no larger than asked for. */
GST_START_TEST (test_chunks)
{
  gchar *path = wb_path ("file"), *mechanism;
  g_autoptr (WbRig) rig = wb_rig_new (path, WB_TINY_WINDOW);
  guint64 started;
  guint i;

  wb_rig_play (rig, GST_FORMAT_TIME);
  for (i = 0; i < 320; i++)
    wb_rig_fill (rig, i * WB_KIB (64), WB_KIB (64), 1);
  fail_unless (wb_rig_eos (rig));
  mechanism = wb_stat_string (rig->sink, "mechanism");
  started = wb_stat (rig->sink, "chunks-started");
  if (strstr (mechanism, "sync_file_range") != NULL) {
    /* 20 MiB, 1 MiB each */
    fail_unless (started >= 20, "%" G_GUINT64_FORMAT " chunks", started);
    fail_unless (wb_stat (rig->sink, "drain-rate") > 0);
  } else {
    wb_skip (mechanism);
  }
  assert_at_rest (rig);
  g_free (mechanism);
  g_free (path);
}
GST_END_TEST;

/* Bounds hold, whatever they are. */
typedef struct
{
  const gchar *properties;
  guint64 dirty;
  guint64 queued;
} Bounds;

static const Bounds bounds[] = {
  { "max-queued-bytes=1048576 max-dirty-bytes=2097152 chunk-size=1048576",
      WB_MIB (2), WB_MIB (1) },
  { "max-queued-bytes=2000000 max-dirty-bytes=8388608 chunk-size=33554432",
      WB_MIB (8), 2000000 },
  { "max-queued-bytes=1048576 max-dirty-bytes=4194304 buffer-mode=unbuffered",
      WB_MIB (4), WB_MIB (1) },
  { "max-queued-bytes=1048576 max-dirty-bytes=4194304 writeback=keep",
      WB_MIB (4), WB_MIB (1) },
};

GST_START_TEST (test_bounds)
{
  const Bounds *b = &bounds[__i__];
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, b->properties);
  GRand *rand = g_rand_new_with_seed (3);
  guint64 dirty, queued, size = 0;
  guint i;

  wb_rig_play (rig, GST_FORMAT_BYTES);
  for (i = 0; i < 1500; i++) {
    gsize n = g_rand_int_range (rand, 1, 60000);

    if (i % 50 == 49) {
      /* Scattered patches are dirty too. */
      fail_unless (
          wb_rig_seek (rig, g_rand_int_range (rand, 0, (gint32) size)));
      wb_rig_fill (rig, 0, 100, 2);
      fail_unless (wb_rig_seek (rig, size));
    }
    wb_rig_fill (rig, size, n, 1);
    size += n;
  }
  fail_unless (wb_rig_eos (rig));
  dirty = wb_stat (rig->sink, "peak-dirty-bytes");
  queued = wb_stat (rig->sink, "peak-queued-bytes");
  fail_unless (
      dirty <= b->dirty + WB_MIB (1), "%" G_GUINT64_FORMAT " dirty", dirty);
  fail_unless (queued <= b->queued, "%" G_GUINT64_FORMAT " queued", queued);
  assert_at_rest (rig);
  g_rand_free (rand);
  g_free (path);
}
GST_END_TEST;

/* Changed while it writes: larger, smaller, none. What is written is the
 * same, and nothing waits for a bound that is no longer there. */
GST_START_TEST (test_bounds_changed_while_writing)
{
  static const gchar *changes[] = { "max-dirty-bytes=2097152",
    "chunk-size=1048576", "max-dirty-bytes=0", "max-queued-bytes=1",
    "chunk-size=268435456", "max-queued-bytes=100000000",
    "max-dirty-bytes=3000000", "max-dirty-time=0", "max-queued-bytes=1048576" };
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);
  const gsize size = WB_MIB (40);
  guint8 *wanted = wb_pattern (0, size, 1);
  WbTask *task;
  guint i;

  wb_rig_play (rig, GST_FORMAT_TIME);
  task = wb_rig_fill_task (rig, 0, size, 50000, 1);
  for (i = 0; !wb_task_ends_within (task, 0.002); i++)
    wb_rig_set (rig, changes[i % G_N_ELEMENTS (changes)]);
  fail_unless_equals_int (wb_task_flow (task, "push"), GST_FLOW_OK);
  fail_unless (wb_rig_eos (rig));
  wb_rig_assert_quiet (rig);
  assert_at_rest (rig);
  wb_assert_file (path, wanted, size);
  g_free (wanted);
  g_free (path);
}
GST_END_TEST;

/* Changed while start waits in open, for a reader of a FIFO here, elsewhere for
 * a slow server: that is the bound which holds, not the one of before. */
GST_START_TEST (test_bound_changed_while_opening)
{
  g_autoptr (WbFifo) fifo = wb_fifo_new ();
  g_autoptr (WbRig) rig = wb_rig_new (fifo->path, NULL);
  guint threads = wb_count_threads ();
  WbTask *task;

  wb_fifo_hang_up (fifo);
  task = wb_rig_state_task (rig, GST_STATE_PLAYING);
  /* The task's own, and the file's, which is made when the bounds are known */
  while (wb_count_threads () < threads + 2)
    fail_if (wb_task_ends_within (task, 0.001));
  wb_rig_set (rig, "max-queued-bytes=100000");
  fifo->fd = open (fifo->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  fail_unless (fifo->fd >= 0);
  fail_if (wb_task_state (task, "start") == GST_STATE_CHANGE_FAILURE);

  wb_rig_begin (rig, GST_FORMAT_TIME);
  task = wb_rig_fill_task (rig, 0, WB_MIB (2), 20000, 1);
  fail_if (wb_task_ends_within (task, 0.2));
  wb_fifo_read (fifo, 65536, 0);
  fail_unless_equals_int (wb_task_flow (task, "push"), GST_FLOW_OK);
  fail_unless (wb_rig_eos (rig));
  fail_unless (wb_stat (rig->sink, "peak-queued-bytes") <= 100000);
  wb_rig_state (rig, GST_STATE_NULL);
}
GST_END_TEST;

/* A file that is smaller than anything has its figures as well. */
GST_START_TEST (test_small_file)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);

  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_fill (rig, 0, 10, 1);
  fail_unless (wb_rig_eos (rig));
  assert_stat (rig, "bytes-written", 10);
  assert_stat (rig, "high-water-mark", 10);
  assert_stat (rig, "durable-bytes", 10);
  assert_stat (rig, "back-patches", 0);
  assert_stat (rig, "seeks", 0);
  assert_at_rest (rig);
  g_free (path);
}
GST_END_TEST;

/* The last file's stay until the next start, also when location changes. */
GST_START_TEST (test_kept_until_the_next_start)
{
  gchar *path = wb_path ("file"), *other = wb_path ("other"), *text;
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);

  assert_stat (rig, "bytes-written", 0);
  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_fill (rig, 0, 100000, 1);
  wb_rig_state (rig, GST_STATE_NULL);
  assert_stat (rig, "bytes-written", 100000);
  assert_stat (rig, "durable-bytes", 100000);
  assert_at_rest (rig);
  text = wb_stat_string (rig->sink, "sync-result");
  assert_equals_string (text, "durable");
  g_free (text);
  g_object_set (rig->sink, "location", other, NULL);
  assert_stat (rig, "bytes-written", 100000);

  wb_rig_state (rig, GST_STATE_READY);
  assert_stat (rig, "bytes-written", 0);
  assert_stat (rig, "high-water-mark", 0);
  assert_stat (rig, "durable-bytes", 0);
  assert_stat (rig, "peak-dirty-bytes", 0);
  assert_stat (rig, "chunks-started", 0);
  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_fill (rig, 0, 77, 1);
  fail_unless (wb_rig_eos (rig));
  assert_stat (rig, "bytes-written", 77);
  g_free (path);
  g_free (other);
}
GST_END_TEST;

/* The mark is that of the stream: from the base, and anew with a flush. */
GST_START_TEST (test_high_water_mark)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);

  wb_rig_play (rig, GST_FORMAT_BYTES);
  wb_rig_fill (rig, 0, 100000, 1);
  fail_unless (wb_rig_eos (rig));
  assert_stat (rig, "high-water-mark", 100000);
  wb_rig_flush (rig);
  fail_unless (wb_rig_seek (rig, 0));
  wb_rig_fill (rig, 0, 5000, 2);
  fail_unless (wb_rig_eos (rig));
  assert_stat (rig, "high-water-mark", 5000);
  /* Written behind a hole: one past the highest byte */
  wb_rig_flush (rig);
  fail_unless (wb_rig_seek (rig, 300000));
  wb_rig_fill (rig, 0, 5000, 2);
  fail_unless (wb_rig_eos (rig));
  assert_stat (rig, "high-water-mark", 305000);
  g_free (path);
}
GST_END_TEST;

typedef struct
{
  GstElement *sink;
  gint stop;
  gint wrong;
} Reader;

static gpointer
read_stats (gpointer data)
{
  Reader *reader = data;

  while (!g_atomic_int_get (&reader->stop)) {
    GstStructure *stats = NULL;
    guint64 written, mark, started, retired;

    g_object_get (reader->sink, "writeback-stats", &stats, NULL);
    gst_structure_get_uint64 (stats, "bytes-written", &written);
    gst_structure_get_uint64 (stats, "high-water-mark", &mark);
    gst_structure_get_uint64 (stats, "chunks-started", &started);
    gst_structure_get_uint64 (stats, "chunks-retired", &retired);
    if (mark > written || retired > started)
      g_atomic_int_inc (&reader->wrong);
    gst_structure_free (stats);
  }

  return NULL;
}

/* Read from another thread while it writes: one moment's figures */
GST_START_TEST (test_read_while_writing)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, WB_TINY_WINDOW);
  Reader reader = { rig->sink };
  WbTask *task = wb_task_new (read_stats, &reader);
  guint i;

  for (i = 0; i < 3; i++) {
    wb_rig_play (rig, GST_FORMAT_TIME);
    fail_unless_equals_int (
        wb_task_flow (wb_rig_fill_task (rig, 0, WB_MIB (10), 20000, 1), "push"),
        GST_FLOW_OK);
    fail_unless (wb_rig_eos (rig));
    wb_rig_state (rig, GST_STATE_NULL);
  }
  g_atomic_int_set (&reader.stop, TRUE);
  wb_task_finish (task, "the reader");
  fail_unless_equals_int (reader.wrong, 0);
  g_free (path);
}
GST_END_TEST;

static Suite *
stats_suite (void)
{
  Suite *suite = suite_create ("stats");
  TCase *tcase;

  if (wb_sink_is_filesink ())
    return suite;

  tcase = wb_tcase (suite, "general");
  tcase_add_test (tcase, test_fields);
  tcase_add_test (tcase, test_property);
  tcase_add_test (tcase, test_counts);
  tcase_add_test (tcase, test_chunks);
  tcase_add_loop_test (tcase, test_bounds, 0, G_N_ELEMENTS (bounds));
  tcase_add_test (tcase, test_bounds_changed_while_writing);
  tcase_add_test (tcase, test_bound_changed_while_opening);
  tcase_add_test (tcase, test_small_file);
  tcase_add_test (tcase, test_kept_until_the_next_start);
  tcase_add_test (tcase, test_high_water_mark);
  tcase_add_test (tcase, test_read_while_writing);

  return suite;
}

WB_TEST_MAIN (stats)
