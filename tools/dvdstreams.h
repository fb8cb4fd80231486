/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "joined.h"

#include <gio/gio.h>

G_BEGIN_DECLS

GstStructure *dvd_streams_scan (
    const Joined *input, GCancellable *cancellable, gboolean *is_scrambled);

G_END_DECLS
