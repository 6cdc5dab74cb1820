#!/usr/bin/env python3
"""A log of retention.bytes under load: what is on disk stays within a segment of what was promised, and consumers that read through the
purge miss nothing but what the start has passed; slow ones find themselves at the start. Then a clean stop, and nothing is damaged.

    retention_test.py [SECONDS]      10 unless told
"""
import glob
import os
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "compat"))

from confluent_kafka import Consumer, Producer, TopicPartition  # noqa: E402

import moldau  # noqa: E402
import wire_admin  # noqa: E402

MIB = 1 << 20
RETENTION, SEGMENT = 3 * MIB, MIB
BYTES_PER_SECOND = 2600000
VALUE = 1000
LOOK_SECONDS = 0.02
# Between a look and what it takes away there is a sync, in which producers go on: 75 to 235 KB where the disk is not busy.
SLACK = 2 * MIB
SETTINGS = {"log.retention.check.interval.ms": "300000"}
TOPIC = {"retention.bytes": str(RETENTION), "segment.bytes": str(SEGMENT), "file.delete.delay.ms": "1000"}


class Reader(threading.Thread):
    """Reads on from the start; a gap is right only where the start has passed it."""

    def __init__(self, port, pause):
        super().__init__()
        self.consumer = Consumer({"bootstrap.servers": f"127.0.0.1:{port}", "group.id": "r", "enable.auto.commit": False,
                                  "auto.offset.reset": "earliest", "fetch.wait.max.ms": 100, "queued.min.messages": 100,
                                  "queued.max.messages.kbytes": 1024, "fetch.message.max.bytes": 100000})
        self.pause, self.over, self.wrong, self.read, self.gaps, self.next = pause, False, None, 0, 0, 0

    def run(self):
        partition = TopicPartition("t", 0, 0)
        self.consumer.assign([partition])
        while not self.over and not self.wrong:
            message = self.consumer.poll(0.5)
            if message is None or message.error():
                continue
            if message.offset() < self.next:
                self.wrong = f"{message.offset()} after {self.next - 1}"
            elif message.offset() > self.next:
                self.gaps += 1
                low = self.consumer.get_watermark_offsets(partition)[0]
                if low < message.offset():
                    self.wrong = f"{message.offset()} after {self.next - 1}, while the log starts at {low}"
            if message.value()[:12] != b"%012d" % message.offset():
                self.wrong = f"at {message.offset()} stands {message.value()[:12]}"
            self.next = message.offset() + 1
            self.read += 1
            if self.pause and self.read % 200 == 0:
                time.sleep(self.pause)
        self.consumer.close()


def on_disk(data):
    total = 0
    for path in glob.glob(os.path.join(data, "t-0", "*.log")):
        try:
            total += os.path.getsize(path)
        except FileNotFoundError:
            pass
    return total


def load(port, data, seconds):
    """Produces at an even pace; gives how many records, and the most that was on disk."""
    producer = Producer({"bootstrap.servers": f"127.0.0.1:{port}", "enable.idempotence": True, "linger.ms": 5, "batch.size": 65536})
    begun = looked = time.monotonic()
    sent, most = 0, 0
    looks, above, since, longest = 0, 0, None, 0  # above the promise and a segment: how often, since when, the longest seconds
    while time.monotonic() - begun < seconds:
        while sent * VALUE < (time.monotonic() - begun) * BYTES_PER_SECOND:
            try:
                producer.produce("t", b"%012d" % sent + bytes(VALUE - 12), partition=0)
                sent += 1
            except BufferError:
                break
        producer.poll(0.005)
        if time.monotonic() - looked > LOOK_SECONDS:
            looked = time.monotonic()
            size = on_disk(data)
            most = max(most, size)
            looks += 1
            if size <= RETENTION + SEGMENT:
                since = None
                continue
            above += 1
            since = since or looked
            longest = max(longest, looked - since)
    if producer.flush(60):
        raise AssertionError("not all records were acknowledged")
    print(f"above the promise and a segment in {above} of {looks} looks, for {longest:.2f} s at most")
    return sent, most


def main():
    moldau.binary()
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1].isdigit() else 10
    failed = []
    with moldau.Broker(settings=SETTINGS) as broker:
        wire_admin.create_topic(broker.port, "t", 1, TOPIC)
        readers = [Reader(broker.port, pause) for pause in (0, 0.05, 0.5)]
        for reader in readers:
            reader.start()
        sent, most = load(broker.port, broker.data, seconds)
        # Nothing passes it any more, so it comes to the end, however slow the machine is.
        moldau.wait_for(lambda: readers[0].next == sent or readers[0].wrong, 60, "the reader at the end")
        for reader in readers:
            reader.over = True
        for reader in readers:
            reader.join()
            failed += [reader.wrong] if reader.wrong else []
        print(f"{sent} records of {VALUE} bytes in {seconds} s; at most {most} bytes on disk, promised {RETENTION} and a segment of "
              f"{SEGMENT}; read {[r.read for r in readers]}, passed by the start {[r.gaps for r in readers]} times")
        if most > RETENTION + SEGMENT + SLACK:
            failed.append(f"{most} bytes on disk")
        wire_admin.create_topic(broker.port, "one", 1, {})
        producer = Producer({"bootstrap.servers": f"127.0.0.1:{broker.port}"})
        producer.produce("one", b"x", partition=0)
        producer.flush(30)
        broker.stop()
        code, out, _ = moldau.run_moldau("log", "verify", broker.data)
        if code or b"DAMAGE" in (out if isinstance(out, bytes) else out.encode()):
            failed.append(f"verify says: {out}")
    for what in failed:
        print(f"FAILED: {what}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
