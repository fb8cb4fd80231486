/* wbfilesink benchmark: a run, which is all of its sinks at once
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Layout: memory; what is counted before and after; opening and closing; the
 * load; setting up and taking down.
 */
#include "benchrun.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

void
bench_warm_memory (guint64 bytes)
{
  pid_t child;

  if (bytes == 0)
    return;
  child = fork ();
  if (child == 0) {
    guint8 *memory = mmap (NULL, bytes, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    guint64 i;

    for (i = 0; memory != MAP_FAILED && i < bytes; i += 4096)
      memory[i] = 1;
    _exit (0);
  }
  if (child > 0)
    waitpid (child, NULL, 0);
}

static gdouble
seconds (struct timeval tv)
{
  return tv.tv_sec + tv.tv_usec / 1e6;
}

static void
count (const BenchRun *run, BenchCounters *counters)
{
  struct rusage usage;

  getrusage (RUSAGE_SELF, &usage);
  counters->process_user = seconds (usage.ru_utime);
  counters->process_sys = seconds (usage.ru_stime);
  counters->machine = bench_machine_cpu ();
  counters->rss = bench_proc_value ("/proc/self/status", "VmRSS");
  counters->io_written = bench_proc_value ("/proc/self/io", "write_bytes");
  counters->io_cancelled =
      bench_proc_value ("/proc/self/io", "cancelled_write_bytes");
  counters->io_calls = bench_proc_value ("/proc/self/io", "syscw");
  counters->has_device =
      run->device != NULL && bench_device_look (run->device, &counters->device);
}

/* The device that holds the files, if sysfs knows it: btrfs and overlayfs
 * give their files numbers of their own. */
static gchar *
find_device (const BenchOptions *options, int fd)
{
  struct stat st;

  if (options->device != NULL)
    return g_strdup (options->device);
  if (fd < 0 || fstat (fd, &st) != 0 || !S_ISREG (st.st_mode))
    return NULL;
  return g_strdup_printf ("%u:%u", major (st.st_dev), minor (st.st_dev));
}

gboolean
bench_run_open (BenchRun *run)
{
  gint64 began = bench_now ();
  guint i;

  for (i = 0; i < run->n_sinks; i++)
    if (!bench_sink_open (&run->sinks[i]))
      return FALSE;
  run->open_s = (bench_now () - began) / 1e9;
  run->device = find_device (run->options, run->sinks[0].fd);
  return TRUE;
}

/* A thread that has been joined, or one that has not run yet and still goes by
 * the name of the thread that made it, is in the list for another moment. One
 * that was left behind stays. */
static guint
count_threads_left (void)
{
  guint n, i;

  for (i = 0; (n = bench_count_threads ("wbfile-")) > 0 && i < 100; i++)
    g_usleep (10 * 1000);
  return n;
}

static void
run_close (BenchRun *run)
{
  gint64 began = bench_now ();
  guint i;

  for (i = 0; i < run->n_sinks; i++)
    gst_element_set_state (run->sinks[i].pipeline, GST_STATE_NULL);
  run->stop_s = (bench_now () - began) / 1e9;
  run->threads_left = count_threads_left ();
  for (i = 0; i < run->n_sinks; i++) {
    BenchCache cache;

    if (!bench_cache_look (run->sinks[i].cache_fd, &cache))
      continue;
    run->has_left = TRUE;
    run->left.cached += cache.cached;
    run->left.dirty += cache.dirty;
    run->left.writeback += cache.writeback;
  }
}

static BenchWatch *
make_watch (BenchRun *run)
{
  const BenchOptions *options = run->options;
  BenchWatch *watch = bench_watch_new (options->sample_ms);
  guint i;

  for (i = 0; i < run->n_sinks; i++) {
    BenchSink *sink = &run->sinks[i];

    bench_watch_add (watch, sink->cache_fd, &sink->gauge, sink->element);
  }
  if (options->timeline != NULL)
    bench_watch_record (watch, 4 * options->sample_ms);
  bench_watch_notify (watch, options->notify_at);
  return watch;
}

gint64
bench_run_first_begin (const BenchRun *run)
{
  gint64 ns = run->sinks[0].begin_ns;
  guint i;

  for (i = 1; i < run->n_sinks; i++)
    ns = MIN (ns, run->sinks[i].begin_ns);
  return ns;
}

gint64
bench_run_last_of (const BenchRun *run, gsize field)
{
  gint64 ns = 0;
  guint i;

  for (i = 0; i < run->n_sinks; i++)
    ns = MAX (ns, G_STRUCT_MEMBER (gint64, &run->sinks[i], field));
  return ns;
}

static void
save_timeline (const BenchRun *run, BenchWatch *watch)
{
  gint64 begin = bench_run_first_begin (run);
  g_autofree gchar *comment = NULL;

  if (run->options->timeline == NULL)
    return;
  comment = g_strdup_printf ("# sink %s\n# eos-pushed %.4f\n"
                             "# eos-posted %.4f\n# durable %.4f\n",
      run->options->sink, (BENCH_RUN_LAST (run, eos_pushed_ns) - begin) / 1e9,
      (BENCH_RUN_LAST (run, eos_posted_ns) - begin) / 1e9,
      (BENCH_RUN_LAST (run, durable_ns) - begin) / 1e9);
  if (!bench_watch_save (watch, run->options->timeline, begin, comment))
    g_printerr ("wbbench: cannot write %s\n", run->options->timeline);
}

void
bench_run_load (BenchRun *run)
{
  g_autoptr (BenchWatch) watch = make_watch (run);
  guint i;

  count (run, &run->before);
  bench_watch_start (watch);
  for (i = 0; i < run->n_sinks; i++)
    run->sinks[i].thread =
        g_thread_new ("push", bench_sink_thread, &run->sinks[i]);
  for (i = 0; i < run->n_sinks; i++)
    g_thread_join (run->sinks[i].thread);
  bench_watch_stop (watch, &run->watch);
  run_close (run);
  count (run, &run->after);
  save_timeline (run, watch);
}

void
bench_run_clear (BenchRun *run)
{
  guint i;

  for (i = 0; i < run->n_sinks; i++) {
    struct stat st;
    BenchSink *sink = &run->sinks[i];

    if (!run->options->keep && sink->fd >= 0 && fstat (sink->fd, &st) == 0
        && S_ISREG (st.st_mode))
      unlink (sink->location);
    bench_sink_clear (sink);
  }
  g_free (run->sinks);
  g_free (run->device);
}

gboolean
bench_run_build (BenchRun *run)
{
  guint i;

  for (i = 0; i < run->n_sinks; i++)
    if (!bench_sink_build (&run->sinks[i], run->options, i))
      return FALSE;
  return TRUE;
}
