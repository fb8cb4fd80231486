/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "source.h"

G_BEGIN_DECLS

/* The inputs that the @n @words stand for: an Input each, or fewer where files are
 * pieces of one stream. A disc is open, and no title of it is chosen. NULL and
 * @error, which names the word, if one cannot be used. */
GPtrArray *inputs_open (gchar **words, guint n, GError **error);

G_END_DECLS
