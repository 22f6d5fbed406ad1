"""Sides that take nothing for a while, and what comes and ends meanwhile."""

import errno
import fcntl
import select
import socket
import struct
import termios
import threading

import pytest

from perchtest import LEAST_SHARE, RawClient, respond, wait_for
from perchtest.browser import DRAWN, OF_V1, OVERRIDE, SCRIPT
from perchtest.failing import FOR_EVER

UPGRADE = [("Connection", "Upgrade"), ("Upgrade", "websocket")]
SWITCH = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
          b"Upgrade: websocket\r\n\r\n")
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\n\r\n"


# -- an endpoint that takes nothing ---------------------------------------------

def test_answer_though_the_rest_of_the_request_is_not_taken(backends, scene):
    """Its connection isn't used again: the rest would be the next request."""
    backend = backends("one")
    here = scene({"web": backend})

    def answer_early(connection):
        connection.read_head()
        connection.reader.read_exactly(3)
        here.block(backend.port)
        client.send("def")
        here.wait_failed()
        connection.send_response(b"early")
        connection.wait_closed()
    backend.play(answer_early, respond(b"next"))
    with here.client() as client:
        client.send("POST / HTTP/1.1\r\nHost: test\r\n"
                    "Content-Length: 6\r\n\r\nabc")
        assert client.read_response("POST").body == b"early"
        here.failing.disarm()
        assert client.request().body == b"next"
    assert len(backend.connections) == 2


def test_long_body_that_is_not_taken(backends, scene):
    """What could pass unread is copied where bytes before it wait."""
    backend = backends("one")
    backend.play(respond(lambda r: str(len(r.body)).encode()))
    here = scene({"web": backend})
    with here.client() as client:
        here.block(backend.port)
        client.send("POST / HTTP/1.1\r\nHost: test\r\n"
                    "Content-Length: 1000000\r\n\r\n" + "a" * 1000)
        here.wait_failed()
        for _ in range(2):
            client.send("b" * 1000)
            here.settle()
        here.failing.disarm()
        client.send("c" * 997000)
        assert client.read_response("POST").body == b"1000000"


def test_end_of_a_long_body_that_is_not_taken(backends, scene):
    backend = backends("one")
    here = scene({"web": backend})
    got = []

    def script(connection):
        connection.read_head()
        connection.reader.read_exactly(99000)
        got.append(99000)
        connection.reader.read_exactly(1000)
        connection.send_response(b"whole")
    backend.play(script, respond(b"next"))
    with here.client() as client:
        client.send("POST / HTTP/1.1\r\nHost: test\r\n"
                    "Content-Length: 100000\r\n\r\n")
        backend.wait_heads(1)
        client.send("a" * 99000)
        wait_for("most of it", lambda: got)
        here.failing.arm("splice", errno.EAGAIN, times=FOR_EVER,
                         port=backend.port)
        client.send("b" * 1000)
        here.wait_failed()
        here.failing.disarm()
        assert client.read_response("POST").body == b"whole"
        assert client.request("POST", body=b"more").body == b"next"


def test_long_body_for_one_who_takes_nothing_more(backends, scene):
    """It goes nowhere, and the answer comes all the same."""
    backend = backends("one")
    here = scene({"web": backend})
    may_answer = threading.Event()

    def answer_early(connection):
        connection.read_head()
        connection.wait(may_answer)
        connection.send_response(b"early")
        connection.wait_closed()
    backend.play(answer_early)
    with here.client() as client:
        client.send("POST / HTTP/1.1\r\nHost: test\r\n"
                    "Content-Length: 1000000\r\n\r\n")
        backend.wait_heads(1)
        here.failing.arm("splice", errno.EPIPE, port=backend.port)
        client.send("a" * 1000)
        here.wait_failed()
        client.send("b" * 1000)
        here.settle()
        may_answer.set()
        assert client.read_response("POST").body == b"early"


def _is_taken(connection):
    """All that was sent on it."""
    left = fcntl.ioctl(connection.socket, termios.TIOCOUTQ, bytes(4))
    return struct.unpack("i", left)[0] == 0


@pytest.mark.parametrize("field,block", [
    ("Content-Length: 1000000000", b"x" * 65536),
    ("Transfer-Encoding: chunked", b"1000\r\n%s\r\n" % (b"x" * 4096))],
    ids=["length", "chunked"])
@pytest.mark.parametrize("size", [45000, 90000])
def test_answer_of_one_who_reset_while_the_client_took_nothing(
        backends, scene, field, block, size):
    """The rest of the request isn't taken, and fails in the end; what has come
    of the answer gets to the client, if later."""
    backend = backends("one", receive_buffer=4096)
    here = scene({"web": backend})
    body = b"r" * size
    is_stuck, has_reset = threading.Event(), threading.Event()
    # The pipe is the request's where that has long runs.
    call = "splice" if size > 65536 and "chunked" in field else "send"

    def script(connection):
        connection.read_head()
        connection.wait(is_stuck)
        here.failing.arm(call, errno.EAGAIN, times=FOR_EVER,
                         port=here.perch.port)
        connection.send(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        if call == "splice":
            wait_for("the head", lambda: not client.is_quiet(0.01))
        connection.send(body)
        here.wait_failed()
        wait_for("all to have come", lambda: _is_taken(connection))
        connection.reset()
        has_reset.set()
    backend.play(script)
    with here.client() as client:
        client.send("POST / HTTP/1.1\r\nHost: test\r\n" + field + "\r\n\r\n")
        backend.wait_heads(1)
        client.send_until_stuck(block)
        is_stuck.set()
        assert has_reset.wait(20)
        if call == "splice":
            here.settle()
        else:
            assert client.is_quiet(0.1)
        here.failing.disarm()
        assert client.read_response("POST").body == body


def test_long_body_for_one_who_cannot_be_watched(backends, scene):
    """It goes nowhere from there on, and the answer comes all the same."""
    backend = backends("one", receive_buffer=4096)
    here = scene({"web": backend})
    body = b"r" * (32 << 20)
    is_stuck = threading.Event()

    def script(connection):
        connection.read_head()
        connection.reader.read_exactly(1000)
        connection.send(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        sent = 0
        while select.select([], [connection.socket], [], 0.3)[1]:
            sent += connection.socket.send(body[sent:sent + 4096])
        is_stuck.set()
        connection.send(body[sent:])
        connection.wait_closed()
    backend.play(script)
    with here.client(receive_buffer=4096) as client:
        client.send("POST / HTTP/1.1\r\nHost: test\r\n"
                    "Content-Length: 1000000000\r\n\r\n")
        backend.wait_heads(1)
        client.send("a" * 1000)
        assert is_stuck.wait(20)
        here.failing.arm("epoll", errno.ENOSPC)
        while here.failing.count == 0:
            client.send("b" * 65536)
        here.failing.disarm()
        client.reader.keep_raw = False
        assert client.read_response("POST").body == body


def test_end_of_a_tunnel_whose_endpoint_resets_it(backends, scene):
    """What the client said last isn't taken yet, and never will be."""
    backend = backends("one")
    here = scene({"web": backend})
    may_reset, has_reset = threading.Event(), threading.Event()

    def script(connection):
        connection.read_request()
        connection.send(SWITCH)
        connection.wait(may_reset)
        connection.reset()
        has_reset.set()
    backend.play(script)
    with here.client() as client:
        assert client.request(fields=UPGRADE).status == 101
        here.block(backend.port)
        client.send("the last words")
        here.wait_failed()
        may_reset.set()
        assert has_reset.wait(20)
        here.failing.disarm()
        here.perch.admin.wait_metric("perch_tunnels", 0)
        client.expect_close()


def test_end_of_a_tunnel_behind_what_is_not_taken_yet(backends, scene):
    """The endpoint has ended its side, the client follows; the tunnel ends
    when the client's last byte has been taken."""
    backend = backends("one")
    here = scene({"web": backend})
    got = []

    def script(connection):
        connection.read_request()
        connection.send(SWITCH)
        connection.half_close()
        got.append(connection.wait_closed())
    backend.play(script)
    with here.client() as client:
        assert client.request(fields=UPGRADE).status == 101
        client.expect_close()
        here.block(backend.port)
        client.send("the last words")
        here.wait_failed()
        client.half_close()
        here.settle()
        here.failing.disarm()
        wait_for("the end", lambda: got)
    assert got == [b"the last words"]
    here.perch.admin.wait_metric("perch_tunnels", 0)


def test_tunnel_whose_end_takes_nothing_for_a_while(backends, scene):
    backend = backends("one")
    here = scene({"web": backend})
    got = []

    def script(connection):
        connection.read_request()
        connection.send(SWITCH)
        got.append(connection.wait_closed())
    backend.play(script)
    with here.client() as client:
        assert client.request(fields=UPGRADE).status == 101
        here.block(backend.port)
        for word in ("one ", "two ", "three"):
            client.send(word)
            here.settle()
        here.failing.disarm()
    wait_for("the end", lambda: got)
    assert got == [b"one two three"]


@pytest.mark.parametrize("way", ["up", "down"])
def test_urgent_data_that_is_not_there_yet(backends, scene, way):
    """splice() says that nothing has come, and so does recv() once."""
    backend = backends("one")
    here = scene({"web": backend})
    half = b"b" * 100000
    port = here.perch.port if way == "up" else backend.port
    head = b"Content-Length: %d\r\n\r\n" % (2 * len(half))

    def send(sock, has_come):
        sock.sendall(half)
        has_come()
        here.failing.arm("recv", errno.EAGAIN, port=port)
        sock.send(b"!", socket.MSG_OOB)
        sock.sendall(half)

    def script(connection):
        connection.read_head()
        if way == "up":
            got.append(connection.reader.read_exactly(len(half)))
            got.append(connection.reader.read_exactly(len(half)))
            connection.send_response(b"thanks")
        else:
            connection.send(b"HTTP/1.1 200 OK\r\n" + head)
            send(connection.socket, lambda: wait_for(
                "the first half", lambda: got))
    got = []
    backend.play(script)
    with here.client() as client:
        if way == "up":
            client.send(b"POST / HTTP/1.1\r\nHost: test\r\n" + head)
            send(client.socket, lambda: wait_for(
                "the first half", lambda: got))
            assert client.read_response("POST").body == b"thanks"
        else:
            client.send_request()
            client.reader.read_response_head()
            for _ in range(2):
                got.append(client.reader.read_exactly(len(half)))
    assert got == [half, half]
    assert here.failing.count == 1


def test_body_that_comes_while_its_connection_is_made(scene, backends):
    backend = backends("one")
    backend.play(respond(lambda r: r.body))
    here = scene({"web": backend})
    with here.client() as other, here.client() as client:
        client.send("POST / HTTP/1.1\r\nHost: test\r\n"
                    "Content-Length: 6\r\n\r\n")
        with here.failing.paused(other, here.perch):
            client.send("abc")
        client.send("def")
        assert client.read_response("POST").body == b"abcdef"


@pytest.mark.parametrize("has_answered", [False, True])
def test_reset_by_an_endpoint_that_took_nothing_more(
        start, backends, has_answered):
    backend = backends("one", receive_buffer=4096)
    go = threading.Event()
    part = b"x" * 65536

    def script(connection):
        connection.read_head()
        if has_answered:
            connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
            connection.socket.settimeout(1)
            try:
                while True:  # until perch doesn't read any more
                    connection.socket.sendall(part)
            except TimeoutError:
                pass
        connection.wait(go)
        connection.reset()
        has_reset.set()

    has_reset = threading.Event()
    backend.play(script, respond(b"next"))
    perch = start({"web": backend})
    with RawClient(perch.port, receive_buffer=4096) as client:
        client.send("POST / HTTP/1.1\r\nHost: test\r\n"
                    "Content-Length: 1000000000\r\n\r\n")
        client.send_until_stuck()
        go.set()
        assert has_reset.wait(20)
        if has_answered:
            client.expect_truncated("POST")
        else:
            assert client.read_response("POST").status == 502
    with RawClient(perch.port) as client:
        assert client.request().body == b"next"


def test_answer_of_one_who_reset_before_the_last_of_the_request(
        backends, scene):
    """The send fails, and the answer is there all the same."""
    backend = backends("one")
    here = scene({"web": backend})
    may_answer = threading.Event()
    has_reset = threading.Event()

    def script(connection):
        connection.read_head()
        connection.wait(may_answer)
        connection.send_response(b"enough")
        connection.reset()
        has_reset.set()
    backend.play(script, respond(b"next"))
    with here.client() as client, here.client() as other:
        client.send("POST / HTTP/1.1\r\nHost: test\r\n"
                    "Content-Length: 6\r\n\r\nabc")
        backend.wait_heads(1)
        with here.failing.paused(other, here.perch):
            client.send("def")
            may_answer.set()
            assert has_reset.wait(20)
        assert client.read_response("POST").body == b"enough"
    assert here.is_served()


def test_missing_said_by_one_who_did_not_take_the_request(backends, scene):
    """It can't be left alone with its answer while another version is asked:
    there is more to send, and that may fail."""
    v2 = backends("v2")
    go = threading.Event()
    v2.play(lambda c: (c.read_request(), c.wait(go), c.send_response()))
    with socket.socket() as v1:
        v1.bind(("127.0.0.1", 0))
        v1.listen()
        port = v1.getsockname()[1]
        here = scene({"web": {
            "versions": {"v1": "127.0.0.1:%d" % port, "v2": v2},
            "stable": "v1"}})
        here.perch.admin.release("web", "v2", LEAST_SHARE)
        here.block(port)
        with here.client() as client:
            client.send_request(target="/a.js",
                                fields=dict(SCRIPT, **OF_V1))
            connection, _ = v1.accept()
            here.wait_failed()
            connection.sendall(b"HTTP/1.1 404 Not Found\r\n"
                               b"Content-Length: 2\r\n\r\n")
            wait_for("the head to be looked at", lambda: v2.heads or
                     not client.is_quiet(0.01))
            here.failing.change_error(errno.ECONNRESET)
            here.settle()
            here.failing.disarm()
            go.set()
            assert client.reader.read_response_head().status == 404
            client.expect_close()
            connection.close()
        here.settle()


def test_missing_said_by_a_helper_who_did_not_take_the_request(
        backends, scene):
    """Its connection is of no use to the next one."""
    v1 = backends("v1")
    v1.play(respond(b"v1 lacks it", "404 Not Found"))
    with socket.socket() as v2:
        v2.bind(("127.0.0.1", 0))
        v2.listen()
        port = v2.getsockname()[1]
        here = scene({"web": {
            "versions": {"v1": v1, "v2": "127.0.0.1:%d" % port},
            "stable": "v1"}})
        here.perch.admin.release("web", "v2", LEAST_SHARE)
        here.failing.arm("send", errno.EPIPE, port=port)
        with here.client() as client:
            client.send_request(target="/a.js",
                                fields=dict(SCRIPT, **OF_V1))
            connection, _ = v2.accept()
            here.wait_failed()
            connection.sendall(b"HTTP/1.1 404 Not Found\r\n"
                               b"Content-Length: 0\r\n\r\n")
            assert client.read_response().body == b"v1 lacks it"
            connection.settimeout(20)
            assert connection.recv(1) == b""
            connection.close()


def test_answer_to_one_who_sends_on_and_reads_late(backends, scene):
    """A close before it has the answer would destroy that."""
    backend = backends("one")
    here = scene({"web": backend})
    body = b"r" * 200000
    backend.play(lambda c: (c.read_head(), c.send_response(
        body, "413 Content Too Large", fields=[("Connection", "close")])))
    with here.client(receive_buffer=4096) as client:
        client.send("POST / HTTP/1.1\r\nHost: test\r\n"
                    "Content-Length: 20000000\r\n\r\n")
        here.perch.admin.wait_metric("perch_requests_total", 1)
        client.send(b"x" * 20000000)
        assert client.read_response("POST").body == body
        client.expect_close()


def test_bytes_behind_an_answer_that_is_held(backends, start):
    """While another version is asked they come, and are not the next one."""
    v1, v2 = backends("v1", "v2")
    is_asked, has_sent = threading.Event(), threading.Event()

    def lacks_it(connection):
        connection.read_request()
        connection.send_response(b"", "404 Not Found")
        connection.wait(is_asked)
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        has_sent.set()
        connection.wait_closed()

    def has_it(connection):
        connection.read_request()
        is_asked.set()
        connection.wait(has_sent)
        connection.send_response(b"rescued")
    v1.play(lacks_it, respond(b"good"))
    v2.play(has_it)
    perch = start({"web": {"versions": {"v1": v1, "v2": v2}, "stable": "v1"}})
    perch.admin.release("web", "v2", LEAST_SHARE)
    with RawClient(perch.port) as client:
        for target in ("/a.js", "/b.js"):
            client.send_request(target=target, fields=dict(SCRIPT, **OF_V1))
        assert client.read_response().body == b"rescued"
        assert client.read_response().body == b"good"
    assert len(v1.connections) == 2


# -- a client that takes nothing --------------------------------------------------

def test_bytes_behind_an_answer_that_is_not_taken_yet(backends, scene):
    """They are not the next one, though all of this one has come."""
    backend = backends("one")
    here = scene({"web": backend})
    body = b"r" * 90000
    has_head = threading.Event()

    def script(connection):
        connection.read_request()
        connection.send(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        connection.wait(has_head)
        connection.send(body)
        here.wait_failed()
        here.settle()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        here.settle()
        here.failing.disarm()
        connection.wait_closed()
    backend.play(script, respond(b"good"))
    here.failing.arm("splice", errno.EAGAIN, times=FOR_EVER,
                     port=here.perch.port)
    with here.client() as client:
        client.send_request().send_request()
        answer = client.reader.read_response_head()
        has_head.set()
        client.reader.read_response_body(answer, "GET")
        assert answer.body == body
        assert client.read_response().body == b"good"


def test_close_behind_an_answer_that_is_not_taken_yet(backends, scene):
    """What the client sends behind its last request is of no interest."""
    backend = backends("one")
    here = scene({"web": backend})
    with here.client() as client:
        here.block(here.perch.port)
        client.send_request(fields=[("Connection", "close")])
        here.wait_failed()
        client.send("GET /more HTTP/1.1\r\nHost: test\r\n\r\n")
        assert client.is_quiet(0.1)
        here.failing.disarm()
        assert client.read_response().body == b"one"
        client.expect_close()
    assert [r.target for r in backend.heads] == ["/"]


def test_last_answer_comes_before_what_can_be_read(backends, scene):
    """A client can be written to and read from at once, and with what is
    written its last answer begins: what it sent behind that stays unread."""
    here = scene({"web": backends("one")})
    with here.client() as client, here.client() as other:
        here.block(here.perch.port)
        client.send("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"
                    "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n"
                    "Connection: close\r\n\r\n")
        here.wait_failed()
        with here.failing.paused(other, here.perch):
            client.send("GET /more HTTP/1.1\r\nHost: test\r\n\r\n")
            here.failing.arm("send", errno.EAGAIN, skip=1,
                             port=here.perch.port)
        for _ in range(2):
            assert client.read_response("CONNECT").status == 405
        client.expect_close()
    here.settle()


# Which of two sockets is looked at first when the pause is over is chance.
@pytest.mark.parametrize("n", range(10))
def test_bad_chunk_behind_what_was_not_taken(backends, scene, n):
    """An endpoint can be written to and read from at once, and with what is
    written its request comes to a bad end: what it has said is too late."""
    backend = backends("one")
    here = scene({"web": backend})
    may_speak, has_spoken = threading.Event(), threading.Event()

    def script(connection):
        connection.read_head()
        connection.wait(may_speak)
        connection.send(b"HTTP/1.1 200 OK\r\n")
        has_spoken.set()
        connection.wait_closed()
    backend.play(script, respond(b"next"))
    with here.client() as client, here.client() as other:
        client.send("POST / HTTP/1.1\r\nHost: test\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        backend.wait_heads(1)
        here.block(backend.port)
        for piece in ("3\r\ndef\r\n", "3\r\nghi\r\n", "zz\r\n"):
            client.send(piece)
            here.settle()
        with here.failing.paused(other, here.perch):
            may_speak.set()
            assert has_spoken.wait(20)
            here.failing.disarm()
        assert client.read_response("POST").status == 400
    assert here.is_served()


def test_drain_while_an_answer_is_not_taken_yet(backends, scene):
    """The connection ends when it has been."""
    here = scene({"web": backends("one")})
    with here.client() as client:
        here.block(here.perch.port)
        client.send_request()
        here.wait_failed()
        for holder in here.holders:
            holder.close()
        here.perch.send_signal(3)
        wait_for("/readyz to say no",
                 lambda: not here.perch.admin.is_ready())
        here.failing.disarm()
        assert client.read_response().body == b"one"
        client.expect_close()
    assert here.perch.wait() == 0


def test_hints_that_are_not_taken_while_the_body_is_awaited(backends, scene):
    """The endpoint has no deadline then: it is the client that is waited
    for."""
    backend = backends("one")
    here = scene({"web": backend})

    def script(connection):
        connection.read_head()
        here.block(here.perch.port)
        connection.send(EARLY_HINTS)
        connection.reader.read_exactly(6)
        connection.send_response(b"whole")
    backend.play(script)
    with here.client() as client:
        client.send("POST / HTTP/1.1\r\nHost: test\r\n"
                    "Content-Length: 6\r\n\r\nabc")
        here.wait_failed()
        here.failing.disarm()
        assert client.reader.read_response_head().status == 103
        client.send("def")
        assert client.read_response("POST").body == b"whole"


def test_hints_that_are_not_taken_while_another_version_is_awaited(
        backends, scene):
    """The client takes them when there is no connection to any endpoint."""
    v1, v2 = backends("v1", "v2")
    here = scene({"web": {"versions": {"v1": v1, "v2": v2}, "stable": "v1",
                          "limits": {"endpoint_connections": 1},
                          **OVERRIDE}})
    here.perch.admin.release("web", "v2", 100)
    go = threading.Event()

    def failing(connection):
        connection.read_request()
        here.block(here.perch.port)
        connection.send(EARLY_HINTS + b"HTTP/1.1 503 Busy\r\n"
                        b"Content-Length: 0\r\n\r\n")
    v2.play(failing)
    v1.play(lambda c: (c.read_request(), c.wait(go),
                       c.send_response(b"first")), respond(b"found"))
    with here.client() as busy, here.client() as client:
        busy.send_request(fields=dict(SCRIPT, **{"X-Perch-Version": "v1"}))
        v1.wait_heads(1)
        client.send_request(fields=dict(SCRIPT, **DRAWN))
        here.wait_failed()
        here.failing.disarm()
        assert client.reader.read_response_head().status == 103
        go.set()
        assert busy.read_response().body == b"first"
        assert client.read_response().body == b"found"


# -- at once ------------------------------------------------------------------------

def test_request_that_comes_just_before_the_drain_is_served(backends, scene):
    here = scene({"web": backends("one")})
    with here.client() as client, here.client() as other:
        assert client.request().status == 200
        with here.failing.paused(other, here.perch):
            here.perch.send_signal(3)
            wait_for("/readyz to say no",
                     lambda: not here.perch.admin.is_ready())
            client.send_request()
        answer = client.read_response()
        assert answer.body == b"one"
        assert answer.list("Connection") == ["close"]
        for one in here.holders + [other]:
            one.close()
    assert here.perch.wait() == 0


def test_head_that_goes_on_coming_in_the_drain(backends, scene):
    """Its connection, where it was the first, is waited for."""
    here = scene({"web": backends("one")})
    client, other = here.holders
    here.perch.send_signal(3)
    wait_for("/readyz to say no", lambda: not here.perch.admin.is_ready())
    client.send("ET / HTTP/1.1\r\n")
    assert client.is_quiet(0.1)
    client.send("Host: test\r\n\r\n")
    assert client.read_response().body == b"one"
    client.expect_close()
    other.close()
    assert here.perch.wait() == 0


def test_two_connections_get_free_at_once(backends, scene):
    """Both who wait are served, in order."""
    backend = backends("one")
    here = scene({"web": backend}, limits={"endpoint_connections": 2})
    go = threading.Event()
    backend.play(*[lambda c: (c.read_request(), c.wait(go),
                              c.send_response(b"first"))] * 2,
                 respond(b"next"))
    clients = [here.client() for _ in range(4)]
    with here.client() as other:
        for i, client in enumerate(clients):
            client.send_request()
            if i < 2:
                backend.wait_heads(i + 1)
            else:
                assert client.is_quiet(0.1)
        with here.failing.paused(other, here.perch):
            go.set()
            wait_for("both answers", lambda: len(backend.requests) == 2)
            assert clients[0].is_quiet(0.1)
        assert [c.read_response().body for c in clients] == [
            b"first", b"first", b"next", b"next"]
    for client in clients:
        client.close()
