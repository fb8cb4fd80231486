/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>
#include <libavformat/avformat.h>

G_BEGIN_DECLS

/* A file that one of libavformat's muxers writes through wbfilesink.
 *
 *   AvSink *sink = av_sink_new ("film.mkv", 0, NULL, NULL, &error);
 *   av_sink_attach (sink, muxer);
 *   avformat_write_header (muxer, NULL); ... av_write_trailer (muxer);
 *   verdict = av_sink_finish (sink, &error);
 *   av_sink_free (sink);
 *
 * gst_init() has been called. One thread writes and finishes; av_sink_stop() and
 * av_sink_get_stats() may be called from any thread meanwhile. The muxer's writes
 * fail with AVERROR (EIO) when the file cannot be written (av_sink_finish says
 * why), and with AVERROR_EXIT after av_sink_stop(). */
typedef struct _AvSink AvSink;

typedef enum
{
  AV_SINK_FAILED,  /* the file is not whole */
  AV_SINK_WRITTEN, /* it is, but nobody knows whether it is on the disk */
  AV_SINK_DURABLE  /* it is on the disk, as far as that is honest */
} AvSinkVerdict;

/* A warning of the element, one line. From any thread, not for long. */
typedef void (*AvSinkTell) (const gchar *text, gpointer user_data);

/* Opens @path, which is overwritten. @size_hint: about as many bytes as will come,
 * 0 if that is not known. */
AvSink *av_sink_new (const gchar *path, guint64 size_hint, AvSinkTell tell,
    gpointer user_data, GError **error);
/* Lets @muxer write to it. What a muxer asks back, it does not get: to read its
 * own output (movflags=faststart) or to open other files fails. */
void av_sink_attach (AvSink *self, AVFormatContext *muxer);
/* The end: waits until the file is as safe as wbfilesink's sync-on-eos asks, no
 * longer than its sync-timeout allows. After av_write_trailer(), once. @error for
 * AV_SINK_FAILED. */
AvSinkVerdict av_sink_finish (AvSink *self, GError **error);
/* Gives up instead, and says why the file cannot be written; @error stays as it is
 * if it is not the file's fault. */
void av_sink_get_failure (AvSink *self, GError **error);
/* Gives up: what is queued need not be written any more. */
void av_sink_stop (AvSink *self);
/* The element's writeback-stats, also after the end. The caller owns them. */
GstStructure *av_sink_get_stats (AvSink *self);
/* Before or after the muxer is freed: it has nothing of ours any more. */
void av_sink_free (AvSink *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (AvSink, av_sink_free)

G_END_DECLS
