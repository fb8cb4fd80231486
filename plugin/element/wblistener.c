/* wbfilesink: what the file's threads have to say
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "element/gstwbfilesink-private.h"

typedef struct
{
  GWeakRef element;
  gchar *name;
} Listener;

static void
listener_free (gpointer data)
{
  Listener *listener = data;

  g_weak_ref_clear (&listener->element);
  g_free (listener->name);
  g_free (listener);
}

static void
listener_log (gpointer data, WbLogLevel level, const char *source,
    const char *function, int line, const char *message)
{
  static const GstDebugLevel levels[] = { GST_LEVEL_NONE, GST_LEVEL_WARNING,
    GST_LEVEL_INFO, GST_LEVEL_DEBUG };
  const Listener *listener = data;

  gst_debug_log (GST_CAT_DEFAULT, levels[level], source, function, line, NULL,
      "<%s> %s", listener->name, message);
}

static void
post_events (GstWbFileSink *self, WbFile *file, guint try)
{
  WbEvents events = wb_file_take_events (file);

  if ((events & WB_EVENT_WILL_NOT_FIT) != 0)
    wb_messages_warn_of_space (self, file);
  if ((events & WB_EVENT_PREALLOCATED) != 0)
    wb_messages_post_preallocated (self, file);
  if ((events & WB_EVENT_DEGRADED) != 0)
    wb_messages_post_degraded (self, file);
  if ((events & WB_EVENT_SYNC_STALLED) != 0)
    wb_messages_warn_of_sync (self, file);
  if ((events & WB_EVENT_ERROR) != 0)
    wb_errors_post_news_of_file (self, file, try);
}

void
wb_listener_post_events (GstWbFileSink *self, WbFile *file)
{
  post_events (self, file, wb_errors_get_try (self));
}

void
wb_listener_post_news (GstWbFileSink *self)
{
  guint try = wb_errors_get_try (self); /* before there is a later one */
  WbFile *file = wb_current_get (self);

  if (file == NULL)
    return;
  post_events (self, file, try);
  wb_file_unref (file);
}

static void
post_news (GstElement *element, gpointer data)
{
  wb_listener_post_news ((GstWbFileSink *) element);
}

static void
listener_notify (gpointer data)
{
  Listener *listener = data;
  GstElement *element = g_weak_ref_get (&listener->element);

  if (element == NULL)
    return;
  gst_element_call_async (element, post_news, NULL, NULL);
  gst_object_unref (element);
}

WbListener
wb_listener_new (GstWbFileSink *self)
{
  Listener *data = g_new0 (Listener, 1);
  GstDebugLevel threshold = gst_debug_category_get_threshold (GST_CAT_DEFAULT);
  WbListener listener = { .log = listener_log,
    .notify = listener_notify,
    .data = data,
    .release = listener_free };

  g_weak_ref_init (&data->element, self);
  data->name = gst_object_get_name (GST_OBJECT (self));
  if (threshold >= GST_LEVEL_DEBUG)
    listener.log_level = WB_LOG_DEBUG;
  else if (threshold >= GST_LEVEL_INFO)
    listener.log_level = WB_LOG_INFO;
  else
    listener.log_level = WB_LOG_WARNING;
  return listener;
}
