/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* What libavformat says while it works, kept instead of printed. For the whole
 * process; any thread. */
void av_log_keep (void);
/* The last complaint since the last call, without its context, or NULL. */
gchar *av_log_take (void);
/* How many codecs of this name libavformat did not know since the last call. */
guint av_log_take_unknown (const gchar *codec);
/* A libav error in words: the last complaint if there is one, else the code's
 * own. */
gchar *av_log_describe (gint code);

G_END_DECLS
