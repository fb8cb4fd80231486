#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The bridge from libavformat as an example: docs/examples/avcopy.c.

Usage: example.py WBREMUX AVCOPY [CASE...]. Speaks TAP.
"""

import os
import subprocess
import sys

sys.dont_write_bytecode = True
AVCOPY = os.path.abspath(sys.argv.pop(2))
from media import *  # noqa: E402, F403


def avcopy(*args):
    run = subprocess.run([AVCOPY, *args], capture_output=True, text=True, timeout=TIMEOUT)
    return Result(run.returncode, run.stdout, run.stderr)


def copies():
    """As ffmpeg -c copy, into muxers that seek in different ways."""
    two_tracks("in.mp4", H264, "aac", "ac3", "-f mp4")
    for name in ("out.mkv", "out.mp4", "out.ts"):
        result = avcopy("in.mp4", name)
        check(result.code == 0 and result.out == f"{name}: durable\n", f"{result.code} {result.err}")
        ffmpeg(f"-i in.mp4 -map 0 -c copy ref{name[3:]}")
        check([s["hash"] for s in streams(name)] == [s["hash"] for s in streams("ref" + name[3:])], name)


def errors():
    two_tracks("in.ts", H264, "ac3", "mp2", "-f mpegts")
    check(avcopy("in.ts").code == 2, "usage")
    for args, words in ((("none.ts", "out.mkv"), "none.ts: No such file"),
                        (("in.ts", "none/out.mkv"), "none/out.mkv"), (("in.ts", "out.none"), "out.none")):
        result = avcopy(*args)
        check(result.code == 1 and words in result.err, f"{args}: {result.code} {result.err}")


CASES = [copies, errors]

if __name__ == "__main__":
    sys.exit(main(CASES))
