#!/usr/bin/python3
"""Builds the demo: every version of versions.json from the one source.

    demo/build.py [OUT]        (default demo/dist)

As bundlers do it: each asset is named for its content, so that a build's
assets may be cached for ever and two builds share none; the page names them.
An asset that another one names is built first, as its name is part of the
other's content.
"""
import hashlib
import json
import os
import re
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ASSETS = ["details.js", "app.js", "style.css"]


def read(name):
    with open(f"{HERE}/src/{name}", encoding="utf-8") as src:
        return src.read()


def write(path, text):
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)


def fill(text, words):
    """@NAME@ by its word; an unknown one is a mistake in the source."""
    return re.sub(r"@([A-Za-z.]+)@", lambda match: words[match[1]], text)


def build(version, words, out):
    words = dict(words, VERSION=version)
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(f"{out}/assets")
    for name in ASSETS:
        content = fill(read(name), words)
        digest = hashlib.sha256(content.encode()).hexdigest()[:8]
        stem, kind = name.split(".")
        words[name] = f"{stem}-{digest}.{kind}"
        write(f"{out}/assets/{words[name]}", content)
    write(f"{out}/index.html", fill(read("index.html"), words))
    write(f"{out}/version.json", json.dumps({"version": version}) + "\n")
    return [words[name] for name in ASSETS]


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else f"{HERE}/dist"
    with open(f"{HERE}/versions.json", encoding="utf-8") as src:
        versions = json.load(src)
    for version, words in versions.items():
        made = build(version, words, f"{out}/{version}")
        print(f"{out}/{version}: " + " ".join(made))


if __name__ == "__main__":
    main()
