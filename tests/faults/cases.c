/* Many cases of one test, each in a process of its own, many at a time.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "cases.h"

#include "../common/wbtest.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Few enough to have a core each, or nearly. */
#define JOBS_AGAIN 4

typedef struct
{
  pid_t pid; /* 0: free */
  guint index;
  gint64 deadline_us;
} Job;

typedef struct
{
  CaseFunc func;
  gpointer data;
  CaseResult *results; /* shared with the children */
  gchar *directory;
  gdouble scale;
  guint seconds;
} Run;

/* The child's own. */
static CaseResult *own_result;
static gint ended;
static const gchar *const *expected_complaints;

gdouble
cases_scale (void)
{
  const gchar *text = g_getenv ("WB_TEST_SCALE");
  gdouble scale = text != NULL ? g_ascii_strtod (text, NULL) : 0;

  return scale > 0 ? scale : 1;
}

void
case_end (CaseVerdict verdict, const gchar *format, ...)
{
  va_list arguments;

  /* One thread speaks, and ends them all. */
  while (!g_atomic_int_compare_and_exchange (&ended, 0, 1))
    pause ();
  va_start (arguments, format);
  g_vsnprintf (own_result->text, sizeof own_result->text, format, arguments);
  va_end (arguments);
  own_result->verdict = verdict;
  _exit (0);
}

void
case_expect_complaints (const gchar *const *words)
{
  expected_complaints = words;
}

static GLogWriterOutput
hear_complaint (GLogLevelFlags level, const GLogField *fields, gsize n_fields,
    gpointer data)
{
  const gchar *message = "", *domain = "";

  if ((level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING))
      == 0)
    return G_LOG_WRITER_HANDLED;
  for (gsize i = 0; i < n_fields; i++) {
    if (strcmp (fields[i].key, "MESSAGE") == 0)
      message = fields[i].value;
    else if (strcmp (fields[i].key, "GLIB_DOMAIN") == 0)
      domain = fields[i].value;
  }
  for (const gchar *const *word = expected_complaints;
       word != NULL && *word != NULL; word++)
    if (strstr (message, *word) != NULL)
      return G_LOG_WRITER_HANDLED;
  case_end (CASE_FAILED, "%s: %s", domain, message);
}

static gchar *
directory_of (const Run *run, guint index)
{
  return g_strdup_printf ("%s/%u", run->directory, index);
}

static void G_GNUC_NORETURN
be_case (const Run *run, guint index)
{
  g_autofree gchar *directory = directory_of (run, index);
  sigset_t none;

  sigemptyset (&none);
  sigprocmask (SIG_SETMASK, &none, NULL);
  own_result = &run->results[index];
  g_log_set_writer_func (hear_complaint, NULL, NULL);
  if (g_mkdir_with_parents (directory, 0700) != 0)
    case_end (CASE_FAILED, "%s: %s", directory, g_strerror (errno));
  run->func (index, run->scale, directory, run->data, own_result);
  case_end (CASE_PASSED, "%s", "");
}

static void
begin (const Run *run, Job *job, guint index)
{
  CaseResult *result = &run->results[index];

  memset (result, 0, sizeof *result);
  result->verdict = CASE_FAILED;
  result->scale = run->scale;
  job->index = index;
  job->deadline_us = g_get_monotonic_time ()
      + (gint64) (run->seconds * run->scale * G_USEC_PER_SEC);
  job->pid = fork ();
  if (job->pid == 0)
    be_case (run, index);
  if (job->pid < 0)
    g_error ("fork: %s", g_strerror (errno));
}

static void
finish (const Run *run, Job *job, int status)
{
  CaseResult *result = &run->results[job->index];
  g_autofree gchar *directory = directory_of (run, job->index);

  if (WIFSIGNALED (status)) {
    result->verdict = CASE_FAILED;
    g_snprintf (result->text, sizeof result->text, "%s",
        WTERMSIG (status) == SIGKILL ? "it hangs"
                                     : g_strsignal (WTERMSIG (status)));
  } else if (WEXITSTATUS (status) != 0) {
    result->verdict = CASE_FAILED;
    g_snprintf (result->text, sizeof result->text, "it ended with status %d",
        WEXITSTATUS (status));
  }
  wb_remove_tree (directory);
  job->pid = 0;
}

/* What hangs once in thousands of runs is not seen again: where it does is said
 * while it is there, if there is a debugger. */
static void
say_where_it_hangs (pid_t pid)
{
  g_autofree gchar *number = g_strdup_printf ("%d", (int) pid);
  const gchar *const words[] = { "gdb", "-p", number, "-batch", "-ex",
    "thread apply all backtrace", NULL };
  g_autofree gchar *text = NULL;
  g_auto (GStrv) lines = NULL;

  if (!g_spawn_sync (NULL, (gchar **) words, NULL,
          G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, &text,
          NULL, NULL, NULL))
    return;
  lines = g_strsplit (text, "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++)
    if (lines[i][0] == '#' || g_str_has_prefix (lines[i], "Thread"))
      printf ("# %s\n", lines[i]);
}

/* Waits until a child has ended, or for a while, and kills those that hang. */
static void
attend (const Run *run, Job *jobs, guint n_jobs)
{
  struct timespec a_while = { .tv_nsec = 100 * 1000 * 1000 };
  sigset_t child;

  sigemptyset (&child);
  sigaddset (&child, SIGCHLD);
  sigtimedwait (&child, NULL, &a_while);
  for (guint i = 0; i < n_jobs; i++) {
    int status;

    if (jobs[i].pid == 0)
      continue;
    if (waitpid (jobs[i].pid, &status, WNOHANG) == jobs[i].pid)
      finish (run, &jobs[i], status);
    else if (g_get_monotonic_time () > jobs[i].deadline_us) {
      say_where_it_hangs (jobs[i].pid);
      kill (jobs[i].pid, SIGKILL);
    }
  }
}

/* Runs those of the cases whose verdict is `which`. Returns how many. */
static guint
run_all (const Run *run, guint n, guint n_jobs, CaseVerdict which)
{
  g_autofree Job *jobs = g_new0 (Job, n_jobs);
  guint next = 0, done = 0;

  for (;;) {
    guint busy = 0;

    for (guint i = 0; i < n_jobs; i++) {
      while (
          jobs[i].pid == 0 && next < n && run->results[next].verdict != which)
        next++;
      if (jobs[i].pid == 0 && next < n) {
        begin (run, &jobs[i], next++);
        done++;
      }
      busy += jobs[i].pid != 0;
    }
    if (busy == 0)
      return done;
    attend (run, jobs, n_jobs);
  }
}

CaseResult *
cases_run (CaseFunc func, gpointer data, guint n, CasesConfig *config)
{
  gsize size = MAX (n, 1) * sizeof (CaseResult);
  Run run = { .func = func, .data = data, .scale = cases_scale () };
  CaseResult *results;
  sigset_t child, before;

  run.seconds = config->seconds;
  run.directory = g_dir_make_tmp ("wb-cases-XXXXXX", NULL);
  run.results = mmap (
      NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (run.results == MAP_FAILED || run.directory == NULL)
    g_error ("no memory or no directory: %s", g_strerror (errno));
  sigemptyset (&child);
  sigaddset (&child, SIGCHLD);
  sigprocmask (SIG_BLOCK, &child, &before);

  for (guint i = 0; i < n; i++)
    run.results[i].verdict = CASE_LATE;
  run_all (&run, n, config->jobs, CASE_LATE);
  run.scale *= CASES_PATIENCE;
  config->again += run_all (&run, n, MIN (JOBS_AGAIN, config->jobs), CASE_LATE);

  sigprocmask (SIG_SETMASK, &before, NULL);
  wb_remove_tree (run.directory);
  g_free (run.directory);
  results = g_malloc (size);
  memcpy (results, run.results, size);
  munmap (run.results, size);
  return results;
}

/* --- named cases ------------------------------------------------------------ */

#define NAMED_JOBS 4
#define NAMED_SECONDS 60

static void
run_named (guint index, gdouble scale, const gchar *directory, gpointer data,
    CaseResult *result)
{
  const NamedCase *const *chosen = data;

  chosen[index]->func (directory);
}

static gboolean
is_named (const NamedCase *named, char **words)
{
  if (*words == NULL)
    return TRUE;
  for (; *words != NULL; words++)
    if (strstr (named->name, *words) != NULL)
      return TRUE;
  return FALSE;
}

int
cases_run_named (const NamedCase *named, guint n, char **words)
{
  CasesConfig config = { .jobs = NAMED_JOBS, .seconds = NAMED_SECONDS };
  g_autofree const NamedCase **chosen = g_new (const NamedCase *, n);
  g_autofree CaseResult *results = NULL;
  guint n_chosen = 0, failed = 0;

  for (guint i = 0; i < n; i++)
    if (is_named (&named[i], words))
      chosen[n_chosen++] = &named[i];
  results = cases_run (run_named, chosen, n_chosen, &config);
  printf ("1..%u\n", n_chosen);
  for (guint i = 0; i < n_chosen; i++) {
    gboolean passed = results[i].verdict == CASE_PASSED;

    failed += !passed;
    if (!passed)
      printf ("# %s\n", results[i].text);
    printf ("%s %u - %s\n", passed ? "ok" : "not ok", i + 1, chosen[i]->name);
  }
  return failed == 0 ? 0 : 1;
}
