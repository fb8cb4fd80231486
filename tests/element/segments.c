/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Segments in bytes are seeks: what follows lands where they say, whatever
 * has been written before and however small the window; segments in other
 * formats move nothing; a seek that cannot be is refused and said.
 */

#include "../common/wbtest.h"

#include <string.h>

/* The last is what is under test; the first are the same with less of it. */
static const gchar *windows[] = { "writeback=none", "writeback=keep",
  "buffer-mode=unbuffered", "buffer-mode=full", WB_TINY_WINDOW,
  ("max-queued-bytes=1048576 " WB_TINY_WINDOW) };

typedef struct
{
  gchar *path;
  WbRig *rig;
  GByteArray *model;
  guint64 position;
  guint seed;
} Run;

static void
run_begin (Run *run, const gchar *properties)
{
  run->path = wb_path ("file");
  run->rig = wb_rig_new (run->path, properties);
  run->model = g_byte_array_new ();
  run->position = 0;
  run->seed = 0;
  wb_rig_play (run->rig, GST_FORMAT_BYTES);
}

static void
run_seek (Run *run, guint64 position)
{
  fail_unless (wb_rig_seek (run->rig, position));
  run->position = position;
}

/* Every write has bytes of its own, so that an older one never passes for
 * it. */
static void
run_write (Run *run, gsize size)
{
  guint8 *data = wb_pattern (run->position, size, ++run->seed);

  wb_rig_write (run->rig, data, size);
  wb_model_write (run->model, run->position, data, size);
  run->position += size;
  g_free (data);
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

/* What matroskamux does: each cluster is patched when it is complete, and
 * at the end the head is. */
GST_START_TEST (test_back_patches)
{
  guint64 cluster, end;
  Run run;
  guint i, k;

  run_begin (&run, windows[__i__]);
  run_write (&run, 4000);
  for (i = 0; i < 12; i++) {
    cluster = run.position;
    for (k = 0; k < 14; k++) {
      run_write (&run, 12);
      run_write (&run, 65000);
    }
    end = run.position;
    run_seek (&run, cluster + 4);
    run_write (&run, 8);
    run_seek (&run, end);
  }
  run_write (&run, 3000);
  for (i = 0; i < 5; i++) {
    run_seek (&run, 50 + 20 * i);
    run_write (&run, 8);
  }
  run_end (&run);
}
GST_END_TEST;

/* What fragmented MP4 and others do: patches far back, some across pages and
 * chunks, and one over the end */
GST_START_TEST (test_patches_anywhere)
{
  Run run;

  run_begin (&run, windows[__i__]);
  run_write (&run, WB_MIB (7) + 11);
  run_seek (&run, 0);
  run_write (&run, 1);
  run_seek (&run, WB_MIB (1) - 4);
  run_write (&run, 8);
  run_seek (&run, 4095);
  run_write (&run, WB_MIB (2) + 2);
  /* Over the end: old bytes and new ones by one buffer */
  run_seek (&run, WB_MIB (7));
  run_write (&run, WB_MIB (1));
  run_seek (&run, WB_MIB (3));
  run_write (&run, 100);
  run_write (&run, 100);
  run_end (&run);
}
GST_END_TEST;

/* A patch right after what it patches, many times over */
GST_START_TEST (test_patch_again_and_again)
{
  Run run;
  guint i;

  run_begin (&run, windows[__i__]);
  run_write (&run, 200000);
  for (i = 0; i < 500; i++) {
    run_seek (&run, 40);
    run_write (&run, 16);
    run_seek (&run, run.model->len);
    run_write (&run, 3000);
  }
  run_end (&run);
}
GST_END_TEST;

/* Beyond the end: what was skipped is zeroes, also when it is filled later
 * in part. */
GST_START_TEST (test_holes)
{
  Run run;

  run_begin (&run, windows[__i__]);
  run_seek (&run, 5000);
  run_write (&run, 100);
  run_seek (&run, WB_MIB (3) + 7);
  run_write (&run, 1);
  run_seek (&run, WB_MIB (9));
  run_write (&run, 70000);
  run_seek (&run, WB_MIB (4));
  run_write (&run, 10);
  run_seek (&run, 0);
  run_write (&run, 10);
  run_end (&run);
}
GST_END_TEST;

/* A seek alone writes nothing and makes nothing longer. */
GST_START_TEST (test_seek_without_write)
{
  Run run;

  run_begin (&run, windows[__i__]);
  run_write (&run, 1000);
  run_seek (&run, WB_MIB (5));
  run_end (&run);

  run_begin (&run, windows[__i__]);
  run_seek (&run, WB_MIB (5));
  run_end (&run);
}
GST_END_TEST;

/* Anything at all, the same in every run */
GST_START_TEST (test_random)
{
  GRand *rand = g_rand_new_with_seed (4711 + __i__ / G_N_ELEMENTS (windows));
  Run run;
  guint i;

  run_begin (&run, windows[__i__ % G_N_ELEMENTS (windows)]);
  for (i = 0; i < 400; i++) {
    guint64 end = run.model->len;

    switch (g_rand_int_range (rand, 0, 10)) {
      case 0:
      case 1:
        run_seek (&run, g_rand_int_range (rand, 0, end + 1));
        break;
      case 2:
        /* Near the end */
        run_seek (
            &run, end - MIN (end, (guint) g_rand_int_range (rand, 0, 9000)));
        break;
      case 3:
      case 4:
        run_seek (&run, end);
        break;
      case 5:
        if (end < WB_MIB (16))
          run_seek (&run, end + g_rand_int_range (rand, 0, 300000));
        break;
      default:
        break;
    }
    /* Mostly small, some larger than a batch */
    run_write (&run,
        g_rand_int_range (rand, 1, 10) == 1
            ? g_rand_int_range (rand, 1, 1500000)
            : g_rand_int_range (rand, 1, 30000));
  }
  run_end (&run);
  g_rand_free (rand);
}
GST_END_TEST;

/* TIME and others carry no position; streams switch in the middle. */
GST_START_TEST (test_other_formats)
{
  Run run;

  run_begin (&run, windows[__i__]);
  run_write (&run, 1000);
  fail_unless (wb_rig_segment (run.rig, GST_FORMAT_TIME, 0));
  run_write (&run, 1000);
  fail_unless (wb_rig_segment (run.rig, GST_FORMAT_TIME, 500));
  run_write (&run, 1000);
  fail_unless (wb_rig_segment (run.rig, GST_FORMAT_DEFAULT, 7));
  run_write (&run, 1000);
  fail_unless (wb_rig_segment (run.rig, GST_FORMAT_PERCENT, 7));
  run_write (&run, 1000);
  /* What flvmux does at EOS */
  run_seek (&run, 42);
  run_write (&run, 8);
  fail_unless (wb_rig_segment (run.rig, GST_FORMAT_TIME, 0));
  run_write (&run, 8);
  run_end (&run);
}
GST_END_TEST;

GST_START_TEST (test_only_start_counts)
{
  GstSegment segment;
  Run run;

  run_begin (&run, windows[__i__]);
  run_write (&run, 3000);
  gst_segment_init (&segment, GST_FORMAT_BYTES);
  segment.start = 100;
  segment.stop = 200;
  segment.position = 150;
  segment.time = 7;
  segment.base = 3;
  segment.offset = 2;
  segment.duration = 1234;
  segment.rate = 2.0;
  segment.applied_rate = 0.5;
  fail_unless (wb_rig_send (run.rig, gst_event_new_segment (&segment)));
  run.position = 100;
  /* More than to its stop */
  run_write (&run, 1000);

  segment.start = 2000;
  segment.stop = -1;
  segment.position = 2500;
  segment.rate = -1.0;
  fail_unless (wb_rig_send (run.rig, gst_event_new_segment (&segment)));
  run.position = 2000;
  run_write (&run, 10);
  run_end (&run);
}
GST_END_TEST;

/* To where it is: nothing, however often */
GST_START_TEST (test_seek_to_where_it_is)
{
  Run run;
  guint i;

  run_begin (&run, windows[__i__]);
  for (i = 0; i < 100; i++) {
    run_seek (&run, run.position);
    run_write (&run, 1000);
  }
  run_seek (&run, run.position);
  if (!wb_sink_is_filesink ())
    fail_unless_equals_uint64 (wb_stat (run.rig->sink, "seeks"), 0);
  run_end (&run);
}
GST_END_TEST;

/*** Refused ******************************************************************/

static const guint64 impossible[] = { G_MAXUINT64, G_MAXUINT64 - 1,
  (guint64) G_MAXINT64 + 1, (guint64) G_MAXINT64 + 12345 };

GST_START_TEST (test_impossible)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);

  wb_rig_play (rig, GST_FORMAT_BYTES);
  wb_rig_fill (rig, 0, 1000, 1);
  fail_if (wb_rig_seek (rig, impossible[__i__]));
  wb_rig_assert_error (rig, GST_RESOURCE_ERROR_SEEK);

  /* What was written before is there all the same. */
  wb_rig_state (rig, GST_STATE_NULL);
  fail_unless_equals_int64 (wb_file_size (path), 1000);
  g_free (path);
}
GST_END_TEST;

/* The base counts: no file can have that byte. */
GST_START_TEST (test_impossible_from_base)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = NULL;

  WB_OWN_TEST ();

  wb_file_write (path, "0123456789", 10);
  rig = wb_rig_new (path, "append=true");
  wb_rig_play (rig, GST_FORMAT_BYTES);
  wb_rig_fill (rig, 0, 1000, 1);
  fail_if (wb_rig_seek (rig, (guint64) G_MAXINT64 - 5));
  wb_rig_assert_error (rig, GST_RESOURCE_ERROR_SEEK);
  g_free (path);
}
GST_END_TEST;

/* A muxer that goes on after a refusal gets no second error, and no clean
 * end: a sticky event that was refused comes again with the next buffer. */
GST_START_TEST (test_one_error)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = NULL;
  GstSegment segment;
  guint i;

  WB_OWN_TEST ();

  rig = wb_rig_new (path, NULL);
  wb_rig_play (rig, GST_FORMAT_BYTES);
  wb_rig_fill (rig, 0, 1000, 1);
  gst_segment_init (&segment, GST_FORMAT_BYTES);
  segment.start = segment.position = G_MAXUINT64;
  gst_pad_push_event (rig->src, gst_event_new_segment (&segment));
  for (i = 0; i < 3; i++) {
    fail_if (gst_pad_push (rig->src, wb_buffer (0, 1000, 2)) == GST_FLOW_OK);
    wb_rig_assert_error (rig, GST_RESOURCE_ERROR_SEEK);
  }
  wb_rig_eos (rig);
  wb_rig_assert_error (rig, GST_RESOURCE_ERROR_SEEK);
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 0);
  g_free (path);
}
GST_END_TEST;

/* One more than the system can write: that is an error, wherever it is
 * noticed, and not a file of another size. */
GST_START_TEST (test_beyond_what_can_be_written)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);

  wb_rig_play (rig, GST_FORMAT_BYTES);
  wb_rig_fill (rig, 0, 1000, 1);
  if (wb_rig_seek (rig, (guint64) G_MAXINT64 - 10)) {
    gst_pad_push (rig->src, wb_buffer (0, 100, 1));
    wb_rig_eos (rig);
    fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 0);
  }
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_ERROR), 1);
  wb_rig_state (rig, GST_STATE_NULL);
  fail_unless_equals_int64 (wb_file_size (path), 1000);
  g_free (path);
}
GST_END_TEST;

/* On a FIFO there is nowhere to go, but where it is already. */
GST_START_TEST (test_not_seekable)
{
  g_autoptr (WbFifo) fifo = wb_fifo_new ();
  g_autoptr (WbRig) rig = wb_rig_new (fifo->path, NULL);
  guint8 *wanted = wb_pattern (0, 3000, 1);
  guint i;

  wb_rig_play (rig, GST_FORMAT_BYTES);
  wb_fifo_read (fifo, 65536, 0);
  for (i = 0; i < 3; i++) {
    fail_unless (wb_rig_seek (rig, 1000 * i));
    wb_rig_write (rig, wanted + 1000 * i, 1000);
  }
  wb_rig_assert_quiet (rig);
  fail_if (wb_rig_seek (rig, 100));
  wb_rig_assert_error (rig, GST_RESOURCE_ERROR_SEEK);
  wb_rig_state (rig, GST_STATE_NULL);
  wb_fifo_finish (fifo);
  wb_assert_bytes (fifo->bytes->data, fifo->bytes->len, wanted, 3000);
  g_free (wanted);
}
GST_END_TEST;

static Suite *
segments_suite (void)
{
  Suite *suite = suite_create ("segments");
  TCase *tcase = wb_tcase (suite, "general");
  gint n = G_N_ELEMENTS (windows);

  tcase_add_loop_test (tcase, test_back_patches, 0, n);
  tcase_add_loop_test (tcase, test_patches_anywhere, 0, n);
  tcase_add_loop_test (tcase, test_patch_again_and_again, 0, n);
  tcase_add_loop_test (tcase, test_holes, 0, n);
  tcase_add_loop_test (tcase, test_seek_without_write, 0, n);
  tcase_add_loop_test (tcase, test_random, 0, 4 * n);
  tcase_add_loop_test (tcase, test_other_formats, 0, n);
  tcase_add_loop_test (tcase, test_only_start_counts, 0, n);
  tcase_add_loop_test (tcase, test_seek_to_where_it_is, 0, n);
  tcase_add_loop_test (tcase, test_impossible, 0, G_N_ELEMENTS (impossible));
  tcase_add_test (tcase, test_impossible_from_base);
  tcase_add_test (tcase, test_one_error);
  tcase_add_test (tcase, test_beyond_what_can_be_written);
  tcase_add_test (tcase, test_not_seekable);

  return suite;
}

WB_TEST_MAIN (segments)
