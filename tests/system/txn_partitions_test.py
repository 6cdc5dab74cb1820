"""What partitions and groups say in transactions is what the real Kafka said (tests/compat/txn_oracle.py)."""
import concurrent.futures
import os
import struct
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "compat"))
import moldau  # noqa: E402
import observe_test  # noqa: E402
import txn_oracle  # noqa: E402
import wire  # noqa: E402
import wire_admin  # noqa: E402

UNKNOWN_SERVER_ERROR, INVALID_PRODUCER_EPOCH = -1, 47


class TxnPartitions(unittest.TestCase):
    def test_the_stories_are_those_of_the_real_kafka(self):
        said = []
        with moldau.Broker({"node.id": 1, **txn_oracle.SETTINGS}, arguments=["--shards", "3"]) as broker:
            only = None if "EndTxn" in wire_admin.apis(broker.port) else "markers:"
            failed = txn_oracle.compare("127.0.0.1", broker.port, only, out=said.append)
        self.assertEqual(failed, [], "\n".join(said))

    def test_a_large_transaction_that_is_named_again_and_again_stays_bounded(self):
        limit, partitions = 256 << 20, 3000
        with moldau.Broker({**txn_oracle.SETTINGS, "memory.limit.bytes": limit}, arguments=["--shards", "2"]) as broker:
            if "EndTxn" not in wire_admin.apis(broker.port):
                self.skipTest("the broker has no EndTxn")
            story = txn_oracle.Story("127.0.0.1", broker.port, "m-")
            story.ask("CreateTopics", 7, {"timeoutMs": 30000, "Topics": [{"Name": "m-t", "NumPartitions": partitions, "ReplicationFactor": 1}]})
            p = story.init("x")
            story.add(p, ("t", *range(partitions)))
            self.assertIn("t-2999=NONE", story.lines[-1])

            # 144 MB, were each told: as much is as goes into an answer, and of the others that they were not.
            def describe(count):
                with broker.connect() as c:
                    c.socket.settimeout(60)
                    c.send(wire.request("DescribeTransactions", 0, {"TransactionalIds": ["m-x"] * count}))
                    return c.receive_frame()
            told = describe(12000)
            self.assertGreater(len(told), limit // 20)
            self.assertEqual(told[told.rindex(b"\x04m-x") - 2:][:2], struct.pack(">h", UNKNOWN_SERVER_ERROR))
            with open(f"/proc/{broker.process.pid}/status", encoding="utf-8") as status:
                peak = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM:"))
            print(f"peak {peak >> 20} MiB", flush=True)
            with open(moldau.binary(), "rb") as program:
                if b"__asan_init" not in program.read():  # its shadow is memory too
                    self.assertLess(peak, limit)

            # Many at once: what others hold is waited for, not added to. Who does not take its answer meanwhile may be ended.
            def describe_or_be_ended(_):
                try:
                    return len(describe(300))
                except (EOFError, ConnectionError):
                    return None
            with concurrent.futures.ThreadPoolExecutor(10) as many:
                sizes = list(many.map(describe_or_be_ended, range(10)))
            self.assertTrue(any(sizes), sizes)
            moldau.wait_for(lambda: len(describe(300)) > 300 * partitions * 4, 30, "it is told in full again")
            story.close()

    def test_markers_by_the_thousand(self):
        with moldau.Broker(arguments=["--shards", "2"]) as broker:
            wire_admin.create_topic(broker.port, "t", 2)

            def end(partition):
                answer = wire_admin.call(broker.port, "ListOffsets", 5, {"ReplicaId": -1, "IsolationLevel": 0, "Topics": [
                    {"Name": "t", "Partitions": [{"PartitionIndex": partition, "CurrentLeaderEpoch": -1, "Timestamp": -1}]}]})
                return answer["Topics"][0]["Partitions"][0]["Offset"]

            def write(markers):
                told = wire_admin.call(broker.port, "WriteTxnMarkers", 1, {"Markers": markers})["Markers"]
                return [(p["PartitionIndex"], p["ErrorCode"]) for m in told for t in m["Topics"] for p in t["Partitions"]]

            def marker(producer, partitions, epoch=0):
                return {"ProducerId": producer, "ProducerEpoch": epoch, "TransactionResult": True, "CoordinatorEpoch": 0,
                        "Topics": [{"Name": "t", "PartitionIndexes": partitions}]}
            # One that a marker names again and again has one, as in Kafka (which then never answers).
            self.assertEqual(write([marker(1, [0] * 60000)]), [(0, 0)])
            self.assertEqual(end(0), 1)
            # Far more than are under way at once, in their order: an epoch that was passed is refused.
            self.assertEqual(write([marker(100 + i % 300, [1], i // 300) for i in range(900)]), [(1, 0)] * 300)
            self.assertEqual(end(1), 900)
            self.assertEqual(write([marker(100, [1], 0), marker(101, [1], 2)]), [(1, INVALID_PRODUCER_EPOCH), (1, 0)])

    def test_an_open_transaction_shows_in_metrics(self):
        with observe_test.observed(txn_oracle.SETTINGS) as broker:
            if "EndTxn" not in wire_admin.apis(broker.port):
                self.skipTest("the broker has no EndTxn")
            story = txn_oracle.Story("127.0.0.1", broker.port, "m-")
            story.topic("t")
            p = story.init("x")
            story.produce(p, ("t", 0), version=12)
            port = observe_test.ports_of(broker)

            def page():
                return observe_test.Page(port)
            # Readers of committed records wait for what is on disk and open.
            moldau.wait_for(lambda: page().get("moldau_topic_unstable_offsets", topic="m-t") == 1)
            open_page = page()
            self.assertEqual(open_page.get("moldau_transactions", state="Ongoing"), 1)
            self.assertGreater(sum(open_page.all("moldau_transaction_oldest_seconds").values()), 0)
            story.end(p, True)
            story.settled("x")
            done = page()
            self.assertEqual(done.get("moldau_topic_unstable_offsets", topic="m-t"), 0)
            self.assertEqual(done.get("moldau_transactions", state="CompleteCommit"), 1)
            self.assertEqual(done.get("moldau_transactions_ended_total", result="committed"), 1)
            self.assertEqual(done.get("moldau_transaction_markers_total"), 1)
            self.assertEqual(done.get("moldau_transactions_ending"), 0)
            story.close()


if __name__ == "__main__":
    moldau.main()
