/* wbfilesink: the element
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/base/gstbasesink.h>
#include <gst/gst.h>

#include "file/wbfile.h"

G_BEGIN_DECLS

#define GST_TYPE_WB_FILE_SINK (gst_wb_file_sink_get_type ())
G_DECLARE_FINAL_TYPE (
    GstWbFileSink, gst_wb_file_sink, GST, WB_FILE_SINK, GstBaseSink)

GST_ELEMENT_REGISTER_DECLARE (wbfilesink);

/* For tests: the table of system calls that files opened from now on use.
 * NULL: the platform's. The table must outlive the files and their threads. */
void gst_wb_file_sink_set_sys (GstWbFileSink *self, const WbSys *sys);

G_END_DECLS
