/* wbfilesink: one output file: what its parts share
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * wbfile.c has what callers see, the other wbfile-*.c are one part each. All
 * wbf_ functions are called with the file locked unless they say otherwise, and
 * those that make a system call unlock for it.
 */
#pragma once

#include "process/wbdevice.h"
#include "file/wbfile.h"
#include "policy/wbmeter.h"
#include "policy/wbplanner.h"
#include "policy/wbqueue.h"

#include <pthread.h>

G_BEGIN_DECLS

/* Beside a sync's kind in the queue: the end of the stream. */
#define WBF_SYNC_FINISHES 0x100

typedef enum
{
  IO_BUSY,
  IO_IDLE,     /* waits for the first byte */
  IO_LINGERING /* waits for more, or for its time */
} IoState;

/* What makes the window as large as it is. */
typedef enum
{
  WINDOW_BYTES,
  WINDOW_TIME,
  WINDOW_INTERVAL,
  WINDOW_UNKNOWN, /* the first second */
  WINDOW_FLOOR_HOLDS,
  WINDOW_SHARE,
  WINDOW_FAST
} WbWindowReason;

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
  dev_t own_device; /* of a block device: the disk itself */
  ino_t inode;
  guint64 base;
  guint64 size_at_open;
  guint64 old_blocks; /* bytes of blocks the file had at open */

  pthread_mutex_t lock;
  pthread_cond_t io_cond;     /* for the I/O thread */
  pthread_cond_t retire_cond; /* for the retirer */
  pthread_cond_t sync_cond;   /* for the syncer */
  pthread_cond_t user_cond;   /* for callers */

  /* --- everything below is under the lock --- */
  WbBounds bounds;
  guint users; /* threads that hold the fd */
  gboolean opened;
  gboolean closed;
  gboolean quit;         /* the I/O thread ends when the queue is empty */
  gboolean retirer_quit; /* then the retirer does */
  gboolean abandoned;
  gboolean perhaps_busy; /* not opened yet: one of the name was left behind */
  gboolean listed;       /* among the abandoned files */
  gboolean identified;   /* device and inode are known */
  gboolean syncer_quit;
  GThread *io_thread, *retire_thread, *sync_thread;
  Call io_call, retire_call, sync_call;
  guint64 retire_calls; /* that have returned */

  gint64 last_progress_us;
  guint64 progress;
  guint64 progress_given_up; /* + 1; 0: no wait has timed out */
  guint64 stall_told;        /* + 1; 0: none was */
  gint64 room_wait_us;       /* since when a push waits, if it was told */
  gboolean interrupted;
  guint callers_waiting;
  gboolean waits_for_window; /* the I/O thread does */
  gboolean caller_wants_room;

  WbQueue queue;
  guint64 queued;      /* bytes, the batch under way included */
  guint64 push_offset; /* where the next buffer goes */
  guint64 furthest;    /* of it, from the base, at the last seek */
  guint64 accepted;    /* bytes ever */
  IoState io_state;
  gboolean lively; /* something was just written */
  guint64 due;     /* of what was accepted ever: it is written now */
  gboolean restart_pending;
  guint64 generation; /* counts flushes */

  guint64 tokens, token_done, token_finish;
  gboolean sync_failed; /* an fsync failed: it is never asked again */
  gboolean io_syncing;  /* the I/O thread is at a sync */
  /* syncs at intervals */
  gboolean interval_syncing;
  gboolean interval_refused;
  gboolean name_synced;
  gint64 unsynced_since_us; /* the first write after the last one began; 0 */
  guint64 synced_goal; /* drained bytes when what it wrote is retired as well */
  gboolean drained_by_sync;    /* until then, since it began */
  const char *sync_stall_told; /* the call that was told of */
  WbSyncResult sync_done_result;
  guint64 accepted_at_finish;

  WbDevice *shared; /* the disk, with the others' files */
  gboolean active;  /* has dirty bytes on it */
  guint64 counted_dirty;
  WbPlanner planner;
  gboolean control; /* write-out is ours to control */
  gboolean by_sync; /* ... by fadvise and fdatasync */
  gboolean hold_retirer;
  gboolean retirer_resting;
  gint64 drain_mark_us;
  guint64 drain_mark_bytes; /* of all files on the disk */
  gint64 last_retire_us;
  WbMeter drain_meter, write_meter;
  WbMeter disk_meter; /* what all files on the disk drain while this one does */
  gint64 write_waited_us; /* for a stream to take data, before this write */
  guint64 time_window, time_queue; /* what max-dirty-time allows now, bytes */
  guint64 queue_bound;             /* bytes */
  guint64 queue_most;              /* the same while nothing moves */
  WbWindowReason window_reason, window_reason_said;
  guint64 window_said;
  gint64 held_us; /* the last push, to be said */
  const char *held_for;
  guint64 stream_offset;    /* targets without positions: bytes written */
  guint64 final_high_water; /* survives a restart that does not truncate */

  WbPrealloc prealloc;
  gboolean prealloc_suits, prealloc_growth;
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

/* --- wbfile-calls.c ------------------------------------------------------- */

void wbf_lock (WbFile *file);
void wbf_unlock (WbFile *file);
gboolean wbf_wait_until (
    WbFile *file, pthread_cond_t *cond, gint64 deadline_us);
gint64 wbf_deadline_after (gint64 start_us, gint64 timeout_us);
void wbf_wake_callers (WbFile *file);
/* To the log, without the lock: the listener may write to a terminal. */
void wbf_say_from (WbFile *file, WbLogLevel level, const char *source,
    const char *function, int line, const char *format, ...)
    G_GNUC_PRINTF (6, 7);
#define wbf_say(file, level, ...)                                              \
  wbf_say_from (file, level, __FILE__, G_STRFUNC, __LINE__, __VA_ARGS__)
/* The same where the file is locked: unlocks for it. */
#define wbf_say_locked(file, level, ...)                                       \
  G_STMT_START                                                                 \
  {                                                                            \
    if (wbf_is_said (file, level)) {                                           \
      wbf_unlock (file);                                                       \
      wbf_say (file, level, __VA_ARGS__);                                      \
      wbf_lock (file);                                                         \
    }                                                                          \
  }                                                                            \
  G_STMT_END
/* Whether anybody reads what is said at this level. */
gboolean wbf_is_said (const WbFile *file, WbLogLevel level);
void wbf_enter (WbFile *file, Call *call, const char *name, guint64 offset);
gint64 wbf_leave (WbFile *file, Call *call);
void wbf_find_stall (WbFile *file, WbStall *stall);
gboolean wbf_is_refusal (int code);
gboolean wbf_is_no_space (int code);
void wbf_latch (
    WbFile *file, WbErrorKind kind, int code, const char *call, guint64 offset);
gboolean wbf_is_broken (const WbFile *file);
void wbf_notify (WbFile *file);

/* --- wbfile-retire.c ------------------------------------------------------ */

/* `retired` bytes have just become clean. */
void wbf_update_window (WbFile *file, guint64 retired);
/* Says what the window is and why, when that has changed enough. Unlocks. */
void wbf_say_window (WbFile *file);
/* `written` bytes have just been taken by the target. */
void wbf_update_queue_bound (WbFile *file, guint64 written);
void wbf_update_bounds (WbFile *file);
guint64 wbf_dirty_bytes (WbFile *file);
void wbf_update_share (WbFile *file);
void wbf_check_recovered (WbFile *file);
void wbf_wake_retirer (WbFile *file);
/* The drain rate's clock starts here, or goes on after `bytes` came back from the
 * disk. Under the lock. */
void wbf_mark_drain (WbFile *file, guint64 bytes);
void wbf_give_up_control (WbFile *file, const char *call, int code);
gpointer wbf_retirer_main (gpointer data);

/* --- wbfile-open.c -------------------------------------------------------- */

/* FALSE: the error is latched, or the file was abandoned meanwhile. */
gboolean wbf_io_open (WbFile *file);
void wbf_io_opened (WbFile *file);

/* --- wbfile-space.c ------------------------------------------------------- */

gboolean wbf_set_up_space (WbFile *file);
gboolean wbf_require_space (WbFile *file);
void wbf_settle_requirement (WbFile *file);
void wbf_reserve_ahead (WbFile *file, guint64 write_end);
/* 0, or the errno. */
int wbf_call_truncate (WbFile *file, guint64 size);
void wbf_trim (WbFile *file);

/* --- wbfile-write.c ------------------------------------------------------- */

gboolean wbf_worth_writing (WbFile *file);
gboolean wbf_is_due (const WbFile *file);
void wbf_linger (WbFile *file);
void wbf_wait_for_data (WbFile *file);
void wbf_io_write (WbFile *file);
void wbf_release_garbage (WbFile *file);

/* --- wbfile-sync.c -------------------------------------------------------- */

void wbf_io_sync (WbFile *file);
/* Makes the thread that syncs at intervals, if it is wanted and not there. */
void wbf_start_syncer (WbFile *file);
/* One of its syncs has not come back for the sync timeout, and nobody was told
 * of that. */
gboolean wbf_sync_stalled (WbFile *file);

/* --- wbfile-io.c ---------------------------------------------------------- */

gpointer wbf_io_main (gpointer data);
/* A thread that holds the descriptor is done with it. Unlocked; its reference
 * is gone afterwards. */
void wbf_thread_ends (WbFile *file);

/* --- wbfile-abandon.c ----------------------------------------------------- */

void wbf_registry_remove (WbFile *file);
gboolean wbf_registry_is_busy (WbFile *file);
void wbf_abandon (WbFile *file);

/* --- wbfile.c ------------------------------------------------------------- */

GThread *wbf_start_thread (
    const char *name, GThreadFunc function, WbFile *file);

G_END_DECLS
