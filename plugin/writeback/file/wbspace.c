/* wbfilesink: one output file: space
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Layout: reserving ahead; a requirement; giving back; what the stream says.
 */
#include "file/wbspace.h"

#include "system/wbcode.h"

#include <errno.h>

struct _WbSpace
{
  WbCore *core;
  WbTarget *target;
  const WbTargetFacts *facts;
  WbPreallocate preallocate;

  WbPrealloc prealloc WB_GUARDED_BY (wb_locked);
  guint64 preallocated_bytes WB_GUARDED_BY (wb_locked);
  WbReserveReport report WB_GUARDED_BY (wb_locked);

  guint64 old_size WB_GUARDED_BY (wb_io_thread);   /* of what is replaced, */
  guint64 old_blocks WB_GUARDED_BY (wb_io_thread); /* and its blocks, bytes */
  /* the space is to be there before the first byte */
  gboolean required WB_GUARDED_BY (wb_io_thread);
  /* a failed fallocate may keep part of it (ext4) */
  gboolean tried WB_GUARDED_BY (wb_io_thread);
  /* bytes written then + 1; 0: never */
  guint64 trimmed_after WB_GUARDED_BY (wb_io_thread);
  gboolean told_fit WB_GUARDED_BY (wb_io_thread);
  /* + 1 of the best source reported; 0: none */
  guint told_source WB_GUARDED_BY (wb_io_thread);
};

/* Unchecked: nobody else knows it yet. */
WB_UNCHECKED WbSpace *
wb_space_new (WbCore *core, WbTarget *target, const WbFileConfig *config)
{
  WbSpace *space = g_new0 (WbSpace, 1);

  space->core = core;
  space->target = target;
  space->facts = wb_target_facts (target);
  space->preallocate = config->preallocate;
  space->prealloc.expected[WB_SIZE_PROPERTY] = config->size_hint;
  return space;
}

void
wb_space_free (WbSpace *space)
{
  g_free (space);
}

/* --- reserving ahead ------------------------------------------------------------- */

/* Tells once, and again when a better source of the size is found. */
static void
report_reserve (WbSpace *space, guint64 wanted, WbSizeSource source,
    WbReserveResult result) WB_REQUIRES (wb_locked, wb_io_thread)
{
  if (space->told_source > (guint) source)
    return;
  space->told_source = (guint) source + 1;
  space->report.wanted = wanted;
  space->report.reserved = space->prealloc.bytes;
  space->report.source = source;
  space->report.result = result;
  wb_core_raise (space->core, WB_EVENT_PREALLOCATED);
}

/* Reserves one step. 0, or the errno. */
static int
reserve_step (WbSpace *space, guint64 offset, guint64 length)
    WB_REQUIRES (wb_locked, wb_io_thread)
{
  gint64 took;
  int code;

  space->tried = TRUE;
  space->trimmed_after = 0;
  code = wb_target_reserve (space->target, offset, length, &took);
  if (code != 0)
    return code;
  wb_prealloc_done (&space->prealloc, offset, length, took);
  space->preallocated_bytes = space->prealloc.bytes;
  wb_core_say_locked (space->core, WB_LOG_DEBUG,
      "reserved %" G_GUINT64_FORMAT " bytes at %" G_GUINT64_FORMAT
      ", took %.1f ms",
      length, offset, took / 1e3);
  return 0;
}

static guint64
ask_free_space (WbSpace *space) WB_REQUIRES (wb_locked, wb_io_thread)
{
  space->report.free = wb_target_free_space (space->target);
  return space->report.free;
}

/* Said once: the rest of a size that is known does not fit. The blocks of a file
 * that is overwritten are there already. */
static void
check_fit (WbSpace *space, guint64 high_water, guint64 expected,
    WbSizeSource source, guint64 free) WB_REQUIRES (wb_locked, wb_io_thread)
{
  guint64 have = MAX (high_water, space->prealloc.end) - space->facts->base;

  if (space->facts->overwrite)
    have = MAX (have, MIN (space->facts->old_blocks, space->old_size));
  if (source < WB_SIZE_SEGMENT || space->told_fit || expected <= have
      || expected - have <= free)
    return;
  space->told_fit = TRUE;
  space->report.wanted = expected;
  wb_core_raise (space->core, WB_EVENT_WILL_NOT_FIT);
}

static void
reserve_next (WbSpace *space, guint64 high_water, guint64 write_end)
    WB_REQUIRES (wb_locked, wb_io_thread)
{
  WbPrealloc *prealloc = &space->prealloc;
  guint64 offset, length, expected, free;
  WbSizeSource source;
  int code;

  if (!wb_prealloc_next (
          prealloc, high_water, write_end, G_MAXUINT64, &offset, &length))
    return;
  expected = wb_prealloc_expected (prealloc, &source);
  /* A server that is away would hold up the write behind it: not for nothing. */
  free = space->facts->reserve_suits || source >= WB_SIZE_SEGMENT
      ? ask_free_space (space)
      : G_MAXUINT64;
  if (wb_core_is_abandoned (space->core))
    return;
  check_fit (space, high_water, expected, source, free);
  expected = expected != 0 ? expected : length;

  if (!space->facts->reserve_suits) {
    prealloc->enabled = FALSE;
    report_reserve (space, expected, source, WB_RESERVE_SKIPPED);
    wb_core_say_locked (space->core, WB_LOG_INFO, "no space is reserved: %s",
        space->facts->reserve_reason);
    return;
  }
  if (!wb_prealloc_next (
          prealloc, high_water, write_end, free, &offset, &length)) {
    report_reserve (space, expected, source, WB_RESERVE_PARTIAL);
    return;
  }
  code = reserve_step (space, offset, length);
  if (code == 0)
    report_reserve (space, expected, source,
        free >= expected ? WB_RESERVE_RESERVED : WB_RESERVE_PARTIAL);
  else if (!wb_prealloc_failed (prealloc, wb_code_is_no_space (code)))
    report_reserve (space, expected, source, WB_RESERVE_REFUSED);
}

void
wb_space_reserve_ahead (WbSpace *space, guint64 high_water, guint64 write_end)
{
  if (space->prealloc.enabled)
    reserve_next (space, high_water, write_end);
}

/* --- a requirement ------------------------------------------------------------------ */

/* Reserves [from, to) for good. 0, or the errno. */
static int
reserve_all (WbSpace *space, guint64 from, guint64 to)
    WB_REQUIRES (wb_locked, wb_io_thread)
{
  int code = 0;

  while (code == 0 && from < to && !wb_core_is_abandoned (space->core)) {
    guint64 length = MIN (to - from, space->prealloc.step);

    code = reserve_step (space, from, length);
    from += length;
  }
  return code;
}

/* Takes back what a failed requirement has done: the file is as it was, or is
 * not there. Not so a thread that was left behind. */
static void
undo_open (WbSpace *space) WB_REQUIRES (wb_locked, wb_io_thread)
{
  /* Not a file that others may have appended to since. */
  if (space->tried && !space->facts->append
      && !wb_core_is_abandoned (space->core))
    wb_target_truncate (space->target, space->old_size);
  wb_target_undo_creation (space->target);
}

static gboolean
requirement_failed (WbSpace *space, int code, guint64 end)
    WB_REQUIRES (wb_locked)
{
  wb_core_latch (space->core, WB_ERROR_WRITE, code, "fallocate", end);
  wb_core_latch_wanted (space->core, space->report.wanted, space->report.free);
  return FALSE;
}

/* What is replaced goes, and its space is this file's. This frees what was just
 * reserved, for the moment in between. 0, or the errno. */
static int
replace_old (WbSpace *space, guint64 end) WB_REQUIRES (wb_locked, wb_io_thread)
{
  int code = wb_target_truncate (space->target, 0);

  wb_prealloc_trimmed (&space->prealloc, 0);
  space->prealloc.bytes = 0;
  space->old_size = 0;
  return code == 0 ? reserve_all (space, 0, end) : code;
}

/* `preallocate=require`, once the size is known and before the first byte. */
static gboolean
require (WbSpace *space) WB_REQUIRES (wb_locked, wb_io_thread)
{
  WbSizeSource source;
  guint64 base = space->facts->base, size, end, have, free;
  int code;

  space->required = FALSE;
  size = wb_prealloc_expected (&space->prealloc, &source);
  if (source < WB_SIZE_SEGMENT) {
    undo_open (space);
    wb_core_latch (
        space->core, WB_ERROR_NO_SIZE, EINVAL, "preallocate=require", 0);
    return FALSE;
  }
  end = base + size;
  /* The blocks of a file that is replaced are as good as free; those that another
   * file has as well (reflinks) do not come free. */
  have = space->facts->append ? 0 : MIN (space->old_blocks, size);
  have -= MIN (have, wb_target_shared_bytes (space->target));
  space->report.wanted = size;
  free = ask_free_space (space);
  code = free < size - have ? ENOSPC : 0;
  if (code == 0 && size > G_MAXINT64 - base)
    code = EFBIG;
  /* What can be neither reserved nor counted is no answer to a requirement. */
  if (code == 0 && space->facts->append && free == G_MAXUINT64)
    code = EOPNOTSUPP;
  /* Nothing is reserved beyond the end of a file that others may append to. */
  if (code == 0 && !space->facts->append)
    code =
        reserve_all (space, space->facts->overwrite ? 0 : space->old_size, end);
  if (code != 0) {
    undo_open (space);
    return requirement_failed (space, code, end);
  }
  /* A thread that was left behind meanwhile destroys nothing. */
  if (wb_core_is_abandoned (space->core))
    return FALSE;
  if (space->facts->truncate && space->old_size > 0)
    code = replace_old (space, end);
  if (code != 0)
    return requirement_failed (space, code, end);
  report_reserve (space, size, source, WB_RESERVE_RESERVED);
  return TRUE;
}

void
wb_space_require (WbSpace *space)
{
  if (space->required)
    require (space);
}

void
wb_space_settle (WbSpace *space)
{
  int code;

  if (!space->required || wb_core_is_abandoned (space->core))
    return;
  space->required = FALSE;
  if (!space->facts->truncate || space->old_size == 0)
    return;
  code = wb_target_truncate (space->target, 0);
  if (code == 0)
    space->old_size = 0;
  else
    wb_core_latch (space->core, WB_ERROR_WRITE, code, "ftruncate", 0);
}

gboolean
wb_space_set_up (WbSpace *space)
{
  const WbTargetFacts *facts = space->facts;
  WbPrealloc *prealloc = &space->prealloc;
  guint64 hint = prealloc->expected[WB_SIZE_PROPERTY];

  space->old_size = facts->size_at_open;
  space->old_blocks = facts->old_blocks;
  wb_prealloc_init (prealloc, facts->base,
      facts->regular && space->preallocate != WB_PREALLOCATE_NONE
          && !facts->append);
  prealloc->expected[WB_SIZE_PROPERTY] = hint;
  prealloc->growth = facts->reserve_growth;
  if (facts->overwrite)
    prealloc->old_end = facts->size_at_open;
  if (!facts->regular || space->preallocate != WB_PREALLOCATE_REQUIRE)
    return TRUE;
  space->required = TRUE;
  return hint == 0 || require (space);
}

/* --- giving back ---------------------------------------------------------------------- */

void
wb_space_trim (WbSpace *space, guint64 high_water, guint64 written)
{
  int code;

  if (wb_core_is_abandoned (space->core) || !space->tried
      || space->trimmed_after == written + 1)
    return;
  space->trimmed_after = written + 1;
  code = wb_target_trim (space->target, high_water);
  if (code != 0)
    wb_core_latch (space->core, WB_ERROR_WRITE, code, "ftruncate", high_water);
  wb_prealloc_trimmed (&space->prealloc, high_water);
}

/* What was required went with it, and is required again before the next byte. */
void
wb_space_restarted (WbSpace *space, gboolean truncated)
{
  wb_prealloc_elapsed (&space->prealloc, 0, 0);
  if (!truncated)
    return;
  wb_prealloc_trimmed (&space->prealloc, space->facts->base);
  space->old_size = space->facts->base;
  space->old_blocks = 0;
  space->required =
      space->facts->regular && space->preallocate == WB_PREALLOCATE_REQUIRE;
}

/* --- what the stream says ---------------------------------------------------------------- */

void
wb_space_set_expected (WbSpace *space, WbSizeSource source, guint64 bytes)
{
  space->prealloc.expected[source] = bytes;
}

gboolean
wb_space_set_duration (WbSpace *space, guint64 duration)
{
  gboolean changed = space->prealloc.duration != duration;

  space->prealloc.duration = duration;
  return changed;
}

void
wb_space_set_elapsed (WbSpace *space, guint64 elapsed, guint64 bytes)
{
  wb_prealloc_elapsed (&space->prealloc, elapsed, bytes);
}

void
wb_space_note_seek (WbSpace *space)
{
  space->prealloc.in_order = FALSE;
}

void
wb_space_get_report (const WbSpace *space, WbReserveReport *report)
{
  *report = space->report;
}

guint64
wb_space_preallocated_bytes (const WbSpace *space)
{
  return space->preallocated_bytes;
}
