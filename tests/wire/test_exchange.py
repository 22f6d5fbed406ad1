"""One request and its response, in every form that HTTP/1 has for them."""

import threading
import time

import pytest

from perchtest import PeerClosed, RawClient, respond, wait_for


# -- keep-alive and pipelining ---------------------------------------------

def test_plain_get(client, backend):
    answer = client.request("GET", "/some/path?q=1")
    assert (answer.status, answer.body) == (200, b"hello")
    request = backend.next_request()
    assert (request.method, request.target) == ("GET", "/some/path?q=1")
    assert request.minor == 1
    assert request.one("Host") == "test"


def test_keep_alive_serves_many_requests(client, backend):
    for i in range(50):
        assert client.request("GET", "/%d" % i).body == b"hello"
    assert [r.target for r in backend.requests] == [
        "/%d" % i for i in range(50)]


def test_upstream_connection_is_reused(client, backend):
    for _ in range(5):
        client.request()
    assert len({r.connection for r in backend.requests}) == 1


def test_upstream_connection_is_shared_between_clients(shared, backend):
    for _ in range(5):
        with RawClient(shared[0].port) as client:
            client.request()
    assert len({r.connection for r in backend.requests}) == 1


def test_connection_close_from_client(client, backend):
    answer = client.request(fields={"Connection": "close"})
    assert answer.status == 200
    assert "close" in [e.lower() for e in answer.list("Connection")]
    client.expect_close()
    assert not backend.next_request().has("Connection")


def test_connection_close_in_other_case_and_a_list(client):
    assert client.request(
        fields={"Connection": "x-nothing, CLOSE"}).status == 200
    client.expect_close()


def test_backend_close_keeps_the_client(client, backend):
    def close_after(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
               b"Content-Length: 2\r\n\r\nhi")
        c.close()
    backend.play(close_after)
    for _ in range(3):
        answer = client.request()
        assert (answer.status, answer.body) == (200, b"hi")
        assert "close" not in answer.list("Connection")


@pytest.mark.parametrize("count", [2, 10, 100])
def test_pipelined_requests_are_answered_in_order(client, backend, count):
    backend.play(respond(lambda request: request.target.encode()))
    client.send("".join(
        "GET /%d HTTP/1.1\r\nHost: test\r\n\r\n" % i for i in range(count)))
    for i in range(count):
        assert client.read_response().body == b"/%d" % i
    assert [r.target for r in backend.requests] == [
        "/%d" % i for i in range(count)]


def test_pipelined_bodies_and_methods(client, backend):
    backend.play(respond(
        lambda r: ("%s %s " % (r.method, r.target)).encode() + r.body))
    client.send(
        "POST /a HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc"
        "HEAD /b HTTP/1.1\r\nHost: t\r\n\r\n"
        "POST /c HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
        "2\r\nde\r\n1\r\nf\r\n0\r\n\r\n"
        "GET /d HTTP/1.1\r\nHost: t\r\n\r\n")
    assert client.read_response().body == b"POST /a abc"
    head = client.read_response("HEAD")
    assert head.one("Content-Length") == str(len("HEAD /b "))
    assert client.read_response().body == b"POST /c def"
    assert client.read_response().body == b"GET /d "


def test_pipelined_request_waits_for_a_slow_answer(client, backend):
    release = threading.Event()
    backend.play(respond(b"first", after=release), respond(b"second"))
    client.send("GET /1 HTTP/1.1\r\nHost: t\r\n\r\n"
                "GET /2 HTTP/1.1\r\nHost: t\r\n\r\n")
    backend.wait_heads(1)
    assert client.is_quiet(0.1)
    release.set()
    assert client.read_response().body == b"first"
    assert client.read_response().body == b"second"


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_request_that_trickles_in(client, backend, pieces):
    request = (b"POST /trickle HTTP/1.1\r\nHost: t\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n"
               b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nX-T: 1\r\n\r\n")
    for i in range(0, len(request), pieces):
        client.send(request[i:i + pieces])
    assert client.read_response().status == 200
    assert backend.next_request().body == b"hello world"


@pytest.mark.parametrize("pieces", [1, 3])
def test_response_that_trickles_in(client, backend, pieces):
    def trickle(c):
        c.read_request()
        answer = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                  b"5\r\nhello\r\n00006;a=b\r\n world\r\n0\r\n\r\n")
        for i in range(0, len(answer), pieces):
            c.send(answer[i:i + pieces])
    backend.play(trickle)
    assert client.request().body == b"hello world"
    assert client.request().body == b"hello world"


def test_empty_line_alone_is_forgiven_once(client):
    client.send("\r\n")
    assert client.is_quiet(0.1)
    assert client.request().status == 200
    client.send("\r\n")
    assert client.is_quiet(0.1)
    client.send("\r\n")
    assert client.read_response().status == 400


def test_one_empty_line_before_a_request_is_forgiven(client):
    client.send("\r\nGET / HTTP/1.1\r\nHost: t\r\n\r\n")
    assert client.read_response().status == 200


# -- methods and targets ----------------------------------------------------

@pytest.mark.parametrize("method", [
    "GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND",
    "X-ODD.METHOD"])
def test_method_is_passed_on(client, backend, method):
    assert client.request(method).status == 200
    assert backend.next_request().method == method


@pytest.mark.parametrize("target", [
    "/", "/a%20b", "/a//b", "/%e4", "/a?b=c?d&e", "/?", "/a;b=c",
    "/~!$&'()*+,:@"])
def test_target_is_passed_on_as_received(client, backend, target):
    assert client.request("GET", target).status == 200
    assert backend.next_request().target == target


def test_options_asterisk(client, backend):
    assert client.request("OPTIONS", "*").status == 200
    assert backend.next_request().target == "*"


def test_absolute_form_becomes_origin_form(client, backend):
    client.send("GET http://test/x?y HTTP/1.1\r\nHost: test\r\n\r\n")
    assert client.read_response().status == 200
    request = backend.next_request()
    assert request.target == "/x?y"
    assert request.one("Host") == "test"


def test_absolute_form_without_path(client, backend):
    client.send("GET http://test HTTP/1.1\r\nHost: test\r\n\r\n")
    assert client.read_response().status == 200
    assert backend.next_request().target == "/"


# -- request bodies ---------------------------------------------------------

@pytest.mark.parametrize("size", [0, 1, 1000, 65536, 300000])
def test_request_body_with_length(client, backend, size):
    body = bytes(i * 7 & 255 for i in range(size))
    backend.play(respond(lambda r: r.body))
    assert client.request("POST", body=body).body == body
    assert backend.next_request().one("Content-Length") == str(size)


@pytest.mark.parametrize("sizes", [[], [1], [5, 1, 100], [70000, 3, 70000]])
def test_request_body_chunked(client, backend, sizes):
    chunks = [bytes([65 + i]) * size for i, size in enumerate(sizes)]
    client.send("POST / HTTP/1.1\r\nHost: t\r\n"
                "Transfer-Encoding: chunked\r\n\r\n")
    for chunk in chunks:
        client.send(b"%X\r\n%s\r\n" % (len(chunk), chunk))
    client.send("0\r\n\r\n")
    assert client.read_response().status == 200
    assert backend.next_request().body == b"".join(chunks)


def test_get_with_a_body(client, backend):
    assert client.request("GET", body=b"why not").status == 200
    assert backend.next_request().body == b"why not"


def test_transfer_encoding_in_any_case(client, backend):
    client.send("POST / HTTP/1.1\r\nHost: t\r\n"
                "Transfer-Encoding: Chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")
    assert client.read_response().status == 200
    assert backend.next_request().body == b"x"


@pytest.mark.parametrize("lengths", [
    "Content-Length: 3, 3", "Content-Length: 3, 03", "Content-Length: 3\r\nContent-Length: 3"])
def test_equal_lengths_are_folded_to_one(client, backend, lengths):
    client.send("POST / HTTP/1.1\r\nHost: t\r\n%s\r\n\r\nabc" % lengths)
    assert client.read_response().status == 200
    request = backend.next_request()
    assert request.body == b"abc"
    assert request.one("Content-Length") == "3"


def test_chunked_bodies_byte_by_byte(client, backend):
    """Both ways, with trailers."""
    chunked = b"1\r\na\r\n02;x=y\r\nbc\r\n0\r\nX-Sum: 1\r\n\r\n"

    def script(c):
        request = c.read_request()
        assert request.body == b"abc"
        assert request.trailers == [("X-Sum", "1")]
        c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        _trickle(c.send, chunked)
    backend.play(script)
    client.send("POST / HTTP/1.1\r\nHost: t\r\n"
                "Transfer-Encoding: chunked\r\n\r\n")
    _trickle(client.send, chunked)
    answer = client.read_response("POST")
    assert answer.body == b"abc"
    assert answer.trailers == [("X-Sum", "1")]


def _trickle(send, data):
    for i in range(len(data)):
        send(data[i:i + 1])
        time.sleep(0.001)  # so that it comes as one


@pytest.mark.parametrize("has_answered", [False, True])
def test_malformed_chunk_in_the_middle_of_a_body(
        client, backend, has_answered):
    """400, or the cut of what has been answered already."""
    begun = threading.Event()

    def script(c):
        c.read_head()
        if has_answered:
            c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nearly")
        begun.set()
        c.wait_closed()
    backend.play(script)
    client.send("POST / HTTP/1.1\r\nHost: t\r\n"
                "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
    assert begun.wait(20)
    if has_answered:
        assert client.reader.read_response_head().status == 200
    client.send("g\r\n")
    if has_answered:
        assert client.read_until_close() == b"early"
    else:
        assert client.read_response("POST").status == 400
        client.expect_close()
    upstream = backend.heads[0].connection
    wait_for("the upstream connection to end", upstream.ended.is_set)


def test_chunk_extensions_are_dropped(client, backend):
    client.send("POST / HTTP/1.1\r\nHost: t\r\n"
                "Transfer-Encoding: chunked\r\n\r\n"
                "3;name=value\r\nabc\r\n0;last\r\n\r\n")
    assert client.read_response().status == 200
    request = backend.next_request()
    assert request.body == b"abc"
    assert b";name" not in request.connection.raw


def test_body_streams_before_it_ends(client, backend):
    """The backend has the first bytes while the client still sends."""
    got = threading.Event()

    def stream(c):
        request = c.read_head()
        data = b""
        while len(data) < 1000:
            data += c.read_some()
        got.set()
        while len(data) < 2000:
            data += c.read_some()
        c.backend._completed(request)
        c.send_response(b"done")
    backend.play(stream)
    client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 2000\r\n\r\n")
    client.send(b"x" * 1000)
    assert got.wait(20)
    client.send(b"y" * 1000)
    assert client.read_response().body == b"done"


def test_answer_before_the_body_is_whole(client, backend):
    """An early refusal reaches the client, and the rest of the body isn't
    taken for a request."""
    def refuse(c):
        c.read_head()
        c.send(b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\n"
               b"Content-Length: 2\r\n\r\nno")
        c.wait_closed()
    backend.play(refuse)
    client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\n"
                "GET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n")
    answer = client.read_response()
    assert (answer.status, answer.body) == (403, b"no")
    client.close()
    assert [r.target for r in backend.heads] == ["/"]


# -- response bodies --------------------------------------------------------

@pytest.mark.parametrize("size", [0, 1, 1000, 16384, 65536, 500000])
def test_response_body_with_length(client, backend, size):
    body = bytes(i * 11 & 255 for i in range(size))
    backend.play(respond(body))
    answer = client.request()
    assert answer.one("Content-Length") == str(size)
    assert answer.body == body
    assert client.request().body == body


@pytest.mark.parametrize("sizes", [[], [1], [5, 1, 100], [70000, 3, 70000]])
def test_response_body_chunked(client, backend, sizes):
    chunks = [bytes([65 + i]) * size for i, size in enumerate(sizes)]

    def send_chunks(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for chunk in chunks:
            c.send(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        c.send(b"0\r\n\r\n")
    backend.play(send_chunks)
    for _ in range(2):
        answer = client.request()
        assert answer.chunked
        assert answer.body == b"".join(chunks)


def test_response_chunks_arrive_as_they_are_sent(client, backend):
    """An event stream must not be held back."""
    go_on = threading.Event()

    def stream(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n7\r\none\r\n\r\n\r\n")
        c.wait(go_on)
        c.send(b"3\r\ntwo\r\n0\r\n\r\n")
    backend.play(stream)
    client.send_request()
    client.reader.read_response_head()
    while b"one" not in client.reader.buffer:
        assert client.reader.fill()
    assert b"two" not in client.reader.buffer
    go_on.set()
    while not client.reader.buffer.endswith(b"0\r\n\r\n"):
        assert client.reader.fill()


@pytest.mark.parametrize("size", [0, 5, 200000])
def test_response_until_close_is_chunked_for_the_client(
        client, backend, size):
    def until_close(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\n\r\n" + b"z" * size)
        c.close()
    backend.play(until_close)
    for _ in range(2):  # and the client's connection goes on
        answer = client.request()
        assert answer.chunked
        assert answer.body == b"z" * size


def test_response_of_an_http_10_backend(client, backend):
    def old(c):
        c.read_request()
        c.send(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold")
        c.close()
    backend.play(old)
    for _ in range(2):
        answer = client.request()
        assert (answer.minor, answer.body) == (1, b"old")


@pytest.mark.parametrize("line", [
    b"HTTP/1.1 200 \r\n", b"HTTP/1.1 200 Very Well\r\n",
    b"HTTP/1.1 299 Odd\r\n", b"HTTP/1.1 599 Odder\r\n",
    b"HTTP/1.1 600 Oddest\r\n", b"HTTP/1.1 999 \r\n"])
def test_status_line_is_passed_on(client, backend, line):
    def answer(c):
        c.read_request()
        c.send(line + b"Content-Length: 0\r\n\r\n")
    backend.play(answer)
    got = client.request()
    assert got.raw_head.startswith(line)


@pytest.mark.parametrize("line, sent", [
    (b"HTTP/1.1 200\r\n", b"HTTP/1.1 200 \r\n"),
    (b"HTTP/1.1 600\r\n", b"HTTP/1.1 600 \r\n")])
def test_status_line_without_a_reason(client, backend, line, sent):
    def answer(c):
        c.read_request()
        c.send(line + b"Content-Length: 0\r\n\r\n")
    backend.play(answer)
    assert client.request().raw_head.startswith(sent)


def test_status_beyond_the_classes_counts_as_5xx(start, backends):
    backend = backends("one")
    perch = start({"web": backend})
    with RawClient(perch.port) as client:
        for status in ("600 A", "999 B"):
            backend.play(respond(status=status))
            assert client.request().status == int(status[:3])
    perch.admin.wait_metric("perch_responses_total", 2, **{"class": "5xx"})


def test_fields_keep_their_order_and_case(client, backend):
    backend.play(respond(fields=[
        ("x-LOWER", "1"), ("X-Twice", "a"), ("Set-Cookie", "a=1"),
        ("X-Twice", "b"), ("Set-Cookie", "b=2"), ("X-Empty", "")]))
    answer = client.request(fields=[
        ("x-first", "1"), ("X-TWICE", "a"), ("x-twice", "b"),
        ("X-Empty", "")])
    names = [n for n, _ in answer.fields]
    assert [n for n in names if n.startswith(("x-", "X-"))][:4] == [
        "x-LOWER", "X-Twice", "X-Twice", "X-Empty"]
    assert answer.all("X-Twice") == ["a", "b"]
    assert answer.all("Set-Cookie")[:2] == ["a=1", "b=2"]
    assert answer.get("X-Empty") == ""
    request = backend.next_request()
    ours = [p for p in request.fields
            if p[0] in ("x-first", "X-TWICE", "x-twice", "X-Empty")]
    assert ours == [("x-first", "1"), ("X-TWICE", "a"), ("x-twice", "b"),
                    ("X-Empty", "")]


def test_field_values_with_tabs_and_high_bytes(client, backend):
    client.request(fields=[("X-Odd", "a\tb \xe4\xf6 c")])
    assert backend.next_request().one("X-Odd") == "a\tb \xe4\xf6 c"


# -- no body, whatever the fields say ---------------------------------------

@pytest.mark.parametrize("framing", [
    b"", b"Content-Length: 1000\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_head_has_no_body(client, backend, framing):
    def answer(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n")
    backend.play(answer)
    got = client.request("HEAD")
    assert got.status == 200
    if b"Length" in framing:
        assert got.one("Content-Length") == "1000"
    backend.play(respond(b"next"))
    assert client.request().body == b"next"


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
@pytest.mark.parametrize("framing", [b"", b"Content-Length: 1000\r\n"])
def test_status_without_body(client, backend, status, framing):
    def answer(c):
        c.read_request()
        c.send(b"HTTP/1.1 " + status + b"\r\n" + framing + b"\r\n")
    backend.play(answer)
    got = client.request()
    assert (b"%d" % got.status) == status[:3]
    assert not got.has("Transfer-Encoding")
    if status[:3] == b"204":
        # RFC 9110 8.6: no Content-Length in a 204.
        assert not got.has("Content-Length")
    backend.play(respond(b"next"))
    assert client.request().body == b"next"


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_body_behind_a_bodyless_status_is_never_the_next_answer(
        client, backend, status):
    def poison(c):
        c.read_request()
        c.send(b"HTTP/1.1 %s\r\nContent-Length: 38\r\n\r\n"
               b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
               % status.encode())
    backend.play(poison, respond(b"honest"))
    assert client.request().status == int(status[:3])
    assert client.request().body == b"honest"


def test_unasked_bytes_of_a_backend_poison_nothing(client, backend):
    """What follows a whole answer belongs to no request (RFC 9112 9.2)."""
    def chatty(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
               b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    backend.play(chatty, respond(b"honest"))
    assert client.request().body == b"ok"
    assert client.request().body == b"honest"


@pytest.mark.parametrize("behind", [b"", b"0\r\n\r\n"],
                         ids=["nothing", "a_last_chunk"])
@pytest.mark.parametrize("fields", [
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
    b"Content-Length: 5\r\n"], ids=["coding", "both", "length"])
def test_204_with_framing(client, backend, fields, behind):
    """It has no body whatever it says (RFC 9112 6.3); but what its backend
    will send is anybody's guess."""
    def answer(c):
        c.read_request()
        c.send(b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n" + fields + b"\r\n"
               + behind)
        c.wait_closed()
    backend.play(answer, respond(b"next"))
    got = client.request("PUT", body=b"x")
    assert (got.status, got.get("X-A")) == (204, "1")
    assert not got.has("Transfer-Encoding")
    assert not got.has("Content-Length")
    first = backend.requests[0].connection
    wait_for("that connection to be closed", first.ended.is_set)
    assert client.request().body == b"next"


@pytest.mark.parametrize("method, status", [
    ("HEAD", b"200 OK"), ("GET", b"304 Not Modified")])
def test_framing_that_contradicts_itself_where_no_body_follows(
        client, backend, method, status):
    def answer(c):
        c.read_request()
        c.send(b"HTTP/1.1 " + status + b"\r\nContent-Length: 5\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n")
        c.wait_closed()
    backend.play(answer, respond(b"next"))
    got = client.request(method)
    assert got.status == int(status[:3])
    assert not got.has("Transfer-Encoding")
    assert not got.has("Content-Length")
    first = backend.requests[0].connection
    wait_for("that connection to be closed", first.ended.is_set)
    assert client.request().body == b"next"


def test_interim_with_a_coding(client, backend):
    def answer(c):
        c.read_request()
        c.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n")
        c.send_response(b"final")
    backend.play(answer)
    client.send_request()
    hints = client.reader.read_response_head()
    assert (hints.status, hints.get("Link")) == (103, "</a>")
    assert not hints.has("Transfer-Encoding")
    assert client.read_response().body == b"final"


@pytest.mark.parametrize("chunked", [False, True])
def test_205_with_a_body(client, backend, chunked):
    """None belongs there (RFC 9110 15.3.6), but where it ends is said."""
    backend.play(respond(b"reset", "205 Reset Content", chunked=chunked),
                 respond(b"next"))
    got = client.request("POST", body=b"x")
    assert (got.status, got.body) == (205, b"reset")
    assert client.request().body == b"next"


# -- trailers ---------------------------------------------------------------

def _trailers(c):
    c.read_request()
    c.send(b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\n"
           b"Transfer-Encoding: chunked\r\n\r\n"
           b"3\r\nabc\r\n0\r\nX-Sum: 99\r\nX-More: a b\r\n\r\n")


def test_response_trailers_reach_a_chunked_client(client, backend):
    backend.play(_trailers)
    answer = client.request(fields={"TE": "trailers", "Connection": "TE"})
    assert answer.body == b"abc"
    assert answer.trailers == [("X-Sum", "99"), ("X-More", "a b")]
    assert client.request().body == b"abc"


def test_response_trailers_are_dropped_for_http_10(shared, backend):
    backend.play(_trailers)
    with RawClient(shared[0].port) as client:
        answer = client.request(minor=0)
        assert answer.body == b"abc"
        assert answer.until_close


def test_request_trailers_reach_the_backend(client, backend):
    client.send("POST / HTTP/1.1\r\nHost: t\r\nTrailer: X-Sum\r\n"
                "Transfer-Encoding: chunked\r\n\r\n"
                "3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n")
    assert client.read_response().status == 200
    request = backend.next_request()
    assert request.body == b"abc"
    assert request.trailers == [("X-Sum", "7")]


@pytest.mark.parametrize("trailer", [
    "Content-Length: 5", "Transfer-Encoding: chunked", "Host: evil",
    "Authorization: x", "Cookie: a=b", "X-Forwarded-For: 192.0.2.7",
    "X-Request-Id: x"])
def test_forbidden_request_trailers(client, backend, trailer):
    client.send("POST / HTTP/1.1\r\nHost: t\r\n"
                "Transfer-Encoding: chunked\r\n\r\n"
                "3\r\nabc\r\n0\r\n%s\r\n\r\n" % trailer)
    assert client.read_response().status == 400
    client.expect_close()
    assert not backend.requests


# -- 1xx --------------------------------------------------------------------

def test_continue_is_passed_once(client, backend):
    def script(c):
        request = c.read_head()
        assert request.get("Expect", "").lower() in ("", "100-continue")
        if request.has("Expect"):
            c.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        c.read_body(request)
        c.send_response(b"thanks")
    backend.play(script)
    client.send("POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"
                "Content-Length: 4\r\n\r\n")
    first = client.reader.read_response_head()
    assert first.status == 100
    client.send("body")
    answer = client.read_response()
    assert not answer.informational
    assert answer.body == b"thanks"
    assert backend.next_request().body == b"body"


def test_body_sent_without_waiting_for_continue(client, backend):
    def script(c):
        request = c.read_head()
        c.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        c.read_body(request)
        c.send_response(b"thanks")
    backend.play(script)
    client.send("POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"
                "Content-Length: 4\r\n\r\nbody")
    answer = client.read_response()
    assert len(answer.informational) <= 1
    assert answer.body == b"thanks"


def test_refusal_instead_of_continue(client, backend):
    def script(c):
        c.read_head()
        c.send(b"HTTP/1.1 417 Expectation Failed\r\n"
               b"Connection: close\r\nContent-Length: 0\r\n\r\n")
        c.wait_closed()
    backend.play(script)
    client.send("POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"
                "Content-Length: 4\r\n\r\n")
    answer = client.read_response()
    assert answer.status == 417


def test_early_hints_are_passed(client, backend):
    def script(c):
        c.read_request()
        c.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload"
               b"\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b.js>\r\n\r\n")
        c.send_response(b"page")
    backend.play(script)
    for _ in range(2):
        answer = client.request()
        assert answer.body == b"page"
        assert [(i.status, i.one("Link")) for i in answer.informational] == [
            (103, "</a.css>; rel=preload"), (103, "</b.js>")]


def test_unasked_continue_is_not_taken_for_the_answer(client, backend):
    def script(c):
        c.read_request()
        c.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        c.send_response(b"page")
    backend.play(script)
    answer = client.request()
    assert (answer.status, answer.body) == (200, b"page")


def test_no_1xx_for_http_10(client, backend):
    def script(c):
        c.read_request()
        c.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        c.send_response(b"page")
    backend.play(script)
    answer = client.request(minor=0)
    assert (answer.status, answer.body) == (200, b"page")
    assert not answer.informational


# -- HTTP/1.0 clients -------------------------------------------------------

def test_http_10_closes(client, backend):
    answer = client.request(minor=0)
    assert (answer.status, answer.body) == (200, b"hello")
    client.expect_close()
    assert backend.next_request().minor == 1


def test_http_10_keep_alive(client):
    for _ in range(3):
        answer = client.request(
            minor=0, fields={"Connection": "keep-alive"})
        assert answer.body == b"hello"
        assert "keep-alive" in [
            e.lower() for e in answer.list("Connection")]


def test_http_10_gets_a_chunked_answer_until_close(client, backend):
    backend.play(respond(b"a" * 100000, chunked=True))
    answer = client.request(minor=0, fields={"Connection": "keep-alive"})
    assert answer.until_close
    assert not answer.has("Transfer-Encoding")
    assert answer.body == b"a" * 100000


def test_http_10_without_host(client, backend):
    client.send("GET / HTTP/1.0\r\n\r\n")
    assert client.read_response().status == 200
    assert len(backend.next_request().all("Host")) <= 1


def test_http_10_truncated_answer_is_reset(shared, client, backend):
    """Where the end of the body is the end of the connection, only a reset
    tells a cut from an end."""
    def cut(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"5\r\nhello\r\n")
        c.reset()
    backend.play(cut)
    client.send("GET / HTTP/1.0\r\nHost: t\r\n\r\n")
    client.read_until_close()
    assert client.was_reset


# -- half-close -------------------------------------------------------------

def test_half_close_after_the_request_gets_the_answer(client, backend):
    release = threading.Event()
    backend.play(respond(b"late", after=release))
    client.send_request().half_close()
    backend.wait_heads(1)
    assert client.is_quiet(0.1)
    release.set()
    assert client.read_response().body == b"late"
    client.expect_close()


def test_half_close_after_a_body(client, backend):
    backend.play(respond(lambda r: r.body))
    client.send_request("POST", body=b"x" * 100000).half_close()
    assert client.read_response().body == b"x" * 100000
    client.expect_close()


def test_half_close_after_a_body_that_waits_for_its_turn(start, backends):
    """Body and end come while the request is queued: it is whole all the
    same."""
    one = backends("one")
    release = threading.Event()
    perch = start({"web": one}, limits={"endpoint_connections": 1})
    one.play(respond(b"slow", after=release), respond(lambda r: r.body))
    with RawClient(perch.port) as first, RawClient(perch.port) as second:
        first.send_request()
        one.wait_heads(1)
        second.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n"
                    "\r\nhello")
        assert second.is_quiet(0.1)
        second.send("world").half_close()
        assert second.is_quiet(0.1)
        release.set()
        assert first.read_response().body == b"slow"
        assert second.read_response().body == b"helloworld"
        second.expect_close()


def test_half_close_after_pipelined_requests(client, backend):
    backend.play(respond(lambda r: r.target.encode()))
    client.send("GET /1 HTTP/1.1\r\nHost: t\r\n\r\n"
                "GET /2 HTTP/1.1\r\nHost: t\r\n\r\n").half_close()
    assert client.read_response().body == b"/1"
    assert client.read_response().body == b"/2"
    client.expect_close()


def test_half_close_inside_a_head(client, backend):
    client.send("GET / HTTP/1.1\r\nHos").half_close()
    rest = client.read_until_close()
    assert rest == b"" or rest.startswith(b"HTTP/1.1 400 ")
    assert not backend.requests


def test_half_close_inside_a_body(client, backend):
    """The backend must see that the body was cut, never a whole request."""
    ended = threading.Event()

    def script(c):
        request = c.read_head()
        try:
            c.read_body(request)
        except PeerClosed:
            ended.set()
            raise
    backend.play(script)
    client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nabc")
    backend.wait_heads(1)
    client.half_close()
    assert ended.wait(20)
    assert not backend.requests


@pytest.mark.parametrize("more", ["GET /more HTTP/1.1\r\nHost: t\r\n\r\n",
                                  "\x16\x03\x01"])
@pytest.mark.parametrize("is_ended", [False, True])
def test_bytes_behind_the_last_request(client, backend, more, is_ended):
    """They don't cost the answer, and nobody looks at them."""
    answer_now = threading.Event()

    def script(c):
        c.read_request()
        c.wait(answer_now)
        c.send_response(b"last")
    backend.play(script)
    client.send("GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
                + more)
    if is_ended:
        client.half_close()
    backend.wait_heads(1)
    with RawClient(client.socket.getpeername()[1]) as other:
        # Perch has seen the end before it sees this.
        assert other.request("CONNECT", "a:1").status == 405
    answer_now.set()
    assert client.read_response().body == b"last"
    client.expect_close()
    assert len(backend.heads) == 1


def test_close_without_a_request_is_no_error(shared):
    with RawClient(shared[0].port) as client:
        client.half_close()
        client.expect_close()
