/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "source.h"
#include "tracks.h"

#include <gio/gio.h>

G_BEGIN_DECLS

/* What a first look at the input has found. */
typedef struct
{
  GPtrArray *tracks;      /* of Track, in the input's order */
  GstClockTimeDiff start; /* running time of the earliest kept buffer */
  gboolean has_dts;       /* the output: it begins with the first DTS */
  guint n_kept;
  guint n_listed;             /* tracks that a transport stream's tables list */
  GstClockTime duration;      /* as the input declares it, or NONE */
  GstToc *toc;                /* its chapters, or NULL */
  GstClockTimeDiff toc_start; /* where the output begins, in their time */
  SourceHelp help;
} Inspection;

Inspection *inspect_input (const Input *input, GstElement *muxer,
    GCancellable *cancellable, GError **error);
void inspection_count_kept (Inspection *self);
Track *inspection_find (Inspection *self, const gchar *id);
void inspection_free (Inspection *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Inspection, inspection_free)

G_END_DECLS
