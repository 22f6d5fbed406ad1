"""browser: requests with the fields that browsers send, and a cookie jar."""

from .cookie import pin_cookie, seed_cookie

NAVIGATE = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document",
            "Sec-Fetch-Site": "none", "Accept": "text/html,*/*;q=0.8"}
SCRIPT = {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script",
          "Sec-Fetch-Site": "same-origin", "Accept": "*/*"}
FETCH = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty",
         "Sec-Fetch-Site": "same-origin", "Accept": "*/*"}
# On what comes of a page of v1, by a client with this seed.
OF_V1 = {"Cookie": "perch=" + pin_cookie("12345", "v1")}

# By a client that its bucket draws: without a page that was loaded.
DRAWN = {"Cookie": "perch=" + seed_cookie("12345")}
# Of a service in which those of trusted_proxies may name a version.
OVERRIDE = {"sticky": {"override": "trusted"}}


class Browser:
    """A browser's jar over a RawClient; one service, one host."""

    def __init__(self, client, host="test", jar=None):
        self.client = client
        self.host = host
        self.jar = dict(jar or {})

    def request(self, target="/", fields=None, method="GET", body=None):
        pairs = dict(fields or {})
        if self.jar:
            pairs["Cookie"] = "; ".join(
                "%s=%s" % item for item in self.jar.items())
        answer = self.client.request(
            method, target, self.host, pairs, body)
        for name, (value, attributes) in answer.cookies().items():
            if "max-age=0" in attributes:
                self.jar.pop(name, None)
            else:
                self.jar[name] = value
        return answer

    def navigate(self, target="/", **fields):
        return self.request(target, dict(NAVIGATE, **fields))

    def asset(self, target="/assets/app.js", **fields):
        return self.request(target, dict(SCRIPT, **fields))

    @property
    def seed(self):
        return self.jar["perch"].split(".")[0]

    @property
    def pin(self):
        """The version that the cookie names."""
        return ".".join(self.jar["perch"].split(".")[5:-1])
