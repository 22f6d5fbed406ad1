"""balancers: what moves clients from v1 to v2, each before the same services.

start()      v1 alone
share(n)     so many percent to v2
roll_back()  none, and v2 isn't to be used any more
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile

import plain
from perchtest import Perch, free_port, wait_for
from perchtest.perch import program
from stage import SERVICES, VERSIONS


def host_of(service):
    return service + ".localhost"


def _has_key(name):
    schema = subprocess.run([program(), "--print-schema"], check=True,
                            capture_output=True, text=True).stdout
    return '"%s"' % name in schema


class OurPerch:
    def __init__(self, pairs):
        self._units = {service: service.replace(".", "-")
                       for service in pairs}
        self._services = {
            self._units[service]: {
                "match": {"hosts": [host_of(service)]},
                "sticky": {key: value for key, value
                           in SERVICES[service][1].items()
                           if _has_key(key)},
                "versions": {"v1": addresses[0]}}
            for service, addresses in pairs.items()}
        self._candidates = {self._units[service]: addresses[1]
                            for service, addresses in pairs.items()}
        self._is_running = False
        self.perch = Perch(self._services, workers=2, start=False,
                           log={"level": "warn"})
        self.port = self.perch.port

    def start(self):
        self.perch.start()

    def share(self, percent):
        if not self._is_running:
            self._bring_candidates()
        for unit in self._units.values():
            words = ["share", unit, str(percent), "--yes"] \
                if self._is_running else \
                ["release", "start", unit, "v2", "--share", str(percent)]
            self.perch.ctl(*words)
        self._is_running = True

    def _bring_candidates(self):
        """v2 is deployed when it is there; until then there was one."""
        for unit, address in self._candidates.items():
            service = self._services[unit]
            service["versions"]["v2"] = address
            service["stable"] = "v1"
        self.perch.change(self._services)
        self.perch.reload()

    def roll_back(self):
        for unit in self._units.values():
            self.perch.ctl("rollback", unit, "--yes")

    def close(self):
        self.perch.__exit__(None)


class Nginx:
    """split_clients, keyed by what a client is known by."""

    def __init__(self, pairs, key, more=""):
        self._key = key
        self._more = more
        self._folder = tempfile.mkdtemp(prefix="perch-nginx-")
        self._hosts = {host_of(service): addresses
                       for service, addresses in pairs.items()}
        self.port = free_port()

    def _settings(self, percent):
        return (self._folder, self.port, self._hosts, percent, self._key,
                self._more)

    def start(self):
        self._process = plain.start(*self._settings(0))
        wait_for("nginx", lambda: plain.is_open(self.port))

    def share(self, percent):
        plain.write_config(*self._settings(percent))
        before = _children(self._process.pid)
        self._process.send_signal(signal.SIGHUP)
        # Those that leave end what they have, sockets too, but take no more.
        wait_for("nginx to reload", lambda: all(
            map(_is_leaving, before)) and
            _children(self._process.pid) - before)

    def roll_back(self):
        self.share(0)

    def close(self):
        plain.stop(self._process)
        shutil.rmtree(self._folder)


def _children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid),
              encoding="ascii") as file:
        return set(file.read().split())


def _is_leaving(pid):
    try:
        with open("/proc/%s/cmdline" % pid, encoding="ascii") as file:
            return "shutting down" in file.read()
    except FileNotFoundError:
        return True


# A cookie of one's own: drawn by the first request that has none, and given
# by its answer.
COOKIE_KEY = """
	map $cookie_side $drawn { "" $request_id; default $cookie_side; }
	add_header Set-Cookie "side=$drawn; Path=/; HttpOnly" always;
"""

HAPROXY = """
global
	stats socket {folder}/admin level admin
defaults
	mode http
	timeout connect 5s
	timeout client 60s
	timeout server 60s
	timeout tunnel 1h
	option redispatch
frontend all
	bind 127.0.0.1:{port}
{uses}
{backends}
"""
BACKEND = """
backend {name}
	balance roundrobin
	cookie SRV insert indirect nocache
	server v1 {stable} cookie v1 weight 100
	server v2 {candidate} cookie v2 weight 0
"""


class Haproxy:
    """Weights and a cookie that names the server. A weight of 0 lets those
    stay that have the cookie."""

    def __init__(self, pairs):
        self._folder = tempfile.mkdtemp(prefix="perch-haproxy-")
        self._backends = list(pairs)
        self.port = free_port()
        self._file = os.path.join(self._folder, "haproxy.cfg")
        with open(self._file, "w", encoding="ascii") as out:
            out.write(HAPROXY.format(
                folder=self._folder, port=self.port,
                uses="\n".join(
                    "\tuse_backend %s if { hdr(host),field(1,:) %s }"
                    % (name, host_of(name)) for name in pairs),
                backends="".join(
                    BACKEND.format(name=name, stable=stable,
                                   candidate=candidate)
                    for name, (stable, candidate) in pairs.items())))

    def start(self):
        self._process = subprocess.Popen(
            ["/usr/sbin/haproxy", "-q", "-db", "-f", self._file])
        wait_for("haproxy", lambda: plain.is_open(self.port))

    def _tell(self, text):
        with socket.socket(socket.AF_UNIX) as admin:
            admin.connect(os.path.join(self._folder, "admin"))
            admin.sendall(text.encode() + b"\n")
            answer = admin.recv(4096).decode().strip()
        assert not answer, (text, answer)

    def share(self, percent):
        for backend in self._backends:
            for version, weight in zip(VERSIONS, (100 - percent, percent)):
                self._tell("set server %s/%s weight %d"
                           % (backend, version, weight))

    def roll_back(self):
        self.share(0)
        for backend in self._backends:
            self._tell("set server %s/v2 state maint" % backend)

    def close(self):
        plain.stop(self._process)
        shutil.rmtree(self._folder)


def make_subject(name, pairs):
    return {
        "perch": lambda: OurPerch(pairs),
        "before": lambda: OurPerch(pairs),
        "address": lambda: Nginx(pairs, "$remote_addr$http_user_agent"),
        "cookie": lambda: Nginx(pairs, "$drawn", COOKIE_KEY),
        "haproxy": lambda: Haproxy(pairs),
        "none": lambda: Nginx(pairs, "$request_id"),
    }[name]()
