"""Members of classic groups by raw requests, step by step: what is asked when, and what was answered to whom.

    with groups.Member(broker, "g") as m:
        m.join(); m.sync({m.member_id: b"all"}); m.heartbeat()
"""
import time

import moldau
import wire

PROTOCOLS = [{"Name": "range", "Metadata": b"r"}]
LOADING, NOT_AVAILABLE, NOT_COORDINATOR, REBALANCE, MEMBER_ID_REQUIRED = 14, 15, 16, 27, 79
LATER = (LOADING, NOT_AVAILABLE, NOT_COORDINATOR)


def coordinator(connection, group, version=3, kind=0, seconds=20):
    """Asks until somebody coordinates the group: the answer."""
    body = {"Key": group, "KeyType": kind} if version > 0 else {"Key": group}
    return moldau.wait_for(lambda: (lambda b: None if b["ErrorCode"] in LATER else b)(connection.ask("FindCoordinator", version, body)),
                           seconds, "a coordinator")


def again(ask, error, seconds=20):
    """Asks until the error is none of those that mean later."""
    def once():
        answer = ask()
        return None if error(answer) in LATER else answer
    return moldau.wait_for(once, seconds, "the coordinator")


def commit(connection, group, topic, offsets, version=8, **more):
    """{partition: offset}; gives {partition: error}."""
    answer = again(lambda: connection.ask("OffsetCommit", version, {"GroupId": group, "Topics": [{"Name": topic, "Partitions": [
        {"PartitionIndex": p, "CommittedOffset": o, "CommittedMetadata": "m"} for p, o in offsets.items()]}], **more}),
        lambda b: b["Topics"][0]["Partitions"][0]["ErrorCode"])
    return {p["PartitionIndex"]: p["ErrorCode"] for t in answer["Topics"] for p in t["Partitions"]}


def committed(connection, group, version=8):
    """{(topic, partition): offset} of all that it has."""
    answer = again(lambda: connection.ask("OffsetFetch", version, {"Groups": [{"GroupId": group, "Topics": None}]})["Groups"][0],
                   lambda g: g["ErrorCode"])
    return {(t["Name"], p["PartitionIndex"]): p["CommittedOffset"] for t in answer["Topics"] for p in t["Partitions"]}


class Member:
    def __init__(self, broker, group, instance=None, session_ms=10000, rebalance_ms=10000, version=9):
        self.connection = broker.connect()
        self.group, self.instance, self.version = group, instance, version
        self.session_ms, self.rebalance_ms = session_ms, rebalance_ms
        self.member_id, self.generation, self.leader, self.members = "", -1, None, []
        self.connection.socket.settimeout(60)
        coordinator(self.connection, group)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def join_body(self):
        return {"GroupId": self.group, "SessionTimeoutMs": self.session_ms, "MemberId": self.member_id, "ProtocolType": "consumer",
                "Protocols": PROTOCOLS, **({"RebalanceTimeoutMs": self.rebalance_ms} if self.version >= 1 else {}),
                **({"GroupInstanceId": self.instance} if self.version >= 5 else {})}

    def send_join(self):
        """Sends the join that waits for others."""

        if self.version >= 4 and not self.member_id and self.instance is None:
            first = again(lambda: self.connection.ask("JoinGroup", self.version, self.join_body()), lambda b: b["ErrorCode"])
            assert first["ErrorCode"] == MEMBER_ID_REQUIRED, first
            self.member_id = first["MemberId"]
        self.connection.send(wire.request("JoinGroup", self.version, self.join_body()))

    def receive_join(self):
        answer = self.connection.answer("JoinGroup", self.version)[1]
        if not answer["ErrorCode"]:
            self.member_id, self.generation = answer["MemberId"], answer["GenerationId"]
            self.leader, self.members = answer["Leader"], answer["Members"]
        return answer

    def join(self):
        self.send_join()
        answer = self.receive_join()
        while answer["ErrorCode"] in LATER:
            time.sleep(0.01)
            self.send_join()
            answer = self.receive_join()
        return answer

    def sync_body(self, assignments=None):
        version = min(self.version, 5)
        return {"GroupId": self.group, "GenerationId": self.generation, "MemberId": self.member_id,
                **({"GroupInstanceId": self.instance} if version >= 3 else {}),
                **({"ProtocolType": "consumer", "ProtocolName": "range"} if version >= 5 else {}),
                "Assignments": [{"MemberId": m, "Assignment": a} for m, a in (assignments or {}).items()]}

    def sync(self, assignments=None):
        return self.connection.ask("SyncGroup", min(self.version, 5), self.sync_body(assignments))

    def send_sync(self):

        self.connection.send(wire.request("SyncGroup", min(self.version, 5), self.sync_body()))

    def receive_sync(self):
        return self.connection.answer("SyncGroup", min(self.version, 5))[1]

    def heartbeat(self):
        return self.connection.ask("Heartbeat", 3, {"GroupId": self.group, "GenerationId": self.generation, "MemberId": self.member_id,
                                                    "GroupInstanceId": self.instance})["ErrorCode"]

    def leave(self):
        return self.connection.ask("LeaveGroup", 4, {"GroupId": self.group, "Members": [
            {"MemberId": self.member_id, "GroupInstanceId": self.instance}]})
