#!/usr/bin/env python3
"""Lines to records and back through confluent-kafka: lines.py produce|consume BOOTSTRAP TOPIC CODEC

produce reads lines from standard input; consume writes them to standard output until the end of partition 0.
"""
import sys

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

FAILED = []


def delivered(error, _):
    if error:
        FAILED.append(error)


def produce(bootstrap, topic, codec):
    producer = Producer({"bootstrap.servers": bootstrap, "compression.type": codec, "enable.idempotence": True,
                         "linger.ms": 20, "queue.buffering.max.messages": 200000, "on_delivery": delivered})
    for line in sys.stdin.buffer:
        while True:
            try:
                producer.produce(topic, line[:-1], partition=0)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    left = producer.flush(120)
    if FAILED or left:
        sys.exit(f"{len(FAILED)} failed, {left} without an answer: {FAILED[:1]}")


def consume(bootstrap, topic):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "lines", "enable.auto.commit": False,
                         "enable.partition.eof": True, "check.crcs": True, "fetch.wait.max.ms": 50})
    consumer.assign([TopicPartition(topic, 0, 0)])
    while True:
        messages = consumer.consume(10000, 1.0)
        lines = []
        for message in messages:
            if not message.error():
                lines += (message.value(), b"\n")
            elif message.error().code() == KafkaError._PARTITION_EOF:
                sys.stdout.buffer.write(b"".join(lines))
                return
            else:
                raise KafkaException(message.error())
        sys.stdout.buffer.write(b"".join(lines))


if __name__ == "__main__":
    if sys.argv[1] == "produce":
        produce(*sys.argv[2:5])
    else:
        consume(*sys.argv[2:4])
