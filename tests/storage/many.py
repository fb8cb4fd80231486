#!/usr/bin/env python3
"""wbfilesink storage tests: many files on one disk

SPDX-License-Identifier: LGPL-2.1-or-later

Usage: many.py WBBENCH [CASE...]. Speaks TAP.

One process has many files open on one disk, each with a source faster than its
share. What all of them keep dirty together has a bound; every file gets done,
with its own bytes in it; and no thread is left when all are stopped.
"""
import os
import pathlib
import subprocess
import sys
import time

import storage
from storage import BATCH, MIB, check, note

DISK_MB_S = 250
# What the files of a device share, or one of them has if there are many, and what
# each is granted all the same.
DEVICE_BOUND = 256 * MIB
FILE_BOUND = 8 * MIB
FLOOR = 2 * BATCH
VARIABLE = 'WBFILESINK_DEVICE_DIRTY_BYTES'


class Case:
    """bound: in the environment, bytes; None: the default"""

    def __init__(self, name, files, size, bound=None, properties='', **load):
        self.name = name
        self.files = files
        self.bound = bound
        self.properties = properties
        self.load = {'sinks': files, 'bytes': size, 'pattern': 'mkv',
                     'patch_every': '2M', 'buffer_size': '64K', **load}

    def allowed(self):
        """The floors come on top: a file that joins is granted its own while
        the others still hold what they were granted before."""
        bound = self.bound or max(DEVICE_BOUND, self.files * FILE_BOUND)
        return bound + self.files * FLOOR

    def run(self, args, disk, directory):
        storage.reference(args, directory, **{**self.load, 'stagger': None})
        disk.settle()
        os.environ.pop(VARIABLE, None)
        if self.bound is not None:
            os.environ[VARIABLE] = str(self.bound)
        result = storage.bench(
            args, storage.with_properties(args.sink, self.properties),
            disk.directory / 'file-%d', disk=disk, **self.load)
        storage.note_figures(result)
        note(f'of one file at most '
             f'{storage.megabytes(result["cache"]["peak_dirty_one_bytes"])}, '
             f'{result["messages"]["durable"]} of {self.files} durable')
        try:
            storage.check_all(
                lambda: storage.check_ended_well(result),
                lambda: check(result['messages']['durable'] == self.files,
                              f'{result["messages"]["durable"]} are durable'),
                lambda: check_sum(self, result),
                lambda: check_files(disk, directory, self))
        finally:
            clear(disk.directory, directory)


# So that bytes alone bound, and not disk time.
BYTES = 'max-dirty-time=0'
CASES = [
    Case('16 files', 16, '48M', properties=BYTES),
    Case('16 files, bound in disk time too', 16, '32M'),
    Case('16 files, another bound', 16, '32M', bound=64 * MIB,
         properties=BYTES),
    # The first of them have filled whole windows when the last ones come.
    Case('16 files, one after the other', 16, '48M', bound=128 * MIB,
         properties=BYTES, stagger=0.03),
    # 8 MiB a file are more than the device's 256 MiB.
    Case('64 files', 64, '16M', properties=BYTES),
    # Small queues: 256 of them hold a gigabyte, not two.
    Case('256 files', 256, '5M', bound=DEVICE_BOUND,
         properties=f'{BYTES} max-queued-bytes={4 * BATCH}'),
    # Each file has its floor and no more.
    Case('256 files, another bound', 256, '6M', bound=64 * MIB,
         properties=f'{BYTES} max-queued-bytes={4 * BATCH}'),
]


def check_sum(case, result):
    peak = result['cache']['peak_dirty_bytes']
    if peak is None:
        note('the kernel has no cachestat(2): the bound was not looked at')
        return
    check(peak <= case.allowed(),
          f'{peak} bytes dirty in all files, {case.allowed()} allowed')


def check_files(disk, directory, case):
    """Each has the bytes of the sink of its number."""
    for number in range(case.files):
        storage.check_same(disk.directory / f'file-{number}',
                           directory / f'reference-{number}')


def clear(*directories):
    for directory in directories:
        for file in directory.glob('*-[0-9]*'):
            file.unlink()


# --- a disk that stands still ---

class StandingStill:
    """What live sources bring while the disk takes nothing is bounded for all
    files together, and not only for each: it is memory of the process."""

    name = '64 recorders, and the disk stands still'
    files = 64
    rate = 4 * 10**6
    # What the queues may hold together, and as much again as the process has
    # without them.
    allowed = 256 * MIB

    def pipeline(self, args, directory):
        for number in range(self.files):
            yield from (
                f'fakesrc is-live=true sync=true datarate={self.rate} '
                f'sizetype=fixed sizemax={self.rate // 100} filltype=zero ! '
                f'{args.sink} location={directory / str(number)}').split()

    def run(self, args, disk, _directory):
        storage.need_program('gst-launch-1.0')
        child = subprocess.Popen(
            ['gst-launch-1.0', '-q', *self.pipeline(args, disk.directory)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            storage.wait_until(lambda: memory(child.pid) > 0, 'it has begun')
            time.sleep(3)
            before = memory(child.pid)
            disk.rate(0.001)
            found = memory_at_rest(child)
        finally:
            disk.rate(DISK_MB_S)
            child.kill()
            complaints = child.communicate()[1]
        note(f'{storage.megabytes(before)} while the disk goes, '
             f'{storage.megabytes(found)} when it stands still')
        check(not complaints, complaints)
        check(found <= self.allowed, f'{found} bytes of memory, '
              f'{self.allowed} allowed')
        check(found >= before + self.files * BATCH // 2,
              'the disk did not stand still: nothing was queued')


def memory(pid):
    """Resident, bytes; 0 when it has ended."""
    for line in pathlib.Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith('VmRSS:'):
            return int(line.split()[1]) * 1024
    return 0


def memory_at_rest(child):
    """When it has grown no more for three seconds."""
    sizes = [memory(child.pid)]
    deadline = time.monotonic() + storage.TIMEOUT
    while len(sizes) < 4 or sizes[-1] > sizes[-4] + MIB:
        check(child.poll() is None, f'gst-launch-1.0 ended: {child.returncode}')
        check(time.monotonic() < deadline, f'it grows and grows: {sizes}')
        time.sleep(1)
        sizes.append(memory(child.pid))
    return sizes[-1]


def run(args, case, disk, directory):
    case.run(args, disk, directory)


if __name__ == '__main__':
    sys.exit(storage.run_on_throttled_disk(
        'Many files on one disk.', DISK_MB_S, [*CASES, StandingStill()],
        run))
