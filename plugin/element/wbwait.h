/* wbfilesink: what waits under the preroll lock
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The streaming thread holds that lock, which each state change needs, while it
 * waits for the file: so each wait ends at unlock(), goes on in preroll, where
 * the lock is released, and is taken up again. Owns WbWait. The streaming thread
 * enters, and stop, which comes after it.
 */
#pragma once

#include "element/gstwbfilesink.h"

G_BEGIN_DECLS

typedef struct
{
  gint paused; /* atomic: between PLAYING and the next PLAYING */
} WbWait;

/* The state change, before the base class's. Any thread. */
void wb_wait_set_paused (WbWait *wait, gboolean paused);
/* After unlock(): waits in preroll, with the preroll lock released, for PLAYING
 * or for the end. A step comes back as the base class's own flow return. */
GstFlowReturn wb_wait_preroll (GstWbFileSink *self);
/* Asks for the finishing sync, waits for it, tells the world, and says how it went.
 * Streaming thread; lets others in when it is interrupted. */
GstFlowReturn wb_wait_eos (GstWbFileSink *self, WbFile *file);
/* The same for stop, if anything is left to be synced: not interruptible. */
void wb_wait_stop (GstWbFileSink *self, WbFile *file);
/* A call on the file does not return, and is not waited for any longer. A sync leaves
 * the bytes with the kernel, which is a warning, or an error, as the property says; a
 * write leaves them here, which is an error. TRUE: an error. */
gboolean wb_wait_give_up (GstWbFileSink *self, WbFile *file,
    const WbStall *stall, const gchar *consequence);
/* SYNC_AFTER: everything up to here is synced before this returns. */
GstFlowReturn wb_wait_barrier (GstWbFileSink *self);

G_END_DECLS
