/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "remux.h"

G_BEGIN_DECLS

/* What the user sees, or the program that runs us. Any thread. */
typedef struct _Report Report;

typedef enum
{
  REPORT_TERMINAL, /* a line that is drawn over */
  REPORT_PLAIN,    /* a line now and then */
  REPORT_JSON,     /* an object a line, on standard output */
  REPORT_QUIET     /* errors and warnings only */
} ReportMode;

Report *report_new (ReportMode mode);
guint report_get_interval_ms (const Report *self);
void report_message (Report *self, const gchar *level, const gchar *format, ...)
    G_GNUC_PRINTF (3, 4);
void report_chosen (Report *self, const gchar *name, const gchar *text);
void report_title (Report *self, guint number, const gchar *name,
    const gchar *text, gint64 duration, guint n_chapters, guint n_angles,
    gboolean is_main);
void report_title_track (Report *self, guint title, const gchar *text, gint id,
    const gchar *kind, const gchar *codec, const gchar *language);
void report_inputs (Report *self, GPtrArray *inputs);
void report_tracks (Report *self, GPtrArray *tracks);
void report_begin (Report *self);
void report_progress (
    Report *self, const RemuxProgress *progress, const GstStructure *stats);
void report_result (Report *self, const gchar *output, GPtrArray *tracks,
    const RemuxProgress *progress, const GstStructure *stats,
    gboolean is_durable);
void report_exit (Report *self, gint status);
void report_free (Report *self);

G_END_DECLS
