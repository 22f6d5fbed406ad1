"""What people are told of a release: the same in words and in numbers."""

import re

import pytest

from perchtest import RawClient, respond, wait_for
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
                "perch": "%05x.-.-.-" % seed}).navigate()


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
