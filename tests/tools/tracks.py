#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tracks and their times: what a file has beside pictures and sound, what comes
late, and clocks that begin anew.

Usage: tracks.py WBREMUX [CASE...]. Speaks TAP.
"""

import json
import subprocess
import sys

sys.dont_write_bytecode = True
from media import *  # noqa: E402, F403

TS = "-f mpegts"


def identify(path):
    need("mkvmerge")
    return json.loads(subprocess.run(["mkvmerge", "-J", path], capture_output=True, text=True).stdout)


def everything():
    """Flags, titles, languages, HDR, attachments, cover, WebVTT with its settings: as
    mkvmerge sees them on both sides."""
    need("mkvmerge")
    two_tracks("film.mkv", H264, "ac3", "aac", "-f matroska", seconds=3)
    ffmpeg("-f lavfi -i testsrc2=size=64x64 -frames:v 1 cover.jpg")
    open("font.ttf", "w").write("no font")
    open("a.srt", "w").write("1\n00:00:01,000 --> 00:00:02,000\nHi <i>x</i>\n")
    open("b.vtt", "w").write("WEBVTT\n\n00:00.500 --> 00:01.000 line:10%\none\n\nid2\n00:01.500 --> 00:02.000\ntwo\n")
    subprocess.run(
        ["mkvmerge", "-q", "-o", "in.mkv", "--title", "A title", "--default-track-flag", "1:0",
         "--hearing-impaired-flag", "1:1", "--commentary-flag", "2:1", "--forced-display-flag", "2:1",
         "--track-name", "1:Director", "--max-content-light", "0:1000", "--max-frame-light", "0:400",
         "--max-luminance", "0:1000", "--min-luminance", "0:0.005", "--chromaticity-coordinates",
         "0:0.68,0.32,0.265,0.69,0.15,0.06", "--white-colour-coordinates", "0:0.3127,0.3290", "film.mkv",
         "--language", "0:fra", "a.srt", "--language", "0:de", "b.vtt", "--attach-file", "font.ttf",
         "--attachment-mime-type", "image/jpeg", "--attach-file", "cover.jpg"], check=True)
    check_durable(wbremux("in.mkv", "out.mkv"))
    given, made = identify("in.mkv"), identify("out.mkv")
    check(not made["errors"] and not made["warnings"], f"{made['errors']} {made['warnings']}")
    check(made["container"]["properties"]["title"] == "A title", f"{made['container']}")
    check([(a["file_name"], a["size"]) for a in given["attachments"]]
          == [(a["file_name"], a["size"]) for a in made["attachments"]], f"{made['attachments']}")
    names = ("language", "track_name", "default_track", "forced_track", "flag_hearing_impaired",
             "flag_commentary", "max_luminance", "min_luminance", "max_content_light", "max_frame_light",
             "chromaticity_coordinates", "white_color_coordinates", "pixel_dimensions", "display_dimensions")
    for a, b in zip(given["tracks"], made["tracks"]):
        for name in names:
            check(a["properties"].get(name) == b["properties"].get(name),
                  f"{a['codec']}: {name}: {a['properties'].get(name)} {b['properties'].get(name)}")
    text = open("out.mkv", "rb").read()
    check(b"line:10%" in text and b"id2" in text, "a cue's settings or name are lost")
    # Again, and into MP4 and back.
    check_durable(wbremux("out.mkv", "again.mkv"))
    check(len(streams("again.mkv")) == len(streams("out.mkv")), "tracks of the second turn")
    result = wbremux("in.mkv", "out.mp4")
    check(result.code == 4 and "font.ttf" in result.out, result.out)
    check([s["codec_name"] for s in streams("out.mp4")]
          == ["h264", "ac3", "aac", "mov_text", "mov_text", "mjpeg"], f"{streams('out.mp4')}")
    check_durable(wbremux("out.mp4", "back.mkv"))
    for name in ("in.mkv", "back.mkv"):
        srt = subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", name, "-map", "0:s:0", "-f", "srt",
                              "-"], capture_output=True, text=True).stdout
        check("Hi <i>x</i>" in srt, f"{name}: {srt}")


def selection():
    """By codec, by flag, and which is the default."""
    two_tracks("plain.mkv", H264, "ac3", "aac", "-f matroska", seconds=2)
    open("a.srt", "w").write("1\n00:00:01,000 --> 00:00:02,000\nHi\n")
    ffmpeg("-i plain.mkv -i a.srt -i a.srt -map 0 -map 1 -map 2 -c copy -disposition:s:1 forced in.mkv")
    for args, expected in ((("--audio=aac",), ["h264", "aac", "subrip", "subrip"]),
                           (("--subtitles=forced",), ["h264", "ac3", "aac", "subrip"]),
                           (("--audio=2", "--subtitles=none"), ["h264", "aac"])):
        check_durable(wbremux("--force", *args, "in.mkv", "out.mkv"))
        check([s["codec_name"] for s in streams("out.mkv")] == expected, f"{args}: {streams('out.mkv')}")
    check_durable(wbremux("--force", "--default=audio:deu,subtitles:none", "in.mkv", "out.mkv"))
    flags = [t["properties"]["default_track"] for t in identify("out.mkv")["tracks"]]
    check(flags[1:] == [False, True, False, False], f"{flags}")
    for args, code in ((("--default=audio:fin",), 1), (("--default=sound:eng",), 2), (("--default=audio",), 2),
                       (("--audio=nocodec",), 2)):
        result = wbremux(*args, "in.mkv", "none.mkv")
        check(result.code == code and len(result.lines) == 1, f"{args}: {result.code} {result.err}")


def disc_subtitles_and_lossless():
    """PGS and TrueHD, in a transport stream without a disc's tables."""
    presentation_graphics("s.sup", [(1, 2), (8, 9)])
    ffmpeg("-f lavfi -i testsrc2=size=320x240:rate=25:duration=10", TONE.format(10, 440), TONE.format(10, 880),
           "-i s.sup -map 0 -map 1 -map 2 -map 3", H264,
           "-c:a:0 truehd -strict -2 -c:a:1 dca -strict -2 -ac 2 -c:s copy -mpegts_m2ts_mode 1 -f mpegts in.m2ts")
    result = wbremux("in.m2ts", "out.mkv")
    check(result.code == 0, f"{result.code} {result.err}")
    made = streams("out.mkv")
    check([s["codec_name"] for s in made] == ["h264", "truehd", "dts", "hdmv_pgs_subtitle"], f"{made}")
    # The demuxer shows an AC-3 track beside TrueHD, where discs have one.
    for ours, theirs in (("0:a:0", "0:a:0"), ("0:a:1", "0:a:2")):
        check(hash_of("out.mkv", ours) == hash_of("in.m2ts", theirs), f"{ours} differs")
    offset = times("out.mkv", "v:0")[0] - times("in.m2ts", "v:0")[0]
    shown = times("out.mkv", "s:0")
    check(len(shown) == 4, f"{shown}")
    for time, expected in zip(shown, (1, 2, 8, 9)):
        check(any(abs(time - t - offset) <= 0.001 for t in times("in.m2ts", "s:0")), f"{time} {expected}")


def hash_of(path, stream):
    return subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", path, "-map", stream, "-c", "copy", "-f",
                           "md5", "-"], capture_output=True, text=True, check=True).stdout


def clock_begins_anew():
    """Recordings behind each other in one file: no hole and nothing twice, sound
    where it was beside its picture."""
    for number, (offset, picture) in enumerate(((500, "testsrc"), (0, "testsrc2"), (90000, "testsrc"))):
        ffmpeg(f"-f lavfi -i {picture}=size=320x240:rate=25:duration=5", TONE.format(5, 440), H264,
               f"-c:a ac3 -output_ts_offset {offset}", TS, f"{number}.ts")
    with open("in.ts", "wb") as file:
        for number in range(3):
            file.write(open(f"{number}.ts", "rb").read())
    result = wbremux("in.ts", "out.mkv")
    check(result.code == 0, result.err)
    check(len(times("out.mkv", "v:0")) == 375, f"{len(times('out.mkv', 'v:0'))}")
    check_steady("out.mkv", "v:0", 0.04, 0.0)
    check_steady("out.mkv", "a:0", 0.032, 0.032)
    beside = times("0.ts", "a:0")[0] - times("0.ts", "v:0")[0]
    sound = times("out.mkv", "a:0")
    zero = times("out.mkv", "v:0")[0]
    for part in range(3):
        check(min(abs(zero + 5 * part + beside - t) for t in sound) <= 0.0011, f"part {part}")


def clock_wraps():
    ffmpeg("-f lavfi -i testsrc2=size=320x240:rate=25:duration=6", TONE.format(6, 440), H264,
           f"-c:a ac3 -output_ts_offset {2 ** 33 / 90000 - 3}", TS, "in.ts")
    check_durable(wbremux("in.ts", "out.mkv"))
    check(len(times("out.mkv", "v:0")) == 150, "pictures")
    check_steady("out.mkv", "v:0", 0.04, 0.0)
    check_steady("out.mkv", "a:0", 0.032, 0.0)


def late_track():
    """A PID that the tables name only in the second half: found by a look there, or
    told; --scan finds what no look meets."""
    two_tracks("both.ts", "-c:v mpeg2video -b:v 4M -minrate 4M -maxrate 4M -bufsize 1M", "ac3", "mp2", TS,
               seconds=40)
    ffmpeg("-i both.ts -map 0:v -map 0:a:0 -c copy -t 20", TS, "first.ts")
    ffmpeg("-ss 20 -i both.ts -map 0 -c copy -copyts", TS, "second.ts")
    with open("in.ts", "wb") as file:
        file.write(open("first.ts", "rb").read() + open("second.ts", "rb").read())
    for args in ((), ("--scan",)):
        result = wbremux("--force", *args, "in.ts", "out.mkv")
        check(result.code == 0, result.err)
        made = streams("out.mkv")
        check(len(made) == 3 and int(made[2]["nb_read_packets"]) > 700, f"{made}")
    # For one packet only, where no look is: told, and the exit status tells.
    data = open("in.ts", "rb").read()
    size = len(data) // 188
    out = bytearray()
    for n in range(size):
        packet = data[n * 188:n * 188 + 188]
        pid = (packet[1] & 0x1f) << 8 | packet[2]
        out += packet if pid != 0x102 or abs(n - size * 0.94) < size * 0.01 else NULL
    open("rare.ts", "wb").write(out)
    found = wbremux("--scan", "rare.ts", "scanned.mkv")
    check(found.code == 0 and len(streams("scanned.mkv")) == 3, f"{found.code} {found.err}")
    missed = wbremux("rare.ts", "missed.mkv")
    check(missed.code in (0, 4), f"{missed.code} {missed.err}")
    if len(streams("missed.mkv")) < 3:
        check(missed.code == 4 and "--scan" in missed.err, missed.err)


NULL = b"\x47\x1f\xff\x10" + b"\xff" * 184


def edit_lists():
    """Sound beside the picture as the MP4's lists have it."""
    two_tracks("whole.mp4", H264, "aac", "ac3", "-f mp4", seconds=6)
    ffmpeg("-ss 1.5 -i whole.mp4 -map 0 -c copy cut.mp4")
    for name in ("whole.mp4", "cut.mp4"):
        check_durable(wbremux("--force", name, "out.mkv"))
        for stream in ("a:0", "a:1"):
            given = times(name, stream)[-1] - times(name, "v:0")[-1]
            made = times("out.mkv", stream)[-1] - times("out.mkv", "v:0")[-1]
            check(abs(given - made) <= 0.0011, f"{name} {stream}: {given} {made}")


def rotation():
    """Kept where there is a place for it, told where there is none."""
    two_tracks("plain.mp4", H264, "aac", "aac", "-f mp4", seconds=2)
    ffmpeg("-i plain.mp4 -map 0 -c copy -metadata:s:v:0 rotate=90 in.mp4")
    shown = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "stream_side_data=rotation", "-of",
                            "csv=p=0", "in.mp4"], capture_output=True, text=True).stdout
    if "90" not in shown:
        raise Skip("this ffmpeg does not turn pictures so")
    check_durable(wbremux("in.mp4", "out.mp4"))
    check("90" in subprocess.run(["ffprobe", "-v", "error", "-show_entries", "stream_side_data=rotation", "-of",
                                  "csv=p=0", "out.mp4"], capture_output=True, text=True).stdout, "it is lost")
    result = wbremux("in.mp4", "out.mkv")
    check(result.code == 0 or (result.code == 4 and "turned" in result.err), f"{result.code} {result.err}")


CASES = [everything, selection, disc_subtitles_and_lossless, clock_begins_anew, clock_wraps, late_track,
         edit_lists, rotation]

if __name__ == "__main__":
    sys.exit(main(CASES))
