/* wbfilesink: one output file: the retirer
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Layout: figures; the window; what is dirty; a restart; beside a sync at an
 * interval; the thread.
 */
#include "file/wbretirer.h"

#include "system/wbmemory.h"

#include <errno.h>

/* Of the sync timeout: there must be time left to write, and to sync. */
#define URGENT_PART 4

struct _WbRetirer
{
  WbCore *core;
  WbTarget *target;
  const WbTargetFacts *facts;
  WbWriteback writeback;
  WbShare *share;

  WbPlanner planner WB_GUARDED_BY (wb_locked);
  gboolean control WB_GUARDED_BY (wb_locked); /* write-out is ours to control */
  gboolean refused WB_GUARDED_BY (wb_locked); /* ... and was, until then */
  gboolean quit WB_GUARDED_BY (wb_locked);
  gboolean held WB_GUARDED_BY (wb_locked); /* makes no step */
  gboolean resting WB_GUARDED_BY (wb_locked);
  guint64 calls WB_GUARDED_BY (wb_locked); /* that have returned */

  gboolean degraded WB_GUARDED_BY (wb_locked);
  guint64 peak_dirty_bytes WB_GUARDED_BY (wb_locked);

  /* a sync at an interval */
  gboolean syncing WB_GUARDED_BY (wb_locked);
  /* since it began until the goal */
  gboolean drained_by_sync WB_GUARDED_BY (wb_locked);
  /* drained bytes when what it wrote is retired as well */
  guint64 synced_goal WB_GUARDED_BY (wb_locked);

  gint64 chunk_began_us[WB_CHUNK_CAPACITY] WB_GUARDED_BY (wb_retire_thread);
};

/* Unchecked: nobody else knows it yet. */
WB_UNCHECKED WbRetirer *
wb_retirer_new (
    WbCore *core, WbTarget *target, WbShare *share, WbWriteback writeback)
{
  WbRetirer *retirer = g_new0 (WbRetirer, 1);

  retirer->core = core;
  retirer->target = target;
  retirer->share = share;
  retirer->facts = wb_target_facts (target);
  retirer->writeback = writeback;
  retirer->resting = TRUE;
  return retirer;
}

void
wb_retirer_free (WbRetirer *retirer)
{
  g_free (retirer);
}

void
wb_retirer_set_up (WbRetirer *retirer)
{
  retirer->control = retirer->facts->control;
  wb_planner_init (&retirer->planner, retirer->facts->base,
      wb_memory_page_size (), retirer->writeback == WB_WRITEBACK_DROP);
  if (retirer->facts->by_sync)
    wb_planner_set_retire_whole (&retirer->planner);
  if (!retirer->control)
    wb_planner_set_passive (&retirer->planner);
  wb_retirer_update_window (retirer);
}

void
wb_retirer_quit (WbRetirer *retirer)
{
  retirer->quit = TRUE;
  wb_core_wake (retirer->core, WB_RETIRER);
  wb_share_call_off_turn (retirer->share);
}

/* --- figures ------------------------------------------------------------------- */

gboolean
wb_retirer_has_control (const WbRetirer *retirer)
{
  return retirer->control;
}

guint64
wb_retirer_high_water (const WbRetirer *retirer)
{
  return wb_planner_high_water (&retirer->planner);
}

guint64
wb_retirer_dirty_bytes (const WbRetirer *retirer)
{
  return wb_planner_dirty (&retirer->planner);
}

guint64
wb_retirer_batch (const WbRetirer *retirer)
{
  return wb_planner_batch (&retirer->planner);
}

const WbMeter *
wb_retirer_drain_meter (const WbRetirer *retirer)
{
  return retirer->control ? wb_share_drain_meter (retirer->share) : NULL;
}

gboolean
wb_retirer_is_degraded (const WbRetirer *retirer)
{
  return retirer->degraded;
}

void
wb_retirer_fill_stats (const WbRetirer *retirer, WbStats *stats)
{
  const WbPlanner *planner = &retirer->planner;
  WbPlannerCounters counters = wb_planner_counters (planner);
  WbBudgetReason reason;

  stats->dirty_bytes = wb_planner_dirty (planner);
  stats->peak_dirty_bytes = retirer->peak_dirty_bytes;
  stats->chunks_started = counters.chunks_started;
  stats->chunks_retired = counters.chunks_retired;
  stats->back_patches = counters.back_patches;
  stats->late_back_patches = counters.late_back_patches;
  stats->drain_rate = wb_meter_rate (wb_share_drain_meter (retirer->share));
  stats->budget = wb_share_budget (retirer->share, &reason);
  stats->budget_reason =
      stats->budget != 0 ? wb_budget_reason_name (reason) : "";
  stats->window = retirer->control ? wb_planner_window (planner) : G_MAXUINT64;
  stats->degraded = retirer->degraded;
  g_strlcpy (stats->mechanism,
      retirer->refused ? "none (refused)" : retirer->facts->mechanism,
      sizeof stats->mechanism);
}

/* --- the window ------------------------------------------------------------------ */

/* `retired` bytes have just become clean. */
static void
update_window (WbRetirer *retirer, guint64 retired) WB_REQUIRES (wb_locked)
{
  WbPlanner *planner = &retirer->planner;
  const WbWindow *window = wb_share_update (retirer->share, retired);

  wb_planner_set_bounds (planner, window->size, window->chunk_size);
  wb_planner_set_patch_room (planner,
      window->reason == WB_WINDOW_FAST
          ? window->most - MIN (window->most, wb_planner_window (planner))
          : 0);
  wb_planner_set_cut_unit (planner, window->cut_unit);
  wb_planner_set_start_step (planner, window->start_step);
}

void
wb_retirer_update_window (WbRetirer *retirer)
{
  update_window (retirer, 0);
}

void
wb_retirer_look_at_others (WbRetirer *retirer)
{
  if (wb_share_is_shared (retirer->share))
    update_window (retirer, 0);
}

static void
count_dirty (WbRetirer *retirer) WB_REQUIRES (wb_locked)
{
  wb_share_count_dirty (retirer->share,
      wb_core_is_abandoned (retirer->core)
          ? 0
          : wb_planner_dirty (&retirer->planner));
}

void
wb_retirer_leave_device (WbRetirer *retirer)
{
  wb_share_call_off_turn (retirer->share);
  count_dirty (retirer);
}

void
wb_retirer_check_recovered (WbRetirer *retirer)
{
  if (!retirer->degraded
      || wb_planner_dirty (&retirer->planner)
          > wb_planner_window (&retirer->planner))
    return;
  retirer->degraded = FALSE;
  wb_core_raise (retirer->core, WB_EVENT_DEGRADED);
}

/* Two batches fit always, and whatever it is when nothing is dirty (a whole frame,
 * unbuffered), so no file starves; one that has more than that and
 * waits is woken by its own retires. */
gboolean
wb_retirer_may_write (const WbRetirer *retirer, guint64 offset, guint64 bytes)
{
  const WbPlanner *planner = &retirer->planner;
  guint64 cost;

  if (!retirer->control || retirer->degraded)
    return TRUE;
  if (!wb_planner_may_write (planner, offset, bytes))
    return FALSE;
  if (!wb_share_is_shared (retirer->share))
    return TRUE;
  cost = wb_planner_cost (planner, offset, bytes);
  return wb_planner_dirty (planner) == 0
      || wb_planner_dirty (planner) + cost <= 2 * wb_planner_batch (planner)
      || wb_share_has_room (retirer->share, cost);
}

static void wake (WbRetirer *retirer) WB_REQUIRES (wb_locked);

/* Since when nothing has been retired for a writer that waits since then. */
static gint64
idle_since (const WbRetirer *retirer, gint64 since_us) WB_REQUIRES (wb_locked)
{
  return MAX (since_us, wb_share_last_drained (retirer->share));
}

/* How long nothing may be retired before the window is given up. */
static gint64
room_patience (const WbRetirer *retirer, gboolean urgent)
    WB_REQUIRES (wb_locked)
{
  const WbBounds *bounds = wb_core_bounds (retirer->core);
  gint64 patience = bounds->writeback_timeout_us;

  if (!urgent || patience < 0 || bounds->sync_timeout_us < 0)
    return patience;
  return MIN (patience, bounds->sync_timeout_us / URGENT_PART);
}

void
wb_retirer_wait_for_room (WbRetirer *retirer, gboolean urgent, gint64 *since_us)
{
  gint64 since;

  /* Unstarted patches and remainders alone could fill the window. */
  if (!wb_planner_is_draining (&retirer->planner))
    wb_planner_release (&retirer->planner, FALSE);
  wake (retirer);
  if (*since_us == 0)
    *since_us = wb_core_now (retirer->core);
  since = idle_since (retirer, *since_us);
  if (wb_core_wait_timed (
          retirer->core, WB_IO, since, room_patience (retirer, urgent))
      || since != idle_since (retirer, *since_us))
    return;
  retirer->degraded = TRUE;
  wb_core_raise (retirer->core, WB_EVENT_DEGRADED);
  wb_core_wake (retirer->core, WB_CALLERS);
  wb_core_notify (retirer->core);
}

/* --- what is dirty ----------------------------------------------------------------- */

static void
wake (WbRetirer *retirer)
{
  const WbPlanner *planner = &retirer->planner;

  if (!retirer->control
      || (wb_planner_holds_starts (planner)
          && wb_planner_in_flight (planner) == 0
          && !wb_planner_has_drops (planner)))
    return;
  retirer->resting = FALSE;
  wb_core_wake (retirer->core, WB_RETIRER);
}

void
wb_retirer_wrote (WbRetirer *retirer, guint64 offset, guint64 bytes)
{
  wb_planner_wrote (&retirer->planner, offset, bytes);
  count_dirty (retirer);
  retirer->peak_dirty_bytes =
      MAX (retirer->peak_dirty_bytes, wb_planner_dirty (&retirer->planner));
  if (wb_planner_has_ready (&retirer->planner))
    wake (retirer);
}

void
wb_retirer_release (WbRetirer *retirer)
{
  wb_planner_release (&retirer->planner, TRUE);
  wake (retirer);
}

gboolean
wb_retirer_drain_some (WbRetirer *retirer)
{
  if (!retirer->control)
    return TRUE;
  wb_planner_release (&retirer->planner, TRUE);
  if (retirer->resting && !wb_planner_is_draining (&retirer->planner)
      && !wb_planner_has_drops (&retirer->planner))
    return TRUE;
  wake (retirer);
  wb_core_wait (retirer->core, WB_IO, -1);
  return FALSE;
}

void
wb_retirer_settle (WbRetirer *retirer)
{
  wb_planner_settle (&retirer->planner);
}

void
wb_retirer_give_up_control (WbRetirer *retirer, const char *call, int code)
{
  retirer->control = FALSE;
  retirer->refused = TRUE;
  wb_planner_set_passive (&retirer->planner);
  count_dirty (retirer);
  /* Nothing is to be retired before the next sync any more. */
  wb_core_wake (retirer->core, WB_SYNCER);
  wb_core_say_locked (retirer->core, WB_LOG_INFO,
      "%s refused (%s): write-out is left to the system from here on", call,
      g_strerror (code));
}

/* --- a restart --------------------------------------------------------------------- */

void
wb_retirer_hold (WbRetirer *retirer)
{
  retirer->held = TRUE;
  wb_share_call_off_turn (retirer->share);
  while (retirer->control && !retirer->resting
      && !wb_core_is_abandoned (retirer->core)) {
    wb_core_wake (retirer->core, WB_RETIRER);
    wb_core_wait (retirer->core, WB_IO, -1);
  }
}

void
wb_retirer_restart (WbRetirer *retirer, gboolean truncated)
{
  wb_planner_restart (&retirer->planner, truncated);
  retirer->held = FALSE;
  if (!retirer->syncing)
    retirer->drained_by_sync = FALSE;
  count_dirty (retirer);
  wake (retirer);
}

/* --- beside a sync at an interval ----------------------------------------------------- */

/* Bytes ever. */
static guint64
drained (const WbRetirer *retirer) WB_REQUIRES (wb_locked)
{
  return wb_share_drain_meter (retirer->share)->total;
}

/* fdatasync waits for whatever is under write-out, also for what was started
 * after it began: at full speed it would not return while the file is being
 * written. */
void
wb_retirer_sync_begins (WbRetirer *retirer)
{
  retirer->syncing = TRUE;
  if (!retirer->control)
    return;
  wb_planner_hold_starts (&retirer->planner, TRUE);
  if (wb_planner_in_flight (&retirer->planner) == 0)
    wb_share_mark (retirer->share);
  retirer->drained_by_sync = TRUE;
}

void
wb_retirer_answer (WbRetirer *retirer)
{
  guint64 calls = retirer->calls;

  while (wb_core_call (retirer->core, WB_RETIRER) != NULL
      && retirer->calls == calls && !wb_core_is_abandoned (retirer->core))
    wb_core_wait (retirer->core, WB_SYNCER, -1);
}

void
wb_retirer_sync_ends (WbRetirer *retirer, guint64 covered)
{
  WbPlanner *planner = &retirer->planner;

  retirer->syncing = FALSE;
  if (!retirer->control)
    return;
  wb_planner_hold_starts (planner, FALSE);
  wb_planner_release_below (planner, covered);
  retirer->synced_goal = drained (retirer) + wb_planner_draining (planner);
  retirer->drained_by_sync = retirer->synced_goal > drained (retirer);
  wake (retirer);
}

gboolean
wb_retirer_is_drained_by_sync (const WbRetirer *retirer)
{
  return retirer->control && retirer->drained_by_sync;
}

/* --- the thread -------------------------------------------------------------------------- */

static void
say_step (WbRetirer *retirer, const WbStep *step, gint64 took_us,
    const WbVerdict *verdict) WB_REQUIRES (wb_retire_thread)
    WB_EXCLUDES (wb_locked)
{
  static const char *const reasons[] = { "cut at a resume", "cut at its size",
    "cut to make room", "cut for many patches", "all there is" };

  if (step->kind == WB_STEP_START && step->first_of_chunk)
    wb_core_say (retirer->core, WB_LOG_DEBUG,
        "chunk %" G_GUINT64_FORMAT " started: %" G_GUINT64_FORMAT
        "-%" G_GUINT64_FORMAT " (%s), first step took %.1f ms",
        step->chunk, step->chunk_span.start, step->chunk_span.end,
        reasons[step->reason], took_us / 1e3);
  if (verdict->code != 0 && !verdict->refused)
    wb_core_say (retirer->core, WB_LOG_WARNING,
        "write-out of %" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT " failed: %s",
        step->range.start, step->range.end, g_strerror (verdict->code));
}

static void
retire_done (WbRetirer *retirer, const WbStep *step, guint64 cleaned)
    WB_REQUIRES (wb_locked, wb_retire_thread)
{
  gint64 began_us = retirer->chunk_began_us[step->chunk % WB_CHUNK_CAPACITY];
  gint64 now_us;

  /* What a sync has written comes for nothing after it. */
  if (retirer->drained_by_sync && !retirer->syncing
      && drained (retirer) + cleaned >= retirer->synced_goal) {
    retirer->drained_by_sync = FALSE;
    wb_core_wake (retirer->core, WB_SYNCER);
  }
  wb_share_note_drained (retirer->share, cleaned,
      step->last_of_piece && !retirer->drained_by_sync);
  now_us = wb_share_last_drained (retirer->share);
  count_dirty (retirer);
  update_window (retirer, cleaned);
  wb_retirer_check_recovered (retirer);
  wb_core_wake (retirer->core, WB_IO);
  if (!step->last_of_chunk)
    return;
  wb_core_say_locked (retirer->core, WB_LOG_DEBUG,
      "chunk %" G_GUINT64_FORMAT " retired: %" G_GUINT64_FORMAT
      "-%" G_GUINT64_FORMAT ", %.1f ms after its start",
      step->chunk, step->chunk_span.start, step->chunk_span.end,
      (now_us - began_us) / 1e3);
}

static void
step_failed (WbRetirer *retirer, const WbStep *step, const WbVerdict *verdict)
    WB_REQUIRES (wb_locked)
{
  const char *name = wb_target_step_name (retirer->target, step->kind);
  gboolean syncs;

  if (step->kind != WB_STEP_DROP) {
    if (verdict->refused) {
      wb_retirer_give_up_control (retirer, name, verdict->code);
      return;
    }
    syncs = retirer->facts->by_sync && step->kind == WB_STEP_RETIRE;
    wb_core_latch (retirer->core, syncs ? WB_ERROR_SYNC : WB_ERROR_WRITE,
        verdict->code, name, step->range.start);
    if (syncs)
      wb_core_note_sync_failed (retirer->core);
    return;
  }
  /* A hint: nothing is lost but cache. */
  if (!wb_planner_is_dropping (&retirer->planner))
    return;
  wb_planner_stop_dropping (&retirer->planner);
  wb_core_say_locked (retirer->core, WB_LOG_INFO,
      "%s refused (%s): the file stays in the cache", name,
      g_strerror (verdict->code));
}

static void
make_step (WbRetirer *retirer, const WbStep *step)
    WB_REQUIRES (wb_locked, wb_retire_thread)
{
  gboolean unhurried = wb_core_bounds (retirer->core)->unhurried;
  WbVerdict verdict;
  guint64 cleaned;
  gint64 began;

  if (step->kind == WB_STEP_START) {
    if (step->first_of_chunk)
      retirer->chunk_began_us[step->chunk % WB_CHUNK_CAPACITY] =
          g_get_monotonic_time ();
    /* The drain rate's clock runs while something is under write-out. */
    if (wb_planner_in_flight (&retirer->planner) == 1
        && !retirer->drained_by_sync)
      wb_share_mark (retirer->share);
  }

  wb_core_enter (retirer->core, WB_RETIRER,
      wb_target_step_name (retirer->target, step->kind), step->range.start);
  began = g_get_monotonic_time ();
  verdict = wb_target_make_step (retirer->target, step);
  say_step (retirer, step, g_get_monotonic_time () - began, &verdict);
  if (unhurried)
    wb_share_look_for_reads (retirer->share);
  wb_core_leave (retirer->core, WB_RETIRER);
  retirer->calls++;
  if (retirer->syncing)
    wb_core_wake (retirer->core, WB_SYNCER);

  cleaned = wb_planner_done (&retirer->planner, step);
  if (verdict.code != 0)
    step_failed (retirer, step, &verdict);
  if (step->kind == WB_STEP_RETIRE)
    retire_done (retirer, step, cleaned);
}

static gboolean
next_step (WbRetirer *retirer, WbStep *step)
    WB_REQUIRES (wb_locked, wb_retire_thread)
{
  if (retirer->held || !retirer->control)
    return FALSE;
  switch (wb_share_next_step (retirer->share, &retirer->planner, step)) {
    case WB_SHARE_STEP:
      return TRUE;
    case WB_SHARE_NOTHING:
      return FALSE;
    case WB_SHARE_WAITS:
      /* Nothing is under way while it does. */
      retirer->resting = TRUE;
      wb_core_wake (retirer->core, WB_IO);
      wb_share_take_turn (retirer->share);
      retirer->resting = FALSE;
      return FALSE;
  }
  return FALSE;
}

/* Something may be had that was not looked for. */
static gboolean
is_to_be_looked_at_again (const WbRetirer *retirer) WB_REQUIRES (wb_locked)
{
  return !retirer->held && retirer->control && !retirer->quit
      && !wb_core_is_abandoned (retirer->core)
      && wb_planner_has_ready (&retirer->planner)
      && !wb_planner_holds_starts (&retirer->planner);
}

void
wb_retirer_run (WbRetirer *retirer)
{
  WbCore *core = retirer->core;
  WbStep step;

  wb_core_lock (core);
  while (!retirer->quit && !wb_core_is_abandoned (core)) {
    if (next_step (retirer, &step)) {
      make_step (retirer, &step);
      wb_share_move (retirer->share);
      wb_core_notify (core);
      if (retirer->control)
        wb_share_say (retirer->share, wb_planner_window (&retirer->planner));
      continue;
    }
    if (is_to_be_looked_at_again (retirer))
      continue;
    wb_share_end_turn (retirer->share);
    retirer->resting = TRUE;
    wb_core_wake (core, WB_IO);
    wb_core_wait (core, WB_RETIRER, -1);
  }
  wb_share_end_turn (retirer->share);
  retirer->resting = TRUE;
  wb_core_wake (core, WB_IO);
  wb_core_unlock (core);
}
