"""The consumer protocol (KIP-848) in the transcripts that group_oracle.py plays: the lines of src/group/stage_consumer.h.

Every transcript has topics t of 3 partitions and u of 2, and groups whose targets are computed at once.
"""
import base64
import struct
import time

OPTIONS = ("topics", "regex", "assignor", "instance", "rack", "rebalance", "has", "epoch", "id", "v", "group", "client", "session", "protocol",
           "type", "gen", "states", "types")
TOPICS = (("t", 3), ("u", 2))
SPREAD_SECONDS = 2  # until the coordinator has heard of a topic
NO_UUID = "A" * 22


def text(value):
    return struct.pack(">h", -1) if value is None else struct.pack(">h", len(value)) + value.encode()


def subscription(topics, owned, rack):
    body = struct.pack(">hi", 3, len(topics)) + b"".join(map(text, topics)) + struct.pack(">i", -1)
    body += struct.pack(">i", len(owned)) + b"".join(text(t) + struct.pack(f">i{len(p)}i", len(p), *p) for t, p in owned)
    return body + struct.pack(">i", -1) + text(rack)


def assignment(given):
    return (struct.pack(">hi", 3, len(given)) + b"".join(text(t) + struct.pack(f">i{len(p)}i", len(p), *p) for t, p in given)
            + struct.pack(">i", -1))


def read_assignment(data):
    given, at = [], 6
    for _ in range(struct.unpack(">i", data[2:6])[0] if data else 0):
        size = struct.unpack(">h", data[at:at + 2])[0]
        topic = data[at + 2:at + 2 + size].decode()
        at += 2 + size
        count = struct.unpack(">i", data[at:at + 4])[0]
        given.append((topic, list(struct.unpack(f">{count}i", data[at + 4:at + 4 + 4 * count]))))
        at += 4 + 4 * count
    return given


def player(base, errors):
    """A player of such transcripts, over that of the classic protocol."""

    class ConsumerPlayer(base):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.topic_ids, self.topic_names, self.has = {}, {}, {}

        def begin(self):
            for name, count in TOPICS:
                self.make_topic(name, count)
            self.ask("IncrementalAlterConfigs", 1, {"ValidateOnly": False, "Resources": [
                {"ResourceType": 32, "ResourceName": self.group(g), "Configs": [
                    {"Name": "consumer.assignment.interval.ms", "ConfigOperation": 0, "Value": "0"}]} for g in ("g", "h")]})
            time.sleep(SPREAD_SECONDS)

        def make_topic(self, name, count):
            real = self.prefix + name
            if name in self.topics:
                self.ask("CreatePartitions", 3, {"TimeoutMs": 10000, "ValidateOnly": False, "Topics": [
                    {"Name": real, "Count": count, "Assignments": None}]})
                return
            made = self.ask("CreateTopics", 7, {"timeoutMs": 10000, "Topics": [
                {"Name": real, "NumPartitions": count, "ReplicationFactor": 1}]})
            self.topics[name] = real
            self.topic_ids[name] = made["Topics"][0]["TopicId"]
            self.topic_names[made["Topics"][0]["TopicId"]] = name

        def options(self, words):
            if words and words[0] not in ("hb", "go", "crejoin", "csync", "cfetch", "members", "topics"):
                return super().options(words)
            given, rest = {}, []
            for w in words:
                name, equals, value = w.partition("=")
                if equals and name in OPTIONS:
                    given[name] = value
                else:
                    rest.append(w)
            return given, rest

        def parse_has(self, who, given):
            """[(topic, partitions)]"""
            if given == "=":
                return self.has.get(who, [])
            return [(t, [int(p) for p in ps.split(",")]) for t, _, ps in (one.partition(":") for one in given.split(";"))
                    if given != "-"]

        def print_topics(self, topics, id_key="TopicId"):
            places = sorted((self.topic_names.get(t[id_key], "?"), sorted(t["Partitions"])) for t in topics)
            return ";".join(f"{name}:{','.join(map(str, ps))}" for name, ps in places)

        def own_words(self, message):
            return message.replace(self.prefix, "")

        def heartbeat(self, who, o, leaves):
            v = int(o.get("v", 1))
            joined = self.generations.get(who, 0)
            epoch = int(o.get("epoch", -1 if leaves else joined if joined > 0 else 0))
            joins = epoch == 0
            member = self.ids.get(o["id"], o["id"]) if "id" in o else self.ids.get(who, who if v >= 1 else "")
            has = o.get("has", "-" if joins else None)
            body = {"GroupId": self.group(o.get("group", "g")), "MemberId": member, "MemberEpoch": epoch,
                    "InstanceId": o.get("instance"), "RackId": o.get("rack"),
                    "RebalanceTimeoutMs": int(o.get("rebalance", 60000 if joins else -1)), "ServerAssignor": o.get("assignor"),
                    "SubscribedTopicNames": None, "TopicPartitions": None}
            if v >= 1:
                body["SubscribedTopicRegex"] = o.get("regex")
            if "topics" in o:
                body["SubscribedTopicNames"] = [self.prefix + t for t in filter(None, o["topics"].split(","))]
            if has is not None:
                body["TopicPartitions"] = [{"TopicId": self.topic_ids.get(t, base64_one()), "Partitions": ps}
                                           for t, ps in self.parse_has(who, has)]

            def told(a):
                line = f"{who}: hb {errors[a['ErrorCode']]}"
                if a["ErrorMessage"]:
                    line += f' "{self.own_words(a["ErrorMessage"])}"'
                if not a["ErrorCode"]:
                    line += f" epoch={a['MemberEpoch']}"
                if a["Assignment"] is not None:
                    line += " " + (self.print_topics(a["Assignment"]["TopicPartitions"]) or "nothing")
                return line

            def learn(a):
                if not a["ErrorCode"]:
                    if who not in self.ids:
                        self.ids[who], self.names[a["MemberId"]] = a["MemberId"], who
                    self.generations[who] = a["MemberEpoch"]
            c = self.open()
            c.send(self.encode("ConsumerGroupHeartbeat", v, body, who))
            answer = c.answer("ConsumerGroupHeartbeat", v)[1]
            c.close()
            learn(answer)
            self.out.append(told(answer))

        def hb(self, who, o, rest):
            self.heartbeat(who, o, False)

        def go(self, who, o, rest):
            self.heartbeat(who, o, True)

        def crejoin(self, who, o, rest):
            v = int(o.get("v", 9))
            owned = [(self.prefix + t, ps) for t, ps in self.parse_has(who, o.get("has", "-"))]
            topics = [self.prefix + t for t in filter(None, o.get("topics", "").split(","))]
            body = {"GroupId": self.group(o.get("group", "g")), "SessionTimeoutMs": int(o.get("session", 10000)),
                    "MemberId": self.member(who, o), "ProtocolType": o.get("type", "consumer"), "Protocols": [
                        {"Name": o.get("protocol", "range"), "Metadata": subscription(topics, owned, o.get("rack"))}]}
            if v >= 1:
                body["RebalanceTimeoutMs"] = int(o.get("rebalance", 60000))
            if v >= 5:
                body["GroupInstanceId"] = o.get("instance")
            if v >= 8:
                body["Reason"] = None

            def told(a):
                line = f"{who}: join {errors[a['ErrorCode']]}"
                if not a["ErrorCode"]:
                    kind = a.get("ProtocolType", o.get("type", "consumer"))
                    line += f" gen={a['GenerationId']} {kind}:{a['ProtocolName']} leader={self.label(a['Leader'])} members={len(a['Members'])}"
                return line
            return self.send(who, "JoinGroup", v, body, told)

        def csync(self, who, o, rest):
            v = int(o.get("v", 5))
            body = {"GroupId": self.group(o.get("group", "g")), "GenerationId": int(o.get("gen", self.generations.get(who, -1))),
                    "MemberId": self.member(who, o), "Assignments": [], "GroupInstanceId": o.get("instance"),
                    "ProtocolType": o.get("type", "consumer"), "ProtocolName": o.get("protocol", "range")}
            for w in rest:
                name, _, given = w.partition("=")
                body["Assignments"].append({"MemberId": self.ids.get(name, name), "Assignment": assignment(
                    [(self.prefix + t, ps) for t, ps in self.parse_has(name, given)])})

            def told(a):
                line = f"{who}: sync {errors[a['ErrorCode']]}"
                if not a["ErrorCode"]:
                    given = sorted((self.own_name(t), sorted(ps)) for t, ps in read_assignment(a["Assignment"]))
                    line += "".join((";" if i else " ") + f"{t}:{','.join(map(str, ps))}" for i, (t, ps) in enumerate(given))
                return line
            return self.send(who, "SyncGroup", v, body, told)

        def cfetch(self, who, o, rest):
            topic, _, partition = rest[0].partition("/")
            body = {"Groups": [{"GroupId": self.group(o.get("group", "g")), "MemberId": self.ids.get(who, ""),
                                "MemberEpoch": int(o.get("epoch", self.generations.get(who, -1))),
                                "Topics": [{"Name": self.topic(topic), "PartitionIndexes": [int(partition)]}]}], "RequireStable": False}

            def told(a):
                g = a["Groups"][0]
                return f"{who}: fetch {errors[g['ErrorCode']]}" + "".join(
                    f" {self.own_name(t['Name'])}/{p['PartitionIndex']}={p['CommittedOffset']}" for t in g["Topics"] for p in t["Partitions"])
            return self.send(who, "OffsetFetch", 9, body, told)

        def members(self, name):
            g = self.ask("ConsumerGroupDescribe", 1, {"GroupIds": [self.group(name)], "IncludeAuthorizedOperations": False})["Groups"][0]
            line = f"members {name} {errors[g['ErrorCode']]}"
            if g["ErrorMessage"]:
                line += f' "{self.own_words(g["ErrorMessage"])}"'
            if not g["ErrorCode"]:
                line += f" {g['GroupState']} epoch={g['GroupEpoch']} target={g['AssignmentEpoch']} {g['AssignorName']}"
            self.out.append(line)
            for m in g["Members"]:
                line = f"- {self.label(m['MemberId'])} epoch={m['MemberEpoch']} {'consumer' if m['MemberType'] == 1 else 'classic'}"
                line += f" instance={m['InstanceId']}" if m["InstanceId"] else ""
                line += f" rack={m['RackId']}" if m["RackId"] else ""
                names = sorted(self.own_name(n) for n in m["SubscribedTopicNames"])
                line += f" topics={','.join(names)}" if names else ""
                line += f" regex={m['SubscribedTopicRegex']}" if m["SubscribedTopicRegex"] else ""
                has = self.print_topics(m["Assignment"]["TopicPartitions"])
                shall = self.print_topics(m["TargetAssignment"]["TopicPartitions"])
                self.out.append(line + (f" has {has}" if has else "") + (f" shall {shall}" if shall else ""))

        def run_line(self, line):
            words = line.split(" ")
            if words[0] == "topics":
                for w in words[1:]:
                    name, _, count = w.partition(":")
                    self.make_topic(name, int(count))
                self.collect(SPREAD_SECONDS)
                time.sleep(SPREAD_SECONDS)
            elif words[0] == "members":
                self.members(words[1])
            else:
                super().run_line(line)

    def base64_one():
        return base64.urlsafe_b64encode(b"\xee" + bytes(15)).decode().rstrip("=")

    return ConsumerPlayer
