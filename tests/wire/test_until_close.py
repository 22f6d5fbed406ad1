"""A response without framing ends when its connection does: well, or not."""

import threading

import pytest

from perchtest import RawClient

PART = b"x" * 65536


@pytest.fixture
def perch(start, backends):
    backend = backends("one")
    return start({"web": backend}), backend


def test_reset_that_a_send_meets_first_is_no_end(perch):
    """The socket tells of a reset once. Where that is a send, of the rest of
    the request, the next read says end of file."""
    perch, backend = perch
    was_reset = threading.Event()

    def script(connection):
        connection.read_head()
        connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
        connection.socket.settimeout(1)
        try:
            while True:  # until perch doesn't read any more
                connection.socket.sendall(PART)
        except TimeoutError:
            pass
        connection.reset()
        was_reset.set()

    backend.play(script)
    with RawClient(perch.port, receive_buffer=4096) as client:
        client.send("POST / HTTP/1.1\r\nHost: test\r\n"
                    "Content-Length: 1000000\r\n\r\nabc")
        assert was_reset.wait(20)
        client.send(b"def")
        client.expect_truncated("POST")
