/* wbfilesink: one output file: opening
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "file/wbfile-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef O_NOCTTY
#define O_NOCTTY 0
#endif
#ifndef O_SYNC
#define O_SYNC 0
#endif

static gboolean
open_failed (WbFile *file, WbErrorKind kind, int code, const char *call)
{
  wbf_latch (file, kind, code, call, 0);
  return FALSE;
}

static int
open_with (WbFile *file, int flags)
{
  int fd;

  do
    fd = file->sys->open (file->location, flags, 0666);
  while (fd < 0 && errno == EINTR);
  return fd;
}

static int
open_target (WbFile *file)
{
  int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY;
  int fd;

  if (file->o_sync)
    flags |= O_SYNC;
  if (file->preallocate == WB_PREALLOCATE_REQUIRE) {
    /* What is there stays as it is until the space is known to be there, and
     * what was not there is not there after a failure. */
    fd = open_with (file, flags | O_EXCL);
    file->created = fd >= 0;
    if (fd >= 0 || errno != EEXIST)
      return fd;
    fd = open_with (file, flags & ~O_CREAT);
    if (fd >= 0 || errno != ENOENT)
      return fd;
    /* A link to nothing. */
    file->created = TRUE;
  } else if (file->mode == WB_OPEN_TRUNCATE) {
    flags |= O_TRUNC;
  }
  return open_with (file, flags);
}

/* The directory that holds the name, behind every link, or NULL. */
static char *
real_parent (WbFile *file)
{
  char *real = file->sys->real_path (file->location);
  char *parent = real != NULL ? g_path_get_dirname (real) : NULL;

  free (real);
  return parent;
}

/* What the descriptor is. Without the lock, but before anybody else looks. */
static int
identify_target (WbFile *file)
{
  struct stat status;
  gint64 size = 0;

  if (file->sys->fstat (file->fd, &status) != 0)
    return errno;
  file->device = status.st_dev;
  file->own_device = status.st_rdev;
  file->inode = status.st_ino;
  file->regular = S_ISREG (status.st_mode);
#ifdef S_ISFIFO
  file->fifo = S_ISFIFO (status.st_mode);
#endif
#ifdef S_ISBLK
  file->block_device = S_ISBLK (status.st_mode);
#endif
  file->seekable = file->sys->seekable (file->fd) == 0;
  file->old_blocks = (guint64) status.st_blocks * 512;
  if (file->regular)
    size = status.st_size;
  else if (file->block_device)
    size = MAX (file->sys->size (file->fd), 0);
  file->size_at_open = (guint64) size;
  file->base = file->mode == WB_OPEN_APPEND ? (guint64) size : 0;
  if (file->regular)
    file->parent = real_parent (file);
  return 0;
}

/* A reader who stops reading must not hold a thread that is told to go. */
static void
set_up_fifo (WbFile *file)
{
#ifndef G_OS_WIN32
  /* The descriptor is our own, so this changes nobody else's. */
  if (file->fifo && file->sys->set_nonblocking (file->fd) == 0
      && pipe (file->wake_fds) == 0) {
    fcntl (file->wake_fds[0], F_SETFD, FD_CLOEXEC);
    fcntl (file->wake_fds[1], F_SETFD, FD_CLOEXEC);
  }
#endif
}

/* The ladder of write-out control. First the ideal: sync_file_range to start
 * and to wait, posix_fadvise to drop. A probe with flags 0 does nothing and
 * finds out once whether the system has it (WSL and non-Linux: ENOSYS; pipes:
 * ESPIPE) - except on ZFS, which says yes and does nothing: the bytes then
 * retire at once, and its own throttle bounds them. On overlayfs it says yes
 * and looks at the overlay's own pages, of which there are none: the file below
 * is reached by fadvise, which starts the write-out of what it is to drop, and
 * by fdatasync. Last rung: the system's own policy, with everything else
 * unchanged. */
static const char *
choose_mechanism (WbFile *file, const char *file_system, int *code)
{
  *code = 0;
  file->control = file->by_sync = FALSE;
  if (file->writeback == WB_WRITEBACK_NONE
      || (!file->regular && !file->block_device))
    return "none";
  if (file->sys->writeout_probe (file->fd) != 0) {
    *code = errno;
    return "none";
  }
  file->control = TRUE;
  file->by_sync = strcmp (file_system, "overlayfs") == 0;
  return file->by_sync ? "fadvise and fdatasync" : "sync_file_range";
}

static void
set_up_control (WbFile *file)
{
  char buffer[32];
  const char *file_system = file->sys->file_system (file->fd, buffer);
  int code;

  g_snprintf (file->stats.mechanism, sizeof file->stats.mechanism, "%s on %s",
      choose_mechanism (file, file_system, &code), file_system);
  file->prealloc_suits =
      file->regular && wb_prealloc_suits (file_system, &file->prealloc_reason);
  file->prealloc_growth = wb_prealloc_suits_growth (file_system);
  wbf_say (file, WB_LOG_INFO,
      "opened: %s, write-out %s, position 0 at offset %" G_GUINT64_FORMAT
      "%s%s",
      file->regular            ? "regular file"
          : file->block_device ? "block device"
          : file->seekable     ? "device"
                               : "stream",
      file->stats.mechanism, file->base, code != 0 ? ": " : "",
      code != 0 ? g_strerror (code) : "");
}

gboolean
wbf_io_open (WbFile *file)
{
  int code;

  if (wbf_registry_is_busy (file))
    return open_failed (file, WB_ERROR_BUSY, EBUSY, "open");

  wbf_enter (file, &file->io_call, "open", 0);
  file->fd = open_target (file);
  code = file->fd < 0 ? errno : 0;
  wbf_leave (file, &file->io_call);
  if (code != 0)
    return open_failed (file, WB_ERROR_OPEN, code, "open");
  if (file->abandoned)
    return FALSE;

  wbf_enter (file, &file->io_call, "fstat", 0);
  code = identify_target (file);
  if (code == 0)
    set_up_control (file);
  wbf_leave (file, &file->io_call);
  if (code != 0)
    return open_failed (file, WB_ERROR_OPEN, code, "fstat");
  if (file->abandoned)
    return FALSE;
  file->identified = TRUE;
  if (file->control)
    file->shared =
        wb_device_get (file->block_device ? file->own_device : file->device);
  set_up_fifo (file);
  return wbf_set_up_space (file) && !file->abandoned;
}

void
wbf_io_opened (WbFile *file)
{
  wb_planner_init (
      &file->planner, file->base, file->writeback == WB_WRITEBACK_DROP);
  if (file->by_sync)
    wb_planner_set_retire_whole (&file->planner);
  if (!file->control)
    wb_planner_set_passive (&file->planner);
  wbf_update_bounds (file);
  file->push_offset = file->base;
  if (file->control) {
    file->users++;
    wb_file_ref (file);
    file->retire_thread =
        wbf_start_thread ("wbfile-retire", wbf_retirer_main, file);
    if (file->retire_thread == NULL) {
      file->users--;
      wb_file_unref (file);
      wbf_give_up_control (file, "a thread for the write-out", EAGAIN);
    }
  }
  wbf_start_syncer (file);
}
