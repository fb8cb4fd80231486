#!/usr/bin/env python3
"""wbfilesink storage tests: one write a buffer

SPDX-License-Identifier: LGPL-2.1-or-later

Usage: devices.py WBBENCH [CASE...]. Speaks TAP.

Some devices take a frame a write, and nothing else: buffer-mode=unbuffered
promises just that. strace(1) counts what reaches the system; and it sees
whether a descriptor is closed on exec from its first moment on, or only a call
later.
"""
import os
import re
import subprocess
import sys

import storage
import told
from pauses import PIPED, Reader
from storage import NotHere, check, note

# A frame of 640 x 480, of 12 bits a pixel.
FRAME = 460800
FRAMES = 12
# What takes bytes to a file: `pwritev(7</dev/null<char 1:3>>, ...) = 460800`
WRITE = re.compile(r'\bp?writev?2?(?:64)?\(\d+<([^<>]*)[<>].*\) = (\d+)$')


def need_strace():
    storage.need_program('strace')
    if subprocess.run(['strace', '-f', '-y', 'true'],
                      stderr=subprocess.DEVNULL).returncode != 0:
        raise NotHere('strace may not trace here')


def writes(folder, element, location):
    """The sizes of the writes that reached that file."""
    log = folder / 'strace'
    launch = told.run(
        told.fake_source(FRAME * FRAMES, FRAME)
        + f' ! {element} buffer-mode=unbuffered location={location}',
        # A log a thread: none cuts another's call in two.
        prefix=['strace', '-ff', '-y', '-e',
                'trace=write,writev,pwrite64,pwritev,pwritev2', '-o', log])
    check(launch.child.returncode == 0, launch.said())
    found = []
    for thread in folder.glob('strace.*'):
        for line in thread.read_text(errors='replace').splitlines():
            match = WRITE.search(line)
            if match and match.group(1) == str(location):
                found.append(int(match.group(2)))
    note(f'{element}: {len(found)} writes of {FRAMES} frames: '
         f'{sorted(set(found))}')
    return found


def one_a_frame(folder, element, location):
    need_strace()
    found = writes(folder, element, location or folder / 'file')
    check(found == [FRAME] * FRAMES,
          f'{len(found)} writes of {FRAMES} frames')


def closed_on_exec(folder):
    """What a pipe's writer is woken by. In between, another thread may start a
    program, which would inherit it."""
    need_strace()
    log, path = folder / 'strace', folder / 'pipe'
    os.mkfifo(path)
    reader = Reader(path, 0)
    launch = told.run(
        told.fake_source(PIPED) + f' ! wbfilesink location={path}',
        prefix=['strace', '-f', '-Y', '-e', 'trace=pipe,pipe2,openat',
                '-o', log])
    reader.join(told.PATIENCE_S)
    check(launch.child.returncode == 0, launch.said())
    lines = [line for line in log.read_text(errors='replace').splitlines()
             if '<wbfile-' in line and re.search(r'> (pipe|openat)', line)]
    for line in lines:
        note(line)
        check('O_CLOEXEC' in line, f'inherited for a moment: {line}')
    check(lines, 'strace saw nothing')


def cases(args):
    yield 'what a pipe needs is closed on exec', closed_on_exec
    for element in ('wbfilesink', 'filesink'):
        for name, location in (('a device', '/dev/null'), ('a file', None)):
            yield (f'{name}, {element}',
                   lambda folder, row=(element, location):
                   one_a_frame(folder, *row))


if __name__ == '__main__':
    sys.exit(told.main('One write a buffer.', lambda args: list(cases(args))))
