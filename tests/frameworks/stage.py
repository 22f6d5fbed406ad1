"""stage: two versions of applications as their frameworks make them, running.

Builds are kept in made/ and next/.next-*, as long as their sources stay.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess

from perchtest import free_port, wait_for
from plain import is_open, stop

_HERE = os.path.dirname(os.path.abspath(__file__))
_MADE = os.path.join(_HERE, "made")
_STAMP = os.path.join(_MADE, "stamp")
_MODULES = os.path.join(_HERE, "node_modules")
_NEXT = os.path.join(_MODULES, "next", "dist", "bin", "next")
_VITE = os.path.join(_MODULES, "vite", "bin", "vite.js")
VERSIONS = ["v1", "v2"]

# Service -> (application, sticky settings). Its host is NAME.localhost.
SERVICES = {
    "site": ("site", {}),
    "next": ("next", {}),
    "gunicorn": ("gunicorn", {}),
    "uvicorn": ("uvicorn", {}),
    "www.shop": ("site", {"domain": "shop.localhost"}),
    "blog.shop": ("site", {"domain": "shop.localhost"}),
    "brief": ("site", {"lifetime": "3s"}),
    "embed": ("site", {"same_site": "none", "secure": "always",
                       "partitioned": True}),
    "keyed": ("site", {"key": ["address"]}),
    "session": ("site", {"pin": "session"}),
}


def _sources():
    for folder, folders, files in os.walk(_HERE):
        folders[:] = sorted(
            name for name in folders if name != "node_modules"
            and name != "made" and not name.startswith("."))
        if folder == _HERE:
            files = ["package-lock.json"]
        for name in sorted(files):
            yield os.path.join(folder, name)


def _hash_of_sources():
    seen = hashlib.sha256()
    for path in _sources():
        with open(path, "rb") as file:
            seen.update(path.encode() + b"\0" + file.read())
    return seen.hexdigest()


def _environment(version):
    return dict(os.environ, VERSION=version, NODE_ENV="production",
                NEXT_TELEMETRY_DISABLED="1",
                OUT=os.path.join(_MADE, "site-" + version))


def _run_build(command, version):
    done = subprocess.run(
        command, cwd=_HERE, env=_environment(version), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout


def build():
    """Nothing, where they are there."""
    assert os.path.isdir(_MODULES), "run npm ci in tests/frameworks"
    stamp = _hash_of_sources()
    with contextlib.suppress(OSError), open(_STAMP, encoding="ascii") as file:
        if file.read() == stamp:
            return
    for version in VERSIONS:
        _run_build(["node", _VITE, "build", "vite"], version)
        _run_build(["node", _NEXT, "build", "next"], version)
        shutil.rmtree(os.path.join(_HERE, "next", ".next-" + version,
                                   "cache"))
    with open(_STAMP, "w", encoding="ascii") as file:
        file.write(stamp)


def _command(application, version, port):
    return {
        "site": ["node", "site.mjs", version,
                 os.path.join(_MADE, "site-" + version), str(port)],
        "next": ["node", _NEXT, "start", "next", "-H", "127.0.0.1",
                 "-p", str(port)],
        "gunicorn": ["gunicorn", "--bind", "127.0.0.1:%d" % port,
                     "plain_page:wsgi"],
        "uvicorn": ["uvicorn", "--port", str(port), "plain_page:asgi"],
    }[application]


class Stage:
    """The applications, started with their own defaults.

    addresses: application -> version -> HOST:PORT.
    """

    def __init__(self, folder):
        """folder: for their logs."""
        build()
        self.addresses = {}
        self._stack = contextlib.ExitStack()
        with self._stack:
            for application in {name for name, _ in SERVICES.values()}:
                self.addresses[application] = {
                    version: self._start(application, version, folder)
                    for version in VERSIONS}
            self._stack = self._stack.pop_all()

    def _start(self, application, version, folder):
        port = free_port()
        log = os.path.join(folder, "%s-%s.log" % (application, version))
        with open(log, "wb") as out:
            process = subprocess.Popen(
                _command(application, version, port), cwd=_HERE,
                env=_environment(version), stdin=subprocess.DEVNULL,
                stdout=out, stderr=subprocess.STDOUT)
        self._stack.callback(stop, process)
        wait_for("%s of %s" % (application, version), lambda: is_open(port))
        return "127.0.0.1:%d" % port

    def pairs(self):
        """Service -> (address of v1, address of v2)."""
        return {service: tuple(self.addresses[application].values())
                for service, (application, _) in SERVICES.items()}

    def close(self):
        self._stack.close()
