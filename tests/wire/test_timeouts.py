"""Every timeout, with short values: it fires, and it fires for no other."""

import threading
import time

import pytest

from perchtest import Perch, RawClient, ScriptedBackend, respond, wait_for

SHORT = "300ms"


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
    client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 8\r\n\r\n")
    for _ in range(8):
        time.sleep(0.1)
        client.send("x")
    assert client.read_response().status == 200


def test_late_response_is_504(served):
    client, backend = served
    backend.play(lambda c: (c.read_request(), c.wait_closed()))
    assert client.request().status == 504
    connection = backend.requests[0].connection
    wait_for("the upstream connection to end", connection.ended.is_set)


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
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
        for _ in range(8):
            time.sleep(0.1)
            c.send(b"x")
    backend.play(move)
    assert client.request().body == b"x" * 8


def test_client_that_does_not_take_its_answer_is_cut(hasty):
    perch, backend = hasty

    def flood(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
        while True:
            c.send(b"x" * 65536)
    backend.play(flood)
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

    def slow(c):
        c.read_request()
        c.wait(release)
        c.send_response(b"slow")
    perch = start({
        "quick": {"match": {"hosts": ["quick"]}, "versions": {"v1": one},
                  "timeouts": {"response": SHORT}},
        "patient": {"match": {"hosts": ["patient"]},
                    "versions": {"v1": two}}})
    one.play(lambda c: (c.read_request(), c.wait_closed()))
    two.play(slow)
    with RawClient(perch.port) as a, RawClient(perch.port) as b:
        b.send_request(host="patient")
        assert a.request(host="quick").status == 504
        release.set()
        assert b.read_response().body == b"slow"
