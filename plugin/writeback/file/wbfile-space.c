/* wbfilesink: one output file: reserving space and giving it back
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "file/wbfile-private.h"

#include <errno.h>
#include <stdlib.h>

/* Tells once, and again when a better source of the size is found. */
static void
report_reserve (
    WbFile *file, guint64 wanted, WbSizeSource source, WbReserveResult result)
{
  if (file->told_source > (guint) source)
    return;
  file->told_source = (guint) source + 1;
  file->report.wanted = wanted;
  file->report.reserved = file->prealloc.bytes;
  file->report.source = source;
  file->report.result = result;
  file->events |= WB_EVENT_PREALLOCATED;
}

/* Reserves one step. Unlocks for it. 0, or the errno. */
static int
reserve_step (WbFile *file, guint64 offset, guint64 length)
{
  WbDevice *device = file->shared;
  gboolean turn;
  gint64 began, took;
  int code;

  file->reserve_tried = TRUE;
  file->trimmed_after = 0;
  wbf_enter (file, &file->io_call, "fallocate", offset);
  turn = device != NULL && wb_device_take_turn (device);
  began = g_get_monotonic_time ();
  do
    code = file->sys->reserve (file->fd, (gint64) offset, (gint64) length) == 0
        ? 0
        : errno;
  while (code == EINTR);
  took = g_get_monotonic_time () - began;
  if (turn)
    wb_device_end_turn (device);
  if (code != 0)
    wbf_say (file, WB_LOG_INFO,
        "fallocate of %" G_GUINT64_FORMAT " bytes at %" G_GUINT64_FORMAT
        " refused: %s",
        length, offset, g_strerror (code));
  wbf_leave (file, &file->io_call);
  if (code == 0) {
    wb_prealloc_done (&file->prealloc, offset, length, took);
    file->stats.preallocated_bytes = file->prealloc.bytes;
    wbf_say_locked (file, WB_LOG_DEBUG,
        "reserved %" G_GUINT64_FORMAT " bytes at %" G_GUINT64_FORMAT
        ", took %.1f ms",
        length, offset, took / 1e3);
  }
  return code;
}

static guint64
ask_free_space (WbFile *file)
{
  gint64 bytes;

  wbf_enter (file, &file->io_call, "fstatfs", 0);
  bytes = file->sys->free_space (file->fd);
  wbf_leave (file, &file->io_call);
  file->report.free = bytes < 0 ? G_MAXUINT64 : (guint64) bytes;
  return file->report.free;
}

/* Said once: the rest of a size that is known does not fit. The blocks of a file
 * that is overwritten are there already. */
static void
check_fit (WbFile *file, guint64 expected, WbSizeSource source, guint64 free)
{
  guint64 have =
      MAX (wb_planner_high_water (&file->planner), file->prealloc.end)
      - file->base;

  if (file->mode == WB_OPEN_OVERWRITE)
    have = MAX (have, MIN (file->old_blocks, file->size_at_open));
  if (source < WB_SIZE_SEGMENT || file->told_fit || expected <= have
      || expected - have <= free)
    return;
  file->told_fit = TRUE;
  file->report.wanted = expected;
  file->events |= WB_EVENT_WILL_NOT_FIT;
}

/* Reserves ahead of a write that ends at `write_end`, at most one step: the
 * write waits for it. A hint: whatever comes of it, the write follows. */
void
wbf_reserve_ahead (WbFile *file, guint64 write_end)
{
  WbPrealloc *prealloc = &file->prealloc;
  guint64 high_water = wb_planner_high_water (&file->planner);
  guint64 offset, length, expected, free;
  WbSizeSource source;
  int code;

  if (!wb_prealloc_next (
          prealloc, high_water, write_end, G_MAXUINT64, &offset, &length))
    return;
  expected = wb_prealloc_expected (prealloc, &source);
  free = ask_free_space (file);
  if (file->abandoned)
    return;
  check_fit (file, expected, source, free);
  expected = expected != 0 ? expected : length;

  if (!file->prealloc_suits) {
    prealloc->enabled = FALSE;
    report_reserve (file, expected, source, WB_RESERVE_SKIPPED);
    wbf_unlock (file);
    wbf_say (
        file, WB_LOG_INFO, "no space is reserved: %s", file->prealloc_reason);
    wbf_lock (file);
    return;
  }
  if (!wb_prealloc_next (
          prealloc, high_water, write_end, free, &offset, &length)) {
    report_reserve (file, expected, source, WB_RESERVE_PARTIAL);
    return;
  }
  code = reserve_step (file, offset, length);
  if (code == 0)
    report_reserve (file, expected, source,
        free >= expected ? WB_RESERVE_RESERVED : WB_RESERVE_PARTIAL);
  else if (!wb_prealloc_failed (prealloc, wbf_is_no_space (code)))
    report_reserve (file, expected, source, WB_RESERVE_REFUSED);
}

int
wbf_call_truncate (WbFile *file, guint64 size)
{
  int code;

  wbf_enter (file, &file->io_call, "ftruncate", size);
  do
    code = file->sys->truncate (file->fd, (gint64) size) == 0 ? 0 : errno;
  while (code == EINTR);
  wbf_leave (file, &file->io_call);
  return code;
}

static int
call_fstat (WbFile *file, struct stat *status)
{
  int code;

  wbf_enter (
      file, &file->io_call, "fstat", wb_planner_high_water (&file->planner));
  code = file->sys->fstat (file->fd, status) == 0 ? 0 : errno;
  wbf_leave (file, &file->io_call);
  return code;
}

/* What the truncation has left beyond the end: a hint. */
static void
punch_rest (WbFile *file, const struct stat *status)
{
  gint64 size = status->st_size, left;

  wbf_enter (file, &file->io_call, "fiemap", (guint64) size);
  left = file->sys->blocks_beyond (file->fd, size);
  wbf_leave (file, &file->io_call);
  if (left < MAX (status->st_blksize, 1) || file->abandoned)
    return;
  wbf_enter (file, &file->io_call, "fallocate (punch)", (guint64) size);
  file->sys->punch (file->fd, size, G_MAXINT64 - size);
  wbf_leave (file, &file->io_call);
}

/* Gives back what was reserved beyond the file's end, after every reservation
 * that was only tried: ext4 keeps a part of one that failed, and xfs goes on to
 * keep blocks of its own beyond the end of a file once it has seen one.
 * Truncating a file to its own size does it on ext4 and xfs; what is left is
 * looked for, and punched (which helps on xfs and does nothing on ext4). A
 * promise: a failure is an error. A thread that was left behind in one of the
 * calls does not make the next: the file may be another's by then. */
void
wbf_trim (WbFile *file)
{
  guint64 high_water = wb_planner_high_water (&file->planner);
  struct stat status;
  int code;

  if (file->abandoned || !file->reserve_tried
      || file->trimmed_after == file->stats.bytes_written + 1)
    return;
  file->trimmed_after = file->stats.bytes_written + 1;
  code = call_fstat (file, &status);
  if (code == 0 && !file->abandoned)
    code = wbf_call_truncate (file, (guint64) status.st_size);
  if (code == 0 && !file->abandoned)
    punch_rest (file, &status);
  if (code != 0)
    wbf_latch (file, WB_ERROR_WRITE, code, "ftruncate", high_water);
  wb_prealloc_trimmed (&file->prealloc, high_water);
}

/* Reserves [from, to) for good. 0, or the errno. */
static int
reserve_all (WbFile *file, guint64 from, guint64 to)
{
  int code = 0;

  while (code == 0 && from < to && !file->abandoned) {
    guint64 length = MIN (to - from, file->prealloc.step);

    code = reserve_step (file, from, length);
    from += length;
  }
  return code;
}

/* Takes back what a failed requirement has done: the file is as it was, or is
 * not there. Not so a thread that was left behind. */
static void
undo_open (WbFile *file)
{
  struct stat now;
  gboolean ours;
  char *real;

  if (file->reserve_tried && !file->abandoned)
    wbf_call_truncate (file, file->size_at_open);
  if (!file->created || file->abandoned)
    return;
  wbf_enter (file, &file->io_call, "stat", 0);
  ours = file->sys->stat (file->location, &now) == 0
      && now.st_dev == file->device && now.st_ino == file->inode;
  wbf_leave (file, &file->io_call);
  if (!ours || file->abandoned)
    return;
  /* What a link leads to, not the link. */
  wbf_enter (file, &file->io_call, "unlink", 0);
  real = file->sys->real_path (file->location);
  if (real != NULL)
    file->sys->unlink (real);
  free (real);
  wbf_leave (file, &file->io_call);
}

static gboolean
requirement_failed (WbFile *file, int code, guint64 end)
{
  wbf_latch (file, WB_ERROR_WRITE, code, "fallocate", end);
  file->error.wanted = file->report.wanted;
  file->error.free = file->report.free;
  return FALSE;
}

/* Blocks that another file has as well (reflinks) do not come free. */
static guint64
shared_bytes (WbFile *file)
{
  gint64 bytes;

  wbf_enter (file, &file->io_call, "fiemap", 0);
  bytes = file->sys->shared_bytes (file->fd);
  wbf_leave (file, &file->io_call);
  return (guint64) MAX (bytes, 0);
}

/* `preallocate=require`, once the size is known and before the first byte. */
gboolean
wbf_require_space (WbFile *file)
{
  WbSizeSource source;
  guint64 size, end, have;
  int code;

  file->require_pending = FALSE;
  size = wb_prealloc_expected (&file->prealloc, &source);
  if (source < WB_SIZE_SEGMENT) {
    undo_open (file);
    wbf_latch (file, WB_ERROR_NO_SIZE, EINVAL, "preallocate=require", 0);
    return FALSE;
  }
  end = file->base + size;
  /* The blocks of a file that is replaced are as good as free. */
  have = file->mode == WB_OPEN_APPEND ? 0 : MIN (file->old_blocks, size);
  have -= MIN (have, shared_bytes (file));
  file->report.wanted = size;
  code = ask_free_space (file) < size - have ? ENOSPC : 0;
  if (code == 0 && size > G_MAXINT64 - file->base)
    code = EFBIG;
  if (code == 0)
    code = reserve_all (
        file, file->mode == WB_OPEN_OVERWRITE ? 0 : file->size_at_open, end);
  if (code != 0) {
    undo_open (file);
    return requirement_failed (file, code, end);
  }
  /* A thread that was left behind meanwhile destroys nothing. */
  if (file->abandoned)
    return FALSE;
  if (file->mode == WB_OPEN_TRUNCATE && file->size_at_open > 0) {
    /* This frees what was just reserved, for the moment in between. */
    code = wbf_call_truncate (file, 0);
    wb_prealloc_trimmed (&file->prealloc, 0);
    file->prealloc.bytes = 0;
    file->size_at_open = 0;
    if (code == 0)
      code = reserve_all (file, 0, end);
    if (code != 0)
      return requirement_failed (file, code, end);
  }
  report_reserve (file, size, source, WB_RESERVE_RESERVED);
  return TRUE;
}

/* A file that was required to fit and never got a byte. */
void
wbf_settle_requirement (WbFile *file)
{
  int code;

  if (!file->require_pending)
    return;
  file->require_pending = FALSE;
  if (file->mode != WB_OPEN_TRUNCATE || file->size_at_open == 0)
    return;
  code = wbf_call_truncate (file, 0);
  if (code == 0)
    file->size_at_open = 0;
  else
    wbf_latch (file, WB_ERROR_WRITE, code, "ftruncate", 0);
}

gboolean
wbf_set_up_space (WbFile *file)
{
  guint64 hint = file->prealloc.expected[WB_SIZE_PROPERTY];

  wb_prealloc_init (&file->prealloc, file->base,
      file->regular && file->preallocate != WB_PREALLOCATE_NONE);
  file->prealloc.expected[WB_SIZE_PROPERTY] = hint;
  file->prealloc.growth = file->prealloc_growth;
  if (file->mode == WB_OPEN_OVERWRITE)
    file->prealloc.old_end = file->size_at_open;
  if (!file->regular || file->preallocate != WB_PREALLOCATE_REQUIRE)
    return TRUE;
  file->require_pending = TRUE;
  return hint == 0 || wbf_require_space (file);
}
