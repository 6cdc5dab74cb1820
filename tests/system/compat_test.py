#!/usr/bin/env python3
"""The matrix of clients, small: 2 MB of text through each client that is here, with each codec, and byte for byte back.

kcat, confluent-kafka and moldau in all pairs; the others (Java, Go, Node) are read by kcat and read what kcat wrote. ./dev compat has the rest.
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

ALL_PAIRS = ("kcat", "confluent-kafka", "moldau")


def main():
    text = matrix.Text(corpus.ensure(clients.BUILD, 2))
    producers, consumers = matrix.split(clients.all_clients(moldau.binary()))
    near_producers = [c for c in producers if c.name in ALL_PAIRS]
    near_consumers = [c for c in consumers if c.name in ALL_PAIRS]
    far_producers = [c for c in producers if c.name not in ALL_PAIRS]
    far_consumers = [c for c in consumers if c.name not in ALL_PAIRS]
    kcat = [c for c in near_consumers if c.name == "kcat"]
    with moldau.Broker() as broker:
        tests = matrix.Matrix(f"127.0.0.1:{broker.port}", text, lambda name: wire_admin.create_topic(broker.port, name),
                              ended=lambda: broker.process.poll() is not None)
        tests.run(near_producers, near_consumers)
        tests.run(far_producers, kcat)
        for codec in clients.CODECS:
            for consumer in far_consumers:
                tests.consume(consumer, codec, f"text-kcat-{codec}", "kcat")
        if tests.ended():
            print(broker.log())
    return 1 if tests.failed else 0


if __name__ == "__main__":
    sys.exit(main())
