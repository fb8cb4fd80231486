/* wbfilesink: one output file: the core
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The room at the bottom, which every other knows and which knows none: the
 * file's lock and the four conditions, which call each thread is in, what counts
 * as progress, the first error, the bounds, and the listener. It makes no system
 * call.
 *
 * Who waits on which condition: the I/O thread, the retirer and the syncer on
 * one each, callers (who push, wait for a sync, open or close) on the fourth.
 * Whatever moves is progress, and every deadline of a caller counts from the
 * last of it. Life goes one way: open, perhaps abandoned, closed.
 *
 * A function that waits, says something to the log or notifies lets go of the
 * lock meanwhile: what was known before is to be looked at again.
 */
#pragma once

#include "file/wbfile.h"
#include "file/wbguard.h"

G_BEGIN_DECLS

typedef struct _WbCore WbCore;

/* Who waits, and whose call it is. */
typedef enum
{
  WB_IO,
  WB_RETIRER,
  WB_SYNCER,
  WB_THREADS,
  WB_CALLERS = WB_THREADS, /* they make no calls */
  WB_PARTIES
} WbParty;

/* Takes the listener over. */
WbCore *wb_core_new (const WbListener *listener, const WbBounds *bounds);
void wb_core_free (WbCore *core);

/* --- the lock and waits on it ---------------------------------------------- */

void wb_core_lock (WbCore *core) WB_ACQUIRES (wb_locked);
void wb_core_unlock (WbCore *core) WB_RELEASES (wb_locked);
/* Locks for a push. FALSE: there is an error, or the syncer is in a call, so that
 * there is more to look at than room in the queue. */
gboolean wb_core_lock_if_calm (WbCore *core) WB_ACQUIRES (wb_locked);
/* Wakes whoever waits on this condition. */
void wb_core_wake (WbCore *core, WbParty party) WB_REQUIRES (wb_locked);
/* Waits until `deadline_us` of the monotonic clock, or for ever (-1), or until it
 * is woken. FALSE: the time is over. */
gboolean wb_core_wait (WbCore *core, WbParty party, gint64 deadline_us)
    WB_REQUIRES (wb_locked);
/* The clock of this room, us: the monotonic one less the time in which this process
 * is known not to have run. Every time that a deadline counts from is of it. */
gint64 wb_core_now (const WbCore *core) WB_REQUIRES (wb_locked);
/* Waits until `patience_us` (-1: for ever) after `since_us`, or until it is woken or
 * something has moved; time in which the process did not run does not count. FALSE:
 * the time is over. */
gboolean wb_core_wait_timed (WbCore *core, WbParty party, gint64 since_us,
    gint64 patience_us) WB_REQUIRES (wb_locked);
/* start + timeout, where -1 is for ever. */
gint64 wb_deadline_after (gint64 start_us, gint64 timeout_us);
/* A caller waits for something to happen. FALSE: nothing has moved for
 * `patience_us` since `start_us` or the last progress. */
gboolean wb_core_wait_for_progress (
    WbCore *core, gint64 start_us, gint64 patience_us) WB_REQUIRES (wb_locked);
/* The same for the sync timeout, and if a wait has given up already and nothing
 * has moved since, it is not waited for again: FALSE, and the stall is filled
 * in. */
gboolean wb_core_wait_or_give_up (WbCore *core, gint64 start_us, WbStall *stall)
    WB_REQUIRES (wb_locked);
/* How often anything has moved, and when it last did. */
guint64 wb_core_progress (const WbCore *core) WB_REQUIRES (wb_locked);
gint64 wb_core_last_progress (const WbCore *core) WB_REQUIRES (wb_locked);

/* Callers' waits return until it was called with FALSE as often as with TRUE: two
 * threads may be at it. */
void wb_core_interrupt (WbCore *core, gboolean interrupt)
    WB_REQUIRES (wb_locked);
gboolean wb_core_is_interrupted (const WbCore *core) WB_REQUIRES (wb_locked);

/* --- calls ------------------------------------------------------------------ */

/* Unlocks for a system call of this thread; leave locks again, counts it as
 * progress, and says how long it took, us. `name` is static. */
void wb_core_enter (WbCore *core, WbParty party, const char *name,
    guint64 offset) WB_RELEASES (wb_locked);
gint64 wb_core_leave (WbCore *core, WbParty party) WB_ACQUIRES (wb_locked);
/* The same for a call that came back with nothing done: no progress. */
gint64 wb_core_leave_idle (WbCore *core, WbParty party) WB_ACQUIRES (wb_locked);
/* The call that this thread is in, or NULL, and since when. */
const char *wb_core_call (const WbCore *core, WbParty party)
    WB_REQUIRES (wb_locked);
gint64 wb_core_call_since (const WbCore *core, WbParty party)
    WB_REQUIRES (wb_locked);
/* The call that has been under way for the longest; `stall` may be NULL. */
void wb_core_find_stall (const WbCore *core, WbStall *stall)
    WB_REQUIRES (wb_locked);

/* --- errors and life -------------------------------------------------------- */

/* The first error stays; sync_file_range and fsync report one only once. But a
 * seek that was refused has lost nothing: what is lost after it counts. */
void wb_core_latch (WbCore *core, WbErrorKind kind, int code, const char *call,
    guint64 offset) WB_REQUIRES (wb_locked);
/* What the latched error is about, if it was a requirement of space. */
void wb_core_latch_wanted (WbCore *core, guint64 wanted, guint64 free)
    WB_REQUIRES (wb_locked);
const WbError *wb_core_error (const WbCore *core) WB_REQUIRES (wb_locked);
gboolean wb_core_has_error (const WbCore *core) WB_REQUIRES (wb_locked);
/* Whether what is queued can no longer be written. A seek that was refused
 * takes nothing from what came before it. */
gboolean wb_core_is_broken (const WbCore *core) WB_REQUIRES (wb_locked);
/* A sync failed: none is asked for again, it might say 0. */
void wb_core_note_sync_failed (WbCore *core) WB_REQUIRES (wb_locked);
gboolean wb_core_sync_failed (const WbCore *core) WB_REQUIRES (wb_locked);

/* The caller has given up: who comes back from a call makes no other. Wakes all
 * threads. */
void wb_core_abandon (WbCore *core) WB_REQUIRES (wb_locked);
gboolean wb_core_is_abandoned (const WbCore *core) WB_REQUIRES (wb_locked);

/* --- the bounds --------------------------------------------------------------- */

const WbBounds *wb_core_bounds (const WbCore *core) WB_REQUIRES (wb_locked);
void wb_core_set_bounds (WbCore *core, const WbBounds *bounds)
    WB_REQUIRES (wb_locked);

/* --- the listener ------------------------------------------------------------- */

void wb_core_raise (WbCore *core, WbEvents events) WB_REQUIRES (wb_locked);
WbEvents wb_core_take_events (WbCore *core) WB_REQUIRES (wb_locked);
/* Tells the listener that there is news. Unlocks for it. */
void wb_core_notify (WbCore *core) WB_REQUIRES (wb_locked);

/* Whether anybody reads what is said at this level. */
gboolean wb_core_is_said (const WbCore *core, WbLogLevel level);
/* To the log, without the lock: the listener may write to a terminal. */
void wb_core_say_from (const WbCore *core, WbLogLevel level, const char *source,
    const char *function, int line, const char *format, ...)
    G_GNUC_PRINTF (6, 7) WB_EXCLUDES (wb_locked);
#define wb_core_say(core, level, ...)                                          \
  wb_core_say_from (core, level, __FILE__, G_STRFUNC, __LINE__, __VA_ARGS__)
/* The same where the file is locked: unlocks for it. */
#define wb_core_say_locked(core, level, ...)                                   \
  G_STMT_START                                                                 \
  {                                                                            \
    if (wb_core_is_said (core, level)) {                                       \
      wb_core_unlock (core);                                                   \
      wb_core_say (core, level, __VA_ARGS__);                                  \
      wb_core_lock (core);                                                     \
    }                                                                          \
  }                                                                            \
  G_STMT_END

G_END_DECLS
