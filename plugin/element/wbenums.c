/* wbfilesink: the enum types of the properties
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "element/wbenums.h"

#include "file/wbfile.h"

#define DEFINE_ENUM(function, TypeName, ...)                                   \
  GType function (void)                                                        \
  {                                                                            \
    static gsize type = 0;                                                     \
    static const GEnumValue values[] = { __VA_ARGS__, { 0, NULL, NULL } };     \
                                                                               \
    if (g_once_init_enter (&type))                                             \
      g_once_init_leave (&type, g_enum_register_static (TypeName, values));    \
    return type;                                                               \
  }

DEFINE_ENUM (wb_buffer_mode_get_type, "GstWbFileSinkBufferMode",
    { WB_BUFFER_MODE_DEFAULT, "Default buffering", "default" },
    { WB_BUFFER_MODE_FULL, "Fully buffered", "full" },
    { WB_BUFFER_MODE_LINE, "Line buffered (deprecated, like full)", "line" },
    { WB_BUFFER_MODE_UNBUFFERED, "Unbuffered", "unbuffered" })

DEFINE_ENUM (wb_file_mode_get_type, "GstWbFileSinkFileMode",
    { WB_FILE_MODE_TRUNCATE, "Truncate file (mode wb)", "truncate" },
    { WB_FILE_MODE_APPEND, "Append file (mode ab)", "output" },
    { WB_FILE_MODE_OVERWRITE, "Overwrite file without truncating (mode rb+)",
        "overwrite" })

DEFINE_ENUM (wb_on_exists_get_type, "GstWbFileSinkOnExists",
    { WB_EXISTS_REPLACE, "Replace it", "replace" },
    { WB_EXISTS_FAIL, "Leave it alone, and fail", "fail" },
    { WB_EXISTS_NUMBER,
        "Leave it alone, and take the next free name: name-1.mkv", "number" })

DEFINE_ENUM (wb_writeback_get_type, "GstWbFileSinkWriteback",
    { WB_WRITEBACK_DROP,
        "Bound the unwritten data, drop from the cache what is written",
        "drop" },
    { WB_WRITEBACK_KEEP,
        "Bound the unwritten data, leave what is written in the cache",
        "keep" },
    { WB_WRITEBACK_NONE, "Leave the cache to the kernel", "none" })

DEFINE_ENUM (wb_preallocate_get_type, "GstWbFileSinkPreallocate",
    { WB_PREALLOCATE_NONE, "Reserve nothing", "none" },
    { WB_PREALLOCATE_AUTO, "Reserve ahead where it helps", "auto" },
    { WB_PREALLOCATE_REQUIRE,
        "Reserve everything before the first byte, or fail", "require" })

DEFINE_ENUM (wb_sync_on_eos_get_type, "GstWbFileSinkSyncOnEos",
    { WB_SYNC_ON_EOS_NONE, "Write, and sync nothing", "none" },
    { WB_SYNC_ON_EOS_DATA, "Sync the file's data (fdatasync)", "data" },
    { WB_SYNC_ON_EOS_FULL, "Sync the file and the directory that holds it",
        "full" })

DEFINE_ENUM (wb_on_sync_timeout_get_type, "GstWbFileSinkOnSyncTimeout",
    { WB_ON_SYNC_TIMEOUT_WARN, "A warning; the pipeline goes on", "warn" },
    { WB_ON_SYNC_TIMEOUT_ERROR, "An error", "error" })
