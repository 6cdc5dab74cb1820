#!/usr/bin/env python3
"""`moldau group ...` against our broker, and against the real Kafka where a JDK and it are found.

Groups are made by raw requests: members of the classic protocol, of KIP-848's where the broker knows it, and offsets that nobody's member committed.
"""
import base64
import json
import os
import re
import struct
import subprocess
import sys
import time
import unittest
import urllib.request
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "compat"))

import kafka  # noqa: E402
import moldau  # noqa: E402

SECONDS = 60
HEARTBEAT = 68
PATIENCE = "--timeout", "20000"


def strings(*texts):
    return struct.pack(">i", len(texts)) + b"".join(struct.pack(">h", len(t)) + t.encode() for t in texts)


def partitions(topic, numbers):
    return struct.pack(">i", 1) + struct.pack(">h", len(topic)) + topic.encode() + struct.pack(f">i{len(numbers)}i", len(numbers), *numbers)


class Groups:
    """Not a test case itself: the classes below give it a broker."""

    bootstrap = None
    names = 0

    def cli(self, *arguments, data=b"", code=0):
        environment = {**os.environ, "MOLDAU_BOOTSTRAP": self.bootstrap}
        done = subprocess.run([moldau.binary(), *arguments], input=data, capture_output=True, timeout=SECONDS, env=environment)
        self.assertEqual(done.returncode, code, f"{arguments}: {done.stderr.decode()}")
        return done.stdout.decode(), done.stderr.decode()

    def group(self, *arguments, **more):
        return self.cli("group", *arguments, *PATIENCE, **more)

    def rows(self, *arguments, **more):
        """A table's rows as dicts."""
        lines = self.group(*arguments, **more)[0].splitlines()
        starts = [m.start() for m in re.finditer(r"\S+(?: \(ID\))?", lines[0])] if lines else []
        cut = [[line[a:b].strip() for a, b in zip(starts, starts[1:] + [None])] for line in lines]
        return [dict(zip(cut[0], row)) for row in cut[1:]]

    def objects(self, *arguments, **more):
        return [json.loads(line) for line in self.group(*arguments, "--format", "json", **more)[0].split("\n") if line]

    def name(self, what):
        type(self).names += 1
        return f"{what}-{self.names}"

    def topic(self, count=3, records=0):
        name = self.name("topic")
        self.cli("topic", "create", name, "--partitions", str(count))
        for p in range(count if records else 0):
            self.cli("produce", name, "-p", str(p), data=b"x\n" * records)
        return name

    def ask(self, api, version, body):
        with moldau.Connection(int(self.bootstrap.split(":")[1])) as c:
            return c.ask(api, version, body)

    @classmethod
    def wait_for_coordinator(cls):
        """The topic of the groups comes to be when somebody looks for it."""
        def found():
            with moldau.Connection(int(cls.bootstrap.split(":")[1])) as c:
                return c.ask("FindCoordinator", 4, {"KeyType": 0, "CoordinatorKeys": ["x"]})["Coordinators"][0]["ErrorCode"] == 0

        moldau.wait_for(found, seconds=SECONDS, what="a coordinator")

    def knows(self, key):
        return any(a["ApiKey"] == key for a in self.ask("ApiVersions", 0, {})["ApiKeys"])

    def commit(self, group, offsets):
        """{(topic, partition): offset}, as a consumer that is in no group does it."""
        topics = {}
        for (topic, partition), offset in offsets.items():
            topics.setdefault(topic, []).append({"PartitionIndex": partition, "CommittedOffset": offset, "CommittedMetadata": "m"})
        body = {"GroupId": group, "GenerationIdOrMemberEpoch": -1, "MemberId": "",
                "Topics": [{"Name": t, "Partitions": p} for t, p in topics.items()]}
        for topic in self.ask("OffsetCommit", 8, body)["Topics"]:
            for partition in topic["Partitions"]:
                self.assertEqual(partition["ErrorCode"], 0)

    def join(self, group, topic, numbers, instance=None):
        """A member that will not be heard of again for a while; its id."""
        body = {"GroupId": group, "SessionTimeoutMs": 60000, "RebalanceTimeoutMs": 60000, "MemberId": "", "GroupInstanceId": instance,
                "ProtocolType": "consumer",
                "Protocols": [{"Name": "range", "Metadata": struct.pack(">h", 0) + strings(topic) + struct.pack(">i", -1)}]}
        with moldau.Connection(int(self.bootstrap.split(":")[1])) as c:
            joined = c.ask("JoinGroup", 7, body)
            if joined["ErrorCode"] == 79:  # MEMBER_ID_REQUIRED
                body["MemberId"] = joined["MemberId"]
                joined = c.ask("JoinGroup", 7, body)
            self.assertEqual(joined["ErrorCode"], 0)
            assignment = struct.pack(">h", 0) + partitions(topic, numbers) + struct.pack(">i", -1)
            synced = c.ask("SyncGroup", 5, {"GroupId": group, "GenerationId": joined["GenerationId"], "MemberId": joined["MemberId"],
                                            "GroupInstanceId": instance, "ProtocolType": "consumer", "ProtocolName": "range",
                                            "Assignments": [{"MemberId": joined["MemberId"], "Assignment": assignment}]})
            self.assertEqual(synced["ErrorCode"], 0)
        return joined["MemberId"]

    # --- tests ----------------------------------------------------------------------------------------------------------

    def test_groups_are_listed_by_state_and_type(self):
        topic, empty, full = self.topic(), self.name("empty"), self.name("full")
        self.commit(empty, {(topic, 0): 0})
        self.join(full, topic, [0])
        self.assertLessEqual({empty, full}, set(self.group("list")[0].split()))
        verbose = {r["GROUP"]: r for r in self.rows("list", "--verbose")}
        self.assertEqual((verbose[full]["STATE"], verbose[full]["PROTOCOL"], verbose[full]["TYPE"].lower()), ("Stable", "consumer", "classic"))
        self.assertEqual((verbose[empty]["STATE"], verbose[empty]["PROTOCOL"]), ("Empty", "-"))
        stable = {r["GROUP"]: r for r in self.rows("list", "--state", "stable,preparingRebalance")}
        self.assertIn(full, stable)
        self.assertNotIn(empty, stable)
        self.assertEqual(stable[full], {"GROUP": full, "STATE": "Stable"})
        self.assertIn(full, {r["GROUP"] for r in self.rows("list", "--type", "classic")})
        self.assertEqual(self.group("list", "--type", "share")[0], "")
        self.assertNotIn(empty, self.group("list", "--protocol", "consumer")[0].split())
        listed = {o["group"]: o for o in self.objects("list")}
        self.assertEqual(listed[full]["protocolType"], "consumer")

    def test_describe_tells_how_far_behind_in_records_and_in_seconds(self):
        topic, group = self.topic(3), self.name("group")
        before = time.time() * 1000
        self.cli("produce", topic, "-p", "0", data=b"x\n" * 10)
        self.commit(group, {(topic, 0): 4, (topic, 1): 0})
        member = self.join(group, topic, [0, 2])
        rows = {r["PARTITION"]: r for r in self.rows("describe", group)}
        self.assertEqual((rows["0"]["CURRENT-OFFSET"], rows["0"]["LOG-END-OFFSET"], rows["0"]["LAG"]), ("4", "10", "6"))
        self.assertEqual((rows["1"]["CURRENT-OFFSET"], rows["1"]["LAG"], rows["1"]["LAG-SECONDS"]), ("0", "0", "0.000"))
        self.assertEqual((rows["2"]["CURRENT-OFFSET"], rows["2"]["LOG-END-OFFSET"], rows["2"]["LAG"]), ("-", "0", "-"))
        self.assertEqual((rows["0"]["CONSUMER-ID"], rows["1"]["CONSUMER-ID"], rows["2"]["HOST"]), (member, "-", "/127.0.0.1"))
        described = self.objects("describe", group)[0]
        lag = {p["partition"]: p["lagMs"] for p in described["partitions"]}
        self.assertTrue(0 <= lag[0] <= time.time() * 1000 - before, lag)
        self.assertEqual((lag[1], lag[2]), (0, None))
        self.assertEqual((described["state"], described["assignor"], described["partitions"][0]["metadata"]), ("Stable", "range", "m"))

    def test_the_age_is_that_of_the_record_that_is_next(self):
        topic, group, other = self.topic(1), self.name("group"), self.name("group")
        now = int(time.time() * 1000)
        self.produce_with_times(topic, [now - age for age in (500000, 300000, 100000)])
        self.commit(group, {(topic, 0): 0})
        self.commit(other, {(topic, 0): 2})
        ages = {o["group"]: o["partitions"][0]["lagMs"] for o in self.objects("describe", group, other)}
        self.assertTrue(500000 <= ages[group] < 560000, ages)
        self.assertTrue(100000 <= ages[other] < 160000, ages)
        self.assertEqual(self.objects("describe", group, "--no-lag-time")[0]["partitions"][0]["lagMs"], None)
        # A timestamp of the future is no negative age.
        self.produce_with_times(topic, [now + 3000000])
        self.commit(group, {(topic, 0): 3})
        self.assertEqual(self.objects("describe", group)[0]["partitions"][0]["lagMs"], 0)
        # Beyond the end is not behind.
        self.commit(group, {(topic, 0): 30})
        self.assertEqual(self.objects("describe", group)[0]["partitions"][0]["lag"], 0)

    def produce_with_times(self, topic, times):
        code = ("import sys, json; from confluent_kafka import Producer; p = Producer({'bootstrap.servers': sys.argv[1]});\n"
                "[p.produce(sys.argv[2], b'x', partition=0, timestamp=t) for t in json.loads(sys.argv[3])]; sys.exit(p.flush(30))")
        subprocess.run([sys.executable, "-c", code, self.bootstrap, topic, json.dumps(times)], check=True, timeout=SECONDS)

    def test_many_groups_at_once_on_the_same_partitions(self):
        topic = self.topic(4, records=3)
        groups = [self.name("many") for _ in range(20)]
        for i, group in enumerate(groups):
            self.commit(group, {(topic, p): i % 4 for p in range(4)})
        described = {o["group"]: o for o in self.objects("describe", "--all-groups")}
        for i, group in enumerate(groups):
            self.assertEqual([p["lag"] for p in described[group]["partitions"]], [3 - i % 4] * 4)
            for p in described[group]["partitions"]:
                self.assertEqual(p["lagMs"] == 0, i % 4 == 3, p)

    def test_members_and_state(self):
        topic, group = self.topic(), self.name("group")
        member = self.join(group, topic, [0, 1], instance="worker-1")
        row, = self.rows("members", group)
        self.assertEqual((row["CONSUMER-ID"], row["GROUP-INSTANCE-ID"], row["PARTITIONS"]), (member, "worker-1", "2"))
        verbose, = self.rows("describe", group, "--members", "--verbose")
        self.assertEqual(verbose["CURRENT-ASSIGNMENT"], f"{topic}(0,1)")
        told, = self.objects("members", group)
        self.assertEqual(told["members"][0]["assigned"], {topic: [0, 1]})
        self.assertEqual(told["members"][0]["topics"], [topic])
        state, = self.rows("state", group)
        self.assertEqual((state["STATE"], state["MEMBERS"], state["ASSIGNMENT-STRATEGY"]), ("Stable", "1", "range"))
        self.assertIn(self.bootstrap, state["COORDINATOR (ID)"])

    def test_groups_of_the_new_protocol(self):
        if not self.knows(HEARTBEAT):
            self.skipTest("the broker does not know it")
        topic, group, member = self.topic(2), self.name("new"), base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        body = {"GroupId": group, "MemberId": member, "MemberEpoch": 0, "RebalanceTimeoutMs": 60000, "SubscribedTopicNames": [topic],
                "ServerAssignor": "uniform", "TopicPartitions": []}
        answer = self.ask("ConsumerGroupHeartbeat", 1, body)
        self.assertEqual(answer["ErrorCode"], 0, answer)
        epoch = answer["MemberEpoch"]

        def assigned():
            nonlocal epoch
            beat = self.ask("ConsumerGroupHeartbeat", 1, {"GroupId": group, "MemberId": member, "MemberEpoch": epoch})
            epoch = beat["MemberEpoch"]
            return self.objects("members", group)[0]["members"][0]["target"] == {topic: [0, 1]}

        moldau.wait_for(assigned, what="the assignment")
        told, = self.objects("members", group)
        self.assertEqual((told["type"], told["assignor"], told["members"][0]["classic"]), ("Consumer", "uniform", False))
        self.assertEqual(told["members"][0]["topics"], [topic])
        state, = self.rows("state", group, "--verbose")
        self.assertGreaterEqual(int(state["EPOCH"]), 1)
        self.assertIn("its offsets can be set only while it has no members",
                      self.group("reset", group, "--to-earliest", "--topic", topic, "--execute", code=1)[1])
        self.ask("ConsumerGroupHeartbeat", 1, {"GroupId": group, "MemberId": member, "MemberEpoch": -1})
        self.assertEqual(self.objects("state", group)[0]["state"], "Empty")

    def offsets(self, group):
        return {(p["topic"], p["partition"]): p["offset"] for p in self.objects("offsets", group)[0]["partitions"]}

    def test_offsets_are_reset_in_every_way(self):
        topic, group = self.topic(2, records=10), self.name("group")
        for how, expected in (
                (("--to-earliest",), (0, 0)), (("--to-latest",), (10, 10)), (("--to-offset", "4"), (4, 4)),
                (("--to-offset", "99"), (10, 10)), (("--to-datetime", "2001-01-01T00:00:00.000"), (0, 0)),
                (("--to-datetime", "2101-01-01T00:00:00.000"), (10, 10)), (("--by-duration", "PT1H"), (0, 0)), (("--by-duration", "PT0S"), (10, 10)),
                (("--to-current",), (7, 7)), (("--shift-by", "-3"), (4, 4)), (("--shift-by=2",), (9, 9)), (("--shift-by", "-100"), (0, 0))):
            with self.subTest(how=how):
                self.commit(group, {(topic, 0): 7, (topic, 1): 7})
                self.assertIn("nothing was changed", self.group("reset", group, *how, "--all-topics")[1])
                self.assertEqual(self.offsets(group), {(topic, 0): 7, (topic, 1): 7})
                shown = self.rows("reset", group, *how, "--topic", topic, "--execute")
                self.assertEqual([(r["OLD-OFFSET"], r["NEW-OFFSET"]) for r in shown], [("7", str(e)) for e in expected])
                self.assertEqual(self.offsets(group), {(topic, i): e for i, e in enumerate(expected)})

    def test_some_partitions_are_reset_and_forgotten(self):
        topic, other, group = self.topic(3, records=2), self.topic(1, records=2), self.name("group")
        self.group("reset", group, "--to-latest", "--topic", f"{topic}:0,2", "--topic", other, "--execute")
        self.assertEqual(self.offsets(group), {(topic, 0): 2, (topic, 2): 2, (other, 0): 2})
        self.assertIn(f"forgot {topic}-2", self.group("delete-offsets", group, "--topic", f"{topic}:2")[0])
        self.assertEqual(self.offsets(group), {(topic, 0): 2, (other, 0): 2})
        self.group("delete-offsets", group, "--all-topics")
        self.assertEqual(self.offsets(group), {})
        self.assertIn("nothing is committed", self.group("reset", group, "--shift-by", "1", "--topic", topic, code=1)[1])
        self.assertIn("does not exist", self.group("reset", group, "--to-latest", "--topic", "nosuch", code=1)[1])
        self.group("reset", group, "--to-latest", "--topic", f"{topic}:77", code=1)

    def test_who_runs_keeps_its_offsets(self):
        topic, group = self.topic(2, records=2), self.name("group")
        self.commit(group, {(topic, 0): 1})
        member = self.join(group, topic, [0])
        self.assertIn("its offsets can be set only while it has no members",
                      self.group("reset", group, "--to-latest", "--topic", topic, "--execute", code=1)[1])
        self.assertIn("non empty group", self.group("delete", group, code=1)[1])
        self.assertIn("subscribed", self.group("delete-offsets", group, "--topic", topic, code=1)[1])
        self.assertEqual(self.offsets(group), {(topic, 0): 1})
        self.assertIn(f"removed {member}", self.group("remove-members", group, "--member", member)[0])
        self.assertIn("has no members", self.group("remove-members", group, "--all-members")[0])
        self.group("reset", group, "--to-latest", "--topic", topic, "--execute")
        self.assertIn(f"deleted group {group}", self.group("delete", group)[0])
        self.assertIn("does not exist", self.group("describe", group, code=1)[1])
        self.assertIn("does not exist", self.group("delete", group, code=1)[1])

    def test_members_leave_by_their_instance(self):
        topic, group = self.topic(), self.name("group")
        self.join(group, topic, [0], instance="w1")
        self.assertIn("unknown member id", self.group("remove-members", group, "--instance", "w2", code=1)[1])
        self.assertIn("removed w1", self.group("remove-members", group, "--all-members")[0])
        self.assertEqual(self.objects("state", group)[0]["members"], 0)

    def test_files_of_offsets_come_back(self):
        topic, one, two = self.topic(2, records=5), self.name("one"), self.name("two")
        self.commit(one, {(topic, 0): 1, (topic, 1): 2})
        self.commit(two, {(topic, 0): 3})
        file = self.group("export", one)[0]
        self.assertEqual(file, f"{topic},0,1\n{topic},1,2\n")
        self.assertEqual(self.group("reset", one, "--to-current", "--all-topics", "--export")[0], file)
        both = self.group("export", one, two)[0]
        self.assertEqual(both, f"{one},{topic},0,1\n{one},{topic},1,2\n{two},{topic},0,3\n")
        self.group("reset", one, two, "--to-latest", "--all-topics", "--execute")
        self.group("import", "-", "--execute", data=both.encode())
        self.assertEqual((self.offsets(one), self.offsets(two)), ({(topic, 0): 1, (topic, 1): 2}, {(topic, 0): 3}))
        self.group("reset", one, "--from-file", "-", "--execute", data=f"{topic},1,5\r\n\r\n".encode())
        self.assertEqual(self.offsets(one), {(topic, 0): 1, (topic, 1): 5})
        self.assertIn("-:2: not [GROUP,]TOPIC", self.group("import", "-", one, data=f"{topic},1,5\nrubbish\n".encode(), code=1)[1])
        self.assertIn("whose is it?", self.group("import", "-", data=f"{topic},1,5\n".encode(), code=1)[1])

    def test_wrong_use_is_told(self):
        for arguments, words in ((("describe",), "which group?"), (("reset", "g", "--topic", "t"), "where to?"),
                                 (("reset", "g", "--to-latest"), "--topic TOPIC"), (("reset", "g", "--to-latest", "--to-earliest", "--all-topics"), "one way"),
                                 (("reset", "g", "--to-datetime", "yesterday", "--all-topics"), "YYYY-MM-DD"),
                                 (("reset", "g", "--by-duration", "1h", "--all-topics"), "PnDTnHnMnS"),
                                 (("reset", "g", "--to-latest", "--topic", "t:x"), "TOPIC:0,1,2"),
                                 (("describe", "g", "--members", "--state"), "one of"), (("describe", "g", "--all-groups"), "--all-groups, or"),
                                 (("remove-members", "g"), "--member and --instance"), (("list", "g"), "takes no group"),
                                 (("delete-offsets", "g"), "--topic"), (("list", "--to-latest"), "no such option")):
            with self.subTest(arguments=arguments):
                self.assertIn(words, self.group(*arguments, code=2)[1])
        self.assertIn("does not exist", self.group("describe", "nosuch", code=1)[1])


class OnMoldau(Groups, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.metrics = f"127.0.0.1:{kafka.free_port()}"
        cls.broker = moldau.Broker({"node.id": 1, "group.initial.rebalance.delay.ms": 0, "metrics.listener": cls.metrics})
        cls.bootstrap = f"127.0.0.1:{cls.broker.port}"
        cls.wait_for_coordinator()

    @classmethod
    def tearDownClass(cls):
        cls.broker.end()

    def explain(self, *groups, code=0):
        return self.cli("group", "explain", *groups, "--metrics-server", self.metrics, "--format", "json", code=code)

    def values(self, group):
        """What /metrics shows of a group: {(name, topic, partition): value}."""
        with urllib.request.urlopen(f"http://{self.metrics}/metrics", timeout=SECONDS) as page:
            text = page.read().decode()
        found = {}
        for name, labels, value in re.findall(r"^(kafka_consumergroup_\w+)\{([^}]*)\} (\S+)$", text, re.M):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            if labels["consumergroup"] == group:
                found[name[len("kafka_consumergroup_"):], labels.get("topic"), labels.get("partition")] = int(value)
        return found, text

    def test_metrics_have_the_names_of_kafka_exporter(self):
        topic, group = self.topic(2, records=10), self.name("seen")
        self.commit(group, {(topic, 0): 4, (topic, 1): 30})
        self.join(group, topic, [0])
        found, text = self.values(group)
        self.assertEqual(found, {
            ("members", None, None): 1, ("current_offset", topic, "0"): 4, ("current_offset", topic, "1"): 30, ("current_offset_sum", topic, None): 34,
            ("lag", topic, "0"): 6, ("lag", topic, "1"): 0, ("lag_sum", topic, None): 6})
        self.assertRegex(text, r'(?m)^moldau_groups\{state="Stable"\} [1-9]')
        self.assertRegex(text, r"(?m)^moldau_group_commits_total [1-9]")
        self.assertRegex(text, r"(?m)^moldau_groups_left_out 0$")

    def test_explain_tells_who_caused_the_last_rebalances_and_why(self):
        topic, group = self.topic(), self.name('odd name/%"ü\u2028')
        member = self.join(group, topic, [0], instance="w1")
        self.group("remove-members", group, "--instance", "w1", "--reason", 'to "see" it')
        told = json.loads(self.explain(group)[0])
        self.assertEqual((told["group"], told["type"], told["state"], told["protocolType"], told["members"]), (group, "classic", "Empty", "consumer", []))
        left, joined = told["rebalances"]
        self.assertEqual((joined["cause"], joined["memberId"], joined["membersBefore"], joined["membersAfter"]), ("a member joined", member, 0, 1))
        self.assertEqual((left["cause"], left["memberId"], left["membersBefore"], left["membersAfter"]), ("a member left", member, 1, 0))
        self.assertIn('to "see" it', left["reason"])
        self.assertTrue(joined["beganMs"] <= left["beganMs"] <= told["nowMs"] and joined["tookMs"] >= 0, told)
        self.join(group, topic, [0])
        words = self.cli("group", "explain", group, "--metrics-server", self.metrics)[0]
        self.assertIn(f"{group}: Stable for", words)
        self.assertIn("0 -> 1", words)
        self.assertIn("nosuch: there is no such group", self.explain("nosuch", group, code=1)[1])
        self.assertIn("--metrics-server wants HOST:PORT", self.cli("group", "explain", "g", "--metrics-server", "here", code=2)[1])


@unittest.skipIf(kafka.missing(), kafka.missing() or "")
class OnKafka(Groups, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = kafka.Kafka({"group.initial.rebalance.delay.ms": 0}).start()
        cls.bootstrap = cls.broker.address
        cls.wait_for_coordinator()

    @classmethod
    def tearDownClass(cls):
        cls.broker.stop()
        cls.broker.close()


if __name__ == "__main__":
    moldau.main()
