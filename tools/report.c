/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the user sees, or the program that runs us.
 *
 * Errors, warnings and notes go to standard error, one line each, in every mode
 * (in JSON mode also to standard output as objects). Progress goes to standard
 * error, as a line that is drawn over on a terminal and as a line every five
 * seconds elsewhere. What was chosen, what is left out and the summary go to
 * standard output.
 *
 * Rates are those of the last seconds: of a mean over hours nobody sees that the
 * disk stands still now.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "convert.h"
#include "json.h"
#include "report.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TERMINAL_INTERVAL_MS 500
#define PLAIN_INTERVAL_MS 5000
#define JSON_INTERVAL_MS 1000

/* Rates are taken over this many reports at most. */
#define N_SAMPLES 8

typedef struct
{
  gint64 time; /* us */
  guint64 read;
  guint64 on_disk;
} Sample;

struct _Report
{
  GMutex lock; /* lines are not mixed */
  ReportMode mode;
  gint64 began;
  gboolean line_shown; /* on the terminal */
  Sample samples[N_SAMPLES];
  guint n_samples;
};

typedef struct
{
  gdouble percent; /* negative: not known */
  gdouble in_rate; /* bytes a second */
  gdouble disk_rate;
  gdouble left; /* seconds; negative: not known */
} Figures;

Report *
report_new (ReportMode mode)
{
  Report *self = g_new0 (Report, 1);

  g_mutex_init (&self->lock);
  self->mode = mode;
  self->began = g_get_monotonic_time ();
  return self;
}

/* How often report_progress wants to be called, or 0: never. */
guint
report_get_interval_ms (const Report *self)
{
  switch (self->mode) {
    case REPORT_TERMINAL:
      return TERMINAL_INTERVAL_MS;
    case REPORT_PLAIN:
      return PLAIN_INTERVAL_MS;
    case REPORT_JSON:
      return JSON_INTERVAL_MS;
    default:
      return 0;
  }
}

static void
clear_line (Report *self)
{
  if (self->line_shown)
    g_printerr ("\r\033[K");
  self->line_shown = FALSE;
}

static guint64
get_figure (const GstStructure *stats, const gchar *name)
{
  guint64 value = 0;

  if (stats)
    gst_structure_get_uint64 (stats, name, &value);
  return value;
}

static gdouble
get_elapsed (Report *self)
{
  return (g_get_monotonic_time () - self->began) / 1e6;
}

/* --- single lines ----------------------------------------------------------------- */

/* @level: "error", "warning" or "note". */
void
report_message (Report *self, const gchar *level, const gchar *format, ...)
{
  g_autofree gchar *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  /* One line, whatever an element has put into its text. */
  g_strdelimit (text, "\r\n", ' ');
  g_mutex_lock (&self->lock);
  clear_line (self);
  g_printerr ("wbremux: %s%s%s\n", g_str_equal (level, "error") ? "" : level,
      g_str_equal (level, "error") ? "" : ": ", text);
  if (self->mode == REPORT_JSON) {
    GString *json = json_begin ("message");

    json_add_string (json, "level", level);
    json_add_string (json, "text", text);
    json_print (json);
  }
  g_mutex_unlock (&self->lock);
}

/* Which title a disc stands for. */
void
report_chosen (Report *self, const gchar *name, const gchar *text)
{
  if (self->mode == REPORT_JSON) {
    g_autofree gchar *line = g_strdup_printf ("%s: %s", name, text);
    GString *json = json_begin ("chosen");

    json_add_string (json, "text", line);
    json_print (json);
  } else if (self->mode != REPORT_QUIET) {
    g_print ("%s: %s\n", name, text);
  }
}

/* Of --list. @text: NULL for a file, which has a name only. */
void
report_title (Report *self, guint number, const gchar *name, const gchar *text,
    gint64 duration, guint n_chapters, guint n_angles, gboolean is_main)
{
  if (self->mode == REPORT_JSON) {
    GString *json = json_begin ("title");

    json_add_uint (json, "number", number);
    json_add_string (json, "name", name);
    json_add_decimal (json, "duration", duration / 1e6);
    json_add_uint (json, "chapters", n_chapters);
    json_add_uint (json, "angles", n_angles);
    json_add_boolean (json, "main", is_main);
    json_print (json);
  } else if (text) {
    g_print ("%s%s\n", text, is_main ? ", main" : "");
  } else {
    guint64 seconds = duration / G_USEC_PER_SEC;

    g_print ("%s, %u:%02u:%02u, %u chapters\n", name, (guint) (seconds / 3600),
        (guint) (seconds / 60 % 60), (guint) (seconds % 60), n_chapters);
  }
}

void
report_title_track (Report *self, guint title, const gchar *text, gint id,
    const gchar *kind, const gchar *codec, const gchar *language)
{
  if (self->mode == REPORT_JSON) {
    GString *json = json_begin ("title-track");

    json_add_uint (json, "title", title);
    json_add_string (json, "kind", kind);
    json_add_uint (json, "id", MAX (id, 0));
    json_add_string (json, "codec", codec);
    json_add_string (json, "language", language);
    json_add_string (json, "text", text);
    json_print (json);
  } else {
    g_print ("  %s\n", text);
  }
}

/* Those that are files, or a disc's; for programs only: a person has named them. */
void
report_inputs (Report *self, GPtrArray *inputs)
{
  guint i, j;

  for (i = 0; self->mode == REPORT_JSON && i < inputs->len; i++) {
    const Input *input = g_ptr_array_index (inputs, i);
    g_autoptr (GPtrArray) files = g_ptr_array_new_with_free_func (g_free);
    GString *json = json_begin ("input");

    for (j = 0; input->files && j < input->files->len; j++)
      g_ptr_array_add (
          files, g_filename_display_name (g_ptr_array_index (input->files, j)));
    json_add_string (json, "name", input->name);
    json_add_string (json, "uri", input->url);
    json_add_strings (json, "files", files);
    json_add_uint (json, "bytes", input->size);
    json_print (json);
  }
}

static void
print_track_json (const Track *track)
{
  g_autofree gchar *text = track_describe (track);
  g_autofree gchar *flags = track_get_flags (track);
  GString *json = json_begin ("track");

  json_add_string (json, "kind", track_get_kind (track));
  json_add_uint (json, "number", track->number);
  json_add_uint (json, "id", MAX (track->stream->id, 0));
  json_add_string (json, "text", text);
  json_add_string (json, "codec", track_get_codec (track));
  json_add_string (json, "language", track_get_language (track));
  json_add_string (json, "title", track_get_title (track));
  json_add_string (json, "flags", flags);
  json_add_boolean (json, "kept", track_is_kept (track));
  json_add_string (json, "reason", track->why);
  json_print (json);
}

/* What becomes of each track; a person is told, before the work begins, what does
 * not fit. */
void
report_tracks (Report *self, GPtrArray *tracks)
{
  guint i;

  for (i = 0; i < tracks->len; i++) {
    const Track *track = g_ptr_array_index (tracks, i);
    g_autofree gchar *text = track_describe (track);

    if (self->mode == REPORT_JSON)
      print_track_json (track);
    else if (self->mode != REPORT_QUIET && track->why && !track->unwanted)
      g_print ("left out: %s: %s\n", text, track->why);
  }
}

/* --- progress ------------------------------------------------------------------ */

static const Sample *
take_sample (Report *self, guint64 read, guint64 on_disk)
{
  Sample *last;

  if (self->n_samples == N_SAMPLES) {
    memmove (
        self->samples, self->samples + 1, (N_SAMPLES - 1) * sizeof (Sample));
    self->n_samples--;
  }
  last = &self->samples[self->n_samples++];
  last->time = g_get_monotonic_time ();
  last->read = read;
  last->on_disk = on_disk;
  return last;
}

/* The run begins; what came before was looking. */
void
report_begin (Report *self)
{
  take_sample (self, 0, 0);
}

static gdouble
get_rate (guint64 from, guint64 to, gint64 us)
{
  return to > from && us > 0 ? (to - from) * 1e6 / us : 0;
}

static void
get_figures (Report *self, const RemuxProgress *progress,
    const GstStructure *stats, Figures *figures)
{
  guint64 dirty = get_figure (stats, "dirty-bytes");
  guint64 written = get_figure (stats, "bytes-written");
  const Sample *last =
      take_sample (self, progress->read, written - MIN (written, dirty));
  const Sample *first = &self->samples[0];
  gint64 us = last->time - first->time;
  gdouble done = -1;

  if (progress->size > 0)
    done = (gdouble) progress->read / progress->size;
  else if (progress->duration > 0)
    done = MIN ((gdouble) progress->position / progress->duration, 1.0);
  figures->percent = done < 0 ? -1 : done * 100;
  figures->in_rate = get_rate (first->read, last->read, us);
  figures->disk_rate = get_rate (first->on_disk, last->on_disk, us);
  figures->left = -1;
  if (progress->size > 0 && figures->in_rate > 0)
    figures->left = (progress->size - progress->read) / figures->in_rate;
  else if (done > 0)
    figures->left = get_elapsed (self) * (1 - done) / done;
}

static void
append_clock (GString *text, gint64 time)
{
  guint64 seconds = time / G_USEC_PER_SEC;

  g_string_append_printf (text,
      "%" G_GUINT64_FORMAT ":%02" G_GUINT64_FORMAT ":%02" G_GUINT64_FORMAT,
      seconds / 3600, seconds / 60 % 60, seconds % 60);
}

/* " 42%  0:51:10/2:01:33  in 85.2  disk 84.0 MB/s  queued 3.1  dirty 36.0 MB
 *  0:00:42 left" */
static gchar *
describe_progress (const RemuxProgress *progress, const GstStructure *stats,
    const Figures *figures)
{
  GString *text = g_string_new (NULL);

  if (figures->percent >= 0)
    g_string_append_printf (text, "%3.0f%%  ", figures->percent);
  append_clock (text, progress->position);
  if (progress->duration > 0) {
    g_string_append_c (text, '/');
    append_clock (text, progress->duration);
  }
  g_string_append_printf (text,
      "  in %.1f disk %.1f MB/s  queued %.1f dirty %.1f MB",
      figures->in_rate / 1e6, figures->disk_rate / 1e6,
      get_figure (stats, "queued-bytes") / 1e6,
      get_figure (stats, "dirty-bytes") / 1e6);
  if (figures->left >= 0) {
    g_string_append (text, "  ");
    append_clock (text, figures->left * G_USEC_PER_SEC);
    g_string_append (text, " left");
  }
  return g_string_free (text, FALSE);
}

/* A line that is longer than the terminal is wide cannot be drawn over. */
static void
fit_to_terminal (gchar *text)
{
  struct winsize size;

  if (ioctl (STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1
      && strlen (text) >= size.ws_col)
    text[size.ws_col - 1] = '\0';
}

static void
print_progress_json (const RemuxProgress *progress, const GstStructure *stats,
    const Figures *figures, gdouble elapsed)
{
  GString *json = json_begin ("progress");
  gboolean has_duration = progress->duration > 0;

  json_add_decimal (json, "elapsed", elapsed);
  json_add_decimal (json, "percent", figures->percent);
  json_add_decimal (json, "position", progress->position / 1e6);
  json_add_decimal (
      json, "duration", has_duration ? progress->duration / 1e6 : -1);
  json_add_uint (json, "read-bytes", progress->read);
  json_add_uint (json, "total-bytes", progress->size);
  json_add_uint (json, "in-rate", figures->in_rate);
  json_add_uint (json, "disk-rate", figures->disk_rate);
  json_add_uint (json, "bytes-written", get_figure (stats, "bytes-written"));
  json_add_uint (json, "queued-bytes", get_figure (stats, "queued-bytes"));
  json_add_uint (json, "dirty-bytes", get_figure (stats, "dirty-bytes"));
  json_add_uint (json, "durable-bytes", get_figure (stats, "durable-bytes"));
  json_add_decimal (json, "left", figures->left);
  json_print (json);
}

void
report_progress (
    Report *self, const RemuxProgress *progress, const GstStructure *stats)
{
  g_autofree gchar *text = NULL;
  Figures figures;

  g_mutex_lock (&self->lock);
  get_figures (self, progress, stats, &figures);
  text = describe_progress (progress, stats, &figures);
  if (self->mode == REPORT_JSON) {
    print_progress_json (progress, stats, &figures, get_elapsed (self));
  } else if (self->mode == REPORT_PLAIN) {
    g_printerr ("%s\n", text);
  } else if (self->mode == REPORT_TERMINAL) {
    fit_to_terminal (text);
    g_printerr ("\r\033[K%s", text);
    self->line_shown = TRUE;
  }
  g_mutex_unlock (&self->lock);
}

/* --- the end -------------------------------------------------------------------- */

static const gchar *
get_sync_result (const GstStructure *stats)
{
  return stats ? gst_structure_get_string (stats, "sync-result") : NULL;
}

static const gchar *
describe_sync (gboolean is_durable, const GstStructure *stats)
{
  if (is_durable)
    return "durable";
  if (g_strcmp0 (get_sync_result (stats), "timeout") == 0)
    return "NOT KNOWN TO BE DURABLE: the disk did not answer in time";
  return "NOT KNOWN TO BE DURABLE";
}

static void
print_kept (GPtrArray *tracks)
{
  guint i;

  for (i = 0; i < tracks->len; i++) {
    const Track *track = g_ptr_array_index (tracks, i);
    g_autofree gchar *text = track_describe (track);
    g_autofree gchar *note =
        track->convert ? convert_describe (track->convert) : NULL;

    if (track_is_kept (track))
      g_print ("  %s%s%s\n", text, note ? ", " : "", note ? note : "");
  }
}

static void
print_result_json (Report *self, const gchar *output,
    const RemuxProgress *progress, const GstStructure *stats,
    gboolean is_durable)
{
  GString *json = json_begin ("result");
  gdouble elapsed = get_elapsed (self);
  guint64 bytes = get_figure (stats, "high-water-mark");

  json_add_string (json, "output", output);
  json_add_boolean (json, "durable", is_durable);
  json_add_string (json, "sync-result", get_sync_result (stats));
  json_add_uint (json, "bytes", bytes);
  json_add_decimal (json, "duration", progress->position / 1e6);
  json_add_decimal (json, "elapsed", elapsed);
  json_add_uint (json, "rate", elapsed > 0 ? bytes / elapsed : 0);
  json_add_uint (
      json, "peak-dirty-bytes", get_figure (stats, "peak-dirty-bytes"));
  json_add_decimal (json, "wait-time", get_figure (stats, "wait-time") / 1e9);
  json_add_decimal (json, "sync-time", get_figure (stats, "sync-time") / 1e9);
  json_print (json);
}

/* The file has its name. */
void
report_result (Report *self, const gchar *output, GPtrArray *tracks,
    const RemuxProgress *progress, const GstStructure *stats,
    gboolean is_durable)
{
  g_autofree gchar *name = g_filename_display_name (output);
  guint64 bytes = get_figure (stats, "high-water-mark");
  gdouble elapsed = get_elapsed (self);

  clear_line (self);
  if (self->mode == REPORT_JSON)
    print_result_json (self, name, progress, stats, is_durable);
  if (self->mode == REPORT_JSON || self->mode == REPORT_QUIET)
    return;
  g_print ("%s:\n", name);
  print_kept (tracks);
  g_print ("%.1f MB in %.1f s, %.1f MB/s, peak dirty %.1f MB, %s\n",
      bytes / 1e6, elapsed, bytes / 1e6 / elapsed,
      get_figure (stats, "peak-dirty-bytes") / 1e6,
      describe_sync (is_durable, stats));
}

/* The last word. */
void
report_exit (Report *self, gint status)
{
  clear_line (self);
  if (self->mode == REPORT_JSON) {
    GString *json = json_begin ("exit");

    json_add_uint (json, "status", status);
    json_print (json);
  }
}

void
report_free (Report *self)
{
  clear_line (self);
  g_mutex_clear (&self->lock);
  g_free (self);
}
