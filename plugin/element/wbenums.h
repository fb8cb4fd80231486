/* wbfilesink: the enum types of the properties
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Those that the writer knows nothing of are declared here; all are registered
 * here. Names, values and nicks are API. Any thread may enter.
 */
#pragma once

#include <glib-object.h>

G_BEGIN_DECLS

typedef enum
{
  WB_BUFFER_MODE_DEFAULT = -1,
  WB_BUFFER_MODE_FULL = 0,
  WB_BUFFER_MODE_LINE = 1,
  WB_BUFFER_MODE_UNBUFFERED = 2
} WbBufferMode;

typedef enum
{
  WB_FILE_MODE_TRUNCATE = 1,
  WB_FILE_MODE_APPEND,
  WB_FILE_MODE_OVERWRITE
} WbFileMode;

typedef enum
{
  WB_SYNC_ON_EOS_NONE,
  WB_SYNC_ON_EOS_DATA,
  WB_SYNC_ON_EOS_FULL
} WbSyncOnEos;

typedef enum
{
  WB_ON_SYNC_TIMEOUT_WARN,
  WB_ON_SYNC_TIMEOUT_ERROR
} WbOnSyncTimeout;

GType wb_buffer_mode_get_type (void);
GType wb_file_mode_get_type (void);
GType wb_on_exists_get_type (void);   /* of WbOnExists */
GType wb_writeback_get_type (void);   /* of WbWriteback */
GType wb_preallocate_get_type (void); /* of WbPreallocate */
GType wb_sync_on_eos_get_type (void);
GType wb_on_sync_timeout_get_type (void);

G_END_DECLS
