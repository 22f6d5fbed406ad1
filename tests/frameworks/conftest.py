import os
import sys

import pytest

_HERE = os.path.dirname(os.path.abspath(__file__))
for _folder in ("wire", "browser", "frameworks"):
    sys.path.insert(0, os.path.join(os.path.dirname(_HERE), _folder))

from stage import Stage  # noqa: E402
from story import Crowd  # noqa: E402


@pytest.fixture(scope="session")
def stage(tmp_path_factory):
    running = Stage(str(tmp_path_factory.mktemp("stage")))
    yield running
    running.close()


@pytest.fixture(scope="session")
def crowd():
    running = Crowd()
    yield running
    running.close()
