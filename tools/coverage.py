#!/usr/bin/python3
"""Builds for gcov in build-coverage/, runs all tests, prints what they reach.

    tools/coverage.py [--measure-only] [TREE]

A line or a branch counts as reached if any test reached it; the table is per
file of lb/. Below it, for the files that are HTTP/1's way, each branch that no
test takes: line, which of the line's branches, the line's text.
"""
import argparse
import collections
import json
import os
import re
import subprocess
import sys

# Not to be left with a branch that nothing takes.
HTTP1 = re.compile(
    r"lb/http/.*\.c|lb/proxy/(client|exchange|upstream|upstream_pool|forward"
    r"|retry|rescue|shield)\.c")
SOAK_REQUESTS = "20000"


def run(argv, where, may_fail=False, **environment):
    done = subprocess.run(argv, cwd=where, check=False,
                          stdout=subprocess.DEVNULL,
                          env=dict(os.environ, **environment))
    if done.returncode == 0:
        return
    print(f"coverage: {' '.join(argv)}: exit {done.returncode}",
          file=sys.stderr)
    if not may_fail:
        sys.exit(1)


def build_and_test(tree, build):
    os.makedirs(build, exist_ok=True)
    if not os.path.exists(f"{tree}/configure"):
        run(["autoreconf", "-i"], tree)
    if not os.path.exists(f"{build}/Makefile"):
        # Workers count in the same places: without "atomic" some get lost.
        run([f"{tree}/configure", "-q", "--enable-coverage",
             "CFLAGS=-O0 -g -fprofile-update=atomic"], build)
    run(["make", "-s", "-j2"], build)
    for where, _, names in os.walk(build):
        for name in names:
            if name.endswith(".gcda"):
                os.unlink(f"{where}/{name}")
    run(["make", "-s", "-k", "-j2", "check"], build, may_fail=True)
    run(["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider",
         "tests/wire", "tests/release"], tree, may_fail=True,
        PERCH_BUILD=build)
    run(["/usr/bin/python3", "tests/soak/run", "--build", build,
         "--requests", SOAK_REQUESTS, "--seed", "1"], tree, may_fail=True)


class File:
    def __init__(self):
        self.lines = {}     # number: was it reached
        self.branches = {}  # (number, which): was it taken

    def add(self, line):
        number = line["line_number"]
        self.lines[number] = self.lines.get(number, False) or line["count"] > 0
        for which, branch in enumerate(line["branches"]):
            key = number, which
            self.branches[key] = (self.branches.get(key, False)
                                  or branch["count"] > 0)


def reached(tree, build):
    """{path: File}"""
    files = collections.defaultdict(File)
    for where, _, names in os.walk(build):
        for name in sorted(names):
            if not name.endswith(".gcda"):
                continue
            out = subprocess.run(
                ["gcov", "--json-format", "--stdout", "--branch-counts",
                 "--branch-probabilities", f"{where}/{name}"],
                cwd=build, capture_output=True, check=True).stdout
            for document in out.splitlines():
                for file in json.loads(document)["files"]:
                    path = os.path.relpath(
                        os.path.join(build, file["file"]), tree)
                    if not path.startswith("lb/"):
                        continue
                    for line in file["lines"]:
                        files[path].add(line)
    return files


def share(seen):
    if not seen:
        return "       -         "
    return f"{100 * sum(seen.values()) / len(seen):5.1f} % of {len(seen):5}"


def print_table(files):
    lines, branches = {}, {}
    print("            lines          branches")
    for path, file in sorted(files.items()):
        print(f"{share(file.lines)}  {share(file.branches)}  {path}")
        lines.update({(path, key): x for key, x in file.lines.items()})
        branches.update({(path, key): x for key, x in file.branches.items()})
    print(f"{share(lines)}  {share(branches)}")


def print_untaken(tree, files):
    print("\nBranches of HTTP/1's way that no test takes:")
    count = 0
    for path, file in sorted(files.items()):
        if not HTTP1.fullmatch(path):
            continue
        with open(f"{tree}/{path}", encoding="utf-8") as source:
            text = source.read().splitlines()
        untaken = collections.defaultdict(list)
        for (number, which), is_taken in sorted(file.branches.items()):
            if not is_taken:
                untaken[number].append(which)
                count += 1
        for number, which in untaken.items():
            print(f"{path}:{number}: {','.join(map(str, which))}: "
                  f"{text[number - 1].strip()}")
    print(f"{count} branches")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--measure-only", action="store_true",
                        help="of what has been run already")
    parser.add_argument("tree", nargs="?", default=".")
    chosen = parser.parse_args()
    tree = os.path.abspath(chosen.tree)
    build = f"{tree}/build-coverage"
    if not chosen.measure_only:
        build_and_test(tree, build)
    files = reached(tree, build)
    if not files:
        sys.exit("coverage: nothing measured")
    print_table(files)
    print_untaken(tree, files)


if __name__ == "__main__":
    main()
