#!/usr/bin/env python3
"""wbfilesink storage tests: sshfs

SPDX-License-Identifier: LGPL-2.1-or-later

Usage: sshfs.py WBBENCH [CASE...]. Speaks TAP. What happens to a stream, and
what must come of it, stands in remote.py.

In place of ssh, sshfs is given the server that ssh would start on the other
machine: no daemon, no keys, no network, and nothing in between that keeps
bytes for itself.
"""
import os
import sys

import remote
import storage
from remote import (back_in_time, for_good, fresh, lost, lost_at_the_end, run,
                    stop_without_eos, stopped_before)
from storage import NotHere

SFTP_SERVER = '/usr/lib/openssh/sftp-server'


class Sshfs(remote.Servers):
    def __init__(self, folder):
        storage.need_program('sshfs')
        if not os.access(SFTP_SERVER, os.X_OK):
            raise NotHere(f'{SFTP_SERVER} is missing')
        self.below = folder / 'sshfs-below'
        self.directory = folder / 'sshfs'
        self.pid_file = folder / 'sshfs-server.pid'
        script = folder / 'sshfs-server'
        script.write_text(f'#!/bin/sh\necho $$ > {self.pid_file}\n'
                          f'exec {SFTP_SERVER}\n')
        script.chmod(0o755)
        self.below.mkdir()
        self.directory.mkdir()
        run('sshfs', '-o', f'ssh_command={script}', f'here:{self.below}',
            self.directory)

    def pids(self):
        return [int(self.pid_file.read_text())]

    def copies(self, name):
        return [self.below / name]

    def close(self):
        self.resume()
        self.kill()
        remote.unmount(self.directory)


def cases(stage):
    def row(name, case):
        name = f'sshfs: {name}'
        return name, fresh(lambda: Sshfs(stage.new_folder('sshfs')),
                           lambda servers: case(stage, servers, name))

    return [
        row('stopped for 5 s', back_in_time),
        row('stopped for good', lambda *a: for_good(*a, 'warn')),
        row('stopped for good, on-sync-timeout=error',
            lambda *a: for_good(*a, 'error')),
        row('stopped, NULL without EOS', stop_without_eos),
        row('stopped before the start', stopped_before),
        row('killed', lambda *a: lost(*a, lambda *_: a[1].kill())),
        row('stopped at the end, then killed',
            lambda *a: lost_at_the_end(*a, 0.1)),
    ]


if __name__ == '__main__':
    sys.exit(remote.main('sshfs whose server stops.', cases))
