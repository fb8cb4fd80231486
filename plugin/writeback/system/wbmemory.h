/* wbfilesink: how much memory there is, and how busy a disk
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Figures to derive bounds from; none of them blocks on storage. G_MAXUINT64 is
 * "not known".
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* What this process may use, bytes: the machine's, or its memory group's limit if
 * that is less (version 1 and 2, up to the root). */
guint64 wb_memory_size (void);
/* What the page cache is made of, bytes: 4096, but 16 or 64 KiB on some machines. */
guint64 wb_memory_page_size (void);
/* Above this many dirty bytes the kernel makes those wait who write to this device
 * (st_dev of its files), as far as the device has a part of its own. */
guint64 wb_memory_dirty_limit (guint64 device);
/* What was read from this disk since the machine was started, bytes; of the whole
 * disk, if the device is a part of it. */
guint64 wb_memory_disk_reads (guint64 device);

G_END_DECLS
