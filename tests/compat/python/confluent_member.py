#!/usr/bin/env python3
"""A member of a group over confluent-kafka (librdkafka): confluent_member.py JSON"""
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

import member

AT_ONCE = 500  # messages
TRANSIENT = (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._MAX_POLL_EXCEEDED)


def settings(config):
    found = {"bootstrap.servers": config["bootstrap"], "group.id": config["group"], "enable.auto.commit": False,
             "auto.offset.reset": "earliest", "fetch.wait.max.ms": 100, "topic.metadata.refresh.interval.ms": 1000,
             "client.id": config["name"]}
    if config["protocol"] == "consumer":
        found["group.protocol"] = "consumer"
        if config["assignor"]:
            found["group.remote.assignor"] = config["assignor"]
    else:
        found.update({"partition.assignment.strategy": config["assignor"], "session.timeout.ms": config["session_ms"],
                      "heartbeat.interval.ms": config["heartbeat_ms"]})
    if config.get("instance"):
        found["group.instance.id"] = config["instance"]
    return {**found, **config.get("settings", {})}


class Member:
    """Takes what there is by polling, message by message, and commits it; before it gives partitions up, too."""

    def __init__(self, config):
        self.topic = config["topic"]
        self.work = member.Work(config.get("until"))
        self.polled = {}  # partition to offsets that were polled but not processed yet
        self.consumer = Consumer(settings(config),
                                 error_cb=lambda e: None if e.code() in TRANSIENT else member.say("error", m=str(e)))
        self.consumer.subscribe([self.topic], on_assign=lambda _, p: member.say("assigned", p=numbers(p)),
                                on_revoke=lambda _, p: self.revoked(numbers(p)), on_lost=lambda _, p: self.lost(numbers(p)))

    def revoked(self, partitions):
        self.finish()
        self.work.forget(partitions)
        member.say("revoked", p=partitions)

    def lost(self, partitions):
        self.polled = {}
        self.work.forget(partitions)
        member.say("lost", p=partitions)

    def poll(self, seconds):
        message = self.consumer.poll(seconds)
        if message is None:
            return False
        if message.error():
            member.say("error", m=str(message.error()))
        else:
            self.polled.setdefault(message.partition(), []).append(message.offset())
        return True

    def finish(self):
        for partition, offsets in self.polled.items():
            self.work.process(partition, offsets)
        self.polled = {}
        if not self.work.commit:
            return
        try:
            offsets = [TopicPartition(self.topic, p, o) for p, o in self.work.commit.items()]
            failed = [p.error for p in self.consumer.commit(offsets=offsets, asynchronous=False) if p.error]
            if failed:
                raise KafkaException(failed[0])
            self.work.committed()
        except KafkaException as problem:
            self.work.failed(problem)

    def take(self):
        if self.poll(0.05):
            for _ in range(AT_ONCE):
                if not self.poll(0):
                    break
        self.finish()


def numbers(partitions):
    return [p.partition for p in partitions]


def main():
    config = member.config()
    consuming = Member(config)
    member.say("started")
    while not member.asked_to_leave():
        consuming.take()
    consuming.consumer.close()
    member.say("left")


if __name__ == "__main__":
    main()
