#!/usr/bin/env python3
"""Start and stop of a broker: what it prints, what it keeps, and what it says when it cannot."""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

import moldau
import wire


class Life(unittest.TestCase):
    def test_start_lines(self):
        with moldau.Broker({"memory.limit.bytes": 100 << 20, "shards": 2}) as broker:
            for text in (f"127.0.0.1:{broker.port}", broker.data, "durability", "100 MiB", "shards      2",
                         "moldau topic create", "moldau produce", "moldau consume"):
                self.assertIn(text, broker.start_lines)

    def test_sigterm_is_a_clean_stop_within_a_second(self):
        with moldau.Broker() as broker:
            with broker.connect() as c:
                moldau.create_topic(c, "t", 10)
                code, seconds = broker.stop()
            self.assertEqual(code, 0, broker.log())
            self.assertLess(seconds, 1.0)
            self.assertTrue(os.path.exists(os.path.join(broker.data, ".kafka_cleanshutdown")))
            # A busy machine may hold a shard for a moment; that is said, and is no matter of the stop.
            warnings = [line for line in broker.log().splitlines() if "WARN" in line and "stood still for about" not in line]
            self.assertEqual(warnings, [])

    def test_sigterm_with_a_fetch_that_waits(self):
        with moldau.Broker() as broker:
            with broker.connect() as c:
                moldau.create_topic(c, "t")
                c.send(wire.request("Fetch", 11, {"ReplicaId": -1, "MaxWaitMs": 60000, "MinBytes": 1, "MaxBytes": 1000,
                                                  "Topics": [{"Topic": "t", "Partitions": [
                                                      {"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": 1000}]}]}))
                c.ask  # nothing is read: the fetch is parked
                code, seconds = broker.stop()
            self.assertEqual(code, 0, broker.log())
            self.assertLess(seconds, 1.0)

    def test_topics_ids_and_cluster_survive(self):
        with moldau.Broker() as broker:
            with broker.connect() as c:
                ids = {name: moldau.create_topic(c, name, 3, {"retention.ms": "12345"}) for name in ("a", "b", "c.d")}
                before = c.ask("Metadata", 12, {"Topics": None})
                c.ask("DeleteTopics", 6, {"TimeoutMs": 5000, "Topics": [{"Name": "b"}]})
            for stop in (broker.stop, broker.kill):
                stop()
                broker.start()
                with broker.connect() as c:
                    after = c.ask("Metadata", 12, {"Topics": None})
                    self.assertEqual(after["ClusterId"], before["ClusterId"])
                    self.assertEqual({t["Name"]: t["TopicId"] for t in after["Topics"]},
                                     {name: ids[name] for name in ("a", "c.d")})
                    self.assertEqual([len(t["Partitions"]) for t in after["Topics"]], [3, 3])
                    told = c.ask("DescribeConfigs", 4, {"Resources": [
                        {"ResourceType": 2, "ResourceName": "a", "ConfigurationKeys": ["retention.ms"]}]})
                    self.assertEqual(told["Results"][0]["Configs"][0]["Value"], "12345")

    def test_producer_ids_are_never_given_twice(self):
        with moldau.Broker({"shards": 2}) as broker:
            seen = set()
            for stop in (broker.stop, broker.kill, broker.stop):
                for _ in range(4):
                    with broker.connect() as c:
                        for _ in range(5):
                            answer = c.ask("InitProducerId", 4, {"TransactionalId": None})
                            self.assertEqual((answer["ErrorCode"], answer["ProducerEpoch"]), (0, 0))
                            self.assertNotIn(answer["ProducerId"], seen)
                            seen.add(answer["ProducerId"])
                stop()
                broker.start()

    def fails(self, *arguments, code=1):
        exit_code, out, err = moldau.run_moldau("broker", *arguments)
        self.assertEqual(exit_code, code, err)
        self.assertEqual(out, "")
        return err

    def test_busy_port(self):
        with moldau.Broker() as broker:
            folder = tempfile.mkdtemp()
            err = self.fails("--data", folder, "--listen", f"127.0.0.1:{broker.port}")
            self.assertIn(f"cannot listen on 127.0.0.1 port {broker.port}", err)
            self.assertIn("choose another port", err)
            shutil.rmtree(folder)

    def test_data_folder_in_use(self):
        with moldau.Broker() as broker:
            err = self.fails("--data", broker.data, "--listen", "127.0.0.1:0")
            self.assertIn("in use", err)
            self.assertIn(broker.data, err)
            with broker.connect() as c:
                c.ask("ApiVersions", 0)

    def test_data_folder_of_another_broker_or_cluster(self):
        with moldau.Broker() as broker:
            broker.stop()
            err = self.fails("--data", broker.data, "--listen", "127.0.0.1:0", "--set", "node.id=77")
            self.assertIn("another", err)
            path = os.path.join(broker.data, "meta.properties")
            with open(path, encoding="utf-8") as f:
                lines = f.read()
            self.assertIn("cluster.id=", lines)
            changed = "\n".join("cluster.id=AAAAAAAAAAAAAAAAAAABAA" if line.startswith("cluster.id=") else line
                                for line in lines.splitlines()) + "\n"
            with open(path, "w", encoding="utf-8") as f:
                f.write(changed)
            err = self.fails("--data", broker.data, "--listen", "127.0.0.1:0")
            self.assertIn("another", err)

    def test_bad_settings(self):
        for setting, text in (("log.segment.bytes=abc", "log.segment.bytes"), ("listeners=SSL://127.0.0.1:0", "PLAINTEXT"),
                              ("listeners=nonsense", "listeners"), ("num.partitions=0", "num.partitions")):
            with self.subTest(setting=setting):
                folder = tempfile.mkdtemp()
                err = self.fails("--data", folder, "--set", setting)
                self.assertIn(text, err)
                shutil.rmtree(folder)

    def test_unknown_settings_are_warned_about_once(self):
        with moldau.Broker({"no.such.setting": 1}) as broker:
            self.assertEqual(broker.log().count("no.such.setting"), 1)

    def test_wrong_use(self):
        for arguments in (["--no-such-option", "1"], ["--set", "pair"], ["--data"], ["a.properties", "b.properties"]):
            with self.subTest(arguments=arguments):
                self.assertIn("moldau broker --help", self.fails(*arguments, code=2))
        self.assertEqual(moldau.run_moldau("no-such-verb")[0], 2)
        self.assertEqual(moldau.run_moldau()[0], 2)
        self.assertEqual(moldau.run_moldau("version")[0], 0)
        self.assertEqual(moldau.run_moldau("broker", "--help")[0], 0)

    def test_properties_file_and_set(self):
        with tempfile.NamedTemporaryFile("w", suffix=".properties") as f:
            f.write("# a comment\nnum.partitions = 5\nnode.id: 9\nprocess.roles=broker,controller\n"
                    "controller.quorum.voters=9@localhost:9093\ncontroller.listener.names=CONTROLLER\n"
                    "listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:9093\n"
                    "advertised.listeners=PLAINTEXT://broker.example:7777\n")
            f.flush()
            with moldau.Broker({"log.retention.ms": 777}, arguments=["--config", f.name], listen=None) as broker:
                with broker.connect() as c:
                    told = c.ask("Metadata", 12, {"Topics": None})
                    self.assertEqual(told["Brokers"], [{"NodeId": 9, "Host": "broker.example", "Port": 7777, "Rack": None}])
                    answer = c.ask("CreateTopics", 7, {"timeoutMs": 9999, "Topics": [
                        {"Name": "t", "NumPartitions": -1, "ReplicationFactor": -1}]})
                    self.assertEqual(answer["Topics"][0]["NumPartitions"], 5)
                    told = c.ask("DescribeConfigs", 4, {"Resources": [
                        {"ResourceType": 2, "ResourceName": "t", "ConfigurationKeys": ["retention.ms"]}]})
                    self.assertEqual(told["Results"][0]["Configs"][0]["Value"], "777")

    def test_a_client_is_told_the_address_that_it_came_to(self):
        with moldau.Broker({"listeners": "PLAINTEXT://:0"}, listen=None) as broker:
            for host in ("127.0.0.1", "127.0.0.2"):
                with moldau.Connection(broker.port, host) as c:
                    told = c.ask("Metadata", 12, {"Topics": []})
                    self.assertEqual((told["Brokers"][0]["Host"], told["Brokers"][0]["Port"]), (host, broker.port))
                    told = c.ask("DescribeCluster", 0)
                    self.assertEqual(told["Brokers"][0]["Host"], host)

    def test_several_listeners(self):
        settings = {"listeners": "A://127.0.0.1:0,B://127.0.0.2:0", "listener.security.protocol.map": "A:PLAINTEXT,B:PLAINTEXT",
                    "inter.broker.listener.name": "A", "advertised.listeners": "A://a.example:1,B://b.example:2"}
        with moldau.Broker(settings, listen=None) as broker:
            with broker.connect() as c:
                self.assertEqual(c.ask("Metadata", 1, {"Topics": []})["Brokers"][0]["Host"], "a.example")

    def test_stray_folders_are_kept_and_not_adopted(self):
        with moldau.Broker() as broker:
            broker.stop()
            os.mkdir(os.path.join(broker.data, "unknown-0"))
            broker.start()
            with broker.connect() as c:
                self.assertEqual(c.ask("Metadata", 12, {"Topics": None})["Topics"], [])
            names = os.listdir(broker.data)
            self.assertTrue(any(n.startswith("unknown-0") and n.endswith("-stray") for n in names), names)
            self.assertIn("unknown-0", broker.log())

    def test_starts_in_a_moment(self):
        """The first answer of a process with no data, in less than the time of a Java start by far."""
        with moldau.Broker(start=False) as broker:
            self.assertLess(broker.start(), 2.0)

    def test_both_ways_of_io(self):
        for io in ("epoll", "auto"):
            with self.subTest(io=io), moldau.Broker(arguments=["--io", io]) as broker:
                if io == "epoll":
                    self.assertIn("over epoll", broker.start_lines)
                with broker.connect() as c:
                    moldau.create_topic(c, "t", 4)

    def test_out_of_descriptors(self):
        """More clients than descriptors: one line says so, data keeps its share, and it goes on once some have left."""
        if not shutil.which("prlimit"):
            self.skipTest("no prlimit")
        with moldau.Broker(start=False) as broker:
            command = broker.command
            broker.command = lambda: ["prlimit", "--nofile=200:200", *command()]
            broker.start()
            with broker.connect() as first:
                moldau.create_topic(first, "t", 200)
                kept = []
                for _ in range(300):
                    s = socket.socket()
                    s.setblocking(False)
                    s.connect_ex(("127.0.0.1", broker.port))
                    kept.append(s)
                broker.wait_for_log("ulimit -n")
                for records in (b"one", b"two"):
                    answer = first.ask("Produce", 8, wire.produce("t", range(200), wire.batch([records])))
                    self.assertEqual(wire.produce_errors(answer), [0] * 200)
                self.assertEqual(broker.log().count("ulimit -n"), 1)
                for s in kept:
                    s.close()
                with broker.connect() as c:
                    self.assertEqual(c.ask("ApiVersions", 0)["ErrorCode"], 0)

    def test_kcat_lists_the_cluster(self):
        if not shutil.which("kcat"):
            self.skipTest("no kcat")
        with moldau.Broker() as broker:
            with broker.connect() as c:
                moldau.create_topic(c, "listed", 2)
            done = subprocess.run(["kcat", "-b", f"127.0.0.1:{broker.port}", "-L"], capture_output=True, text=True,
                                  timeout=30)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn('topic "listed" with 2 partitions', done.stdout)

    def test_sigint_stops_as_well(self):
        with moldau.Broker() as broker:
            broker.signal(signal.SIGINT)
            self.assertEqual(broker.wait(), 0)


if __name__ == "__main__":
    moldau.main()
