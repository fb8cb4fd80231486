/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the tests of the element share.
 *
 * A rig is the sink alone with a pad in front of it and a bus of its own: no
 * pipeline gathers, delays or flushes what the element says, so that a test
 * sees every message, in order, and knows which of its calls caused it. Calls
 * that may block run as a task, and are given WB_PATIENCE to return; that is
 * there to catch a hang, nothing here measures time.
 *
 * Every test gets a directory of its own. All of them lie in one, which the
 * parent process removes at the end, also when a test has crashed.
 */

#pragma once

#include <gst/check/gstcheck.h>

G_BEGIN_DECLS

/* In seconds. Long enough for a loaded machine with a slow disk, shorter than
 * the time limit of a test, so that it is the test that tells what hung. */
#define WB_PATIENCE 40

#define WB_KIB(n) ((gsize) (n) *1024)
#define WB_MIB(n) ((gsize) (n) *1024 * 1024)

/* The smallest window that still makes a small file go through all of
 * write-out: two batches, cut in chunks of one. */
#define WB_TINY_WINDOW "max-dirty-bytes=2097152 chunk-size=1048576"

/* The program */

typedef Suite *(*WbSuiteFunc) (void);

gint wb_main (int argc, char **argv, WbSuiteFunc suite, const gchar *name,
    const gchar *file);

#define WB_TEST_MAIN(name)                                                     \
  int main (int argc, char **argv)                                             \
  {                                                                            \
    return wb_main (argc, argv, name##_suite, #name, __FILE__);                \
  }

TCase *wb_tcase (Suite *suite, const gchar *name);
/* In the directory of the test that runs. */
gchar *wb_path (const gchar *name);

/* A program that cannot show anything here says why and returns this. */
gint wb_skip_all (const gchar *format, ...) G_GNUC_PRINTF (1, 2);

#define wb_skip(reason) g_print ("skipped: %s: %s\n", G_STRFUNC, reason)

/* The element under test: wbfilesink, or filesink where it is checked that
 * filesink does the same (then own properties are not set). */
const gchar *wb_sink_name (void);
gboolean wb_sink_is_filesink (void);

/* Leaves a test that is about what only wbfilesink does. */
#define WB_OWN_TEST()                                                          \
  G_STMT_START                                                                 \
  {                                                                            \
    if (wb_sink_is_filesink ()) {                                              \
      wb_skip ("filesink does not do this");                                   \
      return;                                                                  \
    }                                                                          \
  }                                                                            \
  G_STMT_END

/* Files */

void wb_file_write (const gchar *path, gconstpointer data, gsize size);
GByteArray *wb_file_read (const gchar *path);
gint64 wb_file_size (const gchar *path);
gboolean wb_file_reaches (const gchar *path, gint64 size);
void wb_remove_tree (const gchar *path);
guint wb_count_fds (void);
guint wb_count_threads (void);

/* Where two runs of bytes differ first, in words, or NULL */
gchar *wb_difference (
    gconstpointer got, gsize got_size, gconstpointer wanted, gsize wanted_size);

#define wb_assert_bytes(got, got_size, wanted, wanted_size)                    \
  G_STMT_START                                                                 \
  {                                                                            \
    gchar *__d = wb_difference (got, got_size, wanted, wanted_size);           \
    fail_unless (__d == NULL, "%s", __d);                                      \
  }                                                                            \
  G_STMT_END

#define wb_assert_file(path, wanted, wanted_size)                              \
  G_STMT_START                                                                 \
  {                                                                            \
    GByteArray *__b = wb_file_read (path);                                     \
    wb_assert_bytes (__b->data, __b->len, wanted, wanted_size);                \
    g_byte_array_unref (__b);                                                  \
  }                                                                            \
  G_STMT_END

/* From an offset on, a file is another one; they may be larger than memory. */
void wb_assert_same_file (
    const gchar *path, gint64 offset, const gchar *wanted_path);

/* Contents */

/* The byte that belongs at a position: all bytes near it differ from those
 * near any other, so that what lands at a wrong place is noticed. */
void wb_pattern_fill (guint8 *data, guint64 position, gsize size, guint seed);
guint8 *wb_pattern (guint64 position, gsize size, guint seed);
GstBuffer *wb_buffer (guint64 position, gsize size, guint seed);
GstBuffer *wb_buffer_from (gconstpointer data, gsize size);

/* What the file should hold: a write past the end leaves zeroes. */
void wb_model_write (
    GByteArray *model, guint64 position, gconstpointer data, gsize size);

/* Tasks: calls that may block */

typedef struct _WbTask WbTask;
typedef gpointer (*WbTaskFunc) (gpointer data);

WbTask *wb_task_new (WbTaskFunc func, gpointer data);
gboolean wb_task_ends_within (WbTask *task, gdouble seconds);
gpointer wb_task_finish (WbTask *task, const gchar *what);

/* The rig */

typedef struct
{
  GstElement *sink;
  GstPad *src;
  GstBus *bus;
  /* Every message seen so far, in order */
  GPtrArray *seen;
} WbRig;

/* properties: "append=true chunk-size=1048576", or NULL */
WbRig *wb_rig_new (const gchar *location, const gchar *properties);
void wb_rig_free (WbRig *rig);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (WbRig, wb_rig_free)

void wb_rig_set (WbRig *rig, const gchar *properties);
GstStateChangeReturn wb_rig_state (WbRig *rig, GstState state);
void wb_rig_begin (WbRig *rig, GstFormat format);
void wb_rig_play (WbRig *rig, GstFormat format);
gboolean wb_rig_send (WbRig *rig, GstEvent *event);
gboolean wb_rig_segment (WbRig *rig, GstFormat format, guint64 start);
#define wb_rig_seek(rig, start) wb_rig_segment (rig, GST_FORMAT_BYTES, start)
void wb_rig_fill (WbRig *rig, guint64 position, gsize size, guint seed);
void wb_rig_write (WbRig *rig, gconstpointer data, gsize size);
gboolean wb_rig_eos (WbRig *rig);
void wb_rig_flush (WbRig *rig);
gint64 wb_rig_position (WbRig *rig);

/* Takes what the bus holds; the count is over all that was ever seen. */
guint wb_rig_count (WbRig *rig, GstMessageType type);
GstMessage *wb_rig_nth (WbRig *rig, GstMessageType type, guint n);
GstMessage *wb_rig_await (WbRig *rig, GstMessageType type);
guint wb_rig_count_syncs (WbRig *rig);
const GstStructure *wb_rig_nth_sync (WbRig *rig, guint n);
const gchar *wb_rig_nth_result (WbRig *rig, guint n);
/* Nothing but clean ends so far */
void wb_rig_assert_quiet (WbRig *rig);
/* One ERROR, of this code of the RESOURCE domain */
void wb_rig_assert_error (WbRig *rig, GstResourceError code);

/* wb_rig_*() that may block, as tasks; buffers are given away. */
WbTask *wb_rig_push_task (WbRig *rig, GstBuffer *buffer);
WbTask *wb_rig_fill_task (
    WbRig *rig, guint64 position, gsize size, gsize buffer_size, guint seed);
WbTask *wb_rig_eos_task (WbRig *rig);
WbTask *wb_rig_state_task (WbRig *rig, GstState state);

#define wb_task_flow(task, what)                                               \
  ((GstFlowReturn) GPOINTER_TO_INT (wb_task_finish (task, what)))
#define wb_task_state(task, what)                                              \
  ((GstStateChangeReturn) GPOINTER_TO_INT (wb_task_finish (task, what)))
#define wb_task_bool(task, what) (GPOINTER_TO_INT (wb_task_finish (task, what)))

guint64 wb_stat (GstElement *sink, const gchar *field);
gchar *wb_stat_string (GstElement *sink, const gchar *field);
/* Until a figure gets there; WB_PATIENCE */
gboolean wb_stat_reaches (GstElement *sink, const gchar *field, guint64 value);

/* FIFOs: a target that stops taking when the test wants it to */

typedef struct
{
  gchar *path;
  int fd;
  guint64 taken;
  GByteArray *bytes;
  gsize step;
  gulong pause;
  WbTask *task;
} WbFifo;

/* Open for reading, so that a writer's open returns; nothing is read. */
WbFifo *wb_fifo_new (void);
void wb_fifo_free (WbFifo *fifo);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (WbFifo, wb_fifo_free)
/* Reads in steps with a pause of microseconds after each, until the writer
 * has closed; to be called when it has opened. */
void wb_fifo_read (WbFifo *fifo, gsize step, gulong pause);
/* Until then; all that was read is in bytes. */
void wb_fifo_finish (WbFifo *fifo);
void wb_fifo_hang_up (WbFifo *fifo);

G_END_DECLS
