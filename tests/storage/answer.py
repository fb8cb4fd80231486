"""wbfilesink storage tests: pipelines on storage that stops

SPDX-License-Identifier: LGPL-2.1-or-later

Problem: when storage stops, nobody may wait for a pipeline without a limit,
look at its file, or clean up after it in the ordinary way: each of these can
hang as the pipeline does.

Strategy: a pipeline is a process (wbanswer) that tells what happens and when.
What does not come within a limit is a hang, and is told as one. All of it runs
in name spaces of its own for processes, mounts and the network: daemons find
their usual ports and paths free, nothing of the machine is touched, and when
the last line has been said the kernel takes everything down, whatever state it
is in.

Layout: one pipeline; what ours must hold to; the table of when they answered;
the name spaces.
"""
import fcntl
import os
import pathlib
import re
import socket
import struct
import subprocess
import sys
import threading
import time

import storage
from storage import NotHere, check, note

MIB = 1 << 20
# What has not answered by then hangs, as far as a user is concerned.
HUNG_S = 30 if storage.LONG else 6
# What must come: only to catch a hang.
PATIENCE_S = 60
# What the promise adds to sync-timeout.
GRACE_S = 1
# How a message names the call that hangs.
STALL = re.compile(r': [\w ()]+ at offset \d+ has not returned for \d+\.\d s')


# --- one pipeline ---

def program(args):
    """wbanswer of the build that wbbench is of."""
    return pathlib.Path(args.wbbench).parent.parent / 'storage' / 'wbanswer'


class Pipeline:
    """wbanswer with one sink. Use it in a `with`: it is killed at the end."""

    def __init__(self, args, sink, location, **load):
        self.location = location
        self.own = sink.startswith('wbfilesink')
        self.name = sink.split()[0]
        words = [f'--{key.replace("_", "-")}={value}'
                 for key, value in load.items()]
        self.child = subprocess.Popen(
            [program(args), f'--sink={sink}', f'--location={location}', *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lines = []
        self.gone = False
        self.heard = threading.Condition()
        threading.Thread(target=self.hear, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()

    def hear(self):
        for line in self.child.stdout:
            at, word, rest = (line.strip() + '  ').split(' ', 2)
            with self.heard:
                self.lines.append((float(at), word, rest.strip()))
                self.heard.notify_all()
        with self.heard:
            self.gone = True
            self.heard.notify_all()

    def all(self, *words):
        return [line for line in self.lines if line[1] in words]

    def wait(self, *words, seconds=HUNG_S, number=1):
        """The time at which one of these was said (for the Nth time), or None
        if it was not within so many seconds."""
        with self.heard:
            self.heard.wait_for(
                lambda: self.gone or len(self.all(*words)) >= number, seconds)
            said = self.all(*words)
        return said[number - 1][0] if len(said) >= number else None

    def must(self, *words):
        at = self.wait(*words, seconds=PATIENCE_S)
        check(at is not None, f'{self.name}: no {" or ".join(words)} within '
              f'{PATIENCE_S} s; it said {self.lines}')
        return at

    def ask(self, word):
        self.child.stdin.write(word + '\n')
        self.child.stdin.flush()

    def left(self):
        """The element's threads, and files that are open."""
        number = len(self.all('left')) + 1
        self.ask('left')
        check(self.wait('left', number=number, seconds=PATIENCE_S) is not None,
              'no count')
        return tuple(int(n) for n in self.all('left')[-1][2].split())

    def left_nothing(self):
        deadline = time.monotonic() + PATIENCE_S
        while self.left() != (0, 0):
            check(time.monotonic() < deadline,
                  f'{self.left()} threads and files are left')
            time.sleep(0.1)

    def leave(self):
        """How long the process took to exit, or None: it hangs."""
        began = time.monotonic()
        self.child.stdin.close()
        try:
            self.child.wait(HUNG_S)
        except subprocess.TimeoutExpired:
            return None
        return time.monotonic() - began

    def said(self):
        """For the table: messages, in order, without what they say of it."""
        words = []
        for _, word, rest in self.lines:
            if word in ('warning', 'error', 'degraded', 'recovered'):
                words.append(word.upper() if word[0] in 'we' else word)
            elif word == 'sync':
                words.append(rest)
            elif word == 'eos':
                words.append('EOS')
        return ' '.join(words) or 'nothing'


def stop_all(*pipelines):
    """Asks all of them at once for NULL: how long it took each, or None where
    it hangs."""
    asked = time.monotonic()
    for pipeline in pipelines:
        pipeline.ask('null')
    took = []
    for pipeline in pipelines:
        at = pipeline.wait('null', seconds=asked + HUNG_S - time.monotonic())
        took.append(None if at is None else max(at - asked, 0))
    return took


def same_bytes(path, expected):
    """For the table. The time limit is the watchdog's: cmp may hang too."""
    try:
        result = subprocess.run(['cmp', path, expected], timeout=HUNG_S,
                                stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return 'hangs'
    return 'whole' if result.returncode == 0 else 'not whole'


# --- what ours must hold to ---

def check_answered(pipeline, since, timeout, *words):
    """Within sync-timeout and a second of being asked, or of the stop."""
    at = pipeline.must(*words)
    asked = max([since] + [line[0] for line in pipeline.all('pushed')])
    check(at - asked <= timeout + GRACE_S,
          f'{words[0]} came after {at - asked:.2f} s')


def check_names_the_call(pipeline, kind):
    """One message, a WARNING or an ERROR."""
    found = pipeline.all('warning', 'error')
    check(len(found) == 1 and found[0][1] == kind, f'not one {kind}: {found}')
    check(STALL.search(found[0][2]), f'it names no call: {found[0][2]}')
    note(found[0][2])


def check_null(took, limit):
    check(took is not None, 'NULL hangs')
    check(took <= limit, f'NULL took {took:.2f} s')


def check_sync(pipeline, result):
    found = [line[2] for line in pipeline.all('sync')]
    check(found == [result], f'the sync said {found}')


def check_no_promise(pipeline):
    found = [line[2] for line in pipeline.all('sync')]
    check(len(found) == 1 and found[0] in ('timeout', 'failed'),
          f'the sync said {found}')


def check_error(pipeline):
    check(not pipeline.all('eos'), 'an EOS as well')
    check(len(pipeline.all('error')) == 1, f'{pipeline.all("error")}')


# --- when they answered ---

class Table:
    """A row a pipeline; printed when all have been run."""

    HEAD = ('what happened', 'sink', 'EOS or ERROR after', 'NULL took',
            'said', 'the file')

    def __init__(self):
        self.rows = []

    def add(self, what, pipeline, since, null, file, asked=True):
        """since: when the storage stopped. null: seconds, None if it hung.
        asked: it had an EOS to answer."""
        ended = pipeline.all('eos', 'error', 'refused')
        after = ended[0][0] - since if ended else None
        self.rows.append((what, pipeline.name,
                          self.seconds(after) if asked or ended else '-',
                          self.seconds(null), pipeline.said(), file))

    @staticmethod
    def seconds(value):
        return f'> {HUNG_S} s, hung' if value is None else f'{value:.1f} s'

    def show(self):
        if not self.rows:
            return
        for row in [self.HEAD, ('---',) * len(self.HEAD), *self.rows]:
            note('| ' + ' | '.join(row) + ' |')


# --- name spaces ---

# Whoever is killed, those below go with it.
SPACES = ['setpriv', '--pdeathsig', 'KILL', 'unshare', '--mount', '--net',
          '--pid', '--uts', '--fork', '--kill-child', '--mount-proc']
INSIDE = '--inside'


def bring_up_loopback():
    """`ip link set lo up`, without iproute2."""
    SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack('16sh14x', b'lo', 0)
        request = fcntl.ioctl(any_socket, SIOCGIFFLAGS, request)
        flags = struct.unpack('16sh14x', request)[1] | IFF_UP
        fcntl.ioctl(any_socket, SIOCSIFFLAGS,
                    struct.pack('16sh14x', b'lo', flags))


def need_spaces():
    storage.need_root()
    storage.need_program('unshare')
    storage.need_program('setpriv')
    if subprocess.run([*SPACES, 'true'],
                      stderr=subprocess.DEVNULL).returncode != 0:
        raise NotHere('no name spaces of our own here')
    if not os.access('/dev/fuse', os.R_OK | os.W_OK):
        raise NotHere('no /dev/fuse')


def run_apart(description, cases):
    """main() of a test: calls cases(args, folder) within name spaces of its
    own, and returns the exit status. The folder goes with all that is in it,
    but by way of the file system it lies on: what was mounted has gone."""
    if INSIDE in sys.argv:
        at = sys.argv.index(INSIDE)
        folder = pathlib.Path(sys.argv[at + 1])
        del sys.argv[at:at + 2]
        bring_up_loopback()
        return cases(storage.parse(description), folder)
    args = storage.parse(description)
    try:
        need_spaces()
    except NotHere as reason:
        return storage.skip_all(reason)
    with storage.scratch(args) as folder:
        return subprocess.run(
            [*SPACES, sys.executable, *sys.argv, INSIDE, folder]).returncode
