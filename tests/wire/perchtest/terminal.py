"""terminal: a program on a terminal of its own, and what it shows there."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

from .wait import PATIENCE


class Terminal:
    """Runs a command under a pseudo terminal of so many rows and columns.

    .shown is every byte it wrote; what is typed is echoed into it.
    """

    def __init__(self, command, rows=40, columns=160, environment=None):
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ,
                    struct.pack("HHHH", rows, columns, 0, 0))
        self.shown = b""
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave,
            env=environment, start_new_session=True)
        os.close(slave)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)

    def _read(self, timeout):
        """False at the end."""
        if not select.select([self._master], [], [], max(timeout, 0))[0]:
            raise AssertionError("not shown: %r" % self.shown)
        try:
            piece = os.read(self._master, 65536)
        except OSError:  # EIO: nobody has the other end open
            return False
        self.shown += piece
        return bool(piece)

    def wait_shown(self, text, mark=0):
        """Until that stands behind mark; returns where it ends."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown[mark:]:
            assert self._read(deadline - time.monotonic()), \
                "ended without %r: %r" % (text, self.shown)
        return self.shown.index(text, mark) + len(text)

    def type(self, text):
        os.write(self._master, text)

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def wait(self):
        """The exit code, once it has ended and all was read."""
        deadline = time.monotonic() + PATIENCE
        while self._read(deadline - time.monotonic()):
            pass
        return self.process.wait(PATIENCE)


def screen_of(shown):
    """The lines that stand on the screen after these bytes: of the few
    controls that screen.c uses."""
    lines, row, column = [""], 0, 0
    at = 0
    text = shown.decode()
    while at < len(text):
        if text.startswith("\033[", at):
            end = at + 2
            while not text[end].isalpha():
                end += 1
            code = text[at + 2:end + 1]
            if code == "H":
                row = column = 0
            elif code == "2J":
                lines = [""]
            elif code == "K":
                lines[row] = lines[row][:column]
            elif code == "J":
                lines = lines[:row + 1]
                lines[row] = lines[row][:column]
            else:
                assert code in ("?25l", "?25h"), code
            at = end + 1
            continue
        if text[at] == "\r":
            column = 0
        elif text[at] == "\n":
            row += 1
            if row == len(lines):
                lines.append("")
        else:
            line = lines[row].ljust(column)
            lines[row] = line[:column] + text[at] + line[column + 1:]
            column += 1
        at += 1
    return lines
