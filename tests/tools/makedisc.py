# SPDX-License-Identifier: LGPL-2.1-or-later
"""Discs for the tests: Blu-ray trees with tables of our own making, as libbluray
reads them, and DVDs by dvdauthor; images of both.
"""

import os
import struct
import subprocess
import zlib

from media import MPEG2, TONE, Skip, ffmpeg, made_once, need

CLOCK = 90000
NULL_PACKET = bytes(4) + b"\x47\x1f\xff\x10" + b"\xff" * 184


# --- Blu-ray ------------------------------------------------------------------------

def block(data):
    return bytes([len(data)]) + data


def packets(path, stream):
    """(pts, dts, pos, key) of each packet, in 90 kHz and bytes."""
    out = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", stream, "-show_entries",
         "packet=pts,dts,pos,flags", "-of", "compact=p=0", path],
        capture_output=True, text=True, check=True).stdout
    found = []
    for line in out.splitlines():
        f = dict(p.split("=", 1) for p in line.split("|") if "=" in p)
        if "pts" in f and f.get("pos", "N/A") != "N/A":
            found.append((int(f["pts"]), int(f["dts"]), int(f["pos"]), "K" in f["flags"]))
    return found


def span(path):
    """From when to when the picture is shown, 90 kHz."""
    times = sorted(p[0] for p in packets(path, "v:0"))
    return times[0], times[-1] + (times[1] - times[0])


def stream_entry(pid, attributes):
    return struct.pack(">H", pid) + block(attributes)


def clip_info(path, clip, streams):
    """CLIPINF/nnnnn.clpi of the m2ts @clip, with an entry point at each key frame."""
    size = os.path.getsize(clip) // 192
    begin, end = span(clip)
    info = struct.pack(">HBBIII", 0, 1, 1, 0, 6000000, size) + bytes(128)
    info += struct.pack(">HB4s", 30, 0x80, b"HDMV") + bytes(25)
    sequence = struct.pack(">BBIBBHIII", 0, 1, 0, 1, 0, 0x1001, 0, begin // 2, end // 2)
    program = struct.pack(">BBIHBB", 0, 1, 0, 0x100, len(streams), 0) + b"".join(
        stream_entry(pid, attributes + bytes(21 - len(attributes)))
        for pid, attributes in streams)
    points = [(pts // 2, pos // 192) for pts, _, pos, key in packets(clip, "v:0") if key]
    coarse = b"".join(struct.pack(">II", n << 14 | pts >> 18, spn)
                      for n, (pts, spn) in enumerate(points))
    fine = b"".join(struct.pack(">I", 0 << 31 | 1 << 28 | (pts >> 8 & 0x7ff) << 17 | spn & 0x1ffff)
                    for pts, spn in points)
    header = struct.pack(">BBH", 0, 1, streams[0][0])
    header += (1 << 34 | len(points) << 18 | len(points)).to_bytes(6, "big")
    header += struct.pack(">I", len(header) + 4)
    cpi = struct.pack(">H", 1) + header + struct.pack(">I", 4 + len(coarse)) + coarse + fine
    parts = [struct.pack(">I", len(part)) + part for part in (info, sequence, program, cpi)]
    at, starts = 40, []
    for part in parts:
        starts.append(at)
        at += len(part)
    with open(path, "wb") as file:
        file.write(b"HDMV0200" + struct.pack(">IIIII", *starts[1:], at, 0) + bytes(12)
                   + b"".join(parts) + struct.pack(">I", 0))


def attributes_of(kind, language=b""):
    return {"h264": bytes([0x1b, 0x61, 0x30]), "mpeg2": bytes([0x02, 0x61, 0x30]),
            "ac3": bytes([0x81, 0x31]) + language, "lpcm": bytes([0x80, 0x31]) + language,
            "dts": bytes([0x82, 0x31]) + language, "truehd": bytes([0x83, 0x31]) + language,
            "pgs": bytes([0x90]) + language}[kind]


class Bluray:
    """A folder; add clips, then playlists."""

    def __init__(self, root="disc"):
        self.root, self.clips = root, {}
        for folder in ("STREAM", "CLIPINF", "PLAYLIST"):
            os.makedirs(f"{root}/BDMV/{folder}")
        item = bytes([0x40]) + bytes(11)
        index = struct.pack(">I", 34) + bytes(34) + struct.pack(">I", 26) + item + item + bytes(2)
        with open(f"{root}/BDMV/index.bdmv", "wb") as file:
            file.write(b"INDX0200" + struct.pack(">II", 78, 0) + bytes(24) + index)

    def clip(self, name, source, streams):
        """@streams: (PID, kind, language) in order, the picture first."""
        path = f"{self.root}/BDMV/STREAM/{name}.m2ts"
        with open(source, "rb") as given, open(path, "wb") as made:
            data = given.read()
            # Whole units of 32 packets, as discs are read.
            made.write(data + NULL_PACKET * (-len(data) // 192 % 32))
        table = [(pid, attributes_of(kind, language)) for pid, kind, language in streams]
        clip_info(f"{self.root}/BDMV/CLIPINF/{name}.clpi", path, table)
        self.clips[name] = (span(path), table)

    def playlist(self, number, items, marks=(), seamless=False):
        """@items: a clip's name, or (name, in, out) in seconds of the clip, or a list
        of names: angles. @marks: (item, seconds in its clip)."""
        body = b""
        for n, item in enumerate(items):
            angles = item if isinstance(item, list) else [item]
            name, start, stop = angles[0] if isinstance(angles[0], tuple) else (angles[0], None, None)
            (begin, end), table = self.clips[name]
            enter = begin if start is None else begin + int(start * CLOCK)
            leave = end if stop is None else begin + int(stop * CLOCK)
            kinds = {"v": [], "a": [], "s": []}
            for pid, attributes in table:
                kind = "s" if attributes[0] == 0x90 else "a" if attributes[0] >= 0x80 else "v"
                kinds[kind].append(block(bytes([1]) + struct.pack(">H", pid) + bytes(6))
                                   + block(attributes))
            stn = struct.pack(">HBBB", 0, len(kinds["v"]), len(kinds["a"]), len(kinds["s"]))
            stn += bytes(9) + b"".join(kinds["v"] + kinds["a"] + kinds["s"])
            connection = 5 if seamless and n else 1
            data = name.encode() + b"M2TS" + struct.pack(
                ">HBII", (0x10 if len(angles) > 1 else 0) | connection, 0, enter // 2, leave // 2)
            data += bytes(12)
            if len(angles) > 1:
                data += bytes([len(angles), 0]) + b"".join(
                    other.encode() + b"M2TS" + bytes([0]) for other in angles[1:])
            data += struct.pack(">H", len(stn)) + stn
            body += struct.pack(">H", len(data)) + data
        body = struct.pack(">HHH", 0, len(items), 0) + body
        table = b""
        for item, time in marks:
            name = items[item][0] if isinstance(items[item], (tuple, list)) else items[item]
            begin = self.clips[name][0][0]
            table += struct.pack(">BBHIHI", 0, 1, item, (begin + int(time * CLOCK)) // 2, 0xffff, 0)
        app = struct.pack(">IBBHQH", 14, 0, 1, 0, 0, 0)
        start = 40 + len(app)
        with open(f"{self.root}/BDMV/PLAYLIST/{number:05}.mpls", "wb") as file:
            file.write(b"MPLS0200" + struct.pack(">III", start, start + 4 + len(body), 0) + bytes(20)
                       + app + struct.pack(">I", len(body)) + body
                       + struct.pack(">IH", 2 + len(table), len(marks)) + table)


def m2ts(path, audio=("ac3", "ac3"), seconds=6, picture="testsrc2", offset=0, video=None):
    """A clip as a disc has it: no languages in it."""
    video = video or "-c:v libx264 -preset ultrafast -bf 2 -g 25 -pix_fmt yuv420p"
    key = ("m2ts", audio, seconds, picture, offset, video)
    return made_once(key, path, lambda stored: ffmpeg(
        f"-f lavfi -i {picture}=size=320x240:rate=25:duration={seconds}",
        *[TONE.format(seconds, 440 * (n + 1)) for n in range(len(audio))],
        " ".join(f"-map {n}" for n in range(len(audio) + 1)), video,
        *[f"-c:a:{n} {codec} -strict -2" for n, codec in enumerate(audio)], "-ac 2",
        f"-streamid 0:4113 -output_ts_offset {offset} -mpegts_m2ts_mode 1",
        " ".join(f"-streamid {n + 1}:{0x1100 + n}" for n in range(len(audio))), "-f mpegts", stored))


TWO_AUDIO = [(0x1011, "h264", b""), (0x1100, "ac3", b"fra"), (0x1101, "ac3", b"jpn")]


# --- DVD -------------------------------------------------------------------------------

def vob(path, seconds=8, audio=("ac3", "mp2"), picture="testsrc2", aspect="4:3"):
    key = ("vob", seconds, audio, picture, aspect)
    return made_once(key, path, lambda stored: ffmpeg(
        f"-f lavfi -i {picture}=size=720x576:rate=25:duration={seconds}",
        *[TONE.format(seconds, 440 * (n + 1)) for n in range(len(audio))],
        " ".join(f"-map {n}" for n in range(len(audio) + 1)),
        f"-c:v mpeg2video -b:v 1500k -maxrate 8M -bufsize 1835k -bf 2 -g 12 -aspect {aspect}",
        *[f"-c:a:{n} {codec} -strict -2" for n, codec in enumerate(audio)], "-ac 2 -f dvd", stored))


def sub_picture(path):
    """A white bar on nothing."""
    empty = bytes(1 + 720 * 4)
    bar = bytes(1 + 100 * 4) + b"\xff" * 1200 + bytes(320 * 4)
    rows = zlib.compress(empty * 400 + bar * 80 + empty * 96)
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", 720, 576, 8, 6, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b""))
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks))


def with_subtitles(source, target, times):
    """@times: of each stream a list of (begin, end) in seconds."""
    need("spumux")
    sub_picture("sub.png")
    current = source
    for number, spans in enumerate(times):
        with open("spu.xml", "w") as file:
            file.write("<subpictures format='PAL'><stream>" + "".join(
                f"<spu start='0:0:{a:.2f}' end='0:0:{b:.2f}' image='sub.png'/>" for a, b in spans)
                + "</stream></subpictures>")
        out = f"{target}.{number}"
        with open(current, "rb") as given, open(out, "wb") as made:
            done = subprocess.run(["spumux", "-s", str(number), "spu.xml"], stdin=given, stdout=made,
                                  stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise Skip("spumux: " + done.stderr[-200:])
        current = out
    os.rename(current, target)
    return target


def dvd(titles, root="disc", audio=("en", "de"), subtitles=(), aspect="4:3", sets=None):
    """@titles: of each title the inside of its <pgc>. @sets: titles of further sets."""
    need("dvdauthor")
    streams = "".join(f"<audio lang='{code}'/>" for code in audio)
    streams += "".join(f"<subpicture lang='{code}'/>" for code in subtitles)
    text = "<dvdauthor><vmgm/>"
    for group in [titles] + (sets or []):
        text += (f"<titleset><titles><video format='pal' aspect='{aspect}'/>{streams}"
                 + "".join(f"<pgc>{title}</pgc>" for title in group) + "</titles></titleset>")
    with open("dvd.xml", "w") as file:
        file.write(text + "</dvdauthor>")
    done = subprocess.run(["dvdauthor", "-o", root, "-x", "dvd.xml"], capture_output=True, text=True,
                          env={**os.environ, "VIDEO_FORMAT": "PAL"})
    if done.returncode:
        raise AssertionError("dvdauthor: " + done.stderr[-600:])


# --- images -----------------------------------------------------------------------------

def image(root, path):
    """ISO 9660 and UDF, as mastered for a DVD or a Blu-ray."""
    need("genisoimage")
    options = ["-dvd-video"] if os.path.isdir(f"{root}/VIDEO_TS") else ["-udf", "-allow-limited-size"]
    subprocess.run(["genisoimage", "-quiet", *options, "-o", path, root], check=True,
                   capture_output=True)
