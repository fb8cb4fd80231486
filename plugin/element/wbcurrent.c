/* wbfilesink: the file that the element has open
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "element/gstwbfilesink-private.h"

#include <string.h>

WbFile *
wb_current_get (GstWbFileSink *self)
{
  WbFile *file;

  GST_OBJECT_LOCK (self);
  file = self->current.file != NULL ? wb_file_ref (self->current.file) : NULL;
  GST_OBJECT_UNLOCK (self);
  return file;
}

WbFile *
wb_current_get_if (GstWbFileSink *self, guint serial)
{
  WbFile *file = NULL;

  GST_OBJECT_LOCK (self);
  if (self->current.file != NULL && self->current.serial == serial)
    file = wb_file_ref (self->current.file);
  GST_OBJECT_UNLOCK (self);
  return file;
}

guint
wb_current_get_serial (const GstWbFileSink *self)
{
  return self->current.serial;
}

void
wb_current_get_stats (GstWbFileSink *self, WbStats *stats)
{
  WbFile *file = wb_current_get (self);

  if (file != NULL) {
    wb_file_get_stats (file, stats);
    wb_file_unref (file);
    return;
  }
  GST_OBJECT_LOCK (self);
  *stats = self->current.last_stats;
  GST_OBJECT_UNLOCK (self);
}

guint64
wb_current_get_position (GstWbFileSink *self)
{
  WbFile *file = wb_current_get (self);
  guint64 position;

  if (file == NULL) {
    GST_OBJECT_LOCK (self);
    position = self->current.last_position;
    GST_OBJECT_UNLOCK (self);
    return position;
  }
  position = wb_file_get_position (file);
  wb_file_unref (file);
  return position;
}

void
wb_current_get_place (GstWbFileSink *self, WbPlace *place)
{
  WbFile *file = wb_current_get (self);

  if (file != NULL) {
    wb_file_get_place (file, place);
    wb_file_unref (file);
    return;
  }
  GST_OBJECT_LOCK (self);
  *place = self->current.last_place;
  place->location = g_strdup (place->location);
  place->goal = g_strdup (place->goal);
  GST_OBJECT_UNLOCK (self);
}

void
wb_current_clear (WbCurrent *current)
{
  wb_place_clear (&current->last_place);
}

void
wb_current_forget (WbCurrent *current)
{
  wb_place_clear (&current->last_place);
  current->last_position = 0;
  memset (&current->last_stats, 0, sizeof current->last_stats);
}

void
wb_current_begin (GstWbFileSink *self, WbFile *file)
{
  GST_OBJECT_LOCK (self);
  self->current.file = file;
  self->current.serial++;
  GST_OBJECT_UNLOCK (self);
}

void
wb_current_end (GstWbFileSink *self, const WbStats *stats, const WbPlace *place,
    guint64 position)
{
  GST_OBJECT_LOCK (self);
  self->current.file = NULL;
  self->current.last_stats = *stats;
  self->current.last_place = *place;
  self->current.last_position = position;
  GST_OBJECT_UNLOCK (self);
}
