/* wbfilesink: one output file: the target
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The room that holds the descriptor, and the only one that uses the table of
 * system calls. What it finds out at open is constant after that and may be read
 * by any thread.
 *
 * Functions that take a party are entered with the file locked, unlock for the
 * call and show it as that thread's (wb_core_enter()); so after each of them the
 * file may have been abandoned. They return 0 or the errno, and repeat a call
 * that says EINTR.
 */
#pragma once

#include "file/wbcore.h"
#include "policy/wbplanner.h"
#include "process/wbdevice.h"

G_BEGIN_DECLS

typedef struct _WbTarget WbTarget;

typedef struct
{
  WbOpenMode mode;
  gboolean regular, block_device;
  gboolean seekable;    /* has positions */
  gboolean created;     /* there was no such file before */
  guint64 base;         /* where the stream begins in it, bytes */
  guint64 size_at_open; /* bytes */
  guint64 old_blocks;   /* bytes of blocks it had at open */

  gboolean control;           /* write-out is ours to control, */
  gboolean by_sync;           /* ... by fadvise and fdatasync */
  char mechanism[64];         /* what that and the file system are called */
  gboolean reserve_suits;     /* reserving space is worth it, */
  gboolean reserve_growth;    /* also with nothing known of the size */
  const char *reserve_reason; /* why not */
} WbTargetFacts;

WbTarget *wb_target_new (WbCore *core, const WbFileConfig *config);
void wb_target_free (WbTarget *target);

/* FALSE: the error is latched, or the file was abandoned meanwhile. */
gboolean wb_target_open (WbTarget *target)
    WB_REQUIRES (wb_locked, wb_io_thread);
const WbTargetFacts *wb_target_facts (const WbTarget *target);
/* The disk, with the others' files; NULL if no write-out is controlled. */
WbDevice *wb_target_device (const WbTarget *target);
/* While it is being opened: one of the name was left behind, and storage has not
 * yet said whether it is the same. */
gboolean wb_target_is_perhaps_busy (const WbTarget *target)
    WB_REQUIRES (wb_locked);

/* --- data --------------------------------------------------------------------- */

/* Writes once, at an offset in the file (ignored for targets without positions).
 * Returns the bytes, or -errno; -EINTR: nothing was done, ask again, which may
 * have waited for a reader or for others. `*took_us` becomes the time that the
 * bytes took, such waits included. */
gssize wb_target_write (WbTarget *target, const WbVector *vectors, guint n,
    guint64 offset, gint64 *took_us) WB_REQUIRES (wb_locked, wb_io_thread);
/* fdatasync for WB_SYNC_DATA, fsync for the others; `high_water` is for those who
 * ask what hangs. */
int wb_target_sync (WbTarget *target, WbParty party, WbSyncKind kind,
    guint64 high_water) WB_REQUIRES (wb_locked);
/* The name is durable when the directory is. Directories that cannot be synced
 * or opened are the file system's manner, not a failure; one that is no longer
 * there, or for which there is no descriptor left, leaves the name unknown. A
 * failure is latched. */
WbSyncResult wb_target_sync_parent (WbTarget *target, WbParty party)
    WB_REQUIRES (wb_locked);

/* --- write-out ------------------------------------------------------------------ */

/* What a step is called in messages. */
const char *wb_target_step_name (const WbTarget *target, WbStepKind kind);
/* Makes the step; the retirer has unlocked and shown the call. */
int wb_target_make_step (WbTarget *target, const WbStep *step)
    WB_REQUIRES (wb_retire_thread) WB_EXCLUDES (wb_locked);

/* --- space ---------------------------------------------------------------------- */

/* Reserves blocks; it is said to the log if it is refused. `*took_us` becomes the
 * call's own time. */
int wb_target_reserve (WbTarget *target, guint64 offset, guint64 length,
    gint64 *took_us) WB_REQUIRES (wb_locked, wb_io_thread);
int wb_target_truncate (WbTarget *target, guint64 size)
    WB_REQUIRES (wb_locked, wb_io_thread);
/* Gives back the blocks beyond its end: truncates it to the size it has, and
 * punches what is left. A thread that was left behind in one of the calls does
 * not make the next: the file may be another's by then. */
int wb_target_trim (WbTarget *target, guint64 high_water)
    WB_REQUIRES (wb_locked, wb_io_thread);
/* Bytes an ordinary user may still allocate; G_MAXUINT64: not known. */
guint64 wb_target_free_space (WbTarget *target)
    WB_REQUIRES (wb_locked, wb_io_thread);
/* Bytes of its blocks that another file has as well (reflinks). */
guint64 wb_target_shared_bytes (WbTarget *target)
    WB_REQUIRES (wb_locked, wb_io_thread);
/* Removes the file if it was created and is still what the name leads to. */
void wb_target_undo_creation (WbTarget *target)
    WB_REQUIRES (wb_locked, wb_io_thread);

/* --- the end ---------------------------------------------------------------------- */

/* Its threads are being left behind: nobody in this process opens the same file
 * until wb_target_close(), and a thread that waits for a reader comes back. */
void wb_target_leave_behind (WbTarget *target) WB_REQUIRES (wb_locked);
/* By the last thread that holds the descriptor, whichever it is: no number is
 * reused under a thread that is stuck, and no caller ever waits in close(), which
 * is an fsync on NFS. An error is latched. */
void wb_target_close (WbTarget *target, guint64 high_water)
    WB_REQUIRES (wb_locked);

G_END_DECLS
