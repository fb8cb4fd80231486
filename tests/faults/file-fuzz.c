/* One file used in any way that its header allows, while others ask, interrupt,
 * change its bounds and flush, on calls that fail, are slow or hang for a while.
 * Nothing crashes, hangs or is released twice, and what is called durable is in
 * the file, byte for byte. A race checker sees all of it: nothing here takes a
 * lock that it does not know.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A run is made of one number; times make it another all the same.
 *
 *   FUZZ_SECONDS  how long (5)
 *   FUZZ_SEED     the first number (of the time); the next run has the next one
 *   FUZZ_RUNS     how many runs, instead of for how long
 *
 * Layout: the model; the stream; the others; a run; the program.
 */
#include "config.h"
#include "faultsys.h"
#include "file/wbfile.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KIB (G_GUINT64_CONSTANT (1) << 10)
#define MIB (G_GUINT64_CONSTANT (1) << 20)
#define MOST (6 * MIB)
#define MOST_PIECE ((gint) (300 * KIB))
#define OLD_SIZE (300 * KIB)
#define OPERATIONS 60
#define SLOW_US (150 * 1000)
#define DEFAULT_SECONDS 5

typedef struct
{
  FaultFile output;
  WbFileConfig config;
  WbFile *file;
  GRand *rand;
  guint32 other_seed;
  gboolean faulty;

  /* What the file holds if everything comes into it, from its first byte. */
  GByteArray *model;
  guint64 base;     /* where the stream begins in it */
  guint64 position; /* from the base */
  gboolean vague;   /* a flush left more behind than the model knows */

  guint held;
  gint released; /* atomic */
  gint over;     /* atomic */
} Run;

static gboolean
chance (GRand *rand, gint one_in)
{
  return g_rand_int_range (rand, 0, one_in) == 0;
}

/* --- the model ------------------------------------------------------------------- */

static void
model_write (Run *run, const guint8 *bytes, gsize size)
{
  guint64 from = run->base + run->position;
  guint old = run->model->len;

  if (from + size > old) {
    g_byte_array_set_size (run->model, (guint) (from + size));
    memset (run->model->data + old, 0, (gsize) (from + size - old));
  }
  memcpy (run->model->data + from, bytes, size);
  run->position += size;
}

static void
model_flush (Run *run)
{
  if (run->config.mode == WB_OPEN_OVERWRITE)
    run->vague = TRUE;
  else
    g_byte_array_set_size (run->model, (guint) run->base);
  run->position = 0;
}

static void
compare (const Run *run, guint64 seed)
{
  g_autofree gchar *found = NULL;
  gsize size = 0;

  g_assert_true (g_file_get_contents (run->output.path, &found, &size, NULL));
  if (size != run->model->len || memcmp (found, run->model->data, size) != 0)
    g_error ("FUZZ_SEED=%" G_GUINT64_FORMAT
             ": called safe, and not what was written (%" G_GSIZE_FORMAT
             " bytes of %u)",
        seed, size, run->model->len);
}

/* --- the stream -------------------------------------------------------------------- */

typedef struct
{
  Run *run;
  guint8 bytes[];
} Piece;

static void
release_piece (gpointer data)
{
  Piece *piece = data;

  g_atomic_int_inc (&piece->run->released);
  g_free (piece);
}

/* FALSE: it is not taken. */
static gboolean
begin (Run *run, gsize size)
{
  WbStatus status;
  WbStall stall;

  do
    status = wb_file_begin (run->file, size, &stall);
  while (status == WB_INTERRUPTED || status == WB_STALLED
      || (status == WB_TIMEOUT && !chance (run->rand, 4)));
  return status == WB_OK;
}

static gboolean
push (Run *run)
{
  gint most = chance (run->rand, 3) ? MOST_PIECE : 5000;
  gsize size = (gsize) g_rand_int_range (run->rand, 1, most);
  Piece *piece = g_malloc (sizeof *piece + size);

  if (run->position + size > MOST || !begin (run, size)) {
    g_free (piece);
    return FALSE;
  }
  piece->run = run;
  memset (piece->bytes, g_rand_int_range (run->rand, 1, 256), size);
  model_write (run, piece->bytes, size);
  if (chance (run->rand, 2)) {
    run->held++;
    wb_file_hold (run->file, piece->bytes, size, piece, release_piece);
  } else {
    wb_file_copy (run->file, piece->bytes, size);
    g_free (piece);
  }
  wb_file_set_elapsed (run->file, run->position);
  wb_file_end_buffer (run->file);
  wb_file_end (run->file);
  return TRUE;
}

static void
seek (Run *run)
{
  guint64 to = (guint64) g_rand_double_range (run->rand, 0, MOST / 2);
  guint64 from, furthest;

  if (!wb_file_seek (run->file, to, &from, &furthest))
    return;
  g_assert_cmpuint (from, ==, run->position);
  g_assert_cmpuint (furthest, >=, from);
  run->position = to;
}

static WbStatus
sync_file (Run *run, WbSyncKind kind, gboolean finish, WbSyncResult *result)
{
  guint64 token = wb_file_request_sync (run->file, kind, finish);
  WbStall stall;
  WbStatus status;

  do
    status = wb_file_wait_sync (run->file, token,
        finish ? WB_WAIT_STOP : WB_WAIT_STREAM, result, &stall);
  while (status == WB_INTERRUPTED);
  return status;
}

static void
operate (Run *run)
{
  WbSyncResult result;

  switch (g_rand_int_range (run->rand, 0, 16)) {
    case 0:
    case 1:
      seek (run);
      break;
    case 2:
      sync_file (
          run, (WbSyncKind) g_rand_int_range (run->rand, 0, 4), FALSE, &result);
      break;
    case 3:
      wb_file_request_sync (run->file, WB_SYNC_BARRIER, FALSE);
      break;
    case 4:
      wb_file_set_expected (run->file, WB_SIZE_SEGMENT,
          (guint64) g_rand_double_range (run->rand, 0, 2 * MOST));
      wb_file_set_duration (run->file, MOST);
      break;
    case 5:
      if (chance (run->rand, 3)) {
        wb_file_flush (run->file);
        model_flush (run);
      }
      break;
    default:
      push (run);
  }
}

/* --- the others ---------------------------------------------------------------------- */

static void
ask (Run *run, GRand *rand, WbBounds *bounds)
{
  WbReserveReport report;
  WbStats stats;
  WbStall stall;
  WbError error;

  wb_file_get_stats (run->file, &stats);
  g_assert_cmpuint (stats.durable_bytes, <=, stats.high_water);
  wb_file_get_stall (run->file, &stall);
  wb_file_get_error (run->file, &error);
  wb_file_get_position (run->file);
  wb_file_take_events (run->file);
  wb_file_get_reserve_report (run->file, &report);
  bounds->max_dirty_bytes = (guint64) g_rand_int_range (rand, 0, 8) * MIB;
  bounds->max_queued_bytes = (guint64) g_rand_int_range (rand, 1, 2000) * KIB;
  wb_file_set_bounds (run->file, bounds);
}

static gpointer
disturb (gpointer data)
{
  Run *run = data;
  GRand *rand = g_rand_new_with_seed (run->other_seed);
  WbBounds bounds = run->config.bounds;

  while (!g_atomic_int_get (&run->over)) {
    ask (run, rand, &bounds);
    if (chance (rand, 8)) {
      wb_file_interrupt (run->file, TRUE);
      g_usleep ((gulong) g_rand_int_range (rand, 0, 300));
      wb_file_interrupt (run->file, FALSE);
    }
    g_usleep ((gulong) g_rand_int_range (rand, 0, 1000));
  }
  g_rand_free (rand);
  return NULL;
}

/* --- a run ----------------------------------------------------------------------------- */

static void
choose_bounds (Run *run)
{
  static const gint64 timeouts_us[] = { 50 * 1000, 400 * 1000, -1 };
  WbBounds *bounds = &run->config.bounds;
  GRand *rand = run->rand;

  bounds->chunk_size = (guint64) g_rand_int_range (rand, 1, 5) * MIB;
  bounds->max_dirty_bytes = (guint64) g_rand_int_range (rand, 0, 8) * MIB;
  bounds->max_dirty_time_us = chance (rand, 2) ? G_USEC_PER_SEC / 10 : 0;
  bounds->max_queued_bytes = (guint64) g_rand_int_range (rand, 1, 2000) * KIB;
  bounds->sync_timeout_us =
      timeouts_us[g_rand_int_range (rand, 0, G_N_ELEMENTS (timeouts_us))];
  bounds->writeback_timeout_us = chance (rand, 2) ? 20 * 1000 : -1;
  bounds->sync_interval_us = chance (rand, 2) ? 3000 : 0;
}

static void
set_up (Run *run, guint64 seed)
{
  WbFileConfig *config = &run->config;
  g_autofree gchar *old = g_malloc0 (OLD_SIZE);

  run->rand = g_rand_new_with_seed ((guint32) seed);
  run->other_seed = g_rand_int (run->rand);
  fault_file_init (&run->output);
  fault_file_configure (&run->output, 64 * KIB, config);
  fault_ideal_disk (chance (run->rand, 2));
  choose_bounds (run);
  config->mode = (WbOpenMode) g_rand_int_range (run->rand, 0, 3);
  config->writeback = (WbWriteback) g_rand_int_range (run->rand, 0, 3);
  config->preallocate = (WbPreallocate) g_rand_int_range (run->rand, 0, 2);
  config->unbuffered = chance (run->rand, 4);
  config->transient_timeout_us = chance (run->rand, 4) ? 2000 : 0;
  run->model = g_byte_array_new ();
  if (chance (run->rand, 2)) {
    g_assert_true (g_file_set_contents (run->output.path, old, OLD_SIZE, NULL));
    if (config->mode != WB_OPEN_TRUNCATE)
      g_byte_array_append (run->model, (guint8 *) old, OLD_SIZE);
    run->base = config->mode == WB_OPEN_APPEND ? OLD_SIZE : 0;
  }
  run->faulty = !chance (run->rand, 4);
  if (run->faulty)
    fault_any (run->rand, SLOW_US);
}

static void
assert_nothing_left (Run *run)
{
  gint64 deadline = g_get_monotonic_time () + FAULT_PATIENCE_US;

  while (fault_open_descriptors () > 0 || fault_count_threads () > 0
      || g_atomic_int_get (&run->released) < (gint) run->held) {
    g_assert_cmpint (g_get_monotonic_time (), <, deadline);
    g_usleep (500);
  }
  g_assert_cmpuint ((guint) g_atomic_int_get (&run->released), ==, run->held);
}

/* TRUE: all of it was called safe, and is there. */
static gboolean
end (Run *run, guint64 seed)
{
  WbSyncKind kind = (WbSyncKind) g_rand_int_range (run->rand, 0, 4);
  WbSyncResult result = WB_RESULT_NONE;
  WbStatus synced = sync_file (run, kind, TRUE, &result), closed;
  WbStats stats;
  WbStall stall;

  if (synced == WB_OK)
    wb_file_note_result (run->file, result, 1);
  closed = wb_file_close (run->file, &stats, &stall);
  if (!run->faulty && run->config.bounds.sync_timeout_us < 0
      && (synced != WB_OK || closed != WB_OK || result == WB_RESULT_FAILED))
    g_error ("FUZZ_SEED=%" G_GUINT64_FORMAT
             ": nothing was to fail: sync %d, result %s, close %d, %s at "
             "%" G_GUINT64_FORMAT ": %s",
        seed, synced, wb_sync_result_name (result), closed,
        stats.error.call != NULL ? stats.error.call : "no call",
        stats.error.offset, g_strerror (stats.error.code));
  if (stats.error.kind != WB_ERROR_NONE)
    g_assert_cmpint (closed, !=, WB_OK);
  assert_nothing_left (run);
  if (closed != WB_OK || synced != WB_OK || run->vague
      || (result != WB_RESULT_DURABLE && result != WB_RESULT_DATA
          && kind != WB_SYNC_NONE))
    return FALSE;
  compare (run, seed);
  return TRUE;
}

/* How it went: counted. */
typedef struct
{
  guint64 runs, opened, safe;
} Counts;

static void
play (guint64 seed, Counts *counts)
{
  Run run = { 0 };
  GThread *other;
  WbError error;
  WbStall stall;

  set_up (&run, seed);
  run.file = wb_file_open (&run.config, &error, &stall);
  counts->runs++;
  if (run.file != NULL) {
    counts->opened++;
    other = g_thread_new ("other", disturb, &run);
    for (guint i = 0; i < OPERATIONS; i++)
      operate (&run);
    g_atomic_int_set (&run.over, 1);
    g_thread_join (other);
    counts->safe += end (&run, seed);
  } else {
    g_assert_true (run.faulty);
    assert_nothing_left (&run);
  }
  fault_file_clear (&run.output);
  g_byte_array_unref (run.model);
  g_rand_free (run.rand);
}

/* --- the program -------------------------------------------------------------------------- */

static void
test_any (void)
{
  guint64 seed = fault_setting ("FUZZ_SEED", (guint64) time (NULL) * 1000);
  guint64 runs = fault_setting ("FUZZ_RUNS", 0);
  gint64 deadline = g_get_monotonic_time ()
      + (gint64) fault_setting ("FUZZ_SECONDS", DEFAULT_SECONDS)
          * G_USEC_PER_SEC;
  Counts counts = { 0 };

  g_test_message ("FUZZ_SEED=%" G_GUINT64_FORMAT, seed);
  while (runs != 0 ? counts.runs < runs : g_get_monotonic_time () < deadline)
    play (seed + counts.runs, &counts);
  g_test_message ("%" G_GUINT64_FORMAT " runs, %" G_GUINT64_FORMAT
                  " with a file that could be opened, %" G_GUINT64_FORMAT
                  " that was called safe and was",
      counts.runs, counts.opened, counts.safe);
  g_assert_cmpuint (counts.safe, >, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/file/fuzz", test_any);
  return g_test_run ();
}
