/* wbfilesink benchmark: a modelled device as a file for a loop device
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "model.h"

G_BEGIN_DECLS

typedef struct _ModelDisk ModelDisk;

/* @forget: bytes of timed writes of that length and more are not kept, and
 * read back as what was there before; 0: all are kept. NULL with a word on
 * stderr. */
ModelDisk *model_disk_new (
    const ModelKind *kind, const ModelSettings *settings, gsize forget);
/* Serves it on @mount_point until it is unmounted or a signal ends us; FALSE
 * with a word on stderr if it could not be mounted. */
gboolean model_disk_serve (ModelDisk *disk, const gchar *mount_point);
void model_disk_free (ModelDisk *disk);

G_END_DECLS
