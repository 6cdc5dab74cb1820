#!/usr/bin/env python3
"""The same as compat_test.py with the clients that need a JDK, Go or Node: each is read by kcat and reads what kcat wrote."""
import sys

import compat_test
import clients
import matrix
import moldau

FAR = ("java", "java --group", "franz", "sarama", "kafkajs")


def main():
    producers, consumers = matrix.split(clients.all_clients(moldau.binary(), (*FAR, "kcat", "kcat -G"), short=True))
    kcat = next((c for c in consumers if c.name == "kcat"), None)
    if not kcat or len(producers) == 1:
        return 0
    return compat_test.run(lambda tests: tests.run(producers, consumers, kcat, kcat))


if __name__ == "__main__":
    sys.exit(main())
