"""What quickstart refuses before it installs, builds or starts anything."""

import os
import subprocess

import pytest

QUICKSTART = os.path.join(os.path.dirname(__file__), "..", "..", "quickstart")


@pytest.mark.parametrize("option", ["--port", "--admin-port"])
@pytest.mark.parametrize("value", [
    "0", "65536", "99999", "99999999999999999999999", "-1", "80a", ""])
def test_port_that_is_none_is_refused(option, value):
    done = subprocess.run([QUICKSTART, option, value], capture_output=True,
                          text=True, check=False, timeout=20)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("quickstart: %s %s: " % (option, value))
    assert done.stderr.count("\n") == 1
