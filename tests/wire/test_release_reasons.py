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
