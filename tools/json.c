/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * JSON, as far as a line of progress needs it: objects of strings, numbers and
 * truth values, and lists of strings. Names are ours, and need no escape.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "json.h"

#include <stdio.h>

static void
append_string (GString *self, const gchar *value)
{
  g_autofree gchar *text = g_utf8_make_valid (value, -1);
  const gchar *p;

  g_string_append_c (self, '"');
  for (p = text; *p; p++) {
    if (*p == '"' || *p == '\\')
      g_string_append_printf (self, "\\%c", *p);
    else if ((guchar) *p < 0x20)
      g_string_append_printf (self, "\\u%04x", *p);
    else
      g_string_append_c (self, *p);
  }
  g_string_append_c (self, '"');
}

GString *
json_begin (const gchar *type)
{
  GString *self = g_string_new ("{\"type\":");

  append_string (self, type);
  return self;
}

/* NULL becomes null. */
void
json_add_string (GString *self, const gchar *name, const gchar *value)
{
  g_string_append_printf (self, ",\"%s\":", name);
  if (value)
    append_string (self, value);
  else
    g_string_append (self, "null");
}

void
json_add_strings (GString *self, const gchar *name, GPtrArray *values)
{
  guint i;

  g_string_append_printf (self, ",\"%s\":[", name);
  for (i = 0; i < values->len; i++) {
    if (i > 0)
      g_string_append_c (self, ',');
    append_string (self, g_ptr_array_index (values, i));
  }
  g_string_append_c (self, ']');
}

void
json_add_uint (GString *self, const gchar *name, guint64 value)
{
  g_string_append_printf (self, ",\"%s\":%" G_GUINT64_FORMAT, name, value);
}

/* To the millisecond; negative: not known, null. */
void
json_add_decimal (GString *self, const gchar *name, gdouble value)
{
  gchar text[G_ASCII_DTOSTR_BUF_SIZE];

  g_ascii_formatd (text, sizeof (text), "%.3f", value);
  g_string_append_printf (self, ",\"%s\":%s", name, value < 0 ? "null" : text);
}

void
json_add_boolean (GString *self, const gchar *name, gboolean value)
{
  g_string_append_printf (self, ",\"%s\":%s", name, value ? "true" : "false");
}

/* To standard output, at once; frees it. */
void
json_print (GString *self)
{
  g_string_append (self, "}\n");
  fputs (self->str, stdout);
  fflush (stdout);
  g_string_free (self, TRUE);
}
