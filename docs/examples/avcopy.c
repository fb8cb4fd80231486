/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * FFmpeg's libraries in front of wbfilesink: any application that muxes with
 * libavformat gets a bounded, durable file through the bridge avsink.c.
 *
 *   cc avcopy.c avsink.c -o avcopy \
 *     $(pkg-config --cflags --libs gstreamer-1.0 libavformat libavcodec libavutil)
 *   avcopy INPUT OUTPUT
 *
 * Copies the tracks of INPUT as `ffmpeg -c copy` would. wbremux, which is made the
 * same way, takes more care of what is in the tracks.
 *
 * Exit status: 0 the file is durable, 1 an error, 2 usage, 3 it is written and not
 * known to be on the disk.
 */
#include "avsink.h"

#include <libavcodec/avcodec.h>

static int
complain (const gchar *name, const gchar *text)
{
  g_printerr ("avcopy: %s: %s\n", name, text);
  return 1;
}

static int
complain_of_code (const gchar *name, int code)
{
  gchar text[AV_ERROR_MAX_STRING_SIZE];

  av_strerror (code, text, sizeof (text));
  return complain (name, text);
}

static int
open_input (const gchar *name, AVFormatContext **input)
{
  int code = avformat_open_input (input, name, NULL, NULL);

  return code < 0 ? code : avformat_find_stream_info (*input, NULL);
}

static int
open_output (
    const gchar *name, AVFormatContext *input, AVFormatContext **output)
{
  int code = avformat_alloc_output_context2 (output, NULL, NULL, name);
  guint i;

  for (i = 0; code >= 0 && i < input->nb_streams; i++) {
    AVStream *stream = avformat_new_stream (*output, NULL);

    code =
        avcodec_parameters_copy (stream->codecpar, input->streams[i]->codecpar);
    stream->codecpar->codec_tag = 0;
    stream->time_base = input->streams[i]->time_base;
  }
  return code;
}

/* Reads, writes, and ends as with any AVIOContext. */
static int
copy (AVFormatContext *input, AVFormatContext *output)
{
  AVPacket *packet = av_packet_alloc ();
  int code = avformat_write_header (output, NULL);

  while (code >= 0 && (code = av_read_frame (input, packet)) >= 0) {
    av_packet_rescale_ts (packet,
        input->streams[packet->stream_index]->time_base,
        output->streams[packet->stream_index]->time_base);
    packet->pos = -1;
    code = av_interleaved_write_frame (output, packet);
  }
  av_packet_free (&packet);
  return code == AVERROR_EOF ? av_write_trailer (output) : code;
}

/* What the file's end has shown. */
static int
finish (AvSink *sink, const gchar *name)
{
  g_autoptr (GError) error = NULL;

  switch (av_sink_finish (sink, &error)) {
    case AV_SINK_DURABLE:
      g_print ("%s: durable\n", name);
      return 0;
    case AV_SINK_WRITTEN:
      complain (name, "written, but not known to be on the disk");
      return 3;
    default:
      return complain (name, error->message);
  }
}

static void
warn (const gchar *text, gpointer user_data)
{
  complain (user_data, text);
}

int
main (int argc, char **argv)
{
  AVFormatContext *input = NULL, *output = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (AvSink) sink = NULL;
  int code, status;

  gst_init (&argc, &argv);
  if (argc != 3) {
    g_printerr ("usage: avcopy INPUT OUTPUT\n");
    return 2;
  }
  if ((code = open_input (argv[1], &input)) < 0)
    return complain_of_code (argv[1], code);
  if ((code = open_output (argv[2], input, &output)) < 0)
    return complain_of_code (argv[2], code);
  /* The size need not be exact: it is how much space is reserved ahead. */
  sink = av_sink_new (argv[2], avio_size (input->pb), warn, argv[2], &error);
  if (!sink)
    return complain (argv[2], error->message);
  av_sink_attach (sink, output);
  code = copy (input, output);
  /* After an error the sink may know more than the muxer. */
  status = code < 0 ? complain_of_code (argv[2], code) : finish (sink, argv[2]);
  avformat_free_context (output);
  avformat_close_input (&input);
  return status;
}
