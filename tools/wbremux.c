/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * wbremux: puts the tracks of files or a disc into one file, as they are.
 *
 * Problem: a disc's title is tens of GB. Copying it with a plain file sink
 * fills the page cache, and when the program ends nobody knows whether the file
 * is on disk.
 *
 * Strategy: find out what the words on the command line stand for (inputs.c),
 * look at each input and decide which tracks the muxer can hold (inspect.c) and
 * which are asked for (selection.c), run them through wbfilesink into
 * OUTPUT.part (remux.c), and give the file its name when it is whole (outfile.c).
 * This file is the command line: options, signals, and the exit code; what is
 * said meanwhile is report.c's.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "chapters.h"
#include "inspect.h"
#include "muxers.h"
#include "outfile.h"
#include "remux.h"
#include "report.h"
#include "selection.h"
#include "trace.h"

#include <glib-unix.h>
#include <locale.h>
#include <signal.h>
#include <unistd.h>

enum
{
  EXIT_DURABLE = 0,
  EXIT_FAILED = 1,
  EXIT_USAGE = 2,
  EXIT_NOT_KNOWN_DURABLE = 3,
  EXIT_INTERRUPTED = 130
};

typedef struct
{
  gboolean force;
  gboolean no_part;
  gboolean quiet;
  gboolean json;
  gboolean version;
  gchar *format;
  gchar *trace_path;
  Selection selection;
  gchar **words; /* INPUT... OUTPUT */
  guint n_inputs;
} Options;

typedef struct
{
  Options options;
  const gchar *output;
  Report *report;
  GPtrArray *inputs;
  GPtrArray *inspections;
  Remux *remux;
  Trace *trace;
  guint interrupts;
  GCancellable *cancellable;
} App;

static void
complain (App *self, const GError *error)
{
  report_message (self->report, "error", "%s", error->message);
}

/* --- signals ------------------------------------------------------------------- */

/* The first signal finishes the file with what is there; the next gives up, and
 * leaves a third one to the system. */
static gboolean
on_interrupt (gpointer user_data)
{
  App *self = user_data;

  self->interrupts++;
  g_cancellable_cancel (self->cancellable);
  if (!self->remux)
    return G_SOURCE_CONTINUE;
  if (self->interrupts > 1) {
    remux_stop (self->remux);
    return G_SOURCE_REMOVE;
  }
  report_message (
      self->report, "note", "interrupted: finishing the file (again to stop)");
  remux_finish_early (self->remux);
  return G_SOURCE_CONTINUE;
}

static void
watch_signals (App *self)
{
  g_unix_signal_add (SIGINT, on_interrupt, self);
  g_unix_signal_add (SIGTERM, on_interrupt, self);
  g_unix_signal_add (SIGHUP, on_interrupt, self);
}

/* --- before the run -------------------------------------------------------------- */

static gboolean
open_inputs (App *self)
{
  g_autoptr (GPtrArray) chosen = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;
  guint i;

  self->inputs =
      inputs_open (self->options.words, self->options.n_inputs, chosen, &error);
  if (!self->inputs) {
    complain (self, error);
    return FALSE;
  }
  for (i = 0; i < chosen->len; i++)
    report_chosen (self->report, g_ptr_array_index (chosen, i));
  report_inputs (self->report, self->inputs);
  return TRUE;
}

static void
complain_no_track (App *self, const Input *input, const Inspection *inspection)
{
  g_autofree gchar *text = NULL;
  const Track *track = NULL;
  guint i;

  for (i = 0; i < inspection->tracks->len && !(track && track->reason); i++)
    track = g_ptr_array_index (inspection->tracks, i);
  if (!track || !track->reason) {
    report_message (self->report, "error", "%s: has no track%s", input->name,
        track ? " that is asked for" : "");
    return;
  }
  text = track_describe (track);
  report_message (self->report, "error",
      "%s: has no track that can be kept (%s: %s)", input->name, text,
      track->reason);
}

/* A film without its picture is none, unless that was asked for. */
static gboolean
check_picture (App *self, const Input *input, const Inspection *inspection)
{
  g_autofree gchar *text = NULL;
  const Track *lost = NULL;
  guint i;

  for (i = 0; i < inspection->tracks->len; i++) {
    const Track *track = g_ptr_array_index (inspection->tracks, i);

    if (!g_str_equal (track_get_kind (track), "video") || track->n_buffers == 0)
      continue;
    if (track->templ)
      return TRUE;
    if (!track->unwanted && !lost)
      lost = track;
  }
  if (!lost)
    return TRUE;
  text = track_describe (lost);
  report_message (self->report, "error",
      "%s: its picture cannot be kept (%s: %s); --video=none takes the rest",
      input->name, text, lost->reason);
  return FALSE;
}

static gboolean
inspect_one (App *self, const Input *input, GstElement *muxer)
{
  g_autoptr (GError) error = NULL;
  Inspection *inspection =
      inspect_input (input, muxer, self->cancellable, &error);

  if (!inspection && self->interrupts > 0) {
    report_message (
        self->report, "error", "interrupted before anything was written");
    return FALSE;
  }
  if (!inspection) {
    report_message (
        self->report, "error", "%s: %s", input->name, error->message);
    return FALSE;
  }
  g_ptr_array_add (self->inspections, inspection);
  /* The others follow the first one's choice. */
  if (self->inspections->len == 1
      && !selection_apply (&self->options.selection, inspection, &error)) {
    report_message (
        self->report, "error", "%s: %s", input->name, error->message);
    return FALSE;
  }
  if (inspection->n_kept == 0) {
    complain_no_track (self, input, inspection);
    return FALSE;
  }
  return self->inspections->len > 1 || check_picture (self, input, inspection);
}

static void
report_chapters (App *self, GstElement *muxer)
{
  g_autoptr (GstToc) chapters = chapters_join (self->inputs, self->inspections);

  if (chapters && !GST_IS_TOC_SETTER (muxer))
    report_message (self->report, "note",
        "the chapters are left out: %s cannot take them",
        GST_OBJECT_NAME (gst_element_get_factory (muxer)));
}

static gboolean
inspect_all (App *self, GstElement *muxer)
{
  guint i;

  self->inspections =
      g_ptr_array_new_with_free_func ((GDestroyNotify) inspection_free);
  for (i = 0; i < self->inputs->len; i++) {
    if (!inspect_one (self, g_ptr_array_index (self->inputs, i), muxer))
      return FALSE;
  }
  report_tracks (self->report, g_ptr_array_index (self->inspections, 0));
  report_chapters (self, muxer);
  return TRUE;
}

/* --- the run ------------------------------------------------------------------------ */

static gboolean
on_progress (gpointer user_data)
{
  App *self = user_data;
  GstStructure *stats = remux_get_stats (self->remux);
  RemuxProgress progress;

  remux_get_progress (self->remux, &progress);
  report_progress (self->report, &progress, stats);
  gst_clear_structure (&stats);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_trace (gpointer user_data)
{
  App *self = user_data;
  GstStructure *stats = remux_get_stats (self->remux);

  if (stats)
    trace_add (self->trace, stats);
  gst_clear_structure (&stats);
  return G_SOURCE_CONTINUE;
}

static void
on_tell (RemuxLevel level, const gchar *text, gpointer user_data)
{
  App *self = user_data;

  report_message (
      self->report, level == REMUX_WARNING ? "warning" : "note", "%s", text);
}

/* The run has its file whatever becomes of its trace. */
static void
close_trace (App *self)
{
  g_autoptr (GError) error = NULL;

  if (!self->trace)
    return;
  on_trace (self);
  if (!trace_close (g_steal_pointer (&self->trace), &error))
    report_message (self->report, "warning", "%s", error->message);
}

static RemuxOutcome
run (App *self)
{
  g_autofree gchar *name = g_filename_display_name (self->output);
  g_autoptr (GError) error = NULL;
  guint interval = report_get_interval_ms (self->report);
  guint progress = 0, trace = 0;
  RemuxOutcome outcome;

  report_begin (self->report);
  if (interval > 0)
    progress = g_timeout_add (interval, on_progress, self);
  if (self->trace)
    trace = g_timeout_add (TRACE_INTERVAL_MS, on_trace, self);
  outcome = remux_run (self->remux, on_tell, self, &error);
  if (progress)
    g_source_remove (progress);
  if (trace)
    g_source_remove (trace);
  close_trace (self);
  if (error)
    report_message (self->report, "error", "%s: %s", name, error->message);
  return outcome;
}

/* What the file lacks, as far as anybody can tell. */
static void
report_lacks (App *self)
{
  const Input *input = g_ptr_array_index (self->inputs, self->inputs->len - 1);
  guint untimed = remux_count_untimed (self->remux);
  GstClockTime shortfall = remux_get_shortfall (self->remux);

  if (untimed > 0)
    report_message (self->report, "note",
        "%s: %u frames without a time are left out", input->name, untimed);
  /* Damage says more. */
  if (shortfall > 0 && self->interrupts == 0 && !remux_get_damage (self->remux))
    report_message (self->report, "note",
        "%s: ends %.1f s before it should: is it all there?", input->name,
        (gdouble) shortfall / GST_SECOND);
}

/* The file is whole: its name, and how sure we are of it. */
static gint
conclude (App *self, OutFile *file, RemuxOutcome outcome)
{
  g_autoptr (GError) error = NULL;
  GstStructure *stats = NULL;
  RemuxProgress progress;

  if (!out_file_keep (file, &error)) {
    complain (self, error);
    return EXIT_FAILED;
  }
  if (outcome == REMUX_DURABLE && !out_file_sync_name (file, &error)) {
    complain (self, error);
    outcome = REMUX_WRITTEN;
  }
  stats = remux_get_stats (self->remux);
  remux_get_progress (self->remux, &progress);
  report_result (self->report, self->output,
      g_ptr_array_index (self->inspections, 0), &progress, stats,
      outcome == REMUX_DURABLE);
  gst_clear_structure (&stats);
  report_lacks (self);
  if (remux_get_damage (self->remux) && self->interrupts == 0) {
    report_message (
        self->report, "error", "%s", remux_get_damage (self->remux));
    return EXIT_FAILED;
  }
  if (outcome != REMUX_DURABLE)
    return EXIT_NOT_KNOWN_DURABLE;
  return self->interrupts > 0 ? EXIT_INTERRUPTED : EXIT_DURABLE;
}

static gint
work (App *self)
{
  const OutFileOptions how = { .force = self->options.force,
    .in_place = self->options.no_part };
  g_autoptr (GError) error = NULL;
  g_autoptr (OutFile) file = NULL;
  g_autoptr (GstElement) muxer = NULL;
  RemuxOutcome outcome;

  muxer = muxer_new (self->output, self->options.format, &error);
  if (!muxer) {
    complain (self, error);
    return error->domain == G_OPTION_ERROR ? EXIT_USAGE : EXIT_FAILED;
  }
  if (!open_inputs (self))
    return EXIT_FAILED;
  file = out_file_claim (self->output, self->inputs, how, &error);
  if (file && self->options.trace_path)
    self->trace = trace_open (self->options.trace_path, &error);
  if (error) {
    complain (self, error);
    return EXIT_FAILED;
  }
  if (!inspect_all (self, muxer))
    return EXIT_FAILED;

  self->remux = remux_new (
      self->inputs, self->inspections, out_file_get_path (file), muxer, &error);
  if (!self->remux) {
    complain (self, error);
    return EXIT_FAILED;
  }
  outcome = run (self);
  if (outcome == REMUX_FAILED)
    return EXIT_FAILED;
  return conclude (self, file, outcome);
}

/* --- the command line --------------------------------------------------------- */

static gboolean
parse_arguments (Options *self, gint *argc, gchar ***argv, GError **error)
{
  g_autoptr (GOptionContext) context = g_option_context_new ("INPUT... OUTPUT");
  const GOptionEntry entries[] = {
    { "muxer", 'm', 0, G_OPTION_ARG_STRING, &self->format,
        "mkv, webm, mp4, mov, ts, or a muxer of GStreamer's [OUTPUT's "
        "extension]",
        "FORMAT" },
    { "video", 0, 0, G_OPTION_ARG_STRING, &self->selection.video,
        "Video tracks: all, none, or numbers and languages [all]", "LIST" },
    { "audio", 0, 0, G_OPTION_ARG_STRING, &self->selection.audio,
        "Audio tracks: all, none, or languages and numbers [all]", "LIST" },
    { "subtitles", 0, 0, G_OPTION_ARG_STRING, &self->selection.subtitles,
        "Subtitles: all, none, or languages and numbers [all]", "LIST" },
    { "force", 'f', 0, G_OPTION_ARG_NONE, &self->force,
        "Replace OUTPUT if it exists", NULL },
    { "no-part", 0, 0, G_OPTION_ARG_NONE, &self->no_part,
        "Write OUTPUT in place, not OUTPUT.part first", NULL },
    { "json", 0, 0, G_OPTION_ARG_NONE, &self->json,
        "Print JSON, one object a line", NULL },
    { "quiet", 'q', 0, G_OPTION_ARG_NONE, &self->quiet,
        "Print errors and warnings only", NULL },
    { "trace", 0, 0, G_OPTION_ARG_FILENAME, &self->trace_path,
        "Write the sink's figures over time to FILE.csv", "FILE.csv" },
    { "version", 0, 0, G_OPTION_ARG_NONE, &self->version, "Print the version",
        NULL },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &self->words, NULL,
        NULL },
    { NULL }
  };

  g_option_context_set_summary (context,
      "Puts the video, audio and subtitle tracks of INPUT into OUTPUT as they\n"
      "are, and makes sure that the file is on disk. INPUT is a file (a "
      "transport\n"
      "stream, a DVD's program stream, or what GStreamer can read), a URI, or "
      "a\n"
      "disc's folder (BDMV, VIDEO_TS), which stands for its main title. "
      "Several\n"
      "are put one after the other.");
  g_option_context_set_description (context,
      "The file is OUTPUT.part until it is whole. Ctrl-C finishes it with "
      "what\n"
      "is there; a second one stops and removes it.\n\n"
      "Exit status: 0 the file is on disk; 1 failed (if INPUT broke off, what\n"
      "could be read is kept, and a message says so); 2 usage; 3 written, but\n"
      "not known to be on disk; 130 interrupted and finished.");
  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_add_group (context, gst_init_get_option_group ());
  return g_option_context_parse (context, argc, argv, error);
}

static gboolean
check_arguments (Options *self, GError **error)
{
  guint n = self->words ? g_strv_length (self->words) : 0;

  if (self->version)
    return TRUE;
  if (n < 2) {
    g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
        "usage: wbremux [options] INPUT... OUTPUT (--help says more)");
    return FALSE;
  }
  self->n_inputs = n - 1;
  return selection_check (&self->selection, error);
}

static ReportMode
get_report_mode (const Options *self)
{
  if (self->json)
    return REPORT_JSON;
  if (self->quiet)
    return REPORT_QUIET;
  return isatty (STDERR_FILENO) ? REPORT_TERMINAL : REPORT_PLAIN;
}

static gint
start (App *self, gint *argc, gchar ***argv)
{
  g_autoptr (GError) error = NULL;
  gboolean is_good = parse_arguments (&self->options, argc, argv, &error)
      && check_arguments (&self->options, &error);

  self->report = report_new (get_report_mode (&self->options));
  if (!is_good) {
    complain (self, error);
    return EXIT_USAGE;
  }
  if (self->options.version) {
    g_print ("wbremux %s\n", PACKAGE_VERSION);
    return EXIT_DURABLE;
  }
  self->output = self->options.words[self->options.n_inputs];
  self->cancellable = g_cancellable_new ();
  watch_signals (self);
  return work (self);
}

static void
clear_options (Options *self)
{
  g_free (self->format);
  g_free (self->trace_path);
  g_strfreev (self->words);
  selection_clear (&self->selection);
}

gint
main (gint argc, gchar **argv)
{
  App app = { .interrupts = 0 };
  gint status;

  setlocale (LC_ALL, "");
  status = start (&app, &argc, &argv);
  report_exit (app.report, status);
  g_clear_pointer (&app.remux, remux_free);
  if (app.trace)
    trace_close (app.trace, NULL);
  g_clear_pointer (&app.inspections, g_ptr_array_unref);
  g_clear_pointer (&app.inputs, g_ptr_array_unref);
  g_clear_object (&app.cancellable);
  report_free (app.report);
  clear_options (&app.options);
  return status;
}
