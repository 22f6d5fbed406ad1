"""Rescue: what one version lacks is asked of another."""

import threading

import pytest

from perchtest import LEAST_SHARE, RawClient, pin_cookie, respond, wait_for
from perchtest.browser import (
    FETCH, NAVIGATE, OF_V1, OVERRIDE, SCRIPT, Browser)


def _serves(files, missing=b"no such file", missing_status="404 Not Found",
            missing_fields=()):
    """A script: files by path, as {path: (body, fields)}; else missing."""
    def script(c):
        request = c.read_request()
        is_head = request.method == "HEAD"
        found = files.get(request.target)
        if found is None:
            c.send_response(missing, missing_status, missing_fields,
                            is_head=is_head)
            return
        body, fields = found if isinstance(found, tuple) else (found, ())
        c.send_response(body, fields=fields, is_head=is_head)
    return script


# The least share's candidate, of this client.
OF_V2 = "perch=12345.1.-.v2"


class Site:
    def __init__(self, start, backends, service=None, **settings):
        self.v1, self.v2 = backends("v1", "v2")
        self.perch = start({"web": dict({
            "versions": {"v1": self.v1, "v2": self.v2},
            "stable": "v1", **OVERRIDE}, **(service or {}))}, **settings)
        self.client = RawClient(self.perch.port)

    def play(self, **missing):
        self.v1.play(_serves({"/": b"v1", "/app-1.js": b"one"}, **missing))
        self.v2.play(_serves({"/": b"v2", "/app-2.js": b"two"}, **missing))

    def release(self, share=LEAST_SHARE):
        self.perch.admin.release("web", "v2", share)

    def get(self, target, fields=SCRIPT, method="GET", body=None):
        """Of a page of v1."""
        return self.client.request(
            method, target, "test", dict(OF_V1, **fields), body)

    def version(self, name):
        return {version["name"]: version for version in
                self.perch.admin.service("web")["versions"]}[name]

    def rescues(self):
        metrics = self.perch.admin.metrics()
        return {result: metrics.sum("perch_rescues_total", result=result)
                for result in ("found", "missing")}


@pytest.fixture
def site(start, backends):
    made = []

    def make(service=None, **settings):
        made.append(Site(start, backends, service, **settings))
        made[-1].play()
        return made[-1]
    yield make
    for one in made:
        one.client.close()


def _is_of_v2(page):
    """The least share, too, is somebody's: once in 10,000 times ours."""
    return page.cookies().get("perch", ("", ()))[0].endswith(".v2")


def test_asset_of_the_other_version_is_found(site):
    web = site()
    web.release()
    answer = web.get("/app-2.js")
    assert answer.status == 200
    assert answer.body == b"two"
    assert answer.one("X-Perch-Rescued") == "v2"
    assert not answer.has("Set-Cookie")
    assert web.v2.next_request().one("X-Perch-Version") == \
        "web=v2;cell=12345"
    assert web.rescues() == {"found": 1, "missing": 0}


def test_who_lacks_and_who_helps_is_shown(site):
    """By a detour, and by what is remembered."""
    web = site()
    web.release()
    for _ in range(3):
        assert web.get("/app-2.js").body == b"two"
    web.get("/nowhere.js")
    metrics = web.perch.admin.metrics()
    assert [metrics.sum("perch_rescued_by_total", version=name)
            for name in ("v1", "v2")] == [0, 3]
    assert [metrics.sum("perch_rescues_total", version=name)
            for name in ("v1", "v2")] == [4, 0]
    v1, v2 = web.version("v1"), web.version("v2")
    assert (v1["rescues"], v1["rescued"], v1["helped"]) == (4, 3, 0)
    assert (v2["rescues"], v2["rescued"], v2["helped"]) == (0, 0, 3)
    wait_for("the rate", lambda: web.get("/app-2.js") and
             web.version("v2")["helped_rate"] > 0)
    assert "v2 answers " in web.perch.ctl("status", "web")[1]


def test_head_is_rescued_too(site):
    web = site()
    web.release()
    answer = web.get("/app-2.js", method="HEAD")
    assert answer.status == 200
    assert answer.one("Content-Length") == "3"


def test_410_is_missing_too(site):
    web = site()
    web.play(missing_status="410 Gone")
    web.release()
    assert web.get("/app-2.js").body == b"two"


def test_what_nobody_has_is_the_first_answer(site):
    web = site()
    web.v1.play(_serves({}, missing=b"v1 says no" * 5000))
    web.release()
    for i in range(3):
        answer = web.get("/nowhere-%d.js" % i)
        assert answer.status == 404
        assert answer.body == b"v1 says no" * 5000
        assert answer.one("Cache-Control") == "no-store"
        assert not answer.has("X-Perch-Rescued")
    assert web.rescues() == {"found": 0, "missing": 3}
    page = web.get("/", NAVIGATE)
    assert not page.has("X-Perch-Rescued")
    assert page.status == 404 or _is_of_v2(page)


def test_connections_are_kept(site):
    web = site()
    web.release()
    for i in range(12):
        web.get("/app-2.js?%d" % (i % 3))
        web.get("/nowhere.js")
    assert len(web.v1.open_connections()) <= 2
    assert len(web.v2.open_connections()) <= 2


def test_the_way_is_remembered(site):
    web = site()
    web.release()
    for _ in range(5):
        assert web.get("/app-2.js").body == b"two"
    assert len(web.v2.heads) == 5
    assert len(web.v1.heads) == 1
    assert web.rescues()["found"] == 5


def test_a_remembered_version_that_lost_it_is_not_the_end(site):
    web = site()
    web.release()
    assert web.get("/app-2.js").body == b"two"
    web.v2.play(_serves({}))
    web.v1.play(_serves({"/app-2.js": b"now here"}))
    assert web.get("/app-2.js").body == b"now here"


def test_a_remembered_version_that_is_gone_is_not_the_end(site):
    web = site()
    web.release()
    assert web.get("/app-2.js").body == b"two"
    web.v2.stop_listening()
    web.v2.stop()
    assert web.get("/app-2.js").status == 404
    assert web.get("/app-1.js").body == b"one"


@pytest.mark.parametrize("dest", ["script", "style", "font", "image",
                                  "worker", "sharedworker"])
def test_a_page_for_an_asset_is_missing_too(site, dest):
    """The catch-all of a single-page app: 200 with the page."""
    web = site()
    web.play(missing=b"<html>", missing_status="200 OK",
             missing_fields=[("Content-Type", "text/html; charset=utf-8")])
    web.release()
    answer = web.get("/app-2.js", dict(SCRIPT, **{"Sec-Fetch-Dest": dest}))
    assert answer.body == b"two"
    nowhere = web.get("/nowhere", dict(SCRIPT, **{"Sec-Fetch-Dest": dest}))
    assert nowhere.body == b"<html>"
    assert nowhere.status == 200
    assert nowhere.one("Cache-Control") == "no-store"


@pytest.mark.parametrize("fields,is_found", [
    # Over plain HTTP, and by a service worker that passes it on.
    ({"Accept": "*/*"}, True),
    (dict(SCRIPT, **{"Sec-Fetch-Dest": "empty"}), True),
    # A fetch may well want a page.
    (FETCH, False)], ids=["plain", "worker", "fetch"])
def test_a_page_for_what_the_path_calls_an_asset(site, fields, is_found):
    web = site()
    web.play(missing=b"<html>", missing_status="200 OK",
             missing_fields=[("Content-Type", "text/html")])
    web.release()
    answer = web.client.request(
        "GET", "/app-2.js", "test", dict(fields, **OF_V1))
    assert answer.body == (b"two" if is_found else b"<html>")


def test_recalled_answer_that_is_cut_is_cut(site):
    web = site()
    web.release()
    assert web.get("/app-2.js").body == b"two"
    web.v2.play(lambda c: (c.read_request(), c.send(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntwo"), c.close()))
    web.client.send_request("GET", "/app-2.js", "test",
                            dict(SCRIPT, **OF_V1))
    web.client.expect_truncated()


def test_a_remembered_version_that_a_reload_dropped(site):
    """Its name may come back, another version by then."""
    web = site()
    web.release()
    assert web.get("/app-2.js").body == b"two"
    web.perch.admin.rollback("web")
    del web.perch.config["services"]["web"]["versions"]["v2"]
    web.perch.config["services"]["web"]["versions"]["v3"] = {
        "endpoints": [web.v2.address]}
    web.perch.write_config()
    web.perch.reload()
    wait_for("the new versions", lambda: web.get(
        "/app-1.js", {"X-Perch-Version": "v3"}).status == 404)
    assert web.get("/app-2.js").status == 404


def test_a_remembered_version_that_refuses_connections(site):
    """It isn't even tried while it is left out."""
    web = site()
    web.release()
    assert web.get("/app-2.js").body == b"two"
    web.v2.stop()
    for _ in range(3):
        answer = web.get("/app-2.js")
        assert (answer.status, answer.body) == (404, b"no such file")
    assert web.perch.admin.metrics().sum(
        "perch_endpoint_left_out", version="v2") == 1


def test_not_modified_is_an_answer(site):
    web = site()
    web.v2.play(lambda c: (c.read_request(),
                           c.send_response(status="304 Not Modified")))
    web.release()
    answer = web.get("/app-2.js", dict(SCRIPT, **{"If-None-Match": '"a"'}))
    assert answer.status == 304
    assert answer.one("X-Perch-Rescued") == "v2"


def test_upgrade_is_not_rescued(site):
    web = site()
    web.release()
    assert web.get("/app-2.js", dict(SCRIPT, **{
        "Connection": "Upgrade", "Upgrade": "websocket"})).status == 404
    assert not web.v2.heads


def test_bytes_behind_a_held_answer_end_its_connection(site):
    web = site()
    web.v1.play(lambda c: (c.read_request(), c.send(
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nnoHTTP/1.1 "
        b"200 OK\r\nContent-Length: 4\r\n\r\nevil")),
        _serves({"/app-1.js": b"one"}))
    web.release()
    assert web.get("/app-2.js").body == b"two"
    assert web.get("/app-1.js").body == b"one"
    assert len({r.connection for r in web.v1.requests}) == 2


def test_held_answer_that_is_not_whole_ends_its_connection(site):
    web = site()
    web.v1.play(_serves({"/app-1.js": b"one"}, missing=b"no" * 500000))
    web.release()
    assert web.get("/app-2.js").body == b"two"
    assert web.get("/app-1.js").body == b"one"
    assert len({r.connection for r in web.v1.requests}) == 2


def _of_three(start, backends, order):
    """v1 was promoted away and drains, v2 is stable, v3 the candidate; each
    has one file. The versions stand in that order in the config."""
    made = dict(zip(("v1", "v2", "v3"), backends("v1", "v2", "v3")))
    for name, backend in made.items():
        backend.play(_serves({"/": name.encode(),
                              "/%s.js" % name: name.encode(),
                              "/both.js": name.encode()}))
    made["v2"].play(_serves({"/": b"v2", "/v2.js": b"v2"}))
    perch = start({"web": {"versions": {n: made[n] for n in order},
                           "stable": "v1"}})
    perch.admin.release("web", "v2", 100)
    perch.admin.promote("web")
    perch.admin.release("web", "v3", LEAST_SHARE)
    return perch, made


@pytest.mark.parametrize("order", [
    ["v1", "v2", "v3"], ["v3", "v1", "v2"], ["v3", "v2", "v1"]])
def test_an_active_version_is_asked_before_one_that_drains(
        start, backends, order):
    perch, made = _of_three(start, backends, order)
    with RawClient(perch.port) as client:
        of_v2 = {"Cookie": "perch=" + pin_cookie("12345", "v2")}
        answer = client.request(
            target="/both.js", fields=dict(SCRIPT, **of_v2))
        assert answer.body == b"v3"
        assert made["v2"].heads
        assert not made["v1"].heads


@pytest.mark.parametrize("order", [["v2", "v3", "v1"], ["v3", "v2", "v1"]])
def test_the_first_of_two_active_versions_is_asked(start, backends, order):
    perch, made = _of_three(start, backends, order)
    old = Browser(RawClient(perch.port), jar={"perch": "00001.0.-.v1"})
    made["v2"].play(_serves({"/both.js": b"v2"}))
    made["v1"].play(_serves({}))
    made["v3"].play(_serves({"/both.js": b"v3"}))
    assert old.asset("/both.js").body == order[0].encode()
    old.client.close()


def test_gone_for_good_is_not_kept_by_caches(site):
    """A 410 that nobody had anything for, as a 404."""
    web = site()
    web.play(missing_status="410 Gone")
    web.release()
    answer = web.get("/nowhere.js")
    assert answer.status == 410
    assert answer.one("Cache-Control") == "no-store"


def test_a_page_for_a_fetch_is_an_answer(site):
    web = site()
    web.play(missing=b"<html>", missing_status="200 OK",
             missing_fields=[("Content-Type", "text/html")])
    web.release()
    assert web.get("/app-2.js", FETCH).body == b"<html>"


@pytest.mark.parametrize("fields,method,body", [
    (NAVIGATE, "GET", None),
    (SCRIPT, "POST", b"x"),
    (SCRIPT, "DELETE", None),
    (SCRIPT, "GET", b"x"),
    (dict(SCRIPT, **{"X-Perch-Version": "v1"}), "GET", None),
], ids=["navigation", "post", "delete", "body", "override"])
def test_not_rescued(site, fields, method, body):
    web = site()
    web.release()
    answer = web.get("/app-2.js", fields, method, body)
    assert answer.status == 404 or _is_of_v2(answer)
    assert web.rescues() == {"found": 0, "missing": 0}


def test_no_release_no_version_to_ask(site):
    """A version that was never released has no say."""
    web = site()
    answer = web.get("/app-2.js")
    assert answer.status == 404
    assert not answer.has("Cache-Control")


def test_page_opened_before_a_rollback(site):
    web = site()
    web.release(100)
    browser = Browser(web.client)
    assert browser.navigate("/").body == b"v2"
    web.perch.admin.rollback("web")
    assert browser.asset("/app-2.js").body == b"two"


def test_page_opened_before_a_promotion(site):
    web = site({"drain": "0s"})
    browser = Browser(web.client)
    assert browser.navigate("/").body == b"v1"
    web.release(100)
    web.perch.admin.promote("web")
    wait_for("the old version to have drained",
             lambda: web.version("v1")["standing"] ==
             "assets_only")
    assert browser.asset("/app-1.js").body == b"one"


def test_old_version_stops_helping(site):
    web = site({"rescue": {"for": "0s"}})
    web.release(100)
    web.perch.admin.rollback("web")
    wait_for("the candidate to be idle",
             lambda: web.version("v2")["standing"] ==
             "idle")
    assert web.get("/app-2.js").status == 404


def _from(network):
    """A client of this network; networks are numbers."""
    return {"X-Forwarded-For": "10.%d.%d.7" % divmod(network, 256)}


TRUSTING = {"trusted_proxies": ["127.0.0.0/8"]}


def test_budget(site):
    web = site(workers=1, **TRUSTING)
    web.release()
    for i in range(400):
        assert web.get("/nowhere-%d.js" % i,
                       dict(SCRIPT, **_from(i))).status == 404
    # A fifth, and what was saved up.
    assert web.rescues()["missing"] == 200 + 399 // 5


def test_network_has_a_tenth_of_the_budget(site):
    web = site(workers=1)
    web.release()
    for i in range(200):
        assert web.get("/nowhere-%d.js" % i).status == 404
    assert web.rescues()["missing"] == 20 + 199 // 50


def test_one_client_doesn_t_drain_it_for_all(site):
    """It asks for what is nowhere, on and on; the others miss nothing."""
    web = site(workers=1, **TRUSTING)
    web.v2.play(_serves({"/app-%d.js" % i: b"two" for i in range(100)}))
    web.release()
    for i in range(100):
        for j in range(10):
            assert web.get("/nope%d.js?%d" % (i, j),
                           dict(SCRIPT, **_from(0))).status == 404
        assert web.get("/app-%d.js" % i,
                       dict(SCRIPT, **_from(1 + i))).status == 200


def test_many_behind_one_address_find_what_they_need(site):
    """What is found costs a network nothing while nobody else needs it."""
    web = site(workers=1)
    web.v2.play(_serves({"/app-%d.js" % i: b"two" for i in range(100)}))
    web.release()
    for i in range(100):
        assert web.get("/app-%d.js" % i).status == 200


def test_calls_leave_half_of_the_budget_to_assets(site):
    web = site(workers=1, **TRUSTING)
    web.release()
    for i in range(400):
        assert web.get("/api/nowhere-%d" % i,
                       dict(FETCH, **_from(i))).status == 404
    assert web.rescues()["missing"] == 100 + 399 // 5
    assert web.get("/app-2.js").status == 200


def test_budget_of_nothing(site):
    web = site({"rescue": {"budget": 0}})
    web.release()
    for _ in range(5):
        assert web.get("/app-2.js").status == 404
    assert len(web.v2.heads) == 0


# -- what takes long ----------------------------------------------------------

HASTY = {"rescue": {"timeout": "200ms"}}


def _hang(c):
    c.read_request()
    c.wait_closed()


def test_a_version_that_hangs_is_waited_for_once(site):
    web = site(HASTY)
    web.v2.play(_hang)
    web.release()
    for i in range(25):
        answer = web.get("/nowhere-%d.js" % i)
        assert (answer.status, answer.body) == (404, b"no such file")
        assert answer.one("Cache-Control") == "no-store"
    assert len(web.v2.heads) == 1
    wait_for("nothing to be in flight", lambda: all(
        version["in_flight"] == 0
        for version in web.perch.admin.service("web")["versions"]))


def test_a_version_that_hangs_is_spared_by_all(site):
    """By other clients' networks, too, and on other workers' connections."""
    web = site(HASTY, **TRUSTING)
    web.v2.play(_hang)
    web.release()
    for i in range(10):
        with RawClient(web.perch.port) as client:
            assert client.request("GET", "/nowhere.js", "test", dict(
                SCRIPT, **OF_V1, **_from(i))).status == 404
    assert len(web.v2.heads) == 1


def _slow_at(target):
    def script(c):
        request = c.read_request()
        if request.target == target:
            c.wait_closed()
        elif request.target == "/app-2.js":
            c.send_response(b"two")
        else:
            c.send_response(b"no such file", "404 Not Found")
    return script


def test_a_slow_call_is_no_switch_for_others_assets(site):
    web = site(HASTY, workers=1, **TRUSTING)
    web.v2.play(_slow_at("/api/report"))
    web.release()
    assert web.get("/api/report", dict(FETCH, **_from(1))).status == 404
    asked = len(web.v2.heads)
    # Its own calls wait no more, nor do others': nothing else was heard.
    for i in range(1, 5):
        assert web.get("/api/other", dict(FETCH, **_from(i))).status == 404
    assert len(web.v2.heads) == asked
    for i in range(1, 5):
        assert web.get("/app-2.js?%d" % i,
                       dict(SCRIPT, **_from(i))).status == 404
        assert web.get("/app-2.js", dict(SCRIPT, **_from(i))).status == 200


def test_a_version_that_answers_others_meanwhile_is_not_slow(site):
    """Only who waited doesn't wait again."""
    web = site(HASTY, workers=1, **TRUSTING)
    web.v2.play(_slow_at("/slow.js"))
    web.release()
    web.client.send_request("GET", "/slow.js", "test",
                            dict(SCRIPT, **OF_V1, **_from(1)))
    web.v2.wait_heads(1)
    with RawClient(web.perch.port) as other:
        assert other.request("GET", "/", "test", {
            "X-Perch-Version": "v2"}).status == 404
    assert web.client.read_response().status == 404
    assert web.get("/app-2.js", dict(SCRIPT, **_from(1))).status == 404
    assert web.get("/app-2.js", dict(SCRIPT, **_from(2))).status == 200


def test_a_remembered_version_that_hangs(site):
    web = site(HASTY)
    web.release()
    assert web.get("/app-2.js").body == b"two"
    web.v2.play(_hang)
    for _ in range(3):
        assert web.get("/app-2.js").status == 404
    assert len(web.v2.heads) == 1
    web.v1.play(_serves({"/app-2.js": b"one"}))
    assert web.get("/app-2.js").body == b"one"


# One connection, and patience that outlasts the test's.
NARROW = {"limits": {"endpoint_connections": 1},
          "timeouts": {"queue": "1h"}, "rescue": {"timeout": "1h"}}


def test_nobody_queues_for_a_rescue(site):
    web = site(NARROW, workers=1)
    go_on = threading.Event()
    web.v2.play(respond(b"slow", after=go_on), _serves({"/app-2.js": b"two"}))
    web.release()
    with RawClient(web.perch.port) as first:
        first.send_request(fields={"X-Perch-Version": "v2"})
        web.v2.wait_heads(1)
        assert web.get("/app-2.js").status == 404
        go_on.set()
        assert first.read_response().body == b"slow"
        assert web.get("/app-2.js").body == b"two"


def test_nobody_queues_for_what_is_remembered(site):
    """Its own version may have it by now."""
    web = site(NARROW, workers=1)
    go_on = threading.Event()
    web.release()
    assert web.get("/app-2.js").body == b"two"
    web.v2.play(respond(b"slow", after=go_on))
    web.v1.play(_serves({"/app-2.js": b"one"}))
    with RawClient(web.perch.port) as first:
        first.send_request(fields={"X-Perch-Version": "v2"})
        web.v2.wait_heads(1)
        assert web.get("/app-2.js").body == b"one"
        go_on.set()
        assert first.read_response().body == b"slow"


def test_client_leaves_while_a_slow_version_is_waited_for(site):
    """Its deadline goes with it."""
    web = site(HASTY)
    web.v2.play(_hang)
    web.release()
    with RawClient(web.perch.port) as client:
        client.send_request("GET", "/app-2.js", "test",
                            dict(SCRIPT, **OF_V1))
        web.v2.wait_heads(1)
        client.reset()
    wait_for("it to be left", lambda: not web.v2.open_connections())
    web.v2.play(_serves({"/app-2.js": b"two"}))
    assert web.get("/app-2.js").body == b"two"


# -- what is remembered -------------------------------------------------------

def _cart(c):
    """Who has one finds it; the others have none."""
    request = c.read_request()
    if "has=1" in request.all("Cookie"):
        c.send_response(b"v2's cart")
    else:
        c.send_response(b"none", "404 Not Found")


@pytest.mark.parametrize("fields", [FETCH, {}], ids=["fetch", "no metadata"])
def test_what_depends_on_who_asks_is_not_remembered(site, fields):
    web = site()
    web.v1.play(respond(b"v1's cart"))
    web.v2.play(_cart)
    web.release(100)
    for _ in range(5):
        web.client.request("GET", "/api/cart", "test",
                           dict(fields, Cookie=OF_V2))
        assert web.client.request("GET", "/api/cart", "test", dict(
            fields, Cookie=OF_V2 + "; has=1")).body == b"v2's cart"


@pytest.mark.parametrize("said", [
    ("Set-Cookie", "a=b"), ("Cache-Control", "max-age=9, private"),
    ("Cache-Control", "no-store"), ("Vary", "Accept, Cookie"),
    ("Vary", "authorization"), ("Vary", "*")], ids="{0[0]} {0[1]}".format)
def test_what_says_that_it_is_somebody_s_is_not_remembered(site, said):
    web = site()
    web.v2.play(_serves({"/me.png": (b"two", [said])}))
    web.release()
    for _ in range(3):
        assert web.get("/me.png").body == b"two"
    assert len(web.v1.heads) == 3


def test_who_authorizes_gets_and_leaves_no_memory(site):
    web = site()
    web.release()
    for _ in range(3):
        assert web.get("/app-2.js", dict(
            SCRIPT, Authorization="Basic QTpC")).body == b"two"
    assert len(web.v1.heads) == 3
    assert web.get("/app-2.js").body == b"two"
    assert len(web.v1.heads) == 4
    assert web.get("/app-2.js").body == b"two"
    assert len(web.v1.heads) == 4


@pytest.mark.parametrize("target,is_remembered", [
    ("/a.js", True), ("/a.CSS?v=1.html", True), ("/fonts/a.woff2", True),
    ("/a.webmanifest", True), ("/a.js/b", False), ("/a.json", False),
    ("/js", False), ("/?a.js", False)])
def test_without_metadata_the_path_says_what_it_is(
        site, target, is_remembered):
    web = site()
    web.v2.play(respond(b"two"))
    web.release()
    for _ in range(3):
        assert web.get(target, {}).body == b"two"
    assert len(web.v1.heads) == (1 if is_remembered else 3)


def test_metadata_outweighs_the_path(site):
    web = site()
    web.release()
    for _ in range(3):
        assert web.get("/app-2.js", FETCH).body == b"two"
    assert len(web.v1.heads) == 3


def test_head_leaves_no_memory(site):
    """Not everybody knows what it is; but it may use what there is."""
    web = site()
    web.release()
    assert web.get("/app-2.js", method="HEAD").status == 200
    assert web.get("/nowhere.js", method="HEAD").status == 404
    assert web.get("/app-2.js").body == b"two"
    assert web.get("/nowhere.js").status == 404
    assert web.rescues() == {"found": 2, "missing": 2}
    asked = len(web.v1.heads)
    assert web.get("/app-2.js", method="HEAD").status == 200
    assert len(web.v1.heads) == asked


def test_hosts_have_their_own_paths(site):
    web = site()
    web.release()
    assert web.get("/app-2.js").body == b"two"
    asked = len(web.v1.heads)
    assert web.client.request("GET", "/app-2.js", "other", dict(
        SCRIPT, **OF_V1)).body == b"two"
    assert len(web.v1.heads) == asked + 1


def test_what_nobody_has_is_not_asked_for_again(site):
    web = site()
    web.release()
    for _ in range(5):
        assert web.get("/nowhere.js").status == 404
    assert web.rescues() == {"found": 0, "missing": 1}


def test_a_call_s_404_is_remembered_for_who_asked(site):
    """Another client may have it: it must not get the first one's."""
    web = site(**TRUSTING)
    web.v2.play(_cart)
    web.release()
    for _ in range(3):
        assert web.get("/api/cart", FETCH).status == 404
    assert web.rescues() == {"found": 0, "missing": 1}
    assert web.get("/api/cart", dict(FETCH, **_from(1))).status == 404
    assert web.rescues() == {"found": 0, "missing": 2}
    assert web.client.request("GET", "/api/cart", "test", dict(
        FETCH, Cookie=OF_V1["Cookie"] + "; has=1")).body == b"v2's cart"


def test_what_the_other_refuses_is_not_nowhere(site):
    """A strange request must not hide a path from the others."""
    web = site()
    web.v2.play(respond(b"", "416 Range Not Satisfiable"),
                _serves({"/app-2.js": b"two"}))
    web.release()
    assert web.get("/app-2.js", dict(
        SCRIPT, Range="bytes=99-")).status == 404
    assert web.get("/app-2.js").body == b"two"


def test_a_strange_request_does_not_make_it_forget(site):
    web = site()
    web.release()
    assert web.get("/app-2.js").body == b"two"
    web.v2.play(respond(b"", "416 Range Not Satisfiable"),
                _serves({"/app-2.js": b"two"}))
    assert web.get("/app-2.js", dict(
        SCRIPT, Range="bytes=99-")).status == 404
    asked = len(web.v1.heads)
    assert web.get("/app-2.js").body == b"two"
    assert len(web.v1.heads) == asked


@pytest.mark.parametrize("status", ["404 Not Found", "503 E"])
def test_a_remembered_version_that_fails_is_forgotten(site, status):
    web = site()
    web.release()
    assert web.get("/app-2.js").body == b"two"
    web.v1.play(_serves({"/app-2.js": b"one"}))
    web.v2.play(respond(b"", status), _serves({"/app-2.js": b"two"}))
    asked = len(web.v2.heads)
    for _ in range(3):
        assert web.get("/app-2.js").body == b"one"
    assert len(web.v2.heads) == asked + 1


def _change_share(web):
    web.perch.admin.share("web", 2)


def _release_anew(web):
    web.perch.admin.rollback("web")
    web.release()


@pytest.mark.parametrize("change", [_change_share, _release_anew])
def test_a_change_of_the_release_ends_what_is_remembered(site, change):
    web = site()
    web.release()
    for _ in range(2):
        assert web.get("/app-2.js").body == b"two"
        assert web.get("/nowhere.js").status == 404
    assert len(web.v1.heads) == 3
    change(web)
    web.v1.play(_serves({"/app-2.js": b"one"}))
    web.v2.play(_serves({"/app-2.js": b"two", "/nowhere.js": b"here"}))
    assert web.get("/app-2.js").body == b"one"
    assert web.get("/nowhere.js").body == b"here"


def test_promotion_ends_what_is_remembered(site):
    web = site()
    web.release(100)
    browser = Browser(web.client)
    assert browser.navigate("/").body == b"v2"
    assert browser.asset("/app-1.js").body == b"one"
    web.v2.play(_serves({"/app-1.js": b"two"}))
    assert browser.asset("/app-1.js").body == b"one"
    web.perch.admin.promote("web")
    assert browser.asset("/app-1.js").body == b"two"


def test_its_own_version_is_tested_now_and_then(site):
    """One that fails the path by now is to be seen, by the judge as well."""
    web = site()
    web.release()
    assert web.get("/app-2.js").body == b"two"
    for _ in range(40):
        assert web.get("/app-2.js").body == b"two"
    assert len(web.v1.heads) == 1 + 2
    web.v1.play(respond(b"", "500 E"))
    bodies = [web.get("/app-2.js").status for _ in range(25)]
    assert bodies == [200] * 19 + [500] * 6


def test_its_own_version_that_breaks_in_a_test(site):
    web = site()
    web.release()
    for _ in range(20):
        assert web.get("/app-2.js").body == b"two"
    web.v1.play(lambda c: (c.read_request(), c.reset()))
    for _ in range(3):
        assert web.get("/app-2.js").status == 502


def test_a_test_costs_a_rescue(site):
    """Without one to be had there is none."""
    web = site({"rescue": {"budget": 1}}, workers=1, **TRUSTING)
    web.release()
    assert web.get("/app-2.js").body == b"two"
    for i in range(250):
        web.get("/nowhere-%d.js" % i, dict(SCRIPT, **_from(i)))
    asked = len(web.v1.heads)
    for _ in range(25):
        assert web.get("/app-2.js").body == b"two"
    assert len(web.v1.heads) == asked


# -- preflights ---------------------------------------------------------------

PREFLIGHT = {"Origin": "https://app.example",
             "Access-Control-Request-Method": "PUT",
             "Access-Control-Request-Headers": "content-type"}
ALLOW = [("Access-Control-Allow-Origin", "https://app.example"),
         ("Access-Control-Allow-Methods", "PUT"),
         ("Access-Control-Allow-Headers", "Content-Type")]


def _api(c):
    """Knows a route that the other version doesn't."""
    if c.read_request().target.startswith("/api/new"):
        c.send_response(b"", "204 No Content", ALLOW)
    else:
        c.send_response(b"no route", "404 Not Found")


def _preflight(web, target="/api/new", **fields):
    return web.client.request("OPTIONS", target, "test",
                              dict(PREFLIGHT, **fields))


def test_preflights_find_the_version_that_knows_the_route(site):
    """They carry no cookie, and are anybody's."""
    web = site(workers=1)
    web.v2.play(_api)
    web.release(10)
    for i in range(100):
        answer = _preflight(web, **{"User-Agent": "browser %d" % i})
        assert answer.status == 204
        assert answer.one("Access-Control-Allow-Origin") == \
            "https://app.example"
    # The detour was made once, but for what tests the way.
    assert len(web.v1.heads) <= 1 + 100 // 20


@pytest.mark.parametrize("status,fields", [
    ("401 X", ALLOW), ("403 X", ALLOW), ("404 X", ALLOW), ("405 X", ALLOW),
    ("500 X", ALLOW), ("501 X", ALLOW), ("302 X", ALLOW), ("200 OK", []),
    ("204 X", ALLOW[1:]), ("204 X", ALLOW[:1]), ("204 X", ALLOW[:2])])
def test_what_a_browser_takes_for_no_is_a_refusal(site, status, fields):
    web = site()
    web.v1.play(respond(b"", status, fields))
    web.v2.play(_api)
    web.release()
    answer = _preflight(web)
    assert answer.status == 204
    assert answer.one("X-Perch-Rescued") == "v2"


def test_preflight_that_is_allowed_is_not_asked_of_another(site):
    web = site()
    web.v1.play(_api)
    web.release()
    assert not _preflight(web).has("X-Perch-Rescued")
    assert not web.v2.heads


def test_preflight_that_both_refuse_is_the_first_one_s(site):
    web = site()
    web.v1.play(respond(b"v1", "405 Method Not Allowed"))
    web.v2.play(respond(b"v2", "404 Not Found"))
    web.release()
    for _ in range(3):
        answer = _preflight(web)
        assert (answer.status, answer.body) == (405, b"v1")
    assert len(web.v2.heads) == 1


@pytest.mark.parametrize("fields", [
    {"Origin": "https://other.example"},
    {"Access-Control-Request-Method": "DELETE"},
    {"Access-Control-Request-Headers": "x-other"}],
    ids=["origin", "method", "headers"])
def test_preflights_are_remembered_by_what_they_ask(site, fields):
    """One that both refuse says nothing of another one."""
    web = site()
    web.v2.play(_api)
    web.release()
    for _ in range(2):
        assert _preflight(web, **fields).status == 404
        assert _preflight(web).status == 204
    assert len(web.v2.heads) == 3


@pytest.mark.parametrize("gone", ["Origin", "Access-Control-Request-Method"])
def test_other_options_are_not_rescued(site, gone):
    web = site()
    web.v2.play(_api)
    web.release()
    fields = {name: value for name, value in PREFLIGHT.items()
              if name != gone}
    answer = web.client.request("OPTIONS", "/api/new", "test", fields)
    assert answer.status == 404
    assert not answer.has("Cache-Control")
    assert not web.v2.heads


def test_a_page_of_the_version_that_drains_may_call(site):
    web = site()
    web.v1.play(_api)
    web.release(100)
    web.perch.admin.promote("web")
    answer = _preflight(web)
    assert answer.status == 204
    assert answer.one("X-Perch-Rescued") == "v1"


def test_a_version_that_gets_no_calls_has_no_say(site):
    web = site()
    web.v2.play(_api)
    web.release()
    web.perch.admin.rollback("web")
    assert _preflight(web).status == 404
    assert not web.v2.heads


def test_other_version_fails(site):
    web = site()
    web.v2.play(lambda c: (c.read_request(), c.reset()))
    web.release()
    answer = web.get("/app-2.js")
    assert answer.status == 404
    assert answer.body == b"no such file"
    assert web.get("/app-1.js").body == b"one"


def test_client_leaves_while_the_other_is_asked(site):
    web = site()
    web.v2.play(lambda c: (c.read_request(), c.wait_closed()))
    web.release()
    client = RawClient(web.perch.port)
    client.send_request("GET", "/app-2.js", "test", dict(SCRIPT, **OF_V1))
    web.v2.wait_heads(1)
    client.reset()
    wait_for("nothing to be in flight", lambda: all(
        version["in_flight"] == 0
        for version in web.perch.admin.service("web")["versions"]))
    assert web.get("/app-1.js").body == b"one"
