/* A part gets its name when all of it is known to be safe, and not otherwise: a rename
 * that fails, hangs, or is not known to the file system; syncs and writes that fail
 * or hang before it, and the directory's after it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"
#include "faultrig.h"

#include "../common/wbtest.h"
#include "element/gstwbfilesink.h"

#include <errno.h>
#include <string.h>

#define SIZE (8 * RIG_PIECE)
#define TIMEOUT "sync-timeout=300000000 "
#define PART "part-suffix=.part"
#define NEW PART " on-exists=fail"
/* Only to tell a hang. */
#define GENEROUS_US (30 * G_USEC_PER_SEC)

static const RigPart whole = { 0, SIZE, 1, TRUE };
static WbSys sys;

typedef struct
{
  Rig *rig;
  gchar *part, *path;
  RigFeeder *feeder;
} Named;

static Named
begin (const gchar *directory, const gchar *properties)
{
  Named n = { .path = g_build_filename (directory, "file", NULL) };

  n.part = g_strconcat (n.path, ".part", NULL);
  n.rig = rig_new (n.path, properties);
  case_check (gst_element_set_state (n.rig->pipeline, GST_STATE_PLAYING)
          != GST_STATE_CHANGE_FAILURE,
      "it does not start: %s", rig_complaint (n.rig));
  return n;
}

static void
plan (void)
{
  fault_reset ();
  fault_ideal_disk (TRUE);
}

static void
stop (Named *n)
{
  rig_set_state (n->rig->pipeline, GST_STATE_NULL, GENEROUS_US, "NULL", NULL);
}

static void
end (Named *n)
{
  stop (n);
  rig_free (n->rig);
  g_free (n->part);
  g_free (n->path);
}

/* Up to EOS. */
static GstFlowReturn
stream (Named *n)
{
  return rig_feeder_end (rig_feed (n->rig, &whole), NULL);
}

static gboolean
is_there (const gchar *path)
{
  return g_file_test (path, G_FILE_TEST_EXISTS);
}

static void
assert_whole (const gchar *path)
{
  g_autoptr (GByteArray) model = g_byte_array_new ();

  case_check (is_there (path), "%s is not there", path);
  rig_model (model, &whole);
  rig_assert_content (path, model);
}

static void
assert_place (Named *n, const gchar *wanted, gboolean is_renamed)
{
  g_autoptr (GstStructure) stats = NULL;
  const gchar *location;
  gboolean renamed;

  g_object_get (n->rig->sink, "writeback-stats", &stats, NULL);
  location = gst_structure_get_string (stats, "location");
  gst_structure_get_boolean (stats, "renamed", &renamed);
  case_check (g_strcmp0 (location, wanted) == 0 && renamed == is_renamed,
      "it is said to be %s, %srenamed", location, renamed ? "" : "not ");
}

static void
assert_result (Named *n, const gchar *result)
{
  case_check (strcmp (rig_last_result (n->rig), result) == 0,
      "the result is %s: %s", rig_last_result (n->rig), rig_complaint (n->rig));
}

static void
assert_quiet (Named *n)
{
  case_check (rig_count (n->rig, RIG_COMPLAINTS) == 0, "unexpected: %s",
      rig_complaint (n->rig));
}

static void
assert_error (Named *n, gint code, const gchar *call, int reason)
{
  const RigNote *note = rig_nth (n->rig, RIG_COMPLAINTS, 0);

  case_check (rig_count (n->rig, RIG_COMPLAINTS) == 1, "%u complaints",
      rig_count (n->rig, RIG_COMPLAINTS));
  case_check (note->type == GST_MESSAGE_ERROR
          && note->domain == GST_RESOURCE_ERROR && note->code == code,
      "of the wrong kind: %s", note->text);
  case_check (strstr (note->text, n->part) != NULL
          && strstr (note->text, call) != NULL
          && strstr (note->text, g_strerror (reason)) != NULL,
      "it does not say what and why: %s", note->text);
  case_check (rig_count (n->rig, GST_MESSAGE_EOS) == 0, "EOS");
}

/* The part is whole, and what had the name is as it was. */
static void
assert_kept (Named *n, const gchar *old)
{
  g_autofree gchar *content = NULL;

  assert_place (n, n->part, FALSE);
  assert_whole (n->part);
  case_check (old != NULL ? g_file_get_contents (n->path, &content, NULL, NULL)
                          : !is_there (n->path),
      "what has its name is not what it was");
  case_check (g_strcmp0 (content, old) == 0, "the old file is another");
}

static void
write_old (const gchar *directory)
{
  g_autofree gchar *path = g_build_filename (directory, "file", NULL);

  case_check (g_file_set_contents (path, "old", -1, NULL), "no old file");
}

/* --- the rename fails ------------------------------------------------------------- */

static void
fails (const gchar *directory, int code)
{
  Named n;

  plan ();
  write_old (directory);
  fault_fail (FAULT_RENAME, 1, 1, code);
  n = begin (directory, PART);
  case_check (stream (&n) != GST_FLOW_EOS, "a clean EOS");
  assert_error (&n, GST_RESOURCE_ERROR_WRITE, "rename", code);
  case_check (strstr (rig_complaint (n.rig), "to \"") != NULL
          && strstr (strstr (rig_complaint (n.rig), "to \""), n.path) != NULL,
      "not both names: %s", rig_complaint (n.rig));
  assert_result (&n, "failed");
  assert_kept (&n, "old");
  stop (&n);
  assert_kept (&n, "old");
  case_check (fault_count (FAULT_RENAME) == 1, "it is asked again");
  end (&n);
}

#define FAILS(name, code)                                                      \
  static void name (const gchar *directory)                                    \
  {                                                                            \
    fails (directory, code);                                                   \
  }

FAILS (is_denied, EACCES)
FAILS (is_full, ENOSPC)
FAILS (is_elsewhere, EXDEV)
FAILS (has_failed, EIO)

/* --- it is not known to the file system --------------------------------------------- */

static void
by_link (const gchar *directory, int code)
{
  Named n;

  plan ();
  fault_fail (FAULT_RENAME_NEW, 1, G_MAXUINT / 2, code);
  n = begin (directory, NEW);
  case_check (stream (&n) == GST_FLOW_EOS, "%s", rig_complaint (n.rig));
  assert_quiet (&n);
  case_check (fault_count (FAULT_LINK) == 1 && fault_count (FAULT_RENAME) == 0,
      "not by a link");
  assert_result (&n, "durable");
  assert_place (&n, n.path, TRUE);
  assert_whole (n.path);
  case_check (!is_there (n.part), "the part is still there");
  end (&n);
}

static void
unknown_flag (const gchar *directory)
{
  by_link (directory, EINVAL);
}

static void
unknown_call (const gchar *directory)
{
  by_link (directory, ENOSYS);
}

/* Another has the name by then: also a link is never made over it. */
static void
unknown_and_taken (const gchar *directory)
{
  Named n;

  plan ();
  fault_fail (FAULT_RENAME_NEW, 1, G_MAXUINT / 2, EINVAL);
  n = begin (directory, NEW);
  write_old (directory);
  stream (&n);
  assert_error (&n, GST_RESOURCE_ERROR_WRITE, "link", EEXIST);
  assert_kept (&n, "old");
  end (&n);
}

static void
no_links_either (const gchar *directory)
{
  Named n;

  plan ();
  fault_fail (FAULT_RENAME_NEW, 1, G_MAXUINT / 2, EINVAL);
  fault_fail (FAULT_LINK, 1, G_MAXUINT / 2, EPERM);
  n = begin (directory, NEW);
  stream (&n);
  assert_error (&n, GST_RESOURCE_ERROR_WRITE, "link", EPERM);
  assert_result (&n, "failed");
  assert_kept (&n, NULL);
  end (&n);
}

/* As NFS does it when the first answer was lost. */
static int
rename_and_say_no (int directory, const char *from, const char *to)
{
  if (fault_sys ()->rename_in (directory, from, to) == 0)
    errno = ENOENT;
  return -1;
}

static void
asked_twice (const gchar *directory)
{
  Named n;

  plan ();
  write_old (directory);
  n = begin (directory, PART);
  stop (&n);
  sys = *fault_sys ();
  sys.rename_in = rename_and_say_no;
  gst_wb_file_sink_set_sys (GST_WB_FILE_SINK (n.rig->sink), &sys);
  gst_element_set_state (n.rig->pipeline, GST_STATE_PLAYING);
  case_check (stream (&n) == GST_FLOW_EOS, "%s", rig_complaint (n.rig));
  assert_quiet (&n);
  assert_result (&n, "durable");
  assert_place (&n, n.path, TRUE);
  assert_whole (n.path);
  end (&n);
}

/* --- it hangs ------------------------------------------------------------------------ */

static void
hangs (const gchar *directory)
{
  const RigNote *note;
  guint syncs;
  Named n;

  plan ();
  fault_hang (FAULT_RENAME, 1);
  n = begin (directory, TIMEOUT PART);
  case_check (stream (&n) == GST_FLOW_EOS, "no EOS");
  assert_result (&n, "timeout");
  note = rig_nth (n.rig, RIG_COMPLAINTS, 0);
  case_check (note != NULL && note->type == GST_MESSAGE_WARNING
          && strstr (note->text, "rename") != NULL
          && strstr (note->text, n.part) != NULL,
      "not the right warning: %s", rig_complaint (n.rig));
  assert_place (&n, n.part, FALSE);
  stop (&n);
  syncs = fault_count (FAULT_SYNC_DIRECTORY);
  fault_release ();
  rig_assert_nothing_left (directory, 1);
  case_check (fault_count (FAULT_SYNC_DIRECTORY) == syncs,
      "the thread that was left behind makes another call");
  end (&n);
}

/* It comes back in time: nothing is said but that. */
static void
hangs_a_moment (const gchar *directory)
{
  Named n;

  plan ();
  fault_delay (FAULT_RENAME, 1, 100 * 1000);
  n = begin (directory, PART);
  case_check (stream (&n) == GST_FLOW_EOS, "no EOS");
  assert_quiet (&n);
  assert_result (&n, "durable");
  assert_whole (n.path);
  end (&n);
}

/* --- what comes before it, and after -------------------------------------------------- */

static void
fails_before (
    const gchar *directory, FaultCall call, const gchar *properties, gint code)
{
  g_autofree gchar *all = g_strchomp (g_strconcat (PART " ", properties, NULL));
  Named n;

  plan ();
  write_old (directory);
  fault_fail (call, 1, 1, EIO);
  n = begin (directory, all);
  stream (&n);
  stop (&n);
  case_check (fault_was_hit (), "it was not reached");
  assert_error (&n, code, "", EIO);
  case_check (fault_count (FAULT_RENAME) == 0, "it was renamed");
  assert_place (&n, n.part, FALSE);
  assert_result (&n, "failed");
  end (&n);
}

static void
sync_fails (const gchar *directory)
{
  fails_before (directory, FAULT_SYNC, "", GST_RESOURCE_ERROR_SYNC);
}

static void
sync_data_fails (const gchar *directory)
{
  fails_before (
      directory, FAULT_SYNC_DATA, "sync-on-eos=data", GST_RESOURCE_ERROR_SYNC);
}

static void
write_fails (const gchar *directory)
{
  fails_before (
      directory, FAULT_WRITE, "sync-on-eos=none", GST_RESOURCE_ERROR_WRITE);
}

/* A sandbox: it is not known to be as safe as was asked for. */
static void
sync_is_denied (const gchar *directory)
{
  Named n;

  plan ();
  fault_fail (FAULT_SYNC, 1, G_MAXUINT / 2, EPERM);
  n = begin (directory, PART);
  case_check (stream (&n) == GST_FLOW_EOS, "no EOS");
  assert_quiet (&n);
  assert_result (&n, "skipped");
  assert_kept (&n, NULL);
  end (&n);
}

/* The name is there, and not known to be durable. */
static void
directory_fails (const gchar *directory)
{
  const RigNote *note;
  Named n;

  plan ();
  fault_fail (FAULT_SYNC_DIRECTORY, 1, 1, EIO);
  n = begin (directory, PART);
  stream (&n);
  note = rig_nth (n.rig, RIG_COMPLAINTS, 0);
  case_check (note != NULL && note->type == GST_MESSAGE_ERROR
          && note->code == GST_RESOURCE_ERROR_SYNC
          && strstr (note->text, "directory") != NULL
          && strstr (note->text, n.part) == NULL,
      "not the right error: %s", rig_complaint (n.rig));
  assert_result (&n, "failed");
  assert_place (&n, n.path, TRUE);
  assert_whole (n.path);
  end (&n);
}

/* EOS gives up, the sync returns before NULL: stop says that it has its name. */
static void
sync_comes_back (const gchar *directory)
{
  Named n;

  plan ();
  fault_hang (FAULT_SYNC, 1);
  n = begin (directory, TIMEOUT PART);
  case_check (stream (&n) == GST_FLOW_EOS, "no EOS");
  assert_result (&n, "timeout");
  assert_kept (&n, NULL);
  fault_release ();
  while (fault_count (FAULT_SYNC_DIRECTORY) == 0)
    g_usleep (1000);
  stop (&n);
  assert_result (&n, "durable");
  assert_place (&n, n.path, TRUE);
  assert_whole (n.path);
  end (&n);
}

/* It does not: whoever was left behind renames nothing. */
static void
sync_is_left_behind (const gchar *directory)
{
  Named n;

  plan ();
  fault_hang (FAULT_SYNC, 1);
  n = begin (directory, TIMEOUT PART);
  stream (&n);
  stop (&n);
  fault_release ();
  rig_assert_nothing_left (directory, 1);
  case_check (fault_count (FAULT_RENAME) == 0, "it was renamed");
  assert_kept (&n, NULL);
  end (&n);
}

/* The stream is taken back while it is being synced. */
static void
flushed_in_sync (const gchar *directory)
{
  RigFeeder *feeder;
  Named n;

  plan ();
  fault_hang (FAULT_SYNC, 1);
  n = begin (directory, PART);
  feeder = rig_feed (n.rig, &whole);
  case_check (fault_wait_hanging (), "nothing hangs");
  rig_flush (n.rig, feeder, GENEROUS_US, NULL);
  fault_release ();
  stop (&n);
  case_check (fault_count (FAULT_RENAME) == 0, "it was renamed");
  assert_place (&n, n.part, FALSE);
  case_check (!is_there (n.path), "it has its name");
  end (&n);
}

int
main (int argc, char **argv)
{
  static const NamedCase named[] = {
    { "a rename is denied", is_denied },
    { "the disk is full for a rename", is_full },
    { "a rename leads to another disk", is_elsewhere },
    { "a rename fails", has_failed },
    { "the file system does not know the flag", unknown_flag },
    { "the system does not know the call", unknown_call },
    { "it does not, and the name is taken", unknown_and_taken },
    { "it does not, and has no links", no_links_either },
    { "a rename is asked for twice", asked_twice },
    { "a rename hangs", hangs },
    { "a rename hangs for a moment", hangs_a_moment },
    { "the sync before it fails", sync_fails },
    { "the sync of the data fails", sync_data_fails },
    { "a write fails, and nothing is synced", write_fails },
    { "the sync is denied", sync_is_denied },
    { "the directory's sync fails", directory_fails },
    { "the sync comes back after EOS", sync_comes_back },
    { "the sync is left behind", sync_is_left_behind },
    { "a flush comes while it is synced", flushed_in_sync },
  };

  rig_init (&argc, &argv);
  return cases_run_named (named, G_N_ELEMENTS (named), argv + 1);
}
