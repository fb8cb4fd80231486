/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the tests of the element share, and wbtest.h says how it is meant: the
 * program, and its tasks. The other sections of the header have a file each.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "wbtest.h"

#include <errno.h>

/* The directory of this program, and the one of the test that runs */
static gchar *program_dir;
static gchar *test_dir;

/*** The program **************************************************************/

gint
wb_main (int argc, char **argv, WbSuiteFunc suite, const gchar *name,
    const gchar *file)
{
  gint ret;

  gst_check_init (&argc, &argv);

  program_dir = g_dir_make_tmp ("wbfilesink-XXXXXX", NULL);
  if (program_dir == NULL)
    g_error ("no directory for the test's files: %s", g_strerror (errno));

  ret = gst_check_run_suite (suite (), name, file);

  wb_remove_tree (program_dir);
  g_clear_pointer (&program_dir, g_free);

  return ret;
}

static void
make_test_dir (void)
{
  test_dir = g_build_filename (program_dir, "XXXXXX", NULL);
  fail_unless (g_mkdtemp (test_dir) != NULL);
}

static void
remove_test_dir (void)
{
  wb_remove_tree (test_dir);
  g_clear_pointer (&test_dir, g_free);
}

TCase *
wb_tcase (Suite *suite, const gchar *name)
{
  TCase *tcase = tcase_create (name);

  tcase_set_timeout (tcase, 100);
  tcase_add_checked_fixture (tcase, make_test_dir, remove_test_dir);
  suite_add_tcase (suite, tcase);

  return tcase;
}

gint
wb_skip_all (const gchar *format, ...)
{
  va_list args;
  gchar *reason;

  va_start (args, format);
  reason = g_strdup_vprintf (format, args);
  va_end (args);
  g_print ("skipped: %s\n", reason);
  g_free (reason);

  return 77;
}

gchar *
wb_path (const gchar *name)
{
  return g_build_filename (test_dir, name, NULL);
}

const gchar *
wb_sink_name (void)
{
  const gchar *name = g_getenv ("WB_TEST_SINK");

  return name != NULL ? name : "wbfilesink";
}

gboolean
wb_sink_is_filesink (void)
{
  return g_str_equal (wb_sink_name (), "filesink");
}

/*** Tasks ********************************************************************/

struct _WbTask
{
  GThread *thread;
  GMutex lock;
  GCond cond;
  gboolean done;
  WbTaskFunc func;
  gpointer data;
};

static gpointer
run_task (gpointer data)
{
  WbTask *task = data;
  gpointer ret = task->func (task->data);

  g_mutex_lock (&task->lock);
  task->done = TRUE;
  g_cond_signal (&task->cond);
  g_mutex_unlock (&task->lock);

  return ret;
}

WbTask *
wb_task_new (WbTaskFunc func, gpointer data)
{
  WbTask *task = g_new0 (WbTask, 1);

  g_mutex_init (&task->lock);
  g_cond_init (&task->cond);
  task->func = func;
  task->data = data;
  task->thread = g_thread_new ("test-task", run_task, task);

  return task;
}

gboolean
wb_task_ends_within (WbTask *task, gdouble seconds)
{
  gint64 deadline = g_get_monotonic_time () + seconds * G_TIME_SPAN_SECOND;
  gboolean done;

  g_mutex_lock (&task->lock);
  while (!task->done && g_cond_wait_until (&task->cond, &task->lock, deadline))
    ;
  done = task->done;
  g_mutex_unlock (&task->lock);

  return done;
}

gpointer
wb_task_finish (WbTask *task, const gchar *what)
{
  gpointer ret;

  fail_unless (wb_task_ends_within (task, WB_PATIENCE), "%s hangs", what);

  ret = g_thread_join (task->thread);
  g_mutex_clear (&task->lock);
  g_cond_clear (&task->cond);
  g_free (task);

  return ret;
}
