/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The flows of a run: each takes one track from a parsebin to the muxer.
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
 *  - It lets no data through to the muxer before that has heard all about the
 *    subtitles: from their caps on matroskamux waits for them no more, and may
 *    write its header before their language has come.
 *  - When the input has gone MAX_SILENCE past a track's last data, it sends
 *    that track a placeholder, so that the muxer goes on (see send_gap).
 *  - It keeps the end of an input from the muxer: whether another one follows is
 *    for the run to know.
 * The multiqueue holds a number of buffers of each track, and more only while
 * another one is empty: with placeholders that is MAX_SILENCE of data at most.
 *
 * Threads: probes run in the demuxer's streaming thread; the lock guards what
 * they share.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "decodetimes.h"
#include "flows.h"
#include "muxers.h"
#include "pictures.h"

#include <gst/base/base.h>
#include <string.h>

/* Transport and program streams keep tracks within about a second of each
 * other; a silence longer than this is none of interleaving. */
#define MAX_SILENCE (5 * GST_SECOND)

/* Subtitles are mostly silent, and the muxer waits for them too. Much less than
 * QUEUED_FRAMES take at their shortest (2.5 ms). */
#define MAX_SPARSE_SILENCE (100 * GST_MSECOND)

/* An event behind the last one that announces a track; the muxer never gets it. */
#define ANNOUNCED "wbremux-announced"

typedef struct
{
  Flows *all;
  const Track *first; /* as the muxer knows it */
  const Track *track; /* the present input's, or NULL: it has none */
  GstPad *queue_pad;
  GstPad *muxer_side; /* of the queue */
  gulong hold;        /* the probe there, or 0 */
  GstSegment segment;
  GstClockTime reached; /* how far the muxer has heard of it, our timeline */
  GstClockTime begin;   /* of its earliest frame */
  GstClockTime last;    /* of its latest frame, and how long that is shown */
  GstClockTime last_duration;
  guint n_frames;
  gboolean linked;
  gboolean announced;
  gboolean told;  /* the muxer has all of the announcement */
  gboolean ended; /* the present input's part of it */
  gboolean changed;
  GstCaps *new_caps;
  PictureClock *pictures; /* or NULL */
  DecodeTimes *times;     /* or NULL */
} Flow;

struct _Flows
{
  GstElement *pipeline;
  GstElement *queue;
  GstElement *muxer;
  GPtrArray *flows;
  GMutex lock;
  GstClockTimeDiff shift; /* from the present input's time to the output's */
  gboolean at_end;        /* of the present input, and told so */
  guint n_ending;         /* threads in end_all */
  GCond ending_done;
  gint data_seen;
  GstToc *chapters; /* or NULL */
  gint n_untimed;   /* buffers that the muxer had no timestamp for */

  /* Muxers on GstAggregator (matroskamux since 1.26) understand GAP events on
   * all pads; those on GstCollectPads wait for audio and video come what may. */
  gboolean understands_gaps;
  gboolean is_matroska;
};

/* --- one flow ------------------------------------------------------------ */

static void
flow_free (Flow *self)
{
  gst_clear_object (&self->queue_pad);
  gst_clear_object (&self->muxer_side);
  gst_clear_caps (&self->new_caps);
  g_clear_pointer (&self->pictures, picture_clock_free);
  g_clear_pointer (&self->times, decode_times_free);
  g_free (self);
}

/* Matroska takes a track without a language for English. */
static GstTagList *
get_tags (const Track *track, gboolean is_matroska)
{
  GstTagList *tags =
      track->tags ? gst_tag_list_copy (track->tags) : gst_tag_list_new_empty ();

  gst_tag_list_set_scope (tags, GST_TAG_SCOPE_STREAM);
  if (is_matroska)
    gst_tag_list_add (
        tags, GST_TAG_MERGE_KEEP, GST_TAG_LANGUAGE_CODE, "und", NULL);
  return tags;
}

static void
announce (Flow *self, GstCaps *caps)
{
  /* A file of one track without a container has no id. */
  GstEvent *event =
      gst_event_new_stream_start (self->first->id ? self->first->id : "only");
  GstSegment segment;

  /* The multiqueue lets the others grow while one is empty, unless that one is
   * sparse. Subtitles are empty nearly always. */
  if (self->first->sparse)
    gst_event_set_stream_flags (event, GST_STREAM_FLAG_SPARSE);
  gst_segment_init (&segment, GST_FORMAT_TIME);

  gst_pad_send_event (self->queue_pad, event);
  gst_pad_send_event (self->queue_pad, gst_event_new_caps (caps));
  gst_pad_send_event (self->queue_pad, gst_event_new_segment (&segment));
  gst_pad_send_event (self->queue_pad,
      gst_event_new_tag (get_tags (self->first, self->all->is_matroska)));
  if (self->all->chapters)
    gst_pad_send_event (
        self->queue_pad, gst_event_new_toc (self->all->chapters, FALSE));
  gst_pad_send_event (self->queue_pad,
      gst_event_new_custom (
          GST_EVENT_CUSTOM_DOWNSTREAM, gst_structure_new_empty (ANNOUNCED)));
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
  return MAX (position + self->all->shift, 0);
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

  if (self->all->understands_gaps || self->first->sparse) {
    gst_pad_send_event (
        self->queue_pad, gst_event_new_gap (position, GST_CLOCK_TIME_NONE));
    return;
  }
  placeholder = gst_buffer_new ();
  GST_BUFFER_DTS (placeholder) = position;
  GST_BUFFER_DURATION (placeholder) = self->first->duration;
  GST_BUFFER_FLAG_SET (placeholder, GST_BUFFER_FLAG_GAP);
  gst_pad_chain (self->queue_pad, placeholder);
}

static GstClockTime
get_max_silence (const Flow *self)
{
  return self->first->sparse ? MAX_SPARSE_SILENCE : MAX_SILENCE;
}

static gboolean
is_silent (Flow *self, GstClockTime now)
{
  return self->announced && self->reached + get_max_silence (self) < now;
}

/* @self has reached @now: who has been silent for too long? Nothing may be sent
 * under the lock, because the multiqueue may block. */
static void
advance (Flow *self, GstClockTime now)
{
  Flows *all = self->all;
  guint i;

  for (i = 0; i < all->flows->len; i++) {
    Flow *other = g_ptr_array_index (all->flows, i);
    GstClockTime heard = now - MIN (now, get_max_silence (other) / 2);
    gboolean silent;

    g_mutex_lock (&all->lock);
    if (other == self)
      other->reached = MAX (other->reached, now);
    silent = is_silent (other, now);
    if (silent)
      other->reached = heard;
    g_mutex_unlock (&all->lock);
    if (silent)
      send_gap (other, heard);
  }
}

static void
post (Flows *self, GstStructure *structure)
{
  gst_element_post_message (self->pipeline,
      gst_message_new_application (GST_OBJECT (self->pipeline), structure));
}

/* Takes ownership of @text. */
static void
post_note (Flows *self, gchar *text)
{
  post (
      self, gst_structure_new (FLOWS_NOTE, "text", G_TYPE_STRING, text, NULL));
  g_free (text);
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

  if (!caps || self->changed || self->first->converter
      || !differs (self->first->caps, caps))
    return;
  self->changed = TRUE;
  track = track_describe (self->first);
  post_note (self->all,
      g_strdup_printf ("a track changes its format at %" GST_TIME_FORMAT
                       " and stays one track: %s",
          GST_TIME_ARGS (self->reached), track));
}

static void
take_caps (Flow *self, GstCaps *caps)
{
  if (self->announced)
    gst_caps_replace (&self->new_caps, caps);
  else
    announce (self, caps);
}

/* Keeps the extent of what the track has had so far. */
static void
note_frame (Flow *self, GstBuffer *buffer)
{
  GstClockTime shown = GST_BUFFER_PTS (buffer);

  g_mutex_lock (&self->all->lock);
  if (self->n_frames++ == 0)
    self->begin = self->last = shown;
  self->begin = MIN (self->begin, shown);
  if (shown >= self->last) {
    self->last = shown;
    self->last_duration = GST_BUFFER_DURATION (buffer);
  }
  g_mutex_unlock (&self->all->lock);
}

static GstFlowReturn
push (Flow *self, GstBuffer *buffer)
{
  GstClockTime position = GST_BUFFER_DTS_OR_PTS (buffer);

  /* Before anything else: a header, which the muxer has from the caps. */
  if (!GST_BUFFER_PTS_IS_VALID (buffer) && self->reached > 0)
    g_atomic_int_inc (&self->all->n_untimed);
  if (GST_BUFFER_PTS_IS_VALID (buffer))
    note_frame (self, buffer);
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

/* What of @ready can be pushed; the rest is held. */
static GQueue *
add_times (Flow *self, GQueue *ready)
{
  guint n = ready->length;

  while (self->times && n-- > 0)
    decode_times_add (self->times, g_queue_pop_head (ready), ready);
  return ready;
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
  return push_all (self, add_times (self, &ready));
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
  add_times (self, &ready);
  if (self->times)
    decode_times_drain (self->times, &ready);
  push_all (self, &ready);
}

/* Says so when the last of the present input's tracks has ended. One whose pad
 * has not come by then is not waited for. */
static void
check_end (Flows *self)
{
  gboolean is_end;
  guint i;

  g_mutex_lock (&self->lock);
  is_end = !self->at_end;
  for (i = 0; i < self->flows->len; i++) {
    const Flow *flow = g_ptr_array_index (self->flows, i);

    if (flow->linked && !flow->ended)
      is_end = FALSE;
  }
  self->at_end |= is_end;
  g_mutex_unlock (&self->lock);
  if (is_end)
    post (self, gst_structure_new_empty (FLOWS_INPUT_ENDED));
}

static GstPadProbeReturn
take_event (Flow *self, GstEvent *event)
{
  GstCaps *caps;

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_STREAM_START:
    case GST_EVENT_GAP:
    case GST_EVENT_TOC: /* the muxer gets ours */
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
      g_mutex_lock (&self->all->lock);
      self->ended = TRUE;
      g_mutex_unlock (&self->all->lock);
      check_end (self->all);
      return GST_PAD_PROBE_DROP;
    default:
      return GST_PAD_PROBE_OK;
  }
}

/* From the first data on the muxer knows all tracks, those too whose pads are
 * not there yet. (What a converter gives is not known before it does.) */
static void
announce_all (Flows *self)
{
  guint i;

  if (!g_atomic_int_compare_and_exchange (&self->data_seen, FALSE, TRUE))
    return;
  for (i = 0; i < self->flows->len; i++) {
    Flow *flow = g_ptr_array_index (self->flows, i);

    if (!flow->announced && !flow->first->converter)
      announce (flow, flow->first->caps);
  }
}

/* Takes the place of pushing to the queue: what goes there is not what came. */
static GstPadProbeReturn
on_data (GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  Flow *self = user_data;

  if (GST_PAD_PROBE_INFO_TYPE (info) & GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM)
    return take_event (self, GST_PAD_PROBE_INFO_EVENT (info));

  announce_all (self->all);
  if (GST_PAD_PROBE_INFO_TYPE (info) & GST_PAD_PROBE_TYPE_BUFFER)
    GST_PAD_PROBE_INFO_FLOW_RETURN (info) =
        take_buffer (self, GST_PAD_PROBE_INFO_BUFFER (info));
  else
    GST_PAD_PROBE_INFO_FLOW_RETURN (info) =
        take_list (self, GST_PAD_PROBE_INFO_BUFFER_LIST (info));
  return GST_PAD_PROBE_HANDLED;
}

/* --- the muxer's side ------------------------------------------------------- */

/* Whether it has heard of all the tracks that it does not wait for. What a
 * converter gives is announced with its first data. Locked. */
static gboolean
all_told (Flows *self)
{
  guint i;

  for (i = 0; i < self->flows->len; i++) {
    const Flow *flow = g_ptr_array_index (self->flows, i);

    if (flow->first->sparse && !flow->first->converter && !flow->told)
      return FALSE;
  }
  return TRUE;
}

/* The first data of a track stays here until then. */
static GstPadProbeReturn
on_first_data (GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  Flow *self = user_data;
  GstPadProbeReturn result = GST_PAD_PROBE_OK;

  g_mutex_lock (&self->all->lock);
  if (self->hold != 0 && all_told (self->all)) {
    self->hold = 0;
    result = GST_PAD_PROBE_REMOVE;
  }
  g_mutex_unlock (&self->all->lock);
  return result;
}

static void
let_through (Flows *self)
{
  guint i;

  for (i = 0; i < self->flows->len; i++) {
    Flow *flow = g_ptr_array_index (self->flows, i);
    gulong hold;

    g_mutex_lock (&self->lock);
    hold = flow->hold;
    flow->hold = 0;
    g_mutex_unlock (&self->lock);
    if (hold != 0)
      gst_pad_remove_probe (flow->muxer_side, hold);
  }
}

static GstPadProbeReturn
on_announced (GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  Flow *self = user_data;
  gboolean is_last;

  if (!gst_event_has_name (GST_PAD_PROBE_INFO_EVENT (info), ANNOUNCED))
    return GST_PAD_PROBE_OK;
  g_mutex_lock (&self->all->lock);
  self->told = TRUE;
  is_last = all_told (self->all);
  g_mutex_unlock (&self->all->lock);
  if (is_last)
    let_through (self->all);
  return GST_PAD_PROBE_DROP;
}

/* Takes @pad. */
static void
watch_muxer_side (Flow *self, GstPad *pad)
{
  self->muxer_side = pad;
  self->hold = gst_pad_add_probe (pad,
      GST_PAD_PROBE_TYPE_BLOCK | GST_PAD_PROBE_TYPE_BUFFER
          | GST_PAD_PROBE_TYPE_BUFFER_LIST,
      on_first_data, self, NULL);
  gst_pad_add_probe (
      pad, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, on_announced, self, NULL);
}

/* --- linking ------------------------------------------------------------- */

static gboolean
take_sticky (GstPad *pad, GstEvent **event, gpointer user_data)
{
  if (GST_EVENT_TYPE (*event) == GST_EVENT_SEGMENT)
    take_event (user_data, *event);
  return TRUE;
}

/* Puts it behind the parsebin's @pad; returns its source pad. */
static GstPad *
insert_converter (GstPad *pad, const gchar *factory)
{
  GstElement *converter = gst_element_factory_make (factory, NULL);
  g_autoptr (GstElement) parsebin = gst_pad_get_parent_element (pad);
  g_autoptr (GstObject) bin = gst_object_get_parent (GST_OBJECT (parsebin));
  g_autoptr (GstPad) sink = gst_element_get_static_pad (converter, "sink");

  gst_bin_add (GST_BIN (bin), converter);
  gst_pad_link (pad, sink);
  gst_element_sync_state_with_parent (converter);
  return gst_element_get_static_pad (converter, "src");
}

static void
link_pad (Flow *self, GstPad *pad)
{
  g_autoptr (GstPad) source = self->track->converter
      ? insert_converter (pad, self->track->converter)
      : gst_object_ref (pad);

  g_mutex_lock (&self->all->lock);
  self->linked = TRUE;
  g_mutex_unlock (&self->all->lock);
  if (!self->announced && !self->track->converter)
    announce (self, self->first->caps);
  gst_pad_sticky_events_foreach (source, take_sticky, self);
  gst_pad_add_probe (source,
      GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_BUFFER_LIST
          | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM,
      on_data, self, NULL);
  /* The muxer has what we announced, which may not be the source's caps. */
  gst_pad_link_full (source, self->queue_pad, GST_PAD_LINK_CHECK_NOTHING);
}

/* --- all of them ------------------------------------------------------------ */

/* They lie between @queue, a multiqueue, and what flows_take_pad is given; @queue
 * is linked to @muxer. None of the elements is owned. @chapters are told to a
 * muxer that has a place for them. */
Flows *
flows_new (GstElement *pipeline, GstElement *queue, GstElement *muxer,
    GstToc *chapters)
{
  Flows *self = g_new0 (Flows, 1);

  g_mutex_init (&self->lock);
  g_cond_init (&self->ending_done);
  self->pipeline = pipeline;
  self->queue = queue;
  self->muxer = muxer;
  self->flows = g_ptr_array_new_with_free_func ((GDestroyNotify) flow_free);
  self->understands_gaps = GST_IS_AGGREGATOR (muxer);
  self->is_matroska = muxer_is_matroska (muxer);
  if (chapters && GST_IS_TOC_SETTER (muxer))
    self->chapters = gst_toc_ref (chapters);
  return self;
}

/* A flow for @track, a kept one of the first input. */
gboolean
flows_add (Flows *self, const Track *track, GError **error)
{
  g_autoptr (GstPad) muxer_pad = NULL;
  g_autofree gchar *name = NULL;
  Flow *flow = g_new0 (Flow, 1);

  flow->all = self;
  flow->first = track;
  flow->pictures = picture_clock_new (track->caps);
  flow->queue_pad = gst_element_request_pad_simple (self->queue, "sink_%u");
  flow->last_duration = GST_CLOCK_TIME_NONE;
  g_ptr_array_add (self->flows, flow);

  name = g_strdup_printf (
      "src_%s", GST_PAD_NAME (flow->queue_pad) + strlen ("sink_"));
  watch_muxer_side (flow, gst_element_get_static_pad (self->queue, name));
  muxer_pad = gst_element_request_pad (self->muxer, track->templ, NULL, NULL);
  if (muxer_pad
      && gst_pad_link (flow->muxer_side, muxer_pad) == GST_PAD_LINK_OK)
    return TRUE;
  g_set_error (error, GST_CORE_ERROR, GST_CORE_ERROR_PAD,
      "the muxer has no room for another track");
  return FALSE;
}

/* How long a frame of it is shown: what the last one says, or the average. */
static GstClockTime
get_frame_duration (const Flow *self)
{
  if (GST_CLOCK_TIME_IS_VALID (self->last_duration) && self->last_duration > 0)
    return self->last_duration;
  return self->n_frames > 1 ? (self->last - self->begin) / (self->n_frames - 1)
                            : 0;
}

static void
get_end (const Flow *self, ChainEnd *end)
{
  end->track = self->track;
  end->duration = get_frame_duration (self);
  end->end =
      self->n_frames > 0 ? self->last + end->duration : GST_CLOCK_TIME_NONE;
}

static void
follow (Flows *self, const Inspection *inspection)
{
  g_autofree ChainEnd *ends = g_new0 (ChainEnd, self->flows->len);
  guint i;

  for (i = 0; i < self->flows->len; i++)
    get_end (g_ptr_array_index (self->flows, i), &ends[i]);
  self->shift = chain_get_shift (inspection, ends, self->flows->len);
}

/* What comes now is from another input. @tracks has one of its tracks, or NULL,
 * for each flow (chain_match); NULL for the first input. No data may flow. */
void
flows_begin_input (Flows *self, const Inspection *inspection, GPtrArray *tracks)
{
  guint i;

  for (i = 0; i < self->flows->len; i++) {
    Flow *flow = g_ptr_array_index (self->flows, i);

    flow->track = tracks ? g_ptr_array_index (tracks, i) : flow->first;
    flow->linked = flow->ended = FALSE;
    if (flow->track && track_lacks_decode_times (flow->track) && !flow->times
        && !self->is_matroska)
      flow->times = decode_times_new (flow->track->lag);
    gst_segment_init (&flow->segment, GST_FORMAT_UNDEFINED);
  }
  if (tracks)
    follow (self, inspection);
  else
    self->shift = -inspection->start;
  self->at_end = FALSE;
}

/* Lets go of the input's pads. */
void
flows_end_input (Flows *self)
{
  guint i;

  for (i = 0; i < self->flows->len; i++) {
    const Flow *flow = g_ptr_array_index (self->flows, i);
    g_autoptr (GstPad) pad = gst_pad_get_peer (flow->queue_pad);

    if (pad)
      gst_pad_unlink (pad, flow->queue_pad);
  }
}

/* @pad brings the track that the inspection calls @id. One that no flow wants stays
 * unlinked: demuxers pass over it. FALSE then. */
gboolean
flows_take_pad (Flows *self, GstPad *pad, const gchar *id)
{
  guint i;

  for (i = 0; i < self->flows->len; i++) {
    Flow *flow = g_ptr_array_index (self->flows, i);

    if (flow->track && g_strcmp0 (flow->track->id, id) == 0 && !flow->linked) {
      link_pad (flow, pad);
      return TRUE;
    }
  }
  return FALSE;
}

/* Called in a thread of its own: a pad whose streaming thread is stuck in a full
 * queue takes the event when the queue has moved. */
static void
end_all (GstElement *pipeline, gpointer user_data)
{
  Flows *self = user_data;
  guint i;

  for (i = 0; i < self->flows->len; i++) {
    Flow *flow = g_ptr_array_index (self->flows, i);
    g_autoptr (GstCaps) caps = track_get_muxed_caps (flow->first);

    /* The muxer wants to know what it was that has ended. */
    if (!flow->announced)
      announce (flow, caps);
    gst_pad_send_event (flow->queue_pad, gst_event_new_eos ());
  }
  g_mutex_lock (&self->lock);
  self->n_ending--;
  g_cond_signal (&self->ending_done);
  g_mutex_unlock (&self->lock);
}

/* Nothing more comes. */
void
flows_end (Flows *self)
{
  g_mutex_lock (&self->lock);
  self->n_ending++;
  g_mutex_unlock (&self->lock);
  gst_element_call_async (self->pipeline, end_all, self, NULL);
}

/* How far the muxer has heard of any track. */
GstClockTime
flows_get_position (Flows *self)
{
  GstClockTime position = 0;
  guint i;

  g_mutex_lock (&self->lock);
  for (i = 0; i < self->flows->len; i++) {
    const Flow *flow = g_ptr_array_index (self->flows, i);

    position = MAX (position, flow->reached);
  }
  g_mutex_unlock (&self->lock);
  return position;
}

static gboolean
is_linked (const Flow *flow)
{
  return flow->linked;
}

static gboolean
has_frames (const Flow *flow)
{
  return flow->n_frames > 0;
}

static gboolean
any_flow (Flows *self, gboolean (*holds) (const Flow *flow))
{
  gboolean result = FALSE;
  guint i;

  g_mutex_lock (&self->lock);
  for (i = 0; i < self->flows->len; i++)
    result |= holds (g_ptr_array_index (self->flows, i));
  g_mutex_unlock (&self->lock);
  return result;
}

/* Whether the present input has come as far as showing its tracks. */
gboolean
flows_are_linked (Flows *self)
{
  return any_flow (self, is_linked);
}

/* Whether the muxer has had any frame. */
gboolean
flows_have_data (Flows *self)
{
  return any_flow (self, has_frames);
}

/* Buffers that are not in the file, because nothing told when they are shown. */
guint
flows_count_untimed (Flows *self)
{
  return g_atomic_int_get (&self->n_untimed);
}

/* The pipeline must be in NULL: then nobody is held in a queue. */
void
flows_free (Flows *self)
{
  g_mutex_lock (&self->lock);
  while (self->n_ending > 0)
    g_cond_wait (&self->ending_done, &self->lock);
  g_mutex_unlock (&self->lock);
  g_cond_clear (&self->ending_done);
  g_ptr_array_unref (self->flows);
  if (self->chapters)
    gst_toc_unref (self->chapters);
  g_mutex_clear (&self->lock);
  g_free (self);
}
