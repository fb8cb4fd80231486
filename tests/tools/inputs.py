#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What wbremux takes and makes: several inputs, discs, URIs, tracks, formats.

Usage: inputs.py WBREMUX [CASE...]. Speaks TAP. The plugin is found through
GST_PLUGIN_PATH.
"""

import http.server
import json
import os
import re
import struct
import subprocess
import sys
import threading

sys.dont_write_bytecode = True
from media import *  # noqa: E402, F403

TS = "-f mpegts"


def refused(args, words, code=1):
    """One line on standard error with @words, and no output file."""
    result = wbremux(*args)
    check(result.code == code, f"exit {result.code}: {result.err}")
    check(len(result.lines) == 1 and result.lines[0].startswith("wbremux: "),
          f"not one line: {result.err!r}")
    for word in words:
        check(word in result.lines[0], result.err)
    check(not os.path.exists("out.mkv") and not os.path.exists("out.mkv.part"), "left behind")
    return result


def doubled(rows):
    return [(kind, codec, 2 * n) for kind, codec, n in rows]


def cut(path, where, first, second):
    data = open(path, "rb").read()
    open(first, "wb").write(data[:where])
    open(second, "wb").write(data[where:])


def joined(path, parts):
    with open(path, "wb") as file:
        for part in parts:
            file.write(open(part, "rb").read())


# --- one after the other ----------------------------------------------------------

def two_streams():
    """Streams of their own: all packets of both, no gap, in the same tracks."""
    two_tracks("a.ts", H264, "ac3", "mp2", TS)
    two_tracks("b.ts", H264, "ac3", "mp2", TS, picture="testsrc")
    check_durable(wbremux("a.ts", "b.ts", "a.ts", "out.mkv"))
    parts = [counts("a.ts"), counts("b.ts"), counts("a.ts")]
    expected = [(k, c, sum(p[i][2] for p in parts)) for i, (k, c, _) in enumerate(parts[0])]
    check(counts("out.mkv") == expected, f"{counts('out.mkv')} {expected}")
    check(frames("out.mkv") == frames("a.ts") + frames("b.ts") + frames("a.ts"), "pictures")
    check_steady("out.mkv", "v:0", 0.04, 0.0)
    check_steady("out.mkv", "a:0", 0.032, 0.032)
    check_steady("out.mkv", "a:1", 0.024, 0.024)
    check([s.get("tag:language") for s in streams("out.mkv")[1:]] == ["eng", "ger"], "language")
    check_accepted("out.mkv")
    check_seekable("out.mkv")


def long_sound():
    """A track that is longer than the picture is not pushed back over itself."""
    ffmpeg("-f lavfi -i testsrc2=size=320x240:rate=25:duration=3", TONE.format(4, 440),
           "-map 0 -map 1", H264, "-c:a ac3", TS, "a.ts")
    check_durable(wbremux("a.ts", "a.ts", "out.mkv"))
    check(counts("out.mkv") == doubled(counts("a.ts")), f"{counts('out.mkv')}")
    check_steady("out.mkv", "a:0", 0.032, 0.0)
    gap = max(b - a for a, b in zip(times("out.mkv", "v:0"), times("out.mkv", "v:0")[1:]))
    check(0.9 < gap < 1.2, f"the picture stands for {gap}")


def cut_ts():
    """One stream that was cut in the middle of a packet: as if it had not been."""
    two_tracks("whole.ts", H264, "ac3", "aac", TS)
    size = os.path.getsize("whole.ts")
    check_durable(wbremux("whole.ts", "whole.mkv"))
    for where in (size // 2, size // 2 // 188 * 188, size - 200000):
        cut("whole.ts", where, "1.ts", "2.ts")
        check_durable(wbremux("--force", "1.ts", "2.ts", "out.mkv"))
        check(streams("out.mkv") == streams("whole.mkv"), f"cut at {where}")
        for stream in ("v:0", "a:0", "a:1"):
            check(times("out.mkv", stream) == times("whole.mkv", stream), f"{stream} moved")


def cut_m2ts_in_three():
    two_tracks("whole.m2ts", H264, "ac3", "eac3", "-mpegts_m2ts_mode 1 -f mpegts")
    size = os.path.getsize("whole.m2ts")
    cut("whole.m2ts", size // 3, "1.m2ts", "rest")
    cut("rest", size // 3, "2.m2ts", "3.m2ts")
    check_durable(wbremux("whole.m2ts", "whole.mkv"))
    check_durable(wbremux("1.m2ts", "2.m2ts", "3.m2ts", "out.mkv"))
    check(streams("out.mkv") == streams("whole.mkv"), "not the same")


def cut_vob():
    two_tracks("whole.vob", MPEG2, "ac3", "mp2", "-f vob", seconds=20)
    check_durable(wbremux("whole.vob", "whole.mkv"))
    cut("whole.vob", os.path.getsize("whole.vob") // 4096 * 2048, "1.vob", "2.vob")
    check_durable(wbremux("1.vob", "2.vob", "out.mkv"))
    check(streams("out.mkv") == streams("whole.mkv"), "not the same")
    check_steady("out.mkv", "v:0", 0.04, 0.0)


def not_a_cut():
    """The second half before the first one, and a half twice: their clocks do not
    go on, and each is a stream of its own."""
    two_tracks("whole.vob", MPEG2, "ac3", "mp2", "-f vob", seconds=20)
    cut("whole.vob", os.path.getsize("whole.vob") // 4096 * 2048, "1.vob", "2.vob")
    for pair in (("2.vob", "1.vob"), ("1.vob", "1.vob")):
        result = wbremux("--json", "--force", *pair, "out.mkv")
        check(result.code == 0, result.err)
        check(result.out.count('"type":"input"') == 2, result.out)
        shown = times("out.mkv", "v:0")
        check(all(b > a for a, b in zip(shown, shown[1:])), "it goes back")


def other_containers():
    """Tracks are found by kind, format and language, wherever they are."""
    two_tracks("a.ts", H264, "ac3", "ac3", TS)
    ffmpeg("-i a.ts -map 0:v -map 0:a:1 -map 0:a:0 -c copy",
           "-metadata:s:a:0 language=deu -metadata:s:a:1 language=eng", "b.mkv")
    check_durable(wbremux("a.ts", "b.mkv", "out.mkv"))
    check(counts("out.mkv") == doubled(counts("a.ts")), f"{counts('out.mkv')}")
    first, second = streams("a.ts")[1:3], streams("out.mkv")[1:3]
    joined("eng", [raw("a.ts", 0), raw("a.ts", 0)])
    check(open(raw("out.mkv", 0), "rb").read() == open("eng", "rb").read(),
          f"the languages are mixed: {first} {second}")


def raw(path, audio):
    """The bytes of an audio track."""
    out = f"{path}.{audio}.raw"
    ffmpeg("-i", path, f"-map 0:a:{audio} -c copy -f ac3", out)
    return out


def other_parameters():
    """Encoded otherwise: what a decoder needs to know comes with each part."""
    two_tracks("a.mp4", H264, "aac", "aac", "-f mp4")
    two_tracks("b.mp4", "-c:v libx264 -preset medium -bf 3 -g 50 -pix_fmt yuv420p",
               "aac", "aac", "-f mp4", picture="testsrc")
    for names in (("a.mp4", "b.mp4"), ("b.mp4", "a.mp4")):
        result = wbremux("--force", *names, "out.mkv")
        check(result.code == 0, result.err)
        check(frames("out.mkv") == frames(names[0]) + frames(names[1]), f"{names}: pictures")
        # From the middle of the second one, as a viewer may.
        late = frames("out.mkv", "-ss", "13")
        check(60 < len(late) < 90 and late == frames(names[1])[-len(late):],
              f"{names}: pictures after a seek")


def second_lacks_audio():
    two_tracks("a.ts", H264, "ac3", "mp2", TS)
    ffmpeg("-i a.ts -map 0:v -map 0:a:0 -c copy", TS, "b.ts")
    result = wbremux("a.ts", "b.ts", "out.mkv")
    check(result.code == 0, result.err)
    check([n for _, _, n in counts("out.mkv")]
          == [n * (1 if codec == "mp2" else 2) for _, codec, n in counts("a.ts")],
          f"{counts('out.mkv')}")
    check_steady("out.mkv", "v:0", 0.04, 0.0)


def second_has_late_audio():
    """Packets of it in the second input only after some seconds."""
    two_tracks("a.ts", "-c:v mpeg2video -b:v 1M", "ac3", "mp2", TS, seconds=30)
    without("a.ts", "b.ts", 0x102, lambda n, all: n > all // 2)
    result = wbremux("a.ts", "b.ts", "out.mkv")
    check(result.code == 0, result.err)
    check(dict((c, n) for _, c, n in counts("out.mkv"))["mpeg2video"] == 1500, "pictures")
    late = [b - a for a, b in zip(times("out.mkv", "a:1"), times("out.mkv", "a:1")[1:])]
    check(13 < max(late) < 17, f"silent for {max(late)}")


def cannot_follow():
    two_tracks("a.ts", H264, "ac3", "mp2", TS)
    two_tracks("mpeg2.ts", MPEG2, "ac3", "mp2", TS)
    ffmpeg("-i a.ts -map 0:a:0 -c copy", TS, "sound.ts")
    for name in ("mpeg2.ts", "sound.ts"):
        refused(("a.ts", name, "out.mkv"), [name, "first input's track"])
    refused(("sound.ts", "a.ts", "none.ts", "out.mkv"), ["none.ts", "No such file"])
    # What of the second has no place behind the first is told.
    result = wbremux("sound.ts", "mpeg2.ts", "out.mkv")
    check_incomplete(result)
    check("video 1" in result.err and "no track of the first input is like it" in result.err, result.err)


def second_is_bad():
    two_tracks("a.ts", H264, "ac3", "mp2", TS)
    open("empty.ts", "w").close()
    open("noise.ts", "wb").write(noise(300000))
    os.mkdir("folder")
    for name, words in (("none.ts", "No such file"), ("empty.ts", "is empty"),
                        ("noise.ts", ""), ("folder", "without a disc")):
        refused(("a.ts", name, "out.mkv"), [name, words])


def second_is_truncated():
    two_tracks("a.mkv", H264, "ac3", "mp2", "-f matroska")
    cut("a.mkv", os.path.getsize("a.mkv") * 2 // 3, "b.mkv", "rest")
    result = wbremux("a.mkv", "b.mkv", "out.mkv")
    check_incomplete(result)
    check(len(result.lines) == 1 and "before it should" in result.err, result.err)
    check(len(frames("out.mkv")) > 1.5 * 200, "pictures")
    check_accepted("out.mkv")


def output_is_second_input():
    two_tracks("a.ts", H264, "ac3", "mp2", TS)
    two_tracks("b.ts", H264, "ac3", "mp2", TS, picture="testsrc")
    before = open("b.ts", "rb").read()
    for more in ((), ("--no-part",)):
        result = wbremux("--force", *more, "a.ts", "b.ts", "b.ts")
        check_refused(result, "b.ts", "is the input itself")
    check(open("b.ts", "rb").read() == before, "the input was changed")


# --- URIs ------------------------------------------------------------------------------

def uris():
    two_tracks("a b.ts", H264, "ac3", "mp2", TS)
    uri = "file://" + os.path.abspath("a b.ts").replace(" ", "%20")
    check_durable(wbremux(uri, "a b.ts", "out.mkv"))
    check(counts("out.mkv") == doubled(counts("a b.ts")), "packets")
    for bad, words in (("file:///no/such/file.ts", "No such file"),
                       ("file://host/file.ts", ""), ("nosuch://host/file.ts", "Protocol not found")):
        result = wbremux(bad, "bad.mkv")
        check(result.code == 1 and len(result.lines) == 1 and words in result.err, result.err)


def http_uri():
    two_tracks("a.ts", H264, "ac3", "mp2", TS)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), QuietHandler)
    QuietHandler.folder = os.getcwd()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    environment = {**os.environ, "no_proxy": "*"}
    try:
        result = wbremux(f"{address}/a.ts", "out.mkv", env=environment)
        missing = wbremux(f"{address}/none.ts", "none.mkv", env=environment)
    finally:
        server.shutdown()
        server.server_close()
    check(result.code == 0, result.err)
    check(counts("out.mkv") == counts("a.ts"), f"{counts('out.mkv')}")
    check(missing.code == 1 and len(missing.lines) == 1 and "none.ts" in missing.err, missing.err)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    folder = "."

    def __init__(self, *args):
        super().__init__(*args, directory=self.folder)

    def log_message(self, *_):
        pass


# --- tracks ----------------------------------------------------------------------------

def languages():
    """All spellings of a language, numbers, none."""
    two_tracks("plain.mkv", H264, "ac3", "ac3", "-f matroska")
    with open("text.srt", "w") as file:
        file.write("1\n00:00:01,000 --> 00:00:02,000\nText\n")
    ffmpeg("-i plain.mkv -i text.srt -i text.srt -map 0:v -map 0:a:0 -map 0:a:1 -map 0:a:1",
           "-map 1 -map 2 -c copy -metadata:s:a:2 language=und",
           "-metadata:s:s:0 language=fra -metadata:s:s:1 language=eng", "in.mkv")
    for args, expected in (
            ((), ["eng", "ger", "", "fre", "eng"]),
            (("--audio", "all", "--subtitles", "all"), ["eng", "ger", "", "fre", "eng"]),
            (("--audio", "de", "--subtitles", "none"), ["ger"]),
            (("--audio", "deu", "--subtitles=none"), ["ger"]),
            (("--audio", "GER,eng", "--subtitles", "fr"), ["eng", "ger", "fre"]),
            (("--audio", "und,1", "--subtitles", "2"), ["eng", "", "eng"]),
            (("--audio", "fin,eng", "--subtitles", "none"), ["eng"]),
            (("--audio", "none", "--subtitles", "none"), [])):
        check_durable(wbremux("--force", *args, "in.mkv", "out.mkv"))
        made = streams("out.mkv")
        check([s.get("tag:language", "") for s in made[1:]] == expected, f"{args}: {made}")
    check_durable(wbremux("--force", "--video", "none", "--subtitles", "none", "in.mkv", "out.mkv"))
    check({s["codec_type"] for s in streams("out.mkv")} == {"audio"}, "video was kept")
    os.remove("out.mkv")
    refused(("--audio", "fin", "in.mkv", "out.mkv"), ["in.mkv", 'no audio track "fin"', "deu", "eng"])
    refused(("--subtitles", "3", "in.mkv", "out.mkv"), ["in.mkv", 'no subtitle track "3"'])
    refused(("--video", "none", "--audio", "none", "--subtitles", "none", "in.mkv", "out.mkv"),
            ["in.mkv", "asked for"])


def bad_lists():
    for args in (("--audio", ""), ("--audio", "e"), ("--audio", "engl"), ("--subtitles", "all,eng"),
                 ("--video", "0"), ("--audio", "eng,,deu"), ("--audio", "en1"),
                 ("--subtitles", "none,1")):
        refused((*args, "in.mkv", "out.mkv"), [args[0]], code=2)


def titles():
    """Also with spaces, quotes and what is not ASCII."""
    film, track = 'Der "Film": \u00fc \\ \u266b', "Director & Crew"
    two_tracks("plain.mkv", H264, "ac3", "ac3", "-f matroska")
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", "plain.mkv", "-map", "0", "-c", "copy",
                    "-metadata", f"title={film}", "-metadata:s:a:1", f"title={track}", "in.mkv"],
                   check=True)
    check_durable(wbremux("in.mkv", "out.mkv"))
    probed = json.loads(subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "format_tags:stream_tags", "-of", "json", "out.mkv"],
        capture_output=True, text=True).stdout)
    check(lower(probed["format"]["tags"])["title"] == film, f"{probed}")
    tags = [lower(s.get("tags", {})) for s in probed["streams"]]
    check(tags[2]["title"] == track, f"{probed}")
    check([t.get("language") for t in tags[1:]] == ["eng", "ger"], f"{probed}")
    check_accepted("out.mkv")


def lower(tags):
    return {key.lower(): value for key, value in tags.items()}


def chapters():
    """They are kept, with their names, and those of each input lie in its part."""
    names = ('Eins "1" & ü', "Zwei", "Drei")
    two_tracks("plain.mkv", H264, "ac3", "ac3", "-f matroska")
    with open("meta", "w") as file:
        file.write(";FFMETADATA1\n" + "".join(
            f"[CHAPTER]\nTIMEBASE=1/10\nSTART={start}\nEND={end}\ntitle={name}\n"
            for start, end, name in zip((0, 25, 50), (25, 50, 80), names)))
    ffmpeg("-i plain.mkv -i meta -map 0 -map_metadata 0 -map_chapters 1 -c copy in.mkv")
    of_one = list(zip((0, 2.5, 5), names))
    check_durable(wbremux("in.mkv", "out.mkv"))
    check_chapters("out.mkv", of_one, slack=0)
    check_durable(wbremux("--force", "out.mkv", "again.mkv"))
    check_chapters("again.mkv", of_one, slack=0)
    check_durable(wbremux("--force", "in.mkv", "plain.mkv", "in.mkv", "out.mkv"))
    check_chapters("out.mkv", of_one + [(time + 16, name) for time, name in of_one])
    check_durable(wbremux("--force", "plain.mkv", "out.mkv"))
    check_chapters("out.mkv", [])
    check_durable(wbremux("in.mkv", "out.mp4"))
    found = subprocess.run(["ffprobe", "-v", "error", "-show_chapters", "-of", "compact", "out.mp4"],
                           capture_output=True, text=True).stdout
    check(all(name in found.replace('\\"', '"') for name in names), found)
    check_durable(wbremux("--force", "--chapters=2-3", "in.mkv", "out.mkv"))
    check([name for _, name in chapters_of("out.mkv")] == list(names[1:]), f"{chapters_of('out.mkv')}")
    check(5.4 < max(times("out.mkv", "a:0")) < 6.1, f"{max(times('out.mkv', 'a:0'))}")
    check_durable(wbremux("--force", "--chapters=2", "in.mkv", "out.mkv"))
    check(2.4 < max(times("out.mkv", "a:0")) < 3.1, f"{max(times('out.mkv', 'a:0'))}")
    os.remove("out.mkv")
    refused(("--chapters=2-4", "in.mkv", "none.mkv"), ["in.mkv", "has no chapter 4"])
    refused(("--chapters=3-2", "in.mkv", "none.mkv"), ["--chapters=3-2"], code=2)


# --- formats -----------------------------------------------------------------------------

def formats():
    """Each container from each container: every packet, every picture, and times
    of decoding that never go back, where the container has them."""
    two_tracks("in.ts", H264, "ac3", "aac", TS, seconds=3)
    two_tracks("in.mkv", H264, "ac3", "aac", "-f matroska", seconds=3)
    two_tracks("in.mp4", H264, "ac3", "aac", "-f mp4", seconds=3)
    probed = {"mp4": "mp4", "mov": "mov", "ts": "mpegts", "m2ts": "mpegts", "mkv": "matroska"}
    for source in ("in.ts", "in.mkv", "in.mp4"):
        expected = frames(source)
        for extension, name in probed.items():
            out = f"{source}.{extension}"
            check_durable(wbremux(source, out))
            check(frames(out) == expected, f"{source} to {extension}: pictures")
            check(len(streams(out)) == 3, f"{source} to {extension}: {streams(out)}")
            check(name in format_of(out), f"{out} is {format_of(out)}")
            check_decoding(out)
    check_durable(wbremux("in.ts", "in.mkv", "in.mp4", "out.mp4"))
    check(frames("out.mp4") == frames("in.ts") + frames("in.mkv") + frames("in.mp4"), "chain")
    check_decoding("out.mp4")


H265 = "-c:v libx265 -preset ultrafast -x265-params log-level=none:bframes=3:keyint=25"
MPEG4 = "-c:v mpeg4 -bf 2 -g 15 -b:v 1M"


def times_of_decoding():
    """Matroska has none: the other containers get them, whatever the coding."""
    for video, extensions in ((H265, "mp4 mov ts mkv"), (MPEG4, "mp4 mov ts mkv"),
                              ("-c:v mpeg2video -bf 2 -g 15 -b:v 1M", "ts mkv")):
        two_tracks("in.mkv", video, "ac3", "aac", "-f matroska", seconds=3)
        expected, packets = frames("in.mkv"), counts("in.mkv")
        for extension in extensions.split():
            out = f"out.{extension}"
            result = wbremux("--force", "in.mkv", out)
            check(result.code == 0, f"{video} to {extension}: {result.err}")
            check(frames(out) == expected, f"{video} to {extension}: pictures")
            check(counts(out)[2] == packets[2], f"{video} to {extension}: {counts(out)}")
            check_decoding(out)
            check_steady(out, "v:0", 0.04, 0.0)


def entered_anywhere():
    """The second half of a transport stream can be played on its own."""
    for video in (H264, H265, MPEG4):
        two_tracks("in.mkv", video, "ac3", "aac", "-f matroska", seconds=3)
        check(wbremux("--force", "in.mkv", "out.ts").code == 0, "remux")
        cut("out.ts", os.path.getsize("out.ts") // 2 // 188 * 188, "1.ts", "2.ts")
        late = [frame for frame in frames("2.ts") if frame in frames("in.mkv")]
        check(len(late) >= 20, f"{video}: {len(late)} pictures")


def format_of(path):
    return subprocess.run(["ffprobe", "-v", "error", "-show_entries", "format=format_name",
                           "-of", "csv=p=0", path], capture_output=True, text=True).stdout


def check_decoding(path):
    out = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries",
         "packet=pts_time,dts_time", "-of", "csv=p=0", path],
        capture_output=True, text=True).stdout
    rows = [[float(v) for v in line.strip(",").split(",")] for line in out.splitlines()
            if "N/A" not in line and line.strip()]
    check(all(b[1] >= a[1] for a, b in zip(rows, rows[1:])), f"{path}: decoding goes back")
    check(all(pts >= dts - 0.0015 for pts, dts in rows), f"{path}: shown before it is decoded")


def webm():
    ffmpeg("-f lavfi -i testsrc2=size=160x120:rate=25:duration=3", TONE.format(3, 440),
           "-c:v libvpx -deadline realtime -cpu-used 8 -c:a libopus in.mkv")
    check_durable(wbremux("in.mkv", "out.webm"))
    same_tracks("in.mkv", "out.webm", exact=("video", "audio"))
    two_tracks("h264.ts", H264, "ac3", "mp2", TS)
    check_refused(wbremux("h264.ts", "h264.webm"), "h264.ts", "no place for it")


def vp9():
    ffmpeg("-f lavfi -i testsrc2=size=160x120:rate=25:duration=2", TONE.format(2, 440),
           "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a aac in.mkv")
    for out in ("out.mp4", "out.mkv"):
        check_durable(wbremux("in.mkv", out))
        check(frames(out) == frames("in.mkv"), f"{out}: pictures")
    os.remove("out.mkv")
    refused(("in.mkv", "out.mov"), ["in.mkv", "vp9 only supported in MP4"])


def one_track():
    """No container: nothing there has a name for the track."""
    ffmpeg(TONE.format(3, 440), "-c:a libmp3lame in.mp3")
    ffmpeg(TONE.format(3, 440), "-c:a flac in.flac")
    for name in ("in.mp3", "in.flac"):
        check_durable(wbremux("--force", name, "out.mkv"))
        check(len(streams("out.mkv")) == 1, "tracks")


def no_end_of_pads():
    """flvdemux does not say when it has shown all of its tracks."""
    two_tracks("av.mkv", "-c:v flv -g 25", "libmp3lame", "libmp3lame", "-f matroska", seconds=2)
    ffmpeg("-i av.mkv -map 0:v -map 0:a:0 -c copy in.flv")
    check_durable(wbremux("--video=none", "in.flv", "out.mkv"))
    check([s["codec_name"] for s in streams("out.mkv")] == ["mp3"], f"{streams('out.mkv')}")


def picture_does_not_fit():
    """A film that would have no picture is an error, unless that is asked for."""
    two_tracks("in.mkv", "-c:v ffv1", "ac3", "aac", "-f matroska", seconds=2)
    refused(("in.mkv", "out.mp4"), ["in.mkv", "no place for it", "--video=none"])
    check(not os.path.exists("out.mp4"), "a file was left")
    check_durable(wbremux("--video=none", "in.mkv", "out.mp4"))
    check([s["codec_type"] for s in streams("out.mp4")] == ["audio"] * 2, f"{streams('out.mp4')}")


def frames_without_times():
    """AVI tells when a frame is decoded only: what is shown when is found out."""
    for video in (H264, MPEG4 + " -vtag XVID"):
        two_tracks("whole.mkv", video, "libmp3lame", "ac3", "-f matroska", seconds=4)
        two_tracks("in.avi", video, "libmp3lame", "ac3", "-f avi", seconds=4)
        check_durable(wbremux("--force", "in.avi", "out.mkv"))
        check(frames("out.mkv") == frames("whole.mkv"), f"{video}: pictures")
        check_steady("out.mkv", "v:0", 0.04, 0.0)
        picture, sound = times("out.mkv", "v:0")[0], times("out.mkv", "a:0")[0]
        check(abs(picture - sound) <= 0.12, f"{video}: {picture} {sound}")


def silence_in_mp4():
    """A muxer of the other kind waits for no silent track either."""
    two_tracks("long.ts", H264, "ac3", "ac3", TS, seconds=30)
    without("long.ts", "in.ts", 0x102, lambda n, all: n < all // 6 or n > all * 5 // 6)
    result = wbremux("in.ts", "out.mp4")
    check(result.code == 0, result.err)
    check(frames("out.mp4") == frames("in.ts"), "pictures")


def muxers():
    two_tracks("in.ts", H264, "ac3", "aac", TS)
    for word, name in (("mkv", "matroska"), ("MP4", "mp4"), ("matroska", "matroska"),
                       ("avi", "avi")):
        check_durable(wbremux("--force", "--muxer", word, "in.ts", "out.bin"))
        check(name in format_of("out.bin"), f"{word}: {format_of('out.bin')}")
    for args in (("in.ts", "out.bin2"), ("in.ts", "out"), ("in.ts", "x.mkv/out"),
                 ("-m", "nomux", "in.ts", "out.mkv"), ("-m", "image2", "in.ts", "out.mkv")):
        refused(args, [], code=2)


CASES = [two_streams, long_sound, cut_ts, cut_m2ts_in_three, cut_vob, not_a_cut,
         other_containers, other_parameters, second_lacks_audio, second_has_late_audio,
         cannot_follow, second_is_bad, second_is_truncated, output_is_second_input, uris, http_uri, languages, bad_lists, titles, chapters, formats,
         times_of_decoding, entered_anywhere, webm, vp9, one_track, no_end_of_pads,
         picture_does_not_fit, frames_without_times, silence_in_mp4, muxers]

if __name__ == "__main__":
    sys.exit(main(CASES))
