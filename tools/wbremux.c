/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * wbremux: puts the tracks of files or a disc into one file, as they are.
 *
 * Problem: a disc's title is tens of GB. Copying it with a plain file sink
 * fills the page cache, and when the program ends nobody knows whether the file
 * is on disk.
 *
 * Strategy: find out what the words on the command line stand for (inputs.c),
 * look at each input (source.c) and decide which tracks the muxer can hold
 * (output.c) and which are asked for (selection.c), run them through libavformat's
 * muxer and wbfilesink into OUTPUT.part (remux.c, avsink.c), and give the file its
 * name when it is whole (outfile.c). This file is the command line: options,
 * signals, and the exit code; what is said meanwhile is report.c's.
 *
 * Threads: the main one has signals and timers and waits for nothing; a worker does
 * the rest in order. App.lock is held to hand the run over to the timers.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "avlog.h"
#include "inputs.h"
#include "list.h"
#include "outfile.h"
#include "output.h"
#include "remux.h"
#include "report.h"
#include "selection.h"
#include "trace.h"

#include <glib-unix.h>
#include <libavutil/avutil.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_PATIENCE 60 /* s */
/* A worker that is stuck in the kernel is waited for this long. */
#define GRACE (2 * G_USEC_PER_SEC)
#define WATCH_INTERVAL_MS 250

enum
{
  EXIT_DURABLE = 0,
  EXIT_FAILED = 1,
  EXIT_USAGE = 2,
  EXIT_NOT_KNOWN_DURABLE = 3,
  EXIT_INCOMPLETE = 4,
  EXIT_INTERRUPTED = 130
};

typedef struct
{
  gboolean force;
  gboolean no_part;
  gboolean quiet;
  gboolean json;
  gboolean version;
  gboolean list;
  gboolean strict;
  gint patience;
  gchar *format;
  gchar *trace_path;
  gchar *title;
  gchar *chapters;
  gint angle;
  gboolean scan;
  Selection selection;
  gchar **words; /* INPUT... OUTPUT */
  guint n_inputs;
} Options;

typedef struct
{
  Options options;
  Report *report;
  Guard guard;
  GMainLoop *loop;
  gint status;
  RemuxSetup setup;
  OutFile *file;
  Trace *trace;
  gint64 interrupted_at;
  gboolean is_opening; /* an input: the worker may wait for it */

  GMutex lock;
  Remux *remux; /* NULL: nothing runs */
  AvSink *sink;
} App;

static void
complain (App *self, const GError *error)
{
  report_message (self->report, "error", "%s", error->message);
}

static void
on_tell (const gchar *level, const gchar *text, gpointer user_data)
{
  App *self = user_data;

  report_message (self->report, level, "%s", text);
}

static void
on_sink_tell (const gchar *text, gpointer user_data)
{
  on_tell ("warning", text, user_data);
}

/* --- signals and timers ------------------------------------------------------------ */

/* The first signal finishes the file with what is there; the next gives up, and
 * leaves a third one to the system. */
static gboolean
on_interrupt (gpointer user_data)
{
  App *self = user_data;
  gboolean is_first = guard_get_level (&self->guard) == GUARD_GO;

  g_atomic_int_set (&self->guard.level, is_first ? GUARD_FINISH : GUARD_STOP);
  g_mutex_lock (&self->lock);
  if (self->remux && is_first)
    report_message (self->report, "note",
        "interrupted: finishing the file (again to stop)");
  if (self->sink && !is_first)
    av_sink_stop (self->sink);
  if (is_first)
    self->interrupted_at = g_get_monotonic_time ();
  g_mutex_unlock (&self->lock);
  return is_first ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static void
watch_signals (App *self)
{
  g_unix_signal_add (SIGINT, on_interrupt, self);
  g_unix_signal_add (SIGTERM, on_interrupt, self);
  g_unix_signal_add (SIGHUP, on_interrupt, self);
}

/* Leaves a worker behind that does not come back from the kernel. */
static void
abandon (App *self, const gchar *why)
{
  report_message (self->report, "error", "%s", why);
  if (self->file)
    out_file_abandon (self->file);
  report_exit (self->report, EXIT_FAILED);
  fflush (NULL);
  _exit (EXIT_FAILED);
}

/* While inputs are opened nothing else can be done for a worker that waits. */
static gboolean
on_watch (gpointer user_data)
{
  App *self = user_data;
  gint64 now = g_get_monotonic_time ();

  g_mutex_lock (&self->lock);
  if (self->is_opening && self->interrupted_at
      && now - self->interrupted_at > GRACE)
    abandon (self, "interrupted before anything was written");
  if (self->is_opening && self->guard.patience > 0
      && guard_get_idle (&self->guard) > self->guard.patience + GRACE)
    abandon (self, "nothing has come from the input for too long");
  g_mutex_unlock (&self->lock);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_progress (gpointer user_data)
{
  App *self = user_data;
  GstStructure *stats = NULL;
  RemuxProgress progress;

  g_mutex_lock (&self->lock);
  if (self->remux && self->sink) {
    stats = av_sink_get_stats (self->sink);
    remux_get_progress (self->remux, &progress);
    report_progress (self->report, &progress, stats);
  }
  g_mutex_unlock (&self->lock);
  gst_clear_structure (&stats);
  return G_SOURCE_CONTINUE;
}

static void
add_trace (App *self)
{
  GstStructure *stats = av_sink_get_stats (self->sink);

  if (stats)
    trace_add (self->trace, stats);
  gst_clear_structure (&stats);
}

static gboolean
on_trace (gpointer user_data)
{
  App *self = user_data;

  g_mutex_lock (&self->lock);
  if (self->remux && self->sink && self->trace)
    add_trace (self);
  g_mutex_unlock (&self->lock);
  return G_SOURCE_CONTINUE;
}

/* --- before the run ---------------------------------------------------------------- */

static void
complain_no_track (App *self, const Input *input, GPtrArray *tracks)
{
  const Track *track = NULL;
  guint i;

  for (i = 0; i < tracks->len && !(track && !track->unwanted); i++)
    track = g_ptr_array_index (tracks, i);
  if (!track || track->unwanted) {
    report_message (self->report, "error", "%s: has no track%s", input->name,
        track ? " that is asked for" : "");
  } else {
    g_autofree gchar *text = track_describe (track);

    report_message (self->report, "error",
        "%s: has no track that can be kept (%s: %s)", input->name, text,
        track->why);
  }
}

/* A film without its picture is none, unless that was asked for. */
static gboolean
check_picture (App *self, const Input *input, GPtrArray *tracks)
{
  g_autofree gchar *text = NULL;
  const Track *lost = NULL;
  guint i;

  for (i = 0; i < tracks->len; i++) {
    const Track *track = g_ptr_array_index (tracks, i);

    if (!g_str_equal (track_get_kind (track), "video"))
      continue;
    if (track_is_kept (track))
      return TRUE;
    if (!track->unwanted && !lost)
      lost = track;
  }
  if (!lost)
    return TRUE;
  text = track_describe (lost);
  report_message (self->report, "error",
      "%s: its picture cannot be kept (%s: %s); --video=none takes the rest",
      input->name, text, lost->why);
  return FALSE;
}

/* Something that was asked for has no place: known before the first byte. */
static gboolean
check_strict (App *self, const Input *input, GPtrArray *tracks)
{
  guint i;

  for (i = 0; self->options.strict && i < tracks->len; i++) {
    const Track *track = g_ptr_array_index (tracks, i);
    g_autofree gchar *text = track_describe (track);

    if (track_is_kept (track) || track->unwanted || track->is_silent
        || g_str_equal (track_get_kind (track), "data"))
      continue;
    report_message (self->report, "error", "%s: --strict, and %s: %s",
        input->name, text, track->why);
    return FALSE;
  }
  return TRUE;
}

static gboolean
choose_tracks (App *self, const Input *input, GPtrArray *tracks)
{
  g_autoptr (GError) error = NULL;
  guint n_kept = 0, i;

  for (i = 0; i < tracks->len; i++)
    output_check_track (self->setup.format, g_ptr_array_index (tracks, i),
        self->setup.inputs->len > 1);
  if (!selection_apply (&self->options.selection, tracks, &error)) {
    report_message (
        self->report, "error", "%s: %s", input->name, error->message);
    return FALSE;
  }
  for (i = 0; i < tracks->len; i++) {
    const Track *track = g_ptr_array_index (tracks, i);

    n_kept += track_is_kept (track)
        && !g_str_equal (track_get_kind (track), "attachment");
  }
  if (n_kept == 0) {
    complain_no_track (self, input, tracks);
    return FALSE;
  }
  return check_picture (self, input, tracks)
      && check_strict (self, input, tracks);
}

/* The first input, open, with its tracks chosen; NULL: it is told why. */
static Source *
open_first (App *self)
{
  Input *input = g_ptr_array_index (self->setup.inputs, 0);
  g_autoptr (GError) error = NULL;
  g_autoptr (Source) source =
      source_open (input, &self->setup.source, &self->guard, &error);

  if (!source && guard_get_level (&self->guard) != GUARD_GO)
    report_message (
        self->report, "error", "interrupted before anything was written");
  else if (!source)
    complain (self, error);
  if (!source || !choose_tracks (self, input, source_get_tracks (source)))
    return NULL;
  report_tracks (self->report, source_get_tracks (source));
  return g_steal_pointer (&source);
}

/* --- the run ------------------------------------------------------------------------ */

static Remux *
set_up_run (App *self)
{
  g_autoptr (GError) error = NULL;
  Source *source = open_first (self);
  Remux *remux;

  if (!source)
    return NULL;
  remux = remux_new (&self->setup, source, &error);
  if (!remux)
    complain (self, error);
  else if (self->options.strict && remux_is_incomplete (remux)) {
    report_message (self->report, "error", "--strict, and not all is kept");
    g_clear_pointer (&remux, remux_free);
  }
  return remux;
}

static void
begin_opening (App *self)
{
  guard_touch (&self->guard);
  g_mutex_lock (&self->lock);
  self->is_opening = TRUE;
  g_mutex_unlock (&self->lock);
}

static void
begin_run (App *self, Remux *remux, AvSink *sink)
{
  report_begin (self->report);
  g_mutex_lock (&self->lock);
  self->is_opening = FALSE;
  self->remux = remux;
  self->sink = sink;
  g_mutex_unlock (&self->lock);
}

/* The run has its file whatever becomes of its trace. */
static void
end_run (App *self)
{
  g_autoptr (GError) error = NULL;

  g_mutex_lock (&self->lock);
  if (self->trace)
    add_trace (self);
  self->remux = NULL;
  self->sink = NULL;
  g_mutex_unlock (&self->lock);
  if (self->trace && !trace_close (g_steal_pointer (&self->trace), &error))
    report_message (self->report, "warning", "%s", error->message);
}

static AvSinkVerdict
run (App *self, Remux *remux, AvSink *sink, const gchar *output)
{
  g_autofree gchar *name = g_filename_display_name (output);
  g_autoptr (GError) error = NULL, sink_error = NULL;
  AvSinkVerdict verdict = AV_SINK_FAILED;

  begin_run (self, remux, sink);
  if (remux_run (remux, sink, &error)) {
    verdict = av_sink_finish (sink, &error);
  } else {
    /* The sink's words, if it was the sink that refused. */
    av_sink_get_failure (sink, &sink_error);
  }
  end_run (self);
  if (guard_get_level (&self->guard) == GUARD_STOP) {
    report_message (self->report, "error", "%s: stopped", name);
    return AV_SINK_FAILED;
  }
  if (error)
    report_message (self->report, "error", "%s: %s", name,
        sink_error ? sink_error->message : error->message);
  return verdict;
}

static gint
get_status (App *self, Remux *remux, AvSinkVerdict verdict)
{
  if (remux_get_damage (remux) && guard_get_level (&self->guard) == GUARD_GO) {
    report_message (self->report, "error", "%s", remux_get_damage (remux));
    return EXIT_FAILED;
  }
  if (verdict != AV_SINK_DURABLE)
    return EXIT_NOT_KNOWN_DURABLE;
  if (guard_get_level (&self->guard) != GUARD_GO)
    return EXIT_INTERRUPTED;
  if (!remux_is_incomplete (remux))
    return EXIT_DURABLE;
  return self->options.strict ? EXIT_FAILED : EXIT_INCOMPLETE;
}

/* The file is whole: its name, and how sure we are of it. */
static gint
conclude (App *self, Remux *remux, AvSink *sink, const gchar *output,
    AvSinkVerdict verdict)
{
  g_autoptr (GError) error = NULL;
  GstStructure *stats = NULL;
  RemuxProgress progress;

  if (!out_file_keep (self->file, &error)) {
    complain (self, error);
    return EXIT_FAILED;
  }
  if (verdict == AV_SINK_DURABLE && !out_file_sync_name (self->file, &error)) {
    complain (self, error);
    verdict = AV_SINK_WRITTEN;
  }
  stats = av_sink_get_stats (sink);
  remux_get_progress (remux, &progress);
  report_result (self->report, output, remux_get_tracks (remux), &progress,
      stats, verdict == AV_SINK_DURABLE);
  gst_clear_structure (&stats);
  return get_status (self, remux, verdict);
}

static gint
write_file (App *self, const gchar *output)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (Remux) remux = set_up_run (self);
  g_autoptr (AvSink) sink = NULL;
  RemuxProgress progress;
  AvSinkVerdict verdict;

  if (!remux)
    return EXIT_FAILED;
  remux_get_progress (remux, &progress);
  sink = av_sink_new (out_file_get_path (self->file), progress.size,
      on_sink_tell, self, &error);
  if (!sink) {
    complain (self, error);
    return EXIT_FAILED;
  }
  verdict = run (self, remux, sink, output);
  if (verdict == AV_SINK_FAILED)
    return EXIT_FAILED;
  return conclude (self, remux, sink, output, verdict);
}

static gint
make_output (App *self, const gchar *output)
{
  const OutFileOptions how = { .force = self->options.force,
    .in_place = self->options.no_part };
  g_autoptr (GError) error = NULL;
  gint status;

  begin_opening (self);
  self->file = out_file_claim (output, self->setup.inputs, how, &error);
  if (self->file && self->options.trace_path)
    self->trace = trace_open (self->options.trace_path, &error);
  if (error) {
    complain (self, error);
    status = EXIT_FAILED;
  } else {
    status = write_file (self, output);
  }
  g_mutex_lock (&self->lock);
  g_clear_pointer (&self->file, out_file_free);
  g_mutex_unlock (&self->lock);
  return status;
}

/* --- titles ---------------------------------------------------------------------------- */

static gboolean
choose_title (App *self, Input *input, guint number)
{
  g_autofree gchar *text = NULL;
  const DiscTitle *title = number ? disc_find_title (input->disc, number)
                                  : disc_get_main_title (input->disc);

  if (!title) {
    if (number)
      report_message (self->report, "error",
          "%s: has no title %u (--list shows what it has)", input->name,
          number);
    else
      report_message (self->report, "error", "%s: has no title", input->name);
    return FALSE;
  }
  input->title = title;
  input->size = title->size;
  text = list_describe_title (title);
  report_chosen (self->report, input->name, text);
  return TRUE;
}

static gboolean
choose_titles (App *self)
{
  const gchar *word = self->options.title;
  guint number = word && !g_str_equal (word, "main")
      ? g_ascii_strtoull (word, NULL, 10)
      : 0;
  guint i;

  for (i = 0; i < self->setup.inputs->len; i++) {
    Input *input = g_ptr_array_index (self->setup.inputs, i);

    if (input->disc && !choose_title (self, input, number))
      return FALSE;
    if (!input->disc && number > 1) {
      report_message (
          self->report, "error", "%s: has no title %u", input->name, number);
      return FALSE;
    }
  }
  report_inputs (self->report, self->setup.inputs);
  return TRUE;
}

/* film.mkv: film-01.mkv, film-02.mkv. The worst that came of one is what came. */
static gint
make_all_titles (App *self, const gchar *output)
{
  Input *input = g_ptr_array_index (self->setup.inputs, 0);
  GPtrArray *titles = disc_get_titles (input->disc);
  const gchar *dot = strrchr (output, '.');
  gint status = EXIT_DURABLE;
  guint i;

  if (!dot || strchr (dot, '/'))
    dot = output + strlen (output);
  for (i = 0; i < titles->len; i++) {
    const DiscTitle *title = g_ptr_array_index (titles, i);
    g_autofree gchar *name = g_strdup_printf (
        "%.*s-%02u%s", (gint) (dot - output), output, title->number, dot);
    gint result = EXIT_FAILED;

    if (choose_title (self, input, title->number))
      result = make_output (self, name);
    if (result != EXIT_DURABLE && status != EXIT_FAILED)
      status = result;
    if (guard_get_level (&self->guard) != GUARD_GO)
      break;
  }
  return status;
}

static gint
work (App *self)
{
  const gchar *output = self->options.words[self->options.n_inputs];
  g_autoptr (GError) error = NULL;

  begin_opening (self);
  self->setup.inputs =
      inputs_open (self->options.words, self->options.n_inputs, &error);
  if (!self->setup.inputs) {
    complain (self, error);
    return EXIT_FAILED;
  }
  if (self->options.list)
    return list_inputs (self->setup.inputs, &self->setup.source, &self->guard,
               self->report, &error)
        ? EXIT_DURABLE
        : (complain (self, error), EXIT_FAILED);
  if (g_strcmp0 (self->options.title, "all") == 0) {
    const Input *first = g_ptr_array_index (self->setup.inputs, 0);

    if (first->disc && self->setup.inputs->len == 1)
      return make_all_titles (self, output);
    report_message (
        self->report, "error", "--title=all is for one disc, alone");
    return EXIT_FAILED;
  }
  return choose_titles (self) ? make_output (self, output) : EXIT_FAILED;
}

static gboolean
on_done (gpointer user_data)
{
  App *self = user_data;

  g_main_loop_quit (self->loop);
  return G_SOURCE_REMOVE;
}

static gpointer
work_thread (gpointer data)
{
  App *self = data;

  self->status = work (self);
  g_idle_add (on_done, self); /* the loop may not run yet */
  return NULL;
}

/* --- the command line --------------------------------------------------------- */

static gboolean
parse_arguments (Options *self, gint *argc, gchar ***argv, GError **error)
{
  g_autoptr (GOptionContext) context = g_option_context_new ("INPUT... OUTPUT");
  const GOptionEntry entries[] = {
    { "list", 'l', 0, G_OPTION_ARG_NONE, &self->list,
        "Show the titles and tracks of INPUT, write nothing", NULL },
    { "title", 't', 0, G_OPTION_ARG_STRING, &self->title,
        "A disc's title: main, all (a file each), or a number [main]",
        "TITLE" },
    { "chapters", 0, 0, G_OPTION_ARG_STRING, &self->chapters,
        "Only these chapters: A-B, A-, or A", "RANGE" },
    { "angle", 0, 0, G_OPTION_ARG_INT, &self->angle, "A disc's angle [1]",
        "N" },
    { "muxer", 'm', 0, G_OPTION_ARG_STRING, &self->format,
        "mkv, webm, mp4, mov, ts, or a muxer of libavformat's [OUTPUT's "
        "extension]",
        "FORMAT" },
    { "video", 0, 0, G_OPTION_ARG_STRING, &self->selection.video,
        "Video tracks: all, none, or numbers, languages, codecs [all]",
        "LIST" },
    { "audio", 0, 0, G_OPTION_ARG_STRING, &self->selection.audio,
        "Audio tracks: all, none, or languages, numbers, codecs [all]",
        "LIST" },
    { "subtitles", 0, 0, G_OPTION_ARG_STRING, &self->selection.subtitles,
        "Subtitles: all, none, or languages, numbers, codecs, forced [all]",
        "LIST" },
    { "default", 0, 0, G_OPTION_ARG_STRING, &self->selection.defaults,
        "The tracks with the default flag: KIND:WORD,... [the input's]",
        "DEFAULTS" },
    { "strict", 0, 0, G_OPTION_ARG_NONE, &self->strict,
        "Fail rather than leave a track out", NULL },
    { "scan", 0, 0, G_OPTION_ARG_NONE, &self->scan,
        "Look for tracks in the whole of INPUT first", NULL },
    { "timeout", 0, 0, G_OPTION_ARG_INT, &self->patience,
        "End an input that has given nothing for so long; 0: wait [60]",
        "SECONDS" },
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
      "are, and makes sure that the file is on disk. INPUT is a file or URL "
      "that\n"
      "libavformat can read, - for standard input, or a disc: a Blu-ray's or "
      "a\n"
      "DVD's folder, image or drive. Several are put one after the other.");
  g_option_context_set_description (context,
      "The file is OUTPUT.part until it is whole. Ctrl-C finishes it with "
      "what\n"
      "is there; a second one stops and removes it.\n\n"
      "Exit status: 0 the file is on disk; 1 failed (if INPUT broke off, what\n"
      "could be read is kept, and a message says so); 2 usage; 3 written, but\n"
      "not known to be on disk; 4 on disk, but not all of INPUT is in it (a "
      "line\n"
      "says what is not); 130 interrupted and finished.");
  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_add_group (context, gst_init_get_option_group ());
  return g_option_context_parse (context, argc, argv, error);
}

static gboolean
check_chapters (const gchar *text, SourceOptions *source)
{
  guint last = G_MAXUINT;
  gint n;

  if (!g_regex_match_simple (
          "^[1-9][0-9]{0,3}(-([1-9][0-9]{0,3})?)?$", text, 0, 0))
    return FALSE;
  n = sscanf (text, "%u-%u", &source->first_chapter, &last);
  if (n < 2)
    last = strchr (text, '-') ? 0 : source->first_chapter;
  source->last_chapter = last;
  return last == 0 || last >= source->first_chapter;
}

static gboolean
check_values (App *self, GError **error)
{
  Options *options = &self->options;

  self->setup.source.angle = options->angle > 0 ? options->angle : 1;
  self->setup.source.scan = options->scan;
  self->guard.patience = (gint64) options->patience * G_USEC_PER_SEC;
  if (options->title
      && !g_regex_match_simple (
          "^(main|all|[1-9][0-9]{0,4})$", options->title, 0, 0))
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
        "--title=%s: should be main, all, or a number", options->title);
  else if (options->chapters
      && !check_chapters (options->chapters, &self->setup.source))
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
        "--chapters=%s: should be a range such as 2-4", options->chapters);
  else if (options->chapters && options->n_inputs > 1)
    g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
        "--chapters is for one input");
  else if (options->angle < 0 || options->patience < 0)
    g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
        "--angle and --timeout cannot be negative");
  else
    return selection_check (&options->selection, error);
  return FALSE;
}

static gboolean
check_arguments (App *self, GError **error)
{
  Options *options = &self->options;
  guint n = options->words ? g_strv_length (options->words) : 0;

  if (options->version)
    return TRUE;
  if (n < (options->list ? 1 : 2)) {
    g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
        "usage: wbremux [options] INPUT... OUTPUT (--help says more)");
    return FALSE;
  }
  options->n_inputs = options->list ? n : n - 1;
  if (!check_values (self, error))
    return FALSE;
  if (options->list)
    return TRUE;
  self->setup.format = output_find_format (
      options->words[options->n_inputs], options->format, error);
  return self->setup.format != NULL;
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

static void
run_worker (App *self)
{
  guint interval = report_get_interval_ms (self->report);
  GThread *worker;

  self->setup.guard = &self->guard;
  self->setup.tell = on_tell;
  self->setup.user_data = self;
  guard_touch (&self->guard);
  self->loop = g_main_loop_new (NULL, FALSE);
  watch_signals (self);
  g_timeout_add (WATCH_INTERVAL_MS, on_watch, self);
  if (interval > 0)
    g_timeout_add (interval, on_progress, self);
  if (self->options.trace_path)
    g_timeout_add (TRACE_INTERVAL_MS, on_trace, self);
  worker = g_thread_new ("worker", work_thread, self);
  g_main_loop_run (self->loop);
  g_thread_join (worker);
  g_main_loop_unref (self->loop);
}

static gint
start (App *self, gint *argc, gchar ***argv)
{
  g_autoptr (GError) error = NULL;
  gboolean is_good = parse_arguments (&self->options, argc, argv, &error)
      && check_arguments (self, &error);

  self->report = report_new (get_report_mode (&self->options));
  if (!is_good) {
    complain (self, error);
    return EXIT_USAGE;
  }
  if (self->options.version) {
    g_print ("wbremux %s (libavformat %s, %s)\n", PACKAGE_VERSION,
        av_version_info (), disc_get_features ());
    return EXIT_DURABLE;
  }
  av_log_keep ();
  run_worker (self);
  return self->status;
}

static void
clear_options (Options *self)
{
  g_free (self->format);
  g_free (self->trace_path);
  g_free (self->title);
  g_free (self->chapters);
  g_strfreev (self->words);
  selection_clear (&self->selection);
}

gint
main (gint argc, gchar **argv)
{
  App app = { .options.patience = DEFAULT_PATIENCE };
  gint status;

  setlocale (LC_ALL, "");
  g_mutex_init (&app.lock);
  status = start (&app, &argc, &argv);
  report_exit (app.report, status);
  g_clear_pointer (&app.setup.inputs, g_ptr_array_unref);
  g_mutex_clear (&app.lock);
  report_free (app.report);
  clear_options (&app.options);
  return status;
}
