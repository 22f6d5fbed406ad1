"""plain_page: a version of a page with a script and fetches, in Python.

WSGI (wsgi, for gunicorn) and ASGI (asgi, for uvicorn); VERSION is of the
environment. An asset is known to its own version alone.
"""

import os

VERSION = os.environ["VERSION"]
SCRIPT = """
window.page = {
	fetch: () => fetch("/api/version").then((r) => r.text()),
	post: () => fetch("/api/version", { method: "POST", body: "x" })
		.then((r) => r.text()),
	late: () => import("/assets/late-%s.js"),
};
""" % VERSION
PAGE = """<!doctype html>
<title>%s</title>
<script src="/assets/page-%s.js"></script>
""" % (VERSION, VERSION)

ANSWERS = {
    "/": ("text/html", PAGE),
    "/api/version": ("text/plain", VERSION),
    "/assets/page-%s.js" % VERSION: ("text/javascript", SCRIPT),
    "/assets/late-%s.js" % VERSION: ("text/javascript", "export default 1;"),
}


def _answer(path):
    """(status, fields, body)"""
    kind, text = ANSWERS.get(path, ("text/plain", "no such path"))
    body = text.encode()
    return 200 if path in ANSWERS else 404, [
        ("Content-Type", kind), ("X-Version", VERSION),
        ("Content-Length", str(len(body)))], body


def wsgi(environ, start_response):
    environ["wsgi.input"].read()
    status, fields, body = _answer(environ["PATH_INFO"])
    start_response("%d %s" % (status, "OK" if status == 200 else "Not Found"),
                   fields)
    return [body]


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    status, fields, body = _answer(scope["path"])
    await send({"type": "http.response.start", "status": status,
                "headers": [(name.lower().encode(), value.encode())
                            for name, value in fields]})
    await send({"type": "http.response.body", "body": body})
