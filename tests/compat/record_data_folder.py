#!/usr/bin/env python3
"""Records the data folder that this build writes, for tests/compat/data: once for each format that lands, never again.

    MOLDAU=build/release/moldau tests/compat/record_data_folder.py NAME

writes data/NAME-clean.tar.xz and data/NAME-killed.tar.xz, each with a .json that says what every later build has to serve from it;
tests/system/old_folders_test.py asks for that.
"""
import hashlib
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "system"))
import moldau  # noqa: E402
import wire  # noqa: E402

# Nothing here may go by itself as years pass: no compaction, no retention.
TOPICS = {"plain": {"retention.ms": "-1"}, "compacted": {"cleanup.policy": "compact", "min.compaction.lag.ms": "9000000000000000"},
          "small-segments": {"segment.bytes": "1048576", "retention.ms": "-1"},
          "append-time": {"retention.ms": "-1", "message.timestamp.type": "LogAppendTime"}}
PARTITIONS = 3
BATCHES = 20


def keyed(i, times=50):
    """A record batch whose records all have keys, as compacted topics want them."""
    return wire.batch([b"value %d " % i * times], keys=[b"key %d" % (i % 5)])


def append(connection, topic, partition, batch):
    """Kafka has no leader yet for a moment after a topic's creation."""
    def appended():
        errors = wire.produce_errors(connection.ask("Produce", 8, wire.produce(topic, [partition], batch)))
        assert errors[0] in (0, 3, 5, 6), errors
        return errors[0] == 0
    moldau.wait_for(appended, what=f"a leader of {topic}-{partition}")


def fill(connection):
    for topic, configs in TOPICS.items():
        moldau.create_topic(connection, topic, PARTITIONS, configs)
        for partition in range(PARTITIONS):
            for i in range(BATCHES):
                batch = keyed(i, 10000 if topic == "small-segments" else 50)
                append(connection, topic, partition, batch)


def served_one(connection, topic, partition):
    """[start, end, digest of all bytes from start on]"""
    answer = connection.ask("Fetch", 11, {
        "ReplicaId": -1, "MaxWaitMs": 0, "MinBytes": 0, "MaxBytes": 50 << 20, "SessionId": 0, "SessionEpoch": -1,
        "Topics": [{"Topic": topic, "Partitions": [
            {"Partition": partition, "FetchOffset": 0, "PartitionMaxBytes": 50 << 20}]}]})
    p = answer["Responses"][0]["Partitions"][0]
    assert p["ErrorCode"] == 0, (topic, partition, p["ErrorCode"])
    return [p["LogStartOffset"], p["HighWatermark"], hashlib.sha256(p["Records"]).hexdigest()]


def served(connection):
    """{topic: {partition: what served_one says}}"""
    return {topic: {str(i): served_one(connection, topic, i) for i in range(PARTITIONS)} for topic in TOPICS}


def settings(connection):
    found = {}
    for topic, configs in TOPICS.items():
        answer = connection.ask("DescribeConfigs", 4, {"Resources": [
            {"ResourceType": 2, "ResourceName": topic, "ConfigurationKeys": sorted(configs)}]})
        found[topic] = {c["Name"]: c["Value"] for c in answer["Results"][0]["Configs"] if configs}
    return found


def pack(folder, path):
    subprocess.run(["tar", "--sort=name", "--owner=0", "--group=0", "--mtime=2026-01-01", "-C", folder, "-cJf", path, "."], check=True)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    target = os.path.join(HERE, "data", sys.argv[1])
    if os.path.exists(target + "-clean.json"):
        sys.exit(f"{target} is there: a recorded folder is never made anew")
    with tempfile.TemporaryDirectory() as folder:
        for how in ("clean", "killed"):
            data = os.path.join(folder, how)
            with moldau.Broker({"shards": 2}, data=data) as broker:
                with broker.connect() as c:
                    fill(c)
                    wanted = {"topics": served(c), "settings": settings(c)}
                if how == "clean":
                    broker.stop()
                else:
                    broker.kill()
            pack(data, f"{target}-{how}.tar.xz")
            wanted["version"] = moldau.run_moldau("version")[1].strip()
            with open(f"{target}-{how}.json", "w", encoding="utf-8") as out:
                json.dump(wanted, out, indent=1, sort_keys=True)
                out.write("\n")


if __name__ == "__main__":
    main()
