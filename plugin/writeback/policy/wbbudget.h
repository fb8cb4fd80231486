/* wbfilesink: what all files of a process may take together
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Pure arithmetic: how many bytes may be dirty on one disk, and how many may wait in
 * the queues, from the memory that there is and the number of files.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Of one disk, unless there is reason for more or less: four files with the default
 * window are not held back by it. */
#define WB_BUDGET_DIRTY (G_GUINT64_CONSTANT (256) << 20)
/* Each file with dirty bytes: a piece in flight and one that is collected, of a size
 * that a disk which seeks can afford (64 recorders on a model of one: 2 MB a file 1.2
 * MB a seek, 8 MB 3 and more). */
#define WB_BUDGET_FILE (G_GUINT64_CONSTANT (8) << 20)
/* All queues together. */
#define WB_BUDGET_QUEUES (G_GUINT64_CONSTANT (192) << 20)

/* What makes a budget as large as it is. */
typedef enum
{
  WB_BUDGET_USUAL,
  WB_BUDGET_FILES,  /* each has enough */
  WB_BUDGET_KERNEL, /* beyond it the kernel makes writers wait */
  WB_BUDGET_MEMORY,
  WB_BUDGET_GIVEN /* by the environment */
} WbBudgetReason;

/* Bytes that `files` may have dirty on one disk. `kernel` is where the kernel makes
 * writers wait, `memory` what there is; G_MAXUINT64: not known. */
guint64 wb_budget_dirty (
    guint files, guint64 kernel, guint64 memory, WbBudgetReason *reason);
/* Bytes that each of `files` may have in its queue. */
guint64 wb_budget_queue (guint files, guint64 memory);
const char *wb_budget_reason_name (WbBudgetReason reason);

G_END_DECLS
