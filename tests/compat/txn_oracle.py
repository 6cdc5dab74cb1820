#!/usr/bin/env python3
"""What partitions and groups say in transactions: the same asked of a real Kafka and of Moldau, by raw requests.

    txn_oracle.py                       a Moldau of its own, compared with what Kafka said when it was last recorded (transcripts/txn_partitions.txt)
    txn_oracle.py --at HOST:PORT        the same of a broker that is there
    txn_oracle.py --record              starts a Kafka where one can be had (kafka.py beside this file), and writes down what it says
    --only TEXT                         cases with that in their name; --show: every line

A case is a story with topics, transactional ids and groups of its own. What it tells is lines: each request in short, and the names of the
errors that came. Producer ids are told by the order in which they came up. Prints PASS or FAIL for each case; exit code 1 on a difference, 77 when
there is no Kafka to record.
"""
import argparse
import difflib
import os
import re
import socket
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(HERE, "..", "system"))
import kafka as peer  # noqa: E402
import moldau  # noqa: E402
import wire  # noqa: E402
import wire_admin  # noqa: E402

TRANSCRIPT = os.path.join(HERE, "transcripts", "txn_partitions.txt")
SETTINGS = {"offsets.topic.num.partitions": 3, "transaction.state.log.num.partitions": 3, "group.initial.rebalance.delay.ms": 0,
            "auto.create.topics.enable": "false", "transaction.abort.timed.out.transaction.cleanup.interval.ms": 100}
AT_ONCE = 8  # cases; a Kafka that is recorded is asked one after the other, since it mixes up the versions of those who ask its coordinator at once
NOT_YET = {14, 15, 16, 51}  # loading, not available, not coordinator, another transaction is at its end
TRANSACTIONAL, CONTROL = 0x10, 0x20
OFFSETS = "__consumer_offsets"

ERRORS = {0: "NONE"}
for _line in open(os.path.join(ROOT, "src", "base", "err.h"), encoding="utf-8"):
    _found = re.match(r"\s*X\((\w+), (-?\d+),", _line)
    if _found:
        ERRORS[int(_found[2])] = _found[1]

CASES = {}


def case(name):
    def take(function):
        CASES[name] = function
        return function
    return take


class Producer:
    def __init__(self, name, pid, epoch):
        self.name, self.pid, self.epoch = name, pid, epoch
        self.sequences = {}


class Story:
    """One case at one broker."""

    def __init__(self, host, port, prefix):
        self.host, self.port, self.prefix = host, port, prefix
        self.lines, self.pids = [], {}
        self.connection = moldau.Connection(port, host)

    def close(self):
        self.connection.close()

    def say(self, text):
        self.lines.append(text)

    def ask(self, api, version, body):
        return self.connection.ask(api, version, body)

    def again(self, api, version, body, errors):
        """Until none of the errors is one that goes by itself."""
        end = time.monotonic() + 30
        while True:
            answer = self.ask(api, version, body)
            if not set(errors(answer)) & NOT_YET or time.monotonic() > end:
                return answer
            time.sleep(0.02)

    def own(self, name):
        return name if name is None or name == "" or name.startswith("__") else self.prefix + name

    def pid(self, number):
        """Producer ids differ from run to run: the first that came is p0."""
        if number < 0:
            return str(number)
        return self.pids.setdefault(number, f"p{len(self.pids)}")

    # --- what is made first

    def topic(self, *names, partitions=2):
        self.ask("CreateTopics", 7, {"timeoutMs": 10000, "Topics": [
            {"Name": self.own(n), "NumPartitions": partitions, "ReplicationFactor": 1} for n in names]})
        for n in names:
            moldau.wait_for(lambda n=n: not self.ask("Metadata", 12, {"Topics": [{"Name": self.own(n)}]})["Topics"][0]["ErrorCode"], 20)
            # Kafka shows a topic a moment before its log is there.
            for q in range(partitions):
                moldau.wait_for(lambda n=n, q=q: not self.ask("DescribeProducers", 0, {"Topics": [{"Name": self.own(n), "PartitionIndexes": [q]}]})[
                    "Topics"][0]["Partitions"][0]["ErrorCode"], 20)

    def topic_id(self, name):
        return self.ask("Metadata", 12, {"Topics": [{"Name": self.own(name)}]})["Topics"][0]["TopicId"]

    def init(self, name, timeout=60000, told=True, version=5, producer=(-1, -1), until=True):
        body = {"TransactionalId": self.own(name), "TransactionTimeoutMs": timeout}
        if version >= 3:
            body["ProducerId"], body["ProducerEpoch"] = producer
        if name is not None:
            self.again("FindCoordinator", 1, {"Key": self.own(name), "KeyType": 1}, lambda a: [a["ErrorCode"]])
        a = self.again("InitProducerId", version, body, lambda a: [a["ErrorCode"]] if until else [])
        if told:
            self.say(f"init {name}: {ERRORS[a['ErrorCode']]} {self.pid(a['ProducerId'])} epoch {a['ProducerEpoch']}")
        return Producer(name, a["ProducerId"], a["ProducerEpoch"])

    # --- the coordinator

    def add(self, p, *places, version=3, epoch=None, pid=None):
        topics = [{"Name": self.own(n), "Partitions": list(parts)} for n, *parts in places]
        body = {"V3AndBelowTransactionalId": self.own(p.name), "V3AndBelowProducerId": p.pid if pid is None else pid,
                "V3AndBelowProducerEpoch": p.epoch if epoch is None else epoch, "V3AndBelowTopics": topics}
        a = self.again("AddPartitionsToTxn", version, body, lambda a: [q["PartitionErrorCode"] for t in a["ResultsByTopicV3AndBelow"]
                                                                      for q in t["ResultsByPartition"]])
        self.say("add " + " ".join(f"{t['Name'][len(self.prefix):]}-{q['PartitionIndex']}={ERRORS[q['PartitionErrorCode']]}"
                                   for t in sorted(a["ResultsByTopicV3AndBelow"], key=lambda t: t["Name"])
                                   for q in sorted(t["ResultsByPartition"], key=lambda q: q["PartitionIndex"])))

    def add_offsets(self, p, group, version=3):
        body = {"TransactionalId": self.own(p.name), "ProducerId": p.pid, "ProducerEpoch": p.epoch, "GroupId": self.own(group)}
        a = self.again("AddOffsetsToTxn", version, body, lambda a: [a["ErrorCode"]])
        self.say(f"add offsets {group}: {ERRORS[a['ErrorCode']]}")

    def end(self, p, committed, version=5, epoch=None, pid=None, bump=True, until=True):
        body = {"TransactionalId": self.own(p.name), "ProducerId": p.pid if pid is None else pid,
                "ProducerEpoch": p.epoch if epoch is None else epoch, "Committed": committed}
        a = self.again("EndTxn", version, body, lambda a: [a["ErrorCode"]] if until else [])
        told = f" {self.pid(a['ProducerId'])} epoch {a['ProducerEpoch']}" if version >= 5 else ""
        self.say(f"{'commit' if committed else 'abort'} v{version}: {ERRORS[a['ErrorCode']]}{told}")
        if version >= 5 and not a["ErrorCode"] and bump:
            p.pid, p.epoch, p.sequences = a["ProducerId"], a["ProducerEpoch"], {}

    def state(self, name):
        a = self.again("DescribeTransactions", 0, {"TransactionalIds": [self.own(name)]},
                       lambda a: [t["ErrorCode"] for t in a["TransactionStates"]])["TransactionStates"][0]
        places = sorted(f"{t['Topic'] if t['Topic'].startswith('__') else t['Topic'][len(self.prefix):]}-{q}" for t in a["Topics"] for q in t["Partitions"])
        return f"{ERRORS[a['ErrorCode']]} {a['TransactionState']} {self.pid(a['ProducerId'])} epoch {a['ProducerEpoch']} {' '.join(places)}".rstrip()

    def settled(self, name, told=True):
        """Once its transaction has come to its end."""
        moldau.wait_for(lambda: "Prepare" not in self.state(name), 20)
        if told:
            self.say(f"{name} is {self.state(name)}")

    # --- partitions

    def batch(self, p, place, count=1, attributes=TRANSACTIONAL, sequence=None, epoch=None, pid=None):
        key = place
        at = p.sequences.get(key, 0) if sequence is None else sequence
        if sequence is None:
            p.sequences[key] = at + count
        return wire.batch([b"v"] * count, timestamp=1700000000000, attributes=attributes,
                          producer=(p.pid if pid is None else pid, p.epoch if epoch is None else epoch, at))

    def send(self, name, places, version, acks=-1, connection=None):
        """Places as (topic, partition, bytes); gives the answer's partitions in that order."""
        by_topic = {}
        for topic, partition, data in places:
            by_topic.setdefault(topic, []).append({"Index": partition, "Records": data})
        key = (lambda t: {"TopicId": self.topic_id(t)}) if version >= 13 else (lambda t: {"Name": self.own(t)})
        body = {"TransactionalId": self.own(name), "Acks": acks, "TimeoutMs": 30000, "TopicData": [
            {**key(t), "PartitionData": parts} for t, parts in by_topic.items()]}
        return body

    def produce(self, p, *places, version=11, name=True, until=True, note="", **batch):
        """One batch to each place, a (topic, partition)."""
        data = [(t, q, self.batch(p, (t, q), **batch)) for t, q in places]
        self.produce_bytes(p.name if name is True else name, data, version, until, note)

    def produce_bytes(self, name, data, version=11, until=True, note=""):
        body = self.send(name, data, version)
        names = {self.topic_id(t): t for t, _, _ in data} if version >= 13 else {}
        # Of a broker that has not heard of its coordinator yet; what clients repeat is repeated.
        a = self.again("Produce", version, body, lambda a: [q["ErrorCode"] if q["ErrorCode"] != 19 else 51 for t in a["Responses"]
                                                           for q in t["PartitionResponses"]] if until else [])
        told = []
        for t in a["Responses"]:
            topic = names[t["TopicId"]] if version >= 13 else (t["Name"] if t["Name"].startswith("__") else t["Name"][len(self.prefix):])
            for q in t["PartitionResponses"]:
                message = f" ({q['ErrorMessage']})" if q.get("ErrorMessage") else ""
                told.append(f"{topic}-{q['Index']}={ERRORS[q['ErrorCode']]}@{q['BaseOffset']} start {q.get('LogStartOffset', '-')}{message}")
        self.say(f"produce v{version}{' ' + note if note else ''}: " + " ".join(sorted(told)))

    def markers(self, version, *markers):
        """Each as (pid, epoch, committed, places, coordinator epoch, transaction version)."""
        body = {"Markers": [{"ProducerId": pid, "ProducerEpoch": epoch, "TransactionResult": committed, "CoordinatorEpoch": coordinator, "Topics": [
            {"Name": self.own(n), "PartitionIndexes": parts} for n, *parts in places], **({"TransactionVersion": tv[0]} if tv else {})}
            for pid, epoch, committed, places, coordinator, *tv in markers]}
        a = self.ask("WriteTxnMarkers", version, body)
        told = []
        for m in a["Markers"]:
            for t in m["Topics"]:
                topic = t["Name"] if t["Name"].startswith("__") else t["Name"][len(self.prefix):]
                told += [f"{self.pid(m['ProducerId'])}:{topic}-{q['PartitionIndex']}={ERRORS[q['ErrorCode']]}" for q in t["Partitions"]]
        self.say(f"markers v{version}: " + " ".join(sorted(told)))

    def producers(self, topic, partition):
        a = self.ask("DescribeProducers", 0, {"Topics": [{"Name": self.own(topic), "PartitionIndexes": [partition]}]})
        q = a["Topics"][0]["Partitions"][0]
        told = [f"{self.pid(s['ProducerId'])} epoch {s['ProducerEpoch']} sequence {s['LastSequence']} coordinator {s['CoordinatorEpoch']} "
                f"begins {s['CurrentTxnStartOffset']}" for s in q["ActiveProducers"]]
        self.say(f"producers {topic}-{partition}: {ERRORS[q['ErrorCode']]} " + "; ".join(sorted(told)))

    def latest(self, topic, partition, isolation=0):
        a = self.ask("ListOffsets", 7, {"ReplicaId": -1, "IsolationLevel": isolation, "Topics": [{"Name": self.own(topic), "Partitions": [
            {"PartitionIndex": partition, "Timestamp": -1}]}]})
        return a["Topics"][0]["Partitions"][0]["Offset"]

    def ends(self, topic, partition):
        self.say(f"{topic}-{partition}: ends at {self.latest(topic, partition)}, stable to {self.latest(topic, partition, 1)}")

    # --- groups

    def commit(self, p, group, *offsets, version=3, member=("", -1), epoch=None, pid=None, until=True, name=True, instance=None):
        """Offsets as (topic, partition, offset)."""
        by_topic = {}
        for topic, partition, offset in offsets:
            by_topic.setdefault(topic, []).append({"PartitionIndex": partition, "CommittedOffset": offset, "CommittedMetadata": ""})
        key = (lambda t: {"TopicId": t if len(t) == 22 else self.topic_id(t)}) if version >= 6 else (lambda t: {"Name": self.own(t)})
        body = {"TransactionalId": self.own(p.name if name is True else name), "GroupId": self.own(group),
                "ProducerId": p.pid if pid is None else pid, "ProducerEpoch": p.epoch if epoch is None else epoch,
                "Topics": [{**key(t), "Partitions": parts} for t, parts in by_topic.items()]}
        if version >= 3:
            body["MemberId"], body["GenerationIdOrMemberEpoch"], body["GroupInstanceId"] = member[0], member[1], instance
        self.again("FindCoordinator", 1, {"Key": self.own(group), "KeyType": 0}, lambda a: [a["ErrorCode"]])
        a = self.again("TxnOffsetCommit", version, body, lambda a: [q["ErrorCode"] for t in a["Topics"] for q in t["Partitions"]] if until else [])
        names = {self.topic_id(t): t for t in by_topic if len(t) != 22} if version >= 6 else {}

        def label(t):
            return names.get(t["TopicId"], "unknown") if version >= 6 else t["Name"][len(self.prefix):]
        self.say(f"offsets v{version}: " + " ".join(sorted(f"{label(t)}-{q['PartitionIndex']}={ERRORS[q['ErrorCode']]}" for t in a["Topics"]
                                                         for q in t["Partitions"])))

    def offsets(self, group, topic, partition, stable=True):
        def get():
            a = self.ask("OffsetFetch", 8, {"RequireStable": stable, "Groups": [{"GroupId": self.own(group), "Topics": [
                {"Name": self.own(topic), "PartitionIndexes": [partition]}]}]})["Groups"][0]
            if a["ErrorCode"]:
                return ERRORS[a["ErrorCode"]]
            q = a["Topics"][0]["Partitions"][0]
            return f"{ERRORS[q['ErrorCode']]} {q['CommittedOffset']}"
        self.say(f"{group} has {topic}-{partition}: {get()}")


import txn_cases  # noqa: E402,F401  (fills CASES)


def ready(host, port):
    """Both of Kafka's own topics are there, and can be written to."""
    with moldau.Connection(port, host) as c:
        for kind in (0, 1) if "EndTxn" in wire_admin.apis(port) else (0,):
            moldau.wait_for(lambda kind=kind: not c.ask("FindCoordinator", 1, {"Key": "x", "KeyType": kind})["ErrorCode"], 30)
        for partition in range(SETTINGS["offsets.topic.num.partitions"]):
            moldau.wait_for(lambda p=partition: not c.ask("WriteTxnMarkers", 1, {"Markers": [
                {"ProducerId": 1 << 40, "ProducerEpoch": 0, "TransactionResult": True, "CoordinatorEpoch": 0, "Topics": [
                    {"Name": OFFSETS, "PartitionIndexes": [p]}]}]})["Markers"][0]["Topics"][0]["Partitions"][0]["ErrorCode"], 30)


def tell(host, port, only, at_once=AT_ONCE):
    """The lines of each case; several at once, since most of the time they wait."""
    ready(host, port)
    told, lock, names = {}, threading.Lock(), [n for n in CASES if not only or only in n]
    run = f"{int(time.time() * 1000) % 100000000}-"

    def work():
        while True:
            with lock:
                if not names:
                    return
                name = names.pop(0)
            story = Story(host, port, f"x{run}{list(CASES).index(name)}-")
            try:
                CASES[name](story)
            except (EOFError, ConnectionError, ValueError, AssertionError, socket.timeout) as e:
                story.say(f"{type(e).__name__}: {e}".replace(story.prefix, ""))
            story.close()
            told[name] = story.lines

    threads = [threading.Thread(target=work) for _ in range(at_once)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return {n: told[n] for n in CASES if n in told}


def read_transcript():
    told, name = {}, None
    with open(TRANSCRIPT, encoding="utf-8") as lines:
        for line in lines:
            line = line.rstrip("\n")
            if line.startswith("## "):
                name = line[3:]
                told[name] = []
            elif line.startswith("  ") and name:
                told[name].append(line[2:])
    return told


def write_transcript(told):
    with open(TRANSCRIPT, "w", encoding="utf-8") as out:
        out.write("What Apache Kafka 4.3.1 says in transactions, told by txn_oracle.py --record.\n")
        for name, lines in told.items():
            out.write(f"\n## {name}\n" + "".join(f"  {line}\n" for line in lines))


def compare(host, port, only=None, show=False, out=print):
    """The names of the cases that differ from what was recorded."""
    wanted, failed = read_transcript(), []
    for name, lines in tell(host, port, only).items():
        same = lines == wanted.get(name)
        if not same:
            failed.append(name)
            for line in difflib.unified_diff(wanted.get(name, []), lines, "Kafka", "Moldau", lineterm="", n=20):
                out(f"     {line}")
        elif show:
            for line in lines:
                out(f"     {line}")
        out(f"{'PASS' if same else 'FAIL'} {name}")
    return failed


def record(options):
    real = None
    if not options.at:
        if peer.missing():
            print(f"SKIP: {peer.missing()}")
            return 77
        real = peer.Kafka(SETTINGS)
        options.at = real.start().address
    try:
        host, _, port = options.at.rpartition(":")
        told = tell(host, int(port), options.only, 1)
        if options.show:
            for name, lines in told.items():
                print(f"## {name}\n" + "".join(f"  {line}\n" for line in lines))
        write_transcript({**(read_transcript() if options.only and os.path.exists(TRANSCRIPT) else {}), **told})
        return 0
    finally:
        if real:
            real.close()


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--at")
    options.add_argument("--only")
    options.add_argument("--show", action="store_true")
    options.add_argument("--record", action="store_true")
    options = options.parse_args()
    if options.record:
        return record(options)
    broker = None
    try:
        if not options.at:
            broker = moldau.Broker({"node.id": 1, **SETTINGS})
            options.at = f"127.0.0.1:{broker.port}"
        host, _, port = options.at.rpartition(":")
        return 1 if compare(host, int(port), options.only, options.show) else 0
    finally:
        if broker:
            broker.end()


if __name__ == "__main__":
    sys.modules["txn_oracle"] = sys.modules["__main__"]
    sys.exit(main())
