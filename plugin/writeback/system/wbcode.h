/* wbfilesink: what an error number means
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The one place that says what a failed call means. Refusals of a hint lose
 * nothing; anything else that write-out control, a write, a sync or a close
 * reports is lost data.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The system has no such call for this target. */
gboolean wb_code_is_refusal (int code);
/* The disk or a quota is full. */
gboolean wb_code_is_no_space (int code);

G_END_DECLS
