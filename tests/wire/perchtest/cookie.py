"""cookie: perch's cookies, signed as a perch with the secret of the tests
signs them; from the description in perch.yaml(5), not from perch's code."""

import hashlib
import time

SECRET = "the secret of the tests of perch"

_MASK = (1 << 64) - 1


def _rotate(x, n):
    return (x << n | x >> (64 - n)) & _MASK


def siphash(key, data):
    """SipHash-2-4 of data: Aumasson and Bernstein, 2012."""
    k0 = int.from_bytes(key[:8], "little")
    k1 = int.from_bytes(key[8:16], "little")
    v = [k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d,
         k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573]

    def mix():
        v[0] = (v[0] + v[1]) & _MASK
        v[2] = (v[2] + v[3]) & _MASK
        v[1] = _rotate(v[1], 13) ^ v[0]
        v[3] = _rotate(v[3], 16) ^ v[2]
        v[0] = _rotate(v[0], 32)
        v[2] = (v[2] + v[1]) & _MASK
        v[0] = (v[0] + v[3]) & _MASK
        v[1] = _rotate(v[1], 17) ^ v[2]
        v[3] = _rotate(v[3], 21) ^ v[0]
        v[2] = _rotate(v[2], 32)
    whole = len(data) // 8 * 8
    words = [data[i:i + 8] for i in range(0, whole, 8)]
    words.append(data[whole:].ljust(7, b"\0") + bytes([len(data) & 255]))
    for word in words:
        word = int.from_bytes(word, "little")
        v[3] ^= word
        mix()
        mix()
        v[0] ^= word
    v[2] ^= 0xff
    for _ in range(4):
        mix()
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def sign(text, service="web", secret=SECRET):
    key = hashlib.sha256(secret.encode()).digest()[:16]
    return "%s.%016x" % (
        text, siphash(key, service.encode() + b"\0" + text.encode()))


def seed_cookie(seed, service="web", endpoint="-", secret=SECRET):
    """One that pins nothing; seed: a number, or its five digits."""
    seed = seed if isinstance(seed, str) else "%05x" % (seed % (1 << 20))
    return sign("%s.-.%s.%x.-.-" % (seed, endpoint, int(time.time()) // 60),
                service, secret)


def pin_cookie(seed, version, generation=0, service="web", endpoint="-",
               secret=SECRET):
    """One that pins to a version, as a page's answer gives it."""
    seed = seed if isinstance(seed, str) else "%05x" % (seed % (1 << 20))
    now = int(time.time()) // 60
    return sign("%s.%x.%s.%x.%x.%s" % (
        seed, generation, endpoint, now, now, version), service, secret)
