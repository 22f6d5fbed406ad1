"""Host and path to service."""

import pytest

from perchtest import Perch, RawClient, ScriptedBackend

SERVICES = {
    "exact": {"hosts": ["www.example.com"]},
    "exact-api": {"hosts": ["www.example.com"], "paths": ["/api"]},
    "exact-deep": {"hosts": ["www.example.com"],
                   "paths": ["/api/v2", "/other/"]},
    "wild": {"hosts": ["*.example.com"]},
    "wild-deep": {"hosts": ["*.deep.example.com"]},
    "many": {"hosts": ["one.test", "two.test"]},
    "only-path": {"hosts": ["path.test"], "paths": ["/app"]},
    "default-path": {"paths": ["/shared"]},
}


def _mount(fallback):
    with ScriptedBackend(script=lambda c: c.send_response(
            c.read_request().one("X-Perch-Version").encode())) as backend:
        services = {name: {"match": match, "versions": {"v1": backend}}
                    for name, match in SERVICES.items()}
        if fallback:
            services["any"] = {"versions": {"v1": backend}}
        with Perch(services) as perch:
            yield perch
        backend.check()


@pytest.fixture(scope="module")
def with_default():
    yield from _mount(True)


@pytest.fixture(scope="module")
def without_default():
    yield from _mount(False)


ROUTES = [
    # Hosts.
    ("www.example.com", "/", "exact"),
    ("WWW.Example.COM", "/", "exact"),
    ("www.example.com:8080", "/", "exact"),
    ("www.example.com:", "/", "exact"),
    ("other.example.com", "/", "wild"),
    ("OTHER.example.com:80", "/", "wild"),
    ("a.b.example.com", "/", "wild"),
    ("a.deep.example.com", "/", "wild-deep"),
    ("deep.example.com", "/", "wild"),
    ("example.com", "/", "any"),
    ("xexample.com", "/", "any"),
    ("www.example.com.evil", "/", "any"),
    ("one.test", "/", "many"),
    ("two.test", "/", "many"),
    ("three.test", "/", "any"),
    ("127.0.0.1", "/", "any"),
    ("[::1]:80", "/", "any"),
    # Paths.
    ("www.example.com", "/api", "exact-api"),
    ("www.example.com", "/api/", "exact-api"),
    ("www.example.com", "/api?x", "exact-api"),
    ("www.example.com", "/api/v1", "exact-api"),
    ("www.example.com", "/api/v2", "exact-deep"),
    ("www.example.com", "/api/v2/x", "exact-deep"),
    ("www.example.com", "/api/v22", "exact-api"),
    ("www.example.com", "/apiary", "exact"),
    ("www.example.com", "/API", "exact"),
    ("www.example.com", "/x/api", "exact"),
    ("www.example.com", "/?/api", "exact"),
    ("www.example.com", "/other/x", "exact-deep"),
    ("www.example.com", "/otherx", "exact"),
    ("path.test", "/app/x", "only-path"),
    ("path.test", "/shared/x", "default-path"),
    ("path.test", "/", "any"),
    ("nowhere", "/shared", "default-path"),
    ("nowhere", "/sharedx", "any"),
]


@pytest.mark.parametrize("host,target,service", ROUTES)
def test_route(with_default, host, target, service):
    with RawClient(with_default.port) as client:
        answer = client.request("GET", target, host)
        assert answer.body.decode() == service + "=v1"


@pytest.mark.parametrize("host,target", [
    ("nowhere", "/"), ("example.com", "/"), ("path.test", "/"),
    ("path.test", "/appx")])
def test_no_route_is_404(without_default, host, target):
    with RawClient(without_default.port) as client:
        assert client.request("GET", target, host).status == 404


def test_absolute_form_routes_by_its_host(with_default):
    with RawClient(with_default.port) as client:
        client.send("GET http://one.test/x HTTP/1.1\r\n"
                    "Host: one.test\r\n\r\n")
        assert client.read_response().body == b"many=v1"


def test_each_request_of_a_connection_is_routed(with_default):
    with RawClient(with_default.port) as client:
        for host, target, service in ROUTES:
            answer = client.request("GET", target, host)
            assert answer.body.decode() == service + "=v1"


# -- spellings ----------------------------------------------------------------

SPELLINGS = [
    "/%2fadmin/x", "/x/..%2fadmin/x", "/admin%2fx", "/%2e%2e%2fadmin",
    "/admin;x", "/x/..%5cadmin", "/x\\..\\admin", "/x/../admin",
    "/admin/..;/x", "/admin%00"]


GUARDED = {"root": {}, "admin": {"paths": ["/admin"]},
           "coffee": {"paths": ["/caf%c3%A9", "/a%20b"]}}


def _guard(**config):
    """Services that answer with their own name and the target they got."""
    def answer(connection):
        request = connection.read_request()
        name = request.one("X-Perch-Version").split("=")[0]
        connection.send_response(
            ("%s %s" % (name, request.target)).encode())

    with ScriptedBackend(script=answer) as backend:
        services = {name: {"match": match, "versions": {"v1": backend}}
                    for name, match in GUARDED.items()}
        services["root"].pop("match")
        with Perch(services, **config) as perch:
            yield perch
        backend.check()


@pytest.fixture(scope="module")
def guarded():
    yield from _guard()


@pytest.fixture(scope="module")
def as_is():
    yield from _guard(paths="as_is")


@pytest.mark.parametrize("target", SPELLINGS)
def test_no_spelling_reaches_another_service(guarded, target):
    with RawClient(guarded.port) as client:
        assert client.request("GET", target).status == 400
        # Nothing is wrong with the connection.
        assert client.request("GET", "/y").body == b"root /y"


def test_absolute_form_is_no_way_around(guarded):
    with RawClient(guarded.port) as client:
        client.send("GET http://test/x/..%2fadmin HTTP/1.1\r\n"
                    "Host: test\r\n\r\n")
        assert client.read_response().status == 400


@pytest.mark.parametrize("target,service", [
    ("/%61dmin/x", "admin"), ("//admin", "admin"), ("/admin//x", "admin"),
    ("/admin/x;v=1/y%2fz?q=/../%zz", "admin"), ("/admin/a/../b", "admin"),
    ("/ADMIN", "root"), ("/x%252fadmin", "root"), ("/a;b/.c/%5c", "root"),
    ("/caf%C3%A9/x", "coffee"), ("/caf%c3%a9", "coffee"),
    ("/a%20b/c", "coffee"), ("/%61%20b", "coffee"), ("*", "root")])
def test_path_goes_by_its_canonical_form_and_leaves_as_it_came(
        guarded, target, service):
    method = "OPTIONS" if target == "*" else "GET"
    with RawClient(guarded.port) as client:
        assert client.request(method, target).body.decode() \
            == "%s %s" % (service, target)


@pytest.mark.parametrize("target,why", [
    ("/admin;x", "path that may be read as another service's"),
    ("/a%zz", "malformed percent code in the path"),
    ("/a%0a", "encoded control byte in the path"),
    ("/..", "path climbs above the root")])
def test_refusal_says_why(guarded, target, why):
    mark = len(guarded.stderr())
    with RawClient(guarded.port) as client:
        assert client.request("GET", target).status == 400
    guarded.wait_log(why, mark)


@pytest.mark.parametrize("target,service", [
    ("/admin/x", "admin"), ("/admin;x", "root"), ("/x/../admin", "root"),
    ("/%61dmin", "root"), ("/admin%00", "root"), ("/a%zz", "root"),
    ("/admin/../x", "admin"), ("/caf%c3%A9/x", "coffee"),
    ("/caf%C3%A9/x", "root"), ("/x?/admin", "root")])
def test_paths_as_is_are_compared_byte_for_byte(as_is, target, service):
    with RawClient(as_is.port) as client:
        assert client.request("GET", target).body.decode() \
            == "%s %s" % (service, target)
