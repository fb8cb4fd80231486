/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The plugin linked in, as gst-full and Android have it: registered by hand, its
 * element writes a file. No registry knows the plugin.
 *
 * Speaks TAP. It also serves subproject.py, which builds it against the plugin as
 * others get it.
 */
#include <glib/gstdio.h>
#include <gst/gst.h>

GST_PLUGIN_STATIC_DECLARE (writeback);

/* FALSE, with what was wrong on standard output */
static gboolean
expect (gboolean good, const char *what)
{
  if (!good)
    g_print ("# %s\n", what);
  return good;
}

static gboolean
test_registered (void)
{
  g_autoptr (GstPlugin) plugin =
      gst_registry_find_plugin (gst_registry_get (), "writeback");

  return expect (plugin != NULL, "there is no plugin")
      && expect (gst_plugin_get_filename (plugin) == NULL, "it is from a file");
}

static void
push_five_bytes (GstElement *sink)
{
  g_autoptr (GstPad) pad = gst_element_get_static_pad (sink, "sink");
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_BYTES);
  gst_pad_send_event (pad, gst_event_new_stream_start ("static"));
  gst_pad_send_event (pad, gst_event_new_segment (&segment));
  gst_pad_chain (pad, gst_buffer_new_memdup ("12345", 5));
  gst_pad_send_event (pad, gst_event_new_eos ());
}

/* By hand: no other plugin is needed, not even GStreamer's own. */
static gboolean
write_file (const gchar *path)
{
  g_autoptr (GstElement) sink = gst_element_factory_make ("wbfilesink", NULL);
  g_autoptr (GstBus) bus = gst_bus_new ();
  g_autoptr (GstMessage) end = NULL;

  if (!expect (sink != NULL, "there is no element"))
    return FALSE;
  gst_object_ref_sink (sink);
  g_object_set (sink, "location", path, NULL);
  gst_element_set_bus (sink, bus);
  gst_element_set_state (sink, GST_STATE_PLAYING);
  push_five_bytes (sink);
  end = gst_bus_timed_pop_filtered (
      bus, 30 * GST_SECOND, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  gst_element_set_state (sink, GST_STATE_NULL);
  return expect (
      end != NULL && GST_MESSAGE_TYPE (end) == GST_MESSAGE_EOS, "no EOS");
}

static gboolean
test_writes (void)
{
  g_autofree gchar *directory = g_dir_make_tmp ("wb-static-XXXXXX", NULL);
  g_autofree gchar *path = g_build_filename (directory, "file", NULL);
  g_autofree gchar *bytes = NULL;
  gsize size = 0;
  gboolean good = write_file (path)
      && expect (g_file_get_contents (path, &bytes, &size, NULL), "no file")
      && expect (size == 5, "not all bytes");

  g_unlink (path);
  g_rmdir (directory);
  return good;
}

int
main (int argc, char **argv)
{
  gboolean registered, writes;

  /* Nothing is to be found but what is linked in. */
  g_setenv ("GST_REGISTRY_DISABLE", "yes", TRUE);
  gst_init (&argc, &argv);
  GST_PLUGIN_STATIC_REGISTER (writeback);
  registered = test_registered ();
  writes = test_writes ();
  g_print ("1..2\n");
  g_print ("%sok 1 - registered\n", registered ? "" : "not ");
  g_print ("%sok 2 - writes a file\n", writes ? "" : "not ");
  return registered && writes ? 0 : 1;
}
