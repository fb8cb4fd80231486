"""wbfilesink storage tests: servers that stop, come back, or are gone

SPDX-License-Identifier: LGPL-2.1-or-later

In the middle of a stream the servers behind a FUSE file system are stopped
(SIGSTOP: they are there and say nothing, as behind a cable that was pulled) or
killed. What is promised: if they are back in time the file is whole and
durable; if not, EOS, start and stop answer within sync-timeout and a second,
with one message that names the call; an EOS without a warning never comes with
data missing; and when the kernel lets go, no thread and no descriptor is left.

filesink gets the same beside it, and a table at the end says when either
answered.

Layout: servers; what can happen to a stream; cases.
"""
import contextlib
import os
import signal
import subprocess
import time

import answer
import storage
from answer import (GRACE_S, HUNG_S, MIB, PATIENCE_S, STALL, Pipeline,
                    check_answered, check_error, check_names_the_call,
                    check_no_promise, check_null, check_sync, same_bytes,
                    stop_all)
from storage import check, note

TIMEOUT_S = 3
RATE = 30


def run(*command, **options):
    result = subprocess.run([str(word) for word in command], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            **options)
    if result.returncode != 0:
        raise RuntimeError(f'{command}: {result.stdout}')
    return result.stdout


def unmount(directory):
    """Without asking the server, which may not answer."""
    subprocess.run(['umount', '--lazy', str(directory)],
                   stderr=subprocess.DEVNULL)


# --- servers ---

class Servers:
    """self.directory is where to write; pids() are those that serve it, and
    copies(name) is where they keep a file, by any way but theirs."""

    def stop(self):
        self.signal(signal.SIGSTOP)
        return time.monotonic()

    def resume(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        self.signal(signal.SIGKILL)
        return time.monotonic()

    def state(self, name, expected):
        """Of each copy that the servers have, as they have it."""
        return ', '.join(same_bytes(copy, expected)
                         for copy in self.copies(name)) or 'gone'

    def signal(self, number):
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


# --- what can happen to a stream ---

class Stage:
    """What the cases share."""

    def __init__(self, args, folder):
        self.args = args
        self.folder = folder
        self.table = answer.Table()
        self.references = {}
        self.number = 0

    def own(self, properties=''):
        return storage.with_properties(
            self.args.sink, f'sync-timeout={TIMEOUT_S * 10**9} {properties}')

    def new_folder(self, name):
        self.number += 1
        folder = self.folder / f'{name}-{self.number}'
        folder.mkdir()
        return folder

    def pipeline(self, sink, directory, size, **load):
        self.number += 1
        return Pipeline(self.args, sink,
                        directory / f'file-{self.number}', bytes=size * MIB,
                        rate=RATE, **load)

    def reference(self, size):
        """The file on a disk that works."""
        if size not in self.references:
            with self.pipeline('filesink', self.folder, size) as pipeline:
                pipeline.must('eos')
                self.references[size] = pipeline.location
        return self.references[size]

    def both(self, stack, directory, size, properties='', notify_at=16):
        """Our sink and filesink on one file each, both at so many MiB of so
        many."""
        pipelines = [
            stack.enter_context(self.pipeline(
                sink, directory, size, notify_at=int(notify_at * MIB)))
            for sink in (self.own(properties), 'filesink')]
        for pipeline in pipelines:
            pipeline.must('at')
        return pipelines


def back_in_time(stage, servers, what):
    """Away for 5 s, longer than sync-timeout, in the middle of a stream that
    the queue cannot hold: warnings, and nothing is missing."""
    size = 160
    expected = stage.reference(size)
    with contextlib.ExitStack() as stack:
        own, peer = stage.both(stack, servers.directory, size)
        stopped = servers.stop()
        time.sleep(5)
        servers.resume()
        own.must('eos', 'error')
        peer.must('eos', 'error')
        for pipeline, null in zip((own, peer), stop_all(own, peer)):
            stage.table.add(what, pipeline, stopped, null,
                            same_bytes(pipeline.location, expected))
        check_sync(own, 'durable')
        check(not own.all('error'), f'{own.all("error")}')
        check(own.all('warning'), 'not a word of a wait of 5 s')
        check(same_bytes(own.location, expected) == 'whole', 'not whole')
        own.left_nothing()
        check(own.leave() is not None, 'the process does not exit')


def for_good(stage, servers, what, on_timeout):
    """Stopped shortly before the end: what is still queued is lost, and that is
    an ERROR; NULL does not wait again; what is left goes when the kernel lets
    go."""
    properties = f'on-sync-timeout={on_timeout}'
    with contextlib.ExitStack() as stack:
        own, peer = stage.both(stack, servers.directory, 24, properties)
        stopped = servers.stop()
        own.wait('eos', 'error')
        peer.wait('eos', 'error', seconds=stopped + HUNG_S - time.monotonic())
        nulls = stop_all(own, peer)
        for pipeline, null in zip((own, peer), nulls):
            stage.table.add(what, pipeline, stopped, null, 'not known')
        check_answered(own, stopped, TIMEOUT_S, 'error', 'eos')
        check_names_the_call(own, 'error')
        check_no_promise(own)
        check_null(nulls[0], GRACE_S)
        check_error(own)
        note('threads and files while it is stopped: %d, %d' % own.left())
        servers.resume()
        own.left_nothing()
        check(own.leave() is not None, 'the process does not exit')


def stop_without_eos(stage, servers, what):
    """NULL in the middle of a stream; then the process exits with a thread in
    the kernel. A request that the daemon behind FUSE has taken cannot be
    killed; `umount --force` ends it."""
    with contextlib.ExitStack() as stack:
        own, peer = stage.both(stack, servers.directory, 400)
        stopped = servers.stop()
        # So that there is a call that hangs.
        time.sleep(0.5)
        nulls = stop_all(own, peer)
        for pipeline, null in zip((own, peer), nulls):
            stage.table.add(what, pipeline, stopped, null, 'not known',
                            asked=False)
        check_null(nulls[0], TIMEOUT_S + GRACE_S)
        check_no_promise(own)
        note('threads and files while it is stopped: %d, %d' % own.left())
        took = own.leave()
        note('the process with the thread left behind: exit took '
             f'{answer.Table.seconds(took)}')
        forced = time.monotonic()
        # It is still busy, and says so; the requests are ended all the same.
        subprocess.run(['umount', '--force', servers.directory],
                       stderr=subprocess.DEVNULL)
        own.child.wait(PATIENCE_S)
        note('umount --force: the process is gone after '
             f'{time.monotonic() - forced:.1f} s')


def stopped_before(stage, servers, what):
    """PLAYING on storage that says nothing."""
    stopped = servers.stop()
    with contextlib.ExitStack() as stack:
        own, peer = (stack.enter_context(stage.pipeline(
            sink, servers.directory, 8))
            for sink in (stage.own(), 'filesink'))
        own.wait('refused', 'started')
        nulls = stop_all(own, peer)
        for pipeline, null in zip((own, peer), nulls):
            stage.table.add(what, pipeline, stopped, null, '-')
        check_answered(own, stopped, TIMEOUT_S, 'refused')
        check_null(nulls[0], GRACE_S)
        # GStreamer adds one of its own, of the state change.
        errors = own.all('error')
        check(errors and STALL.search(errors[0][2]), f'{errors}')
        note(errors[0][2])
        servers.resume()
        own.left_nothing()


def lost(stage, servers, what, kill, restart=None):
    """Killed in the middle, and back at once if restart is given: an ERROR,
    unless nothing was lost after all."""
    size = 160
    expected = stage.reference(size)
    with contextlib.ExitStack() as stack:
        own, peer = stage.both(stack, servers.directory, size)
        killed = kill(own.location.name, peer.location.name)
        if restart is not None:
            restart()
        own.must('eos', 'error')
        peer.wait('eos', 'error')
        nulls = stop_all(own, peer)
        for pipeline, null in zip((own, peer), nulls):
            stage.table.add(what, pipeline, killed, null,
                            servers.state(pipeline.location.name, expected))
        if own.all('eos'):
            check(not own.all('error', 'warning'), f'{own.lines}')
            check(same_bytes(own.location, expected) == 'whole',
                  'a clean EOS, and the file is not whole')
        else:
            check_error(own)
            check_answered(own, killed, TIMEOUT_S, 'error')
        check_null(nulls[0], GRACE_S)
        own.left_nothing()


def lost_at_the_end(stage, servers, what, unsent, back=lambda: None):
    """So many MiB are in the client's memory when EOS comes, and the servers
    do not live to see them."""
    size = 8
    expected = stage.reference(size)
    with contextlib.ExitStack() as stack:
        own, peer = stage.both(stack, servers.directory, size,
                               notify_at=size - unsent)
        stopped = servers.stop()
        own.must('pushed')
        peer.wait('eos', seconds=1)
        servers.kill()
        own.must('error', 'eos')
        nulls = stop_all(own, peer)
        back()
        for pipeline, null in zip((own, peer), nulls):
            stage.table.add(what, pipeline, stopped, null,
                            servers.state(pipeline.location.name, expected))
        check_error(own)
        check_null(nulls[0], GRACE_S)
        own.left_nothing()


# --- cases ---

def fresh(make, case):
    """The case on servers of its own, taken down after it."""
    def with_servers():
        servers = make()
        try:
            case(servers)
        finally:
            servers.close()
    return with_servers


def main(description, make_cases):
    """make_cases(stage): (name, function) of each."""
    def run_all(args, folder):
        stage = Stage(args, folder)
        status = storage.run_cases(make_cases(stage), args.only)
        stage.table.show()
        return status
    return answer.run_apart(description, run_all)
