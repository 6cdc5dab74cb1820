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
import wire_admin  # noqa: E402


class TxnPartitions(unittest.TestCase):
    def test_the_stories_are_those_of_the_real_kafka(self):
        said = []
        with moldau.Broker({"node.id": 1, **txn_oracle.SETTINGS}, arguments=["--shards", "3"]) as broker:
            only = None if "EndTxn" in wire_admin.apis(broker.port) else "markers:"
            failed = txn_oracle.compare("127.0.0.1", broker.port, only, out=said.append)
        self.assertEqual(failed, [], "\n".join(said))

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
