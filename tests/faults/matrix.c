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
#include "matrix.h"

#include <stdio.h>
#include <string.h>

#define JOBS 32
#define CASE_SECONDS 20
/* How often a last call that did not come about is looked for again. */
#define LAST_TRIES 4

static const gchar *const situations[SITUATIONS] = { "EOS",
  "EOS, timeout is an error", "stop without EOS", "PAUSED and READY and back",
  "READY and NULL", "flush", "location change", "dispose", "query and property",
  "push and back", "sync-interval" };
static const gchar *const hangs[HANGS] = { "a moment", "longer", "for ever" };
static const gchar *const occurrences[] = { "first", "second", "last" };

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
  results = cases_run (matrix_run_case, dry, G_N_ELEMENTS (dry), &config);
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
    fresh = cases_run (matrix_run_case, again->data, again->len, config);
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
  results = cases_run (matrix_run_case, cases->data, cases->len, &config);
  not_reached = seek_last (cases, results, &config);
  passed = report (cases, results, not_reached, config.again);
  g_free (results);
  g_array_unref (cases);
  return passed ? 0 : 1;
}
