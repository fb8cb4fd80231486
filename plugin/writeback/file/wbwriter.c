/* wbfilesink: one output file: the writer
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Layout: one write; a batch; starting again; figures.
 */
#include "file/wbwriter.h"

#include "system/wbcode.h"

#include <errno.h>

#define TRANSIENT_RETRY_US (10 * 1000)
/* The least that a full disk is asked to take. */
#define SECTOR 512

struct _WbWriter
{
  WbCore *core;
  WbTarget *target;
  WbRetirer *retirer;
  WbSyncer *syncer;
  WbSpace *space;
  WbIntake *intake;
  const WbTargetFacts *facts;
  gint64 transient_timeout_us;

  /* of a file that is appended to: where the stream is at its furthest, and by how
   * much what others have appended has moved it; offsets in the file */
  guint64 append_at WB_GUARDED_BY (wb_io_thread);
  guint64 append_shift WB_GUARDED_BY (wb_io_thread);

  guint64 bytes_written WB_GUARDED_BY (wb_locked);
  /* survives a restart that does not truncate */
  guint64 final_high_water WB_GUARDED_BY (wb_locked);

  /* it has its name and a flush has come: what is whole stays so */
  gboolean is_finished WB_GUARDED_BY (wb_io_thread);

  WbBatchRun run WB_GUARDED_BY (wb_io_thread);
  GArray *garbage WB_GUARDED_BY (wb_io_thread); /* WbOwner */
};

/* Unchecked: nobody else knows it yet. */
WB_UNCHECKED WbWriter *
wb_writer_new (const WbWriterRooms *rooms, const WbFileConfig *config)
{
  WbWriter *writer = g_new0 (WbWriter, 1);

  writer->core = rooms->core;
  writer->target = rooms->target;
  writer->retirer = rooms->retirer;
  writer->syncer = rooms->syncer;
  writer->space = rooms->space;
  writer->intake = rooms->intake;
  writer->facts = wb_target_facts (rooms->target);
  writer->transient_timeout_us = config->transient_timeout_us;
  writer->garbage = g_array_new (FALSE, FALSE, sizeof (WbOwner));
  return writer;
}

/* Unchecked: nobody else knows it any more. */
WB_UNCHECKED void
wb_writer_free (WbWriter *writer)
{
  wb_owners_release (writer->garbage);
  g_array_free (writer->garbage, TRUE);
  g_free (writer);
}

void
wb_writer_set_up (WbWriter *writer)
{
  writer->append_at = writer->facts->base;
}

static gboolean
may_go_on (const WbWriter *writer, guint64 generation) WB_REQUIRES (wb_locked)
{
  return !wb_core_is_abandoned (writer->core)
      && wb_intake_generation (writer->intake) == generation
      && !wb_core_is_broken (writer->core);
}

/* --- one write ----------------------------------------------------------------------- */

/* Writes once what is left of the run from `done` on, or at most `most` bytes of
 * the next piece. Returns the bytes, or -errno; `*offset` becomes where they are in
 * the file. */
static gssize
write_some (WbWriter *writer, gsize done, gsize most, guint64 *offset)
    WB_REQUIRES (wb_locked, wb_io_thread)
{
  WbBatchRun *run = &writer->run;
  WbVector *vectors = run->vectors, first;
  gsize skip = done;
  gssize result;
  gint64 took;
  guint n = run->n;

  for (; skip >= vectors->size; n--)
    skip -= (vectors++)->size;
  first = *vectors;
  vectors->data = (guint8 *) first.data + skip;
  vectors->size = MIN (first.size - skip, most);
  *offset = run->offset + done + writer->append_shift;
  /* No file has such offsets, and the table means something else by them. */
  if (*offset > G_MAXINT64 - run->bytes) {
    *vectors = first;
    return -EFBIG;
  }
  result = wb_target_write (writer->target, vectors,
      vectors->size < first.size - skip ? 1 : n, offset, &took);
  *vectors = first;
  if (result > 0)
    wb_intake_note_write (writer->intake, (guint64) result, took);
  return result;
}

static void
account_write (WbWriter *writer, guint64 offset, gsize bytes)
    WB_REQUIRES (wb_locked, wb_io_thread)
{
  writer->bytes_written += bytes;
  wb_syncer_wrote (writer->syncer);
  wb_intake_update_bound (writer->intake, bytes);
  wb_retirer_wrote (writer->retirer, offset, bytes);
}

/* EACCES comes and goes on some network file systems while another client
 * reads the file. */
static gboolean
retry_later (WbWriter *writer, gint64 *give_up_us)
    WB_REQUIRES (wb_locked, wb_io_thread)
{
  gint64 now = wb_core_now (writer->core);

  if (writer->transient_timeout_us <= 0)
    return FALSE;
  if (*give_up_us == 0)
    *give_up_us = now + writer->transient_timeout_us;
  if (now >= *give_up_us || wb_core_is_abandoned (writer->core))
    return FALSE;
  wb_core_wait_timed (writer->core, WB_IO, now, TRANSIENT_RETRY_US);
  return TRUE;
}

/* A disk that is full for all of it may not be for a part: half as much, down to a
 * sector. 0: not even that. */
static gsize
try_less (gsize left, gsize most)
{
  gsize less = MIN (left, most) / 2;

  less -= less % SECTOR;
  return less;
}

/* Writes the run. Returns how much of it was taken. */
static gsize
write_run (WbWriter *writer, guint64 generation)
    WB_REQUIRES (wb_locked, wb_io_thread)
{
  const WbBatchRun *run = &writer->run;
  gsize done = 0, most = G_MAXSIZE;
  gint64 give_up_us = 0;
  guint empty = 0, tries = 0;

  while (done < run->bytes && !wb_core_is_abandoned (writer->core)
      && wb_intake_generation (writer->intake) == generation) {
    guint64 offset;
    gssize result = write_some (writer, done, most, &offset);

    if (result > 0) {
      /* Where others have appended to it, it is not where it was meant to be. */
      writer->append_shift = offset - (run->offset + done);
      account_write (writer, offset, (gsize) result);
      done += (gsize) result;
      give_up_us = 0;
      empty = tries = 0;
      continue;
    }
    if (result == -EAGAIN || wb_code_is_to_be_tried ((int) -result, &tries)
        || (result == -EACCES && retry_later (writer, &give_up_us)))
      continue;
    /* Nothing written and no error: once may happen, again is a full device. */
    if (result == 0 && empty++ < 1)
      continue;
    if (result < 0 && wb_code_is_no_space ((int) -result)
        && (most = try_less (run->bytes - done, most)) > 0)
      continue;
    wb_core_latch (writer->core, WB_ERROR_WRITE,
        result == 0 ? ENOSPC : (int) -result, "write", run->offset + done);
    break;
  }
  return done;
}

/* --- appending ------------------------------------------------------------------------- */

/* Whether anybody else has appended, so that what the stream has written can't be
 * found by its position any more. */
static gboolean
is_shared (WbWriter *writer) WB_REQUIRES (wb_locked, wb_io_thread)
{
  guint64 size = 0;

  return writer->append_shift != 0
      || (wb_target_ask_size (writer->target, &size) == 0
          && size != writer->append_at);
}

/* A file that is appended to is, as long as the stream only goes on; what a muxer
 * comes back to is written in its place, if nobody else has appended meanwhile.
 * FALSE: they have, or it is not allowed; the error is latched. */
static gboolean
choose_place (WbWriter *writer) WB_REQUIRES (wb_locked, wb_io_thread)
{
  guint64 offset = writer->run.offset;
  gboolean appending = wb_target_is_appending (writer->target);
  int code = 0;

  if (!writer->facts->append || !writer->facts->regular)
    return TRUE;
  if (offset == writer->append_at) {
    if (appending || wb_target_set_appending (writer->target, TRUE) == 0
        || !is_shared (writer))
      return TRUE;
    wb_core_latch (writer->core, WB_ERROR_SHARED, EBUSY, "seek", offset);
    return FALSE;
  } else if (is_shared (writer)) {
    wb_core_latch (writer->core, WB_ERROR_SHARED, EBUSY, "seek", offset);
    return FALSE;
  } else if (appending) {
    code = wb_target_set_appending (writer->target, FALSE);
    if (code != 0)
      wb_core_latch (writer->core, WB_ERROR_SEEK, code, "fcntl", offset);
  }
  return code == 0;
}

/* --- a batch --------------------------------------------------------------------------- */

/* Holds the writer until the run fits the window, in steps of what is retired.
 * FALSE: something else has to be seen to first. */
static gboolean
wait_for_window (WbWriter *writer, guint64 generation)
    WB_REQUIRES (wb_locked, wb_io_thread)
{
  const WbBatchRun *run = &writer->run;
  gint64 since = 0;

  wb_intake_set_waits (writer->intake, TRUE);
  while (may_go_on (writer, generation)
      && !wb_retirer_may_write (
          writer->retirer, run->offset + writer->append_shift, run->bytes))
    wb_retirer_wait_for_room (
        writer->retirer, wb_intake_is_waited_for (writer->intake), &since);
  wb_intake_set_waits (writer->intake, FALSE);
  return may_go_on (writer, generation);
}

static void
release_garbage (WbWriter *writer) WB_REQUIRES (wb_locked, wb_io_thread)
{
  if (writer->garbage->len == 0)
    return;
  wb_core_unlock (writer->core);
  wb_owners_release (writer->garbage);
  wb_core_lock (writer->core);
}

static void
write_batch (WbWriter *writer) WB_REQUIRES (wb_locked, wb_io_thread)
{
  guint64 generation = wb_intake_generation (writer->intake);
  WbBatchRun *run = &writer->run;
  gsize done = 0;

  wb_intake_take (writer->intake, run);
  wb_retirer_look_at_others (writer->retirer);
  wb_space_require (writer->space);
  if (may_go_on (writer, generation))
    wb_space_reserve_ahead (writer->space,
        wb_retirer_high_water (writer->retirer), run->offset + run->bytes);
  if (wait_for_window (writer, generation) && choose_place (writer)) {
    done = write_run (writer, generation);
    /* A flush may have come before the first byte: the end is where it was. */
    if (done > 0)
      writer->append_at = MAX (writer->append_at, run->offset + done);
  }

  wb_intake_give_back (writer->intake, run, done,
      !may_go_on (writer, generation), generation, writer->garbage);
  wb_retirer_check_recovered (writer->retirer);
  wb_intake_wake_caller (writer->intake);
  release_garbage (writer);
  wb_core_notify (writer->core);
}

void
wb_writer_write (WbWriter *writer)
{
  if (writer->is_finished)
    wb_core_latch (writer->core, WB_ERROR_FINISHED, EEXIST, "write", 0);
  /* After an error what is queued can no longer be written. */
  if (wb_core_is_broken (writer->core)) {
    wb_intake_discard_data (writer->intake, &writer->run, writer->garbage);
    release_garbage (writer);
  } else if (wb_intake_gather (writer->intake)
      && !wb_core_is_abandoned (writer->core)) {
    write_batch (writer);
  }
}

/* --- starting again ------------------------------------------------------------------------ */

/* Whether what was written can be taken away: not from a file that others have
 * appended to. */
static gboolean
can_truncate (WbWriter *writer) WB_REQUIRES (wb_locked, wb_io_thread)
{
  if (!writer->facts->regular || writer->facts->overwrite || writer->is_finished
      || wb_retirer_high_water (writer->retirer) <= writer->facts->base)
    return FALSE;
  if (!writer->facts->append || !is_shared (writer))
    return TRUE;
  wb_core_say_locked (writer->core, WB_LOG_WARNING,
      "flush: others have appended to the file: nothing is taken from it");
  return FALSE;
}

/* 0, or the errno, which is latched. */
static int
truncate_to_base (WbWriter *writer) WB_REQUIRES (wb_locked, wb_io_thread)
{
  guint64 base = writer->facts->base;
  int code = wb_target_truncate (writer->target, base);

  if (code != 0)
    wb_core_latch (writer->core, WB_ERROR_WRITE, code, "ftruncate", base);
  else
    wb_core_say_locked (writer->core, WB_LOG_DEBUG,
        "flush: truncated to %" G_GUINT64_FORMAT, base);
  return code;
}

void
wb_writer_restart (WbWriter *writer)
{
  guint64 base = writer->facts->base;
  gboolean truncate;
  int code = 0;

  wb_retirer_hold (writer->retirer);
  if (wb_core_is_abandoned (writer->core))
    return;

  writer->is_finished = wb_target_is_renamed (writer->target);
  truncate = can_truncate (writer);
  if (truncate && !wb_core_is_broken (writer->core))
    code = truncate_to_base (writer);
  if (!truncate)
    writer->final_high_water =
        MAX (writer->final_high_water, wb_retirer_high_water (writer->retirer));
  writer->append_at = base;
  writer->append_shift = 0;
  wb_space_restarted (writer->space, truncate && code == 0);
  /* A flush that came meanwhile found nothing written since the one before. */
  wb_intake_restarted (writer->intake);
  wb_retirer_restart (writer->retirer, truncate && code == 0);
  wb_syncer_restart (writer->syncer, base);
  wb_core_wake (writer->core, WB_CALLERS);
  wb_core_notify (writer->core);
}

/* --- figures ------------------------------------------------------------------------------- */

guint64
wb_writer_bytes_written (const WbWriter *writer)
{
  return writer->bytes_written;
}

guint64
wb_writer_high_water (const WbWriter *writer)
{
  return writer->facts->seekable ? wb_retirer_high_water (writer->retirer)
                                 : writer->bytes_written;
}

guint64
wb_writer_final_size (const WbWriter *writer)
{
  guint64 size = MAX (wb_writer_high_water (writer), writer->final_high_water);

  if (writer->facts->regular && !writer->facts->truncate)
    size = MAX (size, writer->facts->size_at_open);
  return size;
}
