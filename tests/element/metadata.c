/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What gst-inspect-1.0 and an application that looks for an element see: the
 * factory, its rank and class, and properties that are documented.
 */

#include "../common/wbtest.h"

#include <string.h>

static GstElementFactory *
factory (void)
{
  GstElementFactory *found = gst_element_factory_find ("wbfilesink");

  fail_unless (found != NULL);

  return found;
}

static void
assert_metadata (GstElementFactory *found, const gchar *key)
{
  const gchar *value = gst_element_factory_get_metadata (found, key);

  fail_unless (value != NULL && value[0] != '\0', "no %s", key);
}

GST_START_TEST (test_factory)
{
  GstElementFactory *found = factory ();

  assert_metadata (found, GST_ELEMENT_METADATA_LONGNAME);
  assert_metadata (found, GST_ELEMENT_METADATA_DESCRIPTION);
  assert_metadata (found, GST_ELEMENT_METADATA_AUTHOR);
  assert_equals_string (
      gst_element_factory_get_metadata (found, GST_ELEMENT_METADATA_KLASS),
      "Sink/File");
  fail_unless_equals_int (
      gst_plugin_feature_get_rank (GST_PLUGIN_FEATURE (found)), GST_RANK_NONE);
  assert_equals_string (
      gst_plugin_feature_get_plugin_name (GST_PLUGIN_FEATURE (found)),
      "writeback");
  gst_object_unref (found);
}
GST_END_TEST;

GST_START_TEST (test_plugin)
{
  GstPlugin *plugin =
      gst_registry_find_plugin (gst_registry_get (), "writeback");

  fail_unless (plugin != NULL);
  assert_equals_string (gst_plugin_get_license (plugin), "LGPL");
  fail_unless (strlen (gst_plugin_get_description (plugin)) > 0);
  fail_unless (strlen (gst_plugin_get_version (plugin)) > 0);
  fail_unless (strlen (gst_plugin_get_source (plugin)) > 0);
  fail_unless (strlen (gst_plugin_get_package (plugin)) > 0);
  fail_unless (strlen (gst_plugin_get_origin (plugin)) > 0);
  gst_object_unref (plugin);
}
GST_END_TEST;

/* Each property of its own says what it is, and in what. */
GST_START_TEST (test_properties)
{
  GstElement *sink = gst_element_factory_make ("wbfilesink", NULL);
  GParamSpec **specs;
  guint i, n;

  specs = g_object_class_list_properties (G_OBJECT_GET_CLASS (sink), &n);
  for (i = 0; i < n; i++) {
    const gchar *name = specs[i]->name;

    if (specs[i]->owner_type != G_OBJECT_TYPE (sink))
      continue;
    fail_unless (strlen (g_param_spec_get_nick (specs[i])) > 0, "%s", name);
    fail_unless (strlen (g_param_spec_get_blurb (specs[i])) > 0, "%s", name);

    if (G_IS_PARAM_SPEC_ENUM (specs[i])) {
      GEnumClass *klass = G_PARAM_SPEC_ENUM (specs[i])->enum_class;
      GstPluginAPIFlags flags;
      guint k;

      /* Else the documentation cannot name them, and the names are for the
       * whole process: filesink's are taken. */
      fail_unless (
          gst_type_is_plugin_api (specs[i]->value_type, &flags), "%s", name);
      fail_if (
          g_str_has_prefix (g_type_name (specs[i]->value_type), "GstFileSink"));
      for (k = 0; k < klass->n_values; k++) {
        fail_unless (strlen (klass->values[k].value_name) > 0);
        fail_unless (strlen (klass->values[k].value_nick) > 0);
      }
    }
  }
  g_free (specs);
  gst_object_unref (sink);
}
GST_END_TEST;

/* The file is open in READY already: what counts when it is opened must not say
 * that READY is early enough. */
GST_START_TEST (test_when_properties_count)
{
  gchar *path = wb_path ("file");
  g_autoptr (WbRig) rig = wb_rig_new (path, NULL);
  GParamSpec **specs;
  guint i, n;

  wb_rig_state (rig, GST_STATE_READY);
  fail_unless_equals_int64 (wb_file_size (path), 0);
  specs = g_object_class_list_properties (G_OBJECT_GET_CLASS (rig->sink), &n);
  for (i = 0; i < n; i++)
    if (specs[i]->owner_type == G_OBJECT_TYPE (rig->sink))
      fail_if ((specs[i]->flags
                   & (GST_PARAM_MUTABLE_READY | GST_PARAM_MUTABLE_PAUSED))
              != 0,
          "%s", specs[i]->name);
  g_free (specs);
  g_free (path);
}
GST_END_TEST;

typedef struct
{
  const gchar *name;
  guint64 minimum;
  guint64 maximum;
  guint64 initially;
} Number;

static const Number numbers[] = {
  { "chunk-size", WB_MIB (1), WB_MIB (256), WB_MIB (32) },
  { "max-dirty-bytes", 0, G_MAXUINT64, WB_MIB (64) },
  { "max-dirty-time", 0, G_MAXUINT64, GST_SECOND },
  { "max-queued-bytes", 0, G_MAXUINT64, WB_MIB (32) },
  { "writeback-timeout", 0, G_MAXUINT64, 30 * GST_SECOND },
  { "sync-timeout", 0, G_MAXUINT64, 60 * GST_SECOND },
  { "sync-interval", 0, G_MAXUINT64, 0 },
};

/* The defaults are the contract; of the ranges, where one is given. */
GST_START_TEST (test_numbers)
{
  GstElement *sink = gst_element_factory_make ("wbfilesink", NULL);
  guint i;

  for (i = 0; i < G_N_ELEMENTS (numbers); i++) {
    GParamSpec *spec = g_object_class_find_property (
        G_OBJECT_GET_CLASS (sink), numbers[i].name);
    guint64 value;

    fail_unless (spec != NULL, "no %s", numbers[i].name);
    fail_unless (G_IS_PARAM_SPEC_UINT64 (spec), "%s", numbers[i].name);
    fail_unless (
        G_PARAM_SPEC_UINT64 (spec)->default_value == numbers[i].initially, "%s",
        numbers[i].name);
    fail_unless (G_PARAM_SPEC_UINT64 (spec)->maximum == numbers[i].maximum,
        "%s", numbers[i].name);
    if (numbers[i].minimum != 0) {
      fail_unless (G_PARAM_SPEC_UINT64 (spec)->minimum == numbers[i].minimum,
          "%s", numbers[i].name);
    }
    g_object_get (sink, numbers[i].name, &value, NULL);
    fail_unless_equals_uint64 (value, numbers[i].initially);
    g_object_set (sink, numbers[i].name, (guint64) WB_MIB (5), NULL);
    g_object_get (sink, numbers[i].name, &value, NULL);
    fail_unless_equals_uint64 (value, WB_MIB (5));
  }
  gst_object_unref (sink);
}
GST_END_TEST;

typedef struct
{
  const gchar *name;
  const gchar *nicks;
  const gchar *initially;
} Choice;

static const Choice choices[] = {
  { "writeback", "drop keep none", "drop" },
  { "sync-on-eos", "none data full", "full" },
  { "on-sync-timeout", "warn error", "warn" },
};

GST_START_TEST (test_choices)
{
  GstElement *sink = gst_element_factory_make ("wbfilesink", NULL);
  guint i, k;

  for (i = 0; i < G_N_ELEMENTS (choices); i++) {
    GParamSpec *spec = g_object_class_find_property (
        G_OBJECT_GET_CLASS (sink), choices[i].name);
    gchar **nicks = g_strsplit (choices[i].nicks, " ", -1);
    GEnumClass *klass;
    gint value;

    fail_unless (spec != NULL, "no %s", choices[i].name);
    fail_unless (G_IS_PARAM_SPEC_ENUM (spec), "%s", choices[i].name);
    klass = G_PARAM_SPEC_ENUM (spec)->enum_class;
    fail_unless_equals_int (klass->n_values, g_strv_length (nicks));
    for (k = 0; nicks[k] != NULL; k++) {
      fail_unless (g_enum_get_value_by_nick (klass, nicks[k]) != NULL,
          "%s has no %s", choices[i].name, nicks[k]);
      gst_util_set_object_arg (G_OBJECT (sink), choices[i].name, nicks[k]);
      g_object_get (sink, choices[i].name, &value, NULL);
      assert_equals_string (
          g_enum_get_value (klass, value)->value_nick, nicks[k]);
    }
    value = G_PARAM_SPEC_ENUM (spec)->default_value;
    assert_equals_string (
        g_enum_get_value (klass, value)->value_nick, choices[i].initially);
    g_strfreev (nicks);
  }
  gst_object_unref (sink);
}
GST_END_TEST;

static gchar *
factory_for_uri (void)
{
  GstElement *sink =
      gst_element_make_from_uri (GST_URI_SINK, "file:///some/file", NULL, NULL);
  GstElementFactory *made;
  gchar *name;

  fail_unless (sink != NULL);
  made = gst_element_get_factory (sink);
  name = g_strdup (gst_plugin_feature_get_name (GST_PLUGIN_FEATURE (made)));
  gst_object_unref (sink);

  return name;
}

/* Not chosen by itself; chosen when a user says so. */
GST_START_TEST (test_by_rank)
{
  GstElementFactory *found = factory ();
  gchar *name = factory_for_uri ();

  assert_equals_string (name, "filesink");
  g_free (name);
  gst_plugin_feature_set_rank (GST_PLUGIN_FEATURE (found), G_MAXINT);
  name = factory_for_uri ();
  assert_equals_string (name, "wbfilesink");
  g_free (name);
  gst_plugin_feature_set_rank (GST_PLUGIN_FEATURE (found), GST_RANK_NONE);
  gst_object_unref (found);
}
GST_END_TEST;

GST_START_TEST (test_is_a_sink)
{
  GstElement *sink = gst_element_factory_make ("wbfilesink", NULL);

  fail_unless (GST_OBJECT_FLAG_IS_SET (sink, GST_ELEMENT_FLAG_SINK));
  fail_unless (
      g_type_is_a (G_OBJECT_TYPE (sink), g_type_from_name ("GstBaseSink")));
  fail_unless_equals_int (
      gst_uri_handler_get_uri_type (GST_URI_HANDLER (sink)), GST_URI_SINK);
  gst_object_unref (sink);
}
GST_END_TEST;

static Suite *
metadata_suite (void)
{
  Suite *suite = suite_create ("metadata");
  TCase *tcase;

  if (wb_sink_is_filesink ())
    return suite;

  tcase = wb_tcase (suite, "general");
  tcase_add_test (tcase, test_factory);
  tcase_add_test (tcase, test_plugin);
  tcase_add_test (tcase, test_properties);
  tcase_add_test (tcase, test_when_properties_count);
  tcase_add_test (tcase, test_numbers);
  tcase_add_test (tcase, test_choices);
  tcase_add_test (tcase, test_by_rank);
  tcase_add_test (tcase, test_is_a_sink);

  return suite;
}

WB_TEST_MAIN (metadata)
