/* wbfilesink: system calls on Linux
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "system/wbsys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Not in every <linux/magic.h>. */
#define MAGIC_XFS 0x58465342
#define MAGIC_NFS 0x6969
#define MAGIC_FUSE 0x65735546
#define MAGIC_VFAT 0x4d44
#define MAGIC_EXFAT 0x2011bab0
#define MAGIC_CIFS 0xff534d42
#define MAGIC_SMB2 0xfe534d42
#define MAGIC_ZFS 0x2fc12fc1
#define MAGIC_F2FS 0xf2f52010
#define MAGIC_OVERLAYFS 0x794c7630
#define MAGIC_9P 0x01021997
#define MAGIC_CEPH 0x00c36400

/* RENAME_NOREPLACE, where <stdio.h> does not have it yet. */
#define NOREPLACE (1 << 0)

static const struct
{
  guint32 magic;
  const char *name;
} file_systems[] = {
  { 0xef53, "ext4" },
  { MAGIC_XFS, "xfs" },
  { 0x9123683e, "btrfs" },
  { 0x01021994, "tmpfs" },
  { MAGIC_NFS, "nfs" },
  { MAGIC_FUSE, "fuse" },
  { MAGIC_VFAT, "vfat" },
  { MAGIC_EXFAT, "exfat" },
  { MAGIC_CIFS, "cifs" },
  { MAGIC_SMB2, "smb" },
  { MAGIC_ZFS, "zfs" },
  { MAGIC_F2FS, "f2fs" },
  { MAGIC_OVERLAYFS, "overlayfs" },
  { MAGIC_9P, "9p" },
  { MAGIC_CEPH, "ceph" },
};

static int
linux_open (const char *path, int flags, unsigned mode)
{
  return open (path, flags, (mode_t) mode);
}

static char *
linux_real_path (const char *path)
{
  return realpath (path, NULL);
}

static const char *
linux_file_system (int fd, char buffer[32])
{
  struct statfs status;

  if (fstatfs (fd, &status) != 0)
    return "unknown";
  for (guint i = 0; i < G_N_ELEMENTS (file_systems); i++)
    if (file_systems[i].magic == (guint32) status.f_type)
      return file_systems[i].name;
  g_snprintf (buffer, 32, "0x%x", (guint) status.f_type);
  return buffer;
}

static int
linux_seekable (int fd)
{
  return lseek (fd, 0, SEEK_CUR) < 0 ? -1 : 0;
}

static gint64
linux_size (int fd)
{
  return lseek (fd, 0, SEEK_END);
}

G_STATIC_ASSERT (sizeof (WbVector) == sizeof (struct iovec));
G_STATIC_ASSERT (G_STRUCT_OFFSET (WbVector, data)
    == G_STRUCT_OFFSET (struct iovec, iov_base));
G_STATIC_ASSERT (G_STRUCT_OFFSET (WbVector, size)
    == G_STRUCT_OFFSET (struct iovec, iov_len));

static gssize
linux_write (int fd, const WbVector *vectors, int n, gint64 offset)
{
  const struct iovec *pieces = (const struct iovec *) vectors;

  if (offset == WB_NO_OFFSET)
    return writev (fd, pieces, n);
  return pwritev (fd, pieces, n, offset);
}

static int
linux_set_append (int fd, gboolean append)
{
  int flags = fcntl (fd, F_GETFL);

  if (flags < 0)
    return -1;
  return fcntl (fd, F_SETFL, append ? flags | O_APPEND : flags & ~O_APPEND);
}

static gint64
linux_position (int fd)
{
  return lseek (fd, 0, SEEK_CUR);
}

static int
linux_set_nonblocking (int fd)
{
  int flags = fcntl (fd, F_GETFL);

  return flags < 0 ? -1 : fcntl (fd, F_SETFL, flags | O_NONBLOCK);
}

static int
linux_wait_writable (int fd, int wake_fd)
{
  struct pollfd fds[2] = { { .fd = fd, .events = POLLOUT },
    { .fd = wake_fd, .events = POLLIN } };

  return poll (fds, wake_fd >= 0 ? 2 : 1, -1) < 0 ? -1 : 0;
}

static int
linux_reserve (int fd, gint64 offset, gint64 length)
{
  return fallocate (fd, FALLOC_FL_KEEP_SIZE, offset, length);
}

static int
linux_punch (int fd, gint64 offset, gint64 length)
{
  return fallocate (
      fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
}

/* What one call asks for. */
#define EXTENTS 16

/* Not from st_blocks, which counts the blocks of the extent tree as well. */
static gint64
extent_bytes (int fd, gint64 offset, guint32 flag)
{
  union
  {
    struct fiemap map;
    /* With as many extents behind it. */
    char room[sizeof (struct fiemap) + EXTENTS * sizeof (struct fiemap_extent)];
  } request;
  guint64 from = (guint64) offset;
  gint64 bytes = 0;

  for (;;) {
    guint n;

    memset (&request, 0, sizeof request);
    request.map.fm_start = from;
    request.map.fm_length = FIEMAP_MAX_OFFSET - from;
    request.map.fm_extent_count = EXTENTS;
    if (ioctl (fd, FS_IOC_FIEMAP, &request.map) != 0)
      return -1;
    n = request.map.fm_mapped_extents;
    for (guint i = 0; i < n; i++) {
      const struct fiemap_extent *extent = &request.map.fm_extents[i];
      guint64 end = extent->fe_logical + extent->fe_length;

      if ((extent->fe_flags & flag) == flag)
        bytes += (gint64) (end - MAX (extent->fe_logical, (guint64) offset));
      from = end;
      if ((extent->fe_flags & FIEMAP_EXTENT_LAST) != 0)
        return bytes;
    }
    if (n == 0)
      return bytes;
  }
}

static gint64
linux_blocks_beyond (int fd, gint64 offset)
{
  return extent_bytes (fd, offset, 0);
}

static gint64
linux_shared_bytes (int fd)
{
  return extent_bytes (fd, 0, FIEMAP_EXTENT_SHARED);
}

static gint64
linux_free_space (int fd)
{
  struct statfs status;

  if (fstatfs (fd, &status) != 0)
    return -1;
  /* What has no blocks at all does not count them: tmpfs without a bound, FUSE
   * without a statfs. */
  if (status.f_blocks == 0) {
    errno = ENOSYS;
    return -1;
  }
  /* Blocks are counted in fragments; f_bsize is what is best to write at once, and
   * may be larger on FUSE. */
  return (gint64) status.f_bavail * (gint64) status.f_frsize;
}

static int
linux_open_directory (const char *path)
{
  return open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int
linux_stat_in (int directory, const char *name, struct stat *status)
{
  return fstatat (directory, name, status, AT_SYMLINK_NOFOLLOW);
}

static int
at (int directory)
{
  return directory < 0 ? AT_FDCWD : directory;
}

static int
linux_rename_in (int directory, const char *from, const char *to)
{
  return renameat (at (directory), from, at (directory), to);
}

/* By number: a C library may be older than the call, as glibc before 2.28. */
static int
linux_rename_new_in (int directory, const char *from, const char *to)
{
#ifdef SYS_renameat2
  return (int) syscall (
      SYS_renameat2, at (directory), from, at (directory), to, NOREPLACE);
#else
  errno = ENOSYS;
  return -1;
#endif
}

static int
linux_link_in (int directory, const char *from, const char *to)
{
  return linkat (at (directory), from, at (directory), to, 0);
}

static int
linux_unlink_in (int directory, const char *name)
{
  return unlinkat (at (directory), name, 0);
}

/* Not blocking, it has no need of a writer. */
static int
linux_release_fifo (const char *path)
{
  int fd = open (path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

  return fd < 0 ? -1 : close (fd);
}

static int
linux_writeout_probe (int fd)
{
  return sync_file_range (fd, 0, 1, 0);
}

static int
linux_writeout_start (int fd, gint64 offset, gint64 length)
{
  return sync_file_range (fd, offset, length, SYNC_FILE_RANGE_WRITE);
}

/* All three flags: after a patch to a page in flight, WAIT_AFTER alone leaves
 * the page dirty (measured on 6.18: 257 pages of a folio). */
static int
linux_writeout_wait (int fd, gint64 offset, gint64 length)
{
  return sync_file_range (fd, offset, length,
      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE
          | SYNC_FILE_RANGE_WAIT_AFTER);
}

static int
linux_drop (int fd, gint64 offset, gint64 length)
{
  /* It returns the error instead of setting errno. */
  int error = posix_fadvise (fd, offset, length, POSIX_FADV_DONTNEED);

  if (error == 0)
    return 0;
  errno = error;
  return -1;
}

const WbSys *
wb_sys_default (void)
{
  static const WbSys table = {
    .name = "linux",
    .open = linux_open,
    .close = close,
    .stat = stat,
    .lstat = lstat,
    .fstat = fstat,
    .real_path = linux_real_path,
    .file_system = linux_file_system,
    .seekable = linux_seekable,
    .size = linux_size,
    .write = linux_write,
    .set_append = linux_set_append,
    .position = linux_position,
    .set_nonblocking = linux_set_nonblocking,
    .wait_writable = linux_wait_writable,
    .truncate = ftruncate,
    .reserve = linux_reserve,
    .punch = linux_punch,
    .blocks_beyond = linux_blocks_beyond,
    .free_space = linux_free_space,
    .shared_bytes = linux_shared_bytes,
    .unlink = unlink,
    .sync = fsync,
    .sync_data = fdatasync,
    .open_directory = linux_open_directory,
    .close_directory = close,
    .sync_directory = fsync,
    .stat_in = linux_stat_in,
    .rename_in = linux_rename_in,
    .rename_new_in = linux_rename_new_in,
    .link_in = linux_link_in,
    .unlink_in = linux_unlink_in,
    .release_fifo = linux_release_fifo,
    .writeout_probe = linux_writeout_probe,
    .writeout_start = linux_writeout_start,
    .writeout_wait = linux_writeout_wait,
    .drop = linux_drop,
  };

  return &table;
}
