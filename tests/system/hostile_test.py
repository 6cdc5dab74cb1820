#!/usr/bin/env python3
"""Clients that mean harm, and folders that somebody damaged: an error code or a closed connection with one line in the log, others
are served as before, memory stays bounded, nothing acknowledged is lost, and the stop is clean.
"""
import glob
import json
import os
import random
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

import moldau
import wire
from wire_groups import again, commit, coordinator

GOLDEN = os.path.join(moldau.ROOT, "tests", "compat", "golden", "golden.jsonl")
NAMES = {key: name for name, key in wire.KEYS.items()}
EDGES = [b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\x80\0\0\0", b"\xff\xff\xff\xff\x0f", b"\xff\xff\xff\xff\x7f", b"\x7f\xff",
         b"\x80\x00", b"\xff" * 10, b"\0" * 8, b"\0", b"\x01", b"\xfe\xff\xff\xff\x0f", b"\x80\x80\x80\x80\x08"]


def golden_requests(served):
    with open(GOLDEN, encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            low, high = served.get(row["key"], (1, 0)) if row["kind"] == "request" else (1, 0)
            if low <= row["version"] <= high:
                yield row


def request_of(row, body):
    header = struct.pack(">hhih", row["key"], row["version"], 7, 1) + b"a" + (b"\0" if row["header"] == 2 else b"")
    return wire.frame(header + body)


def mutated(rnd, body):
    body = bytearray(body)
    for _ in range(rnd.choice((1, 1, 1, 2, 3, 8))):
        at = rnd.randrange(len(body) + 1)
        kind = rnd.randrange(5)
        edge = rnd.choice(EDGES)
        if kind == 0 and body:
            body[at % len(body)] ^= 1 << rnd.randrange(8)
        elif kind == 1:
            body[at:at + len(edge)] = edge
        elif kind == 2:
            body[at:at] = edge
        elif kind == 3:
            del body[at:at + rnd.choice((1, 2, 4, 8))]
        else:
            start = rnd.randrange(len(body) + 1)
            body[at:at] = body[start:start + rnd.randrange(64)]
    return bytes(body)


def fetch(topic, partitions, version=11, wait=0, session=(0, -1), least=0, most=1 << 20):
    return wire.request("Fetch", version, {
        "ReplicaId": -1, "MaxWaitMs": wait, "MinBytes": least, "MaxBytes": most, "SessionId": session[0],
        "SessionEpoch": session[1], "Topics": [{"Topic": topic, "Partitions": [
            {"Partition": i, "FetchOffset": 0, "PartitionMaxBytes": most} for i in partitions]}]})


class Hostile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = moldau.Broker({"max.connections.per.ip": 20000, "memory.limit.bytes": 256 << 20, "shards": 2})
        cls.other = cls.broker.connect()
        moldau.create_topic(cls.other, "kept", 2)

    @classmethod
    def tearDownClass(cls):
        try:
            cls.other.close()
            code, seconds = cls.broker.stop()
            if code or seconds > 10:
                raise AssertionError(f"stopped with {code} after {seconds} s:\n{cls.broker.log()}")
        finally:
            cls.broker.end()

    def tearDown(self):
        """Whoever was there before, and who comes now, is served as before."""
        self.assertIsNone(self.broker.process.poll(), self.broker.log()[-5000:])
        self.assertEqual(self.other.ask("ApiVersions", 0)["ErrorCode"], 0)
        with self.broker.connect() as c:
            self.assertEqual(c.ask("ApiVersions", 0)["ErrorCode"], 0)

    def served(self):
        answer = self.other.ask("ApiVersions", 3, {"ClientSoftwareName": "a", "ClientSoftwareVersion": "1"})
        return {key["ApiKey"]: (key["MinVersion"], key["MaxVersion"]) for key in answer["ApiKeys"]}

    def test_every_request_whole_and_cut_off(self):
        rnd = random.Random(1)
        for row in golden_requests(self.served()):
            body = bytes.fromhex(row["hex"])
            with self.subTest(name=row["name"], version=row["version"], variant=row["variant"]):
                if not (row["name"] == "ProduceRequest" and row["json"]["acks"] == 0):
                    with self.broker.connect() as c:
                        c.send(request_of(row, body))
                        try:
                            wire.decode_response(NAMES[row["key"]], row["version"], c.receive_frame())
                        except EOFError:
                            pass
                if row["variant"] != "full":
                    continue
                for size in rnd.sample(range(len(body)), min(len(body), 3)):
                    with self.broker.connect() as c:
                        c.send(request_of(row, body[:size]))
                        self.assertTrue(c.is_closed(), size)

    def test_every_request_mutated(self):
        rnd = random.Random(2)
        rows = list(golden_requests(self.served()))
        pool = []
        for _ in range(1000):
            row = rnd.choice(rows)
            c = self.broker.connect()
            c.send(request_of(row, mutated(rnd, bytes.fromhex(row["hex"]))))
            pool.append(c)
            if len(pool) == 50:
                self.tearDown()
                for c in pool:
                    c.close()
                pool = []

    def test_a_long_name_with_many_partitions_is_not_remembered_for_each(self):
        with self.broker.connect() as c:
            c.socket.settimeout(60)
            before = self.broker.resident_bytes()
            c.send(fetch("x" * 32000, range(10000), version=12, session=(0, 0)))
            answer = c.answer("Fetch", 12)[1]
            self.assertEqual(answer["SessionId"], 0)
            self.assertLess(self.broker.resident_bytes() - before, 200 << 20)

    def test_groups_of_the_longest_names_are_told_that_there_are_none(self):
        names = ["x" * 32767, "none"]
        with self.broker.connect() as c:
            coordinator(c, "none")
            described = again(lambda: c.ask("DescribeGroups", 6, {"Groups": names})["Groups"], lambda g: max(d["ErrorCode"] for d in g))
            self.assertEqual([(d["ErrorCode"], d["ErrorMessage"]) for d in described], [(69, None), (69, "Group none not found.")])
            described = c.ask("ConsumerGroupDescribe", 1, {"GroupIds": names})["Groups"]
            self.assertEqual([(d["ErrorCode"], d["ErrorMessage"]) for d in described], [(69, None), (69, "Group none not found.")])

    def test_offsets_are_kept_for_as_long_as_a_number_can_say(self):
        with self.broker.connect() as c:
            coordinator(c, "kept")
            for version in (2, 3, 4):
                for retention in (0x7fffffffffffffff, -0x8000000000000000):
                    self.assertEqual(commit(c, "kept", "kept", {0: 1}, version=version, RetentionTimeMs=retention), {0: 0})

    def test_sessions_of_others_and_epochs_that_cannot_be(self):
        ids = []
        with self.broker.connect() as c:
            for _ in range(50):
                c.send(fetch("kept", [0], session=(0, 0)))
                ids.append(c.answer("Fetch", 11)[1]["SessionId"])
        self.assertEqual(len(set(ids)), len(ids))
        allowed = {0, 70, 71}  # served anew, FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH
        for epoch in (1, 2, 0x7fffffff, -2, -0x80000000):
            for session in (ids[0], ids[-1], -1, 1, 0x7fffffff):
                with self.broker.connect() as c:
                    c.send(fetch("kept", [0, -1, 0x7fffffff], session=(session, epoch)))
                    self.assertIn(c.answer("Fetch", 11)[1]["ErrorCode"], allowed)

    def test_large_requests_that_never_come_do_not_stop_small_ones(self):
        held = [self.broker.connect() for _ in range(8)]
        for c in held:
            c.send(struct.pack(">i", 100 << 20) + b"\0" * 100)
        for _ in range(8):
            with self.broker.connect() as c:
                self.assertEqual(c.ask("ApiVersions", 0)["ErrorCode"], 0)
        for c in held:
            c.close()

    def test_thousands_of_connections(self):
        held = []
        for i in range(2000):
            c = self.broker.connect()
            c.send((b"", b"\0", wire.request("ApiVersions", 0))[i % 3])
            held.append(c)
        self.assertEqual(self.other.ask("ApiVersions", 0)["ErrorCode"], 0)
        for c in held:
            c.close()

    def test_records_that_lie(self):
        good = wire.batch([b"a", b"b"])
        fields = {"base offset": (0, ">q"), "length": (8, ">i"), "epoch": (12, ">i"), "magic": (16, ">b"), "crc": (17, ">I"),
                  "attributes": (21, ">h"), "last offset delta": (23, ">i"), "max timestamp": (35, ">q"), "producer id": (43, ">q"),
                  "producer epoch": (51, ">h"), "sequence": (53, ">i"), "count": (57, ">i")}
        with self.broker.connect() as c:
            for name, (at, form) in fields.items():
                bits = 8 * struct.calcsize(form)
                for value in (0, 1, -1, 3, 7, 100, (1 << bits - 1) - 1, -(1 << bits - 1)):
                    records = bytearray(good)
                    struct.pack_into(form, records, at, value % (1 << bits) if form == ">I" else value)
                    for crc in (False, True):
                        if crc:
                            struct.pack_into(">I", records, 17, wire.crc32c(bytes(records[21:])))
                        with self.subTest(field=name, value=value, crc=crc):
                            errors = wire.produce_errors(c.ask("Produce", 8, wire.produce("kept", [1], bytes(records))))
                            self.assertIn(errors[0], {0, 2, -1, 10, 21, 32, 45, 47, 53, 76, 87})

    def test_a_produce_out_of_time_tells_each_partition_what_became_of_it(self):
        """The disk is not done within no time at all; a batch that is refused is, on whatever shard."""
        moldau.create_topic(self.other, "hurried", 4)
        good, bad = wire.batch([b"a"]), bytearray(wire.batch([b"a"]))
        bad[-1] ^= 1
        answers = []
        for turn in range(40):
            partitions = [{"Index": i, "Records": bytes(bad) if i == turn % 4 else good} for i in range(4)]
            errors = wire.produce_errors(self.other.ask("Produce", 8, {
                "Acks": -1, "TimeoutMs": 0, "TopicData": [{"Name": "hurried", "PartitionData": partitions}]}))
            self.assertEqual(errors[turn % 4], 2, errors)
            answers += errors[:turn % 4] + errors[turn % 4 + 1:]
        self.assertLessEqual(set(answers), {0, 7})
        self.assertIn(7, answers)

    def test_what_nobody_reads_stays_bounded(self):
        topic = "unread"
        moldau.create_topic(self.other, topic)
        records = wire.batch([b"x" * 100000])
        for _ in range(20):
            self.other.ask("Produce", 8, wire.produce(topic, [0], records))
        held = [self.broker.connect() for _ in range(60)]
        for c in held:
            c.send(fetch(topic, [0], most=50 << 20) * 100)
        for _ in range(20):
            self.assertEqual(self.other.ask("ApiVersions", 0)["ErrorCode"], 0)
        self.assertLess(self.broker.resident_bytes(), 1 << 30)
        for c in held:
            c.close()

    def test_ten_thousand_requests_at_once(self):
        with self.broker.connect() as c:
            requests = b"".join(wire.request("ApiVersions", 0, correlation=i) for i in range(10000))
            sender = threading.Thread(target=c.send, args=(requests,))
            sender.start()
            for i in range(10000):
                self.assertEqual(struct.unpack(">i", c.receive_frame()[:4])[0], i)
            sender.join()

    def test_a_topic_that_goes_tells_those_who_wait(self):
        moldau.create_topic(self.other, "going", 2)
        held = [self.broker.connect() for _ in range(20)]
        for i, c in enumerate(held):
            c.send(fetch("going", [0, 1], wait=30000, least=1))
            if i % 3 == 0:
                c.close()
        answer = self.other.ask("DeleteTopics", 4, {"TopicNames": ["going"], "TimeoutMs": 10000})
        self.assertEqual(answer["Responses"][0]["ErrorCode"], 0)
        for i, c in enumerate(held):
            if i % 3:
                errors = {p["ErrorCode"] for t in c.answer("Fetch", 11)[1]["Responses"] for p in t["Partitions"]}
                self.assertLessEqual(errors, {3, 6, 0})
                c.close()

    def test_a_topic_made_anew_at_once_takes_records(self):
        """Its partitions often live on other shards than before, while the folders of the old one still go."""
        big = wire.batch([b"x" * 20000])
        for turn in range(20):
            moldau.create_topic(self.other, "anew", 6)
            with self.broker.connect() as writer, self.broker.connect() as late:
                for i in range(6):
                    late.send(wire.request("Produce", 8, wire.produce("anew", [i], big, acks=1)))
                    one = wire.batch([b"turn %d" % turn])
                    errors = wire.produce_errors(writer.ask("Produce", 8, wire.produce("anew", [i], one)))
                    self.assertEqual(errors, [0], self.broker.log()[-2000:])
                # What `late` sent may be still on its way to the disk when the topic goes.
                for i in range(6):
                    late.send(wire.request("Produce", 8, wire.produce("anew", [i], big, acks=1)))
                answer = self.other.ask("DeleteTopics", 4, {"TopicNames": ["anew"], "TimeoutMs": 10000})
                self.assertEqual(answer["Responses"][0]["ErrorCode"], 0)
        self.assertNotIn("offline", self.broker.log())


def costly_requests():
    """Small on the wire, large in memory."""
    empty = wire.request("Metadata", 1, {"Topics": [{"Name": ""} for _ in range(100)]})
    # Kafka's encoding of 100,000 empty names, without this file's patience for encoding them: a count, and two zeroes each.
    many = struct.pack(">i", 100000) + b"\0" * 200000
    yield "Metadata", wire.frame(empty[4:-204] + many)
    ids = wire.request("Metadata", 12, {"Topics": [{"TopicId": bytes(16), "Name": None}] * 30000})
    yield "Metadata by id", ids
    yield "Fetch of an unknown topic", fetch("nobody", range(30000), version=11, wait=30000, least=1)
    yield "Fetch", fetch("kept", [0] * 30000, version=11, wait=30000, least=1)
    topics = [{"Name": "", "NumPartitions": 1, "ReplicationFactor": 1, "Assignments": [], "Configs": []}] * 30000
    yield "CreateTopics", wire.request("CreateTopics", 4, {"Topics": topics, "timeoutMs": 30000, "validateOnly": True})
    resources = [{"ResourceType": 2, "ResourceName": "kept", "ConfigurationKeys": None}] * 2000
    yield "DescribeConfigs", wire.request("DescribeConfigs", 4, {"Resources": resources})
    partitions = [{"PartitionIndex": i % 2, "Timestamp": -1} for i in range(30000)]
    yield "ListOffsets", wire.request("ListOffsets", 1, {"ReplicaId": -1, "Topics": [{"Name": "kept", "Partitions": partitions}]})


class Costly(unittest.TestCase):
    """memory.limit.bytes holds whatever clients ask, and whoever asks little is served meanwhile."""
    LIMIT = 256 << 20

    @classmethod
    def setUpClass(cls):
        with open(moldau.binary(), "rb") as program:
            cls.sanitized = b"__asan_init" in program.read()  # then memory is never given back

    def setUp(self):
        self.broker = moldau.Broker({"max.connections.per.ip": 20000, "memory.limit.bytes": self.LIMIT, "shards": 2})
        self.other = self.broker.connect()
        self.other.socket.settimeout(30)
        moldau.create_topic(self.other, "kept", 2)

    def tearDown(self):
        try:
            self.other.close()
            code, seconds = self.broker.stop()
            self.assertFalse(code or seconds > 10, f"stopped with {code} after {seconds} s:\n{self.broker.log()[-3000:]}")
        finally:
            self.broker.end()

    def attack(self, request, connections, seconds):
        """Each connection sends the request as often as it goes, and reads nothing. The longest that an honest request took."""
        held = [self.broker.connect() for _ in range(connections)]
        left = {c: b"" for c in held}
        longest, end = 0, time.monotonic() + seconds
        for c in held:
            c.socket.setblocking(False)
        while time.monotonic() < end:
            for c in list(left):
                try:
                    while True:
                        left[c] = left[c] or request
                        left[c] = left[c][c.socket.send(left[c]):]
                except BlockingIOError:
                    pass
                except OSError:
                    del left[c]
            began = time.monotonic()
            self.assertEqual(self.other.ask("ApiVersions", 0)["ErrorCode"], 0)
            longest = max(longest, time.monotonic() - began)
        for c in held:
            c.close()
        return longest

    def peak_bytes(self):
        with open(f"/proc/{self.broker.process.pid}/status", encoding="utf-8") as status:
            return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM:"))

    def test_requests_that_are_small_on_the_wire_and_large_in_memory(self):
        for name, request in costly_requests():
            with self.subTest(name):
                longest = self.attack(request, 100, 3)
                peak = self.peak_bytes()
                print(f"{name}: {len(request)} bytes, peak {peak >> 20} MiB, an honest request took at most {longest:.2f} s", flush=True)
                if not self.sanitized:
                    self.assertLess(peak, self.LIMIT)
                self.assertLess(longest, 10)

    def test_many_connections_that_poll_for_long_do_not_stop_others(self):
        """Each of them holds little, all of them together everything."""
        held = [self.broker.connect() for _ in range(200)]
        for c in held:
            c.send(fetch("kept", [0] * 3000, wait=600000, least=1) * 2)
        began = time.monotonic()
        for _ in range(20):
            with self.broker.connect() as c:
                c.socket.settimeout(30)
                self.assertEqual(c.ask("ApiVersions", 0)["ErrorCode"], 0)
        self.assertLess(time.monotonic() - began, 20)
        for c in held:
            c.close()

    def test_answers_that_nobody_reads_do_not_keep_the_read_buffers(self):
        records = wire.batch([b"x" * 900000])
        for _ in range(60):
            self.assertEqual(wire.produce_errors(self.other.ask("Produce", 8, wire.produce("kept", [0], records))), [0])
        held = [self.broker.connect() for _ in range(60)]
        for c in held:
            c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            c.send(fetch("kept", [0], most=50 << 20) * 10)
        began = time.monotonic()
        for _ in range(10):
            with self.broker.connect() as c:
                c.socket.settimeout(60)
                c.send(fetch("kept", [0], most=1 << 20))
                found = c.answer("Fetch", 11)[1]["Responses"][0]["Partitions"][0]
                self.assertEqual((found["ErrorCode"], found["HighWatermark"]), (0, 60))
        self.assertLess(time.monotonic() - began, 20)
        for c in held:
            c.close()

    def test_clients_that_left_are_noticed_while_their_line_is_full(self):
        held = [self.broker.connect() for _ in range(50)]
        for c in held:
            c.send(fetch("kept", [0], wait=600000, least=1) * 3)
        time.sleep(0.5)
        for c in held:
            c.close()
        moldau.wait_for(lambda: self.sockets() < 10, what="the end of dead connections")

    def sockets(self):
        folder = f"/proc/{self.broker.process.pid}/fd"
        count = 0
        for fd in os.listdir(folder):
            try:
                count += os.readlink(os.path.join(folder, fd)).startswith("socket:")
            except FileNotFoundError:
                pass  # closed meanwhile
        return count

    def test_a_storm_of_garbage_does_not_fill_the_log(self):
        before = self.broker.log().count("\n")
        for _ in range(1000):
            c = self.broker.connect()
            c.send(struct.pack(">i", 20) + b"garbage, of no meaning"[:20])
            self.assertTrue(c.is_closed())
            c.close()
        moldau.wait_for(lambda: "more connections were closed" in self.broker.log(), what="the number of those not named")
        self.assertLess(self.broker.log().count("\n") - before, 300)


class Damage(unittest.TestCase):
    """A folder that was closed cleanly is damaged in one place: the broker starts and serves what it acknowledged, or refuses to, with the file's name."""

    @classmethod
    def setUpClass(cls):
        cls.whole = tempfile.mkdtemp(prefix="moldau-whole-")
        with moldau.Broker(data=cls.whole) as broker:
            with broker.connect() as c:
                moldau.create_topic(c, "t", 1)
                for i in range(5):
                    errors = wire.produce_errors(c.ask("Produce", 8, wire.produce("t", [0], wire.batch([b"%d" % i * 1000]))))
                    assert errors == [0]
            broker.stop()

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.whole)

    def run_damaged(self, data):
        """(exit code of the start that failed, or None; end offset or error of t-0; the log)"""
        broker = moldau.Broker(data=data, start=False)
        try:
            try:
                broker.start()
            except AssertionError:
                return True, None, broker.log()
            with broker.connect() as c:
                c.send(fetch("t", [0], most=10 << 20))
                found = c.answer("Fetch", 11)[1]["Responses"][0]["Partitions"][0]
                ends = found["HighWatermark"] if not found["ErrorCode"] else -found["ErrorCode"]
                broker.stop()
            return False, ends, broker.log()
        finally:
            broker.end()

    def test_one_file_at_a_time(self):
        rnd = random.Random(3)

        def garble(file):
            with open(file, "r+b") as f:
                f.write(rnd.randbytes(max(os.path.getsize(file), 64)))

        ways = {"emptied": lambda f: os.truncate(f, 0), "cut": lambda f: os.truncate(f, os.path.getsize(f) // 2), "garbled": garble,
                "a folder": lambda f: (os.remove(f), os.mkdir(f)), "a pipe": lambda f: (os.remove(f), os.mkfifo(f))}
        for path in ("meta.properties", "recovery-point-offset-checkpoint", "log-start-offset-checkpoint", "moldau-manifest",
                     "moldau-state", "moldau-checkpoint-start", "moldau-journal-0-0", ".kafka_cleanshutdown", ".lock", "t-0/partition.metadata", "t-0/leader-epoch-checkpoint",
                     "t-0/*.index", "t-0/*.timeindex", "t-0/*.log"):
            for way, damage in ways.items():
                found = glob.glob(os.path.join(self.whole, path))
                if not found:
                    continue
                with self.subTest(path=path, way=way), tempfile.TemporaryDirectory() as folder:
                    data = os.path.join(folder, "data")
                    shutil.copytree(self.whole, data)
                    damage(os.path.join(data, os.path.relpath(found[0], self.whole)))
                    refused, ends, log = self.run_damaged(data)
                    if refused:
                        self.assertIn("ERROR", log)
                        self.assertIn(os.path.basename(found[0]), log)
                    elif ends != 5:
                        # Nothing acknowledged is cut silently: the partition is not served, and that is said.
                        self.assertLess(ends, 0, log)
                        self.assertRegex(log, "WARN|ERROR")


class Limits(unittest.TestCase):
    def test_an_address_has_the_limit_that_names_it(self):
        settings = {"max.connections.per.ip": 100, "max.connections.per.ip.overrides": "10.0.0.9:1,127.0.0.1:3"}
        with moldau.Broker(settings) as broker:
            held = [broker.connect() for _ in range(3)]
            for c in held:
                self.assertEqual(c.ask("ApiVersions", 0)["ErrorCode"], 0)
            with broker.connect() as c:
                c.send(wire.request("ApiVersions", 0))
                self.assertTrue(c.is_closed())
            held[0].close()

            def serves():
                with broker.connect() as c:
                    c.send(wire.request("ApiVersions", 0))
                    try:
                        return not c.is_closed()
                    except AssertionError:
                        return True  # an answer came

            moldau.wait_for(serves, what="the place of the connection that ended")
            for c in held:
                c.close()

    def test_idle_connections_end_and_busy_ones_do_not(self):
        with moldau.Broker({"connections.max.idle.ms": 1000}) as broker, broker.connect() as busy, broker.connect() as idle:
            self.assertEqual(busy.ask("ApiVersions", 0)["ErrorCode"], 0)
            busy.send(fetch("nobody", [], wait=3000, least=1))
            self.assertTrue(idle.is_closed(5))
            self.assertEqual(busy.answer("Fetch", 11)[1]["ErrorCode"], 0)


class Poor(unittest.TestCase):
    def few_descriptors(self, shards, io):
        command = ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh"]
        broker = moldau.Broker({"shards": shards}, arguments=["--io", io], start=False)
        plain = broker.command
        broker.command = lambda: command + plain()
        with broker:
            broker.start()
            with broker.connect() as c:
                moldau.create_topic(c, "many", 100)
                held = []
                for _ in range(100):
                    held.append(broker.connect())
                one = wire.batch([b"a"])
                for i in range(100):
                    self.assertEqual(wire.produce_errors(c.ask("Produce", 8, wire.produce("many", [i], one))), [0], broker.log())
                for other in held:
                    other.close()
            self.assertEqual(broker.stop()[0], 0, broker.log())
            for again in (True, False):
                broker.start()
                with broker.connect() as c:
                    for i in range(100):
                        c.send(fetch("many", [i], wait=1000, least=1))
                        found = c.answer("Fetch", 11)[1]["Responses"][0]["Partitions"][0]
                        self.assertEqual((found["ErrorCode"], found["HighWatermark"]), (0, 1), broker.log())
                if again:
                    broker.kill()  # then all are recovered at once

    def test_few_descriptors(self):
        """With 64 descriptors: what does not fit waits, and all that was acknowledged is there."""
        for shards in (1, 2, 4):
            for io in ("auto", "epoll"):
                with self.subTest(shards=shards, io=io):
                    self.few_descriptors(shards, io)

    def test_a_disk_that_is_too_small_for_the_journal(self):
        """It takes records until it is full, refuses them then, and gives them all back."""
        folder = tempfile.mkdtemp(prefix="moldau-small-")
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", folder], capture_output=True, check=False).returncode:
            os.rmdir(folder)
            self.skipTest("no file system can be mounted here")
        try:
            with moldau.Broker({"shards": 2}, data=os.path.join(folder, "data")) as broker, broker.connect() as c:
                moldau.create_topic(c, "t")
                records = wire.batch([b"x" * 500000])
                errors = []
                while len(errors) < 200 and 56 not in errors:
                    errors += wire.produce_errors(c.ask("Produce", 8, wire.produce("t", [0], records)))
                self.assertEqual(errors[-1], 56)
                c.send(fetch("t", [0]))
                found = c.answer("Fetch", 11)[1]["Responses"][0]["Partitions"][0]
                self.assertEqual((found["ErrorCode"], found["HighWatermark"]), (0, errors.count(0)))
                self.assertGreater(errors.count(0), 4)
                self.assertIn("no space left", broker.log())
                broker.stop()
        finally:
            subprocess.run(["umount", folder], check=False)
            os.rmdir(folder)

    def test_a_start_on_a_full_disk(self):
        """It serves what it has, refuses records, and takes them again by itself when there is space; after a kill and after a clean stop."""
        folder = tempfile.mkdtemp(prefix="moldau-full-")
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=120m", "tmpfs", folder], capture_output=True, check=False).returncode:
            os.rmdir(folder)
            self.skipTest("no file system can be mounted here")
        records, stone = wire.batch([b"x" * 50000]), os.path.join(folder, "stone")

        def fill():
            with open(stone, "wb", buffering=0) as file:
                try:
                    while file.write(b"x" * 4096):
                        pass
                except OSError:
                    pass

        def produce(c):
            return wire.produce_errors(c.ask("Produce", 8, wire.produce("t", [0], records)))[0]

        def check(c, count):
            c.send(fetch("t", [0]))
            found = c.answer("Fetch", 11)[1]["Responses"][0]["Partitions"][0]
            self.assertEqual((found["ErrorCode"], found["HighWatermark"]), (0, count), broker.log())

        try:
            with moldau.Broker({"shards": 2}, data=os.path.join(folder, "data")) as broker:
                with broker.connect() as c:
                    moldau.create_topic(c, "t")
                    count = sum(produce(c) == 0 for _ in range(20))
                    self.assertEqual(count, 20)
                for end in (broker.kill, broker.stop):
                    fill()
                    end()
                    broker.start()
                    with broker.connect() as c:
                        check(c, count)
                        self.assertEqual(produce(c), 56, broker.log())
                        check(c, count)
                        os.remove(stone)
                        moldau.wait_for(lambda: produce(c) == 0, what="appends")
                        count += 1
                        check(c, count)
                self.assertNotIn("offline", broker.log())
                self.assertIn("there is space again", broker.log())
        finally:
            subprocess.run(["umount", folder], check=False)
            os.rmdir(folder)


if __name__ == "__main__":
    moldau.main()
