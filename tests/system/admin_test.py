"""What is administered takes effect at once and is there again after a restart; the program's own verbs for it."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import moldau  # noqa: E402
import wire  # noqa: E402

TOPIC, BROKER, METRICS, GROUP = 2, 4, 16, 32
SET, DELETE = 0, 1


def alter(c, kind, name, *changes):
    """(error code, message)"""
    answer = c.ask("IncrementalAlterConfigs", 1, {"Resources": [{"ResourceType": kind, "ResourceName": name, "Configs": [
        {"Name": n, "ConfigOperation": o, "Value": v} for n, o, v in changes]}]})["Responses"][0]
    return answer["ErrorCode"], answer["ErrorMessage"]


def setting(c, kind, name, key):
    """(value, source)"""
    answer = c.ask("DescribeConfigs", 4, {"Resources": [{"ResourceType": kind, "ResourceName": name, "ConfigurationKeys": [key]}]})
    found = answer["Results"][0]["Configs"]
    return (found[0]["Value"], found[0]["ConfigSource"]) if found else None


def produce(c, topic, size, partition=0):
    return wire.produce_errors(c.ask("Produce", 8, wire.produce(topic, [partition], wire.batch([b"x" * size]))))[0]


def start_offset(c, topic, partition=0):
    return c.ask("ListOffsets", 5, {"ReplicaId": -1, "Topics": [{"Name": topic, "Partitions": [
        {"PartitionIndex": partition, "Timestamp": -2}]}]})["Topics"][0]["Partitions"][0]["Offset"]


class Administration(unittest.TestCase):
    def test_settings_take_effect_at_once(self):
        with moldau.Broker({"node.id": 1}) as broker, broker.connect() as c:
            moldau.create_topic(c, "t")
            self.assertEqual(produce(c, "t", 5000), 0)
            self.assertEqual(alter(c, BROKER, "", ("message.max.bytes", SET, "1000")), (0, None))
            self.assertEqual(produce(c, "t", 5000), 10)
            self.assertEqual(alter(c, BROKER, "1", ("message.max.bytes", SET, "6000")), (0, None))
            self.assertEqual(produce(c, "t", 5000), 0)
            self.assertEqual(alter(c, TOPIC, "t", ("max.message.bytes", SET, "2000")), (0, None))
            self.assertEqual(produce(c, "t", 5000), 10)
            self.assertEqual(alter(c, TOPIC, "t", ("max.message.bytes", DELETE, None)), (0, None))
            self.assertEqual(produce(c, "t", 5000), 0)

    def test_a_limit_of_connections_holds_from_now_on_and_is_lifted_again(self):
        with moldau.Broker({"node.id": 1}) as broker, broker.connect() as c:
            self.assertEqual(alter(c, BROKER, "1", ("max.connections.per.ip", SET, "1")), (0, None))
            with broker.connect() as first:
                first.ask("ApiVersions", 0)
                with broker.connect() as second:
                    self.assertTrue(second.is_closed())
            self.assertEqual(alter(c, BROKER, "1", ("max.connections.per.ip", DELETE, None)), (0, None))
            with broker.connect() as first, broker.connect() as second:
                first.ask("ApiVersions", 0)
                second.ask("ApiVersions", 0)

    def test_what_was_set_is_there_after_a_kill(self):
        with moldau.Broker({"node.id": 1}) as broker:
            kept = ((TOPIC, "t", "retention.ms", "5000", 1), (BROKER, "1", "log.roll.ms", "60000", 2), (BROKER, "", "log.retention.ms", "777", 3),
                    (GROUP, "a/b %.g", "consumer.session.timeout.ms", "50000", 8), (METRICS, "m", "interval.ms", "1000", 7))
            with broker.connect() as c:
                moldau.create_topic(c, "t")
                for kind, name, key, value, _ in kept:
                    self.assertEqual(alter(c, kind, name, (key, SET, value)), (0, None))
                self.assertEqual(alter(c, GROUP, "gone", ("consumer.session.timeout.ms", SET, "50000")), (0, None))
                self.assertEqual(alter(c, GROUP, "gone", ("consumer.session.timeout.ms", DELETE, None)), (0, None))
            broker.kill()
            broker.start()
            with broker.connect() as c:
                for kind, name, key, value, source in kept:
                    self.assertEqual(setting(c, kind, name, key), (value, source))
                groups = c.ask("ListConfigResources", 1, {"ResourceTypes": [GROUP]})["ConfigResources"]
                self.assertEqual([g["ResourceName"] for g in groups], ["a/b %.g"])

    def test_added_partitions_and_deleted_records_stay(self):
        with moldau.Broker({"node.id": 1}) as broker:
            with broker.connect() as c:
                moldau.create_topic(c, "t", 1)
                answer = c.ask("CreatePartitions", 3, {"TimeoutMs": 5000, "Topics": [{"Name": "t", "Count": 3, "Assignments": None}]})
                self.assertEqual(answer["Results"][0]["ErrorCode"], 0)
                for i in range(3):
                    self.assertEqual([produce(c, "t", 10, i) for _ in range(4)], [0] * 4)
                answer = c.ask("DeleteRecords", 2, {"TimeoutMs": 5000, "Topics": [{"Name": "t", "Partitions": [
                    {"PartitionIndex": 1, "Offset": 3}, {"PartitionIndex": 2, "Offset": -1}]}]})
                self.assertEqual([p["LowWatermark"] for p in answer["Topics"][0]["Partitions"]], [3, 4])
            broker.kill()
            broker.start()
            with broker.connect() as c:
                self.assertEqual([start_offset(c, "t", i) for i in range(3)], [0, 3, 4])
                self.assertEqual(produce(c, "t", 10, 2), 0)

    def test_only_the_log_level_that_is_asked_for_is_logged(self):
        with moldau.Broker({"node.id": 1}) as broker, broker.connect() as c:
            def refused():
                with broker.connect() as other:
                    other.send(wire.frame(wire.request_header(999, 0)))
                    self.assertTrue(other.is_closed())
                return broker.log().count("key 999")

            self.assertEqual(setting(c, 8, "1", "root"), ("INFO", 6))
            before = refused()
            broker.wait_for_log("key 999")
            self.assertEqual(alter(c, 8, "1", ("root", SET, "ERROR")), (0, None))
            self.assertEqual(setting(c, 8, "1", "root"), ("ERROR", 6))
            self.assertEqual([refused() for _ in range(3)], [max(before, 1)] * 3)


class Verbs(unittest.TestCase):
    def check(self, broker, code, out, *words):
        done = moldau.run_moldau(*words, "-b", f"127.0.0.1:{broker.port}")
        self.assertEqual(done[0], code, done)
        if out is not None:
            self.assertEqual(done[1], out)
        return done[2]

    def test_settings(self):
        with moldau.Broker({"node.id": 1}) as broker:
            self.check(broker, 0, None, "topic", "create", "t")
            self.check(broker, 0, "altered t\n", "topic", "config", "t", "--add-config", "retention.ms=5,cleanup.policy=[compact,delete],flush.messages=7")
            self.check(broker, 0, "cleanup.policy=compact,delete\nflush.messages=7\nretention.ms=5\n", "topic", "config", "t")
            self.check(broker, 0, "could alter t\n", "config", "alter", "--topic", "t", "--delete-config", "retention.ms", "--dry-run")
            self.check(broker, 0, "altered t\n", "config", "alter", "--entity-type", "topics", "--entity-name", "t", "--delete-config", "retention.ms,flush.messages")
            self.check(broker, 0, "altered t\n", "config", "alter", "--topic", "t", "--subtract-config", "cleanup.policy=delete")
            self.check(broker, 0, "cleanup.policy=compact\n", "config", "describe", "--topic", "t")
            self.check(broker, 0, "altered all brokers\n", "config", "alter", "--broker-defaults", "--add-config", "log.retention.ms=9")
            self.check(broker, 0, "log.retention.ms=9\n", "config", "describe", "--entity-type", "brokers", "--entity-name", "1")
            said = self.check(broker, 1, "", "config", "alter", "--broker", "1", "--add-config", "num.partitions=3")
            self.assertIn("Cannot update these configs dynamically: [num.partitions]", said)

    def test_wrong_use(self):
        with moldau.Broker({"node.id": 1}) as broker:
            for words in (("config", "describe"), ("config", "alter", "--topic", "t"), ("config", "alter", "--topic", "t", "--add-config", "x"),
                          ("config", "alter", "--topic", "t", "--add-config", "x=[a,b"), ("config", "describe", "--entity-type", "clouds"), ("topic", "alter", "t"),
                          ("topic", "trim", "t"), ("topic", "trim", "t", "--to", "-5"), ("topic", "add-partitions", "t"), ("topic", "config"),
                          ("config", "describe", "--entity-type", "topics", "--entity-default")):
                self.check(broker, 2, "", *words)

    def test_partitions_and_records(self):
        with moldau.Broker({"node.id": 1}) as broker:
            self.check(broker, 0, None, "topic", "create", "t", "-p", "1")
            with broker.connect() as c:
                self.assertEqual([produce(c, "t", 10) for _ in range(3)], [0] * 3)
            self.check(broker, 0, "altered t: 2 partitions\n", "topic", "add-partitions", "t", "-p", "2")
            self.check(broker, 0, "altered t: 3 partitions\naltered t\n", "topic", "alter", "--topic", "t", "--partitions", "3", "--add-config", "retention.ms=-1")
            self.check(broker, 1, "", "topic", "alter", "t", "--partitions", "3")
            self.check(broker, 0, "t/0 begins at 2\n", "topic", "trim", "t", "--partition", "0", "--to", "2")
            self.check(broker, 1, "", "topic", "trim", "t", "--partition", "0", "--to", "9")
            self.check(broker, 0, "t/0 begins at 3\nt/1 begins at 0\nt/2 begins at 0\n", "topic", "trim", "t", "--to", "end")
            self.check(broker, 1, "", "topic", "trim", "none", "--partition", "0", "--to", "1")


if __name__ == "__main__":
    moldau.main()
