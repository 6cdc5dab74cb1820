#!/usr/bin/env python3
"""Members of groups by `moldau consume -g`, in both protocols, against our broker.

Every test is a method of Groups and runs once a broker and once a way to be a member. $MOLDAU_BOOTSTRAP_FOR_GROUPS is a broker that runs already
(a real Kafka, which takes minutes), tested instead. Members are processes: they share partitions, are stopped and killed, and what they print is counted.
"""
import collections
import os
import signal
import subprocess
import tempfile
import unittest

import moldau

SECONDS = 60
CONSUMER_GROUP_HEARTBEAT = 68
RUN = os.getpid()  # the broker may have been there before
WAYS = {
    "consumer": ["-X", "group.protocol=consumer"],
    "range": ["-X", "group.protocol=classic", "-X", "session.timeout.ms=6000", "-X", "heartbeat.interval.ms=500",
              "-X", "partition.assignment.strategy=range"],
    "cooperative": ["-X", "group.protocol=classic", "-X", "session.timeout.ms=6000", "-X", "heartbeat.interval.ms=500",
                    "-X", "partition.assignment.strategy=cooperative-sticky"],
}


def wait_for(condition, what):
    return moldau.wait_for(condition, SECONDS, what)


class Member:
    """A process `moldau consume -g ... -v`; what it has and what it printed can be asked at any time."""

    def __init__(self, bootstrap, group, *arguments):
        self.folder = tempfile.TemporaryDirectory(prefix="moldau-member-")
        self.out = os.path.join(self.folder.name, "out")
        self.err = os.path.join(self.folder.name, "err")
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = subprocess.Popen([moldau.binary(), "consume", "-b", bootstrap, "-g", group, "-v", *arguments],
                                            stdout=out, stderr=err)

    def words(self):
        with open(self.err, encoding="utf-8") as file:
            return [line for line in file.read().split("\n")[:-1] if line]

    def lines(self):
        with open(self.out, encoding="utf-8") as file:
            return file.read().split("\n")[:-1]

    def has(self):
        """The partitions that it has, by its own word."""
        mine = set()
        for line in self.words():
            what, _, names = line.partition(":")
            names = set() if names == " none" else set(names.split())
            if what == "assigned":
                mine |= names
            elif what in ("revoked", "lost"):
                mine -= names
        return mine

    def end(self, number=signal.SIGTERM):
        """Sends a signal, unless it has ended, and waits for it; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=SECONDS)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.folder.cleanup()


class Groups:
    """Not a test case itself: the classes below give it a broker and a way."""

    bootstrap = None
    way = None
    names = 0

    def setUp(self):
        self.members = []

    def tearDown(self):
        for member in self.members:
            member.close()

    def name(self, what):
        type(self).names += 1
        return f"{what}-{type(self).__name__.lower()}-{RUN}-{self.names}"

    def cli(self, *arguments, data=""):
        done = subprocess.run([moldau.binary(), *arguments, "-b", self.bootstrap], input=data, capture_output=True, text=True,
                              timeout=SECONDS)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def topic(self, partitions=6):
        name = self.name("topic")
        self.cli("topic", "create", name, "--partitions", str(partitions))
        return name

    def produce(self, topic, values):
        """To all partitions in turn."""
        self.cli("produce", topic, "--partition-by", "round-robin", data="".join(f"{value}\n" for value in values))

    def member(self, group, *arguments):
        member = Member(self.bootstrap, group, *arguments, *WAYS[self.way])
        self.members.append(member)
        return member

    def shared(self, members, topic, partitions):
        """Waits until they have all partitions, each one, and as evenly as can be."""
        everything = {f"{topic}/{number}" for number in range(partitions)}

        def settled():
            sets = [member.has() for member in members]
            sizes = sorted(len(mine) for mine in sets)
            return sum(sizes) == partitions and set().union(*sets) == everything and sizes[-1] - sizes[0] <= 1
        try:
            wait_for(settled, "all partitions are shared evenly")
        except AssertionError as error:
            raise AssertionError(f"{error}: {[member.words() for member in members]}") from None

    def printed(self, printed, count):
        try:
            wait_for(lambda: len(printed()) == count, "all records are printed")
        except AssertionError as error:
            lacking = sorted(set(range(count)) - set(printed()))
            raise AssertionError(f"{error}: {lacking} of {count}, {[member.words() for member in self.members]}") from None

    def test_members_share_and_who_is_killed_is_replaced_where_the_group_left_off(self):
        topic, group = self.topic(), self.name("group")
        produced = 0

        def more(count):
            nonlocal produced
            self.produce(topic, range(produced, produced + count))
            produced += count

        def printed():
            return collections.Counter(int(line) for member in self.members for line in member.lines())

        more(600)
        first = self.member(group, topic, "-X", "auto.commit.interval.ms=200")
        second = self.member(group, topic, "-X", "auto.commit.interval.ms=200")
        self.shared([first, second], topic, 6)
        more(600)
        third = self.member(group, topic, "-X", "auto.commit.interval.ms=200")
        self.shared([first, second, third], topic, 6)
        more(600)
        self.printed(printed, produced)
        # Nobody failed so far: nothing was read twice.
        self.assertEqual(set(printed().values()), {1})
        third.end(signal.SIGKILL)
        more(600)
        self.shared([first, second], topic, 6)
        self.printed(printed, produced)
        twice = [value for value, count in printed().items() if count > 1]
        self.assertTrue(set(twice) <= {int(line) for line in third.lines()}, "twice is what the killed one had not committed")
        self.assertEqual(first.end(), 0)
        self.shared([second], topic, 6)
        self.assertEqual(second.end(signal.SIGINT), 0)
        # All is committed: who comes now finds nothing.
        late = self.member(group, topic, "-e")
        self.assertEqual(late.process.wait(timeout=SECONDS), 0)
        self.assertEqual(late.lines(), [])

    def test_the_committed_offset_is_the_next_to_read(self):
        topic, group = self.topic(1), self.name("group")
        self.produce(topic, range(40))
        for arguments, lines in ((["-c", "16"], range(16)), (["-c", "1"], [16]), (["-e"], range(17, 40)), (["-e"], [])):
            member = self.member(group, topic, *arguments)
            self.assertEqual(member.process.wait(timeout=SECONDS), 0)
            self.assertEqual(member.lines(), [str(value) for value in lines])

    def test_without_commits_the_next_begins_at_the_same_place(self):
        topic, group = self.topic(1), self.name("group")
        self.produce(topic, range(3))
        for _ in range(2):
            member = self.member(group, topic, "-e", "-X", "enable.auto.commit=false")
            self.assertEqual(member.process.wait(timeout=SECONDS), 0)
            self.assertEqual(member.lines(), ["0", "1", "2"])

    def test_where_a_group_has_no_offset_the_option_says_where_to_begin(self):
        topic = self.topic(1)
        self.produce(topic, range(3))
        for arguments, lines in ((["-o", "end"], []), (["--from-beginning"], ["0", "1", "2"]), (["-X", "auto.offset.reset=latest"], []),
                                 (["-X", "auto.offset.reset=by_duration:PT1H"], ["0", "1", "2"])):
            member = self.member(self.name("group"), topic, "-e", *arguments)
            self.assertEqual(member.process.wait(timeout=SECONDS), 0)
            self.assertEqual(member.lines(), lines)
        member = self.member(self.name("group"), topic, "-e", "-X", "auto.offset.reset=none")
        self.assertEqual(member.process.wait(timeout=SECONDS), 1)
        self.assertIn("the group has no offset for it, and auto.offset.reset=none", "\n".join(member.words()))

    def test_a_member_with_a_name_that_stays_comes_back_without_a_rebalance(self):
        topic, group = self.topic(), self.name("group")
        static = self.member(group, topic, "--group-instance-id", "one")
        other = self.member(group, topic, "--group-instance-id", "two")
        self.shared([static, other], topic, 6)
        before, words = static.has(), other.words()
        self.assertEqual(static.end(), 0)
        back = self.member(group, topic, "--group-instance-id", "one")
        wait_for(lambda: back.has() == before, "the same partitions came back")
        self.produce(topic, range(60))
        wait_for(lambda: len(back.lines()) + len(other.lines()) == 60, "all records are printed")
        self.assertEqual(other.words(), words)

    def test_several_topics_and_one_that_comes_later(self):
        topics, group = [self.topic(2), self.topic(2)], self.name("group")
        late = self.name("late")
        member = self.member(group, *topics, late, "-X", "metadata.max.age.ms=500")
        wait_for(lambda: len(member.has()) >= 4, "four partitions came")
        for topic in topics:
            self.produce(topic, [topic])
        self.produce(late, [late])
        wait_for(lambda: set(member.lines()) == {*topics, late}, "a record of each topic")

    def test_more_members_than_partitions(self):
        topic, group = self.topic(1), self.name("group")
        self.produce(topic, range(5))
        first = self.member(group, topic)
        wait_for(lambda: len(first.lines()) == 5, "the first one reads")
        # It may or may not get the partition; either way it ends.
        second = self.member(group, topic, "-e")
        self.assertEqual(second.process.wait(timeout=SECONDS), 0)
        self.assertEqual(first.end(), 0)
        lines = first.lines() + second.lines()
        self.assertEqual(sorted(lines), [str(value) for value in range(5)])


def classes(where, base):
    """A class for each way to be a member."""
    return {f"{where}{way.capitalize()}": type(f"{where}{way.capitalize()}", (base, Groups, unittest.TestCase), {"way": way})
            for way in WAYS}


class Given:
    bootstrap = os.environ.get("MOLDAU_BOOTSTRAP_FOR_GROUPS")


class OurBroker:
    @classmethod
    def setUpClass(cls):
        cls.broker = moldau.Broker({"group.initial.rebalance.delay.ms": 0, "group.consumer.heartbeat.interval.ms": 500,
                                    "group.consumer.min.heartbeat.interval.ms": 500,
                                    "group.consumer.session.timeout.ms": 6000, "group.consumer.min.session.timeout.ms": 6000})
        cls.bootstrap = f"127.0.0.1:{cls.broker.port}"
        with cls.broker.connect() as c:
            apis = {row["ApiKey"] for row in c.ask("ApiVersions", 0)["ApiKeys"]}
        if cls.way == "consumer" and CONSUMER_GROUP_HEARTBEAT not in apis:
            cls.broker.end()
            raise unittest.SkipTest("the broker has no KIP-848")

    @classmethod
    def tearDownClass(cls):
        cls.broker.end()


if Given.bootstrap:
    globals().update(classes("Given", Given))
else:
    globals().update(classes("Moldau", OurBroker))

if __name__ == "__main__":
    moldau.main()
