/* One case: the file is written with the act where the call hangs, and judged,
 * with what was left behind.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"
#include "matrix.h"

#include "../common/wbtest.h"

#include <glib/gstdio.h>
#include <string.h>

#define MOMENT (100 * MS)
#define LONGER (900 * MS)
#define INTERVAL (10 * MS)

/* Waits until the call hangs or the feeder is through. */
static gboolean
comes_to_hang (RigFeeder *feeder)
{
  while (!is_hanging () && !rig_feeder_is_done (feeder))
    g_usleep (500);
  return is_hanging ();
}

/* Streams a part, with the act if the call hangs in it. FALSE: nothing can
 * follow. */
static gboolean
stream_part (Run *run, const RigPart *planned)
{
  const Case *c = run->c;
  RigPart part = *planned;
  RigFeeder *feeder = rig_feed (run->rig, &part);
  GstFlowReturn flow;
  gint64 eos_us;

  if (comes_to_hang (feeder)) {
    look_for_hang (run);
    if (!run->acted)
      feeder = matrix_act (run, feeder, &part);
    /* The act has put other parts in the place of this. */
    if (feeder == NULL)
      return TRUE;
  }
  while (!rig_feeder_is_done (feeder))
    g_usleep (500);
  eos_us = rig_feeder_eos_us (feeder);
  flow = rig_feeder_end (feeder, NULL);
  look_for_hang (run);
  if (run->stopped)
    return FALSE;
  if (eos_us > within_timeout (run))
    case_end (CASE_LATE, "EOS took %.2f s", eos_us / 1e6);
  run->result->times_us[TIME_EOS] =
      MAX (run->result->times_us[TIME_EOS], eos_us);
  matrix_look_for_held_up_threads (run);
  look_for_loss (run);
  if (run->lost && run->hung == run->current) {
    case_check (flow != GST_FLOW_EOS, "EOS, and bytes are still queued");
    return FALSE;
  }
  if (c->situation == AT_EOS_ERROR && run->hung && c->hang != HANGS_A_MOMENT) {
    if (flow == GST_FLOW_EOS)
      case_end (CASE_LATE, "a timeout that is an error ends in EOS");
    return FALSE;
  }
  case_check (flow == (part.eos ? GST_FLOW_EOS : GST_FLOW_OK), "flow is %s: %s",
      gst_flow_get_name (flow), rig_complaint (run->rig));
  /* Nothing is known of the file until the call is back. */
  while (c->hang != HANGS_FOR_EVER && is_hanging ())
    g_usleep (500);
  return !is_hanging ();
}

static gpointer
ask_while_starting (gpointer data)
{
  Run *run = data;

  while (!fault_was_hit () && !g_atomic_int_get (&run->stopped))
    g_usleep (500);
  if (is_hanging ())
    matrix_ask_everything (run);
  return NULL;
}

static gboolean
start_first (Run *run)
{
  GThread *asker = NULL;
  gboolean started;

  if (run->c->situation == AT_QUERY && run->c->nth != 0)
    asker = g_thread_new ("asker", ask_while_starting, run);
  started = matrix_start (run, run->rig->pipeline, "start");
  if (asker != NULL) {
    g_atomic_int_set (&run->stopped, TRUE);
    g_thread_join (asker);
    run->stopped = FALSE;
  }
  look_for_hang (run);
  return started;
}

/* The base class takes nothing after EOS, up to READY. */
static void
go_on_after_eos (Run *run)
{
  rig_set_state (run->rig->pipeline, GST_STATE_READY, at_once (run),
      "PLAYING to READY", NULL);
  rig_set_state (run->rig->pipeline, GST_STATE_PLAYING, at_once (run),
      "READY to PLAYING", NULL);
}

/* What is done at the end, if nothing has hung before. */
static void
act_at_end (Run *run)
{
  static const RigPart nothing = { 2 * PART, 2 * PART, 1, TRUE };
  RigFeeder *feeder = matrix_act (run, NULL, &nothing);

  if (feeder != NULL)
    rig_feeder_end (feeder, NULL);
}

static void
stream (Run *run)
{
  guint i = 0;

  while (i < run->n_parts && !run->failed_start) {
    run->replaced = FALSE;
    if (!stream_part (run, &run->parts[i]))
      return;
    i++;
    if (i < run->n_parts && !run->replaced)
      go_on_after_eos (run);
    else if (!run->acted)
      act_at_end (run);
    if (run->replaced)
      i = 0;
  }
}

/* Writes a small file, start to end. */
static void
write_another (Run *run, const gchar *path, guint seed, GByteArray *model)
{
  RigPart part = { 0, SMALL_PART, seed, TRUE };
  Rig *rig = rig_new (path, "sync-timeout=20000000000");

  case_check (gst_element_set_state (rig->pipeline, GST_STATE_PLAYING)
          != GST_STATE_CHANGE_FAILURE,
      "a restart fails: %s", rig_complaint (rig));
  rig_feeder_end (rig_feed (rig, &part), NULL);
  gst_element_set_state (rig->pipeline, GST_STATE_NULL);
  case_check (rig_count (rig, RIG_COMPLAINTS) == 0, "after a restart: %s",
      rig_complaint (rig));
  case_check (strcmp (rig_last_result (rig), "durable") == 0,
      "the new file is %s", rig_last_result (rig));
  g_byte_array_set_size (model, 0);
  rig_model (model, &part);
  rig_assert_content (path, model);
  rig_free (rig);
}

static void
assert_busy (Run *run, const gchar *path)
{
  gint64 size = wb_file_size (path);
  Rig *rig = rig_new (path, "sync-timeout=20000000000");

  case_check (rig_set_state (rig->pipeline, GST_STATE_READY, at_once (run),
                  "a refused start", NULL)
          == GST_STATE_CHANGE_FAILURE,
      "a file that is still in use is opened again");
  case_check (rig_count (rig, RIG_COMPLAINTS) == 1
          && rig_nth (rig, GST_MESSAGE_ERROR, 0) != NULL
          && rig_nth (rig, GST_MESSAGE_ERROR, 0)->domain == GST_RESOURCE_ERROR
          && rig_nth (rig, GST_MESSAGE_ERROR, 0)->code
              == GST_RESOURCE_ERROR_BUSY,
      "not refused as busy: %s", rig_complaint (rig));
  case_check (wb_file_size (path) == size, "a refused start has touched it");
  gst_element_set_state (rig->pipeline, GST_STATE_NULL);
  rig_free (rig);
}

/* The thread that was left behind: nobody else gets the file, another file of
 * the same name is not touched, and when the call comes back the thread closes
 * and does nothing else. */
static void
check_left_behind (Run *run)
{
  const Target *target = run->hung;
  const gchar *path = target->path;
  g_autofree gchar *old = g_strconcat (path, ".old", NULL);
  g_autoptr (GByteArray) new_model = g_byte_array_new ();
  g_autoptr (GByteArray) model = g_byte_array_new ();
  /* One that hangs in its open, or before it was looked at, is known by its
   * name alone. */
  gboolean identified = !run->failed_start;
  guint before[FAULT_CALLS];

  assert_busy (run, path);
  if (identified) {
    case_check (g_rename (path, old) == 0, "rename failed");
    write_another (run, path, 8, new_model);
    assert_busy (run, old);
  }
  for (guint i = 0; i < FAULT_CALLS; i++)
    before[i] = fault_count (i);
  fault_release ();
  rig_assert_nothing_left (run->directory, run->scale);
  for (guint i = 0; i < FAULT_CALLS; i++)
    case_check (i == FAULT_CLOSE || fault_count (i) == before[i],
        "the thread that was left behind makes another call: %s",
        fault_name (i));
  if (identified) {
    rig_assert_content (path, new_model);
    rig_assert_within (old, target->content, target->after_flush);
  }
  write_another (run, identified ? old : path, 9, model);
}

static void
check_end (Run *run, gboolean given_up)
{
  const gchar *result = rig_last_result (run->rig);
  gboolean data = run->c->call == FAULT_SYNC_DATA;

  matrix_check_file (run, given_up);
  if (given_up || run->failed_start)
    return;
  case_check (strcmp (result, data ? "data" : "durable") == 0,
      "at the end the file is %s", result);
}

static void
set_up (Run *run)
{
  static const RigPart parts[] = { { 0, PART, 1, TRUE },
    { PART, 2 * PART, 1, TRUE } };
  const Case *c = run->c;
  gboolean small = c->situation == AT_PUSH || c->situation == AT_FLUSH
      || c->situation == AT_STOP || c->situation == AT_LOCATION
      || c->situation == AT_DISPOSE;
  g_autofree gchar *properties = g_strdup_printf (
      "chunk-size=1048576 max-dirty-bytes=2097152 "
      "max-dirty-time=0 max-queued-bytes=%d "
      "sync-timeout=%" G_GINT64_FORMAT " sync-on-eos=%s on-sync-timeout=%s",
      small ? SMALL_QUEUE : 2 * PART, scaled (run, SYNC_TIMEOUT) * 1000,
      c->call == FAULT_SYNC_DATA ? "data" : "full",
      c->situation == AT_EOS_ERROR ? "error" : "warn");

  fault_reset ();
  fault_ideal_disk (TRUE);
  if (c->nth != 0 && c->hang == HANGS_FOR_EVER)
    fault_hang (c->call, c->nth);
  else if (c->nth != 0)
    fault_delay (c->call, c->nth,
        (guint) scaled (run, c->hang == HANGS_LONGER ? LONGER : MOMENT));
  memcpy (run->parts, parts, sizeof parts);
  run->n_parts = 2;
  run->parts[1].eos = c->situation != AT_STOP;
  for (guint i = 0; i < run->n_parts && c->situation == AT_INTERVAL; i++)
    run->parts[i].linger_us = 4 * INTERVAL;
  run->current = &run->targets[0];
  run->current->path = g_build_filename (run->directory, "file", NULL);
  run->current->content = g_byte_array_new ();
  rig_model (run->current->content, &run->parts[0]);
  rig_model (run->current->content, &run->parts[1]);
  run->rig = rig_new (run->current->path, properties);
}

void
matrix_run_case (guint index, gdouble scale, const gchar *directory,
    gpointer data, CaseResult *result)
{
  const Case *c = &((const Case *) data)[index];
  Run run = {
    .c = c, .result = result, .directory = directory, .scale = scale
  };
  gboolean given_up;

  set_up (&run);
  if (start_first (&run))
    stream (&run);
  matrix_stop (&run);
  for (guint i = 0; i < FAULT_CALLS; i++)
    result->counts[i] = fault_count (i);
  if (c->nth != 0 && !fault_was_hit ())
    case_end (CASE_NOT_REACHED, "only %u calls", fault_count (c->call));

  given_up = is_hanging ();
  matrix_assert_complaints (&run);
  /* One that was given up and has come back since is not known either. */
  check_end (&run,
      run.hung != NULL
          && (run.lost || strcmp (rig_last_result (run.rig), "timeout") == 0));
  rig_free (run.rig);
  if (given_up && c->hang == HANGS_FOR_EVER)
    check_left_behind (&run);
  rig_assert_nothing_left (directory, scale);
}
