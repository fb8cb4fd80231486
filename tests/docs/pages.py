#!/usr/bin/env python3
"""wbfilesink documentation tests: pages against the sources

SPDX-License-Identifier: LGPL-2.1-or-later

Usage: pages.py SOURCE-FOLDER [CASE...]. Speaks TAP.

What the element can say must stand on the troubleshooting page: the texts are
taken out of the sources, their formats become patterns, and each must match a
heading (messages, with kind, domain and code below it) or a line of a table
(the log). What is generated must be current, and no link may lead nowhere.
"""
import argparse
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent
                       / 'storage'))
import storage  # noqa: E402
from storage import NotHere, check, note  # noqa: E402

LITERAL = r'"(?:[^"\\]|\\.)*"'
# One format in C: literals and PRI macros, up to a comma or a bracket.
FORMAT = rf'(?:{LITERAL}|\s|[A-Z][A-Z0-9_]+)+'
CONVERSION = re.compile(r'%[-+#0-9.]*(?:l|ll|z)?[a-zA-Z]')


def sources(root):
    return '\n'.join(path.read_text() for path in sorted(
        (root / 'plugin').rglob('*.c')))


def text_of(c_format):
    """A C format as one string; macros between the literals are conversions."""
    c_format = re.sub(r'G_GUINT64_FORMAT|G_GINT64_FORMAT|G_GSIZE_FORMAT', '"u"',
                      c_format)
    c_format = re.sub(r'GST_TIME_FORMAT', '"s"', c_format)
    parts = re.findall(LITERAL, c_format)
    return ''.join(part[1:-1] for part in parts).replace('\\"', '"')


def pattern_of(text):
    pieces = CONVERSION.split(text)
    return re.compile('.*?'.join(re.escape(piece) for piece in pieces) + '$')


# --- what the element says ---

def bus_messages(code):
    """kind, domain, code, text"""
    found = re.findall(
        rf'GST_ELEMENT_(ERROR|WARNING) \(self, (\w+), (\w+),\s*\(({FORMAT})',
        code)
    return [(kind, domain, what, text_of(c)) for kind, domain, what, c in found]


def other_messages(code):
    calls = rf'(?:g_warning \(|g_set_error_literal \([^"]*?)({FORMAT})'
    return [text_of(c) for c in re.findall(calls, code)]


def consequences(code):
    """What a timeout is said to mean"""
    return re.findall(r'post_timeout \([^;"]*"([^"]*)"', code)


def log_lines(code):
    calls = (rf'(?:wb_core_say(?:_locked)? \(\s*\w+(?:->\w+)?,\s*WB_LOG_\w+,'
             rf'|GST_\w+_OBJECT \(self,)\s*({FORMAT})')
    return [text_of(c) for c in re.findall(calls, code)]


def element_messages(code):
    return set(re.findall(r'gst_structure_new \("(wbfilesink-[a-z]+)"', code))


# --- the page ---

def sections(page):
    """heading, text below it"""
    parts = re.split(r'^### (.*)\n', page, flags=re.M)
    return list(zip(parts[1::2], parts[2::2]))


def first_cells(page):
    """of each row of each table"""
    return [cell.strip('`') for cell in re.findall(r'^\| (.*?) \|', page, re.M)]


def check_all_there(missing, what):
    check(not missing, f'the page has no {what}:\n' + '\n'.join(missing))


def check_bus_messages(code, page):
    found = bus_messages(code)
    check(len(found) == len(re.findall(r'GST_ELEMENT_(?:ERROR|WARNING) \(',
                                       code)),
          'a message was not understood by this test')
    missing = []
    for kind, domain, what, text in found:
        pattern = pattern_of(text)
        if not any(pattern.match(heading) and f'{domain}/{what}' in below
                   and kind in below.upper()
                   for heading, below in sections(page)):
            missing.append(f'{kind} {domain}/{what} {text}')
    note(f'{len(found)} messages')
    check_all_there(missing, 'section for')


def check_other_messages(code, page):
    headings = [heading for heading, _ in sections(page)]
    rows = first_cells(page)
    found = consequences(code)
    check(found, 'no timeout was found')
    check_all_there([text for text in found if text not in rows], 'row for')
    found = set(other_messages(code))
    check(found, 'none was found')
    check_all_there([text for text in found if not any(
        heading.startswith(text) for heading in headings)], 'section for')


def check_log_lines(code, page):
    rows = first_cells(page)
    found = [text for text in log_lines(code) if text]
    check(len(found) > 10, f'only {len(found)} were found')
    # A line that begins with a choice is shown in two rows.
    missing = [text for text in found if not text.startswith('%s, ')
               and not any(matches_row(text, row) for row in rows)]
    note(f'{len(found)} lines')
    check_all_there(missing, 'row for')


def matches_row(text, row):
    """A row may end early with "..."."""
    if row.endswith('...'):
        pieces = CONVERSION.split(text)
        begin = '.*?'.join(re.escape(piece) for piece in pieces[:3])
        return re.match(begin, row) is not None
    return pattern_of(text).match(row) is not None


def check_element_messages(root, code, page):
    reference = (root / 'docs/properties.md.in').read_text()
    names = element_messages(code)
    check(names, 'none was found')
    check_all_there([name for name in names if f'### {name}\n' not in page
                     or f'### {name}\n' not in reference], 'section for')
    results = re.search(r'^wb_sync_result_name .*?names\[\] = \{(.*?)\}', code,
                        re.S | re.M)
    for result in re.findall(r'"(\w+)"', results.group(1)):
        if result != 'none':
            check(f'| `{result}` |' in page, f'nothing is said of {result}')


# --- other pages ---

def check_generated(root):
    result = subprocess.run([root / 'docs/generate', '--check'], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode == 77:
        raise NotHere(result.stdout.strip())
    check(result.returncode == 0,
          result.stdout + 'run: meson devenv -C build ../docs/generate')


def anchors(page):
    found = []
    for heading in re.findall(r'^#+ (.*)$', page, re.M):
        name = re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-')
        found.append(name if name not in found
                     else f'{name}-{found.count(name)}')
    return found


def check_link(page, target):
    path, _, anchor = target.partition('#')
    goal = (page.parent / path).resolve() if path else page
    if not goal.exists():
        return f'{page.name}: {target} is not there'
    if anchor and goal.suffix == '.md' and anchor not in anchors(
            goal.read_text()):
        return f'{page.name}: {goal.name} has no {anchor}'
    return None


def check_links(root):
    pages = [root / 'README.md', *sorted((root / 'docs').rglob('*.md'))]
    links = [(page, target) for page in pages
             for target in re.findall(r'\]\(([^)\s]+)\)', page.read_text())
             if not re.match(r'[a-z]+:', target)]
    note(f'{len(links)} links on {len(pages)} pages')
    wrong = [check_link(page, target) for page, target in links]
    check(not any(wrong), '\n'.join(filter(None, wrong)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('root', type=pathlib.Path)
    parser.add_argument('only', nargs='*')
    args = parser.parse_args()
    code = sources(args.root)
    page = (args.root / 'docs/troubleshooting.md').read_text()
    return storage.run_cases([
        ('messages on the bus', lambda: check_bus_messages(code, page)),
        ('other messages', lambda: check_other_messages(code, page)),
        ('lines in the log', lambda: check_log_lines(code, page)),
        ('element messages',
         lambda: check_element_messages(args.root, code, page)),
        ('generated pages', lambda: check_generated(args.root)),
        ('links', lambda: check_links(args.root)),
    ], args.only)


if __name__ == '__main__':
    sys.exit(main())
