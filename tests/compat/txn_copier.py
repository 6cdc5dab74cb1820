"""Kafka's own tools of its system tests under kill -9: VerifiableProducer fills a topic, copies of TransactionalMessageCopier copy it in transactions, a
third of which they take back, VerifiableConsumer reads the copy. A copier writes to the partition that it reads from, so each partition of the copy must
be its original, in its order. A story for txn.py.
"""
import json
import random
import subprocess
import tempfile
import threading
import time

import groups
import kafka
import wire_admin

FLAGS = ("-Xmx96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xlog:disable")
PACKAGE = "org.apache.kafka.tools."
PARTITIONS, RECORDS, PER_TXN = 2, 6000, 20
DONE_SECONDS = 180
TIMEOUT_MS = 20000


def tools():
    """The builder of what runs: nothing is built."""
    missing = kafka.missing()
    return (None, missing) if missing else (["kafka-tools"], None)


class Tool:
    """One of them that runs; its lines are JSON."""

    def __init__(self, heard, name, *arguments):
        self.heard, self.name, self.lines = heard, name, []
        self.complaints = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(kafka.command(PACKAGE + name, *arguments, flags=FLAGS), stdout=subprocess.PIPE, stderr=self.complaints, text=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                with self.heard:
                    self.lines.append(json.loads(line))
                    self.heard.notify_all()

    def wait(self):
        try:
            code = self.process.wait(DONE_SECONDS)
        except subprocess.TimeoutExpired as late:
            raise groups.Wrong(f"{self.name} does not end: {self.complaint()}") from late
        self.reader.join()
        if code:
            raise groups.Wrong(f"{self.name} ended with {code}: {self.complaint()}")
        return self.lines

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()

    def complaint(self):
        self.complaints.seek(0)
        return self.complaints.read()[-2000:]

    def close(self):
        if self.process.poll() is None:
            self.kill()
        self.process.stdout.close()
        self.complaints.close()


class Tools:
    """Each copier has a partition of its own."""
    group_mode = False
    most_kills = None

    def __init__(self, broker, name, _kinds, _commands, seed):
        self.broker, self.name, self.random = broker, name, random.Random(seed)
        self.heard = threading.Condition()
        self.everybody, self.copiers = [], []
        self.kills = {"worker": 0, "broker": 0, "successor": 0}
        self.input, self.output = f"{name}-in", f"{name}-out"

    def tool(self, name, *arguments):
        found = Tool(self.heard, name, *arguments)
        self.everybody.append(found)
        return found

    def copier(self, number):
        mode = ["--group-mode", "--use-group-metadata"] if self.group_mode else []
        return self.tool("TransactionalMessageCopier", "--broker-list", self.address(), "--input-topic", self.input, "--input-partition", str(number),
                         "--output-topic", self.output, "--consumer-group", self.name, "--transactional-id", f"{self.name}-{number}",
                         "--transaction-size", str(PER_TXN), "--transaction-timeout", str(TIMEOUT_MS), "--enable-random-aborts", *mode)

    def address(self):
        return f"127.0.0.1:{self.broker.port}"

    # --- what goes in and what comes out, by partition

    def fill(self):
        lines = self.tool("VerifiableProducer", "--bootstrap-server", self.address(), "--topic", self.input, "--max-messages", str(RECORDS),
                          "--repeating-keys", "50").wait()
        sent = [line for line in lines if line["name"] == "producer_send_success"]
        if len(sent) != RECORDS:
            raise groups.Wrong(f"{len(sent)} of {RECORDS} records were produced")
        return by_partition(sent)

    def read(self):
        with tempfile.NamedTemporaryFile("w", suffix=".properties") as config:
            config.write("isolation.level=read_committed\n")
            config.flush()
            lines = self.tool("VerifiableConsumer", "--bootstrap-server", self.address(), "--topic", self.output, "--group-id", self.name + "-reader",
                              "--max-messages", str(RECORDS), "--verbose", "--command-config", config.name).wait()
        return by_partition([line for line in lines if line["name"] == "record_data"])

    def committed(self):
        """How far the group says that it is."""
        try:
            answer = wire_admin.call(self.broker.port, "OffsetFetch", 7, {"GroupId": self.name, "RequireStable": False, "Topics": [
                {"Name": self.input, "PartitionIndexes": list(range(PARTITIONS))}]})
        except OSError:
            return -1
        return sum(max(p["CommittedOffset"], 0) for t in answer["Topics"] for p in t["Partitions"])

    # --- the story

    def progress(self):
        return sum(max((line["totalProcessed"] for line in tool.lines), default=0) for tool in self.everybody if tool.name == "TransactionalMessageCopier")

    def tend(self):
        """Who gave up, or was done while another's work came to it, gets a successor."""
        for number, tool in enumerate(self.copiers):
            code = tool.process.poll()
            if code is None or self.committed() == RECORDS:
                continue
            if code or self.group_mode:
                self.kills["successor"] += 1
                self.copiers[number] = self.copier(number)

    def wait(self, condition, what):
        end = time.monotonic() + DONE_SECONDS
        while not condition():
            if time.monotonic() > end:
                raise groups.Wrong(f"not within {DONE_SECONDS} s: {what}; {self.copiers[0].complaint()}")
            with self.heard:
                self.heard.wait(0.2)
            self.tend()

    def disturb(self, plan):
        for what in plan[:self.most_kills]:
            wanted = self.progress() + self.random.randint(5, 20) * PER_TXN
            self.wait(lambda wanted=wanted: self.progress() >= wanted or self.committed() == RECORDS, "records are copied")
            if self.committed() == RECORDS:
                return
            self.kills[what] += 1
            if what == "broker":
                self.broker.kill()
                self.broker.start()
            else:
                number = self.random.randrange(PARTITIONS)
                self.copiers[number].kill()
                self.copiers[number] = self.copier(number)

    def play(self, plan):
        for topic in (self.input, self.output):
            wire_admin.create_topic(self.broker.port, topic, PARTITIONS)
        original = self.fill()
        self.copiers = [self.copier(number) for number in range(PARTITIONS)]
        self.disturb(plan)
        self.wait(lambda: self.committed() == RECORDS, "all is copied")
        for tool in self.copiers:
            # In a group the last one may wait for what another has copied by now.
            if self.group_mode:
                tool.process.terminate()
            else:
                tool.wait()
        copy = self.read()
        for partition in range(PARTITIONS):
            if copy.get(partition) != original.get(partition):
                raise groups.Wrong(f"partition {partition}: {difference(original.get(partition, []), copy.get(partition, []))}")

    def history(self):
        return []

    def counts(self):
        return f"records {self.progress()}, kills of worker {self.kills['worker']}, of broker {self.kills['broker']}, gave up {self.kills['successor']}"

    def close(self):
        for tool in self.everybody:
            tool.close()


class ToolsInGroup(Tools):
    """The copiers share the partitions out; who was killed is missed for its session of ten seconds, so it happens less often."""
    group_mode = True
    most_kills = 3


def by_partition(lines):
    """Values in the order of their offsets."""
    found = {}
    for line in sorted(lines, key=lambda line: line["offset"]):
        found.setdefault(line["partition"], []).append(line["value"])
    return found


def difference(original, copy):
    twice, missing = len(copy) - len(set(copy)), len(set(original) - set(copy))
    first = next((i for i, (a, b) in enumerate(zip(original, copy)) if a != b), min(len(original), len(copy)))
    return f"{len(original)} records, {len(copy)} in the copy; {twice} twice, {missing} missing; different from {first} on"
