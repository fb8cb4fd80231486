/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Preloaded into wbremux: GStreamer on a busy machine, where one thread comes later
 * than it usually does.
 *
 * GSTSHIM_LATE is a language (two letters): tags of it take half a second from a
 * multiqueue to the element behind it.
 * GSTSHIM_NAMED has a letter for each time that somebody asks a pad of the outermost
 * parsebin for its stream's name, the last one for all later times: 'n' if it has
 * none yet.
 */

#include <dlfcn.h>
#include <gst/gst.h>
#include <string.h>

#define DELAY_US 500000

static gboolean
is_of (GstPad *pad, const gchar *name)
{
  g_autoptr (GstElement) element = gst_pad_get_parent_element (pad);
  GstElementFactory *factory =
      element ? gst_element_get_factory (element) : NULL;

  return factory && g_str_equal (GST_OBJECT_NAME (factory), name);
}

static gboolean
is_late (GstPad *pad, GstEvent *event)
{
  const gchar *late = g_getenv ("GSTSHIM_LATE");
  g_autofree gchar *language = NULL;
  GstTagList *tags;

  if (!late || GST_EVENT_TYPE (event) != GST_EVENT_TAG
      || !is_of (pad, "multiqueue"))
    return FALSE;
  gst_event_parse_tag (event, &tags);
  return gst_tag_list_get_string (tags, GST_TAG_LANGUAGE_CODE, &language)
      && g_str_equal (language, late);
}

gboolean
gst_pad_push_event (GstPad *pad, GstEvent *event)
{
  gboolean (*real) (GstPad *, GstEvent *) = (gboolean (*) (
      GstPad *, GstEvent *)) dlsym (RTLD_NEXT, "gst_pad_push_event");

  if (is_late (pad, event))
    g_usleep (DELAY_US);
  return real (pad, event);
}

gchar *
gst_pad_get_stream_id (GstPad *pad)
{
  static gint times;
  gchar *(*real) (GstPad *) =
      (gchar * (*) (GstPad *) ) dlsym (RTLD_NEXT, "gst_pad_get_stream_id");
  const gchar *named = g_getenv ("GSTSHIM_NAMED");
  gsize i;

  if (!named || !is_of (pad, "parsebin"))
    return real (pad);
  i = MIN ((gsize) g_atomic_int_add (&times, 1), strlen (named) - 1);
  return named[i] == 'n' ? NULL : g_strdup ("name");
}
