/* wbfilesink: what properties there are
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "element/wbspecs.h"

#define MIB WB_SPECS_MIB

static GParamSpec *properties[N_PROPERTIES];

/* What is fixed when the file is opened, from NULL to READY, has no flag more, as
 * with filesink. */
#define FLAGS (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS)
#define FLAGS_PLAYING (FLAGS | GST_PARAM_MUTABLE_PLAYING)

static void
init_filesink_properties (void)
{
  properties[PROP_LOCATION] = g_param_spec_string ("location", "File Location",
      "Location of the file to write", NULL, FLAGS);
  properties[PROP_BUFFER_MODE] = g_param_spec_enum ("buffer-mode",
      "Buffering mode", "The buffering mode to use", wb_buffer_mode_get_type (),
      DEFAULT_BUFFER_MODE, FLAGS);
  properties[PROP_BUFFER_SIZE] =
      g_param_spec_uint ("buffer-size", "Buffering size",
          "Size of buffer in number of bytes for line or full buffer-mode", 0,
          G_MAXUINT, DEFAULT_BUFFER_SIZE, FLAGS);
  properties[PROP_APPEND] = g_param_spec_boolean ("append", "Append",
      "Append to an already existing file", DEFAULT_APPEND, FLAGS);
  properties[PROP_FILE_MODE] = g_param_spec_enum ("file-mode", "File Mode",
      "Specify file mode used to open file", wb_file_mode_get_type (),
      DEFAULT_FILE_MODE, FLAGS);
  properties[PROP_O_SYNC] = g_param_spec_boolean ("o-sync", "Synchronous IO",
      "Open the file with O_SYNC for enabling synchronous IO", DEFAULT_O_SYNC,
      FLAGS);
  properties[PROP_MAX_TRANSIENT_ERROR_TIMEOUT] = g_param_spec_int (
      "max-transient-error-timeout", "Max Transient Error Timeout",
      "Retry up to this many ms on transient errors (currently EACCES)", 0,
      G_MAXINT, DEFAULT_MAX_TRANSIENT_ERROR_TIMEOUT, FLAGS);
}

static void
init_bound_properties (void)
{
  properties[PROP_CHUNK_SIZE] = g_param_spec_uint64 ("chunk-size", "Chunk size",
      "Start the write-out of this many bytes together, at most", 1 * MIB,
      256 * MIB, DEFAULT_CHUNK_SIZE, FLAGS_PLAYING);
  properties[PROP_MAX_DIRTY_BYTES] =
      g_param_spec_uint64 ("max-dirty-bytes", "Max dirty bytes",
          "At most this many bytes are written and not yet on the disk (0 = no "
          "bound)",
          0, G_MAXUINT64, DEFAULT_MAX_DIRTY_BYTES, FLAGS_PLAYING);
  properties[PROP_MAX_DIRTY_TIME] = g_param_spec_uint64 ("max-dirty-time",
      "Max dirty time",
      "At most as much is written and not yet on the disk as it drains in this "
      "many ns, at the measured rate, but what pieces need that are worth a "
      "seek (0 = no bound)",
      0, G_MAXUINT64, DEFAULT_MAX_DIRTY_TIME, FLAGS_PLAYING);
  properties[PROP_MAX_QUEUED_BYTES] =
      g_param_spec_uint64 ("max-queued-bytes", "Max queued bytes",
          "At most this many bytes wait in memory to be written, and no more "
          "than the disk takes in max-dirty-time",
          0, G_MAXUINT64, DEFAULT_MAX_QUEUED_BYTES, FLAGS_PLAYING);
  properties[PROP_WRITEBACK_TIMEOUT] =
      g_param_spec_uint64 ("writeback-timeout", "Write-back timeout",
          "When nothing has reached the disk for this many ns, give up the "
          "bound on unwritten data until it holds again (-1 = never)",
          0, G_MAXUINT64, DEFAULT_WRITEBACK_TIMEOUT, FLAGS_PLAYING);
  properties[PROP_SYNC_TIMEOUT] =
      g_param_spec_uint64 ("sync-timeout", "Sync timeout",
          "Give up on opening, syncing and closing when nothing has moved for "
          "this many ns (-1 = never)",
          0, G_MAXUINT64, DEFAULT_SYNC_TIMEOUT, FLAGS_PLAYING);
  properties[PROP_SYNC_INTERVAL] =
      g_param_spec_uint64 ("sync-interval", "Sync interval",
          "Make what is written durable this often, in ns, while the stream "
          "goes on; durable-bytes in writeback-stats says how far it is (0 = "
          "only at the end)",
          0, G_MAXUINT64, DEFAULT_SYNC_INTERVAL, FLAGS_PLAYING);
}

static void
init_mode_properties (void)
{
  properties[PROP_WRITEBACK] = g_param_spec_enum ("writeback", "Write-back",
      "What becomes of the written data in the page cache",
      wb_writeback_get_type (), DEFAULT_WRITEBACK, FLAGS);
  properties[PROP_PREALLOCATE] = g_param_spec_enum ("preallocate",
      "Preallocate", "Whether disk space is reserved ahead of the writes",
      wb_preallocate_get_type (), DEFAULT_PREALLOCATE, FLAGS);
  properties[PROP_SIZE_HINT] = g_param_spec_uint64 ("size-hint", "Size hint",
      "Expected final size of the stream in bytes, to reserve space for (0 = "
      "find out from upstream)",
      0, G_MAXUINT64, DEFAULT_SIZE_HINT, FLAGS);
  properties[PROP_SYNC_ON_EOS] =
      g_param_spec_enum ("sync-on-eos", "Sync on EOS",
          "What is synced at EOS, and at stop if anything was written since",
          wb_sync_on_eos_get_type (), DEFAULT_SYNC_ON_EOS, FLAGS_PLAYING);
  properties[PROP_ON_SYNC_TIMEOUT] = g_param_spec_enum ("on-sync-timeout",
      "On sync timeout", "What giving up after sync-timeout is",
      wb_on_sync_timeout_get_type (), DEFAULT_ON_SYNC_TIMEOUT, FLAGS_PLAYING);
  properties[PROP_ON_EXISTS] = g_param_spec_enum ("on-exists", "On exists",
      "What happens if there is a file of the name", wb_on_exists_get_type (),
      DEFAULT_ON_EXISTS, FLAGS);
  properties[PROP_PART_SUFFIX] = g_param_spec_string ("part-suffix",
      "Part suffix",
      "Write under the location and this suffix, and rename at EOS, when the "
      "file is as safe as sync-on-eos asks (none = it has its name from the "
      "start; .part is usual)",
      NULL, FLAGS);
  properties[PROP_WRITEBACK_STATS] =
      g_param_spec_boxed ("writeback-stats", "Write-back statistics",
          "Figures of the file being written, or of the last one",
          GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
}

void
wb_specs_install (GObjectClass *object_class)
{
  init_filesink_properties ();
  init_bound_properties ();
  init_mode_properties ();
  g_object_class_install_properties (object_class, N_PROPERTIES, properties);

  gst_type_mark_as_plugin_api (wb_buffer_mode_get_type (), 0);
  gst_type_mark_as_plugin_api (wb_file_mode_get_type (), 0);
  gst_type_mark_as_plugin_api (wb_on_exists_get_type (), 0);
  gst_type_mark_as_plugin_api (wb_writeback_get_type (), 0);
  gst_type_mark_as_plugin_api (wb_preallocate_get_type (), 0);
  gst_type_mark_as_plugin_api (wb_sync_on_eos_get_type (), 0);
  gst_type_mark_as_plugin_api (wb_on_sync_timeout_get_type (), 0);
}
