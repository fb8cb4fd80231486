/* wbfilesink benchmark: a modelled device, as a program
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Layout: only the command line is here. model.c and the kinds beside it are
 * the time that things take, modeldisk.c is the file that takes it.
 */
#include "modeldisk.h"

#include <stdlib.h>

/* In the units of the command line; negative: the kind's own. */
typedef struct
{
  gchar *model;
  gint64 size_mib;
  gint64 forget_kib;
  gint64 cache_mib;
  gdouble rate;
  gdouble stall_every;
  gdouble burst;
  gint depth;
  gint seed;
} Words;

#define MB 1e6
#define MIB (G_GINT64_CONSTANT (1) << 20)

static const ModelKind *
parse (Words *words, int *argc, char ***argv)
{
  const GOptionEntry entries[] = {
    { "model", 'm', 0, G_OPTION_ARG_STRING, &words->model,
        "What device, see below", "KIND" },
    { "size", 0, 0, G_OPTION_ARG_INT64, &words->size_mib, "Of the device",
        "MIB" },
    { "rate", 0, 0, G_OPTION_ARG_DOUBLE, &words->rate,
        "Another speed (cloud: what flows in)", "MB/s" },
    { "depth", 0, 0, G_OPTION_ARG_INT, &words->depth,
        "hdd, cloud, net: requests at once", "N" },
    { "cache", 0, 0, G_OPTION_ARG_INT64, &words->cache_mib,
        "hdd: its write cache; 0: off", "MIB" },
    { "stall-every", 0, 0, G_OPTION_ARG_DOUBLE, &words->stall_every,
        "sd: written between two stalls; 0: none", "MB" },
    { "burst", 0, 0, G_OPTION_ARG_DOUBLE, &words->burst,
        "cloud: credit of a rested device", "MB" },
    { "seed", 0, 0, G_OPTION_ARG_INT, &words->seed,
        "Of what is drawn: stalls, latencies", "N" },
    { "forget", 0, 0, G_OPTION_ARG_INT64, &words->forget_kib,
        "Do not keep the data of timed writes as long; 0: keep all", "KIB" },
    { NULL },
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("MOUNT-POINT");
  g_autoptr (GError) error = NULL;
  g_autofree gchar *kinds = model_list ();
  g_autofree gchar *text = g_strconcat ("Kinds:\n", kinds, NULL);
  const ModelKind *kind;

  g_option_context_set_summary (context,
      "A file 'disk' that is as slow as the device, and a file 'stats'.");
  g_option_context_set_description (context, text);
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, argc, argv, &error)) {
    g_printerr ("wbmodel: %s\n", error->message);
    return NULL;
  }
  kind = words->model != NULL ? model_find (words->model) : NULL;
  if (kind == NULL || *argc != 2 || words->size_mib <= 0) {
    g_printerr ("wbmodel: a kind of device or the mount point is missing\n");
    return NULL;
  }
  return kind;
}

static ModelSettings
settings_of (const ModelKind *kind, const Words *words)
{
  ModelSettings settings = kind->defaults;

  settings.size = words->size_mib * MIB;
  settings.seed = words->seed;
  if (words->rate > 0)
    settings.rate = words->rate * MB;
  if (words->depth > 0)
    settings.depth = words->depth;
  if (words->cache_mib >= 0)
    settings.cache = words->cache_mib * MIB;
  if (words->stall_every >= 0)
    settings.stall_every = words->stall_every * MB;
  if (words->burst >= 0)
    settings.burst = words->burst * MB;
  return settings;
}

int
main (int argc, char **argv)
{
  /* A journal's blocks come in requests of less than 256 KiB. */
  Words words = { .size_mib = 65536,
    .forget_kib = 256,
    .cache_mib = -1,
    .stall_every = -1,
    .burst = -1,
    .seed = 1 };
  const ModelKind *kind = parse (&words, &argc, &argv);
  ModelSettings settings;
  ModelDisk *disk;
  int status = EXIT_FAILURE;

  g_free (words.model);
  if (kind == NULL)
    return 2;
  settings = settings_of (kind, &words);
  disk = model_disk_new (kind, &settings, words.forget_kib << 10);
  if (disk == NULL)
    return EXIT_FAILURE;
  if (model_disk_serve (disk, argv[1]))
    status = EXIT_SUCCESS;
  model_disk_free (disk);
  return status;
}
