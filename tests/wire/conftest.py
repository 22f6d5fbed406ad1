import contextlib
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from perchtest import Perch, RawClient, ScriptedBackend  # noqa: E402
from perchtest.failing import Failing, Scene, build  # noqa: E402
from perchtest.perch import program  # noqa: E402


def pytest_sessionstart():
    if not os.access(program(), os.X_OK):
        pytest.exit("no %s: name one in PERCH_BIN or PERCH_BUILD"
                    % program(), 2)


@pytest.fixture(scope="module")
def shared():
    """One perch and one backend for all tests of a module that need no
    config of their own: (perch, backend)."""
    with ScriptedBackend() as backend:
        with Perch({"web": backend}) as perch:
            yield perch, backend


@pytest.fixture
def backend(shared):
    """The shared perch's backend, as new."""
    shared[1].play(*[lambda c: c.send_response(
        b"hello", is_head=c.read_request().method == "HEAD")])
    yield shared[1]
    shared[1].check()


@pytest.fixture
def client(shared, backend):
    """A connection to the shared perch."""
    with RawClient(shared[0].port) as connection:
        yield connection


@pytest.fixture
def start():
    """Starts a perch of the test's own; stopped, and looked at, at its end:
    start(services, **settings)."""
    running = []

    def start_one(services, **settings):
        perch = Perch(services, **settings)
        running.append(perch)
        return perch

    yield start_one
    with contextlib.ExitStack() as stack:
        for perch in running:
            stack.push(perch)


@pytest.fixture(scope="session")
def failing_library(tmp_path_factory):
    return build(tmp_path_factory.mktemp("failing"))


@pytest.fixture
def scene(start, failing_library, tmp_path):
    """Starts a perch of which calls fail, as its .failing is told."""
    made = []

    def make(services, **settings):
        failing = Failing(failing_library, str(tmp_path / str(len(made))))
        made.append(failing)
        return Scene(failing, start(
            services, environment=failing.environment, **settings))
    yield make
    for one in made:
        one.close()


@pytest.fixture
def backends():
    """Makes backends: a, b = backends("a", "b"), with a ScriptedBackend's
    options; checked at the end."""
    made = []

    def make(*names, **options):
        new = [ScriptedBackend(name, **options) for name in names]
        made.extend(new)
        return new if len(new) > 1 else new[0]

    yield make
    for one in made:
        one.stop()
    for one in made:
        one.check()
