/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * --list: what an input has.
 *
 * A disc's titles are as its tables have them; one that is asked for, and a file,
 * is opened, and its tracks are as libavformat finds them.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "list.h"

#include <libavcodec/avcodec.h>

gchar *
list_describe_title (const DiscTitle *title)
{
  guint64 seconds = title->duration / G_USEC_PER_SEC;
  GString *text = g_string_new (NULL);

  g_string_append_printf (text, "title %u (%s), %u:%02u:%02u, %u chapter%s",
      title->number, title->name, (guint) (seconds / 3600),
      (guint) (seconds / 60 % 60), (guint) (seconds % 60), title->chapters->len,
      title->chapters->len == 1 ? "" : "s");
  if (title->n_angles > 1)
    g_string_append_printf (text, ", %u angles", title->n_angles);
  return g_string_free (text, FALSE);
}

static gchar *
describe_disc_track (const DiscTrack *track)
{
  const gchar *kind = av_get_media_type_string (track->kind);
  GString *text = g_string_new (kind);

  g_string_append_printf (text, ": %s", avcodec_get_name (track->codec));
  if (track->channels > 0)
    g_string_append_printf (text, ", %d channels", track->channels);
  if (*track->language)
    g_string_append_printf (text, ", %s", track->language);
  if (track->name)
    g_string_append_printf (text, ", %s", track->name);
  if (track->disposition & AV_DISPOSITION_FORCED)
    g_string_append (text, ", forced");
  if (track->disposition & AV_DISPOSITION_COMMENT)
    g_string_append (text, ", commentary");
  if (track->disposition & AV_DISPOSITION_HEARING_IMPAIRED)
    g_string_append (text, ", hearing impaired");
  return g_string_free (text, FALSE);
}

static void
list_titles (const Input *input, Report *report)
{
  GPtrArray *titles = disc_get_titles (input->disc);
  guint i, j;

  for (i = 0; i < titles->len; i++) {
    const DiscTitle *title = g_ptr_array_index (titles, i);
    g_autofree gchar *text = list_describe_title (title);

    report_title (report, title->number, title->name, text, title->duration,
        title->chapters->len, title->n_angles, title->is_main);
    for (j = 0; j < title->tracks->len; j++) {
      const DiscTrack *track = g_ptr_array_index (title->tracks, j);
      g_autofree gchar *about = describe_disc_track (track);

      report_title_track (report, title->number, about, track->id,
          av_get_media_type_string (track->kind),
          avcodec_get_name (track->codec),
          *track->language ? track->language : NULL);
    }
  }
}

static gboolean
list_file (Input *input, const SourceOptions *options, Guard *guard,
    Report *report, GError **error)
{
  g_autoptr (Source) source = source_open (input, options, guard, error);
  gint64 duration;
  guint i;

  if (!source)
    return FALSE;
  duration = MAX (source_get_duration (source), 0);
  report_title (report, 1, input->name, NULL, duration,
      source_get_format (source)->nb_chapters, 1, TRUE);
  for (i = 0; i < source_get_tracks (source)->len; i++) {
    const Track *track = g_ptr_array_index (source_get_tracks (source), i);
    g_autofree gchar *text = track_describe (track);

    report_title_track (report, 1, text, track->stream->id,
        track_get_kind (track), track_get_codec (track),
        track_get_language (track));
  }
  return TRUE;
}

gboolean
list_inputs (GPtrArray *inputs, const SourceOptions *options, Guard *guard,
    Report *report, GError **error)
{
  guint i;

  for (i = 0; i < inputs->len; i++) {
    Input *input = g_ptr_array_index (inputs, i);

    if (input->disc)
      list_titles (input, report);
    else if (!list_file (input, options, guard, report, error))
      return FALSE;
  }
  return TRUE;
}
