/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The output file of a run, from its claim to its name.
 *
 * Problem: a run may fail, be stopped, or meet another run that writes the
 * same OUTPUT. None of these may leave half a file under the name that was
 * asked for, harm a file that was there before, or harm the input.
 *
 * Strategy: the data goes to OUTPUT.part, which is made with O_EXCL and locked
 * for as long as we write. The name OUTPUT is given with one rename when the
 * file is whole; a .part that we made is removed when it is not. A .part that
 * we find is somebody's: another run's if it is locked, and otherwise a dead
 * run's or another program's download. Only --force takes over the latter.
 *
 * Written in place, OUTPUT itself is made with O_EXCL and locked, and removed if
 * the run fails. That is for those who read it while it grows, and the only way
 * to write to a device or a pipe.
 *
 * The lock is flock(2): it goes with the open file, so a killed run holds
 * none. Where a file system has no locks, O_EXCL is what remains.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct _OutFile
{
  gchar *path;
  gchar *written; /* path, or OUTPUT.part */
  gint fd;
  OutFileOptions options;
  gboolean made;
};

static void
set_errno_error (GError **error, const gchar *path, gint code)
{
  g_autofree gchar *name = g_filename_display_name (path);

  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (code), "%s: %s", name,
      g_strerror (code));
}

static void
set_error (GError **error, const gchar *path, const gchar *text)
{
  g_autofree gchar *name = g_filename_display_name (path);

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s: %s", name, text);
}

static gboolean
same_file (const struct stat *a, const struct stat *b)
{
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* A link is followed, so that the file it names is replaced and not the link. */
static gchar *
resolve (const gchar *output)
{
  g_autofree gchar *link = g_file_read_link (output, NULL);
  gchar *result;
  char *target;

  if (!link || !(target = realpath (output, NULL)))
    return g_strdup (output);
  result = g_strdup (target);
  free (target);
  return result;
}

static gboolean
is_input (const struct stat *file, GPtrArray *inputs)
{
  struct stat st;
  guint i, j;

  for (i = 0; i < inputs->len; i++) {
    const Input *input = g_ptr_array_index (inputs, i);

    for (j = 0; input->files && j < input->files->len; j++) {
      if (stat (g_ptr_array_index (input->files, j), &st) == 0
          && same_file (&st, file))
        return TRUE;
    }
  }
  return FALSE;
}

static gboolean
check_output (const gchar *path, GPtrArray *inputs, OutFileOptions options,
    GError **error)
{
  struct stat out;

  if (lstat (path, &out) < 0) {
    if (errno == ENOENT)
      return TRUE;
    set_errno_error (error, path, errno);
    return FALSE;
  }
  if (S_ISDIR (out.st_mode)) {
    set_errno_error (error, path, EISDIR);
    return FALSE;
  }
  if (is_input (&out, inputs)) {
    set_error (error, path, "is the input itself");
    return FALSE;
  }
  /* A rename would put a file in the place of the device or pipe. */
  if (!options.in_place && !S_ISREG (out.st_mode) && !S_ISLNK (out.st_mode)) {
    set_error (error, path,
        "exists and is not a regular file (--no-part writes to it)");
    return FALSE;
  }
  if (!options.force) {
    set_error (error, path, "exists already (--force replaces it)");
    return FALSE;
  }
  return TRUE;
}

/* Whether the lock is ours. A file system without locks counts as yes: then
 * O_EXCL, or the user's --force, has decided. */
static gboolean
take_lock (gint fd)
{
  return flock (fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
}

/* The file may have been renamed or removed by its owner between our open and
 * our lock: then the name is no longer this file's. */
static gboolean
still_named (gint fd, const gchar *path)
{
  struct stat a, b;

  return fstat (fd, &a) == 0 && lstat (path, &b) == 0 && same_file (&a, &b);
}

/* What is at self->written was there before us. */
static gboolean
take_over (OutFile *self, GPtrArray *inputs, GError **error)
{
  gint no_link = self->options.in_place ? 0 : O_NOFOLLOW;
  struct stat st;

  self->fd = open (self->written, O_RDONLY | no_link | O_NONBLOCK | O_CLOEXEC);
  if (self->fd < 0 || fstat (self->fd, &st) < 0) {
    set_errno_error (error, self->written, errno);
    return FALSE;
  }
  if (!S_ISREG (st.st_mode) && self->options.in_place)
    return TRUE;
  if (!S_ISREG (st.st_mode)) {
    set_error (error, self->written, "exists and is not a regular file");
    return FALSE;
  }
  if (is_input (&st, inputs)) {
    set_error (error, self->written, "is the input itself");
    return FALSE;
  }
  if (!take_lock (self->fd) || !still_named (self->fd, self->written)) {
    set_error (error, self->written, "another wbremux is writing it");
    return FALSE;
  }
  self->made = TRUE;
  return TRUE;
}

static gboolean
claim (OutFile *self, GPtrArray *inputs, GError **error)
{
  self->fd =
      open (self->written, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (self->fd >= 0) {
    self->made = TRUE;
    /* Nobody but a run that was forced to can be here between the two. */
    if (take_lock (self->fd))
      return TRUE;
    self->made = FALSE;
    set_error (error, self->written, "another wbremux is writing it");
    return FALSE;
  }
  if (errno != EEXIST) {
    set_errno_error (error, self->path, errno);
    return FALSE;
  }
  if (self->options.force)
    return take_over (self, inputs, error);
  set_error (error, self->written,
      "exists already: another run is writing it, or one was cut short "
      "(--force takes it over)");
  return FALSE;
}

/* Claims @output for this run. Leaves an empty, locked file to write to behind, or
 * nothing and @error, which names the file. */
OutFile *
out_file_claim (const gchar *output, GPtrArray *inputs, OutFileOptions options,
    GError **error)
{
  g_autoptr (OutFile) self = g_new0 (OutFile, 1);

  self->fd = -1;
  self->options = options;
  self->path = resolve (output);
  self->written = options.in_place ? g_strdup (self->path)
                                   : g_strconcat (self->path, ".part", NULL);

  if (!check_output (self->path, inputs, options, error)
      || !claim (self, inputs, error))
    return NULL;
  return g_steal_pointer (&self);
}

/* Where to write to. */
const gchar *
out_file_get_path (const OutFile *self)
{
  return self->written;
}

/* Not every file system knows RENAME_NOREPLACE; there a file that appeared
 * since the claim is looked for first, which leaves a moment. */
static gint
rename_without_replacing (const gchar *from, const gchar *to)
{
  struct stat st;

#ifdef RENAME_NOREPLACE
  if (renameat2 (AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
    return 0;
  if (errno != EINVAL && errno != ENOSYS)
    return -1;
#endif
  if (lstat (to, &st) == 0) {
    errno = EEXIST;
    return -1;
  }
  return rename (from, to);
}

/* Gives the file its name. FALSE: it is still OUTPUT.part, and is kept there,
 * because the data is whole and only the name is missing. */
gboolean
out_file_keep (OutFile *self, GError **error)
{
  gint result;

  self->made = FALSE;
  if (self->options.in_place)
    return TRUE;
  result = self->options.force
      ? rename (self->written, self->path)
      : rename_without_replacing (self->written, self->path);
  if (result == 0)
    return TRUE;
  set_errno_error (error, self->path, errno);
  g_prefix_error (error, "cannot rename %s to ", self->written);
  return FALSE;
}

/* Makes the new name durable. What some file systems answer instead of doing
 * it (no fsync on directories, no right to read this one) is not an error. */
gboolean
out_file_sync_name (OutFile *self, GError **error)
{
  g_autofree gchar *dir = g_path_get_dirname (self->path);
  gint fd = open (dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  gint failed = 0;

  if (fd < 0 || fsync (fd) < 0)
    failed = errno;
  if (fd >= 0)
    close (fd);
  if (failed == 0 || failed == EINVAL || failed == ENOTSUP || failed == EACCES)
    return TRUE;
  set_errno_error (error, dir, failed);
  return FALSE;
}

void
out_file_abandon (const OutFile *self)
{
  if (self->made)
    unlink (self->written);
}

/* Removes what a run that did not end well has written. */
void
out_file_free (OutFile *self)
{
  if (self->made)
    unlink (self->written);
  if (self->fd >= 0)
    close (self->fd);
  g_free (self->path);
  g_free (self->written);
  g_free (self);
}
