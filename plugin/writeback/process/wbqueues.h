/* wbfilesink: the queues of all files together
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A disk that stands still fills every queue that feeds it: sixty-four files with 32
 * MiB each would take two gigabytes. So the files that are open share a bound.
 *
 * Any thread, no lock needed.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* A file is opened, or closed. */
void wb_queues_join (void);
void wb_queues_leave (void);
/* What each may have queued now, bytes. */
guint64 wb_queues_share (void);

G_END_DECLS
