/* wbfilesink: one output file: the core
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Layout: life; the lock and waits on it; calls; errors; bounds; the listener.
 */
#include "file/wbcore.h"

#include "system/wbcode.h"
#include "system/wbthread.h"

#include <stdarg.h>
#include <string.h>

/* A wait with a deadline is cut into so many slices, of at least and at most this
 * length: they find out whether the process ran. */
#define SLICES 8
#define SLICE_MIN_US (20 * 1000)
#define SLICE_MAX_US G_USEC_PER_SEC

/* A call that one of the threads is in. */
typedef struct
{
  const char *name; /* NULL: none */
  guint64 offset;
  gint64 since_us;
} Call;

/* What was watched of a wait. */
typedef struct
{
  gint64 since_us; /* which wait it is */
  gint64 us;
} Watch;

struct _WbCore
{
  WbLock lock;
  WbListener listener; /* constant */
  WbCond conditions[WB_PARTIES];

  WbBounds bounds WB_GUARDED_BY (wb_locked);
  gboolean abandoned WB_GUARDED_BY (wb_locked);
  guint interrupts WB_GUARDED_BY (wb_locked); /* not yet taken back */
  guint callers_waiting WB_GUARDED_BY (wb_locked);

  Watch watches[WB_PARTIES] WB_GUARDED_BY (wb_locked);
  Call calls[WB_THREADS] WB_GUARDED_BY (wb_locked);
  gint64 paused_us WB_GUARDED_BY (wb_locked); /* this process did not run, */
  gint64 paused_until_us WB_GUARDED_BY (wb_locked); /* last until then */
  gint64 last_progress_us WB_GUARDED_BY (wb_locked);
  guint64 progress WB_GUARDED_BY (wb_locked);
  /* + 1; 0: no wait has timed out */
  guint64 progress_given_up WB_GUARDED_BY (wb_locked);

  WbError error WB_GUARDED_BY (wb_locked);
  gboolean sync_failed WB_GUARDED_BY (wb_locked);
  WbEvents events WB_GUARDED_BY (wb_locked);
  WbEvents events_told WB_GUARDED_BY (wb_locked);
};

/* Unchecked: nobody else knows it yet. */
WB_UNCHECKED WbCore *
wb_core_new (const WbListener *listener, const WbBounds *bounds)
{
  WbCore *core = g_new0 (WbCore, 1);

  core->listener = *listener;
  core->bounds = *bounds;
  core->last_progress_us = g_get_monotonic_time ();
  wb_lock_init (&core->lock);
  for (guint i = 0; i < WB_PARTIES; i++)
    wb_cond_init (&core->conditions[i]);
  return core;
}

void
wb_core_free (WbCore *core)
{
  if (core->listener.release != NULL)
    core->listener.release (core->listener.data);
  wb_lock_clear (&core->lock);
  for (guint i = 0; i < WB_PARTIES; i++)
    wb_cond_clear (&core->conditions[i]);
  g_free (core);
}

/* --- the lock and waits on it ---------------------------------------------- */

/* Unchecked: the one place where the lock and its capability meet. */
WB_UNCHECKED void
wb_core_lock (WbCore *core)
{
  wb_lock_acquire (&core->lock);
}

/* Unchecked: as above. */
WB_UNCHECKED void
wb_core_unlock (WbCore *core)
{
  wb_lock_release (&core->lock);
}

/* Unchecked: as above. */
WB_UNCHECKED gboolean
wb_core_lock_if_calm (WbCore *core)
{
  wb_lock_acquire (&core->lock);
  return core->error.kind == WB_ERROR_NONE
      && core->calls[WB_SYNCER].name == NULL;
}

void
wb_core_wake (WbCore *core, WbParty party)
{
  if (party != WB_CALLERS)
    wb_cond_signal (&core->conditions[party]);
  else if (core->callers_waiting > 0)
    wb_cond_broadcast (&core->conditions[party]);
}

gboolean
wb_core_wait (WbCore *core, WbParty party, gint64 deadline_us)
{
  gboolean in_time;

  if (party == WB_CALLERS)
    core->callers_waiting++;
  in_time =
      wb_cond_wait_until (&core->conditions[party], &core->lock, deadline_us);
  if (party == WB_CALLERS)
    core->callers_waiting--;
  return in_time;
}

gint64
wb_core_now (const WbCore *core)
{
  return g_get_monotonic_time () - core->paused_us;
}

/* What a slice takes for more than twice its length is time in which this process
 * did not run. Returns whether it was woken; `*watched_us` grows by the time in
 * which it did. */
static gboolean
wait_slice (WbCore *core, WbParty party, gint64 us, gint64 *watched_us)
    WB_REQUIRES (wb_locked)
{
  gint64 began = g_get_monotonic_time (), due = began + us, now;
  gboolean in_time = wb_core_wait (core, party, due);

  now = g_get_monotonic_time ();
  if (now - due <= us) {
    *watched_us += now - began;
    return in_time;
  }
  /* Others who wait find out as well: it counts once. */
  core->paused_us += now - MAX (due, core->paused_until_us);
  core->paused_until_us = now;
  return in_time;
}

/* A process that was stopped (SIGSTOP, a freezer, a debugger) goes on as if nothing
 * had been, while the clock has moved. So a wait with a deadline is cut into slices,
 * and only what was watched counts: also a stop between two waits for the same thing
 * is no hang. */
gboolean
wb_core_wait_timed (
    WbCore *core, WbParty party, gint64 since_us, gint64 patience_us)
{
  Watch *watch = &core->watches[party];
  gint64 slice = CLAMP (patience_us / SLICES, SLICE_MIN_US, SLICE_MAX_US);
  guint64 progress = core->progress;

  if (wb_deadline_after (since_us, patience_us) < 0)
    return wb_core_wait (core, party, -1);
  if (watch->since_us != since_us)
    watch->us = 0;
  watch->since_us = since_us;
  while (watch->us < patience_us)
    if (wait_slice (
            core, party, MIN (patience_us - watch->us, slice), &watch->us)
        || core->progress != progress)
      return TRUE;
  return FALSE;
}

gint64
wb_deadline_after (gint64 start_us, gint64 timeout_us)
{
  if (timeout_us < 0 || timeout_us > G_MAXINT64 - start_us)
    return -1;
  return start_us + timeout_us;
}

gboolean
wb_core_wait_for_progress (WbCore *core, gint64 start_us, gint64 patience_us)
{
  gint64 since = MAX (start_us, core->last_progress_us);
  gboolean in_time = wb_core_wait_timed (core, WB_CALLERS, since, patience_us);

  return in_time || MAX (start_us, core->last_progress_us) != since;
}

gboolean
wb_core_wait_or_give_up (WbCore *core, gint64 start_us, WbStall *stall)
{
  if (core->progress_given_up != core->progress + 1
      && wb_core_wait_for_progress (
          core, start_us, core->bounds.sync_timeout_us))
    return TRUE;
  core->progress_given_up = core->progress + 1;
  wb_core_find_stall (core, stall);
  return FALSE;
}

guint64
wb_core_progress (const WbCore *core)
{
  return core->progress;
}

gint64
wb_core_last_progress (const WbCore *core)
{
  return core->last_progress_us;
}

void
wb_core_interrupt (WbCore *core, gboolean interrupt)
{
  if (interrupt)
    core->interrupts++;
  else if (core->interrupts > 0)
    core->interrupts--;
  if (interrupt)
    wb_core_wake (core, WB_CALLERS);
}

gboolean
wb_core_is_interrupted (const WbCore *core)
{
  return core->interrupts > 0;
}

/* --- calls ------------------------------------------------------------------ */

void
wb_core_enter (WbCore *core, WbParty party, const char *name, guint64 offset)
{
  Call *call = &core->calls[party];

  call->name = name;
  call->offset = offset;
  call->since_us = wb_core_now (core);
  wb_core_unlock (core);
}

gint64
wb_core_leave (WbCore *core, WbParty party)
{
  gint64 now = g_get_monotonic_time ();
  gint64 took;

  wb_core_lock (core);
  now -= core->paused_us;
  took = MAX (now - core->calls[party].since_us, 0);
  core->calls[party].name = NULL;
  core->progress++;
  core->last_progress_us = now;
  return took;
}

gint64
wb_core_leave_idle (WbCore *core, WbParty party)
{
  wb_core_lock (core);
  core->calls[party].name = NULL;
  return wb_core_now (core) - core->calls[party].since_us;
}

const char *
wb_core_call (const WbCore *core, WbParty party)
{
  return core->calls[party].name;
}

gint64
wb_core_call_since (const WbCore *core, WbParty party)
{
  return core->calls[party].since_us;
}

void
wb_core_find_stall (const WbCore *core, WbStall *stall)
{
  const Call *longest = NULL;

  if (stall == NULL)
    return;
  memset (stall, 0, sizeof *stall);
  for (guint i = 0; i < WB_THREADS; i++) {
    const Call *call = &core->calls[i];

    if (call->name != NULL
        && (longest == NULL || call->since_us < longest->since_us))
      longest = call;
  }
  if (longest == NULL)
    return;
  stall->call = longest->name;
  stall->offset = longest->offset;
  stall->waited_us = wb_core_now (core) - longest->since_us;
}

/* --- errors and life -------------------------------------------------------- */

void
wb_core_latch (
    WbCore *core, WbErrorKind kind, int code, const char *call, guint64 offset)
{
  if (wb_core_is_broken (core)
      || (kind == WB_ERROR_SEEK && core->error.kind == WB_ERROR_SEEK))
    return;
  /* An open and a rename say so themselves. */
  core->error.kind = wb_code_is_no_space (code) && kind != WB_ERROR_OPEN
          && kind != WB_ERROR_RENAME
      ? WB_ERROR_NO_SPACE
      : kind;
  core->error.code = code;
  core->error.call = call;
  core->error.offset = offset;
  core->events |= WB_EVENT_ERROR;
  wb_core_wake (core, WB_IO);
  wb_core_wake (core, WB_CALLERS);
}

void
wb_core_latch_wanted (WbCore *core, guint64 wanted, guint64 free)
{
  core->error.wanted = wanted;
  core->error.free = free;
}

const WbError *
wb_core_error (const WbCore *core)
{
  return &core->error;
}

gboolean
wb_core_has_error (const WbCore *core)
{
  return core->error.kind != WB_ERROR_NONE;
}

gboolean
wb_core_is_broken (const WbCore *core)
{
  return core->error.kind != WB_ERROR_NONE && core->error.kind != WB_ERROR_SEEK;
}

void
wb_core_note_sync_failed (WbCore *core)
{
  core->sync_failed = TRUE;
}

gboolean
wb_core_sync_failed (const WbCore *core)
{
  return core->sync_failed;
}

void
wb_core_abandon (WbCore *core)
{
  core->abandoned = TRUE;
  for (guint i = 0; i < WB_THREADS; i++)
    wb_cond_broadcast (&core->conditions[i]);
}

gboolean
wb_core_is_abandoned (const WbCore *core)
{
  return core->abandoned;
}

/* --- the bounds --------------------------------------------------------------- */

const WbBounds *
wb_core_bounds (const WbCore *core)
{
  return &core->bounds;
}

void
wb_core_set_bounds (WbCore *core, const WbBounds *bounds)
{
  core->bounds = *bounds;
}

/* --- the listener ------------------------------------------------------------- */

void
wb_core_raise (WbCore *core, WbEvents events)
{
  core->events |= events;
}

WbEvents
wb_core_take_events (WbCore *core)
{
  WbEvents events = core->events;

  core->events = core->events_told = 0;
  return events;
}

void
wb_core_notify (WbCore *core)
{
  if ((core->events & ~core->events_told) == 0 || core->abandoned
      || core->listener.notify == NULL)
    return;
  core->events_told = core->events;
  wb_core_unlock (core);
  core->listener.notify (core->listener.data);
  wb_core_lock (core);
}

gboolean
wb_core_is_said (const WbCore *core, WbLogLevel level)
{
  return core->listener.log != NULL && level <= core->listener.log_level;
}

void
wb_core_say_from (const WbCore *core, WbLogLevel level, const char *source,
    const char *function, int line, const char *format, ...)
{
  g_autofree char *message = NULL;
  va_list arguments;

  if (!wb_core_is_said (core, level))
    return;
  va_start (arguments, format);
  message = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  core->listener.log (
      core->listener.data, level, source, function, line, message);
}
