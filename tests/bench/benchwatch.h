/* wbfilesink benchmark: looking at the page cache, the device, the process
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* --- one look --- */

typedef struct
{
  guint64 cached;
  guint64 dirty;
  guint64 writeback;
} BenchCache;

/* Bytes of the file in the page cache; FALSE where cachestat(2) is missing
 * or the file has none. */
gboolean bench_cache_look (int fd, BenchCache *cache);

typedef struct
{
  guint64 read_bytes;
  guint64 written_bytes;
} BenchDevice;

/* @device is "MAJ:MIN" */
gboolean bench_device_look (const gchar *device, BenchDevice *counters);

/* -1: the file system has no FIEMAP */
gint64 bench_extents (int fd);

/* The number behind "@key:" in a file of /proc such as /proc/self/status, or
 * -1. kB come back as bytes. */
gint64 bench_proc_value (const gchar *path, const gchar *key);

/* This process's threads whose name begins so. */
guint bench_count_threads (const gchar *prefix);

/* Busy seconds of all processors since boot, interrupts included. */
gdouble bench_machine_cpu (void);

/* The structure in @element's property writeback-stats, or NULL. */
GstStructure *bench_element_stats (GstElement *element);

/* --- a thread that looks again and again --- */

/* What a pusher tells the watch; it only ever stores. */
typedef struct
{
  guint64 bytes;
  gint64 worst_ns;
} BenchGauge;

typedef struct
{
  gboolean available;
  /* Dirty and under write-out together: of all files, and of one file. */
  guint64 peak_dirty;
  guint64 peak_dirty_one;
  guint64 peak_cached;
  guint64 samples;
  gdouble worst_look_s;
  gdouble cpu_s;
} BenchWatchResult;

#define BENCH_NOTIFY_MAX 8

typedef struct _BenchWatch BenchWatch;

BenchWatch *bench_watch_new (guint interval_ms);
/* Before start only. @fd and @gauge outlive the watch. @fd may be -1. */
void bench_watch_add (
    BenchWatch *watch, int fd, BenchGauge *gauge, GstElement *element);
/* A row every @interval_ms, and a line "notify" on stdout whenever the sum of
 * bytes passes one of @notify_at, which rises and ends with 0. */
void bench_watch_record (BenchWatch *watch, guint interval_ms);
void bench_watch_notify (
    BenchWatch *watch, const guint64 notify_at[BENCH_NOTIFY_MAX]);
void bench_watch_start (BenchWatch *watch);
void bench_watch_stop (BenchWatch *watch, BenchWatchResult *result);
/* After stop; seconds count from @origin_ns of CLOCK_MONOTONIC. */
gboolean bench_watch_save (BenchWatch *watch, const gchar *path,
    gint64 origin_ns, const gchar *comment);
void bench_watch_free (BenchWatch *watch);

gint64 bench_now (void);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (BenchWatch, bench_watch_free)

G_END_DECLS
