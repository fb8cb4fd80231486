#!/usr/bin/env python3
"""wbfilesink documentation tests: the guide's pipelines

SPDX-License-Identifier: LGPL-2.1-or-later

Usage: guide.py GUIDE WBREMUX [CASE...]. Speaks TAP.

Problem: a pipeline on a page that nobody runs is wrong one day.

Strategy: every ```sh block of the guide is run by bash in an empty folder that
has movie.m2ts in it, for some seconds. It must end well, each file must have
been synced with the result that the guide promises, be as large as was said,
and nothing may have been warned of. A comment before the block says what is
different in the test:

    <!-- test: WORD... -->
    on=FS[:MB/S]     run on such a file system: a loop device, sshfs, tmpfs,
                     gluster (in name spaces of its own)
    result=RESULT    of wbfilesink-sync, instead of "durable"
    files=N          at least so many files were synced
    OLD=>NEW         changes the block, so that it is over sooner
    instead of ...   what needs hardware that a test has not: runs on a file

Where a file system cannot be had, the block runs on ext4 at the same rate, or in
a plain folder, and says so.

Layout: the page; places; runs; the cases.
"""
import argparse
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent
                       / 'storage'))
import answer  # noqa: E402
import filesystems  # noqa: E402
import gluster  # noqa: E402
import storage  # noqa: E402
from storage import NotHere, check, note  # noqa: E402

LIVE_BUFFERS = 75
TIMEOUT = 120
SAMPLE = '''ffmpeg -nostdin -loglevel error
  -f lavfi -i testsrc2=size=640x360:rate=25:duration=4,noise=alls=30:allf=t
  -f lavfi -i sine=frequency=440:sample_rate=48000:duration=4
  -c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p -b:v 10M -c:a ac3
  -mpegts_m2ts_mode 1 -f mpegts'''


# --- the page ---

class Block:
    def __init__(self, name, directive, text):
        self.name, self.text = name, text
        self.where = self.instead = None
        self.result, self.files = 'durable', 1
        if directive.startswith('instead of '):
            self.instead = directive
            return
        for word in directive.split():
            self.take(word)

    def take(self, word):
        if '=>' in word:
            old, new = word.split('=>')
            check(old in self.text, f'the block has no {old}')
            self.text = self.text.replace(old, new)
        elif word.startswith('on='):
            self.where = word[3:]
        elif word.startswith('result='):
            self.result = word[7:]
        elif word.startswith('files='):
            self.files = int(word[6:])
        else:
            raise ValueError(f'what is "{word}"?')

    def script(self):
        """Sources that never end, end."""
        return re.sub(r'\bvideotestsrc\b(?! num-buffers)',
                      f'videotestsrc num-buffers={LIVE_BUFFERS}', self.text)


def read_blocks(path):
    blocks, counts, heading = [], {}, ''
    pattern = re.compile(r'^#+ (?P<heading>[^\n]*)$|'
                         r'^(?:<!-- test: (?P<directive>[^\n]*) -->\n)?'
                         r'```sh\n(?P<text>.*?)^```$', re.M | re.S)
    for match in pattern.finditer(pathlib.Path(path).read_text()):
        if match['heading'] is not None:
            heading = match['heading']
            continue
        counts[heading] = counts.get(heading, 0) + 1
        blocks.append(Block(f'{heading} {counts[heading]}',
                            match['directive'] or '', match['text']))
    return blocks


# --- places ---

@contextlib.contextmanager
def throttled(args, fs, mb_s):
    with storage.throttled_disk(args, mb_s, fs=fs, size='4G') as disk:
        yield disk.directory


@contextlib.contextmanager
def home_of(context):
    with context as home:
        yield home.directory


@contextlib.contextmanager
def gluster_volume(args):
    if args.inside is None:
        raise NotHere('there is no place apart for its daemon')
    daemon, volume = args.inside / 'glusterd', args.inside / 'films'
    daemon.mkdir()
    volume.mkdir()
    answer.bring_up_loopback()
    gluster.Glusterd(daemon)
    servers = gluster.Gluster(volume, 'replica', '2')
    try:
        yield servers.directory
    finally:
        servers.close()


def place_for(args, where):
    name, _, rate = where.partition(':')
    if name == 'gluster':
        return gluster_volume(args)
    if name in ('sshfs', 'tmpfs'):
        return home_of(getattr(filesystems, name)(args))
    return throttled(args, name, int(rate or 0))


def candidates(where):
    """What is asked for, and what is next to it."""
    return [where, 'ext4:' + where.partition(':')[2]] if where else []


@contextlib.contextmanager
def place(args, block):
    """Somewhere to run the block."""
    if block.instead is not None:
        note(block.instead)
    with contextlib.ExitStack() as stack:
        for where in candidates(block.where):
            try:
                directory = stack.enter_context(place_for(args, where))
            except NotHere as reason:
                note(f'not on {where}: {reason}')
            else:
                break
        else:
            directory = stack.enter_context(storage.scratch(args))
        yield pathlib.Path(directory)


# --- runs ---

def make_sample(args, directory):
    storage.need_program('ffmpeg')
    path = directory / 'movie.m2ts'
    made = subprocess.run([*SAMPLE.split(), path], text=True,
                          stderr=subprocess.PIPE)
    if made.returncode != 0:
        raise NotHere(f'this ffmpeg cannot make the input: {made.stderr}')
    return path


def run_script(args, block, directory, log):
    environment = dict(os.environ, GST_DEBUG_NO_COLOR='1',
                       GST_DEBUG='wbfilesink:4', GST_DEBUG_FILE=str(log))
    environment['PATH'] = (f'{os.path.dirname(args.wbremux)}:'
                           + environment['PATH'])
    # A block that sets its own debug level writes to the same file.
    return subprocess.run(
        ['bash', '-e', '-o', 'pipefail', '-c', block.script()],
        cwd=directory, env=environment, timeout=TIMEOUT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def synced_files(log):
    """name, result, bytes of each file that was closed, in order"""
    found = re.findall(r'sync of "(.*)": (\w+), (\d+) bytes', log)
    return [(name, result, int(size)) for name, result, size in found]


def check_file(directory, name, size):
    if name.startswith('/dev/'):
        return
    whole = directory / name.removesuffix('.part')
    check(whole.is_file(), f'{name} is not there')
    check(whole.stat().st_size == size,
          f'{name} has {whole.stat().st_size} bytes, not {size}')


def check_log(block, directory, log):
    warnings = [line for line in log.splitlines()
                if re.search(r'\b(WARN|ERROR)\b', line)]
    check(not warnings, '\n'.join(warnings))
    synced = synced_files(log)
    check('wbfilesink' not in block.text or synced or 'inspect' in block.text,
          'nothing was synced')
    if synced:
        check(len({name for name, _, _ in synced}) >= block.files,
              f'{len(synced)} files, {block.files} expected')
    for name, result, size in synced:
        check(result == block.result, f'{name}: {result}')
    for name, size in {name: size for name, _, size in synced}.items():
        check_file(directory, name, size)


def run_block(args, block, sample):
    with place(args, block) as directory, storage.scratch(args) as logs:
        shutil.copy(sample, directory / 'movie.m2ts')
        log = logs / 'log'
        result = run_script(args, block, directory, log)
        check(result.returncode == 0,
              f'exit status {result.returncode}\n{result.stdout[-2000:]}')
        check_log(block, directory, log.read_text() if log.exists() else '')


def run_apart(args, block):
    """In name spaces of its own, by another process."""
    answer.need_spaces()
    storage.need_program('glusterd')
    with storage.scratch(args) as folder:
        result = subprocess.run(
            [*answer.SPACES, sys.executable, __file__, args.guide, args.wbremux,
             block.name, answer.INSIDE, folder], timeout=TIMEOUT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    check(result.returncode == 0, result.stdout[-2000:])


def run(args, block, sample):
    if block.where == 'gluster' and args.inside is None:
        with contextlib.suppress(NotHere):
            return run_apart(args, block)
    return run_block(args, block, sample)


# --- the cases ---

def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('guide')
    parser.add_argument('wbremux')
    parser.add_argument('only', nargs='*')
    parser.add_argument('--where',
                        default=os.environ.get('TMPDIR', '/var/tmp'))
    parser.add_argument(answer.INSIDE, type=pathlib.Path,
                        help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.wbremux = os.path.abspath(args.wbremux)
    if shutil.which('gst-launch-1.0') is None:
        return storage.skip_all('gst-launch-1.0 is missing')
    blocks = read_blocks(args.guide)
    with storage.scratch(args) as directory:
        try:
            sample = make_sample(args, directory)
        except NotHere as reason:
            return storage.skip_all(reason)
        return storage.run_cases(
            [(block.name, lambda block=block: run(args, block, sample))
             for block in blocks], args.only)


if __name__ == '__main__':
    sys.exit(main())
