"""Shield: what the candidate fails is asked once of the stable version."""

import json
import socket
import threading
import time

import pytest

from perchtest import (
    LEAST_SHARE, PATIENCE, RawClient, Void, free_port, respond, wait_for)
from perchtest import browser
from perchtest.browser import DRAWN, NAVIGATE, OF_V1, OVERRIDE, Browser

FETCH = dict(browser.FETCH, **DRAWN)
SCRIPT = dict(browser.SCRIPT, **DRAWN)
from perchtest.network import InNetwork, NotPermitted


def _fails(status, body=b"v2 fails", fields=()):
    return respond(body, status, fields)


def _reset(c):
    c.read_request()
    c.reset()


def _close(c):
    c.read_request()
    c.close()


def _half_a_head(c):
    c.read_request()
    c.send(b"HTTP/1.1 200 OK\r\nContent-")
    c.close()


def _garbage(c):
    c.read_request()
    c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
           b"Content-Length: 2\r\n\r\nx")


def _bad_chunk(c):
    c.read_request()
    c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")


def _switches(c):
    """To a protocol that nobody asked for."""
    c.read_request()
    c.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
           b"Upgrade: websocket\r\n\r\n")


def _hang(c):
    c.read_request()
    c.wait_closed()


def _slow(seconds, body):
    def script(c):
        c.read_request()
        time.sleep(seconds)  # what is tested
        c.send_response(body)
    return script


# For those who hang; those who answer do, however busy the machine is.
PATIENT = {"response": "1s"}


class Site:
    def __init__(self, start, backends, service=None, candidate=None,
                 **settings):
        self.v1, self.v2 = backends("v1", "v2")
        # However much the candidate harms, its release is not to end.
        self.perch = start({"web": dict({
            "versions": {"v1": self.v1, "v2": candidate or self.v2},
            "stable": "v1", "plan": "keep", **OVERRIDE}, **(service or {}))},
            plans={"keep": {"on_harm": "freeze"}}, **settings)
        self.client = RawClient(self.perch.port)

    def release(self, share=100):
        self.perch.admin.release("web", "v2", share)

    def ask(self, method="GET", target="/a", fields=FETCH, body=None):
        return self.client.request(method, target, "test", dict(fields), body)

    def shields(self, version="v2"):
        """(asked of stable, answered well): by the metrics and by the API."""
        metrics = self.perch.admin.metrics()
        found = tuple(int(metrics.sum(name, version=version)) for name in (
            "perch_shields_total", "perch_shielded_total"))
        shown = self.version(version)
        assert (shown["shields"], shown["shielded"]) == found
        return found

    def version(self, name):
        return {version["name"]: version for version in
                self.perch.admin.service("web")["versions"]}[name]

    def wait_errors(self, **counts):
        """That these, and no others, are the candidate's in the end."""
        wait_for("the errors %r" % counts, lambda: counts == {
            kind: n for kind, n in self.version("v2")["errors"].items() if n})

    def wait_requests(self, **counts):
        wait_for("the requests %r" % counts, lambda: all(
            self.version(name)["requests"] == n
            for name, n in counts.items()))

    def wait_done(self):
        wait_for("nothing to be in flight", lambda: all(
            version["in_flight"] == 0 for version in
            self.perch.admin.service("web")["versions"]))


@pytest.fixture
def site(start, backends):
    """A site whose clients are all the candidate's: site(service, ...)."""
    made = []

    def make(service=None, share=100, **settings):
        made.append(Site(start, backends, service, **settings))
        if share is not None:
            made[-1].release(share)
        return made[-1]
    yield make
    for one in made:
        one.client.close()


def _is_shielded(answer, body=b"v1"):
    assert (answer.status, answer.body) == (200, body)
    assert answer.one("X-Perch-Shielded") == "v1"
    return True


def _is_not_shielded(answer, status):
    assert answer.status == status
    assert not answer.has("X-Perch-Shielded")
    return True


# -- what is a failure --------------------------------------------------------

@pytest.mark.parametrize("script", [
    _reset, _close, _half_a_head, _garbage, _bad_chunk, _switches,
    _fails("500 Internal Server Error"), _fails("502 Bad Gateway"),
    _fails("503 Service Unavailable"), _fails("504 Gateway Timeout"),
], ids=["reset", "close", "half_a_head", "garbage", "bad_chunk", "switches",
        "500", "502", "503", "504"])
def test_failure_is_answered_by_stable(site, script):
    web = site()
    web.v2.play(script)
    assert _is_shielded(web.ask())
    for version in (web.v2, web.v1):
        assert version.next_request().one("X-Perch-Version") == \
            "web=%s;cell=12345" % version.name
    assert web.shields() == (1, 1)
    assert web.shields("v1") == (0, 0)


@pytest.mark.parametrize("status", [
    "200 OK", "304 Not Modified", "400 Bad Request", "403 Forbidden",
    "404 Not Found", "429 Too Many Requests", "501 Not Implemented",
    "505 HTTP Version Not Supported"])
def test_answer_that_is_no_failure(site, status):
    web = site()
    web.v2.play(_fails(status))
    # A navigation: the 404 isn't rescued either.
    assert _is_not_shielded(web.ask(fields=NAVIGATE), int(status[:3]))
    assert web.shields() == (0, 0)


def test_connect_failure(site):
    web = site(candidate="127.0.0.1:%d" % free_port())
    for _ in range(5):
        assert _is_shielded(web.ask())
    assert web.shields() == (5, 5)
    web.wait_errors(connect=5)


def test_connect_timeout(site):
    with Void() as void:
        web = site(candidate=void, timeouts={"connect": "100ms"})
        assert _is_shielded(web.ask())
        web.wait_errors(connect_timeout=1)


def test_candidate_without_endpoint_gets_nobody(site):
    """Its name can't be resolved: the release ends before it begins."""
    web = site(candidate="nowhere.invalid:80", share=None)
    status, answer = web.perch.admin.word("web", "release", version="v2")
    assert status == 409
    assert answer["error"] == "rolled back: no endpoint of v2 is healthy"
    assert _is_not_shielded(web.ask(), 200)


def test_candidate_that_hangs(site):
    web = site(timeouts=PATIENT)
    web.v2.play(_hang)
    assert _is_shielded(web.ask())
    web.wait_errors(response_timeout=1)


def test_candidate_that_is_full(site):
    """Its queue is: the first request has the only connection."""
    web = site({"limits": {"endpoint_connections": 1, "pending": 0}})
    go_on = threading.Event()
    web.v2.play(respond(b"slow", after=go_on))
    with RawClient(web.perch.port) as first:
        first.send_request()
        web.v2.wait_heads(1)
        assert _is_shielded(web.ask())
        go_on.set()
        assert first.read_response().body == b"slow"
    web.wait_errors(overload=1)


def test_candidate_whose_queue_is_too_slow(site):
    web = site({"limits": {"endpoint_connections": 1}},
               timeouts={"queue": "100ms"})
    go_on = threading.Event()
    web.v2.play(respond(b"slow", after=go_on))
    with RawClient(web.perch.port) as first:
        first.send_request()
        web.v2.wait_heads(1)
        assert _is_shielded(web.ask())
        go_on.set()
        assert first.read_response().body == b"slow"


@pytest.mark.parametrize("method,status,is_shielded", [
    ("GET", "500 E", True), ("HEAD", "500 E", True),
    ("OPTIONS", "500 E", False), ("TRACE", "500 E", False),
    ("HEAD", "503 E", True), ("OPTIONS", "503 E", True),
    ("TRACE", "503 E", True),
    ("POST", "503 E", False), ("PUT", "503 E", False),
    ("DELETE", "503 E", False), ("PATCH", "503 E", False),
    ("BREW", "503 E", False)])
def test_methods_by_default(site, method, status, is_shielded):
    web = site()
    web.v2.play(_fails(status))
    answer = web.ask(method)
    if is_shielded:
        assert _is_shielded(answer, b"" if method == "HEAD" else b"v1")
    else:
        assert _is_not_shielded(answer, int(status[:3]))
    assert web.shields() == ((1, 1) if is_shielded else (0, 0))
    assert web.ask(target="/next").status in (200, 500, 503)


@pytest.mark.parametrize("script,status", [
    (_reset, 502), (_fails("503 E"), 503)], ids=["reset", "503"])
def test_post_sees_the_failure(site, script, status):
    web = site()
    web.v2.play(script)
    assert _is_not_shielded(web.ask("POST", body=b"x"), status)
    assert not web.v1.heads


@pytest.mark.parametrize("script", [_reset, _fails("503 E")],
                         ids=["reset", "503"])
def test_put_and_delete_where_the_config_says_so(site, script):
    web = site({"shield": {"methods": ["PUT", "DELETE"]}})
    web.v2.play(script)
    web.v1.play(respond(lambda r: r.body or b"v1"))
    assert _is_shielded(web.ask("PUT", body=b"what is put"), b"what is put")
    assert _is_shielded(web.ask("DELETE"))
    # The list is all that there is.
    assert web.ask("GET").status in (502, 503)
    assert web.shields() == (2, 2)


def test_500_may_have_written_half(site):
    web = site({"shield": {"methods": ["GET", "PUT"]}})
    web.v2.play(_fails("500 E"))
    assert _is_not_shielded(web.ask("PUT", body=b"x"), 500)
    assert _is_shielded(web.ask("GET"))


def test_no_methods(site):
    web = site({"shield": {"methods": []}})
    web.v2.play(_fails("503 E"))
    assert _is_not_shielded(web.ask(), 503)


# -- what can be sent twice ---------------------------------------------------

def test_chunked_body_with_its_trailers(site):
    web = site({"shield": {"methods": ["PUT"]}})
    web.v2.play(_reset)
    web.client.send("PUT / HTTP/1.1\r\nHost: t\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n"
                    "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")
    assert _is_shielded(web.client.read_response())
    request = web.v1.next_request()
    assert request.body == b"hello"
    assert request.trailers == [("X-Sum", "1")]


def test_body_larger_than_the_first_buffer(site):
    web = site({"shield": {"methods": ["PUT"]}})
    web.v2.play(_fails("503 E"))
    assert _is_not_shielded(web.ask("PUT", body=b"x" * 200000), 503)
    assert not web.v1.heads


def test_body_that_comes_later(site):
    web = site({"shield": {"methods": ["PUT"]}})
    web.v2.play(_fails("503 E"))
    web.client.send("PUT / HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nab")
    web.v2.wait_heads(1)
    web.client.send("cd")
    assert _is_not_shielded(web.client.read_response(), 503)
    assert not web.v1.heads


def _early_answer(network):
    """The candidate answers before it has read all, where the kernel keeps
    little of what waits to be sent."""
    with open("/proc/sys/net/ipv4/tcp_wmem", "w") as file:
        file.write("4096 4096 4096")
    v1, v2 = network.backend("v1"), network.backend("v2", receive_buffer=4096)
    perch = network.start({"web": {
        "versions": {"v1": v1, "v2": v2}, "stable": "v1",
        "shield": {"methods": ["PUT"]}}})
    perch.admin.release("web", "v2", 100)
    is_over = threading.Event()

    def early(c):
        c.read_head()
        c.send_response(b"v2 fails", "503 E")
        c.wait(is_over)
        c.close()
    v2.play(early)
    with RawClient(perch.port) as client:
        # All in one segment, and so all at hand.
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        client.send("PUT / HTTP/1.1\r\nHost: t\r\n"
                    "Content-Length: 30000\r\n\r\n")
        client.send(b"x" * 30000)
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        answer = client.read_response()
        is_over.set()
    assert _is_not_shielded(answer, 503)
    assert answer.body == b"v2 fails"


def test_request_that_is_still_being_sent():
    """What waits for the candidate's socket can't wait with a held answer."""
    try:
        InNetwork(_early_answer).result()
    except NotPermitted as error:
        pytest.skip("may not make network namespaces: %s" % error)


def test_upgrade_is_left_alone(site):
    web = site()
    web.v2.play(_fails("503 E"))
    answer = web.ask(fields={"Connection": "upgrade", "Upgrade": "websocket"})
    assert _is_not_shielded(answer, 503)


def test_answer_that_has_begun_is_cut(site):
    web = site()

    def half(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        c.reset()
    web.v2.play(half)
    web.client.send_request()
    web.client.expect_truncated()
    assert not web.v1.heads
    assert web.shields() == (0, 0)


def test_interim_answers_are_no_answer(site):
    web = site()

    def hints(c):
        c.read_request()
        c.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        c.close()
    web.v2.play(hints)
    answer = web.ask()
    assert _is_shielded(answer)
    assert [i.status for i in answer.informational] == [103]


def test_conditions_are_the_candidate_s(site):
    """A 304 of stable's would confirm the candidate's copy."""
    web = site()
    web.v2.play(_fails("503 E"))
    assert _is_shielded(web.ask(fields={
        "If-None-Match": '"a"', "If-Modified-Since": "now",
        "Range": "bytes=0-1"}))
    request = web.v1.next_request()
    for name in ("If-None-Match", "If-Modified-Since", "Range"):
        assert not request.has(name)


def test_conditional_write_stays_one(site):
    web = site({"shield": {"methods": ["PUT"]}})
    web.v2.play(_fails("503 E"))
    assert _is_shielded(web.ask("PUT", fields={"If-Match": '"a"'}, body=b"x"))
    assert web.v1.next_request().one("If-Match") == '"a"'


# -- whose failure ------------------------------------------------------------

def test_pinned_client(site):
    web = site()
    browser = Browser(web.client)
    assert browser.navigate().body == b"v2"
    web.perch.admin.share("web", LEAST_SHARE)
    web.v2.play(_fails("503 E"))
    assert _is_shielded(browser.asset("/app.js"))
    assert browser.pin == "v2"


def test_parts_of_a_shielded_page_are_stables(site):
    """Until the next page, which is the candidate's again."""
    web = site()
    browser = Browser(web.client)
    for _ in range(2):
        web.v2.play(_fails("500 E"), respond(b"v2"))
        assert _is_shielded(browser.navigate())
        assert browser.pin == "v1"
        seed = browser.seed
        assert browser.asset("/app.js").body == b"v1"
        assert browser.navigate().body == b"v2"
        assert (browser.pin, browser.seed) == ("v2", seed)
        assert browser.asset("/app.js").body == b"v2"


def test_client_of_a_session_stays_where_it_was(site):
    web = site({"sticky": {"pin": "session"}})
    browser = Browser(web.client)
    assert browser.navigate().body == b"v2"
    web.v2.play(_fails("500 E"), respond(b"v2"))
    answer = browser.navigate()
    assert _is_shielded(answer)
    assert not answer.has("Set-Cookie")
    assert browser.navigate().body == b"v2"


def test_page_is_private_while_a_release_runs(site):
    web = site()
    web.v2.play(_fails("500 E"))
    web.v1.play(respond(b"v1", fields=[("Cache-Control", "public")]))
    answer = web.ask(fields=NAVIGATE)
    assert _is_shielded(answer)
    assert answer.one("Cache-Control") == "private"
    answer = web.ask()
    assert _is_shielded(answer)
    assert answer.one("Cache-Control") == "public"


def test_override_sees_the_failure(site):
    web = site()
    for script, status in ((_fails("503 E"), 503), (_reset, 502)):
        web.v2.play(script)
        answer = web.ask(fields={"X-Perch-Version": "v2"})
        assert _is_not_shielded(answer, status)
    assert web.shields() == (0, 0)


def test_stable_is_not_shielded(site):
    web = site(share=LEAST_SHARE)
    web.v1.play(_fails("503 E"))
    assert _is_not_shielded(web.ask(fields=dict(FETCH, **OF_V1)), 503)
    assert not web.v2.heads


def test_no_release_runs(site):
    web = site(share=None)
    web.v1.play(_fails("503 E"))
    assert _is_not_shielded(web.ask(), 503)
    assert not web.v2.heads


def test_promoted_is_not_shielded(site):
    web = site()
    web.perch.admin.promote("web")
    web.v2.play(_fails("503 E"))
    assert _is_not_shielded(web.ask(), 503)
    assert not web.v1.heads


@pytest.mark.parametrize("end", ["rollback", "promote"])
@pytest.mark.parametrize("how", ["503", "reset"])
def test_release_that_ends_meanwhile(site, end, how):
    """The request went to the candidate of a running release."""
    web = site()
    go_on = threading.Event()

    def slow(c):
        c.read_request()
        c.wait(go_on)
        if how == "reset":
            c.reset()
        else:
            c.send_response(b"v2 fails", "503 E")
    web.v2.play(slow)
    web.client.send_request()
    web.v2.wait_heads(1)
    getattr(web.perch.admin, end)("web")
    go_on.set()
    assert _is_shielded(web.client.read_response())


# -- stable fails too ---------------------------------------------------------

@pytest.mark.parametrize("second", [
    _fails("503 E", b"v1 fails"), _fails("500 E", b"v1" * 40000), _reset,
    _garbage, _switches], ids=["503", "500", "reset", "garbage", "switches"])
@pytest.mark.parametrize("body", [b"v2 fails", b"v2 fails" * 20000],
                         ids=["short", "long"])
def test_candidate_s_answer_is_sent_if_stable_fails(site, body, second):
    web = site()
    web.v1.play(second)
    web.v2.play(_fails("502 E", body, [("X-From", "v2")]))
    for _ in range(2):
        answer = web.ask()
        assert _is_not_shielded(answer, 502)
        assert answer.body == body
        assert answer.one("X-From") == "v2"
    assert web.shields() == (2, 0)


@pytest.mark.parametrize("second", [_fails("503 E"), _reset],
                         ids=["503", "reset"])
@pytest.mark.parametrize("first,status,error", [
    (_reset, 502, "reset"), (_garbage, 502, "bad_response"),
    (_hang, 504, "response_timeout")], ids=["reset", "garbage", "hang"])
def test_error_page_is_the_candidate_s_if_stable_fails(
        site, first, status, error, second):
    web = site(timeouts=PATIENT)
    web.v2.play(first)
    web.v1.play(second)
    answer = web.ask()
    assert _is_not_shielded(answer, status)
    web.wait_requests(v2=1, v1=0)
    web.wait_errors(**{error: 1})
    assert web.shields() == (1, 0)
    assert web.version("v2")["responses"]["5xx"] == 1


@pytest.mark.parametrize("status,fields", [
    ("503 E", FETCH), ("404 Not Found", SCRIPT)], ids=["shield", "rescue"])
def test_held_answer_that_turns_out_to_be_broken(site, status, fields):
    """It was all there was left to say."""
    web = site()
    web.v1.play(_fails(status))
    web.v2.play(lambda c: (c.read_request(), c.send(
        b"HTTP/1.1 %s\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
        % status.encode())))
    assert _is_not_shielded(web.ask(fields=fields), 502)
    web.wait_errors(bad_response=1)


def test_stable_s_turn_is_awaited(site):
    """Who waits for stable already has no candidate to leave."""
    web = site({"limits": {"endpoint_connections": 1}})
    go_on = threading.Event()
    mark = "X-Perch-Shielded"
    web.v2.play(_fails("503 E"))
    assert web.ask(fields=FETCH).one(mark) == "v1"
    web.v1.play(respond(b"slow", after=go_on), respond(b"v1"))
    with RawClient(web.perch.port) as first:
        first.send_request(fields={"X-Perch-Version": "v1"})
        wait_for("the first", lambda: len(web.v1.heads) == 1)
        web.client.send_request("GET", "/a", "test", FETCH)
        wait_for("it to wait", lambda: sum(
            web.version(name)["in_flight"] for name in ("v1", "v2")) == 2)
        web.perch.admin.rollback("web")
        go_on.set()
        assert first.read_response().body == b"slow"
        assert web.client.read_response().one(mark) == "v1"


def test_candidate_that_a_reload_takes_all_endpoints_from(site):
    """Nobody sees that, until the release is rolled back for it. Where stable
    fails as well it is the candidate's failure, of no endpoint."""
    web = site()
    web.v1.play(respond(b"v1"), _fails("503 E", b"v1 fails"))
    web.perch.config["services"]["web"]["versions"]["v2"] = {
        "endpoints": ["nowhere.invalid:80"]}
    web.perch.write_config()
    web.perch.reload()
    answers = []
    while web.perch.admin.service("web")["release"]["running"]:
        answers += [web.ask() for _ in range(4)]
    for answer in answers:
        assert answer.status in (200, 503)
        assert answer.body != b"v2"


def test_stable_that_is_gone_is_not_asked_for_long(site):
    web = site()
    web.v1.stop_listening()
    web.v1.stop()
    web.v2.play(_fails("503 E"))
    for _ in range(5):
        assert _is_not_shielded(web.ask(), 503)
    asked, well = web.shields()
    # Its endpoint is left out from the first refusal on.
    assert 1 <= asked <= 2 and well == 0
    assert len(web.v2.connections) == 1


def test_stable_answer_that_is_none_of_the_failures(site):
    web = site()
    web.v2.play(_fails("503 E"))
    web.v1.play(respond(b"not mine", "404 Not Found"))
    answer = web.ask(fields=NAVIGATE)
    assert (answer.status, answer.body) == (404, b"not mine")
    assert answer.one("X-Perch-Shielded") == "v1"


def test_stable_answer_that_breaks_is_cut(site):
    web = site()

    def half(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        c.reset()
    web.v2.play(_fails("503 E"))
    web.v1.play(half)
    web.client.send_request()
    web.client.expect_truncated()


# -- with retry and rescue ----------------------------------------------------

def test_another_endpoint_of_the_candidate_comes_first(start, backends):
    v1, v2 = backends("v1", "v2")
    perch = start({"web": {
        "versions": {"v1": v1,
                     "v2": ["127.0.0.1:%d" % free_port(), v2]},
        "stable": "v1", "balance": {"policy": "round_robin"}}})
    perch.admin.release("web", "v2", 100)
    with RawClient(perch.port) as client:
        for _ in range(10):
            answer = client.request()
            assert answer.body == b"v2"
    assert not v1.heads


def test_all_endpoints_of_the_candidate_refuse(start, backends):
    v1 = backends("v1")
    perch = start({"web": {
        "versions": {"v1": v1, "v2": ["127.0.0.1:%d" % free_port(),
                                      "127.0.0.1:%d" % free_port()]},
        "stable": "v1"}})
    perch.admin.release("web", "v2", 100)
    with RawClient(perch.port) as client:
        for _ in range(10):
            assert _is_shielded(client.request())


def test_stale_connection_is_tried_anew_first(site):
    web = site()
    web.v2.play(respond(b"first"), _close, respond(b"fresh"))
    assert web.ask().body == b"first"
    answer = web.ask()
    assert answer.body == b"fresh"
    assert not answer.has("X-Perch-Shielded")
    assert not web.v1.heads


def test_each_version_has_its_own_retry(site):
    """The candidate fails twice on its way, then stable's kept connection
    turns out to be stale."""
    web = site()
    web.v1.play(respond(b"first"), _close, respond(b"v1"))
    web.v2.play(respond(b"first"), _close)
    assert web.ask(fields={"X-Perch-Version": "v1"}).body == b"first"
    assert web.ask().body == b"first"
    assert _is_shielded(web.ask())
    assert web.shields() == (1, 1)


def test_shielded_answer_is_not_rescued(site):
    web = site()
    web.v2.play(_fails("503 E"))
    web.v1.play(respond(b"nothing here", "404 Not Found"))
    answer = web.ask(fields=SCRIPT)
    assert (answer.status, answer.body) == (404, b"nothing here")
    assert answer.one("X-Perch-Shielded") == "v1"
    assert not answer.has("X-Perch-Rescued")
    # No cache is to keep it for when the candidate is well.
    assert answer.one("Cache-Control") == "no-store"
    assert len(web.v2.heads) == 1


def test_rescue_that_fails_is_not_shielded(site):
    """The candidate has answered: it lacks it."""
    web = site()
    web.v2.play(_fails("404 Not Found", b"v2 lacks it"))
    web.v1.play(_fails("503 E"))
    answer = web.ask(fields=SCRIPT)
    assert (answer.status, answer.body) == (404, b"v2 lacks it")
    assert web.shields() == (0, 0)


def test_rescue_asked_of_the_candidate_is_no_failure_of_it(site):
    web = site(share=LEAST_SHARE)
    web.v1.play(_fails("404 Not Found", b"v1 lacks it"))
    web.v2.play(_fails("503 E"))
    answer = web.ask(fields=dict(SCRIPT, **OF_V1))
    assert (answer.status, answer.body) == (404, b"v1 lacks it")
    assert web.shields() == (0, 0)


def test_remembered_helper_that_fails_leads_to_the_candidate_and_back(site):
    """The candidate lacked it once, so that stable is asked at once; that
    fails, then the candidate, then nobody is left but stable again."""
    web = site()
    web.v2.play(_fails("404 Not Found"))
    web.v1.play(respond(b"found"))
    assert web.ask(fields=SCRIPT).one("X-Perch-Rescued") == "v1"
    web.v1.play(_reset, _reset, respond(b"back"))
    web.v2.play(_reset)
    answer = web.ask(fields=SCRIPT)
    assert _is_shielded(answer, b"back")
    assert not answer.has("X-Perch-Rescued")
    web.wait_requests(v2=2, v1=0)


def test_remembered_helper_s_answer_is_no_failure_of_the_candidate(site):
    """The candidate is asked then, and has the last word."""
    web = site()
    web.v2.play(_fails("404 Not Found"))
    assert web.ask(fields=SCRIPT).one("X-Perch-Rescued") == "v1"
    web.v1.play(_fails("503 E"))
    assert _is_not_shielded(web.ask(fields=SCRIPT), 404)
    assert web.shields() == (0, 0)


# -- the budget ---------------------------------------------------------------

def test_budget(site):
    """100 in 10 seconds, where the percentage is less."""
    web = site({"shield": {"budget": 10}})
    web.v2.play(_fails("503 E"))
    answers = [web.ask() for _ in range(150)]
    shielded = [a for a in answers if a.has("X-Perch-Shielded")]
    assert all(_is_shielded(a) for a in answers[:100])
    # A slow machine may be given a second's more.
    assert 100 <= len(shielded) < 150
    assert all(a.status == 503 for a in answers if a not in shielded)
    assert web.shields() == (len(shielded), len(shielded))


def test_budget_of_all(site):
    web = site({"shield": {"budget": 100}})
    web.v2.play(_reset)
    for _ in range(150):
        assert _is_shielded(web.ask())


@pytest.mark.parametrize("script,status", [
    (_reset, 502), (_fails("500 E"), 500)], ids=["reset", "500"])
def test_budget_of_nothing(site, script, status):
    web = site({"shield": {"budget": 0}})
    web.v2.play(script)
    for _ in range(5):
        assert _is_not_shielded(web.ask(), status)
    assert not web.v1.heads


# -- what it leaves behind ----------------------------------------------------

def test_candidate_keeps_its_failures(site):
    web = site()
    web.v2.play(_reset)
    for _ in range(4):
        assert _is_shielded(web.ask())
    web.v2.play(respond(b"v2"))
    for _ in range(4):
        assert web.ask().body == b"v2"
    web.wait_requests(v2=8, v1=0)
    web.wait_errors(reset=4)
    shown = web.version("v2")
    assert shown["responses"]["2xx"] == 8
    assert shown["error_rate"] == 0.5
    # Stable's answers are no measure of the candidate.
    web.perch.admin.wait_metric(
        "perch_upstream_first_byte_seconds_count", 4, version="v2")


def test_access_log(site, tmp_path):
    path = tmp_path / "access.log"
    web = site(log={"access": {"file": str(path), "format": "json"}})
    web.v2.play(_reset, _fails("503 E"), respond(b"v2"))
    web.v1.play(respond(b"v1"), _fails("503 E"))
    assert [web.ask().status for _ in range(3)] == [200, 503, 200]
    lines = wait_for("three lines", lambda: len(
        path.read_text().splitlines()) == 3 and path.read_text().splitlines())
    lines = [json.loads(line) for line in lines]
    assert [line.get("shielded_by") for line in lines] == ["v1", None, None]
    assert {line["version"] for line in lines} == {"v2"}
    assert {line["reason"] for line in lines} == {"bucket"}
    assert all("rescued_by" not in line for line in lines)


def test_connections_are_kept_and_given_back(site):
    web = site({"shield": {"budget": 100}})
    web.v2.play(*[_fails("503 E", b"x" * n) for n in (0, 10, 20000)])
    for _ in range(30):
        assert _is_shielded(web.ask())
    assert len(web.v1.open_connections()) == 1
    # An answer that is all at hand is no reason to close.
    assert len(web.v2.connections) <= 2
    web.v2.play(_fails("503 E", b"x" * 200000))
    for _ in range(5):
        assert _is_shielded(web.ask())
    web.v2.play(respond(b"v2"))
    assert web.ask().body == b"v2"
    assert len(web.v1.open_connections()) == 1


def test_pipelined_requests_get_their_own_answers(site):
    web = site()

    def script(c):
        request = c.read_request()
        if request.target.startswith("/bad"):
            c.send_response(b"no", "503 E")
        elif request.target.startswith("/cut"):
            c.reset()
        else:
            c.send_response(b"v2 " + request.target.encode())
    web.v2.play(script)
    web.v1.play(respond(lambda r: b"v1 " + r.target.encode()))
    targets = ["/bad1", "/a", "/cut2", "/b", "/bad3", "/bad4", "/c"]
    web.client.send("".join(
        "GET %s HTTP/1.1\r\nHost: t\r\n\r\n" % target for target in targets))
    for target in targets:
        version = "v2" if len(target) == 2 else "v1"
        assert web.client.read_response().body == (
            "%s %s" % (version, target)).encode()


def test_pipelined_put_and_what_follows(site):
    web = site({"shield": {"methods": ["PUT"]}})
    web.v2.play(_fails("503 E"), _fails("503 E"), respond(b"v2"))
    web.v1.play(respond(lambda r: r.body), _fails("503 E", b"v1 fails"))
    put = "PUT / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\n%s"
    web.client.send(put % "hello" + put % "world"
                    + "GET / HTTP/1.1\r\nHost: t\r\n\r\n")
    assert _is_shielded(web.client.read_response(), b"hello")
    second = web.client.read_response()
    assert (second.status, second.body) == (503, b"v2 fails")
    assert web.client.read_response().body == b"v2"


def test_http10_client(site):
    web = site()
    web.v2.play(_fails("503 E"))
    web.v1.play(respond(b"v1", chunked=True))
    answer = web.client.request(minor=0)
    assert _is_shielded(answer)
    web.client.expect_close()


def test_large_answer_of_stable(site):
    web = site()
    web.v2.play(_fails("503 E"))
    web.v1.play(respond(b"v1" * 500000))
    assert _is_shielded(web.ask(), b"v1" * 500000)
    assert _is_shielded(web.ask(), b"v1" * 500000)


@pytest.mark.parametrize("first", [_reset, _fails("503 E", b"x" * 100000)],
                         ids=["reset", "503"])
def test_client_leaves_while_stable_is_asked(site, first):
    web = site()
    web.v1.play(_hang)
    web.v2.play(first)
    client = RawClient(web.perch.port)
    client.send_request("GET", "/", "test")
    web.v1.wait_heads(1)
    client.reset()
    web.wait_done()
    web.v1.play(respond(b"v1"))
    assert _is_shielded(web.ask())


def test_stable_that_hangs_is_not_waited_for_for_ever(site):
    web = site(timeouts=PATIENT)
    web.v1.play(_hang)
    web.v2.play(_fails("503 E"))
    answer = web.ask()
    assert (answer.status, answer.body) == (503, b"v2 fails")


@pytest.mark.parametrize("first", [_reset, _fails("503 E")],
                         ids=["reset", "503"])
def test_in_flight_is_where_it_is(site, first):
    web = site()
    web.v2.play(first, first, first, _hang)
    web.v1.play(respond(b"v1"), _fails("503 E"), _hang)
    in_flight = [(0, 1), (1, 0)]
    for _ in range(2):
        web.ask()
    clients = [RawClient(web.perch.port) for _ in range(2)]
    for client in clients:
        client.send_request()
        expected = in_flight.pop()
        wait_for("%r in flight" % (expected,), lambda: tuple(
            web.version(name)["in_flight"] for name in ("v1", "v2"))
            == expected)
        client.reset()
    web.wait_done()


def test_reload_in_the_middle(site):
    web = site()
    go_on = threading.Event()

    def slow(c):
        c.read_request()
        c.wait(go_on)
        c.reset()
    web.v2.play(slow)
    web.client.send_request()
    web.v2.wait_heads(1)
    web.perch.reload()
    go_on.set()
    assert _is_shielded(web.client.read_response())
    assert _is_shielded(web.ask())


def test_two_workers(site):
    web = site(workers=2)
    web.v2.play(_reset)
    for _ in range(20):
        with RawClient(web.perch.port) as client:
            assert _is_shielded(client.request())
    assert web.shields() == (20, 20)


# -- a candidate that hangs ------------------------------------------------------


def _hurt(site):
    signals = site.perch.admin.service("web")["release"]["signals"]
    return {s["name"]: s["candidate"]["hurt"] for s in signals}["errors"]


def _wait_patience():
    """It is worked out once a second."""
    time.sleep(1.2)


def _known(site, service=None):
    """With as many answers of stable, all quick, as it takes."""
    web = site(service, share=None)
    for _ in range(20):
        assert web.ask().body == b"v1"
    web.wait_done()
    web.release()
    _wait_patience()
    return web


def test_hang_is_shielded_long_before_the_timeout(site):
    """Nothing is known of stable but that it is quick."""
    web = _known(site)
    web.v2.play(_hang)
    began = time.monotonic()
    answer = web.ask()
    assert 4.9 < time.monotonic() - began < 25
    assert _is_shielded(answer)
    assert web.v2.connections[0].ended.wait(PATIENCE)
    web.wait_errors(response_timeout=1)
    assert web.shields() == (1, 1)
    wait_for("the judge to know", lambda: _hurt(web) == 1)


@pytest.mark.parametrize("method,service", [
    ("POST", {}), ("PUT", {"shield": {"methods": ["GET", "PUT"]}})])
def test_what_may_not_be_asked_twice_is_waited_for(site, method, service):
    """Whatever shield.methods says: it may be under way."""
    web = _known(site, service)
    web.v2.play(_slow(6, b"late"))
    assert _is_not_shielded(web.ask(method, body=b"x"), 200)
    assert web.shields() == (0, 0)


def test_what_takes_stable_as_long_is_no_hang(site):
    web = _known(site)
    web.v1.play(_slow(6, b"v1"))
    web.v2.play(_hang)
    assert _is_shielded(web.ask())
    assert web.shields() == (1, 1)
    assert _hurt(web) == 0


@pytest.mark.parametrize("status", [
    "404 Not Found", "405 Method Not Allowed", "410 Gone"])
def test_what_stable_does_not_have_is_no_hang(site, status):
    """It can't say how long what it lacks takes."""
    web = _known(site)
    web.v1.play(_fails(status, b"v1"))
    web.v2.play(_hang)
    assert web.ask().status == int(status[:3])
    assert web.shields() == (1, 1)
    assert _hurt(web) == 0


def test_as_long_as_stable_is_not_known_nothing_is_a_hang(site):
    """As after a start."""
    web = site()
    _wait_patience()
    web.v2.play(_slow(6, b"late"))
    assert _is_not_shielded(web.ask(), 200)
    assert web.shields() == (0, 0)


def test_stable_that_is_slow_gives_a_candidate_time(site):
    web = site(share=None)
    web.v1.play(*[respond(b"v1")] * 19, _slow(1, b"v1"))
    for _ in range(20):
        assert web.ask().body == b"v1"
    web.wait_done()
    web.release()
    _wait_patience()
    web.v2.play(_slow(7, b"v2"))
    answer = web.ask()
    assert (answer.status, answer.body) == (200, b"v2")
    assert web.shields() == (0, 0)


def test_candidate_that_answers_in_time_or_fails(site):
    """Its watch ends with that; and with the client."""
    web = _known(site)
    web.v2.play(respond(b"v2"), _fails("503 No"), _reset, _hang)
    assert web.ask().body == b"v2"
    assert _is_shielded(web.ask())
    assert _is_shielded(web.ask())
    web.client.send_request("GET", "/a", "test", dict(FETCH))
    web.v2.wait_heads(4)
    web.client.reset()
    web.wait_done()
    time.sleep(5.2)  # nothing comes of it
    assert web.shields() == (2, 2)
