/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A flush that is under way while the sink goes to NULL: nobody waits in preroll
 * who does not hold its lock, and what stop waits for is not cut short.
 *
 * A FLUSH_START that has passed the pad when the state change begins comes to the
 * base class whenever its thread runs: it unlocks the element, takes the preroll
 * lock and ends the unlock, all of it beside stop.
 */

#include "../common/wbtest.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gst/base/gstbasesink.h>

#define SIZE WB_KIB (512)
#define BUFFER WB_KIB (64)
/* The lives of all rounds: 600. */
#define ROUNDS 10
#define LIVES 60
#define STOP_TAKES_US (40 * 1000)

/* --- a target that takes its time ------------------------------------------- */

typedef struct
{
  gchar *path;
  gint fd;
} Slow;

static void
slow_init (Slow *slow)
{
  slow->path = wb_path ("slow");
  fail_unless (mkfifo (slow->path, 0600) == 0);
  slow->fd = open (slow->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  fail_unless (slow->fd >= 0);
}

static void
slow_clear (Slow *slow)
{
  close (slow->fd);
  g_free (slow->path);
}

/* Takes all that is written, after a while. */
static gpointer
slow_read (gpointer data)
{
  Slow *slow = data;
  guint8 room[4096];
  gsize taken = 0;

  g_usleep (STOP_TAKES_US);
  while (taken < SIZE) {
    gssize n = read (slow->fd, room, sizeof room);

    if (n > 0)
      taken += (gsize) n;
    else if (n == 0 || errno == EAGAIN)
      g_usleep (1000);
  }
  return GSIZE_TO_POINTER (taken);
}

/* --- a flush ------------------------------------------------------------------ */

static gint entered; /* atomic: the flush has passed the pad */

/* Past the check of whether the pad still takes a flush. */
static GstPadProbeReturn
hold_up (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  if (GST_EVENT_TYPE (info->data) != GST_EVENT_FLUSH_START)
    return GST_PAD_PROBE_OK;
  g_atomic_int_set (&entered, TRUE);
  g_usleep (GPOINTER_TO_UINT (data));
  return GST_PAD_PROBE_OK;
}

static gpointer
flush_start (gpointer data)
{
  WbRig *rig = data;

  return GINT_TO_POINTER (
      gst_pad_push_event (rig->src, gst_event_new_flush_start ()));
}

static WbTask *
begin_flush (WbRig *rig, guint held_us)
{
  GstPad *pad = gst_element_get_static_pad (rig->sink, "sink");
  WbTask *task;
  guint i;

  g_atomic_int_set (&entered, FALSE);
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_EVENT_FLUSH, hold_up,
      GUINT_TO_POINTER (held_us), NULL);
  gst_object_unref (pad);
  task = wb_task_new (flush_start, rig);
  for (i = 0; i < WB_PATIENCE * 1000 && !g_atomic_int_get (&entered); i++)
    g_usleep (1000);
  fail_unless (g_atomic_int_get (&entered), "no flush");
  return task;
}

/* --- the tests ------------------------------------------------------------------ */

/* For filesink it is the push that waits. */
static void
live (guint held_us)
{
  gboolean filesink = wb_sink_is_filesink ();
  WbTask *reader = NULL, *flush;
  WbRig *rig;
  Slow slow;

  slow_init (&slow);
  rig = wb_rig_new (slow.path, NULL);
  wb_rig_play (rig, GST_FORMAT_BYTES);
  if (filesink)
    reader = wb_task_new (slow_read, &slow);
  wb_task_finish (wb_rig_fill_task (rig, 0, SIZE, BUFFER, 1), "pushing");
  flush = begin_flush (rig, held_us);
  if (!filesink)
    reader = wb_task_new (slow_read, &slow);
  wb_rig_state (rig, GST_STATE_NULL);
  wb_task_finish (flush, "the flush");
  wb_task_finish (reader, "reading");
  /* The flush may have taken it out of NULL again, as it does with any sink. */
  gst_element_abort_state (rig->sink);
  wb_rig_state (rig, GST_STATE_NULL);
  wb_rig_free (rig);
  unlink (slow.path);
  slow_clear (&slow);
}

GST_START_TEST (test_lives)
{
  g_autoptr (GRand) random = g_rand_new_with_seed ((guint32) __i__ + 1);
  guint i;

  for (i = 0; i < LIVES; i++) {
    live ((guint) g_rand_int_range (random, 20, 50) * 1000);
  }
}
GST_END_TEST;

/* What the base class does for the flush, at the worst time. */
GST_START_TEST (test_unlock_beside_stop)
{
  GstBaseSinkClass *klass;
  WbTask *stop, *reader;
  WbRig *rig;
  Slow slow;

  WB_OWN_TEST ();
  slow_init (&slow);
  rig = wb_rig_new (slow.path, NULL);
  klass = GST_BASE_SINK_GET_CLASS (rig->sink);
  wb_rig_play (rig, GST_FORMAT_BYTES);
  wb_task_finish (wb_rig_fill_task (rig, 0, SIZE, BUFFER, 1), "pushing");
  stop = wb_rig_state_task (rig, GST_STATE_NULL);
  fail_if (wb_task_ends_within (stop, 0.2), "nobody reads, and it has ended");

  klass->unlock (GST_BASE_SINK (rig->sink));
  fail_if (wb_task_ends_within (stop, 0.2), "stop was interrupted");
  klass->unlock_stop (GST_BASE_SINK (rig->sink));

  reader = wb_task_new (slow_read, &slow);
  fail_unless_equals_int (
      wb_task_state (stop, "stop"), GST_STATE_CHANGE_SUCCESS);
  fail_unless_equals_int (
      GPOINTER_TO_SIZE (wb_task_finish (reader, "reading")), SIZE);
  fail_unless_equals_int (wb_rig_count_syncs (rig), 1);
  fail_if (g_str_equal (wb_rig_nth_result (rig, 0), "cancelled"));
  wb_rig_assert_quiet (rig);
  wb_rig_free (rig);
  slow_clear (&slow);
}
GST_END_TEST;

/* One unlock was there before stop began. */
GST_START_TEST (test_unlock_before_stop)
{
  GstBaseSinkClass *klass;
  WbTask *stop, *reader;
  WbRig *rig;
  Slow slow;

  WB_OWN_TEST ();
  slow_init (&slow);
  rig = wb_rig_new (slow.path, NULL);
  klass = GST_BASE_SINK_GET_CLASS (rig->sink);
  wb_rig_play (rig, GST_FORMAT_BYTES);
  wb_task_finish (wb_rig_fill_task (rig, 0, SIZE, BUFFER, 1), "pushing");
  wb_rig_state (rig, GST_STATE_READY);
  klass->unlock (GST_BASE_SINK (rig->sink));
  stop = wb_rig_state_task (rig, GST_STATE_NULL);
  fail_if (wb_task_ends_within (stop, 0.2), "nobody reads, and it has ended");

  reader = wb_task_new (slow_read, &slow);
  fail_unless_equals_int (
      wb_task_state (stop, "stop"), GST_STATE_CHANGE_SUCCESS);
  fail_unless_equals_int (
      GPOINTER_TO_SIZE (wb_task_finish (reader, "reading")), SIZE);
  wb_rig_assert_quiet (rig);
  wb_rig_free (rig);
  slow_clear (&slow);
}
GST_END_TEST;

static Suite *
flushstop_suite (void)
{
  Suite *suite = suite_create ("flushstop");
  TCase *lives = wb_tcase (suite, "lives");
  TCase *tc = wb_tcase (suite, "general");

  tcase_add_loop_test (lives, test_lives, 0, ROUNDS);
  tcase_add_test (tc, test_unlock_beside_stop);
  tcase_add_test (tc, test_unlock_before_stop);
  return suite;
}

WB_TEST_MAIN (flushstop)
