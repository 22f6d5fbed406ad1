"""Calls that fail: memory and descriptors that run out, sockets that take
nothing, or less than they said.

Each sweep plays something once for each call that it makes, and lets that one
fail. Whatever happens to the request in hand, it is never answered with wrong
bytes, and the next one is served.
"""

import errno
import itertools
import math
import threading
import time

import pytest

from perchtest import PeerClosed, Truncated, respond, wait_for
from perchtest.failing import FOR_EVER, sanitizer_library

needs_plain_memory = pytest.mark.skipif(
    sanitizer_library() is not None,
    reason="a sanitizer's memory doesn't run out")

BIG = bytes(i * 7 & 255 for i in range(1009)) * 400


# -- what is played -----------------------------------------------------------

def _answer(request):
    return request.body or (BIG if request.target == "/big" else b"small")


def _serve(connection):
    request = connection.read_head()
    if request.get("Expect"):
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    if request.target == "/acked":
        for _ in range(3):
            try:
                connection.reader.read_exactly(5)
            except Truncated:
                raise PeerClosed()
            connection.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        connection.send_response(b"small")
        return
    connection.read_body(request)
    if request.has("Upgrade"):
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\n"
                        b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"
                        b"early")
        while data := connection.read_some():
            connection.send(data)
        connection.close()
        return
    if request.target == "/trailers":
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
                        b"\r\n5\r\nsmall\r\n0\r\nX-Sum: 1\r\n\r\n")
        return
    connection.send_response(_answer(request), chunked=request.target == "/c")


def play_small(client):
    answer = client.request()
    assert answer.status != 200 or answer.body == b"small"
    return answer.status


def play_trailers(client):
    answer = client.request(target="/trailers")
    assert answer.status != 200 or answer.body == b"small"
    return answer.status


def play_big(client):
    answer = client.request(target="/big")
    assert answer.status != 200 or answer.body == BIG
    return answer.status


def play_big_and_close(client):
    answer = client.request(target="/big", fields=[("Connection", "close")])
    assert answer.status != 200 or answer.body == BIG
    client.expect_close()
    return answer.status


def play_acked(client):
    """A body in parts, each sent when the one before has been received."""
    client.send("POST /acked HTTP/1.1\r\nHost: t\r\n"
                "Content-Length: 15\r\n\r\n")
    for _ in range(3):
        client.send("hello")
        answer = client.reader.read_response_head()
        if answer.status != 103:
            client.reader.read_response_body(answer, "POST")
            return answer.status
    answer = client.read_response("POST")
    assert answer.status != 200 or answer.body == b"small"
    return answer.status


def play_refused(client):
    """What still comes behind the refusal is read, and forgotten."""
    client.send("GET / HTTP/1.1\r\nNo colon\r\n\r\n")
    assert client.read_response().status == 400
    client.expect_close()
    client.send("more")
    return 400


def play_body(client):
    """In two parts, the second after the 100."""
    client.send("POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"
                "Transfer-Encoding: chunked\r\n\r\n")
    answer = client.reader.read_response_head()
    if answer.status != 100:
        client.reader.read_response_body(answer, "POST")
        return answer.status
    client.send("5\r\nhello\r\n0\r\n\r\n")
    answer = client.read_response("POST")
    assert answer.status != 200 or answer.body == b"hello"
    return answer.status


def play_tunnel(client):
    answer = client.request(fields=[("Connection", "upgrade"),
                                    ("Upgrade", "websocket")])
    if answer.status != 101:
        return answer.status
    assert client.reader.read_exactly(5) == b"early"
    client.send("there")
    assert client.reader.read_exactly(5) == b"there"
    client.half_close()
    client.expect_close()
    return 101


PLAYS = [play_small, play_trailers, play_big, play_big_and_close, play_acked,
         play_refused, play_body, play_tunnel]
GOOD = {200, 101, 400}


def outcome(scene, play):
    """The status, or None where the answer was cut or none came."""
    with scene.client() as client:
        try:
            return play(client)
        except Truncated:
            return None


def patiently(ask, is_good, deadline):
    """What comes of ask(). It may be bad because a busy machine has held it
    up for so long that perch's deadline, in seconds, was over: then again."""
    for _ in range(10):
        began = time.monotonic()
        found = ask()
        if is_good(found) or time.monotonic() - began < deadline:
            break
    return found


def sweep(scene, play, call, error, port=0, fresh=None, deadline=math.inf):
    """What came of it, for each call that failed."""
    def try_it():
        scene.failing.arm(call, error, skip, port=port)
        found = outcome(scene, play)
        has_failed = scene.failing.count > 0
        scene.failing.disarm()
        return found, has_failed

    outcomes = []
    for skip in itertools.count():
        if fresh is not None:
            scene = fresh()
        found, has_failed = patiently(
            try_it, lambda end: end[0] in GOOD or end[1], deadline)
        assert patiently(lambda: outcome(scene, play_small),
                         lambda end: end == 200, deadline) == 200
        if not has_failed:
            assert found in GOOD
            return outcomes
        outcomes.append(found)
        assert len(outcomes) < 200


# -- memory ---------------------------------------------------------------------

@needs_plain_memory
@pytest.mark.parametrize("play", PLAYS)
def test_each_allocation_may_fail(backends, scene, play):
    """The free lists of a perch that has just begun are empty."""
    backend = backends("one")
    backend.play(_serve)

    def fresh():
        return scene({"web": backend})
    outcomes = sweep(None, play, "memory", errno.ENOMEM, fresh=fresh)
    assert len(outcomes) >= 3
    assert set(outcomes) <= GOOD | {502, 503, None}


@needs_plain_memory
def test_no_memory_to_say_that_a_head_is_late(backends, scene):
    """Then the connection just ends."""
    here = scene({"web": backends("one")}, timeouts={"header": "500ms"})
    here.failing.arm("memory", errno.ENOMEM, times=FOR_EVER)
    for late in here.holders:
        late.expect_close()
    here.failing.disarm()
    assert here.is_served()


@needs_plain_memory
def test_no_memory_for_the_last_request_of_one_who_has_ended(
        backends, scene):
    """It waits behind an answer that isn't taken, and others have what memory
    was there."""
    backend = backends("one")
    here = scene({"web": backend})
    go = threading.Event()
    with here.client() as client, here.client() as other:
        here.block(here.perch.port)
        client.send_request().send_request().half_close()
        here.wait_failed()
        backend.play(lambda c: (c.read_request(), c.wait(go),
                                c.send_response(b"other")))
        other.send_request()
        backend.wait_heads(1)
        with here.stopped():  # maybe in a send, which the error is for, too
            here.failing.arm("memory", errno.EAGAIN, times=FOR_EVER)
        assert client.read_response().body == b"one"
        client.expect_close()
        here.failing.disarm()
        go.set()
        assert other.read_response().body == b"other"


# -- descriptors ------------------------------------------------------------------

@pytest.mark.parametrize("play", PLAYS)
def test_each_watch_may_fail(backends, scene, play):
    """A socket that isn't watched is one of which nothing comes: in the end
    the deadline is there."""
    backend = backends("one")
    backend.play(_serve)
    here = scene({"web": backend})
    # Not for those who hold the first buffers.
    here.perch.change(timeouts=dict.fromkeys([
        "header", "body", "idle", "response", "response_idle", "tunnel",
        "half_closed"], "200ms"))
    here.perch.reload()
    outcomes = sweep(here, play, "epoll", errno.ENOSPC, deadline=0.2)
    assert set(outcomes) <= GOOD | {408, 503, 504, None}


def test_watch_of_one_who_waits_may_fail(backends, scene):
    """Who sends a request along with the connection is watched only when the
    answer isn't there in a moment."""
    backend = backends("one")
    here = scene({"web": backend})
    assert here.is_served()  # there is a connection to the endpoint
    backend.play(lambda c: (c.read_request(), c.wait_closed()))
    here.wait_idle()
    with here.stopped():
        client = here.client()
        client.send_request()
        here.failing.arm("epoll", errno.ENOSPC)
    client.expect_close()
    client.close()
    assert here.failing.count == 1
    backend.play(respond())
    assert here.is_served()


def test_watch_of_one_who_is_refused_may_fail(backends, scene):
    """Then what else it sends isn't waited for."""
    here = scene({"web": backends("one")})
    here.wait_idle()
    with here.stopped():
        client = here.client()
        client.send("nonsense\r\n\r\n")
        here.failing.arm("epoll", errno.ENOSPC)
    assert client.read_response().status == 400
    here.wait_failed()
    here.perch.admin.wait_metric(
        "perch_client_connections", len(here.holders))
    client.close()
    assert here.is_served()


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE])
def test_no_pipe_for_a_large_answer(backends, scene, error):
    """Then it is copied."""
    backend = backends("one")
    backend.play(_serve)
    here = scene({"web": backend})
    here.failing.arm("pipe", error, times=FOR_EVER)
    assert outcome(here, play_big) == 200
    assert here.failing.count >= 1


@pytest.mark.parametrize("error,status", [
    (errno.EMFILE, 503), (errno.ENFILE, 503), (errno.ENOMEM, 503),
    (errno.EAFNOSUPPORT, 502)])
def test_no_socket_for_an_endpoint(backends, scene, error, status):
    """503: want of descriptors or memory is perch's fault, and the endpoint
    isn't left out for it."""
    here = scene({"web": backends("one")}, timeouts={"connect": "200ms"})
    here.failing.arm("socket", error)
    assert outcome(here, play_small) == status
    left_out = here.perch.admin.metrics().sum("perch_endpoint_left_out")
    assert left_out == (status == 502)
    assert here.is_served()


@pytest.mark.parametrize("timeouts,status", [
    ({"connect": "200ms"}, 502), ({"connect": "5s"}, 200)],
    ids=["impatient", "waits"])
def test_no_port_for_an_endpoint(backends, scene, timeouts, status):
    """All are in use: the endpoint isn't left out, and who can waits for one
    to come free, though no other endpoint can be picked."""
    here = scene({"web": backends("one")}, timeouts=timeouts)
    here.failing.arm("connect", errno.EADDRNOTAVAIL)
    assert outcome(here, lambda c: c.request().status) == status
    assert here.failing.count == 1
    assert here.perch.admin.metrics().sum("perch_endpoint_left_out") == 0
    assert here.is_served()


@pytest.mark.parametrize("error,status", [
    (errno.EMFILE, 503), (errno.ENETUNREACH, 502)])
def test_no_socket_for_one_who_waited(backends, scene, error, status):
    backend = backends("one")
    here = scene({"web": backend}, limits={"endpoint_connections": 1},
                 timeouts={"connect": "200ms"})

    def fail_next(connection):
        connection.read_request()
        with here.client() as waits:
            waits.send_request()
            assert waits.is_quiet(0.2)
            here.failing.arm(
                "socket" if status == 503 else "connect", error)
            connection.send_response(b"first", fields=[
                ("Connection", "close")])
            connection.close()
            assert waits.read_response().status == status
    backend.play(fail_next, respond(b"next"))
    assert outcome(here, lambda c: c.request().status) == 200
    assert here.is_served()


def test_one_over_the_limit_who_has_left_already(backends, scene):
    """Nobody is there to be told."""
    here = scene({"web": backends("one")}, limits={"connections": 2})
    here.failing.arm("send", errno.ECONNRESET, port=here.perch.port)
    with here.client() as third:
        third.expect_close()
    assert here.failing.count == 1
    with here.client() as third:
        assert third.request().status == 503


@needs_plain_memory
def test_memory_for_a_larger_head_may_come_later(backends, scene):
    """A reload allows for more, and there is no memory at the moment."""
    here = scene({"web": backends("one")}, limits={"head": "1KiB"})

    def is_taken():
        with here.client() as other:
            return other.request(
                fields=[("X-Long", "x" * 30000)]).status == 200

    with here.client() as client:
        client.request()
        client.send("GET / HTTP/1.1\r\nHost: test\r\nX-First: 1\r\n")
        here.perch.change(limits={"head": "64KiB"})
        here.perch.reload()
        wait_for("the new limits", is_taken)
        holders = [here.client().send("G") for _ in range(4)]
        here.perch.admin.wait_metric("perch_client_connections", 7)
        here.failing.arm("memory", errno.ENOMEM, times=FOR_EVER)
        client.send("X-Second: 1\r\n")
        here.wait_failed()
        here.failing.disarm()
        client.send("X-Third: 1\r\n")
        client.send("X-Long: " + "x" * 50000 + "\r\n\r\n")
        assert client.read_response().status == 200
        for holder in holders:
            holder.close()


def test_connection_that_stands_at_once(backends, scene):
    backend = backends("one")
    backend.play(_serve)
    here = scene({"web": backend})
    for play in PLAYS:
        here.failing.arm("connect_at_once", times=FOR_EVER)
        assert outcome(here, play) in GOOD
        for connection in backend.open_connections():
            connection.half_close()
            assert connection.ended.wait(20)


# -- sockets ----------------------------------------------------------------------

@pytest.mark.parametrize("side", ["client", "backend"])
@pytest.mark.parametrize("call", ["recv", "send", "splice"])
@pytest.mark.parametrize("play", PLAYS)
def test_spurious_wake_ups_change_nothing(
        backends, scene, play, call, side):
    """A call that was interrupted, or has nothing to do after all."""
    backend = backends("one")
    backend.play(_serve)
    here = scene({"web": backend})
    port = here.perch.port if side == "client" else backend.port
    for error in (errno.EAGAIN, errno.EINTR):
        outcomes = sweep(here, play, call, error, port)
        assert set(outcomes) <= GOOD


@pytest.mark.parametrize("side", ["client", "backend"])
@pytest.mark.parametrize("call", ["recv", "send", "splice"])
@pytest.mark.parametrize("play", PLAYS)
def test_each_call_may_meet_a_reset(backends, scene, play, call, side):
    backend = backends("one")
    backend.play(_serve)
    here = scene({"web": backend})
    port = here.perch.port if side == "client" else backend.port
    outcomes = sweep(here, play, call, errno.ECONNRESET, port)
    assert set(outcomes) <= GOOD | {502, None}


@pytest.mark.parametrize("side", ["client", "backend"])
@pytest.mark.parametrize("play", PLAYS)
def test_sends_that_take_a_byte(backends, scene, play, side):
    """Each of the first ones, with a flush for the next byte."""
    backend = backends("one")
    backend.play(_serve)
    here = scene({"web": backend})
    port = here.perch.port if side == "client" else backend.port
    here.failing.arm("send_one", times=400, port=port)
    assert outcome(here, play) in GOOD
    # The least answer has 43 bytes.
    assert here.failing.count >= 43 or play is play_refused
    assert here.is_served()
