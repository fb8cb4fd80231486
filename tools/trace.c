/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The sink's figures over time, as a CSV file for tests/bench/plot or a
 * spreadsheet: a line of names, then a line each moment. Time is in seconds from
 * the opening; the others have the names and units of writeback-stats.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "trace.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <stdio.h>

static const gchar *const columns[] = { "bytes-written", "queued-bytes",
  "dirty-bytes", "drain-rate", "wait-time", "durable-bytes" };

struct _Trace
{
  gchar *path;
  FILE *file;
  gint64 began;
};

static void
set_error (GError **error, const gchar *path, gint code)
{
  g_autofree gchar *name = g_filename_display_name (path);

  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (code), "%s: %s", name,
      g_strerror (code));
}

/* Replaces what is there. */
Trace *
trace_open (const gchar *path, GError **error)
{
  FILE *file = g_fopen (path, "we");
  Trace *self;
  guint i;

  if (!file) {
    set_error (error, path, errno);
    return NULL;
  }
  self = g_new0 (Trace, 1);
  self->path = g_strdup (path);
  self->file = file;
  self->began = g_get_monotonic_time ();
  fputs ("time", file);
  for (i = 0; i < G_N_ELEMENTS (columns); i++)
    fprintf (file, ",%s", columns[i]);
  fputc ('\n', file);
  return self;
}

void
trace_add (Trace *self, const GstStructure *stats)
{
  gchar time[G_ASCII_DTOSTR_BUF_SIZE];
  guint i;

  g_ascii_formatd (time, sizeof (time), "%.3f",
      (g_get_monotonic_time () - self->began) / 1e6);
  fputs (time, self->file);
  for (i = 0; i < G_N_ELEMENTS (columns); i++) {
    guint64 value = 0;

    gst_structure_get_uint64 (stats, columns[i], &value);
    fprintf (self->file, ",%" G_GUINT64_FORMAT, value);
  }
  fputc ('\n', self->file);
}

/* FALSE and @error if not all of it could be written. Frees it. */
gboolean
trace_close (Trace *self, GError **error)
{
  gboolean had_error = ferror (self->file) != 0;
  gint code = 0;

  if (fclose (self->file) != 0)
    code = errno;
  if (had_error || code)
    set_error (error, self->path, code ? code : EIO);
  g_free (self->path);
  g_free (self);
  return !had_error && code == 0;
}
