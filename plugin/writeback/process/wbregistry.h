/* wbfilesink: files whose threads were left behind
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A write that is still under way in a thread that was left behind would land in
 * whatever is opened on the same file. So such files are listed here until their
 * threads are gone, and who opens asks first.
 *
 * One list in the process. All functions may be called on any thread; none
 * makes a system call.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Which file it is, whatever it is called. */
typedef struct
{
  guint64 device;
  guint64 inode;
} WbIdentity;

gboolean wb_identity_equal (const WbIdentity *one, const WbIdentity *other);

typedef enum
{
  WB_REGISTRY_FREE,
  WB_REGISTRY_PERHAPS, /* one of this name was left behind; it may be another by
                          now */
  WB_REGISTRY_BUSY
} WbBusiness;

typedef struct _WbRegistryEntry WbRegistryEntry;

/* Both are copied. `identity` is NULL of a file that hangs in its open, or before
 * it: only the name is known. The entry is for wb_registry_remove(). */
WbRegistryEntry *wb_registry_add (
    const char *location, const WbIdentity *identity);
/* Takes the entry; NULL is none. */
void wb_registry_remove (WbRegistryEntry *entry);
gboolean wb_registry_is_empty (void);
/* `identity` is what the name leads to, or NULL if that is not known. */
WbBusiness wb_registry_look_up (
    const char *location, const WbIdentity *identity);

G_END_DECLS
