/* wbfilesink: waking a thread that waits for a descriptor
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "system/wbwaker.h"

#include <errno.h>

#ifndef G_OS_WIN32
#include <fcntl.h>
#include <glib-unix.h>
#include <unistd.h>
#endif

void
wb_waker_init (WbWaker *waker)
{
  waker->fds[0] = waker->fds[1] = -1;
}

#ifndef G_OS_WIN32

gboolean
wb_waker_open (WbWaker *waker)
{
  /* In one step where the system can: no child that is started meanwhile gets
   * them. */
  if (g_unix_open_pipe (waker->fds, FD_CLOEXEC, NULL))
    return TRUE;
  wb_waker_init (waker);
  return FALSE;
}

void
wb_waker_close (WbWaker *waker)
{
  for (int i = 0; i < 2; i++)
    if (waker->fds[i] >= 0)
      close (waker->fds[i]);
  wb_waker_init (waker);
}

void
wb_waker_wake (WbWaker *waker)
{
  if (waker->fds[1] >= 0 && write (waker->fds[1], "", 1) < 0)
    (void) errno;
}

#else

gboolean
wb_waker_open (WbWaker *waker)
{
  return FALSE;
}

void
wb_waker_close (WbWaker *waker)
{
}

void
wb_waker_wake (WbWaker *waker)
{
}

#endif

int
wb_waker_fd (const WbWaker *waker)
{
  return waker->fds[0];
}
