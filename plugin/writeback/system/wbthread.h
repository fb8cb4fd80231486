/* wbfilesink: threads, locks and conditions
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The few things of the system's threads that the writer needs, so that nothing
 * outside this folder names one. Deadlines are of the monotonic clock, in
 * microseconds, as g_get_monotonic_time() tells it; -1: for ever.
 */
#pragma once

#include <glib.h>
#include <pthread.h>

G_BEGIN_DECLS

typedef pthread_mutex_t WbLock;
typedef pthread_cond_t WbCond;

/* For a lock that lives as long as the process. */
#define WB_LOCK_INIT PTHREAD_MUTEX_INITIALIZER

void wb_lock_init (WbLock *lock);
void wb_lock_clear (WbLock *lock);
void wb_lock_acquire (WbLock *lock);
void wb_lock_release (WbLock *lock);

void wb_cond_init (WbCond *cond);
void wb_cond_clear (WbCond *cond);
/* Wakes one, or all, of those who wait. */
void wb_cond_signal (WbCond *cond);
void wb_cond_broadcast (WbCond *cond);
/* Lets go of the lock until it is woken, perhaps for nothing. FALSE: the time is
 * over. */
gboolean wb_cond_wait_until (WbCond *cond, WbLock *lock, gint64 deadline_us);

/* A thread that no signal of the application's reaches, to be joined or
 * unreferenced; NULL if there is none to be had. */
GThread *wb_thread_start (
    const char *name, GThreadFunc function, gpointer data);
/* This thread does nothing for so long. Not under a lock. */
void wb_thread_rest (gint64 us);

G_END_DECLS
