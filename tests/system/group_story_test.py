#!/usr/bin/env python3
"""The story of a group of consumers (tests/compat/groups.py) with the clients of its core; ./dev compat --groups has all."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "compat"))

import groups  # noqa: E402

if __name__ == "__main__":
    sys.exit(1 if groups.run_against("moldau", groups.choose([], True)) else 0)
