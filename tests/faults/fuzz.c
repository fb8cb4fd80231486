/* Hostile input: events and buffers in any order, with any figures in them,
 * while another thread changes states, flushes and asks. Nothing crashes, hangs
 * or writes what was not asked for where it was not asked for.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A run is made of one number. Half of the runs are tame: what they do has one
 * outcome, and the file is compared with it byte for byte. The others are wild:
 * each byte of the file is one that was asked for at that place, or a hole; and
 * for half of these the disk's calls fail, are slow or hang for a while.
 * Files are sparse and terabytes long; only what lies in them is read.
 *
 *   FUZZ_SECONDS  how long (5)
 *   FUZZ_SEED     the first number (of the time); the next run has the next one
 *   FUZZ_RUNS     how many runs, instead of for how long
 */
#include "config.h"
#include "faultrig.h"

#include "../common/wbtest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define JOBS 8
#define BATCH 64
#define RUN_SECONDS 30
#define DEFAULT_SECONDS 5

#define PAGE ((guint64) 4096)
#define OPERATIONS 120
#define MOST_BYTES (G_GUINT64_CONSTANT (4) << 20)
#define OLD_BYTES 100000
#define SLOW_US (200 * 1000)

/* What GStreamer itself has to say of such input: its pads of events that are
 * out of order, its base class of segments that cannot be reckoned with. */
static const gchar *const gstreamer_complaints[] = {
  "Sticky event misordering",
  "Got data flow before stream-start event",
  "Got data flow before segment event",
  "gst_segment_to_running_time_full: assertion 'stop ",
  "gst_segment_position_from_running_time: assertion 'segment->format == ",
  NULL,
};

/* --- the model ----------------------------------------------------------------- */

typedef struct
{
  guint8 bytes[4096];
  guint8 asked[4096 / 8];
} Page;

typedef struct
{
  GHashTable *pages; /* by number */
  guint64 size;
} Model;

static void
model_init (Model *model)
{
  model->pages =
      g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, g_free);
  model->size = 0;
}

static Page *
model_page (Model *model, guint64 number)
{
  gint64 key = (gint64) number;
  Page *page = g_hash_table_lookup (model->pages, &key);

  if (page == NULL) {
    gint64 *own = g_new (gint64, 1);

    *own = key;
    page = g_new0 (Page, 1);
    g_hash_table_insert (model->pages, own, page);
  }
  return page;
}

static void
model_write (Model *model, guint64 offset, const guint8 *data, gsize size)
{
  for (gsize i = 0; i < size; i++) {
    guint64 at = offset + i;
    Page *page = model_page (model, at / PAGE);

    page->bytes[at % PAGE] = data[i];
    page->asked[at % PAGE / 8] |= 1 << at % 8;
  }
  if (size > 0)
    model->size = MAX (model->size, offset + size);
}

static void
model_truncate (Model *model, guint64 size)
{
  GHashTableIter iter;
  gpointer key, value;

  g_hash_table_iter_init (&iter, model->pages);
  while (g_hash_table_iter_next (&iter, &key, &value)) {
    guint64 start = (guint64) * (gint64 *) key * PAGE;

    if (start >= size)
      g_hash_table_iter_remove (&iter);
    else if (start + PAGE > size)
      memset (
          ((Page *) value)->bytes + (size - start), 0, PAGE - (size - start));
  }
  model->size = size;
}

/* --- a run ------------------------------------------------------------------------ */

typedef struct
{
  GRand *rand;         /* the streaming thread's */
  GRand *control_rand; /* the other one's */
  gboolean tame;
  gboolean overwrite;
  guint64 base;
  guint64 limit; /* no file is longer on this file system */
  Rig *rig;
  GstPad *pad;
  Model model;
  guint64 position; /* as it should be; tame */
  guint64 bytes;
  guint seed;          /* of the next buffer's bytes */
  gboolean refused;    /* a seek was, or may have been */
  gboolean broken;     /* a write was beyond what a file can have, */
  guint64 broken_from; /* at this offset */
  gint done;           /* atomic: the streaming thread is */
} Run;

static gboolean
chance (GRand *rand, gint of)
{
  return g_rand_int_range (rand, 0, of) == 0;
}

static guint64
any_u64 (GRand *rand)
{
  static const guint64 edges[] = { 0, 1, G_MAXINT32, G_MAXUINT32,
    G_MAXINT64 - 1, G_MAXINT64, (guint64) G_MAXINT64 + 1, G_MAXUINT64 - 1,
    G_MAXUINT64 };

  switch (g_rand_int_range (rand, 0, 4)) {
    case 0:
      return edges[g_rand_int_range (rand, 0, G_N_ELEMENTS (edges))];
    case 1:
      return (G_GUINT64_CONSTANT (1) << g_rand_int_range (rand, 0, 64))
          + g_rand_int_range (rand, -5000, 5000);
    case 2:
      return (guint64) g_rand_int (rand) << 32 | g_rand_int (rand);
    default:
      return g_rand_int_range (rand, 0, 1 << 20);
  }
}

/* Where a file can have bytes, mostly. */
static guint64
place (Run *run)
{
  switch (g_rand_int_range (run->rand, 0, 10)) {
    case 0:
      return G_GUINT64_CONSTANT (1) << g_rand_int_range (run->rand, 20, 44);
    case 1:
      return run->limit - (guint64) g_rand_int_range (run->rand, 0, 1 << 17);
    case 2:
      return run->model.size - MIN (run->model.size, run->base);
    default:
      return g_rand_int_range (run->rand, 0, 1 << 20);
  }
}

static gsize
any_size (GRand *rand)
{
  static const gsize sizes[] = { 0, 1, 7, 188, 4095, 4096, 8192, 8193, 65536 };

  if (chance (rand, 40))
    return g_rand_int_range (rand, 1 << 20, 3 << 19);
  return chance (rand, 2)
      ? sizes[g_rand_int_range (rand, 0, G_N_ELEMENTS (sizes))]
      : (gsize) g_rand_int_range (rand, 0, 20000);
}

static guint64
asked_position (Run *run)
{
  GstQuery *query = gst_query_new_position (GST_FORMAT_BYTES);
  gint64 position = -1;

  case_check (gst_pad_query (run->pad, query), "no position");
  gst_query_parse_position (query, NULL, &position);
  gst_query_unref (query);
  return (guint64) position;
}

/* --- what is sent ----------------------------------------------------------------- */

static gsize
at_most (GRand *rand, gsize size)
{
  gsize n = g_rand_int_range (rand, 0, 3000);

  return MIN (n, size);
}

/* Of several memories, with room before and behind what counts, and some that
 * are empty. */
static GstBuffer *
make_buffer (Run *run, const guint8 *data, gsize size)
{
  guint memories =
      chance (run->rand, 3) ? g_rand_int_range (run->rand, 0, 12) : 1;
  GstBuffer *buffer = gst_buffer_new ();
  gsize done = 0;

  for (guint i = 0; i < memories || done < size; i++) {
    gsize n = size - done;
    gsize before = g_rand_int_range (run->rand, 0, 20), room;
    guint8 *bytes;

    if (i + 1 < memories)
      n = at_most (run->rand, n);
    room = before + n + 10;
    bytes = g_malloc0 (room);
    memcpy (bytes + before, data + done, n);
    gst_buffer_append_memory (buffer,
        gst_memory_new_wrapped (0, bytes, room, before, n, bytes, g_free));
    done += n;
  }
  if (chance (run->rand, 30))
    GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_SYNC_AFTER);
  /* A TIME segment would cut those that have a time. */
  if (!run->tame && chance (run->rand, 2)) {
    GST_BUFFER_PTS (buffer) = any_u64 (run->rand);
    GST_BUFFER_DTS (buffer) = any_u64 (run->rand);
    GST_BUFFER_DURATION (buffer) = any_u64 (run->rand);
  }
  return buffer;
}

static GstFlowReturn
send_list (Run *run, const guint8 *data, gsize size)
{
  GstBufferList *list = gst_buffer_list_new ();
  gsize done = 0;

  while (done < size || chance (run->rand, 3)) {
    gsize n = any_size (run->rand);

    n = MIN (n, size - done);

    gst_buffer_list_add (list, make_buffer (run, data + done, n));
    done += n;
  }
  return gst_pad_chain_list (run->pad, list);
}

/* What was accepted is exactly what the model has. */
static void
judge_tame_data (Run *run, const guint8 *data, gsize size, GstFlowReturn flow)
{
  guint64 after = asked_position (run);
  guint64 offset = run->base + run->position;
  gboolean accepted = after != run->position;

  case_check (!accepted || after == run->position + size,
      "at %" G_GUINT64_FORMAT " after %" G_GSIZE_FORMAT
      " bytes at %" G_GUINT64_FORMAT,
      after, size, run->position);
  case_check (accepted || flow != GST_FLOW_OK || size == 0,
      "OK, and nothing was accepted at %" G_GUINT64_FORMAT, after);
  if (accepted && offset + size > run->limit) {
    run->broken = TRUE;
    run->broken_from = offset;
  } else if (accepted) {
    model_write (&run->model, offset, data, size);
    run->bytes += size;
  }
  run->position = after;
  /* A buffer that asks for a sync may be accepted and fail all the same. */
  case_check (flow != GST_FLOW_ERROR || run->refused || run->broken,
      "a push fails: %s", rig_complaint (run->rig));
}

static void
send_data (Run *run)
{
  gboolean list = chance (run->rand, 4);
  gsize size = any_size (run->rand);
  g_autofree guint8 *data = NULL;
  GstFlowReturn flow;

  if (run->bytes + size > MOST_BYTES || (run->tame && run->broken))
    size = 0;
  /* The position is the one that the data is pushed at: nobody else moves it
   * under this lock. */
  GST_PAD_STREAM_LOCK (run->pad);
  if (run->tame)
    run->seed++;
  else
    run->position = asked_position (run);
  data = wb_pattern (run->position, size, run->seed);
  if (!run->tame) {
    run->bytes += size;
    model_write (&run->model, run->position, data, size);
  }
  flow = list ? send_list (run, data, size)
              : gst_pad_chain (run->pad, make_buffer (run, data, size));
  if (run->tame)
    judge_tame_data (run, data, size, flow);
  GST_PAD_STREAM_UNLOCK (run->pad);
}

static gdouble
any_rate (GRand *rand)
{
  static const gdouble rates[] = { 1, -1, 2, 1e-300, 1e300, -1e-9 };

  return rates[g_rand_int_range (rand, 0, G_N_ELEMENTS (rates))];
}

static void
make_segment (Run *run, GstSegment *segment)
{
  static const GstFormat formats[] = { GST_FORMAT_TIME, GST_FORMAT_DEFAULT,
    GST_FORMAT_PERCENT, GST_FORMAT_BUFFERS };
  GRand *rand = run->rand;

  if (chance (rand, 5)) {
    gst_segment_init (
        segment, formats[g_rand_int_range (rand, 0, G_N_ELEMENTS (formats))]);
    segment->start = any_u64 (rand);
  } else {
    gst_segment_init (segment, GST_FORMAT_BYTES);
    segment->start =
        chance (rand, run->tame ? 60 : 8) ? any_u64 (rand) : place (run);
  }
  if (chance (rand, 3)) {
    segment->stop = any_u64 (rand);
    segment->position = any_u64 (rand);
    segment->time = any_u64 (rand);
    segment->base = any_u64 (rand);
    segment->offset = any_u64 (rand);
    segment->rate = any_rate (rand);
    segment->applied_rate = any_rate (rand);
    segment->flags = g_rand_int (rand) & GST_SEGMENT_FLAG_RESET;
  }
  if (chance (rand, 4))
    segment->duration = any_u64 (rand);
}

static void
send_segment (Run *run)
{
  GstSegment segment;
  gboolean moves, possible, taken;
  guint64 after;

  make_segment (run, &segment);
  moves = segment.format == GST_FORMAT_BYTES;
  possible = segment.start <= G_MAXINT64 - run->base;
  GST_PAD_STREAM_LOCK (run->pad);
  taken = gst_pad_send_event (run->pad, gst_event_new_segment (&segment));
  if (run->tame) {
    /* One that READY catches up with is refused by the pad, after the seek. */
    after = asked_position (run);
    case_check (
        after == run->position || (moves && possible && after == segment.start),
        "at %" G_GUINT64_FORMAT " after a segment that starts at "
        "%" G_GUINT64_FORMAT,
        after, segment.start);
    case_check (!taken || !moves || after == segment.start,
        "a segment is taken and leads nowhere");
    case_check (!taken || !moves || possible, "an impossible seek is taken");
    run->refused |= moves && !possible;
    run->position = after;
  }
  GST_PAD_STREAM_UNLOCK (run->pad);
}

/* Both events, as a tame source does it. (In a wild run the other thread
 * flushes: two that do would wait for each other.) */
static void
send_flush (Run *run)
{
  gboolean taken;

  /* What an overwriting one has written stays, and nobody knows how much. */
  if (!run->tame || run->overwrite || run->broken)
    return;
  gst_pad_send_event (run->pad, gst_event_new_flush_start ());
  GST_PAD_STREAM_LOCK (run->pad);
  taken = gst_pad_send_event (
      run->pad, gst_event_new_flush_stop (chance (run->rand, 2)));
  if (taken) {
    case_check (asked_position (run) == 0,
        "a flush leads to %" G_GUINT64_FORMAT, asked_position (run));
    run->position = 0;
    model_truncate (&run->model, run->base);
  }
  GST_PAD_STREAM_UNLOCK (run->pad);
}

static GstEvent *
any_event (Run *run)
{
  GRand *rand = run->rand;

  switch (g_rand_int_range (rand, 0, 8)) {
    case 0:
    case 1:
      return gst_event_new_gap (any_u64 (rand) >> 1, any_u64 (rand));
    case 2:
      return gst_event_new_segment_done (GST_FORMAT_BYTES, any_u64 (rand));
    case 3:
      return gst_event_new_caps (gst_caps_new_empty_simple ("x/fuzz"));
    case 4:
      return gst_event_new_tag (gst_tag_list_new_empty ());
    case 5:
      return gst_event_new_custom (
          GST_EVENT_CUSTOM_DOWNSTREAM, gst_structure_new_empty ("fuzz"));
    case 6:
      return gst_event_new_stream_group_done (g_rand_int (rand));
    default:
      return gst_event_new_stream_start ("fuzz");
  }
}

static void
operate (Run *run)
{
  switch (g_rand_int_range (run->rand, 0, 20)) {
    case 0:
      gst_pad_send_event (run->pad, any_event (run));
      break;
    case 1:
      g_usleep (g_rand_int_range (run->rand, 0, 3000));
      break;
    case 2:
      if (chance (run->rand, 4))
        gst_pad_send_event (run->pad, gst_event_new_eos ());
      break;
    case 3:
      if (chance (run->rand, 4))
        send_flush (run);
      break;
    case 4:
    case 5:
    case 6:
    case 7:
      send_segment (run);
      break;
    default:
      send_data (run);
      break;
  }
}

static gpointer
stream (gpointer data)
{
  Run *run = data;

  if (run->tame || chance (run->rand, 2))
    gst_pad_send_event (run->pad, gst_event_new_stream_start ("fuzz"));
  for (guint i = 0; i < OPERATIONS; i++)
    operate (run);
  g_atomic_int_set (&run->done, TRUE);
  return NULL;
}

/* --- meanwhile --------------------------------------------------------------------- */

static void
read_everything (Run *run)
{
  static const GstFormat formats[] = { GST_FORMAT_BYTES, GST_FORMAT_TIME,
    GST_FORMAT_DEFAULT, GST_FORMAT_PERCENT };
  GstElement *sink = run->rig->sink;
  GParamSpec **specs;
  gint64 value;
  guint n;

  specs = g_object_class_list_properties (G_OBJECT_GET_CLASS (sink), &n);
  for (guint i = 0; i < n; i++) {
    GValue got = G_VALUE_INIT;

    if ((specs[i]->flags & G_PARAM_READABLE) == 0)
      continue;
    g_object_get_property (G_OBJECT (sink), specs[i]->name, &got);
    g_value_unset (&got);
  }
  g_free (specs);
  for (guint i = 0; i < G_N_ELEMENTS (formats); i++) {
    gst_element_query_position (run->rig->pipeline, formats[i], &value);
    gst_element_query_duration (sink, formats[i], &value);
  }
}

static void
set_a_bound (Run *run)
{
  static const gchar *const names[] = { "max-dirty-bytes", "max-dirty-time",
    "max-queued-bytes", "max-queued-bytes" };
  GRand *rand = run->control_rand;

  g_object_set (run->rig->sink,
      names[g_rand_int_range (rand, 0, G_N_ELEMENTS (names))], any_u64 (rand),
      "chunk-size", (guint64) g_rand_int_range (rand, 1, 256) << 20, NULL);
}

/* What only a wild one does. */
static void
interfere (Run *run)
{
  GRand *rand = run->control_rand;

  switch (g_rand_int_range (rand, 0, 5)) {
    case 0:
      gst_pad_send_event (run->pad, gst_event_new_flush_start ());
      break;
    case 1:
      /* Alone it would wait for a push that waits for PLAYING. */
      gst_pad_send_event (run->pad, gst_event_new_flush_start ());
      g_usleep (g_rand_int_range (rand, 0, 2000));
      gst_pad_send_event (
          run->pad, gst_event_new_flush_stop (chance (rand, 2)));
      break;
    case 2:
      gst_element_set_state (run->rig->pipeline, GST_STATE_NULL);
      /* Nothing is pushed between asking for the position and the start. */
      GST_PAD_STREAM_LOCK (run->pad);
      gst_element_set_state (run->rig->pipeline, GST_STATE_PLAYING);
      GST_PAD_STREAM_UNLOCK (run->pad);
      break;
    case 3:
      gst_element_send_event (run->rig->sink,
          gst_event_new_step (GST_FORMAT_BUFFERS, g_rand_int_range (rand, 1, 9),
              1.0, TRUE, FALSE));
      break;
    default:
      gst_element_seek_simple (run->rig->pipeline, GST_FORMAT_BYTES,
          GST_SEEK_FLAG_FLUSH, g_rand_int_range (rand, 0, 1 << 20));
      break;
  }
}

static void
control (Run *run)
{
  static const GstState states[] = { GST_STATE_PAUSED, GST_STATE_PLAYING,
    GST_STATE_READY, GST_STATE_PLAYING, GST_STATE_PLAYING };
  GRand *rand = run->control_rand;

  switch (g_rand_int_range (rand, 0, 6)) {
    case 0:
    case 1:
      gst_element_set_state (run->rig->pipeline,
          states[g_rand_int_range (rand, 0, G_N_ELEMENTS (states))]);
      break;
    case 2:
      read_everything (run);
      break;
    case 3:
      set_a_bound (run);
      break;
    case 4:
      if (!run->tame)
        interfere (run);
      break;
    default:
      break;
  }
  g_usleep (g_rand_int_range (rand, 0, 3000));
}

/* --- the file ------------------------------------------------------------------------ */

static gboolean
is_excused (const Run *run, guint64 at)
{
  return run->broken && at >= run->broken_from;
}

static void
compare_page (Run *run, const gchar *path, guint64 number, const Page *page,
    const guint8 *got)
{
  for (guint i = 0; i < PAGE; i++) {
    guint64 at = number * PAGE + i;
    guint8 wanted = page != NULL ? page->bytes[i] : 0;
    gboolean asked = page != NULL && (page->asked[i / 8] >> i % 8 & 1) != 0;

    if (got[i] == wanted || is_excused (run, at))
      continue;
    case_check (!run->tame, "byte %" G_GUINT64_FORMAT " is 0x%02x, not 0x%02x",
        at, got[i], wanted);
    case_check (got[i] == 0, "byte %" G_GUINT64_FORMAT " is 0x%02x, %s", at,
        got[i], asked ? "which nobody wrote" : "where nobody wrote");
  }
}

static void
read_page (int fd, guint64 number, guint8 *bytes)
{
  memset (bytes, 0, PAGE);
  case_check (pread (fd, bytes, PAGE, (off_t) (number * PAGE)) >= 0,
      "pread: %s", g_strerror (errno));
}

/* All that the file has must be in the model, ... */
static void
compare_extents (Run *run, const gchar *path, int fd, guint64 size)
{
  guint8 bytes[4096];
  off_t start = 0;
  guint64 pages = 0;

  while ((start = lseek (fd, start, SEEK_DATA)) >= 0) {
    off_t end = lseek (fd, start, SEEK_HOLE);

    for (guint64 n = (guint64) start / PAGE; n * PAGE < (guint64) end; n++) {
      gint64 key = (gint64) n;

      case_check (
          pages++ < 16 * MOST_BYTES / PAGE, "more data than was asked for");
      read_page (fd, n, bytes);
      compare_page (
          run, path, n, g_hash_table_lookup (run->model.pages, &key), bytes);
    }
    start = end;
  }
}

/* ... and all that the model has in the file. */
static void
compare (Run *run, const gchar *path)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  guint8 bytes[4096];
  GHashTableIter iter;
  gpointer key, page;
  guint64 size;

  case_check (fd >= 0, "%s: %s", path, g_strerror (errno));
  size = (guint64) lseek (fd, 0, SEEK_END);
  case_check (size <= run->model.size || is_excused (run, size - 1),
      "%" G_GUINT64_FORMAT " bytes, not %" G_GUINT64_FORMAT, size,
      run->model.size);
  case_check (!run->tame || size >= run->model.size,
      "%" G_GUINT64_FORMAT " bytes, not %" G_GUINT64_FORMAT, size,
      run->model.size);
  compare_extents (run, path, fd, size);
  g_hash_table_iter_init (&iter, run->model.pages);
  while (g_hash_table_iter_next (&iter, &key, &page)) {
    guint64 number = (guint64) * (gint64 *) key;

    if (number * PAGE >= size)
      continue;
    read_page (fd, number, bytes);
    compare_page (run, path, number, page, bytes);
  }
  close (fd);
}

/* The longest that a file can be here. */
static guint64
find_limit (const gchar *directory)
{
  g_autofree gchar *path = g_build_filename (directory, "limit", NULL);
  int fd = open (path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  guint64 least = 0, most = G_MAXINT64;

  case_check (fd >= 0, "%s: %s", path, g_strerror (errno));
  while (least < most) {
    guint64 middle = least + (most - least + 1) / 2;

    if (ftruncate (fd, (off_t) middle) == 0)
      least = middle;
    else
      most = middle - 1;
  }
  close (fd);
  unlink (path);
  return least;
}

/* --- a run, from its number ------------------------------------------------------------ */

static void
set_mode (Run *run, const gchar *path)
{
  static const gchar *const modes[] = { "truncate", "output", "overwrite" };
  guint mode = run->tame ? g_rand_int_range (run->rand, 0, 3) : 0;
  g_autofree guint8 *old = wb_pattern (0, OLD_BYTES, 99);

  gst_util_set_object_arg (G_OBJECT (run->rig->sink), "file-mode", modes[mode]);
  run->overwrite = mode == 2;
  if (mode == 0)
    return;
  case_check (g_file_set_contents (path, (gchar *) old, OLD_BYTES, NULL),
      "no old file");
  model_write (&run->model, 0, old, OLD_BYTES);
  run->base = mode == 1 ? OLD_BYTES : 0;
}

/* Calls fail, are slow, or take longer than what is waited for them. */
static void
spoil_the_disk (Run *run)
{
  static const guint64 timeouts[] = { GST_SECOND / 20, GST_SECOND,
    60 * GST_SECOND };
  GRand *rand = run->rand;

  fault_any (rand, SLOW_US);
  g_object_set (run->rig->sink, "sync-timeout",
      timeouts[g_rand_int_range (rand, 0, G_N_ELEMENTS (timeouts))],
      "writeback-timeout", (guint64) g_rand_int_range (rand, 0, GST_SECOND),
      "max-transient-error-timeout", chance (rand, 2) ? 10 : 0,
      "on-sync-timeout", g_rand_int_range (rand, 0, 2), NULL);
}

static void
set_properties (Run *run)
{
  static const gchar *const writeback[] = { "drop", "keep", "none" };
  static const gchar *const buffer_modes[] = { "default", "full",
    "unbuffered" };
  static const gchar *const syncs[] = { "none", "data", "full" };
  GObject *sink = G_OBJECT (run->rig->sink);
  gboolean ideal = chance (run->rand, 2);
  GRand *rand = run->rand;

  fault_reset ();
  fault_ideal_disk (ideal);
  gst_util_set_object_arg (
      sink, "writeback", writeback[g_rand_int_range (rand, 0, 3)]);
  gst_util_set_object_arg (
      sink, "buffer-mode", buffer_modes[g_rand_int_range (rand, 0, 3)]);
  gst_util_set_object_arg (
      sink, "sync-on-eos", syncs[g_rand_int_range (rand, 0, 3)]);
  /* At such offsets the growth of a file is gigabytes of somebody's disk. */
  gst_util_set_object_arg (sink, "preallocate", ideal ? "auto" : "none");
  g_object_set (sink, "size-hint", chance (rand, 2) ? any_u64 (rand) / 2 : 0,
      "buffer-size", (guint) any_u64 (rand), "sync-interval",
      chance (rand, 3) ? (guint64) 1000000 : 0, "async",
      run->tame || chance (rand, 2), NULL);
  if (!run->tame && chance (rand, 2))
    spoil_the_disk (run);
}

static void
set_up (Run *run, guint64 seed, const gchar *directory)
{
  g_autofree gchar *path = g_build_filename (directory, "file", NULL);

  case_expect_complaints (gstreamer_complaints);
  run->rand = g_rand_new_with_seed ((guint32) seed);
  run->control_rand = g_rand_new_with_seed ((guint32) seed + 1);
  run->tame = seed % 2 == 0;
  run->limit = find_limit (directory);
  run->seed = 1;
  model_init (&run->model);
  run->rig = rig_new (path, "sync-timeout=60000000000");
  run->pad = gst_element_get_static_pad (run->rig->sink, "sink");
  set_mode (run, path);
  set_properties (run);
}

static void
judge_messages (Run *run)
{
  const gchar *result = rig_last_result (run->rig);

  if (!run->tame)
    return;
  if (run->broken) {
    /* One for each try, and a flush begins another. */
    case_check (rig_count (run->rig, GST_MESSAGE_ERROR) >= 1,
        "%u errors, and a write was beyond what a file can have",
        rig_count (run->rig, GST_MESSAGE_ERROR));
  } else if (!run->refused) {
    case_check (rig_count (run->rig, RIG_COMPLAINTS) == 0, "unexpected: %s",
        rig_complaint (run->rig));
    case_check (
        strcmp (result, "failed") != 0 && strcmp (result, "timeout") != 0,
        "the result is %s", result);
  }
}

static void
run_case (guint index, gdouble scale, const gchar *directory, gpointer data,
    CaseResult *result)
{
  guint64 seed = *(guint64 *) data + index;
  GThread *streamer;
  Run run = { 0 };

  set_up (&run, seed, directory);
  gst_element_set_state (run.rig->pipeline,
      run.tame || chance (run.rand, 4) ? GST_STATE_PLAYING : GST_STATE_READY);
  streamer = g_thread_new ("streamer", stream, &run);
  while (!g_atomic_int_get (&run.done))
    control (&run);
  g_thread_join (streamer);
  gst_element_set_state (run.rig->pipeline, GST_STATE_PLAYING);
  if (chance (run.rand, 2))
    gst_pad_send_event (run.pad, gst_event_new_eos ());
  gst_element_set_state (run.rig->pipeline, GST_STATE_NULL);
  judge_messages (&run);
  compare (&run, run.rig->path);
  gst_object_unref (run.pad);
  rig_free (run.rig);
  rig_assert_nothing_left (directory, scale);
  result->counts[0] = (guint) run.bytes;
}

int
main (int argc, char **argv)
{
  CasesConfig config = { .jobs = JOBS, .seconds = RUN_SECONDS };
  guint64 seed = fault_setting ("FUZZ_SEED", (guint64) time (NULL) * 1000);
  guint64 runs = fault_setting ("FUZZ_RUNS", 0), bytes = 0;
  gint64 end = g_get_monotonic_time ()
      + (gint64) fault_setting ("FUZZ_SECONDS", DEFAULT_SECONDS)
          * G_USEC_PER_SEC;
  guint done[2] = { 0 }, failed[2] = { 0 };

  rig_init (&argc, &argv);
  setvbuf (stdout, NULL, _IOLBF, 0);
  printf ("# FUZZ_SEED=%" G_GUINT64_FORMAT "\n", seed);
  for (guint64 total = 0;
       runs != 0 ? total < runs : g_get_monotonic_time () < end;) {
    guint n = runs != 0 ? (guint) MIN (BATCH, runs - total) : BATCH;
    CaseResult *results = cases_run (run_case, &seed, n, &config);

    for (guint i = 0; i < n; i++) {
      done[(seed + i) % 2]++;
      bytes += results[i].counts[0];
      if (results[i].verdict == CASE_PASSED)
        continue;
      failed[(seed + i) % 2]++;
      printf ("# FUZZ_SEED=%" G_GUINT64_FORMAT " FUZZ_RUNS=1: %s\n", seed + i,
          results[i].text);
    }
    g_free (results);
    total += n;
    seed += n;
  }
  printf ("%s 1 - tame, %u runs, %u failed\n", failed[0] == 0 ? "ok" : "not ok",
      done[0], failed[0]);
  printf ("%s 2 - wild, %u runs, %u failed\n", failed[1] == 0 ? "ok" : "not ok",
      done[1], failed[1]);
  printf ("1..2\n# %.1f MB were accepted\n", bytes / 1e6);
  return failed[0] + failed[1] == 0 ? 0 : 1;
}
