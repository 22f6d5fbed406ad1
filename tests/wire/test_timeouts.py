"""Every timeout, with short values: it fires, and it fires for no other."""

import select
import threading
import time

import pytest

from perchtest import Perch, RawClient, ScriptedBackend, respond, wait_for

# Longer than a busy machine holds anybody up; and a time in which something
# moves, every now and then, that is longer still.
SHORT = "1s"
MOVES = 12
PAUSE = 0.1


@pytest.fixture(scope="module")
def hasty():
    """A perch with short timeouts: (perch, backend)."""
    with ScriptedBackend() as backend:
        with Perch({"web": backend}, timeouts={
                "header": SHORT, "body": SHORT, "idle": SHORT,
                "half_closed": SHORT, "response": SHORT,
                "response_idle": SHORT}) as perch:
            yield perch, backend
        backend.check()


@pytest.fixture
def served(hasty):
    perch, backend = hasty
    backend.play(respond(b"ok"))
    with RawClient(perch.port) as client:
        yield client, backend


def test_idle_connection_is_closed_without_a_word(served):
    client, _ = served
    assert client.request().status == 200
    client.expect_close()


def test_connection_that_never_speaks_is_closed(served):
    client, _ = served
    rest = client.read_until_close()
    assert rest == b"" or rest.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("part", [
    "G", "GET / HT", "GET / HTTP/1.1\r\nHost: t\r\n"])
def test_unfinished_head_is_408(served, part):
    client, backend = served
    client.send(part)
    assert client.read_response().status == 408
    client.expect_close()
    assert not backend.heads


def test_head_that_trickles_is_408(served):
    """The header timeout is for the whole head: a byte now and then does
    not renew it."""
    client, backend = served
    client.send("GET / HTTP/1.1\r\nHost: t\r\n")
    until = time.monotonic() + 20
    while client.is_quiet(0.1):
        assert time.monotonic() < until, "a trickle keeps it open for ever"
        client.send("X-A: b\r\n")
    assert client.read_response().status == 408


def test_request_body_that_stalls_is_408(served):
    client, backend = served
    client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nabc")
    assert client.read_response().status == 408
    client.expect_close()
    assert not backend.requests
    wait_for("the upstream connection to end",
             lambda: all(r.connection.ended.is_set()
                         or r.connection.is_closed for r in backend.heads))


def test_request_body_that_moves_is_not_cut(served):
    client, backend = served
    client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n"
                % MOVES)
    for _ in range(MOVES):
        time.sleep(PAUSE)
        client.send("x")
    assert client.read_response().status == 200


def test_late_response_is_504(served):
    client, backend = served
    backend.play(lambda c: (c.read_request(), c.wait_closed()))
    assert client.request().status == 504
    connection = backend.requests[0].connection
    wait_for("the upstream connection to end", connection.ended.is_set)


def test_silence_on_expect_is_504(hasty, served):
    """A client that waits for a 100 owes nothing: it is the backend that is
    late, and is counted so."""
    perch, backend = hasty
    client, _ = served
    late = {"name": "perch_errors_total", "kind": "response_timeout"}
    before = perch.admin.metrics().sum(**late)
    backend.play(lambda c: (c.read_head(), c.wait_closed()))
    client.send("POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"
                "Content-Length: 5\r\n\r\n")
    assert client.read_response().status == 504
    perch.admin.wait_metric(value=before + 1, **late)


def _deaf(c):
    """Reads the head, and then nothing until perch has closed."""
    c.read_head()
    poll = select.poll()
    poll.register(c.socket, select.POLLHUP | select.POLLERR)
    poll.poll(20000)
    c.close()


BIG_UPLOAD = ("POST / HTTP/1.1\r\nHost: t\r\n"
              "Content-Length: 500000000\r\n\r\n")


@pytest.fixture
def to_deaf(start, backends):
    """A perch before a backend that stops reading."""
    one = backends("one", receive_buffer=4096)
    one.play(_deaf)
    return start({"web": one}, timeouts={
        "response": SHORT, "body": "10s", "half_closed": SHORT})


def test_backend_that_stops_reading_is_504(to_deaf):
    """The client does what it can: it is not its body that is late."""
    with RawClient(to_deaf.port) as client:
        client.send(BIG_UPLOAD).send_until_stuck()
        assert client.read_response().status == 504
    to_deaf.admin.wait_metric("perch_errors_total", 1,
                              kind="response_timeout")


def test_body_is_not_late_while_the_backend_takes_nothing(start, backends):
    """The client's deadline is over first, but it isn't the client's turn."""
    one = backends("one", receive_buffer=4096)
    one.play(_deaf)
    perch = start({"web": one}, timeouts={"response": "3s", "body": SHORT})
    with RawClient(perch.port) as client:
        client.send(BIG_UPLOAD).send_until_stuck()
        assert client.read_response().status == 504


def test_backend_that_stops_reading_leaks_nothing(to_deaf):
    before = to_deaf.descriptors()
    for _ in range(3):
        client = RawClient(to_deaf.port)
        client.send(BIG_UPLOAD).send_until_stuck()
        client.reset()
    wait_for("perch to close all of it",
             lambda: to_deaf.descriptors() <= before)


def test_response_is_awaited_after_1xx_that_were_not_taken(start, backends):
    """While the client takes nothing the backend can't be late; then it
    can."""
    one = backends("one")
    enough = threading.Event()
    sent = []
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: %s\r\n\r\n" % (b"a" * 8000)

    def hints(c):
        c.read_request()
        while not enough.is_set():
            c.send(hint)
            sent.append(len(hint))
        c.wait_closed()
    one.play(hints)
    perch = start({"web": one}, timeouts={"response": SHORT, "body": "10s"})
    with RawClient(perch.port, receive_buffer=4096) as client:
        client.send_request()
        one.wait_heads(1)

        def is_stuck():
            before = len(sent)
            time.sleep(0.15)
            return len(sent) == before
        wait_for("the backend to be stuck", is_stuck)
        enough.set()
        assert client.read_response().status == 504


def test_1xx_does_not_count_as_the_response_for_ever(served):
    client, backend = served

    def hints(c):
        c.read_request()
        c.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        c.wait_closed()
    backend.play(hints)
    answer = client.request()
    assert answer.status == 504


def test_response_body_that_stalls_is_cut(served):
    client, backend = served

    def stall(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        c.wait_closed()
    backend.play(stall)
    client.send_request()
    message = client.expect_truncated()
    assert message.status == 200


def test_response_body_that_moves_is_not_cut(served):
    client, backend = served

    def move(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % MOVES)
        for _ in range(MOVES):
            time.sleep(PAUSE)
            c.send(b"x")
    backend.play(move)
    assert client.request().body == b"x" * MOVES


def test_upload_behind_an_early_answer_is_not_cut(served):
    """The answer rests, but the body moves."""
    client, backend = served

    def early(c):
        request = c.read_head()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbe")
        c.read_body(request)
        c.send(b"st")
    backend.play(early)
    client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n"
                % MOVES)
    for _ in range(MOVES):
        time.sleep(PAUSE)
        client.send("x")
    assert client.read_response().body == b"best"
    assert backend.next_request().body == b"x" * MOVES


def test_answer_that_is_held_back_is_not_late(start, backends):
    """While the client takes nothing the backend can't be late, though the
    request's body moves."""
    one = backends("one")
    body = b"x" * (32 << 20)
    is_stuck = threading.Event()

    def early(c):
        c.read_head()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        sent = 0
        while select.select([], [c.socket], [], 0.3)[1]:
            sent += c.socket.send(body[sent:sent + 4096])
        is_stuck.set()
        c.send(body[sent:])
    one.play(early)
    perch = start({"web": one}, timeouts={
        "response_idle": SHORT, "body": "10s"})
    with RawClient(perch.port, receive_buffer=4096) as client:
        client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 8\r\n\r\n")
        assert is_stuck.wait(20)
        client.send("x")
        time.sleep(0.9)
        client.reader.keep_raw = False
        assert client.read_response("POST").body == body


def test_download_of_a_half_closed_client_is_not_cut(served):
    client, backend = served

    def move(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % MOVES)
        for _ in range(MOVES):
            time.sleep(PAUSE)
            c.send(b"x")
    backend.play(move)
    client.send_request().half_close()
    assert client.read_response().body == b"x" * MOVES


def _flood(c):
    c.read_request()
    c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
    while True:
        c.send(b"x" * 65536)


def test_client_that_sends_but_takes_nothing_is_cut(hasty):
    """A byte of its next request now and then is no progress."""
    perch, backend = hasty
    backend.play(_flood)
    with RawClient(perch.port, receive_buffer=4096) as client:
        client.send_request()
        backend.wait_heads(1)
        ended = backend.heads[0].connection.ended
        until = time.monotonic() + 20
        while not ended.wait(0.1):
            assert time.monotonic() < until, "bytes keep it open for ever"
            client.send("G")


def test_client_that_does_not_take_its_answer_is_cut(hasty):
    perch, backend = hasty

    backend.play(_flood)
    with RawClient(perch.port, receive_buffer=4096) as client:
        client.send_request()
        backend.wait_heads(1)
        connection = backend.heads[0].connection
        wait_for("perch to give up", connection.ended.is_set)


def test_half_closed_client_is_not_waited_for_for_ever(start, backends):
    one = backends("one")
    perch = start({"web": one}, timeouts={"half_closed": SHORT})
    one.play(lambda c: (c.read_request(), c.wait_closed()))
    with RawClient(perch.port) as client:
        client.send_request().half_close()
        client.read_until_close()
    wait_for("the upstream connection to end",
             one.heads[0].connection.ended.is_set)


def test_service_overrides_the_global_timeout(start, backends):
    one, two = backends("one", "two")
    release = threading.Event()
    perch = start({
        "quick": {"match": {"hosts": ["quick"]}, "versions": {"v1": one},
                  "timeouts": {"response": SHORT}},
        "patient": {"match": {"hosts": ["patient"]},
                    "versions": {"v1": two}}})
    one.play(lambda c: (c.read_request(), c.wait_closed()))
    two.play(respond(b"slow", after=release))
    with RawClient(perch.port) as a, RawClient(perch.port) as b:
        b.send_request(host="patient")
        assert a.request(host="quick").status == 504
        release.set()
        assert b.read_response().body == b"slow"
