#!/usr/bin/env python3
"""Asks a real Kafka and Moldau the same, byte for byte, and compares what they answer.

    oracle.py                          starts both where Kafka can be had (kafka.py beside this file)
    oracle.py --kafka HOST:PORT --moldau HOST:PORT [--only TEXT]

Each case is a list of requests sent to both in order on one connection each. Answers are compared as decoded, after what must
differ (ids, addresses, cluster, time) was made alike. Prints each difference, and PASS or FAIL for each case; exit code 1 on
a difference, 77 when there is no Kafka to ask. A difference that is wanted is named in WANTED, with its reason.
"""
import argparse
import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "system"))
import group_cases  # noqa: E402
import kafka as peer  # noqa: E402
import moldau  # noqa: E402
import wire  # noqa: E402

SHOWN = 30  # differences of a case
NO_ID = "A" * 22
SOME_ID = "AAAAAAAAAAAAAAAAAAABAA"
SOFTWARE = {"ClientSoftwareName": "oracle", "ClientSoftwareVersion": "1.0"}


def topic(name, partitions=1, factor=1, configs=(), assignments=()):
    return {"Name": name, "NumPartitions": partitions, "ReplicationFactor": factor,
            "Configs": [{"Name": n, "Value": v} for n, v in configs],
            "Assignments": [{"PartitionIndex": p, "BrokerIds": list(b)} for p, b in assignments]}


def create(version, *topics, validate=False, timeout=10000):
    return ("CreateTopics", version, {"timeoutMs": timeout, "validateOnly": validate, "Topics": list(topics)})


def delete(version, *topics, timeout=10000):
    if version < 6:
        return ("DeleteTopics", version, {"TimeoutMs": timeout, "TopicNames": list(topics)})
    return ("DeleteTopics", version, {"TimeoutMs": timeout, "Topics": list(topics)})


def metadata(version, *topics, auto=False, **more):
    body = {"Topics": [{"Name": t} if isinstance(t, str) else t for t in topics], **more}
    if version >= 4:
        body["AllowAutoTopicCreation"] = auto
    return ("Metadata", version, body)


def describe(version, *resources, **more):
    return ("DescribeConfigs", version, {"Resources": [
        {"ResourceType": kind, "ResourceName": name, "ConfigurationKeys": keys} for kind, name, keys in resources], **more})


def pages(limit, *names, cursor=None):
    return ("DescribeTopicPartitions", 0, {"Topics": [{"Name": n} for n in names], "ResponsePartitionLimit": limit,
                                           "Cursor": cursor})


TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3


def alter(version, *resources, validate=False):
    """IncrementalAlterConfigs of (kind, name, name of a setting, operation, value, and so on)."""
    return ("IncrementalAlterConfigs", version, {"ValidateOnly": validate, "Resources": [
        {"ResourceType": kind, "ResourceName": name, "Configs": [
            {"Name": more[i], "ConfigOperation": more[i + 1], "Value": more[i + 2]} for i in range(0, len(more), 3)]}
        for kind, name, *more in resources]})


def replace(version, *resources, validate=False):
    """AlterConfigs of (kind, name, {setting: value})."""
    return ("AlterConfigs", version, {"ValidateOnly": validate, "Resources": [
        {"ResourceType": kind, "ResourceName": name, "Configs": [{"Name": n, "Value": v} for n, v in settings.items()]}
        for kind, name, settings in resources]})


def seen(kind, name, key, value, own=None):
    """What is altered shows a moment later in Kafka: its description, once it does; `own`: whether the topic has a value of its own."""
    return ("until", "DescribeConfigs", 4, {"IncludeSynonyms": True, "Resources": [
        {"ResourceType": kind, "ResourceName": name, "ConfigurationKeys": [key]}]},
            lambda b: [c["Value"] for r in b["Results"] for c in r["Configs"]] == ([] if value is None else [value])
            and (own is None or own == all(c["ConfigSource"] == 1 for r in b["Results"] for c in r["Configs"])))


def set_and_see(kind, name, key, operation, value, shown):
    own = operation != DELETE if kind == TOPIC and shown is not None else None
    return [alter(1, (kind, name, key, operation, value)), seen(kind, name, key, shown, own)]


def add_partitions(version, *topics, timeout=10000, validate=False):
    return ("CreatePartitions", version, {"TimeoutMs": timeout, "ValidateOnly": validate, "Topics": [
        {"Name": n, "Count": c, "Assignments": None if a is None else [{"BrokerIds": list(b)} for b in a]} for n, c, a in topics]})


def has_partitions(name, count):
    return ("until", "Metadata", 12, {"Topics": [{"Name": name}], "AllowAutoTopicCreation": False},
            lambda b: len(b["Topics"][0]["Partitions"]) == count)


def delete_records(version, name, *partitions, timeout=5000):
    return ("DeleteRecords", version, {"TimeoutMs": timeout, "Topics": [
        {"Name": name, "Partitions": [{"PartitionIndex": p, "Offset": o} for p, o in partitions]}]})


def epoch_end(version, name, *partitions, replica=-1):
    return ("OffsetForLeaderEpoch", version, {"ReplicaId": replica, "Topics": [{"Topic": name, "Partitions": [
        {"Partition": p, "CurrentLeaderEpoch": c, "LeaderEpoch": e} for p, c, e in partitions]}]})


def log_dirs(version, *topics):
    return ("DescribeLogDirs", version, {"Topics": None if topics == (None,) else [{"Topic": n, "Partitions": p} for n, p in topics]})


def producers(*topics):
    return ("DescribeProducers", 0, {"Topics": [{"Name": n, "PartitionIndexes": p} for n, p in topics]})


def elect(version, kind, *topics, timeout=5000):
    return ("ElectLeaders", version, {**({"ElectionType": kind} if version else {}), "TimeoutMs": timeout,
                                      "TopicPartitions": None if topics == (None,) else [{"Topic": n, "Partitions": p} for n, p in topics]})


def reassign(version, *topics):
    return ("AlterPartitionReassignments", version, {"TimeoutMs": 5000, "Topics": [
        {"Name": n, "Partitions": [{"PartitionIndex": p, "Replicas": r} for p, r in parts]} for n, *parts in topics]})


def reassignments(*topics):
    return ("ListPartitionReassignments", 0, {"TimeoutMs": 5000, "Topics": None if topics == (None,) else [
        {"Name": n, "PartitionIndexes": p} for n, p in topics]})


def move(version, *folders):
    return ("AlterReplicaLogDirs", version, {"Dirs": [{"Path": p, "Topics": [{"Name": n, "Partitions": x} for n, x in topics]}
                                                      for p, *topics in folders]})


def quorum(version, *topics):
    return ("DescribeQuorum", version, {"Topics": [{"TopicName": n, "Partitions": [{"PartitionIndex": p} for p in parts]} for n, *parts in topics]})


def features(version, *updates, **more):
    return ("UpdateFeatures", version, {"timeoutMs": 5000, "FeatureUpdates": [
        {"Feature": f, "MaxVersionLevel": level, **m} for f, level, m in updates], **more})


def patched(offset, form, *values, records=(b"a", b"b"), crc=True, **more):
    """A batch with other bytes at `offset`; its CRC is right again unless that is what is wrong."""
    data = bytearray(wire.batch(list(records), **more))
    struct.pack_into(form, data, offset, *values)
    if crc:
        struct.pack_into(">I", data, 17, wire.crc32c(bytes(data[21:])))
    return bytes(data)


def produce(version, records, name="o-data", index=0, acks=-1, **more):
    return ("Produce", version, {**wire.produce(name, [index], records, acks=acks), **more})


def fetch(version, offset, name="o-data", index=0, wait=0, least=0, most=1 << 20, part=1 << 20, **more):
    partition = {"Partition": index, "FetchOffset": offset, "PartitionMaxBytes": part, **more.pop("partition", {})}
    return ("Fetch", version, {"MaxWaitMs": wait, "MinBytes": least, "MaxBytes": most, **({"ReplicaId": -1} if version < 15 else {}),
                               "Topics": [{"Topic": name, "Partitions": [partition]}], **more})


def offsets(version, timestamp, name="o-data", index=0, **more):
    return ("ListOffsets", version, {"ReplicaId": -1, "Topics": [{"Name": name, "Partitions": [
        {"PartitionIndex": index, "Timestamp": timestamp, **more}]}]})


GOOD = wire.batch([b"one", b"two", b"three"], timestamp=1700000000000)
BATCH = {  # name: bytes
    "empty": b"", "short": GOOD[:30], "cut": GOOD[:-1], "two": GOOD + GOOD, "garbage behind": GOOD + b"xyz",
    "crc": patched(17, ">I", 1, crc=False), "length above": patched(8, ">i", 1000), "length below": patched(8, ">i", 20),
    "magic 0": patched(16, ">b", 0), "magic 1": patched(16, ">b", 1), "magic 3": patched(16, ">b", 3), "base offset": patched(0, ">q", 7),
    "count 0": patched(57, ">i", 0), "count above": patched(57, ">i", 5), "count below": patched(57, ">i", 1), "count negative": patched(57, ">i", -1),
    "last delta": patched(23, ">i", 9), "codec 5": patched(21, ">h", 5), "gzip that is none": patched(21, ">h", 1),
    "control": patched(21, ">h", 0x20), "transactional": patched(21, ">h", 0x10), "both": patched(21, ">h", 0x30),
    "log append time": patched(21, ">h", 8), "timestamp -1": wire.batch([b"t"], timestamp=-1), "timestamp -500": wire.batch([b"t"], timestamp=-500),
    "future": wire.batch([b"t"], timestamp=9999999999999), "max timestamp lies": patched(35, ">q", 1800000000000),
    "id -1 with an epoch": wire.batch([b"p"], producer=(-1, 3, 5)), "too large": wire.batch([b"x" * 1100000]),
}

TOPIC_KEYS = ["cleanup.policy", "retention.ms", "retention.bytes", "segment.bytes", "max.message.bytes", "compression.type",
              "min.insync.replicas", "message.timestamp.type", "no.such.key", "flush.messages"]
BROKER_KEYS = ["log.retention.ms", "log.retention.hours", "num.partitions", "message.max.bytes", "ssl.key.password", "no.such.key",
               "auto.create.topics.enable", "log.segment.bytes", "compression.type"]

SETUP = [create(7, topic("o-a", 3), topic("o-b", 1, configs=[("retention.ms", "1000")]), topic("o-c", 2)),
         create(7, topic("o-data", 3, configs=[("retention.ms", "-1")]), topic("o-small", 1, configs=[("max.message.bytes", "200")]),
                topic("o-append", 1, configs=[("message.timestamp.type", "LogAppendTime")]), topic("o-cut", 3),
                topic("o-keyed", 1, configs=[("cleanup.policy", "compact")])),
         # Kafka shows a topic a moment after it said that it is there.
         ("until", "Metadata", 1, {"Topics": [{"Name": n} for n in ("o-a", "o-b", "o-c", "o-data", "o-small", "o-append", "o-cut", "o-keyed")]},
          lambda b: not any(t["ErrorCode"] for t in b["Topics"])),
         # Kafka has no producer ids in its first moments.
         ("until", "InitProducerId", 4, {"TransactionalId": None}, lambda b: b["ErrorCode"] == 0)]

CASES = {
    "api versions, oldest": [("ApiVersions", 0, {}), ("ApiVersions", 1, {}), ("ApiVersions", 2, {})],
    "api versions 3": [("ApiVersions", 3, SOFTWARE)],
    "api versions 4": [("ApiVersions", 4, SOFTWARE)],
    "software names": [("ApiVersions", 3, {"ClientSoftwareName": n, "ClientSoftwareVersion": v}) for n, v in (
        ("a_b", "1"), ("a-", "1"), ("-a", "1"), ("", "1"), ("a", ""), ("a.b-c", "1.0-x"), ("a", "1."), ("a b", "1"), ("\u00e4", "1"))],
    "unknown version of api versions": [("raw", "ApiVersions", 0, wire.frame(wire.request_header(18, v))) for v in (99, -1, 1000)],
    "unknown apis and versions close": [("closes", wire.frame(wire.request_header(k, v))) for k, v in (
        (999, 0), (-1, 0), (3, 99), (3, -1), (0, 99), (4, 0), (52, 0))],
    "frames that cannot be close": [("closes", data) for data in (
        struct.pack(">i", -1), struct.pack(">i", 0x7fffffff), wire.frame(b""), wire.frame(b"\0"), wire.frame(wire.request_header(3, 1)),
        wire.frame(wire.request_header(3, 1) + struct.pack(">i", 2000000)))],
    "strange frames that are answered": [
        ("raw", "Metadata", 1, wire.frame(wire.request_header(3, 1) + struct.pack(">i", -2))),
        ("raw", "Metadata", 1, wire.request("Metadata", 1, {"Topics": []}, extra=b"tail")),
        ("raw", "Metadata", 1, wire.frame(struct.pack(">hhih", 3, 1, 5, 2) + b"\xff\xfe" + struct.pack(">i", 0)))],
    "metadata of nothing and of all, all versions": [metadata(v) for v in range(1, 14)] + [("Metadata", v, {"Topics": None})
                                                                                         for v in range(1, 14)] + [("Metadata", 0, {})],
    "metadata by name, all versions": [metadata(v, "o-a", "o-b", "none") for v in range(14)[4:]],
    "metadata of names that cannot be": [metadata(12, n) for n in ("", ".", "..", "a b", "a" * 249, "a" * 250, "\u00e4", "a/b")],
    "metadata in order, each once": [metadata(12, "o-b", "none", "o-a"), metadata(12, "o-a", "o-a", "none", "none")],
    "metadata by id": [metadata(12, {"Name": None, "TopicId": SOME_ID}), metadata(12, {"Name": None, "TopicId": NO_ID}),
                       metadata(12, {"Name": "o-a", "TopicId": SOME_ID}), metadata(10, {"Name": "o-a", "TopicId": SOME_ID}),
                       metadata(11, {"Name": None, "TopicId": SOME_ID}), metadata(13, {"Name": None, "TopicId": SOME_ID}),
                       metadata(10, {"Name": None, "TopicId": NO_ID})],
    "authorized operations": [metadata(8, "o-a", IncludeClusterAuthorizedOperations=True, IncludeTopicAuthorizedOperations=True),
                              metadata(12, "o-a", "none", IncludeTopicAuthorizedOperations=True)],
    "auto creation": [metadata(12, "o-auto", "a b", auto=True), ("until", "Metadata", 12, {"Topics": [{"Name": "o-auto"}]},
                                                                  lambda b: b["Topics"][0]["ErrorCode"] == 0),
                      metadata(4, "o-auto", auto=True)],
    "describe cluster": [("DescribeCluster", v, {"IncludeClusterAuthorizedOperations": o}) for v in (0, 1, 2) for o in (False, True)]
                        + [("DescribeCluster", 1, {"EndpointType": t}) for t in (0, 2, 3, -1)],
    "create topics, all versions": [create(v, topic(f"o-new-{v}", 2, configs=[("cleanup.policy", "compact")])) for v in range(2, 8)],
    "create topics: defaults": [create(7, topic("o-def", -1, -1)), create(7, topic("o-val", -1, -1), validate=True), metadata(12, "o-val")],
    "create topics: refusals": [create(7, t) for t in (
        topic("o-a"), topic("o-a", -5), topic("o-x", 0), topic("o-x", -2), topic("o-x", 1, 0), topic("o-x", 1, -2), topic("o-x", 1, 2),
        topic("", 1), topic(".", 1), topic("..", 1), topic("a b", 1), topic("a" * 250, 1), topic("__cluster_metadata"),
        topic("o-x", 1, 1, [("retention.ms", "x")]), topic("o-x", 1, 1, [("no.such", "1")]), topic("o-x", 1, 1, [("retention.ms", None)]),
        topic("o-x", 1, 1, [("cleanup.policy", "nonsense")]), topic("o-x", 1, 1, [("min.insync.replicas", "0")]),
        topic("o-x", 1, 1, [("segment.bytes", "1")]), topic("o-x", -1, -1, (), [(0, [7])]), topic("o-x", -1, -1, (), [(1, [1])]),
        topic("o-x", -1, -1, (), [(0, [1]), (0, [1])]), topic("o-x", -1, -1, (), [(0, [1, 1])]), topic("o-x", -1, -1, (), [(0, [])]),
        topic("o-x", 1, -1, (), [(0, [1])]), topic("o-x", -1, 1, (), [(0, [1])]))],
    "create topics: what is accepted": [create(7, t) for t in (
        topic("o-k1", 1, 1, [("cleanup.policy", "")]), topic("o-k2", 1, 1, [("retention.ms", " 1000 ")]),
        topic("o-k3", 1, 1, [("retention.ms", "1"), ("retention.ms", "2")]), topic("o-k4", -1, -1, (), [(0, [1]), (1, [1])]),
        topic("o-k5", 1, 1, [("cleanup.policy", "delete,compact")]))],
    "create topics: twice, colliding": [create(7, topic("o-d"), topic("o-d"), topic("o-e")), create(7, topic("o.col")), create(7, topic("o_col"))],
    "create topics: nothing, no time": [create(7), create(5, topic("o-time"), timeout=0)],
    "delete topics, all versions": [x for v in range(1, 7) for x in (
        create(7, topic(f"o-del-{v}")), delete(v, f"o-del-{v}") if v < 6 else delete(6, {"Name": f"o-del-{v}"}),
        ("until", "Metadata", 12, {"Topics": [{"Name": f"o-del-{v}"}], "AllowAutoTopicCreation": False},
         lambda b: b["Topics"][0]["ErrorCode"] == 3))],
    "delete topics: refusals": [delete(5, "none"), delete(5, ""), delete(6, {"Name": None, "TopicId": SOME_ID}),
                                delete(6, {"Name": None, "TopicId": NO_ID}), delete(6, {"Name": "o-a", "TopicId": SOME_ID}),
                                delete(6, {"Name": "o-twice"}, {"Name": "o-twice"}), delete(4, "o-twice", "o-twice"), delete(6),
                                delete(6, {"Name": "none"}, timeout=0)],
    "describe topic partitions": [
        pages(2000, "o-a", "o-b"), pages(2, "o-c", "o-a", "none", "a b"), pages(2, "o-a", "o-c", cursor={"TopicName": "o-a", "PartitionIndex": 2}),
        pages(0, "o-a"), pages(-1, "o-a"), pages(3, "o-a", "o-b"), pages(10, "o-a", "o-a"),
        pages(10, "o-a", cursor={"TopicName": "o-b", "PartitionIndex": 0}), pages(10, "o-a", cursor={"TopicName": "o-a", "PartitionIndex": -1}),
        pages(10, "o-a", "o-b", cursor={"TopicName": "o-a", "PartitionIndex": 99}), pages(10, "o-a", "none", cursor={"TopicName": "none", "PartitionIndex": 0})],
    "describe topic configs": [describe(v, (2, "o-a", TOPIC_KEYS), (2, "o-b", ["retention.ms"]), (2, "none", None), (2, "a b", None))
                               for v in range(1, 5)],
    "describe configs with synonyms": [describe(4, (2, "o-a", ["retention.bytes", "max.message.bytes"]), (2, "o-b", ["retention.ms"]),
                                                IncludeSynonyms=True)],
    "describe configs with documentation": [describe(4, (2, "o-a", ["retention.bytes"]), IncludeDocumentation=True)],
    "describe broker configs": [describe(4, (4, "1", BROKER_KEYS), IncludeSynonyms=True), describe(4, (4, "7", None)), describe(4, (4, "x", None)),
                                describe(4, (4, "", BROKER_KEYS))],
    "describe other resources": [describe(4, (8, "x", None)), describe(4, (16, "any", None)), describe(4, (1, "x", None)), describe(4, (77, "x", None)),
                                 describe(4, (2, "o-a", ["retention.ms"]), (3, "x", None)), describe(4)],
    "alter configs: all versions": [alter(0, (TOPIC, "o-c", "retention.ms", SET, "1000")), alter(1, (TOPIC, "o-c", "retention.ms", SET, "2000")),
                                    seen(TOPIC, "o-c", "retention.ms", "2000")] + [
        step for v in range(3) for step in (replace(v, (TOPIC, "o-c", {"retention.ms": str(3000 + v)})),
                                            seen(TOPIC, "o-c", "retention.ms", str(3000 + v)))],
    "alter configs: refusals of topics": [alter(1, (TOPIC, n, k, o, v)) for n, k, o, v in (
        ("none", "retention.ms", SET, "1"), ("none", "retention.ms", SET, "x"), ("", "retention.ms", SET, "1"), ("a b", "retention.ms", SET, "1"),
        ("__cluster_metadata", "retention.ms", SET, "1"), ("o-c", "retention.ms", 7, "1"), ("o-c", "retention.ms", SET, None),
        ("o-c", "retention.ms", APPEND, "5"), ("o-c", "retention.ms", SUBTRACT, "5"), ("o-c", "no.such", SET, "5"), ("o-c", "no.such", DELETE, None),
        ("o-c", "no.such", APPEND, "5"), ("o-c", "retention.ms", SET, "x"), ("o-c", "retention.ms", SET, "-5"), ("o-c", "", SET, "1"),
        ("o-c", "", DELETE, "1"), ("o-c", "segment.bytes", SET, "2147483648"), ("o-c", "preallocate", SET, "maybe"),
        ("o-c", "remote.storage.enable", SET, "true"), ("o-c", "cleanup.policy", SET, "delete,"), ("o-c", "cleanup.policy", SET, ","),
        ("o-c", "cleanup.policy", SET, "delete,x,"), ("o-c", "cleanup.policy", APPEND, "nonsense"), ("o-c", "cleanup.policy", APPEND, ""),
        ("o-c", "leader.replication.throttled.replicas", SET, "x"), ("o-c", "leader.replication.throttled.replicas", SET, "*,*"))],
    "alter configs: what comes twice": [
        alter(1, (TOPIC, "o-c", "retention.ms", SET, "1", "retention.ms", DELETE, None)), alter(1, (TOPIC, "o-c", "retention.ms", SET, None, "retention.ms", SET, None)),
        alter(1, (TOPIC, "o-c", "retention.ms", SET, None, "segment.ms", SET, None)),
        alter(1, (TOPIC, "o-c", "retention.ms", SET, "1"), (TOPIC, "o-c", "retention.ms", SET, "2"), (TOPIC, "o-a", "retention.ms", DELETE, None)),
        alter(1, (TOPIC, "o-c"), (TOPIC, "none", "retention.ms", SET, "1"), (77, "z", "a", SET, "1"), (0, "z", "a", SET, "1"), (3, "z", "a", SET, "1")),
        alter(1), replace(2), replace(2, (77, "1", {"a": "b"}), (LOGGER, "1", {"root": "INFO"}))],
    "alter configs: lists": [step for o, v, shown in (
        (APPEND, "compact", "delete,compact"), (APPEND, "compact", "delete,compact"), (SUBTRACT, "delete", "compact"), (SUBTRACT, "compact", ""),
        (SUBTRACT, "compact", ""), (APPEND, " compact , delete ", "compact,delete"), (DELETE, None, "delete"), (SUBTRACT, "delete", ""),
        (SET, "delete,delete", "delete"), (DELETE, None, "delete"))
        for step in set_and_see(TOPIC, "o-c", "cleanup.policy", o, v, shown)]
        + [step for o, v, shown in ((APPEND, "0:1", "0:1"), (APPEND, "1:1", "0:1,1:1"), (SUBTRACT, "0:1", "1:1"), (DELETE, "", ""))
           for step in set_and_see(TOPIC, "o-c", "leader.replication.throttled.replicas", o, v, shown)],
    "alter configs: lags that conflict": [
        alter(1, (TOPIC, "o-c", "min.compaction.lag.ms", SET, "10", "max.compaction.lag.ms", SET, "5")),
        *set_and_see(TOPIC, "o-c", "min.compaction.lag.ms", SET, "10", "10"), alter(1, (TOPIC, "o-c", "max.compaction.lag.ms", SET, "5")),
        *set_and_see(TOPIC, "o-c", "min.compaction.lag.ms", DELETE, None, "0")],
    "alter configs: only to validate": [
        *set_and_see(TOPIC, "o-c", "retention.ms", SET, " 7 ", "7"), alter(1, (TOPIC, "o-c", "retention.ms", SET, "9"), validate=True),
        replace(2, (TOPIC, "o-c", {"retention.ms": "5"}), validate=True), alter(1, (TOPIC, "o-c", "retention.ms", SET, "x"), validate=True),
        seen(TOPIC, "o-c", "retention.ms", "7")],
    "alter configs: all of a topic at once": [
        replace(2, (TOPIC, "o-c", {"retention.ms": "100", "segment.ms": "5000"})), seen(TOPIC, "o-c", "segment.ms", "5000"),
        replace(2, (TOPIC, "o-c", {"retention.ms": "100"})), seen(TOPIC, "o-c", "segment.ms", "604800000"), seen(TOPIC, "o-c", "retention.ms", "100"),
        replace(2, (TOPIC, "o-c", {})), seen(TOPIC, "o-c", "retention.ms", "604800000")]
        + [replace(2, (TOPIC, n, s)) for n, s in (("none", {"retention.ms": "1"}), ("", {"retention.ms": "1"}), ("a b", {"retention.ms": "1"}),
                                                  ("o-c", {"retention.ms": None}), ("o-c", {"retention.ms": "x"}), ("o-c", {"no.such": "x"}))],
    "alter configs: of a broker, of all, of a topic": [
        *set_and_see(BROKER, "1", "message.max.bytes", SET, "2000000", "2000000"), seen(TOPIC, "o-c", "max.message.bytes", "2000000"),
        *set_and_see(BROKER, "", "message.max.bytes", SET, "3000000", "3000000"), seen(BROKER, "1", "message.max.bytes", "2000000"),
        *set_and_see(TOPIC, "o-c", "max.message.bytes", SET, "4000000", "4000000"),
        alter(1, (BROKER, "1", "message.max.bytes", DELETE, None)), seen(BROKER, "1", "message.max.bytes", "3000000"),
        alter(1, (BROKER, "", "message.max.bytes", DELETE, None)), seen(BROKER, "1", "message.max.bytes", "1048588"),
        *set_and_see(TOPIC, "o-c", "max.message.bytes", DELETE, None, "1048588"),
        *set_and_see(BROKER, "1", "log.roll.ms", SET, "5", "5"), seen(TOPIC, "o-c", "segment.ms", "5"),
        replace(2, (BROKER, "1", {"log.retention.ms": "100000"})), seen(BROKER, "1", "log.retention.ms", "100000"),
        seen(TOPIC, "o-c", "segment.ms", "604800000"), seen(TOPIC, "o-c", "retention.ms", "100000"), replace(2, (BROKER, "1", {})),
        seen(TOPIC, "o-c", "retention.ms", "604800000"), alter(1, (BROKER, "1"), (BROKER, "")),
        *set_and_see(BROKER, "1", "log.cleanup.policy", APPEND, "compact", "delete,compact"),
        *set_and_see(BROKER, "1", "log.cleanup.policy", DELETE, None, "delete")],
    "alter configs: refusals of brokers": [alter(1, (BROKER, n, k, o, v)) for n, k, o, v in (
        ("7", "message.max.bytes", SET, "1"), ("x", "message.max.bytes", SET, "1"), ("1", "message.max.bytes", SET, "x"),
        ("1", "message.max.bytes", SET, "-1"), ("", "message.max.bytes", SET, "x"), ("1", "num.partitions", SET, "3"), ("", "num.partitions", SET, "3"),
        ("1", "num.partitions", DELETE, None), ("", "listeners", SET, "PLAINTEXT://:1"), ("", "ssl.keystore.location", SET, "/x"),
        ("1", "ssl.key.password", SET, "x"), ("1", "log.retention.ms", SET, "0"), ("1", "num.io.threads", SET, "100"), ("1", "num.io.threads", SET, "1"),
        ("1", "max.connections", SET, "0"), ("1", "max.connections.per.ip.overrides", SET, "a:b"), ("1", "log.cleaner.threads", SET, "20"),
        ("1", "message.max.bytes", SET, None), ("1", "message.max.bytes", APPEND, "4"), ("1", "message.max.bytes", 9, "4"),
        ("1", "background.threads", SET, "0"), ("1", "compression.type", SET, "nonsense"), ("", "listener.name.plaintext.ssl.keystore.type", SET, "x"),
        ("1", "leader.replication.throttled.rate", SET, "x"), ("1", "log.segment.bytes", SET, "5"), ("1", "log.message.timestamp.type", SET, "x"),
        ("1", "log.cleanup.policy", SET, "delete,"), ("", "cordoned.log.dirs", SET, "/x"), ("1", "broker.id", SET, "1"))]
        + [replace(2, (BROKER, n, s)) for n, s in (("1", {"num.partitions": "2"}), ("", {"num.partitions": "2"}), ("7", {"message.max.bytes": "2"}),
                                                   ("x", {"message.max.bytes": "2"}), ("1", {"message.max.bytes": "x"}))],
    "alter configs: what is accepted of brokers": [step for k, v in (
        ("no.such", "3"), ("leader.replication.throttled.rate", "1000"), ("max.connections.per.ip", "100"), ("unclean.leader.election.enable", "true"),
        ("num.network.threads", "5"), ("log.cleaner.io.max.bytes.per.second", "1000.0"), ("max.connections.per.ip.overrides", "10.0.0.1:5"))
        for step in (alter(1, (BROKER, "1", k, SET, v), validate=True), alter(1, (BROKER, "1", k, DELETE, None)))],
    "alter configs: of groups": [
        *set_and_see(GROUP, "o-g", "consumer.session.timeout.ms", SET, "50000", "50000"), describe(4, (GROUP, "o-g", None), IncludeSynonyms=True),
        describe(4, (GROUP, "o-none", None), (GROUP, "", None), IncludeSynonyms=True)]
        + [alter(1, (GROUP, n, k, o, v)) for n, k, o, v in (
            ("o-g", "consumer.session.timeout.ms", SET, "5"), ("o-g", "consumer.session.timeout.ms", SET, "500000"), ("", "consumer.session.timeout.ms", SET, "50000"),
            ("o-g", "no.such", SET, "5"), ("o-g", "consumer.heartbeat.interval.ms", SET, "x"), ("o-g", "consumer.heartbeat.interval.ms", SET, "1"),
            ("o-g", "consumer.heartbeat.interval.ms", SET, "60000"), ("o-g", "consumer.session.timeout.ms", SET, None),
            ("o-g", "consumer.session.timeout.ms", APPEND, "5"), ("o-g", "share.auto.offset.reset", SET, "nonsense"), ("o-g", "share.auto.offset.reset", SET, "by_duration:P"),
            ("o-g", "share.auto.offset.reset", SET, "by_duration:PT1H"), ("o-g", "streams.num.standby.replicas", SET, "9"),
            ("o-g", "share.record.lock.duration.ms", SET, "1000"), ("o-g", "share.isolation.level", SET, "x"), ("o-g", "consumer.assignment.interval.ms", SET, "60000"),
            ("o-g", "share.session.timeout.ms", SET, "1"), ("o-g", "share.delivery.count.limit", SET, "50"), ("o-g", "share.delivery.count.limit", SET, "1"),
            ("o-g", "share.partition.max.record.locks", SET, "50000"), ("o-g", "streams.session.timeout.ms", SET, "1"))]
        + [replace(2, (GROUP, "o-g", {"consumer.session.timeout.ms": "55000"})), seen(GROUP, "o-g", "share.auto.offset.reset", "latest"),
           ("ListConfigResources", 1, {"ResourceTypes": [GROUP]}), replace(2, (GROUP, "o-g", {})), seen(GROUP, "o-g", "consumer.session.timeout.ms", "45000"),
           ("ListConfigResources", 1, {"ResourceTypes": [GROUP]})],
    "alter configs: of client metrics": [
        *set_and_see(METRICS, "o-m", "interval.ms", SET, "1000", "1000"), *set_and_see(METRICS, "o-m", "match", SET, "client_id=a.*", "client_id=a.*"),
        describe(4, (METRICS, "o-m", None), (METRICS, "", None), IncludeSynonyms=True), ("ListConfigResources", 0, {})]
        + [alter(1, (METRICS, n, k, o, v)) for n, k, o, v in (
            ("o-m", "interval.ms", SET, "10"), ("o-m", "interval.ms", SET, "x"), ("o-m", "interval.ms", SET, "3600001"), ("o-m", "match", SET, "nonsense"),
            ("o-m", "match", SET, "foo=a"), ("o-m", "match", SET, "client_id=a["), ("o-m", "no.such", SET, "x"), ("", "interval.ms", SET, "1000"),
            ("o-m", "metrics", APPEND, "a.b"), ("o-m", "interval.ms", SUBTRACT, "c"), ("o-m", "interval.ms", SET, None))]
        + [replace(2, (METRICS, "o-m", {})), seen(METRICS, "o-m", "interval.ms", "300000"), ("ListConfigResources", 0, {})],
    "alter configs: log levels": [alter(1, (LOGGER, n, k, o, v)) for n, k, o, v in (
        ("1", "root", SET, "DEBUG"), ("1", "root", SET, "INFO"), ("1", "root", SET, "nonsense"), ("1", "no.such", SET, "INFO"), ("1", "root", DELETE, None),
        ("7", "root", SET, "INFO"), ("", "root", SET, "INFO"), ("x", "root", SET, "INFO"), ("1", "root", APPEND, "INFO"), ("1", "root", SUBTRACT, "INFO"),
        ("1", "root", SET, None), ("1", "root", 9, "INFO"))] + [describe(4, (LOGGER, "1", ["root"])), describe(4, (LOGGER, "", None))],
    "list config resources": [("ListConfigResources", 1, {"ResourceTypes": t}) for t in ([BROKER], [LOGGER], [99], [LOGGER, BROKER])],
    "create partitions": [step for v in range(4) for step in (add_partitions(v, ("o-b", 2 + v, None)), has_partitions("o-b", 2 + v))]
        + [add_partitions(3, t) for t in (
            ("o-b", 5, None), ("o-b", 4, None), ("o-b", 0, None), ("o-b", -1, None), ("none", 2, None), ("", 2, None), ("a b", 2, None),
            ("o-b", 7, [[1]]), ("o-b", 6, [[7]]), ("o-b", 6, [[]]), ("o-b", 6, [[1, 1]]), ("o-b", 6, []), ("o-b", 6, [[1], [1]]), ("o-b", 6, [[1, 2]]))]
        + [add_partitions(3, ("o-b", 6, [[1]])), has_partitions("o-b", 6), add_partitions(3, ("o-b", 7, None), ("o-b", 8, None), ("none", 8, None)),
           add_partitions(3, ("o-b", 7, None), validate=True), add_partitions(3, ("o-b", 7, None), timeout=0), add_partitions(3), metadata(12, "o-b")],
    "delete records": [produce(8, GOOD, name="o-cut"), produce(8, GOOD, name="o-cut"), delete_records(2, "o-cut", (0, 1))]
        + [delete_records(v, "o-cut", (0, 1)) for v in range(3)] + [delete_records(2, "o-cut", *p) for p in (
            [(0, 0)], [(0, 4)], [(0, 7)], [(0, -2)], [(0, 3)], [], [(0, 1), (0, 2)], [(1, 0), (2, -1), (9, 0)])]
        + [produce(8, GOOD, name="o-cut"), fetch(11, 3, name="o-cut"), fetch(11, 4, name="o-cut"), offsets(5, -2, name="o-cut"),
           delete_records(2, "o-cut", (0, -1)), offsets(5, -2, name="o-cut"), delete_records(2, "o-cut", (0, 6)), delete_records(2, "none", (0, 1)),
           delete_records(2, "", (0, 1)), delete_records(2, "o-keyed", (0, 0)), delete_records(2, "o-keyed", (0, 9)),
           delete_records(2, "o-cut", (0, 6), timeout=0), delete_records(2, "__cluster_metadata", (0, 0)),
           ("DeleteRecords", 2, {"TimeoutMs": 100, "Topics": []}), ("DeleteRecords", 2, {"TimeoutMs": 100, "Topics": [
               {"Name": "o-cut", "Partitions": [{"PartitionIndex": 0, "Offset": 1}]}, {"Name": "o-cut", "Partitions": [{"PartitionIndex": 1, "Offset": 0}]}]})],
    "offset for leader epoch": [epoch_end(v, "o-cut", (0, -1, 0), (1, -1, 0)) for v in (2, 3, 4)] + [
        epoch_end(4, "o-cut", (0, 0, 0), (0, 5, 0), (0, -1, 1), (0, -1, -2), (0, -1, -1), (0, -2, 0), (9, -1, 0), (1, -1, -2)), epoch_end(4, "none", (0, -1, 0)),
        epoch_end(4, "o-cut", (0, -1, 0), replica=1), epoch_end(4, "o-cut", (0, -1, 0), replica=-2), epoch_end(4, "o-cut", (0, -1, 0), (0, -1, 0)),
        epoch_end(4, "o-cut"), ("OffsetForLeaderEpoch", 4, {"Topics": []})],
    "describe log dirs": [log_dirs(v, ("o-cut", [0, 1])) for v in range(1, 6)] + [
        log_dirs(4), log_dirs(4, ("none", [0])), log_dirs(4, ("o-cut", [9])), log_dirs(4, ("o-cut", [])), log_dirs(4, ("o-cut", [0, 0]), ("o-cut", [1]))],
    "describe producers": [produce(8, wire.batch([b"a", b"b"], producer=(i, e, q), timestamp=1700000000000), name="o-cut", index=2) for i, e, q in (
        (7000, 0, 0), (7000, 0, 2), (7001, 3, 5))] + [producers(t) for t in (
            ("o-cut", [2, 1, 9]), ("none", [0]), ("", [0]), ("a b", [0]), ("o-cut", [2, 2]), ("o-cut", [-1]), ("o-cut", []))] + [producers()],
    "elect leaders": [elect(v, 0, ("o-cut", [0, 1])) for v in range(3)] + [
        elect(2, 1, ("o-cut", [0])), elect(2, 7, ("o-cut", [0])), elect(2, 0, ("none", [0]), ("o-cut", [9]), ("o-cut", [0])), elect(2, 0), elect(2, 7, None),
        elect(2, 0, ("o-cut", [0, 0])), elect(2, 0, ("o-cut", [0]), timeout=0), elect(2, 0, ("", [0]))],
    "reassignments": [reassignments(t) for t in (None, ("o-cut", [0]), ("none", [0]), ("o-cut", [9]))] + [reassignments()] + [
        reassign(v, ("o-cut", (0, [1]))) for v in (0, 1)] + [reassign(1, ("o-cut", p)) for p in (
            (0, None), (0, [7]), (0, [1, 7]), (0, []), (0, [1, 1]), (9, [1]), (0, [-1]))]
        + [reassign(1, ("none", (0, [1]))), reassign(1, ("none", (0, None))), reassign(1), reassign(1, ("o-cut", (0, [1]), (0, [1])))],
    "alter replica log dirs": [move(v, ("/nowhere", ("o-cut", [0]))) for v in (1, 2)] + [
        move(2), move(2, ("relative", ("o-cut", [0]))), move(2, ("/nowhere", ("none", [0])))],
    "describe quorum": [quorum(v, ("__cluster_metadata", 0)) for v in range(3)] + [
        quorum(2, ("o-cut", 0)), quorum(2, ("__cluster_metadata", 1)), quorum(2), quorum(2, ("__cluster_metadata", 0, 0)),
        quorum(2, ("__cluster_metadata", 0), ("o-cut", 0))],
    "update features": [features(v, ("metadata.version", 30, {})) for v in range(3)] + [features(1, *u) for u in (
        [("metadata.version", 29, {})], [("metadata.version", 29, {"UpgradeType": 2})], [("metadata.version", 29, {"UpgradeType": 3})],
        [("metadata.version", 31, {})], [("no.such", 1, {})], [("no.such", 0, {"UpgradeType": 2})], [("metadata.version", -1, {})],
        [("metadata.version", 0, {"UpgradeType": 2})], [], [("metadata.version", 30, {"UpgradeType": 9})], [("", 1, {})],
        [("metadata.version", 99, {"UpgradeType": 1})], [("metadata.version", 6, {"UpgradeType": 2})])]
        + [features(1, ("metadata.version", 28, {"UpgradeType": 2}), ValidateOnly=True), features(2, ("no.such", 1, {})),
           features(0, ("metadata.version", 29, {"AllowDowngrade": True}))],
    "init producer id": [("InitProducerId", v, {"TransactionalId": None, "TransactionTimeoutMs": t}) for v in range(6) for t in (0, -1, 1000)]
                        + [("InitProducerId", 4, {"TransactionalId": None, "ProducerId": 5, "ProducerEpoch": 3}),
                           ("InitProducerId", 4, {"TransactionalId": "", "TransactionTimeoutMs": 1000})],
    "produce, all versions": [produce(v, GOOD) for v in range(3, 13)],
    "produce: acks 1, and what is no acks": [produce(8, GOOD, acks=1), produce(8, GOOD, acks=2), produce(8, GOOD, acks=-2)],
    "produce: batches": [produce(8, records, index=1) for records in BATCH.values()],
    "produce: null records, a later request": [produce(8, GOOD, index=7), produce(8, GOOD, name="none-such"), produce(8, GOOD, index=-1)],
    "produce: settings of the topic": [produce(8, wire.batch([b"x" * 300]), name="o-small"), produce(8, GOOD, name="o-append")],
    "produce: idempotent": [produce(8, wire.batch([b"a", b"b"], producer=(5000, e, q)), index=2) for e, q in (
        (0, 10), (0, 12), (0, 12), (0, 10), (0, 11), (0, 20), (0, 14), (1, 16), (1, 0), (0, 2), (1, 2), (1, 0))],
    "produce: nothing, and twice the same partition": [("Produce", 8, {"Acks": -1, "TimeoutMs": 1000, "TopicData": []})],
    "fetch, all versions": [fetch(v, 0) for v in range(4, 13)],
    "fetch: from the middle, the end, out of range": [fetch(11, o, part=200) for o in (0, 1, 2, 3, 29, 30, 33, 34, 1000, -1, -2)],
    "fetch: unknown": [fetch(11, 0, name="none-such"), fetch(11, 0, index=9), fetch(11, 0, index=-1)],
    "fetch: limits": [fetch(11, 0, most=m, part=p) for m, p in ((0, 0), (1, 1), (100, 1000), (1000, 100), (-1, -1), (150, 150))],
    "fetch: leader epochs": [fetch(12, 0, partition={"CurrentLeaderEpoch": c, "LastFetchedEpoch": l}) for c, l in (
        (-1, -1), (0, -1), (1, -1), (-2, -1), (0, 0), (0, 1))],
    "fetch: sessions that are not": [fetch(11, 0, SessionId=77, SessionEpoch=e) for e in (1, 0, -1)] + [fetch(11, 0, SessionId=0, SessionEpoch=5)],
    "fetch: read committed": [fetch(11, o, IsolationLevel=1) for o in (0, 1000)],
    "list offsets, all versions": [offsets(v, t) for v in range(1, 12) for t in (-1, -2, 0, 1700000000000, 1700000000001)],
    "list offsets: special": [offsets(v, t, index=1) for v in (1, 6, 7, 8, 9, 11) for t in (-3, -4, -5, -6, -7, -100)],
    "list offsets: unknown, epochs": [offsets(5, -1, name="none-such"), offsets(5, -1, index=9), offsets(5, -1, CurrentLeaderEpoch=0),
                                      offsets(5, -1, CurrentLeaderEpoch=7), offsets(5, -1, CurrentLeaderEpoch=-5)],
    "list offsets: unknown at a time that is not": [offsets(5, -7, name="none-such"), offsets(5, -7, index=9),
                                                    offsets(5, -7, CurrentLeaderEpoch=-5)],
    "find coordinator: refusals": [("FindCoordinator", v, {"Key": "g", "KeyType": 7}) for v in (1, 2, 3)]
                                  + [("FindCoordinator", v, {"CoordinatorKeys": ["a", "b"], "KeyType": 7}) for v in (4, 5, 6)]
                                  + [("FindCoordinator", v, {"CoordinatorKeys": ["a", f"a:{SOME_ID}", f"a:{SOME_ID}:x"], "KeyType": 2})
                                     for v in (4, 6)] + [("FindCoordinator", 4, {"CoordinatorKeys": []})],
}

CASES.update(group_cases.CASES)

# What is not compared, and why: field names by API.
WANTED = {
    "ApiKeys": "only what is served is advertised",
    "SupportedFeatures": "groups, transactions and share groups are not there yet",
    "FinalizedFeatures": "the same",
    "FinalizedFeaturesEpoch": "counts other things",
}
# Settings that are ours, or newer than the Kafka that is asked.
SETTINGS_MORE = ("write.caching", "streams.rack.aware.assignment.tags", "errors.deadletterqueue.copy.record.enable",
                 "errors.deadletterqueue.topic.name", "streams.assignor.name", "share.assignor.offload.enable", "consumer.assignor.offload.enable", "errors.deadletterqueue.group.enable", "max.decompressed.message.bytes", "remote.copy.lag.bytes",
                 "remote.copy.lag.ms")
# Different in every run: the time of an append, the number of a session.
ALIKE = {"LogAppendTimeMs": 1, "SessionId": 1, "Host": "host", "Port": 1, "ClusterId": "cluster", "ProducerId": 1, "LogDir": "folder",
         "TotalBytes": 1, "UsableBytes": 1, "LastFetchTimestamp": 1, "LastCaughtUpTimestamp": 1}


def comparable_records(data):
    """Batches without what the time of an append has changed in them: CRC and timestamps of log append time."""
    data = bytearray(data)
    at = 0
    while at + 61 <= len(data):
        if struct.unpack_from(">h", data, at + 21)[0] & 8:
            struct.pack_into(">I", data, at + 17, 0)
            struct.pack_into(">q", data, at + 35, 0)
        at += 12 + struct.unpack_from(">i", data, at + 8)[0]
    return bytes(data)


def compared(value, name=""):
    """The value with what must differ made alike."""
    if isinstance(value, dict):
        if value.get("Name") == "min.insync.replicas" and value.get("ConfigSource") == 3:
            # Kafka's new clusters set it for all brokers, with eligible leader replicas, which are not there yet.
            value = {**value, "ConfigSource": 5, **({"Synonyms": []} if "Synonyms" in value else {})}
        if "CurrentVoters" in value and value["CurrentVoters"]:
            # How many records a quorum has, and in which epoch, is its own.
            value = {**value, "HighWatermark": 1, "LeaderEpoch": 1}
        if "LogEndOffset" in value:
            value = {**value, "LogEndOffset": 1}
        return {n: compared(v, n) for n, v in value.items() if n not in WANTED}
    if isinstance(value, list):
        items = [compared(v) for v in value if not (isinstance(v, dict) and v.get("Name") in SETTINGS_MORE)]
        # Kafka's order of these is that of a hash table.
        if items and isinstance(items[0], dict) and name in ("Configs", "Topics", "Responses", "Results", "ConfigResources"):
            items.sort(key=lambda i: (str(i.get("Name", "")), str(i.get("ResourceName", "")), str(i.get("GroupId", "")), str(i.get("ErrorCode", ""))))
        if items and isinstance(items[0], dict) and "GroupState" in items[0] or name == "Groups" and items and "ProtocolType" in items[0]:
            items.sort(key=lambda i: i["GroupId"])
        if items and isinstance(items[0], dict) and ("LowWatermark" in items[0] or "CommittedOffset" in items[0]):
            items.sort(key=lambda i: i["PartitionIndex"])
        return items
    if name == "BatchIndexErrorMessage" and value and ("imestamp" in value or "log append time" in value):
        return "timestamp"  # Kafka's has the time of the answer in it
    if name == "Documentation" and value is not None:
        return "text"
    if name == "TopicId":
        return value if value in (NO_ID, SOME_ID) else "id"
    if name in ALIKE and value not in (None, "", -1, 0):
        return ALIKE[name]
    if name == "Records" and value:
        return comparable_records(value)
    return value


def difference(kafka, ours, path=""):
    if isinstance(kafka, dict) and isinstance(ours, dict):
        for name in sorted(set(kafka) | set(ours)):
            found = difference(kafka.get(name, "absent"), ours.get(name, "absent"), f"{path}.{name}")
            if found:
                return found
        return None
    if isinstance(kafka, list) and isinstance(ours, list) and len(kafka) == len(ours):
        for i, (a, b) in enumerate(zip(kafka, ours)):
            found = difference(a, b, f"{path}[{i}]")
            if found:
                return found
        return None
    if isinstance(kafka, list) and isinstance(ours, list):
        names = [{i.get("Name", "") if isinstance(i, dict) else str(i) for i in side} for side in (kafka, ours)]
        return f"{path}: only Kafka {sorted(names[0] - names[1])}, only Moldau {sorted(names[1] - names[0])}"
    return None if kafka == ours else f"{path}: Kafka {kafka!r}, Moldau {ours!r}"


def ask(connect, steps):
    """The outcome of each step, in a form that can be compared."""
    outcomes = []
    connection = connect()
    for step in steps:
        try:
            if step[0] == "closes":
                with connect() as c:
                    c.send(step[1])
                    outcomes.append("closed" if c.is_closed(3) else "open")
            elif step[0] == "raw":
                connection.send(step[3])
                outcomes.append(connection.answer(step[1], step[2])[1])
            elif step[0] == "until":
                outcomes.append(moldau.wait_for(lambda: (lambda b: b if step[4](b) else None)(connection.ask(*step[1:4])), 20))
            else:
                outcomes.append(connection.ask(*step))
        except (EOFError, ConnectionError, ValueError, AssertionError, struct.error) as e:
            outcomes.append(f"{type(e).__name__}: {e}")
            connection.close()
            connection = connect()
    connection.close()
    return outcomes


def clear(connect):
    """Both begin alike: no topic or setting of an earlier run is left."""
    with connect() as c:
        for kind, name in ((BROKER, "1"), (GROUP, "o-g"), (METRICS, "o-m")):
            c.ask(*replace(2, (kind, name, {})))
        c.ask(*alter(1, (BROKER, "", "message.max.bytes", DELETE, None)))
        c.ask("DeleteGroups", 2, {"GroupsNames": [g["GroupId"] for g in c.ask("ListGroups", 4)["Groups"] if g["GroupId"][:3] == "o-g"] + [""]})
        names = [t["Name"] for t in c.ask("Metadata", 1, {"Topics": None})["Topics"] if t["Name"][:2] in ("o-", "o.", "o_")]
        c.ask("DeleteTopics", 5, {"TimeoutMs": 30000, "TopicNames": names})
        moldau.wait_for(lambda: not {t["Name"] for t in c.ask("Metadata", 1, {"Topics": None})["Topics"]} & set(names), 30)


def compare(kafka, ours, only=None, out=print):
    """The names of the cases that differ."""
    failed = []
    clear(kafka)
    clear(ours)
    for outcomes in (ask(kafka, SETUP), ask(ours, SETUP)):
        if isinstance(outcomes[0], str):
            raise SystemExit(f"FAIL setup: {outcomes[0]}")
    for name, steps in CASES.items():
        if only and only not in name:
            continue
        shown = 0
        for number, (step, a, b) in enumerate(zip(steps, ask(kafka, steps), ask(ours, steps)), 1):
            found = difference(compared(a), compared(b))
            if found and shown < SHOWN:
                out(f"     {name}, request {number}, {step[0]} {step[1]}: {found}")
                shown += 1
            if found and name not in failed:
                failed.append(name)
        out(f"{'FAIL' if name in failed else 'PASS'} {name}")
    return failed


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kafka")
    options.add_argument("--moldau")
    options.add_argument("--only")
    options = options.parse_args()

    def to(address):
        host, _, port = address.rpartition(":")
        return lambda: moldau.Connection(int(port), host)

    real = None
    broker = None
    try:
        if not options.kafka:
            if peer.missing():
                print(f"SKIP: {peer.missing()}")
                return 77
            real = peer.Kafka()
            options.kafka = real.start().address
        if not options.moldau:
            broker = moldau.Broker({"node.id": 1})
            options.moldau = f"127.0.0.1:{broker.port}"
        failed = compare(to(options.kafka), to(options.moldau), options.only)
        return 1 if failed else 0
    finally:
        if broker:
            broker.end()
        if real:
            real.close()


if __name__ == "__main__":
    sys.exit(main())
