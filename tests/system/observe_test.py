#!/usr/bin/env python3
"""What an operator looks at: /metrics in Prometheus' format, read by its own parser and checked as promtool would, whose values move with
what is done; /healthz; the limits of the port; what is said when something is offline.
"""
import glob
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

import moldau
import wire
from prometheus_client.parser import text_string_to_metric_families

STORAGE_ERROR = 56
SAMPLE = re.compile(r'^([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (-?[0-9]+(?:\.[0-9]+)?)$')
ANY = "127.0.0.1:0"


def ports_of(broker):
    return int(re.search(r"metrics +http://\S+:(\d+)/metrics", broker.start_lines)[1])


def observed(settings=None, **options):
    return moldau.Broker({"metrics.listener": ANY, **(settings or {})}, **options)


class Page:
    """One look: the values by name and labels."""

    def __init__(self, port, path="/metrics", method="GET", host=None):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=moldau.ANSWER_SECONDS)
        try:
            connection.request(method, path, headers={"Host": host} if host else {})
            answer = connection.getresponse()
            self.status = answer.status
            self.type = answer.getheader("Content-Type")
            self.length = int(answer.getheader("Content-Length"))
            self.text = answer.read().decode()
        finally:
            connection.close()
        self.values = {}
        if path == "/metrics" and method == "GET":
            for family in text_string_to_metric_families(self.text):
                for sample in family.samples:
                    self.values[(sample.name, tuple(sorted(sample.labels.items())))] = sample.value

    def get(self, name, **labels):
        return self.values[(name, tuple(sorted(labels.items())))]

    def all(self, name):
        return {labels: value for (n, labels), value in self.values.items() if n == name}


def family_of(name, kinds):
    for suffix in ("_bucket", "_sum", "_count"):
        if name.endswith(suffix) and kinds.get(name[: -len(suffix)]) == "histogram":
            return name[: -len(suffix)]
    return name


def check_histograms(test, buckets, counts):
    for key, rows in buckets.items():
        test.assertEqual(rows[-1][0], "+Inf", key)
        bounds = [float(bound) for bound, _ in rows]
        test.assertEqual(bounds, sorted(set(bounds)), key)
        values = [value for _, value in rows]
        test.assertEqual(values, sorted(values), key)
        test.assertEqual(values[-1], counts[key], key)


def check_format(test, text):
    """What promtool checks, and what the format's description says."""
    kinds, helped, seen, closed, current = {}, set(), set(), set(), None
    buckets, counts = {}, {}
    test.assertTrue(text.endswith("\n"))
    for line in text.splitlines():
        words = line.split(" ", 3)
        if words[0] == "#":
            test.assertIn(words[1], ("HELP", "TYPE"), line)
            name = words[2]
            if words[1] == "HELP":
                test.assertNotIn(name, helped, line)
                helped.add(name)
                closed.add(current)
                current = name
                test.assertNotIn(name, closed, line)
            else:
                test.assertEqual(name, current, line)
                test.assertIn(words[3], ("counter", "gauge", "histogram"), line)
                kinds[name] = words[3]
            continue
        match = SAMPLE.match(line)
        test.assertTrue(match, f"not a sample: {line}")
        name, labels, value = match[1], match[2] or "", float(match[3])
        test.assertEqual(family_of(name, kinds), current, line)
        test.assertNotIn((name, labels), seen, line)
        seen.add((name, labels))
        kind = kinds[current]
        test.assertEqual(kind == "counter", current.endswith("_total"), line)
        if kind != "gauge":
            test.assertGreaterEqual(value, 0, line)
        if name == current + "_bucket":
            bound = re.search(r'le="([^"]+)"', labels)[1]
            rest = re.sub(r',?le="[^"]+"', "", labels)
            buckets.setdefault((current, rest), []).append((bound, value))
        elif name == current + "_count":
            counts[(current, labels)] = value
    test.assertEqual(set(kinds), helped)
    test.assertTrue(buckets)
    check_histograms(test, buckets, counts)


def append(connection, topic, values, partition=0):
    answer = connection.ask("Produce", 8, wire.produce(topic, [partition], wire.batch(values)))
    return answer["Responses"][0]["PartitionResponses"][0]["ErrorCode"]


def fetch(connection, topic, partition=0):
    return connection.ask("Fetch", 11, {
        "ReplicaId": -1, "MaxWaitMs": 100, "MinBytes": 1, "MaxBytes": 1 << 20, "Topics": [{
            "Topic": topic, "Partitions": [{"Partition": partition, "FetchOffset": 0, "PartitionMaxBytes": 1 << 20}]}]})


class Metrics(unittest.TestCase):
    def moves(self, shards):
        with observed(arguments=["--shards", str(shards)]) as broker:
            port = ports_of(broker)
            before = Page(port)
            check_format(self, before.text)
            self.assertEqual(before.get("moldau_shards"), shards)
            self.assertEqual(len(before.all("moldau_shard_turns_total")), shards)
            with broker.connect() as c:
                moldau.create_topic(c, "moving", partitions=8)
                for partition in range(8):
                    self.assertEqual(append(c, "moving", [b"value"] * 10, partition), 0)
                got = fetch(c, "moving", 3)["Responses"][0]["Partitions"][0]
                self.assertEqual(got["ErrorCode"], 0)
                self.assertEqual(append(c, "nothing", [b"x"]), 3)
                after = Page(port)
                self.assertEqual(after.get("moldau_connections"), 1)
            check_format(self, after.text)
            self.check_moved(after, wire.batch([b"value"] * 10), len(got["Records"]))
            for key, value in before.values.items():
                if key[0].endswith(("_total", "_bucket", "_count", "_sum")):
                    self.assertGreaterEqual(after.values[key], value, key)
            self.assertEqual(broker.stop()[0], 0)

    def check_moved(self, page, batch, fetched):
        size = 8 * len(batch)
        self.assertEqual(page.get("moldau_produced_records_total"), 80)
        self.assertEqual(page.get("moldau_produced_bytes_total"), size)
        self.assertEqual(page.get("moldau_topic_produced_records_total", topic="moving"), 80)
        self.assertEqual(page.get("moldau_topic_produced_bytes_total", topic="moving"), size)
        self.assertEqual(page.get("moldau_topic_log_bytes", topic="moving"), size)
        self.assertEqual(page.get("moldau_log_bytes"), size)
        self.assertEqual(fetched, len(batch))
        self.assertEqual(page.get("moldau_read_bytes_total"), fetched)
        self.assertEqual(page.get("moldau_topic_read_bytes_total", topic="moving"), fetched)
        self.assertEqual(page.get("moldau_requests_total", api="Produce"), 9)
        self.assertEqual(page.get("moldau_requests_total", api="Fetch"), 1)
        self.assertEqual(page.get("moldau_request_seconds_count", api="Produce"), 9)
        self.assertGreater(page.get("moldau_request_seconds_sum", api="Produce"), 0)
        self.assertEqual(page.get("moldau_request_errors_total", api="Produce", error="UNKNOWN_TOPIC_OR_PARTITION"), 1)
        self.assertGreater(page.get("moldau_received_bytes_total"), size)
        self.assertGreater(page.get("moldau_sent_bytes_total"), fetched)
        self.assertEqual(page.get("moldau_commit_bytes_sum"), size)
        rounds = page.get("moldau_commit_seconds_count")
        syncs = sum(page.all("moldau_sync_seconds_count").values())
        self.assertTrue(1 <= rounds <= 8 and syncs >= rounds, (rounds, syncs))
        self.assertEqual(page.get("moldau_partitions"), 8)
        self.assertEqual(page.get("moldau_partitions_open"), 8)
        self.assertEqual(page.get("moldau_partitions_offline"), 0)
        self.assertEqual(page.get("moldau_topics"), 1)
        self.assertEqual(page.get("moldau_serving"), 1)

    def test_values_move_with_what_is_done(self):
        self.moves(1)

    def test_four_shards_add_up(self):
        self.moves(4)

    def test_the_process_and_the_disk_are_told(self):
        with observed() as broker:
            page = Page(ports_of(broker))
            self.assertEqual(page.type, "text/plain; version=0.0.4; charset=utf-8")
            resident = page.get("process_resident_memory_bytes")
            self.assertTrue(resident / 2 < broker.resident_bytes() < resident * 2)
            fds = len(os.listdir(f"/proc/{broker.process.pid}/fd"))
            self.assertTrue(abs(page.get("process_open_fds") - fds) <= 4, fds)
            free = shutil.disk_usage(broker.data)
            self.assertEqual(page.get("moldau_folder_size_bytes", folder=broker.data), free.total)
            self.assertLess(abs(page.get("moldau_folder_free_bytes", folder=broker.data) - free.free), 4 << 30)
            self.assertEqual(page.get("moldau_folder_online", folder=broker.data), 1)
            self.assertEqual(page.get("moldau_start_clean"), 1)
            self.assertGreater(page.get("process_start_time_seconds"), 1.6e9)
            budgets = {dict(labels)["budget"] for labels in page.all("moldau_budget_limit_bytes")}
            self.assertEqual(budgets, {"frames", "small frames", "requests", "reads"})

    def test_topics_beyond_the_bound_are_added_up(self):
        with observed({"metrics.topics.max": "2"}) as broker, broker.connect() as c:
            for i in range(5):
                moldau.create_topic(c, f"t{i}", partitions=3)
                self.assertEqual(append(c, f"t{i}", [b"x"] * (i + 1), i % 3), 0)
            page = Page(ports_of(broker))
            records = page.all("moldau_topic_produced_records_total")
            self.assertEqual(records, {(("topic", "t0"),): 1, (("topic", "t1"),): 2, (("topic", "(others)"),): 12})
            self.assertEqual(page.get("moldau_log_bytes"), sum(page.all("moldau_topic_log_bytes").values()))
            check_format(self, page.text)

    def test_no_topics_are_told_apart_with_a_bound_of_none(self):
        with observed({"metrics.topics.max": "0"}) as broker, broker.connect() as c:
            moldau.create_topic(c, "quiet")
            self.assertEqual(append(c, "quiet", [b"x"]), 0)
            page = Page(ports_of(broker))
            self.assertNotIn("quiet", page.text)
            self.assertEqual(page.get("moldau_produced_records_total"), 1)
            self.assertEqual(page.get("moldau_log_bytes"), len(wire.batch([b"x"])))

    def test_refused_connections_are_counted_by_reason(self):
        with observed({"max.connections.per.ip": "1"}) as broker, broker.connect() as c:
            moldau.create_topic(c, "one")
            with socket.create_connection(("127.0.0.1", broker.port)) as second:
                second.settimeout(moldau.ANSWER_SECONDS)
                self.assertEqual(second.recv(1), b"")
            page = Page(ports_of(broker))
            self.assertEqual(page.get("moldau_connections_refused_total", reason="max.connections.per.ip"), 1)
            self.assertEqual(page.get("moldau_connections_accepted_total"), 2)


class Health(unittest.TestCase):
    def test_a_broker_that_serves_is_healthy(self):
        with observed() as broker:
            page = Page(ports_of(broker), "/healthz")
            self.assertEqual((page.status, page.text), (200, "ok\n"))

    def test_a_damaged_log_is_counted_and_said(self):
        with observed() as broker:
            with broker.connect() as c:
                for name in ("lost", "kept"):
                    moldau.create_topic(c, name)
                    self.assertEqual(append(c, name, [b"x"]), 0)
            self.assertEqual(broker.stop()[0], 0)
            for path in glob.glob(broker.data + "/lost-0/*.log"):
                os.truncate(path, 10)
            broker.start()
            with broker.connect() as c:
                self.assertEqual(append(c, "lost", [b"x"]), STORAGE_ERROR)
                self.assertEqual(append(c, "kept", [b"x"]), 0)
            port = ports_of(broker)
            page = Page(port)
            self.assertEqual(page.get("moldau_partitions_offline"), 1)
            self.assertEqual(page.get("moldau_partitions_open"), 1)
            self.assertEqual(page.get("moldau_request_errors_total", api="Produce", error="KAFKA_STORAGE_ERROR"), 1)
            health = Page(port, "/healthz")
            self.assertEqual((health.status, health.text), (200, "ok, but 1 of 2 partitions are offline: see the log\n"))

    def test_a_folder_whose_disk_refuses_writes_is_told(self):
        good, bad = tempfile.mkdtemp(prefix="moldau-good-"), tempfile.mkdtemp(prefix="moldau-bad-")
        try:
            with observed({"log.dirs": f"{good},{bad}"}) as broker, broker.connect() as c:
                port = ports_of(broker)
                self.assertEqual(Page(port, "/healthz").status, 200)
                moldau.create_topic(c, "spread", partitions=8)
                errors = [append(c, "spread", [b"x"], partition) for partition in range(8)]
                self.assertEqual(errors, [0] * 8)
                if subprocess.run(["chattr", "-R", "+i", bad], capture_output=True, check=False).returncode:
                    self.skipTest("chattr +i, which makes files refuse writes, is not allowed here")
                errors = [append(c, "spread", [b"x"], partition) for partition in range(8)]
                self.assertEqual(sorted(set(errors)), [0, STORAGE_ERROR])
                health = Page(port, "/healthz")
                self.assertEqual((health.status, health.text),
                                 (503, f"data folder {bad} is offline (1 others work): see the log\n"))
                page = Page(port)
                self.assertEqual(page.get("moldau_folder_online", folder=bad), 0)
                self.assertEqual(page.get("moldau_folder_online", folder=good), 1)
                self.assertEqual(page.get("moldau_partitions_offline"), errors.count(STORAGE_ERROR))
        finally:
            subprocess.run(["chattr", "-R", "-i", bad], capture_output=True, check=False)
            shutil.rmtree(good)
            shutil.rmtree(bad)

    def test_an_unclean_start_is_told_and_ends_healthy(self):
        with observed() as broker:
            with broker.connect() as c:
                moldau.create_topic(c, "killed", partitions=20)
                for partition in range(20):
                    self.assertEqual(append(c, "killed", [b"x"], partition), 0)
            broker.kill()
            broker.start()
            port = ports_of(broker)
            self.assertEqual(Page(port).get("moldau_start_clean"), 0)

            def healthy():
                page = Page(port, "/healthz")
                self.assertRegex(page.text, r"^(ok|recovering: \d+ of 20 partitions are done \(\d+ %\))\n$")
                self.assertEqual(page.status, 200 if page.text == "ok\n" else 503)
                return page.status == 200
            moldau.wait_for(healthy, moldau.ANSWER_SECONDS, "to be healthy")
            self.assertEqual(Page(port).get("moldau_partitions_open"), 20)


class Segments(unittest.TestCase):
    """/topics/NAME/segments, and the verb that prints it."""

    SETTINGS = {"log.retention.check.interval.ms": "3600000", "log.initial.task.delay.ms": "3600000"}

    @classmethod
    def setUpClass(cls):
        cls.batch = wire.batch([b"v" * 600000], timestamp=int(time.time() * 1000), keys=[b"k"])

    def explain(self, port, *arguments, code=0):
        done = subprocess.run([moldau.binary(), "topic", "explain", "--metrics-server", f"127.0.0.1:{port}", *arguments],
                              capture_output=True, timeout=moldau.ANSWER_SECONDS, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout.decode(), done.stderr.decode()

    def topics(self, c):
        hour = "3600000"
        for name, settings in {"timed": {"retention.ms": hour}, "over": {"retention.ms": "1"},
                               "sized": {"retention.ms": "-1", "retention.bytes": "3000000"},
                               "kept": {"retention.ms": "-1"}, "compacted": {"cleanup.policy": "compact"}}.items():
            moldau.create_topic(c, name, partitions=3, configs={"segment.bytes": "1048576", **settings})
            for _ in range(6):
                self.assertEqual(wire.produce_errors(c.ask("Produce", 8, wire.produce(name, [1], self.batch))), [0])

    def told(self, port, name):
        topic = json.loads(self.explain(port, name, "--format", "json")[0])
        self.assertEqual(topic, {**json.loads(Page(port, f"/topics/{name}/segments").text), "nowMs": topic["nowMs"]})
        self.assertEqual([p["partition"] for p in topic["partitions"]], [0, 1, 2])
        return topic, topic["partitions"][1]["segments"]

    def test_each_segment_says_why_it_is_there_and_when_it_goes(self):
        with observed(self.SETTINGS, arguments=["--shards", "2"]) as broker:
            port = ports_of(broker)
            with broker.connect() as c:
                self.topics(c)
            topic, segments = self.told(port, "timed")
            self.assertEqual((topic["cleanupPolicy"], topic["retentionMs"]), ("delete", 3600000))
            self.assertEqual([(s["baseOffset"], s["endOffset"], s["active"]) for s in segments],
                             [(i, i + 1, i == 5) for i in range(6)])
            for s in segments:
                self.assertEqual((s["kept"], s["dueAfterBytes"]), ("inTime", None))
                self.assertEqual(s["dueAtMs"], max(x["largestTimestampMs"] for x in segments[: s["baseOffset"] + 1]) + 3600001)
            self.assertEqual([s["kept"] for s in topic["partitions"][0]["segments"]], ["active"])
            self.assertEqual([s["kept"] for s in self.told(port, "over")[1]], ["goes"] * 6)
            # Of six of 600 kB the first has gone: 3 MB stay.
            _, segments = self.told(port, "sized")
            self.assertEqual([(s["baseOffset"], s["kept"]) for s in segments], [(i, "inSize") for i in range(1, 6)])
            after = [s["dueAfterBytes"] for s in segments]
            self.assertEqual(after[4], 3000000)
            self.assertEqual([b - a for a, b in zip(after, after[1:])], [s["sizeBytes"] for s in segments[1:]])
            self.assertEqual({s["kept"] for s in self.told(port, "kept")[1]}, {"forEver"})
            self.assertEqual({s["kept"] for s in self.told(port, "compacted")[1]}, {"compacted"})

    def test_people_are_told_in_sentences(self):
        with observed(self.SETTINGS) as broker:
            port = ports_of(broker)
            with broker.connect() as c:
                self.topics(c)
            text, _ = self.explain(port, "sized", "kept", "over", "-p", "1")
            self.assertRegex(text, r"sized-1: log start offset 1, high watermark 6, end offset 6, 5 segments of 2.9 MiB\n")
            self.assertRegex(text, r"\n  0\.\.0 .* nothing keeps it any more +with the next look")
            self.assertRegex(text, r"\n  5\.\.5 .* retention.bytes is not passed +after 2.9 MiB more\n")
            self.assertRegex(text, r"\n  5\.\.5 .* no setting takes it +never\n")
            self.assertNotIn("sized-0", text)
            self.assertRegex(self.explain(port, "timed", "-p", "1")[0],
                             r"retention.ms is not over +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d, in 59 min")

    def test_what_of_a_segment_was_found_damaged_is_told(self):
        with observed({"log.scrub.interval.ms": "100", "log.initial.task.delay.ms": "50"}) as broker:
            port = ports_of(broker)
            batch = wire.batch([b"v" * 100], timestamp=int(time.time() * 1000))
            with broker.connect() as c:
                moldau.create_topic(c, "bad")
                for _ in range(3):
                    self.assertEqual(wire.produce_errors(c.ask("Produce", 8, wire.produce("bad", [0], batch))), [0])
            self.assertNotIn("DAMAGED", self.explain(port, "bad")[0])
            with open(os.path.join(broker.data, "bad-0", "0" * 20 + ".log"), "r+b") as log:
                log.seek(len(batch) + 80)
                log.write(b"?")
            moldau.wait_for(lambda: "DAMAGED" in self.explain(port, "bad")[0], moldau.ANSWER_SECONDS, "to be found")
            text, _ = self.explain(port, "bad")
            self.assertRegex(text, r"\n    DAMAGED: offsets 1\.\.1 \(\d+ bytes\) are not served")
            segment = json.loads(self.explain(port, "bad", "--format", "json")[0])["partitions"][0]["segments"][0]
            self.assertEqual(segment["damages"], [{"offset": 1, "nextOffset": 2, "bytes": len(batch)}])

    def test_what_cannot_be_told_is_said(self):
        with observed() as broker:
            port = ports_of(broker)
            with broker.connect() as c:
                moldau.create_topic(c, "one")
            self.assertIn("there is no such topic", self.explain(port, "nothing", code=1)[1])
            self.assertIn("one has no partition 7", self.explain(port, "one", "-p", "7", code=1)[1])
            self.assertIn("is not a topic's name", self.explain(port, "../metrics", code=2)[1])
            self.assertIn("which topic?", self.explain(port, code=2)[1])
            self.assertRegex(self.explain(broker.port, "one", code=1)[1], "no answer from .* metrics.listener")
            self.assertEqual(Page(port, "/topics//segments").status, 404)
            self.assertEqual(Page(port, "/topics/one/segments/").status, 404)
        self.assertRegex(self.explain(port, "one", code=1)[1], "refused.* metrics.listener .*empty: off")

    def test_a_damaged_partition_is_told_beside_the_others(self):
        with observed() as broker:
            with broker.connect() as c:
                moldau.create_topic(c, "lost", partitions=2)
                for partition in range(2):
                    self.assertEqual(append(c, "lost", [b"x"], partition), 0)
            self.assertEqual(broker.stop()[0], 0)
            for path in glob.glob(broker.data + "/lost-0/*.log"):
                os.truncate(path, 10)
            broker.start()
            text, _ = self.explain(ports_of(broker), "lost", code=1)
            self.assertRegex(text, r"lost-0: .*\n")
            self.assertIn("lost-1: log start offset 0, high watermark 1", text)


class Port(unittest.TestCase):
    def test_other_paths_and_methods(self):
        with observed() as broker:
            port = ports_of(broker)
            self.assertEqual(Page(port, "/").status, 404)
            self.assertEqual(Page(port, "/metrics/").status, 404)
            self.assertEqual(Page(port, "/metrics?a=b", "GET").status, 200)
            self.assertEqual(Page(port, "/metrics", "POST").status, 405)
            head = Page(port, "/metrics", "HEAD")
            self.assertEqual((head.status, head.text), (200, ""))
            self.assertGreater(head.length, 1000)

    def test_a_connection_is_kept_for_many_looks(self):
        with observed() as broker:
            connection = http.client.HTTPConnection("127.0.0.1", ports_of(broker), timeout=moldau.ANSWER_SECONDS)
            for _ in range(50):
                connection.request("GET", "/metrics")
                answer = connection.getresponse()
                self.assertEqual(answer.status, 200)
                check_format(self, answer.read().decode())
            connection.close()

    def test_those_who_say_nothing_keep_nobody_out(self):
        with observed() as broker:
            port = ports_of(broker)
            idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
            page = Page(port)
            self.assertEqual(page.status, 200)
            self.assertLessEqual(page.get("moldau_http_connections"), 16)
            for s in idle:
                s.close()

    def test_those_who_do_not_end_their_requests_keep_nobody_out(self):
        with observed() as broker:
            port = ports_of(broker)
            slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(16)]
            for s in slow:
                s.sendall(b"GET /metrics HTTP/1.1\r\nA: ")
            for _ in range(3):
                self.assertEqual(Page(port).status, 200)
            for s in slow:
                s.close()

    def test_only_who_uses_a_name_of_the_brokers_is_answered(self):
        with observed({"advertised.listeners": "PLAINTEXT://broker-1.example:9092"}) as broker:
            port = ports_of(broker)
            for host in ("localhost", "LOCALHOST:1", "127.0.0.1", "10.1.2.3:80", "[::1]:9644", "Broker-1.example:9644"):
                self.assertEqual(Page(port, host=host).status, 200, host)
            for host in ("rebound.example", "localhost.example:9644", "127.0.0.1.example", "broker-1.example.org"):
                for path in ("/metrics", "/healthz", "/topics/a/segments", "/"):
                    page = Page(port, path, "HEAD", host=host)
                    self.assertEqual((page.status, page.text), (403, ""), host)
            self.assertIn("advertised.listeners", Page(port, "/healthz", host="rebound.example").text)

    def test_a_port_in_use_is_a_warning(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            with observed({"metrics.listener": f"127.0.0.1:{taken.getsockname()[1]}"}) as broker:
                self.assertNotIn("metrics", broker.start_lines)
                self.assertRegex(broker.log(), r"WARN +no /metrics and /healthz: cannot listen on 127.0.0.1:\d+: .*in use")
                with broker.connect() as c:
                    moldau.create_topic(c, "served")
                self.assertEqual(broker.stop()[0], 0)

    def test_a_listener_that_cannot_be_read_ends_the_start(self):
        with moldau.Broker({"metrics.listener": "nonsense"}, start=False) as broker:
            broker.launch()
            self.assertEqual(broker.wait(), 1)
            self.assertIn("metrics.listener=nonsense is neither HOST:PORT nor empty", broker.log())

    def test_looks_under_way_do_not_hold_up_a_stop(self):
        with observed() as broker:
            port = ports_of(broker)
            waiting = [socket.create_connection(("127.0.0.1", port)) for _ in range(8)]
            for s in waiting:
                s.sendall(b"GET /metrics HTTP/1.1\r\n\r\n" * 20)
            code, seconds = broker.stop()
            self.assertEqual(code, 0)
            self.assertLess(seconds, 5)
            for s in waiting:
                s.close()


if __name__ == "__main__":
    moldau.main()
