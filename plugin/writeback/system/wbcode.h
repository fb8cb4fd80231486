/* wbfilesink: what an error number means
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A number alone does not tell a refusal from lost data: the kernel keeps whatever
 * number a file system gave for a write-out that failed, and hands it out once, at
 * the next sync_file_range, fsync, fdatasync or close. So these only say what a
 * number may mean; whether it does is found out by asking again (wb_target_sync()).
 */
#pragma once

#include <errno.h>
#include <glib.h>

G_BEGIN_DECLS

/* The system has no such call for this target, or does not let us make it. */
gboolean wb_code_is_refusal (int code);
/* ... does not let us: a sandbox, or a directory that may not be read. */
gboolean wb_code_is_denial (int code);
/* The disk or a quota is full. */
gboolean wb_code_is_no_space (int code);
/* It was interrupted, and may be made again, up to 100 times in a row, which `*tries`
 * counts: the file's threads block all signals, so that it is the file system's word,
 * which may never change. */
gboolean wb_code_is_to_be_tried (int code, guint *tries);
/* Makes such a call: `code` becomes 0 or the errno. */
#define WB_TRY(code, call)                                                     \
  G_STMT_START                                                                 \
  {                                                                            \
    guint __tries = 0;                                                         \
    do                                                                         \
      (code) = (call) == 0 ? 0 : errno;                                        \
    while (wb_code_is_to_be_tried (code, &__tries));                           \
  }                                                                            \
  G_STMT_END

G_END_DECLS
