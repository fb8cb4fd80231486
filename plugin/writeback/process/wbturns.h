/* wbfilesink: turns on a disk
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Problem: a disk that seeks does as much as its pieces are long. Sixty-four files
 * that hand in a megabyte each, side by side, tear even one file's chunk apart by
 * the others' seeks: 1.2 MB a seek, and pictures are lost at a load that one file
 * alone would take easily. Strategy: a few files at a time have write-out in flight;
 * each hands in all that is ready, up to a quota, and waits for it; then it is the
 * next one's turn, in the order in which they asked.
 *
 * A file whose call hangs must not hold the others: one that has not moved for
 * WB_TURN_STUCK_US has its turn taken away, and is slow alone.
 *
 * All functions may be called on any thread, those that wait without a lock.
 */
#pragma once

#include "system/wbthread.h"

G_BEGIN_DECLS

/* How many have a turn at once. Of 1, 2 and 4 two did most on a model of a spinning
 * disk (180 MB/s): with one its queue runs empty while the next begins, with four it
 * seeks more. */
#define WB_TURNS 2
/* What a turn hands in, at most, bytes: 90 ms of such a disk, beside which a seek of
 * 15 ms is little. */
#define WB_TURN_QUOTA (G_GUINT64_CONSTANT (16) << 20)
/* A step of a turn is at most 8 MiB, which a disk of 16 MB/s takes in this time; a
 * slower one loses nothing by a turn that ends early. */
#define WB_TURN_STUCK_US (G_USEC_PER_SEC / 2)

typedef struct _WbTurns WbTurns;

/* A file's place among those who want a turn. */
typedef struct
{
  /* under the turns' lock */
  WbTurns *turns;
  WbCond condition;
  gboolean waits;
  gboolean holds;
  gboolean stuck; /* holds, and does not count */
  gboolean called_off;
  gint64 moved_us;
} WbTurn;

WbTurns *wb_turns_new (void);
void wb_turns_free (WbTurns *turns);

void wb_turn_init (WbTurn *turn, WbTurns *turns);
/* It wants no turn any more, and has none. */
void wb_turn_clear (WbTurn *turn);
/* Waits for its turn, until less than `most` others have one. FALSE: it was called
 * off; it keeps its place. */
gboolean wb_turn_take (WbTurn *turn, guint most);
/* A call of the holder's has returned. */
void wb_turn_move (WbTurn *turn);
/* May be called when it holds none. */
void wb_turn_end (WbTurn *turn);
/* Whoever waits for this turn, now or the next time, looks for something else. */
void wb_turn_call_off (WbTurn *turn);
/* Whether a thread waits for it, in line already. */
gboolean wb_turn_waits (WbTurn *turn);

G_END_DECLS
