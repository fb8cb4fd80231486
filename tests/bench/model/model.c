/* wbfilesink benchmark: what a request to a device costs in time
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Problem: where many recorders share a disk that seeks, or two a card that
 * copies whole units, the device is the story, and such a device is not at hand
 * on the machine that tests.
 *
 * Strategy: the time that a device takes is arithmetic. A kind of device is
 * asked what happens up to a moment and when it wants to be asked again; it
 * reckons with the times at which its own work ended, not with the moment it
 * is asked, so that an owner who comes late by a millisecond on a busy machine
 * does not make the device slower. Nothing here sleeps, and the same requests
 * at the same times always get the same answers.
 *
 * Layout: the kinds; a device; its counters.
 */
#include "model.h"

/* --- the kinds --- */

static const ModelKind *const kinds[] = { &model_hdd, &model_card, &model_cloud,
  &model_net };

const ModelKind *
model_find (const gchar *name)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (kinds); i++)
    if (g_str_equal (kinds[i]->name, name))
      return kinds[i];
  return NULL;
}

gchar *
model_list (void)
{
  GString *text = g_string_new (NULL);
  guint i;

  for (i = 0; i < G_N_ELEMENTS (kinds); i++)
    g_string_append_printf (
        text, "  %-6s %s\n", kinds[i]->name, kinds[i]->what);
  return g_string_free (text, FALSE);
}

/* --- a device --- */

Model *
model_new (const ModelKind *kind, const ModelSettings *settings, gdouble now)
{
  Model *model = g_new0 (Model, 1);

  model->kind = kind;
  model->settings = *settings;
  model->rand = g_rand_new_with_seed (settings->seed);
  model->state = kind->create (settings);
  g_queue_init (&model->waiting);
  g_queue_init (&model->timed);
  model_reset (model, now);
  return model;
}

void
model_free (Model *model)
{
  g_queue_clear (&model->waiting);
  g_queue_clear (&model->timed);
  g_rand_free (model->rand);
  model->kind->destroy (model->state);
  g_free (model);
}

void
model_submit (Model *model, ModelRequest *request)
{
  ModelCounts *counts = &model->counts;

  switch (request->op) {
    case MODEL_READ:
      counts->reads++;
      counts->read_bytes += request->length;
      break;
    case MODEL_WRITE:
      counts->writes++;
      counts->written_bytes += request->length;
      break;
    case MODEL_FLUSH:
      counts->flushes++;
      break;
  }
  g_queue_push_tail (&model->waiting, request);
}

static gint
by_time (gconstpointer a, gconstpointer b, gpointer data)
{
  const ModelRequest *one = a, *other = b;

  (void) data;
  /* Of two at the same time the one that was there first. */
  return one->due <= other->due ? -1 : 1;
}

void
model_answer (Model *model, ModelRequest *request, gdouble due)
{
  request->due = due;
  g_queue_insert_sorted (&model->timed, request, by_time, NULL);
}

static void
note_longest (Model *model, const ModelRequest *request)
{
  gdouble took = request->due - request->arrived;
  gdouble *longest = request->op == MODEL_READ ? &model->counts.longest_read_s
      : request->op == MODEL_WRITE             ? &model->counts.longest_write_s
                                               : &model->counts.longest_flush_s;

  *longest = MAX (*longest, took);
}

static guint
take_answers (Model *model, gdouble now, GQueue *answers)
{
  ModelRequest *request;
  guint n = 0;

  while ((request = g_queue_peek_head (&model->timed)) != NULL
      && request->due <= now) {
    g_queue_pop_head (&model->timed);
    model->answered_at = request->due;
    note_longest (model, request);
    g_queue_push_tail (answers, request);
    n++;
  }
  return n;
}

gdouble
model_run (Model *model, gdouble now, GQueue *answers)
{
  const ModelRequest *request;
  gdouble next;

  /* An answer makes room for a request that waits. */
  do
    next = model->kind->run (model, now);
  while (take_answers (model, now, answers) > 0);
  request = g_queue_peek_head (&model->timed);
  return request != NULL ? MIN (next, request->due) : next;
}

/* --- its counters --- */

void
model_reset (Model *model, gdouble now)
{
  model->counts = (ModelCounts){ .since = now };
  g_rand_set_seed (model->rand, model->settings.seed);
  if (model->kind->rest != NULL)
    model->kind->rest (model, now);
}

void
model_report (const Model *model, gdouble now, BenchJson *json)
{
  const ModelCounts *counts = &model->counts;

  bench_json_string (json, "model", model->kind->name);
  bench_json_real (json, "seconds", now - counts->since);
  bench_json_int (json, "reads", counts->reads);
  bench_json_int (json, "writes", counts->writes);
  bench_json_int (json, "flushes", counts->flushes);
  bench_json_int (json, "read_bytes", counts->read_bytes);
  bench_json_int (json, "written_bytes", counts->written_bytes);
  bench_json_real (json, "busy_s", counts->busy_s);
  bench_json_real (json, "seek_s", counts->seek_s);
  bench_json_real (json, "turn_s", counts->turn_s);
  bench_json_real (json, "copy_s", counts->copy_s);
  bench_json_real (json, "stall_s", counts->stall_s);
  bench_json_int (json, "seeks", counts->seeks);
  bench_json_int (json, "lost_turns", counts->lost_turns);
  bench_json_int (json, "rewritten_units", counts->rewritten_units);
  bench_json_int (json, "stalls", counts->stalls);
  bench_json_real (json, "longest_read_s", counts->longest_read_s);
  bench_json_real (json, "longest_write_s", counts->longest_write_s);
  bench_json_real (json, "longest_flush_s", counts->longest_flush_s);
}
