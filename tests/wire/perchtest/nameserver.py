"""nameserver: a DNS server that answers what the test says, or nothing."""

import socket
import struct
import threading

from .wait import wait_for

_A, _AAAA = 1, 28
_NO_SUCH_NAME = 3


class NameServer:
    """answer() says what a name's addresses are from now on. A name that
    nothing was said of doesn't exist."""

    def __init__(self, host="127.0.0.9", port=53):
        self._answers = {}
        self._asked = {}  # of each name, how often for IPv4
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, port))
        threading.Thread(target=self._serve, daemon=True).start()

    # -- what tests say and ask -------------------------------------------

    def answer(self, name, *addresses):
        self._answers[name] = addresses

    def keep_silent(self, name):
        self._answers[name] = None

    def forget(self, name):
        """From now on there is no such name."""
        self._answers.pop(name, None)

    def wait_asked(self, name, times=1):
        wait_for("%s to be asked for %d times" % (name, times),
                 lambda: self._asked.get(name, 0) >= times)

    def stop(self):
        # A datagram of no length ends the thread; closing alone wouldn't.
        self._socket.sendto(b"", self._socket.getsockname())

    # -- the thread -------------------------------------------------------

    def _serve(self):
        with self._socket:
            while True:
                query, peer = self._socket.recvfrom(4096)
                if not query:
                    return
                reply = self._reply(query)
                if reply:
                    self._socket.sendto(reply, peer)

    def _reply(self, query):
        name, kind, question = _parse(query)
        if kind == _A:
            self._asked[name] = self._asked.get(name, 0) + 1
        addresses = self._answers.get(name, ())
        if addresses is None:
            return None
        code = 0 if name in self._answers else _NO_SUCH_NAME
        records = [_record(a) for a in addresses
                   if kind == (_AAAA if ":" in a else _A)]
        # RFC 1035 4.1.1: an answer, recursion desired and available.
        return (query[:2] + struct.pack(
            "!5H", 0x8180 | code, 1, len(records), 0, 0)
            + question + b"".join(records))


def _parse(query):
    """(name, type, the question's bytes), which go back as they came: the
    case of their letters is at random, to be recognized."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
        at += 1 + query[at]
    kind, = struct.unpack_from("!H", query, at + 1)
    return ".".join(labels), kind, query[12:at + 5]


def _record(address):
    """RFC 1035 4.1.3; the name is a pointer to the question's."""
    is_v6 = ":" in address
    data = socket.inet_pton(
        socket.AF_INET6 if is_v6 else socket.AF_INET, address)
    return struct.pack("!3HIH", 0xc00c, _AAAA if is_v6 else _A, 1, 60,
                       len(data)) + data
