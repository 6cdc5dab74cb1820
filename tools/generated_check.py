#!/usr/bin/env python3
"""Runs each generator twice, with different hash seeds, and wants equal files: what is built must depend on the inputs
alone. Nothing generated is checked in, except pages for readers, which their generator writes again and must not change."""
import filecmp
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SRC = os.path.join(ROOT, "src")

# The command of each, without its --out.
GENERATORS = {
    "protocol": [os.path.join(ROOT, "tools", "protocol_gen.py"), "--schema", os.path.join(SRC, "protocol", "api.schema"),
                 "--schema", os.path.join(SRC, "protocol", "records.schema")],
    "config": [os.path.join(ROOT, "tools", "config_gen.py"), "--tables", os.path.join(SRC, "config")],
}

# Pages that are checked in: the arguments that write one to the path which follows.
PAGES = {
    "docs/configuration.md": GENERATORS["config"] + ["--reference"],
}


def run(command, hash_seed):
    subprocess.run([sys.executable] + command, check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, "PYTHONHASHSEED": str(hash_seed)})


def differences(command):
    """What two runs of a generator make differently; a generator that makes nothing differs from what it should."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        run(command + ["--out", one], 1)
        run(command + ["--out", two], 2)
        names = sorted(os.listdir(one))
        if not names or names != sorted(os.listdir(two)):
            return [f"the first run made {names}, the second {sorted(os.listdir(two))}"]
        _, different, unread = filecmp.cmpfiles(one, two, names, shallow=False)
        return different + unread


def page_is_current(page, command):
    with tempfile.TemporaryDirectory() as folder:
        again = os.path.join(folder, "page")
        run(command + [again], 1)
        return filecmp.cmp(os.path.join(ROOT, page), again, shallow=False)


def verdict(good, name):
    print(f"{'PASS' if good else 'FAIL'} {name}")
    return 0 if good else 1


def main():
    failed = 0
    for name, command in GENERATORS.items():
        if not os.path.exists(command[0]):
            print(f"SKIP {name}_is_generated_from_its_inputs_alone: {command[0]} is not there")
            continue
        found = differences(command)
        for difference in found:
            print(f"{name}: two runs differ: {difference}")
        failed += verdict(not found, f"{name}_is_generated_from_its_inputs_alone")
    for page, command in PAGES.items():
        if os.path.exists(os.path.join(ROOT, page)):
            failed += verdict(page_is_current(page, command), f"{page} is what its generator writes today")
    listed = subprocess.run(["git", "ls-files", "--", "*generated/*"], cwd=ROOT, check=True, capture_output=True,
                            text=True).stdout.split()
    for path in listed:
        print(f"{path}: generated code is checked in")
    failed += verdict(not listed, "no_generated_code_is_checked_in")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
