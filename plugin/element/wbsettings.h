/* wbfilesink: the settings
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The properties: their specifications, their defaults, their values, and what
 * these mean to the writer. Owns WbSettings; all of it is under the object lock.
 * Any thread may enter.
 */
#pragma once

#include "element/gstwbfilesink.h"
#include "element/wbenums.h"

G_BEGIN_DECLS

typedef struct
{
  gchar *location; /* file name encoding */
  gchar *uri;      /* of it */
  WbBufferMode buffer_mode;
  guint buffer_size;
  gboolean append;
  WbFileMode file_mode;
  gboolean o_sync;
  WbOnExists on_exists;
  gchar *part_suffix;
  gint max_transient_error_timeout; /* ms */
  guint64 chunk_size;
  guint64 max_dirty_bytes;
  GstClockTime max_dirty_time;
  guint64 max_queued_bytes;
  WbWriteback writeback;
  WbPreallocate preallocate;
  guint64 size_hint;
  WbSyncOnEos sync_on_eos;
  GstClockTime sync_timeout;
  WbOnSyncTimeout on_sync_timeout;
  GstClockTime writeback_timeout;
  GstClockTime sync_interval;

  /* No property: what upstream says of itself. */
  gboolean unhurried;
} WbSettings;

/* For class_init: the properties, and what sets and gets them. */
void wb_settings_install (GObjectClass *object_class);
void wb_settings_init (WbSettings *settings);
void wb_settings_clear (WbSettings *settings);

/* Refused, with a warning and `error`, while a file is open. NULL: none. */
gboolean wb_settings_set_location (
    GstWbFileSink *self, const gchar *location, GError **error);
/* To be freed; NULL: there is no location. */
gchar *wb_settings_get_uri (GstWbFileSink *self);
/* The same with the object lock, and valid as long as it is held. */
const gchar *wb_settings_peek_uri (const WbSettings *settings);

/* A size of 0 stands for the default, unless nothing is to be buffered. */
void wb_settings_fix_buffer_size (GstWbFileSink *self);
/* With the object lock: all of `config` that is set by properties. The strings
 * in it are not copied. */
void wb_settings_fill_config (const WbSettings *settings, WbFileConfig *config);
/* Tells the open file, if there is one, what its bounds are now. */
void wb_settings_apply_bounds (GstWbFileSink *self);
/* Whether nothing upstream is live; until it is known, something is. */
void wb_settings_set_unhurried (GstWbFileSink *self, gboolean unhurried);
/* What is synced at the end of the stream. */
WbSyncKind wb_settings_get_sync_kind (GstWbFileSink *self);
/* Whether giving up after sync-timeout is an error. */
gboolean wb_settings_timeout_is_error (GstWbFileSink *self);

G_END_DECLS
