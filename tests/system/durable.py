"""What was acknowledged is there: load on a broker that dies again and again, and the check after each restart.

    Trial(broker, seed).run(rounds)      raises Violation, with what is wrong

Load: two idempotent producers (acks=all) and one with acks=1 on all partitions, a reader that follows them. After each death:
  - each acknowledged record is at its acknowledged offset, with its value, once
  - offsets are dense, and each producer's records of a partition are 0, 1, 2, ... in order: none lost, doubled or moved
  - what the reader has ever seen is still there (acks=1 included), and topics whose creation was answered exist
"""
import random
import threading
import time

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

import wire_admin

TOPIC = "ledger"
PARTITIONS = 6
WINDOW = 200  # records without an answer, a producer
LOOSE = 2  # the number of the producer with acks=1
ALLOWANCE = 3000  # records that a producer may send until the next death: checking takes longer the more there are
PROGRESS_SECONDS = 60


class Violation(Exception):
    pass


def client_settings(port):
    return {"bootstrap.servers": f"127.0.0.1:{port}", "reconnect.backoff.ms": 5, "reconnect.backoff.max.ms": 50,
            "log_level": 0, "socket.timeout.ms": 10000}


class Sender(threading.Thread):
    """One producer. `acknowledged` only grows: (partition, offset, value)."""

    def __init__(self, number, port, seed):
        super().__init__(daemon=True)
        self.number, self.random = number, random.Random(seed * 100 + number)
        self.next, self.open, self.acknowledged, self.refused = [0] * PARTITIONS, 0, [], []
        self.allowance = 0
        self.ending = threading.Event()
        settings = {**client_settings(port), "linger.ms": self.random.choice([0, 0, 2]), "message.timeout.ms": 300000,
                    "retry.backoff.ms": 10}
        if number == LOOSE:
            settings.update({"acks": 1, "retries": 0})
        else:
            settings.update({"enable.idempotence": True, "acks": "all"})
        self.producer = Producer(settings)

    def answered(self, error, message):
        self.open -= 1
        if error:
            self.refused.append(error)
        else:
            self.acknowledged.append((message.partition(), message.offset(), message.value()))

    def run(self):
        while not self.ending.is_set():
            if self.open >= WINDOW or not self.allowance:
                self.producer.poll(0.01)
                continue
            partition = self.random.randrange(PARTITIONS)
            size = self.random.choice([0, 10, 100, 100, 1000, 4000])
            value = b"%d:%d:%s" % (self.number, self.next[partition], b"x" * size)
            self.next[partition] += 1
            self.open += 1
            self.allowance -= 1
            self.producer.produce(TOPIC, value, partition=partition, on_delivery=self.answered)
            self.producer.poll(0)
        self.producer.flush(PROGRESS_SECONDS)

    def abandon(self):
        self.ending.set()
        self.producer.purge()


class Follower(threading.Thread):
    """Reads all the time. `seen` only grows: (partition, offset, value)."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.seen, self.ending = [], threading.Event()
        self.consumer = Consumer({**client_settings(port), "group.id": "follower", "enable.auto.commit": False,
                                  "fetch.wait.max.ms": 20, "auto.offset.reset": "error"})
        self.consumer.assign([TopicPartition(TOPIC, p, 0) for p in range(PARTITIONS)])
        self.problem = None

    def run(self):
        while not self.ending.is_set():
            for m in self.consumer.consume(1000, 0.1):
                if not m.error():
                    self.seen.append((m.partition(), m.offset(), m.value()))
                elif m.error().code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
                    self.problem = f"the reader's offset is out of range: {m.error()}"
        self.consumer.close()


def read_all(port):
    """The values of each partition, from its start to what is its end now."""
    ends = wire_admin.offsets(port, TOPIC, PARTITIONS)
    values = [[] for _ in range(PARTITIONS)]
    consumer = Consumer({**client_settings(port), "group.id": "check", "enable.auto.commit": False, "check.crcs": True,
                         "fetch.wait.max.ms": 20})
    consumer.assign([TopicPartition(TOPIC, p, 0) for p in range(PARTITIONS)])
    last = time.monotonic()
    while any(len(values[p]) < ends[p] for p in range(PARTITIONS)):
        for m in consumer.consume(10000, 0.2):
            if m.error():
                continue
            if m.offset() != len(values[m.partition()]):
                raise Violation(f"partition {m.partition()}: offset {m.offset()} follows {len(values[m.partition()]) - 1}")
            values[m.partition()].append(m.value())
            last = time.monotonic()
        if time.monotonic() - last > PROGRESS_SECONDS:
            raise Violation(f"reading stands still at {[len(v) for v in values]} of {ends}")
    consumer.close()
    return values


def check(values, acknowledged, seen):
    for partition, found in enumerate(values):
        due = {}
        for offset, value in enumerate(found):
            producer, number = (int(part) for part in value.split(b":")[:2])
            if producer == LOOSE:
                continue
            if number != due.get(producer, 0):
                raise Violation(f"partition {partition} offset {offset}: record {number} of producer {producer} where "
                                f"{due.get(producer, 0)} is due")
            due[producer] = number + 1
    for what, records in (("acknowledged", acknowledged), ("read before", seen)):
        for partition, offset, value in records:
            found = values[partition]
            if offset >= len(found):
                raise Violation(f"partition {partition} ends at {len(found)}: offset {offset} ({value[:20]!r}) was {what}")
            if found[offset] != value:
                raise Violation(f"partition {partition} offset {offset}: {found[offset][:20]!r}, {value[:20]!r} was {what}")


class Trial:
    """On a started broker with a port that stays."""

    def __init__(self, broker, seed):
        self.broker, self.seed, self.random = broker, seed, random.Random(seed)
        self.topics, self.start_seconds, self.deaths_at_start = [], [], 0
        wire_admin.create_topic(broker.port, TOPIC, PARTITIONS, {"segment.bytes": 1048576})
        self.senders = [Sender(number, broker.port, seed) for number in range(3)]
        self.follower = Follower(broker.port)

    def acknowledged(self):
        return sum(len(s.acknowledged) for s in self.senders if s.number != LOOSE)

    def wait_for_load(self, wanted):
        end = time.monotonic() + PROGRESS_SECONDS
        while self.acknowledged() < wanted:
            if time.monotonic() > end:
                raise Violation(f"no progress: {self.acknowledged()} of {wanted} records acknowledged after {PROGRESS_SECONDS} s; "
                                f"refused: {[str(s.refused[:1]) for s in self.senders]}\n{self.broker.log()[-3000:]}")
            time.sleep(0.002)

    def die(self):
        if self.random.random() < 0.3:
            name = f"made-{len(self.topics)}"
            wire_admin.create_topic(self.broker.port, name, 3)
            self.topics.append(name)
        time.sleep(self.random.uniform(0, 0.15))
        # A prefix of each list first: what was answered before the process was gone.
        known = [list(s.acknowledged) for s in self.senders if s.number != LOOSE]
        seen = list(self.follower.seen)
        self.broker.kill()
        return [record for records in known for record in records], seen

    def restart(self):
        while self.random.random() < 0.25:
            self.broker.launch()
            time.sleep(self.random.uniform(0, 0.03))
            self.broker.kill()
            self.deaths_at_start += 1
        self.start_seconds.append(self.broker.start())

    def verify(self, acknowledged, seen):
        for name in self.topics:
            wire_admin.wait_for_leaders(self.broker.port, name, 3, 10)
        check(read_all(self.broker.port), acknowledged, seen)
        if self.follower.problem:
            raise Violation(self.follower.problem)
        for s in self.senders:
            if s.refused and s.number != LOOSE:
                raise Violation(f"an idempotent producer's record was refused: {s.refused[0]}")

    def rounds(self, count, say):
        for number in range(1, count + 1):
            for s in self.senders:
                s.allowance = ALLOWANCE
            self.wait_for_load(self.acknowledged() + 200)
            acknowledged, seen = self.die()
            self.restart()
            self.verify(acknowledged, seen)
            if number % 10 == 0:
                say(f"    {number} deaths, {self.acknowledged()} acknowledged")

    def finish(self):
        for s in self.senders:
            s.ending.set()
        for s in self.senders:
            s.join(PROGRESS_SECONDS)
            if s.open and s.number != LOOSE:
                raise Violation(f"{s.open} records of producer {s.number} have no answer")
        acknowledged = [record for s in self.senders if s.number != LOOSE for record in s.acknowledged]
        self.verify(acknowledged, list(self.follower.seen))
        code, _ = self.broker.stop()
        if code:
            raise Violation(f"a clean stop ended with {code}")
        self.start_seconds.append(self.broker.start())
        self.verify(acknowledged, list(self.follower.seen))

    def run(self, count, say=lambda line: print(line, flush=True)):
        for thread in (*self.senders, self.follower):
            thread.start()
        try:
            self.rounds(count, say)
            self.finish()
        finally:
            for s in self.senders:
                s.abandon()
            self.follower.ending.set()
            for thread in (*self.senders, self.follower):
                thread.join(20)
        say(f"    {count} deaths ({self.deaths_at_start} more while starting), {self.acknowledged()} records acknowledged, "
            f"{len(self.follower.seen)} followed, restart {1000 * sorted(self.start_seconds)[len(self.start_seconds) // 2]:.0f} ms "
            f"(most {1000 * max(self.start_seconds):.0f})")
