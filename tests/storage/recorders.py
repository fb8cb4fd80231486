#!/usr/bin/env python3
"""wbfilesink storage tests: live sources on devices where a seek is dear

SPDX-License-Identifier: LGPL-2.1-or-later

Usage: recorders.py WBBENCH [CASE...]. Speaks TAP.

Many recorders share a disk with a head, two share a card that is written in
units of 4 MiB. Each source has a queue of 2 s and does not wait. What counts is
that no picture is lost that filesink does not lose, and what the device was
made to do: bytes between two seeks, units that it had to copy. The devices are
models, so these are counts and not times; on a machine that has no processor
left for the recorders, theirs are lost all the same.
"""
import sys

import storage
from storage import check, note

QUEUE_S = 2
# A head needs 8.9 ms to get there and 4 ms for the platter; in that time the
# model writes 2.3 MB. Pieces smaller than that, and the disk is busier with the
# ways than with the data. filesink makes 4 to 6 MB a seek of the same load.
MB_A_SEEK = 2.3
# Of the card. One is left before it is full when the other file's turn comes, and
# for a journal block; filesink does so too.
UNIT = 4 * 1024 * 1024


class Case:
    """filesink plays the same first; what must hold beside it is judged by
    compare(ours, theirs)."""

    def __init__(self, name, model, files, mb_s, seconds, compare,
                 properties='', words=()):
        self.name = name
        self.model = model
        self.words = words
        self.properties = properties
        self.compare = compare
        self.load = {'sinks': files, 'rate': str(mb_s), 'live': str(QUEUE_S),
                     'bytes': str(int(mb_s * 1e6 * seconds)),
                     'pattern': 'mkv', 'patch_every': '2M',
                     'buffer_size': '64K', 'stagger': '0.03', 'sample': 50}


def seeks_are_worth_it(ours, theirs):
    check(ours['mb_a_seek'] >= MB_A_SEEK,
          f'{ours["mb_a_seek"]:.2f} MB a seek, {MB_A_SEEK} expected; '
          f'filesink makes {theirs["mb_a_seek"]:.2f}')


def units_are_left_full(ours, theirs):
    """Less is rewritten than is written. filesink, which never syncs, rewrites 5
    to 19 of these units, each taking differing by where its extents begin."""
    written = ours['written_bytes'] // UNIT
    check(ours['rewritten_units'] < written,
          f'{ours["rewritten_units"]} units rewritten, {written} written; '
          f'filesink rewrites {theirs["rewritten_units"]}')


CASES = [
    Case('nvr64', 'hdd', 64, 2, 20, seeks_are_worth_it),
    Case('dashcam', 'sd', 2, 4, 30, units_are_left_full,
         words=['--stall-every=100']),
    Case('dashcam synced', 'sd', 2, 4, 30, units_are_left_full,
         properties=f'sync-interval={5 * 10**9}',
         words=['--stall-every=100']),
]


def play(args, case, disk, sink):
    """(what wbbench says, what the device has counted)"""
    disk.settle()
    result = storage.bench(args, sink, disk.directory / 'file-%d', disk=disk,
                           **case.load)
    counts = disk.counts()
    counts['mb_a_seek'] = counts['written_bytes'] / 1e6 / max(counts['seeks'], 1)
    live = result['live']
    note(f'{sink.strip()}: {live["lost_pictures"]} pictures of '
         f'{live["losers"]} recorders lost, '
         f'{counts["seeks"]} seeks of {counts["mb_a_seek"]:.2f} MB, '
         f'{counts["rewritten_units"]} units rewritten, {counts["stalls"]} '
         f'stalls, longest push {result["push_us"]["max"] / 1e3:.0f} ms')
    for file in disk.directory.glob('file-*'):
        file.unlink()
    return result, counts


def check_pictures(ours, theirs):
    if theirs['live']['lost_pictures'] > 0:
        note('filesink loses pictures as well: they are not looked at')
        return
    lost = ours['live']
    check(lost['lost_pictures'] == 0,
          f'{lost["lost_pictures"]} pictures of {lost["losers"]} recorders '
          'are lost, and none by filesink')


def run(args, case):
    with storage.model_disk(args, case.model, case.words) as disk:
        theirs, their_counts = play(args, case, disk, 'filesink')
        ours, our_counts = play(
            args, case, disk,
            storage.with_properties(args.sink, case.properties))
    storage.check_all(
        lambda: check(ours['ok'], f'wbbench: {ours["error"]}'),
        lambda: check_pictures(ours, theirs),
        lambda: case.compare(our_counts, their_counts))


def main():
    args = storage.parse('Live sources on devices where a seek is dear.')
    return storage.run_cases(
        [(case.name, lambda case=case: run(args, case)) for case in CASES],
        args.only)


if __name__ == '__main__':
    sys.exit(main())
