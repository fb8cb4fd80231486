#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is in is out: a hundred kinds of input, packet by packet.

Usage: matrix.py WBREMUX [CASE...]. Speaks TAP, a case a container. Each input is
put into Matroska by wbremux and by `ffmpeg -c copy`; of each track every packet's
size, hash and key flag must be the same, and its time to a millisecond. Where
ffmpeg refuses the input, the packets are compared with the input's own.
WBREMUX_TABLE names a file for the results, one line each, for the documentation.
"""

import os
import subprocess
import sys

sys.dont_write_bytecode = True
from media import *  # noqa: E402, F403

X264 = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 25"
X265 = "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=25:bframes=3 -pix_fmt yuv420p"
VIDEO = {
    "h264": X264 + " -bf 2", "h264-no-b": X264 + " -bf 0",
    "h264-intra": X264 + " -g 1", "h264-interlaced": X264 + " -bf 2 -flags +ildct+ilme -x264-params tff=1",
    "h264-10bit": "-c:v libx264 -preset ultrafast -pix_fmt yuv420p10le -bf 2",
    "h264-open-gop": "-c:v libx264 -preset veryfast -x264-params open-gop=1:keyint=12:bframes=3 -pix_fmt yuv420p",
    "hevc": X265, "hevc-10bit": X265.replace("yuv420p", "yuv420p10le"),
    "mpeg2": "-c:v mpeg2video -b:v 1M -bf 2 -g 12", "mpeg2-interlaced":
    "-c:v mpeg2video -b:v 1M -bf 2 -g 12 -flags +ildct+ilme -top 1", "mpeg1": "-c:v mpeg1video -b:v 1M -bf 2",
    "mpeg4": "-c:v mpeg4 -b:v 1M -bf 2 -g 12", "mpeg4-no-b": "-c:v mpeg4 -b:v 1M -bf 0",
    "vp8": "-c:v libvpx -deadline realtime -cpu-used 8 -b:v 500k",
    "vp9": "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 500k -auto-alt-ref 1 -lag-in-frames 5",
    "mjpeg": "-c:v mjpeg -pix_fmt yuvj420p", "ffv1": "-c:v ffv1", "theora": "-c:v libtheora -b:v 500k",
    "prores": "-c:v prores -pix_fmt yuv422p10le", "dv": "-c:v dvvideo -s 720x576 -pix_fmt yuv420p",
    "huffyuv": "-c:v huffyuv -pix_fmt yuv422p", "h263": "-c:v h263 -s 352x288", "flv1": "-c:v flv -g 12",
    "wmv2": "-c:v wmv2 -b:v 500k", "msmpeg4": "-c:v msmpeg4 -b:v 500k", "rawvideo": "-c:v rawvideo -pix_fmt yuv420p",
    "av1": "-c:v libsvtav1 -preset 12",
}
AUDIO = {
    "ac3": "-c:a ac3", "eac3": "-c:a eac3", "aac": "-c:a aac", "mp2": "-c:a mp2", "mp3": "-c:a libmp3lame",
    "dts": "-c:a dca -strict -2 -ac 2", "truehd": "-c:a truehd -strict -2 -ac 2", "flac": "-c:a flac",
    "opus": "-c:a libopus", "vorbis": "-c:a libvorbis", "alac": "-c:a alac", "s16": "-c:a pcm_s16le",
    "s24": "-c:a pcm_s24le", "s16be": "-c:a pcm_s16be", "f32": "-c:a pcm_f32le", "u8": "-c:a pcm_u8",
    "bluray": "-c:a pcm_bluray -ac 2", "mulaw": "-c:a pcm_mulaw -ar 48000", "wma": "-c:a wmav2",
    "adpcm": "-c:a adpcm_ms", "latm": "-c:a aac -mpegts_flags latm",
}
CONTAINERS = {
    "ts": [("h264", "ac3"), ("h264-no-b", "aac"), ("h264-intra", "mp2"), ("h264-interlaced", "eac3"),
           ("h264-10bit", "mp3"), ("h264-open-gop", "ac3"), ("hevc", "ac3"), ("hevc-10bit", "eac3"),
           ("mpeg2", "mp2"), ("mpeg2-interlaced", "ac3"), ("mpeg4", "aac"), ("mpeg1", "mp2"),
           ("h264", "opus"), ("h264", "dts")],
    "m2ts": [("h264", "ac3"), ("h264-interlaced", "eac3"), ("h264", "dts"), ("h264", "truehd"),
             ("h264", "bluray"), ("mpeg2", "ac3"), ("hevc-10bit", "truehd")],
    "vob": [("mpeg2", "ac3"), ("mpeg2-interlaced", "mp2"), ("mpeg2", "dts"), ("mpeg1", "mp2"), ("mpeg2", "s16be")],
    "mpg": [("mpeg1", "mp2"), ("mpeg2", "mp2")],
    "mkv": [("h264", "ac3"), ("h264-open-gop", "aac"), ("hevc", "flac"), ("hevc-10bit", "truehd"),
            ("mpeg2", "dts"), ("mpeg4", "mp3"), ("vp8", "vorbis"), ("vp9", "opus"), ("ffv1", "s24"),
            ("mjpeg", "s16"), ("theora", "vorbis"), ("h264", "alac"), ("prores", "f32"), ("mpeg1", "eac3"),
            ("msmpeg4", "u8"), ("av1", "opus"), ("rawvideo", "s16be")],
    "mp4": [("h264", "aac"), ("h264-no-b", "mp3"), ("h264-open-gop", "ac3"), ("hevc", "eac3"),
            ("hevc-10bit", "alac"), ("mpeg4", "aac"), ("mpeg2", "mp2"), ("vp9", "opus"), ("av1", "flac"),
            ("h264", "dts")],
    "mov": [("h264", "s16"), ("hevc", "s24"), ("prores", "s16be"), ("mjpeg", "u8"), ("dv", "s16"), ("h264", "f32")],
    "avi": [("mpeg4", "mp3"), ("mpeg4-no-b", "ac3"), ("h264", "mp3"), ("h264-open-gop", "aac"), ("mjpeg", "s16"),
            ("huffyuv", "s16"), ("ffv1", "mp2"), ("msmpeg4", "adpcm"), ("mpeg2", "mp2")],
    "flv": [("flv1", "mp3"), ("h264", "aac")],
    "webm": [("vp8", "vorbis"), ("vp9", "opus"), ("av1", "opus")],
    "asf": [("wmv2", "wma"), ("msmpeg4", "mp3")],
    "ogv": [("theora", "vorbis"), ("theora", "flac")],
    "nut": [("h264", "aac"), ("mpeg4", "mp3"), ("ffv1", "flac")],
    "mxf": [("mpeg2", "s16")],
    "3gp": [("h263", "aac")],
    "gxf": [("mpeg2", "s16")],
}
SOUND_ONLY = ["ac3", "eac3", "aac", "mp2", "mp3", "dts", "flac", "opus", "s16", "wma"]
EXTENSIONS = {"aac": "aac", "dts": "dts", "s16": "wav", "wma": "wma", "opus": "opus"}


def make(name, video, audio, path):
    """Two seconds; None if this ffmpeg cannot."""
    args = ["-f lavfi -i testsrc2=size=320x240:rate=25:duration=2"] if video else []
    args.append("-f lavfi -i sine=frequency=440:sample_rate=48000:duration=2")
    args.append("-map 0 -map 1" if video else "-map 0")
    more = {"m2ts": "-mpegts_m2ts_mode 1 -f mpegts"}.get(name, "")
    try:
        ffmpeg(*args, *([VIDEO[video]] if video else []), AUDIO[audio], more or "-strict -2", path)
    except Skip:
        return None
    return path if os.path.getsize(path) else None


def packets(path):
    """Of each stream: [(time in ms, size, hash, key)]."""
    out = subprocess.run(
        ["ffprobe", "-v", "error", "-show_data_hash", "md5", "-show_entries",
         "packet=stream_index,pts_time,size,flags,data_hash", "-of", "compact=p=0", path],
        capture_output=True, text=True).stdout
    found = {}
    for line in out.splitlines():
        f = dict(p.split("=", 1) for p in line.split("|") if "=" in p)
        if "size" in f:
            time = f.get("pts_time", "N/A")
            found.setdefault(int(f["stream_index"]), []).append(
                (None if time == "N/A" else float(time), f["size"], f.get("data_hash"), "K" in f["flags"]))
    return [found[i] for i in sorted(found)]


def compare(ours, theirs):
    """What differs, in words, or None. Both begin at their first time."""
    if [len(s) for s in ours] != [len(s) for s in theirs]:
        return f"packets {[len(s) for s in ours]} and {[len(s) for s in theirs]}"
    for n, (a, b) in enumerate(zip(ours, theirs)):
        if [p[1:] for p in a] != [p[1:] for p in b]:
            return f"track {n}: size, hash or key of a packet"
    shifts = [p[0] - q[0] for a, b in zip(ours, theirs) for p, q in zip(a, b)
              if p[0] is not None and q[0] is not None]
    if shifts and max(shifts) - min(shifts) > 0.00201:
        return f"times by {min(shifts):.4f} to {max(shifts):.4f}"
    return None


def moved(ours, given):
    """Whether tracks have moved beside each other, in words, or None."""
    shifts = [a[n][0] - b[n][0] for a, b in zip(ours, given) for n in (0, -1)
              if len(a) == len(b) and a[n][0] is not None and b[n][0] is not None]
    return f"times by {min(shifts)} to {max(shifts)}" if max(shifts) - min(shifts) > 0.00201 else None


def pictures(path):
    try:
        return frames(path)
    except AssertionError:
        return []


def note(*columns):
    if "WBREMUX_TABLE" in os.environ:
        with open(os.environ["WBREMUX_TABLE"], "a") as file:
            file.write(" | ".join(columns) + "\n")


def one(name, video, audio, extension=None):
    """A line for what is wrong, or None."""
    label = f"{name}: {video or 'no picture'} and {audio}"
    path = make(name, video, audio, f"in.{extension or name}")
    if not path:
        print(f"# {label}: this ffmpeg cannot make it", flush=True)
        note(name, video or "", audio, "not made")
        return None
    result = wbremux("--force", path, "out.mkv")
    if result.code:
        note(name, video or "", audio, f"exit {result.code}")
        return f"{label}: exit {result.code}: {result.err or result.out}"
    copied = subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", path, "-map", "0", "-c",
                             "copy", "ref.mkv"], capture_output=True, text=True)
    if copied.returncode == 0:
        wrong, verdict = compare(packets("out.mkv"), packets("ref.mkv")), "as ffmpeg"
        # Where they differ in times, the input tells who is right.
        if wrong and wrong.startswith("times"):
            verdict, wrong = f"as the input, ffmpeg's {wrong}", moved(packets("out.mkv"), packets(path))
    else:
        wrong = None if [len(s) for s in packets("out.mkv")] == [
            len(s) for s in packets(path) if s] else "packets are missing"
        verdict = "ffmpeg refuses it"
    if not wrong and video and pictures("out.mkv") != pictures(path):
        wrong = "pictures"
    note(name, video or "", audio, wrong or verdict)
    return f"{label}: {wrong}" if wrong else None


def case_of(name, pairs):
    def case():
        need("ffmpeg", "ffprobe")
        wrong = list(filter(None, (one(name, *pair) for pair in pairs)))
        check(not wrong, "\n".join(wrong))
    case.__name__ = name
    return case


CASES = [case_of(name, pairs) for name, pairs in CONTAINERS.items()]
CASES.append(case_of("sound", [(None, audio, EXTENSIONS.get(audio, audio)) for audio in SOUND_ONLY]))

if __name__ == "__main__":
    sys.exit(main(CASES))
