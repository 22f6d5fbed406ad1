"""An operator's words by the API: what each does, and when it is refused."""

import json
import os
import resource

import pytest

from perchtest import (
    Load, RawClient, pin_cookie, seed_cookie, wait_for)
from perchtest.browser import NAVIGATE, Browser

PLANS = {
    "plans": {
        # Nothing goes on by itself within a test.
        "slow": {"steps": [10, 20, 50, 100], "hold": "1h"},
        "manual": {"steps": [5, 100], "auto": False, "hold": "1h"},
    },
}
STEPS = [10.0, 20.0, 50.0, 100.0]


@pytest.fixture
def web(start, backends):
    """A service, and a group of two whose versions have names of their own."""
    v1, v2, e1, e2, p6, p7 = backends("v1", "v2", "e1", "e2", "p6", "p7")
    perch = start({
        "web": {"versions": {"v1": v1, "v2": v2, "v3": v2}, "plan": "slow"},
        "entry": {"versions": {"e1": e1, "e2": e2}, "group": "shop",
                  "plan": "slow", "match": {"hosts": ["entry.test"]}},
        "page": {"versions": {"p6": p6, "p7": p7}, "group": "shop",
                 "plan": "slow", "match": {"hosts": ["page.test"]}},
    }, state=True, **PLANS)
    perch.v2 = v2
    return perch


def release_of(web, unit="web"):
    return web.admin.service(unit)["release"]


def start_web(web, **body):
    status, answer = web.admin.word("web", "release", version="v2", **body)
    assert status == 200, answer
    return answer["release"]


def accepted(web, word, unit="web", **body):
    status, answer = web.admin.word(unit, word, **body)
    assert status == 200, answer
    return answer["release"]


def refused(web, word, unit="web", status=409, **body):
    before = release_of(web, "web")["epoch"]
    found, answer = web.admin.word(unit, word, **body)
    assert found == status, answer
    assert release_of(web, "web")["epoch"] == before
    return answer["error"]


# -- what each does -----------------------------------------------------------

def test_every_field_is_there_before_the_first_release(web):
    idle = release_of(web)
    assert idle["state"] == "idle" and not idle["running"]
    assert idle["plan"] == "slow" and idle["steps"] == STEPS
    assert idle["auto"] is True
    assert idle["signals"] == []
    for name in ("candidate", "score", "evidence", "threshold", "safe",
                 "step_age_s", "age_s", "share_actual"):
        assert idle[name] is None, name
    running = start_web(web)
    assert set(idle) == set(running)


def test_a_release_begins_at_its_plans_first_step(web):
    release = start_web(web)
    assert release["running"] and release["state"] == "running"
    assert (release["share"], release["step"]) == (10, 1)
    assert release["candidate"] == "v2"
    assert release["candidates"] == {"web": "v2"}
    assert release["unit"] == "web" and release["services"] == ["web"]
    assert release["score"] == 100
    assert [s["name"] for s in release["signals"]] == [
        "errors", "not_found", "latency.p50", "latency.p95", "latency.p99"]


def test_a_release_may_begin_at_another_share(web):
    release = start_web(web, share=15)
    assert release["share"] == 15
    assert release["steps"] == [15.0] + STEPS[1:]


def test_a_release_may_have_another_plan(web):
    release = start_web(web, plan="manual")
    assert (release["plan"], release["auto"]) == ("manual", False)
    assert release["steps"] == [5.0, 100.0]


@pytest.mark.parametrize("is_auto", [True, False])
def test_auto_says_more_than_the_plan(web, is_auto):
    plan = "manual" if is_auto else "slow"
    assert start_web(web, plan=plan, auto=is_auto)["auto"] is is_auto


def test_advance_goes_to_the_next_step(web):
    start_web(web)
    for step, share in enumerate(STEPS[1:], 2):
        release = accepted(web, "advance")
        assert (release["step"], release["share"]) == (step, share)
        assert release["state"] == "running"
    release = accepted(web, "advance")
    assert release["state"] == "done" and not release["running"]
    assert web.admin.service("web")["stable"] == "v2"


def test_share_pauses_the_plan_there(web):
    start_web(web)
    release = accepted(web, "share", share=37.5)
    assert (release["share"], release["state"]) == (37.5, "paused")
    assert release["step"] == 2
    assert "37.5" in release["reason"]
    release = accepted(web, "resume")
    assert (release["share"], release["state"]) == (37.5, "running")
    assert accepted(web, "advance")["share"] == 50


def test_the_share_that_it_has_already_goes_on_measuring(start, backends):
    """No client's latency would count a second time in the same window, if the
    step began anew."""
    v1, v2 = backends("v1", "v2")
    web = start({"web": {"versions": {"v1": v1, "v2": v2}, "plan": "slow",
                         "warmup": "0s"}}, **PLANS)
    start_web(web, share=50)
    seeds = iter(range(1000))

    def measured():
        """Clients by signal, of both versions together."""
        return {s["name"]:
                s["stable"]["exposure"] + s["candidate"]["exposure"]
                for s in release_of(web)["signals"]}

    def visit(n):
        """Until all are seen; how many more are measured by each signal."""
        before = measured()
        with RawClient(web.port) as client:
            for _ in range(n):
                Browser(client, jar={
                    "perch": seed_cookie(next(seeds))}).navigate()
        wait_for("all to be seen", lambda: measured()["errors"]
                 == before["errors"] + n)
        return {name: clients - before[name]
                for name, clients in measured().items()}
    # The first ones tell how fast stable is.
    visit(100)
    assert set(visit(50).values()) == {50}
    before = measured()
    accepted(web, "share", share=50)
    assert measured() == before
    assert set(visit(50).values()) == {50}


def test_below_the_first_step_is_no_step(web):
    start_web(web)
    assert accepted(web, "share", share=1)["step"] == 0


def test_pause_and_resume(web):
    start_web(web)
    release = accepted(web, "pause")
    assert (release["share"], release["state"]) == (10, "paused")
    release = accepted(web, "resume")
    assert (release["share"], release["state"]) == (10, "running")


def test_promote_and_rollback_end_it(web):
    start_web(web)
    release = accepted(web, "rollback")
    assert release["state"] == "rolled_back" and not release["running"]
    assert release["candidate"] is None and release["share"] == 0
    assert web.admin.service("web")["stable"] == "v1"
    start_web(web)
    assert accepted(web, "promote")["state"] == "done"
    assert web.admin.service("web")["stable"] == "v2"


def test_another_release_rolls_the_first_one_back(web):
    start_web(web)
    status, answer = web.admin.word("web", "release", version="v3")
    assert status == 200
    assert answer["release"]["candidate"] == "v3"
    what = [(e["what"], e.get("candidate"))
            for e in web.admin.history("web")]
    assert what[:3] == [("start", {"web": "v3"}),
                        ("rollback", {"web": "v2"}),
                        ("start", {"web": "v2"})]
    assert web.admin.history("web")[1]["reason"] == \
        "rolled back: another release begins"


# -- refusals -----------------------------------------------------------------

@pytest.mark.parametrize("word,body", [
    ("advance", {}), ("pause", {}), ("resume", {}), ("share", {"share": 5}),
    ("promote", {}), ("rollback", {})])
def test_words_need_a_release(web, word, body):
    assert "no release" in refused(web, word, **body)


def test_words_that_make_no_sense_now(web):
    start_web(web)
    assert "not paused" in refused(web, "resume")
    accepted(web, "pause")
    assert "paused already" in refused(web, "pause")
    assert "resume first" in refused(web, "advance")


@pytest.mark.parametrize("word", ["release", "share"])
def test_a_share_of_nothing_says_what_to_do_instead(web, word):
    body = {"version": "v2"} if word == "release" else {}
    start_web(web)
    error = refused(web, word, status=400, share=0, **body)
    assert "roll back" in error and "pause" in error


@pytest.mark.parametrize("body,reason", [
    ({}, "version"),
    ({"version": "v2", "versions": {"web": "v2"}}, "either"),
    ({"versions": {}}, "versions"),
    ({"versions": {"web": 2}}, "web"),
    ({"versions": ["v2"]}, "versions"),
    ({"version": 2}, "version"),
    ({"version": "v2", "auto": "yes"}, "auto"),
    ({"version": "v2", "plan": 1}, "plan"),
    ({"version": "v2", "who": 1}, "who"),
    ({"version": "v2", "why": "x" * 201}, "200 bytes"),
    ({"version": "v2", "when": "now"}, "when")])
def test_bodies_that_say_nothing_sensible(web, body, reason):
    assert reason in refused(web, "release", status=400, **body)
    assert release_of(web)["state"] == "idle"


@pytest.mark.parametrize("unit,body,error", [
    ("wbe", {"version": "v2"}, 'no service or group "wbe"; did you mean '
                               '"web"?'),
    ("shpo", {"version": "e2"}, 'did you mean "shop"?'),
    ("web", {"version": "v4"}, 'web has no version "v4"; did you mean'),
    ("web", {"version": "v2", "plan": "solw"}, 'did you mean "slow"?'),
    ("shop", {"versions": {"entyr": "e2"}}, 'did you mean "entry"?'),
    ("shop", {"versions": {"web": "v2"}}, "there is entry, page"),
    ("shop", {"versions": {"entry": "p7"}}, "there is e1, e2"),
    ("shop", {"version": "x"}, "there is e1, e2, p6, p7")])
def test_unknown_names_are_404_with_what_was_meant(web, unit, body, error):
    assert error in refused(web, "release", unit, 404, **body)


@pytest.mark.parametrize("method,path,allow", [
    ("GET", "web/advance", "POST"), ("PUT", "web/share", "POST"),
    ("POST", "web", "GET, HEAD"), ("POST", "web/history", "GET, HEAD"),
    ("DELETE", "shop/plan", "GET, HEAD")])
def test_methods(web, method, path, allow):
    status, fields, body = web.admin.request(
        method, "/api/v1/services/" + path, "{}",
        {"Content-Type": "application/json"})
    assert status == 405 and fields["Allow"] == allow
    assert json.loads(body)["error"]


@pytest.mark.parametrize("query", [
    "history?max=0", "history?max=x", "history?max=", "history?most=1",
    "plan?clients_per_s=-1", "plan?error_rate=2", "plan?error_rate=nan",
    "plan?share=1"])
def test_bad_queries(web, query):
    status, _, body = web.admin.request(
        "GET", "/api/v1/services/web/" + query)
    assert status == 400, body
    assert json.loads(body)["error"]


# -- groups -------------------------------------------------------------------

def page_of(web, host):
    with RawClient(web.port) as client:
        return Browser(client, host).navigate().body.decode()


def test_a_group_moves_as_one(web):
    status, answer = web.admin.word(
        "shop", "release", versions={"entry": "e2", "page": "p7"}, share=100)
    assert status == 200
    assert answer["services"] == ["entry", "page"]
    assert answer["stable"] == {"entry": "e1", "page": "p6"}
    assert answer["release"]["candidates"] == {"entry": "e2", "page": "p7"}
    assert answer["release"]["candidate"] is None
    assert (page_of(web, "entry.test"), page_of(web, "page.test")) == \
        ("e2", "p7")
    # By the name of any of them.
    status, answer = web.admin.word("page", "share", share=20)
    assert status == 200 and answer["name"] == "page"
    for unit in ("shop", "entry", "page"):
        release = release_of(web, unit)
        assert (release["share"], release["unit"]) == (20, "shop")
    assert release_of(web, "entry")["candidate"] == "e2"
    accepted(web, "rollback", "entry")
    assert (page_of(web, "entry.test"), page_of(web, "page.test")) == \
        ("e1", "p6")
    web.admin.word("shop", "release", versions={"entry": "e2", "page": "p7"})
    accepted(web, "promote", "shop")
    assert web.admin.service("shop")["stable"] == {"entry": "e2",
                                                   "page": "p7"}
    assert (page_of(web, "entry.test"), page_of(web, "page.test")) == \
        ("e2", "p7")
    assert release_of(web)["state"] == "idle"


def test_who_has_no_such_version_takes_no_part(web):
    status, answer = web.admin.word("shop", "release", version="e2",
                                    share=100)
    assert status == 200
    assert answer["release"]["candidates"] == {"entry": "e2"}
    assert answer["release"]["candidate"] == "e2"
    page = release_of(web, "page")
    assert page["running"] and page["candidate"] is None
    assert page_of(web, "page.test") == "p6"
    assert "takes no part in the release of shop" in web.ctl(
        "status", "page")[1]


# -- what is on disk ----------------------------------------------------------

def test_acknowledged_words_survive_a_kill(web):
    def after_kill(unit="web"):
        web.kill()
        web.start()
        return release_of(web, unit)

    seed = start_web(web)["seed"]
    release = after_kill()
    assert (release["share"], release["state"]) == (10, "held")
    assert "restart" in release["reason"]
    assert release["seed"] == seed
    accepted(web, "share", share=33)
    release = after_kill()
    assert (release["share"], release["state"]) == (33, "paused")
    accepted(web, "resume")
    accepted(web, "pause")
    assert after_kill()["state"] == "paused"
    accepted(web, "resume")
    accepted(web, "advance")
    assert after_kill()["share"] == 50
    accepted(web, "rollback")
    release = after_kill()
    assert (release["running"], release["state"]) == (False, "rolled_back")
    start_web(web)
    accepted(web, "promote")
    release = after_kill()
    assert (release["running"], release["state"]) == (False, "done")
    assert release["reason"] == "done: v2 is stable now"
    assert web.admin.service("web")["stable"] == "v2"


@pytest.mark.parametrize("entry,seed", [
    (seed_cookie("00abc", "entry"), "00abc"),
    (pin_cookie("00abc", "e1", service="entry"), "00abc"),
    (seed_cookie("00abc", "page"), None), ("00abc.-.-.-", None),
    ("gg", None), ("", None)],
    ids=["seed", "pin", "another service's", "unsigned", "none", "empty"])
def test_a_new_client_of_a_service_is_the_one_of_its_group(
        start, backends, entry, seed):
    """If the cookie of the other service can be read."""
    e1, p1 = backends("e1", "p1")
    perch = start({
        "entry": {"versions": {"e1": e1, "e2": e1}, "group": "shop",
                  "stable": "e1",
                  "match": {"paths": ["/entry"]}},
        "page": {"versions": {"p1": p1, "p2": p1}, "group": "shop",
                 "stable": "p1", "match": {"paths": ["/page"]}}})
    with RawClient(perch.port) as client:
        answer = client.request("GET", "/page", fields=dict(
            NAVIGATE, Cookie="perch_entry=" + entry))
    assert answer.body == b"p1"
    value, _ = answer.cookies()["perch_page"]
    found = value.split(".")[0]
    # A draw would be the same once in a million.
    assert found == seed if seed else found != "00abc"


def test_a_groups_release_survives_a_kill(web):
    web.admin.word("shop", "release", versions={"entry": "e2", "page": "p7"},
                   share=40)
    web.kill()
    web.start()
    release = release_of(web, "shop")
    assert (release["share"], release["state"]) == (40, "held")
    assert release["candidates"] == {"entry": "e2", "page": "p7"}


def test_a_service_that_left_its_group_keeps_its_version(web):
    """While perch was down: what the group's state tells of it counts."""
    web.admin.word("shop", "release", versions={"entry": "e2", "page": "p7"})
    accepted(web, "promote", "shop")
    web.reload()  # writes down how the group stands by now
    web.stop()
    del web.config["services"]["page"]["group"]
    web.write_config()
    web.start()
    assert page_of(web, "page.test") == "p7"
    assert release_of(web, "page")["unit"] == "page"
    assert page_of(web, "entry.test") == "e2"


def test_history_shows_who_and_why(web):
    start_web(web, who="ann", why="build 7")
    accepted(web, "share", share=50, who="ben")
    accepted(web, "rollback", who="cy", why="it hangs")
    web.kill()
    web.start()
    entries = [e for e in web.admin.history("web") if e["who"] != "perch"]
    assert [(e["who"], e["what"], e["share"]) for e in entries] == [
        ("cy", "rollback", 0), ("ben", "share", 50), ("ann", "start", 10)]
    assert [e["why"] for e in entries] == [
        "it hangs", entries[1]["reason"], "build 7"]
    assert all(e["evidence"]["score"] == 100 for e in entries)
    assert "state" not in entries[0]
    assert len(web.admin.history("web", max=1)) == 1


def told_in_history(web):
    """But for what a start or a reload changes, the oldest first."""
    return [entry for entry in web.admin.history("web")[::-1]
            if entry["who"] != "perch"]


def test_history_has_the_words_that_were_said(web):
    start_web(web)
    for word, body in [("advance", {}), ("pause", {}), ("resume", {}),
                       ("share", {"share": 100}), ("resume", {}),
                       ("advance", {})]:
        accepted(web, word, **body)
    accepted(web, "release", version="v1")
    accepted(web, "promote")
    accepted(web, "release", version="v2")
    accepted(web, "rollback")
    assert [entry["what"] for entry in told_in_history(web)] == [
        "start", "advance", "pause", "resume", "share", "resume", "advance",
        "start", "promote", "start", "rollback"]


def test_history_has_what_the_judge_does_in_the_same_words(start, backends):
    v1, v2 = backends("v1", "v2")
    web = start({"web": {"versions": {"v1": v1, "v2": v2}, "plan": "quick"}},
                state=True, plans={"quick": {
                    "steps": [50, 100], "hold": "1s", "min_clients": 1}})
    start_web(web)
    with Load(web.port, ask, clients=2):
        wait_for("the promotion",
                 lambda: release_of(web)["state"] == "done")
    entries = told_in_history(web)
    assert {entry["who"] for entry in entries[1:]} == {"judge"}
    words = [entry["what"] for entry in entries]
    assert set(words) <= {"start", "hold", "continue", "advance", "promote"}
    assert [word for word in words if word not in ("hold", "continue")] == [
        "start", "advance", "promote"]


def test_a_word_without_a_name_is_an_operators(web):
    start_web(web)
    assert web.admin.history("web")[0]["who"] == "operator"


# -- the plan -----------------------------------------------------------------

def ask(client, turn):
    """Each by another client."""
    return client.request(fields={
        "X-Forwarded-For": "192.0.2.%d" % (turn % 250)})


def plan_of(web, query="", unit="web"):
    return web.admin.get_json("/api/v1/services/%s/plan%s" % (unit, query))


def test_plan_at_given_traffic(web):
    plan = plan_of(web, "?clients_per_s=1000&error_rate=0.01")
    assert plan["plan"] == "slow"
    assert (plan["clients_per_s"], plan["error_rate"]) == (1000, 0.01)
    assert plan["measured"] is False
    assert [s["share"] for s in plan["steps"]] == STEPS
    assert {s["hold_s"] for s in plan["steps"]} == {3600}
    # ln(16/(.2 alpha)) / [clients x share x p (r ln r - r + 1)]
    assert plan["steps"][0]["seconds_2x"] == pytest.approx(29.2, rel=0.01)
    assert plan["steps"][0]["seconds_10x"] == pytest.approx(0.805, rel=0.01)
    assert plan["steps"][1]["seconds_2x"] == pytest.approx(14.6, rel=0.01)
    assert {s["why_not_2x"] for s in plan["steps"][:3]} == {None}
    # Nobody is left to compare with.
    assert plan["steps"][3]["seconds_2x"] is None
    assert plan["steps"][3]["why_not_2x"] == "nobody_to_compare"


@pytest.mark.parametrize("query", [
    "?clients_per_s=10&error_rate=5e-324",
    "?clients_per_s=5e-324&error_rate=0.01",
    "?clients_per_s=1e-300&error_rate=1e-300"])
def test_plan_at_next_to_no_traffic(web, query):
    assert plan_of(web, query)["steps"][0]["seconds_2x"] > 1e300 / 2


def test_plan_without_traffic_sees_nothing(web):
    plan = plan_of(web)
    assert plan["measured"] is True
    assert (plan["clients_per_s"], plan["error_rate"]) == (0, None)
    assert {s["seconds_2x"] for s in plan["steps"]} == {None}
    assert [s["why_not_2x"] for s in plan["steps"]] == \
        3 * ["no_clients"] + ["nobody_to_compare"]


@pytest.mark.parametrize("query,twice,tenfold", [
    ("?clients_per_s=0&error_rate=0.1", "no_clients", "no_clients"),
    ("?clients_per_s=10", "errors_unknown", "errors_unknown"),
    ("?clients_per_s=10&error_rate=0", "no_errors", "no_errors"),
    ("?clients_per_s=10&error_rate=0.2", None, "more_than_all"),
    ("?clients_per_s=10&error_rate=0.6", "more_than_all", "more_than_all"),
    ("?clients_per_s=10&error_rate=0.1", None, None)])
def test_plan_says_why_a_step_never_sees_it(web, query, twice, tenfold):
    step = plan_of(web, query)["steps"][0]
    assert (step["why_not_2x"], step["why_not_10x"]) == (twice, tenfold)
    assert (step["seconds_2x"] is None, step["seconds_10x"] is None) == \
        (twice is not None, tenfold is not None)


def test_plan_measures_requests_before_a_release(web):
    with Load(web.port, ask, clients=2):
        wait_for("traffic", lambda: plan_of(web)["clients_per_s"] > 0)
        plan = plan_of(web, "?error_rate=0.02")
    assert (plan["clients_by"], plan["error_rate_by"]) == ("requests", "given")
    assert plan["measured"] is True
    assert plan["steps"][0]["seconds_2x"] > 0


def test_plan_measures_the_running_step(web):
    start_web(web, plan="manual")
    with Load(web.port, ask, clients=2):
        plan = wait_for("the release to be measured", lambda: (
            lambda plan: plan if plan["clients_by"] == "release" else None)(
                plan_of(web)))
    assert plan["plan"] == "manual"
    assert plan["clients_per_s"] > 0 and plan["error_rate"] == 0


# -- a journal that can't be written ------------------------------------------

def test_words_that_can_not_be_written_are_503(web):
    """A full disk, as it were: the journal's file may not grow."""
    # Nor may any other: the log is small, and stays so.
    web.change(log={"level": "error"})
    web.stop()
    web.start()
    start_web(web)
    size = os.path.getsize("%s/state/journal" % web.folder)
    resource.prlimit(web.pid, resource.RLIMIT_FSIZE,
                     (size, resource.RLIM_INFINITY))
    assert "not done" in refused(web, "advance", status=503)
    assert release_of(web)["share"] == 10
    assert "would not survive" in refused(web, "pause", status=503)
    assert release_of(web)["state"] == "paused"
    # What harms is taken back all the same.
    status, answer = web.admin.word("web", "rollback")
    assert status == 503 and "rolled back, but" in answer["error"]
    assert not release_of(web)["running"]
    assert web.admin.metrics().sum("perch_journal_failing") == 1
    resource.prlimit(web.pid, resource.RLIMIT_FSIZE,
                     (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    wait_for("the journal to recover", lambda: web.admin.metrics().sum(
        "perch_journal_failing") == 0)
    web.kill()
    web.start()
    assert release_of(web)["state"] == "rolled_back"
