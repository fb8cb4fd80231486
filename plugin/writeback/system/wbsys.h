/* wbfilesink: the table of system calls
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Every system call that storage can block or fail goes through this table, so
 * that a test can fail or hang the Nth one, and so that a platform without
 * write-out control is a second table and not a second writer. The calls have
 * the meaning, the results and the errno of the ones they are named for; what
 * a platform lacks answers -1 with ENOSYS, which the writer takes as the
 * refusal of a hint.
 *
 * All of them are called on a file's own threads only, without a lock.
 */
#pragma once

#include <glib.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "policy/wbvector.h"

G_BEGIN_DECLS

#define WB_NO_OFFSET (-1)

typedef struct
{
  const char *name;

  int (*open) (const char *path, int flags, unsigned mode);
  int (*close) (int fd);
  int (*stat) (const char *path, struct stat *status);
  /* Of a link itself. */
  int (*lstat) (const char *path, struct stat *status);
  int (*fstat) (int fd, struct stat *status);
  /* Where the file really is, behind every link: absolute, to be freed with
   * free(); NULL with errno. */
  char *(*real_path) (const char *path);
  /* What kind of file system holds the file ("ext4", "nfs", "0x1234"), in
   * static or `buffer` memory. */
  const char *(*file_system) (int fd, char buffer[32]);
  /* 0 if the file has positions, -1 with ESPIPE if it is a stream. */
  int (*seekable) (int fd);
  /* The size of a file or block device, or -1. */
  gint64 (*size) (int fd);

  /* At an offset, or at the descriptor's own position (WB_NO_OFFSET): targets
   * without positions, and what is appended. */
  gssize (*write) (int fd, const WbVector *vectors, int n, gint64 offset);
  /* Whether what is written without an offset goes to the file's end, wherever
   * that is by then. */
  int (*set_append) (int fd, gboolean append);
  /* The descriptor's own position, or -1. */
  gint64 (*position) (int fd);
  int (*set_nonblocking) (int fd);
  /* Until `fd` takes data, or `wake_fd` (-1: none) has some. 0 or -1. */
  int (*wait_writable) (int fd, int wake_fd);
  int (*truncate) (int fd, gint64 size);
  /* Reserves blocks for a range without changing the file's size. */
  int (*reserve) (int fd, gint64 offset, gint64 length);
  /* Gives back the blocks of a range. */
  int (*punch) (int fd, gint64 offset, gint64 length);
  /* Bytes of blocks that the file holds beyond `offset`, or -1. */
  gint64 (*blocks_beyond) (int fd, gint64 offset);
  /* Bytes that an ordinary user may still allocate, or -1. */
  gint64 (*free_space) (int fd);
  /* Bytes of the file's blocks that another file has as well (reflinks). */
  gint64 (*shared_bytes) (int fd);
  int (*unlink) (const char *path);
  int (*sync) (int fd);
  int (*sync_data) (int fd);
  /* A directory to be synced and looked into, or -1. */
  int (*open_directory) (const char *path);
  int (*close_directory) (int fd);
  int (*sync_directory) (int fd);
  /* stat() of a name in it. */
  int (*stat_in) (int directory, const char *name, struct stat *status);
  /* From one name in it to another, over what has that; the second never over
   * anything: EEXIST. Without a directory (-1) the names are paths. */
  int (*rename_in) (int directory, const char *from, const char *to);
  int (*rename_new_in) (int directory, const char *from, const char *to);
  /* The same in two steps, for file systems that lack the second. */
  int (*link_in) (int directory, const char *from, const char *to);
  int (*unlink_in) (int directory, const char *name);
  /* Whoever waits for a reader in the open of this FIFO is let go: for a moment
   * it has one. */
  int (*release_fifo) (const char *path);

  /* sync_file_range(2) with flags 0: 0 if write-out can be controlled. */
  int (*writeout_probe) (int fd);
  /* Begins the write-out of a range; may block on a full request queue. */
  int (*writeout_start) (int fd, gint64 offset, gint64 length);
  /* Returns when every byte of the range that was dirty before the call has
   * been written. Consumes the kernel's pending write-back error of this open
   * file: whoever calls it answers for the result. */
  int (*writeout_wait) (int fd, gint64 offset, gint64 length);
  /* Lets the clean whole pages of a range leave the cache. */
  int (*drop) (int fd, gint64 offset, gint64 length);
} WbSys;

/* The table of this build's platform. */
const WbSys *wb_sys_default (void);

G_END_DECLS
