/* The log, which may be the application's code, is spoken to under the lock.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "file/wbcore.h"

void wrong (WbCore *core) WB_REQUIRES (wb_locked);

void
wrong (WbCore *core)
{
#ifdef WRONG
  wb_core_say (core, WB_LOG_INFO, "%s", "locked");
#else
  wb_core_say_locked (core, WB_LOG_INFO, "%s", "unlocked");
#endif
}
