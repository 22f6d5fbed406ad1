"""What survives a restart: stable version, release, share and seed."""

import os
import resource
import time

import pytest

from perchtest import LEAST_SHARE, RawClient, seed_cookie
from perchtest.browser import Browser
from perchtest.wait import wait_for

CLIENTS = 60


@pytest.fixture
def web(start, backends):
    v1, v2 = backends("v1", "v2")
    return start({"web": {"versions": {"v1": v1, "v2": v2},
                          "stable": "v1"}}, state=True)


def placement(perch):
    """Which version each of many clients gets, by their seeds."""
    with RawClient(perch.port) as client:
        return [Browser(client, jar={
            "perch": seed_cookie(i * 7919)}).navigate().body
            for i in range(CLIENTS)]


def stop(perch, how):
    if how == "term":
        perch.stop()
    else:
        perch.kill()


@pytest.mark.parametrize("how", ["term", "kill"])
def test_restart_does_not_reshuffle_clients(web, how):
    web.admin.release("web", "v2", 10)
    web.admin.share("web", 37.5)
    before = placement(web)
    assert b"v1" in before and b"v2" in before
    with RawClient(web.port) as client:
        browser = Browser(client)
        page = browser.navigate().body
    stop(web, how)
    web.start()
    assert placement(web) == before
    with RawClient(web.port) as client:
        again = Browser(client, jar=browser.jar)
        assert again.asset().body == page
        assert again.navigate().body == page
        assert not again.navigate().cookies()
    web.admin.share("web", 100)
    assert set(placement(web)) == {b"v2"}


@pytest.mark.parametrize("how", ["term", "kill"])
def test_candidates_pins_survive(web, how):
    web.admin.release("web", "v2", 100)
    with RawClient(web.port) as client:
        browser = Browser(client)
        assert browser.navigate().body == b"v2"
    web.admin.share("web", LEAST_SHARE)
    stop(web, how)
    web.start()
    with RawClient(web.port) as client:
        assert Browser(client, jar=browser.jar).asset().body == b"v2"


@pytest.mark.parametrize("how", ["term", "kill"])
def test_promotion_survives(web, how):
    """Although the config still says v1."""
    with RawClient(web.port) as client:
        old = Browser(client)
        old.navigate()
    web.admin.release("web", "v2", 50)
    web.admin.promote("web")
    stop(web, how)
    web.start()
    assert set(placement(web)) == {b"v2"}
    # And the old version still drains.
    with RawClient(web.port) as client:
        assert Browser(client, jar=old.jar).asset().body == b"v1"


@pytest.mark.parametrize("is_restarted", [True, False])
def test_draining_ends_after_a_restart_and_without(web, is_restarted):
    web.config["services"]["web"]["drain"] = "3s"
    web.write_config()
    web.reload()
    web.admin.release("web", "v2", 50)
    promoted = time.monotonic()
    web.admin.promote("web")
    if is_restarted:
        web.stop()
        web.start()

    def standing():
        versions = web.admin.service("web")["versions"]
        return next(one["standing"] for one in versions
                    if one["name"] == "v1")

    # Unless a busy machine has taken all of its time.
    assert standing() == "draining" or time.monotonic() - promoted > 3
    wait_for("the old version to have drained",
             lambda: standing() == "assets_only")


def test_rollback_survives(web):
    web.admin.release("web", "v2", 100)
    with RawClient(web.port) as client:
        browser = Browser(client)
        browser.navigate()
    web.admin.rollback("web")
    web.kill()
    web.start()
    assert set(placement(web)) == {b"v1"}
    with RawClient(web.port) as client:
        assert Browser(client, jar=browser.jar).asset().body == b"v1"


def test_changed_stable_of_the_config_wins(web):
    web.admin.release("web", "v2", 50)
    web.admin.promote("web")
    web.stop()
    web.config["services"]["web"]["stable"] = "v2"
    web.write_config()
    web.start()
    assert set(placement(web)) == {b"v2"}
    web.stop()
    web.config["services"]["web"]["stable"] = "v1"
    web.write_config()
    web.start()
    assert set(placement(web)) == {b"v1"}


def test_reload_does_not_end_a_release(web):
    web.admin.release("web", "v2", 30)
    before = placement(web)
    web.change(limits={"target": "4KiB"})
    web.reload()
    assert placement(web) == before


def test_reload_brings_a_version_that_can_be_released(web, backends):
    v3 = backends("v3")
    service = dict(web.config["services"]["web"])
    service["versions"] = dict(service["versions"], v3=v3)
    web.change({"web": service})
    web.reload(lambda: "v3" in web.admin.get("/api/v1/services/web")
               .decode())
    web.admin.release("web", "v3", 100)
    assert set(placement(web)) == {b"v3"}


def test_broken_state_is_no_silent_fresh_start(web):
    """A state file that can't be read must not pass for none."""
    web.admin.release("web", "v2", 50)
    web.stop()
    folder = web.config["state_dir"]
    files = [os.path.join(folder, name) for name in os.listdir(folder)]
    assert files
    for name in files:
        with open(name, "w") as out:
            out.write("{ not what perch wrote")
    mark = len(web.stderr())
    try:
        web.start()
    except AssertionError:
        # It refuses to start and says why: good too.
        web.is_killed = True
    assert any(os.path.basename(f) in web.stderr()[mark:] or
               folder in web.stderr()[mark:] for f in files)


def test_without_a_state_dir_it_starts_afresh(start, backends):
    v1, v2 = backends("v1", "v2")
    perch = start({"web": {"versions": {"v1": v1, "v2": v2},
                           "stable": "v1"}})
    perch.admin.release("web", "v2", 100)
    perch.stop()
    perch.start()
    assert set(placement(perch)) == {b"v1"}


# -- groups -------------------------------------------------------------------

@pytest.fixture
def shop(start, backends):
    """A group of two whose versions have the same names."""
    e1, e2, p1, p2 = backends("e1", "e2", "p1", "p2")
    return start({
        "entry": {"versions": {"v1": e1, "v2": e2}, "group": "shop",
                  "match": {"hosts": ["entry.test"]}},
        "page": {"versions": {"v1": p1, "v2": p2}, "group": "shop",
                 "match": {"hosts": ["page.test"]}}}, state=True)


def regroup(perch, service, group):
    """Restarts it with the service in that group, or alone."""
    perch.stop()
    perch.config["services"][service].pop("group", None)
    if group:
        perch.config["services"][service]["group"] = group
    perch.write_config()
    perch.start()


def remove_entry(shop):
    shop.stop()
    del shop.config["services"]["entry"]
    shop.write_config()
    shop.start()


def ungroup_entry(shop):
    regroup(shop, "entry", None)


def page_of(perch, service):
    with RawClient(perch.port) as client:
        return Browser(client, service + ".test").navigate().body.decode()


@pytest.mark.parametrize("change", [remove_entry, ungroup_entry])
@pytest.mark.parametrize("word, page", [
    (None, "p1"), ("rollback", "p1"), ("promote", "p2")])
def test_service_has_left_its_group(shop, change, word, page):
    """A release that ran is rolled back for those who stay, too; one that was
    over stays as it ended."""
    shop.admin.release("shop", "v2", 100)
    if word:
        shop.admin.do("/api/v1/services/shop/" + word, {})
    change(shop)
    for _ in range(2):
        release = shop.admin.service("shop")["release"]
        assert release["services"] == ["page"] and not release["running"]
        release = wait_for("its end to be told", lambda: (
            lambda release: release if release["state"] == (
                "done" if word == "promote" else "rolled_back")
            else None)(shop.admin.service("shop")["release"]))
        assert release["reason"]
        assert page_of(shop, "page") == page
        if change is ungroup_entry:
            assert page_of(shop, "entry") == page.replace("p", "e")
        shop.kill()
        shop.start()
    shop.admin.release("shop", "v1" if page == "p2" else "v2", 100)
    assert page_of(shop, "page") != page


def test_last_promoted_version_stays_through_all_regrouping(shop):
    """Although an earlier one is written down for the unit that it comes back
    to."""
    def promote(unit, **versions):
        path = "/api/v1/services/%s/" % unit
        shop.admin.do(path + "release", {"versions": versions, "share": 100})
        shop.admin.do(path + "promote", {})

    promote("shop", entry="v2", page="v2")
    for group, version in [(None, "v1"), ("shop", "v2"), (None, "v1"),
                           ("other", "v2"), (None, "v1")]:
        regroup(shop, "page", group)
        promote(group or "page", page=version)
        for _ in range(2):
            assert shop.admin.service("page")["stable"] == version
            assert page_of(shop, "page") == version.replace("v", "p")
            shop.kill()
            shop.start()
    regroup(shop, "page", "shop")
    assert shop.admin.service("page")["stable"] == "v1"
    assert shop.admin.service("entry")["stable"] == "v2"


# -- the disk -----------------------------------------------------------------

def test_a_limit_on_files_is_a_failed_write(web):
    """As a full disk is: it ends nothing, and root has no way around it."""
    _, hard = resource.prlimit(web.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(web.pid, resource.RLIMIT_FSIZE, (1, hard))
    status, answer = web.admin.post(
        "/api/v1/services/web/release", {"version": "v2", "share": 50})
    assert status == 503 and "can't" in answer["error"]
    assert set(placement(web)) == {b"v1"}
    resource.prlimit(web.pid, resource.RLIMIT_FSIZE, (hard, hard))
    web.admin.release("web", "v2", 100)
    assert set(placement(web)) == {b"v2"}


def test_a_release_is_as_old_as_it_is(start, backends):
    """Its step begins anew, but not the release."""
    perch = start({"web": {"versions": dict(zip(
        ("v1", "v2"), backends("v1", "v2"))), "stable": "v1"}}, state=True)

    def age():
        return perch.admin.service("web")["release"]["age_s"]
    perch.admin.release("web", "v2", 10)
    wait_for("it to be half a second old", lambda: age() >= 0.5)
    perch.kill()
    perch.start()
    assert 0.5 <= age() < 60


def test_who_listens_is_told_that_a_restart_holds_a_release(start, backends):
    perch = start({"web": {"versions": dict(zip(
        ("v1", "v2"), backends("v1", "v2"))), "stable": "v1"}}, state=True)
    perch.admin.release("web", "v2", 10)
    for _ in range(2):
        perch.kill()
        mark = len(perch.stderr())
        perch.start()
        perch.wait_log(r'"event":"held".*after a restart', mark)
    perch.admin.word("web", "pause")
    perch.kill()
    mark = len(perch.stderr())
    perch.start()
    perch.admin.word("web", "resume")
    perch.wait_log(r'"event":"resumed"', mark)
    assert '"event":"held"' not in perch.stderr()[mark:]
