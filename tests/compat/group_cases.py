"""Cases for oracle.py: what the broker itself decides about requests of groups, before and after their coordinator is asked: which topics are
known, the order of an answer, versions, several groups in one request. What groups mean is group_oracle.py's.

Every group here is named o-g...; topics of oracle.py's setup are used: o-a with 3 partitions, o-c with 2.
"""
import wire

NO_ID = "A" * 22
SOME_ID = "AAAAAAAAAAAAAAAAAAABAA"
OFFSETS = "__consumer_offsets"
CONSUMER = {"SessionTimeoutMs": 10000, "ProtocolType": "consumer", "Protocols": [{"Name": "range", "Metadata": b""}]}


def commit(version, group, *topics, **more):
    """Topics as (name, partition ...): each is committed at 5."""
    return ("OffsetCommit", version, {"GroupId": group, **more, "Topics": [
        {"TopicId" if version >= 10 else "Name": name, "Partitions": [
            {"PartitionIndex": p, "CommittedOffset": 5, "CommittedMetadata": "m"} for p in partitions]} for name, *partitions in topics]})


def fetch(version, group, *topics, **more):
    """Topics as (name, partition ...), or None for all."""
    asked = None if topics == (None,) else [
        {"TopicId" if version >= 10 else "Name": name, "PartitionIndexes": partitions} for name, *partitions in topics]
    if version < 8:
        return ("OffsetFetch", version, {"GroupId": group, "Topics": asked, **more})
    return ("OffsetFetch", version, {"Groups": [{"GroupId": group, "Topics": asked}], **more})


def forget(group, *topics):
    return ("OffsetDelete", 0, {"GroupId": group, "Topics": [
        {"Name": name, "Partitions": [{"PartitionIndex": p} for p in partitions]} for name, *partitions in topics]})


def find(version, *keys, kind=0):
    if version < 4:
        return ("FindCoordinator", version, {"Key": keys[0], **({"KeyType": kind} if version else {})})
    return ("FindCoordinator", version, {"CoordinatorKeys": list(keys), "KeyType": kind})


# Once a coordinator is there, and its partition is loaded.
READY = [("until", *find(4, "o-g", "o-g1", "o-g2", ""), lambda b: not any(k["ErrorCode"] for k in b["Coordinators"])),
         *[("until", *commit(8, g, ("o-a", 0)), lambda b: b["Topics"][0]["Partitions"][0]["ErrorCode"] == 0) for g in ("o-g", "o-g1", "")],
         ("until", "ListGroups", 4, {}, lambda b: b["ErrorCode"] == 0)]

CASES = {
    "find coordinator: groups": READY + [find(v, "o-g") for v in range(4)] + [find(v, "o-g", "", "o-g") for v in (4, 5, 6)] + [
        find(4), ("Metadata", 12, {"Topics": [{"Name": OFFSETS}]}),
        ("DescribeConfigs", 4, {"Resources": [{"ResourceType": 2, "ResourceName": OFFSETS, "ConfigurationKeys": [
            "cleanup.policy", "compression.type", "segment.bytes", "retention.ms"]}]})],
    "produce to an internal topic": [("Produce", v, wire.produce(OFFSETS, [0, 77], wire.batch([b"v"], keys=[b"k"]))) for v in (3, 8, 12)] + [
        ("Produce", 8, wire.produce(OFFSETS, [0], wire.batch([b"v"], keys=[b"k"]), acks=2))],
    "offset commit, all versions": READY + [commit(v, "o-g", ("o-a", 0, 1)) for v in range(2, 10)],
    "offset commit: what is not there": READY + [
        commit(8, "o-g", ("none", 0), ("o-a", 0, 7, 1), ("none2", 1)), commit(8, "o-g", ("o-a", 7, 0), ("o-c", 0)),
        commit(8, "o-g", ("o-a", 7), ("none", 0), ("o-a", 0)), commit(8, "o-g", ("o-c", 0), ("o-a", 0, 9)),
        commit(8, "o-g", ("o-a", 0), ("o-a", 1), ("o-a", 0)), commit(8, "o-g"), commit(8, "o-g", ("o-a",)), commit(8, "o-g", ("none",)), commit(8, "o-g", ("none",), ("o-a", 0)), commit(10, "o-g", (SOME_ID,)),
        commit(8, "o-g", ("o-a", -1)), commit(10, "o-g", (SOME_ID, 0), (NO_ID, 0, 1)),
        commit(8, "o-g", ("o-a", 0), ("none", 0), GenerationIdOrMemberEpoch=5, MemberId="x"),
        commit(8, "o-g", ("none", 0), GenerationIdOrMemberEpoch=5, MemberId="x")],
    "offset commit: the group without a name": READY + [commit(8, "", ("o-a", 0)), fetch(8, "", ("o-a", 0)), fetch(2, "", None)],
    "offset fetch, all versions": READY + [commit(8, "o-g1", ("o-a", 0, 2))] + [
        fetch(v, "o-g1", ("o-a", 0, 1, 7), ("none", 0), ("o-a", 0)) for v in range(1, 10)] + [fetch(v, "o-g1", None) for v in range(2, 10)],
    "offset fetch: groups that are not, nothing asked": READY + [fetch(v, "o-none", ("o-a", 0)) for v in (1, 2, 7, 8)] + [
        fetch(v, "o-none", None) for v in (2, 7, 8)] + [fetch(v, "o-g1") for v in (1, 2, 7, 8)] + [fetch(8, "o-g1", ("none",))],
    "offset fetch: several groups": READY + [("OffsetFetch", v, {"Groups": [
        {"GroupId": "o-g1", "Topics": None}, {"GroupId": "o-none", "Topics": [{"Name": "o-a", "PartitionIndexes": [0]}]},
        {"GroupId": "o-g1", "Topics": []}, {"GroupId": "o-g1", "Topics": None}]}) for v in (8, 9)] + [("OffsetFetch", 8, {"Groups": []})],
    "offset fetch: unknown ids": READY + [fetch(10, "o-g1", (SOME_ID, 0), (NO_ID, 0, 3)), fetch(10, "o-none", (SOME_ID, 0))],
    "offset fetch: members that are not": READY + [("OffsetFetch", 9, {"Groups": [
        {"GroupId": "o-g1", "MemberId": "x", "MemberEpoch": 4, "Topics": None}]})],
    "offset delete": READY + [commit(8, "o-g1", ("o-a", 0, 1, 2), ("o-c", 0)), forget("o-g1", ("o-a", 0, 7), ("none", 0), ("o-c", 0)),
                              fetch(8, "o-g1", None), forget("o-g1", ("none", 0)), forget("o-none", ("none", 0)), forget("o-none", ("o-a", 0)),
                              forget("o-none"), forget("", ("o-a", 0)), forget("o-g1", ("o-a", 1), ("o-a", 1)), forget("o-g1", ("o-a", 9), ("o-a", 1, 2)),
                              forget("o-g1", ("none",)), forget("o-g1", ("o-a",)), forget("o-g1")],
    "list groups": READY + [("ListGroups", v, {}) for v in range(6)] + [
        ("ListGroups", 4, {"StatesFilter": s}) for s in (["empty"], ["Stable"], ["nonsense"], ["", "EMPTY"])] + [
        ("ListGroups", 5, {"TypesFilter": t}) for t in (["Classic"], ["consumer"], ["nonsense"])],
    "describe groups": READY + [("DescribeGroups", v, {"Groups": ["o-g1", "o-none", "o-g1"], **({"IncludeAuthorizedOperations": o} if v > 2 else {})})
                                for v in range(7) for o in ((False, True) if v > 2 else (False,))] + [("DescribeGroups", 5, {"Groups": []})],
    "delete groups": READY + [commit(8, "o-g2", ("o-a", 0))] + [("DeleteGroups", v, {"GroupsNames": ["o-none", "o-g2", "o-none"]}) for v in range(3)] + [
        ("DeleteGroups", 2, {"GroupsNames": []}), fetch(8, "o-g2", None)],
    "join group: refused at the door": READY + [
        ("JoinGroup", v, {"GroupId": g, "MemberId": "mm", **CONSUMER, "SessionTimeoutMs": s}) for v in range(10) for g, s in (
            ("", 10000), ("o-gj", 10), ("o-gj", 100000000))] + [("JoinGroup", v, {"GroupId": "o-gj", "MemberId": "mm", **CONSUMER}) for v in range(10)],
    "sync group: refused at the door": READY + [
        ("SyncGroup", v, {"GroupId": g, "GenerationId": 1, "MemberId": "mm"}) for v in range(6) for g in ("", "o-none")] + [
        ("SyncGroup", 5, {"GroupId": g, "GenerationId": 1, "MemberId": "mm", "ProtocolType": t, "ProtocolName": n}) for g, t, n in (
            ("", "consumer", "range"), ("o-none", "consumer", None), ("o-none", None, "range"), ("o-none", "consumer", "range"))],
    "heartbeat and leave: refused at the door": READY + [
        ("Heartbeat", v, {"GroupId": g, "GenerationId": 1, "MemberId": "mm"}) for v in range(5) for g in ("", "o-none")] + [
        ("LeaveGroup", v, {"GroupId": g, **({"MemberId": "mm"} if v < 3 else {"Members": [{"MemberId": "mm"}, {"MemberId": "", "GroupInstanceId": "i"}]})})
        for v in range(6) for g in ("", "o-none")] + [("LeaveGroup", 4, {"GroupId": "o-none", "Members": []})],
}
