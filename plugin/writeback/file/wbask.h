/* wbfilesink: one output file: what may be refused
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A part of the target: the calls of write-out and of syncs, and what their answers
 * mean. A number alone tells nothing: the kernel keeps whatever number a file
 * system gave for a write-out that failed, and hands it out once, at the next of
 * these calls (FUSE with a write-back cache: any number, EINTR as well; NFS and
 * CIFS: their servers'). So a call is refused only if it never worked on this
 * descriptor and says the same when it is asked again at once.
 *
 * Any of the file's threads, without the lock.
 */
#pragma once

#include "file/wbguard.h"
#include "system/wbsys.h"

G_BEGIN_DECLS

typedef enum
{
  WB_ASK_START,
  WB_ASK_WAIT,
  WB_ASK_SYNC,
  WB_ASK_SYNC_DATA,
  WB_ASKS
} WbAskKind;

/* What a call has answered. */
typedef struct
{
  int code;         /* 0, or the errno */
  gboolean refused; /* nothing is lost */
} WbVerdict;

typedef struct
{
  const WbSys *sys;
  gint worked[WB_ASKS]; /* atomic: such a call has said 0 */
} WbAsk;

/* `offset` and `length` are for write-out, bytes. */
WbVerdict wb_ask (WbAsk *ask, WbAskKind kind, int fd, gint64 offset,
    gint64 length) WB_EXCLUDES (wb_locked);
/* Lets a range leave the cache: a hint, whatever it says. */
WbVerdict wb_ask_drop (WbAsk *ask, int fd, gint64 offset, gint64 length)
    WB_EXCLUDES (wb_locked);

G_END_DECLS
