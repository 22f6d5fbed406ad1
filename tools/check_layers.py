#!/usr/bin/python3
"""Checks that a file of lb/ includes only its own folder and those before it.

    tools/check_layers.py [TREE]

Prints each offence as file:line and a last line with the count; the exit
status says whether there were any. lb/main.c is above all folders.
"""
import os
import re
import sys

LAYERS = ["base", "config", "net", "http", "release", "proxy", "admin",
          "ctl"]
INCLUDE = re.compile(r'\s*#\s*include\s+"([^"]+)"')


def check(tree, path, layer):
    """The offences of one file, as text."""
    found = []
    with open(f"{tree}/{path}", encoding="utf-8") as src:
        for number, line in enumerate(src, 1):
            match = INCLUDE.match(line)
            if not match or match[1] == "perch_config.h":
                continue
            place = f"{path}:{number}: "
            folder = match[1].split("/")[0]
            if "/" not in match[1] or folder not in LAYERS:
                found.append(f'{place}"{match[1]}" is not named from lb/')
            elif not os.path.exists(f"{tree}/lb/{match[1]}"):
                found.append(f'{place}"{match[1]}" is not there')
            elif LAYERS.index(folder) > LAYERS.index(layer):
                found.append(f"{place}{layer} may not include {folder}")
    return found


def main():
    tree = sys.argv[1] if len(sys.argv) > 1 else "."
    offences, count = [], 0
    for layer in LAYERS:
        for where, _, names in os.walk(f"{tree}/lb/{layer}"):
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    path = os.path.relpath(f"{where}/{name}", tree)
                    offences += check(tree, path, layer)
                    count += 1
    for folder in sorted(os.listdir(f"{tree}/lb")):
        if os.path.isdir(f"{tree}/lb/{folder}") and folder not in LAYERS:
            offences.append(f"lb/{folder}: not a layer")
    for offence in offences:
        print(offence)
    print(f"check-layers: {count} files, {len(offences)} offences")
    sys.exit(1 if offences or count == 0 else 0)


if __name__ == "__main__":
    main()
