/* wbfilesink benchmark: the models asked without a clock
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What checkmodels has fio ask the devices, asked of the arithmetic alone: ten
 * seconds of a device in some milliseconds, the same on every machine, however
 * busy. Bounds are what such a device does, wide enough for another drawing.
 *
 * Layout: a question; playing it; the table.
 */
#include "model.h"

#define SECONDS 10.0
/* Of the host, between an answer and the next request. */
#define HOST 50e-6
#define KIB 1024
#define MIB (1024 * 1024)
#define SIZE (G_GUINT64_CONSTANT (64) << 30)

typedef struct
{
  const gchar *name;
  const ModelKind *kind;
  /* Changes the kind's own settings; may be NULL. */
  void (*prepare) (ModelSettings *settings);
  ModelOp op;
  gboolean anywhere;
  gboolean flushed;
  guint64 length;
  guint depth;
  /* Requests a second if less than 64 KiB, else MB/s. */
  gdouble least;
  gdouble most;
} Question;

static void
no_cache (ModelSettings *settings)
{
  settings->cache = 0;
}

static void
no_stalls (ModelSettings *settings)
{
  settings->stall_every = 0;
}

static void
no_credit (ModelSettings *settings)
{
  settings->burst = 0;
}

/* --- playing --- */

typedef struct
{
  const Question *question;
  Model *model;
  GRand *rand;
  /* All of them, wherever they are. */
  GPtrArray *requests;
  /* Not yet arrived; each arrives later than the one before. */
  GQueue coming;
  guint64 next_offset;
  guint64 answered;
} Play;

static gint
by_arrival (gconstpointer a, gconstpointer b, gpointer data)
{
  const ModelRequest *one = a, *other = b;

  (void) data;
  /* Of two at the same time the one that was there first. */
  return one->arrived <= other->arrived ? -1 : 1;
}

static void
ask (Play *play, ModelOp op, gdouble at)
{
  const Question *question = play->question;
  ModelRequest *request = g_new0 (ModelRequest, 1);

  request->op = op;
  request->arrived = at;
  if (op != MODEL_FLUSH) {
    request->length = question->length;
    request->offset = question->anywhere
        ? (guint64) (g_rand_double (play->rand) * (SIZE / question->length))
            * question->length
        : play->next_offset;
    play->next_offset += question->length;
  }
  g_ptr_array_add (play->requests, request);
  g_queue_insert_sorted (&play->coming, request, by_arrival, NULL);
}

static void
take_answer (Play *play, ModelRequest *request)
{
  gdouble at = request->due + HOST;

  g_assert_cmpfloat (request->due, >=, request->arrived);
  if (request->op != MODEL_FLUSH)
    play->answered++;
  if (request->op != MODEL_FLUSH && play->question->flushed)
    ask (play, MODEL_FLUSH, at);
  else
    ask (play, play->question->op, at);
  g_ptr_array_remove_fast (play->requests, request);
}

static gdouble
step (Play *play, gdouble now)
{
  GQueue answers = G_QUEUE_INIT;
  ModelRequest *request;
  gdouble next;

  while ((request = g_queue_peek_head (&play->coming)) != NULL
      && request->arrived <= now)
    model_submit (play->model, g_queue_pop_head (&play->coming));
  next = model_run (play->model, now, &answers);
  g_assert_cmpfloat (next, >, now);
  while ((request = g_queue_pop_head (&answers)) != NULL)
    take_answer (play, request);
  request = g_queue_peek_head (&play->coming);
  /* Somebody always has a request out: it cannot be never. */
  next = request != NULL ? MIN (next, request->arrived) : next;
  g_assert_cmpfloat (next, <, MODEL_NEVER);
  return next;
}

static void
play_question (gconstpointer data)
{
  const Question *question = data;
  ModelSettings settings = question->kind->defaults;
  Play play = { .question = question,
    .rand = g_rand_new_with_seed (2),
    .requests = g_ptr_array_new_with_free_func (g_free) };
  gdouble now = 0, found;
  guint i;

  settings.size = SIZE;
  settings.seed = 1;
  if (question->prepare != NULL)
    question->prepare (&settings);
  play.model = model_new (question->kind, &settings, now);
  for (i = 0; i < question->depth; i++)
    ask (&play, question->op, 0);
  while (now < SECONDS)
    now = step (&play, now);
  found = play.answered / SECONDS;
  if (question->length >= 64 * KIB)
    found *= question->length / 1e6;
  g_test_message ("%s: %.4g", question->name, found);
  g_assert_cmpfloat (found, >=, question->least);
  g_assert_cmpfloat (found, <=, question->most);
  g_assert_cmpfloat (play.model->counts.busy_s, <=, SECONDS * 1.1);
  model_free (play.model);
  g_queue_clear (&play.coming);
  g_ptr_array_unref (play.requests);
  g_rand_free (play.rand);
}

/* --- the table --- */

#define READ MODEL_READ
#define WRITE MODEL_WRITE

static const Question questions[] = {
  { "/hdd/write", &model_hdd, NULL, WRITE, FALSE, FALSE, MIB, 4, 175, 195 },
  { "/hdd/write-small", &model_hdd, NULL, WRITE, FALSE, FALSE, 64 * KIB, 1, 175,
      195 },
  { "/hdd/read", &model_hdd, NULL, READ, FALSE, FALSE, MIB, 4, 175, 182 },
  { "/hdd/read-alone", &model_hdd, NULL, READ, FALSE, FALSE, 128 * KIB, 1, 165,
      182 },
  /* 8.9 ms and half a turn. */
  { "/hdd/random-read", &model_hdd, NULL, READ, TRUE, FALSE, 4 * KIB, 1, 70,
      82 },
  /* What the queue is for. */
  { "/hdd/random-read-queued", &model_hdd, NULL, READ, TRUE, FALSE, 4 * KIB, 32,
      140, 200 },
  { "/hdd/random-write", &model_hdd, NULL, WRITE, TRUE, FALSE, 4 * KIB, 1, 160,
      260 },
  { "/hdd/random-write-flushed", &model_hdd, NULL, WRITE, TRUE, TRUE, 4 * KIB,
      1, 60, 85 },
  { "/hdd/random-write-large", &model_hdd, NULL, WRITE, TRUE, FALSE, MIB, 32,
      80, 105 },
  /* A turn a request, which is what the cache is for. */
  { "/hdd/uncached-write-small", &model_hdd, no_cache, WRITE, FALSE, FALSE,
      64 * KIB, 1, 7, 8 },
  { "/hdd/uncached-write", &model_hdd, no_cache, WRITE, FALSE, FALSE, MIB, 4,
      175, 182 },
  { "/hdd/uncached-random-write", &model_hdd, no_cache, WRITE, TRUE, FALSE,
      4 * KIB, 1, 65, 85 },
  { "/sd/write", &model_card, no_stalls, WRITE, FALSE, FALSE, MIB, 4, 19, 20 },
  { "/sd/read", &model_card, no_stalls, READ, FALSE, FALSE, MIB, 4, 75, 80 },
  /* A unit copied each time. */
  { "/sd/random-write", &model_card, no_stalls, WRITE, TRUE, FALSE, 4 * KIB, 1,
      3.5, 5 },
  { "/cloud/burst", &model_cloud, NULL, WRITE, FALSE, FALSE, 128 * KIB, 8, 100,
      300 },
  { "/cloud/burst-over", &model_cloud, no_credit, WRITE, FALSE, FALSE, MIB, 4,
      24, 26 },
  { "/net/write", &model_net, NULL, WRITE, FALSE, FALSE, MIB, 4, 240, 251 },
  { "/net/write-alone", &model_net, NULL, WRITE, FALSE, FALSE, 64 * KIB, 1, 11,
      13 },
  { "/net/random-read-queued", &model_net, NULL, READ, TRUE, FALSE, 4 * KIB, 32,
      5500, 6500 },
};

int
main (int argc, char **argv)
{
  guint i;

  g_test_init (&argc, &argv, NULL);
  for (i = 0; i < G_N_ELEMENTS (questions); i++)
    g_test_add_data_func (questions[i].name, &questions[i], play_question);
  return g_test_run ();
}
