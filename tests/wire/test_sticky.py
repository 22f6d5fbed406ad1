"""Which version answers, and the cookie that keeps it so."""

import re

import pytest

from perchtest import (
    LEAST_SHARE, RawClient, pin_cookie, respond, seed_cookie, sign, wait_for)
from perchtest.browser import FETCH, NAVIGATE, OVERRIDE, SCRIPT, Browser

COOKIE = re.compile(
    r"[0-9a-f]{5}\.[0-9a-f]+\.(-|[0-9a-f]{8})\.[0-9a-f]+\.[0-9a-f]+"
    r"\.(?P<version>[A-Za-z0-9._-]{1,64})\.[0-9a-f]{16}\Z")


class Site:
    """A perch before two versions of a service; each answers its name."""

    def __init__(self, start, backends, service=None, **settings):
        self.v1, self.v2 = backends("v1", "v2")
        self.perch = start({"web": dict({
            "versions": {"v1": self.v1, "v2": self.v2},
            "stable": "v1"}, **(service or {}))}, **settings)
        self.admin = self.perch.admin
        self._clients = []

    def play(self, **options):
        self.v1.play(respond(b"v1", **options))
        self.v2.play(respond(b"v2", **options))

    def browser(self, jar=None):
        client = RawClient(self.perch.port)
        self._clients.append(client)
        return Browser(client, jar=jar)

    def browsers_of(self, version, count=1):
        """New browsers whose bucket drew that version at the present
        share."""
        found = []
        for _ in range(10000):
            browser = self.browser()
            if browser.navigate().body == version.encode():
                found.append(browser)
                if len(found) == count:
                    return found
            else:
                browser.client.close()
        raise AssertionError("nobody gets " + version)

    def release(self, share):
        self.admin.release("web", "v2", share)

    def close(self):
        for client in self._clients:
            client.close()


@pytest.fixture
def site(start, backends):
    made = []

    def make(service=None, **settings):
        made.append(Site(start, backends, service, **settings))
        return made[-1]
    yield make
    for one in made:
        one.close()


# -- no release -------------------------------------------------------------

def test_stable_answers_without_a_release(site):
    web = site()
    for _ in range(20):
        assert web.browser().navigate().body == b"v1"
    assert not web.v2.heads


def test_navigation_gets_a_pin(site):
    web = site()
    browser = web.browser()
    value, attributes = browser.navigate().cookies()["perch"]
    assert COOKIE.match(value)["version"] == "v1"
    assert attributes == {"path=/", "httponly", "samesite=lax"}


@pytest.mark.parametrize("fields", [
    NAVIGATE, {"Accept": "text/html"},
    {"Accept": "application/xhtml+xml, Text/HTML;q=0.9"}])
def test_what_a_navigation_is(site, fields):
    web = site()
    assert COOKIE.match(
        web.browser().request("/", fields).cookies()["perch"][0])


@pytest.mark.parametrize("fields", [
    SCRIPT, FETCH, {},
    dict(NAVIGATE, **{"Sec-Purpose": "prefetch"}),
    dict(NAVIGATE, **{"Sec-Purpose": "prefetch;prerender"}),
    dict(NAVIGATE, **{"Sec-Fetch-Mode": "cors"}),
    {"Sec-Fetch-Site": "none", "Accept": "text/html"}])
def test_what_none_is(site, fields):
    web = site()
    assert not web.browser().request("/", fields).cookies()


def test_head_gets_no_cookie(site):
    web = site()
    assert not web.browser().request("/", NAVIGATE, "HEAD").cookies()


def test_cookie_is_set_once(site):
    web = site()
    browser = web.browser()
    assert browser.navigate().cookies()
    for _ in range(3):
        assert not browser.navigate().cookies()
        assert not browser.asset().cookies()


@pytest.mark.parametrize("status", [
    "401 Unauthorized", "403 Forbidden", "404 Not Found", "500 Oops",
    "302 Found"])
def test_page_of_any_status_has_its_cookie(site, status):
    """A login page is sent with 401, a single-page app with 404: they load
    assets."""
    web = site()
    web.play(status=status, fields={"Content-Type": "text/html"})
    web.release(50)
    for _ in range(10):
        browser = web.browser()
        page = browser.navigate()
        assert browser.pin.encode() == page.body
        assert browser.asset().body == page.body


@pytest.mark.parametrize("fields", [
    {"Cache-Control": "public, max-age=60"}, {"Cache-Control": "s-maxage=60"},
    {"Cache-Control": "max-age=5, PUBLIC"},
    {"Cache-Control": "public, max-age=0"},
    {"Cache-Control": "private", "CDN-Cache-Control": "max-age=60"},
    {"Surrogate-Control": "max-age=60"}, {"X-Accel-Expires": "60"},
    {"Expires": "Fri, 31 Dec 2100 23:59:59 GMT"}])
def test_no_cookie_where_shared_caches_keep_it(site, fields):
    web = site()
    web.play(fields=fields)
    answer = web.browser().navigate()
    assert not answer.cookies()
    assert answer.all("Cache-Control") == [
        value for name, value in fields.items() if name == "Cache-Control"]


@pytest.mark.parametrize("fields,expected", [
    ({}, ["private"]), ({"Cache-Control": "no-cache"}, ["private", "no-cache"]),
    ({"Cache-Control": "max-age=0"}, ["private", "max-age=0"]),
    ({"Last-Modified": "Thu, 01 Jan 1970 00:00:00 GMT"}, ["private"]),
    ({"Cache-Control": "no-store"}, ["no-store"]),
    ({"Cache-Control": "private, max-age=9", "X-Accel-Expires": "0"},
     ["private", "max-age=9"])])
def test_cookie_leaves_only_with_what_is_private(site, fields, expected):
    web = site()
    web.play(fields=fields)
    browser = web.browser()
    answer = browser.navigate()
    assert answer.cookies()
    assert answer.list("Cache-Control") == expected
    # Without a cookie the answer is the backend's.
    answer = browser.navigate()
    assert answer.all("Cache-Control") == [
        value for name, value in fields.items() if name == "Cache-Control"]


def test_cookie_is_hidden_from_the_backend(site):
    web = site()
    browser = web.browser()
    browser.navigate()
    browser.asset()
    assert not web.v1.requests[-1].has("Cookie")
    browser.jar = {"a": "1", "perch": browser.jar["perch"], "b": "2"}
    browser.asset()
    assert web.v1.requests[-1].one("Cookie") == "a=1; b=2"


@pytest.mark.parametrize("cookies,expected", [
    ("perch=00000.0.-.v1; a=1", ["a=1"]),
    ("a=1;perch=00000.0.-.v1;b=2", ["a=1", "b=2"]),
    ("a=1; perch=x; perch=y; b=2", ["a=1", "b=2"]),
    ("perchx=1; xperch=2", ["perchx=1", "xperch=2"]),
    ("perch=x; nameless; =odd", ["nameless", "=odd"]),
    ('a="x; y"; perch=00000.0.-.v1', None)])
def test_other_cookies_are_kept(site, cookies, expected):
    web = site()
    web.browser().request("/", {"Cookie": cookies})
    got = web.v1.next_request()
    text = "; ".join(got.all("Cookie"))
    assert not re.search(r"(^|[; ])perch=", text)
    if expected is not None:
        assert [c.strip() for c in text.split(";")] == expected


def test_cookie_in_a_second_line_is_found_and_hidden(site):
    web = site()
    web.release(50)
    browser = web.browsers_of("v2")[0]
    answer = browser.client.request("GET", "/a.js", "test", [
        *SCRIPT.items(), ("Cookie", "a=1"),
        ("Cookie", "perch=" + browser.jar["perch"])])
    assert answer.body == b"v2"
    assert web.v2.requests[-1].list("Cookie") == ["a=1"]


MALFORMED = [
    "", "x", "00000", "00000.0.-", "0000.0.-.v1", "000000.0.-.v1",
    "0000G.0.-.v1", "0000A.0.-.v1", "00000.00.-.v1", "00000.0.x.v1",
    "00000.0.-.", "00000.0.-." + "v" * 65, "00000.0.-.v/1",
    "00000.fffffffff.-.v1", "00000.-.-.v1", "00000.0.-.-.-.-" + "-" * 64,
    "%30", '"00000.0.-.v1"']


@pytest.mark.parametrize("value", MALFORMED)
def test_malformed_cookie_counts_as_absent(site, value):
    web = site()
    browser = web.browser({"perch": value})
    assert browser.asset().body == b"v1"
    answer = browser.navigate()
    assert answer.body == b"v1"
    assert COOKIE.match(answer.cookies()["perch"][0])


def test_foreign_version_is_rewritten(site):
    web = site()
    browser = web.browser({"perch": pin_cookie("12345", "gone")})
    assert browser.asset().body == b"v1"
    browser.navigate()
    assert browser.pin == "v1"
    assert browser.seed == "12345"


# -- a release --------------------------------------------------------------

def test_least_and_full_share(site):
    web = site()
    web.release(LEAST_SHARE)
    versions = [web.browser().navigate().body for _ in range(30)]
    # A third one of v2 would be a chance of one in 200 million.
    assert versions.count(b"v1") >= 28
    web.admin.share("web", 100)
    assert all(web.browser().navigate().body == b"v2" for _ in range(30))


def test_share_is_seen_by_the_next_request(site):
    web = site(workers=2)
    web.release(LEAST_SHARE)
    browsers = web.browsers_of("v1", 8)
    for share, version in ((100, b"v2"), (LEAST_SHARE, b"v1")) * 5:
        web.admin.share("web", share)
        assert {b.navigate().body for b in browsers} == {version}


def test_assets_follow_their_page(site):
    web = site()
    web.release(50)
    for version in ("v1", "v2"):
        browser = web.browsers_of(version)[0]
        assert browser.pin == version
        for _ in range(10):
            assert browser.asset().body == version.encode()
            assert browser.navigate().body == version.encode()


def test_loaded_page_keeps_its_version_while_the_share_moves(site):
    web = site()
    web.release(LEAST_SHARE)
    browser, = web.browsers_of("v1")
    web.admin.share("web", 100)
    assert browser.asset().body == b"v1"
    assert browser.request("/api", FETCH).body == b"v1"
    assert browser.request("/form", NAVIGATE, "POST", b"x").body == b"v1"
    # The next page is the new one, and so are its assets.
    assert browser.navigate().body == b"v2"
    assert browser.asset().body == b"v2"
    web.admin.share("web", LEAST_SHARE)
    assert browser.asset().body == b"v2"
    assert browser.navigate().body == b"v1"
    assert browser.asset().body == b"v1"


def test_page_loaded_before_the_release_keeps_its_version(site):
    web = site()
    browser = web.browser()
    browser.navigate()
    web.release(100)
    assert browser.asset().body == b"v1"
    assert browser.navigate().body == b"v2"


def test_seed_stays_when_the_pin_moves(site):
    web = site()
    web.release(LEAST_SHARE)
    browser = web.browser()
    browser.navigate()
    seed = browser.seed
    for share in (100, LEAST_SHARE, 100):
        web.admin.share("web", share)
        browser.navigate()
        assert browser.seed == seed


def test_first_request_agrees_with_later_ones(site):
    """The seed is drawn before the version is chosen."""
    web = site()
    web.release(50)
    for _ in range(30):
        browser = web.browser()
        first = browser.navigate().body
        assert browser.navigate().body == first


def test_raising_moves_nobody_back(site):
    web = site()
    web.release(LEAST_SHARE)
    browsers = [web.browser({"perch": seed_cookie(i * 5003)})
                for i in range(100)]
    on_candidate = set()
    counts = []
    for share in (LEAST_SHARE, 0.5, 5, 20, 50, 80, 100):
        web.admin.share("web", share)
        now = {i for i, b in enumerate(browsers)
               if b.navigate().body == b"v2"}
        assert on_candidate <= now
        on_candidate = now
        counts.append(len(now))
    # Anything else is a chance of one in millions.
    assert counts[0] <= 3 and counts[-1] == 100
    assert 22 <= counts[4] <= 78


def test_each_release_draws_others_first(site):
    web = site()
    drawn = []
    for _ in range(3):
        web.release(30)
        drawn.append({
            i for i in range(60)
            if web.browser({"perch": seed_cookie(i)}).navigate().body
            == b"v2"})
        web.admin.rollback("web")
    assert drawn[0] != drawn[1] or drawn[1] != drawn[2]


# -- the client key ---------------------------------------------------------

def test_key_keeps_a_client_without_cookies(site):
    web = site({"sticky": {"key": ["header X-User-Id", "cookie session"]}})
    web.release(50)
    seen = set()
    for user in range(30):
        got = {web.browser().request("/", {"X-User-Id": str(user)}).body
               for _ in range(3)}
        assert len(got) == 1
        seen |= got
    assert seen == {b"v1", b"v2"}


def test_cookie_is_seeded_from_the_key(site):
    web = site({"sticky": {"key": ["header X-User-Id"]}})
    seeds = set()
    for _ in range(3):
        browser = web.browser()
        browser.navigate(**{"X-User-Id": "alice"})
        seeds.add(browser.seed)
    assert len(seeds) == 1


def test_logging_in_moves_nobody(site):
    """perch's own cookie wins over a key that turns up later."""
    web = site({"sticky": {"key": ["cookie session"]}})
    web.release(50)
    for i in range(20):
        browser = web.browser()
        version = browser.navigate().body
        browser.jar["session"] = "user-%d" % i
        assert browser.navigate().body == version


def test_identity_by_key(site):
    web = site({"sticky": {"key": ["header X-User-Id"], "identity": "key"}})
    web.release(50)
    for i in range(20):
        user = {"X-User-Id": "user-%d" % i}
        version = web.browser().navigate(**user).body
        # Another device of the same user, with a cookie of its own.
        other = web.browser({"perch": seed_cookie(i * 999)})
        assert other.navigate(**user).body == version


def test_key_by_address(site):
    web = site({"sticky": {"key": ["address"]}})
    web.release(50)
    assert len({web.browser().request("/", FETCH).body
                for _ in range(20)}) == 1


# -- pin: session and none --------------------------------------------------

def test_pin_session_follows_the_cookie_on_navigations(site):
    web = site({"sticky": {"pin": "session"}})
    web.release(LEAST_SHARE)
    old, = web.browsers_of("v1")
    web.admin.share("web", 100)
    assert old.navigate().body == b"v1"
    new = web.browser()
    assert new.navigate().body == b"v2"
    web.admin.share("web", LEAST_SHARE)
    assert new.navigate().body == b"v2"
    web.admin.rollback("web")
    assert new.navigate().body == b"v1"


def test_override_to_a_version_that_refuses_connections(site):
    """Once that is known, the next rule is asked."""
    web = site(OVERRIDE)
    web.v2.stop()
    browser = web.browser()
    asked = {"X-Perch-Version": "v2"}
    assert browser.request("/", asked).status == 502
    assert browser.request("/", asked).body == b"v1"
    # Who looks at a version on purpose isn't pinned to it.
    assert not browser.navigate(**{"X-Perch-Version": "v1"}).has("Set-Cookie")


def test_pin_none_sets_one_cookie(site):
    web = site({"sticky": {"pin": "none"}})
    web.play()
    browser = web.browser()
    assert browser.navigate().has("Set-Cookie")
    assert not browser.navigate().has("Set-Cookie")


def test_pin_none_uses_the_bucket_alone(site):
    web = site({"sticky": {"pin": "none"}})
    web.release(LEAST_SHARE)
    browser, = web.browsers_of("v1")
    web.admin.share("web", 100)
    assert browser.asset().body == b"v2"


# -- the end of a release ---------------------------------------------------

def test_rollback_voids_pins(site):
    web = site()
    web.release(100)
    browser = web.browser()
    assert browser.navigate().body == b"v2"
    web.admin.rollback("web")
    assert browser.asset().body == b"v1"
    assert browser.navigate().body == b"v1"
    assert browser.pin == "v1"


def test_pin_of_an_earlier_release_does_not_count_in_a_later_one(site):
    web = site()
    web.release(100)
    browsers = [web.browser() for _ in range(3)]
    for browser in browsers:
        browser.navigate()
    web.admin.rollback("web")
    web.release(LEAST_SHARE)
    # One in 10,000 is drawn again.
    assert [b.asset().body for b in browsers].count(b"v1") >= 2


def test_promote_makes_the_candidate_stable(site):
    web = site()
    web.release(10)
    web.admin.promote("web")
    for _ in range(20):
        assert web.browser().navigate().body == b"v2"


def test_old_version_drains_after_promote(site):
    web = site()
    web.release(LEAST_SHARE)
    old, = web.browsers_of("v1")
    web.admin.promote("web")
    assert old.asset().body == b"v1"
    assert old.navigate().body == b"v2"
    assert old.asset().body == b"v2"


def test_candidates_pin_outlives_its_promotion(site):
    web = site()
    web.release(100)
    browser = web.browser()
    browser.navigate()
    web.admin.promote("web")
    assert browser.asset().body == b"v2"


def test_draining_ends(site):
    web = site({"drain": "300ms"})
    web.release(LEAST_SHARE)
    old, = web.browsers_of("v1")
    web.admin.promote("web")
    wait_for("the drain to be over", lambda: old.asset().body == b"v2")


def test_release_back_to_the_old_version(site):
    web = site()
    web.release(100)
    web.admin.promote("web")
    web.admin.release("web", "v1", 100)
    assert web.browser().navigate().body == b"v1"


# -- the override header ----------------------------------------------------

VERSION = "X-Perch-Version"



@pytest.mark.parametrize("value,version", [
    ("v2", b"v2"), ("web=v2", b"v2"), ("other=v9, web=v2", b"v2"),
    ("web=v2,other=v9", b"v2"), ("v1", b"v1"), ("other=v2", b"v1"),
    ("nonsense", b"v1"), ("web=nonsense", b"v1"), ("", b"v1"),
    ("=v2", b"v1"), ("V2", b"v1")])
def test_override_from_a_trusted_peer(site, value, version):
    web = site(OVERRIDE)
    assert web.browser().request("/", {VERSION: value}).body == version
    backend = web.v2 if version == b"v2" else web.v1
    assert backend.next_request().one(VERSION) in (
        "web=" + version.decode(),
        # What is said of other services may go on to them.
        "web=v2, other=v9", "other=v9, web=v2", "web=v1, other=v2")


def test_override_beats_the_pin(site):
    web = site(OVERRIDE)
    browser = web.browser()
    browser.navigate()
    assert browser.asset(**{VERSION: "v2"}).body == b"v2"


def test_override_from_an_untrusted_peer_is_ignored(site):
    web = site(OVERRIDE, trusted_proxies=[])
    assert web.browser().request("/", {VERSION: "v2"}).body == b"v1"
    assert web.v1.next_request().one(VERSION) == "web=v1"


def test_override_is_off_unless_asked_for(site):
    """A proxy on the same machine makes everybody trusted."""
    web = site()
    assert web.browser().request("/", {VERSION: "v2"}).body == b"v1"
    web.release(LEAST_SHARE)
    browser, = web.browsers_of("v1")
    assert browser.asset(**{VERSION: "web=v2"}).body == b"v1"


def test_override_by_key(site, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("# of the testers\n\nthe first tester's key\n"
                    "the second tester's key\n")
    web = site({"sticky": {"override": "key", "override_keys": str(keys)}},
               trusted_proxies=[])

    def asked(key):
        return web.browser().request(
            "/", dict({VERSION: "v2"}, **({"X-Perch-Key": key} if key else {}))
        ).body
    assert asked("the second tester's key") == b"v2"
    assert not web.v2.next_request().has("X-Perch-Key")
    for key in (None, "", "the first tester's ke", "# of the testers",
                "THE FIRST TESTER'S KEY"):
        assert asked(key) == b"v1"
    assert not any(r.has("X-Perch-Key") for r in web.v1.requests)


def test_override_open_to_any(site):
    web = site({"sticky": {"override": "any"}}, trusted_proxies=[])
    assert web.browser().request("/", {VERSION: "v2"}).body == b"v2"


def test_override_by_a_header_of_ones_own(site):
    web = site({"sticky": {"header": "X-Build", "override": "trusted"}})
    assert web.browser().request("/", {"X-Build": "v2"}).body == b"v2"
    assert web.v2.next_request().one("X-Build") == "web=v2"
    assert web.browser().request("/", {VERSION: "v2"}).body == b"v1"


# -- caches -----------------------------------------------------------------

@pytest.mark.parametrize("cache", [
    "public, max-age=60", "max-age=60, public", "s-maxage=60"])
def test_page_is_private_while_a_release_runs(site, cache):
    web = site()
    web.play(fields={"Cache-Control": cache})
    assert web.browser().navigate().one("Cache-Control") == cache
    web.release(50)
    for _ in range(5):
        answer = web.browser().navigate()
        elements = [e.lower() for e in answer.list("Cache-Control")]
        assert "private" in elements
        assert "public" not in elements
        assert not [e for e in elements if e.startswith("s-maxage")]
        assert answer.cookies()
    # Assets name their version by their hash: they stay public.
    web.play(fields={"Cache-Control": cache,
                     "Content-Type": "text/javascript"})
    assert web.browser().asset().one("Cache-Control") == cache
    web.admin.rollback("web")
    assert web.browser().navigate().one("Cache-Control") == cache


ASKED = {
    "any type": ({"Accept": "*/*"}, "GET"), "nothing": ({}, "GET"),
    "prefetch": (dict(NAVIGATE, **{"Sec-Purpose": "prefetch"}), "GET"),
    "fetch": (FETCH, "GET"), "HEAD": ({"Accept": "text/html"}, "HEAD"),
    "iframe": (dict(NAVIGATE, **{"Sec-Fetch-Dest": "iframe"}), "GET")}
KEPT = {
    "public": {"Cache-Control": "public, max-age=60"},
    "heuristics": {"Last-Modified": "Thu, 01 Jan 1970 00:00:00 GMT"},
    "asked about": {"Cache-Control": "no-cache"},
    "Expires": {"Expires": "Fri, 31 Dec 2100 23:59:59 GMT"},
    "a field": {"Cache-Control": 'private="X-A", max-age=9'}}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("kept", KEPT)
def test_page_is_private_whatever_asks_for_it(site, asked, kept):
    """One such answer would give the candidate's page to a whole CDN."""
    web = site()
    web.play(fields=dict(KEPT[kept], **{
        "Content-Type": "text/html; charset=utf-8"}))
    fields, method = ASKED[asked]
    web.release(50)
    for _ in range(4):
        answer = web.browser().request("/", fields, method)
        elements = [e.lower() for e in answer.list("Cache-Control")]
        assert "private" in elements
        assert "public" not in elements


@pytest.mark.parametrize("name", [
    "CDN-Cache-Control", "Cloudflare-CDN-Cache-Control", "Surrogate-Control",
    "X-Accel-Expires", "Edge-Control", "Some-Vendors-CDN-Cache-Control"])
def test_what_overrules_private_is_dropped(site, name):
    web = site()
    fields = {"Cache-Control": "private", name: "max-age=600"}
    web.play(fields=dict(fields, **{"Content-Type": "text/html"}))
    assert web.browser().navigate().has(name)
    web.release(50)
    assert not web.browser().navigate().has(name)
    assert not web.browser().request("/", {"Accept": "*/*"}).has(name)
    web.play(fields=dict(fields, **{"Content-Type": "text/css"}))
    assert web.browser().asset().has(name)


def test_part_that_stands_for_a_page_is_private(site):
    """As Next.js fetches it, with s-maxage of a year."""
    web = site()
    web.play(fields={"Content-Type": "text/x-component",
                     "Cache-Control": "s-maxage=31536000"})
    web.release(50)
    answer = web.browser().request("/?_rsc=x", FETCH)
    assert answer.list("Cache-Control") == ["private"]


def test_redirect_to_a_page_is_private(site):
    """A 301 is kept even if nothing says so."""
    web = site()
    web.play(status="301 Moved Permanently", fields={"Location": "/new"})
    web.release(50)
    assert web.browser().request("/").list("Cache-Control") == ["private"]


def test_cacheable_strict(site):
    web = site({"sticky": {"cacheable": "strict"}})
    web.play(fields={"Cache-Control": "public", "Content-Type": "text/css"})
    assert web.browser().asset().one("Cache-Control") == "public"
    web.release(50)
    assert web.browser().asset().one("Cache-Control") == "private"


def test_cacheable_keep_goes_by_the_address(site):
    """No cookie comes with such pages: nobody is to change at each reload."""
    web = site({"sticky": {"cacheable": "keep"}})
    web.play(fields={"Cache-Control": "public", "Content-Type": "text/html"})
    web.release(50)
    for i in range(12):
        client = {"X-Forwarded-For": "192.0.2.%d" % i}
        got = {web.browser().navigate(**client).body for _ in range(3)}
        got |= {web.browser().asset(**client).body for _ in range(3)}
        assert len(got) == 1


def test_cacheable_keep(site):
    web = site({"sticky": {"cacheable": "keep"}})
    web.play(fields={"Cache-Control": "public"})
    web.release(50)
    assert web.browser().navigate().one("Cache-Control") == "public"


CONDITIONS = {
    "If-None-Match": '"x"', "Range": "bytes=0-1", "If-Range": '"x"',
    "If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"}


def test_conditions_are_dropped_where_the_version_changes(site):
    web = site()
    web.release(LEAST_SHARE)
    browser, = web.browsers_of("v1")
    browser.navigate(**CONDITIONS)
    kept = web.v1.requests[-1]
    assert all(kept.has(name) for name in CONDITIONS)
    web.admin.share("web", 100)
    assert browser.navigate(**CONDITIONS).body == b"v2"
    dropped = web.v2.requests[-1]
    assert not any(dropped.has(name) for name in CONDITIONS)
    # And once it has moved they mean the new version.
    browser.navigate(**CONDITIONS)
    kept = web.v2.requests[-1]
    assert all(kept.has(name) for name in CONDITIONS)


WRITE_CONDITIONS = {
    "If-Match": '"x"', "If-None-Match": "*",
    "If-Unmodified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "POST", "DELETE"])
def test_conditions_of_a_write_stay(site, method):
    """Without its condition it would overwrite what it must not."""
    web = site()
    web.release(100)
    browser = web.browser()
    assert browser.navigate().body == b"v2"
    web.admin.rollback("web")
    fields = dict(FETCH, Cookie="perch=" + browser.jar["perch"],
                  **WRITE_CONDITIONS)
    answer = browser.client.request(method, "/a", "test", fields, b"x")
    assert answer.body == b"v1"
    kept = web.v1.requests[-1]
    assert all(kept.has(name) for name in WRITE_CONDITIONS)


# -- cookie settings --------------------------------------------------------

def test_cookie_attributes_from_the_config(site):
    web = site({"sticky": {"cookie": "build", "domain": "example.com",
                           "lifetime": "1h"}})
    (name, (value, attributes)), = \
        web.browser().navigate().cookies().items()
    assert name == "build"
    assert COOKIE.match(value)
    assert attributes == {"path=/", "httponly", "samesite=lax",
                          "domain=example.com", "max-age=3600"}


@pytest.mark.parametrize("sticky,fields,expected", [
    ({}, {}, {"samesite=lax"}),
    ({}, {"X-Forwarded-Proto": "https"}, {"samesite=lax", "secure"}),
    ({}, {"X-Forwarded-Proto": "HTTPS, http"}, {"samesite=lax", "secure"}),
    ({}, {"X-Forwarded-Proto": "http"}, {"samesite=lax"}),
    ({"secure": "always"}, {}, {"samesite=lax", "secure"}),
    ({"secure": "never"}, {"X-Forwarded-Proto": "https"}, {"samesite=lax"}),
    ({"same_site": "strict"}, {}, {"samesite=strict"}),
    ({"same_site": "none", "secure": "always"}, {},
     {"samesite=none", "secure"}),
    # Browsers take None from Secure cookies only.
    ({"same_site": "none"}, {}, {"samesite=lax"}),
    ({"same_site": "none", "partitioned": True},
     {"X-Forwarded-Proto": "https"},
     {"samesite=none", "secure", "partitioned"}),
    ({"same_site": "none", "partitioned": True}, {}, {"samesite=lax"})],
    ids=repr)
def test_same_site_and_secure(site, sticky, fields, expected):
    web = site({"sticky": sticky})
    _, attributes = web.browser().navigate(**fields).cookies()["perch"]
    assert attributes - {"path=/", "httponly"} == expected


def test_strangers_do_not_say_what_is_secure(site):
    web = site(trusted_proxies=[])
    _, attributes = web.browser().navigate(
        **{"X-Forwarded-Proto": "https"}).cookies()["perch"]
    assert "secure" not in attributes


def test_services_of_one_host_have_cookies_of_their_own(start, backends):
    pages, api = backends("pages", "api")
    perch = start({
        "pages": {"match": {"hosts": ["site"]}, "stable": "v1",
                  "versions": {"v1": pages, "v2": pages}},
        "api": {"match": {"hosts": ["site"], "paths": ["/api"]},
                "versions": {"v1": api, "v2": api}, "stable": "v1"}})
    with RawClient(perch.port) as client:
        browser = Browser(client, "site")
        assert len(browser.navigate("/").cookies()) == 1
        assert len(browser.navigate("/api").cookies()) == 1
        assert len(browser.jar) == 2
        assert not browser.navigate("/").cookies()
        assert not browser.navigate("/api").cookies()


def test_backends_own_cookies_pass(site):
    web = site()
    web.play(fields=[("Set-Cookie", "session=1; Path=/x"),
                     ("Set-Cookie", "b=2")])
    cookies = web.browser().navigate().cookies()
    assert cookies["session"] == ("1", {"path=/x"})
    assert set(cookies) == {"session", "b", "perch"}


# -- a version that is dead -------------------------------------------------

def test_pin_to_a_dead_pool_counts_as_absent(site):
    """Nobody is ever stuck on a dead pool."""
    web = site()
    web.release(LEAST_SHARE)
    old, = web.browsers_of("v1")
    web.admin.promote("web")
    assert old.asset().body == b"v1"
    web.v1.stop()
    wait_for("the dead pool to be left", lambda: old.asset().body == b"v2")
