/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "source.h"

G_BEGIN_DECLS

/* A thread that reads an input ahead, as far as a few MB. */
typedef struct _Reader Reader;

Reader *reader_start (Source *source, Guard *guard);
/* The next packet and its track, which the caller owns; NULL at the end, whose
 * reason is in @code, or when the guard wants one. */
AVPacket *reader_take (Reader *self, Track **track, gint *code);
/* FALSE: the thread is stuck, and left behind; then the source cannot be freed,
 * and the process should end soon. */
gboolean reader_stop (Reader *self);

G_END_DECLS
