"""http1: a small and strict HTTP/1 reader for both ends of a test.

It takes what RFC 9112 says a sender must send and nothing else, so that a
test which reads an answer also checks its form.
"""

import re

_STATUS_LINE = re.compile(
    rb"HTTP/1\.([01]) ([1-9][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)\Z")
_REQUEST_LINE = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP/1\.([01])\Z")
_FIELD_LINE = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*"
    rb"((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*"
    rb"[\x21-\x7e\x80-\xff])?)?)[ \t]*\Z")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})\Z")


class ProtocolError(AssertionError):
    """What the peer sent isn't HTTP/1."""


class Truncated(AssertionError):
    """The peer closed before the message's end. message: what had come."""

    def __init__(self, why, message=None, reset=False):
        super().__init__(why)
        self.message = message
        self.reset = reset


class Message:
    """A request or a response, as it came."""

    def __init__(self):
        self.raw_head = b""
        self.method = self.target = self.reason = None
        self.status = None
        self.minor = 1
        self.fields = []         # (name, value), str, in order
        self.body = b""
        self.trailers = []
        self.chunked = False
        self.until_close = False
        self.informational = []  # 1xx that came before, Messages
        self.connection = None   # the backend's Connection it came by

    def all(self, name):
        name = name.lower()
        return [v for n, v in self.fields if n.lower() == name]

    def get(self, name, default=None):
        values = self.all(name)
        return values[0] if values else default

    def one(self, name):
        """The value of a field that must be there exactly once."""
        values = self.all(name)
        assert len(values) == 1, (name, self.fields)
        return values[0]

    def has(self, name):
        return bool(self.all(name))

    def list(self, name):
        """The elements of a list field, over all its lines."""
        joined = ",".join(self.all(name))
        return [e.strip() for e in joined.split(",") if e.strip()]

    def cookies(self):
        """Set-Cookie lines by name: (value, set of lower-case attributes)."""
        found = {}
        for line in self.all("Set-Cookie"):
            first, *attributes = [p.strip() for p in line.split(";")]
            name, _, value = first.partition("=")
            found[name] = (value, {a.lower() for a in attributes})
        return found

    def __repr__(self):
        return "<%s %r body=%d bytes>" % (
            self.status or self.method, self.fields, len(self.body))


class Reader:
    """Reads messages from a function that returns more bytes, b"" at the end.

    Everything received is kept in .raw for tests that look at exact bytes.
    """

    def __init__(self, receive, keep_raw=True):
        self._receive = receive
        self.keep_raw = keep_raw
        self.buffer = bytearray()
        self.raw = bytearray()
        self.is_ended = False

    def fill(self):
        """False at the end of what comes."""
        if self.is_ended:
            return False
        data = self._receive()
        if not data:
            self.is_ended = True
            return False
        self.buffer += data
        if self.keep_raw:
            self.raw += data
        return True

    def take(self, n):
        data = bytes(self.buffer[:n])
        del self.buffer[:n]
        return data

    def read_line(self, what):
        while True:
            end = self.buffer.find(b"\n")
            if end >= 0:
                line = self.take(end + 1)
                if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
                    raise ProtocolError("%s: bare CR or LF: %r" % (what, line))
                return line[:-2]
            if len(self.buffer) > 1 << 20:
                raise ProtocolError(what + ": endless line")
            if not self.fill():
                raise Truncated("%s cut off at %r" % (
                    what, bytes(self.buffer)))

    def read_fields(self, what):
        fields = []
        while True:
            line = self.read_line(what)
            if not line:
                return fields
            match = _FIELD_LINE.match(line)
            if not match:
                raise ProtocolError("%s: bad field line %r" % (what, line))
            fields.append((match[1].decode("latin-1"),
                           match[2].decode("latin-1")))

    def at_end(self):
        """Waits for a byte or the end; True: nothing more comes."""
        return not self.buffer and not self.fill()

    # -- requests ---------------------------------------------------------

    def read_request(self):
        message = self.read_request_head()
        self.read_request_body(message)
        return message

    def read_request_head(self):
        message = Message()
        mark = len(self.raw) - len(self.buffer)
        line = self.read_line("request line")
        match = _REQUEST_LINE.match(line)
        if not match:
            raise ProtocolError("bad request line %r" % line)
        message.method = match[1].decode()
        message.target = match[2].decode()
        message.minor = int(match[3])
        message.fields = self.read_fields("request head")
        if self.keep_raw:
            message.raw_head = bytes(
                self.raw[mark:len(self.raw) - len(self.buffer)])
        return message

    def read_request_body(self, message):
        self._framing(message)
        if message.chunked:
            self._read_chunked(message)
        elif message.has("Content-Length"):
            self._read_length(message, int(message.get("Content-Length")))

    # -- responses --------------------------------------------------------

    def read_response(self, method="GET"):
        informational = []
        while True:
            message = self.read_response_head()
            if message.status >= 200 or message.status == 101:
                break
            informational.append(message)
        message.informational = informational
        if message.status != 101:
            self.read_response_body(message, method)
        return message

    def read_response_head(self):
        message = Message()
        mark = len(self.raw) - len(self.buffer)
        line = self.read_line("status line")
        match = _STATUS_LINE.match(line)
        if not match:
            raise ProtocolError("bad status line %r" % line)
        message.minor = int(match[1])
        message.status = int(match[2])
        message.reason = match[3].decode("latin-1")
        message.fields = self.read_fields("response head")
        if self.keep_raw:
            message.raw_head = bytes(
                self.raw[mark:len(self.raw) - len(self.buffer)])
        return message

    def read_response_body(self, message, method):
        self._framing(message)
        if method == "HEAD" or message.status in (204, 304):
            if message.status == 204 and message.has("Transfer-Encoding"):
                raise ProtocolError("204 with Transfer-Encoding")
            return
        if message.chunked:
            self._read_chunked(message)
        elif message.has("Content-Length"):
            self._read_length(message, int(message.get("Content-Length")))
        else:
            message.until_close = True
            while self.fill():
                pass
            message.body = self.take(len(self.buffer))

    # -- bodies -----------------------------------------------------------

    def _framing(self, message):
        lengths = message.all("Content-Length")
        codings = message.all("Transfer-Encoding")
        if len(lengths) > 1 or len(codings) > 1:
            raise ProtocolError("framing twice: %r" % message.fields)
        if lengths and codings:
            raise ProtocolError("both framings: %r" % message.fields)
        if lengths and not re.fullmatch(r"[0-9]+", lengths[0]):
            raise ProtocolError("bad length %r" % lengths[0])
        if codings:
            if codings[0] != "chunked" or message.minor == 0:
                raise ProtocolError("bad coding: %r" % message.fields)
            message.chunked = True

    def _read_length(self, message, length):
        try:
            message.body = self.read_exactly(length)
        except Truncated as error:
            error.message = message
            raise

    def read_exactly(self, length):
        while len(self.buffer) < length:
            if not self.fill():
                raise Truncated("body: %d of %d bytes" % (
                    len(self.buffer), length))
        return self.take(length)

    def _read_chunked(self, message):
        body = bytearray()
        try:
            while True:
                line = self.read_line("chunk size")
                match = _CHUNK_SIZE.match(line)
                if not match:
                    raise ProtocolError("bad chunk size %r" % line)
                size = int(match[1], 16)
                if size == 0:
                    break
                body += self.read_exactly(size)
                if self.read_exactly(2) != b"\r\n":
                    raise ProtocolError("no CRLF behind a chunk")
            message.trailers = self.read_fields("trailers")
        except Truncated as error:
            body += self.buffer
            message.body = bytes(body)
            error.message = message
            raise
        message.body = bytes(body)
