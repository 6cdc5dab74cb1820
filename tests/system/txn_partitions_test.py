"""What partitions and groups say in transactions is what the real Kafka said (tests/compat/txn_oracle.py)."""
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "compat"))
import moldau  # noqa: E402
import txn_oracle  # noqa: E402
import wire_admin  # noqa: E402


class TxnPartitions(unittest.TestCase):
    def test_the_stories_are_those_of_the_real_kafka(self):
        said = []
        with moldau.Broker({"node.id": 1, **txn_oracle.SETTINGS}) as broker:
            only = None if "EndTxn" in wire_admin.apis(broker.port) else "markers:"
            failed = txn_oracle.compare("127.0.0.1", broker.port, only, out=said.append)
        self.assertEqual(failed, [], "\n".join(said))


if __name__ == "__main__":
    moldau.main()
