/* wbfilesink: what all files of a process may take together
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "policy/wbbudget.h"

/* Others want memory too: dirty pages and queues have an eighth of it each, at
 * most. */
#define MEMORY_PART 8
/* And other processes write to the disk. */
#define KERNEL_PART 2
/* No queue below this, whatever there is: a batch. */
#define QUEUE_LEAST (G_GUINT64_CONSTANT (1) << 20)

guint64
wb_budget_dirty (
    guint files, guint64 kernel, guint64 memory, WbBudgetReason *reason)
{
  guint64 budget = WB_BUDGET_DIRTY, all = files * WB_BUDGET_FILE;

  *reason = WB_BUDGET_USUAL;
  if (all > budget) {
    budget = all;
    *reason = WB_BUDGET_FILES;
  }
  if (kernel / KERNEL_PART < budget) {
    budget = kernel / KERNEL_PART;
    *reason = WB_BUDGET_KERNEL;
  }
  if (memory / MEMORY_PART < budget) {
    budget = memory / MEMORY_PART;
    *reason = WB_BUDGET_MEMORY;
  }
  return budget;
}

guint64
wb_budget_queue (guint files, guint64 memory)
{
  guint64 all = MIN (WB_BUDGET_QUEUES, memory / MEMORY_PART / 4 * 3);

  return MAX (all / MAX (files, 1), QUEUE_LEAST);
}

const char *
wb_budget_reason_name (WbBudgetReason reason)
{
  static const char *const names[] = { "the usual", "enough for each file",
    "beyond it the kernel makes writers wait", "a part of the memory",
    "as the environment says" };

  return names[reason];
}
