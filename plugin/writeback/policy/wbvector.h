/* wbfilesink: a piece of memory to be written
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Laid out as struct iovec is on every system that has one, so that a table of
 * system calls can hand an array of them on (it asserts that it is so).
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct
{
  void *data;
  gsize size; /* bytes */
} WbVector;

G_END_DECLS
