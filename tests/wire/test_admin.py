"""The admin server and perchctl."""

import json
import shutil
import socket
import subprocess

import pytest

from perchtest import Admin, RawClient, free_port, respond, wait_for


@pytest.fixture
def web(start, backends):
    """perch before two versions; .v1 and .v2 are their backends."""
    v1, v2 = backends("v1", "v2")
    perch = start({"web": {"versions": {"v1": v1, "v2": v2},
                           "stable": "v1"}})
    perch.v1, perch.v2 = v1, v2
    return perch


# -- health -----------------------------------------------------------------

@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health(web, path):
    assert web.admin.request("GET", path)[0] == 200


def test_unknown_path_is_404(web):
    status, _, body = web.admin.request("GET", "/nothing")
    assert status == 404
    assert json.loads(body)["error"]


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/services"])
def test_wrong_method_is_405(web, path):
    assert web.admin.request("DELETE", path)[0] in (405, 501)


def test_over_a_unix_socket(start, backends, tmp_path):
    path = "unix:%s/admin.sock" % tmp_path
    perch = start({"web": backends("one")}, admin=path)
    assert perch.admin.get_json("/api/v1/services")
    assert perch.ctl("status")[1]


def test_over_both(start, backends, tmp_path):
    tcp = "127.0.0.1:%d" % free_port()
    unix = "unix:%s/admin.sock" % tmp_path
    perch = start({"web": backends("one")}, admin=tcp)
    perch.stop()
    perch.config["admin"]["bind"] = [tcp, unix]
    perch.write_config()
    perch.start()
    for bind in (tcp, unix):
        assert Admin(bind).get("/healthz")


def test_stale_unix_socket_is_replaced(start, backends, tmp_path):
    path = "%s/admin.sock" % tmp_path
    perch = start({"web": backends("one")}, admin="unix:" + path)
    perch.kill()
    perch.start()
    assert perch.admin.get("/healthz")


# -- metrics ----------------------------------------------------------------

def test_promtool_has_nothing_to_say(web):
    if not shutil.which("promtool"):
        pytest.skip("no promtool")
    web.admin.release("web", "v2", 50)
    with RawClient(web.port) as client:
        for _ in range(5):
            client.request()
    page = web.admin.get("/metrics")
    done = subprocess.run(["promtool", "check", "metrics"], input=page,
                          capture_output=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_metrics_content_type(web):
    _, fields, _ = web.admin.request("GET", "/metrics")
    assert fields["Content-Type"].startswith("text/plain; version=0.0.4")


def test_requests_and_classes_are_counted(web):
    statuses = ["200 OK"] * 5 + ["404 No"] * 3 + ["500 Oops"] * 2
    web.v1.play(*[respond(b"x", s) for s in statuses], respond())
    with RawClient(web.port) as client:
        for _ in statuses:
            client.request()
    labels = {"service": "web", "version": "v1"}
    web.admin.wait_metric("perch_requests_total", 10, **labels)
    metrics = web.admin.metrics()
    for code, count in (("2xx", 5), ("4xx", 3), ("5xx", 2)):
        assert metrics.sum(
            "perch_responses_total", **{"class": code}, **labels) == count
    assert metrics.sum("perch_requests_total", version="v2") == 0


def test_bytes_are_counted(web):
    web.v1.play(respond(b"y" * 12345))
    with RawClient(web.port) as client:
        client.request("POST", body=b"x" * 678)
    web.admin.wait_metric("perch_requests_total", 1, service="web")
    metrics = web.admin.metrics()
    assert metrics.sum("perch_request_body_bytes_total", service="web") == 678
    assert metrics.sum("perch_response_body_bytes_total", service="web") == 12345


def test_in_flight_is_counted(web):
    import threading
    release = threading.Event()

    def hold(c):
        c.read_request()
        c.wait(release)
        c.send_response()
    web.v1.play(hold)
    with RawClient(web.port) as client:
        client.send_request()
        web.v1.wait_heads(1)
        name = [n for n in web.admin.metrics().names()
                if "in_flight" in n]
        assert len(name) == 1
        web.admin.wait_metric(name[0], 1, service="web")
        release.set()
        client.read_response()
        web.admin.wait_metric(name[0], 0, service="web")


def test_histograms_add_up(web):
    with RawClient(web.port) as client:
        for _ in range(20):
            client.request()
    web.admin.wait_metric("perch_requests_total", 20, service="web")
    metrics = web.admin.metrics()
    counts = [n for n in metrics.names() if n.endswith("_seconds_count")]
    assert len(counts) >= 2
    for count in counts:
        base = count[:-len("_count")]
        assert metrics.sum(count, version="v1") == 20
        assert 0 < metrics.sum(base + "_sum", version="v1") < 60
        buckets = sorted(
            (float(labels["le"]), value) for labels, value
            in metrics.select(base + "_bucket", version="v1"))
        values = [v for _, v in buckets]
        assert values == sorted(values)
        assert values[-1] == 20 and buckets[-1][0] == float("inf")


def test_connect_errors_are_counted(start):
    perch = start({"web": "127.0.0.1:%d" % free_port()},
                  timeouts={"connect": "200ms"})
    with RawClient(perch.port) as client:
        client.request()
    wait_for("the error to be counted", lambda: perch.admin.metrics().sum(
        "perch_errors_total", service="web", kind="connect") >= 1)


def test_counters_outlive_a_reload(web):
    with RawClient(web.port) as client:
        for _ in range(7):
            client.request()
    web.admin.wait_metric("perch_requests_total", 7, service="web")
    web.change(limits={"target": "4KiB"})
    web.reload()
    with RawClient(web.port) as client:
        client.request()
    web.admin.wait_metric("perch_requests_total", 8, service="web")


# -- the API ----------------------------------------------------------------

def test_services_in_json(web):
    status, fields, body = web.admin.request("GET", "/api/v1/services")
    assert status == 200
    assert fields["Content-Type"].startswith("application/json")
    services = json.loads(body)
    if isinstance(services, dict):
        services = services["services"]
    assert [s["name"] for s in services] == ["web"]
    web_service = services[0]
    assert web_service["stable"] == "v1"
    assert {v["name"] for v in web_service["versions"]} == {"v1", "v2"}
    text = json.dumps(web_service)
    for part in (web.v1.address, web.v2.address, "p50", "p95", "p99"):
        assert part in text, part


def test_release_by_the_api(web):
    web.admin.release("web", "v2", 12.34)
    text = json.dumps(web.admin.service("web"))
    assert '"v2"' in text and "12.34" in text
    web.admin.share("web", 50)
    assert "50" in json.dumps(web.admin.service("web"))
    web.admin.promote("web")
    assert web.admin.service("web")["stable"] == "v2"


BAD = [
    # path, body
    ("nothing/release", {"version": "v2", "share": 1}),
    ("web/release", {"version": "v9", "share": 1}),
    ("web/release", {"version": "v1", "share": 1}),
    ("web/release", {"version": "v2", "share": 101}),
    ("web/release", {"version": "v2", "share": -1}),
    ("web/release", {"version": "v2", "share": "much"}),
    ("web/release", {"version": "v2", "share": 0.001}),
    ("web/release", {"version": 2, "share": 1}),
    ("web/release", {}),
    ("web/share", {"share": 10}),
    ("web/promote", {}),
    ("web/rollback", {}),
    ("web/nothing", {}),
]


@pytest.mark.parametrize("path,body", BAD)
def test_bad_requests_are_4xx_with_a_reason(web, path, body):
    status, answer = web.admin.post("/api/v1/services/" + path, body)
    assert 400 <= status < 500
    assert len(answer["error"]) > 5
    assert web.admin.service("web")["stable"] == "v1"
    with RawClient(web.port) as client:
        assert client.request().body == b"v1"


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b"null", b'"v2"', b'{"version": "v2", "share": 1} x',
    b"{" * 10000, b"\xff\xfe", b"x" * 200000], ids=lambda b: repr(b)[:20])
def test_bad_json(web, body):
    status, _, answer = web.admin.request(
        "POST", "/api/v1/services/web/release", body,
        {"Content-Type": "application/json"})
    assert 400 <= status < 500
    if len(body) < 100000:
        assert json.loads(answer)["error"]


@pytest.mark.parametrize("content_type", [
    None, "text/plain", "application/x-www-form-urlencoded",
    "multipart/form-data"])
def test_post_without_json_content_type_is_refused(web, content_type):
    """What a web page of somebody else can send from an operator's browser
    must change nothing."""
    fields = {"Content-Type": content_type} if content_type else {}
    status, _, _ = web.admin.request(
        "POST", "/api/v1/services/web/release",
        json.dumps({"version": "v2", "share": 100}), fields)
    assert status in (400, 403, 415)
    with RawClient(web.port) as client:
        assert client.request().body == b"v1"


def test_slow_admin_client_blocks_nobody(web):
    host, port = web.admin.bind.split(":")
    with socket.create_connection((host, int(port))) as slow:
        slow.sendall(b"GET /metrics HTTP/1.1\r\nHost:")
        assert web.admin.get("/healthz")
        with RawClient(web.port) as client:
            assert client.request().status == 200


# -- perchctl ---------------------------------------------------------------

def test_ctl_status(web):
    _, text, _ = web.ctl("status")
    assert "web" in text and "v1" in text
    _, text, _ = web.ctl("status", "web")
    assert "v1" in text and "v2" in text


def test_ctl_status_json(web):
    for arguments in (["status", "--json"], ["status", "web", "--json"]):
        assert "web" in json.dumps(json.loads(web.ctl(*arguments)[1]))


def test_ctl_a_whole_release(web):
    web.ctl("release", "start", "web", "v2", "--share", "1")
    assert "v2" in web.ctl("status", "web")[1]
    web.ctl("share", "web", "100")
    with RawClient(web.port) as client:
        assert client.request().body == b"v2"
    web.ctl("share", "web", "12.5")
    assert "12.5" in web.ctl("status", "web")[1]
    web.ctl("promote", "web")
    assert web.admin.service("web")["stable"] == "v2"
    web.ctl("release", "start", "web", "v1", "--share", "100")
    web.ctl("rollback", "web")
    with RawClient(web.port) as client:
        assert client.request().body == b"v2"


@pytest.mark.parametrize("arguments", [
    ["status", "nothing"],
    ["release", "start", "nothing", "v2", "--share", "1"],
    ["release", "start", "web", "v9", "--share", "1"],
    ["release", "start", "web", "v1", "--share", "1"],
    ["share", "web", "30"],
    ["promote", "web"],
    ["rollback", "web"]])
def test_ctl_bad_names_and_states(web, arguments):
    code, out, errors = web.ctl(*arguments, check=False)
    assert code == 1
    assert len(errors.strip()) > 10
    assert not out


@pytest.mark.parametrize("arguments", [
    [], ["nonsense"], ["release"], ["share", "web"],
    ["share", "web", "much"], ["status", "--nonsense"]])
def test_ctl_bad_usage(web, arguments):
    code, _, errors = web.ctl(*arguments, check=False)
    assert code in (1, 2)
    assert errors.strip()


def test_ctl_without_a_daemon(web):
    web.stop()
    code, _, errors = web.ctl("status", check=False)
    assert code == 3
    assert web.admin.bind in errors
