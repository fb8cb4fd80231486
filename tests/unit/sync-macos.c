/* The generic table as macOS compiles it, over calls that fail as they are told:
 * F_FULLFSYNC gives way to fsync where there is no such thing, and never after an
 * error, and no descriptor raises SIGPIPE. Nothing of it has been run on macOS.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "macos.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

/* What the calls answer: 0 or an errno */
static int full_answer, plain_answer, pipe_answer;
static guint full_calls, plain_calls, pipe_calls;

static int
answer (int code)
{
  if (code == 0)
    return 0;
  errno = code;
  return -1;
}

static int
played_fcntl (int fd, int command)
{
  switch (command) {
    case F_FULLFSYNC:
      full_calls++;
      return answer (full_answer);
    case F_SETNOSIGPIPE:
      pipe_calls++;
      return answer (pipe_answer);
    default:
      return 0;
  }
}

static int
played_fsync (int fd)
{
  plain_calls++;
  return answer (plain_answer);
}

/* With or without a third argument, which does not matter here */
#define fcntl(fd, command, ...) played_fcntl (fd, command)
#define fsync played_fsync
#include "system/wbsys-generic.c"
#undef fcntl
#undef fsync

typedef int (*SyncFunc) (int fd);

static void
play (SyncFunc sync, int full, int plain)
{
  full_answer = full;
  plain_answer = plain;
  full_calls = plain_calls = 0;
  errno = 0;
  g_assert_cmpint (sync (3), ==, answer (full == 0 ? 0 : plain));
  g_assert_cmpuint (full_calls, ==, 1);
}

/* It is told once, and fsync would say that all is well. */
static void
assert_error_stays (SyncFunc sync, int code)
{
  full_answer = code;
  plain_answer = 0;
  full_calls = plain_calls = 0;
  g_assert_cmpint (sync (3), ==, -1);
  g_assert_cmpint (errno, ==, code);
  g_assert_cmpuint (full_calls, ==, 1);
  g_assert_cmpuint (plain_calls, ==, 0);
}

static void
check_sync (SyncFunc sync)
{
  static const int not_there[] = { ENOTSUP, ENOTTY, EINVAL };
  static const int errors[] = { EIO, ENOSPC, EDQUOT, ENXIO, EBADF, EINTR,
    EPERM };

  play (sync, 0, EIO);
  g_assert_cmpuint (plain_calls, ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (not_there); i++) {
    play (sync, not_there[i], 0);
    g_assert_cmpuint (plain_calls, ==, 1);
    play (sync, not_there[i], EIO);
    g_assert_cmpint (errno, ==, EIO);
  }
  for (guint i = 0; i < G_N_ELEMENTS (errors); i++)
    assert_error_stays (sync, errors[i]);
}

static void
test_file (void)
{
  check_sync (wb_sys_default ()->sync);
  check_sync (wb_sys_default ()->sync_data);
}

static void
test_directory (void)
{
  check_sync (wb_sys_default ()->sync_directory);
}

static void
test_no_signal (void)
{
  const WbSys *sys = wb_sys_default ();

  for (guint i = 0; i < 2; i++) {
    int fd;

    /* Refused, it is no reason not to open. */
    pipe_answer = i == 0 ? 0 : EINVAL;
    pipe_calls = 0;
    fd = sys->open ("/dev/null", O_WRONLY | O_CLOEXEC, 0);
    g_assert_cmpint (fd, >=, 0);
    g_assert_cmpuint (pipe_calls, ==, 1);
    sys->close (fd);
  }
  pipe_calls = 0;
  g_assert_cmpint (sys->open ("/nowhere/at/all", O_WRONLY, 0), ==, -1);
  g_assert_cmpint (errno, ==, ENOENT);
  g_assert_cmpuint (pipe_calls, ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/sync-macos/file", test_file);
  g_test_add_func ("/sync-macos/directory", test_directory);
  g_test_add_func ("/sync-macos/no-signal", test_no_signal);
  return g_test_run ();
}
