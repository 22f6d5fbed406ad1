"""rollout: whole releases with real processes.

Version   a version of a service, a process that fails as it is told (faulty.c)
Herd      clients with cookies at a fixed rate (herd.c)
Rollout   a perch before versions, with a herd, and what became of both

Times are monotonic seconds, the same clock in all processes.
"""

import collections
import datetime
import json
import os
import re
import subprocess
import tempfile
import time

from perchtest import Perch, wait_for
from perchtest.perch import program

STEPS = [1, 5, 10, 20, 50, 80, 100]
# Steps are short here, and so are the crowds that they wait for. Each version
# is one process, which a busy machine holds up for all its clients at once, and
# that is no chance that the judge could know of: hence the margin.
PLAN = {"steps": STEPS, "hold": "1s", "min_clients": 10,
        "latency": {"margin": "1s"}}
# Where nobody is rolled back, but some are hurt, on either side: the judge is
# wrong once in 5,000 times by default, and with this not in a life.
SURE = {"false_rollback": 0.0001, "tolerance": 1.5}
# For those who are slow themselves: a smaller margin, an answer that is a slow
# one in any case, and steps that last until that shows.
STRICT = {"latency": {"margin": "300ms"}, "hold": "3s"}
SLOW_MS = 2000
# A herd of pages with an asset that both versions have. Where each has its own,
# those of the candidate's last pages reach it by rescue after its end.
SHARED = {"visit": "n/,s/assets/app.js"}
# A herd that was later than this, in s, was held up by the machine: it waits
# for nothing that perch does.
LATE = 0.1

_EVENT = re.compile(r"event (\{.*\})$", re.M)


def helper(name):
    """What `make check_PROGRAMS` built; made here if it wasn't."""
    path = program("tests/release/" + name)
    if not os.path.exists(path):
        subprocess.run(["make", "-s", "-C", os.path.dirname(program()),
                        "tests/release/" + name], check=True)
    return path


class Version:
    """orders: lines as faulty.c has them, such as "fail 1 500"."""

    def __init__(self, name, *orders):
        self.name = name
        self._process = subprocess.Popen(
            [helper("faulty"), name], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        self.address = "127.0.0.1:" + self._process.stdout.readline().strip()
        for order in orders:
            self.order(order)

    def order(self, text):
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()

    @property
    def pid(self):
        return self._process.pid

    def report(self):
        """Requests and faults so far; first, first_fault and last in s."""
        seen = json.loads(self.order("report"))
        for key in "first", "first_fault", "last":
            seen[key] = seen.pop(key + "_ns") / 1e9
        return seen

    def crash(self):
        self._process.kill()
        self._process.wait()

    def close(self):
        if self._process.poll() is None:
            self._process.stdin.close()
            self._process.wait(20)


class Record(collections.namedtuple(
        "Record", "due sent end client connection step status grpc version "
        "page rescued")):
    """A request; see herd.c."""

    @property
    def failed(self):
        return self.status < 200 or self.status >= 400 or self.grpc > 0


class Records(list):
    """What a herd saw; bots are left out, as nobody pities them."""

    def __init__(self, path, clients):
        with open(path, encoding="ascii") as lines:
            for line in lines:
                words = line.split()
                record = Record(
                    *[int(word) / 1e6 for word in words[:3]],
                    *[int(word) for word in words[3:8]],
                    *words[8:10], words[10] == "1")
                if record.client < clients:
                    self.append(record)
        self.sort(key=lambda record: record.end)

    def rate(self):
        """Requests a second."""
        return len(self) / (self[-1].sent - self[0].sent)

    def failures(self):
        return [record for record in self if record.failed]

    def hurt(self):
        """The clients that saw a failure."""
        return {record.client for record in self.failures()}

    def mixed(self):
        """Of a page with parts of another version."""
        return [record for record in self if record.step > 0 and
                record.version not in (record.page, "-")]

    def of(self, version):
        return [record for record in self if record.version == version]

    def lateness(self):
        """How late the herd itself was, at the worst: the machine's doing,
        as nothing that perch does can hold it up."""
        return max(record.sent - record.due for record in self)


class Herd:
    """Options as herd.c has them: rate=500, visit="n/,s/assets/app.js"."""

    def __init__(self, port, **options):
        self._clients = options.setdefault("clients", 3000)
        self._folder = tempfile.TemporaryDirectory(prefix="perch-herd-")
        self._file = os.path.join(self._folder.name, "records")
        self._process = subprocess.Popen(
            [helper("herd"), str(port), self._file] +
            ["%s=%s" % item for item in options.items()],
            stdin=subprocess.PIPE)

    def stop(self):
        """Ends it: its Records."""
        self._process.stdin.close()
        assert self._process.wait(30) == 0
        return Records(self._file, self._clients)

    def close(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()


class Rollout:
    """A perch, versions and a herd.

        with Rollout({"web": [v1, v2]}) as rollout:
            rollout.release("web", "v2")
            rollout.wait_state("web", "rolled_back")
            records = rollout.end()

    services: name -> Versions, the first one stable; lists for versions with
    several endpoints. each: more settings of every service; settings: of one
    by its name; herd: of the herd; plan: laid over the short one here, and
    plans are more of them; the rest is perch's.
    """

    def __init__(self, services, plan=None, herd=None, each=None,
                 settings=None, plans=None, **perch):
        self.versions = services
        plan = dict(PLAN, **(plan or {}))
        configured = {}
        for name, versions in services.items():
            pools = [v if isinstance(v, list) else [v] for v in versions]
            configured[name] = dict({
                "versions": {pool[0].name: pool for pool in pools},
                "plan": "short", "warmup": "0s",
            }, **(each or {}))
            configured[name].update((settings or {}).get(name, {}))
        perch.setdefault("workers", 2)
        perch.setdefault("log", {"level": "info"})
        self._wall = time.time() - time.monotonic()
        plans = dict({"short": plan}, **{
            name: dict(PLAN, **other) for name, other in (plans or {}).items()})
        self.perch = Perch(configured, plans=plans, **perch)
        self.admin = self.perch.admin
        self.herd = None
        try:
            self.herd = Herd(self.perch.port, **(herd or {}))
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.herd:
            self.herd.close()
        self.perch.__exit__(kind)
        self.close()

    def close(self):
        for versions in self.versions.values():
            for version in versions:
                for one in version if isinstance(version, list) \
                        else [version]:
                    one.close()

    # -- doing ----------------------------------------------------------------

    def say(self, unit, word, **body):
        return self.admin.do("/api/v1/services/%s/%s" % (unit, word), body)

    def release(self, unit, version, **body):
        return self.say(unit, "release", version=version, **body)

    def wait_share(self, unit, share):
        self._wait(unit, "%g %% of %s" % (share, unit), lambda now:
                   now["running"] and now["share"] >= share, 20)

    def wait_state(self, unit, *states, timeout=25):
        """The release's JSON once its state is one of them."""
        return self._wait(unit, "%s to be %s" % (unit, " or ".join(states)),
                          lambda now: now["state"] in states, timeout)

    def _wait(self, unit, what, is_so, timeout):
        def look():
            now = self.look(unit)
            return now if is_so(now) else None
        try:
            return wait_for(what, look, timeout=timeout)
        except AssertionError as error:
            raise AssertionError("%s: %s" % (error, self.look(unit)))

    def end(self):
        """Stops the herd: its Records."""
        return self.herd.stop()

    def stable(self, version):
        """The one that a version is the candidate beside."""
        for versions in self.versions.values():
            if version in versions:
                return versions[0]
        raise KeyError(version)

    # -- looking --------------------------------------------------------------

    def look(self, unit):
        return self.admin.service(unit)["release"]

    def assert_quiet(self, version):
        """No request reaches it, however many come. One that was under way
        there has arrived when each connection was used again, by turns."""
        stable = self.stable(version)

        def wait_traffic(n):
            more = stable.report()["requests"] + n
            wait_for("traffic", lambda: stable.report()["requests"] > more)
        wait_traffic(200)
        before = version.report()["requests"]
        wait_traffic(500)
        assert version.report()["requests"] == before

    def events(self, name=None):
        """Those of the log, oldest first."""
        found = [json.loads(text)
                 for text in _EVENT.findall(self.perch.stderr())]
        for event in found:
            event["at"] = datetime.datetime.fromisoformat(
                event["time"].replace("Z", "+00:00")).timestamp() - self._wall
        return [event for event in found
                if name is None or event["event"] == name]


# -- how soon a word is obeyed ------------------------------------------------

# Connections go to workers by a hash of theirs: that so many are all one
# worker's has a chance of 2 in 65,536. Each is used every 4 ms.
CONNECTIONS = 16
RATE = 4000


def waited_for_a_core(pids):
    """The seconds that their threads have, all in all, been ready to run and
    did not: the scheduler's own account."""
    waited = 0
    for pid in pids:
        for thread in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/schedstat" % (pid, thread),
                      encoding="ascii") as file:
                waited += int(file.read().split()[1])
    return waited / 1e9


class Change:
    """Of the share to 100 %, said at a time; waited: for a core, by all that
    had to do with it."""

    def __init__(self, said, waited):
        self.said = said
        self.waited = waited
        self.took = None  # s until each connection had an answer of v2

    def look(self, records):
        first = {}
        for record in records:
            if record.version == "v2" and record.sent >= self.said:
                first.setdefault(record.connection, record.end - self.said)
        assert len(first) == CONNECTIONS
        self.took = max(first.values())
        self.waited += max(r.sent - r.due for r in records
                           if self.said <= r.due <= self.said + self.took)
        return self


def change_shares(count, **perch):
    """Raises the share from next to nothing to 100 %, so many times."""
    v1, v2 = Version("v1"), Version("v2")
    changes = []

    def wait_more(version, more):
        more += version.report()["requests"]
        wait_for("traffic", lambda: version.report()["requests"] > more)

    with Rollout({"web": [v1, v2]}, herd={
            "visit": "n/", "rate": RATE, "new": 0, "clients": 4000,
            "connections": CONNECTIONS, "most": CONNECTIONS},
            **perch) as rollout:
        involved = [os.getpid(), rollout.perch.pid, v2.pid]
        rollout.release("web", "v2", share=0.01)
        for _ in range(count):
            rollout.say("web", "share", share=0.01)
            wait_more(v1, 500)
            before = waited_for_a_core(involved)
            said = time.monotonic()
            rollout.say("web", "share", share=100)
            wait_more(v2, 50)
            changes.append(Change(said, waited_for_a_core(involved) - before))
            wait_more(v2, 500)
        records = rollout.end()
    return [change.look(records) for change in changes]
