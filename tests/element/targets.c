/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Other kinds of target than a file of our own in a quiet directory: a block
 * device, a terminal, and files and directories that somebody else replaces,
 * deletes, moves or cuts while they are written.
 */

#include "../common/wbtest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <glib/gstdio.h>

/*** Block devices ************************************************************/

#define DEVICE_SIZE WB_MIB (16)
#define DEVICE_SEED 99

/* A loop device over a file of ours, with bytes in it. It is detached as soon
 * as it is there and lives on through our descriptor, so that none is left
 * behind however the test ends. */
typedef struct
{
  gchar *path;
  gchar *backing;
  int fd;
} Device;

static gboolean
run (const gchar *const *argv, gchar **output)
{
  gint status;

  return g_spawn_sync (NULL, (gchar **) argv, NULL,
             G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL,
             output, NULL, &status, NULL)
      && status == 0;
}

static Device *
device_new (void)
{
  Device *device = g_new0 (Device, 1);
  guint8 *data = wb_pattern (0, DEVICE_SIZE, DEVICE_SEED);
  gchar *backing = device->backing = wb_path ("backing");
  const gchar *attach[] = { "losetup", "--find", "--show", backing, NULL };
  const gchar *detach[] = { "losetup", "--detach", NULL, NULL };

  wb_file_write (backing, data, DEVICE_SIZE);
  g_free (data);
  if (geteuid () != 0 || !run (attach, &device->path)) {
    g_free (backing);
    g_free (device);
    return NULL;
  }
  detach[2] = g_strchomp (device->path);
  device->fd = open (device->path, O_RDONLY | O_CLOEXEC);
  run (detach, NULL);
  fail_unless (device->fd >= 0);

  return device;
}

static void
device_free (Device *device)
{
  close (device->fd);
  g_free (device->path);
  g_free (device->backing);
  g_free (device);
}

#define DEVICE_OR_SKIP(device)                                                 \
  G_STMT_START                                                                 \
  {                                                                            \
    device = device_new ();                                                    \
    if (device == NULL) {                                                      \
      wb_skip ("loop devices need root and losetup");                          \
      return;                                                                  \
    }                                                                          \
  }                                                                            \
  G_STMT_END

/* Written and patched in place: what is beyond stays, and what it may have
 * dirty is bounded as with a file. */
GST_START_TEST (test_block_device)
{
  const gsize size = WB_MIB (9) + 777;
  GByteArray *model = g_byte_array_new ();
  guint8 *data = wb_pattern (0, size, 1), *old;
  Device *device;
  WbRig *rig;
  gsize at;

  DEVICE_OR_SKIP (device);
  old = wb_pattern (0, DEVICE_SIZE, DEVICE_SEED);
  wb_model_write (model, 0, old, DEVICE_SIZE);
  rig = wb_rig_new (device->path, WB_TINY_WINDOW);
  wb_rig_play (rig, GST_FORMAT_BYTES);
  for (at = 0; at < size; at += 50000)
    wb_rig_write (rig, data + at, MIN (size - at, 50000));
  wb_model_write (model, 0, data, size);
  fail_unless (wb_rig_seek (rig, 40));
  wb_rig_write (rig, "patched!", 8);
  wb_model_write (model, 40, "patched!", 8);
  fail_unless (wb_rig_eos (rig));
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 1);
  wb_rig_assert_quiet (rig);
  if (!wb_sink_is_filesink ()) {
    gchar *mechanism = wb_stat_string (rig->sink, "mechanism");

    assert_equals_string (wb_rig_nth_result (rig, 0), "durable");
    fail_unless (wb_stat (rig->sink, "peak-dirty-bytes") <= WB_MIB (3));
    fail_unless (g_str_has_prefix (mechanism, "none")
        || wb_stat (rig->sink, "chunks-retired") > 5);
    g_free (mechanism);
  }
  wb_rig_free (rig);
  wb_assert_file (device->path, model->data, model->len);
  /* Durable: it is where the device keeps it. */
  if (!wb_sink_is_filesink ())
    wb_assert_file (device->backing, model->data, model->len);
  device_free (device);
  g_byte_array_unref (model);
  g_free (data);
  g_free (old);
}
GST_END_TEST;

GST_START_TEST (test_block_device_runs_full)
{
  Device *device;
  WbRig *rig;
  WbTask *task;
  guint8 *wanted;

  DEVICE_OR_SKIP (device);
  wanted = wb_pattern (0, DEVICE_SIZE, 1);
  rig = wb_rig_new (device->path, NULL);
  wb_rig_play (rig, GST_FORMAT_TIME);
  task = wb_rig_fill_task (rig, 0, 2 * DEVICE_SIZE, 50000, 1);
  wb_task_finish (task, "push");
  wb_rig_eos (rig);
  wb_rig_state (rig, GST_STATE_NULL);
  if (!wb_sink_is_filesink ()) {
    fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 0);
    wb_rig_assert_error (rig, GST_RESOURCE_ERROR_NO_SPACE_LEFT);
    wb_assert_file (device->path, wanted, DEVICE_SIZE);
  } else {
    fail_unless (wb_rig_count (rig, GST_MESSAGE_ERROR) >= 1);
  }
  wb_rig_free (rig);
  device_free (device);
  g_free (wanted);
}
GST_END_TEST;

/*** Character devices ********************************************************/

/* As a serial line is written to: everything arrives, in order. */
GST_START_TEST (test_terminal)
{
  const gsize size = 200000;
  g_autoptr (WbFifo) line = g_new0 (WbFifo, 1);
  guint8 *wanted = wb_pattern (0, size, 1);
  struct termios raw;
  WbRig *rig;
  WbTask *task;
  int keep;

  line->fd = posix_openpt (O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (line->fd < 0 || grantpt (line->fd) != 0 || unlockpt (line->fd) != 0) {
    wb_skip ("no pseudo-terminals");
    return;
  }
  line->path = g_strdup (ptsname (line->fd));
  line->bytes = g_byte_array_new ();
  keep = open (line->path, O_RDWR | O_NOCTTY | O_CLOEXEC);
  fail_unless (keep >= 0 && tcgetattr (keep, &raw) == 0);
  cfmakeraw (&raw);
  fail_unless (tcsetattr (keep, TCSANOW, &raw) == 0);

  rig = wb_rig_new (line->path, NULL);
  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_fifo_read (line, 4096, 0);
  task = wb_rig_fill_task (rig, 0, size, 3000, 1);
  fail_unless_equals_int (wb_task_flow (task, "push"), GST_FLOW_OK);
  fail_unless (wb_rig_eos (rig));
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 1);
  wb_rig_assert_quiet (rig);
  if (!wb_sink_is_filesink ())
    assert_equals_string (wb_rig_nth_result (rig, 0), "skipped");
  wb_rig_free (rig);
  close (keep);
  wb_fifo_finish (line);
  wb_assert_bytes (line->bytes->data, line->bytes->len, wanted, size);
  g_free (wanted);
}
GST_END_TEST;

/*** Files that somebody else lays hands on ***********************************/

typedef enum
{
  DELETED,
  /* Another file is renamed to its name. */
  REPLACED,
  /* It goes on under another name. */
  RENAMED,
  N_FATES
} Fate;

static void
lay_hands_on (const gchar *path, Fate fate)
{
  gchar *other = wb_path ("other");

  wb_file_write (other, "not ours", 8);
  if (fate == DELETED)
    fail_unless (g_unlink (path) == 0);
  else if (fate == REPLACED)
    fail_unless (g_rename (other, path) == 0);
  else
    fail_unless (g_rename (path, other) == 0);
  g_free (other);
}

/* What was opened is what is written, to its end; a name that is gone is not
 * made again, and what stands in its place is left alone. The second link
 * shows the file itself. */
GST_START_TEST (test_file_of_others)
{
  Fate fate = __i__;
  const gsize size = WB_MIB (5);
  gchar *path = wb_path ("file"), *link_path = wb_path ("link");
  guint8 *wanted = wb_pattern (0, size, 1);
  g_autoptr (WbRig) rig = wb_rig_new (path, WB_TINY_WINDOW);
  WbTask *task;

  wb_rig_play (rig, GST_FORMAT_BYTES);
  fail_unless (link (path, link_path) == 0);
  task = wb_rig_fill_task (rig, 0, size / 2, 50000, 1);
  fail_unless_equals_int (wb_task_flow (task, "push"), GST_FLOW_OK);
  lay_hands_on (path, fate);
  task = wb_rig_fill_task (rig, size / 2, size / 2, 50000, 1);
  fail_unless_equals_int (wb_task_flow (task, "push"), GST_FLOW_OK);
  fail_unless (wb_rig_seek (rig, 40));
  wb_rig_fill (rig, 40, 8, 1);
  fail_unless (wb_rig_eos (rig));
  wb_rig_state (rig, GST_STATE_NULL);
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 1);
  wb_rig_assert_quiet (rig);
  wb_assert_file (link_path, wanted, size);
  if (fate == REPLACED)
    wb_assert_file (path, "not ours", 8);
  else
    fail_unless_equals_int64 (wb_file_size (path), -1);
  g_free (wanted);
  g_free (link_path);
  g_free (path);
}
GST_END_TEST;

/* Cut short by somebody: what comes goes where it belongs, and what was cut
 * is a hole. */
GST_START_TEST (test_cut_by_others)
{
  gchar *path = wb_path ("file");
  GByteArray *model = g_byte_array_new ();
  guint8 *data = wb_pattern (0, WB_MIB (2), 1);
  g_autoptr (WbRig) rig = wb_rig_new (path, "buffer-mode=unbuffered");

  wb_rig_play (rig, GST_FORMAT_BYTES);
  wb_rig_write (rig, data, WB_MIB (1));
  fail_unless (wb_file_reaches (path, WB_MIB (1)));
  fail_unless (truncate (path, 1000) == 0);
  wb_rig_write (rig, data + WB_MIB (1), WB_MIB (1));
  fail_unless (wb_rig_eos (rig));
  wb_rig_state (rig, GST_STATE_NULL);
  wb_rig_assert_quiet (rig);

  wb_model_write (model, 0, data, 1000);
  wb_model_write (model, WB_MIB (1), data + WB_MIB (1), WB_MIB (1));
  wb_assert_file (path, model->data, model->len);
  g_byte_array_unref (model);
  g_free (data);
  g_free (path);
}
GST_END_TEST;

/* The directory goes, and the name with it: the data is on the disk, and that
 * is what is said. The next start says that there is no such directory. */
GST_START_TEST (test_directory_vanishes)
{
  gchar *dir = wb_path ("dir"), *path = wb_path ("dir/file");
  g_autoptr (WbRig) rig = NULL;

  fail_unless (g_mkdir (dir, 0700) == 0);
  rig = wb_rig_new (path, WB_TINY_WINDOW);
  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_fill (rig, 0, WB_MIB (3), 1);
  fail_unless (g_unlink (path) == 0 && g_rmdir (dir) == 0);
  wb_rig_fill (rig, WB_MIB (3), WB_MIB (3), 1);
  fail_unless (wb_rig_eos (rig));
  fail_unless_equals_int (wb_rig_count (rig, GST_MESSAGE_EOS), 1);
  if (!wb_sink_is_filesink ())
    assert_equals_string (wb_rig_nth_result (rig, 0), "data");
  wb_rig_state (rig, GST_STATE_NULL);
  wb_rig_assert_quiet (rig);

  fail_unless_equals_int (
      wb_rig_state (rig, GST_STATE_PLAYING), GST_STATE_CHANGE_FAILURE);
  fail_unless (wb_rig_count (rig, GST_MESSAGE_ERROR) >= 1);
  g_free (dir);
  g_free (path);
}
GST_END_TEST;

/* The directory is moved, and the file with it. */
GST_START_TEST (test_directory_moves)
{
  gchar *dir = wb_path ("dir"), *path = wb_path ("dir/file");
  gchar *other = wb_path ("moved"), *there = wb_path ("moved/file");
  guint8 *wanted = wb_pattern (0, WB_MIB (6), 1);
  g_autoptr (WbRig) rig = NULL;

  fail_unless (g_mkdir (dir, 0700) == 0);
  rig = wb_rig_new (path, WB_TINY_WINDOW);
  wb_rig_play (rig, GST_FORMAT_TIME);
  wb_rig_fill (rig, 0, WB_MIB (3), 1);
  fail_unless (g_rename (dir, other) == 0);
  wb_rig_fill (rig, WB_MIB (3), WB_MIB (3), 1);
  fail_unless (wb_rig_eos (rig));
  wb_rig_state (rig, GST_STATE_NULL);
  wb_rig_assert_quiet (rig);
  fail_unless_equals_int64 (wb_file_size (dir), -1);
  wb_assert_file (there, wanted, WB_MIB (6));
  g_free (wanted);
  g_free (there);
  g_free (other);
  g_free (path);
  g_free (dir);
}
GST_END_TEST;

static Suite *
targets_suite (void)
{
  Suite *suite = suite_create ("targets");
  TCase *tcase = wb_tcase (suite, "general");

  tcase_add_test (tcase, test_block_device);
  tcase_add_test (tcase, test_block_device_runs_full);
  tcase_add_test (tcase, test_terminal);
  tcase_add_loop_test (tcase, test_file_of_others, 0, N_FATES);
  tcase_add_test (tcase, test_cut_by_others);
  tcase_add_test (tcase, test_directory_vanishes);
  tcase_add_test (tcase, test_directory_moves);

  return suite;
}

WB_TEST_MAIN (targets)
