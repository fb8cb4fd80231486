/* wbfilesink benchmark: a disk at the other end of a network
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * net: a link of 2 Gbit/s and 5 ms for each request, of which many are under
 * way at once. cloud: a token bucket, as rented disks have it: 300 MB/s until
 * 2 GB of credit are used up, then what flows in, 25 MB/s; 2 to 10 ms a
 * request.
 *
 * Layout: the bucket; the device.
 */
#include "model.h"

#define MS 1e-3
/* Credit for one request is there, however poor. */
#define SMALLEST_BURST (1 << 20)

typedef struct
{
  gdouble link_free;
  gdouble credit;
  gdouble credit_at;
} Link;

static gpointer
link_create (const ModelSettings *settings)
{
  (void) settings;
  return g_new0 (Link, 1);
}

static void
link_rest (Model *model, gdouble now)
{
  Link *link = model->state;

  link->credit = model->settings.burst;
  link->credit_at = now;
}

/* --- the bucket --- */

/* When @length may go that could go at @start. */
static gdouble
spend (Model *model, guint64 length, gdouble start)
{
  const ModelSettings *settings = &model->settings;
  Link *link = model->state;

  if (start > link->credit_at) {
    link->credit += (start - link->credit_at) * settings->rate;
    link->credit = MIN (link->credit, MAX (settings->burst, SMALLEST_BURST));
    link->credit_at = start;
  }
  /* In debt until as much has flowed in. */
  link->credit -= length;
  return link->credit >= 0 ? start : start - link->credit / settings->rate;
}

static gdouble
send (Model *model, const ModelRequest *request, gdouble start)
{
  const ModelSettings *settings = &model->settings;

  if (settings->burst_rate == 0)
    return start + request->length / settings->rate;
  return spend (model, request->length, start)
      + request->length / settings->burst_rate;
}

/* --- the device --- */

static gdouble
latency (Model *model)
{
  const ModelSettings *settings = &model->settings;

  if (settings->latency_max <= settings->latency_min)
    return settings->latency_min;
  return g_rand_double_range (
      model->rand, settings->latency_min, settings->latency_max);
}

static gdouble
link_run (Model *model, gdouble now)
{
  Link *link = model->state;
  ModelRequest *request;

  (void) now;
  while (g_queue_get_length (&model->timed) < model->settings.depth
      && (request = g_queue_pop_head (&model->waiting)) != NULL) {
    gdouble start = MAX (request->arrived, model->answered_at);

    start = MAX (start, link->link_free);
    link->link_free = send (model, request, start);
    model->counts.busy_s += link->link_free - start;
    model_answer (model, request, link->link_free + latency (model));
  }
  return MODEL_NEVER;
}

const ModelKind model_cloud = {
  .name = "cloud",
  .what = "300 MB/s for 2 GB, then 25 MB/s; 2 to 10 ms a request",
  .defaults = { .rate = 25e6,
      .burst_rate = 300e6,
      .burst = 2000000000,
      .depth = 32,
      .latency_min = 2 * MS,
      .latency_max = 10 * MS },
  .create = link_create,
  .destroy = g_free,
  .run = link_run,
  .rest = link_rest,
};

const ModelKind model_net = {
  .name = "net",
  .what = "250 MB/s, 5 ms a request",
  .defaults = { .rate = 250e6,
      .depth = 32,
      .latency_min = 5 * MS,
      .latency_max = 5 * MS },
  .create = link_create,
  .destroy = g_free,
  .run = link_run,
  .rest = link_rest,
};
