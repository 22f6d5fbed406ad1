"""What a head gains and loses on its way."""

import re

import pytest

from perchtest import RawClient, respond

HOP_BY_HOP = [
    ("Keep-Alive", "timeout=5"), ("Proxy-Connection", "keep-alive"),
    ("Connection", "x-private, keep-alive"), ("X-Private", "1"),
    ("x-PRIVATE", "2")]


@pytest.fixture(scope="module")
def untrusting():
    """A perch that trusts nobody: (perch, backend)."""
    from perchtest import Perch, ScriptedBackend
    with ScriptedBackend() as backend:
        with Perch({"web": backend}, trusted_proxies=[]) as perch:
            yield perch, backend


def forwarded(where, fields=(), method="GET", minor=1):
    """The request that the backend got."""
    perch, backend = where
    backend.play(respond(b"ok"))
    with RawClient(perch.port) as client:
        assert client.request(
            method, fields=fields, minor=minor).status == 200
    return backend.next_request()


# -- hop-by-hop -------------------------------------------------------------

def test_hop_by_hop_fields_of_a_request_are_removed(shared, backend):
    request = forwarded(shared, HOP_BY_HOP + [("X-Kept", "1")])
    for name in ("Keep-Alive", "Proxy-Connection", "X-Private"):
        assert not request.has(name), name
    assert "x-private" not in [e.lower() for e in request.list("Connection")]
    assert request.one("X-Kept") == "1"


def test_hop_by_hop_fields_of_a_response_are_removed(client, backend):
    backend.play(respond(b"x", fields=HOP_BY_HOP + [
        ("X-Kept", "1"), ("Proxy-Authenticate", "Basic")]))
    answer = client.request()
    for name in ("Keep-Alive", "Proxy-Connection", "X-Private"):
        assert not answer.has(name), name
    assert answer.one("X-Kept") == "1"


@pytest.mark.parametrize("named", [
    "Host", "Content-Length", "Transfer-Encoding", "X-Forwarded-For",
    "Cookie2, Host"])
def test_connection_can_not_remove_what_matters(shared, backend, named):
    """A client must not be able to strip framing or Host."""
    perch, _ = shared
    backend.play(respond(lambda r: r.body))
    with RawClient(perch.port) as client:
        answer = client.request("POST", body=b"abc", fields={
            "Connection": named})
        assert answer.body == b"abc"
    request = backend.next_request()
    assert request.one("Host") == "test"
    assert request.one("Content-Length") == "3"
    assert request.one("X-Forwarded-For").endswith("127.0.0.1")


def test_connection_in_several_lines(shared, backend):
    request = forwarded(shared, [
        ("Connection", "x-a"), ("X-A", "1"), ("X-B", "2"),
        ("Connection", "X-B , keep-alive")])
    assert not request.has("X-A")
    assert not request.has("X-B")


@pytest.mark.parametrize("value,expected", [
    ("trailers", ["trailers"]), ("gzip", []), ("gzip, trailers", None),
    ("deflate;q=0.5", [])])
def test_te_is_kept_for_trailers_only(shared, backend, value, expected):
    request = forwarded(shared, {"TE": value, "Connection": "TE"})
    if expected is not None:
        assert request.list("TE") == expected
    assert "gzip" not in request.get("TE", "")


def test_upgrade_without_connection_is_dropped(shared, backend):
    request = forwarded(shared, {"Upgrade": "websocket"})
    assert not request.has("Upgrade")


def test_upgrade_from_http_10_is_dropped(shared, backend):
    request = forwarded(
        shared, {"Upgrade": "websocket", "Connection": "upgrade"}, minor=0)
    assert not request.has("Upgrade")


def test_transfer_encoding_is_made_anew(client, backend):
    client.send("POST / HTTP/1.1\r\nHost: t\r\nTRANSFER-encoding: chunked"
                "\r\n\r\n1\r\nx\r\n0\r\n\r\n")
    assert client.read_response().status == 200
    request = backend.next_request()
    assert len(request.all("Transfer-Encoding")) \
        + len(request.all("Content-Length")) == 1


def test_via_is_off(shared, backend, client):
    assert not forwarded(shared).has("Via")
    assert not client.request().has("Via")


# -- X-Forwarded-* and X-Request-Id -----------------------------------------

def test_forwarded_fields_are_added(shared, backend):
    request = forwarded(shared)
    assert request.one("X-Forwarded-For") == "127.0.0.1"
    assert request.one("X-Forwarded-Proto") == "http"
    assert request.one("X-Forwarded-Host") == "test"
    assert re.fullmatch(r"[0-9A-Za-z-]{16,64}", request.one("X-Request-Id"))


SENT = {
    "X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "outer.example", "X-Request-Id": "from-outside-1"}


def test_trusted_peer_is_believed(shared, backend):
    request = forwarded(shared, SENT)
    assert request.list("X-Forwarded-For") == ["192.0.2.7", "127.0.0.1"]
    assert request.one("X-Forwarded-Proto") == "https"
    assert request.one("X-Forwarded-Host") == "outer.example"
    assert request.one("X-Request-Id") == "from-outside-1"


def test_untrusted_peer_is_not_believed(untrusting):
    request = forwarded(untrusting, SENT)
    assert request.list("X-Forwarded-For") == ["127.0.0.1"]
    assert request.one("X-Forwarded-Proto") == "http"
    assert request.one("X-Forwarded-Host") == "test"
    assert request.one("X-Request-Id") != "from-outside-1"


def test_untrusted_duplicates_are_all_replaced(untrusting):
    request = forwarded(untrusting, [
        ("X-Forwarded-For", "192.0.2.7"), ("x-forwarded-for", "192.0.2.8"),
        ("X-Request-Id", "a"), ("x-request-id", "b")])
    assert request.list("X-Forwarded-For") == ["127.0.0.1"]
    assert request.one("X-Request-Id") not in ("a", "b")


def test_trusted_lines_are_joined_in_order(shared, backend):
    request = forwarded(shared, [
        ("X-Forwarded-For", "192.0.2.7, 192.0.2.8"),
        ("x-forwarded-for", "192.0.2.9")])
    assert request.list("X-Forwarded-For") == [
        "192.0.2.7", "192.0.2.8", "192.0.2.9", "127.0.0.1"]


def test_request_ids_differ(shared, backend):
    ids = {forwarded(shared).one("X-Request-Id") for _ in range(20)}
    assert len(ids) == 20


def test_peer_outside_the_trusted_networks(start, backends):
    one = backends("one")
    perch = start({"web": one}, trusted_proxies=["127.0.0.2", "10.0.0.0/8"])
    for source, expected in (
            ("127.0.0.2", ["192.0.2.7", "127.0.0.2"]),
            ("127.0.0.3", ["127.0.0.3"])):
        one.play(respond(b"ok"))
        with RawClient(perch.port, source=source) as client:
            client.request(fields={"X-Forwarded-For": "192.0.2.7"})
        assert one.next_request().list("X-Forwarded-For") == expected


def test_version_is_passed_on(shared, backend):
    request = forwarded(shared)
    assert request.one("X-Perch-Version") == "web=v1"


def test_version_sent_by_an_untrusted_client_is_replaced(untrusting):
    request = forwarded(untrusting, [
        ("X-Perch-Version", "v9"), ("x-perch-version", "web=v8")])
    assert request.one("X-Perch-Version") == "web=v1"


VOUCHED_FOR = ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host",
               "X-Request-Id", "X-Perch-Version"]


@pytest.mark.parametrize("name", VOUCHED_FOR)
@pytest.mark.parametrize("trusts", [False, True])
def test_underscores_are_no_way_around(shared, untrusting, trusts, name):
    """A backend that makes variables of fields (CGI) could not tell such a
    field from perch's own."""
    sent = name.replace("-", "_")
    for spelling in (sent, sent.lower(), name.replace("-", "_", 1)):
        request = forwarded(shared if trusts else untrusting, {
            spelling: "192.0.2.7", "X_Kept": "1"})
        names = [n.lower().replace("_", "-") for n, _ in request.fields]
        assert names.count(name.lower()) == 1, spelling
        assert request.one(name) != "192.0.2.7"
        assert request.one("X_Kept") == "1"


DISGUISED = ["Content_Length", "Transfer_Encoding", "X_Real_IP", "Sec_Fetch_Mode",
             "X_Perch_Key", "User_Agent", "if_none_match", "Proxy_Connection"]


@pytest.mark.parametrize("trusts", [False, True])
def test_disguised_fields_are_left_out(shared, untrusting, trusts):
    request = forwarded(shared if trusts else untrusting,
                        [(name, "1") for name in DISGUISED] + [("X_A", "2")])
    assert not [n for n, _ in request.fields if n in DISGUISED]
    assert request.one("X_A") == "2"


def test_underscores_can_be_passed_on(start, backends):
    one = backends("one")
    perch = start({"web": one}, underscores="pass")
    request = forwarded((perch, one), [(name, "1") for name in DISGUISED])
    for name in DISGUISED:
        assert request.one(name) == "1"


def test_underscores_can_be_refused(start, backends):
    one = backends("one")
    perch = start({"web": one}, underscores="refuse")
    with RawClient(perch.port) as client:
        for name in DISGUISED:
            assert client.request(fields={name: "1"}).status == 400, name
        assert client.request(fields={"X_A": "1"}).status == 200
        assert client.request("POST", body=b"a", fields={
            "Content_Length": "0"}).status == 400
    perch.wait_log("passes for another by its underscores")
    assert len(one.requests) == 1


CLAIMS = [
    ("Forwarded", "for=192.0.2.7"), ("X-Forwarded-Port", "443"),
    ("X-Forwarded-Prefix", "/x"), ("X-Forwarded-Ssl", "on"),
    ("X-Forwarded-Server", "a"), ("X-Forwarded-By", "a"),
    ("X-Forwarded-Scheme", "https"), ("X-Real-IP", "192.0.2.7"),
    ("X-Original-URL", "/admin"), ("X-Rewrite-URL", "/admin"),
    ("X-Original-Host", "a"), ("X-Host", "a"), ("X-Client-IP", "192.0.2.7"),
    ("True-Client-IP", "192.0.2.7"), ("Client-IP", "192.0.2.7"),
    ("X-Cluster-Client-IP", "192.0.2.7"), ("Front-End-Https", "on"),
    ("X-Url-Scheme", "https"), ("CF-Connecting-IP", "192.0.2.7"),
    ("Proxy", "http://192.0.2.7/"), ("Client-Cert", ":AA==:")]


def test_claims_of_an_untrusted_peer_are_taken_out(untrusting):
    request = forwarded(untrusting, CLAIMS + [("X-Kept", "1")])
    for name, value in CLAIMS:
        assert not request.has(name), name
    assert request.one("X-Kept") == "1"


def test_claims_of_a_trusted_peer_are_passed_on(shared, backend):
    request = forwarded(shared, CLAIMS)
    for name, value in CLAIMS:
        assert request.one(name) == value


def test_some_claims_can_be_let_through(start, backends):
    one = backends("one")
    perch = start({"web": one}, trusted_proxies=[],
                  forwarded_fields=["cf-connecting-ip", "X-Real-IP"])
    request = forwarded((perch, one), CLAIMS)
    for name, value in CLAIMS:
        assert request.has(name) == (name in (
            "CF-Connecting-IP", "X-Real-IP")), name


@pytest.mark.parametrize("name", [
    "X-Perch-Version", "x-perch_version", "X_Forwarded_For", "X-Real-IP",
    "Content_Length"])
@pytest.mark.parametrize("pieces", [1, 2])
def test_trailers_are_no_way_around(untrusting, name, pieces):
    perch, backend = untrusting
    backend.play(respond(b"ok"))
    data = [b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked"
            b"\r\n\r\n1\r\na\r\n",
            b"0\r\n%s: web=v2\r\nX-Sum: 7\r\n\r\n" % name.encode()]
    with RawClient(perch.port) as client:
        if pieces == 1:
            client.send(b"".join(data))
        else:
            client.send(data[0])
            backend.wait_heads(1)
            client.send(data[1])
        assert client.read_response().status == 200
    request = backend.next_request()
    assert request.body == b"a"
    assert name.lower() not in [n.lower() for n, _ in request.trailers]


def test_connection_can_not_remove_what_a_trusted_peer_says(shared, backend):
    request = forwarded(shared, dict(SENT, Connection=", ".join(SENT)))
    assert request.list("X-Forwarded-For") == ["192.0.2.7", "127.0.0.1"]
    assert request.one("X-Forwarded-Proto") == "https"
    assert request.one("X-Forwarded-Host") == "outer.example"
    assert request.one("X-Request-Id") == "from-outside-1"


def test_date_and_server_are_the_backends(client, backend):
    backend.play(respond(fields={"Date": "Thu, 01 Jan 1970 00:00:00 GMT",
                                 "Server": "toy"}))
    answer = client.request()
    assert answer.one("Server") == "toy"
    assert answer.one("Date") == "Thu, 01 Jan 1970 00:00:00 GMT"


@pytest.mark.parametrize("hosts,expected", [
    (["*.example.com", "www.example.com", "b.example.com", "*"],
     "www.example.com"),
    (["*"], None)])
def test_host_that_nobody_named(start, backends, hosts, expected):
    """A backend of virtual hosts needs one, and RFC 9112 3.2 wants it."""
    one = backends("one")
    perch = start({"web": {"match": {"hosts": hosts},
                           "versions": {"v1": one}}}, trusted_proxies=[])
    one.play(respond(b"ok"))
    with RawClient(perch.port) as client:
        assert client.request(minor=0, host=None, fields={
            "X-Forwarded-Host": "outer.example"}).status == 200
    request = one.next_request()
    assert request.one("Host") == (expected or one.address)
    assert not request.has("X-Forwarded-Host")
