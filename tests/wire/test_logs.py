"""Access logs and the log of errors."""

import fcntl
import json
import os
import re
import signal
import threading

import pytest

from perchtest import Browser, Perch, RawClient, ScriptedBackend, wait_for
from perchtest.browser import OVERRIDE


@pytest.fixture
def logging(start, backends, tmp_path):
    """Starts a perch that logs to a file: logging("json") -> (perch, path,
    backend)."""
    def make(form, prepare=None, **settings):
        path = str(tmp_path / "access.log")
        if prepare:
            prepare(path)
        backend = backends("one")
        perch = start({"web": backend}, log={
            "level": "info", "access": {"file": path, "format": form}},
            **settings)
        return perch, path, backend
    return make


def lines_of(path, count):
    """That many lines, once they have been flushed."""
    def read():
        with open(path) as file:
            text = file.read()
        return text.splitlines() if text.count("\n") >= count else None
    lines = wait_for("%d lines in %s" % (count, path), read)
    assert len(lines) == count
    return lines


ASKED = {"Referer": "http://there/", "User-Agent": 'a "quoted" agent',
         "X-Request-Id": "id-12345"}
COMMON = (r'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d '
          r'[+-]\d{4}\] "GET /a\?b HTTP/1\.1" 200 3')


@pytest.mark.parametrize("form,pattern", [
    ("common", COMMON + r"( |\Z)"),
    ("combined", COMMON + r' "http://there/" "a \\(?:"|x22)quoted\\(?:"|x22)'
                          r' agent"( |\Z)')], ids=["common", "combined"])
def test_classic_formats(logging, form, pattern):
    perch, path, _ = logging(form)
    with RawClient(perch.port) as client:
        client.request("GET", "/a?b", fields=ASKED)
    line, = lines_of(path, 1)
    assert re.match(pattern, line), line


def test_json(logging):
    perch, path, backend = logging("json")
    with RawClient(perch.port) as client:
        client.request("GET", "/a?b", fields=ASKED)
        client.request("POST", '/"\\', fields={"User-Agent": "\xe4\x80\t"},
                       body=b"12345")
        client.request("GET", "/", fields={"Host2": "x"})
    first, second, _ = [json.loads(t) for t in lines_of(path, 3)]
    text = json.dumps(first)
    for value in ("web", "v1", "stable", backend.address, "id-12345",
                  "/a?b", "GET", "127.0.0.1", 'a \\"quoted\\" agent'):
        assert value in text, value
    assert first["status"] == 200
    times = [v for k, v in first.items()
             if isinstance(v, float) or "time" in k or "_ms" in k]
    assert len(times) >= 2
    assert '/\\"' in json.dumps(second) or "\\\\" in json.dumps(second)


def test_json_of_an_error(logging):
    perch, path, _ = logging("json")
    with RawClient(perch.port) as client:
        client.send("GET / HTTP/1.1\r\n\r\n")
        assert client.read_response().status == 400
    assert json.loads(lines_of(path, 1)[0])["status"] == 400


# What is sent; the status, method, target and cause that the log has.
HEAD = "GET /a?b HTTP/1.1\r\nHost: t\r\n"
REFUSED = {
    "no host": ("GET /a?b HTTP/1.1\r\n\r\n", 400, "GET", "/a?b", "no Host"),
    "field": (HEAD + "A : b\r\n\r\n", 400, "GET", "/a?b", None),
    "bare LF": (HEAD + "A: b\n", 400, "GET", "/a?b", "bare LF in head"),
    "head too long": (HEAD + "A: %s\r\n" % ("x" * 5000), 431, "GET", "/a?b",
                      "head too large"),
    "fields": (HEAD + "A: b\r\n" * 30 + "\r\n", 431, "GET", "/a?b",
               "too many fields"),
    "target": ("GET /%s HTTP/1.1\r\nHost: t\r\n\r\n" % ("x" * 300), 414,
               "GET", "/" + "x" * 300, None),
    "version": ("PUT /a HTTP/2.0\r\nHost: t\r\n\r\n", 505, "PUT", "/a",
                "not HTTP/1.x"),
    "coding": (HEAD + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501, "GET",
               "/a?b", "a transfer coding other than chunked"),
    "too late": (HEAD, 408, "GET", "/a?b", "head not received in time"),
    "chunk": (HEAD + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400, "GET",
              "/a?b", "malformed chunk"),
    "body": (HEAD + "Content-Length: 101\r\n\r\n", 413, "GET", "/a?b",
             "body over limits.body"),
    "method": ("CONNECT t:1 HTTP/1.1\r\nHost: t:1\r\n\r\n", 405, "CONNECT",
               "t:1", "CONNECT"),
    "no service": ("GET /a HTTP/1.1\r\nHost: u\r\n\r\n", 404, "GET", "/a",
                   "no service for this host and path"),
    "control": ("GET /a\x1b[31m HTTP/1.1\r\nHost: t\r\n\r\n", 400, "GET",
                "/a\x1b[31m", None),
    "no method": ("\x01\x02 /a HTTP/1.1\r\n\r\n", 400, None, None, None),
}


@pytest.fixture(scope="module")
def refusing(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("log") / "access.log")
    with ScriptedBackend() as one, Perch(
            {"web": {"versions": {"v1": one}, "match": {"hosts": ["t"]}}},
            limits={"head": "2KiB", "target": "200B", "fields": 20,
                    "body": "100B"}, timeouts={"header": "300ms"},
            log={"access": {"file": path, "format": "json"}}) as perch:
        yield perch, path


@pytest.mark.parametrize("kind", REFUSED)
def test_refusal_has_its_cause(refusing, kind):
    """And of the request what could be read."""
    perch, path = refusing
    sent, status, method, target, cause = REFUSED[kind]
    before = open(path).read().count("\n")
    with RawClient(perch.port) as client:
        client.send(sent)
        assert client.read_response().status == status
    entry = json.loads(lines_of(path, before + 1)[-1])
    assert entry["status"] == status
    assert entry.get("method") == method
    assert entry.get("target") == target
    assert entry["error"] == "request"
    assert entry["cause"] == cause or cause is None and entry["cause"]


@pytest.mark.parametrize("byte", ["\xe9", '"', "\\", "\t", "w"])
def test_json_of_words_of_any_length(logging, byte):
    """What has to be cut is cut inside of its quotes."""
    perch, path, _ = logging("json", limits={"head": "32KiB",
                                             "target": "16KiB"})
    sent = [(2048, 2048), (5000, 5000), (14000, 10)]
    for referer, agent in sent:
        with RawClient(perch.port) as client:
            answer = client.request("GET", "/" + "t" * 5000, fields=[
                ("Referer", "r" + byte * referer + "r"),
                ("User-Agent", "u" + byte * agent + "u"),
                ("X-Request-Id", "id-12345")])
            assert answer.status == 200
    perch.stop()
    for line in lines_of(path, len(sent)):
        entry = json.loads(line)
        assert entry["status"] == 200
        assert entry["request_id"] == "id-12345"
        assert entry["user_agent"].startswith("u" + byte)


def test_log_injection(logging):
    """Nothing that a client sends begins a line of its own."""
    perch, path, _ = logging("common")
    with RawClient(perch.port) as client:
        client.request("GET", "/%0d%0afake", fields={"User-Agent": "x"})
        client.send("GET /\x1b[31m HTTP/1.1\r\nHost: t\r\n\r\n")
        client.read_response()
    for line in lines_of(path, 2):
        assert re.fullmatch(r"[\x20-\x7e]+", line)


def test_off_writes_nothing(start, backends, tmp_path):
    path = tmp_path / "access.log"
    perch = start({"web": backends("one")}, log={
        "access": {"file": str(path), "format": "off"}})
    with RawClient(perch.port) as client:
        client.request()
    perch.stop()
    assert not path.exists() or path.read_text() == ""


def test_all_lines_are_written_at_the_end(logging):
    perch, path, _ = logging("common")
    with RawClient(perch.port) as client:
        for _ in range(500):
            client.request()
    perch.stop()
    assert len(open(path).read().splitlines()) == 500


def test_lines_of_two_workers_are_whole(logging):
    perch, path, _ = logging("json", workers=2)
    clients = [RawClient(perch.port) for _ in range(20)]
    for _ in range(30):
        for client in clients:
            client.send_request()
        for client in clients:
            assert client.read_response().status == 200
    for client in clients:
        client.close()
    for line in lines_of(path, 600):
        json.loads(line)


def test_access_log_is_reopened(logging):
    perch, path, _ = logging("common")
    with RawClient(perch.port) as client:
        client.request("GET", "/before")
        lines_of(path, 1)
        os.rename(path, path + ".1")
        perch.send_signal(signal.SIGUSR1)
        wait_for("the new file", lambda: os.path.exists(path))
        client.request("GET", "/after")
    assert "/after" in lines_of(path, 1)[0]
    assert "/before" in lines_of(path + ".1", 1)[0]


def test_log_file_is_reopened(start, backends, tmp_path):
    path = str(tmp_path / "perch.log")
    perch = start({"web": backends("one")},
                  log={"target": path, "level": "info"})
    wait_for("the first line", lambda: os.path.getsize(path) > 0)
    os.rename(path, path + ".1")
    perch.send_signal(signal.SIGUSR1)
    wait_for("the new file", lambda: os.path.exists(path))
    perch.send_signal(signal.SIGHUP)
    wait_for("a line in it", lambda: os.path.getsize(path) > 0)


def test_reason_for_the_version(start, backends, tmp_path):
    path = str(tmp_path / "access.log")
    v1, v2 = backends("v1", "v2")
    perch = start({"web": {"versions": {"v1": v1, "v2": v2},
                           "stable": "v1", **OVERRIDE}}, log={
        "access": {"file": path, "format": "json"}})
    with RawClient(perch.port) as client:
        browser = Browser(client)
        browser.navigate()
        perch.admin.release("web", "v2", 100)
        browser.asset()
        browser.navigate()
        browser.asset(**{"X-Perch-Version": "v1"})
        browser.jar.clear()
        browser.asset()
    got = [json.loads(line) for line in lines_of(path, 5)]
    assert [g["reason"] for g in got] == [
        "stable", "pin", "bucket", "override", "unknown"]
    assert [g["version"] for g in got] == ["v1", "v1", "v2", "v1", "v1"]


# -- what takes nothing -----------------------------------------------------

class FullPipe:
    """A pipe that nobody reads, and that is full, until drain()."""

    def __init__(self):
        self.reader, self.writer = os.pipe()
        flags = fcntl.fcntl(self.writer, fcntl.F_GETFL)
        fcntl.fcntl(self.writer, fcntl.F_SETFL, flags | os.O_NONBLOCK)
        try:
            while os.write(self.writer, b"-" * 4095 + b"\n"):
                pass
        except BlockingIOError:
            pass
        fcntl.fcntl(self.writer, fcntl.F_SETFL, flags)
        self._text = b""
        self._thread = None

    def drain(self):
        def read():
            while got := os.read(self.reader, 1 << 16):
                self._text += got
        self._thread = threading.Thread(target=read)
        self._thread.start()

    def text(self):
        return self._text.decode()

    def close(self):
        os.close(self.writer)
        if self._thread is not None:
            self._thread.join()
        os.close(self.reader)


@pytest.fixture
def full_pipe():
    pipe = FullPipe()
    yield pipe
    pipe.close()


def dropped(perch, which):
    return perch.admin.metrics().sum("perch_%s_lines_dropped_total" % which)


def ask_until_lines_are_dropped(perch):
    long = {"Referer": "r" * 4000, "User-Agent": "u" * 4000}
    with RawClient(perch.port) as client:
        for _ in range(100):
            for _ in range(50):
                assert client.request("GET", "/", fields=long).status == 200
            if dropped(perch, "access_log") > 0:
                return
    raise AssertionError("no line was dropped")


def test_nobody_waits_for_an_access_log_that_nobody_reads(logging):
    perch, path, _ = logging("json", prepare=os.mkfifo, workers=2)
    ask_until_lines_are_dropped(perch)
    assert perch.admin.get("/healthz")
    perch.wait_log("access log took nothing: [1-9][0-9]* of its lines")
    # A reader that comes late gets lines that are whole, new ones too.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    text = b""
    with RawClient(perch.port) as client:
        def has_last():
            nonlocal text
            client.request("GET", "/last")
            try:
                while got := os.read(fd, 1 << 16):
                    text += got
            except BlockingIOError:
                pass
            return b"/last" in text
        wait_for("a new line", has_last)
    os.close(fd)
    for line in text.splitlines():
        json.loads(line)


def test_term_does_not_wait_for_a_log_that_nobody_reads(logging):
    perch, _, _ = logging("json", prepare=os.mkfifo)
    ask_until_lines_are_dropped(perch)
    perch.send_signal(signal.SIGTERM)
    assert perch.wait(10) == 0


def test_nobody_waits_for_a_stderr_that_nobody_reads(
        full_pipe, start, backends):
    """Not even at the start, when there are no threads yet."""
    v1, v2 = backends("v1", "v2")
    perch = start({"web": {"versions": {"v1": v1, "v2": v2},
                           "stable": "v1"}}, output=full_pipe.writer,
                  state=True)
    good = open(perch.config_file).read()
    bad = "".join("no_such_key_%d_%s: 1\n" % (i, "x" * 200)
                  for i in range(1000))
    with RawClient(perch.port) as client:
        perch.admin.release("web", "v2", 100)
        assert Browser(client).navigate().body == b"v2"
        with open(perch.config_file, "w") as out:
            out.write(good + bad)
        for _ in range(3):
            refused = perch.admin.metrics().sum(
                "perch_config_reloads_total", result="refused")
            perch.send_signal(signal.SIGHUP)
            wait_for("the refusal", lambda: perch.admin.metrics().sum(
                "perch_config_reloads_total", result="refused") > refused)
        assert dropped(perch, "log") > 0
        # It is taken back as fast as ever.
        assert perch.ctl("rollback", "web", "--yes")[0] == 0
        assert Browser(client).navigate().body == b"v1"
    full_pipe.drain()
    wait_for("all that waited", lambda: "no_such_key_1_" in full_pipe.text())

    def is_said():
        # With a line that comes a second after it was said last.
        perch.send_signal(signal.SIGUSR1)
        return " warn the log took nothing: %d of its lines are lost by now\n" \
            % dropped(perch, "log") in full_pipe.text()
    wait_for("what is missing to be said", is_said)
    perch.stop()


def test_term_does_not_wait_for_a_stderr_that_nobody_reads(
        full_pipe, start, backends):
    perch = start({"web": backends("one")}, output=full_pipe.writer)
    perch.send_signal(signal.SIGTERM)
    assert perch.wait(10) == 0


def test_usr1_finds_a_file_in_the_place_of_a_stuck_pipe(logging):
    perch, path, _ = logging("json", prepare=os.mkfifo)
    ask_until_lines_are_dropped(perch)
    os.unlink(path)
    perch.send_signal(signal.SIGUSR1)
    wait_for("the new file", lambda: os.path.exists(path))
    with RawClient(perch.port) as client:
        def is_written():
            client.request("GET", "/new")
            return "/new" in open(path).read()
        wait_for("a line in it", is_written)


def test_full_disk_costs_lines_and_no_requests(start, backends):
    perch = start({"web": backends("one")}, log={
        "access": {"file": "/dev/full", "format": "common"}})
    with RawClient(perch.port) as client:
        assert client.request().status == 200
    wait_for("the line to be counted",
             lambda: dropped(perch, "access_log") == 1)
