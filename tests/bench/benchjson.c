/* wbfilesink benchmark: JSON, written as it comes
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "benchjson.h"

static void
json_key (BenchJson *json, const gchar *key)
{
  if (!json->first)
    g_string_append (json->text, ", ");
  if (key != NULL)
    g_string_append_printf (json->text, "\"%s\": ", key);
  json->first = FALSE;
}

void
bench_json_string (BenchJson *json, const gchar *key, const gchar *value)
{
  const gchar *c;

  json_key (json, key);
  if (value == NULL) {
    g_string_append (json->text, "null");
    return;
  }
  g_string_append_c (json->text, '"');
  for (c = value; *c != '\0'; c++) {
    if (*c == '"' || *c == '\\')
      g_string_append_c (json->text, '\\');
    if ((guchar) *c < 0x20)
      g_string_append_printf (json->text, "\\u%04x", *c);
    else
      g_string_append_c (json->text, *c);
  }
  g_string_append_c (json->text, '"');
}

void
bench_json_int (BenchJson *json, const gchar *key, gint64 value)
{
  json_key (json, key);
  g_string_append_printf (json->text, "%" G_GINT64_FORMAT, value);
}

void
bench_json_bool (BenchJson *json, const gchar *key, gboolean value)
{
  json_key (json, key);
  g_string_append (json->text, value ? "true" : "false");
}

void
bench_json_real (BenchJson *json, const gchar *key, gdouble value)
{
  gchar number[G_ASCII_DTOSTR_BUF_SIZE];

  json_key (json, key);
  g_ascii_formatd (number, sizeof number, "%.6f", value);
  g_string_append (json->text, number);
}

void
bench_json_null (BenchJson *json, const gchar *key)
{
  bench_json_string (json, key, NULL);
}

void
bench_json_open (BenchJson *json, const gchar *key)
{
  json_key (json, key);
  g_string_append_c (json->text, '{');
  json->first = TRUE;
}

void
bench_json_close (BenchJson *json)
{
  g_string_append_c (json->text, '}');
  json->first = FALSE;
}

void
bench_json_open_list (BenchJson *json, const gchar *key)
{
  json_key (json, key);
  g_string_append_c (json->text, '[');
  json->first = TRUE;
}

void
bench_json_close_list (BenchJson *json)
{
  g_string_append_c (json->text, ']');
  json->first = FALSE;
}
