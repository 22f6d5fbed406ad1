"""admin: the admin server's interface, over TCP or a unix socket."""

import http.client
import json
import re
import socket

from .wait import PATIENCE, wait_for


# The least share, in percent, that a candidate can have: one bucket of 10,000.
# Who has drawn v1 at it stays on v1 whenever it is set again.
LEAST_SHARE = 0.01


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self._path)


class Admin:
    """bind: as in the config, "127.0.0.1:9900" or "unix:/path"."""

    def __init__(self, bind):
        self.bind = bind

    def request(self, method, path, body=None, fields=None):
        """(status, fields, body bytes)"""
        if self.bind.startswith("unix:"):
            connection = _UnixConnection(self.bind[5:])
        else:
            connection = http.client.HTTPConnection(
                self.bind, timeout=PATIENCE)
        try:
            connection.request(method, path, body, fields or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def get(self, path):
        status, _, body = self.request("GET", path)
        assert status == 200, (path, status, body)
        return body

    def get_json(self, path):
        return json.loads(self.get(path))

    def post(self, path, body):
        """(status, what the JSON answer says)"""
        status, _, answer = self.request(
            "POST", path, json.dumps(body),
            {"Content-Type": "application/json"})
        return status, json.loads(answer)

    def do(self, path, body):
        status, answer = self.post(path, body)
        assert status == 200, (path, status, answer)
        return answer

    def is_ready(self):
        try:
            return self.request("GET", "/readyz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    # -- services and releases --------------------------------------------

    def service(self, name):
        return self.get_json("/api/v1/services/" + name)

    def release(self, service, version, share):
        return self.do("/api/v1/services/%s/release" % service,
                       {"version": version, "share": share})

    def share(self, service, share):
        return self.do("/api/v1/services/%s/share" % service,
                       {"share": share})

    def history(self, unit, **query):
        query = "&".join("%s=%s" % item for item in query.items())
        return self.get_json("/api/v1/services/%s/history?%s"
                             % (unit, query))["history"]

    def word(self, unit, word, **body):
        """(status, the answer)"""
        return self.post("/api/v1/services/%s/%s" % (unit, word), body)

    def promote(self, service):
        return self.do("/api/v1/services/%s/promote" % service, {})

    def rollback(self, service):
        return self.do("/api/v1/services/%s/rollback" % service, {})

    # -- metrics ----------------------------------------------------------

    def metrics(self):
        return Metrics(self.get("/metrics").decode())

    def wait_metric(self, name, value, **labels):
        """Counters are written when an exchange ends, a little after its
        answer has been read here."""
        wait_for("%s%r to be %s" % (name, labels, value),
                 lambda: self.metrics().sum(name, **labels) == value)


_SAMPLE = re.compile(
    r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([^ ]+)\Z")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|\Z)')


class Metrics:
    """A page in Prometheus' text format."""

    def __init__(self, text):
        self.text = text
        self.samples = []  # (name, labels, value)
        for line in text.splitlines():
            if not line or line.startswith("#"):
                continue
            match = _SAMPLE.match(line)
            assert match, "not a sample: %r" % line
            labels = dict(_LABEL.findall(match[2] or ""))
            self.samples.append((match[1], labels, float(match[3])))

    def select(self, name, **labels):
        return [(found, value) for sample, found, value in self.samples
                if sample == name
                and all(found.get(k) == v for k, v in labels.items())]

    def sum(self, name, **labels):
        return sum(value for _, value in self.select(name, **labels))

    def names(self):
        return {name for name, _, _ in self.samples}
