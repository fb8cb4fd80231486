/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A first look at the input: which tracks it has, in which format, and when it
 * begins.
 *
 * Problem: a muxer writes its list of tracks before the first byte of data, and
 * waits for the first data of every track that it was promised. A transport
 * stream may announce a track that begins an hour later, or never.
 *
 * Strategy: read the input through the same demuxer and parsers as the run
 * will, with nothing behind them, until every track has shown some data. That
 * is a few MB for a sane file. Where a track is silent it is the whole file:
 * the price of knowing, paid once and only there.
 * Subtitles are not waited for; their format is known without data.
 *
 * Threads: the probes run in the streaming thread, under Look.lock.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "dvdstreams.h"
#include "inspect.h"
#include "muxers.h"

#include <gst/base/gstbaseparse.h>

/* Frames come in decoding order, so the earliest is not the first. H.264
 * reorders over 16 frames at most. */
#define ENOUGH_BUFFERS 17

typedef struct
{
  GMutex lock;
  Inspection *result;
  GstElement *pipeline;
  GstCaps *muxer_caps;
  guint n_demuxers; /* that may show more pads yet */
  gboolean posted;
} Look;

typedef struct
{
  Look *look;
  Track *track;
  GstSegment segment;
} Watched;

static gboolean
is_settled (const Track *track)
{
  return track->sparse || track->ended || track->n_buffers >= ENOUGH_BUFFERS;
}

/* Called with the lock held, from the first data on. parsebin shows the pads
 * that there are before it lets data pass; a program stream's demuxer finds more
 * as it reads, and flvdemux may end without having said that there are no more. */
static void
check_settled (Look *look)
{
  gboolean all_settled = TRUE, all_ended = TRUE;
  guint i;

  for (i = 0; i < look->result->tracks->len; i++) {
    const Track *track = g_ptr_array_index (look->result->tracks, i);

    all_settled &= is_settled (track);
    all_ended &= track->ended;
  }
  if (look->posted || !(all_ended || (all_settled && look->n_demuxers == 0)))
    return;
  look->posted = TRUE;
  gst_element_post_message (look->pipeline,
      gst_message_new_application (
          GST_OBJECT (look->pipeline), gst_structure_new_empty ("settled")));
}

static void
note_buffer (Watched *self, GstPad *pad, GstBuffer *buffer)
{
  Track *track = self->track;
  GstClockTimeDiff position =
      track_place (track, &self->segment, GST_BUFFER_PTS (buffer));

  if (track->n_buffers++ == 0) {
    g_autoptr (GstCaps) caps = gst_pad_get_current_caps (pad);

    gst_caps_replace (&track->caps, caps);
    track->duration = GST_BUFFER_DURATION (buffer);
    track->has_dts = GST_BUFFER_DTS_IS_VALID (buffer);
  }
  if (position != GST_CLOCK_STIME_NONE) {
    track->start = MIN (track->start, position);
    if (track->n_shown < G_N_ELEMENTS (track->shown))
      track->shown[track->n_shown++] = GST_BUFFER_PTS (buffer);
  }
  if (!GST_BUFFER_PTS_IS_VALID (buffer) && track->n_buffers <= ENOUGH_BUFFERS)
    track->n_untimed++;
  position = track_place (track, &self->segment, GST_BUFFER_DTS (buffer));
  if (position != GST_CLOCK_STIME_NONE)
    track->decode_start = MIN (track->decode_start, position);
}

/* See track_place. */
static void
note_segment (Watched *self, GstEvent *event)
{
  Track *track = self->track;

  gst_event_copy_segment (event, &self->segment);
  if (self->segment.format != GST_FORMAT_TIME || self->segment.base != 0)
    return;
  if (GST_CLOCK_TIME_IS_VALID (track->origin) && track->start != G_MAXINT64) {
    track->start += GST_CLOCK_DIFF (self->segment.start, track->origin);
    if (track->decode_start != G_MAXINT64)
      track->decode_start +=
          GST_CLOCK_DIFF (self->segment.start, track->origin);
  }
  track->origin = self->segment.start;
}

static void
note_event (Watched *self, GstEvent *event)
{
  Track *track = self->track;
  GstTagList *tags;
  GstCaps *caps;

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_SEGMENT:
      note_segment (self, event);
      break;
    case GST_EVENT_CAPS:
      gst_event_parse_caps (event, &caps);
      if (track->n_buffers == 0)
        gst_caps_replace (&track->caps, caps);
      track->sparse |= track_is_subtitle (caps);
      break;
    case GST_EVENT_TAG:
      gst_event_parse_tag (event, &tags);
      if (gst_tag_list_get_scope (tags) == GST_TAG_SCOPE_STREAM) {
        GstTagList *merged =
            gst_tag_list_merge (tags, track->tags, GST_TAG_MERGE_KEEP);
        gst_clear_tag_list (&track->tags);
        track->tags = merged;
      }
      break;
    case GST_EVENT_TOC:
      if (!self->look->result->toc)
        gst_event_parse_toc (event, &self->look->result->toc, NULL);
      break;
    case GST_EVENT_EOS:
      track->ended = TRUE;
      break;
    default:
      break;
  }
}

static gboolean
note_sticky (GstPad *pad, GstEvent **event, gpointer user_data)
{
  note_event (user_data, *event);
  return TRUE;
}

static GstPadProbeReturn
on_data (GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  Watched *self = user_data;
  GstPadProbeReturn result = GST_PAD_PROBE_OK;

  if (GST_PAD_PROBE_INFO_TYPE (info) & GST_PAD_PROBE_TYPE_QUERY_DOWNSTREAM)
    return answer_caps_query (
               GST_PAD_PROBE_INFO_QUERY (info), self->look->muxer_caps)
        ? GST_PAD_PROBE_HANDLED
        : GST_PAD_PROBE_OK;

  g_mutex_lock (&self->look->lock);
  if (GST_PAD_PROBE_INFO_TYPE (info) & GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM) {
    note_event (self, GST_PAD_PROBE_INFO_EVENT (info));
    if (self->track->ended)
      check_settled (self->look);
  } else {
    if (GST_PAD_PROBE_INFO_TYPE (info) & GST_PAD_PROBE_TYPE_BUFFER) {
      note_buffer (self, pad, GST_PAD_PROBE_INFO_BUFFER (info));
    } else {
      GstBufferList *list = GST_PAD_PROBE_INFO_BUFFER_LIST (info);
      guint i;

      for (i = 0; i < gst_buffer_list_length (list); i++)
        note_buffer (self, pad, gst_buffer_list_get (list, i));
    }
    /* Taken: as if a sink stood there. */
    result = GST_PAD_PROBE_DROP;
    check_settled (self->look);
  }
  g_mutex_unlock (&self->look->lock);
  return result;
}

static void
on_pad_added (GstElement *parsebin, GstPad *pad, gpointer user_data)
{
  Look *look = user_data;
  Watched *watched = g_new0 (Watched, 1);
  Track *track = g_new0 (Track, 1);

  track->id = gst_pad_get_stream_id (pad);
  track->start = track->decode_start = G_MAXINT64;
  track->origin = GST_CLOCK_TIME_NONE;
  track->duration = GST_CLOCK_TIME_NONE;
  watched->look = look;
  watched->track = track;
  gst_segment_init (&watched->segment, GST_FORMAT_UNDEFINED);

  g_mutex_lock (&look->lock);
  g_ptr_array_add (look->result->tracks, track);
  gst_pad_sticky_events_foreach (pad, note_sticky, watched);
  g_mutex_unlock (&look->lock);

  gst_pad_add_probe (pad,
      GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_BUFFER_LIST
          | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM
          | GST_PAD_PROBE_TYPE_QUERY_DOWNSTREAM,
      on_data, watched, g_free);
}

static void
on_no_more_pads (GstElement *demuxer, gpointer user_data)
{
  Look *look = user_data;

  g_mutex_lock (&look->lock);
  look->n_demuxers--;
  g_mutex_unlock (&look->lock);
  /* Once: some say it again at the end. */
  g_signal_handlers_disconnect_by_func (demuxer, on_no_more_pads, look);
}

static void
on_element_added (
    GstBin *bin, GstBin *parent, GstElement *element, gpointer user_data)
{
  Look *look = user_data;
  GList *l =
      gst_element_class_get_pad_template_list (GST_ELEMENT_GET_CLASS (element));

  for (; l; l = l->next) {
    GstPadTemplate *templ = l->data;

    if (GST_PAD_TEMPLATE_PRESENCE (templ) != GST_PAD_SOMETIMES
        || GST_IS_BIN (element))
      continue;
    g_mutex_lock (&look->lock);
    look->n_demuxers++;
    g_mutex_unlock (&look->lock);
    g_signal_connect (
        element, "no-more-pads", G_CALLBACK (on_no_more_pads), look);
    return;
  }
}

/* Whether an error ends the look. A parser's does not: its track is broken, and
 * the others go on. */
static gboolean
is_fatal (Look *look, GstMessage *message)
{
  return !GST_IS_BASE_PARSE (GST_MESSAGE_SRC (message))
      || look->result->tracks->len == 0;
}

static gboolean
has_data (Look *look)
{
  gboolean result = FALSE;
  guint i;

  g_mutex_lock (&look->lock);
  for (i = 0; i < look->result->tracks->len; i++) {
    const Track *track = g_ptr_array_index (look->result->tracks, i);

    result |= track->n_buffers > 0;
  }
  g_mutex_unlock (&look->lock);
  return result;
}

/* Waits until the look is over. A fatal error that comes after data was seen is
 * the end of what can be read, and the run will meet it again. */
static gboolean
wait_settled (Look *look, GCancellable *cancellable, GError **error)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (look->pipeline);

  while (!g_cancellable_set_error_if_cancelled (cancellable, error)) {
    g_autoptr (GError) failure = NULL;
    g_autoptr (GstMessage) message = gst_bus_timed_pop_filtered (
        bus, 100 * GST_MSECOND, GST_MESSAGE_APPLICATION | GST_MESSAGE_ERROR);

    g_main_context_iteration (NULL, FALSE);
    if (!message)
      continue;
    if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_APPLICATION)
      return TRUE;
    if (!is_fatal (look, message))
      continue;
    if (has_data (look))
      return TRUE;
    gst_message_parse_error (message, &failure, NULL);
    g_propagate_error (error, g_steal_pointer (&failure));
    return FALSE;
  }
  return FALSE;
}

static gpointer
copy_reference (gconstpointer object, gpointer user_data)
{
  return gst_object_ref ((gpointer) object);
}

static GstClockTime
ask_duration (GstElement *parsebin)
{
  GstClockTime longest = 0;
  GList *l;

  GST_OBJECT_LOCK (parsebin);
  l = g_list_copy_deep (parsebin->srcpads, copy_reference, NULL);
  GST_OBJECT_UNLOCK (parsebin);
  while (l) {
    gint64 duration;

    if (gst_pad_query_duration (l->data, GST_FORMAT_TIME, &duration)
        && duration > 0)
      longest = MAX (longest, (GstClockTime) duration);
    gst_object_unref (l->data);
    l = g_list_delete_link (l, l);
  }
  return longest > 0 ? longest : GST_CLOCK_TIME_NONE;
}

static Track *
find_pid (Inspection *self, guint pid)
{
  g_autofree gchar *suffix = g_strdup_printf ("/%08x", pid);
  guint i;

  for (i = 0; i < self->tracks->len; i++) {
    Track *track = g_ptr_array_index (self->tracks, i);

    if (track->id && g_str_has_suffix (track->id, suffix))
      return track;
  }
  return NULL;
}

static void
count_shown (guint pid, guint type, gboolean is_disc, gpointer user_data)
{
  Inspection *self = user_data;

  if (find_pid (self, pid))
    self->n_listed++;
}

static void
compare_stream (guint pid, guint type, gboolean is_disc, gpointer user_data)
{
  Inspection *self = user_data;
  const gchar *name = ts_stream_get_name (type, is_disc);
  Track *track = find_pid (self, pid);

  if (!name || (track && strcmp (name, "audio DTS-HD") != 0))
    return;
  if (track) {
    track->note = g_strdup ("only the DTS core of DTS-HD");
    return;
  }
  track = g_new0 (Track, 1);
  track->label =
      g_strdup_printf ("%s, PID 0x%04x, type 0x%02x", name, pid, type);
  track->reason = g_strdup ("the demuxer does not know it");
  g_ptr_array_add (self->tracks, track);
}

/* What the tables list and the demuxer has not shown. If it has shown none of
 * it, it has chosen another program. */
static void
compare_with_tables (Inspection *self)
{
  if (!self->help.ts_streams)
    return;
  ts_streams_foreach (self->help.ts_streams, count_shown, self);
  if (self->n_listed > 0)
    ts_streams_foreach (self->help.ts_streams, compare_stream, self);
}

/* Which tracks are kept has been decided, or has changed. */
void
inspection_count_kept (Inspection *self)
{
  GstClockTime origin = GST_CLOCK_TIME_NONE;
  guint i;

  self->n_kept = 0;
  self->start = G_MAXINT64;
  for (i = 0; i < self->tracks->len; i++) {
    const Track *track = g_ptr_array_index (self->tracks, i);

    if (!track->templ)
      continue;
    self->n_kept++;
    if (GST_CLOCK_TIME_IS_VALID (track->origin))
      origin = MIN (origin, track->origin);
    self->start = MIN (self->start, track->start);
    if (self->has_dts)
      self->start = MIN (self->start, track->decode_start);
  }
  if (self->start == G_MAXINT64)
    self->start = 0;
  self->toc_start = self->start;
  if (GST_CLOCK_TIME_IS_VALID (origin))
    self->toc_start += (GstClockTimeDiff) origin;
}

static void
conclude (Inspection *self, const Input *input, GstElement *muxer)
{
  guint i;

  for (i = 0; i < self->tracks->len; i++) {
    Track *track = g_ptr_array_index (self->tracks, i);

    track_take_language (track, input->languages);
    track_measure_lag (track);
    track_decide (track, muxer);
  }
  inspection_count_kept (self);
  compare_with_tables (self);
}

static Inspection *
inspection_new (void)
{
  Inspection *self = g_new0 (Inspection, 1);

  self->tracks = g_ptr_array_new_with_free_func ((GDestroyNotify) track_free);
  return self;
}

/* FALSE: a disc's protection is still on it. It would make a film of noise. */
static gboolean
read_ahead (
    Inspection *self, Joined *input, GCancellable *cancellable, GError **error)
{
  gboolean is_scrambled;

  self->help.dvd_streams = dvd_streams_scan (input, cancellable, &is_scrambled);
  self->help.ts_streams = ts_streams_read (input);
  if (!is_scrambled)
    return TRUE;
  g_set_error_literal (error, GST_STREAM_ERROR, GST_STREAM_ERROR_DECRYPT,
      "is scrambled (CSS), and has to be decrypted first");
  return FALSE;
}

/* A disc's stream that could not be understood may be encrypted: the first bits of
 * its packets say whether it was, and tools that decrypt it clear them. */
static void
explain (const Input *input, GError **error)
{
  guint8 start[5];

  if (input->joined && *error
      && joined_read (input->joined, 0, start, sizeof (start)) == sizeof (start)
      && (start[0] & 0xc0) != 0 && start[4] == 0x47)
    g_prefix_error (error, "seems to be encrypted (AACS): ");
}

/* Looks at @input and decides which of its tracks @muxer can hold. Blocks;
 * iterates the default main context, so that @cancellable can be reached from a
 * signal. NULL and @error if nothing could be made of it; a result without a
 * kept track is a result. */
Inspection *
inspect_input (const Input *input, GstElement *muxer, GCancellable *cancellable,
    GError **error)
{
  g_autoptr (Inspection) result = inspection_new ();
  g_autoptr (GstElement) pipeline = NULL;
  g_autoptr (GstCaps) caps = muxer_get_caps (muxer);
  g_autoptr (Source) source = NULL;
  Look look = { .result = result, .muxer_caps = caps };
  gboolean settled;

  if (input->joined && !read_ahead (result, input->joined, cancellable, error))
    return NULL;
  source = source_new (input, &result->help, caps, error);
  if (!source)
    return NULL;
  g_mutex_init (&look.lock);
  pipeline = gst_object_ref_sink (gst_pipeline_new ("inspection"));
  gst_bin_add (GST_BIN (pipeline), source->bin);
  look.pipeline = pipeline;
  g_signal_connect (
      source->parsebin, "pad-added", G_CALLBACK (on_pad_added), &look);
  g_signal_connect (
      pipeline, "deep-element-added", G_CALLBACK (on_element_added), &look);

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  settled = wait_settled (&look, cancellable, error);
  result->duration = ask_duration (source->parsebin);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  g_mutex_clear (&look.lock);
  if (!settled) {
    explain (input, error);
    return NULL;
  }

  result->has_dts = !muxer_is_matroska (muxer);
  conclude (result, input, muxer);
  return g_steal_pointer (&result);
}

Track *
inspection_find (Inspection *self, const gchar *id)
{
  guint i;

  for (i = 0; i < self->tracks->len; i++) {
    Track *track = g_ptr_array_index (self->tracks, i);

    if (g_strcmp0 (track->id, id) == 0)
      return track;
  }
  return NULL;
}

void
inspection_free (Inspection *self)
{
  g_ptr_array_unref (self->tracks);
  if (self->toc)
    gst_toc_unref (self->toc);
  gst_clear_structure (&self->help.dvd_streams);
  g_clear_pointer (&self->help.ts_streams, ts_streams_free);
  g_free (self);
}
