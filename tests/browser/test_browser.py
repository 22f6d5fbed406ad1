"""A real browser over a whole release: no page of two versions.

Pins alone do it where all tabs of a client load their late part between the
change of the share and the client's next new page. From then on its cookie is
of the new page, and a tab of the old one needs rescue: a story of its own.
"""

import itertools

import pytest

from perchtest import LEAST_SHARE, Browser, RawClient, seed_cookie, wait_for

RISING = [1, 5, 10, 20, 50, 80, 100]
FALLING = [50, LEAST_SHARE]
TABS = ["first", "second", "third"]


def find_movers(perch, shares):
    """Share -> the seed of a client that moves between it and the one before,
    so that few clients are enough to see every change."""
    movers = {}
    seeds = itertools.count()
    with RawClient(perch.port) as connection:
        def is_moved(seed):
            answer = Browser(connection, jar={
                "perch": seed_cookie(seed, "shop")}).navigate()
            return b'name="version" content="v2"' in answer.body

        for before, share in zip([LEAST_SHARE, *shares], shares):
            while share not in movers:
                perch.admin.share("shop", share)
                seed = next(filter(is_moved, seeds))
                perch.admin.share("shop", before)
                if not is_moved(seed):
                    movers[share] = seed
    perch.admin.share("shop", LEAST_SHARE)
    return movers


def assert_whole(reports, builds, assets):
    """Each tab is of one version and loaded so many assets, all of it."""
    assert [r for r in reports if not r.is_whole()] == []
    for report in reports:
        versions = [builds.version_of[path] for path, _ in report.assets]
        assert versions == [report.page] * assets, report


def versions_of(reports):
    """Client -> the one version that its tabs show."""
    versions = {}
    for report in reports:
        client = report.tab[0]
        assert versions.setdefault(client, report.page) == report.page
    return versions


class Story:
    """Clients with several tabs each, of which every one has to be whole."""

    def __init__(self, browser, builds, url, has_caches=True):
        self.browser = browser
        self.builds = builds
        self.url = url
        self.has_caches = has_caches
        self.clients = []
        self.count = 0  # of pages and late parts that were loaded

    def open_client(self, name, seed=None):
        """Every other one without a cache: it asks perch for everything."""
        cookies = [] if seed is None else [
            {"name": "perch", "value": seed_cookie(seed, "shop"), "url": self.url}]
        self.browser.open_client(name, cookies, is_caching=self.has_caches
                                 and len(self.clients) % 2 == 0)
        self.clients.append(name)

    def tabs(self, *names):
        return [(client, name) for client in self.clients for name in names]

    def step(self, tabs, action, assets):
        reports = self.browser.each(tabs, action, self.url)
        assert_whole(reports, self.builds, assets)
        if assets:
            self.count += len(reports)
        return reports

    def open_pages(self):
        """New pages in every tab, by address and reloaded: client -> version.
        First in one tab: a client without a cookie is a new one each time."""
        one, *others = TABS
        return versions_of(
            self.step(self.tabs(one), "visit", 2) +
            self.step(self.tabs(*others), "reload", 2))

    def load_late_parts(self, *names):
        reports = self.step(self.tabs(*(names or TABS)), "details", 1)
        assert all(r.details == r.page for r in reports), reports

    def end(self):
        """Nothing is left to complain of."""
        self.step(self.tabs(*TABS), "look", 0)


def count_rescues(perch):
    return perch.admin.metrics().sum("perch_rescues_total")


# Browsers send Sec-Fetch-* to trustworthy origins only. Over plain http that
# is this host and no other: perch has to know pages in both ways.
@pytest.mark.parametrize(
    "host, rising", [("127.0.0.1", RISING), ("shop.test", [10, 50, 100])])
def test_a_whole_release(host, rising, shop, browser, builds, screenshots):
    shop.admin.release("shop", "v2", LEAST_SHARE)
    story = Story(browser, builds, "http://%s:%d/" % (host, shop.port))
    moves_at = {}
    for share, seed in find_movers(shop, rising).items():
        story.open_client("moves at %d" % share, seed)
        moves_at[story.clients[-1]] = share
    story.open_client("has no cookie yet")
    story.open_pages()

    shares = [LEAST_SHARE] + rising + FALLING
    for share in shares:
        shop.admin.share("shop", share)
        story.load_late_parts()
        versions = story.open_pages()
        for client, at in moves_at.items():
            assert versions[client] == ("v2" if at <= share else "v1")
        if share == 100:
            assert len(set(versions.values())) == 1
        if share == 50:
            for version, at in ("v1", 100), ("v2", 50):
                browser.screenshot(("moves at %d" % at, TABS[0]),
                                   screenshots("%s-%s" % (host, version)))
    story.load_late_parts()
    story.end()
    loads = 2 * len(story.tabs(*TABS)) * (1 + len(shares))
    assert story.count == loads
    assert count_rescues(shop) == 0


def test_newcomers_at_every_share(shop, browser, builds):
    """A first page brings the cookie that its own assets are asked with."""
    shop.admin.release("shop", "v2", LEAST_SHARE)
    story = Story(browser, builds, "http://127.0.0.1:%d/" % shop.port)
    newcomer = []
    for i, share in enumerate([LEAST_SHARE] + RISING + FALLING):
        shop.admin.share("shop", share)
        story.step(newcomer, "details", 1)
        client = "newcomer %d, at %d" % (i, share)
        story.open_client(client)
        newcomer = [(client, TABS[0])]
        report, = story.step(newcomer, "visit", 2)
        assert browser.cookies(client)["perch"].split(".")[5:-1] == [report.page]
        if share == 100:
            assert report.page == "v2"
    story.step(newcomer, "details", 1)
    story.step(story.tabs(TABS[0]), "look", 0)
    assert count_rescues(shop) == 0


def test_promotion_leaves_open_tabs_whole(shop, browser, builds):
    shop.admin.release("shop", "v2", 50)
    story = Story(browser, builds, "http://127.0.0.1:%d/" % shop.port)
    for i in range(4):
        story.open_client("client %d" % i)
    story.open_pages()
    shop.admin.promote("shop")
    story.load_late_parts()
    assert set(story.open_pages().values()) == {"v2"}
    story.load_late_parts()
    story.end()
    assert count_rescues(shop) == 0


def test_tabs_that_outlive_their_cookie(shop, browser, builds):
    """The cookie is the client's, not the tab's; and a rollback voids it."""
    one, *others = TABS
    shop.admin.release("shop", "v2", 50)
    story = Story(browser, builds, "http://127.0.0.1:%d/" % shop.port)
    for i in range(4):
        story.open_client("client %d" % i)
    # Without a cookie each tab draws a version, and the last one's stays.
    story.step(story.tabs(*TABS), "visit", 2)
    story.load_late_parts()

    shop.admin.rollback("shop")
    assert set(story.open_pages().values()) == {"v1"}
    shop.admin.release("shop", "v2", 100)
    story.step(story.tabs(one), "visit", 2)
    late = story.step(story.tabs(*others), "details", 1)
    assert {report.page for report in late} == {"v1"}
    wait_for("rescues", lambda: count_rescues(shop) > 0)

    story.step(story.tabs(*others), "reload", 2)
    before = count_rescues(shop)
    shop.admin.rollback("shop")
    late = story.step(story.tabs(*TABS), "details", 1)
    assert {report.page for report in late} == {"v2"}
    wait_for("more of them", lambda: count_rescues(shop) > before)
    assert set(story.open_pages().values()) == {"v1"}
    story.end()


class Company:
    """Clients who go on from page to page while a release goes on by itself;
    nobody waits for the other, so the share may change between any two steps,
    and what pins can't do for tabs of one client is rescue's to do."""

    def __init__(self, perch, browser, builds, clients, has_caches=True):
        self.perch = perch
        self.story = Story(browser, builds, "http://127.0.0.1:%d/"
                           % perch.port, has_caches)
        for i in range(clients):
            self.story.open_client("client %d" % i)
        self.seen = set()  # versions of pages
        self.open_pages(*TABS)

    def release(self):
        return self.perch.admin.service("shop")["release"]

    def open_pages(self, *names):
        """The versions that these tabs show then."""
        pages = self.story.step(self.story.tabs(*names), "visit", 2)
        now = {report.page for report in pages}
        self.seen |= now
        return now

    def go_on(self, *names):
        """What a page loads late comes when there may be another share."""
        self.story.load_late_parts(*names)
        return self.open_pages(*(names or TABS))

    def go_on_until(self, is_over, *names):
        while not is_over():
            self.go_on(*names)

    def has_ended(self):
        return not self.release()["running"]


def test_a_release_that_drives_itself(busy_shop, browser, builds):
    shop = busy_shop(steps=[5, 20, 50, 100], hold="3s")
    company = Company(shop, browser, builds, 5)
    assert company.seen == {"v1"}
    shop.admin.do("/api/v1/services/shop/release", {"version": "v2"})
    company.go_on_until(company.has_ended)
    assert company.release()["reason"] == "done: v2 is stable now"
    assert company.go_on() == {"v2"}
    company.story.load_late_parts()
    company.story.end()


def test_a_release_that_rolls_itself_back(busy_shop, browser, builds):
    """Its server begins to fail in the middle. Pages that are opened then are
    the old version's, and those that were open stay whole: one tab of each
    client rests meanwhile. What it loads then another tab may have loaded
    before, and a cache would ask nobody."""
    shop = busy_shop(steps=[5, 50, 100], hold="20s")
    company = Company(shop, browser, builds, 5, has_caches=False)
    shop.admin.do("/api/v1/services/shop/release",
                  {"version": "v2", "share": 50})
    company.go_on_until(lambda: "v2" in company.seen)
    one, *others = TABS
    resting = company.open_pages(one)
    assert "v2" in resting
    before = count_rescues(shop)
    with builds.failing_pages("v2"):
        company.go_on_until(company.has_ended, *others)
        reason = company.release()["reason"]
        assert reason.startswith("rolled back: errors: "), reason
        company.story.load_late_parts(one)
        wait_for("rescues", lambda: count_rescues(shop) > before)
        company.story.load_late_parts(*others)
        assert company.open_pages(*TABS) == {"v1"}
    company.story.load_late_parts()
    company.story.end()


def test_plain_weighted_routing_breaks_pages(
        plain, browser, screenshots):
    """What perch is for, and the proof that the tests above can see it."""
    tabs = []
    # Of so many tabs one at least is white, but for one time in a billion.
    for i in range(10):
        browser.open_client("client %d" % i, is_caching=False)
        tabs += [("client %d" % i, name) for name in TABS]
    reports = browser.each(tabs, "visit", "http://127.0.0.1:%d/" % plain)
    broken = [r for r in reports if not r.is_whole()]
    assert any(status == 404 for r in broken for _, status in r.assets)
    assert any(text.startswith("console: ") and "404" in text
               for r in broken for text in r.problems)
    white = [r for r in broken if r.script is None]
    assert white
    late = browser.each(tabs, "details")
    assert len(broken) + sum(not r.is_whole() for r in late) > len(tabs) // 2
    browser.screenshot(white[0].tab, screenshots("plain-white"))
