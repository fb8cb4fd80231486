/* Files that share a disk: the bound is shared evenly among those with dirty
 * bytes, and the process-wide object goes with the last file.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "process/wbdevice.h"

static void
test_shared_evenly (void)
{
  WbDevice *device = wb_device_get (1), *again = wb_device_get (1);
  WbDevice *other = wb_device_get (2);

  g_assert_true (device == again);
  g_assert_cmpuint (wb_device_count (), ==, 2);
  g_assert_cmpuint (wb_device_share (device), ==, WB_DEVICE_DIRTY_BYTES);
  for (int i = 0; i < 16; i++)
    wb_device_enter (device);
  g_assert_cmpuint (wb_device_share (device), ==, WB_DEVICE_DIRTY_BYTES / 16);
  g_assert_cmpuint (wb_device_share (other), ==, WB_DEVICE_DIRTY_BYTES);
  for (int i = 0; i < 15; i++)
    wb_device_leave (device);
  g_assert_cmpuint (wb_device_share (device), ==, WB_DEVICE_DIRTY_BYTES);
  wb_device_put (device);
  wb_device_put (again);
  wb_device_put (other);
  g_assert_cmpuint (wb_device_count (), ==, 0);
}

/* Four at full speed, one beside three that trickle, and one that nothing is
 * known of yet. */
static void
test_parts_of_a_fast_disk (void)
{
  WbDevice *device = wb_device_get (1), *again;

  g_assert_cmpuint (wb_device_part (device, 1600, 500, 500), ==, 1600);
  for (int i = 0; i < 4; i++)
    wb_device_enter (device);
  g_assert_cmpuint (wb_device_part (device, 1600, 500, 2000), ==, 400);
  g_assert_cmpuint (wb_device_part (device, 1600, 100, 2000), ==, 400);
  g_assert_cmpuint (wb_device_part (device, 1600, 1900, 2000), ==, 1520);
  g_assert_cmpuint (wb_device_part (device, 1600, 2100, 2000), ==, 1600);
  g_assert_cmpuint (wb_device_part (device, 1600, 0, 0), ==, 1600);

  again = wb_device_get (1);
  g_assert_cmpuint (wb_device_count_drained (device, 70), ==, 70);
  g_assert_cmpuint (wb_device_count_drained (again, 30), ==, 100);
  g_assert_cmpuint (wb_device_count_drained (device, 0), ==, 100);
  wb_device_put (again);
  wb_device_put (device);
}

static void
test_environment (void)
{
  static const struct
  {
    const char *text;
    guint64 bound;
  } cases[] = { { "1000", 1000 }, { "0", WB_DEVICE_DIRTY_BYTES },
    { "12 MB", WB_DEVICE_DIRTY_BYTES }, { "", WB_DEVICE_DIRTY_BYTES } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    WbDevice *device;

    g_setenv (WB_DEVICE_DIRTY_ENVIRONMENT, cases[i].text, TRUE);
    device = wb_device_get (1);
    g_assert_cmpuint (wb_device_share (device), ==, cases[i].bound);
    wb_device_put (device);
  }
  g_unsetenv (WB_DEVICE_DIRTY_ENVIRONMENT);
}

static gpointer
take_and_end (gpointer data)
{
  WbDevice *device = data;
  gboolean taken = wb_device_take_turn (device);

  if (taken)
    wb_device_end_turn (device);
  return GINT_TO_POINTER (taken);
}

/* One at a time; who hangs with it keeps the others for a moment, not more. */
static void
test_turns (void)
{
  WbDevice *device = wb_device_get (1), *other = wb_device_get (2);
  GThread *thread;

  g_assert_true (wb_device_take_turn (device));
  g_assert_true (take_and_end (other) != NULL);
  g_assert_null (take_and_end (device));
  thread = g_thread_new ("waits", take_and_end, device);
  wb_device_end_turn (device);
  g_assert_nonnull (g_thread_join (thread));
  g_assert_nonnull (take_and_end (device));
  wb_device_put (device);
  wb_device_put (other);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/device/shared-evenly", test_shared_evenly);
  g_test_add_func ("/device/parts-of-a-fast-disk", test_parts_of_a_fast_disk);
  g_test_add_func ("/device/environment", test_environment);
  g_test_add_func ("/device/turns", test_turns);
  return g_test_run ();
}
