/* wbfilesink: how fast the disk drains
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "policy/wbmeter.h"

static guint64
per_second (guint64 bytes, gint64 busy_us)
{
  return (guint64) ((gdouble) bytes * G_USEC_PER_SEC / (gdouble) busy_us);
}

void
wb_meter_note (WbMeter *meter, guint64 bytes, gint64 busy_us, gboolean ends)
{
  guint64 sample;

  meter->bytes += bytes;
  meter->total += bytes;
  meter->busy_us += MAX (busy_us, 0);
  if (!ends || meter->busy_us < WB_METER_SAMPLE_US)
    return;

  sample = MAX (per_second (meter->bytes, meter->busy_us), 1);
  if (meter->rate == 0)
    meter->rate = sample;
  else
    meter->rate = CLAMP (
        sample, meter->rate / WB_METER_FALL + 1, meter->rate * WB_METER_RISE);
  meter->bytes = 0;
  meter->busy_us = 0;
}

guint64
wb_meter_rate (const WbMeter *meter)
{
  if (meter->rate != 0 || meter->busy_us == 0)
    return meter->rate;
  return per_second (meter->bytes, meter->busy_us);
}

guint64
wb_meter_allowance (const WbMeter *meter, gint64 time_us, guint64 start)
{
  gdouble bytes;

  if (meter->rate == 0)
    return start + meter->total;
  bytes = (gdouble) meter->rate * (gdouble) time_us / G_USEC_PER_SEC;
  return bytes < (gdouble) G_MAXINT64 ? (guint64) bytes : G_MAXINT64;
}
