"""failing: makes chosen calls of a running perch fail, see ../failing.c.

Memory that runs out, descriptors that are all taken, a socket that takes no
byte: states in which a test can't put a machine, or not at the right moment.
"""

import contextlib
import errno
import glob
import mmap
import os
import re
import signal
import struct
import subprocess

from .client import RawClient
from .perch import program, sanitizer_environment
from .wait import wait_for

_SOURCE = os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "failing.c")
# The order of enum call.
_CALLS = ["none", "memory", "socket", "connect", "connect_at_once", "recv",
          "send", "splice", "pipe", "epoll", "send_one",
          "sync_hangs", "sync_lasts"]
# Offsets.
_N_FAILED = 20
_PAUSED_PORT = 24
_N_PAUSED = 28
FOR_EVER = 1 << 30


def sanitizer_library():
    """Of the perch under test, or None. It must stand before ours, and then
    it asks ours for what it wraps; but memory is its own."""
    needed = subprocess.run(
        ["ldd", program()], capture_output=True, text=True, check=True).stdout
    found = re.search(r"lib[at]san\S* => (\S+)", needed)
    return found and found[1]


def build(folder):
    """The library's path."""
    path = os.path.join(str(folder), "failing.so")
    subprocess.run(
        [os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-O1",
         "-fPIC", "-shared", "-Wall", "-Wextra", "-o", path, _SOURCE],
        check=True)
    return path


class Failing:
    """For one perch: give it environment=failing.environment."""

    def __init__(self, library, path):
        with open(path, "wb") as file:
            file.write(bytes(4096))
        self._file = open(path, "r+b")
        self._memory = mmap.mmap(self._file.fileno(), 4096)
        sanitizer = sanitizer_library()
        self.environment = dict(
            sanitizer_environment(), FAILING=path,
            LD_PRELOAD=":".join(filter(None, [sanitizer, library])))

    def arm(self, call, error=0, skip=0, times=1, port=0):
        """From now on; what was armed before isn't any more."""
        self.disarm()
        self._memory[4:24] = struct.pack("5i", skip, times, error, port, 0)
        self._put(0, _CALLS.index(call))

    def change_error(self, error):
        """Of what is armed; no call goes well meanwhile."""
        self._put(12, error)

    def disarm(self):
        self._put(0, 0)

    @contextlib.contextmanager
    def paused(self, client, perch):
        """While it lasts perch's only worker does nothing; then it finds all
        that has come meanwhile at once. client sends it the first byte. What
        is armed stays so."""
        self._put(_N_PAUSED, 0)
        self._put(_PAUSED_PORT, perch.port)
        client.send("G")
        wait_for("the pause", lambda: self._get(_N_PAUSED) > 0)
        yield
        self._put(_PAUSED_PORT, 0)

    def _put(self, offset, value):
        self._memory[offset:offset + 4] = struct.pack("i", value)

    def _get(self, offset):
        return struct.unpack_from("i", self._memory, offset)[0]

    @contextlib.contextmanager
    def hanging_disk(self):
        """While it lasts nothing that perch writes down gets to the disk.
        Gives a function that waits until something is on its way there."""
        self.arm("sync_hangs", times=FOR_EVER)
        try:
            yield lambda: wait_for("the disk to be written to",
                                   lambda: self.count > 0)
        finally:
            self.disarm()

    @property
    def count(self):
        """How many calls have failed since arm()."""
        return self._get(_N_FAILED)

    def close(self):
        self._memory.close()
        self._file.close()


class Scene:
    """A perch whose calls fail. Its worker is past what memory must not fail
    at, the start, and two who have begun a head have its first buffers."""

    def __init__(self, failing, perch):
        self.failing = failing
        self.perch = perch
        self.holders = []
        for _ in range(2):
            self.holders.append(self.client().send("G"))
            perch.admin.wait_metric(
                "perch_client_connections", len(self.holders))

    def client(self, **options):
        return RawClient(self.perch.port, **options)

    def is_served(self):
        with self.client() as client:
            return client.request(target="/after").status == 200

    def settle(self):
        """What was sent to perch before has been looked at. No endpoint is
        asked for that."""
        with self.client() as client:
            assert client.request("CONNECT", "a:1").status == 405

    def block(self, port):
        """Sockets with that port take nothing, until disarm()."""
        self.failing.arm("send", errno.EAGAIN, times=FOR_EVER, port=port)

    def wait_idle(self):
        """Nobody but the holders is connected any more, and nothing is left to
        be done for anybody."""
        self.settle()
        self.perch.admin.wait_metric(
            "perch_client_connections", len(self.holders))

    @contextlib.contextmanager
    def stopped(self):
        """While it lasts perch isn't run; then it finds all at once that has
        come meanwhile, and what is armed to fail."""
        self.perch.send_signal(signal.SIGSTOP)
        try:
            wait_for("perch to be stopped", self._is_stopped)
            yield
        finally:
            self.perch.send_signal(signal.SIGCONT)

    def _is_stopped(self):
        """All of its threads are."""
        for stat in glob.glob("/proc/%d/task/*/stat" % self.perch.pid):
            with open(stat, encoding="ascii") as file:
                if file.read().rpartition(")")[2].split()[0] != "T":
                    return False
        return True

    def wait_failed(self, n=1):
        wait_for("the call to fail", lambda: self.failing.count >= n)
