/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The run: source -> one flow for each kept track -> muxer -> wbfilesink.
 *
 * The sources take turns. When the tracks of one have come to their end, it is
 * taken out of the pipeline and the next one put in, behind it in time
 * (chain.c). What the multiqueue holds lasts for longer than that takes.
 *
 * An error in front of the multiqueue is damage: what was read so far becomes a
 * whole file, and the run says where it broke off. An error behind it is a
 * failure: there is no file.
 *
 * Threads: messages and everything public run in the main thread, the flows'
 * probes in the demuxers' streaming threads.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "chain.h"
#include "chapters.h"
#include "flows.h"
#include "muxers.h"
#include "remux.h"

#include <gst/base/gstbaseparse.h>

struct _Remux
{
  GPtrArray *inputs;
  GPtrArray *inspections;
  GPtrArray *matches; /* of GPtrArray: the tracks of each input but the first */
  guint present;      /* input */
  guint64 read_before;

  GstElement *pipeline;
  GstElement *queue;
  GstElement *muxer;
  GstElement *sink;
  GstCaps *caps; /* of the muxer */
  Source *source;
  Flows *flows;

  GMainLoop *loop;
  RemuxTell tell;
  gpointer user_data;
  gboolean is_last; /* no input follows the present one */
  gboolean is_finishing;
  GError *failure;
  gchar *damage;
  gchar *damage_before_data; /* the same, where nothing could be kept */
  guint n_gaps;
  GstStructure *stats;
};

static const Input *
get_input (Remux *self)
{
  return g_ptr_array_index (self->inputs, self->present);
}

static Inspection *
get_inspection (Remux *self)
{
  return g_ptr_array_index (self->inspections, self->present);
}

/* --- the inputs, one after the other ------------------------------------------- */

/* What the inspection called the track of @pad. A parser without a demuxer may
 * show its pad before or after it has named it. */
static gchar *
get_id (Remux *self, GstPad *pad)
{
  const GPtrArray *tracks = get_inspection (self)->tracks;
  const Track *first = tracks->len > 0 ? g_ptr_array_index (tracks, 0) : NULL;
  gchar *id = gst_pad_get_stream_id (pad);

  if (tracks->len != 1 || (id && first->id))
    return id;
  g_free (id);
  return g_strdup (first->id);
}

static void
on_pad_added (GstElement *parsebin, GstPad *pad, gpointer user_data)
{
  Remux *self = user_data;
  g_autofree gchar *id = get_id (self, pad);

  if (flows_take_pad (self->flows, pad, id))
    return;
  if (!inspection_find (get_inspection (self), id))
    gst_element_post_message (self->pipeline,
        gst_message_new_application (GST_OBJECT (self->pipeline),
            gst_structure_new (FLOWS_NOTE, "text", G_TYPE_STRING,
                "a track that appears later on is left out", NULL)));
}

/* The flows tell of the end of the pads that they have; here none has come. */
static void
on_drained (GstElement *parsebin, gpointer user_data)
{
  Remux *self = user_data;

  if (!flows_are_linked (self->flows))
    gst_element_post_message (self->pipeline,
        gst_message_new_application (GST_OBJECT (self->pipeline),
            gst_structure_new_empty (FLOWS_INPUT_ENDED)));
}

/* H.264, H.265 and MPEG-4 have their parameters in the stream then, before each
 * picture that a decoder can begin with. */
static void
on_element_added (GstElement *parsebin, GstElement *element, gpointer user_data)
{
  if (g_object_class_find_property (
          G_OBJECT_GET_CLASS (element), "config-interval"))
    g_object_set (element, "config-interval", -1, NULL);
}

static gboolean
add_source (Remux *self, GError **error)
{
  GPtrArray *tracks = self->present == 0
      ? NULL
      : g_ptr_array_index (self->matches, self->present - 1);
  Inspection *inspection = get_inspection (self);

  self->source =
      source_new (get_input (self), &inspection->help, self->caps, error);
  if (!self->source)
    return FALSE;
  self->is_last = self->present + 1 == self->inputs->len;
  flows_begin_input (self->flows, inspection, tracks);
  g_signal_connect (
      self->source->parsebin, "pad-added", G_CALLBACK (on_pad_added), self);
  g_signal_connect (
      self->source->parsebin, "drained", G_CALLBACK (on_drained), self);
  /* Inputs after the first may have other ones than the muxer was told. */
  if (self->present > 0 || muxer_is_broadcast (self->muxer))
    g_signal_connect (self->source->parsebin, "element-added",
        G_CALLBACK (on_element_added), NULL);
  gst_bin_add (GST_BIN (self->pipeline), self->source->bin);
  return TRUE;
}

static void
remove_source (Remux *self)
{
  /* The pipeline may be on its way to PLAYING, and would take it along. */
  gst_element_set_locked_state (self->source->bin, TRUE);
  gst_element_set_state (self->source->bin, GST_STATE_NULL);
  flows_end_input (self->flows);
  gst_bin_remove (GST_BIN (self->pipeline), self->source->bin);
  self->read_before += self->source->read;
  g_clear_pointer (&self->source, source_free);
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

/* Nothing more comes. What has no frame is no file. */
static void
end_run (Remux *self)
{
  if (flows_have_data (self->flows))
    flows_end (self->flows);
  else
    fail (self,
        g_error_new (G_IO_ERROR, G_IO_ERROR_FAILED, "%s",
            self->is_finishing ? "interrupted before anything was written"
                : self->damage ? self->damage_before_data
                               : "no track has any data"));
}

static void
take_input_end (Remux *self)
{
  GError *error = NULL;

  if (self->is_last || self->damage) {
    end_run (self);
    return;
  }
  remove_source (self);
  self->present++;
  if (add_source (self, &error))
    gst_element_sync_state_with_parent (self->source->bin);
  else
    fail (self, error);
}

/* --- setting up ----------------------------------------------------------------- */

/* The output is about as long as the inputs. */
static void
set_up_sink (Remux *self, const gchar *output)
{
  GObjectClass *klass = G_OBJECT_GET_CLASS (self->sink);
  guint64 size = inputs_get_size (self->inputs);

  g_object_set (self->sink, "location", output, NULL);
  if (size > 0 && g_object_class_find_property (klass, "size-hint"))
    g_object_set (self->sink, "size-hint", size, NULL);
}

static gboolean
set_up_elements (Remux *self, GstElement *muxer, GError **error)
{
  self->pipeline = gst_object_ref_sink (gst_pipeline_new ("remux"));
  self->muxer = muxer;
  gst_bin_add (GST_BIN (self->pipeline), muxer);
  self->queue = make_element ("multiqueue", error);
  if (!self->queue)
    return FALSE;
  gst_bin_add (GST_BIN (self->pipeline), self->queue);
  self->sink = make_element ("wbfilesink", error);
  if (!self->sink)
    return FALSE;
  gst_bin_add (GST_BIN (self->pipeline), self->sink);
  g_object_set (self->queue, "max-size-buffers", QUEUED_FRAMES,
      "max-size-bytes", 0, "max-size-time", (guint64) 0, NULL);
  gst_element_link (muxer, self->sink);
  return TRUE;
}

static gboolean
add_flows (Remux *self, GError **error)
{
  const Inspection *first = g_ptr_array_index (self->inspections, 0);
  g_autoptr (GstToc) chapters = chapters_join (self->inputs, self->inspections);
  guint i;

  self->flows = flows_new (self->pipeline, self->queue, self->muxer, chapters);
  for (i = 0; i < first->tracks->len; i++) {
    const Track *track = g_ptr_array_index (first->tracks, i);

    if (track->templ && !flows_add (self->flows, track, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
match_inputs (Remux *self, GError **error)
{
  guint i;

  self->matches =
      g_ptr_array_new_with_free_func ((GDestroyNotify) g_ptr_array_unref);
  for (i = 1; i < self->inspections->len; i++) {
    const Input *input = g_ptr_array_index (self->inputs, i);
    GPtrArray *tracks = chain_match (g_ptr_array_index (self->inspections, 0),
        g_ptr_array_index (self->inspections, i), error);

    if (!tracks) {
      g_prefix_error (error, "%s: ", input->name);
      return FALSE;
    }
    g_ptr_array_add (self->matches, tracks);
  }
  return TRUE;
}

/* A new run of the tracks that @inspections keep of @inputs into @output, which
 * is overwritten. @muxer is the one the inspections were made for. NULL and
 * @error if an element is missing, or an input cannot follow the first one.
 * @inputs and @inspections must outlive the run. */
Remux *
remux_new (GPtrArray *inputs, GPtrArray *inspections, const gchar *output,
    GstElement *muxer, GError **error)
{
  g_autoptr (Remux) self = g_new0 (Remux, 1);

  self->inputs = inputs;
  self->inspections = inspections;
  self->caps = muxer_get_caps (muxer);
  self->loop = g_main_loop_new (NULL, FALSE);
  if (!match_inputs (self, error) || !set_up_elements (self, muxer, error)
      || !add_flows (self, error) || !add_source (self, error))
    return NULL;
  set_up_sink (self, output);
  return g_steal_pointer (&self);
}

/* --- the run -------------------------------------------------------------- */

static gboolean
is_downstream (Remux *self, GstObject *object)
{
  return object == GST_OBJECT (self->muxer) || object == GST_OBJECT (self->sink)
      || gst_object_has_as_ancestor (object, GST_OBJECT (self->sink));
}

static void
describe_damage (Remux *self, const gchar *reason)
{
  g_autofree gchar *name =
      input_describe_place (get_input (self), self->source->read);
  guint seconds = flows_get_position (self->flows) / GST_SECOND;

  self->damage = g_strdup_printf ("%s: cannot be read to its end (%u:%02u:%02u "
                                  "into the output), kept what there was: %s",
      name, seconds / 3600, seconds / 60 % 60, seconds % 60, reason);
  self->damage_before_data =
      g_strdup_printf ("nothing could be kept of %s: %s", name, reason);
}

/* The input broke off. What was read makes a whole file all the same. */
static void
note_damage (Remux *self, GstMessage *message)
{
  g_autoptr (GError) error = NULL;

  if (!self->source) /* finished early */
    return;
  gst_message_parse_error (message, &error, NULL);
  if (!self->damage)
    describe_damage (self, error->message);
  if (!GST_IS_BASE_PARSE (GST_MESSAGE_SRC (message)))
    end_run (self);
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
  g_autofree gchar *text = NULL;

  gst_message_parse_warning (message, &error, NULL);
  if (is_downstream (self, GST_MESSAGE_SRC (message))) {
    self->tell (REMUX_WARNING, error->message, self->user_data);
    return;
  }
  if (self->n_gaps++ > 0)
    return;
  text = g_strdup_printf (
      "%s: is damaged: %s", get_input (self)->name, error->message);
  self->tell (REMUX_NOTE, text, self->user_data);
}

static void
take_application (Remux *self, GstMessage *message)
{
  const GstStructure *s = gst_message_get_structure (message);

  if (gst_structure_has_name (s, FLOWS_INPUT_ENDED))
    take_input_end (self);
  else if (gst_structure_has_name (s, FLOWS_NOTE))
    self->tell (
        REMUX_NOTE, gst_structure_get_string (s, "text"), self->user_data);
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
    case GST_MESSAGE_APPLICATION:
      take_application (self, message);
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
 * file is complete, or as complete as the inputs (remux_get_damage). */
RemuxOutcome
remux_run (Remux *self, RemuxTell tell, gpointer user_data, GError **error)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (self->pipeline);
  guint watch = gst_bus_add_watch (bus, on_message, self);

  self->tell = tell;
  self->user_data = user_data;
  gst_element_set_state (self->pipeline, GST_STATE_PLAYING);
  g_main_loop_run (self->loop);

  self->stats = remux_get_stats (self);
  gst_element_set_state (self->pipeline, GST_STATE_NULL);
  g_source_remove (watch);
  if (self->failure)
    g_propagate_error (error, g_error_copy (self->failure));
  return get_outcome (self);
}

/* Ends the inputs here; the file is finished as if they had ended by
 * themselves.
 *
 * A demuxer that comes to the end while parsebin is still trying it posts an error
 * that parsebin keeps to itself: nobody would hear of the end. */
void
remux_finish_early (Remux *self)
{
  self->is_last = self->is_finishing = TRUE;
  if (flows_are_linked (self->flows)) {
    gst_element_send_event (self->source->reader, gst_event_new_eos ());
    return;
  }
  remove_source (self);
  end_run (self);
}

/* Gives the run up. What is queued need not be written any more. */
void
remux_stop (Remux *self)
{
  g_autoptr (GstPad) pad = gst_element_get_static_pad (self->sink, "sink");

  gst_pad_send_event (pad, gst_event_new_flush_start ());
  gst_pad_send_event (pad, gst_event_new_flush_stop (TRUE));
  fail (
      self, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped"));
}

/* What could not be read to its end and why, or NULL. */
const gchar *
remux_get_damage (Remux *self)
{
  return self->damage;
}

/* Buffers that are not in the file, because nothing told when they are shown. */
guint
remux_count_untimed (Remux *self)
{
  return flows_count_untimed (self->flows);
}

/* As the inputs declare it, all together, or NONE. */
static GstClockTime
get_duration (Remux *self)
{
  GstClockTime duration = 0;
  guint i;

  for (i = 0; i < self->inspections->len; i++) {
    const Inspection *inspection = g_ptr_array_index (self->inspections, i);

    if (!GST_CLOCK_TIME_IS_VALID (inspection->duration))
      return GST_CLOCK_TIME_NONE;
    duration += inspection->duration;
  }
  return duration;
}

/* A track that is left out may be the one that is as long as was declared. */
static gboolean
is_all_kept (Remux *self)
{
  guint i;

  for (i = 0; i < self->inspections->len; i++) {
    const Inspection *inspection = g_ptr_array_index (self->inspections, i);

    if (inspection->n_kept < inspection->tracks->len)
      return FALSE;
  }
  return TRUE;
}

/* What the inputs' clocks show when they begin, if it is less than what they
 * declare. Whether that counts from there or from zero is up to who has written
 * them: Matroska by ffmpeg counts from zero, by mkvmerge from there. */
static GstClockTime
get_begun (Remux *self)
{
  GstClockTime begun = 0;
  guint i;

  for (i = 0; i < self->inspections->len; i++) {
    const Inspection *inspection = g_ptr_array_index (self->inspections, i);
    GstClockTime start = (GstClockTime) MAX (inspection->toc_start, 0);

    if (GST_CLOCK_TIME_IS_VALID (inspection->duration)
        && start < inspection->duration)
      begun += start;
  }
  return begun;
}

/* How much earlier the data ended than the inputs declare, or 0 if by no more
 * than tracks and declarations differ anyhow. After the run. */
GstClockTime
remux_get_shortfall (Remux *self)
{
  GstClockTime declared = get_duration (self);
  GstClockTime reached = flows_get_position (self->flows) + get_begun (self);

  if (!GST_CLOCK_TIME_IS_VALID (declared) || !is_all_kept (self)
      || declared < reached + MAX (2 * GST_SECOND, declared / 50))
    return 0;
  return declared - reached;
}

void
remux_get_progress (Remux *self, RemuxProgress *progress)
{
  progress->size = inputs_get_size (self->inputs);
  progress->read = self->read_before
      + (self->source ? (gsize) g_atomic_pointer_get (&self->source->read) : 0);
  /* An index is read twice. */
  if (progress->size > 0)
    progress->read = MIN (progress->read, progress->size);
  progress->position = flows_get_position (self->flows);
  progress->duration = get_duration (self);
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
  if (self->source)
    remove_source (self);
  gst_clear_object (&self->pipeline);
  g_clear_pointer (&self->flows, flows_free);
  g_clear_pointer (&self->matches, g_ptr_array_unref);
  g_clear_pointer (&self->loop, g_main_loop_unref);
  gst_clear_caps (&self->caps);
  g_clear_error (&self->failure);
  g_free (self->damage);
  g_free (self->damage_before_data);
  gst_clear_structure (&self->stats);
  g_free (self);
}
