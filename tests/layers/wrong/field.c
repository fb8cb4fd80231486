/* A field is touched without the lock.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "file/wbcore.h"

typedef struct
{
  WbCore *core;
  guint64 bytes WB_GUARDED_BY (wb_locked);
} Room;

guint64 wrong (Room *room);

guint64
wrong (Room *room)
{
  guint64 bytes;

#ifndef WRONG
  wb_core_lock (room->core);
#endif
  bytes = room->bytes;
#ifndef WRONG
  wb_core_unlock (room->core);
#endif
  return bytes;
}
