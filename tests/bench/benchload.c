/* wbfilesink benchmark: what a muxer does to its sink
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Problem: a sink is easy to make fast for a stream that only goes forward.
 * Muxers seek back, patch, and go on, each in its own way, and that is where
 * write-out schemes fall over.
 *
 * Strategy: one short function a pattern, written the way the muxer works, on
 * a position that moves with each write and a target that takes writes and
 * seeks. Nothing here knows GStreamer, threads or time.
 *
 * Layout: the steps that patterns are made of; the patterns; their table.
 */
#include "benchload.h"

#define KIB 1024
#define MIB (1024 * 1024)

typedef struct
{
  const BenchLoad *load;
  const BenchTarget *target;
  GRand *rand;
  guint64 position;
  guint64 high_water;
  guint64 body_left;
  guint64 bytes_written;
  guint64 seeks;
} Run;

/* --- steps --- */

static gboolean
put (Run *run, gsize size, BenchWriteFlags flags)
{
  if (!run->target->write (run->target->user_data, size, flags))
    return FALSE;
  run->position += size;
  run->bytes_written += size;
  run->high_water = MAX (run->high_water, run->position);
  return TRUE;
}

static gboolean
go (Run *run, guint64 offset)
{
  if (!run->target->seek (run->target->user_data, offset))
    return FALSE;
  run->position = offset;
  run->seeks++;
  return TRUE;
}

/* Back to @offset, @size bytes there, forward to where we were. */
static gboolean
patch (Run *run, guint64 offset, gsize size, BenchWriteFlags flags)
{
  guint64 resume = run->position;

  return go (run, offset) && put (run, size, flags) && go (run, resume);
}

/* Whole buffers of the body until @bytes are reached or it ends. */
static gboolean
put_body (Run *run, guint64 bytes)
{
  guint64 done = 0;

  while (done < bytes && run->body_left > 0) {
    gsize size = MIN (run->load->buffer_size, run->body_left);

    if (!put (run, size, BENCH_WRITE_BODY))
      return FALSE;
    run->body_left -= size;
    done += size;
  }
  return TRUE;
}

/* --- patterns --- */

static gboolean
pattern_none (Run *run)
{
  return put_body (run, G_MAXUINT64);
}

/* EBML header, Segment, SeekHead, Info, Tracks; an odd number of bytes, so
 * that no cluster begins on a page. */
#define MKV_HEADER 4133
/* Behind the 4 bytes of the cluster's id. */
#define MKV_CLUSTER_SIZE_AT 4

static gboolean
mkv_finish (Run *run)
{
  guint i;

  /* Cues and Tags at the end, then the five SeekHead entries, the Duration
   * and the Segment's size; the position stays where the last one left it. */
  if (!put (run, 12345, 0) || !put (run, 678, 0))
    return FALSE;
  for (i = 0; i < 5; i++)
    if (!go (run, 71 + 21 * i) || !put (run, 8, 0))
      return FALSE;
  return go (run, 243) && put (run, 8, 0) && go (run, 47) && put (run, 8, 0);
}

static gboolean
pattern_mkv (Run *run)
{
  if (!put (run, MKV_HEADER, 0))
    return FALSE;
  while (run->body_left > 0) {
    guint64 cluster = run->position;

    if (!put_body (run, run->load->patch_every)
        || !patch (run, cluster + MKV_CLUSTER_SIZE_AT, 8, 0))
      return FALSE;
  }
  return mkv_finish (run);
}

/* wavenc, flacenc, asfmux: one header patch when everything is written. */
static gboolean
pattern_head (Run *run)
{
  return put (run, 44, 0) && put_body (run, G_MAXUINT64) && go (run, 0)
      && put (run, 44, 0);
}

static gboolean
pattern_random (Run *run)
{
  while (run->body_left > 0) {
    guint64 at;

    if (!put_body (run, run->load->patch_every))
      return FALSE;
    at = g_rand_double (run->rand)
        * (run->high_water - MIN (8, run->high_water));
    if (!patch (run, at, 8, 0))
      return FALSE;
  }
  return TRUE;
}

static gboolean
pattern_rewrite (Run *run)
{
  if (!put_body (run, G_MAXUINT64) || !go (run, 0))
    return FALSE;
  run->body_left = run->load->bytes;
  return put_body (run, G_MAXUINT64);
}

/* qtmux faststart: the media comes out of a temporary file in one go, behind
 * the moov, in 4 KiB buffers whatever went in. */
static gboolean
pattern_faststart (Run *run)
{
  if (!put (run, 36, 0) || !put (run, 300 * KIB, 0))
    return FALSE;
  while (run->body_left > 0) {
    gsize size = MIN (4 * KIB, run->body_left);

    if (!put (run, size, 0))
      return FALSE;
    run->body_left -= size;
  }
  return TRUE;
}

/* qtmux robust muxing: two moov areas reserved as a hole, written in turn,
 * each made valid by a flip of 8 bytes, with a barrier behind each step. */
#define ROBUST_AREA (512 * KIB)
#define ROBUST_MOOV (64 * KIB)

static gboolean
robust_update (Run *run, guint area)
{
  guint64 resume = run->position;

  return go (run, 36 + area * (guint64) ROBUST_AREA)
      && put (run, ROBUST_MOOV, BENCH_WRITE_SYNC_AFTER) && go (run, 28)
      && put (run, 8, BENCH_WRITE_SYNC_AFTER) && go (run, resume);
}

static gboolean
pattern_robust (Run *run)
{
  guint area = 0;

  if (!put (run, 36, 0) || !go (run, 36 + 2 * ROBUST_AREA))
    return FALSE;
  while (run->body_left > 0) {
    if (!put_body (run, run->load->patch_every) || !robust_update (run, area))
      return FALSE;
    area = !area;
  }
  return TRUE;
}

static gboolean
pattern_prefill (Run *run)
{
  return put (run, 36, 0) && put (run, 256 * KIB, 0)
      && put_body (run, G_MAXUINT64) && go (run, 36) && put (run, 256 * KIB, 0);
}

static gboolean
pattern_fragment (Run *run)
{
  if (!put (run, 36 + 900, 0))
    return FALSE;
  while (run->body_left > 0) {
    guint64 fragment = run->position;

    if (!put (run, 700, 0) || !put_body (run, run->load->patch_every)
        || !patch (run, fragment, 16, 0))
      return FALSE;
  }
  return TRUE;
}

/* avimux: the RIFF's size and frame count when it is full (at a GiB, here at
 * --patch-every), the main header at EOS, and back to the end. */
static gboolean
pattern_avi (Run *run)
{
  guint64 riff = 0;

  if (!put (run, 2 * KIB, 0))
    return FALSE;
  while (run->body_left > 0) {
    if (!put_body (run, run->load->patch_every) || !put (run, 200 * KIB, 0)
        || !patch (run, riff + 4, 4, 0))
      return FALSE;
    riff = run->position;
  }
  return patch (run, 0, 2 * KIB, 0);
}

static gboolean
pattern_hole (Run *run)
{
  if (!put_body (run, run->load->bytes / 2)
      || !go (run, run->position + 512 * (guint64) MIB))
    return FALSE;
  return put_body (run, G_MAXUINT64);
}

/* No muxer: 8 bytes in every MiB, from the last to the first and back, twice,
 * without ever resuming. Whatever waits for new data to come along waits for
 * ever. */
static gboolean
pattern_scatter (Run *run)
{
  guint64 n, i;
  guint pass;

  if (!put_body (run, G_MAXUINT64))
    return FALSE;
  n = run->high_water / MIB;
  for (pass = 0; pass < 4; pass++)
    for (i = 0; i < n; i++) {
      guint64 mib = pass % 2 == 0 ? n - 1 - i : i;

      if (!go (run, mib * MIB + 5000 * (pass + 1)) || !put (run, 8, 0))
        return FALSE;
    }
  return TRUE;
}

/* --- the table --- */

static const struct
{
  const gchar *name;
  gboolean (*play) (Run *run);
  const gchar *what;
} patterns[] = {
  { "none", pattern_none, "forward only" },
  { "mkv", pattern_mkv,
      "8 bytes at each cluster's start, resume; head at EOS" },
  { "head", pattern_head, "44 bytes at 0 at EOS" },
  { "random", pattern_random, "8 bytes anywhere every --patch-every, resume" },
  { "rewrite", pattern_rewrite, "the whole file, twice" },
  { "faststart", pattern_faststart, "moov, then 4 KiB buffers, never paced" },
  { "robust", pattern_robust, "moov rewritten in a hole, with barriers" },
  { "prefill", pattern_prefill, "256 KiB of moov at the start, again at EOS" },
  { "fragment", pattern_fragment, "16 bytes at each fragment's start, resume" },
  { "avi", pattern_avi,
      "a header each --patch-every; head at EOS, back to the end" },
  { "hole", pattern_hole, "512 MiB left out in the middle" },
  { "scatter", pattern_scatter, "the body, then 8 bytes in each MiB, 4 times" },
};

static gint
find_pattern (const gchar *name)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (patterns); i++)
    if (g_str_equal (patterns[i].name, name))
      return i;
  return -1;
}

gboolean
bench_load_exists (const gchar *pattern)
{
  return find_pattern (pattern) >= 0;
}

gchar *
bench_load_list (void)
{
  GString *text = g_string_new (NULL);
  guint i;

  for (i = 0; i < G_N_ELEMENTS (patterns); i++)
    g_string_append_printf (
        text, "  %-10s %s\n", patterns[i].name, patterns[i].what);
  return g_string_free (text, FALSE);
}

gboolean
bench_load_run (const gchar *pattern, const BenchLoad *load,
    const BenchTarget *target, BenchLoadResult *result)
{
  gint index = find_pattern (pattern);
  Run run = { .load = load, .target = target, .body_left = load->bytes };
  gboolean ok;

  if (index < 0)
    return FALSE;
  run.rand = g_rand_new_with_seed (load->seed);
  ok = patterns[index].play (&run);
  g_rand_free (run.rand);
  result->bytes_written = run.bytes_written;
  result->final_size = run.high_water;
  result->seeks = run.seeks;
  return ok;
}
