/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * GST_DEBUG=wbfilesink:5 tells where a muxer went: each seek that moves, with
 * from, to and how far, each chunk that was started and retired; INFO sums up
 * at the end.
 */

#include "../common/wbtest.h"

#include <string.h>

#ifndef GST_DISABLE_GST_DEBUG

static GMutex lock;
static GPtrArray *debug_lines;
static GPtrArray *info_lines;

static void
listen (GstDebugCategory *category, GstDebugLevel level, const gchar *file,
    const gchar *function, gint line, GObject *object, GstDebugMessage *message,
    gpointer data)
{
  GPtrArray *lines = NULL;

  if (!g_str_equal (gst_debug_category_get_name (category), "wbfilesink"))
    return;
  if (level == GST_LEVEL_DEBUG)
    lines = debug_lines;
  else if (level == GST_LEVEL_INFO)
    lines = info_lines;
  if (lines == NULL)
    return;

  g_mutex_lock (&lock);
  g_ptr_array_add (lines, g_strdup (gst_debug_message_get (message)));
  g_mutex_unlock (&lock);
}

/* Lines that have all of these words in them */
static guint count_lines (
    GPtrArray *lines, const gchar *first, ...) G_GNUC_NULL_TERMINATED;

static guint
count_lines (GPtrArray *lines, const gchar *first, ...)
{
  guint i, n = 0;

  g_mutex_lock (&lock);
  for (i = 0; i < lines->len; i++) {
    const gchar *word = first;
    gboolean all = TRUE;
    va_list args;

    va_start (args, first);
    for (; word != NULL; word = va_arg (args, const gchar *))
      all = all && strstr (g_ptr_array_index (lines, i), word) != NULL;
    va_end (args);
    n += all;
  }
  g_mutex_unlock (&lock);

  return n;
}

static void
listen_from_now (void)
{
  debug_lines = g_ptr_array_new_with_free_func (g_free);
  info_lines = g_ptr_array_new_with_free_func (g_free);
  gst_debug_remove_log_function (gst_debug_log_default);
  gst_debug_add_log_function (listen, NULL, NULL);
  gst_debug_set_threshold_for_name ("wbfilesink", GST_LEVEL_DEBUG);
  gst_debug_set_active (TRUE);
}

static void
listen_no_more (void)
{
  gst_debug_remove_log_function (listen);
  g_ptr_array_unref (debug_lines);
  g_ptr_array_unref (info_lines);
}

GST_START_TEST (test_seeks)
{
  gchar *path = wb_path ("file");
  WbRig *rig;

  listen_from_now ();
  rig = wb_rig_new (path, NULL);
  wb_rig_play (rig, GST_FORMAT_BYTES);
  wb_rig_fill (rig, 0, 54321, 1);
  fail_unless (wb_rig_seek (rig, 54321));
  fail_unless_equals_int (count_lines (debug_lines, "54321", NULL), 0);
  fail_unless (wb_rig_seek (rig, 1234));
  fail_unless_equals_int (count_lines (debug_lines, "54321", "1234", "-53087",
                              "a back-patch", NULL),
      1);
  wb_rig_fill (rig, 0, 8, 1);
  fail_unless (wb_rig_seek (rig, 98765));
  fail_unless_equals_int (
      count_lines (debug_lines, "1242", "98765", "97523", "beyond", NULL), 1);
  fail_unless (wb_rig_seek (rig, 0));
  fail_unless (wb_rig_seek (rig, 98765));
  fail_unless_equals_int (
      count_lines (debug_lines, "from 0 to 98765", "a resume", NULL), 1);
  fail_unless (wb_rig_eos (rig));
  wb_rig_free (rig);
  listen_no_more ();
  g_free (path);
}
GST_END_TEST;

/* As many lines as the figures say */
GST_START_TEST (test_chunks)
{
  gchar *path = wb_path ("file"), *mechanism;
  WbRig *rig;
  guint64 started, retired;
  guint i;

  listen_from_now ();
  rig = wb_rig_new (path, WB_TINY_WINDOW);
  wb_rig_play (rig, GST_FORMAT_TIME);
  for (i = 0; i < 100; i++)
    wb_rig_fill (rig, i * WB_KIB (64), WB_KIB (64), 1);
  fail_unless (wb_rig_eos (rig));
  started = wb_stat (rig->sink, "chunks-started");
  retired = wb_stat (rig->sink, "chunks-retired");
  mechanism = wb_stat_string (rig->sink, "mechanism");
  if (started == 0)
    wb_skip (mechanism);
  wb_rig_free (rig);
  fail_unless_equals_uint64 (
      count_lines (debug_lines, "chunk", "started", NULL), started);
  fail_unless_equals_uint64 (
      count_lines (debug_lines, "chunk", "retired", NULL), retired);
  g_free (mechanism);
  listen_no_more ();
  g_free (path);
}
GST_END_TEST;

GST_START_TEST (test_sum)
{
  gchar *path = wb_path ("file");
  WbRig *rig;
  guint at_eos;

  listen_from_now ();
  rig = wb_rig_new (path, NULL);
  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_fill (rig, 0, 54321, 1);
  fail_unless (wb_rig_eos (rig));
  at_eos = count_lines (info_lines, "54321", NULL);
  wb_rig_free (rig);
  fail_unless (count_lines (info_lines, "54321", NULL) > at_eos);
  listen_no_more ();
  g_free (path);
}
GST_END_TEST;

#endif

static Suite *
log_suite (void)
{
  Suite *suite = suite_create ("log");

#ifndef GST_DISABLE_GST_DEBUG
  if (!wb_sink_is_filesink ()) {
    TCase *tcase = wb_tcase (suite, "general");

    tcase_add_test (tcase, test_seeks);
    tcase_add_test (tcase, test_chunks);
    tcase_add_test (tcase, test_sum);
  }
#endif

  return suite;
}

WB_TEST_MAIN (log)
