"""The subjects of the bench: what each is told, how it is started, driven,
and what it costs. Used by bench/run and bench/parts.py."""
import math
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import time
import urllib.request

# before: an earlier build of perch, where one is named.
SUBJECTS = ["floor", "nginx", "haproxy", "perch", "before"]
# Of clients; haproxy wants 2.5 descriptors for each, of 20,000.
CONNECTIONS_MAX = 7500
ENDPOINTS = 4

# Two-sided 95 % points of Student's t, by degrees of freedom.
T95 = [0, 12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20,
       2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.10, 2.09, 2.09]

children = []


def kill_children():
    for child in reversed(children):
        if child.poll() is None:
            child.terminate()
    for child in children:
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_for(port, name, child, log=None, seconds=5):
    for _ in range(20 * seconds):
        if child.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.05)
    if log is not None:
        log.flush()
        with open(log.name, encoding="utf-8", errors="replace") as src:
            sys.stderr.write(src.read()[-2000:])
    sys.exit(f"bench: {name} did not come up on port {port}")


class Place:
    """Which core is whose: the subject alone on one, all else on another."""

    def __init__(self):
        cores = sorted(os.sched_getaffinity(0))
        self.subject, self.load = None, None
        if len(cores) >= 2:
            self.subject, self.load = cores[1], cores[0]
            os.sched_setaffinity(0, {self.load})

    def start(self, argv, is_subject, log):
        core = self.subject if is_subject else self.load

        def pin():
            if core is not None:
                os.sched_setaffinity(0, {core})

        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                                 stdout=log, stderr=log, preexec_fn=pin)
        children.append(child)
        return child


# --- what the subjects are told ---------------------------------------------

def nginx_config(directory, ports, backends, equal):
    added = "" if not equal else """
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Request-Id $request_id;"""

    def server(port, upstream):
        return f"""
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://{upstream};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;{added}
        }}
    }}"""

    pool = "\n".join(f"        server 127.0.0.1:{p};" for p in backends)
    return f"""
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/nginx.err error;
events {{ worker_connections {2 * CONNECTIONS_MAX}; }}
http {{
    access_log off;
    client_body_temp_path {directory}/nb;
    proxy_temp_path {directory}/np;
    fastcgi_temp_path {directory}/nf;
    uwsgi_temp_path {directory}/nu;
    scgi_temp_path {directory}/ns;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    tcp_nodelay on;
    proxy_buffer_size 32k;
    proxy_buffers 16 32k;
    proxy_busy_buffers_size 128k;
    proxy_max_temp_file_size 0;
    upstream one {{
        server 127.0.0.1:{backends[0]};
        keepalive 256;
        keepalive_requests 1000000000;
    }}
    upstream sticky {{
        hash $cookie_perch consistent;
{pool}
        keepalive 256;
        keepalive_requests 1000000000;
    }}
{server(ports[0], "one")}
{server(ports[1], "sticky")}
}}
"""


def haproxy_config(ports, backends, equal):
    added = "" if not equal else """
    option forwardfor
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(Host)]
    http-request set-header X-Request-Id %[uuid()]"""
    pool = "\n".join(f"    server s{i} 127.0.0.1:{p} pool-max-conn -1"
                     for i, p in enumerate(backends))
    return f"""
global
    nbthread 1
    maxconn {CONNECTIONS_MAX}
    tune.bufsize 32768
defaults
    mode http
    no log
    http-reuse always
    option splice-response
    timeout connect 5s
    timeout client 600s
    timeout server 600s
frontend f_one
    bind 127.0.0.1:{ports[0]} backlog 4096{added}
    default_backend b_one
frontend f_sticky
    bind 127.0.0.1:{ports[1]} backlog 4096{added}
    default_backend b_sticky
backend b_one
    server s0 127.0.0.1:{backends[0]} pool-max-conn -1
backend b_sticky
    balance hash req.cook(perch)
    hash-type consistent
{pool}
"""


def perch_config(directory, ports, backends, admin, workers=1):
    pool = ", ".join(f'"127.0.0.1:{p}"' for p in backends)
    # Two hosts, as a service is found by host and path.
    return f"""
workers: {workers}
timeouts: {{idle: 600s, upstream_idle: 600s}}
limits: {{connections: {CONNECTIONS_MAX}}}
log: {{level: warn, access: {{format: off}}}}
listeners:
  - bind: 127.0.0.1:{ports[0]}
services:
  one:
    match: {{hosts: ["127.0.0.1"], paths: [/]}}
    versions:
      v1: {{endpoints: ["127.0.0.1:{backends[0]}"]}}
    stable: v1
  sticky:
    match: {{hosts: [sticky.test], paths: [/]}}
    versions:
      v1: {{endpoints: [{pool}]}}
      v2: {{endpoints: ["127.0.0.1:{backends[0]}"]}}
    stable: v1
    sticky: {{cookie: perch}}
    balance: {{policy: maglev, key: client}}
admin: {{bind: "127.0.0.1:{admin}"}}
state_dir: {directory}/state
"""


def write(path, text):
    with open(path, "w", encoding="ascii") as out:
        out.write(text)
    return path


class Subject:
    def __init__(self, name, child, port, sticky_port):
        self.name, self.child = name, child
        self.port, self.sticky_port = port, sticky_port

    def pids(self):
        found, todo = [], [self.child.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            try:
                for tid in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{tid}/children",
                              encoding="ascii") as src:
                        todo += [int(word) for word in src.read().split()]
            except OSError:
                pass
        return found

    def cpu_ns(self):
        """User and system time of all threads, by the scheduler's clock."""
        total = 0
        for pid in self.pids():
            for tid in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{tid}/schedstat",
                          encoding="ascii") as src:
                    total += int(src.read().split()[0])
        return total

    def ticks(self):
        """User and system time apart, in ticks of the clock: coarse."""
        user, system = 0, 0
        for pid in self.pids():
            with open(f"/proc/{pid}/stat", encoding="ascii") as src:
                words = src.read().rsplit(")", 1)[1].split()
            user, system = user + int(words[11]), system + int(words[12])
        return user, system

    def memory_bytes(self):
        total = 0
        for pid in self.pids():
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as src:
                for line in src:
                    if line.startswith("Private_Dirty:"):
                        total += int(line.split()[1]) * 1024
        return total


def start_subjects(args, place, directory, log, backends):
    subjects = []
    for name in SUBJECTS:
        if args.only and name not in args.only or \
                name == "before" and not args.before:
            continue
        ports = free_ports(3)
        sticky_port = ports[1]
        if name == "floor":
            argv = [f"{args.build}/bench/floor", str(ports[0]),
                    f"127.0.0.1:{backends[0]}"]
            sticky_port = ports[0]
        elif name == "nginx":
            conf = write(f"{directory}/nginx.conf", nginx_config(
                directory, ports, backends, args.equal))
            argv = [args.nginx, "-c", conf, "-e", f"{directory}/nginx.err"]
        elif name == "haproxy":
            conf = write(f"{directory}/haproxy.cfg", haproxy_config(
                ports, backends, args.equal))
            argv = [args.haproxy, "-db", "-f", conf]
        else:
            place_of = f"{directory}/{name}"
            os.makedirs(f"{place_of}/state", exist_ok=True)
            conf = write(f"{place_of}/perch.yaml", perch_config(
                place_of, ports, backends, ports[2]))
            build = args.build if name == "perch" else args.before
            argv = [f"{build}/perch", "-c", conf]
            sticky_port = ports[0]
        if not argv[0] or not os.access(argv[0], os.X_OK):
            print(f"bench: no {name} here, left out", file=sys.stderr)
            continue
        child = place.start(argv, True, log)
        wait_for(ports[0], name, child, log)
        subjects.append(Subject(name, child, ports[0], sticky_port))
    return subjects


# --- driving and reckoning --------------------------------------------------

def ask_cookie(port):
    """What a browser's first page brings; of who sets none, one as long."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/128", headers={
        "Host": "sticky.test", "Accept": "text/html"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        said = answer.headers.get("Set-Cookie", "").split(";")[0]
    return said or "perch=%029x" % random.getrandbits(116)


def wrk_script(directory, subject):
    """Distinct clients with the subject's own cookies, one after the other;
    requests made beforehand."""
    cookies = [ask_cookie(subject.sticky_port) for _ in range(256)]
    return write(f"{directory}/sticky-{subject.name}.lua", """
local requests, at = {}, 0
local cookies = {""" + ", ".join(f'"{one}"' for one in cookies) + """}
function init(args)
   for i = 1, 256 do
      wrk.headers["Host"] = "sticky.test"
      wrk.headers["Cookie"] = cookies[i]
      requests[i] = wrk.format("GET", "/128")
   end
end
function request()
   at = at % 256 + 1
   return requests[at]
end
""")


def wrk(port, path, seconds, connections=64, more=(), least=1):
    """Requests answered, at least so many, and their rate."""
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", *more,
            f"http://127.0.0.1:{port}{path}"]
    out = subprocess.run(argv, capture_output=True, text=True,
                         check=True).stdout
    count = int(re.search(r"(\d+) requests in", out).group(1))
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    errors = re.search(r"Socket errors: (.*)", out)
    if bad or errors or count < least:
        print(f"bench: {' '.join(argv)}: {bad.group(0) if bad else ''} "
              f"{errors.group(0) if errors else ''} {count} answered",
              file=sys.stderr)
        if bad or count < least:
            sys.exit(1)
    return count, float(re.search(r"Requests/sec:\s*([\d.]+)", out).group(1))


def open_idle(port, count):
    request = (b"GET /128 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
               b"User-Agent: idle\r\n\r\n")
    idle = []
    for i in range(count):
        one = socket.socket()
        # More addresses, as one has not ports enough for all.
        one.bind((f"127.0.1.{1 + i % 8}", 0))
        one.connect(("127.0.0.1", port))
        one.sendall(request)
        if not one.recv(4096).startswith(b"HTTP/1.1 200"):
            sys.exit("bench: idle: not answered with 200")
        idle.append(one)
    return idle


def mean_interval(values):
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, float("nan")
    t = T95[min(len(values) - 1, len(T95) - 1)]
    return mean, t * statistics.stdev(values) / math.sqrt(len(values))


def show(values, digits):
    mean, half = mean_interval(values)
    if math.isnan(half):
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} ± {half:.{digits}f}"
