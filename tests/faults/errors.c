/* Every error is heard: each system call fails at its first, second, ... time,
 * until a run passes untouched. What lost data ends in one ERROR of the right
 * kind and never in a clean EOS; what is interrupted or short is continued; a
 * hint that is refused changes nothing but a line in the log.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A run writes one file in two parts with EOS at the end of each (the second
 * one also without: then it is stop that has to tell), and starts once more on
 * the same file. It is on an ideal disk, so that only what is planned fails.
 */
#include "config.h"
#include "faultrig.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>

#define PART (24 * RIG_PIECE)
#define SMALL_PART (4 * RIG_PIECE)
/* Only to tell a hang. */
#define GENEROUS_US (30 * G_USEC_PER_SEC)
#define POSTING_US (10 * 1000)
/* Once, as on a machine that is busy with other things. */
#define LONG_POSTING_US (400 * 1000)
#define NEXT_TRY_US (25 * 1000)
#define PREROLL_US 150
#define JOBS 8
#define CASE_SECONDS 120
/* More calls than any run makes of a kind. */
#define MOST_CALLS 400

typedef enum
{
  LOSES_DATA, /* the call fails, once */
  REFUSES,    /* it says that it is not for this file, once */
  REFUSES_FOR_EVER,
  INTERRUPTED, /* three times in a row */
  SHORTENED,   /* each write; and each is interrupted, too */
  MEANS
} Means;

typedef struct
{
  Means means;
  FaultCall call;
  int code;
  gboolean transient; /* with max-transient-error-timeout */
  gboolean eos;       /* at the end of the second part, too */
} Case;

static const gchar *const means_names[MEANS] = { "fails", "refuses",
  "refuses for ever", "is interrupted", "is short and interrupted" };

/* What is to come of it. */
typedef enum
{
  NOTHING,
  ONE_LINE,     /* at INFO, and nothing else */
  SKIPPED_SYNC, /* the target has none: no error, and nothing promised */
  AN_ERROR
} Outcome;

/* What comes at the worst time. */
typedef enum
{
  SLOW_POSTER, /* the message of the error */
  LATE_NEWS,   /* what the file's threads have to say */
  DELAYS
} Delay;

static Delay delay;
static gulong posting_us;

/* --- the log ----------------------------------------------------------------- */

static gint info_lines; /* atomic */
static const gchar *reason;

/* Between an error that was made up and its message on the bus: the thread that
 * posts is held up, while the others go on, up to NULL. */
static void
hold_up_poster (GstDebugMessage *message)
{
  if (delay == SLOW_POSTER
      && g_str_has_prefix (gst_debug_message_get (message), "posting message"))
    g_usleep (posting_us);
}

static void
hear_line (GstDebugCategory *category, GstDebugLevel level, const gchar *file,
    const gchar *function, gint line, GObject *object, GstDebugMessage *message,
    gpointer data)
{
  const gchar *name = gst_debug_category_get_name (category);

  if (level != GST_LEVEL_INFO)
    return;
  if (strcmp (name, "wbfilesink") == 0
      && strstr (gst_debug_message_get (message), reason) != NULL)
    g_atomic_int_inc (&info_lines);
  else if (strcmp (name, "GST_ERROR_SYSTEM") == 0)
    hold_up_poster (message);
}

static void
listen_to_log (int code)
{
  reason = g_strerror (code);
  gst_debug_remove_log_function (gst_debug_log_default);
  gst_debug_add_log_function (hear_line, NULL, NULL);
  gst_debug_set_threshold_for_name ("wbfilesink", GST_LEVEL_INFO);
  gst_debug_set_threshold_for_name ("GST_ERROR_SYSTEM", GST_LEVEL_INFO);
  gst_debug_set_active (TRUE);
}

/* --- news that come late ---------------------------------------------------------- */

typedef struct
{
  GstElement *element;
  GstElementCallAsyncFunc func;
  gpointer data;
  GDestroyNotify destroy;
  Delay delay;
} Call;

static gboolean
is_starting (GstElement *element)
{
  gboolean starts;

  GST_OBJECT_LOCK (element);
  starts = GST_STATE (element) == GST_STATE_READY
      && GST_STATE_NEXT (element) == GST_STATE_PAUSED;
  GST_OBJECT_UNLOCK (element);
  return starts;
}

/* About when the next try prerolls, if there is one. */
static void
wait_for_next_try (GstElement *element)
{
  gint64 deadline = g_get_monotonic_time () + NEXT_TRY_US;

  while (!is_starting (element) && g_get_monotonic_time () < deadline)
    g_usleep (20);
  g_usleep ((gulong) g_random_int_range (0, PREROLL_US));
}

static gpointer
call (gpointer data)
{
  Call *c = data;

  if (c->delay == LATE_NEWS)
    wait_for_next_try (c->element);
  c->func (c->element, c->data);
  if (c->destroy != NULL)
    c->destroy (c->data);
  gst_object_unref (c->element);
  g_free (c);
  return NULL;
}

/* Instead of GStreamer's own, which on a busy machine comes late now and then. */
void
gst_element_call_async (GstElement *element, GstElementCallAsyncFunc func,
    gpointer user_data, GDestroyNotify destroy_notify)
{
  Call *c = g_new (Call, 1);

  *c = (Call){ gst_object_ref (element), func, user_data, destroy_notify,
    delay };
  g_thread_unref (g_thread_new ("call", call, c));
}

/* --- what is expected ---------------------------------------------------------- */

static gboolean
is_silent_hint (FaultCall call)
{
  return call == FAULT_PUNCH || call == FAULT_FREE_SPACE
      || call == FAULT_BLOCKS_BEYOND;
}

/* These hand out, once, what became of earlier writes, with any number: they are
 * refused only if they never worked, and say the same when they are asked again. */
static gboolean
tells_of_writes (FaultCall call)
{
  return call == FAULT_START || call == FAULT_WAIT || call == FAULT_SYNC
      || call == FAULT_SYNC_DATA;
}

/* For ever: one that is full for a batch may not be for half of it. */
static gboolean
is_full_disk (const Case *c)
{
  return c->call == FAULT_WRITE && (c->code == ENOSPC || c->code == EDQUOT);
}

static Outcome
expected_outcome (const Case *c, guint nth)
{
  if (c->means == SHORTENED || is_silent_hint (c->call))
    return NOTHING;
  if (c->means == INTERRUPTED)
    return tells_of_writes (c->call) ? AN_ERROR : NOTHING;
  if (c->call == FAULT_DROP || c->call == FAULT_RESERVE)
    return ONE_LINE;
  if (c->means == REFUSES || (c->means == REFUSES_FOR_EVER && nth > 1))
    return AN_ERROR;
  if (c->means == REFUSES_FOR_EVER)
    return c->call == FAULT_SYNC ? SKIPPED_SYNC : ONE_LINE;
  /* A directory that cannot be opened or synced is the file system's manner. */
  if (c->call == FAULT_SYNC_DIRECTORY
      && (c->code == EACCES || c->code == EROFS))
    return ONE_LINE;
  if (c->call == FAULT_WRITE && c->code == EACCES && c->transient)
    return NOTHING;
  /* A sandbox does not let us give space back, or see which file it is. */
  if (c->code == EACCES && c->call == FAULT_FSTAT)
    return nth == 1 ? NOTHING : ONE_LINE;
  if (c->code == EACCES && c->call == FAULT_TRUNCATE)
    return ONE_LINE;
  return AN_ERROR;
}

/* Before there is a file everything is a failure to open. */
static gint
expected_code (const Case *c, gboolean started)
{
  if (!started)
    return GST_RESOURCE_ERROR_OPEN_WRITE;
  if (c->code == ENOSPC || c->code == EDQUOT)
    return GST_RESOURCE_ERROR_NO_SPACE_LEFT;
  if (c->call == FAULT_SYNC || c->call == FAULT_SYNC_DATA
      || c->call == FAULT_SYNC_DIRECTORY)
    return GST_RESOURCE_ERROR_SYNC;
  return c->call == FAULT_CLOSE ? GST_RESOURCE_ERROR_CLOSE
                                : GST_RESOURCE_ERROR_WRITE;
}

static const gchar *
clean_result (const Case *c)
{
  return c->call == FAULT_SYNC_DATA ? "data" : "durable";
}

/* A directory that may not be synced leaves the name unknown, and so does a file
 * that can't be told from another. */
static gboolean
hides_the_name (const Case *c, guint nth)
{
  if (c->call == FAULT_FSTAT)
    return nth == 1 && c->code == EACCES;
  return c->call == FAULT_SYNC_DIRECTORY
      && (c->code == EACCES || c->code == EROFS);
}

static gboolean
has_result (Rig *rig, const gchar *result)
{
  const RigNote *note;

  for (guint i = 0; (note = rig_nth (rig, GST_MESSAGE_ELEMENT, i)) != NULL; i++)
    if (g_strcmp0 (note->result, result) == 0)
      return TRUE;
  return FALSE;
}

/* --- a run ----------------------------------------------------------------------- */

typedef struct
{
  const Case *c;
  guint nth;
  Rig *rig;
  gboolean started;
  guint parts_ended; /* by EOS, cleanly */
  guint tries;       /* that failed: each says so */
} Run;

#define check(run, condition, ...)                                             \
  G_STMT_START                                                                 \
  {                                                                            \
    if (!(condition)) {                                                        \
      g_autofree gchar *__t = g_strdup_printf (__VA_ARGS__);                   \
      case_end (CASE_FAILED, "number %u: %s", (run)->nth, __t);                \
    }                                                                          \
  }                                                                            \
  G_STMT_END

static void
assert_error (Run *run)
{
  const Case *c = run->c;
  const RigNote *note = rig_nth (run->rig, RIG_COMPLAINTS, 0);
  guint n = rig_count (run->rig, RIG_COMPLAINTS);
  const gchar *place = note != NULL && note->code == GST_RESOURCE_ERROR_CLOSE
      ? " after "
      : " at offset ";
  const RigNote *eos;

  check (run, n == MAX (run->tries, 1),
      "%u complaints after %u tries, the first: %s", n, run->tries,
      rig_complaint (run->rig));
  check (run, note->type == GST_MESSAGE_ERROR, "no error: %s", note->text);
  check (run,
      note->domain == GST_RESOURCE_ERROR
          && note->code == expected_code (c, run->started),
      "of the wrong code (%d): %s", note->code, note->text);
  check (run, strstr (note->text, run->rig->path) != NULL,
      "the file is not named: %s", note->text);
  check (run, strstr (note->text, g_strerror (c->code)) != NULL,
      "the reason is not named: %s", note->text);
  check (run, !run->started || strstr (note->text, place) != NULL,
      "the offset is not named: %s", note->text);
  for (guint i = 0; (eos = rig_nth (run->rig, GST_MESSAGE_EOS, i)) != NULL; i++)
    check (run, eos->at_us <= note->at_us, "EOS after the error");
  check (run, c->call == FAULT_CLOSE || run->parts_ended < 2,
      "the EOS of what was lost is clean");
  if (run->started)
    check (run,
        strcmp (rig_last_result (run->rig),
            c->call == FAULT_CLOSE ? clean_result (c) : "failed")
            == 0,
        "the result is %s", rig_last_result (run->rig));
}

static void
assert_outcome (Run *run, gboolean hit, const GByteArray *content)
{
  Outcome outcome = hit ? expected_outcome (run->c, run->nth) : NOTHING;
  gint lines = g_atomic_int_get (&info_lines);

  if (outcome == AN_ERROR) {
    assert_error (run);
    rig_assert_within (run->rig->path, content, NULL);
    return;
  }
  check (run, run->started, "it does not start: %s", rig_complaint (run->rig));
  check (run, rig_count (run->rig, RIG_COMPLAINTS) == 0, "unexpected: %s",
      rig_complaint (run->rig));
  if (outcome != SKIPPED_SYNC)
    check (
        run, lines == (outcome == ONE_LINE ? 1 : 0), "%d lines at INFO", lines);
  if (hit && hides_the_name (run->c, run->nth))
    check (run, has_result (run->rig, "data"),
        "the name is not known to be on the disk, and the result is %s",
        rig_last_result (run->rig));
  else if (outcome != SKIPPED_SYNC)
    check (run, strcmp (rig_last_result (run->rig), clean_result (run->c)) == 0,
        "the result is %s", rig_last_result (run->rig));
  rig_assert_content (run->rig->path, run->rig->model);
  check (run, run->rig->model->len == content->len, "not all was accepted");
}

/* FALSE: it did not end well. */
static gboolean
stream_part (Run *run, const RigPart *part)
{
  GstFlowReturn flow = rig_feeder_end (rig_feed (run->rig, part), NULL);

  run->parts_ended += flow == GST_FLOW_EOS;
  if (flow == (part->eos ? GST_FLOW_EOS : GST_FLOW_OK))
    return TRUE;
  run->tries++;
  return FALSE;
}

/* The base class takes nothing after EOS, up to READY. */
static void
go_on_after_eos (Run *run)
{
  gst_element_set_state (run->rig->pipeline, GST_STATE_READY);
  gst_element_set_state (run->rig->pipeline, GST_STATE_PLAYING);
}

static void
stream (Run *run, const RigPart *parts)
{
  const RigPart nothing = { parts[1].to, parts[1].to, 1, TRUE };
  GstElement *pipeline = run->rig->pipeline;
  gboolean ok = FALSE;

  run->started = gst_element_set_state (pipeline, GST_STATE_PLAYING)
      != GST_STATE_CHANGE_FAILURE;
  if (run->started && stream_part (run, &parts[0])) {
    go_on_after_eos (run);
    ok = stream_part (run, &parts[1]);
  }
  /* An error is no less of one the second time. */
  if (run->started && !ok) {
    go_on_after_eos (run);
    check (run, !stream_part (run, &nothing), "the second EOS is clean");
  }
  gst_element_set_state (pipeline, GST_STATE_NULL);
}

/* What failed is forgotten by the next start, and not before. */
static void
start_again (Run *run)
{
  static const RigPart part = { 0, SMALL_PART, 3, TRUE };
  g_autoptr (GByteArray) content = g_byte_array_new ();
  Rig *rig = run->rig;
  guint n = rig_count (rig, RIG_COMPLAINTS);

  rig_model (content, &part);
  if (is_full_disk (run->c)) {
    fault_reset ();
    fault_ideal_disk (TRUE);
  }
  gst_element_set_state (rig->pipeline, GST_STATE_PLAYING);
  rig_feeder_end (rig_feed (rig, &part), NULL);
  gst_element_set_state (rig->pipeline, GST_STATE_NULL);
  check (run, rig_count (rig, RIG_COMPLAINTS) == n, "after a new start: %s",
      rig_nth (rig, RIG_COMPLAINTS, n)->text);
  check (run, strcmp (rig_last_result (rig), clean_result (run->c)) == 0,
      "after a new start: %s", rig_last_result (rig));
  rig_assert_content (rig->path, content);
}

static void
set_plan (const Case *c, guint nth)
{
  fault_reset ();
  fault_ideal_disk (TRUE);
  if (c->means == SHORTENED) {
    fault_shorten_writes (1000);
    fault_interrupt_writes (TRUE);
    return;
  }
  fault_fail (c->call, nth,
      c->means == REFUSES_FOR_EVER || is_full_disk (c) ? G_MAXUINT - nth
          : c->means == INTERRUPTED                    ? 3
                                                       : 1,
      c->code);
}

/* FALSE: what was planned did not come about any more. */
static gboolean
run_once (const Case *c, guint nth, const gchar *path)
{
  const RigPart parts[] = { { 0, PART, 1, TRUE },
    { PART, 2 * PART, 1, c->eos } };
  g_autoptr (GByteArray) content = g_byte_array_new ();
  Run run = { .c = c, .nth = nth };
  gboolean hit;

  set_plan (c, nth);
  g_atomic_int_set (&info_lines, 0);
  rig_model (content, &parts[0]);
  rig_model (content, &parts[1]);
  run.rig = rig_new (path,
      "chunk-size=1048576 max-dirty-bytes=2097152 max-queued-bytes=1048576 "
      "buffer-size=262144 sync-timeout=30000000000");
  g_object_set (run.rig->sink, "max-transient-error-timeout",
      c->transient ? 10000 : 0, NULL);
  if (c->call == FAULT_SYNC_DATA)
    gst_util_set_object_arg (G_OBJECT (run.rig->sink), "sync-on-eos", "data");
  stream (&run, parts);
  hit = fault_was_hit ();
  assert_outcome (&run, hit, content);
  /* An fsync that failed is not asked again: it might say 0. But a sandbox says
   * EACCES to all. */
  if (hit && c->means == LOSES_DATA && c->call == FAULT_SYNC)
    check (&run, fault_count (FAULT_SYNC) <= nth + (c->code == EACCES),
        "fsync is called %u times", fault_count (FAULT_SYNC));
  if (hit && c->means == REFUSES_FOR_EVER && c->call != FAULT_SYNC_DIRECTORY
      && c->call != FAULT_SYNC)
    check (&run, fault_count (c->call) <= nth + tells_of_writes (c->call),
        "it is called %u times", fault_count (c->call));
  if (hit && c->means == LOSES_DATA)
    start_again (&run);
  rig_free (run.rig);
  rig_assert_nothing_left (path, 1);
  return hit;
}

static void
run_case (guint index, gdouble scale, const gchar *directory, gpointer data,
    CaseResult *result)
{
  const Case *c = &((const Case *) data)[index];
  g_autofree gchar *path = g_build_filename (directory, "file", NULL);

  posting_us = c->call == FAULT_WRITE && c->code == EIO && !c->eos
      ? LONG_POSTING_US
      : POSTING_US;
  listen_to_log (c->code);
  if (c->means == SHORTENED) {
    run_once (c, 0, path);
    result->counts[0] = 1;
    return;
  }
  for (delay = 0; delay < DELAYS; delay++) {
    for (guint nth = 1; run_once (c, nth, path); nth++) {
      result->counts[0]++;
      case_check (nth < MOST_CALLS, "there is no end of it");
    }
    g_unlink (path);
  }
}

/* --- the cases ------------------------------------------------------------------ */

static void
add_one (GArray *cases, Means means, FaultCall call, int code,
    gboolean transient, gboolean eos)
{
  Case c = { means, call, code, transient, eos };

  g_array_append_val (cases, c);
}

/* Whether it is EOS or stop that has to tell does not hang on the code. */
static void
add (GArray *cases, Means means, FaultCall call, int code, gboolean transient)
{
  add_one (cases, means, call, code, transient, TRUE);
  if (code == EIO || code == ENOSPC || code == EINVAL || code == EINTR)
    add_one (cases, means, call, code, transient, FALSE);
}

static GArray *
all_cases (void)
{
  static const int failures[] = { EIO, ENOSPC, EDQUOT, EFBIG, EROFS, EACCES };
  static const int refusals[] = { ENOSYS, EINVAL, ESPIPE, EOPNOTSUPP };
  static const FaultCall hints[] = { FAULT_START, FAULT_WAIT, FAULT_DROP,
    FAULT_RESERVE, FAULT_SYNC };
  static const FaultCall interruptible[] = { FAULT_OPEN, FAULT_WRITE,
    FAULT_START, FAULT_WAIT, FAULT_DROP, FAULT_RESERVE, FAULT_TRUNCATE,
    FAULT_SYNC, FAULT_SYNC_DATA, FAULT_SYNC_DIRECTORY };
  GArray *cases = g_array_new (FALSE, FALSE, sizeof (Case));

  for (guint call = 0; call < FAULT_CALLS; call++)
    for (guint i = 0; i < G_N_ELEMENTS (failures); i++) {
      add (cases, LOSES_DATA, call, failures[i], FALSE);
      if (failures[i] == EACCES)
        add (cases, LOSES_DATA, call, failures[i], TRUE);
    }
  for (guint h = 0; h < G_N_ELEMENTS (hints); h++)
    for (guint i = 0; i < G_N_ELEMENTS (refusals); i++) {
      add (cases, REFUSES, hints[h], refusals[i], FALSE);
      add (cases, REFUSES_FOR_EVER, hints[h], refusals[i], FALSE);
    }
  for (guint i = 0; i < G_N_ELEMENTS (interruptible); i++)
    add (cases, INTERRUPTED, interruptible[i], EINTR, FALSE);
  add (cases, INTERRUPTED, FAULT_WRITE, EAGAIN, FALSE);
  add (cases, SHORTENED, FAULT_WRITE, EINTR, FALSE);
  return cases;
}

/* A line for each call and what is done to it. */
static gboolean
report (const GArray *cases, const CaseResult *results)
{
  guint line = 0, runs = 0, failed = 0;

  for (guint means = 0; means < MEANS; means++) {
    for (guint call = 0; call < FAULT_CALLS; call++) {
      guint n = 0, bad = 0;

      for (guint i = 0; i < cases->len; i++) {
        const Case *c = &g_array_index (cases, Case, i);

        if (c->means != means || c->call != call)
          continue;
        n += results[i].counts[0];
        if (results[i].verdict == CASE_PASSED)
          continue;
        bad++;
        printf ("# %s %s with %s%s%s: %s\n", fault_name (call),
            means_names[means], g_strerror (c->code),
            c->transient ? ", which may be transient" : "",
            c->eos ? "" : ", no EOS at the end", results[i].text);
      }
      runs += n;
      failed += bad;
      if (n + bad > 0)
        printf ("%s %u - %s %s, %u runs\n", bad == 0 ? "ok" : "not ok", ++line,
            fault_name (call), means_names[means], n);
    }
  }
  printf ("1..%u\n# %u runs, %u kinds of them failed\n", line, runs, failed);
  return failed == 0;
}

int
main (int argc, char **argv)
{
  CasesConfig config = { .jobs = JOBS, .seconds = CASE_SECONDS };
  CaseResult *results;
  gboolean passed;
  GArray *cases;

  rig_init (&argc, &argv);
  cases = all_cases ();
  results = cases_run (run_case, cases->data, cases->len, &config);
  passed = report (cases, results);
  g_free (results);
  g_array_unref (cases);
  return passed ? 0 : 1;
}
