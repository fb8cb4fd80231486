/* wbfilesink: turns on a disk
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "process/wbturns.h"

struct _WbTurns
{
  WbLock lock;
  GQueue waiting; /* WbTurn, the first to be served is the head */
  GSList *holding;
  guint counted; /* of those, that are not stuck */
};

WbTurns *
wb_turns_new (void)
{
  WbTurns *turns = g_new0 (WbTurns, 1);

  wb_lock_init (&turns->lock);
  g_queue_init (&turns->waiting);
  return turns;
}

void
wb_turns_free (WbTurns *turns)
{
  wb_lock_clear (&turns->lock);
  g_free (turns);
}

void
wb_turn_init (WbTurn *turn, WbTurns *turns)
{
  turn->turns = turns;
  wb_cond_init (&turn->condition);
}

/* With the lock, as those that follow. */
static void
wake_first (WbTurns *turns)
{
  WbTurn *first = g_queue_peek_head (&turns->waiting);

  if (first != NULL)
    wb_cond_signal (&first->condition);
}

/* Takes their turn from those who have not moved for too long. Returns when the next
 * of the others is to be looked at, or -1. */
static gint64
look_for_stuck (WbTurns *turns)
{
  gint64 now = g_get_monotonic_time (), next = -1;

  for (GSList *link = turns->holding; link != NULL; link = link->next) {
    WbTurn *holder = link->data;
    gint64 due = holder->moved_us + WB_TURN_STUCK_US;

    if (holder->stuck)
      continue;
    if (due <= now) {
      holder->stuck = TRUE;
      turns->counted--;
    } else if (next < 0 || due < next) {
      next = due;
    }
  }
  return next;
}

static void
take (WbTurn *turn)
{
  WbTurns *turns = turn->turns;

  g_queue_pop_head (&turns->waiting);
  turns->holding = g_slist_prepend (turns->holding, turn);
  turns->counted++;
  turn->waits = turn->stuck = FALSE;
  turn->holds = TRUE;
  turn->moved_us = g_get_monotonic_time ();
  wake_first (turns);
}

gboolean
wb_turn_take (WbTurn *turn, guint most)
{
  WbTurns *turns = turn->turns;
  gboolean taken;

  wb_lock_acquire (&turns->lock);
  if (!turn->waits && !turn->holds) {
    g_queue_push_tail (&turns->waiting, turn);
    turn->waits = TRUE;
  }
  while (!turn->called_off && !turn->holds) {
    gint64 next = -1;

    if (g_queue_peek_head (&turns->waiting) == turn) {
      next = look_for_stuck (turns);
      if (turns->counted < most) {
        take (turn);
        break;
      }
    }
    wb_cond_wait_until (&turn->condition, &turns->lock, next);
  }
  turn->called_off = FALSE;
  taken = turn->holds;
  wb_lock_release (&turns->lock);
  return taken;
}

void
wb_turn_move (WbTurn *turn)
{
  wb_lock_acquire (&turn->turns->lock);
  turn->moved_us = g_get_monotonic_time ();
  wb_lock_release (&turn->turns->lock);
}

/* With the lock. */
static void
end (WbTurn *turn)
{
  WbTurns *turns = turn->turns;

  if (!turn->holds)
    return;
  turns->holding = g_slist_remove (turns->holding, turn);
  if (!turn->stuck)
    turns->counted--;
  turn->holds = turn->stuck = FALSE;
  wake_first (turns);
}

void
wb_turn_end (WbTurn *turn)
{
  wb_lock_acquire (&turn->turns->lock);
  end (turn);
  wb_lock_release (&turn->turns->lock);
}

void
wb_turn_call_off (WbTurn *turn)
{
  wb_lock_acquire (&turn->turns->lock);
  turn->called_off = TRUE;
  wb_cond_signal (&turn->condition);
  wb_lock_release (&turn->turns->lock);
}

void
wb_turn_clear (WbTurn *turn)
{
  WbTurns *turns = turn->turns;

  wb_lock_acquire (&turns->lock);
  end (turn);
  if (turn->waits) {
    g_queue_remove (&turns->waiting, turn);
    wake_first (turns);
  }
  wb_lock_release (&turns->lock);
  wb_cond_clear (&turn->condition);
  turn->turns = NULL;
}

gboolean
wb_turn_waits (WbTurn *turn)
{
  gboolean waits;

  wb_lock_acquire (&turn->turns->lock);
  waits = turn->waits;
  wb_lock_release (&turn->turns->lock);
  return waits;
}
