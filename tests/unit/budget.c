/* What all files of a process may take together.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "policy/wbbudget.h"

#define MIB (G_GUINT64_CONSTANT (1) << 20)
#define GIB (1024 * MIB)
#define UNKNOWN G_MAXUINT64

static void
assert_dirty (guint files, guint64 kernel, guint64 memory, guint64 bytes,
    WbBudgetReason reason)
{
  WbBudgetReason why;

  g_assert_cmpuint (wb_budget_dirty (files, kernel, memory, &why), ==, bytes);
  g_assert_cmpint (why, ==, reason);
}

static void
test_dirty (void)
{
  assert_dirty (1, UNKNOWN, UNKNOWN, 256 * MIB, WB_BUDGET_USUAL);
  assert_dirty (32, UNKNOWN, UNKNOWN, 256 * MIB, WB_BUDGET_USUAL);
  assert_dirty (64, UNKNOWN, UNKNOWN, 512 * MIB, WB_BUDGET_FILES);
  assert_dirty (64, 800 * MIB, UNKNOWN, 400 * MIB, WB_BUDGET_KERNEL);
  assert_dirty (64, 800 * MIB, 2 * GIB, 256 * MIB, WB_BUDGET_MEMORY);
  assert_dirty (1, 0, UNKNOWN, 0, WB_BUDGET_KERNEL);
  assert_dirty (1, UNKNOWN, 32 * MIB, 4 * MIB, WB_BUDGET_MEMORY);
}

/* All queues together stay below the bound, whatever the number of files. */
static void
test_queues (void)
{
  g_assert_cmpuint (wb_budget_queue (0, UNKNOWN), ==, 192 * MIB);
  g_assert_cmpuint (wb_budget_queue (1, UNKNOWN), ==, 192 * MIB);
  g_assert_cmpuint (wb_budget_queue (64, UNKNOWN), ==, 3 * MIB);
  for (guint files = 1; files <= 192; files++)
    g_assert_cmpuint (files * wb_budget_queue (files, 24 * GIB), <=, 192 * MIB);
  g_assert_cmpuint (wb_budget_queue (1, 32 * MIB), ==, 3 * MIB);
  g_assert_cmpuint (wb_budget_queue (64, 32 * MIB), ==, MIB);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/budget/dirty", test_dirty);
  g_test_add_func ("/budget/queues", test_queues);
  return g_test_run ();
}
