#!/usr/bin/env python3
"""wbfilesink VM tests: power cuts

SPDX-License-Identifier: LGPL-2.1-or-later

Usage: powercuts.py WBSTREAM PLUGIN [--cuts N] [--seed S]. Speaks TAP.

Problem: what a power cut leaves is known only after one, and an emulator that
is killed leaves too much.

Strategy: in the guest wbfilesink and filesink record one file after the other,
each on an ext4 and an xfs of its own, on disks that lose what was not flushed
(volatile.py). What the sinks promise leaves the guest over the serial line at
once. At a random moment the emulator is killed. Then each image is mounted
here, its journal replayed, and every promise that had come until then is held
against it: a file that was reported durable is there, whole, byte for byte and
by its name; of the file that was being written everything below the last
durable-bytes is there, with all the patches made until then. The file system
must also pass its own check, which says that the disk was honest. filesink
promises nothing; what is counted for it is what an application believes that
takes a clean EOS for a promise.

Layout: promises; the tally; one cut; what is left.
"""
import argparse
import dataclasses
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

import vm
from vm import Said, check
from storage import megabytes, mounted, note
from volatile import Server, VolatileDisk

# Each records on a file system of its own; the numbers of its recordings begin
# at a multiple of NUMBERS.
SINKS = [(sink, fs) for sink in ('wbfilesink', 'filesink')
         for fs in ('ext4', 'xfs')]
NUMBERS = 1000
PROPERTIES = {'wbfilesink': 'sync-interval=500000000', 'filesink': ''}
# Patches at each cluster's start, or anywhere. A recording takes one and a half
# seconds.
PATTERNS = 'mkv', 'random'
BYTES, MB_S = 12 << 20, 8
LOAD = ['--bytes', str(BYTES), '--patch-every', str(512 << 10)]
# Seconds until the cut, when each has made its first promise.
LATEST = 9
START_TIMEOUT = 60
FSCK = {'ext4': ['e2fsck', '-f', '-n'], 'xfs': ['xfs_repair', '-n']}


# --- promises ---

@dataclasses.dataclass
class Promise:
    """What was said of one recording before the cut: all of it is there
    (durable is None), or everything below `durable`."""
    number: int
    load: list
    durable: int | None

    def text(self):
        return f'recording {self.number}, ' + (
            'all of it' if self.durable is None else f'{self.durable} bytes')

    def verify(self, args, directory):
        """Whether it was kept, and what was found."""
        below = [] if self.durable is None else ['--durable',
                                                 str(self.durable)]
        result = subprocess.run(
            [args.wbstream, '--verify', directory / str(self.number),
             '--number', str(self.number), *self.load, *below], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return result.returncode == 0, result.stdout.strip()


def promises_of(sink, load, said):
    """The greatest promise for each recording. filesink makes none: it is what
    an application takes for one."""
    promises, whole = {}, {}
    for line in said:
        number = int(line['stream'])
        if line.name == 'durable-bytes':
            promises[number] = Promise(number, load, int(line['bytes']))
        elif sink == 'wbfilesink' and line.name == 'sync':
            check(line['result'] == 'durable', line.line)
            whole[number] = Promise(number, load, None)
        elif sink == 'filesink' and line.name == 'clean-eos':
            whole[number] = Promise(number, load, None)
    return list((promises | whole).values())


def seconds_at_risk(lines, cut_at):
    """How much of the recording, in seconds, had been handed over and not yet
    been promised when the power went. lines: (arrival, what was said)."""
    since, pending = cut_at, 0.0
    for arrival, said in lines:
        if said.name == 'opened':
            since, pending = arrival, 0.0
        elif said.name == 'durable-bytes':
            since = arrival
            pending = (int(said['written']) - int(said['bytes'])) / MB_S / 1e6
        elif said.name == 'sync':
            since, pending = cut_at, 0.0
    return cut_at - since + pending


# --- the tally ---

@dataclasses.dataclass
class Tally:
    """Of one sink on one file system, over all cuts."""
    files: int = 0
    files_kept: int = 0
    bytes_promised: int = 0
    bounds: int = 0
    bounds_kept: int = 0
    at_risk: list = dataclasses.field(default_factory=list)

    def count(self, promise, kept):
        if promise.durable is None:
            self.files += 1
            self.files_kept += kept
        else:
            self.bounds += 1
            self.bounds_kept += kept
            self.bytes_promised += promise.durable

    def __str__(self):
        text = f'{self.files} files reported whole, {self.files_kept} are'
        if self.bounds:
            text += (f'; {self.bounds} cut in the middle with '
                     f'{megabytes(self.bytes_promised)} reported durable, '
                     f'{self.bounds_kept} have it; not yet durable at the '
                     f'cut: {statistics.median(self.at_risk):.2f} s of the '
                     f'stream, at most {max(self.at_risk):.2f} s')
        return text


# --- one cut ---

class Cut:
    """A machine with its disks, from power on to power off."""

    def __init__(self, args, kernel, directory, draw):
        self.directory = directory
        self.draw = draw
        self.load = [*LOAD, '--pattern', draw.choice(PATTERNS)]
        self.images = [vm.disk_image(directory, fs, f'{sink}-{fs}')
                       for sink, fs in SINKS]
        self.disks, self.servers = [], []
        for image in self.images:
            newest = image.with_suffix('.newest')
            subprocess.run(['cp', '--sparse=always', image, newest],
                           check=True)
            self.disks.append(VolatileDisk(image, newest))
            self.servers.append(Server(self.disks[-1],
                                       image.with_suffix('.socket')))
        sinks = '\n'.join(
            f'{image.name} vd{"abcd"[n]} {n * NUMBERS} {sink} '
            f'{PROPERTIES[sink]}'
            for n, (image, (sink, _)) in enumerate(zip(self.images, SINKS)))
        self.machine = vm.Machine(
            kernel, directory, 'guest-cut.sh',
            [{'driver': 'nbd', 'server': {
                'type': 'unix', 'path': str(image.with_suffix('.socket'))}}
             for image in self.images],
            vm.environment(args) | {
                'SINKS': sinks,
                'LOAD': ' '.join([*self.load, '--rate', str(MB_S)])})

    def happen(self):
        """Until the power is gone. What was said, by sink, with its time."""
        with self.machine:
            for n, (sink, _) in enumerate(SINKS):
                if sink == 'wbfilesink':
                    self.machine.wait_for(
                        fr'wbstream: \S+ durable-bytes stream={n * NUMBERS} ',
                        START_TIMEOUT)
            wait = self.draw.uniform(0, LATEST)
            time.sleep(wait)
            self.machine.cut()
            self.at = time.monotonic()
        note(f'{self.load[-1]}, cut after {wait:.2f} s')
        for server, disk, image in zip(self.servers, self.disks, self.images):
            server.join()
            note(f'{image.name}: {disk.flushes} flushes, '
                 f'{disk.cut(self.draw)}')
        said = [[] for _ in SINKS]
        for arrival, line in self.machine.lines:
            for one in Said.all([line]):
                check(one.name not in ('error', 'warning', 'hung'), line)
                said[int(one['stream']) // NUMBERS].append((arrival, one))
        return said


# --- what is left ---

def look(args, cut, image, key, said, tally):
    """Mounts what is left of one disk. Returns the promises that were
    broken."""
    (sink, fs), broken = key, []
    mount_point = image.with_suffix('.mounted')
    mount_point.mkdir()
    with mounted(mount_point, '-t', fs, '-o', 'loop', image):
        for promise in promises_of(sink, cut.load, [one for _, one in said]):
            kept, found = promise.verify(args, mount_point)
            tally.count(promise, kept)
            if not kept:
                broken.append(f'{image.name}, {promise.text()}: {found}')
    fsck = subprocess.run([*FSCK[fs], image], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    check(fsck.returncode == 0, f'{image.name}: {fsck.stdout}')
    return broken


def cut_and_look(args, kernel, tallies, draw):
    with tempfile.TemporaryDirectory(prefix='wbvm.', dir=args.where) as where:
        cut = Cut(args, kernel, pathlib.Path(where), draw)
        lost = []
        for key, image, said in zip(SINKS, cut.images, cut.happen()):
            tally = tallies[key]
            broken = look(args, cut, image, key, said, tally)
            if key[0] == 'wbfilesink':
                tally.at_risk.append(seconds_at_risk(said, cut.at))
                lost += broken
            else:
                for text in broken:
                    note(f'filesink said EOS: {text}')
        check(not lost, '\n'.join(lost))


def something_was_promised(tallies):
    """Or nothing was tested."""
    for (sink, fs), tally in tallies.items():
        note(f'{sink} on {fs}: {tally}')
    ours = [tally for (sink, _), tally in tallies.items()
            if sink == 'wbfilesink']
    check(any(tally.files for tally in ours)
          and any(tally.bounds for tally in ours),
          'there were no promises of both kinds')


def main():
    parser = argparse.ArgumentParser(description='Power cuts.')
    parser.add_argument('--cuts', type=int, default=3)
    parser.add_argument('--seed', type=int,
                        default=random.SystemRandom().randrange(1 << 32))
    args = vm.parse(None, parser)
    tallies = {key: Tally() for key in SINKS}
    try:
        vm.need_machine()
        for fs in FSCK:
            vm.storage.need_program(FSCK[fs][0])
        kernel = vm.Kernel()
    except vm.NotHere as reason:
        return vm.storage.skip_all(reason)
    note(f'--seed {args.seed}')
    cases = [(f'cut {n}',
              lambda n=n: cut_and_look(args, kernel, tallies,
                                       random.Random(f'{args.seed}/{n}')))
             for n in range(1, args.cuts + 1)]
    return vm.storage.run_cases(
        cases + [('promises', lambda: something_was_promised(tallies))],
        args.only)


if __name__ == '__main__':
    sys.exit(main())
