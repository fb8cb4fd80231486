/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A push, an EOS or a barrier waits for a target that takes nothing: a FIFO
 * that nobody reads. The application can pause, flush and stop all the same,
 * and what was accepted is neither lost nor written twice when the target
 * takes again.
 */

#include "../common/wbtest.h"

#include <gst/base/gstbasesink.h>

#include <string.h>

#define SIZE WB_MIB (3)
#define PUSH 30000

/* Stop waits for a target that may come back: not for long here. */
#define SMALL "max-queued-bytes=200000 sync-timeout=1000000000"
/* A barrier ends at the same bound: it must not be reached before the test has
 * begun to stop, on a machine that is busy with other things. */
#define BOUNDED "sync-timeout=6000000000"
/* Never gives up, so that what ends a wait is what the test does. */
#define PATIENT "max-queued-bytes=200000 sync-timeout=18446744073709551615"

typedef struct
{
  WbFifo *fifo;
  WbRig *rig;
  WbTask *task;
} Stuck;

/* A push waits, and has for some time. */
static void
stuck_begin (Stuck *stuck, const gchar *properties)
{
  stuck->fifo = wb_fifo_new ();
  stuck->rig = wb_rig_new (stuck->fifo->path, properties);
  wb_rig_play (stuck->rig, GST_FORMAT_TIME);
  stuck->task = wb_rig_fill_task (stuck->rig, 0, SIZE, PUSH, 1);
  fail_if (wb_task_ends_within (stuck->task, 0.7));
  fail_unless (wb_stat (stuck->rig->sink, "queued-bytes") <= 200000);
}

static void
stuck_end (Stuck *stuck)
{
  wb_rig_free (stuck->rig);
  wb_fifo_free (stuck->fifo);
}

static void
assert_all_in_order (Stuck *stuck)
{
  guint8 *wanted = wb_pattern (0, SIZE, 1);

  fail_unless_equals_int (wb_task_flow (stuck->task, "push"), GST_FLOW_OK);
  fail_unless (wb_rig_eos (stuck->rig));
  wb_rig_state (stuck->rig, GST_STATE_NULL);
  wb_rig_assert_quiet (stuck->rig);
  wb_fifo_finish (stuck->fifo);
  wb_assert_bytes (
      stuck->fifo->bytes->data, stuck->fifo->bytes->len, wanted, SIZE);
  g_free (wanted);
}

/* PAUSED and PLAYING, several times, while it waits; then it goes on where
 * it left off. */
GST_START_TEST (test_paused)
{
  Stuck stuck;
  guint i;

  stuck_begin (&stuck, PATIENT);
  for (i = 0; i < 5; i++) {
    fail_if (
        wb_rig_state (stuck.rig, GST_STATE_PAUSED) == GST_STATE_CHANGE_FAILURE);
    fail_if (wb_task_ends_within (stuck.task, 0.1));
    fail_if (wb_rig_state (stuck.rig, GST_STATE_PLAYING)
        == GST_STATE_CHANGE_FAILURE);
    fail_if (wb_task_ends_within (stuck.task, 0.1));
  }
  /* No change of state lets more in than may be. */
  fail_unless (wb_stat (stuck.rig->sink, "peak-queued-bytes") <= 200000);
  wb_fifo_read (stuck.fifo, 65536, 0);
  assert_all_in_order (&stuck);
  stuck_end (&stuck);
}
GST_END_TEST;

/* The reader is back while we are in PAUSED: what was accepted is written,
 * the push that waited stays until PLAYING. */
GST_START_TEST (test_paused_and_read)
{
  Stuck stuck;

  stuck_begin (&stuck, PATIENT);
  wb_rig_state (stuck.rig, GST_STATE_PAUSED);
  wb_fifo_read (stuck.fifo, 65536, 0);
  fail_if (wb_task_ends_within (stuck.task, 1.0));
  fail_unless_equals_uint64 (wb_stat (stuck.rig->sink, "queued-bytes"), 0);
  wb_rig_state (stuck.rig, GST_STATE_PLAYING);
  assert_all_in_order (&stuck);
  stuck_end (&stuck);
}
GST_END_TEST;

/* A bound may change while something waits for it. */
GST_START_TEST (test_bound_raised)
{
  Stuck stuck;

  stuck_begin (&stuck, PATIENT);
  wb_rig_set (stuck.rig, "max-queued-bytes=100000000");
  fail_unless (wb_task_ends_within (stuck.task, WB_PATIENCE));
  fail_unless_equals_int64 (wb_rig_position (stuck.rig), SIZE);
  wb_fifo_read (stuck.fifo, 65536, 0);
  assert_all_in_order (&stuck);
  stuck_end (&stuck);
}
GST_END_TEST;

GST_START_TEST (test_list)
{
  Stuck stuck = { wb_fifo_new () };
  GstBufferList *list = gst_buffer_list_new ();
  guint8 *wanted = wb_pattern (0, SIZE, 1);
  guint64 done = 0;
  guint i;

  /* A list goes in whole or not at all: in the middle of it nothing waits,
   * and nothing of it is repeated. */
  stuck.rig = wb_rig_new (stuck.fifo->path, PATIENT);
  wb_rig_play (stuck.rig, GST_FORMAT_TIME);
  stuck.task = wb_rig_fill_task (stuck.rig, 0, SIZE / 2, PUSH, 1);
  fail_if (wb_task_ends_within (stuck.task, 0.5));
  wb_fifo_read (stuck.fifo, 4096, 1000);
  fail_unless_equals_int (wb_task_flow (stuck.task, "push"), GST_FLOW_OK);
  done = SIZE / 2;
  for (i = 0; done < SIZE; i++) {
    gsize n = MIN (SIZE - done, 1000 + i % 7 * 3000);

    gst_buffer_list_add (list, wb_buffer (done, n, 1));
    done += n;
    if (i % 10 == 9 || done == SIZE) {
      wb_rig_state (stuck.rig, GST_STATE_PAUSED);
      wb_rig_state (stuck.rig, GST_STATE_PLAYING);
      fail_unless_equals_int (
          gst_pad_push_list (stuck.rig->src, list), GST_FLOW_OK);
      list = gst_buffer_list_new ();
    }
  }
  gst_buffer_list_unref (list);
  fail_unless (wb_rig_eos (stuck.rig));
  wb_rig_state (stuck.rig, GST_STATE_NULL);
  wb_fifo_finish (stuck.fifo);
  wb_assert_bytes (
      stuck.fifo->bytes->data, stuck.fifo->bytes->len, wanted, SIZE);
  g_free (wanted);
  stuck_end (&stuck);
}
GST_END_TEST;

GST_START_TEST (test_flush)
{
  Stuck stuck;
  guint8 *after = wb_pattern (0, 5000, 2), *before;
  gsize left;

  stuck_begin (&stuck, PATIENT);
  wb_rig_flush (stuck.rig);
  fail_unless_equals_int (wb_task_flow (stuck.task, "push"), GST_FLOW_FLUSHING);

  fail_unless (wb_rig_segment (stuck.rig, GST_FORMAT_TIME, 0));
  wb_rig_write (stuck.rig, after, 5000);
  wb_fifo_read (stuck.fifo, 65536, 0);
  fail_unless (wb_rig_eos (stuck.rig));
  wb_rig_state (stuck.rig, GST_STATE_NULL);
  wb_rig_assert_quiet (stuck.rig);
  wb_fifo_finish (stuck.fifo);

  /* What was through or under way, then what came after; no queue between */
  fail_unless (stuck.fifo->bytes->len >= 5000);
  left = stuck.fifo->bytes->len - 5000;
  fail_unless (left <= 65536 + WB_MIB (1));
  before = wb_pattern (0, left, 1);
  wb_assert_bytes (stuck.fifo->bytes->data, left, before, left);
  wb_assert_bytes (stuck.fifo->bytes->data + left, 5000, after, 5000);
  g_free (before);
  g_free (after);
  stuck_end (&stuck);
}
GST_END_TEST;

/* READY keeps the file and what it was given; a stuck target does not hold
 * the state change. */
GST_START_TEST (test_ready)
{
  Stuck stuck;
  guint8 *wanted;
  guint64 accepted;

  stuck_begin (&stuck, PATIENT);
  wb_rig_state (stuck.rig, GST_STATE_READY);
  fail_unless_equals_int (wb_task_flow (stuck.task, "push"), GST_FLOW_FLUSHING);
  accepted = wb_rig_position (stuck.rig);
  fail_unless (accepted > 0 && accepted % PUSH == 0);

  wb_rig_play (stuck.rig, GST_FORMAT_TIME);
  wb_fifo_read (stuck.fifo, 65536, 0);
  wb_rig_fill (stuck.rig, accepted, 1000, 1);
  fail_unless (wb_rig_eos (stuck.rig));
  wb_rig_state (stuck.rig, GST_STATE_NULL);
  wb_rig_assert_quiet (stuck.rig);
  wb_fifo_finish (stuck.fifo);
  wanted = wb_pattern (0, accepted + 1000, 1);
  wb_assert_bytes (
      stuck.fifo->bytes->data, stuck.fifo->bytes->len, wanted, accepted + 1000);
  g_free (wanted);
  stuck_end (&stuck);
}
GST_END_TEST;

static gpointer
take_preroll_lock (gpointer data)
{
  GST_BASE_SINK_PREROLL_LOCK (data);
  GST_BASE_SINK_GET_CLASS (data)->unlock_stop (data);
  GST_BASE_SINK_PREROLL_UNLOCK (data);
  return NULL;
}

/* A flush has unlocked and is about to take the preroll lock when another thread
 * pauses and plays: its unlock_stop is not the flush's, which would wait for as long
 * as the target does. */
GST_START_TEST (test_unlocked_twice)
{
  GstBaseSink *base;
  WbTask *flush;
  Stuck stuck;

  stuck_begin (&stuck, PATIENT);
  base = GST_BASE_SINK (stuck.rig->sink);
  GST_BASE_SINK_GET_CLASS (base)->unlock (base);
  wb_rig_state (stuck.rig, GST_STATE_PAUSED);
  wb_rig_state (stuck.rig, GST_STATE_PLAYING);
  flush = wb_task_new (take_preroll_lock, base);
  fail_unless (wb_task_ends_within (flush, 10),
      "whoever unlocked first waits for the target");
  wb_task_finish (flush, "the lock");
  wb_rig_state (stuck.rig, GST_STATE_PAUSED);
  wb_rig_state (stuck.rig, GST_STATE_PLAYING);
  wb_fifo_read (stuck.fifo, 65536, 0);
  assert_all_in_order (&stuck);
  stuck_end (&stuck);
}
GST_END_TEST;

/* NULL, with a push or an EOS waiting: bounded by sync-timeout. */
GST_START_TEST (test_null)
{
  Stuck stuck;
  gchar *result;

  stuck_begin (&stuck, SMALL);
  wb_rig_state (stuck.rig, GST_STATE_NULL);
  fail_unless_equals_int (wb_task_flow (stuck.task, "push"), GST_FLOW_FLUSHING);
  fail_unless_equals_int (wb_rig_count (stuck.rig, GST_MESSAGE_EOS), 0);
  fail_unless_equals_int (wb_rig_count_syncs (stuck.rig), 1);
  assert_equals_string (wb_rig_nth_result (stuck.rig, 0), "timeout");
  result = wb_stat_string (stuck.rig->sink, "sync-result");
  assert_equals_string (result, "timeout");
  g_free (result);
  stuck_end (&stuck);
}
GST_END_TEST;

/*** EOS waits ****************************************************************/

/* The queue holds all of it, and EOS waits for the drain. */
static void
stuck_eos_begin (Stuck *stuck, const gchar *properties)
{
  stuck->fifo = wb_fifo_new ();
  stuck->rig = wb_rig_new (stuck->fifo->path, properties);
  wb_rig_play (stuck->rig, GST_FORMAT_TIME);
  wb_rig_fill (stuck->rig, 0, SIZE, 1);
  stuck->task = wb_rig_eos_task (stuck->rig);
  fail_if (wb_task_ends_within (stuck->task, 0.5));
}

/* EOS comes, once, and all is well. */
static void
assert_ends (Stuck *stuck)
{
  fail_unless (wb_task_bool (stuck->task, "EOS"));
  fail_unless_equals_int (wb_rig_count (stuck->rig, GST_MESSAGE_EOS), 1);
  fail_unless_equals_int (wb_rig_count_syncs (stuck->rig), 1);
  wb_rig_assert_quiet (stuck->rig);
  wb_rig_state (stuck->rig, GST_STATE_NULL);
  wb_fifo_finish (stuck->fifo);
}

#define NEVER "sync-timeout=18446744073709551615"

GST_START_TEST (test_eos_and_paused)
{
  Stuck stuck;
  guint8 *wanted = wb_pattern (0, SIZE, 1);
  guint i;

  stuck_eos_begin (&stuck, __i__ == 0 ? NEVER : NEVER " async=false");
  for (i = 0; i < 5; i++) {
    fail_if (
        wb_rig_state (stuck.rig, GST_STATE_PAUSED) == GST_STATE_CHANGE_FAILURE);
    fail_if (wb_task_ends_within (stuck.task, 0.1));
    fail_if (wb_rig_state (stuck.rig, GST_STATE_PLAYING)
        == GST_STATE_CHANGE_FAILURE);
    fail_if (wb_task_ends_within (stuck.task, 0.1));
  }
  fail_unless_equals_int (wb_rig_count (stuck.rig, GST_MESSAGE_EOS), 0);
  wb_fifo_read (stuck.fifo, 65536, 0);
  assert_ends (&stuck);
  wb_assert_bytes (
      stuck.fifo->bytes->data, stuck.fifo->bytes->len, wanted, SIZE);
  g_free (wanted);
  stuck_end (&stuck);
}
GST_END_TEST;

/* The reader comes back in PAUSED; EOS is posted in PLAYING. */
GST_START_TEST (test_eos_done_in_paused)
{
  Stuck stuck;

  stuck_eos_begin (&stuck, __i__ == 0 ? NEVER : NEVER " async=false");
  wb_rig_state (stuck.rig, GST_STATE_PAUSED);
  wb_fifo_read (stuck.fifo, 65536, 0);
  fail_if (wb_task_ends_within (stuck.task, 1.0));
  fail_unless_equals_int (wb_rig_count (stuck.rig, GST_MESSAGE_EOS), 0);
  wb_rig_state (stuck.rig, GST_STATE_PLAYING);
  fail_unless (wb_task_bool (stuck.task, "EOS"));
  fail_unless_equals_int (wb_rig_count (stuck.rig, GST_MESSAGE_EOS), 1);
  wb_rig_state (stuck.rig, GST_STATE_NULL);
  wb_fifo_finish (stuck.fifo);
  fail_unless_equals_int (stuck.fifo->bytes->len, SIZE);
  stuck_end (&stuck);
}
GST_END_TEST;

/* A flushing step, which takes the state back until the next preroll. */
static void
step (Stuck *stuck)
{
  fail_unless (gst_element_send_event (stuck->rig->sink,
      gst_event_new_step (GST_FORMAT_BUFFERS, 1, 1.0, TRUE, FALSE)));
  fail_if (wb_task_ends_within (stuck->task, 0.2));
}

/* There is none after EOS: it is one itself. */
GST_START_TEST (test_eos_and_step)
{
  Stuck stuck;

  stuck_eos_begin (&stuck, NEVER);
  step (&stuck);
  step (&stuck);
  wb_rig_state (stuck.rig, GST_STATE_PLAYING);
  fail_unless_equals_int (
      gst_element_get_state (stuck.rig->sink, NULL, NULL, 5 * GST_SECOND),
      GST_STATE_CHANGE_SUCCESS);
  wb_fifo_read (stuck.fifo, 65536, 0);
  assert_ends (&stuck);
  fail_unless_equals_int (stuck.fifo->bytes->len, SIZE);
  stuck_end (&stuck);
}
GST_END_TEST;

/* So may the time to wait, and what comes of it. */
GST_START_TEST (test_eos_and_less_patience)
{
  Stuck stuck;

  stuck_eos_begin (&stuck, NEVER);
  wb_rig_set (stuck.rig, "on-sync-timeout=error");
  wb_rig_set (stuck.rig, "sync-timeout=1000000000");
  fail_if (wb_task_bool (stuck.task, "EOS"));
  fail_unless_equals_int (wb_rig_count (stuck.rig, GST_MESSAGE_ERROR), 1);
  fail_unless_equals_int (wb_rig_count_syncs (stuck.rig), 1);
  stuck_end (&stuck);
}
GST_END_TEST;

/* A flush calls it off: no error, and the stream begins anew. */
GST_START_TEST (test_eos_and_flush)
{
  Stuck stuck;

  stuck_eos_begin (&stuck, NEVER);
  wb_rig_flush (stuck.rig);
  fail_if (wb_task_bool (stuck.task, "EOS"));
  fail_unless_equals_int (wb_rig_count (stuck.rig, GST_MESSAGE_EOS), 0);
  fail_unless_equals_int (wb_rig_count_syncs (stuck.rig), 1);
  assert_equals_string (wb_rig_nth_result (stuck.rig, 0), "cancelled");
  wb_rig_assert_quiet (stuck.rig);

  fail_unless (wb_rig_segment (stuck.rig, GST_FORMAT_TIME, 0));
  wb_rig_fill (stuck.rig, 0, 1000, 2);
  wb_fifo_read (stuck.fifo, 65536, 0);
  fail_unless (wb_rig_eos (stuck.rig));
  fail_unless_equals_int (wb_rig_count (stuck.rig, GST_MESSAGE_EOS), 1);
  fail_unless_equals_int (wb_rig_count_syncs (stuck.rig), 2);
  wb_rig_assert_quiet (stuck.rig);
  stuck_end (&stuck);
}
GST_END_TEST;

/* So does a shutdown; what then comes of the data is stop's to say. */
GST_START_TEST (test_eos_and_null)
{
  Stuck stuck;

  stuck_eos_begin (&stuck, "sync-timeout=2000000000");
  wb_rig_state (stuck.rig, GST_STATE_NULL);
  fail_if (wb_task_bool (stuck.task, "EOS"));
  fail_unless_equals_int (wb_rig_count (stuck.rig, GST_MESSAGE_EOS), 0);
  fail_unless_equals_int (wb_rig_count (stuck.rig, GST_MESSAGE_ERROR), 0);
  fail_unless_equals_int (wb_rig_count_syncs (stuck.rig), 2);
  assert_equals_string (wb_rig_nth_result (stuck.rig, 0), "cancelled");
  assert_equals_string (wb_rig_nth_result (stuck.rig, 1), "timeout");
  stuck_end (&stuck);
}
GST_END_TEST;

/*** A barrier waits **********************************************************/

static void
stuck_barrier_begin (Stuck *stuck, const gchar *properties)
{
  GstBuffer *buffer = wb_buffer (SIZE, 1000, 1);

  GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_SYNC_AFTER);
  stuck->fifo = wb_fifo_new ();
  stuck->rig = wb_rig_new (stuck->fifo->path, properties);
  wb_rig_play (stuck->rig, GST_FORMAT_TIME);
  wb_rig_fill (stuck->rig, 0, SIZE, 1);
  stuck->task = wb_rig_push_task (stuck->rig, buffer);
  fail_if (wb_task_ends_within (stuck->task, 0.5));
}

GST_START_TEST (test_barrier_and_paused)
{
  Stuck stuck;
  guint8 *wanted = wb_pattern (0, SIZE + 1000, 1);
  guint i;

  stuck_barrier_begin (&stuck, NEVER);
  for (i = 0; i < 3; i++) {
    wb_rig_state (stuck.rig, GST_STATE_PAUSED);
    fail_if (wb_task_ends_within (stuck.task, 0.1));
    wb_rig_state (stuck.rig, GST_STATE_PLAYING);
    fail_if (wb_task_ends_within (stuck.task, 0.1));
  }
  wb_fifo_read (stuck.fifo, 65536, 0);
  fail_unless_equals_int (wb_task_flow (stuck.task, "push"), GST_FLOW_OK);
  fail_unless (wb_rig_eos (stuck.rig));
  wb_rig_state (stuck.rig, GST_STATE_NULL);
  wb_rig_assert_quiet (stuck.rig);
  wb_fifo_finish (stuck.fifo);
  wb_assert_bytes (
      stuck.fifo->bytes->data, stuck.fifo->bytes->len, wanted, SIZE + 1000);
  g_free (wanted);
  stuck_end (&stuck);
}
GST_END_TEST;

GST_START_TEST (test_barrier_and_flush)
{
  Stuck stuck;

  stuck_barrier_begin (&stuck, NEVER);
  wb_rig_flush (stuck.rig);
  fail_unless_equals_int (wb_task_flow (stuck.task, "push"), GST_FLOW_FLUSHING);
  wb_rig_assert_quiet (stuck.rig);
  wb_fifo_read (stuck.fifo, 65536, 0);
  fail_unless (wb_rig_segment (stuck.rig, GST_FORMAT_TIME, 0));
  wb_rig_fill (stuck.rig, 0, 1000, 2);
  fail_unless (wb_rig_eos (stuck.rig));
  wb_rig_assert_quiet (stuck.rig);
  stuck_end (&stuck);
}
GST_END_TEST;

GST_START_TEST (test_barrier_and_step)
{
  Stuck stuck;

  stuck_barrier_begin (&stuck, NEVER);
  step (&stuck);
  step (&stuck);
  wb_fifo_read (stuck.fifo, 65536, 0);
  fail_unless_equals_int (wb_task_flow (stuck.task, "push"), GST_FLOW_OK);
  stuck.task = wb_rig_eos_task (stuck.rig);
  wb_rig_await (stuck.rig, GST_MESSAGE_ASYNC_DONE);
  wb_rig_state (stuck.rig, GST_STATE_PLAYING);
  fail_unless (wb_task_bool (stuck.task, "EOS"));
  wb_rig_assert_quiet (stuck.rig);
  stuck_end (&stuck);
}
GST_END_TEST;

GST_START_TEST (test_barrier_and_step_and_null)
{
  Stuck stuck;

  stuck_barrier_begin (&stuck, BOUNDED);
  step (&stuck);
  wb_rig_state (stuck.rig, GST_STATE_NULL);
  fail_unless_equals_int (wb_task_flow (stuck.task, "push"), GST_FLOW_FLUSHING);
  stuck_end (&stuck);
}
GST_END_TEST;

GST_START_TEST (test_barrier_and_null)
{
  Stuck stuck;

  stuck_barrier_begin (&stuck, BOUNDED);
  wb_rig_state (stuck.rig, GST_STATE_NULL);
  fail_unless_equals_int (wb_task_flow (stuck.task, "push"), GST_FLOW_FLUSHING);
  fail_unless_equals_int (wb_rig_count (stuck.rig, GST_MESSAGE_ERROR), 0);
  stuck_end (&stuck);
}
GST_END_TEST;

static Suite *
unlock_suite (void)
{
  Suite *suite = suite_create ("unlock");
  TCase *tcase;

  /* filesink would hang in most of these. */
  if (wb_sink_is_filesink ())
    return suite;

  tcase = wb_tcase (suite, "push");
  tcase_add_test (tcase, test_paused);
  tcase_add_test (tcase, test_paused_and_read);
  tcase_add_test (tcase, test_bound_raised);
  tcase_add_test (tcase, test_list);
  tcase_add_test (tcase, test_flush);
  tcase_add_test (tcase, test_ready);
  tcase_add_test (tcase, test_unlocked_twice);
  tcase_add_test (tcase, test_null);

  tcase = wb_tcase (suite, "eos");
  tcase_add_loop_test (tcase, test_eos_and_paused, 0, 2);
  tcase_add_loop_test (tcase, test_eos_done_in_paused, 0, 2);
  tcase_add_test (tcase, test_eos_and_step);
  tcase_add_test (tcase, test_eos_and_less_patience);
  tcase_add_test (tcase, test_eos_and_flush);
  tcase_add_test (tcase, test_eos_and_null);

  tcase = wb_tcase (suite, "barrier");
  tcase_add_test (tcase, test_barrier_and_paused);
  tcase_add_test (tcase, test_barrier_and_step);
  tcase_add_test (tcase, test_barrier_and_step_and_null);
  tcase_add_test (tcase, test_barrier_and_flush);
  tcase_add_test (tcase, test_barrier_and_null);

  return suite;
}

WB_TEST_MAIN (unlock)
