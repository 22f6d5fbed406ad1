"""Rescue: what one version lacks is asked of another."""

import pytest

from perchtest import LEAST_SHARE, RawClient, wait_for
from perchtest.browser import FETCH, NAVIGATE, OF_V1, SCRIPT, Browser


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


class Site:
    def __init__(self, start, backends, service=None, **settings):
        self.v1, self.v2 = backends("v1", "v2")
        self.perch = start({"web": dict({
            "versions": {"v1": self.v1, "v2": self.v2},
            "stable": "v1"}, **(service or {}))}, **settings)
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
    for _ in range(3):
        answer = web.get("/nowhere.js")
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
        of_v2 = {"Cookie": "perch=12345.0.-.v2"}
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


def test_budget(site):
    web = site(workers=1)
    web.release()
    for i in range(200):
        assert web.get("/nowhere-%d.js" % i).status == 404
    # A fifth, and no more than what could be saved up.
    assert 35 <= web.rescues()["missing"] <= 61


def test_budget_of_nothing(site):
    web = site({"rescue": {"budget": 0}})
    web.release()
    for _ in range(5):
        assert web.get("/app-2.js").status == 404
    assert len(web.v2.heads) == 0


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
