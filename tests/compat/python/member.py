"""What the members of groups in Python share: the word given as JSON, the lines that they print, and being asked to leave.

`../README.md` has the contract.
"""
import json
import select
import sys
import time


def config():
    return json.loads(sys.argv[1])


def say(event, **fields):
    """One line: what happened, and when by the clock that all processes share."""
    print(json.dumps({"t": time.monotonic_ns(), "e": event, **fields}, separators=(",", ":")), flush=True)


def asked_to_leave():
    """True once standard input has ended or has a line."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


class Work:
    """Processes records up to the offset given as `until` and knows what is to be committed, until that was done or its partition went."""

    def __init__(self, until):
        self.until = until
        self.commit = {}  # partition to the offset after the last one processed

    def process(self, partition, offsets):
        if self.until is not None:
            offsets = [offset for offset in offsets if offset <= self.until]
        if offsets:
            say("records", p=partition, o=offsets)
            self.commit[partition] = offsets[-1] + 1

    def committed(self):
        say("committed", o=self.commit)
        self.commit = {}

    def failed(self, problem):
        """It is tried again with what comes next."""
        say("commit_failed", o=self.commit, m=str(problem))

    def forget(self, partitions):
        self.commit = {p: o for p, o in self.commit.items() if p not in partitions}
