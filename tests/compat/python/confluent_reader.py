#!/usr/bin/env python3
"""Reads a topic to its end, read committed, and prints what it polled: confluent_reader.py BOOTSTRAP TOPIC PARTITIONS"""
import sys

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

import member


def main():
    bootstrap, topic, partitions = sys.argv[1], sys.argv[2], int(sys.argv[3])
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "enable.auto.commit": False, "enable.partition.eof": True,
                         "isolation.level": "read_committed", "check.crcs": True, "fetch.wait.max.ms": 50})
    consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
    ended = set()
    while len(ended) < partitions:
        message = consumer.poll(10)
        if message is None:
            raise SystemExit("nothing came for 10 s")
        if not message.error():
            member.say("poll", txn=None, r=[[f"{topic}-{message.partition()}", message.offset(), message.value().decode()]])
        elif message.error().code() == KafkaError._PARTITION_EOF:
            ended.add(message.partition())
        else:
            raise KafkaException(message.error())
    consumer.close()


if __name__ == "__main__":
    main()
