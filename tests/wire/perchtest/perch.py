"""perch: the daemon under test, on a configuration of the test's own.

PERCH_BIN names the program; without it, ./perch in the folder PERCH_BUILD;
without that, the top of the tree. perchctl stands beside it.
"""

import itertools
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile

from .admin import Admin
from .cookie import SECRET
from .terminal import Terminal
from .wait import PATIENCE, wait_for

_TREE = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.dirname(os.path.abspath(__file__)))))

# What a sanitizer exits with, so that its exit is known from ours.
_SANITIZER_EXIT = 99
_SANITIZER_REPORT = re.compile(
    r"(AddressSanitizer|LeakSanitizer|ThreadSanitizer|UndefinedBehavior"
    r"Sanitizer|runtime error:|Assertion .* failed)")


def program(name="perch"):
    if name == "perch" and os.environ.get("PERCH_BIN"):
        return os.path.abspath(os.environ["PERCH_BIN"])
    if os.environ.get("PERCH_BIN"):
        folder = os.path.dirname(os.path.abspath(os.environ["PERCH_BIN"]))
    else:
        folder = os.path.abspath(os.environ.get("PERCH_BUILD", _TREE))
    return os.path.join(folder, name)


def is_thread_sanitized():
    with open(program(), "rb") as file:
        return b"__tsan_init" in file.read()


def is_sanitized():
    with open(program(), "rb") as file:
        found = file.read()
    return b"__tsan_init" in found or b"__asan_init" in found


# Outside of the range that the kernel gives to outgoing connections, so that
# what nothing listens on stays free.
_PORTS = range(10000, 32000)
_given = itertools.count(random.randrange(len(_PORTS)))


def _is_free(port):
    with socket.socket() as sock:
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(in_a_row=1):
    """A port that nothing listens on, or the first of so many. Each is given
    once, until all were: whoever got it may take it later."""
    found = []
    while len(found) < in_a_row:
        port = _PORTS[next(_given) % len(_PORTS)]
        if found and port != found[-1] + 1:
            found = []
        found = found + [port] if _is_free(port) else []
    return found[0]


def sanitizer_environment(**asan):
    options = {"exitcode": _SANITIZER_EXIT, "abort_on_error": 0}
    asan = dict(options, detect_leaks=1, **asan)
    text = {name: ":".join("%s=%s" % item for item in chosen.items())
            for name, chosen in (
                ("ASAN_OPTIONS", asan),
                ("UBSAN_OPTIONS", dict(options, print_stacktrace=1)),
                ("TSAN_OPTIONS", dict(options, halt_on_error=0)))}
    return dict(os.environ, **text)


# For tests of how much memory perch uses: freed memory that the address
# sanitizer keeps would look like a leak there.
SMALL_QUARANTINE = sanitizer_environment(
    quarantine_size_mb=1, thread_local_quarantine_size_kb=16)


# -- configurations -------------------------------------------------------

def to_yaml(value, indent=0):
    """A dict as block-style YAML, the way that people write it."""
    pad = " " * indent
    lines = []
    for key, item in value.items():
        key = key if re.fullmatch(r"[A-Za-z0-9_.-]+", key) \
            else json.dumps(key)
        if isinstance(item, dict) and item:
            lines.append("%s%s:" % (pad, key))
            lines.append(to_yaml(item, indent + 2))
        elif isinstance(item, (list, tuple, dict)):
            lines.append("%s%s: %s" % (pad, key, _flow(item)))
        else:
            lines.append("%s%s: %s" % (pad, key, _scalar(item)))
    return "\n".join(lines)


def _flow(value):
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_flow(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(
            "%s: %s" % (k, _flow(v)) for k, v in value.items()) + "}"
    return _scalar(value)


def _scalar(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    # A plain scalar wherever YAML lets it be one.
    if re.fullmatch(r"[A-Za-z0-9/][A-Za-z0-9/._ -]*", value):
        return value
    return json.dumps(value)


def merge(base, changes):
    """base with changes laid over it, deep in dicts."""
    merged = dict(base)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


class Perch:
    """A running perch.

    services: as in the config. A backend (or a list of them) may stand for a
    service with the one version v1, and for the endpoints of a version:

        Perch({"web": backend})
        Perch({"web": {"versions": {"v1": backend, "v2": [b, c]},
                       "stable": "v1"}})

    Further settings are laid over the template as keyword arguments. Ports
    are chosen; state_dir is a folder of its own where state=True. secret=None
    leaves perch to a secret of its own. Where output is a descriptor, stdout
    and stderr go there, and not to stderr().
    """

    def __init__(self, services, state=False, folder=None, start=True,
                 nofile=None, environment=None, admin=None, output=None,
                 secret=SECRET,
                 **settings):
        self._own_folder = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="perch-test-")
        self.config_file = os.path.join(self.folder, "perch.yaml")
        self.error_file = os.path.join(self.folder, "stderr")
        self.port = free_port()
        self._admin_bind = admin or "127.0.0.1:%d" % free_port()
        self.admin = Admin(self._admin_bind)
        self._nofile = nofile
        self._output = output
        self._environment = environment or sanitizer_environment()
        self.process = None
        self.is_killed = False
        template = {
            "workers": 1,
            "log": {"level": "debug"},
            "listeners": [{"bind": "127.0.0.1:%d" % self.port}],
            "admin": {"bind": self._admin_bind},
        }
        if secret is not None:
            template["sticky"] = {
                "secret": os.path.join(self.folder, "secret")}
            with open(template["sticky"]["secret"], "w") as file:
                print(secret, file=file)
        if state:
            template["state_dir"] = os.path.join(self.folder, "state")
            os.makedirs(template["state_dir"], exist_ok=True)
        self.config = merge(template, settings)
        self.config["services"] = {
            name: _service(service) for name, service in services.items()}
        self.write_config()
        if start:
            try:
                self.start()
            except BaseException:
                self.__exit__(True)
                raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.stop()
            else:
                self.kill()
        finally:
            if kind is not None and os.path.exists(self.error_file):
                print(self.stderr()[-8000:])
            if self._own_folder:
                shutil.rmtree(self.folder, ignore_errors=True)

    # -- config -----------------------------------------------------------

    def write_config(self, config=None):
        with open(self.config_file, "w") as out:
            out.write(to_yaml(config or self.config) + "\n")

    def change(self, services=None, **settings):
        """Changes the file, not yet the daemon."""
        self.config = merge(self.config, settings)
        for name, service in (services or {}).items():
            self.config["services"][name] = _service(service)
        self.write_config()

    # -- life -------------------------------------------------------------

    def start(self):
        self.spawn()
        wait_for("perch to be ready", self._is_ready)

    def spawn(self):
        """Starts it; it needn't be ready, or ever be."""
        def limit_descriptors():
            resource.setrlimit(
                resource.RLIMIT_NOFILE, (self._nofile, self._nofile))

        self.is_killed = False
        with open(self.error_file, "ab") as errors:
            self.process = subprocess.Popen(
                [program(), "-c", self.config_file],
                stdin=subprocess.DEVNULL, stdout=self._output or errors,
                stderr=self._output or errors,
                env=self._environment, cwd=self.folder,
                preexec_fn=limit_descriptors if self._nofile else None)

    def _is_ready(self):
        code = self.process.poll()
        assert code is None, "perch exited with %d:\n%s" % (
            code, self.stderr())
        return self.admin.is_ready()

    @property
    def pid(self):
        return self.process.pid

    def send_signal(self, number):
        self.process.send_signal(number)

    def wait(self, timeout=None):
        """The exit code; a sanitizer's report fails the test."""
        try:
            code = self.process.wait(timeout or PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("perch doesn't end:\n" + self.stderr())
        errors = self.stderr()
        assert not _SANITIZER_REPORT.search(errors), errors[-8000:]
        return code

    def stop(self, number=signal.SIGTERM):
        """Ends it and asserts that it ends well."""
        if self.is_killed:
            return
        if self.process.poll() is None:
            self.send_signal(number)
        code = self.wait()
        assert code == 0, "perch exited with %d:\n%s" % (
            code, self.stderr()[-8000:])
        self.is_killed = True

    def kill(self):
        """kill -9"""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.is_killed = True

    def reload(self, is_done=None):
        """SIGHUP; returns when is_done() (default: a good file was loaded;
        workers have it a moment later)."""
        before = self._reloads_done()
        self.send_signal(signal.SIGHUP)
        wait_for("the reload", is_done or
                 (lambda: self._reloads_done() > before))

    def _reloads_done(self):
        return self.admin.metrics().sum(
            "perch_config_reloads_total", result="done")

    # -- looking at it ----------------------------------------------------

    def stderr(self):
        with open(self.error_file, "rb") as file:
            return file.read().decode("utf-8", "replace")

    def wait_log(self, pattern, mark=0):
        return wait_for("%s in the log" % pattern,
                        lambda: re.search(pattern, self.stderr()[mark:]))

    def rss(self):
        """Resident bytes."""
        with open("/proc/%d/status" % self.pid) as file:
            for line in file:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    def descriptors(self):
        """How many it has open."""
        return len(os.listdir("/proc/%d/fd" % self.pid))

    def cpu_seconds(self):
        with open("/proc/%d/stat" % self.pid) as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def terminal(self, *arguments, **options):
        """perchctl on a terminal."""
        return Terminal(self._ctl_command(arguments),
                        environment=self._environment, **options)

    def _ctl_command(self, arguments):
        return [program("perchctl"), "--admin", self._admin_bind, *arguments]

    def ctl(self, *arguments, check=True, **variables):
        """perchctl's (exit code, stdout, stderr), with such variables in its
        environment, or without those that are None."""
        environment = {
            name: value
            for name, value in dict(self._environment, **variables).items()
            if value is not None}
        done = subprocess.run(
            self._ctl_command(arguments), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=PATIENCE,
            env=environment)
        assert not _SANITIZER_REPORT.search(done.stderr), done.stderr
        if check:
            assert done.returncode == 0, (arguments, done)
        return done.returncode, done.stdout, done.stderr


def _endpoints(value):
    if not isinstance(value, (list, tuple)):
        value = [value]
    return [v.address if hasattr(v, "address") else v for v in value]


def _service(value):
    if not isinstance(value, dict):
        value = {"versions": {"v1": value}}
    service = dict(value)
    service["versions"] = {
        name: v if isinstance(v, dict) else {"endpoints": _endpoints(v)}
        for name, v in service["versions"].items()}
    service.setdefault("stable", next(iter(service["versions"])))
    return service
