/* wbfilesink: how large the window and the queue may be
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Problem: the bounds are given in bytes and in the disk's time, what the disk
 * does is measured while it is used, and several files may share it. Strategy:
 * pure arithmetic. Whoever keeps the meters asks again each time something has
 * moved; a bound in disk time that falls does so step by step. No descriptor, no
 * clock, no lock.
 */
#pragma once

#include "policy/wbmeter.h"

G_BEGIN_DECLS

/* What may change while a file is open. Times in microseconds, -1: for ever. */
typedef struct
{
  guint64 chunk_size;
  guint64 max_dirty_bytes;  /* 0: no bound */
  gint64 max_dirty_time_us; /* 0: no bound */
  guint64 max_queued_bytes;
  gint64 sync_timeout_us;
  gint64 writeback_timeout_us;
  gint64 sync_interval_us; /* 0: none */
  gboolean unhurried; /* nothing live waits for a push: it may be held longer */
} WbBounds;

/* What makes the window as large as it is. */
typedef enum
{
  WB_WINDOW_BYTES,
  WB_WINDOW_TIME,
  WB_WINDOW_INTERVAL,
  WB_WINDOW_UNKNOWN, /* the first second */
  WB_WINDOW_FLOOR,
  WB_WINDOW_SHARE,
  WB_WINDOW_PIECES, /* what a disk that seeks can afford */
  WB_WINDOW_FAST
} WbWindowReason;

/* All in bytes. */
typedef struct
{
  guint64
      time; /* what max-dirty-time allows now: the state of a bound that falls
                   step by step; 0 at first */
  guint64 size;
  guint64 most; /* without the bound that is there for a fast disk's pace */
  guint64 chunk_size;
  guint64 start_step; /* 0: no rate is known */
  guint64 cut_unit;   /* what chunks end on multiples of; 0: of a batch */
  WbWindowReason reason;
} WbWindow;

/* What is known of the disk and of the others on it. */
typedef struct
{
  const WbMeter *drain; /* of this file, */
  const WbMeter *disk;  /* and of all files on the disk meanwhile */
  gboolean by_sync;     /* drained by syncs */
  gboolean is_read;     /* it is read from meanwhile */
  guint64 share;        /* of the device's bound, bytes; G_MAXUINT64: alone */
  guint sharing;     /* files with dirty bytes on the disk, this one included */
  guint64 fast_part; /* of wb_limits_fast_window(); ignored on a disk that is
                           not fast */
} WbDiskView;

/* Whether a quarter of the window keeps the disk as busy. A file system that is
 * drained by syncs is not fast: each waits for the journal. */
gboolean wb_limits_is_fast (const WbMeter *disk, gboolean by_sync);
/* What all files on a fast disk may have dirty together, bytes. */
guint64 wb_limits_fast_window (const WbBounds *bounds);
/* `retired` bytes have just become clean. */
void wb_limits_window (WbWindow *window, const WbBounds *bounds,
    const WbDiskView *view, guint64 retired);
const char *wb_window_reason_name (WbWindowReason reason);

/* All in bytes. */
typedef struct
{
  guint64 time;  /* as in WbWindow */
  guint64 bound; /* of the queue */
  guint64 most;  /* the same while nothing moves */
} WbQueueLimit;

/* The queue never holds more than the disk time the window may hold either: a
 * target that takes its bytes in write() itself (FUSE, a pipe) has no dirty
 * bytes to measure, so both rates count. `drain` is NULL where no write-out is
 * controlled; `written` bytes have just been taken by the target. */
void wb_limits_queue (WbQueueLimit *queue, const WbBounds *bounds,
    const WbMeter *write, const WbMeter *drain, guint64 written);

/* How much room is worth waking a caller for who waits for it, on a disk that does
 * `rate` bytes a second. */
guint64 wb_limits_wake (const WbQueueLimit *queue, guint64 rate);
/* How many batches one write may hold where no write-out is controlled. */
guint64 wb_limits_batches (
    const WbQueueLimit *queue, const WbMeter *write, guint64 batch);
/* How many bytes are worth a write while the stream goes on, where `wake` are when it
 * does not. */
guint64 wb_limits_lively_goal (
    const WbQueueLimit *queue, guint64 wake, guint64 batches, guint64 batch);

G_END_DECLS
