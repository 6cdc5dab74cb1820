#!/usr/bin/env python3
"""A worker with transactions over confluent-kafka (librdkafka): confluent_worker.py JSON. ../README.md has the contract."""
import random
import sys
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

import member

POLL_SECONDS = 0.02
CALL_SECONDS = 30
LOG_LEVEL = 2  # brokers come and go here
IN_VAIN = 3  # exit code of one that cannot go on and wants a successor


class Spoiled(Exception):
    """The transaction cannot be committed."""


class Worker:
    def __init__(self, config):
        self.config = config
        self.count = 0
        self.txn = None
        self.spoiled = False
        self.first = {}  # partition to the first offset that was read in this transaction
        self.next = {}  # partition to the offset after the last one
        self.producer = Producer({"bootstrap.servers": config["bootstrap"], "transactional.id": config["txn_id"], "linger.ms": 2,
                                  "transaction.timeout.ms": config["timeout_ms"], "client.id": config["name"],
                                  "topic.metadata.refresh.interval.ms": 1000, "reconnect.backoff.max.ms": 500, "log_level": LOG_LEVEL})
        self.retry(lambda: self.producer.init_transactions(CALL_SECONDS))
        self.consumer = Consumer({"bootstrap.servers": config["bootstrap"], "group.id": config.get("group") or config["name"],
                                  "client.id": config["name"], "enable.auto.commit": False, "auto.offset.reset": "earliest",
                                  "isolation.level": "read_committed", "fetch.wait.max.ms": 50, "session.timeout.ms": config["session_ms"],
                                  "heartbeat.interval.ms": 500, "partition.assignment.strategy": "range",
                                  "reconnect.backoff.max.ms": 500, "log_level": LOG_LEVEL})

    # --- one transaction

    def begin(self):
        self.count += 1
        self.txn = f"{self.config['name']}-{self.count}"
        self.first, self.next, self.spoiled = {}, {}, False
        member.say("begin", txn=self.txn)
        self.producer.begin_transaction()

    def send(self, topic, partition, value):
        key, txn = f"{topic}-{partition}", self.txn
        member.say("send", txn=txn, k=key, v=value)

        def delivered(error, message):
            if not error:
                member.say("sent", txn=txn, k=key, v=value, o=message.offset())

        self.producer.produce(topic, value.encode(), partition=partition, on_delivery=delivered)
        self.producer.poll(0)

    def end(self, commit):
        if not commit or self.spoiled:
            self.abort()
            return
        try:
            if self.config["mode"] == "copy":
                offsets = [TopicPartition(self.config["in"], p, o) for p, o in self.next.items()]
                if offsets:
                    self.retry(lambda: self.producer.send_offsets_to_transaction(offsets, self.consumer.consumer_group_metadata(), CALL_SECONDS))
            self.retry(lambda: self.producer.flush(CALL_SECONDS) and None)
            member.say("commit", txn=self.txn)
            self.retry(lambda: self.producer.commit_transaction(CALL_SECONDS))
            member.say("committed", txn=self.txn)
        except Spoiled:
            self.abort()

    def abort(self):
        member.say("abort", txn=self.txn)
        self.retry(lambda: self.producer.abort_transaction(CALL_SECONDS))
        member.say("aborted", txn=self.txn)
        if self.config["mode"] == "copy":
            self.go_back()

    def retry(self, call):
        """Until it is done, the transaction is spoiled, or nothing helps."""
        while True:
            try:
                return call()
            except KafkaException as problem:
                error = problem.args[0]
                if error.txn_requires_abort():
                    member.say("spoiled", txn=self.txn, m=str(error))
                    raise Spoiled from problem
                if error.fatal() or not error.retriable():
                    member.say("in_vain", txn=self.txn, m=str(error))
                    sys.exit(IN_VAIN)

    # --- reading

    def poll(self):
        """One poll's records: [(partition, offset, value)]."""
        message = self.consumer.poll(POLL_SECONDS)
        if message is None:
            return []
        if message.error():
            if message.error().code() not in (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT):
                member.say("complaint", m=str(message.error()))
            return []
        partition, offset, value = message.partition(), message.offset(), message.value().decode()
        member.say("poll", txn=self.txn, r=[[f"{message.topic()}-{partition}", offset, value]])
        self.first.setdefault(partition, offset)
        self.next[partition] = offset + 1
        return [(partition, offset, value)]

    def moved(self, event):
        def tell(_, partitions):
            member.say(event, k=[f"{p.topic}-{p.partition}" for p in partitions])
            if event == "revoked" and self.first:
                self.spoiled = True
            self.first = {}
        return tell

    def go_back(self):
        for partition, offset in self.first.items():
            member.say("assigned", k=[f"{self.config['in']}-{partition}"])
            self.consumer.seek(TopicPartition(self.config["in"], partition, offset))

    # --- what it does all the time

    def copy(self):
        """Records of `in` go to `out`, a transaction every commit_ms or so many records."""
        config = self.config
        due = time.monotonic() + config["commit_ms"] / 1000
        count = 0
        self.begin()
        while time.monotonic() < due and not self.spoiled:
            for _, _, value in self.poll() if count < config["per_txn"] else []:
                self.send(config["out"], int(value) % config["partitions"], f"{value}@{self.txn}")
                count += 1
            self.producer.poll(0 if count < config["per_txn"] else POLL_SECONDS)
        self.end(True)

    def play(self):
        """A few writes and reads of any partition; some are taken back."""
        self.begin()
        for number in range(random.randint(1, 6)):
            if random.random() < 0.6:
                self.send(self.config["in"], random.randrange(self.config["partitions"]), f"{self.txn}/{number}")
            else:
                for _ in range(random.randint(1, 20)):
                    self.poll()
        self.end(random.random() < 0.85)

    def run(self):
        config = self.config
        if config["mode"] == "copy":
            self.consumer.subscribe([config["in"]], on_assign=self.moved("assigned"), on_revoke=self.moved("revoked"),
                                    on_lost=self.moved("revoked"))
        else:
            self.consumer.assign([TopicPartition(config["in"], p, 0) for p in range(config["partitions"])])
        member.say("started")
        while not member.asked_to_leave():
            (self.copy if config["mode"] == "copy" else self.play)()
        self.consumer.close()
        member.say("left")


if __name__ == "__main__":
    Worker(member.config()).run()
