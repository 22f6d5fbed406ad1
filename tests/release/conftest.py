import contextlib
import os
import subprocess
import sys

import pytest

_HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, _HERE)
sys.path.insert(0, os.path.join(os.path.dirname(_HERE), "wire"))

from perchtest import Perch  # noqa: E402


@pytest.fixture(scope="session")
def builds():
    """The addresses of servers of v1, v2 and v3."""
    names = ["v1", "v2", "v3"]
    process = subprocess.Popen(
        [sys.executable, os.path.join(_HERE, "spa.py"), *names],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield {name: "127.0.0.1:" + process.stdout.readline().strip()
           for name in names}
    process.stdin.close()
    process.wait(20)


@pytest.fixture
def shop(builds):
    """Starts a perch before the builds: shop(service settings, ...)."""
    with contextlib.ExitStack() as stack:
        def make(service=None, **settings):
            settings.setdefault("workers", 2)
            settings.setdefault("log", {"level": "warn"})
            return stack.enter_context(Perch({"shop": dict({
                "versions": builds, "stable": "v1",
                # What is mixed is looked at here, not how fast it is mended.
                "rescue": {"timeout": "10s"}}, **(service or {}))},
                **settings))
        yield make
