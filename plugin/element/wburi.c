/* wbfilesink: the URI handler
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "element/wburi.h"

#include <string.h>

#include "element/gstwbfilesink-private.h"

static GstURIType
get_type (GType type)
{
  return GST_URI_SINK;
}

static const gchar *const *
get_protocols (GType type)
{
  static const gchar *const protocols[] = { "file", NULL };

  return protocols;
}

static gchar *
get_uri (GstURIHandler *handler)
{
  GstWbFileSink *self = (GstWbFileSink *) handler;

  return wb_settings_get_uri (self);
}

static gboolean
set_uri (GstURIHandler *handler, const gchar *uri, GError **error)
{
  GstWbFileSink *self = (GstWbFileSink *) handler;
  g_autofree gchar *location = NULL;

  /* Applications probe with the bare scheme whether anybody handles it. */
  if (strcmp (uri, "file://") == 0)
    return wb_settings_set_location (self, NULL, error);

  /* The local host may be named; any other cannot be reached this way. */
  if (g_str_has_prefix (uri, "file://localhost/")) {
    g_autofree gchar *bare =
        g_strconcat ("file://", uri + strlen ("file://localhost"), NULL);

    location = gst_uri_get_location (bare);
  } else {
    location = gst_uri_get_location (uri);
  }
  if (location == NULL) {
    g_set_error_literal (error, GST_URI_ERROR, GST_URI_ERROR_BAD_URI,
        "File URI without location");
    return FALSE;
  }
  if (!g_path_is_absolute (location)) {
    g_set_error_literal (error, GST_URI_ERROR, GST_URI_ERROR_BAD_URI,
        "File URI location must be an absolute path");
    return FALSE;
  }
  return wb_settings_set_location (self, location, error);
}

void
wb_uri_handler_init (gpointer iface, gpointer iface_data)
{
  GstURIHandlerInterface *handler = iface;

  handler->get_type = get_type;
  handler->get_protocols = get_protocols;
  handler->get_uri = get_uri;
  handler->set_uri = set_uri;
}
