/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * wbremux: puts the tracks of a file into a Matroska file, as they are.
 *
 * Problem: a disc's title is tens of GB. Copying it with a plain file sink
 * fills the page cache, and when the program ends nobody knows whether the file
 * is on disk.
 *
 * Strategy: look at the input first and decide which tracks Matroska can hold
 * (inspect.c), then run them through wbfilesink (remux.c) into OUTPUT.part, and
 * give the file its name when it is whole (outfile.c). This file is the command
 * line: options, signals, progress, the summary, the exit code.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "inspect.h"
#include "outfile.h"
#include "remux.h"
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <locale.h>
#include <signal.h>
#include <sys/stat.h>
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
  gboolean quiet;
  const gchar *input;
  const gchar *output;

  guint64 input_size;
  gint64 began;
  guint interrupts;
  GCancellable *cancellable;
  Inspection *inspection;
  Remux *remux;
  gboolean progress_shown;
} App;

/* --- what the user sees ----------------------------------------------------- */

static void
clear_progress (App *self)
{
  if (self->progress_shown)
    g_printerr ("\r\033[K");
  self->progress_shown = FALSE;
}

static void G_GNUC_PRINTF (2, 3) complain (App *self, const gchar *format, ...)
{
  g_autofree gchar *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  /* One line, whatever an element has put into its text. */
  g_strdelimit (text, "\r\n", ' ');
  clear_progress (self);
  g_printerr ("wbremux: %s\n", text);
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
get_elapsed (App *self)
{
  return (g_get_monotonic_time () - self->began) / 1e6;
}

static gboolean
on_progress (gpointer user_data)
{
  App *self = user_data;
  GstStructure *stats = remux_get_stats (self->remux);
  guint64 written = get_figure (stats, "high-water-mark");
  gdouble percent = 100.0 * written / MAX (self->input_size, 1);

  g_printerr ("\r\033[K%3.0f%%  %.1f MB  %.1f MB/s  dirty %.1f MB",
      MIN (percent, 99.0), written / 1e6, written / 1e6 / get_elapsed (self),
      get_figure (stats, "dirty-bytes") / 1e6);
  self->progress_shown = TRUE;
  gst_clear_structure (&stats);
  return G_SOURCE_CONTINUE;
}

static void
print_tracks (App *self)
{
  GPtrArray *tracks = self->inspection->tracks;
  guint i;

  for (i = 0; i < tracks->len; i++) {
    const Track *track = g_ptr_array_index (tracks, i);
    g_autofree gchar *text = track_describe (track);

    if (!track->reason)
      g_print ("  %s%s%s\n", text, track->note ? ": " : "",
          track->note ? track->note : "");
  }
}

/* One line for each track that is not taken, before the work begins. */
static void
print_left_out (App *self)
{
  GPtrArray *tracks = self->inspection->tracks;
  guint i;

  for (i = 0; i < tracks->len; i++) {
    const Track *track = g_ptr_array_index (tracks, i);
    g_autofree gchar *text = track_describe (track);

    if (track->reason)
      g_print ("left out: %s: %s\n", text, track->reason);
  }
}

static const gchar *
describe_sync (RemuxOutcome outcome, const GstStructure *stats)
{
  const gchar *result =
      stats ? gst_structure_get_string (stats, "sync-result") : NULL;

  if (outcome == REMUX_DURABLE)
    return "durable";
  if (g_strcmp0 (result, "timeout") == 0)
    return "NOT KNOWN TO BE DURABLE: the disk did not answer in time";
  return "NOT KNOWN TO BE DURABLE";
}

static void
print_summary (App *self, RemuxOutcome outcome)
{
  g_autofree gchar *name = g_filename_display_name (self->output);
  GstStructure *stats = remux_get_stats (self->remux);
  guint64 bytes = get_figure (stats, "high-water-mark");
  gdouble elapsed = get_elapsed (self);

  g_print ("%s:\n", name);
  print_tracks (self);
  g_print ("%.1f MB in %.1f s, %.1f MB/s, peak dirty %.1f MB, %s\n",
      bytes / 1e6, elapsed, bytes / 1e6 / elapsed,
      get_figure (stats, "peak-dirty-bytes") / 1e6,
      describe_sync (outcome, stats));
  gst_clear_structure (&stats);
}

/* What the file lacks, as far as anybody can tell. */
static void
print_notes (App *self)
{
  g_autofree gchar *input = g_filename_display_name (self->input);
  guint untimed = remux_count_untimed (self->remux);
  GstClockTime shortfall = remux_get_shortfall (self->remux);

  if (untimed > 0)
    complain (self, "note: %s: %u frames without a time are left out", input,
        untimed);
  if (shortfall > 0 && self->interrupts == 0)
    complain (self, "note: %s: ends %.1f s before it should: is it all there?",
        input, (gdouble) shortfall / GST_SECOND);
}

/* --- the work --------------------------------------------------------------- */

/* The first signal finishes the file with what is there; the next gives up. */
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
    return G_SOURCE_CONTINUE;
  }
  complain (self, "interrupted: finishing the file (again to stop)");
  remux_finish_early (self->remux);
  return G_SOURCE_CONTINUE;
}

static gboolean
check_input (App *self)
{
  g_autofree gchar *name = g_filename_display_name (self->input);
  gint fd = open (self->input, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  struct stat st;

  if (fd < 0 || fstat (fd, &st) < 0) {
    complain (self, "%s: %s", name, g_strerror (errno));
    if (fd >= 0)
      close (fd);
    return FALSE;
  }
  close (fd);
  if (S_ISDIR (st.st_mode))
    complain (self, "%s: %s", name, g_strerror (EISDIR));
  else if (!S_ISREG (st.st_mode))
    complain (self, "%s: not a regular file", name);
  else if (st.st_size == 0)
    complain (self, "%s: is empty", name);
  else {
    self->input_size = st.st_size;
    return TRUE;
  }
  return FALSE;
}

static void
complain_no_track (App *self)
{
  g_autofree gchar *name = g_filename_display_name (self->input);
  GPtrArray *tracks = self->inspection->tracks;
  g_autofree gchar *text = NULL;
  const Track *track;

  if (tracks->len == 0) {
    complain (self, "%s: has no track", name);
    return;
  }
  track = g_ptr_array_index (tracks, 0);
  text = track_describe (track);
  complain (self, "%s: has no track that Matroska can hold (%s: %s)", name,
      text, track->reason);
}

static gboolean
inspect (App *self, GstElement *muxer)
{
  g_autofree gchar *name = g_filename_display_name (self->input);
  g_autoptr (GError) error = NULL;

  self->inspection =
      inspect_input (self->input, muxer, self->cancellable, &error);
  if (!self->inspection && self->interrupts > 0) {
    complain (self, "interrupted before anything was written");
    return FALSE;
  }
  if (!self->inspection) {
    complain (self, "%s: %s", name, error->message);
    return FALSE;
  }
  if (self->inspection->n_kept == 0) {
    complain_no_track (self);
    return FALSE;
  }
  if (!self->quiet)
    print_left_out (self);
  return TRUE;
}

static RemuxOutcome
run (App *self)
{
  g_autofree gchar *name = g_filename_display_name (self->output);
  g_autoptr (GError) error = NULL;
  guint progress = 0;
  RemuxOutcome outcome;

  if (!self->quiet && isatty (STDERR_FILENO))
    progress = g_timeout_add (500, on_progress, self);
  outcome = remux_run (self->remux, &error);
  if (progress)
    g_source_remove (progress);
  clear_progress (self);
  if (error)
    complain (self, "%s: %s", name, error->message);
  return outcome;
}

/* The file is whole: its name, and how sure we are of it. */
static gint
conclude (App *self, OutFile *file, RemuxOutcome outcome)
{
  g_autofree gchar *input = g_filename_display_name (self->input);
  g_autoptr (GError) error = NULL;

  if (!out_file_keep (file, &error)) {
    complain (self, "%s", error->message);
    return EXIT_FAILED;
  }
  if (outcome == REMUX_DURABLE && !out_file_sync_name (file, &error)) {
    complain (self, "%s", error->message);
    outcome = REMUX_WRITTEN;
  }
  if (!self->quiet)
    print_summary (self, outcome);
  print_notes (self);
  if (remux_get_damage (self->remux) && self->interrupts == 0) {
    complain (self, "%s: cannot be read to its end, kept what there was: %s",
        input, remux_get_damage (self->remux));
    return EXIT_FAILED;
  }
  if (outcome != REMUX_DURABLE)
    return EXIT_NOT_KNOWN_DURABLE;
  return self->interrupts > 0 ? EXIT_INTERRUPTED : EXIT_DURABLE;
}

static gint
work (App *self)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (OutFile) file = NULL;
  g_autoptr (GstElement) muxer = NULL;
  RemuxOutcome outcome;

  if (!check_input (self))
    return EXIT_FAILED;
  muxer = make_element ("matroskamux", &error);
  if (muxer)
    gst_object_ref_sink (muxer);
  if (muxer)
    file = out_file_claim (self->output, self->input, self->force, &error);
  if (!file) {
    complain (self, "%s", error->message);
    return EXIT_FAILED;
  }
  if (!inspect (self, muxer))
    return EXIT_FAILED;

  self->remux = remux_new (self->input, out_file_get_part (file),
      self->inspection, muxer, self->input_size, &error);
  if (!self->remux) {
    complain (self, "%s", error->message);
    return EXIT_FAILED;
  }
  outcome = run (self);
  if (outcome == REMUX_FAILED)
    return EXIT_FAILED;
  return conclude (self, file, outcome);
}

/* --- the command line --------------------------------------------------------- */

static gboolean
parse_arguments (App *self, gint *argc, gchar ***argv, gboolean *done)
{
  g_autoptr (GOptionContext) context =
      g_option_context_new ("INPUT OUTPUT.mkv");
  g_autoptr (GError) error = NULL;
  gboolean version = FALSE;
  const GOptionEntry entries[] = { { "force", 'f', 0, G_OPTION_ARG_NONE,
                                       &self->force,
                                       "Replace OUTPUT if it exists", NULL },
    { "quiet", 'q', 0, G_OPTION_ARG_NONE, &self->quiet, "Print errors only",
        NULL },
    { "version", 0, 0, G_OPTION_ARG_NONE, &version, "Print the version", NULL },
    { NULL } };

  g_option_context_set_summary (context,
      "Puts the video, audio and subtitle tracks of INPUT (a transport "
      "stream,\n"
      "a DVD's program stream, or what GStreamer can read) into a Matroska "
      "file\n"
      "as they are, and makes sure that the file is on disk.");
  g_option_context_set_description (context,
      "The file is OUTPUT.part until it is whole. Ctrl-C finishes it with "
      "what\n"
      "is there; a second one stops and removes it.\n\n"
      "Exit status: 0 the file is on disk; 1 failed (if INPUT broke off, what\n"
      "could be read is kept, and a message says so); 2 usage; 3 written, but\n"
      "not known to be on disk; 130 interrupted and finished.");
  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_add_group (context, gst_init_get_option_group ());

  if (!g_option_context_parse (context, argc, argv, &error)) {
    complain (self, "%s", error->message);
    return FALSE;
  }
  if (version) {
    g_print ("wbremux %s\n", PACKAGE_VERSION);
    *done = TRUE;
    return TRUE;
  }
  if (*argc != 3) {
    complain (
        self, "usage: wbremux [options] INPUT OUTPUT.mkv (--help says more)");
    return FALSE;
  }
  self->input = (*argv)[1];
  self->output = (*argv)[2];
  return TRUE;
}

static void
watch_signals (App *self)
{
  g_unix_signal_add (SIGINT, on_interrupt, self);
  g_unix_signal_add (SIGTERM, on_interrupt, self);
  g_unix_signal_add (SIGHUP, on_interrupt, self);
}

gint
main (gint argc, gchar **argv)
{
  App app = { .began = g_get_monotonic_time () };
  gboolean done = FALSE;
  gint status;

  setlocale (LC_ALL, "");
  if (!parse_arguments (&app, &argc, &argv, &done))
    return EXIT_USAGE;
  if (done)
    return EXIT_DURABLE;

  app.cancellable = g_cancellable_new ();
  watch_signals (&app);
  status = work (&app);
  g_clear_pointer (&app.remux, remux_free);
  g_clear_pointer (&app.inspection, inspection_free);
  g_object_unref (app.cancellable);
  return status;
}
