"""wait: polling for something to become true, with a deadline."""

import os
import time

# Seconds until something that ought to happen counts as not happening. Long:
# it is only ever spent by a test that fails.
PATIENCE = float(os.environ.get("PERCH_TEST_PATIENCE", "20"))


def wait_for(what, condition, timeout=None, pause=0.01):
    """Returns condition()'s first true result, or fails naming what."""
    deadline = time.monotonic() + (PATIENCE if timeout is None else timeout)
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain for " + what)
        time.sleep(pause)
