"""Every limit: just inside is served, just outside refused."""

import re
import resource
import threading
import time

import pytest

from perchtest import Perch, RawClient, ScriptedBackend, respond, wait_for


@pytest.fixture(scope="module")
def limited():
    with ScriptedBackend() as backend:
        with Perch({"web": backend}, limits={
                "head": "2KiB", "target": "200B", "fields": 20,
                "body": "100B"}) as perch:
            yield perch, backend


@pytest.fixture
def to_limited(limited):
    limited[1].play(respond(b"ok"))
    with RawClient(limited[0].port) as client:
        yield client


@pytest.mark.parametrize("length,status", [(200, 200), (201, 414)])
def test_target(to_limited, length, status):
    assert to_limited.request(
        "GET", "/" + "a" * (length - 1)).status == status


def test_endless_target(to_limited):
    to_limited.send("GET /" + "a" * 100000)
    assert to_limited.read_response().status in (414, 431)
    to_limited.expect_close()


def _head(size):
    fixed = "GET / HTTP/1.1\r\nHost: t\r\nX-A: \r\n\r\n"
    return fixed.replace("X-A: ", "X-A: " + "b" * (size - len(fixed)))


@pytest.mark.parametrize("size,status", [(2048, 200), (2049, 431)])
def test_head(to_limited, size, status):
    to_limited.send(_head(size))
    assert to_limited.read_response().status == status


def test_endless_head(to_limited):
    to_limited.send("GET / HTTP/1.1\r\nHost: t\r\n" + "X-A: b\r\n" * 20000)
    assert to_limited.read_response().status == 431
    to_limited.expect_close()


@pytest.mark.parametrize("count,status", [(20, 200), (21, 431)])
def test_fields(to_limited, count, status):
    to_limited.send("GET / HTTP/1.1\r\nHost: t\r\n"
                    + "X-A: b\r\n" * (count - 1) + "\r\n")
    assert to_limited.read_response().status == status


@pytest.mark.parametrize("length,status", [(100, 200), (101, 413)])
def test_body_with_length(to_limited, length, status):
    assert to_limited.request("POST", body=b"x" * length).status == status


@pytest.mark.parametrize("length,status", [(100, 200), (101, 413)])
def test_body_chunked(to_limited, length, status):
    to_limited.send("POST / HTTP/1.1\r\nHost: t\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(length):
        to_limited.send("1\r\nx\r\n")
    to_limited.send("0\r\n\r\n")
    assert to_limited.read_response().status == status


@pytest.mark.parametrize("length,status", [(100, 200), (101, 413)])
def test_body_that_has_not_come_yet(to_limited, length, status):
    """The head says how long it is."""
    to_limited.send("POST / HTTP/1.1\r\nHost: t\r\n"
                    "Content-Length: %d\r\n\r\n" % length)
    if status == 200:
        assert to_limited.is_quiet(0.1)
        to_limited.send(b"x" * length)
    assert to_limited.read_response().status == status


def test_refused_body_never_reaches_the_backend(limited, to_limited):
    assert to_limited.request("POST", body=b"x" * 101).status == 413
    assert not limited[1].heads


def test_connections_beyond_the_limit_get_503(start, backends):
    one = backends("one")
    perch = start({"web": one}, limits={"connections": 4})
    clients = [RawClient(perch.port) for _ in range(4)]
    for client in clients:
        assert client.request().status == 200
    with RawClient(perch.port) as extra:
        extra.send_request()
        answer = extra.read_response()
        assert answer.status == 503
        extra.expect_close()
    # Those inside are none the worse, and a place that gets free is taken.
    for client in clients:
        assert client.request().status == 200
    clients[0].close()

    def is_served():
        with RawClient(perch.port) as another:
            return another.request().status == 200
    wait_for("the free place", is_served)
    for client in clients[1:]:
        client.close()


def _held(release):
    def script(c):
        c.read_request()
        c.wait(release)
        c.send_response(b"done")
    return script


def wait_in_flight(perch, n):
    """With those that wait for a connection."""
    wait_for("%d to be in flight" % n, lambda: sum(
        version["in_flight"] for version in
        perch.admin.service("web")["versions"]) == n)


def test_endpoint_connections_and_queue(start, backends):
    """One connection, one that waits for it, and the third is refused."""
    one = backends("one")
    release = threading.Event()
    perch = start({"web": one}, limits={
        "endpoint_connections": 1, "pending": 1})
    one.play(_held(release))
    with RawClient(perch.port) as first, RawClient(perch.port) as second, \
            RawClient(perch.port) as third:
        first.send_request()
        one.wait_heads(1)
        second.send_request()
        wait_in_flight(perch, 2)
        assert third.request().status == 503
        assert len(one.heads) == 1
        release.set()
        assert first.read_response().body == b"done"
        assert second.read_response().body == b"done"
    assert len(one.connections) == 1


def test_queue_is_served_in_order(start, backends):
    one = backends("one")
    release = threading.Event()
    perch = start({"web": one}, limits={"endpoint_connections": 1})
    one.play(_held(release), respond(b"done"))
    clients = [RawClient(perch.port) for _ in range(6)]
    for i, client in enumerate(clients):
        client.send_request("GET", "/%d" % i)
        if i == 0:
            one.wait_heads(1)
        else:
            wait_in_flight(perch, i + 1)
    release.set()
    for client in clients:
        assert client.read_response().status == 200
        client.close()
    assert [r.target for r in one.requests] == ["/%d" % i for i in range(6)]


def test_queue_is_served_by_new_connections_too(start, backends):
    one = backends("one")
    release = threading.Event()
    perch = start({"web": one}, limits={"endpoint_connections": 1})

    def once(connection):
        connection.read_request()
        connection.wait(release)
        connection.send_response(b"done", fields=[("Connection", "close")])
        connection.close()
    one.play(once)
    clients = [RawClient(perch.port) for _ in range(4)]
    for client in clients:
        client.send_request()
    one.wait_heads(1)
    wait_in_flight(perch, 4)
    release.set()
    for client in clients:
        assert client.read_response().body == b"done"
        client.close()
    assert len(one.connections) == 4


def test_waiting_in_the_queue_has_its_limit(start, backends):
    one = backends("one")
    release = threading.Event()
    perch = start({"web": one}, limits={"endpoint_connections": 1},
                  timeouts={"queue": "200ms"})
    one.play(_held(release))
    with RawClient(perch.port) as first, RawClient(perch.port) as second:
        first.send_request()
        one.wait_heads(1)
        assert second.request().status == 503
        release.set()
        assert first.read_response().body == b"done"


def test_client_that_leaves_the_queue(start, backends):
    one = backends("one")
    release = threading.Event()
    perch = start({"web": one}, limits={"endpoint_connections": 1})
    one.play(_held(release), respond(b"next"))
    with RawClient(perch.port) as first, RawClient(perch.port) as third:
        first.send_request("GET", "/first")
        one.wait_heads(1)
        second = RawClient(perch.port)
        second.send_request("GET", "/second")
        wait_in_flight(perch, 2)
        second.reset()
        wait_in_flight(perch, 1)
        third.send_request("GET", "/third")
        wait_in_flight(perch, 2)
        release.set()
        assert first.read_response().status == 200
        assert third.read_response().body == b"next"
    assert [r.target for r in one.requests] == ["/first", "/third"]


def test_idle_upstream_connections_are_capped(start, backends):
    one = backends("one")
    release = threading.Event()
    perch = start({"web": one}, limits={"endpoint_idle": 2})
    one.play(_held(release))
    clients = [RawClient(perch.port) for _ in range(6)]
    for client in clients:
        client.send_request()
    one.wait_heads(6)
    release.set()
    for client in clients:
        assert client.read_response().status == 200
    wait_for("all but two to be closed", lambda: sum(
        1 for c in one.connections if not c.ended.is_set()) == 2)
    for client in clients:
        client.close()


def test_out_of_descriptors_is_polite(start, backends):
    """Those inside go on, the process does not spin, and what is over the
    limit is answered or closed, not left hanging."""
    one = backends("one")
    perch = start({"web": one})
    # Later than perch looks how many there are.
    resource.prlimit(perch.pid, resource.RLIMIT_NOFILE, (64, 64))
    inside = RawClient(perch.port)
    assert inside.request().status == 200
    crowd = [RawClient(perch.port) for _ in range(120)]
    spent = perch.cpu_seconds()
    for client in crowd:
        client.send_request()
    outcomes = []
    for client in crowd:
        try:
            outcomes.append(client.read_response().status)
        except AssertionError:
            outcomes.append(None)
    assert outcomes.count(200) >= 1
    assert set(outcomes) <= {200, 503}, outcomes
    assert inside.request().status == 200
    time.sleep(1)
    assert perch.cpu_seconds() - spent < 2
    for client in crowd:
        client.close()

    def is_served():
        with RawClient(perch.port) as another:
            try:
                return another.request().status == 200
            except AssertionError:
                return False
    wait_for("perch to recover", is_served)
    inside.close()


def test_connections_fit_the_descriptors(start, backends):
    """There is nothing to warn of where nothing was asked for."""
    one = backends("one")
    one.play(lambda c: (c.read_request(), c.wait_closed()))
    perch = start({"web": one}, nofile=240)
    said = " info limits\\.connections is 70, not 20000: each may need two"
    perch.wait_log(said)
    assert not re.search(" warn .*descriptor", perch.stderr())
    crowd = [RawClient(perch.port) for _ in range(70)]
    for client in crowd:
        client.send_request()
    one.wait_heads(70)
    with RawClient(perch.port) as late:
        assert late.read_response().status == 503
    for client in crowd:
        client.close()
    # Said once, and a reload's limit is fitted too.
    perch.change(limits={"connections": 90})
    perch.reload()
    with RawClient(perch.port):
        assert len(re.findall("limits.connections is", perch.stderr())) == 1
    # What fits is as it was asked for.
    perch.change(limits={"connections": 1})
    perch.reload()
    with RawClient(perch.port) as first, RawClient(perch.port) as second:
        assert second.read_response().status == 503
        assert first


def test_enough_descriptors_are_nothing_to_speak_of(start, backends):
    perch = start({"web": backends("one")}, limits={"connections": 50},
                  nofile=240)
    assert "limits.connections" not in perch.stderr()


# -- early answers -----------------------------------------------------------------

def _send_slowly(client, seconds, rest=b""):
    """Sends a body, a bit at a time, and reads nothing meanwhile."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not client.was_reset:
        client.send(b"x" * 20000)
        time.sleep(0.05)
    client.send(rest)
    return client


def test_refusal_waits_for_a_client_that_sends_first(limited):
    """Many clients read only when all is sent, however long that takes."""
    with RawClient(limited[0].port) as client:
        client.send("POST / HTTP/1.1\r\nHost: t\r\n"
                    "Content-Length: 100000000\r\n\r\n")
        _send_slowly(client, 3.5)
        assert not client.was_reset
        assert client.read_response().status == 413


def test_early_answer_waits_for_a_client_that_sends_first(start, backends):
    one = backends("one")

    def refuse(connection):
        connection.read_head()
        connection.send(b"HTTP/1.1 401 Unauthorized\r\n"
                        b"Content-Length: 2\r\nConnection: close\r\n\r\nno")
        connection.wait_closed()
    one.play(refuse)
    perch = start({"web": one})
    with RawClient(perch.port) as client:
        client.send("POST / HTTP/1.1\r\nHost: t\r\n"
                    "Content-Length: 100000000\r\n\r\n")
        _send_slowly(client, 3)
        answer = client.read_response()
        assert (answer.status, answer.body) == (401, b"no")


def test_refused_client_that_rests_is_not_waited_for(start, backends):
    """Five seconds, each time anew."""
    perch = start({"web": backends("one")}, limits={"body": "1B"})
    with RawClient(perch.port) as client:
        client.send("POST / HTTP/1.1\r\nHost: t\r\n"
                    "Content-Length: 1000000\r\n\r\n")
        assert client.read_response().status == 413
        time.sleep(3)
        client.send(b"x")
        before = time.monotonic()
        wait_for("the end", lambda: perch.admin.metrics().sum(
            "perch_client_connections") == 0)
        assert time.monotonic() - before > 4


def test_few_may_be_listened_to_at_once(start, backends):
    perch = start({"web": backends("one")}, limits={
        "body": "1B", "connections": 20})

    def refused():
        client = RawClient(perch.port)
        client.send("POST / HTTP/1.1\r\nHost: t\r\n"
                    "Content-Length: 1000000\r\n\r\n")
        return client

    def cut_short():
        return perch.admin.metrics().sum(
            "perch_client_connections_cut_short_total")

    two = [refused(), refused()]
    for client in two:
        assert client.read_response().status == 413
    assert cut_short() == 0
    with refused() as third:
        third.read_until_close()
        assert cut_short() == 1
    # The others are still heard, and one that has gone makes room.
    for client in two:
        client.send(b"x")
        assert not client.was_reset
        client.close()
    wait_for("room", lambda: perch.admin.metrics().sum(
        "perch_client_connections") == 0)
    with refused() as again:
        assert again.read_response().status == 413
        assert cut_short() == 1
