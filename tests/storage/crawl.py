#!/usr/bin/env python3
"""wbfilesink storage tests: a disk that takes next to nothing

SPDX-License-Identifier: LGPL-2.1-or-later

Usage: crawl.py WBBENCH [CASE...]. Speaks TAP.

In the middle of a stream the disk is throttled to 20 kB/s, where a MiB takes
most of a minute: a dying disk, or one that others have swamped. The element
says that its window is given up, EOS gives up after sync-timeout and says what
hangs, and NULL does not wait for the disk. When the disk is itself again,
nothing of the element is left. filesink beside it says EOS at once; when its
file will be on the disk is another matter, and what fsync says of it.
"""
import contextlib
import subprocess
import sys
import time

import answer
import storage
from answer import HUNG_S, MIB, PATIENCE_S, Pipeline
from storage import NotHere, check, note

TIMEOUT_S = 3
GRACE_S = 1
PROPERTIES = (f'sync-timeout={TIMEOUT_S * 10**9} writeback-timeout={10**9} '
              f'max-dirty-bytes={8 * MIB}')
DISK_MB_S = 100
CRAWL_MB_S = 0.02
SIZE = 96 * MIB
STOPS_AT = 24 * MIB
RATE = 40


def seconds_to_sync(path):
    """fsync by another process, or None if it is not back in time."""
    began = time.monotonic()
    child = subprocess.Popen(['sync', str(path)])
    try:
        child.wait(HUNG_S)
    except subprocess.TimeoutExpired:
        return None
    return time.monotonic() - began


def both_at(stack, args, disk, at):
    pipelines = [
        stack.enter_context(Pipeline(
            args, sink, disk.directory / f'file-{name}', bytes=SIZE,
            rate=RATE, notify_at=at))
        for name, sink in (
            ('own', storage.with_properties(args.sink, PROPERTIES)),
            ('peer', 'filesink'))]
    for pipeline in pipelines:
        pipeline.must('at')
    return pipelines


def crawls(args, disk, table):
    with contextlib.ExitStack() as stack:
        # Before the pipelines are killed, so that they can go.
        own, peer = both_at(stack, args, disk, STOPS_AT)
        stack.callback(disk.rate, DISK_MB_S)
        stopped = time.monotonic()
        disk.rate(CRAWL_MB_S)
        own.wait('eos', 'error', seconds=PATIENCE_S)
        peer.wait('eos', 'error')
        nulls = answer.stop_all(own, peer)
        synced = answer.Table.seconds(seconds_to_sync(peer.location))
        table.add('disk at 20 kB/s', own, stopped, nulls[0], 'not known')
        table.add('disk at 20 kB/s', peer, stopped, nulls[1],
                  f'fsync after NULL: {synced}')
        note('threads and files meanwhile: %d, %d' % own.left())
        took = own.leave()
        note('the process with the threads left behind: exit took '
             f'{answer.Table.seconds(took)}')
        disk.rate(DISK_MB_S)
        back = time.monotonic()
        own.child.wait(PATIENCE_S)
        note(f'gone {time.monotonic() - back:.1f} s after the disk was back')
        storage.check_all(
            lambda: check(own.all('degraded'), 'not a word of the window'),
            lambda: answer.check_answered(own, stopped, TIMEOUT_S, 'eos'),
            lambda: answer.check_names_the_call(own, 'warning'),
            lambda: answer.check_sync(own, 'timeout'),
            lambda: answer.check_null(nulls[0], GRACE_S))


def nothing_left(args, disk):
    """The same, and the process lives on."""
    with contextlib.ExitStack() as stack:
        own, _ = both_at(stack, args, disk, STOPS_AT)
        stack.callback(disk.rate, DISK_MB_S)
        disk.rate(CRAWL_MB_S)
        own.must('eos')
        answer.check_null(answer.stop_all(own)[0], GRACE_S)
        check(own.left() != (0, 0), 'the disk did not crawl')
        disk.rate(DISK_MB_S)
        own.left_nothing()


def main():
    args = storage.parse('A disk that takes next to nothing.')
    table = answer.Table()
    try:
        with storage.throttled_disk(args, DISK_MB_S) as disk:
            status = storage.run_cases(
                [('next to nothing, to the end',
                  lambda: crawls(args, disk, table)),
                 ('nothing is left when it is back',
                  lambda: nothing_left(args, disk))], args.only)
            table.show()
            return status
    except NotHere as reason:
        return storage.skip_all(reason)


if __name__ == '__main__':
    sys.exit(main())
