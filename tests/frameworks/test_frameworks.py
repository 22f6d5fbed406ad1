"""Applications as their frameworks make them, over a release and a rollback.

No load of a page, a session or a run of calls is to have anything of another
version, but for those of kinds that nothing can mend.
"""

import contextlib
import http.client
import threading

from balancers import make_subject
from story import batches, tell_release, tell_rollback

# Kind -> its remedy. They are counted in bench/results/identity.md.
UNMENDED = {
    "cookies blocked": "sticky.key",
    "cookies blocked, Next.js": "sticky.key",
    "cookies blocked, key: address": "none: its pages move with the share",
    "a frame in another site": "sticky.same_site: none, and partitioned",
    "two tabs, one of which goes on": "sticky.pin: session",
    "two tabs, pin: session": "v2 in the config before its release",
    "socket.io without a jar, over changes": "sticky.key",
    "socket.io without a jar, polling, over changes": "sticky.key",
    "socket.io from another site": "sticky.same_site: none",
    "socket.io from another site, polling": "sticky.same_site: none",
}


@contextlib.contextmanager
def perch_before(stage):
    """Before all services, of v1 alone yet."""
    balancer = make_subject("perch", stage.pairs())
    balancer.start()
    with contextlib.closing(balancer):
        yield balancer


def assert_whole(sums):
    bad = {kind: each for kind, each in sums.items()
           if each["bad"] and kind not in UNMENDED}
    assert not bad, bad


def test_a_whole_release(stage, crowd):
    versions = set()
    for names in batches(crowd):
        with perch_before(stage) as balancer:
            sums = tell_release(balancer, crowd, names)
        assert_whole(sums)
        for each in sums.values():
            versions |= set(each["versions"])
    assert {"v1", "v2"} <= versions


def test_a_rollback_in_the_middle(stage, crowd):
    """Of the pages of v2 that are open then, what they load late is rescued;
    what they fetch v1 answers, as v2 is out of use."""
    for names in batches(crowd):
        with perch_before(stage) as balancer:
            sums = tell_rollback(balancer, crowd, names)
        assert_whole(sums)
        failed = {kind: each["voided"] for kind, each in sums.items()
                  if each["voided"]["failed"] and kind not in UNMENDED
                  and "socket" not in kind and "Next" not in kind}
        assert not failed, failed


def _post_after(balancer, host, pauses, failures):
    """One POST after each pause, in s: what perch has of idle connections is
    closed by the server at about that time, and a POST isn't sent again."""
    for pause in pauses:
        connection = http.client.HTTPConnection("127.0.0.1", balancer.port)
        threading.Event().wait(pause)
        connection.request("POST", "/api/version", b"x",
                           {"Host": host + ".localhost"})
        answer = connection.getresponse()
        answer.read()
        if answer.status >= 500:
            failures.append((host, pause, answer.status))
        connection.close()


def post_to_all(balancer):
    failures = []
    clients = [
        threading.Thread(target=_post_after, args=(
            balancer, host, [0, 4.9 + 0.01 * i, 0.1], failures))
        for host in ("uvicorn", "gunicorn", "site", "next")
        for i in range(20)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert not failures


def test_servers_that_close_idle_connections(stage):
    """uvicorn and node after 5 s, gunicorn after each answer."""
    with perch_before(stage) as balancer:
        post_to_all(balancer)
