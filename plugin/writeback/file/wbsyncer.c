/* wbfilesink: one output file: the syncer
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Layout: what others tell it; the thread.
 */
#include "file/wbsyncer.h"

struct _WbSyncer
{
  WbCore *core;
  WbTarget *target;
  WbRetirer *retirer;

  gboolean quit WB_GUARDED_BY (wb_locked);
  gboolean started WB_GUARDED_BY (wb_locked); /* there is a thread */
  gboolean syncing WB_GUARDED_BY (wb_locked);
  /* the I/O thread is at a sync */
  gboolean io_syncing WB_GUARDED_BY (wb_locked);
  /* the high-water mark is that from before a flush */
  gboolean flushed WB_GUARDED_BY (wb_locked);
  guint64 flushes WB_GUARDED_BY (wb_locked);
  gboolean refused WB_GUARDED_BY (wb_locked);
  gboolean name_synced WB_GUARDED_BY (wb_locked);
  /* the first write after the last one began; 0 */
  gint64 unsynced_since_us WB_GUARDED_BY (wb_locked);
  const char *stall_told WB_GUARDED_BY (wb_locked); /* the call */
  guint64 durable_bytes WB_GUARDED_BY (wb_locked);
};

WbSyncer *
wb_syncer_new (WbCore *core, WbTarget *target, WbRetirer *retirer)
{
  WbSyncer *syncer = g_new0 (WbSyncer, 1);

  syncer->core = core;
  syncer->target = target;
  syncer->retirer = retirer;
  return syncer;
}

void
wb_syncer_free (WbSyncer *syncer)
{
  g_free (syncer);
}

/* --- what others tell it -------------------------------------------------------- */

gboolean
wb_syncer_is_wanted (const WbSyncer *syncer)
{
  const WbTargetFacts *facts = wb_target_facts (syncer->target);

  return wb_core_bounds (syncer->core)->sync_interval_us > 0 && !syncer->started
      && (facts->regular || facts->block_device);
}

void
wb_syncer_started (WbSyncer *syncer, gboolean written)
{
  syncer->started = TRUE;
  if (written)
    syncer->unsynced_since_us = wb_core_now (syncer->core);
}

void
wb_syncer_quit (WbSyncer *syncer)
{
  syncer->quit = TRUE;
  wb_core_wake (syncer->core, WB_SYNCER);
}

void
wb_syncer_wrote (WbSyncer *syncer)
{
  if (!syncer->started || syncer->unsynced_since_us != 0)
    return;
  syncer->unsynced_since_us = wb_core_last_progress (syncer->core);
  wb_core_wake (syncer->core, WB_SYNCER);
}

guint64
wb_syncer_durable_bytes (const WbSyncer *syncer)
{
  return syncer->durable_bytes;
}

gboolean
wb_syncer_is_stalled (WbSyncer *syncer)
{
  WbCore *core = syncer->core;
  const char *call = wb_core_call (core, WB_SYNCER);
  gint64 timeout = wb_core_bounds (core)->sync_timeout_us;

  if (call == NULL || call == syncer->stall_told || timeout < 0
      || wb_core_now (core) - wb_core_call_since (core, WB_SYNCER) < timeout)
    return FALSE;
  syncer->stall_told = call;
  return TRUE;
}

void
wb_syncer_io_begins (WbSyncer *syncer)
{
  syncer->io_syncing = TRUE;
}

void
wb_syncer_io_ends (WbSyncer *syncer)
{
  syncer->io_syncing = FALSE;
  wb_core_wake (syncer->core, WB_SYNCER);
}

void
wb_syncer_answer (WbSyncer *syncer)
{
  while (syncer->syncing && !wb_core_is_abandoned (syncer->core))
    wb_core_wait (syncer->core, WB_IO, -1);
}

void
wb_syncer_io_synced (
    WbSyncer *syncer, guint64 covered, gboolean named, gboolean finish)
{
  syncer->name_synced |= named;
  /* While the stream goes on, what an interval reports has a name after a power
   * cut. */
  if (finish || syncer->name_synced
      || wb_core_bounds (syncer->core)->sync_interval_us <= 0)
    syncer->durable_bytes = covered;
  /* Nothing is left for the next interval, unless the name is. */
  if (syncer->name_synced)
    syncer->unsynced_since_us = 0;
}

void
wb_syncer_flush (WbSyncer *syncer)
{
  syncer->flushed = TRUE;
  syncer->flushes++;
}

void
wb_syncer_restart (WbSyncer *syncer, guint64 base)
{
  syncer->flushed = FALSE;
  syncer->durable_bytes = MIN (syncer->durable_bytes, base);
  wb_core_wake (syncer->core, WB_SYNCER);
}

/* --- the thread ------------------------------------------------------------------- */

/* When the next one is due: an interval after the first write that the last
 * one does not cover, and not before the retirer has seen to what that one has
 * written, or nothing would ever be started between two long ones; nor while
 * the high-water mark is that from before a flush. -1: not before something
 * happens. */
static gint64
next_due (const WbSyncer *syncer) WB_REQUIRES (wb_locked, wb_sync_thread)
{
  gint64 interval = wb_core_bounds (syncer->core)->sync_interval_us;

  if (interval <= 0 || syncer->unsynced_since_us == 0 || syncer->io_syncing
      || syncer->flushed || syncer->refused
      || wb_core_sync_failed (syncer->core) || wb_core_has_error (syncer->core)
      || wb_retirer_is_drained_by_sync (syncer->retirer))
    return -1;
  return wb_deadline_after (syncer->unsynced_since_us, interval);
}

static void
note_result (WbSyncer *syncer, const WbVerdict *verdict, guint64 covered)
    WB_REQUIRES (wb_locked, wb_sync_thread)
{
  if (verdict->refused) {
    syncer->refused = TRUE;
  } else if (verdict->code != 0) {
    wb_core_latch (
        syncer->core, WB_ERROR_SYNC, verdict->code, "fdatasync", covered);
    wb_core_note_sync_failed (syncer->core);
  }
}

static void
sync_interval (WbSyncer *syncer) WB_REQUIRES (wb_locked, wb_sync_thread)
{
  WbCore *core = syncer->core;
  guint64 flushes = syncer->flushes;
  guint64 covered = wb_retirer_high_water (syncer->retirer);
  gint64 began = g_get_monotonic_time ();
  WbVerdict verdict;
  gboolean durable;

  syncer->syncing = TRUE;
  syncer->stall_told = NULL;
  syncer->unsynced_since_us = 0;
  wb_retirer_sync_begins (syncer->retirer);
  /* Nobody waits for it; the I/O thread watches whether the process runs. */
  wb_core_wake (core, WB_IO);
  verdict = wb_target_sync (syncer->target, WB_SYNCER, WB_SYNC_DATA, covered);
  wb_retirer_answer (syncer->retirer);
  if (verdict.code == 0 && !syncer->name_synced && !wb_core_is_abandoned (core))
    syncer->name_synced =
        wb_target_sync_parent (syncer->target, WB_SYNCER) == WB_RESULT_DURABLE;
  note_result (syncer, &verdict, covered);
  durable = verdict.code == 0 && syncer->name_synced
      && syncer->flushes == flushes && !wb_core_has_error (core)
      && !syncer->io_syncing && !wb_core_is_abandoned (core);
  if (durable)
    syncer->durable_bytes = MAX (syncer->durable_bytes, covered);
  syncer->syncing = FALSE;
  wb_retirer_sync_ends (syncer->retirer, covered);
  wb_core_wake (core, WB_IO);
  if (durable)
    wb_core_say_locked (core, WB_LOG_DEBUG,
        "durable up to %" G_GUINT64_FORMAT ", the sync took %.1f ms", covered,
        (g_get_monotonic_time () - began) / 1e3);
}

void
wb_syncer_run (WbSyncer *syncer)
{
  WbCore *core = syncer->core;

  wb_core_lock (core);
  while (!syncer->quit && !wb_core_is_abandoned (core)) {
    gint64 due = next_due (syncer), left = due - wb_core_now (core);

    if (due < 0 || left > 0) {
      wb_core_wait (
          core, WB_SYNCER, due < 0 ? -1 : g_get_monotonic_time () + left);
      continue;
    }
    sync_interval (syncer);
    wb_core_notify (core);
  }
  wb_core_unlock (core);
}
