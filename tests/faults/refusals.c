/* A refusal and an error can have the same number. A file system hands out the
 * number of a lost write-out once, whatever it is: only a call that never worked on
 * the file, and says the same when it is asked again at once, is refused.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A run writes one file with a sync in the middle and one at the end, on an ideal
 * disk, in a process of its own: one that asks for ever is killed.
 *
 *   refusals [WORDS]   runs the rows whose names contain every word
 */
#include "config.h"
#include "cases.h"
#include "faultsys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MIB (G_GUINT64_CONSTANT (1) << 20)
#define PIECE (64 * 1024)
#define SIZE (6 * MIB)
#define FOR_EVER (G_MAXUINT / 2)
#define INTERVAL_US 1000
#define JOBS 8
#define CASE_SECONDS 10

typedef enum
{
  LOST,    /* an error, and nothing is promised */
  REFUSED, /* a sync that cannot be had: skipped, no error */
  IGNORED  /* a hint that cannot be had: durable all the same */
} Meaning;

/* How one call answers: `times` from the `nth` on. */
typedef struct
{
  FaultCall call;
  guint nth, times;
  int code;
  gboolean interval; /* with syncs at intervals */
  gboolean none;     /* writeback=none */
  Meaning meaning;
} Case;

static const int numbers[] = { EINVAL, EOPNOTSUPP, ENOSYS, ESPIPE, EINTR, EPERM,
  EACCES };
static const gchar *const meanings[] = { "lost", "refused", "ignored" };

static gchar *
case_name (const Case *c)
{
  return g_strdup_printf ("%s number %u%s says %s%s%s: %s",
      fault_name (c->call), c->nth, c->times == 1 ? "" : " and all after it",
      g_strerror (c->code), c->none ? ", writeback=none" : "",
      c->interval ? ", sync-interval" : "", meanings[c->meaning]);
}

/* --- a run -------------------------------------------------------------------- */

static guint8 *
content (void)
{
  guint8 *bytes = g_malloc (SIZE);

  memset (bytes, 'x', SIZE);
  return bytes;
}

/* Until the nth sync at an interval has been at it. */
static void
wait_for_call (const Case *c, guint nth, WbFile *file)
{
  gint64 deadline = g_get_monotonic_time () + FAULT_PATIENCE_US / 4;

  while (fault_count (c->call) < nth && !wb_file_get_error (file, NULL)
      && g_get_monotonic_time () < deadline)
    g_usleep (INTERVAL_US);
}

static WbFile *
open_file (const Case *c, const gchar *path)
{
  FaultFile output = { .path = (gchar *) path };
  WbFileConfig config;
  WbStall stall;
  WbError error;
  WbFile *file;

  fault_reset ();
  fault_ideal_disk (TRUE);
  fault_fail (c->call, c->nth, c->times, c->code);
  fault_file_configure (&output, PIECE, &config);
  config.bounds.max_dirty_bytes = 2 * MIB;
  config.bounds.sync_interval_us = c->interval ? INTERVAL_US : 0;
  config.writeback = c->none ? WB_WRITEBACK_NONE : WB_WRITEBACK_DROP;
  file = wb_file_open (&config, &error, &stall);
  case_check (file != NULL, "not opened: %s", g_strerror (error.code));
  return file;
}

static WbSyncResult
write_all (const Case *c, WbFile *file, const guint8 *bytes)
{
  WbSyncKind kind =
      c->call == FAULT_SYNC_DATA && !c->interval ? WB_SYNC_DATA : WB_SYNC_FULL;

  for (guint64 at = 0; at < SIZE; at += PIECE) {
    if (at == SIZE / 2)
      fault_file_sync (file, kind, FALSE);
    if (fault_file_push (file, bytes + at, PIECE) != WB_OK)
      break;
    if (c->interval && at / PIECE < c->nth)
      wait_for_call (c, (guint) (at / PIECE) + 1, file);
  }
  return fault_file_sync (file, kind, TRUE);
}

static void
check_outcome (const Case *c, WbSyncResult result, const WbError *error)
{
  static const gchar *const good[] = { "failed", "skipped", "durable" };
  const gchar *name = wb_sync_result_name (result);

  case_check (strcmp (name, good[c->meaning]) == 0, "the result is %s (%s)",
      name,
      error->kind != WB_ERROR_NONE ? g_strerror (error->code) : "no error");
  case_check ((error->kind != WB_ERROR_NONE) == (c->meaning == LOST),
      "%s, and: %s", name, g_strerror (error->code));
  case_check (c->meaning != LOST || error->code == c->code, "another error: %s",
      g_strerror (error->code));
}

static void
run_case (guint index, gdouble scale, const gchar *directory, gpointer data,
    CaseResult *result)
{
  const Case *c = &((const Case *) data)[index];
  g_autofree gchar *path = g_build_filename (directory, "file", NULL);
  g_autofree guint8 *bytes = content ();
  g_autofree gchar *written = NULL;
  WbFile *file = open_file (c, path);
  WbSyncResult outcome;
  WbStats stats;
  WbStall stall;
  gsize size;

  outcome = write_all (c, file, bytes);
  wb_file_close (file, &stats, &stall);
  case_check (fault_was_hit (), "it was not reached");
  check_outcome (c, outcome, &stats.error);
  if (c->meaning == LOST)
    return;
  case_check (g_file_get_contents (path, &written, &size, NULL) && size == SIZE
          && memcmp (written, bytes, SIZE) == 0,
      "the file is not whole");
}

/* --- the rows ------------------------------------------------------------------ */

static void
add (GArray *cases, Case c)
{
  g_array_append_val (cases, c);
}

/* What says 0 when it is asked again has handed out an error; what has worked is
 * not missing; and nobody sends these threads a signal. */
static void
add_call (GArray *cases, FaultCall call, int code, Meaning refusal)
{
  gboolean signal = code == EINTR;

  add (cases, (Case){ call, 1, 1, code, FALSE, FALSE, LOST });
  add (cases, (Case){ call, 2, 1, code, FALSE, FALSE, LOST });
  add (cases, (Case){ call, 2, FOR_EVER, code, FALSE, FALSE, LOST });
  add (cases,
      (Case){ call, 1, FOR_EVER, code, FALSE, FALSE, signal ? LOST : refusal });
}

static void
add_interval (GArray *cases, int code)
{
  for (guint none = 0; none < 2; none++)
    for (guint nth = 1; nth <= 2; nth++)
      add (cases, (Case){ FAULT_SYNC_DATA, nth, 1, code, TRUE, none, LOST });
}

static GArray *
all_cases (void)
{
  GArray *cases = g_array_new (FALSE, FALSE, sizeof (Case));

  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++) {
    add_call (cases, FAULT_START, numbers[i], IGNORED);
    add_call (cases, FAULT_WAIT, numbers[i], IGNORED);
    add_call (cases, FAULT_SYNC, numbers[i], REFUSED);
    add_call (cases, FAULT_SYNC_DATA, numbers[i], REFUSED);
    add_interval (cases, numbers[i]);
    if (numbers[i] != EINTR)
      add (cases,
          (Case){ FAULT_DROP, 1, FOR_EVER, numbers[i], FALSE, FALSE, IGNORED });
  }
  return cases;
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

int
main (int argc, char **argv)
{
  CasesConfig config = { .jobs = JOBS, .seconds = CASE_SECONDS };
  g_autoptr (GArray) cases = all_cases ();
  g_autofree CaseResult *results = NULL;
  guint failed = 0;

  for (guint i = cases->len; i-- > 0;)
    if (!is_chosen (&g_array_index (cases, Case, i), argv + 1))
      g_array_remove_index (cases, i);
  results = cases_run (run_case, cases->data, cases->len, &config);
  printf ("1..%u\n", cases->len);
  for (guint i = 0; i < cases->len; i++) {
    gboolean passed = results[i].verdict == CASE_PASSED;
    g_autofree gchar *name = case_name (&g_array_index (cases, Case, i));

    failed += !passed;
    if (!passed)
      printf ("# %s\n", results[i].text);
    printf ("%s %u - %s\n", passed ? "ok" : "not ok", i + 1, name);
  }
  return failed == 0 ? 0 : 1;
}
