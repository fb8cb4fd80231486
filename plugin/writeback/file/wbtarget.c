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
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#ifndef O_NOCTTY
#define O_NOCTTY 0
#endif
#ifndef O_SYNC
#define O_SYNC 0
#endif

/* A file that is always ready and takes nothing is given a rest. */
#define BUSY_REST_US (10 * 1000)

struct _WbTarget
{
  WbCore *core;
  const WbSys *sys;
  char *location;
  gboolean o_sync;
  gboolean require; /* the space, before the old content goes */
  WbWriteback writeback;

  /* written by the I/O thread before the file is open, constant after it */
  WbTargetFacts facts;
  WbDevice *device;
  char *parent;
  gboolean fifo;
  WbIdentity identity;
  guint64 own_device; /* of a block device: the disk itself */

  int fd; /* -1 again when it is closed */
  WbWaker waker;

  gboolean identified WB_GUARDED_BY (wb_locked);
  gboolean perhaps_busy WB_GUARDED_BY (wb_locked);
  WbRegistryEntry *left_behind WB_GUARDED_BY (wb_locked);
  /* for a stream to take data, before this write */
  gint64 write_waited_us WB_GUARDED_BY (wb_io_thread);
};

WbTarget *
wb_target_new (WbCore *core, const WbFileConfig *config)
{
  WbTarget *target = g_new0 (WbTarget, 1);

  target->core = core;
  target->sys = config->sys != NULL ? config->sys : wb_sys_default ();
  target->location = g_strdup (config->location);
  target->facts.mode = config->mode;
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
  g_free (target->location);
  g_free (target->parent);
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

static WbIdentity
identity_of (const struct stat *status)
{
  WbIdentity identity = { status->st_dev, status->st_ino };

  return identity;
}

/* Before the open, which may truncate. stat() may hang on the same storage: while
 * it does, a file that may be busy is taken for busy (see wb_file_open()), and the
 * next one of the name at once. */
static gboolean
is_busy (WbTarget *target) WB_REQUIRES (wb_locked, wb_io_thread)
{
  WbBusiness business = wb_registry_look_up (target->location, NULL);
  struct stat status;
  WbIdentity identity;
  gboolean exists;

  if (business == WB_REGISTRY_BUSY || wb_registry_is_empty ())
    return business == WB_REGISTRY_BUSY;
  target->perhaps_busy = business == WB_REGISTRY_PERHAPS;
  wb_core_wake (target->core, WB_CALLERS);
  wb_core_enter (target->core, WB_IO, "stat", 0);
  exists = target->sys->stat (target->location, &status) == 0;
  wb_core_leave (target->core, WB_IO);
  target->perhaps_busy = FALSE;
  if (exists)
    identity = identity_of (&status);
  return wb_registry_look_up (target->location, exists ? &identity : NULL)
      == WB_REGISTRY_BUSY;
}

static gboolean
open_failed (WbTarget *target, WbErrorKind kind, int code, const char *call)
    WB_REQUIRES (wb_locked)
{
  wb_core_latch (target->core, kind, code, call, 0);
  return FALSE;
}

static int
open_with (WbTarget *target, int flags)
{
  int fd;

  do
    fd = target->sys->open (target->location, flags, 0666);
  while (fd < 0 && errno == EINTR);
  return fd;
}

static int
open_target (WbTarget *target)
{
  int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY;
  int fd;

  if (target->o_sync)
    flags |= O_SYNC;
  if (target->require) {
    /* What is there stays as it is until the space is known to be there, and
     * what was not there is not there after a failure. */
    fd = open_with (target, flags | O_EXCL);
    target->facts.created = fd >= 0;
    if (fd >= 0 || errno != EEXIST)
      return fd;
    fd = open_with (target, flags & ~O_CREAT);
    if (fd >= 0 || errno != ENOENT)
      return fd;
    /* A link to nothing. */
    target->facts.created = TRUE;
  } else if (target->facts.mode == WB_OPEN_TRUNCATE) {
    flags |= O_TRUNC;
  }
  return open_with (target, flags);
}

/* The directory that holds the name, behind every link, or NULL. */
static char *
real_parent (WbTarget *target)
{
  char *real = target->sys->real_path (target->location);
  char *parent = real != NULL ? g_path_get_dirname (real) : NULL;

  free (real);
  return parent;
}

/* What the descriptor is. Without the lock, but before anybody else looks. */
static int
identify_target (WbTarget *target)
{
  WbTargetFacts *facts = &target->facts;
  struct stat status;
  gint64 size = 0;

  if (target->sys->fstat (target->fd, &status) != 0)
    return errno;
  target->identity = identity_of (&status);
  target->own_device = status.st_rdev;
  facts->regular = S_ISREG (status.st_mode);
#ifdef S_ISFIFO
  target->fifo = S_ISFIFO (status.st_mode);
#endif
#ifdef S_ISBLK
  facts->block_device = S_ISBLK (status.st_mode);
#endif
  facts->seekable = target->sys->seekable (target->fd) == 0;
  facts->old_blocks = (guint64) status.st_blocks * 512;
  if (facts->regular)
    size = status.st_size;
  else if (facts->block_device)
    size = MAX (target->sys->size (target->fd), 0);
  facts->size_at_open = (guint64) size;
  facts->base = facts->mode == WB_OPEN_APPEND ? (guint64) size : 0;
  if (facts->regular)
    target->parent = real_parent (target);
  return 0;
}

/* A reader who stops reading must not hold a thread that is told to go. The
 * descriptor is our own, so this changes nobody else's. */
static void
set_up_fifo (WbTarget *target)
{
  if (target->fifo && target->sys->set_nonblocking (target->fd) == 0)
    wb_waker_open (&target->waker);
}

/* The ladder of write-out control. First the ideal: sync_file_range to start
 * and to wait, posix_fadvise to drop. A probe with flags 0 does nothing and
 * finds out once whether the system has it (WSL and non-Linux: ENOSYS; pipes:
 * ESPIPE) - except on ZFS, which says yes and does nothing: the bytes then
 * retire at once, and its own throttle bounds them. On overlayfs it says yes
 * and looks at the overlay's own pages, of which there are none: the file below
 * is reached by fadvise, which starts the write-out of what it is to drop, and
 * by fdatasync. Last rung: the system's own policy, with everything else
 * unchanged. */
static const char *
choose_mechanism (WbTarget *target, const char *file_system, int *code)
{
  WbTargetFacts *facts = &target->facts;

  *code = 0;
  facts->control = facts->by_sync = FALSE;
  if (target->writeback == WB_WRITEBACK_NONE
      || (!facts->regular && !facts->block_device))
    return "none";
  if (target->sys->writeout_probe (target->fd) != 0) {
    *code = errno;
    return "none";
  }
  facts->control = TRUE;
  facts->by_sync = strcmp (file_system, "overlayfs") == 0;
  return facts->by_sync ? "fadvise and fdatasync" : "sync_file_range";
}

static void
set_up_control (WbTarget *target) WB_EXCLUDES (wb_locked)
{
  WbTargetFacts *facts = &target->facts;
  char buffer[32];
  const char *file_system = target->sys->file_system (target->fd, buffer);
  int code;

  g_snprintf (facts->mechanism, sizeof facts->mechanism, "%s on %s",
      choose_mechanism (target, file_system, &code), file_system);
  facts->reserve_suits =
      facts->regular && wb_prealloc_suits (file_system, &facts->reserve_reason);
  facts->reserve_growth = wb_prealloc_suits_growth (file_system);
  wb_core_say (target->core, WB_LOG_INFO,
      "opened: %s, write-out %s, position 0 at offset %" G_GUINT64_FORMAT
      "%s%s",
      facts->regular            ? "regular file"
          : facts->block_device ? "block device"
          : facts->seekable     ? "device"
                                : "stream",
      facts->mechanism, facts->base, code != 0 ? ": " : "",
      code != 0 ? g_strerror (code) : "");
}

gboolean
wb_target_open (WbTarget *target)
{
  WbCore *core = target->core;
  int code;

  if (is_busy (target))
    return open_failed (target, WB_ERROR_BUSY, EBUSY, "open");

  wb_core_enter (core, WB_IO, "open", 0);
  target->fd = open_target (target);
  code = target->fd < 0 ? errno : 0;
  wb_core_leave (core, WB_IO);
  if (code != 0)
    return open_failed (target, WB_ERROR_OPEN, code, "open");
  if (wb_core_is_abandoned (core))
    return FALSE;

  wb_core_enter (core, WB_IO, "fstat", 0);
  code = identify_target (target);
  if (code == 0)
    set_up_control (target);
  wb_core_leave (core, WB_IO);
  if (code != 0)
    return open_failed (target, WB_ERROR_OPEN, code, "fstat");
  if (wb_core_is_abandoned (core))
    return FALSE;
  target->identified = TRUE;
  if (target->facts.control)
    target->device =
        wb_device_get (target->facts.block_device ? target->own_device
                                                  : target->identity.device);
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
    guint64 offset, gint64 *took_us)
{
  WbCore *core = target->core;
  gssize result;
  int code;

  wb_core_enter (core, WB_IO, "write", offset);
  result = target->sys->write (target->fd, vectors, (int) n,
      target->facts.seekable ? (gint64) offset : -1);
  code = result < 0 ? errno : 0;
  if (result < 0 && (code == EAGAIN || code == EWOULDBLOCK)) {
    wait_until_ready (target);
    target->write_waited_us += wb_core_leave_idle (core, WB_IO);
    return -EINTR;
  }
  *took_us = wb_core_leave (core, WB_IO) + target->write_waited_us;
  target->write_waited_us = 0;
  return result < 0 ? -code : result;
}

int
wb_target_sync (
    WbTarget *target, WbParty party, WbSyncKind kind, guint64 high_water)
{
  const WbSys *sys = target->sys;
  gboolean data = kind == WB_SYNC_DATA;
  const char *name = data ? "fdatasync" : "fsync";
  gint64 took;
  int code;

  wb_core_enter (target->core, party, name, high_water);
  do
    code = (data ? sys->sync_data (target->fd) : sys->sync (target->fd)) == 0
        ? 0
        : errno;
  while (code == EINTR);
  took = wb_core_leave (target->core, party);
  wb_core_say_locked (target->core, WB_LOG_DEBUG, "%s: %s, took %.1f ms", name,
      code == 0 ? "ok" : g_strerror (code), took / 1e3);
  return code;
}

WbSyncResult
wb_target_sync_parent (WbTarget *target, WbParty party)
{
  int code;

  if (target->parent == NULL)
    return target->facts.regular ? WB_RESULT_DATA : WB_RESULT_DURABLE;
  wb_core_enter (target->core, party, "fsync (directory)", 0);
  do
    code = target->sys->sync_directory (target->parent) == 0 ? 0 : errno;
  while (code == EINTR);
  if (code != 0)
    wb_core_say (target->core, WB_LOG_INFO,
        "fsync of the directory %s refused: %s", target->parent,
        g_strerror (code));
  wb_core_leave (target->core, party);
  if (code == ENOENT || code == ENOTDIR || code == EMFILE || code == ENFILE)
    return WB_RESULT_DATA;
  if (code == 0 || wb_code_is_refusal (code) || code == EACCES || code == EPERM
      || code == EROFS)
    return WB_RESULT_DURABLE;
  wb_core_latch (target->core, WB_ERROR_SYNC, code, "fsync (directory)", 0);
  return WB_RESULT_FAILED;
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

int
wb_target_make_step (WbTarget *target, const WbStep *step)
{
  const WbSys *sys = target->sys;
  gboolean by_sync = target->facts.by_sync;
  gint64 offset = (gint64) step->range.start;
  gint64 length = (gint64) (step->range.end - step->range.start);
  int result = -1;

  do {
    switch (step->kind) {
      case WB_STEP_START:
        result = by_sync ? sys->drop (target->fd, offset, length)
                         : sys->writeout_start (target->fd, offset, length);
        break;
      case WB_STEP_RETIRE:
        result = by_sync ? sys->sync_data (target->fd)
                         : sys->writeout_wait (target->fd, offset, length);
        break;
      case WB_STEP_DROP:
        result = sys->drop (target->fd, offset, length);
        break;
    }
  } while (result != 0 && errno == EINTR);
  return result == 0 ? 0 : errno;
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
  do
    code =
        target->sys->reserve (target->fd, (gint64) offset, (gint64) length) == 0
        ? 0
        : errno;
  while (code == EINTR);
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
  do
    code = target->sys->truncate (target->fd, (gint64) size) == 0 ? 0 : errno;
  while (code == EINTR);
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

  wb_core_enter (target->core, WB_IO, "fstat", high_water);
  code = target->sys->fstat (target->fd, &status) == 0 ? 0 : errno;
  wb_core_leave (target->core, WB_IO);
  if (code == 0 && !wb_core_is_abandoned (target->core))
    code = wb_target_truncate (target, (guint64) status.st_size);
  if (code == 0 && !wb_core_is_abandoned (target->core))
    punch_rest (target, &status);
  return code;
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
  struct stat now;
  gboolean ours;
  char *real;

  if (!target->facts.created || wb_core_is_abandoned (target->core))
    return;
  wb_core_enter (target->core, WB_IO, "stat", 0);
  ours = target->sys->stat (target->location, &now) == 0
      && now.st_dev == target->identity.device
      && now.st_ino == target->identity.inode;
  wb_core_leave (target->core, WB_IO);
  if (!ours || wb_core_is_abandoned (target->core))
    return;
  /* What a link leads to, not the link. */
  wb_core_enter (target->core, WB_IO, "unlink", 0);
  real = target->sys->real_path (target->location);
  if (real != NULL)
    target->sys->unlink (real);
  free (real);
  wb_core_leave (target->core, WB_IO);
}

/* --- the end ----------------------------------------------------------------------- */

void
wb_target_leave_behind (WbTarget *target)
{
  target->left_behind = wb_registry_add (
      target->location, target->identified ? &target->identity : NULL);
  wb_waker_wake (&target->waker);
}

void
wb_target_close (WbTarget *target, guint64 high_water)
{
  int fd = target->fd, code;

  target->fd = -1;
  if (fd >= 0) {
    wb_core_enter (target->core, WB_IO, "close", high_water);
    code = target->sys->close (fd) == 0 ? 0 : errno;
    wb_core_leave (target->core, WB_IO);
    /* EINTR: Linux has closed it all the same. */
    if (code != 0 && code != EINTR)
      wb_core_latch (target->core, WB_ERROR_CLOSE, code, "close", high_water);
  }
  wb_waker_close (&target->waker);
  wb_registry_remove (g_steal_pointer (&target->left_behind));
}
