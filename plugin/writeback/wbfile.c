/* wbfilesink: one output file
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Layout: the file and its lock; errors, calls and logging; bounds; the
 * retirer; the I/O thread: opening, writing, syncing, restarting, ending;
 * abandoned files; what callers see.
 */
#include "wbfile.h"

#include "wbdevice.h"
#include "wbmeter.h"
#include "wbplanner.h"
#include "wbqueue.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#ifndef O_NOCTTY
#define O_NOCTTY 0
#endif
#ifndef O_SYNC
#define O_SYNC 0
#endif

/* A partial batch is written this long after its first byte came. */
#define LINGER_US (5 * 1000)
/* The window and the queue start here and grow with what has drained. */
#define WINDOW_START (4 * WB_BATCH)
#define QUEUE_START (8 * WB_BATCH)
/* What is handed to the disk together comes back together, and a held push
 * waits for it: 60 MB/s disk, 2 MB steps, 33 ms. */
#define START_STEPS_A_SECOND 30
#define WINDOW_FLOOR (4 * WB_BATCH)
#define QUEUE_FLOOR WB_BATCH
/* start() must answer even with a tiny sync timeout. */
#define OPEN_TIMEOUT_MIN_US (G_USEC_PER_SEC / 2)
/* A target without positions may take bytes slowly: small writes, so that each
 * one that returns counts as progress. Half of Linux's default pipe. */
#define STREAM_WRITE (32 * 1024)
#define TRANSIENT_RETRY_US (10 * 1000)

/* Beside a sync's kind in the queue: the end of the stream. */
#define SYNC_FINISHES 0x100

typedef enum
{
  IO_BUSY,
  IO_IDLE,     /* waits for the first byte */
  IO_LINGERING /* waits for more, or for its time */
} IoState;

/* A call that one of the threads is in. */
typedef struct
{
  const char *name; /* NULL: none */
  guint64 offset;
  gint64 since_us;
} Call;

struct _WbFile
{
  gint ref_count;
  const WbSys *sys;
  WbListener listener;
  char *location;
  WbOpenMode mode;
  WbWriteback writeback;
  WbPreallocate preallocate;
  gboolean o_sync;
  gboolean unbuffered;
  guint64 wake_bytes;
  gint64 transient_timeout_us;

  /* written by the I/O thread before `opened`, constant after it */
  int fd;
  int wake_fds[2]; /* -1: the target never needs waking */
  char *parent;
  gboolean seekable;
  gboolean regular;
  gboolean block_device;
  gboolean fifo;
  dev_t device;
  ino_t inode;
  guint64 base;
  guint64 size_at_open;
  guint64 old_blocks; /* bytes of blocks the file had at open */

  pthread_mutex_t lock;
  pthread_cond_t io_cond;     /* for the I/O thread */
  pthread_cond_t retire_cond; /* for the retirer */
  pthread_cond_t user_cond;   /* for callers */

  /* --- everything below is under the lock --- */
  WbBounds bounds;
  guint users; /* threads that hold the fd */
  gboolean opened;
  gboolean closed;
  gboolean quit;         /* the I/O thread ends when the queue is empty */
  gboolean retirer_quit; /* then the retirer does */
  gboolean abandoned;
  gboolean listed;     /* among the abandoned files */
  gboolean identified; /* device and inode are known */
  GThread *io_thread, *retire_thread;
  Call io_call, retire_call;

  gint64 last_progress_us;
  guint64 progress;
  guint64 progress_given_up; /* + 1; 0: no wait has timed out */
  guint64 stall_told;        /* + 1; 0: none was */
  gboolean interrupted;
  guint callers_waiting;
  gboolean caller_wants_room;

  WbQueue queue;
  guint64 queued;      /* bytes, the batch under way included */
  guint64 push_offset; /* where the next buffer goes */
  guint64 accepted;    /* bytes ever */
  IoState io_state;
  gboolean lively;   /* something was just written */
  gboolean lingered; /* for as long as it may: what there is is written */
  gboolean restart_pending;
  guint64 generation; /* counts flushes */

  guint64 tokens, token_done, token_finish;
  gboolean sync_failed; /* an fsync failed: it is never asked again */
  WbSyncResult sync_done_result;
  guint64 accepted_at_finish;

  WbDevice *shared; /* the disk, with the others' files */
  gboolean active;  /* has dirty bytes on it */
  guint64 counted_dirty;
  WbPlanner planner;
  gboolean control; /* write-out is ours to control */
  gboolean drop_refused;
  gboolean hold_retirer;
  gboolean retirer_resting;
  gint64 drain_mark_us;
  gint64 last_retire_us;
  WbMeter drain_meter, write_meter;
  gint64 write_waited_us; /* for a stream to take data, before this write */
  guint64 time_window, time_queue; /* what max-dirty-time allows now, bytes */
  guint64 queue_bound;             /* bytes */
  guint64 stream_offset;    /* targets without positions: bytes written */
  guint64 final_high_water; /* survives a restart that does not truncate */

  WbPrealloc prealloc;
  gboolean prealloc_suits;
  gboolean reserve_tried; /* a failed fallocate may keep part of it (ext4) */
  guint64 trimmed_after;  /* bytes written then + 1; 0: never */
  const char *prealloc_reason; /* why not */
  gboolean require_pending; /* the space is to be there before the first byte */
  gboolean created;         /* there was no such file before */
  gboolean told_fit;
  guint told_source; /* + 1 of the best source reported; 0: none */
  WbReserveReport report;

  WbEvents events, events_told;
  WbError error;
  WbStats stats;

  /* the I/O thread's own */
  WbBatchRun run;
  GArray *garbage;
};

static void registry_remove (WbFile *file);
static gboolean registry_is_busy (WbFile *file);

/* --- the file and its lock ------------------------------------------------ */

static void
file_lock (WbFile *file)
{
  pthread_mutex_lock (&file->lock);
}

static void
file_unlock (WbFile *file)
{
  pthread_mutex_unlock (&file->lock);
}

/* Waits until `deadline_us` of the monotonic clock, or for ever (-1). FALSE:
 * the time is over. */
static gboolean
wait_until (WbFile *file, pthread_cond_t *cond, gint64 deadline_us)
{
  struct timespec deadline;

  if (deadline_us < 0)
    return pthread_cond_wait (cond, &file->lock) == 0;
  deadline.tv_sec = deadline_us / G_USEC_PER_SEC;
  deadline.tv_nsec = deadline_us % G_USEC_PER_SEC * 1000;
  return pthread_cond_timedwait (cond, &file->lock, &deadline) == 0;
}

/* now + timeout, where -1 is for ever. */
static gint64
deadline_after (gint64 start_us, gint64 timeout_us)
{
  if (timeout_us < 0 || timeout_us > G_MAXINT64 - start_us)
    return -1;
  return start_us + timeout_us;
}

static void
wake_callers (WbFile *file)
{
  if (file->callers_waiting > 0)
    pthread_cond_broadcast (&file->user_cond);
}

WbFile *
wb_file_ref (WbFile *file)
{
  g_atomic_int_inc (&file->ref_count);
  return file;
}

void
wb_file_unref (WbFile *file)
{
  if (!g_atomic_int_dec_and_test (&file->ref_count))
    return;
  wb_queue_clear (&file->queue, file->garbage);
  wb_owners_release (file->garbage);
  g_array_free (file->garbage, TRUE);
  if (file->shared != NULL)
    wb_device_count_dirty (file->shared, file->counted_dirty, 0);
  if (file->active)
    wb_device_leave (file->shared);
  g_clear_pointer (&file->shared, wb_device_put);
  if (file->listener.release != NULL)
    file->listener.release (file->listener.data);
  pthread_mutex_destroy (&file->lock);
  pthread_cond_destroy (&file->io_cond);
  pthread_cond_destroy (&file->retire_cond);
  pthread_cond_destroy (&file->user_cond);
  g_free (file->location);
  g_free (file->parent);
  g_free (file);
}

static void
init_cond (pthread_cond_t *cond)
{
  pthread_condattr_t attributes;

  pthread_condattr_init (&attributes);
#ifndef __APPLE__
  pthread_condattr_setclock (&attributes, CLOCK_MONOTONIC);
#endif
  pthread_cond_init (cond, &attributes);
  pthread_condattr_destroy (&attributes);
}

static WbFile *
file_new (const WbFileConfig *config)
{
  WbFile *file = g_new0 (WbFile, 1);

  file->ref_count = 1;
  file->sys = config->sys != NULL ? config->sys : wb_sys_default ();
  file->listener = config->listener;
  file->location = g_strdup (config->location);
  file->mode = config->mode;
  file->writeback = config->writeback;
  file->preallocate = config->preallocate;
  file->prealloc.expected[WB_SIZE_PROPERTY] = config->size_hint;
  file->o_sync = config->o_sync;
  file->unbuffered = config->unbuffered;
  file->wake_bytes = MAX (config->wake_bytes, 1);
  file->transient_timeout_us = config->transient_timeout_us;
  file->bounds = config->bounds;
  file->fd = file->wake_fds[0] = file->wake_fds[1] = -1;
  file->garbage = g_array_new (FALSE, FALSE, sizeof (WbOwner));
  file->retirer_resting = TRUE;
  file->last_progress_us = g_get_monotonic_time ();
  pthread_mutex_init (&file->lock, NULL);
  init_cond (&file->io_cond);
  init_cond (&file->retire_cond);
  init_cond (&file->user_cond);
  return file;
}

/* New threads inherit the mask: a signal meant for the application must not
 * end up in a system call of ours, SIGPIPE becomes EPIPE and SIGXFSZ EFBIG. */
static GThread *
start_thread (const char *name, GThreadFunc function, WbFile *file)
{
  GThread *thread;
#ifndef G_OS_WIN32
  sigset_t all, before;

  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &before);
#endif
  thread = g_thread_try_new (name, function, file, NULL);
#ifndef G_OS_WIN32
  pthread_sigmask (SIG_SETMASK, &before, NULL);
#endif
  return thread;
}

/* --- errors, calls and logging ------------------------------------------- */

/* Without the lock: the listener may write to a terminal. */
static void G_GNUC_PRINTF (3, 4)
    say (WbFile *file, WbLogLevel level, const char *format, ...)
{
  g_autofree char *message = NULL;
  va_list arguments;

  if (file->listener.log == NULL || level > file->listener.log_level)
    return;
  va_start (arguments, format);
  message = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  file->listener.log (file->listener.data, level, message);
}

/* Unlocks for a system call; leave() locks again. Whatever moves is progress:
 * every deadline counts from the last of it. */
static void
enter (WbFile *file, Call *call, const char *name, guint64 offset)
{
  call->name = name;
  call->offset = offset;
  call->since_us = g_get_monotonic_time ();
  file_unlock (file);
}

static gint64
leave (WbFile *file, Call *call)
{
  gint64 now = g_get_monotonic_time ();
  gint64 took;

  file_lock (file);
  took = now - call->since_us;
  call->name = NULL;
  file->progress++;
  file->last_progress_us = now;
  return took;
}

/* Which call has been under way for the longest. */
static void
find_stall (WbFile *file, WbStall *stall)
{
  const Call *call = &file->io_call;

  if (stall == NULL)
    return;
  memset (stall, 0, sizeof *stall);
  if (call->name == NULL
      || (file->retire_call.name != NULL
          && file->retire_call.since_us < call->since_us))
    call = &file->retire_call;
  if (call->name == NULL)
    return;
  stall->call = call->name;
  stall->offset = call->offset;
  stall->waited_us = g_get_monotonic_time () - call->since_us;
}

/* The one place that says what a failed call means. Refusals of a hint lose
 * nothing; anything else that write-out control, a write, a sync or a close
 * reports is lost data. */
static gboolean
is_refusal (int code)
{
  return code == ENOSYS || code == EINVAL || code == ESPIPE
      || code == EOPNOTSUPP || code == ENOTSUP;
}

static gboolean
is_no_space (int code)
{
#ifdef EDQUOT
  if (code == EDQUOT)
    return TRUE;
#endif
  return code == ENOSPC;
}

/* The first error stays; sync_file_range and fsync report one only once. */
static void
latch (
    WbFile *file, WbErrorKind kind, int code, const char *call, guint64 offset)
{
  if (file->error.kind != WB_ERROR_NONE)
    return;
  file->error.kind =
      is_no_space (code) && kind != WB_ERROR_OPEN ? WB_ERROR_NO_SPACE : kind;
  file->error.code = code;
  file->error.call = call;
  file->error.offset = offset;
  file->events |= WB_EVENT_ERROR;
  pthread_cond_signal (&file->io_cond);
  wake_callers (file);
}

/* Whether what is queued can no longer be written. A seek that was refused
 * takes nothing from what came before it. */
static gboolean
is_broken (const WbFile *file)
{
  return file->error.kind != WB_ERROR_NONE && file->error.kind != WB_ERROR_SEEK;
}

/* Tells the listener that there is news. Unlocks for it. */
static void
notify (WbFile *file)
{
  if ((file->events & ~file->events_told) == 0 || file->abandoned
      || file->listener.notify == NULL)
    return;
  file->events_told = file->events;
  file_unlock (file);
  file->listener.notify (file->listener.data);
  file_lock (file);
}

/* --- bounds ---------------------------------------------------------------- */

/* A bound in disk time that falls, because the disk has turned slow, falls by
 * three quarters of what moves: the stream goes on at a quarter of the disk's
 * speed until the excess is gone, instead of standing still (100 to 10 MB/s
 * with both bounds full: one push was held for the 5.6 s of draining 57 MB). */
static guint64
approach (guint64 now, guint64 target, guint64 moved)
{
  if (target >= now)
    return target;
  return MAX (target, now - MIN (now, moved / 4 * 3));
}

static void
update_window (WbFile *file, guint64 retired)
{
  const WbBounds *bounds = &file->bounds;
  guint64 window =
      bounds->max_dirty_bytes != 0 ? bounds->max_dirty_bytes : G_MAXUINT64;
  guint64 floor = MIN (WINDOW_FLOOR, window);

  if (bounds->max_dirty_time_us > 0) {
    file->time_window = approach (file->time_window,
        wb_meter_allowance (
            &file->drain_meter, bounds->max_dirty_time_us, WINDOW_START),
        retired);
    window = MIN (window, file->time_window);
  }
  window = MAX (window, floor);
  /* The floor keeps one file's disk busy; beside others two batches will do. */
  if (file->shared != NULL)
    window = MIN (window, wb_device_share (file->shared));
  wb_planner_set_bounds (&file->planner, window, bounds->chunk_size);
  wb_planner_set_start_step (&file->planner,
      wb_meter_rate (&file->drain_meter) / START_STEPS_A_SECOND);
}

/* The queue never holds more than the disk time the window may hold either: a
 * target that takes its bytes in write() itself (FUSE, a pipe) has no dirty
 * bytes to measure, so both rates count. */
static void
update_queue_bound (WbFile *file, guint64 written)
{
  const WbBounds *bounds = &file->bounds;
  gint64 time_us = bounds->max_dirty_time_us;
  guint64 allowed;

  file->queue_bound = bounds->max_queued_bytes;
  if (time_us <= 0)
    return;
  allowed = wb_meter_allowance (&file->write_meter, time_us, QUEUE_START);
  if (file->control)
    allowed = MIN (
        allowed, wb_meter_allowance (&file->drain_meter, time_us, QUEUE_START));
  file->time_queue =
      approach (file->time_queue, MAX (allowed, QUEUE_FLOOR), written);
  file->queue_bound = MIN (file->queue_bound, file->time_queue);
}

static void
update_bounds (WbFile *file)
{
  update_window (file, 0);
  update_queue_bound (file, 0);
}

static guint64
dirty_bytes (WbFile *file)
{
  return wb_planner_dirty (&file->planner);
}

/* Takes and gives back this file's share of its disk. */
static void
update_share (WbFile *file)
{
  guint64 dirty = file->abandoned ? 0 : dirty_bytes (file);
  gboolean active = dirty > 0;

  if (file->shared == NULL)
    return;
  if (dirty != file->counted_dirty)
    wb_device_count_dirty (file->shared, file->counted_dirty, dirty);
  file->counted_dirty = dirty;
  if (active == file->active)
    return;
  file->active = active;
  if (active)
    wb_device_enter (file->shared);
  else
    wb_device_leave (file->shared);
}

/* Ends the degraded state once the dirty bytes are back inside the window. */
static void
check_recovered (WbFile *file)
{
  if (!file->stats.degraded || dirty_bytes (file) > file->planner.window)
    return;
  file->stats.degraded = FALSE;
  file->events |= WB_EVENT_DEGRADED;
}

/* --- the retirer ------------------------------------------------------------ */

static void
wake_retirer (WbFile *file)
{
  if (!file->control)
    return;
  file->retirer_resting = FALSE;
  pthread_cond_signal (&file->retire_cond);
}

/* Write-out cannot be controlled after all: the kernel's policy takes over. */
static void
give_up_control (WbFile *file, const char *call, int code)
{
  file->control = FALSE;
  wb_planner_set_passive (&file->planner);
  update_share (file);
  g_strlcpy (
      file->stats.mechanism, "none (refused)", sizeof file->stats.mechanism);
  file_unlock (file);
  say (file, WB_LOG_INFO,
      "%s refused (%s): write-out is left to the system from here on", call,
      g_strerror (code));
  file_lock (file);
}

static void
say_step (WbFile *file, const WbStep *step, gint64 took_us, int code)
{
  if (step->kind == WB_STEP_START && step->first_of_chunk)
    say (file, WB_LOG_DEBUG,
        "chunk %" G_GUINT64_FORMAT " started: %" G_GUINT64_FORMAT
        "-%" G_GUINT64_FORMAT ", first step took %.1f ms",
        step->chunk, step->chunk_span.start, step->chunk_span.end,
        took_us / 1e3);
  if (code != 0 && !is_refusal (code))
    say (file, WB_LOG_WARNING,
        "write-out of %" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT " failed: %s",
        step->range.start, step->range.end, g_strerror (code));
}

static int
make_step (WbFile *file, const WbStep *step)
{
  gint64 offset = (gint64) step->range.start;
  gint64 length = (gint64) (step->range.end - step->range.start);
  int result = -1;

  do {
    switch (step->kind) {
      case WB_STEP_START:
        result = file->sys->writeout_start (file->fd, offset, length);
        break;
      case WB_STEP_RETIRE:
        result = file->sys->writeout_wait (file->fd, offset, length);
        break;
      case WB_STEP_DROP:
        result = file->sys->drop (file->fd, offset, length);
        break;
    }
  } while (result != 0 && errno == EINTR);
  return result == 0 ? 0 : errno;
}

static void
retire_done (
    WbFile *file, const WbStep *step, guint64 cleaned, gint64 chunk_began_us)
{
  gint64 now = g_get_monotonic_time ();

  wb_meter_note (&file->drain_meter, cleaned, now - file->drain_mark_us,
      step->last_of_piece);
  file->drain_mark_us = file->last_retire_us = now;
  update_share (file);
  update_window (file, cleaned);
  check_recovered (file);
  pthread_cond_signal (&file->io_cond);
  if (!step->last_of_chunk)
    return;
  file_unlock (file);
  say (file, WB_LOG_DEBUG,
      "chunk %" G_GUINT64_FORMAT " retired: %" G_GUINT64_FORMAT
      "-%" G_GUINT64_FORMAT ", %.1f ms after its start",
      step->chunk, step->chunk_span.start, step->chunk_span.end,
      (now - chunk_began_us) / 1e3);
  file_lock (file);
}

static void
step_refused (WbFile *file, const WbStep *step, int code)
{
  static const char *const names[] = { "sync_file_range (start)",
    "sync_file_range (wait)", "posix_fadvise (drop)" };

  if (step->kind != WB_STEP_DROP) {
    if (is_refusal (code))
      give_up_control (file, names[step->kind], code);
    else
      latch (file, WB_ERROR_WRITE, code, names[step->kind], step->range.start);
    return;
  }
  /* A hint: nothing is lost but cache. */
  if (file->drop_refused)
    return;
  file->drop_refused = TRUE;
  wb_planner_stop_dropping (&file->planner);
  file_unlock (file);
  say (file, WB_LOG_INFO, "%s refused (%s): the file stays in the cache",
      names[step->kind], g_strerror (code));
  file_lock (file);
}

static void
retire_one_step (WbFile *file, const WbStep *step, gint64 *chunk_began_us)
{
  static const char *const names[] = { "sync_file_range", "sync_file_range",
    "posix_fadvise" };
  gint64 *began = &chunk_began_us[step->chunk % WB_CHUNK_CAPACITY];
  guint64 cleaned;
  gint64 took;
  int code;

  if (step->kind == WB_STEP_START) {
    gint64 now = g_get_monotonic_time ();

    if (step->first_of_chunk)
      *began = now;
    /* The drain rate's clock runs while something is under write-out. */
    if (file->planner.flight_n == 1)
      file->drain_mark_us = now;
  }

  enter (file, &file->retire_call, names[step->kind], step->range.start);
  code = make_step (file, step);
  took = g_get_monotonic_time () - file->retire_call.since_us;
  say_step (file, step, took, code);
  leave (file, &file->retire_call);

  cleaned = wb_planner_done (&file->planner, step);
  if (code != 0)
    step_refused (file, step, code);
  if (step->kind == WB_STEP_RETIRE)
    retire_done (file, step, cleaned, *began);
}

static void thread_ends (WbFile *file);

static gpointer
retirer_main (gpointer data)
{
  WbFile *file = data;
  gint64 *chunk_began_us = g_new0 (gint64, WB_CHUNK_CAPACITY);
  WbStep step;

  file_lock (file);
  while (!file->retirer_quit && !file->abandoned) {
    if (!file->hold_retirer && file->control
        && wb_planner_next (&file->planner, &step)) {
      retire_one_step (file, &step, chunk_began_us);
      notify (file);
      continue;
    }
    file->retirer_resting = TRUE;
    pthread_cond_signal (&file->io_cond);
    wait_until (file, &file->retire_cond, -1);
  }
  file->retirer_resting = TRUE;
  pthread_cond_signal (&file->io_cond);
  file_unlock (file);
  g_free (chunk_began_us);
  thread_ends (file);
  return NULL;
}

/* --- the I/O thread: opening ----------------------------------------------- */

static gboolean
open_failed (WbFile *file, WbErrorKind kind, int code, const char *call)
{
  latch (file, kind, code, call, 0);
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
  } else if (file->mode == WB_OPEN_TRUNCATE) {
    flags |= O_TRUNC;
  }
  return open_with (file, flags);
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
    file->parent = file->sys->real_parent (file->location);
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
 * retire at once, and its own throttle bounds them. Last rung: the system's own
 * policy, with everything else unchanged. */
static void
set_up_control (WbFile *file)
{
  char buffer[32];
  const char *file_system = file->sys->file_system (file->fd, buffer);
  gboolean control = FALSE;
  int code = 0;

  if (file->writeback != WB_WRITEBACK_NONE
      && (file->regular || file->block_device)) {
    control = file->sys->writeout_probe (file->fd) == 0;
    code = control ? 0 : errno;
  }
  file->prealloc_suits =
      file->regular && wb_prealloc_suits (file_system, &file->prealloc_reason);
  g_snprintf (file->stats.mechanism, sizeof file->stats.mechanism, "%s on %s",
      control ? "sync_file_range" : "none", file_system);
  say (file, WB_LOG_INFO,
      "opened: %s, write-out %s, position 0 at offset %" G_GUINT64_FORMAT
      "%s%s",
      file->regular            ? "regular file"
          : file->block_device ? "block device"
          : file->seekable     ? "device"
                               : "stream",
      file->stats.mechanism, file->base, code != 0 ? ": " : "",
      code != 0 ? g_strerror (code) : "");
  file->control = control;
}

/* --- the I/O thread: space ---------------------------------------------------- */

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
  gint64 took;
  int code;

  file->reserve_tried = TRUE;
  enter (file, &file->io_call, "fallocate", offset);
  do
    code = file->sys->reserve (file->fd, (gint64) offset, (gint64) length) == 0
        ? 0
        : errno;
  while (code == EINTR);
  if (code != 0)
    say (file, WB_LOG_INFO,
        "fallocate of %" G_GUINT64_FORMAT " bytes at %" G_GUINT64_FORMAT
        " refused: %s",
        length, offset, g_strerror (code));
  took = leave (file, &file->io_call);
  if (code == 0) {
    wb_prealloc_done (&file->prealloc, offset, length, took);
    file->stats.preallocated_bytes = file->prealloc.bytes;
  }
  return code;
}

static guint64
ask_free_space (WbFile *file)
{
  gint64 bytes;

  enter (file, &file->io_call, "fstatfs", 0);
  bytes = file->sys->free_space (file->fd);
  leave (file, &file->io_call);
  file->report.free = bytes < 0 ? G_MAXUINT64 : (guint64) bytes;
  return file->report.free;
}

/* Said once: the rest of a size that is known does not fit. */
static void
check_fit (WbFile *file, guint64 expected, WbSizeSource source, guint64 free)
{
  guint64 have =
      MAX (file->planner.high_water, file->prealloc.end) - file->base;

  if (source < WB_SIZE_SEGMENT || file->told_fit || expected <= have
      || expected - have <= free)
    return;
  file->told_fit = TRUE;
  file->report.wanted = expected;
  file->events |= WB_EVENT_WILL_NOT_FIT;
}

/* Reserves ahead of a write that ends at `write_end`, at most one step: the
 * write waits for it. A hint: whatever comes of it, the write follows. */
static void
reserve_ahead (WbFile *file, guint64 write_end)
{
  WbPrealloc *prealloc = &file->prealloc;
  guint64 high_water = file->planner.high_water;
  guint64 offset, length, expected, free;
  WbSizeSource source;
  int code;

  if (!wb_prealloc_next (
          prealloc, high_water, write_end, G_MAXUINT64, &offset, &length))
    return;
  expected = wb_prealloc_expected (prealloc, high_water, &source);
  free = ask_free_space (file);
  check_fit (file, expected, source, free);
  expected = expected != 0 ? expected : length;

  if (!file->prealloc_suits) {
    prealloc->enabled = FALSE;
    report_reserve (file, expected, source, WB_RESERVE_SKIPPED);
    file_unlock (file);
    say (file, WB_LOG_INFO, "no space is reserved: %s", file->prealloc_reason);
    file_lock (file);
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
  else if (!wb_prealloc_failed (prealloc, is_no_space (code)))
    report_reserve (file, expected, source, WB_RESERVE_REFUSED);
}

static int
call_truncate (WbFile *file, guint64 size)
{
  int code;

  enter (file, &file->io_call, "ftruncate", size);
  do
    code = file->sys->truncate (file->fd, (gint64) size) == 0 ? 0 : errno;
  while (code == EINTR);
  leave (file, &file->io_call);
  return code;
}

/* Gives back what was reserved beyond the file's end, after every reservation
 * that was only tried: ext4 keeps a part of one that failed, and xfs goes on to
 * keep blocks of its own beyond the end of a file once it has seen one.
 * Truncating a file to its
 * own size does it on ext4 and xfs; what is left is looked for, and punched
 * (which helps on xfs and does nothing on ext4). A promise: a failure is an
 * error. */
static void
trim (WbFile *file)
{
  struct stat status;
  gint64 left;
  int code;

  if (!file->reserve_tried
      || file->trimmed_after == file->stats.bytes_written + 1)
    return;
  file->trimmed_after = file->stats.bytes_written + 1;
  enter (file, &file->io_call, "ftruncate", file->planner.high_water);
  code = file->sys->fstat (file->fd, &status) == 0
          && file->sys->truncate (file->fd, status.st_size) == 0
      ? 0
      : errno;
  if (code == 0) {
    left = file->sys->blocks_beyond (file->fd, status.st_size);
    if (left >= MAX (status.st_blksize, 1))
      file->sys->punch (file->fd, status.st_size, G_MAXINT64 - status.st_size);
  }
  leave (file, &file->io_call);
  if (code != 0)
    latch (file, WB_ERROR_WRITE, code, "ftruncate", file->planner.high_water);
  wb_prealloc_trimmed (&file->prealloc, file->planner.high_water);
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
 * not there. */
static void
undo_open (WbFile *file)
{
  struct stat now;

  if (file->reserve_tried)
    call_truncate (file, file->size_at_open);
  if (!file->created)
    return;
  enter (file, &file->io_call, "unlink", 0);
  if (file->sys->stat (file->location, &now) == 0 && now.st_dev == file->device
      && now.st_ino == file->inode)
    file->sys->unlink (file->location);
  leave (file, &file->io_call);
}

static gboolean
requirement_failed (WbFile *file, int code, guint64 end)
{
  latch (file, WB_ERROR_WRITE, code, "fallocate", end);
  file->error.wanted = file->report.wanted;
  file->error.free = file->report.free;
  return FALSE;
}

/* Blocks that another file has as well (reflinks) do not come free. */
static guint64
shared_bytes (WbFile *file)
{
  gint64 bytes;

  enter (file, &file->io_call, "fiemap", 0);
  bytes = file->sys->shared_bytes (file->fd);
  leave (file, &file->io_call);
  return (guint64) MAX (bytes, 0);
}

/* `preallocate=require`, once the size is known and before the first byte. */
static gboolean
require_space (WbFile *file)
{
  WbSizeSource source;
  guint64 size, end, have;
  int code;

  file->require_pending = FALSE;
  size = wb_prealloc_expected (&file->prealloc, file->base, &source);
  if (source < WB_SIZE_SEGMENT) {
    undo_open (file);
    latch (file, WB_ERROR_NO_SIZE, EINVAL, "preallocate=require", 0);
    return FALSE;
  }
  end = file->base + size;
  /* The blocks of a file that is replaced are as good as free. */
  have = file->mode == WB_OPEN_APPEND ? 0 : MIN (file->old_blocks, size);
  have -= MIN (have, shared_bytes (file));
  file->report.wanted = size;
  code = ask_free_space (file) < size - have ? ENOSPC : 0;
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
    code = call_truncate (file, 0);
    wb_prealloc_init (&file->prealloc, 0, TRUE);
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
static void
settle_requirement (WbFile *file)
{
  if (!file->require_pending)
    return;
  file->require_pending = FALSE;
  if (file->mode == WB_OPEN_TRUNCATE && file->size_at_open > 0
      && call_truncate (file, 0) == 0)
    file->size_at_open = 0;
}

static gboolean
set_up_space (WbFile *file)
{
  guint64 hint = file->prealloc.expected[WB_SIZE_PROPERTY];

  wb_prealloc_init (&file->prealloc, file->base,
      file->regular && file->preallocate != WB_PREALLOCATE_NONE);
  file->prealloc.expected[WB_SIZE_PROPERTY] = hint;
  if (!file->regular || file->preallocate != WB_PREALLOCATE_REQUIRE)
    return TRUE;
  file->require_pending = TRUE;
  return hint == 0 || require_space (file);
}

static gboolean
io_open (WbFile *file)
{
  int code;

  if (registry_is_busy (file))
    return open_failed (file, WB_ERROR_BUSY, EBUSY, "open");

  enter (file, &file->io_call, "open", 0);
  file->fd = open_target (file);
  code = file->fd < 0 ? errno : 0;
  leave (file, &file->io_call);
  if (code != 0)
    return open_failed (file, WB_ERROR_OPEN, code, "open");
  if (file->abandoned)
    return FALSE;

  enter (file, &file->io_call, "fstat", 0);
  code = identify_target (file);
  if (code == 0)
    set_up_control (file);
  leave (file, &file->io_call);
  if (code != 0)
    return open_failed (file, WB_ERROR_OPEN, code, "fstat");
  if (file->abandoned)
    return FALSE;
  file->identified = TRUE;
  set_up_fifo (file);
  return set_up_space (file);
}

static void
io_opened (WbFile *file)
{
  wb_planner_init (
      &file->planner, file->base, file->writeback == WB_WRITEBACK_DROP);
  if (!file->control)
    wb_planner_set_passive (&file->planner);
  else
    file->shared = wb_device_get (file->device);
  update_bounds (file);
  file->push_offset = file->base;
  if (file->control) {
    file->users++;
    wb_file_ref (file);
    file->retire_thread = start_thread ("wbfile-retire", retirer_main, file);
    if (file->retire_thread == NULL) {
      file->users--;
      wb_file_unref (file);
      give_up_control (file, "a thread for the write-out", EAGAIN);
    }
  }
}

/* --- the I/O thread: writing ------------------------------------------------ */

/* A partial batch waits for more, but not for long. */
static gboolean
worth_writing (WbFile *file)
{
  const WbItem *last = wb_queue_last (&file->queue);

  return file->queued >= file->wake_bytes || file->unbuffered || file->quit
      || file->caller_wants_room || (last != NULL && last->size == 0);
}

static void
linger (WbFile *file)
{
  gint64 deadline = g_get_monotonic_time () + LINGER_US;

  file->io_state = IO_LINGERING;
  while (file->io_state == IO_LINGERING && !file->lingered
      && !worth_writing (file) && !file->abandoned && !file->restart_pending)
    file->lingered = !wait_until (file, &file->io_cond, deadline);
  file->io_state = IO_BUSY;
}

/* Right after a write the next batch is likely to come: one wake-up for all of
 * it, instead of one for its first byte and one for the rest. */
static void
wait_for_data (WbFile *file)
{
  if (file->lively && !file->unbuffered) {
    file->lively = FALSE;
    linger (file);
    return;
  }
  file->lingered = FALSE;
  file->io_state = IO_IDLE;
  wait_until (file, &file->io_cond, -1);
  file->io_state = IO_BUSY;
}

/* The most that one write may take from here: to the end of the batch. */
static gsize
batch_limit (WbFile *file)
{
  const WbItem *item = wb_queue_peek (&file->queue);

  if (!file->seekable)
    return STREAM_WRITE;
  return WB_BATCH - item->offset % WB_BATCH;
}

static gboolean
may_go_on (WbFile *file, guint64 generation)
{
  return !file->abandoned && file->generation == generation
      && !is_broken (file);
}

/* Whether the run fits the window, and what the device's files may keep dirty
 * together. Two batches fit always, so no file starves; one that has more than
 * that and waits is woken by its own retires. */
static gboolean
fits (WbFile *file)
{
  const WbBatchRun *run = &file->run;
  guint64 cost;

  if (!wb_planner_may_write (&file->planner, run->offset, run->bytes))
    return FALSE;
  if (file->shared == NULL)
    return TRUE;
  cost = wb_planner_cost (&file->planner, run->offset, run->bytes);
  return dirty_bytes (file) + cost <= 2 * WB_BATCH
      || wb_device_has_room (file->shared, cost);
}

/* Holds the writer until the run fits the window, in steps of what is retired;
 * when nothing is retired for the write-back timeout, the window is given up.
 * FALSE: something else has to be seen to first. */
static gboolean
wait_for_window (WbFile *file, guint64 generation)
{
  gint64 since = 0;

  while (file->control && !file->stats.degraded && !fits (file)) {
    gint64 deadline;

    if (!may_go_on (file, generation))
      return FALSE;
    /* Unstarted patches and remainders alone could fill the window. */
    if (!wb_planner_is_draining (&file->planner))
      wb_planner_release (&file->planner, FALSE);
    wake_retirer (file);
    if (since == 0)
      since = g_get_monotonic_time ();
    deadline = deadline_after (
        MAX (since, file->last_retire_us), file->bounds.writeback_timeout_us);
    if (wait_until (file, &file->io_cond, deadline)
        || g_get_monotonic_time () < deadline
        || deadline
            != deadline_after (MAX (since, file->last_retire_us),
                file->bounds.writeback_timeout_us))
      continue;
    file->stats.degraded = TRUE;
    file->events |= WB_EVENT_DEGRADED;
    wake_callers (file);
    notify (file);
  }
  return may_go_on (file, generation);
}

/* EACCES comes and goes on some network file systems while another client
 * reads the file. */
static gboolean
retry_later (WbFile *file, gint64 *give_up_us)
{
  gint64 now = g_get_monotonic_time ();

  if (file->transient_timeout_us <= 0)
    return FALSE;
  if (*give_up_us == 0)
    *give_up_us = now + file->transient_timeout_us;
  if (now >= *give_up_us || file->abandoned)
    return FALSE;
  wait_until (file, &file->io_cond, now + TRANSIENT_RETRY_US);
  return TRUE;
}

/* Writes once what is left of the run from `done` on. Returns the bytes, or
 * -errno. Unlocks for the calls. */
static gssize
write_some (WbFile *file, gsize done)
{
  WbBatchRun *run = &file->run;
  struct iovec *vectors = run->vectors, first;
  guint n = run->n, skipped = 0;
  gint64 offset;
  gsize skip = done;
  gssize result;
  int code;

  while (skip >= vectors[skipped].iov_len)
    skip -= vectors[skipped++].iov_len;
  vectors += skipped;
  n -= skipped;
  first = vectors[0];
  vectors[0].iov_base = (guint8 *) first.iov_base + skip;
  vectors[0].iov_len = first.iov_len - skip;
  offset = (gint64) (run->offset + done);

  enter (file, &file->io_call, "write", (guint64) offset);
  result = file->sys->write (
      file->fd, vectors, (int) n, file->seekable ? offset : -1);
  code = result < 0 ? errno : 0;
  if (result < 0 && (code == EAGAIN || code == EWOULDBLOCK)) {
    /* The waiting is the write's own: no progress, one call to report. */
    file->sys->wait_writable (file->fd, file->wake_fds[0]);
    code = EINTR;
    file_lock (file);
    file->write_waited_us += g_get_monotonic_time () - file->io_call.since_us;
    file->io_call.name = NULL;
  } else {
    gint64 took = leave (file, &file->io_call) + file->write_waited_us;

    file->write_waited_us = 0;
    if (result > 0)
      wb_meter_note (&file->write_meter, (guint64) result, took, TRUE);
  }
  vectors[0] = first;
  return result < 0 ? -code : result;
}

static void
account_write (WbFile *file, guint64 offset, gsize bytes)
{
  file->stats.bytes_written += bytes;
  file->stream_offset += bytes;
  wb_planner_wrote (&file->planner, offset, bytes);
  update_queue_bound (file, bytes);
  update_share (file);
  file->stats.peak_dirty_bytes =
      MAX (file->stats.peak_dirty_bytes, wb_planner_dirty (&file->planner));
  if (file->planner.ready.n > 0)
    wake_retirer (file);
}

/* Writes the run. Returns how much of it was taken. */
static gsize
write_run (WbFile *file, guint64 generation)
{
  WbBatchRun *run = &file->run;
  gint64 give_up_us = 0;
  guint empty = 0;
  gsize done = 0;

  while (
      done < run->bytes && !file->abandoned && file->generation == generation) {
    gssize result = write_some (file, done);

    if (result > 0) {
      account_write (file, run->offset + done, (gsize) result);
      done += (gsize) result;
      give_up_us = 0;
      empty = 0;
      continue;
    }
    if (result == -EINTR
        || (result == -EACCES && retry_later (file, &give_up_us)))
      continue;
    /* Nothing written and no error: once may happen, again is a full device. */
    if (result == 0 && empty++ < 1)
      continue;
    latch (file, WB_ERROR_WRITE, result == 0 ? ENOSPC : (int) -result, "write",
        run->offset + done);
    break;
  }
  return done;
}

static void
release_garbage (WbFile *file)
{
  if (file->garbage->len == 0)
    return;
  file_unlock (file);
  wb_owners_release (file->garbage);
  file_lock (file);
}

static void
io_write (WbFile *file)
{
  guint64 generation = file->generation;
  gsize done = 0;
  gboolean stale;

  file->lively = TRUE;
  file->lingered = FALSE;
  wb_queue_take (&file->queue, &file->run, batch_limit (file));
  if (file->shared != NULL)
    update_window (file, 0);
  if (file->require_pending)
    require_space (file);
  if (file->prealloc.enabled && may_go_on (file, generation))
    reserve_ahead (file, file->run.offset + file->run.bytes);
  if (wait_for_window (file, generation))
    done = write_run (file, generation);

  stale = file->generation != generation || file->abandoned || is_broken (file);
  if (file->generation == generation)
    file->queued -=
        MIN (file->queued, stale ? wb_batch_run_size (&file->run) : done);
  wb_queue_finish (&file->queue, &file->run, done, stale, file->garbage);
  check_recovered (file);
  wake_callers (file);
  release_garbage (file);
  notify (file);
}

/* --- the I/O thread: syncing ------------------------------------------------- */

/* Until everything written has been retired and dropped. FALSE: a flush or an
 * abandonment came between, or an error. */
static gboolean
drain (WbFile *file, guint64 generation)
{
  while (file->control && !is_broken (file)) {
    if (file->abandoned || file->generation != generation)
      return FALSE;
    wb_planner_release (&file->planner, TRUE);
    if (file->retirer_resting && !wb_planner_is_draining (&file->planner)
        && file->planner.drops.n == 0)
      break;
    wake_retirer (file);
    wait_until (file, &file->io_cond, -1);
  }
  return !file->abandoned && file->generation == generation;
}

static int
call_sync (WbFile *file, WbSyncKind kind)
{
  gboolean data = kind == WB_SYNC_DATA;
  int code;

  enter (file, &file->io_call, data ? "fdatasync" : "fsync",
      file->planner.high_water);
  do
    code = (data ? file->sys->sync_data (file->fd) : file->sys->sync (file->fd))
            == 0
        ? 0
        : errno;
  while (code == EINTR);
  leave (file, &file->io_call);
  return code;
}

/* The name is durable when the directory is. Directories that cannot be synced
 * or opened are the file system's manner, not a failure; one that is no longer
 * there leaves the name unknown. */
static WbSyncResult
sync_parent (WbFile *file)
{
  WbSyncResult result = WB_RESULT_DURABLE;
  int code;

  if (file->parent == NULL)
    return file->regular ? WB_RESULT_DATA : WB_RESULT_DURABLE;
  enter (file, &file->io_call, "fsync (directory)", 0);
  do
    code = file->sys->sync_directory (file->parent) == 0 ? 0 : errno;
  while (code == EINTR);
  if (code != 0)
    say (file, WB_LOG_INFO, "fsync of the directory %s refused: %s",
        file->parent, g_strerror (code));
  leave (file, &file->io_call);
  if (code == ENOENT || code == ENOTDIR) {
    result = WB_RESULT_DATA;
  } else if (code != 0 && !is_refusal (code) && code != EACCES && code != EPERM
      && code != EROFS) {
    latch (file, WB_ERROR_SYNC, code, "fsync (directory)", 0);
    result = WB_RESULT_FAILED;
  }
  return result;
}

static WbSyncResult
sync_now (WbFile *file, WbSyncKind kind, gboolean finish, guint64 generation)
{
  guint64 covered;
  int code;

  settle_requirement (file);
  if (kind == WB_SYNC_NONE) {
    if (finish)
      trim (file);
    wb_planner_release (&file->planner, TRUE);
    wake_retirer (file);
    return file->error.kind == WB_ERROR_NONE ? WB_RESULT_SKIPPED
                                             : WB_RESULT_FAILED;
  }
  if (!drain (file, generation))
    return WB_RESULT_CANCELLED;
  if (finish)
    trim (file);

  covered = file->planner.high_water;
  /* Also after an error: what was taken before it shall be on the disk. But an
   * fsync that failed is never asked again: it might say 0. */
  if (file->sync_failed)
    return WB_RESULT_FAILED;
  code = call_sync (file, kind);
  if (code != 0 && (is_refusal (code) || (code == EROFS && !file->regular)))
    return file->error.kind == WB_ERROR_NONE ? WB_RESULT_SKIPPED
                                             : WB_RESULT_FAILED;
  if (code != 0) {
    latch (file, WB_ERROR_SYNC, code,
        kind == WB_SYNC_DATA ? "fdatasync" : "fsync", covered);
    file->sync_failed = TRUE;
    return WB_RESULT_FAILED;
  }
  if (file->error.kind != WB_ERROR_NONE)
    return WB_RESULT_FAILED;
  file->stats.durable_bytes = covered;
  if (kind != WB_SYNC_FULL)
    return WB_RESULT_DATA;
  return sync_parent (file);
}

static void
io_sync (WbFile *file)
{
  guint64 generation = file->generation;
  WbItem sync = wb_queue_pop_sync (&file->queue);
  gboolean finish = (sync.kind & SYNC_FINISHES) != 0;
  WbSyncResult result =
      sync_now (file, sync.kind & ~SYNC_FINISHES, finish, generation);

  if (finish && file->control && generation == file->generation
      && (result == WB_RESULT_DURABLE || result == WB_RESULT_DATA)) {
    wb_planner_settle (&file->planner);
    drain (file, generation);
    if (file->error.kind != WB_ERROR_NONE)
      result = WB_RESULT_FAILED;
  }
  file->token_done = MAX (file->token_done, sync.token);
  file->sync_done_result = result;
  wake_callers (file);
  notify (file);
}

/* --- the I/O thread: starting again ------------------------------------------ */

/* FLUSH_STOP: the queue is gone already; what was written goes too. */
static void
io_restart (WbFile *file)
{
  gboolean truncate = file->regular && file->mode != WB_OPEN_OVERWRITE
      && file->planner.high_water > file->base;
  int code = 0;

  file->restart_pending = FALSE;
  file->hold_retirer = TRUE;
  while (file->control && !file->retirer_resting && !file->abandoned) {
    pthread_cond_signal (&file->retire_cond);
    wait_until (file, &file->io_cond, -1);
  }
  file->hold_retirer = FALSE;
  if (file->abandoned)
    return;

  if (truncate && !is_broken (file)) {
    code = call_truncate (file, file->base);
    if (code == 0)
      wb_prealloc_trimmed (&file->prealloc, file->base);
    if (code != 0)
      latch (file, WB_ERROR_WRITE, code, "ftruncate", file->base);
  }
  if (!truncate)
    file->final_high_water =
        MAX (file->final_high_water, file->planner.high_water);
  wb_planner_restart (&file->planner, truncate && code == 0);
  update_share (file);
  wake_retirer (file);
  wake_callers (file);
}

/* --- the I/O thread: its life --------------------------------------------------- */

/* The last thread that holds the descriptor closes it: no number is reused
 * under a thread that is stuck, and no caller ever waits in close(), which is
 * an fsync on NFS. */
static void
close_target (WbFile *file)
{
  int fd, code;

  fd = file->fd;
  file->fd = -1;
  if (fd >= 0) {
    enter (file, &file->io_call, "close", file->planner.high_water);
    code = file->sys->close (fd) == 0 ? 0 : errno;
    leave (file, &file->io_call);
    /* EINTR: Linux has closed it all the same. */
    if (code != 0 && code != EINTR)
      latch (file, WB_ERROR_CLOSE, code, "close", file->planner.high_water);
  }
#ifndef G_OS_WIN32
  for (int i = 0; i < 2; i++)
    if (file->wake_fds[i] >= 0)
      close (file->wake_fds[i]);
  file->wake_fds[0] = file->wake_fds[1] = -1;
#endif
  file->closed = TRUE;
}

static void
thread_ends (WbFile *file)
{
  file_lock (file);
  if (--file->users == 0) {
    close_target (file);
    registry_remove (file);
    wake_callers (file);
  }
  file_unlock (file);
  wb_file_unref (file);
}

/* After an error what is queued can no longer be written. */
static void
discard_data (WbFile *file)
{
  while (!wb_queue_is_empty (&file->queue)
      && wb_queue_peek (&file->queue)->size > 0) {
    wb_queue_take (&file->queue, &file->run, G_MAXSIZE);
    file->queued -= MIN (file->queued, wb_batch_run_size (&file->run));
    wb_queue_finish (&file->queue, &file->run, 0, TRUE, file->garbage);
  }
  wake_callers (file);
  release_garbage (file);
}

static void
io_loop (WbFile *file)
{
  while (!file->abandoned) {
    if (file->restart_pending) {
      io_restart (file);
    } else if (wb_queue_is_empty (&file->queue)) {
      if (file->quit)
        return;
      wait_for_data (file);
    } else if (wb_queue_peek (&file->queue)->size == 0) {
      io_sync (file);
    } else if (is_broken (file)) {
      discard_data (file);
    } else {
      if (!worth_writing (file) && !file->lingered)
        linger (file);
      if (!wb_queue_is_empty (&file->queue) && !file->restart_pending
          && !file->abandoned && wb_queue_peek (&file->queue)->size > 0)
        io_write (file);
    }
  }
}

static gpointer
io_main (gpointer data)
{
  WbFile *file = data;

  file_lock (file);
  if (io_open (file)) {
    io_opened (file);
    file->opened = TRUE;
    wake_callers (file);
    io_loop (file);
    if (!file->abandoned) {
      settle_requirement (file);
      trim (file);
    }
  }
  file->retirer_quit = TRUE;
  pthread_cond_signal (&file->retire_cond);
  file_unlock (file);
  thread_ends (file);
  return NULL;
}

/* --- abandoned files ---------------------------------------------------------- */

/* Files whose threads were left behind in a call, in this process. A write of
 * theirs that is still under way would land in whatever is opened on the same
 * file, so that is refused as busy until they are gone. */
static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static GSList *registry;

static void
registry_add (WbFile *file)
{
  pthread_mutex_lock (&registry_lock);
  registry = g_slist_prepend (registry, file);
  file->listed = TRUE;
  pthread_mutex_unlock (&registry_lock);
}

static void
registry_remove (WbFile *file)
{
  pthread_mutex_lock (&registry_lock);
  if (file->listed)
    registry = g_slist_remove (registry, file);
  file->listed = FALSE;
  pthread_mutex_unlock (&registry_lock);
}

/* Of a file that hangs in its open only the name is known. */
static gboolean
same_file (
    const WbFile *left_behind, const WbFile *file, const struct stat *status)
{
  if (!left_behind->identified)
    return strcmp (left_behind->location, file->location) == 0;
  return status != NULL && left_behind->device == status->st_dev
      && left_behind->inode == status->st_ino;
}

/* Before the open, which may truncate. On the I/O thread, locked; unlocks. */
static gboolean
registry_is_busy (WbFile *file)
{
  struct stat status;
  gboolean exists, busy = FALSE, empty;

  pthread_mutex_lock (&registry_lock);
  empty = registry == NULL;
  pthread_mutex_unlock (&registry_lock);
  if (empty)
    return FALSE;

  enter (file, &file->io_call, "stat", 0);
  exists = file->sys->stat (file->location, &status) == 0;
  leave (file, &file->io_call);
  pthread_mutex_lock (&registry_lock);
  for (GSList *link = registry; link != NULL && !busy; link = link->next)
    busy = same_file (link->data, file, exists ? &status : NULL);
  pthread_mutex_unlock (&registry_lock);
  return busy;
}

/* Leaves the threads behind. What they do not hold is released here and now. */
static void
abandon (WbFile *file)
{
  GArray *owners = g_array_new (FALSE, FALSE, sizeof (WbOwner));

  file->abandoned = TRUE;
  update_share (file);
  registry_add (file);
  wb_queue_clear (&file->queue, owners);
  file->queued = 0;
  pthread_cond_broadcast (&file->io_cond);
  pthread_cond_broadcast (&file->retire_cond);
#ifndef G_OS_WIN32
  if (file->wake_fds[1] >= 0 && write (file->wake_fds[1], "", 1) < 0)
    (void) errno;
#endif
  file_unlock (file);
  wb_owners_release (owners);
  g_array_free (owners, TRUE);
  file_lock (file);
}

/* --- what callers see ----------------------------------------------------------- */

/* Waits for news, at most until nothing has moved for `timeout_us` since
 * `start_us`. FALSE: nothing has. */
static gboolean
wait_for_progress (WbFile *file, gint64 start_us, gint64 timeout_us)
{
  gint64 since = MAX (start_us, file->last_progress_us);
  gint64 deadline = deadline_after (since, timeout_us);
  gboolean in_time;

  file->callers_waiting++;
  in_time = wait_until (file, &file->user_cond, deadline);
  file->callers_waiting--;
  return in_time || MAX (start_us, file->last_progress_us) != since;
}

/* The same for a wait that gives up: if one has given up already and nothing
 * has moved since, it is not waited for again. */
static gboolean
wait_or_give_up (WbFile *file, gint64 start_us, WbStall *stall)
{
  if (file->progress_given_up != file->progress + 1
      && wait_for_progress (file, start_us, file->bounds.sync_timeout_us))
    return TRUE;
  file->progress_given_up = file->progress + 1;
  find_stall (file, stall);
  return FALSE;
}

WbFile *
wb_file_open (const WbFileConfig *config, WbError *error, WbStall *stall)
{
  WbFile *file = file_new (config);
  gint64 timeout = config->bounds.sync_timeout_us;

  memset (error, 0, sizeof *error);
  memset (stall, 0, sizeof *stall);
  file_lock (file);
  file->users = 1;
  file->io_thread = start_thread ("wbfile-io", io_main, wb_file_ref (file));
  if (file->io_thread == NULL) {
    wb_file_unref (file);
    file_unlock (file);
    error->kind = WB_ERROR_THREAD;
    error->code = EAGAIN;
    error->call = "pthread_create";
    wb_file_unref (file);
    return NULL;
  }

  if (timeout >= 0)
    timeout = MAX (timeout, OPEN_TIMEOUT_MIN_US);
  while (!file->opened && !file->closed)
    if (!wait_for_progress (file, 0, timeout))
      break;
  if (file->opened && file->error.kind == WB_ERROR_NONE) {
    file_unlock (file);
    return file;
  }

  if (file->closed) {
    GThread *thread = g_steal_pointer (&file->io_thread);

    *error = file->error;
    file_unlock (file);
    g_thread_join (thread);
  } else {
    error->kind = WB_ERROR_OPEN;
    error->code = ETIMEDOUT;
    error->call = "open";
    find_stall (file, stall);
    abandon (file);
    g_thread_unref (g_steal_pointer (&file->io_thread));
    file_unlock (file);
  }
  wb_file_unref (file);
  return NULL;
}

static void
fill_stats (WbFile *file, WbStats *stats)
{
  guint64 high_water =
      file->seekable ? file->planner.high_water : file->stream_offset;

  *stats = file->stats;
  stats->high_water = high_water;
  stats->queued_bytes = file->queued;
  stats->dirty_bytes = dirty_bytes (file);
  stats->chunks_started = file->planner.chunks_started;
  stats->chunks_retired = file->planner.chunks_retired;
  stats->back_patches = file->planner.back_patches;
  stats->late_back_patches = file->planner.late_back_patches;
  stats->drain_rate = wb_meter_rate (&file->drain_meter);
  stats->window = file->control ? file->planner.window : G_MAXUINT64;
  stats->error = file->error;
  stats->final_size = MAX (high_water, file->final_high_water);
  if (file->regular && file->mode != WB_OPEN_TRUNCATE)
    stats->final_size = MAX (stats->final_size, file->size_at_open);
}

WbStatus
wb_file_close (WbFile *file, WbStats *stats, WbStall *stall)
{
  gint64 start = g_get_monotonic_time ();
  GThread *io_thread, *retire_thread;
  WbStatus status = WB_OK;

  file_lock (file);
  file->quit = TRUE;
  pthread_cond_signal (&file->io_cond);
  while (!file->closed && status == WB_OK)
    if (!wait_or_give_up (file, start, stall) && !file->closed)
      status = WB_TIMEOUT;
  fill_stats (file, stats);
  io_thread = g_steal_pointer (&file->io_thread);
  retire_thread = g_steal_pointer (&file->retire_thread);
  if (status == WB_TIMEOUT)
    abandon (file);
  else if (file->error.kind != WB_ERROR_NONE)
    status = WB_FAILED;
  file_unlock (file);

  if (status == WB_TIMEOUT) {
    g_thread_unref (io_thread);
    g_clear_pointer (&retire_thread, g_thread_unref);
  } else {
    g_thread_join (io_thread);
    if (retire_thread != NULL)
      g_thread_join (retire_thread);
  }
  wb_file_unref (file);
  return status;
}

gboolean
wb_file_is_seekable (const WbFile *file)
{
  return file->seekable;
}

void
wb_file_set_bounds (WbFile *file, const WbBounds *bounds)
{
  file_lock (file);
  file->bounds = *bounds;
  update_bounds (file);
  pthread_cond_signal (&file->io_cond);
  wake_callers (file);
  file_unlock (file);
}

void
wb_file_get_stats (WbFile *file, WbStats *stats)
{
  file_lock (file);
  fill_stats (file, stats);
  file_unlock (file);
}

guint64
wb_file_get_position (WbFile *file)
{
  guint64 position;

  file_lock (file);
  position = file->push_offset - file->base;
  file_unlock (file);
  return position;
}

gboolean
wb_file_get_error (WbFile *file, WbError *error)
{
  gboolean failed;

  file_lock (file);
  failed = file->error.kind != WB_ERROR_NONE;
  if (error != NULL)
    *error = file->error;
  file_unlock (file);
  return failed;
}

WbEvents
wb_file_take_events (WbFile *file)
{
  WbEvents events;

  file_lock (file);
  events = file->events;
  file->events = file->events_told = 0;
  file_unlock (file);
  return events;
}

/* --- the streaming thread ---------------------------------------------------- */

static gboolean
has_room (WbFile *file, gsize bytes)
{
  return file->queued == 0
      || (file->queued < file->queue_bound
          && bytes <= file->queue_bound - file->queued);
}

/* A stall is worth one warning before the timeout, if that comes later. */
static gint64
room_patience (WbFile *file)
{
  gint64 timeout = file->bounds.sync_timeout_us;
  gint64 stalled = file->bounds.writeback_timeout_us;

  if (stalled < 0 || (timeout >= 0 && timeout <= stalled)
      || file->stall_told == file->progress + 1)
    return timeout;
  return stalled;
}

static WbStatus
out_of_patience (WbFile *file, gint64 patience, WbStall *stall)
{
  find_stall (file, stall);
  if (patience == file->bounds.sync_timeout_us)
    return WB_TIMEOUT;
  file->stall_told = file->progress + 1;
  return WB_STALLED;
}

static WbStatus
wait_for_room (WbFile *file, gsize bytes, WbStall *stall)
{
  gint64 start = g_get_monotonic_time (), held;
  WbStatus status = WB_OK;

  file->caller_wants_room = TRUE;
  pthread_cond_signal (&file->io_cond);
  while (status == WB_OK && !has_room (file, bytes)) {
    gint64 patience = room_patience (file);

    if (file->interrupted)
      status = WB_INTERRUPTED;
    else if (file->error.kind != WB_ERROR_NONE)
      status = WB_FAILED;
    else if (!wait_for_progress (file, start, patience)
        && !has_room (file, bytes))
      status = out_of_patience (file, patience, stall);
  }
  file->caller_wants_room = FALSE;
  held = g_get_monotonic_time () - start;
  file->stats.wait_us += (guint64) held;
  file->stats.max_wait_us = MAX (file->stats.max_wait_us, (guint64) held);
  return status;
}

WbStatus
wb_file_begin (WbFile *file, gsize bytes, WbStall *stall)
{
  WbStatus status = WB_OK;

  file_lock (file);
  if (file->error.kind != WB_ERROR_NONE)
    status = WB_FAILED;
  else if (!has_room (file, bytes))
    status = wait_for_room (file, bytes, stall);
  if (status != WB_OK)
    file_unlock (file);
  return status;
}

static void
accept (WbFile *file, gsize size)
{
  file->push_offset += size;
  file->accepted += size;
  file->queued += size;
}

void
wb_file_copy (WbFile *file, const void *data, gsize size)
{
  wb_queue_copy (&file->queue, file->push_offset, data, size);
  accept (file, size);
}

void
wb_file_hold (WbFile *file, const void *data, gsize size, gpointer owner,
    GDestroyNotify release)
{
  wb_queue_hold (&file->queue, file->push_offset, data, size, owner, release);
  accept (file, size);
}

void
wb_file_end_buffer (WbFile *file)
{
  if (file->unbuffered)
    wb_queue_end_write (&file->queue);
}

void
wb_file_end (WbFile *file)
{
  gboolean wake = file->io_state == IO_IDLE
      || (file->io_state == IO_LINGERING && worth_writing (file));

  file->stats.peak_queued_bytes =
      MAX (file->stats.peak_queued_bytes, file->queued);
  if (wake) {
    file->io_state = IO_BUSY;
    pthread_cond_signal (&file->io_cond);
  }
  file_unlock (file);
}

gboolean
wb_file_seek (WbFile *file, guint64 position, guint64 *from)
{
  gboolean moved = TRUE;

  file_lock (file);
  *from = file->push_offset - file->base;
  if (position != *from) {
    if (!file->seekable || position > G_MAXINT64
        || position > G_MAXINT64 - file->base) {
      moved = FALSE;
      latch (file, WB_ERROR_SEEK, file->seekable ? EOVERFLOW : ESPIPE, "seek",
          position);
    } else {
      file->push_offset = file->base + position;
      file->stats.seeks++;
    }
  }
  file_unlock (file);
  return moved;
}

guint64
wb_file_request_sync (WbFile *file, WbSyncKind kind, gboolean finish)
{
  guint64 token;

  file_lock (file);
  token = ++file->tokens;
  if (finish) {
    file->token_finish = token;
    file->accepted_at_finish = file->accepted;
  }
  wb_queue_sync (&file->queue, token, kind | (finish ? SYNC_FINISHES : 0));
  file->io_state = IO_BUSY;
  pthread_cond_signal (&file->io_cond);
  file_unlock (file);
  return token;
}

WbStatus
wb_file_wait_sync (
    WbFile *file, guint64 token, WbSyncResult *result, WbStall *stall)
{
  gint64 start = g_get_monotonic_time ();
  WbStatus status = WB_OK;

  file_lock (file);
  while (status == WB_OK && file->token_done < token) {
    if (file->interrupted)
      status = WB_INTERRUPTED;
    else if (!wait_or_give_up (file, start, stall) && file->token_done < token)
      status = WB_TIMEOUT;
  }
  *result = status == WB_OK ? file->sync_done_result : WB_RESULT_NONE;
  file_unlock (file);
  return status;
}

gboolean
wb_file_needs_sync (WbFile *file, guint64 *token)
{
  gboolean needed;

  file_lock (file);
  *token = file->token_done < file->token_finish
          && file->accepted == file->accepted_at_finish
      ? file->token_finish
      : 0;
  needed = *token != 0 || file->accepted != file->accepted_at_finish;
  file_unlock (file);
  return needed;
}

void
wb_file_note_result (WbFile *file, WbSyncResult result, gint64 elapsed_us)
{
  file_lock (file);
  file->stats.sync_result = result;
  file->stats.sync_us = (guint64) elapsed_us;
  file_unlock (file);
}

void
wb_file_set_expected (WbFile *file, WbSizeSource source, guint64 bytes)
{
  file_lock (file);
  file->prealloc.expected[source] = bytes;
  file_unlock (file);
}

void
wb_file_set_duration (WbFile *file, guint64 duration)
{
  file_lock (file);
  file->prealloc.duration = duration;
  file_unlock (file);
}

void
wb_file_set_elapsed (WbFile *file, guint64 elapsed)
{
  file->prealloc.elapsed = elapsed;
}

void
wb_file_get_reserve_report (WbFile *file, WbReserveReport *report)
{
  file_lock (file);
  *report = file->report;
  file_unlock (file);
}

void
wb_file_interrupt (WbFile *file, gboolean interrupt)
{
  file_lock (file);
  file->interrupted = interrupt;
  if (interrupt)
    wake_callers (file);
  file_unlock (file);
}

void
wb_file_flush (WbFile *file)
{
  GArray *owners = g_array_new (FALSE, FALSE, sizeof (WbOwner));

  file_lock (file);
  wb_queue_clear (&file->queue, owners);
  file->queued = 0;
  file->generation++;
  file->restart_pending = TRUE;
  file->push_offset = file->seekable ? file->base : file->push_offset;
  if (file->token_done < file->tokens) {
    file->token_done = file->tokens;
    file->sync_done_result = WB_RESULT_CANCELLED;
  }
  file->io_state = IO_BUSY;
  pthread_cond_signal (&file->io_cond);
  wake_callers (file);
  file_unlock (file);
  wb_owners_release (owners);
  g_array_free (owners, TRUE);
}

const char *
wb_sync_result_name (WbSyncResult result)
{
  static const char *const names[] = { "none", "durable", "data", "timeout",
    "cancelled", "failed", "skipped" };

  return names[result];
}

const char *
wb_reserve_result_name (WbReserveResult result)
{
  static const char *const names[] = { "reserved", "partial", "refused",
    "skipped" };

  return names[result];
}
