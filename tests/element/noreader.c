/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A FIFO that nobody reads: its open waits for a reader, for as long as it takes. A
 * start that gives it up leaves nothing behind in it: later starts are not refused,
 * and a reader who comes gets the stream of the start that it came for.
 */

#include "../common/wbtest.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE WB_KIB (40)
#define PROPERTIES "sync-timeout=500000000"

static gchar *
make_fifo (void)
{
  gchar *path = wb_path ("nobody");

  fail_unless (mkfifo (path, 0600) == 0);
  return path;
}

/* One ERROR, which is not that the file is in use. */
static void
assert_given_up (WbRig *rig, guint number)
{
  GstMessage *message = NULL;
  GError *error = NULL;
  guint i, n = wb_rig_count (rig, GST_MESSAGE_ERROR), own = 0;

  for (i = 0; i < n; i++) {
    message = wb_rig_nth (rig, GST_MESSAGE_ERROR, i);
    gst_message_parse_error (message, &error, NULL);
    own += error->domain == GST_RESOURCE_ERROR;
    fail_if (
        g_error_matches (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_BUSY),
        "start number %u: %s", number, error->message);
    g_clear_error (&error);
  }
  fail_unless_equals_int (own, number);
}

static void
give_up (WbRig *rig, guint number)
{
  fail_unless_equals_int (
      wb_rig_state (rig, GST_STATE_READY), GST_STATE_CHANGE_FAILURE);
  assert_given_up (rig, number);
  wb_rig_state (rig, GST_STATE_NULL);
}

static gint
opened_for_reading (const gchar *path)
{
  gint fd = open (path, O_RDONLY | O_CLOEXEC);

  fail_unless (fd >= 0, "%s", g_strerror (errno));
  return fd;
}

/* `cat`: waits for a writer, and reads until the last has closed. */
static gpointer
read_all (gpointer data)
{
  GByteArray *bytes = g_byte_array_new ();
  gint fd = opened_for_reading (data);
  guint8 room[4096];
  gssize n;

  while ((n = read (fd, room, sizeof room)) > 0)
    g_byte_array_append (bytes, room, (guint) n);
  close (fd);
  return bytes;
}

static void
assert_no_threads_left (guint threads)
{
  guint i;

  for (i = 0; i < WB_PATIENCE * 100 && wb_count_threads () > threads; i++)
    g_usleep (10000);
  fail_unless (wb_count_threads () <= threads, "%u threads, %u before",
      wb_count_threads (), threads);
}

/* What a first start makes for good is not counted. */
GST_START_TEST (test_starts_again)
{
  gchar *path = make_fifo ();
  WbRig *rig = wb_rig_new (path, PROPERTIES);
  guint i, threads = 0;

  for (i = 1; i <= 3; i++) {
    if (i == 2)
      threads = wb_count_threads ();
    give_up (rig, i);
  }
  assert_no_threads_left (threads);
  wb_rig_free (rig);
  g_free (path);
}
GST_END_TEST;

static void
stream (WbRig *rig)
{
  wb_rig_play (rig, GST_FORMAT_BYTES);
  wb_rig_fill (rig, 0, SIZE, 1);
  fail_unless (wb_rig_eos (rig));
  wb_rig_state (rig, GST_STATE_NULL);
}

/* The reader comes between two starts. */
GST_START_TEST (test_reader_comes)
{
  gchar *path = make_fifo ();
  WbRig *rig = wb_rig_new (path, PROPERTIES);
  guint8 *wanted = wb_pattern (0, SIZE, 1);
  GByteArray *got;
  WbTask *reader;

  give_up (rig, 1);
  reader = wb_task_new (read_all, path);
  /* So that whoever is left in the open meets it. */
  fail_if (wb_task_ends_within (reader, 0.2), "it has got an end of file");
  g_object_set (rig->sink, "sync-timeout", 10 * GST_SECOND, NULL);
  stream (rig);
  got = wb_task_finish (reader, "reading");
  wb_assert_bytes (got->data, got->len, wanted, SIZE);
  g_byte_array_unref (got);
  wb_rig_free (rig);
  g_free (wanted);
  g_free (path);
}
GST_END_TEST;

/* The reader comes while a start waits: that is what it waits for. */
GST_START_TEST (test_reader_comes_in_time)
{
  gchar *path = make_fifo ();
  WbRig *rig = wb_rig_new (path, "sync-timeout=20000000000");
  guint8 *wanted = wb_pattern (0, SIZE, 1);
  WbTask *start = wb_rig_state_task (rig, GST_STATE_READY), *reader;
  GByteArray *got;

  fail_if (wb_task_ends_within (start, 0.2), "nobody reads");
  reader = wb_task_new (read_all, path);
  fail_unless_equals_int (
      wb_task_state (start, "start"), GST_STATE_CHANGE_SUCCESS);
  stream (rig);
  got = wb_task_finish (reader, "reading");
  wb_assert_bytes (got->data, got->len, wanted, SIZE);
  g_byte_array_unref (got);
  wb_rig_free (rig);
  g_free (wanted);
  g_free (path);
}
GST_END_TEST;

static Suite *
noreader_suite (void)
{
  Suite *suite = suite_create ("noreader");
  TCase *tc = wb_tcase (suite, "general");

  tcase_add_test (tc, test_starts_again);
  tcase_add_test (tc, test_reader_comes);
  tcase_add_test (tc, test_reader_comes_in_time);
  return suite;
}

WB_TEST_MAIN (noreader)
