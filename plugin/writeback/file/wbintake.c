/* wbfilesink: one output file: the intake
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Layout: how much makes a write; the streaming thread; any thread; the I/O
 * thread.
 */
#include "file/wbintake.h"

#include "process/wbqueues.h"

#include <errno.h>
#include <string.h>

/* So long nothing may move before a fast disk's queue grows. */
#define BREAK_US (10 * 1000)
/* What a person would call held. */
#define HELD_SAID_US (10 * 1000)
/* A partial batch is written this long after its first byte came. */
#define LINGER_US (5 * 1000)
/* A target without positions may take bytes slowly: small writes, so that each
 * one that returns counts as progress. Half of Linux's default pipe. */
#define STREAM_WRITE (32 * 1024)
/* How long the idle I/O thread watches at a time. */
#define WATCH_US (8 * G_USEC_PER_SEC)

typedef enum
{
  IO_BUSY,
  IO_IDLE,     /* waits for the first byte */
  IO_LINGERING /* waits for more, or for its time */
} IoState;

struct _WbIntake
{
  WbCore *core;
  WbRetirer *retirer;
  WbShare *share;
  const WbTargetFacts *facts;
  gboolean unbuffered;
  guint64 wake_bytes;

  WbQueue queue WB_GUARDED_BY (wb_locked);
  guint64 queued WB_GUARDED_BY (wb_locked);   /* bytes, those taken included */
  guint64 accepted WB_GUARDED_BY (wb_locked); /* bytes ever */
  guint64 push_offset WB_GUARDED_BY (wb_locked); /* of the next buffer */
  guint64 furthest WB_GUARDED_BY (wb_locked);    /* of them, before a seek */
  guint64 generation WB_GUARDED_BY (wb_locked);  /* counts flushes */
  gboolean restart_pending WB_GUARDED_BY (wb_locked);
  gboolean quit WB_GUARDED_BY (wb_locked);

  WbQueueLimit limit WB_GUARDED_BY (wb_locked);
  WbMeter write_meter WB_GUARDED_BY (wb_locked);

  /* the I/O thread, as the streaming thread sees it */
  IoState io_state WB_GUARDED_BY (wb_locked);
  gboolean lively WB_GUARDED_BY (wb_locked); /* something was just written */
  guint64 due WB_GUARDED_BY (wb_locked); /* of accepted: it is written now */
  gboolean waits_for_window WB_GUARDED_BY (wb_locked);

  /* a push that waits for room */
  gboolean caller_wants_room WB_GUARDED_BY (wb_locked);
  guint64 stall_told WB_GUARDED_BY (wb_locked);  /* progress + 1; 0: none was */
  gint64 room_wait_us WB_GUARDED_BY (wb_locked); /* since when, if it was */
  gint64 held_us WB_GUARDED_BY (wb_locked);      /* the last push, to be said */
  const char *held_for WB_GUARDED_BY (wb_locked);

  guint64 seeks WB_GUARDED_BY (wb_locked);
  guint64 peak_queued_bytes WB_GUARDED_BY (wb_locked);
  guint64 wait_us WB_GUARDED_BY (wb_locked);
  guint64 max_wait_us WB_GUARDED_BY (wb_locked);
};

WbIntake *
wb_intake_new (WbCore *core, WbTarget *target, WbShare *share,
    WbRetirer *retirer, const WbFileConfig *config)
{
  WbIntake *intake = g_new0 (WbIntake, 1);

  intake->core = core;
  intake->share = share;
  intake->retirer = retirer;
  intake->facts = wb_target_facts (target);
  intake->unbuffered = config->unbuffered;
  intake->wake_bytes = MAX (config->wake_bytes, 1);
  wb_queues_join ();
  return intake;
}

/* Unchecked: nobody else knows it any more. */
WB_UNCHECKED void
wb_intake_free (WbIntake *intake)
{
  GArray *owners = g_array_new (FALSE, FALSE, sizeof (WbOwner));

  wb_queues_leave ();
  wb_queue_clear (&intake->queue, owners);
  wb_owners_release (owners);
  g_array_free (owners, TRUE);
  g_free (intake);
}

void
wb_intake_set_up (WbIntake *intake)
{
  wb_intake_update_bound (intake, 0);
  intake->push_offset = intake->facts->base;
}

/* --- how much makes a write -------------------------------------------------------------- */

/* How many batches one write may hold. */
static guint64
batches_a_write (const WbIntake *intake) WB_REQUIRES (wb_locked)
{
  if (wb_retirer_has_control (intake->retirer))
    return 1;
  return wb_limits_batches (
      &intake->limit, &intake->write_meter, wb_retirer_batch (intake->retirer));
}

/* How much is worth a write: what the caller said, and, while the stream goes
 * on, many times that. A file without positions has a reader who waits. */
static guint64
write_goal (const WbIntake *intake) WB_REQUIRES (wb_locked)
{
  if (!intake->lively || !intake->facts->seekable)
    return intake->wake_bytes;
  return wb_limits_lively_goal (&intake->limit, intake->wake_bytes,
      batches_a_write (intake), wb_retirer_batch (intake->retirer));
}

/* A partial batch waits for more, but not for long. */
static gboolean
is_worth_writing (const WbIntake *intake) WB_REQUIRES (wb_locked)
{
  const WbItem *last = wb_queue_last (&intake->queue);

  /* The caller for whom there is room may not have woken yet. */
  if (last == NULL)
    return intake->quit;
  return intake->queued >= write_goal (intake) || intake->unbuffered
      || intake->quit || intake->caller_wants_room || last->size == 0;
}

gboolean
wb_intake_is_whole (const WbIntake *intake)
{
  return intake->unbuffered || intake->facts->message;
}

/* The most that one write may take from here: to the end of a batch. Unbuffered, a
 * buffer is one write, whatever its size; only a pipe may be fed in parts. */
static gsize
write_limit (const WbIntake *intake) WB_REQUIRES (wb_locked)
{
  guint64 most;

  if (intake->unbuffered && !intake->facts->pipe)
    return G_MAXSIZE;
  if (!intake->facts->seekable)
    return STREAM_WRITE;
  most = batches_a_write (intake) * wb_retirer_batch (intake->retirer);
  return most - wb_queue_peek (&intake->queue)->offset % most;
}

/* --- the streaming thread ------------------------------------------------------------------- */

static gboolean
has_room_within (const WbIntake *intake, gsize bytes, guint64 bound)
    WB_REQUIRES (wb_locked)
{
  return intake->queued == 0
      || (intake->queued < bound && bytes <= bound - intake->queued);
}

static gboolean
has_room (const WbIntake *intake, gsize bytes) WB_REQUIRES (wb_locked)
{
  return has_room_within (intake, bytes, intake->limit.bound);
}

/* A disk that is fast enough for a part of the queue may take a break: the rest
 * is for that. TRUE: nothing has moved for so long that it is one. */
static gboolean
is_at_a_break (WbIntake *intake) WB_REQUIRES (wb_locked)
{
  WbCore *core = intake->core;
  gint64 left = wb_core_last_progress (core) + BREAK_US - wb_core_now (core);

  if (left > 0)
    wb_core_wait (core, WB_CALLERS, g_get_monotonic_time () + left);
  return wb_core_now (core) >= wb_core_last_progress (core) + BREAK_US;
}

/* A stall is worth one warning before the timeout, if that comes later. */
static gint64
room_patience (const WbIntake *intake) WB_REQUIRES (wb_locked)
{
  const WbBounds *bounds = wb_core_bounds (intake->core);
  gint64 timeout = bounds->sync_timeout_us;
  gint64 stalled = bounds->writeback_timeout_us;

  if (stalled < 0 || (timeout >= 0 && timeout <= stalled)
      || intake->stall_told == wb_core_progress (intake->core) + 1)
    return timeout;
  return stalled;
}

/* A wait that has told of a stall goes on after it: the timeout counts from its
 * beginning. The one after a timeout begins anew. */
static WbStatus
out_of_patience (WbIntake *intake, gint64 start_us, gint64 patience,
    WbStall *stall) WB_REQUIRES (wb_locked)
{
  gboolean timed_out =
      patience == wb_core_bounds (intake->core)->sync_timeout_us;

  wb_core_find_stall (intake->core, stall);
  intake->room_wait_us = timed_out ? wb_core_now (intake->core) : start_us;
  if (timed_out)
    return WB_TIMEOUT;
  intake->stall_told = wb_core_progress (intake->core) + 1;
  return WB_STALLED;
}

/* What the I/O thread is at while the queue is full. */
static const char *
why_held (const WbIntake *intake) WB_REQUIRES (wb_locked)
{
  const char *call = wb_core_call (intake->core, WB_IO);

  if (call != NULL)
    return call;
  return intake->waits_for_window ? "the window is full" : "the queue is full";
}

/* Kept out of those who call it for each buffer, as copy_blocks(). */
static G_GNUC_NO_INLINE WbStatus
wait_for_room (WbIntake *intake, gsize bytes, WbStall *stall)
    WB_REQUIRES (wb_locked)
{
  WbCore *core = intake->core;
  gint64 start = wb_core_now (core), held;
  gint64 since = intake->stall_told == wb_core_progress (core) + 1
      ? intake->room_wait_us
      : start;
  WbStatus status = WB_OK;

  intake->caller_wants_room = TRUE;
  intake->held_for = why_held (intake);
  wb_core_wake (core, WB_IO);
  while (status == WB_OK && !has_room (intake, bytes)) {
    gint64 patience = room_patience (intake);

    if (wb_core_is_interrupted (core))
      status = WB_INTERRUPTED;
    else if (wb_core_has_error (core))
      status = WB_FAILED;
    else if (has_room_within (intake, bytes, intake->limit.most)) {
      if (is_at_a_break (intake))
        break;
    } else if (!wb_core_wait_for_progress (core, since, patience)
        && !has_room (intake, bytes))
      status = out_of_patience (intake, since, patience, stall);
  }
  intake->caller_wants_room = FALSE;
  held = MAX (wb_core_now (core) - start, 0);
  intake->wait_us += (guint64) held;
  intake->max_wait_us = MAX (intake->max_wait_us, (guint64) held);
  intake->held_us += held;
  return status;
}

/* Unchecked: whether it returns with the lock is in its result. */
WB_UNCHECKED WbStatus
wb_intake_begin (WbIntake *intake, gsize bytes, WbStall *stall)
{
  WbStatus status;

  if (G_LIKELY (has_room (intake, bytes)))
    return WB_OK;
  status = wait_for_room (intake, bytes, stall);
  if (status != WB_OK)
    wb_core_unlock (intake->core);
  return status;
}

static void
accept (WbIntake *intake, gsize size) WB_REQUIRES (wb_locked)
{
  intake->push_offset += size;
  intake->accepted += size;
  intake->queued += size;
}

/* Of a large piece each block is copied without the lock, or others would wait for
 * that (12 MB: 8 to 32 ms). What is left is returned. */
static G_GNUC_NO_INLINE gsize
copy_blocks (WbIntake *intake, const guint8 *data, gsize size)
    WB_REQUIRES (wb_locked)
{
  for (; size > WB_BLOCK_SIZE; size -= WB_BLOCK_SIZE, data += WB_BLOCK_SIZE) {
    WbBlock *block = wb_queue_stage (&intake->queue);

    wb_core_unlock (intake->core);
    memcpy (wb_block_data (block), data, WB_BLOCK_SIZE);
    wb_core_lock (intake->core);
    wb_queue_add_block (&intake->queue, intake->push_offset, block);
    accept (intake, WB_BLOCK_SIZE);
  }
  return size;
}

void
wb_intake_copy (WbIntake *intake, const void *data, gsize size)
{
  const guint8 *end = (const guint8 *) data + size;

  if (G_UNLIKELY (size > WB_BLOCK_SIZE))
    size = copy_blocks (intake, data, size);
  wb_queue_copy (&intake->queue, intake->push_offset, end - size, size);
  accept (intake, size);
}

void
wb_intake_hold (WbIntake *intake, const void *data, gsize size, gpointer owner,
    GDestroyNotify release)
{
  wb_queue_hold (
      &intake->queue, intake->push_offset, data, size, owner, release);
  accept (intake, size);
}

void
wb_intake_end_buffer (WbIntake *intake)
{
  if (intake->unbuffered)
    wb_queue_end_write (&intake->queue);
}

void
wb_intake_end (WbIntake *intake)
{
  gboolean wake = intake->io_state == IO_IDLE
      || (intake->io_state == IO_LINGERING && is_worth_writing (intake));
  gint64 held_us = intake->held_us;
  const char *held_for = intake->held_for;

  intake->peak_queued_bytes = MAX (intake->peak_queued_bytes, intake->queued);
  if (wake) {
    intake->io_state = IO_BUSY;
    wb_core_wake (intake->core, WB_IO);
  }
  intake->held_us = 0;
  wb_core_unlock (intake->core);
  if (held_us >= HELD_SAID_US)
    wb_core_say (intake->core, WB_LOG_DEBUG, "a push was held for %.1f ms: %s",
        held_us / 1e3, held_for);
}

gboolean
wb_intake_seek (WbIntake *intake, guint64 position, guint64 *furthest)
{
  guint64 base = intake->facts->base;
  guint64 from = intake->push_offset - base;

  intake->furthest = MAX (intake->furthest, from);
  *furthest = intake->furthest;
  if (position == from)
    return FALSE;
  if (!intake->facts->seekable || position > G_MAXINT64
      || position > G_MAXINT64 - base) {
    wb_core_latch (intake->core, WB_ERROR_SEEK,
        intake->facts->seekable ? EOVERFLOW : ESPIPE, "seek", position);
    return FALSE;
  }
  intake->push_offset = base + position;
  intake->seeks++;
  return TRUE;
}

guint64
wb_intake_position (const WbIntake *intake)
{
  return intake->push_offset - intake->facts->base;
}

guint64
wb_intake_accepted (const WbIntake *intake)
{
  return intake->accepted;
}

/* --- any thread ---------------------------------------------------------------------------- */

/* What waits for data looks for something else. */
static void
call_io_thread (WbIntake *intake) WB_REQUIRES (wb_locked)
{
  intake->io_state = IO_BUSY;
  wb_core_wake (intake->core, WB_IO);
}

void
wb_intake_add_sync (WbIntake *intake, guint64 token, guint kind)
{
  wb_queue_sync (&intake->queue, token, kind);
  call_io_thread (intake);
}

gboolean
wb_intake_is_waited_for (const WbIntake *intake)
{
  const WbItem *last = wb_queue_last (&intake->queue);

  return last != NULL && last->size == 0;
}

void
wb_intake_quit (WbIntake *intake)
{
  intake->quit = TRUE;
  wb_core_wake (intake->core, WB_IO);
}

void
wb_intake_discard (WbIntake *intake, GArray *owners)
{
  wb_queue_clear (&intake->queue, owners);
  intake->queued = 0;
}

void
wb_intake_flush (WbIntake *intake, GArray *owners)
{
  wb_intake_discard (intake, owners);
  intake->generation++;
  intake->restart_pending = TRUE;
  if (intake->facts->seekable)
    intake->push_offset = intake->facts->base;
  intake->furthest = 0;
  call_io_thread (intake);
}

void
wb_intake_update_bound (WbIntake *intake, guint64 written)
{
  WbBounds bounds = *wb_core_bounds (intake->core);

  bounds.max_queued_bytes = MIN (bounds.max_queued_bytes, wb_queues_share ());
  wb_limits_queue (&intake->limit, &bounds, &intake->write_meter,
      wb_retirer_drain_meter (intake->retirer), written);
}

void
wb_intake_fill_stats (const WbIntake *intake, WbStats *stats)
{
  stats->queued_bytes = intake->queued;
  stats->peak_queued_bytes = intake->peak_queued_bytes;
  stats->seeks = intake->seeks;
  stats->wait_us = intake->wait_us;
  stats->max_wait_us = intake->max_wait_us;
}

/* --- the I/O thread ------------------------------------------------------------------------- */

static void
linger (WbIntake *intake) WB_REQUIRES (wb_locked, wb_io_thread)
{
  gint64 deadline = g_get_monotonic_time () + LINGER_US;
  gboolean in_time = TRUE;

  intake->io_state = IO_LINGERING;
  while (in_time && intake->io_state == IO_LINGERING
      && !is_worth_writing (intake) && !wb_core_is_abandoned (intake->core)
      && !intake->restart_pending)
    in_time = wb_core_wait (intake->core, WB_IO, deadline);
  intake->io_state = IO_BUSY;
  if (in_time)
    return;
  intake->due = intake->accepted;
  intake->lively = !wb_queue_is_empty (&intake->queue);
}

/* Right after a write the next batch is likely to come: one wake-up for all of
 * it, instead of one for its first byte and one for the rest. */
static void
wait_for_data (WbIntake *intake) WB_REQUIRES (wb_locked, wb_io_thread)
{
  wb_queue_give_back (&intake->queue);
  if (intake->lively && !intake->unbuffered) {
    linger (intake);
    return;
  }
  intake->io_state = IO_IDLE;
  wb_core_wait_timed (intake->core, WB_IO, wb_core_now (intake->core),
      wb_core_call (intake->core, WB_SYNCER) != NULL ? WATCH_US : -1);
  intake->io_state = IO_BUSY;
}

WbNext
wb_intake_next (WbIntake *intake)
{
  if (intake->restart_pending)
    return WB_NEXT_RESTART;
  if (!wb_queue_is_empty (&intake->queue))
    return wb_queue_peek (&intake->queue)->size == 0 ? WB_NEXT_SYNC
                                                     : WB_NEXT_DATA;
  if (intake->quit)
    return WB_NEXT_QUIT;
  wait_for_data (intake);
  return WB_NEXT_NONE;
}

gboolean
wb_intake_gather (WbIntake *intake)
{
  /* Unless what is at the head has waited for as long as it may. */
  if (!is_worth_writing (intake)
      && intake->accepted - intake->queued >= intake->due)
    linger (intake);
  return !wb_queue_is_empty (&intake->queue) && !intake->restart_pending
      && wb_queue_peek (&intake->queue)->size > 0;
}

void
wb_intake_take (WbIntake *intake, WbBatchRun *run)
{
  intake->lively = TRUE;
  if (intake->facts->message)
    wb_queue_take_whole (&intake->queue, run, write_limit (intake));
  else
    wb_queue_take (&intake->queue, run, write_limit (intake));
}

WbItem
wb_intake_take_sync (WbIntake *intake)
{
  return wb_queue_pop_sync (&intake->queue);
}

void
wb_intake_give_back (WbIntake *intake, WbBatchRun *run, gsize done,
    gboolean discard, guint64 generation, GArray *owners)
{
  if (intake->generation == generation)
    intake->queued -=
        MIN (intake->queued, discard ? wb_batch_run_size (run) : done);
  wb_queue_finish (&intake->queue, run, done, discard, owners);
}

void
wb_intake_discard_data (WbIntake *intake, WbBatchRun *run, GArray *owners)
{
  while (!wb_queue_is_empty (&intake->queue)
      && wb_queue_peek (&intake->queue)->size > 0) {
    wb_queue_take (&intake->queue, run, G_MAXSIZE);
    intake->queued -= MIN (intake->queued, wb_batch_run_size (run));
    wb_queue_finish (&intake->queue, run, 0, TRUE, owners);
  }
  wb_core_wake (intake->core, WB_CALLERS);
}

void
wb_intake_wake_caller (WbIntake *intake)
{
  guint64 rate = wb_meter_rate (&intake->write_meter);

  if (wb_retirer_has_control (intake->retirer))
    rate = MIN (rate, wb_share_disk_rate (intake->share));
  if (!intake->caller_wants_room || intake->queued == 0
      || intake->queued + wb_limits_wake (&intake->limit, rate)
          <= intake->limit.bound)
    wb_core_wake (intake->core, WB_CALLERS);
}

void
wb_intake_note_write (WbIntake *intake, guint64 bytes, gint64 took_us)
{
  wb_meter_note (&intake->write_meter, bytes, took_us, TRUE);
}

void
wb_intake_set_waits (WbIntake *intake, gboolean waits)
{
  intake->waits_for_window = waits;
}

guint64
wb_intake_generation (const WbIntake *intake)
{
  return intake->generation;
}

void
wb_intake_restarted (WbIntake *intake)
{
  intake->restart_pending = FALSE;
}
