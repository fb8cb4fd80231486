/* wbfilesink: the element, to its own parts
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Each part owns its struct and is the only one to touch its fields; the others
 * use its functions. From the bottom up, each calls what stands below it only:
 *
 *   wbcurrent         which file is open
 *   wbenums, wbspecs, wbstats
 *                     what properties there are; they know no element
 *   wbsettings        the properties
 *   wbmessages        what is posted and logged
 *   wberrors          errors, one a file
 *   wblistener        what the file's threads have to say
 *   wbsize            how large the stream will be
 *   wbwait            what waits under the preroll lock
 *   wbfeed            buffers into the file
 *   wburi             the URI handler
 *   gstwbfilesink     the type and its virtual functions
 *
 * The type stands above them all, so they cast to it without its check.
 */
#pragma once

#include "element/gstwbfilesink.h"
#include "element/wbcurrent.h"
#include "element/wberrors.h"
#include "element/wbfeed.h"
#include "element/wblistener.h"
#include "element/wbmessages.h"
#include "element/wbsettings.h"
#include "element/wbsize.h"
#include "element/wbwait.h"

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
  WbSize size;
  WbWait wait;
  WbFeed feed;

  /* --- of gstwbfilesink.c, under the object lock --- */
  const WbSys *sys; /* of files that are opened from now on */
};

G_END_DECLS
