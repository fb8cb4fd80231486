/* What the element says of a call that hangs: the call, the file and the time,
 * once, and as what it should be; and nothing, if nothing had to wait for it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"
#include "matrix.h"

#include <string.h>

/* How the element calls it. */
static gboolean
names_the_call (const Case *c, const gchar *text)
{
  static const gchar *const names[FAULT_CALLS] = { "open", "fstat", "write",
    "sync_file_range (start)", "sync_file_range (wait)", "posix_fadvise (drop)",
    "fallocate", "ftruncate", "fallocate (punch)", "fstatfs", "fiemap", "fsync",
    "fdatasync", "fsync (directory)", "close", "rename", "rename", "link" };
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

void
matrix_look_for_held_up_threads (Run *run)
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

void
matrix_assert_complaints (Run *run)
{
  const Case *c = run->c;
  guint n = rig_count (run->rig, RIG_COMPLAINTS);

  matrix_look_for_held_up_threads (run);
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
