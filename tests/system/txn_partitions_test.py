"""What partitions and groups say in transactions is what the real Kafka said (tests/compat/txn_oracle.py)."""
import os
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
            # 240 MB, were each told apart: as much is told as goes into an answer, or none of it.
            with broker.connect() as c:
                c.send(wire.request("DescribeTransactions", 0, {"TransactionalIds": ["m-x"] * 20000}))
                self.assertTrue(c.is_closed(30))
            with open(f"/proc/{broker.process.pid}/status", encoding="utf-8") as status:
                peak = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM:"))
            print(f"peak {peak >> 20} MiB", flush=True)
            with open(moldau.binary(), "rb") as program:
                if b"__asan_init" not in program.read():  # its shadow is memory too
                    self.assertLess(peak, limit)
            story.close()

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
