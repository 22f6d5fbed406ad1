"""perch's own answers: small, plain or JSON by what the client accepts."""

import json

import pytest

from perchtest import RawClient, free_port


def assert_page(answer, status, is_json=False):
    assert answer.status == status
    assert not answer.has("Set-Cookie")
    if is_json:
        assert answer.one("Content-Type").startswith("application/json")
        page = json.loads(answer.body)
        assert str(status) in json.dumps(page)
    else:
        assert answer.one("Content-Type").startswith("text/plain")
        assert str(status).encode() in answer.body
    assert len(answer.body) < 1000
    assert int(answer.one("Content-Length")) == len(answer.body)


@pytest.fixture(scope="module")
def broken():
    """A perch whose every road ends in an error: (perch, causes)."""
    from perchtest import Perch, ScriptedBackend

    def never(c):
        c.read_request()
        c.wait_closed()

    def garbage(c):
        c.read_request()
        c.send(b"garbage\r\n\r\n")
        c.wait_closed()

    with ScriptedBackend("fine") as fine, \
            ScriptedBackend("never", never) as hanging, \
            ScriptedBackend("garbage", garbage) as bad:
        services = {
            name: {"match": {"hosts": [name]}, "versions": {"v1": endpoint}}
            for name, endpoint in (
                ("fine", fine), ("hanging", hanging), ("bad", bad),
                ("dead", "127.0.0.1:%d" % free_port()))}
        services["fine"]["limits"] = {"body": "10B"}
        services["hanging"]["timeouts"] = {"response": "200ms"}
        services["dead"]["timeouts"] = {"connect": "200ms"}
        with Perch(services, limits={"head": "4KiB", "target": "1KiB"},
                   timeouts={"header": "2s", "body": "2s"}) as perch:
            yield perch, fine


ACCEPTS = [
    (None, False), ("text/html", False), ("*/*", False),
    ("text/plain", False), ("application/json", True),
    ("application/json, text/plain;q=0.5", True)]


@pytest.mark.parametrize("accept,is_json", ACCEPTS)
@pytest.mark.parametrize("host,status", [
    ("nowhere", (404,)), ("bad", (502,)), ("dead", (502, 503)),
    ("hanging", (504,))])
def test_page_by_accept(broken, host, status, accept, is_json):
    fields = {"Accept": accept} if accept else {}
    with RawClient(broken[0].port) as client:
        answer = client.request(host=host, fields=fields)
        assert answer.status in status
        assert_page(answer, answer.status, is_json)


@pytest.mark.parametrize("accept,is_json", ACCEPTS)
def test_body_too_large_is_413(broken, accept, is_json):
    fields = {"Accept": accept} if accept else {}
    with RawClient(broken[0].port) as client:
        answer = client.request("POST", host="fine", body=b"x" * 11,
                                fields=fields)
        assert_page(answer, 413, is_json)


@pytest.mark.parametrize("target,fields,status", [
    ("/" + "a" * 2000, {}, 414),
    ("/", {"X-Large": "a" * 5000}, 431),
    ("/", {"X-%d" % i: "a" for i in range(200)}, 431)])
def test_head_over_its_limits(broken, target, fields, status):
    with RawClient(broken[0].port) as client:
        client.send_request("GET", target, "fine", fields)
        assert_page(client.read_response(), status)
        client.expect_close()


@pytest.mark.parametrize("request_text,status", [
    ("GET / HTTP/1.1\r\n\r\n", 400),
    ("GET / HTTP/2.0\r\nHost: fine\r\n\r\n", 505),
    ("GET / HTTP/1.1\r\nHost: fine\r\n", 408),
    ("POST / HTTP/1.1\r\nHost: fine\r\nContent-Length: 5\r\n\r\nab", 408)])
def test_page_and_close(broken, request_text, status):
    with RawClient(broken[0].port) as client:
        client.send(request_text)
        answer = client.read_response()
        assert_page(answer, status)
        assert answer.list("Connection") == ["close"]
        client.expect_close()


def test_error_to_head_has_no_body(broken):
    with RawClient(broken[0].port) as client:
        answer = client.request("HEAD", host="nowhere")
        assert answer.status == 404
        assert int(answer.one("Content-Length")) > 0
        # Nothing of a body is mistaken for the next answer.
        assert client.request(host="fine").status == 200


def test_404_keeps_the_connection(broken):
    with RawClient(broken[0].port) as client:
        for _ in range(3):
            assert client.request(host="nowhere").status == 404
        assert client.request(host="fine").body == b"fine"


def test_404_for_a_request_with_a_body(broken):
    """The body is not taken for a request, whether it is read or not."""
    ghost = b"GET /ghost HTTP/1.1\r\nHost: fine\r\n\r\n"
    with RawClient(broken[0].port) as client:
        assert client.request(
            "POST", host="nowhere", body=ghost).status == 404
        client.half_close()
        client.expect_close()
    assert not [r for r in broken[1].heads if r.target == "/ghost"]


def test_error_for_http_10(broken):
    with RawClient(broken[0].port) as client:
        answer = client.request(host="nowhere", minor=0)
        assert_page(answer, 404)
        client.expect_close()


def test_error_pages_of_a_backend_are_its_own(broken):
    fine = broken[1]
    from perchtest import respond
    fine.play(respond(b"my own", "503 Busy"))
    with RawClient(broken[0].port) as client:
        answer = client.request(host="fine")
        assert (answer.status, answer.reason) == (503, "Busy")
        assert answer.body == b"my own"
    fine.play(respond(b"fine"))


def test_large_refused_body_does_not_lose_the_answer(broken):
    """The client still writes when it is refused: the answer must not be
    lost to a reset (RFC 9112 9.6)."""
    with RawClient(broken[0].port) as client:
        client.send("POST / HTTP/1.1\r\nHost: fine\r\n"
                    "Content-Length: 2000000\r\n\r\n")
        client.send(b"x" * 2000000)
        assert client.read_response().status == 413


def test_chunked_body_over_the_limit(broken):
    with RawClient(broken[0].port) as client:
        client.send("POST / HTTP/1.1\r\nHost: fine\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n"
                    "8\r\nabcdefgh\r\n8\r\nabcdefgh\r\n0\r\n\r\n")
        assert client.read_response().status == 413


def test_connect_method_is_refused(broken):
    with RawClient(broken[0].port) as client:
        client.send("CONNECT fine:80 HTTP/1.1\r\nHost: fine:80\r\n\r\n")
        assert client.read_response().status in (400, 405, 501)
