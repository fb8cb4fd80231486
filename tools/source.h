/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "tsstreams.h"

G_BEGIN_DECLS

/* What was read from the input beforehand, to help its demuxer. Either may be
 * NULL. */
typedef struct
{
  GstStructure *dvd_streams; /* dvdstreams.c */
  TsStreams *ts_streams;     /* tsstreams.c */
} SourceHelp;

GstElement *make_element (const gchar *factory, GError **error);
GstElement *source_add (GstElement *pipeline, const gchar *input,
    const SourceHelp *help, GError **error);
void source_answer_queries (GstElement *parsebin, GstCaps *caps);

G_END_DECLS
