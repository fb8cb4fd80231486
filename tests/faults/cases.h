/* Many cases of one test, each in a process of its own, many at a time.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The table of failing calls holds one plan a process, and what a case leaves
 * behind (threads, descriptors, memory) can be counted to the last one if
 * nothing else runs beside it. Most cases wait most of the time, so that dozens
 * of processes share two cores.
 *
 * A case that misses a bound is run once more, beside few others and with all
 * its times multiplied by CASES_PATIENCE, its own waits and the hangs that it
 * plans included: what a busy machine held up passes then, and a bound that is
 * missing is missed again. Nothing else is run twice.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define CASES_PATIENCE 5
#define CASES_COUNTS 24
#define CASES_TIMES 4

typedef enum
{
  CASE_PASSED,
  CASE_NOT_REACHED, /* what was planned did not come about */
  CASE_LATE,        /* a bound was missed */
  CASE_FAILED
} CaseVerdict;

/* What a case has to say; what is not commented is the test's own. */
typedef struct
{
  CaseVerdict verdict;
  gchar text[400]; /* why */
  gdouble scale;   /* what its times were multiplied by in the end */
  gint64 times_us[CASES_TIMES];
  guint counts[CASES_COUNTS];
} CaseResult;

/* Runs case `index` with its times multiplied by `scale`, and returns if it has
 * passed, or does not. `directory` is empty and the case's own. */
typedef void (*CaseFunc) (guint index, gdouble scale, const gchar *directory,
    gpointer data, CaseResult *result);

typedef struct
{
  guint jobs;    /* at a time */
  guint seconds; /* after this long, at scale 1, a case hangs */
  guint again;   /* counted up: how many were run once more */
} CasesConfig;

/* The results of all cases, to be freed. One that crashes, hangs or makes GLib
 * complain has failed. */
CaseResult *cases_run (
    CaseFunc func, gpointer data, guint n, CasesConfig *config);

/* Cases that have nothing in common but their subject. */
typedef struct
{
  const gchar *name;
  void (*func) (const gchar *directory);
} NamedCase;

/* Runs them, or those whose names contain one of the words, and speaks TAP.
 * Returns the exit status. */
int cases_run_named (const NamedCase *named, guint n, char **words);

/* What all times are multiplied by to begin with: WB_TEST_SCALE, or 1. */
gdouble cases_scale (void);

/* In a case, on any thread: ends its process. */
void case_end (CaseVerdict verdict, const gchar *format, ...)
    G_GNUC_PRINTF (2, 3) G_GNUC_NORETURN;

#define case_check(condition, ...)                                             \
  G_STMT_START                                                                 \
  {                                                                            \
    if (!(condition))                                                          \
      case_end (CASE_FAILED, __VA_ARGS__);                                     \
  }                                                                            \
  G_STMT_END

/* In a case: warnings and criticals of GLib that contain one of these words are
 * to be expected. The list ends with NULL and is not copied. */
void case_expect_complaints (const gchar *const *words);

G_END_DECLS
