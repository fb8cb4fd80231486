/* A function comes back with the lock that it was entered without.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "file/wbcore.h"

void wrong (WbCore *core) WB_EXCLUDES (wb_locked);

void
wrong (WbCore *core)
{
  wb_core_lock (core);
#ifndef WRONG
  wb_core_unlock (core);
#endif
}
