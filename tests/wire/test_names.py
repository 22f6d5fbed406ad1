"""Endpoints that are names, and signals that come while names are awaited.

Each test has a network and a name server of its own. They wait for seconds
(perch awaits names for 3 s at its start and in a reload, and asks again every
10 s), so all of them run at once: the first to be asked for its result waits
for most.
"""

import signal
import threading
import time

import pytest

from perchtest import Admin, Load, RawClient, free_port, respond, wait_for
from perchtest.network import InNetwork, NotPermitted, get

SETTLE_S = 3
SLACK_S = 5  # of a slow machine


@pytest.fixture(scope="module")
def running(request):
    """Every test of this module that was chosen, begun."""
    bodies = [item.function.body for item in request.session.items
              if item.module is request.module]
    begun = {body: InNetwork(body) for body in bodies}
    yield begun
    for one in begun.values():
        one.join()


def in_network(body):
    """Makes a test of a function of a Network."""
    def test(running):
        try:
            running[body].result()
        except NotPermitted as error:
            pytest.skip("may not make network namespaces (be root, or run "
                        "under unshare --map-root-user --net --mount): %s"
                        % error)
    test.__name__ = body.__name__
    test.__doc__ = body.__doc__
    test.body = body
    return test


def at(name, backend):
    return "%s:%d" % (name, backend.port)


def on_host(name, *endpoints):
    """A service of a host of its own."""
    return {"match": {"hosts": [name]}, "versions": {"v1": list(endpoints)}}


def body_of(perch, host="test"):
    answer = get(perch, host)
    assert answer.status == 200, answer
    return answer.body.decode()


def ask_slowly(client, _):
    time.sleep(0.005)
    return client.request()


def start_soon(net, services):
    """A perch that waits for no name at its start. A busy machine, which has
    all these tests to do at once, gets another chance."""
    for _ in range(3):
        started = time.monotonic()
        perch = net.start(services)
        if time.monotonic() - started < SETTLE_S:
            return perch
    raise AssertionError("the start waits for something")


def wait_ready(perch):
    wait_for("perch to be ready", perch.admin.is_ready)


# -- at the start -----------------------------------------------------------

@in_network
def test_name_is_resolved_at_start(net):
    """By the first request it is known, and the start waits no longer."""
    a = net.backend("a")
    net.names.answer("a.test", "127.0.0.1")
    perch = start_soon(net, {"web": at("a.test", a)})
    assert body_of(perch) == "a"
    perch.wait_log(r"a\.test:%d is at 127\.0\.0\.1:%d" % (a.port, a.port))


@in_network
def test_ipv4_is_preferred(net):
    a = net.backend("a")
    net.names.answer("both.test", "::1", "127.0.0.1")
    net.names.answer("six.test", "::1")
    perch = net.start({"web": at("both.test", a),
                       "six": on_host("six", at("six.test", a))})
    assert body_of(perch) == "a"
    perch.wait_log(r"six\.test:%d is at \[::1\]:%d" % (a.port, a.port))


@in_network
def test_start_does_not_wait_for_a_silent_name_for_ever(net):
    """Its service answers 503 till it is known; others are served."""
    a, b = net.backend("a"), net.backend("b")
    net.names.keep_silent("silent.test")
    started = time.monotonic()
    perch = net.start({"web": a,
                       "late": on_host("late", at("silent.test", b))})
    assert time.monotonic() - started < SETTLE_S + SLACK_S
    assert get(perch, "late").status == 503
    assert body_of(perch) == "a"
    net.names.answer("silent.test", "127.0.0.1")
    wait_for("the name to be known",
             lambda: get(perch, "late").status == 200)
    assert body_of(perch, "late") == "b"


@in_network
def test_name_that_comes_to_be_is_found(net):
    """A name that isn't there is an answer: nothing waits for it."""
    a, b = net.backend("a"), net.backend("b")
    perch = start_soon(
        net, {"web": a, "new": on_host("new", at("new.test", b))})
    perch.wait_log(r"cannot resolve new\.test")
    assert get(perch, "new").status == 503
    assert body_of(perch) == "a"
    net.names.answer("new.test", "127.0.0.1")
    wait_for("the name to be known", lambda: get(perch, "new").status == 200)
    assert body_of(perch, "new") == "b"


# -- answers that change ----------------------------------------------------

@in_network
def test_changed_answer_moves_requests_and_fails_none(net):
    a = net.backend("a")
    b = net.backend("b", host="127.0.0.2", port=a.port)
    net.names.answer("moving.test", "127.0.0.1")
    perch = net.start({"web": at("moving.test", a)}, workers=2)
    moved = threading.Event()
    a.play(lambda c: (c.read_request(), c.wait(moved),
                      c.send_response(b"slow")), respond(b"a"))
    with RawClient(perch.port) as slow:
        slow.send_request()
        a.wait_heads(1)
        with Load(perch.port, ask_slowly, clients=4) as load:
            load.wait_more()
            net.names.answer("moving.test", "127.0.0.2")
            wait_for("requests at the new address",
                     lambda: load.failures or len(b.heads) >= 20)
            load.wait_more(2)
            # What was under way ends where it began, but nothing new goes
            # there, not even over a connection that was in use.
            left = len(a.heads)
            moved.set()
            assert slow.read_response().body == b"slow"
            assert slow.request().body == b"b"
            load.wait_more(20)
            assert len(a.heads) == left
            a.stop_listening()
            load.wait_more(20)
        assert not load.failures, load.failures


@in_network
def test_current_address_stays_while_answers_have_it(net):
    """And while there is no answer at all."""
    a = net.backend("a")
    b = net.backend("b", host="127.0.0.2", port=a.port)
    net.names.answer("many.test", "127.0.0.1")
    net.names.answer("gone.test", "127.0.0.1")
    perch = net.start({"web": at("many.test", a),
                       "gone": on_host("gone", at("gone.test", a))})
    net.names.answer("many.test", "127.0.0.2", "127.0.0.1", "127.0.0.3")
    net.names.forget("gone.test")
    net.names.wait_asked("many.test", 2)
    perch.wait_log(r"cannot resolve gone\.test")
    for _ in range(50):
        assert body_of(perch) == "a"
        assert body_of(perch, "gone") == "a"
        time.sleep(0.01)
    assert not b.heads
    assert "many.test:%d is at 127.0.0.2" % a.port not in perch.stderr()


# -- reloads ----------------------------------------------------------------

@in_network
def test_reload_with_a_silent_name_disturbs_nobody(net):
    """perch once crashed in it, at the next second's tick: the new service
    was there already, its release record not."""
    a, b = net.backend("a"), net.backend("b")
    net.names.keep_silent("silent.test")
    perch = net.start({"web": a}, state=True)
    with Load(perch.port, ask_slowly, clients=2) as load:
        perch.change({"late": on_host("late", at("silent.test", b))})
        started = time.monotonic()
        perch.reload()
        seconds = time.monotonic() - started
        load.wait_more(2)
        assert SETTLE_S - 0.5 < seconds < SETTLE_S + SLACK_S
        wait_for("the reload to be in force",
                 lambda: get(perch, "late").status == 503)
        net.names.answer("silent.test", "127.0.0.1")
        wait_for("the name to be known",
                 lambda: get(perch, "late").status == 200)
        load.wait_more(2)
    assert not load.failures, load.failures


@in_network
def test_reload_asked_for_during_another_is_not_lost(net):
    a, b = net.backend("a"), net.backend("b")
    net.names.keep_silent("silent.test")
    perch = net.start({"web": a})
    perch.change({"late": on_host("late", at("silent.test", b))})
    perch.send_signal(signal.SIGHUP)
    net.names.wait_asked("silent.test")
    perch.change({"web": b})
    perch.send_signal(signal.SIGHUP)
    wait_for("the second reload", lambda: body_of(perch) == "b")
    perch.admin.wait_metric("perch_config_reloads_total", 2, result="done")


@in_network
def test_admin_moves_when_a_reload_is_in_force(net):
    """It once looked for its new addresses before they were in force, and
    so never moved."""
    a = net.backend("a")
    net.names.keep_silent("silent.test")
    perch = net.start({"web": a})
    new = Admin("127.0.0.1:%d" % free_port())
    perch.change({"late": on_host("late", at("silent.test", a))},
                 admin={"bind": new.bind})
    perch.send_signal(signal.SIGHUP)
    net.names.wait_asked("silent.test")
    assert perch.admin.is_ready()
    assert not new.is_ready()
    wait_for("the admin server at its new address", new.is_ready)
    wait_for("its old one to be closed", lambda: not perch.admin.is_ready())


# -- signals that come early ------------------------------------------------

def start_silently(net, **settings):
    """A perch that is still starting, for some 3 s."""
    a = net.backend("a")
    net.names.keep_silent("silent.test")
    perch = net.perch({"web": a,
                       "late": on_host("late", at("silent.test", a))},
                      **settings)
    perch.spawn()
    net.names.wait_asked("silent.test")
    assert not perch.admin.is_ready()
    return perch


@in_network
def test_hup_while_starting_reloads_after_it(net):
    """perch once died of it."""
    perch = start_silently(net)
    b = net.backend("b")
    perch.change({"web": b})
    perch.send_signal(signal.SIGHUP)
    wait_ready(perch)
    wait_for("the reload", lambda: body_of(perch) == "b")


@in_network
def test_usr1_while_starting(net):
    perch = start_silently(net, log={"access": {
        "format": "combined", "file": "/dev/null"}})
    perch.send_signal(signal.SIGUSR1)
    wait_ready(perch)
    assert body_of(perch) == "a"


def ends_while_starting(net, number):
    perch = start_silently(net)
    perch.send_signal(number)
    assert perch.wait(SETTLE_S + SLACK_S) == 0


@in_network
def test_term_while_starting(net):
    ends_while_starting(net, signal.SIGTERM)


@in_network
def test_quit_while_starting(net):
    ends_while_starting(net, signal.SIGQUIT)


@in_network
def test_quit_ends_a_reload_that_waits(net):
    """It once came into force in the midst of the end, and listened anew."""
    a = net.backend("a")
    done = threading.Event()
    a.play(lambda c: (c.read_request(), c.wait(done),
                      c.send_response(b"last")))
    net.names.keep_silent("silent.test")
    port = free_port()
    perch = net.start({"web": a})
    with RawClient(perch.port) as client:
        client.send_request()
        a.wait_heads(1)
        perch.change(
            {"late": on_host("late", at("silent.test", a))},
            listeners=perch.config["listeners"]
            + [{"bind": "127.0.0.1:%d" % port}])
        perch.send_signal(signal.SIGHUP)
        net.names.wait_asked("silent.test")
        perch.send_signal(signal.SIGQUIT)
        perch.wait_log("stopping")
        time.sleep(SETTLE_S + 1)  # when it would come into force
        assert perch.process.poll() is None
        assert "reloaded" not in perch.stderr()
        with pytest.raises(ConnectionRefusedError):
            RawClient(port)
        done.set()
        assert client.read_response().body == b"last"
    assert perch.wait() == 0
    assert "reloaded" not in perch.stderr()


@in_network
def test_stop_with_queries_pending(net):
    """At once, and nothing is leaked: of the queries that the start made,
    and of those of a reload that still waits."""
    a = net.backend("a")
    for name in ("one.test", "two.test"):
        net.names.keep_silent(name)
    # As start_soon().
    for i in range(3):
        late = "late%d.test" % i
        net.names.keep_silent(late)
        perch = net.start({"web": [a.address, at("one.test", a),
                                   at("two.test", a)]})
        perch.change({"late": on_host("late", at(late, a))})
        perch.send_signal(signal.SIGHUP)
        net.names.wait_asked(late)
        started = time.monotonic()
        perch.stop()
        took = time.monotonic() - started
        if took < SETTLE_S - 1:
            break
    assert took < SETTLE_S - 1
