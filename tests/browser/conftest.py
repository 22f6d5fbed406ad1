import contextlib
import json
import os
import subprocess
import sys

import pytest

_HERE = os.path.dirname(os.path.abspath(__file__))
_TREE = os.path.dirname(os.path.dirname(_HERE))
_DEMO = os.path.join(_TREE, "demo")
sys.path.insert(0, _HERE)
sys.path.insert(0, os.path.join(_TREE, "tests", "wire"))
sys.path.insert(0, os.path.join(_TREE, "tests", "release"))

import plain as plain_routing  # noqa: E402
from chromium import Chromium  # noqa: E402
from perchtest import Perch, free_port, wait_for  # noqa: E402
from plain import is_open, stop  # noqa: E402
from rollout import PLAN, Herd  # noqa: E402

SHARE_OF_REQUESTS = 50


class Builds:
    """The demo's builds, v1 and v2, each with a server."""

    def __init__(self, folder):
        subprocess.run(
            [sys.executable, os.path.join(_DEMO, "build.py"), str(folder)],
            check=True, stdout=subprocess.DEVNULL)
        with open(os.path.join(_DEMO, "versions.json"),
                  encoding="utf-8") as file:
            words = json.load(file)
        self.folder = folder
        self.colours = {each["COLOUR"]: version
                        for version, each in words.items()}
        self.version_of = {
            "/assets/" + name: version for version in words
            for name in os.listdir(folder / version / "assets")}
        self.addresses = {}

    @contextlib.contextmanager
    def failing_pages(self, version):
        """Its pages are answered with 500, its assets as ever."""
        page = self.folder / version / "index.html"
        away = page.rename(page.with_suffix(".away"))
        try:
            yield
        finally:
            away.rename(page)


@pytest.fixture(scope="session")
def builds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    made = Builds(folder)
    with contextlib.ExitStack() as stack:
        for version in set(made.colours.values()):
            port = free_port()
            process = subprocess.Popen(
                [os.path.join(_DEMO, "serve"), str(folder / version),
                 str(port), str(folder)])
            stack.callback(stop, process)
            wait_for("the server of " + version, lambda: is_open(port))
            made.addresses[version] = "127.0.0.1:%d" % port
        yield made


@pytest.fixture
def shop(builds):
    """A perch before the builds."""
    with Perch({"shop": {"versions": builds.addresses, "stable": "v1"}},
               workers=2, log={"level": "warn"}) as perch:
        yield perch


@pytest.fixture
def busy_shop(builds):
    """Starts a perch whose releases go on by themselves, with others who are
    there, too: few browsers are no crowd to judge by. None of these may see
    a failure."""
    with contextlib.ExitStack() as stack:
        def make(**plan):
            perch = stack.enter_context(Perch(
                {"shop": {"versions": builds.addresses, "stable": "v1",
                          "plan": "short"}},
                plans={"short": dict(PLAN, **plan)},
                workers=2, log={"level": "warn"}))
            herd = Herd(perch.port, visit="n/", rate=200)
            stack.callback(herd.close)
            herds.append(herd)
            return perch
        herds = []
        yield make
        for herd in herds:
            assert herd.stop().failures() == []


@pytest.fixture
def plain(builds, tmp_path):
    """The port of an nginx that gives half of all requests to each build."""
    port = free_port()
    process = plain_routing.start(
        str(tmp_path), port,
        {"_": (builds.addresses["v1"], builds.addresses["v2"])},
        SHARE_OF_REQUESTS)
    try:
        wait_for("nginx", lambda: is_open(port))
        yield port
    finally:
        stop(process)


@pytest.fixture(scope="session")
def chromium(builds):
    running = Chromium(builds.colours)
    yield running
    running.close()


@pytest.fixture
def browser(chromium):
    """The browser, without a client yet."""
    yield chromium
    chromium.forget_clients()


@pytest.fixture
def screenshots(tmp_path):
    """Where they go: beside the program, else to the test's own folder."""
    folder = tmp_path
    if "PERCH_BUILD" in os.environ:
        folder = os.path.join(os.environ["PERCH_BUILD"], "screenshots")
        os.makedirs(folder, exist_ok=True)

    def path(name):
        return os.path.join(folder, name + ".png")
    return path
