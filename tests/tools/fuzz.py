#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Damage: tables of discs, headers and streams with bytes changed or missing.

Usage: fuzz.py WBREMUX [CASE...]. Speaks TAP. Whatever is in the input, wbremux ends
in its time, by an exit status of its own, says something if it failed, and leaves no
.part behind. WB_SEED (1) is another run, WB_FUZZ_RUNS (8) how many of each. Under a
sanitizer's build this is where it counts.

Other seeds may meet libbluray's own fault: 1.3.4 ends with SIGSEGV in
bd_get_title_info() on about one of a hundred damaged playlists, before anything is
written.
"""

import os
import random
import shutil
import sys
import time

sys.dont_write_bytecode = True
from media import *  # noqa: E402, F403
from makedisc import *  # noqa: E402, F403

SEED = int(os.environ.get("WB_SEED", 1))
RUNS = int(os.environ.get("WB_FUZZ_RUNS", 8))
chance = random.Random(SEED)
# Numbers that lead astray.
ODD = [b"\xff\xff", b"\x00\x00", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\x80\x00\x00\x00"]


def damage(data, begin=0, end=None):
    """@data with a few bytes of [begin, end) changed, or cut off behind one."""
    data = bytearray(data)
    end = min(end or len(data), len(data))
    if chance.random() < 0.15:
        return bytes(data[:chance.randrange(begin, end)])
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randrange(begin, end)
        if chance.random() < 0.4:
            odd = chance.choice(ODD)
            data[at:at + len(odd)] = odd
        else:
            data[at] = chance.randrange(256)
    return bytes(data)


def try_it(path, label):
    began = time.monotonic()
    result = wbremux("--force", "--timeout=10", path, "out.mkv")
    took = time.monotonic() - began
    check(result.code in (0, 1, 4), f"{label}: exit {result.code}: {result.err[-3000:]}")
    check(took < 30, f"{label}: took {took:.0f} s")
    check(result.code == 0 or result.lines or "left out" in result.out, f"{label}: nothing was said")
    check(not os.path.exists("out.mkv.part"), f"{label}: left behind")
    for word in ("AddressSanitizer", "runtime error", "LeakSanitizer"):
        check(word not in result.err, f"{label}: {result.err[-3000:]}")
    if os.path.exists("out.mkv"):
        os.remove("out.mkv")
    return result.code


def fuzz(paths, target, begin=0, end=None):
    """Damages one of @paths at a time, and runs on @target."""
    print(f"# WB_SEED={SEED}", flush=True)
    whole = {path: open(path, "rb").read() for path in paths}
    codes = {}
    for n in range(RUNS):
        path = chance.choice(paths)
        with open(path, "wb") as file:
            file.write(damage(whole[path], begin, end))
        shutil.copyfile(path, "damaged")
        code = try_it(target, f"run {n} of WB_SEED={SEED}, {path}")
        codes[code] = codes.get(code, 0) + 1
        with open(path, "wb") as file:
            file.write(whole[path])
    print(f"# exit codes {codes}", flush=True)


def playlists():
    m2ts("a.m2ts", seconds=2)
    disc = Bluray()
    disc.clip("00001", "a.m2ts", TWO_AUDIO)
    disc.clip("00002", "a.m2ts", TWO_AUDIO)
    disc.playlist(1, ["00001", "00002"], marks=[(0, 0), (1, 1)])
    fuzz(["disc/BDMV/PLAYLIST/00001.mpls", "disc/BDMV/CLIPINF/00001.clpi", "disc/BDMV/CLIPINF/00002.clpi",
          "disc/BDMV/index.bdmv"], "disc")


def clips():
    m2ts("a.m2ts", seconds=2)
    disc = Bluray()
    disc.clip("00001", "a.m2ts", TWO_AUDIO)
    disc.playlist(1, ["00001"])
    fuzz(["disc/BDMV/STREAM/00001.m2ts"], "disc")


def ifos():
    vob("a.vob", seconds=2)
    dvd(["<vob file='a.vob' chapters='0,0:01'/>", "<vob file='a.vob'/>"])
    fuzz(["disc/VIDEO_TS/VIDEO_TS.IFO", "disc/VIDEO_TS/VTS_01_0.IFO"], "disc")


def cells():
    """Navigation packs too."""
    vob("a.vob", seconds=2)
    dvd(["<vob file='a.vob'/>"])
    fuzz(["disc/VIDEO_TS/VTS_01_1.VOB"], "disc")
    fuzz(["disc/VIDEO_TS/VTS_01_1.VOB"], "disc", 0, 2048)


def images():
    vob("a.vob", seconds=2)
    dvd(["<vob file='a.vob'/>"])
    image("disc", "disc.iso")
    fuzz(["disc.iso"], "disc.iso", 32768, 700000)


def headers(name, more):
    def case():
        two_tracks(f"in.{name}", H264 if name != "vob" else MPEG2, "ac3", "mp2" if name in ("vob", "avi") else "aac",
                   more, seconds=2)
        size = os.path.getsize(f"in.{name}")
        fuzz([f"in.{name}"], f"in.{name}", 0, 6000)
        fuzz([f"in.{name}"], f"in.{name}", max(size - 20000, 0), size)
        fuzz([f"in.{name}"], f"in.{name}")
    case.__name__ = name
    return case


def cut_anywhere():
    """Cut off at every hundredth."""
    for name, more in (("mp4", "-movflags faststart"), ("mkv", "-f matroska"), ("ts", "-f mpegts")):
        two_tracks(f"in.{name}", H264, "ac3", "aac", more, seconds=2)
        data = open(f"in.{name}", "rb").read()
        for n in range(1, 100, 5):
            with open(f"cut.{name}", "wb") as file:
                file.write(data[:len(data) * n // 100])
            try_it(f"cut.{name}", f"{name} at {n}%")


CASES = [playlists, clips, ifos, cells, images, headers("ts", "-f mpegts"), headers("mkv", "-f matroska"),
         headers("mp4", "-movflags faststart"), headers("avi", "-f avi"), headers("vob", "-f vob"), cut_anywhere]

if __name__ == "__main__":
    sys.exit(main(CASES))
