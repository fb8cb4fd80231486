/* wbfilesink: how much space to reserve next
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Problem: a long file that grows piece by piece, beside others, ends up in many
 * extents, and a disk that is too small is found out at the end. Strategy:
 * reserve ahead of the writes, without changing the file's visible size, as far
 * as its size is known, in steps that a write can wait for. Pure policy: no
 * descriptor, no clock, no lock.
 *
 * All offsets are the file's, in bytes. The caller holds one lock around every
 * call.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* One step. ext4 gives what fits one unwritten extent (32767 blocks) in one
 * piece and cuts what is longer into pieces as it finds them: four files of 256
 * MiB at once, 12 runs: 3 extents each in steps of 127 MiB, 1 to 6 in steps of
 * 128 and more. (Smaller ones are worse: 16 extents in steps of 16 MiB, 8 in
 * steps of 32, 4 in steps of 64.) */
#define WB_PREALLOC_STEP (G_GUINT64_CONSTANT (127) << 20)
/* When nothing is known a step is as long as what has been written, from here
 * on: a small file never reserves, and what is given back at the end is at most
 * as much as was used. */
#define WB_PREALLOC_GROWTH_MIN (G_GUINT64_CONSTANT (16) << 20)
#define WB_PREALLOC_STEP_MIN (G_GUINT64_CONSTANT (4) << 20)
/* A step that takes longer than this is halved for the next time, and doubled
 * again after one that took less than the other: writes wait behind it, in the
 * queue, and what is twice as long can take four times as long (fragmented ext4:
 * 256 MiB 30 ms, 512 MiB 115 ms; a 32 MiB fallocate took 540 to 820 ms on a
 * fragmented XFS, as Redpanda reports). */
#define WB_PREALLOC_STEP_US (50 * 1000)
#define WB_PREALLOC_QUICK_US (12 * 1000)
/* Never the last of the disk: others want to live, too. */
#define WB_PREALLOC_MARGIN (G_GUINT64_CONSTANT (64) << 20)

/* Where an expected size comes from; a later one is better. */
typedef enum
{
  WB_SIZE_GROWTH,   /* nowhere: reserve as the file grows */
  WB_SIZE_DURATION, /* written so far x duration / elapsed */
  WB_SIZE_SEGMENT,  /* a BYTES segment with a duration */
  WB_SIZE_PROPERTY,
  WB_SIZE_SOURCES
} WbSizeSource;

typedef struct
{
  gboolean enabled;
  gboolean growth;   /* also with nothing known of the size */
  gboolean in_order; /* nothing below the high-water mark is a hole */
  guint64 base;
  guint64 old_end; /* of what is overwritten: its holes are left as they are */
  guint64 expected[WB_SIZE_SOURCES]; /* bytes from the base, 0: unknown */
  guint64 duration, elapsed;         /* any one unit, 0: unknown */
  guint64 elapsed_bytes;             /* that came in `elapsed`, from the base */
  guint64 end;                       /* reserved up to here */
  guint64 step;                      /* the next one, at most */
  guint64 last;                      /* how long the last one was */
  guint64 bytes;                     /* reserved, in all */
} WbPrealloc;

/* `base` is where the stream begins in the file. */
void wb_prealloc_init (WbPrealloc *prealloc, guint64 base, gboolean enabled);

/* Of the stream's duration `elapsed` had come when `bytes` had, the queue
 * included: what is written lags behind, and would make the estimate small. */
void wb_prealloc_elapsed (WbPrealloc *prealloc, guint64 elapsed, guint64 bytes);
/* The best size known, in bytes from the base, and where it comes from. 0 and
 * WB_SIZE_GROWTH: none. */
guint64 wb_prealloc_expected (const WbPrealloc *prealloc, WbSizeSource *source);

/* Whether it is time to reserve, before a write that ends at `write_end` makes
 * it the new high-water mark; the next step is asked for while half of the last
 * one is left. Fills in the range. `free_bytes` bounds it: G_MAXUINT64 if not
 * known. */
gboolean wb_prealloc_next (const WbPrealloc *prealloc, guint64 high_water,
    guint64 write_end, guint64 free_bytes, guint64 *offset, guint64 *length);
/* The range was reserved in `took_us`. */
void wb_prealloc_done (
    WbPrealloc *prealloc, guint64 offset, guint64 length, gint64 took_us);
/* It was not: FALSE, and no more is asked for, unless a smaller step might do. */
gboolean wb_prealloc_failed (WbPrealloc *prealloc, gboolean no_space);
/* What lay beyond the high-water mark was given back. */
void wb_prealloc_trimmed (WbPrealloc *prealloc, guint64 high_water);

/* Whether reserving is worth it on this kind of file system, and if not, why. */
gboolean wb_prealloc_suits (const char *file_system, const char **reason);

/* Whether it is worth it there with nothing known of the size. */
gboolean wb_prealloc_suits_growth (const char *file_system);

const char *wb_size_source_name (WbSizeSource source);

G_END_DECLS
