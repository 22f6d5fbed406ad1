#!/usr/bin/python3
"""A crowd of browsers: pages, then the assets that each page names.

    tests/release/crowd.py --url http://127.0.0.1:8080 --clients 200 \\
        --seconds 30

Every client has a connection and a cookie jar of its own and sends what
browsers send (Sec-Fetch-*). It opens the page, reads the page's version off
<meta name="version"> and the names of its assets off its src and href, loads
them, and later the one that the script would import (import("./x.js")).

An asset has *failed* if it isn't 200; a page is *mixed* if one of its assets
failed or says that it is of another version (X-Version, or "version NAME" in
the comment that it begins with). Prints a line a second; exits with 1 if
there was a failed asset or a mixed page.
"""

import argparse
import asyncio
import collections
import random
import re
import resource
import socket
import sys
import time
import urllib.parse

PAGE_VERSION = re.compile(rb'<meta name="version" content="([^"]*)"')
PAGE_ASSETS = re.compile(rb'(?:src|href)="(/assets/[^"]+)"')
LATE_ASSET = re.compile(rb'import\("\./([^"]+)"\)')
ASSET_VERSION = re.compile(rb"/\* version ([A-Za-z0-9._-]+)")

NAVIGATE = (b"Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"
            b"Sec-Fetch-Site: none\r\nAccept: text/html,*/*;q=0.8\r\n")
SCRIPT = (b"Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: script\r\n"
          b"Sec-Fetch-Site: same-origin\r\nAccept: */*\r\n")
STYLE = (b"Sec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: style\r\n"
         b"Sec-Fetch-Site: same-origin\r\nAccept: text/css\r\n")

PATIENCE = 30  # seconds for an answer


class Broken(Exception):
    """The connection ended before the answer did."""


class Answer:
    __slots__ = ("status", "fields", "body")

    def __init__(self, status, fields, body):
        self.status = status
        self.fields = fields  # (lower-case name, value), bytes
        self.body = body

    def get(self, name):
        for found, value in self.fields:
            if found == name:
                return value
        return None


class Connection(asyncio.Protocol):
    """HTTP/1.1, one request at a time."""

    def __init__(self):
        self.buffer = bytearray()
        self.waiter = None
        self.transport = None
        self.is_lost = False

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, _):
        self.is_lost = True
        self._finish(None)

    def eof_received(self):
        self.is_lost = True
        self._finish(None)

    def data_received(self, data):
        self.buffer += data
        answer = self._parse()
        if answer:
            self._finish(answer)

    def _finish(self, answer):
        if self.waiter and not self.waiter.done():
            if answer:
                self.waiter.set_result(answer)
            else:
                self.waiter.set_exception(Broken())

    def _parse(self):
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        lines = bytes(self.buffer[:end]).split(b"\r\n")
        fields = []
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            fields.append((name.lower(), value.strip()))
        answer = Answer(int(lines[0].split(b" ", 2)[1]), fields, b"")
        start = end + 4
        if answer.get(b"transfer-encoding"):
            body, rest = self._chunks(start)
        else:
            length = int(answer.get(b"content-length") or 0)
            rest = start + length
            body = None if len(self.buffer) < rest \
                else bytes(self.buffer[start:rest])
        if body is None:
            return None
        answer.body = body
        del self.buffer[:rest]
        return answer

    def _chunks(self, at):
        body = bytearray()
        while True:
            end = self.buffer.find(b"\r\n", at)
            if end < 0:
                return None, 0
            size = int(bytes(self.buffer[at:end]), 16)
            at = end + 2
            if len(self.buffer) < at + size + 2:
                return None, 0
            if size == 0:
                return bytes(body), at + 2  # no trailers from our servers
            body += self.buffer[at:at + size]
            at += size + 2

    async def request(self, data):
        if self.is_lost:
            raise Broken()
        self.waiter = asyncio.get_running_loop().create_future()
        self.transport.write(data)
        return await asyncio.wait_for(self.waiter, PATIENCE)

    def close(self):
        if self.transport:
            self.transport.close()


class Tally:
    """What the crowd saw."""

    def __init__(self):
        self.pages = collections.Counter()  # by version
        self.failed_pages = 0
        self.assets = 0
        self.failed_assets = 0
        self.mixed_pages = 0
        self.latencies = []  # seconds, of each request
        self.complaints = []  # the first few, in words

    def complain(self, text):
        if len(self.complaints) < 20:
            self.complaints.append(text)

    def percentile(self, fraction):
        if not self.latencies:
            return 0.0
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]


class Tab:
    """A page that is open."""

    def __init__(self, version):
        self.version = version
        self.late = None  # what its script would import later
        self.is_mixed = False


class Client:
    """A browser: one connection, one jar, its tabs, the last one in front."""

    def __init__(self, crowd, number):
        self.crowd = crowd
        self.number = number
        self.jar = {}
        self.connection = None
        self.tabs = []

    async def _get(self, path, kind, jar):
        cookies = b"; ".join(
            name + b"=" + value for name, value in jar.items())
        # Each is in a network of its own: one alone has a part of rescue.
        data = (b"GET %s HTTP/1.1\r\nHost: %s\r\n"
                b"X-Forwarded-For: 10.%d.%d.1\r\n%s%s\r\n") % (
            path, self.crowd.authority,
            self.number >> 8 & 255, self.number & 255, kind,
            b"Cookie: " + cookies + b"\r\n" if cookies else b"")
        started = time.monotonic()
        answer = await self._ask(data)
        self.crowd.tally.latencies.append(time.monotonic() - started)
        if self.crowd.keeps_cookies:
            for name, value in answer.fields:
                if name == b"set-cookie":
                    pair = value.split(b";", 1)[0]
                    key, _, content = pair.partition(b"=")
                    self.jar[key.strip()] = content.strip()
        return answer

    async def _ask(self, data):
        is_reused = self.connection is not None
        if not is_reused:
            await self._connect()
        try:
            return await self.connection.request(data)
        except Broken:
            self.close()
            if not is_reused:
                raise
        # It was closed while idle, as servers may: browsers ask again.
        await self._connect()
        return await self.connection.request(data)

    async def _connect(self):
        loop = asyncio.get_running_loop()
        _, self.connection = await loop.create_connection(
            Connection, self.crowd.host, self.crowd.port)

    async def visit(self):
        """Opens the page with its assets; returns the page's version."""
        tally = self.crowd.tally
        try:
            page = await self._get(self.crowd.path, NAVIGATE, self.jar)
        except (Broken, OSError, asyncio.TimeoutError) as error:
            self.close()
            tally.failed_pages += 1
            tally.complain("page: %r" % error)
            return None
        version = PAGE_VERSION.search(page.body)
        if page.status != 200 or not version:
            tally.failed_pages += 1
            tally.complain("page: %d" % page.status)
            return None
        tab = Tab(version[1].decode())
        self.tabs = (self.tabs + [tab])[-self.crowd.tabs:]
        tally.pages[tab.version] += 1
        for path in PAGE_ASSETS.findall(page.body):
            await self._asset(tab, path)
        return tab.version

    async def open_late(self):
        """What the open pages load later, if there is such a thing."""
        for tab in self.tabs:
            if tab.late:
                await self._asset(tab, tab.late)

    async def _asset(self, tab, path):
        tally = self.crowd.tally
        tally.assets += 1
        is_bare = random.random() < self.crowd.bare_assets
        try:
            answer = await self._get(
                path, STYLE if path.endswith(b".css") else SCRIPT,
                {} if is_bare else self.jar)
        except (Broken, OSError, asyncio.TimeoutError) as error:
            self.close()
            self._failed(tab, path, repr(error))
            return
        if answer.status != 200:
            self._failed(tab, path, str(answer.status))
            return
        said = ASSET_VERSION.search(answer.body, 0, 200)
        version = answer.get(b"x-version") or (said and said[1])
        if version and version.decode() != tab.version:
            self._mixed(tab, path, "is of " + version.decode())
        late = LATE_ASSET.search(answer.body)
        if late:
            tab.late = path.rsplit(b"/", 1)[0] + b"/" + late[1]

    def _failed(self, tab, path, why):
        self.crowd.tally.failed_assets += 1
        self._mixed(tab, path, why)

    def _mixed(self, tab, path, why):
        self.crowd.tally.complain("client %d, page of %s: %s %s" % (
            self.number, tab.version, path.decode(), why))
        if not tab.is_mixed:
            tab.is_mixed = True
            self.crowd.tally.mixed_pages += 1

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None


class Crowd:
    """Many clients of one site, each with up to so many tabs; bare_assets is
    the fraction of assets that are asked for without cookies."""

    def __init__(self, url, clients, keeps_cookies=True, at_once=64, tabs=1,
                 bare_assets=0):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(url + ": http://HOST[:PORT][/PATH] expected")
        self.host = parts.hostname
        self.port = parts.port or 80
        self.path = (parts.path or "/").encode()
        self.authority = parts.netloc.encode()
        self.keeps_cookies = keeps_cookies
        self.tabs = tabs
        self.bare_assets = bare_assets
        self.clients = [Client(self, i) for i in range(clients)]
        self.tally = Tally()
        self._at_once = at_once
        raise_descriptor_limit(clients + 100)

    async def each(self, action):
        """Runs action(client) for all, some of them at a time; the results,
        in the clients' order."""
        gate = asyncio.Semaphore(self._at_once)

        async def one(client):
            async with gate:
                return await action(client)
        return await asyncio.gather(*[one(c) for c in self.clients])

    async def visit_all(self):
        """The version that each client's page is of now."""
        return await self.each(Client.visit)

    async def open_late_all(self):
        await self.each(Client.open_late)

    async def browse(self, seconds, think=1.0, is_enough=lambda: True):
        """Everybody comes and goes at their own pace for so long, and on
        until it is enough."""
        until = time.monotonic() + seconds

        async def live(client):
            await asyncio.sleep(random.uniform(0, think))
            while time.monotonic() < until or not is_enough():
                await client.visit()
                await asyncio.sleep(random.uniform(0, think))
                await client.open_late()
                await asyncio.sleep(random.uniform(0, think))
        await asyncio.gather(*[live(c) for c in self.clients])

    def take_tally(self):
        """What was seen since the last call."""
        taken, self.tally = self.tally, Tally()
        return taken

    def close(self):
        for client in self.clients:
            client.close()


def raise_descriptor_limit(wanted):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


# -- from the command line --------------------------------------------------

def shares(pages):
    total = sum(pages.values())
    if not total:
        return "no pages"
    return "  ".join("%s %5.1f %%" % (version, 100 * count / total)
                     for version, count in sorted(pages.items()))


async def show(url, clients, seconds, think):
    crowd = Crowd(url, clients)
    total = Tally()

    def report(second):
        now = crowd.take_tally()
        total.pages += now.pages
        for count in ("failed_pages", "failed_assets", "mixed_pages"):
            setattr(total, count, getattr(total, count) + getattr(now, count))
        total.complaints += now.complaints
        print("%3d s  %-24s %5d requests/s  p50 %5.1f ms  p95 %5.1f ms  "
              "failed pages %d  failed assets %d  mixed pages: %d" % (
                  second, shares(now.pages), len(now.latencies),
                  1000 * now.percentile(0.5), 1000 * now.percentile(0.95),
                  total.failed_pages, total.failed_assets,
                  total.mixed_pages), flush=True)

    async def report_each_second():
        for second in range(1, seconds + 1):
            await asyncio.sleep(1)
            report(second)
    try:
        await asyncio.gather(
            crowd.browse(seconds, think), report_each_second())
        if crowd.tally.latencies:
            report(seconds + 1)
    finally:
        crowd.close()
    for text in total.complaints[:10]:
        print(text, file=sys.stderr)
    print("%d pages (%s)  failed pages %d  failed assets %d  "
          "mixed pages: %d" % (
              sum(total.pages.values()), shares(total.pages),
              total.failed_pages, total.failed_assets, total.mixed_pages))
    return not (total.failed_pages or total.failed_assets
                or total.mixed_pages)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0])
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--think", type=float, default=1.0,
                        help="most seconds between two steps of a client")
    options = parser.parse_args()
    try:
        is_clean = asyncio.run(show(options.url, options.clients,
                                    options.seconds, options.think))
    except KeyboardInterrupt:
        return 130
    except ValueError as error:
        parser.error(str(error))
    return 0 if is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
