/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The run: parsebin -> one flow for each kept track -> matroskamux -> wbfilesink.
 *
 * Problem: between a demuxer, which gives what the file has, and a muxer, which
 * wants data of every track at all times, three things go wrong.
 *  - A track is silent for long. The muxer waits for it while the others' data
 *    piles up in memory.
 *  - Timestamps before a segment's start (leading pictures, the first audio
 *    frames) are clipped, and the file does not begin at zero.
 *  - The format of a track changes a little (channels of AC-3, another PPS).
 *    matroskamux ends the whole run with an error.
 *
 * Strategy: a probe on each flow, before the multiqueue.
 *  - It announces the track with the format that the inspection saw, so that
 *    the muxer knows all tracks before the first data, and keeps later formats
 *    away from it: elementary streams say in their own headers what changed.
 *  - It moves all timestamps to one timeline, which begins at the earliest
 *    buffer of all tracks.
 *  - When the input has gone MAX_SILENCE past a track's last data, it sends
 *    that track a placeholder, so that the muxer goes on (see send_gap).
 * The multiqueue holds a number of buffers of each track, and more only while
 * another one is empty: with placeholders that is MAX_SILENCE of data at most.
 *
 * Threads: probes run in the demuxer's streaming thread; Remux.lock guards what
 * they share. Messages and everything public: the main thread.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "pictures.h"
#include "remux.h"

#include <gst/base/base.h>
#include <string.h>

/* Transport and program streams keep tracks within about a second of each
 * other; a silence longer than this is none of interleaving. */
#define MAX_SILENCE (5 * GST_SECOND)

/* Subtitles are mostly silent, and the muxer waits for them too. Much less than
 * QUEUED_FRAMES take at their shortest (2.5 ms). */
#define MAX_SPARSE_SILENCE (100 * GST_MSECOND)

/* Frames of a track held while the disk or another track is behind: a few
 * seconds of video, and what a decoder's buffer model lets audio lag. */
#define QUEUED_FRAMES 100

typedef struct
{
  Remux *remux;
  Track *track;
  GstPad *queue_pad;
  GstSegment segment;
  GstClockTime reached; /* how far the muxer has heard of it, our timeline */
  gboolean linked;
  gboolean announced;
  gboolean ended;
  gboolean changed;
  GstCaps *new_caps;
  PictureClock *pictures; /* or NULL */
} Flow;

struct _Remux
{
  GstElement *pipeline;
  GstElement *source;
  GstElement *queue;
  GstElement *muxer;
  GstElement *sink;
  Inspection *inspection;
  GPtrArray *flows;
  GMutex lock;
  gint data_seen;

  /* Muxers on GstAggregator (matroskamux since 1.26) understand GAP events on
   * all pads; those on GstCollectPads wait for audio and video come what may. */
  gboolean understands_gaps;

  GMainLoop *loop;
  GError *failure;
  gchar *damage;
  guint n_gaps;
  gint n_untimed; /* buffers that the muxer had no timestamp for */
  GstStructure *stats;
};

/* --- one flow ------------------------------------------------------------ */

static void
flow_free (Flow *self)
{
  gst_clear_object (&self->queue_pad);
  gst_clear_caps (&self->new_caps);
  g_clear_pointer (&self->pictures, picture_clock_free);
  g_free (self);
}

/* Matroska takes a track without a language for English. */
static GstTagList *
get_tags (const Track *track)
{
  GstTagList *tags =
      track->tags ? gst_tag_list_copy (track->tags) : gst_tag_list_new_empty ();

  gst_tag_list_set_scope (tags, GST_TAG_SCOPE_STREAM);
  gst_tag_list_add (
      tags, GST_TAG_MERGE_KEEP, GST_TAG_LANGUAGE_CODE, "und", NULL);
  return tags;
}

static void
announce (Flow *self, GstCaps *caps)
{
  GstEvent *event = gst_event_new_stream_start (self->track->id);
  GstSegment segment;

  /* The multiqueue lets the others grow while one is empty, unless that one is
   * sparse. Subtitles are empty nearly always. */
  if (self->track->sparse)
    gst_event_set_stream_flags (event, GST_STREAM_FLAG_SPARSE);
  gst_segment_init (&segment, GST_FORMAT_TIME);

  gst_pad_send_event (self->queue_pad, event);
  gst_pad_send_event (self->queue_pad, gst_event_new_caps (caps));
  gst_pad_send_event (self->queue_pad, gst_event_new_segment (&segment));
  gst_pad_send_event (
      self->queue_pad, gst_event_new_tag (get_tags (self->track)));
  self->announced = TRUE;
}

/* To the timeline of the output. Before its beginning means at it: that is a
 * frame the inspection did not reach, and better early than lost. */
static GstClockTime
translate (Flow *self, GstClockTime ts)
{
  GstClockTimeDiff position = track_place (self->track, &self->segment, ts);

  if (position == GST_CLOCK_STIME_NONE)
    return GST_CLOCK_TIME_NONE;
  return MAX (position - self->remux->inspection->start, 0);
}

/* Tells the muxer that @self has nothing before @position.
 *
 * GstCollectPads believes a GAP event for subtitles, but has no way to say so for
 * audio and video, which are waited for: it needs a buffer. An empty one with a
 * DTS but no PTS does it: it is queued and ordered by its DTS, and matroskamux
 * drops a buffer that it has no timestamp for. */
static void
send_gap (Flow *self, GstClockTime position)
{
  GstBuffer *placeholder;

  if (self->remux->understands_gaps || self->track->sparse) {
    gst_pad_send_event (
        self->queue_pad, gst_event_new_gap (position, GST_CLOCK_TIME_NONE));
    return;
  }
  placeholder = gst_buffer_new ();
  GST_BUFFER_DTS (placeholder) = position;
  GST_BUFFER_DURATION (placeholder) = self->track->duration;
  GST_BUFFER_FLAG_SET (placeholder, GST_BUFFER_FLAG_GAP);
  gst_pad_chain (self->queue_pad, placeholder);
}

static GstClockTime
get_max_silence (const Flow *self)
{
  return self->track->sparse ? MAX_SPARSE_SILENCE : MAX_SILENCE;
}

static gboolean
is_silent (Flow *self, GstClockTime now)
{
  return self->announced && !self->ended
      && self->reached + get_max_silence (self) < now;
}

/* @self has reached @now: who has been silent for too long? Nothing may be sent
 * under the lock, because the multiqueue may block. */
static void
advance (Flow *self, GstClockTime now)
{
  Remux *remux = self->remux;
  guint i;

  for (i = 0; i < remux->flows->len; i++) {
    Flow *other = g_ptr_array_index (remux->flows, i);
    GstClockTime heard = now - MIN (now, get_max_silence (other) / 2);
    gboolean silent;

    g_mutex_lock (&remux->lock);
    if (other == self)
      other->reached = MAX (other->reached, now);
    silent = is_silent (other, now);
    if (silent)
      other->reached = heard;
    g_mutex_unlock (&remux->lock);
    if (silent)
      send_gap (other, heard);
  }
}

/* What a viewer would notice. */
static gboolean
differs (GstCaps *a, GstCaps *b)
{
  static const gchar *const fields[] = { "channels", "rate", "width",
    "height" };
  const GstStructure *x = gst_caps_get_structure (a, 0);
  const GstStructure *y = gst_caps_get_structure (b, 0);
  guint i;

  if (!gst_structure_has_name (y, gst_structure_get_name (x)))
    return TRUE;
  for (i = 0; i < G_N_ELEMENTS (fields); i++) {
    gint p = 0, q = 0;

    gst_structure_get_int (x, fields[i], &p);
    gst_structure_get_int (y, fields[i], &q);
    if (p != q)
      return TRUE;
  }
  return FALSE;
}

/* The muxer keeps the format that was announced. Only what data has come in
 * counts: a parser makes one up when it has to pass an event before any data. */
static void
check_caps (Flow *self)
{
  g_autoptr (GstCaps) caps = g_steal_pointer (&self->new_caps);
  g_autofree gchar *track = NULL;

  if (!caps || self->changed || self->track->converter
      || !differs (self->track->caps, caps))
    return;
  self->changed = TRUE;
  track = track_describe (self->track);
  g_printerr ("wbremux: note: a track changes its format at %" GST_TIME_FORMAT
              " and stays one track: %s\n",
      GST_TIME_ARGS (self->reached), track);
}

static void
take_caps (Flow *self, GstCaps *caps)
{
  if (self->announced)
    gst_caps_replace (&self->new_caps, caps);
  else
    announce (self, caps);
}

static GstFlowReturn
push (Flow *self, GstBuffer *buffer)
{
  GstClockTime position = GST_BUFFER_DTS_OR_PTS (buffer);

  /* Before anything else: a header, which the muxer has from the caps. */
  if (!GST_BUFFER_PTS_IS_VALID (buffer) && self->reached > 0)
    g_atomic_int_inc (&self->remux->n_untimed);
  if (GST_CLOCK_TIME_IS_VALID (position))
    advance (self, position);
  return gst_pad_chain (self->queue_pad, buffer);
}

static GstFlowReturn
push_all (Flow *self, GQueue *ready)
{
  GstFlowReturn result = GST_FLOW_OK;
  GstBuffer *buffer;

  while ((buffer = g_queue_pop_head (ready))) {
    if (result == GST_FLOW_OK)
      result = push (self, buffer);
    else
      gst_buffer_unref (buffer);
  }
  return result;
}

static gchar *
replace_all (const gchar *text, const gchar *old, const gchar *new_text)
{
  g_auto (GStrv) parts = g_strsplit (text, old, -1);

  return g_strjoinv (new_text, parts);
}

/* A demuxer that finds no tags in a text escapes its special characters; one
 * with tags it leaves as it is. */
static gchar *
unescape (gchar *text)
{
  static const gchar *const entities[][2] = { { "&lt;", "<" }, { "&gt;", ">" },
    { "&quot;", "\"" }, { "&apos;", "'" }, { "&#39;", "'" }, { "&amp;", "&" } };
  guint i;

  if (strchr (text, '<'))
    return text;
  for (i = 0; i < G_N_ELEMENTS (entities); i++) {
    gchar *replaced = replace_all (text, entities[i][0], entities[i][1]);

    g_free (text);
    text = replaced;
  }
  return text;
}

static GstBuffer *
text_from_markup (GstBuffer *buffer)
{
  gsize size = gst_buffer_get_size (buffer);
  gchar *text = g_malloc0 (size + 1);
  GstBuffer *result;

  gst_buffer_extract (buffer, 0, text, size);
  text = unescape (text);
  result = gst_buffer_new_wrapped (text, strlen (text));
  gst_buffer_copy_into (result, buffer, GST_BUFFER_COPY_METADATA, 0, -1);
  gst_buffer_unref (buffer);
  return result;
}

static GstFlowReturn
take_buffer (Flow *self, GstBuffer *buffer)
{
  GQueue ready = G_QUEUE_INIT;

  check_caps (self);
  if (self->track->is_markup)
    buffer = text_from_markup (buffer);
  buffer = gst_buffer_make_writable (buffer);
  GST_BUFFER_PTS (buffer) = translate (self, GST_BUFFER_PTS (buffer));
  GST_BUFFER_DTS (buffer) = translate (self, GST_BUFFER_DTS (buffer));
  if (self->pictures)
    picture_clock_add (self->pictures, buffer, &ready);
  else
    g_queue_push_tail (&ready, buffer);
  return push_all (self, &ready);
}

static GstFlowReturn
take_list (Flow *self, GstBufferList *list)
{
  GstFlowReturn result = GST_FLOW_OK;
  guint i;

  for (i = 0; i < gst_buffer_list_length (list) && result == GST_FLOW_OK; i++)
    result = take_buffer (self, gst_buffer_ref (gst_buffer_list_get (list, i)));
  gst_buffer_list_unref (list);
  return result;
}

static void
drain (Flow *self)
{
  GQueue ready = G_QUEUE_INIT;

  if (self->pictures)
    picture_clock_drain (self->pictures, &ready);
  push_all (self, &ready);
}

/* A track whose pad has not come by the end must not be waited for. */
static void
end_missing (Remux *self)
{
  guint i;

  for (i = 0; i < self->flows->len; i++) {
    Flow *flow = g_ptr_array_index (self->flows, i);

    if (flow->linked && !flow->ended)
      return;
  }
  for (i = 0; i < self->flows->len; i++) {
    Flow *flow = g_ptr_array_index (self->flows, i);

    if (!flow->linked)
      gst_pad_send_event (flow->queue_pad, gst_event_new_eos ());
  }
}

static GstPadProbeReturn
take_event (Flow *self, GstEvent *event)
{
  GstCaps *caps;

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_STREAM_START:
    case GST_EVENT_GAP:
      return GST_PAD_PROBE_DROP;
    case GST_EVENT_SEGMENT:
      gst_event_copy_segment (event, &self->segment);
      return GST_PAD_PROBE_DROP;
    case GST_EVENT_CAPS:
      gst_event_parse_caps (event, &caps);
      take_caps (self, caps);
      return GST_PAD_PROBE_DROP;
    case GST_EVENT_EOS:
      drain (self);
      g_mutex_lock (&self->remux->lock);
      self->ended = TRUE;
      g_mutex_unlock (&self->remux->lock);
      end_missing (self->remux);
      return GST_PAD_PROBE_OK;
    default:
      return GST_PAD_PROBE_OK;
  }
}

/* From the first data on the muxer knows all tracks, those too whose pads are
 * not there yet. (What a converter gives is not known before it does.) */
static void
announce_all (Remux *self)
{
  guint i;

  if (!g_atomic_int_compare_and_exchange (&self->data_seen, FALSE, TRUE))
    return;
  for (i = 0; i < self->flows->len; i++) {
    Flow *flow = g_ptr_array_index (self->flows, i);

    if (!flow->announced && !flow->track->converter)
      announce (flow, flow->track->caps);
  }
}

/* Takes the place of pushing to the queue: what goes there is not what came. */
static GstPadProbeReturn
on_data (GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  Flow *self = user_data;

  if (GST_PAD_PROBE_INFO_TYPE (info) & GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM)
    return take_event (self, GST_PAD_PROBE_INFO_EVENT (info));

  announce_all (self->remux);
  if (GST_PAD_PROBE_INFO_TYPE (info) & GST_PAD_PROBE_TYPE_BUFFER)
    GST_PAD_PROBE_INFO_FLOW_RETURN (info) =
        take_buffer (self, GST_PAD_PROBE_INFO_BUFFER (info));
  else
    GST_PAD_PROBE_INFO_FLOW_RETURN (info) =
        take_list (self, GST_PAD_PROBE_INFO_BUFFER_LIST (info));
  return GST_PAD_PROBE_HANDLED;
}

/* --- linking ------------------------------------------------------------- */

static gboolean
take_sticky (GstPad *pad, GstEvent **event, gpointer user_data)
{
  if (GST_EVENT_TYPE (*event) == GST_EVENT_SEGMENT)
    take_event (user_data, *event);
  return TRUE;
}

static GstPad *
insert_converter (Flow *self, GstPad *pad)
{
  GstElement *converter =
      gst_element_factory_make (self->track->converter, NULL);
  GstPad *sink, *source;

  gst_bin_add (GST_BIN (self->remux->pipeline), converter);
  sink = gst_element_get_static_pad (converter, "sink");
  source = gst_element_get_static_pad (converter, "src");
  gst_pad_link (pad, sink);
  gst_element_sync_state_with_parent (converter);
  gst_object_unref (sink);
  return source;
}

static void
flow_link (Flow *self, GstPad *pad)
{
  g_autoptr (GstPad) source = self->track->converter
      ? insert_converter (self, pad)
      : gst_object_ref (pad);

  self->linked = TRUE;
  if (!self->announced && !self->track->converter)
    announce (self, self->track->caps);
  gst_pad_sticky_events_foreach (source, take_sticky, self);
  gst_pad_add_probe (source,
      GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_BUFFER_LIST
          | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM,
      on_data, self, NULL);
  /* The muxer has what we announced, which may not be the source's caps. */
  gst_pad_link_full (source, self->queue_pad, GST_PAD_LINK_CHECK_NOTHING);
}

/* A pad that no flow wants stays unlinked: demuxers pass over it. */
static void
on_pad_added (GstElement *parsebin, GstPad *pad, gpointer user_data)
{
  Remux *self = user_data;
  g_autofree gchar *id = gst_pad_get_stream_id (pad);
  guint i;

  for (i = 0; i < self->flows->len; i++) {
    Flow *flow = g_ptr_array_index (self->flows, i);

    if (g_strcmp0 (flow->track->id, id) == 0 && !flow->linked) {
      flow_link (flow, pad);
      return;
    }
  }
  if (!inspection_find (self->inspection, id))
    g_printerr ("wbremux: note: a track that appears later on is left out\n");
}

static gboolean
add_flow (Remux *self, Track *track, GError **error)
{
  g_autoptr (GstPad) muxer_pad = NULL;
  g_autoptr (GstPad) source = NULL;
  g_autofree gchar *name = NULL;
  Flow *flow = g_new0 (Flow, 1);

  flow->remux = self;
  flow->track = track;
  flow->pictures = picture_clock_new (track->caps);
  flow->queue_pad = gst_element_request_pad_simple (self->queue, "sink_%u");
  gst_segment_init (&flow->segment, GST_FORMAT_UNDEFINED);
  g_ptr_array_add (self->flows, flow);

  name = g_strdup_printf (
      "src_%s", GST_PAD_NAME (flow->queue_pad) + strlen ("sink_"));
  source = gst_element_get_static_pad (self->queue, name);
  muxer_pad = gst_element_request_pad (self->muxer, track->templ, NULL, NULL);
  if (muxer_pad && gst_pad_link (source, muxer_pad) == GST_PAD_LINK_OK)
    return TRUE;
  g_set_error (error, GST_CORE_ERROR, GST_CORE_ERROR_PAD,
      "the muxer has no room for another track");
  return FALSE;
}

static void
set_up_muxer (Remux *self)
{
  /* The timeline already begins at zero; offset-to-zero would also turn the
   * placeholders' missing timestamps into real ones. */
  g_object_set (self->muxer, "writing-app", "wbremux " PACKAGE_VERSION,
      "streamable", FALSE, "offset-to-zero", FALSE, NULL);
  self->understands_gaps = GST_IS_AGGREGATOR (self->muxer);
}

/* The output is about as long as the input. */
static void
set_up_sink (Remux *self, const gchar *output, guint64 size_hint)
{
  GObjectClass *klass = G_OBJECT_GET_CLASS (self->sink);

  g_object_set (self->sink, "location", output, NULL);
  if (size_hint > 0 && g_object_class_find_property (klass, "size-hint"))
    g_object_set (self->sink, "size-hint", size_hint, NULL);
}
/* A new run of @inspection's kept tracks into @output, which is overwritten.
 * @muxer is the one the inspection was made for. NULL and @error if an element
 * is missing. @inspection must outlive the run. */
Remux *
remux_new (const gchar *input, const gchar *output, Inspection *inspection,
    GstElement *muxer, guint64 size_hint, GError **error)
{
  g_autoptr (Remux) self = g_new0 (Remux, 1);
  g_autoptr (GstCaps) caps = muxer_get_caps (muxer);
  GstElement *parsebin;
  guint i;

  g_mutex_init (&self->lock);
  self->inspection = inspection;
  self->flows = g_ptr_array_new_with_free_func ((GDestroyNotify) flow_free);
  self->loop = g_main_loop_new (NULL, FALSE);
  self->pipeline = gst_object_ref_sink (gst_pipeline_new ("remux"));
  self->muxer = muxer;
  gst_bin_add (GST_BIN (self->pipeline), muxer);

  parsebin = source_add (self->pipeline, input, &inspection->help, error);
  if (!parsebin)
    return NULL;
  self->source = gst_bin_get_by_name (GST_BIN (self->pipeline), "input");
  self->queue = make_element ("multiqueue", error);
  self->sink = self->queue ? make_element ("wbfilesink", error) : NULL;
  if (!self->sink) {
    gst_clear_object (&self->queue);
    return NULL;
  }
  g_object_set (self->queue, "max-size-buffers", QUEUED_FRAMES,
      "max-size-bytes", 0, "max-size-time", (guint64) 0, NULL);
  gst_bin_add_many (GST_BIN (self->pipeline), self->queue, self->sink, NULL);
  gst_element_link (muxer, self->sink);
  set_up_muxer (self);
  set_up_sink (self, output, size_hint);

  for (i = 0; i < inspection->tracks->len; i++) {
    Track *track = g_ptr_array_index (inspection->tracks, i);

    if (track->templ && !add_flow (self, track, error))
      return NULL;
  }
  g_signal_connect (parsebin, "pad-added", G_CALLBACK (on_pad_added), self);
  source_answer_queries (parsebin, caps);
  return g_steal_pointer (&self);
}

/* --- the run -------------------------------------------------------------- */

static gboolean
is_downstream (Remux *self, GstObject *object)
{
  return object == GST_OBJECT (self->muxer) || object == GST_OBJECT (self->sink)
      || gst_object_has_as_ancestor (object, GST_OBJECT (self->sink));
}

/* Called in a thread of its own: a pad whose streaming thread is stuck in a full
 * queue takes the event when the queue has moved. */
static void
end_flows (GstElement *pipeline, gpointer user_data)
{
  Remux *self = user_data;
  guint i;

  for (i = 0; i < self->flows->len; i++) {
    Flow *flow = g_ptr_array_index (self->flows, i);

    gst_pad_send_event (flow->queue_pad, gst_event_new_eos ());
  }
}

/* The input broke off. What was read makes a whole file all the same. */
static void
note_damage (Remux *self, GstMessage *message)
{
  g_autoptr (GError) error = NULL;

  gst_message_parse_error (message, &error, NULL);
  if (!self->damage)
    self->damage = g_strdup (error->message);
  if (!GST_IS_BASE_PARSE (GST_MESSAGE_SRC (message)))
    gst_element_call_async (self->pipeline, end_flows, self, NULL);
}

static void
fail (Remux *self, GError *error)
{
  if (self->failure)
    g_error_free (error);
  else
    self->failure = error;
  g_main_loop_quit (self->loop);
}

static void
take_error (Remux *self, GstMessage *message)
{
  GError *error = NULL;

  if (!is_downstream (self, GST_MESSAGE_SRC (message))) {
    note_damage (self, message);
    return;
  }
  gst_message_parse_error (message, &error, NULL);
  fail (self, error);
}

/* The sink's warnings are for the user: a disk that does not answer, a sync that
 * was given up. A demuxer's tell of gaps in the stream, one by one. */
static void
take_warning (Remux *self, GstMessage *message)
{
  g_autoptr (GError) error = NULL;

  gst_message_parse_warning (message, &error, NULL);
  if (is_downstream (self, GST_MESSAGE_SRC (message)))
    g_printerr ("wbremux: warning: %s\n", error->message);
  else if (self->n_gaps++ == 0)
    g_printerr ("wbremux: note: the input is damaged: %s\n", error->message);
}

static gboolean
on_message (GstBus *bus, GstMessage *message, gpointer user_data)
{
  Remux *self = user_data;

  switch (GST_MESSAGE_TYPE (message)) {
    case GST_MESSAGE_EOS:
      g_main_loop_quit (self->loop);
      break;
    case GST_MESSAGE_ERROR:
      take_error (self, message);
      break;
    case GST_MESSAGE_WARNING:
      take_warning (self, message);
      break;
    default:
      break;
  }
  return G_SOURCE_CONTINUE;
}

static RemuxOutcome
get_outcome (Remux *self)
{
  const gchar *result = self->stats
      ? gst_structure_get_string (self->stats, "sync-result")
      : NULL;

  if (self->failure)
    return REMUX_FAILED;
  if (g_strcmp0 (result, "durable") == 0 || g_strcmp0 (result, "data") == 0)
    return REMUX_DURABLE;
  return REMUX_WRITTEN;
}

/* Runs to the end, in the default main context, and takes the pipeline down.
 * REMUX_FAILED sets @error: nothing the file holds is of use then. Else the
 * file is complete, or as complete as the input (remux_get_damage). */
RemuxOutcome
remux_run (Remux *self, GError **error)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (self->pipeline);
  guint watch = gst_bus_add_watch (bus, on_message, self);

  gst_element_set_state (self->pipeline, GST_STATE_PLAYING);
  g_main_loop_run (self->loop);

  self->stats = remux_get_stats (self);
  gst_element_set_state (self->pipeline, GST_STATE_NULL);
  g_source_remove (watch);
  if (self->failure)
    g_propagate_error (error, g_error_copy (self->failure));
  return get_outcome (self);
}

/* Ends the input here; the file is finished as if it had ended by itself. */
void
remux_finish_early (Remux *self)
{
  gst_element_send_event (self->source, gst_event_new_eos ());
}

/* Gives the run up. */
void
remux_stop (Remux *self)
{
  fail (
      self, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped"));
}

/* Why the input could not be read to its end, or NULL. */
const gchar *
remux_get_damage (Remux *self)
{
  return self->damage;
}

/* Buffers that are not in the file, because nothing told when they are shown. */
guint
remux_count_untimed (Remux *self)
{
  return g_atomic_int_get (&self->n_untimed);
}

/* How much earlier the data ended than the input declares, or 0 if by no more
 * than tracks and declarations differ anyhow. After the run. */
GstClockTime
remux_get_shortfall (Remux *self)
{
  GstClockTime declared = self->inspection->duration;
  GstClockTime reached = 0;
  guint i;

  for (i = 0; i < self->flows->len; i++) {
    const Flow *flow = g_ptr_array_index (self->flows, i);

    reached = MAX (reached, flow->reached);
  }
  if (!GST_CLOCK_TIME_IS_VALID (declared)
      || self->inspection->n_kept < self->inspection->tracks->len
      || declared < reached + MAX (2 * GST_SECOND, declared / 50))
    return 0;
  return declared - reached;
}

/* The sink's figures: live, and after the run its last ones. NULL if it keeps
 * none. The caller owns the result. */
GstStructure *
remux_get_stats (Remux *self)
{
  GstStructure *stats = NULL;

  if (self->stats)
    return gst_structure_copy (self->stats);
  if (g_object_class_find_property (
          G_OBJECT_GET_CLASS (self->sink), "writeback-stats"))
    g_object_get (self->sink, "writeback-stats", &stats, NULL);
  return stats;
}

void
remux_free (Remux *self)
{
  if (self->pipeline)
    gst_element_set_state (self->pipeline, GST_STATE_NULL);
  gst_clear_object (&self->source);
  gst_clear_object (&self->pipeline);
  g_clear_pointer (&self->flows, g_ptr_array_unref);
  g_clear_pointer (&self->loop, g_main_loop_unref);
  g_clear_error (&self->failure);
  g_free (self->damage);
  gst_clear_structure (&self->stats);
  g_mutex_clear (&self->lock);
  g_free (self);
}
