#!/usr/bin/env python3
"""wbfilesink storage tests: one file system after the other

SPDX-License-Identifier: LGPL-2.1-or-later

Usage: filesystems.py WBBENCH [CASE...]. Speaks TAP.

On each: what the element says it found, the same files as filesink's for three
loads, a sync that is told truthfully, and a bound that holds or is not needed:
tmpfs has no disk to write to, and sshfs takes the bytes in write() itself, so
neither ever has anything dirty. Nothing is left mounted.
"""
import contextlib
import os
import pathlib
import sys

import storage
from storage import MIB, NotHere, check

WINDOW = 8 * MIB
PROPERTIES = f'max-dirty-bytes={WINDOW} chunk-size={2 * MIB}'
DISK_MB_S = 200
LOADS = [
    {'bytes': '96M', 'pattern': 'mkv', 'patch_every': '2M'},
    {'bytes': '32M', 'pattern': 'robust', 'patch_every': '8M'},
    {'bytes': '32M', 'pattern': 'random', 'patch_every': '1M'},
]
SFTP_SERVERS = ['/usr/lib/openssh/sftp-server', '/usr/libexec/sftp-server',
                '/usr/libexec/openssh/sftp-server', '/usr/lib/ssh/sftp-server']


class Home:
    """Where the element writes; where the same file has its pages (an overlay
    keeps them in its upper file); where the same file can be read."""

    def __init__(self, directory, disk=None, pages_in=None, read_in=None):
        self.directory = pathlib.Path(directory)
        self.disk = disk
        self.pages_in = pages_in
        self.read_in = pathlib.Path(read_in or directory)

    def look_at(self, name):
        return self.pages_in and self.pages_in / name


# --- file systems ---

@contextlib.contextmanager
def disk_with(args, fs):
    with storage.throttled_disk(args, DISK_MB_S, fs=fs) as disk:
        yield Home(disk.directory, disk)


@contextlib.contextmanager
def tmpfs(args):
    storage.need_root()
    with storage.scratch(args) as directory, \
            storage.mounted(directory, '-t', 'tmpfs', 'tmpfs'):
        yield Home(directory)


@contextlib.contextmanager
def overlayfs(args):
    with storage.throttled_disk(args, DISK_MB_S) as disk:
        lower, upper, work, merged = (disk.directory / name for name in (
            'lower', 'upper', 'work', 'merged'))
        for directory in (lower, upper, work, merged):
            directory.mkdir()
        options = f'lowerdir={lower},upperdir={upper},workdir={work}'
        with storage.mounted(merged, '-t', 'overlay', 'overlay',
                             '-o', options):
            yield Home(merged, disk, pages_in=upper)


def sftp_server():
    for path in SFTP_SERVERS:
        if os.access(path, os.X_OK):
            return path
    raise NotHere('there is no sftp-server')


@contextlib.contextmanager
def sshfs(args):
    """Without ssh: the command it would run is the server's end itself."""
    storage.need_root()
    storage.need_program('sshfs')
    if not os.path.exists('/dev/fuse'):
        raise NotHere('/dev/fuse is missing')
    with storage.scratch(args) as directory:
        server, there, here = (directory / n for n in ('ssh', 'far', 'near'))
        server.write_text(f'#!/bin/sh\nexec {sftp_server()}\n')
        server.chmod(0o755)
        there.mkdir()
        here.mkdir()
        with storage.mounted(here, '-t', 'fuse.sshfs', '-o',
                             f'ssh_command={server}', f'nobody:{there}'):
            yield Home(here, read_in=there)


# --- what must hold ---

def check_nothing_dirty(result):
    peak = result['cache']['peak_dirty_bytes']
    check(not peak, f'{peak} bytes dirty where none can be')


def run_load(args, home, directory, load, mechanism, bounded):
    name = load['pattern']
    expected = storage.reference(args, directory, **load)
    result = storage.bench(
        args, storage.with_properties(args.sink, PROPERTIES),
        home.directory / name, disk=home.disk,
        look_at=home.look_at(name), **load)
    storage.note(name)
    storage.note_figures(result)
    storage.check_all(
        lambda: storage.check_ended_well(result),
        lambda: check_mechanism(result, mechanism),
        lambda: storage.check_bound(result, WINDOW) if bounded
        else check_nothing_dirty(result),
        lambda: storage.check_same(home.read_in / name, expected))


def check_mechanism(result, expected):
    found = (result['stats'] or {}).get('mechanism')
    check(found == expected, f'mechanism: {found}, not {expected}')


def run(args, place, mechanism, bounded=True):
    with storage.scratch(args) as directory, place as home:
        storage.check_all(*[
            lambda load=load: run_load(args, home, directory, load, mechanism,
                                       bounded) for load in LOADS])


def disk_case(args, fs):
    return fs, lambda: run(args, disk_with(args, fs),
                           f'sync_file_range on {fs}')


def main():
    args = storage.parse('One file system after the other.')
    return storage.run_cases([
        *(disk_case(args, fs) for fs in ('ext4', 'xfs', 'btrfs', 'vfat')),
        ('overlayfs', lambda: run(args, overlayfs(args),
                                  'fadvise and fdatasync on overlayfs')),
        ('tmpfs', lambda: run(args, tmpfs(args), 'sync_file_range on tmpfs',
                              bounded=False)),
        ('sshfs', lambda: run(args, sshfs(args), 'sync_file_range on fuse',
                              bounded=False)),
    ], args.only)


if __name__ == '__main__':
    sys.exit(main())
