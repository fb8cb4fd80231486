/* What a pipeline wants of the element while a call hangs, and within which bound.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"
#include "matrix.h"

#define SETTLE (30 * MS)

void
matrix_ask_everything (Run *run)
{
  static const gchar *const names[] = { "location", "writeback-stats",
    "sync-timeout", "max-dirty-bytes", "last-sample", "stats" };
  GstElement *sink = run->rig->sink;
  gint64 began = g_get_monotonic_time (), position;
  GstQuery *query;

  gst_pad_peer_query_position (run->rig->src, GST_FORMAT_BYTES, &position);
  gst_element_query_position (sink, GST_FORMAT_BYTES, &position);
  gst_element_query_position (run->rig->pipeline, GST_FORMAT_BYTES, &position);
  gst_element_query_duration (sink, GST_FORMAT_TIME, &position);
  query = gst_query_new_seeking (GST_FORMAT_BYTES);
  gst_pad_peer_query (run->rig->src, query);
  gst_query_unref (query);
  query = gst_query_new_uri ();
  gst_element_query (sink, query);
  gst_query_unref (query);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    GValue value = G_VALUE_INIT;

    g_object_get_property (G_OBJECT (sink), names[i], &value);
    g_value_unset (&value);
  }
  g_object_set (sink, "max-queued-bytes", (guint64) 2 * PART, NULL);
  rig_check_bound (began, at_once (run), "asking", act_time (run));
}

/* Goes on with the rest of the part; the streaming thread that had it is gone
 * after READY. */
static RigFeeder *
pause_and_back (Run *run, RigFeeder *feeder, const RigPart *part)
{
  GstElement *pipeline = run->rig->pipeline;
  RigPart rest = *part;

#define GO(state, what)                                                        \
  rig_set_state (                                                              \
      pipeline, GST_STATE_##state, at_once (run), what, act_time (run))
  GO (PAUSED, "PLAYING to PAUSED");
  GO (PLAYING, "PAUSED to PLAYING");
  GO (PAUSED, "PLAYING to PAUSED again");
  GO (READY, "PAUSED to READY");
  if (feeder != NULL)
    rig_feeder_end (feeder, &rest);
  GO (PAUSED, "READY to PAUSED");
  feeder = rig_feed (run->rig, &rest);
  GO (PLAYING, "PAUSED to PLAYING at the end");
#undef GO
  return feeder;
}

/* The sync that EOS waited for goes on, and is over before NULL if the call comes
 * back: stop has to tell what became of it. */
static void
go_to_ready (Run *run, RigFeeder *feeder)
{
  rig_set_state (run->rig->pipeline, GST_STATE_READY, at_once (run),
      "PLAYING to READY", act_time (run));
  if (feeder != NULL)
    rig_feeder_end (feeder, NULL);
  while (run->c->hang != HANGS_FOR_EVER && is_hanging ())
    g_usleep (500);
  g_usleep (scaled (run, SETTLE));
  run->n_parts = 0;
}

gboolean
matrix_start (Run *run, GstElement *element, const gchar *what)
{
  gint64 bound =
      run->c->call == FAULT_OPEN || run->c->call == FAULT_FSTAT || is_hanging ()
      ? MAX (within_timeout (run), OPEN_TIMEOUT + scaled (run, GRACE))
      : within_timeout (run);
  GstStateChangeReturn change = rig_set_state (element, GST_STATE_PLAYING,
      bound, what, &run->result->times_us[TIME_START]);

  if (change != GST_STATE_CHANGE_FAILURE)
    return TRUE;
  run->failed_start = TRUE;
  look_for_hang (run);
  return FALSE;
}

void
matrix_check_file (Run *run, gboolean given_up)
{
  const Target *target = run->current;

  if (run->failed_start)
    return;
  if (given_up)
    rig_assert_within (target->path, target->content, target->after_flush);
  else
    rig_assert_content (target->path, run->rig->model);
}

void
matrix_stop (Run *run)
{
  if (run->stopped)
    return;
  rig_set_state (run->rig->pipeline, GST_STATE_NULL, within_timeout (run),
      "stop", &run->result->times_us[TIME_STOP]);
  run->stopped = TRUE;
  look_for_hang (run);
  look_for_loss (run);
}

static void
replace_parts (Run *run, const RigPart *part)
{
  g_byte_array_set_size (run->rig->model, 0);
  run->parts[0] = *part;
  run->n_parts = 1;
  run->replaced = TRUE;
}

/* As splitmuxsink does it: the sink alone goes to NULL and back. The file so
 * far is judged here; the rig goes on with the next one. */
static void
change_location (Run *run, RigFeeder *feeder)
{
  static const RigPart part = { 0, SMALL_PART, 7, TRUE };
  Target *next = &run->targets[1];
  Rig *rig = run->rig;

  rig_set_state (rig->sink, GST_STATE_NULL, within_timeout (run),
      "the sink's stop", &run->result->times_us[TIME_STOP]);
  if (feeder != NULL)
    rig_feeder_end (feeder, NULL);
  look_for_hang (run);
  look_for_loss (run);
  matrix_assert_complaints (run);
  matrix_check_file (run, is_hanging ());

  next->path = g_build_filename (run->directory, "second", NULL);
  next->content = g_byte_array_new ();
  rig_model (next->content, &part);
  run->current = next;
  replace_parts (run, &part);
  g_object_set (rig->sink, "location", next->path, NULL);
  matrix_start (run, rig->sink, "the next start");
}

/* The queue takes what its bound allows; then the push waits, says so after
 * each timeout, and can be interrupted. */
static void
watch_queue (Run *run, RigFeeder *feeder)
{
  Rig *rig = run->rig;

  while (!rig_feeder_is_done (feeder) && is_hanging ()
      && rig_count (rig, RIG_COMPLAINTS) < 2)
    g_usleep (1000);
  if (rig_feeder_is_done (feeder) || !is_hanging ()
      || rig_feeder_eos_us (feeder) != 0)
    return;
  case_check (rig_stat (rig, "queued-bytes") > SMALL_QUEUE - RIG_PIECE
          && rig_stat (rig, "peak-queued-bytes") <= SMALL_QUEUE,
      "%" G_GUINT64_FORMAT " bytes are queued, at most %" G_GUINT64_FORMAT,
      rig_stat (rig, "queued-bytes"), rig_stat (rig, "peak-queued-bytes"));
  rig_set_state (rig->pipeline, GST_STATE_PAUSED, at_once (run),
      "PAUSED while a push waits", act_time (run));
  rig_set_state (rig->pipeline, GST_STATE_PLAYING, at_once (run),
      "PLAYING while a push waits", act_time (run));
}

RigFeeder *
matrix_act (Run *run, RigFeeder *feeder, const RigPart *part)
{
  static const RigPart after_flush = { 0, SMALL_PART, 7, TRUE };

  run->acted = TRUE;
  /* So that the streaming thread waits by then, in a push or in EOS. */
  if (feeder != NULL && run->c->hang != HANGS_A_MOMENT)
    g_usleep (scaled (run, SETTLE));
  switch (run->c->situation) {
    case AT_EOS:
    case AT_EOS_ERROR:
    case AT_INTERVAL:
    case SITUATIONS:
      break;
    case AT_STOP:
    case AT_DISPOSE:
      matrix_stop (run);
      break;
    case AT_PAUSE:
      return pause_and_back (run, feeder, part);
    case AT_READY:
      go_to_ready (run, feeder);
      return NULL;
    case AT_FLUSH:
      rig_flush (run->rig, feeder, at_once (run), act_time (run));
      run->current->after_flush = g_byte_array_new ();
      rig_model (run->current->after_flush, &after_flush);
      replace_parts (run, &after_flush);
      return NULL;
    case AT_LOCATION:
      change_location (run, feeder);
      return NULL;
    case AT_QUERY:
      matrix_ask_everything (run);
      break;
    case AT_PUSH:
      if (feeder == NULL)
        break;
      watch_queue (run, feeder);
      if (rig_feeder_is_done (feeder))
        look_for_loss (run);
      fault_release ();
      while (is_hanging ())
        g_usleep (500);
      break;
  }
  return feeder;
}
