#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What wbremux says and leaves behind: progress, traces, names, disks, signals.

Usage: output.py WBREMUX SYNCSHIM READSHIM [CASE...]. Speaks TAP. The plugin is found
through GST_PLUGIN_PATH. A disk that is full or slow needs root.
"""

import contextlib
import csv
import json
import os
import pathlib
import pty
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
READSHIM = os.path.abspath(sys.argv.pop(3))
SYNCSHIM = os.path.abspath(sys.argv.pop(2))
from media import *  # noqa: E402, F403

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "bench"))
from benchdrive import NotHere, ThrottledDisk  # noqa: E402

PLOT = pathlib.Path(__file__).resolve().parent.parent / "bench" / "plot"
COLUMNS = ["time", "bytes-written", "queued-bytes", "dirty-bytes", "drain-rate", "wait-time",
           "durable-bytes"]


def objects(result):
    return [json.loads(line) for line in result.out.splitlines()]


def of_type(result, name):
    return [o for o in objects(result) if o["type"] == name]


class SlowReader:
    """Takes what is written to a pipe, at @rate bytes a second until released."""

    def __init__(self, path, rate):
        os.mkfifo(path)
        self.path, self.rate, self.data = path, rate, bytearray()
        self.released = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        with open(self.path, "rb", buffering=0) as pipe:
            while True:
                got = pipe.read(65536)
                if not got:
                    return
                self.data += got
                self.released.wait(len(got) / self.rate)

    def join(self):
        self.thread.join(TIMEOUT)
        return bytes(self.data)


# --- what it says -----------------------------------------------------------------

def as_json():
    """Every line is an object; the figures agree with the files."""
    big()
    result = wbremux("--json", "in.ts", "out.mkv")
    check(result.code == 0 and not result.err, f"{result.code} {result.err}")
    size = os.path.getsize("out.mkv")
    inputs, tracks = of_type(result, "input"), of_type(result, "track")
    check(inputs == [{"type": "input", "name": "in.ts", "uri": None, "files": ["in.ts"],
                      "bytes": os.path.getsize("in.ts")}], f"{inputs}")
    check([(t["kind"], t["language"], t["kept"]) for t in tracks]
          == [("video", None, True), ("audio", "eng", True), ("audio", "deu", True)], f"{tracks}")
    (end,) = of_type(result, "result")
    check(end["output"] == "out.mkv" and end["durable"] is True
          and end["sync-result"] == "durable" and end["bytes"] == size, f"{end} {size}")
    check(59 < end["duration"] < 61 and end["elapsed"] > 0, f"{end}")
    check(objects(result)[-1] == {"type": "exit", "status": 0}, result.out[-200:])
    failed = wbremux("--json", "none.ts", "out2.mkv")
    check(failed.code == 1 and len(failed.lines) == 1, failed.err)
    check([(o["type"], o.get("level"), o.get("status")) for o in objects(failed)]
          == [("message", "error", None), ("exit", None, 1)], failed.out)
    check("none.ts" in objects(failed)[0]["text"], failed.out)
    result = wbremux("--json", "--audio", "deu", "--force", "in.ts", "out.mkv")
    check([(t["kept"], t["reason"]) for t in of_type(result, "track")]
          == [(True, None), (False, "it is not asked for"), (True, None)], result.out)


def odd_names_in_json():
    small()
    name = os.fsdecode(b'a "b" \\ \x01 \xff\xc3\xbc.mkv')
    result = wbremux("--json", "in.ts", name)
    check(result.code == 0, result.err)
    (end,) = of_type(result, "result")
    check(end["output"].startswith('a "b" \\ ') and "\u00fc" in end["output"], f"{end}")


def quiet():
    small()
    result = wbremux("-q", "in.ts", "out.mkv")
    check(result.code == 0 and not result.out and not result.err, f"{result.out} {result.err}")
    result = wbremux("-q", "in.ts", "out.mkv")
    check(result.code == 1 and not result.out and len(result.lines) == 1, result.err)


def progress_through_pipe():
    """Into a pipe that is read slowly: lines in plain text, objects in JSON, each
    further than the one before."""
    big()
    jobs = []
    for mode, rate in (((), 2000000), (("--json",), 2000000)):
        name = f"out{len(jobs)}.mkv"
        reader = SlowReader(name, rate)
        jobs.append((reader, subprocess.Popen(
            [WBREMUX, "--force", "--no-part", *mode, "in.ts", name],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)))
    time.sleep(5.6)
    results = []
    for reader, process in jobs:
        reader.released.set()
        out, err = process.communicate(timeout=TIMEOUT)
        results.append(Result(process.returncode, out, err))
        open("copy.mkv", "wb").write(reader.join())
        check(len(streams("copy.mkv")) == 3, "tracks")
    plain, with_json = results
    lines = [line for line in plain.lines if "MB/s" in line]
    check(len(lines) == 1 and plain.code == 3, f"{plain.code} {plain.err}")
    check(re.match(r" *\d+%  0:00:\d\d/0:0[01]:\d\d  in [\d.]+ disk [\d.]+ MB/s  queued [\d.]+ "
                   r"dirty [\d.]+ MB  0:00:\d\d left$", lines[0]), lines[0])
    check("NOT KNOWN TO BE DURABLE" in plain.out, plain.out)
    steps = of_type(with_json, "progress")
    check(len(steps) >= 4, f"{len(steps)} progress objects")
    for key in ("elapsed", "percent", "position", "read-bytes", "bytes-written"):
        values = [s[key] for s in steps]
        check(values == sorted(values) and values[0] < values[-1], f"{key}: {values}")
    check(all(0 <= s["percent"] <= 100 and s["total-bytes"] == os.path.getsize("in.ts")
              and s["left"] >= 0 for s in steps), f"{steps}")
    (end,) = of_type(with_json, "result")
    check(end["durable"] is False and with_json.code == 3, f"{end}")


def progress_on_terminal():
    """One line that is drawn over, not longer than the terminal is wide."""
    big()
    reader = SlowReader("out.mkv", 4000000)
    main, other = pty.openpty()
    width = 60
    import fcntl
    import struct
    import termios
    fcntl.ioctl(main, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    process = subprocess.Popen([WBREMUX, "-f", "--no-part", "in.ts", "out.mkv"],
                               stdout=subprocess.DEVNULL, stderr=other)
    os.close(other)
    threading.Timer(2.2, reader.released.set).start()
    shown = b""
    with contextlib.suppress(OSError):
        while True:
            shown += os.read(main, 65536)
    process.wait(TIMEOUT)
    os.close(main)
    check(process.returncode == 3, f"exit {process.returncode}")
    drawn = [line for line in shown.decode().split("\r\033[K") if line.strip()]
    check(len(drawn) >= 3, f"{shown!r}")
    check(all(re.match(r" *\d+%  0:00:\d\d/", line) and len(line) < width for line in drawn),
          f"{drawn}")
    check(shown.endswith(b"\r\033[K"), f"it is left standing: {shown[-80:]!r}")


def trace():
    """A row every 50 ms, and a last one that has the whole file."""
    big()
    result = wbremux("--trace", "t.csv", "in.ts", "out.mkv")
    check(result.code == 0, result.err)
    rows = list(csv.reader(open("t.csv")))
    check(rows[0] == COLUMNS, f"{rows[0]}")
    values = [[float(v) for v in row] for row in rows[1:]]
    for column in (0, 1, 5, 6):
        moved = [v[column] for v in values]
        check(moved == sorted(moved), f"{COLUMNS[column]} goes back: {moved}")
    check(values[-1][6] == os.path.getsize("out.mkv"), f"{values[-1]}")
    check(values[-1][2] == values[-1][3] == 0, f"{values[-1]}")
    if shutil.which("gnuplot"):
        subprocess.run([sys.executable, PLOT, "--trace", "--out", "t.png", "run=t.csv"], check=True)
        check(open("t.png", "rb").read(4) == b"\x89PNG", "no picture")
    check_refused(wbremux("-f", "--trace", "no/t.csv", "in.ts", "out.mkv"), "no/t.csv",
                  "No such file")
    check_left(*(["t.png"] if shutil.which("gnuplot") else []), "in.ts", "out.mkv", "t.csv")


# --- names ---------------------------------------------------------------------------

def in_place():
    small()
    check_durable(wbremux("--no-part", "in.ts", "out.mkv"))
    check_left("in.ts", "out.mkv")
    before = open("out.mkv", "rb").read()
    check_refused(wbremux("--no-part", "in.ts", "out.mkv"), "out.mkv", "exists already")
    check(open("out.mkv", "rb").read() == before, "it was changed")
    os.symlink("out.mkv", "link.mkv")
    check_durable(wbremux("--no-part", "--force", "in.ts", "link.mkv"))
    check(os.path.islink("link.mkv") and len(streams("out.mkv")) == 3, "the link")
    os.remove("link.mkv")
    open("noise.ts", "wb").write(noise(100000))
    check_refused(wbremux("--no-part", "noise.ts", "new.mkv"), "noise.ts")
    check_left("in.ts", "noise.ts", "out.mkv")


def order_of_syncs():
    """The file, then its name, then the folder that the name is in."""
    small()
    result = wbremux("in.ts", "out.mkv", env={**os.environ, **preloaded("log")})
    check(result.code == 0, result.err)
    calls = open("log").read().splitlines()
    check(calls.count("rename") == 1, f"{calls}")
    at = calls.index("rename")
    check("fsync file" in calls[:at] and "fsync folder" in calls[at:], f"{calls}")


def preload(library):
    """By name and folder: LD_PRELOAD ends a path at a space."""
    folders = [os.path.dirname(library), os.environ.get("LD_LIBRARY_PATH", "")]
    return {"LD_PRELOAD": os.path.basename(library),
            "LD_LIBRARY_PATH": ":".join(filter(None, folders))}


def preloaded(log):
    return {**preload(SYNCSHIM), "SYNCSHIM_LOG": os.path.abspath(log)}


def name_not_durable():
    small()
    environment = {**os.environ, **preloaded("log"), "SYNCSHIM_FAIL": "1"}
    result = wbremux("in.ts", "out.mkv", env=environment)
    check(result.code == 3, f"{result.code} {result.err}")
    check(len(result.lines) == 1 and "Input/output error" in result.err, result.err)
    check("NOT KNOWN TO BE DURABLE" in result.out, result.out)
    check(len(streams("out.mkv")) == 3, "tracks")
    check_left("in.ts", "log", "out.mkv")


def appears_meanwhile():
    """A file that comes to be under the name while we write is not replaced."""
    big()
    process = subprocess.Popen([WBREMUX, "in.ts", "out.mkv"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    wait_for(lambda: os.path.exists("out.mkv.part"))
    with open("out.mkv", "w") as file:
        file.write("mine")
    err = process.communicate(timeout=TIMEOUT)[1]
    check(process.returncode == 1 and "File exists" in err, f"{process.returncode} {err}")
    check(open("out.mkv").read() == "mine", "it was replaced")
    check(len(streams("out.mkv.part")) == 3, "what was written is lost")


def wait_for(condition):
    end = time.monotonic() + TIMEOUT
    while not condition():
        check(time.monotonic() < end, "it never came")
        time.sleep(0.002)


# --- an input that cannot be read ------------------------------------------------------

def unreadable(name, begin, end):
    return {**os.environ, **preload(READSHIM), "READSHIM_FILE": name,
            "READSHIM_FROM": str(begin), "READSHIM_TO": str(end)}


def check_cut_short(result, name, at_least, fewer_than):
    """One line; what came before the place is a whole file."""
    check(result.code == 1 and len(result.lines) == 1, f"{result.code} {result.err}")
    for word in (name, "Input/output error", "kept what there was"):
        check(word in result.err, result.err)
    made = streams("out.mkv")
    check(len(made) == 3, f"{made}")
    check(at_least <= int(made[0]["nb_read_packets"]) < fewer_than, f"{made}")
    check_accepted("out.mkv")


def unreadable_place():
    big()
    size = os.path.getsize("in.ts")
    result = wbremux("in.ts", "out.mkv", env=unreadable("in.ts", size // 2, size // 2 + 4096))
    check_cut_short(result, "in.ts", 600, 800)
    check_left("in.ts", "out.mkv")
    small_copy = two_tracks("2.ts", "-c:v mpeg2video -qscale:v 1 -g 12", "ac3", "mp2", "-f mpegts")
    size = os.path.getsize(small_copy)
    result = wbremux("-f", "in.ts", "2.ts", "out.mkv",
                     env=unreadable("2.ts", size // 2, size // 2 + 4096))
    check_cut_short(result, "2.ts", 1500, 1700)


def unreadable_beginning():
    small()
    for begin, end in ((0, 1 << 40), (0, 1), (20000, 1 << 40)):
        result = wbremux("in.ts", "out.mkv", env=unreadable("in.ts", begin, end))
        check_refused(result, "in.ts", "Input/output error")
        check_left("in.ts")


# --- disks -----------------------------------------------------------------------------

@contextlib.contextmanager
def small_disk(size):
    if os.geteuid() != 0:
        raise Skip("a mount needs root")
    os.mkdir("disk")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", "disk"],
                          capture_output=True, text=True)
    if done.returncode:
        raise Skip(done.stderr.strip())
    try:
        yield "disk"
    finally:
        subprocess.run(["umount", "disk"], check=True)


def full_disk():
    big()
    with small_disk("4m") as disk:
        for more in ((), ("--no-part",)):
            result = wbremux(*more, "in.ts", f"{disk}/out.mkv")
            check(result.code == 1 and "No space left" in result.lines[-1]
                  and f"{disk}/out.mkv" in result.lines[-1], f"{result.code} {result.err}")
            check(not os.listdir(disk), f"left behind: {os.listdir(disk)}")
        open(f"{disk}/out.mkv", "w").write("mine")
        check(wbremux("--force", "in.ts", f"{disk}/out.mkv").code == 1, "it fitted")
        check(open(f"{disk}/out.mkv").read() == "mine", "the file that was there is lost")


def slow_disk():
    """What was written is bounded, and on the disk in the end; the trace shows
    that it was the disk that was waited for."""
    big()
    if os.geteuid() != 0:
        raise Skip("loop devices and mounts need root")
    size = os.path.getsize("in.ts")
    rate = max(size / 1e6 / 3, 4)
    try:
        disk = ThrottledDisk("ext4", "512M", int(rate), os.environ.get("TMPDIR", "/var/tmp"))
    except NotHere as reason:
        raise Skip(str(reason))
    try:
        command = [WBREMUX, "--json", "--trace", "t.csv", "in.ts", str(disk.directory / "out.mkv")]
        group = disk.group
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT,
            preexec_fn=(lambda: open(f"{group}/cgroup.procs", "w").write("0")) if group else None)
        result = Result(result.returncode, result.stdout, result.stderr)
        check(result.code == 0, result.err)
        (end,) = of_type(result, "result")
        check(end["peak-dirty-bytes"] <= 64 << 20, f"{end}")
        check(end["peak-dirty-bytes"] < size, f"nothing was written before the end: {end}")
        check(len(streams(disk.directory / "out.mkv")) == 3, "tracks")
    finally:
        disk.close()
    rows = [[float(v) for v in row] for row in list(csv.reader(open("t.csv")))[1:]]
    check(len(rows) >= 20, f"{len(rows)} rows")
    check(rows[-1][5] > 0, "the disk was never waited for")
    check(any(row[4] > 0 for row in rows), "no drain rate")


# --- signals -----------------------------------------------------------------------------

def interrupted_anywhere():
    """At a random moment: either nothing, or a whole file."""
    big()
    seed = int(os.environ.get("WB_SEED", time.time()))
    print(f"# WB_SEED={seed}", flush=True)
    chance = random.Random(seed)
    seen = []
    for _ in range(12):
        process = subprocess.Popen([WBREMUX, "--force", "in.ts", "out.mkv"], text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(chance.uniform(0.02, 0.4))
        process.send_signal(chance.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP]))
        err = process.communicate(timeout=TIMEOUT)[1]
        seen.append(process.returncode)
        check(not os.path.exists("out.mkv.part"), f"{seen}: left behind")
        if process.returncode in (0, 130):
            check(len(streams("out.mkv")) == 3, f"{seen}: tracks")
            check_accepted("out.mkv")
            os.remove("out.mkv")
        else:
            check(process.returncode in (1, -2, -15, -1), f"{seen} {err}")
            check(not os.path.exists("out.mkv"), f"{seen}: half a file")
    print(f"# exit codes {sorted(seen)}", flush=True)


def stopped_while_slow():
    """Twice, while the output does not move: it comes back, and nothing is left."""
    big()
    reader = SlowReader("out.mkv", 100000)
    process = subprocess.Popen([WBREMUX, "--force", "--no-part", "in.ts", "out.mkv"], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(lambda: len(reader.data) > 0)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    err = process.communicate(timeout=TIMEOUT)[1]
    check(process.returncode == 1 and "stopped" in err, f"{process.returncode} {err}")
    check(time.monotonic() - began < 20, "it took long")


def killed():
    """What a killed run leaves is in nobody's way but its own name's."""
    big()
    process = subprocess.Popen([WBREMUX, "in.ts", "out.mkv"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    wait_for(lambda: os.path.exists("out.mkv.part"))
    process.kill()
    process.wait()
    check(not os.path.exists("out.mkv"), "half a file")
    check_refused(wbremux("in.ts", "out.mkv"), "out.mkv.part", "exists already")
    check_durable(wbremux("--force", "in.ts", "out.mkv"))
    check_left("in.ts", "out.mkv")


def interrupted_in_chain():
    """Between two inputs, or near it: as anywhere else."""
    small()
    for delay in (0.05, 0.1, 0.15, 0.2):
        process = subprocess.Popen([WBREMUX, "-f", *["in.ts"] * 40, "out.mkv"], text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_for(lambda: os.path.exists("out.mkv.part") and os.path.getsize("out.mkv.part"))
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=TIMEOUT)[1]
        check(process.returncode in (0, 130), f"{process.returncode} {err}")
        check(len(streams("out.mkv")) == 3, "tracks")
        check_accepted("out.mkv")


CASES = [as_json, odd_names_in_json, quiet, progress_through_pipe, progress_on_terminal, trace,
         in_place, order_of_syncs, name_not_durable,
         appears_meanwhile, unreadable_place, unreadable_beginning, full_disk, slow_disk,
         interrupted_anywhere, stopped_while_slow, killed, interrupted_in_chain]

if __name__ == "__main__":
    sys.exit(main(CASES))
