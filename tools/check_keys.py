#!/usr/bin/python3
"""Checks that every key of perch.yaml is documented, has an example and is
used.

    tools/check_keys.py [TREE [PERCH]]

The keys are those of the table in lb/config/schema.c. Each must stand in
perch.yaml(5) and docs/reference.md, and in the JSON Schema that PERCH prints
(left out without one); have an example in the reference or in conf/*.yaml,
commented out or not; and fill a member of config.h that something outside of
lb/config reads. So must each member of config.h: a key may fill several.

What is read, the compiler says ($CC, $KEYS_CPPFLAGS): it warns of each use of a
member that is marked as deprecated, so this looks at a copy of config.h in
which all are.
"""
import concurrent.futures
import glob
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile

ROW = re.compile(r"\{(ONE|GROUP|LIST|OBJECTS)\(([^)]*)\)")
STRUCT = re.compile(r"\s*(?:struct|enum)\s*(\w*)\s*\{.*")
MEMBER = re.compile(r"\s+((?:[\w]+\s+)+)\**(\w+);")
END = re.compile(r"(\s*)\}\s*(\w*);.*")
USE = re.compile(r"config/config\.h:(\d+):\d+: note: ")


# --- the table ------------------------------------------------------------


class Row:
    def __init__(self, shape, arguments):
        words = [word.strip() for word in arguments.split(",")]
        if shape == "OBJECTS":
            words.pop(0)
        self.shape = shape
        self.path = words.pop(0).strip('"')
        if shape in ("ONE", "LIST"):
            words.pop(0)
        self.object = words[0]
        self.member = words[1].split(".")
        self.has_members = shape in ("GROUP", "OBJECTS")
        self.inherits = None


def read_table(tree):
    with open(f"{tree}/lb/config/schema.c", encoding="utf-8") as src:
        text = src.read()
    text = text[text.index("schema_keys[] = {"):text.index("\n};")]
    rows = []
    starts = list(ROW.finditer(text))
    ends = [match.start() for match in starts[1:]] + [len(text)]
    for match, end in zip(starts, ends):
        row = Row(match[1], match[2])
        inherits = re.search(r'\.inherits = "([^"]*)"',
                             text[match.start():end])
        row.inherits = inherits and inherits[1]
        rows.append(row)
    count = len(re.findall(r"^\t\{\w", text, re.M))
    if not rows or len(rows) != count:
        sys.exit(f"check_keys: {count} rows in the table, {len(rows)} "
                 "understood")
    return rows


# --- config.h ---------------------------------------------------------------


class Members:
    """The members of one struct: name to (line, type), where the type is the
    Members of a struct, or None."""

    def __init__(self):
        self.of = {}


def read_members(lines):
    """By struct name; and those of all that is in them, by line."""
    structs, names, stack = {}, {}, []
    for number, line in enumerate(lines, 1):
        begin, end = STRUCT.match(line), END.match(line)
        if begin and "}" not in line:
            members = None
            if "enum" not in line.split("{")[0]:
                members = Members()
            stack.append((begin[1], members))
            continue
        if end and stack:
            name, members = stack.pop()
            if name and members:
                structs[name] = members
            elif end[2]:
                stack[-1][1].of[end[2]] = (number, members)
                names[number] = f"{stack[0][0]}: {end[2]}"
            continue
        member = MEMBER.match(line)
        if member and stack and stack[-1][1]:
            kind = member[1].split()
            inner = kind[1] if kind[0] == "struct" else None
            stack[-1][1].of[member[2]] = (number, inner)
            names[number] = f"{stack[0][0]}: {member[2]}"
    return structs, names


def mark_members(lines, numbers):
    return [re.sub(r";", " __attribute__((deprecated));", line, count=1)
            if number in numbers else line
            for number, line in enumerate(lines, 1)]


def member_lines(row, structs):
    """The lines of config.h that lead to what a row fills."""
    found, members = [], structs[row.object]
    for name in row.member:
        if isinstance(members, str):
            members = structs[members]
        line, members = members.of[name]
        found.append(line)
    return found


# --- use ----------------------------------------------------------------------


def uses_in(path, folder, tree):
    command = [*shlex.split(os.environ.get("CC", "cc")), "-std=gnu11",
               "-D_GNU_SOURCE", "-DPERCH_SYSCONFDIR=\"\"",
               "-fsyntax-only", "-Wdeprecated-declarations",
               "-fdiagnostics-color=never", f"-I{folder}", f"-I{tree}/lb",
               "-I.", *shlex.split(os.environ.get("KEYS_CPPFLAGS", "")), path]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True,
                          check=False, env=dict(os.environ, LC_ALL="C"))
    if done.returncode != 0:
        sys.exit(f"check_keys: {path}:\n{done.stderr}")
    return {int(number) for number in USE.findall(done.stderr)}


def used_lines(tree, lines, numbers):
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(f"{folder}/config")
        with open(f"{folder}/config/config.h", "w", encoding="utf-8") as out:
            out.writelines(mark_members(lines, numbers))
        paths = [path for path in glob.glob(f"{tree}/lb/**/*.c",
                                            recursive=True)
                 if "/lb/config/" not in path]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            found = pool.map(lambda path: uses_in(path, folder, tree), paths)
            return set().union(*found)


def check_use(tree, rows):
    with open(f"{tree}/lb/config/config.h", encoding="utf-8") as src:
        lines = src.readlines()
    structs, names = read_members(lines)
    report = {line for line, _ in structs.pop("config_report").of.values()}
    names = {line: name for line, name in names.items() if line not in report}
    used = used_lines(tree, lines, names)
    heirs = {row.inherits for row in rows}
    # A list that services inherit is copied to them by the reader.
    used |= {line for line, name in names.items()
             if re.sub(r"^config: (n_)?", "", name) in heirs}
    offences = [f"lb/config/config.h:{line}: {name} is read nowhere"
                for line, name in sorted(names.items()) if line not in used]
    for row in rows:
        # What services inherit need not be read in its own place.
        way = member_lines(row, structs)
        if row.path in heirs:
            way = way[-1:]
        offences += [f"{row.path}: {names[line]} is read nowhere"
                     for line in way if line not in used]
    return offences


# --- documents ------------------------------------------------------------------


def read(tree, path):
    with open(f"{tree}/{path}", encoding="utf-8") as src:
        return src.read()


def keys_of_yaml(text):
    """The paths of all keys, with those that are commented out; NAME and []
    as they are in the file, so "services.web.match"."""
    found, stack = set(), []
    for line in text.splitlines():
        match = re.match(r"( *)(?:# )?(- )?([\w.-]+):(?: (.*))?$", line)
        if not match:
            continue
        # Behind a dash, keys stand deeper than the list's own.
        indent = len(match[1]) + (2 if match[2] else 0)
        while stack and stack[-1][0] >= indent:
            stack.pop()
        stack.append((indent, match[3]))
        path = [name for _, name in stack]
        found.add(tuple(path))
        for name in re.findall(r"[{,] *(\w+): ", match[4] or ""):
            found.add((*path, name))
    return found


def is_in_yaml(path, found):
    words = path.replace("[]", "").split(".")
    return any(len(key) == len(words) and
               all(word in ("NAME", name) for word, name in zip(words, key))
               for key in found)


def examples(tree):
    """The paths that have one in the reference."""
    found = set()
    for line in read(tree, "docs/reference.md").splitlines():
        cells = re.split(r"(?<!\\)\|", line)
        if len(cells) == 8 and cells[6].strip():
            found.add(cells[1].strip().strip("`"))
    return found


def check_documents(tree, rows):
    offences = []
    man = read(tree, "packaging/man/perch.yaml.5").replace("\\-", "-")
    markdown = read(tree, "docs/reference.md")
    has_example = examples(tree)
    in_conf = set().union(*(keys_of_yaml(read(tree, f"conf/{name}"))
                            for name in os.listdir(f"{tree}/conf")
                            if name.endswith(".yaml")))
    for row in rows:
        if f"\n.It Ic {row.path}\n" not in man:
            offences.append(f"{row.path}: not in perch.yaml(5)")
        if f"\n| `{row.path}` |" not in markdown:
            offences.append(f"{row.path}: not in docs/reference.md")
        if row.path not in has_example and not is_in_yaml(row.path, in_conf):
            offences.append(f"{row.path}: has no example")
    return offences


def at_path(schema, path):
    """What the JSON Schema says of a key; None if nothing."""
    for word in path.split("."):
        if schema is None:
            return None
        # A list of one may be written without brackets, an object as a word.
        choices = [schema, *schema.get("anyOf", [])]
        for choice in list(choices):
            items = choice.get("items", {})
            choices += [items, *items.get("anyOf", [])]
        name = word.replace("[]", "")
        schema = None
        for choice in choices:
            if name == "NAME" and choice.get("additionalProperties"):
                schema = choice["additionalProperties"]
            elif name in choice.get("properties", {}):
                schema = choice["properties"][name]
    return schema


def check_json_schema(rows, perch):
    done = subprocess.run([perch, "--print-schema"], check=True,
                          stdout=subprocess.PIPE)
    schema = json.loads(done.stdout)
    return [f"{row.path}: not in the JSON Schema" for row in rows
            if not (at_path(schema, row.path) or {}).get("description")]


def main():
    tree = sys.argv[1] if len(sys.argv) > 1 else "."
    rows = read_table(tree)
    offences = check_documents(tree, rows) + check_use(tree, rows)
    if len(sys.argv) > 2:
        offences += check_json_schema(rows, sys.argv[2])
    for offence in offences:
        print(offence)
    print(f"check-keys: {len(rows)} keys, {len(offences)} offences")
    sys.exit(1 if offences else 0)


if __name__ == "__main__":
    main()
