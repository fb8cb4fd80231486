/* wbfilesink: one output file: its share of the disk
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Layout: the device; the window; what drains.
 */
#include "file/wbshare.h"

struct _WbShare
{
  WbCore *core;
  WbTarget *target;
  gboolean by_sync; /* constant once open, as is the next */
  WbDevice *device; /* the disk, with the others' files, or NULL */

  WbTurn turn; /* has a lock of its own */
  gboolean has_turn WB_GUARDED_BY (wb_retire_thread);
  guint64 turn_bytes WB_GUARDED_BY (wb_retire_thread); /* handed in with it */

  gboolean active WB_GUARDED_BY (wb_locked); /* has dirty bytes on it */
  guint64 counted_dirty WB_GUARDED_BY (wb_locked);

  WbMeter drain_meter WB_GUARDED_BY (wb_locked);
  WbMeter disk_meter WB_GUARDED_BY (wb_locked); /* of all files on the disk */
  gint64 mark_us WB_GUARDED_BY (wb_locked);
  guint64 mark_bytes WB_GUARDED_BY (wb_locked); /* of all files */
  gint64 last_drained_us WB_GUARDED_BY (wb_locked);

  WbWindow window WB_GUARDED_BY (wb_locked);
  WbWindowReason reason_said WB_GUARDED_BY (wb_locked);
  guint64 window_said WB_GUARDED_BY (wb_locked);
  gint budget_said WB_GUARDED_BY (wb_locked); /* the reason, or -1 */
};

/* Unchecked: nobody else knows it yet. */
WB_UNCHECKED WbShare *
wb_share_new (WbCore *core, WbTarget *target)
{
  WbShare *share = g_new0 (WbShare, 1);

  share->core = core;
  share->target = target;
  share->budget_said = -1;
  return share;
}

/* Unchecked: nobody else knows it any more. */
WB_UNCHECKED void
wb_share_free (WbShare *share)
{
  if (share->device != NULL)
    wb_device_count_dirty (share->device, share->counted_dirty, 0);
  if (share->active)
    wb_device_leave (share->device);
  if (share->device != NULL)
    wb_turn_clear (&share->turn);
  g_free (share);
}

void
wb_share_set_up (WbShare *share)
{
  share->device = wb_target_device (share->target);
  share->by_sync = wb_target_facts (share->target)->by_sync;
  if (share->device != NULL)
    wb_turn_init (&share->turn, wb_device_turns (share->device));
}

/* --- the device --------------------------------------------------------------------- */

gboolean
wb_share_is_shared (const WbShare *share)
{
  return share->device != NULL;
}

void
wb_share_count_dirty (WbShare *share, guint64 dirty)
{
  gboolean active = dirty > 0;

  if (share->device == NULL)
    return;
  if (dirty != share->counted_dirty)
    wb_device_count_dirty (share->device, share->counted_dirty, dirty);
  share->counted_dirty = dirty;
  if (active == share->active)
    return;
  share->active = active;
  if (active)
    wb_device_enter (share->device);
  else
    wb_device_leave (share->device);
}

gboolean
wb_share_has_room (const WbShare *share, guint64 bytes)
{
  return share->device == NULL || wb_device_has_room (share->device, bytes);
}

guint64
wb_share_budget (const WbShare *share, WbBudgetReason *reason)
{
  *reason = WB_BUDGET_USUAL;
  return share->device != NULL ? wb_device_budget (share->device, reason) : 0;
}

/* --- turns --------------------------------------------------------------------------- */

static gboolean
takes_turns (const WbShare *share) WB_REQUIRES (wb_locked)
{
  return share->device != NULL && !share->by_sync
      && wb_device_active (share->device) > 1
      && !wb_limits_is_fast (&share->disk_meter, share->by_sync);
}

void
wb_share_end_turn (WbShare *share)
{
  if (share->has_turn)
    wb_turn_end (&share->turn);
  share->has_turn = FALSE;
}

static gboolean
is_turn_over (const WbShare *share, const WbPlanner *planner)
    WB_REQUIRES (wb_locked, wb_retire_thread)
{
  return wb_planner_in_flight (planner) == 0
      && (!wb_planner_has_ready (planner) || wb_planner_holds_starts (planner)
          || share->turn_bytes >= WB_TURN_QUOTA);
}

/* What can be done without starting anything. */
static gboolean
next_but_start (WbPlanner *planner, WbStep *step)
{
  gboolean held = wb_planner_holds_starts (planner), found;

  wb_planner_hold_starts (planner, TRUE);
  found = wb_planner_next (planner, step);
  wb_planner_hold_starts (planner, held);
  return found;
}

static WbShareNext
next_in_turn (WbShare *share, WbPlanner *planner, WbStep *step)
    WB_REQUIRES (wb_locked, wb_retire_thread)
{
  if (share->has_turn && is_turn_over (share, planner))
    wb_share_end_turn (share);
  if (share->has_turn && share->turn_bytes < WB_TURN_QUOTA) {
    if (!wb_planner_next (planner, step))
      return WB_SHARE_NOTHING;
    if (step->kind == WB_STEP_START)
      share->turn_bytes += step->range.end - step->range.start;
    return WB_SHARE_STEP;
  }
  if (next_but_start (planner, step))
    return WB_SHARE_STEP;
  return share->has_turn || !wb_planner_has_ready (planner)
          || wb_planner_holds_starts (planner)
      ? WB_SHARE_NOTHING
      : WB_SHARE_WAITS;
}

WbShareNext
wb_share_next_step (WbShare *share, WbPlanner *planner, WbStep *step)
{
  if (takes_turns (share))
    return next_in_turn (share, planner, step);
  wb_share_end_turn (share);
  return wb_planner_next (planner, step) ? WB_SHARE_STEP : WB_SHARE_NOTHING;
}

void
wb_share_take_turn (WbShare *share)
{
  guint active = wb_device_active (share->device);

  wb_core_unlock (share->core);
  /* Of two it is one after the other. */
  share->has_turn =
      wb_turn_take (&share->turn, active > WB_TURNS ? WB_TURNS : 1);
  share->turn_bytes = 0;
  wb_core_lock (share->core);
}

void
wb_share_move (WbShare *share)
{
  if (share->device != NULL)
    wb_turn_move (&share->turn);
}

void
wb_share_call_off_turn (WbShare *share)
{
  if (share->device != NULL)
    wb_turn_call_off (&share->turn);
}

/* --- the window ---------------------------------------------------------------------- */

static WbDiskView
look_at_disk (const WbShare *share) WB_REQUIRES (wb_locked)
{
  WbDiskView view = { .drain = &share->drain_meter,
    .disk = &share->disk_meter,
    .by_sync = share->by_sync,
    .share = G_MAXUINT64,
    .fast_part = wb_limits_fast_window (wb_core_bounds (share->core)) };

  if (share->device == NULL)
    return view;
  view.share = wb_device_share (share->device);
  view.sharing = wb_device_active (share->device);
  view.is_read = wb_device_is_read (share->device);
  if (wb_limits_is_fast (view.disk, view.by_sync)
      && view.fast_part != G_MAXUINT64)
    view.fast_part = wb_device_part (share->device, view.fast_part,
        wb_meter_rate (view.drain), wb_meter_rate (view.disk));
  return view;
}

const WbWindow *
wb_share_update (WbShare *share, guint64 retired)
{
  WbDiskView view = look_at_disk (share);

  wb_limits_window (
      &share->window, wb_core_bounds (share->core), &view, retired);
  return &share->window;
}

static void
say_budget (WbShare *share) WB_REQUIRES (wb_locked)
{
  WbBudgetReason reason;
  guint64 budget = wb_share_budget (share, &reason);

  if (budget == 0 || (gint) reason == share->budget_said)
    return;
  share->budget_said = (gint) reason;
  wb_core_say_locked (share->core, WB_LOG_INFO,
      "the files on this disk may have %" G_GUINT64_FORMAT
      " bytes dirty together: %s",
      budget, wb_budget_reason_name (reason));
}

void
wb_share_say (WbShare *share, guint64 window)
{
  WbWindowReason reason = share->window.reason;
  guint64 rate = wb_meter_rate (
      reason == WB_WINDOW_FAST ? &share->disk_meter : &share->drain_meter);

  say_budget (share);
  if (!wb_core_is_said (share->core, WB_LOG_DEBUG)
      || (reason == share->reason_said && window <= share->window_said * 2
          && window >= share->window_said / 2))
    return;
  share->window_said = window;
  share->reason_said = reason;
  wb_core_say_locked (share->core, WB_LOG_DEBUG,
      "window %" G_GUINT64_FORMAT " bytes (%s), the disk drains %.1f MB/s",
      window, wb_window_reason_name (reason), rate / 1e6);
}

/* --- what drains ------------------------------------------------------------------------ */

/* The clock goes on after `bytes` came back from the disk. */
static void
mark (WbShare *share, guint64 bytes) WB_REQUIRES (wb_locked)
{
  share->mark_us = wb_core_now (share->core);
  if (share->device != NULL)
    share->mark_bytes = wb_device_count_drained (share->device, bytes);
  else
    share->mark_bytes += bytes;
}

void
wb_share_look_for_reads (WbShare *share)
{
  if (share->device != NULL)
    wb_device_look_for_reads (share->device);
}

void
wb_share_mark (WbShare *share)
{
  mark (share, 0);
}

void
wb_share_note_drained (WbShare *share, guint64 bytes, gboolean ends)
{
  gint64 began_us = share->mark_us;
  guint64 disk_began = share->mark_bytes;
  gint64 took;

  mark (share, bytes);
  took = MAX (share->mark_us - began_us, 0);
  wb_meter_note (&share->drain_meter, bytes, took, ends);
  wb_meter_note (
      &share->disk_meter, share->mark_bytes - disk_began, took, ends);
  share->last_drained_us = share->mark_us;
}

const WbMeter *
wb_share_drain_meter (const WbShare *share)
{
  return &share->drain_meter;
}

guint64
wb_share_disk_rate (const WbShare *share)
{
  return wb_meter_rate (&share->disk_meter);
}

gint64
wb_share_last_drained (const WbShare *share)
{
  return share->last_drained_us;
}
