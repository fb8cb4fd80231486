/* wbfilesink: files that share a disk
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "process/wbdevice.h"

#include <pthread.h>

struct _WbDevice
{
  dev_t number;
  guint users;
  guint active;
  guint64 bound;
  guint64 dirty;
  guint64 drained;
  gboolean reserving;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_is_over;
static GSList *devices;

static guint64
configured_bound (void)
{
  const gchar *text = g_getenv (WB_DEVICE_DIRTY_ENVIRONMENT);
  guint64 bound = 0;

  if (text == NULL
      || !g_ascii_string_to_unsigned (text, 10, 1, G_MAXUINT64, &bound, NULL))
    return WB_DEVICE_DIRTY_BYTES;
  return bound;
}

WbDevice *
wb_device_get (dev_t number)
{
  WbDevice *device = NULL;

  pthread_mutex_lock (&lock);
  for (GSList *link = devices; link != NULL && device == NULL;
       link = link->next)
    if (((WbDevice *) link->data)->number == number)
      device = link->data;
  if (device == NULL) {
    device = g_new0 (WbDevice, 1);
    device->number = number;
    device->bound = configured_bound ();
    devices = g_slist_prepend (devices, device);
  }
  device->users++;
  pthread_mutex_unlock (&lock);
  return device;
}

void
wb_device_put (WbDevice *device)
{
  pthread_mutex_lock (&lock);
  if (--device->users == 0) {
    devices = g_slist_remove (devices, device);
    g_free (device);
  }
  pthread_mutex_unlock (&lock);
}

void
wb_device_enter (WbDevice *device)
{
  pthread_mutex_lock (&lock);
  device->active++;
  pthread_mutex_unlock (&lock);
}

void
wb_device_leave (WbDevice *device)
{
  pthread_mutex_lock (&lock);
  device->active--;
  pthread_mutex_unlock (&lock);
}

void
wb_device_count_dirty (WbDevice *device, guint64 before, guint64 now)
{
  pthread_mutex_lock (&lock);
  device->dirty += now - before;
  pthread_mutex_unlock (&lock);
}

guint64
wb_device_count_drained (WbDevice *device, guint64 bytes)
{
  guint64 drained;

  pthread_mutex_lock (&lock);
  drained = device->drained += bytes;
  pthread_mutex_unlock (&lock);
  return drained;
}

gboolean
wb_device_has_room (WbDevice *device, guint64 bytes)
{
  gboolean room;

  pthread_mutex_lock (&lock);
  room = device->dirty + bytes <= device->bound;
  pthread_mutex_unlock (&lock);
  return room;
}

guint64
wb_device_share (WbDevice *device)
{
  guint64 share;

  pthread_mutex_lock (&lock);
  share = device->bound / MAX (device->active, 1);
  pthread_mutex_unlock (&lock);
  return share;
}

guint64
wb_device_part (WbDevice *device, guint64 bytes, guint64 rate, guint64 all_rate)
{
  guint64 even, own = bytes;

  pthread_mutex_lock (&lock);
  even = bytes / MAX (device->active, 1);
  pthread_mutex_unlock (&lock);
  if (rate < all_rate)
    own = (guint64) ((gdouble) bytes * (gdouble) rate / (gdouble) all_rate);
  return MAX (even, own);
}

static void
init_turn (void)
{
  pthread_condattr_t attributes;

  pthread_condattr_init (&attributes);
#ifndef __APPLE__
  pthread_condattr_setclock (&attributes, CLOCK_MONOTONIC);
#endif
  pthread_cond_init (&turn_is_over, &attributes);
  pthread_condattr_destroy (&attributes);
}

gboolean
wb_device_take_turn (WbDevice *device)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  gint64 end = g_get_monotonic_time () + WB_DEVICE_TURN_US;
  struct timespec deadline = { end / G_USEC_PER_SEC,
    end % G_USEC_PER_SEC * 1000 };
  gboolean taken;

  pthread_once (&once, init_turn);
  pthread_mutex_lock (&lock);
  while (device->reserving
      && pthread_cond_timedwait (&turn_is_over, &lock, &deadline) == 0)
    ;
  taken = !device->reserving;
  device->reserving = TRUE;
  pthread_mutex_unlock (&lock);
  return taken;
}

void
wb_device_end_turn (WbDevice *device)
{
  pthread_mutex_lock (&lock);
  device->reserving = FALSE;
  pthread_cond_broadcast (&turn_is_over);
  pthread_mutex_unlock (&lock);
}

guint
wb_device_count (void)
{
  guint count;

  pthread_mutex_lock (&lock);
  count = g_slist_length (devices);
  pthread_mutex_unlock (&lock);
  return count;
}
