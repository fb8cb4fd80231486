/* Turns on a disk: so many at once, in the order in which they were asked for, and
 * none is held up for long by one that does not move.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "process/wbturns.h"

#define FILES 5
#define PATIENCE_US (20 * G_USEC_PER_SEC)

typedef struct
{
  WbTurns *turns;
  WbTurn turn[FILES];
  gint taken[FILES]; /* atomic: in which place */
  gint places;       /* atomic */
} Fixture;

typedef struct
{
  Fixture *f;
  guint index;
} Asker;

static void
set_up (Fixture *f, gconstpointer data)
{
  f->turns = wb_turns_new ();
  for (guint i = 0; i < FILES; i++)
    wb_turn_init (&f->turn[i], f->turns);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  for (guint i = 0; i < FILES; i++)
    wb_turn_clear (&f->turn[i]);
  wb_turns_free (f->turns);
}

static gpointer
ask (gpointer data)
{
  Asker *asker = data;
  gboolean taken = wb_turn_take (&asker->f->turn[asker->index], WB_TURNS);

  if (taken)
    g_atomic_int_set (&asker->f->taken[asker->index],
        g_atomic_int_add (&asker->f->places, 1) + 1);
  return GINT_TO_POINTER (taken);
}

/* Asks on a thread, and returns when it waits. */
static GThread *
ask_beside (Fixture *f, Asker *asker, guint index)
{
  GThread *thread;

  asker->f = f;
  asker->index = index;
  thread = g_thread_new ("asker", ask, asker);
  while (!wb_turn_waits (&f->turn[index]))
    g_usleep (100);
  return thread;
}

static void
test_in_order (Fixture *f, gconstpointer data)
{
  GThread *threads[FILES];
  Asker askers[FILES];

  for (guint i = 0; i < WB_TURNS; i++)
    g_assert_true (wb_turn_take (&f->turn[i], WB_TURNS));
  for (guint i = WB_TURNS; i < FILES; i++)
    threads[i] = ask_beside (f, &askers[i], i);
  g_assert_cmpint (g_atomic_int_get (&f->places), ==, 0);
  for (guint i = WB_TURNS; i < FILES; i++) {
    wb_turn_end (&f->turn[i - WB_TURNS]);
    g_assert_nonnull (g_thread_join (threads[i]));
    g_assert_cmpint (f->taken[i], ==, (gint) (i - WB_TURNS + 1));
  }
  /* Who has one has it. */
  g_assert_true (wb_turn_take (&f->turn[FILES - 1], WB_TURNS));
}

/* It comes back, and keeps its place. */
static void
test_called_off (Fixture *f, gconstpointer data)
{
  GThread *first, *second;
  Asker askers[2];

  for (guint i = 0; i < WB_TURNS; i++)
    g_assert_true (wb_turn_take (&f->turn[i], WB_TURNS));
  first = ask_beside (f, &askers[0], WB_TURNS);
  second = ask_beside (f, &askers[1], WB_TURNS + 1);
  wb_turn_call_off (&f->turn[WB_TURNS]);
  g_assert_null (g_thread_join (first));
  wb_turn_end (&f->turn[0]);
  g_assert_true (wb_turn_take (&f->turn[WB_TURNS], WB_TURNS));
  wb_turn_end (&f->turn[1]);
  g_assert_nonnull (g_thread_join (second));
  /* Also before it waits. */
  wb_turn_end (&f->turn[WB_TURNS]);
  wb_turn_call_off (&f->turn[WB_TURNS]);
  g_assert_false (wb_turn_take (&f->turn[WB_TURNS], WB_TURNS));
}

/* It goes without its place. */
static void
test_leaves (Fixture *f, gconstpointer data)
{
  for (guint i = 0; i < WB_TURNS; i++)
    g_assert_true (wb_turn_take (&f->turn[i], WB_TURNS));
  wb_turn_call_off (&f->turn[WB_TURNS]);
  g_assert_false (wb_turn_take (&f->turn[WB_TURNS], WB_TURNS));
  wb_turn_clear (&f->turn[WB_TURNS]);
  wb_turn_end (&f->turn[0]);
  g_assert_true (wb_turn_take (&f->turn[WB_TURNS + 1], WB_TURNS));
  wb_turn_init (&f->turn[WB_TURNS], f->turns);
}

/* One that does not move loses its turn, one that does keeps it. */
static void
test_stuck (Fixture *f, gconstpointer data)
{
  gint64 began = g_get_monotonic_time ();

  for (guint i = 0; i < WB_TURNS; i++)
    g_assert_true (wb_turn_take (&f->turn[i], WB_TURNS));
  g_assert_true (wb_turn_take (&f->turn[WB_TURNS], WB_TURNS));
  g_assert_cmpint (
      g_get_monotonic_time () - began, >=, WB_TURN_STUCK_US - 1000);
  g_assert_cmpint (g_get_monotonic_time () - began, <, PATIENCE_US);
  /* When it is back it ends as any other. */
  for (guint i = 0; i <= WB_TURNS; i++) {
    wb_turn_move (&f->turn[i]);
    wb_turn_end (&f->turn[i]);
  }
  for (guint i = 0; i < WB_TURNS; i++)
    g_assert_true (wb_turn_take (&f->turn[i], WB_TURNS));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, function)                                                    \
  g_test_add ("/turns/" path, Fixture, NULL, set_up, function, tear_down)
  ADD ("in-order", test_in_order);
  ADD ("called-off", test_called_off);
  ADD ("leaves", test_leaves);
  ADD ("stuck", test_stuck);
#undef ADD
  return g_test_run ();
}
