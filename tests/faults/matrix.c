/* Nothing hangs: every system call, hanging at its first, second and last time,
 * for a moment, for longer than the bound and for ever, against everything a
 * pipeline may want of the element meanwhile.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A run writes one file in two parts, each ended by EOS (with READY between
 * them, which keeps the file), so that a call that is made once a sync is made
 * twice a run. When the call hangs, the situation's
 * act is done and timed; then the run goes on as far as it can and stops. The
 * sync timeout is a fraction of a second here, and the disk is an ideal one:
 * what a run waits for is the hang and nothing else.
 *
 *   matrix [WORDS]   runs the cases whose names contain every word
 */
#include "config.h"
#include "faultrig.h"

#include "../common/wbtest.h"

#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>

#define MS 1000
/* At scale 1. */
#define SYNC_TIMEOUT (300 * MS)
/* The least that opening is given. */
#define OPEN_TIMEOUT (500 * MS)
/* What has to answer at once has to do it before any timeout. */
#define AT_ONCE (250 * MS)
/* What is allowed beyond the timeout. */
#define GRACE (1000 * MS)
#define MOMENT (100 * MS)
#define LONGER (900 * MS)
#define INTERVAL (10 * MS)
#define SETTLE (30 * MS)

#define PART (28 * RIG_PIECE)
#define SMALL_QUEUE (8 * RIG_PIECE)
/* Fits the small queue, patches and all. */
#define SMALL_PART (6 * RIG_PIECE)

#define JOBS 32
#define CASE_SECONDS 20
/* How often a last call that did not come about is looked for again. */
#define LAST_TRIES 4

typedef enum
{
  AT_EOS,
  AT_EOS_ERROR, /* on-sync-timeout=error */
  AT_STOP,      /* to NULL at once, without EOS at the end */
  AT_PAUSE,     /* PAUSED and back, READY and back */
  AT_READY,     /* and then, when the call is back, to NULL */
  AT_FLUSH,
  AT_LOCATION, /* to NULL, another location, to PLAYING, as splitmuxsink */
  AT_DISPOSE,
  AT_QUERY,    /* and properties */
  AT_PUSH,     /* the queue fills, and the storage comes back */
  AT_INTERVAL, /* like EOS, and synced at intervals before it */
  SITUATIONS
} Situation;

typedef enum
{
  HANGS_A_MOMENT,
  HANGS_LONGER, /* than the bound, and comes back */
  HANGS_FOR_EVER,
  HANGS
} Hang;

typedef enum
{
  FIRST,
  SECOND,
  LAST
} Occurrence;

typedef struct
{
  FaultCall call;
  Occurrence occurrence;
  guint nth; /* 0: nothing hangs, the calls are counted */
  Hang hang;
  Situation situation;
} Case;

/* What a case times, in its result. */
enum
{
  TIME_START,
  TIME_ACT,
  TIME_EOS,
  TIME_STOP,
  TIMES
};

/* A file: what all of the parts make of it, before and after a flush. */
typedef struct
{
  gchar *path;
  GByteArray *content;
  GByteArray *after_flush; /* or NULL */
} Target;

/* A case that runs. */
typedef struct
{
  const Case *c;
  CaseResult *result;
  const gchar *directory;
  gdouble scale;
  Rig *rig;
  RigPart parts[2];
  guint n_parts;
  Target targets[2]; /* the second after a change of location */
  Target *current;
  Target *hung; /* whose call was seen hanging, or NULL */
  gboolean acted;
  gboolean replaced; /* the parts, by others that begin anew */
  gboolean stopped;
  gboolean failed_start;
  gboolean lost; /* it was given up with bytes in the queue */
} Run;

static const gchar *const situations[SITUATIONS] = { "EOS",
  "EOS, timeout is an error", "stop without EOS", "PAUSED and READY and back",
  "READY and NULL", "flush", "location change", "dispose", "query and property",
  "push and back", "sync-interval" };
static const gchar *const hangs[HANGS] = { "a moment", "longer", "for ever" };
static const gchar *const occurrences[] = { "first", "second", "last" };

static gint64
scaled (const Run *run, gint64 us)
{
  return (gint64) (us * run->scale);
}

static gint64
at_once (const Run *run)
{
  return scaled (run, AT_ONCE);
}

static gint64
within_timeout (const Run *run)
{
  return scaled (run, SYNC_TIMEOUT + GRACE);
}

static gint64 *
act_time (Run *run)
{
  return &run->result->times_us[TIME_ACT];
}

static gboolean
is_hanging (void)
{
  return fault_hanging_since () != 0;
}

/* Keeps which file it was. */
static void
look_for_hang (Run *run)
{
  if (run->hung == NULL && fault_was_hit ())
    run->hung = run->current;
}

/* What is in the queue when the wait for it ends is lost. */
static void
look_for_loss (Run *run)
{
  run->lost |= !run->failed_start && run->hung == run->current && is_hanging ()
      && rig_stat (run->rig, "queued-bytes") > 0;
}

/* --- what is said ----------------------------------------------------------- */

/* How the element calls it. */
static gboolean
names_the_call (const Case *c, const gchar *text)
{
  static const gchar *const names[FAULT_CALLS] = { "open", "fstat", "write",
    "sync_file_range (start)", "sync_file_range (wait)", "posix_fadvise (drop)",
    "fallocate", "ftruncate", "fallocate (punch)", "fstatfs", "fiemap", "fsync",
    "fdatasync", "fsync (directory)", "close" };
  g_autofree gchar *words = g_strdup_printf (": %s at offset ", names[c->call]);

  return strstr (text, words) != NULL;
}

/* "... has not returned for 0.3 s" */
static gdouble
seconds_named (const gchar *text)
{
  const gchar *words = strstr (text, "has not returned for ");

  return words != NULL
      ? g_ascii_strtod (words + strlen ("has not returned for "), NULL)
      : -1;
}

static void
assert_tells_of_hang (Run *run, const RigNote *note, gint64 timeout)
{
  gdouble seconds = seconds_named (note->text);
  gint64 since = fault_hanging_since ();

  case_check (strstr (note->text, run->hung->path) != NULL,
      "the file is not named: %s", note->text);
  case_check (names_the_call (run->c, note->text), "the call is not named: %s",
      note->text);
  /* A call may have begun after the wait for it has; and it is told with a
   * decimal. */
  if (seconds * G_USEC_PER_SEC < timeout / 2)
    case_end (CASE_LATE, "the time is wrong, %.2f s is the least: %s",
        timeout / 2e6, note->text);
  if (since != 0)
    case_check (seconds * G_USEC_PER_SEC
            <= note->at_us - since + 60 * MS + scaled (run, 20 * MS),
        "the time is wrong, %.2f s is the most: %s",
        (note->at_us - since) / 1e6, note->text);
}

/* What a busy machine does: a thread that was ready to run did not for as long
 * as the timeout, in none of the calls or beside the one that hangs. If it is
 * not the machine, it is so again with more time. */
static void
look_for_held_up_threads (Run *run)
{
  gboolean expected = run->hung != NULL && run->c->hang != HANGS_A_MOMENT;
  const RigNote *note;

  for (guint i = 0; (note = rig_nth (run->rig, RIG_COMPLAINTS, i)) != NULL; i++)
    if (note->domain == GST_RESOURCE_ERROR
        && (note->code == GST_RESOURCE_ERROR_SYNC || run->failed_start)
        && (!expected || seconds_named (note->text) < 0))
      case_end (CASE_LATE, "unexpected: %s", note->text);
}

/* A push that waits tells it after each timeout. */
static void
assert_repeated (Run *run, guint n)
{
  for (guint i = 1; i < n; i++) {
    gint64 between = rig_nth (run->rig, RIG_COMPLAINTS, i)->at_us
        - rig_nth (run->rig, RIG_COMPLAINTS, i - 1)->at_us;

    case_check (between >= scaled (run, SYNC_TIMEOUT * 9 / 10),
        "a warning after %.2f s", between / 1e6);
  }
}

static void
assert_one_complaint (Run *run)
{
  const RigNote *note = rig_nth (run->rig, RIG_COMPLAINTS, 0);
  gboolean fatal =
      run->c->situation == AT_EOS_ERROR || run->failed_start || run->lost;
  gint code = run->failed_start ? GST_RESOURCE_ERROR_OPEN_WRITE
      : run->lost               ? GST_RESOURCE_ERROR_WRITE
                                : GST_RESOURCE_ERROR_SYNC;

  case_check (note->type == (fatal ? GST_MESSAGE_ERROR : GST_MESSAGE_WARNING),
      "of the wrong type: %s", note->text);
  case_check (note->domain == GST_RESOURCE_ERROR && note->code == code,
      "of the wrong code: %s", note->text);
  assert_tells_of_hang (run, note,
      run->failed_start ? MAX (scaled (run, SYNC_TIMEOUT), OPEN_TIMEOUT)
                        : scaled (run, SYNC_TIMEOUT));
}

/* As many complaints as there should be, of the kind they should be. */
static void
assert_complaints (Run *run)
{
  const Case *c = run->c;
  guint n = rig_count (run->rig, RIG_COMPLAINTS);

  look_for_held_up_threads (run);
  if (run->hung == NULL || c->hang == HANGS_A_MOMENT) {
    case_check (n == 0, "unexpected: %s", rig_complaint (run->rig));
  } else if ((c->situation == AT_PUSH && n > 1)
      || (c->situation == AT_INTERVAL && n == 2)) {
    /* A sync at an interval tells it, and EOS after it. */
    assert_repeated (run, n);
  } else if (n == 1) {
    assert_one_complaint (run);
  } else if (n > 1) {
    case_end (CASE_LATE, "%u complaints instead of one: %s, and %s", n,
        rig_complaint (run->rig), rig_nth (run->rig, RIG_COMPLAINTS, 1)->text);
  } else if (c->hang == HANGS_LONGER && c->situation != AT_READY) {
    case_end (CASE_LATE, "it was over before anything waited for it");
  } else {
    case_check (c->hang == HANGS_LONGER, "nobody complains");
  }
}

/* --- the situations' acts ---------------------------------------------------- */

static void
ask_everything (Run *run)
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

/* The bound of a start. A file that cannot be opened in time is none. */
static gboolean
start (Run *run, GstElement *element, const gchar *what)
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

/* What was written to the current file. */
static void
check_file (Run *run, gboolean given_up)
{
  const Target *target = run->current;

  if (run->failed_start)
    return;
  if (given_up)
    rig_assert_within (target->path, target->content, target->after_flush);
  else
    rig_assert_content (target->path, run->rig->model);
}

static void
stop (Run *run)
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
  assert_complaints (run);
  check_file (run, is_hanging ());

  next->path = g_build_filename (run->directory, "second", NULL);
  next->content = g_byte_array_new ();
  rig_model (next->content, &part);
  run->current = next;
  replace_parts (run, &part);
  g_object_set (rig->sink, "location", next->path, NULL);
  start (run, rig->sink, "the next start");
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

/* What is done when the call hangs, or at the end if it has not hung yet.
 * Returns the feeder that goes on, or NULL. */
static RigFeeder *
act (Run *run, RigFeeder *feeder, const RigPart *part)
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
      stop (run);
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
      ask_everything (run);
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

/* --- a run ------------------------------------------------------------------- */

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
      feeder = act (run, feeder, &part);
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
  look_for_held_up_threads (run);
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
    ask_everything (run);
  return NULL;
}

static gboolean
start_first (Run *run)
{
  GThread *asker = NULL;
  gboolean started;

  if (run->c->situation == AT_QUERY && run->c->nth != 0)
    asker = g_thread_new ("asker", ask_while_starting, run);
  started = start (run, run->rig->pipeline, "start");
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
  RigFeeder *feeder = act (run, NULL, &nothing);

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

  check_file (run, given_up);
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

static void
run_case (guint index, gdouble scale, const gchar *directory, gpointer data,
    CaseResult *result)
{
  const Case *c = &((const Case *) data)[index];
  Run run = {
    .c = c, .result = result, .directory = directory, .scale = scale
  };
  gboolean given_up;

  set_up (&run);
  if (start_first (&run))
    stream (&run);
  stop (&run);
  for (guint i = 0; i < FAULT_CALLS; i++)
    result->counts[i] = fault_count (i);
  if (c->nth != 0 && !fault_was_hit ())
    case_end (CASE_NOT_REACHED, "only %u calls", fault_count (c->call));

  given_up = is_hanging ();
  assert_complaints (&run);
  /* One that was given up and has come back since is not known either. */
  check_end (&run,
      run.hung != NULL
          && (run.lost || strcmp (rig_last_result (run.rig), "timeout") == 0));
  rig_free (run.rig);
  if (given_up && c->hang == HANGS_FOR_EVER)
    check_left_behind (&run);
  rig_assert_nothing_left (directory, scale);
}

/* --- the matrix ---------------------------------------------------------------- */

static gchar *
case_name (const Case *c)
{
  return g_strdup_printf ("%s: %s %s (number %u) hangs %s",
      situations[c->situation], occurrences[c->occurrence],
      fault_name (c->call), c->nth, hangs[c->hang]);
}

static gboolean
is_chosen (const Case *c, char **words)
{
  g_autofree gchar *name = case_name (c);

  for (; *words != NULL; words++)
    if (strstr (name, *words) == NULL)
      return FALSE;
  return TRUE;
}

static void
add_cases (GArray *cases, Situation situation, FaultCall call, guint calls,
    char **words)
{
  const guint nths[] = { calls >= 1 ? 1 : 0, calls > 2 ? 2 : 0,
    calls > 1 ? calls : 0 };

  for (guint o = 0; o < G_N_ELEMENTS (nths); o++) {
    for (guint hang = 0; hang < HANGS && nths[o] != 0; hang++) {
      Case c = { call, o, nths[o], hang, situation };

      if (is_chosen (&c, words))
        g_array_append_val (cases, c);
    }
  }
}

/* How often each call is made in each situation, if nothing hangs. */
static GArray *
plan (char **words)
{
  GArray *cases = g_array_new (FALSE, FALSE, sizeof (Case));
  CasesConfig config = { .jobs = 4, .seconds = CASE_SECONDS };
  Case dry[SITUATIONS * 2];
  CaseResult *results;

  for (guint i = 0; i < G_N_ELEMENTS (dry); i++) {
    dry[i] = (Case){ .situation = i / 2 };
    dry[i].call = i % 2 == 0 ? FAULT_SYNC : FAULT_SYNC_DATA;
  }
  results = cases_run (run_case, dry, G_N_ELEMENTS (dry), &config);
  for (guint i = 0; i < G_N_ELEMENTS (dry); i++)
    if (results[i].verdict != CASE_PASSED)
      g_error ("%s, and nothing hangs: %s", situations[dry[i].situation],
          results[i].text);
  for (guint s = 0; s < SITUATIONS; s++)
    for (guint call = 0; call < FAULT_CALLS; call++)
      add_cases (cases, s, call,
          results[2 * s + (call == FAULT_SYNC_DATA)].counts[call], words);
  g_free (results);
  return cases;
}

/* How often some calls are made varies by a few: a last one that did not come
 * about is looked for among those that did. */
static guint
seek_last (GArray *cases, CaseResult *results, CasesConfig *config)
{
  guint left = 0;

  for (guint try = 0; try <= LAST_TRIES; try++) {
    g_autoptr (GArray) indices = g_array_new (FALSE, FALSE, sizeof (guint));
    g_autoptr (GArray) again = g_array_new (FALSE, FALSE, sizeof (Case));
    CaseResult *fresh;

    left = 0;
    for (guint i = 0; i < cases->len; i++) {
      Case *c = &g_array_index (cases, Case, i);

      if (results[i].verdict != CASE_NOT_REACHED)
        continue;
      left++;
      c->nth = MIN (c->nth - 1, results[i].counts[c->call]);
      if (c->nth == 0)
        continue;
      g_array_append_val (indices, i);
      g_array_append_val (again, *c);
    }
    if (again->len == 0 || try == LAST_TRIES)
      break;
    fresh = cases_run (run_case, again->data, again->len, config);
    for (guint k = 0; k < again->len; k++)
      results[g_array_index (indices, guint, k)] = fresh[k];
    g_free (fresh);
  }
  return left;
}

typedef struct
{
  guint cases, passed;
  gint64 times_us[TIMES];
} Tally;

static void
tally (Tally *sum, const CaseResult *result)
{
  if (result->verdict == CASE_NOT_REACHED)
    return;
  sum->cases++;
  sum->passed += result->verdict == CASE_PASSED;
  /* Those of a second run are of other bounds. */
  for (guint i = 0; i < TIMES && result->scale <= cases_scale (); i++)
    sum->times_us[i] = MAX (sum->times_us[i], result->times_us[i]);
}

static void
print_tally (const gchar *name, const Tally *sum)
{
  printf (
      "# %-26s %4u cases, %4u passed; longest start %.2f s, act %.3f s, EOS "
      "%.2f s, stop %.2f s\n",
      name, sum->cases, sum->passed, sum->times_us[TIME_START] / 1e6,
      sum->times_us[TIME_ACT] / 1e6, sum->times_us[TIME_EOS] / 1e6,
      sum->times_us[TIME_STOP] / 1e6);
}

/* What became of one call in one situation, and why. */
static Tally
report_line (const GArray *cases, const CaseResult *results,
    Situation situation, FaultCall call, guint *line)
{
  Tally sum = { 0 };

  for (guint i = 0; i < cases->len; i++) {
    const Case *c = &g_array_index (cases, Case, i);
    g_autofree gchar *name = case_name (c);

    if (c->situation != situation || c->call != call)
      continue;
    tally (&sum, &results[i]);
    if (results[i].verdict == CASE_LATE || results[i].verdict == CASE_FAILED)
      printf ("# %s: %s\n", name, results[i].text);
  }
  if (sum.cases > 0)
    printf ("%s %u - %s: %s hangs, %u cases\n",
        sum.passed == sum.cases ? "ok" : "not ok", ++*line,
        situations[situation], fault_name (call), sum.cases);
  return sum;
}

static void
add_tally (Tally *sum, const Tally *part)
{
  sum->cases += part->cases;
  sum->passed += part->passed;
  for (guint i = 0; i < TIMES; i++)
    sum->times_us[i] = MAX (sum->times_us[i], part->times_us[i]);
}

/* A line for each call and situation, and the sums. */
static gboolean
report (const GArray *cases, const CaseResult *results, guint not_reached,
    guint again)
{
  Tally all = { 0 }, sums[SITUATIONS] = { 0 };
  guint line = 0;

  for (guint s = 0; s < SITUATIONS; s++) {
    for (guint call = 0; call < FAULT_CALLS; call++) {
      Tally sum = report_line (cases, results, s, call, &line);

      add_tally (&sums[s], &sum);
    }
    add_tally (&all, &sums[s]);
  }
  printf ("1..%u\n", line);
  for (guint s = 0; s < SITUATIONS; s++)
    if (sums[s].cases > 0)
      print_tally (situations[s], &sums[s]);
  print_tally ("all", &all);
  printf (
      "# sync-timeout %.1f s; %u last calls were not reached; %u cases were "
      "run again with %d times the time\n",
      SYNC_TIMEOUT / 1e6, not_reached, again, CASES_PATIENCE);
  return all.passed == all.cases;
}

int
main (int argc, char **argv)
{
  CasesConfig config = { .jobs = JOBS, .seconds = CASE_SECONDS };
  CaseResult *results;
  guint not_reached;
  gboolean passed;
  GArray *cases;

  rig_init (&argc, &argv);
  setvbuf (stdout, NULL, _IOLBF, 0);
  cases = plan (argv + 1);
  results = cases_run (run_case, cases->data, cases->len, &config);
  not_reached = seek_last (cases, results, &config);
  passed = report (cases, results, not_reached, config.again);
  g_free (results);
  g_array_unref (cases);
  return passed ? 0 : 1;
}
