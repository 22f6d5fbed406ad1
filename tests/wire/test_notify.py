"""Webhooks: what arrives, in which order, and what happens if it can't."""

import json
import re
import ssl
import subprocess
import threading
import time
import types

import pytest

from perchtest import RawClient, free_port, respond, wait_for

WAIT_MIN_S = 0.75  # the first wait of the backoff, at its shortest
QUEUE_MAX = 256


@pytest.fixture
def hook(backends):
    """A server that takes what it gets."""
    return backends("hook")


@pytest.fixture
def notified(start, backends, hook):
    """start_notified(webhook, ...): a perch with these webhooks; a dict each,
    or a backend for one of plain HTTP."""
    def start_notified(*webhooks, **settings):
        return start({"web": backends("web")},
                     notify=[to_webhook(w) for w in webhooks], **settings)
    return start_notified


def to_webhook(webhook):
    if isinstance(webhook, dict):
        return webhook
    return {"url": "http://%s/hook?key-of-the-hook" % webhook.address}


def say(perch):
    """Emits an event; its JSON, as the log has it."""
    mark = len(perch.stderr())
    perch.admin.do("/api/v1/notify/test", {})
    return perch.wait_log(r"info event (\{.*\})\n", mark)[1]


def count(perch, result):
    return perch.admin.metrics().sum(
        "perch_webhook_deliveries_total", result=result)


def wait_count(perch, result, n):
    wait_for("%d %s" % (n, result), lambda: count(perch, result) == n)


def bodies(backend):
    return [request.body.decode() for request in backend.requests]


def silence(seen=None):
    """Reads the request, and never answers."""
    def script(c):
        c.read_request()
        if seen:
            seen.set()
        c.wait_closed(30)
    return script


# -- what arrives -------------------------------------------------------------

def test_event_arrives_as_it_is(notified, hook):
    perch = notified(hook)
    line = say(perch)
    request = hook.next_request()
    assert (request.method, request.target) == ("POST", "/hook?key-of-the-hook")
    assert request.body.decode() == line
    event = json.loads(line)
    assert event["event"] == "test"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
                        event["time"])
    fields = {name.lower(): value for name, value in request.fields}
    assert fields["host"] == hook.address
    assert fields["content-type"] == "application/json"
    assert fields["x-perch-event"] == "test"
    assert re.fullmatch(r"perch/\d+\.\d+\.\d+", fields["user-agent"])
    wait_count(perch, "delivered", 1)
    assert count(perch, "failed") == count(perch, "dropped") == 0


def test_slack_gets_a_sentence(notified, hook):
    perch = notified(dict(to_webhook(hook), format="slack"))
    say(perch)
    assert json.loads(hook.next_request().body) == {
        "text": "perch: a test of this webhook"}


def test_a_test_passes_every_filter(notified, hook, backends):
    other = backends("other")
    perch = notified(dict(to_webhook(hook), events=["promoted"]), other)
    line = say(perch)
    assert hook.next_request().body == other.next_request().body \
        == line.encode()


def test_a_name_is_resolved(notified, hook):
    perch = notified({"url": "http://localhost:%d/" % hook.port})
    say(perch)
    hook.next_request()


def test_ctl_sends_a_test(notified, hook):
    perch = notified(hook)
    assert "1 webhook;" in perch.ctl("notify", "test")[1]
    assert json.loads(hook.next_request().body)["event"] == "test"
    assert perch.ctl("notify", "tset", check=False)[0] == 2


def test_no_webhook_is_no_test(notified):
    perch = notified()
    status, answer = perch.admin.post("/api/v1/notify/test", {})
    assert status == 409 and "notify" in answer["error"]
    assert perch.ctl("notify", "test", check=False)[0] == 1
    assert "info event" not in perch.stderr()


def test_the_test_is_a_post_of_json(notified, hook):
    perch = notified(hook)
    status, fields, _ = perch.admin.request("GET", "/api/v1/notify/test")
    assert (status, fields["Allow"]) == (405, "POST")
    assert perch.admin.request("POST", "/api/v1/notify/test")[0] == 415
    assert perch.admin.post("/api/v1/notify/test", {"x": 1})[0] == 400
    assert not hook.requests


# -- failures -----------------------------------------------------------------

def reset(c):
    c.read_request()
    c.reset()


@pytest.mark.parametrize("failure, reason", [
    (respond(status="500 Oops"), "it answered 500"),
    (respond(status="429 Slow"), "it answered 429"),
    (reset, "it closed the connection without an answer"),
    (lambda c: (c.read_request(), c.send(b"SSH-2.0-x\r\n\r\n"), c.close()),
     "its answer is no HTTP"),
])
def test_failed_event_is_sent_again_before_the_next(
        notified, hook, failure, reason):
    perch = notified(hook)
    hook.play(failure, respond())
    begun = time.monotonic()
    first = say(perch)
    perch.wait_log("try 1 of event test failed: " + reason)
    second = say(perch)
    wait_count(perch, "delivered", 2)
    assert time.monotonic() - begun >= WAIT_MIN_S
    assert bodies(hook) == [first, first, second]
    assert count(perch, "failed") == 1
    assert count(perch, "dropped") == 0
    perch.wait_log("event test is delivered, at try 2")


def test_each_wait_is_longer(notified, hook):
    perch = notified(hook)
    hook.play(*[respond(status="503 Busy")] * 3, respond())
    times = []

    def note(c):
        times.append(time.monotonic())
        respond(status="503 Busy" if len(times) < 4 else "200 OK")(c)
    hook.play(note)
    say(perch)
    wait_count(perch, "delivered", 1)
    waits = [b - a for a, b in zip(times, times[1:])]
    for wait, middle in zip(waits, (1, 2, 4)):
        assert middle * 0.75 - 0.05 < wait < middle * 1.25 + 2, waits


def test_refused_connection_is_tried_again(notified, backends):
    port = free_port()
    perch = notified({"url": "http://127.0.0.1:%d/" % port})
    line = say(perch)
    perch.wait_log("try 1 of event test failed: cannot connect")
    late = backends("late", port=port)
    wait_count(perch, "delivered", 1)
    assert bodies(late) == [line]


def test_silent_server_is_tried_again(notified, hook):
    perch = notified(hook)
    hook.play(silence(), respond())
    line = say(perch)
    perch.wait_log("try 1 of event test failed: no answer within 10 s")
    wait_count(perch, "delivered", 1)
    assert bodies(hook) == [line, line]


@pytest.mark.parametrize("status", ["404 None", "410 Gone", "302 Found"])
def test_refused_event_is_dropped(notified, hook, status):
    perch = notified(hook)
    hook.play(respond(status=status, fields=[("Location", "/elsewhere")]),
              respond())
    first, second = say(perch), say(perch)
    wait_count(perch, "delivered", 1)
    assert bodies(hook) == [first, second]
    assert count(perch, "dropped") == 1
    perch.wait_log("event test is dropped: it answered " + status[:3])


def test_answer_need_not_end(notified, hook):
    """Its status is enough; a body without end is left."""
    perch = notified(hook)

    def endless(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        c.wait_closed()
    hook.play(endless)
    say(perch)
    wait_count(perch, "delivered", 1)


def test_huge_head_is_no_answer(notified, hook):
    perch = notified(hook)

    def huge(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\n" + b"X: %s\r\n" % (b"y" * 1000) * 100)
        c.wait_closed()
    hook.play(huge, respond())
    say(perch)
    perch.wait_log("try 1 of event test failed: its answer is no HTTP, or its head "
                   "too long")
    wait_count(perch, "delivered", 1)


def test_unresolvable_name_is_said(notified):
    perch = notified({"url": "http://nothing.invalid/"})
    say(perch)
    perch.wait_log("failed: cannot resolve nothing.invalid")


def test_the_log_keeps_the_secret(notified, hook):
    perch = notified(hook)
    hook.play(respond(status="500 Oops"), respond(status="404 None"))
    say(perch)
    wait_count(perch, "dropped", 1)
    assert "key-of-the-hook" not in perch.stderr()
    assert "key-of-the-hook" not in perch.admin.metrics().text


# -- what else perch does meanwhile -------------------------------------------

def test_a_hanging_webhook_holds_up_nothing(notified, hook, backends):
    seen = threading.Event()
    hook.play(silence(seen))
    other = backends("other")
    perch = notified(hook, other)
    lines = [say(perch)]
    hook.wait_heads(1)
    lines += [say(perch) for _ in range(5)]
    wait_for("the other webhook to have all",
             lambda: bodies(other) == lines)
    with RawClient(perch.port) as client:
        assert client.request().status == 200
    perch.reload()
    assert perch.admin.is_ready()
    assert len(hook.heads) == 1


def test_full_queue_loses_its_oldest(notified, hook):
    seen = threading.Event()
    go_on = threading.Event()

    def hold(c):
        c.read_request()
        seen.set()
        c.wait(go_on)
        c.send_response()
    hook.play(hold, respond())
    perch = notified(hook)
    perch.admin.do("/api/v1/notify/test", {})
    assert seen.wait(20)
    for _ in range(QUEUE_MAX + 2):
        perch.admin.do("/api/v1/notify/test", {})
    assert count(perch, "dropped") == 3
    go_on.set()
    wait_count(perch, "delivered", QUEUE_MAX)
    lines = re.findall(r"info event (\{.*\})\n", perch.stderr())
    assert bodies(hook) == lines[:1] + lines[4:]


# -- reload and stop ----------------------------------------------------------

def test_reload_keeps_the_queue_of_an_url(notified, hook, backends):
    gone = backends("gone")
    hook.play(respond(status="500 Oops"), respond())
    gone.play(respond(status="500 Oops"))
    perch = notified(hook, gone)
    lines = [say(perch), say(perch)]
    wait_count(perch, "failed", 2)
    perch.change(notify=[dict(to_webhook(hook), format="slack")])
    perch.reload()
    perch.wait_log("event test is dropped: the config has this webhook no")
    say(perch)
    wait_count(perch, "delivered", 3)
    assert bodies(hook) == [lines[0], *lines, json.dumps(
        {"text": "perch: a test of this webhook"}, separators=(",", ":"))]
    assert len(gone.requests) == 1


def test_stop_delivers_what_waits(notified, hook):
    hook.play(respond(status="500 Oops"), respond())
    perch = notified(hook)
    lines = [say(perch), say(perch)]
    wait_count(perch, "failed", 1)
    perch.stop()
    assert bodies(hook) == [lines[0], *lines]


def test_stop_waits_two_seconds_at_most(notified, hook):
    hook.play(silence())
    perch = notified(hook)
    say(perch)
    hook.wait_heads(1)
    begun = time.monotonic()
    perch.stop()
    assert time.monotonic() - begun < 8
    assert "event test is dropped: perch stops" in perch.stderr()


# -- TLS ----------------------------------------------------------------------

def openssl(folder, *arguments):
    done = subprocess.run(["openssl", *arguments], cwd=folder,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def make_key(folder, name):
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-keyout", name + ".key",
            "-out", name + ".csr", "-subj", "/CN=" + name)


def make_certificate(folder, name, names, dates=None):
    """Signed by the CA. dates: from and to."""
    make_key(folder, name)
    (folder / (name + ".ext")).write_text("subjectAltName=%s\n" % names)
    start, end = dates or ("20200101000000Z", "20990101000000Z")
    openssl(folder, "ca", "-config", "ca.conf", "-batch", "-notext", "-in",
            name + ".csr", "-out", name + ".pem", "-extfile", name + ".ext",
            "-startdate", start, "-enddate", end)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A folder with a CA, and certificates by it."""
    folder = tmp_path_factory.mktemp("ca")
    (folder / "index").write_text("")
    (folder / "ca.conf").write_text(
        "[ca]\ndefault_ca=it\n[it]\ndatabase=index\nnew_certs_dir=.\n"
        "certificate=ca.pem\nprivate_key=ca.key\nrand_serial=yes\n"
        "default_md=sha256\nunique_subject=no\npolicy=any\n"
        "[any]\ncommonName=supplied\n")
    for name in ("ca", "stranger"):
        openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                name + ".key", "-out", name + ".pem", "-days", "30",
                "-subj", "/CN=Test " + name)
    make_certificate(folder, "good", "DNS:localhost,IP:127.0.0.1")
    make_certificate(folder, "other", "DNS:other.example,DNS:*.localhost")
    make_certificate(folder, "expired", "DNS:localhost",
                     ("20200101000000Z", "20200102000000Z"))
    return folder


@pytest.fixture
def secure(authority):
    """secure(certificate): a server of HTTPS that says 200 and notes the
    bodies."""
    running = []

    def serve(certificate, is_old=False):
        import http.server

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.bodies.append(body.decode())
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # a handshake that failed

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority / (certificate + ".pem"),
                                authority / (certificate + ".key"))
        if is_old:
            context.options |= ssl.OP_NO_TLSv1_2 | ssl.OP_NO_TLSv1_3
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            context.set_ciphers("ALL:@SECLEVEL=0")
        server = Server(("127.0.0.1", 0), Handler)
        server.bodies, server.names = [], []
        context.sni_callback = lambda _, name, __: server.names.append(name)
        # In the connection's own thread, so that none holds up the others.
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append(server)
        return types.SimpleNamespace(
            port=server.server_address[1], bodies=server.bodies,
            names=server.names)

    yield serve
    for server in running:
        server.shutdown()
        server.server_close()


def test_https_with_a_trusted_certificate(notified, secure, authority):
    server = secure("good")
    perch = notified(
        {"url": "https://localhost:%d/x" % server.port,
         "ca": str(authority / "ca.pem")})
    lines = [say(perch), say(perch)]
    wait_count(perch, "delivered", 2)
    assert server.bodies == lines
    assert server.names == ["localhost"] * 2


def test_https_to_an_address(notified, secure, authority):
    server = secure("good")
    perch = notified({"url": "https://127.0.0.1:%d/x" % server.port,
                      "ca": str(authority / "ca.pem")})
    say(perch)
    wait_count(perch, "delivered", 1)
    assert server.names == [None]


@pytest.mark.parametrize("host, certificate, ca, reason", [
    ("localhost", "good", None, "unable to get local issuer certificate"),
    ("localhost", "good", "stranger", "unable to get local issuer"),
    ("localhost", "other", "ca", "hostname mismatch"),
    ("127.0.0.1", "other", "ca", "IP address mismatch"),
    ("localhost", "expired", "ca", "certificate has expired"),
])
def test_bad_certificate_gets_nothing(
        notified, secure, authority, host, certificate, ca, reason):
    server = secure(certificate)
    webhook = {"url": "https://%s:%d/x" % (host, server.port)}
    if ca:
        webhook["ca"] = str(authority / (ca + ".pem"))
    perch = notified(webhook)
    say(perch)
    perch.wait_log("failed: its certificate is refused: " + reason)
    assert server.bodies == []
    assert count(perch, "delivered") == 0


@pytest.mark.filterwarnings("ignore:ssl.OP_NO")
def test_old_tls_gets_nothing(notified, secure, authority):
    server = secure("good", is_old=True)
    perch = notified({"url": "https://localhost:%d/" % server.port,
                      "ca": str(authority / "ca.pem")})
    say(perch)
    perch.wait_log("try 1 of event test failed: TLS failed")
    assert server.bodies == []


def test_https_to_plain_http_is_said(notified, hook, authority):
    hook.play(lambda c: (c.read_some(), c.send(b"HTTP/1.1 400 No\r\n\r\n"),
                         c.close()))
    perch = notified({"url": "https://127.0.0.1:%d/" % hook.port})
    say(perch)
    perch.wait_log("failed: TLS failed: wrong version number")


def test_refused_https_is_tried_again(notified):
    perch = notified({"url": "https://127.0.0.1:%d/" % free_port()})
    say(perch)
    perch.wait_log("try 1 of event test failed: cannot connect")


def test_a_ca_may_come_later(notified, secure, authority, tmp_path):
    """The file is read again with each reload, and while it is missing."""
    server = secure("good")
    ca = tmp_path / "ca.pem"
    perch = notified({"url": "https://localhost:%d/x" % server.port,
                      "ca": str(ca)})
    perch.wait_log(r"error webhook .*: can't read certificates from ")
    say(perch)
    perch.wait_log(r"failed: can't read certificates from .*/ca\.pem: No such")
    ca.write_bytes((authority / "stranger.pem").read_bytes())
    perch.wait_log("failed: its certificate is refused")
    ca.write_bytes((authority / "ca.pem").read_bytes())
    perch.reload()
    wait_count(perch, "delivered", 1)
