"""Releases where something fails: the journal's disk, and endpoints.

An operator's word is either acknowledged, and then it has acted for good, or
it is refused, and then it never acts.
"""

import contextlib
import os
import resource
import threading

import pytest

from perchtest import RawClient, free_port, respond, seed_cookie, wait_for
from perchtest.browser import Browser
from perchtest.failing import FOR_EVER
from perchtest.perch import is_sanitized

PLANS = {
    "plans": {
        # Nothing goes on by itself within a test.
        "slow": {"steps": [10, 100], "hold": "1h"},
        "quick": {"steps": [10, 100], "hold": "1s", "min_clients": 0},
    },
}


def services(v1, v2, **service):
    return {"web": dict({"versions": {"v1": v1, "v2": v2, "v3": v2},
                         "stable": "v1", "plan": "slow"}, **service)}


@pytest.fixture
def make(start, backends):
    """make(service): a perch with a journal, and its .v1 and .v2."""
    def make_one(**service):
        v1, v2 = backends("v1", "v2")
        perch = start(services(v1, v2, **service), state=True, **PLANS)
        perch.v1, perch.v2 = v1, v2
        return perch
    return make_one


@pytest.fixture
def web(make):
    return make()


def release_of(perch):
    return perch.admin.service("web")["release"]


def stable_of(perch):
    return perch.admin.service("web")["stable"]


def where(perch):
    """What a release comes to: (running, candidate, share, stable)."""
    release = release_of(perch)
    return (release["running"], release["candidate"], release["share"],
            stable_of(perch))


def accepted(perch, word, **body):
    status, answer = perch.admin.word("web", word, **body)
    assert status == 200, answer


def restart(perch):
    perch.kill()
    perch.start()


# -- a disk that is full ------------------------------------------------------

@contextlib.contextmanager
def full_disk(perch):
    """As it were: no file may grow. Afterwards perch has noticed that they may
    again."""
    _, hard = resource.prlimit(perch.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(perch.pid, resource.RLIMIT_FSIZE, (1, hard))
    yield
    resource.prlimit(perch.pid, resource.RLIMIT_FSIZE, (hard, hard))
    wait_failing(perch, 0)


def wait_failing(perch, is_failing):
    perch.admin.wait_metric("perch_journal_failing", is_failing)


@pytest.mark.parametrize("word, body", [
    ("promote", {}), ("share", {"share": 80}), ("advance", {})])
def test_refused_word_never_acts(web, word, body):
    """Not when the disk is well again, nor after a restart."""
    accepted(web, "release", version="v2")
    before = where(web)
    with full_disk(web):
        status, answer = web.admin.word("web", word, **body)
        assert status == 503 and "not done" in answer["error"]
    assert where(web) == before
    restart(web)
    assert where(web) == before


def test_refused_start_never_acts(web):
    before = where(web)
    with full_disk(web):
        assert web.admin.word("web", "release", version="v2")[0] == 503
    assert where(web) == before
    restart(web)
    assert where(web) == before
    accepted(web, "release", version="v2")


def test_start_that_can_not_be_written_ends_no_other(web):
    accepted(web, "release", version="v2")
    before = where(web)
    with full_disk(web):
        assert web.admin.word("web", "share", share=80)[0] == 503
        status, answer = web.admin.word("web", "release", version="v3")
        assert status == 503 and "not done" in answer["error"]
        assert where(web) == before
    restart(web)
    assert where(web) == before


def test_release_goes_on_when_the_disk_is_well_again(make):
    web = make(plan="quick")
    accepted(web, "release", version="v2")
    with full_disk(web):
        # The next step tells.
        wait_failing(web, 1)
        assert stable_of(web) == "v1"
    wait_for("the release to be done", lambda: stable_of(web) == "v2")


@pytest.mark.parametrize("first", ["a", "aa"])
def test_full_disk_in_a_far_folder(start, backends, tmp_path, first):
    """What people are told of it is cut, within a character or not."""
    folder = str(tmp_path / first)
    for _ in range(6):
        folder += "/" + 100 * "\u00e9"
    v1, v2 = backends("v1", "v2")
    os.makedirs(folder)
    web = start(services(v1, v2), state_dir=folder, **PLANS)
    with full_disk(web):
        assert web.admin.word("web", "release", version="v2")[0] == 503
    accepted(web, "release", version="v2")


# -- a disk that is slow ------------------------------------------------------

@pytest.fixture
def idle(scene, backends):
    """A scene whose disk may be slow."""
    v1, v2 = backends("v1", "v2")
    return scene(services(v1, v2), state=True, **PLANS)


@pytest.fixture
def slow(idle):
    """The same with a release of v2 at 10 %. Nothing of it is on its way to
    the disk any more: behind the start comes the state that it has led to."""
    accepted(idle.perch, "release", version="v2")
    accepted(idle.perch, "pause")
    accepted(idle.perch, "resume")
    return idle


class Saying(threading.Thread):
    """A word whose answer may take a while."""

    def __init__(self, perch, word, body):
        super().__init__(daemon=True)
        self._arguments = perch, word, body
        self.status = self.answer = None
        self.start()

    def run(self):
        perch, word, body = self._arguments
        self.status, self.answer = perch.admin.word("web", word, **body)

    def hear(self):
        wait_for("an answer", lambda: self.answer is not None)
        return self.status


def survives(perch):
    """What is so now is so after a restart: where()."""
    before = where(perch)
    restart(perch)
    assert where(perch) == before
    return before


PROMOTED = (False, None, 0, "v2")


@pytest.mark.parametrize("second, body", [
    ("pause", {}), ("share", {"share": 5}), ("promote", {}), ("advance", {})])
@pytest.mark.parametrize("first, first_body, outcome", [
    ("share", {"share": 60}, (True, "v2", 60, "v1")),
    ("promote", {}, PROMOTED)])
def test_word_waits_until_the_one_before_is_written(
        slow, first, first_body, outcome, second, body):
    with slow.failing.hanging_disk() as wait_write:
        one = Saying(slow.perch, first, first_body)
        wait_write()
        two = Saying(slow.perch, second, body)
        assert two.hear() == 409
        assert "say it again" in two.answer["error"]
        assert one.answer is None
    assert one.hear() == 200
    assert survives(slow.perch) == outcome


def test_word_that_acts_at_once_leaves_room_for_the_next(slow):
    with slow.failing.hanging_disk() as wait_write:
        one = Saying(slow.perch, "pause", {})
        wait_write()
        two = Saying(slow.perch, "share", {"share": 60})
        assert release_of(slow.perch)["state"] == "paused"
    assert (one.hear(), two.hear()) == (200, 200)
    assert survives(slow.perch) == (True, "v2", 60, "v1")


@pytest.mark.parametrize("word, body", [
    ("promote", {}), ("share", {"share": 60})])
def test_rollback_waits_for_no_word(slow, word, body):
    with slow.failing.hanging_disk() as wait_write:
        one = Saying(slow.perch, word, body)
        wait_write()
        two = Saying(slow.perch, "rollback", {})
        wait_for("the rollback", lambda: not release_of(slow.perch)["running"])
    assert (one.hear(), two.hear()) == (409, 200)
    assert "rolled back" in one.answer["error"]
    assert survives(slow.perch) == (False, None, 0, "v1")


@pytest.mark.parametrize("second, body, outcome", [
    ("release", {"version": "v3", "share": 5}, (True, "v3", 5, "v1")),
    ("rollback", {}, (False, None, 0, "v1"))])
def test_start_that_another_word_has_overtaken(idle, second, body, outcome):
    with idle.failing.hanging_disk() as wait_write:
        one = Saying(idle.perch, "release", {"version": "v2", "share": 20})
        wait_write()
        two = Saying(idle.perch, second, body)
        wait_for("the word to be heard",
                 lambda: "v2 is to" not in release_of(idle.perch)["reason"])
    assert (one.hear(), two.hear()) == (409, 200)
    assert survives(idle.perch) == outcome


def test_config_promotes_although_the_disk_is_slow(slow):
    """Slower than the judge looks: it says so once, and not at each look."""
    perch = slow.perch
    slow.failing.arm("sync_lasts", times=FOR_EVER)
    perch.change({"web": dict(perch.config["services"]["web"], stable="v2")})
    with open(perch.config["state_dir"] + "/journal", "rb") as journal:
        journal.readlines()
        perch.reload()
        wait_for("the release to be done",
                 lambda: release_of(perch)["state"] == "done")
        slow.failing.disarm()
        perch.kill()
        assert 1 <= len(journal.readlines()) <= 4
    perch.start()
    assert where(perch) == PROMOTED


# -- endpoints that refuse connections ----------------------------------------

def wait_look(perch):
    """The judge has had a look since: it tells the step's age in seconds."""
    reason = release_of(perch)["reason"]
    wait_for("the judge", lambda: release_of(perch)["reason"] != reason)


def version(perch, name):
    return {v["name"]: v for v in perch.admin.service("web")["versions"]}[name]


def ask(perch, seed):
    with RawClient(perch.port) as client:
        return Browser(client, jar={
            "perch": seed_cookie(seed)}).navigate()


def hurt(perch):
    return {s["name"]: s["candidate"]["hurt"]
            for s in release_of(perch)["signals"]}["errors"]


def test_one_refused_connection_is_no_verdict(start, backends):
    perch = start(services(backends("v1"), "127.0.0.1:%d" % free_port()),
                  state=True, **PLANS)
    accepted(perch, "release", version="v2", share=100)
    assert ask(perch, 1).body == b"v1"
    wait_for("the judge to count it", lambda: hurt(perch) == 1)
    assert where(perch) == (True, "v2", 100, "v1")


CHECK = {"interval": "20ms", "rise": 1, "fall": 1}


def test_candidate_that_alone_is_down_is_rolled_back(make):
    perch = make(health=CHECK)
    accepted(perch, "release", version="v2")
    perch.v2.stop_listening()
    wait_for("the rollback", lambda: not release_of(perch)["running"])
    assert "no endpoint of v2 is healthy" in release_of(perch)["reason"]


def test_candidate_that_is_down_as_stable_is_stays(make):
    """What both need is out: rolling back would help nobody."""
    perch = make(health=CHECK)
    accepted(perch, "release", version="v2")
    for name in ("v1", "v2"):
        getattr(perch, name).stop_listening()
        wait_for(name + " to be down", lambda: [
            e["health"] for e in version(perch, name)["endpoints"]]
            == ["down"])
    wait_look(perch)
    assert where(perch) == (True, "v2", 10, "v1")


# -- after a rollback ---------------------------------------------------------

@pytest.mark.parametrize("method, fields", [
    ("GET", {"If-None-Match": '"of v2"'}), ("POST", {})])
def test_who_waits_for_a_candidate_is_sent_to_stable(make, method, fields):
    web = make(limits={"endpoint_connections": 1})
    accepted(web, "release", version="v2", share=100)
    go_on = threading.Event()
    web.v2.play(respond(b"v2", after=go_on))
    with RawClient(web.port) as first, RawClient(web.port) as second:
        first.send_request()
        web.v2.wait_heads(1)
        second.send_request(method, fields=fields,
                            body=b"hello" if method == "POST" else None)
        wait_for("it to wait",
                 lambda: version(web, "v2")["in_flight"] == 2)
        accepted(web, "rollback")
        go_on.set()
        assert first.read_response().body == b"v2"
        assert second.read_response().body == b"v1"
    assert len(web.v2.heads) == 1
    request = web.v1.next_request()
    assert request.body == (b"hello" if method == "POST" else b"")
    assert not request.has("If-None-Match")
    wait_for("both to be counted", lambda: all(
        (v["requests"], v["in_flight"]) == (1, 0)
        for v in (version(web, "v1"), version(web, "v2"))))


@pytest.mark.parametrize("words", [
    [("share", {"share": 1})], [("promote", {})],
    # It drains by then.
    [("promote", {}), ("release", {"version": "v3"}), ("promote", {})],
], ids=["share", "promote", "drain"])
def test_who_waits_for_a_candidate_that_stays_is_sent_there(make, words):
    web = make(limits={"endpoint_connections": 1})
    accepted(web, "release", version="v2", share=100)
    go_on = threading.Event()
    web.v2.play(respond(b"v2", after=go_on), respond(b"v2"))
    with RawClient(web.port) as first, RawClient(web.port) as second:
        first.send_request()
        web.v2.wait_heads(1)
        second.send_request()
        wait_for("it to wait",
                 lambda: version(web, "v2")["in_flight"] == 2)
        for word, body in words:
            accepted(web, word, **body)
        go_on.set()
        assert first.read_response().body == b"v2"
        assert second.read_response().body == b"v2"
    assert not web.v1.heads


# -- words that something is quicker than -------------------------------------

FREEZING = {"freezing": {"steps": [10, 100], "hold": "1h",
                         "on_harm": "freeze"}}


@pytest.mark.parametrize("word, body", [
    ("promote", {}), ("share", {"share": 80}), ("advance", {})])
def test_word_that_a_freeze_has_overtaken(scene, backends, word, body):
    """It is refused: it never acts."""
    v1, v2 = backends("v1", "v2")
    slow = scene(services(v1, v2, plan="freezing"), state=True,
                 plans=FREEZING)
    accepted(slow.perch, "release", version="v2", share=50)
    accepted(slow.perch, "pause")
    accepted(slow.perch, "resume")
    v2.play(respond(b"no", "500 Internal Server Error"))
    with slow.failing.hanging_disk() as wait_write:
        one = Saying(slow.perch, word, body)
        wait_write()
        for seed in range(0, 0xfffff, 0x3333):
            ask(slow.perch, seed)
        wait_for("the freeze",
                 lambda: release_of(slow.perch)["state"] == "frozen")
    assert one.hear() == 409
    assert "frozen" in one.answer["error"]
    assert survives(slow.perch) == (True, "v2", 50, "v1")


@pytest.mark.parametrize("word, body", [
    ("share", {"share": 80}), ("advance", {})])
def test_config_promotes_while_a_word_is_written(slow, word, body):
    perch = slow.perch
    perch.change({"web": dict(perch.config["services"]["web"], stable="v2")})
    with slow.failing.hanging_disk() as wait_write:
        one = Saying(perch, word, body)
        wait_write()
        perch.reload()
    assert one.hear() == 409
    wait_for("the release to be done",
             lambda: release_of(perch)["state"] == "done")
    assert survives(perch) == PROMOTED


@pytest.mark.parametrize("word, body", [
    ("share", {"share": 80}), ("advance", {}), ("promote", {})])
def test_config_ends_a_release_while_a_word_is_written(slow, word, body):
    perch = slow.perch
    perch.change({"web": dict(perch.config["services"]["web"], stable="v3")})
    with slow.failing.hanging_disk() as wait_write:
        one = Saying(perch, word, body)
        wait_write()
        perch.reload()
    assert one.hear() == 409
    assert "v3 is stable now" in one.answer["error"]
    assert release_of(perch)["state"] == "rolled_back"
    assert survives(perch) == (False, None, 0, "v3")


def test_config_takes_the_candidate_away_while_the_start_is_written(
        idle, backends):
    perch = idle.perch
    web = perch.config["services"]["web"]
    perch.change({"web": dict(web, versions={
        name: web["versions"][name] for name in ("v1", "v3")})})
    with idle.failing.hanging_disk() as wait_write:
        one = Saying(perch, "release", {"version": "v2"})
        wait_write()
        perch.reload()
    assert one.hear() == 409
    assert survives(perch) == (False, None, 0, "v1")


@pytest.mark.parametrize("word, body", [
    ("advance", {}), ("share", {"share": 80}), ("promote", {}),
    ("pause", {})])
def test_word_for_a_release_that_the_config_has_ended(start, backends, word,
                                                      body):
    """It is over, though that can't be written down yet."""
    v1, v2, v3 = backends("v1", "v2", "v3")
    versions = {"v1": v1, "v2": v2, "v3": v3}
    web = start({"web": {"versions": versions, "stable": "v1",
                         "plan": "slow"}}, state=True, **PLANS)
    accepted(web, "release", version="v2")
    web.change({"web": {"versions": versions, "stable": "v3",
                        "plan": "slow"}})
    _, hard = resource.prlimit(web.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(web.pid, resource.RLIMIT_FSIZE, (1, hard))
    assert web.admin.word("web", "share", share=20)[0] == 503
    web.reload()
    over = (False, None, 0, "v3")
    assert where(web) == over
    resource.prlimit(web.pid, resource.RLIMIT_FSIZE, (hard, hard))
    status, answer = web.admin.word("web", word, **body)
    assert (status, where(web)) == (409, over), answer
    wait_for("the record",
             lambda: release_of(web)["state"] == "rolled_back")
    assert survives(web) == over


# -- no memory to count clients in ----------------------------------------------

@pytest.mark.skipif(is_sanitized(), reason="a sanitizer needs the room itself")
def test_release_that_can_not_be_judged_goes_nowhere(make):
    web = make(plan="quick")
    _, hard = resource.prlimit(web.pid, resource.RLIMIT_AS)
    with open("/proc/%d/statm" % web.pid) as statm:
        now = int(statm.read().split()[0]) * resource.getpagesize()
    resource.prlimit(web.pid, resource.RLIMIT_AS, (now + (4 << 20), hard))
    accepted(web, "release", version="v2")
    wait_for("its time", lambda: release_of(web)["step_age_s"] > 1.5)
    assert release_of(web)["reason"] == \
        "held: there is no memory to count its clients in: it isn't judged"
    assert where(web) == (True, "v2", 10, "v1")
