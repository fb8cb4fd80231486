/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Preloaded into wbremux: a track whose tags come late. Its caps have come before
 * them, and the other tracks' data comes meanwhile.
 *
 * TAGSHIM_LANGUAGE is the language (two letters) whose tags take half a second
 * from a multiqueue to the element behind it.
 */

#include <dlfcn.h>
#include <gst/gst.h>

#define DELAY_US 500000

static gboolean
is_of_multiqueue (GstPad *pad)
{
  g_autoptr (GstElement) element = gst_pad_get_parent_element (pad);
  GstElementFactory *factory =
      element ? gst_element_get_factory (element) : NULL;

  return factory && g_str_equal (GST_OBJECT_NAME (factory), "multiqueue");
}

static gboolean
is_late (GstPad *pad, GstEvent *event)
{
  const gchar *late = g_getenv ("TAGSHIM_LANGUAGE");
  g_autofree gchar *language = NULL;
  GstTagList *tags;

  if (!late || GST_EVENT_TYPE (event) != GST_EVENT_TAG
      || !is_of_multiqueue (pad))
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
