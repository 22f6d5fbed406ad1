"""story: a release as clients of all kinds live through it."""

import os

from chromium import Driven

_HERE = os.path.dirname(os.path.abspath(__file__))
SHARES = [1, 5, 10, 20, 50, 80, 100]
HALF = [1, 5, 10, 20, 50]


class Crowd(Driven):
    """Clients of all kinds; see crowd.mjs."""

    patience = 600

    def __init__(self):
        super().__init__(os.path.join(_HERE, "crowd.mjs"))


def batches(crowd, size=6):
    """All kinds, some at a time: a browser has room for so many pages."""
    kinds = crowd.do("kinds")
    return [kinds[i:i + size] for i in range(0, len(kinds), size)]


def _go(balancer, crowd, shares, names):
    """Clients come at every share, and go on through some that follow. Those
    who were there before the release keep their page open to the end."""
    crowd.do("meet", port=balancer.port)
    crowd.do("arrive", count=1, names=names, isStaying=True)
    crowd.do("arrive", count=1, names=names)
    for turn, share in enumerate(shares):
        balancer.share(share)
        _turn(crowd, turn, names)
    crowd.do("act")


def _turn(crowd, turn, names):
    crowd.do("act")
    crowd.do("again", turn=turn)
    crowd.do("arrive", count=1, names=names)


def tell_release(balancer, crowd, names):
    """From 0 to 100. Kind -> sum; see tally.mjs."""
    try:
        _go(balancer, crowd, SHARES, names)
        return crowd.do("sum")
    finally:
        crowd.do("leave")


def tell_rollback(balancer, crowd, names):
    """To 50 and back."""
    try:
        _go(balancer, crowd, HALF, names)
        crowd.do("rollBack")
        balancer.roll_back()
        for turn in range(2):
            _turn(crowd, turn, names)
        crowd.do("act")
        return crowd.do("sum")
    finally:
        crowd.do("leave")


TELL = {"release": tell_release, "rollback": tell_rollback}
