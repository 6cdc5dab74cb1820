#!/usr/bin/env python3
"""The verbs of `moldau` that talk to a cluster, against our broker, and against the real Kafka where a JDK and it are found.

Every test is a method of Verbs and runs once a broker: bytes in, bytes out, exit codes, and what is said when something is wrong.
"""
import base64
import glob
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "compat"))

import kafka  # noqa: E402
import moldau  # noqa: E402

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
SECONDS = 120


def cli(*arguments, data=b"", bootstrap=None, code=0):
    """Runs a verb; (stdout, stderr as text). Fails when the exit code is another one."""
    environment = {**os.environ, "MOLDAU_BOOTSTRAP": bootstrap or ""}
    done = subprocess.run([moldau.binary(), *arguments], input=data, capture_output=True, timeout=SECONDS, env=environment)
    if done.returncode != code:
        raise AssertionError(f"{arguments}: exit code {done.returncode}, not {code}\n{done.stderr.decode()}")
    return done.stdout, done.stderr.decode()


def read(name):
    with open(name, "rb") as file:
        return file.read()


class Verbs:
    """Not a test case itself: the classes below give it a broker."""

    bootstrap = None
    topics = 0

    def cli(self, *arguments, **more):
        return cli(*arguments, bootstrap=self.bootstrap, **more)

    def topic(self, partitions=1, *more):
        type(self).topics += 1
        name = f"cli-{type(self).__name__.lower()}-{self.topics}"
        self.cli("topic", "create", name, "--partitions", str(partitions), *more)
        return name

    def consume(self, topic, *more):
        return self.cli("consume", topic, "-e", *more)[0]

    def test_lines_come_back_byte_for_byte_with_every_codec(self):
        words = random.Random(1)
        lines = b"".join(b" ".join(b"word%d" % words.randrange(1000) for _ in range(words.randrange(30))) + b"\n"
                         for _ in range(20000))
        lines += b"\n\xff\xfe not utf-8 \x01\n" + b"long " * 100000 + b"\nlast line without its end"
        for codec in CODECS:
            with self.subTest(codec=codec):
                topic = self.topic()
                self.cli("produce", topic, "-z", codec, data=lines)
                self.assertEqual(self.consume(topic), lines + b"\n")

    def test_an_empty_input_produces_nothing(self):
        topic = self.topic()
        self.cli("produce", topic)
        self.assertEqual(self.consume(topic), b"")

    def test_keys_headers_and_nulls(self):
        topic = self.topic()
        self.cli("produce", topic, "-k", ":", "-H", "a=1", "-H", "b=", "-Z", data=b"k1:v1\nk2:\n:v3\nno key\n:a:b\n")
        self.assertEqual(self.consume(topic, "-f", r"%o %K %k %S %s %h\n", "-Z"),
                         b"0 2 k1 2 v1 a=1,b=\n1 2 k2 -1 NULL a=1,b=\n2 -1 NULL 2 v3 a=1,b=\n3 -1 NULL 6 no key a=1,b=\n"
                         b"4 -1 NULL 3 a:b a=1,b=\n")
        self.assertEqual(self.consume(topic, "-K", "=", "-c", "2"), b"k1=v1\nk2=\n")

    def test_formats_of_rpk(self):
        topic = self.topic()
        self.cli("produce", topic, "--key", "K", "-H", "h=x", data=b"hello\n\x00\xff\n")
        for form, expected in (
                (r"%v\n", b"hello\n\x00\xff\n"),
                (r"%k{hex} %v{base64} %V{big32} %T %t\n",
                 b"4b aGVsbG8= \0\0\0\5 %d %s\n4b AP8= \0\0\0\2 %d %s\n" % ((len(topic), topic.encode()) * 2)),
                (r"%i %p %o{hex16} %H%h{ %k=%v}%%%{%}\n", b"0 0 0000 1 h=x%{}\n1 0 0001 1 h=x%{}\n"),
                (r"%e %d{bool} %v{base64raw}\n", b"0 true aGVsbG8\n0 true AP8\n")):
            with self.subTest(form=form):
                self.assertEqual(self.consume(topic, "-f", form), expected)
        year = self.consume(topic, "-c", "1", "-f", "%d{strftime[%Y]} %d{go[2006]}")
        self.assertEqual(year[:4], year[5:])
        self.assertGreater(int(year[:4]), 2020)

    def test_json(self):
        topic = self.topic()
        self.cli("produce", topic, "-k", ":", "-H", "h=1", data='k:grün\n\xff'.encode("latin-1") + b":x\nonly value\n")
        rows = [json.loads(line) for line in self.consume(topic, "-f", "json").splitlines()]
        self.assertEqual([row["offset"] for row in rows], [0, 1, 2])
        self.assertEqual(rows[0]["topic"], topic)
        self.assertEqual(rows[0]["key"], "k")
        self.assertEqual(base64.b64decode(rows[0]["value_base64"]), "grün".encode("latin-1"))
        self.assertEqual(base64.b64decode(rows[1]["key_base64"]), b"\xff")
        self.assertEqual((rows[2]["key"], rows[2]["value"]), (None, "only value"))
        self.assertEqual(rows[2]["headers"], [{"key": "h", "value": "1"}])

    def test_offsets(self):
        topic = self.topic()
        self.cli("produce", topic, data=b"".join(b"%d\n" % n for n in range(100)))
        for where, expected in (("beginning", range(100)), ("end", ()), ("97", (97, 98, 99)), ("-2", (98, 99)), ("-1000", range(100)),
                                ("@0", range(100)), ("@99999999999999", ()), ("earliest:end", range(100)), ("100", ())):
            with self.subTest(where=where):
                self.assertEqual(self.consume(topic, "-o", where), b"".join(b"%d\n" % n for n in expected))
        self.assertEqual(self.consume(topic, "-o", "10", "-c", "3"), b"10\n11\n12\n")
        _, words = self.cli("consume", topic, "-e", "-o", "101", code=1)
        self.assertIn("there is no offset 101", words)

    def test_partitions(self):
        topic = self.topic(4)
        self.cli("produce", topic, "-p", "2", data=b"a\nb\n")
        self.cli("produce", topic, "-p", "3", data=b"c\n")
        self.assertEqual(self.consume(topic, "-p", "2", "-f", r"%p/%o %s\n"), b"2/0 a\n2/1 b\n")
        self.assertEqual(self.consume(topic, "-p", "0,3"), b"c\n")
        self.assertEqual(sorted(self.consume(topic).split()), [b"a", b"b", b"c"])
        self.assertIn("no number 9", self.cli("produce", topic, "-p", "9", data=b"x\n", code=1)[1])
        self.assertIn("no number 9", self.cli("consume", topic, "-p", "9", "-e", code=1)[1])

    def test_equal_keys_share_a_partition(self):
        topic = self.topic(8)
        self.cli("produce", topic, "-k", ":", data=b"".join(b"%d:%d\n" % (n % 20, n) for n in range(400)))
        homes = {}
        for line in self.consume(topic, "-f", r"%k %p\n").splitlines():
            key, partition = line.split()
            self.assertEqual(homes.setdefault(key, partition), partition)
        self.assertEqual(len(homes), 20)
        self.assertGreater(len(set(homes.values())), 3)

    def test_partition_by(self):
        lines = b"".join(b"same:%d\n" % n for n in range(400))
        for way, homes, largest in (("key", 1, 400), ("round-robin", 4, 100)):
            with self.subTest(way=way):
                topic = self.topic(4)
                self.cli("produce", topic, "-k", ":", "--partition-by", way, data=lines)
                seen = self.consume(topic, "-f", r"%p\n").split()
                self.assertEqual((len(set(seen)), max(seen.count(p) for p in set(seen))), (homes, largest))
        topic = self.topic(4)
        self.cli("produce", topic, "-k", ":", "--partition-by", "sticky", "-X", "batch.size=500", data=lines)
        self.assertGreater(len(set(self.consume(topic, "-f", r"%p\n").split())), 1)

    def test_the_topic_may_stand_behind_the_files(self):
        topic = self.topic()
        name = os.path.abspath(__file__)
        self.cli("produce", name, "-t", topic)
        self.assertEqual(self.consume(topic, "-D", ""), read(name))

    def test_whole_files_and_other_delimiters(self):
        topic = self.topic()
        files = sorted(glob.glob(os.path.join(HERE, "*.md")) + [os.path.abspath(__file__)])
        self.cli("produce", topic, *files)
        expected = b"".join(read(name) + b"\0" for name in files)
        self.assertEqual(self.consume(topic, "-D", r"\0"), expected)
        topic = self.topic()
        self.cli("produce", topic, "-D", ";", data=b"a;b\n;;c")
        self.assertEqual(self.consume(topic, "-D", "|"), b"a|b\n||c|")
        topic = self.topic()
        self.cli("produce", topic, "-l", files[0], "-c", "2")
        self.assertEqual(self.consume(topic), b"".join(line + b"\n" for line in read(files[0]).split(b"\n")[:2]))

    def test_acks_and_settings(self):
        topic = self.topic()
        for acks in ("0", "1", "all", "-1"):
            self.cli("produce", topic, "-a", acks, data=b"x\n")
        self.assertEqual(self.consume(topic, "-o", "beginning", "-c", "4"), b"x\n" * 4)
        self.cli("produce", topic, "-X", "linger.ms=0", "-X", "batch.size=1", data=b"y\n" * 500)
        self.assertEqual(self.consume(topic, "-o", "-500"), b"y\n" * 500)

    def test_topics(self):
        name = self.topic(3, "--config", "retention.ms=123456789", "-c", "max.message.bytes=2000")
        self.assertIn(name, self.cli("topic", "list")[0].decode().split())
        words = self.cli("topic", "describe", name)[0].decode()
        self.assertIn("PartitionCount: 3\tReplicationFactor: 1\tConfigs: max.message.bytes=2000,retention.ms=123456789\n", words)
        self.assertEqual(words.count("\tLeader: 1\tReplicas: 1\tIsr: 1\n"), 3)
        said = json.loads(self.cli("topic", "describe", name, "--format", "json")[0])
        self.assertEqual((said["name"], said["configs"]), (name, {"max.message.bytes": "2000", "retention.ms": "123456789"}))
        self.assertEqual([(p["partition"], p["leader"], p["replicas"], p["isr"]) for p in said["partitions"]],
                         [(n, 1, [1], [1]) for n in range(3)])
        self.assertIn("exists", self.cli("topic", "create", name, code=1)[1])
        self.cli("topic", "create", "--topic", name, "--if-not-exists")
        rows = [json.loads(row) for row in self.cli("topic", "list", "--format", "json")[0].splitlines()]
        self.assertEqual([row["partitions"] for row in rows if row["name"] == name], [3])
        _, words = self.cli("produce", name, data=b"x" * 3000 + b"\n", code=1)
        self.assertIn("1 of 1 records were not acknowledged", words)
        self.cli("topic", "delete", name)
        self.cli("topic", "delete", name, "--if-exists")
        self.assertIn(name, self.cli("topic", "delete", name, code=1)[1])
        self.assertIn("does not exist", self.cli("topic", "describe", name, code=1)[1])
        self.assertIn("does not exist", self.cli("consume", name, "-e", code=1)[1])

    def test_of_several_topics_each_has_its_line_and_the_rest_goes_on(self):
        there, new, newer = self.topic(), self.topic() + "-n", self.topic() + "-nn"
        out, err = self.cli("topic", "create", new, there, newer, code=1)
        self.assertEqual(out.decode().split("\n")[:-1], [f"created topic {new}", f"created topic {newer}"])
        self.assertEqual((len(err.splitlines()), there in err), (1, True), err)
        out, err = self.cli("topic", "describe", new, "no-such", newer, code=1)
        self.assertEqual([f"Topic: {t}\t" in out.decode() for t in (new, newer)], [True, True])
        self.assertIn("no-such does not exist", err)
        out, err = self.cli("topic", "alter", "no-such", newer, "--add-config", "retention.ms=77", code=1)
        self.assertEqual((out, "no-such" in err), (f"altered {newer}\n".encode(), True), err)
        out, err = self.cli("topic", "delete", new, "no-such", newer, "nor-this", code=1)
        self.assertEqual(out.decode().split("\n")[:-1], [f"deleted topic {new}", f"deleted topic {newer}"])
        self.assertEqual([name in line for name, line in zip(("no-such does not exist", "nor-this"), err.splitlines())], [True, True])

    def test_glued_options_and_the_names_of_kafka_console_consumer(self):
        topic = self.topic()
        self.cli("produce", topic, "-qk:", data=b"a:1\nb:2\nc:3\n")
        for words in (["-c2"], ["-qc", "2"], ["--from-beginning", "--max-messages", "2"], ["-eqc2", "-o0"]):
            with self.subTest(words=words):
                self.assertEqual(self.cli("consume", topic, *words)[0], b"1\n2\n")
        self.assertEqual(self.consume(topic, "-p0", "-o-1", "-k=", "-f%k%s"), b"c3")

    def test_too_large_a_record_names_the_limit_and_how_to_raise_it(self):
        topic = self.topic(1, "--config", "max.message.bytes=1000")
        self.assertIn("max.message.bytes", self.cli("produce", topic, data=b"x" * 3000, code=1)[1])
        self.assertIn("max.request.size", self.cli("produce", topic, "-X", "max.request.size=2000", data=b"x" * 3000, code=1)[1])
        self.cli("topic", "alter", topic, "--add-config", "max.message.bytes=5000")
        self.cli("produce", topic, data=b"x" * 3000)

    def test_an_offset_that_is_not_there_is_told_with_what_goes_on(self):
        topic = self.topic()
        err = self.cli("consume", topic, "-e", "-o99", code=1)[1]
        self.assertIn("-X auto.offset.reset=earliest", err)

    def test_a_batch_too_large_for_its_topic_is_split(self):
        topic = self.topic(1, "--config", "max.message.bytes=20000")
        lines = b"".join(b"%d %s\n" % (n, b"z" * 90) for n in range(5000))
        self.cli("produce", topic, data=lines)
        self.assertEqual(self.consume(topic), lines)

    def test_cluster(self):
        words = self.cli("cluster", "info")[0].decode()
        self.assertIn(f"broker:     1 at {self.bootstrap}, controller", words)
        said = json.loads(self.cli("cluster", "info", "--format", "json")[0])
        host, port = self.bootstrap.split(":")
        self.assertEqual((said["controller"], said["brokers"]), (1, [{"id": 1, "host": host, "port": int(port), "rack": None}]))


class OurBroker(Verbs, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = moldau.Broker()
        cls.bootstrap = f"127.0.0.1:{cls.broker.port}"

    @classmethod
    def tearDownClass(cls):
        cls.broker.end()

    def test_producing_to_a_topic_that_nobody_creates_ends_soon(self):
        with moldau.Broker({"auto.create.topics.enable": "false"}) as broker:
            err = cli("produce", "nobody", data=b"x\n", bootstrap=f"127.0.0.1:{broker.port}", code=1)[1]
        self.assertIn("topic nobody does not exist", err)

    def test_a_closed_terminal_is_a_clean_stop(self):
        # Who started the tests may ignore it, and a broker that inherits that does too, as nohup wants it.
        before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
        try:
            broker = moldau.Broker()
        finally:
            signal.signal(signal.SIGHUP, before)
        with broker:
            broker.signal(signal.SIGHUP)
            self.assertEqual(broker.wait(), 0)
            self.assertTrue(os.path.exists(os.path.join(broker.data, ".kafka_cleanshutdown")))

    def test_too_little_memory_is_refused(self):
        self.assertIn("at least 16777216", cli("broker", "--set", "memory.limit.bytes=1000", code=1)[1])

    def test_a_port_of_http_is_no_broker(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            def answer():
                with server.accept()[0] as connection:
                    connection.recv(1000)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            threading.Thread(target=answer, daemon=True).start()
            err = cli("topic", "list", bootstrap=f"127.0.0.1:{server.getsockname()[1]}", code=1)[1]
        self.assertIn("this is HTTP", err)

    def test_a_segment_is_dumped_and_damage_is_told(self):
        topic = self.topic()
        self.cli("produce", topic, "-k", ":", "-z", "lz4", data=b"k:hello\n:b\\c\n")
        # A segment whose first batch is its only one has no entry, and no index file.
        indexed = self.topic(1, "--config", "index.interval.bytes=0")
        for _ in range(2):
            self.cli("produce", indexed, data=b"x\n")
        self.broker.restart()
        self.bootstrap = type(self).bootstrap = f"127.0.0.1:{self.broker.port}"
        name = os.path.join(self.broker.data, f"{topic}-0", "00000000000000000000.log")
        words = self.cli("log", "dump", name, "--print-data")[0].decode()
        self.assertIn("compresscodec: lz4", words)
        self.assertIn("isvalid: true", words)
        self.assertIn("| offset: 0 CreateTime: ", words)
        self.assertIn("key: k value: hello\n", words)
        self.assertIn("key:  value: b\\x5cc\n", words)
        self.assertIn("1 batches, 2 records\n", words)
        folder = os.path.dirname(name)
        indexes = os.path.join(self.broker.data, f"{indexed}-0", "00000000000000000000")
        for file, told in ((f"{indexes}.index", "offset: 1 position: "), (f"{indexes}.timeindex", " offset: 1\n"),
                           (f"{folder}/00000000000000000002.snapshot", "lastSequence: 1 lastOffset: 1 offsetDelta: 1\n1 producers"),
                           (f"{folder}/leader-epoch-checkpoint", "leaderEpoch: 0 startOffset: 0\n1 epochs"),
                           (f"{folder}/partition.metadata", "topicId: "),
                           (f"{self.broker.data}/meta.properties", "nodeId: 1 "),
                           (f"{self.broker.data}/moldau-checkpoint-start", f"topic: {topic} partition: 0 topicId: ")):
            self.assertIn(told, self.cli("log", "dump", file)[0].decode())
            cut = os.path.join(self.broker.data, os.path.basename(file))
            kept = read(file)
            with open(cut, "wb") as out:
                out.write(kept[:-5] or b"x")
            self.assertIn("DAMAGED", self.cli("log", "dump", cut, code=1)[0].decode())
            os.remove(cut)
            if cut == file:
                with open(cut, "wb") as out:
                    out.write(kept)
        whole = read(name)
        copy = os.path.join(self.broker.data, "copy")
        for damaged, told in ((whole[:-1] + bytes([whole[-1] ^ 1]), "the CRC does not match"), (whole + whole[:30], "cut off: 30 bytes"),
                              (whole + b"x" * 100, "no record batch"), (whole + whole, "offsets go back")):
            with open(copy, "wb") as file:
                file.write(damaged)
            self.assertIn(told, self.cli("log", "dump", copy, code=1)[0].decode())


class RealKafka(Verbs, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        reason = kafka.missing()
        if reason:
            raise unittest.SkipTest(reason)
        cls.broker = kafka.Kafka()
        cls.broker.__enter__()
        cls.bootstrap = cls.broker.address

    @classmethod
    def tearDownClass(cls):
        cls.broker.close()


class WithoutBroker(unittest.TestCase):
    def test_where_nobody_listens_one_line_says_what_to_do(self):
        for verb in (("topic", "list"), ("topic", "create", "x"), ("cluster", "info"), ("consume", "x"), ("produce", "x")):
            with self.subTest(verb=verb):
                _, words = cli(*verb, "-b", "127.0.0.1:1", data=b"line\n", code=1)
                self.assertIn("cannot connect to 127.0.0.1:1: connection refused; is the broker running?", words)
                self.assertEqual(words.count("\n"), 1)

    def test_wrong_use_exits_with_2_and_one_line(self):
        for arguments, told in ((("produce",), "which topic?"), (("consume",), "which topic?"), (("topic", "create"), "which topic?"),
                                (("produce", "t", "--nonsense"), "--nonsense"), (("consume", "t", "-o", "soon"), "beginning, end, N, -N"),
                                (("consume", "t", "-f", "%y"), "unknown verb"), (("consume", "t", "-f", "%v{cbor}"), "unknown format"),
                                (("produce", "t", "-X", "lingr.ms=1"), "did you mean linger.ms?"),
                                (("produce", "t", "-X", "bogus=1"), "unknown setting bogus; docs/guide.md lists them"),
                                (("produce", "t", "file", "-l", "lines"), "not both"), (("consume", "t", "-qx"), "-x, in -qx"),
                                (("broker", "--bogus"), "no such option: --bogus"),
                                (("broker", "--listen", "127.0.0.1:99999"), "a port from 0 to 65535"),
                                (("produce", "t", "-z", "brotli"), "none, gzip, snappy, lz4, zstd"), (("produce", "t", "-a", "2"), "acks=2"),
                                (("topic", "create", "t", "--partitions", "many"), "a number"),
                                (("topic", "list", "-b", "localhost:port"), "is not host:port"),
                                (("produce", "t", "-H", "novalue"), "NAME=VALUE"), (("produce", "t", "-c", "0"), "from 1 on, not 0"),
                                (("produce", "t", "--partition-by", "luck"), "key, sticky or round-robin, not luck"),
                                (("produce", "-t", "a", "-t", "b"), "one topic, please: a or b"), (("produce", ""), "name is empty"),
                                (("consume", "a", "b", "-p", "0"), "-p is for one topic"), (("consume", "^a"), "-g GROUP"),
                                (("consume", "a", "-g", "g", "-p", "0"), "the group assigns partitions"),
                                (("consume", "a", "-g", "g", "-o", "5"), "beginning or end"), (("consume", "a", "--group-instance-id", "i"), "-g GROUP"),
                                (("topic", "create", "t", "-r", "0"), "from 1 to 32767, not 0"), (("log", "dump"), "which file?")):
            with self.subTest(arguments=arguments):
                _, words = cli(*arguments, code=2)
                self.assertIn(told, words)
                self.assertEqual(words.count("\n"), 1)

    def test_help_is_found_however_it_is_asked_for(self):
        listed = cli("--help")[0].decode()
        for line in listed.splitlines()[2:-2]:
            verb = line[2:22].split()
            with self.subTest(verb=verb):
                words = cli(*verb, "--help")[0].decode()
                self.assertTrue(words.startswith("usage: moldau " + " ".join(verb)), words)
                self.assertEqual(words, cli("help", *verb)[0].decode())
                self.assertEqual(words, cli(*verb, "-h")[0].decode())
        self.assertRegex(cli("topic", code=2)[1], "what of create, .*list, ")
        self.assertRegex(cli("help", "topic")[0].decode(), "what of create, .*list, ")
        self.assertIn("no such verb: topik list", cli("topik", "list", code=2)[1])
        self.assertIn("no such verb: nonsense", cli("help", "nonsense", code=2)[1])

    def test_log_dump_of_no_segment(self):
        self.assertIn("cannot open", cli("log", "dump", "/nowhere/0.log", code=1)[1])
        self.assertIn("is no file", cli("log", "dump", "/tmp", code=1)[1])


if __name__ == "__main__":
    moldau.main()
