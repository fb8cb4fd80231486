#!/usr/bin/env python3
"""wbfilesink storage tests: who appends overwrites nobody

SPDX-License-Identifier: LGPL-2.1-or-later

Usage: appends.py WBBENCH [CASE...]. Speaks TAP.

Several processes append to one file, as they do to a log: every byte of each
is there in the end. A file that may only be appended to is appended to. And a
muxer that comes back to patch what it has written, after others have appended,
is told so: it does not patch their bytes, nor write over them.
"""
import os
import subprocess
import sys

import storage
import told
from storage import MIB, NotHere, check, note
from told import Launch

OLD = b'what was there before\n'
# Two processes of so many bytes each, as odd as they come.
SIZE = 5000002


class Writer:
    """A pipeline that appends one letter as often as it is told to."""

    def __init__(self, path, letter, element, properties=''):
        self.path, self.letter, self.written = path, letter, 0
        self.launch = Launch(
            f'fdsrc blocksize=65536 ! {element} append=true '
            f'location={path} {properties}', stdin=subprocess.PIPE)

    def __enter__(self):
        storage.wait_until(self.has_opened, 'the file is open',
                           told.PATIENCE_S)
        return self

    def __exit__(self, *words):
        self.launch.__exit__(*words)

    def has_opened(self):
        folder = f'/proc/{self.launch.child.pid}/fd'
        try:
            return any(os.readlink(f'{folder}/{fd}') == str(self.path)
                       for fd in os.listdir(folder))
        except FileNotFoundError:
            return False

    def write(self, size):
        self.launch.child.stdin.write(self.letter * size)
        self.launch.child.stdin.flush()
        self.written += size

    def end(self):
        self.launch.child.stdin.close()
        check(self.launch.wait() is not None, 'it hangs')
        note(self.launch.said())


def two_at_once(folder, element, properties=''):
    """In turns; each turn is more than is buffered anywhere."""
    path = folder / 'file'
    path.write_bytes(OLD)
    with Writer(path, 'a', element, properties) as one, \
            Writer(path, 'b', element, properties) as other:
        while one.written < SIZE:
            size = min(MIB, SIZE - one.written)
            one.write(size)
            other.write(size)
        one.end()
        other.end()
    content = path.read_bytes()
    found = {letter: content.count(letter.encode()) for letter in 'ab'}
    note(f'{len(content) - len(OLD)} of {2 * SIZE} bytes: {found}')
    check(content.startswith(OLD), 'what was there before is not')
    check(len(content) == len(OLD) + 2 * SIZE,
          f'{len(content) - len(OLD)} of {2 * SIZE} bytes')
    check(content[len(OLD):].count(b'a') == SIZE
          and content[len(OLD):].count(b'b') == SIZE, f'{found}')
    for writer in one, other:
        check(writer.launch.child.returncode == 0, writer.launch.said())


def append_only(folder, element, properties=''):
    path = folder / 'file'
    path.write_bytes(OLD)
    storage.need_program('chattr')
    if subprocess.run(['chattr', '+a', path],
                      stderr=subprocess.DEVNULL).returncode != 0:
        raise NotHere('this file system has no append-only files')
    try:
        launch = told.run(told.fake_source(MIB) + f' ! {element} append=true '
                          f'location={path} {properties}')
    finally:
        subprocess.run(['chattr', '-a', path], check=True)
    note(launch.said())
    check(launch.child.returncode == 0, launch.said())
    check(path.read_bytes() == OLD + told.pattern(MIB), 'not appended')


# --- a muxer that comes back ---

# wavenc rewrites its header, 44 bytes, at the end.
MUXER = ('audiotestsrc num-buffers={buffers} samplesperbuffer=1024 '
         'is-live=true ! audio/x-raw,rate=8000 ! wavenc ! {element} '
         'append=true '
         'buffer-size=4096 location={path}')
OTHERS = b'\nwhat others have appended\n'


def muxer_alone(folder):
    path = folder / 'file'
    path.write_bytes(OLD)
    launch = told.run(MUXER.format(buffers=8, element='wbfilesink', path=path))
    content = path.read_bytes()
    told.check_clean(launch)
    check(content.startswith(OLD + b'RIFF'), 'no header')
    size = int.from_bytes(content[len(OLD) + 4:len(OLD) + 8], 'little')
    check(size == len(content) - len(OLD) - 8, 'the header was not patched')


def others_append_meanwhile(folder, element, must_fail):
    path = folder / 'file'
    path.write_bytes(OLD)
    with Launch(MUXER.format(buffers=24, element=element, path=path)) \
            as launch:
        # It has written its header.
        storage.wait_until(lambda: path.stat().st_size > len(OLD) + 4096,
                           'some of the stream', told.PATIENCE_S)
        with open(path, 'ab') as file:
            file.write(OTHERS)
        check(launch.wait() is not None, 'it hangs')
        note(launch.said())
    content = path.read_bytes()
    check(content.startswith(OLD), 'what was there before is not')
    check(OTHERS in content, 'what others have appended was overwritten')
    if must_fail:
        told.check_error(launch)


def cases(args):
    for name, element in (('', 'wbfilesink'), (', filesink', 'filesink')):
        yield (f'two processes append to one file{name}',
               lambda folder, element=element: two_at_once(folder, element))
        yield (f'a file that may only be appended to{name}',
               lambda folder, element=element: append_only(folder, element))
        yield (f'a muxer patches after others have appended{name}',
               lambda folder, element=element: others_append_meanwhile(
                   folder, element, element == 'wbfilesink'))
    for properties in ('writeback=none', 'size-hint=67108864',
                       'buffer-mode=unbuffered'):
        yield (f'two processes append to one file, {properties}',
               lambda folder, properties=properties:
               two_at_once(folder, 'wbfilesink', properties))
    yield 'a muxer patches, and nobody else appends', muxer_alone


if __name__ == '__main__':
    sys.exit(told.main('Who appends overwrites nobody.',
                       lambda args: list(cases(args))))
