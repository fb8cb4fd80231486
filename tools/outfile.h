/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "source.h"

#include <gio/gio.h>

G_BEGIN_DECLS

/* The file a run makes: written as OUTPUT.part, named OUTPUT when it is
 * whole; or written under its name. Used from one thread. */
typedef struct _OutFile OutFile;

typedef struct
{
  gboolean force;    /* replace what is there */
  gboolean in_place; /* no OUTPUT.part */
} OutFileOptions;

OutFile *out_file_claim (const gchar *output, GPtrArray *inputs,
    OutFileOptions options, GError **error);
const gchar *out_file_get_path (const OutFile *self);
gboolean out_file_keep (OutFile *self, GError **error);
gboolean out_file_sync_name (OutFile *self, GError **error);
/* For another thread, when the process ends: nothing is left behind. */
void out_file_abandon (const OutFile *self);
void out_file_free (OutFile *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (OutFile, out_file_free)

G_END_DECLS
