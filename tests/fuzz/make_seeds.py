#!/usr/bin/python3
"""Writes the smuggling forms of the wire tests into the fuzz corpora, and
the other seeds of the differential targets.

    tests/fuzz/make_seeds.py

For whoever adds a form to test_smuggling.py; what it writes is committed.
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE + "/../wire")
from test_smuggling import CHUNKED, REFUSED_BODIES, REFUSED_HEADS  # noqa: E402

HOST = "Host: t\r\n"
TRUSTED, UPGRADE, KEEPS_ID, DROPS, ODD, SUFFIXED, IPV6 = (
    1 << i for i in range(7))
OWN = "Cookie: perch=00007.-.-.-\r\n"

# Name: choices, fields, body. See enum choice of fuzz_forward.c.
REQUESTS = {
    "plain": (0, "Accept: */*\r\nx-odd:\r\nX-Twice: 1\r\nX-Twice: 2\r\n", ""),
    "hop": (0, "Connection: close, X-Gone\r\nKeep-Alive: 5\r\nX-Gone: 1\r\n"
               "TE: trailers\r\nProxy-Connection: a\r\nUpgrade: b\r\n", ""),
    "upgrade": (UPGRADE, "Connection: upgrade\r\nUpgrade: websocket\r\n"
                         "TE: trailers\r\n", ""),
    "upgrades": (UPGRADE, "Connection: upgrade\r\nUpgrade: websocket\r\n"
                          "Upgrade: h2c\r\nHTTP2-Settings: AA\r\n", ""),
    "dozen-cookies": (0, OWN * 12 + "Connection: TE\r\nTE: trailers\r\n"
                                    "Content-Length: 5, 5\r\n", "abcde"),
    "cookies": (SUFFIXED, "Cookie: a=1; perch_web=2; perch=3; b\r\n"
                          "Cookie: c=4\r\nCookie: perch=5;;d=6\r\n", ""),
    "short-cookies": (0, "Cookie: perch=1" + ";a" * 150 + "\r\n", ""),
    "lengths": (0, "Content-Length: 3\r\nContent-Length: 3, 3\r\n", "abc"),
    "named": (0, "Connection: Content-Length, Host, Cookie, X-Forwarded-For, "
                 "X-Request-Id\r\nContent-Length: 2\r\n" + OWN, "ab"),
    "named-expect": (0, "Connection: Expect\r\nExpect: 100-continue\r\n"
                        "Content-Length: 2\r\n", "ab"),
    "expect": (0, "Expect: 100-continue\r\nContent-Length: 2\r\n", "ab"),
    "trusted": (TRUSTED | KEEPS_ID | IPV6,
                "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-For:\r\n"
                "X-Forwarded-For: ::1, a\r\nX-Forwarded-Proto: https\r\n"
                "X-Forwarded-Host: u\r\nX-Request-Id: mine\r\n", ""),
    "untrusted": (0, "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: a\r\n"
                     "X-Forwarded-Host: u\r\nX-Request-Id: mine\r\n"
                     "X-Perch-Version: web=v1\r\n", ""),
    "disguised": (TRUSTED, "X_Forwarded_For: 1\r\nx-forwarded_proto: a\r\n"
                           "X_Perch-Version: v\r\nX_REQUEST_ID: a\r\n", ""),
    "odd-header": (ODD, "X_Sticky: v\r\nX-Sticky: v\r\n", ""),
    "conditions": (DROPS, "If-Match: a\r\nIf-None-Match: b\r\nIf-Range: c\r\n"
                          "Range: bytes=0-\r\nIf-Modified-Since: d\r\n", ""),
    "chunked": (0, "Transfer-Encoding: chunked\r\n",
                "3;a=b\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\nGET /next"),
    "chunked-large": (0, "Transfer-Encoding: chunked\r\n",
                      "1400\r\n" + "a" * 0x1400 + "\r\n3\r\nabc\r\n0\r\n\r\n"),
    "trailers-vouched": (0, "Transfer-Encoding: chunked\r\n",
                         "0\r\nX_Forwarded_For: 1\r\n\r\n"),
    "trailers-odd": (ODD, "Transfer-Encoding: chunked\r\n",
                     "0\r\nX_Sticky: 1\r\n\r\n"),
    "length-short": (0, "Content-Length: 9\r\n", "abc"),
}
RESPONSES = {
    "plain": (0, "200 OK", "Content-Length: 3\r\nServer: a\r\n", "abc"),
    "chunked": (0, "200 OK", "Transfer-Encoding: chunked\r\n",
                "3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"),
    "chunked-to-http10": (4, "200", "Transfer-Encoding: chunked\r\n",
                          "3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"),
    "until-close": (0, "200 OK", "", "abc"),
    "until-close-to-http10": (4, "200 OK", "", "abc"),
    "head": (1, "200 OK", "Content-Length: 3\r\n", ""),
    "head-chunked": (1, "200 OK", "Transfer-Encoding: chunked\r\n", ""),
    "204": (0, "204 No Content", "Content-Length: 0\r\n", ""),
    "304": (0, "304 Not Modified", "Content-Length: 3\r\nETag: a\r\n", ""),
    "100": (0, "100 Continue", "", ""),
    "103": (0, "103 Early Hints", "Link: </a>\r\nContent-Length: 0\r\n", ""),
    "101": (8, "101 Switching Protocols", "Upgrade: websocket\r\n"
               "Connection: upgrade\r\nSec-WebSocket-Accept: a\r\n", ""),
    "hop": (0, "200 OK", "Connection: X-Gone\r\nX-Gone: 1\r\nKeep-Alive: 5\r\n"
               "Upgrade: h2c\r\nTE: a\r\nProxy-Connection: b\r\n"
               "Content-Length: 0\r\n", ""),
    "cookies": (16, "200 OK", "Set-Cookie: a=1\r\nContent-Length: 0\r\n"
                    "Set-Cookie: b=2\r\nX-Forwarded-For: 1\r\n", ""),
    "cache": (32 | 16, "200 OK", "Cache-Control: public, max-age=60\r\n"
              "Cache-Control: s-maxage=9,no-transform\r\n"
              "Content-Length: 0\r\n", ""),
    "cache-short": (32, "200 OK", "Cache-Control: public" + ",a" * 150
                    + ",must-revalidate\r\nContent-Length: 0\r\n", ""),
    "uncacheable": (64, "404 Not Found", "Cache-Control: max-age=60\r\n"
                    "Expires: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
                    "Cache-Control: public\r\nContent-Length: 0\r\n", ""),
    "rescued": (128 | 32, "200 OK", "Cache-Control: public\r\n"
                "X-Perch-Rescued: v1\r\nContent-Length: 0\r\n", ""),
    "shielded": (128 | 32 | 16, "200 OK", "Cache-Control: public\r\n"
                 "X-Perch-Shielded: v2\r\nContent-Length: 0\r\n", ""),
    "lengths": (0, "200 OK", "Content-Length: 3, 3\r\n"
                "Content-Length: 3\r\n", "abc"),
}

# Name: how many times, lines that get a checksum. See fuzz_journal.c.
STATE = '{"unit":"shop","time":"t","who":"a","what":"b","state":{"epoch":1}}\n'
JOURNALS = {
    "one": (1, STATE),
    "units": (2, STATE + '{"unit":"api","state":null,"evidence":{"e":0.1}}\n'),
    "many": (250, STATE + '{"unit":"shop","what":"held"}\n'),
    "mostly-dead": (250, STATE.replace("1", "1" + "0" * 300 + ".5e-1")),
    "state-older-than-history": (
        1, STATE + '{"unit":"shop"}\n' * 201),
    "torn": (1, STATE + STATE.strip()),
    "bad-end": (1, STATE + "!x\n!\n"),
    "bad-middle": (1, STATE + "!x\n" + STATE),
    "no-unit": (1, '{"state":1}\n{"unit":""}\n{"unit":1}\n[]\n7\n\n'),
    "twice-a-key": (1, '{"unit":"a","unit":"a"}\n'),
    "numbers": (1, '{"unit":"a","x":[0.1,1e300,-0.0,1E-9,9223372036854775807,'
                   '9223372036854775808]}\n'),
    "text": (1, '{"unit":"\\u00e9\\ud83d\\ude00\xc3\xa9\\n",'
                '"x":"\\u0000"}\n{"unit":"\xff"}\n'),
    "deep": (1, '{"unit":"a","x":' + "[" * 500 + "]" * 500 + "}\n"),
    "empty": (1, ""),
}


def write(target, name, content):
    with open(f"{HERE}/corpus/{target}/{name}", "wb") as out:
        out.write(content.encode("latin-1"))


def forwarded(choices, message, seed="\x00"):
    return chr(choices) + seed + message


def main():
    for target in ("head", "chunked", "forward", "forward_response",
                   "journal"):
        os.makedirs(f"{HERE}/corpus/{target}", exist_ok=True)
    for name, form in REFUSED_HEADS.items():
        write("head", "smuggle-" + name, form)
        write("forward", "smuggle-" + name, forwarded(0, form))
    for name, form in REFUSED_BODIES.items():
        write("chunked", "smuggle-" + name, "\x00" + form)
        write("forward", "smuggle-body-" + name,
              forwarded(0, CHUNKED + form, "\x05"))
        write("forward_response", "smuggle-body-" + name,
              forwarded(0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
                           "\r\n" + form, "\x05"))
    for name, (choices, fields, body) in REQUESTS.items():
        write("forward", name, forwarded(
            choices, f"POST /a?b HTTP/1.1\r\n{HOST}{fields}\r\n{body}"))
    for name, target in {"absolute": "http://u/x", "absolute-empty-path":
                         "https://u:8", "asterisk": "*"}.items():
        write("forward", name,
              forwarded(0, f"OPTIONS {target} HTTP/1.1\r\n{HOST}\r\n"))
    write("forward", "http10", forwarded(
        0, f"GET / HTTP/1.0\r\n{HOST}Connection: keep-alive\r\n\r\n"))
    for name, (choices, status, fields, body) in RESPONSES.items():
        write("forward_response", name, forwarded(
            choices, f"HTTP/1.1 {status}\r\n{fields}\r\n{body}"))
    for name, (times, lines) in JOURNALS.items():
        write("journal", name, "\x01" + chr(times - 1) + lines)
    write("journal", "as-written",
          '\x00\x00fb1cf208813d3101 {"unit":"shop","n":1}\n')


if __name__ == "__main__":
    main()
