#!/usr/bin/env python3
"""The story of a group of consumers, told by other people's clients: groups.py [--against moldau|kafka|both|ADDRESS] [--core] [WORD,...]

A topic of six partitions. The first consumer processes offset 15 of each, commits and leaves; three resume at 16 with two partitions
each; a fourth joins; one that owns two is killed with -9 and loses them when its session ends; with seven one is idle; one leaves, which costs no
session; at last all do. At every moment a partition has one owner at most, and nothing that was written is skipped (group_check.py).
Then members with names of their own that come back, and a broker that is stopped or killed under its members (tell_static, tell_restart).
combinations() is who plays: each client alone with each of its assignors and protocols, and clients mixed in one group.
"""
import argparse
import concurrent.futures
import os
import re
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "system")]

import brokers  # noqa: E402
import group_check  # noqa: E402
import members  # noqa: E402
import moldau  # noqa: E402
import wire  # noqa: E402
import wire_admin  # noqa: E402
from members import CLASSIC, CONSUMER, Kind  # noqa: E402

PARTITIONS = 6
FIRST = 16  # records a partition before anybody comes
PROCESSED = 15  # what the first consumer processes last
SESSION_MS, HEARTBEAT_MS = 6000, 1000
SETTLE_SECONDS = 90  # seven JVMs that start on a machine that others use, too
TAKEOVER_SECONDS = SESSION_MS / 1000 + 12
TOO_EARLY_SECONDS = (SESSION_MS - HEARTBEAT_MS) / 1000 - 1
TICK_SECONDS = 0.05  # between records
AT_ONCE = 4  # stories
API = {CLASSIC: "JoinGroup", CONSUMER: "ConsumerGroupHeartbeat"}  # what a protocol begins with
NOT_YET = (3, 5, 6)  # unknown partition, no leader, not the leader

# Sessions as short as the classic protocol has them, and no waiting for members that might yet come.
BROKER = {
    "group.initial.rebalance.delay.ms": 200, "group.min.session.timeout.ms": SESSION_MS,
    "group.consumer.session.timeout.ms": SESSION_MS, "group.consumer.min.session.timeout.ms": SESSION_MS,
    "group.consumer.heartbeat.interval.ms": HEARTBEAT_MS, "group.consumer.min.heartbeat.interval.ms": HEARTBEAT_MS,
}


class Combination:
    """Who plays which story: the member that comes as the n-th is kinds[n], and from the last one on they are taken in turn."""

    def __init__(self, name, kinds, story=None):
        self.name, self.kinds, self.story = name, kinds, story or tell
        self.core = name in CORE

    def kind(self, number):
        return self.kinds[number % len(self.kinds)]


def alone():
    """Each client with each of its assignors."""
    return [Combination(str(Kind(client, protocol, assignor)), [Kind(client, protocol, assignor)])
            for client, protocols in members.ASSIGNORS.items()
            for protocol, assignors in protocols.items() for assignor in assignors]


def mixed(assignor, names, protocol=CLASSIC):
    label = assignor if protocol == CLASSIC else "KIP-848 " + assignor
    return Combination(f"{label} of {', '.join(names)}", [Kind(name, protocol, assignor) for name in names])


def migration(name, before, after):
    """Three members of one protocol, then those of the other."""
    return Combination(name, [before] * 3 + [after] * 4)


CORE = ("librdkafka cooperative-sticky", "librdkafka KIP-848 uniform", "java KIP-848 uniform", "kafka-python roundrobin",
        "restart franz cooperative-sticky", "kafkajs roundrobin", "range of java, librdkafka, sarama, kafka-python, franz",
        "java from classic to KIP-848")


def static(kind):
    return Combination(f"static {kind}", [kind], tell_static)


def restart(kind):
    return Combination(f"restart {kind}", [kind], tell_restart)


def combinations():
    """
    sarama is left out where the sticky ones meet: it cannot read what the others say that they own. librdkafka's cooperative-sticky leaders put
    user data into assignments now and then, and a group with that is not upgraded, by Kafka neither.
    """
    return alone() + [
        mixed("range", ["java", "librdkafka", "sarama", "kafka-python", "franz"]),
        mixed("roundrobin", ["java", "librdkafka", "sarama", "kafka-python", "franz", "moldau"]),
        mixed("sticky", ["java", "kafka-python", "franz", "moldau"]),
        mixed("cooperative-sticky", ["java", "librdkafka", "kafka-python", "franz", "moldau"]),
        mixed("uniform", ["java", "librdkafka", "franz", "moldau"], CONSUMER),
        migration("java from classic to KIP-848", Kind("java", CLASSIC, "range"), Kind("java", CONSUMER, "uniform")),
        migration("java from KIP-848 to classic", Kind("java", CONSUMER, "uniform"), Kind("java", CLASSIC, "range")),
        migration("librdkafka from classic to KIP-848", Kind("librdkafka", CLASSIC, "range"), Kind("librdkafka", CONSUMER, "uniform")),
        migration("franz from cooperative to KIP-848", Kind("franz", CLASSIC, "cooperative-sticky"), Kind("franz", CONSUMER, "uniform")),
        migration("kafka-python classic, librdkafka KIP-848", Kind("kafka-python", CLASSIC, "range"), Kind("librdkafka", CONSUMER, "range")),
    ] + [static(kind) for kind in (
        Kind("librdkafka", CLASSIC, "range"), Kind("java", CLASSIC, "range"), Kind("franz", CLASSIC, "cooperative-sticky"),
        Kind("sarama", CLASSIC, "range"), Kind("kafka-python", CLASSIC, "roundrobin"), Kind("librdkafka", CONSUMER, "uniform"),
        Kind("java", CONSUMER, "uniform"))] + [restart(kind) for kind in (
            Kind("librdkafka", CLASSIC, "cooperative-sticky"), Kind("java", CLASSIC, "range"), Kind("franz", CLASSIC, "cooperative-sticky"),
            Kind("sarama", CLASSIC, "range"), Kind("kafka-python", CLASSIC, "range"), Kind("kafkajs", CLASSIC, "roundrobin"),
            Kind("librdkafka", CONSUMER, "uniform"), Kind("java", CONSUMER, "uniform"), Kind("franz", CONSUMER, "uniform"))]


class Wrong(Exception):
    """The story did not go as it should."""


class Group:
    """A topic, a group on it, and everybody who ever was its member; `broker` where it is the group's own."""

    def __init__(self, port, name, combination, commands, broker=None):
        self.port, self.name, self.combination, self.commands, self.broker = port, name, combination, commands, broker
        self.topic = "orders-" + name
        self.everybody = []
        self.killed = []
        self.heard = threading.Condition()
        self.written = 0  # records in each partition
        self.connection = None
        # Of now: what is older than its topic keeps may go at any moment.
        self.batch = wire.batch([b"order"], timestamp=int(time.time() * 1000))
        self.produced_at = 0
        self.problem = None

    def __enter__(self):
        wire_admin.create_topic(self.port, self.topic, PARTITIONS)
        self.connection = moldau.Connection(self.port)
        return self

    def __exit__(self, *_):
        for member in self.everybody:
            member.end()
        self.connection.close()

    # --- the topic

    def produce(self):
        """One record to each partition; Kafka names leaders of a new topic before they take records."""
        missing = list(range(PARTITIONS))
        end = time.monotonic() + SETTLE_SECONDS
        while missing:
            answer = self.connection.ask("Produce", 8, wire.produce(self.topic, missing, self.batch))
            results = answer["Responses"][0]["PartitionResponses"]
            missing = [p["Index"] for p in results if p["ErrorCode"]]
            if any(p["ErrorCode"] not in (0, *NOT_YET) for p in results) or time.monotonic() > end:
                raise Wrong(f"not produced: {results}")
        self.written += 1
        self.produced_at = time.monotonic()

    def committed(self):
        answer = wire_admin.call(self.port, "OffsetFetch", 7, {
            "GroupId": self.name, "RequireStable": False,
            "Topics": [{"Name": self.topic, "PartitionIndexes": list(range(PARTITIONS))}]})
        return {p["PartitionIndex"]: p["CommittedOffset"] for p in answer["Topics"][0]["Partitions"]}

    def restart(self, end):
        """The broker is ended that way and started again; nothing is written meanwhile."""
        self.connection.close()
        end()
        self.broker.start()
        self.connection = moldau.Connection(self.port)

    def members(self):
        """How many the broker says there are: an idle one says nothing of itself."""
        for api, version in (("ConsumerGroupDescribe", 0), ("DescribeGroups", 5)):
            if api not in wire_admin.apis(self.port):
                continue
            name = "GroupIds" if api == "ConsumerGroupDescribe" else "Groups"
            found = wire_admin.call(self.port, api, version, {name: [self.name]})["Groups"][0]
            if not found["ErrorCode"] and found["Members"]:
                return len(found["Members"])
        return 0

    # --- the members

    def start(self, number, until=None, instance=None):
        kind = self.combination.kind(number)
        config = {"bootstrap": f"127.0.0.1:{self.port}", "group": self.name, "topic": self.topic, "protocol": kind.protocol,
                  "assignor": kind.assignor, "session_ms": SESSION_MS, "heartbeat_ms": HEARTBEAT_MS, "until": until, "instance": instance}
        name = f"{len(self.everybody)}-{kind.client}"
        member = members.Member(name, kind, self.commands[kind.client], config, self.heard)
        self.everybody.append(member)
        return member

    def leave(self, member):
        if member.leave():
            raise Wrong(f"{member.name} ended with {member.process.returncode}: {member.complaint()}")

    def kill(self, member):
        at = time.monotonic_ns()
        member.kill()
        self.killed.append((at, member.name))

    def events(self):
        """[(member, event)] by time; what a killed member said last counts as before that."""
        with self.heard:
            found = [(event["t"], member.name, event) for member in self.everybody for event in member.events]
        found += [(max([at] + [t for t, name, _ in found if name == killed]), killed, {"e": "killed"}) for at, killed in self.killed]
        return [(name, event) for _, name, event in sorted(found, key=lambda entry: entry[0])]

    # --- waiting

    def wait(self, condition, what, seconds=SETTLE_SECONDS, producing=True):
        """Records keep coming while the condition is waited for; returns the seconds that took."""
        began = time.monotonic()
        while True:
            with self.heard:
                if condition():
                    return time.monotonic() - began
                self.heard.wait(TICK_SECONDS)
            ended = [m for m in self.everybody if not m.gone and m.process.poll() is not None]
            if ended:
                raise Wrong(f"{ended[0].name} ended with {ended[0].process.returncode}: {ended[0].complaint()}")
            if time.monotonic() - began > seconds:
                owners = {m.name: sorted(m.owned) for m in self.everybody if not m.gone}
                raise Wrong(f"not within {seconds:.0f} s: {what}; owners: {owners}")
            if producing and time.monotonic() - self.produced_at > TICK_SECONDS:
                self.produce()

    def settled(self, present):
        """Every partition has one owner, and nobody has two more than another."""
        owned = [p for member in present for p in member.owned]
        counts = [len(member.owned) for member in present]
        return sorted(owned) == list(range(PARTITIONS)) and max(counts) - min(counts) <= 1

    def settle(self, present, what, seconds=SETTLE_SECONDS):
        return self.wait(lambda: self.settled(present), what, seconds)

    def last_committed(self, offset):
        """All partitions have it, as their members said."""
        found = {}
        for member in self.everybody:
            for event in member.events:
                if event["e"] == "committed":
                    for number, committed in event["o"].items():
                        found[int(number)] = max(committed, found.get(int(number), 0))
        return [found.get(p) for p in range(PARTITIONS)] == [offset] * PARTITIONS


def tell(group):
    """The story; figures by name, in seconds."""
    figures = {}
    while group.written < FIRST:
        group.produce()
    first = group.start(0, until=PROCESSED)
    group.wait(lambda: group.last_committed(PROCESSED + 1), "the first consumer has committed all", producing=False)
    group.leave(first)
    if set(group.committed().values()) != {PROCESSED + 1}:
        raise Wrong(f"committed: {group.committed()}")

    present = [group.start(number) for number in range(3)]
    figures["three"] = group.settle(present, "three consumers own two partitions each")
    present.append(group.start(3))
    figures["fourth"] = group.settle(present, "four consumers own all")
    victim = next(member for member in present if len(member.owned) == 2)
    taken = set(victim.owned)
    group.kill(victim)
    present.remove(victim)
    figures["killed"] = group.wait(lambda: taken <= {p for m in present for p in m.owned}, "others own what the killed one had", TAKEOVER_SECONDS)
    if figures["killed"] < TOO_EARLY_SECONDS:
        raise Wrong(f"the killed one's partitions moved after {figures['killed']:.1f} s, before its session can have ended")
    group.settle(present, "the three that are left own two each")

    present += [group.start(number) for number in range(4, 8)]
    figures["seven"] = group.wait(lambda: group.settled(present) and group.members() == len(present),
                                  "six of seven consumers own one partition each")
    leaving = next(member for member in present if member.owned)
    group.leave(leaving)
    present.remove(leaving)
    figures["left"] = group.settle(present, "the idle one owns what the one that left had", SESSION_MS / 1000)
    return figures, present


def tell_static(group):
    """
    A member with a name of its own comes back within its session: it has what it had, and nobody else notices. It was killed; with
    KIP-848 it must have said that it will be back, since a name is only given to another process when its owner released it (franz-go does not).
    """
    group.produce()
    present = [group.start(number, instance=f"instance-{number}") for number in range(3)]
    figures = {"three": group.settle(present, "three consumers own two partitions each")}
    group.wait(lambda: group.last_committed(group.written), "all that was written is committed", producing=False)
    victim, others = present[1], [present[0], present[2]]
    had, noticed = set(victim.owned), [len(rebalances(member)) for member in others]
    if victim.kind.protocol == CLASSIC:
        group.kill(victim)
    else:
        group.leave(victim)
    present[1] = group.start(1, instance="instance-1")
    figures["back"] = group.wait(lambda: present[1].owned == had, "the one that came back owns what it had")
    group.wait(lambda: group.last_committed(group.written), "all that was written is committed", producing=False)
    if [len(rebalances(member)) for member in others] != noticed:
        raise Wrong("the others lost or got partitions while one was restarted")
    return figures, present


def tell_restart(group):
    """The broker is killed under its members, and stopped: they stay members or come back, and go on where they were."""
    group.produce()
    present = [group.start(number) for number in range(3)]
    figures = {"three": group.settle(present, "three consumers own two partitions each")}
    for name, end in (("killed", group.broker.kill), ("stopped", group.broker.stop)):
        group.wait(lambda: group.last_committed(group.written), "all that was written is committed", producing=False)
        group.restart(end)
        group.produce()
        figures[f"broker {name}"] = group.wait(lambda: group.settled(present) and group.last_committed(group.written),
                                               "all is owned and what was written is committed", producing=False)
    victim = present.pop(0)
    group.kill(victim)
    figures["killed"] = group.settle(present, "two own three each", TAKEOVER_SECONDS)
    return figures, present


def rebalances(member):
    return [event for event in member.events if event["e"] in ("assigned", "revoked", "lost") and event["p"]]


def finish_static(group, present):
    """Static members that are closed stay members until their sessions end: all end at once."""
    for member in present:
        group.leave(member)
    judge(group)


def finish(group, present):
    """What was written last is read, then all leave, one after the other, each time until the others own all."""
    group.wait(lambda: group.last_committed(group.written), "all that was written is committed", producing=False)
    while present:
        group.leave(present.pop(0))
        if present:
            group.settle(present, "those that stay own all")
            group.wait(lambda: group.last_committed(group.written), "all that was written is committed", producing=False)
    judge(group)


def judge(group):
    """All that was told, at its end."""
    said = group.events()
    if group.broker:  # clients may complain of a broker that went
        said = [(name, event) for name, event in said if event["e"] != "error"]
    problems = group_check.check(said)
    problems += group_check.unread(said, {p: group.written for p in range(PARTITIONS)})
    if set(group.committed().values()) != {group.written}:
        problems.append(f"the broker has {group.committed()}, {group.written} were written")
    if problems:
        raise Wrong("; ".join(problems[:5]))


def play(port, number, combination, commands, trace=None, broker=None):
    """(problem or None, figures)"""
    figures = {}
    with Group(port, f"order_processing_group_{os.getpid()}_{number}", combination, commands, broker) as group:
        try:
            figures, present = combination.story(group)
            (finish_static if combination.story is tell_static else finish)(group, present)
            return None, figures
        except (Wrong, OSError, EOFError, AssertionError) as problem:
            return f"{type(problem).__name__}: {problem}", figures
        finally:
            figures["failed commits"] = sum(event["e"] == "commit_failed" for _, event in group.events())
            if trace:
                record(group, os.path.join(trace, re.sub(r"[^\w-]+", "_", combination.name)))


def play_alone(make, number, combination, commands, trace=None):
    """With a broker of its own."""
    with make(BROKER) as broker:
        return play(broker.start().port, number, combination, commands, trace, broker)


def record(group, path):
    """What the members said, by time, and what they complained of."""
    with open(path + ".txt", "w", encoding="utf-8") as out:
        out.writelines(f"{event.get('t', 0) / 1e9:.3f} {name} {event}\n" for name, event in group.events())
        for member in group.everybody:
            out.writelines(f"{member.name} complains: {line}\n" for line in member.complaint().splitlines())


def run(port, wanted, make=None, trace=None, at_once=AT_ONCE):
    """Plays them on the broker of that port, some at once, and with a broker of its own by `make` whoever wants that; how many failed."""
    commands, missing = members.find(sorted({kind.client for c in wanted for kind in c.kinds}))
    label, playable, failed = make.label if make else "", [], 0
    apis = wire_admin.apis(port)
    for combination in wanted:
        lacking = [missing[kind.client] for kind in combination.kinds if kind.client in missing]
        lacking += [f"the broker has no {API[kind.protocol]}" for kind in combination.kinds if API[kind.protocol] not in apis]
        if combination.story is tell_restart and not make:
            lacking.append("the broker is not ours to restart")
        if lacking:
            print(f"SKIP {label}{combination.name}: {lacking[0]}", flush=True)
        else:
            playable.append(combination)
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        running = {pool.submit(play_alone, make, n, c, commands, trace) if c.story is tell_restart
                   else pool.submit(play, port, n, c, commands, trace): c for n, c in enumerate(playable)}
        for ended in concurrent.futures.as_completed(running):
            problem, figures = ended.result()
            failed += problem is not None
            print(f"{'FAIL' if problem else 'PASS'} {label}{running[ended].name}", flush=True)
            print("    " + ", ".join(f"{name} {value:.1f}" for name, value in figures.items()), flush=True)
            if problem:
                print(f"    {problem}", flush=True)
    return failed


def choose(words, core):
    return [c for c in combinations() if (c.core or not core) and (not words or any(word in c.name for word in words))]


def run_against(against, wanted, trace=None):
    if ":" in against:
        return run(int(against.rpartition(":")[2]), wanted, None, trace)
    failed = 0
    for make in brokers.makers(against):
        with make(BROKER) as broker:
            failed += run(broker.start().port, wanted, make, trace)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", default="moldau")
    parser.add_argument("--core", action="store_true", help="the few that ./dev test plays")
    parser.add_argument("--trace", help="a folder for what the members said")
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    return 1 if run_against(options.against, choose(options.words, options.core), options.trace) else 0


if __name__ == "__main__":
    sys.exit(main())
