/* wbfilesink: one output file: syncs that were asked for, and the end
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Layout: callers; the I/O thread.
 */
#include "file/wbfinish.h"

#include <errno.h>

/* Beside a sync's kind in the queue: the end of the stream. */
#define FINISHES 0x100
#define IS_WHOLE 0x200

struct _WbFinish
{
  WbCore *core;
  WbTarget *target;
  WbRetirer *retirer;
  WbSyncer *syncer;
  WbSpace *space;
  WbIntake *intake;
  WbWriter *writer;

  guint64 tokens WB_GUARDED_BY (wb_locked);     /* given out */
  guint64 token_done WB_GUARDED_BY (wb_locked); /* the last that is over, */
  WbSyncResult done_result WB_GUARDED_BY (wb_locked); /* and its result */
  guint64 token_finish WB_GUARDED_BY (wb_locked); /* the finishing sync's, */
  /* and what was handed over before it, bytes */
  guint64 accepted_at_finish WB_GUARDED_BY (wb_locked);
  /* there is more to sync than bytes: the file is new, or was emptied */
  gboolean changed WB_GUARDED_BY (wb_locked);
  WbSyncResult noted_result WB_GUARDED_BY (wb_locked);
  guint64 sync_us WB_GUARDED_BY (wb_locked);
};

WbFinish *
wb_finish_new (const WbWriterRooms *rooms, WbWriter *writer)
{
  WbFinish *finish = g_new0 (WbFinish, 1);

  finish->core = rooms->core;
  finish->target = rooms->target;
  finish->retirer = rooms->retirer;
  finish->syncer = rooms->syncer;
  finish->space = rooms->space;
  finish->intake = rooms->intake;
  finish->writer = writer;
  return finish;
}

void
wb_finish_free (WbFinish *finish)
{
  g_free (finish);
}

/* --- callers ---------------------------------------------------------------------- */

guint64
wb_finish_request (WbFinish *finish, WbSyncKind kind, WbStreamEnd end)
{
  static const guint flags[] = { 0, FINISHES, FINISHES | IS_WHOLE };
  guint64 token = ++finish->tokens;

  if (end != WB_STREAM_GOES_ON) {
    finish->token_finish = token;
    finish->accepted_at_finish = wb_intake_accepted (finish->intake);
    finish->changed = FALSE;
  }
  wb_intake_add_sync (finish->intake, token, kind | flags[end]);
  return token;
}

/* Until a reader who takes a break has taken something. */
static gboolean
is_over (const WbFinish *finish, guint64 token, WbSyncWait how,
    guint64 progress) WB_REQUIRES (wb_locked)
{
  return finish->token_done >= token
      || (how == WB_WAIT_READER && wb_core_progress (finish->core) != progress);
}

static gboolean
wait_a_while (WbFinish *finish, WbSyncWait how, gint64 start, WbStall *stall)
    WB_REQUIRES (wb_locked)
{
  if (how != WB_WAIT_READER)
    return wb_core_wait_or_give_up (finish->core, start, stall);
  return wb_core_wait (finish->core, WB_CALLERS, -1);
}

WbStatus
wb_finish_wait (WbFinish *finish, guint64 token, WbSyncWait how,
    WbSyncResult *result, WbStall *stall)
{
  gint64 start = wb_core_now (finish->core);
  guint64 progress = wb_core_progress (finish->core);
  WbStatus status = WB_OK;

  while (status == WB_OK && !is_over (finish, token, how, progress)) {
    if (how != WB_WAIT_STOP && wb_core_is_interrupted (finish->core))
      status = WB_INTERRUPTED;
    else if (!wait_a_while (finish, how, start, stall)
        && finish->token_done < token)
      status = WB_TIMEOUT;
  }
  *result = status == WB_OK && finish->token_done >= token ? finish->done_result
                                                           : WB_RESULT_NONE;
  return status;
}

/* A wait for the finishing sync that was cancelled or timed out never heard how
 * it went on: that sync counts, unless it was discarded by a flush. */
gboolean
wb_finish_is_needed (const WbFinish *finish, guint64 *token)
{
  gboolean covered =
      wb_intake_accepted (finish->intake) == finish->accepted_at_finish
      && !finish->changed;
  gboolean pending = finish->token_done < finish->token_finish;
  gboolean unheard = finish->noted_result == WB_RESULT_CANCELLED
      || finish->noted_result == WB_RESULT_TIMEOUT;

  *token = covered
          && (pending
              || (unheard && finish->token_done == finish->token_finish
                  && finish->done_result != WB_RESULT_CANCELLED))
      ? finish->token_finish
      : 0;
  return !covered || pending || unheard;
}

void
wb_finish_note_result (WbFinish *finish, WbSyncResult result, gint64 elapsed_us)
{
  finish->noted_result = result;
  finish->sync_us = (guint64) elapsed_us;
}

void
wb_finish_set_up (WbFinish *finish)
{
  const WbTargetFacts *facts = wb_target_facts (finish->target);

  finish->changed = facts->regular && (facts->created || facts->truncate);
}

void
wb_finish_cancel (WbFinish *finish)
{
  const WbTargetFacts *facts = wb_target_facts (finish->target);

  finish->changed |= facts->regular && !facts->overwrite;
  if (finish->token_done == finish->tokens)
    return;
  finish->token_done = finish->tokens;
  finish->done_result = WB_RESULT_CANCELLED;
}

void
wb_finish_fill_stats (const WbFinish *finish, WbStats *stats)
{
  stats->sync_result = finish->noted_result;
  stats->sync_us = finish->sync_us;
}

/* --- the I/O thread ------------------------------------------------------------------ */

/* What was asked for. */
typedef struct
{
  WbSyncKind kind;
  gboolean last;  /* nothing comes after it, */
  gboolean whole; /* because the stream has ended */
  guint64 generation;
} Order;

/* Until everything written has been retired and dropped. FALSE: a flush or an
 * abandonment came between. */
static gboolean
drain (WbFinish *finish, guint64 generation)
    WB_REQUIRES (wb_locked, wb_io_thread)
{
  gboolean drained = FALSE;

  while (!drained && !wb_core_is_abandoned (finish->core)
      && wb_intake_generation (finish->intake) == generation
      && !wb_core_is_broken (finish->core))
    drained = wb_retirer_drain_some (finish->retirer);
  return !wb_core_is_abandoned (finish->core)
      && wb_intake_generation (finish->intake) == generation;
}

static void
trim (WbFinish *finish) WB_REQUIRES (wb_locked, wb_io_thread)
{
  wb_space_trim (finish->space, wb_retirer_high_water (finish->retirer),
      wb_writer_bytes_written (finish->writer));
}

static WbSyncResult
nothing_synced (const WbFinish *finish) WB_REQUIRES (wb_locked)
{
  return wb_core_has_error (finish->core) ? WB_RESULT_FAILED
                                          : WB_RESULT_SKIPPED;
}

/* What came is all, and as safe as was asked for: the part gets its name; unless a
 * flush has come meanwhile, which takes it back. WB_RESULT_NONE: it has it. */
static WbSyncResult
take_name (WbFinish *finish, const Order *order)
    WB_REQUIRES (wb_locked, wb_io_thread)
{
  gboolean named;

  if (!order->whole)
    return WB_RESULT_NONE;
  /* The syncer may be looking at the name. */
  wb_syncer_answer (finish->syncer);
  if (wb_core_is_abandoned (finish->core)
      || wb_intake_generation (finish->intake) != order->generation)
    return WB_RESULT_CANCELLED;
  named = wb_target_take_name (finish->target);
  if (wb_core_is_abandoned (finish->core))
    return WB_RESULT_CANCELLED;
  return named ? WB_RESULT_NONE : WB_RESULT_FAILED;
}

/* fsync of the file, and of its directory. */
static WbSyncResult
sync_target (WbFinish *finish, const Order *order)
    WB_REQUIRES (wb_locked, wb_io_thread)
{
  WbSyncKind kind = order->kind;
  WbCore *core = finish->core;
  guint64 covered = wb_retirer_high_water (finish->retirer);
  WbSyncResult result = WB_RESULT_DATA, named;
  WbVerdict verdict;

  /* Also after an error: what was taken before it shall be on the disk. But an
   * fsync that failed is never asked again: it might say 0. */
  if (wb_core_sync_failed (core))
    return WB_RESULT_FAILED;
  verdict = wb_target_sync (finish->target, WB_IO, kind, covered);
  wb_syncer_answer (finish->syncer);
  if (wb_core_is_abandoned (core))
    return WB_RESULT_CANCELLED;
  if (verdict.refused
      || (verdict.code == EROFS && !wb_target_facts (finish->target)->regular))
    return nothing_synced (finish);
  if (verdict.code != 0) {
    wb_core_latch (core, WB_ERROR_SYNC, verdict.code,
        kind == WB_SYNC_DATA ? "fdatasync" : "fsync", covered);
    wb_core_note_sync_failed (core);
    return WB_RESULT_FAILED;
  }
  if (wb_core_has_error (core))
    return WB_RESULT_FAILED;
  named = take_name (finish, order);
  if (named != WB_RESULT_NONE)
    return named;
  if (kind == WB_SYNC_FULL)
    result = wb_target_sync_parent (finish->target, WB_IO);
  wb_syncer_io_synced (
      finish->syncer, covered, result == WB_RESULT_DURABLE, order->last);
  return result;
}

/* Nothing is synced: nothing more is asked for before it gets its name. */
static WbSyncResult
only_write (WbFinish *finish, const Order *order)
    WB_REQUIRES (wb_locked, wb_io_thread)
{
  WbSyncResult named = WB_RESULT_NONE;

  if (order->last)
    trim (finish);
  wb_retirer_release (finish->retirer);
  if (!wb_core_has_error (finish->core))
    named = take_name (finish, order);
  return named != WB_RESULT_NONE ? named : nothing_synced (finish);
}

static WbSyncResult
sync_now (WbFinish *finish, const Order *order)
    WB_REQUIRES (wb_locked, wb_io_thread)
{
  WbCore *core = finish->core;

  if (order->last)
    wb_space_settle (finish->space);
  /* After each call: a thread that was left behind in it makes no other. */
  if (wb_core_is_abandoned (core))
    return WB_RESULT_CANCELLED;
  if (order->kind == WB_SYNC_NONE)
    return only_write (finish, order);
  if (!drain (finish, order->generation))
    return WB_RESULT_CANCELLED;
  if (wb_retirer_has_control (finish->retirer))
    wb_core_say_locked (core, WB_LOG_DEBUG, "everything has been retired");
  if (order->last)
    trim (finish);
  if (wb_core_is_abandoned (core))
    return WB_RESULT_CANCELLED;
  return sync_target (finish, order);
}

static void
say_sync_asked (WbFinish *finish, gboolean last)
    WB_REQUIRES (wb_locked, wb_io_thread)
{
  guint64 high_water = wb_retirer_high_water (finish->retirer);
  guint64 dirty = wb_retirer_dirty_bytes (finish->retirer);

  wb_core_say_locked (finish->core, WB_LOG_DEBUG,
      "%s: everything is written up to %" G_GUINT64_FORMAT
      ", %" G_GUINT64_FORMAT " bytes are dirty",
      last ? "the end" : "a sync was asked for in the stream", high_water,
      dirty);
}

/* Nothing needs keeping in the cache any more. */
static gboolean
settle (WbFinish *finish, guint64 generation)
    WB_REQUIRES (wb_locked, wb_io_thread)
{
  wb_retirer_settle (finish->retirer);
  drain (finish, generation);
  return !wb_core_has_error (finish->core);
}

void
wb_finish_sync (WbFinish *finish)
{
  guint64 generation = wb_intake_generation (finish->intake);
  WbItem sync = wb_intake_take_sync (finish->intake);
  const Order order = { sync.kind & ~(FINISHES | IS_WHOLE),
    (sync.kind & FINISHES) != 0, (sync.kind & IS_WHOLE) != 0, generation };
  WbSyncResult result;

  wb_syncer_io_begins (finish->syncer);
  say_sync_asked (finish, order.last);
  result = sync_now (finish, &order);
  if (order.last && wb_retirer_has_control (finish->retirer)
      && generation == wb_intake_generation (finish->intake)
      && (result == WB_RESULT_DURABLE || result == WB_RESULT_DATA)
      && !settle (finish, generation))
    result = WB_RESULT_FAILED;
  wb_syncer_io_ends (finish->syncer);
  /* Unless a flush has discarded it. */
  if (sync.token > finish->token_done) {
    finish->token_done = sync.token;
    finish->done_result = result;
  }
  wb_core_wake (finish->core, WB_CALLERS);
  wb_core_notify (finish->core);
}

void
wb_finish_tidy_up (WbFinish *finish)
{
  wb_space_settle (finish->space);
  trim (finish);
}
