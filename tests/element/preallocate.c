/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * preallocate and size-hint: space is reserved without showing, every block
 * that is not used is given back, and a file that was required to fit fails
 * before anything has happened to what was there.
 */

#include "../common/wbtest.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* More than any disk has. */
#define TOO_MUCH "1000000000000000"
/* Blocks of the extent tree are counted with the file's. */
#define SLACK WB_KIB (64)

static const GstStructure *
find_message (WbRig *rig, guint *n)
{
  const GstStructure *found = NULL;

  *n = 0;
  wb_rig_count (rig, GST_MESSAGE_ELEMENT);
  for (guint i = 0; i < rig->seen->len; i++) {
    const GstStructure *s =
        gst_message_get_structure (g_ptr_array_index (rig->seen, i));

    if (s != NULL && gst_structure_has_name (s, "wbfilesink-preallocate")) {
      (*n)++;
      found = s;
    }
  }
  return found;
}

static const gchar *
reserve_result (WbRig *rig)
{
  guint n;
  const GstStructure *s = find_message (rig, &n);

  return s != NULL ? gst_structure_get_string (s, "result") : "nothing";
}

/* File systems that are left alone show nothing here. */
static gboolean
reserves (WbRig *rig)
{
  return g_str_equal (reserve_result (rig), "reserved");
}

static void
assert_no_spare_blocks (const gchar *path)
{
  struct stat status;

  fail_unless (stat (path, &status) == 0);
  fail_unless ((guint64) status.st_blocks * 512
          <= (guint64) status.st_size + status.st_blksize + SLACK,
      "%" G_GUINT64_FORMAT " bytes of blocks for %" G_GUINT64_FORMAT,
      (guint64) status.st_blocks * 512, (guint64) status.st_size);
}

/* How the run ends: all of them give the blocks back. */
enum
{
  END_EOS,
  END_STOP,
  END_FLUSH,
  END_SEEK_ERROR,
  N_ENDS
};

GST_START_TEST (test_given_back)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, "size-hint=104857600");
  guint64 reserved;

  wb_rig_play (rig, GST_FORMAT_BYTES);
  wb_rig_fill (rig, 0, WB_MIB (10), 1);
  fail_unless (wb_stat_reaches (rig->sink, "bytes-written", WB_MIB (10)));
  reserved = wb_stat (rig->sink, "preallocated-bytes");
  fail_unless (wb_file_size (path) <= (gint64) WB_MIB (10));

  switch (__i__) {
    case END_EOS:
      fail_unless (wb_rig_eos (rig));
      assert_no_spare_blocks (path);
      break;
    case END_FLUSH:
      wb_rig_flush (rig);
      wb_rig_segment (rig, GST_FORMAT_BYTES, 0);
      wb_rig_fill (rig, 0, WB_MIB (1), 2);
      break;
    case END_SEEK_ERROR:
      wb_rig_seek (rig, G_MAXUINT64 - 1);
      break;
    default:
      break;
  }
  wb_rig_state (rig, GST_STATE_NULL);
  assert_no_spare_blocks (path);
  fail_unless_equals_int64 (
      wb_file_size (path), __i__ == END_FLUSH ? WB_MIB (1) : WB_MIB (10));
  if (reserves (rig))
    fail_unless (reserved >= WB_MIB (100), "%" G_GUINT64_FORMAT, reserved);
  g_free (path);
}
GST_END_TEST;

static void
push_segment_with_duration (WbRig *rig, guint64 duration)
{
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_BYTES);
  segment.duration = duration;
  fail_unless (gst_pad_push_event (rig->src, gst_event_new_segment (&segment)));
}

GST_START_TEST (test_size_of_a_segment)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);
  const GstStructure *message;
  guint64 wanted = 0;
  guint n;

  wb_rig_play (rig, GST_FORMAT_BYTES);
  push_segment_with_duration (rig, WB_MIB (20));
  wb_rig_fill (rig, 0, WB_MIB (20), 1);
  fail_unless (wb_rig_eos (rig));
  message = find_message (rig, &n);
  fail_unless_equals_int (n, 1);
  assert_equals_string (
      gst_structure_get_string (message, "source"), "segment");
  fail_unless (gst_structure_get_uint64 (message, "wanted", &wanted));
  fail_unless_equals_uint64 (wanted, WB_MIB (20));
  assert_equals_string (gst_structure_get_string (message, "location"), path);
  wb_rig_assert_quiet (rig);
  g_free (path);
}
GST_END_TEST;

GST_START_TEST (test_none_reserves_nothing)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig =
      wb_rig_new (path, "preallocate=none size-hint=104857600");
  guint n;

  wb_rig_play (rig, GST_FORMAT_BYTES);
  wb_rig_fill (rig, 0, WB_MIB (40), 1);
  fail_unless (wb_rig_eos (rig));
  fail_unless_equals_uint64 (wb_stat (rig->sink, "preallocated-bytes"), 0);
  find_message (rig, &n);
  fail_unless_equals_int (n, 0);
  g_free (path);
}
GST_END_TEST;

/* auto warns once, and goes on. */
GST_START_TEST (test_will_not_fit)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, "size-hint=" TOO_MUCH);
  GstMessage *message;
  GError *error = NULL;
  guint8 *data = wb_pattern (0, WB_MIB (3), 1);

  wb_rig_play (rig, GST_FORMAT_BYTES);
  wb_rig_fill (rig, 0, WB_MIB (3), 1);
  fail_unless (wb_rig_eos (rig));
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_ERROR), 0);
  if (wb_rig_count (rig, GST_MESSAGE_WARNING) == 0) {
    /* Where nobody can say how much is free. */
    wb_skip ("free space is not known here");
  } else {
    fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_WARNING), 1);
    message = wb_rig_nth (rig, GST_MESSAGE_WARNING, 0);
    gst_message_parse_warning (message, &error, NULL);
    fail_unless (g_error_matches (
        error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT));
    fail_unless (strstr (error->message, TOO_MUCH) != NULL);
    g_error_free (error);
  }
  wb_rig_state (rig, GST_STATE_NULL);
  wb_assert_file (path, data, WB_MIB (3));
  assert_no_spare_blocks (path);
  g_free (data);
  g_free (path);
}
GST_END_TEST;

/* require fails before the first byte: an old file is as it was, and there is
 * no new one. */
GST_START_TEST (test_required_and_not_there)
{
  static const gchar *const modes[] = { "truncate", "output", "overwrite" };
  gchar *path = wb_path ("file"), *fresh = wb_path ("fresh");
  guint8 *old = wb_pattern (0, 100000, 9);
  gchar *properties = g_strdup_printf (
      "preallocate=require size-hint=" TOO_MUCH " file-mode=%s", modes[__i__]);

  wb_file_write (path, old, 100000);
  for (guint i = 0; i < 2; i++) {
    g_autoptr (WbRig) rig = wb_rig_new (i == 0 ? path : fresh, properties);

    fail_unless (
        wb_rig_state (rig, GST_STATE_READY) == GST_STATE_CHANGE_FAILURE);
    /* The base class adds its own. */
    fail_unless (wb_rig_count (rig, GST_MESSAGE_ERROR) >= 1);
    wb_rig_state (rig, GST_STATE_NULL);
  }
  wb_assert_file (path, old, 100000);
  assert_no_spare_blocks (path);
  fail_if (g_file_test (fresh, G_FILE_TEST_EXISTS));
  g_free (old);
  g_free (properties);
  g_free (path);
  g_free (fresh);
}
GST_END_TEST;

GST_START_TEST (test_required_without_a_size)
{
  gchar *path = wb_path ("file");
  guint8 *old = wb_pattern (0, 1000, 9);
  g_autoptr (WbRig) rig = wb_rig_new (path, "preallocate=require");

  wb_file_write (path, old, 1000);
  wb_rig_play (rig, GST_FORMAT_BYTES);
  gst_pad_push (rig->src, wb_buffer (0, 1000, 1));
  wb_rig_eos (rig);
  wb_rig_assert_error (rig, GST_RESOURCE_ERROR_SETTINGS);
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 0);
  wb_rig_state (rig, GST_STATE_NULL);
  wb_assert_file (path, old, 1000);
  g_free (old);
  g_free (path);
}
GST_END_TEST;

/* The size comes from the property, or from a segment; the old file was longer
 * than the new one. */
GST_START_TEST (test_required_and_there)
{
  gchar *path = wb_path ("file");
  guint8 *old = wb_pattern (0, WB_MIB (3), 9);
  guint8 *data = wb_pattern (0, WB_MIB (2), 1);
  g_autoptr (WbRig) rig = wb_rig_new (path,
      __i__ == 0 ? "preallocate=require size-hint=2097152"
                 : "preallocate=require");

  wb_file_write (path, old, WB_MIB (3));
  if (wb_rig_state (rig, GST_STATE_READY) == GST_STATE_CHANGE_FAILURE) {
    wb_skip ("space cannot be reserved here");
  } else {
    wb_rig_play (rig, GST_FORMAT_BYTES);
    if (__i__ == 1)
      push_segment_with_duration (rig, WB_MIB (2));
    wb_rig_fill (rig, 0, WB_MIB (2), 1);
    if (wb_rig_eos (rig)) {
      wb_rig_assert_quiet (rig);
      assert_equals_string (reserve_result (rig), "reserved");
      wb_assert_file (path, data, WB_MIB (2));
      assert_no_spare_blocks (path);
    } else {
      wb_skip ("space cannot be reserved here");
    }
  }
  g_free (old);
  g_free (data);
  g_free (path);
}
GST_END_TEST;

/* What was there before is never cut. */
GST_START_TEST (test_old_content_stays)
{
  gchar *path = wb_path ("file");
  guint8 *old = wb_pattern (0, WB_MIB (30), 9);
  g_autoptr (WbRig) rig = wb_rig_new (path,
      __i__ == 0 ? "append=true size-hint=1048576000"
                 : "file-mode=overwrite size-hint=1048576000");

  wb_file_write (path, old, WB_MIB (30));
  wb_rig_play (rig, GST_FORMAT_BYTES);
  wb_rig_fill (rig, 0, WB_MIB (2), 9);
  fail_unless (wb_rig_eos (rig));
  fail_unless_equals_int64 (
      wb_file_size (path), __i__ == 0 ? WB_MIB (32) : WB_MIB (30));
  assert_no_spare_blocks (path);
  wb_rig_assert_quiet (rig);
  g_free (old);
  g_free (path);
}
GST_END_TEST;

/* Nor does what is written into a sparse file fill its other holes: those blocks
 * would not come back. Also after an EOS has given back what was reserved, and with
 * more at the end first. */
GST_START_TEST (test_old_holes_stay)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path,
      __i__ == 0 ? "file-mode=overwrite"
                 : "file-mode=overwrite size-hint=314572800");
  guint64 written = WB_MIB (40);
  struct stat status;

  wb_file_write (path, "", 0);
  fail_unless (truncate (path, WB_MIB (256)) == 0);
  fail_unless (stat (path, &status) == 0);
  if (status.st_blocks != 0) {
    wb_skip ("no sparse files here");
    g_free (path);
    return;
  }
  wb_rig_play (rig, GST_FORMAT_BYTES);
  if (__i__ == 1) {
    fail_unless (wb_rig_seek (rig, WB_MIB (256)));
    wb_rig_fill (rig, 0, WB_MIB (1), 2);
    wb_rig_seek (rig, 0);
    written += WB_MIB (1);
  }
  wb_rig_fill (rig, 0, WB_MIB (20), 1);
  fail_unless (wb_rig_eos (rig));
  wb_rig_state (rig, GST_STATE_READY);
  wb_rig_play (rig, GST_FORMAT_BYTES);
  fail_unless (wb_rig_seek (rig, WB_MIB (20)));
  wb_rig_fill (rig, 0, WB_MIB (20), 1);
  fail_unless (wb_rig_eos (rig));
  wb_rig_assert_quiet (rig);
  fail_unless (stat (path, &status) == 0);
  fail_unless ((guint64) status.st_blocks * 512 <= written + SLACK,
      "%" G_GUINT64_FORMAT " bytes of blocks for %" G_GUINT64_FORMAT,
      (guint64) status.st_blocks * 512, written);
  g_free (path);
}
GST_END_TEST;

static Suite *
preallocate_suite (void)
{
  Suite *suite = suite_create ("preallocate");
  TCase *tcase = wb_tcase (suite, "general");

  tcase_add_loop_test (tcase, test_given_back, 0, N_ENDS);
  tcase_add_test (tcase, test_size_of_a_segment);
  tcase_add_test (tcase, test_none_reserves_nothing);
  tcase_add_test (tcase, test_will_not_fit);
  tcase_add_loop_test (tcase, test_required_and_not_there, 0, 3);
  tcase_add_test (tcase, test_required_without_a_size);
  tcase_add_loop_test (tcase, test_required_and_there, 0, 2);
  tcase_add_loop_test (tcase, test_old_content_stays, 0, 2);
  tcase_add_loop_test (tcase, test_old_holes_stay, 0, 2);
  return suite;
}

WB_TEST_MAIN (preallocate)
