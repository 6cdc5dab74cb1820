#!/usr/bin/env python3
"""The matrix of clients, small: 2 MB of text through kcat, confluent-kafka and moldau in all pairs, with each codec, and byte for byte back.

compat_more_test.py has the clients that need more than Debian and PyPI; ./dev compat has all pairs.
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "compat"))

import clients  # noqa: E402
import corpus  # noqa: E402
import matrix  # noqa: E402
import moldau  # noqa: E402
import wire_admin  # noqa: E402

NEAR = ("kcat", "confluent-kafka", "moldau")
MEGABYTES = 2


def run(transfers):
    """Calls `transfers` with a matrix on a fresh broker; the exit code."""
    text = matrix.Text(corpus.ensure(clients.BUILD, MEGABYTES))
    with moldau.Broker() as broker:
        tests = matrix.Matrix(f"127.0.0.1:{broker.port}", text, lambda name: wire_admin.create_topic(broker.port, name),
                              ended=lambda: broker.process.poll() is not None)
        transfers(tests)
        if tests.ended():
            print(broker.log())
    return 1 if tests.failed else 0


def main():
    producers, consumers = matrix.split(clients.all_clients(moldau.binary(), NEAR))
    return run(lambda tests: tests.run(producers, consumers))


if __name__ == "__main__":
    sys.exit(main())
