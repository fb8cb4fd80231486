#!/usr/bin/env python3
"""wbfilesink storage tests: what muxers do, on a disk slower than the source

SPDX-License-Identifier: LGPL-2.1-or-later

Usage: patterns.py WBBENCH [CASE...]. Speaks TAP.

Each case is a load that outruns a throttled ext4 disk through a small window.
What must hold: the window; hardly a byte written twice that the pattern does
not write twice; no reads but where the patches are random; the same file as
filesink's; nothing dirty, nothing under way and nothing cached at the end.
"""
import contextlib
import pathlib
import sys

import storage
from storage import LONG, MIB, NotHere

PAGE = 4096
# What ext4 reads the first time after mkfs: bitmaps, directory, inode table,
# five blocks. That it writes the like, and a journal, is in the 1 %.
METADATA_READ = 8 * PAGE
# A barrier is a commit: a descriptor, some six blocks of metadata and the
# commit block, besides the page that its patch shares with other bytes.
BARRIER = 8 * PAGE
SMALL = 'max-dirty-bytes=16777216 chunk-size=4194304'
DISK_MB_S = 200


class Case:
    """load: wbbench's options; properties and window (bytes) belong together;
    rewritten: bytes the device may be given beyond what is pushed, for pages
    that patches share with other bytes; random: patches may read; in_place:
    there is a file already; queue: nr_requests and max_sectors_kb."""

    def __init__(self, name, properties=SMALL, window=16 * MIB, rewritten=0,
                 random=False, in_place=False, queue=None, **load):
        self.name = name
        self.properties = properties
        self.window = window
        self.rewritten = rewritten
        self.random = random
        self.in_place = in_place
        self.queue = queue
        self.load = {'bytes': '192M', 'pattern': 'mkv', 'patch_every': '2M',
                     'buffer_size': '64K', **load}


CASES = [
    Case('mkv clusters of 256 KiB', patch_every='256K'),
    Case('mkv clusters of 2 MiB'),
    Case('mkv clusters of 40 MiB', patch_every='40M'),
    Case('mkv with the default window', properties='', window=64 * MIB,
         bytes='384M'),
    Case('mkv with the smallest window', window=2 * MIB,
         properties='max-dirty-bytes=1 chunk-size=1048576'),
    Case('forward only', pattern='none'),
    Case('head patch at the end', pattern='head'),
    # Twelve updates: a moov and a flip, with a barrier behind each.
    Case('qtmux robust', pattern='robust', patch_every='16M',
         rewritten=24 * BARRIER),
    Case('qtmux prefill', pattern='prefill'),
    Case('qtmux faststart', pattern='faststart'),
    Case('qtmux first-moov-then-finalise', pattern='fragment'),
    Case('avimux', pattern='avi', patch_every='48M'),
    Case('random patches', pattern='random', random=True,
         rewritten=96 * 2 * PAGE),
    Case('patches alone fill the window', pattern='scatter', random=True,
         bytes='64M', rewritten=4 * 64 * 2 * PAGE),
    Case('rewrite', pattern='rewrite', bytes='96M'),
    Case('rewrite in place', pattern='none', in_place=True,
         properties=SMALL + ' file-mode=overwrite'),
    Case('hole larger than the window', pattern='hole'),
    Case('buffers of 1316 bytes', buffer_size=1316, bytes='96M'),
    Case('buffers of 64 MiB', buffer_size='64M'),
    Case('few small request tags', queue=(4, 64)),
]
if LONG:
    CASES.append(Case('mkv clusters of 400 MiB', patch_every='400M',
                      bytes='1200M'))


@contextlib.contextmanager
def request_queue(disk, settings):
    """The disk with so many tags of so many KiB. A loop device keeps them for
    whoever has it next, so they are put back."""
    if settings is None:
        yield
        return
    queue = pathlib.Path(f'/sys/dev/block/{disk.device}/queue')
    files = [queue / 'nr_requests', queue / 'max_sectors_kb']
    before = [file.read_text() for file in files]
    try:
        set_queue(files, settings)
        yield
    finally:
        set_queue(files, before)


def set_queue(files, values):
    try:
        for file, value in zip(files, values):
            file.write_text(str(value))
            if int(file.read_text()) != int(value):
                raise OSError(f'{file} does not take {value}')
    except OSError as error:
        raise NotHere(f'the request queue cannot be set: {error}') from error


def make_old_file(path, size):
    with open(path, 'wb') as file:
        for _ in range(size // MIB):
            file.write(b'old!' * (MIB // 4))
    storage.forget_cache(path)


def check_traffic(case, result):
    patches = result['stats']['back-patches'] if result['stats'] else 0
    storage.check_device(
        result, written=int(result['bytes_written'] * 1.01) + case.rewritten,
        read=METADATA_READ + (patches * 2 * PAGE if case.random else 0))


def run(args, case, disk, directory):
    path = disk.directory / 'file'
    expected = storage.reference(args, directory, **case.load)
    if case.in_place:
        make_old_file(path, expected.stat().st_size)
    disk.settle()
    with request_queue(disk, case.queue):
        result = storage.bench(
            args, storage.with_properties(args.sink, case.properties), path,
            disk=disk, **case.load)
    try:
        storage.note_figures(result)
        storage.check_all(
            lambda: storage.check_ended_well(result),
            lambda: storage.check_bound(result, case.window),
            lambda: check_traffic(case, result),
            lambda: storage.check_left(result),
            lambda: storage.check_same(path, expected))
    finally:
        path.unlink(missing_ok=True)
        expected.unlink()


if __name__ == '__main__':
    sys.exit(storage.run_on_throttled_disk(
        'What muxers do, on a throttled disk.', DISK_MB_S, CASES, run))
