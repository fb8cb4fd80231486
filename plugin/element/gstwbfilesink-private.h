/* wbfilesink: the element, to its own parts
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Each part owns its struct and is the only one to touch its fields; the others
 * use its functions. From the bottom up, each calls what stands below it only:
 *
 *   wbcurrent    which file is open
 *   wbsettings   the properties
 *   wbmessages   what is posted and logged
 *   wberrors     errors, one a file
 *   wblistener   what the file's threads have to say
 *   gstwbfilesink.c
 *
 * The type stands above them all, so they cast to it without its check.
 */
#pragma once

#include "element/gstwbfilesink.h"
#include "element/wbcurrent.h"
#include "element/wberrors.h"
#include "element/wblistener.h"
#include "element/wbmessages.h"
#include "element/wbsettings.h"

G_BEGIN_DECLS

/* Of all parts. */
GST_DEBUG_CATEGORY_EXTERN (gst_wb_file_sink_debug);
#define GST_CAT_DEFAULT gst_wb_file_sink_debug

struct _GstWbFileSink
{
  GstBaseSink parent;

  WbCurrent current;
  WbSettings settings;
  WbMessages messages;
  WbErrors errors;
  const WbSys *sys; /* of files from now on; under the object lock */

  gint paused; /* atomic: between PLAYING and the next PLAYING */
  GstAllocator *system_memory; /* constant */

  /* --- of the streaming thread --- */
  GstClockTime first_time, last_time; /* of the buffers */
  guint64 pushed;                     /* bytes */
  guint64 ask_duration_at;            /* bytes; G_MAXUINT64: not any more */
};

G_END_DECLS
