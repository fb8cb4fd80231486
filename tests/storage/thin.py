#!/usr/bin/env python3
"""wbfilesink storage tests: a disk that has less room than it says

SPDX-License-Identifier: LGPL-2.1-or-later

Usage: thin.py WBBENCH [CASE...]. Speaks TAP.

A thin device runs out under a file system that knows nothing of it: write(2)
succeeds, the write-out fails, and an application that does not ask is never
told. Here it is ext4 on a loop device whose image lies on a small tmpfs.
Whatever fails first, the stream or the sync at its end, the run must end in an
ERROR message. What filesink says of the same is printed beside it.
"""
import contextlib
import os
import subprocess
import sys

import storage
from storage import LONG, MIB, check, note

REPEATS = 20 if LONG else 3
# Of filesink.
PEERS = 3 if LONG else 1
ROOM = 64 * MIB
CLAIMED = 512 * MIB
# The loop driver (as of Linux 6.18) takes a write of which its file took a part
# for a whole one: nobody hears of a loss within the last request alone. So more
# is lost than a request holds (1280 KiB).
LAST = 4 * MIB


@contextlib.contextmanager
def loop_device(image):
    loop = subprocess.run(
        ['losetup', '--find', '--show', image], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if loop.returncode != 0:
        raise storage.NotHere(f'no loop device: {loop.stderr.strip()}')
    try:
        yield loop.stdout.strip()
    finally:
        subprocess.run(['losetup', '-d', loop.stdout.strip()], check=True)


@contextlib.contextmanager
def thin_disk(args):
    """An empty ext4 that thinks it has CLAIMED bytes, and has ROOM: where it
    is mounted, and what is left of the room."""
    storage.need_root()
    storage.need_program('mkfs.ext4')
    with contextlib.ExitStack() as stack:
        below = stack.enter_context(storage.scratch(args))
        stack.enter_context(storage.mounted(
            below, '-t', 'tmpfs', '-o', f'size={ROOM}', 'tmpfs'))
        image = below / 'image'
        image.touch()
        with open(image, 'r+b') as file:
            file.truncate(CLAIMED)
        loop = stack.enter_context(loop_device(image))
        # A small journal, and tables that are not written: room for data.
        subprocess.run(['mkfs.ext4', '-q', '-F', '-J', 'size=4', loop],
                       check=True)
        above = stack.enter_context(storage.scratch(args))
        stack.enter_context(storage.mounted(
            above, '-o', 'noinit_itable', loop))
        subprocess.run(['sync', '-f', above], check=True)
        room = os.statvfs(below)
        yield above, room.f_bavail * room.f_bsize


def end_of(args, sink, excess):
    """What a run on a fresh thin disk comes to, whose file is by so many bytes
    longer than what there is room for."""
    with thin_disk(args) as (directory, room):
        return storage.bench(args, sink, directory / 'file',
                             bytes=room + excess, pattern='mkv',
                             buffer_size='64K', patch_every='2M')


def note_end(name, result):
    # The last line is the call and what the system said of it.
    error = (result['error'] or 'clean EOS').splitlines()[-1]
    note(f'{name}: {error}; sync {result["messages"]["sync_result"]}; '
         f'{result["bytes_written"]} bytes pushed')
    note(result.get('stderr', ''))


def check_error(result):
    check(not result['ok'], 'a clean EOS, and the data is lost')
    check(result['messages']['errors'] == 1,
          f'{result["messages"]["errors"]} ERROR messages')
    check(result['messages']['sync_result'] in (None, 'failed'),
          f'the sync said {result["messages"]["sync_result"]}')


def must_end_in_error(args, properties, excess):
    """Ours each time; and how filesink ended is told."""
    peers = [end_of(args, 'filesink', excess) for _ in range(PEERS)]
    own = [end_of(args, storage.with_properties(args.sink, properties), excess)
           for _ in range(REPEATS)]
    for name, results in (('filesink', peers), (args.sink, own)):
        note_end(name, results[0])
        errors = sum(not result['ok'] for result in results)
        note(f'{name}: an ERROR {errors} times of {len(results)}, a clean EOS '
             f'{len(results) - errors} times')
    storage.check_all(*(lambda r=result: check_error(r) for result in own))


def must_be_clean(args, excess):
    """The other way round: what fits is not complained of."""
    result = end_of(args, args.sink, excess)
    note_end(args.sink, result)
    check(result['ok'], result['error'])


def main():
    args = storage.parse('A disk that has less room than it says.')
    return storage.run_cases([
        ('runs out in the middle',
         lambda: must_end_in_error(args, '', 2 * ROOM)),
        ('runs out with the last bytes',
         lambda: must_end_in_error(args, '', LAST)),
        ('only the sync can tell',
         lambda: must_end_in_error(args, 'writeback=none', LAST)),
        ('there is room', lambda: must_be_clean(args, -ROOM // 4)),
    ], args.only)


if __name__ == '__main__':
    sys.exit(main())
