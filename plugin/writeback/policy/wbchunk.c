/* wbfilesink: chunks
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "policy/wbchunk.h"

static WbChunk *
chunk_at (WbChunks *chunks, guint index)
{
  return &chunks->ring[(chunks->first + index) % WB_CHUNK_CAPACITY];
}

void
wb_chunks_book (WbChunks *chunks, guint64 bytes, guint64 from, guint64 to,
    WbCutReason reason)
{
  WbChunk *chunk;

  if (bytes == 0)
    return;
  if (chunks->n == WB_CHUNK_CAPACITY) {
    chunk = chunk_at (chunks, chunks->n - 1);
    chunk->span.start = MIN (chunk->span.start, from);
    chunk->span.end = MAX (chunk->span.end, to);
    chunk->to_start += bytes;
    chunk->to_retire += bytes;
    return;
  }
  chunk = chunk_at (chunks, chunks->n++);
  chunk->number = ++chunks->number;
  chunk->span.start = from;
  chunk->span.end = to;
  chunk->to_start = chunk->to_retire = bytes;
  chunk->reason = reason;
  chunk->begun = FALSE;
}

WbChunk *
wb_chunks_to_start (WbChunks *chunks)
{
  for (guint i = 0; i < chunks->n; i++)
    if (chunk_at (chunks, i)->to_start > 0)
      return chunk_at (chunks, i);
  return NULL;
}

void
wb_chunks_start (WbChunks *chunks, WbChunk *chunk, guint64 bytes, WbStep *step)
{
  chunk->to_start -= bytes;
  step->chunk = chunk->number;
  step->first_of_chunk = !chunk->begun;
  step->chunk_span = chunk->span;
  step->reason = chunk->reason;
  if (!chunk->begun)
    chunks->started++;
  chunk->begun = TRUE;
}

WbChunk *
wb_chunks_numbered (WbChunks *chunks, guint64 number)
{
  for (guint i = 0; i < chunks->n; i++)
    if (chunk_at (chunks, i)->number == number)
      return chunk_at (chunks, i);
  return NULL;
}

void
wb_chunks_retire (WbChunks *chunks, guint64 number, guint64 bytes)
{
  WbChunk *chunk = wb_chunks_numbered (chunks, number);

  if (chunk == NULL)
    return;
  chunk->to_retire = wb_subtract (chunk->to_retire, bytes);
  if (chunk->to_retire == 0)
    chunks->retired++;
  while (chunks->n > 0 && chunk_at (chunks, 0)->to_retire == 0) {
    chunks->first = (chunks->first + 1) % WB_CHUNK_CAPACITY;
    chunks->n--;
  }
}

void
wb_chunks_forget (WbChunks *chunks)
{
  chunks->retired = chunks->started;
  chunks->n = 0;
}
