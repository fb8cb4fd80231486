#!/usr/bin/env python3
"""wbfilesink documentation tests: the examples

SPDX-License-Identifier: LGPL-2.1-or-later

Usage: examples.py EXAMPLES-FOLDER C-RECORDER [CASE...]. Speaks TAP.

Both recorders as a user runs them: several pieces, ended by each signal; every
piece that was reported durable is there, can be read, and no frame is missing
between them; what is not durable, or fails, is loud. The unit is verified by
systemd, and its time limit against the element's.
"""
import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent
                       / 'storage'))
import storage  # noqa: E402
from storage import Failure, NotHere, check, note  # noqa: E402

TIMEOUT = 60
# As many frames as come, and no more. At their own pace: with a source that is
# faster, splitmuxsink of GStreamer 1.22 with async-finalize does not always end
# (4 of 12 runs with filesink in it).
FRAMES = 150
COUNTED = (f'videotestsrc is-live=true num-buffers={FRAMES} ! video/x-raw,width=320,'
           'height=240,framerate=25/1 ! x264enc tune=zerolatency '
           'speed-preset=superfast key-int-max=25 ! h264parse')


class Run:
    """A recorder in a folder of its own."""

    def __init__(self, program, directory, *words):
        self.child = subprocess.Popen(
            [*program, *words], cwd=directory, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.lines = []
        # One that hangs ends, and is found out by its exit status.
        self.alarm = threading.Timer(TIMEOUT, self.child.kill)
        self.alarm.start()

    def wait_for_durable(self, pieces):
        """Until so many have been reported."""
        while len(self.durable()) < pieces:
            line = self.child.stdout.readline()
            if not line:
                raise Failure(f'it ended: {self.finish()}')
            self.lines.append(line.rstrip())

    def finish(self):
        """exit status, what it complained of"""
        out, complaints = self.child.communicate()
        self.alarm.cancel()
        self.lines += out.splitlines()
        return self.child.returncode, complaints

    def durable(self):
        return [line.split(':')[0] for line in self.lines
                if ', durable ' in line]


def frames(path):
    storage.need_program('ffprobe')
    result = subprocess.run(
        ['ffprobe', '-v', 'error', '-count_packets', '-select_streams', 'v',
         '-show_entries', 'stream=nb_read_packets', '-of', 'csv=p=0', path],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    check(result.stdout.strip().isdigit(), f'{path}: {result.stdout}')
    return int(result.stdout)


def check_pieces(run, directory):
    """All that there is was reported, once, and can be read."""
    there = sorted(path.name for path in directory.iterdir())
    check(sorted(run.durable()) == there,
          f'durable: {run.durable()}, there: {there}')
    return sum(frames(directory / name) for name in there)


# --- the cases: each with a recorder and an empty folder ---

def every_frame(program, directory):
    run = Run(program, directory, '--seconds', '1', '--source', COUNTED,
              'cam-%02d.mkv')
    status, complaints = run.finish()
    check(status == 0, f'exit status {status}: {complaints}')
    check(complaints == '', complaints)
    count = check_pieces(run, directory)
    check(count == FRAMES, f'{count} of {FRAMES} frames')
    check(len(run.durable()) >= 5, f'only {len(run.durable())} pieces')


def ended_by(number, program, directory):
    # The first piece is durable when the second has begun.
    run = Run(program, directory, '--seconds', '1', 'cam-%02d.mkv')
    run.wait_for_durable(1)
    run.child.send_signal(number)
    status, complaints = run.finish()
    check(status == 0, f'exit status {status}: {complaints}')
    check_pieces(run, directory)
    check(len(run.durable()) >= 2, 'the last piece was not reported')


def interval(program, directory):
    run = Run(program, directory, '--seconds', '60', '--source',
              COUNTED, '--set', 'sync-interval=200000000', 'cam.mkv')
    status, complaints = run.finish()
    check(status == 0, f'exit status {status}: {complaints}')
    check(any(re.search(r' (?!0\.0)[\d.]+ MB durable', line)
              for line in run.lines), '\n'.join(run.lines))


def not_durable(program, directory):
    run = Run(program, directory, '--seconds', '1', '--source', COUNTED,
              '--set', 'sync-on-eos=none', 'cam-%02d.mkv')
    status, complaints = run.finish()
    check(status == 3, f'exit status {status}')
    for path in directory.iterdir():
        check(f'{path.name}: NOT KNOWN TO BE ON THE DISK: skipped'
              in complaints, complaints)


def started_again(program, directory):
    """As the unit does: what is there stays, and a name means a whole file."""
    words = ('--seconds', '1', '--set', 'on-exists=number',
             '--set', 'part-suffix=.part', 'cam-%02d.mkv')
    run = Run(program, directory, *words)
    run.wait_for_durable(2)
    run.child.kill()
    run.finish()
    whole = {path: path.read_bytes() for path in directory.glob('*.mkv')}
    check(len(whole) >= 2, f'{sorted(whole)}')
    check(len(list(directory.glob('*.part'))) >= 1, 'no part was left')
    run = Run(program, directory, *words)
    run.wait_for_durable(2)
    run.child.send_signal(signal.SIGINT)
    status, complaints = run.finish()
    check(status == 0, f'exit status {status}: {complaints}')
    check('cam-00-1.mkv' in run.durable(), f'{run.durable()}')
    for path, content in whole.items():
        check(path.read_bytes() == content, f'{path.name} was written over')
    for path in directory.glob('*.mkv'):
        check(frames(path) > 0, f'{path.name} cannot be read')


def disk_full(program, directory):
    storage.need_root()
    with storage.mounted(directory, '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs'):
        run = Run(program, directory, '--source', COUNTED, 'cam.mkv')
        status, complaints = run.finish()
        check(status == 1, f'exit status {status}')
        check('No space left' in complaints, complaints)
        check(not run.durable(), f'durable: {run.durable()}')


def no_folder(program, directory):
    run = Run(program, directory, 'missing/cam.mkv')
    status, complaints = run.finish()
    check(status == 1, f'exit status {status}')
    check('Could not open file "missing/cam.mkv"' in complaints, complaints)


def no_such_source(program, directory):
    status, complaints = Run(program, directory, '--source', 'nosuchelement',
                             'cam.mkv').finish()
    check(status == 2, f'exit status {status}')
    check('nosuchelement' in complaints, complaints)


CASES = {
    'every frame': every_frame,
    'SIGINT': lambda *a: ended_by(signal.SIGINT, *a),
    'SIGTERM': lambda *a: ended_by(signal.SIGTERM, *a),
    'sync-interval': interval,
    'not durable is loud': not_durable,
    'started again': started_again,
    'a full disk': disk_full,
    'no folder': no_folder,
    'no such source': no_such_source,
}


def run_case(args, program, function):
    with storage.scratch(args) as directory:
        function(program, directory)


def python_recorder(folder):
    """By the Python that has GStreamer, which the shebang names."""
    path = folder / 'recorder.py'
    python = path.read_text().splitlines()[0][2:]
    words = ('import gi; gi.require_version("Gst", "1.0"); '
             'from gi.repository import Gst')
    try:
        probe = subprocess.run([python, '-c', words], stderr=subprocess.PIPE)
    except FileNotFoundError as reason:
        raise NotHere(reason) from reason
    if probe.returncode != 0:
        raise NotHere('python3-gi or gir1.2-gstreamer-1.0 is missing')
    return [path]


def run_in_python(args, function):
    run_case(args, python_recorder(args.folder), function)


# --- the unit ---

def seconds_in(unit, key):
    return int(re.search(rf'^{key}=(\d+)$', unit, re.M).group(1))


def verify_unit(args):
    unit = (args.folder / 'recorder.service').read_text()
    reference = (args.folder.parent / 'properties.md').read_text()
    timeout = re.search(r'\[`sync-timeout`\].*?\((\d+) s\)', reference)
    check(seconds_in(unit, 'TimeoutStopSec') > int(timeout.group(1)),
          'it is killed before the sync has timed out')
    storage.need_program('systemd-analyze')
    with storage.scratch(args) as directory:
        # It looks for the program and the user.
        path, program = directory / 'recorder.service', directory / 'recorder'
        program.symlink_to(args.recorder)
        path.write_text(unit.replace('/usr/local/bin/recorder', str(program))
                        .replace('User=recorder', 'User=root'))
        result = subprocess.run(['systemd-analyze', 'verify', path], text=True,
                                stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)
        if 'Failed to initialize manager' in result.stdout:
            raise NotHere(result.stdout.strip())
        note(result.stdout)
        check(result.returncode == 0 and 'recorder.service' not in
              result.stdout, f'exit status {result.returncode}')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('folder', type=pathlib.Path)
    parser.add_argument('recorder', type=pathlib.Path)
    parser.add_argument('only', nargs='*')
    parser.add_argument('--where',
                        default=os.environ.get('TMPDIR', '/var/tmp'))
    args = parser.parse_args()
    args.folder = args.folder.resolve()
    args.recorder = args.recorder.resolve()
    if shutil.which('gst-inspect-1.0') and subprocess.run(
            ['gst-inspect-1.0', 'x264enc'], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL).returncode != 0:
        return storage.skip_all('x264enc is missing')
    cases = []
    for name, function in CASES.items():
        cases.append((f'C: {name}', lambda f=function: run_case(
            args, [args.recorder], f)))
        cases.append((f'Python: {name}',
                      lambda f=function: run_in_python(args, f)))
    return storage.run_cases([*cases, ('unit', lambda: verify_unit(args))],
                             args.only)


if __name__ == '__main__':
    sys.exit(main())
