/* wbfilesink: one output file: files whose threads were left behind
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "file/wbfile-private.h"

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

static gboolean
registry_is_empty (void)
{
  gboolean empty;

  pthread_mutex_lock (&registry_lock);
  empty = registry == NULL;
  pthread_mutex_unlock (&registry_lock);
  return empty;
}

typedef enum
{
  FREE,
  PERHAPS, /* a file of this name was left behind; it may be another by now */
  BUSY
} Business;

/* `status` is what the name leads to, if that is known. Of a file that hangs in
 * its open, or before it, only the name is known. */
static Business
look_up (const char *location, const struct stat *status)
{
  Business business = FREE;

  pthread_mutex_lock (&registry_lock);
  for (GSList *link = registry; link != NULL && business != BUSY;
       link = link->next) {
    const WbFile *file = link->data;
    gboolean named = strcmp (file->location, location) == 0;

    if (file->identified && status != NULL && file->device == status->st_dev
        && file->inode == status->st_ino)
      business = BUSY;
    else if (named)
      business = file->identified ? PERHAPS : BUSY;
  }
  pthread_mutex_unlock (&registry_lock);
  return business;
}

/* Before the open, which may truncate. On the I/O thread, locked; unlocks.
 * stat() may hang on the same storage: while it does, a file that may be busy is
 * taken for busy (see wb_file_open()), and the next one of the name at once. */
gboolean
wbf_registry_is_busy (WbFile *file)
{
  Business business = look_up (file->location, NULL);
  struct stat status;
  gboolean exists;

  if (business == BUSY || registry_is_empty ())
    return business == BUSY;
  file->perhaps_busy = business == PERHAPS;
  wbf_wake_callers (file);
  wbf_enter (file, &file->io_call, "stat", 0);
  exists = file->sys->stat (file->location, &status) == 0;
  wbf_leave (file, &file->io_call);
  file->perhaps_busy = FALSE;
  return look_up (file->location, exists ? &status : NULL) == BUSY;
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
