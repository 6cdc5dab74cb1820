#!/usr/bin/env python3
"""Records data folders that the real Kafka wrote, for tests/compat/data: its own metadata log with a snapshot, topics made, altered and deleted,
a restart in between; as a clean stop and as kill -9 leave them.

    tests/compat/record_kafka_folder.py NAME        for example kafka-4.3.1

tests/system/kafka_folder_test.py opens them with a Moldau broker.
"""
import json
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "system"))
import kafka  # noqa: E402
import moldau  # noqa: E402
import record_data_folder  # noqa: E402
import wire  # noqa: E402

SETTINGS = {"metadata.log.max.record.bytes.between.snapshots": 3000, "offsets.topic.num.partitions": 1}


def incremental(kind, name, setting, value):
    return {"Resources": [{"ResourceType": kind, "ResourceName": name, "Configs": [
        {"Name": setting, "ConfigOperation": 0, "Value": value}]}], "ValidateOnly": False}


def first_life(c):
    record_data_folder.fill(c)
    moldau.create_topic(c, "gone")
    answer = c.ask("DeleteTopics", 4, {"TopicNames": ["gone"], "TimeoutMs": 10000})
    assert answer["Responses"][0]["ErrorCode"] == 0, answer
    answer = c.ask("CreatePartitions", 3, {"Topics": [{"Name": "plain", "Count": 5, "Assignments": None}],
                                           "TimeoutMs": 10000, "ValidateOnly": False})
    assert answer["Results"][0]["ErrorCode"] == 0, answer


def producer_id(c):
    """None while the coordinator still loads."""
    answer = c.ask("InitProducerId", 4, {"TransactionalId": None, "TransactionTimeoutMs": 1000, "ProducerId": -1, "ProducerEpoch": -1})
    return answer["ProducerId"] if answer["ErrorCode"] == 0 else None


def second_life(c):
    for kind, name, setting, value in ((2, "plain", "max.message.bytes", "123456"), (4, "", "log.cleaner.threads", "2")):
        answer = c.ask("IncrementalAlterConfigs", 1, incremental(kind, name, setting, value))
        assert answer["Responses"][0]["ErrorCode"] == 0, answer
    producer = moldau.wait_for(lambda: producer_id(c), 60, "an id for a producer")
    record_data_folder.append(c, "plain", 4, wire.batch([b"idempotent"], producer=(producer, 0, 0)))
    return producer


def ready(port):
    """A connection to a node that has registered: it leads what there is."""
    def leads():
        with moldau.Connection(port) as c:
            brokers = c.ask("Metadata", 9, {"Topics": None})["Brokers"]
            return brokers and not c.ask("CreateTopics", 5, {"Topics": [], "timeoutMs": 1000}).get("ErrorCode")
    moldau.wait_for(leads, 60, "the node")
    return moldau.Connection(port)


def topic_ids(c):
    answer = c.ask("Metadata", 12, {"Topics": None})
    return {t["Name"]: t["TopicId"] for t in answer["Topics"]}


def wait_for_leaders(c):
    def led():
        answer = c.ask("Metadata", 12, {"Topics": None})
        return all(p["ErrorCode"] == 0 for t in answer["Topics"] for p in t["Partitions"])
    moldau.wait_for(led, 60, "leaders")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if kafka.missing():
        sys.exit(kafka.missing())
    target = os.path.join(HERE, "data", sys.argv[1])
    for how in ("clean", "killed"):
        with tempfile.TemporaryDirectory() as folder:
            node = kafka.Kafka(SETTINGS, folder=folder)
            node.start()
            with ready(node.port) as c:
                first_life(c)
            node.stop()
            node.start()
            with ready(node.port) as c:
                wait_for_leaders(c)
                producer = second_life(c)
                wanted = {"topics": record_data_folder.served(c), "ids": topic_ids(c), "producer": producer,
                          "settings": record_data_folder.settings(c)}
            if how == "clean":
                node.stop()
            else:
                node.kill()
            record_data_folder.pack(os.path.join(folder, "data"), f"{target}-{how}.tar.xz")
            with open(f"{target}-{how}.json", "w", encoding="utf-8") as out:
                json.dump(wanted, out, indent=1, sort_keys=True)
                out.write("\n")


if __name__ == "__main__":
    main()
