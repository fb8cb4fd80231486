/* wbfilesink benchmark: what a muxer does to its sink
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum
{
  /* Body of the stream: paced by --rate, grouped by --list. */
  BENCH_WRITE_BODY = 1 << 0,
  /* Everything up to here must be on disk before the push returns. */
  BENCH_WRITE_SYNC_AFTER = 1 << 1,
} BenchWriteFlags;

/* Where a load goes. Either function returns FALSE to end the load. */
typedef struct
{
  gboolean (*write) (gpointer user_data, gsize size, BenchWriteFlags flags);
  gboolean (*seek) (gpointer user_data, guint64 offset);
  gpointer user_data;
} BenchTarget;

typedef struct
{
  /* Body bytes; headers, patches and second passes come on top. */
  guint64 bytes;
  gsize buffer_size;
  /* A cluster's, fragment's or RIFF's length: the distance between patches. */
  guint64 patch_every;
  guint32 seed;
} BenchLoad;

typedef struct
{
  guint64 bytes_written;
  guint64 final_size;
  guint64 seeks;
} BenchLoadResult;

/* FALSE if there is no such pattern or the target ended the load. */
gboolean bench_load_run (const gchar *pattern, const BenchLoad *load,
    const BenchTarget *target, BenchLoadResult *result);

gboolean bench_load_exists (const gchar *pattern);
/* "  name  what it does" a line each, for --help */
gchar *bench_load_list (void);

G_END_DECLS
