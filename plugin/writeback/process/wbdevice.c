/* wbfilesink: files that share a disk
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "process/wbdevice.h"

#include "system/wbmemory.h"
#include "system/wbthread.h"

struct _WbDevice
{
  dev_t number;
  guint users;
  WbTurns *turns;
  guint active;
  guint64 given;  /* by the environment, bytes; 0: it says nothing */
  guint64 kernel; /* where the kernel makes writers wait, bytes */
  guint64 memory; /* what there is, bytes */
  guint64 bound;
  WbBudgetReason reason;
  guint64 dirty;
  guint64 drained;
  gboolean reserving;

  gint64 looked_us;
  guint64 reads; /* then, bytes; G_MAXUINT64: not known */
  guint64 drained_then;
  gboolean is_read;
};

#define LOOK_US G_USEC_PER_SEC
/* Of what is written: less than this part is not what keeps the head busy. */
#define READ_PART 8

static WbLock lock = WB_LOCK_INIT;
static WbCond turn_is_over;
static GSList *devices;

static guint64
given_bound (void)
{
  const gchar *text = g_getenv (WB_DEVICE_DIRTY_ENVIRONMENT);
  guint64 bound = 0;

  if (text == NULL
      || !g_ascii_string_to_unsigned (text, 10, 1, G_MAXUINT64, &bound, NULL))
    return 0;
  return bound;
}

/* With the lock. */
static void
update_bound (WbDevice *device)
{
  if (device->given != 0) {
    device->bound = device->given;
    device->reason = WB_BUDGET_GIVEN;
    return;
  }
  device->bound = wb_budget_dirty (
      device->active, device->kernel, device->memory, &device->reason);
}

static WbDevice *
new_device (dev_t number)
{
  WbDevice *device = g_new0 (WbDevice, 1);

  device->number = number;
  device->reads = G_MAXUINT64;
  device->turns = wb_turns_new ();
  device->given = given_bound ();
  device->kernel = wb_memory_dirty_limit (number);
  device->memory = wb_memory_size ();
  update_bound (device);
  return device;
}

WbDevice *
wb_device_get (dev_t number)
{
  WbDevice *device = NULL;

  wb_lock_acquire (&lock);
  for (GSList *link = devices; link != NULL && device == NULL;
       link = link->next)
    if (((WbDevice *) link->data)->number == number)
      device = link->data;
  if (device == NULL) {
    device = new_device (number);
    devices = g_slist_prepend (devices, device);
  }
  device->users++;
  wb_lock_release (&lock);
  return device;
}

void
wb_device_put (WbDevice *device)
{
  wb_lock_acquire (&lock);
  if (--device->users == 0) {
    devices = g_slist_remove (devices, device);
    wb_turns_free (device->turns);
    g_free (device);
  }
  wb_lock_release (&lock);
}

WbTurns *
wb_device_turns (WbDevice *device)
{
  return device->turns;
}

guint64
wb_device_budget (WbDevice *device, WbBudgetReason *reason)
{
  guint64 bound;

  wb_lock_acquire (&lock);
  bound = device->bound;
  *reason = device->reason;
  wb_lock_release (&lock);
  return bound;
}

guint
wb_device_active (WbDevice *device)
{
  guint active;

  wb_lock_acquire (&lock);
  active = device->active;
  wb_lock_release (&lock);
  return active;
}

void
wb_device_enter (WbDevice *device)
{
  wb_lock_acquire (&lock);
  device->active++;
  update_bound (device);
  wb_lock_release (&lock);
}

void
wb_device_leave (WbDevice *device)
{
  wb_lock_acquire (&lock);
  device->active--;
  update_bound (device);
  wb_lock_release (&lock);
}

void
wb_device_count_dirty (WbDevice *device, guint64 before, guint64 now)
{
  wb_lock_acquire (&lock);
  device->dirty += now - before;
  wb_lock_release (&lock);
}

guint64
wb_device_count_drained (WbDevice *device, guint64 bytes)
{
  guint64 drained;

  wb_lock_acquire (&lock);
  drained = device->drained += bytes;
  wb_lock_release (&lock);
  return drained;
}

gboolean
wb_device_has_room (WbDevice *device, guint64 bytes)
{
  gboolean room;

  wb_lock_acquire (&lock);
  room = device->dirty + bytes <= device->bound;
  wb_lock_release (&lock);
  return room;
}

guint64
wb_device_share (WbDevice *device)
{
  guint64 share;

  wb_lock_acquire (&lock);
  share = device->bound / MAX (device->active, 1);
  wb_lock_release (&lock);
  return share;
}

guint64
wb_device_part (WbDevice *device, guint64 bytes, guint64 rate, guint64 all_rate)
{
  guint64 even, own = bytes;

  wb_lock_acquire (&lock);
  even = bytes / MAX (device->active, 1);
  wb_lock_release (&lock);
  if (rate < all_rate)
    own = (guint64) ((gdouble) bytes * (gdouble) rate / (gdouble) all_rate);
  return MAX (even, own);
}

/* With the lock. */
static void
note_reads (WbDevice *device, guint64 reads)
{
  guint64 drained = device->drained - device->drained_then;

  device->is_read = reads != G_MAXUINT64 && device->reads != G_MAXUINT64
      && drained > 0 && (reads - device->reads) >= drained / READ_PART;
  device->reads = reads;
  device->drained_then = device->drained;
}

void
wb_device_look_for_reads (WbDevice *device)
{
  gint64 now = g_get_monotonic_time ();
  gboolean due;
  guint64 reads;

  wb_lock_acquire (&lock);
  due = now - device->looked_us >= LOOK_US;
  if (due)
    device->looked_us = now;
  wb_lock_release (&lock);
  if (!due)
    return;
  reads = wb_memory_disk_reads (device->number);
  wb_lock_acquire (&lock);
  note_reads (device, reads);
  wb_lock_release (&lock);
}

gboolean
wb_device_is_read (WbDevice *device)
{
  gboolean is_read;

  wb_lock_acquire (&lock);
  is_read = device->is_read;
  wb_lock_release (&lock);
  return is_read;
}

gboolean
wb_device_take_turn (WbDevice *device)
{
  static gsize ready = 0;
  gint64 deadline = g_get_monotonic_time () + WB_DEVICE_TURN_US;
  gboolean taken;

  if (g_once_init_enter (&ready)) {
    wb_cond_init (&turn_is_over);
    g_once_init_leave (&ready, 1);
  }
  wb_lock_acquire (&lock);
  while (
      device->reserving && wb_cond_wait_until (&turn_is_over, &lock, deadline))
    ;
  taken = !device->reserving;
  device->reserving = TRUE;
  wb_lock_release (&lock);
  return taken;
}

void
wb_device_end_turn (WbDevice *device)
{
  wb_lock_acquire (&lock);
  device->reserving = FALSE;
  wb_cond_broadcast (&turn_is_over);
  wb_lock_release (&lock);
}

guint
wb_device_count (void)
{
  guint count;

  wb_lock_acquire (&lock);
  count = g_slist_length (devices);
  wb_lock_release (&lock);
  return count;
}
