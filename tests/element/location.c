/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Where the file is: by property and by URI, with any bytes a file name may
 * have, refused while the file is open, and what is said when there is no
 * name or it cannot be opened.
 */

#include "../common/wbtest.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#define BYTES_OF_A_NAME_50                                                     \
  "0123456789abcdefghijklmnopqrstuvwxyz 0123456789\xff\xfe\n"
#define NAME_OF_255_BYTES                                                      \
  BYTES_OF_A_NAME_50 BYTES_OF_A_NAME_50 BYTES_OF_A_NAME_50 BYTES_OF_A_NAME_50  \
      BYTES_OF_A_NAME_50 "12345"
#define HANDLER(rig) GST_URI_HANDLER ((rig)->sink)

static gchar *
get_location (WbRig *rig)
{
  gchar *location;

  g_object_get (rig->sink, "location", &location, NULL);

  return location;
}

static void
assert_set_uri (WbRig *rig, const gchar *uri, const gchar *location)
{
  GError *error = NULL;
  gchar *got;

  fail_unless (gst_uri_handler_set_uri (HANDLER (rig), uri, &error), "%s: %s",
      uri, error != NULL ? error->message : "?");
  got = get_location (rig);
  assert_equals_string (got, location);
  g_free (got);
}

GST_START_TEST (test_property)
{
  g_autoptr (WbRig) rig = wb_rig_new (NULL, NULL);
  gchar *got;

  got = get_location (rig);
  fail_unless (got == NULL);
  fail_unless (gst_uri_handler_get_uri (HANDLER (rig)) == NULL);

  g_object_set (rig->sink, "location", "/some/where", NULL);
  got = get_location (rig);
  assert_equals_string (got, "/some/where");
  g_free (got);
  got = gst_uri_handler_get_uri (HANDLER (rig));
  assert_equals_string (got, "file:///some/where");
  g_free (got);

  /* What has to be escaped in a URI */
  g_object_set (rig->sink, "location", "/a b/100%/#?.mkv", NULL);
  got = gst_uri_handler_get_uri (HANDLER (rig));
  assert_equals_string (got, "file:///a%20b/100%25/%23%3F.mkv");
  g_free (got);

  g_object_set (rig->sink, "location", NULL, NULL);
  got = get_location (rig);
  fail_unless (got == NULL);
  fail_unless (gst_uri_handler_get_uri (HANDLER (rig)) == NULL);
}
GST_END_TEST;

GST_START_TEST (test_uri)
{
  g_autoptr (WbRig) rig = wb_rig_new (NULL, NULL);
  gchar *got;

  assert_set_uri (rig, "file:///some/where", "/some/where");
  assert_set_uri (rig, "file://localhost/other/place", "/other/place");
  assert_set_uri (rig, "file:///a%20b/100%25/%23", "/a b/100%/#");
  got = gst_uri_handler_get_uri (HANDLER (rig));
  assert_equals_string (got, "file:///a%20b/100%25/%23");
  g_free (got);
  assert_set_uri (rig, "file://localhost/a%20b", "/a b");

  /* How applications ask whether there is an element for the protocol */
  assert_set_uri (rig, "file://", NULL);
  fail_unless (gst_uri_handler_get_uri (HANDLER (rig)) == NULL);
}
GST_END_TEST;

static void
assert_uri_refused (WbRig *rig, const gchar *uri, GstURIError code)
{
  GError *error = NULL;
  gchar *got;

  fail_if (
      gst_uri_handler_set_uri (HANDLER (rig), uri, &error), "%s is taken", uri);
  fail_unless (g_error_matches (error, GST_URI_ERROR, code), "%s: %s", uri,
      error != NULL ? error->message : "no error");
  g_clear_error (&error);
  got = get_location (rig);
  assert_equals_string (got, "/before");
  g_free (got);
}

GST_START_TEST (test_bad_uri)
{
  g_autoptr (WbRig) rig = wb_rig_new ("/before", NULL);

  assert_uri_refused (rig, "file://relative/path", GST_URI_ERROR_BAD_URI);
  assert_uri_refused (rig, "file:relative", GST_URI_ERROR_BAD_URI);
  assert_uri_refused (
      rig, "file://otherhost/some/where", GST_URI_ERROR_BAD_URI);
  assert_uri_refused (
      rig, "http://localhost/some/where", GST_URI_ERROR_UNSUPPORTED_PROTOCOL);
}
GST_END_TEST;

static const gchar *names[] = { "\xff\xfe caf\xe9 %41\n.bin", "%d %s %n %05d",
  "\"quoted\" 'quoted' `quoted` $HOME \\ back", "-n", "...", " ", "\n",
  "\x01\x1b[31m\x7f\t", "file:", "#?&;=+:*|<>", "\xf0\x9f\x93\xbc \xe2\x80\xae",
  "\xc3", NAME_OF_255_BYTES };

/* A file name is bytes; a URI has them escaped, a message cannot have them. */
GST_START_TEST (test_name_of_any_bytes)
{
  gchar *path = wb_path (names[__i__]);
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);
  gchar *got, *uri, *back;

  got = get_location (rig);
  assert_equals_string (got, path);
  g_free (got);

  uri = gst_uri_handler_get_uri (HANDLER (rig));
  fail_unless (g_utf8_validate (uri, -1, NULL));
  back = g_filename_from_uri (uri, NULL, NULL);
  assert_equals_string (back, path);
  g_object_set (rig->sink, "location", NULL, NULL);
  assert_set_uri (rig, uri, path);

  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_fill (rig, 0, 1000, 1);
  fail_unless (wb_rig_eos (rig));
  fail_unless_equals_int (wb_file_size (path), 1000);
  wb_rig_assert_quiet (rig);

  if (!wb_sink_is_filesink ()) {
    const GstStructure *sync = wb_rig_nth_sync (rig, 0);
    gchar *display = g_filename_display_name (path);

    fail_unless (sync != NULL);
    assert_equals_string (gst_structure_get_string (sync, "uri"), uri);
    assert_equals_string (gst_structure_get_string (sync, "location"), display);
    g_free (display);
  }

  g_free (uri);
  g_free (back);
  g_free (path);
}
GST_END_TEST;

/* A location may be relative, as for any program; the URI is absolute. */
GST_START_TEST (test_relative_location)
{
  gchar *dir = wb_path (""), *before = g_get_current_dir ();
  gchar *there = wb_path ("relative"), *uri, *back;
  WbRig *rig;

  fail_unless (g_chdir (dir) == 0);
  rig = wb_rig_new ("relative", NULL);
  uri = gst_uri_handler_get_uri (HANDLER (rig));
  back = g_filename_from_uri (uri, NULL, NULL);
  fail_unless (
      g_path_is_absolute (back) && g_str_has_suffix (back, "/relative"));
  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_fill (rig, 0, 1000, 1);
  fail_unless (wb_rig_eos (rig));
  wb_rig_free (rig);
  fail_unless (g_chdir (before) == 0);
  fail_unless_equals_int (wb_file_size (there), 1000);

  g_free (uri);
  g_free (back);
  g_free (dir);
  g_free (there);
  g_free (before);
}
GST_END_TEST;

GST_START_TEST (test_change_while_open)
{
  static const GstState states[] = { GST_STATE_READY, GST_STATE_PAUSED,
    GST_STATE_PLAYING };
  gchar *path = wb_path ("first"), *other = wb_path ("second"), *got;
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);
  guint i;

  for (i = 0; i < G_N_ELEMENTS (states); i++) {
    GError *error = NULL;
    gchar *uri = g_filename_to_uri (other, NULL, NULL);

    fail_if (wb_rig_state (rig, states[i]) == GST_STATE_CHANGE_FAILURE);
    ASSERT_WARNING (g_object_set (rig->sink, "location", other, NULL));
    got = get_location (rig);
    assert_equals_string (got, path);
    g_free (got);

    /* Here the error is the answer; it may warn as well, as filesink does. */
    _gst_check_expecting_log = TRUE;
    fail_if (gst_uri_handler_set_uri (HANDLER (rig), uri, &error));
    _gst_check_expecting_log = FALSE;
    fail_unless (
        g_error_matches (error, GST_URI_ERROR, GST_URI_ERROR_BAD_STATE));
    g_clear_error (&error);
    got = get_location (rig);
    assert_equals_string (got, path);
    g_free (got);
    g_free (uri);
  }

  wb_rig_begin (rig, GST_FORMAT_TIME);
  wb_rig_fill (rig, 0, 1000, 1);
  fail_unless (wb_rig_eos (rig));
  wb_rig_state (rig, GST_STATE_NULL);
  fail_unless_equals_int (wb_file_size (path), 1000);
  fail_unless (wb_file_size (other) < 0);

  /* Closed: now it may. */
  g_object_set (rig->sink, "location", other, NULL);
  got = get_location (rig);
  assert_equals_string (got, other);
  g_free (got);
  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_fill (rig, 0, 500, 1);
  fail_unless (wb_rig_eos (rig));
  wb_rig_state (rig, GST_STATE_NULL);
  fail_unless_equals_int (wb_file_size (path), 1000);
  fail_unless_equals_int (wb_file_size (other), 500);
  wb_rig_assert_quiet (rig);

  g_free (path);
  g_free (other);
}
GST_END_TEST;

static gpointer
start (gpointer rig)
{
  return GINT_TO_POINTER (wb_rig_state (rig, GST_STATE_READY));
}

/* Whether a thread of this process has that name */
static gboolean
has_thread (const gchar *name)
{
  g_autoptr (GDir) tasks = g_dir_open ("/proc/self/task", 0, NULL);
  const gchar *task;
  gboolean found = FALSE;

  while (!found && tasks != NULL && (task = g_dir_read_name (tasks)) != NULL) {
    g_autofree gchar *path =
        g_build_filename ("/proc/self/task", task, "comm", NULL);
    g_autofree gchar *comm = NULL;

    found = g_file_get_contents (path, &comm, NULL, NULL)
        && g_str_has_prefix (comm, name);
  }

  return found;
}

/* What is being opened is what messages name, whatever is set meanwhile. */
GST_START_TEST (test_change_while_opening)
{
  gchar *path = wb_path ("fifo"), *other = wb_path ("other");
  gchar *uri = g_filename_to_uri (path, NULL, NULL);
  g_autoptr (WbRig) rig = NULL;
  const GstStructure *sync;
  WbTask *task;
  int fd;

  WB_OWN_TEST ();

  fail_unless (mkfifo (path, 0600) == 0);
  rig = wb_rig_new (path, "sync-timeout=18446744073709551615");
  task = wb_task_new (start, rig);
  /* The one that waits for a reader: the location has been taken by then. */
  while (!has_thread ("wbfile-io"))
    g_usleep (1000);
  g_object_set (rig->sink, "location", other, NULL);
  fd = open (path, O_RDONLY | O_NONBLOCK);
  fail_unless (fd >= 0);
  fail_unless_equals_int (GPOINTER_TO_INT (wb_task_finish (task, "start")),
      GST_STATE_CHANGE_SUCCESS);

  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_fill (rig, 0, 1000, 1);
  fail_unless (wb_rig_eos (rig));
  sync = wb_rig_nth_sync (rig, 0);
  fail_unless (sync != NULL);
  assert_equals_string (gst_structure_get_string (sync, "location"), path);
  assert_equals_string (gst_structure_get_string (sync, "uri"), uri);
  wb_rig_assert_quiet (rig);
  fail_unless (wb_file_size (other) < 0);

  close (fd);
  g_free (path);
  g_free (other);
  g_free (uri);
}
GST_END_TEST;

/* The error that start posts; GstBaseSink adds its own, that of the state
 * change, after it. */
static void
assert_start_fails (
    WbRig *rig, GstResourceError code, const gchar *named, const gchar *reason)
{
  GError *error = NULL;
  gchar *debug = NULL;

  fail_unless_equals_int (
      wb_rig_state (rig, GST_STATE_READY), GST_STATE_CHANGE_FAILURE);
  fail_unless (wb_rig_count (rig, GST_MESSAGE_ERROR) >= 1);
  gst_message_parse_error (
      wb_rig_nth (rig, GST_MESSAGE_ERROR, 0), &error, &debug);
  fail_unless (g_error_matches (error, GST_RESOURCE_ERROR, code), "%s: %s",
      g_quark_to_string (error->domain), error->message);
  if (named != NULL) {
    fail_unless (strstr (error->message, named) != NULL,
        "\"%s\" does not name \"%s\"", error->message, named);
  }
  /* filesink 1.20 gives the reason of another call. */
  if (reason != NULL && !wb_sink_is_filesink ()) {
    fail_unless (strstr (error->message, reason) != NULL
            || strstr (debug, reason) != NULL,
        "neither \"%s\" nor \"%s\" says \"%s\"", error->message, debug, reason);
  }
  g_error_free (error);
  g_free (debug);

  if (wb_rig_count (rig, GST_MESSAGE_ERROR) == 2) {
    gst_message_parse_error (
        wb_rig_nth (rig, GST_MESSAGE_ERROR, 1), &error, NULL);
    fail_unless (
        g_error_matches (error, GST_CORE_ERROR, GST_CORE_ERROR_STATE_CHANGE));
    g_error_free (error);
  } else {
    fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_ERROR), 1);
  }
}

GST_START_TEST (test_no_location)
{
  g_autoptr (WbRig) rig = wb_rig_new (NULL, NULL);
  g_autoptr (WbRig) empty = wb_rig_new ("", NULL);

  assert_start_fails (rig, GST_RESOURCE_ERROR_NOT_FOUND, NULL, NULL);
  assert_start_fails (empty, GST_RESOURCE_ERROR_NOT_FOUND, NULL, NULL);
}
GST_END_TEST;

GST_START_TEST (test_no_such_directory)
{
  gchar *path = wb_path ("not-there/file");
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);

  assert_start_fails (
      rig, GST_RESOURCE_ERROR_OPEN_WRITE, path, g_strerror (ENOENT));
  g_free (path);
}
GST_END_TEST;

GST_START_TEST (test_a_directory)
{
  gchar *path = wb_path ("directory");
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);

  fail_unless (g_mkdir (path, 0700) == 0);
  assert_start_fails (
      rig, GST_RESOURCE_ERROR_OPEN_WRITE, path, g_strerror (EISDIR));
  g_free (path);
}
GST_END_TEST;

GST_START_TEST (test_not_allowed)
{
  gchar *path = wb_path ("read-only");
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);

  wb_file_write (path, "x", 1);
  fail_unless (g_chmod (path, 0400) == 0);
  if (access (path, W_OK) == 0) {
    wb_skip ("this user may write everything");
  } else {
    assert_start_fails (
        rig, GST_RESOURCE_ERROR_OPEN_WRITE, path, g_strerror (EACCES));
    wb_assert_file (path, "x", 1);
  }
  g_free (path);
}
GST_END_TEST;

/* A message with bytes that are no text would be thrown away. */
GST_START_TEST (test_cannot_open_name_of_any_bytes)
{
  gchar *path = wb_path ("not-\xff-there/caf\xe9");
  gchar *display = g_filename_display_name (path);
  g_autoptr (WbRig) rig = NULL;

  WB_OWN_TEST ();

  rig = wb_rig_new (path, NULL);
  assert_start_fails (
      rig, GST_RESOURCE_ERROR_OPEN_WRITE, display, g_strerror (ENOENT));
  g_free (path);
  g_free (display);
}
GST_END_TEST;

/* After it could not be opened the location may be changed, and it starts. */
GST_START_TEST (test_start_after_failure)
{
  gchar *bad = wb_path ("not-there/file"), *good = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (bad, NULL);

  assert_start_fails (rig, GST_RESOURCE_ERROR_OPEN_WRITE, bad, NULL);
  g_object_set (rig->sink, "location", good, NULL);
  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_fill (rig, 0, 1000, 1);
  fail_unless (wb_rig_eos (rig));
  fail_unless_equals_int (wb_file_size (good), 1000);
  g_free (bad);
  g_free (good);
}
GST_END_TEST;

/* The file that is there is written to, not replaced: a link to it, by name
 * or by number, sees what is written. */
GST_START_TEST (test_links)
{
  gchar *path = wb_path ("file"), *hard = wb_path ("hard");
  gchar *soft = wb_path ("soft");
  guint8 *data = wb_pattern (0, 3000, 1);
  g_autoptr (WbRig) rig = wb_rig_new (soft, NULL);
  GStatBuf st;

  wb_file_write (path, "old", 3);
  fail_unless (link (path, hard) == 0);
  fail_unless (symlink ("file", soft) == 0);
  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_write (rig, data, 3000);
  fail_unless (wb_rig_eos (rig));
  wb_rig_assert_quiet (rig);
  wb_assert_file (hard, data, 3000);
  fail_unless (g_lstat (soft, &st) == 0 && S_ISLNK (st.st_mode));

  g_free (data);
  g_free (path);
  g_free (hard);
  g_free (soft);
}
GST_END_TEST;

/* A new file gets the mode that the user's mask leaves. */
GST_START_TEST (test_mode_of_new_file)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);
  mode_t before = umask (027);
  GStatBuf st;

  wb_rig_state (rig, GST_STATE_READY);
  umask (before);
  fail_unless (g_stat (path, &st) == 0);
  fail_unless_equals_int (st.st_mode & 0777, 0640);
  g_free (path);
}
GST_END_TEST;

static Suite *
location_suite (void)
{
  Suite *suite = suite_create ("location");
  TCase *tcase = wb_tcase (suite, "general");

  tcase_add_test (tcase, test_property);
  tcase_add_test (tcase, test_uri);
  tcase_add_test (tcase, test_bad_uri);
  tcase_add_loop_test (tcase, test_name_of_any_bytes, 0, G_N_ELEMENTS (names));
  tcase_add_test (tcase, test_relative_location);
  tcase_add_test (tcase, test_change_while_open);
  tcase_add_test (tcase, test_change_while_opening);
  tcase_add_test (tcase, test_no_location);
  tcase_add_test (tcase, test_no_such_directory);
  tcase_add_test (tcase, test_a_directory);
  tcase_add_test (tcase, test_not_allowed);
  tcase_add_test (tcase, test_cannot_open_name_of_any_bytes);
  tcase_add_test (tcase, test_start_after_failure);
  tcase_add_test (tcase, test_links);
  tcase_add_test (tcase, test_mode_of_new_file);

  return suite;
}

WB_TEST_MAIN (location)
