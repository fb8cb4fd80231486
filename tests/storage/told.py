"""wbfilesink storage tests: pipelines on a file system that does as told

SPDX-License-Identifier: LGPL-2.1-or-later

wbfuse passes a folder through and answers the Nth call of a kind with an
error, late, or not at all; gst-launch-1.0 is the pipeline, so that what a user
sees (exit status, messages) is what is asserted. All of it runs in name spaces
of its own (answer.py), which take down what hangs.

Layout: the file system; pipelines; what is asserted of them.
"""
import os
import pathlib
import re
import subprocess
import threading

import answer
import storage
from storage import NotHere, check

# Only to catch a hang.
PATIENCE_S = 60


# --- the file system ---

def program(args):
    """wbfuse of the build that wbbench is of."""
    path = pathlib.Path(args.wbbench).parent.parent / 'storage' / 'wbfuse'
    if not path.exists():
        raise NotHere('built without libfuse 3')
    if not os.access('/dev/fuse', os.R_OK | os.W_OK):
        raise NotHere('no /dev/fuse')
    return path


class Fuse:
    """Use it in a `with`. self.directory is the file system, self.below the
    folder that it passes through."""

    def __init__(self, args, folder, cache=False):
        self.below, self.directory = folder / 'below', folder / 'mounted'
        self.below.mkdir()
        self.directory.mkdir()
        options = ['--writeback-cache'] if cache else []
        self.child = subprocess.Popen(
            [program(args), *options, self.below, self.directory],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        check(self.child.stdout.readline() == 'ready\n',
              'wbfuse did not mount')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.stdin.close()
        try:
            self.child.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        subprocess.run(['umount', '--lazy', self.directory],
                       stderr=subprocess.DEVNULL)

    def tell(self, *words):
        self.child.stdin.write(' '.join(str(word) for word in words) + '\n')
        self.child.stdin.flush()
        return self.child.stdout.readline().strip()

    def fail(self, kind, nth, times, code):
        check(self.tell('fail', kind, nth, times, code) == 'ok', 'no plan')

    def hang(self, kind, nth):
        check(self.tell('hang', kind, nth) == 'ok', 'no plan')

    def delay(self, kind, nth, times, ms):
        check(self.tell('delay', kind, nth, times, ms) == 'ok', 'no plan')

    def release(self):
        self.tell('release')

    def reset(self):
        self.tell('reset')

    def hanging(self):
        return int(self.tell('hanging').split()[1])

    def wait_hanging(self):
        storage.wait_until(self.hanging, 'a call that hangs', PATIENCE_S)

    def counts(self):
        return {key: int(value) for key, value in (
            word.split('=') for word in self.tell('counts').split()[1:])}


# --- pipelines ---

class Launch:
    """gst-launch-1.0 with what it said. Use it in a `with`: it is killed at
    the end if it has not ended."""

    def __init__(self, description, prefix=(), stdin=subprocess.DEVNULL,
                 debug='wbfilesink:4'):
        environment = dict(os.environ, GST_DEBUG=debug,
                           GST_DEBUG_NO_COLOR='1', LC_ALL='C.UTF-8')
        self.child = subprocess.Popen(
            [*prefix, 'gst-launch-1.0', '-m', *description.split()],
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, env=environment, errors='replace')
        self.lines = []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()

    def read(self):
        for line in self.child.stdout:
            self.lines.append(line.rstrip('\n'))

    def wait(self, seconds=PATIENCE_S):
        """The exit status, or None: it hangs."""
        try:
            self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        self.reader.join(PATIENCE_S)
        return self.child.returncode

    def wait_stopped(self):
        """Until the pipeline is NULL. The process may have to wait for a
        thread that is stuck in the kernel before it can exit."""
        storage.wait_until(lambda: self.child.poll() is not None
                           or 'Freeing pipeline' in self.text(),
                           'NULL', PATIENCE_S)

    def text(self):
        return '\n'.join(list(self.lines))

    def complaints(self, kind):
        """The texts of the sink's ERRORs or WARNINGs."""
        return re.findall(rf'{kind}: from element [^\n]*FileSink[^\n:]*:'
                          r'[^\n:]*: ([^\n]*)', self.text())

    def errors(self):
        return self.complaints('ERROR')

    def warnings(self):
        return self.complaints('WARNING')

    def results(self):
        return re.findall(r'wbfilesink-sync,.* result=\(string\)(\w+)',
                          self.text())

    def eos(self):
        return 'Got EOS from element "pipeline' in self.text()

    def said(self):
        """For the table."""
        words = [f'exit {self.child.poll()}']
        words += ['EOS'] if self.eos() else []
        words += [f'sync {result}' for result in self.results()]
        words += [f'ERROR "{text}"' for text in self.errors()]
        words += [f'WARNING "{text}"' for text in self.warnings()]
        return ', '.join(words)


def fake_source(size, piece=65536):
    """So many bytes, whole pieces, of a pattern that is not zero."""
    check(size % piece == 0, 'no whole pieces')
    return (f'fakesrc num-buffers={size // piece} sizetype=fixed '
            f'sizemax={piece} filltype=pattern-span')


def pattern(size, piece=65536):
    """What fake_source() makes of it."""
    return bytes(i & 0xff for i in range(256)) * (size // 256)


def run(description, **options):
    """A pipeline that has to end."""
    with Launch(description, **options) as launch:
        check(launch.wait() is not None,
              f'it hangs; it said\n{launch.text()[-2000:]}')
        return launch


# --- what is asserted ---

def numbers(text):
    """What may be a count of bytes in a message."""
    return [int(n) for n in re.findall(r'\b(\d+) bytes', text)]


def check_clean(launch, result='durable'):
    check(launch.child.returncode == 0 and launch.eos()
          and not launch.errors() and not launch.warnings(),
          f'not a clean end: {launch.said()}')
    check(launch.results() == [result], f'not {result}: {launch.said()}')


def check_error(launch, *patterns):
    """One ERROR that has these in its text; no EOS, and no success."""
    check(launch.child.returncode != 0 and len(launch.errors()) == 1
          and not launch.eos(), f'not one ERROR: {launch.said()}')
    check(not set(launch.results()) & {'durable', 'data', 'skipped'},
          f'a good word: {launch.said()}')
    for one in patterns:
        check(re.search(one, launch.errors()[0]),
              f'no {one!r} in: {launch.errors()[0]}')


def main(description, cases):
    """cases(args, folder): (name, function of a new folder)."""
    def inside(args, folder):
        def fresh(function, number):
            def case():
                own = folder / f'case-{number}'
                own.mkdir()
                own.chmod(0o755)
                function(own)
            return case
        folder.chmod(0o755)
        return storage.run_cases(
            [(name, fresh(function, number)) for number, (name, function)
             in enumerate(cases(args))], args.only)
    return answer.run_apart(description, inside)
