#!/usr/bin/env python3
"""wbfilesink VM tests: an NFS server that comes back, and one that does not

SPDX-License-Identifier: LGPL-2.1-or-later

Usage: nfs.py WBSTREAM PLUGIN [CASE...]. Speaks TAP.

NFS 4.2 on the guest's loopback; guest-nfs.sh does what the cases are named for
in the middle of a stream. If the server is back before the bound is reached,
the file must be complete and durable; if not, EOS and NULL must answer within
the bound and say so, and when the server wakes up nothing of the file may be
left behind. filesink gets the same beside it; what becomes of it is printed.
"""
import contextlib
import re
import sys
import tempfile

import vm
from vm import Said, check
from storage import note

STREAM, AGAIN, FILESINK = '0', '1', '100'
AWAY_S = 3
SYNC_TIMEOUT_S = 3
# What the element promises on top of that, and as much again for a machine
# that is emulated.
LATE_S = 1 + 1
BUSY, WRITE, SYNC = '4', '10', '12'
RUN_TIMEOUT = 240


class Case:
    """What was said in one case, by stream, and what the file came to."""

    def __init__(self, lines):
        self.said = Said.all(lines)
        self.verdicts = [line[8:] for line in lines
                         if line.startswith('verify: ')]

    def all(self, name, stream=STREAM):
        return [s for s in self.said
                if s.name == name and s['stream'] == stream]

    def one(self, name, stream=STREAM):
        found = self.all(name, stream)
        check(len(found) == 1, f'"{name}" of stream {stream} was said '
              f'{len(found)} times:\n'
              + '\n'.join(s.line for s in self.said))
        return found[0]

    def ends(self, stream):
        """For those who read the results."""
        answers = [f'{name} after {s["seconds"]} s'
                   for name in ('eos', 'null') for s in self.all(name, stream)]
        answers += [f'{s["call"]} hung for more than {s["seconds"]} s'
                    for s in self.all('hung', stream)]
        return ', '.join(answers)

    def note(self):
        note(f'wbfilesink: {self.ends(STREAM)}')
        note(f'filesink:   {self.ends(FILESINK)}')

    def check_durable(self, stream):
        pushed = self.one('pushed', stream)
        sync = self.one('sync', stream)
        check(sync['result'] == 'durable', sync.line)
        check(sync['bytes'] == pushed['bytes'], f'{sync.line}\n{pushed.line}')
        check(self.one('eos', stream)['clean'] == '1', 'EOS was not clean')
        for name in ('warning', 'error'):
            check(not self.all(name, stream),
                  '\n'.join(s.line for s in self.all(name, stream)))
        check(len(self.verdicts) == 1
              and self.verdicts[0].startswith('right: '), str(self.verdicts))


def must_be_durable(case):
    case.note()
    # While the server was away it could not have been.
    away = case.one('sync').time - case.one('command').time
    check(away >= AWAY_S - 0.2, f'durable after {away:.1f} s, in which the '
          'server was away')
    case.check_durable(STREAM)


def check_bounds(case, clean):
    eos, null = case.one('eos'), case.one('null')
    check(float(eos['seconds']) <= SYNC_TIMEOUT_S + LATE_S, eos.line)
    check(float(null['seconds']) <= LATE_S, null.line)
    check(eos['clean'] == clean, eos.line)
    check(case.one('sync')['result'] == 'timeout', case.one('sync').line)


def check_answered(case, complaint, clean):
    """EOS and NULL of the stream whose server has gone: all of it is with the
    kernel, and the sync hangs."""
    check_bounds(case, clean)
    said = case.one(complaint)
    check(said['code'] == SYNC and 'has not returned for' in said.text,
          said.line)
    other = 'error' if complaint == 'warning' else 'warning'
    check(not case.all(other), f'{len(case.all(other))} {other}s as well')


def check_lost(case):
    """The write hangs, and what is queued behind it never left: an error,
    whatever on-sync-timeout is."""
    check_bounds(case, '0')
    said = case.one('error')
    check(said['code'] == WRITE
          and re.search(r'has not returned for .* [1-9][0-9]* bytes that were '
                        'accepted are not written', said.text), said.line)
    check(not case.all('warning'), f'{len(case.all("warning"))} warnings')


def must_answer(case, check_first, *words):
    case.note()
    left, gone = case.one('left'), case.one('gone', AGAIN)
    refused, again = case.one('refused', AGAIN), case.one('opened', AGAIN)
    note(f'left behind: {left["threads"]} threads, {left["fds"]} fds; '
         f'gone after the server woke up: {gone["threads"]} threads, '
         f'{gone["fds"]} fds')
    check_first(case, *words)
    check(int(left['threads']) > 0, 'no thread was left behind: nothing hung')
    # Of the element; the base class adds one of its own to a failed start.
    busy = case.all('error', AGAIN)[0]
    note(f'opened again meanwhile: {busy.text}')
    check(busy['code'] == BUSY, busy.line)
    check(float(refused['seconds']) <= LATE_S, refused.line)
    check(gone['threads'] == '0' and gone['fds'] == '0', gone.line)
    check(refused.time < gone.time < again.time, 'not in this order')
    case.said = [s for s in case.said if s.time > gone.time]
    case.check_durable(AGAIN)


CASES = (
    ('the server stops and is back', 'stopped', must_be_durable),
    ('the server answers nothing and is back', 'frozen', must_be_durable),
    ('the server is restarted', 'restarted', must_be_durable),
    ('the server is gone: a warning', 'warn',
     lambda case: must_answer(case, check_answered, 'warning', '1')),
    ('the server is gone: an error', 'error',
     lambda case: must_answer(case, check_answered, 'error', '0')),
    ('the server is gone, and bytes are queued', 'queued',
     lambda case: must_answer(case, check_lost)),
)


def run_guest(args):
    """What the guest says of each case."""
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(
            prefix='wbvm.', dir=args.where))
        disk = vm.disk_image(directory, 'ext4')
        machine = stack.enter_context(vm.Machine(
            vm.Kernel(nfs=True), directory, 'guest-nfs.sh',
            [vm.image_drive(disk)], vm.environment(args)))
        return vm.cases_of(machine.run(RUN_TIMEOUT))


def main():
    args = vm.parse('An NFS server that comes back, and one that does not.')
    return vm.run_cases(args, run_guest, [
        (name, key, lambda lines, judge=judge: judge(Case(lines)))
        for name, key, judge in CASES])


if __name__ == '__main__':
    sys.exit(main())
