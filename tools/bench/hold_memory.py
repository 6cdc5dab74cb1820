#!/usr/bin/env python3
"""hold_memory.py LEAVE_GIB: takes all free memory but so much and keeps it until it is ended; prints "held" when it has it.

A virtual machine pays for each first touch of a page that it had given back to its host: here more CPU than a broker needs for the bytes
that it writes there. With little memory free the page cache takes pages again that are warm.
"""
import mmap
import signal
import sys

POPULATE = 0x8000  # MAP_POPULATE: touch all of it now


def main():
    with open("/proc/meminfo", encoding="utf-8") as lines:
        free_kib = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    size = (free_kib << 10) - int(float(sys.argv[1]) * 2**30)
    if size > 0:
        held = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | POPULATE)
        print("held", size >> 20, "MiB", flush=True)
        signal.pause()
        held.close()
    else:
        print("held nothing", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
