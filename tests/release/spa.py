"""spa: servers of builds of one small page, each on a port of its own.

    spa.py v1 v2        prints a port a line, serves until its stdin ends

Each build's assets are named for the build, and no other build knows them:
whoever asks the wrong one gets a 404.
"""

import asyncio
import hashlib
import sys


def build(version):
    """Path -> (type, body) of a version's files."""
    digest = hashlib.sha256(version.encode()).hexdigest()[:8]
    late = "late-%s.js" % digest
    files = {
        "/assets/app-%s.js" % digest: (
            "text/javascript",
            '/* version %s */ import("./%s");\n' % (version, late)),
        "/assets/style-%s.css" % digest: (
            "text/css", "/* version %s */ body {}\n" % version),
        "/assets/" + late: (
            "text/javascript", "/* version %s */\n" % version),
    }
    page = '<!doctype html><meta name="version" content="%s">' % version
    for path in files:
        if path.endswith(".css"):
            page += '<link rel="stylesheet" href="%s">' % path
        elif "app-" in path:
            page += '<script type="module" src="%s"></script>' % path
    files["/"] = ("text/html", page + "\n")
    return files


def answers(version):
    """Path -> the bytes to send."""
    made = {}
    for path, (kind, body) in build(version).items():
        cache = "public, max-age=31536000, immutable" \
            if path.startswith("/assets/") else "no-cache"
        made[path.encode()] = (
            "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nCache-Control: %s\r\n"
            "X-Version: %s\r\nContent-Length: %d\r\n\r\n%s" % (
                kind, cache, version, len(body), body)).encode()
    return made


NOT_FOUND = (b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\n"
             b"Content-Length: 14\r\n\r\nno such asset\n")


class Server(asyncio.Protocol):
    def __init__(self, made):
        self.made = made
        self.buffer = b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].split(b"?", 1)[0]
            self.transport.write(self.made.get(path, NOT_FOUND))


async def main(versions):
    loop = asyncio.get_running_loop()
    for version in versions:
        made = answers(version)
        server = await loop.create_server(
            lambda made=made: Server(made), "127.0.0.1", 0, backlog=1024)
        print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
