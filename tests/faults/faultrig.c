/* The element in a pipeline, on a table of calls that fail or hang.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "faultrig.h"

#include "../common/wbtest.h"
#include "element/gstwbfilesink.h"

#include <string.h>
#include <unistd.h>

/* Every few pieces the beginning of the group is patched. */
#define PATCH_EVERY (4 * RIG_PIECE)
#define PATCH_AT 16
#define PATCH_SIZE 8

struct _RigFeeder
{
  Rig *rig;
  RigPart part;
  GThread *thread;
  gint done;           /* atomic */
  gint64 eos_began_us; /* under the rig's lock, and the next */
  gint64 eos_took_us;
  guint64 next;
  GstFlowReturn flow;
};

static gint live_buffers; /* atomic: of all rigs, not freed */

/* --- bounds ---------------------------------------------------------------- */

void
rig_check_bound (
    gint64 began_us, gint64 bound_us, const gchar *what, gint64 *longest_us)
{
  gint64 took = g_get_monotonic_time () - began_us;

  if (longest_us != NULL)
    *longest_us = MAX (*longest_us, took);
  if (took > bound_us)
    case_end (CASE_LATE, "%s took %.2f s, at most %.2f s are allowed", what,
        took / 1e6, bound_us / 1e6);
}

GstStateChangeReturn
rig_set_state (GstElement *element, GstState state, gint64 bound_us,
    const gchar *what, gint64 *longest_us)
{
  gint64 began = g_get_monotonic_time ();
  GstStateChangeReturn change = gst_element_set_state (element, state);

  rig_check_bound (began, bound_us, what, longest_us);
  return change;
}

/* --- what was said --------------------------------------------------------- */

static void
note_free (gpointer data)
{
  RigNote *note = data;

  g_free (note->text);
  g_free (note->result);
  g_free (note);
}

static RigNote *
note_new (GstMessage *message)
{
  RigNote *note = g_new0 (RigNote, 1);
  const GstStructure *structure = gst_message_get_structure (message);
  g_autoptr (GError) error = NULL;

  note->type = GST_MESSAGE_TYPE (message);
  note->at_us = g_get_monotonic_time ();
  if (note->type == GST_MESSAGE_ERROR)
    gst_message_parse_error (message, &error, NULL);
  else if (note->type == GST_MESSAGE_WARNING)
    gst_message_parse_warning (message, &error, NULL);
  if (error != NULL) {
    note->domain = error->domain;
    note->code = error->code;
    note->text = g_strdup (error->message);
  } else if (structure != NULL) {
    note->text = g_strdup (gst_structure_get_name (structure));
    note->result = g_strdup (gst_structure_get_string (structure, "result"));
  }
  return note;
}

/* A start that failed: the base class says so after the element has. */
static gboolean
is_of_base_class (GstMessage *message)
{
  g_autoptr (GError) error = NULL;

  if (GST_MESSAGE_TYPE (message) != GST_MESSAGE_ERROR)
    return FALSE;
  gst_message_parse_error (message, &error, NULL);
  return g_error_matches (error, GST_CORE_ERROR, GST_CORE_ERROR_STATE_CHANGE);
}

static GstBusSyncReply
hear (GstBus *bus, GstMessage *message, gpointer data)
{
  const GstMessageType types =
      RIG_COMPLAINTS | GST_MESSAGE_ELEMENT | GST_MESSAGE_EOS;
  Rig *rig = data;

  if ((GST_MESSAGE_TYPE (message) & types) != 0
      && !is_of_base_class (message)) {
    g_mutex_lock (&rig->lock);
    g_ptr_array_add (rig->notes, note_new (message));
    g_mutex_unlock (&rig->lock);
  }
  gst_message_unref (message);
  return GST_BUS_DROP;
}

static const RigNote *
find_note (Rig *rig, GstMessageType types, guint n, guint *count)
{
  const RigNote *found = NULL;

  *count = 0;
  g_mutex_lock (&rig->lock);
  for (guint i = 0; i < rig->notes->len; i++) {
    const RigNote *note = g_ptr_array_index (rig->notes, i);

    if ((note->type & types) != 0 && (*count)++ == n)
      found = note;
  }
  g_mutex_unlock (&rig->lock);
  return found;
}

guint
rig_count (Rig *rig, GstMessageType types)
{
  guint count;

  find_note (rig, types, 0, &count);
  return count;
}

const RigNote *
rig_nth (Rig *rig, GstMessageType types, guint n)
{
  guint count;

  return find_note (rig, types, n, &count);
}

const gchar *
rig_complaint (Rig *rig)
{
  const RigNote *note = rig_nth (rig, RIG_COMPLAINTS, 0);

  return note != NULL ? note->text : "nothing";
}

const gchar *
rig_last_result (Rig *rig)
{
  const RigNote *note;
  const gchar *result = "none";

  for (guint i = 0; (note = rig_nth (rig, GST_MESSAGE_ELEMENT, i)) != NULL; i++)
    if (note->result != NULL && g_strcmp0 (note->text, "wbfilesink-sync") == 0)
      result = note->result;
  return result;
}

/* --- the rig ---------------------------------------------------------------- */

static void
set_properties (GstElement *sink, const gchar *properties)
{
  g_auto (GStrv) words = g_strsplit (properties, " ", -1);

  for (guint i = 0; words[i] != NULL; i++) {
    gchar *value = strchr (words[i], '=');

    case_check (value != NULL, "no value in %s", words[i]);
    *value++ = '\0';
    gst_util_set_object_arg (G_OBJECT (sink), words[i], value);
  }
}

void
rig_init (int *argc, char ***argv)
{
  g_setenv ("GST_REGISTRY_DISABLE", "yes", TRUE);
  gst_init (argc, argv);
}

Rig *
rig_new (const gchar *path, const gchar *properties)
{
  Rig *rig = g_new0 (Rig, 1);
  GstBus *bus;
  GstPad *pad;

  g_mutex_init (&rig->lock);
  rig->notes = g_ptr_array_new_with_free_func (note_free);
  rig->path = g_strdup (path);
  rig->model = g_byte_array_new ();
  rig->pipeline = gst_pipeline_new (NULL);
  bus = gst_element_get_bus (rig->pipeline);
  gst_bus_set_sync_handler (bus, hear, rig, NULL);
  gst_object_unref (bus);

  rig->sink = g_object_new (GST_TYPE_WB_FILE_SINK, NULL);
  gst_wb_file_sink_set_sys (GST_WB_FILE_SINK (rig->sink), fault_sys ());
  g_object_set (rig->sink, "location", path, NULL);
  set_properties (rig->sink, properties);
  gst_bin_add (GST_BIN (rig->pipeline), rig->sink);

  rig->src = gst_pad_new ("src", GST_PAD_SRC);
  pad = gst_element_get_static_pad (rig->sink, "sink");
  gst_pad_set_active (rig->src, TRUE);
  case_check (
      gst_pad_link (rig->src, pad) == GST_PAD_LINK_OK, "the pads do not link");
  gst_object_unref (pad);
  return rig;
}

static void
note_gone (gpointer data, GObject *object)
{
  g_atomic_int_set ((gint *) data, TRUE);
}

void
rig_free (Rig *rig)
{
  gint64 deadline = g_get_monotonic_time () + 10 * G_USEC_PER_SEC;
  GstPad *pad = gst_element_get_static_pad (rig->sink, "sink");
  gint gone = FALSE;

  gst_pad_unlink (rig->src, pad);
  gst_object_unref (pad);
  g_object_weak_ref (G_OBJECT (rig->sink), note_gone, &gone);
  gst_object_unref (rig->pipeline);
  /* A thread that posts may hold it for another moment. */
  while (!g_atomic_int_get (&gone)) {
    if (g_get_monotonic_time () > deadline)
      case_end (CASE_FAILED, "the element is still referenced");
    g_usleep (1000);
  }
  gst_object_unref (rig->src);
  g_ptr_array_unref (rig->notes);
  g_byte_array_unref (rig->model);
  g_mutex_clear (&rig->lock);
  g_free (rig->path);
  g_free (rig);
}

/* --- content ---------------------------------------------------------------- */

/* What is patched later is zero until then, so that every byte of a file that
 * was given up is the final one, or zero. */
static guint8 *
piece_bytes (guint64 at, guint seed)
{
  guint8 *bytes = wb_pattern (at, RIG_PIECE, seed);

  if (at % PATCH_EVERY == 0)
    memset (bytes + PATCH_AT, 0, PATCH_SIZE);
  return bytes;
}

static gboolean
is_patched_after (guint64 at)
{
  return (at + RIG_PIECE) % PATCH_EVERY == 0;
}

static guint64
patch_position (guint64 at)
{
  return at + RIG_PIECE - PATCH_EVERY + PATCH_AT;
}

static void
model_piece (GByteArray *model, guint64 at, guint seed)
{
  g_autofree guint8 *bytes = piece_bytes (at, seed);

  wb_model_write (model, at, bytes, RIG_PIECE);
}

static void
model_patch (GByteArray *model, guint64 at, guint seed)
{
  guint8 patch[PATCH_SIZE];

  wb_pattern_fill (patch, patch_position (at), PATCH_SIZE, seed);
  wb_model_write (model, patch_position (at), patch, PATCH_SIZE);
}

void
rig_model (GByteArray *model, const RigPart *part)
{
  for (guint64 at = part->from; at < part->to; at += RIG_PIECE) {
    model_piece (model, at, part->seed);
    if (is_patched_after (at))
      model_patch (model, at, part->seed);
  }
}

static void
read_file (const gchar *path, gchar **content, gsize *size)
{
  g_autoptr (GError) error = NULL;

  case_check (g_file_get_contents (path, content, size, &error), "%s",
      error != NULL ? error->message : path);
}

void
rig_assert_content (const gchar *path, const GByteArray *model)
{
  g_autofree gchar *content = NULL;
  g_autofree gchar *difference = NULL;
  gsize size;

  read_file (path, &content, &size);
  difference = wb_difference (content, size, model->data, model->len);
  case_check (difference == NULL, "%s: %s", path, difference);
}

static gboolean
has_byte (const GByteArray *model, gsize at, guint8 byte)
{
  return model != NULL && at < model->len && model->data[at] == byte;
}

void
rig_assert_within (
    const gchar *path, const GByteArray *model, const GByteArray *other)
{
  gsize most = MAX (model->len, other != NULL ? other->len : 0), size;
  g_autofree gchar *content = NULL;

  if (!g_file_test (path, G_FILE_TEST_EXISTS))
    return;
  read_file (path, &content, &size);
  case_check (size <= most,
      "%s: %" G_GSIZE_FORMAT " bytes, at most %" G_GSIZE_FORMAT
      " were asked for",
      path, size, most);
  for (gsize i = 0; i < size; i++) {
    guint8 byte = (guint8) content[i];

    case_check (
        byte == 0 || has_byte (model, i, byte) || has_byte (other, i, byte),
        "%s: byte %" G_GSIZE_FORMAT " is none that was asked for", path, i);
  }
}

/* --- feeding ---------------------------------------------------------------- */

static void
count_free (gpointer data)
{
  g_free (data);
  g_atomic_int_add (&live_buffers, -1);
}

static GstBuffer *
counted_buffer (guint8 *bytes, gsize size)
{
  g_atomic_int_inc (&live_buffers);
  return gst_buffer_new_wrapped_full (
      0, bytes, size, 0, size, bytes, count_free);
}

static void
push_segment (Rig *rig, guint64 start, guint64 duration)
{
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_BYTES);
  segment.start = segment.position = start;
  segment.duration = duration;
  gst_pad_push_event (rig->src, gst_event_new_segment (&segment));
}

/* Back, 8 bytes, and forward again. */
static GstFlowReturn
push_patch (Rig *rig, const RigPart *part, guint64 at)
{
  guint64 position = patch_position (at);
  GstFlowReturn flow;

  push_segment (rig, position, part->to);
  flow = gst_pad_push (rig->src,
      counted_buffer (
          wb_pattern (position, PATCH_SIZE, part->seed), PATCH_SIZE));
  push_segment (rig, at + RIG_PIECE, part->to);
  if (flow == GST_FLOW_OK)
    model_patch (rig->model, at, part->seed);
  return flow;
}

static GstFlowReturn
push_eos (RigFeeder *feeder)
{
  Rig *rig = feeder->rig;
  gboolean handled;

  g_mutex_lock (&rig->lock);
  feeder->eos_began_us = g_get_monotonic_time ();
  g_mutex_unlock (&rig->lock);
  handled = gst_pad_push_event (rig->src, gst_event_new_eos ());
  g_mutex_lock (&rig->lock);
  feeder->eos_took_us = g_get_monotonic_time () - feeder->eos_began_us;
  g_mutex_unlock (&rig->lock);
  return handled ? GST_FLOW_EOS : GST_FLOW_FLUSHING;
}

static gpointer
feed (gpointer data)
{
  RigFeeder *feeder = data;
  const RigPart *part = &feeder->part;
  GstFlowReturn flow = GST_FLOW_OK;
  Rig *rig = feeder->rig;

  gst_pad_push_event (rig->src, gst_event_new_stream_start ("stream"));
  push_segment (rig, part->from, part->to);
  while (flow == GST_FLOW_OK && feeder->next < part->to) {
    guint64 at = feeder->next;

    flow = gst_pad_push (
        rig->src, counted_buffer (piece_bytes (at, part->seed), RIG_PIECE));
    if (flow == GST_FLOW_OK)
      model_piece (rig->model, at, part->seed);
    if (flow == GST_FLOW_OK && is_patched_after (at))
      flow = push_patch (rig, part, at);
    if (flow == GST_FLOW_OK)
      feeder->next += RIG_PIECE;
  }
  if (flow == GST_FLOW_OK && part->linger_us > 0)
    g_usleep (part->linger_us);
  if (flow == GST_FLOW_OK && part->eos)
    flow = push_eos (feeder);
  feeder->flow = flow;
  g_atomic_int_set (&feeder->done, TRUE);
  return NULL;
}

RigFeeder *
rig_feed (Rig *rig, const RigPart *part)
{
  RigFeeder *feeder = g_new0 (RigFeeder, 1);

  feeder->rig = rig;
  feeder->part = *part;
  feeder->next = part->from;
  feeder->thread = g_thread_new ("feeder", feed, feeder);
  return feeder;
}

gboolean
rig_feeder_is_done (RigFeeder *feeder)
{
  return g_atomic_int_get (&feeder->done);
}

gint64
rig_feeder_eos_us (RigFeeder *feeder)
{
  gint64 took = 0;

  g_mutex_lock (&feeder->rig->lock);
  if (feeder->eos_took_us != 0)
    took = feeder->eos_took_us;
  else if (feeder->eos_began_us != 0)
    took = g_get_monotonic_time () - feeder->eos_began_us;
  g_mutex_unlock (&feeder->rig->lock);
  return took;
}

GstFlowReturn
rig_feeder_end (RigFeeder *feeder, RigPart *rest)
{
  GstFlowReturn flow;

  g_thread_join (feeder->thread);
  flow = feeder->flow;
  if (rest != NULL) {
    *rest = feeder->part;
    rest->from = feeder->next;
  }
  g_free (feeder);
  return flow;
}

void
rig_flush (Rig *rig, RigFeeder *feeder, gint64 bound_us, gint64 *longest_us)
{
  gint64 began = g_get_monotonic_time ();

  gst_pad_push_event (rig->src, gst_event_new_flush_start ());
  if (feeder != NULL)
    rig_feeder_end (feeder, NULL);
  gst_pad_push_event (rig->src, gst_event_new_flush_stop (TRUE));
  rig_check_bound (began, bound_us, "the flush", longest_us);
}

guint64
rig_stat (Rig *rig, const gchar *name)
{
  GstStructure *stats = NULL;
  guint64 value = 0;

  g_object_get (rig->sink, "writeback-stats", &stats, NULL);
  case_check (gst_structure_get_uint64 (stats, name, &value),
      "there is no figure %s", name);
  gst_structure_free (stats);
  return value;
}

/* --- what is left ------------------------------------------------------------ */

static guint
count_descriptors (const gchar *directory)
{
  GDir *fds = g_dir_open ("/proc/self/fd", 0, NULL);
  const gchar *fd;
  guint n = 0;

  while (fds != NULL && (fd = g_dir_read_name (fds)) != NULL) {
    g_autofree gchar *path = g_build_filename ("/proc/self/fd", fd, NULL);
    g_autofree gchar *target = g_file_read_link (path, NULL);

    n += target != NULL && g_str_has_prefix (target, directory);
  }
  g_clear_pointer (&fds, g_dir_close);
  return n;
}

void
rig_assert_nothing_left (const gchar *directory, gdouble scale)
{
  gint64 deadline =
      g_get_monotonic_time () + (gint64) (5 * scale * G_USEC_PER_SEC);

  for (;;) {
    guint fds = count_descriptors (directory);
    guint threads = fault_count_threads ();
    gint held = g_atomic_int_get (&live_buffers);

    if (fds == 0 && threads == 0 && held == 0 && fault_open_descriptors () == 0)
      return;
    if (g_get_monotonic_time () > deadline)
      case_end (CASE_FAILED,
          "%u descriptors, %u threads, %d buffers are left behind", fds,
          threads, held);
    g_usleep (1000);
  }
}
