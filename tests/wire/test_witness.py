"""What an exchange is for the judge: whom it hurt, if anybody.

The release is at 100 %, so that all are the candidate's; one client hurt is
far from enough to end it.
"""

import pytest

from perchtest import RawClient, Truncated, respond, seed_cookie, wait_for
from perchtest.browser import FETCH, NAVIGATE, SCRIPT

GRPC = {"Content-Type": "application/grpc", "TE": "trailers"}


def _reset(c):
    c.read_request()
    c.reset()


def _close(c):
    c.read_request()
    c.close()


def _hang(c):
    c.read_request()
    c.wait_closed()


def _truncate(c):
    c.read_request()
    c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!")
    c.close()


def _call(code):
    """A gRPC call that ends so."""
    def script(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\n"
               b"Transfer-Encoding: chunked\r\nTrailer: grpc-status\r\n\r\n"
               b"5\r\nhello\r\n0\r\ngrpc-message: x\r\ngrpc-status: %d\r\n"
               b"\r\n" % code)
    return script


def _call_in_two(c):
    """Whose trailers come on their own."""
    c.read_request()
    c.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\n"
           b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    c.send(b"0\r\nGRPC-Status:14\r\n\r\n")


def _failed_at_once(c):
    """gRPC's trailers-only."""
    c.read_request()
    c.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\n"
           b"grpc-status: 13\r\nContent-Length: 0\r\n\r\n")


_missing = respond(b"none", "404 Not Found")
_broken = respond(b"v2 fails", "500 Internal Server Error")
_beyond = respond(b"v2 fails", "600 No Class")


class Site:
    def __init__(self, start, backends, **service):
        self.v1, self.v2 = backends("v1", "v2")
        self.perch = start({"web": dict({
            "versions": {"v1": self.v1, "v2": self.v2}, "stable": "v1"},
            **service)})
        self.perch.admin.release("web", "v2", 100)
        self.n = 0

    def ask(self, fields, method="GET"):
        """By a client who wasn't there before."""
        self.n += 1
        with RawClient(self.perch.port) as client:
            client.send_request(method, "/assets/x", "test", dict(
                fields, Cookie="perch=" + seed_cookie(self.n)),
                b"hello" if method == "POST" else None)
            try:
                return client.read_response(method).status
            except Truncated:
                return 0

    def hurt(self):
        """By signal, once all that was asked is counted."""
        def counted():
            signals = {s["name"]: s["candidate"] for s in self.perch.admin
                       .service("web")["release"]["signals"]}
            return signals if signals["errors"]["exposure"] >= self.n \
                else None
        signals = wait_for("the judge's count", counted)
        return {name: signals[name]["hurt"]
                for name in ("errors", "not_found")}


NOBODY = {"errors": 0, "not_found": 0}
BY_ERROR = {"errors": 1, "not_found": 0}
BY_ABSENCE = {"errors": 0, "not_found": 1}


def test_preflights_count_for_nobody(start, backends):
    site = Site(start, backends)
    site.v1.play(_broken)
    site.v2.play(_broken, _broken, respond())
    for _ in range(2):
        assert site.ask({"Origin": "https://a.example",
                         "Access-Control-Request-Method": "PUT"},
                        "OPTIONS") == 500
    site.n = 0
    assert site.ask(FETCH) == 200
    assert site.hurt() == NOBODY


@pytest.mark.parametrize("fields, script, hurt", [
    (NAVIGATE, respond(), NOBODY),
    (NAVIGATE, _missing, NOBODY),
    (SCRIPT, _missing, BY_ABSENCE),
    (NAVIGATE, _broken, BY_ERROR),
    (NAVIGATE, _beyond, BY_ERROR),
    (FETCH, _reset, BY_ERROR),
    (FETCH, _truncate, BY_ERROR),
    (FETCH, _hang, BY_ERROR),
], ids=["good", "no_page", "no_script", "500", "600", "reset", "truncated",
        "hang"])
@pytest.mark.parametrize("budget", [20, 0])
def test_outcome(start, backends, fields, script, hurt, budget):
    """With shield and rescue it is the same, whatever the client sees: here
    stable lacks it, too."""
    # Only who hangs has a deadline that a busy machine could miss as well.
    timeouts = {"response": "100ms"} if script is _hang else {}
    site = Site(start, backends, shield={"budget": budget},
                rescue={"budget": budget}, timeouts=timeouts)
    site.v1.play(_missing)
    site.v2.play(script)
    site.ask(fields)
    assert site.hurt() == hurt


@pytest.mark.parametrize("script", [_broken, _reset, _hang],
                         ids=["500", "reset", "hang"])
def test_shielded_on_a_connection_that_was_used_before(
        start, backends, script):
    """Its failure may look as if it had only been kept too long."""
    site = Site(start, backends, timeouts={"response": "1s"})
    site.v2.play(respond(b"first"), script)
    assert site.ask(FETCH) == 200
    assert site.ask(FETCH) == 200
    assert site.v2.connections[0].count == 2
    assert site.hurt() == BY_ERROR


def test_connection_that_was_kept_too_long_hurts_nobody(start, backends):
    site = Site(start, backends)
    site.v2.play(respond(b"first"), _close, respond(b"fresh"))
    assert site.ask(FETCH) == 200
    assert site.ask(FETCH) == 200
    assert site.hurt() == NOBODY


def test_kept_too_long_and_not_to_be_asked_again(start, backends):
    site = Site(start, backends)
    site.v2.play(respond(b"first"), _close)
    assert site.ask(FETCH) == 200
    assert site.ask(FETCH, "POST") == 502
    assert site.hurt() == BY_ERROR


def test_rescued_hurts_nobody(start, backends):
    site = Site(start, backends)
    site.v2.play(_missing)
    assert site.ask(SCRIPT) == 200
    assert site.hurt() == NOBODY


@pytest.mark.parametrize("script, hurt", [
    (_call(0), NOBODY), (_call(5), NOBODY), (_call(13), BY_ERROR),
    (_call_in_two, BY_ERROR), (_failed_at_once, BY_ERROR),
], ids=["ok", "not_found", "internal", "later", "at_once"])
def test_grpc(start, backends, script, hurt):
    site = Site(start, backends)
    site.v2.play(script)
    assert site.ask(GRPC, "POST") == 200
    assert site.hurt() == hurt


# -- seen from elsewhere ------------------------------------------------------

def test_rescued_hurts_nobody_but_those_who_watch(start, backends):
    """web is told of a 404 at once, for it may have come of a bad link in its
    page; to api, where another version has it, it is none."""
    w1, w2, a1, a2 = backends("w1", "w2", "a1", "a2")
    perch = start({
        "web": {"versions": {"v1": w1, "v2": w2}, "plan": "watching"},
        "api": {"versions": {"v1": a1, "v2": a2},
                "match": {"paths": ["/api"]}}},
        plans={"watching": {"watch": ["api"], "watch_client_errors": True}})
    for unit in ("web", "api"):
        perch.admin.release(unit, "v2", 100)
    a2.play(_missing)
    with RawClient(perch.port) as client:
        jar = {"Cookie": "perch_web=%s; perch_api=%s" % (
            seed_cookie(1), seed_cookie(1, "api"))}
        assert client.request(fields=dict(NAVIGATE, **jar)).body == b"w2"
        assert client.request(target="/api/x", fields=dict(
            SCRIPT, **jar)).body == b"a1"

    def candidates(unit):
        return {s["name"]: s["candidate"] for s in perch.admin.service(unit)
                ["release"]["signals"]}
    wait_for("the judges' counts", lambda: all(
        candidates(unit)["errors"]["clients"] == 1 for unit in ("web", "api"))
        and candidates("web")["watch.api"]["clients"] == 1)
    assert candidates("web")["watch.api"]["hurt"] == 1
    assert candidates("web")["errors"]["hurt"] == 0
    assert candidates("api")["errors"]["hurt"] == 0
    assert candidates("api")["not_found"]["hurt"] == 0


@pytest.mark.parametrize("fields", [
    {"Cookie": "perch_page=" + seed_cookie(1, "page")},
    {"Cookie": "perch_entry=" + seed_cookie(1, "entry")},
    {"X-Perch-Version": "page=v2;cell=00001"}], ids=[
        "its own", "another one's", "the caller's"])
def test_neighbour_of_any_service_of_a_group(start, backends, fields):
    """Its clients are known by whichever of them they come from."""
    v1, v2, api = backends("v1", "v2", "api")

    def service(name):
        return {"versions": {"v1": v1, "v2": v2}, "group": "shop",
                "plan": "watching", "match": {"paths": ["/" + name]}}
    perch = start({
        "entry": service("entry"), "page": service("page"),
        "api": {"versions": {"v1": api}, "match": {"paths": ["/api"]}}},
        plans={"watching": {"watch": ["api"]}})
    perch.ctl("release", "start", "shop", "v2", "--share", "100")
    api.play(respond(b"no", "500 Internal Server Error"))
    with RawClient(perch.port) as client:
        assert client.request(target="/page", fields=dict(
            NAVIGATE, Cookie="perch_page=" + seed_cookie(1, "page"))).body == b"v2"
        assert client.request(target="/api/x", fields=dict(
            SCRIPT, **fields)).status == 500
    wait_for("the judge's count", lambda: {
        s["name"]: s["candidate"]["hurt"] for s in perch.admin.service("shop")
        ["release"]["signals"]}["watch.api"] == 1)
