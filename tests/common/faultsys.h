/* A table of system calls that fails, shortens or hangs the Nth call of a kind,
 * and counts them all.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One plan a process: tests that run many plans at once fork. pthread locks, so
 * that a race checker understands them.
 */
#pragma once

#include "file/wbfile.h"

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
  FAULT_PUNCH,
  FAULT_FREE_SPACE,
  FAULT_BLOCKS_BEYOND,
  FAULT_SYNC,
  FAULT_SYNC_DATA,
  FAULT_SYNC_DIRECTORY,
  FAULT_CLOSE,
  FAULT_RENAME,     /* these are made for a part only */
  FAULT_RENAME_NEW, /* never over anything */
  FAULT_LINK,
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
/* One to three calls, each the Nth of its kind, fail with any number or take up to
 * `most_us`; writes may be short or interrupted. */
void fault_any (GRand *rand, guint most_us);
/* Whatever the disk under the test may be: space, write-out and syncs succeed
 * at once and reach nothing. Only what makes the file's content goes to the
 * system, so that a test can bound the time of what it does itself. */
void fault_ideal_disk (gboolean ideal);

guint fault_count (FaultCall call);
/* TRUE if the planned failure or hang was reached. */
gboolean fault_was_hit (void);
/* Waits until a call hangs. FALSE after ten seconds. */
gboolean fault_wait_hanging (void);
/* Since when a call hangs (monotonic, us), or 0. */
gint64 fault_hanging_since (void);
/* Opened and not closed yet. */
int fault_open_descriptors (void);
/* The writer's own threads in this process; 0 where the system does not say. */
guint fault_count_threads (void);
const char *fault_name (FaultCall call);
/* The number that this variable of the environment holds. */
guint64 fault_setting (const char *name, guint64 otherwise);

const WbSys *fault_sys (void);

/* Only to tell a hang from a busy machine. */
#define FAULT_PATIENCE_US (20 * G_USEC_PER_SEC)

/* A file to be written, in a folder of its own. */
typedef struct
{
  gchar *directory, *path;
} FaultFile;

/* Also forgets the plan and the counts. */
void fault_file_init (FaultFile *self);
/* Removes both. */
void fault_file_clear (FaultFile *self);
/* To write it through this table in pieces of this size: chunks of a MiB, four of
 * them dirty and one queued, and nothing times out. */
void fault_file_configure (
    const FaultFile *self, gsize piece, WbFileConfig *config);
/* One buffer of these bytes, which are copied. */
WbStatus fault_file_push (WbFile *file, const guint8 *bytes, gsize size);
/* A sync of everything so far; it has to come back. */
WbSyncResult fault_file_sync (WbFile *file, WbSyncKind kind, gboolean finish);

G_END_DECLS
