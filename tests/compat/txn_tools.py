"""Kafka's own tool for transactions against what raw requests left open: as tools_script.py, with transcripts/transactions.txt.

    txn_tools.py --record | --live | (nothing)
"""
import argparse
import os
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "system")]
import kafka as peer  # noqa: E402
import moldau  # noqa: E402
import tools_script  # noqa: E402
import wire  # noqa: E402
import wire_admin  # noqa: E402

CALLS = os.path.join(HERE, "tools", "transactions.txt")
TRANSCRIPT = os.path.join(HERE, "transcripts", "transactions.txt")
WANTED = {}  # calls that differ, and why
TIMEOUT_MS = 600000
NOT_YET = (3, 5, 6, 14, 15, 16, 51)
LARGE = 700  # ids of producers from here on are no number of anything else that a tool prints
TRANSACTIONAL = 0x10
SETTINGS = {"transaction.state.log.num.partitions": 1, "node.id": 1}


class Client:
    """Asks until the answer is no longer that it is too early."""

    def __init__(self, connection):
        self.connection = connection
        self.ids = {}  # of a producer to the name of its transactional id

    def ask(self, api, version, body, error):
        end = time.monotonic() + 60
        while True:
            answer = self.connection.ask(api, version, body)
            if error(answer) == 0:
                return answer
            if error(answer) not in NOT_YET or time.monotonic() > end:
                raise RuntimeError(f"{api}: {answer}")

    def init(self, name):
        answer = self.ask("InitProducerId", 4, {"TransactionalId": name, "TransactionTimeoutMs": TIMEOUT_MS, "ProducerId": -1, "ProducerEpoch": -1},
                          lambda a: a["ErrorCode"])
        return answer["ProducerId"], answer["ProducerEpoch"]

    def open(self, name, partitions):
        producer = self.init(name)
        self.ids[producer[0]] = name
        self.ask("AddPartitionsToTxn", 3, {"V3AndBelowTransactionalId": name, "V3AndBelowProducerId": producer[0], "V3AndBelowProducerEpoch": producer[1],
                                           "V3AndBelowTopics": [{"Name": "txn-a", "Partitions": partitions}]},
                 lambda a: max(p["PartitionErrorCode"] for t in a["ResultsByTopicV3AndBelow"] for p in t["ResultsByPartition"]))
        records = wire.batch([b"open"], timestamp=int(time.time() * 1000), producer=(*producer, 0), attributes=TRANSACTIONAL)
        for partition in partitions:
            self.ask("Produce", 8, {**wire.produce("txn-a", [partition], records), "TransactionalId": name},
                     lambda a: wire.produce_errors(a)[0])
        return producer

    def end(self, name, producer):
        self.ask("EndTxn", 3, {"TransactionalId": name, "ProducerId": producer[0], "ProducerEpoch": producer[1], "Committed": True},
                 lambda a: a["ErrorCode"])


def prepare(port):
    """Names by the id of a producer."""
    wire_admin.create_topic(port, "txn-a", 4)
    with moldau.Connection(port) as connection:
        client = Client(connection)
        # The first who asks has the topic of the coordinators made.
        client.ask("FindCoordinator", 4, {"KeyType": 1, "CoordinatorKeys": ["open-one"]}, lambda a: a["Coordinators"][0]["ErrorCode"])
        while client.init(None)[0] < LARGE:
            pass
        # In a partition of its own: its marker comes whenever it comes.
        client.end("done-one", client.open("done-one", [3]))
        client.ids[client.init("empty-one")[0]] = "empty-one"
        client.open("open-one", [0, 1])
        client.open("open-two", [2])
        return client.ids


def run(port, pause_ms):
    names = prepare(port)

    def named(line):
        line = re.sub(r"\b\d{3,}\b", lambda m: f"PRODUCER-OF-{names[int(m[0])]}" if int(m[0]) in names else m[0], line)
        line = re.sub(r"txn-a-\d(?:,txn-a-\d)+", lambda m: ",".join(sorted(m[0].split(","))), line)
        return re.sub(rf"({TIMEOUT_MS} MS) \d+", r"\1 N", line)
    return [(call, code, sorted(named(line) for line in lines))
            for call, code, lines in tools_script.run(f"127.0.0.1:{port}", pause_ms, CALLS)]


def compare(kafka, ours, out=print):
    return tools_script.compare(kafka, ours, out, WANTED, CALLS)


def run_ours():
    with moldau.Broker(SETTINGS) as broker:
        return run(broker.port, 0)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--record", action="store_true")
    options.add_argument("--live", action="store_true")
    options = options.parse_args()
    if peer.missing():
        print(f"SKIP: {peer.missing()}")
        return 77
    if options.record or options.live:
        with peer.Kafka(SETTINGS) as real:
            found = run(real.port, tools_script.PAUSE_MS)
        if options.record:
            tools_script.write(found, TRANSCRIPT)
            return 0
    else:
        found = tools_script.read(TRANSCRIPT)
    return 1 if compare(found, run_ours()) else 0


if __name__ == "__main__":
    sys.exit(main())
