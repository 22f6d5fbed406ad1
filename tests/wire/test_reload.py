"""Many reloads under load: not one request fails."""

import signal
import socket
import subprocess
import threading
import time

import pytest

from perchtest import (
    PATIENCE, Load, RawClient, Truncated, respond, wait_for)
from perchtest.perch import SMALL_QUARANTINE

RELOADS = 20


def get(client, number):
    return client.request("GET", "/%d" % number)


def post(client, number):
    body = b"x" * (1 + number % 5000)
    answer = client.request("POST", body=body)
    assert answer.body == body
    return answer


def connect_anew(client, number):
    return client.request(fields={"Connection": "close"})


@pytest.mark.parametrize("action", [get, post, connect_anew])
def test_reloads_under_load(start, backends, action):
    """Endpoints come and go with each reload, versions too."""
    a, b, c = backends("a", "b", "c")
    for one in (a, b, c):
        one.play(respond(lambda r: r.body or b"ok"))
    perch = start({"web": a}, workers=2, log={"level": "info"})
    pools = [[a, b], [b, c], [c], [a, b, c], [a]]
    with Load(perch.port, action) as load:
        load.wait_more()
        for i in range(RELOADS):
            perch.change({"web": {"versions": {
                "v1": pools[i % len(pools)],
                "v%d" % (2 + i % 3): [a]}, "stable": "v1"}})
            perch.reload()
            load.wait_more()
    assert not load.failures, load.failures
    assert sum(load.counts) >= len(load.counts) * RELOADS
    assert a.requests and b.requests and c.requests


def test_reload_storm(start, backends):
    """Faster than they can be done, good and bad files mixed."""
    one = backends("one")
    perch = start({"web": one}, workers=2, log={"level": "warn"})
    with Load(perch.port, get) as load:
        load.wait_more()
        for i in range(60):
            if i % 5 == 4:
                with open(perch.config_file, "w") as out:
                    out.write("services: [nonsense\n")
            else:
                perch.change(limits={"target": "%dB" % (300 + i)})
            perch.send_signal(signal.SIGHUP)
            time.sleep(0.01)
        load.wait_more(3)
        perch.change(limits={"target": "100B"})
        perch.reload(lambda: _status(perch.port, "/" + "a" * 200) == 414)
        load.wait_more(3)
    assert not load.failures, load.failures


def _status(port, target):
    with RawClient(port) as client:
        return client.request("GET", target).status


def test_refused_reload_leaves_nothing_of_its_services(start, backends):
    """It resolved and counted them already when it found the port taken."""
    one = backends("one")
    perch = start({"web": one})
    kept = perch.config
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        mark = len(perch.stderr())
        perch.change({"other": {"match": {"hosts": ["other.example"]},
                                "versions": {"o1": one}}},
                     listeners=kept["listeners"] + [
                         {"bind": "127.0.0.1:%d" % taken.getsockname()[1]}])
        perch.send_signal(signal.SIGHUP)
        perch.wait_log("reload refused", mark)
    # What is done each second goes over all services.
    with pytest.raises(subprocess.TimeoutExpired):
        perch.process.wait(1.5)
    assert _status(perch.port, "/") == 200
    assert not [labels for _, labels, _ in perch.admin.metrics().samples
                if labels.get("service") == "other"]


def test_reloads_never_serve_an_unreleased_version(start, backends):
    """Each reload brings a new stable version; a worker that doesn't know
    it yet must not take the first in the file for it."""
    v1, v2, unreleased = backends("v1", "v2", "unreleased")
    perch = start({"web": {
        "versions": {"a": unreleased, "v1": v1}, "stable": "v1"}},
        workers=2, log={"level": "info"})
    with Load(perch.port, get) as load:
        load.wait_more()
        for i in range(30):
            name, pool = (("v1", v1), ("v2", v2))[(i + 1) % 2]
            perch.change({"web": {"versions": {"a": unreleased, name: pool},
                                  "stable": name}})
            perch.reload()
    assert not load.failures, load.failures
    assert v1.requests and v2.requests
    assert not unreleased.heads


def test_reloads_do_not_leak(start, backends):
    """Snapshots that nobody uses any more are freed."""
    one = backends("one")
    perch = start({"web": one}, workers=2, log={"level": "info"},
                  environment=SMALL_QUARANTINE)
    with Load(perch.port, get, clients=2) as load:
        def reload_some(n):
            for i in range(n):
                perch.change(limits={"target": "%dB" % (300 + i)})
                perch.reload()
                load.wait_more()
        reload_some(20)
        before = perch.rss()
        reload_some(40)
        growth = perch.rss() - before
    assert not load.failures, load.failures
    assert growth < 8 << 20, "grew by %d KiB" % (growth >> 10)


def test_long_answer_outlives_many_reloads(start, backends):
    one = backends("one")
    perch = start({"web": one})
    step = threading.Semaphore(0)

    def drip(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        for _ in range(10):
            assert step.acquire(timeout=PATIENCE)
            c.send(b"x")
    one.play(drip)
    with RawClient(perch.port) as client:
        client.send_request()
        one.wait_heads(1)
        for i in range(10):
            perch.change(limits={"target": "%dB" % (300 + i)})
            perch.reload()
            step.release()
        assert client.read_response().body == b"x" * 10


def test_pool_is_kept_over_a_reload(start, backends):
    """Connections to an endpoint that stays are not opened anew."""
    one = backends("one")
    perch = start({"web": one})
    with RawClient(perch.port) as client:
        client.request()
        for i in range(3):
            perch.change(limits={"target": "%dB" % (300 + i)})
            perch.reload()
            client.request()
    assert len({r.connection for r in one.requests}) == 1


def test_quit_under_load_cuts_nothing(start, backends):
    """A graceful stop: whoever was promised an answer gets a whole one."""
    one = backends("one")
    perch = start({"web": one}, workers=2)
    cut = []

    def careful(client, number):
        try:
            return client.request()
        except Truncated as error:
            # Closed between two requests is fine, inside an answer not.
            if error.message is not None or client.reader.buffer:
                cut.append(repr(error))
            raise
    with Load(perch.port, careful) as load:
        load.wait_more()
        perch.send_signal(signal.SIGQUIT)
        assert perch.wait() == 0
    assert not cut, cut
    assert all(load.counts)


def test_body_behind_a_head_that_fills_the_buffer_of_before(start, backends):
    """A reload allows for larger heads while one comes: with its last bytes no
    room is left for a body."""
    backend = backends("one")
    backend.play(respond(lambda r: r.body))
    perch = start({"web": backend}, limits={"head": "1KiB"},
                  timeouts={"body": "2s"})

    def is_taken():
        with RawClient(perch.port) as other:
            return other.request(fields=[("X-Long", "x" * 2000)]).status == 200

    begin = "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nX-Long: "
    with RawClient(perch.port) as client:
        client.send(begin)
        perch.change(limits={"head": "64KiB"})
        perch.reload()
        wait_for("the new limits", is_taken)
        client.send("x" * (32 * 1024 - len(begin) - 4) + "\r\n\r\n")
        backend.wait_heads(1)
        client.send("hello")
        assert client.read_response().body == b"hello"
