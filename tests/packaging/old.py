#!/usr/bin/env python3
"""wbfilesink packaging tests: scripts on a system that is too old

SPDX-License-Identifier: LGPL-2.1-or-later

Usage: old.py SOURCE-FOLDER. Speaks TAP. Nothing is installed or asked of apt:
dpkg-query says that nothing is installed, apt-cache has the versions of the
system that is played, and whatever would change something only says that it was
called.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

BULLSEYE = {'meson': '0.56.2-1', 'libgstreamer1.0-dev': '1.18.4-2.1+deb11u1',
            'libgstreamer-plugins-base1.0-dev': '1.18.4-2+deb11u2',
            'libavformat-dev': '7:4.3.6-0+deb11u1', 'libdvdread-dev': '6.1.1-2',
            'libbluray-dev': '1:1.2.1-4+deb11u1', 'ninja-build': '1.10.1-1'}
JAMMY = {**BULLSEYE, 'meson': '0.61.2-1', 'libgstreamer1.0-dev': '1.20.3-0ubuntu1',
         'libgstreamer-plugins-base1.0-dev': '1.20.1-1ubuntu0.4',
         'libavformat-dev': '7:4.4.2-0ubuntu0.22.04.1'}
TRIXIE = {**BULLSEYE, 'meson': '1.7.0-1', 'libgstreamer1.0-dev': '1.26.2-2',
          'libgstreamer-plugins-base1.0-dev': '1.26.2-1',
          'libavformat-dev': '7:7.1.3-0+deb13u1', 'libbluray-dev': '1:1.3.4-1+b2'}

# Lists are there once "updated" is.
APT_CACHE = '''#!/bin/sh
[ -e "$FAKE/updated" ] && cat "$FAKE/policy-$2"
exit 0
'''
CALLED = '''#!/bin/sh
echo "${0##*/} $*" >>"$FAKE/called"
case "$*" in *update*) : >"$FAKE/updated" ;; *) exit 1 ;; esac
'''


class Failed(Exception):
    pass


def check(good, what):
    if not good:
        raise Failed(what)


class System:
    """A PATH in which the system has these versions, and a run of remux in it"""

    def __init__(self, work, versions, updated):
        self.work = work
        for name, version in versions.items():
            (work / f'policy-{name}').write_text(
                f'{name}:\n  Installed: (none)\n  Candidate: {version}\n')
        if updated:
            (work / 'updated').touch()
        self.command('dpkg-query', '#!/bin/sh\nexit 1\n')
        self.command('apt-cache', APT_CACHE)
        self.command('sudo', '#!/bin/sh\nexec "$@"\n')
        for name in ('apt-get', 'ffmpeg', 'meson', 'ninja'):
            self.command(name, CALLED)

    def command(self, name, text):
        path = self.work / name
        path.write_text(text)
        path.chmod(0o755)

    def remux(self, source, *arguments):
        """Exit status and what is said of it; what was called"""
        done = subprocess.run(
            [source / 'scripts' / 'remux', *arguments], cwd=self.work, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, 'FAKE': str(self.work),
                 'XDG_CACHE_HOME': str(self.work / 'cache'),
                 'PATH': f'{self.work}:{os.environ["PATH"]}'})
        called = self.work / 'called'
        return (done.returncode, done.stdout.splitlines(),
                called.read_text().splitlines() if called.exists() else [])

    def refuses(self, source, *arguments, before=(), packages=()):
        status, lines, called = self.remux(source, *arguments)
        check(status == 1 and len(lines) == 1, f'exit {status}: {lines}')
        check('is too old: ' in lines[0], lines[0])
        for package in packages:
            check(f'{package} is ' in lines[0], f'no {package}: {lines[0]}')
        check(lines[0].count(' has to be ') == len(packages), lines[0])
        check(called == list(before), f'called {called}')
        check(not (self.work / 'cache').exists(), 'a sample was begun')


def test_debian_11(source, work):
    System(work, BULLSEYE, True).refuses(
        source, packages=('meson', 'libgstreamer1.0-dev',
                          'libgstreamer-plugins-base1.0-dev', 'libavformat-dev'))


def test_with_an_input(source, work):
    System(work, JAMMY, True).refuses(
        source, 'film.ts', packages=('meson', 'libavformat-dev'))


def test_lists_not_fetched_yet(source, work):
    System(work, BULLSEYE, False).refuses(
        source, before=['apt-get -qq update'],
        packages=('meson', 'libgstreamer1.0-dev',
                  'libgstreamer-plugins-base1.0-dev', 'libavformat-dev'))


def test_new_enough(source, work):
    status, lines, called = System(work, TRIXIE, True).remux(source)
    check(status != 0 and not any('too old' in line for line in lines),
          f'{lines}')
    check(any('install' in line for line in called), f'called {called}')


TESTS = (test_debian_11, test_with_an_input, test_lists_not_fetched_yet,
         test_new_enough)


def main():
    source = pathlib.Path(sys.argv[1]).resolve()
    if not shutil.which('dpkg'):
        print('1..0 # SKIP there is no dpkg to compare versions with')
        return 0
    failed = 0
    print(f'1..{len(TESTS)}')
    for number, test in enumerate(TESTS, 1):
        good = True
        with tempfile.TemporaryDirectory(prefix='wb-old-') as name:
            try:
                test(source, pathlib.Path(name))
            except Failed as reason:
                good = False
                print(f'# {reason}')
        failed += not good
        print(f'{"ok" if good else "not ok"} {number} - '
              f'{test.__name__[5:].replace("_", " ")}', flush=True)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
