/* wbfilesink: what properties there are
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Their numbers, defaults and specifications, which are API; what they are set to is
 * wbsettings'. It knows no element. Any thread may enter.
 */
#pragma once

#include "element/wbenums.h"
#include "file/wbfile.h"

#include <gst/gst.h>

G_BEGIN_DECLS

#define WB_SPECS_MIB (G_GUINT64_CONSTANT (1) << 20)

#define DEFAULT_BUFFER_MODE WB_BUFFER_MODE_DEFAULT
#define DEFAULT_BUFFER_SIZE (64 * 1024)
#define DEFAULT_APPEND FALSE
#define DEFAULT_FILE_MODE WB_FILE_MODE_TRUNCATE
#define DEFAULT_O_SYNC FALSE
#define DEFAULT_ON_EXISTS WB_EXISTS_REPLACE
#define DEFAULT_MAX_TRANSIENT_ERROR_TIMEOUT 0
/* Of 8, 32, 64 and 128 MiB, 32 gave the most over a gigabit link to a spinning
 * disk behind NFS (libfreemkv's history: 8, 64 and 128 MiB were slower). */
#define DEFAULT_CHUNK_SIZE (32 * WB_SPECS_MIB)
#define DEFAULT_MAX_DIRTY_BYTES (64 * WB_SPECS_MIB)
#define DEFAULT_MAX_DIRTY_TIME (1 * GST_SECOND)
#define DEFAULT_MAX_QUEUED_BYTES (32 * WB_SPECS_MIB)
#define DEFAULT_WRITEBACK WB_WRITEBACK_DROP
#define DEFAULT_PREALLOCATE WB_PREALLOCATE_AUTO
#define DEFAULT_SIZE_HINT 0
#define DEFAULT_SYNC_ON_EOS WB_SYNC_ON_EOS_FULL
#define DEFAULT_SYNC_TIMEOUT (60 * GST_SECOND)
#define DEFAULT_ON_SYNC_TIMEOUT WB_ON_SYNC_TIMEOUT_WARN
#define DEFAULT_WRITEBACK_TIMEOUT (30 * GST_SECOND)
#define DEFAULT_SYNC_INTERVAL 0

enum
{
  PROP_0,
  PROP_LOCATION,
  PROP_BUFFER_MODE,
  PROP_BUFFER_SIZE,
  PROP_APPEND,
  PROP_FILE_MODE,
  PROP_O_SYNC,
  PROP_MAX_TRANSIENT_ERROR_TIMEOUT,
  PROP_CHUNK_SIZE,
  PROP_MAX_DIRTY_BYTES,
  PROP_MAX_DIRTY_TIME,
  PROP_MAX_QUEUED_BYTES,
  PROP_WRITEBACK,
  PROP_PREALLOCATE,
  PROP_SIZE_HINT,
  PROP_SYNC_ON_EOS,
  PROP_SYNC_TIMEOUT,
  PROP_ON_SYNC_TIMEOUT,
  PROP_WRITEBACK_TIMEOUT,
  PROP_SYNC_INTERVAL,
  PROP_ON_EXISTS,
  PROP_PART_SUFFIX,
  PROP_WRITEBACK_STATS,
  N_PROPERTIES
};

/* For class_init, once: installs them all. */
void wb_specs_install (GObjectClass *object_class);

G_END_DECLS
