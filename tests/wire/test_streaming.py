"""100 MB each way, with memory that stays flat."""

import hashlib
import threading
import time

import pytest

from perchtest import RawClient, wait_for
from perchtest.perch import SMALL_QUARANTINE, is_thread_sanitized

SIZE = 100 << 20
BLOCK = bytes(range(256)) * 256  # 64 KiB
# The thread sanitizer keeps four bytes of its own for each one touched.
GROWTH = (64 if is_thread_sanitized() else 16) << 20


@pytest.fixture
def streaming(start, backends):
    """(perch, backend)"""
    backend = backends("one")
    perch = start({"web": backend}, log={"level": "warn"},
                  environment=SMALL_QUARANTINE)
    return perch, backend


class Peak:
    """The most memory that perch has while something runs."""

    def __init__(self, perch):
        self._perch = perch
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self):
        with RawClient(self._perch.port) as client:
            client.request()
        self.before = self.most = self._perch.rss()
        self._thread.start()
        return self

    def _watch(self):
        while not self._stop.wait(0.02):
            self.most = max(self.most, self._perch.rss())

    def __exit__(self, kind, *_):
        self._stop.set()
        self._thread.join()
        if kind is None:
            growth = self.most - self.before
            assert growth < GROWTH, "grew by %d KiB" % (growth >> 10)


def _digest(size):
    digest = hashlib.md5()
    for _ in range(size // len(BLOCK)):
        digest.update(BLOCK)
    return digest.hexdigest()


def _send_all(send, chunk):
    """SIZE bytes, in chunks of so many (0: in none)."""
    for sent in range(0, SIZE, len(BLOCK)):
        if chunk and sent % chunk == 0:
            send((b"\r\n" if sent else b"") + b"%x\r\n" % chunk)
        send(BLOCK)
    if chunk:
        send(b"\r\n0\r\n\r\n")


def _take_length(take):
    """take() returns what comes next, b"" at the end."""
    digest, left = hashlib.md5(), SIZE
    while left:
        data = take()
        assert data, "cut off, %d bytes missing" % left
        digest.update(data)
        left -= len(data)
    return digest.hexdigest()


def _take_chunked(reader):
    """The same of a chunked body, chunk by chunk."""
    digest, total = hashlib.md5(), 0
    while True:
        size = int(reader.read_line("chunk size"), 16)
        total += size
        while True:
            data = reader.take(min(size, len(reader.buffer)))
            digest.update(data)
            size -= len(data)
            if not size:
                break
            assert reader.fill(), "cut off in a chunk"
        assert reader.read_exactly(2) == b"\r\n"
        if not data:
            assert total == SIZE
            return digest.hexdigest()


def _taker(reader):
    def take():
        if not reader.buffer and not reader.fill():
            return b""
        return reader.take(len(reader.buffer))
    return take


def _framing(chunk):
    return "Transfer-Encoding: chunked\r\n" if chunk \
        else "Content-Length: %d\r\n" % SIZE


FRAMINGS = pytest.mark.parametrize("chunk", [0, len(BLOCK), 4 << 20], ids=[
    "length", "chunked", "long-chunks"])


@FRAMINGS
def test_download(streaming, chunk):
    perch, backend = streaming
    with Peak(perch):
        def script(c):
            c.read_request()
            c.send(b"HTTP/1.1 200 OK\r\n" + _framing(chunk).encode()
                   + b"\r\n")
            _send_all(c.send, chunk)
        backend.play(script)
        with RawClient(perch.port) as client:
            client.reader.keep_raw = False
            client.send_request()
            head = client.reader.read_response_head()
            assert head.status == 200
            if chunk:
                got = _take_chunked(client.reader)
            else:
                got = _take_length(_taker(client.reader))
            assert got == _digest(SIZE)
            assert client.is_quiet(0.05)


@FRAMINGS
def test_upload(streaming, chunk):
    perch, backend = streaming
    got = []

    def script(c):
        c.reader.keep_raw = False
        request = c.read_head()
        if request.has("Transfer-Encoding"):
            got.append(_take_chunked(c.reader))
        else:
            got.append(_take_length(_taker(c.reader)))
        c.send_response(b"thanks")
    with Peak(perch):
        backend.play(script)
        with RawClient(perch.port) as client:
            client.send("POST / HTTP/1.1\r\nHost: t\r\n%s\r\n"
                        % _framing(chunk))
            _send_all(client.send, chunk)
            assert client.read_response().body == b"thanks"
    assert got == [_digest(SIZE)]


def test_both_ways_at_once(streaming):
    """A backend that answers while it reads: neither side may wait for the
    other to end."""
    perch, backend = streaming

    def echo(c):
        c.reader.keep_raw = False
        c.read_head()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
        left = SIZE
        while left:
            data = c.read_some()
            left -= len(data)
            c.send(data)
    with Peak(perch):
        backend.play(echo)
        with RawClient(perch.port) as client:
            client.reader.keep_raw = False
            client.send("POST / HTTP/1.1\r\nHost: t\r\n%s\r\n"
                        % _framing(0))
            sender = threading.Thread(
                target=_send_all, args=(client.send, 0))
            sender.start()
            assert client.reader.read_response_head().status == 200
            got = _take_length(_taker(client.reader))
            sender.join()
            assert got == _digest(SIZE)


def _is_stuck(progress):
    """No more progress for a while, after there was some."""
    seen = progress()
    time.sleep(0.5)
    return seen > 0 and progress() == seen


def test_slow_reader_holds_the_backend_back(start, backends):
    backend = backends("one")
    backend._send_buffer = 65536
    perch = start({"web": backend}, log={"level": "warn"},
                  environment=SMALL_QUARANTINE)
    sent = [0]

    def flood(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
        for _ in range(SIZE // len(BLOCK)):
            c.send(BLOCK)
            sent[0] += len(BLOCK)
    with Peak(perch):
        backend.play(flood)
        with RawClient(perch.port, receive_buffer=65536) as client:
            client.reader.keep_raw = False
            client.send_request()
            wait_for("the backend to be held back",
                     lambda: _is_stuck(lambda: sent[0]))
            # What the kernel holds for two sockets, and no more.
            assert sent[0] < SIZE // 2
            assert client.reader.read_response_head().status == 200
            assert _take_length(_taker(client.reader)) == _digest(SIZE)


def test_slow_backend_holds_the_client_back(streaming):
    perch, backend = streaming
    go_on = threading.Event()
    got = []

    def lazy(c):
        c.reader.keep_raw = False
        c.read_head()
        c.wait(go_on)
        got.append(_take_length(_taker(c.reader)))
        c.send_response(b"thanks")
    sent = [0]

    def send(data):
        client.send(data)
        sent[0] += len(data)
    with Peak(perch):
        backend.play(lazy)
        with RawClient(perch.port) as client:
            client.send("POST / HTTP/1.1\r\nHost: t\r\n%s\r\n"
                        % _framing(0))
            sender = threading.Thread(target=_send_all, args=(send, 0))
            sender.start()
            wait_for("the client to be held back",
                     lambda: _is_stuck(lambda: sent[0]))
            assert sent[0] < SIZE // 2
            go_on.set()
            sender.join()
            assert client.read_response().body == b"thanks"
    assert got == [_digest(SIZE)]


def test_many_slow_readers_cost_two_buffers_each(streaming):
    perch, backend = streaming

    def flood(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
        while True:
            c.send(BLOCK)
    with Peak(perch):
        backend.play(flood)
        clients = [RawClient(perch.port, receive_buffer=4096)
                   for _ in range(50)]
        for client in clients:
            client.send_request()
        backend.wait_heads(50)
        time.sleep(1)
        for client in clients:
            client.close()
        wait_for("the backend's connections to end",
                 lambda: not backend.open_connections())
