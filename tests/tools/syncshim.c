/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Preloaded into wbremux: writes down what makes a file durable, in the order in
 * which it is called, and can let a folder's fsync fail.
 *
 * SYNCSHIM_LOG names the file for the lines "fsync file", "fsync folder" and
 * "rename". With SYNCSHIM_FAIL=1 a folder's fsync fails with EIO once a rename has
 * been seen.
 */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int fsync (int fd);
int rename (const char *from, const char *to);
int renameat2 (
    int from_fd, const char *from, int to_fd, const char *to, unsigned flags);

static int was_renamed;

static void
note (const char *line)
{
  const char *path = getenv ("SYNCSHIM_LOG");
  int fd = path ? open (path, O_WRONLY | O_APPEND | O_CREAT, 0666) : -1;

  if (fd < 0)
    return;
  if (write (fd, line, strlen (line)) < 0)
    abort ();
  close (fd);
}

int
fsync (int fd)
{
  int (*real) (int) = (int (*) (int)) dlsym (RTLD_NEXT, "fsync");
  struct stat st;
  int is_folder = fstat (fd, &st) == 0 && S_ISDIR (st.st_mode);

  note (is_folder ? "fsync folder\n" : "fsync file\n");
  if (is_folder && was_renamed && getenv ("SYNCSHIM_FAIL")) {
    errno = EIO;
    return -1;
  }
  return real (fd);
}

int
rename (const char *from, const char *to)
{
  int (*real) (const char *, const char *) =
      (int (*) (const char *, const char *)) dlsym (RTLD_NEXT, "rename");

  note ("rename\n");
  was_renamed = 1;
  return real (from, to);
}

int
renameat2 (
    int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
  int (*real) (int, const char *, int, const char *, unsigned) =
      (int (*) (int, const char *, int, const char *, unsigned)) dlsym (
          RTLD_NEXT, "renameat2");

  note ("rename\n");
  was_renamed = 1;
  return real (from_fd, from, to_fd, to, flags);
}
