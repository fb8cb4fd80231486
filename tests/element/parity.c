/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What filesink has, wbfilesink has: the filesink that is installed is asked
 * itself for its properties, pad, interfaces, and for what it answers to
 * queries and events, and wbfilesink is compared with that. The differences
 * that are meant are listed below; everything else is an error.
 */

#include "../common/wbtest.h"

#include <string.h>

typedef struct
{
  const gchar *property;
  /* The flags that may differ; ~0 when the property is not here at all */
  GParamFlags flags;
  const gchar *reason;
} Difference;

static const Difference differences[] = {
  { "append", G_PARAM_DEPRECATED,
      "filesink 1.24 deprecates it for file-mode, which older ones lack: "
      "a pipeline that must run on both needs it" },
  { "share-deny-mode", ~0, "filesink 1.30; does something on Windows only" },
};

static const Difference *
find_difference (const gchar *property)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (differences); i++) {
    if (g_str_equal (differences[i].property, property))
      return &differences[i];
  }

  return NULL;
}

static GObjectClass *
element_class (const gchar *name)
{
  GstElementFactory *factory = gst_element_factory_find (name);
  GstElement *element;
  GObjectClass *klass;

  fail_unless (factory != NULL, "there is no %s", name);
  element = gst_element_factory_create (factory, NULL);
  gst_object_unref (factory);
  klass = g_type_class_ref (G_OBJECT_TYPE (element));
  gst_object_unref (gst_object_ref_sink (element));

  return klass;
}

static void
assert_same_enum (GParamSpec *theirs, GParamSpec *ours)
{
  GEnumClass *a = G_PARAM_SPEC_ENUM (theirs)->enum_class;
  GEnumClass *b = G_PARAM_SPEC_ENUM (ours)->enum_class;
  guint i;

  fail_unless_equals_int (G_PARAM_SPEC_ENUM (theirs)->default_value,
      G_PARAM_SPEC_ENUM (ours)->default_value);
  fail_unless_equals_int (a->n_values, b->n_values);
  for (i = 0; i < a->n_values; i++) {
    GEnumValue *value = g_enum_get_value (b, a->values[i].value);

    fail_unless (
        value != NULL, "%s has no %d", theirs->name, a->values[i].value);
    assert_equals_string (value->value_nick, a->values[i].value_nick);
  }
}

#define ASSERT_SAME_RANGE(Type, CAST, a, b)                                    \
  G_STMT_START                                                                 \
  {                                                                            \
    Type *pa = CAST (a), *pb = CAST (b);                                       \
    fail_unless (pa->minimum == pb->minimum && pa->maximum == pb->maximum      \
            && pa->default_value == pb->default_value,                         \
        "the range or default of %s differs", (a)->name);                      \
  }                                                                            \
  G_STMT_END

static void
assert_same_property (GParamSpec *theirs, GParamSpec *ours)
{
  const Difference *difference = find_difference (theirs->name);
  GParamFlags may = difference != NULL ? difference->flags : 0;

  fail_unless (G_PARAM_SPEC_TYPE (theirs) == G_PARAM_SPEC_TYPE (ours),
      "%s is a %s, not a %s", theirs->name, G_PARAM_SPEC_TYPE_NAME (ours),
      G_PARAM_SPEC_TYPE_NAME (theirs));
  /* This compares readable, writable, construct, controllable and when it may
   * be changed (GST_PARAM_MUTABLE_*). Static strings are no promise. */
  may |= G_PARAM_STATIC_STRINGS;
  fail_unless ((theirs->flags & ~may) == (ours->flags & ~may),
      "the flags of %s are 0x%x, not 0x%x", theirs->name, ours->flags,
      theirs->flags);

  if (G_IS_PARAM_SPEC_ENUM (theirs)) {
    assert_same_enum (theirs, ours);
    return;
  }

  fail_unless (theirs->value_type == ours->value_type,
      "the values of %s are of another type", theirs->name);
  if (G_IS_PARAM_SPEC_UINT (theirs))
    ASSERT_SAME_RANGE (GParamSpecUInt, G_PARAM_SPEC_UINT, theirs, ours);
  else if (G_IS_PARAM_SPEC_INT (theirs))
    ASSERT_SAME_RANGE (GParamSpecInt, G_PARAM_SPEC_INT, theirs, ours);
  else if (G_IS_PARAM_SPEC_UINT64 (theirs))
    ASSERT_SAME_RANGE (GParamSpecUInt64, G_PARAM_SPEC_UINT64, theirs, ours);
  else if (G_IS_PARAM_SPEC_INT64 (theirs))
    ASSERT_SAME_RANGE (GParamSpecInt64, G_PARAM_SPEC_INT64, theirs, ours);
  else
    fail_unless (
        g_param_values_cmp (theirs, g_param_spec_get_default_value (theirs),
            g_param_spec_get_default_value (ours))
            == 0,
        "the default of %s differs", theirs->name);
}

GST_START_TEST (test_properties)
{
  GObjectClass *theirs = element_class ("filesink");
  GObjectClass *ours = element_class (wb_sink_name ());
  GParamSpec **specs;
  guint i, n;

  specs = g_object_class_list_properties (theirs, &n);
  fail_unless (n > 0);
  for (i = 0; i < n; i++) {
    GParamSpec *spec = g_object_class_find_property (ours, specs[i]->name);
    const Difference *difference = find_difference (specs[i]->name);

    if (difference != NULL && difference->flags == (GParamFlags) ~0)
      continue;
    fail_unless (spec != NULL, "no property %s", specs[i]->name);
    assert_same_property (specs[i], spec);
  }
  g_free (specs);

  g_type_class_unref (theirs);
  g_type_class_unref (ours);
}
GST_END_TEST;

/* What filesink has of its own, as its source has it at 1.20.0, 1.22.0, 1.24.13,
 * 1.26.11 and 1.28.6: wbfilesink has all of it with every GStreamer, and where
 * the installed filesink is new enough it is asked whether this is true. */
typedef struct
{
  guint since; /* the minor version */
  const gchar *property;
} Recorded;

static const Recorded recorded[] = {
  { 0, "location: gchararray, flags 3" },
  { 0,
      "buffer-mode: enum -1 default, 0 full, 1 line, 2 unbuffered, "
      "initially -1, flags 3" },
  { 0, "buffer-size: guint 0 to 4294967295, initially 65536, flags 3" },
  { 24,
      "file-mode: enum 1 truncate, 2 output, 3 overwrite, initially 1, "
      "flags 3" },
  { 0, "append: gboolean, initially 0, flags 3" },
  { 0, "o-sync: gboolean, initially 0, flags 3" },
  { 0,
      "max-transient-error-timeout: gint 0 to 2147483647, initially 0, "
      "flags 3" },
};

static void
describe_values (GString *text, GParamSpec *spec)
{
  if (G_IS_PARAM_SPEC_ENUM (spec)) {
    GParamSpecEnum *e = G_PARAM_SPEC_ENUM (spec);
    guint i;

    g_string_append (text, "enum");
    for (i = 0; i < e->enum_class->n_values; i++)
      g_string_append_printf (text, " %d %s,", e->enum_class->values[i].value,
          e->enum_class->values[i].value_nick);
    g_string_append_printf (text, " initially %d", e->default_value);
    return;
  }

  g_string_append (text, g_type_name (spec->value_type));
  if (G_IS_PARAM_SPEC_UINT (spec)) {
    GParamSpecUInt *u = G_PARAM_SPEC_UINT (spec);

    g_string_append_printf (text, " %u to %u, initially %u", u->minimum,
        u->maximum, u->default_value);
  } else if (G_IS_PARAM_SPEC_INT (spec)) {
    GParamSpecInt *n = G_PARAM_SPEC_INT (spec);

    g_string_append_printf (text, " %d to %d, initially %d", n->minimum,
        n->maximum, n->default_value);
  } else if (G_IS_PARAM_SPEC_BOOLEAN (spec)) {
    g_string_append_printf (
        text, ", initially %d", G_PARAM_SPEC_BOOLEAN (spec)->default_value);
  }
}

/* As the table above has it, without the flags that may differ */
static gchar *
describe_property (GParamSpec *spec)
{
  const Difference *difference = find_difference (spec->name);
  GParamFlags flags = spec->flags & ~G_PARAM_STATIC_STRINGS;
  GString *text = g_string_new (NULL);

  if (difference != NULL)
    flags &= ~difference->flags;
  g_string_append_printf (text, "%s: ", spec->name);
  describe_values (text, spec);
  g_string_append_printf (text, ", flags %x", (guint) flags);

  return g_string_free (text, FALSE);
}

static void
assert_recorded (GObjectClass *klass, const Recorded *property)
{
  gchar *name = g_strndup (property->property,
      strchr (property->property, ':') - property->property);
  GParamSpec *spec = g_object_class_find_property (klass, name);
  gchar *text;

  fail_unless (spec != NULL, "%s has no %s", G_OBJECT_CLASS_NAME (klass), name);
  text = describe_property (spec);
  assert_equals_string (text, property->property);
  g_free (text);
  g_free (name);
}

GST_START_TEST (test_recorded)
{
  GObjectClass *theirs = element_class ("filesink");
  GObjectClass *ours = element_class (wb_sink_name ());
  GType type = G_OBJECT_CLASS_TYPE (theirs);
  guint major, minor, micro, nano, i, n, own = 0, known = 0;
  GParamSpec **specs;

  gst_version (&major, &minor, &micro, &nano);
  g_print ("filesink is that of %u.%u.%u\n", major, minor, micro);
  for (i = 0; i < G_N_ELEMENTS (recorded); i++) {
    if (!wb_sink_is_filesink ())
      assert_recorded (ours, &recorded[i]);
    if (minor < recorded[i].since)
      continue;
    assert_recorded (theirs, &recorded[i]);
    known++;
  }

  /* And nothing that has not been recorded */
  specs = g_object_class_list_properties (theirs, &n);
  for (i = 0; i < n; i++) {
    const Difference *difference = find_difference (specs[i]->name);

    own += specs[i]->owner_type == type
        && (difference == NULL || difference->flags != (GParamFlags) ~0);
  }
  g_free (specs);
  fail_unless_equals_int (own, known);

  g_type_class_unref (theirs);
  g_type_class_unref (ours);
}
GST_END_TEST;

/* What a new one says, not what its class says: filesink sets sync to FALSE
 * when it is made. */
GST_START_TEST (test_values_when_new)
{
  GstElement *theirs = gst_element_factory_make ("filesink", "sink");
  GstElement *ours = gst_element_factory_make (wb_sink_name (), "sink");
  GParamSpec **specs;
  guint i, n;

  specs = g_object_class_list_properties (G_OBJECT_GET_CLASS (theirs), &n);
  for (i = 0; i < n; i++) {
    GValue a = G_VALUE_INIT, b = G_VALUE_INIT;
    gchar *sa, *sb;

    if ((specs[i]->flags & G_PARAM_READABLE) == 0
        || find_difference (specs[i]->name) != NULL)
      continue;
    /* As text, since the types of the enums are not the same */
    g_object_get_property (G_OBJECT (theirs), specs[i]->name, &a);
    g_object_get_property (G_OBJECT (ours), specs[i]->name, &b);
    sa = g_strdup_value_contents (&a);
    sb = g_strdup_value_contents (&b);
    if (G_VALUE_HOLDS_ENUM (&a)) {
      fail_unless_equals_int (g_value_get_enum (&a), g_value_get_enum (&b));
    } else if (!G_VALUE_HOLDS_BOXED (&a)) {
      fail_unless (
          g_str_equal (sa, sb), "%s is %s, not %s", specs[i]->name, sb, sa);
    }
    g_free (sa);
    g_free (sb);
    g_value_unset (&a);
    g_value_unset (&b);
  }
  g_free (specs);
  gst_object_unref (theirs);
  gst_object_unref (ours);
}
GST_END_TEST;

GST_START_TEST (test_pad_and_interfaces)
{
  GstElementFactory *theirs = gst_element_factory_find ("filesink");
  GstElementFactory *ours = gst_element_factory_find (wb_sink_name ());
  const GList *a = gst_element_factory_get_static_pad_templates (theirs);
  const GList *b = gst_element_factory_get_static_pad_templates (ours);
  const gchar *const *protocols;
  guint i;

  fail_unless_equals_int (
      g_list_length ((GList *) a), g_list_length ((GList *) b));
  for (; a != NULL; a = a->next, b = b->next) {
    GstStaticPadTemplate *ta = a->data, *tb = b->data;
    GstCaps *ca = gst_static_pad_template_get_caps (ta);
    GstCaps *cb = gst_static_pad_template_get_caps (tb);

    assert_equals_string (ta->name_template, tb->name_template);
    fail_unless_equals_int (ta->direction, tb->direction);
    fail_unless_equals_int (ta->presence, tb->presence);
    gst_check_caps_equal (ca, cb);
    gst_caps_unref (ca);
    gst_caps_unref (cb);
  }

  fail_unless (gst_element_factory_has_interface (ours, "GstURIHandler"));
  fail_unless_equals_int (gst_element_factory_get_uri_type (theirs),
      gst_element_factory_get_uri_type (ours));
  protocols = gst_element_factory_get_uri_protocols (theirs);
  for (i = 0; protocols[i] != NULL; i++) {
    assert_equals_string (
        gst_element_factory_get_uri_protocols (ours)[i], protocols[i]);
  }
  fail_unless (gst_element_factory_get_uri_protocols (ours)[i] == NULL);

  gst_object_unref (theirs);
  gst_object_unref (ours);
}
GST_END_TEST;

/*** The two side by side *****************************************************/

typedef struct
{
  WbRig *rig[2];
} Pair;

static WbRig *
rig_of (const gchar *factory, const gchar *location)
{
  WbRig *rig;
  gchar *before = g_strdup (g_getenv ("WB_TEST_SINK"));

  g_setenv ("WB_TEST_SINK", factory, TRUE);
  rig = wb_rig_new (location, NULL);
  if (before != NULL)
    g_setenv ("WB_TEST_SINK", before, TRUE);
  else
    g_unsetenv ("WB_TEST_SINK");
  g_free (before);

  return rig;
}

static void
pair_new (Pair *pair)
{
  gchar *a = wb_path ("filesink"), *b = wb_path ("ours");

  pair->rig[0] = rig_of ("filesink", a);
  pair->rig[1] = rig_of (wb_sink_name (), b);
  g_free (a);
  g_free (b);
}

static void
pair_free (Pair *pair)
{
  wb_rig_free (pair->rig[0]);
  wb_rig_free (pair->rig[1]);
}

/* Not the position in DEFAULT: filesink answers it in another format than it
 * was asked in, which is a critical warning; queries.c has what we do. */
static GstQuery *
make_query (guint n)
{
  static const GstFormat formats[] = { GST_FORMAT_DEFAULT, GST_FORMAT_BYTES,
    GST_FORMAT_TIME, GST_FORMAT_PERCENT };
  GstCaps *caps;
  GstQuery *query;

  if (n < 4)
    return gst_query_new_position (formats[MAX (n, 1)]);
  if (n < 8)
    return gst_query_new_duration (formats[n - 4]);
  if (n < 12)
    return gst_query_new_seeking (formats[n - 8]);
  if (n < 16)
    return gst_query_new_segment (formats[n - 12]);
  if (n < 20)
    return gst_query_new_convert (GST_FORMAT_BYTES, 1000, formats[n - 16]);

  switch (n) {
    case 20:
      return gst_query_new_formats ();
    case 21:
      return gst_query_new_latency ();
    case 22:
      return gst_query_new_drain ();
    case 23:
      return gst_query_new_bitrate ();
    case 24:
      return gst_query_new_context ("some.context");
    case 25:
      return gst_query_new_buffering (GST_FORMAT_BYTES);
    case 26:
      return gst_query_new_caps (NULL);
    case 27:
      caps = gst_caps_new_empty_simple ("some/caps");
      query = gst_query_new_accept_caps (caps);
      gst_caps_unref (caps);
      return query;
    case 28:
      /* How it is answered decides what is written: a sink that took video
       * metas would get padded lines. */
      caps = gst_caps_from_string ("video/x-raw, format=I420, width=33, "
                                   "height=17, framerate=30/1");
      query = gst_query_new_allocation (caps, TRUE);
      gst_caps_unref (caps);
      return query;
    case 29:
      return gst_query_new_custom (
          GST_QUERY_CUSTOM, gst_structure_new_empty ("some-query"));
    default:
      return NULL;
  }
}

static void
assert_same_answers (Pair *pair, const gchar *when)
{
  GstQuery *query[2];
  guint n;

  for (n = 0; (query[0] = make_query (n)) != NULL; n++) {
    gboolean by_pad[2], by_element[2];
    gchar *answer[2];
    guint i;

    query[1] = make_query (n);
    for (i = 0; i < 2; i++) {
      by_pad[i] = gst_pad_peer_query (pair->rig[i]->src, query[i]);
      answer[i] = gst_query_get_structure (query[i]) != NULL
          ? gst_structure_to_string (gst_query_get_structure (query[i]))
          : g_strdup ("");
      gst_query_unref (query[i]);
    }
    fail_unless (by_pad[0] == by_pad[1], "%s: query %u (%s): %d, not %d", when,
        n, answer[0], by_pad[1], by_pad[0]);
    fail_unless (g_str_equal (answer[0], answer[1]), "%s: %s, not %s", when,
        answer[1], answer[0]);
    g_free (answer[0]);
    g_free (answer[1]);

    /* And as an application asks, what a sink may pass on upstream */
    query[0] = make_query (n);
    i = GST_QUERY_IS_UPSTREAM (query[0]);
    gst_query_unref (query[0]);
    if (i == 0)
      continue;
    for (i = 0; i < 2; i++) {
      query[i] = make_query (n);
      by_element[i] = gst_element_query (pair->rig[i]->sink, query[i]);
      gst_query_unref (query[i]);
    }
    fail_unless (by_element[0] == by_element[1], "%s: element query %u: %d",
        when, n, by_element[1]);
  }
}

GST_START_TEST (test_answers)
{
  Pair pair;
  guint i;

  pair_new (&pair);
  assert_same_answers (&pair, "in NULL");

  for (i = 0; i < 2; i++)
    wb_rig_state (pair.rig[i], GST_STATE_READY);
  assert_same_answers (&pair, "in READY");

  for (i = 0; i < 2; i++)
    wb_rig_play (pair.rig[i], GST_FORMAT_BYTES);
  assert_same_answers (&pair, "before the first buffer");

  for (i = 0; i < 2; i++)
    wb_rig_fill (pair.rig[i], 0, 100000, 1);
  assert_same_answers (&pair, "after a buffer");

  for (i = 0; i < 2; i++)
    fail_unless (wb_rig_seek (pair.rig[i], 50));
  assert_same_answers (&pair, "after a seek");

  for (i = 0; i < 2; i++)
    fail_unless (wb_rig_eos (pair.rig[i]));
  assert_same_answers (&pair, "after EOS");

  pair_free (&pair);
}
GST_END_TEST;

static GstEvent *
make_event (guint n, WbRig *rig)
{
  GstTagList *tags;
  GstToc *toc;
  GstCaps *caps;
  GstEvent *event;
  GstMessage *message;
  GstBuffer *buffer;

  switch (n) {
    case 0:
      caps = gst_caps_new_empty_simple ("some/caps");
      event = gst_event_new_caps (caps);
      gst_caps_unref (caps);
      return event;
    case 1:
      caps = gst_caps_new_empty_simple ("other/caps");
      event = gst_event_new_caps (caps);
      gst_caps_unref (caps);
      return event;
    case 2:
      tags = gst_tag_list_new (GST_TAG_TITLE, "a title", NULL);
      return gst_event_new_tag (tags);
    case 3:
      toc = gst_toc_new (GST_TOC_SCOPE_GLOBAL);
      event = gst_event_new_toc (toc, FALSE);
      gst_toc_unref (toc);
      return event;
    case 4:
      return gst_event_new_gap (GST_SECOND, GST_SECOND);
    case 5:
      return gst_event_new_stream_group_done (1);
    case 6:
      return gst_event_new_segment_done (GST_FORMAT_TIME, GST_SECOND);
    case 7:
      message = gst_message_new_application (
          GST_OBJECT (rig->sink), gst_structure_new_empty ("from-upstream"));
      event = gst_event_new_sink_message ("message", message);
      gst_message_unref (message);
      return event;
    case 8:
      buffer = gst_buffer_new_allocate (NULL, 16, NULL);
      event = gst_event_new_protection ("some-system", buffer, "here");
      gst_buffer_unref (buffer);
      return event;
    case 9:
      return gst_event_new_custom (
          GST_EVENT_CUSTOM_DOWNSTREAM, gst_structure_new_empty ("custom"));
    case 10:
      return gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM_OOB,
          gst_structure_new_empty ("custom-oob"));
    case 11:
      return gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM_STICKY,
          gst_structure_new_empty ("custom-sticky"));
    case 12:
      return gst_event_new_buffer_size (GST_FORMAT_BYTES, 10, 20, FALSE);
    default:
      return NULL;
  }
}

static gboolean
is_of_ours_alone (GstMessage *message)
{
  const GstStructure *structure = gst_message_get_structure (message);

  return GST_MESSAGE_TYPE (message) == GST_MESSAGE_ELEMENT
      && g_str_has_prefix (gst_structure_get_name (structure), "wbfilesink-");
}

static void
describe_message (GString *text, GstMessage *message)
{
  GstState from, to, pending;
  GError *error;

  g_string_append_printf (text, "%s", GST_MESSAGE_TYPE_NAME (message));
  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_STATE_CHANGED) {
    gst_message_parse_state_changed (message, &from, &to, &pending);
    g_string_append_printf (text, " %d %d %d", from, to, pending);
  } else if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR) {
    gst_message_parse_error (message, &error, NULL);
    g_string_append_printf (
        text, " %s %d", g_quark_to_string (error->domain), error->code);
    g_error_free (error);
  }
  g_string_append (text, "; ");
}

/* The messages since the last call, in order, but for those that wbfilesink
 * alone has */
static gchar *
said (WbRig *rig)
{
  GString *text = g_string_new (NULL);
  GstMessage *message;

  while ((message = gst_bus_pop (rig->bus)) != NULL) {
    if (!is_of_ours_alone (message))
      describe_message (text, message);
    gst_message_unref (message);
  }

  return g_string_free (text, FALSE);
}

GST_START_TEST (test_events)
{
  Pair pair;
  GstEvent *event[2];
  guint i, n;

  pair_new (&pair);
  for (i = 0; i < 2; i++) {
    wb_rig_play (pair.rig[i], GST_FORMAT_TIME);
    wb_rig_fill (pair.rig[i], 0, 1000, 1);
    g_free (said (pair.rig[i]));
  }

  for (n = 0; (event[0] = make_event (n, pair.rig[0])) != NULL; n++) {
    gboolean ret[2];
    gchar *text[2];

    event[1] = make_event (n, pair.rig[1]);
    for (i = 0; i < 2; i++) {
      ret[i] = gst_pad_push_event (pair.rig[i]->src, event[i]);
      text[i] = said (pair.rig[i]);
    }
    fail_unless (ret[0] == ret[1], "event %u: %d, not %d", n, ret[1], ret[0]);
    fail_unless (g_str_equal (text[0], text[1]), "event %u: \"%s\", not \"%s\"",
        n, text[1], text[0]);
    g_free (text[0]);
    g_free (text[1]);

    /* None of them moves anything. */
    for (i = 0; i < 2; i++)
      wb_rig_fill (pair.rig[i], 1000 + 10 * n, 10, 1);
  }

  for (i = 0; i < 2; i++) {
    gchar *location;
    guint8 *wanted = wb_pattern (0, 1000 + 10 * n, 1);

    fail_unless (wb_rig_eos (pair.rig[i]));
    g_object_get (pair.rig[i]->sink, "location", &location, NULL);
    wb_assert_file (location, wanted, 1000 + 10 * n);
    g_free (location);
    g_free (wanted);
  }
  pair_free (&pair);
}
GST_END_TEST;

static void
assert_same_said (Pair *pair, const gchar *when)
{
  gchar *text[2] = { said (pair->rig[0]), said (pair->rig[1]) };

  fail_unless (g_str_equal (text[0], text[1]), "%s: \"%s\", not \"%s\"", when,
      text[1], text[0]);
  g_free (text[0]);
  g_free (text[1]);
}

/* A life, told by its messages: to PAUSED with a buffer that is held, played,
 * flushed, at its end, flushed and at its end again, back to READY and once
 * more. */
GST_START_TEST (test_messages)
{
  Pair pair;
  guint i, n;

  pair_new (&pair);
  for (n = 0; n < 2; n++) {
    WbTask *task[2];

    for (i = 0; i < 2; i++) {
      wb_rig_state (pair.rig[i], GST_STATE_PAUSED);
      wb_rig_begin (pair.rig[i], GST_FORMAT_BYTES);
      task[i] = wb_rig_push_task (pair.rig[i], wb_buffer (0, 1000, 1));
      fail_unless_equals_int (gst_element_get_state (pair.rig[i]->sink, NULL,
                                  NULL, WB_PATIENCE * GST_SECOND),
          GST_STATE_CHANGE_SUCCESS);
    }
    assert_same_said (&pair, "in PAUSED");
    for (i = 0; i < 2; i++) {
      wb_rig_state (pair.rig[i], GST_STATE_PLAYING);
      fail_unless_equals_int (wb_task_flow (task[i], "push"), GST_FLOW_OK);
      wb_rig_fill (pair.rig[i], 1000, 100000, 1);
    }
    assert_same_said (&pair, "in PLAYING");
    for (i = 0; i < 2; i++) {
      wb_rig_flush (pair.rig[i]);
      fail_unless (wb_rig_segment (pair.rig[i], GST_FORMAT_BYTES, 0));
      wb_rig_fill (pair.rig[i], 0, 1000, 1);
    }
    assert_same_said (&pair, "after a flush");
    for (i = 0; i < 2; i++)
      fail_unless (wb_rig_eos (pair.rig[i]));
    assert_same_said (&pair, "at EOS");
    for (i = 0; i < 2; i++) {
      wb_rig_flush (pair.rig[i]);
      wb_rig_begin (pair.rig[i], GST_FORMAT_TIME);
      wb_rig_fill (pair.rig[i], 0, 1000, 1);
      fail_unless (wb_rig_eos (pair.rig[i]));
    }
    assert_same_said (&pair, "at EOS after a flush");
    for (i = 0; i < 2; i++)
      wb_rig_state (pair.rig[i], GST_STATE_READY);
    assert_same_said (&pair, "back in READY");
  }
  for (i = 0; i < 2; i++)
    wb_rig_state (pair.rig[i], GST_STATE_NULL);
  assert_same_said (&pair, "back in NULL");
  pair_free (&pair);
}
GST_END_TEST;

typedef struct
{
  /* Below the test's directory if it is not absolute */
  const gchar *location;
  /* of a buffer, for a failure that comes with writing */
  gsize bytes;
} Failure;

static const Failure failures[] = {
  { NULL, 0 },
  { "", 0 },
  { "no/such/directory", 0 },
  { "../", 0 },
  { "/dev/full", WB_MIB (1) },
};

static void
describe_failure (const Failure *failure, WbRig *rig, GString *text)
{
  GstMessage *message;

  if (wb_rig_state (rig, GST_STATE_PLAYING) != GST_STATE_CHANGE_FAILURE) {
    WbTask *task;

    wb_rig_begin (rig, GST_FORMAT_BYTES);
    task = wb_rig_fill_task (rig, 0, failure->bytes * 100, failure->bytes, 1);
    g_string_append_printf (text, "flow %d; ", wb_task_flow (task, "push"));
  }
  message = wb_rig_nth (rig, GST_MESSAGE_ERROR, 0);
  fail_unless (message != NULL);
  describe_message (text, message);
}

/* What goes wrong is the same error. (What comes after the first one differs:
 * filesink repeats itself.) */
GST_START_TEST (test_errors)
{
  const Failure *failure = &failures[__i__];
  GString *text[2];
  guint i;

  for (i = 0; i < 2; i++) {
    const gchar *factory = i == 0 ? "filesink" : wb_sink_name ();
    gboolean absolute =
        failure->location == NULL || g_path_is_absolute (failure->location);
    gchar *path = absolute || failure->location[0] == '\0'
        ? g_strdup (failure->location)
        : wb_path (failure->location);
    WbRig *rig = rig_of (factory, path);

    text[i] = g_string_new (NULL);
    describe_failure (failure, rig, text[i]);
    wb_rig_free (rig);
    g_free (path);
  }
  assert_equals_string (text[1]->str, text[0]->str);
  for (i = 0; i < 2; i++)
    g_string_free (text[i], TRUE);
}
GST_END_TEST;

/* Stepping in PAUSED goes over buffers that have not been accepted yet: over
 * the same ones. */
GST_START_TEST (test_steps)
{
  GByteArray *got[2];
  Pair pair;
  guint i, n;

  pair_new (&pair);
  for (i = 0; i < 2; i++) {
    WbRig *rig = pair.rig[i];
    gchar *location;
    WbTask *task;

    wb_rig_state (rig, GST_STATE_PAUSED);
    wb_rig_begin (rig, GST_FORMAT_TIME);
    task = wb_rig_fill_task (rig, 0, 20000, 1000, 1);
    wb_rig_await (rig, GST_MESSAGE_ASYNC_DONE);
    for (n = 1; n <= 3; n++) {
      gst_element_send_event (rig->sink,
          gst_event_new_step (GST_FORMAT_BUFFERS, n, 1.0, TRUE, FALSE));
      wb_rig_await (rig, GST_MESSAGE_STEP_DONE);
      g_ptr_array_set_size (rig->seen, 0);
    }
    wb_rig_state (rig, GST_STATE_PLAYING);
    fail_unless_equals_int (wb_task_flow (task, "push"), GST_FLOW_OK);
    fail_unless (wb_rig_eos (rig));
    g_object_get (rig->sink, "location", &location, NULL);
    got[i] = wb_file_read (location);
    g_free (location);
  }
  fail_unless (got[0]->len > 0);
  wb_assert_bytes (got[1]->data, got[1]->len, got[0]->data, got[0]->len);
  for (i = 0; i < 2; i++)
    g_byte_array_unref (got[i]);
  pair_free (&pair);
}
GST_END_TEST;

static Suite *
parity_suite (void)
{
  Suite *suite = suite_create ("parity");
  TCase *tcase = wb_tcase (suite, "general");

  tcase_add_test (tcase, test_properties);
  tcase_add_test (tcase, test_recorded);
  tcase_add_test (tcase, test_values_when_new);
  tcase_add_test (tcase, test_pad_and_interfaces);
  tcase_add_test (tcase, test_answers);
  tcase_add_test (tcase, test_events);
  tcase_add_test (tcase, test_messages);
  tcase_add_loop_test (tcase, test_errors, 0, G_N_ELEMENTS (failures));
  tcase_add_test (tcase, test_steps);

  return suite;
}

WB_TEST_MAIN (parity)
