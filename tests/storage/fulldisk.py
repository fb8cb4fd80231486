#!/usr/bin/env python3
"""wbfilesink storage tests: down to the last block

SPDX-License-Identifier: LGPL-2.1-or-later

Usage: fulldisk.py WBBENCH [CASE...]. Speaks TAP.

What fits a disk that fills up is written: no more is left free than filesink
leaves, but for a block. Each sink fills a disk of its own.
"""
import os
import subprocess
import sys

import storage
import told
from storage import MIB, check, mounted, note
from told import fake_source

DISK = 64 * MIB
# Of ext4 and tmpfs.
BLOCK = 4096


def mount(folder, fs):
    """The words for mount(8)."""
    if fs == 'tmpfs':
        return ['-t', 'tmpfs', '-o', f'size={DISK}', 'none']
    image = folder / 'image'
    with open(image, 'wb') as file:
        file.truncate(DISK)
    storage.need_program(f'mkfs.{fs}')
    subprocess.run([f'mkfs.{fs}', '-q', image], check=True)
    return ['-o', 'loop', image]


def fill(folder, fs, element, piece):
    """How much is left free, and what the pipeline was."""
    folder.mkdir()
    directory = folder / 'disk'
    directory.mkdir()
    with mounted(directory, *mount(folder, fs)):
        path = directory / 'file'
        launch = told.run(fake_source(2 * DISK, piece)
                          + f' ! {element} location={path}')
        os.sync()
        status = os.statvfs(directory)
        written = path.read_bytes()
        check(written == told.pattern(2 * DISK)[:len(written)],
              'other bytes than those of the stream')
    free = status.f_bfree * status.f_frsize
    note(f'{element}: {len(written)} bytes, {free} left free; '
         f'{launch.said()}')
    return free, launch


def down_to_the_last_block(folder, fs, properties, piece):
    theirs, _ = fill(folder / 'theirs', fs, 'filesink', piece)
    ours, launch = fill(folder / 'ours', fs, f'wbfilesink {properties}', piece)
    check(ours <= theirs + BLOCK,
          f'{ours} bytes are left free, filesink leaves {theirs}')
    told.check_error(launch, r'No space left')


def cases(args):
    for fs, properties, piece in (
            ('ext4', '', 65536), ('ext4', '', 4096),
            ('ext4', 'preallocate=none', 65536),
            ('ext4', 'writeback=none', 65536),
            ('ext4', f'size-hint={2 * DISK}', 65536),
            ('ext4', 'buffer-mode=unbuffered', 4096),
            ('tmpfs', '', 65536), ('tmpfs', 'writeback=none', 65536)):
        yield (f'{fs}, {properties or "as it is"}, buffers of {piece}',
               lambda folder, row=(fs, properties, piece):
               down_to_the_last_block(folder, *row))


if __name__ == '__main__':
    sys.exit(told.main('Down to the last block.',
                       lambda args: list(cases(args))))
