#!/usr/bin/python3
"""Builds for gcov in build-coverage/, runs all tests, prints what they reach.

    tools/coverage.py [--measure-only] [TREE]

A line or a branch counts as reached if any test reached it; the table is per
file of lb/. Below it, for the files that are HTTP/1's way, each branch that no
test takes: line, which of the line's branches, the line's text. Those that are
named in coverage_exceptions.txt, beside this, stand under their reasons; any
other is a failure, as is an exception that names nothing. What makes an assert
fail is no branch here: it takes a bug.
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
    r"lb/http/.*\.c|lb/net/(conn|transport|pipe|timeouts)\.c"
    r"|lb/proxy/(client|exchange|upstream|forward)(_\w+)?\.c"
    r"|lb/proxy/(retry|rescue|shield|choose|sticky|tunnel)\.c")
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


class Exceptions:
    """Paragraphs of a reason, then indented what it is for: the function and
    the text of the line, "(n)" before it where n of the line's branches are
    meant and not one. No numbers of lines, no names of files: code moves."""

    ENTRY = re.compile(r"(\w+)(?: \((\d+)\))?: (.*)")

    def __init__(self, path):
        self.reasons = []  # (text, keys)
        self.limits = {}   # (function, text): how many branches
        for paragraph in self._paragraphs(path):
            reason = [x for x in paragraph if not x[0].isspace()]
            keys = []
            for line in paragraph:
                if line[0].isspace():
                    function, n, text = self.ENTRY.fullmatch(
                        line.strip()).groups()
                    keys.append((function, text))
                    self.limits[function, text] = int(n or 1)
            self.reasons.append(("\n".join(reason), keys))

    @staticmethod
    def _paragraphs(path):
        with open(path, encoding="utf-8") as file:
            lines = [x for x in file.read().splitlines()
                     if not x.startswith("#")]
        for paragraph in "\n".join(lines).split("\n\n"):
            if paragraph.strip():
                yield paragraph.strip("\n").splitlines()


class File:
    def __init__(self):
        self.lines = {}      # number: was it reached
        self.branches = {}   # (number, which): was it taken
        self.functions = {}  # number: the function's name

    def add(self, line):
        number = line["line_number"]
        self.functions[number] = line.get("function_name", "")
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


def without_asserts(text):
    """Numbers of the lines that are no part of an assert."""
    found = set()
    is_assert = False
    for number, line in enumerate(text, 1):
        is_assert = is_assert or line.strip().startswith("assert(")
        if not is_assert:
            found.add(number)
        elif line.endswith(");"):
            is_assert = False
    return found


def untaken_branches(tree, files):
    """(function, line's text): ["path:line: branches"], and all such keys."""
    untaken, known = {}, set()
    for path, file in sorted(files.items()):
        if not HTTP1.fullmatch(path):
            continue
        with open(f"{tree}/{path}", encoding="utf-8") as source:
            text = source.read().splitlines()
        counted = without_asserts(text)
        for number, function in file.functions.items():
            known.add((function, text[number - 1].strip()))
        for (number, which), is_taken in sorted(file.branches.items()):
            if not is_taken and number in counted:
                key = file.functions[number], text[number - 1].strip()
                untaken.setdefault(key, []).append((path, number, which))
    return untaken, known


def print_branches(key, branches):
    by_line = collections.defaultdict(list)
    for path, number, which in branches:
        by_line[f"{path}:{number}"].append(str(which))
    for line, which in by_line.items():
        print(f"  {line}: {key[0]}: {','.join(which)}: {key[1]}")


def judge(tree, files):
    """Prints the branches that nothing takes; True if all are excepted."""
    exceptions = Exceptions(os.path.join(
        os.path.dirname(os.path.abspath(__file__)),
        "coverage_exceptions.txt"))
    untaken, known = untaken_branches(tree, files)
    print("\nBranches of HTTP/1's way that no test takes, by exception:")
    for reason, keys in exceptions.reasons:
        print(f"\n{reason}")
        for key in keys:
            if key in untaken:
                print_branches(key, untaken[key])
            elif key in known:
                print(f"  taken, this time: {key[0]}: {key[1]}")
    bad = [key for key, branches in untaken.items()
           if len(branches) > exceptions.limits.get(key, 0)]
    print(f"\nWithout an exception: {sum(len(untaken[k]) for k in bad)}")
    for key in bad:
        print_branches(key, untaken[key])
    gone = [key for key in exceptions.limits if key not in known]
    for key in gone:
        print(f"Exception that names nothing: {key[0]}: {key[1]}")
    return not bad and not gone


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
    if not judge(tree, files):
        sys.exit(1)


if __name__ == "__main__":
    main()
