/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Several files, read as if they were one.
 *
 * Problem: a DVD's title is one stream that was cut at every GiB, wherever a
 * packet ended; a camera's may be cut in the middle of one. What lies across the
 * cut is lost if the pieces are read one by one. splitfilesrc takes its files by
 * a pattern only, and no pattern leaves out a DVD's menu.
 *
 * Strategy: positions of the whole, looked up in a list of the files and where
 * they begin. The element on top is as plain as a base source can be.
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
  gatomicrefcount references;
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

  g_atomic_ref_count_init (&self->references);
  self->pieces = g_ptr_array_new_with_free_func (piece_free);
  for (i = 0; i < paths->len; i++) {
    if (!add_piece (self, g_ptr_array_index (paths, i), error))
      return NULL;
  }
  return g_steal_pointer (&self);
}

Joined *
joined_ref (Joined *self)
{
  g_atomic_ref_count_inc (&self->references);
  return self;
}

void
joined_unref (Joined *self)
{
  if (!g_atomic_ref_count_dec (&self->references))
    return;
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

/* --- the element ---------------------------------------------------------- */

#define JOINED_TYPE_SRC (joined_src_get_type ())
G_DECLARE_FINAL_TYPE (JoinedSrc, joined_src, JOINED, SRC, GstBaseSrc)

struct _JoinedSrc
{
  GstBaseSrc parent;
  Joined *joined;
};

G_DEFINE_TYPE (JoinedSrc, joined_src, GST_TYPE_BASE_SRC)

static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE (
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

static gboolean
joined_src_is_seekable (GstBaseSrc *source)
{
  return TRUE;
}

static gboolean
joined_src_get_size (GstBaseSrc *source, guint64 *size)
{
  *size = joined_get_size (JOINED_SRC (source)->joined);
  return TRUE;
}

static GstFlowReturn
joined_src_fill (
    GstBaseSrc *source, guint64 offset, guint size, GstBuffer *buffer)
{
  JoinedSrc *self = JOINED_SRC (source);
  GstMapInfo map;
  gssize got;

  if (!gst_buffer_map (buffer, &map, GST_MAP_WRITE))
    return GST_FLOW_ERROR;
  got = joined_read (self->joined, offset, map.data, size);
  gst_buffer_unmap (buffer, &map);
  if (got < 0) {
    g_autofree gchar *name =
        g_filename_display_basename (joined_find (self->joined, offset));

    GST_ELEMENT_ERROR (self, RESOURCE, READ,
        ("%s, byte %" G_GUINT64_FORMAT " of %s", g_strerror (errno), offset,
            name),
        (NULL));
    return GST_FLOW_ERROR;
  }
  if (got == 0)
    return GST_FLOW_EOS;
  gst_buffer_set_size (buffer, got);
  GST_BUFFER_OFFSET (buffer) = offset;
  GST_BUFFER_OFFSET_END (buffer) = offset + got;
  return GST_FLOW_OK;
}

/* Stream ids are made from it: they are the same in every run over a file. It
 * names the first file only, which no two inputs of a run have in common. */
static gboolean
joined_src_query (GstBaseSrc *source, GstQuery *query)
{
  JoinedSrc *self = JOINED_SRC (source);

  if (GST_QUERY_TYPE (query) == GST_QUERY_URI) {
    g_autofree gchar *path =
        g_canonicalize_filename (joined_find (self->joined, 0), NULL);
    g_autofree gchar *uri = g_filename_to_uri (path, NULL, NULL);

    gst_query_set_uri (query, uri);
    return uri != NULL;
  }
  return GST_BASE_SRC_CLASS (joined_src_parent_class)->query (source, query);
}

static void
joined_src_finalize (GObject *object)
{
  joined_unref (JOINED_SRC (object)->joined);
  G_OBJECT_CLASS (joined_src_parent_class)->finalize (object);
}

static void
joined_src_class_init (JoinedSrcClass *klass)
{
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseSrcClass *source_class = GST_BASE_SRC_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = joined_src_finalize;
  source_class->is_seekable = joined_src_is_seekable;
  source_class->get_size = joined_src_get_size;
  source_class->fill = joined_src_fill;
  source_class->query = joined_src_query;
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "Joined files",
      "Source/File", "Reads several files as one", "wbremux");
}

static void
joined_src_init (JoinedSrc *self)
{
  gst_base_src_set_blocksize (GST_BASE_SRC (self), 64 * 1024);
}

/* Takes a reference of its own on @joined. */
GstElement *
joined_src_new (Joined *joined)
{
  JoinedSrc *self = g_object_new (JOINED_TYPE_SRC, NULL);

  self->joined = joined_ref (joined);
  return GST_ELEMENT (self);
}
