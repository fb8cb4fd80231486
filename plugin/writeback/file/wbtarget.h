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
 * file may have been abandoned. They return 0 or the errno. Those that reserve and
 * truncate repeat a call that says EINTR; one of a sync or of write-out is the
 * file system's word, since these threads are sent no signals.
 */
#pragma once

#include "file/wbask.h"
#include "file/wbcore.h"
#include "file/wbfacts.h"
#include "file/wbnaming.h"
#include "policy/wbplanner.h"
#include "process/wbdevice.h"

G_BEGIN_DECLS

typedef struct _WbTarget WbTarget;

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

/* Writes once, at an offset in the file (ignored for targets without positions);
 * while it is appended to, at the file's end, which `*offset` becomes: others may
 * append as well. Returns the bytes, or -errno; -EAGAIN: nothing was done, ask
 * again, which may have waited for a reader or for others. `*took_us` becomes the
 * time that the bytes took, such waits included. */
gssize wb_target_write (WbTarget *target, const WbVector *vectors, guint n,
    guint64 *offset, gint64 *took_us) WB_REQUIRES (wb_locked, wb_io_thread);
/* Whether writes go to the file's end, wherever it is. At first, if it was opened
 * so. */
gboolean wb_target_is_appending (const WbTarget *target)
    WB_REQUIRES (wb_io_thread);
int wb_target_set_appending (WbTarget *target, gboolean append)
    WB_REQUIRES (wb_locked, wb_io_thread);
/* The file's size, bytes. */
int wb_target_ask_size (WbTarget *target, guint64 *size)
    WB_REQUIRES (wb_locked, wb_io_thread);
/* fdatasync for WB_SYNC_DATA, fsync for the others; `high_water` is for those who
 * ask what hangs. */
WbVerdict wb_target_sync (WbTarget *target, WbParty party, WbSyncKind kind,
    guint64 high_water) WB_REQUIRES (wb_locked);
/* The name is durable when the directory is that was there at the start, and it
 * and the location still lead to this file. Else, or if the directory may not be
 * read, WB_RESULT_DATA, and a line tells why. That a directory cannot be synced is
 * a file system's manner, not a failure; a failure is latched. */
WbSyncResult wb_target_sync_parent (WbTarget *target, WbParty party)
    WB_REQUIRES (wb_locked);

/* The stream has ended and is as safe as was asked for: what was written as a part
 * gets its name. FALSE: that is latched, or the file was abandoned meanwhile. */
gboolean wb_target_take_name (WbTarget *target)
    WB_REQUIRES (wb_locked, wb_io_thread);
/* Whether it has: what has a name is whole, and is to stay so. */
gboolean wb_target_is_renamed (const WbTarget *target) WB_REQUIRES (wb_locked);
void wb_target_get_place (const WbTarget *target, WbPlace *place)
    WB_REQUIRES (wb_locked);

/* --- write-out ------------------------------------------------------------------ */

/* What a step is called in messages. */
const char *wb_target_step_name (const WbTarget *target, WbStepKind kind);
/* Makes the step; the retirer has unlocked and shown the call. */
WbVerdict wb_target_make_step (WbTarget *target, const WbStep *step)
    WB_REQUIRES (wb_retire_thread) WB_EXCLUDES (wb_locked);

/* --- space ---------------------------------------------------------------------- */

/* Reserves blocks; it is said to the log if it is refused. `*took_us` becomes the
 * call's own time. */
int wb_target_reserve (WbTarget *target, guint64 offset, guint64 length,
    gint64 *took_us) WB_REQUIRES (wb_locked, wb_io_thread);
int wb_target_truncate (WbTarget *target, guint64 size)
    WB_REQUIRES (wb_locked, wb_io_thread);
/* Gives back the blocks beyond its end: truncates it to the size it has, and
 * punches what is left; but not of a file that others may append to. A sandbox that allows
 * neither is no error. A thread that was left behind in one of the calls does not
 * make the next: the file may be another's by then. */
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
/* Whether its thread waits for a reader in the open of a FIFO. Then
 * wb_target_release_fifo(), without the lock and on a thread of its own, lets it
 * go: nothing is left behind there. */
gboolean wb_target_is_in_fifo (const WbTarget *target) WB_REQUIRES (wb_locked);
void wb_target_release_fifo (WbTarget *target) WB_EXCLUDES (wb_locked);
/* By the last thread that holds the descriptor, whichever it is: no number is
 * reused under a thread that is stuck, and no caller ever waits in close(), which
 * is an fsync on NFS. An error is latched. */
void wb_target_close (WbTarget *target, guint64 high_water)
    WB_REQUIRES (wb_locked);

G_END_DECLS
