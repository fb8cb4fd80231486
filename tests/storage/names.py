#!/usr/bin/env python3
"""wbfilesink storage tests: durable is a file that can be found

SPDX-License-Identifier: LGPL-2.1-or-later

Usage: names.py WBBENCH [CASE...]. Speaks TAP.

`durable` says that the file, its name and every byte survive a power cut.
Where the name cannot be made so (the directory may not be read, another stands
in its place, the file was moved out of it or deleted), the bytes are: the
result is `data`, with a line that tells why.
"""
import os
import re
import subprocess
import sys

import storage
import told
from storage import MIB, check, note
from told import Launch

NOBODY = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups']
SIZE = MIB


class Stream:
    """A pipeline that has written half of a file, and ends when told."""

    def __init__(self, folder, prefix=(), mode=0o755, owner=0, name='file'):
        self.place = folder / 'place'
        self.elsewhere = folder / 'elsewhere'
        self.place.mkdir()
        self.elsewhere.mkdir()
        os.chown(self.place, owner, owner)
        self.path = self.place / name
        self.place.chmod(mode)
        self.prefix = prefix

    def __enter__(self):
        self.launch = Launch(f'fdsrc ! wbfilesink location={self.path}',
                             prefix=self.prefix, stdin=subprocess.PIPE)
        self.write(SIZE // 2)
        storage.wait_until(lambda: self.path.exists()
                           and self.path.stat().st_size == SIZE // 2,
                           'half of the file', told.PATIENCE_S)
        return self

    def write(self, size):
        self.launch.child.stdin.write('x' * size)
        self.launch.child.stdin.flush()

    def end(self, result):
        self.write(SIZE // 2)
        self.launch.child.stdin.close()
        check(self.launch.wait() is not None, 'it hangs')
        note(self.launch.said())
        told.check_clean(self.launch, result)
        if result == 'data':
            self.check_reason()

    def check_reason(self):
        lines = [line for line in self.launch.lines
                 if re.search(r' (INFO|WARN) +wbfilesink ', line)
                 and not re.search(r'> opened: |sync of "|closed "', line)
                 and re.search(r'director|\bname\b', line)]
        check(len(lines) == 1, f'{len(lines)} lines tell why: {lines}')
        note(lines[0])

    def __exit__(self, *words):
        self.launch.__exit__(*words)


def nothing_happens(folder):
    with Stream(folder) as stream:
        stream.end('durable')


def by_a_link(folder):
    with Stream(folder) as stream:
        stream.end('durable')
    link = folder / 'link'
    link.symlink_to(stream.path)
    launch = told.run(told.fake_source(SIZE)
                      + f' ! wbfilesink location={link}')
    told.check_clean(launch, 'durable')


def may_not_be_read(folder):
    """Written into and passed through, but not listed: not opened either."""
    with Stream(folder, NOBODY, 0o333, 65534) as stream:
        stream.end('data')


def another_in_its_place(folder):
    with Stream(folder) as stream:
        stream.place.rename(folder / 'moved')
        stream.place.mkdir()
        stream.end('data')


def another_in_its_place_with_a_file(folder):
    with Stream(folder) as stream:
        stream.place.rename(folder / 'moved')
        stream.place.mkdir()
        stream.path.write_text('another')
        stream.end('data')


def moved_out(folder):
    with Stream(folder) as stream:
        stream.path.rename(stream.elsewhere / 'file')
        stream.end('data')


def renamed(folder):
    with Stream(folder) as stream:
        stream.path.rename(stream.place / 'other')
        stream.end('data')


def replaced(folder):
    with Stream(folder) as stream:
        (stream.elsewhere / 'new').write_text('another')
        (stream.elsewhere / 'new').rename(stream.path)
        stream.end('data')


def deleted(folder):
    with Stream(folder) as stream:
        stream.path.unlink()
        stream.end('data')


def deleted_with_its_directory(folder):
    with Stream(folder) as stream:
        stream.path.unlink()
        stream.place.rmdir()
        stream.end('data')


def cases(args):
    return [('nothing happens', nothing_happens),
            ('by a link', by_a_link),
            ('the directory may not be read', may_not_be_read),
            ('another directory in its place', another_in_its_place),
            ('another directory and file in its place',
             another_in_its_place_with_a_file),
            ('the file was moved out', moved_out),
            ('the file was renamed', renamed),
            ('the file was replaced', replaced),
            ('the file was deleted', deleted),
            ('the file was deleted, and its directory',
             deleted_with_its_directory)]


if __name__ == '__main__':
    sys.exit(told.main('Durable is a file that can be found.', cases))
