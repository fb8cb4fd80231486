/* wbfilesink benchmark: an SD card
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What flash behind a small controller does: it is written in units of 4 MiB,
 * each from its front to its end, and only a few are open at a time. A write
 * that goes on where the last one in its unit ended costs its bytes; one that
 * leaves a gap has the gap copied; any other makes the card close a unit, and
 * one that is not full has the rest of it copied from where it was before. Now
 * and then a card stands still to put itself in order.
 *
 * 20 MB/s, units of 4 MiB and three of them open are a plain class 10 card, as
 * there are many in Linaro's flash card survey. The standard lets a write be
 * busy for 250 ms (500 on SDXC); cards on sale stall for 0.5 to 2 s.
 *
 * Layout: units; requests; the device.
 */
#include "model.h"

#define MS 1e-3
#define MAX_UNITS 16
/* Of a command, to the controller and back. */
#define COMMAND (0.5 * MS)
#define OPEN_UNIT (2 * MS)
/* Closing one that is not full: to find its place, and all of it to copy, which
 * is 4 MiB at the card's own rate. */
#define CLOSE_UNIT (50 * MS)
#define COPY_UNIT (200 * MS)
/* Inside, copying reads and writes without the bus. */
#define COPY_GAP_SPEED 2
#define FLUSH (2 * MS)

typedef struct
{
  guint64 number;
  /* What of it was written since it was opened. */
  guint64 from;
  guint64 pointer;
  guint64 used;
} Unit;

typedef struct
{
  gdouble free_at;
  Unit units[MAX_UNITS];
  guint n_units;
  guint64 uses;
  /* Bytes until it stands still the next time. */
  guint64 until_stall;
} Card;

static gpointer
card_create (const ModelSettings *settings)
{
  (void) settings;
  return g_new0 (Card, 1);
}

static void
card_rest (Model *model, gdouble now)
{
  Card *card = model->state;

  (void) now;
  card->n_units = 0;
  /* Somewhere within the first stretch: another seed, another place. */
  card->until_stall = g_rand_double (model->rand) * model->settings.stall_every;
}

/* --- units --- */

static gint
find_unit (const Card *card, guint64 number)
{
  guint i;

  for (i = 0; i < card->n_units; i++)
    if (card->units[i].number == number)
      return i;
  return -1;
}

static guint
least_recently_used (const Card *card)
{
  guint i, found = 0;

  for (i = 1; i < card->n_units; i++)
    if (card->units[i].used < card->units[found].used)
      found = i;
  return found;
}

static gdouble
close_unit (Model *model, guint index)
{
  Card *card = model->state;
  const Unit *unit = &card->units[index];
  gdouble full = (gdouble) (unit->pointer - unit->from) / model->settings.unit;
  gdouble took = 0;

  if (full < 1) {
    took = CLOSE_UNIT + COPY_UNIT * (1 - full);
    model->counts.rewritten_units++;
    model->counts.copy_s += took;
  }
  card->units[index] = card->units[--card->n_units];
  return took;
}

static gdouble
open_unit (Model *model, guint64 number, guint64 offset, guint *index)
{
  Card *card = model->state;
  gdouble took = OPEN_UNIT;

  if (card->n_units == MIN (model->settings.open_units, MAX_UNITS))
    took += close_unit (model, least_recently_used (card));
  *index = card->n_units++;
  card->units[*index] =
      (Unit){ .number = number, .from = offset, .pointer = offset };
  model->counts.seeks++;
  return took;
}

/* Until the unit is ready for a write at @offset. */
static gdouble
reach (Model *model, guint64 offset, guint *index)
{
  Card *card = model->state;
  guint64 number = offset / model->settings.unit;
  gint found = find_unit (card, number);
  gdouble took = 0;

  if (found >= 0 && offset < card->units[found].pointer) {
    took = close_unit (model, found);
    found = -1;
  }
  if (found < 0)
    return took + open_unit (model, number, offset, index);
  *index = found;
  took = (offset - card->units[found].pointer)
      / (COPY_GAP_SPEED * model->settings.rate);
  model->counts.copy_s += took;
  return took;
}

/* --- requests --- */

static gdouble
stall (Model *model, guint64 bytes)
{
  const ModelSettings *settings = &model->settings;
  Card *card = model->state;
  gdouble took;

  if (settings->stall_every == 0)
    return 0;
  if (card->until_stall > bytes) {
    card->until_stall -= bytes;
    return 0;
  }
  card->until_stall = settings->stall_every;
  took = g_rand_double_range (
      model->rand, settings->stall_min, settings->stall_max);
  model->counts.stalls++;
  model->counts.stall_s += took;
  return took;
}

static gdouble
write_time (Model *model, const ModelRequest *request)
{
  Card *card = model->state;
  guint64 unit_size = model->settings.unit;
  guint64 offset = request->offset, end = offset + request->length;
  gdouble took = COMMAND + stall (model, request->length);

  while (offset < end) {
    guint64 stop = MIN ((offset / unit_size + 1) * unit_size, end);
    guint index;

    took +=
        reach (model, offset, &index) + (stop - offset) / model->settings.rate;
    card->units[index].pointer = stop;
    card->units[index].used = ++card->uses;
    offset = stop;
    /* Full, or at its end with a front to copy: either way it is closed. */
    if (stop % unit_size == 0)
      took += close_unit (model, index);
  }
  return took;
}

static gdouble
time_of (Model *model, const ModelRequest *request)
{
  switch (request->op) {
    case MODEL_READ:
      return COMMAND + request->length / model->settings.read_rate;
    case MODEL_WRITE:
      return write_time (model, request);
    default:
      return FLUSH;
  }
}

/* --- the device --- */

/* One at a time: the bus has no queue. */
static gdouble
card_run (Model *model, gdouble now)
{
  Card *card = model->state;
  ModelRequest *request;

  while ((request = g_queue_peek_head (&model->waiting)) != NULL) {
    gdouble start = MAX (card->free_at, request->arrived);

    if (start > now)
      return start;
    g_queue_pop_head (&model->waiting);
    card->free_at = start + time_of (model, request);
    model->counts.busy_s += card->free_at - start;
    model_answer (model, request, card->free_at);
  }
  return MODEL_NEVER;
}

const ModelKind model_card = {
  .name = "sd",
  .what = "20 MB/s in units of 4 MiB, three open, stalls of 0.5 to 2 s",
  .defaults = { .rate = 20e6,
      .read_rate = 80e6,
      .unit = 4 << 20,
      .open_units = 3,
      .stall_every = 250000000,
      .stall_min = 0.5,
      .stall_max = 2 },
  .create = card_create,
  .destroy = g_free,
  .run = card_run,
  .rest = card_rest,
};
