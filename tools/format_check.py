#!/usr/bin/env python3
"""Compares every C file with what clang-format-14 makes of it. Prints one line a file that differs, then PASS or FAIL."""
import concurrent.futures
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def is_formatted(path):
    done = subprocess.run(["clang-format-14", "--dry-run", "-Werror", path], cwd=ROOT, capture_output=True)
    return done.returncode == 0


def main():
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "*.c", "*.h"],
                            cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\n")
    files = sorted({path for path in listed if path and os.path.exists(os.path.join(ROOT, path))})
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        bad = [path for path, good in zip(files, pool.map(is_formatted, files)) if not good]
    for path in bad:
        print(f"{path}: not as clang-format-14 has it; ./dev fmt mends it")
    print(f"{'FAIL' if bad else 'PASS'} formatted_as_checked_in_style ({len(files)} files)")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
