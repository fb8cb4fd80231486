/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which of the tracks are asked for.
 *
 * A list has languages (eng, en, deu or ger: all spellings of ISO 639 are one;
 * und for a track without), numbers (1 is the first of its kind in the input),
 * codecs (dts) and the word forced. A track is taken if any word of the list means
 * it. A list that means no track is an error before anything is written: somebody
 * would miss it only when watching.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "selection.h"

#include <gst/tag/tag.h>
#include <libavcodec/avcodec.h>
#include <string.h>

static gboolean
is_number (const gchar *word)
{
  return *word >= '1' && strspn (word, "0123456789") == strlen (word);
}

static gboolean
is_language (const gchar *word)
{
  gsize length = strlen (word);

  return (length == 2 || length == 3) && !g_str_equal (word, "all")
      && strspn (word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
      == length;
}

static gboolean
is_word (const gchar *word)
{
  return is_number (word) || is_language (word) || g_str_equal (word, "forced")
      || avcodec_descriptor_get_by_name (word);
}

static gboolean
is_meant (const gchar *word, const Track *track)
{
  const gchar *language = track_get_language (track);
  g_autofree gchar *lower = g_ascii_strdown (word, -1);

  if (is_number (word))
    return g_ascii_strtoull (word, NULL, 10) == track->number;
  if (g_str_equal (lower, "forced"))
    return track->stream->disposition & AV_DISPOSITION_FORCED;
  if (g_str_equal (lower, track_get_codec (track)))
    return TRUE;
  if (!language)
    return g_str_equal (lower, "und");
  return g_str_equal (language_normalize (lower), language);
}

static gboolean
is_in_list (gchar **list, const Track *track)
{
  for (; *list; list++) {
    if (is_meant (*list, track))
      return TRUE;
  }
  return FALSE;
}

static gboolean
check_list (const gchar *option, const gchar *text, GError **error)
{
  g_auto (GStrv) list = g_strsplit (text ? text : "all", ",", -1);
  gboolean is_good = list[0] != NULL;
  guint i;

  if (g_strcmp0 (text ? text : "all", "all") == 0
      || g_strcmp0 (text, "none") == 0)
    return TRUE;
  for (i = 0; list[i]; i++)
    is_good &= is_word (list[i]);
  if (!is_good)
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
        "--%s=%s: should be all, none, or a list of languages (eng), numbers "
        "(1), codecs (dts) and forced",
        option, text);
  return is_good;
}

/* "audio:eng,subtitles:none" */
static gboolean
check_defaults (const gchar *text, GError **error)
{
  g_auto (GStrv) list = g_strsplit (text ? text : "", ",", -1);
  gboolean is_good = !text || list[0];
  guint i;

  for (i = 0; list[i]; i++) {
    const gchar *colon = strchr (list[i], ':');

    is_good &= g_regex_match_simple ("^(video|audio|subtitles):", list[i], 0, 0)
        && (is_word (colon + 1) || g_str_equal (colon + 1, "none"));
  }
  if (!is_good)
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
        "--default=%s: should be a list of KIND:WORD, such as "
        "audio:eng,subtitles:none",
        text);
  return is_good;
}

gboolean
selection_check (const Selection *self, GError **error)
{
  return check_list ("video", self->video, error)
      && check_list ("audio", self->audio, error)
      && check_list ("subtitles", self->subtitles, error)
      && check_defaults (self->defaults, error);
}

static void
note_language (GString *languages, const Track *track)
{
  const gchar *code = track_get_language (track);

  code = code ? code : "und";
  if (!strstr (languages->str, code))
    g_string_append_printf (
        languages, "%s%s", languages->len ? ", " : "", code);
}

static gboolean
apply_to_kind (
    GPtrArray *tracks, const gchar *kind, const gchar *text, GError **error)
{
  g_auto (GStrv) list = g_strsplit (text ? text : "", ",", -1);
  gboolean is_none = g_strcmp0 (text, "none") == 0;
  g_autoptr (GString) languages = g_string_new (NULL);
  guint n = 0, n_meant = 0, i;

  if (!text || g_str_equal (text, "all"))
    return TRUE;
  for (i = 0; i < tracks->len; i++) {
    Track *track = g_ptr_array_index (tracks, i);

    if (!g_str_equal (track_get_kind (track), kind))
      continue;
    n++;
    note_language (languages, track);
    if (!is_none && is_in_list (list, track)) {
      n_meant++;
      continue;
    }
    track->unwanted = TRUE;
    track->why = "it is not asked for";
  }
  if (is_none || n_meant > 0)
    return TRUE;
  if (n == 0)
    g_set_error (
        error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "has no %s track", kind);
  else
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
        "has no %s track \"%s\" (it has %u, in %s)", kind, text, n,
        languages->str);
  return FALSE;
}

/* The first kept track that @word means has the flag, its siblings have not. */
static gboolean
set_default (GPtrArray *tracks, const gchar *kind, const gchar *word)
{
  gboolean is_found = g_str_equal (word, "none");
  guint i;

  for (i = 0; i < tracks->len; i++) {
    Track *track = g_ptr_array_index (tracks, i);

    if (!g_str_has_prefix (kind, track_get_kind (track)))
      continue;
    track->stream->disposition &= ~AV_DISPOSITION_DEFAULT;
    if (is_found || track->why || !is_meant (word, track))
      continue;
    track->stream->disposition |= AV_DISPOSITION_DEFAULT;
    is_found = TRUE;
  }
  return is_found;
}

static gboolean
apply_defaults (const Selection *self, GPtrArray *tracks, GError **error)
{
  g_auto (GStrv) list =
      g_strsplit (self->defaults ? self->defaults : "", ",", -1);
  guint i;

  for (i = 0; list[i]; i++) {
    gchar *colon = strchr (list[i], ':');

    *colon = '\0';
    if (set_default (tracks, list[i], colon + 1))
      continue;
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
        "has no %s track \"%s\" to be the default", list[i], colon + 1);
    return FALSE;
  }
  return TRUE;
}

gboolean
selection_apply (const Selection *self, GPtrArray *tracks, GError **error)
{
  return apply_to_kind (tracks, "video", self->video, error)
      && apply_to_kind (tracks, "audio", self->audio, error)
      && apply_to_kind (tracks, "subtitle", self->subtitles, error)
      && apply_defaults (self, tracks, error);
}

void
selection_clear (Selection *self)
{
  g_clear_pointer (&self->video, g_free);
  g_clear_pointer (&self->audio, g_free);
  g_clear_pointer (&self->subtitles, g_free);
  g_clear_pointer (&self->defaults, g_free);
}
