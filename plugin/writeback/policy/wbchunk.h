/* wbfilesink: chunks
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Problem: bytes whose write-out is decided together are started and retired in
 * many steps, late patches among them, and somebody wants to know when the
 * first and the last of them were. Strategy: a chunk is a number and two counts
 * of bytes, to start and to retire, not a list of ranges; bytes are started on
 * account of the oldest chunk that has some left.
 *
 * Owns the records of the chunks that are not retired yet, in a ring of fixed
 * size. Which bytes are cut, and where, is decided where they are dirty
 * (wbdirty.h). Pure, and a part of the planner.
 */
#pragma once

#include "policy/wbstep.h"

G_BEGIN_DECLS

#define WB_CHUNK_CAPACITY 128

typedef struct
{
  guint64 number;
  WbRange span;
  guint64 to_start;  /* bytes */
  guint64 to_retire; /* bytes */
  WbCutReason reason;
  gboolean begun;
} WbChunk;

typedef struct
{
  WbChunk ring[WB_CHUNK_CAPACITY];
  guint first, n;
  guint64 number; /* of the last that was cut */
  /* counters */
  guint64 started;
  guint64 retired;
} WbChunks;

/* Books bytes that became ready. More chunks than there is room for records
 * (no window, a disk that takes nothing) count as one long one. */
void wb_chunks_book (WbChunks *chunks, guint64 bytes, guint64 from, guint64 to,
    WbCutReason reason);
/* The oldest chunk with bytes left to start, or NULL. */
WbChunk *wb_chunks_to_start (WbChunks *chunks);
/* So many bytes of it, at most what is left, are being started. Fills in what
 * the step says of the chunk. */
void wb_chunks_start (
    WbChunks *chunks, WbChunk *chunk, guint64 bytes, WbStep *step);
/* NULL if it is retired. */
WbChunk *wb_chunks_numbered (WbChunks *chunks, guint64 number);
/* So many bytes of the chunk are clean. */
void wb_chunks_retire (WbChunks *chunks, guint64 number, guint64 bytes);
/* Nothing is left to start or to retire: all count as retired. */
void wb_chunks_forget (WbChunks *chunks);

G_END_DECLS
