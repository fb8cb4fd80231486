/* Space that is reserved, required and given back, on a disk that fails or is
 * small: what was reserved for nothing is not kept, a file that is replaced is
 * not lost for nothing, and what cannot be done is heard.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"
#include "faultsys.h"
#include "file/wbfile.h"

#include <errno.h>
#include <glib/gstdio.h>

#define MIB (G_GUINT64_CONSTANT (1) << 20)
#define PIECE (64 * 1024)
#define OLD_SIZE (4 * MIB)

typedef struct
{
  FaultFile output;
  guint8 *bytes;
  WbFileConfig config;
  WbFile *file;
  WbError error;
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  fault_file_init (&f->output);
  fault_ideal_disk (TRUE);
  fault_file_configure (&f->output, PIECE, &f->config);
  f->bytes = g_malloc0 (OLD_SIZE);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  fault_file_clear (&f->output);
  g_free (f->bytes);
}

static void
make_old_file (Fixture *f)
{
  g_assert_true (
      g_file_set_contents (f->output.path, (gchar *) f->bytes, OLD_SIZE, NULL));
}

static gint64
size_of_file (Fixture *f)
{
  GStatBuf status;

  g_assert_cmpint (g_stat (f->output.path, &status), ==, 0);
  return status.st_size;
}

static void
open_file (Fixture *f)
{
  WbStall stall;

  f->file = wb_file_open (&f->config, &f->error, &stall);
}

static WbStatus
close_file (Fixture *f)
{
  WbStall stall;
  WbStats stats;
  WbStatus status = wb_file_close (f->file, &stats, &stall);

  f->error = stats.error;
  return status;
}

/* The size that was required is all that is reserved, once for the old file and
 * once for the new one, however far it is written. */
static void
test_required_size_is_all (Fixture *f, gconstpointer data)
{
  const guint64 size = 40 * MIB;
  guint64 from, furthest;

  make_old_file (f);
  f->config.preallocate = WB_PREALLOCATE_REQUIRE;
  f->config.size_hint = size;
  open_file (f);
  g_assert_nonnull (f->file);
  g_assert_cmpuint (fault_count (FAULT_RESERVE), ==, 2);
  for (guint64 at = 0; at < size; at += 10 * MIB) {
    g_assert_true (wb_file_seek (f->file, at, &from, &furthest));
    g_assert_cmpint (fault_file_push (f->file, f->bytes, PIECE), ==, WB_OK);
  }
  g_assert_cmpint (
      fault_file_sync (f->file, WB_SYNC_FULL, TRUE), ==, WB_RESULT_DURABLE);
  g_assert_cmpuint (fault_count (FAULT_RESERVE), ==, 2);
  g_assert_cmpint (close_file (f), ==, WB_OK);
}

/* Required of an old file to be appended to, where nobody can say what is free. */
static void
assert_refused (Fixture *f, guint64 size, int code)
{
  make_old_file (f);
  fault_fail (FAULT_FREE_SPACE, 1, G_MAXUINT, ENOSYS);
  f->config.preallocate = WB_PREALLOCATE_REQUIRE;
  f->config.mode = WB_OPEN_APPEND;
  f->config.size_hint = size;
  open_file (f);
  g_assert_null (f->file);
  g_assert_cmpint (f->error.code, ==, code);
  g_assert_cmpint (size_of_file (f), ==, OLD_SIZE);
}

/* A size that no file can have is not there, whatever the disk says. */
static void
test_required_size_is_impossible (Fixture *f, gconstpointer data)
{
  assert_refused (f, G_MAXUINT64, EFBIG);
}

/* Nothing is reserved in a file that others may append to: where nobody can say
 * what is free either, what was required cannot be promised. */
static void
test_required_and_not_known (Fixture *f, gconstpointer data)
{
  assert_refused (f, MIB, EOPNOTSUPP);
}

/* Where nothing is reserved and the size is not known there is nothing that free
 * space would be asked for: the answer of a server that is away would be waited
 * for before the next write. */
static void
test_not_asked_for_nothing (Fixture *f, gconstpointer data)
{
  fault_fail (FAULT_RESERVE, 1, G_MAXUINT, EOPNOTSUPP);
  f->config.preallocate = WB_PREALLOCATE_AUTO;
  for (guint sized = 0; sized < 2; sized++) {
    guint asked = fault_count (FAULT_FREE_SPACE);

    f->config.size_hint = sized * MIB;
    open_file (f);
    g_assert_cmpint (fault_file_push (f->file, f->bytes, PIECE), ==, WB_OK);
    g_assert_cmpint (
        fault_file_sync (f->file, WB_SYNC_FULL, TRUE), ==, WB_RESULT_DURABLE);
    g_assert_cmpint (close_file (f), ==, WB_OK);
    g_assert_cmpuint (fault_count (FAULT_FREE_SPACE) - asked, ==, sized);
  }
}

/* An open that was given up leaves nothing, wherever in it that was. */
static void
test_open_is_given_up (Fixture *f, gconstpointer data)
{
  gint64 deadline = g_get_monotonic_time () + FAULT_PATIENCE_US;

  make_old_file (f);
  fault_hang (FAULT_RESERVE, 2);
  f->config.preallocate = WB_PREALLOCATE_REQUIRE;
  f->config.size_hint = 2 * OLD_SIZE;
  f->config.bounds.sync_timeout_us = 0;
  open_file (f);
  g_assert_null (f->file);
  g_assert_cmpint (f->error.code, ==, ETIMEDOUT);
  fault_release ();
  while (fault_open_descriptors () > 0 || fault_count_threads () > 0) {
    g_assert_cmpint (g_get_monotonic_time (), <, deadline);
    g_usleep (1000);
  }
}

/* The file that is replaced is empty at the end if nothing came; if it cannot be
 * emptied, that is heard. */
static void
test_nothing_replaces_a_file (Fixture *f, gconstpointer data)
{
  f->config.preallocate = WB_PREALLOCATE_REQUIRE;

  make_old_file (f);
  open_file (f);
  g_assert_cmpint (
      fault_file_sync (f->file, WB_SYNC_FULL, TRUE), ==, WB_RESULT_DURABLE);
  g_assert_cmpint (close_file (f), ==, WB_OK);
  g_assert_cmpint (size_of_file (f), ==, 0);

  make_old_file (f);
  fault_fail (FAULT_TRUNCATE, fault_count (FAULT_TRUNCATE) + 1, 1, EIO);
  open_file (f);
  g_assert_cmpint (
      fault_file_sync (f->file, WB_SYNC_FULL, TRUE), ==, WB_RESULT_FAILED);
  g_assert_cmpint (close_file (f), ==, WB_FAILED);
  g_assert_cmpint (f->error.code, ==, EIO);
}

/* A sync in the stream before the first byte takes nothing from what is
 * required. */
static void
test_barrier_before_the_first_byte (Fixture *f, gconstpointer data)
{
  make_old_file (f);
  f->config.preallocate = WB_PREALLOCATE_REQUIRE;
  open_file (f);
  g_assert_cmpint (
      fault_file_sync (f->file, WB_SYNC_BARRIER, FALSE), ==, WB_RESULT_DATA);
  g_assert_cmpint (fault_file_push (f->file, f->bytes, PIECE), ==, WB_OK);
  g_assert_cmpint (
      fault_file_sync (f->file, WB_SYNC_FULL, TRUE), ==, WB_RESULT_FAILED);
  g_assert_cmpint (close_file (f), ==, WB_FAILED);
  g_assert_cmpint (f->error.kind, ==, WB_ERROR_NO_SIZE);
  g_assert_cmpint (size_of_file (f), ==, OLD_SIZE);
}

/* The stream goes on after its end, more is reserved, and the write that it was
 * for fails. */
static void
test_given_back_after_an_error (Fixture *f, gconstpointer data)
{
  guint truncated;

  f->config.preallocate = WB_PREALLOCATE_AUTO;
  f->config.size_hint = 8 * MIB;
  open_file (f);
  g_assert_cmpint (fault_file_push (f->file, f->bytes, PIECE), ==, WB_OK);
  g_assert_cmpint (
      fault_file_sync (f->file, WB_SYNC_FULL, TRUE), ==, WB_RESULT_DURABLE);
  g_assert_cmpuint (fault_count (FAULT_RESERVE), ==, 1);
  truncated = fault_count (FAULT_TRUNCATE);
  fault_fail (FAULT_WRITE, fault_count (FAULT_WRITE) + 1, 1, EIO);
  g_assert_cmpint (fault_file_push (f->file, f->bytes, PIECE), ==, WB_OK);
  g_assert_cmpint (close_file (f), ==, WB_FAILED);
  g_assert_cmpuint (fault_count (FAULT_RESERVE), ==, 2);
  g_assert_cmpuint (fault_count (FAULT_TRUNCATE), ==, truncated + 1);
}

static gint64
little_space (int fd)
{
  return MIB;
}

/* The blocks of a file that is overwritten are there. */
static void
test_overwritten_file_fits (Fixture *f, gconstpointer data)
{
  WbSys sys = *fault_sys ();

  sys.free_space = little_space;
  f->config.sys = &sys;
  f->config.preallocate = WB_PREALLOCATE_AUTO;
  f->config.mode = WB_OPEN_OVERWRITE;
  for (guint more = 0; more < 2; more++) {
    WbEvents events;

    make_old_file (f);
    f->config.size_hint = OLD_SIZE + more * 2 * MIB;
    open_file (f);
    g_assert_cmpint (fault_file_push (f->file, f->bytes, PIECE), ==, WB_OK);
    g_assert_cmpint (
        fault_file_sync (f->file, WB_SYNC_FULL, TRUE), ==, WB_RESULT_DURABLE);
    events = wb_file_take_events (f->file);
    g_assert_cmpint ((events & WB_EVENT_WILL_NOT_FIT) != 0, ==, more != 0);
    g_assert_cmpint (close_file (f), ==, WB_OK);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, function)                                                    \
  g_test_add ("/space/" path, Fixture, NULL, set_up, function, tear_down)
  ADD ("required-size-is-all", test_required_size_is_all);
  ADD ("required-size-is-impossible", test_required_size_is_impossible);
  ADD ("required-and-not-known", test_required_and_not_known);
  ADD ("not-asked-for-nothing", test_not_asked_for_nothing);
  ADD ("open-is-given-up", test_open_is_given_up);
  ADD ("nothing-replaces-a-file", test_nothing_replaces_a_file);
  ADD ("barrier-before-the-first-byte", test_barrier_before_the_first_byte);
  ADD ("given-back-after-an-error", test_given_back_after_an_error);
  ADD ("overwritten-file-fits", test_overwritten_file_fits);
#undef ADD
  return g_test_run ();
}
