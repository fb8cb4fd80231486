#!/usr/bin/env python3
"""wbfilesink storage tests: a pause is not a hang

SPDX-License-Identifier: LGPL-2.1-or-later

Usage: pauses.py WBBENCH [CASE...]. Speaks TAP.

A process that was stopped (SIGSTOP, a container that is paused, a debugger)
and goes on finds its deadlines over although its storage has answered all
along: the time in which it did not run does not count. And a reader of a pipe
who takes a break is no storage that hangs: nobody else has the bytes.

Many pipelines are stopped at once, each on a slow file system of its own (a
FUSE whose every write takes its time), for longer than sync-timeout, at EOS
and in mid-stream. All of them must end well. Beside that, what must still be
told as a hang.
"""
import contextlib
import os
import pathlib
import signal
import sys
import threading
import time

import storage
import told
from answer import GRACE_S
from storage import MIB, NotHere, check, note
from told import Fuse, Launch, fake_source

RUNS = 20
TIMEOUT_S = 2
PAUSE_S = 3


def sink(location, properties=''):
    return (f'wbfilesink location={location} '
            f'sync-timeout={TIMEOUT_S * 10**9} {properties}')


# --- how a process is paused ---

@contextlib.contextmanager
def by_signal(pids):
    """SIGSTOP and, in the end, SIGCONT."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


class Freezer:
    """A control group that can be frozen, of version 1 or 2."""

    def __init__(self):
        for root, self.file, self.words in (
                ('/sys/fs/cgroup/freezer', 'freezer.state',
                 ('FROZEN', 'THAWED')),
                ('/sys/fs/cgroup', 'cgroup.freeze', ('1', '0'))):
            self.group = (pathlib.Path(root)
                          / f'wb-pauses-{os.urandom(4).hex()}')
            with contextlib.suppress(OSError):
                self.group.mkdir()
                if (self.group / self.file).exists():
                    return
                self.group.rmdir()
        raise NotHere('no control group that can be frozen')

    def set(self, frozen):
        (self.group / self.file).write_text(self.words[0 if frozen else 1])

    def close(self):
        storage.wait_until(
            lambda: not (self.group / 'cgroup.procs').read_text(),
            'the group is empty', told.PATIENCE_S)
        self.group.rmdir()


@contextlib.contextmanager
def by_freezer(pids):
    """`docker pause`."""
    freezer = Freezer()
    try:
        for pid in pids:
            (freezer.group / 'cgroup.procs').write_text(str(pid))
        freezer.set(True)
        try:
            yield
        finally:
            freezer.set(False)
        for pid in pids:
            (freezer.group.parent / 'cgroup.procs').write_text(str(pid))
    finally:
        freezer.close()


# --- many pipelines that are paused ---

# What is written in a second is a few MiB: `size` MiB, each WRITE of which
# takes so many ms; stopped when so many WRITEs have come.
AT_EOS = {'size': 8, 'ms': 300, 'stop_at': 3}
IN_MID_STREAM = {'size': 64, 'ms': 80, 'stop_at': 12}


def paused(args, folder, pause, element, size, ms, stop_at):
    with contextlib.ExitStack() as stack:
        runs = []
        for number in range(RUNS):
            own = folder / str(number)
            own.mkdir()
            fs = stack.enter_context(Fuse(args, own, cache=True))
            fs.delay('write', 1, 0, ms)
            runs.append((fs, stack.enter_context(Launch(
                fake_source(size * MIB) + ' ! '
                + element(fs.directory / 'file')))))
        for fs, _ in runs:
            storage.wait_until(lambda fs=fs: fs.counts()['write'] >= stop_at,
                               'so many writes', told.PATIENCE_S)
        with pause([launch.child.pid for _, launch in runs]):
            time.sleep(PAUSE_S)
        for _, launch in runs:
            launch.wait()
        return count_good(runs, size * MIB)


def count_good(runs, size):
    good, expected = 0, told.pattern(size)
    for fs, launch in runs:
        ended = (launch.child.poll() == 0 and not launch.errors()
                 and not launch.warnings()
                 and 'timeout' not in launch.results())
        whole = (fs.below / 'file').read_bytes() == expected
        good += ended and whole
        if not (ended and whole):
            note(f'{launch.said()}; {"whole" if whole else "not whole"}')
    return good


def pauses_cost_nothing(args, folder, pause, moment, on_timeout):
    good = paused(
        args, folder, pause,
        lambda path: sink(path, f'on-sync-timeout={on_timeout}'), **moment)
    note(f'{good} of {RUNS} ended well')
    check(good == RUNS, f'{RUNS - good} of {RUNS} took a pause for a hang')


def filesink_paused(args, folder, pause, moment):
    good = paused(args, folder, pause,
                  lambda path: f'filesink location={path}', **moment)
    note(f'filesink: {good} of {RUNS} ended well')


def all_pauses(args):
    for name, pause in (('SIGSTOP', by_signal), ('freezer', by_freezer)):
        for where, moment in (('at EOS', AT_EOS),
                              ('in mid-stream', IN_MID_STREAM)):
            for on_timeout in ('warn', 'error'):
                yield (f'{name} {where}, on-sync-timeout={on_timeout}',
                       lambda folder, row=(pause, moment, on_timeout):
                       pauses_cost_nothing(args, folder, *row))
            yield (f'{name} {where}, filesink (only told)',
                   lambda folder, row=(pause, moment):
                   filesink_paused(args, folder, *row))


def hang_after_a_pause(args, folder):
    """What hangs before, during and after the pause is a hang."""
    with Fuse(args, folder) as fs:
        fs.hang('fsync', 1)
        with Launch(fake_source(MIB) + ' ! ' + sink(fs.directory / 'file')) \
                as launch:
            fs.wait_hanging()
            with by_signal([launch.child.pid]):
                time.sleep(PAUSE_S)
            storage.wait_until(launch.warnings, 'a warning', told.PATIENCE_S)
            fs.release()
            launch.wait()
            note(launch.said())
            check(launch.results()[:1] == ['timeout'],
                  f'the sync said {launch.results()}')


# --- a reader of a pipe who takes a break ---

PIPED = 6553600
# All but this has been read when the break begins: more than a pipe holds.
LEFT = 1064960


class Reader(threading.Thread):
    """Reads all there is, with a break before the last bytes."""

    def __init__(self, path, seconds):
        super().__init__(daemon=True)
        self.path, self.seconds, self.bytes = path, seconds, b''
        self.start()

    def run(self):
        with open(self.path, 'rb', buffering=0) as pipe:
            while len(self.bytes) < PIPED - LEFT:
                self.bytes += pipe.read(min(65536,
                                            PIPED - LEFT - len(self.bytes)))
            time.sleep(self.seconds)
            while piece := pipe.read(65536):
                self.bytes += piece


def piped(folder, element):
    path = folder / 'pipe'
    os.mkfifo(path)
    reader = Reader(path, 2 * TIMEOUT_S)
    launch = told.run(fake_source(PIPED) + ' ! ' + element(path))
    reader.join(told.PATIENCE_S)
    note(f'{launch.said()}; {len(reader.bytes)} of {PIPED} bytes came')
    return launch, reader.bytes


def reader_pauses(folder):
    launch, came = piped(folder, sink)
    check(came == told.pattern(PIPED), f'{len(came)} of {PIPED} bytes came')
    check(launch.child.returncode == 0 and launch.eos()
          and not launch.errors(), launch.said())
    check(launch.warnings(), 'nothing was said')


def reader_pauses_error(folder):
    launch, _ = piped(folder, lambda path: sink(path, 'on-sync-timeout=error'))
    told.check_error(launch)


def filesink_pipes(folder):
    launch, came = piped(folder, lambda path: f'filesink location={path}')
    check(launch.child.returncode == 0 and came == told.pattern(PIPED),
          'filesink does not do this')


def null_does_not_wait(folder):
    """EOS waits for the reader; who asks for NULL does not."""
    path = folder / 'pipe'
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with Launch(fake_source(MIB) + ' ! ' + sink(path)) as launch:
        storage.wait_until(launch.warnings, 'a warning', told.PATIENCE_S)
        time.sleep(TIMEOUT_S / 4)
        check(not launch.eos(), 'EOS, and nobody has read a byte')
        asked = time.monotonic()
        launch.child.send_signal(signal.SIGINT)
        check(launch.wait() is not None, 'NULL hangs')
        took = time.monotonic() - asked
        note(f'NULL took {took:.2f} s; {launch.said()}')
        check(took <= TIMEOUT_S + GRACE_S, f'NULL took {took:.2f} s')
    os.close(reader)


def cases(args):
    return [('a pipe whose reader pauses', reader_pauses),
            ('a pipe whose reader pauses, on-sync-timeout=error',
             reader_pauses_error),
            ('a pipe whose reader pauses, filesink', filesink_pipes),
            ('a pipe whose reader stays away, NULL',
             null_does_not_wait),
            *all_pauses(args),
            ('a hang with a pause in it',
             lambda folder: hang_after_a_pause(args, folder))]


if __name__ == '__main__':
    sys.exit(told.main('A pause is not a hang.', cases))
