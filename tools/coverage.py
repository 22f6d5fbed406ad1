#!/usr/bin/python3
"""Builds for gcov in build-coverage/, runs all tests, prints what they reach.

    tools/coverage.py [TREE]

A line counts as reached if any test reached it; the table is per file of lb/.
"""
import collections
import json
import os
import subprocess
import sys


def run(argv, where, may_fail=False, **environment):
    done = subprocess.run(argv, cwd=where, check=False,
                          stdout=subprocess.DEVNULL,
                          env=dict(os.environ, **environment))
    if done.returncode != 0 and not may_fail:
        sys.exit(f"coverage: {' '.join(argv)}: exit {done.returncode}")


def build_and_test(tree, build):
    os.makedirs(build, exist_ok=True)
    if not os.path.exists(f"{tree}/configure"):
        run(["autoreconf", "-i"], tree)
    if not os.path.exists(f"{build}/Makefile"):
        run([f"{tree}/configure", "-q", "--enable-coverage",
             "CFLAGS=-O0 -g"], build)
    run(["make", "-s", "-j2"], build)
    for where, _, names in os.walk(build):
        for name in names:
            if name.endswith(".gcda"):
                os.unlink(f"{where}/{name}")
    run(["make", "-s", "-k", "-j2", "check"], build, may_fail=True)
    run(["/usr/bin/python3", "-m", "pytest", "-q", "tests/wire",
         "tests/release"], tree, may_fail=True, PERCH_BUILD=build)


def reached(tree, build):
    """{file: {line: was it reached}}"""
    lines = collections.defaultdict(dict)
    for where, _, names in os.walk(build):
        for name in sorted(names):
            if not name.endswith(".gcda"):
                continue
            out = subprocess.run(
                ["gcov", "--json-format", "--stdout", f"{where}/{name}"],
                cwd=build, capture_output=True, check=True).stdout
            for document in out.splitlines():
                for file in json.loads(document)["files"]:
                    path = os.path.relpath(
                        os.path.join(build, file["file"]), tree)
                    if not path.startswith("lb/"):
                        continue
                    for line in file["lines"]:
                        number = line["line_number"]
                        lines[path][number] = (lines[path].get(number, False)
                                               or line["count"] > 0)
    return lines


def main():
    tree = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else ".")
    build = f"{tree}/build-coverage"
    build_and_test(tree, build)
    total = hit = 0
    for path, seen in sorted(reached(tree, build).items()):
        count = sum(seen.values())
        total, hit = total + len(seen), hit + count
        print(f"{100 * count / len(seen):5.1f} % of {len(seen):5} {path}")
    if total == 0:
        sys.exit("coverage: nothing measured")
    print(f"{100 * hit / total:5.1f} % of {total:5} lines")


if __name__ == "__main__":
    main()
