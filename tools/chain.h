/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "inspect.h"

G_BEGIN_DECLS

/* How far a track has come on the output's timeline, when an input ends. */
typedef struct
{
  const Track *track;    /* of the input that follows, or NULL */
  GstClockTime end;      /* of its last frame; NONE: it has had none */
  GstClockTime duration; /* of a frame */
} ChainEnd;

/* Of the tracks of an input that follows, for each of the first input's kept
 * ones the one that goes on in it, or NULL. The caller frees the array. */
GPtrArray *chain_match (Inspection *first, Inspection *next, GError **error);

GstClockTimeDiff chain_get_shift (
    const Inspection *next, const ChainEnd *ends, guint n);

G_END_DECLS
