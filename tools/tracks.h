/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "decodetimes.h"

G_BEGIN_DECLS

/* One track of the input, as the inspection found it. */
typedef struct
{
  gchar *id;     /* the stream id, the same in every run over a file */
  GstCaps *caps; /* at its first buffer, or what it announced */
  GstTagList *tags;
  GstClockTimeDiff start; /* running time of its earliest buffer seen */
  GstClockTime shown[DECODE_TIMES_DEPTH + 1]; /* of the first buffers */
  guint n_shown;
  GstClockTime lag; /* between decoding and showing, if it has no DTS */
  GstClockTimeDiff decode_start; /* the same by DTS; G_MAXINT64: it has none */
  GstClockTime origin;   /* where its first segment begins, see track_place */
  GstClockTime duration; /* of its first buffer */
  gboolean has_dts;
  guint n_buffers; /* seen so far by the inspection */
  guint n_untimed; /* of the first of them: no time of showing */
  gboolean sparse; /* subtitles: silence is normal */
  gboolean ended;

  /* The verdict: a pad template of the muxer and, rarely, the name of an
   * element that must stand before it; or the reason why not. */
  GstPadTemplate *templ;
  const gchar *converter;
  gchar *reason;

  gboolean unwanted; /* it would fit, but another was asked for */

  gboolean is_markup; /* text in Pango's markup, which becomes plain again */

  /* Instead of caps, for what the demuxer has not shown; and what is lost of
   * what it has. */
  gchar *label;
  gchar *note;
} Track;

void track_free (Track *self);
const gchar *track_get_kind (const Track *self);
gchar *track_describe (const Track *self);
gchar *track_get_language (const Track *self);
void track_take_language (Track *self, GHashTable *languages);
void track_leave_out (Track *self);
gboolean track_lacks_decode_times (const Track *self);
void track_measure_lag (Track *self);
gboolean track_is_subtitle (GstCaps *caps);
gboolean track_is_text (GstCaps *caps);
GstClockTimeDiff track_place (
    const Track *self, const GstSegment *segment, GstClockTime ts);
GstCaps *track_get_muxed_caps (const Track *self);
void track_decide (Track *self, GstElement *muxer);

/* What the muxer takes on any of its pads, best first. */
GstCaps *muxer_get_caps (GstElement *muxer);
gboolean answer_caps_query (GstQuery *query, GstCaps *caps);

G_END_DECLS
