/* wbfilesink: one output file: what the target is
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "file/wbfacts.h"

#include "policy/wbprealloc.h"
#include "system/wbcode.h"

#include <errno.h>
#include <string.h>

static void
note_kind (WbTargetFacts *facts, const struct stat *status)
{
  facts->own_device = status->st_rdev;
  facts->regular = S_ISREG (status->st_mode);
#ifdef S_ISFIFO
  facts->fifo = facts->pipe = S_ISFIFO (status->st_mode);
#endif
#ifdef S_ISSOCK
  facts->pipe |= S_ISSOCK (status->st_mode);
#endif
#ifdef S_ISBLK
  facts->block_device = S_ISBLK (status->st_mode);
#endif
  facts->old_blocks = (guint64) status->st_blocks * 512;
}

int
wb_facts_find (WbTargetFacts *facts, const WbSys *sys, int fd, WbName *name)
{
  struct stat status;
  gint64 size = 0;
  int code = sys->fstat (fd, &status) == 0 ? 0 : errno;

  facts->seekable = sys->seekable (fd) == 0;
  if (code == 0) {
    note_kind (facts, &status);
    wb_name_identify (name, &status);
  } else if (wb_code_is_denial (code) || code == ENOSYS) {
    /* In a sandbox. What has positions can be written as a file can. */
    facts->regular = facts->seekable;
  } else {
    return code;
  }
  if (facts->regular && code == 0)
    size = status.st_size;
  else if (facts->regular || facts->block_device)
    size = MAX (sys->size (fd), 0);
  facts->message = !facts->regular && !facts->block_device && !facts->pipe;
  facts->size_at_open = (guint64) size;
  facts->base = facts->append ? (guint64) size : 0;
  if (facts->regular)
    wb_name_find (name);
  return 0;
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
choose_mechanism (WbTargetFacts *facts, const WbSys *sys, int fd,
    gboolean wanted, const char *file_system)
{
  facts->control = facts->by_sync = FALSE;
  if (!wanted || (!facts->regular && !facts->block_device))
    return "none";
  if (sys->writeout_probe (fd) != 0) {
    facts->control_code = errno;
    return "none";
  }
  facts->control = TRUE;
  facts->by_sync = strcmp (file_system, "overlayfs") == 0;
  return facts->by_sync ? "fadvise and fdatasync" : "sync_file_range";
}

void
wb_facts_find_control (
    WbTargetFacts *facts, const WbSys *sys, int fd, gboolean wanted)
{
  char buffer[32];
  const char *file_system = sys->file_system (fd, buffer);

  g_snprintf (facts->mechanism, sizeof facts->mechanism, "%s on %s",
      choose_mechanism (facts, sys, fd, wanted, file_system), file_system);
  facts->reserve_suits =
      facts->regular && wb_prealloc_suits (file_system, &facts->reserve_reason);
  facts->reserve_growth = wb_prealloc_suits_growth (file_system);
}

const char *
wb_facts_kind (const WbTargetFacts *facts)
{
  if (facts->regular)
    return "regular file";
  if (facts->block_device)
    return "block device";
  return facts->seekable ? "device" : "stream";
}
