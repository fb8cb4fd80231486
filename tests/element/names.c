/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The name that the file gets: what happens if there is a file of it, and when it
 * gets it if it is written as a part. Races and failures are in storage/claims and
 * faults/rename.
 */

#include "../common/wbtest.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#define SIZE 3000

static void
assert_holds (const gchar *path, guint seed)
{
  g_autofree guint8 *data = wb_pattern (0, SIZE, seed);

  wb_assert_file (path, data, SIZE);
}

static void
assert_is_old (const gchar *path)
{
  wb_assert_file (path, "old", 3);
}

static gboolean
is_there (const gchar *path)
{
  GStatBuf status;

  return g_lstat (path, &status) == 0;
}

static gchar *
stat_location (WbRig *rig)
{
  return wb_stat_string (rig->sink, "location");
}

/* What the nth wbfilesink-sync says of the name */
static void
assert_sync (WbRig *rig, guint n, const gchar *result, const gchar *location,
    gboolean renamed)
{
  const GstStructure *sync = wb_rig_nth_sync (rig, n);
  g_autofree gchar *uri = gst_filename_to_uri (location, NULL);
  gboolean is_renamed;

  fail_unless (sync != NULL, "no message number %u", n);
  assert_equals_string (gst_structure_get_string (sync, "result"), result);
  assert_equals_string (gst_structure_get_string (sync, "location"), location);
  assert_equals_string (gst_structure_get_string (sync, "uri"), uri);
  fail_unless (gst_structure_get_boolean (sync, "renamed", &is_renamed));
  fail_unless_equals_int (is_renamed, renamed);
}

static WbRig *
begin (const gchar *path, const gchar *properties, guint seed)
{
  WbRig *rig = wb_rig_new (path, properties);

  wb_rig_play (rig, GST_FORMAT_BYTES);
  wb_rig_fill (rig, 0, SIZE, seed);

  return rig;
}

/* A whole file; where it is, is `taken`. */
static void
write_once (
    const gchar *path, const gchar *properties, guint seed, const gchar *taken)
{
  g_autoptr (WbRig) rig = begin (path, properties, seed);
  g_autofree gchar *location = NULL, *after = NULL, *set = NULL;

  fail_unless (wb_rig_eos (rig));
  wb_rig_assert_quiet (rig);
  assert_sync (rig, 0, "durable", taken, strstr (properties, "part") != NULL);
  location = stat_location (rig);
  assert_equals_string (location, taken);
  wb_rig_state (rig, GST_STATE_NULL);
  after = stat_location (rig);
  assert_equals_string (after, taken);
  g_object_get (rig->sink, "location", &set, NULL);
  assert_equals_string (set, path);
  assert_holds (taken, seed);
}

/* The base class says as well that it did not start. */
static void
assert_fails (const gchar *path, const gchar *properties, GstResourceError code,
    const gchar *words)
{
  g_autoptr (WbRig) rig = wb_rig_new (path, properties);
  g_autoptr (GError) error = NULL;

  fail_unless_equals_int (gst_element_set_state (rig->sink, GST_STATE_PLAYING),
      GST_STATE_CHANGE_FAILURE);
  fail_unless (wb_rig_count (rig, GST_MESSAGE_ERROR) > 0);
  gst_message_parse_error (
      wb_rig_nth (rig, GST_MESSAGE_ERROR, 0), &error, NULL);
  fail_unless (
      g_error_matches (error, GST_RESOURCE_ERROR, code), "%s", error->message);
  fail_unless (strstr (error->message, path) != NULL, "%s", error->message);
  fail_unless (strstr (error->message, words) != NULL, "%s", error->message);
  gst_element_set_state (rig->sink, GST_STATE_NULL);
}

/* --- on-exists ---------------------------------------------------------------- */

GST_START_TEST (test_fail)
{
  g_autofree gchar *path = wb_path ("file");
  gint i;

  write_once (path, "on-exists=fail", 1, path);
  for (i = 0; i < 2; i++)
    assert_fails (path,
        i == 0 ? "on-exists=fail"
               : "on-exists=fail "
                 "part-suffix=.part",
        GST_RESOURCE_ERROR_OPEN_WRITE, "File exists");
  assert_holds (path, 1);
}
GST_END_TEST;

/* Before the first byte, and whatever it leads to */
GST_START_TEST (test_fail_at_a_link)
{
  g_autofree gchar *path = wb_path ("link"), *goal = wb_path ("goal");

  fail_unless (symlink ("goal", path) == 0);
  assert_fails (
      path, "on-exists=fail", GST_RESOURCE_ERROR_OPEN_WRITE, "File exists");
  assert_fails (path, "on-exists=fail part-suffix=.part",
      GST_RESOURCE_ERROR_OPEN_WRITE, "File exists");
  fail_unless (!is_there (goal));
}
GST_END_TEST;

static const struct
{
  const gchar *name, *first, *second;
} numbered[] = {
  { "movie.mkv", "movie-1.mkv", "movie-2.mkv" },
  { "movie", "movie-1", "movie-2" },
  { ".movie", ".movie-1", ".movie-2" },
  { "a.b.mkv", "a.b-1.mkv", "a.b-2.mkv" },
};

GST_START_TEST (test_number)
{
  const gchar *properties[] = { "on-exists=number",
    "on-exists=number part-suffix=.part" };
  g_autofree gchar *path = wb_path (numbered[__i__ / 2].name);
  g_autofree gchar *first = wb_path (numbered[__i__ / 2].first);
  g_autofree gchar *second = wb_path (numbered[__i__ / 2].second);

  write_once (path, properties[__i__ % 2], 1, path);
  write_once (path, properties[__i__ % 2], 2, first);
  write_once (path, properties[__i__ % 2], 3, second);
  assert_holds (path, 1);
  assert_holds (first, 2);
  /* A gap is a free name. */
  g_unlink (first);
  write_once (path, properties[__i__ % 2], 4, first);
}
GST_END_TEST;

/* A dot in the folder's name is no extension. */
GST_START_TEST (test_number_in_a_folder)
{
  g_autofree gchar *folder = wb_path ("a.folder");
  g_autofree gchar *path = g_build_filename (folder, "file", NULL);
  g_autofree gchar *next = g_build_filename (folder, "file-1", NULL);

  fail_unless (g_mkdir (folder, 0700) == 0);
  write_once (path, "on-exists=number", 1, path);
  write_once (path, "on-exists=number", 2, next);
}
GST_END_TEST;

static const gchar *others[] = { "on-exists=fail", "on-exists=number",
  "part-suffix=.part" };
static const gchar *modes[] = { "append=true", "file-mode=output",
  "file-mode=overwrite" };

GST_START_TEST (test_of_new_files_only)
{
  g_autofree gchar *path = wb_path ("file");
  g_autofree gchar *properties =
      g_strjoin (" ", others[__i__ / 3], modes[__i__ % 3], NULL);

  wb_file_write (path, "old", 3);
  assert_fails (path, properties, GST_RESOURCE_ERROR_SETTINGS, "on-exists");
  assert_is_old (path);
}
GST_END_TEST;

GST_START_TEST (test_suffix_with_a_slash)
{
  g_autofree gchar *path = wb_path ("file");

  assert_fails (
      path, "part-suffix=/part", GST_RESOURCE_ERROR_SETTINGS, "no slash");
}
GST_END_TEST;

/* What is no file is written to as ever, or is in the way. */
GST_START_TEST (test_special_files)
{
  g_autoptr (WbFifo) fifo = wb_fifo_new ();
  g_autoptr (WbRig) rig = NULL;
  g_autofree gchar *part = g_strconcat (fifo->path, ".part", NULL);

  assert_fails (fifo->path, "on-exists=fail", GST_RESOURCE_ERROR_OPEN_WRITE,
      "File exists");
  assert_fails (fifo->path, "on-exists=number part-suffix=.part",
      GST_RESOURCE_ERROR_OPEN_WRITE, "File exists");
  rig = wb_rig_new (fifo->path, "part-suffix=.part");
  wb_rig_play (rig, GST_FORMAT_TIME);
  fail_unless (!is_there (part));
  wb_rig_fill (rig, 0, SIZE, 1);
  fail_unless (wb_rig_eos (rig));
  wb_rig_assert_quiet (rig);
  assert_sync (rig, 0, "skipped", fifo->path, FALSE);
}
GST_END_TEST;

/* --- part-suffix -------------------------------------------------------------- */

GST_START_TEST (test_part)
{
  g_autofree gchar *path = wb_path ("file"), *part = wb_path ("file.part");
  g_autofree gchar *location = NULL;
  g_autoptr (WbRig) rig = NULL;

  wb_file_write (path, "old", 3);
  rig = begin (path, "part-suffix=.part", 1);
  assert_is_old (path);
  fail_unless (is_there (part));
  location = stat_location (rig);
  assert_equals_string (location, part);
  fail_unless (wb_rig_eos (rig));
  assert_sync (rig, 0, "durable", path, TRUE);
  assert_holds (path, 1);
  fail_unless (!is_there (part));
  wb_rig_state (rig, GST_STATE_NULL);
  wb_rig_assert_quiet (rig);
  fail_unless_equals_int (wb_rig_count_syncs (rig), 1);
}
GST_END_TEST;

/* As safe as it asks, no more and no less */
GST_START_TEST (test_part_by_sync_mode)
{
  static const struct
  {
    const gchar *properties, *result;
  } ways[] = {
    { "part-suffix=.part sync-on-eos=none", "skipped" },
    { "part-suffix=.part sync-on-eos=data", "data" },
    { "part-suffix=.part sync-on-eos=full sync-interval=1000000", "durable" },
  };
  g_autofree gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = begin (path, ways[__i__].properties, 1);

  fail_unless (wb_rig_eos (rig));
  assert_sync (rig, 0, ways[__i__].result, path, TRUE);
  assert_holds (path, 1);
  wb_rig_assert_quiet (rig);
}
GST_END_TEST;

/* No EOS: nobody knows whether it is whole. */
GST_START_TEST (test_part_without_eos)
{
  g_autofree gchar *path = wb_path ("file"), *part = wb_path ("file.part");
  g_autofree gchar *location = NULL;
  g_autoptr (WbRig) rig = NULL;

  wb_file_write (path, "old", 3);
  rig = begin (path, "part-suffix=.part", 1);
  wb_rig_state (rig, GST_STATE_NULL);
  assert_sync (rig, 0, "durable", part, FALSE);
  location = stat_location (rig);
  assert_equals_string (location, part);
  assert_is_old (path);
  assert_holds (part, 1);
}
GST_END_TEST;

/* One that was left behind is begun anew, or is in the way. */
GST_START_TEST (test_part_left_behind)
{
  g_autofree gchar *path = wb_path ("file.x"), *part = wb_path ("file.x.part");
  g_autofree gchar *next = wb_path ("file-1.x");

  wb_file_write (part, "old", 3);
  assert_fails (path, "part-suffix=.part on-exists=fail",
      GST_RESOURCE_ERROR_OPEN_WRITE, "(part): File exists");
  assert_is_old (part);
  write_once (path, "part-suffix=.part on-exists=number", 1, next);
  assert_is_old (part);
  fail_unless (!is_there (path));
  write_once (path, "part-suffix=.part", 2, path);
  fail_unless (!is_there (part));
}
GST_END_TEST;

/* What it leads to stays as it is. */
GST_START_TEST (test_part_is_a_link)
{
  g_autofree gchar *path = wb_path ("file"), *part = wb_path ("file.part");
  g_autofree gchar *victim = wb_path ("victim");

  wb_file_write (victim, "old", 3);
  fail_unless (symlink ("victim", part) == 0);
  write_once (path, "part-suffix=.part", 1, path);
  assert_is_old (victim);
}
GST_END_TEST;

/* The file that a link leads to is replaced, and the link stays. */
GST_START_TEST (test_location_is_a_link)
{
  g_autofree gchar *link = wb_path ("link"), *goal = wb_path ("goal");
  g_autofree gchar *part = wb_path ("goal.part");
  g_autoptr (WbRig) rig = NULL;
  GStatBuf status;

  wb_file_write (goal, "old", 3);
  fail_unless (symlink ("goal", link) == 0);
  rig = begin (link, "part-suffix=.part", 1);
  fail_unless (is_there (part));
  assert_is_old (goal);
  fail_unless (wb_rig_eos (rig));
  wb_rig_assert_quiet (rig);
  assert_holds (goal, 1);
  fail_unless (g_lstat (link, &status) == 0 && S_ISLNK (status.st_mode));
}
GST_END_TEST;

/* One that leads to nothing is replaced itself. */
GST_START_TEST (test_location_leads_nowhere)
{
  g_autofree gchar *link = wb_path ("link"), *goal = wb_path ("goal");

  fail_unless (symlink ("goal", link) == 0);
  write_once (link, "part-suffix=.part", 1, link);
  fail_unless (!is_there (goal));
}
GST_END_TEST;

/* The figures and messages are of this file, whatever is set meanwhile; and what is
 * set counts for the next. */
GST_START_TEST (test_set_meanwhile)
{
  g_autofree gchar *path = wb_path ("file"), *part = wb_path ("file.part");
  g_autofree gchar *suffix = NULL;
  g_autoptr (WbRig) rig = begin (path, "part-suffix=.part", 1);

  wb_rig_set (rig, "part-suffix=.other on-exists=fail");
  fail_unless (wb_rig_eos (rig));
  assert_sync (rig, 0, "durable", path, TRUE);
  wb_rig_state (rig, GST_STATE_NULL);
  g_object_get (rig->sink, "part-suffix", &suffix, NULL);
  assert_equals_string (suffix, ".other");
  fail_unless_equals_int (gst_element_set_state (rig->sink, GST_STATE_READY),
      GST_STATE_CHANGE_FAILURE);
  gst_element_set_state (rig->sink, GST_STATE_NULL);
  g_object_set (rig->sink, "part-suffix", NULL, "on-exists", 0, NULL);
  wb_rig_state (rig, GST_STATE_READY);
  fail_unless_equals_int64 (wb_file_size (path), 0);
  fail_unless (!is_there (part));
}
GST_END_TEST;

/* Another took the name while it was written. */
GST_START_TEST (test_taken_meanwhile)
{
  g_autofree gchar *path = wb_path ("file.x"), *part = wb_path ("file.x.part");
  g_autofree gchar *next = wb_path ("file-1.x");
  g_autoptr (WbRig) rig = begin (path, "part-suffix=.part on-exists=number", 1);

  wb_file_write (path, "old", 3);
  fail_unless (wb_rig_eos (rig));
  assert_sync (rig, 0, "durable", next, TRUE);
  assert_is_old (path);
  assert_holds (next, 1);
  fail_unless (!is_there (part));
  wb_rig_assert_quiet (rig);
}
GST_END_TEST;

static void
assert_not_renamed (
    WbRig *rig, const gchar *part, const gchar *path, const gchar *words)
{
  g_autoptr (GError) error = NULL;

  fail_unless (!wb_rig_eos (rig));
  wb_rig_assert_error (rig, GST_RESOURCE_ERROR_WRITE);
  gst_message_parse_error (
      wb_rig_nth (rig, GST_MESSAGE_ERROR, 0), &error, NULL);
  fail_unless (strstr (error->message, part) != NULL, "%s", error->message);
  fail_unless (strstr (error->message, path) != NULL, "%s", error->message);
  fail_unless (strstr (error->message, words) != NULL, "%s", error->message);
  assert_sync (rig, 0, "failed", part, FALSE);
}

GST_START_TEST (test_taken_meanwhile_fails)
{
  g_autofree gchar *path = wb_path ("file"), *part = wb_path ("file.part");
  g_autoptr (WbRig) rig = begin (path, "part-suffix=.part on-exists=fail", 1);

  wb_file_write (path, "old", 3);
  assert_not_renamed (rig, part, path, "File exists");
  assert_is_old (path);
  assert_holds (part, 1);
}
GST_END_TEST;

/* Another file is not given a name that was meant for ours. */
GST_START_TEST (test_part_is_replaced)
{
  g_autofree gchar *path = wb_path ("file"), *part = wb_path ("file.part");
  g_autofree gchar *moved = wb_path ("moved");
  g_autoptr (WbRig) rig = begin (path, "part-suffix=.part", 1);

  fail_unless (g_rename (part, moved) == 0);
  if (__i__ == 1)
    wb_file_write (part, "old", 3);
  assert_not_renamed (
      rig, part, path, __i__ == 1 ? "Stale file handle" : "No such file");
  fail_unless (!is_there (path));
  if (__i__ == 1)
    assert_is_old (part);
}
GST_END_TEST;

/* Its folder was moved, and takes it along. */
GST_START_TEST (test_folder_is_moved)
{
  g_autofree gchar *folder = wb_path ("folder"), *moved = wb_path ("moved");
  g_autofree gchar *path = g_build_filename (folder, "file", NULL);
  g_autofree gchar *goal = g_build_filename (moved, "file", NULL);
  g_autoptr (WbRig) rig = NULL;

  fail_unless (g_mkdir (folder, 0700) == 0);
  rig = begin (path, "part-suffix=.part", 1);
  fail_unless (g_rename (folder, moved) == 0);
  fail_unless (wb_rig_eos (rig));
  assert_sync (rig, 0, "data", path, TRUE);
  assert_holds (goal, 1);
}
GST_END_TEST;

/* --- after the end ------------------------------------------------------------ */

/* What comes after READY goes on in the file, under its name. */
GST_START_TEST (test_goes_on)
{
  g_autofree gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = begin (path, "part-suffix=.part", 1);
  g_autofree guint8 *data = wb_pattern (0, 2 * SIZE, 1);

  fail_unless (wb_rig_eos (rig));
  wb_rig_state (rig, GST_STATE_READY);
  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_fill (rig, SIZE, SIZE, 1);
  fail_unless (wb_rig_eos (rig));
  assert_sync (rig, 1, "durable", path, TRUE);
  wb_assert_file (path, data, 2 * SIZE);
  wb_rig_assert_quiet (rig);
}
GST_END_TEST;

/* A whole file is not emptied, nor written over. */
GST_START_TEST (test_flush_after_the_end)
{
  g_autofree gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = begin (path, "part-suffix=.part", 1);

  fail_unless (wb_rig_eos (rig));
  wb_rig_flush (rig);
  if (__i__ == 1) {
    wb_rig_segment (rig, GST_FORMAT_BYTES, 0);
    gst_pad_push (rig->src, wb_buffer (0, SIZE, 2));
    fail_unless (!wb_rig_eos (rig));
    wb_rig_assert_error (rig, GST_RESOURCE_ERROR_WRITE);
  }
  wb_rig_state (rig, GST_STATE_NULL);
  assert_holds (path, 1);
  if (__i__ == 0)
    wb_rig_assert_quiet (rig);
}
GST_END_TEST;

/* Before the end a flush begins the part anew. */
GST_START_TEST (test_flush_before_the_end)
{
  g_autofree gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = begin (path, "part-suffix=.part", 1);

  wb_rig_flush (rig);
  wb_rig_segment (rig, GST_FORMAT_BYTES, 0);
  wb_rig_fill (rig, 0, SIZE, 2);
  fail_unless (wb_rig_eos (rig));
  assert_sync (rig, 0, "durable", path, TRUE);
  assert_holds (path, 2);
  wb_rig_assert_quiet (rig);
}
GST_END_TEST;

/* An empty stream is a whole one; and what cannot be had leaves nothing. */
GST_START_TEST (test_nothing_and_too_much)
{
  g_autofree gchar *path = wb_path ("file"), *part = wb_path ("file.part");
  g_autoptr (WbRig) rig = wb_rig_new (path, "part-suffix=.part");

  wb_rig_play (rig, GST_FORMAT_BYTES);
  fail_unless (wb_rig_eos (rig));
  fail_unless_equals_int64 (wb_file_size (path), 0);
  wb_file_write (path, "old", 3);
  wb_rig_state (rig, GST_STATE_NULL);
  wb_rig_set (rig, "preallocate=require size-hint=1000000000000000");
  fail_unless_equals_int (gst_element_set_state (rig->sink, GST_STATE_PLAYING),
      GST_STATE_CHANGE_FAILURE);
  assert_is_old (path);
  fail_unless (!is_there (part));
  gst_element_set_state (rig->sink, GST_STATE_NULL);
}
GST_END_TEST;

static Suite *
names_suite (void)
{
  Suite *suite = suite_create ("names");
  TCase *tcase = wb_tcase (suite, "general");

  tcase_add_test (tcase, test_fail);
  tcase_add_test (tcase, test_fail_at_a_link);
  tcase_add_loop_test (tcase, test_number, 0, 2 * G_N_ELEMENTS (numbered));
  tcase_add_test (tcase, test_number_in_a_folder);
  tcase_add_loop_test (tcase, test_of_new_files_only, 0,
      G_N_ELEMENTS (others) * G_N_ELEMENTS (modes));
  tcase_add_test (tcase, test_suffix_with_a_slash);
  tcase_add_test (tcase, test_special_files);
  tcase_add_test (tcase, test_part);
  tcase_add_loop_test (tcase, test_part_by_sync_mode, 0, 3);
  tcase_add_test (tcase, test_part_without_eos);
  tcase_add_test (tcase, test_part_left_behind);
  tcase_add_test (tcase, test_part_is_a_link);
  tcase_add_test (tcase, test_location_is_a_link);
  tcase_add_test (tcase, test_location_leads_nowhere);
  tcase_add_test (tcase, test_set_meanwhile);
  tcase_add_test (tcase, test_taken_meanwhile);
  tcase_add_test (tcase, test_taken_meanwhile_fails);
  tcase_add_loop_test (tcase, test_part_is_replaced, 0, 2);
  tcase_add_test (tcase, test_folder_is_moved);
  tcase_add_test (tcase, test_goes_on);
  tcase_add_loop_test (tcase, test_flush_after_the_end, 0, 2);
  tcase_add_test (tcase, test_flush_before_the_end);
  tcase_add_test (tcase, test_nothing_and_too_much);

  return suite;
}

WB_TEST_MAIN (names)
