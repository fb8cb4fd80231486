/* wbfilesink benchmark: the drain-at-every-seek rule as a sink
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The factory's name in this process; it is in no plugin. */
#define BENCH_ORIGIN_NAME "origin"

gboolean bench_origin_register (void);

G_END_DECLS
