/* wbfilesink: the file that the element has open
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which file it is, from start to stop, and afterwards what is still asked of
 * it. Owns WbCurrent; all of it is under the object lock. Any thread may enter.
 */
#pragma once

#include "element/gstwbfilesink.h"

G_BEGIN_DECLS

typedef struct
{
  WbFile *file;       /* changes in start and stop only */
  guint serial;       /* counts starts */
  WbStats last_stats; /* of the last file, after stop */
  WbPlace last_place;
  guint64 last_position;
} WbCurrent;

/* The open file or NULL, without a reference: for the streaming thread, which is
 * not there while start and stop change it, for these two themselves, and for
 * whoever holds the object lock. Inline, for it is asked for once a buffer. */
static inline WbFile *
wb_current_peek (const WbCurrent *current)
{
  return current->file;
}

/* The open file, to be unreferenced, or NULL. */
WbFile *wb_current_get (GstWbFileSink *self);
/* The same, and NULL too if it is not the file of the start that `serial` was
 * taken after. */
WbFile *wb_current_get_if (GstWbFileSink *self, guint serial);
/* Which start it was. Streaming thread. */
guint wb_current_get_serial (const GstWbFileSink *self);
/* Of the open file, or of the last one. */
void wb_current_get_stats (GstWbFileSink *self, WbStats *stats);
guint64 wb_current_get_position (GstWbFileSink *self);
/* To be cleared; without a location: there is no file. */
void wb_current_get_place (GstWbFileSink *self, WbPlace *place);

/* With the object lock: nothing is known of the last file any more. */
void wb_current_forget (WbCurrent *current);
/* Start: takes the reference over. */
void wb_current_begin (GstWbFileSink *self, WbFile *file);
/* Stop, after wb_file_close(), which has taken that reference. Takes the place. */
void wb_current_end (GstWbFileSink *self, const WbStats *stats,
    const WbPlace *place, guint64 position);
void wb_current_clear (WbCurrent *current);

G_END_DECLS
