/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The output's chapters: those of the inputs, one after the other.
 *
 * They come from a container that has some (of GStreamer's demuxers only
 * Matroska's tells), or from a disc's playlist. The muxer writes them with the
 * header, before it is known where an input will really begin in the output: what
 * the inputs declare to be their lengths has to do, and is mostly right to a frame
 * or two.
 *
 * One input keeps its editions. Of several, the first edition of each goes into one.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "chapters.h"

typedef struct
{
  GstClockTimeDiff shift; /* from the input's time to the output's */
  guint number;           /* of the input; 0: the only one */
} Place;

static gint64
move (gint64 time, const Place *place)
{
  return time < 0 ? time : MAX (time + place->shift, 0);
}

/* Whether it lies before the output's beginning. */
static gboolean
is_before (GstTocEntry *entry, const Place *place)
{
  gint64 start, stop;

  return gst_toc_entry_get_start_stop_times (entry, &start, &stop) && stop >= 0
      && stop + place->shift <= 0;
}

static void append_entries (
    GstTocEntry *parent, GList *entries, const Place *place);

/* A copy of @entry, and of what is below it. Ids must differ between inputs. */
static GstTocEntry *
copy_entry (GstTocEntry *entry, const Place *place)
{
  g_autofree gchar *uid = place->number > 0
      ? g_strdup_printf ("%u-%s", place->number, gst_toc_entry_get_uid (entry))
      : g_strdup (gst_toc_entry_get_uid (entry));
  GstTocEntry *copy =
      gst_toc_entry_new (gst_toc_entry_get_entry_type (entry), uid);
  GstTagList *tags = gst_toc_entry_get_tags (entry);
  gint64 start = -1, stop = -1;

  if (tags)
    gst_toc_entry_set_tags (copy, gst_tag_list_ref (tags));
  gst_toc_entry_get_start_stop_times (entry, &start, &stop);
  gst_toc_entry_set_start_stop_times (
      copy, move (start, place), move (stop, place));
  append_entries (copy, gst_toc_entry_get_sub_entries (entry), place);
  return copy;
}

static void
append_entries (GstTocEntry *parent, GList *entries, const Place *place)
{
  for (; entries; entries = entries->next) {
    if (!is_before (entries->data, place))
      gst_toc_entry_append_sub_entry (
          parent, copy_entry (entries->data, place));
  }
}

static GstToc *
copy_toc (GstToc *toc, const Place *place)
{
  GstToc *copy = gst_toc_new (GST_TOC_SCOPE_GLOBAL);
  GList *l;

  for (l = gst_toc_get_entries (toc); l; l = l->next)
    gst_toc_append_entry (copy, copy_entry (l->data, place));
  return copy;
}

static void
append_toc (GstTocEntry *edition, GstToc *toc, const Place *place)
{
  GList *l = gst_toc_get_entries (toc);

  if (l && gst_toc_entry_get_entry_type (l->data) == GST_TOC_ENTRY_TYPE_EDITION)
    l = gst_toc_entry_get_sub_entries (l->data);
  append_entries (edition, l, place);
}

static GstTocEntry *
new_chapter (guint number, GstClockTime start, GstClockTime stop)
{
  g_autofree gchar *uid = g_strdup_printf ("chapter-%u", number);
  g_autofree gchar *title = g_strdup_printf ("Chapter %u", number);
  GstTocEntry *entry = gst_toc_entry_new (GST_TOC_ENTRY_TYPE_CHAPTER, uid);

  gst_toc_entry_set_tags (entry, gst_tag_list_new (GST_TAG_TITLE, title, NULL));
  gst_toc_entry_set_start_stop_times (entry, start, stop);
  return entry;
}

/* A disc's have no names. Players want one, so they are counted. */
static void
append_marks (GstTocEntry *edition, GArray *marks, const Place *place,
    GstClockTime duration)
{
  guint n = g_list_length (gst_toc_entry_get_sub_entries (edition));
  guint i;

  for (i = 0; i < marks->len; i++) {
    GstClockTime start = g_array_index (marks, GstClockTime, i);
    GstClockTime stop = i + 1 < marks->len
        ? g_array_index (marks, GstClockTime, i + 1)
        : duration;

    if (stop > start)
      gst_toc_entry_append_sub_entry (
          edition, new_chapter (++n, move (start, place), move (stop, place)));
  }
}

static GstTocEntry *
new_edition (void)
{
  GstTocEntry *edition =
      gst_toc_entry_new (GST_TOC_ENTRY_TYPE_EDITION, "edition");

  gst_toc_entry_set_start_stop_times (edition, -1, -1);
  return edition;
}

/* As far as it is known where an input begins. */
static GstTocEntry *
join_all (GPtrArray *inputs, GPtrArray *inspections)
{
  GstTocEntry *edition = new_edition ();
  GstClockTime begin = 0;
  guint i;

  for (i = 0; i < inputs->len; i++) {
    const Input *input = g_ptr_array_index (inputs, i);
    const Inspection *inspection = g_ptr_array_index (inspections, i);
    Place place = { (GstClockTimeDiff) begin, inputs->len > 1 ? i + 1 : 0 };

    if (inspection->toc) {
      place.shift -= inspection->toc_start;
      append_toc (edition, inspection->toc, &place);
    }
    if (!GST_CLOCK_TIME_IS_VALID (inspection->duration))
      break;
    if (!inspection->toc && input->chapters)
      append_marks (edition, input->chapters, &place, inspection->duration);
    begin += inspection->duration;
  }
  return edition;
}

/* NULL if there are none. The caller owns the result. */
GstToc *
chapters_join (GPtrArray *inputs, GPtrArray *inspections)
{
  const Inspection *first = g_ptr_array_index (inspections, 0);
  GstTocEntry *edition;
  GstToc *toc;

  if (inputs->len == 1 && first->toc) {
    const Place place = { -first->toc_start, 0 };

    return copy_toc (first->toc, &place);
  }
  edition = join_all (inputs, inspections);
  /* One that is all of the file says nothing. */
  if (g_list_length (gst_toc_entry_get_sub_entries (edition)) < 2) {
    gst_toc_entry_unref (edition);
    return NULL;
  }
  toc = gst_toc_new (GST_TOC_SCOPE_GLOBAL);
  gst_toc_append_entry (toc, edition);
  return toc;
}
