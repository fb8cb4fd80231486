/* wbfilesink: how much memory there is, and how busy a disk
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Read from /proc and /sys where they are; elsewhere only the size of a page is
 * known.
 */
#include "system/wbmemory.h"

#include <string.h>

#ifdef G_OS_WIN32
#include <windows.h>

guint64
wb_memory_page_size (void)
{
  SYSTEM_INFO info;

  GetSystemInfo (&info);
  return info.dwPageSize;
}

#else
#include <unistd.h>

guint64
wb_memory_page_size (void)
{
  return (guint64) sysconf (_SC_PAGESIZE);
}

#endif

#ifdef __linux__

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/sysmacros.h>

/* What /proc and /sys say fits this. */
#define MOST_TEXT (64 * 1024)

/* A text, to be freed, or NULL. No child that is started meanwhile gets the
 * descriptor. */
static gchar *
read_text (const char *path)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  g_autofree gchar *text = g_malloc (MOST_TEXT);
  gsize size = 0;
  gssize n = 0;

  if (fd < 0)
    return NULL;
  while (size < MOST_TEXT - 1
      && (n = read (fd, text + size, MOST_TEXT - 1 - size)) > 0)
    size += (gsize) n;
  close (fd);
  text[size] = '\0';
  return n < 0 ? NULL : g_steal_pointer (&text);
}

/* A file that holds one number; G_MAXUINT64 if it is not there or says "max". */
static guint64
read_number (const char *path)
{
  g_autofree gchar *text = read_text (path);
  gchar *end;
  guint64 number;

  if (text == NULL)
    return G_MAXUINT64;
  number = g_ascii_strtoull (text, &end, 10);
  return end == text ? G_MAXUINT64 : number;
}

/* The number after `name` at the beginning of a line. */
static guint64
find_number (const char *text, const char *name)
{
  gsize length = strlen (name);

  for (const char *line = text; line != NULL; line = strchr (line, '\n')) {
    line += *line == '\n';
    if (strncmp (line, name, length) == 0)
      return g_ascii_strtoull (line + length, NULL, 10);
  }
  return G_MAXUINT64;
}

static guint64
machine_memory (void)
{
  g_autofree gchar *text = read_text ("/proc/meminfo");
  guint64 kib;

  if (text == NULL)
    return G_MAXUINT64;
  kib = find_number (text, "MemTotal:");
  return kib == G_MAXUINT64 ? kib : kib * 1024;
}

/* The least limit of a group and of those that it is in. */
static guint64
group_limit (const char *root, const char *group, const char *file)
{
  g_autofree gchar *at = g_strdup (group);
  guint64 least = G_MAXUINT64;

  for (;;) {
    g_autofree gchar *path = g_build_filename (root, at, file, NULL);
    gchar *slash = strrchr (at, '/');

    least = MIN (least, read_number (path));
    if (slash == NULL || at[0] == '\0')
      return least;
    *slash = '\0';
  }
}

/* A line is "4:memory:/group", and "0::/group" of version 2. */
static guint64
limit_of_line (const char *line)
{
  g_auto (GStrv) fields = g_strsplit (line, ":", 3);
  g_auto (GStrv) controllers = NULL;

  if (g_strv_length (fields) < 3)
    return G_MAXUINT64;
  if (fields[1][0] == '\0')
    return group_limit ("/sys/fs/cgroup", fields[2], "memory.max");
  controllers = g_strsplit (fields[1], ",", -1);
  if (!g_strv_contains ((const gchar *const *) controllers, "memory"))
    return G_MAXUINT64;
  return group_limit (
      "/sys/fs/cgroup/memory", fields[2], "memory.limit_in_bytes");
}

guint64
wb_memory_size (void)
{
  g_autofree gchar *text = read_text ("/proc/self/cgroup");
  g_auto (GStrv) lines = NULL;
  guint64 size = machine_memory ();

  if (text == NULL)
    return size;
  lines = g_strsplit (text, "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++)
    size = MIN (size, limit_of_line (lines[i]));
  return size;
}

/* A percentage that a disk has of all dirty memory: of the disk, or of the one that a
 * partition is on. */
static guint64
part_of_device (guint64 device)
{
  static const char *const places[] = { "bdi", "../bdi" };

  for (guint i = 0; i < G_N_ELEMENTS (places); i++) {
    g_autofree gchar *path =
        g_strdup_printf ("/sys/dev/block/%u:%u/%s/max_ratio",
            major ((dev_t) device), minor ((dev_t) device), places[i]);
    guint64 percent = read_number (path);

    if (percent != G_MAXUINT64)
      return MIN (percent, 100);
  }
  return 100;
}

/* Half-way between the two is where the kernel begins to slow writers down. */
guint64
wb_memory_dirty_limit (guint64 device)
{
  g_autofree gchar *text = read_text ("/proc/vmstat");
  guint64 least, most;

  if (text == NULL)
    return G_MAXUINT64;
  least = find_number (text, "nr_dirty_background_threshold ");
  most = find_number (text, "nr_dirty_threshold ");
  if (least == G_MAXUINT64 || most == G_MAXUINT64)
    return G_MAXUINT64;
  return (least + most) / 2 * wb_memory_page_size () / 100
      * part_of_device (device);
}

/* In a line of numbers the third one counts sectors, which are 512 bytes here
 * whatever the disk's own are. */
guint64
wb_memory_disk_reads (guint64 device)
{
  static const char *const places[] = { "../stat", "stat" };

  for (guint i = 0; i < G_N_ELEMENTS (places); i++) {
    g_autofree gchar *path = g_strdup_printf ("/sys/dev/block/%u:%u/%s",
        major ((dev_t) device), minor ((dev_t) device), places[i]);
    g_autofree gchar *text = read_text (path);
    guint64 sectors;

    if (text != NULL && sscanf (text, "%*u %*u %" SCNu64, &sectors) == 1)
      return sectors * 512;
  }
  return G_MAXUINT64;
}

#else

guint64
wb_memory_disk_reads (guint64 device)
{
  return G_MAXUINT64;
}

guint64
wb_memory_size (void)
{
  return G_MAXUINT64;
}

guint64
wb_memory_dirty_limit (guint64 device)
{
  return G_MAXUINT64;
}

#endif
