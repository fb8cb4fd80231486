/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which files of a disc's folder are the film.
 *
 * Blu-ray (and AVCHD): BDMV/STREAM has the clips, BDMV/PLAYLIST says in which
 * order a title plays them. The main title is the playlist that plays for
 * longest; one that plays a clip three times is a loop or a trap, and one whose
 * clips are not all here is none. A clip is taken whole: where the playlist enters
 * it later or leaves it earlier is passed over. Without playlists it is the run of files,
 * numbered one after the other and each going on where the last one ended, that
 * has the most bytes.
 *
 * DVD: VIDEO_TS has title sets; VTS_nn_1.VOB to VTS_nn_9.VOB are one stream that
 * was cut at every GiB, VTS_nn_0.VOB is a menu. The main title is the set with
 * the most bytes.
 *
 * What the streams do not tell is which language a track is in, and where chapters
 * begin. The playlist does; the set's VTS_nn_0.IFO has the languages.
 *
 * Names are compared without regard to case: how a disc is mounted decides it.
 * The files come from anywhere: everything read from them is checked.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

/* The inline readers load unaligned numbers where the processor can, which a
 * sanitizer takes for a mistake. */
#define GST_BYTE_READER_DISABLE_INLINES

#include "cuts.h"
#include "disc.h"

#include <gio/gio.h>
#include <gst/base/gstbytereader.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_TABLE (4 * 1024 * 1024)
#define DVD_SECTOR 2048

/* --- folders ------------------------------------------------------------------ */

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return g_ascii_strcasecmp (*(const gchar *const *) a, *(gchar *const *) b);
}

/* The names in @folder, in order. */
static GPtrArray *
list_folder (const gchar *folder, GError **error)
{
  GPtrArray *names;
  const gchar *name;
  GDir *dir = g_dir_open (folder, 0, error);

  if (!dir)
    return NULL;
  names = g_ptr_array_new_with_free_func (g_free);
  while ((name = g_dir_read_name (dir)))
    g_ptr_array_add (names, g_strdup (name));
  g_dir_close (dir);
  g_ptr_array_sort (names, compare_names);
  return names;
}

/* The path of the file or folder @name in @folder, or NULL. */
static gchar *
find_in (const gchar *folder, const gchar *name)
{
  g_autoptr (GPtrArray) names = list_folder (folder, NULL);
  guint i;

  for (i = 0; names && i < names->len; i++) {
    const gchar *found = g_ptr_array_index (names, i);

    if (g_ascii_strcasecmp (found, name) == 0)
      return g_build_filename (folder, found, NULL);
  }
  return NULL;
}

static guint64
get_size (const gchar *path)
{
  struct stat st;

  return stat (path, &st) == 0 ? st.st_size : 0;
}

static gboolean
has_extension (const gchar *name, const gchar *one, const gchar *other)
{
  const gchar *dot = strrchr (name, '.');

  return dot
      && (g_ascii_strcasecmp (dot + 1, one) == 0
          || g_ascii_strcasecmp (dot + 1, other) == 0);
}

static gchar *
take_language (GstByteReader *reader, guint letters)
{
  const guint8 *data;
  guint i;

  if (!gst_byte_reader_get_data (reader, letters, &data))
    return NULL;
  for (i = 0; i < letters; i++) {
    if (!g_ascii_isalpha (data[i]))
      return NULL;
  }
  return g_ascii_strdown ((const gchar *) data, letters);
}

static void
add_language (GHashTable *languages, guint track, gchar *language)
{
  if (language)
    g_hash_table_insert (languages, GUINT_TO_POINTER (track), language);
}

static GHashTable *
new_languages (void)
{
  return g_hash_table_new_full (NULL, NULL, NULL, g_free);
}

static DiscTitle *
title_new (void)
{
  DiscTitle *self = g_new0 (DiscTitle, 1);

  self->files = g_ptr_array_new_with_free_func (g_free);
  self->chapters = g_array_new (FALSE, FALSE, sizeof (DiscChapter));
  self->begins = g_array_new (FALSE, FALSE, sizeof (guint64));
  self->languages = new_languages ();
  return self;
}

void
disc_title_free (DiscTitle *self)
{
  g_ptr_array_unref (self->files);
  g_array_unref (self->chapters);
  g_array_unref (self->begins);
  g_hash_table_unref (self->languages);
  g_free (self->chosen);
  g_free (self);
}

static guint64
title_get_bytes (const DiscTitle *self)
{
  guint64 bytes = 0;
  guint i;

  for (i = 0; i < self->files->len; i++)
    bytes += get_size (g_ptr_array_index (self->files, i));
  return bytes;
}

/* "00001.m2ts", or "00001.m2ts to 00004.m2ts (4 files)"; in any order they are
 * listed. */
static gchar *
describe_files (GPtrArray *files)
{
  g_autofree gchar *first =
      g_filename_display_basename (g_ptr_array_index (files, 0));
  GString *text = g_string_new (first);
  guint i;

  for (i = 1; i < files->len; i++) {
    g_autofree gchar *name =
        g_filename_display_basename (g_ptr_array_index (files, i));

    if (i < 8)
      g_string_append_printf (text, ", %s", name);
  }
  if (files->len > 8)
    g_string_append_printf (text, " and %u more", files->len - 8);
  return g_string_free (text, FALSE);
}

static void
title_describe (DiscTitle *self, const gchar *folder, const gchar *why)
{
  g_autofree gchar *name = g_filename_display_name (folder);
  g_autofree gchar *files = describe_files (self->files);

  self->chosen = g_strdup_printf (
      "%s: %s: %s, %.1f MB", name, why, files, title_get_bytes (self) / 1e6);
}

/* --- Blu-ray: a playlist ----------------------------------------------------- */

/* A part of a clip. Where the next item goes on in the same clip, both have it as
 * one. */
typedef struct
{
  guint clip;
  guint32 in, out; /* in the clip's time */
  guint64 begin;   /* in the title */
} Item;

typedef struct
{
  GPtrArray *clips; /* of gchar *, "00001" */
  GArray *items;
  GArray *chapters; /* of DiscChapter; its file is a clip */
  guint64 ticks;
  guint n_tracks;
  GHashTable *languages;
} Playlist;

static void
playlist_free (Playlist *self)
{
  g_ptr_array_unref (self->clips);
  g_array_unref (self->items);
  g_array_unref (self->chapters);
  g_hash_table_unref (self->languages);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Playlist, playlist_free)

/* The next @size bytes as a reader of their own; the outer one is past them. */
static gboolean
take_block (GstByteReader *reader, guint size, GstByteReader *block)
{
  return gst_byte_reader_get_sub_reader (reader, block, size);
}

static gboolean
take_block8 (GstByteReader *reader, GstByteReader *block)
{
  guint8 size;

  return gst_byte_reader_get_uint8 (reader, &size)
      && take_block (reader, size, block);
}

static gboolean
take_block16 (GstByteReader *reader, GstByteReader *block)
{
  guint16 size;

  return gst_byte_reader_get_uint16_be (reader, &size)
      && take_block (reader, size, block);
}

/* One stream of an item's table: where it is, then what it is. */
static gboolean
read_stream (GstByteReader *table, Playlist *playlist)
{
  GstByteReader entry, attributes;
  guint8 where, coding;
  guint16 pid;

  if (!take_block8 (table, &entry) || !take_block8 (table, &attributes))
    return FALSE;
  /* 1: in the clip itself. The others are in clips that play beside it. */
  if (!gst_byte_reader_get_uint8 (&entry, &where) || where != 1
      || !gst_byte_reader_get_uint16_be (&entry, &pid)
      || !gst_byte_reader_get_uint8 (&attributes, &coding))
    return TRUE;
  playlist->n_tracks++;
  switch (coding) {
    case 0x90: /* pictures, menus */
    case 0x91:
      break;
    case 0x92: /* text: the character set */
    case 0x03: /* audio: channels and rate */
    case 0x04:
    case 0x80:
    case 0x81:
    case 0x82:
    case 0x83:
    case 0x84:
    case 0x85:
    case 0x86:
    case 0xa1:
    case 0xa2:
      if (!gst_byte_reader_skip (&attributes, 1))
        return TRUE;
      break;
    default:
      return TRUE;
  }
  add_language (playlist->languages, pid, take_language (&attributes, 3));
  return TRUE;
}

static void
read_streams (GstByteReader *item, Playlist *playlist)
{
  GstByteReader table;
  guint8 counts[7];
  guint i, n = 0;

  if (!take_block16 (item, &table) || !gst_byte_reader_skip (&table, 2))
    return;
  for (i = 0; i < G_N_ELEMENTS (counts); i++) {
    if (!gst_byte_reader_get_uint8 (&table, &counts[i]))
      return;
    /* Video, audio, subtitles, menus; the rest is described otherwise. */
    n += i < 4 ? counts[i] : 0;
  }
  if (!gst_byte_reader_skip (&table, 5))
    return;
  while (n-- > 0 && read_stream (&table, playlist))
    continue;
}

static void
add_item (Playlist *self, const gchar *clip, guint32 in, guint32 out)
{
  Item item = { self->clips->len, in, out, self->ticks };

  if (self->items->len > 0) {
    const Item *last = &g_array_index (self->items, Item, self->items->len - 1);

    if (in >= last->out
        && strncmp (g_ptr_array_index (self->clips, last->clip), clip, 5) == 0)
      item.clip = last->clip;
  }
  if (item.clip == self->clips->len)
    g_ptr_array_add (self->clips, g_strndup (clip, 5));
  g_array_append_val (self->items, item);
  self->ticks += out > in ? out - in : 0;
}

static gboolean
read_item (GstByteReader *items, Playlist *playlist)
{
  GstByteReader item;
  const guint8 *clip;
  guint16 flags;
  guint8 angles = 1;
  guint32 in, out;

  if (!take_block16 (items, &item)
      || !gst_byte_reader_get_data (&item, 5, &clip)
      || !gst_byte_reader_skip (&item, 4) /* "M2TS" */
      || !gst_byte_reader_get_uint16_be (&item, &flags)
      || !gst_byte_reader_skip (&item, 1)
      || !gst_byte_reader_get_uint32_be (&item, &in)
      || !gst_byte_reader_get_uint32_be (&item, &out)
      /* what the user may not do; how the last picture stands */
      || !gst_byte_reader_skip (&item, 12))
    return FALSE;
  add_item (playlist, (const gchar *) clip, in, out);

  if (flags & 0x10) {
    if (!gst_byte_reader_get_uint8 (&item, &angles)
        || !gst_byte_reader_skip (&item, 1 + 10 * (MAX (angles, 1) - 1)))
      return TRUE;
  }
  if (playlist->items->len == 1)
    read_streams (&item, playlist);
  return TRUE;
}

/* A mark that is no chapter is passed over. FALSE: there are no more. */
static gboolean
read_mark (GstByteReader *marks, Playlist *playlist)
{
  guint8 type;
  guint16 number;
  guint32 time;
  const Item *item;
  DiscChapter chapter;

  if (!gst_byte_reader_skip (marks, 1)
      || !gst_byte_reader_get_uint8 (marks, &type)
      || !gst_byte_reader_get_uint16_be (marks, &number)
      || !gst_byte_reader_get_uint32_be (marks, &time)
      || !gst_byte_reader_skip (marks, 6)) /* a stream's, and how long */
    return FALSE;
  if (type != 1 || number >= playlist->items->len)
    return TRUE;
  item = &g_array_index (playlist->items, Item, number);
  chapter.file = item->clip;
  chapter.ticks = item->begin + time - MIN (time, item->in);
  g_array_append_val (playlist->chapters, chapter);
  return TRUE;
}

static void
read_marks (GstByteReader *reader, Playlist *playlist)
{
  guint32 start;
  guint16 n;

  if (!gst_byte_reader_set_pos (reader, 12)
      || !gst_byte_reader_get_uint32_be (reader, &start) || start == 0
      || !gst_byte_reader_set_pos (reader, start)
      || !gst_byte_reader_skip (reader, 4) /* length */
      || !gst_byte_reader_get_uint16_be (reader, &n))
    return;
  while (n-- > 0 && read_mark (reader, playlist))
    continue;
}

/* NULL if @path is no playlist. */
static Playlist *
playlist_read (const gchar *path)
{
  g_autoptr (Playlist) self = g_new0 (Playlist, 1);
  g_autofree gchar *data = NULL;
  gsize size;
  GstByteReader reader;
  guint32 start;
  guint16 n;

  self->clips = g_ptr_array_new_with_free_func (g_free);
  self->items = g_array_new (FALSE, FALSE, sizeof (Item));
  self->chapters = g_array_new (FALSE, FALSE, sizeof (DiscChapter));
  self->languages = new_languages ();
  if (get_size (path) > MAX_TABLE
      || !g_file_get_contents (path, &data, &size, NULL))
    return NULL;
  gst_byte_reader_init (&reader, (const guint8 *) data, size);
  if (size < 20 || memcmp (data, "MPLS", 4) != 0
      || !gst_byte_reader_set_pos (&reader, 8)
      || !gst_byte_reader_get_uint32_be (&reader, &start)
      || !gst_byte_reader_set_pos (&reader, start)
      || !gst_byte_reader_skip (&reader, 6) /* length, reserved */
      || !gst_byte_reader_get_uint16_be (&reader, &n)
      || !gst_byte_reader_skip (&reader, 2))
    return NULL;
  while (n-- > 0) {
    if (!read_item (&reader, self))
      return NULL;
  }
  read_marks (&reader, self);
  return self->clips->len > 0 ? g_steal_pointer (&self) : NULL;
}

static gboolean
is_loop (const Playlist *self)
{
  guint i, j, n;

  for (i = 0; i < self->clips->len; i++) {
    for (j = n = 0; j < self->clips->len; j++)
      n += g_str_equal (g_ptr_array_index (self->clips, i),
          g_ptr_array_index (self->clips, j));
    if (n > 2)
      return TRUE;
  }
  return FALSE;
}

/* FALSE if a clip is not in @stream. */
static gboolean
find_clips (const Playlist *self, const gchar *stream, GPtrArray *files)
{
  g_autoptr (GPtrArray) names = list_folder (stream, NULL);
  guint i, j;

  for (i = 0; names && i < self->clips->len; i++) {
    const gchar *clip = g_ptr_array_index (self->clips, i);

    for (j = 0; j < names->len; j++) {
      const gchar *name = g_ptr_array_index (names, j);

      if (g_str_has_prefix (name, clip) && name[5] == '.'
          && has_extension (name, "m2ts", "mts"))
        break;
    }
    if (j == names->len)
      return FALSE;
    g_ptr_array_add (
        files, g_build_filename (stream, g_ptr_array_index (names, j), NULL));
  }
  return files->len > 0;
}

static gboolean
is_better (const Playlist *a, const Playlist *b)
{
  if (a->ticks != b->ticks)
    return a->ticks > b->ticks;
  return a->n_tracks > b->n_tracks;
}

static void
title_from_playlist (
    DiscTitle *self, Playlist *best, const gchar *name, const gchar *stream)
{
  guint seconds = best->ticks / DISC_CLOCK, i;
  g_autofree gchar *why =
      g_strdup_printf ("the longest title, %s, %u:%02u:%02u", name,
          seconds / 3600, seconds / 60 % 60, seconds % 60);

  find_clips (best, stream, self->files);
  g_hash_table_unref (self->languages);
  self->languages = g_hash_table_ref (best->languages);
  g_array_append_vals (
      self->chapters, best->chapters->data, best->chapters->len);
  for (i = 0; i < best->items->len; i++) {
    const Item *item = &g_array_index (best->items, Item, i);

    if (item->clip == self->begins->len)
      g_array_append_val (self->begins, item->begin);
  }
  title_describe (self, stream, why);
}

/* FALSE if there is no playlist whose clips are here. */
static gboolean
choose_playlist (DiscTitle *self, const gchar *folder, const gchar *stream)
{
  g_autoptr (GPtrArray) names = list_folder (folder, NULL);
  g_autoptr (Playlist) best = NULL;
  const gchar *best_name = NULL;
  guint i;

  for (i = 0; names && i < names->len; i++) {
    const gchar *name = g_ptr_array_index (names, i);
    g_autofree gchar *path = g_build_filename (folder, name, NULL);
    g_autoptr (GPtrArray) files = g_ptr_array_new_with_free_func (g_free);
    g_autoptr (Playlist) playlist = NULL;

    if (!has_extension (name, "mpls", "mpl"))
      continue;
    playlist = playlist_read (path);
    if (!playlist || is_loop (playlist) || (best && !is_better (playlist, best))
        || !find_clips (playlist, stream, files))
      continue;
    g_clear_pointer (&best, playlist_free);
    best = g_steal_pointer (&playlist);
    best_name = name;
  }
  if (best)
    title_from_playlist (self, best, best_name, stream);
  return best != NULL;
}

/* --- Blu-ray: no playlist ---------------------------------------------------- */

static gboolean
is_next_clip (const gchar *a, const gchar *b)
{
  g_autofree gchar *left = g_path_get_basename (a);
  g_autofree gchar *right = g_path_get_basename (b);

  return g_ascii_isdigit (*left) && atoi (right) == atoi (left) + 1
      && cuts_go_on (a, b);
}

static guint64
get_run (GPtrArray *files, guint begin, guint *end)
{
  guint64 bytes = get_size (g_ptr_array_index (files, begin));

  for (*end = begin + 1; *end < files->len; (*end)++) {
    const gchar *file = g_ptr_array_index (files, *end);

    if (!is_next_clip (g_ptr_array_index (files, *end - 1), file))
      break;
    bytes += get_size (file);
  }
  return bytes;
}

static void
choose_run (DiscTitle *self, GPtrArray *files)
{
  guint begin, end, best_begin = 0, best_end = 0, i;
  guint64 most = 0;

  for (begin = 0; begin < files->len; begin = end) {
    guint64 bytes = get_run (files, begin, &end);

    if (bytes > most) {
      most = bytes;
      best_begin = begin;
      best_end = end;
    }
  }
  for (i = best_begin; i < best_end; i++)
    g_ptr_array_add (self->files, g_strdup (g_ptr_array_index (files, i)));
}

static GPtrArray *
list_clips (const gchar *folder)
{
  g_autoptr (GPtrArray) names = list_folder (folder, NULL);
  GPtrArray *files = g_ptr_array_new_with_free_func (g_free);
  guint i;

  for (i = 0; names && i < names->len; i++) {
    const gchar *name = g_ptr_array_index (names, i);

    if (has_extension (name, "m2ts", "mts"))
      g_ptr_array_add (files, g_build_filename (folder, name, NULL));
  }
  return files;
}

static gboolean
find_bluray_title (DiscTitle *self, const gchar *stream)
{
  g_autofree gchar *above = g_build_filename (stream, "..", NULL);
  g_autofree gchar *playlists = find_in (above, "PLAYLIST");
  g_autoptr (GPtrArray) files = list_clips (stream);

  if (files->len == 0)
    return FALSE;
  if (playlists && choose_playlist (self, playlists, stream))
    return TRUE;
  choose_run (self, files);
  if (self->files->len == 0)
    return FALSE;
  title_describe (self, stream, "no playlist, the most bytes");
  return TRUE;
}

/* --- DVD ------------------------------------------------------------------------ */

/* VTS_nn_m.VOB: nn * 10 + m; else -1. */
static gint
get_vob_number (const gchar *name)
{
  if (strlen (name) != 12 || g_ascii_strncasecmp (name, "VTS_", 4) != 0
      || !g_ascii_isdigit (name[4]) || !g_ascii_isdigit (name[5])
      || name[6] != '_' || !g_ascii_isdigit (name[7])
      || g_ascii_strcasecmp (name + 8, ".VOB") != 0)
    return -1;
  return (name[4] - '0') * 100 + (name[5] - '0') * 10 + (name[7] - '0');
}

static gboolean
get_uint16_at (GstByteReader *reader, guint at, guint16 *value)
{
  return gst_byte_reader_set_pos (reader, at)
      && gst_byte_reader_get_uint16_be (reader, value);
}

static gboolean
get_uint32_at (GstByteReader *reader, guint64 at, guint32 *value)
{
  return at < G_MAXUINT && gst_byte_reader_set_pos (reader, at)
      && gst_byte_reader_get_uint32_be (reader, value);
}

/* Where the set's first program chain is, or 0. */
static guint64
find_chain (GstByteReader *reader)
{
  guint32 sector, offset;
  guint64 table;

  if (!get_uint32_at (reader, 0xcc, &sector))
    return 0;
  table = (guint64) sector * DVD_SECTOR;
  if (!get_uint32_at (reader, table + 12, &offset))
    return 0;
  return table + offset;
}

/* The language of an attribute's entry at @at, or NULL: none is set. */
static gchar *
read_dvd_language (GstByteReader *reader, guint at, guint shift)
{
  guint8 coding;

  if (!gst_byte_reader_set_pos (reader, at)
      || !gst_byte_reader_get_uint8 (reader, &coding)
      || (coding >> shift & 3) != 1
      || !gst_byte_reader_set_pos (reader, at + 2))
    return NULL;
  return take_language (reader, 2);
}

/* Logical tracks have their attributes; which substream each is, the program
 * chain says: 16 bits an audio track, and 32 a subtitle with a substream for
 * each shape of screen. */
static void
read_dvd_audio (GstByteReader *reader, guint64 chain, GHashTable *languages)
{
  static const guint first[8] = { 0x80, 0, 0xc0, 0xc0, 0xa0, 0, 0x88, 0 };
  guint16 n = 0, control;
  guint i;

  get_uint16_at (reader, 0x202, &n);
  for (i = 0; i < MIN (n, 8); i++) {
    gchar *language = read_dvd_language (reader, 0x204 + 8 * i, 2);
    guint stream = i;
    guint8 coding;

    if (!language)
      continue;
    gst_byte_reader_set_pos (reader, 0x204 + 8 * i);
    if (!gst_byte_reader_get_uint8 (reader, &coding))
      coding = 0;
    coding >>= 5;
    if (chain && get_uint16_at (reader, chain + 0x0c + 2 * i, &control)
        && (control & 0x8000))
      stream = control >> 8 & 7;
    add_language (languages, first[coding] + stream, language);
  }
}

/* What is shown in a shape that the film does not have is another stream, and its
 * number may be left at 0. */
static void
read_dvd_subtitles (GstByteReader *reader, guint64 chain, GHashTable *languages)
{
  guint16 n = 0, video = 0;
  guint32 control;
  guint i;

  get_uint16_at (reader, 0x200, &video);
  get_uint16_at (reader, 0x254, &n);
  for (i = 0; i < MIN (n, 32); i++) {
    guint stream = i;

    if (chain && get_uint32_at (reader, chain + 0x1c + 4 * i, &control)
        && (control & 0x80000000))
      stream = control >> ((video & 0x0c00) == 0x0c00 ? 16 : 24) & 0x1f;
    add_language (
        languages, 0x20 + stream, read_dvd_language (reader, 0x256 + 6 * i, 0));
  }
}

static void
read_dvd_languages (const gchar *folder, guint set, GHashTable *languages)
{
  g_autofree gchar *name = g_strdup_printf ("VTS_%02u_0.IFO", set);
  g_autofree gchar *path = find_in (folder, name);
  g_autofree gchar *data = NULL;
  GstByteReader reader;
  guint64 chain;
  gsize size;

  if (!path || get_size (path) > MAX_TABLE
      || !g_file_get_contents (path, &data, &size, NULL) || size < 0x400
      || memcmp (data, "DVDVIDEO-VTS", 12) != 0)
    return;
  gst_byte_reader_init (&reader, (const guint8 *) data, size);
  chain = find_chain (&reader);
  read_dvd_audio (&reader, chain, languages);
  read_dvd_subtitles (&reader, chain, languages);
}

static gboolean
find_dvd_title (DiscTitle *self, const gchar *folder)
{
  g_autoptr (GPtrArray) names = list_folder (folder, NULL);
  guint64 bytes[100] = { 0 };
  guint best = 0, i;
  g_autofree gchar *why = NULL;

  for (i = 0; names && i < names->len; i++) {
    const gchar *name = g_ptr_array_index (names, i);
    g_autofree gchar *path = g_build_filename (folder, name, NULL);
    gint number = get_vob_number (name);

    if (number < 0 || number % 10 == 0)
      continue;
    bytes[number / 10] += get_size (path);
    if (bytes[number / 10] > bytes[best])
      best = number / 10;
  }
  if (bytes[best] == 0)
    return FALSE;
  for (i = 0; i < names->len; i++) {
    const gchar *name = g_ptr_array_index (names, i);
    gint number = get_vob_number (name);

    if (number / 10 == (gint) best && number % 10 > 0)
      g_ptr_array_add (self->files, g_build_filename (folder, name, NULL));
  }
  self->one_stream = TRUE;
  read_dvd_languages (folder, best, self->languages);
  why = g_strdup_printf ("title set %u has the most bytes", best);
  title_describe (self, folder, why);
  return TRUE;
}

/* --- either ------------------------------------------------------------------------ */

/* @folder may be a disc's root, BDMV, BDMV/STREAM or VIDEO_TS. NULL and @error,
 * which names the folder, if there is no title in it. */
DiscTitle *
disc_find_title (const gchar *folder, GError **error)
{
  static const gchar *const below[] = { "BDMV", "STREAM", "VIDEO_TS" };
  g_autoptr (DiscTitle) self = title_new ();
  g_autoptr (GPtrArray) names = NULL;
  g_autofree gchar *name = g_filename_display_name (folder);
  guint i;

  names = list_folder (folder, error);
  if (!names)
    return NULL;
  if (find_bluray_title (self, folder) || find_dvd_title (self, folder))
    return g_steal_pointer (&self);
  for (i = 0; i < G_N_ELEMENTS (below); i++) {
    g_autofree gchar *path = find_in (folder, below[i]);

    if (path && g_file_test (path, G_FILE_TEST_IS_DIR))
      return disc_find_title (path, error);
  }
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_IS_DIRECTORY,
      "%s: is a folder without a disc's title (BDMV/STREAM/*.m2ts or "
      "VIDEO_TS/VTS_nn_n.VOB)",
      name);
  return NULL;
}
