/* What an error is called: its code says what kind of thing it was, its text
 * names the file, the call and what the system said. And the threads of a file,
 * which run an application's release functions, leave it the signals that such
 * code can raise.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"
#include "faultrig.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const RigPart part = { 0, 24 * RIG_PIECE, 1, TRUE };
static const RigPart no_eos = { 0, 24 * RIG_PIECE, 1, FALSE };

static Rig *
prepare (const gchar *directory, const gchar *properties)
{
  g_autofree gchar *path = g_build_filename (directory, "file", NULL);

  return rig_new (path, properties);
}

static gboolean
start (Rig *rig)
{
  return gst_element_set_state (rig->pipeline, GST_STATE_PLAYING)
      != GST_STATE_CHANGE_FAILURE;
}

static void
assert_said (Rig *rig, gint code, const gchar *call, const gchar *reason)
{
  const RigNote *note = rig_nth (rig, GST_MESSAGE_ERROR, 0);

  case_check (note != NULL, "no error");
  case_check (rig_count (rig, GST_MESSAGE_ERROR) == 1, "more than one error");
  case_check (note->domain == GST_RESOURCE_ERROR && note->code == code,
      "of the wrong code (%d instead of %d): %s", note->code, code, note->text);
  case_check (
      strstr (note->text, rig->path) != NULL, "not the file: %s", note->text);
  case_check (
      strstr (note->text, call) != NULL, "not the call: %s", note->text);
  case_check (
      strstr (note->text, reason) != NULL, "not the reason: %s", note->text);
}

static void
fails (const gchar *directory, FaultCall call, gint code, const gchar *name,
    const gchar *properties)
{
  Rig *rig;

  fault_reset ();
  fault_ideal_disk (TRUE);
  fault_fail (call, 1, 1, EIO);
  rig = prepare (directory, properties);
  if (start (rig))
    rig_feeder_end (rig_feed (rig, &part), NULL);
  gst_element_set_state (rig->pipeline, GST_STATE_NULL);
  case_check (fault_was_hit (), "it was not reached");
  assert_said (rig, code, name, g_strerror (EIO));
  rig_free (rig);
}

#define SMALL "chunk-size=1048576 max-dirty-bytes=2097152"
#define CASE(function, call, code, name, properties)                           \
  static void function (const gchar *directory)                                \
  {                                                                            \
    fails (                                                                    \
        directory, FAULT_##call, GST_RESOURCE_ERROR_##code, name, properties); \
  }

CASE (open_fails, OPEN, OPEN_WRITE, "open", SMALL)
CASE (fstat_fails, FSTAT, OPEN_WRITE, "fstat", SMALL)
CASE (write_fails, WRITE, WRITE, "write", SMALL)
CASE (start_fails, START, WRITE, "sync_file_range", SMALL)
CASE (wait_fails, WAIT, WRITE, "sync_file_range", SMALL)
CASE (truncate_fails, TRUNCATE, WRITE, "ftruncate", SMALL " size-hint=8388608")
CASE (sync_fails, SYNC, SYNC, "fsync", SMALL)
CASE (sync_data_fails, SYNC_DATA, SYNC, "fdatasync", SMALL " sync-on-eos=data")
CASE (directory_fails, SYNC_DIRECTORY, SYNC, "directory", SMALL)
CASE (close_fails, CLOSE, CLOSE, "close", SMALL)

static void
interval_fails (const gchar *directory)
{
  Rig *rig;

  fault_reset ();
  fault_ideal_disk (TRUE);
  fault_fail (FAULT_SYNC_DATA, 1, 1, EIO);
  rig = prepare (directory, SMALL " sync-interval=1000000");
  case_check (start (rig), "it does not start");
  rig_feeder_end (rig_feed (rig, &no_eos), NULL);
  for (guint i = 0; i < 10000 && rig_count (rig, GST_MESSAGE_ERROR) == 0; i++)
    g_usleep (1000);
  gst_element_set_state (rig->pipeline, GST_STATE_NULL);
  assert_said (rig, GST_RESOURCE_ERROR_SYNC, "fdatasync", g_strerror (EIO));
  rig_free (rig);
}

/* A user of our own who may have so many threads, this one among them. */
static void
become_limited (const gchar *directory, guint threads)
{
  const struct rlimit limit = { threads, threads };
  g_autofree gchar *parent = g_path_get_dirname (directory);
  uid_t user = 100000 + (uid_t) getpid ();

  if (getuid () != 0)
    case_end (CASE_PASSED, "only root can become a user without processes");
  case_check (chmod (parent, 0711) == 0 && chown (directory, user, user) == 0
          && setrlimit (RLIMIT_NPROC, &limit) == 0 && setuid (user) == 0,
      "%s", g_strerror (errno));
}

static void
no_thread (const gchar *directory)
{
  Rig *rig;

  fault_reset ();
  fault_ideal_disk (TRUE);
  rig = prepare (directory, SMALL);
  become_limited (directory, 1);
  case_check (!start (rig), "it starts without a thread");
  assert_said (rig, GST_RESOURCE_ERROR_FAILED, "thread", g_strerror (EAGAIN));
  gst_element_set_state (rig->pipeline, GST_STATE_NULL);
}

static void
no_thread_for_syncs (const gchar *directory)
{
  Rig *rig;

  fault_reset ();
  fault_ideal_disk (TRUE);
  rig = prepare (directory, SMALL " sync-interval=1000000000");
  become_limited (directory, 3);
  case_check (!start (rig), "it starts without a thread");
  assert_said (rig, GST_RESOURCE_ERROR_FAILED, "thread", g_strerror (EAGAIN));
  gst_element_set_state (rig->pipeline, GST_STATE_NULL);
}

/* While the stream is under way. */
static void
no_thread_later (const gchar *directory)
{
  Rig *rig;

  fault_reset ();
  fault_ideal_disk (TRUE);
  rig = prepare (directory, SMALL);
  become_limited (directory, 100);
  case_check (start (rig), "it does not start: %s", rig_complaint (rig));
  rig_feeder_end (rig_feed (rig, &no_eos), NULL);
  /* All there is for this user. */
  case_check (
      setrlimit (RLIMIT_NPROC, &(struct rlimit){ 1, 100 }) == 0, "no limit");
  g_object_set (rig->sink, "sync-interval", GST_SECOND, NULL);
  gst_pad_push_event (rig->src, gst_event_new_eos ());
  gst_element_set_state (rig->pipeline, GST_STATE_NULL);
  assert_said (rig, GST_RESOURCE_ERROR_FAILED, "thread", g_strerror (EAGAIN));
}

/* --- signals --------------------------------------------------------------------- */

static guint64
blocked_by (const gchar *task)
{
  g_autofree gchar *path =
      g_build_filename ("/proc/self/task", task, "status", NULL);
  g_autofree gchar *status = NULL;
  const gchar *line = NULL;

  if (g_file_get_contents (path, &status, NULL, NULL))
    line = strstr (status, "SigBlk:");
  case_check (line != NULL, "no SigBlk");
  return g_ascii_strtoull (line + strlen ("SigBlk:"), NULL, 16);
}

static gboolean
is_blocked (guint64 mask, int number)
{
  return (mask >> (number - 1) & 1) != 0;
}

/* Whoever raises one of the first is the thread itself; the others are sent to the
 * process, whose own threads are to have them. */
static void
check_mask (const gchar *name, guint64 mask)
{
  static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS };
  static const int sent[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGXFSZ,
    SIGALRM, SIGCHLD, SIGUSR1, SIGPROF };

  for (guint i = 0; i < G_N_ELEMENTS (own); i++)
    case_check (
        !is_blocked (mask, own[i]), "%s blocks %s", name, g_strsignal (own[i]));
  for (guint i = 0; i < G_N_ELEMENTS (sent); i++)
    case_check (is_blocked (mask, sent[i]), "%s does not block %s", name,
        g_strsignal (sent[i]));
}

/* Making a thread, the C library blocks all of them for a moment. */
static void
check_mask_of (const gchar *task, const gchar *name)
{
  guint64 mask = blocked_by (task);

  for (guint i = 0; i < 100 && is_blocked (mask, SIGSEGV); i++) {
    g_usleep (1000);
    mask = blocked_by (task);
  }
  check_mask (name, mask);
}

static guint
check_threads (void)
{
  GDir *tasks = g_dir_open ("/proc/self/task", 0, NULL);
  const gchar *task;
  guint n = 0;

  while (tasks != NULL && (task = g_dir_read_name (tasks)) != NULL) {
    g_autofree gchar *path =
        g_build_filename ("/proc/self/task", task, "comm", NULL);
    g_autofree gchar *name = NULL;

    if (!g_file_get_contents (path, &name, NULL, NULL)
        || !g_str_has_prefix (name, "wbfile"))
      continue;
    check_mask_of (task, g_strchomp (name));
    n++;
  }
  g_clear_pointer (&tasks, g_dir_close);
  return n;
}

static void
signals (const gchar *directory)
{
  Rig *rig;

  fault_reset ();
  fault_ideal_disk (TRUE);
  rig = prepare (directory, SMALL " sync-interval=1000000000");
  case_check (start (rig), "it does not start");
  if (fault_count_threads () > 0)
    case_check (check_threads () >= 3, "not all threads were found");
  gst_element_set_state (rig->pipeline, GST_STATE_NULL);
  rig_free (rig);
}

int
main (int argc, char **argv)
{
  static const NamedCase named[] = {
    { "open fails", open_fails },
    { "fstat fails", fstat_fails },
    { "write fails", write_fails },
    { "write-out fails to start", start_fails },
    { "write-out fails", wait_fails },
    { "ftruncate fails", truncate_fails },
    { "fsync fails", sync_fails },
    { "fdatasync fails", sync_data_fails },
    { "fdatasync at an interval fails", interval_fails },
    { "fsync of the directory fails", directory_fails },
    { "close fails", close_fails },
    { "no thread to write", no_thread },
    { "no thread to sync at intervals", no_thread_for_syncs },
    { "no thread to sync at intervals, later", no_thread_later },
    { "signals that a thread raises itself", signals },
  };

  rig_init (&argc, &argv);
  return cases_run_named (named, G_N_ELEMENTS (named), argv + 1);
}
