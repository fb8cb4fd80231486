/* wbfilesink: steps
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the planner asks for, and how much of it with one call: the words that
 * the planner, what stands below it and those who carry the steps out have in
 * common. Types and constants only.
 */
#pragma once

#include "policy/wbrange.h"

G_BEGIN_DECLS

/* What the I/O thread writes with one call. Folios of ext4 and xfs grow to the
 * size of the write, and abutting drops only free whole folios, so batches end
 * on multiples of this (Linux 6.18: drops at unaligned cuts left 15.7 MB of
 * 64 MB cached; aligned to the batch, none). */
#define WB_BATCH (G_GUINT64_CONSTANT (1) << 20)
/* Where several files on a fast disk have little each: eight files 2517 MB/s, with
 * 1 MiB 2459, one file 2429; sixteen 2344, 2081 and 2285; thirty-two 2096, 2122, and
 * with 256 KiB 2033 at 0.42 s of processor time a GB instead of 0.35. */
#define WB_BATCH_SMALL (WB_BATCH / 2)
/* One start call hands over at most this much, and less on a slow disk:
 * sync_file_range(WRITE) blocks on a full request queue (32 MiB on a 60 MB/s
 * disk with 64 tags of 240 KiB: 0.33 to 0.59 s), and while it blocks nothing is
 * retired. On a disk of 2 GB/s it is 2 ms. */
#define WB_START_STEP (4 * WB_BATCH)
/* Where files take turns on a disk, all of a chunk: a step that is cut is torn apart
 * by the other's seeks. */
#define WB_START_STEP_TURN (8 * WB_BATCH)
/* Where nothing live waits for a push and the disk is read from as well, a whole
 * chunk: its head goes less often from what is read to what is written. A copy on a
 * model of a spinning disk without a cache: 67 MB/s, with this 73. */
#define WB_START_STEP_LONG (32 * WB_BATCH)
/* The same where what retires is a sync of the whole file, with a commit of the
 * journal and a flush of the device each time. */
#define WB_START_STEP_WHOLE (16 * WB_BATCH)
/* One retire call waits for at most this much, so that a held writer gets room
 * in even steps: 17 ms on a 60 MB/s disk. */
#define WB_RETIRE_STEP WB_BATCH

typedef enum
{
  WB_STEP_START,  /* begin the write-out of the range */
  WB_STEP_RETIRE, /* wait until the range is on the disk */
  WB_STEP_DROP    /* let the range leave the page cache */
} WbStepKind;

/* Why a chunk was cut. */
typedef enum
{
  WB_CUT_RESUME,  /* the muxer is done with what lies below */
  WB_CUT_SIZE,    /* a whole chunk, and no resume in it */
  WB_CUT_ROOM,    /* the writer waits */
  WB_CUT_PATCHES, /* too many scattered ranges */
  WB_CUT_SYNC     /* all there is: the end, or a sync */
} WbCutReason;

typedef struct
{
  WbStepKind kind;
  WbRange range;
  guint64 chunk;      /* START, RETIRE: number of the chunk, from 1 */
  WbRange chunk_span; /* its first and last+1 byte */
  WbCutReason reason;
  gboolean first_of_chunk; /* START: nothing of it was started before */
  gboolean last_of_piece;  /* RETIRE: of what was started with one call */
  gboolean last_of_chunk;  /* RETIRE: nothing of it is left after this */
} WbStep;

G_END_DECLS
