#!/usr/bin/env python3
"""Transactions under kill -9 of workers and broker (tests/compat/txn.py) with the clients of its core; ./dev compat --txn has all."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "compat"))

import clients  # noqa: E402
import txn  # noqa: E402

SEED = 1

if __name__ == "__main__":
    os.makedirs(clients.BUILD, exist_ok=True)
    sys.exit(1 if txn.run_against("moldau", txn.choose([], True), SEED) else 0)
