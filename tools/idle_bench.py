#!/usr/bin/env python3
"""What an idle broker costs: memory and start-up with nothing, with 10,000 partitions, with 10,000 connections.

    MOLDAU=build/release/moldau tools/idle_bench.py [--partitions N] [--connections N]

Prints a line a figure; docs/performance.md keeps them with the machine that they were measured on.
"""
import argparse
import os
import resource
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "system"))
import moldau  # noqa: E402
import wire  # noqa: E402


def figure(name, value, unit):
    print(f"{name:58} {value:9.1f} {unit}")


def milliseconds(work):
    began = time.monotonic()
    result = work()
    return (time.monotonic() - began) * 1000, result


def first_answer(broker):
    """Milliseconds from the start of the process to its first answer."""
    def work():
        broker.start()
        with broker.connect() as c:
            c.ask("ApiVersions", 0)
    return milliseconds(work)[0]


def produce_to_all(broker, count):
    records = wire.batch([b"hello"])
    with broker.connect() as c:
        for first in range(0, count, 1000):
            answer = c.ask("Produce", 8, wire.produce("idle", range(first, min(first + 1000, count)), records))
            if any(wire.produce_errors(answer)):
                raise SystemExit(f"not produced: {answer}")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--partitions", type=int, default=10000)
    options.add_argument("--connections", type=int, default=10000)
    options = options.parse_args()
    count = options.partitions

    with moldau.Broker(start=False) as broker:
        figure("empty: start to first answer", first_answer(broker), "ms")
        figure("empty: resident", broker.resident_bytes() / 1e6, "MB")
        with broker.connect() as c:
            figure(f"create a topic of {count} partitions", milliseconds(lambda: moldau.create_topic(c, "idle", count))[0], "ms")
        figure(f"{count} partitions without a record: resident", broker.resident_bytes() / 1e6, "MB")
        figure(f"acks=all to each of {count} partitions, 1,000 a request", milliseconds(lambda: produce_to_all(broker, count))[0], "ms")
        figure(f"{count} partitions with a record each: resident", broker.resident_bytes() / 1e6, "MB")
        figure("clean stop", broker.stop()[1] * 1000, "ms")
        figure(f"{count} partitions: start to first answer after a clean stop", first_answer(broker), "ms")
        figure(f"{count} partitions: resident after that", broker.resident_bytes() / 1e6, "MB")
        figure("produce to each of them again", milliseconds(lambda: produce_to_all(broker, count))[0], "ms")
        broker.kill()
        figure(f"{count} partitions: start to first answer after kill -9", first_answer(broker), "ms")
        figure("produce to each of them, recovery included", milliseconds(lambda: produce_to_all(broker, count))[0], "ms")

        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        connections = min(options.connections, limit - 200)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        before = broker.resident_bytes()
        kept = [socket.create_connection(("127.0.0.1", broker.port)) for _ in range(connections)]
        for s in kept:
            s.sendall(wire.request("ApiVersions", 0))
        for s in kept:
            s.recv(4096)
        figure(f"{connections} idle connections, each after a request: resident more", (broker.resident_bytes() - before) / 1e6, "MB")
        for s in kept:
            s.close()


if __name__ == "__main__":
    main()
