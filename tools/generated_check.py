#!/usr/bin/env python3
"""Runs the protocol generator twice, with different hash seeds, and wants equal files: what is built must depend on the
schemas alone. Nothing generated is checked in."""
import filecmp
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
GENERATOR = os.path.join(ROOT, "tools", "protocol_gen.py")
SCHEMAS = [os.path.join(ROOT, "src", "protocol", name) for name in ("api.schema", "records.schema")]


def generate(folder, hash_seed):
    command = [sys.executable, GENERATOR]
    for schema in SCHEMAS:
        command += ["--schema", schema]
    subprocess.run(command + ["--out", folder], check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, "PYTHONHASHSEED": str(hash_seed)})
    return sorted(os.listdir(folder))


def main():
    if not all(os.path.exists(path) for path in [GENERATOR] + SCHEMAS):
        print("SKIP: no generator or no schemas in this tree")
        return 0
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        names, again = generate(one, 1), generate(two, 2)
        if names != again or not names:
            print(f"first run made {names}, second {again}")
            print("FAIL generated_code_depends_on_the_schemas_alone")
            return 1
        _, different, unread = filecmp.cmpfiles(one, two, names, shallow=False)
    for name in different + unread:
        print(f"{name}: two runs of the generator differ")
    print(f"{'FAIL' if different or unread else 'PASS'} generated_code_depends_on_the_schemas_alone")
    listed = subprocess.run(["git", "ls-files", "--", "*generated/*"], cwd=ROOT, check=True, capture_output=True,
                            text=True).stdout.split()
    for path in listed:
        print(f"{path}: generated code is checked in")
    print(f"{'FAIL' if listed else 'PASS'} no_generated_code_is_checked_in")
    return 1 if different or unread or listed else 0


if __name__ == "__main__":
    sys.exit(main())
