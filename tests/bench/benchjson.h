/* wbfilesink benchmark: JSON, written as it comes
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct
{
  GString *text;
  gboolean first;
} BenchJson;

/* key: NULL in a list */
void bench_json_string (BenchJson *json, const gchar *key, const gchar *value);
void bench_json_int (BenchJson *json, const gchar *key, gint64 value);
void bench_json_bool (BenchJson *json, const gchar *key, gboolean value);
void bench_json_real (BenchJson *json, const gchar *key, gdouble value);
void bench_json_null (BenchJson *json, const gchar *key);
void bench_json_open (BenchJson *json, const gchar *key);
void bench_json_close (BenchJson *json);
void bench_json_open_list (BenchJson *json, const gchar *key);
void bench_json_close_list (BenchJson *json);

G_END_DECLS
