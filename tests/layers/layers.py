#!/usr/bin/env python3
"""wbfilesink: the check of the layers

SPDX-License-Identifier: LGPL-2.1-or-later

Usage: layers.py PLUGIN-FOLDER ARCHIVE [--nm NM], or layers.py --self-test.
Speaks TAP. ARCHIVE holds every object that is built from PLUGIN-FOLDER.

Problem: that a folder is a layer is a promise until somebody is in a hurry: a
call upwards, one more file in a circle, a close() where no test can fail it.

Strategy: the rules stand in the tables below. Who includes whom is read from
the sources, who calls whom and what of the system from the objects' symbols,
where a macro or an inline function hides nothing. A rule is a function of those
two tables and returns what breaks it, a sentence each, so the self-test can
give it tables that break it.

Layout: the rules; reading; judging; the cases; the self-test.
"""
import argparse
import collections
import fnmatch
import pathlib
import re
import shutil
import subprocess
import sys

# --- the rules ---

# From the bottom up: folders of plugin/, or files in it. A file includes, and
# calls, its own layer and those before it in this list.
LAYERS = [
    'writeback/policy',
    'writeback/system',
    'writeback/process',
    'writeback/file',
    'element',
    'plugin.c',
]

# An include of ours is written from one of these: "policy/wbrange.h" from
# plugin/writeback/, "element/x.h" from plugin/.
ROOTS = ['writeback', '.']
# Made by meson, and in no layer.
GENERATED = ['config.h']

# GStreamer begins at this layer: below it nobody knows what a muxer is.
GSTREAMER_FROM = 'element'
GSTREAMER_HEADERS = ['gst/*']

# Only this layer knows an operating system. Any other that needs one of these
# goes through its table of calls, or its threads, which a test can hold up.
SYSTEM = 'writeback/system'
SYSTEM_CALLS = '''
  open openat* creat close close_range closefrom dup dup?
  read readv pread* write writev pwrite* lseek
  sendfile splice tee vmsplice copy_file_range
  pipe pipe? fcntl flock lockf ioctl
  select pselect poll ppoll epoll_* eventfd* timerfd_*
  inotify_* fanotify_*
  stat lstat fstat fstatat newfstatat statx *xstat *xstatat access faccessat*
  statfs fstatfs statvfs fstatvfs
  sync syncfs fsync fdatasync sync_file_range*
  posix_fadvise fadvise fallocate posix_fallocate truncate ftruncate
  unlink* remove rename* link linkat symlink* readlink* realpath
  canonicalize_file_name mkdir* mkfifo* mknod* mkstemp* mkostemp* mkdtemp rmdir
  chmod fchmod* chown fchown* lchown utime* futime* umask chdir fchdir getcwd
  opendir fdopendir readdir* closedir scandir* nftw ftw
  fopen* fdopen freopen* tmpfile* popen system
  mmap* mremap munmap mprotect madvise posix_madvise msync mlock* munlock*
  fork vfork exec* posix_spawn* wait waitpid wait? waitid kill raise
  signal sigaction sig*set sigprocmask sigwait* sigsuspend alarm setitimer
  sleep usleep nanosleep clock_* gettimeofday time
  pthread_* sem_* thrd_* mtx_* cnd_* call_once
  socket* connect accept* bind listen send* recv* syscall prctl
'''.split()
# The same by way of GLib.
SYSTEM_CALLS += '''
  g_usleep g_open g_creat g_close g_stat g_lstat g_access g_unlink g_remove
  g_rename g_mkdir* g_mkstemp* g_mkdtemp* g_rmdir g_chmod g_chdir g_fopen
  g_freopen g_fsync g_utime g_file_* g_dir_* g_spawn_* g_poll g_unix_*
'''.split()

# What is only thought is tested by the thousand: no clock, no lock, no thread.
PURE = 'writeback/policy'
IMPURE = '''
  g_get_monotonic_time g_get_real_time g_get_current_time g_date_time_new_now*
  g_timer_* g_timeout_* g_idle_* g_main_*
  g_thread_* g_mutex_* g_rec_mutex_* g_rw_lock_* g_cond_* g_once_* g_private_*
  g_async_queue_*
'''.split()

# What a call is named in an object: pwritev64v2, __open64_2 and __poll_chk are
# pwritev, open and poll, of a large file, the newest, or a fortified one.
ALIAS = re.compile(r'^_*(?P<name>[A-Za-z0-9_]+?)'
                   r'(_time64|64|64v2|64_time64|v2)?(_2|_chk)?(@.*)?$')


# --- reading ---

class Unreadable(Exception):
    """There is nothing to judge; says why."""


# What an object has and what it lacks: two sets of names.
Object = collections.namedtuple('Object', 'defined undefined')


def read_includes(plugin):
    """{file: [what it includes]}, files relative to plugin/"""
    return {path.relative_to(plugin).as_posix(): includes_of(path.read_text())
            for path in sorted(plugin.rglob('*.[ch]'))}


def includes_of(text):
    return re.findall(r'^\s*#\s*include\s*[<"]([^">]+)[">]', text, re.MULTILINE)


def read_objects(archive, nm, files):
    """{file: Object}, of each file that was built"""
    if not shutil.which(nm):
        raise Unreadable(f'there is no {nm}')
    output = subprocess.run([nm, '-P', archive], check=True, text=True,
                            stdout=subprocess.PIPE).stdout
    return objects_of(output, files)


def objects_of(output, files):
    """The same from what nm prints of an archive: a line for each member, and
    one for each of its symbols, name and type first."""
    # Meson names an object for its source's path.
    sources = {f.replace('/', '_'): f for f in files}
    objects = {}
    for line in output.splitlines():
        member = re.match(r'(?:.*\[)?(?:.*/)?([^/\[\]]+)\.o(?:bj)?\]?:$', line)
        if member:
            name = member[1]
            if name not in sources:
                raise Unreadable(f'{name} is built from no file of the plugin')
            current = objects[sources[name]] = Object(set(), set())
            continue
        words = line.split()
        if len(words) < 2:
            continue
        if words[1] in 'Uwv':
            current.undefined.add(words[0])
        elif words[1].isupper():
            current.defined.add(words[0])
    empty = [f for f, o in objects.items() if not o.defined | o.undefined]
    if empty or not objects:
        raise Unreadable(f'no symbols to read in {empty or "the archive"}:'
                         ' built with link-time optimization?')
    return objects


# --- judging ---

def layer_of(file):
    for layer in LAYERS:
        if file == layer or file.startswith(layer + '/'):
            return layer
    return None


def is_above(file, other):
    return LAYERS.index(layer_of(file)) > LAYERS.index(layer_of(other))


def ours(include, files):
    """The file of the plugin that an include names, or None"""
    for root in ROOTS:
        file = include if root == '.' else f'{root}/{include}'
        if file in files:
            return file
    return None


def matches(name, patterns):
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def calls_between(objects):
    """{file: {file it needs: [symbols]}}"""
    home = {symbol: file for file, o in objects.items() for symbol in o.defined}
    calls = {file: collections.defaultdict(list) for file in objects}
    for file, o in objects.items():
        for symbol in sorted(o.undefined):
            if home.get(symbol, file) != file:
                calls[file][home[symbol]].append(symbol)
    return calls


def reachable(calls, start):
    seen, waiting = set(), [start]
    while waiting:
        for other in calls[waiting.pop()]:
            if other not in seen:
                seen.add(other)
                waiting.append(other)
    return seen


def find_circles(objects):
    """Files that need each other, directly or not, in one circle each, with the
    calls that make it one."""
    calls = calls_between(objects)
    reach = {file: reachable(calls, file) for file in calls}
    circles = {tuple(sorted(other for other in reach[file]
                            if file in reach[other]))
               for file in calls if file in reach[file]}
    found = []
    for circle in sorted(circles):
        found.append(f'{len(circle)} files in a circle: {" ".join(circle)}')
        found += [f'  {one} needs {", ".join(symbols)} of {other}'
                  for one in circle
                  for other, symbols in sorted(calls[one].items())
                  if other in circle]
    return found


def find_strays(includes):
    """Files that are in no layer, and includes of ours that are not written
    from a root"""
    found = [f'{file} is in no layer' for file in includes
             if layer_of(file) is None]
    names = {pathlib.PurePosixPath(file).name for file in includes}
    for file, included in includes.items():
        for include in included:
            if ours(include, includes) or include in GENERATED:
                continue
            if pathlib.PurePosixPath(include).name in names:
                found.append(f'{file} includes "{include}": not a path from'
                             ' plugin/ or plugin/writeback/')
    return found


def find_upward_includes(includes):
    found = find_strays(includes)
    for file, included in includes.items():
        for include in included:
            other = ours(include, includes)
            if other and layer_of(file) and layer_of(other) \
                    and is_above(other, file):
                found.append(f'{file} includes "{include}" of a higher layer')
    return found


def find_upward_calls(objects):
    return [f'{file} needs {", ".join(symbols)} of {other}, in a higher layer'
            for file, others in sorted(calls_between(objects).items())
            for other, symbols in sorted(others.items())
            if is_above(other, file)]


def find_gstreamer(includes):
    return [f'{file} includes <{include}>'
            for file, included in includes.items()
            if layer_of(file) and is_above(GSTREAMER_FROM, file)
            for include in included if matches(include, GSTREAMER_HEADERS)]


def plain_name(symbol):
    """The call that a symbol is a variant of"""
    match = ALIAS.match(symbol)
    return match['name'] if match else symbol


def names_of(symbol):
    """A symbol as it is, without its underscores, and as the plain call"""
    bare = symbol.split('@')[0].lstrip('_')
    return {bare, plain_name(symbol)}


def outside(objects):
    """What each file has from outside the plugin"""
    own = {symbol for o in objects.values() for symbol in o.defined}
    return {file: sorted(o.undefined - own)
            for file, o in sorted(objects.items())}


def find_system_calls(objects):
    return [f'{file} calls {symbol}'
            for file, symbols in outside(objects).items()
            if layer_of(file) != SYSTEM
            for symbol in symbols
            if any(matches(name, SYSTEM_CALLS) for name in names_of(symbol))]


def find_impurities(objects):
    return [f'{file} calls {symbol}'
            for file, symbols in outside(objects).items()
            if layer_of(file) == PURE
            for symbol in symbols if matches(symbol.lstrip('_'), IMPURE)]


# --- the cases ---

def run_cases(cases):
    """cases: (name, function that returns what is wrong). Speaks TAP."""
    failed = 0
    print(f'1..{len(cases)}')
    for number, (name, function) in enumerate(cases, 1):
        try:
            found, remark = function(), ''
        except Unreadable as reason:
            found, remark = [], f' # SKIP {reason}'
        for line in found:
            print(f'# {line}')
        failed += bool(found)
        print(f'{"not ok" if found else "ok"} {number} - {name}{remark}')
    return 1 if failed else 0


def check_layers(plugin, archive, nm):
    includes = read_includes(plugin)
    sources = [file for file in includes if file.endswith('.c')]

    def of_objects(rule):
        return lambda: rule(read_objects(archive, nm, sources))

    return run_cases([
        ('no circle among the objects', of_objects(find_circles)),
        ('no include of a higher layer',
         lambda: find_upward_includes(includes)),
        ('no call of a higher layer', of_objects(find_upward_calls)),
        (f'no GStreamer below {GSTREAMER_FROM}',
         lambda: find_gstreamer(includes)),
        (f'no system call outside {SYSTEM}', of_objects(find_system_calls)),
        (f'no clock, lock or thread in {PURE}', of_objects(find_impurities)),
    ])


# --- the self-test ---

A, B, C = 'writeback/file/a.c', 'writeback/file/b.c', 'writeback/file/c.c'
POLICY, CALLS = 'writeback/policy/p.c', 'writeback/system/s.c'


def made(**needs):
    """Objects a, b, c, p and s; each defines do_NAME and needs what is said."""
    files = {'a': A, 'b': B, 'c': C, 'p': POLICY, 's': CALLS}
    return {file: Object({f'do_{name}'}, set(needs.get(name, '').split()))
            for name, file in files.items()}


def expect(found, *wanted):
    """What is wrong with what a rule has found: one line for each that is
    wanted, in order, with these words in it"""
    if len(found) == len(wanted) and all(
            words in line for words, line in zip(wanted, found)):
        return []
    return [f'wanted {list(wanted)}', f'found {found}']


def test_circles():
    yield expect(find_circles(made(a='do_b do_p', b='do_c do_s', c='do_s')))
    yield expect(find_circles(made(a='do_b', b='do_c do_s', c='do_a')),
                 f'3 files in a circle: {A} {B} {C}', f'{A} needs do_b of {B}',
                 f'{B} needs do_c of {C}', f'{C} needs do_a of {A}')
    yield expect(find_circles(made(a='do_b', b='do_a', p='do_s', s='do_p')),
                 f'2 files in a circle: {A} {B}', f'{A} needs', f'{B} needs',
                 f'2 files in a circle: {POLICY} {CALLS}', f'{POLICY} needs',
                 f'{CALLS} needs')
    # One that calls itself is none.
    yield expect(find_circles(made(a='do_a')))


def test_includes():
    headers = {'writeback/policy/p.h': [], 'writeback/file/a.h': [],
               'writeback/system/s.h': [], 'element/e.h': []}

    def found(**included):
        files = {'p': POLICY, 's': CALLS, 'a': A, 'e': 'element/e.c',
                 'plugin': 'plugin.c', 'stray': 'other/o.c'}
        return find_upward_includes(
            {**headers, **{files[f]: i for f, i in included.items()}})

    yield expect(found(p=['policy/p.h', 'glib.h', 'string.h'],
                       a=['file/a.h', 'system/s.h', 'policy/p.h', 'config.h'],
                       e=['element/e.h', 'file/a.h'], plugin=['element/e.h']))
    yield expect(found(p=['system/s.h']), f'{POLICY} includes "system/s.h" of')
    yield expect(found(s=['file/a.h'], a=['element/e.h']),
                 f'{CALLS} includes "file/a.h" of a higher layer',
                 f'{A} includes "element/e.h" of a higher layer')
    yield expect(found(a=['a.h', '../policy/p.h', 'writeback/policy/p.h']),
                 'includes "a.h": not a path',
                 'includes "../policy/p.h": not a path')
    yield expect(found(stray=['policy/p.h']), 'other/o.c is in no layer')


def test_upward_calls():
    yield expect(find_upward_calls(made(a='do_p do_s do_b', s='do_p')))
    yield expect(find_upward_calls(made(p='do_s', s='do_a')),
                 f'{POLICY} needs do_s of {CALLS}, in a higher layer',
                 f'{CALLS} needs do_a of {A}, in a higher layer')


def test_gstreamer():
    yield expect(find_gstreamer({
        'element/e.c': ['gst/gst.h'], 'plugin.c': ['gst/gst.h'],
        A: ['glib.h', 'file/gst.h']}))
    yield expect(find_gstreamer({A: ['gst/base/gstbasesink.h'],
                                 POLICY: ['gst/gst.h']}),
                 f'{A} includes <gst/base/gstbasesink.h>',
                 f'{POLICY} includes <gst/gst.h>')


def test_system_calls():
    harmless = 'strcmp free memcpy __errno_location g_malloc0 g_getenv' \
        ' g_mutex_lock __asan_report_load8 __tsan_read8 __stack_chk_fail'
    yield expect(find_system_calls(made(a=harmless, s='open64 close pipe2')))
    for symbol in '''open open64 openat64 __open64_2 close _close read pread64
            readv write writev pwrite64 pwritev pwritev64 pwritev64v2 pwritev2
            pipe pipe2 fcntl fcntl64 __fcntl_time64 ioctl select poll __poll_chk
            stat stat64 fstat64 lstat64 fstatat64 __xstat64 __fxstat64 statx
            __stat64_time64 statfs64 fstatfs fstatfs64 fstatvfs64 access
            fsync fdatasync sync_file_range posix_fadvise posix_fadvise64
            fallocate64 posix_fallocate64 truncate64 ftruncate ftruncate64
            lseek lseek64 unlink unlinkat rename renameat2 mmap mmap64 munmap
            realpath __realpath_chk pthread_create pthread_mutex_lock
            pthread_cond_timedwait pthread_sigmask sigfillset usleep nanosleep
            clock_gettime __clock_gettime64 g_usleep g_unlink
            g_file_get_contents poll@GLIBC_2.2.5'''.split():
        yield expect(find_system_calls(made(a=symbol)), f'{A} calls {symbol}')
    # A function of ours may be called close.
    yield expect(find_system_calls({A: Object({'close'}, set()),
                                    B: Object(set(), {'close'})}))


def test_purity():
    yield expect(find_impurities(made(p='g_free memmove do_s',
                                      a='g_get_monotonic_time g_mutex_lock')))
    yield expect(find_impurities(made(p='g_cond_wait g_get_monotonic_time'
                                      ' g_mutex_lock g_thread_new')),
                 f'{POLICY} calls g_cond_wait', 'g_get_monotonic_time',
                 'g_mutex_lock', 'g_thread_new')


def test_reading():
    includes = includes_of('#include <a.h>\n # include "b/c.h" /* why */\n'
                           '// #include "no.h"\nint x;\n#include "d.h"\n')
    yield expect(includes, 'a.h', 'b/c.h', 'd.h')
    output = ('lib.a[writeback_file_a.c.o]:\ndo_a T 0 5\nhidden t 10 5\n'
              'table D 0 8\nclose U         \nweak w\n\n'
              'plugin/lib.a.p/writeback_file_b.c.o:\ndo_a U\n')
    objects = objects_of(output, [A, B])
    yield expect(list(objects), A, B)
    yield expect(sorted(objects[A].defined), 'do_a', 'table')
    yield expect(sorted(objects[A].undefined), 'close', 'weak')
    yield expect(sorted(objects[B].undefined), 'do_a')
    for output in ('', 'x[writeback_file_a.c.o]:\n',
                   'x[other.c.o]:\ndo_a T 0 0'):
        try:
            yield [f'found {objects_of(output, [A])} in {output!r}']
        except Unreadable:
            pass


def self_test():
    def wrong(test):
        return lambda: [line for lines in test() for line in lines]

    return run_cases([(test.__name__[5:].replace('_', ' '), wrong(test))
                      for test in (test_circles, test_includes,
                                   test_upward_calls, test_gstreamer,
                                   test_system_calls, test_purity,
                                   test_reading)])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('plugin', type=pathlib.Path, nargs='?')
    parser.add_argument('archive', nargs='?')
    parser.add_argument('--nm', default='nm')
    parser.add_argument('--self-test', action='store_true')
    args = parser.parse_args()
    if args.self_test:
        return self_test()
    if args.archive is None:
        parser.error('a folder and an archive are needed')
    return check_layers(args.plugin, args.archive, args.nm)


if __name__ == '__main__':
    sys.exit(main())
