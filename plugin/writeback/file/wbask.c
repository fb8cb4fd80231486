/* wbfilesink: one output file: what may be refused
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "file/wbask.h"

#include "system/wbcode.h"

#include <errno.h>

static int
ask_once (
    const WbSys *sys, WbAskKind kind, int fd, gint64 offset, gint64 length)
{
  int result = -1;

  switch (kind) {
    case WB_ASK_START:
      result = sys->writeout_start (fd, offset, length);
      break;
    case WB_ASK_WAIT:
      result = sys->writeout_wait (fd, offset, length);
      break;
    case WB_ASK_SYNC:
      result = sys->sync (fd);
      break;
    case WB_ASK_SYNC_DATA:
      result = sys->sync_data (fd);
      break;
    case WB_ASKS:
      break;
  }
  return result == 0 ? 0 : errno;
}

/* If it says 0 the second time, the first was an error, and that was all there is
 * to hear of it. */
WbVerdict
wb_ask (WbAsk *ask, WbAskKind kind, int fd, gint64 offset, gint64 length)
{
  WbVerdict verdict = { ask_once (ask->sys, kind, fd, offset, length), FALSE };

  if (verdict.code == 0)
    g_atomic_int_set (&ask->worked[kind], TRUE);
  else if (wb_code_is_refusal (verdict.code)
      && !g_atomic_int_get (&ask->worked[kind]))
    verdict.refused =
        ask_once (ask->sys, kind, fd, offset, length) == verdict.code;
  return verdict;
}

WbVerdict
wb_ask_drop (WbAsk *ask, int fd, gint64 offset, gint64 length)
{
  WbVerdict verdict = { 0, TRUE };

  WB_TRY (verdict.code, ask->sys->drop (fd, offset, length));
  return verdict;
}
