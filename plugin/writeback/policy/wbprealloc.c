/* wbfilesink: how much space to reserve next
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "policy/wbprealloc.h"

#include <string.h>

/* Extents are handed out in blocks; whole megabytes keep them whole. */
#define UNIT (G_GUINT64_CONSTANT (1) << 20)

/* An estimate from less than this says nothing: headers, and a first keyframe
 * that is a tenth of the second after it. */
#define ESTIMATE_MIN_BYTES WB_PREALLOC_STEP_MIN
#define ESTIMATE_SLACK 16
/* Written before the first step, and taken into it. */
#define FIRST_STEP_REACH UNIT

void
wb_prealloc_init (WbPrealloc *prealloc, guint64 base, gboolean enabled)
{
  memset (prealloc, 0, sizeof *prealloc);
  prealloc->enabled = enabled;
  prealloc->growth = prealloc->in_order = TRUE;
  prealloc->base = prealloc->end = base;
  prealloc->step = WB_PREALLOC_STEP;
}

static guint64
estimate (const WbPrealloc *prealloc)
{
  gdouble bytes;

  if (prealloc->duration == 0 || prealloc->elapsed == 0
      || prealloc->elapsed_bytes < ESTIMATE_MIN_BYTES
      || prealloc->elapsed >= prealloc->duration)
    return 0;
  bytes = (gdouble) prealloc->elapsed_bytes * (gdouble) prealloc->duration
      / (gdouble) prealloc->elapsed;
  return bytes < (gdouble) G_MAXINT64 ? (guint64) bytes : 0;
}

void
wb_prealloc_elapsed (WbPrealloc *prealloc, guint64 elapsed, guint64 bytes)
{
  /* A back-patch moves the position back, a flush the time. */
  if (elapsed < prealloc->elapsed)
    prealloc->elapsed_bytes = 0;
  prealloc->elapsed = elapsed;
  prealloc->elapsed_bytes = MAX (prealloc->elapsed_bytes, bytes);
}

guint64
wb_prealloc_expected (const WbPrealloc *prealloc, WbSizeSource *source)
{
  guint64 size = 0;

  for (*source = WB_SIZE_PROPERTY; *source > WB_SIZE_DURATION; (*source)--)
    if (prealloc->expected[*source] != 0)
      return prealloc->expected[*source];
  size = estimate (prealloc);
  *source = size != 0 ? WB_SIZE_DURATION : WB_SIZE_GROWTH;
  return size;
}

/* Where reserving should stop for now. */
static guint64
target (const WbPrealloc *prealloc, guint64 high_water)
{
  WbSizeSource source;
  guint64 size = wb_prealloc_expected (prealloc, &source);
  guint64 written = high_water - MIN (prealloc->base, high_water);

  /* An estimate is revised as the file grows; a little more than it says keeps
   * each revision from being a piece of its own, and is given back. */
  if (source == WB_SIZE_DURATION)
    size += MAX (size / ESTIMATE_SLACK, WB_PREALLOC_GROWTH_MIN);
  /* A size that was passed was wrong: from there on, growth. */
  if (size > written)
    return size > G_MAXINT64 - prealloc->base ? G_MAXINT64
                                              : prealloc->base + size;
  if (!prealloc->growth || high_water < prealloc->old_end)
    return prealloc->base;
  /* What has a duration is likely to be long: four writers that reserve their
   * first 16 MiB at once end up with 2 to 5 extents instead of 5 to 7. */
  if (written < WB_PREALLOC_GROWTH_MIN)
    return prealloc->base
        + (prealloc->duration != 0 ? WB_PREALLOC_GROWTH_MIN : 0);
  return high_water + written;
}

gboolean
wb_prealloc_next (const WbPrealloc *prealloc, guint64 high_water,
    guint64 write_end, guint64 free_bytes, guint64 *offset, guint64 *length)
{
  guint64 mark = MAX (high_water, write_end);
  guint64 stop, from, left;

  if (!prealloc->enabled)
    return FALSE;
  left = prealloc->end > mark ? prealloc->end - mark : 0;
  stop = target (prealloc, high_water);
  /* Never below the high-water mark, or a hole would be filled. But what little
   * has come before the first step has no blocks yet (delayed allocation), and
   * would get a piece of its own. */
  from = MAX (prealloc->end, high_water);
  if (prealloc->bytes == 0 && prealloc->in_order
      && high_water - MIN (prealloc->base, high_water) <= FIRST_STEP_REACH)
    from = prealloc->end;
  from = MAX (from, prealloc->old_end);
  if (stop <= from || left > prealloc->last / 2)
    return FALSE;

  *offset = from;
  *length = MIN (stop - from, prealloc->step);
  free_bytes -= MIN (free_bytes, WB_PREALLOC_MARGIN);
  if (*length > free_bytes)
    *length = free_bytes - free_bytes % UNIT;
  return *length > 0;
}

void
wb_prealloc_done (
    WbPrealloc *prealloc, guint64 offset, guint64 length, gint64 took_us)
{
  prealloc->end = MAX (prealloc->end, offset + length);
  prealloc->bytes += length;
  prealloc->last = length;
  if (took_us > WB_PREALLOC_STEP_US)
    prealloc->step = MAX (prealloc->step / 2, WB_PREALLOC_STEP_MIN);
  else if (took_us < WB_PREALLOC_QUICK_US)
    prealloc->step = MIN (prealloc->step * 2, WB_PREALLOC_STEP);
}

gboolean
wb_prealloc_failed (WbPrealloc *prealloc, gboolean no_space)
{
  if (no_space && prealloc->step > WB_PREALLOC_STEP_MIN) {
    prealloc->step = MAX (prealloc->step / 4, WB_PREALLOC_STEP_MIN);
    return TRUE;
  }
  prealloc->enabled = FALSE;
  return FALSE;
}

void
wb_prealloc_trimmed (WbPrealloc *prealloc, guint64 high_water)
{
  prealloc->end = MIN (prealloc->end, high_water);
  prealloc->step = WB_PREALLOC_STEP;
  prealloc->last = 0;
}

gboolean
wb_prealloc_suits (const char *file_system, const char **reason)
{
  static const struct
  {
    const char *name;
    const char *reason; /* NULL: it suits */
  } manners[] = {
    /* Delayed allocation, but each writer's extents come in what is written
     * out together: reserving joins them. Unwritten extents are cheap. */
    { "ext4", NULL },
    { "xfs", NULL },
    { "f2fs", NULL },
    /* Counts the pages: tells early that memory will not do. */
    { "tmpfs", NULL },
    /* Passes it on to the file system below. */
    { "overlayfs", NULL },
    /* Writes never come back to a reserved place once they were written
     * (copy on write), and RocksDB found that what is reserved beyond the end
     * cannot be given back. */
    { "btrfs", "copy on write gains nothing from it" },
    { "zfs", "copy on write gains nothing from it" },
    /* NFS 4.2 refuses KEEP_SIZE; a visible size that is not there yet would
     * outlive a crash. */
    { "nfs", "it would show a size that is not written yet" },
    /* Clusters reserved beyond the end are lost to a crash until a check of
     * the file system, and their zeroing is done in the call. */
    { "vfat", "a crash would leave clusters lost" },
    { "exfat", "it cannot reserve beyond the end" },
    { "fuse", "what is behind it is not known" },
    { "cifs", "the server decides" },
    { "smb", "the server decides" },
    { "9p", "the server decides" },
  };

  *reason = "its manners are not known";
  for (guint i = 0; i < G_N_ELEMENTS (manners); i++) {
    if (strcmp (manners[i].name, file_system) == 0) {
      *reason = manners[i].reason;
      return *reason == NULL;
    }
  }
  return FALSE;
}

/* xfs reserves ahead of a growing file by itself, in larger steps the larger the
 * file is: four files of 256 MiB at once have 1 to 8 extents when it is left
 * alone, and 10 with steps of ours. tmpfs has no extents: it would take pages
 * that may not be needed, and look each of them up twice (64 KiB buffers: 0.35 s
 * of processor time a GB, without 0.32). */
gboolean
wb_prealloc_suits_growth (const char *file_system)
{
  return strcmp (file_system, "xfs") != 0 && strcmp (file_system, "tmpfs") != 0;
}

const char *
wb_size_source_name (WbSizeSource source)
{
  static const char *const names[] = { "growth", "duration", "segment",
    "property" };

  return names[source];
}
