/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Whether a file goes on with the stream that another one ends in.
 *
 * Problem: two files may be pieces of one stream that was cut somewhere (then
 * the frame on the cut is whole only if they are read as one), or streams of
 * their own, each with a beginning and an end (then reading them as one lets the
 * clock jump, and mixes the ends of frames with beginnings of others).
 *
 * Strategy: what a stream counts tells. In a transport stream each track counts
 * its packets from 0 to 15; all tracks on both sides of a cut have to go on, and
 * so has the clock, if both sides have it. In a program stream the clock of each
 * pack has to go on. A DVD's pieces are known by their names too: there the clock
 * may jump inside the title.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "cuts.h"
#include "joined.h"

#include <string.h>

/* Around the cut. Each track of a transport stream should be met on both sides,
 * and the clock comes ten times a second. */
#define REACH (2 * 1024 * 1024)
#define PACKET_SIZE 188
#define SYNC_BYTE 0x47
#define N_PIDS 0x2000
#define NULL_PID 0x1fff
#define CLOCK_RATE 90000
#define MAX_STEP CLOCK_RATE

typedef struct
{
  const guint8 *data;
  gsize size;
  gsize cut;
} View;

typedef struct
{
  gint16 last[N_PIDS];  /* counters; -1: none */
  gint16 first[N_PIDS]; /* after the cut */
  gint64 last_clock[N_PIDS];
  gint64 first_clock[N_PIDS];
} Counters;

/* A clock of 33 bits that went from @a to @b, with no more than a second lost. */
static gboolean
clock_goes_on (gint64 a, gint64 b)
{
  return ((b - a) & 0x1ffffffff) <= MAX_STEP;
}

/* --- transport streams -------------------------------------------------------- */

static gboolean
has_sync (const View *view, gsize at, guint stride, guint n)
{
  for (; n > 0 && at < view->size; n--, at += stride) {
    if (view->data[at] != SYNC_BYTE)
      return FALSE;
  }
  return n == 0;
}

/* Finds packets before the cut that go on behind it in the same steps. */
static gboolean
find_packets (const View *view, guint *stride, gsize *at)
{
  static const guint strides[] = { 188, 192 };
  guint s;

  for (s = 0; s < G_N_ELEMENTS (strides); s++) {
    *stride = strides[s];
    for (*at = 0; *at < *stride; (*at)++) {
      gsize to_cut = view->cut > *at ? view->cut - *at : 0;
      gsize behind = *at + (to_cut + *stride - 1) / *stride * *stride;

      if (has_sync (view, *at, *stride, 5)
          && has_sync (view, behind, *stride, 5))
        return TRUE;
    }
  }
  return FALSE;
}

static gint64
get_ts_clock (const guint8 *p)
{
  if (!(p[3] & 0x20) || p[4] < 7 || !(p[5] & 0x10))
    return -1;
  return (gint64) p[6] << 25 | p[7] << 17 | p[8] << 9 | p[9] << 1 | p[10] >> 7;
}

static void
count_packet (Counters *self, const guint8 *p, gboolean before)
{
  guint pid = (p[1] & 0x1f) << 8 | p[2];
  gint64 clock = get_ts_clock (p);
  gboolean has_payload = (p[3] & 0x10) != 0;

  if (before && has_payload)
    self->last[pid] = p[3] & 0x0f;
  else if (has_payload && self->first[pid] < 0)
    self->first[pid] = p[3] & 0x0f;
  if (clock >= 0 && before)
    self->last_clock[pid] = clock;
  else if (clock >= 0 && self->first_clock[pid] < 0)
    self->first_clock[pid] = clock;
}

static gboolean
counters_go_on (const Counters *self)
{
  guint pid, n = 0;

  for (pid = 0; pid < NULL_PID; pid++) {
    if (self->last_clock[pid] >= 0 && self->first_clock[pid] >= 0
        && !clock_goes_on (self->last_clock[pid], self->first_clock[pid]))
      return FALSE;
    if (self->last[pid] < 0 || self->first[pid] < 0)
      continue;
    if (self->first[pid] != ((self->last[pid] + 1) & 0x0f))
      return FALSE;
    n++;
  }
  return n >= 2;
}

static gboolean
ts_goes_on (const View *view)
{
  g_autofree Counters *counters = g_new (Counters, 1);
  guint stride;
  gsize at;

  if (!find_packets (view, &stride, &at))
    return FALSE;
  memset (counters, -1, sizeof (Counters));
  for (; at + PACKET_SIZE <= view->size; at += stride) {
    if (view->data[at] == SYNC_BYTE)
      count_packet (counters, view->data + at, at < view->cut);
  }
  return counters_go_on (counters);
}

/* --- program streams ----------------------------------------------------------- */

/* The clock of the pack whose header is at @at, or -1: there is none. */
static gint64
get_pack_clock (const View *view, gsize at)
{
  const guint8 *b = view->data + at + 4;

  if (at + 14 > view->size || memcmp (view->data + at, "\0\0\1\xba", 4) != 0
      || (b[0] & 0xc4) != 0x44)
    return -1;
  return (gint64) (b[0] >> 3 & 7) << 30 | (gint64) (b[0] & 3) << 28 | b[1] << 20
      | (b[2] >> 3) << 15 | (b[2] & 3) << 13 | b[3] << 5 | b[4] >> 3;
}

static gboolean
ps_goes_on (const View *view)
{
  gint64 before = -1, after = -1;
  gsize at;

  for (at = view->cut; at-- > 0 && before < 0;)
    before = get_pack_clock (view, at);
  for (at = view->cut; at < view->size && after < 0; at++)
    after = get_pack_clock (view, at);
  return before >= 0 && after >= 0 && clock_goes_on (before, after);
}

/* --- both ------------------------------------------------------------------------- */

/* VTS_01_1.VOB and VTS_01_2.VOB. */
static gboolean
are_dvd_pieces (const gchar *first, const gchar *next)
{
  g_autofree gchar *a = g_path_get_basename (first);
  g_autofree gchar *b = g_path_get_basename (next);

  return strlen (a) == 12 && strlen (b) == 12
      && g_ascii_strncasecmp (a, "VTS_", 4) == 0
      && g_ascii_strncasecmp (a, b, 7) == 0 && a[7] >= '1' && a[7] < '9'
      && b[7] == a[7] + 1 && g_ascii_strcasecmp (a + 8, ".VOB") == 0;
}

gboolean
cuts_go_on (const gchar *first, const gchar *next)
{
  g_autoptr (GPtrArray) paths = g_ptr_array_new ();
  g_autoptr (GPtrArray) alone = g_ptr_array_new ();
  g_autoptr (Joined) joined = NULL;
  g_autoptr (Joined) one = NULL;
  g_autofree guint8 *data = g_malloc (2 * REACH);
  guint64 cut, begin;
  gssize size;
  View view;

  if (are_dvd_pieces (first, next))
    return TRUE;
  g_ptr_array_add (paths, (gpointer) first);
  g_ptr_array_add (paths, (gpointer) next);
  g_ptr_array_add (alone, (gpointer) first);
  joined = joined_open (paths, NULL);
  one = joined_open (alone, NULL);
  if (!joined || !one)
    return FALSE;
  cut = joined_get_size (one);
  begin = cut - MIN (cut, REACH);
  size = joined_read (joined, begin, data, 2 * REACH);
  if (size < 0 || begin + size <= cut)
    return FALSE;
  view = (View){ .data = data, .size = size, .cut = cut - begin };
  return ts_goes_on (&view) || ps_goes_on (&view);
}
