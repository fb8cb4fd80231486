/* An open that comes back too late does no harm: whoever has the name by then
 * keeps what they wrote. And while a start waits in it, the file that it is for is
 * the one that is spoken of, whatever `location` says meanwhile.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"
#include "faultrig.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TIMEOUT "sync-timeout=500000000"

static const gchar others[] = "what another program has written meanwhile";

/* In place, as programs do: the file stays the same one. */
static void
write_others (const gchar *path)
{
  FILE *stream = fopen (path, "w");

  case_check (
      stream != NULL && fputs (others, stream) >= 0 && fclose (stream) == 0,
      "%s: %s", path, g_strerror (errno));
}

static void
check_others (const gchar *path)
{
  g_autofree gchar *content = NULL;
  gsize size = 0;

  case_check (g_file_get_contents (path, &content, &size, NULL),
      "%s is not there", path);
  case_check (
      size == strlen (others), "%" G_GSIZE_FORMAT " bytes are left", size);
  case_check (strcmp (content, others) == 0, "other bytes");
}

static gboolean
start (Rig *rig)
{
  return gst_element_set_state (rig->pipeline, GST_STATE_PLAYING)
      != GST_STATE_CHANGE_FAILURE;
}

/* --- what the late call does ---------------------------------------------------- */

static void
comes_back (const gchar *directory, FaultCall call, gboolean exists,
    const gchar *properties)
{
  g_autofree gchar *path = g_build_filename (directory, "file", NULL);
  Rig *rig;

  fault_reset ();
  fault_ideal_disk (TRUE);
  if (exists)
    write_others (path);
  fault_hang (call, 1);
  rig = rig_new (path, properties);
  case_check (!start (rig), "it has started");
  case_check (fault_was_hit (), "nothing hangs");
  gst_element_set_state (rig->pipeline, GST_STATE_NULL);
  write_others (path);
  fault_release ();
  rig_free (rig);
  rig_assert_nothing_left (directory, 1);
  check_others (path);
}

static void
open_of_a_new_file (const gchar *directory)
{
  comes_back (directory, FAULT_OPEN, FALSE, TIMEOUT);
}

static void
open_of_an_old_file (const gchar *directory)
{
  comes_back (directory, FAULT_OPEN, TRUE, TIMEOUT);
}

static void
open_that_requires_space (const gchar *directory)
{
  comes_back (directory, FAULT_OPEN, TRUE,
      TIMEOUT " preallocate=require size-hint=1048576");
}

static void
open_that_overwrites (const gchar *directory)
{
  comes_back (directory, FAULT_OPEN, TRUE, TIMEOUT " file-mode=overwrite");
}

/* Between the open and what truncates. */
static void
fstat_of_an_old_file (const gchar *directory)
{
  comes_back (directory, FAULT_FSTAT, TRUE, TIMEOUT);
}

/* A file that is not given up is emptied as ever. */
static void
open_in_time (const gchar *directory)
{
  static const RigPart part = { 0, 4 * RIG_PIECE, 1, TRUE };
  g_autofree gchar *path = g_build_filename (directory, "file", NULL);
  g_autoptr (GByteArray) model = g_byte_array_new ();
  Rig *rig;

  fault_reset ();
  fault_ideal_disk (TRUE);
  case_check (g_file_set_contents (path, g_malloc0 (1 << 20), 1 << 20, NULL),
      "no file");
  fault_delay (FAULT_OPEN, 1, 100 * 1000);
  rig = rig_new (path, TIMEOUT);
  case_check (start (rig), "it does not start: %s", rig_complaint (rig));
  rig_feeder_end (rig_feed (rig, &part), NULL);
  gst_element_set_state (rig->pipeline, GST_STATE_NULL);
  rig_model (model, &part);
  rig_assert_content (path, model);
  rig_free (rig);
}

/* --- which file is meant --------------------------------------------------------- */

static gpointer
start_thread (gpointer data)
{
  return GINT_TO_POINTER (start (data));
}

/* Sets another location while the start waits, and returns whether it started. */
static gboolean
start_and_set (Rig *rig, const gchar *other)
{
  GThread *starter = g_thread_new ("starter", start_thread, rig);

  case_check (fault_wait_hanging (), "the start does not wait");
  g_object_set (rig->sink, "location", other, NULL);
  return GPOINTER_TO_INT (g_thread_join (starter));
}

static void
check_named (Rig *rig, const gchar *path)
{
  const RigNote *note = rig_nth (rig, GST_MESSAGE_ERROR, 0);

  case_check (note != NULL, "no error");
  case_check (
      strstr (note->text, path) != NULL, "the wrong file: %s", note->text);
}

/* It may be refused, with a warning of GLib. */
static void
names_what_it_opens (const gchar *directory)
{
  static const gchar *const refused[] = { "location", NULL };
  g_autofree gchar *path = g_build_filename (directory, "first", NULL);
  g_autofree gchar *other = g_build_filename (directory, "second", NULL);
  Rig *rig;

  case_expect_complaints (refused);
  fault_reset ();
  fault_ideal_disk (TRUE);
  fault_hang (FAULT_OPEN, 1);
  rig = rig_new (path, TIMEOUT);
  case_check (!start_and_set (rig, other), "it has started");
  check_named (rig, path);
  gst_element_set_state (rig->pipeline, GST_STATE_NULL);
  fault_release ();
  rig_free (rig);
}

static void
names_what_it_writes (const gchar *directory)
{
  static const gchar *const refused[] = { "location", NULL };
  static const RigPart part = { 0, 4 * RIG_PIECE, 1, TRUE };
  g_autofree gchar *path = g_build_filename (directory, "first", NULL);
  g_autofree gchar *other = g_build_filename (directory, "second", NULL);
  Rig *rig;

  case_expect_complaints (refused);
  fault_reset ();
  fault_ideal_disk (TRUE);
  fault_delay (FAULT_OPEN, 1, 200 * 1000);
  fault_fail (FAULT_WRITE, 1, 1, EIO);
  rig = rig_new (path, "sync-timeout=10000000000");
  case_check (
      start_and_set (rig, other), "it does not start: %s", rig_complaint (rig));
  rig_feeder_end (rig_feed (rig, &part), NULL);
  check_named (rig, path);
  gst_element_set_state (rig->pipeline, GST_STATE_NULL);
  case_check (g_file_test (path, G_FILE_TEST_EXISTS)
          && !g_file_test (other, G_FILE_TEST_EXISTS),
      "another file was opened");
  rig_free (rig);
}

int
main (int argc, char **argv)
{
  static const NamedCase named[] = {
    { "an open of a new file comes back late", open_of_a_new_file },
    { "an open of an old file comes back late", open_of_an_old_file },
    { "an open that requires space comes back late", open_that_requires_space },
    { "an open that overwrites comes back late", open_that_overwrites },
    { "what follows an open comes back late", fstat_of_an_old_file },
    { "an open that comes back in time empties the file", open_in_time },
    { "location set while start waits, which fails", names_what_it_opens },
    { "location set while start waits, which succeeds", names_what_it_writes },
  };

  rig_init (&argc, &argv);
  return cases_run_named (named, G_N_ELEMENTS (named), argv + 1);
}
