/* wbfilesink benchmark: what wbbench is asked to do
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "benchwatch.h"

G_BEGIN_DECLS

typedef struct
{
  gchar *sink;
  gchar *location;
  gchar *bytes_text;
  gchar *buffer_size_text;
  gchar *patch_every_text;
  gchar *warm_text;
  gchar *notify_at_text;
  gchar *pattern;
  gchar *input;
  gchar *device;
  gchar *look_at;
  gchar *timeline;
  gint list;
  gint sinks;
  gint sample_ms;
  gint seed;
  gdouble rate;
  gdouble stagger;
  gdouble live;
  gboolean allocate;
  gboolean stamp;
  gboolean keep;

  guint64 bytes;
  guint64 buffer_size;
  guint64 patch_every;
  guint64 warm;
  guint64 notify_at[BENCH_NOTIFY_MAX];
} BenchOptions;

/* FALSE with a word on stderr if they make no sense. The defaults are set
 * before; strings are the options' own. */
gboolean bench_options_parse (BenchOptions *options, int *argc, char ***argv);
void bench_options_clear (BenchOptions *options);

G_END_DECLS
