/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <libavformat/avformat.h>

G_BEGIN_DECLS

/* What a track's packets go through so that the output can hold them: nothing of
 * what they say is lost. Used from one thread. */
typedef struct _Convert Convert;

/* Takes the packet, which it may change; NULL at the end. The result is sent to
 * @take, which owns it. 0 or a libav error. */
typedef gint (*ConvertTake) (AVPacket *packet, gpointer user_data);

/* For a track that @format cannot hold as it is: PCM of another layout, text of
 * another syntax. NULL: there is no such way. */
Convert *convert_new_for (const AVStream *stream, const AVOutputFormat *format);
/* Bitstream filters of libavcodec, as ffmpeg's -bsf has them. NULL if it is not there, or not for this. */
Convert *convert_new_filter (const AVStream *stream, const gchar *names);
/* The parameters and the time base of what comes out. */
const AVCodecParameters *convert_get_parameters (const Convert *self);
AVRational convert_get_time_base (const Convert *self);
gint convert_send (
    Convert *self, AVPacket *packet, ConvertTake take, gpointer user_data);
/* "as pcm_s24le", or NULL if nobody need know. */
gchar *convert_describe (const Convert *self);
void convert_free (Convert *self);

G_END_DECLS
