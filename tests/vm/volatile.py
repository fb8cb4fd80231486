"""wbfilesink VM tests: a disk that loses what was not flushed

SPDX-License-Identifier: LGPL-2.1-or-later

Problem: an emulator that is killed loses nothing that the guest has written:
it is in the host's file, flushed or not. A real disk has a cache of its own,
and loses what is in it: whatever no flush has followed, in any order.

Strategy: an NBD server whose disk has a volatile write cache without bounds.
Only a flush empties it into the image. When the power goes, each sector in it
may be lost or not, independently of when it was written; a draw decides how
many survive, none and all among the possible answers. So an image is left that
the worst disk that honours flushes could leave, and one that lies about them
(or a file system that forgets one) is not what is tested.

It is as slow as a disk, so that a cut often comes in the middle of something.
The unit is what the disk says its sectors are, 4 KiB: that much is written
whole or not at all. What the guest reads is always the newest.

Layout: the protocol's numbers; the disk; the server.
"""
import contextlib
import os
import socket
import struct
import threading
import time

SECTOR = 4096
BYTES_A_SECOND = 40e6
FLUSH_S = 0.03

# --- the protocol (doc/proto.md of the NBD project) ---

OPTION_MAGIC = 0x49484156454f5054
OPTION_EXPORT_NAME, OPTION_ABORT, OPTION_INFO, OPTION_GO = 1, 2, 6, 7
OPTION_REPLY_MAGIC = 0x3e889045565a9
REPLY_ACK, REPLY_INFO, REPLY_UNSUPPORTED = 1, 3, 0x80000001
FIXED_NEWSTYLE = 1
REQUEST_MAGIC, ANSWER_MAGIC = 0x25609513, 0x67446698
READ, WRITE, DISCONNECT, FLUSH = 0, 1, 2, 3
HAS_FLAGS, SEND_FLUSH = 1, 4
EINVAL = 22


# --- the disk ---

class VolatileDisk:
    """An image, and what is written over it and not flushed. Between two
    flushes `cache` has each write in the order of its completion."""

    def __init__(self, image, newest):
        self.image = os.open(image, os.O_RDWR | os.O_CLOEXEC)
        # What the guest sees; the file is nobody's when we are done.
        self.newest = os.open(newest, os.O_RDWR | os.O_CLOEXEC)
        self.size = os.fstat(self.image).st_size
        self.cache = []
        self.flushes = 0

    def read(self, offset, length):
        return os.pread(self.newest, length, offset)

    def write(self, offset, data):
        time.sleep(len(data) / BYTES_A_SECOND)
        os.pwrite(self.newest, data, offset)
        self.cache.append((offset, data))

    def flush(self):
        time.sleep(FLUSH_S)
        for offset, data in self.cache:
            os.pwrite(self.image, data, offset)
        self.cache.clear()
        self.flushes += 1

    def cut(self, random):
        """The power goes. What became of the cache, in words."""
        survives = random.choice((0, random.random(), random.random(), 1))
        kept = sectors = 0
        for offset, data in self.cache:
            for at in range(0, len(data), SECTOR):
                sectors += 1
                if random.random() < survives:
                    os.pwrite(self.image, data[at:at + SECTOR], offset + at)
                    kept += 1
        self.cache.clear()
        os.close(self.image)
        os.close(self.newest)
        return f'{kept} of {sectors} unflushed sectors survive'


# --- the server ---

class Server:
    """Serves DISK on a socket at PATH, to one client after the other."""

    def __init__(self, disk, path):
        self.disk = disk
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(1)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                self.client, _ = self.listener.accept()
            except OSError:
                return
            with self.client, contextlib.suppress(EOFError, OSError):
                # The client may be killed: a request that has not come whole
                # was never made.
                if self.negotiate():
                    while self.answer():
                        pass

    def join(self):
        """After the last client's end: nothing more is written."""
        # close() alone does not wake accept().
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join(10)
        self.listener.close()
        if self.thread.is_alive():
            raise RuntimeError('the client is still there')

    def receive(self, length):
        data = bytearray(length)
        view = memoryview(data)
        while view:
            n = self.client.recv_into(view)
            if n == 0:
                raise EOFError
            view = view[n:]
        return data

    def negotiate(self):
        """TRUE when the client has chosen the one export that there is."""
        export = struct.pack('>QH', self.disk.size, HAS_FLAGS | SEND_FLUSH)
        self.client.sendall(
            b'NBDMAGIC' + struct.pack('>QH', OPTION_MAGIC, FIXED_NEWSTYLE))
        self.receive(4)
        while True:
            _, option, length = struct.unpack('>QII', self.receive(16))
            self.receive(length)
            if option == OPTION_EXPORT_NAME:
                self.client.sendall(export + bytes(124))
                return True
            if option in (OPTION_INFO, OPTION_GO):
                self.reply(option, REPLY_INFO, struct.pack('>H', 0) + export)
                self.reply(option, REPLY_ACK)
                if option == OPTION_GO:
                    return True
            elif option == OPTION_ABORT:
                self.reply(option, REPLY_ACK)
                return False
            else:
                self.reply(option, REPLY_UNSUPPORTED)

    def reply(self, option, kind, data=b''):
        self.client.sendall(struct.pack('>QIII', OPTION_REPLY_MAGIC, option,
                                        kind, len(data)) + data)

    def answer(self):
        """One request; FALSE after the last."""
        _, _, command, handle, offset, length = struct.unpack(
            '>IHHQQI', self.receive(28))
        error, data = 0, b''
        if command == READ:
            data = self.disk.read(offset, length)
        elif command == WRITE:
            self.disk.write(offset, self.receive(length))
        elif command == FLUSH:
            self.disk.flush()
        elif command == DISCONNECT:
            return False
        else:
            error = EINVAL
        self.client.sendall(struct.pack('>IIQ', ANSWER_MAGIC, error, handle)
                            + data)
        return True
