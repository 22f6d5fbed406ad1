"""Who a client is: browsers before they have a cookie, pages within pages,
clients that keep none, cookies that others made up."""

import os
import re
import stat
import subprocess

import pytest

from perchtest import (
    Browser, LEAST_SHARE, RawClient, pin_cookie, respond, seed_cookie, sign,
    wait_for)
from perchtest.browser import FETCH, NAVIGATE, SCRIPT
from perchtest.perch import program

IFRAME = dict(NAVIGATE, **{"Sec-Fetch-Dest": "iframe",
                           "Sec-Fetch-Site": "same-site"})
OWN_IFRAME = dict(IFRAME, **{"Sec-Fetch-Site": "same-origin"})
AGENTS = 16  # that all of them are drawn alike: once in 30,000


class Web:
    """Two versions of the service web; each answers its name."""

    def __init__(self, start, backends, service=None, share=None, **settings):
        self.v1, self.v2 = backends("v1", "v2")
        self.perch = start({"web": dict({
            "versions": {"v1": self.v1, "v2": self.v2},
            "stable": "v1"}, **(service or {}))}, **settings)
        self.admin = self.perch.admin
        self._open = []
        if share is not None:
            self.admin.release("web", "v2", share)

    def browser(self, **options):
        client = RawClient(self.perch.port)
        self._open.append(client)
        return Browser(client, **options)

    def ask(self, fields, target="/", method="GET", body=None):
        """By a client that is new and keeps nothing."""
        with RawClient(self.perch.port) as client:
            return client.request(method, target, "test", fields, body)

    def browser_of(self, version):
        for _ in range(10000):
            browser = self.browser()
            if browser.navigate().body == version:
                return browser
        raise AssertionError("nobody gets %r" % version)

    def close(self):
        for client in self._open:
            client.close()


@pytest.fixture
def web(start, backends):
    made = []

    def make(service=None, share=None, **settings):
        made.append(Web(start, backends, service, share, **settings))
        return made[-1]
    yield make
    for one in made:
        one.close()


# -- without a cookie -------------------------------------------------------

@pytest.mark.parametrize("fields", [
    FETCH, SCRIPT, dict(FETCH, **{"Sec-Fetch-Dest": "manifest"}),
    # As over plain HTTP, where browsers send no Sec-Fetch-*.
    {"Accept": "*/*", "Referer": "http://test/page"},
    {"Accept": "*/*", "Referer": "http://test"},
    {"Accept": "*/*", "Referer": "http://TEST?x"},
    # A page's WebSocket says no more than this.
    {"Origin": "http://test"}], ids=repr)
def test_parts_of_a_page_without_a_cookie_are_stables(web, fields):
    """It was loaded before the release, or from a cache."""
    site = web(share=50)
    assert {site.ask(fields).body for _ in range(16)} == {b"v1"}
    assert not site.ask(fields).cookies()


@pytest.mark.parametrize("fields", [
    {}, {"Accept": "application/json"}, dict(FETCH, **{
        "Sec-Fetch-Site": "cross-site"}), dict(FETCH, **{
            "Sec-Fetch-Site": "same-site"}),
    {"Referer": "http://testx/"}, {"Referer": "http://other/test/"},
    {"Referer": "test"}], ids=repr)
def test_client_without_a_jar_keeps_its_version(web, fields):
    site = web(share=50)
    seen = set()
    for i in range(AGENTS):
        asked = dict(fields, **{"X-Forwarded-For": "192.0.2.%d" % i})
        got = {site.ask(asked).body for _ in range(4)}
        assert len(got) == 1
        seen |= got
    assert seen == {b"v1", b"v2"}
    assert not site.ask(fields).cookies()


def test_client_without_a_jar_moves_with_the_share(web):
    site = web(share=LEAST_SHARE)
    clients = [{"X-Forwarded-For": "192.0.2.%d" % i} for i in range(3)]
    # One in 10,000 is of v2 already.
    assert [site.ask(a).body for a in clients].count(b"v1") >= 2
    site.admin.share("web", 100)
    assert {site.ask(a).body for a in clients} == {b"v2"}


def test_client_is_known_whatever_it_calls_itself(web):
    """Some programs name themselves in one request, and not in the WebSocket
    that belongs to it."""
    site = web(share=50)
    for i in range(AGENTS):
        client = {"X-Forwarded-For": "192.0.2.%d" % i}
        assert len({site.ask(dict(client, **agent)).body for agent in (
            {}, {"User-Agent": "node-XMLHttpRequest"},
            {"User-Agent": "node"})}) == 1


def test_address_of_the_sixth_version_is_its_network(web):
    """What a client appends to it changes from day to day."""
    site = web(share=50)
    for i in range(AGENTS):
        assert len({site.ask({"X-Forwarded-For": "2001:db8:0:%x::%x" % (
            i, host)}).body for host in range(4)}) == 1


def test_anonymous_random(web):
    site = web({"sticky": {"anonymous": "random"}}, share=50)
    assert {site.ask({}).body for _ in range(AGENTS)} == {b"v1", b"v2"}


def test_anonymous_stable(web):
    site = web({"sticky": {"anonymous": "stable"}}, share=100)
    assert {site.ask({}).body for _ in range(4)} == {b"v1"}
    assert site.ask(NAVIGATE).body == b"v2"


def test_address_that_many_share_is_nobodys(web):
    """A balancer that hides its clients' addresses would move them all at
    once."""
    site = web(share=50)
    seen = [site.ask({}).body]
    with RawClient(site.perch.port) as client:
        def ask(n):
            return [client.request(fields={
                "User-Agent": "app/%d" % (i % 40)}).body for i in range(n)]
        seen += ask(998)
        assert len(set(seen)) == 1
        after = ask(40)
    assert set(after) == {b"v1", b"v2"}
    known = site.admin.service("web")["known_by"]
    assert known["address"] == 999
    assert known["none"] == 40


def test_one_busy_client_is_not_many(web):
    """It is to keep its version, however much it asks."""
    site = web(share=50)
    with RawClient(site.perch.port) as client:
        assert len({client.request(fields={"User-Agent": "poller"}).body
                    for _ in range(1200)}) == 1


# -- pages within pages, and forms ------------------------------------------

def test_frame_keeps_its_version_and_its_parts(web):
    site = web(share=50)
    seen = set()
    for _ in range(AGENTS):
        browser = site.browser()
        page = browser.request("/widget", IFRAME).body
        assert {browser.asset().body for _ in range(3)} == {page}
        seen.add(page)
    assert seen == {b"v1", b"v2"}


@pytest.mark.parametrize("fields,method", [
    (OWN_IFRAME, "GET"), (dict(OWN_IFRAME, **{"Sec-Fetch-Dest": "object"}),
                          "GET"),
    (dict(NAVIGATE, **{"Sec-Fetch-Site": "same-origin"}), "POST")],
    ids=["frame", "object", "form"])
def test_frames_and_forms_of_a_page_without_a_cookie_are_stables(
        web, fields, method):
    """It was open when the release began; and what it asks for afterwards
    stays there too."""
    site = web(share=100)
    browser = site.browser()
    body = b"x" if method == "POST" else None
    assert browser.request("/widget", fields, method, body).body == b"v1"
    assert browser.pin == "v1"
    assert browser.request("/api", FETCH).body == b"v1"
    assert browser.navigate().body == b"v2"


def test_frame_goes_with_the_page_around_it(web):
    site = web(share=LEAST_SHARE)
    browser = site.browser_of(b"v1")
    site.admin.share("web", 100)
    assert browser.request("/widget", IFRAME).body == b"v1"
    assert browser.asset().body == b"v1"


EMBEDDED = dict(IFRAME, **{"Sec-Fetch-Site": "cross-site"})


def test_frame_in_another_site_is_stables(web):
    """Its cookie won't come back, so its parts go to stable: so must it."""
    site = web(share=100)
    page = site.browser().request("/widget", EMBEDDED)
    assert page.body == b"v1"
    assert not page.cookies()


def test_frame_in_another_site_whose_cookie_comes_back_is_drawn(web):
    site = web({"sticky": {"same_site": "none", "secure": "always"}},
               share=50)
    seen = set()
    for _ in range(AGENTS):
        browser = site.browser()
        page = browser.request("/widget", EMBEDDED).body
        assert {browser.asset().body for _ in range(3)} == {page}
        seen.add(page)
    assert seen == {b"v1", b"v2"}


@pytest.mark.parametrize("fields", [
    dict(NAVIGATE, **{"Sec-Fetch-Site": "cross-site"}),
    {"Accept": "text/html"}], ids=["by Sec-Fetch", "by Accept"])
def test_page_that_a_form_is_answered_with(web, fields):
    """Lax cookies don't come with a form of another site."""
    site = web(share=50)
    for _ in range(AGENTS):
        browser = site.browser()
        browser.navigate()
        older, browser.jar = browser.jar, {}
        page = browser.request("/pay", fields, "POST", b"x").body
        assert set(browser.jar) == set(older)
        assert {browser.asset().body for _ in range(3)} == {page}


def test_service_worker_passes_navigations_on(web):
    site = web(share=LEAST_SHARE)
    browser = site.browser_of(b"v1")
    site.admin.share("web", 100)
    page = browser.request("/", dict(NAVIGATE, **{
        "Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-origin"}))
    assert page.body == b"v2"
    assert browser.asset().body == b"v2"


def test_prefetched_page_goes_with_the_one_around_it(web):
    site = web(share=LEAST_SHARE)
    browser = site.browser_of(b"v1")
    site.admin.share("web", 100)
    assert browser.request("/next", dict(NAVIGATE, **{
        "Sec-Purpose": "prefetch"})).body == b"v1"
    assert browser.asset().body == b"v1"


@pytest.mark.parametrize("site", ["none", "cross-site"])
def test_prefetched_page_of_who_has_no_cookie_is_stables(web, site):
    """It is shown without being asked for again, and its parts are stable's."""
    web = web(share=100)
    page = web.ask(dict(NAVIGATE, **{
        "Sec-Purpose": "prefetch;prerender", "Sec-Fetch-Site": site}))
    assert (page.body, page.cookies()) == (b"v1", {})


# -- services that share cookies --------------------------------------------

def _services(backends, domains):
    """host -> (service, its backends)"""
    made = {}
    for name, domain in domains.items():
        v1, v2 = backends(name + " v1", name + " v2")
        made[name] = {
            "match": {"hosts": [name + ".example.com"]}, "stable": "v1",
            "versions": {"v1": v1, "v2": v2},
            "sticky": {"domain": domain} if domain else {}}
    return made


def test_services_under_one_domain_keep_their_own_cookies(start, backends):
    perch = start(_services(backends, {
        "www": "example.com", "blog": "example.com", "api": None}))
    perch.admin.release("www", "v2", 100)
    perch.admin.release("api", "v2", 50)
    with RawClient(perch.port) as client:
        browser = Browser(client, "www.example.com")
        assert browser.navigate().body == b"www v2"
        browser.host = "blog.example.com"
        assert browser.navigate().body == b"blog v1"
        browser.host = "www.example.com"
        assert browser.asset().body == b"www v2"
        assert set(browser.jar) == {"perch_www", "perch_blog"}
        # And where no domain is named, but another's covers it.
        browser.host = "api.example.com"
        seen = set()
        for i in range(AGENTS):
            browser.jar.pop("perch_api", None)
            page = browser.navigate().body
            assert browser.asset().body == page
            seen.add(page)
        assert seen == {b"api v1", b"api v2"}


def test_services_of_other_domains_keep_the_plain_name(start, backends):
    services = _services(backends, {"www": "www.example.com", "api": None})
    perch = start(services)
    with RawClient(perch.port) as client:
        for name in services:
            browser = Browser(client, name + ".example.com")
            assert set(browser.navigate().cookies()) == {"perch"}


def test_neighbours_cookie_counts_as_absent(web):
    site = web(share=100)
    browser = site.browser(jar={
        "perch": pin_cookie("12345", "v1", service="blog")})
    assert browser.navigate().body == b"v2"
    assert browser.seed != "12345"


@pytest.mark.parametrize("n_pages", [1, 2])
def test_service_of_which_there_are_no_pages_is_released(
        start, backends, n_pages):
    """Another service's pages call it: nothing of them is of one of its
    versions."""
    page, v1, v2 = backends("page", "v1", "v2")
    perch = start({
        "web": {"versions": {"v%d" % i: page for i in range(n_pages)},
                "stable": "v0"},
        "api": {"match": {"paths": ["/api"]}, "stable": "v1",
                "versions": {"v1": v1, "v2": v2}}})
    perch.admin.release("api", "v2", 50)
    seen = set()
    with RawClient(perch.port) as client:
        for i in range(AGENTS):
            browser = Browser(client)
            browser.navigate("/shop")
            asked = dict(FETCH, Referer="http://test/shop?x")
            if n_pages == 1:
                asked["X-Forwarded-For"] = "192.0.2.%d" % i
            got = {browser.request("/api/cart", asked).body
                   for _ in range(4)}
            assert len(got) == 1
            seen |= got
        assert seen == {b"v1", b"v2"}
        # A page of its own stays whole.
        asked = dict(FETCH, Referer="http://test/api/console")
        assert {client.request("GET", "/api/x", "test", asked).body
                for _ in range(8)} == {b"v1"}


def test_services_of_a_group_go_with_its_page(start, backends):
    """The page is one's, and what it calls is another's that is never
    navigated to."""
    made = {}
    for name in ("page", "api"):
        v1, v2 = backends(name + " v1", name + " v2")
        made[name] = {"match": {"paths": ["/" + name]}, "group": "shop",
                      "versions": {"v1": v1, "v2": v2}, "stable": "v1"}
    perch = start(made)
    perch.admin.word("shop", "release", version="v2", share=LEAST_SHARE)
    with RawClient(perch.port) as client:
        def call(browser):
            return browser.request("/api", FETCH).body
        while True:
            old = Browser(client)
            if old.navigate("/page").body == b"page v1":
                break
        assert call(old) == b"api v1"
        perch.admin.word("shop", "share", share=100)
        assert call(old) == b"api v1"
        new = Browser(client)
        assert new.navigate("/page").body == b"page v2"
        assert call(new) == b"api v2"
        # A page of the other one, from before, has no say any more.
        seed = new.jar["perch_page"].split(".")[0]
        generation, issued = new.jar["perch_page"].split(".")[1:4:2]
        new.jar["perch_api"] = sign("%s.%s.-.%x.%x.v1" % (
            seed, generation, int(issued, 16) - 9, int(issued, 16) - 9), "api")
        assert call(new) == b"api v2"
        # The old page drains where it is.
        perch.admin.word("shop", "promote")
        assert call(old) == b"api v1"
        assert call(new) == b"api v2"


# -- several, forged and former cookies -------------------------------------

def test_of_several_cookies_the_newest_genuine_one_counts(web):
    site = web(share=100)
    generation = int(site.browser_of(b"v2").jar["perch"].split(".")[1], 16)
    old = pin_cookie("00001", "v1", generation - 1)
    new = pin_cookie("00002", "v2", generation)
    forged = pin_cookie("00003", "v1", generation + 9, secret="x" * 16)
    former = "00004.%x.-.v1" % (generation + 9)
    for jar in ([old, new], [new, old], [forged, new, old],
                [former, new, forged]):
        with RawClient(site.perch.port) as client:
            pairs = [("Cookie", "perch=" + value) for value in jar]
            assert client.request(
                "GET", "/a.js", "test", [*SCRIPT.items(), *pairs]
            ).body == b"v2"


@pytest.mark.parametrize("change", [
    lambda value: "fffff" + value[5:],
    lambda value: value[:-1] + ("0" if value[-1] != "0" else "1"),
    lambda value: value.replace(".v2.", ".v1."),
    lambda value: value.rsplit(".", 1)[0],
    lambda value: value.upper()],
    ids=["seed", "MAC", "version", "no MAC", "case"])
def test_what_perch_did_not_write_counts_as_absent(web, change):
    site = web(share=100)
    browser = site.browser_of(b"v2")
    browser.jar["perch"] = change(browser.jar["perch"])
    seed = browser.jar["perch"][:5]
    browser.navigate()
    assert browser.pin == "v2"
    assert browser.seed != seed


def test_cookie_of_the_former_form_keeps_a_page_together(web):
    """Until it is left: anybody can write one."""
    site = web(share=100)
    former = "12345.0.-.v1"
    browser = site.browser(jar={"perch": former})
    assert browser.asset().body == b"v1"
    assert not browser.asset().cookies()
    # Nor is its seed signed where a frame has its pin.
    frame = browser.request("/widget", IFRAME)
    assert (frame.body, frame.cookies()) == (b"v1", {})
    assert browser.navigate().body == b"v2"
    assert browser.seed != "12345"


def test_cookie_of_a_perch_behind_is_left_alone(web):
    """Two in a row had better have cookies of two names."""
    site = web()
    foreign = pin_cookie("12345", "x", secret="another perch's secret")
    answer = site.ask(dict(SCRIPT, Cookie="a=1; perch=%s; perch=junk; "
                           "perch=%s" % (foreign, pin_cookie(1, "v1"))))
    assert answer.body == b"v1"
    assert site.v1.next_request().one("Cookie") == "a=1; perch=" + foreign


def test_many_services_cookies_cost_as_much_as_one(start, backends):
    """A group of 61, and 12 KB of cookies."""
    backend = backends("x")
    perch = start({"s%d" % i: {
        "group": "shop", "match": {"paths": ["/s%d" % i]}, "stable": "v1",
        "versions": {"v1": backend, "v2": backend}} for i in range(61)})
    perch.admin.word("shop", "release", version="v2", share=50)
    jar = "; ".join(["perch_s%d=%s" % (i, seed_cookie(i, "s%d" % i))
                     for i in range(61)] + ["a%d=%d" % (i, i)
                                            for i in range(600)])
    with RawClient(perch.port) as client:
        answer = client.request("GET", "/s60", "test", dict(
            NAVIGATE, Cookie=jar))
        value, _ = answer.cookies()["perch_s60"]
        # The first of its services has the word.
        assert value.startswith("00000.")


# -- the secret -------------------------------------------------------------

def test_secret_is_kept_over_a_restart(web):
    site = web(share=50, secret=None, state=True)
    browsers = [site.browser() for _ in range(8)]
    pages = [browser.navigate().body for browser in browsers]
    path = site.perch.config["state_dir"] + "/secret"
    with open(path) as file:
        assert re.fullmatch(r"[0-9a-f]{64}\n", file.read())
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    site.perch.stop()
    site.perch.start()
    for browser, page in zip(browsers, pages):
        with RawClient(site.perch.port) as client:
            again = Browser(client, jar=browser.jar)
            assert again.asset().body == page
            assert again.navigate().body == page


def test_secret_is_turned(web, tmp_path):
    """The new one first; what the old one signed stays good, and so does what
    perch's own signed before there was one."""
    site = web(share=50, secret=None, state=True)
    browsers = [(browser, browser.navigate().body)
                for browser in (site.browser() for _ in range(4))]
    path = tmp_path / "secret"
    for lines in (["the first secret of all"],
                  ["a second one, to turn to", "the first secret of all"]):
        path.write_text("\n".join(lines))
        site.perch.change(sticky={"secret": str(path)})
        site.perch.reload()
        wait_for("the new secret", lambda: _is_signed_by(
            site.browser(), lines[0]))
        for browser, page in browsers:
            assert browser.asset().body == page
            assert browser.navigate().body == page
        new = site.browser()
        browsers.append((new, new.navigate().body))
    path.write_text("a third one, alone")
    site.perch.reload()
    wait_for("the last secret", lambda: _is_signed_by(
        site.browser(), "a third one, alone"))
    left, seed = new, new.seed
    left.navigate()
    assert left.seed != seed


def _is_signed_by(browser, secret):
    browser.navigate()
    text = browser.jar["perch"].rsplit(".", 1)[0]
    return sign(text, secret=secret) == browser.jar["perch"]


@pytest.mark.parametrize("text,said", [
    (None, "can't be read: No such file or directory"),
    ("short\n", ":1: a secret has at least 16 bytes, this one 5"),
    ("# nothing\n\n", "no secret in it"),
    ("sixteen bytes ok\n" * 9, ":9: more than 8 secrets"),
    ("x" * 70000, "longer than 65536 bytes")])
def test_bad_secrets_are_named(web, tmp_path, text, said):
    path = tmp_path / "secret"
    if text is not None:
        path.write_text(text)
    config = tmp_path / "perch.yaml"
    config.write_text(
        "listeners: [{bind: \"127.0.0.1:1\"}]\n"
        "services: {a: {versions: {v1: {endpoints: [\"127.0.0.1:2\"]}}}}\n"
        "sticky:\n  secret: %s\n" % path)
    done = subprocess.run([program(), "-t", "-c", config],
                          capture_output=True, text=True)
    assert done.returncode == 1
    assert "perch.yaml:4:11: sticky.secret: %s" % path in done.stderr
    assert said in done.stderr


# -- lifetime ---------------------------------------------------------------

def test_lifetime_is_renewed_by_use(web):
    """Else a page that is open for longer changes its version."""
    site = web({"sticky": {"lifetime": "3s"}}, share=50)
    browser = site.browser()
    page = browser.navigate().body
    seed = browser.seed
    for ask in (browser.navigate, lambda: browser.request("/api", FETCH),
                browser.navigate):
        answer = ask()
        assert answer.body == page
        _, attributes = answer.cookies()["perch"]
        assert "max-age=3" in attributes
        assert browser.seed == seed
    assert not browser.asset().cookies()


def test_lifetime_is_renewed_once_a_quarter_has_passed(web):
    site = web({"sticky": {"lifetime": "4h"}}, share=100)
    browser = site.browser()
    browser.navigate()
    assert not browser.navigate().cookies()
    seed, generation, endpoint, issued, moved, version, _ = \
        browser.jar["perch"].split(".")
    for age, is_due in ((30, False), (58, False), (61, True)):
        browser.jar["perch"] = sign("%s.%s.%s.%x.%x.%s" % (
            seed, generation, endpoint, int(issued, 16) - age,
            int(moved, 16) - age, version))
        answer = browser.request("/api", FETCH)
        assert bool(answer.cookies()) == is_due
    # When its version last changed is another thing.
    assert int(browser.jar["perch"].split(".")[3], 16) >= int(issued, 16)
    assert int(browser.jar["perch"].split(".")[4], 16) == int(moved, 16) - 61


# -- no cookie where it says nothing ----------------------------------------

def test_service_with_one_version_sets_none(start, backends):
    """A cache before perch keeps its answers."""
    backend = backends("v1")
    perch = start({"web": backend})
    with RawClient(perch.port) as client:
        for fields in ({}, NAVIGATE, FETCH, {"Accept": "text/html"}):
            answer = client.request(fields=fields)
            assert not answer.cookies()
            assert not answer.has("Cache-Control")


def test_maglev_by_client_sets_one(start, backends):
    """It needs to know the client again."""
    pool = backends("a", "b", "c", "d")
    perch = start({"web": {"versions": {"v1": pool},
                           "balance": {"policy": "maglev"}}})
    with RawClient(perch.port) as client:
        for _ in range(8):
            browser = Browser(client)
            page = browser.navigate().body
            assert {browser.asset().body for _ in range(4)} == {page}


# -- affinity without pages -------------------------------------------------

AFFINE = {"balance": {"affinity": True, "policy": "round_robin"}}


@pytest.mark.parametrize("fields", [
    {}, FETCH, dict(FETCH, **{"Sec-Fetch-Site": "cross-site"})], ids=repr)
def test_client_that_never_navigates_keeps_its_endpoint(
        start, backends, fields):
    a, b, c = backends("a", "b", "c")
    perch = start({"web": dict(AFFINE, versions={
        "v1": [a, b], "v2": c}, stable="v1")})
    with RawClient(perch.port) as client:
        for _ in range(4):
            browser = Browser(client)
            assert len({browser.request("/poll", fields).body
                        for _ in range(6)}) == 1
            assert not browser.request("/poll", fields).cookies()


def test_affinity_does_not_keep_an_api_client_from_the_share(web):
    site = web(AFFINE)
    browser = site.browser()
    assert browser.request("/poll").body == b"v1"
    site.admin.release("web", "v2", 100)
    assert browser.request("/poll").body == b"v2"
    assert browser.request("/poll").body == b"v2"


def test_affinity_leaves_an_open_page_with_stable(web):
    """The cookie that its fetch is given must not draw it."""
    site = web(AFFINE, share=100)
    browser = site.browser()
    assert {browser.request("/api", FETCH).body for _ in range(4)} == {b"v1"}
    assert browser.pin == "v1"
    assert browser.navigate().body == b"v2"


def test_assets_and_cacheable_answers_get_no_cookie(web):
    site = web(AFFINE)
    assert not site.ask(SCRIPT).cookies()
    site.v1.play(respond(b"v1", fields={"Cache-Control": "public"}))
    assert not site.ask(FETCH).cookies()


# -- conditions -------------------------------------------------------------

def test_conditions_of_who_has_no_cookie_are_dropped_at_the_candidate(web):
    """What its cache holds is of before the release."""
    site = web(share=100)
    condition = {"If-None-Match": '"x"'}
    site.ask(dict(NAVIGATE, **condition))
    assert not site.v2.next_request().has("If-None-Match")
    site.ask(dict(FETCH, **condition))
    assert site.v1.next_request().has("If-None-Match")


def test_pages_conditions_are_dropped_where_another_version_was(web):
    """A 304 of stable would confirm the candidate's page, which a browser keeps
    for longer than its cookie."""
    site = web()
    condition = dict(NAVIGATE, **{"If-Modified-Since": "x"})
    site.ask(condition)
    assert site.v1.next_request().has("If-Modified-Since")
    site.admin.release("web", "v2", 100)
    site.admin.rollback("web")
    site.ask(condition)
    assert not site.v1.requests[-1].has("If-Modified-Since")


# -- how requests were known ------------------------------------------------

def test_requests_are_counted_by_how_they_were_known(web):
    site = web({"sticky": {"key": ["header X-User-Id"]}}, share=50)
    browser = site.browser()
    for _ in range(3):
        browser.navigate()
    site.ask({"X-User-Id": "alice"})
    site.ask({})
    site.ask({})
    expected = {"cookie": 2, "key": 1, "address": 2, "none": 1}
    for known, n in expected.items():
        site.admin.wait_metric("perch_client_requests_total", n,
                               service="web", known_by=known)
    assert site.admin.service("web")["known_by"] == expected
    _, text, _ = site.perch.ctl("status", "web")
    assert "clients known by: cookie 33.3 %, key 16.7 %, address 33.3 %, " \
        "nothing 16.7 %\n" in text
