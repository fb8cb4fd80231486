/* wbfilesink benchmark: one sink, and the thread that pushes into it
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "benchhist.h"
#include "benchload.h"
#include "benchoptions.h"
#include "benchwatch.h"

#include <gst/gst.h>

G_BEGIN_DECLS

#define BENCH_READY_MAX 1024

/* Of a message wbfilesink-degraded. */
typedef struct
{
  gint64 at_ns;
  gboolean degraded;
  guint64 dirty;
} BenchDegraded;

typedef struct
{
  const BenchOptions *options;
  guint index;
  gchar *location;
  GstElement *pipeline;
  GstElement *element;
  GstPad *pad;
  int fd;
  /* The file whose cache is looked at; mostly fd. */
  int cache_fd;
  /* Where the body is read from; mostly nowhere. */
  int input_fd;
  GThread *thread;

  /* Of the pushing thread. */
  GstBuffer *ready[BENCH_READY_MAX];
  guint n_ready;
  guint next_ready;
  GstBuffer *scratch;
  GstBufferList *list;
  guint8 fill;
  guint32 stamp;
  BenchHist *pushes;
  BenchHist *seeks;
  BenchGauge gauge;
  BenchLoadResult load;
  gboolean pushed_all;
  gint64 begin_ns;
  /* Of a live source: stream that was thrown away, how often it came to that,
   * and the most that a buffer came late. */
  gint64 lost_ns;
  guint losses;
  gint64 latest_ns;
  gint64 eos_pushed_ns;
  gint64 durable_ns;
  BenchCache at_eos;

  /* Written by whoever posts on the bus, read after the run. */
  GMutex lock;
  gint64 eos_posted_ns;
  gchar *error;
  guint errors;
  guint warnings;
  GArray *degraded;
  gchar *sync_result;
  guint64 sync_elapsed;
} BenchSink;

/* FALSE if there is no such element; clear it all the same. */
gboolean bench_sink_build (
    BenchSink *sink, const BenchOptions *options, guint index);
/* To PLAYING. */
gboolean bench_sink_open (BenchSink *sink);
/* For a GThread: the load, EOS, and the fsync after it. */
gpointer bench_sink_thread (gpointer data);
gboolean bench_sink_ok (const BenchSink *sink);
void bench_sink_clear (BenchSink *sink);

G_END_DECLS
