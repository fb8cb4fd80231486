/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the tests of the element share; wbtest.h says how it is meant.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "wbtest.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

/* The directory of this program, and the one of the test that runs */
static gchar *program_dir;
static gchar *test_dir;

/*** The program **************************************************************/

gint
wb_main (int argc, char **argv, WbSuiteFunc suite, const gchar *name,
    const gchar *file)
{
  gint ret;

  gst_check_init (&argc, &argv);

  program_dir = g_dir_make_tmp ("wbfilesink-XXXXXX", NULL);
  if (program_dir == NULL)
    g_error ("no directory for the test's files: %s", g_strerror (errno));

  ret = gst_check_run_suite (suite (), name, file);

  wb_remove_tree (program_dir);
  g_clear_pointer (&program_dir, g_free);

  return ret;
}

static void
make_test_dir (void)
{
  test_dir = g_build_filename (program_dir, "XXXXXX", NULL);
  fail_unless (g_mkdtemp (test_dir) != NULL);
}

static void
remove_test_dir (void)
{
  wb_remove_tree (test_dir);
  g_clear_pointer (&test_dir, g_free);
}

TCase *
wb_tcase (Suite *suite, const gchar *name)
{
  TCase *tcase = tcase_create (name);

  tcase_set_timeout (tcase, 100);
  tcase_add_checked_fixture (tcase, make_test_dir, remove_test_dir);
  suite_add_tcase (suite, tcase);

  return tcase;
}

gint
wb_skip_all (const gchar *format, ...)
{
  va_list args;
  gchar *reason;

  va_start (args, format);
  reason = g_strdup_vprintf (format, args);
  va_end (args);
  g_print ("skipped: %s\n", reason);
  g_free (reason);

  return 77;
}

const gchar *
wb_sink_name (void)
{
  const gchar *name = g_getenv ("WB_TEST_SINK");

  return name != NULL ? name : "wbfilesink";
}

gboolean
wb_sink_is_filesink (void)
{
  return g_str_equal (wb_sink_name (), "filesink");
}

/*** Files ********************************************************************/

gchar *
wb_path (const gchar *name)
{
  return g_build_filename (test_dir, name, NULL);
}

void
wb_file_write (const gchar *path, gconstpointer data, gsize size)
{
  fail_unless (g_file_set_contents (path, data, size, NULL));
}

GByteArray *
wb_file_read (const gchar *path)
{
  gchar *data;
  gsize size;

  fail_unless (g_file_get_contents (path, &data, &size, NULL), "%s: %s", path,
      g_strerror (errno));

  return g_byte_array_new_take ((guint8 *) data, size);
}

gint64
wb_file_size (const gchar *path)
{
  GStatBuf st;

  if (g_stat (path, &st) != 0)
    return -1;

  return st.st_size;
}

gboolean
wb_file_reaches (const gchar *path, gint64 size)
{
  gint64 deadline = g_get_monotonic_time () + WB_PATIENCE * G_TIME_SPAN_SECOND;

  while (wb_file_size (path) < size) {
    if (g_get_monotonic_time () > deadline)
      return FALSE;
    g_usleep (5000);
  }

  return TRUE;
}

static int
remove_one (const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  return g_remove (path);
}

void
wb_remove_tree (const gchar *path)
{
  nftw (path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static guint
count_entries (const gchar *path)
{
  GDir *dir = g_dir_open (path, 0, NULL);
  guint n = 0;

  if (dir == NULL)
    return 0;
  while (g_dir_read_name (dir) != NULL)
    n++;
  g_dir_close (dir);

  return n;
}

guint
wb_count_fds (void)
{
  return count_entries ("/proc/self/fd");
}

guint
wb_count_threads (void)
{
  return count_entries ("/proc/self/task");
}

gchar *
wb_difference (
    gconstpointer got, gsize got_size, gconstpointer wanted, gsize wanted_size)
{
  const guint8 *a = got, *b = wanted;
  gsize n = MIN (got_size, wanted_size);
  gsize i = 0;

  if (got_size == wanted_size && (n == 0 || memcmp (a, b, n) == 0))
    return NULL;

  while (i < n && a[i] == b[i])
    i++;
  if (i == n)
    return g_strdup_printf ("%" G_GSIZE_FORMAT
                            " bytes instead of %" G_GSIZE_FORMAT
                            ", equal as far as both go",
        got_size, wanted_size);

  return g_strdup_printf ("at byte %" G_GSIZE_FORMAT
                          ": 0x%02x instead of 0x%02x (%" G_GSIZE_FORMAT
                          " bytes, %" G_GSIZE_FORMAT " wanted)",
      i, a[i], b[i], got_size, wanted_size);
}

void
wb_assert_same_file (const gchar *path, gint64 offset, const gchar *wanted_path)
{
  const gsize step = WB_MIB (1);
  guint8 *got = g_malloc (step), *wanted = g_malloc (step);
  FILE *a = g_fopen (path, "rb"), *b = g_fopen (wanted_path, "rb");
  gint64 at = 0;
  gsize n, m;

  fail_unless (a != NULL && b != NULL);
  fail_unless (fseeko (a, offset, SEEK_SET) == 0);
  do {
    gchar *difference;

    n = fread (got, 1, step, a);
    m = fread (wanted, 1, step, b);
    difference = wb_difference (got, n, wanted, m);
    fail_unless (difference == NULL, "from byte %" G_GINT64_FORMAT " on: %s",
        at, difference);
    at += n;
  } while (n > 0);
  fclose (a);
  fclose (b);
  g_free (got);
  g_free (wanted);
}

/*** Contents *****************************************************************/

void
wb_pattern_fill (guint8 *data, guint64 position, gsize size, guint seed)
{
  guint64 word = 0;
  gsize i;

  for (i = 0; i < size; i++, position++) {
    if (i == 0 || position % 8 == 0) {
      /* splitmix64 of the position's number */
      word = (position / 8 + ((guint64) seed << 40) + 1)
          * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);
      word = (word ^ (word >> 30)) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
      word = (word ^ (word >> 27)) * G_GUINT64_CONSTANT (0x94d049bb133111eb);
      word ^= word >> 31;
    }
    data[i] = word >> (position % 8 * 8);
  }
}

guint8 *
wb_pattern (guint64 position, gsize size, guint seed)
{
  guint8 *data = g_malloc (MAX (size, 1));

  wb_pattern_fill (data, position, size, seed);

  return data;
}

GstBuffer *
wb_buffer (guint64 position, gsize size, guint seed)
{
  return gst_buffer_new_wrapped (wb_pattern (position, size, seed), size);
}

GstBuffer *
wb_buffer_from (gconstpointer data, gsize size)
{
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, size, NULL);

  gst_buffer_fill (buffer, 0, data, size);

  return buffer;
}

void
wb_model_write (
    GByteArray *model, guint64 position, gconstpointer data, gsize size)
{
  if (size == 0)
    return;

  if (position + size > model->len) {
    guint old = model->len;

    g_byte_array_set_size (model, position + size);
    memset (model->data + old, 0, model->len - old);
  }
  memcpy (model->data + position, data, size);
}

/*** Tasks ********************************************************************/

struct _WbTask
{
  GThread *thread;
  GMutex lock;
  GCond cond;
  gboolean done;
  WbTaskFunc func;
  gpointer data;
};

static gpointer
run_task (gpointer data)
{
  WbTask *task = data;
  gpointer ret = task->func (task->data);

  g_mutex_lock (&task->lock);
  task->done = TRUE;
  g_cond_signal (&task->cond);
  g_mutex_unlock (&task->lock);

  return ret;
}

WbTask *
wb_task_new (WbTaskFunc func, gpointer data)
{
  WbTask *task = g_new0 (WbTask, 1);

  g_mutex_init (&task->lock);
  g_cond_init (&task->cond);
  task->func = func;
  task->data = data;
  task->thread = g_thread_new ("test-task", run_task, task);

  return task;
}

gboolean
wb_task_ends_within (WbTask *task, gdouble seconds)
{
  gint64 deadline = g_get_monotonic_time () + seconds * G_TIME_SPAN_SECOND;
  gboolean done;

  g_mutex_lock (&task->lock);
  while (!task->done && g_cond_wait_until (&task->cond, &task->lock, deadline))
    ;
  done = task->done;
  g_mutex_unlock (&task->lock);

  return done;
}

gpointer
wb_task_finish (WbTask *task, const gchar *what)
{
  gpointer ret;

  fail_unless (wb_task_ends_within (task, WB_PATIENCE), "%s hangs", what);

  ret = g_thread_join (task->thread);
  g_mutex_clear (&task->lock);
  g_cond_clear (&task->cond);
  g_free (task);

  return ret;
}

/*** The rig ******************************************************************/

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

/*** FIFOs ********************************************************************/

WbFifo *
wb_fifo_new (void)
{
  WbFifo *fifo = g_new0 (WbFifo, 1);

  fifo->path = wb_path ("fifo");
  fail_unless (mkfifo (fifo->path, 0600) == 0);
  fifo->fd = open (fifo->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  fail_unless (fifo->fd >= 0);
  fifo->bytes = g_byte_array_new ();

  return fifo;
}

void
wb_fifo_free (WbFifo *fifo)
{
  if (fifo->task != NULL)
    wb_fifo_finish (fifo);
  wb_fifo_hang_up (fifo);
  g_byte_array_unref (fifo->bytes);
  g_free (fifo->path);
  g_free (fifo);
}

static gpointer
read_func (gpointer data)
{
  WbFifo *fifo = data;
  guint8 *room = g_malloc (fifo->step);
  struct pollfd pollfd = { fifo->fd, POLLIN, 0 };
  ssize_t n;

  while (poll (&pollfd, 1, WB_PATIENCE * 1000) > 0) {
    n = read (fifo->fd, room, fifo->step);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
      continue;
    if (n <= 0)
      break;
    g_byte_array_append (fifo->bytes, room, n);
    if (fifo->pause > 0)
      g_usleep (fifo->pause);
  }
  g_free (room);

  return NULL;
}

void
wb_fifo_read (WbFifo *fifo, gsize step, gulong pause)
{
  fifo->step = step;
  fifo->pause = pause;
  fifo->task = wb_task_new (read_func, fifo);
}

void
wb_fifo_finish (WbFifo *fifo)
{
  wb_task_finish (g_steal_pointer (&fifo->task), "the FIFO's reader");
}

void
wb_fifo_hang_up (WbFifo *fifo)
{
  if (fifo->fd >= 0)
    close (fifo->fd);
  fifo->fd = -1;
}
