/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "inspect.h"

G_BEGIN_DECLS

GstToc *chapters_join (GPtrArray *inputs, GPtrArray *inspections);

G_END_DECLS
