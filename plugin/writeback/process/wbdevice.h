/* wbfilesink: files that share a disk
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Sixteen recorders in one process must not keep sixteen windows dirty on one
 * disk. Each device (st_dev) has one bound, shared evenly among the files that
 * have dirty bytes on it: a file that is open and idle takes no share. The
 * share is an upper bound on a file's window beside its own; the planner grants
 * every file two batches whatever it says, so none starves. What all of them
 * drain is counted as well: how fast the disk is shows in no file alone.
 *
 * One object in the process, made with the first file and freed with the last;
 * no thread. All functions may be called on any thread.
 */
#pragma once

#include "policy/wbbudget.h"
#include "process/wbturns.h"

#include <sys/types.h>

G_BEGIN_DECLS

#define WB_DEVICE_DIRTY_BYTES WB_BUDGET_DIRTY
/* Another bound, in bytes, for every device of the process; read when a
 * device's first file is opened. */
#define WB_DEVICE_DIRTY_ENVIRONMENT "WBFILESINK_DEVICE_DIRTY_BYTES"

typedef struct _WbDevice WbDevice;

/* To be given back with wb_device_put(). */
WbDevice *wb_device_get (dev_t number);
void wb_device_put (WbDevice *device);

/* Who may have write-out in flight on it; as long as the device. */
WbTurns *wb_device_turns (WbDevice *device);
/* What all its files may have dirty together, bytes, and why so much. */
guint64 wb_device_budget (WbDevice *device, WbBudgetReason *reason);
/* How many of its files have dirty bytes. */
guint wb_device_active (WbDevice *device);

/* One more, or one less, of its files has dirty bytes. */
void wb_device_enter (WbDevice *device);
void wb_device_leave (WbDevice *device);
/* One of its files has `now` dirty bytes where it had `before`. */
void wb_device_count_dirty (WbDevice *device, guint64 before, guint64 now);
/* One of its files has retired `bytes`, 0: none. Returns what all of them have
 * since the first was opened: what a disk drains is told by how much this grows
 * while a file waits for it. */
guint64 wb_device_count_drained (WbDevice *device, guint64 bytes);
/* Whether `bytes` more fit the bound. Shares alone do not keep it: a file that
 * joins gets its share while the others still hold what they had. */
gboolean wb_device_has_room (WbDevice *device, guint64 bytes);
/* What one file with dirty bytes may keep dirty now, in bytes. */
guint64 wb_device_share (WbDevice *device);
/* What is one file's, of `bytes` for all files on the device together: an even
 * part, or the part of what drains that is its own, if that is more: `rate` of
 * `all_rate`, both in bytes a second and over the same time. So a file that has
 * the disk to itself is not held to the share of those that only trickle; with all
 * at full speed the two are the same. */
guint64 wb_device_part (
    WbDevice *device, guint64 bytes, guint64 rate, guint64 all_rate);

/* Looks, at most once a second, whether the disk is read from while its files are
 * written; not to be called under a lock. And what came of it: FALSE where nobody
 * can say. */
void wb_device_look_for_reads (WbDevice *device);
gboolean wb_device_is_read (WbDevice *device);

/* Reserving space one file at a time: two at once are given pieces of the same
 * free range in turn (four files of 256 MiB at once on ext4: 2 to 6 pieces each
 * without, 1 to 2 with). Waits for at most WB_DEVICE_TURN_US, because a call on
 * a disk may hang: FALSE means that it is somebody else's turn still, and that
 * nothing is to be given back. Not to be called under a lock. */
#define WB_DEVICE_TURN_US (100 * 1000)
gboolean wb_device_take_turn (WbDevice *device);
void wb_device_end_turn (WbDevice *device);

/* How many devices the process knows of: for tests. */
guint wb_device_count (void);

G_END_DECLS
