/* wbfilesink: the queue
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the stream has handed over and the I/O thread has not written yet, in
 * order. Small pieces are copied into staging blocks, and pieces that follow
 * each other in the file become one item; large ones are held by reference.
 * Not thread-safe: the caller holds one lock around every call. Nothing here
 * runs a release function; what is done with is handed back to be released
 * without the lock.
 */
#pragma once

#include "policy/wbvector.h"

G_BEGIN_DECLS

#define WB_BLOCK_SIZE (256 * 1024)
/* Staging blocks kept for reuse by one file while it is quiet. */
#define WB_SPARE_BLOCKS 4
/* One write gathers at most this many pieces, which is Linux's own bound
 * (IOV_MAX; a batch of 1 MiB of the smallest that are held: 512). */
#define WB_BATCH_VECTORS 1024

typedef struct _WbBlock WbBlock;

typedef struct
{
  guint64 offset; /* in the file */
  const guint8 *data;
  gsize size;          /* bytes; 0: a sync */
  gboolean ends_write; /* nothing is joined to what follows it */
  guint64 token;       /* of a sync, with its kind: the caller's */
  guint kind;
  WbBlock *block; /* staged, or */
  gpointer owner; /* held until `release` */
  GDestroyNotify release;
} WbItem;

typedef struct
{
  WbItem *items; /* ring, a power of two */
  guint capacity, first, n;
  WbBlock *tail; /* the block being filled */
  WbBlock *spare;
  guint n_spare;
} WbQueue;

/* A run of the queue's head that lies together in the file. */
typedef struct
{
  WbItem items[WB_BATCH_VECTORS];
  WbVector vectors[WB_BATCH_VECTORS];
  guint n;
  guint64 offset;
  gsize bytes; /* what the vectors hold: the last item may be
                                   longer */
} WbBatchRun;

/* Owners to be released without the lock. */
typedef struct
{
  gpointer owner;
  GDestroyNotify release;
} WbOwner;

void wb_queue_clear (WbQueue *queue, GArray *owners);
gboolean wb_queue_is_empty (const WbQueue *queue);

/* Frees one staging block, if there are more than a quiet file needs: to be
 * called whenever the queue has run empty. While it does not, all are kept, for
 * the allocator would give them back to the system and fault them in again. */
void wb_queue_give_back (WbQueue *queue);

void wb_queue_copy (
    WbQueue *queue, guint64 offset, const guint8 *data, gsize size);
void wb_queue_hold (WbQueue *queue, guint64 offset, const guint8 *data,
    gsize size, gpointer owner, GDestroyNotify release);
/* Copying a large piece without the caller's lock: a block of WB_BLOCK_SIZE bytes to
 * be filled, and then added in its place. */
WbBlock *wb_queue_stage (WbQueue *queue);
void *wb_block_data (WbBlock *block);
void wb_queue_add_block (WbQueue *queue, guint64 offset, WbBlock *block);
/* What was added last is not joined with what comes. */
void wb_queue_end_write (WbQueue *queue);
void wb_queue_sync (WbQueue *queue, guint64 token, guint kind);

const WbItem *wb_queue_peek (const WbQueue *queue);
/* The newest item, or NULL. */
const WbItem *wb_queue_last (const WbQueue *queue);
WbItem wb_queue_pop_sync (WbQueue *queue);
/* Takes the run at the head (which is not a sync), at most `most` bytes. */
void wb_queue_take (WbQueue *queue, WbBatchRun *run, gsize most);
/* The same, but no piece is cut: of the first all of it, and as many as fit after
 * it. */
void wb_queue_take_whole (WbQueue *queue, WbBatchRun *run, gsize most);
/* All of the run's items, of the last also what the vectors leave out. */
gsize wb_batch_run_size (const WbBatchRun *run);
/* `written` bytes of the run are done with; the rest goes back to the head, or,
 * with `discard`, nowhere. */
void wb_queue_finish (WbQueue *queue, WbBatchRun *run, gsize written,
    gboolean discard, GArray *owners);

/* Runs the release functions and empties the array. */
void wb_owners_release (GArray *owners);

G_END_DECLS
