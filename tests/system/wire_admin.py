"""One request and its answer over a connection of its own, and what tests ask brokers for most."""
import socket
import struct
import time

import wire


def receive(s, size):
    data = b""
    while len(data) < size:
        part = s.recv(size - len(data))
        if not part:
            raise ConnectionError("the broker closed the connection")
        data += part
    return data


def call(port, api, version, body, timeout=60):
    """The decoded answer of the broker on that port."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as s:
        s.sendall(wire.request(api, version, body))
        size, = struct.unpack(">i", receive(s, 4))
        _, answer = wire.decode_response(api, version, receive(s, size))
        return answer


def apis(port):
    """The names of what the broker on that port says that it has."""
    keys = {api["ApiKey"] for api in call(port, "ApiVersions", 0, {})["ApiKeys"]}
    return {name for name, key in wire.KEYS.items() if key in keys}


def create_topic(port, name, partitions=1, settings=None):
    """Makes a topic and waits until every partition has its leader."""
    answer = call(port, "CreateTopics", 7, {
        "Topics": [{"Name": name, "NumPartitions": partitions, "ReplicationFactor": 1, "Assignments": [],
                    "Configs": [{"Name": k, "Value": str(v)} for k, v in (settings or {}).items()]}],
        "timeoutMs": 60000, "validateOnly": False})
    result = answer["Topics"][0]
    if result["ErrorCode"]:
        raise RuntimeError(f"{name}: error {result['ErrorCode']}: {result.get('ErrorMessage')}")
    wait_for_leaders(port, name, partitions)


def delete_topic(port, name):
    answer = call(port, "DeleteTopics", 5, {"TopicNames": [name], "TimeoutMs": 60000})
    if answer["Responses"][0]["ErrorCode"]:
        raise RuntimeError(f"{name} cannot be deleted: {answer}")


def wait_for_leaders(port, name, partitions, seconds=60):
    began = time.monotonic()
    while True:
        topics = call(port, "Metadata", 9, {"Topics": [{"Name": name}], "AllowAutoTopicCreation": False})["Topics"]
        found = topics[0]["Partitions"] if topics and not topics[0]["ErrorCode"] else []
        if len(found) == partitions and all(not p["ErrorCode"] and p["LeaderId"] >= 0 for p in found):
            return
        if time.monotonic() - began > seconds:
            raise RuntimeError(f"{name} has no leaders after {seconds} s: {topics}")
        time.sleep(0.005)


def offsets(port, topic, partitions, timestamp=-1):
    """End offsets (-1) or first offsets (-2) of all partitions of a topic."""
    answer = call(port, "ListOffsets", 5, {
        "ReplicaId": -1, "IsolationLevel": 0,
        "Topics": [{"Name": topic, "Partitions": [{"PartitionIndex": p, "CurrentLeaderEpoch": -1, "Timestamp": timestamp}
                                                  for p in range(partitions)]}]})
    found = {}
    for p in answer["Topics"][0]["Partitions"]:
        if p["ErrorCode"]:
            raise RuntimeError(f"{topic}-{p['PartitionIndex']}: error {p['ErrorCode']}")
        found[p["PartitionIndex"]] = p["Offset"]
    return [found[p] for p in range(partitions)]
