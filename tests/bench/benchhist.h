/* wbfilesink benchmark: a histogram of durations
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct _BenchHist BenchHist;

BenchHist *bench_hist_new (void);
void bench_hist_free (BenchHist *hist);

/* One thread at a time adds; reading is for when it is done. */
void bench_hist_add (BenchHist *hist, gint64 ns);
void bench_hist_merge (BenchHist *into, const BenchHist *from);

guint64 bench_hist_count (const BenchHist *hist);
gint64 bench_hist_max (const BenchHist *hist);
/* fraction: 0.5 is the median, 0.999 the 99.9th percentile; in ns */
gint64 bench_hist_quantile (const BenchHist *hist, gdouble fraction);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (BenchHist, bench_hist_free)

G_END_DECLS
