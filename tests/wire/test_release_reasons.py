"""What people are told of a release: the same in words and in numbers."""

import json
import re

import pytest

from perchtest import RawClient, respond, seed_cookie, wait_for
from perchtest.browser import Browser

PLANS = {"plans": {"slow": {"steps": [50, 100], "hold": "1h"}}}


def release_of(perch, unit):
    return perch.admin.service(unit)["release"]


def signal_of(release, name="errors"):
    return next(s for s in release["signals"] if s["name"] == name)


def visit(perch, clients, host="test"):
    """A navigation of each, which then are all counted."""
    with RawClient(perch.port) as connection:
        for seed in clients:
            Browser(connection, host, {
                "perch": seed_cookie(seed)}).navigate()


# -- numbers ------------------------------------------------------------------

def test_a_reasons_numbers_are_the_signals(start, backends):
    """However often clients came, they are as many in the table as in the
    reason."""
    v1, v2 = backends("v1", "v2")
    perch = start({"web": {"versions": {"v1": v1, "v2": v2},
                           "plan": "slow"}}, **PLANS)
    perch.ctl("release", "start", "web", "v2")
    clients = range(0, 0xfffff, 0x3333)
    for n in range(1, 4):
        visit(perch, clients)
        release = wait_for("the tick", lambda: (
            lambda release: release if sum(
                signal_of(release)[side]["exposure"]
                for side in ("stable", "candidate")) >= n * len(clients)
            else None)(release_of(perch, "web")))
    errors = signal_of(release)
    assert {side: errors[side]["clients"]
            for side in ("stable", "candidate")} == release["clients"]
    assert sum(release["clients"].values()) == len(clients)
    v2.play(respond(b"no", "500 Internal Server Error"))
    visit(perch, clients)
    wait_for("the rollback", lambda: not release_of(perch, "web")["running"])
    release = release_of(perch, "web")
    told = re.fullmatch(
        r"rolled back: errors: (\d+) of (\d+) clients hurt on v2, (\d+) of "
        r"(\d+) on v1", release["reason"])
    errors = signal_of(release)
    assert [int(n) for n in told.groups()] == [
        errors["candidate"]["hurt"], errors["candidate"]["clients"],
        errors["stable"]["hurt"], errors["stable"]["clients"]]
    assert errors["candidate"]["exposure"] > errors["candidate"]["clients"]
    assert errors["candidate"]["rate"] == pytest.approx(
        errors["candidate"]["hurt"] / errors["candidate"]["clients"])
    assert " %s/%s " % told.groups()[:2] in perch.ctl("status", "web")[1]


# -- groups -------------------------------------------------------------------

SERVER_ERROR = respond(b"no", "500 Internal Server Error")
CLIENTS = range(0, 0xfffff, 0x3333)


class Shop:
    """Two services that are released together."""

    def __init__(self, start, backends, candidates, **service):
        self.old = dict(zip(("entry", "page"), backends("e1", "p6")))
        self.new = dict(zip(("entry", "page"), backends("e2", "p7")))
        self.perch = start({
            name: dict({"versions": {stable: self.old[name],
                                     candidate: self.new[name]},
                        "group": "shop", "plan": "slow",
                        "match": {"hosts": [name + ".test"]}}, **service)
            for name, stable, candidate in (
                ("entry", "v1", candidates[0]),
                ("page", "v1", candidates[1]))}, state=True, **PLANS)
        self.perch.ctl(
            "release", "start", "shop", "entry=" + candidates[0],
            "page=" + candidates[1])

    def visit(self, *names):
        for name in names:
            visit(self.perch, CLIENTS, name + ".test")

    def reason_of_rollback(self):
        wait_for("the rollback", lambda: not release_of(
            self.perch, "shop")["running"])
        return release_of(self.perch, "shop")["reason"]


@pytest.mark.parametrize("candidates", [("v2", "v2"), ("e2", "p7")])
@pytest.mark.parametrize("broken", ["entry", "page"])
def test_a_groups_reason_names_the_service(start, backends, candidates,
                                           broken):
    shop = Shop(start, backends, candidates)
    shop.new[broken].play(SERVER_ERROR)
    shop.visit("entry", "page")
    version = candidates[broken == "page"]
    assert re.fullmatch(
        r"rolled back: errors: \d+ of \d+ clients hurt on %s %s, 0 of \d+ on "
        r"%s v1" % (broken, version, broken), shop.reason_of_rollback())
    # A rollback acts before it is written down.
    wait_for("the record", lambda: "hurt on %s %s, " % (
        broken, version) in shop.perch.admin.history("shop")[0]["why"])


def test_a_groups_reason_names_the_worst_service_first(start, backends):
    shop = Shop(start, backends, ("e2", "p7"))
    # A client is hurt once, by whichever is first.
    shop.new["entry"].play(SERVER_ERROR, respond(b"e2"))
    shop.new["page"].play(SERVER_ERROR)
    shop.visit("entry", "page")
    assert re.fullmatch(
        r"rolled back: errors: \d+ of \d+ clients hurt on page p7, entry e2, "
        r"0 of \d+ on page v1, entry v1", shop.reason_of_rollback())


def test_what_a_step_before_hurt_is_not_named(start, backends):
    shop = Shop(start, backends, ("e2", "p7"))
    shop.new["entry"].play(SERVER_ERROR, respond(b"e2"))
    shop.visit("entry")
    wait_for("the count", lambda: signal_of(release_of(
        shop.perch, "shop"))["candidate"]["hurt"] == 1)
    shop.perch.ctl("share", "shop", "60")
    shop.new["page"].play(SERVER_ERROR)
    shop.visit("entry", "page")
    assert re.search(r"clients hurt on page p7, 0 of \d+ on page v1$",
                     shop.reason_of_rollback())


def test_a_group_of_which_one_is_released_names_it(start, backends):
    shop = Shop(start, backends, ("e2", "p7"))
    shop.perch.ctl("rollback", "shop")
    shop.perch.ctl("release", "start", "shop", "page=p7")
    shop.new["page"].play(SERVER_ERROR)
    shop.visit("page")
    assert re.search(r"clients hurt on page p7, 0 of \d+ on page v1$",
                     shop.reason_of_rollback())


def test_a_groups_unhealthy_service_is_named(start, backends):
    shop = Shop(start, backends, ("v2", "v2"), health={
        "path": "/", "interval": "100ms", "timeout": "100ms", "fall": 1})
    assert " v2 at 50 %" in release_of(shop.perch, "shop")["reason"]
    shop.new["page"].play(SERVER_ERROR)
    assert shop.reason_of_rollback() == \
        "rolled back: no endpoint of page v2 is healthy"


# -- a release that the config ends ---------------------------------------------

class Grouped(Shop):
    def __init__(self, start, backends):
        super().__init__(start, backends, ("v2", "v2"))

    def change(self, how):
        services = self.perch.config["services"]
        if how == "removed":
            del services["entry"]
        elif how == "ungrouped":
            del services["entry"]["group"]
        elif how == "other stable":
            services["entry"]["stable"] = "v2"
        else:
            del services["entry"]["versions"]["v2"]
        self.perch.write_config()

    def told(self, unit="shop"):
        """Once it is written down: as status, history and events say it."""
        entry = wait_for("the record", lambda: (
            lambda entry: entry if entry["who"] == "config" else None)(
                self.perch.admin.history(unit)[0]))
        release = release_of(self.perch, unit)
        event = json.loads(re.findall(
            r"event (\{.*\"rolled_back\".*\})", self.perch.stderr())[-1])
        assert release["state"] == "rolled_back" and not release["running"]
        assert release["reason"] == event["reason"] == entry["reason"]
        assert (event["who"], event["unit"]) == ("config", unit)
        assert event["why"] == entry["why"]
        assert release["reason"] in self.perch.ctl("status", unit)[1]
        assert entry["why"] in self.perch.ctl("history", unit)[1]
        return release["reason"]


LEFT = [("removed", "rolled back: entry left the configuration"),
        ("ungrouped", "rolled back: entry left shop")]


@pytest.mark.parametrize("how,reason", LEFT)
def test_a_service_that_left_while_perch_was_down(start, backends, how,
                                                  reason):
    shop = Grouped(start, backends)
    shop.perch.stop()
    shop.change(how)
    shop.perch.start()
    assert shop.told() == reason
    for _ in range(2):
        shop.perch.kill()
        shop.perch.start()
        release = release_of(shop.perch, "shop")
        assert (release["state"], release["reason"]) == \
            ("rolled_back", reason)


@pytest.mark.parametrize("how,reason", LEFT + [
    ("other stable", "rolled back: v2 is stable now, as the config has been "
     "changed to say; it was v1; the release of v2 is rolled back"),
    ("no candidate", "rolled back: v2 is no longer configured, so its release "
     "is rolled back")])
def test_a_reload_that_ends_a_release(start, backends, how, reason):
    shop = Grouped(start, backends)
    shop.change(how)
    shop.perch.reload()
    assert shop.told() == reason


def test_only_service_of_a_release_that_left(start, backends):
    shop = Grouped(start, backends)
    shop.perch.ctl("rollback", "shop")
    shop.perch.ctl("release", "start", "shop", "entry=v2")
    shop.perch.stop()
    shop.change("removed")
    shop.perch.start()
    assert shop.told() == "rolled back: entry left the configuration"
    shop.perch.ctl("release", "start", "shop", "v2")
    shop.perch.ctl("promote", "shop")
