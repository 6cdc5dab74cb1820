#!/usr/bin/env python3
"""Groups of the consumer protocol (KIP-848) by raw requests: who is given what when, epochs, names, patterns, what a group sets, crashes, the feature that
allows it. With other people's clients: group_story_test.py."""
import os
import sys
import unittest
import uuid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import moldau  # noqa: E402
from wire_groups import LATER, again, coordinator  # noqa: E402

SETTINGS = {"group.consumer.assignment.interval.ms": 0, "group.consumer.min.session.timeout.ms": 200, "group.consumer.min.heartbeat.interval.ms": 100,
            "group.initial.rebalance.delay.ms": 0, "offsets.topic.num.partitions": 4}
UNKNOWN_MEMBER, UNSUPPORTED_VERSION, NOT_EMPTY, NOT_FOUND, FENCED, STALE, UNRELEASED_NAME, BAD_PATTERN, UNSUPPORTED_ASSIGNOR = \
    25, 35, 68, 69, 110, 113, 111, 128, 112
GROUP_RESOURCE, SET = 32, 0


class Member:
    """One that owns what it is given, and gives up at once what is taken from it."""

    def __init__(self, connection, group="g", name=None, **first):
        self.connection, self.group, self.name, self.id = connection, group, name, str(uuid.uuid4())
        self.epoch, self.owned, self.first = 0, {}, first

    def beat(self, **more):
        body = {"GroupId": self.group, "MemberId": self.id, "MemberEpoch": self.epoch, "InstanceId": self.name, **more}
        answer = again(lambda: self.connection.ask("ConsumerGroupHeartbeat", 1, body), lambda a: a["ErrorCode"])
        if not answer["ErrorCode"]:
            self.epoch = answer["MemberEpoch"]
            if answer["Assignment"] is not None:
                self.owned = {t["TopicId"]: sorted(t["Partitions"]) for t in answer["Assignment"]["TopicPartitions"]}
        return answer

    def join(self, **more):
        """It says all that there is to say."""
        self.epoch = 0
        return self.beat(**{"RebalanceTimeoutMs": 60000, "TopicPartitions": [], **self.first, **more})

    def own(self):
        return self.beat(TopicPartitions=[{"TopicId": t, "Partitions": p} for t, p in self.owned.items()])

    def partitions(self):
        return sorted(p for owned in self.owned.values() for p in owned)

    def leave(self, epoch=-1):
        return self.beat(MemberEpoch=epoch)["ErrorCode"]


def describe(c, group="g"):
    return again(lambda: c.ask("ConsumerGroupDescribe", 1, {"GroupIds": [group]})["Groups"][0], lambda g: g["ErrorCode"])


def commit(c, member, topic, epoch):
    answer = again(lambda: c.ask("OffsetCommit", 9, {
        "GroupId": "g", "GenerationIdOrMemberEpoch": epoch, "MemberId": member.id,
        "Topics": [{"Name": topic, "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 7, "CommittedMetadata": ""}]}]}),
        lambda a: a["Topics"][0]["Partitions"][0]["ErrorCode"])
    return answer["Topics"][0]["Partitions"][0]["ErrorCode"]


def set_feature(c, level):
    answer = c.ask("UpdateFeatures", 1, {"timeoutMs": 10000, "FeatureUpdates": [
        {"Feature": "group.version", "MaxVersionLevel": level, "UpgradeType": 1 if level else 2}]})
    return answer["ErrorCode"] or answer["Results"][0]["ErrorCode"]


def settle(*members):
    def even():
        answers = [m.own() for m in members]
        return not any(a["ErrorCode"] or a["Assignment"] is not None for a in answers) and len({m.epoch for m in members}) == 1
    moldau.wait_for(even, 20, "a group at rest")


class ConsumerGroups(unittest.TestCase):
    def setUp(self):
        self.broker = moldau.Broker(SETTINGS)
        self.addCleanup(self.broker.end)
        self.connect()
        self.topic = moldau.create_topic(self.c, "t", 4)

    def connect(self):
        self.c = self.broker.connect()
        self.addCleanup(self.c.close)
        coordinator(self.c, "g")

    def member(self, **first):
        return Member(self.c, **({"SubscribedTopicNames": ["t"]} | first))

    def test_a_new_broker_offers_it(self):
        offered = self.c.ask("ApiVersions", 4, {"ClientSoftwareName": "test", "ClientSoftwareVersion": "1"})
        versions = {k["ApiKey"]: (k["MinVersion"], k["MaxVersion"]) for k in offered["ApiKeys"]}
        self.assertEqual((versions[68], versions[69]), ((0, 1), (0, 1)))
        self.assertEqual({f["Name"]: f["MaxVersionLevel"] for f in offered["FinalizedFeatures"]}["group.version"], 1)

    def test_a_partition_is_given_when_it_was_given_up(self):
        one, two = self.member(), self.member()
        self.assertEqual(one.join()["ErrorCode"], 0)
        self.assertEqual(one.partitions(), [0, 1, 2, 3])
        self.assertEqual(two.join()["ErrorCode"], 0)
        self.assertEqual(two.partitions(), [])
        had, before = one.owned, one.epoch
        asked = one.beat()
        self.assertEqual((asked["MemberEpoch"], len(one.partitions())), (before, 2))
        self.assertIsNone(two.beat()["Assignment"])
        self.assertEqual(describe(self.c)["GroupState"], "Reconciling")
        one.own()
        two.beat()
        self.assertEqual(sorted(one.partitions() + two.partitions()), [0, 1, 2, 3])
        self.assertTrue(set(one.partitions()) < set(had[self.topic]))
        settle(one, two)
        group = describe(self.c)
        self.assertEqual((group["GroupState"], group["GroupEpoch"], group["AssignmentEpoch"], group["AssignorName"]), ("Stable", before + 1, before + 1, "uniform"))
        self.assertEqual({m["MemberId"]: sorted(p for t in m["Assignment"]["TopicPartitions"] for p in t["Partitions"]) for m in group["Members"]},
                         {one.id: one.partitions(), two.id: two.partitions()})

    def test_epochs_are_looked_at(self):
        one = self.member()
        one.join()
        two = self.member()
        two.join()
        settle(one, two)
        self.assertEqual(commit(self.c, one, "t", one.epoch), 0)
        self.assertEqual(commit(self.c, one, "t", one.epoch + 1), STALE)
        self.assertEqual(one.beat(MemberEpoch=one.epoch + 1)["ErrorCode"], FENCED)
        self.assertEqual(one.beat(MemberId=str(uuid.uuid4()))["ErrorCode"], UNKNOWN_MEMBER)
        self.assertEqual(self.member().join(ServerAssignor="nosuch")["ErrorCode"], UNSUPPORTED_ASSIGNOR)
        self.assertEqual(one.leave(), 0)
        self.assertEqual(one.beat()["ErrorCode"], UNKNOWN_MEMBER)

    def test_a_name_waits_for_who_comes_back(self):
        one, two = self.member(name="n"), self.member(name="n")
        one.join()
        one_epoch = one.epoch
        self.assertEqual(two.join()["ErrorCode"], UNRELEASED_NAME)
        self.assertEqual(one.leave(-2), 0)
        self.assertEqual(two.join()["ErrorCode"], 0)
        self.assertEqual((two.epoch, two.partitions()), (one_epoch, [0, 1, 2, 3]))
        self.assertEqual([m["MemberId"] for m in describe(self.c)["Members"]], [two.id])

    def test_a_pattern_sees_topics_that_come(self):
        one = Member(self.c, SubscribedTopicRegex="log-.*")
        self.assertEqual(Member(self.c, SubscribedTopicRegex="log-(").join()["ErrorCode"], BAD_PATTERN)
        one.join()
        self.assertEqual(one.owned, {})
        made = moldau.create_topic(self.c, "log-a", 2)
        moldau.wait_for(lambda: (one.own(), one.owned)[1] == {made: [0, 1]}, 20, "the new topic")

    def test_a_silent_member_is_expelled_by_what_the_group_sets(self):
        one, two = self.member(), self.member()
        one.join()
        two.join()
        settle(one, two)
        wanted = (("consumer.session.timeout.ms", "600"), ("consumer.heartbeat.interval.ms", "200"))
        answer = self.c.ask("IncrementalAlterConfigs", 1, {"Resources": [{"ResourceType": GROUP_RESOURCE, "ResourceName": "g", "Configs": [
            {"Name": name, "ConfigOperation": SET, "Value": value} for name, value in wanted]}]})
        self.assertEqual(answer["Responses"][0]["ErrorCode"], 0, answer)
        two.beat()
        moldau.wait_for(lambda: one.own()["HeartbeatIntervalMs"] == 200, 20, "the group's interval")
        moldau.wait_for(lambda: (one.own(), len(one.partitions()))[1] == 4, 20, "the partitions of who is silent")
        self.assertEqual(two.beat()["ErrorCode"], UNKNOWN_MEMBER)

    def test_it_outlives_a_crash(self):
        one, two = self.member(), self.member()
        one.join()
        two.join()
        settle(one, two)
        before = (one.epoch, one.partitions())
        self.broker.kill()
        self.broker.start()
        self.connect()
        one.connection = two.connection = self.c
        settle(one, two)
        self.assertEqual((one.epoch, one.partitions()), before)

    def test_it_is_a_group_like_others(self):
        one = self.member()
        one.join()
        listed = self.c.ask("ListGroups", 5, {"StatesFilter": [], "TypesFilter": ["consumer"]})["Groups"]
        self.assertEqual([(g["GroupId"], g["ProtocolType"], g["GroupState"], g["GroupType"]) for g in listed], [("g", "consumer", "Stable", "consumer")])
        self.assertEqual(self.c.ask("DescribeGroups", 6, {"Groups": ["g"]})["Groups"][0]["ErrorCode"], NOT_FOUND)
        self.assertEqual(self.c.ask("DeleteGroups", 2, {"GroupsNames": ["g"]})["Results"][0]["ErrorCode"], NOT_EMPTY)
        one.leave()
        self.assertEqual(self.c.ask("DeleteGroups", 2, {"GroupsNames": ["g"]})["Results"][0]["ErrorCode"], 0)
        self.assertEqual(describe(self.c)["ErrorCode"], NOT_FOUND)

    def test_the_feature_allows_it(self):
        self.assertEqual(set_feature(self.c, 0), 0)
        body = {"GroupId": "g", "MemberId": "m", "MemberEpoch": 0, "RebalanceTimeoutMs": 1000, "SubscribedTopicNames": ["t"], "TopicPartitions": []}

        def error():
            code = self.c.ask("ConsumerGroupHeartbeat", 1, body)["ErrorCode"]
            return None if code in LATER else (code,)
        moldau.wait_for(lambda: error() == (UNSUPPORTED_VERSION,), 20, "an end of it")
        self.assertEqual(set_feature(self.c, 1), 0)
        moldau.wait_for(lambda: error() == (0,), 20, "a beginning")


if __name__ == "__main__":
    moldau.main()
