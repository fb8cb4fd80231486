/* A table of system calls that fails, shortens or hangs the Nth call of a kind.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "faultsys.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

typedef struct
{
  guint count;
  guint fail_first, fail_times;
  int code;
  guint hang_nth;
  guint delay_us;
} Plan;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static Plan plans[FAULT_CALLS];
static guint hanging;
static gboolean released, hit, interrupt_writes, ideal_disk;
static gint64 hanging_since;
static guint interruptions;
static gsize longest_write;
static int descriptors;

static const char *const names[FAULT_CALLS] = { "open", "fstat", "write",
  "start", "wait", "drop", "reserve", "truncate", "punch", "free-space",
  "blocks-beyond", "fsync", "fdatasync", "fsync-directory", "close", "rename",
  "rename-new", "link" };

const char *
fault_name (FaultCall call)
{
  return names[call];
}

guint64
fault_setting (const char *name, guint64 otherwise)
{
  const char *text = g_getenv (name);

  return text != NULL ? g_ascii_strtoull (text, NULL, 10) : otherwise;
}

void
fault_reset (void)
{
  pthread_mutex_lock (&lock);
  g_assert_cmpuint (hanging, ==, 0);
  memset (plans, 0, sizeof plans);
  released = hit = interrupt_writes = ideal_disk = FALSE;
  interruptions = 0;
  longest_write = 0;
  pthread_mutex_unlock (&lock);
}

void
fault_fail (FaultCall call, guint nth, guint times, int code)
{
  pthread_mutex_lock (&lock);
  plans[call].fail_first = nth;
  plans[call].fail_times = times;
  plans[call].code = code;
  pthread_mutex_unlock (&lock);
}

void
fault_delay (FaultCall call, guint nth, guint us)
{
  pthread_mutex_lock (&lock);
  plans[call].hang_nth = nth;
  plans[call].delay_us = us;
  pthread_mutex_unlock (&lock);
}

void
fault_hang (FaultCall call, guint nth)
{
  fault_delay (call, nth, 0);
}

void
fault_shorten_writes (gsize most)
{
  pthread_mutex_lock (&lock);
  longest_write = most;
  pthread_mutex_unlock (&lock);
}

void
fault_interrupt_writes (gboolean interrupt)
{
  pthread_mutex_lock (&lock);
  interrupt_writes = interrupt;
  pthread_mutex_unlock (&lock);
}

void
fault_release (void)
{
  pthread_mutex_lock (&lock);
  released = TRUE;
  pthread_cond_broadcast (&changed);
  pthread_mutex_unlock (&lock);
}

void
fault_any (GRand *rand, guint most_us)
{
  static const int codes[] = { EIO, ENOSPC, EDQUOT, EFBIG, EROFS, EACCES,
    EINVAL, ENOSYS, EOPNOTSUPP, ESPIPE, EINTR };

  for (gint n = g_rand_int_range (rand, 1, 4); n > 0; n--) {
    FaultCall call = g_rand_int_range (rand, 0, FAULT_CALLS);
    guint nth = (guint) g_rand_int_range (rand, 1, 20);

    if (g_rand_boolean (rand))
      fault_delay (call, nth, g_rand_int_range (rand, 1, (gint) most_us));
    else
      fault_fail (call, nth, (guint) g_rand_int_range (rand, 1, 4),
          codes[g_rand_int_range (rand, 0, G_N_ELEMENTS (codes))]);
  }
  if (g_rand_int_range (rand, 0, 4) == 0)
    fault_shorten_writes ((gsize) g_rand_int_range (rand, 1000, 100000));
  fault_interrupt_writes (g_rand_int_range (rand, 0, 4) == 0);
}

void
fault_ideal_disk (gboolean ideal)
{
  pthread_mutex_lock (&lock);
  ideal_disk = ideal;
  pthread_mutex_unlock (&lock);
}

static gboolean
is_ideal (void)
{
  gboolean ideal;

  pthread_mutex_lock (&lock);
  ideal = ideal_disk;
  pthread_mutex_unlock (&lock);
  return ideal;
}

guint
fault_count (FaultCall call)
{
  guint count;

  pthread_mutex_lock (&lock);
  count = plans[call].count;
  pthread_mutex_unlock (&lock);
  return count;
}

gboolean
fault_was_hit (void)
{
  gboolean was_hit;

  pthread_mutex_lock (&lock);
  was_hit = hit;
  pthread_mutex_unlock (&lock);
  return was_hit;
}

static struct timespec
seconds_from_now (guint us)
{
  struct timespec when;

  clock_gettime (CLOCK_REALTIME, &when);
  when.tv_sec += us / 1000000;
  when.tv_nsec += us % 1000000 * 1000L;
  if (when.tv_nsec >= 1000000000) {
    when.tv_sec++;
    when.tv_nsec -= 1000000000;
  }
  return when;
}

gboolean
fault_wait_hanging (void)
{
  struct timespec deadline = seconds_from_now (10 * 1000000);
  gboolean hangs;

  pthread_mutex_lock (&lock);
  while (hanging == 0)
    if (pthread_cond_timedwait (&changed, &lock, &deadline) != 0)
      break;
  hangs = hanging > 0;
  pthread_mutex_unlock (&lock);
  return hangs;
}

gint64
fault_hanging_since (void)
{
  gint64 since;

  pthread_mutex_lock (&lock);
  since = hanging > 0 ? hanging_since : 0;
  pthread_mutex_unlock (&lock);
  return since;
}

guint
fault_count_threads (void)
{
  GDir *tasks = g_dir_open ("/proc/self/task", 0, NULL);
  const gchar *task;
  guint n = 0;

  while (tasks != NULL && (task = g_dir_read_name (tasks)) != NULL) {
    g_autofree gchar *path =
        g_build_filename ("/proc/self/task", task, "comm", NULL);
    g_autofree gchar *name = NULL;

    if (g_file_get_contents (path, &name, NULL, NULL))
      n += g_str_has_prefix (name, "wbfile");
  }
  g_clear_pointer (&tasks, g_dir_close);
  return n;
}

int
fault_open_descriptors (void)
{
  int n;

  pthread_mutex_lock (&lock);
  n = descriptors;
  pthread_mutex_unlock (&lock);
  return n;
}

static void
hang (Plan *plan)
{
  struct timespec deadline = seconds_from_now (plan->delay_us);

  hit = TRUE;
  hanging++;
  hanging_since = g_get_monotonic_time ();
  pthread_cond_broadcast (&changed);
  while (!released) {
    if (plan->delay_us == 0)
      pthread_cond_wait (&changed, &lock);
    else if (pthread_cond_timedwait (&changed, &lock, &deadline) != 0)
      break;
  }
  hanging--;
}

/* TRUE: the call fails, errno is set. */
static gboolean
meet (FaultCall call)
{
  Plan *plan = &plans[call];
  gboolean fails;
  int code;

  pthread_mutex_lock (&lock);
  plan->count++;
  if (plan->count == plan->hang_nth)
    hang (plan);
  fails = plan->fail_first != 0 && plan->count >= plan->fail_first
      && plan->count - plan->fail_first < plan->fail_times;
  hit |= fails;
  code = plan->code;
  pthread_mutex_unlock (&lock);
  if (fails)
    errno = code;
  return fails;
}

static int
fault_open (const char *path, int flags, unsigned mode)
{
  int fd = meet (FAULT_OPEN) ? -1 : wb_sys_default ()->open (path, flags, mode);

  if (fd >= 0) {
    pthread_mutex_lock (&lock);
    descriptors++;
    pthread_mutex_unlock (&lock);
  }
  return fd;
}

static int
fault_close (int fd)
{
  gboolean fails = meet (FAULT_CLOSE);
  int code = errno, result;

  /* As in the kernel, the number is gone whatever close says. */
  result = wb_sys_default ()->close (fd);
  pthread_mutex_lock (&lock);
  descriptors--;
  pthread_mutex_unlock (&lock);
  if (!fails)
    return result;
  errno = code;
  return -1;
}

static int
fault_fstat (int fd, struct stat *status)
{
  return meet (FAULT_FSTAT) ? -1 : wb_sys_default ()->fstat (fd, status);
}

static int
fault_rename (int directory, const char *from, const char *to)
{
  return meet (FAULT_RENAME)
      ? -1
      : wb_sys_default ()->rename_in (directory, from, to);
}

static int
fault_rename_new (int directory, const char *from, const char *to)
{
  return meet (FAULT_RENAME_NEW)
      ? -1
      : wb_sys_default ()->rename_new_in (directory, from, to);
}

static int
fault_link (int directory, const char *from, const char *to)
{
  return meet (FAULT_LINK) ? -1
                           : wb_sys_default ()->link_in (directory, from, to);
}

static gboolean
interrupted (void)
{
  static const int codes[] = { EINTR, EAGAIN, 0 };
  int code = 0;

  pthread_mutex_lock (&lock);
  if (interrupt_writes)
    code = codes[interruptions++ % G_N_ELEMENTS (codes)];
  pthread_mutex_unlock (&lock);
  errno = code;
  return code != 0;
}

static gssize
fault_write (int fd, const WbVector *vectors, int n, gint64 offset)
{
  WbVector first = vectors[0];
  gsize most;

  if (interrupted () || meet (FAULT_WRITE))
    return -1;
  pthread_mutex_lock (&lock);
  most = longest_write;
  pthread_mutex_unlock (&lock);
  if (most == 0)
    return wb_sys_default ()->write (fd, vectors, n, offset);
  first.size = MIN (first.size, most);
  return wb_sys_default ()->write (fd, &first, 1, offset);
}

/* A call that an ideal disk answers itself. */
static gboolean
answered (FaultCall call, int *result)
{
  if (meet (call))
    *result = -1;
  else if (is_ideal ())
    *result = 0;
  else
    return FALSE;
  return TRUE;
}

static int
fault_reserve (int fd, gint64 offset, gint64 length)
{
  int result;

  return answered (FAULT_RESERVE, &result)
      ? result
      : wb_sys_default ()->reserve (fd, offset, length);
}

static int
fault_truncate (int fd, gint64 size)
{
  return meet (FAULT_TRUNCATE) ? -1 : wb_sys_default ()->truncate (fd, size);
}

static int
fault_punch (int fd, gint64 offset, gint64 length)
{
  int result;

  return answered (FAULT_PUNCH, &result)
      ? result
      : wb_sys_default ()->punch (fd, offset, length);
}

static int
fault_sync (int fd)
{
  int result;

  return answered (FAULT_SYNC, &result) ? result : wb_sys_default ()->sync (fd);
}

static int
fault_sync_data (int fd)
{
  int result;

  return answered (FAULT_SYNC_DATA, &result)
      ? result
      : wb_sys_default ()->sync_data (fd);
}

static int
fault_sync_directory (int fd)
{
  int result;

  return answered (FAULT_SYNC_DIRECTORY, &result)
      ? result
      : wb_sys_default ()->sync_directory (fd);
}

static int
fault_start (int fd, gint64 offset, gint64 length)
{
  int result;

  return answered (FAULT_START, &result)
      ? result
      : wb_sys_default ()->writeout_start (fd, offset, length);
}

static int
fault_wait (int fd, gint64 offset, gint64 length)
{
  int result;

  return answered (FAULT_WAIT, &result)
      ? result
      : wb_sys_default ()->writeout_wait (fd, offset, length);
}

static int
fault_drop (int fd, gint64 offset, gint64 length)
{
  int result;

  return answered (FAULT_DROP, &result)
      ? result
      : wb_sys_default ()->drop (fd, offset, length);
}

static int
fault_probe (int fd)
{
  return is_ideal () ? 0 : wb_sys_default ()->writeout_probe (fd);
}

static const char *
fault_file_system (int fd, char buffer[32])
{
  return is_ideal () ? "ext4" : wb_sys_default ()->file_system (fd, buffer);
}

static gint64
fault_free_space (int fd)
{
  if (meet (FAULT_FREE_SPACE))
    return -1;
  return is_ideal () ? G_MAXINT64 : wb_sys_default ()->free_space (fd);
}

/* Some are left after the truncation, as xfs leaves them. */
static gint64
fault_blocks_beyond (int fd, gint64 offset)
{
  if (meet (FAULT_BLOCKS_BEYOND))
    return -1;
  return is_ideal () ? 1024 * 1024
                     : wb_sys_default ()->blocks_beyond (fd, offset);
}

const WbSys *
fault_sys (void)
{
  static WbSys table;
  static gsize once = 0;

  if (g_once_init_enter (&once)) {
    table = *wb_sys_default ();
    table.name = "faults";
    table.open = fault_open;
    table.close = fault_close;
    table.fstat = fault_fstat;
    table.rename_in = fault_rename;
    table.rename_new_in = fault_rename_new;
    table.link_in = fault_link;
    table.write = fault_write;
    table.reserve = fault_reserve;
    table.truncate = fault_truncate;
    table.punch = fault_punch;
    table.sync = fault_sync;
    table.sync_data = fault_sync_data;
    table.sync_directory = fault_sync_directory;
    table.writeout_start = fault_start;
    table.writeout_wait = fault_wait;
    table.drop = fault_drop;
    table.writeout_probe = fault_probe;
    table.file_system = fault_file_system;
    table.free_space = fault_free_space;
    table.blocks_beyond = fault_blocks_beyond;
    g_once_init_leave (&once, 1);
  }
  return &table;
}

void
fault_file_init (FaultFile *self)
{
  self->directory = g_dir_make_tmp ("wb-faults-XXXXXX", NULL);
  self->path = g_build_filename (self->directory, "file", NULL);
  fault_reset ();
}

void
fault_file_clear (FaultFile *self)
{
  g_unlink (self->path);
  g_rmdir (self->directory);
  g_free (self->path);
  g_free (self->directory);
}

void
fault_file_configure (const FaultFile *self, gsize piece, WbFileConfig *config)
{
  const guint64 mib = 1 << 20;

  memset (config, 0, sizeof *config);
  config->location = self->path;
  config->wake_bytes = piece;
  config->bounds.chunk_size = mib;
  config->bounds.max_dirty_bytes = 4 * mib;
  config->bounds.max_queued_bytes = mib;
  config->bounds.sync_timeout_us = FAULT_PATIENCE_US;
  config->bounds.writeback_timeout_us = FAULT_PATIENCE_US;
  config->sys = fault_sys ();
}

WbStatus
fault_file_push (WbFile *file, const guint8 *bytes, gsize size)
{
  WbStall stall;
  WbStatus status = wb_file_begin (file, size, &stall);

  if (status != WB_OK)
    return status;
  wb_file_copy (file, bytes, size);
  wb_file_end_buffer (file);
  wb_file_end (file);
  return WB_OK;
}

WbSyncResult
fault_file_sync (WbFile *file, WbSyncKind kind, gboolean finish)
{
  WbSyncResult result;
  WbStall stall;

  g_assert_cmpint (
      wb_file_wait_sync (file, wb_file_request_sync (file, kind, finish),
          WB_WAIT_STREAM, &result, &stall),
      ==, WB_OK);
  return result;
}
