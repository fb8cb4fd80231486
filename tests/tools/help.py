#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What wbremux's --help, its man page and its completion say: the same.

Usage: help.py WBREMUX MANPAGE COMPLETION [CASE...]. Speaks TAP.
"""

import os
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
COMPLETION = os.path.abspath(sys.argv.pop(3))
PAGE = os.path.abspath(sys.argv.pop(2))
from media import *  # noqa: E402, F403

HELP_ONLY = {"--help-all", "--help-gst"}


def help_options():
    """long option: (short one, placeholder) or None, as --help has them."""
    result = wbremux("--help")
    check(result.code == 0 and not result.err, result.err)
    rows = re.findall(r"^  (?:(-\w), )?(--[\w-]+)(?:=(\S+))?  ", result.out, re.M)
    return {long: (short, value) for short, long, value in rows if long not in HELP_ONLY}


def page_options():
    text = open(PAGE).read().replace("\\-", "-")
    section = text[text.index(".SH OPTIONS"):text.index(".SH OUTPUT")]
    rows = re.findall(r"^\.TP\n\.BR? (?:(-\w) \", \" )?(--[\w-]+)(?: =\\fI(\S+)\\fR)?$", section, re.M)
    return {long: (short, value) for short, long, value in rows}


def complete(*words):
    """The answers for the last of the words, broken as bash breaks them."""
    broken = [part for word in words
              for part in (re.split("(=)", word) if word.startswith("--") else [word])]
    if broken[-1] == "" and len(broken) > 1 and broken[-2] == "=":
        broken.pop()
    script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _wbremux; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    out = subprocess.run(["bash", "-c", script, "bash", COMPLETION, *broken],
                         capture_output=True, text=True)
    check(out.returncode == 0 and not out.stderr, out.stderr)
    return [line for line in out.stdout.splitlines() if line]


def same_options():
    there = help_options()
    check(len(there) >= 10, f"{there}")
    check(page_options() == there, f"help {there}\npage {page_options()}")
    need("bash")
    check(sorted(complete("wbremux", "--")) == sorted(there), f"{complete('wbremux', '--')}")


def same_values():
    """Options that take a value complete one, the others do not; every format
    that is offered is one."""
    need("bash")
    open("file.mkv", "w").close()
    for option, (short, value) in help_options().items():
        for spelling in (option, short) if short else (option,):
            found = complete("wbremux", spelling, "")
            offered = {"FORMAT": "mkv", "LIST": "all", "FILE.csv": "file.mkv", "": "file.mkv",
                       "TITLE": "main", "DEFAULTS": "audio:"}.get(value)
            check(offered in found if offered else not found, f"{spelling}: {found}")
    for name in complete("wbremux", "--muxer", ""):
        check(name in wbremux("--help").out, f"{name} is not in --help")
        result = wbremux("--muxer", name, "none.ts", "out.bin")
        check("none.ts" in result.err, result.err)


def completions():
    need("bash")
    os.mkdir("a folder")
    for name in ("in 1.ts", "in2.ts", "out.mkv"):
        open(name, "w").close()
    for words, expected in (
            (("--mu",), ["--muxer"]), (("--muxer", "m"), ["mkv", "mp4", "mov"]),
            (("--muxer=m",), ["mkv", "mp4", "mov"]), (("-m", "w"), ["webm"]),
            (("--muxer=",), ["mkv", "webm", "mp4", "mov", "ts"]),
            (("--audio", "a"), ["all"]), (("--audio", "eng,de"), ["eng,deu"]),
            (("--subtitles=eng,fra,sp",), ["eng,fra,spa"]), (("--audio", "eng,al"), []),
            (("in",), ["in 1.ts", "in2.ts"]), (("-f", "in2.ts", "o"), ["out.mkv"]),
            (("a",), ["a folder"]), (("--trace", "o"), ["out.mkv"]), (("--no-such",), [])):
        check(sorted(complete("wbremux", *words)) == sorted(expected),
              f"{words}: {complete('wbremux', *words)}")


def page_is_clean():
    need("man")
    environment = {**os.environ, "MANROFFSEQ": "", "MANWIDTH": "80", "LC_ALL": "C.UTF-8"}
    result = subprocess.run(["man", "--warnings", "-l", PAGE], capture_output=True, text=True,
                            env=environment)
    if "minimized" in result.stdout:
        raise Skip("man does not show pages here")
    check(result.returncode == 0 and not result.stderr, result.stderr)
    for word in ("EXIT STATUS", "--no-part", "130"):
        check(word in result.stdout, f"{word} is not shown")
    if shutil.which("mandoc"):
        lint = subprocess.run(["mandoc", "-Tlint", "-Wwarning", PAGE], capture_output=True, text=True)
        check(lint.returncode == 0, lint.stdout)


def exit_codes_are_told():
    for text in (wbremux("--help").out, open(PAGE).read()):
        for code in ("0", "1", "2", "3", "4", "130"):
            check(re.search(rf"(?:^\.B {code}$|[:;] *{code} [a-z])", text, re.M), f"{code}: {text}")


CASES = [same_options, same_values, completions, page_is_clean, exit_codes_are_told]

if __name__ == "__main__":
    sys.exit(main(CASES))
