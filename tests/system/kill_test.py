#!/usr/bin/env python3
"""kill -9 under load: kill_test.py [DEATHS [SEED]]      (3 in ./dev test, 100 in the long form)"""
import sys

import durable
import moldau

LOSS = "were acknowledged, so nothing is cut and the partition stays offline"


def fixed_port(broker):
    """Clients must find it again after a restart."""
    broker.listen = f"127.0.0.1:{broker.port}"
    return broker


def trial(name, deaths, seed, arguments=(), must_fail=False):
    """One named test; returns whether it failed."""
    with moldau.Broker(arguments=arguments) as broker:
        try:
            durable.Trial(fixed_port(broker), seed).run(deaths)
            problem = "no violation was found" if must_fail else None
        except (durable.Violation, AssertionError, RuntimeError, OSError) as e:
            # A broker that misses what it acknowledged says so itself, and takes the partition offline: clients get errors then.
            found = isinstance(e, durable.Violation) or LOSS in broker.log()
            problem = None if must_fail and found else f"{type(e).__name__}: {e}"
            print(f"    found: {e}" if must_fail else f"    {problem}\n{broker.log()[-4000:]}")
    print(f"{'FAIL' if problem else 'PASS'} {name} (seed {seed})", flush=True)
    return problem is not None


def main():
    deaths = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    failed = trial("what was acknowledged survives kill -9", deaths, seed)
    failed |= trial("the same over epoll", min(deaths, 10), seed + 1, ["--io", "epoll"])
    return failed


if __name__ == "__main__":
    moldau.binary()
    sys.exit(main())
