"""The stories of txn_oracle.py."""
import sys

import moldau
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


# --- Produce

def crc_broken(data):
    return data[:-1] + bytes([data[-1] ^ 1])


@case("produce: a transaction of its own, versions")
def _(s):
    s.topic("t", "u")
    for version in (3, 7, 8, 9, 10, 11):
        p = s.init(f"x{version}")
        s.produce(p, ("t", 0), version=version, note="not added")
        s.add(p, ("t", 0))
        p.sequences = {}
        s.produce(p, ("t", 0), version=version)
        s.produce(p, ("t", 0), ("u", 0), version=version, note="u not added")
        s.end(p, True, version=3)
        s.settled(p.name)
    for version in (12, 13):
        p = s.init(f"x{version}")
        s.produce(p, ("t", 0), ("t", 1), version=version)
        s.produce(p, ("t", 0), ("u", 0), version=version)
        s.say(s.state(p.name))
        s.end(p, True)
        s.settled(p.name)
    s.ends("t", 0)
    s.ends("u", 0)


@case("produce: whose it is not")
def _(s):
    s.topic("t", "u")
    p, q = s.init("x"), s.init("y")
    for version in (3, 8, 10, 11, 12):
        one, other, plain = s.batch(p, "none", sequence=0), s.batch(q, "none", sequence=0), raw_batch([b"v"], timestamp=1700000000000)
        s.produce_bytes(None, [("t", 0, one)], version, note="no id")
        s.produce_bytes(None, [("u", 0, plain), ("t", 0, one), ("none", 0, plain)], version, note="no id for one of them")
        s.produce_bytes("", [("t", 0, one)], version, note="empty id")
        s.produce_bytes("", [("t", 0, plain)], version, note="empty id, plain")
        s.produce_bytes("x", [("t", 0, one), ("u", 0, other)], version, note="two producers")
        s.produce_bytes("x", [("t", 0, one), ("u", 0, plain), ("none", 0, other)], version, note="two producers, one nowhere")
        s.produce_bytes("unknown", [("t", 0, one)], version, note="unknown id")
        s.produce_bytes("y", [("t", 0, one)], version, note="another's")
        s.produce(p, ("t", 0), version=version, epoch=p.epoch + 1, sequence=0, note="epoch ahead")
        s.produce(p, ("t", 0), version=version, epoch=p.epoch - 1 if p.epoch else 7, sequence=0, note="epoch behind")
        s.produce(p, ("t", 0), version=version, pid=FAR, sequence=0, note="unknown producer")


@case("produce: what else is wrong with it")
def _(s):
    s.topic("t", "u")
    p = s.init("x")
    one = s.batch(p, "none", sequence=0)
    for version in (8, 11):
        s.produce_bytes("x", [("t", 0, crc_broken(one))], version, note="crc, not added")
        s.produce_bytes("x", [("t", 7, one)], version, note="no such partition")
        s.produce_bytes("x", [("t", 0, one), ("t", 7, one), ("none", 0, one)], version, note="some are not there")
    s.add(p, ("t", 0), ("t", 1))
    for version in (8, 11, 12):
        s.produce_bytes("x", [("t", 0, crc_broken(one))], version, note="crc")
        s.produce(p, ("t", 1), version=version, attributes=TRANSACTIONAL | CONTROL, sequence=0, note="control")
    s.produce(p, ("t", 0), sequence=5, note="any sequence begins")
    s.produce(p, ("t", 0), sequence=5, note="again")
    s.produce(p, ("t", 0), sequence=8, note="gap")
    s.produce(p, ("t", 0), sequence=6, attributes=0, note="plain within")
    s.produce(p, ("t", 0), ("u", 0), sequence=6, note="u is not added")
    s.produce_bytes("x", [("t", 0, raw_batch([b"v"], timestamp=1700000000000)), ("u", 0, raw_batch([b"v"], timestamp=1700000000000))], note="no producer")
    s.producers("t", 0)
    s.end(p, False, version=4)
    s.settled("x")
    s.producers("t", 0)
    s.produce(p, ("t", 0), sequence=7, note="after its end")
    s.ends("t", 0)


@case("produce: version 2 begins at 0")
def _(s):
    s.topic("t")
    p = s.init("x")
    s.produce(p, ("t", 0), version=12, sequence=3, note="from 3")
    s.say(s.state("x"))
    s.produce(p, ("t", 0), version=12, sequence=0)
    s.produce(p, ("t", 0), version=12, sequence=1)
    s.produce(p, ("t", 1), version=12, sequence=2, note="the second partition from 2")
    s.producers("t", 0)
    s.end(p, True)
    s.settled("x")
    s.producers("t", 0)
    s.produce(p, ("t", 0), version=12, sequence=1, note="the next epoch from 1")
    s.produce(p, ("t", 0), version=12, sequence=0)
    s.say(s.state("x"))
    s.end(p, False)
    s.settled("x")
    s.ends("t", 0)


@case("produce: after the end, old and new")
def _(s):
    s.topic("t")
    p = s.init("x")
    s.produce(p, ("t", 0), version=12)
    old = (p.pid, p.epoch)
    s.end(p, True)
    s.settled("x")
    for version in (8, 11, 12):
        s.produce(p, ("t", 0), version=version, epoch=old[1], sequence=1, note="the old epoch")
    s.produce(p, ("t", 0), version=12)
    s.produce(p, ("t", 0), version=11, epoch=old[1], sequence=1, note="the old epoch while the next is open")
    s.markers(2, (p.pid, old[1], False, [("t", 0)], 0, 2))
    s.markers(1, (p.pid, old[1], False, [("t", 0)], 0))
    s.markers(2, (p.pid, p.epoch, False, [("t", 0)], 0, 2))
    s.produce(p, ("t", 0), version=12, note="after markers that are none of its own")
    s.end(p, True)
    s.settled("x")
    s.ends("t", 0)
    s.producers("t", 0)


# --- fencing

@case("a zombie wakes up before it produces")
def _(s):
    s.topic("t")
    for version, ending in ((11, 4), (12, 5)):
        name = f"x{version}"
        p = s.init(name)
        q = s.init(name)
        s.produce(p, ("t", 0), version=version, note="zombie")
        if version < 12:
            s.add(p, ("t", 0))
        s.end(p, True, version=ending)
        if version < 12:
            s.add(q, ("t", 0))
        s.produce(q, ("t", 0), version=version)
        s.produce(p, ("t", 0), version=version, note="zombie, the other's is open")
        s.end(p, False, version=ending)
        s.end(q, True, version=ending)
        s.settled(name)
    s.ends("t", 0)


@case("a zombie wakes up before it commits")
def _(s):
    s.topic("t")
    for version, ending in ((11, 4), (12, 5)):
        name = f"x{version}"
        p = s.init(name)
        if version < 12:
            s.add(p, ("t", 0))
        s.produce(p, ("t", 0), version=version)
        q = s.init(name)
        s.settled(name)
        s.end(p, True, version=ending)
        s.end(p, False, version=ending)
        s.produce(p, ("t", 0), version=version, note="zombie")
        if version < 12:
            s.add(p, ("t", 0))
            s.add(q, ("t", 0))
        s.produce(q, ("t", 0), version=version)
        s.end(p, True, version=ending)
        s.end(q, True, version=ending)
        s.settled(name)
        s.end(p, True, version=ending)
    s.ends("t", 0)


@case("a zombie's markers come late")
def _(s):
    s.topic("t")
    p = s.init("x")
    s.add(p, ("t", 0))
    s.produce(p, ("t", 0))
    q = s.init("x")
    s.settled("x")
    s.add(q, ("t", 0))
    s.produce(q, ("t", 0))
    s.markers(1, (p.pid, p.epoch, True, [("t", 0)], 0))
    s.markers(1, (p.pid, p.epoch + 1, False, [("t", 0)], 0))
    s.markers(2, (p.pid, q.epoch, False, [("t", 0)], 0, 2))
    s.ends("t", 0)
    s.end(q, True, version=4)
    s.settled("x")
    s.ends("t", 0)


@case("a late end of an old client, and the next transaction of a version-2 client")
def _(s):
    s.topic("t")
    p = s.init("x")
    s.produce(p, ("t", 0), version=12)
    first = p.epoch
    s.end(p, True)
    s.settled("x")
    s.produce(p, ("t", 0), version=12)
    for version in (0, 1, 2, 3, 4, 5):
        s.end(p, False, version=version, epoch=first, bump=False)
        s.end(p, True, version=version, epoch=first, bump=False)
    s.say(s.state("x"))
    s.produce(p, ("t", 0), version=12)
    s.end(p, True)
    s.settled("x")
    s.ends("t", 0)
    for version in (0, 3, 5):
        s.end(p, False, version=version, epoch=first, bump=False)
        s.end(p, True, version=version, epoch=first, bump=False)


@case("an operator aborts what hangs")
def _(s):
    s.topic("t")
    p = s.init("x")
    s.produce(p, ("t", 0), version=12)
    s.producers("t", 0)
    s.markers(1, (p.pid, p.epoch, False, [("t", 0)], 0))
    s.producers("t", 0)
    s.ends("t", 0)
    s.produce(p, ("t", 0), version=12)
    s.end(p, True)
    s.settled("x")
    s.ends("t", 0)


# --- offsets

@case("offsets in a transaction, versions")
def _(s):
    s.topic("t")
    for version in (0, 1, 2, 3, 4):
        p = s.init(f"x{version}")
        s.commit(p, f"g{version}", ("t", 0, 5), version=version)
        s.add_offsets(p, f"g{version}")
        s.commit(p, f"g{version}", ("t", 0, 5), ("t", 1, 6), version=version)
        s.offsets(f"g{version}", "t", 0)
        s.offsets(f"g{version}", "t", 0, stable=False)
        s.end(p, True, version=3)
        s.settled(p.name, told=False)
        s.offsets(f"g{version}", "t", 0)
    p = s.init("x5")
    s.commit(p, "g5", ("t", 0, 5), version=5)
    s.commit(p, "g5", ("t", 0, 7), ("t", 1, 8), version=5)
    s.offsets("g5", "t", 0)
    s.end(p, False)
    s.settled("x5", told=False)
    s.offsets("g5", "t", 0)
    s.commit(p, "g5", ("t", 0, 9), version=5)
    s.end(p, True)
    s.settled("x5", told=False)
    s.offsets("g5", "t", 0)


@case("offsets in a transaction: whose they are not, and what is not there")
def _(s):
    s.topic("t")
    p, q = s.init("x"), s.init("y")
    s.add_offsets(q, "g")
    for version in (0, 2, 3, 4, 5):
        s.commit(p, "g", ("none", 0, 1), version=version)
        s.commit(p, "g", ("t", 7, 1), ("none", 0, 1), version=version)
        s.commit(p, "", ("t", 0, 1), version=version)
        s.commit(p, "g", ("t", 0, 1), name="unknown", version=version)
        s.commit(p, "g", ("t", 0, 1), name="", version=version)
        s.commit(p, "g", ("t", 0, 1), name="y", version=version)
        s.commit(p, "g", ("t", 0, 1), epoch=p.epoch + 1, version=version)
        s.commit(p, "g", ("t", 0, 1), pid=FAR, version=version)
        s.commit(p, "g", ("t", 0, 1), pid=-1, version=version)
        if version >= 3:
            s.commit(q, "g", ("t", 0, 1), ("t", 7, 1), member=("nobody", 3), version=version)
            s.commit(q, "g", ("t", 0, 1), member=("nobody", -1), version=version)
            s.commit(q, "g", ("t", 0, 1), member=("", 4), version=version)
    s.commit(q, "g", ("t", 0, 1), ("t", 7, 1), ("none", 0, 1), version=3)
    s.end(q, True, version=3)
    s.settled("y")
    s.offsets("g", "t", 0)


@case("offsets in a transaction: a zombie")
def _(s):
    s.topic("t")
    for version, ending in ((3, 4), (5, 5)):
        name, group = f"x{version}", f"g{version}"
        p = s.init(name)
        if version < 5:
            s.add_offsets(p, group)
        s.commit(p, group, ("t", 0, 1), version=version)
        q = s.init(name)
        s.settled(name)
        s.offsets(group, "t", 0)
        s.commit(p, group, ("t", 0, 2), version=version)
        if version < 5:
            s.add_offsets(q, group)
        s.commit(q, group, ("t", 0, 3), version=version)
        s.commit(p, group, ("t", 0, 4), version=version)
        s.end(p, True, version=ending)
        s.end(q, True, version=ending)
        s.settled(name)
        s.offsets(group, "t", 0)


# --- what comes at once, and what goes

@case("a topic goes while a transaction has it")
def _(s):
    s.topic("t", "u")
    p = s.init("x")
    s.produce(p, ("t", 0), ("u", 0), ("u", 1), version=12)
    s.ask("DeleteTopics", 5, {"TimeoutMs": 30000, "TopicNames": [s.own("u")]})
    moldau.wait_for(lambda: s.ask("Metadata", 12, {"Topics": [{"Name": s.own("u")}]})["Topics"][0]["ErrorCode"] == 3, 20)
    s.end(p, True)
    s.settled("x")
    s.ends("t", 0)


@case("requests on their way behind the first of a transaction")
def _(s):
    s.topic("t")
    for version in (11, 12):
        p = s.init(f"x{version}")
        if version < 12:
            s.add(p, ("t", 0))
        s.produce(p, ("t", 1), version=12)
        for number in range(5):
            s.connection.send(wire.request("Produce", version, s.send(p.name, [("t", 0, s.batch(p, "t0"))], version), number))
        for number in range(5):
            correlation, a = s.connection.answer("Produce", version)
            q = a["Responses"][0]["PartitionResponses"][0]
            s.say(f"answer {correlation}: {txn_oracle.ERRORS[q['ErrorCode']]} @{q['BaseOffset']}")
        s.end(p, True, version=5 if version > 11 else 3)
        s.settled(p.name)
    s.ends("t", 0)


@case("produce: nobody hears of an error without acks")
def _(s):
    s.topic("t")
    p = s.init("x")
    s.add(p, ("t", 0))
    s.connection.send(wire.request("Produce", 11, s.send("x", [("t", 0, s.batch(p, "t0"))], 11, acks=0)))
    moldau.wait_for(lambda: s.latest("t", 0) == 1, 20)
    s.ends("t", 0)
    s.connection.send(wire.request("Produce", 11, s.send("x", [("t", 1, s.batch(p, "t1"))], 11, acks=0)))
    s.say("closed" if s.connection.is_closed(20) else "open")
    s.connection.close()
    s.connection = moldau.Connection(s.port, s.host)
    s.end(p, True, version=4)
    s.settled("x")
    s.ends("t", 0)


@case("a commit at once behind another's end")
def _(s):
    s.topic("t")
    p = s.init("x")
    for version in (3, 4, 5):
        p.sequences = {}
        s.add_offsets(p, "g")
        s.commit(p, "g", ("t", 0, 1), version=version if version < 5 else 4)
        s.end(p, True, version=5)
        s.commit(p, "g", ("t", 0, 2), version=5)
        s.produce(p, ("t", 0), version=12)
        s.end(p, True, version=5)
        s.settled("x")
        s.offsets("g", "t", 0)


# --- time

@case("a transaction that outlives its timeout")
def _(s):
    s.topic("t")
    p = s.init("x", timeout=1000)
    s.produce(p, ("t", 0), version=12)
    moldau.wait_for(lambda: "CompleteAbort" in s.state("x"), 30)
    s.say(s.state("x"))
    s.ends("t", 0)
    s.produce(p, ("t", 0), version=12)
    s.end(p, True)
    q = s.init("x")
    s.produce(q, ("t", 0), version=12)
    s.end(q, True)
    s.settled("x")
    s.ends("t", 0)
