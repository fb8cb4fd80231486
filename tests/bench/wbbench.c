/* wbfilesink benchmark: one load into one kind of sink, measured
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Problem: a file sink is judged by what a pipeline feels (how long a push
 * takes, how long EOS takes) and by what the machine feels (dirty pages,
 * processor time, bytes on the device), and a pipeline of real elements hides
 * both behind its own work.
 *
 * Strategy: no pipeline. A pad of our own pushes a muxer's pattern of buffers
 * and BYTES segments straight into the sink, from a thread a sink, each push
 * timed. A run is a process, so that nothing is left over from the last one.
 * At EOS the file is fsynced once more from here: what that takes is what the
 * sink left undone, and the time up to its return is the time to durable for
 * every sink alike. One JSON object on stdout says it all.
 *
 * Layout: only main() is here. benchoptions.c is the command line,
 * benchload.c the patterns, benchsink.c one sink (building it, pushing into it,
 * ending it), benchrun.c all of them, benchwatch.c what is looked at meanwhile,
 * benchreport.c what comes out.
 */
#include "benchorigin.h"
#include "benchreport.h"

#include <stdlib.h>

int
main (int argc, char **argv)
{
  BenchOptions options = { .sinks = 1, .sample_ms = 5, .seed = 1 };
  BenchRun run = { .options = &options };
  int status = EXIT_FAILURE;

  options.pattern = g_strdup ("none");
  options.location = g_strdup ("wbbench.out");
  if (!bench_options_parse (&options, &argc, &argv)) {
    bench_options_clear (&options);
    return 2;
  }
  bench_warm_memory (options.warm);
  gst_init (&argc, &argv);
  bench_origin_register ();
  run.n_sinks = options.sinks;
  run.sinks = g_new0 (BenchSink, run.n_sinks);
  if (!bench_run_build (&run))
    g_printerr ("wbbench: cannot build '%s'\n", options.sink);
  else if (!bench_run_open (&run))
    g_printerr ("wbbench: cannot open '%s': %s\n", options.location,
        run.sinks[0].error ? run.sinks[0].error : "no reason given");
  else {
    bench_run_load (&run);
    if (bench_report (&run))
      status = EXIT_SUCCESS;
  }
  bench_run_clear (&run);
  bench_options_clear (&options);
  return status;
}
