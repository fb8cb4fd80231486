/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "inputs.h"
#include "tsstreams.h"

G_BEGIN_DECLS

/* What was read from the input beforehand, to help its demuxer. Either may be
 * NULL. */
typedef struct
{
  GstStructure *dvd_streams; /* dvdstreams.c */
  TsStreams *ts_streams;     /* tsstreams.c */
} SourceHelp;

/* The reading half of a pipeline, in a bin of its own. */
typedef struct
{
  GstElement *bin;
  GstElement *reader; /* these two belong to the bin */
  GstElement *parsebin;
  const SourceHelp *help;
  gsize read; /* bytes; atomic */
} Source;

GstElement *make_element (const gchar *factory, GError **error);
Source *source_new (
    const Input *input, const SourceHelp *help, GstCaps *caps, GError **error);
void source_free (Source *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Source, source_free)

G_END_DECLS
