"""Upgraded connections: bytes both ways once both sides agreed."""

import threading
import time

import pytest

from perchtest import RawClient, respond, wait_for
from perchtest.browser import DRAWN, FETCH

UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket",
           "Sec-WebSocket-Key": "x", "Sec-WebSocket-Version": "13"}
SWITCH = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
          b"Upgrade: websocket\r\nSec-WebSocket-Accept: y\r\n\r\n")


def _switch_and(then):
    def script(c):
        request = c.read_request()
        assert request.one("Upgrade") == "websocket"
        assert [e.lower() for e in request.list("Connection")] == ["upgrade"]
        c.send(SWITCH)
        then(c)
    return script


def _echo(c):
    while True:
        data = c.read_some()
        if not data:
            c.send(b"bye")
            c.half_close()
            c.close()
            return
        c.send(data)


def _open(client):
    answer = client.request(fields=UPGRADE)
    assert answer.status == 101
    assert answer.one("Upgrade") == "websocket"
    assert [e.lower() for e in answer.list("Connection")] == ["upgrade"]
    assert answer.one("Sec-WebSocket-Accept") == "y"
    assert not answer.has("Content-Length")
    assert not answer.has("Transfer-Encoding")


def _read(client, count):
    while len(client.reader.buffer) < count:
        assert client.reader.fill(), "the tunnel ended"
    return client.reader.take(count)


def test_upgrade_with_a_chunked_body(client, backend):
    """Behind it nothing is in chunks."""
    def script(c):
        assert c.read_request().body == b"abc"
        c.send(SWITCH)
        _echo(c)
    backend.play(script)
    client.send("POST / HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\n"
                "Upgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n"
                "3\r\nabc\r\n0\r\n\r\n")
    assert client.read_response("POST").status == 101
    client.send("hello")
    assert _read(client, 5) == b"hello"


def test_switch_before_the_request_is_whole(client, backend):
    """What follows would be the rest of the body to one, and the new protocol
    to the other."""
    backend.play(lambda c: (c.read_head(), c.send(SWITCH), c.wait_closed()))
    client.send("POST / HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\n"
                "Upgrade: websocket\r\nContent-Length: 6\r\n\r\nabc")
    assert client.read_response("POST").status == 502
    client.expect_close()


def test_bytes_both_ways(client, backend):
    backend.play(_switch_and(_echo))
    _open(client)
    for data in (b"hello", b"\0\xff\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"):
        client.send(data)
        assert _read(client, len(data)) == data


def test_large_amounts_both_ways(client, backend):
    backend.play(_switch_and(_echo))
    _open(client)
    data = bytes(range(256)) * 8192
    sender = threading.Thread(target=client.send, args=(data,))
    sender.start()
    assert _read(client, len(data)) == data
    sender.join()


def test_bytes_right_behind_the_answer(client, backend):
    def script(c):
        c.read_request()
        c.send(SWITCH + b"first words")
        c.wait_closed()
    backend.play(script)
    _open(client)
    assert _read(client, 11) == b"first words"


def test_bytes_right_behind_the_request(client, backend):
    """A hasty client; its bytes belong to the tunnel, and come through."""
    backend.play(_switch_and(_echo))
    client.send("GET / HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\n"
                "Upgrade: websocket\r\n\r\nhasty")
    assert client.read_response().status == 101
    assert _read(client, 5) == b"hasty"


def test_half_close_by_the_client(client, backend):
    """What the backend still has to say comes through."""
    backend.play(_switch_and(_echo))
    _open(client)
    client.send(b"last").half_close()
    assert client.read_until_close() == b"lastbye"


def test_half_close_by_the_backend(client, backend):
    got = []

    def talk_and_listen(c):
        c.send(b"my last word")
        c.half_close()
        got.append(c.wait_closed())
        c.close()
    backend.play(_switch_and(talk_and_listen))
    _open(client)
    assert client.read_until_close() == b"my last word"
    client.send(b"but mine").close()
    wait_for("the client's last word", lambda: got)
    assert got == [b"but mine"]


def test_half_close_waits_for_what_came_before(start, backends):
    """The backend doesn't read, and perch has bytes in hand when the client
    ends: they are for the backend before the end is. How many bytes it takes
    for that is the kernel's secret, so many numbers are tried at once."""
    one = backends("one", receive_buffer=4096)
    perch = start({"web": one})
    release = threading.Event()
    piece = b"q" * 2000
    sizes = range(30000, 170000, 2 * len(piece))
    got = []

    def read_late(c):
        c.wait(release)
        got.append(len(c.wait_closed()))
        c.close()
    one.play(_switch_and(read_late))
    clients = [RawClient(perch.port) for _ in sizes]
    for client in clients:
        _open(client)
    # By turns, so that perch passes on each piece before the next.
    for sent in range(len(piece), sizes[-1] + 1, len(piece)):
        for client, size in zip(clients, sizes):
            if sent <= size:
                client.send(piece)
            if sent == size:
                client.half_close()
        time.sleep(0.002)
    # Until perch has seen the ends; nothing that is to be seen says so.
    assert clients[-1].is_quiet(0.2)
    release.set()
    for client in clients:
        client.read_until_close()
        client.close()
    wait_for("the backend's ends", lambda: len(got) == len(sizes))
    assert sorted(got) == list(sizes)


def test_half_close_before_the_switch_leaks_nothing(start, backends):
    one = backends("one")
    perch = start({"web": one}, timeouts={"half_closed": "2s"})
    release = threading.Event()

    def late(c):
        c.read_request()
        c.wait(release)
        c.send(SWITCH)
        c.wait_closed()
        c.close()
    before = perch.descriptors()
    one.play(late)
    clients = [RawClient(perch.port) for _ in range(5)]
    for client in clients:
        client.send_request(fields=UPGRADE).half_close()
    one.wait_heads(5)
    release.set()
    for client in clients:
        assert client.read_response().status == 101
        client.expect_close()
        client.close()
    wait_for("perch to close all of it",
             lambda: perch.descriptors() <= before)


@pytest.mark.parametrize("side", ["client", "backend"])
def test_reset_ends_both_sides(client, backend, side):
    go = threading.Event()

    def wait(c):
        if side == "backend":
            c.wait(go)
            c.reset()
        else:
            c.wait_closed()
    backend.play(_switch_and(wait))
    _open(client)
    connection = backend.heads[0].connection
    if side == "backend":
        go.set()
        client.read_until_close()
    else:
        client.reset()
        wait_for("the backend's side to end", connection.ended.is_set)


def test_refused_upgrade_is_an_ordinary_answer(client, backend):
    backend.play(respond(b"no", "426 Upgrade Required"))
    answer = client.request(fields=UPGRADE)
    assert (answer.status, answer.body) == (426, b"no")
    # And the connection goes on with HTTP.
    backend.play(respond(b"yes"))
    assert client.request().body == b"yes"


def test_ignored_upgrade_is_an_ordinary_answer(client, backend):
    backend.play(respond(b"page"))
    assert client.request(fields=UPGRADE).body == b"page"
    assert client.request().body == b"page"


H2C = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n" \
      b"Upgrade: h2c\r\n\r\n"


def test_h2c_is_not_asked_for(client, backend):
    """Behind it requests would pass that no rule here sees."""
    backend.play(respond(b"page"))
    answer = client.request(fields={
        "Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c",
        "HTTP2-Settings": "AAMAAABkAARAAAAAAAIAAAAA"})
    assert answer.body == b"page"
    request = backend.next_request()
    for name in ("Upgrade", "Connection", "HTTP2-Settings"):
        assert not request.has(name)


@pytest.mark.parametrize("asked", ["h2c", "websocket", "h2c, websocket"])
def test_switch_to_h2c_is_502(client, backend, asked):
    backend.play(lambda c: (c.read_request(), c.send(H2C), c.wait_closed()))
    answer = client.request(fields={
        "Connection": "Upgrade, HTTP2-Settings", "Upgrade": asked,
        "HTTP2-Settings": "AAMAAABkAARAAAAAAAIAAAAA"})
    assert answer.status == 502
    wait_for("the upstream connection to end",
             backend.heads[0].connection.ended.is_set)


def test_bytes_behind_a_refused_upgrade_are_requests(client, backend):
    """No smuggling by way of a refused upgrade."""
    backend.play(respond(lambda r: r.target.encode()))
    client.send("GET /up HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\n"
                "Upgrade: websocket\r\n\r\n"
                "GET /next HTTP/1.1\r\nHost: t\r\n\r\n")
    assert client.read_response().body == b"/up"
    assert client.read_response().body == b"/next"
    assert [r.target for r in backend.requests] == ["/up", "/next"]


def test_idle_tunnel_is_closed(start, backends):
    one = backends("one")
    perch = start({"web": one}, timeouts={"tunnel": "300ms"})
    one.play(_switch_and(lambda c: c.wait_closed()))
    with RawClient(perch.port) as client:
        _open(client)
        client.read_until_close()
    wait_for("the backend's side to end",
             one.heads[0].connection.ended.is_set)


def test_busy_tunnel_outlives_the_idle_timeout(start, backends):
    """Traffic in one direction keeps it alive."""
    one = backends("one")
    perch = start({"web": one}, timeouts={
        "tunnel": "1500ms", "response": "1s", "response_idle": "1s",
        "idle": "1s", "body": "1s"})
    stop = threading.Event()

    def tick(c):
        while not stop.wait(0.1):
            c.send(b".")
        c.close()
    one.play(_switch_and(tick))
    with RawClient(perch.port) as client:
        _open(client)
        assert _read(client, 25) == b"." * 25
        stop.set()
        client.read_until_close()


def test_tunnel_outlives_a_reload(start, backends):
    one, two = backends("one", "two")
    perch = start({"web": one})
    # Others may ask it before the reload is done.
    one.play(_switch_and(_echo), respond(b"one"))
    with RawClient(perch.port) as client:
        _open(client)
        perch.change({"web": two})

        def is_reloaded():
            with RawClient(perch.port) as other:
                return other.request().body == b"two"
        perch.reload(is_reloaded)
        client.send(b"still here")
        assert _read(client, 10) == b"still here"


# -- a rollback -----------------------------------------------------------------

def _echo_to_the_end(c):
    while True:
        data = c.read_some()
        if not data:
            return
        c.send(data)


class Rollout:
    """Of v2, all of whose clients are its own; each version answers by one
    script to those who upgrade, and by another to others."""

    def __init__(self, start, backends, **tunnels):
        self.v1, self.v2 = backends("v1", "v2")
        for backend in self.v1, self.v2:
            backend.play(_switch_and(_echo_to_the_end))
        self.perch = start({"web": {
            "versions": {"v1": self.v1, "v2": self.v2}, "stable": "v1",
            "tunnels": tunnels}})
        self.clients = []

    def client(self):
        self.clients.append(RawClient(self.perch.port))
        return self.clients[-1]

    def open(self, n=1):
        opened = [self.client() for _ in range(n)]
        for client in opened:
            _open(client)
        return opened

    def release(self):
        self.perch.admin.release("web", "v2", 100)
        # It has been seen to run.
        time.sleep(1.2)

    def evicted(self):
        return self.perch.admin.metrics().sum(
            "perch_errors_total", version="v2", kind="rolled_back")


@pytest.fixture
def rollout(start, backends):
    made = []

    def make(**tunnels):
        made.append(Rollout(start, backends, **tunnels))
        return made[-1]
    yield make
    for one in made:
        for client in one.clients:
            client.close()


def _echoes(client):
    client.send("hello")
    return _read(client, 5) == b"hello"


def test_tunnels_of_a_candidate_are_closed_at_a_rollback(rollout):
    web = rollout(close_after="1s")
    stable, = web.open()
    web.release()
    opened = web.open(20)
    assert len(web.v2.connections) == 20
    web.perch.admin.rollback("web")
    ends = []
    for client in opened:
        client.expect_close()
        ends.append(time.monotonic())
    # Not all at once.
    assert max(ends) - min(ends) > 0.2
    assert _echoes(stable)
    web.perch.admin.wait_metric(
        "perch_errors_total", 20, version="v2", kind="rolled_back")
    web.perch.admin.wait_metric("perch_tunnels", 1)
    again, = web.open()
    assert _echoes(again)
    assert len(web.v1.connections) == 2


@pytest.mark.parametrize("end", ["keep", "promote"])
def test_tunnels_of_a_candidate_that_stay(rollout, end):
    web = rollout(on_rollback="keep" if end == "keep" else "close",
                  close_after=0)
    web.release()
    client, = web.open()
    if end == "keep":
        web.perch.admin.rollback("web")
    else:
        web.perch.admin.promote("web")
    time.sleep(1.5)  # nothing comes of it
    assert _echoes(client)
    assert web.evicted() == 0


def test_long_answers_of_a_candidate_are_cut_at_a_rollback(rollout):
    web = rollout(close_after="300ms")
    go_on = threading.Event()

    def stream(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        c.wait_closed()
    web.v2.play(stream, respond(b"late", after=go_on))
    web.release()
    streams, waits = web.client(), web.client()
    streams.send_request("GET", "/", "test", dict(FETCH, **DRAWN))
    assert streams.reader.read_response_head().status == 200
    waits.send_request("GET", "/", "test", dict(FETCH, **DRAWN))
    web.v2.wait_heads(2)
    web.perch.admin.rollback("web")
    # Never a clean end.
    streams.read_until_close()
    assert not bytes(streams.reader.raw).endswith(b"0\r\n\r\n")
    # Who has no answer yet gets it.
    go_on.set()
    assert waits.read_response().body == b"late"
    web.perch.admin.wait_metric(
        "perch_errors_total", 1, version="v2", kind="rolled_back")


def test_stop_while_tunnels_are_to_be_closed(rollout):
    web = rollout(close_after="1h")
    web.release()
    client, = web.open()
    web.perch.admin.rollback("web")
    time.sleep(1.2)
    assert _echoes(client)
    web.perch.stop()


# -- other protocols -----------------------------------------------------------

def _switch(to):
    def script(connection):
        request = connection.read_request()
        if not request.has("Upgrade"):
            connection.send_response(b"page")
            return
        connection.send(
            ("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\n"
             "Upgrade: %s\r\n\r\n" % (to or request.one("Upgrade"))).encode())
        connection.send(connection.read_some().upper())
        connection.close()
    return script


@pytest.mark.parametrize("asked", ["tcp", "SPDY/3.1", "spdy/3.1", "TCP"])
def test_protocols_that_are_named_pass(start, backends, asked):
    one = backends("one", script=_switch(None))
    perch = start({"web": one}, upgrades=["tcp", "SPDY/3.1"])
    with RawClient(perch.port) as client:
        client.send_request("POST", fields={
            "Connection": "Upgrade", "Upgrade": asked})
        answer = client.read_response("POST")
        assert answer.status == 101
        assert answer.one("Upgrade") == asked
        client.send(b"bytes")
        assert client.read_until_close() == b"BYTES"


@pytest.mark.parametrize("asked", [
    "websocket", "SPDY/3.0", "tcp, SPDY/3.1", "h2c"])
def test_protocols_that_are_not_named_are_dropped(start, backends, asked):
    one = backends("one", script=_switch(None))
    perch = start({"web": one}, upgrades=["tcp", "SPDY/3.1"])
    with RawClient(perch.port) as client:
        assert client.request(fields={
            "Connection": "Upgrade", "Upgrade": asked}).body == b"page"


def test_switch_is_to_what_was_asked_for(start, backends):
    """Also where the other protocol may pass."""
    one = backends("one", script=_switch("tcp"))
    perch = start({"web": one}, upgrades=["tcp", "SPDY/3.1"])
    with RawClient(perch.port) as client:
        assert client.request(fields={
            "Connection": "Upgrade", "Upgrade": "SPDY/3.1"}).status == 502


def test_service_has_upgrades_of_its_own(start, backends):
    one = backends("one", script=_switch(None))
    perch = start({
        "web": {"versions": {"v1": one}},
        "api": {"match": {"paths": ["/api"]}, "versions": {"v1": one},
                "upgrades": ["tcp"]}})
    for target, asked, status in (
            ("/", "websocket", 101), ("/", "tcp", 200),
            ("/api", "tcp", 101), ("/api", "websocket", 200)):
        with RawClient(perch.port) as client:
            assert client.request("GET", target, fields={
                "Connection": "Upgrade",
                "Upgrade": asked}).status == status, (target, asked)
