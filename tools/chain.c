/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How an input follows another one in the same file.
 *
 * Tracks: a track goes on in the one of the same kind and format; of several, in
 * the one of the same number (PID), else of the same language, else in the first
 * one. Where a format has its set-up outside the stream (AAC, Vorbis, FLAC...),
 * the set-ups must be the same; H.264 and H.265 may carry theirs within.
 *
 * Times: tracks do not end together; sound mostly ends within a frame of the
 * picture, on either side. The picture goes on without a gap, because a gap would
 * be seen, and sound keeps its place beside it, so that nothing adds up over many
 * inputs: a frame of sound may overlap another by less than its length, as on
 * discs. Where a track would go back by more, everything moves on by as much.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "chain.h"

#include <string.h>

/* --- tracks --------------------------------------------------------------------- */

static const GValue *
get_set_up (const GstStructure *s)
{
  const GValue *value = gst_structure_get_value (s, "codec_data");

  return value ? value : gst_structure_get_value (s, "streamheader");
}

static gboolean
is_same_set_up (const GstStructure *a, const GstStructure *b)
{
  const GValue *x = get_set_up (a);
  const GValue *y = get_set_up (b);

  if (gst_structure_has_name (a, "video/x-h264")
      || gst_structure_has_name (a, "video/x-h265"))
    return TRUE;
  return (!x && !y) || (x && y && gst_value_compare (x, y) == GST_VALUE_EQUAL);
}

static gboolean
is_same_number (
    const GstStructure *a, const GstStructure *b, const gchar *field)
{
  gint x = 0, y = 0;

  gst_structure_get_int (a, field, &x);
  gst_structure_get_int (b, field, &y);
  return x == y;
}

static gboolean
can_follow (const Track *first, const Track *next)
{
  const GstStructure *a, *b;

  if (!next->templ || first->sparse != next->sparse || !first->caps
      || !next->caps)
    return FALSE;
  a = gst_caps_get_structure (first->caps, 0);
  b = gst_caps_get_structure (next->caps, 0);
  return gst_structure_has_name (b, gst_structure_get_name (a))
      && g_strcmp0 (first->converter, next->converter) == 0
      && is_same_number (a, b, "mpegversion") && is_same_set_up (a, b)
      && (!get_set_up (a)
          || (is_same_number (a, b, "channels")
              && is_same_number (a, b, "rate")));
}

static const gchar *
get_number (const Track *self)
{
  const gchar *slash = self->id ? strrchr (self->id, '/') : NULL;

  return slash ? slash : "";
}

/* The higher, the better. */
static guint
get_likeness (const Track *first, const Track *next)
{
  g_autofree gchar *a = track_get_language (first);
  g_autofree gchar *b = track_get_language (next);

  return (g_str_equal (get_number (first), get_number (next)) ? 2 : 0)
      + (g_strcmp0 (a, b) == 0 ? 1 : 0);
}

static Track *
find_next (const Track *first, Inspection *next, GPtrArray *taken)
{
  Track *best = NULL;
  guint best_likeness = 0, i;

  for (i = 0; i < next->tracks->len; i++) {
    Track *track = g_ptr_array_index (next->tracks, i);
    guint likeness;

    if (!can_follow (first, track) || g_ptr_array_find (taken, track, NULL))
      continue;
    likeness = get_likeness (first, track);
    if (!best || likeness > best_likeness) {
      best = track;
      best_likeness = likeness;
    }
  }
  return best;
}

GPtrArray *
chain_match (Inspection *first, Inspection *next, GError **error)
{
  g_autoptr (GPtrArray) matches = g_ptr_array_new ();
  guint n_matched = 0, i;

  for (i = 0; i < first->tracks->len; i++) {
    const Track *track = g_ptr_array_index (first->tracks, i);
    Track *match;

    if (!track->templ)
      continue;
    match = find_next (track, next, matches);
    g_ptr_array_add (matches, match);
    if (match) {
      n_matched++;
      continue;
    }
    /* A picture that stops while the sound goes on is no film. */
    if (g_str_equal (track_get_kind (track), "video")) {
      g_autofree gchar *text = track_describe (track);

      g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE,
          "has nothing that goes on the first input's track: %s", text);
      return NULL;
    }
  }
  if (n_matched == 0) {
    g_set_error_literal (error, GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE,
        "has none of the first input's tracks");
    return NULL;
  }
  return g_steal_pointer (&matches);
}

/* --- times ---------------------------------------------------------------------- */

static gboolean
is_known (const ChainEnd *end)
{
  return end->track && end->track->start != G_MAXINT64
      && GST_CLOCK_TIME_IS_VALID (end->end);
}

/* The track that the others keep their place beside: the first video, or the one
 * that ends last. */
static const ChainEnd *
find_leader (const ChainEnd *ends, guint n)
{
  const ChainEnd *last = NULL;
  guint i;

  for (i = 0; i < n; i++) {
    if (!is_known (&ends[i]) || ends[i].track->sparse)
      continue;
    if (g_str_equal (track_get_kind (ends[i].track), "video"))
      return &ends[i];
    if (!last || ends[i].end > last->end)
      last = &ends[i];
  }
  return last;
}

/* What is added to a running time of @next to have it on the output's timeline,
 * where the tracks so far ended at @ends. */
GstClockTimeDiff
chain_get_shift (const Inspection *next, const ChainEnd *ends, guint n)
{
  const ChainEnd *leader = find_leader (ends, n);
  GstClockTime latest = 0;
  GstClockTimeDiff shift;
  guint i;

  for (i = 0; i < n; i++) {
    if (GST_CLOCK_TIME_IS_VALID (ends[i].end))
      latest = MAX (latest, ends[i].end);
  }
  if (!leader)
    return (GstClockTimeDiff) latest - next->start;

  shift = (GstClockTimeDiff) leader->end - leader->track->start;
  for (i = 0; i < n; i++) {
    GstClockTimeDiff overlap;

    if (!is_known (&ends[i]) || ends[i].track->sparse)
      continue;
    overlap = (GstClockTimeDiff) ends[i].end - (ends[i].track->start + shift);
    if (overlap >= (GstClockTimeDiff) ends[i].duration)
      shift += overlap;
  }
  return shift;
}
