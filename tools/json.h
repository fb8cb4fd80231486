/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* One flat object on a line of its own, made field by field. */
GString *json_begin (const gchar *type);
void json_add_string (GString *self, const gchar *name, const gchar *value);
void json_add_strings (GString *self, const gchar *name, GPtrArray *values);
void json_add_uint (GString *self, const gchar *name, guint64 value);
void json_add_decimal (GString *self, const gchar *name, gdouble value);
void json_add_boolean (GString *self, const gchar *name, gboolean value);
void json_print (GString *self);

G_END_DECLS
