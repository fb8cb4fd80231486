#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""guard.py CLANG CFLAG...: the compiler knows who may enter.

What plugin/writeback/file/wbguard.h says of locks and threads is checked by
clang. Each program in wrong/ is right as it stands and has to be refused with
-DWRONG, for the reason that its first line tells; and all of plugin/ has to pass.
"""

import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
PLUGIN = HERE.parent.parent / 'plugin'
CHECK = ['-std=gnu11', '-fsyntax-only', '-Wthread-safety', '-Werror=thread-safety']


def compile_only(clang, flags, source):
    """What clang says, and whether it takes the file."""
    result = subprocess.run([clang, *CHECK, *flags, source], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            check=False)
    return result.returncode == 0, result.stdout


def main():
    clang, *flags = sys.argv[1:]
    cases = []
    for source in sorted((HERE / 'wrong').glob('*.c')):
        taken, said = compile_only(clang, flags, source)
        cases.append((f'{source.stem}: right, is taken', taken, said))
        taken, said = compile_only(clang, [*flags, '-DWRONG'], source)
        cases.append((f'{source.stem}: wrong, is refused',
                      not taken and 'Wthread-safety' in said, said))
    for source in sorted(PLUGIN.rglob('*.c')):
        if source.stem.endswith('-generic'):
            continue
        taken, said = compile_only(clang, flags, source)
        cases.append((str(source.relative_to(PLUGIN)), taken, said))

    print(f'1..{len(cases)}')
    for number, (name, passed, said) in enumerate(cases, 1):
        print(f'{"ok" if passed else "not ok"} {number} - {name}')
        if not passed:
            print(said, file=sys.stderr)
    return 0


if __name__ == '__main__':
    sys.exit(main())
