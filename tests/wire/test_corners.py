"""Roads that are seldom taken, each of which must lead to the same place."""

import threading

import pytest

from perchtest import RawClient, respond, wait_for


@pytest.mark.parametrize("size", range(3 << 20, 4 << 20, 100003))
def test_large_answer_to_a_slow_reader_is_whole(start, backends, size):
    """Its last bytes wait in a pipe for the client, and the connection is
    good for the next request after that."""
    body = bytes(i * 7 & 255 for i in range(1009)) * (size // 1009)
    backend = backends("one")
    backend.play(respond(body))
    perch = start({"web": backend})
    with RawClient(perch.port, receive_buffer=4096) as client:
        assert client.request().body == body
        assert client.request("HEAD").status == 200
    assert len({r.connection for r in backend.requests}) == 1


@pytest.mark.parametrize("given", [
    'a"b', "a\\b", "a b", "\xe9", "x" * 65, ""])
def test_strange_request_id_is_replaced(client, backend, given):
    """Though it comes from one who is trusted."""
    client.request(fields=[("X-Request-Id", given)])
    assert backend.next_request().one("X-Request-Id") != given


@pytest.mark.parametrize("given", ["a", "x" * 64, "!#$%&'()*+,-./:;<=>?@[]"])
def test_plain_request_id_is_kept(client, backend, given):
    client.request(fields=[("X-Request-Id", given)])
    assert backend.next_request().one("X-Request-Id") == given


@pytest.mark.parametrize("target", ["/%", "/%4", "/%zz", "/%4z", "/a%00b"])
def test_path_that_cannot_be_decoded_is_refused(client, backend, target):
    answer = client.request(target=target)
    assert answer.status == 400
    assert not backend.heads


@pytest.mark.parametrize("value", [
    "max=5", "timeout", "timeout=", "timeout=soon", "timeout=:",
    "timeout=99999999999999", "max=5, timeout=100", "timeout=100, max=5"])
def test_connection_is_kept_whatever_keep_alive_says(client, backend, value):
    """As long as it doesn't name a short time."""
    backend.play(respond(b"x", fields=[("Keep-Alive", value)]))
    before = len(backend.connections)
    client.request()
    if value not in ("timeout=", "timeout=soon", "timeout=:"):
        client.request()
        assert len(backend.connections) <= before + 1
    assert client.request().status == 200


def test_limits_that_a_reload_raised_hold_for_a_head_under_way(
        start, backends):
    """Its buffer was made for a smaller one."""
    backend = backends("one")
    perch = start({"web": backend}, limits={"head": "1KiB"},
                  timeouts={"header": "30s"})

    def is_taken():
        with RawClient(perch.port) as other:
            return other.request(
                fields=[("X-Long", "x" * 30000)]).status == 200

    with RawClient(perch.port) as client:
        client.request()
        client.send("GET / HTTP/1.1\r\nHost: test\r\nX-First: 1\r\n")
        perch.change(limits={"head": "64KiB"})
        perch.reload()
        wait_for("the new limits", is_taken)
        client.send("X-Long: " + "x" * 50000 + "\r\n\r\n")
        assert client.read_response().status == 200
    assert len(backend.requests[-1].one("X-Long")) == 50000


def test_tunnel_takes_the_rest_though_the_backend_reads_late(start, backends):
    """The client has sent all and closed its side before the endpoint takes
    anything: the end is passed on behind the last byte."""
    size = 6 << 20
    backend = backends("one")
    got = []

    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\n"
                        b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        go.wait(20)
        got.append(len(connection.wait_closed()))

    go = threading.Event()
    backend.play(script)
    perch = start({"web": backend})
    with RawClient(perch.port) as client:
        client.send_request(fields=[("Connection", "Upgrade"),
                                    ("Upgrade", "websocket")])
        assert client.reader.read_response_head().status == 101

        def send():
            client.send(b"x" * size)
            client.half_close()
        sender = threading.Thread(target=send)
        sender.start()
        sender.join(1)
        go.set()
        sender.join(20)
        client.expect_close()
    wait_for("the backend to see the end", lambda: got)
    assert got == [size]
