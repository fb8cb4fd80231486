/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* Gives each picture of an MPEG-1 or MPEG-2 video track a PTS. Used from one
 * thread. */
typedef struct _PictureClock PictureClock;

PictureClock *picture_clock_new (GstCaps *caps);
void picture_clock_add (PictureClock *self, GstBuffer *buffer, GQueue *ready);
void picture_clock_drain (PictureClock *self, GQueue *ready);
void picture_clock_free (PictureClock *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (PictureClock, picture_clock_free)

G_END_DECLS
