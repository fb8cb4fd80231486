/* wbfilesink storage tests: a file system that does as it is told
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Problem: what the kernel makes of a file system's answer (which error it keeps,
 * hands out once, or takes for another) cannot be asked of a table of system calls
 * in the same process, and a disk that fails in a way of one's own choice cannot
 * be had.
 *
 * Strategy: a folder passed through by FUSE, with the kernel's write-back cache if
 * that is wanted, and a plan: the Nth call of a kind fails, hangs or takes its
 * time. Calls are counted from the start, or from the last `reset`. Each command
 * on stdin is answered with one line on stdout:
 *
 *   fail KIND NTH TIMES ERRNO   `TIMES` calls from the Nth on answer this number
 *   hang KIND NTH               it hangs until `release`, and then goes through
 *   delay KIND NTH TIMES MS     each takes so long, one after the other; MS may
 *                               be changed while they run
 *   release                     nothing hangs any more
 *   reset                       the plan and the counts are forgotten
 *   counts                      "counts KIND=N ...", and "bytes=N" written
 *   hanging                     "hanging N": how many calls hang now
 *
 * TIMES 0: for ever. The end of stdin unmounts. The first line, "ready", says that
 * it is mounted.
 *
 * Layout: the plan; the calls; commands; the program.
 */
#define FUSE_USE_VERSION 32

#include <fuse.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

typedef enum
{
  CALL_GETATTR,
  CALL_CREATE,
  CALL_OPEN,
  CALL_READ,
  CALL_WRITE,
  CALL_FSYNC,
  CALL_FDATASYNC,
  CALL_FSYNCDIR,
  CALL_FLUSH,
  CALL_RELEASE,
  CALL_FALLOCATE,
  CALL_TRUNCATE,
  CALLS
} Kind;

static const char *const names[CALLS] = { "getattr", "create", "open", "read",
  "write", "fsync", "fdatasync", "fsyncdir", "flush", "release", "fallocate",
  "truncate" };

typedef struct
{
  unsigned count;
  unsigned fail_first, fail_times;
  int code;
  unsigned hang_nth;
  unsigned delay_first, delay_times, delay_ms;
} Plan;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
/* What is delayed queues up, as before one head of one disk. */
static pthread_mutex_t turns[CALLS];
static Plan plans[CALLS];
static unsigned hanging, releases;
static unsigned long long bytes_written;
static int below = -1; /* the folder that is passed through */
static int writeback_cache;

/* --- the plan --- */

static int
is_meant (unsigned count, unsigned first, unsigned times)
{
  return first != 0 && count >= first && (times == 0 || count - first < times);
}

static void
hang (void)
{
  unsigned before = releases;

  hanging++;
  while (releases == before)
    pthread_cond_wait (&changed, &lock);
  hanging--;
}

static void
take_time (Kind kind)
{
  struct timespec time;
  unsigned ms;

  pthread_mutex_lock (&turns[kind]);
  pthread_mutex_lock (&lock);
  ms = plans[kind].delay_ms;
  pthread_mutex_unlock (&lock);
  time.tv_sec = ms / 1000;
  time.tv_nsec = ms % 1000 * 1000000L;
  nanosleep (&time, NULL);
  pthread_mutex_unlock (&turns[kind]);
}

/* 0, or what the call has to answer. */
static int
meet (Kind kind)
{
  Plan *plan = &plans[kind];
  unsigned count;
  int code = 0, slow;

  pthread_mutex_lock (&lock);
  count = ++plan->count;
  slow = is_meant (count, plan->delay_first, plan->delay_times);
  if (is_meant (count, plan->fail_first, plan->fail_times))
    code = -plan->code;
  if (count == plan->hang_nth)
    hang ();
  pthread_mutex_unlock (&lock);
  if (slow)
    take_time (kind);
  return code;
}

/* --- the calls --- */

/* Paths begin with a slash and are looked up below the folder. */
static const char *
relative (const char *path)
{
  return path[1] == '\0' ? "." : path + 1;
}

static int
answer (int result)
{
  return result < 0 ? -errno : 0;
}

static void *
on_init (struct fuse_conn_info *connection, struct fuse_config *config)
{
  if (writeback_cache)
    connection->want |= connection->capable & FUSE_CAP_WRITEBACK_CACHE;
  config->use_ino = 1;
  config->hard_remove = 1;
  /* What happens in the folder by another way is seen at once. */
  config->attr_timeout = config->entry_timeout = config->negative_timeout = 0;
  return NULL;
}

static int
on_getattr (const char *path, struct stat *status, struct fuse_file_info *file)
{
  int code = meet (CALL_GETATTR);

  if (code != 0)
    return code;
  if (file != NULL)
    return answer (fstat ((int) file->fh, status));
  return answer (fstatat (below, relative (path), status, AT_SYMLINK_NOFOLLOW));
}

/* With the cache, the kernel reads what it writes a part of, and knows where the
 * end is. */
static int
open_flags (int flags)
{
  if (!writeback_cache)
    return flags & ~O_NOFOLLOW;
  if ((flags & O_ACCMODE) == O_WRONLY)
    flags = (flags & ~O_ACCMODE) | O_RDWR;
  return flags & ~(O_APPEND | O_NOFOLLOW);
}

static int
open_file (
    const char *path, int flags, mode_t mode, struct fuse_file_info *file)
{
  int fd =
      openat (below, relative (path), open_flags (flags) | O_CLOEXEC, mode);

  if (fd < 0)
    return -errno;
  file->fh = (uint64_t) fd;
  return 0;
}

static int
on_open (const char *path, struct fuse_file_info *file)
{
  int code = meet (CALL_OPEN);

  return code != 0 ? code : open_file (path, file->flags, 0, file);
}

static int
on_create (const char *path, mode_t mode, struct fuse_file_info *file)
{
  int code = meet (CALL_CREATE);

  return code != 0 ? code : open_file (path, file->flags | O_CREAT, mode, file);
}

static int
on_read (const char *path, char *data, size_t size, off_t offset,
    struct fuse_file_info *file)
{
  int code = meet (CALL_READ);
  ssize_t n;

  if (code != 0)
    return code;
  n = pread ((int) file->fh, data, size, offset);
  return n < 0 ? -errno : (int) n;
}

static int
on_write (const char *path, const char *data, size_t size, off_t offset,
    struct fuse_file_info *file)
{
  int code = meet (CALL_WRITE);
  ssize_t n;

  if (code != 0)
    return code;
  n = pwrite ((int) file->fh, data, size, offset);
  if (n < 0)
    return -errno;
  pthread_mutex_lock (&lock);
  bytes_written += (unsigned long long) n;
  pthread_mutex_unlock (&lock);
  return (int) n;
}

static int
on_fsync (const char *path, int datasync, struct fuse_file_info *file)
{
  int code = meet (datasync ? CALL_FDATASYNC : CALL_FSYNC);

  if (code != 0)
    return code;
  return answer (
      datasync ? fdatasync ((int) file->fh) : fsync ((int) file->fh));
}

static int
on_fsyncdir (const char *path, int datasync, struct fuse_file_info *file)
{
  return meet (CALL_FSYNCDIR);
}

static int
on_flush (const char *path, struct fuse_file_info *file)
{
  return meet (CALL_FLUSH);
}

static int
on_release (const char *path, struct fuse_file_info *file)
{
  int code = meet (CALL_RELEASE);

  close ((int) file->fh);
  return code;
}

static int
on_fallocate (const char *path, int mode, off_t offset, off_t length,
    struct fuse_file_info *file)
{
  int code = meet (CALL_FALLOCATE);

  return code != 0 ? code
                   : answer (fallocate ((int) file->fh, mode, offset, length));
}

static int
on_truncate (const char *path, off_t size, struct fuse_file_info *file)
{
  int code = meet (CALL_TRUNCATE);
  int fd, result;

  if (code != 0)
    return code;
  if (file != NULL)
    return answer (ftruncate ((int) file->fh, size));
  fd = openat (below, relative (path), O_WRONLY | O_CLOEXEC);
  if (fd < 0)
    return -errno;
  result = answer (ftruncate (fd, size));
  close (fd);
  return result;
}

static int
on_unlink (const char *path)
{
  return answer (unlinkat (below, relative (path), 0));
}

static int
on_mkdir (const char *path, mode_t mode)
{
  return answer (mkdirat (below, relative (path), mode));
}

static int
on_rmdir (const char *path)
{
  return answer (unlinkat (below, relative (path), AT_REMOVEDIR));
}

static int
on_rename (const char *from, const char *to, unsigned flags)
{
  if (flags != 0)
    return -EINVAL;
  return answer (renameat (below, relative (from), below, relative (to)));
}

static int
on_chmod (const char *path, mode_t mode, struct fuse_file_info *file)
{
  return answer (fchmodat (below, relative (path), mode, 0));
}

static int
on_utimens (const char *path, const struct timespec times[2],
    struct fuse_file_info *file)
{
  return answer (
      utimensat (below, relative (path), times, AT_SYMLINK_NOFOLLOW));
}

static int
on_statfs (const char *path, struct statvfs *status)
{
  return answer (fstatvfs (below, status));
}

static int
on_readdir (const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset,
    struct fuse_file_info *file, enum fuse_readdir_flags flags)
{
  int fd = openat (below, relative (path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *directory = fd >= 0 ? fdopendir (fd) : NULL;
  struct dirent *entry;

  if (directory == NULL)
    return -errno;
  while ((entry = readdir (directory)) != NULL)
    fill (buffer, entry->d_name, NULL, 0, 0);
  closedir (directory);
  return 0;
}

static const struct fuse_operations operations = {
  .init = on_init,
  .getattr = on_getattr,
  .open = on_open,
  .create = on_create,
  .read = on_read,
  .write = on_write,
  .fsync = on_fsync,
  .fsyncdir = on_fsyncdir,
  .flush = on_flush,
  .release = on_release,
  .fallocate = on_fallocate,
  .truncate = on_truncate,
  .unlink = on_unlink,
  .mkdir = on_mkdir,
  .rmdir = on_rmdir,
  .rename = on_rename,
  .chmod = on_chmod,
  .utimens = on_utimens,
  .statfs = on_statfs,
  .readdir = on_readdir,
};

/* --- commands --- */

static Plan *
plan_of (const char *name)
{
  for (int kind = 0; kind < CALLS; kind++)
    if (strcmp (names[kind], name) == 0)
      return &plans[kind];
  fprintf (stderr, "wbfuse: there is no call '%s'\n", name);
  exit (2);
}

static void
release_all (void)
{
  releases++;
  pthread_cond_broadcast (&changed);
}

static void
tell_counts (void)
{
  printf ("counts bytes=%llu", bytes_written);
  for (int kind = 0; kind < CALLS; kind++)
    printf (" %s=%u", names[kind], plans[kind].count);
  printf ("\n");
}

static void
obey (const char *line)
{
  char name[16];
  unsigned nth, times, value;

  if (sscanf (line, "fail %15s %u %u %u", name, &nth, &times, &value) == 4) {
    Plan *plan = plan_of (name);

    plan->fail_first = nth;
    plan->fail_times = times;
    plan->code = (int) value;
  } else if (sscanf (line, "delay %15s %u %u %u", name, &nth, &times, &value)
      == 4) {
    Plan *plan = plan_of (name);

    plan->delay_first = nth;
    plan->delay_times = times;
    plan->delay_ms = value;
  } else if (sscanf (line, "hang %15s %u", name, &nth) == 2) {
    plan_of (name)->hang_nth = nth;
  } else if (strcmp (line, "release") == 0) {
    for (int kind = 0; kind < CALLS; kind++)
      plans[kind].hang_nth = 0;
    release_all ();
  } else if (strcmp (line, "reset") == 0) {
    memset (plans, 0, sizeof plans);
    bytes_written = 0;
  } else if (strcmp (line, "counts") == 0) {
    tell_counts ();
    return;
  } else if (strcmp (line, "hanging") == 0) {
    printf ("hanging %u\n", hanging);
    return;
  } else {
    printf ("what is '%s'?\n", line);
    return;
  }
  printf ("ok\n");
}

static void
obey_all (void)
{
  char line[128];

  while (fgets (line, sizeof line, stdin) != NULL) {
    line[strcspn (line, "\n")] = '\0';
    pthread_mutex_lock (&lock);
    obey (line);
    pthread_mutex_unlock (&lock);
    fflush (stdout);
  }
  pthread_mutex_lock (&lock);
  memset (plans, 0, sizeof plans);
  release_all ();
  pthread_mutex_unlock (&lock);
}

/* --- the program --- */

static void *
serve (void *data)
{
  struct fuse_loop_config config = { .clone_fd = 0, .max_idle_threads = 32 };

  fuse_loop_mt (data, &config);
  return NULL;
}

static int
run (const char *mount_point)
{
  char program[] = "wbfuse", option[] = "-o",
       options[] = "fsname=wbfuse,subtype=wbfuse,allow_other,"
                   "default_permissions";
  char *words[] = { program, option, options, NULL };
  struct fuse_args args = FUSE_ARGS_INIT (3, words);
  struct fuse *fuse = fuse_new (&args, &operations, sizeof operations, NULL);
  pthread_t server;

  if (fuse == NULL || fuse_mount (fuse, mount_point) != 0)
    return 1;
  if (pthread_create (&server, NULL, serve, fuse) != 0)
    return 1;
  printf ("ready\n");
  fflush (stdout);
  obey_all ();
  fuse_unmount (fuse);
  fuse_exit (fuse);
  /* A call that never ends would keep it: the process ends all of them. */
  return 0;
}

int
main (int argc, char **argv)
{
  int first = 1;

  if (argc > 1 && strcmp (argv[1], "--writeback-cache") == 0) {
    writeback_cache = 1;
    first++;
  }
  if (argc != first + 2) {
    fprintf (stderr, "Usage: wbfuse [--writeback-cache] FOLDER MOUNTPOINT\n");
    return 2;
  }
  for (int kind = 0; kind < CALLS; kind++)
    pthread_mutex_init (&turns[kind], NULL);
  umask (0);
  below = open (argv[first], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (below < 0) {
    perror (argv[first]);
    return 2;
  }
  return run (argv[first + 1]);
}
