/* wbfilesink: waking a thread that waits for a descriptor
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A reader who stops reading must not hold a thread that is told to go: beside
 * the target it waits for the waker. Once woken it stays so.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct
{
  int fds[2]; /* -1: there is none */
} WbWaker;

/* There is none yet. */
void wb_waker_init (WbWaker *waker);
/* FALSE, and none, if there are no descriptors left. */
gboolean wb_waker_open (WbWaker *waker);
/* May be called when there is none. */
void wb_waker_close (WbWaker *waker);
/* Any thread. Does not block. */
void wb_waker_wake (WbWaker *waker);
/* What to wait for beside the target, or -1. */
int wb_waker_fd (const WbWaker *waker);

G_END_DECLS
