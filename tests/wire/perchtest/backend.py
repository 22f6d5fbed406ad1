"""backend: a backend that does exactly what its script says.

A script is a function of a Connection, run once for each exchange: when the
first byte of a request is there, the next script of those given to play() is
taken, the last of them over and over. It reads (or doesn't), sends exact
bytes, closes, resets, waits for an event of the test. When it returns and the
connection is still open, the next request on it gets the next script.

    backend.play(respond(b"hello"))
    backend.play(lambda c: (c.read_request(), c.reset()), respond(b"second"))

Every request that a script read is in backend.requests, in order, and comes
out of backend.next_request(). An exception in a script fails the test at
backend.check(), which fixtures call at the end.
"""

import queue
import select
import socket
import struct
import threading
import traceback

from .http1 import Reader, Truncated
from .wait import PATIENCE, wait_for


class PeerClosed(Exception):
    """perch closed the connection that a script was using."""


def respond(body=b"ok", status="200 OK", fields=(), chunked=False,
            length=True, after=None):
    """A script: read a whole request, answer it, keep the connection.

    body may be a function of the request; after is an event that is awaited
    before the answer.
    """
    def script(connection):
        request = connection.read_request()
        if after is not None:
            connection.wait(after)
        content = body(request) if callable(body) else body
        connection.send_response(
            content, status, fields, chunked, length,
            is_head=request.method == "HEAD")
    return script


class Connection:
    """One connection from perch, in the hands of its scripts."""

    def __init__(self, backend, sock, number):
        self.backend = backend
        self.socket = sock
        self.number = number
        self.is_closed = False
        self.ended = threading.Event()  # perch closed or reset it
        self.was_reset = False
        self.reader = Reader(self._receive)
        self.count = 0  # of requests read on it

    @property
    def raw(self):
        """All bytes received."""
        return bytes(self.reader.raw)

    def _receive(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            self.was_reset = True
            data = b""
        except OSError:
            data = b""
        if not data:
            self.ended.set()
        return data

    # -- reading ----------------------------------------------------------

    def read_request(self):
        request = self.read_head()
        self.read_body(request)
        return request

    def read_head(self):
        """The head alone; it counts as received from here on."""
        try:
            request = self.reader.read_request_head()
        except Truncated as error:
            raise PeerClosed(str(error))
        request.connection = self
        self.count += 1
        self.backend._received(request)
        return request

    def read_body(self, request):
        try:
            self.reader.read_request_body(request)
        except Truncated as error:
            raise PeerClosed(str(error))
        self.backend._completed(request)
        return request

    def read_some(self):
        """Whatever comes next, b"" at the end."""
        if not self.reader.buffer:
            self.reader.fill()
        return self.reader.take(len(self.reader.buffer))

    def wait_closed(self, timeout=None):
        """Reads on until perch closes; returns what came before that."""
        self.socket.settimeout(PATIENCE if timeout is None else timeout)
        while self.reader.fill():
            pass
        return self.reader.take(len(self.reader.buffer))

    # -- sending ----------------------------------------------------------

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (ConnectionResetError, BrokenPipeError) as error:
            self.ended.set()
            raise PeerClosed(str(error))

    def send_response(self, body=b"ok", status="200 OK", fields=(),
                      chunked=False, length=True, is_head=False):
        pairs = list(fields.items() if hasattr(fields, "items") else fields)
        if chunked:
            pairs.append(("Transfer-Encoding", "chunked"))
        elif length and status[:3] not in ("204", "304"):
            pairs.append(("Content-Length", str(len(body))))
        head = "".join(["HTTP/1.1 %s\r\n" % status]
                       + ["%s: %s\r\n" % p for p in pairs] + ["\r\n"])
        data = head.encode("latin-1")
        if not is_head and chunked:
            if body:
                data += b"%x\r\n%s\r\n" % (len(body), body)
            data += b"0\r\n\r\n"
        elif not is_head:
            data += body
        self.send(data)
        if not chunked and not length:
            self.close()

    # -- events and endings -----------------------------------------------

    def wait(self, event):
        """Waits for an event of the test."""
        assert event.wait(PATIENCE), "the test never set the event"

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        if not self.is_closed:
            self.is_closed = True
            self.socket.close()

    def reset(self):
        if not self.is_closed:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                   struct.pack("ii", 1, 0))
            self.close()


class ScriptedBackend:
    """A listening socket and a thread for each connection to it."""

    def __init__(self, name="backend", script=None, host="127.0.0.1",
                 send_buffer=None, receive_buffer=None, port=0):
        self.name = name
        self.host = host
        self._send_buffer = send_buffer
        self._lock = threading.Lock()
        self._scripts = [script or respond(name.encode())]
        self._queue = queue.Queue()
        self.requests = []     # complete ones
        self.heads = []        # all whose head was read
        self.connections = []  # all ever accepted
        self.failures = []
        self._stopping = False
        self._listener = socket.socket()
        self._listener.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if receive_buffer:
            # Accepted connections inherit both. A sender's buffer grows with
            # the segments: small ones keep that one small too.
            self._listener.setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            self._listener.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        self._listener.bind((host, port))
        self._listener.listen(1024)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def address(self):
        return "%s:%d" % (self.host, self.port)

    # -- what tests say and ask -------------------------------------------

    def play(self, *scripts):
        """From now on these, one for each exchange, the last one for ever;
        what was received before is forgotten."""
        with self._lock:
            self._scripts = list(scripts)
            self.requests.clear()
            self.heads.clear()
            self._queue = queue.Queue()

    def next_request(self):
        """The next request that was completely received."""
        try:
            return self._queue.get(timeout=PATIENCE)
        except queue.Empty:
            raise AssertionError(self.name + ": no request came")

    def wait_heads(self, n):
        wait_for("%d request heads at %s" % (n, self.name),
                 lambda: len(self.heads) >= n)

    def open_connections(self):
        return [c for c in self.connections
                if not c.is_closed and not c.ended.is_set()]

    def check(self):
        """Fails, once, if a script failed."""
        failures, self.failures = self.failures, []
        assert not failures, "\n".join(failures)

    def stop_listening(self):
        """Refuses connections from now on; those there go on."""
        self._stopping = True
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._thread.join(PATIENCE)
        self._listener.close()

    def stop(self):
        self.stop_listening()
        for connection in list(self.connections):
            try:
                connection.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()

    # -- threads ----------------------------------------------------------

    def _received(self, request):
        with self._lock:
            self.heads.append(request)

    def _completed(self, request):
        with self._lock:
            self.requests.append(request)
            self._queue.put(request)

    def _next_script(self):
        with self._lock:
            if len(self._scripts) > 1:
                return self._scripts.pop(0)
            return self._scripts[0]

    def _accept(self):
        while not self._stopping:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._send_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF,
                                self._send_buffer)
            connection = Connection(self, sock, len(self.connections))
            self.connections.append(connection)
            threading.Thread(
                target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            while not connection.is_closed and not self._stopping:
                if not connection.reader.buffer:
                    select.select([connection.socket], [], [])
                    if connection.reader.at_end():
                        break
                self._next_script()(connection)
        except PeerClosed:
            pass
        except (OSError, ValueError):
            # Closed under our hands by stop().
            if not self._stopping and not connection.is_closed:
                self.failures.append(traceback.format_exc())
        except BaseException:
            self.failures.append(traceback.format_exc())
        finally:
            connection.close()


class Void:
    """An endpoint that never answers a SYN: its backlog is full."""

    def __enter__(self):
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.address = "%s:%d" % self._listener.getsockname()
        self._fillers = [socket.socket() for _ in range(8)]
        for filler in self._fillers:
            filler.setblocking(False)
            filler.connect_ex(self._listener.getsockname())
        return self

    def __exit__(self, *_):
        for one in self._fillers + [self._listener]:
            one.close()
