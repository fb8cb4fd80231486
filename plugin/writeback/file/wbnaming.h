/* wbfilesink: one output file: the name that it is to have
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A part of the target: which name is taken if there is a file of the one that was
 * asked for, and, with a part suffix, under which the file is written until it is
 * whole. Whoever looks for the name without the suffix finds what was there before,
 * nothing, or all of it.
 *
 * Names are claimed by making the file, never by looking first: of two that want one,
 * one gets it. Its strings change on the I/O thread, under the lock: that thread reads
 * them without it, others with it.
 */
#pragma once

#include "file/wbcore.h"
#include "file/wbname.h"

G_BEGIN_DECLS

typedef struct
{
  WbCore *core;
  WbName *name; /* where the file is */
  /* the settings agree: an old file that is written into has its name */
  gboolean is_sound;
  WbOnExists on_exists;
  char *suffix; /* of the part, or NULL: there is none */
  char *wanted; /* the name that was asked for */
  char *goal;   /* the one that it is to have */
  guint number; /* in that; 0: none */
  gboolean renamed WB_GUARDED_BY (wb_locked); /* the part has become that */
} WbNaming;

/* The name stays the caller's. It becomes the part's, if there is one. */
void wb_naming_init (
    WbNaming *naming, WbCore *core, WbName *name, const WbFileConfig *config);
void wb_naming_clear (WbNaming *naming);

/* Whether the file is made by wb_naming_claim(), and not opened by the name that was
 * asked for. `status` is what has that, or NULL: what is no file and is to be written
 * to is opened. */
gboolean wb_naming_makes (WbNaming *naming, const struct stat *status)
    WB_REQUIRES (wb_locked, wb_io_thread);
/* Makes the file, and decides on its name by that; `status` as above. 0, or the
 * errno and which call said so. */
int wb_naming_claim (WbNaming *naming, const struct stat *status,
    gboolean o_sync, int *fd, const char **call)
    WB_REQUIRES (wb_locked, wb_io_thread);
/* The file is whole: it gets its name, if it does not have it. FALSE: the error is
 * latched, or the file was abandoned meanwhile. */
gboolean wb_naming_finish (WbNaming *naming)
    WB_REQUIRES (wb_locked, wb_io_thread);
gboolean wb_naming_is_renamed (const WbNaming *naming) WB_REQUIRES (wb_locked);
void wb_naming_get_place (const WbNaming *naming, WbPlace *place)
    WB_REQUIRES (wb_locked);

G_END_DECLS
