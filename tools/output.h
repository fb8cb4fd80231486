/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "track.h"

#include <gio/gio.h>

G_BEGIN_DECLS

/* The muxer: which format, which tracks it holds, and how they are told to it. */

/* By @name (mkv, webm, mp4, mov, ts, or a muxer of libavformat's), or if that is
 * NULL by @path's extension. A G_OPTION_ERROR if there is none. */
const AVOutputFormat *output_find_format (
    const gchar *path, const gchar *name, GError **error);
/* Decides why @track cannot be kept, or how it can. */
void output_check_track (
    const AVOutputFormat *format, Track *track, gboolean may_change);
/* A muxer for the kept ones of @tracks; each gets its stream. */
AVFormatContext *output_new (const AVOutputFormat *format, GPtrArray *tracks,
    const AVDictionary *metadata, GError **error);
/* Whether @out's picture is turned, and the format cannot tell. */
gboolean output_loses_rotation (
    const AVOutputFormat *format, const AVStream *out);
/* 0 or a libav error. */
gint output_write_header (AVFormatContext *muxer);
void output_add_chapter (AVFormatContext *muxer, gint64 begin, gint64 end,
    const AVDictionary *about);

G_END_DECLS
