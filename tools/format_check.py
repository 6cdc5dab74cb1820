#!/usr/bin/env python3
"""Compares every C file with what clang-format-14 makes of it. Prints one line a file that differs, then PASS or FAIL."""
import concurrent.futures
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


FILES_A_CALL = 16  # to start the program costs more than to look at a file


def differ(paths):
    """Those of `paths` that are not as they should be."""
    done = subprocess.run(["clang-format-14", "--dry-run", "-Werror", *paths], cwd=ROOT, capture_output=True)
    if done.returncode == 0:
        return []
    return paths if len(paths) == 1 else [path for one in paths for path in differ([one])]


def main():
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "*.c", "*.h"],
                            cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\n")
    files = sorted({path for path in listed if path and os.path.exists(os.path.join(ROOT, path))})
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = [files[at:at + FILES_A_CALL] for at in range(0, len(files), FILES_A_CALL)]
        bad = [path for some in pool.map(differ, parts) for path in some]
    for path in bad:
        print(f"{path}: not as clang-format-14 has it; ./dev fmt mends it")
    print(f"{'FAIL' if bad else 'PASS'} formatted_as_checked_in_style ({len(files)} files)")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
