#!/usr/bin/env python3
"""wbfilesink storage tests: a process that may not make every call

SPDX-License-Identifier: LGPL-2.1-or-later

Usage: sandbox.py WBBENCH [CASE...]. Speaks TAP.

A sandbox (seccomp) answers EPERM, EACCES or ENOSYS to calls that it does not
know or does not allow. The file is written all the same: what is a hint stays
a hint, and a sync that may not be made is the result `skipped`, with a line
that names the call, and no error over a file that is whole.
"""
import errno
import os
import pathlib
import re
import sys

import told
from storage import MIB, NotHere, check, note
from told import fake_source
from pauses import Reader

SIZE = 8 * MIB
NUMBERS = ('EPERM', 'EACCES', 'ENOSYS')
HINTS = ('fallocate', 'ftruncate', 'sync_file_range', 'fadvise', 'fcntl',
         'statx', 'fstatfs', 'ioctl')
SYNCS = ('fsync', 'fdatasync')


def sandbox(args, number, calls):
    path = pathlib.Path(args.wbbench).parent.parent / 'storage' / 'wbdeny'
    if not path.exists():
        raise NotHere('built without seccomp')
    return [path, str(getattr(errno, number)), *calls, '--']


def denied(args, folder, number, calls, properties, result):
    path = folder / 'file'
    launch = told.run(
        fake_source(SIZE) + f' ! wbfilesink location={path} '
        f'size-hint={2 * SIZE} {properties}',
        prefix=sandbox(args, number, calls))
    if launch.child.returncode == 77:
        raise NotHere('no seccomp here')
    note(launch.said())
    check(path.read_bytes() == told.pattern(SIZE), 'not whole')
    told.check_clean(launch, result)
    if result == 'skipped':
        check_named(launch, number,
                    'fdatasync' if 'eos=data' in properties else 'fsync')


def check_named(launch, number, call):
    """Which call it was, once: what an interval asks is another one."""
    lines = [line for line in launch.lines
             if 'wbfilesink' in line and re.search(rf'\b{call}\b', line)
             and os.strerror(getattr(errno, number)) in line]
    check(len(lines) == 1, f'{len(lines)} lines name {call}: {lines}')
    note(lines[0])


def filesink_denied(args, folder):
    path = folder / 'file'
    launch = told.run(fake_source(SIZE) + f' ! filesink location={path}',
                      prefix=sandbox(args, 'EPERM', [*HINTS, *SYNCS]))
    note(f'filesink: {launch.said()}')
    check(path.read_bytes() == told.pattern(SIZE), 'not whole')


def piped(args, folder, number):
    """Whether a pipe can be made not to block or not."""
    path = folder / 'pipe'
    os.mkfifo(path)
    reader = Reader(path, 0)
    launch = told.run(fake_source(6553600) + f' ! wbfilesink location={path}',
                      prefix=sandbox(args, number, ['fcntl']))
    reader.join(told.PATIENCE_S)
    note(launch.said())
    check(launch.child.returncode == 0 and launch.eos()
          and not launch.errors(), launch.said())
    check(reader.bytes == told.pattern(6553600), f'{len(reader.bytes)} bytes')


def rows():
    """(calls, properties, result)"""
    for call in HINTS:
        yield [call], '', 'durable'
    for none in ('', 'writeback=none '):
        yield ['fsync'], none, 'skipped'
        yield ['fdatasync'], none + 'sync-on-eos=data', 'skipped'
        yield ['fdatasync'], none + 'sync-interval=1000000', 'durable'
        yield ['fsync', 'fdatasync'], none + 'sync-interval=1000000', 'skipped'
    yield [*HINTS, *SYNCS], '', 'skipped'
    yield [*HINTS, *SYNCS], 'sync-interval=1000000', 'skipped'


def cases(args):
    for number in NUMBERS:
        for row in rows():
            yield (f'{number} from {", ".join(row[0])} {row[1]}'.strip(),
                   lambda folder, row=(number, *row):
                   denied(args, folder, *row))
        yield (f'{number} from fcntl, a pipe',
               lambda folder, number=number: piped(args, folder, number))
    yield 'EPERM from all, filesink', lambda folder: filesink_denied(args,
                                                                     folder)


if __name__ == '__main__':
    sys.exit(told.main('A process that may not make every call.',
                       lambda args: list(cases(args))))
