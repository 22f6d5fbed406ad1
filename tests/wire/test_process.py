"""The daemon itself: options, signals, reloads."""

import glob
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading

import pytest

from perchtest import PATIENCE, RawClient, respond, wait_for
from perchtest.perch import program, sanitizer_environment


def run(*arguments, **options):
    return subprocess.run(
        [program(), *arguments], capture_output=True, text=True,
        timeout=PATIENCE, env=sanitizer_environment(), **options)


# -- options ----------------------------------------------------------------

def test_check_of_a_good_file(start, backends):
    perch = start({"web": backends("one")}, start=False)
    done = run("-t", "-c", perch.config_file)
    assert done.returncode == 0, done
    perch.is_killed = True


def test_check_of_a_bad_file(tmp_path):
    path = tmp_path / "perch.yaml"
    path.write_text(
        "listeners: [{bind: 127.0.0.1:8080}]\n"
        "services:\n"
        "  web:\n"
        "    balance: {polcy: maglev}\n"
        "    versions:\n"
        "      v1: {endpoints: [127.0.0.1:1]}\n"
        "timeouts: {idle: 10 parsecs}\n")
    done = run("-t", "-c", str(path))
    assert done.returncode == 1
    # All of them in one go, each with its place, and a hint.
    assert re.search(r"perch\.yaml:4:15: .*polcy.*policy", done.stderr)
    assert re.search(r"perch\.yaml:7:18: .*parsecs", done.stderr)


def test_check_of_no_file(tmp_path):
    done = run("-t", "-c", str(tmp_path / "none.yaml"))
    assert done.returncode == 1
    assert "none.yaml" in done.stderr


def test_bad_file_does_not_start(tmp_path):
    path = tmp_path / "perch.yaml"
    path.write_text("services: {}\n")
    done = run("-c", str(path))
    assert done.returncode == 1
    assert "perch.yaml:" in done.stderr


def as_user(uid):
    """Where the tests run as root."""
    return {"preexec_fn": lambda: os.setuid(uid)} if os.getuid() == 0 else {}


@pytest.fixture
def config_with_user():
    """Makes a file that anybody may read."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = os.path.join(folder, "perch.yaml")

        def write(user):
            with open(path, "w") as out:
                out.write(
                    "listeners: [{bind: '127.0.0.1:18080'}]\n"
                    "services: {web: {versions: "
                    "{v1: {endpoints: '127.0.0.1:9'}}}}\n"
                    "admin: {bind: []}\n"
                    "user: %s\n" % user)
            return path

        yield write


def test_check_of_a_user_that_is_there(config_with_user):
    done = run("-t", "-c", config_with_user("nobody"))
    assert done.returncode == 0, done
    assert "user:" not in done.stderr


@pytest.mark.parametrize("option", [["-t"], []])
def test_root_is_told_of_a_user_that_is_not_there(config_with_user, option):
    if os.getuid() != 0:
        pytest.skip("not root")
    config = config_with_user("perch-nobody")
    done = run(*option, "-c", config)
    assert done.returncode == 1
    assert '%s:4:7: user: no user "perch-nobody" on this system\n' % config \
        in done.stderr


def test_others_are_only_warned_of_a_user_that_is_not_there(config_with_user):
    """They start all the same, as who they are."""
    config = config_with_user("perch-nobody")
    done = run("-t", "-c", config, **as_user(65534))
    assert done.returncode == 0, done
    assert 'warning: %s:4:7: user: no user "perch-nobody"' % config \
        in done.stderr


def test_taken_port_does_not_start(start, backends):
    perch = start({"web": backends("one")}, start=False)
    perch.is_killed = True
    with socket.create_server(("127.0.0.1", perch.port)):
        done = run("-c", perch.config_file)
    assert done.returncode == 1
    assert str(perch.port) in done.stderr


def test_print_schema():
    done = run("--print-schema")
    assert done.returncode == 0
    schema = json.loads(done.stdout)
    assert "services" in schema["properties"]


def test_version_and_help():
    assert re.search(r"perch \d+\.\d+\.\d+", run("--version").stdout)
    assert "-c" in run("--help").stdout


def test_environment_is_expanded(start, backends):
    one = backends("one")
    perch = start({"web": one}, start=False)
    text = open(perch.config_file).read()
    with open(perch.config_file, "w") as out:
        out.write(text.replace(str(one.port), "${BACKEND_PORT}"))
    perch._environment = dict(
        sanitizer_environment(), BACKEND_PORT=str(one.port))
    perch.start()
    with RawClient(perch.port) as client:
        assert client.request().body == b"one"


def test_closed_stderr_is_no_other_descriptor(start, backends):
    """Nobody's connection gets the log's lines."""
    perch = start({"web": backends("one")}, start=False)
    open(perch.error_file, "w").close()
    perch.process = subprocess.Popen(
        ["sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', program(),
         perch.config_file], env=sanitizer_environment())
    wait_for("perch to be ready", perch.admin.is_ready)
    assert {os.readlink("/proc/%d/fd/%d" % (perch.pid, fd))
            for fd in range(3)} == {"/dev/null"}


# -- TERM, QUIT -------------------------------------------------------------

def test_term_stops_quickly(start, backends):
    one = backends("one")
    one.play(lambda c: (c.read_request(), c.wait_closed()))
    perch = start({"web": one})
    with RawClient(perch.port) as busy, RawClient(perch.port):
        busy.send_request()
        one.wait_heads(1)
        perch.send_signal(signal.SIGTERM)
        assert perch.wait(10) == 0


def _held(release):
    def script(c):
        c.read_request()
        c.wait(release)
        c.send_response(b"done")
    return script


def test_quit_finishes_what_runs(start, backends):
    one = backends("one")
    release = threading.Event()
    perch = start({"web": one})
    with RawClient(perch.port) as idle, RawClient(perch.port) as busy:
        assert idle.request().status == 200
        one.play(_held(release))
        busy.send_request()
        one.wait_heads(1)
        perch.send_signal(signal.SIGQUIT)
        # Idle connections go at once, new ones aren't taken any more.
        idle.expect_close()

        def is_refused():
            try:
                with RawClient(perch.port) as late:
                    late.send_request()
                    return late.read_until_close() == b""
            except OSError:
                return True
        wait_for("new connections to be refused", is_refused)
        assert perch.process.poll() is None
        release.set()
        answer = busy.read_response()
        assert answer.body == b"done"
        assert answer.list("Connection") == ["close"]
        busy.expect_close()
    assert perch.wait() == 0


def test_quit_ends_connections_behind_an_answer_under_way(start, backends):
    """Its head went out before, and said that the connection would stay."""
    one = backends("one")
    release = threading.Event()
    perch = start({"web": one})

    def half(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")
        c.wait(release)
        c.send(b"lf")
    one.play(half)
    with RawClient(perch.port) as plain, RawClient(perch.port) as begun, \
            RawClient(perch.port) as new:
        new.send("GET /new HT")
        for client in (plain, begun):
            client.send_request()
            assert client.reader.read_response_head().status == 200
        # Of others, a part is there already: they are still answered.
        begun.send("GET /next HTTP/1.1\r\nHo")
        perch.send_signal(signal.SIGQUIT)
        wait_for("/readyz to say no", lambda: not perch.admin.is_ready())
        release.set()
        for client in (plain, begun):
            assert client.reader.read_exactly(4) == b"half"
        plain.expect_close()
        one.play(respond(b"next"))
        new.send("TP/1.1\r\nHo")
        begun.send("st: a\r\n\r\n")
        new.send("st: a\r\n\r\n")
        for client in (begun, new):
            answer = client.read_response()
            assert answer.body == b"next"
            assert answer.list("Connection") == ["close"]
            client.expect_close()
    assert perch.wait() == 0


def test_quit_is_not_ready(start, backends):
    one = backends("one")
    release = threading.Event()
    perch = start({"web": one})
    one.play(_held(release))
    with RawClient(perch.port) as busy:
        busy.send_request()
        one.wait_heads(1)
        perch.send_signal(signal.SIGQUIT)
        wait_for("/readyz to say no", lambda: not perch.admin.is_ready())
        release.set()
        assert busy.read_response().status == 200
    assert perch.wait() == 0


# More than any test lasts.
LONG = {"unready": "600s"}


def test_quit_serves_on_while_it_is_not_ready(start, backends):
    perch = start({"web": backends("one")}, timeouts={"unready": "2s"})
    with RawClient(perch.port) as early:
        assert early.request().status == 200
        perch.send_signal(signal.SIGQUIT)
        wait_for("/readyz to say no", lambda: not perch.admin.is_ready())
        # Connections are taken and kept as before.
        with RawClient(perch.port) as late:
            for client in (early, late):
                answer = client.request()
                assert answer.status == 200
                assert answer.list("Connection") != ["close"]
        perch.wait_log("stopping when running requests have ended")
        early.expect_close()
    assert perch.wait() == 0
    assert re.search("stopping to accept in 2 s", perch.stderr())


def test_reload_until_nobody_is_accepted(start, backends):
    one, two = backends("one"), backends("two")
    release = threading.Event()
    perch = start({"web": one}, timeouts=LONG)
    one.play(_held(release))
    with RawClient(perch.port) as busy:
        busy.send_request()
        one.wait_heads(1)
        perch.send_signal(signal.SIGQUIT)
        perch.wait_log("not ready any more")
        perch.change(services={"web": two})
        perch.reload()
        with RawClient(perch.port) as client:
            wait_for("workers to have it",
                     lambda: client.request().body == b"two")
        assert not perch.admin.is_ready()
        # Then it is refused, and not just forgotten.
        perch.send_signal(signal.SIGQUIT)
        perch.wait_log("stopping when running requests have ended")
        perch.send_signal(signal.SIGHUP)
        perch.wait_log("reload refused, .*: it is stopping")
        assert perch.admin.metrics().sum(
            "perch_config_reloads_total", result="refused") == 1
        release.set()
        assert busy.read_response().body == b"done"
    assert perch.wait() == 0


def test_second_quit_ends_the_time_of_not_being_ready(start, backends):
    one = backends("one")
    release = threading.Event()
    perch = start({"web": one}, timeouts=LONG)
    one.play(_held(release))
    with RawClient(perch.port) as busy:
        busy.send_request()
        one.wait_heads(1)
        perch.send_signal(signal.SIGQUIT)
        perch.wait_log("not ready any more")
        perch.send_signal(signal.SIGQUIT)
        perch.wait_log("stopping when running requests have ended")
        # What runs is finished, as ever.
        release.set()
        assert busy.read_response().body == b"done"
    assert perch.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_term_while_not_ready_stops_at_once(start, backends, number):
    one = backends("one")
    one.play(lambda c: (c.read_request(), c.wait_closed()))
    perch = start({"web": one}, timeouts=LONG)
    with RawClient(perch.port) as busy:
        busy.send_request()
        one.wait_heads(1)
        perch.send_signal(signal.SIGQUIT)
        perch.wait_log("not ready any more")
        perch.send_signal(number)
        assert perch.wait(10) == 0


def test_third_quit_stops_at_once(start, backends):
    one = backends("one")
    one.play(lambda c: (c.read_request(), c.wait_closed()))
    perch = start({"web": one}, timeouts=dict(LONG, shutdown="600s"))
    with RawClient(perch.port) as busy:
        busy.send_request()
        one.wait_heads(1)
        for said in ("not ready any more", "stopping when running", ""):
            perch.send_signal(signal.SIGQUIT)
            perch.wait_log(said)
        assert perch.wait(10) == 0


def test_quit_has_a_limit(start, backends):
    one = backends("one")
    perch = start({"web": one}, timeouts={"shutdown": "300ms"})
    one.play(lambda c: (c.read_request(), c.wait_closed()))
    with RawClient(perch.port) as busy:
        busy.send_request()
        one.wait_heads(1)
        perch.send_signal(signal.SIGQUIT)
        assert perch.wait(10) == 0


def test_quit_then_term(start, backends):
    one = backends("one")
    perch = start({"web": one})
    one.play(lambda c: (c.read_request(), c.wait_closed()))
    with RawClient(perch.port) as busy:
        busy.send_request()
        one.wait_heads(1)
        perch.send_signal(signal.SIGQUIT)
        perch.send_signal(signal.SIGTERM)
        assert perch.wait(10) == 0


def test_quit_with_nothing_to_do(start, backends):
    perch = start({"web": backends("one")})
    perch.stop(signal.SIGQUIT)


def test_sigpipe_is_harmless(start, backends):
    perch = start({"web": backends("one")})
    perch.send_signal(signal.SIGPIPE)
    with RawClient(perch.port) as client:
        assert client.request().status == 200


# -- HUP --------------------------------------------------------------------

def _body(perch):
    with RawClient(perch.port) as client:
        return client.request().body


def test_reload_swaps_a_good_file_in(start, backends):
    one, two = backends("one", "two")
    perch = start({"web": one}, workers=2)
    assert _body(perch) == b"one"
    perch.change({"web": two})
    # Each worker takes it over by itself, a moment after the other.
    perch.reload(lambda: {_body(perch) for _ in range(20)} == {b"two"})


def test_reload_reaches_open_connections(start, backends):
    one, two = backends("one", "two")
    perch = start({"web": one})
    with RawClient(perch.port) as client:
        assert client.request().body == b"one"
        perch.change({"web": two})
        perch.reload(lambda: _body(perch) == b"two")
        assert client.request().body == b"two"


def test_reload_spares_a_running_request(start, backends):
    one, two = backends("one", "two")
    release = threading.Event()
    perch = start({"web": one})
    # Others may ask it before the reload is done.
    one.play(_held(release), respond(b"one"))
    with RawClient(perch.port) as client:
        client.send_request()
        one.wait_heads(1)
        perch.change({"web": two})
        perch.reload(lambda: _body(perch) == b"two")
        release.set()
        assert client.read_response().body == b"done"
        assert client.request().body == b"two"


@pytest.mark.parametrize("damage", [
    "services: [", "unknown: 1\n", "", "services: {}\n"])
def test_bad_file_is_refused_and_the_old_stays(start, backends, damage):
    perch = start({"web": backends("one")})
    mark = len(perch.stderr())
    with open(perch.config_file, "w") as out:
        out.write(damage)
    perch.send_signal(signal.SIGHUP)
    perch.wait_log(r"perch\.yaml:\d+:\d+: ", mark)
    assert _body(perch) == b"one"
    # And it isn't stuck: a good file is taken again.
    perch.change(limits={"target": "100B"})
    perch.reload(lambda: _status(perch, "/" + "a" * 200) == 414)


def _status(perch, target):
    with RawClient(perch.port) as client:
        return client.request("GET", target).status


def test_missing_file_is_refused_and_the_old_stays(start, backends):
    perch = start({"web": backends("one")})
    mark = len(perch.stderr())
    os.unlink(perch.config_file)
    perch.send_signal(signal.SIGHUP)
    perch.wait_log("perch.yaml", mark)
    assert _body(perch) == b"one"


def test_reload_adds_and_drops_a_listener(start, backends):
    from perchtest import free_port
    perch = start({"web": backends("one")}, workers=2)
    first, second = perch.port, free_port()
    both = [{"bind": "127.0.0.1:%d" % p} for p in (first, second)]

    def serves(port):
        try:
            with RawClient(port) as client:
                return client.request().status == 200
        except (OSError, AssertionError):
            return False
    perch.change(listeners=both)
    perch.reload(lambda: serves(second))
    assert serves(first)
    with RawClient(first) as open_one:
        assert open_one.request().status == 200
        perch.change(listeners=both[1:])
        perch.reload(lambda: not serves(first))
        # A connection that was accepted goes on.
        assert open_one.request().status == 200
    assert serves(second)


def test_drops_privileges(start, backends):
    if os.getuid() != 0:
        pytest.skip("not root")
    perch = start({"web": backends("one")}, user="nobody")
    for status in glob.glob("/proc/%d/task/*/status" % perch.pid):
        with open(status) as file:
            uids = re.search(r"Uid:\s+(.*)", file.read())[1].split()
        assert "0" not in uids, status
    with RawClient(perch.port) as client:
        assert client.request().status == 200


def test_ipv6_listener(start, backends):
    from perchtest import free_port
    port = free_port()
    perch = start({"web": backends("one")},
                  listeners=[{"bind": "[::1]:%d" % port}])
    with socket.create_connection(("::1", port), PATIENCE) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\nHost: t\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 200 ")
    assert perch


def test_second_perch_on_the_address_is_refused(start, backends, tmp_path):
    """SO_REUSEPORT alone would let it take half of the connections."""
    first = start({"web": backends("one")})
    config = tmp_path / "perch.yaml"
    config.write_text(
        "listeners: [{bind: '127.0.0.1:%d'}]\n"
        "services: {web: {versions: {v1: {endpoints: '127.0.0.1:9'}}}}\n"
        "admin: {bind: []}\n" % first.port)
    second = run("-c", str(config))
    assert second.returncode == 1
    assert re.search(r"cannot listen on 127\.0\.0\.1:%d: Address already in "
                     r"use" % first.port, second.stderr)
    assert {_body(first) for _ in range(30)} == {b"one"}
