/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A target that takes what and when a test wants: section "FIFOs" of wbtest.h.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "wbtest.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

WbFifo *
wb_fifo_new (void)
{
  WbFifo *fifo = g_new0 (WbFifo, 1);

  fifo->path = wb_path ("fifo");
  fail_unless (mkfifo (fifo->path, 0600) == 0);
  fifo->fd = open (fifo->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  fail_unless (fifo->fd >= 0);
  fifo->bytes = g_byte_array_new ();

  return fifo;
}

void
wb_fifo_free (WbFifo *fifo)
{
  if (fifo->task != NULL)
    wb_fifo_finish (fifo);
  wb_fifo_hang_up (fifo);
  g_byte_array_unref (fifo->bytes);
  g_free (fifo->path);
  g_free (fifo);
}

static gpointer
read_func (gpointer data)
{
  WbFifo *fifo = data;
  guint8 *room = g_malloc (fifo->step);
  struct pollfd pollfd = { fifo->fd, POLLIN, 0 };
  ssize_t n;

  while (poll (&pollfd, 1, WB_PATIENCE * 1000) > 0) {
    n = read (fifo->fd, room, fifo->step);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
      continue;
    if (n <= 0)
      break;
    g_byte_array_append (fifo->bytes, room, n);
    if (fifo->pause > 0)
      g_usleep (fifo->pause);
  }
  g_free (room);

  return NULL;
}

void
wb_fifo_read (WbFifo *fifo, gsize step, gulong pause)
{
  fifo->step = step;
  fifo->pause = pause;
  fifo->task = wb_task_new (read_func, fifo);
}

void
wb_fifo_finish (WbFifo *fifo)
{
  wb_task_finish (g_steal_pointer (&fifo->task), "the FIFO's reader");
}

void
wb_fifo_hang_up (WbFifo *fifo)
{
  if (fifo->fd >= 0)
    close (fifo->fd);
  fifo->fd = -1;
}
