/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A Blu-ray, as libbluray reads it.
 *
 * A title is a playlist: clips in order, each from its IN to its OUT time, and
 * each with a clock of its own. libbluray reads from the entry point before IN to
 * the one behind OUT; where a clip begins in what was read is known from the event
 * that comes with the first read of it, since a read never crosses a clip's end.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "disc-private.h"

#include <libbluray/bluray.h>
#include <libbluray/log_control.h>
#include <string.h>

#define CLOCK 90000

typedef struct
{
  BLURAY *bd;
  Disc *disc;
  gchar *root;             /* the folder, or NULL: an image or a drive */
  BLURAY_TITLE_INFO *info; /* of what is read */
  gint64 begin;            /* 90 kHz of the title */
  gint64 end;
  gint64 end_position; /* bytes of the title; G_MAXINT64: its end */
} Bluray;

static void
no_log (const char *text)
{
}

static void
bluray_close (gpointer data)
{
  Bluray *self = data;

  if (self->info)
    bd_free_title_info (self->info);
  if (self->bd)
    bd_close (self->bd);
  g_free (self->root);
  g_free (self);
}

/* The folder that BDMV is in, for any folder of a disc. */
static gchar *
find_root (const gchar *path)
{
  gchar *root = g_canonicalize_filename (path, NULL);

  while (g_regex_match_simple ("/BDMV(/|$)", root, G_REGEX_CASELESS, 0)) {
    gchar *parent = g_path_get_dirname (root);

    g_free (root);
    root = parent;
  }
  return root;
}

/* One line, and what would help. */
static gboolean
check_encryption (const BLURAY_DISC_INFO *info, GError **error)
{
  const gchar *text = NULL;

  if (info->aacs_detected && !info->libaacs_detected)
    text = "is encrypted (AACS), and libaacs is not on this machine";
  else if (info->aacs_detected && !info->aacs_handled)
    text = "is encrypted (AACS), and libaacs has no key for it";
  else if (info->bdplus_detected && !info->libbdplus_detected)
    text = "is protected (BD+), and libbdplus is not on this machine";
  else if (info->bdplus_detected && !info->bdplus_handled)
    text = "is protected (BD+), and libbdplus cannot open it";
  if (text)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, text);
  return !text;
}

/* --- titles ------------------------------------------------------------------------ */

static const struct
{
  gint type;
  enum AVCodecID codec;
} codecs[] = {
  { BLURAY_STREAM_TYPE_VIDEO_MPEG1, AV_CODEC_ID_MPEG1VIDEO },
  { BLURAY_STREAM_TYPE_VIDEO_MPEG2, AV_CODEC_ID_MPEG2VIDEO },
  { BLURAY_STREAM_TYPE_VIDEO_VC1, AV_CODEC_ID_VC1 },
  { BLURAY_STREAM_TYPE_VIDEO_H264, AV_CODEC_ID_H264 },
  { 0x24, AV_CODEC_ID_HEVC },
  { BLURAY_STREAM_TYPE_AUDIO_MPEG1, AV_CODEC_ID_MP2 },
  { BLURAY_STREAM_TYPE_AUDIO_MPEG2, AV_CODEC_ID_MP2 },
  { BLURAY_STREAM_TYPE_AUDIO_LPCM, AV_CODEC_ID_PCM_BLURAY },
  { BLURAY_STREAM_TYPE_AUDIO_AC3, AV_CODEC_ID_AC3 },
  { BLURAY_STREAM_TYPE_AUDIO_DTS, AV_CODEC_ID_DTS },
  { BLURAY_STREAM_TYPE_AUDIO_TRUHD, AV_CODEC_ID_TRUEHD },
  { BLURAY_STREAM_TYPE_AUDIO_AC3PLUS, AV_CODEC_ID_EAC3 },
  { BLURAY_STREAM_TYPE_AUDIO_AC3PLUS_SECONDARY, AV_CODEC_ID_EAC3 },
  { BLURAY_STREAM_TYPE_AUDIO_DTSHD, AV_CODEC_ID_DTS },
  { BLURAY_STREAM_TYPE_AUDIO_DTSHD_MASTER, AV_CODEC_ID_DTS },
  { BLURAY_STREAM_TYPE_AUDIO_DTSHD_SECONDARY, AV_CODEC_ID_DTS },
  { BLURAY_STREAM_TYPE_SUB_PG, AV_CODEC_ID_HDMV_PGS_SUBTITLE },
  { BLURAY_STREAM_TYPE_SUB_TEXT, AV_CODEC_ID_HDMV_TEXT_SUBTITLE },
};

static void
add_streams (DiscTitle *title, gint kind, const BLURAY_STREAM_INFO *streams,
    guint n, gint disposition)
{
  guint i, j;

  for (i = 0; i < n; i++) {
    enum AVCodecID codec = AV_CODEC_ID_NONE;
    DiscTrack *track;

    for (j = 0; j < G_N_ELEMENTS (codecs); j++) {
      if (codecs[j].type == streams[i].coding_type)
        codec = codecs[j].codec;
    }
    track = disc_title_add_track (title, kind, streams[i].pid, codec);
    memcpy (track->language, streams[i].lang, 3);
    track->disposition = disposition;
    if (kind == AVMEDIA_TYPE_AUDIO)
      track->channels = streams[i].format == BLURAY_AUDIO_FORMAT_MONO ? 1
          : streams[i].format == BLURAY_AUDIO_FORMAT_STEREO           ? 2
                                                                      : 0;
  }
}

static void
add_clip_streams (DiscTitle *title, const BLURAY_CLIP_INFO *clip)
{
  add_streams (title, AVMEDIA_TYPE_VIDEO, clip->video_streams,
      clip->video_stream_count, 0);
  add_streams (title, AVMEDIA_TYPE_AUDIO, clip->audio_streams,
      clip->audio_stream_count, 0);
  add_streams (
      title, AVMEDIA_TYPE_SUBTITLE, clip->pg_streams, clip->pg_stream_count, 0);
  add_streams (title, AVMEDIA_TYPE_VIDEO, clip->sec_video_streams,
      clip->sec_video_stream_count, 0);
  add_streams (title, AVMEDIA_TYPE_AUDIO, clip->sec_audio_streams,
      clip->sec_audio_stream_count, AV_DISPOSITION_COMMENT);
}

/* In a folder a clip may be missing, as of a playlist that leads nowhere. */
static gboolean
is_whole (const Bluray *self, const BLURAY_TITLE_INFO *info)
{
  guint i;

  for (i = 0; i < info->clip_count; i++) {
    g_autofree gchar *name =
        g_strdup_printf ("%.5s.m2ts", info->clips[i].clip_id);
    g_autofree gchar *path = g_build_filename (
        self->root ? self->root : "", "BDMV", "STREAM", name, NULL);

    if (info->clips[i].pkt_count == 0
        || (self->root && !g_file_test (path, G_FILE_TEST_IS_REGULAR)))
      return FALSE;
  }
  return info->clip_count > 0;
}

static void
add_title (Bluray *self, guint index)
{
  BLURAY_TITLE_INFO *info = bd_get_title_info (self->bd, index, 0);
  DiscTitle *title;
  guint i;

  if (!info)
    return;
  if (is_whole (self, info)) {
    title = disc_title_new (
        index + 1, g_strdup_printf ("%05u.mpls", info->playlist));
    title->duration = av_rescale (info->duration, AV_TIME_BASE, CLOCK);
    title->n_angles = MAX (info->angle_count, 1);
    for (i = 0; i < info->chapter_count; i++) {
      gint64 begin = av_rescale (info->chapters[i].start, AV_TIME_BASE, CLOCK);

      g_array_append_val (title->chapters, begin);
    }
    for (i = 0; i < info->clip_count; i++)
      title->size += (guint64) info->clips[i].pkt_count * 192;
    add_clip_streams (title, &info->clips[0]);
    g_ptr_array_add (self->disc->titles, title);
  }
  bd_free_title_info (info);
}

/* libbluray's guess if that can be read, else the longest. */
static void
choose_main (Bluray *self)
{
  gint guess = bd_get_main_title (self->bd);
  DiscTitle *main = NULL;
  guint i;

  for (i = 0; i < self->disc->titles->len; i++) {
    DiscTitle *title = g_ptr_array_index (self->disc->titles, i);

    if ((gint) title->number == guess + 1) {
      main = title;
      break;
    }
    if (!main || title->duration > main->duration)
      main = title;
  }
  if (main)
    main->is_main = TRUE;
}

static gpointer
bluray_open (const gchar *path, Disc *disc, GError **error)
{
  Bluray *self = g_new0 (Bluray, 1);
  const BLURAY_DISC_INFO *info;
  guint n, i;

  self->disc = disc;
  if (g_file_test (path, G_FILE_TEST_IS_DIR))
    self->root = find_root (path);
  bd_set_debug_handler (no_log);
  self->bd = bd_open (self->root ? self->root : path, NULL);
  info = self->bd ? bd_get_disc_info (self->bd) : NULL;
  if (!info || !info->bluray_detected || !check_encryption (info, error)) {
    if (self->root && !*error)
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_FAILED,
          "libbluray finds no Blu-ray in it");
    bluray_close (self);
    return NULL;
  }
  bd_get_event (self->bd, NULL);
  n = bd_get_titles (self->bd, TITLES_RELEVANT, 0);
  for (i = 0; i < n; i++)
    add_title (self, i);
  choose_main (self);
  return self;
}

/* --- reading ------------------------------------------------------------------------ */

static gboolean
bluray_start (gpointer data, const DiscTitle *title, guint angle, guint first,
    guint last, GError **error)
{
  Bluray *self = data;
  guint n = title->chapters->len;
  gboolean is_good = bd_select_title (self->bd, title->number - 1)
      && (angle == 1 || bd_select_angle (self->bd, angle - 1));

  if (self->info)
    bd_free_title_info (self->info);
  self->info = bd_get_title_info (self->bd, title->number - 1, angle - 1);
  self->begin = G_MININT64;
  self->end = self->end_position = G_MAXINT64;
  if (is_good && self->info && first > 1) {
    self->begin = self->info->chapters[first - 1].start;
    is_good = bd_seek_chapter (self->bd, first - 1) >= 0;
  }
  if (is_good && self->info && last < n) {
    self->end = self->info->chapters[last].start;
    self->end_position = bd_chapter_pos (self->bd, last);
  }
  if (is_good && self->info)
    return TRUE;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED,
      "libbluray cannot begin title %u (%s)", title->number, title->name);
  return FALSE;
}

/* From here on it is clip @n. */
static void
enter_clip (Bluray *self, guint n)
{
  const BLURAY_CLIP_INFO *clip;
  gint64 begin, end;

  if (n >= self->info->clip_count)
    return;
  clip = &self->info->clips[n];
  begin = clip->start_time;
  end = begin + (clip->out_time - clip->in_time);
  disc_add_part (self->disc, begin - (gint64) clip->in_time,
      MAX (begin, self->begin), MIN (end, self->end));
}

static gint
take_events (Bluray *self)
{
  BD_EVENT event;
  gint result = 0;

  while (bd_get_event (self->bd, &event)) {
    if (event.event == BD_EVENT_PLAYITEM)
      enter_clip (self, event.param);
    else if (event.event == BD_EVENT_ENCRYPTED)
      result = AVERROR (EACCES);
    else if (event.event == BD_EVENT_READ_ERROR
        || event.event == BD_EVENT_ERROR)
      result = AVERROR (EIO);
  }
  return result;
}

static gint
bluray_read (gpointer data, guint8 *to, gint size)
{
  Bluray *self = data;
  gint got, failed;

  if ((gint64) bd_tell (self->bd) >= self->end_position)
    return 0;
  got = bd_read (self->bd, to, size / 192 * 192);
  failed = take_events (self);
  if (got < 0 || (got == 0 && failed < 0))
    return failed < 0 ? failed : AVERROR (EIO);
  return got;
}

const DiscReader disc_bluray_reader = { "mpegts", bluray_open, bluray_start,
  bluray_read, bluray_close };
