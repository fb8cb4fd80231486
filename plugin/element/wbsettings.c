/* wbfilesink: the settings
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Layout: defaults; the specifications; values; what they mean to the writer;
 * the location.
 */
#include "element/gstwbfilesink-private.h"
#include "element/wbstats.h"

#define MIB (G_GUINT64_CONSTANT (1) << 20)

/* --- defaults -------------------------------------------------------------- */

#define DEFAULT_BUFFER_MODE WB_BUFFER_MODE_DEFAULT
#define DEFAULT_BUFFER_SIZE (64 * 1024)
#define DEFAULT_APPEND FALSE
#define DEFAULT_FILE_MODE WB_FILE_MODE_TRUNCATE
#define DEFAULT_O_SYNC FALSE
#define DEFAULT_ON_EXISTS WB_EXISTS_REPLACE
#define DEFAULT_MAX_TRANSIENT_ERROR_TIMEOUT 0
/* Of 8, 32, 64 and 128 MiB, 32 gave the most over a gigabit link to a spinning
 * disk behind NFS (libfreemkv's history: 8, 64 and 128 MiB were slower). */
#define DEFAULT_CHUNK_SIZE (32 * MIB)
#define DEFAULT_MAX_DIRTY_BYTES (64 * MIB)
#define DEFAULT_MAX_DIRTY_TIME (1 * GST_SECOND)
#define DEFAULT_MAX_QUEUED_BYTES (32 * MIB)
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

static GParamSpec *properties[N_PROPERTIES];

void
wb_settings_init (WbSettings *settings)
{
  settings->buffer_mode = DEFAULT_BUFFER_MODE;
  settings->buffer_size = DEFAULT_BUFFER_SIZE;
  settings->append = DEFAULT_APPEND;
  settings->file_mode = DEFAULT_FILE_MODE;
  settings->o_sync = DEFAULT_O_SYNC;
  settings->on_exists = DEFAULT_ON_EXISTS;
  settings->max_transient_error_timeout = DEFAULT_MAX_TRANSIENT_ERROR_TIMEOUT;
  settings->chunk_size = DEFAULT_CHUNK_SIZE;
  settings->max_dirty_bytes = DEFAULT_MAX_DIRTY_BYTES;
  settings->max_dirty_time = DEFAULT_MAX_DIRTY_TIME;
  settings->max_queued_bytes = DEFAULT_MAX_QUEUED_BYTES;
  settings->writeback = DEFAULT_WRITEBACK;
  settings->preallocate = DEFAULT_PREALLOCATE;
  settings->size_hint = DEFAULT_SIZE_HINT;
  settings->sync_on_eos = DEFAULT_SYNC_ON_EOS;
  settings->sync_timeout = DEFAULT_SYNC_TIMEOUT;
  settings->on_sync_timeout = DEFAULT_ON_SYNC_TIMEOUT;
  settings->writeback_timeout = DEFAULT_WRITEBACK_TIMEOUT;
  settings->sync_interval = DEFAULT_SYNC_INTERVAL;
}

void
wb_settings_clear (WbSettings *settings)
{
  g_free (settings->location);
  g_free (settings->uri);
  g_free (settings->part_suffix);
}

/* --- the specifications ---------------------------------------------------- */

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

/* --- values ----------------------------------------------------------------- */

/* Where the values are kept that are passed on as they are, enums as integers. */
static const gsize offsets[N_PROPERTIES] = {
#define OFFSET(member) G_STRUCT_OFFSET (WbSettings, member)
  [PROP_BUFFER_MODE] = OFFSET (buffer_mode),
  [PROP_BUFFER_SIZE] = OFFSET (buffer_size),
  [PROP_APPEND] = OFFSET (append),
  [PROP_FILE_MODE] = OFFSET (file_mode),
  [PROP_O_SYNC] = OFFSET (o_sync),
  [PROP_ON_EXISTS] = OFFSET (on_exists),
  [PROP_PART_SUFFIX] = OFFSET (part_suffix),
  [PROP_LOCATION] = OFFSET (location),
  [PROP_MAX_TRANSIENT_ERROR_TIMEOUT] = OFFSET (max_transient_error_timeout),
  [PROP_CHUNK_SIZE] = OFFSET (chunk_size),
  [PROP_MAX_DIRTY_BYTES] = OFFSET (max_dirty_bytes),
  [PROP_MAX_DIRTY_TIME] = OFFSET (max_dirty_time),
  [PROP_MAX_QUEUED_BYTES] = OFFSET (max_queued_bytes),
  [PROP_WRITEBACK] = OFFSET (writeback),
  [PROP_PREALLOCATE] = OFFSET (preallocate),
  [PROP_SIZE_HINT] = OFFSET (size_hint),
  [PROP_SYNC_ON_EOS] = OFFSET (sync_on_eos),
  [PROP_SYNC_TIMEOUT] = OFFSET (sync_timeout),
  [PROP_ON_SYNC_TIMEOUT] = OFFSET (on_sync_timeout),
  [PROP_WRITEBACK_TIMEOUT] = OFFSET (writeback_timeout),
  [PROP_SYNC_INTERVAL] = OFFSET (sync_interval),
#undef OFFSET
};

G_STATIC_ASSERT (sizeof (WbFileMode) == sizeof (gint));

static void
set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  GstWbFileSink *self = (GstWbFileSink *) object;
  gpointer field = G_STRUCT_MEMBER_P (&self->settings, offsets[id]);

  if (id == PROP_LOCATION) {
    wb_settings_set_location (self, g_value_get_string (value), NULL);
    return;
  }

  GST_OBJECT_LOCK (self);
  switch (G_TYPE_FUNDAMENTAL (G_VALUE_TYPE (value))) {
    case G_TYPE_BOOLEAN:
      *(gboolean *) field = g_value_get_boolean (value);
      break;
    case G_TYPE_INT:
      *(gint *) field = g_value_get_int (value);
      break;
    case G_TYPE_UINT:
      *(guint *) field = g_value_get_uint (value);
      break;
    case G_TYPE_UINT64:
      *(guint64 *) field = g_value_get_uint64 (value);
      break;
    case G_TYPE_ENUM:
      *(gint *) field = g_value_get_enum (value);
      break;
    case G_TYPE_STRING:
      g_free (*(gchar **) field);
      *(gchar **) field = g_value_dup_string (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
  wb_settings_apply_bounds (self);
}

static GstStructure *
make_stats (GstWbFileSink *self)
{
  GstStructure *structure;
  WbPlace place;
  WbStats stats;

  wb_current_get_stats (self, &stats);
  wb_current_get_place (self, &place);
  structure = wb_stats_to_structure (&stats, &place);
  wb_place_clear (&place);
  return structure;
}

static void
get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  GstWbFileSink *self = (GstWbFileSink *) object;
  gconstpointer field = G_STRUCT_MEMBER_P (&self->settings, offsets[id]);

  if (id == PROP_WRITEBACK_STATS) {
    g_value_take_boxed (value, make_stats (self));
    return;
  }

  GST_OBJECT_LOCK (self);
  switch (G_TYPE_FUNDAMENTAL (G_VALUE_TYPE (value))) {
    case G_TYPE_STRING:
      g_value_set_string (value, *(gchar *const *) field);
      break;
    case G_TYPE_BOOLEAN:
      g_value_set_boolean (value, *(const gboolean *) field);
      break;
    case G_TYPE_INT:
      g_value_set_int (value, *(const gint *) field);
      break;
    case G_TYPE_UINT:
      g_value_set_uint (value, *(const guint *) field);
      break;
    case G_TYPE_UINT64:
      g_value_set_uint64 (value, *(const guint64 *) field);
      break;
    case G_TYPE_ENUM:
      g_value_set_enum (value, *(const gint *) field);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

void
wb_settings_install (GObjectClass *object_class)
{
  object_class->set_property = set_property;
  object_class->get_property = get_property;
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

/* --- what they mean to the writer -------------------------------------------- */

static gint64
to_us (GstClockTime time)
{
  /* A time of less than a millisecond cannot be told from a busy machine. */
  return GST_CLOCK_TIME_IS_VALID (time) ? (gint64) MAX (time / 1000, 1000) : -1;
}

/* With the object lock. */
static WbBounds
current_bounds (const WbSettings *settings)
{
  WbBounds bounds = {
    .chunk_size = settings->chunk_size,
    .max_dirty_bytes = settings->max_dirty_bytes,
    .max_dirty_time_us = settings->max_dirty_time == 0
        ? 0
        : MAX (to_us (settings->max_dirty_time), 0),
    .max_queued_bytes = settings->max_queued_bytes,
    .sync_timeout_us = to_us (settings->sync_timeout),
    .writeback_timeout_us = to_us (settings->writeback_timeout),
    .sync_interval_us = settings->sync_interval == 0
        ? 0
        : MAX (to_us (settings->sync_interval), 0),
    .unhurried = settings->unhurried,
  };

  return bounds;
}

/* All of it with the object lock: of two who change a bound each, the later must
 * not come with what the earlier has not set yet. */
void
wb_settings_apply_bounds (GstWbFileSink *self)
{
  WbBounds bounds;
  WbFile *file;

  GST_OBJECT_LOCK (self);
  file = wb_current_peek (&self->current);
  if (file != NULL) {
    bounds = current_bounds (&self->settings);
    wb_file_set_bounds (file, &bounds);
  }
  GST_OBJECT_UNLOCK (self);
}

void
wb_settings_set_unhurried (GstWbFileSink *self, gboolean unhurried)
{
  gboolean changed;

  GST_OBJECT_LOCK (self);
  changed = self->settings.unhurried != unhurried;
  self->settings.unhurried = unhurried;
  GST_OBJECT_UNLOCK (self);
  if (!changed)
    return;
  GST_DEBUG_OBJECT (
      self, "upstream is %s", unhurried ? "not live" : "live, or not known");
  wb_settings_apply_bounds (self);
}

void
wb_settings_fill_config (const WbSettings *settings, WbFileConfig *config)
{
  config->location = settings->location;
  config->mode = WB_OPEN_TRUNCATE;
  if (settings->append || settings->file_mode == WB_FILE_MODE_APPEND)
    config->mode = WB_OPEN_APPEND;
  else if (settings->file_mode == WB_FILE_MODE_OVERWRITE)
    config->mode = WB_OPEN_OVERWRITE;
  config->on_exists = settings->on_exists;
  config->part_suffix = settings->part_suffix;
  config->o_sync = settings->o_sync;
  config->writeback = settings->writeback;
  config->preallocate = settings->preallocate;
  config->size_hint = settings->size_hint;
  config->wake_bytes = settings->buffer_size;
  config->unbuffered = settings->buffer_mode == WB_BUFFER_MODE_UNBUFFERED;
  config->transient_timeout_us =
      (gint64) settings->max_transient_error_timeout * 1000;
  config->bounds = current_bounds (settings);
}

void
wb_settings_fix_buffer_size (GstWbFileSink *self)
{
  gboolean fix;

  GST_OBJECT_LOCK (self);
  fix = self->settings.buffer_mode != WB_BUFFER_MODE_UNBUFFERED
      && self->settings.buffer_size == 0;
  if (fix)
    self->settings.buffer_size = DEFAULT_BUFFER_SIZE;
  GST_OBJECT_UNLOCK (self);
  if (fix)
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_BUFFER_SIZE]);
}

WbSyncKind
wb_settings_get_sync_kind (GstWbFileSink *self)
{
  static const WbSyncKind kinds[] = { WB_SYNC_NONE, WB_SYNC_DATA,
    WB_SYNC_FULL };
  WbSyncOnEos mode;

  GST_OBJECT_LOCK (self);
  mode = self->settings.sync_on_eos;
  GST_OBJECT_UNLOCK (self);
  return kinds[mode];
}

gboolean
wb_settings_timeout_is_error (GstWbFileSink *self)
{
  gboolean is_error;

  GST_OBJECT_LOCK (self);
  is_error = self->settings.on_sync_timeout == WB_ON_SYNC_TIMEOUT_ERROR;
  GST_OBJECT_UNLOCK (self);
  return is_error;
}

/* --- the location ------------------------------------------------------------- */

gboolean
wb_settings_set_location (
    GstWbFileSink *self, const gchar *location, GError **error)
{
  gchar *uri = location != NULL ? gst_filename_to_uri (location, NULL) : NULL;

  GST_OBJECT_LOCK (self);
  if (wb_current_peek (&self->current) != NULL) {
    GST_OBJECT_UNLOCK (self);
    g_free (uri);
    g_warning ("Changing the 'location' property of wbfilesink while a file "
               "is open is not supported.");
    g_set_error_literal (error, GST_URI_ERROR, GST_URI_ERROR_BAD_STATE,
        "Changing the 'location' property of wbfilesink while a file is open "
        "is not supported");
    return FALSE;
  }
  g_free (self->settings.location);
  g_free (self->settings.uri);
  self->settings.location = g_strdup (location);
  self->settings.uri = uri;
  GST_OBJECT_UNLOCK (self);
  return TRUE;
}

const gchar *
wb_settings_peek_uri (const WbSettings *settings)
{
  return settings->uri;
}

gchar *
wb_settings_get_uri (GstWbFileSink *self)
{
  gchar *uri;

  GST_OBJECT_LOCK (self);
  uri = g_strdup (self->settings.uri);
  GST_OBJECT_UNLOCK (self);
  return uri;
}
