/* wbfilesink: how fast the disk drains
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Bytes retired over the time in which something was under write-out, so that
 * a slow source does not measure itself. Pure, and not thread-safe.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* A sample covers at least this much busy time: a block throttle works in
 * slices of 100 ms and a device may pause for a cache flush, so five slices. */
#define WB_METER_SAMPLE_US (500 * 1000)
/* One sample moves the rate by at most these factors, so that one pause or one
 * burst into a device's cache neither starves nor blows up the window; a disk
 * that really changes from 100 to 10 MB/s is followed in two samples. */
#define WB_METER_FALL 4
#define WB_METER_RISE 2

typedef struct
{
  guint64 bytes; /* of the sample under way */
  gint64 busy_us;
  guint64 total; /* bytes ever */
  guint64 rate;  /* bytes/s, 0: not known yet */
} WbMeter;

/* `bytes` took `busy_us`. A sample may only end where `ends` says so: of the
 * steps that were handed to the disk together the first waits for them all, and
 * the others come for nothing. */
void wb_meter_note (
    WbMeter *meter, guint64 bytes, gint64 busy_us, gboolean ends);
/* How many bytes drain in `time_us`. Before a rate is known: `start` plus what
 * has drained so far, so that it doubles each time it has been used up, and a
 * stick of 5 MB/s never sees a burst. */
guint64 wb_meter_allowance (
    const WbMeter *meter, gint64 time_us, guint64 start);
/* Bytes/s; before a full sample, what the part of it says; 0: nothing known. */
guint64 wb_meter_rate (const WbMeter *meter);

G_END_DECLS
