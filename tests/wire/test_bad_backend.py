"""A backend's answer is held to the same rules: 502, and its connection is
closed."""

import json
import re
import threading

import pytest

from perchtest import RawClient, Truncated, respond, wait_for

OK = b"HTTP/1.1 200 OK\r\n"

BAD_HEADS = {
    "garbage": b"garbage\r\n\r\n",
    "empty-line": b"\r\n\r\n",
    "lower-case-version": b"http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "http-2": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "status-of-two-digits": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "status-of-four-digits":
        b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "status-0xx": b"HTTP/1.1 099 No\r\nContent-Length: 0\r\n\r\n",
    "status-letters": b"HTTP/1.1 2xx OK\r\nContent-Length: 0\r\n\r\n",
    "two-spaces": b"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n",
    "bare-lf": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "bare-cr": OK + b"X-A: b\rc\r\nContent-Length: 0\r\n\r\n",
    "nul": OK + b"X-A: b\0c\r\nContent-Length: 0\r\n\r\n",
    "control": OK + b"X-A: b\x02c\r\nContent-Length: 0\r\n\r\n",
    "obs-fold": OK + b"X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    "space-before-colon": OK + b"X-A : b\r\nContent-Length: 0\r\n\r\n",
    "no-colon": OK + b"X-A\r\nContent-Length: 0\r\n\r\n",
    "cl-and-te": OK + b"Content-Length: 3\r\n"
                      b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "cl-differ": OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "cl-list-differ": OK + b"Content-Length: 3, 4\r\n\r\nabcd",
    "cl-negative": OK + b"Content-Length: -1\r\n\r\n",
    "cl-letters": OK + b"Content-Length: abc\r\n\r\n",
    "cl-overflow": OK + b"Content-Length: 99999999999999999999\r\n\r\n",
    "te-unknown": OK + b"Transfer-Encoding: gzip\r\n\r\nabc",
    "te-twice": OK + b"Transfer-Encoding: chunked\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "te-http-10": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                  b"0\r\n\r\n",
    "too-many-fields": OK + b"X-A: b\r\n" * 300 + b"\r\n",
    "head-too-long": OK + b"X-A: " + b"b" * 70000 + b"\r\n\r\n",
    "upgrade-not-asked": b"HTTP/1.1 101 Switching Protocols\r\n"
                         b"Connection: upgrade\r\nUpgrade: x\r\n\r\n",
}

BAD_CHUNKS = {
    "size": b"zz\r\nabc\r\n0\r\n\r\n",
    "size-bare-lf": b"3\nabc\r\n0\r\n\r\n",
    "size-overflow": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "missing-crlf": b"3\r\nabcX\r\n0\r\n\r\n",
    "trailer": b"3\r\nabc\r\n0\r\nbad\r\n\r\n",
}


def assert_is_closed(connection):
    wait_for("perch to close the backend's connection",
             lambda: connection.ended.is_set())


@pytest.mark.parametrize("name", BAD_HEADS)
def test_bad_answer_is_502(client, backend, name):
    connections = []

    def answer(c):
        c.read_request()
        connections.append(c)
        c.send(BAD_HEADS[name])
        c.wait_closed()
    backend.play(answer, respond(b"fine"))
    got = client.request()
    assert got.status == 502
    assert_is_closed(connections[0])
    # The client's own connection is none the worse for it.
    assert client.request().body == b"fine"


def refused_answers(perch, **labels):
    return perch.admin.metrics().sum("perch_malformed_answers_total", **labels)


@pytest.mark.parametrize("name", BAD_HEADS)
def test_bad_answer_is_counted_by_its_reason(shared, client, backend, name):
    """One of those that there is a word for."""
    def answer(c):
        c.read_request()
        c.send(BAD_HEADS[name])
        c.wait_closed()
    backend.play(answer)
    before = refused_answers(shared[0])
    assert client.request().status == 502
    wait_for("it to be counted",
             lambda: refused_answers(shared[0]) == before + 1)
    assert refused_answers(shared[0], reason="other") == 0


def test_bad_answers_are_told_of(start, backends, tmp_path):
    """In the log once a second, in the access log each."""
    one = backends("one")
    path = str(tmp_path / "access.log")
    perch = start({"web": one}, log={
        "level": "warn", "access": {"file": path, "format": "json"}})

    def answer(c):
        c.read_request()
        c.send(BAD_HEADS["obs-fold"])
        c.wait_closed()
    said = (r" warn malformed answer of %s \(v1 of web\): "
            "folded field line; ([0-9]+) more before it\n" % one.address)
    n = 0
    with RawClient(perch.port) as client:
        def is_said_again():
            nonlocal n
            n += 1
            one.play(answer)
            assert client.request("POST", "/a", body=b"x").status == 502
            return len(re.findall(said, perch.stderr())) >= 2
        wait_for("a second line", is_said_again)
        one.play(respond(b"fine"))
        assert client.request("GET", "/good").status == 200
    perch.stop()
    # Those that the log left out are in its next line.
    counts = [int(c) for c in re.findall(said, perch.stderr())]
    assert counts[0] == 0 and counts[1] >= 1
    assert len(counts) <= 3
    assert n - 1 <= sum(counts) + len(counts) <= n
    entries = [json.loads(line) for line in open(path)]
    assert [e.get("cause") for e in entries] == \
        ["folded field line"] * n + [None]
    assert {e.get("error") for e in entries[:-1]} == {"bad_response"}


@pytest.mark.parametrize("name", BAD_CHUNKS)
def test_bad_chunk_cuts_the_answer(client, backend, name):
    """The head is gone: no clean end, no 502 in the middle."""
    def answer(c):
        c.read_request()
        c.send(OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n")
        c.send(BAD_CHUNKS[name])
        c.wait_closed()
    backend.play(answer)
    client.send_request()
    try:
        got = client.read_response()
    except Truncated:
        assert b"0\r\n\r\n" not in client.reader.raw
    else:
        # Found before anything was sent.
        assert got.status == 502


@pytest.mark.parametrize("part", [
    b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-Le"])
def test_close_inside_the_head_is_502(client, backend, part):
    def answer(c):
        c.read_request()
        if part:
            c.send(part)
        c.close()
    backend.play(answer)
    assert client.request("POST", body=b"x").status == 502


def test_reset_before_the_head_is_502(client, backend):
    def answer(c):
        c.read_request()
        c.reset()
    backend.play(answer)
    assert client.request("POST", body=b"x").status == 502


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("framing", [
    b"Content-Length: 100000\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_answer_cut_short_is_cut_short_for_the_client(
        client, backend, end, framing):
    def answer(c):
        c.read_request()
        c.send(OK + framing + b"\r\n")
        if b"chunked" in framing:
            c.send(b"186a0\r\n")
        c.send(b"x" * 5000)
        getattr(c, end)()
    backend.play(answer)
    client.send_request()
    got = client.expect_truncated()
    assert got is None or got.status == 200
    assert b"\r\n0\r\n" not in client.reader.raw


def test_answer_cut_between_chunks(client, backend):
    def answer(c):
        c.read_request()
        c.send(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        c.close()
    backend.play(answer)
    client.send_request()
    client.expect_truncated()


def test_reset_of_a_body_until_close_is_no_clean_end(client, backend):
    def answer(c):
        c.read_request()
        c.send(OK + b"\r\n" + b"x" * 5000)
        # Only once the head has reached the client is it an answer cut short.
        c.wait(client_has_head)
        c.reset()
    client_has_head = threading.Event()
    backend.play(answer)
    client.send_request()
    assert client.reader.read_response_head().status == 200
    client_has_head.set()
    client.read_until_close()
    assert not bytes(client.reader.raw).endswith(b"0\r\n\r\n")


def test_length_longer_than_declared_is_cut(client, backend):
    def answer(c):
        c.read_request()
        c.send(OK + b"Content-Length: 3\r\n\r\nabcdef")
    backend.play(answer, respond(b"fine"))
    assert client.request().body == b"abc"
    assert client.request().body == b"fine"


def test_errors_are_not_mixed_up_between_clients(shared, backend):
    def bad(c):
        c.read_request()
        c.send(b"garbage\r\n\r\n")
        c.wait_closed()
    backend.play(bad, respond(b"fine"))
    with RawClient(shared[0].port) as one, RawClient(shared[0].port) as two:
        assert one.request().status == 502
        assert two.request().body == b"fine"
