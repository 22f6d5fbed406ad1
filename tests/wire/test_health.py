"""Health checks: which endpoints get requests, and what is said of them."""

import queue
import threading

import pytest

from perchtest import (PATIENCE, RawClient, ScriptedBackend, free_port,
                       respond, wait_for)
from perchtest.browser import OVERRIDE

PATH = "/healthz"
# Often, and patient: only tests of slowness wait for a timeout.
CHECK = {"path": PATH, "interval": "20ms", "timeout": "10s",
         "rise": 1, "fall": 1}


def when_asked(check, otherwise=respond(b"page")):
    """A script: check for a health check, otherwise for anything else."""
    def script(connection):
        request = connection.read_request()
        chosen = check if request.target.startswith(PATH) else otherwise

        # It has been read.
        connection.read_request = lambda: request
        try:
            chosen(connection)
        finally:
            del connection.read_request
    return script


def status(code):
    return respond(b"", status="%d Said" % code)


class Doctor:
    """Says what the next check is told, one check at a time."""

    def __init__(self, backend):
        self._told = queue.Queue()
        self._asked = threading.Semaphore(0)
        backend.play(when_asked(self._answer))

    def _answer(self, connection):
        self._asked.release()
        status(self._told.get(timeout=PATIENCE))(connection)

    def wait_asked(self):
        assert self._asked.acquire(timeout=PATIENCE), "no check came"

    def tell(self, *codes):
        """Returns when all were heard: the check after them has come."""
        for code in codes:
            self._told.put(code)
            self.wait_asked()

    def dismiss(self, backend):
        """From now on it is well."""
        backend.play(when_asked(status(200)))
        self._told.put(200)


def service(*endpoints, check=None, **settings):
    return dict({"versions": {"v1": list(endpoints)},
                 "balance": {"policy": "round_robin"},
                 "health": CHECK if check is None else check}, **settings)


def health(perch, endpoint, version="v1"):
    for one in perch.admin.service("web")["versions"]:
        for found in one["endpoints"]:
            if (one["name"], found["name"]) == (
                    version, getattr(endpoint, "address", endpoint)):
                return found["health"]
    raise AssertionError("no endpoint %s" % endpoint)


def wait_health(perch, endpoint, state, version="v1"):
    wait_for("%s to be %s" % (endpoint, state),
             lambda: health(perch, endpoint, version) == state)


def ask(perch, n=10):
    """The answers' bodies."""
    with RawClient(perch.port) as client:
        answers = [client.request() for _ in range(n)]
    assert all(answer.status == 200 for answer in answers)
    return {answer.body for answer in answers}


def well(backends, *names):
    made = backends(*names)
    for one in made if len(names) > 1 else [made]:
        one.play(when_asked(status(200), respond(one.name.encode())))
    return made


# -- going and coming back ----------------------------------------------------


def test_endpoint_goes_down_and_comes_back(start, backends):
    a, b = well(backends, "a", "b")
    perch = start({"web": service(a, b)})
    wait_health(perch, a, "up")
    wait_health(perch, b, "up")
    assert ask(perch) == {b"a", b"b"}
    a.play(when_asked(status(503), respond(b"a")))
    wait_health(perch, a, "down")
    assert ask(perch) == {b"b"}
    metrics = perch.admin.metrics()
    assert metrics.sum("perch_endpoint_up", endpoint=a.address) == 0
    assert metrics.sum("perch_endpoint_up", endpoint=b.address) == 1
    line, = [line for line in perch.ctl("status", "web")[1].splitlines()
             if a.address in line]
    assert line.split()[1] == "down"
    perch.wait_log(a.address + " of web v1 is down: status 503")
    a.play(when_asked(status(200), respond(b"a")))
    wait_health(perch, a, "up")
    assert ask(perch) == {b"a", b"b"}
    perch.wait_log(a.address + " of web v1 is up again")
    assert perch.admin.metrics().sum(
        "perch_endpoint_up", endpoint=a.address) == 1


@pytest.mark.parametrize("policy", ["least_request", "maglev"])
def test_each_policy_passes_over_what_is_down(start, backends, policy):
    a, b, c = well(backends, "a", "b", "c")
    a.play(when_asked(status(503), respond(b"a")))
    perch = start({"web": service(
        a, b, c, balance={"policy": policy, "key": "path"})})
    wait_health(perch, a, "down")
    with RawClient(perch.port) as client:
        got = {client.request(target="/%d" % i).body for i in range(60)}
    assert got == {b"b", b"c"}


def test_rise_and_fall_are_counted_in_a_row(start, backends):
    backend = backends("a")
    doctor = Doctor(backend)
    perch = start({"web": service(
        backend, check=dict(CHECK, rise=2, fall=3))})
    doctor.wait_asked()
    assert health(perch, backend) == "unknown"
    for codes, state in [
            ((503, 503), "unknown"), ((503,), "down"),
            ((200,), "down"), ((503, 200), "down"), ((200,), "up"),
            ((503, 503), "up"), ((200, 503, 503), "up"), ((503,), "down")]:
        doctor.tell(*codes)
        assert (codes, health(perch, backend)) == (codes, state)
    doctor.dismiss(backend)


def test_one_good_check_is_enough_at_first(start, backends):
    a = well(backends, "a")
    perch = start({"web": service(a, check=dict(
        CHECK, rise=100, interval="1h"))})
    wait_health(perch, a, "up")


def test_if_all_are_down_one_is_asked_all_the_same(start, backends):
    a, b = backends("a", "b")
    for one in (a, b):
        one.play(when_asked(status(500), respond(one.name.encode())))
    perch = start({"web": service(a, b)})
    wait_health(perch, a, "down")
    wait_health(perch, b, "down")
    assert ask(perch) <= {b"a", b"b"}


def test_version_that_is_down_is_not_asked_for(start, backends):
    """As with one whose endpoints are left out: the override doesn't count."""
    a, b = well(backends, "a", "b")
    perch = start({"web": dict(service(), versions={"v1": a, "v2": b},
                               **OVERRIDE)})
    wait_health(perch, b, "up", "v2")
    with RawClient(perch.port) as client:
        def asked_for_v2():
            return client.request(fields={"X-Perch-Version": "v2"}).body

        assert asked_for_v2() == b"b"
        b.play(when_asked(status(503), respond(b"b")))
        wait_health(perch, b, "down", "v2")
        assert asked_for_v2() == b"a"


# -- what is a good answer ------------------------------------------------------


def test_request_of_a_check(start, backends):
    backend = backends("a")
    perch = start({"web": service(
        backend, check=dict(CHECK, path=PATH + "?full=1"))})
    backend.wait_heads(1)
    request = backend.heads[0]
    assert (request.method, request.target) == ("GET", PATH + "?full=1")
    assert request.one("Host") == backend.address
    assert request.one("Connection") == "close"
    wait_health(perch, backend, "up")


@pytest.mark.parametrize("hosts, host, asked", [
    (["*"], None, None), (["*.one.test"], None, None),
    (["*.one.test", "www.one.test", "two.test"], None, "www.one.test"),
    (["one.test"], "App.local:8080", "App.local:8080")])
def test_host_of_a_check(start, backends, hosts, host, asked):
    backend = backends("a")
    check = dict(CHECK, host=host) if host else CHECK
    perch = start({"web": service(
        backend, check=check, match={"hosts": hosts})})
    backend.wait_heads(1)
    assert backend.heads[0].one("Host") == (asked or backend.address)
    wait_health(perch, backend, "up")


def test_another_host_is_another_question(start, backends):
    a = backends("a")
    a.play(lambda c: c.send_response(
        status="200 OK" if c.read_request().one("Host") == "new.test"
        else "400 Bad Request"))
    perch = start({"web": service(a, match={"hosts": ["old.test"]})})
    wait_health(perch, a, "down")
    perch.change(services={"web": service(
        a, match={"hosts": ["new.test", "old.test"]})})
    perch.reload()
    wait_health(perch, a, "up")


@pytest.mark.parametrize("statuses,code,state", [
    ("200-399", 200, "up"), ("200-399", 399, "up"), ("200-399", 400, "down"),
    ("204", 204, "up"), ("204", 200, "down"),
    ([200, 429], 429, "up"), ([200, 429], 428, "down")])
def test_statuses(start, backends, statuses, code, state):
    a = backends("a")
    a.play(when_asked(status(code)))
    perch = start({"web": service(a, check=dict(CHECK, statuses=statuses))})
    wait_health(perch, a, state)


@pytest.mark.parametrize("behind", [b"", b"0\r\n\r\n"])
def test_204_in_chunks_is_well(start, backends, behind):
    a = backends("a")
    a.play(when_asked(send(b"HTTP/1.1 204 No Content\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\n" + behind)))
    perch = start({"web": service(a)})
    wait_health(perch, a, "up")


def send(data):
    def script(connection):
        connection.read_request()
        connection.send(data)
        connection.wait_closed()
    return script


def reset(connection):
    connection.read_request()
    connection.reset()


def close(connection):
    connection.read_request()
    connection.close()


@pytest.mark.parametrize("answer,why", [
    (send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "its answer isn't HTTP/1"),
    (send(b"HTTP/1.1 200 OK\r\nA: " + b"a" * 20000), "its answer isn't HTTP/1"),
    (close, "closed without an answer"),
    (reset, "Connection reset by peer"),
], ids=["garbage", "long", "close", "reset"])
def test_answers_that_are_none(start, backends, answer, why):
    a = backends("a")
    a.play(when_asked(answer))
    perch = start({"web": service(a)})
    wait_health(perch, a, "down")
    perch.wait_log(a.address + " of web v1 is down: " + why)


def test_answer_in_pieces_after_others(start, backends):
    """1xx answers don't count; nor does the body, however long."""
    def script(connection):
        connection.read_request()
        for piece in (b"HTTP/1.1 100 Continue\r", b"\n\r\nHTTP/1.1 10",
                      b"3 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 ",
                      b"OK\r\n\r", b"\nbegin"):
            connection.send(piece)
        connection.wait_closed()

    a = backends("a")
    a.play(when_asked(script))
    perch = start({"web": service(a, check=dict(CHECK, statuses=200))})
    wait_health(perch, a, "up")


def test_slow_answer_is_none(start, backends):
    a, b = well(backends, "a", "b")
    ended = threading.Event()

    def hang(connection):
        connection.read_request()
        connection.wait_closed()
        ended.set()

    a.play(when_asked(hang, respond(b"a")))
    perch = start({"web": service(a, b, check=dict(
        CHECK, timeout="300ms", fall=3))})
    wait_health(perch, a, "down")
    perch.wait_log(a.address + " of web v1 is down: no answer in time")
    assert ended.wait(PATIENCE)
    assert ask(perch) == {b"b"}
    a.play(when_asked(status(200), respond(b"a")))
    wait_health(perch, a, "up")


def test_refused_connection_is_none(start, backends):
    a = well(backends, "a")
    dead = "127.0.0.1:%d" % free_port()
    perch = start({"web": service(a, dead)})
    wait_health(perch, dead, "down")
    perch.wait_log(dead + " of web v1 is down: Connection refused")
    assert ask(perch) == {b"a"}
    assert perch.admin.metrics().sum(
        "perch_upstream_connects_total", endpoint=dead) == 0


def test_without_a_path_a_connection_will_do(start, backends):
    a, b = backends("a", "b")
    check = {"interval": "20ms", "rise": 1, "fall": 1, "timeout": "10s"}
    perch = start({"web": service(a, b, check=check)})
    wait_health(perch, a, "up")
    wait_health(perch, b, "up")
    a.stop()
    wait_health(perch, a, "down")
    assert ask(perch) == {b"b"}
    assert not a.heads
    with ScriptedBackend("again", port=a.port):
        wait_health(perch, a, "up")
        assert ask(perch) == {b"again", b"b"}


def test_names_are_checked_at_their_address(start, backends):
    a = well(backends, "a")
    name = "localhost:%d" % a.port
    perch = start({"web": service(name)})
    wait_health(perch, name, "up")
    assert a.heads[0].one("Host") == name


# -- reloads --------------------------------------------------------------------


def checks_of(backend):
    return sum(r.target.startswith(PATH) for r in list(backend.heads))


def wait_checks(backend, n):
    wait_for("%d checks" % n, lambda: checks_of(backend) >= n)


def test_reload_keeps_what_is_known(start, backends):
    """The loop isn't begun anew either: a check under way is not cut."""
    a, b = well(backends, "a", "b")
    asked, answered = threading.Event(), threading.Event()

    def slowly(connection):
        connection.read_request()
        asked.set()
        connection.wait(answered)
        connection.send_response(b"", "503 No")

    a.play(when_asked(status(503), respond(b"a")))
    perch = start({"web": service(a, b)})
    wait_health(perch, a, "down")
    a.play(when_asked(slowly, respond(b"a")))
    assert asked.wait(PATIENCE)
    before = checks_of(a)
    perch.change(timeouts={"idle": "50s"})
    perch.reload()
    assert health(perch, a) == "down"
    assert health(perch, b) == "up"
    assert ask(perch) == {b"b"}
    wait_checks(b, checks_of(b) + 10)
    assert checks_of(a) == before
    answered.set()
    a.play(when_asked(status(200), respond(b"a")))
    wait_health(perch, a, "up")


def test_reload_changes_the_question(start, backends):
    a = well(backends, "a")
    perch = start({"web": service(a, check=dict(CHECK, interval="1h"))})
    wait_health(perch, a, "up")
    a.play(when_asked(status(404)))
    perch.change({"web": service(a, check=dict(CHECK, path=PATH + "/v2"))})
    perch.reload()
    wait_health(perch, a, "down")
    assert all(r.target == PATH + "/v2" for r in list(a.heads))


def test_reload_ends_the_checks(start, backends):
    a, b, c = well(backends, "a", "b", "c")
    a.play(when_asked(status(503), respond(b"a")))
    perch = start({"web": service(a, b), "other": dict(
        service(c), match={"paths": "/other"})})
    wait_health(perch, a, "down")
    without = service(a, b)
    del without["health"]
    perch.change({"web": without})
    perch.reload()
    assert health(perch, a) == "unknown"
    assert not perch.admin.metrics().select(
        "perch_endpoint_up", endpoint=a.address)
    # Workers have it a moment later.
    wait_for("a to get requests", lambda: ask(perch) == {b"a", b"b"})
    # One may have been on its way.
    wait_checks(c, checks_of(c) + 3)
    before = checks_of(a), checks_of(b)
    wait_checks(c, checks_of(c) + 10)
    assert (checks_of(a), checks_of(b)) == before


def test_reload_adds_and_drops_endpoints(start, backends):
    a, b, c = well(backends, "a", "b", "c")
    a.play(when_asked(status(503), respond(b"a")))
    perch = start({"web": service(a, b)})
    wait_health(perch, a, "down")
    perch.change({"web": service(b, c)})
    perch.reload()
    wait_health(perch, c, "up")
    wait_checks(c, checks_of(c) + 3)
    before = checks_of(a)
    wait_checks(c, checks_of(c) + 10)
    assert checks_of(a) == before
    # What was known of it is too old.
    perch.change({"web": service(
        a, b, c, check=dict(CHECK, interval="1h"))})
    perch.reload()
    assert health(perch, a) != "up"
    wait_health(perch, a, "down")
    assert checks_of(a) > before


def test_many_reloads_while_checks_run(start, backends):
    """Sanitizers look on: probes under way when their config goes."""
    a, b = well(backends, "a", "b")
    perch = start({"web": service(a, b, check=dict(CHECK, interval="10ms"))})
    for i in range(20):
        perch.change({"web": service(
            *[[a, b], [a], [b]][i % 3],
            check=dict(CHECK, interval="10ms", path="%s/%d" % (PATH, i % 2)))})
        perch.reload()
        assert ask(perch, 3) <= {b"a", b"b"}
