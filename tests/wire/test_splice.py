"""Bodies that pass unread: long ones, with a length or in long chunks, both
ways, and what can happen in the middle of them."""

import hashlib
import os
import random
import socket
import threading

import pytest

from perchtest import RawClient, respond, wait_for

KIB = 1 << 10
MIB = 1 << 20
SIZE = 6 * MIB + 12345
BODY = random.Random(1).randbytes(SIZE)
# Some that make a run, and some that don't, or only just.
MIXED = (2 * MIB, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 10, 300 * KIB,
         200 * KIB, 5, 2 * MIB + 7)
RESPONSE_HEAD = b"HTTP/1.1 200 OK\r\n"
REQUEST_HEAD = b"POST / HTTP/1.1\r\nHost: t\r\n"
FRAMINGS = pytest.mark.parametrize("framing", ["length", "chunked", "mixed"])
LONG_FRAMINGS = pytest.mark.parametrize("framing", ["length", "chunked"])


def md5(data):
    return hashlib.md5(data).hexdigest()


def sizes(framing):
    """The chunks of BODY."""
    left = SIZE
    while left:
        for size in MIXED if framing == "mixed" else [SIZE]:
            size = min(size, left)
            left -= size
            if size:
                yield size


def framing_field(framing):
    return b"Content-Length: %d\r\n\r\n" % SIZE if framing == "length" \
        else b"Transfer-Encoding: chunked\r\n\r\n"


def framed(framing, trailers=b""):
    """BODY as it goes over the wire, behind the fields."""
    if framing == "length":
        return BODY
    out, start = [], 0
    for size in sizes(framing):
        out.append(b"%x\r\n" % size)
        out.append(BODY[start:start + size])
        out.append(b"\r\n")
        start += size
    return b"".join(out) + b"0\r\n" + trailers + b"\r\n"


def pipes(perch):
    """How many pipes it has."""
    found = set()
    for fd in os.listdir("/proc/%d/fd" % perch.pid):
        try:
            target = os.readlink("/proc/%d/fd/%s" % (perch.pid, fd))
        except OSError:
            continue
        if target.startswith("pipe:"):
            found.add(target)
    return len(found)


@pytest.fixture
def passing(start, backends):
    """(perch, backend), with one worker; the pipes of what ran it aside."""
    backend = backends("one")
    perch = start({"web": backend}, workers=1, log={"level": "warn"})
    before = pipes(perch)
    perch.has_spliced = lambda: pipes(perch) > before
    return perch, backend


def serve(framing, trailers=b""):
    """A script that answers with BODY."""
    def script(c):
        c.reader.keep_raw = False
        c.read_request()
        c.send(RESPONSE_HEAD + framing_field(framing)
               + framed(framing, trailers))
    return script


def take(got):
    """A script that takes a body and thanks for it."""
    def script(c):
        c.reader.keep_raw = False
        request = c.read_request()
        got.append((md5(request.body), request.trailers))
        c.send_response(b"thanks")
    return script


def upload(client, framing, trailers=b""):
    client.send(REQUEST_HEAD + framing_field(framing))
    client.send(framed(framing, trailers))


# --- whole ------------------------------------------------------------------

@FRAMINGS
def test_download(passing, framing):
    perch, backend = passing
    trailers = b"" if framing == "length" else b"Checksum: 1\r\n"
    backend.play(serve(framing, trailers))
    with RawClient(perch.port) as client:
        client.reader.keep_raw = False
        for _ in range(2):
            answer = client.request()
            assert md5(answer.body) == md5(BODY)
            assert answer.trailers == (
                [("Checksum", "1")] if trailers else [])
    assert perch.has_spliced()
    assert len(backend.connections) == 1


@FRAMINGS
def test_upload(passing, framing):
    perch, backend = passing
    got = []
    trailers = b"" if framing == "length" else b"Checksum: 1\r\n"
    backend.play(take(got))
    with RawClient(perch.port) as client:
        for _ in range(2):
            upload(client, framing, trailers)
            assert client.read_response().body == b"thanks"
    expected = (md5(BODY), [("Checksum", "1")] if trailers else [])
    assert got == [expected, expected]
    assert perch.has_spliced()
    assert len(backend.connections) == 1


@FRAMINGS
def test_both_ways_at_once(passing, framing):
    """One way has the pipe; the other must not miss it."""
    perch, backend = passing
    got = []

    def script(c):
        c.reader.keep_raw = False
        request = c.read_head()
        answer = RESPONSE_HEAD + framing_field(framing) + framed(framing)
        sender = threading.Thread(target=c.send, args=(answer[:-1],))
        sender.start()
        got.append(md5(c.read_body(request).body))
        sender.join()
        c.send(answer[-1:])
    backend.play(script)
    with RawClient(perch.port) as client:
        client.reader.keep_raw = False
        sender = threading.Thread(target=upload, args=(client, framing))
        sender.start()
        assert md5(client.read_response().body) == md5(BODY)
        sender.join()
    assert got == [md5(BODY)]


@FRAMINGS
def test_upload_beside_a_download(passing, framing):
    """The answer is under way before most of the request: it has the pipe."""
    perch, backend = passing
    got = []
    half = SIZE // 2

    def script(c):
        c.reader.keep_raw = False
        request = c.read_head()
        c.send(RESPONSE_HEAD + framing_field("length") + BODY[:half])
        got.append(md5(c.read_body(request).body))
        c.send(BODY[half:])
    backend.play(script)
    with RawClient(perch.port) as client:
        client.reader.keep_raw = False
        client.send(REQUEST_HEAD + framing_field(framing))
        assert client.reader.read_response_head().status == 200
        body = client.reader.read_exactly(half)
        assert perch.has_spliced()
        client.send(framed(framing))
        assert md5(body + client.reader.read_exactly(SIZE - half)) == md5(BODY)
    assert got == [md5(BODY)]


@LONG_FRAMINGS
def test_slow_reader_of_download(start, backends, framing):
    backend = backends("one")
    perch = start({"web": backend}, workers=1)
    backend.play(serve(framing))
    with RawClient(perch.port, receive_buffer=4096) as client:
        client.reader.keep_raw = False
        client.send_request()
        assert not client.is_quiet(5)
        client.is_quiet(0.3)  # all that can be owed is owed
        assert md5(client.read_response().body) == md5(BODY)


@LONG_FRAMINGS
def test_slow_reader_of_upload(start, backends, framing):
    """Of more than all sockets between can hold."""
    times = 5
    body = framed(framing) if framing == "length" else \
        b"%x\r\n" % SIZE + BODY + b"\r\n"
    head = b"Content-Length: %d\r\n\r\n" % (times * SIZE) \
        if framing == "length" else framing_field(framing)
    backend = backends("one", receive_buffer=4096)
    perch = start({"web": backend}, workers=1)
    before = pipes(perch)
    go_on, got = threading.Event(), []

    def script(c):
        c.reader.keep_raw = False
        request = c.read_head()
        c.wait(go_on)
        got.append(md5(c.read_body(request).body))
        c.send_response(b"thanks")
    backend.play(script)
    with RawClient(perch.port) as client:
        client.send(REQUEST_HEAD + head)
        sender = threading.Thread(target=client.send, args=(
            body * times + (b"" if framing == "length" else b"0\r\n\r\n"),))
        sender.start()
        wait_for("a pipe", lambda: pipes(perch) > before)
        sender.join(0.3)
        assert sender.is_alive()  # is held back
        go_on.set()
        sender.join()
        assert client.read_response().body == b"thanks"
    assert got == [md5(BODY * times)]


@LONG_FRAMINGS
def test_download_in_pieces(passing, framing):
    """The end of a run is passed on when it is there, and what comes behind
    it doesn't have to be."""
    perch, backend = passing
    go_on = threading.Event()
    half = SIZE // 2

    def script(c):
        c.read_request()
        if framing == "length":
            c.send(RESPONSE_HEAD + framing_field(framing))
            c.send(BODY[:half])
        else:
            c.send(RESPONSE_HEAD + framing_field(framing)
                   + b"%x\r\n" % half + BODY[:half] + b"\r\n")
        c.wait(go_on)
        c.send(BODY[half:] if framing == "length" else
               b"%x\r\n" % (SIZE - half) + BODY[half:] + b"\r\n0\r\n\r\n")
    backend.play(script)
    with RawClient(perch.port) as client:
        client.reader.keep_raw = False
        client.send_request()
        reader, body = client.reader, b""
        assert reader.read_response_head().status == 200
        if framing == "length":
            body = reader.read_exactly(half)
        while len(body) < half:
            size = int(reader.read_line("size"), 16)
            body += reader.read_exactly(size)
            assert reader.read_exactly(2) == b"\r\n"
        assert client.is_quiet(0.05)
        go_on.set()
        while len(body) < SIZE:
            size = SIZE - half if framing == "length" else \
                int(reader.read_line("size"), 16)
            body += reader.read_exactly(size)
            if framing != "length":
                assert reader.read_exactly(2) == b"\r\n"
        assert md5(body) == md5(BODY)
        if framing != "length":
            assert reader.read_exactly(5) == b"0\r\n\r\n"
    assert perch.has_spliced()


def test_chunks_for_a_client_that_has_none(passing):
    perch, backend = passing
    backend.play(serve("mixed"))
    with RawClient(perch.port) as client:
        client.reader.keep_raw = False
        answer = client.request(minor=0)
        assert answer.until_close
        assert md5(answer.body) == md5(BODY)
    assert perch.has_spliced()


URGENT_PLACES = pytest.mark.parametrize("place", [MIB, -1000])


@LONG_FRAMINGS
@URGENT_PLACES
def test_urgent_data_in_an_upload(passing, framing, place):
    """HTTP has none: the byte is dropped. splice() doesn't get past it."""
    perch, backend = passing
    got = []
    backend.play(take(got))
    with RawClient(perch.port) as client:
        client.send(REQUEST_HEAD + framing_field(framing))
        send_urgent_within(client.socket, framed(framing), place)
        assert client.read_response().body == b"thanks"
    assert got[0][0] == md5(BODY)
    assert perch.has_spliced()


@LONG_FRAMINGS
@URGENT_PLACES
def test_urgent_data_in_a_download(passing, framing, place):
    perch, backend = passing

    def script(c):
        c.read_request()
        c.send(RESPONSE_HEAD + framing_field(framing))
        send_urgent_within(c.socket, framed(framing), place)
    backend.play(script)
    with RawClient(perch.port) as client:
        assert md5(client.request().body) == md5(BODY)
    assert perch.has_spliced()


def send_urgent_within(sock, data, place):
    sock.sendall(data[:place])
    sock.send(b"!", socket.MSG_OOB)
    sock.sendall(data[place:])


@LONG_FRAMINGS
def test_what_follows_is_the_next_request(passing, framing):
    perch, backend = passing
    got = []
    backend.play(take(got))
    with RawClient(perch.port) as client:
        client.send(REQUEST_HEAD + framing_field(framing)
                    + framed(framing) + b"GET /next HTTP/1.1\r\nHost: t\r\n\r\n")
        assert client.read_response().body == b"thanks"
        assert client.read_response().body == b"thanks"
    assert [digest for digest, _ in got] == [md5(BODY), md5(b"")]
    assert perch.has_spliced()


@LONG_FRAMINGS
def test_bytes_behind_an_answer_are_not_the_next_one(passing, framing):
    """Who asks at once isn't asked on the connection where they are."""
    perch, backend = passing

    def script(c):
        c.read_request()
        c.send(RESPONSE_HEAD + framing_field(framing))
        c.send(framed(framing) + RESPONSE_HEAD
               + b"Content-Length: 4\r\n\r\nevil")
        c.wait_closed()
    backend.play(script, respond(b"good"))
    with RawClient(perch.port) as client:
        client.reader.keep_raw = False
        client.send_request().send_request()
        assert md5(client.read_response().body) == md5(BODY)
        assert client.read_response().body == b"good"
    assert perch.has_spliced()


@LONG_FRAMINGS
def test_upload_after_continue(passing, framing):
    perch, backend = passing
    got = []

    def script(c):
        c.reader.keep_raw = False
        request = c.read_head()
        c.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        got.append(md5(c.read_body(request).body))
        c.send_response(b"thanks")
    backend.play(script)
    with RawClient(perch.port) as client:
        client.send(REQUEST_HEAD + b"Expect: 100-continue\r\n"
                    + framing_field(framing))
        assert client.reader.read_response_head().status == 100
        client.send(framed(framing))
        assert client.read_response().body == b"thanks"
        assert client.request("POST", body=b"more",
                              fields={"Expect": "100-continue"}).status == 200
    assert got == [md5(BODY), md5(b"more")]
    assert perch.has_spliced()


@LONG_FRAMINGS
def test_upload_that_does_not_wait_for_continue(passing, framing):
    """Who sends without it isn't told to, however late."""
    perch, backend = passing
    got = []

    def script(c):
        c.reader.keep_raw = False
        request = c.read_head()
        while len(c.reader.buffer) < MIB:
            assert c.reader.fill()
        c.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        got.append(md5(c.read_body(request).body))
        c.send_response(b"thanks")
    backend.play(script)
    with RawClient(perch.port) as client:
        client.send(REQUEST_HEAD + b"Expect: 100-continue\r\n"
                    + framing_field(framing))
        backend.wait_heads(1)
        client.send(framed(framing))
        answer = client.read_response()
        assert answer.body == b"thanks"
        assert answer.informational == []
    assert got == [md5(BODY)]


def test_bytes_are_counted(passing):
    perch, backend = passing
    with RawClient(perch.port) as client:
        client.reader.keep_raw = False
        for framing in ("length", "mixed"):
            backend.play(serve(framing))
            upload(client, framing)
            assert len(client.read_response().body) == SIZE
    perch.admin.wait_metric("perch_request_body_bytes_total", 2 * SIZE)
    perch.admin.wait_metric("perch_response_body_bytes_total", 2 * SIZE)


# --- cut short --------------------------------------------------------------

@LONG_FRAMINGS
@pytest.mark.parametrize("is_reset", [False, True], ids=["end", "reset"])
def test_truncated_download_is_cut_short(passing, framing, is_reset):
    perch, backend = passing

    def script(c):
        c.read_request()
        c.send(RESPONSE_HEAD + framing_field(framing)
               + framed(framing)[:SIZE // 2])
        if is_reset:
            c.reset()
        else:
            c.close()
    backend.play(script)
    with RawClient(perch.port) as client:
        client.reader.keep_raw = False
        client.send_request()
        message = client.expect_truncated()
        if not is_reset:
            assert perch.has_spliced()
            assert BODY.startswith(message.body[:SIZE // 2])
    perch.admin.wait_metric("perch_errors_total", 1, kind="truncated")


@LONG_FRAMINGS
@pytest.mark.parametrize("is_reset", [False, True], ids=["end", "reset"])
def test_client_that_leaves_cuts_the_upload(passing, framing, is_reset):
    perch, backend = passing
    ended = threading.Event()

    def script(c):
        c.reader.keep_raw = False
        try:
            c.read_request()
        finally:
            ended.set()
    backend.play(script)
    with RawClient(perch.port) as client:
        client.send(REQUEST_HEAD + framing_field(framing)
                    + framed(framing)[:SIZE // 2])
        wait_for("a pipe", perch.has_spliced)
        if is_reset:
            client.reset()
        else:
            client.close()
        assert ended.wait(10)
    assert backend.requests == []
    perch.admin.wait_metric("perch_errors_total", 1, kind="client_abort")


@LONG_FRAMINGS
def test_client_that_leaves_a_blocked_download(passing, framing):
    perch, backend = passing
    backend.play(serve(framing))
    with RawClient(perch.port, receive_buffer=4096) as client:
        client.send_request()
        wait_for("a pipe", perch.has_spliced)
    wait_for("the backend's connection to end",
             lambda: not backend.open_connections())


@LONG_FRAMINGS
def test_answer_before_the_end_of_an_upload(passing, framing):
    """An endpoint that has seen enough: its answer gets through, though it
    takes no more."""
    perch, backend = passing

    def script(c):
        c.read_head()
        c.read_some()
        c.send_response(b"enough", status="413 Content Too Large",
                        fields={"Connection": "close"})
        c.close()
    backend.play(script)
    with RawClient(perch.port) as client:
        sender = threading.Thread(target=upload, args=(client, framing))
        sender.start()
        answer = client.read_response()
        assert answer.status in (413, 502)  # the reset may destroy it
        sender.join()
    wait_for("the backend's connection to end",
             lambda: not backend.open_connections())


def test_answer_of_one_that_keeps_reading(passing):
    perch, backend = passing
    got = []

    def script(c):
        c.reader.keep_raw = False
        request = c.read_head()
        c.send_response(b"early")
        got.append(md5(c.read_body(request).body))
    backend.play(script)
    with RawClient(perch.port) as client:
        client.send(REQUEST_HEAD + framing_field("length"))
        client.send(BODY[:MIB])
        assert client.read_response().body == b"early"
        client.expect_close()


# --- limits and deadlines ---------------------------------------------------

@FRAMINGS
def test_limit_of_the_body(start, backends, framing):
    backend = backends("one")
    perch = start({"web": backend}, workers=1, limits={"body": SIZE})
    got = []
    backend.play(take(got))
    with RawClient(perch.port) as client:
        upload(client, framing)
        assert client.read_response().status == 200
    assert got[0][0] == md5(BODY)
    passed = []
    backend.play(lambda c: passed.append(len(c.wait_closed())))
    perch.change(limits={"body": MIB})
    perch.reload()
    with RawClient(perch.port) as client:
        sender = threading.Thread(target=upload, args=(client, framing))
        sender.start()
        assert client.read_response().status == 413
        sender.join()
    if framing != "length":  # which is known to be too much by its head
        wait_for("the backend's connection to end", lambda: passed)
    assert sum(passed) < MIB + 8 * KIB  # with head and framing


@pytest.mark.parametrize("limit", [0, 64 * MIB], ids=["none", "some"])
def test_boundless_chunk(start, backends, limit):
    """A size that only just isn't too long: no endpoint sees such a one."""
    backend = backends("one")
    perch = start({"web": backend}, workers=1, limits={"body": limit})
    seen = []

    def script(c):
        c.read_head()
        c.reader.read_exactly(int(c.reader.read_line("size"), 16) + 2)
        seen.append(int(c.reader.read_line("size"), 16))
        c.close()
    backend.play(script)
    with RawClient(perch.port) as client:
        # In one: what comes with the head is copied, as a chunk of its own.
        client.send(REQUEST_HEAD + framing_field("chunked")
                    + b"f" * 16 + b"\r\n" + BODY)
        wait_for("the second chunk", lambda: seen)
    assert seen[0] <= (32 * KIB if limit else 1 << 30)


@LONG_FRAMINGS
def test_client_that_stalls_is_told(start, backends, framing):
    backend = backends("one")
    perch = start({"web": backend}, workers=1, timeouts={"body": "1s"})
    before = pipes(perch)
    backend.play(lambda c: c.wait_closed())
    with RawClient(perch.port) as client:
        client.send(REQUEST_HEAD + framing_field(framing)
                    + framed(framing)[:SIZE // 2])
        assert client.read_response().status == 408
        assert pipes(perch) > before


@LONG_FRAMINGS
def test_endpoint_that_takes_nothing_is_blamed(start, backends, framing):
    """Not the client, which would send if it could."""
    backend = backends("one", receive_buffer=4096)
    perch = start({"web": backend}, workers=1,
                  timeouts={"body": "1s", "response": "3s"})
    over = threading.Event()
    backend.play(lambda c: c.wait(over))
    try:
        with RawClient(perch.port) as client:
            client.send(REQUEST_HEAD + framing_field(framing))
            client.send_until_stuck(framed(framing)[:MIB])
            assert client.read_response().status == 504
    finally:
        over.set()


@LONG_FRAMINGS
def test_client_that_takes_nothing_is_given_up(start, backends, framing):
    backend = backends("one")
    perch = start({"web": backend}, workers=1, timeouts={"body": "300ms"})
    backend.play(serve(framing))
    with RawClient(perch.port, receive_buffer=4096) as client:
        client.send_request()
        wait_for("the backend's connection to end",
                 lambda: backend.connections
                 and not backend.open_connections())
        client.expect_truncated()


def test_pipes_come_back(passing):
    """Whatever became of a body, its pipe is used again, or closed."""
    perch, backend = passing
    backend.play(serve("length"))
    for _ in range(70):
        with RawClient(perch.port, receive_buffer=4096) as client:
            client.send(REQUEST_HEAD + framing_field("chunked")
                        + b"%x\r\n" % SIZE + BODY[:256 * KIB])
            client.reset()
    for _ in range(70):
        with RawClient(perch.port, receive_buffer=4096) as client:
            client.send_request()
            assert client.reader.fill()
    wait_for("the backend's connections to end",
             lambda: not backend.open_connections())
    with RawClient(perch.port) as client:
        client.reader.keep_raw = False
        assert md5(client.request().body) == md5(BODY)
    assert pipes(perch) <= 4
