#!/usr/bin/env python3
"""Compacted topics: random keys and deletes in several topics and codecs, with kills and clean stops between; afterwards a full scan is the
last value of each key, and Kafka's own dump tool finds nothing wrong in the cleaned segments.

    compaction_test.py [RECORDS [KEYS]]      in all; 120,000 of 3,000 keys a topic unless told

With more keys than the cleaner's map of MAP_BYTES has place for, a pass goes as far as they fit. What the broker took of memory is printed.
"""
import glob
import os
import random
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "compat"))

from confluent_kafka import Consumer, Producer, TopicPartition  # noqa: E402

import dump_log_test  # noqa: E402
import kafka  # noqa: E402
import moldau  # noqa: E402
import wire_admin  # noqa: E402

CODECS = ("none", "zstd", "lz4")
ROUNDS = 4
KEYS = 3000
MAP_BYTES = 4 << 20
SETTINGS = {"log.cleaner.dedupe.buffer.size": str(MAP_BYTES), "log.cleaner.backoff.ms": "200", "log.retention.check.interval.ms": "1000",
            "log.initial.task.delay.ms": "500"}
TOPIC = {"cleanup.policy": "compact", "segment.bytes": "1048576", "min.cleanable.dirty.ratio": "0.05", "index.interval.bytes": "1000",
         "file.delete.delay.ms": "1000"}
END_KEY = b"the end"


class Topic:
    def __init__(self, codec):
        self.name = f"compact-{codec}"
        self.codec = codec
        self.last = {}  # key -> (offset, value)
        self.count = 0

    def delivered(self, error, message):
        if error:
            raise AssertionError(f"{self.name}: {error}")
        key, value = message.key(), message.value()
        if key not in self.last or self.last[key][0] < message.offset():
            self.last[key] = (message.offset(), value)
        self.count += 1


def write(port, topic, records, keys, rng):
    producer = Producer({"bootstrap.servers": f"127.0.0.1:{port}", "compression.type": topic.codec, "enable.idempotence": True,
                         "linger.ms": 2, "batch.num.messages": 100})
    for n in range(records):
        key = b"key %d" % int(keys * rng.random() ** 3)
        value = None if rng.random() < 0.05 else b"value %d " % n + rng.randbytes(rng.randrange(100))
        while True:
            try:
                producer.produce(topic.name, value, key=key, partition=0, on_delivery=topic.delivered)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    if producer.flush(60):
        raise AssertionError(f"{topic.name}: not all records were acknowledged")


def scan(port, topic):
    """What is there: the last (offset, value) of each key, how many records; offsets must grow."""
    consumer = Consumer({"bootstrap.servers": f"127.0.0.1:{port}", "group.id": "scan", "enable.auto.commit": False,
                         "auto.offset.reset": "error"})
    low, high = consumer.get_watermark_offsets(TopicPartition(topic.name, 0))
    consumer.assign([TopicPartition(topic.name, 0, low)])
    found, records, before = {}, 0, low - 1
    while before < high - 1:
        message = consumer.poll(20)
        if message is None or message.error():
            raise AssertionError(f"{topic.name}: nothing more after {before} of {high}: {message and message.error()}")
        if message.offset() <= before:
            raise AssertionError(f"{topic.name}: {message.offset()} after {before}")
        before = message.offset()
        found[message.key()] = (before, message.value())
        records += 1
    consumer.close()
    return found, records


def difference(port, topic):
    found, records = scan(port, topic)
    wrong = [key for key in topic.last if found.get(key) != topic.last[key]]
    strange = [key for key in found if key not in topic.last]
    if wrong or strange:
        return f"{len(wrong)} keys differ, {len(strange)} are unknown; {wrong[:1]} {[(found.get(k), topic.last[k]) for k in wrong[:1]]}"
    if records > topic.count // 2 and records > len(found) + len(found) // 10:
        return f"{records} records of {topic.count} for {len(found)} keys: it is not compacted"
    return None


def cleaned(broker, topic):
    """All records before those that rolled the segment."""
    last = max(offset for key, (offset, _) in topic.last.items() if key != END_KEY)
    return any(int(up_to) > last for up_to in re.findall(rf"{topic.name}-0: compacted up to offset (\d+)", broker.log()))


def finish(broker, topics):
    """The active segments are rolled by a record of a later time, so that all before it is compacted."""
    for topic in topics:
        producer = Producer({"bootstrap.servers": f"127.0.0.1:{broker.port}"})
        producer.produce(topic.name, b"x" * 900000, key=END_KEY, partition=0, on_delivery=topic.delivered)
        producer.produce(topic.name, b"y" * 900000, key=END_KEY, partition=0, on_delivery=topic.delivered)
        producer.flush(30)
        moldau.wait_for(lambda t=topic: cleaned(broker, t), max(60, topic.count // 1000), f"compaction of {topic.name}")


def peak_bytes(broker):
    """The most that this process of the broker ever had resident."""
    with open(f"/proc/{broker.process.pid}/status", encoding="utf-8") as lines:
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


def segments(broker, topics, suffix):
    return [path for topic in topics for path in sorted(glob.glob(os.path.join(broker.data, f"{topic.name}-0", "*" + suffix)))]


def complaint(paths):
    """What the dump tool is not content with, but for gaps between offsets, of which it tells in Kafka's own cleaned segments too."""
    code, out, err = kafka.dump_log("--deep-iteration", "--print-data-log", "--files", ",".join(paths))
    for line in out.splitlines():
        if any(word in line for word in dump_log_test.COMPLAINTS if word != "Non-consecutive"):
            return line
    rest = [line for line in err.splitlines() if line.strip() and not re.fullmatch(r"  -?\d+ is followed by \d+", line) and
            not line.startswith(("WARNING:", "  by ", "Non-consecutive offsets in "))]
    deep = sum(line.startswith("| offset:") for line in out.splitlines())
    return f"exit code {code}: {rest[:5]}" if code or rest else None if deep else "it found no records"


def main():
    moldau.binary()
    records = int(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1].isdigit() else 120000
    keys = int(sys.argv[2]) if len(sys.argv) > 2 else KEYS
    peak = 0
    rng = random.Random(4)
    topics = [Topic(codec) for codec in CODECS]
    failed = False
    with moldau.Broker(settings=SETTINGS) as broker:
        for topic in topics:
            wire_admin.create_topic(broker.port, topic.name, 1, TOPIC)
        for round_number in range(ROUNDS):
            for topic in topics:
                write(broker.port, topic, records // ROUNDS // len(topics), keys, rng)
            peak = max(peak, peak_bytes(broker))
            if round_number % 2:
                broker.stop()
            else:
                broker.kill()
            broker.start()
        finish(broker, topics)
        print(f"{sum(t.count for t in topics)} records of {[len(t.last) for t in topics]} keys; the map may have {MAP_BYTES >> 20} MiB; "
              f"{len(re.findall('compacted up to offset', broker.log()))} passes; at most {max(peak, peak_bytes(broker)) >> 20} MiB resident")
        for topic in topics:
            failed |= dump_log_test.say(f"the last value of each key: {topic.name}", difference(broker.port, topic))
        code, _ = broker.stop()
        failed |= dump_log_test.say("a clean stop", code and f"exit code {code}")
        if kafka.missing():
            print(f"SKIP Kafka's dump tool: {kafka.missing()}")
            return 1 if failed else 0
        logs, indexes = segments(broker, topics, ".log"), segments(broker, topics, ".index") + segments(broker, topics, ".timeindex")
        failed |= dump_log_test.say("cleaned segments, deeply", complaint(logs))
        failed |= dump_log_test.say("every index passes the sanity check", dump_log_test.complaint(indexes, "--index-sanity-check"))
        failed |= dump_log_test.say("every index agrees with its segment", dump_log_test.complaint(indexes))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
