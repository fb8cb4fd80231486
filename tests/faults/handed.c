/* What was accepted is either handed to the system or an ERROR: a sync that does
 * not return leaves the bytes with the kernel, a write that does not leaves them
 * in the queue of a process that is about to end.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"
#include "faultrig.h"

#include <string.h>

#define TIMEOUT "sync-timeout=300000000 max-queued-bytes=8388608"
#define PIECES 24
#define SIZE ((guint64) PIECES * RIG_PIECE)

static const RigPart with_eos = { 0, SIZE, 1, TRUE };
static const RigPart without_eos = { 0, SIZE, 1, FALSE };

static Rig *
begin (
    const gchar *directory, FaultCall call, guint nth, const gchar *properties)
{
  g_autofree gchar *path = g_build_filename (directory, "file", NULL);
  Rig *rig;

  fault_reset ();
  fault_ideal_disk (TRUE);
  fault_hang (call, nth);
  rig = rig_new (path, properties);
  case_check (gst_element_set_state (rig->pipeline, GST_STATE_PLAYING)
          != GST_STATE_CHANGE_FAILURE,
      "it does not start");
  return rig;
}

/* "... 1572864 bytes ..." */
static guint64
bytes_named (const gchar *text)
{
  guint64 most = 0;

  for (const gchar *at = text; (at = strpbrk (at, "0123456789")) != NULL;) {
    gchar *end;
    guint64 value = g_ascii_strtoull (at, &end, 10);

    if (g_str_has_prefix (end, " byte"))
      most = MAX (most, value);
    at = end;
  }
  return most;
}

/* One ERROR that says how many; no EOS, and no good word. */
static void
assert_lost (Rig *rig, guint64 least)
{
  const RigNote *note = rig_nth (rig, GST_MESSAGE_ERROR, 0);
  guint64 named;

  case_check (note != NULL, "no error: %s, result %s", rig_complaint (rig),
      rig_last_result (rig));
  case_check (rig_count (rig, RIG_COMPLAINTS) == 1, "%u complaints",
      rig_count (rig, RIG_COMPLAINTS));
  case_check (note->domain == GST_RESOURCE_ERROR
          && note->code == GST_RESOURCE_ERROR_WRITE,
      "of the wrong code (%d): %s", note->code, note->text);
  case_check (rig_count (rig, GST_MESSAGE_EOS) == 0, "EOS");
  named = bytes_named (note->text);
  case_check (named >= least && named <= SIZE + PIECES * 8,
      "%" G_GUINT64_FORMAT " bytes, at least %" G_GUINT64_FORMAT
      " are lost: %s",
      named, least, note->text);
}

static void
end (Rig *rig, const gchar *directory)
{
  gst_element_set_state (rig->pipeline, GST_STATE_NULL);
  fault_release ();
  rig_free (rig);
  rig_assert_nothing_left (directory, 1);
}

static void
at_eos (const gchar *directory, FaultCall call, const gchar *properties,
    guint64 least)
{
  Rig *rig = begin (directory, call, 1, properties);
  GstFlowReturn flow = rig_feeder_end (rig_feed (rig, &with_eos), NULL);

  case_check (fault_was_hit (), "nothing hangs");
  assert_lost (rig, least);
  case_check (flow != GST_FLOW_EOS, "EOS was taken");
  gst_element_set_state (rig->pipeline, GST_STATE_NULL);
  assert_lost (rig, least);
  end (rig, directory);
}

static void
write_at_eos (const gchar *directory)
{
  at_eos (directory, FAULT_WRITE, TIMEOUT, SIZE);
}

static void
write_at_eos_error (const gchar *directory)
{
  at_eos (directory, FAULT_WRITE, TIMEOUT " on-sync-timeout=error", SIZE);
}

static void
write_at_eos_no_sync (const gchar *directory)
{
  at_eos (directory, FAULT_WRITE, TIMEOUT " sync-on-eos=none", SIZE);
}

/* Before the first write. */
static void
reservation_at_eos (const gchar *directory)
{
  at_eos (directory, FAULT_RESERVE, TIMEOUT " size-hint=4194304", SIZE);
}

static void
write_at_stop (const gchar *directory)
{
  Rig *rig = begin (directory, FAULT_WRITE, 1, TIMEOUT);

  rig_feeder_end (rig_feed (rig, &without_eos), NULL);
  gst_element_set_state (rig->pipeline, GST_STATE_NULL);
  assert_lost (rig, SIZE);
  end (rig, directory);
}

/* The kernel has all of it: a warning, and EOS. */
static void
sync_at_eos (const gchar *directory)
{
  Rig *rig = begin (directory, FAULT_SYNC, 1, TIMEOUT);
  GstFlowReturn flow = rig_feeder_end (rig_feed (rig, &with_eos), NULL);

  case_check (flow == GST_FLOW_EOS, "no EOS");
  case_check (rig_count (rig, GST_MESSAGE_WARNING) == 1
          && rig_count (rig, GST_MESSAGE_ERROR) == 0,
      "not one warning: %s", rig_complaint (rig));
  case_check (strcmp (rig_last_result (rig), "timeout") == 0,
      "the result is %s", rig_last_result (rig));
  end (rig, directory);
}

/* A write that hangs for longer than that and comes back. What was told as lost may
 * be there in the end; it is not told as safe without being so. */
static void
write_comes_back (const gchar *directory)
{
  Rig *rig = begin (directory, FAULT_WRITE, 1, TIMEOUT);

  rig_feeder_end (rig_feed (rig, &with_eos), NULL);
  fault_release ();
  gst_element_set_state (rig->pipeline, GST_STATE_NULL);
  case_check (rig_count (rig, GST_MESSAGE_ERROR) == 1, "not one error: %s",
      rig_complaint (rig));
  if (strcmp (rig_last_result (rig), "durable") == 0)
    rig_assert_content (rig->path, rig->model);
  rig_free (rig);
  rig_assert_nothing_left (directory, 1);
}

int
main (int argc, char **argv)
{
  static const NamedCase named[] = {
    { "a write hangs at EOS", write_at_eos },
    { "a write hangs at EOS, on-sync-timeout=error", write_at_eos_error },
    { "a write hangs at EOS, sync-on-eos=none", write_at_eos_no_sync },
    { "a reservation hangs at EOS", reservation_at_eos },
    { "a write hangs at stop", write_at_stop },
    { "a write hangs at EOS and comes back", write_comes_back },
    { "fsync hangs at EOS", sync_at_eos },
  };

  rig_init (&argc, &argv);
  return cases_run_named (named, G_N_ELEMENTS (named), argv + 1);
}
