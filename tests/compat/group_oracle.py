#!/usr/bin/env python3
"""Plays the transcripts of src/group/*_test.c to a real Kafka (or to Moldau) and compares what it answers.

    group_oracle.py                      starts a Kafka where one can be had (kafka.py beside this file)
    group_oracle.py --at HOST:PORT [--only TEXT] [--show]

Only what `play(...)` plays is asked: `play_ours(...)` is where Moldau is meant to differ, or what no broker can be told from outside (settings,
restarts). The lines are those of src/group/stage.h. Answers that belong to one line may come in any order; lines of records are not
compared. Time is real here: a transcript takes as long as it waits, and all are played at once. Prints PASS or FAIL for each; exit code
1 on a difference, 77 when there is no Kafka to ask.
"""
import argparse
import glob
import os
import re
import select
import struct
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(HERE, "..", "system"))
import consumer_oracle  # noqa: E402
import kafka as peer  # noqa: E402
import moldau  # noqa: E402
import wire  # noqa: E402

OWN_ANSWER_SECONDS = 0.5  # a line's own request is waited for as long; a join that is parked takes that time
OTHERS_SECONDS = 0.15     # then whoever else was answered
AFTER_WAIT_SECONDS = 0.4
SETTINGS = {"group.min.session.timeout.ms": 500, "offsets.topic.num.partitions": 3, "transaction.state.log.num.partitions": 3,
            "auto.create.topics.enable": "false",
            "group.consumer.assignment.interval.ms": 0, "group.consumer.min.session.timeout.ms": 500}
ERRORS = {}
for line in open(os.path.join(ROOT, "src", "base", "err.h"), encoding="utf-8"):
    found = re.match(r"\s*X\((\w+), (-?\d+),", line)
    if found:
        ERRORS[int(found[2])] = found[1]
ERRORS[0] = "NONE"
NO_ID = "A" * 22


def transcripts():
    """(name, text, whether it speaks the consumer protocol) of each that a test plays."""
    for path in sorted(glob.glob(os.path.join(ROOT, "src", "group", "*_test.c"))):
        source = open(path, encoding="utf-8").read()
        for test, body in re.findall(r"^TEST\((\w+)\)\n\{\n(.*?)^\}", source, re.S | re.M):
            for number, call in enumerate(re.findall(r"\bplay\((\s*\"(?:[^\\]|\\.)*?\")\);", body, re.S)):
                text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', call))
                yield f"{test}.{number}", text.replace("\\n", "\n").replace('\\"', '"'), "stage_consumer.h" in source


class Player:
    """One transcript, with groups and topics of its own."""

    def __init__(self, name, text, host, port, prefix):
        self.name, self.text, self.host, self.port, self.prefix = name, text, host, port, prefix
        self.names, self.ids, self.generations = {}, {}, {}
        self.outstanding, self.answers, self.out, self.producers = [], [], [], {}
        self.topics = {}

    def begin(self):
        """Before the first line."""

    # --- names

    def group(self, name):
        return self.prefix + name if name else name

    def learn(self, who, member):
        if not member or self.ids.get(who) == member:
            return
        if who in self.ids:
            self.names[self.ids[who]] = who + "'"
            self.ids[who + "'"] = self.ids[who]
        self.ids[who], self.names[member] = member, who

    def joined(self, who, answer):
        """Before anything of this line is printed, which may name it."""
        if answer["ErrorCode"] in (0, 79):
            self.learn(who, answer["MemberId"])
        if not answer["ErrorCode"]:
            self.generations[who] = answer["GenerationId"]

    def label(self, member):
        if member not in self.names and len(member) > 37 and member[-37] == "-":
            return member[:-37]
        return self.names.get(member, member)

    def own_name(self, text):
        return text[len(self.prefix):] if text.startswith(self.prefix) else text

    # --- requests

    def open(self):
        return moldau.Connection(self.port, self.host)

    def ask(self, api, version, body, client="oracle"):
        """At once, on a connection of its own; again while the coordinator is not there."""
        for _ in range(100):
            with self.open() as c:
                answer = c.ask(api, version, body, client=client)
            if not ({14, 15, 16, 51} & set(self.errors_in(answer))):
                return answer
            time.sleep(0.1)
        return answer

    def errors_in(self, answer):
        for name, value in answer.items():
            if name == "ErrorCode":
                yield value
            for item in value if isinstance(value, list) else []:
                if isinstance(item, dict):
                    yield from self.errors_in(item)

    def send(self, who, api, version, body, told):
        c = self.open()
        c.send(self.encode(api, version, body, who))
        self.outstanding.append((c, api, version, told, who))
        return c

    @staticmethod
    def encode(api, version, body, who):
        return wire.request(api, version, body, client=who)

    def collect(self, seconds, own=None):
        until = time.monotonic() + seconds
        while self.outstanding and time.monotonic() < until and (own is None or any(o[0] is own for o in self.outstanding)):
            ready, _, _ = select.select([o[0].socket for o in self.outstanding], [], [], max(0, until - time.monotonic()))
            for o in [o for o in self.outstanding if o[0].socket in ready]:
                self.outstanding.remove(o)
                answer = o[0].answer(o[1], o[2])[1]
                if o[1] == "JoinGroup":
                    self.joined(o[4], answer)
                self.answers.append((o[3], answer))
                o[0].close()

    # --- the words of a line

    def options(self, words):
        given = {}
        rest = []
        for w in words:
            name, equals, value = w.partition("=")
            if equals and name in ("v", "id", "instance", "type", "protocols", "protocol", "topics", "session", "rebalance", "reason", "group",
                                   "gen", "retention", "stable", "topicid", "states", "types"):
                given[name] = value
            else:
                rest.append(w)
        return given, rest

    def member(self, who, o):
        if "id" in o:
            return self.ids.get(o["id"], o["id"])
        return self.ids.get(who, "")

    def topic(self, name):
        if name not in self.topics:
            real = self.prefix + name
            self.ask("CreateTopics", 7, {"timeoutMs": 10000, "Topics": [
                {"Name": real, "NumPartitions": 10, "ReplicationFactor": 1}]})
            while self.ask("Metadata", 12, {"Topics": [{"TopicId": NO_ID, "Name": real}]})["Topics"][0]["ErrorCode"]:
                time.sleep(0.05)
            self.topics[name] = real
        return self.topics[name]

    def offsets(self, words):
        for w in words:
            front, _, note = w.partition('"')
            place, _, offset = front.partition("=")
            topic, _, partition = place.partition("/")
            offset, _, epoch = offset.partition("@")
            yield topic, int(partition), int(offset or 0), int(epoch or -1), note[:-1] if note else None

    def subscription(self, topics):
        """Of version 0."""
        names = [self.topic(t).encode() for t in topics.split(",")]
        return struct.pack(">hi", 0, len(names)) + b"".join(struct.pack(">h", len(n)) + n for n in names) + struct.pack(">i", -1)

    @staticmethod
    def metadata(data):
        return "topics" if len(data) > 1 and data[0] == 0 else data.decode()

    # --- what clients do

    def join(self, who, o, rest):
        v = int(o.get("v", 9))
        body = {"GroupId": self.group(o.get("group", "g")), "SessionTimeoutMs": int(o.get("session", 10000)),
                "MemberId": self.member(who, o), "ProtocolType": o.get("type", "consumer"), "Protocols": []}
        if v >= 1:
            body["RebalanceTimeoutMs"] = int(o.get("rebalance", 60000))
        if v >= 5:
            body["GroupInstanceId"] = o.get("instance")
        if v >= 8:
            body["Reason"] = o.get("reason")
        for p in filter(None, o.get("protocols", "range:").split(",")):
            name, _, metadata = p.partition(":")
            body["Protocols"].append({"Name": name, "Metadata": self.subscription(o["topics"]) if "topics" in o else metadata.encode()})

        def told(a):
            line = f"{who}: join {ERRORS[a['ErrorCode']]} id={self.label(a['MemberId'])}"
            if a["ErrorCode"]:
                return line
            kind = a.get("ProtocolType", o.get("type", "consumer"))
            return line + (f" gen={a['GenerationId']} {kind}:{a['ProtocolName']} leader={self.label(a['Leader'])}"
                           + (" skip" if a.get("SkipAssignment") else "")
                           + "".join(f" {self.label(m['MemberId'])}({self.metadata(m['Metadata'])})" for m in a["Members"]))
        return self.send(who, "JoinGroup", v, body, told)

    def sync(self, who, o, rest):
        v = int(o.get("v", 4))
        body = {"GroupId": self.group(o.get("group", "g")), "GenerationId": int(o.get("gen", self.generations.get(who, -1))),
                "MemberId": self.member(who, o), "Assignments": []}
        if v >= 3:
            body["GroupInstanceId"] = o.get("instance")
        if v >= 5:
            body["ProtocolType"], body["ProtocolName"] = o.get("type"), o.get("protocol")
        for w in rest:
            name, _, assignment = w.partition("=")
            body["Assignments"].append({"MemberId": self.ids.get(name, name), "Assignment": assignment.encode()})

        def told(a):
            line = f"{who}: sync {ERRORS[a['ErrorCode']]}"
            if a["ErrorCode"]:
                return line
            told = f" {a['ProtocolType']}:{a['ProtocolName']}" if v >= 5 else ""
            return line + told + f" ({a['Assignment'].decode()})"
        return self.send(who, "SyncGroup", v, body, told)

    def beat(self, who, o, rest):
        body = {"GroupId": self.group(o.get("group", "g")), "GenerationId": int(o.get("gen", self.generations.get(who, -1))),
                "MemberId": self.member(who, o), "GroupInstanceId": o.get("instance")}
        return self.send(who, "Heartbeat", 4, body, lambda a: f"{who}: beat {ERRORS[a['ErrorCode']]}")

    def leave(self, who, o, rest):
        v = int(o.get("v", 5))
        body = {"GroupId": self.group(o.get("group", "g"))}
        if v <= 2:
            body["MemberId"] = self.member(who, o)
        else:
            ids = ["" if w == "-" else self.ids.get(w, w) for w in rest] or [self.member(who, o)]
            body["Members"] = [{"MemberId": i, "GroupInstanceId": o.get("instance") if n == 0 else None} for n, i in enumerate(ids)]

        def told(a):
            return f"{who}: leave {ERRORS[a['ErrorCode']]}" + "".join(
                f" {self.label(m['MemberId'] or m['GroupInstanceId'] or '')}={ERRORS[m['ErrorCode']]}" for m in a.get("Members", []))
        return self.send(who, "LeaveGroup", v, body, told)

    def commit(self, who, o, rest):
        v = int(o.get("v", 9))
        body = {"GroupId": self.group(o.get("group", "g")), "GenerationIdOrMemberEpoch": int(o.get("gen", self.generations.get(who, -1))),
                "MemberId": self.member(who, o), "Topics": []}
        if v >= 7:
            body["GroupInstanceId"] = o.get("instance")
        if 2 <= v <= 4:
            body["RetentionTimeMs"] = int(o.get("retention", -1))
        for topic, partition, offset, epoch, note in self.offsets(rest):
            p = {"PartitionIndex": partition, "CommittedOffset": offset, "CommittedMetadata": note}
            if v >= 6:
                p["CommittedLeaderEpoch"] = epoch
            body["Topics"].append({"Name": self.topic(topic), "Partitions": [p]})

        def told(a):
            return f"{who}: commit" + "".join(
                f" {self.own_name(t['Name'])}/{p['PartitionIndex']} {ERRORS[p['ErrorCode']]}" for t in a["Topics"] for p in t["Partitions"])
        return self.send(who, "OffsetCommit", v, body, told)

    def txn(self, who, o, rest):
        number, v = int(rest[0]), int(o.get("v", 5))
        group = self.group(o.get("group", "g"))
        if number not in self.producers:
            name = f"{self.prefix}p{number}"
            a = self.ask("InitProducerId", 4, {"TransactionalId": name, "TransactionTimeoutMs": 60000})
            self.producers[number] = (name, a["ProducerId"], a["ProducerEpoch"])
        name, producer, epoch = self.producers[number]
        self.ask("AddOffsetsToTxn", 3, {"TransactionalId": name, "ProducerId": producer, "ProducerEpoch": epoch, "GroupId": group})
        body = {"TransactionalId": name, "GroupId": group, "ProducerId": producer, "ProducerEpoch": epoch, "Topics": []}
        if v >= 3:
            body.update({"GenerationIdOrMemberEpoch": int(o.get("gen", self.generations.get(who, -1))),
                         "MemberId": self.member(who, o), "GroupInstanceId": o.get("instance")})
        for topic, partition, offset, _, note in self.offsets(rest[1:]):
            body["Topics"].append({"Name": self.topic(topic), "Partitions": [
                {"PartitionIndex": partition, "CommittedOffset": offset, "CommittedMetadata": note}]})

        def told(a):
            return f"{who}: txn" + "".join(
                f" {self.own_name(t['Name'])}/{p['PartitionIndex']} {ERRORS[p['ErrorCode']]}" for t in a["Topics"] for p in t["Partitions"])
        return self.send(who, "TxnOffsetCommit", v, body, told)

    def fetch(self, who, o, rest):
        topics = [{"Name": self.topic(t), "PartitionIndexes": [p]} for t, p, _, _, _ in self.offsets(rest)]
        body = {"Groups": [{"GroupId": self.group(o.get("group", "g")), "MemberId": None, "MemberEpoch": -1,
                            "Topics": topics or None}], "RequireStable": o.get("stable") == "1"}

        def told(a):
            g = a["Groups"][0]
            line = f"{who}: fetch {ERRORS[g['ErrorCode']]}"
            places = [(self.own_name(t["Name"]), p) for t in g["Topics"] for p in t["Partitions"]]
            if not topics:
                places.sort(key=lambda place: (place[0], place[1]["PartitionIndex"]))
            for name, p in places:
                line += f" {name}/{p['PartitionIndex']}={p['CommittedOffset']}"
                line += f"@{p['CommittedLeaderEpoch']}" if p["CommittedLeaderEpoch"] != -1 else ""
                line += f"\"{p['Metadata']}\"" if p["Metadata"] else ""
                line += f"({ERRORS[p['ErrorCode']]})" if p["ErrorCode"] else ""
            return line
        return self.send(who, "OffsetFetch", 9, body, told)

    def offsetdelete(self, who, o, rest):
        body = {"GroupId": self.group(o.get("group", "g")), "Topics": [
            {"Name": self.topic(t), "Partitions": [{"PartitionIndex": p}]} for t, p, _, _, _ in self.offsets(rest)]}

        def told(a):
            return f"{who}: offsetdelete {ERRORS[a['ErrorCode']]}" + "".join(
                f" {self.own_name(t['Name'])}/{p['PartitionIndex']} {ERRORS[p['ErrorCode']]}" for t in a["Topics"] for p in t["Partitions"])
        return self.send(who, "OffsetDelete", 0, body, told)

    # --- what nobody in particular does

    def list(self, o):
        a = self.ask("ListGroups", 5, {"StatesFilter": list(filter(None, o.get("states", "").split(","))),
                                       "TypesFilter": list(filter(None, o.get("types", "").split(",")))})
        mine = sorted((g for g in a["Groups"] if g["GroupId"].startswith(self.prefix)), key=lambda g: g["GroupId"])
        self.out.append(f"list {ERRORS[a['ErrorCode']]}" + "".join(
            f" {self.own_name(g['GroupId'])}({g['GroupType']},{g['ProtocolType']},{g['GroupState']})" for g in mine))

    def describe(self, o, name):
        g = self.ask("DescribeGroups", int(o.get("v", 6)), {"Groups": [self.group(name)]})["Groups"][0]
        line = f"describe {name} {ERRORS[g['ErrorCode']]} {g['GroupState']} {g['ProtocolType']}:{g['ProtocolData']}"
        message = g.get("ErrorMessage")
        line += f" \"{message.replace(self.prefix, '')}\"" if message is not None else ""
        for m in g["Members"]:
            line += (f" {self.label(m['MemberId'])}({self.metadata(m['MemberMetadata'])},{m['MemberAssignment'].decode()},"
                     f"{m['ClientId']}{m['ClientHost'].replace('/127.0.0.1', '/h')})")
        self.out.append(line)

    def delete(self, o, name):
        r = self.ask("DeleteGroups", 2, {"GroupsNames": [self.group(name)]})["Results"][0]
        self.out.append(f"delete {name} {ERRORS[r['ErrorCode']]}")

    def run_line(self, line):
        words = line.split(" ")
        verb = words[0]
        o, rest = self.options(words[1:])
        if verb == "wait":
            until = time.monotonic() + int(rest[0]) / 1000 + AFTER_WAIT_SECONDS
            self.collect(until - time.monotonic())
            time.sleep(max(0, until - time.monotonic()))
            return
        if verb == "marker":
            name, producer, epoch = self.producers[int(rest[0])]
            self.ask("EndTxn", 3, {"TransactionalId": name, "ProducerId": producer, "ProducerEpoch": epoch,
                                   "Committed": rest[1] == "commit"})
            time.sleep(0.3)
        elif verb == "notopic":
            self.ask("DeleteTopics", 5, {"TopicNames": [self.topics[rest[0]]], "TimeoutMs": 10000})
            time.sleep(2)
        elif verb == "topic":
            self.topic(rest[0])
        elif verb == "list":
            self.list(o)
        elif verb in ("describe", "delete"):
            getattr(self, verb)(o, rest[0])
        else:
            c = getattr(self, rest[0])(verb, o, rest[1:])
            if c:
                self.collect(OWN_ANSWER_SECONDS, c)
        self.collect(OTHERS_SECONDS)

    @staticmethod
    def alike(lines):
        """Members come in the order of Java's hashes there."""
        return sorted(sorted(line.split(" ")) for line in lines)

    def play(self):
        """[(line, expected, got)] of the lines whose answers differ."""
        blocks, different, shown = [], [], ""
        for line in self.text.splitlines():
            if line.startswith("> "):
                blocks.append((line[2:], []))
            elif not line.startswith("  "):
                blocks[-1][1].append(line)
        self.begin()
        for line, expected in blocks:
            self.out, self.answers = [], []
            self.run_line(line)
            self.out += [told(answer) for told, answer in self.answers]
            shown += f"> {line}\n" + "".join(f"{got}\n" for got in self.out)
            if self.alike(expected) != self.alike(self.out):
                different.append((line, expected, self.out))
        for c, *_ in self.outstanding:
            c.close()
        return different, shown


def play_all(host, port, only, show):
    results = {}
    chosen = [(name, text, consumer) for name, text, consumer in transcripts() if only in name]
    players = {False: Player, True: consumer_oracle.player(Player, ERRORS)}
    began = f"{int(time.time()) % 100000}"
    # Makes the internal topics, for which everybody else would wait.
    warm = Player("", "", host, port, f"warm{began}-")
    warm.ask("FindCoordinator", 4, {"KeyType": 0, "CoordinatorKeys": ["x"]})
    warm.ask("FindCoordinator", 4, {"KeyType": 1, "CoordinatorKeys": ["x"]})
    warm.ask("ListGroups", 4, {})
    time.sleep(2)

    def run(name, text, consumer, number):
        try:
            results[name] = players[consumer](name, text, host, port, f"x{began}-{number}-").play()
        except Exception as e:  # a thread's own; told with the others
            results[name] = ([("(the player)", [], [repr(e)])], "")

    threads = [threading.Thread(target=run, args=(*one, number)) for number, one in enumerate(chosen)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    failed = 0
    for name, *_ in chosen:
        different, shown = results[name]
        print(f"{'FAIL' if different else 'PASS'} {name}")
        failed += bool(different)
        if show:
            print(shown)
        for line, expected, got in different:
            print(f"    > {line}\n" + "".join(f"      ours  {e}\n" for e in expected) + "".join(f"      it    {g}\n" for g in got), end="")
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at")
    parser.add_argument("--only", default="")
    parser.add_argument("--show", action="store_true")
    a = parser.parse_args()
    if a.at:
        host, _, port = a.at.rpartition(":")
        return play_all(host, int(port), a.only, a.show)
    wanting = peer.missing()
    if wanting:
        print(f"SKIP group_oracle: {wanting}")
        return 77
    with peer.Kafka(SETTINGS) as kafka:
        return play_all("127.0.0.1", kafka.port, a.only, a.show)


if __name__ == "__main__":
    sys.exit(main())
