#!/usr/bin/env python3
"""`moldau log verify`: a folder that a broker left is whole; each damage at random is found, or is of a kind that is named here.

What nobody damaged is not called damaged: folders of random lives (MOLDAU_VERIFY_LIVES=N brokers, one after the other), the archives of tests/compat/data.

A campaign: MOLDAU_VERIFY_DAMAGES=10000 MOLDAU=build/release/moldau tests/system/verify_test.py (MOLDAU_VERIFY_SEED=N for another one).
"""
import collections
import glob
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import moldau  # noqa: E402

DAMAGES = int(os.environ.get("MOLDAU_VERIFY_DAMAGES", "200"))
LIVES = int(os.environ.get("MOLDAU_VERIFY_LIVES", "30"))
SEED = int(os.environ.get("MOLDAU_VERIFY_SEED", "1"))
SECONDS = 120


def cli(*arguments, data=b"", code=0):
    done = subprocess.run([moldau.binary(), *arguments], input=data, capture_output=True, timeout=SECONDS)
    if code is not None and done.returncode != code:
        raise AssertionError(f"{arguments}: exit code {done.returncode}, not {code}\n{done.stdout.decode()}{done.stderr.decode()}")
    return done


def verify(folder, *more, code=None):
    """(exit code, findings, counts)"""
    done = cli("log", "verify", folder, "--format", "json", *more, code=code)
    if done.returncode not in (0, 1) or done.stderr:
        raise AssertionError(f"exit code {done.returncode}: {done.stderr.decode()}")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, rows[:-1], rows[-1]


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def fill(broker):
    """Topics with several segments, with each codec, with few records; several leader epochs are not to be had from one broker."""
    bootstrap = ("-b", f"127.0.0.1:{broker.port}")
    words = random.Random(7)
    for name, lines, more, settings in (
            ("rolled", 60000, ("-X", "batch.size=4000"), ("-c", "segment.bytes=1048576", "-c", "index.interval.bytes=2000")),
            ("codec", 3000, ("-z", "lz4", "-X", "batch.size=1000"), ("-c", "index.interval.bytes=1000")),
            ("zstd", 500, ("-z", "zstd"), ()), ("one", 1, (), ())):
        cli("topic", "create", name, *settings, *bootstrap)
        data = b"".join(b"%d %x\n" % (n, words.getrandbits(8 * words.randrange(1, 40))) for n in range(lines))
        cli("produce", name, *more, *bootstrap, data=data)


def damage(whole, chance):
    """(what was done, the bytes), always other bytes than before."""
    while True:
        kind = chance.choice(("flip", "flip", "flip", "cut", "zero"))
        at = chance.randrange(len(whole))
        if kind == "flip":
            after = whole[:at] + bytes([whole[at] ^ 1 << chance.randrange(8)]) + whole[at + 1:]
        elif kind == "cut":
            after = whole[:at]
        else:
            size = chance.choice((1, 4, 8, 61, 512, 4096))
            after = whole[:at] + bytes(min(size, len(whole) - at)) + whole[at + size:]
        if after != whole:
            return f"{kind} at {at}", after


def numbers(data):
    """What a checkpoint says, however it is written."""
    return [line.split() for line in data.replace(b"\r", b"").split(b"\n") if line.split()]


def properties(data):
    return {k.strip(): v.strip() for k, _, v in (re.sub(rb"[=:]", b"=", line, count=1).partition(b"=") for line in data.splitlines())}


def undetectable(name, whole, after):
    """The reason why nobody can tell; None when it has to be found."""
    base = os.path.basename(name)
    if base == "meta.properties":
        return "cluster, node and directory have no checksum"
    if base == ".kafka_cleanshutdown" and re.fullmatch(rb'{"version":0,"brokerEpoch":-?[0-9]+}', after):
        return "the marker's number, where it could be Kafka's: a note says that the manifest is not used"
    if base.startswith("moldau-journal-"):
        return "journals are not read after a clean stop"
    if "checkpoint" in base and numbers(whole) == numbers(after):
        return "a checkpoint that reads the same"
    if base == "partition.metadata" and properties(whole) == properties(after):
        return "metadata that reads the same"
    return None


class Verify(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = moldau.Broker()
        fill(cls.broker)
        cls.broker.stop()
        cls.folder = cls.broker.data

    @classmethod
    def tearDownClass(cls):
        cls.broker.end()

    def test_a_clean_folder_is_whole(self):
        _, findings, counts = verify(self.folder, "--deep", code=0)
        self.assertEqual(findings, [])
        self.assertEqual(counts["logs"], 4)
        self.assertEqual(counts["records"], 63501)
        self.assertGreater(counts["segments"], 6)
        self.assertIn("nothing is damaged", cli("log", "verify", self.folder).stdout.decode())

    def test_the_folder_of_one_partition_can_be_looked_at_alone(self):
        _, findings, counts = verify(os.path.join(self.folder, "rolled-0"), code=0)
        self.assertEqual(findings, [])
        self.assertEqual(counts["records"], 60000)

    def test_each_random_damage_is_found_or_of_a_kind_that_is_named(self):
        chance = random.Random(SEED)
        files = sorted(os.path.join(base, name) for base, _, names in os.walk(self.folder) for name in names)
        files = [name for name in files if ".moldau-metadata" not in name and os.path.getsize(name) > 0]
        found, named = collections.Counter(), collections.Counter()
        for number in range(DAMAGES):
            name = chance.choice(files)
            whole = read(name)
            # Most of the journals is empty, and they are large: where there is something, that is hit.
            what, after = damage(whole[:65536] if "journal" in name else whole, chance)
            kind = re.sub(r"[0-9]{20}|[0-9]+$", "", os.path.basename(name))
            try:
                write(name, after)
                code, findings, _ = verify(self.folder)
            finally:
                write(name, whole)
            reason = undetectable(name, whole, after)
            words = f"damage {number} of seed {SEED}: {os.path.relpath(name, self.folder)}, {what}: {findings}"
            if code == 0:
                self.assertIsNotNone(reason, words)
                named[reason] += 1
                continue
            found[kind] += 1
            relative = os.path.relpath(name, self.folder)
            self.assertTrue(any(f["grade"] == "damage" and (f["file"] == relative or f["file"] == os.path.dirname(relative) or f["file"] == "."
                                                            or os.path.dirname(f["file"]) == os.path.dirname(relative))
                                for f in findings), words)
        print(f"\n{DAMAGES} damages, seed {SEED}: {sum(found.values())} found {dict(found)}; nobody can tell: {dict(named)}", flush=True)

    def test_damage_is_told_with_file_position_and_offset(self):
        log = os.path.join(self.folder, "zstd-0", "00000000000000000000.log")
        whole = read(log)
        cases = ((whole[:-1] + bytes([whole[-1] ^ 1]), "the CRC does not match"), (whole[:-1], "cut off"), (whole[:5], "cut off"),
                 (b"\0" * len(whole), "no batch"), (whole + b"\0" * 20, "no batch"), (b"", "at the last clean stop it had"),
                 (whole[:7] + b"\1" + whole[8:], "offset"), (whole[:15] + b"\3" + whole[16:], "leader epoch 3"),
                 (whole[:16] + b"\1" + whole[17:], "magic 1"))
        try:
            for after, told in cases:
                with self.subTest(told=told):
                    write(log, after)
                    _, findings, _ = verify(self.folder, code=1)
                    self.assertTrue(any(told in f["text"] and f["file"] == "zstd-0/" + os.path.basename(log) for f in findings), findings)
                    self.assertEqual(findings[-1]["folder"], self.folder)
            write(log, cases[0][0])
            words = cli("log", "verify", self.folder, code=1).stdout.decode()
            self.assertIn(f"DAMAGED {log} at position 0 (offset 0): the CRC does not match the batch\n", words)
        finally:
            write(log, whole)

    def test_files_that_are_gone_are_told(self):
        for name in ("rolled-0/00000000000000000000.log", "rolled-0/00000000000000000000.index", "codec-0/partition.metadata",
                     "one-0/leader-epoch-checkpoint", "meta.properties", "moldau-manifest"):
            with self.subTest(name=name):
                path = os.path.join(self.folder, name)
                os.rename(path, path + ".away")
                try:
                    _, findings, _ = verify(self.folder, code=1)
                    self.assertIn(name, [f["file"] for f in findings if f["grade"] == "damage"])
                finally:
                    os.rename(path + ".away", path)

    def test_what_it_cannot_look_at_is_said(self):
        for arguments, told, code in (((self.folder + "/nowhere",), "not found", 1), ((self.folder + "/moldau-state",), "is a file", 1), (("/usr",), "neither a log folder", 1), ((), "which folder?", 2),
                                      ((self.folder, "--what"), "--what", 2), ((self.folder, "--format", "xml"), "text or json", 2)):
            with self.subTest(told=told):
                done = cli("log", "verify", *arguments, code=code)
                self.assertIn(told, done.stderr.decode())


class Life:
    """A broker's folder through random lives: topics come and go, are written, trimmed, purged and compacted; each life ends cleanly or by a kill."""

    SETTINGS = {"log.retention.check.interval.ms": "20", "log.cleaner.backoff.ms": "20", "log.segment.delete.delay.ms": "20", "log.initial.task.delay.ms": "20", "shards": "2"}
    KINDS = ((), ("segment.bytes=1048576",), ("segment.bytes=1048576", "retention.bytes=1500000"), ("segment.ms=100", "retention.ms=100"),
             ("segment.ms=100", "cleanup.policy=compact", "min.cleanable.dirty.ratio=0.01"))

    def __init__(self, chance):
        self.chance = chance
        self.topics, self.made = [], 0
        self.broker = moldau.Broker(self.SETTINGS, start=False)
        self.done = []

    def cli(self, *arguments, **more):
        self.done.append(" ".join(arguments))
        return cli(*arguments, "-b", f"127.0.0.1:{self.broker.port}", **more)

    def create(self):
        # Names come again: another topic of the same one is another log.
        name = f"t{self.made % 7}"
        self.made += 1
        if name in self.topics:
            return
        settings = [word for pair in self.chance.choice(self.KINDS) for word in ("-c", pair)]
        self.cli("topic", "create", name, "-p", str(self.chance.choice((1, 1, 3))), *settings)
        self.topics.append(name)

    def lines(self):
        count = self.chance.choice((1, 50, 3000, 40000))
        return b"".join(b"k%d:%x\n" % (self.chance.randrange(50), self.chance.getrandbits(160)) for _ in range(count))

    def produce(self):
        if self.topics:
            batch = self.chance.choice(("1000", "16384", "200000"))
            self.cli("produce", self.chance.choice(self.topics), "-k", ":", "-X", f"batch.size={batch}", data=self.lines())

    def delete(self):
        if self.topics:
            name = self.topics.pop(self.chance.randrange(len(self.topics)))
            self.cli("topic", "delete", name)

    def trim(self):
        if self.topics:
            self.cli("topic", "trim", self.chance.choice(self.topics), "--to", self.chance.choice(("end", "1")), code=None)

    def wait(self):
        # Retention and the cleaner come round several times.
        time.sleep(self.chance.choice((0.03, 0.3)))

    def end_it(self):
        """Sometimes in the middle of what a producer sends."""
        clean = self.chance.random() < 0.5
        self.done.append("stop" if clean else "kill")
        if self.topics and self.chance.random() < 0.3:
            with subprocess.Popen([moldau.binary(), "produce", self.chance.choice(self.topics), "-k", ":", "-X", "batch.size=2000", "-X", "delivery.timeout.ms=1000",
                                   "-X", "request.timeout.ms=500", "-b", f"127.0.0.1:{self.broker.port}"], stdin=subprocess.PIPE,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as producer:
                try:
                    producer.stdin.write(self.lines() * 4)
                    producer.stdin.flush()
                except BrokenPipeError:
                    pass
                self.finish(clean)
                producer.kill()
        else:
            self.finish(clean)

    def finish(self, clean):
        if clean:
            self.broker.stop()
        else:
            self.broker.kill()

    def live(self):
        self.broker.start()
        self.create()
        for _ in range(self.chance.randrange(1, 9)):
            self.chance.choice((self.create, self.produce, self.produce, self.produce, self.delete, self.trim, self.wait))()
        self.end_it()


class Undamaged(unittest.TestCase):
    def assert_whole(self, folder, words=""):
        code, findings, _ = verify(folder)
        self.assertEqual((code, [f for f in findings if f["grade"] == "damage"]), (0, []), words)

    def test_a_folder_of_random_lives_is_never_damaged(self):
        life = Life(random.Random(SEED))
        try:
            for number in range(LIVES):
                life.done = life.done[-40:] + [f"-- life {number}"]
                life.live()
                self.assert_whole(life.broker.data, f"seed {SEED}, life {number}: " + "; ".join(life.done))
                self.assertNotIn("stays offline", life.broker.log())
        finally:
            life.broker.end()

    def test_archives_of_data_folders_are_not_damaged(self):
        archives = sorted(glob.glob(os.path.join(moldau.ROOT, "tests", "compat", "data", "*.tar.xz")))
        self.assertGreaterEqual(len(archives), 4)
        for archive in archives:
            with self.subTest(archive=os.path.basename(archive)), tempfile.TemporaryDirectory() as folder:
                with tarfile.open(archive) as tar:
                    tar.extractall(folder)
                self.assert_whole(folder)


    def test_segments_that_retention_took_before_a_kill_are_not_missed(self):
        with moldau.Broker({"log.retention.check.interval.ms": "20", "log.segment.delete.delay.ms": "20", "log.initial.task.delay.ms": "20"}) as broker:
            bootstrap = ("-b", f"127.0.0.1:{broker.port}")
            for name in ("a", "b", "c"):
                cli("topic", "create", name, "-c", "retention.ms=100", "-c", "segment.ms=100", *bootstrap)
                cli("produce", name, *bootstrap, data=b"x\n" * 50)
            moldau.wait_for(lambda: not any(os.path.getsize(log) for log in glob.glob(os.path.join(broker.data, "?-0", "*.log"))))
            broker.kill()
            self.assert_whole(broker.data)
            broker.start()
            broker.kill()
            self.assert_whole(broker.data)

    def test_a_topic_that_was_deleted_before_a_kill_is_not_missed(self):
        with moldau.Broker() as broker:
            bootstrap = ("-b", f"127.0.0.1:{broker.port}")
            cli("topic", "create", "g1", *bootstrap)
            cli("produce", "g1", *bootstrap, data=b"x\n" * 50)
            # So that the checkpoint of the next start has it.
            broker.kill()
            broker.start()
            cli("topic", "delete", "g1", "-b", f"127.0.0.1:{broker.port}")
            broker.kill()
            self.assert_whole(broker.data)
            broker.start()
            broker.stop()
            self.assert_whole(broker.data)

    def test_after_a_kill_what_recovery_refuses_is_damage_and_what_it_mends_is_none(self):
        with moldau.Broker() as broker:
            fill(broker)
            broker.restart()
            cli("produce", "one", "-b", f"127.0.0.1:{broker.port}", data=b"x\n")
            broker.kill()
            log = os.path.join(broker.data, "zstd-0", "00000000000000000000.log")
            last = sorted(glob.glob(os.path.join(broker.data, "rolled-0", "*.log")))[-1]
            cases = ((log, lambda whole: whole[:-1], 1), (log, lambda whole: whole[:100] + b"?" + whole[101:], 1), (log, lambda _: b"", 1),
                     (log, lambda whole: whole + b"\0" * 20, 0), (last, lambda whole: whole + whole[-50:], 0),
                     (last.replace(".log", ".index"), lambda whole: whole[:-3], 0), (last.replace(".log", ".timeindex"), lambda whole: whole[:-5], 0))
            for number, (name, harm, wanted) in enumerate(cases):
                with self.subTest(number=number):
                    whole = read(name)
                    write(name, harm(whole))
                    code, findings, _ = verify(broker.data)
                    write(name, whole)
                    self.assertEqual(code, wanted, findings)
                    self.assertTrue(any(f["file"].startswith(os.path.basename(os.path.dirname(name))) for f in findings), findings)

    def test_every_file_of_a_folder_can_be_dumped(self):
        with moldau.Broker() as broker:
            fill(broker)
            for end in (broker.kill, broker.stop):
                if not broker.process:
                    broker.start()
                end()
                files = sorted(glob.glob(os.path.join(broker.data, "*")) + glob.glob(os.path.join(broker.data, "*", "*")) +
                               glob.glob(os.path.join(broker.data, ".kafka*")))
                words = cli("log", "dump", *files, code=0).stdout.decode()
                self.assertNotIn("DAMAGED", words)
                for told in ("run: ", "kind: data topic: rolled partition: 0 segment: ", f"Skipping {broker.data}/one-0: it is a folder"):
                    self.assertIn(told, words)
            self.assertIn("topic: zstd partition: 0 topicId: ", words)
            self.assertIn("4 logs", words)


class WhileItRuns(unittest.TestCase):
    def test_a_running_brokers_folder_is_left_alone_and_a_killed_ones_is_judged_by_what_was_synced(self):
        with moldau.Broker() as broker:
            fill(broker)
            self.assertIn("a broker runs on this folder", cli("log", "verify", broker.data, code=1).stderr.decode())
            broker.kill()
            code, findings, counts = verify(broker.data)
            self.assertEqual((code, [f for f in findings if f["grade"] == "damage"]), (0, []), findings)
            self.assertIn(".kafka_cleanshutdown", [f["file"] for f in findings])
            self.assertEqual(counts["records"], 63501)
            log = os.path.join(broker.data, "rolled-0", "00000000000000000000.log")
            whole = read(log)
            write(log, whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:])
            _, findings, _ = verify(broker.data)
            self.assertIn("rolled-0/00000000000000000000.log", [f["file"] for f in findings])


if __name__ == "__main__":
    moldau.main()
