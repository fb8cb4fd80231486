"""wbfilesink benchmark: places to write to, one run of wbbench, its figures

SPDX-License-Identifier: LGPL-2.1-or-later

What the benchmark's scripts and the storage tests share.
"""
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
SKIP = 77


class NotHere(Exception):
    """What is asked for cannot be had on this machine; says why."""


def find_built(name):
    """What meson has built under that name, in one of the usual places, or
    None."""
    for build in ('build', 'builddir', '_build'):
        file = HERE.parent.parent / build / name
        if file.exists():
            return file
    return None


def use_plugin_of(wbbench):
    """Have it take wbfilesink from its own build."""
    plugin = wbbench.resolve().parent.parent.parent / 'plugin'
    os.environ.setdefault('GST_PLUGIN_PATH', str(plugin))


class Place:
    """A directory on the machine's own disk (or a tmpfs)."""

    device = None
    group = None

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)

    def rate(self, mb_s):
        pass

    def seed(self, number):
        pass

    def settle(self):
        """Let the last file's deletion reach the disk: it is not part of the
        next run."""
        fd = os.open(self.directory, os.O_RDONLY)
        with contextlib.suppress(OSError):
            os.fsync(fd)
        os.close(fd)
        time.sleep(0.5)


class Disk(Place):
    """tests/bench/disk as a child; it takes everything down when its stdin
    ends, however we end."""

    def __init__(self, words, where):
        self.child = subprocess.Popen(
            [HERE / 'disk', *words, '--where', where], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True)
        words = self.child.stdout.readline().split()
        if not words:
            self.give_up()
        super().__init__(words[1])
        self.device = words[2]
        self.group = None if words[3] == '-' else words[3]
        self.stats = pathlib.Path(words[4])

    def give_up(self):
        complaint = self.child.communicate()[1].strip() or 'disk: no reason'
        if self.child.returncode == SKIP:
            raise NotHere(complaint.splitlines()[-1])
        raise RuntimeError(complaint)

    def tell(self, line):
        self.child.stdin.write(line + '\n')
        self.child.stdin.flush()
        self.child.stdout.readline()

    def close(self):
        self.child.stdin.close()
        self.child.wait()


class ThrottledDisk(Disk):
    """One that takes so many MB/s."""

    def __init__(self, fs, size, mb_s, where):
        super().__init__(['--fs', fs, '--size', size, '--rate', str(mb_s)],
                         where)
        self.mb_s = mb_s

    def rate(self, mb_s):
        self.tell(f'rate {mb_s}')

    def settle(self):
        self.rate(0)
        super().settle()
        self.rate(self.mb_s)


class ModelDisk(Disk):
    """One whose requests take the time they would take on such a device.
    words: more for wbmodel, such as --cache=0."""

    def __init__(self, kind, where, fs='ext4', size='64G', words=(),
                 wbmodel=None):
        more = [f'--model-arg={word}' for word in words]
        super().__init__(
            ['--model', kind, '--fs', fs, '--size', size, *more]
            + (['--wbmodel', str(wbmodel)] if wbmodel else []), where)

    @contextlib.contextmanager
    def at_once(self):
        """For what is not part of a run."""
        self.tell('model instant')
        yield
        self.tell('model reset')
        self.tell('model timed')

    def settle(self):
        with self.at_once():
            super().settle()

    def seed(self, number):
        """Where a card stalls, from the next reset on."""
        self.tell(f'model seed {number}')

    def counts(self):
        """Since it settled."""
        return json.loads(self.stats.read_text())


def join_groups(files):
    """For the child, between fork and exec."""
    def join():
        for file in files:
            with open(file, 'w') as stream:
                stream.write('0')
    return join if files else None


def drive(command, groups=(), on_line=None, timeout=None):
    """wbbench's result. Calls on_line with every other line it prints; kills
    it after `timeout` seconds."""
    result = None
    with tempfile.TemporaryFile('w+') as errors:
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True,
            preexec_fn=join_groups(groups))
        alarm = threading.Timer(timeout or 0, child.kill)
        if timeout is not None:
            alarm.start()
        try:
            for line in child.stdout:
                if line.startswith('{'):
                    result = json.loads(line)
                elif on_line is not None:
                    on_line(line.strip())
        except BaseException:
            child.kill()
            raise
        finally:
            child.wait()
            alarm.cancel()
        errors.seek(0)
        complaint = errors.read(2000).strip()
    if result is None:
        return {'ok': False, 'error': complaint or f'exit {child.returncode}'}
    if complaint:
        result['stderr'] = complaint
    return result


# What several processes have in common is their sum; of all else it is the
# worst. A peak of the sum is at most the sum of the peaks.
SUMS = {'bytes_written', 'file_bytes', 'sinks', 'cache', 'live', 'messages',
        'process', 'cpu'}
WORST = {'seconds', 'push_us', 'seek_us', 'device', 'latest_s', 'queue_s',
         'worst_sample_s', 'machine_s'}


def joined(key, values, add):
    """The values of one key; add: whether numbers are added up."""
    first = values[0]
    add = (add or key in SUMS) and key not in WORST
    if any(v is None for v in values) or isinstance(first, (bool, str)):
        return first
    if isinstance(first, dict):
        return {k: joined(k, [v[k] for v in values], add) for k in first}
    if isinstance(first, list):
        return [item for v in values for item in v]
    return sum(values) if add else max(values)


def together(results):
    """Processes that ran at the same time, as if they had been one."""
    for result in results:
        if not result['ok']:
            return result
    result = joined('', results, False)
    seconds, written = result['seconds'], result['bytes_written']
    result['mb_s_durable'] = written / 1e6 / seconds['durable']
    result['mb_s_pushed'] = written / 1e6 / seconds['push']
    result['cpu']['process_s_per_gb'] = (result['cpu']['process_s']
                                         / (written / 1e9))
    # Each of them has counted the whole device.
    if result['device'] is not None:
        result['device']['amplification'] = (
            result['device']['written_bytes'] / result['file_bytes'])
    return result


def value_of(result, path):
    """What a result of wbbench has there, or None."""
    if path == 'extra_memory':
        process = result.get('process')
        return process and (process['rss_peak_bytes']
                            - process['rss_start_bytes'])
    for key in path.split('.'):
        # A histogram of nothing says nothing.
        if result is None or result.get('count') == 0:
            return None
        result = result.get(key)
    return result


def summary(results, path):
    """(median, least, most) of the runs that have it, or None."""
    values = [value_of(r, path) for r in results if r['ok']]
    values = [v for v in values if v is not None]
    if not values:
        return None
    return statistics.median(values), min(values), max(values)


def cell(results, path, show):
    """The same as the cell of a table."""
    found = summary(results, path)
    if found is None:
        return '-'
    middle, least, most = (show(v) for v in found)
    return middle if least == most else f'{middle} ({least} to {most})'
