/* wbfilesink benchmark: what a request to a device costs in time
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "benchjson.h"

#include <glib.h>

G_BEGIN_DECLS

/* Of model_run(): nothing will happen by itself. */
#define MODEL_NEVER G_MAXDOUBLE

typedef enum
{
  MODEL_READ,
  MODEL_WRITE,
  MODEL_FLUSH,
} ModelOp;

/* Times are seconds of one clock, whichever. */
typedef struct
{
  ModelOp op;
  guint64 offset;
  guint64 length;
  gdouble arrived;
  /* When it is answered; the model's. */
  gdouble due;
  /* The owner's. */
  gpointer token;
} ModelRequest;

/* What can be set; 0 where a kind has no such thing. Bytes, seconds, bytes a
 * second. */
typedef struct
{
  guint64 size;
  guint32 seed;
  gdouble rate;
  gdouble read_rate;
  guint depth;
  /* hdd */
  guint64 cache;
  /* sd */
  guint64 unit;
  guint open_units;
  guint64 stall_every;
  gdouble stall_min;
  gdouble stall_max;
  /* cloud and net */
  gdouble burst_rate;
  guint64 burst;
  gdouble latency_min;
  gdouble latency_max;
} ModelSettings;

/* Since the last reset. */
typedef struct
{
  gdouble since;
  guint64 reads;
  guint64 writes;
  guint64 flushes;
  guint64 read_bytes;
  guint64 written_bytes;
  /* The device at work, and of it: the head under way, the platter coming
   * round, data being copied inside, standing still for no reason. */
  gdouble busy_s;
  gdouble seek_s;
  gdouble turn_s;
  gdouble copy_s;
  gdouble stall_s;
  /* hdd: movements of the head; sd: units opened. */
  guint64 seeks;
  /* hdd: a sector that had just gone by. */
  guint64 lost_turns;
  /* sd: units closed before they were full. */
  guint64 rewritten_units;
  guint64 stalls;
  gdouble longest_read_s;
  gdouble longest_write_s;
  gdouble longest_flush_s;
} ModelCounts;

typedef struct _Model Model;

/* One kind of device. */
typedef struct
{
  const gchar *name;
  const gchar *what;
  ModelSettings defaults;
  gpointer (*create) (const ModelSettings *settings);
  /* What create() made; the requests in it are the owner's. */
  void (*destroy) (gpointer state);
  /* Does what the device does up to @now: takes from model->waiting, gives to
   * model_answer(). Returns when it wants to be called again, or MODEL_NEVER;
   * a new request and an answer that went out are reasons of their own. */
  gdouble (*run) (Model *model, gdouble now);
  /* Back to a rested device; may be NULL. */
  void (*rest) (Model *model, gdouble now);
} ModelKind;

struct _Model
{
  const ModelKind *kind;
  ModelSettings settings;
  ModelCounts counts;
  GRand *rand;
  /* Not taken by the device yet, in order of arrival. */
  GQueue waiting;
  /* Taken, to be answered; by time. */
  GQueue timed;
  /* When the last one was: what waited for room had it from then on. */
  gdouble answered_at;
  /* The kind's own. */
  gpointer state;
};

extern const ModelKind model_hdd;
extern const ModelKind model_card;
extern const ModelKind model_cloud;
extern const ModelKind model_net;

/* NULL: there is none of that name. */
const ModelKind *model_find (const gchar *name);
/* "  name  what it is" a line each, for --help */
gchar *model_list (void);

/* No function here knows a clock or a thread: the owner brings the time, which
 * never goes back, and one call at a time. */
Model *model_new (
    const ModelKind *kind, const ModelSettings *settings, gdouble now);
void model_free (Model *model);
/* Takes the request until it comes out of model_run(). */
void model_submit (Model *model, ModelRequest *request);
/* Appends what is answered by @now; returns when to call again at the latest. */
gdouble model_run (Model *model, gdouble now, GQueue *answers);
/* Counters to 0, and a device that has had time to rest. */
void model_reset (Model *model, gdouble now);
void model_report (const Model *model, gdouble now, BenchJson *json);

/* For the kinds: it will be answered at @due. */
void model_answer (Model *model, ModelRequest *request, gdouble due);

G_END_DECLS
