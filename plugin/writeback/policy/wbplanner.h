/* wbfilesink: the planner
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Problem: which bytes of a growing file should the disk be given next, which
 * should be waited for, which may leave the page cache, and may more be
 * written now? Strategy: pure policy. The planner is told what was written and
 * what was done, and answers those questions; it holds no file descriptor,
 * reads no clock, takes no lock and allocates nothing, so that a test can run
 * it through millions of operations.
 *
 * A byte's way: written -> waiting -> ready -> in flight -> clean
 *   waiting    dirty, and still being collected
 *   ready      part of a chunk that was cut: may be started any time
 *   in flight  write-out started, not yet known to have finished
 * The dirty bytes are the sum of the three.
 *
 * Chunks follow the high-water mark. A seek never resets one; a resume (a seek
 * forward onto the high-water mark, which is how a muxer says that it has done
 * with what lies below) is where one is cut. A back-patch below what was
 * started is dirty again from its first byte to the end of its batch, waits for
 * the next chunk, and stays dirty until a retire that began after it is done.
 *
 * Offsets are those of the file, in bytes. Nothing here is thread-safe: the
 * caller holds one lock around every call.
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
/* The same where what retires is a sync of the whole file, with a commit of the
 * journal and a flush of the device each time. */
#define WB_START_STEP_WHOLE (16 * WB_BATCH)
/* One retire call waits for at most this much, so that a held writer gets room
 * in even steps: 17 ms on a 60 MB/s disk. */
#define WB_RETIRE_STEP WB_BATCH
/* A drop whose edge falls inside a folio leaves the folio, so each drop reaches
 * back over the one before, and a kept range that is released takes its
 * surroundings along. Folios are at most 2 MiB. */
#define WB_DROP_OVERLAP (4 * WB_BATCH)
#define WB_RELEASE_MARGIN (2 * WB_BATCH)
/* Kept in cache until the end: every muxer that patches at EOS does so here
 * (matroskamux: SeekHead, Duration and Segment size, all below 4 KiB; the rest
 * is for long headers). */
#define WB_HEAD_KEPT (64 * 1024)

#define WB_FLIGHT_CAPACITY 64
#define WB_CHUNK_CAPACITY 128
#define WB_TARGET_CAPACITY 32
#define WB_RECENT_CAPACITY 64
#define WB_RETURNING_CAPACITY 8

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
  WbRange range;  /* what is left to retire of it */
  guint64 origin; /* where it began */
  guint64 chunk;
  gboolean late; /* had been started before */
} WbPiece;

typedef struct
{
  /* bounds, bytes */
  guint64 batch;  /* WB_BATCH or WB_BATCH_SMALL */
  guint64 window; /* G_MAXUINT64: none */
  guint64 patch_room;
  guint64 chunk_size;
  guint64 start_step;
  gboolean drop;
  gboolean passive; /* only counts */
  gboolean starts_held;
  gboolean retire_whole; /* one retire is for all that is in flight */

  guint64 base;
  guint64 high_water;
  guint64 write_position; /* where the last write ended */
  guint64 started;        /* everything below was started once */
  guint64 cut;            /* everything below was put into a chunk */
  guint64 last_resume;

  WbRangeSet waiting;
  WbRangeSet ready;
  WbPiece flight[WB_FLIGHT_CAPACITY];
  guint flight_first, flight_n;
  guint64 flight_bytes;
  guint64 start_hand; /* starts go upwards from here, then round */

  WbChunk chunks[WB_CHUNK_CAPACITY];
  guint chunk_first, chunk_n;
  guint64 chunk_number;

  WbRangeSet drops; /* clean, may leave the cache */
  gboolean settled; /* nothing is kept until the next write */
  gboolean head_kept;
  gboolean resume_kept;
  WbRange targets[WB_TARGET_CAPACITY]; /* of seeks since the last resume */
  guint n_targets;
  /* Places that are patched again and again (qtmux's robust modes) stay. */
  guint64 patch_page;                 /* that the last patch began in */
  guint64 recent[WB_RECENT_CAPACITY]; /* pages, + 1 */
  guint n_recent;
  WbRange returning[WB_RETURNING_CAPACITY];
  guint n_returning;

  /* counters */
  guint64 back_patches;
  guint64 late_back_patches;
  guint64 chunks_started;
  guint64 chunks_retired;
} WbPlanner;

/* Starts anew for a file whose stream position 0 lies at `base`. No bound and
 * a chunk of 32 MiB until wb_planner_set_bounds(). */
void wb_planner_init (WbPlanner *planner, guint64 base, gboolean drop);
/* Sets the window (at least two batches are granted) and the chunk size (whole
 * batches, at least one and at most half the window). A batch is WB_BATCH, or
 * WB_BATCH_SMALL if the chunk is less than that. May be called at any time. */
void wb_planner_set_bounds (
    WbPlanner *planner, guint64 window, guint64 chunk_size);

/* So many dirty bytes on top of the window may be late back-patches: one makes a
 * whole folio dirty, of which a page goes to the disk, so a window that is there
 * for the disk's pace need not make room for them. 0 at first. */
void wb_planner_set_patch_room (WbPlanner *planner, guint64 bytes);

/* Dropping was refused: everything stays in the cache from now on. */
void wb_planner_stop_dropping (WbPlanner *planner);
/* Write-out is not ours to control: from now on nothing is dirty, there are no
 * steps, and only positions and patches are counted. */
void wb_planner_set_passive (WbPlanner *planner);

/* How much is started with one call: whole batches, at most WB_START_STEP; 0:
 * the rate is not known. */
void wb_planner_set_start_step (WbPlanner *planner, guint64 bytes);
/* What retires is a sync of the whole file, which is dear: one is for all that
 * is in flight, and more of it is started at a time. */
void wb_planner_set_retire_whole (WbPlanner *planner);

/* Starts nothing until it is called with FALSE; what is in flight is retired,
 * and what is written becomes dirty as ever. */
void wb_planner_hold_starts (WbPlanner *planner, gboolean hold);

guint64 wb_planner_dirty (const WbPlanner *planner);
/* By how much writing [offset, offset + length) would raise the dirty bytes. */
guint64 wb_planner_cost (
    const WbPlanner *planner, guint64 offset, guint64 length);
/* Whether that write fits the window and the room for patches. Always when
 * nothing is dirty. */
gboolean wb_planner_may_write (
    const WbPlanner *planner, guint64 offset, guint64 length);
/* The write has returned: its bytes are dirty. */
void wb_planner_wrote (WbPlanner *planner, guint64 offset, guint64 length);

/* Makes everything that is dirty ready to be started. Without `everything` the
 * last, partial batch of new data keeps waiting if anything else is ready: its
 * page would be written twice. */
void wb_planner_release (WbPlanner *planner, gboolean everything);
/* Makes the whole batches below `offset` ready to be started. */
void wb_planner_release_below (WbPlanner *planner, guint64 offset);
/* TRUE if a start or a retire is due or under way: a wait for the window will
 * end by itself. */
gboolean wb_planner_is_draining (const WbPlanner *planner);

/* Fills in the next thing to do, if there is one, and takes it as begun: what
 * is written into its range from now on is dirty anew. One step at a time:
 * wb_planner_done() comes before the next call. */
gboolean wb_planner_next (WbPlanner *planner, WbStep *step);
/* The step is over, whether it succeeded or was refused. Returns the number of
 * bytes that became clean. */
guint64 wb_planner_done (WbPlanner *planner, const WbStep *step);

/* The file was synced at its end and nothing was written meanwhile: nothing
 * needs keeping any more. */
void wb_planner_settle (WbPlanner *planner);
/* The stream starts again from the base (FLUSH_STOP). With `truncated` what
 * lay beyond is gone; without, what is dirty stays so. No step may be under
 * way. */
void wb_planner_restart (WbPlanner *planner, gboolean truncated);

G_END_DECLS
