# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of wbremux share: making inputs, running it, judging what it made.

Inputs are made with ffmpeg and compared with what comes out packet by packet; a
case whose tools are missing is skipped. Speaks TAP.
"""

import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True


def noise(size):
    """Bytes that are no stream of anything, the same each time"""
    return random.Random(size).randbytes(size)


WBREMUX = os.path.abspath(sys.argv[1])
TIMEOUT = 60

# Streams of 188 and 192 byte packets, and of a DVD; long enough that subtitles
# and a second soundtrack can begin after what a demuxer looks at.
TONE = "-f lavfi -i sine=frequency={1}:sample_rate=48000:duration={0}"
H264 = "-c:v libx264 -preset ultrafast -bf 2 -g 25 -pix_fmt yuv420p"
# So few bits that several pictures begin in one packet: only one has a PTS.
MPEG2 = "-c:v mpeg2video -b:v 200k -bf 2 -g 15"


class Skip(Exception):
    pass


def check(condition, text):
    if not condition:
        raise AssertionError(text)


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Skip(f"{program} is not installed")


def ffmpeg(*args):
    need("ffmpeg")
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y"]
    for arg in args:
        command += arg.split() if " " in arg else [arg]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise Skip("this ffmpeg cannot make the input: " + " ".join(result.stderr.split())[:200])


# What was made, by how it was made: encoding takes longer than all the rest.
MADE = {}
STORE = tempfile.TemporaryDirectory(prefix="wbremux-media-")


def made_once(key, path, make):
    """The file at @path, made by make(path) or as a copy of one made before."""
    if key not in MADE:
        stored = os.path.join(STORE.name, str(len(MADE)) + os.path.splitext(path)[1])
        make(stored)
        MADE[key] = stored
    shutil.copyfile(MADE[key], path)
    return path


def two_tracks(path, video, audio1, audio2, more, seconds=8, picture="testsrc2", size="320x240"):
    return made_once((video, audio1, audio2, more, seconds, picture, size), path, lambda stored: ffmpeg(
        f"-f lavfi -i {picture}=size={size}:rate=25:duration={seconds}",
        TONE.format(seconds, 440), TONE.format(seconds, 880),
        "-map 0 -map 1 -map 2", video, f"-c:a:0 {audio1}", f"-c:a:1 {audio2}",
        "-metadata:s:a:0 language=eng -metadata:s:a:1 language=deu", more, stored))


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err
        self.lines = err.splitlines()


# Where it is no terminal there is one of these a while: on a machine that is busy
# enough, in any run.
PROGRESS = re.compile(r" *\d+% +\d+:\d\d:\d\d.*\n")


def wbremux(*args, **kwargs):
    run = subprocess.run([WBREMUX, *args], capture_output=True, text=True,
                         timeout=TIMEOUT, **kwargs)
    return Result(run.returncode, run.stdout, PROGRESS.sub("", run.stderr))


def streams(path):
    """Of each stream: kind, codec, language, number of packets, hash of its data."""
    need("ffmpeg", "ffprobe")
    out = subprocess.run(
        ["ffprobe", "-v", "error", "-count_packets", "-of", "compact=p=0",
         "-show_entries", "stream=index,codec_type,codec_name,nb_read_packets:"
         "stream_tags=language", path], capture_output=True, text=True, check=True).stdout
    found = {}
    for line in out.splitlines():
        fields = dict(f.split("=", 1) for f in line.split("|") if "=" in f)
        if "index" in fields:
            found[int(fields["index"])] = fields
    hashes = subprocess.run(
        ["ffmpeg", "-nostdin", "-v", "error", "-i", path, "-map", "0", "-c", "copy",
         "-f", "streamhash", "-hash", "md5", "-"], capture_output=True, text=True).stdout
    for line in hashes.splitlines():
        number, _, value = line.split(",")
        found[int(number)]["hash"] = value
    return [found[i] for i in sorted(found)]


def decoded(path):
    """The hash of the decoded video: its packaging differs between containers."""
    return subprocess.run(
        ["ffmpeg", "-nostdin", "-v", "error", "-i", path, "-map", "0:v:0", "-f", "md5", "-"],
        capture_output=True, text=True, check=True).stdout


def times(path, stream):
    out = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", stream, "-show_entries",
         "packet=pts_time", "-of", "csv=p=0", path],
        capture_output=True, text=True, check=True).stdout
    return sorted(float(t) for t in re.findall(r"-?[\d.]+", out))


def frames(path, *before):
    """Of each picture that a viewer sees: a hash. @before: ffmpeg's options."""
    for option in ("-fps_mode", "-vsync"):  # the older name
        out = subprocess.run(
            ["ffmpeg", "-nostdin", "-v", "error", *before, "-i", path, "-map", "0:v:0", option,
             "passthrough", "-f", "framemd5", "-"], capture_output=True, text=True).stdout
        found = [line.split(",")[-1].strip() for line in out.splitlines() if line[:1] != "#"]
        if found:
            return found
    raise AssertionError(f"{path}: no pictures")


def counts(path):
    """(kind, codec, packets) of each track, in any order."""
    return sorted((s["codec_type"], s["codec_name"], int(s["nb_read_packets"]))
                  for s in streams(path))


def check_steady(path, stream, step, slack):
    """Its frames follow each other by @step seconds, and by @slack more or less
    where an input follows another one: no gap, no way back."""
    shown = times(path, stream)
    check(len(shown) > 1, f"{stream}: {shown}")
    steps = [b - a for a, b in zip(shown, shown[1:])]
    check(min(steps) > 0 and min(steps) >= step - slack - 0.0015
          and max(steps) <= step + slack + 0.0015,
          f"{stream}: steps from {min(steps):.4f} to {max(steps):.4f}")


def check_accepted(path):
    need("mkvmerge")
    result = subprocess.run(["mkvmerge", "-J", path], capture_output=True, text=True)
    check(result.returncode == 0, result.stdout[-500:])
    check('"errors": []' in result.stdout and '"warnings": []' in result.stdout,
          result.stdout[-500:])


def check_seekable(path):
    """It has cues, and begins at zero."""
    need("mkvinfo", "ffprobe")
    info = subprocess.run(["mkvinfo", "-a", path], capture_output=True, text=True).stdout
    check("Cues" in info, "no cues")
    start = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "format=start_time", "-of", "csv=p=0",
         path], capture_output=True, text=True).stdout
    check(abs(float(start)) < 0.01, f"begins at {start}")


def same_tracks(a, b, exact=("audio",)):
    """Every track of @a is in @b, in any order, with all its packets. (A broken
    first line of ffprobe's is a transport stream's programs.)"""
    a, b = streams(a), streams(b)
    check(len(a) == len(b), f"{len(a)} tracks became {len(b)}")
    for kind in ("video", "audio", "subtitle"):
        left = [s for s in a if s["codec_type"] == kind]
        right = [s for s in b if s["codec_type"] == kind]
        key = "hash" if kind in exact else "nb_read_packets"
        check([s["codec_name"] for s in left] == [s["codec_name"] for s in right],
              f"{left} {right}")
        check([s["nb_read_packets"] for s in left] == [s["nb_read_packets"] for s in right],
              f"packets: {left} {right}")
        check([s[key] for s in left] == [s[key] for s in right], f"{key}: {left} {right}")


def chapters_of(path):
    """(begin in seconds, title) of each."""
    found = json.loads(subprocess.run(
        ["ffprobe", "-v", "error", "-show_chapters", "-of", "json", path],
        capture_output=True, text=True, check=True).stdout)["chapters"]
    return [(float(c["start_time"]), c["tags"].get("title")) for c in found]


def check_chapters(path, expected, slack=0.1):
    found = chapters_of(path)
    check([title for _, title in found] == [title for _, title in expected]
          and all(abs(a - b) <= slack for (a, _), (b, _) in zip(found, expected)), f"{found}")
    check_accepted(path)


def check_durable(result):
    check(result.code == 0, f"exit {result.code}: {result.err}")
    check(re.search(r"\d MB in .* s, .* MB/s, peak dirty .* MB, durable$", result.out, re.M),
          result.out)
    check(not result.err, result.err)


def check_incomplete(result):
    """On the disk, but not all of the input is in it."""
    check(result.code == 4, f"exit {result.code}: {result.err}")
    check("durable" in result.out, result.out)


def check_refused(result, name, words=None, code=1):
    check(result.code == code, f"exit {result.code}: {result.err}")
    check(len(result.lines) == 1, f"not one line: {result.err!r}")
    check(result.lines[0].startswith("wbremux: ") and name in result.lines[0], result.err)
    if words:
        check(words in result.lines[0], result.err)
    check(not result.out, result.out)


def check_left(*names):
    check(sorted(os.listdir(".")) == sorted(names), f"left behind: {os.listdir('.')}")


def without(source, target, pid, keep):
    """Takes out packets of @pid; keep(n, all) says which stay."""
    data = open(source, "rb").read()
    packets = [data[i:i + 188] for i in range(0, len(data), 188)]
    of_pid = [i for i, p in enumerate(packets) if (p[1] & 0x1f) << 8 | p[2] == pid]
    out = {i for n, i in enumerate(of_pid) if not keep(n, len(of_pid))}
    with open(target, "wb") as file:
        file.write(b"".join(p for i, p in enumerate(packets) if i not in out))


def small():
    two_tracks("in.ts", H264, "ac3", "mp2", "-f mpegts", seconds=3)


def big():
    two_tracks("in.ts", "-c:v mpeg2video -qscale:v 1 -g 12", "ac3", "mp2", "-f mpegts",
               seconds=60)


# --- helpers for a DVD's subtitles --------------------------------------------

def subtitle_unit():
    """The smallest picture: 8 x 2 pixels, shown for two seconds."""
    pixels = bytes([0x21, 0x21])
    control = 4 + len(pixels)
    commands = bytes([0x00, 0x03, 0x32, 0x10, 0x04, 0xff, 0xf0, 0x05, 0x00, 0x00, 0x07,
                      0x00, 0x00, 0x01, 0x06, 0, 4, 0, 5, 0x01, 0xff])
    second = control + 4 + len(commands)
    first = (0).to_bytes(2, "big") + second.to_bytes(2, "big") + commands
    last = (180).to_bytes(2, "big") + second.to_bytes(2, "big") + bytes([0x02, 0xff])
    size = control + len(first) + len(last)
    return size.to_bytes(2, "big") + control.to_bytes(2, "big") + pixels + first + last


def presentation_graphics(path, times):
    """A .sup file: a bar that is shown from and until each pair of seconds."""
    pixels = bytes([1] * 8 + [0, 0]) * 2
    window = struct.pack(">BBHHHH", 1, 0, 10, 10, 8, 2)
    palette = bytes([0, 0, 1, 235, 128, 128, 255])
    picture = struct.pack(">HBB", 0, 0, 0xc0) + (4 + len(pixels)).to_bytes(3, "big") + struct.pack(
        ">HH", 8, 2) + pixels

    def segment(time, kind, data):
        return struct.pack(">2sIIBH", b"PG", int(time * 90000), 0, kind, len(data)) + data

    with open(path, "wb") as file:
        for number, (begin, end) in enumerate(times):
            shown = struct.pack(">HHBHBBBB", 320, 240, 0x10, 2 * number, 0x80, 0, 0, 1)
            shown += struct.pack(">HBBHH", 0, 0, 0, 10, 10)
            gone = struct.pack(">HHBHBBBB", 320, 240, 0x10, 2 * number + 1, 0, 0, 0, 0)
            for time, parts in ((begin, ((0x16, shown), (0x17, window), (0x14, palette), (0x15, picture))),
                                (end, ((0x16, gone), (0x17, window)))):
                file.write(b"".join(segment(time, kind, data) for kind, data in parts)
                           + segment(time, 0x80, b""))


def clock(pack):
    b = pack[4:10]
    return ((b[0] >> 3 & 7) << 30 | (b[0] & 3) << 28 | b[1] << 20 | (b[2] >> 3) << 15
            | (b[2] & 3) << 13 | b[3] << 5 | b[4] >> 3)


def timestamp(value):
    return bytes([0x21 | value >> 29 & 0xe, value >> 22 & 0xff, value >> 14 & 0xfe | 1,
                  value >> 7 & 0xff, value << 1 & 0xfe | 1])


def add_subtitles(source, target, places):
    """Puts a subtitle of a substream into a pack of its own at each (second,
    substream)."""
    data = open(source, "rb").read()
    places = list(places)
    with open(target, "wb") as file:
        for at in range(0, len(data), 2048):
            pack = data[at:at + 2048]
            is_pack = pack[:4] == b"\0\0\1\xba"
            if places and is_pack and clock(pack) >= places[0][0] * 90000:
                _, substream = places.pop(0)
                packet = (b"\x81\x80\x05" + timestamp(clock(pack) + 45000)
                          + bytes([substream]) + subtitle_unit())
                new = pack[:14] + b"\0\0\1\xbd" + len(packet).to_bytes(2, "big") + packet
                padding = 2048 - len(new) - 6
                file.write(new + b"\0\0\1\xbe" + padding.to_bytes(2, "big")
                           + b"\xff" * padding)
            file.write(pack)


def run(number, case):
    with tempfile.TemporaryDirectory(prefix="wbremux-test-") as directory:
        os.chdir(directory)
        began = time.monotonic()
        try:
            case()
            print(f"ok {number} - {case.__name__}", flush=True)
            return True
        except Skip as skip:
            print(f"ok {number} - {case.__name__} # SKIP {skip}", flush=True)
            return True
        except Exception as error:  # noqa: BLE001
            print(f"not ok {number} - {case.__name__}", flush=True)
            for line in f"{type(error).__name__}: {error}".splitlines():
                print(f"# {line}", flush=True)
            return False
        finally:
            os.chdir("/")


def main(all_cases):
    cases = [c for c in all_cases if c.__name__ in sys.argv[2:]] or all_cases
    print(f"1..{len(cases)}", flush=True)
    results = [run(n, case) for n, case in enumerate(cases, 1)]
    return 0 if all(results) else 1
