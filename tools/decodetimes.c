/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Decoding times for a video track that has times of showing only.
 *
 * Problem: Matroska keeps the order in which frames are decoded, and when they
 * are shown, but not when they are decoded. MP4 and MPEG-TS want that too: it
 * never goes back, and is never after the time of showing.
 *
 * Strategy: the times of showing, sorted, never go back; the nth of them is the
 * nth frame's, moved back by as much as a frame is ever shown before its turn
 * (the lag, measured over the first frames). To sort them, as many frames are held
 * as a decoder holds back at most.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "decodetimes.h"

#include <string.h>

struct _DecodeTimes
{
  GstClockTime lag;
  GstClockTime last; /* DTS */
  GQueue held;       /* of GstBuffer, in decoding order */
  GQueue times;      /* of GstClockTime *, of those in held, sorted */
};

static gint
compare_times (gconstpointer a, gconstpointer b, gpointer user_data)
{
  const GstClockTime *x = a, *y = b;

  return *x < *y ? -1 : *x > *y;
}

/* How much earlier than its turn a frame is shown at most: @shown has @n frames'
 * times in decoding order. At least two frames' time, as the first frames may not
 * be like the others. */
GstClockTime
decode_times_measure (const GstClockTime *shown, guint n)
{
  g_autofree GstClockTime *sorted = g_new (GstClockTime, n);
  GstClockTime lag = 0;
  guint i;

  if (n < 2)
    return 0;
  memcpy (sorted, shown, n * sizeof (*sorted));
  g_qsort_with_data (sorted, n, sizeof (*sorted), compare_times, NULL);
  for (i = 0; i < n; i++)
    lag = MAX (lag, sorted[i] - MIN (sorted[i], shown[i]));
  return MAX (lag, 2 * (sorted[n - 1] - sorted[0]) / (n - 1));
}

DecodeTimes *
decode_times_new (GstClockTime lag)
{
  DecodeTimes *self = g_new0 (DecodeTimes, 1);

  self->lag = lag;
  g_queue_init (&self->held);
  g_queue_init (&self->times);
  return self;
}

static void
release_one (DecodeTimes *self, GQueue *ready)
{
  GstBuffer *buffer = g_queue_pop_head (&self->held);

  if (GST_BUFFER_PTS_IS_VALID (buffer)) {
    g_autofree GstClockTime *turn = g_queue_pop_head (&self->times);
    GstClockTime time = *turn - MIN (*turn, self->lag);

    time = MIN (time, GST_BUFFER_PTS (buffer));
    self->last = MAX (self->last, time);
    GST_BUFFER_DTS (buffer) = self->last;
  }
  g_queue_push_tail (ready, buffer);
}

/* Takes @buffer, a frame, which must be writable; moves what has its DTS now to
 * the end of @ready. */
void
decode_times_add (DecodeTimes *self, GstBuffer *buffer, GQueue *ready)
{
  GstClockTime *shown = g_new (GstClockTime, 1);

  *shown = GST_BUFFER_PTS (buffer);
  if (GST_CLOCK_TIME_IS_VALID (*shown))
    g_queue_insert_sorted (&self->times, shown, compare_times, NULL);
  else
    g_free (shown);
  g_queue_push_tail (&self->held, buffer);
  if (self->held.length > DECODE_TIMES_DEPTH)
    release_one (self, ready);
}

/* Nothing more comes. */
void
decode_times_drain (DecodeTimes *self, GQueue *ready)
{
  while (self->held.length > 0)
    release_one (self, ready);
}

void
decode_times_free (DecodeTimes *self)
{
  g_queue_clear_full (&self->held, (GDestroyNotify) gst_buffer_unref);
  g_queue_clear_full (&self->times, g_free);
  g_free (self);
}
