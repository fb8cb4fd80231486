#!/usr/bin/env python3
"""wbfilesink storage tests: a disk that all but stops, and comes back

SPDX-License-Identifier: LGPL-2.1-or-later

Usage: degraded.py WBBENCH [CASE...]. Speaks TAP.

In the middle of a stream the disk is throttled to next to nothing. The element
must say that it gives its window up, take what comes all the same, and, once
the disk is itself again, bring the dirty bytes back inside the window, say so,
and keep them there.
"""
import sys
import threading

import storage
from storage import BATCH, MIB, NotHere, check, note

WINDOW = 8 * MIB
QUEUE = 4 * MIB
PROPERTIES = (f'max-dirty-bytes={WINDOW} chunk-size={2 * MIB} '
              f'max-queued-bytes={QUEUE} writeback-timeout=1000000000')
DISK_MB_S = 200
# 64 KiB a second: a MiB takes longer than the test.
STOPPED_MB_S = 0.065536
# Where the disk stops, and where it comes back: between the two is more than
# window and queue could hold.
STOPS_AT = 64 * MIB
BACK_AT = 160 * MIB
RESCUE_S = 30
LOAD = {'bytes': '448M', 'pattern': 'mkv', 'patch_every': '2M',
        'rate': '60'}


class Story:
    """What wbbench says, in order, and what is done about it."""

    def __init__(self, disk):
        self.disk = disk
        self.lines = []

    def hear(self, line):
        self.lines.append(line)
        if line == 'notify':
            stopped = self.lines.count('notify') == 1
            self.disk.rate(STOPPED_MB_S if stopped else DISK_MB_S)


def rows_of(timeline):
    """(seconds, dirty and under write-out, pushed)"""
    for line in timeline.read_text().splitlines():
        if not line.startswith('#'):
            fields = line.split(',')
            yield (float(fields[0]), int(fields[1]) + int(fields[2]),
                   int(fields[6]))


def note_course(timeline):
    """A row each half second."""
    due = 0
    for seconds, dirty, pushed in rows_of(timeline):
        if seconds >= due:
            note(f'{seconds:5.2f} s: {dirty:10} dirty, {pushed:10} pushed')
            due = seconds + 0.5


def check_messages(result, story):
    events = result['messages']['degraded_events']
    for event in events:
        note(f'at {event["s"]:.2f} s: degraded={event["degraded"]}, '
             f'{event["dirty_bytes"]} bytes dirty')
    note(f'in order: {" ".join(story.lines)}')
    check([e['degraded'] for e in events] == [True, False],
          'not one message that the window is given up and one that it holds')
    # The bytes of the second 'notify' came in while it was degraded.
    check(story.lines == ['notify', 'degraded', 'notify', 'recovered'],
          'the disk came back before, or the source was held until then')
    check(events[1]['dirty_bytes'] <= WINDOW,
          f'{events[1]["dirty_bytes"]} bytes dirty at the end of it')
    check(not result['stats']['degraded'], 'the stats still say degraded')


def check_bound_around(result, timeline):
    events = result['messages']['degraded_events']
    check(len(events) == 2, f'{len(events)} messages')
    end = events[1]['s']
    rows = list(rows_of(timeline))
    # On a busy machine the messages come late, and the end of it with the end
    # of the stream: what lies before is told by the bytes, and after it there
    # may be little.
    for name, part in (('before', [r for r in rows if r[2] < STOPS_AT]),
                       ('after', [r for r in rows if r[0] > end])):
        peak = max((dirty for _, dirty, _ in part), default=0)
        note(f'{name}: {len(part)} samples, at most {peak} bytes dirty')
        check(peak <= WINDOW + BATCH, f'{peak} bytes dirty {name} it')
    check(max(r[2] for r in rows if r[0] < end) >= BACK_AT,
          'little was taken while it was degraded')


def degraded_and_back(args, disk, directory):
    path, timeline = disk.directory / 'file', directory / 'timeline'
    story = Story(disk)
    expected = storage.reference(args, directory, **{**LOAD, 'rate': None})
    # So that a run that never gets to BACK_AT ends too.
    rescue = threading.Timer(RESCUE_S, disk.rate, [DISK_MB_S])
    rescue.start()
    try:
        result = storage.bench(
            args, storage.with_properties(args.sink, PROPERTIES), path,
            disk=disk, on_line=story.hear, timeline=timeline,
            notify_at=f'{STOPS_AT},{BACK_AT}', **LOAD)
    finally:
        rescue.cancel()
        rescue.join()
    storage.note_figures(result)
    note_course(timeline)
    storage.check_all(
        lambda: check(result['ok'], f'wbbench: {result["error"]}'),
        lambda: check_messages(result, story),
        lambda: check_bound_around(result, timeline),
        lambda: storage.check_ended_well(result, degraded=1),
        lambda: storage.check_same(path, expected))


def main():
    args = storage.parse('A disk that all but stops, and comes back.')
    try:
        with storage.throttled_disk(args, DISK_MB_S) as disk, \
                storage.scratch(args) as directory:
            return storage.run_cases(
                [('degraded and back',
                  lambda: degraded_and_back(args, disk, directory))],
                args.only)
    except NotHere as reason:
        return storage.skip_all(reason)


if __name__ == '__main__':
    sys.exit(main())
