/* wbfilesink: one output file: its name
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "file/wbname.h"

#include "system/wbcode.h"

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

WbIdentity
wb_identity_of (const struct stat *status)
{
  WbIdentity identity = { status->st_dev, status->st_ino };

  return identity;
}

void
wb_name_init (WbName *name, const WbSys *sys, const char *location)
{
  name->sys = sys;
  name->location = g_strdup (location);
  name->directory = -1;
}

void
wb_name_clear (WbName *name)
{
  g_free (name->location);
  g_free (name->parent);
  g_free (name->name);
}

static int
open_with (const WbName *name, int flags)
{
  guint tries = 0;
  int fd;

  do
    fd = name->sys->open (
        name->location, flags | O_WRONLY | O_CLOEXEC | O_NOCTTY, 0666);
  while (fd < 0 && wb_code_is_to_be_tried (errno, &tries));
  return fd;
}

static gboolean
is_link (const struct stat *status)
{
#ifdef S_ISLNK
  return S_ISLNK (status->st_mode);
#else
  return FALSE;
#endif
}

int
wb_name_open (WbName *name, gboolean append, gboolean o_sync, gboolean require)
{
  int flags = (append ? O_APPEND : 0) | (o_sync ? O_SYNC : 0), fd;

  if (require) {
    fd = open_with (name, flags | O_CREAT | O_EXCL);
    name->removable = fd >= 0;
    if (fd >= 0 || errno != EEXIST)
      return fd;
    fd = open_with (name, flags);
    if (fd >= 0 || errno != ENOENT)
      return fd;
    /* A link to nothing. */
    name->removable = TRUE;
  }
  return open_with (name, flags | O_CREAT);
}

int
wb_name_create (WbName *name, gboolean o_sync)
{
  int fd = open_with (name, O_CREAT | O_EXCL | (o_sync ? O_SYNC : 0));

  name->removable = fd >= 0;
  return fd;
}

int
wb_name_discard (WbName *name)
{
  struct stat status;

  if (name->sys->lstat (name->location, &status) != 0)
    return errno == ENOENT ? 0 : -1;
  if (!S_ISREG (status.st_mode) && !is_link (&status)) {
    errno = EEXIST;
    return -1;
  }
  return name->sys->unlink (name->location);
}

gboolean
wb_name_exists (const WbName *name, const char *path)
{
  struct stat status;

  return name->sys->lstat (path, &status) == 0;
}

gboolean
wb_name_is_link (const WbName *name, const char *path)
{
  struct stat status;

  return name->sys->lstat (path, &status) == 0 && is_link (&status);
}

int
wb_name_empty (WbName *name)
{
  int fd = open_with (name, O_TRUNC);

  return fd < 0 ? -1 : name->sys->close (fd);
}

void
wb_name_remove (WbName *name)
{
  char *real = name->sys->real_path (name->location);

  if (real != NULL)
    name->sys->unlink (real);
  free (real);
}

void
wb_name_find (WbName *name)
{
  char *real = name->sys->real_path (name->location);

  if (real == NULL)
    return;
  name->parent = g_path_get_dirname (real);
  name->name = g_path_get_basename (real);
  free (real);
  name->directory = name->sys->open_directory (name->parent);
}

void
wb_name_identify (WbName *name, const struct stat *status)
{
  name->identity = wb_identity_of (status);
  name->identified = TRUE;
}

static gboolean
is_same (const WbName *name, const struct stat *status)
{
  WbIdentity found = wb_identity_of (status);

  return wb_identity_equal (&found, &name->identity);
}

gboolean
wb_name_is_ours (const WbName *name)
{
  struct stat status;

  return name->identified && name->sys->stat (name->location, &status) == 0
      && is_same (name, &status);
}

/* --- moving ---------------------------------------------------------------------- */

/* How calls find a name beside this one: in the directory that is held, or, where it
 * may not be read, by its path. To be freed. */
static char *
name_beside (const WbName *name, const char *path)
{
  g_autofree char *base = g_path_get_basename (path);
  g_autofree char *parent = NULL;

  if (name->directory >= 0)
    return g_steal_pointer (&base);
  if (name->parent != NULL)
    return g_build_filename (name->parent, base, NULL);
  parent = g_path_get_dirname (name->location);
  return g_build_filename (parent, base, NULL);
}

/* Whether this name is the file's: 0, or the errno. */
static int
find_in_place (const WbName *name, const char *beside)
{
  struct stat status;
  int result = name->directory >= 0
      ? name->sys->stat_in (name->directory, beside, &status)
      : name->sys->lstat (beside, &status);

  if (result != 0)
    return errno;
  return !name->identified || is_same (name, &status) ? 0 : ESTALE;
}

/* The ladder: what the system has for it; and where a file system does not know the
 * flag (NFS, FUSE before its version 7.23: EINVAL) or the system does not have the call
 * (ENOSYS), a second name, which is never made over anything, and then the first one
 * goes. In between both lead to the whole file. */
static int
move_to_free (
    const WbName *name, const char *from, const char *to, const char **call)
{
  const WbSys *sys = name->sys;

  *call = "rename";
  if (sys->rename_new_in (name->directory, from, to) == 0)
    return 0;
  if (wb_code_is_denial (errno) || !wb_code_is_refusal (errno))
    return errno;
  *call = "link";
  if (sys->link_in (name->directory, from, to) != 0) {
    int code = errno;

    /* It has that name: NFS may ask twice. */
    if (code != EEXIST || !name->identified || find_in_place (name, to) != 0)
      return code;
  }
  *call = "unlink";
  return sys->unlink_in (name->directory, from) == 0 ? 0 : errno;
}

int
wb_name_move (
    WbName *name, const char *path, gboolean replace, const char **call)
{
  g_autofree char *from = name_beside (name, name->location);
  g_autofree char *to = name_beside (name, path);
  int code;

  *call = "stat";
  code = find_in_place (name, from);
  if (code != 0)
    return code;
  *call = "rename";
  if (!replace)
    code = move_to_free (name, from, to, call);
  else if (name->sys->rename_in (name->directory, from, to) != 0)
    code = errno;
  /* NFS may ask twice, and be told of what its first call has done. */
  if (code != 0 && name->identified && find_in_place (name, from) == ENOENT
      && find_in_place (name, to) == 0)
    code = 0;
  return code;
}

void
wb_name_moved (WbName *name, const char *path)
{
  g_free (name->location);
  name->location = g_strdup (path);
  g_free (name->name);
  name->name = g_path_get_basename (path);
}

/* --- syncing ---------------------------------------------------------------------- */

/* NULL, or why the name does not lead to this file any more. */
static const char *
why_lost (const WbName *name)
{
  struct stat status;

  if (!name->identified)
    return "which file it is can't be asked";
  if (name->sys->stat_in (name->directory, name->name, &status) != 0)
    return errno == ENOENT ? "the file was moved or removed"
                           : g_strerror (errno);
  if (!is_same (name, &status))
    return "another file has its name";
  if (name->sys->stat (name->location, &status) != 0)
    return "the directory was moved or removed";
  return is_same (name, &status) ? NULL : "the directory was replaced";
}

/* It can't be had just now, or not by us. */
static gboolean
is_out_of_reach (int code)
{
  return wb_code_is_denial (code) || code == EROFS || code == EMFILE
      || code == ENFILE;
}

const char *
wb_name_sync (WbName *name, WbNameVerdict *verdict)
{
  int code;

  memset (verdict, 0, sizeof *verdict);
  if (name->parent == NULL)
    return "where the file is can't be told";
  if (name->directory < 0)
    name->directory = name->sys->open_directory (name->parent);
  if (name->directory < 0)
    return g_strerror (errno);
  /* No write is lost with it: it is asked again. */
  WB_TRY (code, name->sys->sync_directory (name->directory));
  verdict->code = code;
  verdict->refused = is_out_of_reach (code) || wb_code_is_refusal (code);
  if (is_out_of_reach (code) || (code != 0 && !verdict->refused))
    return g_strerror (code);
  return why_lost (name);
}

void
wb_name_close (WbName *name)
{
  if (name->directory >= 0)
    name->sys->close_directory (name->directory);
  name->directory = -1;
}
