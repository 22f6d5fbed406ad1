"""What two parsers could read in two ways is refused: 400, close, and the
backend hears nothing of it (RFC 9112, 11.2)."""

import time

import pytest

from perchtest import RawClient, respond

HOST = "Host: t\r\n"
GHOST = "GET /ghost HTTP/1.1\r\nHost: t\r\n\r\n"
CHUNKED = "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"


def post(fields, body=""):
    return "POST / HTTP/1.1\r\nHost: t\r\n" + fields + "\r\n" + body


REFUSED_HEADS = {
    # Two framings.
    "cl-te": post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
                  "0\r\n\r\n" + GHOST),
    "te-cl": post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
                  "5c\r\n" + GHOST + "0\r\n\r\n"),
    "te-cl-zero": post("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
                       "0\r\n\r\n"),
    # Lengths.
    "cl-differ": post("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"),
    "cl-list-differ": post("Content-Length: 3, 4\r\n", "abcd"),
    "cl-list-empty-element": post("Content-Length: 3,,3\r\n", "abc"),
    "cl-list-trailing-comma": post("Content-Length: 3,\r\n", "abc"),
    "cl-plus": post("Content-Length: +3\r\n", "abc"),
    "cl-minus": post("Content-Length: -1\r\n", ""),
    "cl-hex": post("Content-Length: 0x3\r\n", "abc"),
    "cl-empty": post("Content-Length:\r\n", ""),
    "cl-space-inside": post("Content-Length: 1 0\r\n", "abcdefghij"),
    "cl-letters": post("Content-Length: 3a\r\n", "abc"),
    "cl-decimal": post("Content-Length: 3.0\r\n", "abc"),
    "cl-overflow": post("Content-Length: 18446744073709551617\r\n", "a"),
    "cl-huge": post("Content-Length: " + "9" * 40 + "\r\n", "a"),
    "cl-quoted": post('Content-Length: "3"\r\n', "abc"),
    # Transfer codings.
    "te-twice": post("Transfer-Encoding: chunked\r\n"
                     "Transfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    "te-list-twice": post("Transfer-Encoding: chunked, chunked\r\n",
                          "0\r\n\r\n"),
    "te-not-last": post("Transfer-Encoding: chunked, identity\r\n",
                        "0\r\n\r\n"),
    "te-and-identity-lines": post("Transfer-Encoding: chunked\r\n"
                                  "Transfer-Encoding: identity\r\n",
                                  "0\r\n\r\n"),
    "te-empty": post("Transfer-Encoding:\r\n", ""),
    "te-quoted": post('Transfer-Encoding: "chunked"\r\n', "0\r\n\r\n"),
    "te-vertical-tab": post("Transfer-Encoding: \x0bchunked\r\n",
                            "0\r\n\r\n"),
    "te-nul": post("Transfer-Encoding: chunked\0\r\n", "0\r\n\r\n"),
    "te-parameter": post("Transfer-Encoding: chunked;x=y\r\n", "0\r\n\r\n"),
    "te-http-10": "POST / HTTP/1.0\r\nHost: t\r\n"
                  "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "te-space-before-colon": post("Transfer-Encoding : chunked\r\n",
                                  "0\r\n\r\n"),
    "te-folded": post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"),
    # Lines.
    "obs-fold": post("X-A: b\r\n c\r\n"),
    "obs-fold-tab": post("X-A: b\r\n\tc\r\n"),
    "first-line-folded": "GET / HTTP/1.1\r\n " + HOST + "\r\n",
    "space-before-colon": post("X-A : b\r\n"),
    "tab-before-colon": post("X-A\t: b\r\n"),
    "no-colon": post("X-A\r\n"),
    "empty-name": post(": b\r\n"),
    "name-with-space": post("X A: b\r\n"),
    "name-with-slash": post("X/A: b\r\n"),
    "name-with-high-byte": post("X-\xe4: b\r\n"),
    "name-with-parenthesis": post("X(A): b\r\n"),
    "bare-lf-field": "GET / HTTP/1.1\r\nHost: t\nX-A: b\r\n\r\n",
    "bare-lf-request-line": "GET / HTTP/1.1\nHost: t\r\n\r\n",
    "bare-lf-at-the-end": "GET / HTTP/1.1\r\nHost: t\r\n\n",
    "bare-lf-all": "GET / HTTP/1.1\nHost: t\n\n",
    "bare-cr-in-value": post("X-A: b\rc\r\n"),
    "bare-cr-hides-a-field": post("X-A: b\rContent-Length: 5\r\n"),
    "bare-cr-request-line": "GET /\r HTTP/1.1\r\nHost: t\r\n\r\n",
    "cr-cr-lf": "GET / HTTP/1.1\r\nHost: t\r\r\n\r\n",
    "nul-in-value": post("X-A: b\0c\r\n"),
    "nul-in-name": post("X-\0A: b\r\n"),
    "nul-in-target": "GET /\0 HTTP/1.1\r\nHost: t\r\n\r\n",
    "control-in-value": post("X-A: b\x01c\r\n"),
    "delete-in-value": post("X-A: b\x7fc\r\n"),
    "two-empty-lines-first": "\r\n\r\n\r\n" + GHOST,
    # Host.
    "no-host": "GET / HTTP/1.1\r\n\r\n",
    "two-hosts": "GET / HTTP/1.1\r\nHost: t\r\nHost: u\r\n\r\n",
    "two-equal-hosts": "GET / HTTP/1.1\r\nHost: t\r\nHost: t\r\n\r\n",
    "host-list": "GET / HTTP/1.1\r\nHost: t, u\r\n\r\n",
    "host-with-slash": "GET / HTTP/1.1\r\nHost: t/u\r\n\r\n",
    "host-with-at": "GET / HTTP/1.1\r\nHost: u@t\r\n\r\n",
    "host-with-space": "GET / HTTP/1.1\r\nHost: t u\r\n\r\n",
    "host-bad-port": "GET / HTTP/1.1\r\nHost: t:80x\r\n\r\n",
    "host-with-high-byte": "GET / HTTP/1.1\r\nHost: \xe4\r\n\r\n",
    "host-with-hash": "GET / HTTP/1.1\r\nHost: t#u\r\n\r\n",
    "host-with-question-mark": "GET / HTTP/1.1\r\nHost: t?u\r\n\r\n",
    "host-with-backslash": "GET / HTTP/1.1\r\nHost: t\\u\r\n\r\n",
    "absolute-form-without-host-field":
        "GET http://t/ HTTP/1.1\r\n\r\n",
    "absolute-form-userinfo":
        "GET http://u@t/ HTTP/1.1\r\nHost: t\r\n\r\n",
    "absolute-form-no-authority":
        "GET http:///x HTTP/1.1\r\nHost: t\r\n\r\n",
    "absolute-form-strange-scheme":
        "GET ftp://t/ HTTP/1.1\r\nHost: t\r\n\r\n",
    # The request line.
    "two-spaces": "GET  / HTTP/1.1\r\nHost: t\r\n\r\n",
    "two-spaces-before-version": "GET /  HTTP/1.1\r\nHost: t\r\n\r\n",
    "tab-in-request-line": "GET\t/ HTTP/1.1\r\nHost: t\r\n\r\n",
    "space-at-end": "GET / HTTP/1.1 \r\nHost: t\r\n\r\n",
    "space-first": " GET / HTTP/1.1\r\nHost: t\r\n\r\n",
    "space-in-target": "GET /a b HTTP/1.1\r\nHost: t\r\n\r\n",
    "high-byte-in-target": "GET /\xe4 HTTP/1.1\r\nHost: t\r\n\r\n",
    "control-in-target": "GET /\x01 HTTP/1.1\r\nHost: t\r\n\r\n",
    "fragment-in-target": "GET /a#b HTTP/1.1\r\nHost: t\r\n\r\n",
    "relative-target": "GET a/b HTTP/1.1\r\nHost: t\r\n\r\n",
    "asterisk-with-get": "GET * HTTP/1.1\r\nHost: t\r\n\r\n",
    "empty-target": "GET  HTTP/1.1\r\nHost: t\r\n\r\n",
    "bad-method": "G(T / HTTP/1.1\r\nHost: t\r\n\r\n",
    "no-method": "/ HTTP/1.1\r\nHost: t\r\n\r\n",
    "http-09": "GET /\r\n\r\n",
    "version-in-small-letters": "GET / http/1.1\r\nHost: t\r\n\r\n",
    "version-without-minor": "GET / HTTP/1\r\nHost: t\r\n\r\n",
    "version-with-zeros": "GET / HTTP/1.01\r\nHost: t\r\n\r\n",
    "version-with-text": "GET / HTTP/1.1x\r\nHost: t\r\n\r\n",
    "tls-to-a-plain-port":
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}

# The head may have been forwarded when the body shows itself to be bad, but
# the backend never gets a whole request.
REFUSED_BODIES = {
    "size-not-hex": "g\r\nabc\r\n0\r\n\r\n",
    "size-empty": "\r\nabc\r\n0\r\n\r\n",
    "size-0x": "0x3\r\nabc\r\n0\r\n\r\n",
    "size-plus": "+3\r\nabc\r\n0\r\n\r\n",
    "size-minus": "-3\r\nabc\r\n0\r\n\r\n",
    "size-space-first": " 3\r\nabc\r\n0\r\n\r\n",
    "size-overflow": "10000000000000003\r\nabc\r\n0\r\n\r\n",
    "size-of-17-digits": "0ffffffffffffffff0\r\nabc\r\n0\r\n\r\n",
    "size-of-many-zeros": "0" * 300 + "3\r\nabc\r\n0\r\n\r\n",
    "size-underscore": "1_0\r\nabc\r\n0\r\n\r\n",
    "size-bare-lf": "3\nabc\r\n0\r\n\r\n",
    "size-bare-cr": "3\rabc\r\n0\r\n\r\n",
    "extension-bare-lf": "3;a\nabc\r\n0\r\n\r\n",
    "extension-bare-cr": "3;a\rb\r\nabc\r\n0\r\n\r\n",
    "extension-nul": "3;a\0b\r\nabc\r\n0\r\n\r\n",
    "extension-too-long": "3;" + "x" * 5000 + "\r\nabc\r\n0\r\n\r\n",
    "data-without-crlf": "3\r\nabc0\r\n\r\n",
    "data-with-bare-lf": "3\r\nabc\n0\r\n\r\n",
    "data-longer-than-size": "3\r\nabcdef\r\n0\r\n\r\n",
    "trailer-bare-lf": "3\r\nabc\r\n0\r\nX-A: b\n\r\n",
    "trailer-no-colon": "3\r\nabc\r\n0\r\nX-A\r\n\r\n",
    "trailer-folded": "3\r\nabc\r\n0\r\nX-A: b\r\n c\r\n\r\n",
    "trailer-space-before-colon": "3\r\nabc\r\n0\r\nX-A : b\r\n\r\n",
    "trailer-section-too-long":
        "3\r\nabc\r\n0\r\n" + ("X-A: " + "y" * 100 + "\r\n") * 100 + "\r\n",
}


def assert_refused(client, backend):
    answer = client.read_response()
    assert answer.status == 400
    assert answer.list("Connection") == ["close"]
    client.expect_close()
    assert not backend.requests
    assert not [r for r in backend.heads if "ghost" in r.target]


@pytest.mark.parametrize("name", REFUSED_HEADS)
def test_head_is_refused(client, backend, name):
    client.send(REFUSED_HEADS[name])
    assert_refused(client, backend)
    assert not backend.heads


@pytest.mark.parametrize("name", REFUSED_BODIES)
def test_chunked_body_is_refused(client, backend, name):
    client.send(CHUNKED + REFUSED_BODIES[name])
    assert_refused(client, backend)


@pytest.mark.parametrize("name", ["cl-te", "bare-lf-field", "two-hosts"])
def test_refused_behind_a_good_request(client, backend, name):
    """The good one in front is answered first, and what stands behind the
    bad one is never looked at."""
    client.send("GET /good HTTP/1.1\r\nHost: t\r\n\r\n"
                + REFUSED_HEADS[name] + GHOST)
    assert client.read_response().status == 200
    answer = client.read_response()
    assert answer.status == 400
    client.expect_close()
    assert [r.target for r in backend.heads] == ["/good"]


@pytest.mark.parametrize("coding", [
    "gzip, chunked", "gzip", "identity", "xchunked", "chunked-x", "chunke"])
def test_unknown_transfer_coding(client, backend, coding):
    """RFC 9112 6.1: 501 is right for a coding that isn't understood, 400
    where it isn't last; either way nothing is forwarded."""
    client.send(post("Transfer-Encoding: %s\r\n" % coding, "0\r\n\r\n"))
    assert client.read_response().status in (400, 501)
    client.expect_close()
    assert not backend.heads


@pytest.mark.parametrize("version", ["2.0", "1.2x", "3.0", "0.9", "9.9"])
def test_version_is_refused(client, backend, version):
    client.send("GET / HTTP/%s\r\nHost: t\r\n\r\n" % version)
    status = client.read_response().status
    assert status in (400, 505)
    if version in ("2.0", "3.0", "9.9"):
        assert status == 505
    client.expect_close()
    assert not backend.heads


def test_http2_preface_on_a_plain_port(client, backend):
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert client.read_response().status in (400, 505)
    client.expect_close()
    assert not backend.heads


def test_content_length_of_pipelined_body_is_not_a_request(client, backend):
    """The classic: the body holds a request, and stays a body."""
    client.send(post("Content-Length: %d\r\n" % len(GHOST), GHOST))
    assert client.read_response().status == 200
    assert client.request("GET", "/next").status == 200
    assert [r.target for r in backend.requests] == ["/", "/next"]
    assert backend.requests[0].body == GHOST.encode()


def test_method_override_of_body_on_head(shared, backend):
    """A HEAD with a body: the body is read as one."""
    with RawClient(shared[0].port) as client:
        client.send("HEAD / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n"
                    "\r\n%s" % (len(GHOST), GHOST))
        assert client.read_response("HEAD").status == 200
        assert client.request("GET", "/next").status == 200
    assert [r.target for r in backend.requests] == ["/", "/next"]


@pytest.mark.parametrize("count", [2, 12, 90])
@pytest.mark.parametrize("framing", ["list", "chunked"])
def test_framing_survives_any_number_of_cookies(
        client, backend, framing, count):
    """Whatever perch takes out of a head, none of the rest may get lost: a
    body without its framing is a request of its own."""
    if framing == "list":
        fields = "Content-Length: %d, %d\r\n" % (len(GHOST), len(GHOST))
        body = GHOST
    else:
        fields = "Transfer-Encoding: chunked\r\n"
        body = "%x\r\n%s\r\n0\r\n\r\n" % (len(GHOST), GHOST)
    client.send(post(fields + "Cookie: perch=1; a=b\r\n" * count, body))
    assert client.read_response().status == 200
    assert client.request("GET", "/next").status == 200
    assert [r.target for r in backend.heads] == ["/", "/next"]
    request = backend.requests[0]
    assert request.body == GHOST.encode()
    assert request.one("Cookie") == "; ".join(["a=b"] * count)
    for name in ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host",
                 "X-Request-Id", "X-Perch-Version"):
        assert request.one(name)


def test_absolute_form_outweighs_host(client, backend):
    """RFC 9112 3.2.2: a proxy ignores Host then, and sends the target's."""
    client.send("GET http://other/x HTTP/1.1\r\nHost: t\r\n\r\n")
    assert client.read_response().status == 200
    request = backend.next_request()
    assert (request.target, request.one("Host")) == ("/x", "other")
    assert request.one("X-Forwarded-Host") == "other"


def test_largest_chunk_size_does_not_wrap(client, backend):
    """What follows is data of that chunk, however much it looks like an
    end or a request."""
    client.send(CHUNKED + "ffffffffffffffff\r\nabc\r\n0\r\n\r\n" + GHOST)
    client.half_close()
    rest = client.read_until_close()
    assert rest == b"" or rest.startswith(b"HTTP/1.1 400 ")
    assert not backend.requests


def test_perch_still_serves_after_all_that(client):
    assert client.request().status == 200


# -- heads that are wrong before they are whole ----------------------------------

@pytest.mark.parametrize("part,status", [
    ("GET /\r\n", 400), ("GET / HTTP/2.0\r\n", 505),
    ("\r\nGET /a#b HTTP/1.1\r\nHost: t\r\n", 400),
    ("GET /" + "a" * 9000 + " HTTP/1.1\r\nHost", 414),
    ("GE(T / HTTP/1.1\r\n", 400), ("(", 400), ("\x00\x01", 400),
    (" GET / HTTP/1.1", 400)])
@pytest.mark.parametrize("pieces", [1, 2])
def test_wrong_start_is_not_waited_for(client, backend, part, status, pieces):
    """The rest may never come: HTTP/0.9, or no HTTP at all."""
    middle = len(part) // pieces
    client.send(part[:middle])
    if pieces == 2 and middle > 0:
        client.is_quiet(0.05)
    client.send(part[middle:])
    before = time.monotonic()
    assert client.read_response().status == status
    assert time.monotonic() - before < 5
    client.expect_close()
    assert not backend.heads


HELLO = bytes.fromhex("160301006c010000680303") + bytes(range(11, 110))


@pytest.mark.parametrize("hello", [HELLO, HELLO.replace(b"\n", b""), b"\x16"])
def test_tls_on_a_plain_port_is_closed_at_once(shared, client, hello):
    perch, _ = shared
    mark = len(perch.stderr())
    client.send(hello)
    before = time.monotonic()
    assert client.read_response().status == 400
    client.expect_close()
    assert time.monotonic() - before < 5
    perch.wait_log("TLS on a plain port", mark)


def test_good_head_byte_by_byte(client, backend):
    backend.play(respond(b"ok"))
    for byte in "\r\nGET /slow HTTP/1.1\r\nHost: t\r\nX-A: b\r\n\r\n":
        client.send(byte)
    assert client.read_response().status == 200
    assert backend.next_request().target == "/slow"
    # And the next one is judged anew.
    client.send("GET /\r\n")
    assert client.read_response().status == 400
