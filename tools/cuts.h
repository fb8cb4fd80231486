/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

gboolean cuts_go_on (const gchar *first, const gchar *next);

G_END_DECLS
