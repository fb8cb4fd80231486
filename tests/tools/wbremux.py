#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""wbremux as a user runs it: good input, bad input, bad output, signals.

Usage: wbremux.py WBREMUX [CASE...]. Speaks TAP. The plugin is found through
GST_PLUGIN_PATH.
"""

import fcntl
import os
import random
import re
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from media import *  # noqa: E402, F403

# --- good input ---------------------------------------------------------------

def ts_188():
    two_tracks("in.ts", H264, "ac3", "aac", "-f mpegts")
    check_durable(wbremux("in.ts", "out.mkv"))
    source, made = streams("in.ts"), streams("out.mkv")
    check([s["nb_read_packets"] for s in source] == [s["nb_read_packets"] for s in made],
          f"{source} {made}")
    check(source[1]["hash"] == made[1]["hash"], "AC-3 differs")
    check(decoded("in.ts") == decoded("out.mkv"), "video differs")
    check([s.get("tag:language") for s in made[1:]] == ["eng", "ger"], f"{made}")
    check("tag:language" not in made[0], "a language was made up")
    check_accepted("out.mkv")
    check_seekable("out.mkv")


def ts_192():
    two_tracks("in.m2ts", H264, "ac3", "eac3", "-mpegts_m2ts_mode 1 -f mpegts")
    check_durable(wbremux("in.m2ts", "out.mkv"))
    same_tracks("in.m2ts", "out.mkv")
    check(decoded("in.m2ts") == decoded("out.mkv"), "video differs")
    check_accepted("out.mkv")


def disc_lpcm_and_dts():
    """LPCM comes out of its packets sample by sample."""
    two_tracks("in.m2ts", H264, "pcm_bluray", "dca -strict -2",
               "-ac 2 -mpegts_m2ts_mode 1 -f mpegts")
    check_durable(wbremux("in.m2ts", "out.mkv"))
    source, made = streams("in.m2ts"), streams("out.mkv")
    check(made[2]["codec_name"] == "dts" and made[2]["hash"] == source[2]["hash"], f"{made}")
    check(made[1]["codec_name"].startswith("pcm_"), f"{made}")


def mpeg2_ts():
    two_tracks("in.ts", MPEG2, "ac3", "mp2", "-f mpegts")
    check_durable(wbremux("in.ts", "out.mkv"))
    same_tracks("in.ts", "out.mkv", exact=("video", "audio"))


def dvd():
    """All pictures, though most have no timestamp; evenly spaced."""
    two_tracks("in.vob", MPEG2, "ac3", "mp2", "-f vob", seconds=20)
    check_durable(wbremux("in.vob", "out.mkv"))
    same_tracks("in.vob", "out.mkv", exact=("video", "audio"))
    shown = times("out.mkv", "v:0")
    steps = {round(b - a, 3) for a, b in zip(shown, shown[1:])}
    check(steps == {0.04}, f"steps {steps}")
    check_accepted("out.mkv")


def dvd_late_subtitles():
    """Subtitles that begin after the two seconds in which the demuxer looks."""
    two_tracks("plain.vob", MPEG2, "ac3", "mp2", "-f vob", seconds=20)
    add_subtitles("plain.vob", "in.vob", [(8, 0x20), (9, 0x21), (15, 0x20), (16, 0x21)])
    check_durable(wbremux("in.vob", "out.mkv"))
    made = [s for s in streams("out.mkv") if s["codec_type"] == "subtitle"]
    check([s["codec_name"] for s in made] == ["dvd_subtitle"] * 2, f"{made}")
    check([s["nb_read_packets"] for s in made] == ["2", "2"], f"{made}")
    check(abs(times("out.mkv", "s:0")[0] - 8) < 1, f"{times('out.mkv', 's:0')}")
    check_accepted("out.mkv")


def mkv_with_text():
    with open("text.srt", "w") as file:
        file.write("1\n00:00:01,000 --> 00:00:02,000\nTom & <i>Jerry</i>\n\n"
                   "2\n00:00:04,000 --> 00:00:05,500\nFish & Chips 1 < 2\n")
    two_tracks("plain.mkv", H264, "flac", "libopus", "-f matroska")
    ffmpeg("-i plain.mkv -i text.srt -map 0 -map 1 -map 1 -c copy -c:s:0 srt -c:s:1 ass",
           "-metadata:s:s:0 language=fra", "in.mkv")
    check_durable(wbremux("in.mkv", "out.mkv"))
    same_tracks("in.mkv", "out.mkv")
    check(streams("out.mkv")[3].get("tag:language") == "fre", "language lost")
    text = subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", "out.mkv", "-map",
                           "0:s:0", "-f", "srt", "-"], capture_output=True, text=True).stdout
    check("Tom & <i>Jerry</i>" in text and "Fish & Chips" in text, text)
    for stream in ("v:0", "a:0", "a:1"):
        a, b = times("in.mkv", stream), times("out.mkv", stream)
        check(all(abs(x - y) < 0.002 for x, y in zip(a, b)), f"{stream} moved")


def mp4():
    two_tracks("in.mp4", H264, "aac", "aac", "-f mp4")
    check_durable(wbremux("in.mp4", "out.mkv"))
    source, made = streams("in.mp4"), streams("out.mkv")
    check(len(made) == 3, f"{made}")
    check(source[0]["nb_read_packets"] == made[0]["nb_read_packets"], f"{made}")
    check(decoded("in.mp4") == decoded("out.mkv"), "video differs")
    for a, b in zip(source[1:], made[1:]):
        check(a["nb_read_packets"] == b["nb_read_packets"] and a["hash"] == b["hash"], f"{a} {b}")


def hevc():
    two_tracks("in.ts", "-c:v libx265 -preset ultrafast -x265-params log-level=none",
               "ac3", "libmp3lame", "-f mpegts")
    check_durable(wbremux("in.ts", "out.mkv"))
    check(decoded("in.ts") == decoded("out.mkv"), "video differs")
    check(len(streams("out.mkv")) == 3, "tracks")


# --- silence ------------------------------------------------------------------

def long_ts(path):
    two_tracks(path, "-c:v mpeg2video -b:v 1M", "ac3", "mp2", "-f mpegts", seconds=60)


def late_audio():
    long_ts("long.ts")
    without("long.ts", "in.ts", 0x102, lambda n, all: n > all // 2)
    result = wbremux("in.ts", "out.mkv")
    check(result.code == 0, result.err)
    made = streams("out.mkv")
    check(len(made) == 3, f"{made}")
    check(made[0]["nb_read_packets"] == "1500", f"{made}")
    check(made[1]["hash"] == streams("long.ts")[1]["hash"], "the other track suffered")
    check(1200 < int(made[2]["nb_read_packets"]) <= 1250, f"{made}")
    check(28 < times("out.mkv", "a:1")[0] < 32, "it moved")
    check_accepted("out.mkv")


def silent_audio():
    long_ts("long.ts")
    without("long.ts", "in.ts", 0x102, lambda n, all: False)
    result = wbremux("in.ts", "out.mkv")
    check_durable(result)
    check(re.search(r"^left out: audio .*it has no data", result.out, re.M), result.out)
    made = streams("out.mkv")
    check([s["nb_read_packets"] for s in made] == ["1500", "1875"], f"{made}")


def audio_pauses():
    long_ts("long.ts")
    without("long.ts", "in.ts", 0x102, lambda n, all: n < all // 6 or n > all * 5 // 6)
    result = wbremux("in.ts", "out.mkv")
    check(result.code == 0, result.err)
    made = streams("out.mkv")
    check(made[0]["nb_read_packets"] == "1500", f"{made}")
    check(made[1]["nb_read_packets"] == "1875", f"{made}")


def left_out():
    """One line, and an exit status of its own; --strict writes nothing. What was not
    asked for is not missed."""
    with open("text.srt", "w") as file:
        file.write("1\n00:00:01,000 --> 00:00:02,000\nText\n")
    two_tracks("plain.mkv", H264, "ac3", "aac", "-f matroska")
    ffmpeg("-i plain.mkv -i text.srt -map 0 -map 1 -c copy -c:s ass in.mkv")
    result = wbremux("in.mkv", "out.ts")
    check_incomplete(result)
    check(re.search(r"^left out: subtitle 1: ass.*no place for it$", result.out, re.M), result.out)
    check(len(streams("out.ts")) == 3, "tracks")
    check_refused(wbremux("--strict", "in.mkv", "strict.ts"), "in.mkv", "--strict, and subtitle 1")
    check(not os.path.exists("strict.ts") and not os.path.exists("strict.ts.part"), "left behind")
    check_durable(wbremux("--strict", "--subtitles=none", "in.mkv", "strict.ts"))
    check_durable(wbremux("--strict", "in.mkv", "strict.mkv"))


# --- bad input ----------------------------------------------------------------

def missing_input():
    check_refused(wbremux("none.ts", "out.mkv"), "none.ts", "No such file or directory")
    check_left()


def unreadable_input():
    if os.geteuid() == 0:
        raise Skip("root can read everything")
    open("in.ts", "w").write("x")
    os.chmod("in.ts", 0)
    check_refused(wbremux("in.ts", "out.mkv"), "in.ts", "Permission denied")
    check_left("in.ts")


def directory_as_input():
    os.mkdir("dir")
    check_refused(wbremux("dir", "out.mkv"), "dir", "without a disc")
    check_left("dir")


def pipes_as_input():
    """Standard input and a named pipe; one that nobody writes to is given up."""
    two_tracks("in.ts", H264, "ac3", "mp2", "-f mpegts", seconds=3)
    with open("in.ts", "rb") as file:
        check_durable(wbremux("-", "stdin.mkv", stdin=file))
    same_tracks("in.ts", "stdin.mkv")
    os.mkfifo("pipe")
    writer = subprocess.Popen(["cp", "in.ts", "pipe"])
    check_durable(wbremux("pipe", "pipe.mkv"))
    check(writer.wait(TIMEOUT) == 0, "the writer failed")
    same_tracks("in.ts", "pipe.mkv")
    os.remove("pipe.mkv")
    began = time.monotonic()
    check_refused(wbremux("--timeout=1", "pipe", "pipe.mkv"), "nothing has come")
    check(time.monotonic() - began < 15, "it took long")
    check_left("in.ts", "pipe", "stdin.mkv")


def silent_pipe():
    """A source that stops in the middle: what came is kept."""
    big()
    data = open("in.ts", "rb").read()
    os.mkfifo("pipe")
    process = subprocess.Popen([WBREMUX, "--timeout=2", "pipe", "out.mkv"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    with open("pipe", "wb") as pipe:
        pipe.write(data[:len(data) * 9 // 10])
        pipe.flush()
        out, err = process.communicate(timeout=TIMEOUT)
    check(process.returncode == 1 and "nothing has come for" in err, f"{process.returncode} {err}")
    check(int(streams("out.mkv")[0]["nb_read_packets"]) > 500, f"{streams('out.mkv')}")
    check_accepted("out.mkv")


def empty_input():
    open("in.ts", "w").close()
    check_refused(wbremux("in.ts", "out.mkv"), "in.ts", "empty")
    check_left("in.ts")


def garbage():
    for name, data in (("random", noise(3000000)), ("zeros", bytes(500000)),
                       ("text", b"no film\n" * 1000), ("pack", b"\0\0\1\xba" + noise(99999)),
                       ("sync", b"\x47" + bytes(187)) * 1):
        with open("in.ts", "wb") as file:
            file.write(data * (1000 if name == "sync" else 1))
        check_refused(wbremux("in.ts", "out.mkv"), "in.ts")
        check_left("in.ts")


def nothing_fits():
    with open("in.srt", "w") as file:
        file.write("1\n00:00:01,000 --> 00:00:02,000\nText\n")
    check_refused(wbremux("in.srt", "out.ts"), "in.srt", "has no track that can be kept")
    check_left("in.srt")


def truncated():
    """What is declared and did not come is told, and the exit status tells."""
    two_tracks("whole.mkv", H264, "ac3", "mp2", "-f matroska")
    size = os.path.getsize("whole.mkv")
    with open("in.mkv", "wb") as file:
        file.write(open("whole.mkv", "rb").read()[:size // 2 + 1])
    result = wbremux("in.mkv", "out.mkv")
    check_incomplete(result)
    check(len(result.lines) == 1 and "before it should" in result.err, result.err)
    check(len(streams("out.mkv")) == 3, "tracks")
    check_accepted("out.mkv")

    # One that begins late, as the declared end counts: nothing is missing.
    two_tracks("late.mkv", H264, "ac3", "mp2", "-output_ts_offset 60 -f matroska")
    result = wbremux("late.mkv", "late-out.mkv")
    check(result.code == 0 and result.err == "", result.err)
    check_accepted("late-out.mkv")

    # Its table is at the end; at the beginning it is enough.
    two_tracks("whole.mp4", H264, "aac", "aac", "-f mp4")
    with open("in.mp4", "wb") as file:
        file.write(open("whole.mp4", "rb").read()[:100000])
    check_refused(wbremux("in.mp4", "out2.mkv"), "in.mp4")
    check(not os.path.exists("out2.mkv"), "half a file was left")
    ffmpeg("-i whole.mp4 -map 0 -c copy -movflags faststart fast.mp4")
    data = open("fast.mp4", "rb").read()
    for n in range(1, 8):
        with open("in.mp4", "wb") as file:
            file.write(data[:len(data) * n // 8])
        result = wbremux("--force", "in.mp4", "out2.mkv")
        check(result.code in (1, 4), f"{n}/8: {result.code} {result.err}")
        check(result.lines, "nothing was said")


def damaged():
    two_tracks("whole.ts", H264, "ac3", "mp2", "-f mpegts")
    data = bytearray(open("whole.ts", "rb").read())
    for at in range(len(data) // 3, len(data) // 3 + 20000):
        data[at] = at * 7 & 0xff
    open("in.ts", "wb").write(data)
    result = wbremux("in.ts", "out.mkv")
    check(result.code in (0, 1), f"{result.code} {result.err}")
    check(len(streams("out.mkv")) == 3, "tracks")
    check_accepted("out.mkv")


# --- bad output ---------------------------------------------------------------

def output_in_missing_directory():
    small()
    check_refused(wbremux("in.ts", "none/out.mkv"), "none/out.mkv", "No such file or directory")
    check_left("in.ts")


def output_is_directory():
    small()
    os.mkdir("out.mkv")
    for args in ((), ("--force",)):
        check_refused(wbremux(*args, "in.ts", "out.mkv"), "out.mkv", "Is a directory")
    check_left("in.ts", "out.mkv")


def output_without_permission():
    if os.geteuid() == 0:
        raise Skip("root can write everything")
    small()
    os.mkdir("dir", 0o555)
    check_refused(wbremux("in.ts", "dir/out.mkv"), "dir/out.mkv", "Permission denied")


def output_is_input():
    small()
    before = open("in.ts", "rb").read()
    os.link("in.ts", "hard.mkv")
    os.symlink("in.ts", "soft.mkv")
    for name in ("in.ts", "./in.ts", "hard.mkv", "soft.mkv"):
        check_refused(wbremux("--force", "in.ts", name), "is the input")
    os.link("in.ts", "new.mkv.part")
    check_refused(wbremux("--force", "in.ts", "new.mkv"), "is the input")
    check(open("in.ts", "rb").read() == before, "the input was changed")


def output_exists():
    small()
    open("out.mkv", "w").write("mine")
    check_refused(wbremux("in.ts", "out.mkv"), "out.mkv", "exists already")
    check(open("out.mkv").read() == "mine", "it was changed")
    check_durable(wbremux("--force", "in.ts", "out.mkv"))
    check(len(streams("out.mkv")) == 3, "tracks")
    check_left("in.ts", "out.mkv")


def output_is_link():
    small()
    open("target.mkv", "w").write("old")
    os.symlink("target.mkv", "out.mkv")
    check_durable(wbremux("--force", "in.ts", "out.mkv"))
    check(os.path.islink("out.mkv") and os.path.getsize("target.mkv") > 1000, "not followed")


def output_is_pipe():
    small()
    os.mkfifo("out.mkv")
    check_refused(wbremux("--force", "in.ts", "out.mkv"), "out.mkv", "not a regular file")


def part_of_another():
    small()
    with open("out.mkv.part", "w") as part:
        part.write("another's")
        part.flush()
        check_refused(wbremux("in.ts", "out.mkv"), "out.mkv.part", "exists already")
        fcntl.flock(part, fcntl.LOCK_EX)
        check_refused(wbremux("--force", "in.ts", "out.mkv"), "out.mkv.part", "another wbremux")
    check(open("out.mkv.part").read() == "another's", "it was changed")
    check_durable(wbremux("--force", "in.ts", "out.mkv"))
    check_left("in.ts", "out.mkv")


def limited_size():
    """No room for the file: as a full disk, without needing one."""
    import resource
    small()
    result = wbremux("in.ts", "out.mkv", preexec_fn=lambda: resource.setrlimit(
        resource.RLIMIT_FSIZE, (100000, 100000)))
    check_refused(result, "out.mkv")
    check_left("in.ts")


def usage():
    for args in ((), ("a",), ("a", "b", "c"), ("--no-such-option",)):
        result = wbremux(*args)
        check(result.code == 2 and len(result.lines) == 1, f"{args} {result.code} {result.err}")
    check(wbremux("--help").code == 0 and wbremux("--version").code == 0, "help")


def odd_names():
    small()
    os.mkdir("a dir")
    os.rename("in.ts", "a dir/ü %s in.ts")
    check_durable(wbremux("a dir/ü %s in.ts", "a dir/out \u266b.mkv"))
    name = os.fsdecode(b"a dir/\xff.mkv")
    check_durable(wbremux("a dir/ü %s in.ts", name))
    check(os.path.exists(name), "not there")


# --- signals ------------------------------------------------------------------

def interrupt(signals):
    """Sends them as soon as data is on its way."""
    process = subprocess.Popen([WBREMUX, "in.ts", "out.mkv"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 20
    while time.monotonic() < end and process.poll() is None:
        if os.path.exists("out.mkv.part") and os.path.getsize("out.mkv.part") > 0:
            break
        time.sleep(0.002)
    for number in signals:
        process.send_signal(number)
        time.sleep(0.001)
    out, err = process.communicate(timeout=TIMEOUT)
    return Result(process.returncode, out, err)


def interrupted_once():
    big()
    result = interrupt([signal.SIGINT])
    if result.code == 0:
        raise Skip("it was done before the signal came")
    check(result.code == 130, f"{result.code} {result.err}")
    check("durable" in result.out, result.out)
    check_left("in.ts", "out.mkv")
    check(len(streams("out.mkv")) == 3, "tracks")
    check(0 < int(streams("out.mkv")[0]["nb_read_packets"]) < 1500, "length")
    check_accepted("out.mkv")


def interrupted_twice():
    big()
    result = interrupt([signal.SIGINT, signal.SIGTERM])
    if result.code in (0, 130):
        raise Skip("it was done before the second signal came")
    check(result.code == 1, f"{result.code} {result.err}")
    check_left("in.ts")


CASES = [ts_188, ts_192, disc_lpcm_and_dts, mpeg2_ts, dvd, dvd_late_subtitles,
         mkv_with_text, mp4, hevc, late_audio, silent_audio, audio_pauses, left_out,
         missing_input, unreadable_input, directory_as_input, pipes_as_input, silent_pipe, empty_input,
         garbage, nothing_fits, truncated, damaged, output_in_missing_directory,
         output_is_directory, output_without_permission, output_is_input, output_exists,
         output_is_link, output_is_pipe, part_of_another, limited_size, usage, odd_names,
         interrupted_once, interrupted_twice]


if __name__ == "__main__":
    sys.exit(main(CASES))
