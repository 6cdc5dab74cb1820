"""The stories of txn_oracle.py."""
import sys

import wire
from wire import batch as raw_batch

txn_oracle = sys.modules.get("txn_oracle") or sys.modules["__main__"]
case, CONTROL, OFFSETS, TRANSACTIONAL, Producer = (
    txn_oracle.case, txn_oracle.CONTROL, txn_oracle.OFFSETS, txn_oracle.TRANSACTIONAL, txn_oracle.Producer)

FAR = 900000000  # producer ids that nobody was given


def far(s):
    """Ids of this story alone: partitions of __consumer_offsets are everybody's."""
    return FAR + sum(ord(c) * 131 ** i for i, c in enumerate(s.prefix[-6:])) % 90000000 * 10


# --- markers

@case("markers: what is asked")
def _(s):
    a = far(s)
    s.topic("t", "u")
    s.markers(1)
    s.markers(1, (a, 0, True, [], 0))
    s.markers(1, (a, 0, True, [("t",)], 0))
    s.markers(1, (a, 0, True, [("none", 0), ("t", 7)], 0))
    s.markers(1, (a, 0, True, [("none", 0), ("t", 0), ("t", -1)], 0))
    s.markers(2, (a, 0, True, [("t", 0)], 0, 0), (a + 1, 0, False, [("t", 0, 1), ("u", 1)], 3, 2))
    s.markers(2, (a, 0, True, [("t", 0)], 0, 100))
    s.markers(1, (a + 2, 0, True, [("t", 0)], 0), (a + 2, 0, True, [("t", 1), ("u", 0)], 0))
    s.producers("t", 0)
    s.producers("t", 1)
    s.ends("t", 0)


@case("markers: that cannot be")
def _(s):
    a = far(s)
    s.topic("t")
    for pid, epoch, version in ((a, -1, 0), (-1, 0, 0)):  # a version, or an id, further below stops a Kafka's answers
        s.markers(2, (pid, epoch, True, [("none", 0)], 0, version))
        s.markers(2, (pid, epoch, True, [("none", 0), ("t", 0)], 0, version))
        s.markers(2, (pid, epoch, True, [("t", 0)], 0, version), (a + 1, 0, True, [("none", 0)], 0, 0))
        s.markers(2, (pid, epoch, True, [(OFFSETS, 0), ("t", 0)], 0, version))
        s.markers(2, (pid, epoch, True, [(OFFSETS, 0)], 0, version), (a + 1, 0, True, [("t", 0)], 0, 0))


@case("markers: whose epoch")
def _(s):
    a = far(s)
    s.topic("t", "u")
    for place, first in (("t", -1), ("u", -1), (OFFSETS, 0)):
        s.markers(1, (a, 5, True, [(place, 0)], 5))
        s.markers(1, (a, 5, True, [(place, 0)], 5))
        s.markers(1, (a, 5, True, [(place, 0)], 4))
        s.markers(1, (a, 5, True, [(place, 0)], first))
        s.markers(1, (a, 5, True, [(place, 0)], -2))
        s.markers(1, (a, 4, True, [(place, 0)], 5))
        s.markers(1, (a, 4, True, [(place, 0)], 4))
        s.markers(2, (a, 4, True, [(place, 0)], 9, 2))
        s.markers(2, (a, 5, True, [(place, 0)], 9, 2))
        s.markers(2, (a, 5, True, [(place, 0)], 9, 1))
        s.markers(2, (a, 6, True, [(place, 0)], 9, 2))
        s.markers(2, (a, 32767, True, [(place, 0)], 9, 2))
        s.markers(2, (a, 32767, True, [(place, 0)], 9, 2))
    s.producers("t", 0)


@case("markers: of groups and of other topics that are Kafka's")
def _(s):
    a = far(s)
    s.topic("t")
    s.markers(1, (a, 0, True, [(OFFSETS, 0, 1, 2, 3), ("__transaction_state", 5), ("t", 0)], 0))
    s.markers(2, (a, 0, True, [(OFFSETS, 0), ("t", 0)], -5, 0), (a + 1, 0, True, [(OFFSETS, 0), ("t", 1)], -5, 0))
