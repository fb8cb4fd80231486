#!/usr/bin/env python3
"""wbfilesink storage tests: a name is claimed by one, and means a whole file

SPDX-License-Identifier: LGPL-2.1-or-later

Usage: claims.py WBBENCH [CASE...]. Speaks TAP.

Two processes want one name at the same moment, many times: WB_RACES of them, or
200. Whoever watches a folder for what is moved into it, or just opens a name
again and again, finds whole files. What was killed is a part.
"""
import ctypes
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import threading

import storage
import told
from storage import MIB, NotHere, check, note
from told import Launch

RACES = int(os.environ.get('WB_RACES', '200'))
SIZES = (3 * 65536, 5 * 65536)
PART = 'part-suffix=.part'

IN_MOVED_TO = 0x80
EVENT = struct.Struct('iIII')


# --- those who write ---

class Claimer:
    """wbclaim, which writes files of one size. Use it in a `with`."""

    def __init__(self, args, size, properties):
        program = pathlib.Path(args.wbbench).parent.parent / 'storage/wbclaim'
        self.child = subprocess.Popen(
            [program, told.fake_source(size), properties],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=dict(os.environ, LC_ALL='C.UTF-8'))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()
        self.child.stdin.close()
        self.child.stdout.close()

    def tell(self, location):
        self.child.stdin.write(f'{location}\n')
        self.child.stdin.flush()

    def answer(self):
        line = self.child.stdout.readline()
        check(line, 'the process has gone')
        word, _, text = line.rstrip('\n').partition(' ')
        return word, text


def race(args, folder, properties, judge):
    """Both write the same location at once, each round in a folder of its own.
    judge(folder of the round, answers), sizes in the order of SIZES."""
    with Claimer(args, SIZES[0], properties) as one, \
            Claimer(args, SIZES[1], properties) as other:
        for number in range(RACES):
            place = folder / f'round-{number}'
            place.mkdir()
            # Who is told first has a lead of microseconds: in turns.
            for claimer in (one, other) if number % 2 else (other, one):
                claimer.tell(place / 'file.mkv')
            judge(place, (one.answer(), other.answer()))
            shutil.rmtree(place)


def check_whole(path, size):
    check(path.read_bytes() == told.pattern(size), f'{path} is not whole')


def names_in(place):
    return sorted(path.name for path in place.iterdir())


# --- races ---

def check_one_winner(place, answers):
    words = sorted(word for word, _ in answers)
    check(words == ['error', 'ok'], f'not one winner: {answers}')
    for (word, text), size in zip(answers, SIZES):
        if word == 'ok':
            check_whole(place / 'file.mkv', size)
        else:
            check('File exists' in text and 'file.mkv' in text, text)


def one_fails(args, folder):
    early = 0

    def judge(place, answers):
        nonlocal early
        check_one_winner(place, answers)
        check(names_in(place) == ['file.mkv'], f'left: {names_in(place)}')
        early += 'Could not open' in str(answers)
    race(args, folder, 'on-exists=fail', judge)
    check(early == RACES, f'{RACES - early} failed after the first byte')


def one_fails_with_parts(args, folder):
    race(args, folder, f'on-exists=fail {PART}', check_one_winner)


def both_get_one(args, folder, properties):
    firsts = [0, 0]

    def judge(place, answers):
        check(all(word == 'ok' for word, _ in answers), str(answers))
        for (_, location), size in zip(answers, SIZES):
            check_whole(pathlib.Path(location), size)
        check(names_in(place) == ['file-1.mkv', 'file.mkv'],
              f'not two names: {names_in(place)}')
        firsts[answers[0][1].endswith('file.mkv')] += 1
    race(args, folder, properties, judge)
    note(f'{firsts[1]} of {RACES} first names went to the first process')


def numbers(args, folder):
    both_get_one(args, folder, 'on-exists=number')


def numbers_with_parts(args, folder):
    both_get_one(args, folder, f'on-exists=number {PART}')


def replaced_by_either(args, folder):
    """Of two that write the same part one is whole, and the other is told."""
    def judge(place, answers):
        won = [size for (word, _), size in zip(answers, SIZES) if word == 'ok']
        check(won, f'nobody: {answers}')
        path = place / 'file.mkv'
        check(path.stat().st_size in won, 'of one that failed')
        check_whole(path, path.stat().st_size)
        check(all('rename' in text for word, text in answers
                  if word == 'error'), f'not told why: {answers}')
    race(args, folder, PART, judge)


# --- those who read ---

class Watcher:
    """Reads each file that is moved into the folder, as a program that copies
    them would, and the one of a name again and again. Use it in a `with`."""

    def __init__(self, folder, path):
        self.folder, self.path = folder, path
        self.moved, self.opened, self.wrong = set(), 0, []
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self.libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        check(self.fd >= 0 and self.libc.inotify_add_watch(
            self.fd, os.fsencode(folder), IN_MOVED_TO) >= 0, 'no inotify')
        self.ends = threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        self.thread.join()
        os.close(self.fd)

    def look(self, path):
        content = path.read_bytes()
        if content not in (told.pattern(SIZES[0]), told.pattern(SIZES[1])):
            self.wrong.append(f'{path}: {len(content)} bytes')

    def hear(self):
        try:
            events = os.read(self.fd, 65536)
        except BlockingIOError:
            return
        while events:
            *_, length = EVENT.unpack_from(events)
            name = events[EVENT.size:EVENT.size + length].rstrip(b'\0')
            events = events[EVENT.size + length:]
            self.moved.add(name)
            self.look(self.folder / os.fsdecode(name))

    def watch(self):
        while not self.ends.is_set():
            self.hear()
            if self.path.exists():
                self.opened += 1
                self.look(self.path)
        self.hear()


def whole_for_watchers(args, folder):
    """New names, and one that is written again and again: old or new, and never
    between."""
    path = folder / 'file.mkv'
    with Watcher(folder, path) as watcher, \
            Claimer(args, SIZES[0], PART) as one, \
            Claimer(args, SIZES[1], PART) as other:
        for number in range(RACES):
            claimer = other if number % 2 else one
            for goal in folder / f'{number}.mkv', path:
                claimer.tell(goal)
                check(claimer.answer() == ('ok', str(goal)), 'not written')
    note(f'{len(watcher.moved)} names were moved in, '
         f'{watcher.opened} files were opened')
    check(len(watcher.moved) == RACES + 1, 'not all were heard of')
    check(not watcher.wrong, '\n'.join(watcher.wrong[:5]))


# --- what is not whole ---

def killed(args, folder):
    path, part = folder / 'file.mkv', folder / 'file.mkv.part'
    path.write_text('old')
    with Launch(f'fdsrc ! wbfilesink location={path} {PART}',
                stdin=subprocess.PIPE) as launch:
        launch.child.stdin.write('x' * MIB)
        launch.child.stdin.flush()
        storage.wait_until(
            lambda: part.exists() and part.stat().st_size == MIB,
            'the part', told.PATIENCE_S)
        os.kill(launch.child.pid, signal.SIGKILL)
        launch.child.wait()
    check(path.read_text() == 'old', 'the old file is another')
    check(names_in(folder) == ['file.mkv', 'file.mkv.part'],
          f'left: {names_in(folder)}')
    launch = told.run(told.fake_source(SIZES[0])
                      + f' ! wbfilesink location={path} {PART}')
    told.check_clean(launch)
    check_whole(path, SIZES[0])
    check(names_in(folder) == ['file.mkv'], f'left: {names_in(folder)}')


def may_not_be_read(args, folder):
    """A folder to write into and pass through: its name is found by its path."""
    if os.getuid() != 0:
        raise NotHere('needs root')
    place = folder / 'place'
    place.mkdir()
    os.chown(place, 65534, 65534)
    place.chmod(0o333)
    path = place / 'file.mkv'
    launch = told.run(
        told.fake_source(SIZES[0])
        + f' ! wbfilesink location={path} {PART} on-exists=fail',
        prefix=['setpriv', '--reuid', '65534', '--regid', '65534',
                '--clear-groups'])
    told.check_clean(launch, 'data')
    check_whole(path, SIZES[0])
    check(names_in(place) == ['file.mkv'], f'left: {names_in(place)}')


def fragments(args, folder):
    """splitmuxsink: each gets its name when it is whole, not at the end."""
    launch = told.run(
        'videotestsrc num-buffers=60 ! video/x-raw,width=64,height=64,'
        'framerate=30/1 ! jpegenc ! splitmuxsink muxer-factory=matroskamux '
        'sink-factory=wbfilesink async-finalize=true '
        'sink-properties=properties,part-suffix=.part,on-exists=2 '
        f'max-size-time=500000000 location={folder}/%02d.mkv',
        debug='wbfilesink:5')
    if 'no element' in launch.text():
        raise NotHere(launch.text().splitlines()[-1])
    check(launch.child.returncode == 0 and not launch.errors()
          and not launch.warnings(), launch.said())
    left = names_in(folder)
    note(f'{len(left)} fragments')
    check(len(left) > 2 and left == [f'{n:02d}.mkv' for n in range(len(left))],
          f'left: {left}')
    check(set(launch.results()) == {'durable'}
          and len(launch.results()) == len(left), launch.said())
    named = [n for n, line in enumerate(launch.lines) if '.part is ' in line]
    opened = [n for n, line in enumerate(launch.lines) if '> opened: ' in line]
    check(len(named) == len(left) and named[0] < opened[-1],
          'they get their names all together')


def cases(args):
    return [(name, lambda folder, f=function: f(args, folder))
            for name, function in [
                ('two want a name, one fails', one_fails),
                ('two want a name with parts, one fails', one_fails_with_parts),
                ('two want a name, both get one', numbers),
                ('two want a name with parts, both get one',
                 numbers_with_parts),
                ('two write one part', replaced_by_either),
                ('whoever watches finds whole files', whole_for_watchers),
                ('what is killed is a part', killed),
                ('the directory may not be read', may_not_be_read),
                ('fragments', fragments)]]


if __name__ == '__main__':
    sys.exit(told.main('A name is claimed by one, and means a whole file.',
                       cases))
