#!/usr/bin/env python3
"""wbfilesink packaging tests: the plugin as others build it in

SPDX-License-Identifier: LGPL-2.1-or-later

Usage: subproject.py SOURCE-FOLDER MESON... Speaks TAP.

Problem: what integrators use (a subproject's dependency, the static library, its
.pc file, builds that can be repeated) is used by nobody here.

Strategy: a small project has the plugin for its subproject, is built and
installed twice, in folders of different names, and runs tests/packaging/static.c.
"""
import hashlib
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

PARENT = '''project('parent', 'c')
plugin = dependency('gstwriteback',
  default_options : ['tests=false', 'tools=false', 'default_library=both'])
test('static', executable('static', 'static.c', dependencies : plugin))
'''
# docs/packaging.md has the same with an address.
WRAP = '''[wrap-git]
directory = wbfilesink
url = nowhere
revision = head

[provide]
dependency_names = gstwriteback
'''
NEEDED = ('meson.build', 'meson_options.txt', 'plugin', 'data')


class Failed(Exception):
    pass


class NotHere(Exception):
    pass


def run(*command, **more):
    command = [str(word) for word in command]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **more)
    if done.returncode != 0:
        raise Failed(f'{shlex.join(command)}:\n{done.stdout}')
    return done.stdout


def check(good, what):
    if not good:
        raise Failed(what)


class Parent:
    """A project with the plugin for its subproject, built and installed"""

    def __init__(self, folder, source, meson):
        self.source, self.program = folder / 'parent', source / 'tests' \
            / 'packaging' / 'static.c'
        self.build, self.root = folder / 'build', folder / 'root'
        subprojects = self.source / 'subprojects'
        (subprojects / 'wbfilesink').mkdir(parents=True)
        (self.source / 'meson.build').write_text(PARENT)
        (subprojects / 'wbfilesink.wrap').write_text(WRAP)
        shutil.copy(self.program, self.source)
        for name in NEEDED:
            copy = shutil.copytree if (source / name).is_dir() else shutil.copy
            copy(source / name, subprojects / 'wbfilesink' / name)
        # Without debugging information, which has the folders' names.
        run(*meson, 'setup', self.build, self.source, '--prefix', '/usr',
            '--buildtype', 'plain', '--force-fallback-for', 'gstwriteback')
        run(*meson, 'compile', '-C', self.build)
        run(*meson, 'install', '-C', self.build, '--no-rebuild', '--destdir',
            self.root)

    def installed(self):
        return {path.relative_to(self.root).as_posix(): path
                for path in sorted(self.root.rglob('*')) if path.is_file()}

    def one(self, ending):
        found = [path for name, path in self.installed().items()
                 if name.endswith(ending)]
        check(len(found) == 1, f'{len(found)} files end with {ending}: '
              + ' '.join(self.installed()))
        return found[0]


def test_subproject(parents, work):
    run(parents[0].build / 'static')


def test_pkg_config(parents, work):
    parent = parents[0]
    if not shutil.which('pkg-config'):
        raise NotHere('there is no pkg-config')
    installed = parent.one('.pc').read_text()
    check(installed.startswith('prefix=/usr\n'), installed)
    (work / 'gstwriteback.pc').write_text(
        installed.replace('prefix=/usr', f'prefix={parent.root / "usr"}', 1))
    flags = run('pkg-config', '--cflags', '--libs', 'gstwriteback',
                env={**os.environ, 'PKG_CONFIG_PATH': str(work)})
    # A linker would rather take the module of that name that lies beside it.
    module = parent.one('libgstwriteback.so')
    hidden = module.rename(module.with_suffix('.hidden'))
    try:
        run(*shlex.split(os.environ.get('CC', 'cc')), parent.program, '-o',
            work / 'program', *shlex.split(flags))
    finally:
        hidden.rename(module)
    run(work / 'program')


def test_reproducible(parents, work):
    one, other = (
        {name: hashlib.sha256(path.read_bytes()).hexdigest()
         for name, path in parent.installed().items()} for parent in parents)
    check(one.keys() == other.keys(), f'{set(one) ^ set(other)}')
    different = [name for name in one if one[name] != other[name]]
    check(not different, f'differ: {" ".join(different)}')


def test_no_trace(parents, work):
    for name, path in parents[0].installed().items():
        data = path.read_bytes()
        for trace in (str(work), '../plugin', 'subprojects'):
            check(trace.encode() not in data, f'{name} has {trace!r}')
        if name.endswith('.so'):
            check(b'./plugin/element/wberrors.c' in data,
                  f'{name} does not know its sources by their names')


TESTS = (test_subproject, test_pkg_config, test_reproducible, test_no_trace)


def main():
    source, meson = pathlib.Path(sys.argv[1]), sys.argv[2:]
    with tempfile.TemporaryDirectory(prefix='wb-subproject-') as name:
        work = pathlib.Path(name)
        parents = [Parent(work / folder, source, meson)
                   for folder in ('one', 'another/folder')]
        failed = 0
        print(f'1..{len(TESTS)}')
        for number, test in enumerate(TESTS, 1):
            title, word, remark = test.__name__[5:].replace('_', ' '), 'ok', ''
            try:
                test(parents, work)
            except NotHere as reason:
                remark = f' # SKIP {reason}'
            except Failed as reason:
                word = 'not ok'
                print(*(f'# {line}' for line in str(reason).splitlines()),
                      sep='\n')
            failed += word != 'ok'
            print(f'{word} {number} - {title}{remark}', flush=True)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
