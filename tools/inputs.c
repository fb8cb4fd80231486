/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * From the words on the command line to the streams that are read.
 *
 * A word is a file, a disc (its folder, image or drive), - for standard input, or
 * a URL. Files that are pieces of one stream (cuts.c) become one input and are
 * read as one; the others follow each other in time (timeline.c).
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "cuts.h"
#include "inputs.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static gboolean
refuse (GError **error, const gchar *path, const gchar *reason)
{
  g_autofree gchar *name = g_filename_display_name (path);

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s: %s", name, reason);
  return FALSE;
}

static gboolean
add_file (GPtrArray *inputs, const gchar *path, guint64 size)
{
  Input *last =
      inputs->len > 0 ? g_ptr_array_index (inputs, inputs->len - 1) : NULL;
  Input *input;

  if (last && last->files
      && cuts_go_on (
          g_ptr_array_index (last->files, last->files->len - 1), path)) {
    g_ptr_array_add (last->files, g_strdup (path));
    last->size += size;
    return TRUE;
  }
  input = input_new (path);
  input->size = size;
  input->files = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (input->files, g_strdup (path));
  g_ptr_array_add (inputs, input);
  return TRUE;
}

static gboolean
add_disc (GPtrArray *inputs, const gchar *path, GError **error)
{
  Disc *disc = disc_open (path, error);
  Input *input;

  if (!disc)
    return FALSE;
  input = input_new (path);
  input->disc = disc;
  g_ptr_array_add (inputs, input);
  return TRUE;
}

/* What libavformat opens and reads itself. */
static gboolean
add_url (GPtrArray *inputs, const gchar *word, const gchar *prefix)
{
  Input *input = input_new (word);

  input->url = g_strconcat (prefix, word, NULL);
  g_ptr_array_add (inputs, input);
  return TRUE;
}

static gboolean
is_url (const gchar *word)
{
  g_autofree gchar *scheme = g_uri_parse_scheme (word);

  return scheme && strlen (scheme) > 1;
}

static gboolean
add_path (GPtrArray *inputs, const gchar *path, GError **error)
{
  struct stat st;

  if (stat (path, &st) < 0)
    return refuse (error, path, g_strerror (errno));
  if (disc_detect (path) != DISC_NONE)
    return add_disc (inputs, path, error);
  if (S_ISDIR (st.st_mode))
    return refuse (
        error, path, "is a folder without a disc (BDMV or VIDEO_TS)");
  if (!S_ISREG (st.st_mode))
    return add_url (inputs, path, "file:");
  if (st.st_size == 0)
    return refuse (error, path, "is empty");
  return add_file (inputs, path, st.st_size);
}

static gboolean
add_word (GPtrArray *inputs, const gchar *word, GError **error)
{
  g_autofree gchar *path = NULL;

  if (g_str_equal (word, "-"))
    return add_url (inputs, "pipe:0", "");
  if (!is_url (word) || g_file_test (word, G_FILE_TEST_EXISTS))
    return add_path (inputs, word, error);
  if (!g_str_has_prefix (word, "file:"))
    return add_url (inputs, word, "");
  path = g_filename_from_uri (word, NULL, error);
  return path && add_path (inputs, path, error);
}

GPtrArray *
inputs_open (gchar **words, guint n, GError **error)
{
  g_autoptr (GPtrArray) inputs =
      g_ptr_array_new_with_free_func ((GDestroyNotify) input_free);
  guint i;

  for (i = 0; i < n; i++) {
    if (!add_word (inputs, words[i], error))
      return NULL;
  }
  return g_steal_pointer (&inputs);
}
