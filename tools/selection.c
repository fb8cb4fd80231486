/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which of the tracks that fit are asked for.
 *
 * A list has languages (eng, en, deu or ger: all spellings of ISO 639 are one;
 * und for a track without) and numbers (1 is the first of its kind in the input).
 * A track is taken if any word of the list means it. A list that means no track
 * is an error before anything is written: somebody would miss it only when
 * watching.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "selection.h"

#include <gst/tag/tag.h>
#include <string.h>

static gboolean
is_number (const gchar *word)
{
  return *word && strspn (word, "0123456789") == strlen (word);
}

/* One spelling for a language. */
static const gchar *
normalize (const gchar *language)
{
  const gchar *code = gst_tag_get_language_code_iso_639_2T (language);

  return code ? code : language;
}

static gboolean
is_meant (const gchar *word, guint number, const gchar *language)
{
  g_autofree gchar *lower = g_ascii_strdown (word, -1);

  if (is_number (word))
    return g_ascii_strtoull (word, NULL, 10) == number;
  if (!language)
    return g_str_equal (lower, "und");
  return g_str_equal (normalize (lower), normalize (language));
}

static gboolean
is_in_list (gchar **list, guint number, const gchar *language)
{
  for (; *list; list++) {
    if (is_meant (*list, number, language))
      return TRUE;
  }
  return FALSE;
}

static gboolean
is_language (const gchar *word)
{
  gsize length = strlen (word), i;

  for (i = 0; i < length; i++) {
    if (!g_ascii_isalpha (word[i]))
      return FALSE;
  }
  return length == 2 || (length == 3 && !g_str_equal (word, "all"));
}

static gboolean
check_list (const gchar *option, const gchar *text, GError **error)
{
  g_auto (GStrv) list = g_strsplit (text ? text : "all", ",", -1);
  gboolean is_good = list[0] != NULL;
  guint i;

  if (g_str_equal (text ? text : "all", "all") || g_str_equal (text, "none"))
    return TRUE;
  for (i = 0; list[i]; i++)
    is_good &=
        is_language (list[i]) || (is_number (list[i]) && list[i][0] != '0');
  if (!is_good)
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
        "--%s=%s: should be all, none, or a list of languages (eng) and "
        "numbers (1)",
        option, text);
  return is_good;
}

/* Whether the lists can be understood. */
gboolean
selection_check (const Selection *self, GError **error)
{
  return check_list ("video", self->video, error)
      && check_list ("audio", self->audio, error)
      && check_list ("subtitles", self->subtitles, error);
}

static void
note_language (GString *languages, const gchar *language)
{
  const gchar *code = language ? normalize (language) : "und";

  if (!strstr (languages->str, code))
    g_string_append_printf (
        languages, "%s%s", languages->len ? ", " : "", code);
}

static gboolean
apply_to_kind (Inspection *inspection, const gchar *kind, const gchar *text,
    GError **error)
{
  g_auto (GStrv) list = g_strsplit (text ? text : "", ",", -1);
  gboolean is_none = g_strcmp0 (text, "none") == 0;
  g_autoptr (GString) languages = g_string_new (NULL);
  guint number = 0, n_meant = 0, i;

  if (!text || g_str_equal (text, "all"))
    return TRUE;
  for (i = 0; i < inspection->tracks->len; i++) {
    Track *track = g_ptr_array_index (inspection->tracks, i);
    g_autofree gchar *language = track_get_language (track);

    if (!g_str_equal (track_get_kind (track), kind))
      continue;
    number++;
    note_language (languages, language);
    if (!is_none && is_in_list (list, number, language))
      n_meant++;
    else
      track_leave_out (track);
  }
  if (is_none || n_meant > 0)
    return TRUE;
  if (number == 0)
    g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED,
        "has no %s track", kind);
  else
    g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED,
        "has no %s track \"%s\" (it has %u, in %s)", kind, text, number,
        languages->str);
  return FALSE;
}

/* Takes what is not asked for out of what @inspection keeps. */
gboolean
selection_apply (const Selection *self, Inspection *inspection, GError **error)
{
  if (!apply_to_kind (inspection, "video", self->video, error)
      || !apply_to_kind (inspection, "audio", self->audio, error)
      || !apply_to_kind (inspection, "subtitle", self->subtitles, error))
    return FALSE;
  inspection_count_kept (inspection);
  return TRUE;
}

void
selection_clear (Selection *self)
{
  g_clear_pointer (&self->video, g_free);
  g_clear_pointer (&self->audio, g_free);
  g_clear_pointer (&self->subtitles, g_free);
}
