/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A muxer writes into a tee with filesink and wbfilesink behind it: the files
 * are the same, byte for byte. So they are with a window so small that all of
 * the file is written out while it grows, and when wbfilesink appends: what
 * was there before stays, and what comes behind it is filesink's file.
 *
 *   identical seeks|streams DESCRIPTION [BYTES]
 *
 * DESCRIPTION is the pipeline up to the muxer. The first word says what the
 * muxer is known to do, so that a mode that should seek back and no longer
 * does is noticed: nothing would be tested then. With BYTES, a file that must
 * be at least so large is written, once, with the small window.
 */

#include "../common/wbpipe.h"

#include <string.h>

#define QUEUE "queue max-size-buffers=0 max-size-bytes=67108864 max-size-time=0"
#define THEIRS "t. ! " QUEUE " ! filesink name=theirs "
#define OURS "t. ! " QUEUE " ! wbfilesink name=ours "
#define OLD_SIZE 12345

typedef struct
{
  const gchar *what;
  const gchar *sinks;
  gboolean append;
} Round;

/* The tee asks its first branch whether it can be seeked: each is it once. */
static const Round rounds[] = {
  { "as it is", THEIRS OURS, FALSE },
  { "small window", OURS WB_TINY_WINDOW " " THEIRS, FALSE },
  { "appended", OURS WB_TINY_WINDOW " append=true " THEIRS, TRUE },
};

static const gchar *source;
static gboolean seeks;
static gint64 large;

static GByteArray *
old_bytes (void)
{
  return g_byte_array_new_take (wb_pattern (0, OLD_SIZE, 99), OLD_SIZE);
}

static void
assert_identical (const Round *round, const gchar *theirs, const gchar *ours)
{
  if (round->append) {
    GByteArray *old = old_bytes (), *file = wb_file_read (ours);

    wb_assert_bytes (
        file->data, MIN (file->len, old->len), old->data, old->len);
    g_byte_array_unref (file);
    g_byte_array_unref (old);
  }
  wb_assert_same_file (ours, round->append ? OLD_SIZE : 0, theirs);
}

static void
assert_figures (const Round *round, GstElement *sink)
{
  guint64 n = wb_stat (sink, "seeks");
  gchar *result = wb_stat_string (sink, "sync-result");

  g_print ("%-12s  %9" G_GUINT64_FORMAT " bytes, %4" G_GUINT64_FORMAT
           " seeks, %4" G_GUINT64_FORMAT " back-patches (%" G_GUINT64_FORMAT
           " late), %3" G_GUINT64_FORMAT " chunks, %s\n",
      round->what, wb_stat (sink, "bytes-written"), n,
      wb_stat (sink, "back-patches"), wb_stat (sink, "late-back-patches"),
      wb_stat (sink, "chunks-started"), result);
  assert_equals_string (result, "durable");
  fail_unless (
      (n > 0) == seeks, "this muxer should%s seek", seeks ? "" : " not");
  g_free (result);
}

static void
set_location (GstElement *pipeline, const gchar *name, const gchar *path)
{
  GstElement *sink = wb_pipe_get (pipeline, name);

  g_object_set (sink, "location", path, NULL);
  gst_object_unref (sink);
}

static gchar *
describe (const Round *round)
{
  return g_strconcat (source, " ! tee name=t ", round->sinks, NULL);
}

GST_START_TEST (test_identical)
{
  const Round *round = &rounds[__i__];
  gchar *theirs = wb_path ("theirs"), *ours = wb_path ("ours");
  gchar *description = describe (round), *problem, *missing;
  GstElement *pipeline = wb_pipe_parse (description, &missing);
  GstElement *sink = wb_pipe_get (pipeline, "ours");

  /* Other people's elements may have their warnings. */
  _gst_check_expecting_log = TRUE;
  set_location (pipeline, "theirs", theirs);
  set_location (pipeline, "ours", ours);
  if (round->append) {
    GByteArray *old = old_bytes ();

    wb_file_write (ours, old->data, old->len);
    g_byte_array_unref (old);
  }

  fail_unless (wb_pipe_run (pipeline, &problem), "%s", problem);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  fail_unless (wb_file_size (ours) >= large, "only %" G_GINT64_FORMAT " bytes",
      wb_file_size (ours));
  assert_identical (round, theirs, ours);
  assert_figures (round, sink);

  gst_object_unref (sink);
  gst_object_unref (pipeline);
  g_free (description);
  g_free (theirs);
  g_free (ours);
}
GST_END_TEST;

static Suite *
identical_suite (void)
{
  Suite *suite = suite_create ("identical");
  TCase *tcase = wb_tcase (suite, "muxer");

  tcase_set_timeout (tcase, WB_PIPE_PATIENCE + 20);
  if (large > 0)
    tcase_add_loop_test (tcase, test_identical, 1, 2);
  else
    tcase_add_loop_test (tcase, test_identical, 0, G_N_ELEMENTS (rounds));

  return suite;
}

int
main (int argc, char **argv)
{
  GstElement *pipeline;
  gchar *description, *missing;

  gst_init (&argc, &argv);
  if (argc < 3 || argc > 4
      || (!g_str_equal (argv[1], "seeks") && !g_str_equal (argv[1], "streams")))
    g_error ("usage: identical seeks|streams DESCRIPTION [BYTES]");
  seeks = g_str_equal (argv[1], "seeks");
  source = argv[2];
  if (argc == 4)
    large = g_ascii_strtoll (argv[3], NULL, 10);

  description = describe (&rounds[0]);
  pipeline = wb_pipe_parse (description, &missing);
  g_free (description);
  if (pipeline == NULL)
    return wb_skip_all ("no %s", missing);
  gst_object_unref (pipeline);

  return wb_main (argc, argv, identical_suite, "identical", __FILE__);
}
