#!/usr/bin/env python3
"""wbfilesink VM tests: disks that turn to errors

SPDX-License-Identifier: LGPL-2.1-or-later

Usage: flaky.py WBSTREAM PLUGIN [CASE...]. Speaks TAP.

In the middle of a stream the disk below the file system fails: all of it for
good; its writes for two seconds; or only the sectors where data goes, so that
journal and metadata stay in order and nobody but the writer can notice.
wbfilesink writes all the time, so it loses data each time, and must end in one
ERROR and never in a clean EOS, also when the disk is itself again. filesink
gets the same beside it; what it said, and what became of its file, is printed.
"""
import contextlib
import sys
import tempfile

import vm
from vm import Said, check
from storage import note

STREAM, FILESINK = '0', '100'
FILE_SYSTEMS = ('ext4', 'xfs')
KINDS = (('error', 'fails for good'), ('recovers', 'fails for 2 s'),
         ('sectors', 'fails where the data goes'))
# The journal away from the data; guest-flaky.sh counts on it.
MKFS_OPTIONS = {'ext4': ('-J', 'size=8,location=300M'), 'xfs': ()}
# GST_RESOURCE_ERROR_WRITE, _CLOSE, _SYNC
LOST = ('10', '8', '12')
RUN_TIMEOUT = 240


def words_of(said, stream):
    return [f'{s.name}{": " + s.text if s.text else ""}' for s in said
            if s['stream'] == stream
            and s.name in ('clean-eos', 'warning', 'error', 'hung')]


def must_end_in_error(lines):
    said = Said.all(lines)
    verdicts = [line[8:] for line in lines if line.startswith('verify: ')]
    note(f'wbfilesink: {"; ".join(words_of(said, STREAM))}')
    note(f'filesink:   {"; ".join(words_of(said, FILESINK))}; '
         f'its file: {"; ".join(verdicts)}')
    own = [s for s in said if s['stream'] == STREAM]
    errors = [s for s in own if s.name == 'error']
    check(any(s.name == 'command' and s['status'] == '0' for s in own),
          'nothing was done to the disk')
    check(not any(s.name == 'clean-eos' for s in own),
          'a clean EOS, and the data is lost')
    check(not any(s.name == 'sync' and s['result'] != 'failed' for s in own),
          'the sync did not fail')
    check(len(errors) == 1, f'{len(errors)} ERROR messages')
    check(errors[0]['code'] in LOST, errors[0].line)
    check(any(s.name == 'null' for s in own), 'NULL did not come back')


def run_guest(args):
    """What the guest says of each case."""
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(
            prefix='wbvm.', dir=args.where))
        names = [f'{kind}-{fs}' for kind, _ in KINDS for fs in FILE_SYSTEMS]
        disks = [vm.image_drive(vm.disk_image(
            directory, fs, f'{kind}-{fs}', MKFS_OPTIONS[fs]))
            for kind, _ in KINDS for fs in FILE_SYSTEMS]
        machine = stack.enter_context(vm.Machine(
            vm.Kernel(), directory, 'guest-flaky.sh', disks,
            vm.environment(args) | {'CASES': ' '.join(names)}))
        return vm.cases_of(machine.run(RUN_TIMEOUT))


def main():
    args = vm.parse('Disks that turn to errors.')
    return vm.run_cases(args, run_guest, [
        (f'{fs} on a disk that {what}', f'{kind}-{fs}', must_end_in_error)
        for kind, what in KINDS for fs in FILE_SYSTEMS])


if __name__ == '__main__':
    sys.exit(main())
