#!/usr/bin/env python3
"""wbfilesink storage tests: glusterfs

SPDX-License-Identifier: LGPL-2.1-or-later

Usage: gluster.py WBBENCH [CASE...]. Speaks TAP. What happens to a stream, and
what must come of it, stands in remote.py.

Volumes of two bricks: replicated, where one of them may go and the stream goes
on, and distributed, where the brick that has the file is all there is.
"""
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import remote
import storage
from answer import check_sync, stop_all
from remote import (back_in_time, for_good, fresh, lost, lost_at_the_end, run,
                    stop_without_eos)
from storage import check, wait_until


class Glusterd:
    """The daemon that manages volumes. In our name spaces it is alone, on its
    usual paths and port, and this machine goes by a name that it accepts."""

    HOST = 'bricks'

    def __init__(self, folder):
        for program in ('glusterd', 'gluster', 'glusterfsd',
                        'mount.glusterfs'):
            storage.need_program(program)
        run('hostname', self.HOST)
        hosts = folder / 'hosts'
        hosts.write_text(f'127.0.0.1 localhost\n127.0.0.1 {self.HOST}\n')
        run('mount', '--bind', hosts, '/etc/hosts')
        for path in ('/var/lib/glusterd', '/var/log/glusterfs', '/run'):
            run('mount', '-t', 'tmpfs', 'tmpfs', path)
        os.mkdir('/run/gluster')
        self.child = subprocess.Popen(['glusterd', '--no-daemon'],
                                      stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL)
        wait_until(lambda: self.is_up(), 'glusterd answers')

    def is_up(self):
        return subprocess.run(['gluster', '--mode=script', 'volume', 'list'],
                              stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0

    @staticmethod
    def volume(*words):
        return run('gluster', '--mode=script', 'volume', *words)


class Gluster(remote.Servers):
    """A volume of two bricks: 'replica 2', or distributed. A brick that says
    nothing is given up after patience seconds (42, if nobody says so)."""

    def __init__(self, folder, *kind, patience=42):
        self.name = name = folder.name
        self.bricks = [folder / 'brick1', folder / 'brick2']
        self.directory = folder / 'volume'
        for directory in (*self.bricks, self.directory):
            directory.mkdir()
        # Not on a partition of their own: hence force.
        Glusterd.volume('create', name, *kind,
                        *(f'{Glusterd.HOST}:{b}' for b in self.bricks),
                        'force')
        Glusterd.volume('set', name, 'network.ping-timeout', patience)
        Glusterd.volume('start', name)
        run('mount', '-t', 'glusterfs', f'{Glusterd.HOST}:/{name}',
            self.directory)
        wait_until(lambda: len(self.pids()) == 2, 'both bricks serve')

    def pid_of(self, brick):
        file = pathlib.Path(f'/run/gluster/vols/{self.name}/{Glusterd.HOST}'
                            f'{str(brick).replace("/", "-")}.pid')
        return int(file.read_text() or 0) if file.exists() else 0

    def pids(self):
        return [pid for pid in map(self.pid_of, self.bricks)
                if pid and self.lives(pid)]

    @staticmethod
    def lives(pid):
        """Daemons are ours to bury here."""
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0] == pid:
                return False
        return os.path.exists(f'/proc/{pid}')

    def stop_one(self, brick):
        os.kill(self.pid_of(brick), signal.SIGSTOP)
        return time.monotonic()

    def kill_one(self, brick):
        os.kill(self.pid_of(brick), signal.SIGKILL)
        return time.monotonic()

    def restart(self):
        """Asked again and again: glusterd starts no brick that it has not yet
        noticed to be gone."""
        wait_until(lambda: len(self.pids()) < 2, 'the killed are gone')
        wait_until(lambda: Glusterd.volume('start', self.name, 'force')
                   and len(self.pids()) == 2, 'both bricks serve again')

    def settle(self):
        """Until what a brick missed has been copied to it."""
        def left():
            return re.findall(r'Number of entries: (\S+)',
                              Glusterd.volume('heal', self.name, 'info'))
        wait_until(lambda: left() == ['0', '0'], 'both copies are alike')

    def copies(self, name):
        return [b / name for b in self.bricks if (b / name).exists()]

    def kill_holders(self, *names):
        """Of the files, on a distributed volume."""
        killed = time.monotonic()
        for brick in {copy.parent for n in names for copy in self.copies(n)}:
            self.kill_one(brick)
        return killed

    def close(self):
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGKILL)
        remote.unmount(self.directory)


def one_brick_away(stage, volume, what, stop, back):
    """A replica is gone, or says nothing, for a while in the middle of the
    stream: the stream goes on, and both copies are whole in the end."""
    size = 160
    expected = stage.reference(size)
    with contextlib.ExitStack() as stack:
        own, peer = stage.both(stack, volume.directory, size)
        stopped = stop()
        time.sleep(2)
        back()
        own.must('eos', 'error')
        peer.must('eos', 'error')
        nulls = stop_all(own, peer)
        volume.settle()
        for pipeline, null in zip((own, peer), nulls):
            stage.table.add(what, pipeline, stopped, null,
                            volume.state(pipeline.location.name, expected))
        check(volume.state(own.location.name, expected) == 'whole, whole',
              'a copy is not whole')
        check(not own.all('error'), f'{own.all("error")}')
        check_sync(own, 'durable')
        own.left_nothing()


def cases(stage):
    daemon = []

    def row(name, case, *kind, patience=42):
        def make():
            if not daemon:
                daemon.append(Glusterd(stage.new_folder('glusterd')))
            return Gluster(stage.new_folder('volume'), *kind,
                           patience=patience)
        name = f'gluster, {"replicated" if kind else "distributed"}: {name}'
        return name, fresh(make, lambda volume: case(stage, volume, name))

    two = ('replica', '2')
    return [
        row('one brick killed and restarted',
            lambda *a: one_brick_away(
                *a, lambda: a[1].kill_one(a[1].bricks[0]), a[1].restart),
            *two),
        row('one brick stopped for 7 s, given up after 5 s',
            lambda *a: one_brick_away(
                *a, lambda: a[1].stop_one(a[1].bricks[0]),
                lambda: time.sleep(5) or a[1].resume()),
            *two, patience=5),
        row('all stopped for 5 s', back_in_time, *two),
        row('all stopped for good',
            lambda *a: for_good(*a, 'warn'), *two),
        row('all stopped, NULL without EOS', stop_without_eos),
        row('all killed', lambda *a: lost(*a, lambda *_: a[1].kill()), *two),
        row('the brick with the file killed, and restarted',
            lambda *a: lost(*a, a[1].kill_holders, a[1].restart)),
        row('all stopped at the end, then killed, and restarted',
            lambda *a: lost_at_the_end(*a, 0.4, a[1].restart)),
    ]


if __name__ == '__main__':
    sys.exit(remote.main('glusterfs whose bricks stop.', cases))
