/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Other people's programs take the file: ffprobe counts its frames,
 * mkvmerge reads all of it and writes it anew, without a complaint.
 *
 *   accepted ffprobe|mkvmerge FRAMES DESCRIPTION [RUNS]
 *
 * FRAMES is how many the first video track has, DESCRIPTION the pipeline up
 * to the muxer. With RUNS it is run so often, each time appending: the file
 * has as many parts, and FRAMES is that of all of them.
 */

#include "../common/wbpipe.h"

#include <string.h>

static const gchar *tool;
static gint64 frames;
static gchar *description;
static guint runs = 1;

/* The window is small, and the file is there when the pipeline is at its end,
 * and not only when it has been stopped. */
static void
run_once (const gchar *path)
{
  gchar *problem, *missing;
  GstElement *pipeline = wb_pipe_parse (description, &missing);
  GstElement *sink = wb_pipe_get (pipeline, "ours");
  GByteArray *at_eos;

  _gst_check_expecting_log = TRUE;
  g_object_set (sink, "location", path, NULL);
  gst_object_unref (sink);
  fail_unless (wb_pipe_run (pipeline, &problem), "%s", problem);
  at_eos = wb_file_read (path);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (pipeline);
  wb_assert_file (path, at_eos->data, at_eos->len);
  g_byte_array_unref (at_eos);
}

static void
make_file (const gchar *path)
{
  guint i;

  for (i = 0; i < runs; i++)
    run_once (path);
}

static gchar *
run_tool (const gchar *const *argv)
{
  gchar *out = NULL, *err = NULL;
  gint status;
  GError *error = NULL;

  fail_unless (g_spawn_sync (NULL, (gchar **) argv, NULL, G_SPAWN_SEARCH_PATH,
                   NULL, NULL, &out, &err, &status, &error),
      "%s", error != NULL ? error->message : "");
  fail_unless (status == 0 && err[0] == '\0', "%s: status %d: %s%s", tool,
      status, out, err);
  g_free (err);

  return out;
}

GST_START_TEST (test_ffprobe)
{
  gchar *path = wb_path ("file"), *out;
  /* It always warns of a second part. */
  const gchar *level = runs > 1 ? "error" : "warning";
  const gchar *argv[] = { tool, "-v", level, "-count_frames", "-select_streams",
    "v:0", "-show_entries", "stream=nb_read_frames", "-of",
    "default=nokey=1:noprint_wrappers=1", path, NULL };

  make_file (path);
  out = run_tool (argv);
  fail_unless (g_ascii_strtoll (out, NULL, 10) == frames,
      "%s frames instead of %" G_GINT64_FORMAT, g_strstrip (out), frames);
  g_free (out);
  g_free (path);
}
GST_END_TEST;

GST_START_TEST (test_mkvmerge)
{
  gchar *path = wb_path ("file"), *other = wb_path ("again.mkv"), *out;
  const gchar *argv[] = { tool, "-o", other, path, NULL };

  make_file (path);
  /* It ends with 1 if it had to warn of anything. */
  out = run_tool (argv);
  fail_unless (strstr (out, "Warning") == NULL, "%s", out);
  fail_unless (wb_file_size (other) > wb_file_size (path) / 2);
  g_free (out);
  g_free (path);
  g_free (other);
}
GST_END_TEST;

static Suite *
accepted_suite (void)
{
  Suite *suite = suite_create ("accepted");
  TCase *tcase = wb_tcase (suite, "file");

  tcase_set_timeout (tcase, WB_PIPE_PATIENCE + 60);
  if (g_str_has_suffix (tool, "ffprobe"))
    tcase_add_test (tcase, test_ffprobe);
  else
    tcase_add_test (tcase, test_mkvmerge);

  return suite;
}

int
main (int argc, char **argv)
{
  GstElement *pipeline;
  gchar *missing, *found;
  gint ret;

  gst_init (&argc, &argv);
  if (argc < 4 || argc > 5)
    g_error ("usage: accepted ffprobe|mkvmerge FRAMES DESCRIPTION [RUNS]");
  tool = argv[1];
  frames = g_ascii_strtoll (argv[2], NULL, 10);
  if (argc == 5)
    runs = g_ascii_strtoull (argv[4], NULL, 10);
  description =
      g_strdup_printf ("%s ! wbfilesink name=ours " WB_TINY_WINDOW " append=%d",
          argv[3], runs > 1);

  found = g_find_program_in_path (tool);
  if (found == NULL)
    return wb_skip_all ("no %s", tool);
  g_free (found);
  pipeline = wb_pipe_parse (description, &missing);
  if (pipeline == NULL)
    return wb_skip_all ("no %s", missing);
  gst_object_unref (pipeline);

  ret = wb_main (argc, argv, accepted_suite, "accepted", __FILE__);
  g_free (description);

  return ret;
}
