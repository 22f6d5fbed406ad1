"""perchctl before people: its questions, its screen, its tables."""

import json

import pytest

from perchtest import Perch, RawClient
from perchtest.terminal import screen_of

PLANS = {"plans": {"slow": {"steps": [5, 10, 20, 50, 100], "hold": "1h"}}}


@pytest.fixture
def web(start, backends):
    v1, v2, e2, p7 = backends("v1", "v2", "e2", "p7")
    return start({
        "web": {"versions": {"v1": v1, "v2": v2, "v3": v2}, "plan": "slow"},
        "entry": {"versions": {"e1": v1, "e2": e2}, "group": "shop",
                  "match": {"hosts": ["entry.test"]}},
        "page": {"versions": {"p6": v1, "p7": p7}, "group": "shop",
                 "match": {"hosts": ["page.test"]}},
    }, state=True, **PLANS)


def release_of(web, unit="web"):
    return web.admin.service(unit)["release"]


# -- questions ----------------------------------------------------------------

def name_of(arguments):
    return "-".join(arguments)


DANGEROUS = [
    # words, the question, what it does to the release
    (["promote", "web"],
     b"web: make v2, at 20 %, the stable version for everybody?",
     {"state": "done"}),
    (["rollback", "web"], b"web: take v2, at 20 %, away from everybody?",
     {"state": "rolled_back"}),
    (["share", "web", "10"],
     b"web: lower the share of v2 from 20 % to 10 %?", {"share": 10}),
    (["share", "web", "100"],
     b"web: raise the share of v2 from 20 % to 100 %, without 50 %?",
     {"share": 100}),
    (["release", "start", "web", "v3"],
     b"web: roll back the release of v2 at 20 %, and begin this one?",
     {"candidate": "v3"}),
]
HARMLESS = [["share", "web", "50"], ["share", "web", "30"],
            ["advance", "web"], ["pause", "web"]]


@pytest.fixture
def released(web):
    web.ctl("release", "start", "web", "v2", "--share", "20")
    return web


@pytest.mark.parametrize("words,question,effect", DANGEROUS,
                         ids=[name_of(words) for words, _, _ in DANGEROUS])
@pytest.mark.parametrize("answer", ["y", "yes", "n", "", "yet"])
def test_dangerous_words_ask(released, words, question, effect, answer):
    before = release_of(released)
    with released.terminal(*words) as terminal:
        terminal.wait_shown(question + b" [y/N] ")
        assert release_of(released)["epoch"] == before["epoch"]
        terminal.type(answer.encode() + b"\n")
        code = terminal.wait()
    after = release_of(released)
    if answer in ("y", "yes"):
        assert code == 0
        assert {name: after[name] for name in effect} == effect
    else:
        assert code == 1
        assert b"nothing was done" in terminal.shown
        assert after["epoch"] == before["epoch"]


@pytest.mark.parametrize("answer", ["y", "n"])
def test_a_step_that_is_the_end_asks(released, answer):
    released.ctl("share", "web", "100")
    released.ctl("resume", "web")
    with released.terminal("advance", "web") as terminal:
        terminal.wait_shown(b"web: make v2, at 100 %, the stable version for "
                            b"everybody? [y/N] ")
        terminal.type(answer.encode() + b"\n")
        assert terminal.wait() == (0 if answer == "y" else 1)
    assert release_of(released)["running"] == (answer == "n")


def test_the_end_of_input_is_no_yes(released):
    with released.terminal("promote", "web") as terminal:
        terminal.wait_shown(b"[y/N] ")
        terminal.type(b"\x04")
        assert terminal.wait() == 1
    assert release_of(released)["running"]


@pytest.mark.parametrize("words", [w for w, _, _ in DANGEROUS], ids=name_of)
def test_yes_is_not_asked(released, words):
    with released.terminal(*words, "--yes") as terminal:
        assert terminal.wait() == 0
    assert b"[y/N]" not in terminal.shown


@pytest.mark.parametrize("words", [w for w, _, _ in DANGEROUS], ids=name_of)
def test_a_script_is_not_asked(released, words):
    assert "[y/N]" not in released.ctl(*words)[1]


@pytest.mark.parametrize("words", HARMLESS, ids=name_of)
def test_harmless_words_do_not_ask(released, words):
    with released.terminal(*words) as terminal:
        assert terminal.wait() == 0
    assert b"[y/N]" not in terminal.shown


@pytest.mark.parametrize("words", [
    ["web", "v2", "--plan", b"\xff"], ["web", b"\xff"],
    ["shop", "entry=e2", b"page=p\xff"], ["shop", "entry=e2", b"pag\xff=p7"],
    ["web", "v2", "--who", b"J\xf6rg"], ["web", "v2", "--why", b"gr\xfcn"]],
    ids=repr)
def test_what_is_no_text_is_not_left_out(web, words):
    """The rest would say something else."""
    code, _, errors = web.ctl("release", "start", *words, check=False)
    assert code in (1, 2) and errors
    assert not release_of(web, words[0])["running"]


def test_an_odd_user_may_speak(web):
    web.ctl("release", "start", "web", "v2", USER=b"J\xf6rg", SUDO_USER=None)
    assert web.admin.history("web")[0]["who"] == "operator"


def test_the_first_release_is_not_asked_about(web):
    with web.terminal("release", "start", "web", "v2") as terminal:
        assert terminal.wait() == 0
    assert b"[y/N]" not in terminal.shown


def test_what_perch_refuses_is_not_asked_about(web):
    with web.terminal("promote", "web") as terminal:
        assert terminal.wait() == 1
    assert b"[y/N]" not in terminal.shown
    assert b"no release" in terminal.shown


def test_a_group_is_asked_about_by_its_versions(web):
    web.ctl("release", "start", "shop", "entry=e2", "page=p7")
    with web.terminal("rollback", "shop") as terminal:
        terminal.wait_shown(
            b"shop: take entry e2, page p7, at 1 %, away from everybody?")
        terminal.type(b"y\n")
        assert terminal.wait() == 0
    assert not release_of(web, "shop")["running"]


# -- words --------------------------------------------------------------------

def test_a_whole_release_by_words(web):
    def say(*words):
        return web.ctl(*words)[1].strip()

    assert say("release", "start", "web", "v2") == \
        "web: stable v1, candidate v2 at 5 %"
    assert say("advance", "web") == "web: stable v1, candidate v2 at 10 %"
    assert say("pause", "web") == \
        "web: stable v1, candidate v2 at 10 %, paused"
    assert say("resume", "web") == "web: stable v1, candidate v2 at 10 %"
    assert say("share", "web", "12.5%") == \
        "web: stable v1, candidate v2 at 12.5 %, paused"
    assert say("promote", "web") == "web: stable v2, no release runs"


def test_a_groups_release_by_words(web):
    _, text, _ = web.ctl("release", "start", "shop", "entry=e2", "page=p7",
                         "--share", "7", "--manual")
    assert text == ("shop: stable entry e1, page p6; candidate entry e2, "
                    "page p7; at 7 %\n")
    release = release_of(web, "shop")
    assert release["auto"] is False and release["share"] == 7
    _, text, _ = web.ctl("promote", "shop")
    assert text == "shop: stable entry e2, page p7; no release runs\n"


def test_a_release_takes_a_plan(web):
    web.ctl("release", "start", "shop", "e2", "--plan", "slow", "--auto")
    release = release_of(web, "shop")
    assert (release["plan"], release["auto"]) == ("slow", True)


@pytest.mark.parametrize("options,variables,who", [
    (["--who", "ann"], {"SUDO_USER": "ben", "USER": "root"}, "ann"),
    ([], {"SUDO_USER": "ben", "USER": "root"}, "ben"),
    ([], {"SUDO_USER": None, "USER": "cy"}, "cy"),
    ([], {"SUDO_USER": None, "USER": None}, "operator")])
def test_who_says_it(web, options, variables, who):
    web.ctl("release", "start", "web", "v2", "--why", "build 7", *options,
            **variables)
    entry = web.admin.history("web")[0]
    assert (entry["who"], entry["why"]) == (who, "build 7")


@pytest.mark.parametrize("arguments", [
    ["share", "web", "0"], ["release", "start", "web", "v2", "--share", "0"],
    ["release", "start", "web", "v2", "--auto", "--manual"],
    ["release", "start", "shop", "e2", "page=p7"],
    ["release", "start", "shop", "entry=e2", "entry=e2"],
    ["release", "start", "shop", "entry="], ["release", "begin", "web", "v2"],
    ["plan"], ["plan", "web", "--clients", "many"],
    ["plan", "web", "--error-rate", "101"], ["history", "web", "--max", "0"],
    ["advance", "web", "--share", "5"], ["status", "--yes"],
    ["promote", "web", "--json"], ["pause"], ["pause", "web", "--who", ""]])
def test_bad_usage(web, arguments):
    code, out, errors = web.ctl(*arguments, check=False)
    assert (code, out) == (2, "")
    assert errors.strip()


@pytest.mark.parametrize("arguments,error", [
    (["advance", "web"], "no release of web"),
    (["pause", "shpo"], 'did you mean "shop"?'),
    (["release", "start", "shop", "entry=e3"], "service entry has no version"),
    (["release", "start", "web", "v2", "--plan", "slwo"], '"slow"'),
    (["history", "wbe"], '"web"'), (["plan", "wbe"], '"web"'),
    (["pause", "a/b"], "can't be a service")])
def test_refusals(web, arguments, error):
    code, out, errors = web.ctl(*arguments, check=False)
    assert (code, out) == (1, "")
    assert error in errors


# -- help ---------------------------------------------------------------------

COMMANDS = ["status", "plan", "history", "release", "pause", "resume",
            "advance", "share", "promote", "rollback", "notify", "version",
            "help"]


@pytest.fixture
def nobody():
    """perchctl without a perch: whoever asks for help may have none."""
    with Perch({"web": ["127.0.0.1:1"]}, start=False) as perch:
        yield perch
        perch.is_killed = True


def test_help_names_every_command(nobody):
    _, page, _ = nobody.ctl("help")
    assert [name for name in COMMANDS if "\n  %s " % name in page] == COMMANDS
    assert nobody.ctl("--help")[1] == nobody.ctl("-h")[1] == page


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command(nobody, name):
    _, text, errors = nobody.ctl("help", name)
    assert errors == ""
    assert text.startswith("usage: perchctl %s" % name)
    assert max(map(len, text.splitlines())) <= 80
    # More than how it is written.
    assert text.partition("\n\n")[2]
    assert nobody.ctl(name, "--help")[1] == text
    assert nobody.ctl(name, "-h", "and", "more")[1] == text


def test_help_of_a_command_of_two_words(nobody):
    assert nobody.ctl("help", "release", "start") == \
        nobody.ctl("help", "release")


@pytest.mark.parametrize("words", [["nothing"], ["release", "stop"],
                                   ["status", "now"], ["release", ""]])
def test_help_of_nothing(nobody, words):
    code, out, errors = nobody.ctl("help", *words, check=False)
    assert (code, out) == (2, "")
    assert 'no command "%s"' % " ".join(words) in errors


def test_bad_usage_says_how_it_is_written(nobody):
    code, _, errors = nobody.ctl("share", "web", check=False)
    assert code == 2
    assert errors == (
        "usage: perchctl share UNIT PERCENT [--why TEXT] [--who NAME] "
        '[--yes]\nTry "perchctl help share".\n')


# -- tables -------------------------------------------------------------------

def table(text, first):
    """The words of the line that begins with that, and of those under it."""
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines)
              if line.lstrip().startswith(first))
    rows = []
    for line in lines[at + 1:]:
        if not line.strip():
            break
        rows.append(line.split())
    return lines[at].split(), rows


def test_overview_has_a_line_for_each_service(web):
    titles, rows = table(web.ctl("status")[1], "SERVICE")
    assert titles == ["SERVICE", "GROUP", "STABLE", "STATE", "REQ/S",
                      "ERRORS", "ACTIVE", "REQUESTS"]
    assert [row[0] for row in rows] == ["web", "entry", "page"]
    web.ctl("release", "start", "web", "v2", "--share", "2.5")
    titles, rows = table(web.ctl("status")[1], "SERVICE")
    assert titles[3:7] == ["CANDIDATE", "STATE", "SHARE", "SCORE"]
    assert rows[0][:7] == ["web", "v1", "v2", "running", "2.5", "%", "100"]
    assert rows[1][:4] == ["entry", "shop", "e1", "idle"]


def test_status_explains_a_release(released):
    with RawClient(released.port) as client:
        for _ in range(30):
            client.request()
    released.ctl("pause", "web")
    _, text, _ = released.ctl("status", "web")
    lines = text.splitlines()
    assert lines[0] == "web: stable v1, candidate v2 at 20 %, paused"
    assert lines[1] == "paused: by hand at 20 %"
    assert lines[2].startswith("step 1 of 3 at 20 %")
    assert lines[2].endswith("; plan slow, by itself")
    assert lines[3].startswith("clients in this step: ")
    assert lines[4].startswith("score 100 of 100: evidence of harm 0.4 of "
                               "1,000")
    titles, rows = table(text, "SIGNAL")
    assert titles == ["SIGNAL", "EVIDENCE", "CANDIDATE", "RATE", "STABLE",
                      "RATE", "TRUSTED"]
    assert [row[0] for row in rows] == [
        "errors", "not_found", "latency.p50", "latency.p95", "latency.p99"]
    assert rows[0][1] == "0.4/1,000" and rows[0][-1] == "yes"
    assert [row[0] for row in table(text, "VERSION")[1]][::2] == [
        "v1", "v2", "v3"]


def test_status_of_a_group_has_its_services_versions(web):
    web.ctl("release", "start", "shop", "entry=e2", "page=p7")
    _, text, _ = web.ctl("status", "shop")
    assert text.startswith("shop: stable entry e1, page p6; candidate entry "
                           "e2, page p7; at 1 %\n")
    rows = table(text, "SERVICE")[1]
    assert rows[0][:3] == ["entry", "e1", "stable"]
    assert rows[1][:2] == ["e2", "candidate"]
    assert rows[2][:3] == ["page", "p6", "stable"]
    assert rows[3][:2] == ["p7", "candidate"]


def test_history_table(web):
    web.ctl("release", "start", "web", "v2", "--who", "ann", "--why", "new")
    web.ctl("rollback", "web", "--who", "ben", "--why",
            "a\x1b[31mb\u009b1mc\u00e9\u202e\u2028\U000e0041")
    _, text, _ = web.ctl("history", "web")
    for acting in "\x1b\u009b\u202e\u2028\U000e0041":
        assert acting not in text
        assert acting not in web.stderr()
        assert acting not in web.ctl("history", "web", "--json")[1]
    titles, rows = table(text, "TIME")
    assert titles == ["TIME", "WHO", "WHAT", "SHARE", "CANDIDATE", "SCORE",
                      "WHY"]
    assert rows[0][1:] == ["ben", "rollback", "0", "%", "v2", "100",
                           r"a\u001b[31mb\u009b1mc" "\u00e9"
                           r"\u202e\u2028\udb40\udc41"]
    assert rows[1][1:] == ["ann", "start", "5", "%", "v2", "100", "new"]
    assert len(table(web.ctl("history", "web", "--max", "1")[1],
                     "TIME")[1]) == 1


def test_plan_table(web):
    _, text, _ = web.ctl("plan", "web", "--clients", "1000", "--error-rate",
                         "0.5%")
    assert text.startswith("web: plan slow; clients a second: 1,000 (given); "
                           "error rate: 0.5 % (given)\n")
    titles, rows = table(text, "STEP")
    assert titles == ["STEP", "SHARE", "HOLD", "SEES", "2x", "SEES", "10x"]
    assert rows[0] == ["1", "5", "%", "60", "min", "117", "s", "3.2", "s"]
    assert rows[4] == ["5", "100", "%", "60", "min", "-", "-"]
    assert text.splitlines()[-2:] == [
        "", "-: at 100 % nobody is left on the stable version to compare "
        "with"]
    _, text, _ = web.ctl("plan", "web")
    assert "from the requests of the last seconds" in text


@pytest.mark.parametrize("options,reason", [
    ([], "there are no clients"),
    (["--clients", "10"], "it isn't known how often clients meet an error"),
    (["--clients", "10", "--error-rate", "0"], "there are no errors"),
    (["--clients", "10", "--error-rate", "20"], "more than all clients")])
def test_plan_explains_what_no_step_sees(web, options, reason):
    _, text, _ = web.ctl("plan", "web", *options)
    why = [line for line in text.splitlines() if line.startswith("-: ")]
    assert len(why) == 2
    assert reason in why[0]
    assert "at 100 %" in why[1]


@pytest.mark.parametrize("arguments,key", [
    (["status"], "services"), (["status", "web"], "release"),
    (["status", "shop"], "release"), (["plan", "web"], "steps"),
    (["history", "web"], "history")])
def test_json(web, arguments, key):
    assert key in json.loads(web.ctl(*arguments, "--json")[1])


# -- the screen ---------------------------------------------------------------

def test_watch_redraws_over_what_is_there(released):
    with released.terminal("status", "web", "--watch", "0.1") as terminal:
        terminal.wait_shown(b"candidate v2 at 20 %")
        mark = len(terminal.shown)
        # The new line is shorter: nothing of the old one stays.
        released.admin.rollback("web")
        mark = terminal.wait_shown(b"no release runs", mark)
        terminal.wait_shown(b"\x1b[J", mark)
        lines = screen_of(terminal.shown)
        assert lines[0] == "web: stable v1, no release runs"
        assert lines[1] == "rolled back: by hand"
        assert not any("candidate v2" in line for line in lines)
        terminal.interrupt()
        assert terminal.wait() == 0
    # Cleared once; hidden, and shown again at the end.
    assert terminal.shown.count(b"\x1b[2J") == 1
    assert terminal.shown.startswith(b"\x1b[?25l")
    assert terminal.shown.endswith(b"\x1b[?25h")


def test_watch_keeps_to_a_small_terminal(released):
    with released.terminal("status", "web", "--watch", "0.1", rows=5,
                           columns=30) as terminal:
        for _ in range(3):
            mark = terminal.wait_shown(b"\x1b[J", len(terminal.shown))
        lines = screen_of(terminal.shown[:mark])
        assert len(lines) == 5
        assert all(len(line) < 30 for line in lines)
        assert lines[0] == "web: stable v1, candidate v2 "
        terminal.interrupt()
        assert terminal.wait() == 0


def test_watch_waits_for_a_perch_that_is_away(released):
    with released.terminal("status", "web", "--watch", "0.1") as terminal:
        terminal.wait_shown(b"candidate v2 at 20 %")
        released.kill()
        terminal.wait_shown(b"is perch running?")
        mark = len(terminal.shown)
        released.start()
        terminal.wait_shown(b"candidate v2 at 20 %, held", mark)
        terminal.interrupt()
        assert terminal.wait() == 0


def test_watch_of_nothing_ends(web):
    with web.terminal("status", "nothing", "--watch") as terminal:
        assert terminal.wait() == 1
    assert b'no service or group "nothing"' in terminal.shown
    assert b"\x1b" not in terminal.shown
