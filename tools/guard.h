/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* What threads that may wait have in common: whether the user wants an end, and
 * whether anything has moved lately. */
typedef enum
{
  GUARD_GO,
  GUARD_FINISH, /* a whole file of what is there */
  GUARD_STOP    /* none */
} GuardLevel;

typedef struct
{
  gint level;      /* GuardLevel, atomic */
  gint64 moved;    /* monotonic us, atomic: something was read or written */
  gint64 patience; /* us; 0: endless */
} Guard;

static inline GuardLevel
guard_get_level (Guard *self)
{
  return g_atomic_int_get (&self->level);
}

static inline void
guard_touch (Guard *self)
{
  __atomic_store_n (&self->moved, g_get_monotonic_time (), __ATOMIC_RELAXED);
}

static inline gint64
guard_get_idle (Guard *self)
{
  return g_get_monotonic_time ()
      - __atomic_load_n (&self->moved, __ATOMIC_RELAXED);
}

static inline gboolean
guard_is_stuck (Guard *self)
{
  return self->patience > 0 && guard_get_idle (self) > self->patience;
}

G_END_DECLS
