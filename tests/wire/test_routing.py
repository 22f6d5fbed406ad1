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
