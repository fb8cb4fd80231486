#!/usr/bin/env python3
"""wbfilesink storage tests: the space a file takes

SPDX-License-Identifier: LGPL-2.1-or-later

Usage: space.py WBBENCH [CASE...]. Speaks TAP.

Space is reserved ahead of the writes, on small ext4 and xfs disks. What must
hold: the visible size is only ever what was written, also after a crash; no
block is left beyond the end, however the stream ends and however wrong the size
was; a file that is required to fit and does not fails before anything has
happened to what was there; a disk that runs full keeps what it took. wbspace,
which lies beside wbbench, plays the stream and looks at the file by FIEMAP.
"""
import contextlib
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import storage
from storage import MIB, NotHere, check, check_all, note

FILE_SYSTEMS = ('ext4', 'xfs')
DISK = 512 * MIB
QUOTA = 100 * MIB
NOBODY = 65534
# Where the file ends in no block's and no buffer's end.
ODD = 777
# What a full disk keeps for its own: extents, the inode, and xfs's reserve.
OWN = 8 * MIB
OLD = b'old!' * (MIB // 4)


# --- runs ---

def wbspace(args):
    return str(pathlib.Path(args.wbbench).with_name('wbspace'))


def command(args, properties, path, size, end='eos', prefix=(), **options):
    words = [*prefix, wbspace(args), '--sink',
             storage.with_properties(args.sink, properties),
             '--location', str(path), '--bytes', str(size), '--end', end]
    for key, value in options.items():
        words += [f'--{key}', str(value)]
    return words


def play(args, *words, **options):
    """What wbspace says of the one file."""
    result = subprocess.run(command(args, *words, **options), text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            timeout=storage.TIMEOUT)
    check(result.returncode == 0, f'wbspace: {result.stderr.strip()}')
    return json.loads(result.stdout)['files'][0]


def look(args, path):
    return json.loads(subprocess.check_output(
        [wbspace(args), '--look', str(path)], text=True))


def of_kind(result, kind):
    return [m for m in result['messages'] if m['kind'] == kind]


def reserved_bytes(result):
    return max((m['reserved'] for m in of_kind(result, 'preallocate')),
               default=0)


def free_bytes(directory):
    """After the last file's blocks have come back: xfs takes its time."""
    before = -1
    for _ in range(30):
        subprocess.run(['sync', '-f', directory], check=True)
        status = os.statvfs(directory)
        free = status.f_bavail * status.f_frsize
        if free == before:
            break
        before = free
        time.sleep(0.1)
    return free


@contextlib.contextmanager
def file_on(disk, name='file'):
    path = disk / name
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
        free_bytes(disk)


# --- what every file must hold to ---

def check_trimmed(result):
    check(result['beyond'] != -1, 'the file system has no FIEMAP')
    check(result['beyond'] == 0,
          f'{result["beyond"]} bytes of blocks beyond the end')


def check_content(result, size):
    check(result['size'] == size, f'{result["size"]} bytes, not {size}')
    check(result['right'] == result['size'],
          f'only {result["right"]} of {result["size"]} bytes are right')


def check_clean(result, size):
    check(result['eos'], f'no EOS: {result["messages"]}')
    check_all(lambda: check_content(result, size),
              lambda: check_trimmed(result))


def check_no_space(result):
    errors = of_kind(result, 'error')
    check(errors, 'no ERROR')
    check(errors[0]['no_space'], f'not NO_SPACE_LEFT: {errors[0]["text"]}')
    check(not result['eos'], 'a clean EOS')
    note(errors[0]['text'])


def check_old(path):
    check(path.read_bytes() == OLD, 'the old file has changed')


def check_free_again(disk, before):
    after = free_bytes(disk)
    check(abs(after - before) < MIB, f'{before} bytes free, then {after}')


# --- cases ---

def ends(args, disk, end, size, properties, must_reserve=True):
    """However it ends, nothing is left beyond the end."""
    with file_on(disk) as path:
        result = play(args, properties, path, size, end)
    check(reserved_bytes(result) > 0 or not must_reserve,
          f'nothing was reserved: {result["messages"]}')
    expected = {'error': size // 4 * 3, 'flush': 0}.get(end, size)
    check_all(lambda: check_content(result, expected),
              lambda: check_trimmed(result))


def every_end(args, disk, *words):
    check_all(*(lambda end=end: ends(args, disk, end, *words)
                for end in ('eos', 'stop', 'error', 'flush')))


def too_small(args, disk, **size):
    """Required and not there: nothing has happened."""
    before = free_bytes(disk)
    wanted = before + 100 * MIB
    properties = 'preallocate=require'
    if 'segment' in size:
        size = {'segment': wanted}
    else:
        properties += f' size-hint={wanted}'
    with file_on(disk) as path:
        result = play(args, properties, path, MIB, **size)
        check_no_space(result)
        check(not path.exists(), 'a new file was left')
    with file_on(disk) as path, file_on(disk, 'link') as link:
        link.symlink_to(path)
        check_no_space(play(args, properties, link, MIB, **size))
        check(link.is_symlink(), 'the link is gone')
        check(not path.exists(), 'what a link leads to was left')
    with file_on(disk) as path:
        path.write_bytes(OLD)
        result = play(args, properties, path, MIB, **size)
        check_all(lambda: check_no_space(result), lambda: check_old(path),
                  lambda: check_trimmed(look(args, path)))
    check_free_again(disk, before)


def punch_holes(file, size, step):
    """Frees every other step of it. Python has no fallocate(2) for this."""
    call = ctypes.CDLL(None, use_errno=True).fallocate64
    call.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64,
                     ctypes.c_int64]
    for offset in range(0, size, 2 * step):
        if call(file.fileno(), 3, offset, step) != 0:
            raise NotHere(f'no holes: {os.strerror(ctypes.get_errno())}')


def almost(args, disk):
    """Found out by fallocate only: in so many pieces, the extent tree needs
    blocks as well, and ext4 keeps what it had allocated when it fails."""
    source = subprocess.check_output(['findmnt', '-no', 'SOURCE', disk],
                                     text=True).strip()
    if subprocess.run(['tune2fs', '-m', '0', source],
                      stdout=subprocess.DEVNULL).returncode != 0:
        raise NotHere('blocks stay reserved for root')
    with file_on(disk, 'holes') as holes, file_on(disk) as path:
        with open(holes, 'wb') as file:
            # What is left is less than a step: the first one fails.
            os.posix_fallocate(file.fileno(), 0, free_bytes(disk) - 64 * MIB)
            punch_holes(file, 64 * MIB, 4096)
        path.write_bytes(OLD)
        before = free_bytes(disk)
        result = play(
            args, f'preallocate=require size-hint={before + MIB}', path, MIB)
        check_all(lambda: check_no_space(result), lambda: check_old(path),
                  lambda: check_trimmed(look(args, path)))
        check_free_again(disk, before)


def replaced(args, disk):
    """The blocks of the file that is replaced count as free."""
    size = free_bytes(disk) * 6 // 10 // MIB * MIB
    with file_on(disk) as path:
        check_clean(play(args, 'preallocate=none', path, size), size)
        check(free_bytes(disk) < size, 'the disk is too large for this')
        result = play(args, f'preallocate=require size-hint={size}', path, size)
        check_clean(result, size)
        check(reserved_bytes(result) > 0, 'nothing was reserved')


def shared(args, disk):
    """Blocks that the old file shares with another one do not come free."""
    size = free_bytes(disk) * 6 // 10 // MIB * MIB
    with file_on(disk) as path, file_on(disk, 'copy') as copy:
        check_clean(play(args, 'preallocate=none', path, size), size)
        if subprocess.run(['cp', '--reflink=always', path, copy],
                          stderr=subprocess.DEVNULL).returncode != 0:
            raise NotHere('the file system has no reflinks')
        result = play(args, f'preallocate=require size-hint={size}', path, size)
        check_no_space(result)
        check_content(look(args, path), size)


def runs_out(args, disk, properties, warnings):
    """What was taken before the end of the disk is there."""
    free = free_bytes(disk)
    size = free + 100 * MIB + ODD
    with file_on(disk) as path:
        result = play(args, properties.format(size=size), path, size)
    check_no_space(result)
    text = of_kind(result, 'error')[0]['text']
    offset = re.search(r'offset (\d+)', text)
    warned = [m for m in of_kind(result, 'warning') if m['no_space']]
    check(offset is not None, f'no offset: {text}')
    check_all(
        lambda: check(len(warned) == warnings, f'{len(warned)} warnings'),
        lambda: check(int(offset[1]) == result['size'],
                      f'at {offset[1]}, the file has {result["size"]}'),
        lambda: check_content(result, result['size']),
        lambda: check(result['size'] > free - OWN,
                      f'{result["size"]} bytes, of {free} that were free'),
        lambda: check(not any(m['result'] == 'durable'
                              for m in of_kind(result, 'sync')),
                      'the sync said durable'),
        lambda: check_trimmed(result))


def wait_for_line(child, expected):
    line = child.stdout.readline().strip()
    check(line == expected, f'wbspace said {line!r}')


def wait_for_size(path, size):
    for _ in range(500):
        if path.exists() and path.stat().st_size >= size:
            return
        time.sleep(0.01)
    check(False, f'{path} never had {size} bytes')


def crash(args, disk, at_end):
    """Killed, a process leaves blocks that nobody sees."""
    size, hint = 48 * MIB + ODD, 300 * MIB
    with file_on(disk) as path:
        child = subprocess.Popen(
            command(args, f'size-hint={hint}', path, size, 'hang',
                    rate=0 if at_end else 40), text=True,
            stdout=subprocess.PIPE)
        try:
            if at_end:
                wait_for_line(child, 'pushed')
            wait_for_size(path, size if at_end else size // 4)
        finally:
            child.send_signal(signal.SIGKILL)
            child.communicate()
        result = look(args, path)
    note(f'{result["size"]} bytes written, {result["beyond"]} reserved beyond')
    if at_end:
        check_content(result, size)
    else:
        check(result['size'] < size, 'it had ended')
        check_content(result, result['size'])
    check(result['beyond'] > 0, 'nothing was reserved: this proves nothing')


def split(sink, directory):
    """splitmuxsink of GStreamer 1.22 now and then never says EOS, though all
    fragments are closed, with filesink as well: then it is tried again."""
    for _ in range(6):
        try:
            return subprocess.run(
                ['gst-launch-1.0', '-m', 'videotestsrc', 'num-buffers=90',
                 '!', 'video/x-raw,format=I420,width=640,height=480,'
                 'framerate=30/1', '!', 'splitmuxsink', 'muxer=matroskamux',
                 f'sink="{sink}"', 'max-size-time=1000000000',
                 f'location={directory}/part-%03d'],
                text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                timeout=15)
        except subprocess.TimeoutExpired:
            note('splitmuxsink said no EOS, once more')
            for part in directory.iterdir():
                part.unlink()
    raise storage.Failure('splitmuxsink never said EOS')


def fragments(args, disk):
    """A splitmuxsink's fragments close trimmed, while the next is written."""
    storage.need_program('gst-launch-1.0')
    directory = disk / 'fragments'
    directory.mkdir()
    sink = storage.with_properties(args.sink, 'size-hint=104857600')
    try:
        result = split(sink, directory)
        check(result.returncode == 0, result.stdout[-500:])
        parts = sorted(directory.iterdir())
        looks = [look(args, part) for part in parts]
    finally:
        shutil.rmtree(directory)
        free_bytes(disk)
    reserved = result.stdout.count('result=(string)reserved')
    note(f'{len(parts)} fragments, {reserved} reserved for')
    check(len(parts) >= 3, f'{len(parts)} fragments')
    check(reserved >= len(parts), f'only {reserved} were reserved for')
    check_all(*(lambda one=one: check_trimmed(one) for one in looks))


# --- a quota ---

@contextlib.contextmanager
def disk_with_quota(args, fs):
    """A disk on which nobody may have more than QUOTA bytes: its directory."""
    storage.need_root()
    for name in (f'mkfs.{fs}', 'setquota', 'setpriv'):
        storage.need_program(name)
    make = {'ext4': ['-F', '-O', 'quota'], 'xfs': ['-f']}[fs]
    how = {'ext4': 'usrquota', 'xfs': 'uquota'}[fs]
    with contextlib.ExitStack() as stack:
        below = stack.enter_context(storage.scratch(args))
        image = below / 'image'
        image.touch()
        os.truncate(image, DISK)
        subprocess.run([f'mkfs.{fs}', '-q', *make, image], check=True)
        above = stack.enter_context(storage.scratch(args))
        stack.enter_context(storage.mounted(
            above, '-o', f'loop,{how}', image))
        limit = subprocess.run(
            ['setquota', '-u', str(NOBODY), '0', str(QUOTA // 1024), '0', '0',
             above], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        if limit.returncode != 0:
            raise NotHere(limit.stdout.strip().splitlines()[-1])
        for directory in (below, above):
            directory.chmod(0o755)
        os.chown(above, NOBODY, NOBODY)
        yield above


def within_quota(args, fs):
    """A quota is no space, and what was reserved up to it comes back."""
    nobody = ('setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}',
              '--clear-groups')
    size = 20 * MIB + ODD
    with disk_with_quota(args, fs) as disk:
        with file_on(disk) as path:
            result = play(args, f'size-hint={2 * QUOTA}', path, size,
                          prefix=nobody)
            check_clean(result, size)
        with file_on(disk) as path:
            result = play(args, f'size-hint={2 * QUOTA}', path, 2 * QUOTA,
                          prefix=nobody)
            check_no_space(result)
            check_content(result, result['size'])
            check(result['size'] > QUOTA - OWN, f'{result["size"]} bytes')
            check_trimmed(result)
        with file_on(disk) as path:
            path.write_bytes(OLD)
            os.chown(path, NOBODY, NOBODY)
            result = play(
                args, f'preallocate=require size-hint={2 * QUOTA}', path, size,
                prefix=nobody)
            check_no_space(result)
            check_old(path)
            check_trimmed(look(args, path))


def not_counted(args):
    """A tmpfs without a bound counts neither its blocks nor what is free."""
    with storage.scratch(args) as directory, \
            storage.mounted(directory, '-t', 'tmpfs', '-o', 'size=0', 'tmpfs'):
        for properties in ('size-hint=4194304',
                           'preallocate=require size-hint=4194304'):
            result = play(args, properties, directory / 'file', 4 * MIB)
            check(result['eos'] and not of_kind(result, 'warning'),
                  f'{properties}: {result["messages"]}')
            check_content(result, 4 * MIB)


def cases_on(args, fs, disk):
    much = 'size-hint=419430400'
    return [
        ('every block given back',
         lambda: every_end(args, disk, 40 * MIB + ODD, much)),
        # xfs is left alone then.
        *([('also when nothing was known',
            lambda: every_end(args, disk, 40 * MIB + ODD, ''))]
          if fs == 'ext4' else []),
        ('also when there was more than was said',
         lambda: every_end(args, disk, 10 * MIB + ODD, 'size-hint=4194304')),
        ('also when the space was required',
         lambda: every_end(args, disk, 10 * MIB + ODD,
                           'preallocate=require size-hint=209715200')),
        ('also when not a byte came',
         lambda: ends(args, disk, 'stop', 0,
                      'preallocate=require size-hint=209715200')),
        ('required by size-hint, and not there',
         lambda: too_small(args, disk)),
        ('required by a segment, and not there',
         lambda: too_small(args, disk, segment=True)),
        *([('required, and not quite there', lambda: almost(args, disk))]
          if fs == 'ext4' else []),
        ('the old blocks count as free', lambda: replaced(args, disk)),
        ('but not shared ones', lambda: shared(args, disk)),
        ('runs out, as was to be expected',
         lambda: runs_out(args, disk, 'size-hint={size}', 1)),
        ('runs out, unexpectedly', lambda: runs_out(args, disk, '', 0)),
        ('killed in mid-stream', lambda: crash(args, disk, at_end=False)),
        ('killed before the end', lambda: crash(args, disk, at_end=True)),
        ('fragments', lambda: fragments(args, disk)),
        ('a quota', lambda: within_quota(args, fs)),
    ]


def main():
    args = storage.parse('The space a file takes, on small disks.')
    try:
        with contextlib.ExitStack() as stack:
            cases = []
            for fs in FILE_SYSTEMS:
                disk = stack.enter_context(
                    storage.throttled_disk(args, 0, fs, size=str(DISK)))
                cases += [(f'{fs}: {name}', function) for name, function
                          in cases_on(args, fs, disk.directory)]
            cases.append(('tmpfs: free space that nobody counts',
                          lambda: not_counted(args)))
            return storage.run_cases(cases, args.only)
    except NotHere as reason:
        return storage.skip_all(reason)


if __name__ == '__main__':
    sys.exit(main())
