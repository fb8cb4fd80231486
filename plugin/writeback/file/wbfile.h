/* wbfilesink: one output file
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Problem: a big sequential write that is left to the kernel piles up dirty
 * pages, stalls, and reports nothing at its end; and every call on the way can
 * hang for ever. Strategy: the caller only ever fills a bounded queue or waits
 * on a condition variable, with a deadline. Two or three threads a file do the
 * rest:
 *
 *   the I/O thread   opens, takes the queue in order and writes it in batches,
 *                    syncs, closes
 *   the retirer      starts write-out, waits for it, drops clean pages; what
 *                    and when is the planner's to say
 *   the syncer       only with a sync interval: fdatasync while the others run
 *
 * One lock guards everything; no system call is made under it. A caller that
 * gives up on a hanging call abandons the file: the threads come back from
 * their calls when the kernel lets them, close, free, and touch nothing else.
 *
 * Not promised: that write-out control makes anything durable (only a sync
 * does), that the bounds hold while the file is degraded, and that an abandoned
 * thread ever ends.
 */
#pragma once

#include "file/wbguard.h"
#include "policy/wblimits.h"
#include "policy/wbprealloc.h"
#include "system/wbsys.h"

G_BEGIN_DECLS

typedef struct _WbFile WbFile;

/* Up to here, bytes, a copy is cheaper than holding a buffer that nobody else
 * holds and that would be freed by another thread than the one that has made it:
 * 4 KiB buffers, allocated one by one: 0.44 s of processor time a GB, held 0.70.
 * One that others hold as well only costs a vector: 0.42, held 0.24. */
#define WB_COPY_MAX (8 * 1024)
#define WB_COPY_SHARED_MAX (2 * 1024)

typedef enum
{
  WB_OPEN_TRUNCATE,
  WB_OPEN_APPEND, /* position 0 is where the file ended */
  WB_OPEN_OVERWRITE
} WbOpenMode;

/* If there is a file of the name. */
typedef enum
{
  WB_EXISTS_REPLACE, /* it is emptied; with a part, replaced when that is whole */
  WB_EXISTS_FAIL,    /* an error, and nothing is touched */
  WB_EXISTS_NUMBER   /* the next free name: name-1.mkv, name-2.mkv, ... */
} WbOnExists;

typedef enum
{
  WB_WRITEBACK_DROP, /* bounded, and dropped from the cache */
  WB_WRITEBACK_KEEP, /* bounded, left in the cache when clean */
  WB_WRITEBACK_NONE  /* the kernel's own policy */
} WbWriteback;

typedef enum
{
  WB_PREALLOCATE_NONE,
  WB_PREALLOCATE_AUTO,   /* as far as it helps; never fails a run */
  WB_PREALLOCATE_REQUIRE /* all of it before the first byte, or an error */
} WbPreallocate;

typedef enum
{
  WB_SYNC_NONE,    /* only write what is queued */
  WB_SYNC_DATA,    /* fdatasync */
  WB_SYNC_BARRIER, /* fsync of the file */
  WB_SYNC_FULL     /* fsync of the file and of its directory */
} WbSyncKind;

typedef enum
{
  WB_OK,
  WB_INTERRUPTED, /* by wb_file_interrupt() */
  WB_TIMEOUT,     /* nothing moved for `sync_timeout` */
  WB_STALLED, /* begin only, once: nothing moved for the write-back timeout */
  WB_FAILED   /* see wb_file_get_error() */
} WbStatus;

typedef enum
{
  WB_RESULT_NONE, /* no sync yet */
  WB_RESULT_DURABLE,
  WB_RESULT_DATA, /* the bytes are durable, the name may not be */
  WB_RESULT_TIMEOUT,
  WB_RESULT_CANCELLED,
  WB_RESULT_FAILED,
  WB_RESULT_SKIPPED /* not asked for, or the target has no sync */
} WbSyncResult;

typedef enum
{
  WB_ERROR_NONE,
  WB_ERROR_NO_LOCATION,
  WB_ERROR_OPEN,
  WB_ERROR_BUSY, /* an abandoned thread still holds the file */
  WB_ERROR_SEEK, /* refused; `offset` is the position asked for */
  WB_ERROR_SHARED, /* others have appended: a seek to `offset` finds other bytes */
  WB_ERROR_WRITE,
  WB_ERROR_NO_SPACE, /* the disk or a quota is full */
  WB_ERROR_SYNC,
  WB_ERROR_CLOSE,
  WB_ERROR_THREAD,
  WB_ERROR_NO_SIZE, /* space is required, and nobody said how much */
  WB_ERROR_NAMES,   /* the open mode does not go with a part or `on_exists` */
  WB_ERROR_RENAME,  /* a whole part can't get its name */
  WB_ERROR_FINISHED /* it has its name, and is to be written anew after a flush */
} WbErrorKind;

typedef struct
{
  WbErrorKind kind;
  int code;             /* errno */
  const char *call;     /* which call said so, static */
  guint64 offset;       /* in the file, bytes */
  guint64 wanted, free; /* bytes, if space was required */
} WbError;

/* A call that does not come back. */
typedef struct
{
  const char *call; /* static; NULL: none is under way */
  guint64 offset;
  gint64 waited_us;
} WbStall;

typedef enum
{
  WB_LOG_WARNING = 1,
  WB_LOG_INFO,
  WB_LOG_DEBUG
} WbLogLevel;

typedef enum
{
  WB_EVENT_ERROR = 1 << 0,        /* the first error was latched */
  WB_EVENT_DEGRADED = 1 << 1,     /* `degraded` changed */
  WB_EVENT_PREALLOCATED = 1 << 2, /* it was decided how much to reserve */
  WB_EVENT_WILL_NOT_FIT = 1 << 3, /* the known size is more than is free */
  WB_EVENT_SYNC_STALLED = 1 << 4  /* a sync at an interval does not return */
} WbEvents;

/* How a file speaks to whoever opened it. Both functions are called without its
 * lock, on the file's own threads or inside a call of the caller's, and may come
 * after wb_file_close() if the file was abandoned (log only). `data` is released
 * with the file. */
typedef struct
{
  void (*log) (gpointer data, WbLogLevel level, const char *source,
      const char *function, int line, const char *message);
  /* wb_file_take_events() has news. */
  void (*notify) (gpointer data);
  gpointer data;
  GDestroyNotify release;
  WbLogLevel log_level; /* messages beyond it are not made */
} WbListener;

typedef struct
{
  const char *location; /* file name encoding; copied */
  WbOpenMode mode;
  WbOnExists on_exists;    /* but REPLACE: WB_OPEN_TRUNCATE only */
  const char *part_suffix; /* the file is written under location and this; NULL:
                              it has its name from the start; copied */
  gboolean o_sync;
  WbWriteback writeback;
  WbPreallocate preallocate;
  guint64 size_hint;           /* bytes from the base, 0: not known */
  guint64 wake_bytes;          /* queued bytes that wake the I/O thread */
  gboolean unbuffered;         /* one write a buffer, at once */
  gint64 transient_timeout_us; /* how long EACCES is retried */
  WbBounds bounds;
  WbListener listener; /* taken over, also on failure */
  const WbSys *sys;    /* NULL: the platform's */
} WbFileConfig;

typedef enum
{
  WB_RESERVE_RESERVED, /* all that is wanted, or it comes step by step */
  WB_RESERVE_PARTIAL,  /* what there was */
  WB_RESERVE_REFUSED,  /* by the system */
  WB_RESERVE_SKIPPED   /* by us: it does not help on this file system */
} WbReserveResult;

/* What was decided about reserving space. */
typedef struct
{
  guint64 wanted;   /* bytes */
  guint64 reserved; /* bytes so far */
  guint64 free;     /* bytes an ordinary user may allocate */
  WbSizeSource source;
  WbReserveResult result;
} WbReserveReport;

/* Where the file is. */
typedef struct
{
  char *location;   /* now: while it is a part, with the suffix */
  char *goal;       /* the name that it has or is to have */
  gboolean renamed; /* it was a part, and has its name now */
} WbPlace;

void wb_place_clear (WbPlace *place);

typedef struct
{
  guint64 bytes_written;
  guint64 high_water;
  guint64 queued_bytes, peak_queued_bytes;
  guint64 dirty_bytes, peak_dirty_bytes;
  guint64 chunks_started, chunks_retired;
  guint64 seeks, back_patches, late_back_patches;
  guint64 drain_rate;           /* bytes/s */
  guint64 wait_us, max_wait_us; /* pushes held */
  guint64 sync_us;              /* the last sync, from request to result */
  guint64 durable_bytes;
  guint64 preallocated_bytes;
  guint64 final_size; /* what the file's size is, or will be */
  guint64 window;     /* bytes, G_MAXUINT64: none */
  guint64 budget;     /* of all files on the disk, bytes; 0: none is shared */
  const char *budget_reason; /* static */
  gboolean degraded;
  WbSyncResult sync_result;
  WbError error;
  char mechanism[64];
} WbStats;

/* Opens the file on a thread of its own and waits for at most the sync timeout
 * (never less than half a second). Returns NULL with `error` filled in, and
 * with `stall` if the open hangs: its thread then closes what it may still
 * open. `config` is copied. */
WbFile *wb_file_open (
    const WbFileConfig *config, WbError *error, WbStall *stall);

/* Ends the file: what is queued is still written, the threads end, the file is
 * closed; or, when nothing moves for the sync timeout (not waited for again if
 * a wait has already timed out and nothing moved since), it is abandoned.
 * Takes the caller's reference; other references may still read the stats.
 * WB_FAILED: close() itself reported an error, or one was latched. */
WbStatus wb_file_close (WbFile *file, WbStats *stats, WbStall *stall);

WbFile *wb_file_ref (WbFile *file);
void wb_file_unref (WbFile *file);

gboolean wb_file_is_seekable (const WbFile *file);
/* Any thread, any time. */
void wb_file_set_bounds (WbFile *file, const WbBounds *bounds);
void wb_file_get_stats (WbFile *file, WbStats *stats);
/* The stream's position, in bytes from the base, queue included. */
guint64 wb_file_get_position (WbFile *file);
/* To be cleared. */
void wb_file_get_place (WbFile *file, WbPlace *place);
/* The call that has been under way for the longest. */
void wb_file_get_stall (WbFile *file, WbStall *stall);
/* The first error, if there is one. */
gboolean wb_file_get_error (WbFile *file, WbError *error);
/* What happened since the last call. */
WbEvents wb_file_take_events (WbFile *file);

/* --- the streaming thread ------------------------------------------------
 *
 * A buffer is handed over between begin and end. begin waits until `bytes` fit
 * the queue (a buffer larger than the queue is taken alone) and returns with
 * the file locked if, and only if, it returns WB_OK. It hands out an
 * interruption, an error, or, each time nothing moved for the sync timeout, a
 * timeout; and once, when nothing moved for the write-back timeout and that is
 * shorter, that it is stalled. The caller may call it again.
 */
WbStatus wb_file_begin (WbFile *file, gsize bytes, WbStall *stall)
    WB_REQUIRES (wb_stream_thread);
/* Whether each buffer should come as one piece, to become one write: unbuffered, or
 * a device. */
gboolean wb_file_wants_whole (const WbFile *file);
/* Copies; lets go of the lock while it does so, if it is much. */
void wb_file_copy (WbFile *file, const void *data, gsize size)
    WB_REQUIRES (wb_locked, wb_stream_thread);
/* Holds `owner` until the data is written or discarded; `release` may run on
 * any thread, never under the lock. */
void wb_file_hold (WbFile *file, const void *data, gsize size, gpointer owner,
    GDestroyNotify release) WB_REQUIRES (wb_locked, wb_stream_thread);
/* Ends one buffer (one write, if unbuffered). */
void wb_file_end_buffer (WbFile *file)
    WB_REQUIRES (wb_locked, wb_stream_thread);
/* Lets the file's threads have the lock for a moment, in a long list. */
void wb_file_give_way (WbFile *file) WB_REQUIRES (wb_locked, wb_stream_thread);
/* Unlocks, and wakes the I/O thread if it is time. */
void wb_file_end (WbFile *file) WB_REQUIRES (wb_stream_thread)
    WB_RELEASES (wb_locked);

/* Moves the position to `position` bytes from the base. FALSE, and the error
 * is latched, if the target has no positions or the offset is beyond what a file
 * can have; what was handed over before is written all the same. Nothing is
 * waited for. `*from` is the old position, `*furthest` the
 * furthest so far. */
gboolean wb_file_seek (WbFile *file, guint64 position, guint64 *from,
    guint64 *furthest) WB_REQUIRES (wb_stream_thread);

/* Asks for everything handed over so far to be written and synced; the result
 * is fetched with the token that is returned. `finish` is the end of the
 * stream: nothing needs keeping in cache after it. */
guint64 wb_file_request_sync (WbFile *file, WbSyncKind kind, gboolean finish);
/* The same at the end of a stream that is whole: a part gets its name when the sync
 * has worked. */
guint64 wb_file_request_end (WbFile *file, WbSyncKind kind);
/* How to wait for it. */
typedef enum
{
  WB_WAIT_STREAM, /* wb_file_interrupt() ends it */
  WB_WAIT_STOP,   /* it does not: nobody is to be let in */
  WB_WAIT_READER  /* it does, but the sync timeout does not, until something has
                     moved: a pipe has a reader who may take a break */
} WbSyncWait;

/* Waits for it. WB_OK: `result` says how it went. WB_WAIT_READER returns WB_OK with
 * WB_RESULT_NONE when something has moved. */
WbStatus wb_file_wait_sync (WbFile *file, guint64 token, WbSyncWait how,
    WbSyncResult *result, WbStall *stall);
/* TRUE if anything was handed over since the last finishing sync, or if that
 * sync is not over, or if the last result noted is WB_RESULT_CANCELLED or
 * WB_RESULT_TIMEOUT. `*token` is the one to wait for, or 0 if a new one is to be
 * requested. */
gboolean wb_file_needs_sync (WbFile *file, guint64 *token);
/* The wait for the finishing sync is over for the caller: its result, as the
 * stats shall tell it. */
void wb_file_note_result (WbFile *file, WbSyncResult result, gint64 elapsed_us);

/* The size that is to be expected, in bytes from the base, as far as `source`
 * knows it; 0: it does not. */
void wb_file_set_expected (WbFile *file, WbSizeSource source, guint64 bytes);
/* How long the stream is, and how much of it has come with what was handed over
 * so far (this one between begin and end): any one unit. TRUE: that is new. */
gboolean wb_file_set_duration (WbFile *file, guint64 duration);
void wb_file_set_elapsed (WbFile *file, guint64 elapsed)
    WB_REQUIRES (wb_locked, wb_stream_thread);
/* After WB_EVENT_PREALLOCATED or WB_EVENT_WILL_NOT_FIT. */
void wb_file_get_reserve_report (WbFile *file, WbReserveReport *report);

/* Makes waits in begin and wait_sync return WB_INTERRUPTED, until it was called
 * with FALSE as often as with TRUE. Any thread. */
void wb_file_interrupt (WbFile *file, gboolean interrupt);

/* Discards the queue and starts again from the base: truncates to it, unless
 * the file was opened to overwrite or has no size. Returns at once. */
void wb_file_flush (WbFile *file);

const char *wb_sync_result_name (WbSyncResult result);
const char *wb_reserve_result_name (WbReserveResult result);

G_END_DECLS
