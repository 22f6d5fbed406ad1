"""Upgraded connections: bytes both ways once both sides agreed."""

import threading

import pytest

from perchtest import RawClient, respond, wait_for

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
        "tunnel": "1500ms", "response": "300ms", "response_idle": "300ms",
        "idle": "300ms", "body": "300ms"})
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
