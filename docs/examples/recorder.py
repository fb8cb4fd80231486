#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A recorder in pieces that knows which of them are on the disk.

    recorder.py [--source ELEMENTS] [--seconds N] [--set NAME=VALUE]... FILES

FILES is a pattern such as cam-%05d.mkv. Without --source a test picture is
recorded. Ctrl-C or SIGTERM ends the last piece properly; a second one stops at
once. Needs python3-gi, gir1.2-gstreamer-1.0 and gstreamer1.0-plugins-ugly.

Exit status: 0 every piece is durable, 1 an error, 2 usage, 3 a piece is written
and not known to be on the disk, 130 stopped at once.
"""
import argparse
import signal
import sys

import gi
gi.require_version('Gst', '1.0')
from gi.repository import GLib, Gst  # noqa: E402

TEST_SOURCE = ('videotestsrc is-live=true ! video/x-raw,width=640,height=360,'
               'framerate=25/1 ! x264enc tune=zerolatency '
               'speed-preset=superfast key-int-max=25 ! h264parse')
# The queue holds what comes while the disk pauses.
PIPELINE = ('{source} ! queue max-size-time=5000000000 max-size-bytes=0 '
            'max-size-buffers=0 ! splitmuxsink name=recorder '
            'muxer-factory=matroskamux async-finalize=true '
            'sink-factory=wbfilesink')


def parse_arguments():
    parser = argparse.ArgumentParser(description='Record in pieces.')
    parser.add_argument('--source', default=TEST_SOURCE)
    parser.add_argument('--seconds', type=float, default=60, help='of a piece')
    parser.add_argument('--set', action='append', default=[],
                        metavar='NAME=VALUE',
                        help='of wbfilesink: sync-interval=1000000000')
    parser.add_argument('files')
    return parser.parse_args()


class Recorder:
    def __init__(self, args):
        self.sink_properties = [item.split('=', 1) for item in args.set]
        self.status = 0
        self.stopping = False
        self.sink = None
        self.loop = GLib.MainLoop()
        self.pipeline = Gst.parse_launch(PIPELINE.format(source=args.source))
        recorder = self.pipeline.get_by_name('recorder')
        recorder.set_property('location', args.files)
        recorder.set_property('max-size-time', int(args.seconds * Gst.SECOND))
        recorder.connect('sink-added', self.on_sink_added)

        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect('message::eos', lambda *_: self.loop.quit())
        bus.connect('message::error', self.on_error)
        bus.connect('message::warning', self.on_warning)
        # The result of a file that only ends when the pipeline goes to NULL
        # reaches synchronous handlers alone. They run on other threads.
        bus.enable_sync_message_emission()
        bus.connect('sync-message::element', self.on_element_message)

    def on_sink_added(self, _recorder, sink):
        """Each piece has a sink of its own; its stats outlive it. (splitmuxsink's
        sink-properties cannot set enums by their names; this can.)"""
        for name, value in self.sink_properties:
            Gst.util_set_object_arg(sink, name, value)
        self.sink = sink

    def on_element_message(self, _bus, message):
        what = message.get_structure()
        if what.get_name() == 'wbfilesink-sync':
            self.on_synced(what)
        elif what.get_name() == 'wbfilesink-degraded':
            if what.get_value('degraded'):
                complain('nothing reaches the disk: the cache fills')
            else:
                complain('the disk takes data again')

    def on_synced(self, what):
        result, name = what.get_value('result'), what.get_value('location')
        megabytes = what.get_value('bytes') / 1e6
        seconds = what.get_value('elapsed') / 1e9
        if result == 'durable':
            say(f'{name}: {megabytes:.1f} MB, durable {seconds:.2f} s after '
                'its end')
        elif result != 'cancelled':  # then another one follows
            complain(f'{name}: NOT KNOWN TO BE ON THE DISK: {result}')
            self.status = self.status or 3

    def on_error(self, _bus, message):
        error, details = message.parse_error()
        complain(f'{error.message} ({details})')
        self.status = 1
        self.loop.quit()

    def on_warning(self, _bus, message):
        complain(message.parse_warning()[0].message)

    def on_signal(self, _number, _frame):
        if self.stopping:
            self.status = 130
            self.loop.quit()
        else:
            self.stopping = True
            # Comes back as message::eos when the last piece is on the disk, or
            # given up: no time limit is needed here.
            self.pipeline.send_event(Gst.Event.new_eos())

    def print_figures(self):
        if self.sink is not None:
            stats = self.sink.get_property('writeback-stats')
            say('{:.1f} MB written, {:.1f} MB durable, {:.1f} MB dirty, '
                'longest wait {:.0f} ms'.format(
                    stats.get_value('high-water-mark') / 1e6,
                    stats.get_value('durable-bytes') / 1e6,
                    stats.get_value('dirty-bytes') / 1e6,
                    stats.get_value('max-wait-time') / 1e6))
        return GLib.SOURCE_CONTINUE

    def run(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            # The main loop wakes up for it and lets Python run this.
            signal.signal(number, self.on_signal)
        GLib.timeout_add_seconds(1, self.print_figures)
        # If this fails there is an error on the bus.
        self.pipeline.set_state(Gst.State.PLAYING)
        self.loop.run()
        self.pipeline.set_state(Gst.State.NULL)
        return self.status


def say(text, stream=sys.stdout):
    """In one piece: several threads have something to say."""
    stream.write(f'{text}\n')
    stream.flush()


def complain(text):
    say(f'recorder: {text}', sys.stderr)


def main():
    args = parse_arguments()
    Gst.init(None)
    try:
        recorder = Recorder(args)
    except GLib.Error as error:
        complain(error.message)
        return 2
    return recorder.run()


if __name__ == '__main__':
    sys.exit(main())
