/* wbfilesink benchmark: a spinning disk
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A desktop disk of 7200 turns a minute. What is modelled is what makes many
 * files dear: the head's way, the platter's angle (so that a request that
 * comes too late loses a turn, and one that is next on the track does not),
 * the command queue and the write cache, both served in the order in which the
 * head gets there soonest, with a little credit for age.
 *
 * The stroke is the whole image, however small: files lie as far apart as on a
 * disk that is used throughout. One zone: 180 MB/s, a middle between the 210
 * of outer tracks and the 100 of inner ones.
 *
 * Layout: the head; the write cache; what is next; the device.
 */
#include "model.h"

#include <math.h>

#define MS 1e-3
#define TURN (60.0 / 7200)
/* To the next track; and to any other one, which over uniform distances makes
 * an average seek of 8.9 ms (data sheets of such disks say 8.5 to 9.5) and a
 * full stroke of 15. */
#define TRACK_SEEK (0.5 * MS)
#define SEEK_BASE (2 * MS)
#define SEEK_SPAN (13 * MS)
/* Rounding must not cost a turn. */
#define SECTOR_GAP 1e-3
/* SATA at 6 Gbit/s, less its overhead. */
#define LINK_RATE 500e6
/* Read on under an idle head. */
#define READ_AHEAD (2 << 20)
/* A request may be that much farther away for each second it waits, and a
 * read, for which somebody waits, farther than a write in the cache. */
#define CREDIT_FOR_AGE (1 * MS / (50 * MS))
#define CREDIT_FOR_READ (4 * MS)
/* A segment in the cache is left to grow for as long, while there is room. */
#define GATHER (50 * MS)
#define SEGMENTS 128
/* The most that is destaged without looking again at what else is near. */
#define DESTAGE (2 << 20)

typedef struct
{
  guint64 start;
  guint64 end;
  gdouble since;
} Segment;

typedef struct
{
  ModelRequest *request;
  /* If it is not a request. */
  guint segment;
  gdouble start;
  gdouble seek;
  gdouble turn;
  gdouble cost;
} Move;

typedef struct
{
  guint64 size;
  guint64 track;
  gdouble rate;
  guint64 cache_size;
  guint depth;

  /* At the end of what it does or has done. */
  guint64 head;
  gdouble free_at;
  /* There was nothing to do, or nothing that was worth doing yet. */
  gboolean idle;
  gboolean moving;
  ModelRequest *moving_for;
  guint64 moving_bytes;
  /* When the head began to read on; < 0: it does not. */
  gdouble reading_since;

  /* In the command queue: what the head has to go for, which is reads, and
   * writes where there is no cache; and writes that wait for room in it. */
  GQueue commands;
  GQueue for_cache;
  ModelRequest *flush;
  gdouble link_free;

  Segment segments[SEGMENTS];
  guint n_segments;
  guint64 cached;
} Hdd;

static gpointer
hdd_create (const ModelSettings *settings)
{
  Hdd *hdd = g_new0 (Hdd, 1);

  hdd->size = settings->size;
  hdd->rate = settings->rate;
  hdd->track = settings->rate * TURN;
  hdd->cache_size = settings->cache;
  hdd->depth = settings->depth;
  hdd->reading_since = -1;
  g_queue_init (&hdd->commands);
  g_queue_init (&hdd->for_cache);
  return hdd;
}

static void
hdd_destroy (gpointer state)
{
  Hdd *hdd = state;

  g_queue_clear (&hdd->commands);
  g_queue_clear (&hdd->for_cache);
  g_free (hdd);
}

/* --- the head --- */

static gdouble
seek_time (const Hdd *hdd, guint64 offset)
{
  guint64 distance =
      offset > hdd->head ? offset - hdd->head : hdd->head - offset;

  if (distance == 0)
    return 0;
  if (distance < hdd->track)
    return TRACK_SEEK;
  return SEEK_BASE + SEEK_SPAN * sqrt ((gdouble) distance / hdd->size);
}

/* From when the head is on the track until the sector comes round. */
static gdouble
turn_time (const Hdd *hdd, guint64 offset, gdouble arrives)
{
  gdouble sector = fmod ((gdouble) offset / hdd->track, 1);
  gdouble wait = sector - fmod (arrives / TURN, 1);

  if (wait < 0)
    wait += 1;
  return wait > 1 - SECTOR_GAP ? 0 : wait * TURN;
}

static gboolean
reads_on (const Hdd *hdd, const ModelRequest *request)
{
  return hdd->reading_since >= 0 && request->op == MODEL_READ
      && request->offset == hdd->head;
}

static gdouble
transfer_time (const Hdd *hdd, const Move *move, guint64 length)
{
  gdouble ahead;

  if (move->request == NULL || !reads_on (hdd, move->request))
    return length / hdd->rate;
  ahead = (move->start - hdd->reading_since) * hdd->rate;
  ahead = CLAMP (ahead, 0, MIN (length, READ_AHEAD));
  return ahead / LINK_RATE + (length - ahead) / hdd->rate;
}

/* --- the write cache --- */

static gboolean
overlaps (const Segment *segment, guint64 start, guint64 end)
{
  return segment->start <= end && start <= segment->end;
}

static gboolean
grows_a_segment (const Hdd *hdd, guint64 start, guint64 end)
{
  guint i;

  for (i = 0; i < hdd->n_segments; i++)
    if (overlaps (&hdd->segments[i], start, end))
      return TRUE;
  return FALSE;
}

static gboolean
is_cached (const Hdd *hdd, guint64 start, guint64 end)
{
  guint i;

  for (i = 0; i < hdd->n_segments; i++)
    if (hdd->segments[i].start <= start && end <= hdd->segments[i].end)
      return TRUE;
  return FALSE;
}

/* One more; those it touches become part of it. */
static void
cache_add (Hdd *hdd, guint64 start, guint64 end, gdouble since)
{
  guint i = 0;

  while (i < hdd->n_segments) {
    const Segment *old = &hdd->segments[i];

    if (!overlaps (old, start, end)) {
      i++;
      continue;
    }
    start = MIN (start, old->start);
    end = MAX (end, old->end);
    since = MIN (since, old->since);
    hdd->cached -= old->end - old->start;
    hdd->segments[i] = hdd->segments[--hdd->n_segments];
    /* It has grown: those that were passed by may touch it now. */
    i = 0;
  }
  hdd->segments[hdd->n_segments++] = (Segment){ start, end, since };
  hdd->cached += end - start;
}

/* The bytes count until they are on the platter. */
static guint64
cache_take (Hdd *hdd, guint index)
{
  Segment *segment = &hdd->segments[index];
  guint64 length = MIN (segment->end - segment->start, DESTAGE);

  segment->start += length;
  if (segment->start == segment->end)
    *segment = hdd->segments[--hdd->n_segments];
  return length;
}

static gboolean
cache_has_room (const Hdd *hdd, const ModelRequest *request)
{
  guint64 end = request->offset + request->length;

  /* One that is larger than all of it has it alone. */
  if (hdd->cached > 0 && hdd->cached + request->length > hdd->cache_size)
    return FALSE;
  return hdd->n_segments < SEGMENTS
      || grows_a_segment (hdd, request->offset, end);
}

static gboolean
in_a_hurry (const Hdd *hdd)
{
  return hdd->flush != NULL || hdd->cached >= hdd->cache_size / 4
      || hdd->n_segments >= SEGMENTS / 2;
}

/* --- what is next --- */

/* @move says what, and when it can begin. */
static void
consider (const Hdd *hdd, Move *best, Move move, guint64 offset, gdouble since,
    gdouble credit)
{
  if (move.request == NULL || !reads_on (hdd, move.request)) {
    move.seek = seek_time (hdd, offset);
    move.turn = turn_time (hdd, offset, move.start + move.seek);
  }
  move.cost = move.start - hdd->free_at + move.seek + move.turn
      - CREDIT_FOR_AGE * (move.start - since) - credit;
  if (move.cost < best->cost)
    *best = move;
}

static gboolean
choose (const Hdd *hdd, gdouble now, Move *best)
{
  gboolean hurry = in_a_hurry (hdd);
  const GList *link;
  guint i;

  *best = (Move){ .cost = G_MAXDOUBLE };
  for (link = hdd->commands.head; link != NULL; link = link->next) {
    ModelRequest *request = link->data;

    consider (hdd, best,
        (Move){
            .request = request, .start = MAX (hdd->free_at, request->arrived) },
        request->offset, request->arrived,
        request->op == MODEL_READ ? CREDIT_FOR_READ : 0);
  }
  for (i = 0; i < hdd->n_segments; i++) {
    const Segment *segment = &hdd->segments[i];

    /* An idle head begins when there is reason to, which is now. */
    if (hurry || segment->since + GATHER <= now)
      consider (hdd, best,
          (Move){ .segment = i,
              .start = hdd->idle ? now : MAX (hdd->free_at, segment->since) },
          segment->start, segment->since, 0);
  }
  return best->cost < G_MAXDOUBLE;
}

static void
count_move (Model *model, const Hdd *hdd, const Move *move, guint64 offset)
{
  ModelCounts *counts = &model->counts;

  if (offset != hdd->head)
    counts->seeks++;
  else if (move->turn > SECTOR_GAP * TURN)
    counts->lost_turns++;
  counts->seek_s += move->seek;
  counts->turn_s += move->turn;
}

static void
begin (Model *model, const Move *move)
{
  Hdd *hdd = model->state;
  guint64 offset = move->request != NULL ? move->request->offset
                                         : hdd->segments[move->segment].start;
  guint64 length = move->request != NULL ? move->request->length
                                         : cache_take (hdd, move->segment);
  gdouble transfer = transfer_time (hdd, move, length);

  count_move (model, hdd, move, offset);
  if (move->request != NULL)
    g_queue_remove (&hdd->commands, move->request);
  model->counts.busy_s += move->seek + move->turn + transfer;
  hdd->idle = FALSE;
  hdd->moving = TRUE;
  hdd->moving_for = move->request;
  hdd->moving_bytes = length;
  hdd->head = offset + length;
  hdd->free_at = move->start + move->seek + move->turn + transfer;
  hdd->reading_since = move->request != NULL && move->request->op == MODEL_READ
      ? hdd->free_at
      : -1;
}

static void
end (Model *model)
{
  Hdd *hdd = model->state;

  hdd->moving = FALSE;
  if (hdd->moving_for != NULL)
    model_answer (model, hdd->moving_for, hdd->free_at);
  else
    hdd->cached -= hdd->moving_bytes;
}

/* --- the device --- */

static void
answer_over_link (Model *model, ModelRequest *request, gdouble since)
{
  Hdd *hdd = model->state;

  hdd->link_free = MAX (hdd->link_free, since) + request->length / LINK_RATE;
  model_answer (model, request, hdd->link_free);
}

/* In order; @since: when the room was there. */
static void
fill_cache (Model *model, gdouble room_since)
{
  Hdd *hdd = model->state;
  ModelRequest *request;

  while ((request = g_queue_peek_head (&hdd->for_cache)) != NULL
      && cache_has_room (hdd, request)) {
    gdouble since = MAX (request->arrived, room_since);

    g_queue_pop_head (&hdd->for_cache);
    cache_add (hdd, request->offset, request->offset + request->length, since);
    answer_over_link (model, request, since);
  }
}

static void
take (Model *model, ModelRequest *request, gdouble since)
{
  Hdd *hdd = model->state;

  if (request->op == MODEL_FLUSH)
    hdd->flush = request;
  else if (request->op == MODEL_WRITE && hdd->cache_size > 0)
    g_queue_push_tail (&hdd->for_cache, request);
  else if (request->op == MODEL_READ
      && is_cached (hdd, request->offset, request->offset + request->length))
    answer_over_link (model, request, MAX (request->arrived, since));
  else
    g_queue_push_tail (&hdd->commands, request);
}

static guint
queued (const Hdd *hdd)
{
  return hdd->commands.length + hdd->for_cache.length;
}

/* @since: when what they may have waited for ended. FLUSH CACHE is not a queued
 * command: nothing is taken beside it. */
static void
take_requests (Model *model, gdouble since)
{
  Hdd *hdd = model->state;
  ModelRequest *request;

  fill_cache (model, since);
  while (hdd->flush == NULL && queued (hdd) < hdd->depth
      && (request = g_queue_pop_head (&model->waiting)) != NULL) {
    take (model, request, since);
    fill_cache (model, since);
  }
}

static void
end_flush (Model *model)
{
  Hdd *hdd = model->state;
  gdouble at = MAX (hdd->free_at, hdd->flush->arrived);

  model_answer (model, hdd->flush, at);
  hdd->flush = NULL;
  take_requests (model, at);
}

static gdouble
next_gathered (const Hdd *hdd)
{
  gdouble next = MODEL_NEVER;
  guint i;

  for (i = 0; i < hdd->n_segments; i++)
    next = MIN (next, hdd->segments[i].since + GATHER);
  return next;
}

static gdouble
hdd_run (Model *model, gdouble now)
{
  Hdd *hdd = model->state;
  Move move;

  take_requests (model, 0);
  for (;;) {
    if (hdd->moving) {
      if (hdd->free_at > now)
        return hdd->free_at;
      end (model);
      take_requests (model, hdd->free_at);
    }
    if (choose (hdd, now, &move)) {
      begin (model, &move);
    } else if (hdd->flush != NULL) {
      /* All that came before it is on the platter. */
      end_flush (model);
    } else {
      hdd->idle = TRUE;
      return next_gathered (hdd);
    }
  }
}

const ModelKind model_hdd = {
  .name = "hdd",
  .what = "7200 turns a minute, 180 MB/s, 8.9 ms a seek, queue, write cache",
  .defaults = { .rate = 180e6, .depth = 32, .cache = 64 << 20 },
  .create = hdd_create,
  .destroy = hdd_destroy,
  .run = hdd_run,
};
