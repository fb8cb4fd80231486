/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Files, and what they should hold: sections "Files" and "Contents" of wbtest.h.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "wbtest.h"

#include <errno.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

#include <glib/gstdio.h>

/*** Files ********************************************************************/

void
wb_file_write (const gchar *path, gconstpointer data, gsize size)
{
  fail_unless (g_file_set_contents (path, data, size, NULL));
}

GByteArray *
wb_file_read (const gchar *path)
{
  gchar *data;
  gsize size;

  fail_unless (g_file_get_contents (path, &data, &size, NULL), "%s: %s", path,
      g_strerror (errno));

  return g_byte_array_new_take ((guint8 *) data, size);
}

gint64
wb_file_size (const gchar *path)
{
  GStatBuf st;

  if (g_stat (path, &st) != 0)
    return -1;

  return st.st_size;
}

gboolean
wb_file_reaches (const gchar *path, gint64 size)
{
  gint64 deadline = g_get_monotonic_time () + WB_PATIENCE * G_TIME_SPAN_SECOND;

  while (wb_file_size (path) < size) {
    if (g_get_monotonic_time () > deadline)
      return FALSE;
    g_usleep (5000);
  }

  return TRUE;
}

static int
remove_one (const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  return g_remove (path);
}

void
wb_remove_tree (const gchar *path)
{
  nftw (path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static guint
count_entries (const gchar *path)
{
  GDir *dir = g_dir_open (path, 0, NULL);
  guint n = 0;

  if (dir == NULL)
    return 0;
  while (g_dir_read_name (dir) != NULL)
    n++;
  g_dir_close (dir);

  return n;
}

guint
wb_count_fds (void)
{
  return count_entries ("/proc/self/fd");
}

/* One that GLib 2.84 and later start for their thread pools, whenever they first
 * need one, and keep. */
static gboolean
is_pool_spawner (const gchar *task)
{
  g_autofree gchar *path =
      g_build_filename ("/proc/self/task", task, "comm", NULL);
  g_autofree gchar *name = NULL;

  return g_file_get_contents (path, &name, NULL, NULL)
      && g_str_has_prefix (name, "pool-spawner");
}

guint
wb_count_threads (void)
{
  GDir *tasks = g_dir_open ("/proc/self/task", 0, NULL);
  const gchar *task;
  guint n = 0;

  while (tasks != NULL && (task = g_dir_read_name (tasks)) != NULL)
    n += !is_pool_spawner (task);
  g_clear_pointer (&tasks, g_dir_close);

  return n;
}

gchar *
wb_difference (
    gconstpointer got, gsize got_size, gconstpointer wanted, gsize wanted_size)
{
  const guint8 *a = got, *b = wanted;
  gsize n = MIN (got_size, wanted_size);
  gsize i = 0;

  if (got_size == wanted_size && (n == 0 || memcmp (a, b, n) == 0))
    return NULL;

  while (i < n && a[i] == b[i])
    i++;
  if (i == n)
    return g_strdup_printf ("%" G_GSIZE_FORMAT
                            " bytes instead of %" G_GSIZE_FORMAT
                            ", equal as far as both go",
        got_size, wanted_size);

  return g_strdup_printf ("at byte %" G_GSIZE_FORMAT
                          ": 0x%02x instead of 0x%02x (%" G_GSIZE_FORMAT
                          " bytes, %" G_GSIZE_FORMAT " wanted)",
      i, a[i], b[i], got_size, wanted_size);
}

void
wb_assert_same_file (const gchar *path, gint64 offset, const gchar *wanted_path)
{
  const gsize step = WB_MIB (1);
  guint8 *got = g_malloc (step), *wanted = g_malloc (step);
  FILE *a = g_fopen (path, "rb"), *b = g_fopen (wanted_path, "rb");
  gint64 at = 0;
  gsize n, m;

  fail_unless (a != NULL && b != NULL);
  fail_unless (fseeko (a, offset, SEEK_SET) == 0);
  do {
    gchar *difference;

    n = fread (got, 1, step, a);
    m = fread (wanted, 1, step, b);
    difference = wb_difference (got, n, wanted, m);
    fail_unless (difference == NULL, "from byte %" G_GINT64_FORMAT " on: %s",
        at, difference);
    at += n;
  } while (n > 0);
  fclose (a);
  fclose (b);
  g_free (got);
  g_free (wanted);
}

/*** Contents *****************************************************************/

void
wb_pattern_fill (guint8 *data, guint64 position, gsize size, guint seed)
{
  guint64 word = 0;
  gsize i;

  for (i = 0; i < size; i++, position++) {
    if (i == 0 || position % 8 == 0) {
      /* splitmix64 of the position's number */
      word = (position / 8 + ((guint64) seed << 40) + 1)
          * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);
      word = (word ^ (word >> 30)) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
      word = (word ^ (word >> 27)) * G_GUINT64_CONSTANT (0x94d049bb133111eb);
      word ^= word >> 31;
    }
    data[i] = word >> (position % 8 * 8);
  }
}

guint8 *
wb_pattern (guint64 position, gsize size, guint seed)
{
  guint8 *data = g_malloc (MAX (size, 1));

  wb_pattern_fill (data, position, size, seed);

  return data;
}

GstBuffer *
wb_buffer (guint64 position, gsize size, guint seed)
{
  return gst_buffer_new_wrapped (wb_pattern (position, size, seed), size);
}

GstBuffer *
wb_buffer_from (gconstpointer data, gsize size)
{
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, size, NULL);

  gst_buffer_fill (buffer, 0, data, size);

  return buffer;
}

void
wb_model_write (
    GByteArray *model, guint64 position, gconstpointer data, gsize size)
{
  if (size == 0)
    return;

  if (position + size > model->len) {
    guint old = model->len;

    g_byte_array_set_size (model, position + size);
    memset (model->data + old, 0, model->len - old);
  }
  memcpy (model->data + position, data, size);
}
