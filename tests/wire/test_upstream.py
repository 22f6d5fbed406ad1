"""Aborts, retries, and endpoints that can't be reached."""

import contextlib
import signal
import threading
import time

import pytest

from perchtest import (
    PATIENCE, PeerClosed, RawClient, ScriptedBackend, Void, free_port, respond,
    wait_for)


# -- the client goes away ---------------------------------------------------

def _hang(c):
    c.read_request()
    c.wait_closed()


@pytest.mark.parametrize("how", ["reset"])
def test_client_abort_cancels_upstream(client, backend, how):
    backend.play(_hang)
    client.send_request()
    backend.wait_heads(1)
    getattr(client, how)()
    upstream = backend.heads[0].connection
    wait_for("the upstream connection to end", upstream.ended.is_set)


@pytest.mark.parametrize("how", ["reset", "close"])
def test_client_abort_in_a_large_answer(client, backend, how):
    """The backend must not be read to the end for nobody."""
    sent = []

    def stream(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
        block = b"x" * 65536
        while True:  # until PeerClosed
            c.send(block)
            sent.append(len(block))
    backend.play(stream)
    client.send_request()
    assert client.reader.read_response_head().status == 200
    getattr(client, how)()
    upstream = backend.heads[0].connection
    wait_for("the upstream connection to end",
             lambda: upstream.ended.is_set())
    assert sum(sent) < 1 << 30


def test_client_abort_in_a_request_body(client, backend):
    ended = threading.Event()

    def script(c):
        try:
            c.read_request()
        except PeerClosed:
            ended.set()
            raise
    backend.play(script)
    client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nab")
    backend.wait_heads(1)
    client.reset()
    assert ended.wait(20)


def test_client_abort_spares_others(shared, backend):
    go_on = threading.Event()

    def slow(c):
        request = c.read_request()
        if request.target == "/abort":
            c.wait_closed()
            return
        c.wait(go_on)
        c.send_response(b"slow")
    backend.play(slow)
    with RawClient(shared[0].port) as stays:
        stays.send_request("GET", "/stay")
        aborts = RawClient(shared[0].port)
        aborts.send_request("GET", "/abort")
        backend.wait_heads(2)
        aborts.reset()
        go_on.set()
        assert stays.read_response().body == b"slow"


# -- a reused connection that dies ------------------------------------------

def _prepared(start, backends):
    """A perch whose pool holds one connection, which answers its next
    request by closing."""
    backend = backends("one")

    def close_without_answer(c):
        c.read_request()
        c.close()
    perch = start({"web": backend})
    backend.play(respond(b"first"), close_without_answer,
                 respond(b"fresh"))
    client = RawClient(perch.port)
    assert client.request().body == b"first"
    return backend, client


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_safe_request_is_repeated_on_a_fresh_connection(
        start, backends, method):
    backend, client = _prepared(start, backends)
    with client:
        answer = client.request(method, "/again")
        assert (answer.status, answer.body) == (200, b"fresh")
    assert [r.target for r in backend.requests] == ["/", "/again", "/again"]
    assert len({r.connection for r in backend.requests}) == 2


def test_post_is_not_repeated(start, backends):
    backend, client = _prepared(start, backends)
    with client:
        assert client.request("POST", "/once", body=b"x").status == 502
        assert client.request("GET", "/next").body == b"fresh"
    assert [r.target for r in backend.requests] == ["/", "/once", "/next"]


def test_repeated_once_only(start, backends):
    backend = backends("one")

    def close_without_answer(c):
        c.read_request()
        c.close()
    perch = start({"web": backend})
    backend.play(respond(b"first"), close_without_answer)
    with RawClient(perch.port) as client:
        assert client.request().body == b"first"
        assert client.request("GET", "/bad").status == 502
    assert [r.target for r in backend.requests].count("/bad") == 2


def test_fresh_connection_that_closes_is_not_repeated(start, backends):
    """The endpoint itself is broken then, not a race on an idle one."""
    backend = backends("one")

    def close_without_answer(c):
        c.read_request()
        c.close()
    perch = start({"web": backend})
    backend.play(close_without_answer)
    with RawClient(perch.port) as client:
        assert client.request("GET", "/bad").status == 502
    assert len(backend.requests) == 1


def test_not_repeated_once_the_answer_has_begun(start, backends):
    backend = backends("one")

    def half_an_answer(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\nContent-")
        c.close()
    perch = start({"web": backend})
    backend.play(respond(b"first"), half_an_answer, respond(b"fresh"))
    with RawClient(perch.port) as client:
        assert client.request().body == b"first"
        assert client.request("GET", "/bad").status == 502
    assert len(backend.requests) == 2


def test_idle_close_is_noticed(start, backends):
    """A backend that closes an idle connection costs nobody a request, not
    even a POST."""
    backend = backends("one")
    perch = start({"web": backend})
    with RawClient(perch.port) as client:
        for i in range(5):
            assert client.request("POST", body=b"x").status == 200
            connection = backend.requests[-1].connection
            connection.half_close()
            wait_for("perch to close its side too", connection.ended.is_set)


def test_connection_that_was_kept_for_too_long_is_not_used(start, backends):
    """As the backend itself says: half a second before it would close."""
    backend = backends("one")
    backend.play(respond(b"one", fields=[("Keep-Alive", "timeout=2")]))
    perch = start({"web": backend})
    with RawClient(perch.port) as client:
        assert client.request().status == 200
        assert client.request().status == 200
        assert len(backend.connections) == 1
        time.sleep(1.6)  # what is tested
        assert client.request().status == 200
    assert len(backend.connections) == 2


@pytest.mark.parametrize("behind", [
    b"", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"],
    ids=["nothing", "more"])
def test_bytes_behind_an_answer_that_fills_the_buffer(
        client, backend, behind):
    """They wait in the socket, and are not the answer to who asks at once."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 32726\r\n\r\n"
    body = b"x" * 32726
    assert len(head + body) == 32 * 1024

    def script(c):
        c.read_request()
        c.send(head + body + behind)
        if behind:
            c.wait_closed()
    backend.play(script, respond(b"good"))
    client.send_request().send_request()
    assert client.read_response().body == body
    assert client.read_response().body == b"good"
    same = {r.connection for r in backend.requests}
    assert len(same) == (2 if behind else 1)


def test_bytes_behind_a_body_end_its_connection(start, backends):
    backend = backends("one")
    go_on = threading.Event()

    def script(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")
        c.wait(go_on)
        c.send(b"lfHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    perch = start({"web": backend})
    backend.play(script, respond(b"next"))
    with RawClient(perch.port) as client:
        client.send_request()
        assert client.reader.read_response_head().status == 200
        go_on.set()
        assert client.reader.read_exactly(4) == b"half"
        assert client.request().body == b"next"
    assert len({r.connection for r in backend.requests}) == 2


# -- bytes that nobody asked for --------------------------------------------

EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
ENDS_WITH_HEAD = [
    ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(EVIL)),
    ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
    ("GET", b"HTTP/1.1 304 Not Modified\r\n\r\n")]


def _evil_if(is_evil, head, late):
    """Answers is_evil(request) with the head, and EVIL so late; others well."""
    def script(c):
        request = c.read_request()
        if not is_evil(request):
            c.send_response(b"good", is_head=request.method == "HEAD")
            return
        c.send(head)
        time.sleep(late)
        c.send(EVIL)
        c.wait_closed()
    return script


@pytest.mark.parametrize("method, head", ENDS_WITH_HEAD)
@pytest.mark.parametrize("late", [0, 0.004, 0.02])
def test_late_body_of_an_answer_without_one(
        start, backends, method, head, late):
    """However soon another client comes, and though it is the first time."""
    backend = backends("one")
    backend.play(_evil_if(lambda r: r.target == "/evil", head, late))
    perch = start({"web": backend})
    with RawClient(perch.port) as one, RawClient(perch.port) as other:
        for _ in range(5):
            one.request(method, "/evil")
            # All of them before the bytes are there, and some behind.
            for _ in range(20):
                assert other.request().body == b"good"
    perch.wait_log("sends more than its answers have: bytes behind an answer "
                   "to HEAD")
    assert perch.stderr().count("sends more than") == 1


@pytest.mark.parametrize("limit", [1, 2])
def test_late_body_where_connections_are_few(start, backends, limit):
    backend = backends("one")
    method, head = ENDS_WITH_HEAD[0]
    backend.play(_evil_if(lambda r: r.target == "/evil", head, 0.01))
    perch = start({"web": backend}, limits={
        "endpoint_connections": limit, "pending": 1})
    with RawClient(perch.port) as one, RawClient(perch.port) as other:
        for _ in range(10):
            one.request(method, "/evil")
            assert other.request().body == b"good"


def test_late_bytes_of_many_at_once(start, backends):
    """More than may rest of an endpoint that nothing is known of yet."""
    backend = backends("one")
    method, head = ENDS_WITH_HEAD[0]
    backend.play(_evil_if(lambda r: r.target == "/evil", head, 0.02))
    perch = start({"web": backend})
    clients = [RawClient(perch.port) for _ in range(32)]
    try:
        for client in clients:
            client.send_request(method, "/evil")
        for client in clients:
            assert client.read_response(method).status == 200
            client.send_request()
        for client in clients:
            assert client.read_response().body == b"good"
    finally:
        for client in clients:
            client.close()


def test_late_bytes_behind_a_length_are_known_of_from_then_on(
        start, backends):
    """The first time they may come to whoever is next, as with any proxy; but
    once seen, never again."""
    backend = backends("one")
    late = [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 0]
    backend.play(_evil_if(lambda r: r.target == "/evil", *late))
    perch = start({"web": backend})
    with RawClient(perch.port) as one, RawClient(perch.port) as other:
        assert one.request(target="/evil").body == b"ok"
        perch.wait_log("sends more than its answers have: bytes behind the "
                       "end of a body")
        backend.play(_evil_if(lambda r: r.target == "/evil", late[0], 0.004))
        for _ in range(5):
            assert one.request(target="/evil").body == b"ok"
            for _ in range(20):
                assert other.request().body == b"good"


def test_garbage_where_an_answer_should_be_marks_its_endpoint(
        start, backends):
    """It may be what the answer before had too much, too late to be seen
    behind it."""
    backend = backends("one")
    backend.play(respond(b"first"), lambda c: (
        c.read_request(), c.send(b"too much\r\n\r\n"), c.wait_closed()))
    perch = start({"web": backend})
    with RawClient(perch.port) as client:
        assert client.request().body == b"first"
        assert client.request().status == 502
    perch.wait_log("sends more than its answers have: bytes behind the end")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_connections_of_an_endpoint_that_behaves(start, backends, method):
    """Those of GET are used at once; of those that rest there are a few."""
    backend = backends("one")
    backend.play(respond(b"hello"))
    perch = start({"web": backend})
    with RawClient(perch.port) as client:
        # Past the time in which it could give itself away.
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            assert client.request(method).status == 200
        before = len(backend.connections)
        for _ in range(200):
            assert client.request(method).status == 200
    assert len(backend.connections) - before <= (0 if method == "GET" else 8)
    assert "sends more" not in perch.stderr()


def test_connection_that_rests_is_used_afterwards(start, backends):
    backend = backends("one")
    perch = start({"web": backend})
    with RawClient(perch.port) as client:
        assert client.request("HEAD").status == 200
        assert perch.admin.metrics().sum(
            "perch_upstream_connections", state="idle") == 1
        time.sleep(0.1)  # what is tested
        assert client.request().status == 200
    assert len(backend.connections) == 1


def test_connection_that_rests_is_closed_by_a_drain(start, backends):
    backend = backends("one")
    perch = start({"web": backend}, timeouts={"shutdown": "10s"})
    with RawClient(perch.port) as client:
        assert client.request("HEAD").status == 200
        perch.stop(signal.SIGQUIT)
    assert backend.connections[0].ended.wait(PATIENCE)


def test_many_endpoints(start, backends):
    """More than a worker has room for at first, and than twice as many."""
    many = backends(*["e%d" % i for i in range(40)])
    perch = start({
        "few": {"match": {"paths": ["/few"]}, "versions": {"v1": many[:3]}},
        "last": {"match": {"paths": ["/last"]},
                 "versions": {"v0": many, "v1": many[-1]}, "stable": "v1"},
        "web": {"versions": {"v1": many},
                "balance": {"policy": "round_robin"}}})
    with RawClient(perch.port) as client:
        assert client.request(target="/few").status == 200
        assert client.request(target="/last").body == b"e39"
        found = {client.request().body for _ in range(40)}
    assert len(found) == 40


# -- endpoints that refuse --------------------------------------------------

def test_address_that_cannot_be_reached_is_502_at_once(start):
    """No packet is sent there: no TCP goes to a broadcast address."""
    perch = start({"web": "255.255.255.255:80"}, timeouts=IMPATIENT)
    with RawClient(perch.port) as client:
        assert client.request().status == 502
    perch.admin.wait_metric("perch_errors_total", 1, kind="connect")


def test_other_endpoint_that_has_no_address(start):
    """There is none to try another time with."""
    perch = start({"web": {"versions": {
        "v1": [_dead(), "nowhere.invalid:80"]}}}, timeouts=IMPATIENT)
    with RawClient(perch.port) as client:
        for _ in range(3):
            assert client.request().status in (502, 503)
    perch.admin.wait_metric("perch_retries_total", 0)


# So short that nobody waits for an endpoint that may be restarting.
IMPATIENT = {"connect": "200ms"}


def _dead():
    return "127.0.0.1:%d" % free_port()


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("policy", [
    "round_robin", "least_request", "maglev"])
def test_connect_failure_tries_another_endpoint(
        start, backends, method, policy):
    """Nothing was sent yet, so that a POST may go elsewhere too."""
    backend = backends("alive")
    perch = start({"web": {
        "versions": {"v1": [_dead(), backend]},
        "balance": {"policy": policy}}})
    for i in range(20):
        with RawClient(perch.port) as client:
            answer = client.request(method, body=b"body")
            assert (answer.status, answer.body) == (200, b"alive")
    assert all(r.body == b"body" for r in backend.requests)


def test_dead_endpoint_is_left_out_for_a_while(start, backends):
    backend = backends("alive")
    dead = _dead()
    perch = start({"web": {
        "versions": {"v1": [dead, backend]},
        "balance": {"policy": "round_robin"}}})
    with RawClient(perch.port) as client:
        for _ in range(50):
            assert client.request().status == 200
    metrics = perch.admin.metrics()
    assert metrics.sum("perch_endpoint_left_out", endpoint=dead) == 1
    assert 1 <= metrics.sum("perch_retries_total", service="web") <= 5


def test_failed_connects_are_counted_against_their_endpoint(start, backends):
    """Also where another endpoint answered, and the client saw nothing."""
    dead = _dead()
    perch = start({"web": {
        "versions": {"v1": [dead, backends("alive")]},
        "balance": {"policy": "round_robin"}}})
    with RawClient(perch.port) as client:
        for _ in range(10):
            assert client.request().status == 200
    wait_for("the failure to be counted", lambda: perch.admin.metrics().sum(
        "perch_errors_total", endpoint=dead, kind="connect") >= 1)


def test_endpoint_comes_back(start, backends):
    backend = backends("alive")
    port = free_port()
    perch = start({"web": {
        "versions": {"v1": ["127.0.0.1:%d" % port, backend]},
        "balance": {"policy": "round_robin"}}})
    with RawClient(perch.port) as client:
        for _ in range(4):
            assert client.request().body == b"alive"
        with ScriptedBackend("back", port=port):
            wait_for("the endpoint to be used again",
                     lambda: client.request().body == b"back", pause=0.1)


def test_all_endpoints_dead(start):
    perch = start({"web": {"versions": {"v1": [_dead(), _dead()]}}},
                  timeouts=IMPATIENT)
    with RawClient(perch.port) as client:
        for _ in range(5):
            assert client.request().status in (502, 503)


def test_only_endpoint_recovers_at_once_when_it_listens(start):
    """Where all are left out, one is tried all the same."""
    port = free_port()
    perch = start({"web": "127.0.0.1:%d" % port}, timeouts=IMPATIENT)
    with RawClient(perch.port) as client:
        assert client.request().status in (502, 503)
        with ScriptedBackend("back", port=port):
            wait_for("an answer", lambda: client.request().status == 200,
                     pause=0.1)


# -- an endpoint that restarts ----------------------------------------------

def _restart(port, seconds, name="back", **options):
    """Listens there, but for now."""
    time.sleep(seconds)  # what is tested
    return ScriptedBackend(name, port=port, **options)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_requests_wait_for_the_only_endpoint(start, method):
    """Many: they take no more than one try each 125 ms."""
    port = free_port()
    perch = start({"web": "127.0.0.1:%d" % port})
    clients = [RawClient(perch.port) for _ in range(20)]
    for client in clients:
        client.send_request(method, body=b"x" if method == "POST" else None)
    with _restart(port, 1) as backend:
        for client in clients:
            with client:
                assert client.read_response(method).body == b"back"
        assert len(backend.requests) == 20
    perch.admin.wait_metric("perch_retries_total", 20)
    metrics = perch.admin.metrics()
    assert metrics.sum("perch_errors_total", kind="connect") == 20
    # That wait is nobody's latency.
    assert 0 < metrics.sum("perch_request_duration_seconds_sum") < 5


def test_requests_that_wait_go_to_whichever_is_back(start):
    """Whose turn it is to try doesn't matter where one is up: else most of
    those who wait for the other would be too late."""
    port = free_port()
    perch = start({"web": {
        "versions": {"v1": [_dead(), "127.0.0.1:%d" % port]},
        "balance": {"policy": "round_robin"}}}, timeouts={"connect": "3s"})
    clients = [RawClient(perch.port) for _ in range(80)]
    for client in clients:
        client.send_request()
    with _restart(port, 1):
        for client in clients:
            with client:
                assert client.read_response().body == b"back"


def test_requests_wait_for_the_endpoint_that_was_killed(start):
    """With connections that were kept, too."""
    port = free_port()
    perch = start({"web": "127.0.0.1:%d" % port})
    with RawClient(perch.port) as client:
        with ScriptedBackend("old", port=port) as old:
            assert client.request().body == b"old"
        old.check()
        client.send_request()
        with _restart(port, 0.5):
            assert client.read_response().body == b"back"
        assert client.request().status in (200, 502)


def test_wait_for_an_endpoint_ends(start):
    perch = start({"web": _dead()}, timeouts={"connect": "600ms"})
    with RawClient(perch.port) as client:
        began = time.monotonic()
        assert client.request().status == 502
        assert 0.24 < time.monotonic() - began < 5
    metrics = perch.admin.metrics()
    assert metrics.sum("perch_errors_total", kind="connect") == 1


def test_body_that_comes_while_it_waits(start):
    port = free_port()
    perch = start({"web": "127.0.0.1:%d" % port})
    with RawClient(perch.port) as client:
        client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n")
        time.sleep(0.1)
        client.send("helloworld")
        with _restart(port, 0.3, script=respond(lambda r: r.body)):
            assert client.read_response().body == b"helloworld"


def test_no_more_wait_than_may(start):
    perch = start({"web": _dead()}, limits={"pending": 1},
                  timeouts={"connect": "20s"})
    with RawClient(perch.port) as first, RawClient(perch.port) as second:
        first.send_request()
        assert first.is_quiet(0.3)
        assert second.request().status == 502
        assert first.is_quiet(0.1)


def test_client_leaves_while_it_waits(start):
    port = free_port()
    perch = start({"web": "127.0.0.1:%d" % port},
                  timeouts={"connect": "20s"})
    with RawClient(perch.port) as client:
        client.send_request()
        assert client.is_quiet(0.1)
        client.reset()
    perch.admin.wait_metric("perch_errors_total", 1, kind="client_abort")
    with ScriptedBackend("back", port=port) as backend:
        with RawClient(perch.port) as client:
            assert client.request(target="/mine").body == b"back"
        assert [r.target for r in backend.requests] == ["/mine"]


def test_reload_and_drain_while_it_waits(start):
    port = free_port()
    perch = start({"web": "127.0.0.1:%d" % port},
                  timeouts={"connect": "20s", "shutdown": "20s"})
    with RawClient(perch.port) as client:
        client.send_request()
        assert client.is_quiet(0.1)
        perch.reload()
        perch.send_signal(signal.SIGQUIT)
        assert client.is_quiet(0.3)
        with ScriptedBackend("back", port=port):
            assert client.read_response().body == b"back"
            assert perch.wait() == 0


def test_stop_while_it_waits(start):
    perch = start({"web": _dead()}, timeouts={"connect": "20s"})
    with RawClient(perch.port) as client:
        client.send_request()
        assert client.is_quiet(0.1)
        perch.stop()


def test_nobody_waits_where_checks_say_down(start):
    perch = start({"web": {"versions": {"v1": _dead()}, "health": {
        "interval": "20ms", "fall": 1}}}, timeouts={"connect": "20s"})
    perch.wait_log("is down")
    with RawClient(perch.port) as client:
        assert client.request().status == 502


def test_another_endpoint_is_back_first(start):
    """Whoever waits isn't bound to the one that it asked."""
    ports = [free_port(), free_port()]
    perch = start({"web": {"versions": {
        "v1": ["127.0.0.1:%d" % port for port in ports]}}},
        timeouts={"connect": "20s"})
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(RawClient(perch.port))
                   for _ in range(4)]
        for client in clients:
            client.send_request()
        with _restart(ports[1], 0.4):
            for client in clients:
                assert client.read_response().body == b"back"


def test_who_waits_for_a_candidate_goes_to_stable_at_a_rollback(
        start, backends):
    v1 = backends("v1")
    perch = start({"web": {"versions": {"v1": v1, "v2": _dead()},
                           "stable": "v1"}}, timeouts={"connect": "20s"})
    perch.admin.release("web", "v2", 100)
    with RawClient(perch.port) as client:
        client.send_request("POST", body=b"x")
        assert client.is_quiet(0.3)
        perch.admin.rollback("web")
        assert client.read_response().body == b"v1"


def test_connect_timeout_is_504(start):
    with Void() as void:
        perch = start({"web": void}, timeouts={"connect": "200ms"})
        with RawClient(perch.port) as client:
            assert client.request().status == 504


@pytest.mark.parametrize("first", ["", "hello"])
def test_retry_on_a_kept_connection_gets_the_rest_of_the_body(
        start, backends, first):
    alive = backends("alive")
    with Void() as void:
        perch = start({"web": {"versions": {"v1": [alive, void]},
                               "balance": {"policy": "round_robin"}}},
                      timeouts={"connect": "200ms"})
        alive.play(respond(lambda r: r.body or b"first"))
        with RawClient(perch.port) as client:
            assert client.request().body == b"first"
            client.send("POST / HTTP/1.1\r\nHost: t\r\n"
                        "Content-Length: 10\r\n\r\n" + first)
            assert client.is_quiet(0.05)
            client.send("helloworld"[len(first):])
            assert client.read_response().body == b"helloworld"
        assert len(alive.connections) == 1
        perch.admin.wait_metric("perch_retries_total", 1, service="web")


def test_endpoint_by_name(start, backends):
    backend = backends("named")
    perch = start({"web": "localhost:%d" % backend.port})
    with RawClient(perch.port) as client:
        assert client.request().body == b"named"


def test_unused_upstream_connection_is_closed(start, backends):
    backend = backends("one")
    perch = start({"web": backend}, timeouts={"upstream_idle": "200ms"})
    with RawClient(perch.port) as client:
        client.request()
        connection = backend.requests[0].connection
        wait_for("the idle connection to be closed",
                 lambda: connection.reader.is_ended)
        assert client.request().status == 200


def test_two_workers_serve(start, backends):
    backend = backends("one")
    perch = start({"web": backend}, workers=2)
    for _ in range(40):
        with RawClient(perch.port) as client:
            assert client.request().body == b"one"


def test_many_endpoints_keep_their_connections(start, backends):
    """More than stand in one block of pools; asked in an order of their
    own."""
    names = ["s%d" % i for i in range(150)]
    backend = backends("web")
    perch = start({name: {"match": {"hosts": [name + ".test"]},
                          "versions": {"v1": backend}} for name in names})
    with RawClient(perch.port) as client:
        for i in range(2 * len(names)):
            host = names[i * 7 % len(names)] + ".test"
            assert client.request(host=host).body == b"web"
    perch.admin.wait_metric("perch_requests_total", 2 * len(names))
    metrics = perch.admin.metrics()
    for name in names:
        labels = {"service": name, "version": "v1"}
        assert metrics.sum("perch_requests_total", **labels) == 2
        assert metrics.sum("perch_upstream_connects_total", **labels) == 1
    assert metrics.sum("perch_upstream_connections", state="idle") == \
        len(names)
