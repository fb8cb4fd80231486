"""wbfilesink storage tests: what they share

SPDX-License-Identifier: LGPL-2.1-or-later

Problem: whether a bound on dirty bytes holds is decided by a disk that is
slower than the source, and by what the kernel, not the element, counts.

Strategy: wbbench plays a muxer's load into the element on a throttled loop
device and looks at the page cache and at the device's counters meanwhile;
filesink gets the same load, byte for byte, on the machine's own disk, and the
files are compared. Only bytes and counts are asserted, never times.

Layout: TAP; places; runs; what every run must hold to.
"""
import argparse
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent
                       / 'bench'))
from benchdrive import ModelDisk, NotHere, ThrottledDisk, drive  # noqa: E402

MIB = 1 << 20
BATCH = MIB
# A run that has not ended by then has locked up.
TIMEOUT = 90
LONG = bool(os.environ.get('WB_LONG'))


# --- TAP ---

class Failure(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Failure(text)


def wait_until(condition, what, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < deadline, f'not within {seconds} s: {what}')
        time.sleep(0.1)


def check_all(*checks):
    """Calls each, so that one failure does not hide the next."""
    failures = []
    for one in checks:
        try:
            one()
        except Failure as failure:
            failures.append(str(failure))
    check(not failures, '\n'.join(failures))


def note(text):
    for line in str(text).splitlines():
        print(f'# {line}', flush=True)


def attempt(function):
    """What TAP says of one case: 'ok' or not, and a remark."""
    try:
        function()
    except NotHere as reason:
        return 'ok', f' # SKIP {reason}'
    except Failure as failure:
        note(failure)
        return 'not ok', ''
    except Exception:
        note(traceback.format_exc())
        return 'not ok', ''
    return 'ok', ''


def run_cases(cases, only=()):
    """cases: (name, function). Returns the exit status."""
    cases = [c for c in cases if not only or c[0] in only]
    failed = 0
    print(f'1..{len(cases)}', flush=True)
    for number, (name, function) in enumerate(cases, 1):
        verdict, remark = attempt(function)
        failed += verdict != 'ok'
        print(f'{verdict} {number} - {name}{remark}', flush=True)
    return 1 if failed else 0


def skip_all(reason):
    note(reason)
    print(f'1..0 # SKIP {reason}', flush=True)
    return 0


def parse(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('wbbench')
    parser.add_argument('only', nargs='*', metavar='CASE')
    parser.add_argument('--sink', default='wbfilesink', help='to see the '
                        'tests fail: "wbfilesink writeback=none", filesink')
    parser.add_argument('--where', default=os.environ.get('TMPDIR',
                                                          '/var/tmp'),
                        help='where disk images and other files go')
    # As an exception, so that what was set up is taken down.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    args = parser.parse_args()
    if not os.access(args.wbbench, os.X_OK):
        parser.error(f'{args.wbbench} is not a program')
    return args


# --- places ---

def need_root():
    if os.geteuid() != 0:
        raise NotHere('loop devices and mounts need root')


def need_program(name):
    if shutil.which(name) is None:
        raise NotHere(f'{name} is missing')


def words_of(path):
    return [line.split() for line in pathlib.Path(path).read_text()
            .splitlines()]


def loop_is_in_use(device):
    return pathlib.Path(f'/sys/dev/block/{device}/loop/backing_file').exists()


@contextlib.contextmanager
def closing(disk):
    """And nothing is left of it."""
    try:
        yield disk
    finally:
        disk.close()
    check(str(disk.directory) not in (w[1] for w in words_of('/proc/mounts')),
          f'{disk.directory} is still mounted')
    # The kernel detaches it when the last one has let go of it, not at once.
    wait_until(lambda: not loop_is_in_use(disk.device),
               f'loop device {disk.device} has gone')


@contextlib.contextmanager
def throttled_disk(args, mb_s, fs='ext4', size='2G'):
    need_root()
    with closing(ThrottledDisk(fs, size, mb_s, args.where)) as disk:
        yield disk


@contextlib.contextmanager
def model_disk(args, kind, words=()):
    """What is written to it in one go is not kept: it is for counting."""
    need_root()
    wbmodel = pathlib.Path(args.wbbench).with_name('wbmodel')
    if not wbmodel.exists():
        raise NotHere("wbmodel is not built (it needs libfuse3's headers)")
    with closing(ModelDisk(kind, args.where, words=words,
                           wbmodel=wbmodel)) as disk:
        yield disk


@contextlib.contextmanager
def mounted(directory, *words):
    """mount WORDS... DIRECTORY, and unmount it again."""
    result = subprocess.run(['mount', *words, directory], text=True,
                            stderr=subprocess.PIPE)
    if result.returncode != 0:
        raise NotHere(result.stderr.strip().splitlines()[0])
    try:
        yield directory
    finally:
        subprocess.run(['umount', directory], check=True)


@contextlib.contextmanager
def scratch(args):
    with tempfile.TemporaryDirectory(dir=args.where,
                                     prefix='wbstorage.') as directory:
        yield pathlib.Path(directory)


# --- runs ---

def run_on_throttled_disk(description, mb_s, cases, run):
    """All of a program: run(args, case, disk, directory) for each of the cases,
    which have names, on one disk. Returns the exit status."""
    args = parse(description)
    try:
        with throttled_disk(args, mb_s, size='4G') as disk, \
                scratch(args) as directory:
            return run_cases([(case.name, lambda case=case:
                               run(args, case, disk, directory))
                              for case in cases], args.only)
    except NotHere as reason:
        return skip_all(reason)


def with_properties(sink, properties):
    """For other sinks than ours, the properties are left out."""
    return f'{sink} {properties}' if sink.startswith('wbfilesink') else sink


def bench(args, sink, location, disk=None, timeout=TIMEOUT, on_line=None,
          **options):
    """One run of wbbench: its result. disk: where location is, if it is a
    throttled one. Options: patch_every='2M', keep=True."""
    command = [args.wbbench, '--sink', sink, '--location', str(location),
               '--stamp', '--keep']
    groups = []
    if disk is not None:
        command += ['--device', disk.device]
        # With version 2 of control groups only what runs there is throttled.
        groups = [f'{disk.group}/cgroup.procs'] if disk.group else []
    for key, value in options.items():
        if value is None:
            continue
        command.append('--' + key.replace('_', '-'))
        if value is not True:
            command.append(str(value))
    result = drive(command, groups, on_line, timeout)
    check('cache' in result, f'no result of wbbench: {result["error"]}')
    return result


def forget_cache(path):
    """What is compared is what the disk has."""
    with open(path, 'rb') as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def check_same(path, expected):
    forget_cache(path)
    result = subprocess.run(['cmp', path, expected], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    check(result.returncode == 0, result.stdout.strip())


def reference(args, directory, **load):
    """The file that filesink makes of the load."""
    path = directory / ('reference-%d' if load.get('sinks') else 'reference')
    result = bench(args, 'filesink', path, **load, sample=0)
    check(result['ok'], f'filesink: {result["error"]}')
    return path


# --- what every run must hold to ---

def check_ended_well(result, sync='durable', degraded=0):
    check(result['ok'], f'wbbench: {result["error"]}')
    check(result['messages']['degraded'] == degraded,
          f'degraded {result["messages"]["degraded"]} times')
    check(result['process']['threads_left'] == 0, 'threads are left')
    check(result['messages']['sync_result'] == sync,
          f'the sync said {result["messages"]["sync_result"]}')
    for stats in result['all_stats']:
        check(stats is not None, 'the element has no writeback-stats')
        check(stats['error'] == '', stats['error'])
        check(stats['dirty-bytes'] == 0,
              f'{stats["dirty-bytes"]} dirty at the end')
        check(stats['chunks-started'] == stats['chunks-retired'],
              f'{stats["chunks-started"]} chunks started, '
              f'{stats["chunks-retired"]} retired')


def check_bound(result, window):
    """A batch on top of the window, nothing else: cachestat counts a dirty
    folio in full, but batches end where folios do, and its walk over so few
    folios takes microseconds."""
    peak = result['cache']['peak_dirty_bytes']
    if peak is None:
        note('the kernel has no cachestat(2): the bound was not looked at')
        return
    check(result['cache']['samples'] >= 5,
          f'{result["cache"]["samples"]} samples say nothing')
    check(peak <= window + BATCH,
          f'{peak} bytes dirty, {window} + {BATCH} allowed')


def check_device(result, written, read):
    device = result['device']
    check(device is not None, 'the device has no counters')
    check(device['written_bytes'] <= written,
          f'{device["written_bytes"]} bytes written to the device, '
          f'{written} allowed')
    check(device['read_bytes'] <= read,
          f'{device["read_bytes"]} bytes read from the device, {read} allowed')


def check_left(result):
    """Less than a batch stays in the cache."""
    left = result['cache']['left_bytes']
    check(left is None or left < BATCH, f'{left} bytes left in the cache')


def megabytes(value):
    return '-' if value is None else f'{value / 1e6:.2f} MB'


def note_figures(result):
    cache, device = result['cache'], result['device']
    stats = result['stats']
    note(f'file {megabytes(result["file_bytes"])}, '
         f'pushed {megabytes(result["bytes_written"])}, '
         f'{result["mb_s_durable"]:.0f} MB/s to durable')
    note(f'peak dirty {megabytes(cache["peak_dirty_bytes"])} in '
         f'{cache["samples"]} samples, cache left '
         f'{megabytes(cache["left_bytes"])}')
    if device is not None:
        note(f'device: written {device["written_bytes"]} '
             f'({device["amplification"]:.4f} of the file), '
             f'read {device["read_bytes"]}')
    if stats:
        note(f'patches {stats["back-patches"]} '
             f'({stats["late-back-patches"]} late), '
             f'chunks {stats["chunks-started"]}/{stats["chunks-retired"]}, '
             f'sync {result["messages"]["sync_result"]}, '
             f'{stats["mechanism"]}')
