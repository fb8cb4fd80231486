/* wbfilesink benchmark: a run, which is all of its sinks at once
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "benchsink.h"

G_BEGIN_DECLS

typedef struct
{
  gdouble process_user;
  gdouble process_sys;
  gdouble machine;
  gint64 rss;
  gint64 io_written;
  gint64 io_cancelled;
  gint64 io_calls;
  BenchDevice device;
  gboolean has_device;
} BenchCounters;

typedef struct
{
  const BenchOptions *options;
  BenchSink *sinks;
  guint n_sinks;
  gchar *device;
  BenchWatchResult watch;
  BenchCache left;
  gboolean has_left;
  BenchCounters before;
  BenchCounters after;
  gdouble open_s;
  gdouble stop_s;
  /* Of the element's own, after the stop. */
  guint threads_left;
} BenchRun;

/* In a child, so that this process's peak of memory is its own. */
void bench_warm_memory (guint64 bytes);

/* The sinks, of which there is room for n_sinks. */
gboolean bench_run_build (BenchRun *run);
gboolean bench_run_open (BenchRun *run);
/* From the first push until all are stopped. */
void bench_run_load (BenchRun *run);
/* Removes the files too, but for --keep. */
void bench_run_clear (BenchRun *run);

/* Of all sinks. */
gint64 bench_run_first_begin (const BenchRun *run);
gint64 bench_run_last_of (const BenchRun *run, gsize field);
#define BENCH_RUN_LAST(run, field)                                             \
  bench_run_last_of ((run), G_STRUCT_OFFSET (BenchSink, field))

G_END_DECLS
