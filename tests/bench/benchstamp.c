/* wbfilesink benchmark: buffers that show where their bytes belong
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "benchstamp.h"

GstBuffer *
bench_stamped_buffer (guint sink, guint32 number, gsize size)
{
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, size, NULL);
  guint64 stamp = (guint64) sink << 56 | (guint64) number << 24;
  GstMapInfo map;
  gsize i;

  gst_buffer_map (buffer, &map, GST_MAP_WRITE);
  for (i = 0; i + 8 <= size; i += 8)
    GST_WRITE_UINT64_LE (map.data + i, stamp + i / 8);
  for (; i < size; i++)
    map.data[i] = number + i;
  gst_buffer_unmap (buffer, &map);
  return buffer;
}
