/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * From the words on the command line to the streams that are read.
 *
 * A word is a file, a URI, or a disc's folder, which stands for its main title's
 * files. Files that are pieces of one stream (cuts.c) become one input and are
 * read as one; the others follow each other in time (chain.c).
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "cuts.h"
#include "disc.h"
#include "inputs.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <sys/stat.h>
#include <unistd.h>

static void
input_free (gpointer data)
{
  Input *self = data;

  g_free (self->name);
  g_clear_pointer (&self->files, g_ptr_array_unref);
  g_clear_pointer (&self->joined, joined_unref);
  g_free (self->uri);
  g_clear_pointer (&self->languages, g_hash_table_unref);
  g_clear_pointer (&self->chapters, g_array_unref);
  g_free (self);
}

static gboolean
refuse (GError **error, const gchar *path, const gchar *reason)
{
  g_autofree gchar *name = g_filename_display_name (path);

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s: %s", name, reason);
  return FALSE;
}

/* A pipe is no input: it could not be looked at before the run. */
static gboolean
check_file (const gchar *path, gboolean *is_folder, GError **error)
{
  gint fd = open (path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  struct stat st;
  gint code = 0;

  if (fd < 0 || fstat (fd, &st) < 0)
    code = errno;
  if (fd >= 0)
    close (fd);
  if (code)
    return refuse (error, path, g_strerror (code));
  *is_folder = S_ISDIR (st.st_mode);
  if (*is_folder)
    return TRUE;
  if (!S_ISREG (st.st_mode))
    return refuse (error, path, "not a regular file");
  return st.st_size > 0 || refuse (error, path, "is empty");
}

static Input *
last_of (GPtrArray *inputs)
{
  return inputs->len > 0 ? g_ptr_array_index (inputs, inputs->len - 1) : NULL;
}

/* @one_stream: it is known to go on. */
static gboolean
add_file (GPtrArray *inputs, const gchar *path, gboolean one_stream,
    GHashTable *languages, GError **error)
{
  Input *last = last_of (inputs);
  gboolean is_folder;
  Input *input;

  if (!check_file (path, &is_folder, error))
    return FALSE;
  if (is_folder)
    return refuse (error, path, g_strerror (EISDIR));
  if (last && last->files
      && (one_stream
          || cuts_go_on (
              g_ptr_array_index (last->files, last->files->len - 1), path))) {
    g_ptr_array_add (last->files, g_strdup (path));
    return TRUE;
  }
  input = g_new0 (Input, 1);
  input->name = g_filename_display_name (path);
  input->files = g_ptr_array_new_with_free_func (g_free);
  input->languages = languages ? g_hash_table_ref (languages) : NULL;
  g_ptr_array_add (input->files, g_strdup (path));
  g_ptr_array_add (inputs, input);
  return TRUE;
}

/* Those of the title's file number @file, which is a piece of @self; @first is the
 * one that @self begins with. */
static void
take_chapters (Input *self, const DiscTitle *title, guint file, guint first)
{
  guint64 begin;
  guint i;

  if (first >= title->begins->len)
    return;
  if (!self->chapters)
    self->chapters = g_array_new (FALSE, FALSE, sizeof (GstClockTime));
  begin = g_array_index (title->begins, guint64, first);
  for (i = 0; i < title->chapters->len; i++) {
    const DiscChapter *chapter =
        &g_array_index (title->chapters, DiscChapter, i);
    GstClockTime time;

    if (chapter->file != file)
      continue;
    time = gst_util_uint64_scale (
        chapter->ticks - MIN (chapter->ticks, begin), GST_SECOND, DISC_CLOCK);
    g_array_append_val (self->chapters, time);
  }
}

static gboolean
add_folder (
    GPtrArray *inputs, const gchar *path, GPtrArray *chosen, GError **error)
{
  g_autoptr (DiscTitle) title = disc_find_title (path, error);
  guint first = G_MAXUINT, i;

  if (!title)
    return FALSE;
  g_ptr_array_add (chosen, g_steal_pointer (&title->chosen));
  for (i = 0; i < title->files->len; i++) {
    if (!add_file (inputs, g_ptr_array_index (title->files, i),
            title->one_stream && i > 0, title->languages, error))
      return FALSE;
    if (last_of (inputs)->files->len == 1)
      first = i;
    take_chapters (last_of (inputs), title, i, first);
  }
  return TRUE;
}

static gboolean
add_uri (GPtrArray *inputs, const gchar *uri, GError **error)
{
  g_autofree gchar *path = NULL;
  Input *input;

  if (gst_uri_has_protocol (uri, "file")) {
    path = g_filename_from_uri (uri, NULL, error);
    return path && add_file (inputs, path, FALSE, NULL, error);
  }
  /* It can be read once, and we read twice. */
  if (gst_uri_has_protocol (uri, "fd"))
    return refuse (error, uri, "not a regular file");
  if (!gst_uri_protocol_is_supported (
          GST_URI_SRC, path = gst_uri_get_protocol (uri)))
    return refuse (error, uri, "GStreamer has no source for it");
  input = g_new0 (Input, 1);
  input->name = g_strdup (uri);
  input->uri = g_strdup (uri);
  g_ptr_array_add (inputs, input);
  return TRUE;
}

static gboolean
add_word (
    GPtrArray *inputs, const gchar *word, GPtrArray *chosen, GError **error)
{
  gboolean is_folder;

  if (gst_uri_is_valid (word) && !g_file_test (word, G_FILE_TEST_EXISTS))
    return add_uri (inputs, word, error);
  if (!check_file (word, &is_folder, error))
    return FALSE;
  if (is_folder)
    return add_folder (inputs, word, chosen, error);
  return add_file (inputs, word, FALSE, NULL, error);
}

static gboolean
join_files (Input *input, GError **error)
{
  if (!input->files)
    return TRUE;
  input->joined = joined_open (input->files, error);
  if (!input->joined)
    return FALSE;
  input->size = joined_get_size (input->joined);
  return TRUE;
}

/* The inputs that @words stand for. What was chosen in a folder is added to
 * @chosen, a line each. NULL and @error, which names the word or file, if one
 * cannot be used. */
GPtrArray *
inputs_open (gchar **words, guint n, GPtrArray *chosen, GError **error)
{
  g_autoptr (GPtrArray) inputs = g_ptr_array_new_with_free_func (input_free);
  guint i;

  for (i = 0; i < n; i++) {
    if (!add_word (inputs, words[i], chosen, error))
      return NULL;
  }
  for (i = 0; i < inputs->len; i++) {
    if (!join_files (g_ptr_array_index (inputs, i), error))
      return NULL;
  }
  return g_steal_pointer (&inputs);
}

/* 0 if one is not known. */
guint64
inputs_get_size (GPtrArray *inputs)
{
  guint64 size = 0;
  guint i;

  for (i = 0; i < inputs->len; i++) {
    const Input *input = g_ptr_array_index (inputs, i);

    if (input->size == 0)
      return 0;
    size += input->size;
  }
  return size;
}

/* The file that @offset of the input lies in. The caller owns the result. */
gchar *
input_describe_place (const Input *self, guint64 offset)
{
  if (!self->joined)
    return g_strdup (self->name);
  return g_filename_display_name (joined_find (self->joined, offset));
}
