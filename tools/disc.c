/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A Blu-ray or a DVD, whichever it is.
 *
 * libbluray and libdvdread read the tables and, if they find libaacs, libbdplus or
 * libdvdcss on this machine, what is encrypted. bluray.c and dvd.c ask them; here
 * is what both have in common.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "disc-private.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SECTOR 2048
#define FIRST_DESCRIPTOR 16

static gboolean
has_folder (const gchar *path, const gchar *name)
{
  g_autofree gchar *upper = g_build_filename (path, name, NULL);
  g_autofree gchar *lower_name = g_ascii_strdown (name, -1);
  g_autofree gchar *lower = g_build_filename (path, lower_name, NULL);

  return g_file_test (upper, G_FILE_TEST_IS_DIR)
      || g_file_test (lower, G_FILE_TEST_IS_DIR);
}

/* An image or a drive: ISO 9660 or UDF. */
static gboolean
is_image (const gchar *path)
{
  FILE *file = fopen (path, "rbe");
  gchar id[6] = "";
  gboolean is_one = file
      && fseek (file, FIRST_DESCRIPTOR * SECTOR + 1, SEEK_SET) == 0
      && fread (id, 5, 1, file) == 1
      && (g_str_equal (id, "CD001") || g_str_equal (id, "BEA01"));

  if (file)
    fclose (file);
  return is_one;
}

DiscKind
disc_detect (const gchar *path)
{
  g_autofree gchar *whole = g_canonicalize_filename (path, NULL);
  g_autofree gchar *name = g_path_get_basename (whole);
  g_autofree gchar *parent = g_path_get_dirname (whole);
  struct stat st;

  if (stat (path, &st) < 0)
    return DISC_NONE;
  if (!S_ISDIR (st.st_mode))
    return (S_ISREG (st.st_mode) || S_ISBLK (st.st_mode)) && is_image (path)
        ? DISC_IMAGE
        : DISC_NONE;
  if (has_folder (path, "BDMV") || g_ascii_strcasecmp (name, "BDMV") == 0
      || (g_str_has_suffix (parent, "/BDMV")
          && (g_str_equal (name, "STREAM") || g_str_equal (name, "PLAYLIST"))))
    return DISC_BLURAY;
  if (has_folder (path, "VIDEO_TS")
      || g_ascii_strcasecmp (name, "VIDEO_TS") == 0)
    return DISC_DVD;
  return DISC_NONE;
}

static const struct
{
  DiscKind kind;
  const DiscReader *reader; /* NULL: the last */
} readers[] = {
#ifdef HAVE_BLURAY
  { DISC_BLURAY, &disc_bluray_reader },
#endif
#ifdef HAVE_DVD
  { DISC_DVD, &disc_dvd_reader },
#endif
  { DISC_NONE, NULL },
};

static gboolean
open_any (Disc *self, const gchar *path, GError **error)
{
  DiscKind kind = disc_detect (path);
  guint i;

  for (i = 0; readers[i].reader; i++) {
    if (kind != DISC_IMAGE && kind != readers[i].kind)
      continue;
    self->reader = readers[i].reader;
    self->data = self->reader->open (path, self, error);
    if (self->data || *error)
      return self->data != NULL;
  }
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
      "no disc that can be read (this wbremux is built with %s)",
      disc_get_features ());
  return FALSE;
}

const gchar *
disc_get_features (void)
{
#if defined(HAVE_BLURAY) && defined(HAVE_DVD)
  return "libbluray and libdvdread";
#elif defined(HAVE_BLURAY)
  return "libbluray, without libdvdread";
#elif defined(HAVE_DVD)
  return "libdvdread, without libbluray";
#else
  return "neither libbluray nor libdvdread";
#endif
}

Disc *
disc_open (const gchar *path, GError **error)
{
  g_autoptr (Disc) self = g_new0 (Disc, 1);
  g_autoptr (GError) reason = NULL;

  g_mutex_init (&self->lock);
  self->name = g_filename_display_name (path);
  self->titles =
      g_ptr_array_new_with_free_func ((GDestroyNotify) disc_title_free);
  self->parts = g_array_new (FALSE, FALSE, sizeof (DiscPart));
  if (open_any (self, path, &reason) && self->titles->len > 0)
    return g_steal_pointer (&self);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s: %s", self->name,
      reason ? reason->message : "a disc without a title");
  return NULL;
}

void
disc_free (Disc *self)
{
  if (self->data)
    self->reader->close (self->data);
  g_ptr_array_unref (self->titles);
  g_array_unref (self->parts);
  g_mutex_clear (&self->lock);
  g_free (self->name);
  g_free (self);
}

/* --- titles ---------------------------------------------------------------------- */

static void
track_free (gpointer data)
{
  DiscTrack *self = data;

  g_free (self->extradata);
  g_free (self);
}

DiscTitle *
disc_title_new (guint number, gchar *name)
{
  DiscTitle *self = g_new0 (DiscTitle, 1);

  self->number = number;
  self->name = name;
  self->n_angles = 1;
  self->chapters = g_array_new (FALSE, FALSE, sizeof (gint64));
  self->tracks = g_ptr_array_new_with_free_func (track_free);
  return self;
}

void
disc_title_free (DiscTitle *self)
{
  g_free (self->name);
  g_array_unref (self->chapters);
  g_ptr_array_unref (self->tracks);
  g_free (self);
}

DiscTrack *
disc_title_add_track (DiscTitle *self, gint kind, gint id, enum AVCodecID codec)
{
  DiscTrack *track = g_new0 (DiscTrack, 1);

  track->kind = kind;
  track->id = id;
  track->codec = codec;
  g_ptr_array_add (self->tracks, track);
  return track;
}

GPtrArray *
disc_get_titles (Disc *self)
{
  return self->titles;
}

const DiscTitle *
disc_find_title (Disc *self, guint number)
{
  guint i;

  for (i = 0; i < self->titles->len; i++) {
    const DiscTitle *title = g_ptr_array_index (self->titles, i);

    if (title->number == number)
      return title;
  }
  return NULL;
}

const DiscTitle *
disc_get_main_title (Disc *self)
{
  guint i;

  for (i = 0; i < self->titles->len; i++) {
    const DiscTitle *title = g_ptr_array_index (self->titles, i);

    if (title->is_main)
      return title;
  }
  return NULL;
}

/* --- reading --------------------------------------------------------------------- */

void
disc_add_part (Disc *self, gint64 offset, gint64 from, gint64 to)
{
  DiscPart part = { self->position, offset, from, to };

  g_mutex_lock (&self->lock);
  g_array_append_val (self->parts, part);
  g_mutex_unlock (&self->lock);
}

DiscPart
disc_find_part (Disc *self, gint64 position)
{
  DiscPart part = { 0, 0, G_MININT64, G_MAXINT64 };
  guint low = 0, high;

  g_mutex_lock (&self->lock);
  high = self->parts->len;
  while (low + 1 < high) {
    guint middle = (low + high) / 2;

    if (g_array_index (self->parts, DiscPart, middle).begin <= position)
      low = middle;
    else
      high = middle;
  }
  if (self->parts->len > 0)
    part = g_array_index (self->parts, DiscPart, low);
  g_mutex_unlock (&self->lock);
  return part;
}

gboolean
disc_start (Disc *self, const DiscTitle *title, guint angle, guint first,
    guint last, GError **error)
{
  g_autoptr (GError) reason = NULL;

  self->position = 0;
  g_array_set_size (self->parts, 0);
  if (last > title->chapters->len && first > 0)
    g_set_error (&reason, G_IO_ERROR, G_IO_ERROR_FAILED,
        "title %u has no chapter %u, but %u", title->number, last,
        title->chapters->len);
  else if (angle > title->n_angles)
    g_set_error (&reason, G_IO_ERROR, G_IO_ERROR_FAILED,
        "title %u has no angle %u, but %u", title->number, angle,
        title->n_angles);
  else
    self->reader->start (self->data, title, angle, MAX (first, 1),
        last && last < title->chapters->len ? last : G_MAXUINT, &reason);
  if (!reason)
    return TRUE;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s: %s", self->name,
      reason->message);
  return FALSE;
}

gint
disc_read (Disc *self, guint8 *data, gint size)
{
  gint got = self->reader->read (self->data, data, size);

  if (got > 0)
    self->position += got;
  return got;
}

const gchar *
disc_get_format (Disc *self)
{
  return self->reader->format;
}
