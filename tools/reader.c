/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A thread that reads an input ahead.
 *
 * Packets are handed over in batches: a lock for each of a million small ones
 * would cost more than the work. Whoever waits is woken when a batch is full or
 * the other side has nothing to do.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "reader.h"

#define MAX_BYTES (16 * 1024 * 1024)
#define MAX_PACKETS 4096
#define BATCH_BYTES (512 * 1024)
#define BATCH_PACKETS 256
#define TICK (G_USEC_PER_SEC / 5)

typedef struct
{
  AVPacket *packet;
  Track *track;
} Item;

struct _Reader
{
  gint references; /* atomic: the thread and its owner */
  Source *source;
  Guard *guard;
  GThread *thread;
  GQueue mine; /* the taker's */

  GMutex lock;
  GCond changed;
  GQueue queue;
  gsize bytes;
  gint code; /* 0: goes on */
  gboolean is_stopped;
  gboolean has_ended;
};

static void
unref (Reader *self)
{
  Item *item;

  if (!g_atomic_int_dec_and_test (&self->references))
    return;
  while ((item = g_queue_pop_head (&self->mine))
      || (item = g_queue_pop_head (&self->queue))) {
    av_packet_free (&item->packet);
    g_free (item);
  }
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->changed);
  g_free (self);
}

static void
append (GQueue *to, GQueue *from)
{
  GList *link;

  while ((link = g_queue_pop_head_link (from)))
    g_queue_push_tail_link (to, link);
}

/* FALSE: nobody wants more. */
static gboolean
hand_over (Reader *self, GQueue *batch, gsize bytes, gint code)
{
  gboolean goes_on;

  g_mutex_lock (&self->lock);
  while (!self->is_stopped
      && (self->bytes > MAX_BYTES || self->queue.length > MAX_PACKETS))
    g_cond_wait (&self->changed, &self->lock);
  guard_touch (self->guard);
  append (&self->queue, batch);
  self->bytes += bytes;
  self->code = code;
  goes_on = !self->is_stopped && code == 0;
  self->has_ended = !goes_on;
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
  return goes_on;
}

static gpointer
run (gpointer data)
{
  Reader *self = data;
  GQueue batch = G_QUEUE_INIT;
  gsize bytes = 0;
  gint code;

  do {
    Item *item = g_new (Item, 1);

    item->packet = av_packet_alloc ();
    code = source_read (self->source, item->packet, &item->track);
    if (code == 0) {
      bytes += item->packet->size;
      g_queue_push_tail (&batch, item);
    } else {
      av_packet_free (&item->packet);
      g_free (item);
    }
    if (code == 0 && bytes < BATCH_BYTES && batch.length < BATCH_PACKETS)
      continue;
    if (!hand_over (self, &batch, bytes, code))
      break;
    bytes = 0;
  } while (TRUE);
  unref (self);
  return NULL;
}

Reader *
reader_start (Source *source, Guard *guard)
{
  Reader *self = g_new0 (Reader, 1);

  self->references = 2;
  self->source = source;
  self->guard = guard;
  g_mutex_init (&self->lock);
  g_cond_init (&self->changed);
  guard_touch (guard);
  self->thread = g_thread_new ("reader", run, self);
  return self;
}

static void
refill (Reader *self, gint *code)
{
  g_mutex_lock (&self->lock);
  while (self->queue.length == 0 && self->code == 0
      && guard_get_level (self->guard) == GUARD_GO
      && !guard_is_stuck (self->guard))
    g_cond_wait_until (
        &self->changed, &self->lock, g_get_monotonic_time () + TICK);
  *code = self->code;
  if (self->queue.length == 0 && self->code == 0)
    *code = guard_get_level (self->guard) == GUARD_GO ? AVERROR (ETIMEDOUT)
                                                      : AVERROR_EXIT;
  append (&self->mine, &self->queue);
  self->bytes = 0;
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
}

AVPacket *
reader_take (Reader *self, Track **track, gint *code)
{
  AVPacket *packet;
  Item *item;

  if (guard_get_level (self->guard) != GUARD_GO) {
    *code = AVERROR_EXIT;
    return NULL;
  }
  if (self->mine.length == 0)
    refill (self, code);
  item = g_queue_pop_head (&self->mine);
  if (!item)
    return NULL;
  packet = item->packet;
  *track = item->track;
  g_free (item);
  return packet;
}

gboolean
reader_stop (Reader *self)
{
  gint64 until = g_get_monotonic_time () + 2 * G_USEC_PER_SEC;
  gboolean has_ended;

  g_mutex_lock (&self->lock);
  self->is_stopped = TRUE;
  g_cond_broadcast (&self->changed);
  while (!self->has_ended
      && g_cond_wait_until (&self->changed, &self->lock, until))
    continue;
  has_ended = self->has_ended;
  g_mutex_unlock (&self->lock);
  if (has_ended)
    g_thread_join (self->thread);
  else
    g_thread_unref (self->thread);
  unref (self);
  return has_ended;
}
