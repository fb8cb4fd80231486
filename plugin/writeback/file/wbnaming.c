/* wbfilesink: one output file: the name that it is to have
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "file/wbnaming.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Of one name: only to end. */
#define NUMBERS 1000000

/* --- names ------------------------------------------------------------------------ */

/* "movie.mkv" is "movie-1.mkv"; what begins with its only dot has no extension. */
static char *
add_number (const char *wanted, guint number)
{
  const char *base = strrchr (wanted, G_DIR_SEPARATOR), *dot;

  if (number == 0)
    return g_strdup (wanted);
  base = base != NULL ? base + 1 : wanted;
  dot = strrchr (base, '.');
  if (dot == NULL || dot == base)
    dot = base + strlen (base);
  return g_strdup_printf (
      "%.*s-%u%s", (int) (dot - wanted), wanted, number, dot);
}

static void
set_number (WbNaming *naming, guint number)
{
  g_free (naming->goal);
  naming->goal = add_number (naming->wanted, number);
  naming->number = number;
}

static void
set_place (WbNaming *naming)
{
  g_free (naming->name->location);
  naming->name->location = naming->suffix != NULL
      ? g_strconcat (naming->goal, naming->suffix, NULL)
      : g_strdup (naming->goal);
}

static gboolean
is_sound (const WbNaming *naming, WbOpenMode mode)
{
  if (naming->suffix != NULL && strchr (naming->suffix, '/') != NULL)
    return FALSE;
  return mode == WB_OPEN_TRUNCATE
      || (naming->suffix == NULL && naming->on_exists == WB_EXISTS_REPLACE);
}

void
wb_naming_init (
    WbNaming *naming, WbCore *core, WbName *name, const WbFileConfig *config)
{
  naming->core = core;
  naming->name = name;
  naming->on_exists = config->on_exists;
  if (config->part_suffix != NULL && config->part_suffix[0] != '\0')
    naming->suffix = g_strdup (config->part_suffix);
  naming->is_sound = is_sound (naming, config->mode);
  naming->wanted = g_strdup (config->location);
  set_number (naming, 0);
  set_place (naming);
}

void
wb_naming_clear (WbNaming *naming)
{
  g_free (naming->suffix);
  g_free (naming->wanted);
  g_free (naming->goal);
}

gboolean
wb_naming_is_renamed (const WbNaming *naming)
{
  return naming->renamed;
}

void
wb_naming_get_place (const WbNaming *naming, WbPlace *place)
{
  place->location = g_strdup (naming->name->location);
  place->goal = g_strdup (naming->goal);
  place->renamed = naming->renamed;
}

/* --- the start -------------------------------------------------------------------- */

gboolean
wb_naming_makes (WbNaming *naming, const struct stat *status)
{
  if (naming->on_exists != WB_EXISTS_REPLACE)
    return TRUE;
  if (naming->suffix != NULL && status != NULL && !S_ISREG (status->st_mode)) {
    g_clear_pointer (&naming->suffix, g_free);
    set_place (naming);
  }
  return naming->suffix != NULL;
}

/* What is to be replaced by a rename is the file, not a link that leads to it. */
static void
follow_link (WbNaming *naming) WB_REQUIRES (wb_locked, wb_io_thread)
{
  char *real = NULL;

  wb_core_enter (naming->core, WB_IO, "open", 0);
  if (wb_name_is_link (naming->name, naming->wanted))
    real = naming->name->sys->real_path (naming->wanted);
  wb_core_leave (naming->core, WB_IO);
  if (real == NULL)
    return;
  g_free (naming->wanted);
  naming->wanted = g_strdup (real);
  free (real);
  set_number (naming, 0);
  set_place (naming);
}

/* A part is new. Where a file is to be replaced, so is a part that was left behind;
 * another process that still writes it finds out at its end, and this one is whole. */
static int
make (const WbNaming *naming, gboolean o_sync, int *fd, const char **call)
    WB_REQUIRES (wb_io_thread) WB_EXCLUDES (wb_locked)
{
  WbName *name = naming->name;
  gboolean replaces = naming->on_exists == WB_EXISTS_REPLACE;

  *call = "open";
  if (naming->suffix != NULL && !replaces
      && wb_name_exists (name, naming->goal))
    return EEXIST;
  if (naming->suffix != NULL)
    *call = "open (part)";
  *fd = wb_name_create (name, o_sync);
  if (*fd < 0 && errno == EEXIST && replaces && wb_name_discard (name) == 0)
    *fd = wb_name_create (name, o_sync);
  return *fd < 0 ? errno : 0;
}

int
wb_naming_claim (WbNaming *naming, const struct stat *status, gboolean o_sync,
    int *fd, const char **call)
{
  WbCore *core = naming->core;
  guint number = 0;
  int code;

  *call = "open";
  /* /dev/stdout-1 is nobody's wish. */
  if (status != NULL && !S_ISREG (status->st_mode))
    return S_ISDIR (status->st_mode) ? EISDIR : EEXIST;
  if (status != NULL && naming->on_exists == WB_EXISTS_REPLACE)
    follow_link (naming);
  while (!wb_core_is_abandoned (core)) {
    wb_core_enter (core, WB_IO, "open", 0);
    code = make (naming, o_sync, fd, call);
    wb_core_leave (core, WB_IO);
    if (code != EEXIST || naming->on_exists != WB_EXISTS_NUMBER
        || number == NUMBERS) {
      if (code == 0 && number > 0)
        wb_core_say_locked (core, WB_LOG_INFO, "%s is taken: this is %s",
            naming->wanted, naming->goal);
      return code;
    }
    set_number (naming, ++number);
    set_place (naming);
  }
  return ECANCELED;
}

/* --- the end ---------------------------------------------------------------------- */

static void
note_renamed (WbNaming *naming) WB_REQUIRES (wb_locked, wb_io_thread)
{
  g_autofree char *part = g_strdup (naming->name->location);
  g_autofree char *goal = g_strdup (naming->goal);

  wb_name_moved (naming->name, naming->goal);
  naming->renamed = TRUE;
  wb_core_say_locked (naming->core, WB_LOG_DEBUG, "%s is %s now", part, goal);
}

gboolean
wb_naming_finish (WbNaming *naming)
{
  gboolean numbers = naming->on_exists == WB_EXISTS_NUMBER;
  WbCore *core = naming->core;
  const char *call;
  int code;

  if (naming->suffix == NULL || naming->renamed)
    return TRUE;
  do {
    wb_core_enter (core, WB_IO, "rename", 0);
    code = wb_name_move (naming->name, naming->goal,
        naming->on_exists == WB_EXISTS_REPLACE, &call);
    wb_core_leave (core, WB_IO);
    if (wb_core_is_abandoned (core))
      return FALSE;
    if (code == EEXIST && numbers)
      set_number (naming, naming->number + 1);
  } while (code == EEXIST && numbers && naming->number < NUMBERS);
  if (code == 0)
    note_renamed (naming);
  else
    wb_core_latch (core, WB_ERROR_RENAME, code, call, 0);
  return code == 0;
}
