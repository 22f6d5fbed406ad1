"""perchtest: what the wire tests are written with.

Perch           the daemon under test, started on a configuration of one's own
Terminal        perchctl with a person before it
ScriptedBackend a backend that does exactly what its script says, byte by byte
RawClient       a client that sends exactly the bytes it is given

Nothing here sleeps to wait for something: it waits for the thing itself, for
up to PATIENCE seconds, so that a slow machine is slow and not wrong.
"""

from .admin import LEAST_SHARE, Admin, Metrics
from .backend import Connection, PeerClosed, ScriptedBackend, Void, respond
from .browser import Browser
from .client import RawClient
from .cookie import pin_cookie, seed_cookie, sign
from .http1 import Message, ProtocolError, Truncated
from .load import Load
from .perch import Perch, free_port
from .terminal import Terminal
from .wait import PATIENCE, wait_for

__all__ = [
    "Admin", "Browser", "Connection", "LEAST_SHARE", "Load", "Message",
    "Metrics", "PATIENCE", "PeerClosed", "Perch", "ProtocolError",
    "RawClient", "ScriptedBackend", "Terminal", "Truncated", "Void",
    "free_port", "pin_cookie", "respond", "seed_cookie", "sign", "wait_for",
]
