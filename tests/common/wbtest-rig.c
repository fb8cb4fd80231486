/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The sink alone, a pad in front of it and a bus of its own: section "The rig" of
 * wbtest.h.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "wbtest.h"

WbRig *
wb_rig_new (const gchar *location, const gchar *properties)
{
  WbRig *rig = g_new0 (WbRig, 1);
  GstPad *pad;

  rig->seen =
      g_ptr_array_new_with_free_func ((GDestroyNotify) gst_message_unref);
  rig->bus = gst_bus_new ();
  rig->sink = gst_element_factory_make (wb_sink_name (), "sink");
  fail_unless (rig->sink != NULL, "there is no %s", wb_sink_name ());
  gst_object_ref_sink (rig->sink);
  gst_element_set_bus (rig->sink, rig->bus);
  if (location != NULL)
    g_object_set (rig->sink, "location", location, NULL);
  wb_rig_set (rig, properties);

  rig->src = gst_pad_new ("src", GST_PAD_SRC);
  pad = gst_element_get_static_pad (rig->sink, "sink");
  fail_unless (gst_pad_set_active (rig->src, TRUE));
  fail_unless_equals_int (gst_pad_link (rig->src, pad), GST_PAD_LINK_OK);
  gst_object_unref (pad);

  return rig;
}

void
wb_rig_free (WbRig *rig)
{
  GstPad *pad;
  guint i;

  fail_unless_equals_int (
      wb_task_state (wb_rig_state_task (rig, GST_STATE_NULL), "stop"),
      GST_STATE_CHANGE_SUCCESS);

  pad = gst_element_get_static_pad (rig->sink, "sink");
  gst_pad_unlink (rig->src, pad);
  gst_object_unref (pad);
  gst_object_unref (rig->src);

  gst_element_set_bus (rig->sink, NULL);
  gst_bus_set_flushing (rig->bus, TRUE);
  gst_object_unref (rig->bus);
  g_ptr_array_unref (rig->seen);

  /* No thread of the element's keeps it alive, or not for long: one may just
   * be posting a message. */
  for (i = 0; i < WB_PATIENCE * 100 && GST_OBJECT_REFCOUNT (rig->sink) > 1; i++)
    g_usleep (10000);
  ASSERT_OBJECT_REFCOUNT (rig->sink, "the sink", 1);
  gst_object_unref (rig->sink);
  g_free (rig);
}

void
wb_rig_set (WbRig *rig, const gchar *properties)
{
  gchar **words;
  guint i;

  if (properties == NULL)
    return;

  words = g_strsplit (properties, " ", -1);
  for (i = 0; words[i] != NULL; i++) {
    gchar *value = strchr (words[i], '=');

    if (value == NULL)
      continue;
    *value++ = '\0';
    if (g_object_class_find_property (G_OBJECT_GET_CLASS (rig->sink), words[i]))
      gst_util_set_object_arg (G_OBJECT (rig->sink), words[i], value);
    else
      fail_unless (wb_sink_is_filesink (), "no property %s", words[i]);
  }
  g_strfreev (words);
}

GstStateChangeReturn
wb_rig_state (WbRig *rig, GstState state)
{
  return wb_task_state (
      wb_rig_state_task (rig, state), gst_element_state_get_name (state));
}

void
wb_rig_begin (WbRig *rig, GstFormat format)
{
  GstEvent *event = gst_event_new_stream_start ("test");
  GstCaps *caps = gst_caps_new_empty_simple ("application/x-test");
  GstSegment segment;

  gst_event_set_group_id (event, gst_util_group_id_next ());
  gst_segment_init (&segment, format);
  /* The pad has to know them: it sends them again after READY. */
  fail_unless (gst_pad_push_event (rig->src, event));
  fail_unless (gst_pad_push_event (rig->src, gst_event_new_caps (caps)));
  fail_unless (gst_pad_push_event (rig->src, gst_event_new_segment (&segment)));
  gst_caps_unref (caps);
}

void
wb_rig_play (WbRig *rig, GstFormat format)
{
  fail_if (wb_rig_state (rig, GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE);
  wb_rig_begin (rig, format);
}

/* Straight to the sink's pad, which tells what the sink answers: a push of a
 * sticky event is TRUE whatever that is, and comes again with the next
 * buffer. */
gboolean
wb_rig_send (WbRig *rig, GstEvent *event)
{
  GstPad *pad = gst_element_get_static_pad (rig->sink, "sink");
  gboolean ret = gst_pad_send_event (pad, event);

  gst_object_unref (pad);

  return ret;
}

gboolean
wb_rig_segment (WbRig *rig, GstFormat format, guint64 start)
{
  GstEvent *first = gst_pad_get_sticky_event (rig->src, GST_EVENT_SEGMENT, 0);
  GstSegment segment;

  gst_segment_init (&segment, format);
  segment.start = start;
  segment.position = start;

  /* Our own pad wants to have seen one. */
  if (first == NULL)
    return gst_pad_push_event (rig->src, gst_event_new_segment (&segment));
  gst_event_unref (first);

  return wb_rig_send (rig, gst_event_new_segment (&segment));
}

static GstFlowReturn
push (WbRig *rig, GstBuffer *buffer)
{
  return wb_task_flow (wb_rig_push_task (rig, buffer), "push");
}

void
wb_rig_fill (WbRig *rig, guint64 position, gsize size, guint seed)
{
  fail_unless_equals_int (
      push (rig, wb_buffer (position, size, seed)), GST_FLOW_OK);
}

void
wb_rig_write (WbRig *rig, gconstpointer data, gsize size)
{
  fail_unless_equals_int (push (rig, wb_buffer_from (data, size)), GST_FLOW_OK);
}

gboolean
wb_rig_eos (WbRig *rig)
{
  return wb_task_bool (wb_rig_eos_task (rig), "EOS");
}

static gpointer
flush_func (gpointer data)
{
  WbRig *rig = data;

  gst_pad_push_event (rig->src, gst_event_new_flush_start ());
  gst_pad_push_event (rig->src, gst_event_new_flush_stop (TRUE));

  return NULL;
}

void
wb_rig_flush (WbRig *rig)
{
  wb_task_finish (wb_task_new (flush_func, rig), "flush");

  /* The flush has taken it to PAUSED. A bin would do this. */
  if (GST_STATE_TARGET (rig->sink) == GST_STATE_PLAYING)
    wb_rig_state (rig, GST_STATE_PLAYING);
}

gint64
wb_rig_position (WbRig *rig)
{
  gint64 position = -1;

  /* Not of the element: GstBaseSink answers that itself, in time only. */
  fail_unless (
      gst_pad_peer_query_position (rig->src, GST_FORMAT_BYTES, &position));

  return position;
}

static void
collect (WbRig *rig)
{
  GstMessage *message;

  while ((message = gst_bus_pop (rig->bus)) != NULL)
    g_ptr_array_add (rig->seen, message);
}

guint
wb_rig_count (WbRig *rig, GstMessageType type)
{
  guint i, n = 0;

  collect (rig);
  for (i = 0; i < rig->seen->len; i++)
    n += (GST_MESSAGE_TYPE (g_ptr_array_index (rig->seen, i)) & type) != 0;

  return n;
}

GstMessage *
wb_rig_nth (WbRig *rig, GstMessageType type, guint n)
{
  guint i;

  collect (rig);
  for (i = 0; i < rig->seen->len; i++) {
    GstMessage *message = g_ptr_array_index (rig->seen, i);

    if ((GST_MESSAGE_TYPE (message) & type) != 0 && n-- == 0)
      return message;
  }

  return NULL;
}

GstMessage *
wb_rig_await (WbRig *rig, GstMessageType type)
{
  GstClockTime deadline = WB_PATIENCE * GST_SECOND;
  GstMessage *message;

  if ((message = wb_rig_nth (rig, type, 0)) != NULL)
    return message;

  while ((message = gst_bus_timed_pop (rig->bus, deadline)) != NULL) {
    g_ptr_array_add (rig->seen, message);
    if ((GST_MESSAGE_TYPE (message) & type) != 0)
      return message;
  }
  fail ("no %s message", gst_message_type_get_name (type));

  return NULL;
}

static const GstStructure *
nth_sync (WbRig *rig, guint n, guint *count)
{
  guint i;

  collect (rig);
  *count = 0;
  for (i = 0; i < rig->seen->len; i++) {
    GstMessage *message = g_ptr_array_index (rig->seen, i);

    if (gst_message_has_name (message, "wbfilesink-sync") && (*count)++ == n)
      return gst_message_get_structure (message);
  }

  return NULL;
}

guint
wb_rig_count_syncs (WbRig *rig)
{
  guint count;

  nth_sync (rig, G_MAXUINT, &count);

  return count;
}

const GstStructure *
wb_rig_nth_sync (WbRig *rig, guint n)
{
  guint count;

  return nth_sync (rig, n, &count);
}

const gchar *
wb_rig_nth_result (WbRig *rig, guint n)
{
  const GstStructure *sync = wb_rig_nth_sync (rig, n);

  return sync != NULL ? gst_structure_get_string (sync, "result") : NULL;
}

/* What an ERROR or WARNING says, for the report of a failed test */
static gchar *
describe (GstMessage *message)
{
  GError *error = NULL;
  gchar *debug = NULL, *text;

  if (message == NULL)
    return g_strdup ("nothing");

  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR)
    gst_message_parse_error (message, &error, &debug);
  else
    gst_message_parse_warning (message, &error, &debug);
  text = g_strdup_printf ("%s %d: %s (%s)", g_quark_to_string (error->domain),
      error->code, error->message, debug);
  g_error_free (error);
  g_free (debug);

  return text;
}

void
wb_rig_assert_quiet (WbRig *rig)
{
  GstMessage *message =
      wb_rig_nth (rig, GST_MESSAGE_ERROR | GST_MESSAGE_WARNING, 0);
  gchar *text = describe (message);

  fail_unless (message == NULL, "unexpected %s", text);
  g_free (text);
}

void
wb_rig_assert_error (WbRig *rig, GstResourceError code)
{
  /* A thread of the element's may be just about to post it. */
  GstMessage *message = wb_rig_await (rig, GST_MESSAGE_ERROR);
  guint n = wb_rig_count (rig, GST_MESSAGE_ERROR);
  gchar *text = describe (message);
  GError *error = NULL;

  fail_unless (n == 1, "%u errors, the first: %s", n, text);
  gst_message_parse_error (message, &error, NULL);
  fail_unless (g_error_matches (error, GST_RESOURCE_ERROR, code),
      "code %d wanted, got %s", code, text);
  g_error_free (error);
  g_free (text);
}

typedef struct
{
  WbRig *rig;
  GstBuffer *buffer;
  guint64 position;
  gsize size;
  gsize buffer_size;
  guint seed;
  GstState state;
} Call;

static gpointer
push_func (gpointer data)
{
  Call *call = data;
  GstFlowReturn flow = gst_pad_push (call->rig->src, call->buffer);

  g_free (call);

  return GINT_TO_POINTER (flow);
}

WbTask *
wb_rig_push_task (WbRig *rig, GstBuffer *buffer)
{
  Call *call = g_new0 (Call, 1);

  call->rig = rig;
  call->buffer = buffer;

  return wb_task_new (push_func, call);
}

static gpointer
fill_func (gpointer data)
{
  Call *call = data;
  GstFlowReturn flow = GST_FLOW_OK;
  gsize done = 0;

  while (done < call->size && flow == GST_FLOW_OK) {
    gsize n = MIN (call->buffer_size, call->size - done);

    flow = gst_pad_push (
        call->rig->src, wb_buffer (call->position + done, n, call->seed));
    done += n;
  }
  g_free (call);

  return GINT_TO_POINTER (flow);
}

WbTask *
wb_rig_fill_task (
    WbRig *rig, guint64 position, gsize size, gsize buffer_size, guint seed)
{
  Call *call = g_new0 (Call, 1);

  call->rig = rig;
  call->position = position;
  call->size = size;
  call->buffer_size = buffer_size;
  call->seed = seed;

  return wb_task_new (fill_func, call);
}

static gpointer
eos_func (gpointer data)
{
  WbRig *rig = data;

  return GINT_TO_POINTER (gst_pad_push_event (rig->src, gst_event_new_eos ()));
}

WbTask *
wb_rig_eos_task (WbRig *rig)
{
  return wb_task_new (eos_func, rig);
}

static gpointer
state_func (gpointer data)
{
  Call *call = data;
  GstStateChangeReturn ret =
      gst_element_set_state (call->rig->sink, call->state);

  g_free (call);

  return GINT_TO_POINTER (ret);
}

WbTask *
wb_rig_state_task (WbRig *rig, GstState state)
{
  Call *call = g_new0 (Call, 1);

  call->rig = rig;
  call->state = state;

  return wb_task_new (state_func, call);
}

static GstStructure *
get_stats (GstElement *sink)
{
  GstStructure *stats = NULL;

  g_object_get (sink, "writeback-stats", &stats, NULL);
  fail_unless (stats != NULL);

  return stats;
}

guint64
wb_stat (GstElement *sink, const gchar *field)
{
  GstStructure *stats = get_stats (sink);
  guint64 value = 0;

  fail_unless (gst_structure_get_uint64 (stats, field, &value),
      "no uint64 field %s", field);
  gst_structure_free (stats);

  return value;
}

gchar *
wb_stat_string (GstElement *sink, const gchar *field)
{
  GstStructure *stats = get_stats (sink);
  gchar *value = g_strdup (gst_structure_get_string (stats, field));

  gst_structure_free (stats);

  return value;
}

gboolean
wb_stat_reaches (GstElement *sink, const gchar *field, guint64 value)
{
  gint64 deadline = g_get_monotonic_time () + WB_PATIENCE * G_TIME_SPAN_SECOND;

  while (wb_stat (sink, field) < value) {
    if (g_get_monotonic_time () > deadline)
      return FALSE;
    g_usleep (5000);
  }

  return TRUE;
}
