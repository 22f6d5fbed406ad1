"""The cookie's name when services come to a host and go: nobody is drawn
anew."""

import contextlib

import pytest

from perchtest import Browser, RawClient, wait_for

HOST = {"match": {"hosts": ["site"]}}
CLIENTS = 12


class Site:
    """The host "site": the service web in two versions, half of the clients
    on each, and the service api beside it, or not."""

    def __init__(self, start, backends, stack, has_api):
        self.v1, self.v2, self.api = backends("v1", "v2", "api")
        self._stack = stack
        self.services = {"web": dict(HOST, versions={
            "v1": self.v1, "v2": self.v2}, stable="v1")}
        self.api_service = {
            "match": {"hosts": ["site"], "paths": ["/api"]},
            "versions": {"a1": self.api}}
        if has_api:
            self.services["api"] = self.api_service
        self.perch = start(self.services)
        self.perch.admin.release("web", "v2", 50)

    def browser(self):
        client = self._stack.enter_context(RawClient(self.perch.port))
        return Browser(client, "site")

    def browsers(self):
        """[(browser, its version)], of both versions."""
        found = {}
        while len(found) < CLIENTS or len(set(found.values())) < 2:
            browser = self.browser()
            found[browser] = browser.navigate().body
        return list(found.items())

    def add_api(self):
        self.perch.change({"api": self.api_service})
        self.perch.reload()
        self._wait_api(b"api")

    def remove_api(self):
        del self.perch.config["services"]["api"]
        self.perch.write_config()
        self.perch.reload()
        self._wait_api(b"v1", b"v2")

    def _wait_api(self, *bodies):
        wait_for("the reload to be everywhere", lambda: self.browser()
                 .request("/api").body in bodies)

    def name_now(self):
        """What a client that is new here gets."""
        name, = self.browser().navigate().cookies()
        return name


@pytest.fixture
def site(start, backends):
    with contextlib.ExitStack() as stack:
        yield lambda **options: Site(start, backends, stack, **options)


def assert_kept(browsers):
    for browser, version in browsers:
        # The pin of the page that is loaded, then the seed.
        assert browser.asset().body == version
        assert browser.navigate().body == version
        assert browser.asset().body == version


def test_version_is_kept_when_a_service_joins_the_host(site):
    web = site(has_api=False)
    browsers = web.browsers()
    assert all(set(b.jar) == {"perch"} for b, _ in browsers)
    web.add_api()
    assert web.name_now() == "perch_web"
    assert_kept(browsers)


def test_version_is_kept_when_a_service_leaves_the_host(site):
    web = site(has_api=True)
    browsers = web.browsers()
    assert all(set(b.jar) == {"perch_web"} for b, _ in browsers)
    web.remove_api()
    assert web.name_now() == "perch"
    assert_kept(browsers)


def test_pin_under_the_former_name_is_kept_while_the_share_moves(site):
    """The page that a client has loaded gets its own assets, not those of
    the version that its bucket is now given."""
    web = site(has_api=False)
    browsers = web.browsers()
    web.add_api()
    web.perch.admin.share("web", 100)
    for browser, version in browsers:
        assert browser.asset().body == version
        assert browser.navigate().body == b"v2"
        assert browser.asset().body == b"v2"
        # From then on the name is the new one, and that counts.
        if version == b"v1":
            assert set(browser.jar) == {"perch", "perch_web"}


def test_cookies_of_both_names_stay_hidden(site):
    web = site(has_api=False)
    (browser, version), *_ = web.browsers()
    web.add_api()
    backend = web.v1 if version == b"v1" else web.v2
    browser.jar["a"] = "1"
    browser.asset()
    assert backend.requests[-1].one("Cookie") == "a=1"
