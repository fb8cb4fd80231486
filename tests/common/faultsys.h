/* A table of system calls that fails, shortens or hangs the Nth call of a kind,
 * and counts them all.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One plan a process. pthread locks, so that a race checker understands them.
 */
#pragma once

#include "wbsys.h"

G_BEGIN_DECLS

typedef enum
{
  FAULT_OPEN,
  FAULT_FSTAT,
  FAULT_WRITE,
  FAULT_START,
  FAULT_WAIT,
  FAULT_DROP,
  FAULT_RESERVE,
  FAULT_TRUNCATE,
  FAULT_SYNC,
  FAULT_SYNC_DATA,
  FAULT_SYNC_DIRECTORY,
  FAULT_CLOSE,
  FAULT_CALLS
} FaultCall;

/* Forgets the plan and the counts. Nothing may be hanging. */
void fault_reset (void);
/* The calls number `nth` (from 1) to nth + times - 1 of this kind fail. */
void fault_fail (FaultCall call, guint nth, guint times, int code);
/* The call number `nth` hangs until fault_release(), and then goes through. */
void fault_hang (FaultCall call, guint nth);
/* ... for `us` microseconds. */
void fault_delay (FaultCall call, guint nth, guint us);
/* No write takes more than this; 0: no limit. */
void fault_shorten_writes (gsize most);
/* Every write says EINTR, then EAGAIN, then goes through. */
void fault_interrupt_writes (gboolean interrupt);
void fault_release (void);

guint fault_count (FaultCall call);
/* TRUE if the planned failure or hang was reached. */
gboolean fault_was_hit (void);
/* Waits until a call hangs. FALSE after ten seconds. */
gboolean fault_wait_hanging (void);
/* Opened and not closed yet. */
int fault_open_descriptors (void);
const char *fault_name (FaultCall call);

const WbSys *fault_sys (void);

G_END_DECLS
