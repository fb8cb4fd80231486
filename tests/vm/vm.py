"""wbfilesink VM tests: a machine that can be cut off

SPDX-License-Identifier: LGPL-2.1-or-later

Problem: a power cut, a wedged NFS server and a disk that turns to errors need
a kernel of their own: with the modules for it, and one that may be killed.

Strategy: Debian's kernel under qemu's software emulation (the same everywhere,
and nothing of it needs hardware support), on this machine's own root: a
read-only 9p share under a tmpfs, so that what was just built runs in the guest
as it is. Kernel and NFS server are taken from Debian's packages, unpacked into
a cache and never installed here. Results come over the second serial port, the
kernel's log over the first.

Layout: what is needed; the kernel; the initrd; the machine; what it says.
"""
import argparse
import contextlib
import fcntl
import json
import os
import pathlib
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'storage'))
import storage  # noqa: E402
from storage import NotHere, check  # noqa: E402

CACHE = pathlib.Path(
    os.environ.get('WB_VM_CACHE')
    or pathlib.Path(os.environ.get('XDG_CACHE_HOME')
                    or pathlib.Path.home() / '.cache') / 'wbfilesink' / 'vm')
# A meta package each, that names the kernel's own; the first that is there.
KERNELS = ('linux-image-6.12-amd64', 'linux-image-amd64')
NFS_PACKAGE, NFS_PROGRAM = 'nfs-kernel-server', 'usr/sbin/rpc.nfsd'
PROGRAMS = ('qemu-system-x86_64', 'busybox', 'modprobe', 'depmod', 'cpio',
            'gzip', 'apt-get', 'dpkg-deb', 'setpriv', 'pkg-config')
# To find the root; all others are loaded in the guest.
BOOT_MODULES = ('virtio_pci', '9pnet_virtio', '9p', 'overlay')
BOOT_TIMEOUT = 120


# --- what is needed ---

def parse(description, parser=None):
    parser = parser or argparse.ArgumentParser(description=description)
    parser.add_argument('wbstream')
    parser.add_argument('plugin')
    parser.add_argument('only', nargs='*', metavar='CASE')
    parser.add_argument('--where', default=os.environ.get('TMPDIR',
                                                          '/var/tmp'),
                        help='where disk images go')
    # As an exception, so that the machine ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    args = parser.parse_args()
    for name in ('wbstream', 'plugin'):
        path = pathlib.Path(getattr(args, name)).resolve()
        if not path.exists():
            parser.error(f'{path} does not exist')
        setattr(args, name, path)
    return args


def need_machine():
    """Raises NotHere if there cannot be one."""
    if platform.machine() != 'x86_64':
        raise NotHere('the guest is an x86_64')
    storage.need_root()
    for program in PROGRAMS:
        storage.need_program(program)
    static = subprocess.run(['ldd', shutil.which('busybox')], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if 'not a dynamic executable' not in static.stdout:
        raise NotHere('busybox is not a static program')


@contextlib.contextmanager
def cache_locked():
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / 'lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# --- the kernel ---

def apt(*words, directory=None):
    result = subprocess.run(words, cwd=directory, text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)
    if result.returncode != 0:
        reason = (result.stderr.strip() or result.stdout.strip()
                  or f'exit status {result.returncode}').splitlines()[-1]
        raise NotHere(f'{" ".join(words[:2])}: {reason}')
    return result.stdout


def kernel_package():
    """The name of a kernel's package, or None."""
    for name in KERNELS:
        with contextlib.suppress(NotHere):
            depends = apt('apt-cache', 'depends', name)
            for package in re.findall(r'Depends: (linux-image-\d\S+)',
                                      depends):
                return package
    return None


def unpack(packages, directory):
    """Into DIRECTORY, where /bin and the like are links as on a Debian of
    today, whatever the packages think."""
    for name in ('bin', 'sbin', 'lib', 'lib64'):
        (directory / 'usr' / name).mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            (directory / name).symlink_to(f'usr/{name}')
    for package in packages:
        tar = subprocess.Popen(['dpkg-deb', '--fsys-tarfile', package],
                               stdout=subprocess.PIPE)
        subprocess.run(['tar', '-x', '--keep-directory-symlink', '-C',
                        directory], stdin=tar.stdout, check=True)
        check(tar.wait() == 0, f'{package} could not be unpacked')


def fetch_kernel(root):
    package = kernel_package()
    if package is None:
        apt('apt-get', 'update', '-q')
        package = kernel_package()
    if package is None:
        raise NotHere(f'there is no package {" or ".join(KERNELS)}')
    with tempfile.TemporaryDirectory(dir=CACHE) as below:
        below = pathlib.Path(below)
        apt('apt-get', 'download', '-q', package, directory=below)
        unpack(below.glob('*.deb'), below / 'root')
        version, = [path.name for path in (below / 'root/usr/lib/modules')
                    .iterdir()]
        subprocess.run(['depmod', '-b', below / 'root', version], check=True)
        (below / 'root').rename(root)


def fetch_nfs(root):
    """The server with all that it needs and this machine does not have."""
    with tempfile.TemporaryDirectory(dir=CACHE) as below:
        below = pathlib.Path(below)
        (below / 'partial').mkdir()
        apt('apt-get', 'install', '-q', '-y', '--no-install-recommends',
            '--download-only', '-o', f'Dir::Cache::archives={below}',
            NFS_PACKAGE)
        unpack(below.glob('*.deb'), root)


class Kernel:
    """root: what goes into the guest beside this machine's root."""

    def __init__(self, nfs=False):
        self.root = CACHE / 'root'
        with cache_locked():
            if not self.root.exists():
                fetch_kernel(self.root)
            if nfs and not any((base / NFS_PROGRAM).exists()
                               for base in (self.root, pathlib.Path('/'))):
                fetch_nfs(self.root)
            self.image, = self.root.glob('boot/vmlinuz-*')
            self.version = self.image.name.removeprefix('vmlinuz-')
            self.initrd = CACHE / 'initrd.gz'
            make_initrd(self)


# --- the initrd ---

INIT = '''#!/bin/busybox sh
busybox mount -t devtmpfs dev /dev
for m in $(busybox cat /order); do
  case $m in
    *.xz) busybox xz -dc /modules/$m >/module; busybox insmod /module ;;
    *) busybox insmod /modules/$m ;;
  esac
done
for t in root extra; do
  busybox mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,\
msize=262144 $t /$t
done
busybox mount -t tmpfs tmpfs /up
busybox mkdir /up/upper /up/work
busybox mount -t overlay \
  -o lowerdir=/extra:/root,upperdir=/up/upper,workdir=/up/work overlay /new
busybox mount --move /dev /new/dev
busybox mount -t proc proc /new/proc
busybox mount -t sysfs sys /new/sys
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
exec busybox switch_root /new /bin/bash "$guest"
'''


def modules_to_boot(kernel):
    """In the order in which they are loaded."""
    order = []
    for name in BOOT_MODULES:
        lines = subprocess.run(
            ['modprobe', '-d', kernel.root, '-S', kernel.version,
             '--show-depends', name], text=True, stdout=subprocess.PIPE,
            check=True).stdout.splitlines()
        order += [line.split()[1] for line in lines
                  if line.startswith('insmod ')]
    return list(dict.fromkeys(order))


def make_initrd(kernel):
    """Anew each time: it depends on this file and on busybox."""
    with tempfile.TemporaryDirectory(dir=CACHE) as below:
        tree = pathlib.Path(below) / 'tree'
        for name in ('bin', 'proc', 'sys', 'dev', 'modules', 'root', 'extra',
                     'up', 'new'):
            (tree / name).mkdir(parents=True)
        shutil.copy(shutil.which('busybox'), tree / 'bin')
        order = modules_to_boot(kernel)
        for module in order:
            shutil.copy(module, tree / 'modules')
        (tree / 'order').write_text(
            '\n'.join(os.path.basename(m) for m in order))
        (tree / 'init').write_text(INIT)
        (tree / 'init').chmod(0o755)
        subprocess.run('find . | cpio --quiet -o -H newc | gzip -1 >../initrd',
                       shell=True, cwd=tree, check=True)
        (pathlib.Path(below) / 'initrd').rename(kernel.initrd)


# --- the machine ---

class Machine:
    """Boots and runs SCRIPT, a file of this directory, with ENVIRONMENT. Each
    of DISKS is what qemu calls a -blockdev; they are /dev/vda on. `lines` is
    what the guest has said so far, each with its time."""

    def __init__(self, kernel, directory, script, disks=(), environment={},
                 memory=1024):
        self.log = pathlib.Path(directory) / 'kernel.log'
        guest = pathlib.Path(directory) / 'guest'
        guest.write_text(
            'exec </dev/null >/dev/ttyS1 2>&1\necho "guest begins"\n'
            + ''.join(f'export {name}={shlex.quote(str(value))}\n'
                      for name, value in environment.items())
            + f'bash {shlex.quote(str(HERE / script))}\n'
            'echo "guest ends: $?"\nsleep 1000\n')
        # One processor: with more the emulation of self-modifying code, of
        # which a kernel has some, is not reliable (seen with qemu 7.2).
        self.command = [
            'setpriv', '--pdeathsig', 'KILL', 'qemu-system-x86_64',
            '-accel', 'tcg', '-cpu', 'max', '-smp', '1', '-m', str(memory),
            '-nodefaults', '-display', 'none', '-no-reboot',
            '-kernel', kernel.image, '-initrd', kernel.initrd,
            '-append', f'console=ttyS0 panic=-1 quiet guest={guest}',
            '-serial', f'file:{self.log}', '-chardev', 'stdio,id=said',
            '-serial', 'chardev:said',
            '-virtfs', 'local,path=/,mount_tag=root,security_model=none,'
            'readonly=on,multidevs=remap',
            '-virtfs', f'local,path={kernel.root},mount_tag=extra,'
            'security_model=none,readonly=on']
        for number, disk in enumerate(disks):
            self.command += [
                '-blockdev', json.dumps(disk | {'node-name': f'd{number}'}),
                '-device', f'virtio-blk-pci,drive=d{number},write-cache=on,'
                'logical_block_size=4096,physical_block_size=4096']
        self.boot()

    def boot(self):
        """Once more if the kernel does not come up: that is not ours."""
        for last in (False, True):
            self.start()
            try:
                self.wait_for('guest begins', BOOT_TIMEOUT)
                return
            except storage.Failure as failure:
                self.cut()
                if last:
                    raise
                storage.note(failure)
            except BaseException:
                self.cut()
                raise

    def start(self):
        self.lines = []
        self.news = threading.Condition()
        self.qemu = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors='replace',
            start_new_session=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.qemu.stdout:
            with self.news:
                self.lines.append((time.monotonic(), line.rstrip()))
                self.news.notify_all()
        with self.news:
            self.qemu.wait()
            self.news.notify_all()

    def wait_for(self, beginning, timeout):
        """Until a line begins so (a regular expression). The line; a failure
        if none does."""
        deadline = time.monotonic() + timeout
        seen = 0
        with self.news:
            while True:
                for _, line in self.lines[seen:]:
                    if re.match(beginning, line):
                        return line
                seen = len(self.lines)
                left = deadline - time.monotonic()
                if left <= 0 or self.qemu.returncode is not None:
                    break
                self.news.wait(left)
        raise storage.Failure(
            f'the machine did not say "{beginning}"; it said:\n'
            + '\n'.join(line for _, line in self.lines[-40:])
            + '\nand the kernel:\n' + self.last_words())

    def last_words(self):
        if not self.log.exists():
            return ''
        return '\n'.join(self.log.read_text(errors='replace')
                         .splitlines()[-20:])

    def run(self, timeout):
        """To the script's end; its lines."""
        end = self.wait_for('guest ends: ', timeout)
        check(end == 'guest ends: 0', f'{end}; it said:\n'
              + '\n'.join(line for _, line in self.lines[-40:]))
        return [line for _, line in self.lines]

    def cut(self):
        """The power: what was said until then is all there ever is."""
        self.qemu.kill()
        self.qemu.wait()
        self.reader.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cut()


def environment(args):
    """For the guest: our programs, and the two plugins that it needs."""
    plugins = subprocess.run(
        ['pkg-config', '--variable=pluginsdir', 'gstreamer-1.0'], text=True,
        stdout=subprocess.PIPE, check=True).stdout.strip()
    return {'WBSTREAM': args.wbstream,
            'PLUGINS': f'{plugins}/libgstcoreelements.so\n{args.plugin}'}


MKFS = {'ext4': ['mkfs.ext4', '-q', '-F'],
        'xfs': ['mkfs.xfs', '-q', '-f', '-s', 'size=4096']}


def disk_image(directory, fs, name='disk', options=()):
    """A sparse file of half a gigabyte with a file system on it."""
    storage.need_program(MKFS[fs][0])
    path = pathlib.Path(directory) / name
    path.touch()
    os.truncate(path, 512 * storage.MIB)
    subprocess.run([*MKFS[fs], *options, path], check=True)
    return path


def image_drive(path):
    return {'driver': 'raw', 'file': {'driver': 'file',
                                      'filename': str(path)}}


# --- what it says ---

class Said:
    """A line of wbstream: "wbstream: TIME NAME KEY=VALUE..."; text, the last
    key, may have spaces."""

    def __init__(self, line):
        head, _, self.text = line.partition(' text=')
        words = head.split()
        self.line, self.time, self.name = line, float(words[1]), words[2]
        self.values = dict(word.split('=', 1) for word in words[3:]
                           if '=' in word)

    def __getitem__(self, key):
        return self.values[key]

    @staticmethod
    def all(lines):
        return [Said(line) for line in lines
                if re.match(r'wbstream: \d+\.\d+ \w', line)]


def cases_of(lines):
    """What was said between one "case NAME" and the next, by name."""
    cases, current = {}, []
    for line in lines:
        if line.startswith('case '):
            current = cases.setdefault(line[5:], [])
        current.append(line)
    return cases


def run_cases(args, run_guest, cases):
    """cases: (name, what the guest calls it, what judges its lines). Returns
    the exit status."""
    try:
        need_machine()
        said = run_guest(args)
    except NotHere as reason:
        return storage.skip_all(reason)
    except storage.Failure as failure:
        # The cases then tell what was not said.
        storage.note(failure)
        said = {}
    return storage.run_cases(
        [(name, lambda key=key, judge=judge: judge(said.get(key, [])))
         for name, key, judge in cases], args.only)
