/* wbfilesink: the statistics as the application gets them
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Pure: it owns nothing, and any thread may enter.
 */
#pragma once

#include <gst/gst.h>

#include "file/wbfile.h"

G_BEGIN_DECLS

/* The value of writeback-stats, to be freed. Times are in ns there. */
GstStructure *wb_stats_to_structure (
    const WbStats *stats, const WbPlace *place);

G_END_DECLS
