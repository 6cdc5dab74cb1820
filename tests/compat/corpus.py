#!/usr/bin/env python3
"""A real text of a wanted size from what Debian's packages install: corpus.py FILE MEGABYTES

Valid UTF-8, no empty line, no CR, no NUL, no line of 900 KB or more, a line feed at the end. The same packages give the same bytes: files in
the order of their names, those that are not such text left out, the last line the one that reaches the size.
"""
import gzip
import os
import sys

ROOTS = ("/usr/include", "/usr/share/perl", "/usr/share/common-licenses", "/usr/share/doc", "/usr/lib/python3",
         "/usr/lib/python3.11", "/usr/share/man", "/usr/lib/gcc", "/usr/share/cmake-3.25")
LINE_MOST = 900 * 1000


def files(root):
    if os.path.isfile(root):
        yield root
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path):
                yield path


def text_of(path):
    """The lines of a file that is text, each with its line feed; nothing for all others."""
    try:
        with (gzip.open(path) if path.endswith(".gz") else open(path, "rb")) as f:
            data = f.read()
        data.decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError, ValueError):
        return []
    if b"\0" in data or b"\r" in data:
        return []
    return [line + b"\n" for line in data.split(b"\n") if line and len(line) < LINE_MOST]


def chunks():
    """The text of all files; when that ends, again, each line with the number of the round so that it is another."""
    round_number = 1
    while True:
        found = False
        for root in ROOTS:
            for path in files(root):
                lines = text_of(path)
                found = found or bool(lines)
                if round_number > 1:
                    lines = [b"%d %s" % (round_number, line) for line in lines]
                yield lines
        if not found:
            raise RuntimeError("this system has no text files")
        round_number += 1


def write(path, size):
    """Returns bytes and lines."""
    total = count = 0
    with open(path + ".part", "wb") as out:
        for lines in chunks():
            for line in lines:
                out.write(line)
                total += len(line)
                count += 1
                if total >= size:
                    break
            if total >= size:
                break
    os.replace(path + ".part", path)
    return total, count


def ensure(folder, megabytes):
    """The path of the text of that size, made when it is not there yet."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"text-{megabytes}.txt")
    if not os.path.exists(path):
        write(path, megabytes * 1000 * 1000)
    return path


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    print("%d bytes in %d lines" % write(sys.argv[1], int(sys.argv[2]) * 1000 * 1000))
