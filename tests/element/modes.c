/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How the file is opened: truncated, appended to, overwritten in place; what
 * was in it before, and where position 0 of the stream lies then.
 */

#include "../common/wbtest.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

/* A file of old bytes, larger or smaller than what is written over it */
static gchar *
old_file (gsize size)
{
  gchar *path = wb_path ("file");
  guint8 *old = wb_pattern (0, size, 99);

  wb_file_write (path, old, size);
  g_free (old);

  return path;
}

static void
write_once (const gchar *path, const gchar *properties, gsize size, guint seed)
{
  WbRig *rig = wb_rig_new (path, properties);

  wb_rig_play (rig, GST_FORMAT_BYTES);
  fail_unless_equals_int64 (wb_rig_position (rig), 0);
  wb_rig_fill (rig, 0, size, seed);
  fail_unless_equals_int64 (wb_rig_position (rig), size);
  fail_unless (wb_rig_eos (rig));
  wb_rig_assert_quiet (rig);
  wb_rig_free (rig);
}

GST_START_TEST (test_truncate)
{
  gchar *path = old_file (100000);
  guint8 *data = wb_pattern (0, 3000, 1);

  write_once (path, NULL, 3000, 1);
  wb_assert_file (path, data, 3000);
  g_free (data);
  g_free (path);
}
GST_END_TEST;

GST_START_TEST (test_truncated_at_open)
{
  gchar *path = old_file (100000);
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);

  wb_rig_state (rig, GST_STATE_READY);
  fail_unless_equals_int64 (wb_file_size (path), 0);
  wb_rig_state (rig, GST_STATE_NULL);
  fail_unless_equals_int64 (wb_file_size (path), 0);
  wb_rig_assert_quiet (rig);
  g_free (path);
}
GST_END_TEST;

static const gchar *append_ways[] = { "append=true", "file-mode=output",
  "append=true file-mode=output", "append=true file-mode=overwrite" };

static GByteArray *
old_and (const gsize *sizes)
{
  GByteArray *model = g_byte_array_new ();
  guint seed = 99;

  for (; *sizes != 0; sizes++) {
    guint8 *data = wb_pattern (0, *sizes, seed);

    g_byte_array_append (model, data, *sizes);
    g_free (data);
    seed = seed == 99 ? 1 : seed + 1;
  }

  return model;
}

GST_START_TEST (test_append)
{
  gchar *path = old_file (5001);
  GByteArray *model = old_and ((gsize[]){ 5001, 3000, 70000, 0 });

  if (__i__ > 0)
    WB_OWN_TEST ();

  /* Each start has its base where the file ends then. */
  write_once (path, append_ways[__i__], 3000, 1);
  write_once (path, append_ways[__i__], 70000, 2);
  wb_assert_file (path, model->data, model->len);
  g_byte_array_unref (model);
  g_free (path);
}
GST_END_TEST;

GST_START_TEST (test_append_to_nothing)
{
  gchar *path = wb_path ("new");
  guint8 *data = wb_pattern (0, 3000, 1);

  if (__i__ > 0)
    WB_OWN_TEST ();

  write_once (path, append_ways[__i__], 3000, 1);
  wb_assert_file (path, data, 3000);
  g_free (data);
  g_free (path);
}
GST_END_TEST;

/* The base is where the file ended when it was opened, whatever happens to
 * its end later. */
GST_START_TEST (test_append_keeps_one_base)
{
  gchar *path = old_file (5000);
  GByteArray *model = old_and ((gsize[]){ 5000, 3000, 0 });
  guint8 *more = wb_pattern (3000, 2000, 1);
  g_autoptr (WbRig) rig = NULL;

  WB_OWN_TEST ();

  rig = wb_rig_new (path, "append=true");
  wb_rig_play (rig, GST_FORMAT_BYTES);
  wb_rig_fill (rig, 0, 3000, 1);
  fail_unless (wb_rig_eos (rig));
  wb_rig_state (rig, GST_STATE_READY);
  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_write (rig, more, 2000);
  fail_unless (wb_rig_eos (rig));
  wb_model_write (model, 8000, more, 2000);
  wb_assert_file (path, model->data, model->len);

  g_byte_array_unref (model);
  g_free (more);
  g_free (path);
}
GST_END_TEST;

/* A muxer's patches land in its own part. With filesink they land at the
 * end, and break the file. */
GST_START_TEST (test_append_and_seek)
{
  gchar *path = old_file (5001);
  GByteArray *model = old_and ((gsize[]){ 5001, 0 });
  const gsize size = WB_MIB (3) + 17;
  g_autoptr (WbRig) rig = NULL;
  guint8 *data;

  WB_OWN_TEST ();

  rig = wb_rig_new (path, append_ways[__i__]);
  wb_rig_set (rig, WB_TINY_WINDOW);
  wb_rig_play (rig, GST_FORMAT_BYTES);
  data = wb_pattern (0, size, 1);
  wb_rig_write (rig, data, size);
  wb_model_write (model, 5001, data, size);

  /* The head, the middle, and back to the end */
  fail_unless (wb_rig_seek (rig, 0));
  fail_unless_equals_int64 (wb_rig_position (rig), 0);
  wb_rig_write (rig, "the head", 8);
  wb_model_write (model, 5001, "the head", 8);
  fail_unless_equals_int64 (wb_rig_position (rig), 8);
  fail_unless (wb_rig_seek (rig, 1234567));
  wb_rig_write (rig, "a patch", 7);
  wb_model_write (model, 5001 + 1234567, "a patch", 7);
  fail_unless (wb_rig_seek (rig, size));
  fail_unless_equals_int64 (wb_rig_position (rig), size);
  wb_rig_write (rig, "the tail", 8);
  wb_model_write (model, 5001 + size, "the tail", 8);

  fail_unless (wb_rig_eos (rig));
  wb_rig_assert_quiet (rig);
  wb_assert_file (path, model->data, model->len);

  g_byte_array_unref (model);
  g_free (data);
  g_free (path);
}
GST_END_TEST;

/* What lies beyond what is written stays. */
GST_START_TEST (test_overwrite)
{
  gchar *path = old_file (100000);
  GByteArray *model = old_and ((gsize[]){ 100000, 0 });
  guint8 *data = wb_pattern (0, 3000, 1);

  WB_OWN_TEST ();

  write_once (path, "file-mode=overwrite", 3000, 1);
  wb_model_write (model, 0, data, 3000);
  wb_assert_file (path, model->data, model->len);
  g_free (data);

  data = wb_pattern (0, 150000, 2);
  write_once (path, "file-mode=overwrite", 150000, 2);
  wb_assert_file (path, data, 150000);

  g_byte_array_unref (model);
  g_free (data);
  g_free (path);
}
GST_END_TEST;

GST_START_TEST (test_overwrite_nothing)
{
  gchar *path = wb_path ("new");
  guint8 *data = wb_pattern (0, 3000, 1);

  WB_OWN_TEST ();

  write_once (path, "file-mode=overwrite", 3000, 1);
  wb_assert_file (path, data, 3000);
  g_free (data);
  g_free (path);
}
GST_END_TEST;

/* Bytes in the middle of what is there, as a tool that edits a file does */
GST_START_TEST (test_overwrite_and_seek)
{
  gchar *path = old_file (WB_MIB (4));
  GByteArray *model = old_and ((gsize[]){ WB_MIB (4), 0 });
  guint8 *data = wb_pattern (0, WB_MIB (1), 1);
  g_autoptr (WbRig) rig = NULL;

  WB_OWN_TEST ();

  rig = wb_rig_new (path, "file-mode=overwrite " WB_TINY_WINDOW);
  wb_rig_play (rig, GST_FORMAT_BYTES);
  fail_unless (wb_rig_seek (rig, 100001));
  wb_rig_write (rig, data, WB_MIB (1));
  wb_model_write (model, 100001, data, WB_MIB (1));
  fail_unless (wb_rig_seek (rig, 3));
  wb_rig_write (rig, data, 10);
  wb_model_write (model, 3, data, 10);
  fail_unless (wb_rig_eos (rig));
  wb_rig_assert_quiet (rig);
  wb_assert_file (path, model->data, model->len);

  g_byte_array_unref (model);
  g_free (data);
  g_free (path);
}
GST_END_TEST;

/* The flags that the kernel has of our descriptor of this file, or -1 */
static glong
open_flags (const gchar *path)
{
  GDir *dir = g_dir_open ("/proc/self/fd", 0, NULL);
  const gchar *name;
  glong flags = -1;

  if (dir == NULL)
    return -1;
  while (flags < 0 && (name = g_dir_read_name (dir)) != NULL) {
    gchar *link = g_build_filename ("/proc/self/fd", name, NULL);
    gchar *info = g_build_filename ("/proc/self/fdinfo", name, NULL);
    gchar *target = g_file_read_link (link, NULL), *text = NULL, *line;

    if (g_strcmp0 (target, path) == 0
        && g_file_get_contents (info, &text, NULL, NULL)
        && (line = strstr (text, "flags:")) != NULL)
      flags = strtol (line + strlen ("flags:"), NULL, 8);
    g_free (text);
    g_free (target);
    g_free (link);
    g_free (info);
  }
  g_dir_close (dir);

  return flags;
}

/* What is appended goes to the end, wherever that is, and a program that the
 * application starts must not hold the file open. */
GST_START_TEST (test_open_flags)
{
  static const gchar *properties[] = { "o-sync=false", "o-sync=true",
    "append=true", "append=true o-sync=true", "file-mode=overwrite" };
  gchar *path = old_file (10);
  guint i;

  WB_OWN_TEST ();

  for (i = 0; i < G_N_ELEMENTS (properties); i++) {
    WbRig *rig = wb_rig_new (path, properties[i]);
    gboolean sync = strstr (properties[i], "o-sync=true") != NULL;
    gboolean append = strstr (properties[i], "append=true") != NULL;
    glong flags;

    wb_rig_state (rig, GST_STATE_READY);
    flags = open_flags (path);
    if (flags < 0)
      wb_skip ("/proc does not tell the flags");
    fail_unless (
        flags < 0 || ((flags & O_APPEND) != 0) == append, "%s", properties[i]);
    fail_unless (flags < 0 || (flags & O_CLOEXEC) != 0, "%s", properties[i]);
    fail_unless (
        flags < 0 || ((flags & O_SYNC) == O_SYNC) == sync, "%s", properties[i]);
    wb_rig_free (rig);
  }
  g_free (path);
}
GST_END_TEST;

GST_START_TEST (test_o_sync)
{
  gchar *path = wb_path ("file");
  guint8 *data = wb_pattern (0, 300000, 1);

  write_once (path, "o-sync=true", 300000, 1);
  wb_assert_file (path, data, 300000);
  g_free (data);
  g_free (path);
}
GST_END_TEST;

static Suite *
modes_suite (void)
{
  Suite *suite = suite_create ("modes");
  TCase *tcase = wb_tcase (suite, "general");
  gint ways = G_N_ELEMENTS (append_ways);

  tcase_add_test (tcase, test_truncate);
  tcase_add_test (tcase, test_truncated_at_open);
  tcase_add_loop_test (tcase, test_append, 0, ways);
  tcase_add_loop_test (tcase, test_append_to_nothing, 0, ways);
  tcase_add_test (tcase, test_append_keeps_one_base);
  tcase_add_loop_test (tcase, test_append_and_seek, 0, ways);
  tcase_add_test (tcase, test_overwrite);
  tcase_add_test (tcase, test_overwrite_nothing);
  tcase_add_test (tcase, test_overwrite_and_seek);
  tcase_add_test (tcase, test_open_flags);
  tcase_add_test (tcase, test_o_sync);

  return suite;
}

WB_TEST_MAIN (modes)
