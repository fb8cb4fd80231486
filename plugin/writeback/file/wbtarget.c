/* wbfilesink: one output file: the target
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Layout: opening; data; write-out; space; the end.
 */
#include "file/wbtarget.h"

#include "process/wbregistry.h"
#include "system/wbcode.h"
#include "system/wbthread.h"
#include "system/wbwaker.h"

#include <errno.h>

/* A file that is always ready and takes nothing is given a rest. */
#define BUSY_REST_US (10 * 1000)

struct _WbTarget
{
  WbCore *core;
  const WbSys *sys;
  gboolean o_sync;
  gboolean require; /* the space, before the old content goes */
  WbWriteback writeback;

  /* written by the I/O thread before the file is open, constant after it */
  WbTargetFacts facts;
  WbDevice *device;
  WbName name; /* its directory changes hands with the descriptor */
  WbNaming naming;

  int fd; /* -1 again when it is closed */
  WbAsk ask;
  WbWaker waker;

  gboolean identified WB_GUARDED_BY (wb_locked);
  gboolean perhaps_busy WB_GUARDED_BY (wb_locked);
  gboolean in_fifo WB_GUARDED_BY (wb_locked);         /* in its open */
  gboolean refusal_said[2] WB_GUARDED_BY (wb_locked); /* of fsync, fdatasync */
  const char *name_said WB_GUARDED_BY (wb_locked); /* why it is not durable */
  gboolean appending WB_GUARDED_BY (wb_io_thread);
  WbRegistryEntry *left_behind WB_GUARDED_BY (wb_locked);
  /* for a stream to take data, before this write */
  gint64 write_waited_us WB_GUARDED_BY (wb_io_thread);
};

/* Unchecked: nobody else knows it yet. */
WB_UNCHECKED WbTarget *
wb_target_new (WbCore *core, const WbFileConfig *config)
{
  WbTarget *target = g_new0 (WbTarget, 1);

  target->core = core;
  target->sys = config->sys != NULL ? config->sys : wb_sys_default ();
  target->ask.sys = target->sys;
  wb_name_init (&target->name, target->sys, config->location);
  wb_naming_init (&target->naming, core, &target->name, config);
  target->facts.append = config->mode == WB_OPEN_APPEND;
  target->facts.truncate = config->mode == WB_OPEN_TRUNCATE;
  target->facts.overwrite = config->mode == WB_OPEN_OVERWRITE;
  target->o_sync = config->o_sync;
  target->require = config->preallocate == WB_PREALLOCATE_REQUIRE;
  target->writeback = config->writeback;
  target->fd = -1;
  wb_waker_init (&target->waker);
  return target;
}

void
wb_target_free (WbTarget *target)
{
  g_clear_pointer (&target->device, wb_device_put);
  wb_naming_clear (&target->naming);
  wb_name_clear (&target->name);
  g_free (target);
}

const WbTargetFacts *
wb_target_facts (const WbTarget *target)
{
  return &target->facts;
}

WbDevice *
wb_target_device (const WbTarget *target)
{
  return target->device;
}

gboolean
wb_target_is_perhaps_busy (const WbTarget *target)
{
  return target->perhaps_busy;
}

/* --- opening -------------------------------------------------------------------- */

/* Before the open. stat() may hang on the same storage: while
 * it does, a file that may be busy is taken for busy (see wb_file_open()), and the
 * next one of the name at once. */
static gboolean
is_busy (WbTarget *target) WB_REQUIRES (wb_locked, wb_io_thread)
{
  WbBusiness business = wb_registry_look_up (target->name.location, NULL);
  struct stat status;
  WbIdentity identity;
  gboolean exists;

  if (business == WB_REGISTRY_BUSY || wb_registry_is_empty ())
    return business == WB_REGISTRY_BUSY;
  target->perhaps_busy = business == WB_REGISTRY_PERHAPS;
  wb_core_wake (target->core, WB_CALLERS);
  wb_core_enter (target->core, WB_IO, "stat", 0);
  exists = target->sys->stat (target->name.location, &status) == 0;
  wb_core_leave (target->core, WB_IO);
  target->perhaps_busy = FALSE;
  if (exists)
    identity = wb_identity_of (&status);
  return wb_registry_look_up (target->name.location, exists ? &identity : NULL)
      == WB_REGISTRY_BUSY;
}

static gboolean
open_failed (WbTarget *target, WbErrorKind kind, int code, const char *call)
    WB_REQUIRES (wb_locked)
{
  wb_core_latch (target->core, kind, code, call, 0);
  return FALSE;
}

/* Emptying it comes after the open, when it is known that somebody still waits for
 * it: an open that comes back late must not destroy what others have written
 * meanwhile. Where a sandbox allows no ftruncate, by opening it once more. */
static int
empty_target (WbTarget *target) WB_REQUIRES (wb_locked, wb_io_thread)
{
  int code = wb_target_truncate (target, 0), again;

  if (!wb_code_is_refusal (code) || wb_core_is_abandoned (target->core))
    return code;
  wb_core_enter (target->core, WB_IO, "open", 0);
  again = wb_name_empty (&target->name);
  wb_core_leave (target->core, WB_IO);
  return again == 0 ? 0 : code;
}

/* A reader who stops reading must not hold a thread that is told to go. The
 * descriptor is our own, so this changes nobody else's. */
static void
set_up_fifo (WbTarget *target)
{
  if (target->facts.fifo && target->sys->set_nonblocking (target->fd) == 0)
    wb_waker_open (&target->waker);
}

static void
set_up_control (WbTarget *target) WB_EXCLUDES (wb_locked)
{
  WbTargetFacts *facts = &target->facts;
  int code;

  wb_facts_find_control (
      facts, target->sys, target->fd, target->writeback != WB_WRITEBACK_NONE);
  code = facts->control_code;
  wb_core_say (target->core, WB_LOG_INFO,
      "opened: %s, write-out %s, position 0 at offset %" G_GUINT64_FORMAT
      "%s%s",
      wb_facts_kind (facts), facts->mechanism, facts->base,
      code != 0 ? ": " : "", code != 0 ? g_strerror (code) : "");
}

/* Opens it. 0, or the errno. Of a FIFO it is known that its open waits for a
 * reader, and that it can be let go. */
static int
enter_target (WbTarget *target, const char **call)
    WB_REQUIRES (wb_locked, wb_io_thread)
{
  WbCore *core = target->core;
  struct stat status;
  const struct stat *found;
  gboolean makes;
  int code;

  *call = "open";
  wb_core_enter (core, WB_IO, "open", 0);
  found =
      target->sys->stat (target->naming.wanted, &status) == 0 ? &status : NULL;
  wb_core_leave (core, WB_IO);
  if (wb_core_is_abandoned (core))
    return ECANCELED;
  makes = wb_naming_makes (&target->naming, found);
  target->facts.created = makes || found == NULL;
  if (makes)
    return wb_naming_claim (
        &target->naming, found, target->o_sync, &target->fd, call);
#ifdef S_ISFIFO
  target->in_fifo = found != NULL && S_ISFIFO (status.st_mode);
#endif
  wb_core_enter (core, WB_IO, "open", 0);
  target->fd = wb_name_open (
      &target->name, target->facts.append, target->o_sync, target->require);
  code = target->fd < 0 ? errno : 0;
  wb_core_leave (core, WB_IO);
  target->in_fifo = FALSE;
  target->appending = target->facts.append;
  return code;
}

gboolean
wb_target_open (WbTarget *target)
{
  WbCore *core = target->core;
  const char *call;
  int code;

  if (!target->naming.is_sound)
    return open_failed (target, WB_ERROR_NAMES, EINVAL, "open");
  if (is_busy (target))
    return open_failed (target, WB_ERROR_BUSY, EBUSY, "open");
  code = enter_target (target, &call);
  if (code != 0)
    return open_failed (target, WB_ERROR_OPEN, code, call);
  if (wb_core_is_abandoned (core))
    return FALSE;

  wb_core_enter (core, WB_IO, "fstat", 0);
  code = wb_facts_find (&target->facts, target->sys, target->fd, &target->name);
  if (code == 0)
    set_up_control (target);
  wb_core_leave (core, WB_IO);
  if (code != 0)
    return open_failed (target, WB_ERROR_OPEN, code, "fstat");
  if (wb_core_is_abandoned (core))
    return FALSE;
  target->identified = target->name.identified;
  if (target->facts.regular && target->facts.truncate && !target->require
      && target->facts.size_at_open > 0) {
    code = empty_target (target);
    if (code != 0)
      return open_failed (target, WB_ERROR_OPEN, code, "ftruncate");
    if (wb_core_is_abandoned (core))
      return FALSE;
    target->facts.size_at_open = target->facts.old_blocks = 0;
  }
  if (target->facts.control)
    target->device = wb_device_get (target->facts.block_device
            ? target->facts.own_device
            : target->name.identity.device);
  set_up_fifo (target);
  return TRUE;
}

/* --- data ------------------------------------------------------------------------ */

/* The waiting is the write's own: no progress, one call to report. A file is
 * always ready to poll(2): the second time it is given a rest. */
static void
wait_until_ready (WbTarget *target) WB_REQUIRES (wb_io_thread)
{
  if (!target->facts.seekable)
    target->sys->wait_writable (target->fd, wb_waker_fd (&target->waker));
  else if (target->write_waited_us > 0)
    wb_thread_rest (BUSY_REST_US);
}

gssize
wb_target_write (WbTarget *target, const WbVector *vectors, guint n,
    guint64 *offset, gint64 *took_us)
{
  WbCore *core = target->core;
  gboolean append = target->facts.seekable && target->appending;
  gssize result;
  gint64 end;
  int code;

  wb_core_enter (core, WB_IO, "write", *offset);
  result = target->sys->write (target->fd, vectors, (int) n,
      target->facts.seekable && !append ? (gint64) *offset : WB_NO_OFFSET);
  code = result < 0 ? errno : 0;
  if (append && result > 0) {
    end = target->sys->position (target->fd);
    if (end >= result)
      *offset = (guint64) (end - result);
  }
  if (result < 0 && (code == EAGAIN || code == EWOULDBLOCK)) {
    wait_until_ready (target);
    target->write_waited_us += wb_core_leave_idle (core, WB_IO);
    return -EAGAIN;
  }
  *took_us = wb_core_leave (core, WB_IO) + target->write_waited_us;
  target->write_waited_us = 0;
  return result < 0 ? -code : result;
}

gboolean
wb_target_is_appending (const WbTarget *target)
{
  return target->appending;
}

int
wb_target_set_appending (WbTarget *target, gboolean append)
{
  int code;

  wb_core_enter (target->core, WB_IO, "fcntl", 0);
  code = target->sys->set_append (target->fd, append) == 0 ? 0 : errno;
  wb_core_leave (target->core, WB_IO);
  if (code == 0)
    target->appending = append;
  return code;
}

int
wb_target_ask_size (WbTarget *target, guint64 *size)
{
  struct stat status;
  int code;

  wb_core_enter (target->core, WB_IO, "fstat", 0);
  code = target->sys->fstat (target->fd, &status) == 0 ? 0 : errno;
  wb_core_leave (target->core, WB_IO);
  if (code == 0)
    *size = (guint64) status.st_size;
  return code;
}

WbVerdict
wb_target_sync (
    WbTarget *target, WbParty party, WbSyncKind kind, guint64 high_water)
{
  gboolean data = kind == WB_SYNC_DATA;
  const char *name = data ? "fdatasync" : "fsync";
  WbVerdict verdict;
  gint64 took;

  wb_core_enter (target->core, party, name, high_water);
  verdict = wb_ask (
      &target->ask, data ? WB_ASK_SYNC_DATA : WB_ASK_SYNC, target->fd, 0, 0);
  took = wb_core_leave (target->core, party);
  if (verdict.refused && !target->refusal_said[data])
    wb_core_say_locked (target->core, WB_LOG_INFO,
        "%s refused (%s): the file is not synced with it", name,
        g_strerror (verdict.code));
  else if (!verdict.refused)
    wb_core_say_locked (target->core, WB_LOG_DEBUG, "%s: %s, took %.1f ms",
        name, verdict.code == 0 ? "ok" : g_strerror (verdict.code), took / 1e3);
  target->refusal_said[data] |= verdict.refused;
  return verdict;
}

WbSyncResult
wb_target_sync_parent (WbTarget *target, WbParty party)
{
  const WbName *name = &target->name;
  WbNameVerdict verdict;
  const char *reason;

  if (!target->facts.regular)
    return WB_RESULT_DURABLE;
  wb_core_enter (target->core, party, "fsync (directory)", 0);
  reason = wb_name_sync (&target->name, &verdict);
  wb_core_leave (target->core, party);
  if (verdict.code != 0 && !verdict.refused) {
    wb_core_latch (
        target->core, WB_ERROR_SYNC, verdict.code, "fsync (directory)", 0);
    return WB_RESULT_FAILED;
  }
  if (verdict.code != 0)
    wb_core_say_locked (target->core, WB_LOG_INFO,
        "fsync of the directory %s refused: %s", name->parent,
        g_strerror (verdict.code));
  if (reason == NULL)
    return WB_RESULT_DURABLE;
  if (g_strcmp0 (reason, target->name_said) != 0 && verdict.code == 0)
    wb_core_say_locked (target->core, WB_LOG_INFO,
        "the name of %s is not known to be durable: fsync (directory) of %s: "
        "%s",
        name->location, name->parent != NULL ? name->parent : "its directory",
        reason);
  target->name_said = reason;
  return WB_RESULT_DATA;
}

gboolean
wb_target_take_name (WbTarget *target)
{
  return wb_naming_finish (&target->naming);
}

gboolean
wb_target_is_renamed (const WbTarget *target)
{
  return wb_naming_is_renamed (&target->naming);
}

void
wb_target_get_place (const WbTarget *target, WbPlace *place)
{
  wb_naming_get_place (&target->naming, place);
}

/* --- write-out --------------------------------------------------------------------- */

/* See choose_mechanism() for the two ways. */
const char *
wb_target_step_name (const WbTarget *target, WbStepKind kind)
{
  static const char *const names[][3] = {
    { "sync_file_range (start)", "sync_file_range (wait)",
        "posix_fadvise (drop)" },
    { "posix_fadvise (start)", "fdatasync (write-out)", "posix_fadvise (drop)" }
  };

  return names[target->facts.by_sync ? 1 : 0][kind];
}

WbVerdict
wb_target_make_step (WbTarget *target, const WbStep *step)
{
  gboolean by_sync = target->facts.by_sync;
  gint64 offset = (gint64) step->range.start;
  gint64 length = (gint64) (step->range.end - step->range.start);

  if (step->kind == WB_STEP_DROP || (step->kind == WB_STEP_START && by_sync))
    return wb_ask_drop (&target->ask, target->fd, offset, length);
  if (step->kind == WB_STEP_START)
    return wb_ask (&target->ask, WB_ASK_START, target->fd, offset, length);
  return wb_ask (&target->ask, by_sync ? WB_ASK_SYNC_DATA : WB_ASK_WAIT,
      target->fd, offset, length);
}

/* --- space ------------------------------------------------------------------------ */

int
wb_target_reserve (
    WbTarget *target, guint64 offset, guint64 length, gint64 *took_us)
{
  WbDevice *device = target->device;
  gboolean turn;
  gint64 began;
  int code;

  wb_core_enter (target->core, WB_IO, "fallocate", offset);
  turn = device != NULL && wb_device_take_turn (device);
  began = g_get_monotonic_time ();
  WB_TRY (code,
      target->sys->reserve (target->fd, (gint64) offset, (gint64) length));
  *took_us = g_get_monotonic_time () - began;
  if (turn)
    wb_device_end_turn (device);
  if (code != 0)
    wb_core_say (target->core, WB_LOG_INFO,
        "fallocate of %" G_GUINT64_FORMAT " bytes at %" G_GUINT64_FORMAT
        " refused: %s",
        length, offset, g_strerror (code));
  wb_core_leave (target->core, WB_IO);
  return code;
}

int
wb_target_truncate (WbTarget *target, guint64 size)
{
  int code;

  wb_core_enter (target->core, WB_IO, "ftruncate", size);
  WB_TRY (code, target->sys->truncate (target->fd, (gint64) size));
  wb_core_leave (target->core, WB_IO);
  return code;
}

/* What the truncation has left beyond the end: a hint. */
static void
punch_rest (WbTarget *target, const struct stat *status)
    WB_REQUIRES (wb_locked, wb_io_thread)
{
  gint64 size = status->st_size, left;

  wb_core_enter (target->core, WB_IO, "fiemap", (guint64) size);
  left = target->sys->blocks_beyond (target->fd, size);
  wb_core_leave (target->core, WB_IO);
  if (left < MAX (status->st_blksize, 1) || wb_core_is_abandoned (target->core))
    return;
  wb_core_enter (target->core, WB_IO, "fallocate (punch)", (guint64) size);
  target->sys->punch (target->fd, size, G_MAXINT64 - size);
  wb_core_leave (target->core, WB_IO);
}

int
wb_target_trim (WbTarget *target, guint64 high_water)
{
  struct stat status;
  int code;

  /* What others append meanwhile would be cut off. */
  if (target->facts.append)
    return 0;
  wb_core_enter (target->core, WB_IO, "fstat", high_water);
  code = target->sys->fstat (target->fd, &status) == 0 ? 0 : errno;
  wb_core_leave (target->core, WB_IO);
  if (code == 0 && !wb_core_is_abandoned (target->core))
    code = wb_target_truncate (target, (guint64) status.st_size);
  if (code == 0 && !wb_core_is_abandoned (target->core))
    punch_rest (target, &status);
  if (!wb_code_is_refusal (code))
    return code;
  wb_core_say_locked (target->core, WB_LOG_INFO,
      "ftruncate refused (%s): what was reserved too much stays",
      g_strerror (code));
  return 0;
}

guint64
wb_target_free_space (WbTarget *target)
{
  gint64 bytes;

  wb_core_enter (target->core, WB_IO, "fstatfs", 0);
  bytes = target->sys->free_space (target->fd);
  wb_core_leave (target->core, WB_IO);
  return bytes < 0 ? G_MAXUINT64 : (guint64) bytes;
}

guint64
wb_target_shared_bytes (WbTarget *target)
{
  gint64 bytes;

  wb_core_enter (target->core, WB_IO, "fiemap", 0);
  bytes = target->sys->shared_bytes (target->fd);
  wb_core_leave (target->core, WB_IO);
  return (guint64) MAX (bytes, 0);
}

void
wb_target_undo_creation (WbTarget *target)
{
  gboolean ours;

  if (!target->name.removable || wb_core_is_abandoned (target->core))
    return;
  wb_core_enter (target->core, WB_IO, "stat", 0);
  ours = wb_name_is_ours (&target->name);
  wb_core_leave (target->core, WB_IO);
  if (!ours || wb_core_is_abandoned (target->core))
    return;
  wb_core_enter (target->core, WB_IO, "unlink", 0);
  wb_name_remove (&target->name);
  wb_core_leave (target->core, WB_IO);
}

/* --- the end ----------------------------------------------------------------------- */

void
wb_target_leave_behind (WbTarget *target)
{
  target->left_behind = wb_registry_add (target->name.location,
      target->identified ? &target->name.identity : NULL);
  wb_waker_wake (&target->waker);
}

gboolean
wb_target_is_in_fifo (const WbTarget *target)
{
  return target->in_fifo;
}

void
wb_target_release_fifo (WbTarget *target)
{
  target->sys->release_fifo (target->name.location);
}

void
wb_target_close (WbTarget *target, guint64 high_water)
{
  int fd = target->fd, code;

  target->fd = -1;
  if (fd >= 0) {
    wb_core_enter (target->core, WB_IO, "close", high_water);
    code = target->sys->close (fd) == 0 ? 0 : errno;
    wb_name_close (&target->name);
    wb_core_leave (target->core, WB_IO);
    /* Whatever it says, Linux has closed it. EINTR too is the file system's word:
     * these threads are sent no signals. */
    if (code != 0)
      wb_core_latch (target->core, WB_ERROR_CLOSE, code, "close", high_water);
  }
  wb_waker_close (&target->waker);
  wb_registry_remove (g_steal_pointer (&target->left_behind));
}
