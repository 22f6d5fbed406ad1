"""Inside a version: which endpoint."""

import collections
import re
import threading

import pytest

from perchtest import RawClient, respond, seed_cookie, wait_for
from perchtest.browser import Browser


@pytest.mark.parametrize("weights", [
    [1, 1], [1, 1, 1], [3, 1], [5, 1, 1], [2, 3, 4]])
def test_round_robin_in_order(start, backends, weights):
    """The same order again and again, and a smooth one: in no stretch of it
    does an endpoint have two turns more or less than its due."""
    names = [str(i) for i in range(len(weights))]
    pool = backends(*names)
    perch = start({"web": {
        "versions": {"v1": {"endpoints": [
            {"address": b.address, "weight": w}
            for b, w in zip(pool, weights)]}},
        "balance": {"policy": "round_robin"}}})
    total, rounds = sum(weights), 3
    with RawClient(perch.port) as client:
        got = [int(client.request().body) for _ in range(total * rounds)]
    assert got == got[:total] * rounds
    assert [got[:total].count(i) for i in range(len(weights))] == weights
    for i, weight in enumerate(weights):
        for first in range(total):
            for length in range(1, total):
                turns = got[first:first + length].count(i)
                assert abs(turns - length * weight / total) < 2


def test_round_robin_over_connections(start, backends):
    a, b = backends("a", "b")
    perch = start({"web": {"versions": {"v1": [a, b]},
                           "balance": {"policy": "round_robin"}}})
    got = []
    for _ in range(10):
        with RawClient(perch.port) as client:
            got.append(client.request().body)
    assert collections.Counter(got) == {b"a": 5, b"b": 5}


KEYED = [
    (["header X-User-Id"], lambda k: {"fields": {"X-User-Id": k}}),
    (["cookie session"], lambda k: {"fields": {"Cookie": "session=" + k}}),
    (["path"], lambda k: {"target": "/" + k}),
    (["header X-None", "path"], lambda k: {"target": "/%s?x" % k}),
]


@pytest.mark.parametrize("key,request_for", KEYED)
def test_maglev_keeps_a_key_on_its_endpoint(
        start, backends, key, request_for):
    pool = backends("a", "b", "c")
    perch = start({"web": {
        "versions": {"v1": pool},
        "balance": {"policy": "maglev", "key": key}}})
    where = {}
    with RawClient(perch.port) as client:
        for _ in range(2):
            for i in range(120):
                name = "user-%d" % i
                body = client.request(**request_for(name)).body
                assert where.setdefault(name, body) == body
    counts = collections.Counter(where.values())
    assert set(counts) == {b"a", b"b", b"c"}
    assert min(counts.values()) >= 5


def test_maglev_by_client_follows_the_cookie(start, backends):
    pool = backends("a", "b", "c")
    perch = start({"web": {
        "versions": {"v1": pool},
        "balance": {"policy": "maglev"}}})
    for seed in range(0, 20):
        got = set()
        for _ in range(3):
            with RawClient(perch.port) as client:
                got.add(client.request(fields={
                    "Cookie": "perch=" + seed_cookie(seed * 4099)}).body)
        assert len(got) == 1


def test_maglev_is_the_same_after_a_restart(start, backends):
    pool = backends("a", "b", "c", "d")
    perch = start({"web": {
        "versions": {"v1": pool},
        "balance": {"policy": "maglev", "key": ["path"]}}})

    def where():
        with RawClient(perch.port) as client:
            return [client.request("GET", "/%d" % i).body
                    for i in range(40)]
    before = where()
    perch.stop()
    perch.start()
    assert where() == before


def test_maglev_weights(start, backends):
    a, b = backends("a", "b")
    perch = start({"web": {
        "versions": {"v1": {"endpoints": [
            {"address": a.address, "weight": 9}, b.address]}},
        "balance": {"policy": "maglev", "key": ["path"]}}})
    with RawClient(perch.port) as client:
        got = collections.Counter(
            client.request("GET", "/%d" % i).body for i in range(1000))
    # 900 and 100, within 6 standard deviations (9.5 each).
    assert 843 <= got[b"a"] <= 957


def test_least_request_avoids_the_busy_one(start, backends):
    a, b = backends("a", "b")
    release = threading.Event()
    perch = start({"web": {
        "versions": {"v1": [a, b]},
        "balance": {"policy": "least_request"}}})

    def hold(c):
        c.read_request()
        c.wait(release)
        c.send_response(b"held")
    for one in (a, b):
        one.play(hold, respond(one.name.encode()))
    with RawClient(perch.port) as held:
        held.send_request()
        wait_for("one to be busy", lambda: a.heads or b.heads)
        busy, idle = (a, b) if a.heads else (b, a)
        idle.play(respond(b"idle"))
        with RawClient(perch.port) as client:
            got = [client.request().body for _ in range(40)]
        release.set()
        assert held.read_response().body == b"held"
    assert got.count(b"idle") >= 35


def test_least_request_spreads(start, backends):
    pool = backends("a", "b", "c")
    perch = start({"web": {
        "versions": {"v1": pool},
        "balance": {"policy": "least_request"}}})
    with RawClient(perch.port) as client:
        got = collections.Counter(
            client.request().body for _ in range(150))
    assert min(got[name] for name in (b"a", b"b", b"c")) >= 15


def test_bounded_load_spreads_a_hot_key(start, backends):
    """All ask for one path; with all of it in flight nobody gets more than
    1.25 times its part."""
    pool = backends("a", "b", "c", "d")
    release = threading.Event()
    perch = start({"web": {
        "versions": {"v1": pool},
        "balance": {"policy": "maglev", "key": "path",
                    "bounded_load": True}}}, workers=1)

    def hold(c):
        c.read_request()
        c.wait(release)
        c.send_response(b"held")
    for one in pool:
        one.play(hold)
    clients = [RawClient(perch.port) for _ in range(40)]
    for n, client in enumerate(clients):
        client.send_request("GET", "/hot")
        wait_for("it to be at an endpoint",
                 lambda: sum(len(b.heads) for b in pool) == n + 1)
    counts = [len(b.heads) for b in pool]
    release.set()
    for client in clients:
        assert client.read_response().body == b"held"
        client.close()
    assert max(counts) <= 13    # ceil(1.25 * 40 / 4)


def test_bounded_load_leaves_quiet_keys_alone(start, backends):
    pool = backends("a", "b", "c", "d")
    perch = start({"web": {
        "versions": {"v1": pool},
        "balance": {"policy": "maglev", "key": "path",
                    "bounded_load": True}}})
    with RawClient(perch.port) as client:
        first = [client.request("GET", "/%d" % i).body for i in range(20)]
        again = [client.request("GET", "/%d" % i).body for i in range(20)]
    assert first == again


def _affine(pool, **balance):
    return {"web": {"versions": {"v1": pool},
                    "balance": dict({"affinity": True}, **balance)}}


@pytest.mark.parametrize("policy", [
    "least_request", "round_robin", "maglev"])
def test_affinity_outlives_changes_of_the_pool(start, backends, policy):
    a, b, c, d = pool = backends("a", "b", "c", "d")
    perch = start(_affine([a, b, c], policy=policy))
    browsers = [Browser(RawClient(perch.port)) for _ in range(20)]
    where = [browser.navigate().body for browser in browsers]
    assert len(set(where)) > 1
    for browser, body in zip(browsers, where):
        assert re.fullmatch(r"[0-9a-f]{5}\.[0-9a-f]+\.[0-9a-f]{8}"
                            r"\.[0-9a-f]+\.[0-9a-f]+\.v1\.[0-9a-f]{16}",
                            browser.jar["perch"])
        for _ in range(5):
            assert browser.asset().body == body
            assert not browser.navigate().has("Set-Cookie")
    perch.change(_affine([d, c, a], policy=policy))
    perch.reload()
    for browser, body in zip(browsers, where):
        if body != b"b":
            assert browser.asset().body == body
            assert browser.navigate().body == body
            continue
        # Its endpoint is gone: the next page gives it another one to keep.
        new = browser.navigate().body
        assert {browser.asset().body for _ in range(5)} == {new}
    for browser in browsers:
        browser.client.close()


def test_affinity_that_a_reload_brings(start, backends):
    """The next page writes the endpoint into the cookie that is there."""
    a, b = backends("a", "b")
    perch = start({"web": {"versions": {"v1": [a, b], "v2": [b]},
                           "stable": "v1"}})
    browser = Browser(RawClient(perch.port))
    browser.navigate()
    assert browser.jar["perch"].split(".")[2] == "-"
    seed = browser.seed
    perch.change(_affine([a, b]))
    perch.reload()
    wait_for("the endpoint in the cookie", lambda: browser.navigate() and
             browser.jar["perch"].split(".")[2] != "-")
    assert browser.seed == seed
    assert len({browser.navigate().body for _ in range(10)}) == 1
    browser.client.close()


def test_affinity_ends_with_its_version(start, backends):
    """The cookie names an endpoint of the version that the client leaves."""
    a, b = backends("a", "b")
    perch = start({"web": {"versions": {"v1": [a], "v2": [b]}, "stable": "v1",
                           "balance": {"affinity": True}}})
    browser = Browser(RawClient(perch.port))
    assert browser.navigate().body == b"a"
    perch.admin.release("web", "v2", 100)
    answer = browser.navigate()
    assert answer.body == b"b"
    assert browser.pin == "v2"
    assert not browser.navigate().has("Set-Cookie")
    browser.client.close()


def test_affinity_gives_way_to_a_dead_endpoint(start, backends):
    a, b = backends("a", "b")
    perch = start(_affine([a, b], policy="round_robin"))
    browser = Browser(RawClient(perch.port))
    body = browser.navigate().body
    mine, other = (a, b) if body == b"a" else (b, a)
    mine.stop()
    assert browser.navigate().body == other.name.encode()
    assert browser.asset().body == other.name.encode()
    browser.client.close()
