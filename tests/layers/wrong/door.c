/* The retirer enters a door of the I/O thread.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "file/wbwriter.h"

void wrong (WbWriter *writer) WB_REQUIRES (wb_locked, wb_retire_thread);

void
wrong (WbWriter *writer)
{
#ifdef WRONG
  wb_writer_write (writer);
#else
  (void) wb_writer_bytes_written (writer);
#endif
}
