"""Groups and their committed offsets by raw requests: what a coordinator keeps over a crash, its topic, who waits for whom, and what ends."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import moldau  # noqa: E402
import wire  # noqa: E402
from wire_groups import REBALANCE, Member, again, commit, committed, coordinator  # noqa: E402

SETTINGS = {"node.id": 1, "group.initial.rebalance.delay.ms": 0, "offsets.topic.num.partitions": 8}
OFFSETS = "__consumer_offsets"


def broker(**more):
    return moldau.Broker({**SETTINGS, **more})


def topic_of(c, name):
    return next((t for t in c.ask("Metadata", 12, {"Topics": None})["Topics"] if t["Name"] == name), None)


def configs(c, name):
    answer = c.ask("DescribeConfigs", 4, {"Resources": [{"ResourceType": 2, "ResourceName": name, "ConfigurationKeys": None}]})
    return {e["Name"]: e["Value"] for e in answer["Results"][0]["Configs"] if e["ConfigSource"] == 1}


def state_of(c, group):
    described = again(lambda: c.ask("DescribeGroups", 5, {"Groups": [group]})["Groups"][0], lambda g: g["ErrorCode"])
    return described["GroupState"], len(described["Members"])


class Topic(unittest.TestCase):
    def test_it_is_made_when_somebody_first_asks_for_a_coordinator(self):
        with broker() as b, b.connect() as c:
            self.assertIsNone(topic_of(c, OFFSETS))
            found = c.ask("FindCoordinator", 3, {"Key": "g", "KeyType": 0})
            self.assertEqual((found["ErrorCode"], found["ErrorMessage"], found["NodeId"], found["Host"], found["Port"]),
                             (0, "NONE", 1, "127.0.0.1", b.port))
            made = topic_of(c, OFFSETS)
            self.assertTrue(made["IsInternal"])
            self.assertEqual(len(made["Partitions"]), 8)
            self.assertEqual(configs(c, OFFSETS), {"cleanup.policy": "compact", "compression.type": "producer", "segment.bytes": "104857600"})

    def test_every_version_of_the_question(self):
        with broker() as b, b.connect() as c:
            self.assertEqual(c.ask("FindCoordinator", 0, {"Key": ""}), {"ErrorCode": 0, "NodeId": 1, "Host": "127.0.0.1", "Port": b.port})
            for version in (4, 5, 6):
                many = c.ask("FindCoordinator", version, {"KeyType": 0, "CoordinatorKeys": ["", "a", "a"]})["Coordinators"]
                self.assertEqual([(k["Key"], k["ErrorCode"], k["ErrorMessage"], k["Port"]) for k in many],
                                 [(key, 0, "", b.port) for key in ("", "a", "a")])
                self.assertEqual(c.ask("FindCoordinator", version, {"KeyType": 0, "CoordinatorKeys": []})["Coordinators"], [])

    def test_only_kafkas_own_tools_write_to_it(self):
        batch = wire.batch([b"v"], keys=[b"k"])
        with broker() as b, b.connect() as c:
            coordinator(c, "g")
            answer = c.ask("Produce", 8, wire.produce(OFFSETS, [0], batch))["Responses"][0]["PartitionResponses"][0]
            self.assertEqual((answer["ErrorCode"], answer["BaseOffset"], answer["LogStartOffset"]), (17, -1, -1))
            answer = c.ask("Produce", 8, wire.produce(OFFSETS, [0], batch), client="__admin_client")
            self.assertEqual(wire.produce_errors(answer), [0])

    def test_when_it_is_deleted_groups_begin_anew(self):
        with broker() as b, b.connect() as c, Member(b, "g") as m:
            moldau.create_topic(c, "t")
            self.assertEqual(commit(c, "other", "t", {0: 7}), {0: 0})
            m.join()
            m.sync({m.member_id: b"x"})
            self.assertEqual(c.ask("DeleteTopics", 5, {"TimeoutMs": 10000, "TopicNames": [OFFSETS]})["Responses"][0]["ErrorCode"], 0)
            self.assertEqual(m.heartbeat(), 16)
            self.assertEqual(c.ask("ListGroups", 4)["Groups"], [])
            coordinator(c, "other")
            self.assertEqual(committed(c, "other"), {})
            moldau.wait_for(lambda: m.heartbeat() == 25)  # while it loads all is well


class Offsets(unittest.TestCase):
    def test_what_was_committed_is_there_after_a_crash(self):
        with broker() as b:
            with b.connect() as c:
                moldau.create_topic(c, "t", 3)
                coordinator(c, "g")
                for group in range(40):
                    self.assertEqual(commit(c, f"g{group}", "t", {0: group, 2: group + 1}), {0: 0, 2: 0})
            b.kill()
            b.start()
            with b.connect() as c:
                for group in range(40):
                    self.assertEqual(committed(c, f"g{group}"), {("t", 0): group, ("t", 2): group + 1})

    def test_many_groups_in_one_request(self):
        groups = [f"g{i}" for i in range(50)]
        with broker() as b, b.connect() as c:
            moldau.create_topic(c, "t")
            coordinator(c, "g")
            for i, group in enumerate(groups):
                self.assertEqual(commit(c, group, "t", {0: i}), {0: 0})
            answer = c.ask("OffsetFetch", 9, {"Groups": [{"GroupId": g, "Topics": [{"Name": "t", "PartitionIndexes": [0]}]} for g in groups]})
            self.assertEqual([(g["GroupId"], g["Topics"][0]["Partitions"][0]["CommittedOffset"]) for g in answer["Groups"]],
                             [(g, i) for i, g in enumerate(groups)])
            listed = c.ask("ListGroups", 5)
            self.assertEqual((listed["ErrorCode"], sorted(g["GroupId"] for g in listed["Groups"])), (0, sorted(groups)))
            described = c.ask("DescribeGroups", 6, {"Groups": groups + ["none"], "IncludeAuthorizedOperations": True})["Groups"]
            self.assertEqual([(d["GroupId"], d["ErrorCode"], d["GroupState"], d["AuthorizedOperations"]) for d in described],
                             [(g, 0, "Empty", 3400) for g in groups] + [("none", 69, "Dead", -2147483648)])
            deleted = c.ask("DeleteGroups", 2, {"GroupsNames": groups[:25] + ["none", groups[0]]})["Results"]
            self.assertEqual([(d["GroupId"], d["ErrorCode"]) for d in deleted], [(g, 0) for g in groups[:25]] + [("none", 69)])
            self.assertEqual(len(c.ask("ListGroups", 0)["Groups"]), 25)

    def test_what_is_not_there_is_refused_first_in_the_answer(self):
        def part(index):
            return {"PartitionIndex": index, "CommittedOffset": 5, "CommittedMetadata": ""}
        with broker() as b, b.connect() as c:
            topic_id = moldau.create_topic(c, "t", 2)
            moldau.create_topic(c, "u")
            coordinator(c, "g")
            commit(c, "g", "t", {0: 1})
            answer = c.ask("OffsetCommit", 8, {"GroupId": "g", "Topics": [
                {"Name": "u", "Partitions": [part(0)]}, {"Name": "t", "Partitions": [part(0), part(7), part(1)]},
                {"Name": "none", "Partitions": [part(1)]}, {"Name": "t", "Partitions": [part(9)]}, {"Name": "u", "Partitions": []}]})
            self.assertEqual([(t["Name"], [(p["PartitionIndex"], p["ErrorCode"]) for p in t["Partitions"]]) for t in answer["Topics"]],
                             [("t", [(7, 3), (9, 3), (0, 0), (1, 0)]), ("none", [(1, 3)]), ("u", [(0, 0)])])
            answer = c.ask("OffsetCommit", 10, {"GroupId": "g", "Topics": [
                {"TopicId": "A" * 22, "Partitions": [part(0)]}, {"TopicId": topic_id, "Partitions": [part(0), part(7)]}]})
            self.assertEqual([(t["TopicId"], [(p["PartitionIndex"], p["ErrorCode"]) for p in t["Partitions"]]) for t in answer["Topics"]],
                             [("A" * 22, [(0, 100)]), (topic_id, [(7, 3), (0, 0)])])
            answer = c.ask("OffsetFetch", 10, {"Groups": [{"GroupId": "g", "Topics": [
                {"TopicId": "A" * 22, "PartitionIndexes": [3]}, {"TopicId": topic_id, "PartitionIndexes": [0, 9]}]}]})["Groups"][0]
            self.assertEqual([(t["TopicId"], [(p["PartitionIndex"], p["CommittedOffset"], p["ErrorCode"]) for p in t["Partitions"]])
                              for t in answer["Topics"]], [(topic_id, [(0, 5, 0), (9, -1, 0)]), ("A" * 22, [(3, -1, 100)])])

    def test_all_versions_of_a_fetch(self):
        with broker() as b, b.connect() as c:
            topic_id = moldau.create_topic(c, "t", 2)
            coordinator(c, "g")
            commit(c, "g", "t", {1: 12})
            for version in range(1, 8):
                answer = c.ask("OffsetFetch", version, {"GroupId": "g", "Topics": [{"Name": "t", "PartitionIndexes": [0, 1]}]})
                self.assertEqual([p["CommittedOffset"] for p in answer["Topics"][0]["Partitions"]], [-1, 12])
                if version >= 2:
                    answer = c.ask("OffsetFetch", version, {"GroupId": "g", "Topics": None})
                    self.assertEqual([(t["Name"], len(t["Partitions"])) for t in answer["Topics"]], [("t", 1)])
            self.assertEqual(c.ask("OffsetFetch", 8, {"Groups": [{"GroupId": "g", "Topics": []}]})["Groups"][0]["Topics"], [])
            answer = c.ask("OffsetFetch", 10, {"Groups": [{"GroupId": "g", "Topics": None}]})["Groups"][0]
            self.assertEqual([t["TopicId"] for t in answer["Topics"]], [topic_id])

    def test_a_topic_that_goes_takes_its_offsets_along(self):
        with broker() as b, b.connect() as c:
            moldau.create_topic(c, "t")
            moldau.create_topic(c, "u")
            coordinator(c, "g")
            commit(c, "g", "t", {0: 1})
            commit(c, "g", "u", {0: 2})
            c.ask("DeleteTopics", 5, {"TimeoutMs": 10000, "TopicNames": ["t"]})
            moldau.wait_for(lambda: committed(c, "g") == {("u", 0): 2})
            b.kill()
            b.start()
            with b.connect() as again_c:
                self.assertEqual(committed(again_c, "g"), {("u", 0): 2})


class Members(unittest.TestCase):
    def test_two_share_what_the_leader_says(self):
        with broker() as b, Member(b, "g") as one, Member(b, "g") as two, b.connect() as c:
            first = one.join()
            self.assertEqual((first["ErrorCode"], first["GenerationId"], first["Leader"]), (0, 1, one.member_id))
            one.sync({one.member_id: b"everything"})
            self.assertEqual(one.heartbeat(), 0)
            self.assertEqual(state_of(c, "g"), ("Stable", 1))
            two.send_join()
            moldau.wait_for(lambda: one.heartbeat() == REBALANCE)
            one.join()
            self.assertEqual(two.receive_join()["ErrorCode"], 0)
            self.assertEqual((one.generation, two.generation), (2, 2))
            leader, other = (one, two) if one.members else (two, one)
            self.assertEqual({m["MemberId"] for m in leader.members}, {one.member_id, two.member_id})
            self.assertEqual(other.members, [])
            other.send_sync()
            self.assertEqual(leader.sync({one.member_id: b"1", two.member_id: b"2"})["Assignment"], b"1" if leader is one else b"2")
            self.assertEqual(other.receive_sync()["Assignment"], b"1" if other is one else b"2")
            self.assertEqual(commit(c, "g", "t", {0: 1}, GenerationIdOrMemberEpoch=2, MemberId=two.member_id), {0: 3})
            two.leave()
            moldau.wait_for(lambda: one.heartbeat() == REBALANCE)
            self.assertEqual(one.join()["GenerationId"], 3)

    def test_who_is_gone_while_it_waits_does_not_hold_the_others(self):
        with broker(**{"group.min.session.timeout.ms": 300}) as b, Member(b, "g", session_ms=600, rebalance_ms=800) as one, b.connect() as c:
            one.join()
            one.sync({one.member_id: b"x"})
            with Member(b, "g", session_ms=600, rebalance_ms=800) as two:
                two.send_join()
                moldau.wait_for(lambda: one.heartbeat() == REBALANCE)
            self.assertEqual(one.join()["ErrorCode"], 0)
            one.sync({one.member_id: b"x"})

            def alone():
                error = one.heartbeat()
                if error == REBALANCE:
                    one.join()
                    one.sync({one.member_id: b"x"})
                return state_of(c, "g") == ("Stable", 1)
            moldau.wait_for(alone, 30)

    def test_clients_that_go_while_they_wait_hold_no_memory(self):
        large = [{"Name": "range", "Metadata": b"m" * 200000}]
        with broker(**{"memory.limit.bytes": 33554432}) as b, Member(b, "g", rebalance_ms=600000) as one:
            one.join()
            one.sync({one.member_id: b"x"})
            for _ in range(100):  # twice what the broker gives to all requests at once
                with Member(b, "g", session_ms=100000, rebalance_ms=600000, version=3) as gone:
                    gone.connection.send(wire.request("JoinGroup", 3, {**gone.join_body(), "Protocols": large}))
            with b.connect() as c:
                moldau.create_topic(c, "t")
                self.assertEqual(wire.produce_errors(c.ask("Produce", 8, wire.produce("t", [0], wire.batch([b"v" * 200000])))), [0])
                self.assertEqual(state_of(c, "g")[0], "PreparingRebalance")

    def test_those_that_wait_give_way_when_memory_is_short(self):
        large = [{"Name": "range", "Metadata": b"m" * 200000}]
        with broker(**{"memory.limit.bytes": 33554432}) as b, Member(b, "g", rebalance_ms=600000) as one:
            one.join()
            one.sync({one.member_id: b"x"})
            waiting = [Member(b, "g", rebalance_ms=600000, version=3) for _ in range(100)]
            for m in waiting:
                m.connection.send(wire.request("JoinGroup", 3, {**m.join_body(), "Protocols": large}))
            answered = [m.receive_join()["ErrorCode"] for m in waiting[:20]]
            self.assertEqual(set(answered), {REBALANCE})  # which clients take as "again"
            for m in waiting:
                m.connection.close()

    def test_a_session_that_ends_ends_the_membership(self):
        with broker(**{"group.min.session.timeout.ms": 100}) as b, Member(b, "g", session_ms=200) as m, b.connect() as c:
            m.join()
            m.sync({m.member_id: b"x"})
            self.assertEqual(m.heartbeat(), 0)
            moldau.wait_for(lambda: state_of(c, "g") == ("Empty", 0))
            self.assertEqual(m.heartbeat(), 25)

    def test_members_are_known_after_a_crash(self):
        with broker() as b:
            with Member(b, "g") as m:
                m.join()
                m.sync({m.member_id: b"mine"})
                b.kill()
                b.start()
                m.connection.close()
                m.connection = b.connect()
                self.assertEqual(again(m.sync, lambda a: a["ErrorCode"])["Assignment"], b"mine")
                self.assertEqual(m.heartbeat(), 0)

    def test_a_clean_stop_tells_who_waits_and_does_not_wait_for_it(self):
        with broker() as b, Member(b, "g") as one, Member(b, "g") as two:
            one.join()
            one.sync({one.member_id: b"x"})
            two.send_join()
            moldau.wait_for(lambda: one.heartbeat() == REBALANCE)
            code, seconds = b.stop()
            self.assertEqual(code, 0)
            self.assertLess(seconds, 10)
            self.assertEqual(two.receive_join()["ErrorCode"], 16)

    def test_one_request_of_a_connection_at_a_time(self):
        with broker() as b, Member(b, "g") as one, Member(b, "g") as two:
            one.join()
            one.sync({one.member_id: b"x"})
            two.send_join()
            two.connection.send(wire.request("ApiVersions", 0, {}, correlation=77))
            moldau.wait_for(lambda: one.heartbeat() == REBALANCE)
            one.leave()
            self.assertEqual(two.receive_join()["ErrorCode"], 0)
            self.assertEqual(two.connection.answer("ApiVersions", 0)[0], 77)


if __name__ == "__main__":
    moldau.main()
