/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Several files, read as if they were one.
 *
 * Problem: a DVD's title is one stream that was cut at every GiB, wherever a
 * packet ended; a camera's may be cut in the middle of one. What lies across the
 * cut is lost if the pieces are read one by one.
 *
 * Strategy: positions of the whole, looked up in a list of the files and where
 * they begin.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "joined.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct
{
  gchar *path;
  gint fd;
  guint64 begin; /* in the whole */
  guint64 size;
} Piece;

struct _Joined
{
  GPtrArray *pieces;
  guint64 size;
};

static void
piece_free (gpointer data)
{
  Piece *self = data;

  if (self->fd >= 0)
    close (self->fd);
  g_free (self->path);
  g_free (self);
}

static gboolean
add_piece (Joined *self, const gchar *path, GError **error)
{
  Piece *piece = g_new0 (Piece, 1);
  struct stat st;

  piece->path = g_strdup (path);
  piece->begin = self->size;
  piece->fd = open (path, O_RDONLY | O_CLOEXEC);
  g_ptr_array_add (self->pieces, piece);
  if (piece->fd < 0 || fstat (piece->fd, &st) < 0) {
    gint code = errno;
    g_autofree gchar *name = g_filename_display_name (path);

    g_set_error (error, G_IO_ERROR, g_io_error_from_errno (code), "%s: %s",
        name, g_strerror (code));
    return FALSE;
  }
  posix_fadvise (piece->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  piece->size = st.st_size;
  self->size += st.st_size;
  return TRUE;
}

/* NULL and @error, which names the file, if one cannot be opened. */
Joined *
joined_open (GPtrArray *paths, GError **error)
{
  g_autoptr (Joined) self = g_new0 (Joined, 1);
  guint i;

  self->pieces = g_ptr_array_new_with_free_func (piece_free);
  for (i = 0; i < paths->len; i++) {
    if (!add_piece (self, g_ptr_array_index (paths, i), error))
      return NULL;
  }
  return g_steal_pointer (&self);
}

void
joined_free (Joined *self)
{
  g_ptr_array_unref (self->pieces);
  g_free (self);
}

guint64
joined_get_size (const Joined *self)
{
  return self->size;
}

static const Piece *
find_piece (const Joined *self, guint64 offset)
{
  guint i;

  for (i = 0; i < self->pieces->len; i++) {
    const Piece *piece = g_ptr_array_index (self->pieces, i);

    if (offset < piece->begin + piece->size)
      return piece;
  }
  return NULL;
}

/* The name of the file that @offset lies in, or of the last one. */
const gchar *
joined_find (const Joined *self, guint64 offset)
{
  const Piece *piece = find_piece (self, offset);

  if (!piece)
    piece = g_ptr_array_index (self->pieces, self->pieces->len - 1);
  return piece->path;
}

/* Less than @size only at the end. -1 and errno if a file cannot be read. */
gssize
joined_read (const Joined *self, guint64 offset, gpointer data, gsize size)
{
  gsize have = 0;

  while (have < size) {
    const Piece *piece = find_piece (self, offset + have);
    guint64 at = offset + have - (piece ? piece->begin : 0);
    gssize got;

    if (!piece)
      break;
    got = pread (piece->fd, (guint8 *) data + have,
        MIN (size - have, piece->size - at), at);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return -1;
    if (got == 0) /* somebody made it shorter */
      break;
    have += got;
  }
  return have;
}
