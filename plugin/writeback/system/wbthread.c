/* wbfilesink: threads, locks and conditions
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "system/wbthread.h"

#include <signal.h>
#include <time.h>

/* A file's lock is held for a microsecond, and a thread that sleeps for it costs
 * a switch of threads, 12 us: spinning comes first where the system has that.
 * 1316-byte buffers, the machine's own disk: 1750 switches a GB without, 780
 * with. */
void
wb_lock_init (WbLock *lock)
{
  pthread_mutexattr_t attributes;

  pthread_mutexattr_init (&attributes);
#ifdef PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP
  pthread_mutexattr_settype (&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
#endif
  pthread_mutex_init (lock, &attributes);
  pthread_mutexattr_destroy (&attributes);
}

void
wb_lock_clear (WbLock *lock)
{
  pthread_mutex_destroy (lock);
}

void
wb_lock_acquire (WbLock *lock)
{
  pthread_mutex_lock (lock);
}

void
wb_lock_release (WbLock *lock)
{
  pthread_mutex_unlock (lock);
}

void
wb_cond_init (WbCond *cond)
{
  pthread_condattr_t attributes;

  pthread_condattr_init (&attributes);
#ifndef __APPLE__
  pthread_condattr_setclock (&attributes, CLOCK_MONOTONIC);
#endif
  pthread_cond_init (cond, &attributes);
  pthread_condattr_destroy (&attributes);
}

void
wb_cond_clear (WbCond *cond)
{
  pthread_cond_destroy (cond);
}

void
wb_cond_signal (WbCond *cond)
{
  pthread_cond_signal (cond);
}

void
wb_cond_broadcast (WbCond *cond)
{
  pthread_cond_broadcast (cond);
}

gboolean
wb_cond_wait_until (WbCond *cond, WbLock *lock, gint64 deadline_us)
{
  struct timespec deadline;

  if (deadline_us < 0)
    return pthread_cond_wait (cond, lock) == 0;
  deadline.tv_sec = deadline_us / G_USEC_PER_SEC;
  deadline.tv_nsec = deadline_us % G_USEC_PER_SEC * 1000;
  return pthread_cond_timedwait (cond, lock, &deadline) == 0;
}

#ifndef G_OS_WIN32
/* All but those that a thread raises itself: an application's release functions
 * run on these threads, and what it has to catch a fault with shall work there. */
static void
fill_mask (sigset_t *mask)
{
  static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS };

  sigfillset (mask);
  for (guint i = 0; i < G_N_ELEMENTS (own); i++)
    sigdelset (mask, own[i]);
}
#endif

/* New threads inherit the mask: a signal meant for the application must not
 * end up in a system call of ours, SIGPIPE becomes EPIPE and SIGXFSZ EFBIG. */
GThread *
wb_thread_start (const char *name, GThreadFunc function, gpointer data)
{
  GThread *thread;
#ifndef G_OS_WIN32
  sigset_t mask, before;

  fill_mask (&mask);
  pthread_sigmask (SIG_SETMASK, &mask, &before);
#endif
  thread = g_thread_try_new (name, function, data, NULL);
#ifndef G_OS_WIN32
  pthread_sigmask (SIG_SETMASK, &before, NULL);
#endif
  return thread;
}

void
wb_thread_rest (gint64 us)
{
  g_usleep ((gulong) us);
}
