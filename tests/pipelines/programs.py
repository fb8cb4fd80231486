#!/usr/bin/env python3
"""wbfilesink in other people's programs: gst-launch-1.0 with Ctrl-C and into
/dev/stdout, and those that choose a sink by its rank

SPDX-License-Identifier: LGPL-2.1-or-later

Usage: programs.py [CASE...]. Speaks TAP. The plugin is found through
GST_PLUGIN_PATH.
"""
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent
                       / 'storage'))
from storage import (Failure, check, need_program, note,  # noqa: E402
                     run_cases)

PATIENCE = 60
CHOSEN = {'GST_PLUGIN_FEATURE_RANK': 'wbfilesink:MAX'}
LIVE = ('videotestsrc is-live=true pattern=snow ! '
        'video/x-raw,width=320,height=240,framerate=50/1 ! jpegenc ! ')


def run(*command, patience=PATIENCE, **env):
    """A program to its end: what it wrote to stdout, and its messages."""
    need_program(command[0])
    result = subprocess.run(command, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, timeout=patience,
                            env={**os.environ, **env})
    errors = result.stderr.decode(errors='replace')
    check(result.returncode == 0,
          f'{command[0]}: status {result.returncode}: '
          f'{errors}{result.stdout[-1000:]}')
    return result.stdout, errors


def launch(description, *options, **env):
    return run('gst-launch-1.0', *options, *description.split(), **env)


def count_frames(path):
    """What ffprobe reads from the file, without a complaint."""
    out, errors = run('ffprobe', '-v', 'warning', '-count_frames',
                      '-select_streams', 'v:0', '-show_entries',
                      'stream=nb_read_frames', '-of', 'csv=p=0', str(path))
    check(errors == '', errors)
    return int(out)


def tone(directory):
    path = directory / 'in.wav'
    launch(f'audiotestsrc num-buffers=50 ! wavenc ! filesink location={path}',
           '-q')
    return path


def check_sound(path):
    need_program('ffprobe')
    out, _ = run('ffprobe', '-v', 'error', '-show_entries',
                 'stream=codec_type', '-of', 'csv=p=0', str(path))
    check(out.split() == [b'audio'], f'{path}: {out}')


def check_durable(text, path):
    check('wbfilesink-sync' in text or 'sync of' in text,
          f'wbfilesink was not taken: {text[-2000:]}')
    check('durable' in text and str(path) in text, text[-2000:])


# --- gst-launch-1.0 ---

def interrupted(directory, sink, *options):
    """A live recording, until it has some frames and Ctrl-C ends it: the
    program's status, what it said, and the file."""
    need_program('gst-launch-1.0')
    path = directory / f'live-{sink.split()[0]}.mkv'
    child = subprocess.Popen(
        ['gst-launch-1.0', '-m', *options,
         *f'{LIVE} matroskamux ! {sink} location={path}'.split()],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + PATIENCE
    try:
        while not path.exists() or path.stat().st_size < 500000:
            check(time.monotonic() < deadline and child.poll() is None,
                  'nothing was recorded')
            time.sleep(0.02)
        child.send_signal(signal.SIGINT)
        text = child.communicate(timeout=PATIENCE)[0]
    finally:
        child.kill()
        child.wait()
    return child.returncode, text, path


def ctrl_c(directory):
    """With -e the file is ended, and durable before gst-launch says EOS."""
    status, text, path = interrupted(directory, 'wbfilesink', '-e')
    check(status == 0, f'status {status}: {text}')
    check_durable(text, path)
    check(text.index('wbfilesink-sync') < text.index('Got EOS'),
          'EOS came before the result')
    frames = count_frames(path)
    note(f'{frames} frames')
    check(frames >= 3, f'{frames} frames')


def ctrl_c_without_eos(directory):
    """Without -e it ends as filesink's does, as far as it was recorded."""
    theirs = interrupted(directory, 'filesink buffer-mode=unbuffered')[0]
    status, text, path = interrupted(directory, 'wbfilesink')
    check(status == theirs, f'status {status}, filesink {theirs}: {text}')
    check(path.stat().st_size >= 500000, 'what was recorded is gone')


def stdout_pipe(directory):
    """Into a pipe: every byte, and an encoder that sees it cannot seek does
    what it does with filesink."""
    source = directory / 'source'
    source.write_bytes(random.Random(1).randbytes(3_000_001))
    for head in (f'filesrc location={source}',
                 'audiotestsrc num-buffers=50 ! flacenc'):
        ours, theirs = (
            launch(f'{head} ! {sink} location=/dev/stdout', '-q')[0]
            for sink in ('wbfilesink', 'filesink'))
        check(len(ours) > 10000, f'{head}: {len(ours)} bytes')
        check(ours == theirs, f'{head}: {len(ours)} bytes, not as filesink\'s '
              f'{len(theirs)}')


def stdout_file(directory):
    """Redirected to a file by a shell"""
    source, target = directory / 'source', directory / 'target'
    source.write_bytes(random.Random(1).randbytes(3_000_001))
    with open(target, 'wb') as stream:
        subprocess.run(
            f'gst-launch-1.0 -q filesrc location={source} ! '
            'wbfilesink location=/dev/stdout'.split(), stdout=stream,
            timeout=PATIENCE, check=True)
    check(target.read_bytes() == source.read_bytes(), 'not the same')


# --- by rank ---

def transcode(source, target, **env):
    """gst-transcoder-1.0 1.22 hangs once in 1200 times, whatever the sink
    (filesink: 1 of 1200 runs, eight at once), so it may try again."""
    for attempt in range(3):
        try:
            _, text = run('gst-transcoder-1.0', source.as_uri(),
                          target.as_uri(), 'application/ogg:audio/x-vorbis',
                          patience=PATIENCE / 3, GST_DEBUG='wbfilesink:4',
                          **env)
            return text
        except subprocess.TimeoutExpired:
            note('gst-transcoder-1.0 hung')
    raise Failure('gst-transcoder-1.0 hung three times')


def gst_transcoder(directory):
    source, target = tone(directory), directory / 'out.ogg'
    text = transcode(source, target)
    check('wbfilesink' not in text, 'taken though nobody chose it')
    text = transcode(source, target, **CHOSEN)
    check_durable(text, target)
    check_sound(target)


def ges_render(directory):
    target = directory / 'out.mkv'
    _, text = run('ges-launch-1.0', '+test-clip', 'smpte', 'duration=0.5',
                  '-o', target.as_uri(), '--format=video/x-matroska:image/jpeg',
                  GST_DEBUG='wbfilesink:4', **CHOSEN)
    check_durable(text, target)
    check(count_frames(target) >= 10, 'few frames')


CASES = [('Ctrl-C with -e', ctrl_c),
         ('Ctrl-C without -e', ctrl_c_without_eos),
         ('/dev/stdout into a pipe', stdout_pipe),
         ('/dev/stdout into a file', stdout_file),
         ('gst-transcoder-1.0 by rank', gst_transcoder),
         ('GES renders by rank', ges_render)]


def in_directory(function):
    def call():
        with tempfile.TemporaryDirectory(prefix='wbprograms.') as directory:
            function(pathlib.Path(directory))
    return call


if __name__ == '__main__':
    sys.exit(run_cases([(name, in_directory(f)) for name, f in CASES],
                       sys.argv[1:]))
