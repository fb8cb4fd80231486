/* wbfilesink benchmark: a run as one JSON object
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Layout: times and processor time; cache, device and process; what the sinks
 * said; all of it.
 */
#include "benchreport.h"
#include "benchjson.h"

#include <sys/stat.h>

/* 25 pictures a second. */
#define PICTURE_NS (G_GINT64_CONSTANT (1000000000) / 25)

static void
report_hist (BenchJson *json, const gchar *key, const BenchHist *hist)
{
  bench_json_open (json, key);
  bench_json_int (json, "count", bench_hist_count (hist));
  bench_json_real (json, "p50", bench_hist_quantile (hist, 0.5) / 1e3);
  bench_json_real (json, "p99", bench_hist_quantile (hist, 0.99) / 1e3);
  bench_json_real (json, "p999", bench_hist_quantile (hist, 0.999) / 1e3);
  bench_json_real (json, "max", bench_hist_max (hist) / 1e3);
  bench_json_close (json);
}

static void
report_latency (BenchJson *json, const BenchRun *run)
{
  g_autoptr (BenchHist) pushes = bench_hist_new ();
  g_autoptr (BenchHist) seeks = bench_hist_new ();
  guint i;

  for (i = 0; i < run->n_sinks; i++) {
    bench_hist_merge (pushes, run->sinks[i].pushes);
    bench_hist_merge (seeks, run->sinks[i].seeks);
  }
  report_hist (json, "push_us", pushes);
  report_hist (json, "seek_us", seeks);
}

/* What a live source would have lost: of all sinks, and of each. */
static void
report_live (BenchJson *json, const BenchRun *run)
{
  gint64 lost = 0, latest = 0, pictures = 0;
  guint i, losers = 0;

  for (i = 0; i < run->n_sinks; i++) {
    const BenchSink *sink = &run->sinks[i];

    lost += sink->lost_ns;
    /* A picture that lacks a part is lost. */
    pictures += (sink->lost_ns + PICTURE_NS - 1) / PICTURE_NS;
    losers += sink->losses > 0;
    latest = MAX (latest, sink->latest_ns);
  }
  bench_json_open (json, "live");
  bench_json_real (json, "queue_s", run->options->live);
  bench_json_real (json, "lost_s", lost / 1e9);
  bench_json_int (json, "lost_pictures", pictures);
  bench_json_int (json, "losers", losers);
  bench_json_real (json, "latest_s", latest / 1e9);
  bench_json_open_list (json, "each_lost_s");
  for (i = 0; i < run->n_sinks; i++)
    bench_json_real (json, NULL, run->sinks[i].lost_ns / 1e9);
  bench_json_close_list (json);
  bench_json_close (json);
}

static void
report_times (BenchJson *json, const BenchRun *run, guint64 written)
{
  gint64 begin = bench_run_first_begin (run), eos = 0, settle = 0;
  gdouble durable_s = (BENCH_RUN_LAST (run, durable_ns) - begin) / 1e9;
  gdouble push_s = (BENCH_RUN_LAST (run, eos_pushed_ns) - begin) / 1e9;
  guint i;

  for (i = 0; i < run->n_sinks; i++) {
    const BenchSink *sink = &run->sinks[i];

    eos = MAX (eos, sink->eos_posted_ns - sink->eos_pushed_ns);
    settle = MAX (settle, sink->durable_ns - sink->eos_posted_ns);
  }
  bench_json_open (json, "seconds");
  bench_json_real (json, "open", run->open_s);
  bench_json_real (json, "push", push_s);
  bench_json_real (json, "eos", eos / 1e9);
  bench_json_real (json, "fsync", settle / 1e9);
  bench_json_real (json, "durable", durable_s);
  bench_json_real (json, "stop", run->stop_s);
  bench_json_close (json);
  bench_json_real (json, "mb_s_pushed", written / 1e6 / push_s);
  bench_json_real (json, "mb_s_durable", written / 1e6 / durable_s);
}

static void
report_cpu (BenchJson *json, const BenchRun *run, guint64 written)
{
  gdouble user = run->after.process_user - run->before.process_user;
  gdouble sys = run->after.process_sys - run->before.process_sys;
  gdouble own = MAX (user + sys - run->watch.cpu_s, 0);

  bench_json_open (json, "cpu");
  bench_json_real (json, "process_s", own);
  bench_json_real (json, "process_s_per_gb", own / (written / 1e9));
  bench_json_real (json, "user_s", user);
  bench_json_real (json, "sys_s", sys);
  bench_json_real (json, "watch_s", run->watch.cpu_s);
  bench_json_real (json, "machine_s",
      run->after.machine - run->before.machine - run->watch.cpu_s);
  bench_json_close (json);
}

static void
report_cache (BenchJson *json, const BenchRun *run)
{
  const BenchWatchResult *watch = &run->watch;
  guint64 dirty_at_eos = 0;
  guint i;

  for (i = 0; i < run->n_sinks; i++)
    dirty_at_eos += run->sinks[i].at_eos.dirty + run->sinks[i].at_eos.writeback;
  bench_json_open (json, "cache");
  if (watch->available) {
    bench_json_int (json, "peak_dirty_bytes", watch->peak_dirty);
    bench_json_int (json, "peak_dirty_one_bytes", watch->peak_dirty_one);
    bench_json_int (json, "peak_cached_bytes", watch->peak_cached);
  } else {
    bench_json_null (json, "peak_dirty_bytes");
    bench_json_null (json, "peak_dirty_one_bytes");
    bench_json_null (json, "peak_cached_bytes");
  }
  if (run->has_left) {
    bench_json_int (json, "dirty_at_eos_bytes", dirty_at_eos);
    bench_json_int (json, "left_bytes", run->left.cached);
  } else {
    bench_json_null (json, "dirty_at_eos_bytes");
    bench_json_null (json, "left_bytes");
  }
  bench_json_int (json, "samples", watch->samples);
  bench_json_real (json, "worst_sample_s", watch->worst_look_s);
  bench_json_close (json);
}

static void
report_device (BenchJson *json, const BenchRun *run, guint64 in_files)
{
  const BenchCounters *before = &run->before, *after = &run->after;
  guint64 written = after->device.written_bytes - before->device.written_bytes;

  if (!before->has_device || !after->has_device) {
    bench_json_null (json, "device");
    return;
  }
  bench_json_open (json, "device");
  bench_json_string (json, "number", run->device);
  bench_json_int (
      json, "read_bytes", after->device.read_bytes - before->device.read_bytes);
  bench_json_int (json, "written_bytes", written);
  bench_json_real (
      json, "amplification", (gdouble) written / MAX (in_files, 1));
  bench_json_close (json);
}

static void
report_process (BenchJson *json, const BenchRun *run)
{
  bench_json_open (json, "process");
  bench_json_int (json, "rss_start_bytes", run->before.rss);
  bench_json_int (
      json, "rss_peak_bytes", bench_proc_value ("/proc/self/status", "VmHWM"));
  bench_json_int (
      json, "write_bytes", run->after.io_written - run->before.io_written);
  bench_json_int (json, "cancelled_write_bytes",
      run->after.io_cancelled - run->before.io_cancelled);
  bench_json_int (
      json, "write_calls", run->after.io_calls - run->before.io_calls);
  bench_json_int (json, "threads_left", run->threads_left);
  bench_json_close (json);
}

static gboolean
report_stat (GQuark field, const GValue *value, gpointer data)
{
  BenchJson *json = data;
  const gchar *name = g_quark_to_string (field);

  if (G_VALUE_HOLDS_UINT64 (value))
    bench_json_int (json, name, g_value_get_uint64 (value));
  else if (G_VALUE_HOLDS_BOOLEAN (value))
    bench_json_bool (json, name, g_value_get_boolean (value));
  else if (G_VALUE_HOLDS_STRING (value))
    bench_json_string (json, name, g_value_get_string (value));
  return TRUE;
}

static void
report_sink_stats (BenchJson *json, const gchar *key, const BenchSink *sink)
{
  GstStructure *stats = bench_element_stats (sink->element);

  if (stats == NULL) {
    bench_json_null (json, key);
    return;
  }
  bench_json_open (json, key);
  gst_structure_foreach (stats, report_stat, json);
  bench_json_close (json);
  gst_structure_free (stats);
}

/* The element's own figures: of the first sink, and of each. */
static void
report_stats (BenchJson *json, const BenchRun *run)
{
  guint i;

  report_sink_stats (json, "stats", &run->sinks[0]);
  bench_json_open_list (json, "all_stats");
  for (i = 0; i < run->n_sinks; i++)
    report_sink_stats (json, NULL, &run->sinks[i]);
  bench_json_close_list (json);
}

static void
report_degraded (BenchJson *json, const BenchRun *run)
{
  gint64 begin = bench_run_first_begin (run);
  guint i, j;

  bench_json_open_list (json, "degraded_events");
  for (i = 0; i < run->n_sinks; i++)
    for (j = 0; j < run->sinks[i].degraded->len; j++) {
      const BenchDegraded *event =
          &g_array_index (run->sinks[i].degraded, BenchDegraded, j);

      bench_json_open (json, NULL);
      bench_json_int (json, "sink", i);
      bench_json_real (json, "s", (event->at_ns - begin) / 1e9);
      bench_json_bool (json, "degraded", event->degraded);
      bench_json_int (json, "dirty_bytes", event->dirty);
      bench_json_close (json);
    }
  bench_json_close_list (json);
}

static guint
count_degraded (const BenchSink *sink)
{
  guint i, n = 0;

  for (i = 0; i < sink->degraded->len; i++)
    n += g_array_index (sink->degraded, BenchDegraded, i).degraded ? 1 : 0;
  return n;
}

static void
report_messages (BenchJson *json, const BenchRun *run)
{
  const BenchSink *first = &run->sinks[0];
  guint i, errors = 0, warnings = 0, degraded = 0, durable = 0;

  for (i = 0; i < run->n_sinks; i++) {
    errors += run->sinks[i].errors;
    warnings += run->sinks[i].warnings;
    degraded += count_degraded (&run->sinks[i]);
    durable += g_strcmp0 (run->sinks[i].sync_result, "durable") == 0;
  }
  bench_json_open (json, "messages");
  bench_json_int (json, "errors", errors);
  bench_json_int (json, "warnings", warnings);
  bench_json_int (json, "degraded", degraded);
  bench_json_int (json, "durable", durable);
  bench_json_string (json, "sync_result", first->sync_result);
  bench_json_real (json, "sync_s", first->sync_elapsed / 1e9);
  report_degraded (json, run);
  bench_json_close (json);
}

static gboolean
size_is_right (const BenchSink *sink)
{
  struct stat st;

  return sink->fd < 0 || fstat (sink->fd, &st) != 0 || !S_ISREG (st.st_mode)
      || (guint64) st.st_size == sink->load.final_size;
}

static const gchar *
what_went_wrong (const BenchRun *run)
{
  guint i;

  for (i = 0; i < run->n_sinks; i++) {
    const BenchSink *sink = &run->sinks[i];

    if (sink->error != NULL)
      return sink->error;
    if (!bench_sink_ok (sink))
      return "the load ended early, or no EOS was posted";
    if (!size_is_right (sink))
      return "the file has the wrong size";
  }
  return NULL;
}

gboolean
bench_report (const BenchRun *run)
{
  const BenchOptions *options = run->options;
  const gchar *error = what_went_wrong (run);
  BenchJson json = { g_string_new ("{"), TRUE };
  guint64 written = 0, in_files = 0;
  guint i;

  for (i = 0; i < run->n_sinks; i++) {
    written += run->sinks[i].load.bytes_written;
    in_files += run->sinks[i].load.final_size;
  }
  bench_json_bool (&json, "ok", error == NULL);
  bench_json_string (&json, "error", error);
  bench_json_string (&json, "sink", options->sink);
  bench_json_string (&json, "pattern", options->pattern);
  bench_json_int (&json, "sinks", run->n_sinks);
  bench_json_int (&json, "buffer_size", options->buffer_size);
  bench_json_int (&json, "list", options->list);
  bench_json_real (&json, "rate_mb_s", options->rate);
  bench_json_int (&json, "bytes_written", written);
  bench_json_int (&json, "file_bytes", in_files);
  report_times (&json, run, written);
  report_latency (&json, run);
  if (options->live > 0)
    report_live (&json, run);
  report_cpu (&json, run, written);
  report_cache (&json, run);
  report_device (&json, run, in_files);
  report_process (&json, run);
  bench_json_int (&json, "extents", bench_extents (run->sinks[0].fd));
  report_messages (&json, run);
  report_stats (&json, run);
  g_print ("%s}\n", json.text->str);
  g_string_free (json.text, TRUE);
  return error == NULL;
}
