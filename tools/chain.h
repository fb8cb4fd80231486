/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "remux.h"

G_BEGIN_DECLS

/* Which tracks of a later input go on with which of the first one's; sets
 * Track.follows. FALSE and @error if its picture does not. */
gboolean chain_match (GPtrArray *first, Source *source,
    const AVOutputFormat *format, GError **error);
/* Tells what does not go on. Whether something of the input is left out. */
gboolean chain_report (
    Source *source, guint number, RemuxTell tell, gpointer user_data);

G_END_DECLS
