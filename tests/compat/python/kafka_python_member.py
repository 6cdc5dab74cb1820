#!/usr/bin/env python3
"""A member of a group over kafka-python: kafka_python_member.py JSON"""
from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.errors import KafkaError

import member

ASSIGNORS = {"range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor, "sticky": StickyPartitionAssignor,
             "cooperative-sticky": CooperativeStickyAssignor}


class Listener(ConsumerRebalanceListener):
    def __init__(self, work):
        self.work = work

    def on_partitions_assigned(self, assigned):
        member.say("assigned", p=sorted(p.partition for p in assigned))

    def on_partitions_revoked(self, revoked):
        self.gone("revoked", revoked)

    def on_partitions_lost(self, lost):
        self.gone("lost", lost)

    def gone(self, how, partitions):
        numbers = sorted(p.partition for p in partitions)
        self.work.forget(numbers)
        member.say(how, p=numbers)


def take(consumer, work, topic):
    """One poll: what came is processed, then committed."""
    for partition, records in consumer.poll(timeout_ms=50).items():
        work.process(partition.partition, [r.offset for r in records])
    if not work.commit:
        return
    try:
        consumer.commit({TopicPartition(topic, p): OffsetAndMetadata(o, "", -1) for p, o in work.commit.items()})
        work.committed()
    except KafkaError as problem:
        work.failed(repr(problem))


def main():
    config = member.config()
    consumer = KafkaConsumer(bootstrap_servers=config["bootstrap"], group_id=config["group"], client_id=config["name"],
                             group_instance_id=config.get("instance"), enable_auto_commit=False, auto_offset_reset="earliest",
                             fetch_max_wait_ms=100, session_timeout_ms=config["session_ms"], metadata_max_age_ms=1000,
                             heartbeat_interval_ms=config["heartbeat_ms"],
                             partition_assignment_strategy=[ASSIGNORS[config["assignor"]]])
    work = member.Work(config.get("until"))
    consumer.subscribe([config["topic"]], listener=Listener(work))
    member.say("started")
    while not member.asked_to_leave():
        take(consumer, work, config["topic"])
    consumer.close()
    member.say("left")


if __name__ == "__main__":
    main()
