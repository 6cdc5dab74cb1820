#!/usr/bin/env python3
"""Turns the settings' tables (src/config/*.tsv) into C: config_ids.h (enums) and config_table.c (definitions).

    config_gen.py --tables src/config --out <build>/generated/config
    config_gen.py --tables src/config --reference docs/configuration.md      the reference page, checked in

Deterministic; standard library only. A table that does not make sense ends it with file, line and reason.
"""
import argparse
import os
import re
import sys

TYPES = {"BOOLEAN", "STRING", "INT", "SHORT", "LONG", "DOUBLE", "LIST", "CLASS", "PASSWORD"}
UPDATES = {"read-only": "CONFIG_READ_ONLY", "per-broker": "CONFIG_PER_BROKER", "cluster-wide": "CONFIG_CLUSTER_WIDE"}
# What one of a broker's synonyms has to be multiplied with, by the word behind it in topics.tsv.
UNITS = {"": 1, "minutes": 60 * 1000, "hours": 60 * 60 * 1000}
PREFIX = {"broker": "CONFIG_", "topic": "TOPIC_CONFIG_", "group": "GROUP_CONFIG_"}


class TableError(Exception):
    pass


def read_table(path):
    rows = []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            fields = line.rstrip("\n").split("\t")
            if number == 1 or not line.strip():
                continue
            if len(fields) != 8:
                raise TableError(f"{path}:{number}: {len(fields)} columns instead of 8")
            if fields[2] not in TYPES or fields[0] not in PREFIX:
                raise TableError(f"{path}:{number}: unknown section or type")
            rows.append(dict(zip(("section", "name", "type", "default", "valid", "importance", "internal", "last"), fields)))
    return rows


def read_texts(path):
    texts = {}
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if number == 1 or not line.strip():
                continue
            name, tab, text = line.rstrip("\n").partition("\t")
            if not tab or name in texts:
                raise TableError(f"{path}:{number}: no text, or {name} a second time")
            texts[name] = text
    return texts


def default_text(row):
    """The default as a user would write it; None is null."""
    text = row["default"]
    if text in ("null", "(required)"):
        return None
    if text == '""':
        return ""
    if row["type"] == "LIST":
        if not (text.startswith("[") and text.endswith("]")):
            raise TableError(f"{row['name']}: the default of a list is in brackets")
        return text[1:-1]
    return text


def check_of(row):
    """(check, choices, low, high, other) of the column `valid`."""
    valid = row["valid"]
    nothing = ("CONFIG_CHECK_NONE", None, 0, 0, 0)
    if not valid or "PnDTnHnMn" in valid:
        return nothing
    if valid.startswith("[partitionId]"):
        return ("CONFIG_CHECK_THROTTLED_REPLICAS", None, 0, 0, 0)
    if valid.startswith("non-empty"):
        # An empty list is what the list defaults to; Kafka's word holds for what is given.
        return ("CONFIG_CHECK_NOT_EMPTY", None, 0, 0, 0) if row["type"] != "LIST" else nothing
    if valid == "non-null string":
        return ("CONFIG_CHECK_NOT_NULL", None, 0, 0, 0)
    number = r"-?[0-9.]+"
    m = re.fullmatch(rf"\[({number}),\.\.\.(?:,({number}))?\](?: or ({number}))?", valid)
    if m:
        high = m[2] if m[2] else "HUGE_VAL"
        return ("CONFIG_CHECK_RANGE_OR" if m[3] else "CONFIG_CHECK_RANGE", None, m[1], high, m[3] or 0)
    m = re.fullmatch(r"(\(case insensitive\) )?\[([^\[\]]+)\]", valid)
    if m:
        return ("CONFIG_CHECK_ONE_OF_ANY_CASE" if m[1] else "CONFIG_CHECK_ONE_OF", m[2].split(", "), 0, 0, 0)
    raise TableError(f"{row['name']}: cannot read the valid values '{valid}'")


def synonyms_of(row):
    """[(broker setting, factor)], strongest first."""
    if row["last"] in ("-", ""):
        return []
    found = []
    for part in row["last"].split(","):
        m = re.fullmatch(r"([a-z0-9.]+)(?: \((\w+)\))?", part)
        if not m or (m[2] or "") not in UNITS:
            raise TableError(f"{row['name']}: cannot read the synonym '{part}'")
        found.append((m[1], UNITS[m[2] or ""]))
    return found


def constant(section, name):
    return PREFIX[section] + re.sub(r"[^A-Z0-9]", "_", name.upper())


def quoted(text):
    return "NULL" if text is None else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def load(folder):
    kafka, own = [], read_table(os.path.join(folder, "own.tsv"))
    for name in ("broker", "topics", "groups"):
        kafka += read_table(os.path.join(folder, name + ".tsv"))
    for row in kafka:
        row["own"] = False
    for row in own:
        row["own"] = True
    sections = {}
    for section in PREFIX:
        rows = sorted((r for r in kafka + own if r["section"] == section), key=lambda r: r["name"])
        for a, b in zip(rows, rows[1:]):
            if a["name"] == b["name"]:
                raise TableError(f"{section} setting {a['name']} twice")
        sections[section] = rows
    known = {r["name"] for r in sections["broker"]}
    for row in sections["topic"]:
        for name, _ in synonyms_of(row):
            if name not in known:
                raise TableError(f"{row['name']}: its synonym {name} is no setting of a broker")
    texts = read_texts(os.path.join(folder, "documentation.tsv"))
    names = {r["name"] for rows in sections.values() for r in rows}
    for name in texts:
        if name not in names:
            raise TableError(f"documentation.tsv: {name} is no setting")
    return sections, texts


def ids_header(sections):
    out = ["/* Made by tools/config_gen.py from the tables of src/config: the settings by number. */",
           "#ifndef CONFIG_CONFIG_IDS_H", "#define CONFIG_CONFIG_IDS_H", ""]
    for section, rows in sections.items():
        kind = {"broker": "config_id", "topic": "topic_config_id", "group": "group_config_id"}[section]
        out.append(f"enum {kind} {{")
        out += [f"\t{constant(section, r['name'])}," for r in rows]
        out += [f"\t{PREFIX[section]}COUNT", "};", ""]
    return "\n".join(out + ["#endif", ""])


def table_source(sections, texts):
    out = ["/* Made by tools/config_gen.py from the tables of src/config: what is known of each setting. */",
           '#include "config/table.h"', "", "#include <math.h>", "#include <stddef.h>", ""]
    for section, rows in sections.items():
        for row in rows:
            choices = check_of(row)[1]
            if choices:
                items = ", ".join(quoted(c) for c in choices)
                out.append(f"static const char *const choices_{constant(section, row['name']).lower()}[] = {{{items}, NULL}};")
        table = {"broker": "config", "topic": "topic_config", "group": "group_config"}[section]
        out += ["", f"const struct config_definition {table}_definitions[] = {{"]
        for row in rows:
            check, choices, low, high, other = check_of(row)
            name = constant(section, row["name"])
            fields = [f".name = {quoted(row['name'])}", f".default_text = {quoted(default_text(row))}",
                      f".valid = {quoted(row['valid'] or None)}", f".documentation = {quoted(texts.get(row['name'], ''))}",
                      f".type = CONFIG_TYPE_{row['type']}", f".check = {check}"]
            if choices:
                fields.append(f".choices = choices_{name.lower()}")
            if check.startswith("CONFIG_CHECK_RANGE"):
                fields += [f".low = {low}", f".high = {high}", f".other = {other}"]
            if section == "broker":
                fields.append(f".update = {UPDATES[row['last']]}")
            if row["internal"] == "true":
                fields.append(".internal = true")
            if row["default"] == "(required)":
                fields.append(".required = true")
            if row["own"]:
                fields.append(".own = true")
            out.append(f"\t[{name}] = {{{', '.join(fields)}}},")
        out += ["};", ""]
    out.append("const struct config_unit topic_config_synonyms[][CONFIG_MAX_SYNONYMS] = {")
    for row in sections["topic"]:
        units = ", ".join(f"{{{constant('broker', n)}, {f}}}" for n, f in synonyms_of(row))
        if units:
            out.append(f"\t[{constant('topic', row['name'])}] = {{{units}}},")
    return "\n".join(out + ["};", ""])


def reference(sections, texts):
    out = ["# Configuration", "",
           "Every setting of a broker, a topic and a group: Kafka's names, and Moldau's own (marked *own*). A broker reads them from a",
           "properties file (`moldau broker FILE`) and from `--set name=value`, the latter stronger. Unknown names are warned about,",
           "bad values stop the start with the reason. A setting without a sentence here is accepted and checked, but nothing reads it yet.", "",
           "This page is made from `src/config/*.tsv`: `tools/config_gen.py --tables src/config --reference docs/configuration.md`.", ""]
    titles = {"broker": "Broker", "topic": "Topic", "group": "Group"}
    for section, rows in sections.items():
        shown = [r for r in rows if r["internal"] != "true"]
        last = {"broker": "changed", "topic": "stands in at the broker", "group": ""}[section]
        for title, part in ((titles[section], [r for r in shown if r["name"] in texts]),
                            (titles[section] + ": accepted, not read yet", [r for r in shown if r["name"] not in texts])):
            if not part:
                continue
            out += [f"## {title}", "", f"| name | type | default | valid | {last} | |", "|---|---|---|---|---|---|"]
            for r in part:
                default = default_text(r)
                default = "null" if default is None else '`""`' if default == "" else f"`{default}`"
                note = "; ".join(([f"*own*"] if r["own"] else []) + ([texts[r["name"]]] if r["name"] in texts else []))
                tail = r["last"] if r["last"] != "-" else ""
                cells = [f"`{r['name']}`", r["type"].lower(), default, f"`{r['valid']}`" if r["valid"] else "", tail, note]
                out.append("| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |")
            out.append("")
    return "\n".join(out)


def write(path, text):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", required=True)
    parser.add_argument("--out")
    parser.add_argument("--reference")
    arguments = parser.parse_args()
    try:
        sections, texts = load(arguments.tables)
        if arguments.out:
            write(os.path.join(arguments.out, "config_ids.h"), ids_header(sections))
            write(os.path.join(arguments.out, "config_table.c"), table_source(sections, texts))
        if arguments.reference:
            write(arguments.reference, reference(sections, texts))
    except (TableError, OSError) as e:
        sys.exit(f"config_gen: {e}")


if __name__ == "__main__":
    main()
