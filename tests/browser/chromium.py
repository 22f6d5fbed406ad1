"""chromium: a real browser with many clients, driven by tabs.mjs.

A tab is (client, name); it is opened when it is first used. What happens in a
tab is told by a Report, the same for a good page and for a white one.
"""

import json
import os
import queue
import subprocess
import tempfile
import threading

_HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
PATIENCE = 60  # seconds; a step has a shorter one, and fails by itself


class Report:
    """What a tab shows, and what went wrong in it since the last report.

    page, script, style and details: the version that each says it is of, None
    where there is none. assets: (path, status) of what was loaded.
    """

    def __init__(self, tab, fields, colours):
        self.tab = tab
        self.page = fields["page"]
        self.script = fields["script"]
        self.style = colours.get(fields["colour"])
        self.details = fields["details"]
        self.badge = fields["badge"]
        self.assets = [tuple(asset) for asset in fields["assets"]]
        self.problems = fields["problems"]

    def is_whole(self):
        """One version, and all of it."""
        return not self.problems and \
            self.page == self.script == self.style == self.badge and \
            self.details in (None, self.page) and \
            all(status in (200, 304) for _, status in self.assets)

    def __repr__(self):
        return "<%s/%s %s>" % (*self.tab, vars(self))


class Driven:
    """A program of lines.mjs, with Chromium."""

    patience = PATIENCE  # for a command

    def __init__(self, script, *arguments):
        assert os.path.isdir(os.path.join(_HERE, "node_modules")), \
            "run npm ci in tests/browser"
        # Chromium's profile and sockets; gone with it.
        self._folder = tempfile.TemporaryDirectory(prefix="perch-browser-")
        self._process = subprocess.Popen(
            ["node", script, PROGRAM, *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=dict(os.environ, TMPDIR=self._folder.name,
                     HOME=self._folder.name))
        self._answers = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.version = self.do("version")

    def _read(self):
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")

    def do(self, command, **arguments):
        self._process.stdin.write(
            json.dumps({"do": command, **arguments}) + "\n")
        self._process.stdin.flush()
        line = self._answers.get(timeout=self.patience)
        assert line, "the browser has ended"
        answer = json.loads(line)
        assert "ok" in answer, (command, arguments, answer["error"])
        return answer["ok"]

    def close(self):
        self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()


class Chromium(Driven):
    """Tabs. colours: the brand colour of a build's style -> version."""

    def __init__(self, colours):
        self._colours = colours
        super().__init__(os.path.join(_HERE, "tabs.mjs"))

    def open_client(self, client, cookies=(), is_caching=True):
        self.do("client", client=client, cookies=list(cookies),
                isCaching=is_caching)

    def each(self, tabs, action, url=None):
        """One step in many tabs at once: visit (a URL), reload (where there is a page), details (the
        part that is loaded late), look. Their reports."""
        tabs = list(tabs)
        answers = self.do("each", tabs=tabs, action=action, url=url)
        return [Report(tab, fields, self._colours)
                for tab, fields in zip(tabs, answers)]

    def cookies(self, client):
        return {cookie["name"]: cookie["value"]
                for cookie in self.do("cookies", client=client)}

    def screenshot(self, tab, file):
        self.do("screenshot", client=tab[0], tab=tab[1], file=str(file))

    def forget_clients(self):
        self.do("forget")
