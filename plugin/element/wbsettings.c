/* wbfilesink: the settings
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Layout: life; values; what they mean to the writer; the location.
 */
#include "element/gstwbfilesink-private.h"
#include "element/wbspecs.h"
#include "element/wbstats.h"

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
  wb_specs_install (object_class);
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
    g_object_notify (G_OBJECT (self), "buffer-size");
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
