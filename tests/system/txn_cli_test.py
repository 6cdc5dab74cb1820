#!/usr/bin/env python3
"""Transactions on the command line: `moldau produce --transaction`, `consume --isolation`, `txn ...`.

$MOLDAU_BOOTSTRAP_FOR_TXN is a broker that runs already (a real Kafka), tested instead of ours.
"""
import json
import os
import signal
import subprocess
import time
import unittest

import moldau
import wire
import wire_admin

SECONDS = 60
TRANSACTIONAL = 0x10
UNVERIFIED = "transaction.partition.verification.enable=false"
RUN = os.getpid()  # the broker may have been there before


class Transactions(unittest.TestCase):
    names = 0

    @classmethod
    def setUpClass(cls):
        cls.broker = None
        cls.bootstrap = os.environ.get("MOLDAU_BOOTSTRAP_FOR_TXN")
        if not cls.bootstrap:
            cls.broker = moldau.Broker({"transaction.state.log.num.partitions": 4, "transaction.abort.timed.out.transaction.cleanup.interval.ms": 200})
            cls.bootstrap = f"127.0.0.1:{cls.broker.port}"
        cls.port = int(cls.bootstrap.rpartition(":")[2])
        if "EndTxn" not in wire_admin.apis(cls.port):
            cls.tearDownClass()
            raise unittest.SkipTest("the broker has no transactions")

    @classmethod
    def tearDownClass(cls):
        if cls.broker:
            cls.broker.end()

    def name(self, what):
        type(self).names += 1
        return f"{what}-{RUN}-{self.names}"

    def run_cli(self, *arguments, data="", code=0):
        done = subprocess.run([moldau.binary(), *arguments, "-b", self.bootstrap], input=data, capture_output=True, text=True,
                              timeout=SECONDS, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout if code == 0 else done.stderr

    def json(self, *arguments):
        return [json.loads(line) for line in self.run_cli(*arguments, "--format", "json").splitlines()]

    def topic(self, partitions=1):
        name = self.name("topic")
        self.run_cli("topic", "create", name, "--partitions", str(partitions))
        wire_admin.wait_for_leaders(self.port, name, partitions)
        return name

    def committed(self, topic):
        return sorted(self.run_cli("consume", topic, "-e", "--isolation", "read_committed").splitlines())

    def everything(self, topic):
        return sorted(self.run_cli("consume", topic, "-e").splitlines())

    def producer(self, topic, name, *arguments):
        """One that waits for more input."""
        return subprocess.Popen([moldau.binary(), "produce", topic, "-b", self.bootstrap, "--transactional-id", name, *arguments],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def written(self, process, topic, line):
        process.stdin.write(line + "\n")
        process.stdin.flush()
        moldau.wait_for(lambda: line in self.everything(topic), SECONDS, f"{line} is written")

    def test_all_records_of_a_transaction_are_there_or_none(self):
        topic, name = self.topic(2), self.name("id")
        process = self.producer(topic, name)
        self.written(process, topic, "one")
        self.assertEqual(self.committed(topic), [])
        process.stdin.write("two\n")
        process.stdin.close()
        self.assertEqual(process.wait(SECONDS), 0, process.stderr.read())
        process.stdout.close()
        process.stderr.close()
        self.assertEqual(self.committed(topic), ["one", "two"])
        state, = self.json("txn", "describe", name)
        self.assertIn(state["state"], ("CompleteCommit", "PrepareCommit"))
        # Records that cannot be written take the others along.
        words = self.run_cli("produce", topic, "--transaction", "-X", "max.request.size=1000", data="three\n" + 2000 * "x" + "\n", code=1)
        self.assertIn("the transaction is not committed", words)
        self.assertEqual(self.committed(topic), ["one", "two"])

    def test_a_transaction_after_each_few_records(self):
        topic, name = self.topic(), self.name("id")
        values = [str(number) for number in range(10)]
        self.run_cli("produce", topic, "--transaction-records", "3", "--transactional-id", name, data="\n".join(values))
        self.assertEqual(self.committed(topic), values)
        # Four markers stand between them.
        self.assertEqual(wire_admin.offsets(self.port, topic, 1)[0], 14)

    def test_a_successor_fences_who_was_there_before(self):
        topic, name = self.topic(), self.name("id")
        first = self.producer(topic, name)
        self.written(first, topic, "zombie")
        self.run_cli("produce", topic, "--transactional-id", name, data="heir\n")
        out, words = first.communicate("late\n", timeout=SECONDS)
        self.assertEqual(first.returncode, 1)
        self.assertIn("the transaction is not committed", words + out)
        self.assertEqual(self.committed(topic), ["heir"])

    def test_explain_says_what_holds_readers_back_and_when_it_ends(self):
        topic, name = self.topic(2), self.name("id")
        process = self.producer(topic, name, "-p", "1", "-X", "transaction.timeout.ms=4000")
        self.written(process, topic, "open")
        process.send_signal(signal.SIGKILL)
        process.communicate()
        free, held = self.json("txn", "explain", topic)
        self.assertEqual((free["lastStableOffset"], free["highWatermark"], free["open"]), (0, 0, []))
        self.assertEqual((held["lastStableOffset"], held["highWatermark"]), (0, 1))
        row, = held["open"]
        self.assertEqual((row["transactionalId"], row["state"], row["startOffset"], row["timeoutMs"], row["ends"]), (name, "Ongoing", 0, 4000, "timeout"))
        self.assertEqual(row["abortedAtMs"], row["startMs"] + 4000)
        words = self.run_cli("txn", "explain", f"{topic}:1")
        self.assertIn(f"transactional id {name}, from offset 0 on", words)
        self.assertIn("will be aborted at", words)
        listed, = [row for row in self.json("txn", "list", "--state", "ongoing") if row["transactionalId"] == name]
        self.assertEqual(listed["producerId"], row["producerId"])
        described, = self.json("txn", "describe", name)
        self.assertEqual((described["partitions"], described["startMs"]), ([{"topic": topic, "partition": 1}], row["startMs"]))
        producers = self.json("txn", "producers", f"{topic}:1")
        self.assertEqual([(p["producerId"], p["startOffset"]) for p in producers], [(row["producerId"], 0)])
        # A coordinator will end it: it does not hang.
        self.assertEqual(self.json("txn", "find-hanging", topic, "--max-transaction-timeout", "0"), [])
        moldau.wait_for(lambda: not self.json("txn", "explain", f"{topic}:1")[0]["open"], SECONDS, "the broker aborts it")
        self.assertIn("nothing is held back", self.run_cli("txn", "explain", f"{topic}:1"))
        self.assertEqual(self.committed(topic), [])

    def test_filters_and_what_is_not_there(self):
        topic, name = self.topic(), self.name("filtered")
        self.run_cli("produce", topic, "--transactional-id", name, data="x\n")
        row, = self.json("txn", "list", "--id-pattern", f"{name[:-1]}.")
        self.assertEqual(self.json("txn", "list", "--producer-id", str(row["producerId"])), [row])
        self.assertEqual([r for r in self.json("txn", "list", "--state", "ongoing") if r == row], [])
        self.assertIn("no transactional id nobody is known", self.run_cli("txn", "describe", "nobody", code=1))
        self.assertIn("there is no state foo", self.run_cli("txn", "list", "--state", "foo", code=2))
        self.assertIn("no open transaction begins at offset 5",
                      self.run_cli("txn", "abort", topic, "--partition", "0", "--start-offset", "5", code=1))
        self.run_cli("txn", "abort", topic, "--partition", "0", code=2)

    def hang(self, topic):
        """Leaves a transaction open that no coordinator knows of: the broker is told not to ask one."""
        records = wire.batch([b"hangs"], timestamp=int(time.time() * 1000), producer=(777777, 0, 0), attributes=TRANSACTIONAL)
        self.run_cli("config", "alter", "--broker-defaults", "--add-config", UNVERIFIED)

        def is_written():
            with moldau.Connection(self.port) as c:
                answer = c.ask("Produce", 11, {**wire.produce(topic, [0], records), "TransactionalId": "nobody"})
            return wire.produce_errors(answer)[0] == 0
        try:
            moldau.wait_for(is_written, SECONDS, "the broker takes it")
        finally:
            self.run_cli("config", "alter", "--broker-defaults", "--delete-config", UNVERIFIED.partition("=")[0])

    def test_what_hangs_is_found_and_ended(self):
        topic = self.topic()
        self.hang(topic)
        self.run_cli("produce", topic, "--transaction", data="behind\n")
        self.assertEqual(self.committed(topic), [])
        row, = self.json("txn", "find-hanging", topic, "--max-transaction-timeout", "0")
        self.assertEqual((row["topic"], row["partition"], row["producerId"], row["startOffset"]), (topic, 0, 777777, 0))
        self.assertEqual(self.json("txn", "find-hanging", topic), [], "it is not 15 minutes old")
        words = self.run_cli("txn", "explain", topic)
        self.assertIn("no coordinator knows the producer", words)
        self.assertIn(f"moldau txn abort {topic} --partition 0 --start-offset 0", words)
        self.run_cli("txn", "abort", topic, "--partition", "0", "--start-offset", "0")
        self.assertEqual(self.committed(topic), ["behind"])
        self.assertEqual(self.json("txn", "find-hanging", topic, "--max-transaction-timeout", "0"), [])


if __name__ == "__main__":
    moldau.main()
