/* One output file whose system calls fail or shorten: an error that lost data
 * is always heard and stays, a refused hint changes nothing, and what was only
 * interrupted goes on.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"
#include "filerig.h"

#include <errno.h>

static void
test_clean_run (FileRig *f, gconstpointer data)
{
  WbFileConfig config;
  FileRigOutcome o;

  file_rig_configure (f, &config);
  o = file_rig_run (f, &config);
  g_assert_cmpint (o.open, ==, WB_OK);
  g_assert_cmpint (o.push, ==, WB_OK);
  g_assert_cmpint (o.result, ==, WB_RESULT_DURABLE);
  g_assert_cmpint (o.close, ==, WB_OK);
  g_assert_cmpuint (o.stats.dirty_bytes, ==, 0);
  g_assert_cmpuint (o.stats.durable_bytes, ==, TOTAL);
  g_assert_cmpuint (o.stats.back_patches, ==, TOTAL / PATCH_EVERY);
  file_rig_assert_content (f);
  file_rig_assert_nothing_left (f);
}

static gboolean
is_hint (FaultCall call)
{
  return call == FAULT_DROP || call == FAULT_RESERVE || call == FAULT_PUNCH
      || call == FAULT_FREE_SPACE || call == FAULT_BLOCKS_BEYOND;
}

/* Every call in turn fails once; from the first to the last of its kind. */
/* A sandbox does not let us; nothing is lost for that. */
static gboolean
is_denied (FaultCall call, int code)
{
  return code == EACCES
      && (call == FAULT_SYNC_DIRECTORY || call == FAULT_FSTAT
          || call == FAULT_TRUNCATE);
}

/* A disk that is full for a batch may not be for half of it, so it stays full. */
static guint
times_of (FaultCall call, int code)
{
  return call == FAULT_WRITE && (code == ENOSPC || code == EDQUOT)
      ? G_MAXUINT / 2
      : 1;
}

static void
test_every_error_is_heard (FileRig *f, gconstpointer data)
{
  static const int codes[] = { EIO, ENOSPC, EDQUOT, EFBIG, EROFS, EACCES };
  guint cases = 0;

  for (int call = 0; call < FAULT_CALLS; call++) {
    for (guint c = 0; c < G_N_ELEMENTS (codes); c++) {
      for (guint nth = 1;; nth++) {
        WbFileConfig config;
        FileRigOutcome o;

        fault_reset ();
        fault_fail (call, nth, times_of (call, codes[c]), codes[c]);
        file_rig_configure (f, &config);
        o = file_rig_run (f, &config);
        if (!fault_was_hit ())
          break;
        cases++;
        g_test_message (
            "%s number %u: %s", fault_name (call), nth, g_strerror (codes[c]));
        if (is_hint (call) || is_denied (call, codes[c])
            || (call == FAULT_SYNC_DIRECTORY && codes[c] == EROFS)) {
          g_assert_cmpint (o.error.kind, ==, WB_ERROR_NONE);
          file_rig_assert_content (f);
        } else {
          g_assert_true (o.open == WB_FAILED || o.result == WB_RESULT_FAILED
              || o.close == WB_FAILED);
          g_assert_cmpint (o.error.code, ==, codes[c]);
          g_assert_cmpint (o.error.kind, !=, WB_ERROR_NONE);
          if ((codes[c] == ENOSPC || codes[c] == EDQUOT) && o.open == WB_OK)
            g_assert_cmpint (o.error.kind, ==, WB_ERROR_NO_SPACE);
        }
        file_rig_assert_nothing_left (f);
      }
    }
  }
  g_test_message ("%u cases", cases);
  g_assert_cmpuint (cases, >, WB_PLATFORM_LINUX ? 100 : 30);
}

/* Write-out is refused if it has never worked, and after it was asked again at
 * once; a drop loses nothing whenever it is. */
static void
test_refused_hints_change_nothing (FileRig *f, gconstpointer data)
{
  static const FaultCall hints[] = { FAULT_START, FAULT_WAIT, FAULT_DROP };
  static const guint firsts[] = { 1, 1, 2 };
  static const int codes[] = { ENOSYS, EINVAL, ESPIPE, EOPNOTSUPP };

  for (guint h = 0; h < G_N_ELEMENTS (hints); h++) {
    for (guint c = 0; c < G_N_ELEMENTS (codes); c++) {
      WbFileConfig config;
      FileRigOutcome o;

      fault_reset ();
      fault_fail (hints[h], firsts[h], G_MAXUINT, codes[c]);
      file_rig_configure (f, &config);
      o = file_rig_run (f, &config);
      g_assert_cmpint (o.result, ==, WB_RESULT_DURABLE);
      g_assert_cmpint (o.error.kind, ==, WB_ERROR_NONE);
      /* Found out, and not asked any more. */
      g_assert_cmpuint (fault_count (hints[h]), <=, 2);
      file_rig_assert_content (f);
    }
  }
}

static void
test_short_and_interrupted_writes (FileRig *f, gconstpointer data)
{
  WbFileConfig config;
  FileRigOutcome o;

  fault_shorten_writes (1000);
  fault_interrupt_writes (TRUE);
  file_rig_configure (f, &config);
  o = file_rig_run (f, &config);
  g_assert_cmpint (o.result, ==, WB_RESULT_DURABLE);
  file_rig_assert_content (f);
}

/* Not those that hand out what became of earlier writes: see refusals.c. */
static void
test_interrupted_calls_go_on (FileRig *f, gconstpointer data)
{
  static const FaultCall calls[] = { FAULT_OPEN, FAULT_WRITE, FAULT_RESERVE };

  for (guint i = 0; i < G_N_ELEMENTS (calls); i++) {
    WbFileConfig config;
    FileRigOutcome o;

    fault_reset ();
    fault_fail (calls[i], 1, 3, EINTR);
    file_rig_configure (f, &config);
    o = file_rig_run (f, &config);
    g_assert_true (o.open == WB_OK);
    g_assert_cmpint (o.result, ==, WB_RESULT_DURABLE);
    file_rig_assert_content (f);
  }
}

/* A file system that says so for ever is not asked for ever. */
static void
test_interrupted_for_ever (FileRig *f, gconstpointer data)
{
  static const FaultCall calls[] = { FAULT_OPEN, FAULT_WRITE, FAULT_DROP,
    FAULT_RESERVE, FAULT_TRUNCATE, FAULT_SYNC_DIRECTORY };

  for (guint i = 0; i < G_N_ELEMENTS (calls); i++) {
    gboolean hint = calls[i] == FAULT_DROP || calls[i] == FAULT_RESERVE;
    WbFileConfig config;
    FileRigOutcome o;

    fault_reset ();
    fault_ideal_disk (TRUE);
    fault_fail (calls[i], 1, G_MAXUINT, EINTR);
    file_rig_configure (f, &config);
    o = file_rig_run (f, &config);
    g_assert_cmpuint (fault_count (calls[i]), >, 1);
    g_assert_cmpuint (fault_count (calls[i]), <, 1000);
    if (hint)
      g_assert_cmpint (o.result, ==, WB_RESULT_DURABLE);
    else
      g_assert_true (o.open == WB_FAILED || o.close == WB_FAILED);
    g_assert_true (hint || o.error.code == EINTR);
    file_rig_assert_nothing_left (f);
  }
}

static void
test_transient_eacces (FileRig *f, gconstpointer data)
{
  WbFileConfig config;
  FileRigOutcome o;

  fault_fail (FAULT_WRITE, 3, 4, EACCES);
  file_rig_configure (f, &config);
  config.transient_timeout_us = 10 * G_USEC_PER_SEC;
  o = file_rig_run (f, &config);
  g_assert_cmpint (o.result, ==, WB_RESULT_DURABLE);
  file_rig_assert_content (f);

  fault_reset ();
  fault_fail (FAULT_WRITE, 3, G_MAXUINT, EACCES);
  config.transient_timeout_us = 50 * 1000;
  o = file_rig_run (f, &config);
  g_assert_cmpint (o.result, ==, WB_RESULT_FAILED);
  g_assert_cmpint (o.error.code, ==, EACCES);
}

/* What came before a refused seek is written all the same; if that fails, it is
 * known, and not tried for ever. */
static void
test_write_fails_after_refused_seek (FileRig *f, gconstpointer data)
{
  WbFileConfig config;
  guint64 from, furthest;
  WbStall stall;
  WbStats stats;
  WbFile *file;

  fault_hang (FAULT_WRITE, 1);
  fault_fail (FAULT_WRITE, 1, G_MAXUINT, EFBIG);
  file_rig_configure (f, &config);
  file = file_rig_open (f, &config);
  g_assert_true (fault_wait_hanging ());
  g_assert_false (wb_file_seek (file, G_MAXUINT64, &from, &furthest));
  fault_release ();
  g_assert_cmpint (
      fault_file_sync (file, WB_SYNC_FULL, TRUE), ==, WB_RESULT_FAILED);
  g_assert_cmpint (wb_file_close (file, &stats, &stall), ==, WB_FAILED);
  g_assert_cmpint (stats.error.kind, ==, WB_ERROR_WRITE);
  g_assert_cmpuint (fault_count (FAULT_WRITE), ==, 1);
}

static void
test_failed_fsync_is_final (FileRig *f, gconstpointer data)
{
  WbSyncResult result;
  WbFileConfig config;
  WbError error;
  WbStall stall;
  WbStats stats;
  WbFile *file;

  fault_fail (FAULT_SYNC, 1, 1, EIO);
  file_rig_configure (f, &config);
  file = wb_file_open (&config, &error, &stall);
  file_rig_push (f, file, 0, PIECE, &stall);
  for (int i = 0; i < 3; i++) {
    guint64 token = wb_file_request_sync (file, WB_SYNC_FULL, TRUE);

    g_assert_cmpint (
        wb_file_wait_sync (file, token, WB_WAIT_STREAM, &result, &stall), ==,
        WB_OK);
    g_assert_cmpint (result, ==, WB_RESULT_FAILED);
  }
  g_assert_cmpint (
      file_rig_push (f, file, PIECE, PIECE, &stall), ==, WB_FAILED);
  g_assert_cmpuint (fault_count (FAULT_SYNC), ==, 1);
  g_assert_cmpint (wb_file_close (file, &stats, &stall), ==, WB_FAILED);
}

static const char *
pretend_overlay (int fd, char buffer[32])
{
  return "overlayfs";
}

/* Where sync_file_range reaches nothing: fadvise starts, fdatasync retires, and
 * what fails there is as final as any other failed sync. */
static void
test_write_out_by_sync (FileRig *f, gconstpointer data)
{
  static const int codes[] = { EIO, ENOSPC };
  WbSys sys = *fault_sys ();
  WbFileConfig config;
  guint nth = 0;
  FileRigOutcome o;

  if (!WB_PLATFORM_LINUX) {
    g_test_skip ("no write-out control on this platform");
    return;
  }
  sys.file_system = pretend_overlay;
  file_rig_configure (f, &config);
  config.sys = &sys;
  o = file_rig_run (f, &config);
  g_assert_cmpint (o.result, ==, WB_RESULT_DURABLE);
  g_assert_cmpstr (o.stats.mechanism, ==, "fadvise and fdatasync on overlayfs");
  g_assert_cmpuint (fault_count (FAULT_START), ==, 0);
  g_assert_cmpuint (fault_count (FAULT_WAIT), ==, 0);
  g_assert_cmpuint (fault_count (FAULT_SYNC_DATA), >=, 3);
  g_assert_cmpuint (o.stats.peak_dirty_bytes, <=, 3 * MIB);
  g_assert_cmpuint (o.stats.dirty_bytes, ==, 0);
  file_rig_assert_content (f);
  file_rig_assert_nothing_left (f);

  for (guint c = 0; c < G_N_ELEMENTS (codes); c++) {
    do {
      fault_reset ();
      fault_fail (FAULT_SYNC_DATA, ++nth, 1, codes[c]);
      o = file_rig_run (f, &config);
      if (!fault_was_hit ())
        break;
      g_assert_cmpint (o.result, ==, WB_RESULT_FAILED);
      g_assert_cmpint (o.error.code, ==, codes[c]);
      g_assert_cmpuint (fault_count (FAULT_SYNC), ==, 0);
      file_rig_assert_nothing_left (f);
    } while (TRUE);
    g_assert_cmpuint (nth, >, 3);
    nth = 0;
  }
}

int
main (int argc, char **argv)
{
#define ADD(name, function)                                                    \
  g_test_add ("/faults/" name, FileRig, NULL, file_rig_set_up, function,       \
      file_rig_tear_down)
  g_test_init (&argc, &argv, NULL);
  ADD ("clean-run", test_clean_run);
  ADD ("every-error-is-heard", test_every_error_is_heard);
  ADD ("refused-hints-change-nothing", test_refused_hints_change_nothing);
  ADD ("short-and-interrupted-writes", test_short_and_interrupted_writes);
  ADD ("interrupted-calls-go-on", test_interrupted_calls_go_on);
  ADD ("interrupted-for-ever", test_interrupted_for_ever);
  ADD ("transient-eacces", test_transient_eacces);
  ADD ("write-fails-after-refused-seek", test_write_fails_after_refused_seek);
  ADD ("failed-fsync-is-final", test_failed_fsync_is_final);
  ADD ("write-out-by-sync", test_write_out_by_sync);
  return g_test_run ();
}
