#!/usr/bin/env python3
"""wbfilesink storage tests: what is lost is told

SPDX-License-Identifier: LGPL-2.1-or-later

Usage: lost.py WBBENCH [CASE...]. Speaks TAP.

Problem: the kernel keeps whatever number a file system gave for lost data and
hands it out once, at the next sync_file_range, fsync, fdatasync or close. A
number that also means "this call is not for this file" is no refusal there.

Strategy: a FUSE file system with the kernel's write-back cache, one WRITE of
the kernel's write-out answered with that number: an ERROR must come of it,
whatever the number, the mode and the interval. Beside it the real refusals,
which must stay without one. And the other ways in which bytes that were
accepted got lost with a good word: a write that hangs at the end, an open that
comes back too late.
"""
import errno
import sys

import told
from answer import Pipeline
from storage import MIB, check, note
from told import Fuse, Launch, check_clean, check_error, fake_source

SIZE = 24 * MIB
# All of it is queued before the first MiB is written.
QUEUED = 4 * MIB
NUMBERS = ('EINVAL', 'EOPNOTSUPP', 'ENOSYS', 'ESPIPE', 'EINTR', 'EIO')


def sink(location, properties=''):
    return f'wbfilesink location={location} {properties}'


# --- the errno matrix ---

def lost_write(args, folder, number, writeback, interval_ms, more=''):
    """The 5th WRITE of the kernel's is lost."""
    with Fuse(args, folder, cache=True) as fs:
        fs.fail('write', 5, 1, getattr(errno, number))
        launch = told.run(
            fake_source(SIZE) + ' ! identity sleep-time=2000 ! '
            + sink(fs.directory / 'file', f'writeback={writeback} '
                   f'sync-interval={interval_ms * 10**6} '
                   f'chunk-size=1048576 max-dirty-bytes=4194304 {more}'))
        counts = fs.counts()
        note(f'{launch.said()}; {counts["bytes"]} of {SIZE} bytes, '
             f'{counts["write"]} writes')
        check(counts['write'] >= 5, 'it was not reached')
        check(counts['bytes'] < SIZE, 'it was written again')
        if writeback == 'none' and 'sync-on-eos=none' in more:
            check_told_at_the_end(launch)
        else:
            check_error(launch)


def check_told_at_the_end(launch):
    """Nothing was asked before close, which comes after EOS."""
    check(launch.child.returncode != 0 and len(launch.errors()) == 1,
          f'not one ERROR: {launch.said()}')
    check(launch.results() == ['skipped'], f'{launch.results()}')


def lost_write_of_filesink(args, folder, number):
    """For the table: filesink does not ask."""
    with Fuse(args, folder, cache=True) as fs:
        fs.fail('write', 5, 1, getattr(errno, number))
        launch = told.run(fake_source(SIZE) + ' ! filesink location='
                          f'{fs.directory / "file"}')
        note(f'filesink: {launch.said()}')


def matrix(args):
    for number in NUMBERS:
        for writeback in ('drop', 'none'):
            for interval_ms in (0, 200):
                yield (f'{number} from write-out, writeback={writeback}, '
                       f'sync-interval={interval_ms} ms',
                       lambda folder, row=(number, writeback, interval_ms):
                       lost_write(args, folder, *row))
    # Without a sync it is the wait for the write-out, or close, that tells.
    for number in ('EINVAL', 'EINTR', 'EIO'):
        for writeback in ('drop', 'none'):
            yield (f'{number} from write-out, writeback={writeback}, '
                   'sync-on-eos=none',
                   lambda folder, row=(number, writeback, 0,
                                       'sync-on-eos=none'):
                   lost_write(args, folder, *row))
    yield ('EIO from write-out, filesink (only told)',
           lambda folder: lost_write_of_filesink(args, folder, 'EIO'))


# --- real refusals ---

def always_refused(args, folder, number, cache):
    """A file system that has no fsync: nothing is lost, nothing promised. To
    ENOSYS the kernel itself answers 0."""
    with Fuse(args, folder, cache) as fs:
        for call in ('fsync', 'fdatasync'):
            fs.fail(call, 1, 0, getattr(errno, number))
        launch = told.run(fake_source(SIZE) + ' ! ' + sink(
            fs.directory / 'file', 'sync-interval=200000000'))
        note(launch.said())
        check_clean(launch, 'durable' if number == 'ENOSYS' else 'skipped')
        check((fs.below / 'file').read_bytes() == told.pattern(SIZE),
              'not whole')


def refused_after_a_success(args, folder, cache):
    """What has worked once is not missing: it is lost data."""
    with Fuse(args, folder, cache) as fs:
        fs.fail('fdatasync', 2, 1, errno.EINVAL)
        launch = told.run(
            fake_source(SIZE) + ' ! identity sleep-time=4000 ! '
            + sink(fs.directory / 'file', 'sync-interval=200000000'))
        note(launch.said())
        check(fs.counts()['fdatasync'] >= 2, 'it was not reached')
        check_error(launch)


def refusals(args):
    for number in ('EINVAL', 'EOPNOTSUPP', 'ENOSYS'):
        for cache in (False, True):
            yield (f'fsync always says {number}'
                   + (', write-back cache' if cache else ''),
                   lambda folder, row=(number, cache):
                   always_refused(args, folder, *row))
    for cache in (False, True):
        yield ('fdatasync worked once and then says EINVAL'
               + (', write-back cache' if cache else ''),
               lambda folder, cache=cache:
               refused_after_a_success(args, folder, cache))


# --- a write that hangs at the end ---

def write_hangs(args, folder, on_timeout, hung):
    """What was accepted and not handed to the system is an error, and no EOS:
    so many bytes are not written."""
    with Fuse(args, folder) as fs:
        fs.hang('write', hung)
        with Launch(fake_source(QUEUED) + ' ! ' + sink(
                fs.directory / 'file',
                f'sync-timeout=1000000000 on-sync-timeout={on_timeout}')) \
                as launch:
            launch.wait_stopped()
            written = (fs.below / 'file').stat().st_size
            fs.release()
            launch.wait()
            note(f'{written} bytes written; {launch.said()}')
            check_error(launch, r'\b\d+ bytes')
            named = max(told.numbers(launch.errors()[0]))
            check(QUEUED - written <= named <= QUEUED,
                  f'{named} bytes named, {QUEUED - written} are missing')


def sync_hangs(args, folder):
    """The kernel has the bytes: a warning, as ever."""
    with Fuse(args, folder) as fs:
        fs.hang('fsync', 1)
        with Launch(fake_source(QUEUED) + ' ! ' + sink(
                fs.directory / 'file', 'sync-timeout=1000000000')) as launch:
            launch.wait_stopped()
            fs.release()
            status = launch.wait()
            note(launch.said())
            check(status == 0 and launch.eos(), 'no EOS')
            check(launch.results()[:1] == ['timeout'], f'{launch.results()}')
            check(len(launch.warnings()) >= 1, 'no warning')


def hangs(args):
    last = QUEUED // MIB
    for on_timeout in ('warn', 'error'):
        for hung in (2, last):
            yield (f'write number {hung} of {last} hangs at EOS, '
                   f'on-sync-timeout={on_timeout}',
                   lambda folder, row=(on_timeout, hung):
                   write_hangs(args, folder, *row))
    yield 'fsync hangs at EOS', lambda folder: sync_hangs(args, folder)


# --- an open that comes back too late ---

def late_open(args, folder):
    """The start is given up, filesink writes the name, and then the first open
    comes back."""
    with Fuse(args, folder) as fs:
        path = fs.directory / 'file'
        (fs.below / 'file').write_bytes(b'old')
        fs.hang('open', 1)
        # A process that lives on, as an application does that falls back.
        with Pipeline(args, 'wbfilesink sync-timeout=1000000000',
                      path) as ours:
            ours.must('refused')
            launch = told.run(fake_source(SIZE)
                              + f' ! filesink location={path}')
            check(launch.child.returncode == 0, launch.said())
            fs.release()
            ours.left_nothing()
        left = (fs.below / 'file').stat().st_size
        note(f'{left} of {SIZE} bytes left')
        check((fs.below / 'file').read_bytes() == told.pattern(SIZE),
              f'{left} of {SIZE} bytes are left of what filesink wrote')


def cases(args):
    return [*matrix(args), *refusals(args), *hangs(args),
            ('an open that was given up comes back',
             lambda folder: late_open(args, folder))]


if __name__ == '__main__':
    sys.exit(told.main('What is lost is told.', cases))
