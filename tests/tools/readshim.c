/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Preloaded into wbremux: a file that cannot be read at one place, as a disc with
 * a scratch.
 *
 * READSHIM_FILE is the end of the file's path, READSHIM_FROM and READSHIM_TO are the
 * bytes that give EIO.
 */

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static long long
get_number (const char *name)
{
  const char *text = getenv (name);

  return text ? atoll (text) : 0;
}

static int
is_file (int fd)
{
  const char *name = getenv ("READSHIM_FILE");
  char link[64], path[4096];
  ssize_t length, wanted = name ? (ssize_t) strlen (name) : 0;

  snprintf (link, sizeof (link), "/proc/self/fd/%d", fd);
  length = readlink (link, path, sizeof (path));
  return wanted > 0 && length >= wanted
      && memcmp (path + length - wanted, name, wanted) == 0;
}

ssize_t
pread (int fd, void *data, size_t size, off_t at)
{
  void *found = dlsym (RTLD_NEXT, "pread64");
  ssize_t (*real) (int, void *, size_t, off_t) = (ssize_t (*) (
      int, void *, size_t, off_t)) (found ? found : dlsym (RTLD_NEXT, "pread"));

  if (is_file (fd) && at + (off_t) size > get_number ("READSHIM_FROM")
      && at < get_number ("READSHIM_TO")) {
    errno = EIO;
    return -1;
  }
  return real (fd, data, size, at);
}
