/* After a flush the file is another one: what was durable is gone, an end comes
 * with a sync of its own, and what was required is required again. And a file that
 * got no byte is a file.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"
#include "faultrig.h"

#include <errno.h>
#include <string.h>

#define SIZE (8 * RIG_PIECE)

static const RigPart part = { 0, SIZE, 1, TRUE };
static const RigPart again = { 0, SIZE, 2, TRUE };

static Rig *
begin (const gchar *directory, const gchar *properties)
{
  g_autofree gchar *path = g_build_filename (directory, "file", NULL);
  Rig *rig;

  fault_reset ();
  fault_ideal_disk (TRUE);
  rig = rig_new (path, properties);
  case_check (gst_element_set_state (rig->pipeline, GST_STATE_PLAYING)
          != GST_STATE_CHANGE_FAILURE,
      "it does not start");
  return rig;
}

static void
stop (Rig *rig)
{
  gst_element_set_state (rig->pipeline, GST_STATE_NULL);
}

static void
assert_quiet (Rig *rig)
{
  case_check (rig_count (rig, RIG_COMPLAINTS) == 0, "unexpected: %s",
      rig_complaint (rig));
}

static guint
count_results (Rig *rig)
{
  const RigNote *note;
  guint n = 0;

  for (guint i = 0; (note = rig_nth (rig, GST_MESSAGE_ELEMENT, i)) != NULL; i++)
    n += strcmp (note->text, "wbfilesink-sync") == 0;
  return n;
}

static void
wait_for (FaultCall call, guint n)
{
  for (guint i = 0; i < 10000 && fault_count (call) < n; i++)
    g_usleep (1000);
  case_check (fault_count (call) >= n, "no %s", fault_name (call));
}

/* EOS, a flush that empties the file, NULL. */
static void
flush_after_eos (const gchar *directory)
{
  Rig *rig = begin (directory, "preallocate=none");
  guint syncs, directories, truncated;

  rig_feeder_end (rig_feed (rig, &part), NULL);
  case_check (rig_stat (rig, "durable-bytes") == SIZE, "not durable");
  syncs = fault_count (FAULT_SYNC);
  directories = fault_count (FAULT_SYNC_DIRECTORY);
  truncated = fault_count (FAULT_TRUNCATE);
  rig_flush (rig, NULL, G_USEC_PER_SEC, NULL);
  wait_for (FAULT_TRUNCATE, truncated + 1);
  stop (rig);
  assert_quiet (rig);
  case_check (fault_count (FAULT_SYNC) == syncs + 1,
      "%u syncs after the flush; the last result is %s, %u in all",
      fault_count (FAULT_SYNC) - syncs, rig_last_result (rig),
      count_results (rig));
  case_check (fault_count (FAULT_SYNC_DIRECTORY) >= directories, "no name");
  case_check (count_results (rig) == 2, "%u results", count_results (rig));
  case_check (rig_stat (rig, "high-water-mark") == 0
          && rig_stat (rig, "durable-bytes") == 0,
      "the stats are those of before");
  rig_free (rig);
}

/* The sync at stop fails: the good word of before is taken back. */
static void
flush_after_eos_fails (const gchar *directory)
{
  Rig *rig = begin (directory, "preallocate=none");

  rig_feeder_end (rig_feed (rig, &part), NULL);
  fault_fail (FAULT_SYNC, fault_count (FAULT_SYNC) + 1, 1, EIO);
  rig_flush (rig, NULL, G_USEC_PER_SEC, NULL);
  stop (rig);
  case_check (rig_count (rig, GST_MESSAGE_ERROR) == 1,
      "no error; the result is %s", rig_last_result (rig));
  case_check (strcmp (rig_last_result (rig), "failed") == 0, "the result is %s",
      rig_last_result (rig));
  rig_free (rig);
}

/* Nothing was written: there is nothing to sync a second time. */
static void
nothing_after_eos (const gchar *directory)
{
  Rig *rig = begin (directory, "preallocate=none");
  guint syncs;

  rig_feeder_end (rig_feed (rig, &part), NULL);
  syncs = fault_count (FAULT_SYNC);
  stop (rig);
  case_check (fault_count (FAULT_SYNC) == syncs, "synced twice");
  case_check (count_results (rig) == 1, "%u results", count_results (rig));
  rig_free (rig);
}

static void
empty_file (const gchar *directory)
{
  Rig *rig = begin (directory, "preallocate=none");

  stop (rig);
  assert_quiet (rig);
  case_check (fault_count (FAULT_SYNC) == 1, "%u syncs of a new file",
      fault_count (FAULT_SYNC));
  case_check (
      fault_count (FAULT_SYNC_DIRECTORY) == 1, "its name is not synced");
  case_check (strcmp (rig_last_result (rig), "durable") == 0,
      "the result is %s", rig_last_result (rig));
  rig_free (rig);
}

/* An old one that was emptied. */
static void
emptied_file (const gchar *directory)
{
  g_autofree gchar *path = g_build_filename (directory, "file", NULL);

  case_check (g_file_set_contents (path, "old", -1, NULL), "no file");
  empty_file (directory);
}

static void
empty_file_no_sync (const gchar *directory)
{
  Rig *rig = begin (directory, "sync-on-eos=none");

  stop (rig);
  assert_quiet (rig);
  case_check (fault_count (FAULT_SYNC) == 0, "a sync that nobody wants");
  rig_free (rig);
}

/* The flush frees what was reserved: it is reserved again before the next byte. */
static void
requirement (const gchar *directory)
{
  Rig *rig = begin (directory, "preallocate=require size-hint=1048576");
  guint reserved;

  rig_feeder_end (rig_feed (rig, &part), NULL);
  reserved = fault_count (FAULT_RESERVE);
  rig_flush (rig, NULL, G_USEC_PER_SEC, NULL);
  gst_element_set_state (rig->pipeline, GST_STATE_PLAYING);
  rig_feeder_end (rig_feed (rig, &again), NULL);
  case_check (fault_count (FAULT_RESERVE) > reserved,
      "nothing is reserved after the flush");
  stop (rig);
  assert_quiet (rig);
  rig_free (rig);
}

static void
requirement_fails (const gchar *directory)
{
  Rig *rig = begin (directory, "preallocate=require size-hint=1048576");
  const RigNote *note;

  rig_feeder_end (rig_feed (rig, &part), NULL);
  fault_fail (
      FAULT_RESERVE, fault_count (FAULT_RESERVE) + 1, G_MAXUINT / 2, ENOSPC);
  rig_flush (rig, NULL, G_USEC_PER_SEC, NULL);
  gst_element_set_state (rig->pipeline, GST_STATE_PLAYING);
  rig_feeder_end (rig_feed (rig, &again), NULL);
  note = rig_nth (rig, GST_MESSAGE_ERROR, 0);
  case_check (
      note != NULL, "no error; the result is %s", rig_last_result (rig));
  case_check (note->code == GST_RESOURCE_ERROR_NO_SPACE_LEFT,
      "of the wrong code: %s", note->text);
  stop (rig);
  rig_free (rig);
}

int
main (int argc, char **argv)
{
  static const NamedCase named[] = {
    { "EOS, flush, NULL", flush_after_eos },
    { "EOS, flush, NULL, and the sync fails", flush_after_eos_fails },
    { "EOS, NULL", nothing_after_eos },
    { "a new file without a byte", empty_file },
    { "an old file that was emptied", emptied_file },
    { "a new file without a byte, sync-on-eos=none", empty_file_no_sync },
    { "preallocate=require after a flush", requirement },
    { "preallocate=require after a flush, no space", requirement_fails },
  };

  rig_init (&argc, &argv);
  return cases_run_named (named, G_N_ELEMENTS (named), argv + 1);
}
