/* wbfilesink: one output file: what the target is
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A part of the target: what is found out when it has been opened, and is constant
 * after that, so that any thread may read it.
 */
#pragma once

#include "file/wbname.h"

G_BEGIN_DECLS

typedef struct
{
  /* how it was opened */
  gboolean append;    /* others may append as well */
  gboolean truncate;  /* what it held goes */
  gboolean overwrite; /* neither */
  gboolean regular, block_device;
  gboolean fifo;
  gboolean pipe;        /* a FIFO or a socket: it may be fed in parts */
  gboolean message;     /* a device that takes a write as one message */
  gboolean seekable;    /* has positions */
  gboolean created;     /* by this open */
  guint64 own_device;   /* of a block device: the disk itself */
  guint64 base;         /* where the stream begins in it, bytes */
  guint64 size_at_open; /* bytes */
  guint64 old_blocks;   /* bytes of blocks it had at open */

  gboolean control;           /* write-out is ours to control, */
  gboolean by_sync;           /* ... by fadvise and fdatasync */
  int control_code;           /* why not: the errno, or 0 */
  char mechanism[64];         /* what that and the file system are called */
  gboolean reserve_suits;     /* reserving space is worth it, */
  gboolean reserve_growth;    /* also with nothing known of the size */
  const char *reserve_reason; /* why not */
} WbTargetFacts;

/* What the descriptor is, and which file: how it was opened is set. 0, or
 * the errno. */
int wb_facts_find (WbTargetFacts *facts, const WbSys *sys, int fd, WbName *name)
    WB_EXCLUDES (wb_locked);
/* Which way of write-out control it has, if that is `wanted`, and whether reserving
 * suits its file system. */
void wb_facts_find_control (WbTargetFacts *facts, const WbSys *sys, int fd,
    gboolean wanted) WB_EXCLUDES (wb_locked);
/* In a word or two, for the log. */
const char *wb_facts_kind (const WbTargetFacts *facts);

G_END_DECLS
