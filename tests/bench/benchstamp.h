/* wbfilesink benchmark: buffers that show where their bytes belong
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* The sink, the buffer and the place in it, in each 8 bytes: bytes that went
 * astray, or an older patch over a newer one, show when files are compared. */
GstBuffer *bench_stamped_buffer (guint sink, guint32 buffer, gsize size);

G_END_DECLS
