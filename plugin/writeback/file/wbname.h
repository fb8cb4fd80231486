/* wbfilesink: one output file: its name
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A part of the target: where the file is found again after a power cut. That a
 * file is durable is worth nothing if its name is not, and the name is when the
 * directory that held it from the start is synced and it and the location still
 * lead to this file.
 *
 * Without the lock, on the file's own threads, one at a time.
 */
#pragma once

#include "file/wbguard.h"
#include "process/wbregistry.h"
#include "system/wbsys.h"

G_BEGIN_DECLS

typedef struct
{
  const WbSys *sys;
  char *location;
  char *parent;  /* the directory, behind every link, or NULL */
  char *name;    /* in it */
  int directory; /* -1: it can't be had */
  gboolean
      removable; /* there was no such file: it goes again if it can't be had */
  gboolean identified; /* which file it is, is known: */
  WbIdentity identity;
} WbName;

/* What the directory's sync has answered. */
typedef struct
{
  int code; /* 0, or the errno */
  gboolean
      refused; /* it can't be synced, as is a file system's manner, or may not
                       be: nothing is lost */
} WbNameVerdict;

/* `location` is copied. */
void wb_name_init (WbName *name, const WbSys *sys, const char *location);
void wb_name_clear (WbName *name);
/* Opens it for writing, and makes it if it is not there; it is not truncated. With
 * `require` it stays as it is until the space is known to be there, and what was not
 * there is `removable`. The descriptor, or -1 with errno. */
int wb_name_open (WbName *name, gboolean append, gboolean o_sync,
    gboolean require) WB_EXCLUDES (wb_locked);
/* Makes it for writing; what has its name is left alone: -1 with EEXIST. */
int wb_name_create (WbName *name, gboolean o_sync) WB_EXCLUDES (wb_locked);
/* Removes what has its name, if that is a file or a link: 0 or -1. */
int wb_name_discard (WbName *name) WB_EXCLUDES (wb_locked);
/* Of any path, links not followed. */
gboolean wb_name_exists (const WbName *name, const char *path)
    WB_EXCLUDES (wb_locked);
gboolean wb_name_is_link (const WbName *name, const char *path)
    WB_EXCLUDES (wb_locked);
/* Empties it by opening it once more, where it can't be done otherwise. 0 or -1. */
int wb_name_empty (WbName *name) WB_EXCLUDES (wb_locked);
/* Removes what the name leads to behind every link. */
void wb_name_remove (WbName *name) WB_EXCLUDES (wb_locked);
/* Finds the directory and holds it: it may be another by the end. */
void wb_name_find (WbName *name) WB_EXCLUDES (wb_locked);
void wb_name_identify (WbName *name, const struct stat *status);
/* Whether the location leads to this file now. */
gboolean wb_name_is_ours (const WbName *name) WB_EXCLUDES (wb_locked);
/* Gives the file, which was found, another name in its directory: the last part of
 * `path`; over what has that, or never over anything (EEXIST). If the file is not where
 * it was, nothing is moved. 0, or the errno and the call that said so. */
int wb_name_move (WbName *name, const char *path, gboolean replace,
    const char **call) WB_EXCLUDES (wb_locked);
/* After that. */
void wb_name_moved (WbName *name, const char *path) WB_REQUIRES (wb_locked);
/* Syncs the directory. NULL, or why the name is not durable, in static memory. */
const char *wb_name_sync (WbName *name, WbNameVerdict *verdict)
    WB_EXCLUDES (wb_locked);
/* Lets the directory go. */
void wb_name_close (WbName *name) WB_EXCLUDES (wb_locked);

WbIdentity wb_identity_of (const struct stat *status);

G_END_DECLS
