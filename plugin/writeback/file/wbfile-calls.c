/* wbfilesink: one output file: what every part of it uses
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Layout: the lock and waits on it; calls, errors and logging.
 */
#include "file/wbfile-private.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

/* --- the file and its lock ------------------------------------------------ */

void
wbf_lock (WbFile *file)
{
  pthread_mutex_lock (&file->lock);
}

void
wbf_unlock (WbFile *file)
{
  pthread_mutex_unlock (&file->lock);
}

/* Waits until `deadline_us` of the monotonic clock, or for ever (-1). FALSE:
 * the time is over. */
gboolean
wbf_wait_until (WbFile *file, pthread_cond_t *cond, gint64 deadline_us)
{
  struct timespec deadline;

  if (deadline_us < 0)
    return pthread_cond_wait (cond, &file->lock) == 0;
  deadline.tv_sec = deadline_us / G_USEC_PER_SEC;
  deadline.tv_nsec = deadline_us % G_USEC_PER_SEC * 1000;
  return pthread_cond_timedwait (cond, &file->lock, &deadline) == 0;
}

/* now + timeout, where -1 is for ever. */
gint64
wbf_deadline_after (gint64 start_us, gint64 timeout_us)
{
  if (timeout_us < 0 || timeout_us > G_MAXINT64 - start_us)
    return -1;
  return start_us + timeout_us;
}

void
wbf_wake_callers (WbFile *file)
{
  if (file->callers_waiting > 0)
    pthread_cond_broadcast (&file->user_cond);
}
/* --- errors, calls and logging ------------------------------------------- */

gboolean
wbf_is_said (const WbFile *file, WbLogLevel level)
{
  return file->listener.log != NULL && level <= file->listener.log_level;
}

void
wbf_say_from (WbFile *file, WbLogLevel level, const char *source,
    const char *function, int line, const char *format, ...)
{
  g_autofree char *message = NULL;
  va_list arguments;

  if (!wbf_is_said (file, level))
    return;
  va_start (arguments, format);
  message = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  file->listener.log (
      file->listener.data, level, source, function, line, message);
}

/* Unlocks for a system call; leave() locks again. Whatever moves is progress:
 * every deadline counts from the last of it. */
void
wbf_enter (WbFile *file, Call *call, const char *name, guint64 offset)
{
  call->name = name;
  call->offset = offset;
  call->since_us = g_get_monotonic_time ();
  wbf_unlock (file);
}

gint64
wbf_leave (WbFile *file, Call *call)
{
  gint64 now = g_get_monotonic_time ();
  gint64 took;

  wbf_lock (file);
  took = now - call->since_us;
  call->name = NULL;
  file->progress++;
  file->last_progress_us = now;
  return took;
}

/* Which call has been under way for the longest. */
void
wbf_find_stall (WbFile *file, WbStall *stall)
{
  const Call *calls[] = { &file->io_call, &file->retire_call,
    &file->sync_call };
  const Call *longest = NULL;

  if (stall == NULL)
    return;
  memset (stall, 0, sizeof *stall);
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    if (calls[i]->name != NULL
        && (longest == NULL || calls[i]->since_us < longest->since_us))
      longest = calls[i];
  if (longest == NULL)
    return;
  stall->call = longest->name;
  stall->offset = longest->offset;
  stall->waited_us = g_get_monotonic_time () - longest->since_us;
}

/* The one place that says what a failed call means. Refusals of a hint lose
 * nothing; anything else that write-out control, a write, a sync or a close
 * reports is lost data. */
gboolean
wbf_is_refusal (int code)
{
  return code == ENOSYS || code == EINVAL || code == ESPIPE
      || code == EOPNOTSUPP || code == ENOTSUP;
}

gboolean
wbf_is_no_space (int code)
{
#ifdef EDQUOT
  if (code == EDQUOT)
    return TRUE;
#endif
  return code == ENOSPC;
}

/* The first error stays; sync_file_range and fsync report one only once. But a
 * seek that was refused has lost nothing: what is lost after it counts. */
void
wbf_latch (
    WbFile *file, WbErrorKind kind, int code, const char *call, guint64 offset)
{
  if (wbf_is_broken (file)
      || (kind == WB_ERROR_SEEK && file->error.kind == WB_ERROR_SEEK))
    return;
  file->error.kind = wbf_is_no_space (code) && kind != WB_ERROR_OPEN
      ? WB_ERROR_NO_SPACE
      : kind;
  file->error.code = code;
  file->error.call = call;
  file->error.offset = offset;
  file->events |= WB_EVENT_ERROR;
  pthread_cond_signal (&file->io_cond);
  wbf_wake_callers (file);
}

/* Whether what is queued can no longer be written. A seek that was refused
 * takes nothing from what came before it. */
gboolean
wbf_is_broken (const WbFile *file)
{
  return file->error.kind != WB_ERROR_NONE && file->error.kind != WB_ERROR_SEEK;
}

/* Tells the listener that there is news. Unlocks for it. */
void
wbf_notify (WbFile *file)
{
  if ((file->events & ~file->events_told) == 0 || file->abandoned
      || file->listener.notify == NULL)
    return;
  file->events_told = file->events;
  wbf_unlock (file);
  file->listener.notify (file->listener.data);
  wbf_lock (file);
}
