/* wbfilesink: system calls on any POSIX system, and on Windows
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Write-out control is a no-op here: the system's own policy decides when the
 * cache is written, and everything else works. macOS and Windows use this; on
 * Linux -Dplatform=generic builds it, so that it is tested.
 */
#include "system/wbsys.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdlib.h>

#ifdef G_OS_WIN32
#include <io.h>
#define close_fd _close
#define seek_fd _lseeki64
#define fsync _commit
#define ftruncate(fd, size) _chsize_s ((fd), (size))
#define O_CLOEXEC _O_NOINHERIT
#else
#include <poll.h>
#include <unistd.h>
#define close_fd close
#define seek_fd lseek
#endif

static int
not_here (void)
{
  errno = ENOSYS;
  return -1;
}

static int
generic_open (const char *path, int flags, unsigned mode)
{
#ifdef G_OS_WIN32
  flags |= _O_BINARY;
#endif
  int fd = g_open (path, flags, mode);

#ifdef F_SETNOSIGPIPE
  /* The writer's threads block SIGPIPE, but on macOS it may be sent to the
   * process, where another thread takes it. EPIPE says all. */
  if (fd >= 0)
    (void) fcntl (fd, F_SETNOSIGPIPE, 1);
#endif
  return fd;
}

static int
generic_close (int fd)
{
  return close_fd (fd);
}

static char *
generic_real_path (const char *path)
{
#ifdef G_OS_WIN32
  return _fullpath (NULL, path, 0);
#else
  return realpath (path, NULL);
#endif
}

static const char *
generic_file_system (int fd, char buffer[32])
{
  return "unknown";
}

static int
generic_seekable (int fd)
{
  return seek_fd (fd, 0, SEEK_CUR) < 0 ? -1 : 0;
}

static gint64
generic_size (int fd)
{
  return seek_fd (fd, 0, SEEK_END);
}

static gssize
write_one (int fd, const WbVector *vector, gint64 offset)
{
#ifdef G_OS_WIN32
  /* One thread writes a file, so its position is ours alone. */
  if (offset != WB_NO_OFFSET && seek_fd (fd, offset, SEEK_SET) < 0)
    return -1;
  return _write (fd, vector->data, (unsigned) MIN (vector->size, G_MAXINT));
#else
  if (offset != WB_NO_OFFSET)
    return pwrite (fd, vector->data, vector->size, offset);
  return write (fd, vector->data, vector->size);
#endif
}

/* One vector after the other: pwritev is not POSIX. An error after the first
 * vector is a short write; the next call will meet it again. */
static gssize
generic_write (int fd, const WbVector *vectors, int n, gint64 offset)
{
  gssize written = 0;

  for (int i = 0; i < n; i++) {
    gssize result = write_one (
        fd, &vectors[i], offset == WB_NO_OFFSET ? offset : offset + written);

    if (result < 0)
      return written > 0 ? written : -1;
    written += result;
    if ((gsize) result < vectors[i].size)
      break;
  }
  return written;
}

static int
generic_set_append (int fd, gboolean append)
{
#ifdef G_OS_WIN32
  return not_here ();
#else
  int flags = fcntl (fd, F_GETFL);

  if (flags < 0)
    return -1;
  return fcntl (fd, F_SETFL, append ? flags | O_APPEND : flags & ~O_APPEND);
#endif
}

static gint64
generic_position (int fd)
{
  return seek_fd (fd, 0, SEEK_CUR);
}

static int
generic_set_nonblocking (int fd)
{
#ifdef G_OS_WIN32
  return not_here ();
#else
  int flags = fcntl (fd, F_GETFL);

  return flags < 0 ? -1 : fcntl (fd, F_SETFL, flags | O_NONBLOCK);
#endif
}

static int
generic_wait_writable (int fd, int wake_fd)
{
#ifdef G_OS_WIN32
  return 0;
#else
  struct pollfd fds[2] = { { .fd = fd, .events = POLLOUT },
    { .fd = wake_fd, .events = POLLIN } };

  return poll (fds, wake_fd >= 0 ? 2 : 1, -1) < 0 ? -1 : 0;
#endif
}

static int
generic_truncate (int fd, gint64 size)
{
  return ftruncate (fd, size);
}

static int
generic_sync (int fd)
{
#ifdef F_FULLFSYNC
  /* On macOS fsync leaves the data in the device's cache, a directory's too. It
   * may do only where there is nothing better, not after an error, which is told
   * once. */
  if (fcntl (fd, F_FULLFSYNC) == 0)
    return 0;
  if (errno != ENOTSUP && errno != EINVAL && errno != ENOTTY)
    return -1;
#endif
  return fsync (fd);
}

#ifdef G_OS_WIN32

static int
generic_open_directory (const char *path)
{
  return not_here ();
}

static int
generic_sync_directory (int fd)
{
  return not_here ();
}

static int
generic_stat_in (int directory, const char *name, struct stat *status)
{
  return not_here ();
}

static int
generic_lstat (const char *path, struct stat *status)
{
  return stat (path, status);
}

/* No directory is held here: these are paths. */
static int
generic_rename_in (int directory, const char *from, const char *to)
{
  return g_rename (from, to);
}

static int
generic_link_in (int directory, const char *from, const char *to)
{
  return not_here ();
}

static int
generic_unlink_in (int directory, const char *name)
{
  return g_unlink (name);
}

static int
generic_release_fifo (const char *path)
{
  return not_here ();
}

#else

static int
generic_open_directory (const char *path)
{
  return open (path, O_RDONLY | O_CLOEXEC);
}

static int
generic_sync_directory (int fd)
{
  return generic_sync (fd);
}

static int
generic_stat_in (int directory, const char *name, struct stat *status)
{
  return fstatat (directory, name, status, AT_SYMLINK_NOFOLLOW);
}

static int
generic_lstat (const char *path, struct stat *status)
{
  return lstat (path, status);
}

static int
at (int directory)
{
  return directory < 0 ? AT_FDCWD : directory;
}

static int
generic_rename_in (int directory, const char *from, const char *to)
{
  return renameat (at (directory), from, at (directory), to);
}

static int
generic_link_in (int directory, const char *from, const char *to)
{
  return linkat (at (directory), from, at (directory), to, 0);
}

static int
generic_unlink_in (int directory, const char *name)
{
  return unlinkat (at (directory), name, 0);
}

/* Not blocking, it has no need of a writer. */
static int
generic_release_fifo (const char *path)
{
  int fd = open (path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

  return fd < 0 ? -1 : close (fd);
}

#endif

/* POSIX has none: a link and an unlink do it. */
static int
generic_rename_new_in (int directory, const char *from, const char *to)
{
  return not_here ();
}

static int
generic_writeout_probe (int fd)
{
  return not_here ();
}

static int
generic_writeout (int fd, gint64 offset, gint64 length)
{
  return not_here ();
}

/* macOS has F_PREALLOCATE, which nobody has tried this with. */
static int
generic_reserve (int fd, gint64 offset, gint64 length)
{
  return not_here ();
}

static gint64
generic_blocks_beyond (int fd, gint64 offset)
{
  return not_here ();
}

static gint64
generic_free_space (int fd)
{
  return not_here ();
}

static int
generic_unlink (const char *path)
{
  return g_unlink (path);
}

const WbSys *
wb_sys_default (void)
{
  static const WbSys table = {
    .name = "generic",
    .open = generic_open,
    .close = generic_close,
    .stat = stat,
    .lstat = generic_lstat,
    .fstat = fstat,
    .real_path = generic_real_path,
    .file_system = generic_file_system,
    .seekable = generic_seekable,
    .size = generic_size,
    .write = generic_write,
    .set_append = generic_set_append,
    .position = generic_position,
    .set_nonblocking = generic_set_nonblocking,
    .wait_writable = generic_wait_writable,
    .truncate = generic_truncate,
    .reserve = generic_reserve,
    .punch = generic_reserve,
    .blocks_beyond = generic_blocks_beyond,
    .free_space = generic_free_space,
    .shared_bytes = generic_free_space,
    .unlink = generic_unlink,
    .sync = generic_sync,
    .sync_data = generic_sync,
    .open_directory = generic_open_directory,
    .close_directory = generic_close,
    .sync_directory = generic_sync_directory,
    .stat_in = generic_stat_in,
    .rename_in = generic_rename_in,
    .rename_new_in = generic_rename_new_in,
    .link_in = generic_link_in,
    .unlink_in = generic_unlink_in,
    .release_fifo = generic_release_fifo,
    .writeout_probe = generic_writeout_probe,
    .writeout_start = generic_writeout,
    .writeout_wait = generic_writeout,
    .drop = generic_writeout,
  };

  return &table;
}
