#!/usr/bin/env python3
"""Power loss under load: power_loss_test.py [DEATHS [SEED]]      (3 in ./dev test, 100 in the long form)

The real process with --lossy-disk: what it did not sync stays in its memory and is gone when it is killed. With the syncs taken out
(--no-sync) the same check must find the loss, or it would show nothing.
"""
import sys

import kill_test
import moldau

LOSSY = ["--lossy-disk"]


def main():
    deaths = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    failed = kill_test.trial("what was acknowledged survives a power loss", deaths, seed, LOSSY)
    failed |= kill_test.trial("the same over epoll", min(deaths, 10), seed + 1, [*LOSSY, "--io", "epoll"])
    failed |= kill_test.trial("without syncs the check finds the loss", 3, seed, [*LOSSY, "--no-sync"], must_fail=True)
    return failed


if __name__ == "__main__":
    moldau.binary()
    sys.exit(main())
