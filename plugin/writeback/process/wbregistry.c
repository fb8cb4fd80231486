/* wbfilesink: files whose threads were left behind
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "process/wbregistry.h"

#include "system/wbthread.h"

#include <string.h>

struct _WbRegistryEntry
{
  char *location;
  gboolean identified;
  WbIdentity identity;
};

static WbLock lock = WB_LOCK_INIT;
static GSList *entries;

gboolean
wb_identity_equal (const WbIdentity *one, const WbIdentity *other)
{
  return one->device == other->device && one->inode == other->inode;
}

WbRegistryEntry *
wb_registry_add (const char *location, const WbIdentity *identity)
{
  WbRegistryEntry *entry = g_new0 (WbRegistryEntry, 1);

  entry->location = g_strdup (location);
  entry->identified = identity != NULL;
  if (identity != NULL)
    entry->identity = *identity;
  wb_lock_acquire (&lock);
  entries = g_slist_prepend (entries, entry);
  wb_lock_release (&lock);
  return entry;
}

void
wb_registry_remove (WbRegistryEntry *entry)
{
  if (entry == NULL)
    return;
  wb_lock_acquire (&lock);
  entries = g_slist_remove (entries, entry);
  wb_lock_release (&lock);
  g_free (entry->location);
  g_free (entry);
}

gboolean
wb_registry_is_empty (void)
{
  gboolean empty;

  wb_lock_acquire (&lock);
  empty = entries == NULL;
  wb_lock_release (&lock);
  return empty;
}

WbBusiness
wb_registry_look_up (const char *location, const WbIdentity *identity)
{
  WbBusiness business = WB_REGISTRY_FREE;

  wb_lock_acquire (&lock);
  for (GSList *link = entries; link != NULL && business != WB_REGISTRY_BUSY;
       link = link->next) {
    const WbRegistryEntry *entry = link->data;

    if (entry->identified && identity != NULL
        && wb_identity_equal (&entry->identity, identity))
      business = WB_REGISTRY_BUSY;
    else if (strcmp (entry->location, location) == 0)
      business = entry->identified ? WB_REGISTRY_PERHAPS : WB_REGISTRY_BUSY;
  }
  wb_lock_release (&lock);
  return business;
}
