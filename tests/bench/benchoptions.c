/* wbfilesink benchmark: what wbbench is asked to do
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Layout: sizes; the other words; the command line.
 */
#include "benchoptions.h"
#include "benchload.h"

#include <string.h>

/* "64K", "2MiB", "1G": powers of 1024. */
static gboolean
parse_size (const gchar *text, guint64 *size)
{
  static const gchar units[] = "KMGT";
  gchar *end;
  const gchar *unit;

  *size = g_ascii_strtoull (text, &end, 10);
  if (end == text)
    return FALSE;
  if (*end == '\0')
    return TRUE;
  unit = strchr (units, g_ascii_toupper (*end));
  if (unit == NULL)
    return FALSE;
  *size <<= 10 * (unit - units + 1);
  return end[1] == '\0' || g_str_equal (end + 1, "iB");
}

static gboolean
parse_sizes (BenchOptions *options)
{
  const struct
  {
    const gchar *text;
    const gchar *fallback;
    guint64 *size;
  } sizes[] = {
    { options->bytes_text, "1G", &options->bytes },
    { options->buffer_size_text, "64K", &options->buffer_size },
    { options->patch_every_text, "2M", &options->patch_every },
    { options->warm_text, "0", &options->warm },
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++) {
    const gchar *text = sizes[i].text ? sizes[i].text : sizes[i].fallback;

    if (!parse_size (text, sizes[i].size)) {
      g_printerr ("wbbench: '%s' is not a size\n", text);
      return FALSE;
    }
  }
  return options->buffer_size > 0 && options->patch_every > 0;
}

static gboolean
parse_notify_at (BenchOptions *options)
{
  g_auto (GStrv) sizes = NULL;
  guint i;

  if (options->notify_at_text == NULL)
    return TRUE;
  sizes = g_strsplit (options->notify_at_text, ",", -1);
  for (i = 0; sizes[i] != NULL; i++)
    if (i == BENCH_NOTIFY_MAX
        || !parse_size (sizes[i], &options->notify_at[i])) {
      g_printerr ("wbbench: '%s' is not a list of up to %d sizes\n",
          options->notify_at_text, BENCH_NOTIFY_MAX);
      return FALSE;
    }
  return TRUE;
}

static gboolean
check_options (BenchOptions *options)
{
  if (!parse_sizes (options) || !parse_notify_at (options))
    return FALSE;
  if (options->sink == NULL) {
    g_printerr ("wbbench: --sink is missing\n");
    return FALSE;
  }
  if (!bench_load_exists (options->pattern)) {
    g_printerr ("wbbench: there is no pattern '%s'\n", options->pattern);
    return FALSE;
  }
  if (options->sinks < 1 || options->list < 0 || options->sample_ms < 0) {
    g_printerr ("wbbench: a number is out of range\n");
    return FALSE;
  }
  if (options->live < 0 || (options->live > 0 && options->rate <= 0)) {
    g_printerr ("wbbench: --live needs a --rate\n");
    return FALSE;
  }
  if (options->sinks > 1 && strstr (options->location, "%d") == NULL) {
    g_printerr ("wbbench: --location needs a %%d with --sinks\n");
    return FALSE;
  }
  return TRUE;
}

gboolean
bench_options_parse (BenchOptions *options, int *argc, char ***argv)
{
  const GOptionEntry entries[] = {
    { "sink", 's', 0, G_OPTION_ARG_STRING, &options->sink,
        "Element and properties, or 'origin'", "DESCRIPTION" },
    { "location", 'o', 0, G_OPTION_ARG_FILENAME, &options->location,
        "File to write (%d: the sink's number)", "FILE" },
    { "bytes", 'n', 0, G_OPTION_ARG_STRING, &options->bytes_text,
        "Body of the stream, a sink", "SIZE" },
    { "buffer-size", 'b', 0, G_OPTION_ARG_STRING, &options->buffer_size_text,
        "Bytes a buffer", "SIZE" },
    { "list", 0, 0, G_OPTION_ARG_INT, &options->list, "Push lists of N buffers",
        "N" },
    { "rate", 'r', 0, G_OPTION_ARG_DOUBLE, &options->rate,
        "10^6 bytes a second, a sink; 0: as fast as it goes", "MB/s" },
    { "pattern", 'p', 0, G_OPTION_ARG_STRING, &options->pattern,
        "What the muxer does, see below", "NAME" },
    { "patch-every", 0, 0, G_OPTION_ARG_STRING, &options->patch_every_text,
        "Cluster, fragment: bytes between patches", "SIZE" },
    { "seed", 0, 0, G_OPTION_ARG_INT, &options->seed,
        "For the pattern 'random'", "N" },
    { "sinks", 0, 0, G_OPTION_ARG_INT, &options->sinks,
        "That many at once, a thread each", "N" },
    { "stagger", 0, 0, G_OPTION_ARG_DOUBLE, &options->stagger,
        "Each of them begins so much after the one before", "SECONDS" },
    { "live", 0, 0, G_OPTION_ARG_DOUBLE, &options->live,
        "With --rate: count what a live source with such a queue would lose",
        "SECONDS" },
    { "allocate", 0, 0, G_OPTION_ARG_NONE, &options->allocate,
        "Allocate and fill each buffer; else a few ready-made ones go round",
        NULL },
    { "input", 0, 0, G_OPTION_ARG_FILENAME, &options->input,
        "Read the body from there, as filesrc would", "FILE" },
    { "stamp", 0, 0, G_OPTION_ARG_NONE, &options->stamp,
        "Fill each buffer with what no other one holds, of any sink", NULL },
    { "warm", 0, 0, G_OPTION_ARG_STRING, &options->warm_text,
        "Touch and free that much memory first", "SIZE" },
    { "sample", 0, 0, G_OPTION_ARG_INT, &options->sample_ms,
        "Look at the page cache this often; 0: never", "MS" },
    { "timeline", 0, 0, G_OPTION_ARG_FILENAME, &options->timeline,
        "Write what was seen over time", "FILE.csv" },
    { "notify-at", 0, 0, G_OPTION_ARG_STRING, &options->notify_at_text,
        "Print 'notify' whenever so much was pushed", "SIZE,..." },
    { "device", 'd', 0, G_OPTION_ARG_STRING, &options->device,
        "Count this device's bytes, not those of the file's", "MAJ:MIN" },
    { "look-at", 0, 0, G_OPTION_ARG_FILENAME, &options->look_at,
        "Look at this file's cache: an overlay's is its upper file's", "FILE" },
    { "keep", 'k', 0, G_OPTION_ARG_NONE, &options->keep,
        "Leave the files there", NULL },
    { NULL },
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;
  g_autofree gchar *patterns = bench_load_list ();
  g_autofree gchar *text = g_strconcat ("Patterns:\n", patterns, NULL);

  g_option_context_set_summary (
      context, "Drives one sink and prints what it cost as JSON.");
  g_option_context_set_description (context, text);
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, argc, argv, &error)) {
    g_printerr ("wbbench: %s\n", error->message);
    return FALSE;
  }
  return check_options (options);
}

void
bench_options_clear (BenchOptions *options)
{
  g_free (options->sink);
  g_free (options->location);
  g_free (options->bytes_text);
  g_free (options->buffer_size_text);
  g_free (options->patch_every_text);
  g_free (options->warm_text);
  g_free (options->notify_at_text);
  g_free (options->pattern);
  g_free (options->input);
  g_free (options->device);
  g_free (options->look_at);
  g_free (options->timeline);
}
