/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "report.h"

G_BEGIN_DECLS

/* --list: titles and tracks, in words or JSON. FALSE and @error if an input cannot
 * be read. */
gboolean list_inputs (GPtrArray *inputs, const SourceOptions *options,
    Guard *guard, Report *report, GError **error);
/* "title 2 (00800.mpls), 1:52:07, 24 chapters, 2 angles" */
gchar *list_describe_title (const DiscTitle *title);

G_END_DECLS
