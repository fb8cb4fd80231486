/* wbfilesink benchmark: a run as one JSON object
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "benchrun.h"

G_BEGIN_DECLS

/* On stdout. FALSE if the run failed; the object says why. */
gboolean bench_report (const BenchRun *run);

G_END_DECLS
