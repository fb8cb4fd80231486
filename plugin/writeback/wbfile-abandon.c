/* wbfilesink: one output file: files whose threads were left behind
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "wbfile-private.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Files whose threads were left behind in a call, in this process. A write of
 * theirs that is still under way would land in whatever is opened on the same
 * file, so that is refused as busy until they are gone. */
static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static GSList *registry;

static void
registry_add (WbFile *file)
{
  pthread_mutex_lock (&registry_lock);
  registry = g_slist_prepend (registry, file);
  file->listed = TRUE;
  pthread_mutex_unlock (&registry_lock);
}

void
wbf_registry_remove (WbFile *file)
{
  pthread_mutex_lock (&registry_lock);
  if (file->listed)
    registry = g_slist_remove (registry, file);
  file->listed = FALSE;
  pthread_mutex_unlock (&registry_lock);
}

/* By name, and by what the name leads to if `status` tells it. Of a file that
 * hangs in its open only the name is known. Locked. */
static gboolean
registry_has (const char *location, const struct stat *status)
{
  for (GSList *link = registry; link != NULL; link = link->next) {
    const WbFile *file = link->data;

    if (strcmp (file->location, location) == 0)
      return TRUE;
    if (status != NULL && file->identified && file->device == status->st_dev
        && file->inode == status->st_ino)
      return TRUE;
  }
  return FALSE;
}

/* Before the open, which may truncate. On the I/O thread, locked; unlocks. The
 * name comes first: it is known at once, where stat() may hang on the same
 * storage. */
gboolean
wbf_registry_is_busy (WbFile *file)
{
  struct stat status;
  gboolean exists, busy, empty;

  pthread_mutex_lock (&registry_lock);
  empty = registry == NULL;
  busy = registry_has (file->location, NULL);
  pthread_mutex_unlock (&registry_lock);
  if (empty || busy)
    return busy;

  wbf_enter (file, &file->io_call, "stat", 0);
  exists = file->sys->stat (file->location, &status) == 0;
  wbf_leave (file, &file->io_call);
  pthread_mutex_lock (&registry_lock);
  busy = registry_has (file->location, exists ? &status : NULL);
  pthread_mutex_unlock (&registry_lock);
  return busy;
}

/* Leaves the threads behind. What they do not hold is released here and now. */
void
wbf_abandon (WbFile *file)
{
  GArray *owners = g_array_new (FALSE, FALSE, sizeof (WbOwner));
  WbStall stall;

  file->abandoned = TRUE;
  wbf_update_share (file);
  registry_add (file);
  wb_queue_clear (&file->queue, owners);
  file->queued = 0;
  pthread_cond_broadcast (&file->io_cond);
  pthread_cond_broadcast (&file->retire_cond);
  pthread_cond_broadcast (&file->sync_cond);
#ifndef G_OS_WIN32
  if (file->wake_fds[1] >= 0 && write (file->wake_fds[1], "", 1) < 0)
    (void) errno;
#endif
  wbf_find_stall (file, &stall);
  wbf_unlock (file);
  wbf_say (file, WB_LOG_INFO, "left behind in %s",
      stall.call != NULL ? stall.call : "a wait");
  wb_owners_release (owners);
  g_array_free (owners, TRUE);
  wbf_lock (file);
}
