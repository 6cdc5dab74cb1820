#!/usr/bin/env python3
"""Folders go from Kafka to Moldau and back. A Kafka node's data folder opens, with its topics, ids, settings and producers (that each byte of
its records comes back is old_folders_test's); and a partition that Moldau went on with is served by that Kafka.
"""
import glob
import hashlib
import json
import os
import shutil
import sys
import tarfile
import tempfile
import unittest

import moldau
import wire

COMPAT = os.path.join(moldau.ROOT, "tests", "compat")
sys.path.insert(0, COMPAT)
import kafka  # noqa: E402
import record_data_folder  # noqa: E402
import record_kafka_folder  # noqa: E402

ARCHIVES = sorted(glob.glob(os.path.join(COMPAT, "data", "kafka-*.tar.xz")))


def unpack(archive, folder):
    with tarfile.open(archive) as tar:
        tar.extractall(folder)
    with open(archive.replace(".tar.xz", ".json"), encoding="utf-8") as text:
        return json.load(text)


class FromKafka(unittest.TestCase):
    def check(self, c, wanted):
        self.assertEqual(record_kafka_folder.topic_ids(c), wanted["ids"])
        topics = {t["Name"]: t for t in c.ask("Metadata", 12, {"Topics": None})["Topics"]}
        self.assertEqual(len(topics["plain"]["Partitions"]), 5)
        # The node was started twice, so its partitions have had leaders before.
        self.assertGreater(topics["plain"]["Partitions"][0]["LeaderEpoch"], 0)
        for kind, name, setting, value in ((2, "plain", "max.message.bytes", "123456"), (4, "", "log.cleaner.threads", "2")):
            answer = c.ask("DescribeConfigs", 4, {"Resources": [
                {"ResourceType": kind, "ResourceName": name, "ConfigurationKeys": [setting]}]})
            self.assertEqual([x["Value"] for x in answer["Results"][0]["Configs"]], [value])
        # The producer goes on where it was, its duplicate is known, and nobody else gets its id.
        batch = wire.batch([b"idempotent"], producer=(wanted["producer"], 0, 0))
        answer = c.ask("Produce", 8, wire.produce("plain", [4], batch))["Responses"][0]["PartitionResponses"][0]
        self.assertEqual((answer["ErrorCode"], answer["BaseOffset"]), (0, 0))
        self.assertGreater(record_kafka_folder.producer_id(c), wanted["producer"])

    def test_topics_ids_settings_and_producers_are_taken_over(self):
        self.assertTrue(ARCHIVES)
        for archive in ARCHIVES:
            with self.subTest(archive=os.path.basename(archive)), tempfile.TemporaryDirectory() as data:
                wanted = unpack(archive, data)
                with moldau.Broker({"node.id": 1}, data=data) as broker:
                    with broker.connect() as c:
                        self.check(c, wanted)
                    broker.restart()
                    with broker.connect() as c:
                        self.check(c, wanted)
                    self.assertIn("were taken over", broker.log())
                    self.assertTrue(os.path.exists(os.path.join(data, "__cluster_metadata-0")))

    def refused(self, damage, words, node=1, how="clean"):
        with tempfile.TemporaryDirectory() as data:
            unpack(next(a for a in ARCHIVES if how in a), data)
            before = {name for name in os.listdir(data) if not name.endswith("-delete") and name != ".kafka_cleanshutdown"}
            damage(os.path.join(data, "__cluster_metadata-0"))
            before &= set(os.listdir(data))
            broker = moldau.Broker({"node.id": node}, data=data, start=False)
            try:
                with self.assertRaises(AssertionError):
                    broker.start()
                self.assertIn(words, broker.log())
                self.assertLessEqual(before, set(os.listdir(data)), "nothing was renamed or removed")
            finally:
                broker.end()

    def test_a_damaged_snapshot_keeps_the_broker_from_starting(self):
        def garble(folder):
            newest = sorted(glob.glob(os.path.join(folder, "*.checkpoint")))[-1]
            with open(newest, "r+b") as f:
                f.seek(100)
                f.write(b"\xff" * 20)
        self.refused(garble, ".checkpoint at byte")

    def test_damage_before_other_batches_is_no_torn_tail(self):
        def garble(folder):
            for path in glob.glob(os.path.join(folder, "*.checkpoint")):
                os.remove(path)
            with open(os.path.join(folder, "00000000000000000000.log"), "r+b") as f:
                f.seek(1000)
                f.write(b"\xff" * 20)
        self.refused(garble, "00000000000000000000.log at byte", how="killed")

    def test_a_tail_that_a_kill_tore_is_left_out(self):
        with tempfile.TemporaryDirectory() as data:
            wanted = unpack(next(a for a in ARCHIVES if "killed" in a), data)
            log = os.path.join(data, "__cluster_metadata-0", "00000000000000000000.log")
            os.truncate(log, os.path.getsize(log) - 5)
            with moldau.Broker({"node.id": 1}, data=data) as broker, broker.connect() as c:
                self.assertEqual(record_kafka_folder.topic_ids(c), wanted["ids"])
                self.assertIn("is no whole batch and was left out", broker.log())

    def test_a_metadata_log_with_a_hole_keeps_the_broker_from_starting(self):
        def cut(folder):
            for path in glob.glob(os.path.join(folder, "*.checkpoint")):
                os.remove(path)
            os.rename(os.path.join(folder, "00000000000000000000.log"), os.path.join(folder, "00000000000000000010.log"))
        self.refused(cut, "records before offset 10 are missing")

    def test_the_folder_of_another_node_is_left_alone(self):
        self.refused(lambda folder: None, "node", node=7)


def content(folder):
    """{path: its bytes' digest} of all files; folders too."""
    found = {}
    for at, folders, files in os.walk(folder):
        found.update({os.path.join(at, name): None for name in folders})
        for name in files:
            with open(os.path.join(at, name), "rb") as f:
                found[os.path.join(at, name)] = hashlib.sha256(f.read()).hexdigest()
    return found


class WithoutMetadata(unittest.TestCase):
    """What is left of a node whose __cluster_metadata-0 is gone is served, and not a byte of it is changed."""

    def refusals(self, c):
        yield "Produce", wire.produce_errors(c.ask("Produce", 8, wire.produce("plain", [0], wire.batch([b"x"]))))[0]
        answer = c.ask("CreateTopics", 7, {"timeoutMs": 5000, "Topics": [{"Name": "new", "NumPartitions": 1, "ReplicationFactor": 1}]})
        self.assertIn("read only", answer["Topics"][0]["ErrorMessage"])
        yield "CreateTopics", answer["Topics"][0]["ErrorCode"]
        answer = c.ask("DeleteTopics", 6, {"TimeoutMs": 5000, "Topics": [{"Name": "plain", "TopicId": b"\0" * 16}]})
        yield "DeleteTopics", answer["Responses"][0]["ErrorCode"]
        answer = c.ask("CreatePartitions", 3, {"TimeoutMs": 5000, "Topics": [{"Name": "plain", "Count": 30, "Assignments": None}]})
        yield "CreatePartitions", answer["Results"][0]["ErrorCode"]
        answer = c.ask("IncrementalAlterConfigs", 1, {"Resources": [{"ResourceType": 2, "ResourceName": "plain", "Configs": [
            {"Name": "retention.ms", "ConfigOperation": 0, "Value": "1"}]}]})
        yield "IncrementalAlterConfigs", answer["Responses"][0]["ErrorCode"]
        answer = c.ask("DeleteRecords", 2, {"TimeoutMs": 5000, "Topics": [{"Name": "plain", "Partitions": [{"PartitionIndex": 0, "Offset": 1}]}]})
        yield "DeleteRecords", answer["Topics"][0]["Partitions"][0]["ErrorCode"]

    def opened(self, archive, data, wanted, shards):
        shutil.rmtree(os.path.join(data, "__cluster_metadata-0"))
        settings = {"node.id": 1, "shards": shards, "log.initial.task.delay.ms": 0, "log.retention.check.interval.ms": 20, "log.retention.ms": 1}
        before = content(data)
        # Read from the whole folder, whose settings a broker has.
        with tempfile.TemporaryDirectory() as whole:
            unpack(archive, whole)
            with moldau.Broker({"node.id": 1}, data=whole) as broker, broker.connect() as c:
                served = {topic: [record_data_folder.served_one(c, topic, i) for i in range(5)] for topic in ("plain",)}
        with moldau.Broker(settings, data=data) as broker:
            for _ in range(2):
                with broker.connect() as c:
                    self.assertEqual(record_kafka_folder.topic_ids(c), wanted["ids"])
                    for topic, parts in served.items():
                        self.assertEqual([record_data_folder.served_one(c, topic, i) for i in range(5)], parts)
                    self.assertEqual({code for _, code in self.refusals(c)}, {44})
                self.assertEqual(broker.log().count("READ ONLY"), 1 + _)
                broker.restart()
            self.assertEqual(broker.stop()[0], 0)
        self.assertEqual(content(data), before)

    def test_partitions_are_served_as_they_are(self):
        for archive in ARCHIVES:
            for shards in (1, 2):
                with self.subTest(archive=os.path.basename(archive)), tempfile.TemporaryDirectory() as data:
                    self.opened(archive, data, unpack(archive, data), shards)


class ToKafka(unittest.TestCase):
    def test_a_partition_that_moldau_went_on_with_is_served_by_kafka(self):
        if kafka.missing():
            self.skipTest(kafka.missing())
        with tempfile.TemporaryDirectory() as folder:
            theirs, ours = os.path.join(folder, "data"), os.path.join(folder, "ours")
            os.mkdir(theirs)
            unpack(ARCHIVES[0], theirs)
            shutil.copytree(theirs, ours)
            with moldau.Broker({"node.id": 1}, data=ours) as broker:
                with broker.connect() as c:
                    for i in range(50):
                        record_data_folder.append(c, "small-segments", 1, record_data_folder.keyed(i, 10000))
                    wanted = record_data_folder.served(c)["small-segments"]["1"]
                self.assertEqual(broker.stop()[0], 0)
            shutil.rmtree(os.path.join(theirs, "small-segments-1"))
            shutil.copytree(os.path.join(ours, "small-segments-1"), os.path.join(theirs, "small-segments-1"))
            node = kafka.Kafka(record_kafka_folder.SETTINGS, folder=folder)
            try:
                node.start()
                with record_kafka_folder.ready(node.port) as c:
                    record_kafka_folder.wait_for_leaders(c)
                    self.assertEqual(record_data_folder.served(c)["small-segments"]["1"], wanted)
            finally:
                node.kill()


if __name__ == "__main__":
    moldau.main()
