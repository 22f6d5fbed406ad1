"""client: a client that sends exactly the bytes it is given."""

import select
import socket
import struct

from .http1 import Reader, Truncated
from .wait import PATIENCE


class RawClient:
    """One connection. Use as a context manager."""

    def __init__(self, port, host="127.0.0.1", receive_buffer=None,
                 timeout=None, source=None):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            self.socket.bind((source, 0))
        self.socket.settimeout(PATIENCE if timeout is None else timeout)
        self.socket.connect((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.was_reset = False
        self.reader = Reader(self._receive)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _receive(self):
        try:
            return self.socket.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            self.was_reset = True
            return b""

    # -- sending ----------------------------------------------------------

    def send(self, data):
        """Sends bytes, or str in Latin-1. A peer that has closed is no error:
        what it answered before is what tests look at."""
        if isinstance(data, str):
            data = data.encode("latin-1")
        try:
            self.socket.sendall(data)
        except (ConnectionResetError, BrokenPipeError):
            self.was_reset = True
        return self

    def send_until_stuck(self, block=b"x" * 65536, seconds=0.1):
        """Sends until nobody takes any more, for that long, or it ends."""
        timeout = self.socket.gettimeout()
        rest = b""
        self.socket.setblocking(False)
        try:
            while select.select([], [self.socket], [], seconds)[1]:
                rest = rest or block
                rest = rest[self.socket.send(rest):]
        except (ConnectionResetError, BrokenPipeError):
            self.was_reset = True
        finally:
            self.socket.settimeout(timeout)
        return self

    def send_request(self, method="GET", target="/", host="test",
                     fields=(), body=None, minor=1):
        """A well-formed request; fields are (name, value) pairs or a dict."""
        pairs = list(fields.items() if hasattr(fields, "items") else fields)
        lines = ["%s %s HTTP/1.%d" % (method, target, minor)]
        if host is not None:
            lines.append("Host: " + host)
        lines += ["%s: %s" % pair for pair in pairs]
        if body is not None:
            lines.append("Content-Length: %d" % len(body))
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        return self.send(head + (body or b""))

    # -- reading ----------------------------------------------------------

    def read_response(self, method="GET"):
        return self.reader.read_response(method)

    def request(self, method="GET", target="/", host="test", fields=(),
                body=None, minor=1):
        self.send_request(method, target, host, fields, body, minor)
        return self.read_response(method)

    def read_until_close(self):
        """All bytes that still come, to the end of file or a reset."""
        while self.reader.fill():
            pass
        return self.reader.take(len(self.reader.buffer))

    def expect_close(self):
        """Nothing more comes and the connection ends (either way)."""
        rest = self.read_until_close()
        assert rest == b"", "unexpected bytes: %r" % rest[:200]

    def expect_truncated(self, method="GET"):
        """The answer is cut off; returns what had come of it, or None."""
        try:
            message = self.read_response(method)
        except Truncated as error:
            return error.message
        raise AssertionError("a clean end: %r" % message)

    def is_quiet(self, seconds):
        """Nothing comes, not even an end, for that long."""
        if self.reader.buffer:
            return False
        before = self.socket.gettimeout()
        self.socket.settimeout(seconds)
        try:
            self.socket.recv(1, socket.MSG_PEEK)
            return False
        except (socket.timeout, TimeoutError):
            return True
        except ConnectionResetError:
            return False
        finally:
            self.socket.settimeout(before)

    # -- endings ----------------------------------------------------------

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def reset(self):
        """Ends the connection with a RST."""
        self.socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()
