"""Inside a version: which endpoint."""

import collections
import threading

import pytest

from perchtest import RawClient, respond, wait_for


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
            for i in range(60):
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
                    "Cookie": "perch=%05x.-.-.-" % (seed * 4099)}).body)
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
            client.request("GET", "/%d" % i).body for i in range(400))
    # 360 and 40, within 4 standard deviations (6 each).
    assert 336 <= got[b"a"] <= 384


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
