/* wbfilesink benchmark: looking at the page cache, the device, the process
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Problem: how much of a file is dirty is known to the kernel alone, it
 * changes by the millisecond, and looking must not slow down what is looked
 * at. A look costs the kernel a walk over the file's folios: microseconds for
 * a bounded cache, milliseconds for a gigabyte in small folios.
 *
 * Strategy: cachestat(2) on a descriptor of our own, by a thread of our own,
 * every few milliseconds; when a look turns out dear the pauses grow so that
 * the thread stays under a twentieth of a processor. What it used is measured, so
 * that the run's figures can leave it out. The pushers tell it what they do
 * by plain atomic stores.
 *
 * Layout: one look at the cache, the device, the process; the watch.
 */
#include "benchwatch.h"

#include <errno.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* One number on every architecture but alpha; C libraries learn it late. */
#ifndef __NR_cachestat
#define __NR_cachestat 451
#endif

#define SECTOR 512
/* A look may take up to 1/20 of the time between looks. */
#define LOOK_SHARE 20

struct cachestat_range_abi
{
  guint64 off;
  guint64 len;
};

struct cachestat_abi
{
  guint64 nr_cache;
  guint64 nr_dirty;
  guint64 nr_writeback;
  guint64 nr_evicted;
  guint64 nr_recently_evicted;
};

gint64
bench_now (void)
{
  struct timespec ts;

  clock_gettime (CLOCK_MONOTONIC, &ts);
  return ts.tv_sec * G_GINT64_CONSTANT (1000000000) + ts.tv_nsec;
}

/* --- one look --- */

gboolean
bench_cache_look (int fd, BenchCache *cache)
{
  struct cachestat_range_abi whole = { 0, 0 };
  struct cachestat_abi stat;
  guint64 page = sysconf (_SC_PAGESIZE);

  if (fd < 0 || syscall (__NR_cachestat, fd, &whole, &stat, 0) != 0)
    return FALSE;
  cache->cached = stat.nr_cache * page;
  cache->dirty = stat.nr_dirty * page;
  cache->writeback = stat.nr_writeback * page;
  return TRUE;
}

gboolean
bench_device_look (const gchar *device, BenchDevice *counters)
{
  g_autofree gchar *path = g_strdup_printf ("/sys/dev/block/%s/stat", device);
  g_autofree gchar *text = NULL;
  guint64 read_sectors, written_sectors;

  if (!g_file_get_contents (path, &text, NULL, NULL))
    return FALSE;
  if (sscanf (text,
          "%*u %*u %" G_GUINT64_FORMAT " %*u %*u %*u %" G_GUINT64_FORMAT,
          &read_sectors, &written_sectors)
      != 2)
    return FALSE;
  counters->read_bytes = read_sectors * SECTOR;
  counters->written_bytes = written_sectors * SECTOR;
  return TRUE;
}

gint64
bench_extents (int fd)
{
  struct fiemap map = { .fm_length = FIEMAP_MAX_OFFSET };

  if (fd < 0 || ioctl (fd, FS_IOC_FIEMAP, &map) != 0)
    return -1;
  return map.fm_mapped_extents;
}

gint64
bench_proc_value (const gchar *path, const gchar *key)
{
  g_autofree gchar *text = NULL;
  g_auto (GStrv) lines = NULL;
  gsize length = strlen (key);
  guint i;

  if (!g_file_get_contents (path, &text, NULL, NULL))
    return -1;
  lines = g_strsplit (text, "\n", -1);
  for (i = 0; lines[i] != NULL; i++) {
    if (strncmp (lines[i], key, length) != 0 || lines[i][length] != ':')
      continue;
    return g_ascii_strtoll (lines[i] + length + 1, NULL, 10)
        * (g_str_has_suffix (lines[i], " kB") ? 1024 : 1);
  }
  return -1;
}

guint
bench_count_threads (const gchar *prefix)
{
  GDir *tasks = g_dir_open ("/proc/self/task", 0, NULL);
  const gchar *task;
  guint n = 0;

  while (tasks != NULL && (task = g_dir_read_name (tasks)) != NULL) {
    g_autofree gchar *path = g_strdup_printf ("/proc/self/task/%s/comm", task);
    g_autofree gchar *name = NULL;

    if (g_file_get_contents (path, &name, NULL, NULL)
        && g_str_has_prefix (name, prefix))
      n++;
  }
  g_clear_pointer (&tasks, g_dir_close);
  return n;
}

gdouble
bench_machine_cpu (void)
{
  g_autofree gchar *text = NULL;
  guint64 user, nice, sys, irq, softirq;

  if (!g_file_get_contents ("/proc/stat", &text, NULL, NULL))
    return 0;
  if (sscanf (text,
          "cpu %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT
          " %*u %*u %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT,
          &user, &nice, &sys, &irq, &softirq)
      != 5)
    return 0;
  return (gdouble) (user + nice + sys + irq + softirq) / sysconf (_SC_CLK_TCK);
}

GstStructure *
bench_element_stats (GstElement *element)
{
  GstStructure *stats = NULL;
  GObjectClass *klass = G_OBJECT_GET_CLASS (element);

  if (g_object_class_find_property (klass, "writeback-stats") != NULL)
    g_object_get (element, "writeback-stats", &stats, NULL);
  return stats;
}

/* --- the watch --- */

typedef struct
{
  int fd;
  BenchGauge *gauge;
  GstElement *element;
} Watched;

typedef struct
{
  gint64 at_ns;
  BenchCache cache;
  guint64 queued;
  guint64 bytes;
  gint64 worst_ns;
} Row;

struct _BenchWatch
{
  guint interval_ms;
  guint row_interval_ms;
  guint64 notify_at[BENCH_NOTIFY_MAX];
  guint notified;
  GArray *files;
  GArray *rows;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t cond;
  gboolean stopping;
  BenchWatchResult result;
};

BenchWatch *
bench_watch_new (guint interval_ms)
{
  BenchWatch *watch = g_new0 (BenchWatch, 1);
  pthread_condattr_t attr;

  watch->interval_ms = interval_ms;
  watch->files = g_array_new (FALSE, FALSE, sizeof (Watched));
  watch->rows = g_array_new (FALSE, FALSE, sizeof (Row));
  pthread_mutex_init (&watch->lock, NULL);
  pthread_condattr_init (&attr);
  pthread_condattr_setclock (&attr, CLOCK_MONOTONIC);
  pthread_cond_init (&watch->cond, &attr);
  pthread_condattr_destroy (&attr);
  return watch;
}

void
bench_watch_free (BenchWatch *watch)
{
  pthread_cond_destroy (&watch->cond);
  pthread_mutex_destroy (&watch->lock);
  g_array_unref (watch->files);
  g_array_unref (watch->rows);
  g_free (watch);
}

void
bench_watch_add (
    BenchWatch *watch, int fd, BenchGauge *gauge, GstElement *element)
{
  Watched watched = { fd, gauge, element };

  g_array_append_val (watch->files, watched);
}

void
bench_watch_record (BenchWatch *watch, guint interval_ms)
{
  watch->row_interval_ms = interval_ms;
}

void
bench_watch_notify (
    BenchWatch *watch, const guint64 notify_at[BENCH_NOTIFY_MAX])
{
  memcpy (watch->notify_at, notify_at, sizeof watch->notify_at);
}

static void
look_at_caches (BenchWatch *watch, BenchCache *sum)
{
  guint i;

  for (i = 0; i < watch->files->len; i++) {
    Watched *file = &g_array_index (watch->files, Watched, i);
    BenchCache cache;
    guint64 dirty;

    if (!bench_cache_look (file->fd, &cache))
      continue;
    watch->result.available = TRUE;
    dirty = cache.dirty + cache.writeback;
    watch->result.peak_dirty_one = MAX (watch->result.peak_dirty_one, dirty);
    sum->cached += cache.cached;
    sum->dirty += cache.dirty;
    sum->writeback += cache.writeback;
  }
  watch->result.peak_dirty =
      MAX (watch->result.peak_dirty, sum->dirty + sum->writeback);
  watch->result.peak_cached = MAX (watch->result.peak_cached, sum->cached);
  watch->result.samples++;
}

static guint64
pushed_so_far (BenchWatch *watch)
{
  guint64 bytes = 0;
  guint i;

  for (i = 0; i < watch->files->len; i++)
    bytes +=
        __atomic_load_n (&g_array_index (watch->files, Watched, i).gauge->bytes,
            __ATOMIC_RELAXED);
  return bytes;
}

static guint64
queued_now (GstElement *element)
{
  GstStructure *stats = bench_element_stats (element);
  guint64 queued = 0;

  if (stats != NULL) {
    gst_structure_get_uint64 (stats, "queued-bytes", &queued);
    gst_structure_free (stats);
  }
  return queued;
}

static void
add_row (BenchWatch *watch, gint64 now, const BenchCache *cache)
{
  Row row = { .at_ns = now, .cache = *cache };
  guint i;

  row.bytes = pushed_so_far (watch);
  for (i = 0; i < watch->files->len; i++) {
    Watched *file = &g_array_index (watch->files, Watched, i);

    gint64 worst =
        __atomic_exchange_n (&file->gauge->worst_ns, 0, __ATOMIC_RELAXED);

    row.worst_ns = MAX (row.worst_ns, worst);
    row.queued += queued_now (file->element);
  }
  g_array_append_val (watch->rows, row);
}

static void
notify (BenchWatch *watch)
{
  while (watch->notified < BENCH_NOTIFY_MAX
      && watch->notify_at[watch->notified] > 0
      && pushed_so_far (watch) >= watch->notify_at[watch->notified]) {
    watch->notified++;
    puts ("notify");
    fflush (stdout);
  }
}

/* Until @deadline or stop, whichever comes first. */
static gboolean
wait_until (BenchWatch *watch, gint64 deadline)
{
  struct timespec ts = { deadline / 1000000000, deadline % 1000000000 };
  gboolean stopping;

  pthread_mutex_lock (&watch->lock);
  while (!watch->stopping)
    if (pthread_cond_timedwait (&watch->cond, &watch->lock, &ts) == ETIMEDOUT)
      break;
  stopping = watch->stopping;
  pthread_mutex_unlock (&watch->lock);
  return !stopping;
}

static gint64
thread_cpu_ns (void)
{
  struct timespec ts;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &ts);
  return ts.tv_sec * G_GINT64_CONSTANT (1000000000) + ts.tv_nsec;
}

static gpointer
watch_thread (gpointer data)
{
  BenchWatch *watch = data;
  gint64 next = bench_now (), next_row = next;

  do {
    BenchCache sum = { 0 };
    gint64 began = bench_now (), cost = thread_cpu_ns (), took;

    look_at_caches (watch, &sum);
    /* On a busy machine a look takes longer without being dearer. */
    cost = thread_cpu_ns () - cost;
    took = bench_now () - began;
    watch->result.worst_look_s = MAX (watch->result.worst_look_s, took / 1e9);
    notify (watch);
    if (watch->row_interval_ms > 0 && began >= next_row) {
      add_row (watch, began, &sum);
      next_row = began + watch->row_interval_ms * G_GINT64_CONSTANT (1000000);
    }
    next = MAX (next + watch->interval_ms * G_GINT64_CONSTANT (1000000),
        began + LOOK_SHARE * cost);
  } while (wait_until (watch, next));
  watch->result.cpu_s = thread_cpu_ns () / 1e9;
  return NULL;
}

void
bench_watch_start (BenchWatch *watch)
{
  if (watch->interval_ms == 0)
    return;
  g_array_set_size (watch->rows, 20000);
  g_array_set_size (watch->rows, 0);
  if (pthread_create (
          &watch->thread, NULL, (void *(*) (void *) ) watch_thread, watch)
      != 0)
    g_error ("no thread for the watch");
}

void
bench_watch_stop (BenchWatch *watch, BenchWatchResult *result)
{
  if (watch->interval_ms > 0) {
    pthread_mutex_lock (&watch->lock);
    watch->stopping = TRUE;
    pthread_cond_signal (&watch->cond);
    pthread_mutex_unlock (&watch->lock);
    pthread_join (watch->thread, NULL);
  }
  *result = watch->result;
}

gboolean
bench_watch_save (BenchWatch *watch, const gchar *path, gint64 origin_ns,
    const gchar *comment)
{
  FILE *file = fopen (path, "w");
  guint i;

  if (file == NULL)
    return FALSE;
  fputs (comment, file);
  fputs (
      "# seconds,dirty,writeback,cached,queued,worst_push_ms,pushed\n", file);
  for (i = 0; i < watch->rows->len; i++) {
    const Row *row = &g_array_index (watch->rows, Row, i);

    fprintf (file,
        "%.4f,%" G_GUINT64_FORMAT ",%" G_GUINT64_FORMAT ",%" G_GUINT64_FORMAT
        ",%" G_GUINT64_FORMAT ",%.4f,%" G_GUINT64_FORMAT "\n",
        (row->at_ns - origin_ns) / 1e9, row->cache.dirty, row->cache.writeback,
        row->cache.cached, row->queued, row->worst_ns / 1e6, row->bytes);
  }
  return fclose (file) == 0;
}
