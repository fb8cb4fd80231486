/* wbfilesink: the URI handler
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * file:// as another way to say the location, which the settings own. Any thread
 * may enter.
 */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* For G_IMPLEMENT_INTERFACE, of this element's type only. */
void wb_uri_handler_init (gpointer iface, gpointer iface_data);

G_END_DECLS
