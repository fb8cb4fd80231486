/* wbfilesink storage tests: a program in a sandbox
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 *   wbdeny ERRNO CALL... -- PROGRAM [ARGUMENT...]
 *
 * Runs a program that is answered ERRNO (a number) by each of these system calls,
 * as a container or a service that is locked up may be. Of fcntl only what sets a
 * descriptor's flags is denied: without the rest of it nothing works.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct
{
  const char *name;
  int number;
} calls[] = {
  { "fsync", SYS_fsync },
  { "fdatasync", SYS_fdatasync },
  { "fallocate", SYS_fallocate },
  { "ftruncate", SYS_ftruncate },
  { "sync_file_range", SYS_sync_file_range },
  { "fadvise", SYS_fadvise64 },
  { "fcntl", SYS_fcntl },
  { "statx", SYS_statx },
  { "fstatfs", SYS_fstatfs },
  { "ioctl", SYS_ioctl },
};

#define N_CALLS (sizeof calls / sizeof calls[0])
/* The most for one call, and what is before and after. */
#define STEPS 8
#define LOAD(field)                                                            \
  (struct sock_filter) BPF_STMT (                                              \
      BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, field))
#define UNLESS(value, skip)                                                    \
  (struct sock_filter) BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)
#define IF(value, skip)                                                        \
  (struct sock_filter) BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, value, skip, 0)
#define ANSWER(what) (struct sock_filter) BPF_STMT (BPF_RET | BPF_K, what)

static int
number_of (const char *name)
{
  for (size_t i = 0; i < N_CALLS; i++)
    if (strcmp (calls[i].name, name) == 0)
      return calls[i].number;
  fprintf (stderr, "wbdeny: there is no call '%s' here\n", name);
  exit (2);
}

/* The number is loaded again after the arguments were looked at. */
static size_t
deny (struct sock_filter *filter, int number, unsigned code)
{
  const unsigned answer = SECCOMP_RET_ERRNO | code;
  size_t n = 0;

  if (number != SYS_fcntl) {
    filter[n++] = UNLESS ((unsigned) number, 1);
    filter[n++] = ANSWER (answer);
    return n;
  }
  filter[n++] = UNLESS ((unsigned) number, 5);
  filter[n++] = LOAD (args[1]);
  filter[n++] = IF (F_SETFL, 1);
  filter[n++] = UNLESS (F_SETFD, 1);
  filter[n++] = ANSWER (answer);
  filter[n++] = LOAD (nr);
  return n;
}

static int
lock_up (int n_names, char **names, unsigned code)
{
  struct sock_filter filter[N_CALLS * STEPS];
  struct sock_fprog program = { .filter = filter };
  size_t n = 0;

  filter[n++] = LOAD (nr);
  for (int i = 0; i < n_names; i++)
    n += deny (&filter[n], number_of (names[i]), code);
  filter[n++] = ANSWER (SECCOMP_RET_ALLOW);
  program.len = (unsigned short) n;
  if (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return -1;
  return prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int
main (int argc, char **argv)
{
  int dashes = 2;

  while (dashes < argc && strcmp (argv[dashes], "--") != 0)
    dashes++;
  if (dashes + 1 >= argc || dashes - 2 > (int) N_CALLS) {
    fprintf (stderr, "Usage: wbdeny ERRNO CALL... -- PROGRAM [ARGUMENT...]\n");
    return 2;
  }
  if (lock_up (dashes - 2, argv + 2, (unsigned) atoi (argv[1])) != 0) {
    perror ("wbdeny: seccomp");
    return 77;
  }
  execvp (argv[dashes + 1], argv + dashes + 1);
  perror (argv[dashes + 1]);
  return 2;
}
