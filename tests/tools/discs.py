#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Discs: titles, chapters, angles, IN and OUT, folders and images.

Usage: discs.py WBREMUX [CASE...]. Speaks TAP. The plugin is found through
GST_PLUGIN_PATH.
"""

import json
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
from media import *  # noqa: E402, F403
from makedisc import *  # noqa: E402, F403


def listed(*args):
    """(titles, their tracks) as --list --json has them."""
    result = wbremux("--list", "--json", *args)
    check(result.code == 0, result.err)
    found = [json.loads(line) for line in result.out.splitlines()]
    return ([o for o in found if o["type"] == "title"],
            [o for o in found if o["type"] == "title-track"])


def need_disc(kind):
    if "without lib" + kind in wbremux("--version").out or "neither" in wbremux("--version").out:
        raise Skip(f"built without lib{kind}")


def ends(path):
    """Of each track with sound or picture: when it begins and when its last begins."""
    return [(t[0], t[-1]) for t in (times(path, s) for s in ("v:0", "a:0", "a:1"))]


def two_clips(offset=100):
    m2ts("a.m2ts")
    m2ts("b.m2ts", picture="testsrc", offset=offset)
    disc = Bluray()
    disc.clip("00001", "a.m2ts", TWO_AUDIO)
    disc.clip("00002", "b.m2ts", TWO_AUDIO)
    return disc


# --- Blu-ray --------------------------------------------------------------------------

def bluray_main_title():
    """The longest that is whole and no loop; languages and chapters from its
    playlist; the same from any folder of the disc, and from an image."""
    need_disc("bluray")
    disc = two_clips()
    disc.playlist(1, ["00002"])
    disc.playlist(800, ["00001", "00002"], marks=[(0, 0), (0, 3), (1, 0), (1, 2)])
    disc.playlist(900, ["00002"] * 5)
    disc.clips["00099"] = disc.clips["00001"]
    disc.playlist(901, ["00001", "00002", "00099"])
    open("disc/BDMV/PLAYLIST/00902.mpls", "wb").write(b"MPLS0200" + noise(500))
    open("disc/BDMV/PLAYLIST/00903.mpls", "w").close()
    image("disc", "disc.iso")
    for path in ("disc", "disc/BDMV", "disc/BDMV/STREAM", "disc.iso"):
        result = wbremux("--force", path, "out.mkv")
        check_durable(result)
        check(re.search(r"^disc\S*: title \d+ \(00800.mpls\), 0:00:12, 4 chapters$", result.out, re.M),
              result.out)
        check([s.get("tag:language") for s in streams("out.mkv")[1:]] == ["fre", "jpn"],
              f"{streams('out.mkv')}")
        check_steady("out.mkv", "v:0", 0.04, 0.0)
        check(frames("out.mkv") == frames("a.m2ts") + frames("b.m2ts"), "pictures")
        check_chapters("out.mkv", [(0, "Chapter 1"), (3, "Chapter 2"), (6, "Chapter 3"),
                                   (8, "Chapter 4")], slack=0.001)
    check_seekable("out.mkv")
    check_durable(wbremux("--force", "--audio", "ja", "disc", "out.mkv"))
    check(len(streams("out.mkv")) == 2, "tracks")


def bluray_in_and_out():
    """A clip that is entered later and left earlier: the picture from its entry
    point on, and sound beside it as exactly as in the clip."""
    need_disc("bluray")
    disc = two_clips()
    disc.playlist(1, [("00001", 1, 4), ("00002", 2, 5)], marks=[(0, 1), (1, 2)])
    check_durable(wbremux("disc", "out.mkv"))
    first, second = frames("a.m2ts"), frames("b.m2ts")
    check(frames("out.mkv") == first[25:100] + second[50:125], "pictures")
    check_steady("out.mkv", "v:0", 0.04, 0.0)
    check_chapters("out.mkv", [(0, "Chapter 1"), (3, "Chapter 2")], slack=0.001)
    # Each frame of sound is where it was beside the picture.
    for source, begin, shift in (("a.m2ts", 1, -1), ("b.m2ts", 2, 1)):
        zero = times(source, "v:0")[0]
        expected = [t - zero + shift for t in times(source, "a:0") if begin + 0.1 < t - zero < begin + 2.8]
        made = times("out.mkv", "a:0")
        for time in expected:
            check(min(abs(time - t) for t in made) <= 0.001, f"{source}: nothing at {time}")


def bluray_chapters_and_titles():
    need_disc("bluray")
    disc = two_clips()
    disc.playlist(7, ["00001", "00002"], marks=[(0, 0), (0, 3), (1, 0), (1, 2)])
    disc.playlist(3, ["00002"], marks=[(0, 0), (0, 2)])
    titles, tracks = listed("disc")
    number = {t["name"]: t["number"] for t in titles}
    check(sorted(number) == ["00003.mpls", "00007.mpls"], f"{titles}")
    check([t["name"] for t in titles if t["main"]] == ["00007.mpls"], f"{titles}")
    check([(t["kind"], t["codec"], t["language"]) for t in tracks if t["title"] == number["00007.mpls"]]
          == [("video", "h264", None), ("audio", "ac3", "fra"), ("audio", "ac3", "jpn")], f"{tracks}")
    check_durable(wbremux("--title", str(number["00003.mpls"]), "disc", "one.mkv"))
    check(frames("one.mkv") == frames("b.m2ts"), "pictures")
    check_durable(wbremux("--chapters=2-3", "disc", "part.mkv"))
    check(frames("part.mkv") == frames("a.m2ts")[75:] + frames("b.m2ts")[:50], "pictures")
    check_chapters("part.mkv", [(0, "Chapter 2"), (3, "Chapter 3")], slack=0.001)
    result = wbremux("--title=all", "disc", "all.mkv")
    check(result.code == 0, result.err)
    check(sorted(n for n in os.listdir(".") if n.startswith("all"))
          == [f"all-{n:02}.mkv" for n in sorted(number.values())], f"{os.listdir('.')}")
    for args, words in ((("--title=9",), "has no title 9"), (("--chapters=4-5",), "has no chapter 5"),
                        (("--angle=2",), "has no angle 2")):
        check_refused_after(wbremux(*args, "disc", "none.mkv"), words)
    check(wbremux("--title=x", "disc", "none.mkv").code == 2, "--title=x")


def check_refused_after(result, words):
    check(result.code == 1 and words in result.err, f"{result.code} {result.err}")
    check(len(result.lines) == 1 and not os.path.exists("none.mkv"), result.err)


def bluray_many_clips():
    """Forty clips, each with a clock of its own: chapters and sound do not drift."""
    need_disc("bluray")
    disc = Bluray()
    m2ts("a.m2ts", seconds=1)
    for n in range(1, 41):
        m2ts("clip.m2ts", seconds=1, offset=n * 37 % 50)
        disc.clip(f"{n:05}", "clip.m2ts", TWO_AUDIO)
        os.remove("clip.m2ts")
    names = [f"{n:05}" for n in range(1, 41)]
    disc.playlist(1, names, marks=[(n, 0) for n in range(40)], seamless=True)
    check_durable(wbremux("disc", "out.mkv"))
    check(len(times("out.mkv", "v:0")) == 1000, f"{len(times('out.mkv', 'v:0'))}")
    check_steady("out.mkv", "v:0", 0.04, 0.0)
    check_chapters("out.mkv", [(n, f"Chapter {n + 1}") for n in range(40)], slack=0.001)
    # Sound of each clip begins as long after its picture as in the clip.
    made = times("out.mkv", "a:0")
    zero = times("a.m2ts", "v:0")[0]
    first = [t - zero for t in times("a.m2ts", "a:0") if t - zero >= 0.4][0]
    for n in range(40):
        check(min(abs(n + first - t) for t in made) <= 0.001, f"clip {n + 1}")


def bluray_clock_wraps():
    """33 bits are full in the middle of a clip."""
    need_disc("bluray")
    m2ts("a.m2ts", offset=2 ** 33 / 90000 - 3)
    m2ts("plain.m2ts")
    # As on a disc, where the tables count 32 bits of 45 kHz.
    check_durable(wbremux("a.m2ts", "out.mkv"))
    check(frames("out.mkv") == frames("plain.m2ts"), "pictures")
    check_steady("out.mkv", "v:0", 0.04, 0.0)
    check_steady("out.mkv", "a:0", 0.032, 0.0)


def bluray_angles():
    need_disc("bluray")
    m2ts("a.m2ts")
    m2ts("b.m2ts", picture="testsrc")
    disc = Bluray()
    disc.clip("00001", "a.m2ts", TWO_AUDIO)
    disc.clip("00002", "b.m2ts", TWO_AUDIO)
    disc.playlist(1, [["00001", "00002"]])
    titles, _ = listed("disc")
    check(titles[0]["angles"] == 2, f"{titles}")
    for angle, name in ((1, "a.m2ts"), (2, "b.m2ts")):
        check_durable(wbremux(f"--angle={angle}", "--force", "disc", "out.mkv"))
        check(frames("out.mkv") == frames(name), f"angle {angle}")


def bluray_lpcm():
    """As samples of the same value, whatever their size; never noise."""
    need_disc("bluray")
    streams_of = [(0x1011, "h264", b""), (0x1100, "lpcm", b"eng"), (0x1101, "dts", b"deu")]
    m2ts("a.m2ts", audio=("pcm_bluray", "dca"))
    disc = Bluray()
    disc.clip("00001", "a.m2ts", streams_of)
    disc.playlist(1, ["00001"])
    check_durable(wbremux("disc", "out.mkv"))
    check([s["codec_name"] for s in streams("out.mkv")] == ["h264", "pcm_s16le", "dts"], "codecs")
    check(streams("out.mkv")[2]["hash"] == streams("a.m2ts")[2]["hash"], "DTS")
    check(samples_of("out.mkv", 0) == samples_of("a.m2ts", 0), "LPCM")


def samples_of(path, track):
    return subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", path, "-map", f"0:a:{track}", "-f",
                           "s16le", "-"], capture_output=True).stdout


# --- DVD ---------------------------------------------------------------------------------

def a_dvd():
    need_disc("dvdread")
    vob("a.vob")
    vob("b.vob", seconds=5, picture="testsrc")
    with_subtitles("a.vob", "film.vob", [[(1, 2), (4, 5)], [(6, 7)]])
    dvd(["<vob file='film.vob' chapters='0,0:03'/><vob file='b.vob' chapters='0'/>",
         "<vob file='b.vob'/>"], subtitles=("nl", "fi"), sets=[["<vob file='b.vob'/>"]])


def dvd_main_title():
    """One title and not the set; its languages; subtitles with their palette; the
    clock goes on where the next film begins; the same from an image."""
    a_dvd()
    image("disc", "disc.iso")
    pictures = frames("a.vob") + frames("b.vob")
    for path in ("disc", "disc/VIDEO_TS", "disc.iso"):
        result = wbremux("--force", path, "out.mkv")
        check_durable(result)
        check(re.search(r"title 1 \(title set 1\), 0:00:13, 3 chapters$", result.out, re.M), result.out)
        made = streams("out.mkv")
        check([(s["codec_name"], s.get("tag:language")) for s in made]
              == [("mpeg2video", None), ("ac3", "eng"), ("mp2", "ger"), ("dvd_subtitle", "dut"),
                  ("dvd_subtitle", "fin")], f"{made}")
        check([s["nb_read_packets"] for s in made[3:]] == ["2", "1"], f"{made}")
        check(frames("out.mkv") == pictures, "pictures")
        check_steady("out.mkv", "v:0", 0.04, 0.01)
    check([round(t) for t in times("out.mkv", "s:0") + times("out.mkv", "s:1")] == [1, 4, 6],
          f"{times('out.mkv', 's:0')}")
    private = subprocess.run(["mkvextract", "out.mkv", "tracks", "3:sub.idx"], capture_output=True)
    check(private.returncode == 0, "mkvextract")
    index = open("sub.idx").read()
    check("size: 720x576" in index and re.search(r"palette: ([0-9a-f]{6}, ){15}[0-9a-f]{6}", index), index)
    check("ffffff" in index, index)
    check_chapters("out.mkv", [(0, "Chapter 1"), (3, "Chapter 2"), (8, "Chapter 3")], slack=0.3)


def dvd_titles_and_chapters():
    a_dvd()
    titles, tracks = listed("disc")
    check([(t["number"], t["chapters"], t["main"]) for t in titles]
          == [(1, 3, True), (2, 1, False), (3, 1, False)], f"{titles}")
    check([t["language"] for t in tracks if t["title"] == 1] == [None, "en", "de", "nl", "fi"], f"{tracks}")
    for title in (2, 3):
        check_durable(wbremux("--force", f"--title={title}", "disc", "out.mkv"))
        check(frames("out.mkv") == frames("b.vob"), f"title {title}")
    check_durable(wbremux("--force", "--chapters=3", "disc", "out.mkv"))
    check(frames("out.mkv") == frames("b.vob"), "chapter 3")
    check_chapters("out.mkv", [(0, "Chapter 3")], slack=0.1)
    result = wbremux("--title=all", "disc", "all.mkv")
    check(result.code == 0, result.err)
    check([os.path.exists(f"all-0{n}.mkv") for n in (1, 2, 3)] == [True] * 3, "all")


def dvd_angles():
    """Of a block of cells one is taken. (dvdauthor makes none: the tables are changed.)"""
    need_disc("dvdread")
    vob("a.vob", seconds=4)
    vob("b.vob", seconds=4, picture="testsrc")
    vob("c.vob", seconds=3, picture="smptebars")
    dvd(["<vob file='c.vob'/><vob file='a.vob'/><vob file='b.vob'/>"])
    with open("disc/VIDEO_TS/VTS_01_0.IFO", "r+b") as file:
        data = bytearray(file.read())
        table = 2048 * int.from_bytes(data[0xcc:0xd0], "big")
        chain = table + int.from_bytes(data[table + 12:table + 16], "big")
        cells = chain + int.from_bytes(data[chain + 0xe8:chain + 0xea], "big")
        data[cells + 24], data[cells + 48] = 0x50, 0xd0
        file.seek(0)
        file.write(data)
    with open("disc/VIDEO_TS/VIDEO_TS.IFO", "r+b") as file:
        data = file.read()
        file.seek(2048 * int.from_bytes(data[0xc4:0xc8], "big") + 9)
        file.write(b"\x02")
    for angle, name in ((1, "a.vob"), (2, "b.vob")):
        check_durable(wbremux(f"--angle={angle}", "--force", "disc", "out.mkv"))
        check(frames("out.mkv") == frames("c.vob") + frames(name), f"angle {angle}")
        check_steady("out.mkv", "v:0", 0.04, 0.01)


def dvd_in_pieces():
    """Files of a set by name, without the tables."""
    a_dvd()
    result = wbremux("disc/VIDEO_TS/VTS_01_1.VOB", "out.mkv")
    check(result.code == 0, result.err)
    check(frames("out.mkv") == frames("a.vob") + frames("b.vob"), "pictures")
    check_steady("out.mkv", "v:0", 0.04, 0.01)


def dvd_lpcm():
    need_disc("dvdread")
    vob("a.vob", audio=("pcm_s16be -ar 48000", "ac3"))
    dvd(["<vob file='a.vob'/>"])
    check_durable(wbremux("disc", "out.mkv"))
    made = streams("out.mkv")
    check([s["codec_name"] for s in made] == ["mpeg2video", "ac3", "pcm_s16le"], f"{made}")
    check(samples_of("out.mkv", 1) == samples_of("a.vob", 0), "LPCM")


def dvd_scrambled():
    a_dvd()
    path = "disc/VIDEO_TS/VTS_01_1.VOB"
    data = bytearray(open(path, "rb").read())
    for at in range(0, len(data) - 21, 2048):
        if data[at + 14:at + 17] == b"\0\0\1" and data[at + 17] not in (0xbb, 0xbe, 0xbf):
            data[at + 20] |= 0x10
    open(path, "wb").write(data)
    result = wbremux("disc", "none.mkv")
    check(result.code == 1 and "encrypted (CSS" in result.err and len(result.lines) == 1,
          f"{result.code} {result.err}")
    check(not os.path.exists("none.mkv"), "a file was left")


# --- what is no disc -------------------------------------------------------------------

def no_disc():
    os.makedirs("bluray/BDMV/STREAM")
    os.makedirs("dvd/VIDEO_TS")
    open("dvd/VIDEO_TS/VTS_01_1.VOB", "w").write("menu")
    for folder in ("bluray", "dvd"):
        check_refused(wbremux(folder, "out.mkv"), folder, "finds no")
    check_refused(wbremux(".", "out.mkv"), ".", "without a disc")
    open("half.iso", "wb").write(bytes(32769) + b"CD001" + bytes(99999))
    # libudfread has its own words on standard error.
    result = wbremux("half.iso", "out.mkv")
    check(result.code == 1 and "half.iso: " in result.lines[-1], result.err)


CASES = [bluray_main_title, bluray_in_and_out, bluray_chapters_and_titles, bluray_many_clips,
         bluray_clock_wraps, bluray_angles, bluray_lpcm, dvd_main_title, dvd_titles_and_chapters, dvd_angles,
         dvd_in_pieces, dvd_lpcm, dvd_scrambled, no_disc]

if __name__ == "__main__":
    sys.exit(main(CASES))
