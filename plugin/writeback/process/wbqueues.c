/* wbfilesink: the queues of all files together
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "process/wbqueues.h"

#include "policy/wbbudget.h"
#include "system/wbmemory.h"

static gint files; /* atomic */

/* A group's limit may change, but not so often that it is worth reading it with
 * each write. */
static guint64
memory (void)
{
  static gsize ready = 0;
  static guint64 size;

  if (g_once_init_enter (&ready)) {
    size = wb_memory_size ();
    g_once_init_leave (&ready, 1);
  }
  return size;
}

void
wb_queues_join (void)
{
  g_atomic_int_inc (&files);
}

void
wb_queues_leave (void)
{
  g_atomic_int_add (&files, -1);
}

guint64
wb_queues_share (void)
{
  return wb_budget_queue ((guint) g_atomic_int_get (&files), memory ());
}
