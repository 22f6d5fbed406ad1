"""What the bench measures besides its rows: latency at a fixed rate, how cost
grows, two workers against one, system calls per request. Each part returns
its section of bench/results/data-path.md as lines. Used by bench/run."""
import json
import os
import re
import resource
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "tests", "wire"))

from perchtest.cookie import SECRET, seed_cookie  # noqa: E402
from subjects import (Place, Subject, free_ports, mean_interval,
                      open_idle, perch_config, show, wait_for, wrk, write)

CONNECTIONS = 64
SIZES = [1, 100, 1000, 10000]
# Beyond these, client and upstream connections and perch's own descriptors
# have to fit the limit too.
DESCRIPTORS_SPARE = 3000
FLAT = 0.10


class Setting:
    """What every part needs: where things are and run."""

    def __init__(self, args, place: Place, directory, log):
        self.args, self.place = args, place
        self.directory, self.log = directory, log

    def start_perch(self, name, port, text, place=None):
        """perch with this configuration, {state} in it filled in."""
        state = f"{self.directory}/{name}.state"
        os.makedirs(state, exist_ok=True)
        conf = write(f"{self.directory}/{name}.yaml",
                     text.replace("{state}", state))
        child = (place or self.place).start(
            [f"{self.args.build}/perch", "-c", conf], True, self.log)
        wait_for(port, name, child, self.log, seconds=60)
        return Subject("perch", child, port, port)

    def start_spread(self, size, backend):
        """A relay over as many connections as perch has, unread. Of clients
        there may be as many at a time, whatever the size."""
        port = free_ports(1)[0]
        child = self.place.start(
            [f"{self.args.build}/bench/spread", str(port),
             f"127.0.0.1:{backend}", str(max(size, CONNECTIONS))],
            True, self.log)
        wait_for(port, f"spread-{size}", child, self.log, seconds=60)
        return Subject("spread", child, port, port)

    def start_backend(self):
        """A backend on each address of the loopback network; its port."""
        port = port_of_all()
        child = self.place.start([f"{self.args.build}/bench/backend",
                                  f"lo:{port}"], False, self.log)
        wait_for(port, "backend", child, self.log)
        return port, child


def port_of_all():
    """Free on every address. Below those that connections are given, which
    idle ones hold on other addresses of the loopback network."""
    for port in range(20000 + os.getpid() % 5000, 32768):
        with socket.socket() as one:
            try:
                one.bind(("", port))
                return port
            except OSError:
                pass
    sys.exit("bench: no free port")


def stop(*kids):
    for child in kids:
        child.terminate()
    for child in kids:
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def rotated(things, number):
    turn = number % len(things)
    return things[turn:] + things[:turn]


# --- latency at a fixed rate -------------------------------------------------

def ask_at_rate(setting, subject, rate):
    out = subprocess.run(
        [f"{setting.args.build}/bench/rate", str(CONNECTIONS), str(rate),
         str(setting.args.seconds), f"127.0.0.1:{subject.port}", "/128"],
        capture_output=True, text=True, check=True).stdout
    return {key: float(value)
            for key, value in re.findall(r"(\w+)=([\d.]+)", out)}


def latency(setting, subjects):
    args = setting.args
    most = {s.name: wrk(s.port, "/128", args.seconds)[1] for s in subjects}
    rate = int(min(most.values()) / 2)
    got = {s.name: [] for s in subjects}
    for number in range(args.rounds):
        for subject in rotated(subjects, number):
            got[subject.name].append(ask_at_rate(setting, subject, rate))
        print(f"latency {number + 1}/{args.rounds} " + "  ".join(
            f"{name} {seen[-1]['p50_us']:.0f}/{seen[-1]['p99_us']:.0f}/"
            f"{seen[-1]['p999_us']:.0f}" for name, seen in got.items()),
            flush=True)

    def middle(name, key):
        return statistics.median(one[key] for one in got[name])

    could = ", ".join(f"{n} {r:,.0f}" for n, r in most.items())
    lines = [f"{rate:,} requests per second, half of what the slowest of them "
             "could do just before", f"({could}).",
             "Each latency counts from when the request was due, not from "
             "when it was sent.",
             "Microseconds; the median over the rounds.", "",
             "| subject | p50 | p99 | p99.9 | achieved rate | errors "
             "| sent late, p99 |",
             "| --- |" + " ---: |" * 6]
    for name, seen in got.items():
        lines.append(
            f"| {name} | {middle(name, 'p50_us'):,.0f} "
            f"| {middle(name, 'p99_us'):,.0f} "
            f"| {middle(name, 'p999_us'):,.0f} "
            f"| {middle(name, 'rate'):,.0f} "
            f"| {sum(one['errors'] for one in seen):.0f} "
            f"| {middle(name, 'late99_us'):,.0f} |")
    lines += [""] + compare_latency(got)
    lines += ["", "\"Sent late\" is the generator's own part: it and the "
              "backend share a core, with all",
              "else that runs; what it is late by counts for every subject."]
    return lines


def compare_latency(got):
    """perch against the better of nginx and haproxy, within each round."""
    others = [name for name in ("nginx", "haproxy") if name in got]
    if not others or "perch" not in got:
        return []
    cells = []
    for key, title in (("p50_us", "p50"), ("p99_us", "p99"),
                       ("p999_us", "p99.9")):
        pairs = [ours[key] / max(1, min(got[n][i][key] for n in others))
                 for i, ours in enumerate(got["perch"])]
        cells.append(f"{title} {statistics.median(pairs):.2f} "
                     f"({min(pairs):.2f} to {max(pairs):.2f})")
    return ["perch against the better of nginx and haproxy in the same round, "
            "median (range):", "; ".join(cells) + ". At most 1 is wanted."]


# --- what the judge costs ----------------------------------------------------

def judged_config(port, admin, backends, secret):
    pool = ", ".join(f'"127.0.0.1:{p}"' for p in backends)
    return f"""
workers: 1
timeouts: {{idle: 600s, upstream_idle: 600s}}
log: {{level: warn, access: {{format: off}}}}
listeners:
  - bind: 127.0.0.1:{port}
services:
  sticky:
    versions:
      v1: {{endpoints: [{pool}]}}
      v2: {{endpoints: [{pool}]}}
    stable: v1
    warmup: 0s
    plan: slow
    sticky: {{cookie: perch}}
    balance: {{policy: maglev, key: client}}
plans:
  slow: {{steps: [10, 100], hold: 24h}}
sticky: {{secret: {secret}}}
admin: {{bind: "127.0.0.1:{admin}"}}
state_dir: {{state}}
"""


def seeds_script(setting):
    """Clients that are on the side of their bucket, so that all count."""
    cookies = [seed_cookie(i * 40503, "sticky") for i in range(1, 1025)]
    return write(f"{setting.directory}/seeds.lua", """
local requests, at = {}, 0
local cookies = {""" + ", ".join(f'"{one}"' for one in cookies) + """}
function init(args)
   for i = 1, 1024 do
      wrk.headers["Cookie"] = "perch=" .. cookies[i]
      requests[i] = wrk.format("GET", "/128")
   end
end
function request()
   at = at % 1024 + 1
   return requests[at]
end
""")


def post(port, path, body):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", body.encode(),
        {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}",
                                timeout=5) as answer:
        return json.load(answer)


def judged(setting):
    """The sticky row with a release running and the judge on, against the
    same without."""
    args = setting.args
    backends = free_ports(4)
    kid = setting.place.start([f"{args.build}/bench/backend"] +
                              [str(p) for p in backends], False, setting.log)
    wait_for(backends[0], "backend", kid, setting.log)
    script = seeds_script(setting)
    secret = write(f"{setting.directory}/secret", SECRET + "\n")
    runs = {}
    for name in ("alone", "judged"):
        port, admin = free_ports(2)
        runs[name] = (setting.start_perch(
            name, port, judged_config(port, admin, backends, secret)), admin, [])
    post(runs["judged"][1], "/api/v1/services/sticky/release",
         '{"version": "v2"}')
    for turn in range(args.rounds + 1):
        for name in rotated(list(runs), turn):
            subject, _, costs = runs[name]
            before = subject.cpu_ns()
            count, _ = wrk(subject.port, "/128", args.seconds, CONNECTIONS,
                           ["-s", script])
            if turn > 0:
                costs.append((subject.cpu_ns() - before) / 1000 / count)
        if turn > 0:
            print(f"judged {turn}/{args.rounds} " + "  ".join(
                f"{n} {run[2][-1]:.2f}" for n, run in runs.items()),
                flush=True)
    release = get(runs["judged"][1],
                  "/api/v1/services/sticky")["release"]
    stop(kid, *(run[0].child for run in runs.values()))
    if release["state"] not in ("running", "held"):
        sys.exit(f"bench: the release did not run: {release['reason']}")
    return tell_judged(runs, release)


def tell_judged(runs, release):
    lines = ["| the sticky row | CPU us per request |", "| --- | ---: |"]
    for name, title in (("alone", "no release"),
                        ("judged", "a release at 10 %, judged")):
        lines.append(f"| {title} | {show(runs[name][2], 2)} |")
    ratios = [b / a for a, b in zip(runs["alone"][2], runs["judged"][2])]
    clients = release["clients"]
    return lines + [
        "", f"With a release against without, pair by pair: "
        f"{show(ratios, 3)}. At most 1.03 is wanted.",
        f"1,024 clients by cookie, all judged: {clients['candidate']} on the "
        f"candidate, {clients['stable']} on stable, score "
        f"{release['score']:.0f} at the end."]


# --- how cost grows ----------------------------------------------------------

def growth_config(port, services, connections=2000):
    return f"""
workers: 1
timeouts: {{idle: 600s, upstream_idle: 600s}}
limits: {{connections: {connections}}}
log: {{level: warn, access: {{format: off}}}}
listeners:
  - bind: 127.0.0.1:{port}
services:
{services}
admin: {{bind: "127.0.0.1:{free_ports(1)[0]}"}}
state_dir: {{state}}
"""


def many_endpoints(port, backend, size, policy):
    pool = ", ".join(f'"127.1.{i // 250}.{1 + i % 250}:{backend}"'
                     for i in range(size))
    return growth_config(port, f"""\
  one:
    versions:
      v1: {{endpoints: [{pool}]}}
    balance: {{policy: {policy}}}""")


def many_services(port, backend, size, match):
    return growth_config(port, "\n".join(f"""\
  s{i}:
    match: {match.format(i=i)}
    versions:
      v1: {{endpoints: ["127.0.0.1:{backend}"]}}""" for i in range(size)))


def spread_script(setting, name, size, host, path, asked):
    """Requests to `asked` of the services in turn, made beforehand. The order
    is a stride through them, so that neighbours aren't asked together."""
    return write(f"{setting.directory}/{name}.lua", f"""
local requests, at = {{}}, 0
function init(args)
   for i = 0, {asked} - 1 do
      local n = string.format("%d", ({size // 2} + i * 7919) % {size})
      wrk.headers["Host"] = ("{host}"):gsub("#", n)
      requests[i + 1] = wrk.format("GET", (("{path}"):gsub("#", n)))
   end
end
function request()
   at = at % {asked} + 1
   return requests[at]
end
""")


class Step:
    """One perch of a series: as large as `size` says."""

    def __init__(self, size, subject, more=(), asked=1):
        self.size, self.subject, self.more = size, subject, list(more)
        self.asked = asked  # endpoints or services, by all requests
        self.costs = []
        self.user, self.system = 0, 0  # ticks of all rounds
        self.rest = 0.0

    def drive(self, seconds):
        before = self.subject.cpu_ns()
        count, _ = wrk(self.subject.port, "/128", seconds, CONNECTIONS,
                       self.more)
        return (self.subject.cpu_ns() - before) / 1000 / count, count

    def take_round(self, seconds):
        user, system = self.subject.ticks()
        self.costs.append(self.drive(seconds)[0])
        user_after, system_after = self.subject.ticks()
        self.user += user_after - user
        self.system += system_after - system

    def warm(self):
        """Until each endpoint and service had several requests. None may be
        answered yet in the first second: a large config takes its time."""
        done = 0
        for _ in range(60):
            done += wrk(self.subject.port, "/128", 1, CONNECTIONS, self.more,
                        least=0)[0]
            if done >= 10 * self.asked:
                break

    def see_rest(self):
        """CPU milliseconds per second while nobody asks."""
        before = self.subject.cpu_ns()
        time.sleep(2)
        self.rest = (self.subject.cpu_ns() - before) / 2e6


def measure_steps(title, steps, args, floors=()):
    """Floors: for each step, a relay over as many connections."""
    for step in [*steps, *floors]:
        step.warm()
    for step in steps:
        step.see_rest()
    for number in range(args.rounds):
        for step in rotated([*steps, *floors], number):
            step.take_round(args.seconds)
        print(f"{title} {number + 1}/{args.rounds} " + "  ".join(
            f"{s.size} {s.costs[-1]:.2f}" for s in steps)
            + (" floor " if floors else "") + "  ".join(
                f"{s.size} {s.costs[-1]:.2f}" for s in floors), flush=True)
    lines = [f"### {title[0].upper()}{title[1:]}", "",
             "| number | CPU us per request | of it user | ratio to the "
             "smallest | flat within 10 % | CPU ms/s at rest |",
             "| ---: | ---: | ---: | ---: | --- | ---: |"]
    for step in steps:
        ratios = [a / b for a, b in zip(step.costs, steps[0].costs)]
        part = step.user / max(1, step.user + step.system)
        lines.append(f"| {step.size:,} | {show(step.costs, 2)} "
                     f"| {part * statistics.fmean(step.costs):.1f} "
                     f"| {show(ratios, 3)} | {is_flat(ratios)} "
                     f"| {step.rest:.1f} |")
    return lines + (compare_floors(steps, floors) if floors else []) + [""]


def compare_floors(steps, floors):
    """What of the growth is the sockets', which no proxy can spare, and what
    is left of perch's ratio without that."""
    lines = ["", "| number | floor with as many connections | its ratio to "
             "the smallest | perch/floor | perch's ratio without the floor's "
             "growth | flat within 10 % |",
             "| ---: | ---: | ---: | ---: | ---: | --- |"]
    for step, floor in zip(steps, floors):
        own = [(cost - more + less) / smallest for cost, more, less, smallest
               in zip(step.costs, floor.costs, floors[0].costs,
                      steps[0].costs)]
        ratios = [a / b for a, b in zip(floor.costs, floors[0].costs)]
        against = [a / b for a, b in zip(step.costs, floor.costs)]
        lines.append(f"| {step.size:,} | {show(floor.costs, 2)} "
                     f"| {show(ratios, 3)} | {show(against, 3)} "
                     f"| {show(own, 3)} | {is_flat(own)} |")
    return lines


def is_flat(ratios):
    """As far as the interval says so."""
    mean, half = mean_interval(ratios)
    if mean + half <= 1 + FLAT:
        return "yes"
    if mean - half > 1 + FLAT:
        return "no"
    return "not settled"


class Floors:
    """Of a series in which all are asked; with a backend of their own, whose
    descriptors would not do for two."""

    def __init__(self, setting):
        backend, self.kid = setting.start_backend()
        self.steps = [Step(size, setting.start_spread(size, backend),
                           asked=size) for size in SIZES]

    def stop(self):
        stop(self.kid, *(step.subject.child for step in self.steps))


def measure_series(setting, title, steps, is_spread):
    if not is_spread:
        return measure_steps(title, steps, setting.args)
    floors = Floors(setting)
    lines = measure_steps(title, steps, setting.args, floors.steps)
    floors.stop()
    return lines


def grow_endpoints(setting, title, policy, is_spread=True):
    backend, kid = setting.start_backend()
    steps = []
    for size in SIZES:
        port = free_ports(1)[0]
        steps.append(Step(size, setting.start_perch(
            f"endpoints-{size}", port,
            many_endpoints(port, backend, size, policy)),
            asked=size if is_spread else 1))
    lines = measure_series(setting, title, steps, is_spread)
    stop(kid, *(step.subject.child for step in steps))
    return lines


def grow_services(setting, title, match, host, path, is_spread=True):
    backend, kid = setting.start_backend()
    steps = []
    for size in SIZES:
        port = free_ports(1)[0]
        asked = size if is_spread else 1
        script = spread_script(setting, f"services-{size}", size, host, path,
                               asked)
        steps.append(Step(size, setting.start_perch(
            f"services-{size}", port,
            many_services(port, backend, size, match)), ["-s", script], asked))
    lines = measure_series(setting, title, steps, is_spread)
    stop(kid, *(step.subject.child for step in steps))
    return lines


def grow_connections(setting):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    backend, kid = setting.start_backend()
    idle, steps = [], []
    for size in (10, 1000, min(15000, hard - DESCRIPTORS_SPARE)):
        port = free_ports(1)[0]
        text = growth_config(port, f"""\
  one:
    versions:
      v1: {{endpoints: ["127.0.0.1:{backend}"]}}""", size + 1000)
        steps.append(Step(size, setting.start_perch(
            f"connections-{size}", port, text)))
        idle += open_idle(port, size)
    lines = measure_steps("idle connections beside 64 busy ones", steps,
                          setting.args)
    for one in idle:
        one.close()
    stop(kid, *(step.subject.child for step in steps))
    return lines


BY_HOST = ("{{hosts: [s{i}.test]}}", "s#.test", "/128")
BY_PATH = ("{{paths: [/128/s{i}]}}", "one.test", "/128/s#")

# With one asked, there is one upstream connection in use, and what grows is
# perch's own; with all asked, the connections grow too.
SERIES = {
    "endpoints": lambda s: grow_endpoints(
        s, "endpoints of one service, all asked (least_request)",
        "least_request"),
    "endpoints-one": lambda s: grow_endpoints(
        s, "endpoints of one service, one asked (maglev by path)",
        "maglev, key: [path]", False),
    "hosts": lambda s: grow_services(
        s, "services by host, all asked", *BY_HOST),
    "hosts-one": lambda s: grow_services(
        s, "services by host, one asked", *BY_HOST, False),
    "paths-one": lambda s: grow_services(
        s, "services by path on one host, the middle one asked", *BY_PATH,
        False),
    "connections": grow_connections,
}


def growth(setting, keep):
    """keep() is called after each series, for they take long."""
    lines = ["The cost of a request of perch (the `small` row's) by what is "
             "in its config, or connected.",
             "Where all endpoints or services are asked, each had its "
             "connection before; so larger numbers",
             "bring as many upstream connections along, whose state is in no "
             "cache when its turn comes;",
             "nor is that of their other ends, which the kernel works on in the "
             "name of who sends. The floor of",
             "that is `bench/spread`: a relay that reads nothing and sends "
             "each request over another one of as",
             "many connections.",
             "Where one is asked, only the config grows. User time is of the "
             "clock's ticks, and coarse.", ""]
    for name in setting.args.series:
        lines += SERIES[name](setting)
        keep(lines[:-1])
    return lines[:-1]


# --- two workers against one -------------------------------------------------

class Anywhere(Place):
    """Nothing pinned: two workers need both cores."""

    def __init__(self, cores):
        self.subject, self.load, self.cores = None, None, cores

    def start(self, argv, is_subject, log):
        os.sched_setaffinity(0, self.cores)
        return super().start(argv, is_subject, log)


def workers(setting):
    args = setting.args
    own = os.sched_getaffinity(0)
    cores = set(range(os.cpu_count()))
    backend, kid = setting.start_backend()
    os.sched_setaffinity(0, cores)
    os.sched_setaffinity(kid.pid, cores)
    runs = {}
    for number in (1, 2):
        ports = free_ports(3)
        text = perch_config(setting.directory, ports, [backend] * 4, ports[2],
                            number).replace(f"{setting.directory}/state",
                                            "{state}")
        # One pool of one endpoint: the second service isn't asked.
        text = re.sub(r"  sticky:.*?(?=^admin)", "", text,
                      flags=re.DOTALL | re.MULTILINE)
        runs[number] = (setting.start_perch(f"workers-{number}", ports[0],
                                            text, Anywhere(cores)), [], [], [])
    for turn in range(args.rounds + 1):
        for number in rotated([1, 2], turn):
            subject, rates, costs, used = runs[number]
            before, began = subject.cpu_ns(), time.monotonic()
            count, rate = wrk(subject.port, "/128", args.seconds)
            spent = subject.cpu_ns() - before
            if turn == 0:
                continue
            rates.append(rate)
            costs.append(spent / 1000 / count)
            used.append(spent / 1e9 / (time.monotonic() - began))
        if turn > 0:
            print(f"workers {turn}/{args.rounds} {runs[1][1][-1]:.0f} "
                  f"{runs[2][1][-1]:.0f} req/s", flush=True)
    stop(kid, *(run[0].child for run in runs.values()))
    os.sched_setaffinity(0, own)
    return tell_workers(runs, len(cores))


def tell_workers(runs, cores):
    lines = ["| workers | requests per second | CPU us per request "
             "| cores that perch used |", "| ---: | ---: | ---: | ---: |"]
    for number, (_, rates, costs, used) in runs.items():
        lines.append(f"| {number} | {show(rates, 0)} | {show(costs, 2)} "
                     f"| {show(used, 2)} |")
    rates = [b / a for a, b in zip(runs[1][1], runs[2][1])]
    costs = [b / a for a, b in zip(runs[1][2], runs[2][2])]
    lines += ["", f"Two against one, pair by pair: rate {show(rates, 2)}, "
              f"CPU per request {show(costs, 3)}."]
    if cores < 4:
        lines += [f"This machine has {cores} cores, for perch, the load "
                  "generator and the backend together, so the", "rate is not "
                  "bound by perch's CPU: where two workers should reach 1.6 "
                  "times the rate of one, this", "says nothing (it takes four "
                  "cores). What it can say is the second ratio: what a "
                  "request costs", "with a second worker beside; workers "
                  "that waited for each other or shared what they write",
                  "would show there as more than 1."]
    return lines


# --- system calls ------------------------------------------------------------

def count_calls(setting, subject):
    """Calls by name, and requests answered meanwhile."""
    out = f"{setting.directory}/{subject.name}.strace"
    argv = ["strace", "-c", "-f", "-o", out]
    for pid in subject.pids():
        argv += ["-p", str(pid)]
    # Unmeasured, so that upstream connections stand.
    wrk(subject.port, "/128", 1)
    tracer = subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                              stdout=setting.log, stderr=setting.log)
    time.sleep(0.5)
    if tracer.poll() is not None:
        sys.exit("bench: strace could not attach")
    count, _ = wrk(subject.port, "/128", setting.args.seconds)
    tracer.send_signal(signal.SIGINT)
    tracer.wait(10)
    calls = {}
    with open(out, encoding="ascii") as src:
        for line in src:
            words = line.split()
            if len(words) >= 5 and re.fullmatch(r"[\d.]+", words[0]) and \
                    words[-1] != "total":
                calls[words[-1]] = int(words[3])
    return calls, count


def calls(setting, subjects):
    lines = ["`strace -c` over the `small` row, divided by the requests; "
             "what is below 0.01 is left out.",
             f"{CONNECTIONS} connections were accepted and closed meanwhile. "
             "A traced proxy is slower than its peers, so", "more waits in "
             "each epoll_wait; untraced, its share is larger.", "",
             "| subject | all | by name |", "| --- | ---: | --- |"]
    for subject in subjects:
        seen, count = count_calls(setting, subject)
        each = {name: n / count for name, n in seen.items()}
        named = ", ".join(f"{name} {part:.2f}" for name, part in sorted(
            each.items(), key=lambda one: -one[1]) if part >= 0.01)
        lines.append(f"| {subject.name} | {sum(each.values()):.2f} "
                     f"| {named} |")
        print(lines[-1], flush=True)
    return lines
