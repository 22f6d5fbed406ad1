"""network: a network of a test's own, with a name server of its own.

Namespaces belong to threads: a test's body runs in a thread that leaves the
machine's network for an empty one, and what it starts from there, threads
and programs, is in there with it. Many such tests can run at once.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import struct
import tempfile
import threading

from .backend import ScriptedBackend
from .client import RawClient
from .nameserver import NameServer
from .perch import Perch

_CLONE_NEWNS, _CLONE_NEWNET = 0x00020000, 0x40000000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 0x1

_libc = ctypes.CDLL(None, use_errno=True)


class NotPermitted(Exception):
    """Here nobody may make namespaces."""


def _call(function, *arguments):
    if function(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, "%s: %s" % (
            function.__name__, os.strerror(code)))


def _leave_network():
    """This thread alone."""
    try:
        _call(_libc.unshare, _CLONE_NEWNET | _CLONE_NEWNS)
    except OSError as error:
        if error.errno in (errno.EPERM, errno.ENOSYS, errno.EINVAL):
            raise NotPermitted(str(error))
        raise
    _call(_libc.mount, b"none", b"/", None,
          ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None)
    with socket.socket() as sock:
        fcntl.ioctl(sock, _SIOCSIFFLAGS,
                    struct.pack("16sh", b"lo", _IFF_UP))


class Network:
    """What a body uses; everything that it starts is stopped after it, and
    looked at."""

    def __init__(self, folder, stack):
        self._stack = stack
        self.perches = []
        file = os.path.join(folder, "resolv.conf")
        with open(file, "w") as out:
            out.write("nameserver 127.0.0.9\n")
        _call(_libc.mount, file.encode(), b"/etc/resolv.conf", None,
              ctypes.c_ulong(_MS_BIND), None)
        self.names = NameServer()
        stack.callback(self.names.stop)

    def backend(self, name, **options):
        backend = self._stack.enter_context(
            ScriptedBackend(name, **options))
        self._stack.callback(backend.check)
        return backend

    def perch(self, services, **settings):
        """Not yet started; asserted, at the end, to end well."""
        perch = Perch(services, start=False, **settings)
        self.perches.append(perch)
        return self._stack.enter_context(perch)

    def start(self, services, **settings):
        perch = self.perch(services, **settings)
        perch.start()
        return perch

    def logs(self):
        return "\n".join(p.stderr() for p in self.perches
                         if os.path.exists(p.error_file))


def get(perch, host="test"):
    with RawClient(perch.port) as client:
        return client.request(host=host)


class InNetwork(threading.Thread):
    """A body, run in a network of its own."""

    def __init__(self, body):
        super().__init__(daemon=True)
        self._body = body
        self._error = None
        self._log = ""
        self.start()

    def run(self):
        try:
            with tempfile.TemporaryDirectory() as folder:
                _leave_network()
                self._run(folder)
        except BaseException as error:
            self._error = error

    def _run(self, folder):
        with contextlib.ExitStack() as stack:
            network = Network(folder, stack)
            try:
                self._body(network)
            except BaseException:
                self._log = network.logs()
                raise

    def result(self):
        """Raises what the body raised."""
        self.join()
        if self._error:
            print(self._log)
            raise self._error
