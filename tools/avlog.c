/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What libavformat says while it works.
 *
 * Its error codes are few ("Invalid data found when processing input"); what it
 * prints tells more, but would tear our lines and JSON. The last complaint is kept
 * for the message of the call that failed; AV_LOG_FORCE_NOCOLOR has no say. With
 * WBREMUX_LOG in the environment all of it is printed, for whoever looks for a
 * fault.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "avlog.h"

#include <libavutil/error.h>
#include <libavutil/log.h>
#include <stdio.h>
#include <string.h>

static GMutex lock;
static gchar *last;
static GString *unknown; /* a line for each codec that was not known */

static void G_GNUC_PRINTF (1, 0) note_unknown (const char *format, va_list args)
{
  g_mutex_lock (&lock);
  if (!unknown)
    unknown = g_string_new (NULL);
  g_string_append_vprintf (unknown, format, args);
  g_mutex_unlock (&lock);
}

static void keep_line (void *context, int level, const char *format,
    va_list args) G_GNUC_PRINTF (3, 0);

static void
keep_line (void *context, int level, const char *format, va_list args)
{
  gchar text[512];

  if (level > AV_LOG_ERROR && strstr (format, "unsupported AVCodecID"))
    note_unknown (format, args);
  if (level > AV_LOG_ERROR)
    return;
  vsnprintf (text, sizeof (text), format, args);
  g_strdelimit (g_strchomp (text), "\r\n", ' ');
  if (!*text)
    return;
  g_mutex_lock (&lock);
  g_free (last);
  last = g_utf8_make_valid (text, -1);
  g_mutex_unlock (&lock);
}

void
av_log_keep (void)
{
  if (!g_getenv ("WBREMUX_LOG"))
    av_log_set_callback (keep_line);
}

gchar *
av_log_take (void)
{
  gchar *text;

  g_mutex_lock (&lock);
  text = g_steal_pointer (&last);
  g_mutex_unlock (&lock);
  return text;
}

guint
av_log_take_unknown (const gchar *codec)
{
  const gchar *p;
  guint n = 0;

  g_mutex_lock (&lock);
  for (p = unknown ? unknown->str : ""; (p = strstr (p, codec)); p++)
    n++;
  if (unknown)
    g_string_truncate (unknown, 0);
  g_mutex_unlock (&lock);
  return n;
}

gchar *
av_log_describe (gint code)
{
  gchar words[AV_ERROR_MAX_STRING_SIZE];
  gchar *text = av_log_take ();

  if (text && code != AVERROR_EXIT)
    return text;
  g_free (text);
  av_strerror (code, words, sizeof (words));
  return g_strdup (words);
}
