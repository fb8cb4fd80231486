/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Running whole pipelines in tests: one that needs an element which is not
 * installed is skipped and says so, one that errs or hangs fails.
 */

#pragma once

#include "wbtest.h"

G_BEGIN_DECLS

/* In seconds; only to catch a hang */
#define WB_PIPE_PATIENCE 120

/* NULL if elements are missing: *missing names them. Any other mistake in the
 * description ends the program. */
GstElement *wb_pipe_parse (const gchar *description, gchar **missing);

/* To EOS. FALSE and what went wrong in *problem else. The pipeline is left as
 * it is. */
gboolean wb_pipe_run (GstElement *pipeline, gchar **problem);

/* A pipeline's element by its name, to be unreferenced */
GstElement *wb_pipe_get (GstElement *pipeline, const gchar *name);

G_END_DECLS
